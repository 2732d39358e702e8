# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The permissions that docs/rbac grants, and roles that lack one of them."""

from __future__ import annotations

import copy
from pathlib import Path

import yaml

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
