# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Executes one run of a module: connects, turns errors into a failure, and masks the result."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from .._common.errors import ErrorCode, FailureWithResult, RanchhandError, internal_error
from .._common.masking import mask, secret_forms
from .._common.text import single_line
from .._kubernetes.client import KubernetesClient
from .._kubernetes.connection import connection_options
from .secret_options import secret_values


class RunMode(t.NamedTuple):
    """How Ansible runs the task."""

    check: bool = False
    diff: bool = False


Connect = t.Callable[[], KubernetesClient]
ModuleCore = t.Callable[[t.Mapping[str, t.Any], Connect, RunMode], t.Dict[str, t.Any]]


def execute(
    core: ModuleCore, params: Mapping[str, t.Any], mode: RunMode,
    connect: t.Callable[[Mapping[str, t.Any]], KubernetesClient] = KubernetesClient,
) -> dict[str, t.Any]:
    """Return the result of a module without secrets; expected failures and exceptions become a result too.

    Args:
        core: the function of the module; it connects when it needs to.
        params: the parsed options.
        connect: returns the client for connection options.
    """
    with_secrets: list[Mapping[str, t.Any]] = [params]

    def connect_once() -> KubernetesClient:
        options = connection_options(params)
        with_secrets.append(options)  # they may come from the environment
        return connect(options)

    try:
        result = core(params, connect_once, mode)
    except RanchhandError as error:
        result = failure(error.code, error.message)
        if isinstance(error, FailureWithResult):
            result.update(error.result)
    except Exception as error:
        bug = internal_error(error)
        result = failure(bug.code, bug.message)
    secrets = secret_forms(secret for options in with_secrets for secret in secret_values(options))
    return _with_short_messages(mask(result, secrets))


def _with_short_messages(result: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return a result whose messages are one line each; they are masked already, as secrets can have several lines."""
    for item in [result, *(item for value in result.values() if isinstance(value, list) for item in value)]:
        if isinstance(item, dict) and isinstance(item.get("msg"), str):
            item["msg"] = single_line(item["msg"])
    if "warnings" in result:
        result["warnings"] = [single_line(warning) for warning in result["warnings"]]
    return result


def failure(code: ErrorCode, message: str) -> dict[str, t.Any]:
    """Return the result of a failed run that changed nothing."""
    return {"failed": True, "changed": False, "msg": message, "code": code}
