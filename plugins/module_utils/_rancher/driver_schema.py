# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The fields of drivers, and the validation of config and secrets against them.

Pure.
"""

from __future__ import annotations

import difflib
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from .._common.errors import RanchhandError
from .._common.text import to_text


@dataclass(frozen=True)
class DriverField:
    """One field of a driver, from a DynamicSchema (Rancher pkg/apis/management.cattle.io/v3/schema_types.go)."""

    name: str
    type: str = "string"
    required: bool = False
    default: t.Any = None
    options: tuple[str, ...] = ()
    description: str = ""

    @property
    def secret(self) -> bool:
        return self.type == "password"


def _field(name: str, stored: Mapping[str, t.Any]) -> DriverField:
    kind = stored.get("type") or "string"
    values = stored.get("default") or {}
    key = {"boolean": "boolValue", "int": "intValue", "array[string]": "stringSliceValue"}.get(kind, "stringValue")
    return DriverField(
        name, kind, bool(stored.get("required")), values.get(key), tuple(stored.get("options") or ()),
        str(stored.get("description") or ""),
    )


# A static Go type, without DynamicSchema and defaults (Rancher pkg/apis/management.cattle.io/v3/machine_types.go).
_S3 = {
    field.name: field
    for field in (
        DriverField("accessKey", required=True),
        DriverField("secretKey", "password", required=True),
        DriverField("defaultRegion"), DriverField("defaultEndpoint"), DriverField("defaultEndpointCA"),
        DriverField("defaultSkipSSLVerify"), DriverField("defaultBucket"), DriverField("defaultFolder"),
    )
}
Fields = t.Mapping[str, DriverField]


class DriverSchemas:
    """The DynamicSchemas of a Rancher, and the credential types that Rancher has in code."""

    def __init__(self, objects: t.Iterable[Mapping[str, t.Any]]) -> None:
        self._stored = {
            item["metadata"]["name"]: (item.get("spec") or {}).get("resourceFields") or {} for item in objects
        }
        self._parsed: dict[str, Fields | None] = {}
        self.drivers = self._drivers_in("credentialconfig", "credentialConfig") | {"s3"}
        self.machine_drivers = self._drivers_in("nodeconfig", "Config")

    def _drivers_in(self, schema: str, suffix: str) -> frozenset[str]:
        return frozenset(name[:-len(suffix)] for name in self._stored.get(schema, ()) if name.endswith(suffix))

    def credential_fields(self, driver: str) -> Fields | None:
        """Return the fields of a driver's credentials.

        None if its schema has none, as of custom drivers without annotations.

        A driver is active if the parent schema contains it; its own schema may be a leftover of an inactive driver.
        Raises RanchhandError (``invalid``) for a driver that is not active.
        """
        if driver not in self.drivers:
            raise RanchhandError(
                "invalid", f"driver {driver:.60} has no credentials in this Rancher{suggest(driver, self.drivers)}; "
                           f"the active drivers with credentials are {', '.join(sorted(self.drivers))}"
            )
        return self.known_fields(driver)

    def known_fields(self, driver: str) -> Fields | None:
        """Return credential_fields of an existing object, whose driver may be inactive."""
        return _S3 if driver == "s3" else self._fields(driver.lower() + "credentialconfig")

    def node_fields(self, driver: str) -> Fields | None:
        """Return the fields of a driver's node templates; None if there is no schema."""
        return self._fields(driver.lower() + "config")

    def _fields(self, name: str) -> Fields | None:
        if name not in self._parsed:
            stored = self._stored.get(name)
            self._parsed[name] = {field: _field(field, value) for field, value in stored.items()} if stored else None
        return self._parsed[name]


class CheckedConfig(t.NamedTuple):
    """A validated config: values to store, None for fields to remove, and the fields that are compared as JSON."""

    values: dict[str, t.Any]
    as_json: frozenset[str]


# Returns the value to store for a value of a playbook; raises ValueError with the end of a sentence.
Converter = t.Callable[[t.Any, t.Optional[DriverField]], t.Any]


def check_config(
    fields: Fields | None, public: Mapping[str, t.Any], secret: Mapping[str, t.Any], convert: Converter,
) -> tuple[CheckedConfig, list[str]]:
    """Return the values to store for the options ``config`` and ``secrets``, and the validation errors.

    Without ``fields``, only the field names are validated.
    """
    values: dict[str, t.Any] = {}
    as_json = set()
    errors = []
    for option, entries in (("config", public), ("secrets", secret)):
        for name, value in entries.items():
            error = f"{option}.{name} is set in config too" if name in values else _misplaced(fields, option, name)
            if error is None:
                field = fields[name] if fields else None
                try:
                    values[name] = None if value is None else convert(value, field)
                except ValueError as problem:
                    error = f"{option}.{name} {problem}"
                else:
                    if field and field.options and values[name] and values[name] not in field.options:
                        error = f"{option}.{name} must be one of {', '.join(field.options)}"
                    if isinstance(value, Mapping) and isinstance(values[name], str):
                        as_json.add(name)
            if error:
                errors.append(error)
    return CheckedConfig(values, frozenset(as_json)), errors


def missing_fields(fields: Fields | None, config: CheckedConfig, creating: bool) -> list[str]:
    """Return errors for required fields that would be empty; in an update, only for those that it sets."""
    errors = []
    known = fields or {}
    for name, field in sorted(known.items()):
        if field.required and not config.values.get(name):
            if name in config.values or (creating and not field.default):
                errors.append(
                    f"{'secrets' if field.secret else 'config'}.{name} is required and must not be empty; the "
                    f"fields of the driver are {_list(known)}"
                )
    return errors


def suggest(name: str, known: t.Iterable[str]) -> str:
    """Return " (did you mean …?)" with the nearest of the known names, or an empty string if none is near."""
    by_lower = {each.lower(): each for each in known}
    nearest = difflib.get_close_matches(name[:60].lower(), by_lower, 1)
    return f" (did you mean {by_lower[nearest[0]]}?)" if nearest else ""


def _list(fields: Fields) -> str:
    return ", ".join(f"{name} (secret)" if fields[name].secret else name for name in sorted(fields))


def to_stored_text(value: t.Any, field: DriverField | None) -> str:
    """Convert a value for a credential, which stores text only."""
    return to_text(value)


def to_typed_value(value: t.Any, field: DriverField | None) -> t.Any:
    """Convert a value for a node template: like Rancher, whole numbers to text, booleans and lists unchanged."""
    kind = field.type if field else {bool: "boolean", list: "array[string]"}.get(type(value), "string")
    if kind == "boolean":
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value
    if kind == "array[string]":
        if not isinstance(value, list):
            raise ValueError("must be a list of strings")
        return [to_text(element) for element in value]
    if kind == "int":
        if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,18}", str(value).strip()):
            raise ValueError("must be a whole number of at most 18 digits")
        return int(value)
    return to_text(value)


def _misplaced(fields: Fields | None, option: str, name: str) -> str | None:
    if fields is None:
        # Rancher reads a key only if it splits on "-" into exactly two (pkg/schemas/mapper/credentialmapper.go).
        if name and all(char.isascii() and (char.isalnum() or char in "._") for char in name):
            return None
        return f"{option}.{name:.60} is not a field name: use letters, digits, dots and underscores only"
    if name not in fields:
        return f"{option}.{name:.60} is unknown{suggest(name, fields)}; the fields of the driver are {_list(fields)}"
    if fields[name].secret and option == "config":
        return f"config.{name} is secret and belongs in secrets"
    if not fields[name].secret and option == "secrets":
        return f"secrets.{name} is not secret and belongs in config"
    return None
