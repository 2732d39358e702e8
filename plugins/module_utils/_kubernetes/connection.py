# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Options that describe the connection to an API server, and their environment variables.

Needs no third-party package, so that options can be validated where the client is not installed.
"""

from __future__ import annotations

import json
import os
import typing as t
from collections.abc import Mapping

from .._common.errors import RanchhandError
from .._common.options import Option, OptionSpec

# The names, aliases and types of kubernetes.core 6.6.0, without persist_config, which writes files, and with
# use_environment.
CONNECTION = OptionSpec({
    "kubeconfig": {"type": "raw"},
    "context": {"type": "str"},
    "host": {"type": "str"},
    "api_key": {"type": "str", "no_log": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "validate_certs": {"type": "bool", "aliases": ["verify_ssl"]},
    "ca_cert": {"type": "path", "aliases": ["ssl_ca_cert"]},
    "client_cert": {"type": "path", "aliases": ["cert_file"]},
    "client_key": {"type": "path", "aliases": ["key_file"], "no_log": False},
    "proxy": {"type": "str"},
    "no_proxy": {"type": "str"},
    "proxy_headers": {"type": "dict", "options": {
        "proxy_basic_auth": {"type": "str", "no_log": True},
        "basic_auth": {"type": "str", "no_log": True},
        "user_agent": {"type": "str"},
    }},
    "impersonate_user": {"type": "str"},
    "impersonate_groups": {"type": "list", "elements": "str"},
    "use_environment": {"type": "bool", "default": True},
})
FIELD_MANAGER = "ranchhand.rancher"  # the user agent of requests, and the owner of the fields that are applied
_VARIABLE = "K8S_AUTH_"
_FALSE = ("0", "false", "f", "no", "n", "off", "")


def connection_options(params: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the connection options of a module, completed from K8S_AUTH_* variables as kubernetes.core does.

    If ``use_environment`` is false, no K8S_AUTH_* variable is read, and a host needs its own credentials: those of the
    default kubeconfig belong to another server. Raises RanchhandError (``invalid``).
    """
    isolated = params.get("use_environment") is False
    environment: Mapping[str, str] = {} if isolated else os.environ
    options = {
        name: _from_environment(name, option, environment) if params.get(name) is None else params[name]
        for name, option in CONNECTION.options.items() if name != "use_environment"
    }
    if isolated and options["host"] and not (options["kubeconfig"] or options["context"] or is_complete(options)):
        raise RanchhandError(
            "invalid", "host has no credentials: set api_key (variable rancher_api_key), username and password, "
                       "client_cert and client_key, or kubeconfig. Without use_environment, they are not read from "
                       "K8S_AUTH_* variables or the default kubeconfig"
        )
    return options


def is_complete(options: Mapping[str, t.Any]) -> bool:
    """Whether the options contain a server and credentials, so that no kubeconfig is needed."""
    if not options["host"]:
        return False
    pairs = (("username", "password"), ("client_cert", "client_key"))
    return bool(options["api_key"]) or any(all(options[name] for name in pair) for pair in pairs)


def _from_environment(name: str, option: Option, environment: Mapping[str, str]) -> t.Any:
    variables = [_VARIABLE + alias.upper() for alias in (name, *option.get("aliases", ()))]
    variable = next((variable for variable in variables if environment.get(variable)), None)
    if variable is not None:
        return _typed(option["type"], environment[variable], variable)
    if "options" in option:
        prefix = f"{_VARIABLE}{name.upper()}_"
        return {suboption: environment.get(prefix + suboption.upper()) for suboption in option["options"]}
    return None


def _typed(kind: str, text: str, variable: str) -> t.Any:
    """Return the value of a variable in the type of its option."""
    if kind == "bool":
        return text.strip().lower() not in _FALSE
    if kind == "list":
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind == "dict":
        return _parse_mapping(text, variable)
    return text


def _parse_mapping(text: str, variable: str) -> dict[str, t.Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise RanchhandError("invalid", f"the environment variable {variable} must be a JSON object")
    return value


def is_path(kubeconfig: t.Any) -> bool:
    """Whether the option kubeconfig is a path; otherwise it is a mapping, the text of a kubeconfig, or not set."""
    return isinstance(kubeconfig, str) and "\n" not in kubeconfig.strip() and not kubeconfig.lstrip().startswith("{")
