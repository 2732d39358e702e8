# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The rotation protocol: the order of all writes and calls that replace the key of a credential.

Pure: RotationProtocol.run() is a generator of Calls, which a RotationBackend makes, in a cluster or in a test.

The key of a credential, or of several that share it, is replaced in place. The phase of a RotationRecord shows what may
have been started. What really happened is read each time: which key the credentials contain, and which keys the
provider lists. Every write to a credential or record fails with a Conflict if the object has changed since it was
read. Providers have no such check, so right before each call to a provider the credential is read again and must have
this run's token. A run that takes a token over waits until a call of the former run must have ended.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Mapping
from dataclasses import replace

from .._common.errors import RanchhandError
from .._common.times import Time, format_time
from ..issuer import Issuer, IssuerError, Key
from .decisions import PAUSED, START, Decision, RotationRequest, classify, decide, explain
from .record import (
    ABORTING,
    DELETING,
    DISABLED,
    DISABLING,
    GRACE,
    IDLE,
    ISSUED,
    MIXED,
    NEW,
    OLD,
    PREPARING,
    ROLLING_BACK,
    CredentialSnapshot,
    KeyGeneration,
    RotationRecord,
    StoredGeneration,
    Values,
)

ATTEMPTS = 4
_TRANSITIONS = 20  # kept in a record
_PAST = 5          # digests of retired keys kept in a record

# Seconds after which a request that a dead process had sent has arrived.
_IN_FLIGHT = 5

# The largest difference between the clocks of a provider and of this machine: AWS rejects signatures that are further
# off.
SKEW = datetime.timedelta(minutes=5)


class Conflict(Exception):
    """An object has changed since it was read."""


class Snapshot(t.NamedTuple):
    """The state of a rotation at one moment.

    ``stored_record`` is the record as the backend stored it, for the next write; the credentials are those of the
    record's members, None if they are deleted.
    """

    record: RotationRecord | None
    stored_record: t.Any
    credentials: tuple[CredentialSnapshot | None, ...]


class Call(t.NamedTuple):
    """A call of a method of the backend."""

    name: str
    arguments: tuple[t.Any, ...] = ()


class Outcome(t.NamedTuple):
    """The result of a run: the phases it went through, and the reasons why it stopped where it did."""

    record: RotationRecord | None
    steps: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


class RotationBackend(t.Protocol):
    """What the protocol needs. Calls to the provider are those of Issuer and raise IssuerError."""

    def now(self) -> Time:
        """Return the current time."""

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def read_snapshot(self) -> Snapshot:
        """Read the record and the credentials."""

    def preflight(self, credentials: t.Sequence[CredentialSnapshot]) -> None:
        """Raise RanchhandError if a rotation must not start."""

    def take_lease(self) -> bool:
        """Take the lease; True if the run before has certainly ended.

        Raises RanchhandError while another run has it.
        """

    def write_credential(
        self, credential: CredentialSnapshot, token: str | None, values: Values | None
    ) -> CredentialSnapshot:
        """Write the token of a credential, and its fields if there are values. Raises Conflict."""

    def write_record(self, record: RotationRecord, stored_record: t.Any) -> t.Any:
        """Write the record, and return it as stored. Raises Conflict."""

    def store_generation(self, name: str, record: RotationRecord, epoch: int, values: Values) -> StoredGeneration:
        """Store the values of a key once; an existing generation of this name is returned as it is."""

    def list_generations(self, record: RotationRecord) -> list[StoredGeneration]:
        """List the stored generations of the record."""

    def delete_generation(self, generation: StoredGeneration) -> None:
        """Delete a stored generation; a missing one is no error."""

    def evaluate_gates(self, record: RotationRecord) -> t.Sequence[str]:
        """Return the reasons why the old key must not be retired yet."""

    def gate_states(self) -> Mapping[str, str]:
        """Return the states that evaluate_gates() found."""

    def keys(self, by: Values) -> list[Key]: ...

    def issue(self, by: Values) -> dict[str, str]: ...

    def activate(self, values: Values, by: Values) -> None: ...

    def verify(self, values: Values, by: Values) -> None: ...

    def disable(self, key_id: str, by: Values) -> None: ...

    def enable(self, key_id: str, by: Values) -> None: ...

    def delete(self, key_id: str, by: Values) -> None: ...


_T = t.TypeVar("_T")
Steps = t.Generator[Call, t.Any, _T]


def run_protocol(steps: Steps[_T], backend: t.Any) -> _T:
    """Make the calls of a protocol at a backend, and return what the protocol returns."""
    answer: t.Any = None
    error: BaseException | None = None
    while True:
        try:
            call = steps.send(answer) if error is None else steps.throw(error)
        except StopIteration as end:
            return t.cast(_T, end.value)
        answer = error = None
        try:
            answer = getattr(backend, call.name)(*call.arguments)
        except Exception as problem:  # the protocol handles it
            error = problem


class RotationProtocol:
    """One run of a rotation."""

    def __init__(self, request: RotationRequest, issuer: Issuer, blank: RotationRecord) -> None:
        self.request = request
        self.issuer = issuer
        self.blank = blank      # the record of a key that was never rotated
        self.record = blank
        self.stored_record: t.Any = None
        self.credentials: tuple[CredentialSnapshot, ...] = ()
        self.steps: list[str] = []
        self.token_written = False
        self.took_over = False

    # decide

    def decide(self, snapshot: Snapshot) -> Decision:
        """Return the next step, or the reason why there is none. Raises RanchhandError."""
        record = snapshot.record or self.blank
        decision = decide(self.request, record, classify(record, snapshot.credentials), self.can_disable)
        if decision.code:
            raise RanchhandError(decision.code, explain(decision, self.request, record, snapshot.credentials))
        return decision

    def stop(self, decision: Decision, snapshot: Snapshot) -> Outcome:
        """Return the outcome of a decision without a step."""
        waiting = (decision.message,) if decision.message else ()
        return Outcome(snapshot.record or self.blank, tuple(self.steps), waiting)

    @property
    def can_disable(self) -> bool:
        """Whether an old key is disabled before it is deleted."""
        return self.issuer.disables and not self.issuer.write_ahead

    def _has_other_token(self, credentials: t.Iterable[CredentialSnapshot | None]) -> bool:
        return any(
            credential is not None and credential.token not in (None, self.request.token) for credential in credentials
        )

    # run

    def run(self) -> Steps[Outcome]:
        """Do as much of the request as is safe now. Raises RanchhandError or IssuerError."""
        for attempt in range(ATTEMPTS):
            snapshot: Snapshot = yield Call("read_snapshot")
            decision = self.decide(snapshot)
            if not decision.step:
                return self.stop(decision, snapshot)
            if attempt and self._has_other_token(snapshot.credentials):
                break
            try:
                return (yield from self._execute(decision, snapshot))
            except Conflict:
                continue
            except (RanchhandError, IssuerError) as error:
                # If the provider did not answer, what was requested may still happen: the token is kept, so that the
                # next run waits.
                if self.token_written and not (isinstance(error, IssuerError) and error.code == "unreachable"):
                    yield from self._release()
                raise
        raise RanchhandError(
            "busy",
            f"another run has taken over the rotation of {self.blank.names}. Run the task again when it has ended.",
        )

    def _execute(self, decision: Decision, snapshot: Snapshot) -> Steps[Outcome]:
        """Run a step, under this run's token."""
        before = snapshot.record or self.blank
        credentials = t.cast("tuple[CredentialSnapshot, ...]", snapshot.credentials)
        self.stored_record = snapshot.stored_record
        timed = before.with_times(self.request.grace, self.request.soak)
        if decision.gated:
            waiting: t.Sequence[str] = yield Call("evaluate_gates", (timed,))
            if waiting:
                return Outcome(before, tuple(self.steps), tuple(waiting))
        key_ids: tuple[str, ...] = ()
        starting = decision.step == START.step
        if starting:
            key_ids = yield from self._preflight_of(snapshot)
        self.took_over |= self._has_other_token(credentials) or before.owner not in ("", self.request.token)
        former_run_ended: bool = yield Call("take_lease")
        self.token_written = True
        written = []
        for credential in credentials:
            written.append((yield Call("write_credential", (credential, self.request.token, None))))
        self.credentials = tuple(written)
        now: Time = yield Call("now")
        if starting:
            yield from self._write_record(self._started(before, key_ids, now), "started")
        else:
            yield from self._write_record(replace(timed, epoch=before.epoch + 1, owner=self.request.token), None)
        if self.took_over:  # perhaps in an earlier attempt
            yield Call("sleep", (min(self.request.drain, _IN_FLIGHT) if former_run_ended else self.request.drain,))
            self.took_over = False
        step: t.Callable[[], Steps[Outcome]] = getattr(self, decision.step)
        return (yield from step())

    def _preflight_of(self, snapshot: Snapshot) -> Steps[tuple[str, ...]]:
        try:
            return (yield from self.preflight(t.cast("tuple[CredentialSnapshot, ...]", snapshot.credentials)))
        except RanchhandError:
            again: Snapshot = yield Call("read_snapshot")
            if (
                again.stored_record != snapshot.stored_record
            ):  # another run has just started: its new key may be the reason
                raise Conflict from None
            raise

    def preflight(self, credentials: tuple[CredentialSnapshot, ...]) -> Steps[tuple[str, ...]]:
        """Check that the current key works and that another one can be issued; returns the ids of all keys."""
        by = credentials[0].values
        yield Call("preflight", (credentials,))
        if not self.issuer.lists:
            return ()
        keys: list[Key] = yield Call("keys", (by,))
        limit = self.issuer.limit
        if limit is not None and len(keys) >= limit and not self.issuer.write_ahead:
            others = ", ".join(sorted(key.id for key in keys if key.id != self.issuer.key_id(by)))
            raise RanchhandError(
                "slot_taken",
                (
                    f"no new key can be issued for {self.blank.names}: {len(keys)} of {limit} keys exist. Delete "
                    f"{others} if nothing uses it."
                ),
            )
        return tuple(sorted(key.id for key in keys))

    def _started(self, before: RotationRecord, key_ids: tuple[str, ...], now: Time) -> RotationRecord:
        request, credential = self.request, self.credentials[0]
        digests = {name: credential.digests.get(name, "") for name in self.blank.fields}
        started = replace(
            before,
            phase=PREPARING,
            generation=before.generation + 1,
            epoch=1,
            owner=request.token,
            snapshot=key_ids,
            issuer=self.blank.issuer,
            fields=self.blank.fields,
            members=self.blank.members,
            rotation_id=request.rotation_id,
            reason=request.reason,
            grace=request.default_grace if request.grace is None else request.grace,
            soak=request.default_soak if request.soak is None else request.soak,
            old=None,
            new=None,
            gates={},
            started_at=now,
            issuing_at=None,
            issued_at=None,
            cutover_at=None,
            disabled_at=None,
            expires_at=None,
        )
        current = before.current
        version = current.version if current and dict(current.digests) == digests else f"{started.prefix}-old"
        return replace(started, old=KeyGeneration(self.issuer.key_id(credential.values), version, digests))

    def _write_record(self, record: RotationRecord, what: str | None) -> Steps[None]:
        """Write the record; ``what`` describes a transition, None if there is none."""
        if what is not None:
            now: Time = yield Call("now")
            entry = {"at": format_time(now), "phase": record.phase, "what": what, "run": self.request.token[:8]}
            record = replace(record, transitions=(*record.transitions, entry)[-_TRANSITIONS:])
        self.stored_record = yield Call("write_record", (record, self.stored_record))
        if what is not None:
            self.steps.append(record.phase)
        self.record = record

    def _confirm(self, *allowed: str) -> Steps[Values]:
        """Read the credentials right before a call to the provider; returns the fields to sign in with.

        Raises Conflict if another run has taken over or a credential contains none of the allowed keys.
        """
        snapshot: Snapshot = yield Call("read_snapshot")
        confirmed = []
        for credential in snapshot.credentials:
            if (
                credential is None
                or credential.token != self.request.token
                or self.record.key_in(credential) not in allowed
            ):
                raise Conflict
            confirmed.append(credential)
        self.credentials = tuple(confirmed)
        return self.credentials[0].values

    def _release(self) -> Steps[None]:
        """Remove the token, as no call is in progress any more. Changes by other clients are kept."""
        try:
            snapshot: Snapshot = yield Call("read_snapshot")
            yield from self._remove_tokens(snapshot)
            if snapshot.record is not None and snapshot.record.owner == self.request.token:
                yield Call("write_record", (replace(snapshot.record, owner=""), snapshot.stored_record))
        except (Conflict, RanchhandError):
            pass

    def _remove_tokens(self, snapshot: Snapshot) -> Steps[None]:
        for credential in snapshot.credentials:
            if credential is not None and credential.token == self.request.token:
                yield Call("write_credential", (credential, None, None))

    def _end(self) -> Steps[Outcome]:
        yield from self._release()
        return Outcome(replace(self.record, owner=""), tuple(self.steps))

    def _all_contain(self, key: str) -> bool:
        return all(self.record.key_in(credential) == key for credential in self.credentials)

    # issue

    def _start(self) -> Steps[Outcome]:
        return (yield from self._issue_and_cut_over())

    def _issue_and_cut_over(self) -> Steps[Outcome]:
        record = self.record
        by = self.credentials[0].values
        values = {name: by.get(name, "") for name in record.fields}
        old: StoredGeneration = yield Call("store_generation", (record.old_key.version, record, 0, values))
        if dict(old.digests) != dict(record.old_key.digests):
            raise RanchhandError(
                "conflict",
                (
                    f"Secret {record.old_key.version} contains another value than {record.names}, so the old key "
                    "cannot be restored from it. "
                    "Nothing was changed. Delete the Secret if it is not needed."
                ),
            )
        attempts = yield from self._new_generations()
        keys: list[Key] = []
        if self.issuer.lists:
            keys = yield Call("keys", (by,))
        enabled = {key.id for key in keys if key.enabled}
        generation = next((
            attempt for attempt in sorted(attempts, key=lambda attempt: -attempt.epoch)
            if not self.issuer.lists or self.issuer.key_id(attempt.values) in enabled), None)
        if generation is None:
            yield from self._delete_orphans(keys)
            generation = yield from self._issue()
        now: Time = yield Call("now")
        new = KeyGeneration(self.issuer.key_id(generation.values), generation.name, generation.digests)
        if dict(new.digests) == dict(record.old_key.digests):
            raise RanchhandError("invalid", f"the new value for {record.names} is the old one. Supply another value.")
        issued = replace(
            self.record, phase=ISSUED, new=new, issued_at=now, expires_at=self.issuer.expires_at(generation.values)
        )
        yield from self._write_record(issued, f"issued {new.key}")
        return (yield from self._cut_over())

    def _new_generations(self) -> Steps[list[StoredGeneration]]:
        """List the generations that attempts of this rotation stored."""
        record = self.record
        generations: list[StoredGeneration] = yield Call("list_generations", (record,))
        return [
            each for each in generations if each.name.startswith(record.prefix) and each.name != record.old_key.version
        ]

    def _issue(self) -> Steps[StoredGeneration]:
        now: Time = yield Call("now")
        yield from self._write_record(replace(self.record, issuing_at=now), None)
        by = yield from self._confirm(OLD)
        values: Values = yield Call("issue", (by,))
        record = self.record
        stored: StoredGeneration = yield Call(
            "store_generation", (f"{record.prefix}-e{record.epoch}", record, record.epoch, values)
        )
        return stored

    def _delete_orphans(self, keys: t.Sequence[Key]) -> Steps[None]:
        """Delete keys that this rotation issued and whose secret was lost before it was stored: new and never used."""
        record = self.record
        issuing_at = record.issuing_at
        if issuing_at is None:
            return
        for key in keys:
            if key.id in record.snapshot or key.id == record.old_key.key:
                continue
            created_then = key.created_at is not None and issuing_at - SKEW <= key.created_at <= issuing_at + SKEW
            if key.last_used is not None or not created_then or not self.request.delete_orphans:
                raise RanchhandError(
                    "orphan",
                    (
                        f"the key {key.id} was created since the rotation of {record.names} began, but there is no "
                        "proof that this rotation issued it. "
                        "Delete it if nothing uses it, and run the task again."
                    ),
                )
            by = yield from self._confirm(OLD)
            yield Call("delete", (key.id, by))

    # cut over

    def _cut_over(self) -> Steps[Outcome]:
        record = self.record
        if self.request.pause and self._all_contain(OLD):
            return (yield from self._end())._replace(waiting=(PAUSED.message,))
        new = yield from self._stored_values(record.new_key)
        yield from self._wait_for_propagation()
        try:
            if self.issuer.write_ahead:
                yield from self._activate(new, self.credentials[0].values)
            yield from self._verify(new)
        except IssuerError as error:
            if error.code == "unreachable":
                raise
            message = f"the new key {record.new_key.key} of {record.names} does not work: {error.message}."
            if self.request.rollback and self._all_contain(OLD):
                yield from self._abort()
                message += " The rotation was aborted; the old key is still in use."
            raise RanchhandError("verify_failed", message) from None
        yield from self._write_values(new, NEW)
        now: Time = yield Call("now")
        yield from self._write_record(
            replace(self.record, phase=GRACE, cutover_at=now), f"cut over to {record.new_key.key}"
        )
        yield from self._verify_credentials()
        return (yield from self._end())

    def _wait_for_propagation(self) -> Steps[None]:
        now: Time = yield Call("now")
        issued_at = self.record.issued_at or now
        rest = self.issuer.propagation - (now - issued_at).total_seconds()
        if rest > 0:
            yield Call("sleep", (rest,))

    def _write_values(self, values: Values, key: str) -> Steps[None]:
        """Write the values of a key to each credential that does not contain it."""
        credentials = []
        for credential in self.credentials:
            if self.record.key_in(credential) != key:
                credential = yield Call("write_credential", (credential, self.request.token, values))
            credentials.append(credential)
        self.credentials = tuple(credentials)

    def _verify_credentials(self) -> Steps[None]:
        """Verify what the credentials contain now; roll back if it does not work."""
        record = self.record
        try:
            snapshot: Snapshot = yield Call("read_snapshot")
            for credential in snapshot.credentials:
                if credential is None or record.key_in(credential) != NEW:
                    raise Conflict
                yield from self._verify({name: credential.values[name] for name in record.fields}, credential.values)
        except IssuerError as error:
            if error.code == "unreachable":
                raise
            message = (
                f"the new key {record.new_key.key} of {record.names} did not work after the cutover: {error.message}."
            )
            if self.request.rollback:
                yield from self._roll_back()
                message += " The rotation was rolled back; the old key is in use again."
            raise RanchhandError("verify_failed", message) from None

    def _verify(self, values: Values, by: Values | None = None) -> Steps[None]:
        """Sign in with a key until it works or the time is over: a new key does not work everywhere at once."""
        started: Time = yield Call("now")
        pause = 1.0
        while True:
            try:
                yield Call("verify", (values, self.credentials[0].values if by is None else by))
                return
            except IssuerError as error:
                now: Time = yield Call("now")
                if error.code != "refused" or (now - started).total_seconds() + pause > self.request.verify_timeout:
                    raise
            yield Call("sleep", (pause,))
            pause = min(2 * pause, 10.0)

    def _activate(self, values: Values, by: Values) -> Steps[None]:
        """Make a value the only accepted one, unless it is. Until the cutover the credential contains another one."""
        try:
            yield Call("verify", (values, by))
        except IssuerError as error:
            if error.code != "refused":
                raise
            yield from self._confirm(OLD, NEW)
            yield Call("activate", (values, by))

    def _stored_values(self, key: KeyGeneration) -> Steps[dict[str, str]]:
        generations: list[StoredGeneration] = yield Call("list_generations", (self.record,))
        for generation in generations:
            if generation.name == key.version and dict(generation.digests) == dict(key.digests):
                return dict(generation.values)
        raise RanchhandError("conflict", (
            f"Secret {key.version}, which keeps the values of the key {key.key}, is missing or contains another value. "
            "Restore it from a backup of the namespace."))

    def _rewrite_new_key(self) -> Steps[Outcome]:
        """Write the new key again where a backup or a form restored the old one."""
        new = yield from self._stored_values(self.record.new_key)
        yield from self._verify(new)
        yield from self._write_values(new, NEW)
        yield from self._write_record(self.record, f"wrote {self.record.new_key.key} again")
        return (yield from self._end())

    def _restore_current_key(self) -> Steps[Outcome]:
        """Write the current key again where a backup restored a retired one."""
        current = yield from self._stored_values(self.record.current_key)
        yield from self._verify(current, current)
        for credential in self.credentials:
            if any(credential.values.get(name) != text for name, text in current.items()):
                yield Call("write_credential", (credential, self.request.token, current))
        yield from self._write_record(self.record, f"restored {self.record.current_key.key}")
        return (yield from self._end())

    # retire

    def _retire(self) -> Steps[Outcome]:
        record = self.record
        old = record.old_key
        if record.phase in (GRACE, DISABLED):
            gates: Mapping[str, str] = yield Call("gate_states")
            record = replace(record, gates=gates)
        if record.phase == GRACE:
            yield from self._write_record(
                replace(record, phase=DISABLING if self.can_disable else DELETING), f"retiring {old.key}"
            )
        elif record.phase == DISABLED:
            yield from self._write_record(replace(record, phase=DELETING), f"deleting {old.key}")
        if self.record.phase == DISABLING:
            by = yield from self._confirm(NEW)
            yield Call("disable", (old.key, by))
            now: Time = yield Call("now")
            yield from self._write_record(replace(self.record, phase=DISABLED, disabled_at=now), f"disabled {old.key}")
            return (yield from self._end())
        if not self.issuer.write_ahead:
            by = yield from self._confirm(NEW)
            if self.issuer.lists and old.key == self.issuer.key_id(by):
                raise RanchhandError(
                    "conflict",
                    f"the old key and the new key of {record.names} have the same id {old.key}. Nothing was deleted.",
                )
            yield Call("delete", (old.key, by))
        past = (*record.past, old.digests)[-_PAST:]
        return (yield from self._finish(record.new_key, f"retired {old.key}", past, record.cutover_at))

    def _finish(
        self, current: KeyGeneration | None, what: str, past: t.Sequence[Values], rotated_at: Time | None
    ) -> Steps[Outcome]:
        """Delete the stored values of all other generations, and end the rotation."""
        generations: list[StoredGeneration] = yield Call("list_generations", (self.record,))
        for generation in generations:
            if current is None or generation.name != current.version:
                yield Call("delete_generation", (generation,))
        snapshot: Snapshot = yield Call("read_snapshot")
        yield from self._remove_tokens(snapshot)
        yield from self._write_record(
            replace(
                self.record,
                phase=IDLE,
                owner="",
                current=current,
                old=None,
                new=None,
                past=tuple(past),
                snapshot=(),
                rotated_at=rotated_at,
            ),
            what,
        )
        return Outcome(self.record, tuple(self.steps))

    # return to the old key

    def _abort(self) -> Steps[Outcome]:
        record = self.record
        if record.phase != ABORTING:
            yield from self._write_record(replace(record, phase=ABORTING), "aborting")
        if self.issuer.write_ahead:
            listed: list[StoredGeneration] = yield Call("list_generations", (record,))
            stored = {generation.name: generation.values for generation in listed}
            if record.new and record.new.version in stored:  # if not, a former run has aborted as far as this
                old = stored[record.old_key.version]
                yield from self._activate(old, {**self.credentials[0].values, **stored[record.new.version]})
                yield from self._verify(old)
        yield from self._delete_new_keys()
        return (yield from self._return_to_old_key("aborted"))

    def _roll_back(self) -> Steps[Outcome]:
        if self.record.phase != ROLLING_BACK:
            yield from self._write_record(
                replace(self.record, phase=ROLLING_BACK), f"rolling back to {self.record.old_key.key}"
            )
        if not self._all_contain(OLD):
            yield from self._write_old_key()
        yield from self._delete_new_keys()
        return (yield from self._return_to_old_key("rolled back"))

    def _write_old_key(self) -> Steps[None]:
        """Enable the old key, verify it, and write it to the credentials."""
        key = self.record.old_key
        old = yield from self._stored_values(key)
        by = yield from self._confirm(OLD, NEW, MIXED)
        try:
            if self.issuer.write_ahead:
                yield from self._activate(old, by)
            elif self.issuer.disables:
                yield Call("enable", (key.key, by))
            yield from self._verify(old)
        except IssuerError as error:
            if error.code == "unreachable":
                raise
            if self._all_contain(NEW):
                yield from self._write_record(replace(self.record, phase=GRACE), f"{key.key} does not work any more")
            raise RanchhandError(
                "old_unusable",
                (
                    f"the old key {key.key} of {self.record.names} does not work any more, so the new key is kept: "
                    f"{error.message}. "
                    "Start another rotation if the new key must not be used."
                ),
            ) from None
        yield from self._write_values(old, OLD)

    def _delete_new_keys(self) -> Steps[None]:
        """Delete all keys that this rotation issued, stored or lost."""
        record, issuer = self.record, self.issuer
        if issuer.write_ahead or not issuer.lists:
            return
        by = yield from self._confirm(OLD)
        attempts = yield from self._new_generations()
        new = {issuer.key_id(attempt.values) for attempt in attempts}
        if record.new:
            new.add(record.new.key)
        keys: list[Key] = yield Call("keys", (by,))
        for key in keys:
            if key.id in new and key.id != record.old_key.key:
                by = yield from self._confirm(OLD)
                yield Call("delete", (key.id, by))
        if record.new is None:
            yield from self._delete_orphans([key for key in keys if key.id not in new])

    def _return_to_old_key(self, what: str) -> Steps[Outcome]:
        record = self.record
        generations: list[StoredGeneration] = yield Call("list_generations", (record,))
        stored = any(generation.name == record.old_key.version for generation in generations)
        current = record.old if stored else record.current  # a rotation may be aborted before its old key was stored
        return (yield from self._finish(current, f"{what} to {record.old_key.key}", record.past, record.rotated_at))
