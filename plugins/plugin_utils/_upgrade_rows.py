# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables and items of the playbooks for the upgrade to Rancher 2.12. Pure."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping

from ..module_utils._common.text import single_line
from ._declaration import dump_items

_NODE_TEMPLATES = ("NodeTemplate", "cattle-global-nt")


def upgrade_rows(result: Mapping[str, t.Any]) -> list[dict[str, str]]:
    """Return a row for each object that blocks the upgrade, in the order of deletion."""
    return [
        {
            "step": str(item["step"]), "kind": item["kind"],
            "name": f"{item['namespace']}/{item['name']}" if item["namespace"] else item["name"],
            "display name": item["display_name"], "owner": item["owner_name"] or item["owner"] or "-",
            "state": _state(item),
        }
        for item in result["blockers"]
    ]


def _state(item: Mapping[str, t.Any]) -> str:
    if item["deleting"]:
        return "is being deleted"
    if item["unused"]:
        return "can be deleted"
    if item["used_by"]:
        more = f" and {len(item['used_by']) - 2} more" if len(item["used_by"]) > 2 else ""
        return f"used by {', '.join(item['used_by'][:2])}{more}"
    return "delete the cluster in Rancher" if item["kind"] == "Cluster" else "is deleted with its cluster"


def upgrade_manifests(blockers: Iterable[Mapping[str, t.Any]], node_templates: bool = False) -> list[dict[str, t.Any]]:
    """Return the items for the module manifest, or for node_template: Rancher's templates are in one namespace."""
    if node_templates:
        return [{"id": item["name"]} for item in blockers if (item["kind"], item["namespace"]) == _NODE_TEMPLATES]
    return [
        {
            "apiVersion": item["api_version"], "kind": item["kind"],
            "metadata": {"name": item["name"], "namespace": item["namespace"]},
        }
        for item in blockers if (item["kind"], item["namespace"]) != _NODE_TEMPLATES
    ]


def machine_config_tasks(templates: Iterable[Mapping[str, t.Any]]) -> str:
    """Return tasks as YAML, with comments on what needs another place."""
    parts = ["---"]
    for template in templates:
        draft = template["as_machine_config"]
        task = {
            "name": f"Create the machine config {draft['name']}",
            "ranchhand.rancher.machine_config": draft,
        }
        comments = [f"# From node template {template['id']}."]
        comments += [f"# {item['field']}: {item['destination']}" for item in template["unmapped"]]
        parts.append("\n".join(map(single_line, comments)) + "\n" + dump_items([task]).rstrip())
    return "\n\n".join(parts) + "\n"
