# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The status of a rotation, as results contain it. Pure."""

from __future__ import annotations

import datetime
import typing as t

from .._common.problems import Problem
from .._common.times import Time, format_time, parse_time
from .._rancher.annotations import ROTATED_AT
from .._rancher.cloud_credential import CloudCredential
from .._rancher.references import CREDENTIAL_NAMESPACE
from .decisions import RotationRequest, find_problem, next_step
from .gates import OPEN, WAITING, Gate
from .record import IDLE, NEW, CredentialSnapshot, KeyGeneration, RotationRecord

_TIMES = (
    "started_at",
    "issued_at",
    "cutover_at",
    "handed_over_at",
    "disabled_at",
    "rotated_at",
    "expires_at",
    "retire_not_before",
    "delete_not_before",
)
_IDLE_TIMES = ("rotated_at", "expires_at")


def show_rotation(
    identifier: str, credential: CloudCredential | None, record: RotationRecord | None
) -> dict[str, t.Any]:
    """Return what may be shown of a rotation; nothing of it is secret. Without ``credential``, it was deleted."""
    record = record or RotationRecord("", ((identifier, ""),), "", "", ())
    idle = record.phase == IDLE
    shown: dict[str, t.Any] = {
        "id": f"{CREDENTIAL_NAMESPACE}:{identifier}",
        "name": credential.name if credential else None,
        "driver": credential.driver if credential else record.driver or None,
        "owner": credential.owner if credential else None,
        "members": [f"{CREDENTIAL_NAMESPACE}:{name}" for name, _uid in record.members],
        "issuer": record.issuer or None,
        "phase": record.phase,
        "generation": record.generation,
        "rotation_id": record.rotation_id,
        "reason": record.reason,
        "key_id": _key_id(record.current if idle else record.new),
        "old_key_id": _key_id(record.old),
        "next_step": next_step(record.phase),
        "failures": record.failures,
        "external_stores": [store["name"] for store in record.external_stores],
    }
    for name in _TIMES:
        shown[name] = None if idle and name not in _IDLE_TIMES else _format(getattr(record, name))
    shown["transitions"] = [dict(transition) for transition in record.transitions]
    return shown


def _key_id(key: KeyGeneration | None) -> str | None:
    return key.key if key else None


def _format(time: Time | None) -> str | None:
    return format_time(time) if time else None


def waiting_reasons(gates: t.Iterable[Gate]) -> list[str]:
    """Return a reason for each gate that is not open."""
    return [
        f"{gate.name}: " + (gate.detail if gate.state == WAITING else f"unknown, because {gate.detail}")
        for gate in gates
        if gate.state != OPEN
    ]


def shared_key(others: t.Sequence[str], override: bool) -> Gate:
    """Return the gate for credentials that contain the old key and are no members of its rotation."""
    detail = f"another key in {', '.join(others)}, which would stop working: it contains the old key"
    return Gate("shared_key", OPEN, f"overridden: {detail}") if override else Gate("shared_key", WAITING, detail)


def key_issued_at(
    credential: CloudCredential, record: RotationRecord | None, snapshot: CredentialSnapshot | None
) -> tuple[Time | None, str]:
    """Return when a credential got its key, and the source of this time.

    Sources: ``record``, ``annotation`` (if the records are in another namespace), ``secret`` (the creation of the
    Secret).
    """
    if record is not None and snapshot is not None:
        if record.phase == IDLE:
            current = record.current
            known = current is not None and all(
                snapshot.digests.get(name) == digest for name, digest in current.digests.items()
            )
            moment = record.rotated_at if known else None
        else:
            moment = record.cutover_at if record.key_in(snapshot) == NEW else record.rotated_at
        if moment:
            return moment, "record"
    elif credential.annotations.get(ROTATED_AT):
        moment = _parse(credential.annotations[ROTATED_AT])
        if moment:
            return moment, "annotation"
    return _parse(credential.created_at), "secret"


def _parse(text: str | None) -> Time | None:
    try:
        return parse_time(text) if text else None
    except ValueError:  # another client wrote the annotation
        return None


def due_time(
    rotated_at: Time | None, max_age: int | None, record: RotationRecord | None, grace: int | None
) -> Time | None:
    """Return when a key must be rotated: at its maximum age, or twice the grace time before it expires.

    If the old key ends at the cutover, the grace time in the record is 0, which leaves no time to rotate.
    """
    moments = []
    if rotated_at and max_age is not None:
        moments.append(rotated_at + datetime.timedelta(seconds=max_age))
    if record and record.expires_at and record.phase == IDLE:
        if grace is None:
            grace = RotationRequest.default_grace if record.old_key_ends_at_cutover else record.grace
        moments.append(record.expires_at - datetime.timedelta(seconds=2 * grace))
    return min(moments, default=None)


def find_rotation_problems(record: RotationRecord | None, snapshot: CredentialSnapshot | None) -> list[Problem]:
    """Return what is wrong with the rotation of a credential."""
    if record is None or snapshot is None:
        return []
    if record.phase != IDLE and dict(record.members).get(snapshot.id) != snapshot.uid:
        return [describe_deleted(snapshot.id, record)]
    problem = find_problem(record, snapshot)
    return [problem] if problem else []


def describe_deleted(identifier: str, record: RotationRecord) -> Problem:
    """Return the problem of a credential that was deleted, or deleted and created again, but is a member of a record.
    """
    known = (key.key for key in (record.old, record.new, record.current) if key and key.key)
    keys = " and ".join(known) or "its key"
    what = f"during its rotation (phase {record.phase})" if record.phase != IDLE else "and its record is left"
    return Problem("gone", (
        f"{identifier} was deleted {what}: {keys} may be valid at the provider, and the record {record.name} keeps "
        "values of keys in Secrets. Run state: retired if other credentials contain the new key, else state: forgotten."
    ))
