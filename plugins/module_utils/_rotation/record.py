# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The record of a rotation, and what a credential contains compared with it. Pure."""

from __future__ import annotations

import datetime
import json
import typing as t
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace

from .._common.errors import RanchhandError
from .._common.times import Time, format_time, parse_time

IDLE, PREPARING, ISSUED, GRACE = "idle", "preparing", "issued", "grace"
DISABLING, DISABLED, DELETING = "disabling", "disabled", "deleting"
ROLLING_BACK, ABORTING = "rolling_back", "aborting"
PHASES = (IDLE, PREPARING, ISSUED, GRACE, DISABLING, DISABLED, DELETING, ROLLING_BACK, ABORTING)
_FORMER_PHASES = {phase.title().replace("_", ""): phase for phase in PHASES}  # in records that version 0.1.0 wrote

# The version of the format of records. A record of a later version cannot be read; fields that are not known are kept.
VERSION = 2

# Which key a credential contains, compared with a record. MIXED: some fields of the old key, the rest of the new one.
OLD, NEW, MIXED, OTHER = "old", "new", "mixed", "other"

# EXTERNAL: the external store receives the new key, and another tool writes it from there to the credentials.
DIRECT, EXTERNAL = "direct", "external"

# Which Rancher rotates a key that several contain.
OWN, ANOTHER = "own", "another"

Values = t.Mapping[str, str]
_T = t.TypeVar("_T")


@dataclass(frozen=True)
class CredentialSnapshot:
    """A cloud credential as it was read; ``values`` and ``digests`` have bare field names."""

    id: str
    uid: str
    resource_version: str
    token: str | None
    values: Values = field(repr=False)
    digests: Values = field(repr=False)
    leader: str | None = None  # OWN or ANOTHER: the Rancher that rotates a key that several contain


@dataclass(frozen=True)
class KeyGeneration:
    """One generation of a key, without its secret.

    ``key`` is the provider's id, None if it is unknown, ``version`` the name of the Secret that keeps the values,
    ``digests`` are keyed digests of the fields.
    """

    key: str | None
    version: str
    digests: Values

    @property
    def name(self) -> str:
        """The id for a message."""
        return self.key or "(id unknown)"


@dataclass(frozen=True)
class StoredGeneration:
    """The kept values of a generation, with the attempt (``epoch``) that stored them.

    ``key_id`` and ``expires_at`` are those that the issuer returned with the values, if it did.
    """

    name: str
    uid: str
    epoch: int
    values: Values = field(repr=False)
    digests: Values = field(repr=False)
    key_id: str | None = None
    expires_at: Time | None = None


@dataclass(frozen=True)
class RotationRecord:
    """The state of the rotation of one key, stored in a ConfigMap."""

    name: str
    members: tuple[tuple[str, str], ...]  # id and uid of each credential that contains the key
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
    past: tuple[Values, ...] = ()
    started_at: Time | None = None
    issuing_at: Time | None = None  # of a request to issue a key that was not refused
    issuing_epoch: int = 0           # of the same request
    issuing_mark: str | None = None  # of the same request, if it had one
    issued_at: Time | None = None
    activating_at: Time | None = None  # of a request to make the new value valid
    cutover_at: Time | None = None
    disabled_at: Time | None = None
    rotated_at: Time | None = None
    expires_at: Time | None = None
    gates: Mapping[str, str] = field(default_factory=dict)
    transitions: tuple[Mapping[str, str], ...] = ()
    version: int = VERSION
    verified_at: Time | None = None    # when all credentials were verified after the cutover
    completed_id: str | None = None    # rotation_id of the last rotation that was finished and not returned from
    failures: int = 0                  # runs that failed one after another since the latest transition
    issuer_options: Mapping[str, t.Any] = field(default_factory=dict)  # those in Issuer.recorded_options
    issuer_secrets_name: str | None = None
    external_stores: tuple[Mapping[str, t.Any], ...] = ()  # their settings, which are not secret
    handed_over_at: Time | None = None  # when all external stores contained the new key
    old_key_ends_at_cutover: bool = False  # that of the issuer when the rotation began
    cutover: str = DIRECT               # who writes the new key to the credentials: this collection, or EXTERNAL
    unknown: Mapping[str, t.Any] = field(default_factory=dict)  # fields of a later release

    @property
    def names(self) -> str:
        """The ids of the credentials, for a message."""
        return ", ".join(identifier for identifier, _uid in self.members)

    # Some fields are set in some phases only. These accessors raise RanchhandError (``conflict``) if a damaged record
    # lacks one.

    @property
    def old_key(self) -> KeyGeneration:
        return self._required("old", self.old)

    @property
    def new_key(self) -> KeyGeneration:
        return self._required("new", self.new)

    @property
    def current_key(self) -> KeyGeneration:
        return self._required("current", self.current)

    @property
    def cut_over(self) -> Time:
        return self._required("cutover_at", self.cutover_at)

    def _required(self, name: str, value: _T | None) -> _T:
        if value is None:
            raise RanchhandError(
                "conflict",
                f"the rotation record {self.name} is in phase {self.phase} but has no {name}; nothing was changed",
            )
        return value

    @property
    def retire_not_before(self) -> Time | None:
        """The end of the grace time, which begins when the last external store contains the new key."""
        last = max(filter(None, (self.cutover_at, self.handed_over_at)), default=None)
        return last + datetime.timedelta(seconds=self.grace) if last else None

    @property
    def delete_not_before(self) -> Time | None:
        return self.disabled_at + datetime.timedelta(seconds=self.soak) if self.disabled_at else None

    @property
    def prefix(self) -> str:
        """The start of the names of stored generations; a deleted and recreated record uses another one."""
        started_at = self._required("started_at", self.started_at)
        return f"{self.name}-g{self.generation}-{started_at:%y%m%d%H%M%S}"

    def with_times(self, grace: int | None, soak: int | None) -> RotationRecord:
        """Return the record with other grace and soak times; None keeps the time."""
        return replace(self, grace=self.grace if grace is None else grace, soak=self.soak if soak is None else soak)

    def with_stores(self, stores: tuple[Mapping[str, t.Any], ...] | None) -> RotationRecord:
        """Return the record with other external stores, which do not contain the new key yet; None keeps them."""
        if stores is None or stores == self.external_stores:
            return self
        return replace(self, external_stores=stores, handed_over_at=None)

    def to_json(self) -> str:
        known = asdict(replace(self, version=VERSION))
        return json.dumps({**known.pop("unknown"), **known}, indent=1, default=format_time)

    @classmethod
    def from_json(cls, text: str) -> RotationRecord:
        """Parse a stored record.

        Raises ValueError if it is not valid: an unreadable record must not be treated as a missing one.
        """
        try:
            raw = json.loads(text)
            version = raw.pop("version", 1)
            if not isinstance(version, int) or version > VERSION:
                raise ValueError(f"version {str(version)[:20]} is later than this release supports")
            for name in ("old", "new", "current"):
                raw[name] = _read_generation(raw.get(name))
            if "activating_at" not in raw:  # an earlier release wrote the record: the value may be valid
                raw["activating_at"] = raw.get("issued_at")
            for name in _TIMES:
                raw[name] = parse_time(raw[name]) if raw.get(name) else None
            raw["members"] = tuple((identifier, uid) for identifier, uid in raw["members"])
            raw["phase"] = _FORMER_PHASES.get(raw["phase"], raw["phase"])
            raw["transitions"] = [_read_transition(**entry) for entry in raw.get("transitions", ())]
            for name in ("fields", "snapshot", "past", "transitions", "external_stores"):
                raw[name] = tuple(raw.get(name, ()))
            if version == 1 and raw["cutover_at"]:
                raw["completed_id"] = raw.get("rotation_id")
            known = {name: raw.pop(name) for name in _FIELDS if name in raw}
            record = cls(**known, unknown=raw)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(str(error)) from None
        if record.phase not in PHASES:
            raise ValueError(f"unknown phase {record.phase}")
        if record.cutover not in (DIRECT, EXTERNAL):
            raise ValueError(f"unknown cutover {record.cutover}")
        return record

    def present(self, credentials: t.Iterable[CredentialSnapshot | None]) -> tuple[CredentialSnapshot, ...]:
        """Return the credentials that are members, without those that were deleted or recreated."""
        uids = dict(self.members)
        return tuple(
            credential for credential in credentials
            if credential is not None and uids.get(credential.id) == credential.uid
        )

    def recorded_key(self, credential: CredentialSnapshot) -> str | None:
        """Return the recorded id of the key in a credential; None if there is none."""
        found = {name: credential.digests.get(name) for name in self.fields}
        return next(
            (each.key for each in (self.old, self.new, self.current)
             if each and each.key and dict(each.digests) == found), None)

    def key_in(self, credential: CredentialSnapshot) -> str:
        """Return which key a credential contains: OLD, NEW, MIXED or OTHER."""
        found = {name: credential.digests.get(name) for name in self.fields}
        for generation, key in ((self.old, OLD), (self.new, NEW)):
            if generation and found == dict(generation.digests):
                return key
        if self.old and self.new:
            digests = (self.old.digests, self.new.digests)
            if all(found[name] in [values.get(name) for values in digests] for name in self.fields):
                return MIXED
        return OTHER

    def is_restored(self, credentials: t.Iterable[CredentialSnapshot]) -> bool:
        """Whether credentials contain a retired key, as after Rancher was restored from a backup."""
        found = [{name: credential.digests.get(name) for name in self.fields} for credential in credentials]
        current = self.current and dict(self.current.digests)
        retired = [digests for digests in map(dict, self.past) if digests != current]
        return any(digests in retired for digests in found) and all(
            digests == current or digests in retired for digests in found
        )


_FIELDS = tuple(each.name for each in fields(RotationRecord) if each.name != "unknown")
_TIMES = tuple(name for name in _FIELDS if name.endswith("_at"))


def _read_generation(raw: Mapping[str, t.Any] | None) -> KeyGeneration | None:
    return KeyGeneration(raw["key"], raw["version"], raw["digests"]) if raw else None


def _read_transition(at: str, phase: str, **rest: str) -> dict[str, str]:
    return {"at": format_time(parse_time(at)), "phase": _FORMER_PHASES.get(phase, phase), **rest}
