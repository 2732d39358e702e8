# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rights of docs/rbac/rotation.yaml are enough to rotate and retire, and each of them is needed."""

from __future__ import annotations

import pytest

from support.objects import MACHINES
from support.rights import documented, single_rights, without
from support.rotations import ROTATION_INFO as INFO
from support.rotations import RotatingCredential

RECORDS, CREDENTIALS = "rancher-credential-rotation", "cattle-global-data"
ETCD_S3 = "ranchhand-rotation-etcd-s3"


def _documented():
    """The roles."""
    namespace, *roles = documented("rotation")
    assert namespace["kind"] == "Namespace" and namespace["metadata"]["name"] == RECORDS
    assert [(role["kind"], role["metadata"].get("namespace")) for role in roles] == [
        ("Role", CREDENTIALS), ("Role", RECORDS), ("ClusterRole", None), ("ClusterRole", None)]
    return roles


@pytest.fixture
def rotating(cluster, aws):
    """An EC2 credential that a machine uses, in the documented namespace."""
    rotating = RotatingCredential(cluster, aws)
    rotating.namespace = RECORDS
    cluster.api.post(
        MACHINES,
        {
            "apiVersion": "rke-machine.cattle.io/v1",
            "kind": "Amazonec2Machine",
            "metadata": {"name": "rights-1"},
            "spec": {"common": {"cloudCredentialSecretName": f"cattle-global-data:{rotating.id}"}},
        },
    )
    yield rotating
    cluster.api.delete(f"{MACHINES}/rights-1")


@pytest.mark.parametrize("etcd_s3", [True, False])
def test_with_the_documented_rights_keys_are_rotated_and_retired(rotating, grant, etcd_s3):
    roles = [role for role in _documented() if etcd_s3 or role["metadata"]["name"] != ETCD_S3]
    played = rotating.play(
        rotating.task(),
        {INFO: {"gates": True, "owner": "u-wt94n"}},
        rotating.task("retired", grace="0s"),
        rotating.task("retired", soak="0s"),
        kubeconfig=grant(f"rotator-{etcd_s3}", roles),
    )
    rotated, listed, disabled, deleted = played.results
    assert [item.get("code") for item in played.results] == [None] * 4 and "WARNING" not in played.output, played.output
    assert rotated["rotation"]["phase"] == "grace" and disabled["rotation"]["phase"] == "disabled"
    assert [item["phase"] for item in listed["rotations"]] == ["grace"]
    assert {gate["state"] for gate in disabled["rotation"]["gates"]} == {"open"}
    assert (
        deleted["rotation"]["phase"] == "idle"
        and rotating.keys == {rotating.live["accessKey"]: "Active"}
        and rotating.works()
    )


def test_without_a_right_nothing_is_begun(rotating, grant):
    """Of the two namespaces each right is taken away alone, and missed by name; only Events may be missing."""
    roles = _documented()[:3]
    tasks, expected = [], []
    for number, position, _group, resource, verb in single_rights(roles[:2]):
        kubeconfig = grant(f"begins-not-{len(tasks)}", without(roles, number, position, resource, verb))
        (module, options), = rotating.task().items()
        tasks.append({module: {**options, "kubeconfig": kubeconfig}})
        expected.append((resource, verb, roles[number]["metadata"]["namespace"]))
    assert expected.pop() == ("events", "create", RECORDS)
    *refused, last = rotating.play(*tasks).results
    assert len(refused) == len(expected) == 14
    for (resource, verb, namespace), result in zip(expected, refused):
        words = {"get": ("get", "read")}.get(verb, (verb,))
        assert result.get("code") == "forbidden" and resource in result["msg"] and namespace in result["msg"], (
            namespace,
            resource,
            verb,
            result,
        )
        assert any(word in result["msg"] for word in words), (namespace, resource, verb, result)
    assert (
        last["rotation"]["action"] == "rotated"
        and len(rotating.keys) == 2
        and [item.action for item in rotating.aws.requests].count("CreateAccessKey") == 1
    )


def test_without_a_right_a_gate_is_unknown(rotating, grant):
    """Of the whole cluster each right is taken away alone.

    The key is S3's too, so that the plans of etcd nodes matter.
    """
    roles = _documented()
    rotating.add(f"{rotating.id}-s3", "s3")
    both = {"credentials": [{"id": rotating.id}, {"id": f"{rotating.id}-s3"}], "id": None}
    rotating.run(**both)
    unused = ("clusters", "rkecontrolplanes", "etcdsnapshots")
    gates = {"jobs": {"machine_jobs"}, "*": {"machine_jobs"}, "settings": {"rancher_version"}, "nodes": {"rke1_nodes"},
             **dict.fromkeys(unused, {"etcd_s3"})}
    tasks, expected = [], []
    for number, position, group, resource, verb in single_rights(roles[:3]):
        # for supplied values, and to start if a pool uses the credential: not for gates
        if number < 2 or resource == "dynamicschemas" or group == "rke-machine-config.cattle.io":
            continue
        left = without(roles[:3], number, position, resource, verb)
        if resource == "users":
            options = {"name": f"aws {rotating.id}", "owner": "alice", "id": None}
        else:
            options = {**both, "grace": "0s"}
        (module, options), = rotating.task("retired", **options).items()
        tasks.append({module: {**options, "kubeconfig": grant(f"knows-not-{len(tasks)}", left)}, "check_mode": True})
        expected.append((resource, gates.get(resource)))
    complete = grant("knows-all", roles[:3])
    (module, options), = rotating.task("retired", **both, grace="0s").items()
    *results, allowed = rotating.play(*tasks, {module: {**options, "kubeconfig": complete}, "check_mode": True}).results
    assert len(expected) == 8
    for (resource, names), result in zip(expected, results):
        if names is None:
            assert (
                resource == "users" and result["code"] == "forbidden" and "users.management.cattle.io" in result["msg"]
            ), result
            continue
        shown = result["rotations"][0]
        assert {gate["name"] for gate in shown["gates"] if gate["state"] == "unknown"} == names, (resource, shown)
        assert shown["action"] == "unchanged" and all("unknown, because" in item for item in shown["waiting_for"]), (
            resource,
            shown,
        )
    assert allowed["rotations"][0]["steps"] == ["disabling", "disabled"], (
        "snapshots are stored with no such credential, which is known without its plans"
    )


def test_without_the_right_to_list_schemas_every_field_may_be_secret(rotating, grant):
    roles = _documented()[:3]
    rotating.cluster.secret(f"{rotating.id}-do", "digitalocean", {"accessToken": "stored"}, f"do {rotating.id}")
    left = next(
        without(roles, number, position, resource, verb)
        for number, position, _group, resource, verb in single_rights(roles) if resource == "dynamicschemas"
    )
    (module, options), = rotating.task(
        id=f"{rotating.id}-do", issuer="supplied", issuer_options={"verify": False},
        config={"accessToken": "{{ token }}"},
    ).items()
    played = rotating.play(
        {module: {**options, "kubeconfig": grant("with-schemas", roles)}},
        {module: {**options, "kubeconfig": grant("without-schemas", left)}}, variables={"token": "the-new-token"},
    )
    refused, accepted = played.results
    assert refused["code"] == "invalid" and "belongs in secrets" in refused["msg"], refused
    assert accepted["rotation"]["key_id"] == "supplied", accepted
    record = rotating.cluster.api.get(f"/api/v1/namespaces/{RECORDS}/configmaps/rotation-{rotating.id}-do")
    assert "the-new-token" not in played.output + str(record)


def test_who_stores_snapshots_has_to_let_plans_be_read(rotating, grant):
    roles = _documented()
    clusters = "/apis/provisioning.cattle.io/v1/namespaces/fleet-default/clusters"
    rotating.add(f"{rotating.id}-s3", "s3")
    rotating.cluster.api.post(
        clusters,
        {
            "apiVersion": "provisioning.cattle.io/v1",
            "kind": "Cluster",
            "metadata": {"name": "snapshots"},
            "spec": {"rkeConfig": {"etcd": {"s3": {"cloudCredentialName": f"cattle-global-data:{rotating.id}-s3"}}}},
        },
    )
    rotating.run(shared_key="together")
    (module, options), = rotating.task("retired", grace="0s").items()
    without, with_it = rotating.play(
        *({module: {**options, "kubeconfig": grant(f"plans-{count}", roles[:count])}} for count in (3, 4))
    ).results
    assert without["rotation"]["waiting_for"] == [
        "etcd_s3: unknown, because this connection may not list secrets in all namespaces"
    ], without
    assert with_it["rotation"]["phase"] == "disabled", with_it
