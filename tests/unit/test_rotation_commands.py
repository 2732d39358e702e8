# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that the status of rotations shows."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import pytest
import yaml
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import decisions
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._rotation_commands import (
    CommandContext,
    name_playbooks,
    next_commands,
)
from hypothesis import given
from hypothesis import strategies as st

ID = "cattle-global-data:cc-7kq2f"
DRIFT = {"code": "drift", "level": "error", "message": "it contains another value"}
HERE = CommandContext()


def rotation(phase="idle", **values):
    return {"id": ID, "phase": phase, "problems": [], "due": False, "max_age_seconds": None, **values}


def failed(phase, message):
    """A rotation as cloud_credential_rotation returns it."""
    return {"id": ID, "phase": phase, "code": "drift", "msg": message}


def parsed(command):
    """Return the options before the playbook, the playbook, and the variables of a command, as a shell reads it."""
    words = shlex.split(command)
    assert words[0] == "ansible-playbook" and words[-2] == "-e"
    return words[1:-3], words[-3], yaml.safe_load(words[-1])


TORN = decisions.TORN.message.format(mixed="cc-a", or_back=", or run state: rolled_back")


@dataclass(frozen=True)
class Next:
    name: str
    rotation: dict
    playbooks: list


@pytest.mark.parametrize(
    "case",
    [
        Next("idle", rotation(), []),
        Next("due", rotation(due=True), ["rotate"]),
        Next("preparing", rotation("preparing"), ["rotate"]),
        Next("issued", rotation("issued"), ["rotate"]),
        Next("grace", rotation("grace"), ["retire"]),
        Next("disabling", rotation("disabling"), ["retire"]),
        Next("disabled", rotation("disabled"), ["retire"]),
        Next("deleting", rotation("deleting"), ["retire"]),
        Next("rolling back", rotation("rolling_back"), ["rollback"]),
        Next("aborting", rotation("aborting"), ["abort"]),
        Next("drift", rotation("grace", problems=[DRIFT], possible_states=["adopted", "forgotten", "repair"]),
             ["adopt", "rotate"]),
        Next("deleted", rotation("grace", problems=[DRIFT], possible_states=["forgotten"]), ["forget"]),
        Next("drift, unknown states", rotation("grace", problems=[DRIFT]), ["adopt"]),
        Next("gone", rotation("grace", problems=[{**DRIFT, "code": "gone"}]), ["forget"]),
        Next("unreadable", rotation(None, problems=[{**DRIFT, "code": "record_unreadable"}]), []),
        Next("restored", rotation(problems=[{**DRIFT, "code": "restored"}]), ["retire"]),
        Next("another problem", rotation("grace", problems=[{**DRIFT, "code": "other"}]), []),
        Next("failed", failed("grace", "the provider does not answer"), ["retire"]),
        Next("failed before it began", failed("idle", "2 of 2 keys exist"), []),
        Next("failed, not found", {**failed(None, "Use state: aborted"), "id": None}, []),
        Next("failed, and its message names a state", failed("grace", decisions.IN_USE.message), ["rollback"]),
        Next("failed, several states", failed("grace", TORN), ["rotate", "rollback", "adopt"]),
        Next("failed, gone", failed("grace", decisions.GONE.message), ["forget"]),
    ],
    ids=lambda case: case.name,
)
def test_what_is_next(case):
    commands = [parsed(command) for _purpose, command in next_commands(case.rotation, HERE)]
    assert [playbook for _options, playbook, _variables in commands] == [
        f"ranchhand.rancher.{name}" for name in case.playbooks
    ]
    assert all(variables[f"{name}_credentials"][0]["id"] == ID for name, (*_rest, variables) in
               zip(case.playbooks, commands))


def test_repair_is_an_option_of_the_item():
    ((_purpose, command),) = next_commands(rotation("grace", problems=[DRIFT], possible_states=["repair"]), HERE)
    assert parsed(command)[2]["rotate_credentials"] == [{"id": ID, "repair": True}]


@pytest.mark.parametrize("decision", [decisions.TORN, decisions.PUT_BACK])
def test_a_failure_that_a_repair_ends(decision):
    commands = [parsed(command)[2] for _purpose, command in next_commands(failed("grace", decision.message), HERE)]
    assert [{"id": ID, "repair": True}] in [variables.get("rotate_credentials") for variables in commands]


def test_messages_name_playbooks():
    assert name_playbooks("Use state: retired or state: rolled_back, not state: absent.") == (
        "Use ranchhand.rancher.retire or ranchhand.rancher.rollback, not state: absent."
    )


def test_the_maximum_age_is_that_of_the_status():
    ((_purpose, command),) = next_commands(rotation(due=True, max_age_seconds=60), HERE)
    assert parsed(command)[2]["rotate_max_age"] == "60s"


def test_the_host_is_selected():
    context = CommandContext("prod-eu", ("/etc/ansible/my hosts", "more.yml"), "records")
    ((_purpose, command),) = next_commands(rotation("grace"), context)
    options, playbook, variables = parsed(command)
    assert options == ["-i", "/etc/ansible/my hosts", "-i", "more.yml"] and playbook == "ranchhand.rancher.retire"
    assert variables == {
        "retire_credentials": [{"id": ID}], "retire_hosts": "prod-eu", "retire_namespace": "records"
    }


@pytest.mark.parametrize(
    "context",
    [
        CommandContext("prod:!staging"),
        CommandContext("{{ host }}"),
        CommandContext("yes"),
        CommandContext("a, b: c"),
        CommandContext("prod", ('hosts"',)),
        CommandContext("prod", ("it's",)),
        CommandContext(namespace="1e3"),
    ],
    ids=str,
)
def test_names_that_could_be_misread_have_no_command(context):
    assert next_commands(rotation("grace"), context) == []


@given(st.text(), st.text(), st.text())
def test_a_command_is_what_it_seems(identifier, host, inventory):
    context = CommandContext(host, (inventory,))
    for _purpose, command in next_commands({**rotation("grace"), "id": identifier}, context):
        assert command.isprintable() and "\\" not in command and '"' not in command
        options, playbook, variables = parsed(command)
        assert (options, playbook) == (["-i", inventory], "ranchhand.rancher.retire")
        assert variables == {"retire_credentials": [{"id": identifier}], "retire_hosts": host}
