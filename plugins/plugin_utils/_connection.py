# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection options of the modules from the connection variables of a host. Pure."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ..module_utils._common.errors import ValidationErrors
from ..module_utils._common.options import OptionSpec, parse_options

_SPEC = OptionSpec(
    {
        "rancher_kubeconfig": {"type": "raw"},
        "rancher_context": {"type": "str"},
        "rancher_host": {"type": "str"},
        "rancher_api_key": {"type": "str", "no_log": True},
        "rancher_ca_cert": {"type": "path"},
        "rancher_validate_certs": {"type": "bool"},
        "rancher_proxy": {"type": "str"},
    }
)
VARIABLES = tuple(_SPEC.options)
# Each of these selects a server.
SERVER_VARIABLES = ("rancher_kubeconfig", "rancher_host", "rancher_context")

# Variables of roles in version 0.1.0, with their replacements.
FORMER_VARIABLES = {
    f"{role}_{option}": f"rancher_{option}"
    for role in ("cloud_credentials", "guard", "report", "rotate", "retire", "schedule")
    for option in ("kubeconfig", "context", "host", "api_key", "ca_cert", "validate_certs")
}


def reject_former_variables(variables: Mapping[str, t.Any], defaults: Mapping[str, t.Any]) -> None:
    """Raise ValidationErrors if a host has former variables that would silently be ignored.

    A host that names its server may keep former variables which are empty or have the value of their replacement.

    Args:
        variables: The variables of the host, already templated. Only former variables are read.
        defaults: What ``connection_defaults`` returns for the host.
    """
    names_server = defaults.get("use_environment") is False
    errors = []
    for former, current in FORMER_VARIABLES.items():
        if former not in variables:
            continue
        if not names_server:
            errors.append(f"{former} is replaced by {current}. Rename it")
        elif not _is_replaced(variables[former], current, defaults):
            errors.append(f"{former} is ignored, and {current} has another value or none. Remove {former}")
    if errors:
        raise ValidationErrors(errors)


def _is_replaced(value: t.Any, current: str, defaults: Mapping[str, t.Any]) -> bool:
    if value in (None, ""):
        return True
    try:
        parsed = parse_options(_SPEC, {current: value})[current]
    except ValidationErrors:
        return False
    return bool(parsed == defaults[current.removeprefix("rancher_")])


def connection_defaults(variables: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the ``module_defaults`` for a host with these variables, already templated.

    Raises ValidationErrors; the messages do not contain values.
    """
    given = {name: variables[name] for name in VARIABLES if variables.get(name) not in (None, "")}
    parsed = parse_options(_SPEC, given, _check)
    options = {name.removeprefix("rancher_"): value for name, value in parsed.items()}
    if any(parsed[name] is not None for name in SERVER_VARIABLES):
        return {**options, "use_environment": False}
    return {name: value for name, value in options.items() if value is not None}


def server_connection(variables: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the options of a host whose variables, already templated, name its server. Raises ValidationErrors."""
    defaults = connection_defaults(variables)
    reject_former_variables(variables, defaults)
    if defaults.get("use_environment") is not False:
        raise ValidationErrors([f"it sets none of {', '.join(SERVER_VARIABLES)}"])
    return {name: value for name, value in defaults.items() if value is not None}


def _check(parsed: Mapping[str, t.Any]) -> None:
    if not isinstance(parsed["rancher_kubeconfig"], (str, Mapping, type(None))):
        raise ValidationErrors(["rancher_kubeconfig must be a path, a mapping or YAML text"])
