# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ordinary Rancher user behind Rancher's proxy, who may only create Secrets and read their own ones by name.

As recorded from Rancher 2.10; its proxy and its controller are fakes.
"""

from __future__ import annotations

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources import cloud_credential
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.cloud_credential import (
    CLOUD_CREDENTIAL,
    manage_cloud_credentials,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.execute import RunMode, execute

from support.cluster import INFO, MODULE, decoded
from support.fakes import RancherController, RancherProxy
from support.guard import NAMES, keep_watching, remove_guard
from support.rights import documented

TEMPLATES = "/apis/management.cattle.io/v3/namespaces/cattle-global-nt/nodetemplates"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/cattle-global-data"
ALICE, TOKEN = "u-wt94n", "token-of-alice"


@pytest.fixture
def controller(cluster):
    with RancherController(cluster.api) as running:
        yield running


@pytest.fixture
def alice(cluster, controller):
    """The environment of a playbook that alice runs, with the parts of Rancher that it needs."""
    api = cluster.api
    for path in ("roles", "rolebindings"):
        for item in api.get(f"{RBAC}/{path}")["items"]:
            api.delete(f"{RBAC}/{path}/{item['metadata']['name']}")
    api.post(
        f"{RBAC}/roles",
        {
            "metadata": {"name": "creator"},
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}],
        },
    )
    api.post(
        f"{RBAC}/rolebindings",
        {
            "metadata": {"name": "creator"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "creator"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": ALICE}],
        },
    )
    with RancherProxy(cluster.control_plane, {TOKEN: (ALICE, "alice")}) as proxy:
        yield {"K8S_AUTH_HOST": proxy.url, "K8S_AUTH_API_KEY": TOKEN}


def _new(name, **more):
    return {
        "name": name,
        "driver": "amazonec2",
        "config": {"accessKey": "A"},
        "secrets": {"secretKey": "S"},
        "validate_config": False,
        **more,
    }


def test_an_own_credential_from_creation_to_deletion(cluster, alice):
    empty, unchecked = cluster.play(
        {INFO: {}}, {MODULE: {**_new("mine"), "validate_config": True}}, environment=alice
    ).results
    assert empty["credentials"] == [] and "code" not in empty
    assert (
        unchecked["code"] == "forbidden"
        and "validate_config: false" in unchecked["msg"]
        and "dynamicschemas" in unchecked["msg"]
    ), unchecked
    assert not cluster.secrets()
    # created without an owner: it is the connection's own user; found by the very next task
    created = cluster.prove(_new("mine", owner=None), environment=alice)["credential"]
    assert (created["action"], created["owner"], created["secret_fields"]) == (
        "created",
        ALICE,
        ["accessKey", "secretKey"],
    )
    for owner in ("alice", ALICE, f"local://{ALICE}"):
        assert cluster.play({MODULE: _new("mine", owner=owner)}, environment=alice).result["changed"] is False
    updated = cluster.prove(
        {"name": "mine", "secrets": {"secretKey": "T"}, "description": "d", "validate_config": False}, environment=alice
    )["credential"]
    assert (updated["action"], updated["id"], updated["changed_fields"]) == (
        "updated",
        created["id"],
        ["description", "secretKey"],
    )
    assert decoded(cluster.stored(created["id"])) == {
        "amazonec2credentialConfig-accessKey": "A",
        "amazonec2credentialConfig-secretKey": "T",
    }
    refused = cluster.prove({"name": "mine", "state": "absent"}, environment=alice)
    assert refused["code"] == "forbidden" and "force: true" in refused["msg"], refused
    for kind in ("nodetemplates.management.cattle.io", "clusters.provisioning.cattle.io"):
        assert kind in refused["msg"]
    assert "ranchhand-references" in refused["msg"] and "docs/rbac/references.yaml" in refused["msg"]
    assert cluster.stored(created["id"])
    forced = cluster.play({MODULE: {"name": "mine", "state": "absent", "force": True}}, environment=alice).result[
        "credential"
    ]
    assert forced["action"] == "deleted" and "clusters.provisioning.cattle.io" in forced["references_incomplete"]
    assert not cluster.secrets()


@pytest.mark.parametrize("guard", [False, True])
def test_with_the_role_of_an_administrator_a_user_deletes_safely(cluster, alice, guard):
    """The role names no Secret, so that alice still sees only her own."""
    list_role, references_role = documented("references")
    cluster.secret("cc-theirs", display_name="theirs", owner="user-8knjc")
    bindings = [f"{RBAC.partition('/namespaces')[0]}/clusterrole", *([f"{RBAC}/role"] if guard else [])]
    for base, role in zip(bindings, (references_role, list_role)):
        cluster.api.post(f"{base}s", {**role, "metadata": {"name": "ranchhand-references"}})
        cluster.api.post(f"{base}bindings", {
            "metadata": {"name": "ranchhand-references"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": "ranchhand-references",
            },
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": ALICE}],
        })
    if guard:
        keep_watching(cluster)
        cluster.play({"ranchhand.rancher.guard": {"settle": "0s"}})
    try:
        created = cluster.play({MODULE: {"credentials": [_new("first"), _new("second")]}}, environment=alice).result
        ids = [item["id"].rpartition(":")[2] for item in created["credentials"]]
        template = {
            "apiVersion": "management.cattle.io/v3", "kind": "NodeTemplate", "metadata": {"name": "uses-second"},
            "spec": {"cloudCredentialName": f"cattle-global-data:{ids[1]}"},
        }
        cluster.api.post(TEMPLATES, template)
        deleted, used, listed = cluster.play(
            {MODULE: {"name": "first", "state": "absent"}}, {MODULE: {"name": "second", "state": "absent"}}, {INFO: {}},
            environment=alice,
        ).results
        assert deleted["changed"] and "code" not in deleted and "warnings" not in deleted, deleted
        assert used["code"] == "in_use" and "uses-second" in used["msg"], used
        assert [item["name"] for item in listed["credentials"]] == ["second"]
        if guard:
            assert list(cluster.api.get(NAMES)["data"]) == [ids[0]]
    finally:
        remove_guard(cluster)
        for base in bindings:
            cluster.api.delete(f"{base}s/ranchhand-references")
            cluster.api.delete(f"{base}bindings/ranchhand-references")


def test_credentials_of_other_users(cluster, alice):
    theirs = cluster.secret("cc-theirs", display_name="theirs", owner="user-8knjc")["metadata"]
    items = [_new("one"), _new("two"), _new("three")]
    created = cluster.prove({"credentials": items}, environment=alice)["credentials"]
    assert [entry["action"] for entry in created] == ["created"] * 3 and {entry["owner"] for entry in created} == {
        ALICE
    }
    played = cluster.play(
        {INFO: {}},
        {INFO: {"owner": "alice", "driver": "amazonec2", "references": True}},
        {INFO: {"id": "cc-theirs"}},
        {INFO: {"id": created[0]["id"]}},
        {MODULE: _new("new", owner="admin")},
        {MODULE: _new("new", owner="user-8knjc")},
        {MODULE: {"id": created[0]["id"], "owner": "admin"}},
        {MODULE: {"id": "cc-theirs", "state": "absent", "force": True}},
        {MODULE: {"id": "cc-theirs", "description": "x"}},
        {MODULE: {"name": "theirs", "state": "absent"}},
        environment=alice,
    )
    everything, own, by_id, mine, *refused, invisible = played.results
    assert (
        [entry["name"] for entry in everything["credentials"]]
        == [entry["name"] for entry in own["credentials"]]
        == ["one", "three", "two"]
    )
    assert "clusters.provisioning.cattle.io" in own["references_incomplete"]
    assert by_id["code"] == "forbidden" and [entry["name"] for entry in mine["credentials"]] == ["one"]
    for result in refused:
        assert result["code"] == "forbidden" and "\n" not in result["msg"], result
    assert ALICE in refused[0]["msg"] and "users.management.cattle.io" in refused[0]["msg"]
    assert invisible["changed"] is False and "code" not in invisible  # of one's own, none is called so
    assert cluster.stored("cc-theirs")["metadata"]["resourceVersion"] == theirs["resourceVersion"]
    assert len(cluster.secrets()) == 4


def test_a_slow_rancher(cluster, alice, controller, monkeypatch):
    """If the controller does not grant the creator access, the module stops waiting and warns; runs in this process."""
    controller.stop()
    monkeypatch.setattr(cloud_credential, "_RULE_TIMEOUT", 1.0)
    options = {"host": alice["K8S_AUTH_HOST"], "api_key": alice["K8S_AUTH_API_KEY"]}
    result = execute(manage_cloud_credentials, parse_options(CLOUD_CREDENTIAL, {**_new("slow"), **options}), RunMode())
    assert result["changed"] and result["credential"]["action"] == "created", result
    assert (
        result["credential"]["id"].partition(":")[2] in result["warnings"][0]
        and "may not read" in result["warnings"][0]
    )
