# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each entry of the runbook: bring its state about, run the commands of the entry, and finish the rotation."""

from __future__ import annotations

import shutil

import pytest

from support.cluster import MODULE, SECRETS
from support.fake_external_secrets import FakeExternalSecrets
from support.providers.aws import before, error, lost_reply
from support.providers.fake_azure import FakeAzure
from support.rotations import ROTATION
from support.runbooks import Runbook

pytestmark = pytest.mark.skipif(not shutil.which("jq"), reason="the commands of the runbook need jq")


@pytest.fixture
def runbook(rotating, tmp_path):
    return Runbook(rotating, tmp_path)


def write(rotating, key):
    fields = {f"amazonec2credentialConfig-{name}": value for name, value in key.items()}
    rotating.cluster.api.patch(f"{SECRETS}/{rotating.id}", {"stringData": fields})


def refused(rotating, code, state="rotated", **options):
    """Run a task that must fail with a code."""
    result = rotating.run(state, **options)
    assert result.get("code") == code, result
    return result["msg"]


def finishes(rotating, always=None, **options):
    """Return whether the same task as before completes a rotation, and the key in the credential is the only one.

    Args: ``always`` are options that retiring the old key needs, too.
    """
    results = rotating.play(
        rotating.task(**options, **(always or {})),
        rotating.task("retired", grace="0s", **(always or {})),
        rotating.task("retired", soak="0s", **(always or {})),
    ).results
    assert not any(result["failed"] for result in results), results
    return rotating.works() and rotating.keys == {rotating.live["accessKey"]: "Active"}


def is_idle(rotating):
    return rotating.run("retired")["rotation"]["phase"] == "idle"


def test_busy(rotating, runbook):
    rotating.run(pause_before_cutover=True)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{rotating.namespace}/leases/rotation-{rotating.id}"
    rotating.cluster.api.patch(path, {"spec": {"holderIdentity": "another-machine/1/x"}})
    refused(rotating, "busy")
    assert "another-machine" in runbook.follow("busy")
    assert finishes(rotating, assume_dead=True)


def test_drift_to_a_third_key_that_is_correct(rotating, runbook):
    rotating.run()
    rotating.aws.delete_key(rotating.key["accessKey"])
    theirs = rotating.aws.add_key(rotating.user)
    write(rotating, theirs)
    refused(rotating, "drift", "retired", grace="0s")
    assert theirs["secretKey"] not in runbook.follow("drift", '"adopted"')
    assert rotating.live == theirs
    for option in ({"grace": "0s"}, {"soak": "0s"}):
        assert not rotating.run("retired", **option)["failed"]
    assert finishes(rotating, rotation_id="second")


def test_drift_to_a_third_key_that_is_not_correct(rotating, runbook):
    rotating.run()
    new = rotating.live
    write(rotating, {"accessKey": "AKIA" + "X" * 16, "secretKey": "unknown"})
    refused(rotating, "drift", "retired", grace="0s")
    (version,) = [name for name, values in rotating.kept().items() if values == new]
    runbook.follow("drift", "--patch-file", VERSION=version)
    assert rotating.live == new and finishes(rotating)


def test_drift_to_a_mix(rotating, runbook):
    rotating.run()
    new = rotating.live
    write(rotating, {"accessKey": rotating.key["accessKey"]})
    refused(rotating, "drift", "retired", grace="0s")
    runbook.follow("drift", '"repair"')
    assert rotating.live == new and finishes(rotating)


def test_drift_to_the_old_key(rotating, runbook):
    rotating.run()
    write(rotating, rotating.key)
    refused(rotating, "drift", "retired", grace="0s")
    runbook.follow("drift", '"rolled_back"')
    assert rotating.original_key_only() and finishes(rotating, rotation_id="second")


def test_drift_to_the_disabled_key(rotating, runbook):
    rotating.run()
    new = rotating.live
    rotating.run("retired", grace="0s")
    write(rotating, rotating.key)
    runbook.follow("drift", '"retired"')
    assert rotating.live == new and finishes(rotating)


def test_gone(rotating, runbook):
    rotating.run()
    rotating.cluster.api.delete(f"{SECRETS}/{rotating.id}")
    refused(rotating, "gone", "retired")
    runbook.follow("gone")
    assert not [name for name in rotating.kept() if rotating.id in name]
    assert list(rotating.keys) == [rotating.key["accessKey"]]


def test_record_unreadable(rotating, runbook):
    rotating.run()
    path = f"/api/v1/namespaces/{rotating.namespace}/configmaps/rotation-{rotating.id}"
    rotating.cluster.api.patch(path, {"data": {"record": "{"}})
    refused(rotating, "conflict", "retired")
    runbook.follow("conflict", "delete configmap,lease rotation-cc-7kq2f")
    assert rotating.works() and rotating.cluster.api.get(f"{SECRETS}/{rotating.id}")
    rotating.aws.delete_key(rotating.key["accessKey"])
    assert finishes(rotating, rotation_id="second")


def test_not_cut_over(rotating, runbook):
    rotating.run(pause_before_cutover=True)
    refused(rotating, "not_cut_over", "rolled_back")
    runbook.follow("not_cut_over")
    assert rotating.original_key_only() and finishes(rotating)


def test_old_unusable(rotating, runbook):
    rotating.run()
    rotating.aws.delete_key(rotating.key["accessKey"])
    refused(rotating, "old_unusable", "rolled_back")
    runbook.follow("old_unusable")
    for option in ({"grace": "0s"}, {"soak": "0s"}):
        assert not rotating.run("retired", **option)["failed"]
    assert rotating.works() and finishes(rotating, rotation_id="second")


def test_orphan(rotating, runbook):
    rotating.aws.faults.rule("CreateAccessKey", lost_reply)
    refused(rotating, "unreachable")
    refused(rotating, "orphan", orphan_policy="never")
    (orphan,) = set(rotating.keys) - {rotating.key["accessKey"]}
    runbook.follow("orphan", **{"AKIA…": orphan})
    assert orphan not in rotating.keys and finishes(rotating)


def test_other_writer(rotating, runbook):
    labels = {"reconcile.external-secrets.io/managed": "true"}
    rotating.cluster.api.patch(f"{SECRETS}/{rotating.id}", {"metadata": {"labels": labels}})
    refused(rotating, "other_writer")
    assert '"override_gates": ["other_writer"]' in runbook.section("other_writer")
    assert finishes(rotating, override_gates=["other_writer"])


def test_unconfirmed(rotating, runbook, vault):
    key, path = rotating.key, f"rancher/{rotating.id}"
    vault.write(path, key)
    store = {"name": "vault", "type": "vault", "url": vault.url, "path": path}
    options = {
        "cutover": "external", "external_stores": [store], "external_store_secrets": {"vault": {"token": vault.token}}}
    fields = {f"amazonec2credentialConfig-{name}": name for name in key}
    with FakeExternalSecrets(rotating.cluster.api, vault, rotating.id, path, fields) as operator:
        operator.suspended.set()
        assert "The old key is in the store again" in refused(rotating, "unconfirmed", **options)
        assert (vault.read(path)[0], rotating.live) == (key, key) and rotating.works()
        runbook.follow("unconfirmed")
        assert rotating.run("aborted", **options)["rotation"]["phase"] == "idle" and rotating.original_key_only()
        refused(rotating, "unconfirmed", override_gates=["external_store"], **options)
        operator.suspended.clear()
        assert finishes(rotating, options)
    assert vault.read(path)[0] == rotating.live != key


def test_provider_refused(rotating, runbook):
    rotating.aws.set_policy(rotating.user, "sts:*", "iam:ListAccessKeys", "iam:GetAccessKeyLastUsed")
    assert "iam:CreateAccessKey" in refused(rotating, "provider_refused")
    rotating.aws.set_policy(rotating.user, "sts:*", "iam:*")
    assert "rotation-permissions.md" in runbook.section("provider_refused") and finishes(rotating)


def test_shared_key(rotating, runbook):
    rotating.add(f"{rotating.id}-s3", "s3")
    refused(rotating, "shared_key")
    assert "shared_key: together" in runbook.section("shared_key") and finishes(rotating, shared_key="together")


def test_slot_taken(rotating, runbook):
    other = rotating.aws.add_key(rotating.user)["accessKey"]
    assert other in refused(rotating, "slot_taken")
    runbook.follow("slot_taken", **{"AKIA…": other})
    assert other not in rotating.keys and finishes(rotating)


def test_too_late(rotating, runbook):
    rotating.run()
    refused(rotating, "too_late", "aborted")
    assert "| `aborted` | The new key is in use | `rolled_back` |" in runbook.section("too_late")
    assert not rotating.run("rolled_back")["failed"] and rotating.original_key_only()


def test_unfinished(rotating, runbook):
    rotating.run()
    refused(rotating, "unfinished", rotation_id="leak")
    runbook.follow("unfinished")
    assert is_idle(rotating) and finishes(rotating, rotation_id="leak")


def test_unreachable(rotating, runbook):
    rotating.aws.faults.rule("CreateAccessKey", before)
    refused(rotating, "unreachable")
    assert "run the same task again" in runbook.section("unreachable") and finishes(rotating)


def test_unusable(rotating, runbook):
    rotating.aws.set_status(rotating.key["accessKey"], "Inactive")
    refused(rotating, "unusable")
    assert "Inactive" in runbook.follow("unusable")
    rotating.aws.delete_key(rotating.key["accessKey"])
    key = rotating.aws.add_key(rotating.user)
    task = {
        "id": rotating.id, "driver": "amazonec2", "config": {"accessKey": key["accessKey"]},
        "secrets": {"secretKey": "{{ secret }}"},
    }  # fmt: skip
    assert not rotating.play({MODULE: task}, variables={"secret": key["secretKey"]}).result["failed"]
    assert finishes(rotating)


def test_verify_failed(rotating, runbook):
    rotating.aws.propagation_delay = 3600
    refused(rotating, "verify_failed", verify_timeout="1s")
    rotating.aws.propagation_delay = 0
    assert "The same task tries again" in runbook.section("verify_failed") and finishes(rotating)


def test_throttled(rotating, runbook):
    rotating.aws.faults.rule("CreateAccessKey", error("Throttling"), times=99)
    refused(rotating, "throttled", verify_timeout="1s")
    rotating.aws.faults.clear()
    assert "run the same task again" in runbook.section("throttled") and finishes(rotating)


def test_unproven(rotating, runbook):
    rotating.run()
    new = rotating.live
    rotating.aws.set_status(new["accessKey"], "Inactive")
    key = rotating.aws.create_admin(f"admin-of-{rotating.user}")
    given = {
        "issuer_options": {"endpoint_url": rotating.aws.url, "propagation": "0s", "sign_in": "given"},
        "issuer_secrets": {"access_key": key["accessKey"], "secret_key": key["secretKey"]},
    }  # fmt: skip
    assert new["accessKey"] in refused(rotating, "unproven", "retired", grace="0s", **given)
    assert new["accessKey"] in refused(rotating, "provider_refused", "retired", grace="0s"), "signed in with the key"
    runbook.follow("unproven", "update-access-key", **{"AKIA…": new["accessKey"]})
    assert rotating.live == new and finishes(rotating)


@pytest.mark.parametrize("gate", ["grace", "soak"])
def test_gates_of_time(rotating, runbook, gate):
    rotating.run()
    if gate == "soak":
        rotating.run("retired", grace="0s")
    waiting = rotating.run("retired")["rotation"]["waiting_for"]
    assert waiting[0].startswith(f"{gate}: ") and f"-e retire_{gate}=1h" in runbook.section(gate)
    runbook.run(f"ansible-playbook ranchhand.rancher.retire -e retire_{gate}=0s")
    assert rotating.works() and rotating.keys.get(rotating.key["accessKey"]) == (
        "Inactive" if gate == "grace" else None
    )


def test_confirmation(rotating, runbook):
    rotating.cluster.secret("cc-do", "digitalocean", {"accessToken": "present"}, "do")
    rotating.id = "cc-do"
    task = rotating.task(
        issuer="supplied", issuer_options={"verify": False}, secrets={"accessToken": "{{ token }}"}
    )
    assert not rotating.play(task, variables={"token": "next"}).result["failed"]
    waiting = rotating.run("retired", issuer_options=None, grace="0s")["rotation"]["waiting_for"]
    assert "old_key_removed: true" in waiting[0]
    runbook.follow("confirmation")
    rotating.run("retired", issuer_options=None, grace="0s", old_key_removed=True)
    assert ROTATION in rotating.task() and is_idle(rotating)


@pytest.mark.parametrize("way", ["current_key_id", "old_key_removed"])
def test_old_key_identity(rotating, runbook, tmp_path, way):
    """A secret of Azure that no rotation issued, in a list that shows nothing of the secrets."""
    with FakeAzure(tmp_path) as azure:
        stored = azure.create_key()
        [old] = azure.without_hint = set(azure.keys)
        rotating.cluster.secret("cc-azure", "azure", stored, "azure")
        rotating.id, rotating.key = "cc-azure", {"secretKey": stored["clientSecret"]}
        rotated = rotating.run(issuer_options=azure.options, grace="0s")
        assert not rotated["failed"], rotated
        waiting = rotating.run("retired", issuer_options=None)["rotation"]["waiting_for"]
        assert len(waiting) == 1 and waiting[0].startswith("old_key_identity: ") and old in azure.keys, waiting
        if way == "old_key_removed":
            del azure.keys[old]
        runbook.follow("old_key_identity", way, **{"OLD-KEY-ID": old})
        [new] = list(azure.keys)
        assert new != old and rotating.run("retired", issuer_options=None)["rotation"]["phase"] == "idle"
