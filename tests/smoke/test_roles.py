# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One playbook with each role, twice."""

from __future__ import annotations

import sys
from pathlib import Path

from control_plane.build import binaries
from support.cluster import decoded
from support.guard import keep_watching, remove_guard
from support.objects import downstream
from support.rotations import RotatingCredential

ROLES = {path.name for path in (Path(__file__).parents[2] / "roles").iterdir()}


def test_each_role(recorded_211, aws, tmp_path):
    cluster = recorded_211
    keep_watching(cluster)
    rotating = RotatingCredential(cluster, aws)
    downstream(cluster, "smoke-role", {"cloudCredentialSecretName": f"cattle-global-data:{rotating.id}"})
    declared = {
        "name": "smoke-role", "driver": "amazonec2", "owner": "admin",
        "config": {"accessKey": "AKIASMOKE", "defaultRegion": "eu-central-1"},
        "secrets": {"secretKey": "canary-secret"},
    }
    variables = {
        "cloud_credentials": {"list": [declared]},
        "rotate": {
            "credentials": [{"id": rotating.id}], "rotation_id": "first", "namespace": rotating.namespace,
            "issuer_options": {"endpoint_url": aws.url, "propagation": "0s"},
        },
        "retire": {"namespace": rotating.namespace, "grace": "0s", "soak": "0s"},
        "repoint": {"from": f"aws {rotating.id}", "to": "smoke-role", "override_gates": ["owner"]},
        "report": {"files": {"json": str(tmp_path / "report.json")}, "namespace": rotating.namespace},
        "guard": {"settle": "0s"},
        "schedule": {
            "with": "kubernetes", "image": "registry.example/ee:1", "secret": "smoke", "namespace": "smoke-role",
            "jobs": {"retire": {"at": "04:30"}},
        },
        "testing": {"binaries": str(Path(binaries()["etcd"]).parent), "folder": str(tmp_path / "testing")},
    }
    assert set(variables) == ROLES
    roles = [
        {
            "ansible.builtin.include_role": {"name": f"ranchhand.rancher.{role}"},
            "vars": {f"{role}_{name}": value for name, value in given.items()},
        }
        for role, given in variables.items()
    ]
    stop = {**roles[-1], "vars": {**roles[-1]["vars"], "testing_state": "absent"}}
    played = cluster.play(*roles, *roles, stop, variables={"ansible_python_interpreter": sys.executable})
    remove_guard(cluster)
    assert not [task["result"]["msg"] for task in played.tasks if task["result"]["failed"]], played.output
    assert decoded(cluster.stored(rotating.id))["amazonec2credentialConfig-accessKey"] != rotating.key["accessKey"]
    assert "canary-secret" not in played.output
