# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what the role testing creates on its API server: what tests have, for users who have no checkout.

    cd tests && python -m support.testing_role
"""

from __future__ import annotations

import json
from pathlib import Path

from control_plane.fixtures import NAMESPACES, VERSIONS, crd, objects, resources
from support.rancher_controllers import recorded_crds

FILES = Path(__file__).resolve().parents[2] / "roles" / "testing" / "files"
# Machine configs were recorded from these Ranchers.
_MACHINE_CONFIGS = {"2.10.0": "2.11.0", "2.15.0": "2.15.0"}


def render(rancher):
    """Return the text of the file for a Rancher: definitions and namespaces, and the objects that need them.

    It has the user "admin", and not the users whom tests need.
    """
    recorded = {item["metadata"]["name"]: item for item in recorded_crds(_MACHINE_CONFIGS[rancher])}
    definitions = {item["metadata"]["name"]: item for item in map(crd, resources(rancher))}
    for name, item in recorded.items():
        metadata = {"name": name, "annotations": item["metadata"].get("annotations") or {}}
        definitions[name] = {
            "apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": metadata, "spec": item["spec"],
        }  # fmt: skip
    namespaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in NAMESPACES]
    content = {
        "definitions": [*definitions.values(), *namespaces],
        "objects": [item for item in objects(rancher) if item.get("username", "admin") == "admin"],
    }
    return json.dumps(content, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    for version in VERSIONS:
        (FILES / f"rancher-{version}.json").write_text(render(version), encoding="utf-8")
