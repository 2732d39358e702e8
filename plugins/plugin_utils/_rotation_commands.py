# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that continue rotations, to be pasted into a shell. Pure.

A command names a credential by its id, never by its name, because other people choose names.
"""

from __future__ import annotations

import re
import shlex
import typing as t
from collections.abc import Mapping

from ..module_utils._rotation.record import (
    ABORTING,
    DELETING,
    DISABLED,
    DISABLING,
    GRACE,
    ISSUED,
    PREPARING,
    ROLLING_BACK,
)

# The playbooks, by the state that each of them requests.
_PLAYBOOKS = {
    "rotated": "rotate",
    "retired": "retire",
    "rolled_back": "rollback",
    "aborted": "abort",
    "adopted": "adopt",
    "forgotten": "forget",
}
_PURPOSES = {
    "rotated": "continue",
    "retired": "retire the old key",
    "repair": "write the new key again",
    "rolled_back": "return to the old key",
    "aborted": "abort",
    "adopted": "accept the key that it contains",
    "forgotten": "forget the rotation",
}
# The state that continues a rotation without problems.
_USUAL = {
    PREPARING: "rotated",
    ISSUED: "rotated",
    GRACE: "retired",
    DISABLING: "retired",
    DISABLED: "retired",
    DELETING: "retired",
    ROLLING_BACK: "rolled_back",
    ABORTING: "aborted",
}
# What ends a problem, if the status does not contain it.
_REMEDIES = {
    "drift": ("adopted",),
    "gone": ("forgotten",),
    "restored": ("retired",),
}
_MAX_AGE = 90 * 86400  # seconds
# How messages of the module name a state.
_STATE = re.compile(rf"\bstate: ({'|'.join(_PLAYBOOKS)})\b")
# The default output of Ansible is JSON, in which quotation marks and backslashes would be escaped.
_NOT_SHOWN = re.compile(r"[^ !#-\[\]-~]")
# Text that needs no quotes in YAML and in a pattern of hosts.
_PLAIN = re.compile(r"(?!(?:yes|no|on|off|true|false|null|y|n)\Z)[a-z_][a-z0-9_.:-]*", re.IGNORECASE)


class CommandContext(t.NamedTuple):
    """Where commands run: ``host`` in ``inventories``, with records in ``namespace``. None and () are the defaults."""

    host: str | None = None
    inventories: tuple[str, ...] = ()
    namespace: str | None = None


def next_commands(rotation: Mapping[str, t.Any], context: CommandContext) -> list[tuple[str, str]]:
    """Return what can be done next for a rotation, each as a purpose and a command.

    A command that a shell or Ansible could understand differently is left out.
    """
    found = []
    for state in _next_states(rotation) if rotation["id"] else ():
        command = _command(rotation, state, context)
        if command and not _NOT_SHOWN.search(command):
            found.append((_PURPOSES[state], command))
    return found


def name_playbooks(message: str) -> str:
    """Return a message of the module for a person who runs playbooks: with the playbook in place of each state."""
    return _STATE.sub(lambda match: _playbook_name(_PLAYBOOKS[match[1]]), message)


def _playbook_name(playbook: str) -> str:
    return f"ranchhand.rancher.{playbook}"


def _next_states(rotation: Mapping[str, t.Any]) -> list[str]:
    usual = usual_state(rotation["phase"])
    if "code" in rotation:
        states = _named_states(rotation["msg"]) or ([usual] if usual else [])
    elif rotation["problems"]:
        states = list(rotation.get("possible_states") or _REMEDIES.get(rotation["problems"][0]["code"]) or ())
    elif usual:
        states = [usual]
    else:
        states = ["rotated"] if rotation.get("due") else []
    return [state for state in states if state != "forgotten"] or states


def _named_states(message: str) -> list[str]:
    """Return the states that the message of a failure names, in its order."""
    named = dict.fromkeys(_STATE.findall(message))
    return ["repair" if state == "rotated" and "repair: true" in message else state for state in named]


def _command(rotation: Mapping[str, t.Any], state: str, context: CommandContext) -> str | None:
    return rotation_command(str(rotation["id"]), state, context, f"{rotation.get('max_age_seconds') or _MAX_AGE}s")


def rotation_command(credential_id: str, state: str, context: CommandContext, max_age: str) -> str | None:
    """Return the command that requests a state of a rotation; None if a name in it would need quotes."""
    playbook = _PLAYBOOKS["rotated" if state == "repair" else state]
    item = f"id: {credential_id}" + (", repair: true" if state == "repair" else "")
    variables = [f"{playbook}_credentials: [{{{item}}}]"]
    if playbook == "rotate":  # required; a rotation in progress is continued whatever it is
        variables.append(f"rotate_max_age: {max_age}")
    return playbook_command(playbook, credential_id, variables, context)


def usual_state(phase: str | None) -> str | None:
    """Return the state that continues a rotation without problems in this phase; None if there is none."""
    return _USUAL.get(phase or "")


def playbook_command(
    playbook: str, credential_id: str | None, variables: t.Sequence[str], context: CommandContext,
) -> str | None:
    """Return the command that runs a playbook for a credential, with variables in YAML.

    Returns None if the id or a name of the context would need quotes in YAML or in a pattern of hosts.
    """
    names = (credential_id, context.host, context.namespace)
    if not all(name is None or _PLAIN.fullmatch(name) for name in names):
        return None
    assignments = [*variables]
    if context.host is not None:
        assignments.append(f"{playbook}_hosts: {context.host}")
    if context.namespace is not None:
        assignments.append(f"{playbook}_namespace: {context.namespace}")
    arguments = ["ansible-playbook"]
    for inventory in context.inventories:
        arguments += ["-i", inventory]
    command = [*arguments, _playbook_name(playbook)]
    return shlex.join([*command, "-e", f"{{{', '.join(assignments)}}}"] if assignments else command)
