# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Resolves what a task requests to rotations: the credentials with one key, its record and its issuer.

Needs no cluster: everything was read before.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .._common.errors import RanchhandError
from .._rancher.cloud_credential import CloudCredential
from .._rancher.users import Users
from ..issuer import Issuer, IssuerError
from .decisions import ROTATED
from .issuers.registry import default_issuer, load_issuer
from .issuers.supplied import PUBLIC_FIELDS
from .options import DesiredRotation
from .record import IDLE, PREPARING, RotationRecord
from .store import RotationStore, StoredRecord, decode_values

SUPPLIED = "supplied"


@dataclass(frozen=True)
class RotationUnit:
    """Credentials that are rotated together because they contain one key.

    ``config_map`` is their record as stored, None for a new one.
    """

    desired: DesiredRotation
    members: tuple[CloudCredential, ...]
    record: RotationRecord
    config_map: Mapping[str, t.Any] | None
    issuer: Issuer

    @property
    def name(self) -> str:
        return self.record.name


@dataclass(frozen=True)
class ResolvedItem:
    """An item of the task: its credential, and the name of its unit or the error that only this item has."""

    desired: DesiredRotation
    credential: CloudCredential
    unit: str = ""
    error: RanchhandError | None = None


@dataclass(frozen=True)
class Resolution:
    """The answer for all items of a task.

    If there are ``errors``, nothing may be run; each comes with the item's place.
    """

    units: Mapping[str, RotationUnit] = field(default_factory=dict)
    items: tuple[ResolvedItem, ...] = ()
    errors: tuple[tuple[str, RanchhandError], ...] = ()


def resolve(desired: t.Sequence[DesiredRotation], store: RotationStore, users: Users) -> Resolution:
    """Resolve the items of a task."""
    errors: list[tuple[str, RanchhandError]] = []
    matched: list[tuple[DesiredRotation, CloudCredential]] = []
    for item in desired:
        try:
            matched.append((item, _match(item, store, users)))
        except RanchhandError as error:
            errors.append((item.where, error))
    requested = frozenset(credential.id for _item, credential in matched)
    units: dict[str, RotationUnit] = {}
    items: list[ResolvedItem] = []
    for item, credential in matched:
        try:
            unit = _Resolver(item, credential, store, requested).resolve()
            first = units.setdefault(unit.name, unit)
            if first.desired.settings != item.settings:
                raise RanchhandError("invalid", (
                    f"{credential.full_id} contains the same key as {first.members[0].full_id}, but has other options. "
                    "Set the same options for all credentials with this key."))
            items.append(ResolvedItem(item, credential, unit.name))
        except IssuerError as error:
            errors.append((item.where, RanchhandError("invalid", error.message)))
        except RanchhandError as error:
            if error.code == "shared_key":  # no validation error: other items are rotated
                items.append(ResolvedItem(item, credential, error=error))
            else:
                errors.append((item.where, error))
    return Resolution(units, tuple(items), tuple(errors))


def _match(item: DesiredRotation, store: RotationStore, users: Users) -> CloudCredential:
    credential: CloudCredential | None = store.catalog.find(item, users)
    if credential is None:
        raise RanchhandError(
            "not_found", f"cloud credential {item.name:.80} does not exist. Check its name and the connection."
        )
    if credential.problem:
        raise RanchhandError(
            "invalid", f"cannot rotate {credential.full_id}: {credential.problem}. Repair the credential first."
        )
    return credential


class _Resolver:
    """Resolves one item."""

    def __init__(
        self, desired: DesiredRotation, credential: CloudCredential, store: RotationStore, requested: frozenset[str]
    ) -> None:
        self._desired = desired
        self._credential = credential
        self._store = store
        self._requested = requested
        self._stored = store.stored_record(credential.id)
        self._record = self._stored.record if self._stored else None
        self._rotating = desired.requested_state == ROTATED

    def resolve(self) -> RotationUnit:
        record = self._record
        if record is None and not self._rotating:  # there is nothing to do, so options of the issuer are not required
            return self._nothing_to_do()
        name = self._issuer_name()
        issuer = self._load_issuer(name)
        if record and record.phase != IDLE:
            members = tuple(filter(None, (self._store.credential(member) for member, _uid in record.members)))
            self._check_fields(record.fields)
            return RotationUnit(self._desired, members, record, self._stored and self._stored.config_map, issuer)
        fields = issuer.fields or (record.fields if record else ())
        self._check_fields(fields)
        members = self._find_members(issuer, fields) if self._rotating else (self._credential,)
        stored = self._store.stored_record(members[0].id) or self._stored
        return self._new_unit(stored, members, name, issuer, fields)

    def _nothing_to_do(self) -> RotationUnit:
        credential = self._credential
        record = RotationRecord(f"rotation-{credential.id}", ((credential.id, credential.uid),), "", "", ())
        return RotationUnit(self._desired, (credential,), record, None, Issuer({}))

    def _new_unit(
        self,
        stored: StoredRecord | None,
        members: tuple[CloudCredential, ...],
        issuer_name: str,
        issuer: Issuer,
        fields: tuple[str, ...],
    ) -> RotationUnit:
        driver = self._credential.driver or ""
        record = (
            stored.record if stored else RotationRecord(f"rotation-{members[0].id}", (), driver, issuer_name, fields)
        )
        identities = tuple((member.id, member.uid) for member in members)
        record = replace(record, members=identities, issuer=issuer_name, fields=fields)
        return RotationUnit(self._desired, members, record, stored.config_map if stored else None, issuer)

    # issuer

    def _issuer_name(self) -> str:
        record, desired = self._record, self._desired
        in_progress = record is not None and record.phase != IDLE
        if record is not None and in_progress:
            if desired.issuer not in (None, record.issuer):
                raise RanchhandError(
                    "invalid",
                    (
                        f"the rotation of {self._credential.full_id} was started with issuer: {record.issuer}. "
                        "Finish or abort it before "
                        f"issuer: {desired.issuer} is used."
                    ),
                )
            return record.issuer
        return desired.issuer or default_issuer(self._credential.driver) or SUPPLIED

    def _load_issuer(self, name: str) -> Issuer:
        desired, credential = self._desired, self._credential
        if name == SUPPLIED:
            return self._load_supplied()
        if desired.config or desired.secrets:
            raise RanchhandError(
                "invalid",
                f"config and secrets require issuer: supplied; issuer {name} creates the new values of "
                f"{credential.full_id}",
            )
        issuer = load_issuer(name, desired.issuer_options)
        if issuer.drivers and credential.driver not in issuer.drivers:
            raise RanchhandError(
                "invalid",
                (
                    f"issuer {name} supports driver {', '.join(issuer.drivers)}, but {credential.full_id} has driver "
                    f"{credential.driver}. "
                    "Set another issuer."
                ),
            )
        return issuer

    def _load_supplied(self) -> Issuer:
        desired, credential, record = self._desired, self._credential, self._record
        values = {**desired.config, **desired.secrets}
        required = self._rotating and (record is None or record.phase in (IDLE, PREPARING))
        if required and not values:
            raise RanchhandError(
                "invalid",
                (
                    f"{credential.full_id} requires its new value in config and secrets: no issuer creates keys for "
                    f"driver {credential.driver}"
                ),
            )
        public = tuple(desired.config) or tuple(name for name in credential.data if name in PUBLIC_FIELDS)
        return load_issuer(SUPPLIED, {"values": values, "public": public})

    # members

    def _check_fields(self, fields: t.Sequence[str]) -> None:
        missing = [name for name in fields if name not in self._credential.data]
        if missing or not fields:
            raise RanchhandError(
                "invalid",
                (
                    f"cannot rotate {self._credential.full_id}: it has no field {', '.join(missing) or 'to rotate'}. "
                    "Store a complete key first."
                ),
            )

    def _find_members(self, issuer: Issuer, fields: t.Sequence[str]) -> tuple[CloudCredential, ...]:
        """Find all credentials that contain the key of this one, which is included."""
        members = sorted(
            (
                other
                for other in self._store.catalog.by_id.values()
                if other.id == self._credential.id or self._has_same_key(other, issuer, fields)
            ),
            key=lambda other: str(other.id),
        )
        others = [other.full_id for other in members if other.id not in self._requested]
        if others and self._desired.shared_key != "together":
            raise RanchhandError(
                "shared_key",
                (
                    f"{self._credential.full_id} contains the same key as {', '.join(others)}, which would stop "
                    "working. List all of them in the "
                    "same task, or set shared_key: together."
                ),
            )
        return tuple(members)

    def _has_same_key(self, other: CloudCredential, issuer: Issuer, fields: t.Sequence[str]) -> bool:
        if other.deleting or other.problem or any(name not in other.data for name in fields):
            return False
        if issuer.drivers and other.driver not in issuer.drivers:
            return False
        if all(other.text(name) == self._credential.text(name) for name in fields):
            return True
        try:
            return issuer.lists and issuer.key_id(decode_values(other)) == issuer.key_id(
                decode_values(self._credential)
            )
        except IssuerError:
            return False
