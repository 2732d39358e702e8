# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook init writes about Ranchers, from their connection variables. Pure."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from ..module_utils._common.errors import ValidationErrors
from ..module_utils._common.text import short_list
from ._connection import SERVER_VARIABLES, VARIABLES, connection_defaults

# Names of hosts and folders, and text in a lookup.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_RESERVED = ("all", "localhost", "ranchers", "ungrouped")
# Not the same in a string literal of Jinja, or the start of a template.
_NOT_PLAIN = re.compile(r"['\"\\{}]")
_PATHS = ("rancher_kubeconfig", "rancher_ca_cert")
_URLS = ("rancher_host", "rancher_proxy")
# Path in the repository, and name of the template. An artifact contains no hidden files.
_FILES = {
    ".github/workflows/check.yml": "check.yml",
    ".gitignore": "gitignore",
    "README.md": "README.md",
    "ansible.cfg": "ansible.cfg",
    "apply.yml": "apply.yml",
    "inventory/group_vars/all/vault.yml": "vault.yml",
    "inventory/group_vars/ranchers.yml": "ranchers.yml",
    "inventory/hosts.yml": "hosts.yml",
    "report.yml": "report.yml",
    "requirements.yml": "requirements.yml",
    "retire.yml": "retire.yml",
    "rotate.yml": "rotate.yml",
    "test.yml": "test.yml",
    "tests/vault.yml": "tests_vault.yml",
}


def init_plan(ranchers: t.Any, folder: t.Any) -> dict[str, t.Any]:
    """Return what the playbook init writes.

    Args:
        ranchers: A mapping from names of Ranchers to their connection variables.
        folder: The absolute path of the repository.

    Returns:
        ``errors`` (sentences without values); with errors, the rest is empty. ``hosts`` (the variables of each host in
        the inventory, without secrets), ``kubeconfigs`` (for each host with a kubeconfig, the environment variable that
        overrides its path), ``api_keys`` (the hosts that need a token), ``files`` (path and template of each file),
        ``declarations`` (host and path of the file with its credentials) and ``folders`` (parents first). Paths are
        relative to the repository.
    """
    plan: dict[str, t.Any] = {
        "errors": _folder_errors(folder) + _errors(ranchers), "hosts": {}, "kubeconfigs": {}, "api_keys": [],
        "files": [], "declarations": [], "folders": [],
    }
    if plan["errors"]:
        return plan
    for name, variables in ranchers.items():
        given = _given(variables)
        if "rancher_kubeconfig" in given:
            plan["kubeconfigs"][name] = _environment_variable(name)
        if _needs_api_key(given):
            plan["api_keys"].append(name)
        plan["hosts"][name] = _host(name, given)
        plan["declarations"].append({"name": name, "path": f"inventory/host_vars/{name}/cloud_credentials.yml"})
    plan["files"] = [{"path": path, "template": template} for path, template in _FILES.items()]
    paths = [PurePosixPath(item["path"]) for item in plan["files"] + plan["declarations"]]
    plan["folders"] = sorted({str(parent) for path in paths for parent in path.parents} - {"."})
    return plan


def _host(name: str, given: Mapping[str, t.Any]) -> dict[str, t.Any]:
    host = dict(given)
    if "rancher_kubeconfig" in given:
        variable, path = _environment_variable(name), given["rancher_kubeconfig"]
        host["rancher_kubeconfig"] = f"{{{{ lookup('ansible.builtin.env', '{variable}', default='{path}') }}}}"
    if _needs_api_key(given):
        host["rancher_api_key"] = f"{{{{ vault_rancher_api_keys['{name}'] }}}}"
    return host


def _needs_api_key(given: Mapping[str, t.Any]) -> bool:
    return "rancher_host" in given or "rancher_api_key" in given


def _given(variables: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {name: variables[name] for name in VARIABLES if variables.get(name) not in (None, "")}


def _environment_variable(name: str) -> str:
    return f"RANCHER_{re.sub('[^A-Z0-9]', '_', name.upper())}_KUBECONFIG"


def _folder_errors(folder: t.Any) -> list[str]:
    if isinstance(folder, str) and folder.startswith("/") and folder.isprintable():
        return []
    return ["dest must be the absolute path of the folder for the repository, such as -e dest=/srv/ranchers."]


def _errors(ranchers: t.Any) -> list[str]:
    if not isinstance(ranchers, Mapping) or not ranchers:
        return [
            "init_ranchers must map the name of each Rancher to its connection variables, such as "
            "{prod: {rancher_kubeconfig: /home/me/.kube/prod.yaml}}."
        ]
    errors = _name_errors(list(ranchers))
    if not errors:
        for name, variables in ranchers.items():
            errors += [f"{problem}." for problem in _connection_errors(name, variables)]
    return errors


def _name_errors(names: list[t.Any]) -> list[str]:
    invalid = [name for name in names if not (isinstance(name, str) and _NAME.fullmatch(name))]
    if invalid:
        listed = short_list([ascii(name)[:65] for name in invalid])
        return [
            f"init_ranchers contains invalid names ({listed}): use up to 63 letters, digits, dots, hyphens and "
            "underscores, starting with a letter or digit, and quote numbers."
        ]
    reserved = [name for name in names if name in _RESERVED]
    first: dict[str, str] = {}
    same = [
        (first[variable], name) for name in names
        if first.setdefault(variable := _environment_variable(name), name) != name
    ]
    errors = []
    if reserved:
        errors.append(
            f"init_ranchers contains names that Ansible or the repository uses ({short_list(reserved)}): rename them."
        )
    if same:
        pairs = short_list([f"{earlier} and {later}" for earlier, later in same])
        errors.append(
            f"init_ranchers contains names that differ only in case or punctuation ({pairs}): rename one of each pair."
        )
    return errors


def _connection_errors(name: str, variables: t.Any) -> list[str]:
    """Return validation errors of the variables of a Rancher, without the full stop."""
    if not isinstance(variables, Mapping):
        return [f"init_ranchers: {name} must be a mapping of connection variables"]
    unknown = sorted(str(variable) for variable in variables if variable not in VARIABLES)
    if unknown:
        return [
            f"init_ranchers: {name} contains unknown variables ({short_list(list(map(ascii, unknown)))}): use "
            f"{', '.join(VARIABLES)}"
        ]
    given = _given(variables)
    if not any(variable in given for variable in SERVER_VARIABLES):
        return [f"init_ranchers: {name} does not name a server: set rancher_kubeconfig or rancher_host"]
    try:
        connection_defaults(given)
    except ValidationErrors as error:
        return [f"init_ranchers: {name}: {error.message.rstrip('.')}"]
    problems = (_problem(variable, value) for variable, value in given.items())
    return [f"init_ranchers: {name}: {problem}" for problem in problems if problem]


def _problem(variable: str, value: t.Any) -> str | None:
    """Return why a valid value must not be written, or None."""
    if variable in ("rancher_api_key", "rancher_validate_certs"):
        return None
    text = str(value)
    if variable in _PATHS and not text.startswith(("/", "~")):
        content = " (the content of a kubeconfig is a secret and is not written)"
        return f"{variable} must be an absolute path{content if variable == 'rancher_kubeconfig' else ''}"
    if not text.isprintable() or _NOT_PLAIN.search(text):
        return f"{variable} must be one line without quotes, backslashes and braces"
    if variable in _URLS and _has_password(text):
        return f"{variable} contains a user name or password, which is a secret and is not written: remove it"
    return None


def _has_password(url: str) -> bool:
    try:
        return "@" in (urlsplit(url).netloc or url)
    except ValueError:  # the client reports an invalid URL
        return "@" in url
