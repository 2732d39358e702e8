# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cloud_credential_rotation: its results, and the state of the cluster and the provider after it."""

from __future__ import annotations

import json
import re

import pytest

from support.cluster import MODULE, decoded
from support.providers.aws import lost_reply
from support.rotations import ROTATION, RotatingCredential
from support.rotations import ROTATION_INFO as INFO


def test_a_key_is_rotated_and_retired(rotating):
    before = rotating.cluster.stored(rotating.id)
    played = rotating.play(
        {**rotating.task(), "check_mode": True},
        rotating.task(),
        rotating.task(),
        rotating.task("retired"),
        rotating.task("retired", grace="0s"),
        rotating.task("retired", soak="0s"),
        rotating.task("retired"),
        rotating.task(),
    )
    assert not any(result["failed"] for result in played.results), played.output
    check, rotated, again, waiting, disabled, deleted, idle, last = [
        result.get("rotation", result) for result in played.results
    ]
    assert check["steps"] == ["preparing", "issued", "grace"] and check["action"] == "rotated", played.output
    assert (
        rotated["action"] == "rotated"
        and rotated["phase"] == "grace"
        and rotated["old_key_id"] == rotating.key["accessKey"]
    ), rotated
    assert again["action"] == "unchanged" and again["waiting_for"] == ["state: retired, to retire the old key"]
    assert waiting["action"] == "unchanged" and waiting["waiting_for"][0].startswith("grace: ")
    assert disabled["phase"] == "disabled" and disabled["steps"] == ["disabling", "disabled"]
    assert deleted["phase"] == "idle" and deleted["action"] == "retired", deleted
    assert idle["action"] == "unchanged" and last["action"] == "unchanged"
    assert [result["changed"] for result in played.results] == [True, True, False, False, True, True, False, False]
    after = rotating.cluster.stored(rotating.id)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert "ranchhand.cattle.io/rotation-token" not in after["metadata"]["annotations"]
    assert rotating.keys == {rotating.live["accessKey"]: "Active"} and rotating.works()
    assert list(rotating.kept().values()) == [rotating.live]
    assert "WARNING" not in played.output


def _rotated(rotating):
    result = rotating.run()
    assert result["rotation"]["phase"] == "grace", result
    return rotating.live


def test_a_rollback_puts_the_old_key_in_again(rotating):
    new = _rotated(rotating)
    result = rotating.run("rolled_back")["rotation"]
    assert (result["action"], result["phase"], result["steps"]) == ("rolled_back", "idle", ["rolling_back", "idle"]), (
        result
    )
    assert rotating.live == rotating.key and rotating.keys == {rotating.key["accessKey"]: "Active"}
    assert new != rotating.key and list(rotating.kept().values()) == [rotating.key]
    assert rotating.run("rolled_back")["changed"] is False
    assert rotating.run()["rotation"]["phase"] == "grace", "a rotation that was rolled back is not done"


def test_a_rollback_enables_the_old_key_again(rotating):
    _rotated(rotating)
    rotating.run("retired", grace="0s")
    assert rotating.keys[rotating.key["accessKey"]] == "Inactive"
    assert rotating.run("rolled_back")["rotation"]["action"] == "rolled_back"
    assert rotating.live == rotating.key and rotating.works() and len(rotating.keys) == 1


def test_no_rollback_after_the_old_key_was_deleted(rotating):
    new = _rotated(rotating)
    rotating.run("retired", grace="0s")
    rotating.run("retired", soak="0s")
    result = rotating.run("rolled_back")
    assert not result["failed"] and not result["changed"], "there is nothing in progress any more"
    assert rotating.live == new


def test_a_rotation_is_aborted_before_its_cutover(rotating):
    paused = rotating.run(pause_before_cutover=True)["rotation"]
    assert paused["phase"] == "issued" and len(rotating.keys) == 2 and rotating.live == rotating.key
    assert paused["waiting_for"] == ["the cutover, with pause_before_cutover: false"]
    assert rotating.run(pause_before_cutover=True)["changed"] is False
    assert rotating.run("rolled_back")["code"] == "not_cut_over"
    assert rotating.run("retired")["rotation"]["waiting_for"] == ["state: rotated, to finish the rotation"]
    aborted = rotating.run("aborted")["rotation"]
    assert (
        aborted["action"] == "aborted"
        and rotating.keys == {rotating.key["accessKey"]: "Active"}
        and rotating.live == rotating.key
    )
    assert rotating.run("aborted")["changed"] is False
    assert rotating.run(rotation_id="second")["rotation"]["phase"] == "grace"
    assert rotating.run("aborted")["code"] == "too_late"


def _edit(rotating, **fields):
    rotating.cluster.api.patch(f"/api/v1/namespaces/cattle-global-data/secrets/{rotating.id}", {
        "stringData": {f"amazonec2credentialConfig-{name}": value for name, value in fields.items()}})


@pytest.mark.parametrize("begun", [{"pause_before_cutover": True}, {}], ids=["before the cutover", "in grace"])
def test_a_value_of_another_client_is_never_changed(rotating, begun):
    rotating.run(**begun)
    theirs = rotating.aws.create_user(rotating.user + "-theirs")
    _edit(rotating, **theirs)
    keys = rotating.keys
    for state in ("rotated", "retired", "rolled_back", "aborted"):
        result = rotating.run(state, grace="0s")
        assert result["code"] == "drift" and rotating.key["accessKey"] in result["msg"], result
    assert rotating.live == theirs and rotating.keys == keys


def test_other_fields_may_be_changed(rotating):
    rotating.run(pause_before_cutover=True)
    _edit(rotating, defaultRegion="us-east-1")
    rotating.run()
    stored = decoded(rotating.cluster.stored(rotating.id))
    assert stored["amazonec2credentialConfig-defaultRegion"] == "us-east-1" and rotating.works()


def test_a_form_that_was_opened_before_the_cutover_mixes_the_keys(rotating):
    new = _rotated(rotating)
    _edit(rotating, accessKey=rotating.key["accessKey"])
    result = rotating.run("retired", grace="0s")
    assert result["code"] == "drift" and "a mix of the old key and the new one" in result["msg"]
    repaired = rotating.run(repair=True)
    assert repaired["changed"] and rotating.live == new and rotating.run(repair=True)["changed"] is False


def test_an_old_key_that_is_written_again_in_grace_needs_a_decision(rotating):
    new = _rotated(rotating)
    _edit(rotating, **rotating.key)
    assert "return to the old key with state: rolled_back" in rotating.run("retired", grace="0s")["msg"]
    assert rotating.run(repair=True)["changed"] and rotating.live == new
    _edit(rotating, **rotating.key)
    assert (
        rotating.run("rolled_back")["rotation"]["phase"] == "idle"
        and rotating.live == rotating.key
        and len(rotating.keys) == 1
    )


@pytest.mark.parametrize("done", ["disabled", "deleted"])
def test_a_restored_backup_is_rolled_forward(rotating, done):
    new = _rotated(rotating)
    rotating.run("retired", grace="0s")
    if done == "deleted":
        rotating.run("retired", soak="0s")
    _edit(rotating, **rotating.key)
    assert not rotating.works()
    status = rotating.play({INFO: {"id": rotating.id, "namespace": rotating.namespace}}).result["rotations"][0]
    assert [problem["code"] for problem in status["problems"]] == ["drift" if done == "disabled" else "restored"]
    assert "again" in status["problems"][0]["message"] and status["problems"][0]["level"] == "error"
    result = rotating.run("retired")
    assert result["changed"] and rotating.live == new and rotating.works(), result
    assert rotating.run("retired")["changed"] is False


def test_the_limit_of_keys_is_reached(rotating):
    other = rotating.aws.add_key(rotating.user)["accessKey"]
    for check in (True, False):
        result = rotating.play({**rotating.task(), "check_mode": check}).result
        assert (
            result["code"] == "slot_taken" and other in result["msg"] and rotating.key["accessKey"] not in result["msg"]
        ), result
    assert len(rotating.keys) == 2 and rotating.works()


def test_a_key_that_does_not_work_is_not_rotated(rotating):
    rotating.aws.set_status(rotating.key["accessKey"], "Inactive")
    result = rotating.run()
    assert result["code"] == "unusable" and "was not started" in result["msg"], result
    assert not rotating.cluster.api.get(f"/api/v1/namespaces/{rotating.namespace}/configmaps")["items"]


def test_an_orphaned_key_is_replaced(rotating):
    rotating.aws.faults.rule("CreateAccessKey", lost_reply)
    lost = rotating.run()
    assert lost["code"] == "unreachable" and "run the task again to find out" in lost["msg"], lost
    assert len(rotating.keys) == 2 and rotating.live == rotating.key
    orphan = (set(rotating.keys) - {rotating.key["accessKey"]}).pop()
    stopped = rotating.run(orphan_policy="never")
    assert stopped["code"] == "orphan" and orphan in stopped["msg"], stopped
    assert rotating.run()["rotation"]["phase"] == "grace"
    assert orphan not in rotating.keys and len(rotating.keys) == 2 and rotating.works()


@pytest.mark.parametrize("policy", ["rollback", "stop"])
def test_a_new_key_that_does_not_work_is_not_used(rotating, policy):
    rotating.aws.propagation_delay = 3600
    result = rotating.run(verify_timeout="1s", on_verify_failure=policy)
    assert result["code"] == "verify_failed" and rotating.live == rotating.key, result
    assert len(rotating.keys) == (1 if policy == "rollback" else 2)
    rotating.aws.propagation_delay = 0
    assert rotating.run(rotation_id="second")["rotation"]["phase"] == "grace" and rotating.works()


def test_a_new_key_is_verified_until_the_provider_accepts_it(rotating):
    rotating.aws.propagation_delay = 2
    assert rotating.run(verify_timeout="20s")["rotation"]["action"] == "rotated"
    assert rotating.works()


def test_credentials_with_the_same_key_are_rotated_together(rotating):
    rotating.add(f"{rotating.id}-s3", "s3")
    refused = rotating.run()
    assert refused["code"] == "shared_key" and f"{rotating.id}-s3" in refused["msg"], refused
    both = {**rotating.task(credentials=[{"id": rotating.id}, {"id": f"{rotating.id}-s3"}], id=None)}
    results = rotating.play(both, both).results
    assert [item["phase"] for item in results[0]["rotations"]] == ["grace", "grace"] and results[1][
        "changed"
    ] is False, results
    other = decoded(rotating.cluster.stored(f"{rotating.id}-s3"))
    assert {name: other[f"s3credentialConfig-{name}"] for name in rotating.live} == rotating.live
    assert (
        len(rotating.keys) == 2
        and results[0]["rotations"][0]["retire_not_before"] == results[0]["rotations"][1]["retire_not_before"]
    )
    assert rotating.run("rolled_back")["rotation"]["members"] == [
        f"cattle-global-data:{rotating.id}",
        f"cattle-global-data:{rotating.id}-s3",
    ]
    other = decoded(rotating.cluster.stored(f"{rotating.id}-s3"))
    assert other["s3credentialConfig-accessKey"] == rotating.key["accessKey"] == rotating.live["accessKey"]
    assert rotating.run(rotation_id="second", shared_key="together")["rotation"]["phase"] == "grace"


@pytest.mark.parametrize("metadata", [
    {"labels": {"cattle.io/creator": "norman", "reconcile.external-secrets.io/managed": "true"}},
    {"ownerReferences": [
        {
            "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": "aws", "uid": "1",
            "controller": True,
        },
    ]},
], ids=["label", "owner"])
def test_a_credential_of_another_tool_is_not_rotated(rotating, metadata):
    rotating.cluster.api.patch(f"/api/v1/namespaces/cattle-global-data/secrets/{rotating.id}", {"metadata": metadata})
    assert rotating.run()["code"] == "other_writer"
    assert rotating.run(override_gates=["other_writer"])["rotation"]["phase"] == "grace"


def test_by_age(rotating):
    assert rotating.run(max_age="1d")["changed"] is False, "the provider reports that the key is new"
    rotating.aws.set_created(rotating.key["accessKey"], days=100)
    assert rotating.run(max_age="90d")["rotation"]["action"] == "rotated"
    rotating.run("retired", grace="0s")
    rotating.run("retired", soak="0s")
    requests = len(rotating.aws.requests)
    assert rotating.run(max_age="90d")["changed"] is False
    assert len(rotating.aws.requests) == requests, "the age in the record needs no request"


def test_keys_are_listed_once_for_each_user(rotating):
    """Two credentials contain the two keys of one user."""
    other = rotating.aws.add_key(rotating.user)
    rotating.add(f"{rotating.id}-other", key=other)
    items = [{"id": rotating.id}, {"id": f"{rotating.id}-other"}]
    before = len(rotating.aws.requests)
    assert rotating.run(id=None, credentials=items, max_age="90d", parallel=1)["changed"] is False
    asked = [request.action for request in rotating.aws.requests[before:]]
    assert asked.count("ListAccessKeys") == 1, asked


def test_a_failure_does_not_stop_other_credentials(rotating, cluster, aws):
    other = RotatingCredential(cluster, aws)
    aws.set_status(rotating.key["accessKey"], "Inactive")
    result = rotating.run(id=None, credentials=[{"id": rotating.id}, {"id": other.id}])
    assert result["code"] == "partial" and [item["action"] for item in result["rotations"]] == ["failed", "rotated"], (
        result
    )
    assert result["rotations"][0]["code"] == "unusable"


def test_validation_errors_are_reported_together_before_any_request(rotating):
    wrong = {
        "max_age": "90",
        "grace": "1 day",
        "issuer": "azure-thing",
        "override_gates": ["weather"],
        "namespace": "cattle-mine",
        "id": "cc x",
    }
    result = rotating.play({ROTATION: wrong}).result
    assert result["code"] == "invalid"
    for part in (
        "max_age must be a number with a unit",
        "grace must be",
        "issuer must be one of",
        "weather",
        "must not begin with cattle-",
        "id",
    ):
        assert part in result["msg"], result["msg"]
    neither = rotating.run(rotation_id=None)
    assert neither["code"] == "invalid" and "either max_age or rotation_id" in neither["msg"]
    assert rotating.run(id="cc-nowhere")["code"] == "not_found"
    assert rotating.run(issuer="openstack")["code"] == "invalid"
    assert rotating.run(issuer="no.such.issuer")["code"] == "invalid"


def test_the_playbook_supplies_the_value(cluster, aws):
    rotating = RotatingCredential(cluster, aws)
    cluster.secret("cc-do", "digitalocean", {"accessToken": "stored-token"}, "do")
    task = rotating.task(
        id="cc-do",
        issuer="supplied",
        issuer_options={"verify": False},
        secrets={"accessToken": "{{ token }}"},
        pause_before_cutover="{{ pause }}",
    )
    retire = rotating.task("retired", id="cc-do", issuer_options=None, grace="0s", old_key_removed="{{ removed }}")
    played = rotating.play(
        {**task, "vars": {"pause": True}},
        {**task, "vars": {"pause": False}},
        {**task, "vars": {"pause": False}},
        {**retire, "vars": {"removed": False}},
        {**retire, "vars": {"removed": True}},
        {**retire, "vars": {"removed": True}},
        variables={"token": "the-new-token"},
    )
    paused, rotated, again, asking, retired, idle = played.results
    assert (
        paused["rotation"]["phase"] == "issued"
        and rotated["rotation"]["phase"] == "grace"
        and again["changed"] is False
    ), played.output
    assert asking["changed"] is False and "old_key_removed: true" in asking["rotation"]["waiting_for"][0]
    assert retired["rotation"]["phase"] == "idle" and idle["changed"] is False, retired
    assert decoded(cluster.stored("cc-do")) == {"digitaloceancredentialConfig-accessToken": "the-new-token"}


ISSUER = """
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuedKey, Issuer as Base, Key


class Issuer(Base):
    drivers = ("digitalocean",)
    fields = ("accessToken",)
    made = []

    def key_id(self, values):
        return values["accessToken"][:4]

    def keys(self, by):
        return [Key(name) for name in ["stor", *self.made]]

    def issue(self, by, mark):
        self.made.append("made")
        return IssuedKey({"accessToken": "made-" + self.options["suffix"]}, "made")

    def verify(self, values, by):
        pass
"""


def test_an_issuer_of_another_collection(cluster, aws, tmp_path):
    folder = tmp_path / "ansible_collections" / "my" / "clouds" / "plugins" / "plugin_utils"
    folder.mkdir(parents=True)
    (folder / "water.py").write_text(ISSUER)
    rotating = RotatingCredential(cluster, aws)
    cluster.secret("cc-do", "digitalocean", {"accessToken": "stored-token"}, "do")
    task = rotating.task(id="cc-do", issuer="my.clouds.water", issuer_options={"suffix": "here"})
    paths = f"{tmp_path}:{rotating.cluster.environment()['ANSIBLE_COLLECTIONS_PATH']}"
    result = rotating.play(task, environment={"ANSIBLE_COLLECTIONS_PATH": paths}).result
    assert result["rotation"]["phase"] == "grace", result
    assert decoded(cluster.stored("cc-do")) == {"digitaloceancredentialConfig-accessToken": "made-here"}


def test_audit(rotating, tmp_path):
    rotating.run(audit_file=str(tmp_path / "audit"), reason="quarterly")
    lines = [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]
    assert [line["phase"] for line in lines] == ["preparing", "issued", "grace"] and {
        line["reason"] for line in lines
    } == {"quarterly"}
    assert (tmp_path / "audit").stat().st_mode & 0o777 == 0o600
    events = rotating.cluster.api.get(f"/api/v1/namespaces/{rotating.namespace}/events")["items"]
    assert sorted(event["reason"] for event in events) == ["Grace", "Issued", "Preparing"]


def test_a_declaration_does_not_bring_the_old_key_back(rotating):
    """The value in a repository of credentials is older than the rotated key."""
    new = _rotated(rotating)
    declared = {"id": rotating.id, "config": {"accessKey": rotating.key["accessKey"], "defaultRegion": "us-east-1"},
                "secrets": {"secretKey": "{{ secret }}"}}
    refused, left, overwritten = rotating.play(
        {MODULE: declared},
        {MODULE: {**declared, "update_secrets": "on_create"}},
        {MODULE: {**declared, "overwrite_rotated": True}},
        variables={"secret": rotating.key["secretKey"]},
    ).results
    assert (
        refused["code"] == "conflict" and "accessKey, secretKey" in refused["msg"] and "on_create" in refused["msg"]
    ), refused
    assert left["credential"]["changed_fields"] == ["defaultRegion"]
    assert overwritten["changed"] and rotating.live == rotating.key != new


def test_references_are_listed_once_for_all_credentials(cluster, aws):
    many = [RotatingCredential(cluster, aws) for _number in range(4)]
    task = {"id": None, "credentials": [{"id": item.id} for item in many]}
    assert many[0].run(**task)["changed"]
    mark = cluster.control_plane.audit_mark()
    assert [item["phase"] for item in many[0].run("retired", grace="0s", **task)["rotations"]] == ["disabled"] * 4
    assert (
        len([item for item in cluster.requests(mark) if item.path == "/apis/provisioning.cattle.io/v1/clusters"]) == 1
    )


def test_a_second_run_for_many_needs_few_requests(cluster, aws):
    many = [RotatingCredential(cluster, aws) for _number in range(3)]
    task = many[0].task(id=None, credentials=[{"id": item.id} for item in many], max_age="90d")
    for item in many:
        aws.set_created(item.key["accessKey"], days=100)
    assert many[0].play(task).result["changed"]
    for number in (1, 3):
        mark = cluster.control_plane.audit_mark()
        asked = len(aws.requests)
        again = (
            many[0]
            .play(many[0].task(id=None, credentials=[{"id": item.id} for item in many[:number]], max_age="90d"))
            .result
        )
        assert again["changed"] is False
        assert len(aws.requests) == asked and len(cluster.requests(mark)) == 3, (
            "the credentials, the records, and the key of the digests"
        )


def test_another_rotation_does_not_start_silently(rotating):
    _rotated(rotating)
    result = rotating.run(rotation_id="leak")
    assert result["code"] == "unfinished" and "grace: 0s" in result["msg"], result
    assert rotating.run(rotation_id=None, max_age="1d")["changed"] is False, "what is merely old has time"


def test_an_old_key_that_is_gone_cannot_be_rolled_back_to(rotating):
    new = _rotated(rotating)
    rotating.aws.delete_key(rotating.key["accessKey"])
    result = rotating.run("rolled_back", verify_timeout="1s")
    assert result["failed"] and rotating.live == new and rotating.works(), result
    assert result["code"] == "old_unusable" and result["rotation"]["phase"] == "grace", result
    retired = rotating.run("retired", grace="0s", soak="0s")
    assert retired["failed"] is False, retired


def test_an_item_overrides_the_call(rotating):
    result = rotating.run(id=None, max_age="90d", credentials=[{"id": rotating.id, "rotation_id": "ticket-1"}])
    assert result["rotations"][0]["rotation_id"] == "ticket-1", result


def test_stored_keys_of_a_deleted_record_are_not_reused(rotating):
    """Who gives a rotation up by deleting its record may leave kept values behind."""
    rotating.run(pause_before_cutover=True)
    left = (set(rotating.keys) - {rotating.key["accessKey"]}).pop()
    rotating.cluster.api.delete(f"/api/v1/namespaces/{rotating.namespace}/configmaps/rotation-{rotating.id}")
    assert rotating.run()["code"] == "slot_taken"
    rotating.aws.delete_key(left)
    assert rotating.run()["rotation"]["phase"] == "grace" and left != rotating.live["accessKey"] and rotating.works()
    rotating.run("retired", grace="0s")
    rotating.run("retired", soak="0s")
    assert list(rotating.kept().values()) == [rotating.live]


# each item by itself


def _records(rotating):
    return f"/api/v1/namespaces/{rotating.namespace}/configmaps"


def test_each_item_fails_by_itself(rotating, cluster, aws):
    damaged = RotatingCredential(cluster, aws)
    damaged.namespace = rotating.namespace
    assert damaged.run()["rotation"]["phase"] == "grace"
    cluster.api.patch(f"{_records(damaged)}/rotation-{damaged.id}", {"data": {"record": "{}"}})
    cluster.secret(f"{rotating.id}-do", "digitalocean", {"accessToken": "stored"}, f"do {rotating.id}")
    items = [
        {"id": "cc-nowhere"}, {"name": "no such name"}, {"id": damaged.id}, {"id": f"{rotating.id}-do"},
        {"id": rotating.id, "issuer_secrets_name": "missing"}, {"id": rotating.id},
    ]
    failed = rotating.run(id=None, credentials=items[:-1])
    assert failed["code"] == "partial" and not failed["changed"], failed
    result = rotating.run(id=None, credentials=[*items[:-2], items[-1]])
    rows = result["rotations"]
    assert result["code"] == "partial" and [row.get("code") for row in rows] == [
        "not_found", "not_found", "conflict", "invalid", None
    ], result
    assert rows[-1]["phase"] == "grace" and rotating.works()
    assert (rows[0]["id"], rows[0]["phase"], rows[1]["name"]) == ("cattle-global-data:cc-nowhere", None, "no such name")
    status = rotating.play({INFO: {"namespace": rotating.namespace}}).result["rotations"]
    problems = {row["id"].partition(":")[2]: [problem["code"] for problem in row["problems"]] for row in status}
    assert problems[damaged.id] == ["record_unreadable"] and problems[rotating.id] == []


def test_a_secret_in_config_is_not_shown(rotating, cluster):
    cluster.secret(f"{rotating.id}-do", "digitalocean", {"accessToken": "stored"}, f"do {rotating.id}")
    task = rotating.task(id=f"{rotating.id}-do", issuer="supplied", issuer_options=None,
                         config={"accessToken": "{{ token }}"})
    played = rotating.play(task, variables={"token": "the-new-token"})
    assert played.result["code"] == "invalid" and "is secret and belongs in secrets" in played.result["msg"]
    assert "the-new-token" not in played.output
    assert not cluster.api.get(_records(rotating))["items"]


def test_options_of_the_issuer_are_kept(rotating):
    _rotated(rotating)
    result = rotating.run("retired", issuer_options=None, grace="0s")
    assert result["rotation"]["phase"] == "disabled", result
    assert rotating.run("retired", issuer_options=None, soak="0s")["rotation"]["phase"] == "idle"
    again = rotating.run(issuer_options=None, rotation_id="second")
    assert again["rotation"]["phase"] == "grace", again


def test_a_member_that_sorts_first_starts_no_other_rotation(rotating):
    _rotated(rotating)
    rotating.run("retired", grace="0s")
    rotating.run("retired", soak="0s")
    first = f"cc-0-{rotating.id}"
    rotating.add(first, "s3", rotating.live)
    result = rotating.run(id=first, rotation_id="second", shared_key="together")
    assert result["rotation"]["phase"] == "grace", result
    assert [item["metadata"]["name"] for item in rotating.cluster.api.get(_records(rotating))["items"]
            if item["metadata"]["name"].startswith("rotation-")] == [f"rotation-{rotating.id}"]
    assert rotating.run("retired", grace="0s")["rotation"]["members"] == [
        f"cattle-global-data:{name}" for name in (first, rotating.id)
    ]


def test_after_a_restore_all_members_are_repaired(rotating):
    other = f"{rotating.id}-s3"
    rotating.add(other, "s3")
    rotating.run(shared_key="together")
    new = rotating.live
    rotating.run("retired", grace="0s")
    rotating.run("retired", soak="0s")
    _edit(rotating, **rotating.key)
    path = f"/api/v1/namespaces/cattle-global-data/secrets/{other}"
    rotating.cluster.api.patch(path, {"stringData": {
        f"s3credentialConfig-{name}": value for name, value in rotating.key.items()}})
    assert rotating.run("retired", id=other)["changed"]
    stored = decoded(rotating.cluster.stored(other))
    assert rotating.live == new == {name: stored[f"s3credentialConfig-{name}"] for name in new}


def test_an_old_key_that_another_credential_contains_is_not_disabled(rotating):
    _rotated(rotating)
    rotating.add(f"{rotating.id}-s3", "s3", rotating.key)
    result = rotating.run("retired", grace="0s")
    assert not result["changed"] and f"{rotating.id}-s3, which would stop working" in str(
        result["rotation"]["waiting_for"]), result
    assert rotating.run("retired", grace="0s", override_gates=["shared_key"])["rotation"]["phase"] == "disabled"


def test_a_credential_that_was_deleted_in_grace_is_listed(rotating):
    _rotated(rotating)
    rotating.cluster.api.delete(f"/api/v1/namespaces/cattle-global-data/secrets/{rotating.id}")
    (row,) = rotating.play({INFO: {"id": rotating.id, "namespace": rotating.namespace}}).result["rotations"]
    assert (row["id"], row["name"], row["phase"]) == (f"cattle-global-data:{rotating.id}", None, "grace")
    (problem,) = row["problems"]
    assert problem["code"] == "gone" and rotating.key["accessKey"] in problem["message"]
    assert "state: forgotten" in problem["message"]
    assert rotating.run("retired", grace="0s")["code"] == "gone"


def test_a_lease_of_a_machine_whose_clock_is_ahead_ends_in_time(rotating):
    """The API server knows when it was written; the machine that wrote it believes that it is three hours later."""
    rotating.run(pause_before_cutover=True)
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{rotating.namespace}/leases"
    later = "2099-01-01T00:00:00.000000Z"
    rotating.cluster.api.patch(f"{leases}/rotation-{rotating.id}", {"spec": {
        "holderIdentity": "elsewhere/1-1/1-1/1", "renewTime": later, "acquireTime": later}})
    result = rotating.run()
    assert result["code"] == "busy", result
    seconds = int(re.search(r"run the task again in (\d+) s", result["msg"]).group(1))
    assert 0 < seconds <= 60


def test_discovery(rotating, cluster):
    for name, team in (("prod", "a"), ("sandbox", "a"), ("test", "b")):
        identifier = f"{rotating.id}-{name}"
        rotating.add(identifier)
        cluster.api.patch(f"/api/v1/namespaces/cattle-global-data/secrets/{identifier}", {
            "metadata": {"labels": {"team": f"{team}-{rotating.id}"}}})

    def found(**options):
        task = {INFO: {"namespace": rotating.namespace, **options}}
        return [row["id"].partition(":")[2].removeprefix(f"{rotating.id}-") for row in
                rotating.play(task).result["rotations"]]

    team = {"team": f"a-{rotating.id}"}
    assert found(labels=team) == ["prod", "sandbox"]
    assert found(labels=team, exclude=["* *-sandbox"]) == ["prod"]
    assert found(labels=team, exclude=[f"{rotating.id}-prod"]) == ["sandbox"]
    assert found(name_pattern=f"aws {rotating.id}-*", exclude=[f"cattle-global-data:{rotating.id}-p*"]) == [
        "sandbox", "test"
    ]


def test_a_credential_with_a_long_name(rotating):
    long = f"cc-{'very-' * 30}{rotating.id}"
    rotating.cluster.api.delete(f"/api/v1/namespaces/cattle-global-data/secrets/{rotating.id}")
    rotating.add(long)
    rotating.id = long
    assert rotating.run()["rotation"]["phase"] == "grace"
    assert rotating.run("retired", grace="0s")["rotation"]["phase"] == "disabled"
