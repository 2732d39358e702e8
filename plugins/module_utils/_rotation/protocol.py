# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The rotation of a key: its states, and the one order in which they are gone through.

PRIVATE to the collection. Pure: a Protocol is a generator of Calls, which somebody else makes, at a cluster and a cloud or in a test.

The key of one credential, or of several that share it, is replaced in place. The phase of a Record says what may have been started;
what really happened is read off the world each time: the credential holds the old value or the new one, the cloud lists its keys.
Every write to a credential or a record fails with a Conflict if the object is not the one that was read. Clouds know nothing of
the kind: right before each call to a cloud the credential is read again, and has to bear this run's token; who takes a token over
waits until a call of the former owner must have ended.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .._common.errors import RanchhandError
from ..issuer import Issuer, IssuerError, Key
from .record import (
    ABORTING,
    CredentialSnapshot,
    DELETING,
    DISABLED,
    DISABLING,
    GRACE,
    IDLE,
    ISSUED,
    KeyGeneration,
    NEW,
    OLD,
    OTHER,
    PREPARING,
    ROLLING_BACK,
    RotationRecord,
    StoredGeneration,
    TORN,
    Time,
)

PAUSED = "the cutover, with pause_before_cutover: false"
ROTATED, RETIRED, ROLLED_BACK, ABORTED = "rotated", "retired", "rolled_back", "aborted"
RETRIES = 3
_TRANSITIONS = 20
_PAST = 5

# Seconds in which what a dead process had sent has arrived.
_IN_FLIGHT = 5

# How far the clocks of a cloud and of this machine may be apart: AWS refuses what was signed by a clock that is further off.
SKEW = datetime.timedelta(minutes=5)


class Conflict(Exception):
    """An object is not the one that was read."""


class Snapshot(t.NamedTuple):
    """What was read in one look: the record with the resourceVersion that it has, and the credentials of its members, None where gone."""

    record: RotationRecord | None
    stored: t.Any
    lives: tuple[CredentialSnapshot | None, ...]


class Call(t.NamedTuple):
    """Something that the protocol wants to be done."""

    name: str
    arguments: tuple[t.Any, ...] = ()


class Outcome(t.NamedTuple):
    """How far a run came. ``steps`` are the phases it went through, ``waiting`` is why it stopped where it did, one sentence each."""

    record: RotationRecord | None
    steps: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True)
class RotationRequest:
    """What a run is to reach."""

    state: str
    token: str                        # names this run
    rotation_id: str | None = None
    reason: str | None = None
    grace: int | None = None          # seconds; None: as the rotation was started with
    soak: int | None = None
    drain: int = 60
    verify_timeout: int = 120
    rollback: bool = True             # on_verify_failure
    delete_orphans: bool = True       # orphan_policy
    pause: bool = False               # at Issued
    repair: bool = False
    due: bool = False                 # by max_age
    default_grace: int = 86400
    default_soak: int = 604800


Steps = t.Generator[Call, t.Any, t.Any]


def run_protocol(steps: Steps, world: t.Any) -> t.Any:
    """Make each call of a protocol as a method of ``world``, and return what the protocol returns."""
    answer: t.Any = None
    error: BaseException | None = None
    while True:
        try:
            call = steps.send(answer) if error is None else steps.throw(error)
        except StopIteration as end:
            return end.value
        answer = error = None
        try:
            answer = getattr(world, call.name)(*call.arguments)
        except Exception as problem:  # the protocol's to handle
            error = problem


class RotationProtocol:
    """One run towards a goal.

    The calls, each with what it returns or raises:
      look() -> Seen, now() -> Time, sleep(seconds)
      preflight(lives)                                  raises RanchhandError if there is a reason not to begin
      lease() -> bool                                   True if the run before is certainly gone; raises RanchhandError while another one is at it
      mark(live, token, values) -> Live                 writes a credential's token, and its fields if there are values; Conflict
      put(record, stored) -> stored                     writes the record; Conflict
      keep(name, record, epoch, values) -> Version      stores a generation once; what is there already comes back as it is
      versions(record) -> [Version], drop(version)      all kept generations of the record
      waiting_for(record) -> [sentence], gates()        what keeps the old key from being retired; how each gate was judged
      keys, issue, activate, verify, disable, enable, delete      the issuer's; IssuerError
    """

    def __init__(self, goal: RotationRequest, issuer: Issuer, blank: RotationRecord) -> None:
        self.goal = goal
        self.issuer = issuer
        self.blank = blank      # the record of a key that was never rotated
        self.record = blank
        self.stored: t.Any = None
        self.lives: tuple[CredentialSnapshot, ...] = ()
        self.steps: list[str] = []
        self.taken = False
        self.took_over = False

    # deciding, without any write

    def decide(self, seen: Snapshot) -> Outcome | None:
        """What ends the run before its first write; None if there is something to do. Raises RanchhandError."""
        record, state = seen.record or self.blank, self.goal.state
        names = ", ".join(one for one, _uid in record.members)
        for (name, uid), live in zip(record.members, seen.lives):
            if live is None or record.phase != IDLE and live.uid != uid:
                raise RanchhandError("gone", f"{name} was {'deleted' if live is None else 'deleted and made again'} since its rotation began; "
                                             f"the values are kept in Secrets that are named after {record.name}")
        lives = t.cast(t.Tuple[CredentialSnapshot, ...], seen.lives)
        if record.phase == IDLE:
            return self._decide_idle(record, lives)
        held = {record.holds(live) for live in lives}
        repair = self.goal.repair and state == ROTATED
        if OTHER in held or TORN in held and not repair:
            raise RanchhandError("drift", self._drift(record, lives))
        back = OLD in held and record.phase in (GRACE, DISABLING, DISABLED, DELETING)
        if back and record.phase == GRACE and state in (ROTATED, RETIRED) and not repair:
            raise RanchhandError("drift", f"{names} holds the old key {record.old.key} again: put back by somebody, or restored from a backup; "
                                          "state: rolled_back accepts that, repair: true with state: rotated puts the new key in again")
        if back and record.phase in (DISABLING, DISABLED) and state == ROLLED_BACK:
            raise RanchhandError("drift", f"{names} holds the old key {record.old.key} again, which may be disabled: state: retired puts the new key in "
                                          "again, then it can be rolled back")
        if state == ABORTED and (record.phase not in (PREPARING, ISSUED, ABORTING) or NEW in held):
            raise RanchhandError("too_late", f"the new key {record.new.key} is in use already; state: rolled_back takes it back")
        if state == ROLLED_BACK:
            if record.phase == DELETING:
                raise RanchhandError("too_late", f"the old key {record.old.key} is being deleted; only another rotation helps now")
            if record.phase in (PREPARING, ISSUED, ABORTING) and held == {OLD}:
                raise RanchhandError("not_cut_over", "the new key is not in use yet; state: aborted gives it up")
        if back or TORN in held:
            return None
        if state == ROTATED and record.phase in (GRACE, DISABLING, DISABLED, DELETING):
            if self.goal.rotation_id not in (None, record.rotation_id):
                raise RanchhandError("unfinished", f"{names} is still being rotated, in phase {record.phase}, so {self.goal.rotation_id:.60} cannot begin: "
                                                   "state: retired finishes that, at once with grace: 0s and soak: 0s")
            return Outcome(record, (), ("state: retired, to retire the old key",))
        if state == RETIRED and record.phase in (PREPARING, ISSUED):
            return Outcome(record, (), ("state: rotated, to finish the rotation",))
        if self.goal.pause and record.phase == ISSUED and held == {OLD} and not record.owner:
            return Outcome(record, (), (PAUSED,))
        return None

    def _decide_idle(self, record: RotationRecord, lives: tuple[CredentialSnapshot, ...]) -> Outcome | None:
        if self.goal.state in (ROTATED, RETIRED) and record.restored(lives):
            return None
        if self.goal.state != ROTATED:
            return Outcome(record)
        if self.goal.rotation_id is not None:
            due = self.goal.rotation_id != record.rotation_id
        else:
            due = self.goal.due
        return None if due else Outcome(record)

    @staticmethod
    def _drift(record: RotationRecord, lives: tuple[CredentialSnapshot, ...]) -> str:
        torn = [live.id for live in lives if record.holds(live) == TORN]
        if torn:
            return (f"{', '.join(torn)} holds a mix of the old key and the new one, as when a form opened before the cutover is saved after it; "
                    "repair: true with state: rotated puts the new key in")
        other = [live.id for live in lives if record.holds(live) == OTHER]
        new = f" nor the new one ({record.new.key})" if record.new else ""
        return (f"somebody gave {', '.join(other)} another value while its rotation was in phase {record.phase}: it is neither the old key "
                f"({record.old.key}){new}; nothing was touched")

    def path(self, seen: Snapshot) -> tuple[str, ...]:
        """The phases that a run goes through if nothing goes wrong and nothing ends it before."""
        record, lives = seen.record or self.blank, t.cast(t.Tuple[CredentialSnapshot, ...], seen.lives)
        phase, state = record.phase, self.goal.state
        cut = (ISSUED,) if self.goal.pause else (ISSUED, GRACE)
        if phase == IDLE:
            return (IDLE,) if record.restored(lives) else (PREPARING, *cut)
        for back, wanted in ((ABORTING, ABORTED), (ROLLING_BACK, ROLLED_BACK)):
            if phase == back or state == wanted:
                return (IDLE,) if phase == back else (back, IDLE)
        if phase in (PREPARING, ISSUED):
            return cut[phase == ISSUED:]
        if any(record.holds(live) != NEW for live in lives):
            return (phase,)
        return {GRACE: (DISABLING, DISABLED) if self.switches_off else (DELETING, IDLE), DISABLING: (DISABLED,), DISABLED: (DELETING, IDLE)}.get(phase, (IDLE,))

    @property
    def switches_off(self) -> bool:
        """Whether an old key is disabled before it is deleted."""
        return self.issuer.disables and not self.issuer.write_ahead

    # the run

    def go(self) -> Steps:
        """Go as far towards the goal as is safe now; returns an Outcome, raises RanchhandError or IssuerError."""
        for attempt in range(RETRIES + 1):
            seen = yield Call("look")
            ending = self.decide(seen)
            if ending is not None:
                return ending._replace(steps=tuple(self.steps))
            if attempt and any(live.token not in (None, self.goal.token) for live in seen.lives):
                break
            try:
                try:
                    return (yield from self._work(seen))
                except (RanchhandError, IssuerError) as error:
                    # No answer of a cloud: what was asked for may still happen, so the token stays and the next run waits.
                    if self.taken and not (isinstance(error, IssuerError) and error.code == "unreachable"):
                        yield from self._release()
                    raise
            except Conflict:
                continue
        raise RanchhandError("busy", f"another run has taken over the rotation of {', '.join(one for one, _uid in self.blank.members)}")

    def _work(self, seen: Snapshot) -> Steps:
        self.stored, before = seen.stored, seen.record or self.blank
        lives = t.cast(t.Tuple[CredentialSnapshot, ...], seen.lives)
        if self.goal.state == RETIRED and before.phase in (GRACE, DISABLED) and not any(before.holds(live) == OLD for live in lives):
            waiting = yield Call("waiting_for", (before.with_times(self.goal.grace, self.goal.soak),))
            if waiting:
                return Outcome(before, tuple(self.steps), tuple(waiting))
        starting = before.phase == IDLE and not before.restored(lives)
        snapshot: tuple[str, ...] = ()
        if starting:
            try:
                snapshot = yield from self.preflight(lives)
            except RanchhandError:
                again: Snapshot = yield Call("look")
                if again.stored != seen.stored:  # another run has just begun: what stood in the way may be its new key
                    raise Conflict from None
                raise
        self.took_over |= any(live.token not in (None, self.goal.token) for live in lives) or before.owner not in ("", self.goal.token)
        gone = yield Call("lease")
        self.taken = True
        taken = []
        for live in lives:
            taken.append((yield Call("mark", (live, self.goal.token, None))))
        self.lives = tuple(taken)
        now = yield Call("now")
        if starting:
            record = self._started(before, snapshot, now)
            yield from self._put(record, "started")
        else:
            yield from self._put(replace(before.with_times(self.goal.grace, self.goal.soak), epoch=before.epoch + 1, owner=self.goal.token), None)
        if self.took_over:  # perhaps in an earlier attempt
            yield Call("sleep", (min(self.goal.drain, _IN_FLIGHT) if gone else self.goal.drain,))
            self.took_over = False
        return (yield from self._continue())

    def _continue(self) -> Steps:
        held = {self.record.holds(live) for live in self.lives}
        phase, state = self.record.phase, self.goal.state
        if phase == IDLE:
            return (yield from self._roll_forward_restored())
        if phase == ABORTING or state == ABORTED:
            return (yield from self._abort())
        if phase == ROLLING_BACK or state == ROLLED_BACK:
            return (yield from self._roll_back())
        if phase == PREPARING:
            yield from self._prepare()
            phase = ISSUED
        if phase == ISSUED:
            return (yield from self._cut_over())
        if held != {NEW}:
            return (yield from self._roll_forward())
        return (yield from self._retire())

    def preflight(self, lives: tuple[CredentialSnapshot, ...]) -> Steps:
        """Nothing is begun with a key that does not work, or without room for another."""
        by = lives[0].values
        yield Call("preflight", (lives,))
        if self.issuer.lists:
            keys: list[Key] = yield Call("keys", (by,))
            room = self.issuer.limit is None or len(keys) < self.issuer.limit
            if not room and not self.issuer.write_ahead:
                others = ", ".join(sorted(one.id for one in keys if one.id != self.issuer.key_id(by)))
                raise RanchhandError("slot_taken", f"there are {len(keys)} keys already, of {self.issuer.limit}; delete {others} if nothing uses it")
            return tuple(sorted(one.id for one in keys))
        return ()

    def _started(self, before: RotationRecord, snapshot: tuple[str, ...], now: Time) -> RotationRecord:
        goal, generation = self.goal, before.generation + 1
        live = self.lives[0]
        digests = {name: live.digests.get(name) for name in self.blank.fields}
        begun = replace(
            before, phase=PREPARING, generation=generation, epoch=1, owner=goal.token, snapshot=snapshot,
            issuer=self.blank.issuer, fields=self.blank.fields, members=self.blank.members, rotation_id=goal.rotation_id, reason=goal.reason,
            grace=goal.default_grace if goal.grace is None else goal.grace, soak=goal.default_soak if goal.soak is None else goal.soak,
            old=None, new=None, gates={},
            started_at=now, issuing_at=None, issued_at=None, cutover_at=None, disabled_at=None, expires_at=None,
        )
        kept = before.current and dict(before.current.digests) == digests
        version = before.current.version if kept else f"{begun.prefix}-old"
        return replace(begun, old=KeyGeneration(self.issuer.key_id(live.values), version, digests))

    def _put(self, record: RotationRecord, what: str | None) -> Steps:
        if what is not None:
            now = yield Call("now")
            entry = {"at": now.isoformat(timespec="seconds"), "phase": record.phase, "what": what, "run": self.goal.token[:8]}
            record = replace(record, transitions=(*record.transitions, entry)[-_TRANSITIONS:])
        self.stored = yield Call("put", (record, self.stored))
        if what is not None:
            self.steps.append(record.phase)
        self.record = record

    def _held(self, *allowed: str) -> Steps:
        """Look once more right before a call to the cloud; the fields to sign in with."""
        seen: Snapshot = yield Call("look")
        for live in seen.lives:
            if live is None or live.token != self.goal.token or self.record.holds(live) not in allowed:
                raise Conflict
        self.lives = t.cast(t.Tuple[CredentialSnapshot, ...], seen.lives)
        return self.lives[0].values

    def _release(self) -> Steps:
        """Say that no call is under way any more. What somebody changed meanwhile is left alone."""
        try:
            seen: Snapshot = yield Call("look")
            for live in seen.lives:
                if live is not None and live.token == self.goal.token:
                    yield Call("mark", (live, None, None))
            if seen.record is not None and seen.record.owner == self.goal.token:
                yield Call("put", (replace(seen.record, owner=""), seen.stored))
        except (Conflict, RanchhandError):
            pass

    def _end(self) -> Steps:
        yield from self._release()
        return Outcome(replace(self.record, owner=""), tuple(self.steps))

    # issue

    def _prepare(self) -> Steps:
        record = self.record
        by = self.lives[0].values
        old = yield Call("keep", (record.old.version, record, 0, {name: by.get(name, "") for name in record.fields}))
        if dict(old.digests) != dict(record.old.digests):
            raise RanchhandError("conflict", f"Secret {record.old.version} holds another value than the credential; something is wrong, so nothing was touched")
        mine = [one for one in (yield Call("versions", (record,))) if _of_generation(one, record) and one.name != record.old.version]
        keys: list[Key] = []
        if self.issuer.lists:
            keys = yield Call("keys", (by,))
        there = {one.id for one in keys if one.enabled}
        adopted = next((one for one in sorted(mine, key=lambda one: -one.epoch)
                        if not self.issuer.lists or self.issuer.key_id(one.values) in there), None)
        if adopted is None:
            yield from self._delete_orphans(keys)
            adopted = yield from self._issue()
        now = yield Call("now")
        value = KeyGeneration(self.issuer.key_id(adopted.values), adopted.name, adopted.digests)
        if dict(value.digests) == dict(record.old.digests):
            raise RanchhandError("invalid", "the new value is the old one")
        yield from self._put(
            replace(self.record, phase=ISSUED, new=value, issued_at=now, expires_at=self.issuer.expires_at(adopted.values)), f"issued {value.key}")

    def _issue(self) -> Steps:
        now = yield Call("now")
        yield from self._put(replace(self.record, issuing_at=now), None)
        by = yield from self._held(OLD)
        values = yield Call("issue", (by,))
        record = self.record
        return (yield Call("keep", (f"{record.prefix}-e{record.epoch}", record, record.epoch, values)))

    def _delete_orphans(self, keys: t.Sequence[Key]) -> Steps:
        """Delete a key that an attempt of this rotation was given and lost before it was kept: it is new, and was never used."""
        record = self.record
        begun = record.issuing_at
        for key in keys if begun else ():
            if key.id in record.snapshot or key.id == record.old.key:
                continue
            evident = key.last_used is None and key.created_at and begun - SKEW <= key.created_at <= begun + SKEW
            if not evident or not self.goal.delete_orphans:
                raise RanchhandError(
                    "orphan", f"the key {key.id} was made since the rotation began, and it cannot be told whether by this rotation; "
                              "delete it if nothing uses it, and run again")
            by = yield from self._held(OLD)
            yield Call("delete", (key.id, by))

    # cut over

    def _cut_over(self) -> Steps:
        record, issuer = self.record, self.issuer
        if self.goal.pause and all(record.holds(live) == OLD for live in self.lives):
            return (yield from self._end())._replace(waiting=(PAUSED,))
        new = yield from self._kept(record.new)
        now = yield Call("now")
        rest = issuer.propagation - (now - record.issued_at).total_seconds()
        if rest > 0:
            yield Call("sleep", (rest,))
        try:
            if issuer.write_ahead:
                yield from self._activate(new, self.lives[0].values)
            yield from self._verify(new)
        except IssuerError as error:
            if error.code == "unreachable":
                raise
            failed = RanchhandError("verify_failed", f"the new key {record.new.key} did not work: {error.message}")
            if self.goal.rollback and all(record.holds(live) == OLD for live in self.lives):
                yield from self._abort()
                failed = RanchhandError(failed.code, f"{failed.message}; it was given up")
            raise failed from None
        yield from self._write_new(new)
        now = yield Call("now")
        yield from self._put(replace(self.record, phase=GRACE, cutover_at=now), f"cut over to {record.new.key}")
        yield from self._arrive()
        return (yield from self._end())

    def _write_new(self, values: Mapping[str, str]) -> Steps:
        lives = []
        for live in self.lives:
            if self.record.holds(live) != NEW:
                live = yield Call("mark", (live, self.goal.token, values))
            lives.append(live)
        self.lives = tuple(lives)

    def _arrive(self) -> Steps:
        """See that what the credentials hold now works; roll back if it does not."""
        try:
            seen: Snapshot = yield Call("look")
            for live in seen.lives:
                if live is None or self.record.holds(live) != NEW:
                    raise Conflict
                yield from self._verify({name: live.values[name] for name in self.record.fields}, live.values)
        except IssuerError as error:
            if error.code == "unreachable":
                raise
            failed = RanchhandError("verify_failed", f"the new key {self.record.new.key} did not work after the cutover: {error.message}")
            if self.goal.rollback:
                yield from self._roll_back()
                failed = RanchhandError(failed.code, f"{failed.message}; it was rolled back")
            raise failed from None

    def _verify(self, values: Mapping[str, str], by: Mapping[str, str] | None = None) -> Steps:
        """Sign in with a key, again and again until it works or time is up: clouds take a while to know a new key everywhere."""
        begun, pause = (yield Call("now")), 1.0
        while True:
            try:
                return (yield Call("verify", (values, self.lives[0].values if by is None else by)))
            except IssuerError as error:
                now = yield Call("now")
                if error.code != "refused" or (now - begun).total_seconds() + pause > self.goal.verify_timeout:
                    raise
            yield Call("sleep", (pause,))
            pause = min(2 * pause, 10.0)

    def _activate(self, values: Mapping[str, str], by: Mapping[str, str]) -> Steps:
        """Let the cloud accept the one value that is to count from now on, unless it does; until the cutover the credential holds another."""
        try:
            yield Call("verify", (values, by))
        except IssuerError as error:
            if error.code != "refused":
                raise
            yield from self._held(OLD, NEW)
            yield Call("activate", (values, by))

    def _kept(self, value: KeyGeneration) -> Steps:
        for version in (yield Call("versions", (self.record,))):
            if version.name == value.version and dict(version.digests) == dict(value.digests):
                return dict(version.values)
        raise RanchhandError("conflict", f"Secret {value.version}, which keeps the key {value.key}, is gone or holds something else")

    def _roll_forward(self) -> Steps:
        """Put the new key in again where a backup, or a form, brought the old one back."""
        new = yield from self._kept(self.record.new)
        yield from self._verify(new)
        yield from self._write_new(new)
        yield from self._put(self.record, f"put {self.record.new.key} in again")
        return (yield from self._end())

    def _roll_forward_restored(self) -> Steps:
        current = yield from self._kept(self.record.current)
        yield from self._verify(current, current)
        for live in self.lives:
            if any(live.values.get(name) != text for name, text in current.items()):
                yield Call("mark", (live, self.goal.token, current))
        yield from self._put(self.record, f"restored to {self.record.current.key}")
        return (yield from self._end())

    # retire

    def _retire(self) -> Steps:
        record, issuer = self.record, self.issuer
        if record.phase in (GRACE, DISABLED):
            gates = yield Call("gates", ())
            record = replace(record, gates=gates)
        if record.phase == GRACE:
            yield from self._put(replace(record, phase=DISABLING if self.switches_off else DELETING), f"retiring {record.old.key}")
        elif record.phase == DISABLED:
            yield from self._put(replace(record, phase=DELETING), f"deleting {record.old.key}")
        if self.record.phase == DISABLING:
            by = yield from self._held(NEW)
            yield Call("disable", (record.old.key, by))
            now = yield Call("now")
            yield from self._put(replace(self.record, phase=DISABLED, disabled_at=now), f"disabled {record.old.key}")
            return (yield from self._end())
        if not issuer.write_ahead:
            by = yield from self._held(NEW)
            if issuer.lists and record.old.key == issuer.key_id(by):
                raise RanchhandError("conflict", f"the old key and the new one have the same id {record.old.key}; nothing was deleted")
            yield Call("delete", (record.old.key, by))
        return (yield from self._finish(self.record.new, f"retired {record.old.key}", (*record.past, record.old.digests)[-_PAST:], record.cutover_at))

    def _finish(self, current: KeyGeneration | None, what: str, past: t.Sequence[Mapping[str, str]], rotated_at: Time | None) -> Steps:
        """Remove what is kept of all other generations, and be idle."""
        for version in (yield Call("versions", (self.record,))):
            if current is None or version.name != current.version:
                yield Call("drop", (version,))
        seen: Snapshot = yield Call("look")
        for live in seen.lives:
            if live is not None and live.token == self.goal.token:
                yield Call("mark", (live, None, None))
        yield from self._put(replace(
            self.record, phase=IDLE, owner="", current=current, old=None, new=None, past=tuple(past), snapshot=(), rotated_at=rotated_at), what)
        return Outcome(self.record, tuple(self.steps))

    # back

    def _abort(self) -> Steps:
        record = self.record
        if record.phase != ABORTING:
            yield from self._put(replace(record, phase=ABORTING), "aborting")
        kept = {one.name: one for one in (yield Call("versions", (record,)))}
        if self.issuer.write_ahead and record.new and record.new.version in kept:  # else an abort came so far that it was dropped
            yield from self._activate(kept[record.old.version].values, {**self.lives[0].values, **kept[record.new.version].values})
            yield from self._verify(kept[record.old.version].values)
        yield from self._delete_new()
        return (yield from self._back_to_old("aborted"))

    def _roll_back(self) -> Steps:
        if self.record.phase != ROLLING_BACK:
            yield from self._put(replace(self.record, phase=ROLLING_BACK), f"rolling back to {self.record.old.key}")
        if any(self.record.holds(live) != OLD for live in self.lives):
            old = yield from self._kept(self.record.old)
            by = yield from self._held(OLD, NEW, TORN)
            try:
                if self.issuer.write_ahead:
                    yield from self._activate(old, by)
                elif self.issuer.disables:
                    yield Call("enable", (self.record.old.key, by))
                yield from self._verify(old)
            except IssuerError as error:
                if error.code == "unreachable":
                    raise
                if all(self.record.holds(live) == NEW for live in self.lives):
                    yield from self._put(replace(self.record, phase=GRACE), f"{self.record.old.key} does not work any more")
                raise RanchhandError(
                    "old_unusable", f"the old key {self.record.old.key} does not work any more, so the new one stays: {error.message}") from None
            lives = []
            for live in self.lives:
                if self.record.holds(live) != OLD:
                    live = yield Call("mark", (live, self.goal.token, old))
                lives.append(live)
            self.lives = tuple(lives)
        yield from self._delete_new()
        return (yield from self._back_to_old("rolled back"))

    def _delete_new(self) -> Steps:
        """Delete every key that this generation was given, kept or lost."""
        record, issuer = self.record, self.issuer
        if issuer.write_ahead or not issuer.lists:
            return
        by = yield from self._held(OLD)
        kept = [one for one in (yield Call("versions", (record,))) if _of_generation(one, record) and one.name != record.old.version]
        new = {issuer.key_id(one.values) for one in kept} | ({record.new.key} if record.new else set())
        keys: list[Key] = yield Call("keys", (by,))
        for key in keys:
            if key.id in new - {record.old.key}:
                by = yield from self._held(OLD)
                yield Call("delete", (key.id, by))
        if record.new is None:
            yield from self._delete_orphans([key for key in keys if key.id not in new])

    def _back_to_old(self, what: str) -> Steps:
        record = self.record
        kept = any(one.name == record.old.version for one in (yield Call("versions", (record,))))
        current = record.old if kept else record.current  # it may be aborted before the old value was kept
        return (yield from self._finish(current, f"{what} to {record.old.key}", record.past, record.rotated_at))


def _of_generation(version: StoredGeneration, record: RotationRecord) -> bool:
    return version.name.startswith(record.prefix)
