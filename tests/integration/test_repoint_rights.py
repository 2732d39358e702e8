# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rights of docs/rbac/repoint.yaml are enough to move clusters and machines, and none is taken for "absent"."""

from __future__ import annotations

import pytest

from support.canaries import Canaries, Run
from support.downstream import A, B, config, hosted, machine, named, pool, provisioned, two_credentials
from support.rancher_controllers import RancherControllers
from support.rights import documented, single_rights, without

REPOINT = "ranchhand.rancher.cloud_credential_repoint"
UPGRADE = "ranchhand.rancher.upgrade_info"
EVERYTHING = {
    "from": "old", "to": "new", "wait_timeout": "30s", "wait_sleep": "0s",
    "scope": ["cluster", "pools", "hosted", "s3", "machines"],
}


@pytest.fixture
def filled(recorded_215):
    """Clusters of each kind that use the credential A."""
    api = recorded_215.api
    two_credentials(recorded_215)
    config(api)
    config(api, "db")
    provisioned(api, pools=[pool(), pool("db", A, "db")], s3=A)
    machine(api)
    hosted(api)
    for _round in range(4):
        RancherControllers(api).reconcile()
    return recorded_215


def test_the_documented_rights_are_enough(filled, recorded_grant):
    with RancherControllers(filled.api):
        played = filled.play({REPOINT: EVERYTHING}, kubeconfig=recorded_grant("mover", documented("repoint")))
    result = played.result
    assert not result["failed"] and result["free"] and "references_incomplete" not in result, result
    assert "WARNING" not in played.output and set(named(filled.api).values()) == {B}


def test_a_right_to_list_that_is_missing_is_named(filled, recorded_grant):
    """Each is taken away alone: the run stops, or reports that references may be missing."""
    roles = [role for role in documented("repoint") if role["metadata"]["name"] != "ranchhand-repoint-etcd-s3"]
    lists = [right for right in single_rights(roles) if right[4] == "list"]
    options = {**EVERYTHING, "scope": ["cluster", "pools", "hosted", "machines"]}
    served = {
        resource["name"].partition("/")[0] for group in filled.api.get("/apis")["groups"]
        for resource in filled.api.get(f"/apis/{group['preferredVersion']['groupVersion']}")["resources"]
    } | {"secrets", "*"}
    tasks, expected = [], []
    for number, position, group, resource, verb in lists:
        if resource in served:
            kubeconfig = recorded_grant(f"lists-not-{len(tasks)}", without(roles, number, position, resource, verb))
            tasks.append({REPOINT: {**options, "kubeconfig": kubeconfig}, "check_mode": True})
            expected.append((resource, group))
    tasks.append({REPOINT: {**EVERYTHING, "kubeconfig": recorded_grant("reads-no-plans", roles)}, "check_mode": True})
    expected.append(("secrets", ""))
    results = filled.play(*tasks).results
    assert len(results) == len(expected) > 12
    silent = []
    for (resource, group), result in zip(expected, results):
        incomplete = f"{resource}.{group}" in result.get("references_incomplete", ()) and not result["free"]
        stopped = result.get("code") == "forbidden" and (resource in result["msg"] or resource == "*")
        if not (incomplete or stopped):
            silent.append((resource, group, result.get("code"), result.get("msg")))
    assert silent == []
    assert set(named(filled.api).values()) == {A}


def test_a_right_to_patch_that_is_missing_is_a_failure_of_its_objects_only(filled, recorded_grant):
    roles = documented("repoint")
    rights = {f"{right[3]}.{right[2]}": right for right in single_rights(roles) if right[4] == "patch"}
    tasks = []
    for name in ("secrets.", "clusters.provisioning.cattle.io", "*.rke-machine.cattle.io"):
        number, position, _group, resource, verb = rights[name]
        kubeconfig = recorded_grant(f"writes-not-{len(tasks)}", without(roles, number, position, resource, verb))
        tasks.append({REPOINT: {**EVERYTHING, "kubeconfig": kubeconfig}})
    with RancherControllers(filled.api):
        secrets, clusters, machines = filled.play(*tasks).results
    assert secrets["code"] == "forbidden" and "objects" not in secrets, secrets
    assert clusters["code"] == "forbidden", clusters
    actions = {(row["kind"], row["name"]): row["action"] for row in clusters["objects"]}
    assert actions == {
        ("Cluster", "c-abcde"): "moved", ("Cluster", "prod"): "failed", ("Amazonec2Machine", "m-1"): "failed"}, actions
    assert machines["code"] == "forbidden" and not machines["free"], machines
    assert [(row["name"], row["action"]) for row in machines["objects"] if row["action"] != "moved"] == [
        ("m-1", "failed")]
    left = named(filled.api)
    assert left.pop("m-1") == left.pop("m-1 status") == A and set(left.values()) == {B}


def test_no_value_of_a_credential_is_shown(filled, tmp_path):
    """In check mode, for real, after a refusal, and with upgrade_info; at -vvvv with --diff."""
    canaries = Canaries()
    for name, value in (("cc-a", canaries["old"]), ("cc-b", canaries["new"])):
        filled.api.patch(
            f"/api/v1/namespaces/cattle-global-data/secrets/{name}",
            {"stringData": {"amazonec2credentialConfig-secretKey": value}})
    provisioned(filled.api, "theirs", annotations={"meta.helm.sh/release-name": "x"}, pools=[pool("one", A, "db")])
    with RancherControllers(filled.api):
        played = Run(filled, tmp_path, canaries).play(
            {REPOINT: EVERYTHING, "check_mode": True}, {REPOINT: EVERYTHING}, {REPOINT: EVERYTHING}, {UPGRADE: {}})
    checked, moved, again, upgrade = played.results
    assert checked["code"] == moved["code"] == again["code"] == "other_writer", played.results
    assert moved["changed"] and not again["changed"] and not upgrade["failed"], played.results
