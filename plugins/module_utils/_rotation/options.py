# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The options of cloud_credential_rotation and cloud_credential_rotation_info."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._common.errors import ValidationErrors
from .._common.options import OptionSpec, single_or_list
from .._common.text import trim
from .._common.times import format_duration
from .._issuers.registry import ISSUERS, SUPPLIED, is_issuer_name
from .._kubernetes.connection import CONNECTION
from .._rancher.metadata import parse_display_name, parse_id
from .._rancher.references import CREDENTIAL_NAMESPACE
from .._resources.desired import list_items
from .._stores.registry import validate_stores
from .decisions import ROTATED, STATES
from .record import DIRECT, EXTERNAL

RECORD_NAMESPACE = "rancher-credential-rotation"
GATES = (
    "grace",
    "soak",
    "machine_jobs",
    "etcd_s3",
    "rke1_nodes",
    "rancher_version",
    "last_used",
    "confirmation",
    "other_writer",
    "shared_key",
    "machine_config",
    "external_store",
)
_MOST_PARALLEL = 32
_LONGEST_WAIT = 3600  # seconds; the unit of a longer one is wrong
# Characters; they are in each record, Event and line of the audit file.
_LONGEST_ID, _LONGEST_REASON, _LONGEST_OPTIONS = 128, 1000, 10000
_IDENTITY = OptionSpec({
    "name": {"type": "str"},
    "id": {"type": "str"},
    "driver": {"type": "str"},
    "owner": {"type": "str"},
})
_VALUES = OptionSpec({
    "config": {"type": "dict"},
    "secrets": {"type": "dict", "no_log": True},
})
# Set on the call, they apply to all items of a list.
_SETTINGS = OptionSpec({
    "issuer": {"type": "str"},
    "issuer_options": {"type": "dict"},
    "issuer_secrets": {"type": "dict", "no_log": True},
    "issuer_secrets_name": {"type": "str", "no_log": False},
    "state": {"type": "str", "choices": list(STATES), "default": ROTATED},
    "max_age": {"type": "duration"},
    "rotation_id": {"type": "str"},
    "reason": {"type": "str"},
    "grace": {"type": "duration"},
    "soak": {"type": "duration"},
    "drain": {"type": "duration", "default": "60s"},
    "verify_timeout": {"type": "duration", "default": "120s"},
    "on_verify_failure": {"type": "str", "choices": ["rollback", "stop"], "default": "rollback"},
    "orphan_policy": {"type": "str", "choices": ["evidence", "never"], "default": "evidence"},
    "shared_key": {"type": "str", "choices": ["refuse", "together"], "default": "refuse", "no_log": False},
    "pause_before_cutover": {"type": "bool", "default": False},
    "repair": {"type": "bool", "default": False},
    "old_key_removed": {"type": "bool", "default": False},
    "current_key_id": {"type": "str", "no_log": False},
    "assume_dead": {"type": "bool", "default": False},
    "override_gates": {"type": "list", "elements": "str", "default": []},
    "external_stores": {"type": "list", "elements": "dict"},
    "cutover": {"type": "str", "choices": [DIRECT, EXTERNAL]},
})
# Set on the call only, for all items: each item names its secrets.
_SECRETS_BY_NAME = ("issuer_secrets_by_name", "external_store_secrets")
_CALL = CONNECTION.merge(OptionSpec({
    "issuer_secrets_by_name": {"type": "dict", "no_log": True},
    "external_store_secrets": {"type": "dict", "no_log": True},
    "parallel": {"type": "int", "default": 8},
    "rate": {"type": "int", "default": 20},
    "namespace": {"type": "str", "default": RECORD_NAMESPACE},
    "audit_file": {"type": "path"},
}))
CLOUD_CREDENTIAL_ROTATION = single_or_list(
    _CALL, _IDENTITY.merge(_VALUES, _SETTINGS), "credentials", tuple(_SETTINGS.options)
)
CLOUD_CREDENTIAL_ROTATION_INFO = CONNECTION.merge(_IDENTITY, OptionSpec({
    "name_pattern": {"type": "str"},
    "labels": {"type": "dict"},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "max_age": {"type": "duration"},
    "gates": {"type": "bool", "default": False},
    "namespace": {"type": "str", "default": RECORD_NAMESPACE},
}))


@dataclass(frozen=True)
class DesiredRotation:
    """The options for one credential; durations are in seconds, ``where`` is the item of the list for messages.

    ``issuer_options`` is None if the task does not set them: then those of the record apply. ``supplied_options`` are
    those of the issuer supplied: never options that the call sets for the issuers of other items. ``issuer_secrets``
    are those of the item or the call, ``named_secrets`` those of ``issuer_secrets_by_name``.
    """

    where: str
    name: str | None
    id: str | None
    driver: str | None
    owner: str | None
    requested_state: str
    issuer: str | None
    issuer_options: Mapping[str, t.Any] | None = field(repr=False)
    supplied_options: Mapping[str, t.Any] | None = field(repr=False)
    issuer_secrets: Mapping[str, t.Any] = field(repr=False)
    issuer_secrets_name: str | None
    named_secrets: Mapping[str, t.Any] = field(repr=False)
    config: Mapping[str, str] = field(repr=False)
    secrets: Mapping[str, str] = field(repr=False)
    max_age: int | None
    rotation_id: str | None
    reason: str | None
    grace: int | None
    soak: int | None
    drain: int
    verify_timeout: int
    on_verify_failure: str
    orphan_policy: str
    shared_key: str
    pause_before_cutover: bool
    repair: bool
    old_key_removed: bool
    current_key_id: str | None
    assume_dead: bool
    override_gates: tuple[str, ...]
    external_stores: tuple[Mapping[str, t.Any], ...] | None
    cutover: str | None
    external_store_secrets: Mapping[str, Mapping[str, t.Any]] = field(repr=False)
    state = "present"  # of the credential, for Catalog.match()

    def other_settings(self, other: DesiredRotation) -> list[str]:
        """Return the options that credentials with one key must have in common, and that another item sets otherwise.
        """
        names = [name for name in (*_SETTINGS.options, *_VALUES.options) if name not in ("state", "issuer_secrets")]
        differing = [name for name in names if getattr(self, name) != getattr(other, name)]
        return (["state"] if self.requested_state != other.requested_state else []) + differing


_COPIED = tuple(
    name for name in _SETTINGS.options if name not in ("state", "issuer_secrets", "override_gates", "external_stores"))


def parse_rotations(params: Mapping[str, t.Any]) -> list[DesiredRotation]:
    """Validate parsed options. Raises ValidationErrors."""
    errors = [*validate_namespace(params["namespace"]), *_validate_call(params)]
    given = (
        [params] if params.get("credentials") is None else [item for item in params["credentials"] if item is not None]
    )
    result = []
    for own, (where, merged) in zip(given, list_items(params, "credentials", (*_SETTINGS.options, *_SECRETS_BY_NAME))):
        item = dict(merged)
        if (
            own.get("max_age") is not None or own.get("rotation_id") is not None
        ):  # either option of an item replaces both of the call
            item.update(max_age=own.get("max_age"), rotation_id=own.get("rotation_id"))
        try:
            invalid = {*getattr(params, "invalid", ()), *getattr(own, "invalid", ())}
            result.append(_parse_rotation(where, own, item, invalid))
        except ValidationErrors as error:
            errors += [where + message for message in error.messages]
    if errors:
        raise ValidationErrors(errors)
    return result


def _validate_call(params: Mapping[str, t.Any]) -> list[str]:
    errors = []
    if params["parallel"] is not None and not 1 <= params["parallel"] <= _MOST_PARALLEL:
        errors.append(f"parallel must be a number from 1 to {_MOST_PARALLEL}")
    if params["rate"] is not None and params["rate"] < 1:
        errors.append("rate must be at least 1")
    for option in _SECRETS_BY_NAME:
        for name, secrets in (params[option] or {}).items():
            if not isinstance(secrets, Mapping):
                errors.append(f"{option}: {name:.60} must be a mapping of secret options")
    return errors


def _parse_rotation(
    where: str, own: Mapping[str, t.Any], item: Mapping[str, t.Any], invalid: t.AbstractSet[str]
) -> DesiredRotation:
    """``invalid`` are the options whose values were reported already."""
    name, errors = parse_display_name(item.get("name"))
    identifier, id_errors = parse_id(item.get("id"), CREDENTIAL_NAMESPACE)
    config, config_errors = _parse_values("config", item.get("config"))
    secrets, secret_errors = _parse_values("secrets", item.get("secrets"))
    errors = [*errors, *id_errors, *_validate_identity(item), *_validate_start(item, invalid),
              *_validate_limits(item), *_validate_issuer(own, item), *_validate_gates(item["override_gates"]),
              *_validate_stores(item.get("external_stores")), *config_errors, *secret_errors]
    if errors:
        raise ValidationErrors(errors)
    return DesiredRotation(
        where=where,
        name=name,
        id=identifier,
        driver=item.get("driver"),
        owner=item.get("owner"),
        requested_state=item["state"],
        supplied_options=item.get("issuer_options") if _sets_supplied_options(own, item) else None,
        issuer_secrets=item.get("issuer_secrets") or {},
        named_secrets=item.get("issuer_secrets_by_name") or {},
        config=config,
        secrets=secrets,
        override_gates=tuple(item["override_gates"]),
        external_stores=None if item.get("external_stores") is None else tuple(map(dict, item["external_stores"])),
        external_store_secrets=item.get("external_store_secrets") or {},
        **t.cast("t.Dict[str, t.Any]", {option: item.get(option) for option in _COPIED}),
    )


def _sets_supplied_options(own: Mapping[str, t.Any], item: Mapping[str, t.Any]) -> bool:
    return own.get("issuer_options") is not None or own.get("issuer") is None and item.get("issuer") == SUPPLIED


def _validate_identity(item: Mapping[str, t.Any]) -> list[str]:
    return ["name or id is required"] if item.get("name") is None and item.get("id") is None else []


def _validate_start(item: Mapping[str, t.Any], invalid: t.AbstractSet[str]) -> list[str]:
    if invalid & {"state", "max_age", "rotation_id"}:
        return []
    if item["state"] == ROTATED and (item.get("max_age") is None) == (item.get("rotation_id") is None):
        return ["state: rotated requires either max_age or rotation_id, so that a second run changes nothing"]
    return []


def _validate_limits(item: Mapping[str, t.Any]) -> list[str]:
    errors = [
        f"{name} must not be longer than {format_duration(_LONGEST_WAIT)}"
        for name in ("drain", "verify_timeout") if (item.get(name) or 0) > _LONGEST_WAIT
    ]
    for name, longest in (("rotation_id", _LONGEST_ID), ("issuer_secrets_name", _LONGEST_ID), ("current_key_id", 500),
                          ("reason", _LONGEST_REASON)):
        text = item.get(name)
        if text is not None and not (len(text) <= longest and text.isprintable() and text.strip()):
            errors.append(f"{name} must be a text of 1 to {longest} printable characters")
    if len(json.dumps(item.get("issuer_options"))) > _LONGEST_OPTIONS:
        errors.append(f"issuer_options must not have more than {_LONGEST_OPTIONS} characters, as the record keeps them")
    return errors


def _validate_issuer(own: Mapping[str, t.Any], item: Mapping[str, t.Any]) -> list[str]:
    errors = []
    issuer = item.get("issuer")
    if issuer is not None and not is_issuer_name(issuer):
        errors.append(
            f"issuer must be one of {', '.join(ISSUERS)}, or the full name of an issuer of another collection "
            "(my.collection.name)"
        )
    if own.get("issuer") == SUPPLIED and own.get("issuer_secrets"):
        errors.append("issuer_secrets has no effect with issuer: supplied; set config and secrets")
    return errors


def _validate_stores(stores: t.Sequence[t.Any] | None) -> list[str]:
    if len(json.dumps(stores, default=str)) > _LONGEST_OPTIONS:
        return [f"external_stores must not have more than {_LONGEST_OPTIONS} characters, as the record keeps them"]
    return validate_stores(stores or ())


def _validate_gates(names: t.Sequence[str]) -> list[str]:
    unknown = [str(name) for name in names if name not in GATES]
    return (
        [f"override_gates: unknown gate {', '.join(unknown):.80}; the gates are {', '.join(GATES)}"] if unknown else []
    )


def _parse_values(option: str, given: Mapping[str, t.Any] | None) -> tuple[dict[str, str], list[str]]:
    """Return the fields of a credential, trimmed as Rancher stores them, and the validation errors."""
    values, errors = {}, []
    for name, value in (given or {}).items():
        text = trim(str(value)) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
        if text:
            values[name] = text
        else:
            errors.append(f"{option}.{name:.60} must be a string that is not empty")
    return values, errors


def check_info(params: Mapping[str, t.Any]) -> None:
    """Validate the options of cloud_credential_rotation_info. Raises ValidationErrors."""
    errors = validate_namespace(params["namespace"]) + parse_id(params["id"], CREDENTIAL_NAMESPACE)[1]
    if params["name"] is not None and params["name_pattern"] is not None:
        errors.append("name and name_pattern are mutually exclusive")
    if errors:
        raise ValidationErrors(errors)


def validate_namespace(namespace: str) -> list[str]:
    """Return the validation errors of a namespace for records."""
    if re.match(r"(cattle|c|p|u|user)-", namespace):
        return [
            "namespace must not begin with cattle-, c-, p-, u- or user-: Rancher's backups contain these namespaces, "
            "and so would the stored keys"
        ]
    return (
        []
        if re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", namespace)
        else ["namespace must be a valid name of a namespace"]
    )
