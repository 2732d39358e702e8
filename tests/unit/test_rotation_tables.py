# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the tables of rotations."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.ranchhand.rancher.plugins.plugin_utils import _rotation_tables
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._rotation_tables import rotation_details, rotation_rows

A, B = "cattle-global-data:cc-a", "cattle-global-data:cc-b"


def rotation(**values):
    return {
        "id": A,
        "name": "aws prod",
        "driver": "amazonec2",
        "members": [A],
        "phase": "idle",
        "action": "unchanged",
        "steps": [],
        "waiting_for": [],
        "key_id": "NEW",
        "old_key_id": "OLD",
        **values,
    }


FAILED = {"code": "drift", "msg": "another client changed the key"}
STEPS = {"steps": ["disabling", "disabled"]}


@pytest.mark.parametrize(
    ("table", "values", "options", "result"),
    [
        ("plan", {}, {}, "not due"),
        ("plan", {"waiting_for": ["state: retired", "another"]}, {}, "state: retired; another"),
        ("plan", FAILED, {}, "cannot be rotated: another client changed the key"),
        ("plan", STEPS, {}, "would go through disabling, disabled; used in 0 places"),
        (
            "plan",
            STEPS,
            {"credentials": [{"id": A, "references": [1]}]},
            "would go through disabling, disabled; used in 1 place",
        ),
        (
            "plan",
            STEPS,
            {"credentials": [{"id": B, "references": [1]}, {"id": A, "references": [1, 2]}]},
            "would go through disabling, disabled; used in 2 places",
        ),
        ("rotate", FAILED, {"pending_units": [A]}, "failed: another client changed the key"),
        ("rotate", {}, {"pending_units": [A]}, "left for another run"),
        ("rotate", {"id": B}, {"pending_units": [A]}, "left for another run"),
        ("rotate", {}, {"pending_units": [B]}, "not due"),
        ("rotate", {**STEPS, "action": "rotated"}, {}, "rotated, has the key NEW"),
        ("rotate", {**STEPS, "action": "rolled_back"}, {}, "rolled_back"),
        ("retire", {}, {}, "nothing to do"),
        ("retire", {"waiting_for": ["grace: tomorrow"]}, {}, "grace: tomorrow"),
        ("retire", STEPS, {}, "went through disabling, disabled"),
        ("retire", STEPS, {"check_mode": True}, "would go through disabling, disabled"),
        ("retire", FAILED, {}, "failed: another client changed the key"),
        ("rollback", {}, {}, "no rotation to roll back"),
        ("rollback", STEPS, {}, "returns to OLD; NEW is deleted"),
        ("rollback", {**STEPS, "key_id": None}, {}, "returns to OLD; the new key is deleted"),
        ("rollback", FAILED, {}, "is not changed: another client changed the key"),
    ],
)
def test_results(table, values, options, result):
    (row,) = rotation_rows([rotation(**values)], table, **options)
    assert row == {"name": "aws prod", "driver": "amazonec2", "phase": "idle", "result": result}


def test_the_host_is_the_first_column():
    (row,) = rotation_rows([rotation()], "rollback", host="prod")
    assert list(row) == ["host", "name", "driver", "phase", "result"] and row["host"] == "prod"


def test_an_unknown_table_is_refused():
    with pytest.raises(
        ValueError, match="'nosuch' is not a table of rotations. Use plan, rotate, retire, rollback or status"
    ):
        rotation_rows([], "nosuch")


def state(**values):
    return rotation(
        **{
            "next_step": "rotate",
            "key_age_seconds": 0,
            "due": False,
            "due_at": None,
            "problems": [],
            "running": False,
            **values,
        }
    )


NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
DRIFT = {"code": "drift", "level": "error", "message": "the credential contains another value"}


@pytest.mark.parametrize(
    ("column", "values", "cell"),
    [
        ("key_age", {"key_age_seconds": None}, "-"),
        ("key_age", {"key_age_seconds": 59}, "0m"),
        ("key_age", {"key_age_seconds": 3600}, "1h"),
        ("key_age", {"key_age_seconds": 86400 * 90 + 1}, "90d"),
        ("due", {}, "-"),
        ("due", {"due_at": "2026-01-01T00:00:00Z", "due": True}, "now"),
        ("due", {"due_at": "2026-01-04T00:00:00Z"}, "3d"),
        ("next_step", {"next_step": "disable the old key"}, "disable old key"),
        ("next_step", {"next_step": "issue"}, "issue"),
        ("blocked_by", {}, "-"),
        ("blocked_by", {"waiting_for": ["grace: tomorrow"]}, "grace"),
        ("blocked_by", {"waiting_for": ["grace: tomorrow", "machines: 2"]}, "grace +1"),
        ("blocked_by", {"running": True, "waiting_for": ["grace: tomorrow"]}, "another run"),
        ("blocked_by", {"problems": [DRIFT], "running": True}, "problem, see below"),
        ("name", {"name": "a name that is longer than a column"}, "a name that is lo"),
        ("driver", {"driver": None}, ""),
    ],
)
def test_state(monkeypatch, column, values, cell):
    monkeypatch.setattr(_rotation_tables, "now", lambda: NOW)
    (row,) = rotation_rows([state(**values)], "status")
    assert row[column] == cell


def test_details():
    assert rotation_details([state()]) == []
    assert rotation_details([state(waiting_for=["grace: tomorrow", "machines: 2"])]) == [
        f"aws prod ({A}): waiting for grace: tomorrow; machines: 2"
    ]
    assert rotation_details([state(problems=[DRIFT], waiting_for=["grace: tomorrow"])], width=50) == [
        f"aws prod ({A}): drift: the",
        "credential contains another value",
    ]
