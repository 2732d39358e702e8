# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Machine configs as Rancher reads and writes them, and the credential fields in them.

Pure.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .._common.text import to_text
from .cloud_credential import CloudCredential
from .driver_schema import DriverField, DriverSchemas, Fields
from .machine_pools import MACHINE_CONFIG_API_VERSION, MachinePool, driver_of_kind
from .metadata import stored_metadata
from .references import CREDENTIAL_NAMESPACE

MACHINE_CONFIG_KIND = "machine config"  # in messages
MACHINE_CONFIGS_PATH = f"/apis/{MACHINE_CONFIG_API_VERSION}"
CLUSTER_KIND = ("provisioning.cattle.io/v1", "Cluster")

# With this annotation, the webhook does not set creatorId, and Rancher creates no Role for the creator.
NO_CREATOR_RBAC = "field.cattle.io/no-creator-rbac"

# A ConfigMap in the namespace of machine configs that owns those which are kept: Rancher's nightly clean-up deletes
# only machine configs without owner (pkg/controllers/provisioningv2/machineconfigcleanup).
KEEPER = "ranchhand-machine-configs"

# Fields of the object that are no fields of the driver. In the CRD of vmwarevsphere, Rancher replaces ``common`` by
# the values of the pool (pkg/controllers/provisioningv2/provisioningcluster/template.go).
_NO_CONFIG = ("apiVersion", "kind", "metadata", "status", "common", "providerID")

# Secrets that are not of type password in the schema of the driver.
_SECRET_FIELDS = {
    "openstack": ("applicationCredentialSecret",), "vmwarevsphere": ("sshPassword",), "harvester": ("sshPassword",),
}


@dataclass(frozen=True)
class MachineConfig:
    """A machine config as it is stored.

    ``id`` identifies it among the machine configs of all drivers and namespaces.
    """

    id: str
    namespace: str
    name: str
    kind: str
    uid: str
    resource_version: str
    created_at: str | None
    labels: Mapping[str, str] = field(repr=False)
    annotations: Mapping[str, str] = field(repr=False)
    config: Mapping[str, t.Any] = field(repr=False)
    owner_references: tuple[Mapping[str, t.Any], ...] = field(repr=False, default=())
    finalizers: tuple[str, ...] = ()
    deleting: bool = False
    owner: str | None = None
    description: str = ""
    problem: str | None = None

    @property
    def driver(self) -> str:
        return driver_of_kind(self.kind)

    @property
    def full_id(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def cluster(self) -> str | None:
        """The provisioning cluster that has adopted the machine config; no other can use it."""
        for reference in self.owner_references:
            if (reference.get("apiVersion"), reference.get("kind")) == CLUSTER_KIND:
                return str(reference.get("name"))
        return None

    @property
    def kept(self) -> bool:
        return any(map(is_keeper, self.owner_references))

    @property
    def is_orphan(self) -> bool:
        """Whether Rancher's nightly clean-up deletes it, when it is older than an hour."""
        return not self.owner_references


def is_keeper(reference: Mapping[str, t.Any]) -> bool:
    """Return whether an ownerReference is the one that keeps a machine config."""
    return (reference.get("kind"), reference.get("name")) == ("ConfigMap", KEEPER)


def machine_config_id(driver: str, namespace: str, name: str) -> str:
    return f"{driver.lower()}/{namespace}/{name}"


def parse_machine_config(item: Mapping[str, t.Any], kind: str) -> MachineConfig:
    """Parse a machine config, whose fields are at the top level of the object; items of a list have no kind."""
    metadata = item["metadata"]
    return MachineConfig(
        id=machine_config_id(driver_of_kind(kind), metadata["namespace"], metadata["name"]),
        namespace=metadata["namespace"], name=metadata["name"], kind=kind, uid=metadata["uid"],
        resource_version=metadata["resourceVersion"], created_at=metadata.get("creationTimestamp"),
        labels=metadata.get("labels") or {}, annotations=metadata.get("annotations") or {},
        config={name: value for name, value in item.items() if name not in _NO_CONFIG},
        owner_references=tuple(metadata.get("ownerReferences") or ()),
        finalizers=tuple(metadata.get("finalizers") or ()), deleting=bool(metadata.get("deletionTimestamp")),
    )


def machine_config_object(config: MachineConfig) -> dict[str, t.Any]:
    """Return the object that parses to a machine config."""
    return {
        "metadata": {
            **stored_metadata(config, config.name), "namespace": config.namespace,
            "ownerReferences": list(config.owner_references),
        },
        **config.config,
    }


def machine_config_fields(driver: str, crd: Mapping[str, t.Any] | None, schemas: DriverSchemas) -> Fields | None:
    """Return the fields of a driver's machine configs, with the defaults that the API server sets.

    ``crd`` is the CustomResourceDefinition, None if it may not be read; then the DynamicSchema, from which Rancher
    writes it, has to suffice. The CRD does not know which fields are secret. None if there is no schema.
    """
    known = schemas.node_fields(driver)
    if known is None:
        return None
    types = {name: "string" if item.type in ("password", "int") else item.type for name, item in known.items()}
    defaults = {name: item.default for name, item in known.items()}
    if crd is not None:
        properties = _properties(crd)
        kinds = {"array": "array[string]", "boolean": "boolean"}
        types = {name: kinds.get(str(item.get("type")), "string") for name, item in properties.items()}
        defaults = {name: item.get("default") for name, item in properties.items()}
    types.update({name: "password" for name in types if _is_secret(driver, known.get(name), name)})
    return {
        name: DriverField(name, kind, default=defaults[name])
        for name, kind in types.items() if name not in _NO_CONFIG
    }


def _properties(crd: Mapping[str, t.Any]) -> Mapping[str, Mapping[str, t.Any]]:
    for version in crd["spec"]["versions"]:
        if version["name"] == "v1":
            found: Mapping[str, Mapping[str, t.Any]] = version["schema"]["openAPIV3Schema"].get("properties") or {}
            return found
    return {}


def _is_secret(driver: str, known: DriverField | None, name: str) -> bool:
    return known is not None and known.secret or name in _SECRET_FIELDS.get(driver.lower(), ())


def is_set(value: t.Any) -> bool:
    """Return whether Rancher passes a value to the driver."""
    return value not in (None, "", [])


def template_content(config: Mapping[str, t.Any], pool: MachinePool) -> dict[str, t.Any]:
    """Return what the name of a pool's machine template is computed from; if this changes, the nodes are replaced.

    Fields that the pool's dynamicSchemaSpec does not contain are ignored (template.go, pkg/capr/planner/planner.go).
    """
    return {
        name: value for name, value in config.items()
        if is_set(value) and (pool.schema_fields is None or name in pool.schema_fields)
    }


def ignored_fields(config: Mapping[str, t.Any], pool: MachinePool) -> list[str]:
    """Return the fields that a pool ignores, as a newer driver has added them."""
    if pool.schema_fields is None:
        return []
    return sorted(name for name, value in config.items() if is_set(value) and name not in pool.schema_fields)


def pools_of(config: MachineConfig, pools: t.Iterable[MachinePool]) -> list[MachinePool]:
    """Return the pools that create machines from a machine config."""
    key = (config.namespace, config.kind, config.name)
    return [pool for pool in pools if (pool.namespace, pool.kind, pool.config) == key]


def credential_fields_of(config: MachineConfig, schemas: DriverSchemas | None) -> list[str]:
    """Return the fields that a credential of the driver has and the machine config sets: its values are used.

    The driver gets the fields of a machine config as arguments, and those of the credential as environment.
    """
    fields = schemas.known_fields(config.driver) if schemas else None
    return sorted(name for name in fields or () if is_set(config.config.get(name)))


@dataclass(frozen=True)
class HiddenField:
    """A field of a credential that a machine config sets too; ``differs`` if its value is another one."""

    pool: MachinePool
    name: str
    differs: bool


def hidden_fields(
    credential: CloudCredential, pools: t.Iterable[MachinePool], configs: Mapping[str, MachineConfig],
    schemas: DriverSchemas | None,
) -> list[HiddenField]:
    """Return the fields of a credential that the machine configs of pools hide from new machines.

    Not those that the pool ignores, nor those with a default that both contain with the same value, as a machine config
    always sets them.
    ``configs`` are machine configs by id.
    """
    found = []
    for pool in pools:
        config = configs.get(machine_config_id(pool.driver, pool.namespace, pool.config))
        if config is None or pool.driver != credential.driver:
            continue
        known = (schemas.node_fields(pool.driver) if schemas else None) or {}
        used = template_content(config.config, pool)
        for name in sorted(used.keys() & credential.data.keys()):
            value, own = used[name], credential.text(name)
            if own:
                differs = isinstance(value, list) or to_text(value) != own
                if differs or name not in known or not is_set(known[name].default):
                    found.append(HiddenField(pool, name, differs))
    return found


def pools_with(credential: CloudCredential, pools: t.Iterable[MachinePool]) -> list[MachinePool]:
    """Return the pools whose new machines are created with a credential."""
    return [
        pool for pool in pools
        if pool.credential == credential.full_id
        or (pool.namespace == CREDENTIAL_NAMESPACE and pool.credential == credential.id)
    ]


def new_machine_problems(
    credential: CloudCredential, changed: t.Collection[str], pools: t.Iterable[MachinePool],
    configs: Mapping[str, MachineConfig], schemas: DriverSchemas | None,
) -> list[str]:
    """Return why new machines would not work with other values of the fields ``changed``, one sentence per field.

    A machine config that hides one of these fields keeps the old value, and one that hides another field of the
    credential with another value combines the new key with it.
    """
    reasons = []
    for hidden in hidden_fields(credential, pools_with(credential, pools), configs, schemas):
        pool = hidden.pool
        if hidden.name in changed or hidden.differs:
            reasons.append(
                f"{pool.kind} {pool.namespace}/{pool.config} sets {hidden.name} itself, so new machines of pool {pool} "
                f"would not get the {'new value' if hidden.name in changed else 'value'} of the credential"
            )
    return reasons


def with_defaults(config: MachineConfig, fields: Fields) -> MachineConfig:
    """Return a machine config with the defaults that the API server sets for absent fields."""
    defaults = {name: item.default for name, item in fields.items() if item.default is not None}
    return replace(config, config={**defaults, **config.config})


def show_machine_config(config: MachineConfig, fields: Fields | None) -> dict[str, t.Any]:
    """Return what results show: the values of public fields that are set, and the names of all others."""
    names = sorted(name for name, value in config.config.items() if is_set(value))
    public = [name for name in names if fields and name in fields and not fields[name].secret]
    return {
        "id": f"{config.namespace}/{config.name}", "name": config.name, "namespace": config.namespace,
        "driver": config.driver, "kind": config.kind, "config": {name: config.config[name] for name in public},
        "secret_fields": [name for name in names if name not in public], "cluster": config.cluster,
        "kept": config.kept, "orphan": config.is_orphan, "created_at": config.created_at,
    }
