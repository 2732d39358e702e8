# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What becomes of a node template in Rancher 2.12: a machine config and fields of a machine pool.

Pure. Node templates and machine configs have the same fields, as both come from the DynamicSchema of the driver.
"""

from __future__ import annotations

import re
import typing as t

from .._rancher.driver_schema import DriverSchemas
from .._rancher.node_template import SPEC_OPTIONS, NodeTemplate

# Credential fields with a default in the definition of machine configs, which hides the credential's value.
_KEPT = {"azure": ("environment",), "vmwarevsphere": ("vcenterPort",)}
_DOCKER = "nothing: the nodes have no docker"
_DESTINATIONS = {
    "node_taints": "taints of the machine pool",
    "engine_registry_mirror": "rkeConfig.registries.mirrors['docker.io'].endpoint of the cluster",
    "engine_insecure_registry": "rkeConfig.registries.configs[HOST].insecureSkipVerify of the cluster",
    "engine_env": "spec.agentEnvVars of the cluster, for proxies",
    "engine_label": "labels of the machine pool, if they did not concern docker",
}
_CAUTION = {
    ("amazonec2", "securityGroup"): "check it: RKE2 needs other ports than RKE1",
    ("vmwarevsphere", "boot2dockerUrl"): "nothing: RKE2 needs creationType template, library or vm",
    ("harvester", "diskSize"): "diskInfo", ("harvester", "diskBus"): "diskInfo", ("harvester", "imageName"): "diskInfo",
    ("harvester", "networkName"): "networkInfo", ("harvester", "networkModel"): "networkInfo",
}
_DROPPED = {"azure": ("dockerPort",), "vmwarevsphere": ("boot2dockerUrl",)}


def draft_machine_config(template: NodeTemplate, schemas: DriverSchemas | None) -> dict[str, t.Any]:
    """Return ``as_machine_config``, the options of the module machine_config, and ``unmapped``, without secrets."""
    driver = template.driver or ""
    fields = schemas.node_fields(driver) if schemas and driver else None
    credential_fields = (schemas.known_fields(driver) if schemas and driver and template.credential else None) or {}
    config: dict[str, t.Any] = {}
    unmapped: list[dict[str, str]] = []
    for name, value in sorted(template.config.items()):
        if value in (None, "", [], {}):
            continue
        if fields is None or name not in fields:
            unmapped.append(_entry(f"config.{name}", "unknown to this Rancher's schema of the driver"))
        elif name in credential_fields and name not in _KEPT.get(driver, ()):
            unmapped.append(_entry(f"config.{name}", "nothing: the cloud credential contains it"))
        elif fields[name].secret:
            unmapped.append(_entry(f"config.{name}", "secrets of machine_config: it is stored in plain text"))
        elif name in _DROPPED.get(driver, ()):
            unmapped.append(_entry(f"config.{name}", _CAUTION.get((driver, name), _DOCKER)))
        else:
            config[name] = value
            if (driver, name) in _CAUTION and value not in (["rancher-nodes"], "rancher-nodes"):
                unmapped.append(_entry(f"config.{name}", _CAUTION[driver, name]))
    for option, (key, _form) in sorted(SPEC_OPTIONS.items()):
        if template.spec.get(key) not in (None, "", [], {}, False) and option != "use_internal_ip_address":
            unmapped.append(_entry(option, _DESTINATIONS.get(option, _DOCKER)))
    draft = {"name": _object_name(template), "driver": driver, "config": config}
    if template.credential:
        draft["cloud_credential"] = template.credential
    return {"as_machine_config": draft, "unmapped": unmapped}


def _entry(field: str, destination: str) -> dict[str, str]:
    return {"field": field, "destination": destination}


def _object_name(template: NodeTemplate) -> str:
    """Return the display name as a name of a Kubernetes object; machine configs have no display name."""
    name = re.sub(r"[^a-z0-9]+", "-", template.name.lower()).strip("-")[:50].strip("-")
    return name or template.id
