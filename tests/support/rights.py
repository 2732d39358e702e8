# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rights that docs/rbac grants, and what is left when one of them is taken away."""

from __future__ import annotations

import copy
from pathlib import Path

import yaml

FOLDER = Path(__file__).parents[2] / "docs" / "rbac"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
MANAGE, VIEW = "ranchhand-cloud-credentials", "ranchhand-cloud-credentials-view"


def documented(name):
    """What a file of docs/rbac has, the roles and perhaps a Namespace before them."""
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())["items"]


def credential_roles(name):
    """The Role and the ClusterRole of this name in docs/rbac/cloud-credentials.yaml."""
    roles = [role for role in documented("cloud-credentials") if role["metadata"]["name"] == name]
    assert [role["kind"] for role in roles] == ["Role", "ClusterRole"]
    return roles


def single_rights(roles):
    """Each verb on each resource, with the place of its rule: number of the role, position in it, API group, resource, verb."""
    for number, role in enumerate(roles):
        for position, rule in enumerate(role["rules"]):
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield number, position, rule["apiGroups"][0], resource, verb


def without(roles, number, position, resource, verb):
    """The roles less that one right."""
    roles = copy.deepcopy(roles)
    rules = roles[number]["rules"]
    rule = rules.pop(position)
    for one in rule["resources"]:
        verbs = [other for other in rule["verbs"] if (one, other) != (resource, verb)]
        if verbs:
            rules.append({**rule, "resources": [one], "verbs": verbs})
    return roles
