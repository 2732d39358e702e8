# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Planning of machine configs: options to desired machine configs, and desired machine configs to changes.

Pure.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .._common.errors import RanchhandError, ValidationErrors
from .._common.text import trim
from .._rancher.annotations import CREATOR_ID
from .._rancher.cloud_credential import CloudCredential
from .._rancher.driver_schema import CheckedConfig, Fields, check_config, to_typed_value
from .._rancher.machine_config import (
    KEEPER,
    MACHINE_CONFIG_KIND,
    NO_CREATOR_RBAC,
    MachineConfig,
    ignored_fields,
    is_keeper,
    is_set,
    machine_config_id,
    machine_config_object,
    parse_machine_config,
    pools_of,
    template_content,
    with_defaults,
)
from .._rancher.machine_pools import MACHINE_CONFIG_API_VERSION, MachinePool
from .._rancher.metadata import parse_entries
from .._rancher.references import CREDENTIAL_NAMESPACE, Finding, Reference, ReferenceIndex, referenced_name
from .._rancher.users import Users
from .catalog import Catalog, Selector
from .cloud_credential_plan import credential_catalog
from .desired import DesiredMachineConfig, list_items
from .differences import (
    ANNOTATIONS,
    LABELS,
    FieldDifference,
    apply_merge_patch,
    compare,
    compare_config,
    compare_entries,
    without_nulls,
)
from .planning import Change, Observed, check_not_deleting, combine_errors, plan_objects, plan_update

MACHINE_CONFIG_CALL_OPTIONS = (
    "state", "force", "update_secrets", "wait", "wait_timeout", "wait_sleep", "namespace", "driver", "inline_secrets",
    "creator_rbac", "keep", "on_use",
)
MachineConfigChange = Change[DesiredMachineConfig, MachineConfig]
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_WITHOUT_EFFECT = ("common", "providerID")
_OWNER_REFERENCES = ("metadata", "ownerReferences")
_CLEAR_TEXT = (
    "Rancher stores the password fields of a machine config in clear text: in the machine config, in every machine "
    "template and machine that is created from it, and in the arguments of the Jobs that create machines, where "
    "members of the cluster can read them. Store them in a cloud credential, or set inline_secrets: true"
)


def parse_desired_machine_configs(params: Mapping[str, t.Any]) -> list[DesiredMachineConfig]:
    """Parse options that are typed already; raises ValidationErrors."""
    errors: list[str] = []
    result = []
    for where, item in list_items(params, "machine_configs", MACHINE_CONFIG_CALL_OPTIONS):
        names, item_errors = _parse_names(item)
        labels, label_errors = parse_entries("labels", item.get("labels"))
        annotations, annotation_errors = _parse_annotations(item.get("annotations"))
        present = item["state"] == "present"
        if present and item.get("secrets") and not item["inline_secrets"]:
            item_errors.append(f"secrets ({', '.join(sorted(item['secrets']))}) are refused: {_CLEAR_TEXT}")
        errors += [where + error for error in item_errors + label_errors + annotation_errors]
        result.append(DesiredMachineConfig(
            where=where, **names, id=machine_config_id(names["driver"], names["namespace"], names["name"]), owner=None,
            description=None, labels=labels, annotations=annotations, config=item.get("config") or {},
            secrets=item.get("secrets") or {}, cloud_credential=item.get("cloud_credential"),
            cluster=item.get("cluster"),
            **{option: item[option] for option in MACHINE_CONFIG_CALL_OPTIONS if option not in names},
        ))
    if errors:
        raise ValidationErrors(errors)
    return result


def _parse_names(item: Mapping[str, t.Any]) -> tuple[dict[str, t.Any], list[str]]:
    """Return name, namespace and driver, and the validation errors."""
    names: dict[str, t.Any] = {option: trim(item.get(option) or "") for option in ("name", "namespace", "driver")}
    errors = [f"{option} is required" for option in ("name", "driver") if not names[option]]
    errors += [
        f"{option} must be a Kubernetes object name: at most 253 lower case letters, digits, - and ."
        for option in ("name", "namespace") if names[option] and not _OBJECT_NAME.fullmatch(names[option])
    ]
    if item.get("cloud_credential") is not None and not item["cloud_credential"].strip():
        errors.append("cloud_credential must not be empty")
    return names, errors


def _parse_annotations(values: Mapping[str, t.Any] | None) -> tuple[dict[str, str | None], list[str]]:
    if values and CREATOR_ID in values:
        return {}, [
            f"annotations: {CREATOR_ID} is set by Rancher's webhook to the user of the connection; a machine config "
            "has no other owner"
        ]
    if values and NO_CREATOR_RBAC in values:
        return {}, [f"annotations: {NO_CREATOR_RBAC} is reserved by Rancher; set the option creator_rbac instead"]
    return parse_entries("annotations", values)


class MachineConfigCatalog(Catalog[MachineConfig]):
    """The machine configs of all drivers and namespaces that a task names."""

    def find(self, selector: Selector, users: Users) -> MachineConfig | None:
        return self.by_id.get(selector.id or "")


def machine_config_catalog(configs: t.Iterable[MachineConfig] = ()) -> MachineConfigCatalog:
    """Return a catalog of machine configs."""
    return MachineConfigCatalog(MACHINE_CONFIG_KIND, "", configs)


@dataclass(frozen=True)
class ObservedMachineConfigs(Observed[MachineConfig]):
    """What planning needs of a cluster.

    ``kinds`` are the kinds of the active drivers, ``fields`` those of their machine configs. ``pools`` are the machine
    pools by namespace, None if the connection may not list clusters there. ``keepers`` are the uids of the ConfigMaps
    that keep machine configs, by namespace.
    """

    kinds: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Fields | None] = field(default_factory=dict)
    pools: Mapping[str, t.Sequence[MachinePool] | None] = field(default_factory=dict)
    credentials: Catalog[CloudCredential] = field(default_factory=credential_catalog)
    keepers: Mapping[str, str] = field(default_factory=dict)


def pool_references(pools: Mapping[str, t.Sequence[MachinePool] | None]) -> ReferenceIndex:
    """Return the references of machine pools to machine configs, by the id of the machine config."""
    findings: list[Finding] = []
    for found in pools.values():
        for pool in found or ():
            key = machine_config_id(pool.driver, pool.namespace, pool.config)
            findings.append((key, Reference(
                "Cluster", "provisioning.cattle.io/v1", pool.namespace, pool.cluster,
                "spec.rkeConfig.machinePools[].machineConfigRef", "pool", (pool.name,),
            )))
    unlisted = ["clusters.provisioning.cattle.io"] if None in pools.values() else []
    return ReferenceIndex(findings, unlisted)


def plan_machine_configs(
    desired: t.Sequence[DesiredMachineConfig], observed: ObservedMachineConfigs,
    references: ReferenceIndex | None = None,
) -> list[MachineConfigChange]:
    """Plan the changes of all desired machine configs, in their order; otherwise like plan_cloud_credentials."""
    def plan_present(item: DesiredMachineConfig, current: MachineConfig | None) -> MachineConfigChange:
        kind = _kind(item, observed)
        return _plan_update(item, current, observed) if current else _plan_creation(item, kind, observed)

    changes, errors = plan_objects(desired, observed.stored, observed.users, references, plan_present)
    if errors:
        raise combine_errors(errors)
    return [_with_reason(change) for change in changes]


def _with_reason(change: MachineConfigChange) -> MachineConfigChange:
    """Return a refused deletion with the reason for the refusal."""
    if change.error is None or change.desired.state == "present":
        return change
    message = f"{change.error.message}. Without it, Rancher applies no change of the cluster at all"
    return replace(change, error=RanchhandError(change.error.code, message))


def _kind(desired: DesiredMachineConfig, observed: ObservedMachineConfigs) -> str:
    kind = observed.kinds.get((desired.driver or "").lower())
    if kind is None:
        raise RanchhandError(
            "unsupported", f"driver {desired.driver:.60} has no machine configs in this Rancher, as it is not active; "
                           f"the drivers with machine configs are {', '.join(sorted(observed.kinds)) or 'none'}"
        )
    return kind


def _check_fields(
    desired: DesiredMachineConfig, secrets: Mapping[str, t.Any], observed: ObservedMachineConfigs,
) -> tuple[Fields, CheckedConfig]:
    """Return the fields of the driver, and the values to store, with those that the cloud credential requires."""
    driver = (desired.driver or "").lower()
    if observed.schemas is None:
        raise RanchhandError(
            "forbidden", "cannot check which fields of the driver are secret: this connection may not list "
                         "dynamicschemas.management.cattle.io. Grant it the verb list"
        )
    fields = observed.fields.get(driver)
    if fields is None:
        raise RanchhandError("invalid", f"driver {driver:.60} has no schema in this Rancher; check that it is active")
    useless = [name for name in _WITHOUT_EFFECT if name in desired.config]
    config = {name: value for name, value in desired.config.items() if name not in useless}
    checked, errors = check_config(fields, config, secrets, to_typed_value)
    errors += [f"config.{name} has no effect: Rancher replaces it with the values of the pool" for name in useless]
    if desired.cloud_credential:
        credential = _find_credential(desired, driver, observed)
        covered, required = _covered_fields(credential, fields)
        errors += [
            f"{name} comes from the cloud credential, and would hide its value; remove it from the machine config"
            for name in checked.values if name in covered
        ]
        for name, value in required.items():
            set_value = checked.values.setdefault(name, value)
            if set_value != value:
                errors.append(
                    f"config.{name} differs from the cloud credential {credential.full_id}; set it to the same value "
                    "or remove it"
                )
    if errors:
        raise ValidationErrors(errors)
    return fields, checked


def _find_credential(
    desired: DesiredMachineConfig, driver: str, observed: ObservedMachineConfigs,
) -> CloudCredential:
    name = trim(desired.cloud_credential or "")
    identifier = referenced_name(name, CREDENTIAL_NAMESPACE)
    catalog = observed.credentials
    found = [catalog.by_id[identifier]] if identifier in catalog.by_id else []
    if not found and ":" not in name:
        found = catalog.named(name, driver) or catalog.named(name)
    credential = catalog.single(found, name)
    if credential is None:
        message = f'cloud_credential "{name:.80}" does not exist, neither as a name nor as an id'
        raise RanchhandError("not_found", message)
    if credential.driver != driver:
        raise RanchhandError(
            "invalid", f"cloud_credential {credential.full_id} is of driver {credential.driver}; a pool of driver "
                       f"{driver:.60} needs a credential of this driver, which Rancher does not check"
        )
    check_not_deleting(credential)
    return credential


def _covered_fields(credential: CloudCredential, fields: Fields) -> tuple[set[str], dict[str, t.Any]]:
    """Return the fields that only the credential sets, and those that the machine config has to repeat.

    A machine config always sets a field with a default, and its value takes precedence over that of the credential:
    ``environment`` of azure and ``vcenterPort`` of vmwarevsphere.
    """
    covered, required = set(), {}
    for name in credential.data:
        if name not in fields:
            continue
        if not is_set(fields[name].default):
            covered.add(name)
        elif credential.text(name):
            required[name] = credential.text(name)
    return covered, required


def _plan_creation(desired: DesiredMachineConfig, kind: str, observed: ObservedMachineConfigs) -> MachineConfigChange:
    fields, checked = _check_fields(desired, desired.secrets, observed)
    own = {} if desired.creator_rbac else {NO_CREATOR_RBAC: "true"}
    metadata: dict[str, t.Any] = {
        "namespace": desired.namespace, "name": desired.name, "labels": without_nulls(desired.labels),
        "annotations": {**own, **without_nulls(desired.annotations)},
    }
    if desired.keep:
        metadata["ownerReferences"] = [_keeper(desired, observed)]
    config = without_nulls(checked.values)
    body = {"apiVersion": MACHINE_CONFIG_API_VERSION, "kind": kind, "metadata": metadata, **config}
    stored = {**body, "metadata": {**metadata, "uid": "", "resourceVersion": ""}}
    after = with_defaults(parse_machine_config(stored, kind), fields)
    options = [name for name in ("labels", "annotations", "keep") if getattr(desired, name)]
    changed = {"name", "namespace", "driver", *options, *config}
    change: MachineConfigChange = Change(
        desired, "created", after=after, body=body, changed_fields=tuple(sorted(changed)),
    )
    return _with_details(change, observed, checked.values)


def _keeper(desired: DesiredMachineConfig, observed: ObservedMachineConfigs) -> dict[str, t.Any]:
    """Return an ownerReference to the ConfigMap that keeps machine configs; its uid is "" if it does not exist yet."""
    uid = observed.keepers.get(desired.namespace, "")
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": KEEPER, "uid": uid}


def with_keeper(change: MachineConfigChange, uid: str) -> MachineConfigChange:
    """Return a change that refers to the ConfigMap that keeps machine configs by its uid."""
    metadata = change.body.get("metadata", {})
    owners = [
        {**owner, "uid": uid} if is_keeper(owner) else owner for owner in metadata.get("ownerReferences") or ()
    ]
    if not owners:
        return change
    return replace(change, body={**change.body, "metadata": {**metadata, "ownerReferences": owners}})


def _plan_update(
    desired: DesiredMachineConfig, current: MachineConfig, observed: ObservedMachineConfigs,
) -> MachineConfigChange:
    check_not_deleting(current)
    if desired.cluster and current.cluster not in (None, desired.cluster):
        raise RanchhandError(
            "conflict", f"{current.full_id} belongs to cluster {current.cluster}, not to {desired.cluster:.80}: "
                        "Rancher allows only one cluster to use a machine config. Use another name"
        )
    secrets = desired.secrets if desired.update_secrets == "always" else {}
    fields, checked = _check_fields(desired, secrets, observed)
    # null restores the default
    values = {
        name: fields[name].default if value is None else value for name, value in checked.values.items()
    }
    differences = compare_entries("annotations", ANNOTATIONS, desired.annotations, current.annotations)
    differences += compare_entries("labels", LABELS, desired.labels, current.labels)
    differences += compare_config(CheckedConfig(values, checked.as_json), current.config, lambda name: (name,))
    differences += _compare_keeper(desired, current, observed)

    def patched(patch: Mapping[str, t.Any]) -> MachineConfig:
        after = parse_machine_config(apply_merge_patch(machine_config_object(current), patch), current.kind)
        return with_defaults(after, fields)

    return _with_details(plan_update(desired, current, differences, patched), observed, checked.values)


def _compare_keeper(
    desired: DesiredMachineConfig, current: MachineConfig, observed: ObservedMachineConfigs,
) -> list[FieldDifference]:
    if desired.keep is None or desired.keep == current.kept:
        return []
    owners = [owner for owner in current.owner_references if not is_keeper(owner)]
    if desired.keep:
        owners.append(_keeper(desired, observed))
    return compare("keep", _OWNER_REFERENCES, owners or None, list(current.owner_references))


def _with_details(
    change: MachineConfigChange, observed: ObservedMachineConfigs, values: Mapping[str, t.Any],
) -> MachineConfigChange:
    """Return a change with the pools that it concerns; refused if it replaces nodes and may not."""
    after = change.created
    known = observed.pools.get(after.namespace)
    pools = pools_of(after, known or ())
    would_roll = [
        str(pool) for pool in pools
        if change.before is not None and pool.has_machines
        and template_content(change.before.config, pool) != template_content(after.config, pool)
    ]
    ignored = {str(pool): ignored_fields({**after.config, **values}, pool) for pool in pools}
    ignored = {pool: [name for name in names if name in values] for pool, names in ignored.items()}
    details = {
        "pools": [str(pool) for pool in pools], "would_roll": would_roll,
        "ignored_fields": [{"pool": pool, "fields": names} for pool, names in ignored.items() if names],
    }
    change = replace(change, details=details)
    if change.action != "updated" or change.desired.on_use == "roll":
        return change
    if would_roll:
        return replace(change, action="refused", after=change.before, changed_fields=(), error=RanchhandError(
            "in_use", f'cannot change machine config "{after.name}" ({after.full_id}): a change of '
                      f"{', '.join(change.changed_fields)} would replace all nodes of pool {', '.join(would_roll)}. "
                      "Set on_use: roll to replace them, or use another machine config"
        ))
    if known is None and change.before and change.before.config != after.config:
        raise RanchhandError(
            "forbidden", f"cannot change {after.full_id}: this connection may not list clusters.provisioning.cattle.io "
                         f"in namespace {after.namespace}, so it is unknown which pools would get new nodes. Grant it "
                         "the verb list, or set on_use: roll"
        )
    return change


def warnings_of(changes: t.Iterable[MachineConfigChange]) -> list[str]:
    """Return warnings about machine configs that Rancher deletes, and about fields that pools ignore."""
    warnings = []
    for change in changes:
        after = change.after
        if after is None or change.desired.state != "present" or change.error:
            continue
        if after.is_orphan and not change.details["pools"]:
            warnings.append(
                f"{after.full_id} has no owner: Rancher's nightly clean-up deletes it when it is older than an hour, "
                "unless a pool uses it by then. Set keep: true to keep it"
            )
        for entry in change.details["ignored_fields"]:
            warnings.append(
                f"pool {entry['pool']} ignores {', '.join(entry['fields'])} of {after.full_id}: the pool is older than "
                "these fields of the driver. Use a new pool"
            )
    return warnings
