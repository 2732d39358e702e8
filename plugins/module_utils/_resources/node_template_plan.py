# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Planning of node templates: options to desired templates, and desired templates to changes.

Pure.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._common.errors import RanchhandError, ValidationErrors
from .._common.text import to_text
from .._rancher.annotations import BINDINGS_CREATED, CREATOR_ID, CREATOR_LABEL
from .._rancher.cloud_credential import CloudCredential
from .._rancher.driver_schema import (
    CheckedConfig,
    DriverSchemas,
    Fields,
    check_config,
    missing_fields,
    to_typed_value,
)
from .._rancher.metadata import merge_entries
from .._rancher.node_template import (
    LAST_RANCHER_VERSION,
    SPEC_OPTIONS,
    TEMPLATE_KIND,
    NodeTemplate,
    node_template_object,
    parse_node_template,
)
from .._rancher.references import (
    CREDENTIAL_NAMESPACE,
    TEMPLATE_NAMESPACE,
    ReferenceIndex,
    credential_id,
    referenced_name,
)
from .catalog import Catalog
from .cloud_credential_plan import credential_catalog
from .desired import CALL_OPTIONS, DesiredNodeTemplate, list_items, parse_common_options
from .differences import (
    ANNOTATIONS,
    FieldDifference,
    MetadataPaths,
    apply_merge_patch,
    compare,
    compare_config,
    compare_entries,
    compare_metadata,
    without_nulls,
)
from .planning import (
    Change,
    Observed,
    check_not_deleting,
    check_updatable,
    check_with_errors,
    combine_errors,
    desired_owner,
    fields_to_validate,
    new_owner,
    plan_objects,
    plan_update,
)

TEMPLATE_CALL_OPTIONS = (*CALL_OPTIONS, "rancher_version")
_PATHS = MetadataPaths(
    name=("spec", "displayName"), description=("spec", "description"), owner=(*ANNOTATIONS, CREATOR_ID),
)
_CREDENTIAL_PATH = ("spec", "cloudCredentialName")
TemplateChange = Change[DesiredNodeTemplate, NodeTemplate]


def parse_desired_node_templates(params: Mapping[str, t.Any]) -> list[DesiredNodeTemplate]:
    """Parse options that are typed already; raises ValidationErrors."""
    errors: list[str] = []
    result = []
    for where, item in list_items(params, "node_templates", TEMPLATE_CALL_OPTIONS):
        arguments, item_errors = parse_common_options(where, item, TEMPLATE_NAMESPACE)
        spec, spec_errors = _parse_spec(item)
        if item.get("cloud_credential") is not None and not item["cloud_credential"].strip():
            spec_errors.append("cloud_credential must not be empty")
        errors += item_errors + [where + error for error in spec_errors]
        result.append(DesiredNodeTemplate(
            **arguments, spec=spec, cloud_credential=item.get("cloud_credential"),
            rancher_version=item.get("rancher_version"),
        ))
    if errors:
        raise ValidationErrors(errors)
    return result


def _parse_spec(item: Mapping[str, t.Any]) -> tuple[dict[str, t.Any], list[str]]:
    """Return the values of the options of SPEC_OPTIONS, and the validation errors."""
    spec = {}
    errors = []
    for option, (_key, form) in SPEC_OPTIONS.items():
        if item.get(option) is not None:
            try:
                spec[option] = _parse_spec_value(form, item[option])
            except ValueError as error:
                errors.append(f"{option} {error}")
    return spec, errors


def _parse_spec_value(form: str, value: t.Any) -> t.Any:
    if form == "map":
        return {key: None if element is None else to_text(element) for key, element in value.items()}
    if form == "list":
        return [without_nulls(element) if isinstance(element, Mapping) else to_text(element) for element in value]
    return to_text(value) if form == "text" else value


def template_catalog(templates: t.Iterable[NodeTemplate] = ()) -> Catalog[NodeTemplate]:
    """Return a catalog of node templates."""
    return Catalog(TEMPLATE_KIND, TEMPLATE_NAMESPACE, templates)


@dataclass(frozen=True)
class ObservedNodeTemplates(Observed[NodeTemplate]):
    """What planning needs of a cluster; ``version`` is Rancher's major and minor version, None if it is unknown."""

    credentials: Catalog[CloudCredential] = field(default_factory=credential_catalog)
    version: tuple[int, int] | None = None


def plan_node_templates(
    desired: t.Sequence[DesiredNodeTemplate], observed: ObservedNodeTemplates, references: ReferenceIndex | None = None,
) -> list[TemplateChange]:
    """Plan the changes of all desired node templates, in their order; otherwise like plan_cloud_credentials."""
    if any(item.state == "present" for item in desired):
        _check_version(observed.version)

    def plan_present(item: DesiredNodeTemplate, current: NodeTemplate | None) -> TemplateChange:
        return _plan_update(item, current, observed) if current else _plan_creation(item, observed)

    changes, errors = plan_objects(desired, observed.stored, observed.users, references, plan_present)
    if errors:
        raise combine_errors(errors)
    return changes


def _check_version(version: tuple[int, int] | None) -> None:
    """Raise RanchhandError (``unsupported``) if Rancher may not support node templates."""
    if version is None:
        raise RanchhandError(
            "unsupported", "cannot write node templates: the version of this Rancher is unknown (setting "
                           "server-version), and "
                           "Rancher 2.12 or newer does not start while a node template exists. If this Rancher is "
                           "older, set "
                           "rancher_version"
        )
    if version > LAST_RANCHER_VERSION:
        raise RanchhandError(
            "unsupported", f"cannot write node templates: Rancher {version[0]}.{version[1]} does not support RKE1 and "
                           "would not "
                           "start again while a node template exists. Listing and deleting node templates works"
        )


def _find_credential(
    desired: DesiredNodeTemplate, name_or_id: str, driver: str, owner: str | None, observed: ObservedNodeTemplates,
) -> CloudCredential:
    """Return the credential with a name or id; raises RanchhandError if the node template cannot use it."""
    identifier = credential_id(name_or_id)
    by_id = observed.credentials.by_id.get(identifier or name_or_id)
    found = [] if by_id is None else [by_id]
    if identifier is None:  # names contain any characters, and other owners cannot make an id ambiguous
        named = observed.credentials.named(name_or_id, driver, owner if desired.validate_config else None)
        if not named and not found:
            named = observed.credentials.named(name_or_id)
        found += [credential for credential in named if credential is not by_id]
    credential = observed.credentials.single(found, name_or_id)
    if credential is None:
        raise RanchhandError("not_found", f'cloud_credential "{name_or_id:.80}" does not exist, neither as a name nor '
                                          'as an id')
    if credential.driver != driver:
        raise RanchhandError(
            "invalid", f"cloud_credential {credential.full_id} is of driver {credential.driver}; a node template of "
                       "driver "
                       f"{driver} needs a credential of this driver"
        )
    if desired.validate_config and credential.owner != owner:
        raise RanchhandError(
            "invalid", f"cloud_credential {credential.full_id} belongs to {credential.owner}, the node template to "
                       f"{owner}; set "
                       "validate_config: false to allow different owners"
        )
    check_not_deleting(credential)
    return credential


def _check_fields(
    desired: DesiredNodeTemplate, driver: str, observed: ObservedNodeTemplates, secrets: Mapping[str, t.Any],
    covered: t.Collection[str], creating: bool,
) -> tuple[Fields, CheckedConfig]:
    """Return the driver's fields that can be set, if they were validated, and the values to store.

    ``covered`` are the fields that the cloud credential provides.
    """
    fields = fields_to_validate(
        desired, observed.schemas, lambda schemas: schemas.node_fields(driver),
        f"driver {driver:.60} has no schema for node templates in this Rancher; check that it is active",
    )
    config, errors = check_config(fields, desired.config, secrets, to_typed_value)
    own_fields = {name: item for name, item in (fields or {}).items() if name not in covered}
    errors += missing_fields(own_fields, config, creating)
    errors += [
        f"{name} comes from the cloud credential; remove it from the node template"
        for name in config.values if name in covered
    ]
    if errors:
        raise ValidationErrors(errors)
    return own_fields, config


def _check_creation(
    desired: DesiredNodeTemplate, driver: str, owner: str, observed: ObservedNodeTemplates, complete: bool,
) -> tuple[CloudCredential | None, Fields, CheckedConfig]:
    """Return the cloud credential of a new node template, and what _check_fields returns.

    Unless ``complete``, and without an owner, who decides which credential a name means, required fields may be absent.
    """
    credential = None
    if desired.cloud_credential and owner:
        credential = _find_credential(desired, desired.cloud_credential.strip(), driver, owner, observed)
    covered = frozenset(credential.data) if credential else frozenset()
    creating = complete and (credential is not None or not desired.cloud_credential)
    return (credential, *_check_fields(desired, driver, observed, desired.secrets, covered, creating))


def _plan_creation(desired: DesiredNodeTemplate, observed: ObservedNodeTemplates) -> TemplateChange:
    complete = desired.config or desired.secrets or desired.cloud_credential
    missing = [] if complete else ["config or cloud_credential is required"]
    owner, errors = new_owner(desired, observed.users, observed.own_user, TEMPLATE_KIND, missing)
    driver = desired.driver or ""
    credential, fields, checked = check_with_errors(
        errors, lambda: _check_creation(desired, driver, owner, observed, complete=not missing),
    )
    defaults = {name: item.default for name, item in fields.items() if item.default is not None}
    config = apply_merge_patch(defaults, checked.values)
    if not config:
        raise RanchhandError("invalid", "config must not be empty: Rancher would not pass the cloud credential to the "
                                        "machines")
    body: dict[str, t.Any] = {
        "apiVersion": "management.cattle.io/v3", "kind": "NodeTemplate",
        "metadata": {
            "namespace": TEMPLATE_NAMESPACE, "generateName": "nt-",
            "labels": merge_entries(CREATOR_LABEL, desired.labels),
            "annotations": merge_entries({CREATOR_ID: owner}, desired.annotations),
        },
        "spec": _new_spec(desired, driver, credential), f"{driver}Config": config,
    }
    metadata = {**body["metadata"], "name": "", "uid": "", "resourceVersion": ""}
    after = parse_node_template({**body, "metadata": metadata})
    options = [name for name in ("description", "labels", "annotations", "cloud_credential") if getattr(desired, name)]
    changed = {"name", "driver", "owner", *options, *desired.spec, *config}
    return Change(desired, "created", after=after, body=body, changed_fields=tuple(sorted(changed)))


def _new_spec(desired: DesiredNodeTemplate, driver: str, credential: CloudCredential | None) -> dict[str, t.Any]:
    spec: dict[str, t.Any] = {"displayName": desired.name, "driver": driver, "useInternalIpAddress": True}
    if desired.description:
        spec["description"] = desired.description
    if credential:
        spec["cloudCredentialName"] = credential.full_id
    for option, value in desired.spec.items():
        if value != "":
            spec[SPEC_OPTIONS[option][0]] = without_nulls(value) if isinstance(value, Mapping) else value
    return spec


def _plan_update(
    desired: DesiredNodeTemplate, current: NodeTemplate, observed: ObservedNodeTemplates,
) -> TemplateChange:
    driver = check_updatable(desired, current, TEMPLATE_KIND)
    owner = desired_owner(desired, current, observed.users)
    differences = compare_metadata(desired, current, owner, _PATHS)
    if owner != current.owner:
        differences += compare(None, (*ANNOTATIONS, BINDINGS_CREATED), None, current.annotations.get(BINDINGS_CREATED))
    for option, value in desired.spec.items():
        differences += _compare_spec_option(option, value, current.spec)
    config_key = f"{driver}Config"
    credential = None
    stored = referenced_name(current.credential, TEMPLATE_NAMESPACE) if owner != current.owner else None
    name_or_id = desired.cloud_credential or (f"{CREDENTIAL_NAMESPACE}:{stored}" if stored else "")
    if name_or_id:
        credential = _find_credential(desired, name_or_id.strip(), driver, owner, observed)
        if referenced_name(current.credential, TEMPLATE_NAMESPACE) != credential.id:
            differences.append(FieldDifference("cloud_credential", _CREDENTIAL_PATH, credential.full_id))
            for name in credential.data:
                differences += compare(name, (config_key, name), None, current.config.get(name))
    secrets = desired.secrets if desired.update_secrets == "always" else {}
    if desired.config or secrets:
        covered = credential.data if credential else _covered_fields(current, driver, observed.schemas)
        _fields, config = _check_fields(desired, driver, observed, secrets, covered, creating=False)
        differences += compare_config(config, current.config, lambda name: (config_key, name))

    def patched(patch: Mapping[str, t.Any]) -> NodeTemplate:
        after = parse_node_template(apply_merge_patch(node_template_object(current), patch))
        if not after.config:
            raise RanchhandError(
                "invalid", f"{config_key} of {current.full_id} would be empty: Rancher would not pass the "
                           "cloud credential to the machines. Keep at least one field"
            )
        return after

    return plan_update(desired, current, differences, patched)


def _covered_fields(current: NodeTemplate, driver: str, schemas: DriverSchemas | None) -> t.Collection[str]:
    """Return the fields that the current cloud credential of a node template provides."""
    return (schemas.known_fields(driver) or ()) if current.credential and schemas else ()


def _compare_spec_option(option: str, value: t.Any, spec: Mapping[str, t.Any]) -> list[FieldDifference]:
    key, form = SPEC_OPTIONS[option]
    stored = spec.get(key)
    path = ("spec", key)
    if form == "map":
        return compare_entries(option, path, value, stored if isinstance(stored, Mapping) else {})
    if form == "text":
        return compare(option, path, value or None, stored or None)
    return compare(option, path, value, (stored or []) if form == "list" else stored)
