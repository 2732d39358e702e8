# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The invariants of the rotation protocol, in interleavings of runs, crashes, lost replies and other writes."""

from __future__ import annotations

import itertools
import os
import random

import hypothesis
import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import checks
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.decisions import (
    ABORTED,
    RETIRED,
    ROLLED_BACK,
    ROTATED,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.protocol import (
    RotationProtocol,
    Snapshot,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import (
    DISABLED,
    DISABLING,
    GRACE,
    IDLE,
    ISSUED,
    ROLLING_BACK,
    RotationRecord,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError
from hypothesis import strategies

from .fake_backend import (
    FOREIGN_KEY,
    PROVIDER_CALLS,
    Ending,
    FakeRun,
    Listed,
    Local,
    Marked,
    Opaque,
    SharedState,
    Single,
    finish,
)
from .people import Violation

DRAINS = 60
ROTATE, RETIRE, BACK, ABORT = ROTATED, RETIRED, ROLLED_BACK, ABORTED
OVERLAPPING = (Listed, Opaque, Marked, Local)  # both keys work until the old one is disabled


def check(shared, before):
    """Check the invariants that hold at every moment."""
    record = shared.record
    for live in shared.credentials:
        if shared.issuer in OVERLAPPING and not shared.works(live.values["id"]):
            raise Violation("the credential names a key that does not work")
    if any(
        item.values["id"] == FOREIGN_KEY and now.values["id"] != FOREIGN_KEY
        for item, now in zip(before, shared.credentials)
    ):
        if not (record and record.old and record.old.key == FOREIGN_KEY):
            raise Violation("a write of another client was overwritten")
    if record and record.phase in (GRACE, DISABLING, DISABLED, ROLLING_BACK):
        if record.old.version not in shared.generations:
            raise Violation("the old value is lost")
        if shared.issuer in OVERLAPPING and record.old.key != FOREIGN_KEY and record.old.key not in shared.provider:
            raise Violation("the old key was deleted while it can be rolled back to")
    if len(shared.provider) > 2:
        raise Violation("more than two keys")


class Schedule:
    """One history; ``choose(n)`` returns a number below n."""

    def __init__(self, choose, goals, crashes, saves, losses=1, members=1, issuer=Listed, begun=False, **settings):
        self.shared = SharedState(members, issuer)
        self.choose = choose
        self.settings = {"rotation_id": "r1", **settings}
        self.goals = goals
        self.tokens = 0
        self.crashes = [crashes] * len(goals)
        self.saves, self.losses = saves, losses
        self.saved = False
        self.burst = 0
        self.turn = None
        if begun:
            finish(self.fresh(ROTATE))
        self.runs = [self.fresh(goal) for goal in goals]
        self.history = []

    def fresh(self, goal):
        self.tokens += 1
        return FakeRun(self.shared, goal, f"run{self.tokens}", drain=DRAINS, **self.settings)

    def may_step(self, number):
        run = self.runs[number]
        if run.call.name == "sleep" and run.call.arguments == (DRAINS,):  # longer than any call to a provider
            return not any(
                not other.ended and other.call.name in PROVIDER_CALLS for other in self.runs if other is not run
            )
        return True

    def play(self):
        for _step in range(2000):
            moves = [number for number, run in enumerate(self.runs) if not run.ended and self.may_step(number)]
            if not any(not run.ended for run in self.runs):
                break
            if self.burst <= 0 or self.turn not in moves:
                self.turn, self.burst = moves[self.choose(len(moves))], 1 << self.choose(6)
            self.burst -= 1
            number, extra = self.turn, self.choose(8)
            before = list(self.shared.credentials)
            run = self.runs[number]
            event = f"{number}:{run.call.name}"
            if extra == 1 and self.crashes[number]:
                self.crashes[number] -= 1
                event += " killed"
                if self.choose(2):
                    run.advance()
                    event += " after"
                self.runs[number] = self.fresh(self.goals[number])
            elif extra == 2 and self.losses and run.call.name in (*PROVIDER_CALLS, "write_credential", "write_record"):
                self.losses -= 1
                event += " reply lost"
                run.advance(lose=True)
            elif extra == 3 and self.saves:
                self.saves -= 1
                if self.choose(2):
                    self.saved = True
                    self.shared.save({"id": FOREIGN_KEY, "secret": FOREIGN_KEY})
                    event = "another client writes a value"
                else:
                    self.shared.lose_token()
                    event = "token lost"
            else:
                run.advance()
            self.history.append(event)
            check(self.shared, before)
        else:
            raise Violation("no end")
        if not self.saved:
            self.settle()

    def settle(self):
        """Without interruption, the commands repair every state: one key is left, which the credential contains."""
        shared = self.shared
        for wanted in ("r1", "r2"):  # what was begun, then another rotation
            self.settings["rotation_id"] = wanted
            for goal in (ROTATE, ROTATE, RETIRE, RETIRE, RETIRE):
                run = self.fresh(goal)
                seen = Snapshot(shared.record, shared.record_version, tuple(shared.credentials))
                predicted = run.protocol.decide(seen).phases
                finish(run)
                if run.outcome and run.outcome.steps != predicted:
                    raise Violation(f"predicted {predicted}, but the run went through {run.outcome.steps}")
                self.history.append(f"settle {goal}: {run.error or run.outcome.record.phase}")
                if run.error:
                    raise Violation(f"the next run is stuck: {run.error}")
        live = {item.values["id"] for item in shared.credentials}
        if shared.record.phase != IDLE or len(live) != 1:
            raise Violation(f"left in {shared.record.phase} with {live}")
        if shared.issuer in OVERLAPPING and set(shared.provider) != live or not shared.works(*live):
            raise Violation(f"keys left behind: {sorted(shared.provider)}, live {live}")
        if set(shared.generations) != {shared.record.current.version}:
            raise Violation(f"kept values left behind: {sorted(shared.generations)}")
        before = shared.record_version, list(shared.credentials)
        for goal in (ROTATE, RETIRE):
            finish(self.fresh(goal))
        if before != (shared.record_version, list(shared.credentials)):
            raise Violation("a second run is not unchanged")


CASTS = {
    "two rotate": dict(goals=(ROTATE, ROTATE), crashes=1, saves=0),
    "two rotate, a person": dict(goals=(ROTATE, ROTATE), crashes=1, saves=1),
    "rotate and retire": dict(goals=(ROTATE, RETIRE), crashes=1, saves=0),
    "rotate and roll back": dict(goals=(ROTATE, RETIRE, BACK), crashes=1, saves=0),
    "retire and roll back": dict(goals=(RETIRE, BACK), crashes=1, saves=0, begun=True),
    "retire and roll back, a person": dict(goals=(RETIRE, BACK), crashes=1, saves=1, begun=True),
    "rotate and abort": dict(goals=(ROTATE, ABORT), crashes=1, saves=0),
    "a shared key": dict(goals=(ROTATE, RETIRE, BACK), crashes=1, saves=0, members=2),
    "one value": dict(goals=(ROTATE, RETIRE), crashes=1, saves=0, issuer=Single),
    "one value, back": dict(goals=(ROTATE, BACK, ABORT), crashes=1, saves=0, issuer=Single),
    **{
        f"{issuer.__name__}, {name}": dict(goals=goals, crashes=1, saves=0, issuer=issuer)
        for issuer in (Opaque, Marked, Local) for name, goals in (
            ("two rotate", (ROTATE, ROTATE)), ("back", (ROTATE, RETIRE, BACK)), ("abort", (ROTATE, ABORT)))
    },
    "Ending, back": dict(goals=(ROTATE, RETIRE, BACK), crashes=1, saves=0, issuer=Ending),
}


@pytest.mark.parametrize("cast", CASTS.values(), ids=CASTS)
@hypothesis.settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(data=strategies.data())
def test_invariants(cast, data):
    schedule = Schedule(lambda count: data.draw(strategies.integers(0, count - 1)), **cast)
    try:
        schedule.play()
    except Violation:
        hypothesis.note("\n".join(schedule.history))
        raise


@pytest.mark.slow
@pytest.mark.parametrize("cast", CASTS.values(), ids=CASTS)
def test_random_histories(cast):
    for seed in range(int(os.environ.get("RANCHHAND_HISTORIES", "250"))):
        schedule = Schedule(random.Random(seed).randrange, **cast)
        try:
            schedule.play()
        except Violation as violation:
            raise AssertionError(f"{violation}, with seed {seed}: " + " > ".join(schedule.history)) from None


def _pause(schedule, retire, back):
    """A run stops before its call ``retire`` and another one before its call ``back``; then both go on to the end."""
    for number, calls in ((0, retire), (1, back), (0, 100), (1, 100)):
        run = schedule.runs[number]
        for _call in range(calls):
            if run.ended or not schedule.may_step(number):
                break
            before = list(schedule.shared.credentials)
            run.advance()
            check(schedule.shared, before)


def test_a_rollback_while_a_run_that_retires_is_paused():
    for retire, back in itertools.product(range(25), repeat=2):
        _pause(Schedule(None, **CASTS["retire and roll back"]), retire, back)


def test_without_the_token_a_superseded_run_does_harm(monkeypatch):
    """The model's variant no_token: only the record shows which run is active."""
    monkeypatch.setattr(checks, "has_token", lambda *arguments: True)
    monkeypatch.setattr(checks, "is_record_of_run", lambda *arguments: True)
    with pytest.raises(Violation, match="the credential names a key that does not work"):
        test_a_rollback_while_a_run_that_retires_is_paused()


@pytest.mark.slow
def test_without_the_snapshot_of_keys_a_lost_key_blocks_every_rotation(monkeypatch):
    """The model's variant no_snapshot."""
    monkeypatch.setattr(RotationProtocol, "_find_orphans", lambda self, keys, attempts: [])
    with pytest.raises(Violation, match="stuck: no new key can be issued"):
        for seed in range(600):
            Schedule(random.Random(seed).randrange, **CASTS["two rotate"]).play()


def test_a_run_waits_after_a_takeover_also_if_its_own_reply_was_lost():
    """The second attempt reads its own token and record, but must still wait for the run that had the token before."""
    shared = SharedState()
    before, after = FakeRun(shared, ROTATE, "run1"), FakeRun(shared, ABORT, "run2")
    while before.call.name != "issue":
        before.advance()
    while after.call.name != "write_record":
        after.advance()
    after.advance(lose=True)
    while after.call.name not in ("sleep", "keys"):
        after.advance()
    assert after.call.name == "sleep"


@pytest.mark.parametrize("at", ["verify", "keys", "list_generations"])
def test_a_superseded_run_does_not_store_a_value_that_its_successor_deleted(at):
    """The run was suspended in a rollback after it had read the credentials, which contained the new key."""
    shared = SharedState()
    finish(FakeRun(shared, ROTATE, "run1"))
    suspended = FakeRun(shared, BACK, "run2")
    while suspended.call.name != "enable":
        suspended.advance()
    suspended.advance()
    while suspended.call.name != at:
        suspended.advance()
    assert shared.credentials[0].values["id"] == "k2"
    assert finish(FakeRun(shared, BACK, "run3")).outcome.record.phase == IDLE
    finish(suspended)
    assert [each.values["id"] for each in shared.generations.values()] == ["k1"]


@pytest.mark.parametrize("refuses", ["activate", "verify"])
def test_a_rotation_is_aborted_if_the_provider_rejects_the_password(monkeypatch, refuses):
    shared = SharedState(issuer=Single)
    run = FakeRun(shared, ROTATE, "run1")

    def refuse(*arguments):
        if refuses == "activate" or arguments[0]["id"] == "k2" and shared.accepted == "k2":
            raise IssuerError("refused", "too short")
        return FakeRun._verify(run, *arguments)  # pylint: disable=protected-access

    monkeypatch.setattr(run, f"_{refuses}", refuse)
    finish(run)
    assert run.error.code == "verify_failed" and shared.record.phase == IDLE
    assert shared.accepted == shared.credentials[0].values["id"] == "k1" and len(shared.generations) == 1


def test_the_later_of_two_runs_that_start_together_is_busy():
    """It reads before the other run starts, and lists the keys after the other run issued the last possible key."""
    shared = SharedState()
    late, early = FakeRun(shared, ROTATE, "run1"), FakeRun(shared, ROTATE, "run2")
    late.advance()
    while early.call.name != "write_credential" or early.protocol.record.phase != ISSUED:
        early.advance()
    finish(late)
    assert late.error.code == "busy", late.error
    assert finish(early).outcome.record.phase == GRACE


def test_a_shared_key_that_ends_at_the_cutover_is_not_rotated():
    """The credentials are changed in sequence, so that some would contain a key that has ended."""
    shared = SharedState(2, Ending)
    run = finish(FakeRun(shared, ROTATE, "run1"))
    assert run.error.code == "unsupported" and "contain the same key" in str(run.error)
    assert shared.record is None and list(shared.provider) == ["k1"]
    assert finish(FakeRun(SharedState(1, Ending), ROTATE, "run1")).outcome.record.phase == GRACE


def test_a_record_with_the_former_names_of_phases_is_read():
    text = RotationRecord(
        "rotation-cc-1",
        (("cc-1", "uid"),),
        "amazonec2",
        "aws",
        ("accessKey",),
        phase=ROLLING_BACK,
        transitions=({"at": "2026-01-01T00:00:00Z", "phase": GRACE, "what": "cut over to k2", "run": "1"},),
    ).to_json()
    former = text.replace('"rolling_back"', '"RollingBack"').replace('"phase": "grace"', '"phase": "Grace"')
    assert former != text and RotationRecord.from_json(former) == RotationRecord.from_json(text)
    with pytest.raises(ValueError, match="unknown phase Resting"):
        RotationRecord.from_json(text.replace('"rolling_back"', '"Resting"'))
    with pytest.raises(ValueError, match="unknown cutover automatic"):
        RotationRecord.from_json(text.replace('"direct"', '"automatic"'))
