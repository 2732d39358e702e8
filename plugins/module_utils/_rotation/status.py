# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How a rotation stands, as it is shown.

PRIVATE to the collection. Pure.
"""

from __future__ import annotations

import datetime
import typing as t

from .._rancher.annotations import ROTATED_AT
from .._rancher.cloud_credential import CloudCredential
from .._rancher.references import CREDENTIAL_NAMESPACE
from .gates import Gate, OPEN, WAITING
from .record import (
    CredentialSnapshot,
    DELETING,
    DISABLED,
    DISABLING,
    GRACE,
    IDLE,
    ISSUED,
    NEW,
    OLD,
    OTHER,
    PREPARING,
    RotationRecord,
    TORN,
)

Time = datetime.datetime
_NEXT = {
    IDLE: "rotate", PREPARING: "issue", ISSUED: "cut over", GRACE: "disable the old key", DISABLING: "disable the old key", DISABLED: "delete the old key",
    DELETING: "delete the old key", "rolling_back": "finish rolling back", "aborting": "finish aborting",
}


def show_rotation(credential: CloudCredential, record: RotationRecord | None) -> dict[str, t.Any]:
    """What may be shown of a rotation; nothing of it is secret."""
    phase = record.phase if record else IDLE
    times = ("started_at", "issued_at", "cutover_at", "disabled_at", "rotated_at", "expires_at", "retire_not_before", "delete_not_before")
    over = phase == IDLE
    shown: dict[str, t.Any] = {
        "id": credential.full_id, "name": credential.name, "driver": credential.driver, "owner": credential.owner,
        "members": [f"{CREDENTIAL_NAMESPACE}:{name}" for name, _uid in record.members] if record else [credential.full_id],
        "issuer": record.issuer if record else None, "phase": phase, "generation": record.generation if record else 0,
        "rotation_id": record.rotation_id if record else None, "reason": record.reason if record else None,
        "key_id": record.current.key if record and over and record.current else record.new.key if record and record.new else None,
        "old_key_id": record.old.key if record and record.old else None, "next_step": _NEXT[phase],
    }
    for name in times:
        moment = getattr(record, name) if record and not (over and name not in ("rotated_at", "expires_at")) else None
        shown[name] = moment.isoformat(timespec="seconds") if moment else None
    shown["transitions"] = [dict(one) for one in record.transitions] if record else []
    return shown


def waiting_reasons(judged: t.Iterable[Gate]) -> list[str]:
    """Why the old key may not be retired yet, a sentence for each gate that is not open."""
    return [f"{gate.name}: " + (gate.detail if gate.state == WAITING else f"unknown, as {gate.detail}") for gate in judged if gate.state != OPEN]


def key_issued_at(credential: CloudCredential, record: RotationRecord | None, live: CredentialSnapshot | None) -> tuple[Time | None, str]:
    """When the key of a credential was put in, and who says so: the record, an annotation where records are elsewhere, or the date of the Secret."""
    if record is not None and live is not None:
        if record.phase == IDLE:
            known = record.current is not None and all(live.digests.get(name) == digest for name, digest in record.current.digests.items())
            moment = record.rotated_at if known else None
        else:
            moment = record.cutover_at if record.holds(live) == NEW else record.rotated_at
        if moment:
            return moment, "record"
    elif credential.annotations.get(ROTATED_AT):
        return _time(credential.annotations[ROTATED_AT]), "annotation"
    return _time(credential.created_at), "secret"


def due_time(rotated_at: Time | None, max_age: int | None, record: RotationRecord | None, grace: int | None) -> Time | None:
    """When a key is to be rotated: at the age that is allowed, and so long before it ends by itself that the grace time fits in twice."""
    moments = []
    if rotated_at and max_age is not None:
        moments.append(rotated_at + datetime.timedelta(seconds=max_age))
    if record and record.expires_at and record.phase == IDLE:
        moments.append(record.expires_at - datetime.timedelta(seconds=2 * (record.grace if grace is None else grace)))
    return min(moments, default=None)


def find_rotation_problem(record: RotationRecord | None, live: CredentialSnapshot | None) -> str | None:
    """What is wrong with a rotation, and nobody has to be asked about."""
    if record is None or live is None:
        return None
    if record.phase == IDLE:
        return f"holds a retired key again, as after a restore; state: retired puts {record.current.key} in again" if record.restored((live,)) else None
    held = record.holds(live)
    if held == OLD and record.phase not in (GRACE, DISABLING, DISABLED, DELETING):
        return None
    return {OTHER: "drift: it holds another value", TORN: "drift: it holds a mix of both keys", OLD: "drift: it holds the old key again"}.get(held)


def _time(text: str | None) -> Time | None:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
