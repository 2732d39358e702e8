# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Histories in which people act between the calls of the runs with people, and the removal of each check in turn."""

from __future__ import annotations

import datetime
import os
import random
import typing
from dataclasses import replace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import checks, decisions, gates
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.decisions import (
    ABORTED,
    ADOPTED,
    FORGOTTEN,
    RETIRED,
    ROLLED_BACK,
    ROTATED,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.protocol import Call, RotationProtocol
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import (
    DELETING,
    DISABLED,
    DISABLING,
    GRACE,
    ISSUED,
    PREPARING,
)

from .fake_backend import (
    PROVIDER_CALLS,
    Admin,
    Bound,
    Ending,
    FakeRun,
    Given,
    Listed,
    Local,
    Locking,
    Marked,
    Opaque,
    Owner,
    SharedState,
    Single,
    Unknown,
    finish,
    pair,
)
from .people import Invariants, Operator, People, Violation

DRAIN = 60
ROTATE, RETIRE, BACK, ABORT, ADOPT, FORGET = ROTATED, RETIRED, ROLLED_BACK, ABORTED, ADOPTED, FORGOTTEN


class Cast(typing.NamedTuple):
    """Who takes part in a history: the commands, in turn, and the number of acts of people between their calls."""

    goals: tuple
    people: int = 2
    issuer: type = Listed
    members: int = 1
    accounts: tuple = ("a",)
    moments: tuple = ()
    supplied: int | None = None  # the number of the value that is always supplied; None: different ones


class Moment(typing.NamedTuple):
    """Before a call of a run in a phase, or its first call, something happens once."""

    state: str
    call: str
    act: typing.Callable
    phase: str | None = None
    key: str | None = None  # only a call with the values of this key

    def is_now(self, run):
        call, record = run.call, run.shared.record
        if (run.protocol.request.state, call.name) != (self.state, self.call):
            return False
        values = [each for each in call.arguments if isinstance(each, dict)]
        if self.key and all(each["id"] != self.key for each in values):
            return False
        return record is not None and record.phase == self.phase if self.phase else not run.acts


def killed(history, run):
    history.running.remove(run)
    return "killed"


def killed_after(history, run):
    run.advance()
    return killed(history, run)


def refused(history, _run):
    history.shared.refusals.append("forbidden")
    return "will be refused"


def overtaken(history, run):
    """Another run rolls back until it is about to write the old key, or waits for the call of this run."""
    other = history.fresh(BACK)
    in_call = run.call.name in PROVIDER_CALLS
    while not other.ended and not (other.call.name == "write_credential" and other.call.arguments[2]):
        if in_call and other.call.name == "sleep" and other.call.arguments == (DRAIN,):
            break
        other.advance()
    if in_call and not other.ended and other.call.name == "write_credential":
        other.advance()
    history.running.append(other)
    return "overtaken"


def act(change):
    """A person changes something."""
    def change_state(history, _run):
        history.shared.acts += 1
        change(history.shared)
        return f"{change.__name__} by a person"

    change_state.change = change
    return change_state


@act
def delete_record(shared):
    shared.record, shared.record_version = None, 0


@act
def write_another_key(shared):
    values = pair(shared.add_key("person")[1:])
    shared.write(0, values=values, digests=values)


@act
def delete_old_key_and_write_another(shared):
    del shared.provider["k1"]
    values = pair(shared.add_key("person")[1:])
    shared.write(0, values=values, digests=values)


@act
def write_key_of_another_user(shared):
    values = pair(shared.add_key("person", "b")[1:])
    shared.write(0, values=values, digests=values)


@act
def recreate_with_old_key(shared):
    shared.credentials[1] = replace(
        shared.credentials[1], uid="another", resource_version="1", token=None, values=pair(1), digests=pair(1))


@act
def create_key(shared):
    shared.add_key("person")


@act
def create_and_use_key(shared):
    shared.provider[shared.add_key("person")].last_used = shared.provider_time


@act
def use_keys(shared):
    for key in shared.provider.values():
        if key.creator == "person":
            key.last_used = shared.provider_time


@act
def enable_old_key(shared):
    shared.provider["k1"].enabled = True


@act
def use_old_key(shared):
    """It is enabled, and disabled again."""
    shared.time += datetime.timedelta(hours=1)
    shared.provider["k1"].last_used = shared.provider_time


@act
def disable_new_key_late(shared):
    shared.provider["k2"].enabled = False
    shared.late.add("k2")


@act
def deny_new_key(shared):
    shared.denied.add("k2")


CASTS = {
    "rotate": Cast((ROTATE, RETIRE, RETIRE), 3),
    "retire": Cast((ROTATE, RETIRE, RETIRE, RETIRE), 2),
    "roll back": Cast((ROTATE, RETIRE, BACK), 3),
    "abort": Cast((ROTATE, ABORT, ROTATE), 3),
    "adopt": Cast((ROTATE, ADOPT, RETIRE, BACK), 3),
    "forget": Cast((ROTATE, RETIRE, FORGET), 3),
    "a shared key": Cast((ROTATE, RETIRE, RETIRE, BACK), 3, members=2),
    "a shared key, adopted": Cast((ROTATE, ADOPT, RETIRE, FORGET), 3, members=2),
    "another account": Cast((ROTATE, RETIRE, RETIRE, BACK), 2, Admin, accounts=("a", "a", "b")),
    "an administrator": Cast((ROTATE, RETIRE, BACK, ADOPT), 3, Owner),
    "no disabling": Cast((ROTATE, RETIRE, BACK), 3, Bound),
    "one value": Cast((ROTATE, RETIRE, BACK, ABORT), 2, Single),
    "supplied": Cast((ROTATE, ROTATE, RETIRE, ABORT), 2, Given),
    "opaque ids": Cast((ROTATE, RETIRE, BACK, ABORT), 3, Opaque),
    "opaque ids, adopted": Cast((ROTATE, ADOPT, RETIRE, FORGET), 3, Opaque, members=2),
    "marks": Cast((ROTATE, RETIRE, BACK, ABORT), 3, Marked),
    "unknown ids": Cast((ROTATE, RETIRE, BACK, ABORT), 3, Unknown),
    "unknown ids, adopted": Cast((ROTATE, ADOPT, RETIRE, FORGET), 2, Unknown),
    "generated locally": Cast((ROTATE, RETIRE, BACK, ABORT), 3, Local),
    "bounded attempts": Cast((ROTATE, RETIRE, BACK, ABORT), 2, Locking),
    "ended at the cutover": Cast((ROTATE, RETIRE, BACK, ADOPT), 2, Ending),
    # at a moment at which one check matters
    "another run takes over": Cast((ROTATE, RETIRE), 0, moments=(
        Moment(RETIRE, "read_snapshot", overtaken, DISABLING),)),
    "another run takes over during a call": Cast((ROTATE, RETIRE), 0, moments=(
        Moment(RETIRE, "disable", overtaken, DISABLING),)),
    "the record is deleted": Cast((ROTATE, RETIRE), 0, moments=(
        Moment(RETIRE, "read_snapshot", delete_record, DISABLING),)),
    "another value is adopted": Cast((ROTATE, ADOPT, RETIRE), 0, Bound, moments=(
        Moment(ADOPT, "read_snapshot", delete_old_key_and_write_another),
        Moment(ADOPT, "list_generations", write_another_key, GRACE))),
    "a credential is created again": Cast((ROTATE, RETIRE), 0, members=2, moments=(
        Moment(RETIRE, "read_snapshot", recreate_with_old_key, DISABLING),)),
    "different values": Cast((ROTATE, ADOPT), 0, Bound, 2, moments=(
        Moment(ROTATE, "read_snapshot", write_another_key),)),
    "the present value is supplied": Cast((ROTATE, RETIRE, RETIRE), 0, Given, supplied=1),
    "another value is supplied": Cast((ROTATE, ROTATE, RETIRE), 0, Given, moments=(
        Moment(ROTATE, "list_generations", killed, ISSUED),)),
    "the new key is disabled before it is retired": Cast((ROTATE, RETIRE), 0, moments=(
        Moment(RETIRE, "read_snapshot", disable_new_key_late),)),
    "the new key is denied before it is retired": Cast((ROTATE, RETIRE), 0, Owner, moments=(
        Moment(RETIRE, "read_snapshot", deny_new_key),)),
    "the new key is disabled before the cutover": Cast((ROTATE, RETIRE), 0, moments=(
        Moment(ROTATE, "store_generation", disable_new_key_late, PREPARING, "k2"),)),
    "the new key is denied at the cutover": Cast((ROTATE, RETIRE), 0, Owner, moments=(
        Moment(ROTATE, "write_credential", deny_new_key, ISSUED, "k2"),)),
    "the old key is enabled": Cast((ROTATE, RETIRE, RETIRE), 0, moments=(
        Moment(RETIRE, "evaluate_gates", enable_old_key, DISABLED),)),
    "the old key is used": Cast((ROTATE, RETIRE, RETIRE), 0, moments=(
        Moment(RETIRE, "read_snapshot", use_old_key, DISABLED),)),
    "the old key is used after a run was killed": Cast((ROTATE, RETIRE, RETIRE, RETIRE), 0, moments=(
        Moment(RETIRE, "delete", killed, DELETING), Moment(RETIRE, "read_snapshot", use_old_key))),
    "a key after a refusal": Cast((ROTATE, ROTATE), 0, moments=(
        Moment(ROTATE, "issue", refused, PREPARING), Moment(ROTATE, "read_snapshot", create_key))),
    "a key from before": Cast((ROTATE, ROTATE), 0, Bound, moments=(
        Moment(ROTATE, "read_snapshot", create_key), Moment(ROTATE, "issue", killed, PREPARING))),
    "a key that is used": Cast((ROTATE, ROTATE), 0, moments=(
        Moment(ROTATE, "issue", killed, PREPARING), Moment(ROTATE, "read_snapshot", create_and_use_key))),
    "a key after a lost one": Cast((ROTATE, ROTATE, RETIRE), 0, Bound, moments=(
        Moment(ROTATE, "issue", killed_after, PREPARING), Moment(ROTATE, "read_snapshot", create_key),
        Moment(RETIRE, "read_snapshot", use_keys))),
    "a key after a stored one": Cast((ROTATE, ABORT), 0, Bound, moments=(
        Moment(ROTATE, "store_generation", killed_after, PREPARING, "k2"), Moment(ABORT, "read_snapshot", create_key))),
    "a key of another user": Cast((ROTATE, ADOPT, RETIRE), 0, moments=(
        Moment(ADOPT, "read_snapshot", write_key_of_another_user),)),
}


class History:
    """One history: several commands, one after another or at the same time, which may be killed or lose a reply."""

    def __init__(self, cast, choose):
        self.cast = cast
        self.choose = choose
        self.shared = SharedState(cast.members, cast.issuer)
        self.invariants = Invariants(self.shared)
        self.people = People(self.shared, choose)
        self.left = cast.people
        self.faults = 0 if cast.moments else 1
        self.tokens = 0
        self.supplied = cast.supplied or 2
        self.events = []
        self.running = []
        self.moments = list(cast.moments)

    def fresh(self, goal, **options):
        self.tokens += 1
        settings = {"drain": DRAIN, "verify_timeout": 20, **options}
        if self.cast.issuer is Given and goal == ROTATE:
            settings["supplied"] = pair(self.supplied)
        return FakeRun(self.shared, goal, f"run{self.tokens}", self.invariants, **settings)

    def play(self):
        goals = list(self.cast.goals)
        running = self.running
        for _step in range(3000):
            if goals and (not running or not self.cast.moments and self.choose(40) == 0 and len(running) < 2):
                account = self.cast.accounts[self.choose(len(self.cast.accounts))]
                clock = (self.choose(5) - 2) * 60
                if self.cast.supplied is None and self.choose(3) == 0:
                    self.supplied = 1 + self.choose(4)
                running.append(self.fresh(goals.pop(0), account=account, clock=clock))
            self._act_at_moment()
            running[:] = [run for run in running if not run.ended]
            if not running and not goals:
                break
            if not running or self.left and self.choose(24) == 0:
                if self.left:
                    self.left -= 1
                    self.events.append(self.people.act(running))
                continue
            run = running[self.choose(len(running))]
            if run.call.name == "sleep" and run.call.arguments == (DRAIN,) and any(
                other.call.name in PROVIDER_CALLS for other in running if other is not run
            ):
                running.remove(run)  # the call has ended before
                running.insert(0, run)
                run = next(other for other in running if other.call.name in PROVIDER_CALLS)
            self._step(run, running)
        else:
            raise Violation("no end")
        self._settle()

    def _act_at_moment(self):
        for run in self.running:
            if not run.ended and self.moments and self.moments[0].is_now(run):
                event = f"{run.protocol.request.token}:{run.call.name}"
                self.events.append(f"{event}: {self.moments.pop(0).act(self, run)}")
                return

    def _step(self, run, running):
        event = f"{run.protocol.request.state[:6]}{run.protocol.request.token[3:]}:{run.call.name}"
        fault = self.faults and self.choose(60) == 0
        lose = fault and run.call.name in (*PROVIDER_CALLS, "write_credential", "write_record") and self.choose(2)
        if fault:
            self.faults -= 1
        if fault and not lose:
            if self.choose(2):
                run.advance()
            running.remove(run)
            self.events.append(f"{event} killed")
            return
        run.advance(lose=bool(lose))
        if lose:
            event += " reply lost"
        if run.ended:
            event += f" -> {run.error or run.outcome.steps or run.outcome.waiting}"
        self.events.append(event)

    def _settle(self):
        self.invariants.shared.acts += 1
        self.supplied = 5
        Operator(self.shared, self.fresh, self.events).go_on()


def play(cast, choose):
    history = History(cast, choose)
    try:
        history.play()
    except Violation as violation:
        return str(violation), history.events
    return None, history.events


def violations(name, histories, first=0):
    """Return the violation of each history that has one, and its events."""
    for seed in range(first, first + histories):
        violation, events = play(CASTS[name], random.Random(seed).randrange)
        if violation:
            yield seed, violation, events


@pytest.mark.parametrize("name", CASTS)
def test_random_histories_with_people(name):
    usual = 10 if CASTS[name].moments else 100
    for seed, violation, events in violations(name, int(os.environ.get("RANCHHAND_PEOPLE", usual))):
        raise AssertionError(f"{violation}, with seed {seed}:\n" + "\n".join(events))


def run_until(shared, state, call, token="run1", **options):
    """Return a run that is about to make a call."""
    run = FakeRun(shared, state, token, Invariants(shared), **options)
    while run.call.name != call:
        run.advance()
    return run


def command(shared, state, token="later", **options):
    return finish(FakeRun(shared, state, token, Invariants(shared), **options))


def in_phase(phase, **options):
    """Return the state after a run that was killed in a phase, at the call of the provider that ends it."""
    shared = SharedState(**options)
    command(shared, ROTATE)
    if phase == DELETING:
        command(shared, RETIRE)
    run_until(shared, RETIRE, "disable" if phase == DISABLING else "delete")
    assert shared.record.phase == phase
    return shared


@pytest.mark.parametrize("phase", [DISABLING, DELETING])
def test_a_killed_retirement_evaluates_the_gates_again(phase):
    shared = in_phase(phase)
    run = FakeRun(shared, RETIRE, "later")
    run.advance()
    assert run.call.name == "evaluate_gates"


def test_a_key_that_was_used_after_it_was_disabled_is_not_deleted_by_a_later_run():
    shared = in_phase(DELETING)
    use_old_key.change(shared)
    run = command(shared, RETIRE)
    assert run.error is None and "was used at" in run.outcome.waiting[0] and "k1" in shared.provider
    assert "state: adopted" in run.outcome.waiting[0] and "rolled_back" not in run.outcome.waiting[0]
    shared.write(0, values=pair(1), digests=pair(1))  # as the message says
    assert command(shared, ADOPT).error is None
    assert shared.record.phase == "idle" and shared.signs_in(shared.credentials[0].values)


def test_no_command_can_find_a_key_whose_record_was_deleted_before_its_lost_request():
    """Its reply was lost, too, so nothing in the cluster names the key: the run that failed is all that reports it."""
    shared = SharedState(issuer=Bound)
    run = run_until(shared, ROTATE, "issue")
    delete_record.change(shared)
    run.advance(lose=True)
    assert run.error is not None
    for state, token in ((ROTATE, "second"), (RETIRE, "third")):
        assert command(shared, state, token).error is None
    assert sorted(shared.provider) == ["k2", "k3"] and shared.provider["k2"].creator == "lost"


@pytest.mark.parametrize("creator", ["run", "lost"])
def test_people_cannot_write_a_key_whose_secret_was_lost(creator):
    shared = SharedState()
    shared.add_key(creator)
    people = People(shared, random.Random(0).randrange)
    for _edit in range(100):
        people.edit([])
        assert shared.credentials[0].values["id"] != "k2"


def test_a_rollback_without_the_kept_old_key_can_be_given_up():
    """The old key and its kept values were deleted after the rollback began."""
    shared = SharedState()
    command(shared, ROTATE)
    run_until(shared, BACK, "enable")
    del shared.provider["k1"], shared.generations[shared.record.old.version]
    run = command(shared, BACK)
    assert "state: retired continues" in str(run.error) and shared.record.phase == GRACE
    for token in ("first", "second"):  # as the message says
        assert command(shared, RETIRE, token).error is None
    assert shared.record.phase == "idle" and list(shared.provider) == ["k2"]


@pytest.mark.parametrize("deleted", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("used", [False, True], ids=["not used", "used, overridden"])
def test_a_retirement_that_was_killed_while_it_deleted_is_finished(deleted, used):
    shared = in_phase(DELETING)
    if used:
        use_old_key.change(shared)
    if deleted:
        del shared.provider["k1"]
    run = command(shared, RETIRE, override=used and not deleted)
    assert run.error is None and not run.outcome.waiting and list(shared.provider) == ["k2"]


# The removal of each check: where it is, and what it is replaced with.
def _nothing(*_arguments, **_options):
    return iter(())


def _empty(*_arguments, **_options):
    return None


def _true(*_arguments, **_options):
    return True


def _false(*_arguments, **_options):
    return False


def _listed_only(protocol, _remedy):
    """Instead of RotationProtocol._prove()."""
    return (yield from protocol._list_keys(protocol.credentials[0].values)) if protocol.credentials else []


def _delete_only(protocol, key_id, keys, allowed, remedy):
    """Instead of RotationProtocol._remove()."""
    yield from protocol._delete(key_id, keys, allowed, remedy)


def _time_only(_protocol):
    """Instead of RotationProtocol._verify_credentials()."""
    return (yield Call("now"))


REMOVALS = {
    "no other run has taken over, and the record is of this run": (
        (checks, "has_token", _true), (checks, "is_record_of_run", _true)),
    "the record was not deleted or restored": ((checks, "is_record_of_run", _true),),
    "no other client has changed a credential": ((checks, "contains_key", _true), (checks, "is_unchanged", _true)),
    "the credential contains what was proven": ((checks, "is_unchanged", _true),),
    "no credential contains the key": ((checks, "key_is_not_in_use", _empty),),
    "all credentials contain the same value": ((checks, "credentials_agree", _empty),),
    "the supplied value is another one": ((checks, "value_is_another", _empty),),
    "the kept value is the supplied one": ((checks, "is_value_requested", _true),),
    "the key in use is listed": ((checks, "live_key_is_listed", _empty),),
    "the key in use is enabled": ((checks, "live_key_is_enabled", _empty),),
    "the key in use signs in": ((RotationProtocol, "_sign_in", _nothing),),
    "the whole proof": ((RotationProtocol, "_prove", _listed_only),),
    "the old key is still disabled": ((checks, "old_key_is_disabled", _empty),),
    "the old key was not used after it was disabled": (
        (gates, "used_in_soak", lambda keys, record: gates.Gate("last_used", gates.OPEN, "")),),
    "a key was really disabled": ((checks, "is_disabled", _true),),
    "a key was really deleted": ((RotationProtocol, "_confirm_effect", _nothing),),
    "a key is disabled before it is deleted": ((RotationProtocol, "_remove", _delete_only),),
    "a key that is written works": ((RotationProtocol, "_prove_value", _nothing),),
    "a key that is written is listed and enabled": ((RotationProtocol, "_check_listed_value", _empty),),
    "what is overwritten is kept": ((RotationProtocol, "_keep", _nothing),),
    "the old key is enabled and verified before a return to it": ((RotationProtocol, "_recover_old_key", _nothing),),
    "the phase is restored if the old key does not work": ((RotationProtocol, "_step_back", _nothing),),
    "the credentials work after the cutover": ((RotationProtocol, "_verify_credentials", _time_only),),
    "an unverified cutover is verified": ((decisions, "is_unverified", _false),),
    "a rotation_id counts when it was completed": (
        (decisions, "_is_due", lambda request, record: request.rotation_id != record.rotation_id),),
    "a refused request issued nothing": ((RotationProtocol, "_refused", lambda protocol, before: protocol.record),),
    "a lost key did not exist before": ((checks, "existed_before", _false),),
    "a lost key was created with the request": ((checks, "created_before_timeout", _true),),
    "a lost key was never used": ((checks, "was_never_used", _true),),
    "a lost key is the only candidate": ((checks, "is_only_candidate", _true),),
    "only the latest request may be unanswered": (
        (checks, "is_request_unanswered", lambda record, attempts: record.issuing_at is not None),),
    "a key was issued by the rotation": ((checks, "was_issued", _true),),
    "a former key of another user does not work": ((RotationProtocol, "_check_former_is_dead", _nothing),),
    "a run waits after it has taken over": (
        (RotationProtocol, "took_over", property(_false, _empty)),),
}
HISTORIES = 2000


def find_violation(histories):
    """Play histories of all casts in turn; returns the number of the first with a violation, and the violation."""
    for number in range(histories):
        name = list(CASTS)[number % len(CASTS)]
        for _seed, violation, _events in violations(name, 1, number // len(CASTS)):
            return number + 1, name, violation
    return None


@pytest.mark.slow
@pytest.mark.parametrize("name", REMOVALS)
def test_the_histories_fail_without_a_check(monkeypatch, name):
    for owner, attribute, replacement in REMOVALS[name]:
        monkeypatch.setattr(owner, attribute, replacement, raising=False)
    found = find_violation(HISTORIES)
    assert found is not None
    print(f"{name}: history {found[0]} ({found[1]}): {found[2][:150]}")
