# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles in docs/rbac/cloud-credentials.yaml are sufficient, and each of their permissions is required."""

from __future__ import annotations

import json
import re
import time

from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.cloud_credential_info import (
    CLOUD_CREDENTIAL_INFO,
    list_cloud_credential_info,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.info import (
    NODE_TEMPLATE_INFO,
    list_node_templates,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.node_template import (
    NODE_TEMPLATE,
    manage_node_templates,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.execute import RunMode, execute

from support.cluster import INFO, MODULE, SECRETS
from support.rights import MANAGE, VIEW, credential_roles, single_rights, without

AWS = {"driver": "amazonec2", "owner": "alice", "config": {"accessKey": "A"}, "secrets": {"secretKey": "S"}}


def test_the_documented_permissions_are_sufficient(cluster, grant):
    # a Rancher user by certificate: its name is the user's id
    manager, viewer = grant("user-8knjc", credential_roles(MANAGE)), grant("viewer", credential_roles(VIEW))
    create, update, info, delete, own = cluster.play(
        {MODULE: {"credentials": [{**AWS, "name": "one"}, {**AWS, "name": "two"}]}},
        {MODULE: {"name": "one", "secrets": {"secretKey": "T"}}},
        {INFO: {"owner": "alice", "references": True}},
        {MODULE: {"name": "one", "state": "absent"}},
        {MODULE: {**AWS, "name": "mine", "owner": None}},
        kubeconfig=manager,
    ).results
    assert [entry["action"] for entry in create["credentials"]] == ["created", "created"]
    assert update["credential"]["changed_fields"] == ["secretKey"] and delete["credential"]["action"] == "deleted"
    assert [entry["name"] for entry in info["credentials"]] == ["one", "two"] and "references_incomplete" not in info
    assert own["credential"]["owner"] == "user-8knjc"
    by_viewer, with_references, write, remove = cluster.play(
        {INFO: {"owner": "alice"}},
        {INFO: {"references": True}},
        {MODULE: {**AWS, "name": "new"}},
        {MODULE: {"name": "two", "state": "absent"}},
        kubeconfig=viewer,
    ).results
    assert [entry["config"]["accessKey"] for entry in by_viewer["credentials"]] == ["A"]
    assert "clusters.provisioning.cattle.io" in with_references["references_incomplete"]
    assert write["code"] == "forbidden" and "create secrets in namespace cattle-global-data" in write["msg"], write
    assert remove["code"] == "forbidden" and "in all namespaces" in remove["msg"], remove
    assert sorted(entry["metadata"]["annotations"]["field.cattle.io/name"] for entry in cluster.secrets()) == [
        "mine",
        "two",
    ]


def test_each_permission_is_required_and_named_if_it_is_missing(cluster, grant):
    """Remove each permission alone: the task that requires it names it. A missing kind requires no permission."""
    roles = credential_roles(MANAGE)
    installed = {
        resource["name"]
        for group in (
            "management.cattle.io/v3",
            "provisioning.cattle.io/v1",
            "rke.cattle.io/v1",
            "rke-machine.cattle.io/v1",
            "aks.cattle.io/v1",
            "eks.cattle.io/v1",
            "gke.cattle.io/v1",
        )
        for resource in cluster.api.get(f"/apis/{group}")["resources"]
    }
    needs = {
        ("secrets", "list"): ({INFO: {}}, "secrets in namespace cattle-global-data"),
        ("secrets", "get"): ({INFO: {"id": "cc-kept"}}, "read secrets cc-kept in namespace cattle-global-data"),
        ("secrets", "create"): ({MODULE: {**AWS, "name": "new"}}, "create secrets in namespace cattle-global-data"),
        ("secrets", "patch"): (
            {MODULE: {"name": "kept", "description": "x"}},
            "update secrets cc-kept in namespace cattle-global-data",
        ),
        ("secrets", "delete"): (
            {MODULE: {"name": "kept", "state": "absent"}},
            "delete secrets cc-kept in namespace cattle-global-data",
        ),
        ("dynamicschemas", "list"): ({MODULE: {**AWS, "name": "new"}}, "dynamicschemas.management.cattle.io"),
        ("users", "list"): ({MODULE: {**AWS, "name": "new"}}, "users.management.cattle.io"),
        ("users", "get"): ({MODULE: {**AWS, "name": "new", "owner": None}}, "owner is required"),
    }
    cluster.secret("cc-kept", "amazonec2", {"accessKey": "A", "secretKey": "S"}, "kept")
    tasks, expected = [], []
    for count, (number, position, group, resource, verb) in enumerate(single_rights(roles)):
        # Watching only saves requests. Rights that only the guard needs are tested in test_guard_rights.py.
        if verb == "watch" or resource not in ("*", "secrets") and resource not in installed:
            continue
        task, words = needs.get(
            (resource, verb),
            ({MODULE: {"name": "kept", "state": "absent"}}, f"{'machine' if resource == '*' else resource}"),
        )
        kubeconfig = grant(f"lacking-{count}", without(roles, number, position, resource, verb))
        ((module, options),) = task.items()
        tasks.append({module: {**options, "kubeconfig": kubeconfig}})
        expected.append((resource, verb, words, group))
    played = cluster.play(*tasks)
    assert len(played.tasks) == len(expected) > 15
    for (resource, verb, words, group), result in zip(expected, played.results):
        code = (
            "invalid" if (resource, verb) == ("users", "get") else "forbidden"
        )  # the owner is required if the own user cannot be read
        assert (
            result.get("code") == code and words in result["msg"] and (group in result["msg"] or code == "invalid")
        ), (resource, verb, result)
    assert [entry["metadata"]["name"] for entry in cluster.api.get(SECRETS)["items"]] == ["cc-kept"], (
        "a run without a right it needs wrote something"
    )


def _results(kubeconfig, tasks):
    """Return code and visible content of each task; the cores of the modules run in this process."""
    results = []
    for core, spec, options in tasks:
        result = execute(core, parse_options(spec, {**options, "kubeconfig": str(kubeconfig)}), RunMode())
        shown = {name: value for name, value in result.items() if name != "msg"}
        results.append(json.loads(re.sub("(cc|nt)-[a-z0-9]{5}|[-0-9]+T[:0-9]+Z", "X", json.dumps(shown))))
    return results


def _each_is_needed(grant, subtests, base, roles, tasks):
    """Assert that the roles suffice, and that a task shows less or fails without any one of their permissions."""
    name = roles[0]["metadata"]["name"]
    lacking = [
        (f"{verb} {resource}", grant(f"{name}-lacks-{count}", [
            *base, *without(roles, number, position, resource, verb),
        ]))
        for count, (number, position, _group, resource, verb) in enumerate(single_rights(roles)) if verb != "watch"
    ]
    complete = grant(f"{name}-complete", [*base, *roles])
    time.sleep(1)  # until the API server has read the roles
    expected = _results(complete, tasks)
    assert not [result for result in expected if result.get("code")], expected
    assert len(lacking) > 3
    for right, kubeconfig in lacking:
        with subtests.test(f"{name}: {right}"):
            assert _results(kubeconfig, tasks) != expected


def test_each_permission_to_view_is_required(cluster, grant, subtests):
    cluster.secret("cc-kept", "amazonec2", {"accessKey": "A", "secretKey": "S"}, "kept")
    tasks = [
        (list_cloud_credential_info, CLOUD_CREDENTIAL_INFO, options)
        for options in ({}, {"id": "cc-kept"}, {"owner": "alice"})
    ] + [(list_node_templates, NODE_TEMPLATE_INFO, {})]
    _each_is_needed(grant, subtests, [], credential_roles(VIEW), tasks)


def test_each_permission_for_node_templates_is_required(cluster, grant, subtests):
    cluster.secret("cc-kept", "digitalocean", {"accessToken": "S"}, "kept")
    template = {"name": "new", "driver": "digitalocean", "owner": "alice", "cloud_credential": "kept"}
    cluster.api.post("/apis/management.cattle.io/v3/namespaces/cattle-global-nt/nodetemplates", {
        "apiVersion": "management.cattle.io/v3", "kind": "NodeTemplate", "metadata": {"name": "nt-kept"},
        "spec": {"displayName": "kept", "driver": "digitalocean"},
    })
    tasks = [
        (list_node_templates, NODE_TEMPLATE_INFO, {"id": "nt-kept"}),
        (manage_node_templates, NODE_TEMPLATE, {**template, "config": {"region": "fra1"}}),
        (manage_node_templates, NODE_TEMPLATE, {"name": "new", "config": {"region": "nyc1"}}),
        (manage_node_templates, NODE_TEMPLATE, {"name": "new", "state": "absent"}),
    ]
    roles = credential_roles("ranchhand-node-templates")
    _each_is_needed(grant, subtests, credential_roles(MANAGE), roles, tasks)
