# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The options of cloud_credential_repoint."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from .._common.errors import ValidationErrors
from .._common.options import OptionSpec
from .._common.text import trim
from .._kubernetes.connection import CONNECTION
from .objects import CLUSTER, HOSTED, MACHINES, POOLS, S3

SCOPES = (CLUSTER, POOLS, HOSTED, S3, MACHINES)
OTHER_WRITER, OWNER, MACHINE_JOBS = "other_writer", "owner", "machine_jobs"
GATES = (OTHER_WRITER, OWNER, MACHINE_JOBS)

REPOINT = CONNECTION.merge(OptionSpec({
    "from": {"type": "str", "required": True},
    "to": {"type": "str", "required": True},
    "clusters": {"type": "list", "elements": "str"},
    "scope": {"type": "list", "elements": "str", "choices": list(SCOPES), "default": [CLUSTER, POOLS, HOSTED]},
    "repair": {"type": "bool", "default": False},
    "override_gates": {"type": "list", "elements": "str", "choices": list(GATES), "default": []},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "duration", "default": "600s"},
    "wait_sleep": {"type": "duration", "default": "5s"},
}))


@dataclass(frozen=True)
class RepointRequest:
    """The options of a task; ``clusters`` None means all. Times are in seconds."""

    source: str
    target: str
    clusters: tuple[str, ...] | None = None
    scope: frozenset[str] = frozenset({CLUSTER, POOLS, HOSTED})
    repair: bool = False
    overridden: frozenset[str] = frozenset()
    wait: bool = True
    wait_timeout: int = 600
    wait_sleep: int = 5


def parse_request(params: Mapping[str, t.Any]) -> RepointRequest:
    """Parse options that are typed already; raises ValidationErrors."""
    errors = []
    names = {option: trim(params[option]) for option in ("from", "to")}
    errors += [f"{option} must not be empty" for option, name in names.items() if not name]
    for option, allowed in (("scope", SCOPES), ("override_gates", GATES)):
        unknown = sorted(set(params[option]) - set(allowed))
        if unknown:
            errors.append(f"{option} must contain only {', '.join(allowed)}")
    if not params["scope"]:
        errors.append(f"scope must not be empty; choices are {', '.join(SCOPES)}")
    clusters = params["clusters"]
    if clusters is not None and not all(isinstance(name, str) and trim(name) for name in clusters):
        errors.append("clusters must contain names of clusters")
    if errors:
        raise ValidationErrors(errors)
    return RepointRequest(
        names["from"], names["to"], None if clusters is None else tuple(map(trim, clusters)),
        frozenset(params["scope"]), params["repair"], frozenset(params["override_gates"]), params["wait"],
        params["wait_timeout"], params["wait_sleep"],
    )
