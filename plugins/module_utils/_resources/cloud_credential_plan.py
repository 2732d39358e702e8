# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Planning of cloud credentials: options to desired credentials, and desired credentials to changes.

Pure.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from .._common.errors import RanchhandError, ValidationErrors
from .._common.text import base64_encode
from .._rancher.annotations import (
    AZURE_TENANT_ANNOTATIONS,
    CREATOR_ID,
    CREATOR_LABEL,
    DESCRIPTION,
    DISPLAY_NAME,
    ROTATED_AT,
    ROTATED_FIELDS,
    TOKEN_EXPIRES_AT,
    UI_DRIVER,
)
from .._rancher.cloud_credential import (
    CREDENTIAL_KIND,
    SECRET_LIMIT,
    UI_DRIVER_NAMES,
    CloudCredential,
    credential_secret,
    data_key,
    harvester_token_id,
    parse_cloud_credential,
)
from .._rancher.driver_schema import (
    CheckedConfig,
    Fields,
    check_config,
    missing_fields,
    to_stored_text,
)
from .._rancher.metadata import ANNOTATIONS_LIMIT, merge_entries
from .._rancher.references import CREDENTIAL_NAMESPACE, ReferenceIndex
from .catalog import Catalog
from .desired import CALL_OPTIONS, DesiredCredential, list_items, parse_common_options
from .differences import (
    ANNOTATIONS,
    FieldDifference,
    MetadataPaths,
    apply_merge_patch,
    changed_options,
    compare,
    compare_config,
    compare_metadata,
)
from .planning import (
    Change,
    ItemError,
    Observed,
    check_updatable,
    check_with_errors,
    combine_errors,
    desired_owner,
    fields_to_validate,
    new_owner,
    plan_objects,
    plan_update,
)

CREDENTIAL_CALL_OPTIONS = (*CALL_OPTIONS, "overwrite_rotated", "verify", "verify_options")
_PATHS = MetadataPaths(
    name=(*ANNOTATIONS, DISPLAY_NAME), description=(*ANNOTATIONS, DESCRIPTION), owner=(*ANNOTATIONS, CREATOR_ID),
)
CredentialChange = Change[DesiredCredential, CloudCredential]
ObservedCredentials = Observed[CloudCredential]


def parse_desired_credentials(params: Mapping[str, t.Any]) -> list[DesiredCredential]:
    """Parse options that are typed already; raises ValidationErrors."""
    errors: list[str] = []
    result = []
    for where, item in list_items(params, "credentials", CREDENTIAL_CALL_OPTIONS):
        arguments, item_errors = parse_common_options(where, item, CREDENTIAL_NAMESPACE)
        errors += item_errors
        result.append(DesiredCredential(
            **arguments, overwrite_rotated=item["overwrite_rotated"], verify=item["verify"],
            verify_options=item["verify_options"] or {},
        ))
    if errors:
        raise ValidationErrors(errors)
    return result


def credential_catalog(credentials: t.Iterable[CloudCredential] = ()) -> Catalog[CloudCredential]:
    """Return a catalog of cloud credentials."""
    return Catalog(CREDENTIAL_KIND, CREDENTIAL_NAMESPACE, credentials)


def plan_cloud_credentials(
    desired: t.Sequence[DesiredCredential], observed: ObservedCredentials, references: ReferenceIndex | None = None,
) -> list[CredentialChange]:
    """Plan the changes of all desired credentials, in their order.

    Without ``references``, a deletion is planned as if nothing referred to the credential. Raises ValidationErrors for
    all items together; a credential in use is not a validation error, but makes its own item ``refused``.
    """
    def plan_present(item: DesiredCredential, current: CloudCredential | None) -> CredentialChange:
        return _plan_update(item, current, observed) if current else _plan_creation(item, observed)

    changes, errors = plan_objects(desired, observed.stored, observed.users, references, plan_present)
    errors += _shared_harvester_tokens(changes, observed)
    if errors:
        raise combine_errors(errors)
    return changes


def _check_fields(
    desired: DesiredCredential, driver: str, observed: ObservedCredentials, public: Mapping[str, t.Any],
    secret: Mapping[str, t.Any], creating: bool,
) -> tuple[Fields | None, CheckedConfig]:
    """Return the driver's fields, if they were validated, and the values to store."""
    fields = fields_to_validate(
        desired, observed.schemas, lambda schemas: schemas.credential_fields(driver),
        f"the schema of driver {driver} has no credential fields; set validate_config: false to store the values "
        "unchecked",
    )
    config, errors = check_config(fields, public, secret, to_stored_text)
    errors += missing_fields(fields, config, creating)
    errors += [
        f"{name:.60} cannot be a field of a cloud credential: Rancher does not read fields whose name contains a dash"
        for name in config.values if "-" in name
    ]
    if errors:
        raise ValidationErrors(errors)
    return fields, config


def _plan_creation(desired: DesiredCredential, observed: ObservedCredentials) -> CredentialChange:
    missing = [] if desired.config or desired.secrets else ["config and secrets are required"]
    owner, errors = new_owner(desired, observed.users, observed.own_user, CREDENTIAL_KIND, missing)
    driver = desired.driver or ""
    fields, config = check_with_errors(errors, lambda: _check_fields(
        desired, driver, observed, desired.config, desired.secrets, creating=not missing,
    ))
    # Norman stores the default of each field that has one, "" included (norman parse/builder/builder.go); static types
    # have none.
    defaults = {name: str(item.default) for name, item in (fields or {}).items() if item.default is not None}
    texts = merge_entries(defaults, config.values)
    if not texts:
        raise RanchhandError("invalid", "a new cloud credential needs at least one field in config or secrets")
    annotations = merge_entries({
        CREATOR_ID: owner, DISPLAY_NAME: desired.name or "", UI_DRIVER: UI_DRIVER_NAMES.get(driver, driver),
        **({DESCRIPTION: desired.description} if desired.description else {}),
    }, desired.annotations)
    body: dict[str, t.Any] = {
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {
            "namespace": CREDENTIAL_NAMESPACE, "generateName": "cc-",
            "labels": merge_entries(CREATOR_LABEL, desired.labels), "annotations": annotations,
        },
        "data": {data_key(driver, name): base64_encode(text) for name, text in texts.items()},
    }
    metadata = {**body["metadata"], "name": "", "uid": "", "resourceVersion": ""}
    after = parse_cloud_credential({**body, "metadata": metadata})
    if after is None or after.driver != driver:  # the next run would not find it and create another one
        raise RanchhandError(
            "invalid", f"driver {driver:.60} cannot have credentials: Rancher does not read a Secret whose driver "
                       "contains a dash or ends in Config"
        )
    _check_sizes(after)
    options = [name for name in ("description", "labels", "annotations") if getattr(desired, name)]
    changed = {"name", "driver", "owner", *options, *texts}
    return Change(desired, "created", after=after, body=body, changed_fields=tuple(sorted(changed)))


def _plan_update(
    desired: DesiredCredential, current: CloudCredential, observed: ObservedCredentials,
) -> CredentialChange:
    driver = check_updatable(desired, current, CREDENTIAL_KIND)
    differences = compare_metadata(desired, current, desired_owner(desired, current, observed.users), _PATHS)
    fields = _field_differences(desired, current, driver, observed)
    if driver == "azure" and "subscriptionId" in changed_options(fields):
        for key in AZURE_TENANT_ANNOTATIONS:
            differences += compare(None, (*ANNOTATIONS, key), None, current.annotations.get(key))
    if "kubeconfigContent" in changed_options(fields) and TOKEN_EXPIRES_AT not in desired.annotations:
        differences += compare(None, (*ANNOTATIONS, TOKEN_EXPIRES_AT), None, current.annotations.get(TOKEN_EXPIRES_AT))

    def patched(patch: Mapping[str, t.Any]) -> CloudCredential:
        after = parse_cloud_credential(apply_merge_patch(credential_secret(current), patch))
        if after is None:
            raise RanchhandError("invalid", f"{current.full_id} would have no field left; delete it instead")
        _check_sizes(after)
        return after

    return plan_update(desired, current, differences + fields, patched)


def _field_differences(
    desired: DesiredCredential, current: CloudCredential, driver: str, observed: ObservedCredentials,
) -> list[FieldDifference]:
    """Compare the driver's fields.

    Raises RanchhandError (``conflict``) for fields that cloud_credential_rotation keeps.
    """
    rotated = {name for name in current.annotations.get(ROTATED_FIELDS, "").split(",") if name}
    secrets, public = desired.secrets, desired.config
    if desired.update_secrets == "on_create":
        # the public part of a rotated key, such as the id of an access key, belongs to its secret part
        secrets, public = {}, {name: value for name, value in public.items() if name not in rotated}
    if not public and not secrets:
        return []
    _fields, config = _check_fields(desired, driver, observed, public, secrets, creating=False)
    stored = {name: current.text(name) for name in config.values if name in current.data}
    differences = compare_config(config, stored, lambda name: ("data", data_key(driver, name)), base64_encode)
    overwritten = sorted(rotated & changed_options(differences))
    if overwritten and not desired.overwrite_rotated:
        raise RanchhandError(
            "conflict", f'cannot change {", ".join(overwritten)} of cloud credential "{current.name:.80}" '
                        f"({current.full_id}): cloud_credential_rotation keeps this key since "
                        f"{current.annotations.get(ROTATED_AT, 'an unknown time'):.40}, and a former value would bring "
                        "the old key back. "
                        "Remove the fields from the task or set update_secrets: on_create, or set "
                        "overwrite_rotated: true to replace the rotated key"
        )
    return differences


def _check_sizes(credential: CloudCredential) -> None:
    size = sum(len(credential.text(name).encode()) for name in credential.data)
    if size > SECRET_LIMIT:
        raise RanchhandError("invalid", f"all fields together have {size} bytes; the limit of a Secret is "
                                        f"{SECRET_LIMIT}")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in credential.annotations.items())
    if size > ANNOTATIONS_LIMIT:
        raise RanchhandError(
            "invalid", f"name, description and annotations together have {size} bytes; the limit of Kubernetes is "
                       f"{ANNOTATIONS_LIMIT}"
        )


def _shared_harvester_tokens(changes: t.Sequence[CredentialChange], observed: ObservedCredentials) -> list[ItemError]:
    """Refuse Harvester tokens that two credentials would have: Rancher deletes the token with the first of them."""
    errors: list[ItemError] = []
    with_token = [change for change in changes if "kubeconfigContent" in change.changed_fields]
    if not with_token:
        return []
    replaced = {change.before.id for change in with_token if change.before}
    users_of_token = {
        harvester_token_id(credential): credential.full_id for credential in observed.stored.by_id.values()
        if credential.id not in replaced
    }
    for change in with_token:
        token = harvester_token_id(change.created)
        if token and token in users_of_token:
            errors.append((change.desired.where, RanchhandError(
                "invalid", f"secrets.kubeconfigContent has the same Harvester token as {users_of_token[token]}; "
                           "Rancher deletes "
                           "the token together with the credential, so each credential needs its own"
            )))
        users_of_token[token] = change.desired.where.rstrip(": ")
    return errors
