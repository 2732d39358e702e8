# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of tests/run.py."""

from __future__ import annotations

import sys

import pytest

from harness import commands


def run(monkeypatch, *arguments):
    """Return the exit code of run.py, and what it passes on to pytest."""
    passed_on = []
    monkeypatch.setattr(commands, "pytest", lambda rest: passed_on.extend(rest) or 0)
    monkeypatch.setattr(commands.signal, "signal", lambda *_handler: None)
    monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
    with pytest.raises(SystemExit) as end:
        commands.main()
    return end.value.code, passed_on


@pytest.mark.parametrize(
    "arguments",
    [["-v", "TEST"], ["TEST", "-v"], ["-k", "a or b", "TEST", "-n", "2"], ["--durations=3", "TEST", "-x"], ["-h"]],
    ids=" ".join,
)
def test_pytest_gets_all_arguments_in_their_order(monkeypatch, arguments):
    assert run(monkeypatch, "pytest", *arguments) == (0, arguments)


def test_other_commands_reject_unknown_arguments(monkeypatch, capsys):
    assert run(monkeypatch, "lint", "-v")[0] == 2
    assert "unrecognized arguments: -v" in capsys.readouterr().err
