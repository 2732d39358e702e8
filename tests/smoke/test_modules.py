# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One playbook with a task of each module, in check mode and for real, in process and as modules."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from support.guard import keep_watching, remove_guard
from support.objects import downstream
from support.rotations import RotatingCredential

MODULES = set(yaml.safe_load((Path(__file__).parents[2] / "meta" / "runtime.yml").read_text())["action_groups"]["all"])
NEW = {"driver": "digitalocean", "owner": "admin", "secrets": {"accessToken": "canary-token"}}


@pytest.mark.parametrize("as_module", [False, True], ids=["in process", "as modules"])
def test_each_module(recorded_211, aws, as_module):
    cluster, name = recorded_211, f"smoke-{'module' if as_module else 'in-process'}"
    keep_watching(cluster)
    rotating = RotatingCredential(cluster, aws)
    downstream(cluster, name, {"cloudCredentialSecretName": f"cattle-global-data:{rotating.id}"})
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}
    rotation, = rotating.task().values()
    tasks = {
        "cloud_credential": {**NEW, "name": name},
        "cloud_credential_info": {"problems": True},
        "cloud_credential_repoint": {"from": rotating.id, "to": rotating.id},
        "cloud_credential_rotation": rotation,
        "cloud_credential_rotation_info": {"gates": True, "namespace": rotating.namespace},
        "guard": {"settle": "0s"},
        "machine_config": {"name": name, "driver": "digitalocean", "config": {"size": "s-1vcpu-1gb"}},
        "machine_config_info": {"references": True},
        "manifest": {"objects": [config_map]},
        "node_driver_info": {},
        "node_template": {"name": name, "driver": "digitalocean", "owner": "admin", "cloud_credential": name},
        "node_template_info": {},
        "upgrade_info": {},
    }
    assert set(tasks) == MODULES
    played = cluster.play(
        *({f"ranchhand.rancher.{module}": options, **({"check_mode": True} if check else {})}
          for check in (False, True) for module, options in tasks.items()),
        as_module=as_module,
    )
    remove_guard(cluster)
    results = dict(zip(tasks, played.results))
    refused = results.pop("cloud_credential_repoint")
    assert refused["code"] == "invalid", refused
    assert not [(name, result["msg"]) for name, result in results.items() if result.get("failed")], played.output
    changed = {name for name, result in results.items() if result["changed"]}
    assert changed == {
        "cloud_credential", "cloud_credential_rotation", "guard", "machine_config", "manifest", "node_template",
    }
    assert "canary-token" not in played.output
    again = dict(zip(tasks, played.results[len(tasks):]))
    assert not [name for name, result in again.items() if result["changed"]], again
