# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a rotation proves before it takes something away: each function is one check. Pure.

A failed check raises RanchhandError (``unproven``, or the code in its docstring) or returns False. The protocol calls
the checks with what it read immediately before. tests/unit/test_rotation_checks.py removes each of them in turn.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import typing as t

from .._common.errors import RanchhandError
from ..issuer import CALL_TIMEOUT, Issuer, IssuerError, Key
from .record import DELETING, CredentialSnapshot, KeyGeneration, RotationRecord, StoredGeneration, Values

# The largest difference between two clocks: AWS rejects signatures that are further off.
SKEW = datetime.timedelta(minutes=5)

Credentials = t.Sequence[CredentialSnapshot]
Keys = t.Sequence[Key]
Generations = t.Sequence[StoredGeneration]


def find_key(keys: Keys, key_id: str | None) -> Key | None:
    return next((key for key in keys if key.id == key_id), None)


def rotating_values(record: RotationRecord, credential: CredentialSnapshot) -> dict[str, str]:
    return {name: credential.values.get(name, "") for name in record.fields}


# what the cluster contains


def has_token(credential: CredentialSnapshot, token: str) -> bool:
    """No other run has taken over."""
    return credential.token == token


def contains_key(record: RotationRecord, credential: CredentialSnapshot, allowed: t.Collection[str]) -> bool:
    """No other client has changed the credential."""
    return record.key_in(credential) in allowed


def is_unchanged(record: RotationRecord, before: Credentials, credential: CredentialSnapshot) -> bool:
    """The credential contains what the run has read and proven."""
    return any(
        each.id == credential.id and rotating_values(record, each) == rotating_values(record, credential)
        for each in before
    )


def is_record_of_run(record: RotationRecord, stored: RotationRecord | None) -> bool:
    """No other client has deleted the record or restored an older one."""
    return stored is not None and (stored.owner, stored.epoch, stored.phase) == (
        record.owner, record.epoch, record.phase)


def key_is_not_in_use(
    record: RotationRecord, credentials: Credentials, key_id: str, issuer: Issuer, kept: Generations
) -> None:
    """No credential contains the key that is taken away, also none that was deleted and created again."""
    for credential in credentials:
        if key_id_of(record, credential, issuer, kept) == key_id:
            raise RanchhandError("unproven", (
                f"{credential.id} contains the key {key_id}, which the rotation of {record.names} would disable or "
                "delete. Write the key that is to be used to the credential again."))


def key_id_of(
    record: RotationRecord, credential: CredentialSnapshot, issuer: Issuer, kept: Generations
) -> str | None:
    """Return the id of the key in a credential; None if it is unknown, or the values are none of a key.

    The id that was recorded when the key was issued takes precedence.
    """
    recorded = record.recorded_key(credential)
    if recorded is not None:
        return recorded
    values = rotating_values(record, credential)
    for generation in kept:
        if generation.key_id is not None and dict(generation.values) == values:
            return generation.key_id
    return key_id_in(issuer, credential.values)


def key_id_in(issuer: Issuer, values: Values) -> str | None:
    """Return the id that the values contain; None if there is none, or they are none of a key."""
    try:
        return issuer.key_id(values)
    except (IssuerError, KeyError):  # another client wrote something else
        return None


def credentials_agree(record: RotationRecord, credentials: Credentials) -> None:
    """All credentials contain the same value."""
    first = rotating_values(record, credentials[0])
    different = [credential.id for credential in credentials if rotating_values(record, credential) != first]
    if different:
        raise RanchhandError("unproven", (
            f"{', '.join(different)} and {credentials[0].id} do not contain the same value, so some may not work. "
            "Write one working key to all of them, and run the task again."))


def key_is_not_shared(record: RotationRecord, credentials: Credentials) -> None:
    """Only one credential contains a key that ends when the new one is written to it. Code ``unsupported``."""
    if len(credentials) > 1:
        raise RanchhandError("unsupported", (
            f"{record.names} contain the same key, which ends when the first of them is changed, and the others still "
            "contain it. Give each credential a key of its own."))


def value_is_another(record: RotationRecord, requested: Values | None, credentials: Credentials) -> None:
    """A supplied value is not the present one. Code ``invalid``."""
    if requested is None:
        return
    for credential in credentials:
        if all(credential.values.get(name) == text for name, text in requested.items()):
            raise RanchhandError("invalid", (
                f"{credential.id} contains the supplied value already. Supply another value with state: rotated. "
                "state: aborted ends a rotation that has begun."))


def is_value_requested(requested: Values | None, values: Values) -> bool:
    """A stored value is the one that this run supplies."""
    return requested is None or dict(requested) == dict(values)


# what the provider lists


def live_key_is_listed(record: RotationRecord, keys: Keys, key_id: str, remedy: str) -> None:
    """The provider lists the keys of the principal that the key belongs to."""
    if find_key(keys, key_id) is None:
        listed = ", ".join(sorted(key.id for key in keys)) or "none"
        raise RanchhandError("unproven", (
            f"the key {key_id} of {record.names} is not among the keys that the provider lists ({listed}): it was "
            "deleted, or the options of the issuer belong to another account or user. Correct "
            f"issuer_options. {remedy}"))


def live_key_is_enabled(record: RotationRecord, keys: Keys, key_id: str, remedy: str) -> None:
    key = find_key(keys, key_id)
    if key is not None and not key.enabled:
        raise RanchhandError("unproven", (
            f"the key {key_id} of {record.names} is disabled at the provider. {remedy}"))


def old_key_is_disabled(record: RotationRecord, keys: Keys) -> None:
    """The old key is in the state in which the rotation left it."""
    key = find_key(keys, record.old_key.key)
    if key is not None and key.enabled:
        raise RanchhandError("unproven", (
            f"the old key {key.id} of {record.names} was enabled again after the rotation had disabled it. "
            f"{way_back(record)}, if something needs it; if nothing does, disable it at the provider, "
            "and run state: retired again."))


def way_back(record: RotationRecord) -> str:
    """Describe how to return to the old key."""
    if record.phase == DELETING:
        return f"To return to it, write it to {record.names} and run state: adopted"
    return "To return to it, run state: rolled_back"


def retire_remedy(record: RotationRecord) -> str:
    """Describe how to continue if the new key in the credentials does not work and the old one is to be retired."""
    other = (
        "write a working key to the credential and run state: adopted"
        if record.phase == DELETING or record.old_key_ends_at_cutover
        else "return to the old key with state: rolled_back"
    )
    return f"Enable it again and run the task again, or {other}."


def is_disabled(keys: Keys, key_id: str) -> bool:
    """The provider confirms that a key is disabled."""
    key = find_key(keys, key_id)
    return key is None or not key.enabled


def is_deleted(keys: Keys, key_id: str) -> bool:
    """The provider confirms that a key is deleted."""
    return find_key(keys, key_id) is None


# a key whose secret was lost


def has_mark(record: RotationRecord, key: Key) -> bool:
    """The key was issued by an attempt of this rotation: it has the mark of one."""
    prefix, _epoch = mark_of(record, 0).rsplit("-", 1)
    return key.mark is not None and re.fullmatch(re.escape(prefix) + "-e[0-9]+", key.mark) is not None


def is_request_unanswered(record: RotationRecord, attempts: t.Iterable[StoredGeneration]) -> bool:
    """A key may have been issued whose secret was not stored."""
    return record.issuing_at is not None and all(attempt.epoch != record.issuing_epoch for attempt in attempts)


def existed_before(record: RotationRecord, key: Key) -> bool:
    """The key existed when the rotation began."""
    return key.id in record.snapshot


def names_old_key(record: RotationRecord, keys: Keys, key_id: str) -> None:
    """A key that the user names can be the old key. Code ``invalid``."""
    key = find_key(keys, key_id)
    began = record.started_at
    if key is None:
        reason = "the provider does not list it. If it was removed, set old_key_removed: true"
    elif record.new is not None and record.new.key == key_id:
        reason = "it is the new key"
    elif began and key.created_at and key.created_at > began + SKEW:
        reason = "it was created after the rotation had begun"
    else:
        return
    raise RanchhandError(
        "invalid", f"current_key_id: {key_id:.200} is not the old key of {record.names}: {reason}")


def created_after_request(record: RotationRecord, created_at: datetime.datetime) -> bool:
    return record.issuing_at is not None and created_at >= record.issuing_at - SKEW


def created_before_timeout(record: RotationRecord, created_at: datetime.datetime) -> bool:
    limit = SKEW + datetime.timedelta(seconds=CALL_TIMEOUT)
    return record.issuing_at is not None and created_at <= record.issuing_at + limit


def was_never_used(key: Key) -> bool:
    """Whether no use is known; without Issuer.reports_last_use, this proves nothing."""
    return key.last_used is None


def is_only_candidate(candidates: Keys) -> bool:
    """One request issues one key."""
    return len(candidates) <= 1


def is_foreign(record: RotationRecord, key: Key) -> bool:
    """Whether a key is certainly not the one that the unanswered request issued."""
    created_at = key.created_at
    return not was_never_used(key) or created_at is not None and not (
        created_after_request(record, created_at) and created_before_timeout(record, created_at))


def mark_of(record: RotationRecord, epoch: int) -> str:
    """Return the mark of a request for a key: not secret, at most 63 characters of [a-z0-9-]."""
    name = re.sub("[^a-z0-9]+", "-", record.name.removeprefix("rotation-").lower())[:20]
    digest = hashlib.sha256(record.prefix.encode()).hexdigest()[:8]
    return f"ranchhand-{name}-g{record.generation}-{digest}-e{epoch}"


# keys that no rotation uses any more


def was_issued(generation: StoredGeneration | KeyGeneration) -> bool:
    """Whether an attempt of a rotation issued the key: the names of such generations end with their epoch."""
    name = generation.name if isinstance(generation, StoredGeneration) else generation.version
    return re.search("-e[0-9]+$", name) is not None
