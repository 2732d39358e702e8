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
import json
import typing as t
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace

IDLE, PREPARING, ISSUED, GRACE, DISABLING, DISABLED, DELETING = "idle", "preparing", "issued", "grace", "disabling", "disabled", "deleting"
ROLLING_BACK, ABORTING = "rolling_back", "aborting"
# The names in records that version 0.1.0 wrote.
_FORMER_PHASES = {
    "Idle": IDLE, "Preparing": PREPARING, "Issued": ISSUED, "Grace": GRACE, "Disabling": DISABLING, "Disabled": DISABLED, "Deleting": DELETING,
    "RollingBack": ROLLING_BACK, "Aborting": ABORTING,
}
PHASES = (IDLE, PREPARING, ISSUED, GRACE, DISABLING, DISABLED, DELETING, ROLLING_BACK, ABORTING)

# What a credential holds, compared with a record.
OLD, NEW, TORN, OTHER = "old", "new", "torn", "other"
Time = datetime.datetime


@dataclass(frozen=True)
class CredentialSnapshot:
    """A credential as it was read; ``values`` and ``digests`` by bare field name."""

    id: str
    uid: str
    resource_version: str
    token: str | None
    values: Mapping[str, str] = field(repr=False)
    digests: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class KeyGeneration:
    """One generation of a key, without its secret: the cloud's id, keyed digests of the fields, and the Secret that keeps it."""

    key: str
    version: str
    digests: Mapping[str, str]


@dataclass(frozen=True)
class StoredGeneration:
    """A kept generation: the attempt that made it, and its fields."""

    name: str
    uid: str
    epoch: int
    values: Mapping[str, str] = field(repr=False)
    digests: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class RotationRecord:
    """What is known of the rotation of one key, kept in a ConfigMap; times are aware datetimes."""

    name: str
    members: tuple[tuple[str, str], ...]  # id and uid of each credential that has the key
    driver: str
    issuer: str
    fields: tuple[str, ...]
    phase: str = IDLE
    generation: int = 0
    epoch: int = 0
    owner: str = ""
    rotation_id: str | None = None
    reason: str | None = None
    grace: int = 0
    soak: int = 0
    snapshot: tuple[str, ...] = ()
    old: KeyGeneration | None = None
    new: KeyGeneration | None = None
    current: KeyGeneration | None = None
    past: tuple[Mapping[str, str], ...] = ()
    started_at: Time | None = None
    issuing_at: Time | None = None
    issued_at: Time | None = None
    cutover_at: Time | None = None
    disabled_at: Time | None = None
    rotated_at: Time | None = None
    expires_at: Time | None = None
    gates: Mapping[str, str] = field(default_factory=dict)
    transitions: tuple[Mapping[str, str], ...] = ()

    @property
    def retire_not_before(self) -> Time | None:
        return self.cutover_at + datetime.timedelta(seconds=self.grace) if self.cutover_at else None

    @property
    def delete_not_before(self) -> Time | None:
        return self.disabled_at + datetime.timedelta(seconds=self.soak) if self.disabled_at else None

    @property
    def prefix(self) -> str:
        """Of the names of what is kept for the rotation in progress; unlike any that a record had which somebody deleted."""
        return f"{self.name}-g{self.generation}-{self.started_at:%y%m%d%H%M%S}"

    def with_times(self, grace: int | None, soak: int | None) -> RotationRecord:
        """The same with another grace or soak time, where one is given."""
        return replace(self, grace=self.grace if grace is None else grace, soak=self.soak if soak is None else soak)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, default=lambda time: time.isoformat(timespec="seconds"))

    @classmethod
    def from_json(cls, text: str) -> RotationRecord:
        """Raises ValueError if it is no record: one that cannot be read is never taken for none."""
        try:
            raw = json.loads(text)
            for name in ("old", "new", "current"):
                raw[name] = raw[name] and KeyGeneration(**raw[name])
            for name in _TIMES:
                raw[name] = raw[name] and datetime.datetime.fromisoformat(raw[name])
            raw["members"] = tuple((one, uid) for one, uid in raw["members"])
            raw["phase"] = _FORMER_PHASES.get(raw["phase"], raw["phase"])
            raw["transitions"] = [{**entry, "phase": _FORMER_PHASES.get(entry["phase"], entry["phase"])} for entry in raw["transitions"]]
            for name in ("fields", "snapshot", "past", "transitions"):
                raw[name] = tuple(raw[name])
            record = cls(**raw)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(str(error)) from None
        if record.phase not in PHASES:
            raise ValueError(f"unknown phase {record.phase}")
        return record

    def holds(self, live: CredentialSnapshot) -> str:
        """What the credential holds: the old value, the new one, a mix of both, or something else."""
        found = {name: live.digests.get(name) for name in self.fields}
        for value, what in ((self.old, OLD), (self.new, NEW)):
            if value and found == dict(value.digests):
                return what
        if self.old and self.new and all(found[name] in (self.old.digests.get(name), self.new.digests.get(name)) for name in self.fields):
            return TORN
        return OTHER

    def restored(self, lives: t.Iterable[CredentialSnapshot]) -> bool:
        """Whether credentials hold a retired generation, as after Rancher was restored from a backup."""
        found = [{name: live.digests.get(name) for name in self.fields} for live in lives]
        current, past = self.current and dict(self.current.digests), [dict(one) for one in self.past]
        return any(one != current and one in past for one in found) and all(one == current or one in past for one in found)


_TIMES = tuple(one.name for one in fields(RotationRecord) if one.name.endswith("_at"))
