# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The permissions that docs/rbac grants, and roles that lack one of them."""

from __future__ import annotations

import contextlib
import copy
from pathlib import Path

import yaml

from control_plane import ApiError

FOLDER = Path(__file__).parents[2] / "docs" / "rbac"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
MANAGE, VIEW = "ranchhand-cloud-credentials", "ranchhand-cloud-credentials-view"


def documented(name):
    """Return the objects in a file of docs/rbac: roles, in some files after a Namespace."""
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())["items"]


def credential_roles(name):
    """The Role and the ClusterRole of this name in docs/rbac/cloud-credentials.yaml."""
    roles = [role for role in documented("cloud-credentials") if role["metadata"]["name"] == name]
    assert [role["kind"] for role in roles] == ["Role", "ClusterRole"]
    return roles


def single_rights(roles):
    """Yield each verb on each resource: number of the role, position of the rule, API group, resource, verb."""
    for number, role in enumerate(roles):
        for position, rule in enumerate(role["rules"]):
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield number, position, rule["apiGroups"][0], resource, verb


def without(roles, number, position, resource, verb):
    """Return a copy of the roles that lacks this permission."""
    roles = copy.deepcopy(roles)
    rules = roles[number]["rules"]
    rule = rules.pop(position)
    for name in rule["resources"]:
        verbs = [granted for granted in rule["verbs"] if (name, granted) != (resource, verb)]
        if verbs:
            rules.append({**rule, "resources": [name], "verbs": verbs})
    return roles


@contextlib.contextmanager
def granting(cluster):
    """Yield a function that creates a user with exactly these roles, and returns the path of its kubeconfig.

    Missing namespaces are created, and the roles deleted at the end.
    """
    api = cluster.api
    made = []

    def post(path, body):
        api.post(path, body)
        made.append(f"{path}/{body['metadata']['name']}")

    def grant(user, roles):
        for number, role in enumerate(roles):
            namespace = role["metadata"].get("namespace")
            if namespace:
                try:
                    api.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
                except ApiError as error:
                    if error.status != 409:
                        raise
            base = f"{RBAC}/namespaces/{namespace}" if namespace else RBAC
            kind, name = role["kind"].lower(), f"{user}-{number}"
            post(f"{base}/{kind}s", {**role, "metadata": {"name": name}})
            post(
                f"{base}/{kind}bindings",
                {
                    "metadata": {"name": name},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": name},
                    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
                },
            )
        return str(cluster.control_plane.user(user))

    try:
        yield grant
    finally:
        for path in made:
            api.delete(path)
