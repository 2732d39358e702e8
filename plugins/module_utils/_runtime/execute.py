# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""From options to a result, once, for modules and action plugins: parse, run, report, mask.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
import traceback
import typing as t
from collections.abc import Mapping

from .._common.errors import FailureWithResult, RanchhandError
from .._common.masking import mask, secret_forms, secret_leaves
from .._kubernetes.client import KubernetesClient
from .._kubernetes.connection import connection_options

# The options that hold secrets, in a call or in an item of its list.
SECRET_OPTIONS = ("secrets", "issuer_secrets", "auth_key", "api_key", "password")
_KUBECONFIG_SECRETS = ("token", "password", "client-key-data", "access-token", "id-token", "refresh-token", "client-secret")


class RunMode(t.NamedTuple):
    """How Ansible runs the task."""

    check: bool = False
    diff: bool = False


Connect = t.Callable[[], KubernetesClient]
ModuleCore = t.Callable[[t.Mapping[str, t.Any], Connect, RunMode], t.Dict[str, t.Any]]


def secret_values(params: Mapping[str, t.Any]) -> list[str]:
    """All values of a module's options that must not be shown, however wrong the options are."""
    found = [text for name in SECRET_OPTIONS for text in secret_leaves(params.get(name))]
    for value in params.values():
        if isinstance(value, list):
            found += [text for item in value if isinstance(item, Mapping) for text in secret_values(item)]
    headers = params.get("proxy_headers")
    if isinstance(headers, Mapping):
        found += [text for name in ("proxy_basic_auth", "basic_auth") for text in secret_leaves(headers.get(name))]
    return found + list(_kubeconfig_secrets(params.get("kubeconfig")))


def _kubeconfig_secrets(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, Mapping):
        for key, element in value.items():
            yield from secret_leaves(element) if key in _KUBECONFIG_SECRETS else _kubeconfig_secrets(element)
    elif isinstance(value, list):
        for element in value:
            yield from _kubeconfig_secrets(element)
    elif isinstance(value, str):  # the content of a file, or its path
        yield from re.findall(rf"(?:{'|'.join(_KUBECONFIG_SECRETS)})\W{{1,5}}([^\s\"',}}]+)", value)


def execute(run: ModuleCore, params: Mapping[str, t.Any], mode: RunMode, connect: t.Callable[[Mapping[str, t.Any]], KubernetesClient] = KubernetesClient) -> dict[str, t.Any]:
    """A module's result, failures included, with nothing in it that must not be shown."""
    known: list[Mapping[str, t.Any]] = [params]

    def connected() -> KubernetesClient:
        known.append(connection_options(params))  # secrets of the environment too
        return connect(known[-1])

    try:
        result = run(params, connected, mode)
    except RanchhandError as error:
        result = {"failed": True, "changed": False, "msg": error.message, "code": error.code}
        if isinstance(error, FailureWithResult):
            result.update(error.result)
    except Exception as error:  # a mistake of ours: where it happened, and nothing of what it was about
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
        result = {"failed": True, "changed": False, "msg": f"internal error ({type(error).__name__} at {place}); please report it", "code": "server_error"}
    return mask(result, secret_forms(text for one in known for text in secret_values(one)))
