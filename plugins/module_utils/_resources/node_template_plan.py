# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a node template is, and what to do so that it becomes what is wanted.

PRIVATE to the collection. Pure: neither Ansible nor a cluster is needed.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .._common.errors import RanchhandError, ValidationErrors
from .._common.text import same_json, to_text
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
from .._rancher.metadata import changed_entries, merge_entries
from .._rancher.node_template import (
    LAST_RANCHER_VERSION,
    NodeTemplate,
    SPEC_OPTIONS,
    TEMPLATE_KIND,
    parse_node_template,
)
from .._rancher.references import CREDENTIAL_NAMESPACE, ReferenceIndex, TEMPLATE_NAMESPACE, referenced_name
from .._rancher.users import Users
from .catalog import Catalog
from .cloud_credential_plan import NO_CREDENTIALS
from .planning import (
    Change,
    DesiredObject,
    combine_errors,
    common_fields,
    find_duplicates,
    list_items,
    new_owner,
    plan_each,
    plan_removal,
    refuse_deleting,
    refuse_other_driver,
    schema_fields,
    without_nulls,
)


@dataclass(frozen=True)
class DesiredNodeTemplate(DesiredObject):
    """What a playbook asks for, of one node template; ``spec`` holds its options of SPEC_OPTIONS, null entries of maps included."""

    cloud_credential: str | None = None
    rancher_version: str | None = None
    spec: Mapping[str, t.Any] = field(default_factory=dict, repr=False)


def parse_desired_node_templates(params: Mapping[str, t.Any]) -> list[DesiredNodeTemplate]:
    """What the parsed options ask for; raises Mistakes."""
    mistakes: list[str] = []
    result = []
    for where, item in list_items(params, "node_templates", NODE_TEMPLATE_CALL_OPTIONS):
        arguments, wrong = common_fields(where, item, TEMPLATE_NAMESPACE)
        spec = {}
        for option, (_key, form) in SPEC_OPTIONS.items():
            if item.get(option) is not None:
                try:
                    spec[option] = _spec_value(form, item[option])
                except ValueError as error:
                    wrong.append(f"{where}{option} {error}")
        if item.get("cloud_credential") is not None and not item["cloud_credential"].strip():
            wrong.append(f"{where}cloud_credential must not be empty")
        mistakes += wrong
        result.append(DesiredNodeTemplate(
            **arguments, spec=spec, cloud_credential=item.get("cloud_credential"), rancher_version=item.get("rancher_version"),
        ))
    if mistakes:
        raise ValidationErrors(mistakes)
    return result


NODE_TEMPLATE_CALL_OPTIONS = ("state", "force", "update_secrets", "validate_config", "wait", "wait_timeout", "wait_sleep", "rancher_version")


def _spec_value(form: str, value: t.Any) -> t.Any:
    if form == "map":
        return {key: None if element is None else to_text(element) for key, element in value.items()}
    if form == "list":
        return [without_nulls(element) if isinstance(element, Mapping) else to_text(element) for element in value]
    return to_text(value) if form == "text" else value


@dataclass(frozen=True)
class ObservedNodeTemplates:
    """What a cluster holds; ``version`` is Rancher's major and minor, None where it is not known."""

    stored: Catalog = Catalog(TEMPLATE_KIND, TEMPLATE_NAMESPACE)
    credentials: Catalog = NO_CREDENTIALS
    schemas: DriverSchemas | None = None
    users: Users = Users(())
    me: str | None = None
    version: tuple[int, int] | None = None


def plan_node_templates(desired: t.Sequence[DesiredNodeTemplate], observed: ObservedNodeTemplates, references: ReferenceIndex | None = None) -> list[Change]:
    """What to do about each of the wanted node templates, in their order; otherwise as for credentials."""
    def plan_one(one: DesiredNodeTemplate) -> Change:
        if one.state == "present":
            _refuse_version(observed.version)
        current = observed.stored.match(one, observed.users)
        if one.state == "absent":
            used_by = references.references_to(current) if references and current else None
            return plan_removal(one, current, used_by, references.unlisted if references else (), TEMPLATE_KIND)
        return _plan_update(one, current, observed) if current else _plan_creation(one, observed)

    changes, errors = plan_each(desired, plan_one)
    errors += find_duplicates(changes)
    if errors:
        raise combine_errors(errors)
    return changes


def _refuse_version(version: tuple[int, int] | None) -> None:
    if version is None:
        raise RanchhandError(
            "unsupported", "the version of this Rancher cannot be told (setting server-version), and from 2.12 on a node template would keep it "
                           "from starting; give rancher_version if you know it to be older"
        )
    if version > LAST_RANCHER_VERSION:
        raise RanchhandError(
            "unsupported", f"Rancher {version[0]}.{version[1]} has no RKE1 any more: it would not start again while there is a node template; "
                           "listing and removing them works"
        )


def _credential(desired: DesiredNodeTemplate, driver: str, owner: str | None, observed: ObservedNodeTemplates) -> CloudCredential:
    """The credential that is asked for by name or id, checked; raises RanchhandError."""
    asked = (desired.cloud_credential or "").strip()
    identifier = referenced_name(asked, CREDENTIAL_NAMESPACE)
    found = [observed.credentials.by_id[identifier]] if identifier in observed.credentials.by_id else []
    if ":" not in asked:
        narrow = (driver, owner) if desired.validate_config else (driver, None)
        named = observed.credentials.named(asked, *narrow) or observed.credentials.named(asked)
        found += [one for one in named if one not in found]
    credential: CloudCredential | None = observed.credentials.the_one(found, asked)
    if credential is None:
        raise RanchhandError("not_found", f"cloud_credential {asked:.80} does not exist, neither as a name nor as an id")
    if credential.driver != driver:
        raise RanchhandError("invalid", f"cloud_credential {credential.full_id} is of driver {credential.driver}; its machines could not be made with {driver}")
    if desired.validate_config and credential.owner != owner:
        raise RanchhandError(
            "invalid", f"cloud_credential {credential.full_id} belongs to {credential.owner}, the node template to {owner}; "
                       "validate_config: false lets that pass"
        )
    refuse_deleting(credential)
    return credential


def _fields_for(desired: DesiredNodeTemplate, driver: str, observed: ObservedNodeTemplates) -> Fields | None:
    return schema_fields(
        desired, observed.schemas, lambda schemas: schemas.node_fields(driver),
        f"driver {driver:.60} has no schema for node templates in this Rancher; is it active?",
    )


def _checked(
    fields: Fields | None, covered: t.Collection[str], public: Mapping[str, t.Any], secret: Mapping[str, t.Any], creating: bool
) -> CheckedConfig:
    config, mistakes = check_config(fields, public, secret, to_typed_value)
    mistakes += missing_fields({name: one for name, one in (fields or {}).items() if name not in covered}, config, creating)
    mistakes += [f"{name} comes from the cloud credential and does not belong in a node template that uses one" for name in config.values if name in covered]
    if mistakes:
        raise ValidationErrors(mistakes)
    return config


def _plan_creation(desired: DesiredNodeTemplate, observed: ObservedNodeTemplates) -> Change:
    owner = new_owner(desired, observed.users, observed.me, TEMPLATE_KIND, [] if desired.config or desired.secrets or desired.cloud_credential
                      else ["config or cloud_credential is required"])
    driver = desired.driver or ""
    credential = _credential(desired, driver, owner, observed) if desired.cloud_credential else None
    covered = frozenset(credential.data) if credential else frozenset()
    fields = _fields_for(desired, driver, observed)
    checked = _checked(fields, covered, desired.config, desired.secrets, creating=True)
    defaults = {name: one.default for name, one in (fields or {}).items() if name not in covered and one.default is not None}
    config = merge_patched(defaults, checked.values)
    if not config:
        raise RanchhandError("invalid", "config must not be empty: Rancher would not give the credential to the machines")
    spec = {
        "displayName": desired.name, "driver": driver, "useInternalIpAddress": True,
        **({"description": desired.description} if desired.description else {}),
        **({"cloudCredentialName": credential.full_id} if credential else {}),
        **{SPEC_OPTIONS[option][0]: without_nulls(value) if isinstance(value, Mapping) else value for option, value in desired.spec.items() if value != ""},
    }
    annotations = merge_entries({CREATOR_ID: owner}, desired.annotations)
    labels = merge_entries(CREATOR_LABEL, desired.labels)
    body = {
        "apiVersion": "management.cattle.io/v3", "kind": "NodeTemplate",
        "metadata": {"namespace": TEMPLATE_NAMESPACE, "generateName": "nt-", "labels": labels, "annotations": annotations},
        "spec": spec, f"{driver}Config": config,
    }
    after = parse_node_template({**body, "metadata": {**body["metadata"], "name": "", "uid": "", "resourceVersion": ""}})
    set_options = [name for name in ("description", "labels", "annotations", "cloud_credential") if getattr(desired, name)]
    changed = {"name", "driver", "owner", *set_options, *desired.spec, *config}
    return Change(desired, "created", after=after, body=body, changed_fields=tuple(sorted(changed)))


def _plan_update(desired: DesiredNodeTemplate, current: NodeTemplate, observed: ObservedNodeTemplates) -> Change:
    refuse_deleting(current)
    refuse_other_driver(desired, current, TEMPLATE_KIND)
    if current.driver is None:
        raise RanchhandError("invalid", f"{current.full_id} {current.problem}; repair or delete it first")
    annotations: dict[str, str | None] = dict(changed_entries(desired.annotations, current.annotations))
    changed = ["annotations"] if annotations else []
    labels = changed_entries(desired.labels, current.labels)
    if labels:
        changed.append("labels")
    owner = current.owner if desired.owner in (None, current.owner) else observed.users.find(desired.owner)
    if owner != current.owner:
        annotations.update({CREATOR_ID: owner, **({BINDINGS_CREATED: None} if BINDINGS_CREATED in current.annotations else {})})
        changed.append("owner")

    spec: dict[str, t.Any] = {}
    if desired.name is not None and desired.name != current.name:
        spec["displayName"] = desired.name
        changed.append("name")
    if desired.description is not None and desired.description != current.description:
        spec["description"] = desired.description or None
        changed.append("description")
    for option, value in desired.spec.items():
        key, form = SPEC_OPTIONS[option]
        difference = _spec_difference(form, value, current.spec.get(key))
        if difference is not _SAME:
            spec[key] = difference
            changed.append(option)

    config: dict[str, t.Any] = {}
    credential = None
    if desired.cloud_credential or (owner != current.owner and current.credential):
        wanted = desired if desired.cloud_credential else replace(desired, cloud_credential=current.credential)
        credential = _credential(wanted, current.driver, owner, observed)
        if referenced_name(current.credential, TEMPLATE_NAMESPACE) != credential.id:
            spec["cloudCredentialName"] = credential.full_id
            changed.append("cloud_credential")
            config.update({name: None for name in credential.data if name in current.config})
    secrets = desired.secrets if desired.update_secrets == "always" else {}
    if desired.config or secrets:
        fields = _fields_for(desired, current.driver, observed)
        covered = credential.data if credential else _covered(current, observed.schemas)
        checked = _checked(fields, covered, desired.config, secrets, creating=False)
        for name, value in checked.values.items():
            stored = current.config.get(name)
            if value != stored and not (name in checked.as_json and same_json(value, stored)):
                config[name] = value
    changed += config
    if not changed:
        return Change(desired, "unchanged", before=current, after=current)

    key = f"{current.driver}Config"
    body: dict[str, t.Any] = {"metadata": {"uid": current.uid, "resourceVersion": current.resource_version}}
    body["metadata"].update({kind: entries for kind, entries in (("annotations", annotations), ("labels", labels)) if entries})
    body.update({part: entries for part, entries in (("spec", spec), (key, config)) if entries})
    after = replace(
        current, name=spec.get("displayName", current.name), owner=owner, credential=spec.get("cloudCredentialName", current.credential),
        description=current.description if desired.description is None else desired.description,
        labels=merge_entries(current.labels, labels), annotations=merge_entries(current.annotations, annotations),
        config=merge_patched(current.config, config), spec=merge_patched(current.spec, spec),
    )
    if not after.config:
        raise RanchhandError("invalid", f"{key} of {current.full_id} would be empty: Rancher would not give the credential to the machines")
    return Change(desired, "updated", before=current, after=after, body=body, changed_fields=tuple(sorted(changed)))


def _covered(current: NodeTemplate, schemas: DriverSchemas | None) -> t.Collection[str]:
    if not current.credential or not schemas or not current.driver:
        return ()
    return schemas.known_fields(current.driver) or ()


_SAME = object()


def _spec_difference(form: str, value: t.Any, stored: t.Any) -> t.Any:
    """What a merge patch needs to make the stored value the wanted one; _SAME if nothing."""
    if form == "map":
        difference = {key: element for key, element in value.items() if (stored or {}).get(key) != element}
        return difference or _SAME
    if form == "text":
        return _SAME if value == (stored or "") else value or None
    return _SAME if value == (stored or [] if form == "list" else stored) else value


def merge_patched(stored: t.Any, patch: t.Any) -> t.Any:
    """What a JSON merge patch (RFC 7396) makes of a value."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(stored) if isinstance(stored, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patched(result.get(key), value)
    return result
