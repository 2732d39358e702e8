# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The rotation protocol: the order of all writes and calls that replace the key of a credential.

Pure: RotationProtocol.run() is a generator of Calls, which a RotationBackend makes, in a cluster or in a test.

The key of a credential, or of several that share it, is replaced in place. The phase of a RotationRecord shows what may
have been started. What really happened is read each time: which key the credentials contain, and which keys the
provider lists. Every write to a credential or record fails with a Conflict if the object has changed since it was
read. Providers have no such check, so right before each call that changes something at a provider the credential is
read again and must have this run's token. A run that takes a token over waits until a call of the former run must have
ended: no call takes longer than CALL_TIMEOUT. Reads may take any time, as the credential is read after them.

Before a step takes something away, _prove() proves what remains, with the functions in checks: the key in each
credential signs in, and its provider lists it as enabled. What was done is confirmed in the provider's list afterwards.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import replace

from .._common.errors import RanchhandError
from .._common.times import Time, format_time
from .._stores.interface import StoreChanged
from ..issuer import IssuedKey, Issuer, IssuerError, Key
from . import checks
from .decisions import (
    FORGOTTEN,
    HAND_OVER,
    PAUSED,
    START,
    VERIFY,
    Decision,
    RotationRequest,
    classify,
    decide,
    explain,
)
from .external_stores import (
    ABSENT,
    Settings,
    StoreSnapshot,
    is_write_needed,
    key_in_store,
    require_key_of,
    values_in_store,
)
from .record import (
    ABORTING,
    ANOTHER,
    DELETING,
    DISABLED,
    DISABLING,
    EXTERNAL,
    GRACE,
    IDLE,
    ISSUED,
    MIXED,
    NEW,
    OLD,
    OTHER,
    OWN,
    PREPARING,
    ROLLING_BACK,
    CredentialSnapshot,
    KeyGeneration,
    RotationRecord,
    StoredGeneration,
    Values,
)

ATTEMPTS = 4
_ANY = (OLD, NEW, MIXED, OTHER)
# What an external store may contain when a key is taken away.
_IN_STORES: Mapping[str, t.Sequence[str]] = {DISABLING: (NEW,), DELETING: (NEW,), ROLLING_BACK: (OLD, ABSENT)}
_TRANSITIONS = 20  # kept in a record
_PAST = 5          # digests of retired keys kept in a record

# Seconds after which a request that a dead process had sent has arrived.
_IN_FLIGHT = 5

# How to continue if the key in the credentials does not work
_RETURN_REMEDY = "Enable the old key again and run the task again, or continue with the new key with state: rotated."
_START_REMEDY = "Write a working key to the credential, and run the task again."


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

    def store_generation(
        self, name: str, record: RotationRecord, epoch: int, values: Values, key_id: str | None = None,
        expires_at: Time | None = None,
    ) -> StoredGeneration:
        """Store the values of a key once, and its id; an existing generation of this name is returned as it is."""

    def list_generations(self, record: RotationRecord) -> list[StoredGeneration]:
        """List the stored generations of the record."""

    def delete_record(self, stored_record: t.Any) -> None:
        """Delete the record. Raises Conflict."""

    def delete_generation(self, generation: StoredGeneration) -> None:
        """Delete a stored generation; a missing one is no error."""

    def evaluate_gates(self, record: RotationRecord) -> t.Sequence[str]:
        """Return the reasons why the old key must not be retired yet."""

    def gate_states(self) -> Mapping[str, str]:
        """Return the states that evaluate_gates() found."""

    def lead_credential(self, credential: CredentialSnapshot, lead: bool) -> CredentialSnapshot:
        """Write to a credential that this Rancher rotates its key, or remove what was written. Raises Conflict."""

    def read_store(self, settings: Settings, of_another: bool = False) -> StoreSnapshot:
        """Read an external store.

        Raises IssuerError, and RanchhandError (``conflict``) if another Rancher rotates its key, unless ``of_another``.
        """

    def claim_store(self, settings: Settings, snapshot: StoreSnapshot) -> None:
        """Write to a credential of another Rancher that this one rotates its key. Raises IssuerError or StoreChanged.
        """

    def write_store(self, settings: Settings, snapshot: StoreSnapshot, what: str, by: Values) -> None:
        """Write the key in ``by`` to an external store, instead of what was read. ``what`` identifies this write.

        Raises IssuerError or StoreChanged.
        """

    def refresh(self) -> None:
        """Request the tool that writes the credentials to read its store now, if that is possible."""

    def identify(self, values: Values, by: Values) -> str | None:
        ...

    def keys(self, by: Values) -> list[Key]:
        ...

    def issue(self, by: Values, mark: str) -> IssuedKey:
        ...

    def activate(self, values: Values, by: Values) -> None:
        ...

    def verify(self, values: Values, by: Values) -> None:
        ...

    def disable(self, key_id: str, by: Values) -> None:
        ...

    def enable(self, key_id: str, by: Values) -> None:
        ...

    def delete(self, key_id: str, by: Values) -> None:
        ...


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
        self.in_doubt = False   # a request may still be performed
        self.listed: list[Key] = []  # the keys that the provider listed last
        self.kept: list[StoredGeneration] = []  # the stored generations when they were listed last
        self.refusals: dict[tuple[tuple[str, str], ...], list[IssuerError]] = {}  # by the value that was refused

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
        issuer = self.issuer
        return issuer.disables and not issuer.replaces_current and not issuer.old_key_ends_at_cutover

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
                outcome = yield from self._execute(decision, snapshot)
            except Conflict:
                continue
            except (RanchhandError, IssuerError):
                # If the provider did not answer, what was requested may still happen: the token is kept, so that the
                # next run waits.
                if self.token_written and not self.in_doubt:
                    yield from self._release(failures=self.record.failures + 1)
                raise
            if outcome is not None:
                return outcome
        if self._has_other_token(snapshot.credentials):
            raise RanchhandError("busy", (
                f"another run has taken over the rotation of {self.blank.names}. Run the task again when it has "
                "ended."))
        raise RanchhandError("conflict", (
            f"another client changed {self.blank.names}, or the record {self.blank.name}, several times during the "
            "run. Run the task again."))

    def _execute(self, decision: Decision, snapshot: Snapshot) -> Steps[Outcome | None]:
        """Run a step, under this run's token. None means that the next step is to be decided."""
        before = (snapshot.record or self.blank).with_stores(self.request.external_stores)
        credentials = before.present(snapshot.credentials)
        self.stored_record = snapshot.stored_record
        timed = before
        if not before.old_key_ends_at_cutover:
            timed = before.with_times(self.request.grace, self.request.soak)
        if decision.gated and decision.step not in (VERIFY.step, HAND_OVER.step):
            waiting: t.Sequence[str] = yield Call("evaluate_gates", (timed,))
            if waiting:
                return Outcome(before, tuple(self.steps), tuple(waiting))
        key_ids: tuple[str, ...] = ()
        current: str | None = None
        starting = decision.step == START.step
        if starting:
            key_ids, current = yield from self._preflight_of(snapshot, credentials)
        self.took_over |= self._has_other_token(credentials) or before.owner not in ("", self.request.token)
        former_run_ended: bool = yield Call("take_lease")
        self.token_written = True
        written = []
        for credential in credentials:
            written.append((yield Call("write_credential", (credential, self.request.token, None))))
        self.credentials = tuple(written)
        now: Time = yield Call("now")
        if starting:
            yield from self._write_record(self._started(before, key_ids, current, now), "started")
        else:
            yield from self._write_record(replace(timed, epoch=before.epoch + 1, owner=self.request.token), None)
        if self.took_over:  # perhaps in an earlier attempt
            yield Call("sleep", (min(self.request.drain, _IN_FLIGHT) if former_run_ended else self.request.drain,))
            self.took_over = False
        step: t.Callable[[], Steps[Outcome | None]] = getattr(self, decision.step)
        return (yield from step())

    def _preflight_of(
        self, snapshot: Snapshot, credentials: tuple[CredentialSnapshot, ...]
    ) -> Steps[tuple[tuple[str, ...], str | None]]:
        try:
            return (yield from self.preflight(credentials))
        except RanchhandError:
            again: Snapshot = yield Call("read_snapshot")
            if (
                again.stored_record != snapshot.stored_record
            ):  # another run has just started: its new key may be the reason
                raise Conflict from None
            raise

    def preflight(self, credentials: tuple[CredentialSnapshot, ...]) -> Steps[tuple[tuple[str, ...], str | None]]:
        """Check that the current key works and that another one can be issued.

        Returns the ids of all keys, and of the current one if it is known.
        """
        by = credentials[0].values
        checks.credentials_agree(self.blank, credentials)
        if self.issuer.old_key_ends_at_cutover:
            checks.key_is_not_shared(self.blank, credentials)
        checks.value_is_another(self.blank, self.issuer.next_values(), credentials)
        yield Call("preflight", (credentials,))
        keys = yield from self._list_keys(by)
        current = self._key_in(credentials[0], self.blank) or self.request.current_key_id
        if current is None:
            current = yield from self._identify(credentials[0])
        if not self.issuer.lists:
            return (), current
        self._check_key(keys, current, _START_REMEDY)
        self._check_limit(keys, current)
        return tuple(sorted(key.id for key in keys)), current

    def _identify(self, credential: CredentialSnapshot) -> Steps[str | None]:
        """Return the id of a key that no rotation issued; None if it is unknown or ambiguous."""
        values = {name: credential.values.get(name, "") for name in self.blank.fields}
        found: str | None = yield from self._repeat("identify", values, credential.values)
        return found

    def _check_limit(self, keys: t.Sequence[Key], current: str | None) -> None:
        limit = self.issuer.limit
        if limit is not None and len(keys) >= limit and not self.issuer.replaces_current:
            others = ", ".join(sorted(key.id for key in keys if key.id != current))
            raise RanchhandError(
                "slot_taken",
                (
                    f"no new key can be issued for {self.blank.names}: {len(keys)} of {limit} keys exist. Delete "
                    f"{others} if nothing uses it."
                ),
            )

    def _started(
        self, before: RotationRecord, key_ids: tuple[str, ...], current_id: str | None, now: Time
    ) -> RotationRecord:
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
            issuer_options=self.blank.issuer_options,
            issuer_secrets_name=self.blank.issuer_secrets_name,
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
            issuing_mark=None,
            issued_at=None,
            cutover_at=None,
            verified_at=None,
            handed_over_at=None,
            disabled_at=None,
            expires_at=None,
            activating_at=None,
            old_key_ends_at_cutover=self.issuer.old_key_ends_at_cutover,
            cutover=request.cutover or before.cutover,
        )
        if self.issuer.old_key_ends_at_cutover:
            started = started.with_times(0, 0)
        current = before.current
        version = current.version if current and dict(current.digests) == digests else f"{started.prefix}-old"
        return replace(started, old=KeyGeneration(current_id, version, digests))

    def _write_record(self, record: RotationRecord, what: str | None) -> Steps[None]:
        """Write the record; ``what`` describes a transition, None if there is none."""
        if what is not None:
            now: Time = yield Call("now")
            entry = {"at": format_time(now), "phase": record.phase, "what": what, "run": self.request.token[:8]}
            record = replace(record, failures=0, transitions=(*record.transitions, entry)[-_TRANSITIONS:])
        self.stored_record = yield Call("write_record", (record, self.stored_record))
        if what is not None:
            self.steps.append(record.phase)
        self.record = record

    def _confirm(self, *allowed: str, without: str = "") -> Steps[Values]:
        """Read the credentials and the record right before a call to the provider.

        Returns the fields to sign in with. ``without`` is the key that is taken away, which no credential may contain.
        Raises Conflict if another run has taken over, or another client has changed the record or a credential.
        """
        snapshot: Snapshot = yield Call("read_snapshot")
        present = self.record.present(snapshot.credentials)
        if not checks.is_record_of_run(self.record, snapshot.record) or self.credentials and not present:
            raise Conflict
        for credential in present:
            if not checks.has_token(credential, self.request.token):
                raise Conflict
            if not checks.contains_key(self.record, credential, allowed):
                raise Conflict
            if credential.leader == ANOTHER:
                raise Conflict
            if not checks.is_unchanged(self.record, self.credentials, credential):
                raise Conflict
        if without and self.issuer.lists:
            existing = [credential for credential in snapshot.credentials if credential is not None]
            checks.key_is_not_in_use(self.record, existing, without, self.issuer, self.kept)
        self.credentials = present
        return present[0].values if present else {}

    def _release(self, **changes: t.Any) -> Steps[None]:
        """Remove the token, as no call is in progress any more. Changes by other clients are kept."""
        try:
            snapshot: Snapshot = yield Call("read_snapshot")
            yield from self._remove_tokens(snapshot)
            if snapshot.record is not None and snapshot.record.owner == self.request.token:
                record = replace(snapshot.record, owner="", **changes)
                yield Call("write_record", (record, snapshot.stored_record))
        except (Conflict, RanchhandError):
            pass

    def _remove_tokens(self, snapshot: Snapshot) -> Steps[None]:
        for credential in snapshot.credentials:
            if credential is not None and credential.token == self.request.token:
                yield Call("write_credential", (credential, None, None))

    def _end(self, **changes: t.Any) -> Steps[Outcome]:
        yield from self._release(**changes)
        return Outcome(replace(self.record, owner="", **changes), tuple(self.steps))

    def _id_of(self, generation: StoredGeneration) -> str | None:
        """Return the provider's id of a stored key: the one that was stored with it, if any."""
        return generation.key_id or self.issuer.key_id(generation.values)

    def _key_in(self, credential: CredentialSnapshot, record: RotationRecord | None = None) -> str | None:
        """Return the id of the key in a credential; None if it is unknown."""
        return checks.key_id_of(record or self.record, credential, self.issuer, self.kept)

    def _all_contain(self, key: str) -> bool:
        return all(self.record.key_in(credential) == key for credential in self.credentials)

    # requests to the provider

    def _repeat(self, name: str, *arguments: t.Any, codes: t.Collection[str] = ("busy",)) -> Steps[t.Any]:
        """Make a call that changes nothing, again after errors with these codes, until the time is over."""
        waited = 0.0
        while True:
            try:
                if name == "verify":
                    return (yield from self._attempt(*arguments))
                return (yield Call(name, arguments))
            except IssuerError as error:
                spent = name == "verify" and error.code == "refused" and self._is_spent(arguments[0])
                pause = self._next_pause(waited)
                if error.code not in codes or spent or not pause:
                    raise
            yield Call("sleep", (pause,))
            waited += pause

    def _next_pause(self, waited: float) -> float:
        """Return the seconds to wait before another attempt, after ``waited`` in all; 0 if the time is over."""
        pause = min(waited + 1, 10.0)
        return pause if waited + pause <= self.request.verify_timeout else 0.0

    def _attempt(self, values: Values, by: Values) -> Steps[None]:
        """Sign in once, unless this value was refused as often as may be tried: more failures may lock an account."""
        if self._is_spent(values):
            raise self.refusals[tuple(sorted(values.items()))][-1]
        try:
            yield Call("verify", (values, by))
        except IssuerError as error:
            if error.code == "refused":
                self.refusals.setdefault(tuple(sorted(values.items())), []).append(error)
            raise

    def _is_spent(self, values: Values) -> bool:
        attempts = self.issuer.verify_attempts
        return attempts is not None and len(self.refusals.get(tuple(sorted(values.items())), ())) >= attempts

    def _list_keys(self, by: Values) -> Steps[list[Key]]:
        """List the keys of the principal; none if the issuer cannot list them."""
        if not self.issuer.lists:
            return []
        self.listed = t.cast("list[Key]", (yield from self._repeat("keys", by)))
        return self.listed

    def _verify(self, values: Values, by: Values | None = None) -> Steps[None]:
        """Sign in with a key until it works or the time is over: a new key does not work everywhere at once.

        A refused value is not tried again where this could lock the account.
        """
        by = self.credentials[0].values if by is None else by
        codes = ("busy", "refused") if self.issuer.verify_attempts is None else ("busy",)
        yield from self._repeat("verify", values, by, codes=codes)

    def _check_live(self, keys: t.Sequence[Key], credential: CredentialSnapshot, remedy: str) -> None:
        self._check_key(keys, self._key_in(credential), remedy)

    def _check_key(self, keys: t.Sequence[Key], key_id: str | None, remedy: str) -> None:
        """Check that a key in use is listed and enabled; one whose id is unknown is not found there."""
        if self.issuer.lists and key_id is not None:
            checks.live_key_is_listed(self.record, keys, key_id, remedy)
            checks.live_key_is_enabled(self.record, keys, key_id, remedy)

    def _sign_in(self, credential: CredentialSnapshot, remedy: str) -> Steps[None]:
        """Prove that the key in a credential signs in."""
        values = checks.rotating_values(self.record, credential)
        try:
            yield from self._repeat("verify", values, credential.values)
        except IssuerError as error:
            if error.code in ("unreachable", "busy"):
                raise
            raise RanchhandError("unproven", (
                f"the key in {credential.id} does not work: {error.message}. {remedy}")) from None

    def _prove(self, remedy: str) -> Steps[list[Key]]:
        """Prove that the key in each credential works; returns the keys that the provider lists for the first one."""
        listed: list[list[Key]] = []
        proven: list[Values] = []
        for credential in self.credentials:
            values = checks.rotating_values(self.record, credential)
            if values not in proven:
                proven.append(values)
                yield from self._sign_in(credential, remedy)
                listed.append((yield from self._list_keys(credential.values)))
                self._check_live(listed[-1], credential, remedy)
        return listed[0] if listed else []

    def _request(
        self, name: str, *arguments: t.Any, allowed: t.Sequence[str], without: str = "", more: tuple[str, ...] = (),
        signer: Values | None = None,
    ) -> Steps[t.Any]:
        """Make a call that changes something, right after the credentials were read, which it is signed with.

        ``signer`` are other fields to sign in with, ``more`` the arguments after them. The call is repeated if the
        provider was too busy to perform it.
        """
        waited = 0.0
        while True:
            if without:
                yield from self._check_stores()
            by = yield from self._confirm(*allowed, without=without)
            try:
                return (yield Call(name, (*arguments, by if signer is None else signer, *more)))
            except IssuerError as error:
                self.in_doubt = error.code == "unreachable"
                pause = self._next_pause(waited)
                if error.code != "busy" or not pause:
                    raise
            yield Call("sleep", (pause,))
            waited += pause

    def _confirm_effect(
        self, key_id: str, is_done: t.Callable[[t.Sequence[Key], str], bool], allowed: t.Sequence[str], remedy: str
    ) -> Steps[None]:
        """List the keys until the provider shows what was done to one, and prove that the others still work.

        If the key in use has been disabled meanwhile, the key that was disabled is enabled again.
        """
        if not self.issuer.lists:
            return
        waited = 0.0
        while True:
            keys = yield from self._list_keys(self.credentials[0].values)
            try:
                self._check_live(keys, self.credentials[0], remedy)
            except RanchhandError:
                # A list may lack disabled keys, as it lacks deleted ones.
                is_disabled = is_done is checks.is_disabled and not self._is_gone(key_id, keys)
                if self.issuer.disables and (is_disabled or checks.find_key(keys, key_id)):
                    yield from self._undo(key_id, allowed)
                raise
            if is_done(keys, key_id):
                return
            pause = self._next_pause(waited)
            if not pause:
                raise RanchhandError("unproven", (
                    f"the provider was requested to disable or delete the key {key_id} of {self.record.names}, but "
                    "still lists it unchanged. Run the task again."))
            yield Call("sleep", (pause,))
            waited += pause

    def _undo(self, key_id: str, allowed: t.Sequence[str]) -> Steps[None]:
        """Enable a key that was disabled, because the key in use does not work any more."""
        try:
            yield from self._request("enable", key_id, allowed=allowed)
        except IssuerError as error:
            raise RanchhandError("unproven", (
                f"another client disabled the key in {self.record.names} while the rotation disabled the key {key_id}, "
                f"which cannot be enabled again: {error.message}. Enable one of them at the provider.")) from None

    def _is_gone(self, key_id: str, keys: t.Sequence[Key]) -> bool:
        """Whether the provider, which lists the keys of the right principal, has no such key any more."""
        return self.issuer.lists and self.issuer.can_list(key_id) and checks.is_deleted(keys, key_id)

    def _disable(self, key_id: str | None, keys: t.Sequence[Key], allowed: t.Sequence[str], remedy: str) -> Steps[None]:
        """Disable a key, after _prove() has listed the keys."""
        if key_id is None or self._is_gone(key_id, keys):
            yield from self._confirm(*allowed, without=key_id or "")
            return
        yield from self._request("disable", key_id, allowed=allowed, without=key_id)
        yield from self._confirm_effect(key_id, checks.is_disabled, allowed, remedy)

    def _delete(self, key_id: str | None, keys: t.Sequence[Key], allowed: t.Sequence[str], remedy: str) -> Steps[None]:
        """Delete a key, after _prove() has listed the keys.

        The gate old_key_identity lets an old key with an unknown id pass only if it was removed by hand.
        """
        if key_id is None or self._is_gone(key_id, keys):
            yield from self._confirm(*allowed, without=key_id or "")
            return
        yield from self._request("delete", key_id, allowed=allowed, without=key_id)
        yield from self._confirm_effect(key_id, checks.is_deleted, allowed, remedy)

    def _remove(self, key_id: str, keys: t.Sequence[Key], allowed: t.Sequence[str], remedy: str) -> Steps[None]:
        """Delete a key that may still be enabled: it is disabled before, because that can be undone."""
        key = checks.find_key(keys, key_id)
        if self.can_disable and key is not None and key.enabled:
            yield from self._disable(key_id, keys, allowed, remedy)
        yield from self._delete(key_id, keys, allowed, remedy)

    # issue

    def _start(self) -> Steps[Outcome | None]:
        return (yield from self._issue_and_cut_over())

    def _issue_and_cut_over(self) -> Steps[Outcome | None]:
        record = self.record
        by = self.credentials[0].values
        values = {name: by.get(name, "") for name in record.fields}
        old: StoredGeneration = yield Call(
            "store_generation", (record.old_key.version, record, 0, values, record.old_key.key))
        if dict(old.digests) != dict(record.old_key.digests):
            raise RanchhandError(
                "conflict",
                (
                    f"Secret {record.old_key.version} contains another value than {record.names}, so the old key "
                    "cannot be restored from it. "
                    "Delete the Secret if it is not needed."
                ),
            )
        attempts = yield from self._new_generations()
        if self._is_unanswered(attempts):
            yield from self._wait_for_propagation(record.issuing_at)
        keys = yield from self._list_keys(by)
        self._check_live(keys, self.credentials[0], _START_REMEDY)
        requested = self.issuer.next_values()
        checks.value_is_another(record, requested, self.credentials)
        generation = next((
            attempt for attempt in sorted(attempts, key=lambda attempt: -attempt.epoch)
            if checks.is_value_requested(requested, attempt.values)
            and self._is_usable(attempt, keys)), None)
        if generation is None:
            orphans = self._find_orphans(keys, attempts)
            self._check_limit([key for key in keys if key not in orphans], record.old_key.key)
            for key in orphans:
                yield from self._remove(key.id, keys, (OLD,), _START_REMEDY)
            yield from self._claim_stores()
            generation = yield from self._issue(keys)
        now: Time = yield Call("now")
        new = KeyGeneration(self._id_of(generation), generation.name, generation.digests)
        if dict(new.digests) == dict(record.old_key.digests):
            raise RanchhandError("invalid", f"the new value for {record.names} is the old one. Supply another value.")
        issued = replace(
            self.record,
            phase=ISSUED,
            new=new,
            issuing_at=None,
            issued_at=now,
            expires_at=generation.expires_at or self.issuer.expires_at(generation.values),
        )
        yield from self._write_record(issued, f"issued {new.name}")
        return (yield from self._cut_over())

    def _is_usable(self, attempt: StoredGeneration, keys: t.Sequence[Key]) -> bool:
        """Whether the key of an earlier attempt is enabled, or may be made valid now."""
        key = checks.find_key(keys, self._id_of(attempt))
        if not self.issuer.lists or key is None:
            return not self.issuer.lists or self.issuer.generates_locally
        return key.enabled

    def _is_unanswered(self, attempts: t.Sequence[StoredGeneration]) -> bool:
        """Whether a key may exist whose secret was lost; never if its value is kept before the provider knows it."""
        return not self.issuer.generates_locally and checks.is_request_unanswered(self.record, attempts)

    def _list_generations(self) -> Steps[list[StoredGeneration]]:
        self.kept = t.cast("list[StoredGeneration]", (yield Call("list_generations", (self.record,))))
        return self.kept

    def _new_generations(self) -> Steps[list[StoredGeneration]]:
        """List the generations that attempts of this rotation stored."""
        record = self.record
        generations = yield from self._list_generations()
        return [
            each for each in generations
            if checks.was_issued(each) and each.name.startswith(record.prefix)
            and (record.old is None or each.name != record.old.version)
        ]

    def _issue(self, keys: t.Sequence[Key]) -> Steps[StoredGeneration]:
        before = self.record
        now: Time = yield Call("now")
        snapshot = tuple(sorted({*before.snapshot, *(key.id for key in keys)}))
        mark = checks.mark_of(before, before.epoch)
        requested = replace(before, snapshot=snapshot, issuing_at=now, issuing_epoch=before.epoch)
        yield from self._write_record(replace(requested, issuing_mark=mark if self.issuer.marks else None), None)
        try:
            issued: IssuedKey = yield from self._request(
                "issue", allowed=(OLD,), more=(mark,))
        except (IssuerError, Conflict):
            if not self.in_doubt:
                yield from self._write_record(self._refused(before), None)
            raise
        record = self.record
        if set(issued.values) != set(record.fields):
            raise RanchhandError("invalid", (
                f"the rotation of {record.names} replaces {', '.join(record.fields)}, but the new value has "
                f"{', '.join(sorted(issued.values))}. Supply these fields, or end the rotation with state: aborted."))
        stored: StoredGeneration = yield Call("store_generation", (
            f"{record.prefix}-e{record.epoch}", record, record.epoch, issued.values, issued.key_id, issued.expires_at,
        ))
        return stored

    def _refused(self, before: RotationRecord) -> RotationRecord:
        """Return the record after a refusal: nothing was issued, so a key that appears later belongs to others."""
        return replace(
            self.record, issuing_at=before.issuing_at, issuing_epoch=before.issuing_epoch,
            issuing_mark=before.issuing_mark)

    def _find_orphans(self, keys: t.Sequence[Key], attempts: t.Sequence[StoredGeneration]) -> list[Key]:
        """Return the keys of this rotation that cannot be used: their secret was lost, or they were disabled.

        Raises RanchhandError (``orphan``) if it cannot be proven that a key is one of them.
        """
        record = self.record
        stored = {self._id_of(attempt) for attempt in attempts} if self.issuer.lists else set()
        others = [key for key in keys if record.old is None or key.id != record.old.key]
        found = [key for key in others if key.id in stored]
        if self.issuer.marks:
            found += self._find_marked([key for key in others if key.id not in stored])
        if not self._is_unanswered(attempts) or record.issuing_mark:
            return found
        unknown = [key for key in others if not checks.existed_before(record, key) and key not in found]
        for key in unknown:
            if (
                not self.request.delete_orphans
                or not self.issuer.reports_last_use
                or key.created_at is None
                or checks.is_foreign(record, key)
                or not checks.is_only_candidate(unknown)
            ):
                raise RanchhandError("orphan", (
                    f"the key {key.id} was created since the rotation of {record.names} began, but there is no proof "
                    "that this rotation issued it. Delete it if nothing uses it, and run the task again."))
        return found + unknown

    def _find_marked(self, keys: t.Sequence[Key]) -> list[Key]:
        """Return the keys that have a mark of this rotation, and whose secret was lost: no proof of time is needed."""
        lost = [key for key in keys if checks.has_mark(self.record, key)]
        if lost and not self.request.delete_orphans:
            raise RanchhandError("orphan", (
                f"the key {lost[0].id} was issued by the rotation of {self.record.names}, but its secret was lost. "
                "Delete it at the provider, and run the task again."))
        return lost

    # cut over

    def _cut_over(self) -> Steps[Outcome | None]:
        record = self.record
        if self.request.pause and self._all_contain(OLD):
            return (yield from self._end())._replace(waiting=(PAUSED.message,))
        generations = yield from self._list_generations()
        new = self._values_of(record.new_key, generations, "state: aborted ends the rotation.")
        if not checks.is_value_requested(self.issuer.next_values(), new):
            return (yield from self._replace_supplied())
        yield from self._wait_for_propagation(record.issued_at)
        try:
            if self.issuer.generates_locally:
                yield from self._activate_new_value(new)
            yield from self._prove_value(record.new_key, new)
        except IssuerError as error:
            if error.code in ("unreachable", "busy"):
                raise
            message = f"the new key {record.new_key.name} of {record.names} does not work: {error.message}."
            if not self._all_contain(OLD):
                message += "" if record.old_key_ends_at_cutover else " state: rolled_back returns to the old key."
            elif self.request.rollback:
                message += yield from self._try(
                    self._abort(), "The rotation was aborted; the old key is still in use."
                )
            raise RanchhandError("verify_failed", message) from None
        yield from self._write_values(new, NEW)
        now: Time = yield Call("now")
        yield from self._write_record(
            replace(self.record, phase=GRACE, cutover_at=now, verified_at=None), f"cut over to {record.new_key.name}"
        )
        verified_at = yield from self._verify_credentials()
        yield from self._write_new_to_stores(verified_at=verified_at)
        return (yield from self._end(verified_at=verified_at))

    def _replace_supplied(self) -> Steps[Outcome | None]:
        """Return to the issue of a key, because this run supplies another value than the one that is kept."""
        record = self.record
        if not self._all_contain(OLD):
            raise RanchhandError("invalid", (
                f"{record.names} contains the value that an earlier run supplied. Supply this value again to finish "
                "the cutover, or return to the old key with state: rolled_back."))
        yield from self._write_record(replace(record, phase=PREPARING, new=None, issued_at=None, expires_at=None), None)
        return (yield from self._issue_and_cut_over())

    def _keep(self, key: KeyGeneration, generations: t.Sequence[StoredGeneration]) -> Steps[None]:
        record = self.record
        for credential in self.credentials:
            values = checks.rotating_values(record, credential)
            same = {name: credential.digests.get(name) for name in record.fields} == dict(key.digests)
            if same and all(generation.name != key.version for generation in generations):
                yield from self._confirm(*_ANY)  # else a run that has taken over may have deleted it just now
                yield Call("store_generation", (key.version, record, record.epoch, values))
                return

    def _prove_value(self, key: KeyGeneration, values: Values) -> Steps[None]:
        """Prove that the value of a key works before it is written: it signs in, and is enabled in its own list.

        Raises IssuerError.
        """
        by = self.credentials[0].values
        try:
            yield from self._verify(values, by)
        except IssuerError as error:
            if error.code in ("unreachable", "busy") or (yield from self._live_signs_in()):
                raise
            yield from self._verify(values, {**by, **values})  # without the principal of a key that does not work
        try:
            keys = yield from self._list_keys({**by, **values})
            self._check_listed_value(keys, key)
        except RanchhandError as error:
            raise IssuerError("invalid", error.message.rstrip(". ")) from None

    def _live_signs_in(self) -> Steps[bool]:
        credential = self.credentials[0]
        try:
            yield from self._repeat("verify", checks.rotating_values(self.record, credential), credential.values)
        except IssuerError as error:
            if error.code in ("unreachable", "busy"):
                raise
            return False
        return True

    def _check_listed_value(self, keys: t.Sequence[Key], key: KeyGeneration) -> None:
        self._check_key(keys, key.key, "")

    def _wait_for_propagation(self, since: Time | None) -> Steps[None]:
        now: Time = yield Call("now")
        rest = self.issuer.propagation - max((now - (since or now)).total_seconds(), 0.0)
        if rest > 0:
            yield Call("sleep", (rest,))

    def _write_values(self, values: Values, key: str) -> Steps[None]:
        """Write the values of a key to each credential that does not contain it; what is overwritten is kept."""
        record, credentials = self.record, []
        if not self._all_contain(key):
            generations = yield from self._list_generations()
            for overwritten in (record.old, record.new):
                if overwritten:
                    yield from self._keep(overwritten, generations)
        if record.cutover == EXTERNAL:
            yield from self._write_source(values, key)
            return
        for credential in self.credentials:
            if record.key_in(credential) != key:
                credential = yield Call("write_credential", (credential, self.request.token, values))
            credentials.append(credential)
        self.credentials = tuple(credentials)

    def _write_source(self, values: Values, key: str) -> Steps[None]:
        """Write a key to the store from which another tool writes the credentials, and wait until they contain it.

        A new key that does not arrive is taken back from the store, as the credentials contain the old one. Where a
        credential contained the key before, the tool may still write another one that it has read before.
        """
        record = self.record
        is_settled = all(record.key_in(credential) != key for credential in self.credentials)
        yield from self._write_stores(key, values)
        if not self._all_contain(key):
            yield Call("refresh")
        arrived: bool = yield from self._wait_for_arrival(key)
        if arrived and not is_settled:
            yield Call("sleep", (self.request.drain,))
            arrived = yield from self._wait_for_arrival(key)
        if arrived:
            return
        message = (
            f"external store {record.external_stores[0]['name']} contains the {key} key, but the tool that writes "
            f"{record.names} from it did not write this key within {self.request.verify_timeout} seconds.")
        if record.phase == ISSUED:
            old = yield from self._stored_values(record.old_key, "")
            yield from self._write_stores(OLD, old)
            message += " The old key is in the store again."
        raise RanchhandError("unconfirmed", f"{message} Correct the tool, and run the task again.")

    def _wait_for_arrival(self, key: str) -> Steps[bool]:
        """Read the credentials until all contain a key or the time is over."""
        waited, before = 0.0, self.credentials
        while True:
            snapshot: Snapshot = yield Call("read_snapshot")
            present = self.record.present(snapshot.credentials)
            if not present:
                raise Conflict
            for credential in present:
                arrived = checks.contains_key(self.record, credential, (key,))
                if not arrived and not checks.is_unchanged(self.record, before, credential):
                    raise Conflict
            self.credentials = present
            if self._all_contain(key):
                return True
            pause = self._next_pause(waited)
            if not pause:
                return False
            yield Call("sleep", (pause,))
            waited += pause

    def _verify_cutover(self) -> Steps[None]:
        """Do what the run that cut over did not: verify the credentials."""
        verified_at = yield from self._verify_credentials()
        yield from self._release(verified_at=verified_at)

    def _verify_credentials(self) -> Steps[Time]:
        """Verify what the credentials contain now; roll back if it does not work. Returns the time."""
        record = self.record
        try:
            yield from self._confirm(NEW)
            for credential in self.credentials:
                yield from self._verify(checks.rotating_values(record, credential), credential.values)
        except IssuerError as error:
            if error.code in ("unreachable", "busy"):
                raise
            message = (
                f"the new key {record.new_key.name} of {record.names} did not work after the cutover: {error.message}."
            )
            if record.old_key_ends_at_cutover:
                message += " The old key ended at the cutover, so the new key is kept."
            elif self.request.rollback:
                message += yield from self._try(
                    self._roll_back(), "The rotation was rolled back; the old key is in use again."
                )
            raise RanchhandError("verify_failed", message) from None
        now: Time = yield Call("now")
        return now

    @staticmethod
    def _try(way_back: Steps[Outcome], done: str) -> Steps[str]:
        """Return to the old key after the new one failed, and describe the result."""
        try:
            yield from way_back
        except RanchhandError as error:
            if error.code not in ("unproven", "old_unusable"):
                raise
            return f" It was not possible to return to the old key: {error.message}"
        return f" {done}"

    def _hand_over(self) -> Steps[Outcome | None]:
        """Do what the run that cut over did not: write the new key to the external stores."""
        yield from self._write_new_to_stores()
        outcome = yield from self._end()
        return outcome if self.request.repair else None  # a repair would be decided on again

    def _write_new_to_stores(self, **changes: t.Any) -> Steps[None]:
        """Write the new key to the external stores, and to the record that they contain it."""
        if self.record.external_stores and not self.request.skip_stores:
            yield from self._write_stores(NEW, self.credentials[0].values)
            now: Time = yield Call("now")
            names = ", ".join(settings["name"] for settings in self.record.external_stores)
            yield from self._write_record(
                replace(self.record, handed_over_at=now, **changes), f"handed {self.record.new_key.key} to {names}"
            )
            if self.steps[-2:] == [self.record.phase] * 2:  # no other phase than that of the cutover
                self.steps.pop()

    def _write_stores(self, key: str, values: Values) -> Steps[None]:
        """Write a key to each external store that contains the other key of the record.

        All credentials contain the key already, unless another tool writes them from the store. Each store is read
        again after the write, and if another client has changed it meanwhile.
        """
        record = self.record
        is_source = record.cutover == EXTERNAL
        generation = record.new_key if key == NEW else record.old_key
        for settings in () if self.request.skip_stores and not is_source else record.external_stores:
            for _attempt in range(ATTEMPTS):
                snapshot: StoreSnapshot = yield from self._repeat("read_store", settings)
                if not is_write_needed(record, settings, snapshot.digests, key):
                    break
                try:
                    yield from self._request(
                        "write_store", settings, snapshot, generation.version,
                        allowed=_ANY if is_source else (key,), signer=values)
                except StoreChanged:
                    continue
            else:
                raise _store_changed(settings)

    def _claim_stores(self) -> Steps[None]:
        """Let the credentials of other Ranchers know who rotates their key, before another one exists."""
        for settings in () if self.request.skip_stores else self.record.external_stores:
            for _attempt in range(ATTEMPTS):
                snapshot: StoreSnapshot = yield from self._repeat("read_store", settings)
                require_key_of(self.record, settings, snapshot.digests)
                if snapshot.is_claimed:
                    break
                yield from self._confirm(*_ANY)
                try:
                    yield Call("claim_store", (settings, snapshot))
                except StoreChanged:
                    continue
            else:
                raise _store_changed(settings)

    def _check_leader(self) -> Steps[None]:
        """Raise RanchhandError (``conflict``) if another Rancher has taken over; unreadable stores pass."""
        for settings in () if self.request.skip_stores else self.record.external_stores:
            try:
                yield from self._repeat("read_store", settings)
            except IssuerError:
                continue

    def _check_stores(self) -> Steps[None]:
        """Prove right before a key is taken away that no external store contains another key than the one to keep."""
        allowed = _IN_STORES.get(self.record.phase, ())
        for settings in () if self.request.skip_stores or not allowed else self.record.external_stores:
            snapshot: StoreSnapshot = yield from self._repeat("read_store", settings)
            if key_in_store(self.record, snapshot.digests) not in allowed:
                raise RanchhandError("unproven", (
                    f"external store {settings['name']} was changed by another client, so no key of "
                    f"{self.record.names} was taken away. Run the task again."))

    def _activate(self, values: Values, by: Values) -> Steps[None]:
        """Make a value valid, unless it is. Until the cutover the credential contains another one."""
        try:
            yield from self._attempt(values, by)
        except IssuerError as error:
            if error.code != "refused":
                raise
            yield from self._request_activation(values, by)

    def _request_activation(self, values: Values, by: Values) -> Steps[None]:
        yield from self._request("activate", values, allowed=(OLD, NEW, MIXED), signer=by)
        self.refusals.pop(tuple(sorted(values.items())), None)

    def _activate_new_value(self, new: Values) -> Steps[None]:
        """Make the new value valid.

        Where accounts lock, no run signs in with a value before it may be valid.
        """
        by, record = self.credentials[0].values, self.record
        if self.issuer.replaces_current and self._may_be_valid(record.new_key.version):
            yield from self._activate(new, by)
            return
        if record.activating_at is None:
            now: Time = yield Call("now")
            yield from self._write_record(replace(record, activating_at=now), None)
        yield from self._request_activation(new, by)

    def _may_be_valid(self, version: str) -> bool:
        """Whether the value of a generation may be tried: without a bound of attempts, each one."""
        if not self.issuer.generates_locally or self.issuer.verify_attempts is None:
            return True
        record = self.record
        if record.new is None or record.new.version != version:
            return False
        return record.activating_at is not None or not self._all_contain(OLD)  # an older record may have been restored

    def _stored_values(self, key: KeyGeneration, way_on: str) -> Steps[dict[str, str]]:
        generations = yield from self._list_generations()
        return self._values_of(key, generations, way_on)

    def _values_of(
        self, key: KeyGeneration, generations: t.Sequence[StoredGeneration], way_on: str
    ) -> dict[str, str]:
        """Return the value of a key: kept, or in a credential that contains the key."""
        for generation in generations:
            if generation.name == key.version and dict(generation.digests) == dict(key.digests):
                return dict(generation.values)
        for credential in self.credentials:
            if {name: credential.digests.get(name) for name in self.record.fields} == dict(key.digests):
                return checks.rotating_values(self.record, credential)
        raise RanchhandError("conflict", (
            f"Secret {key.version}, which keeps the values of the key {key.name}, is missing or contains another "
            f"value. Restore it from a backup of the namespace. {way_on}"))

    def _rewrite_new_key(self) -> Steps[Outcome]:
        """Write the new key again where a backup or a form restored the old one."""
        record = self.record
        new = yield from self._stored_values(record.new_key, "state: adopted accepts the present key.")
        yield from self._write_proven(record.new_key, new, NEW)
        now: Time = yield Call("now")
        yield from self._write_record(replace(self.record, verified_at=now), f"wrote {record.new_key.name} again")
        return (yield from self._end())

    def _write_proven(self, key: KeyGeneration, values: Values, content: str) -> Steps[None]:
        try:
            yield from self._prove_value(key, values)
        except IssuerError as error:
            if error.code in ("unreachable", "busy"):
                raise
            raise RanchhandError("unproven", (
                f"the key {key.name} does not work, so it was not written to {self.record.names}: {error.message}. "
                "Enable it again and run the task again; otherwise write a working key to the credential, and accept "
                "it with state: adopted.")) from None
        yield from self._write_values(values, content)

    def _restore_current_key(self) -> Steps[Outcome]:
        """Write the current key again where a backup restored a retired one."""
        key = self.record.current_key
        current = yield from self._stored_values(key, "state: adopted accepts the restored key.")
        self.record = replace(self.record, new=key)  # what is to be written, for key_in()
        yield from self._write_proven(key, current, NEW)
        yield from self._write_record(replace(self.record, new=None), f"restored {key.name}")
        return (yield from self._end())

    # retire

    def _retire(self) -> Steps[Outcome]:
        record = self.record
        old = record.old_key
        if record.phase in (GRACE, DISABLED):
            gates: Mapping[str, str] = yield Call("gate_states")
            record = replace(record, gates=gates)
        keys = yield from self._prove(checks.retire_remedy(record))
        if record.phase == GRACE:
            if old.key is None and self.request.current_key_id and not self.request.old_key_removed:
                checks.names_old_key(record, keys, self.request.current_key_id)
                old = replace(old, key=self.request.current_key_id)
                record = replace(record, old=old)
            yield from self._write_record(
                replace(record, phase=DISABLING if self.can_disable else DELETING), f"retiring {old.name}"
            )
        elif record.phase != DISABLING and self.can_disable:
            checks.old_key_is_disabled(record, keys)
        if record.phase == DISABLED:
            yield from self._write_record(replace(record, phase=DELETING), f"deleting {old.name}")
        if self.record.phase == DISABLING:
            yield from self._disable(old.key, keys, (NEW,), checks.retire_remedy(self.record))
            now: Time = yield Call("now")
            yield from self._write_record(replace(self.record, phase=DISABLED, disabled_at=now), f"disabled {old.name}")
            return (yield from self._end())
        if not self.issuer.replaces_current:
            yield from self._delete(old.key, keys, (NEW,), checks.retire_remedy(self.record))
        return (yield from self._finish(
            record.new_key,
            NEW,
            f"retired {old.name}",
            past=(*record.past, old.digests)[-_PAST:],
            rotated_at=record.cutover_at,
            completed_id=record.rotation_id,
        ))

    def _finish(self, current: KeyGeneration, content: str, what: str, **changes: t.Any) -> Steps[Outcome]:
        """Delete the stored values of all other generations, and end the rotation."""
        yield from self._confirm(content)
        generations = yield from self._list_generations()
        yield from self._keep(current, generations)
        for generation in generations:
            if generation.name != current.version and not self._is_key_left(generation):
                yield Call("delete_generation", (generation,))
        for credential in self.credentials:
            yield Call("write_credential", (credential, None, None))
        finished = replace(
            self.record, phase=IDLE, owner="", current=current, old=None, new=None, snapshot=(), issuing_at=None)
        yield from self._write_record(replace(finished, **changes), what)
        return Outcome(self.record, tuple(self.steps))

    def _is_key_left(self, generation: StoredGeneration) -> bool:
        """Whether a key exists that a rotation issued whose record was lost; state forgotten deletes it."""
        if not self.issuer.lists or not checks.was_issued(generation):
            return False
        key_id = self._id_of(generation)
        return key_id is not None and not checks.is_deleted(self.listed, key_id)

    # return to the old key

    def _abort(self) -> Steps[Outcome]:
        record = self.record
        try:
            if self.issuer.replaces_current:
                yield from self._activate_old_value()
            keys = yield from self._prove(_RETURN_REMEDY)
        except RanchhandError:
            if record.phase == ABORTING:  # the new key may be the only one that works
                yield from self._step_back("the old key does not work")
            raise
        if record.phase != ABORTING:
            yield from self._write_record(replace(record, phase=ABORTING), "aborting")
        if record.cutover == EXTERNAL and record.new:  # an earlier run may have written the new key to the store
            yield from self._write_source(checks.rotating_values(record, self.credentials[0]), OLD)
        yield from self._remove_new_keys(keys)
        return (yield from self._finish(record.old_key, OLD, f"aborted to {record.old_key.name}"))

    def _activate_old_value(self) -> Steps[None]:
        """Make the only value of the principal the old one again."""
        record = self.record
        generations = yield from self._list_generations()
        stored = {generation.name: generation.values for generation in generations}
        if record.new and record.new.version in stored and self._may_be_valid(record.new.version):
            # without the kept new value, a former run has returned as far as this
            old = self._values_of(record.old_key, generations, "")
            yield from self._activate(old, {**self.credentials[0].values, **stored[record.new.version]})

    def _step_back(self, what: str) -> Steps[None]:
        """Return to the phase before the return to the old key, from which the new key can be used."""
        record = self.record
        phase = GRACE if record.cutover_at else ISSUED if record.new else PREPARING
        if record.phase != phase:
            yield from self._write_record(replace(record, phase=phase), what)

    def _roll_back(self) -> Steps[Outcome]:
        record = self.record
        yield from self._check_leader()
        try:
            old = yield from self._stored_values(record.old_key, "state: retired continues with the new key.")
        except RanchhandError:
            if record.phase in (ROLLING_BACK, ABORTING):
                yield from self._step_back("the kept old key is missing")
            raise
        if record.phase != ROLLING_BACK:
            yield from self._write_record(
                replace(record, phase=ROLLING_BACK), f"rolling back to {record.old_key.name}"
            )
        yield from self._recover_old_key(old)
        yield from self._write_values(old, OLD)
        keys = yield from self._prove(_RETURN_REMEDY)
        if record.new:
            yield from self._write_stores(OLD, old)
        yield from self._remove_new_keys(keys)
        return (yield from self._finish(record.old_key, OLD, f"rolled back to {record.old_key.name}"))

    def _recover_old_key(self, old: Values) -> Steps[None]:
        """Enable the old key and prove that it works, also if the credentials contain it already."""
        key = self.record.old_key
        try:
            if self.issuer.replaces_current:
                yield from self._activate_old_value()
            elif self.issuer.disables and key.key is not None:
                yield from self._enable(key.key, old)
            yield from self._prove_value(key, old)
        except IssuerError as error:
            if error.code in ("unreachable", "busy"):
                raise
            yield from self._step_back(f"{key.name} does not work")
            if error.code == "forbidden":
                raise
            raise RanchhandError(
                "old_unusable",
                (
                    f"the old key {key.name} of {self.record.names} does not work any more, so the new key is kept: "
                    f"{error.message}. If a credential contains the old key, write the new one again with repair: true "
                    "and state: rotated. Start another rotation if the new key must not be used."
                ),
            ) from None

    def _enable(self, key_id: str, values: Values) -> Steps[None]:
        """Enable a key, signed with a key that works: that of a credential, the kept new one, or the key itself."""
        by = yield from self._confirm(OLD, NEW, MIXED)
        generations = yield from self._list_generations()
        new = self.record.new
        kept: list[Values] = [{**by, **each.values} for each in generations if new and each.name == new.version]
        signers = [*(credential.values for credential in self.credentials), *kept, {**by, **values}]
        for number, signer in enumerate(signers, 1):
            yield from self._confirm(OLD, NEW, MIXED)
            try:
                yield Call("enable", (key_id, signer))
                return
            except IssuerError as error:
                self.in_doubt = error.code == "unreachable"
                if error.code in ("unreachable", "busy") or number == len(signers):
                    raise

    def _remove_new_keys(self, keys: t.Sequence[Key]) -> Steps[None]:
        """Delete all keys that this rotation issued, stored or lost, whether or not they are listed already."""
        record, issuer = self.record, self.issuer
        if issuer.replaces_current or not issuer.lists:
            return
        attempts = yield from self._new_generations()
        listed = {key.id for key in keys}
        unlisted = [
            each for each in attempts if self._id_of(each) not in listed and self._may_be_valid(each.name)]
        if unlisted or self._is_unanswered(attempts):  # a new key may be listed later
            yield from self._wait_for_propagation(record.activating_at or record.issued_at or record.issuing_at)
            keys = yield from self._list_keys(self.credentials[0].values)
            yield from self._check_unlisted(unlisted, keys)
        foreign = [key for key in keys if checks.is_foreign(record, key)]
        orphans = self._find_orphans([key for key in keys if key not in foreign], attempts)
        issued = {self._id_of(attempt) for attempt in attempts} | {key.id for key in orphans}
        if record.new and checks.was_issued(record.new):
            issued.add(record.new.key)
        for key_id in sorted(filter(None, issued - {record.old_key.key})):
            yield from self._remove(key_id, keys, (OLD,), _RETURN_REMEDY)

    def _check_unlisted(self, attempts: t.Sequence[StoredGeneration], keys: t.Sequence[Key]) -> Steps[None]:
        """Prove that keys that are not listed do not work, as the list may be of another moment or principal."""
        for attempt in attempts:
            key_id = self._id_of(attempt)
            if key_id is not None and checks.is_deleted(keys, key_id) and (yield from self._signs_in(attempt)):
                raise RanchhandError("unproven", (
                    f"the new key {key_id} of {self.record.names} works, but the provider does not list it, so it "
                    "cannot be deleted. Correct issuer_options, and run the task again."))

    def _signs_in(self, generation: StoredGeneration) -> Steps[bool]:
        try:
            yield from self._repeat("verify", generation.values, {**self.credentials[0].values, **generation.values})
        except IssuerError as error:
            if error.code in ("unreachable", "busy"):
                raise
            return False
        return True

    # another key than the rotation's

    def _adopt(self) -> Steps[Outcome]:
        """Accept the key in the credentials, and retire the key before it as usual."""
        record, issuer = self.record, self.issuer
        checks.credentials_agree(record, self.credentials)
        credential = self.credentials[0]
        values = checks.rotating_values(record, credential)
        digests = {name: credential.digests.get(name, "") for name in record.fields}
        yield from self._sign_in(credential, "Write a working key to it, and run the task again.")
        keys = yield from self._list_keys(credential.values)
        attempts = yield from self._new_generations()
        key_id = self._key_in(credential) or (yield from self._identify(credential))
        self._check_key(keys, key_id, "Write a working key to it, and run the task again.")
        adopted = KeyGeneration(key_id, f"{record.prefix}-a{record.epoch}", digests)
        former = yield from self._former_keys(adopted, keys, attempts)
        if issuer.lists and len(former) > 1:
            names = " and ".join(sorted(each.name for each in former))
            raise RanchhandError("unproven", (
                f"the keys {names}, which {record.names} contained before, exist at the provider, and only one can be "
                "retired. Delete the other one if nothing uses it, and run the task again."))
        yield from self._confirm(*_ANY)
        yield Call("store_generation", (adopted.version, record, record.epoch, values, adopted.key))
        now: Time = yield Call("now")
        others = (each for each in (record.old, record.new, record.current) if each and dict(each.digests) != digests)
        old = next(iter(former), None) or next(others, record.old or record.current)
        yield from self._write_record(
            replace(
                record,
                phase=GRACE,
                old=old,
                new=adopted,
                gates={},
                issuing_at=None,
                issued_at=now,
                cutover_at=now,
                verified_at=now,
                handed_over_at=None,
                disabled_at=None,
                expires_at=issuer.expires_at(values),
            ),
            f"adopted {adopted.name}",
        )
        return (yield from self._end())

    def _take_over(self) -> Steps[Outcome]:
        """Rotate the key here from now on, instead of in another Rancher, which may be lost.

        If other members contain another key, the other Rancher was replacing one by the other. The key in this one is
        kept.
        """
        checks.credentials_agree(self.record, self.credentials)
        yield from self._prove("Take over in a Rancher whose key works.")
        others: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
        found = []
        for settings in self.record.external_stores:
            snapshot: StoreSnapshot = yield from self._repeat("read_store", settings, True)
            found.append((settings, snapshot))
            others[tuple(sorted(snapshot.digests.items()))] = values_in_store(
                settings, self.record.fields, snapshot.content)
        led = []
        for credential in self.credentials:
            led.append((yield Call("lead_credential", (credential, True))))
        self.credentials = tuple(led)
        for settings, snapshot in found:
            yield from self._confirm(*_ANY)
            try:
                yield Call("claim_store", (settings, snapshot))
            except StoreChanged:
                raise Conflict from None
        if self.record.phase == IDLE:
            yield from self._continue_of_another(others)
        else:
            yield from self._write_record(self.record, "took over")
        return (yield from self._end())

    def _continue_of_another(self, found: Mapping[tuple[tuple[str, str], ...], Values]) -> Steps[None]:
        """Start a record with the key in use, and with the key that the other Rancher was replacing or issuing."""
        credential = self.credentials[0]
        key_id = self._key_in(credential) or (yield from self._identify(credential))
        now: Time = yield Call("now")
        record = self._started(self.record, (), key_id, now)
        current = record.old_key
        others = [(digests, values) for digests, values in found.items() if dict(digests) not in ({}, current.digests)]
        if len(others) > 1:
            raise RanchhandError("conflict", (
                f"the external stores contain {len(others)} other keys than {record.names}, and only one can be "
                f"retired. Write the key of {record.names} to the others, and run the task again."))
        yield Call("store_generation", (
            current.version, record, 0, checks.rotating_values(record, credential), current.key))
        if not others:
            yield from self._write_record(replace(record, phase=IDLE, old=None, current=current), "took over")
            return
        digests, values = others[0]
        other_id: str | None = yield from self._repeat("identify", values, credential.values)
        other = KeyGeneration(other_id, f"{record.prefix}-a{record.epoch}", dict(digests))
        yield Call("store_generation", (other.version, record, record.epoch, values, other.key))
        yield from self._write_record(
            replace(record, phase=GRACE, old=other, new=current, issued_at=now, cutover_at=now),
            f"took over with {current.name}")

    def _former_keys(
        self, adopted: KeyGeneration, keys: t.Sequence[Key], attempts: t.Sequence[StoredGeneration]
    ) -> Steps[list[KeyGeneration]]:
        """Return the keys before the adopted one that still exist, or may exist because their id is unknown."""
        record, issuer = self.record, self.issuer
        candidates = [
            *(KeyGeneration(self._id_of(each), each.name, each.digests) for each in attempts
              if issuer.lists and checks.was_issued(each)),
            *(each for each in (record.new, record.old, record.current) if each),
        ]
        others = [each for each in candidates if dict(each.digests) != dict(adopted.digests)]
        former = {each.key: each for each in others if each.key is not None and each.key != adopted.key}
        unknown = {each.version: each for each in others if each.key is None}
        if not issuer.lists:
            return []
        rest = [key for key in keys if key.id != adopted.key and key.id not in former]
        orphans = self._find_orphans(rest, attempts) if adopted.key is not None else []
        if orphans:
            raise RanchhandError("orphan", (
                f"the key {orphans[0].id} was issued by the rotation of {record.names}, but its secret was lost. "
                "Delete it at the provider, and run the task again."))
        listed = {key.id for key in keys}
        for key_id in sorted(set(former) - listed):
            yield from self._check_former_is_dead(former[key_id])
        return [*(each for key_id, each in former.items() if key_id in listed), *unknown.values()]

    def _check_former_is_dead(self, key: KeyGeneration) -> Steps[None]:
        """Prove that a key that is not listed does not work, as it may belong to another principal."""
        generations = yield from self._list_generations()
        for generation in generations:
            if generation.name == key.version and (yield from self._signs_in(generation)):
                raise RanchhandError("unproven", (
                    f"the key {key.name}, which {self.record.names} contained before, still works, but belongs to "
                    "another account or user than the present key. Delete it there if nothing uses it, and run the "
                    "task again."))

    def _forget(self) -> Steps[Outcome]:
        """Delete the keys that attempts of this rotation issued and no credential contains, and all that is stored."""
        issuer = self.issuer
        yield from self._prove("Write a working key to the credential, and run the task again.")
        generations = yield from self._list_generations()
        left: list[str] = []
        if issuer.lists and not issuer.replaces_current:
            left = yield from self._remove_issued_keys(generations)
        for generation in generations:
            yield Call("delete_generation", (generation,))
        snapshot: Snapshot = yield Call("read_snapshot")
        left_alone = []
        for credential in snapshot.credentials:
            if credential is not None and credential.leader == OWN:
                credential = yield Call("lead_credential", (credential, False))
            left_alone.append(credential)
        yield from self._remove_tokens(snapshot._replace(credentials=tuple(left_alone)))
        yield Call("delete_record", (self.stored_record,))
        self.steps.append(FORGOTTEN)
        return Outcome(None, tuple(self.steps), tuple(left))

    def _remove_issued_keys(self, generations: t.Sequence[StoredGeneration]) -> Steps[list[str]]:
        """Delete the keys that are proven to be of this rotation; returns sentences about those that are left."""
        record = self.record
        snapshot: Snapshot = yield Call("read_snapshot")
        used = {self._key_in(credential) for credential in snapshot.credentials if credential}
        used |= yield from self._keys_in_stores()
        issued = set(filter(None, (self._id_of(each) for each in generations if checks.was_issued(each))))
        known = {key.key for key in (record.old, record.new, record.current) if key and key.key} | issued
        signers = [(credential.values, self._key_in(credential)) for credential in self.credentials] or [
            (each.values, self._id_of(each)) for each in generations]
        for by, signer in signers:
            try:
                keys = yield from self._list_keys(by)
                self._check_key(keys, signer, "")
            except (IssuerError, RanchhandError) as error:
                if error.code in ("unreachable", "busy"):
                    raise
                continue
            listed = {key.id for key in keys}
            last = signer  # the key that signs is deleted last
            if None not in used:
                issued |= {key.id for key in keys if checks.has_mark(record, key)}
            targets = sorted(issued & listed - used, key=lambda each: (each == last, each))
            for key_id in targets:
                yield from self._forget_key(key_id, by, keys)
            left = known & listed - used - set(targets)
            break
        else:
            left = known - used
        if record.old and record.old.key is None and all(
            record.key_in(credential) != OLD for credential in snapshot.credentials if credential
        ):
            left.add(record.old.name)
        return [
            f"the key {key_id} to be deleted at the provider if nothing uses it: it is not proven that this rotation "
            "issued it, or no key signs in" for key_id in sorted(left)
        ]

    def _keys_in_stores(self) -> Steps[set[str | None]]:
        """Return the ids of the keys in external stores, where they may be in use."""
        found: set[str | None] = set()
        for settings in () if self.request.skip_stores else self.record.external_stores:
            snapshot: StoreSnapshot = yield from self._repeat("read_store", settings, True)
            found |= {
                generation.key for generation in (self.record.old, self.record.new, self.record.current)
                if generation and dict(generation.digests) == dict(snapshot.digests)
            }
            found.add(checks.key_id_in(self.issuer, values_in_store(settings, self.record.fields, snapshot.content)))
        return found

    def _forget_key(self, key_id: str, by: Values, keys: t.Sequence[Key]) -> Steps[None]:
        if self.credentials:
            yield from self._remove(key_id, keys, _ANY, _START_REMEDY)
            return
        yield from self._confirm(*_ANY, without=key_id)
        try:
            yield Call("delete", (key_id, by))
        except IssuerError as error:
            self.in_doubt = error.code == "unreachable"
            raise


def _store_changed(settings: Settings) -> RanchhandError:
    return RanchhandError("conflict", (
        f"another client changed external store {settings['name']} several times during the run. Run the task again."))
