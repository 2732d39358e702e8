# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the tables of rotations."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

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


@dataclass(frozen=True)
class Result:
    """A rotation with other values than the default, and the last cell of its row."""

    name: str
    table: str
    values: dict
    result: str
    options: dict = field(default_factory=dict)


@pytest.mark.parametrize(
    "case",
    [
        Result("plan, not due", "plan", {}, result="not due"),
        Result(
            "plan, waiting",
            "plan",
            {"waiting_for": ["state: retired, to retire the old key", "another"]},
            result="ranchhand.rancher.retire, to retire the old key; another",
        ),
        Result("plan, failed", "plan", FAILED, result="cannot be rotated: another client changed the key"),
        Result("plan, not used", "plan", STEPS, result="would go through disabling, disabled; used in 0 places"),
        Result(
            "plan, a reference",
            "plan",
            STEPS,
            options={"credentials": [{"id": A, "references": [1]}]},
            result="would go through disabling, disabled; used in 1 place",
        ),
        Result(
            "plan, two references",
            "plan",
            STEPS,
            options={"credentials": [{"id": B, "references": [1]}, {"id": A, "references": [1, 2]}]},
            result="would go through disabling, disabled; used in 2 places",
        ),
        Result(
            "rotate, failed",
            "rotate",
            FAILED,
            options={"pending_units": [A]},
            result="failed: another client changed the key",
        ),
        Result("rotate, pending", "rotate", {}, options={"pending_units": [A]}, result="left for another run"),
        Result(
            "rotate, unit that is pending",
            "rotate",
            {"id": B},
            options={"pending_units": [A]},
            result="left for another run",
        ),
        Result("rotate, not due", "rotate", {}, options={"pending_units": [B]}, result="not due"),
        Result("rotate, rotated", "rotate", {**STEPS, "action": "rotated"}, result="rotated, has the key NEW"),
        Result("rotate, rolled back", "rotate", {**STEPS, "action": "rolled_back"}, result="rolled_back"),
        Result("retire, nothing to do", "retire", {}, result="nothing to do"),
        Result("retire, waiting", "retire", {"waiting_for": ["grace: tomorrow"]}, result="grace: tomorrow"),
        Result("retire, disabled", "retire", STEPS, result="went through disabling, disabled; the old key is OLD"),
        Result(
            "retire, retired", "retire", {"steps": ["deleting", "idle"], "old_key_id": None},
            result="went through deleting, idle",
        ),
        Result(
            "retire, check mode",
            "retire",
            STEPS,
            options={"check_mode": True},
            result="would go through disabling, disabled; the old key is OLD",
        ),
        Result("retire, failed", "retire", FAILED, result="failed: another client changed the key"),
        Result("rollback, no rotation", "rollback", {}, result="no rotation in progress"),
        Result("rollback", "rollback", STEPS, result="returns to OLD; NEW is deleted"),
        Result(
            "rollback, unknown new key",
            "rollback",
            {**STEPS, "key_id": None},
            result="returns to OLD; the new key is deleted",
        ),
        Result("rollback, waiting", "rollback", {"waiting_for": ["another run"]}, result="another run"),
        Result("abort", "abort", STEPS, result="keeps OLD; NEW is deleted"),
        Result("adopt", "adopt", STEPS, result="accepts the key that it contains, if the key works"),
        Result("forget", "forget", STEPS, result="forgets the rotation and deletes its record and kept values"),
        Result(
            "rotate, skipped", "rotate", FAILED, options={"skipped_units": [A]},
            result="skipped: another client changed the key",
        ),
        Result("rollback, failed", "rollback", FAILED, result="is not changed: another client changed the key"),
        Result("failures", "failures", FAILED, result="drift: another client changed the key"),
        Result(
            "a state", "rollback", {"code": "not_cut_over", "msg": "Use state: aborted to end the rotation."},
            result="is not changed: Use ranchhand.rancher.abort to end the rotation.",
        ),
    ],
    ids=lambda case: case.name,
)
def test_results(case):
    (row,) = rotation_rows([rotation(**case.values)], case.table, **case.options)
    assert row == {"name": "aws prod", "driver": "amazonec2", "phase": "idle", "result": case.result}


def test_a_rotation_without_a_credential():
    (row,) = rotation_rows([rotation(name=None, driver=None, phase=None)], "retire")
    assert row == {"name": A, "driver": "", "phase": "unknown", "result": "nothing to do"}


def test_the_host_is_the_first_column():
    (row,) = rotation_rows([rotation()], "rollback", host="prod")
    assert list(row) == ["host", "name", "driver", "phase", "result"] and row["host"] == "prod"


def test_an_unknown_table_is_refused():
    with pytest.raises(
        ValueError, match="'nosuch' is not a table of rotations. Use plan, rotate, retire, rollback, abort, "
        "adopt, forget, failures or status"
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
        pytest.param("key_age", {"key_age_seconds": None}, "-", id="unknown age of the key"),
        pytest.param("key_age", {"key_age_seconds": 59}, "0m", id="less than a minute"),
        pytest.param("key_age", {"key_age_seconds": 3600}, "1h", id="an hour"),
        pytest.param("key_age", {"key_age_seconds": 86400 * 90 + 1}, "90d", id="90 days"),
        pytest.param("due", {}, "-", id="no due time"),
        pytest.param("due", {"due_at": "2026-01-01T00:00:00Z", "due": True}, "now", id="due"),
        pytest.param("due", {"due_at": "2026-01-04T00:00:00Z"}, "3d", id="due in 3 days"),
        pytest.param("next_step", {"next_step": "disable the old key"}, "disable old key", id="shortened next step"),
        pytest.param("next_step", {"next_step": "issue"}, "issue", id="next step"),
        pytest.param("blocked_by", {}, "-", id="not blocked"),
        pytest.param("blocked_by", {"waiting_for": ["grace: tomorrow"]}, "grace", id="a gate"),
        pytest.param("blocked_by", {"waiting_for": ["grace: tomorrow", "machines: 2"]}, "grace +1", id="two gates"),
        pytest.param(
            "blocked_by",
            {"running": True, "waiting_for": ["grace: tomorrow"]},
            "another run",
            id="another run",
        ),
        pytest.param("blocked_by", {"problems": [DRIFT], "running": True}, "problem, see below", id="problem"),
        pytest.param("name", {"name": "a name that is longer than a column"}, "a name that is lo", id="long name"),
        pytest.param("driver", {"driver": None}, "", id="no driver"),
    ],
)
def test_state(monkeypatch, column, values, cell):
    monkeypatch.setattr(_rotation_tables, "now", lambda: NOW)
    (row,) = rotation_rows([state(**values)], "status")
    assert row[column] == cell


def test_details():
    assert rotation_details([state()]) == []
    assert rotation_details([state(phase="grace", waiting_for=["grace: tomorrow", "machines: 2"])]) == [
        f"aws prod ({A}): waiting for grace: tomorrow; machines: 2",
        f"  retire the old key: ansible-playbook ranchhand.rancher.retire -e '{{retire_credentials: [{{id: {A}}}]}}'",
    ]
    assert rotation_details([state(problems=[DRIFT], waiting_for=["grace: tomorrow"])], width=50) == [
        f"aws prod ({A}): drift: the",
        "credential contains another value",
        "  accept the key that it contains: ansible-playbook ranchhand.rancher.adopt "
        f"-e '{{adopt_credentials: [{{id: {A}}}]}}'",
    ]


def test_details_of_a_failure():
    """Its message is repeated only together with a command."""
    assert rotation_details([rotation(**FAILED)]) == []
    failed = rotation(phase="grace", code="too_late", msg="it uses the new key. Use state: rolled_back")
    assert rotation_details([failed], width=100, namespace="rancher-credential-rotation") == [
        f"aws prod ({A}): too_late: it uses the new key. Use ranchhand.rancher.rollback",
        "  return to the old key: ansible-playbook ranchhand.rancher.rollback "
        f"-e '{{rollback_credentials: [{{id: {A}}}]}}'",
    ]


def test_details_of_a_host():
    assert rotation_details([state(due=True)], host="prod", inventories=["hosts.yml"], namespace="records") == [
        f"prod: aws prod ({A}): rotate",
        "  continue: ansible-playbook -i hosts.yml ranchhand.rancher.rotate -e '{rotate_credentials: "
        f"[{{id: {A}}}], rotate_max_age: 7776000s, rotate_hosts: prod, rotate_namespace: records}}'",
    ]


def test_a_name_cannot_imitate_a_command():
    name = "aws\n  continue: ansible-playbook evil; rm -rf /"
    lines = rotation_details([state(name=name, phase="grace", next_step="disable the old key")])
    assert [line for line in lines if line.startswith("  ")] == lines[-1:]
    assert lines[-1].startswith("  retire the old key: ansible-playbook ranchhand.rancher.retire")
