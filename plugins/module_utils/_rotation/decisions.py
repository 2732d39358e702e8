# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a rotation does next: one table of phase, requested state and what the credentials contain. Pure.

The run, check mode and the status of a rotation all use this table, so check mode and status cannot predict anything
else than what a run does.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .._common.errors import ErrorCode
from .._common.problems import Problem
from .record import (
    ABORTING,
    ANOTHER,
    DELETING,
    DISABLED,
    DISABLING,
    GRACE,
    IDLE,
    ISSUED,
    MIXED,
    NEW,
    OLD,
    OTHER,
    PREPARING,
    ROLLING_BACK,
    CredentialSnapshot,
    RotationRecord,
)

ROTATED, RETIRED, ROLLED_BACK, ABORTED, ADOPTED, FORGOTTEN = STATES = (
    "rotated", "retired", "rolled_back", "aborted", "adopted", "forgotten")

# What all credentials of a rotation contain together: OLD and NEW (each contains this key), MIXED and OTHER (at least
# one does), and:
BOTH = "both"              # some contain the old key, some the new one
RESTORED = "restored"      # idle, and at least one contains a retired key
CURRENT = "current"        # idle, and none contains a retired key
MISSING = "missing"        # all were deleted
LED = "led"                # another Rancher rotates the key of at least one


@dataclass(frozen=True)
class Decision:
    """Run a step, or stop: with an error if there is a code, else without a change.

    ``step`` is the method of RotationProtocol, ``label`` its description, ``phases`` are those that follow if nothing
    fails. With ``gated`` the step runs only if the gates are open. ``message`` is the template of the error or the
    reason to wait.
    """

    step: str = ""
    label: str = ""
    phases: tuple[str, ...] = ()
    gated: bool = False
    code: ErrorCode | None = None
    message: str = ""


# Steps
START = Decision("_start", "rotate", (PREPARING, ISSUED, GRACE))
RESTORE = Decision("_restore_current_key", "write the current key again", (IDLE,))
ISSUE = Decision("_issue_and_cut_over", "issue", (ISSUED, GRACE))
CUT_OVER = Decision("_cut_over", "cut over", (GRACE,))
REWRITE = Decision("_rewrite_new_key", "write the new key again")
RETIRE = Decision("_retire", "disable the old key", (DISABLING, DISABLED), gated=True)
DISABLE = Decision("_retire", "disable the old key", (DISABLED,), gated=True)
DELETE = Decision("_retire", "delete the old key", (DELETING, IDLE), gated=True)
FINISH = Decision("_retire", "delete the old key", (IDLE,), gated=True)
ROLL_BACK = Decision("_roll_back", "roll back", (ROLLING_BACK, IDLE))
END_BACK = Decision("_roll_back", "finish rolling back", (IDLE,))
ABORT = Decision("_abort", "abort", (ABORTING, IDLE))
END_ABORT = Decision("_abort", "finish aborting", (IDLE,))
VERIFY = Decision("_verify_cutover", "verify the new key")
HAND_OVER = Decision("_hand_over", "write the new key to the external stores")
ADOPT = Decision("_adopt", "adopt the present key", (GRACE,))
TAKE_OVER = Decision("_take_over", "rotate the key here instead of in another Rancher")
FORGET = Decision("_forget", "forget the rotation", (FORGOTTEN,))

# No step
NOTHING = Decision()
ROTATE_1ST = Decision(message="state: rotated, to finish the rotation")
RETIRE_1ST = Decision(message="state: retired, to retire the old key")
PAUSED = Decision(message="the cutover, with pause_before_cutover: false")

# Errors
FOLLOWER = Decision(code="other_writer", message=(
    "the key of {names} is rotated by the rotation of another Rancher. Rotate it there, or, if that Rancher is lost, "
    "take the rotation over with state: adopted and the other credentials with this key in external_stores."))
GONE = Decision(
    code="gone",
    message=(
        "{missing} was deleted or recreated after its rotation began. state: forgotten deletes the record {record}, "
        "the kept values and the keys that this rotation issued, except keys that a credential contains."
    ),
)
FOREIGN = Decision(
    code="drift",
    message=(
        "{other} was changed by another client while its rotation was in phase {phase}: the new value is neither the "
        "old key ({old}) nor the new key ({new}) of the rotation. state: adopted accepts the "
        "value; otherwise write one of these keys to it. If Terraform manages the credential, set ignore_changes for "
        "the fields of the key."
    ),
)
UNEQUAL = Decision(
    code="drift",
    message="{names} contain different keys. Write the key that is to be used to all of them, and run the task again.",
)
TORN = Decision(
    code="drift",
    message=(
        "{mixed} contains a mix of the old key and the new one, as after a form that was opened before the cutover "
        "was saved. Set repair: true with state: rotated to write the new key again{or_back}. If neither key works, "
        "write a working key and accept it with state: adopted."
    ),
)
PUT_BACK = Decision(code="drift", message=(
    "{names} contains the old key {old} again: another client, such as Terraform without ignore_changes, or a restored "
    "backup wrote it. Set repair: true with state: rotated to write the new key again{or_back}."))
NOT_CUT = Decision(
    code="not_cut_over", message="{names} does not use the new key yet. Use state: aborted to end the rotation."
)
IN_USE = Decision(
    code="too_late", message="{names} uses the new key {new} already. Use state: rolled_back to return to the old key."
)
TOO_LATE = Decision(
    code="too_late",
    message=(
        "the old key {old} of {names} is being deleted, so it cannot be restored. Finish with state: retired and start "
        "another rotation; if the old key is in use, state: adopted keeps it."
    ),
)
ENDED = Decision(code="too_late", message=(
    "the old key {old} of {names} ended at the cutover, as its provider keeps one key for a credential, so nothing can "
    "return to it. Continue with state: retired; if the new key must not be used, start another rotation then, and if "
    "it does not work, write a working key to the credential and run state: adopted."))
UNFINISHED = Decision(code="unfinished", message=(
    "{names} is still being rotated (phase {phase}), so rotation_id {requested} cannot begin. "
    "state: retired finishes the rotation in progress, at once with grace: 0s and soak: 0s."))


# Problems that the status reports, where a run repairs them by itself
OLD_AGAIN = Decision(
    code="drift",
    message=(
        "{names} contains the old key {old} again: another client or a restored backup wrote it. Run state: retired "
        "to write the new key again."
    ),
)
RETIRED_KEY = Decision(
    code="drift",
    message=(
        "{names} contains a retired key, as after a restore from a backup. Run state: retired to write the key "
        "{current} again."
    ),
)


class Row(t.NamedTuple):
    """The decisions for some phases and contents, by requested state, and the problem that the status reports."""

    phases: tuple[str, ...]
    contents: tuple[str, ...]
    rotated: Decision
    retired: Decision
    rolled_back: Decision
    aborted: Decision
    adopted: Decision
    problem: Decision = NOTHING


_ALL = (PREPARING, ISSUED, GRACE, DISABLING, DISABLED, DELETING, ROLLING_BACK, ABORTING)
_RETURNABLE = (ISSUED, GRACE, DISABLING, DISABLED, ROLLING_BACK, ABORTING)

# fmt: off
TABLE = (
    # phase, what the credentials contain, then for rotated, retired, rolled_back, aborted, adopted, and the problem
    Row((IDLE, *_ALL), (MISSING,), GONE, GONE, GONE, GONE, GONE),
    Row((IDLE,), (LED,), START, NOTHING, NOTHING, NOTHING, TAKE_OVER),
    Row(_ALL, (LED,), FOLLOWER, FOLLOWER, FOLLOWER, FOLLOWER, TAKE_OVER, FOLLOWER),
    Row((IDLE,), (CURRENT,), START, NOTHING, NOTHING, NOTHING, NOTHING),
    Row((IDLE,), (RESTORED,), RESTORE, RESTORE, NOTHING, NOTHING, ADOPT, RETIRED_KEY),
    Row(_ALL, (OTHER,), FOREIGN, FOREIGN, FOREIGN, FOREIGN, ADOPT, FOREIGN),
    Row((PREPARING,), (MIXED,), TORN, TORN, TORN, TORN, TORN, TORN),
    Row(_RETURNABLE, (MIXED,), TORN, TORN, ROLL_BACK, TORN, TORN, TORN),
    Row((DELETING,), (MIXED,), TORN, TORN, TOO_LATE, TORN, TORN, TORN),
    Row((PREPARING,), (OLD,), ISSUE, ROTATE_1ST, NOT_CUT, ABORT, ROTATE_1ST),
    Row((PREPARING,), (BOTH, NEW), ISSUE, ROTATE_1ST, ROLL_BACK, IN_USE, ROTATE_1ST),
    Row((ISSUED,), (OLD,), CUT_OVER, ROTATE_1ST, NOT_CUT, ABORT, ROTATE_1ST),
    Row((ISSUED,), (BOTH, NEW), CUT_OVER, ROTATE_1ST, ROLL_BACK, IN_USE, ROTATE_1ST),
    Row((GRACE,), (OLD,), PUT_BACK, PUT_BACK, ROLL_BACK, IN_USE, ROLL_BACK, PUT_BACK),
    Row((GRACE,), (BOTH,), PUT_BACK, PUT_BACK, ROLL_BACK, IN_USE, UNEQUAL, PUT_BACK),
    Row((GRACE,), (NEW,), RETIRE_1ST, RETIRE, ROLL_BACK, IN_USE, RETIRE_1ST),
    Row((DISABLING, DISABLED), (OLD,), REWRITE, REWRITE, ROLL_BACK, IN_USE, ROLL_BACK, OLD_AGAIN),
    Row((DISABLING, DISABLED), (BOTH,), REWRITE, REWRITE, ROLL_BACK, IN_USE, UNEQUAL, OLD_AGAIN),
    Row((DISABLING,), (NEW,), RETIRE_1ST, DISABLE, ROLL_BACK, IN_USE, RETIRE_1ST),
    Row((DISABLED,), (NEW,), RETIRE_1ST, DELETE, ROLL_BACK, IN_USE, RETIRE_1ST),
    Row((DELETING,), (OLD,), REWRITE, REWRITE, TOO_LATE, TOO_LATE, ROLL_BACK, OLD_AGAIN),
    Row((DELETING,), (BOTH,), REWRITE, REWRITE, TOO_LATE, TOO_LATE, UNEQUAL, OLD_AGAIN),
    Row((DELETING,), (NEW,), RETIRE_1ST, FINISH, TOO_LATE, TOO_LATE, RETIRE_1ST),
    Row((ROLLING_BACK,), (OLD, BOTH, NEW), END_BACK, END_BACK, END_BACK, IN_USE, END_BACK),
    Row((ABORTING,), (OLD,), END_ABORT, END_ABORT, NOT_CUT, END_ABORT, END_ABORT),
    Row((ABORTING,), (BOTH, NEW), ROLL_BACK, ROLL_BACK, ROLL_BACK, IN_USE, ROLL_BACK),
)
# fmt: on
_ROWS = {(phase, content): row for row in TABLE for phase in row.phases for content in row.contents}
_USUAL_CONTENT = {IDLE: CURRENT, GRACE: NEW, DISABLING: NEW, DISABLED: NEW, DELETING: NEW}


@dataclass(frozen=True)
class RotationRequest:
    """What a run is asked to do."""

    state: str
    token: str                        # identifies the run
    rotation_id: str | None = None
    reason: str | None = None
    grace: int | None = None          # seconds; None: the time that the rotation was started with
    soak: int | None = None
    drain: int = 60
    verify_timeout: int = 120
    rollback: bool = True             # on_verify_failure
    delete_orphans: bool = True       # orphan_policy
    pause: bool = False               # before the cutover
    repair: bool = False
    current_key_id: str | None = None  # of the key that is replaced, if the provider does not report it
    old_key_removed: bool = False     # by hand, with an unknown id
    due: bool = False                 # by max_age
    external_stores: tuple[Mapping[str, t.Any], ...] | None = None  # None: those of the record
    skip_stores: bool = False         # the gate external_store is overridden
    cutover: str | None = None        # None: that of the record
    default_grace: int = 86400
    default_soak: int = 604800


def classify(record: RotationRecord, credentials: t.Sequence[CredentialSnapshot | None]) -> str:
    """Return what the credentials of a rotation contain. Deleted and recreated ones do not count."""
    found = record.present(credentials)
    if not found:
        return MISSING
    if any(credential.leader == ANOTHER for credential in found):
        return LED
    if record.phase == IDLE:
        return RESTORED if record.is_restored(found) else CURRENT
    keys = {record.key_in(credential) for credential in found}
    for key in (OTHER, MIXED):
        if key in keys:
            return key
    return BOTH if len(keys) > 1 else keys.pop()


def decide(request: RotationRequest, record: RotationRecord, content: str, disables: bool) -> Decision:
    """Look the decision up, and apply the options of the request.

    Args: ``disables`` is whether the issuer can disable a key.
    """
    repair = request.repair and request.state == ROTATED
    record = record.with_stores(request.external_stores)
    if request.state == FORGOTTEN:
        return (FOLLOWER if content == LED else FORGET) if record.generation else NOTHING
    if content == MIXED and repair:
        content = BOTH
    decision: Decision = getattr(_ROWS[record.phase, content], request.state)
    if decision is START and not _is_due(request, record):
        return NOTHING
    decision = _between_ranchers(decision, request, content)
    if decision is PUT_BACK and repair:
        decision = REWRITE
    if request.state == ROTATED and decision is RETIRE_1ST and _is_another(request, record):
        return UNFINISHED
    if decision is RETIRE and not disables:
        decision = DELETE
    if decision in (RETIRE_1ST, RETIRE, DISABLE, DELETE, FINISH):
        return _complete_cutover(decision, request, record)
    if decision in (REWRITE, TAKE_OVER):
        return replace(decision, phases=(record.phase,))
    if decision in (ROLL_BACK, IN_USE):
        return _way_back(decision, request, record)
    if request.pause and decision in (START, ISSUE):
        return replace(decision, phases=decision.phases[:-1])
    if request.pause and decision is CUT_OVER and content == OLD:
        return replace(decision, phases=()) if record.owner else PAUSED
    return decision


def _between_ranchers(decision: Decision, request: RotationRequest, content: str) -> Decision:
    """Return the decision for a key that several Ranchers contain."""
    if decision is START and content == LED:
        return FOLLOWER
    if request.state == ADOPTED and content == CURRENT and request.external_stores:
        return TAKE_OVER
    return decision


def _way_back(decision: Decision, request: RotationRequest, record: RotationRecord) -> Decision:
    if record.old_key_ends_at_cutover:
        return ADOPT if request.state == ADOPTED else ENDED
    return END_BACK if decision is ROLL_BACK and record.phase == ROLLING_BACK else decision


def _is_another(request: RotationRequest, record: RotationRecord) -> bool:
    return request.rotation_id not in (None, record.rotation_id, record.completed_id)


def is_unverified(record: RotationRecord) -> bool:
    """Whether the run that cut over ended before it had verified the credentials."""
    return record.verified_at is None


def _complete_cutover(decision: Decision, request: RotationRequest, record: RotationRecord) -> Decision:
    """Return what the run that cut over did not do, before the decision that follows a cutover."""
    if record.phase == GRACE and is_unverified(record):
        return replace(VERIFY, phases=decision.phases, gated=decision.gated)
    if _is_handover_due(request, record):
        return replace(HAND_OVER, phases=decision.phases, gated=decision.gated)
    return decision


def _is_handover_due(request: RotationRequest, record: RotationRecord) -> bool:
    if request.skip_stores or not record.external_stores:
        return False
    return record.handed_over_at is None or request.repair and request.state == ROTATED


def _is_due(request: RotationRequest, record: RotationRecord) -> bool:
    if request.rotation_id is not None:
        return request.rotation_id != record.completed_id
    return request.due


def explain(
    decision: Decision,
    request: RotationRequest | None,
    record: RotationRecord,
    credentials: t.Sequence[CredentialSnapshot | None],
) -> str:
    """Fill in the message of a decision."""
    found = record.present(credentials)
    known = {(credential.id, credential.uid) for credential in found}
    keys = {credential.id: record.key_in(credential) for credential in found}
    can_return = record.phase in _RETURNABLE and not record.old_key_ends_at_cutover
    return decision.message.format(
        names=record.names,
        record=record.name,
        phase=record.phase,
        requested=str(request and request.rotation_id)[:60],
        current=record.current.name if record.current else "unknown",
        old=record.old.name if record.old else "unknown",
        new=record.new.name if record.new else "not issued yet",
        missing=", ".join(name for name, uid in record.members if (name, uid) not in known),
        other=", ".join(name for name, key in keys.items() if key == OTHER),
        mixed=", ".join(name for name, key in keys.items() if key == MIXED),
        or_back=", or return to the old key with state: rolled_back" if can_return else "",
    )


def possible_states(
    record: RotationRecord, credentials: t.Sequence[CredentialSnapshot | None], disables: bool = True
) -> tuple[str, ...]:
    """Return the states that a run could work towards now, and ``repair`` if state rotated with repair could."""
    content = classify(record, credentials)
    requests = {state: RotationRequest(state, "", due=True) for state in STATES}
    requests["repair"] = RotationRequest(ROTATED, "", repair=True)
    return tuple(name for name, request in requests.items() if decide(request, record, content, disables).step)


def next_step(phase: str, content: str | None = None) -> str:
    """Describe what comes next for a rotation; without ``content``, if nothing interferes."""
    contents = [content, _USUAL_CONTENT.get(phase, OLD)]
    rows = [_ROWS[phase, each] for each in contents if each is not None]
    return next(decision.label for row in rows for decision in (row.rotated, row.retired) if decision.label)


def find_problem(record: RotationRecord, credential: CredentialSnapshot) -> Problem | None:
    """Return the problem of a credential of a rotation; None if there is none."""
    own = replace(record, members=((credential.id, credential.uid),))
    problem = _ROWS[record.phase, classify(own, (credential,))].problem
    if problem.code is None:
        return None
    return Problem("restored" if problem is RETIRED_KEY else "drift", explain(problem, None, own, (credential,)))
