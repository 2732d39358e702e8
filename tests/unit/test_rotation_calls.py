# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls of a run, one after another, and what becomes of the run if one of them fails.

rotation_calls.txt contains the expected calls, with the changes of each written record. It was written from the
implementation, so it does not prove that the calls are right; it shows each change of them. After an intended change,
renew it and read the difference:

    cd tests && python -m unit.test_rotation_calls
"""

from __future__ import annotations

import copy
import datetime
import typing
from dataclasses import fields, replace
from pathlib import Path

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.decisions import (
    ABORTED,
    ADOPTED,
    FORGOTTEN,
    RETIRED,
    ROLLED_BACK,
    ROTATED,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.protocol import Conflict
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import KeyGeneration
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError

from .fake_backend import (
    PROVIDER_CALLS,
    START,
    Admin,
    Bound,
    FakeRun,
    Given,
    Listed,
    ProviderKey,
    SharedState,
    Single,
    finish,
    pair,
)

EXPECTED = Path(__file__).with_name("rotation_calls.txt")
SUPPLIED = {"supplied": pair(2)}
ASKED = (*PROVIDER_CALLS, "keys", "verify")
WRITES = ("write_credential", "write_record", "delete_record")


class Slow(Listed):
    """As Listed, but new keys work later everywhere, and expire."""

    propagation = 7.0

    def expires_at(self, values):
        return START + datetime.timedelta(days=90 + int(values["id"][1:]))


class Hidden(Listed):
    """As Listed, but not every key is in the list."""

    def can_list(self, key_id):
        return False


class Enabled(Hidden):
    """As Hidden, and a disabled key is not in the list."""

    lists_disabled = False


def done(state, **options):
    """A finished run."""
    return lambda shared: finish(FakeRun(shared, state, f"{state}-run", **options))


def killed(state, call, key=None, after=False, **options):
    """A run that is killed before or after a call, or before the one with a key."""
    def run_until(shared):
        run = FakeRun(shared, state, f"{state}-killed", **options)
        while run.call.name != call or key and key not in str(run.call.arguments):
            run.advance()
        if after:
            run.advance()

    return run_until


def written(key, number=0, **changes):
    """Another client writes a key."""
    def write(shared):
        values = {**pair(key), **changes}
        shared.write(number, values=values, digests=values)

    return write


def created(enabled=True, used=False, later=0):
    """A person creates a key."""
    def create(shared):
        shared.time += datetime.timedelta(seconds=later)
        key = shared.provider[shared.add_key("person")]
        key.enabled, key.last_used = enabled, shared.time if used else None

    return create


def created_again(key):
    def create(shared):
        shared.provider[f"k{key}"] = ProviderKey()

    return create


def switched(key, enabled):
    def switch(shared):
        shared.provider[f"k{key}"].enabled = enabled

    return switch


def removed(key):
    def remove(shared):
        del shared.provider[f"k{key}"]

    return remove


def used(key):
    def use(shared):
        shared.time += datetime.timedelta(hours=1)
        shared.provider[f"k{key}"].last_used = shared.time

    return use


def disabled_late(shared):
    """Another client disables the new key, which the provider accepts for a while."""
    shared.provider["k2"].enabled = False
    shared.late.add("k2")


def with_a_field(shared):
    """The credential has a field that is not part of the key."""
    values = {**shared.credentials[0].values, "region": "eu"}
    shared.write(0, values=values, digests=values)


def ignored(shared):
    """The provider answers the next request that changes something, but does nothing."""
    shared.ignored += 1


def refusing(code):
    return lambda shared: shared.refusals.append(code)


def values_lost(name):
    def lose(shared):
        del shared.generations[next(each for each in shared.generations if each.endswith(name))]

    return lose


def credential_gone(number=0, recreated=False):
    def remove(shared):
        former = shared.credentials[number]
        shared.credentials[number] = replace(former, uid="another", token=None) if recreated else None

    return remove


def record_gone(shared):
    shared.record, shared.record_version = None, 0


def record_changed(**changes):
    def change(shared):
        shared.record = replace(shared.record, **changes)
        shared.record_version += 1

    return change


class Scenario(typing.NamedTuple):
    """What happened before, a run, and what happens during the run before the number of a call of one name."""

    before: tuple
    state: str
    issuer: type = Listed
    members: int = 1
    options: dict = {}
    during: tuple = ()

    def prepared(self):
        shared = SharedState(self.members, self.issuer)
        for act in self.before:
            act(shared)
        return shared


ROTATE, PAUSE = done(ROTATED), done(ROTATED, pause=True)
SUPPLY = done(ROTATED, **SUPPLIED)
RETIRE = done(RETIRED)
KILLED = {
    "before the request": killed(ROTATED, "issue"),
    "before the key is stored": killed(ROTATED, "issue", after=True),
    "after the key is stored": killed(ROTATED, "store_generation", "k2", after=True),
    "before the cutover": killed(ROTATED, "write_credential", "k2"),
    "after the cutover of a credential": killed(ROTATED, "write_credential", "k2", after=True),
}
SCENARIOS = {
    "rotate": Scenario((), ROTATED),
    "rotate, with a reason and times": Scenario(
        (), ROTATED, options={"reason": "leaked", "grace": 60, "soak": 120, "rotation_id": "r9"}),
    "rotate, without a grace time": Scenario((), ROTATED, options={"default_grace": 7, "default_soak": 8}),
    "rotate, slow": Scenario((), ROTATED, Slow),
    "rotate, two credentials": Scenario((), ROTATED, members=2),
    "rotate, no disabling": Scenario((), ROTATED, Bound),
    "rotate, one value": Scenario((), ROTATED, Single),
    "rotate, supplied": Scenario((), ROTATED, Given, options=SUPPLIED),
    "rotate, the present value is supplied": Scenario((), ROTATED, Given, options={"supplied": pair(1)}),
    "rotate, another field is supplied": Scenario((), ROTATED, Given, options={"supplied": {"id": "k2"}}),
    "rotate, without a rollback": Scenario((), ROTATED, options={"rollback": False}),
    "rotate, different values": Scenario((written(9),), ROTATED, Bound, 2),
    "rotate, limit": Scenario((created(),), ROTATED),
    "rotate, the key is disabled": Scenario((switched(1, False),), ROTATED, Hidden),
    "rotate, pause": Scenario((), ROTATED, options={"pause": True}),
    "rotate, pause again": Scenario((PAUSE,), ROTATED, options={"pause": True}),
    "rotate after a pause": Scenario((PAUSE,), ROTATED, Slow),
    "rotate after a pause, the new key is disabled": Scenario((PAUSE, switched(2, False)), ROTATED),
    "rotate after a pause, the new key was just disabled": Scenario((PAUSE, disabled_late), ROTATED),
    "rotate after a pause, the old key is disabled, another field": Scenario(
        (with_a_field, PAUSE, switched(1, False)), ROTATED),
    "rotate after a pause, both keys are disabled": Scenario((PAUSE, switched(1, False), switched(2, False)), ROTATED),
    "rotate after a pause, the old key is disabled": Scenario((PAUSE, switched(1, False)), ROTATED),
    "rotate after a pause, another value is supplied": Scenario(
        (done(ROTATED, pause=True, **SUPPLIED),), ROTATED, Given, options={"supplied": pair(3)}),
    "rotate after a cutover of one, another value is supplied": Scenario(
        (killed(ROTATED, "write_credential", "k2", after=True, **SUPPLIED),), ROTATED, Given, 2,
        {"supplied": pair(3)}),
    **{f"rotate, killed {name}": Scenario((act,), ROTATED) for name, act in KILLED.items()},
    "rotate, killed before the key is stored, slow": Scenario((KILLED["before the key is stored"],), ROTATED, Slow),
    "rotate, killed in the cutover, two credentials": Scenario(
        (KILLED["after the cutover of a credential"],), ROTATED, members=2),
    "rotate, killed before the request, one value": Scenario((killed(ROTATED, "issue"),), ROTATED, Single),
    "rotate, killed before the value is activated": Scenario((killed(ROTATED, "activate"),), ROTATED, Single),
    "rotate, killed after the value is activated": Scenario(
        (killed(ROTATED, "activate", after=True),), ROTATED, Single),
    "rotate, a lost key, orphans are kept": Scenario(
        (KILLED["before the key is stored"],), ROTATED, options={"delete_orphans": False}),
    "rotate, a lost key and another one": Scenario((KILLED["before the key is stored"], created()), ROTATED, Bound),
    "rotate, a used key after a request": Scenario((killed(ROTATED, "issue"), created(used=True)), ROTATED),
    "rotate, a later key after a request": Scenario((killed(ROTATED, "issue"), created(later=1000)), ROTATED),
    "rotate, limit after the start": Scenario((killed(ROTATED, "store_generation"), created()), ROTATED),
    "rotate, the present value is supplied after the start": Scenario(
        (killed(ROTATED, "issue", **SUPPLIED),), ROTATED, Given, options={"supplied": pair(1)}),
    "rotate, the token is lost": Scenario((), ROTATED, during=(("keys", 2, lambda shared: shared.lose_token()),)),
    "rotate, another key is written": Scenario((), ROTATED, during=(("keys", 2, written(1, secret="x")),)),
    "rotate, another key is written after the cutover": Scenario(
        (), ROTATED, during=(("verify", 2, created()), ("verify", 2, written(3)))),
    "rotate, the record is deleted": Scenario((), ROTATED, during=(("keys", 2, record_gone),)),
    "rotate, another run has just started": Scenario((), ROTATED, during=(("keys", 1, PAUSE),)),
    "rotate, the key is disabled after the cutover": Scenario((), ROTATED, during=(("verify", 2, switched(2, False)),)),
    "rotate, the stored key was disabled": Scenario(
        (KILLED["after the key is stored"], switched(2, False)), ROTATED),
    "rotate, the kept old value is another one": Scenario(
        (killed(ROTATED, "store_generation"), lambda shared: shared.generations.update(
            {shared.record.old.version: FakeRun._store_generation(  # pylint: disable=protected-access
                FakeRun(copy.deepcopy(shared), ROTATED, "x"), shared.record.old.version, None, 0, pair(5))})),
        ROTATED),
    "rotate, the record is damaged": Scenario((PAUSE, record_changed(new=None)), ROTATED),
    "rotate again, unverified": Scenario((ROTATE, record_changed(verified_at=None)), ROTATED),
    "rotate again, unverified, without a rollback": Scenario(
        (ROTATE, record_changed(verified_at=None), switched(2, False)), ROTATED, options={"rollback": False}),
    "rotate again, unverified, the key does not work": Scenario(
        (ROTATE, record_changed(verified_at=None), switched(2, False)), ROTATED),
    "repair": Scenario((ROTATE, written(1)), ROTATED, options={"repair": True}),
    "repair, one of two": Scenario((ROTATE, written(1)), ROTATED, members=2, options={"repair": True}),
    "repair, a mix": Scenario((ROTATE, written(1, id="k2")), ROTATED, options={"repair": True}),
    "repair, the kept value is lost": Scenario((ROTATE, values_lost("e1"), written(1)), ROTATED,
                                               options={"repair": True}),
    "restore": Scenario((ROTATE, RETIRE, RETIRE, created(), written(1)), ROTATED),
    "rotate again": Scenario((ROTATE, RETIRE, RETIRE), ROTATED, options={"rotation_id": "r2"}),
    "retire": Scenario((ROTATE,), RETIRED),
    "retire, two credentials": Scenario((ROTATE,), RETIRED, members=2),
    "retire, no disabling": Scenario((ROTATE,), RETIRED, Bound),
    "retire, no disabling, killed before it is deleted": Scenario((ROTATE, killed(RETIRED, "delete")), RETIRED, Bound),
    "retire, without effect": Scenario((ROTATE, ignored), RETIRED),
    "retire, with a late effect": Scenario((ROTATE, ignored), RETIRED, during=(("keys", 3, switched(1, False)),)),
    "retire, deleted without effect": Scenario((ROTATE, RETIRE, ignored), RETIRED),
    "retire, the new key is disabled meanwhile": Scenario(
        (ROTATE,), RETIRED, during=(("keys", 2, disabled_late),)),
    "retire, the new key is disabled meanwhile, and the old one cannot be enabled": Scenario(
        (ROTATE,), RETIRED, during=(("keys", 2, disabled_late), ("keys", 2, refusing("forbidden")))),
    "retire, the new key is disabled meanwhile, and disabled keys are not listed": Scenario(
        (ROTATE,), RETIRED, Enabled, during=(("keys", 2, disabled_late),)),
    "retire, the new key is disabled while the old one is deleted": Scenario(
        (ROTATE,), RETIRED, Bound, during=(("keys", 2, disabled_late),)),
    "retire, the new key is disabled, and the old one deleted meanwhile": Scenario(
        (ROTATE,), RETIRED, during=(("keys", 2, removed(1)), ("keys", 2, disabled_late))),
    "retire, refused": Scenario((ROTATE, refusing("forbidden")), RETIRED),
    "retire, one value": Scenario((ROTATE,), RETIRED, Single),
    "retire, supplied": Scenario((SUPPLY,), RETIRED, Given),
    "retire, hidden": Scenario((ROTATE,), RETIRED, Hidden),
    "retire, the old key is gone": Scenario((ROTATE, removed(1)), RETIRED),
    "retire, the old key is gone, hidden": Scenario((ROTATE, removed(1)), RETIRED, Hidden),
    "retire, the new key is disabled": Scenario((ROTATE, switched(2, False)), RETIRED),
    "retire, the new key was just disabled": Scenario((ROTATE, disabled_late), RETIRED),
    "retire, the new key is gone": Scenario((ROTATE, removed(2)), RETIRED),
    "retire, the old key was put back": Scenario((ROTATE, RETIRE, switched(1, True), written(1)), RETIRED),
    "retire, unverified": Scenario((ROTATE, record_changed(verified_at=None)), RETIRED),
    "retire, killed before it is disabled": Scenario((ROTATE, killed(RETIRED, "disable")), RETIRED),
    "retire, killed after it is disabled": Scenario((ROTATE, killed(RETIRED, "disable", after=True)), RETIRED),
    "retire, disabled": Scenario((ROTATE, RETIRE), RETIRED),
    "retire, disabled and enabled": Scenario((ROTATE, RETIRE, switched(1, True)), RETIRED),
    "retire, disabled and used": Scenario((ROTATE, RETIRE, used(1)), RETIRED),
    "retire, disabled and gone": Scenario((ROTATE, RETIRE, removed(1)), RETIRED),
    "retire, killed before it is deleted": Scenario((ROTATE, RETIRE, killed(RETIRED, "delete")), RETIRED),
    "retire, killed after it is deleted": Scenario((ROTATE, RETIRE, killed(RETIRED, "delete", after=True)), RETIRED),
    "retire, a key of a lost record": Scenario((ROTATE, record_gone, ROTATE), RETIRED, Bound),
    "retire, the credential is created again with the old key": Scenario(
        (ROTATE, written(1, 1), credential_gone(1, True)), RETIRED, members=2),
    "retire, nothing to do": Scenario((ROTATE, RETIRE, RETIRE), RETIRED),
    "roll back": Scenario((ROTATE,), ROLLED_BACK),
    "roll back, another field": Scenario((with_a_field, ROTATE, RETIRE, switched(2, False)), ROLLED_BACK),
    "roll back, one value, another field": Scenario((with_a_field, ROTATE), ROLLED_BACK, Single),
    "roll back, two credentials": Scenario((KILLED["after the cutover of a credential"],), ROLLED_BACK, members=2),
    "roll back, no disabling": Scenario((ROTATE,), ROLLED_BACK, Bound),
    "roll back, one value": Scenario((ROTATE,), ROLLED_BACK, Single),
    "roll back, supplied": Scenario((SUPPLY,), ROLLED_BACK, Given),
    "roll back, hidden": Scenario((ROTATE,), ROLLED_BACK, Hidden),
    "roll back, disabled": Scenario((ROTATE, RETIRE), ROLLED_BACK),
    "roll back, the old value is only in the credential": Scenario(
        (ROTATE, values_lost("old"), written(1)), ROLLED_BACK),
    "roll back, the kept new value is lost": Scenario((ROTATE, values_lost("e1")), ROLLED_BACK),
    "roll back, refused": Scenario((ROTATE, RETIRE, refusing("busy"), refusing("forbidden")), ROLLED_BACK),
    "roll back, disabled, and the new key is disabled, too": Scenario(
        (ROTATE, RETIRE, switched(2, False)), ROLLED_BACK),
    "roll back, the old key is gone": Scenario((ROTATE, removed(1)), ROLLED_BACK),
    "roll back, the new key is gone": Scenario((ROTATE, removed(2)), ROLLED_BACK),
    "roll back, the kept value is lost": Scenario((ROTATE, values_lost("old")), ROLLED_BACK),
    "roll back, the old key was put back": Scenario((ROTATE, written(1)), ROLLED_BACK),
    "roll back, killed": Scenario((ROTATE, killed(ROLLED_BACK, "write_credential", "k1")), ROLLED_BACK),
    "roll back, killed before it is deleted": Scenario((ROTATE, killed(ROLLED_BACK, "delete")), ROLLED_BACK),
    "roll back, killed, and the kept value is lost": Scenario(
        (ROTATE, killed(ROLLED_BACK, "enable"), values_lost("old")), ROLLED_BACK),
    "roll back, killed, and the old key is gone": Scenario(
        (ROTATE, killed(ROLLED_BACK, "enable"), removed(1)), ROLLED_BACK),
    "abort": Scenario((PAUSE,), ABORTED),
    "abort, slow": Scenario((PAUSE,), ABORTED, Slow),
    "abort, no disabling": Scenario((PAUSE,), ABORTED, Bound),
    "abort, one value": Scenario((killed(ROTATED, "activate", after=True),), ABORTED, Single),
    "abort, supplied": Scenario((done(ROTATED, pause=True, **SUPPLIED),), ABORTED, Given),
    "abort, killed before the request, one value": Scenario((killed(ROTATED, "issue"),), ABORTED, Single),
    **{f"abort, killed {name}": Scenario((act,), ABORTED) for name, act in list(KILLED.items())[:4]},
    "abort, killed before the request, slow": Scenario((killed(ROTATED, "issue"),), ABORTED, Slow),
    "abort, killed": Scenario((PAUSE, killed(ABORTED, "delete")), ABORTED),
    "abort, another field, the new key works but is not listed": Scenario(
        (with_a_field, PAUSE, lambda shared: setattr(shared.provider["k2"], "account", "b")), ABORTED),
    "abort, killed before the request and again, and the old key is disabled": Scenario(
        (killed(ROTATED, "issue"), killed(ABORTED, "list_generations"), switched(1, False)), ABORTED),
    "abort, killed, and the old key is disabled": Scenario(
        (PAUSE, killed(ABORTED, "delete"), switched(1, False)), ABORTED),
    "abort, the new key works but is not listed": Scenario(
        (PAUSE, lambda shared: setattr(shared.provider["k2"], "account", "b")), ABORTED),
    "adopt": Scenario((ROTATE, removed(1), created(), written(3)), ADOPTED),
    "adopt, both former keys exist": Scenario((ROTATE, created(), written(3)), ADOPTED, Bound),
    "adopt, no disabling": Scenario((ROTATE, removed(2), created(), written(3)), ADOPTED, Bound),
    "adopt, a lost key": Scenario(
        (KILLED["before the key is stored"], created(later=1000, used=True), written(3)), ADOPTED, Bound),
    "adopt, one value": Scenario(
        (ROTATE, lambda shared: setattr(shared, "accepted", "k9"), written(9)), ADOPTED, Single),
    "adopt, supplied": Scenario((SUPPLY, written(3)), ADOPTED, Given),
    "adopt, slow": Scenario((ROTATE, removed(1), created(), written(3)), ADOPTED, Slow),
    "adopt, the former key is of another user": Scenario(
        (ROTATE, removed(1), lambda shared: setattr(shared.provider["k2"], "account", "b"), created(), written(3)),
        ADOPTED),
    "adopt, the key does not work": Scenario((ROTATE, written(9)), ADOPTED),
    "adopt, two credentials": Scenario((ROTATE, removed(1), created(), written(3), written(3, 1)), ADOPTED, members=2),
    "adopt, different values": Scenario((ROTATE, created(), written(3)), ADOPTED, members=2),
    "adopt, restored": Scenario((ROTATE, RETIRE, RETIRE, created_again(1), written(1)), ADOPTED),
    "adopt, restored, but gone": Scenario((ROTATE, RETIRE, RETIRE, written(1)), ADOPTED),
    "forget": Scenario((ROTATE,), FORGOTTEN),
    "forget, the key was put back": Scenario((ROTATE, written(1)), FORGOTTEN),
    "forget, no disabling": Scenario((ROTATE, written(1)), FORGOTTEN, Bound),
    "forget, one value": Scenario((ROTATE,), FORGOTTEN, Single),
    "forget, supplied": Scenario((SUPPLY,), FORGOTTEN, Given),
    "forget, the credential is gone": Scenario((ROTATE, credential_gone()), FORGOTTEN),
    "forget, the credential is gone before the cutover": Scenario((PAUSE, credential_gone()), FORGOTTEN),
    "forget, the credential is gone, and its keys are disabled": Scenario(
        (ROTATE, credential_gone(), switched(1, False), switched(2, False)), FORGOTTEN),
    "forget, one of two is gone": Scenario((ROTATE, credential_gone(1)), FORGOTTEN, members=2),
    "forget, the credential is created again": Scenario((ROTATE, credential_gone(0, True)), FORGOTTEN),
    "forget, two records": Scenario((PAUSE, record_gone, PAUSE, removed(1), credential_gone()), FORGOTTEN, Bound),
    "forget, the credential is gone, and an administrator signs in": Scenario(
        (PAUSE, switched(1, False), credential_gone()), FORGOTTEN, Admin),
    "forget, idle": Scenario((ROTATE, RETIRE, RETIRE), FORGOTTEN),
    "forget, idle, another key": Scenario((ROTATE, RETIRE, RETIRE, created(), written(3)), FORGOTTEN),
    "forget, refused": Scenario((PAUSE, credential_gone(), refusing("forbidden")), FORGOTTEN),
}

# Each call of these fails once in each way.
WITH_FAULTS = (
    "rotate", "rotate, one value", "rotate, supplied", "rotate, killed before the key is stored",
    "rotate, killed after the key is stored", "rotate, killed after the value is activated",
    "rotate, without a rollback", "rotate, killed in the cutover, two credentials",
    "rotate after a pause, another value is supplied", "rotate after a pause, the new key is disabled",
    "rotate again, unverified", "repair", "restore", "retire",
    "retire, no disabling", "retire, one value", "retire, disabled", "retire, killed before it is deleted", "roll back",
    "roll back, one value", "roll back, disabled", "roll back, killed", "roll back, two credentials", "abort",
    "abort, one value", "abort, killed before the key is stored", "abort, killed", "adopt", "adopt, no disabling",
    "adopt, the former key is of another user", "forget", "forget, the credential is gone",
    "forget, the credential is gone before the cutover", "forget, one of two is gone",
)


def shown(value):
    """A value of a record or an argument in a few words."""
    if isinstance(value, datetime.datetime):
        return f"{(value - START).total_seconds():+.0f}s"
    if isinstance(value, KeyGeneration):
        return f"{value.key}({value.version})"
    if isinstance(value, dict):
        more = "".join(f"+{name}" for name in sorted(set(value) - {"id", "secret"}))
        return value["id"] + more if {"id", "secret"} <= set(value) else str(value)
    if isinstance(value, (tuple, list)):
        return "[" + " ".join(map(shown, value)) + "]"
    return str(value)


def changes_of(before, after):
    """The fields of a record that a write changes."""
    for each in fields(after):
        new = getattr(after, each.name)
        if each.name == "transitions":
            if new != before.transitions:
                yield f"{len(new)}. " + " ".join(new[-1][name] for name in ("phase", "what", "run"))
        elif new != getattr(before, each.name):
            yield f"{each.name}={shown(new)}"


def describe(run):
    """The next call of a run."""
    name, arguments = run.call
    shared = run.shared
    if name == "write_record":
        return f"{name} {', '.join(changes_of(shared.record or shared.blank, arguments[0]))}"
    if name == "write_credential":
        credential, token, values = arguments
        return f"{name} {credential.id} token={token} {shown(values) if values else ''}".rstrip()
    if name in ("evaluate_gates", "list_generations"):
        return f"{name} grace={arguments[0].grace} soak={arguments[0].soak}"
    if name == "store_generation":
        return f"{name} {arguments[0]} epoch={arguments[2]} {shown(arguments[3])}"
    if name == "delete_generation":
        return f"{name} {arguments[0].name}"
    if name == "preflight":
        return f"{name} {' '.join(each.id for each in arguments[0])}"
    return " ".join((name, *map(shown, arguments)))


def ending(run):
    """How a run ended: its error or steps, what it left, and whether its token is kept."""
    shared = run.shared
    parts = [f"error {run.error.code}" if run.error else f"steps {' '.join(run.outcome.steps) or 'none'}"]
    if run.outcome and run.outcome.waiting:
        parts.append(f"waits {len(run.outcome.waiting)}")
    record = shared.record
    if record:
        parts.append(f"{record.phase} owner={record.owner or 'none'} failures={record.failures}")
        if run.outcome and run.outcome.record != record:
            parts.append("reported " + ", ".join(changes_of(record, run.outcome.record or shared.blank)))
    if any(credential.token == "now" for credential in shared.existing):
        parts.append("token kept")
    keys = " ".join(f"{name}{'' if key.enabled else ' (disabled)'}" for name, key in shared.provider.items())
    parts.append(f"keys {keys or 'none'}")
    return "; ".join(parts)


def play(scenario, shared, fault=None):
    """Execute a run; ``fault`` is the number of a call, its error, and whether it always fails from then on."""
    run = FakeRun(shared, scenario.state, "now", verify_timeout=40, **scenario.options)
    calls, names = [], []
    while not run.ended:
        names.append(run.call.name)
        for name, number, act in scenario.during:
            if name == run.call.name and names.count(name) == number:
                act(shared)
        calls.append(describe(run))
        if fault and len(calls) == fault.position:
            method = f"_{run.call.name}"
            setattr(run, method, fault.fail)
            run.advance()
            if not fault.lasting:
                delattr(run, method)
        else:
            run.advance()
        assert len(calls) < 500
    return run, calls


class Fault(typing.NamedTuple):
    name: str
    calls: tuple
    error: Exception
    lasting: bool = False
    position: int = 0

    def fail(self, *_arguments):
        raise self.error


FAULTS = (
    Fault("unreachable", ASKED, IssuerError("unreachable", "no answer")),
    Fault("busy", ASKED, IssuerError("busy", "slow down")),
    Fault("busy, always", ASKED, IssuerError("busy", "slow down"), True),
    Fault("refused", ASKED, IssuerError("refused", "no"), True),
    Fault("forbidden", ASKED, IssuerError("forbidden", "no"), True),
    Fault("conflict", WRITES, Conflict()),
    Fault("busy lease", ("take_lease",), RanchhandError("busy", "another run")),
    Fault("unreachable API server", ("preflight", "store_generation", "delete_generation", *WRITES),
          RanchhandError("unreachable", "no answer")),
)


QUIET = ("read_snapshot", "now", "list_generations")
RELEASE = ["write_credential", "write_record"]


def loud(calls):
    return [call for call in calls if not call.startswith(QUIET)]


def after_fault(scenario, prepared, calls, fault):
    """What a run does after a fault, except reads."""
    run, made = play(scenario, copy.deepcopy(prepared), fault)
    rest, usual = loud(made[fault.position:]), loud(calls[fault.position - 1:])
    if rest[:1] == ["sleep 1.0"] and list(map(_name, rest[1:])) == list(map(_name, usual)):
        return "is repeated"
    if list(map(_name, rest)) == list(map(_name, usual[1:])):
        return f"continues; {ending(run)}"
    slept = sum(float(call.split()[1]) for call in rest if call.startswith("sleep"))
    names = [_name(call) for call in rest if not call.startswith(("sleep", *fault.calls[:len(ASKED) * fault.lasting]))]
    if isinstance(fault.error, Conflict):
        names = []
    elif names[-2:] == RELEASE and run.error:
        names[-2:] = ["releases"]
    waited = f"after {slept:.0f} s: " if slept else ""
    return f"{waited}{' '.join(names) or 'stops'}; {ending(run)}"


def _name(call):
    return " ".join(call.split()[:2]) if call.startswith(PROVIDER_CALLS) else call.split()[0]


def render_scenario(name):
    scenario = SCENARIOS[name]
    prepared = scenario.prepared()
    run, calls = play(scenario, copy.deepcopy(prepared))
    lines = [f"{name} ({scenario.state}, {scenario.issuer.__name__})"]
    lines += [f"  {number} {call}" for number, call in enumerate(calls, 1) if call not in QUIET[:2]]
    lines.append(f"  {len(calls)} calls -> {ending(run)}")
    results = {}
    for fault in FAULTS if name in WITH_FAULTS else ():
        for number, call in enumerate(calls, 1):
            if call.split()[0] in fault.calls:
                result = after_fault(scenario, prepared, calls, fault._replace(position=number))
                results.setdefault(result, {}).setdefault(fault.name, []).append(str(number))
    for result, faults in results.items():
        lines.append(f"  {', '.join(f'{fault} at {chr(32).join(numbers)}' for fault, numbers in faults.items())}")
        lines.append(f"    -> {result}")
    return "\n".join(lines) + "\n"


def expected():
    texts = EXPECTED.read_text(encoding="utf-8").split("\n\n")
    return {text.partition(" (")[0]: text.rstrip("\n") + "\n" for text in texts}


@pytest.fixture(scope="module", name="recorded")
def _recorded():
    return expected()


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_calls_of_a_run(recorded, name):
    assert render_scenario(name) == recorded[name]


if __name__ == "__main__":
    EXPECTED.write_text("\n".join(map(render_scenario, SCENARIOS)), encoding="utf-8")
