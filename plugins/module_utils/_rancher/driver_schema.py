# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What fields a driver has, which of them are secret, and whether a config fits them.

PRIVATE to the collection. Pure: neither Ansible nor a cluster is needed.
"""

from __future__ import annotations

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

    @property
    def secret(self) -> bool:
        return self.type == "password"


def _field(name: str, stored: Mapping[str, t.Any]) -> DriverField:
    kind = stored.get("type") or "string"
    values = stored.get("default") or {}
    key = {"boolean": "boolValue", "int": "intValue", "array[string]": "stringSliceValue"}.get(kind, "stringValue")
    return DriverField(name, kind, bool(stored.get("required")), values.get(key), tuple(stored.get("options") or ()))


# A static Go type without a DynamicSchema and without defaults (Rancher pkg/apis/management.cattle.io/v3/machine_types.go).
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
    """The DynamicSchemas of a Rancher, and the credential types that it has in code."""

    def __init__(self, objects: t.Iterable[Mapping[str, t.Any]]) -> None:
        self._stored = {
            item["metadata"]["name"]: (item.get("spec") or {}).get("resourceFields") or {} for item in objects
        }
        self._parsed: dict[str, Fields | None] = {}
        suffix = "credentialConfig"
        self.drivers = frozenset(
            name[:-len(suffix)] for name in self._stored.get("credentialconfig", ()) if name.endswith(suffix)
        ) | {"s3"}

    def credential_fields(self, driver: str) -> Fields | None:
        """The fields of a driver's credentials; None where the schema has none, as for custom drivers without annotations.

        A driver is offered if the parent schema has it: its own schema may be a leftover of a deactivated one.
        Raises RanchhandError (``invalid``) for a driver that this Rancher does not offer.
        """
        if driver not in self.drivers:
            raise RanchhandError(
                "invalid", f"driver {driver:.60} has no credentials in this Rancher; it offers {', '.join(sorted(self.drivers))}"
            )
        return self.known_fields(driver)

    def known_fields(self, driver: str) -> Fields | None:
        """As credential_fields, for an object that is there already, whatever Rancher offers today."""
        return _S3 if driver == "s3" else self._fields(driver.lower() + "credentialconfig")

    def node_fields(self, driver: str) -> Fields | None:
        """The fields of a driver's node templates; None where there is no schema."""
        return self._fields(driver.lower() + "config")

    def _fields(self, name: str) -> Fields | None:
        if name not in self._parsed:
            stored = self._stored.get(name)
            self._parsed[name] = {field: _field(field, value) for field, value in stored.items()} if stored else None
        return self._parsed[name]


class CheckedConfig(t.NamedTuple):
    """A checked config: values to store, None for entries to remove, and what was given as JSON, to be compared as JSON."""

    values: dict[str, t.Any]
    as_json: frozenset[str]


def check_config(
    fields: Fields | None, public: Mapping[str, t.Any], secret: Mapping[str, t.Any], convert: t.Callable[[t.Any, DriverField | None], t.Any]
) -> tuple[CheckedConfig, list[str]]:
    """The values to store for what a playbook gave in ``config`` and ``secrets``, and what is wrong with them.

    ``convert`` makes a stored value of a given one; it raises ValueError. Without ``fields`` only the form is checked.
    """
    values: dict[str, t.Any] = {}
    as_json = set()
    mistakes = []
    for where, given in (("config", public), ("secrets", secret)):
        for name, value in given.items():
            mistake = _misplaced(fields, where, name)
            if name in values:
                mistake = f"{where}.{name} is given in config too"
            if mistake is None:
                field = fields[name] if fields else None
                try:
                    values[name] = None if value is None else convert(value, field)
                except ValueError as error:
                    mistake = f"{where}.{name} {error}"
                else:
                    if field and field.options and values[name] and values[name] not in field.options:
                        mistake = f"{where}.{name} must be one of {', '.join(field.options)}"
                    if isinstance(value, Mapping) and isinstance(values[name], str):
                        as_json.add(name)
            if mistake:
                mistakes.append(mistake)
    return CheckedConfig(values, frozenset(as_json)), mistakes


def missing_fields(fields: Fields | None, config: CheckedConfig, creating: bool) -> list[str]:
    """Required fields that would be empty: on creation after defaults, later only those that are touched."""
    mistakes = []
    for name, field in sorted((fields or {}).items()):
        if field.required and not config.values.get(name):
            touched = name in config.values
            if touched or creating and not field.default:
                mistakes.append(f"{'secrets' if field.secret else 'config'}.{name} is required and must not be empty")
    return mistakes


def to_stored_text(value: t.Any, field: DriverField | None) -> str:
    """A converter for credentials, which store nothing but text."""
    return to_text(value)


def to_typed_value(value: t.Any, field: DriverField | None) -> t.Any:
    """A converter for node templates: whole numbers are stored as text, booleans and lists as such (as Rancher's own)."""
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
        if isinstance(value, bool) or not str(value).strip().lstrip("-").isdigit():
            raise ValueError("must be a whole number")
        return int(value)
    return to_text(value)


def _misplaced(fields: Fields | None, where: str, name: str) -> str | None:
    if fields is None:
        # Rancher reads a key only if it splits on "-" into exactly two (pkg/schemas/mapper/credentialmapper.go).
        if name and all(char.isascii() and (char.isalnum() or char in "._") for char in name):
            return None
        return f"{where}.{name:.60} is no field name: letters, digits, dots and underscores only"
    if name not in fields:
        return f"{where}.{name:.60} is unknown; the driver has {', '.join(sorted(fields))}"
    if fields[name].secret and where == "config":
        return f"config.{name} is secret and belongs in secrets"
    if not fields[name].secret and where == "secrets":
        return f"secrets.{name} is not secret and belongs in config"
    return None
