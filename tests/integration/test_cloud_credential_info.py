# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cloud_credential_info with ansible-playbook."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.cluster import INFO, SECRETS

CLUSTERS = "/apis/provisioning.cattle.io/v1/namespaces/fleet-default/clusters"


def ids(result):
    return [entry["id"].partition(":")[2] for entry in result["credentials"]]


def raw(cluster, name, data, annotations=None, **more):
    """Create any Secret in Rancher's namespace."""
    cluster.api.post(SECRETS, {"metadata": {"name": name, "annotations": annotations or {}}, "data": data, **more})


def test_filters(cluster):
    cluster.secret("cc-c", "s3", {"accessKey": "A", "secretKey": "canary-s3"}, "beta", owner="user-8knjc")
    cluster.secret("cc-a", display_name="beta")
    cluster.secret("cc-b", display_name="alpha")
    cluster.secret("cc-d", display_name="gamma", owner="u-gone")
    cases = [
        ({}, ["cc-b", "cc-a", "cc-c", "cc-d"]),  # by name, then by id
        ({"name": "beta"}, ["cc-a", "cc-c"]),
        ({"name": "Beta"}, []),
        ({"driver": "digitalocean"}, ["cc-b", "cc-a", "cc-d"]),
        ({"name": "beta", "driver": "s3"}, ["cc-c"]),
        ({"owner": "alice"}, ["cc-b", "cc-a"]),
        ({"owner": "local://user-8knjc"}, ["cc-c"]),
        ({"owner": "u-gone"}, ["cc-d"]),
        ({"id": "cc-a"}, ["cc-a"]),
        ({"id": "cattle-global-data:cc-a", "owner": "u-wt94n"}, ["cc-a"]),
        ({"id": "cc-a", "driver": "s3"}, []),
        ({"id": "cc-nosuch"}, []),
        ({"owner": "nobody"}, []),
    ]
    mark = cluster.control_plane.audit_mark()
    played = cluster.play(
        *({INFO: args, "check_mode": bool(number % 2)} for number, (args, _expected) in enumerate(cases))
    )
    assert [ids(result) for result in played.results] == [expected for _args, expected in cases]
    assert not cluster.writes(mark)
    assert "canary-s3" not in json.dumps(played.results)
    everything = {entry["id"]: entry for entry in played.results[0]["credentials"]}
    shown = everything["cattle-global-data:cc-c"]
    assert (shown["name"], shown["driver"], shown["owner"], shown["description"]) == ("beta", "s3", "user-8knjc", "")
    assert (shown["config"], shown["secret_fields"]) == ({"accessKey": "A"}, ["secretKey"])
    assert 0 <= shown["age_seconds"] < 600 and shown["created_at"].endswith("Z")
    assert "references" not in shown and shown["problems"] == []
    assert cluster.play({INFO: {"id": "default:x"}}).result["code"] == "invalid"


def test_references(cluster):
    cluster.secret("cc-used", display_name="used")
    cluster.secret("cc-free", display_name="free")
    cluster.api.post(
        CLUSTERS,
        {
            "apiVersion": "provisioning.cattle.io/v1",
            "kind": "Cluster",
            "metadata": {"name": "prod"},
            "spec": {"cloudCredentialSecretName": "x:cc-used"},
        },
    )
    everything, entry = cluster.play(
        {INFO: {"references": True}}, {INFO: {"references": True, "id": "cc-used"}}
    ).results
    used = [
        {
            "kind": "Cluster",
            "api_version": "provisioning.cattle.io/v1",
            "namespace": "fleet-default",
            "name": "prod",
            "field": "spec.cloudCredentialSecretName",
            "use": "cluster",
        }
    ]
    assert [(item["name"], item["references"]) for item in everything["credentials"]] == [("free", []), ("used", used)]
    assert [item["references"] for item in entry["credentials"]] == [used]
    assert "references_incomplete" not in everything


def test_references_that_may_not_be_listed(cluster):
    cluster.secret("cc-one")
    roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    cluster.api.post(
        roles,
        {
            "metadata": {"name": "lists-no-clusters"},
            "rules": [
                {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]},
                {"apiGroups": ["management.cattle.io"], "resources": ["*"], "verbs": ["list"]},
            ],
        },
    )
    cluster.api.post(
        f"{roles[:-5]}rolebindings",
        {
            "metadata": {"name": "lists-no-clusters"},
            "subjects": [{"kind": "User", "name": "auditor", "apiGroup": "rbac.authorization.k8s.io"}],
            "roleRef": {"kind": "ClusterRole", "name": "lists-no-clusters", "apiGroup": "rbac.authorization.k8s.io"},
        },
    )
    result = cluster.play({INFO: {"references": True}}, kubeconfig=cluster.control_plane.user("auditor")).result
    assert ids(result) == ["cc-one"]
    assert "clusters.provisioning.cattle.io" in result["references_incomplete"]
    assert not [entry for entry in result["references_incomplete"] if entry.endswith(".management.cattle.io")]


def test_secrets_that_are_not_credentials_and_unreadable_credentials(cluster):
    creator = {"field.cattle.io/creatorId": "u-wt94n"}
    value = base64.b64encode(b"canary-broken").decode()
    raw(cluster, "token", {"token": value, "ca.crt": value})
    raw(cluster, "three-parts", {"amazonec2credentialConfig-access-key": value}, creator)
    raw(
        cluster,
        "no-config",
        {"amazonec2credential-accessKey": value},
        creator,
        type="provisioning.cattle.io/cloud-credential",
    )
    raw(cluster, "cc-labelled-only", {"accessKey": value}, creator)
    raw(cluster, "empty", None, creator)
    raw(
        cluster,
        "cc-good",
        {"s3credentialConfig-accessKey": "", "s3credentialConfig-secretKey": value, "other": value},
        creator,
    )
    raw(
        cluster,
        "cc-mixed",
        {"s3credentialConfig-accessKey": value, "digitaloceancredentialConfig-accessToken": value},
        creator,
    )
    raw(cluster, "cc-nobodys", {"digitaloceancredentialConfig-accessToken": value})
    raw(cluster, "cc-prefix", {"amazonec2Config-accessKey": value}, creator)
    raw(cluster, "cc-binary", {"s3credentialConfig-accessKey": base64.b64encode(b"\xff\xfe").decode()}, creator)
    raw(cluster, "cc-nameless", {"nosuchcredentialConfig-a": value}, {**creator, "field.cattle.io/name": ""})
    played = cluster.play(
        {INFO: {"references": True}}, {INFO: {"owner": "alice", "name": "cc-mixed"}}, {INFO: {"id": "token"}}
    )
    everything, mixed, token = played.results
    assert ids(everything) == ["cc-binary", "cc-good", "cc-mixed", "cc-nameless", "cc-nobodys", "cc-prefix"]
    found = {entry["name"]: entry["problems"] for entry in everything["credentials"]}
    assert {(problem["code"], problem["level"]) for problems in found.values() for problem in problems} == {
        ("unreadable", "error")
    }
    problems = {name: problems[0]["message"] if problems else None for name, problems in found.items()}
    assert "several drivers (digitalocean, s3)" in problems["cc-mixed"]
    assert "field.cattle.io/creatorId" in problems["cc-nobodys"]
    assert "amazonec2Config" in problems["cc-prefix"]
    assert {name for name, problem in problems.items() if problem} == {"cc-mixed", "cc-nobodys", "cc-prefix"}
    assert (mixed["credentials"][0]["driver"], mixed["credentials"][0]["config"]) == (None, {})
    assert ids(token) == []
    assert everything["credentials"][3]["secret_fields"] == ["a"]  # without a schema, all fields are secret
    assert not [form for form in ("canary-broken", value) if form in played.output + json.dumps(played.results)]


@pytest.mark.slow
def test_more_than_a_page(cluster):
    with ThreadPoolExecutor(8) as executor:
        list(
            executor.map(lambda number: cluster.secret(f"cc-{number:03}", display_name=f"name {number:03}"), range(600))
        )
    mark = cluster.control_plane.audit_mark()
    everything, last = cluster.play({INFO: {}}, {INFO: {"name": "name 599"}}).results
    assert ids(everything) == [f"cc-{number:03}" for number in range(600)]
    assert ids(last) == ["cc-599"]
    assert [(entry.verb, entry.path) for entry in cluster.requests(mark)].count(
        ("list", SECRETS)
    ) == 4  # two pages each
