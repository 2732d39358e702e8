# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the tables that the roles rotate and retire and the playbooks rollback and rotation_status show. Pure.

A rotation is what ``cloud_credential_rotation`` and ``cloud_credential_rotation_info`` return for a credential.
"""

from __future__ import annotations

import textwrap
import typing as t
from collections.abc import Collection, Iterable, Mapping, Sequence

from ..module_utils._common.times import Time, now, parse_time
from ..module_utils._rotation.options import RECORD_NAMESPACE
from ._rotation_commands import CommandContext, name_playbooks, next_commands
from ._rotation_plan import unit_of
from ._text_output import printable_line

Rotation = t.Mapping[str, t.Any]
Row = t.Dict[str, str]

_ROLLED_BACK = "returns to {old}; {new} is deleted"
_ABORTED = "keeps {old}; {new} is deleted"
_ADOPTED = "accepts the key that it contains, if the key works"
_FORGOTTEN = "forgets the rotation and deletes its record and kept values"
_NOTHING = "no rotation in progress"
_NEXT_STEPS = {
    "disable the old key": "disable old key",
    "delete the old key": "delete old key",
    "finish rolling back": "finish rollback",
}


def rotation_rows(
    rotations: Sequence[Rotation],
    table: str,
    check_mode: bool = False,
    credentials: Sequence[Mapping[str, t.Any]] = (),
    pending_units: Collection[str] = (),
    skipped_units: Collection[str] = (),
    host: str | None = None,
) -> list[Row]:
    """Return the rows of a table.

    Args:
        table: ``plan``, ``rotate``, ``retire``, ``rollback``, ``abort``, ``adopt``, ``forget``, ``failures`` or
          ``status``.
        check_mode: For ``retire``: whether the steps were only predicted.
        credentials: For ``plan``: what ``cloud_credential_info`` returns with references.
        pending_units: For ``rotate``: the units that no call has begun.
        skipped_units: For ``rotate``: the units that were found but cannot be rotated.
        host: Name for the first column.

    Raises:
        ValueError: There is no such table.
    """
    first = {"host": host} if host else {}
    if table == "status":
        return [{**first, **_status(rotation, now())} for rotation in rotations]
    uses = {credential["id"]: len(credential["references"]) for credential in credentials}
    describe: dict[str, t.Callable[[Rotation], str]] = {
        "plan": lambda rotation: _planned(rotation, uses.get(rotation["id"], 0)),
        "rotate": lambda rotation: _rotated(rotation, pending_units, skipped_units),
        "retire": lambda rotation: _retired(rotation, "would go through" if check_mode else "went through"),
        "rollback": lambda rotation: _ended(rotation, _ROLLED_BACK),
        "abort": lambda rotation: _ended(rotation, _ABORTED),
        "adopt": lambda rotation: _ended(rotation, _ADOPTED),
        "forget": lambda rotation: _ended(rotation, _FORGOTTEN),
        "failures": lambda rotation: f"{rotation['code']}: {rotation['msg']}",
    }
    if table not in describe:
        raise ValueError(f"{table!r} is not a table of rotations. Use {', '.join(describe)} or status.")
    return [
        {
            **first,
            "name": rotation["name"] or rotation["id"] or "",
            "driver": rotation["driver"] or "",
            "phase": rotation["phase"] or "unknown",
            "result": name_playbooks(describe[table](rotation)),
        }
        for rotation in rotations
    ]


def rotation_details(
    rotations: Iterable[Rotation],
    width: int = 88,
    host: str | None = None,
    inventories: Sequence[str] = (),
    namespace: str | None = None,
) -> list[str]:
    """Return a paragraph for each rotation that needs something, with the commands that continue it.

    A rotation that failed has one only if there is a command, as the failure itself is reported elsewhere.

    Args:
        width: Characters after which a line is wrapped. Commands are not wrapped.
        host: Host of the Rancher, for the paragraphs and the commands.
        inventories: Inventories in which the host is.
        namespace: Namespace of the records.
    """
    lines = []
    first = f"{host}: " if host else ""
    named = None if namespace in (None, "", RECORD_NAMESPACE) else namespace
    for rotation in rotations:
        reason = name_playbooks(_reason(rotation))
        commands = next_commands(rotation, CommandContext(host or None, tuple(inventories), named))
        if commands or reason and "code" not in rotation:
            name = printable_line(f"{first}{rotation['name'] or 'no credential'} ({rotation['id']})")
            lines += textwrap.wrap(f"{name}: {printable_line(reason or rotation['next_step'])}", width)
        lines += [f"  {purpose}: {command}" for purpose, command in commands]
    return lines


def _status(rotation: Rotation, moment: Time) -> Row:
    """Return a row that fits into a terminal of 100 columns."""
    return {
        "name": (rotation["name"] or str(rotation["id"]).rpartition(":")[2])[:17],
        "driver": (rotation["driver"] or "")[:13],
        "phase": rotation["phase"] or "unknown",
        "key_age": "-" if rotation["key_age_seconds"] is None else _span(rotation["key_age_seconds"]),
        "next_step": _NEXT_STEPS.get(rotation["next_step"], rotation["next_step"] or "-"),
        "due": _due(rotation, moment),
        "blocked_by": _blocked_by(rotation),
    }


def _planned(rotation: Rotation, users: int) -> str:
    if "code" in rotation:
        return f"cannot be rotated: {rotation['msg']}"
    if rotation["steps"]:
        return f"would go through {', '.join(rotation['steps'])}; used in {users} {'place' if users == 1 else 'places'}"
    return _waiting(rotation, "not due")


def _rotated(rotation: Rotation, pending_units: Collection[str], skipped_units: Collection[str]) -> str:
    if unit_of(rotation) in skipped_units:
        return f"skipped: {rotation['msg']}"
    if "code" in rotation:
        return f"failed: {rotation['msg']}"
    if unit_of(rotation) in pending_units:
        return "left for another run"
    if not rotation["steps"]:
        return _waiting(rotation, "not due")
    return f"rotated, has the key {rotation['key_id']}" if rotation["action"] == "rotated" else str(rotation["action"])


def _retired(rotation: Rotation, went_through: str) -> str:
    if "code" in rotation:
        return f"failed: {rotation['msg']}"
    if rotation["steps"]:
        old_key = f"; the old key is {rotation['old_key_id']}" if rotation["old_key_id"] else ""
        return f"{went_through} {', '.join(rotation['steps'])}{old_key}"
    return _waiting(rotation, "nothing to do")


def _ended(rotation: Rotation, effect: str) -> str:
    if "code" in rotation:
        return f"is not changed: {rotation['msg']}"
    if rotation["steps"]:
        return effect.format(old=rotation["old_key_id"] or "the old key", new=rotation["key_id"] or "the new key")
    return _waiting(rotation, _NOTHING)


def _waiting(rotation: Rotation, otherwise: str) -> str:
    return "; ".join(rotation["waiting_for"]) or otherwise


def _span(seconds: int) -> str:
    for unit, size in (("d", 86400), ("h", 3600)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds // 60}m"


def _due(rotation: Rotation, moment: Time) -> str:
    if not rotation["due_at"]:
        return "-"
    return "now" if rotation["due"] else _span(int((parse_time(rotation["due_at"]) - moment).total_seconds()))


def _blocked_by(rotation: Rotation) -> str:
    if rotation["problems"]:
        return "problem, see below"
    if rotation["running"]:
        return "another run"
    gates = [reason.partition(":")[0] for reason in rotation["waiting_for"]]
    if not gates:
        return "-"
    return gates[0] if len(gates) == 1 else f"{gates[0]} +{len(gates) - 1}"


def _reason(rotation: Rotation) -> str:
    if "code" in rotation:
        return f"{rotation['code']}: {rotation['msg']}"
    problems = rotation["problems"]
    if problems:
        return "; ".join(f"{problem['code']}: {problem['message']}" for problem in problems)
    return f"waiting for {'; '.join(rotation['waiting_for'])}" if rotation["waiting_for"] else ""
