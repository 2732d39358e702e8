# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The module machine_config_info."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from .._common.errors import ApiError
from .._common.options import OptionSpec
from .._common.times import now, parse_time
from .._kubernetes.client import KubernetesClient
from .._kubernetes.connection import CONNECTION
from .._rancher.driver_schema import DriverSchemas
from .._rancher.machine_config import (
    MachineConfig,
    credential_fields_of,
    ignored_fields,
    pools_of,
    show_machine_config,
)
from .._rancher.machine_pools import MachinePool, pool_of_deployment, template_reference
from .._rancher.queries import (
    list_cluster_api_objects,
    list_machine_pools,
    read_machine_config_fields,
    read_machine_config_kinds,
    read_machine_configs,
    read_schemas,
)
from .._runtime.execute import Connect, RunMode

MACHINE_CONFIG_INFO = CONNECTION.merge(OptionSpec({
    "name": {"type": "str"},
    "namespace": {"type": "str"},
    "driver": {"type": "str"},
    "references": {"type": "bool", "default": False},
}))
# The machine template in force of each pool: namespace, cluster and pool to the name of the template.
Templates = t.Mapping[t.Tuple[str, str, str], str]


def list_machine_config_info(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """List machine configs without their secrets and, with ``references``, the pools that use them."""
    client = connect()
    kinds = read_machine_config_kinds(client)
    driver = params["driver"].strip().lower() if params["driver"] else None
    selected = {name: kind for name, kind in kinds.items() if driver in (None, name)}
    configs, schemas, pools, templates = client.parallel_reads(
        lambda: _read_configs(client, params, selected),
        lambda: read_schemas(client),
        lambda: list_machine_pools(client, params["namespace"]) if params["references"] else [],
        lambda: _templates_in_force(client) if params["references"] else {},
    )
    drivers = sorted({config.driver for config in configs}) if schemas else []
    fields = dict(zip(drivers, client.parallel_map(
        lambda name: read_machine_config_fields(client, name, kinds[name], schemas), drivers,
    )))
    shown = []
    for config in sorted(configs, key=lambda config: (config.namespace, config.name, config.kind)):
        item = show_machine_config(config, fields.get(config.driver))
        created_at = parse_time(config.created_at) if config.created_at else None
        item["age_seconds"] = max(0, int((now() - created_at).total_seconds())) if created_at else None
        item["credential_fields"] = credential_fields_of(config, schemas)
        if params["references"]:
            item["pools"] = show_pools(config, pools or (), templates or {}, schemas)
        shown.append(item)
    result: dict[str, t.Any] = {"changed": False, "machine_configs": shown}
    incomplete = [
        name for name, found in (
            ("clusters.provisioning.cattle.io", pools), ("machinedeployments.cluster.x-k8s.io", templates),
        ) if found is None
    ]
    return {**result, "references_incomplete": incomplete} if incomplete else result


def _read_configs(
    client: KubernetesClient, params: Mapping[str, t.Any], kinds: Mapping[str, str],
) -> list[MachineConfig]:
    """Read the selected machine configs; by name if name and namespace are known, for which few rights suffice."""
    name, namespace = params["name"], params["namespace"]
    names = [name] if name and namespace else None
    found = client.parallel_map(
        lambda kind: read_machine_configs(client, namespace, kind, names), list(kinds.values()),
    )
    return [config for configs in found for config in configs if name in (None, config.name)]


def _templates_in_force(client: KubernetesClient) -> dict[tuple[str, str, str], str] | None:
    """Return the machine template of each pool; None if the connection may not list MachineDeployments."""
    try:
        deployments = list_cluster_api_objects(client, "machinedeployments")
    except ApiError as error:
        if error.status == 403:
            return None
        raise
    templates = {}
    for item in deployments:
        key, template = pool_of_deployment(item), template_reference(item)
        if key and template:
            templates[key] = template[2]
    return templates


def show_pools(
    config: MachineConfig, pools: t.Iterable[MachinePool], templates: Templates, schemas: DriverSchemas | None,
) -> list[dict[str, t.Any]]:
    """Return what results show of the pools that use a machine config."""
    credential_fields = credential_fields_of(config, schemas)
    shown = []
    for pool in sorted(pools_of(config, pools), key=str):
        ignored = ignored_fields(config.config, pool)
        shown.append({
            "cluster": pool.cluster, "pool": pool.name, "credential": pool.credential or None,
            "inherited": pool.inherited, "template": templates.get((pool.namespace, pool.cluster, pool.name)),
            "ignored_fields": ignored,
            "hides_credential_fields": [
                name for name in credential_fields if pool.credential and name not in ignored
            ],
        })
    return shown
