# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotations while people act: at the cloud provider, in Rancher, on records, and with wrong options.

AWS refuses inactive, deleted and unknown keys. The tests check the keys at AWS and the objects in the cluster.
"""

from __future__ import annotations

import json
import secrets

import pytest

from support.cluster import SECRETS, decoded
from support.providers.aws import before, error
from support.rotations import ROTATION_INFO, RotatingCredential, RotationFleet

PRESENT, WRONG, CORRECTED = "the-present-token", "the-wrong-token", "the-corrected-token"


@pytest.fixture
def administrator(aws):
    """Options of a call in which an administrator manages the keys."""
    key = aws.create_admin(f"admin-{secrets.token_hex(4)}")
    return {
        "issuer_options": {"endpoint_url": aws.url, "propagation": "0s", "sign_in": "given"},
        "issuer_secrets": {"access_key": key["accessKey"], "secret_key": key["secretKey"]},
    }


@pytest.fixture
def fleet(cluster, aws, tmp_path):
    return RotationFleet(cluster, aws, tmp_path)


class SuppliedCredential(RotatingCredential):
    """A credential of a driver without an issuer. The playbook supplies its new value."""

    def __init__(self, cluster, aws):  # pylint: disable=super-init-not-called
        self.cluster, self.aws = cluster, aws
        self.id = f"cc-{secrets.token_hex(4)}"
        self.namespace = f"rotation-{secrets.token_hex(4)}"
        cluster.secret(self.id, "digitalocean", {"accessToken": PRESENT}, f"do {self.id}")

    def supply(self, token, option="secrets", **options):
        values = {option: {"accessToken": "{{ token }}"}}
        task = self.task(issuer="supplied", issuer_options={"verify": False}, **values, **options)
        return self.play(task, variables={"token": token})

    @property
    def token(self):
        return decoded(self.cluster.stored(self.id))["digitaloceancredentialConfig-accessToken"]


@pytest.fixture
def supplied(cluster, aws):
    return SuppliedCredential(cluster, aws)


def objects(rotating, kind):
    """Return the objects of a kind in the namespace of the records."""
    return rotating.cluster.api.get(f"/api/v1/namespaces/{rotating.namespace}/{kind}")["items"]


def records(rotating):
    """Return the records of rotations by the name of their ConfigMap."""
    return {item["metadata"]["name"]: json.loads(item["data"]["record"]) for item in objects(rotating, "configmaps")}


def edit_record(rotating, edit):
    """Change the text of the record, as a person with kubectl would."""
    path = f"/api/v1/namespaces/{rotating.namespace}/configmaps/rotation-{rotating.id}"
    text = rotating.cluster.api.get(path)["data"]["record"]
    rotating.cluster.api.patch(path, {"data": {"record": edit(text)}})


def write(rotating, key, identifier=None, driver="amazonec2"):
    """Write a key to a credential, as a restore or another tool would."""
    fields = {f"{driver}credentialConfig-{name}": value for name, value in key.items()}
    rotating.cluster.api.patch(f"{SECRETS}/{identifier or rotating.id}", {"stringData": fields})


def finish(rotating, **options):
    """Complete a rotation: cut over, disable the old key, delete it."""
    results = rotating.play(
        rotating.task(**options),
        rotating.task("retired", **{**options, "rotation_id": None, "grace": "0s"}),
        rotating.task("retired", **{**options, "rotation_id": None, "soak": "0s"}),
    ).results
    assert not any(result["failed"] for result in results), results


# The last working key


@pytest.mark.parametrize("harm", ["disabled", "deleted"])
@pytest.mark.parametrize("phase", ["grace", "disabled"])
def test_the_old_key_is_kept_while_the_new_key_does_not_work(rotating, administrator, phase, harm):
    rotating.run(**administrator)
    if phase == "disabled":
        rotating.run("retired", grace="0s", **administrator)
    new = rotating.live["accessKey"]
    if harm == "disabled":
        rotating.aws.set_status(new, "Inactive")
    else:
        rotating.aws.delete_key(new)
    keys = rotating.keys
    result = rotating.run("retired", grace="0s", soak="0s", **administrator)
    assert result["failed"] and new in result["msg"] and rotating.keys == keys, result
    back = rotating.run("rolled_back", **administrator)
    assert not back["failed"] and rotating.original_key_only(), back


def test_a_rollback_enables_the_old_key_that_a_restore_wrote(rotating, administrator):
    rotating.run(**administrator)
    rotating.aws.set_status(rotating.key["accessKey"], "Inactive")
    write(rotating, rotating.key)
    result = rotating.run("rolled_back", **administrator)
    assert not result["failed"] and rotating.original_key_only(), (result, rotating.keys)


def test_a_rollback_keeps_the_new_key_if_the_old_key_is_deleted(rotating, administrator):
    rotating.run(**administrator)
    new = rotating.live
    rotating.aws.delete_key(rotating.key["accessKey"])
    write(rotating, rotating.key)
    result = rotating.run("rolled_back", **administrator)
    assert result["failed"] and rotating.keys == {new["accessKey"]: "Active"}, (result, rotating.keys)
    forward = rotating.run(repair=True, **administrator)
    assert not forward["failed"] and rotating.live == new and rotating.works(), forward


def test_an_abort_keeps_the_new_key_if_the_old_key_is_disabled(rotating, administrator):
    rotating.run(pause_before_cutover=True, **administrator)
    rotating.aws.set_status(rotating.key["accessKey"], "Inactive")
    result = rotating.run("aborted", **administrator)
    assert "Active" in rotating.keys.values(), (result, rotating.keys)
    assert rotating.works() if not result["failed"] else len(rotating.keys) == 2, result


# Values that the playbook supplies


def test_a_corrected_value_replaces_the_kept_value(supplied):
    supplied.supply(WRONG, pause_before_cutover=True)
    result = supplied.supply(CORRECTED).result
    assert supplied.token != WRONG and (supplied.token == CORRECTED or result["failed"]), result
    if result["failed"]:  # refused: the message has the command
        assert "aborted" in result["msg"], result
        supplied.run("aborted", issuer_options=None)
        assert not supplied.supply(CORRECTED).result["failed"] and supplied.token == CORRECTED


def test_supplying_the_present_value_does_not_start_a_rotation(supplied):
    refused = supplied.supply(PRESENT).result
    assert refused["code"] == "invalid" and supplied.token == PRESENT, refused
    assert {record["phase"] for record in records(supplied).values()} <= {"idle"}
    result = supplied.supply(CORRECTED).result
    assert not result["failed"] and supplied.token == CORRECTED, result


def test_a_secret_in_config_is_not_shown(supplied):
    played = supplied.supply(CORRECTED, "config", driver="digitalocean")
    result = {key: value for key, value in played.result.items() if key != "invocation"}
    seen = json.dumps([objects(supplied, "configmaps"), objects(supplied, "events"), result]) + played.output
    assert CORRECTED not in seen, seen
    assert supplied.token == (PRESENT if result["failed"] else CORRECTED), result


# Keys of other people


@pytest.mark.parametrize("code", ["AccessDenied", "LimitExceeded"])
def test_a_key_that_an_engineer_created_is_not_deleted(rotating, code):
    rotating.aws.faults.rule("CreateAccessKey", error(code, 403 if code == "AccessDenied" else 409), times=9)
    refused = rotating.run()
    assert refused["failed"] and len(rotating.keys) == 1, refused
    rotating.aws.faults.clear()
    theirs = rotating.aws.add_key(rotating.user)["accessKey"]
    result = rotating.run()
    assert rotating.keys.get(theirs) == "Active" and rotating.works(), (result, rotating.keys)
    assert result["code"] == "slot_taken", result
    rotating.aws.delete_key(theirs)
    assert rotating.run()["rotation"]["phase"] == "grace" and rotating.works()


def test_a_key_that_is_enabled_again_during_the_soak_time_is_not_deleted(rotating):
    rotating.play(rotating.task(), rotating.task("retired", grace="0s"))
    old = rotating.key["accessKey"]
    assert rotating.keys[old] == "Inactive"
    rotating.aws.set_status(old, "Active")
    assert rotating.aws.works(**{"access_key": old, "secret_key": rotating.key["secretKey"]})
    result = rotating.run("retired", soak="0s")
    assert old in rotating.keys and result.get("rotation", {}).get("phase") != "idle", result


@pytest.mark.parametrize("step", ["UpdateAccessKey", "DeleteAccessKey"])
def test_an_old_key_that_the_account_does_not_know_is_not_reported_as_retired(rotating, step):
    rotating.run()
    if step == "DeleteAccessKey":
        rotating.run("retired", grace="0s")
    keys = rotating.keys
    rotating.aws.faults.rule(step, error("NoSuchEntity", 404), times=9)
    result = rotating.run("retired", grace="0s", soak="0s")
    assert result["failed"] and rotating.keys == keys, (result, rotating.keys)
    (record,) = records(rotating).values()
    assert record["phase"] not in (("disabled", "idle") if step == "UpdateAccessKey" else ("idle",)), record
    rotating.aws.faults.clear()
    assert not rotating.run("retired", grace="0s", soak="0s")["failed"]


# The rotation_id


@pytest.mark.parametrize("end", ["failed", "aborted"])
def test_a_rotation_id_counts_from_the_cutover(rotating, end):
    if end == "failed":
        rotating.aws.propagation_delay = 3600
        assert rotating.run(verify_timeout="1s")["code"] == "verify_failed"
        rotating.aws.propagation_delay = 0
    else:
        rotating.play(rotating.task(pause_before_cutover=True), rotating.task("aborted"))
    assert rotating.original_key_only()
    result = rotating.run()
    assert result["changed"] and result["rotation"]["phase"] == "grace" and rotating.live != rotating.key, result


# Credentials that share a key


def test_a_member_that_sorts_before_the_others_joins_their_rotation(rotating):
    finish(rotating)
    first = f"cc-0{rotating.id}"
    rotating.add(first, "s3", key=rotating.live)
    items = [{"id": rotating.id}, {"id": first}]
    result = rotating.run(id=None, credentials=items, rotation_id="second")
    assert not result["failed"], result
    assert [len(rotation["members"]) for rotation in result["rotations"]] == [2, 2] and len(rotating.keys) == 2
    assert [record["phase"] for record in records(rotating).values() if record["phase"] != "idle"] == ["grace"]
    other = decoded(rotating.cluster.stored(first))
    assert other["s3credentialConfig-secretKey"] == rotating.live["secretKey"] and rotating.works()


def test_a_credential_that_gets_the_new_key_in_grace_starts_no_rival_rotation(rotating):
    rotating.run()
    first = f"cc-0{rotating.id}"
    rotating.add(first, "s3", key=rotating.live)
    result = rotating.run(id=first, shared_key="together")
    assert len(records(rotating)) == 1 and len(rotating.keys) == 2, result
    retired = rotating.play(rotating.task("retired", grace="0s"), rotating.task("retired", soak="0s")).results
    assert not any(each["failed"] for each in retired) and rotating.works(), retired


def test_after_a_restore_every_member_is_repaired(rotating):
    other = f"{rotating.id}-s3"
    rotating.add(other, "s3")
    finish(rotating, shared_key="together")
    write(rotating, rotating.key)
    write(rotating, rotating.key, other, "s3")
    rotating.run("retired")
    repaired = decoded(rotating.cluster.stored(other))["s3credentialConfig-accessKey"]
    assert rotating.works() and repaired == rotating.live["accessKey"]


@pytest.mark.parametrize("state", ["retired", "rolled_back"])
def test_a_deleted_member_does_not_block_the_others(rotating, state):
    other = f"{rotating.id}-s3"
    rotating.add(other, "s3")
    rotating.run(shared_key="together")
    rotating.cluster.api.delete(f"{SECRETS}/{other}")
    result = rotating.run(state, grace="0s")
    assert not result["failed"] and rotating.works(), result
    if state == "retired":
        assert rotating.keys[rotating.key["accessKey"]] == "Inactive"
    else:
        assert rotating.original_key_only()


# Each item by itself


def test_items_fail_by_themselves(rotating, supplied):
    damaged = RotatingCredential(rotating.cluster, rotating.aws)
    damaged.namespace = rotating.namespace
    damaged.run()
    edit_record(damaged, lambda text: text[:40])
    items = [{"name": "no such name"}, {"id": supplied.id}, {"id": damaged.id}, {"id": rotating.id}]
    result = rotating.run(id=None, credentials=items)
    assert result["code"] == "partial", result
    assert [item.get("code") for item in result["rotations"]] == ["not_found", "invalid", "conflict", None], result
    assert result["rotations"][-1]["phase"] == "grace" and rotating.works()


def test_a_credential_that_cannot_be_rotated_does_not_stop_those_that_were_found(fleet):
    fleet.add(3)
    first, second, third = fleet.members
    fleet.aws.set_status(second.key["accessKey"], "Inactive")
    options = {"rotate_credentials": [], "rotate_discover": {"driver": "amazonec2"}, "rotate_max_failures": 0}
    output = fleet.run("rotate", **options)
    assert all(member.works() and member.live != member.key for member in (first, third)), output
    assert second.live == second.key and "its current key does not work" in output


def test_a_record_with_unknown_fields_is_used_and_keeps_them(rotating):
    rotating.run()
    edit_record(rotating, lambda text: json.dumps({**json.loads(text), "of_a_later_version": ["kept"]}))
    result = rotating.run("retired", grace="0s")
    assert not result["failed"] and rotating.keys[rotating.key["accessKey"]] == "Inactive", result
    (record,) = records(rotating).values()
    assert record["of_a_later_version"] == ["kept"]


# Credentials that are deleted


def test_a_credential_that_is_deleted_in_grace_is_reported_and_can_be_forgotten(fleet):
    fleet.add(2)
    gone, other = fleet.members
    fleet.run("rotate")
    new = gone.live["accessKey"]
    fleet.cluster.api.delete(f"{SECRETS}/{gone.id}")
    status = gone.play({ROTATION_INFO: {"namespace": fleet.namespace}}).result
    assert any(gone.id in rotation["id"] for rotation in status["rotations"]), status
    assert gone.id in fleet.run("rotation_status")
    output = fleet.run("retire", code=2, retire_grace="0s")
    assert gone.id in output.rpartition("Fail if a rotation is stuck")[2], output
    assert sorted(other.keys.values()) == ["Active", "Inactive"], output
    kept = fleet.run("forget", "-e", "confirm=no", code=2, forget_credentials=[{"id": gone.id}])
    assert new in gone.keys and f"rotation-{gone.id}" in records(gone), kept
    fleet.run("forget", "-e", "confirm=yes", forget_credentials=[{"id": gone.id}])
    assert new not in gone.keys and f"rotation-{gone.id}" not in records(gone)
    assert not [name for name in gone.kept() if gone.id in name] and other.works()


# Drift that is accepted


def test_a_key_that_an_engineer_wrote_is_adopted(rotating):
    rotating.run()
    rotating.aws.delete_key(rotating.key["accessKey"])
    theirs = rotating.aws.add_key(rotating.user)
    write(rotating, theirs)
    assert rotating.run("retired", grace="0s")["code"] == "drift"
    adopted = rotating.run("adopted")
    assert not adopted["failed"] and rotating.live == theirs and rotating.works(), adopted
    for _step in range(2):
        result = rotating.run("retired", grace="0s", soak="0s")
        assert not result["failed"] and rotating.keys[theirs["accessKey"]] == "Active", result
    assert rotating.run(rotation_id="second")["rotation"]["phase"] == "grace"


def test_a_key_that_does_not_work_is_not_adopted(rotating):
    rotating.run()
    new = rotating.live
    write(rotating, {"accessKey": "AKIA" + "X" * 16, "secretKey": "unknown"})
    result = rotating.run("adopted")
    assert result["failed"] and rotating.keys[new["accessKey"]] == "Active" and len(rotating.keys) == 2, result


# Providers that do not answer, and impossible values


def test_a_new_key_is_verified_again_if_the_provider_did_not_answer_after_the_cutover(rotating):
    def cut_after_the_cutover(perform):
        return perform() if rotating.live == rotating.key else before(perform)

    rotating.aws.faults.rule("GetCallerIdentity", cut_after_the_cutover, times=99)
    result = rotating.run(verify_timeout="1s")
    rotating.aws.faults.clear()
    assert result["code"] == "unreachable" and rotating.live != rotating.key, result
    rotating.aws.set_status(rotating.live["accessKey"], "Inactive")
    again = rotating.run(verify_timeout="1s")
    assert again["code"] == "verify_failed" and rotating.original_key_only(), again


@pytest.mark.parametrize("code", ["Throttling", "RequestLimitExceeded"])
def test_a_throttled_request_is_repeated(rotating, code):
    rotating.aws.faults.rule("CreateAccessKey", error(code), times=1)
    result = rotating.run()
    assert not result["failed"] and rotating.works() and len(rotating.keys) == 2, result


@pytest.mark.parametrize(
    "options",
    [{"grace": "99999999999d"}, {"soak": "1000000w"}, {"rotation_id": "x" * 300000}, {"reason": "y" * 2000000}],
    ids=["grace", "soak", "rotation_id", "reason"],
)
def test_values_beyond_any_limit_are_refused(rotating, options):
    result = rotating.play(rotating.task(**options)).result
    assert result.get("code") == "invalid" and next(iter(options)) in result["msg"], str(result)[:2000]
    assert rotating.original_key_only() and not records(rotating)
