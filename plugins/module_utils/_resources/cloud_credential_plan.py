# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a cloud credential is, and what to do so that it becomes what is wanted.

PRIVATE to the collection. Pure: neither Ansible nor a cluster is needed.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .._common.errors import RanchhandError, ValidationErrors
from .._common.text import base64_encode, same_json
from .._rancher.annotations import (
    AZURE_TENANT_ANNOTATIONS,
    CREATOR_ID,
    CREATOR_LABEL,
    DESCRIPTION,
    DISPLAY_NAME,
    ROTATED_AT,
    ROTATED_FIELDS,
    UI_DRIVER,
)
from .._rancher.cloud_credential import (
    CREDENTIAL_KIND,
    CloudCredential,
    SECRET_LIMIT,
    UI_DRIVER_NAMES,
    harvester_token_id,
)
from .._rancher.driver_schema import (
    CheckedConfig,
    DriverSchemas,
    Fields,
    check_config,
    missing_fields,
    to_stored_text,
)
from .._rancher.metadata import (
    ANNOTATIONS_LIMIT,
    changed_entries,
    merge_entries,
)
from .._rancher.references import CREDENTIAL_NAMESPACE, ReferenceIndex
from .._rancher.users import Users
from .catalog import Catalog
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
)


def parse_desired_credentials(params: Mapping[str, t.Any]) -> list[DesiredObject]:
    """What the parsed options ask for; raises Mistakes."""
    mistakes: list[str] = []
    result = []
    for where, item in list_items(params, "credentials"):
        arguments, wrong = common_fields(where, item, CREDENTIAL_NAMESPACE)
        mistakes += wrong
        result.append(DesiredObject(**arguments))
    if mistakes:
        raise ValidationErrors(mistakes)
    return result


NO_CREDENTIALS = Catalog(CREDENTIAL_KIND, CREDENTIAL_NAMESPACE)


@dataclass(frozen=True)
class ObservedCredentials:
    """What a cluster holds; ``schemas`` None where they were not read, ``me`` the connection's own Rancher user if it has one."""

    stored: Catalog = NO_CREDENTIALS
    schemas: DriverSchemas | None = None
    users: Users = Users(())
    me: str | None = None


def plan_cloud_credentials(desired: t.Sequence[DesiredObject], observed: ObservedCredentials, references: ReferenceIndex | None = None) -> list[Change]:
    """What to do about each of the wanted credentials, in their order.

    Without ``references`` no removal is planned beyond finding out what it would remove. Raises Mistakes for all items together
    if there is a mistake in any; ``in_use`` is no mistake, but makes its own item ``refused``.
    """
    def plan_one(one: DesiredObject) -> Change:
        current = observed.stored.match(one, observed.users)
        if one.state == "absent":
            used_by = references.references_to(current) if references and current else None
            return plan_removal(one, current, used_by, references.unlisted if references else (), CREDENTIAL_KIND)
        return _plan_update(one, current, observed) if current else _plan_creation(one, observed)

    changes, errors = plan_each(desired, plan_one)
    errors += find_duplicates(changes) + _shared_tokens(changes, observed)
    if errors:
        raise combine_errors(errors)
    return changes


def _fields_for(desired: DesiredObject, driver: str, observed: ObservedCredentials) -> Fields | None:
    return schema_fields(
        desired, observed.schemas, lambda schemas: schemas.credential_fields(driver),
        f"the schema of driver {driver} has no credential fields; validate_config: false stores what is given",
    )


def _checked(fields: Fields | None, public: Mapping[str, t.Any], secret: Mapping[str, t.Any], creating: bool) -> CheckedConfig:
    config, mistakes = check_config(fields, public, secret, to_stored_text)
    mistakes += missing_fields(fields, config, creating)
    if mistakes:
        raise ValidationErrors(mistakes)
    return config


def _plan_creation(desired: DesiredObject, observed: ObservedCredentials) -> Change:
    owner = new_owner(desired, observed.users, observed.me, CREDENTIAL_KIND, [] if desired.config or desired.secrets else ["config and secrets are required"])
    fields = _fields_for(desired, desired.driver, observed)
    config = _checked(fields, desired.config, desired.secrets, creating=True)
    # Norman stores the default of every field that has one, "" included (norman parse/builder/builder.go); static types have none
    defaults = {name: str(one.default) for name, one in (fields or {}).items() if one.default is not None}
    texts = merge_entries(defaults, config.values)
    if not texts:
        raise RanchhandError("invalid", "a new cloud credential needs at least one field in config or secrets")
    data = {name: base64_encode(text) for name, text in texts.items()}
    annotations = merge_entries({
        CREATOR_ID: owner, DISPLAY_NAME: desired.name or "", UI_DRIVER: UI_DRIVER_NAMES.get(desired.driver, desired.driver),
        **({DESCRIPTION: desired.description} if desired.description else {}),
    }, desired.annotations)
    labels = merge_entries(CREATOR_LABEL, desired.labels)
    after = CloudCredential(
        id="", uid="", resource_version="", name=desired.name or "", driver=desired.driver, owner=owner,
        description=desired.description or "", created_at=None, labels=labels, annotations=annotations, data=data,
    )
    _check_sizes(after, texts)
    body = {
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": CREDENTIAL_NAMESPACE, "generateName": "cc-", "labels": labels, "annotations": annotations},
        "data": {_key(desired.driver, name): value for name, value in data.items()},
    }
    fields_set = [name for name in ("name", "driver", "owner", "description", "labels", "annotations") if getattr(desired, name)]
    return Change(desired, "created", after=after, body=body, changed_fields=tuple(sorted({"name", "driver", "owner", *fields_set, *texts})))


def _key(driver: str, name: str) -> str:
    return f"{driver}credentialConfig-{name}"


def _plan_update(desired: DesiredObject, current: CloudCredential, observed: ObservedCredentials) -> Change:
    refuse_deleting(current)
    refuse_other_driver(desired, current, CREDENTIAL_KIND)
    if current.driver is None:
        raise RanchhandError("invalid", f"{current.full_id} {current.problem}; repair or delete it first")

    annotations: dict[str, str | None] = dict(changed_entries(desired.annotations, current.annotations))
    changed = ["annotations"] if annotations else []
    labels = changed_entries(desired.labels, current.labels)
    if labels:
        changed.append("labels")
    if desired.name is not None and desired.name != current.name:
        annotations[DISPLAY_NAME] = desired.name
        changed.append("name")
    if desired.description is not None and desired.description != current.description:
        annotations[DESCRIPTION] = desired.description or None
        changed.append("description")
    owner = current.owner if desired.owner in (None, current.owner) else observed.users.find(desired.owner)
    if owner != current.owner:
        annotations[CREATOR_ID] = owner
        changed.append("owner")

    rotated = {name for name in current.annotations.get(ROTATED_FIELDS, "").split(",") if name}
    secrets, public = desired.secrets, desired.config
    if desired.update_secrets == "on_create":
        # the public half of a rotated key belongs to the secret one
        secrets, public = {}, {name: value for name, value in public.items() if name not in rotated}
    data: dict[str, str | None] = {}
    if public or secrets:
        fields = _fields_for(desired, current.driver, observed)
        config = _checked(fields, public, secrets, creating=False)
        for name, text in config.values.items():
            if text is None and name in current.data:
                data[name] = None
            elif text is not None and not _same(text, current, name, name in config.as_json):
                data[name] = base64_encode(text)
    overwritten = sorted(rotated & set(data))
    if overwritten and not desired.force:
        raise RanchhandError(
            "conflict", f"{', '.join(overwritten)} of {current.full_id} are kept by cloud_credential_rotation, since {current.annotations.get(ROTATED_AT)}, "
                        "and would be replaced by another key: leave them out, or update_secrets: on_create, or force: true if that is what you want"
        )
    changed += data
    if current.driver == "azure" and "subscriptionId" in data:
        annotations.update({key: None for key in AZURE_TENANT_ANNOTATIONS if key in current.annotations})
    if not changed:
        return Change(desired, "unchanged", before=current, after=current)

    after = replace(
        current, name=desired.name or current.name, owner=owner,
        description=current.description if desired.description is None else desired.description,
        labels=merge_entries(current.labels, labels), annotations=merge_entries(current.annotations, annotations), data=merge_entries(current.data, data),
    )
    if not after.data:
        raise RanchhandError("invalid", f"{current.full_id} would have no field left; delete it instead")
    _check_sizes(after, {name: after.text(name) for name in after.data})
    body: dict[str, t.Any] = {"metadata": {"uid": current.uid, "resourceVersion": current.resource_version}}
    if annotations:
        body["metadata"]["annotations"] = annotations
    if labels:
        body["metadata"]["labels"] = labels
    if data:
        body["data"] = {_key(current.driver, name): value for name, value in data.items()}
    return Change(desired, "updated", before=current, after=after, body=body, changed_fields=tuple(sorted(changed)))


def _same(text: str, current: CloudCredential, name: str, as_json: bool) -> bool:
    if name not in current.data:
        return False
    stored = current.text(name)
    return same_json(text, stored) if as_json else stored == text


def _check_sizes(after: CloudCredential, texts: Mapping[str, str]) -> None:
    size = sum(len(text.encode()) for text in texts.values())
    if size > SECRET_LIMIT:
        raise RanchhandError("invalid", f"the fields have {size} bytes together; a Secret takes {SECRET_LIMIT}")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in after.annotations.items())
    if size > ANNOTATIONS_LIMIT:
        raise RanchhandError("invalid", f"name, description and annotations have {size} bytes together; Kubernetes takes {ANNOTATIONS_LIMIT}")


def _shared_tokens(changes: t.Sequence[Change], observed: ObservedCredentials) -> list[tuple[str, RanchhandError]]:
    """Harvester tokens that would be in two credentials: Rancher deletes the token with the first of them."""
    errors = []
    new_tokens = [change for change in changes if change.writes and change.after and "kubeconfigContent" in change.changed_fields]
    if not new_tokens:
        return []
    renewed = {change.before.id for change in new_tokens if change.before}  # but none that is deleted: its token goes with it
    tokens = {harvester_token_id(one): one.full_id for one in observed.stored.by_id.values() if one.id not in renewed}
    for change in new_tokens:
        token = harvester_token_id(change.after) if change.after else None
        if token and token in tokens:
            errors.append((change.desired.where, RanchhandError(
                "invalid", f"secrets.kubeconfigContent has the same Harvester token as {tokens[token]}; each credential needs one of its own, "
                           "as Rancher deletes the token together with the credential"
            )))
        tokens[token] = change.desired.where.rstrip(": ")
    return errors
