# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Machine pools and hosted clusters as users of credentials, read from the objects that contain them.

Pure.
"""

from __future__ import annotations

import json
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

MACHINE_CONFIG_GROUP = "rke-machine-config.cattle.io"
MACHINE_CONFIG_API_VERSION = f"{MACHINE_CONFIG_GROUP}/v1"

# The field of a hosted cluster that contains its credential, by the prefix of <prefix>Config.
HOSTED_FIELDS = {
    "eks": "amazonCredentialSecret", "gke": "googleCredentialSecret", "aks": "azureCredentialSecret",
    "ali": "alibabaCredentialSecret",
}
# And the driver of these credentials.
HOSTED_DRIVERS = {"eks": "amazonec2", "gke": "google", "aks": "azure", "ali": "alibaba"}


@dataclass(frozen=True)
class MachinePool:
    """A machine pool of a provisioning cluster that creates machines from a machine config.

    ``kind`` and ``config`` are kind and name of the machine config, which is in the namespace of the cluster.
    ``credential`` is the credential in effect as the cluster spells it, "" if there is none; ``inherited`` means that
    it is the cluster's. ``schema_fields`` are the fields of the config that the pool uses, None if it uses all.
    """

    namespace: str
    cluster: str
    name: str
    kind: str
    config: str
    credential: str
    inherited: bool
    has_machines: bool
    schema_fields: frozenset[str] | None = None

    @property
    def driver(self) -> str:
        return driver_of_kind(self.kind)

    def __str__(self) -> str:
        return f"{self.cluster}/{self.name}"


@dataclass(frozen=True)
class HostedCluster:
    """A hosted cluster (EKS, GKE, AKS, Alibaba) or its operator's object, whose last sync failed with ``error``."""

    kind: str
    namespace: str | None
    name: str
    credential: str
    error: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def driver_of_kind(kind: str) -> str:
    """Return the driver of a kind of machine configs, such as amazonec2 of Amazonec2Config."""
    return (kind[:-len("Config")] if kind.endswith("Config") else kind).lower()


def pool_objects(cluster: Mapping[str, t.Any]) -> list[Mapping[str, t.Any]]:
    """Return the machine pools of a provisioning cluster as they are stored."""
    pools = _mapping(_mapping(cluster.get("spec")).get("rkeConfig")).get("machinePools")
    return [pool for pool in pools if isinstance(pool, Mapping)] if isinstance(pools, list) else []


def pool_credential(pool: Mapping[str, t.Any]) -> str:
    """Return the credential that a pool names itself, as it is spelled; "" if it uses the cluster's."""
    return _text(pool.get("cloudCredentialSecretName"))


def parse_machine_pools(cluster: Mapping[str, t.Any]) -> list[MachinePool]:
    """Return the pools of a provisioning cluster; not those with a template of another provider of Cluster API."""
    metadata = cluster["metadata"]
    of_cluster = _text(_mapping(cluster.get("spec")).get("cloudCredentialSecretName"))
    pools = []
    for pool in pool_objects(cluster):
        reference = _mapping(pool.get("machineConfigRef"))
        kind, config = _text(reference.get("kind")), _text(reference.get("name"))
        is_other = _text(reference.get("apiVersion")) not in ("", MACHINE_CONFIG_API_VERSION)
        if is_other or not kind or not config:
            continue
        own = pool_credential(pool)
        pools.append(MachinePool(
            metadata.get("namespace") or "", metadata["name"], _text(pool.get("name")), kind, config,
            own or of_cluster, not own, _has_machines(pool), _schema_fields(_text(pool.get("dynamicSchemaSpec"))),
        ))
    return pools


def _has_machines(pool: Mapping[str, t.Any]) -> bool:
    """Return whether a pool can have machines; without quantity it has one (Cluster API's default)."""
    return pool.get("quantity") != 0 or bool(pool.get("autoscalingMaxSize"))


@lru_cache(maxsize=8)  # the pools of a driver usually have the same text, of some kilobytes
def _schema_fields(spec: str) -> frozenset[str] | None:
    """Return the fields of a dynamicSchemaSpec, which is JSON as a string."""
    try:
        fields = _mapping(json.loads(spec)).get("resourceFields")
    except (ValueError, RecursionError):
        return None
    return frozenset(fields) if isinstance(fields, Mapping) else None


def parse_failed_sync(item: Mapping[str, t.Any], kind: str) -> list[HostedCluster]:
    """Return the failed sync of a management cluster or an operator's object; [] if the last one succeeded.

    Rancher's refresher writes the error into the condition Updated, an operator into status.failureMessage.
    """
    status = _mapping(item.get("status"))
    conditions = status.get("conditions")
    error = _text(status.get("failureMessage"))
    for condition in conditions if isinstance(conditions, list) else ():
        message = _text(_mapping(condition).get("message"))
        if _mapping(condition).get("type") == "Updated" and "[Syncing error" in message:
            error = message
    metadata = item["metadata"]
    return [
        HostedCluster(kind, metadata.get("namespace"), metadata["name"], credential, error)
        for credential in _hosted_credentials(_mapping(item.get("spec"))) if error
    ]


def _hosted_credentials(spec: Mapping[str, t.Any]) -> t.Iterator[str]:
    for prefix, field in HOSTED_FIELDS.items():
        for credential in (_text(_mapping(spec.get(f"{prefix}Config")).get(field)), _text(spec.get(field))):
            if credential:
                yield credential


def template_reference(item: Mapping[str, t.Any]) -> tuple[str, str, str] | None:
    """Return namespace, kind and name of the machine template that a MachineDeployment or MachineSet refers to."""
    spec = _mapping(item.get("spec"))
    reference = _mapping(_mapping(_mapping(spec.get("template")).get("spec")).get("infrastructureRef"))
    kind, name = _text(reference.get("kind")), _text(reference.get("name"))
    return (item["metadata"].get("namespace") or "", kind, name) if kind and name else None


def pool_of_deployment(deployment: Mapping[str, t.Any]) -> tuple[str, str, str] | None:
    """Return namespace, cluster and name of the pool that a MachineDeployment belongs to; None if it has no labels."""
    template = _mapping(_mapping(deployment.get("spec")).get("template"))
    labels = _mapping(_mapping(template.get("metadata")).get("labels"))
    cluster = _text(labels.get("cluster.x-k8s.io/cluster-name"))
    pool = _text(labels.get("rke.cattle.io/rke-machine-pool-name"))
    return (deployment["metadata"].get("namespace") or "", cluster, pool) if cluster and pool else None


def has_replicas(machine_set: Mapping[str, t.Any]) -> bool:
    """Return whether a MachineSet has machines or is to get some."""
    desired = _mapping(machine_set.get("spec")).get("replicas", 1)
    return bool(desired or _mapping(machine_set.get("status")).get("replicas"))


def _mapping(value: t.Any) -> Mapping[str, t.Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: t.Any) -> str:
    return value if isinstance(value, str) else ""
