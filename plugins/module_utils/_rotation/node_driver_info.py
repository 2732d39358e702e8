# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The module node_driver_info: the fields of drivers, and what can be done with their keys."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from .._common.errors import RanchhandError
from .._common.options import OptionSpec
from .._issuers.registry import ISSUERS, default_issuer
from .._issuers.verification import VERIFIERS
from .._kubernetes.connection import CONNECTION
from .._rancher.driver_schema import DriverSchemas, Fields, suggest
from .._rancher.queries import read_schemas
from .._runtime.execute import Connect, RunMode

NODE_DRIVER_INFO = CONNECTION.merge(OptionSpec({"name": {"type": "str"}}))


def list_node_drivers(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """List the active drivers, or the named one."""
    schemas = read_schemas(connect())
    if schemas is None:
        raise RanchhandError(
            "forbidden",
            "cannot read the fields of drivers: this connection may not list dynamicschemas.management.cattle.io. "
            "Grant it the verb list",
        )
    return {"changed": False, "drivers": [show_driver(schemas, name) for name in _select(schemas, params["name"])]}


def _select(schemas: DriverSchemas, name: str | None) -> list[str]:
    active = schemas.drivers | schemas.machine_drivers
    if name is None:
        return sorted(active)
    if name not in active:
        raise RanchhandError(
            "not_found",
            f"driver {name:.60} is not active in this Rancher{suggest(name, active)}; the active drivers are "
            f"{', '.join(sorted(active))}",
        )
    return [name]


def show_driver(schemas: DriverSchemas, name: str) -> dict[str, t.Any]:
    """Return the fields of an active driver, and what can be done with its keys."""
    issuer = default_issuer(name)
    return {
        "name": name,
        "credential_fields": _show(schemas.known_fields(name) if name in schemas.drivers else None),
        "machine_fields": _show(schemas.node_fields(name) if name in schemas.machine_drivers else None),
        "issuer": issuer,
        "issues_keys": issuer is not None,
        "verifies_keys": name in VERIFIERS,
        "verify_options": list(VERIFIERS[name].options) if name in VERIFIERS else [],
        "disables_keys": issuer is not None and ISSUERS[issuer].disables,
    }


def _show(fields: Fields | None) -> list[dict[str, t.Any]] | None:
    if fields is None:
        return None
    return [
        {
            "name": field.name, "type": field.type, "required": field.required, "secret": field.secret,
            "default": field.default or None, "options": list(field.options), "description": field.description,
        }
        for _name, field in sorted(fields.items())
    ]
