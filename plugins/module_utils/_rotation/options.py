# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The options of cloud_credential_rotation and cloud_credential_rotation_info, and what they ask for.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._common.errors import ValidationErrors
from .._common.options import OptionSpec, single_or_list
from .._common.text import trim
from .._kubernetes.connection import CONNECTION
from .._rancher.metadata import parse_display_name, parse_id
from .._rancher.references import CREDENTIAL_NAMESPACE
from .._resources.desired import list_items
from .issuers.registry import FULL_ISSUER_NAME, ISSUERS
from .protocol import ABORTED, RETIRED, ROLLED_BACK, ROTATED

RECORD_NAMESPACE = "rancher-credential-rotation"
ROTATION_DURATIONS = ("max_age", "grace", "soak", "drain", "verify_timeout")
GATES = ("grace", "soak", "machine_jobs", "etcd_s3", "rke1_nodes", "rancher_version", "last_used", "confirmation", "other_writer")
_ITEM = OptionSpec({
    "name": {"type": "str"},
    "id": {"type": "str"},
    "driver": {"type": "str"},
    "owner": {"type": "str"},
    "issuer": {"type": "str"},
    "issuer_options": {"type": "dict"},
    "issuer_secrets": {"type": "dict", "no_log": True},
    "config": {"type": "dict"},
    "secrets": {"type": "dict", "no_log": True},
    "state": {"type": "str", "choices": [ROTATED, RETIRED, ROLLED_BACK, ABORTED], "default": ROTATED},
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
    "assume_dead": {"type": "bool", "default": False},
    "override_gates": {"type": "list", "elements": "str", "default": []},
})
_PER_CALL = tuple(name for name in _ITEM.options if name not in ("name", "id", "driver", "owner", "config", "secrets"))
_CALL = CONNECTION.merge(OptionSpec({
    "namespace": {"type": "str", "default": RECORD_NAMESPACE},
    "audit_file": {"type": "path"},
}))
CLOUD_CREDENTIAL_ROTATION = single_or_list(_CALL, _ITEM, "credentials", _PER_CALL)
CLOUD_CREDENTIAL_ROTATION_INFO = CONNECTION.merge(OptionSpec({
    "name": {"type": "str"},
    "id": {"type": "str"},
    "driver": {"type": "str"},
    "owner": {"type": "str"},
    "max_age": {"type": "duration"},
    "gates": {"type": "bool", "default": False},
    "namespace": {"type": "str", "default": RECORD_NAMESPACE},
}))


@dataclass(frozen=True)
class DesiredRotation:
    """What a playbook asks for, of one credential; durations in seconds."""

    where: str
    name: str | None
    id: str | None
    driver: str | None
    owner: str | None
    goal: str
    issuer: str | None
    issuer_options: Mapping[str, t.Any] = field(repr=False)
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
    assume_dead: bool
    override_gates: tuple[str, ...]
    state = "present"  # of the credential: it has to be there


def parse_rotations(params: Mapping[str, t.Any]) -> list[DesiredRotation]:
    """What the parsed options ask for; raises Mistakes."""
    mistakes = namespace_mistakes(params["namespace"])
    result = []
    given = [params] if params.get("credentials") is None else [item for item in params["credentials"] if item is not None]
    for own, (where, item) in zip(given, list_items(params, "credentials", _PER_CALL)):
        if own.get("max_age") is not None or own.get("rotation_id") is not None:  # what an item says displaces both of the call
            item = {**item, **{option: own.get(option) for option in ("max_age", "rotation_id")}}
        name, wrong = parse_display_name(item.get("name"))
        identifier, wrong_id = parse_id(item.get("id"), CREDENTIAL_NAMESPACE)
        wrong += wrong_id
        if item.get("name") is None and item.get("id") is None:
            wrong.append("name or id is required")
        rotating = item["state"] == ROTATED
        if rotating and (item.get("max_age") is None) == (item.get("rotation_id") is None):
            wrong.append("state: rotated needs either max_age or rotation_id, so that a second run changes nothing")
        issuer = item.get("issuer")
        if issuer is not None and issuer not in ISSUERS and not FULL_ISSUER_NAME.fullmatch(issuer):
            wrong.append(f"issuer must be one of {', '.join(sorted(ISSUERS))}, or the full name of another collection's (my.collection.name)")
        if own.get("issuer") == "supplied" and (own.get("issuer_options") or own.get("issuer_secrets")):
            wrong.append("issuer_options and issuer_secrets are not for issuer: supplied")
        unknown = [gate for gate in item["override_gates"] if gate not in GATES]
        if unknown:
            wrong.append(f"override_gates: {', '.join(map(str, unknown)):.80} is no gate; there are {', '.join(GATES)}")
        values: dict[str, dict[str, str]] = {}
        for option in ("config", "secrets"):
            values[option] = {}
            for key, value in (item.get(option) or {}).items():
                if not isinstance(value, (str, int)) or isinstance(value, bool) or not trim(str(value)):
                    wrong.append(f"{option}.{key:.60} must be a string that is not empty")
                else:
                    values[option][key] = trim(str(value))
        mistakes += [where + mistake for mistake in wrong]
        if not wrong:
            result.append(DesiredRotation(
                where=where, name=name, id=identifier, driver=item.get("driver"), owner=item.get("owner"), goal=item["state"], issuer=issuer,
                issuer_options={**(item.get("issuer_options") or {}), **(item.get("issuer_secrets") or {})}, **values, **{option: item[option] for option in ROTATION_DURATIONS},
                rotation_id=item.get("rotation_id"), reason=item.get("reason"), override_gates=tuple(item["override_gates"]),
                **{key: item[key] for key in ("on_verify_failure", "orphan_policy", "shared_key", "pause_before_cutover", "repair", "old_key_removed",
                                              "assume_dead")},
            ))
    if mistakes:
        raise ValidationErrors(mistakes)
    return result


def check_info(params: Mapping[str, t.Any]) -> None:
    """Raises Mistakes."""
    mistakes = namespace_mistakes(params["namespace"]) + parse_id(params["id"], CREDENTIAL_NAMESPACE)[1]
    if mistakes:
        raise ValidationErrors(mistakes)


def namespace_mistakes(namespace: str) -> list[str]:
    """What is wrong with a namespace for records."""
    if re.match(r"(cattle|c|p|u|user)-", namespace):
        return ["namespace must not begin with cattle-, c-, p-, u- or user-: Rancher's own backups would take the kept values along"]
    return [] if re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", namespace) else ["namespace must be the name of a namespace"]
