# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The module machine_config."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import replace

from .._common.errors import ApiError, RanchhandError
from .._common.options import WAIT, OptionSpec, single_or_list
from .._kubernetes.client import KubernetesClient, name_in_path
from .._kubernetes.connection import CONNECTION
from .._rancher.cloud_credential import CloudCredential
from .._rancher.driver_schema import DriverSchemas
from .._rancher.machine_config import (
    KEEPER,
    MACHINE_CONFIGS_PATH,
    MachineConfig,
    parse_machine_config,
    show_machine_config,
)
from .._rancher.queries import (
    get_or_none,
    list_cloud_credentials,
    list_machine_pools,
    read_machine_config_fields,
    read_machine_config_kinds,
    read_machine_configs,
)
from .._rancher.references import ReferenceIndex, referenced_name
from .._runtime.execute import Connect, RunMode
from .catalog import Catalog
from .cloud_credential_plan import credential_catalog
from .desired import DesiredMachineConfig
from .machine_config_plan import (
    MACHINE_CONFIG_CALL_OPTIONS,
    MachineConfigChange,
    ObservedMachineConfigs,
    machine_config_catalog,
    parse_desired_machine_configs,
    plan_machine_configs,
    pool_references,
    warnings_of,
    with_keeper,
)
from .reconciler import Reconciler
from .report import report

MACHINE_CONFIG_ITEM = OptionSpec({
    "name": {"type": "str"},
    "namespace": {"type": "str", "default": "fleet-default"},
    "driver": {"type": "str"},
    "config": {"type": "dict"},
    "secrets": {"type": "dict", "no_log": True},
    "inline_secrets": {"type": "bool", "default": False, "no_log": False},
    "update_secrets": {"type": "str", "choices": ["always", "on_create"], "default": "always", "no_log": False},
    "cloud_credential": {"type": "str"},
    "cluster": {"type": "str"},
    "creator_rbac": {"type": "bool", "default": True},
    "keep": {"type": "bool"},
    "labels": {"type": "dict"},
    "annotations": {"type": "dict"},
    "on_use": {"type": "str", "choices": ["refuse", "roll"], "default": "refuse"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "force": {"type": "bool", "default": False},
}).merge(WAIT)
MACHINE_CONFIG = single_or_list(CONNECTION, MACHINE_CONFIG_ITEM, "machine_configs", MACHINE_CONFIG_CALL_OPTIONS)


def manage_machine_configs(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """Create, update and delete machine configs."""
    desired = parse_desired_machine_configs(params)
    many = params.get("machine_configs") is not None
    if not desired:
        return {"changed": False, "machine_configs": []}
    reconciler = MachineConfigReconciler(connect(), desired)
    changes = reconciler.run(mode)
    observed = reconciler.observed
    reconciler.warnings += warnings_of(changes)

    def show(config: MachineConfig, schemas: DriverSchemas | None) -> dict[str, t.Any]:
        return show_machine_config(config, observed.fields.get(config.driver))

    return report(changes, reconciler.warnings, observed.schemas, show, mode, "machine_config", many)


class MachineConfigReconciler(Reconciler[DesiredMachineConfig, MachineConfig]):
    """Reconciles the machine configs of one call, of any driver and namespace."""

    path = MACHINE_CONFIGS_PATH
    observed: ObservedMachineConfigs

    def __init__(self, client: KubernetesClient, desired: t.Sequence[DesiredMachineConfig]) -> None:
        super().__init__(client, desired)
        self._namespaces = sorted({item.namespace for item in desired})
        self._drivers = sorted({(item.driver or "").lower() for item in desired})

    def new_catalog(self, stored: t.Iterable[MachineConfig]) -> Catalog[MachineConfig]:
        return machine_config_catalog(stored)

    def parse(self, item: Mapping[str, t.Any]) -> MachineConfig:
        return parse_machine_config(item, item["kind"])

    def path_of(self, stored: MachineConfig) -> str:
        return (
            f"{MACHINE_CONFIGS_PATH}/namespaces/{name_in_path(stored.namespace)}/{stored.kind.lower()}s/"
            f"{name_in_path(stored.name)}"
        )

    def observe(self) -> ObservedMachineConfigs:
        kinds = read_machine_config_kinds(self.client)
        configs, schemas, pools, credentials, keepers = self.client.parallel_reads(
            lambda: self._find_configs(kinds), self.schemas, self._pools, self._credentials, self._keepers,
        )
        drivers = [driver for driver in self._drivers if driver in kinds] if schemas else []
        fields = self.client.parallel_map(
            lambda driver: read_machine_config_fields(self.client, driver, kinds[driver], schemas), drivers,
        )
        # pylint does not see the fields of a generic base class
        return ObservedMachineConfigs(  # pylint: disable=redundant-keyword-arg
            machine_config_catalog(configs), schemas, kinds=kinds, fields=dict(zip(drivers, fields)), pools=pools,
            credentials=credentials, keepers=keepers,
        )

    def _find_configs(self, kinds: Mapping[str, str]) -> list[MachineConfig]:
        """Read the machine configs of the items; those of a driver that is not active do not exist."""
        names: dict[tuple[str, str], set[str]] = {}
        for item in self.desired:
            kind = kinds.get((item.driver or "").lower())
            if kind:
                names.setdefault((item.namespace, kind), set()).add(item.name or "")
        found = self.client.parallel_map(
            lambda key: read_machine_configs(self.client, *key, names=names[key]), list(names),
        )
        return [config for configs in found for config in configs]

    def _pools(self) -> dict[str, t.Any]:
        found = self.client.parallel_map(lambda name: list_machine_pools(self.client, name), self._namespaces)
        return dict(zip(self._namespaces, found))

    def _credentials(self) -> Catalog[CloudCredential]:
        """Read the credentials that items name; all of them for a name, or an id without its namespace."""
        names = {item.cloud_credential.strip() for item in self.desired if item.cloud_credential}
        ids = [referenced_name(name, None) for name in names if name]
        if not ids:
            return credential_catalog()
        only = None if None in ids else {identifier for identifier in ids if identifier}
        return credential_catalog(list_cloud_credentials(self.client, only))

    def _keepers(self) -> dict[str, str]:
        namespaces = sorted({item.namespace for item in self.desired if item.keep and item.state == "present"})
        found = self.client.parallel_map(lambda name: get_or_none(self.client, _keeper_path(name)), namespaces)
        return {name: item["metadata"]["uid"] for name, item in zip(namespaces, found) if item}

    def read_references(self) -> ReferenceIndex:
        return pool_references(self._pools())

    def plan(
        self, desired: t.Sequence[DesiredMachineConfig], stored: Catalog[MachineConfig],
        references: ReferenceIndex | None = None,
    ) -> list[MachineConfigChange]:
        return plan_machine_configs(desired, replace(self.observed, stored=stored), references)

    def _plan_again(self, change: MachineConfigChange) -> MachineConfigChange:
        """Plan an item again with the pools as they are now: one of them may have adopted the machine config."""
        self.observed = replace(self.observed, pools=self._pools())
        return super()._plan_again(change)

    def apply(self, changes: list[MachineConfigChange]) -> list[MachineConfigChange]:
        """Write all changes; names are unique, so no concurrent run can have created a second object."""
        return self.write_all(self._with_keepers(changes))

    def _with_keepers(self, changes: list[MachineConfigChange]) -> list[MachineConfigChange]:
        """Create the ConfigMaps that keep machine configs, where there are none, and refer to them."""
        missing = sorted({
            change.desired.namespace for change in changes
            if change.action in ("created", "updated") and change.desired.keep
            and change.desired.namespace not in self.observed.keepers
        })
        created = dict(zip(missing, self.client.parallel_map(self._create_keeper, missing)))
        self.observed = replace(self.observed, keepers={**self.observed.keepers, **created})
        return [
            with_keeper(change, created[change.desired.namespace]) if change.desired.namespace in created else change
            for change in changes
        ]

    def _create_keeper(self, namespace: str) -> str:
        path, _slash, name = _keeper_path(namespace).rpartition("/")
        body = {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
            "data": {"README": "Owns machine configs that no cluster uses yet, so that Rancher does not delete them. "
                               "If this ConfigMap is deleted, the machine configs are deleted too."},
        }
        try:
            stored = self.client.post(path, body)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            stored = self.client.get(f"{path}/{name}")
        return str(stored["metadata"]["uid"])

    def create(self, change: MachineConfigChange) -> MachineConfigChange:
        """Create a machine config; if another client has just created it, plan the item again."""
        path = self.path_of(change.created)
        try:
            stored = self.client.post(path.rpartition("/")[0], change.body, fieldValidation="Strict")
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        else:
            return replace(change, after=self.parse(stored))
        existing = get_or_none(self.client, path)
        if existing is None:
            raise RanchhandError("conflict", f"{change.created.full_id} was deleted by another client during this run; "
                                             "run again")
        planned, = self.plan([change.desired], self.new_catalog([self.parse(existing)]))
        if planned.action == "unchanged":  # the reply to this run's request was lost
            return replace(planned, action="created", changed_fields=change.changed_fields)
        return self.write(planned)


def _keeper_path(namespace: str) -> str:
    return f"/api/v1/namespaces/{name_in_path(namespace)}/configmaps/{KEEPER}"
