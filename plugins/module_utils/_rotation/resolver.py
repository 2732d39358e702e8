# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Resolves what a task requests to rotations: the credentials with one key, its record and its issuer.

Needs no cluster: everything was read before.
"""

from __future__ import annotations

import json
import typing as t
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .._common.errors import RanchhandError, ValidationErrors, internal_error
from .._issuers.registry import SUPPLIED, default_issuer, load_issuer
from .._issuers.throttle import CallRates, ThrottledIssuer
from .._rancher.cloud_credential import CloudCredential
from .._rancher.driver_schema import DriverSchemas, check_config, to_stored_text
from .._rancher.references import CREDENTIAL_NAMESPACE
from .._rancher.users import Users
from ..issuer import Issuer, IssuerError
from .decisions import ADOPTED, FORGOTTEN, ROTATED
from .options import DesiredRotation
from .record import EXTERNAL, IDLE, PREPARING, KeyGeneration, RotationRecord
from .store import RotationStore, StoredRecord, record_name

ReadSchemas = t.Callable[[], t.Optional[DriverSchemas]]


@dataclass(frozen=True)
class RotationUnit:
    """Credentials that are rotated together because they contain one key.

    ``members`` are those that exist, ``config_map`` is their record as stored, None for a new one. ``others_old`` and
    ``others_new`` are the ids of other credentials that contain the old or the new key of a rotation in progress.
    """

    desired: DesiredRotation
    members: tuple[CloudCredential, ...]
    record: RotationRecord
    config_map: Mapping[str, t.Any] | None
    issuer: Issuer
    others_old: tuple[str, ...] = ()
    others_new: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def is_cutover_external(self) -> bool:
        """Whether another tool writes the new key to the credentials."""
        record = self.record
        return (record.phase == IDLE and self.desired.cutover or record.cutover) == EXTERNAL


@dataclass(frozen=True)
class ResolvedItem:
    """An item of the task: its credential, and the name of its unit or the error that only this item has.

    ``id`` is None if no credential was found; ``credential`` is None if it was deleted, or not found.
    """

    desired: DesiredRotation
    id: str | None = None
    credential: CloudCredential | None = None
    unit: str = ""
    error: RanchhandError | None = None


@dataclass(frozen=True)
class Resolution:
    """The answer for all items of a task, in their order."""

    units: Mapping[str, RotationUnit] = field(default_factory=dict)
    items: tuple[ResolvedItem, ...] = ()


def resolve(
    desired: t.Sequence[DesiredRotation], store: RotationStore, users: Users, read_schemas: ReadSchemas,
    rates: CallRates,
) -> Resolution:
    """Resolve the items of a task. The time is linear in the number of credentials and items."""
    found = [_find(item, store, users) for item in desired]
    resolver = _Resolver(store, frozenset(item.id for item in found if item.id), read_schemas, rates)
    items = [item if item.error else resolver.resolve(item) for item in found]
    units = {name: unit for name, unit in resolver.units.items() if name not in resolver.contradictions}
    return Resolution(units, tuple(
        replace(item, unit="", error=resolver.contradictions[item.unit]) if item.unit in resolver.contradictions
        else item for item in items
    ))


def _find(item: DesiredRotation, store: RotationStore, users: Users) -> ResolvedItem:
    """Find the credential of an item; a deleted one is found by its id if there is a record."""
    if item.id is not None and store.credential(item.id) is None and store.stored_record(item.id):
        return ResolvedItem(item, item.id)
    try:
        credential: CloudCredential | None = store.catalog.find(item, users)
    except RanchhandError as error:
        return ResolvedItem(item, error=error)
    if credential is None:
        message = f"cloud credential {item.name:.80} does not exist. Check its name and the connection."
        return ResolvedItem(item, error=RanchhandError("not_found", message))
    if credential.problem:
        message = f"cannot rotate {credential.full_id}: it {credential.problem}. Repair the credential first."
        return ResolvedItem(item, credential.id, credential, error=RanchhandError("invalid", message))
    return ResolvedItem(item, credential.id, credential)


class _KeyIndex:
    """Credentials by the key that they contain, for the issuers of one class and the fields of a key.

    Credentials have the same key if all its fields are equal or, with an issuer that lists keys, its id.
    """

    def __init__(self, store: RotationStore, issuer: Issuer, fields: t.Sequence[str]) -> None:
        self._store = store
        self._issuer = issuer
        self._fields = fields
        self._holders: dict[t.Hashable, list[CloudCredential]] = defaultdict(list)
        for credential in store.catalog.by_id.values():
            if not credential.deleting and not credential.problem and self._supports(credential):
                for key in self._keys(credential):
                    self._holders[key].append(credential)

    def _supports(self, credential: CloudCredential) -> bool:
        drivers = self._issuer.drivers
        return (not drivers or credential.driver in drivers) and all(name in credential.data for name in self._fields)

    def _keys(self, credential: CloudCredential) -> t.Iterator[t.Hashable]:
        values = self._store.values(credential)
        yield ("fields", *(values[name] for name in self._fields))
        if self._issuer.lists:
            try:
                key_id = self._issuer.key_id(values)
            except Exception:  # values that the issuer does not understand
                return
            if key_id is not None:
                yield "id", key_id

    def holders(self, credential: CloudCredential) -> dict[str, CloudCredential]:
        """Return all credentials with the key of this one, which is included, by id."""
        return {
            credential.id: credential,
            **{other.id: other for key in self._keys(credential) for other in self._holders[key]},
        }


class _Resolver:
    """Resolves items one after another; a unit is resolved once, for the first of its items."""

    def __init__(
        self, store: RotationStore, requested: frozenset[str], read_schemas: ReadSchemas, rates: CallRates
    ) -> None:
        self._store = store
        self._requested = requested
        self._read_schemas = read_schemas
        self._rates = rates
        self._issuers: dict[str, Issuer] = {}
        self._indexes: dict[t.Hashable, _KeyIndex] = {}
        self._by_digests: dict[tuple[str, ...], dict[tuple[str, ...], list[str]]] = {}
        self._progress: dict[tuple[str, ...], dict[tuple[str, ...], StoredRecord]] = defaultdict(dict)
        for stored in store.records.values():
            for key in (stored.record.old, stored.record.new):
                if key and stored.record.phase != IDLE:
                    self._progress[stored.record.fields][_in_order(key.digests, stored.record.fields)] = stored
        self._unit_of: dict[str, str] = {}
        self.units: dict[str, RotationUnit] = {}
        self.contradictions: dict[str, RanchhandError] = {}

    def resolve(self, item: ResolvedItem) -> ResolvedItem:
        identifier = t.cast(str, item.id)
        try:
            if identifier not in self._unit_of:
                unit = self._resolve(item.desired, identifier, item.credential)
                self.units.setdefault(unit.name, unit)
                self._unit_of[identifier] = unit.name
                for member, _uid in unit.record.members:
                    self._unit_of.setdefault(member, unit.name)
            name = self._unit_of[identifier]
            self._compare(item.desired, self.units[name])
            return replace(item, unit=name)
        except RanchhandError as error:
            return replace(item, error=error)
        except IssuerError as error:
            return replace(item, error=RanchhandError("invalid", error.message))
        except Exception as error:
            return replace(item, error=internal_error(error))

    def _compare(self, desired: DesiredRotation, unit: RotationUnit) -> None:
        differing = unit.desired.other_settings(desired)
        if differing:
            items = " and ".join(each.where.rstrip(": ") for each in (unit.desired, desired))
            self.contradictions[unit.name] = RanchhandError("invalid", (
                f"{unit.record.names} contain the same key, but {items} set {', '.join(differing)} differently. "
                "Nothing was changed. Set the same options for all credentials with this key."
            ))

    # unit

    def _resolve(
        self, desired: DesiredRotation, identifier: str, credential: CloudCredential | None
    ) -> RotationUnit:
        self._check_readable((identifier,))
        stored = self._store.stored_record(identifier)
        record = stored.record if stored else None
        if stored and stored.record.phase != IDLE:
            return self._in_progress(desired, stored)
        if credential is None or self._has_nothing_to_do(desired, record):
            return self._idle(desired, identifier, credential, stored)
        shared = self._find_progress(credential)
        if shared:
            return self._share_progress(desired, credential, shared)
        name = desired.issuer or self._issuer_of(desired, record) or default_issuer(credential.driver) or SUPPLIED
        issuer, options = self._load_issuer(desired, credential, name, record)
        fields = issuer.fields or (record.fields if record else ())
        _check_fields(credential, fields)
        members = (self._members_of(record) if record else {}) or {identifier: credential}
        if desired.requested_state in (ROTATED, ADOPTED):
            members.update(self._find_members(credential, name, issuer, fields))
        self._check_readable(members)
        stored = self._find_record(members, fields) or stored
        self._check_shared(desired, credential, members)
        first = min(members)
        record = stored.record if stored else RotationRecord(record_name(first), (), "", "", ())
        record = replace(
            record, members=tuple((member, members[member].uid) for member in sorted(members)), issuer=name,
            fields=tuple(fields), driver=record.driver or credential.driver or "", **options,
        )
        return RotationUnit(
            desired, tuple(members[member] for member in sorted(members)), record,
            stored.config_map if stored else None, issuer,
        )

    @staticmethod
    def _issuer_of(desired: DesiredRotation, record: RotationRecord | None) -> str | None:
        """Return the issuer of the last rotation, unless another rotation is to start."""
        return record.issuer if record and desired.requested_state != ROTATED else None

    def _check_readable(self, identifiers: t.Iterable[str]) -> None:
        for identifier in identifiers:
            unreadable = self._store.unreadable_record(identifier)
            if unreadable:
                raise RanchhandError("conflict", unreadable.message)

    def _has_nothing_to_do(self, desired: DesiredRotation, record: RotationRecord | None) -> bool:
        """Whether a state is reached without an issuer: there is no rotation to end, and no retired key in use."""
        if desired.requested_state in (ROTATED, ADOPTED):
            return False
        return record is None or desired.requested_state != FORGOTTEN and not record.is_restored(
            filter(None, (self._store.live(member) for member, _uid in record.members))
        )

    def _idle(
        self, desired: DesiredRotation, identifier: str, credential: CloudCredential | None,
        stored: StoredRecord | None,
    ) -> RotationUnit:
        """Return a unit whose rotation needs no issuer: there is nothing to do, or only the record is left."""
        members: tuple[CloudCredential, ...] = (credential,) if credential else ()
        record = RotationRecord(record_name(identifier), ((identifier, credential.uid if credential else ""),), "", "",
                                ())
        issuer = Issuer({})
        if stored:
            record = stored.record if credential is None else replace(
                stored.record, members=tuple((name, uid) for name, uid in stored.record.members if self._exists(name)))
            members = tuple(filter(None, (self._store.credential(member) for member, _uid in record.members)))
            if desired.requested_state == FORGOTTEN:
                issuer, _options = self._load_issuer(desired, None, record.issuer, record)
        return RotationUnit(desired, members, record, stored.config_map if stored else None, issuer)

    def _exists(self, identifier: str) -> bool:
        return self._store.credential(identifier) is not None

    def _in_progress(self, desired: DesiredRotation, stored: StoredRecord) -> RotationUnit:
        record = stored.record
        if desired.issuer not in (None, record.issuer):
            raise RanchhandError("invalid", (
                f"the rotation of {record.names} was started with issuer: {record.issuer}. Finish or abort it before "
                f"issuer: {desired.issuer} is used."
            ))
        self._check_readable(member for member, _uid in record.members)
        members = tuple(filter(None, (self._store.credential(member) for member, _uid in record.members)))
        issuer, _options = self._load_issuer(desired, members[0] if members else None, record.issuer, record)
        return RotationUnit(
            desired, members, record, stored.config_map, issuer, self._others(record, record.old),
            self._others(record, record.new),
        )

    def _find_progress(self, credential: CloudCredential) -> StoredRecord | None:
        """Return the rotation in progress whose old or new key a credential contains."""
        for fields, records in self._progress.items():
            found = records.get(_in_order(self._store.digests(credential, fields), fields))
            if found:
                return found
        return None

    def _share_progress(
        self, desired: DesiredRotation, credential: CloudCredential, stored: StoredRecord
    ) -> RotationUnit:
        """Return the unit of a rotation in progress whose new key a credential contains that is none of its members.

        Raises RanchhandError (``unfinished``) if it contains the old key: it cannot join the rotation any more.
        """
        record = stored.record
        digests = self._store.digests(credential, record.fields)
        if record.new and digests == dict(record.new.digests):
            return self._in_progress(desired, stored)
        raise RanchhandError("unfinished", (
            f"{credential.full_id} contains the old key of {record.names}, whose rotation is in phase {record.phase} "
            f"and began without it. Write the new key to {credential.full_id}" + (
                "." if record.old_key_ends_at_cutover else
                ", or return to the old key with state: rolled_back or aborted; then both are rotated together."
            )
        ))

    # members

    def _find_members(
        self, credential: CloudCredential, issuer_name: str, issuer: Issuer, fields: t.Sequence[str]
    ) -> dict[str, CloudCredential]:
        """Find all credentials with one key: they contain it, or a former one of the same record, as after a restore.
        """
        index_key = (issuer_name, tuple(fields))
        if index_key not in self._indexes:
            self._indexes[index_key] = _KeyIndex(self._store, issuer, fields)
        index = self._indexes[index_key]
        members = index.holders(credential)
        for name in list(members):
            stored = self._store.stored_record(name)
            if stored and stored.record.phase == IDLE:
                members.update(self._members_of(stored.record))
        return members

    def _members_of(self, record: RotationRecord) -> dict[str, CloudCredential]:
        """Return the members of a record that contain its current key or a retired one."""
        known = [dict(digests) for digests in (*record.past, *([record.current.digests] if record.current else ()))]
        found = (self._store.credential(member) for member, _uid in record.members)
        return {
            member.id: member for member in found
            if member and not member.deleting and self._store.digests(member, record.fields) in known
        }

    def _find_record(
        self, members: Mapping[str, CloudCredential], fields: t.Sequence[str]
    ) -> StoredRecord | None:
        """Return the idle record of credentials with one key: the one whose current key they contain, else the latest.
        """
        found = filter(None, (self._store.stored_record(member) for member in sorted(members)))
        digests = [self._store.digests(member, fields) for member in members.values()]

        def rank(stored: StoredRecord) -> tuple[bool, str]:
            record = stored.record
            return record.current is not None and dict(record.current.digests) in digests, str(record.rotated_at or "")

        return max(found, key=rank, default=None)

    def _check_shared(
        self, desired: DesiredRotation, credential: CloudCredential, members: Mapping[str, CloudCredential]
    ) -> None:
        others = [members[name].full_id for name in sorted(members) if name not in self._requested]
        if others and desired.requested_state == ROTATED and desired.shared_key != "together":
            raise RanchhandError("shared_key", (
                f"{credential.full_id} contains the same key as {', '.join(others)}, which would stop working. List "
                "all of them in the same task, or set shared_key: together."
            ))

    def _others(self, record: RotationRecord, key: KeyGeneration | None) -> tuple[str, ...]:
        """Return the ids of credentials that contain a key of a record and are not members."""
        if key is None:
            return ()
        if record.fields not in self._by_digests:
            index = self._by_digests[record.fields] = defaultdict(list)
            for credential in self._store.catalog.by_id.values():
                if not credential.deleting:
                    digests = self._store.digests(credential, record.fields)
                    index[_in_order(digests, record.fields)].append(credential.id)
        holders = self._by_digests[record.fields].get(_in_order(key.digests, record.fields), [])
        members = {member for member, _uid in record.members}
        return tuple(sorted(f"{CREDENTIAL_NAMESPACE}:{name}" for name in holders if name not in members))

    # issuer

    def _load_issuer(
        self, desired: DesiredRotation, credential: CloudCredential | None, name: str, record: RotationRecord | None
    ) -> tuple[Issuer, dict[str, t.Any]]:
        """Return an issuer, one for all items with the same options, and the fields of the record about its options.

        Options that the task does not set are those of the record.
        """
        if name == SUPPLIED:
            return self._load_supplied(desired, credential, record)
        if desired.config or desired.secrets:
            raise RanchhandError("invalid", (
                f"config and secrets require issuer: supplied; issuer {name} creates the new values of "
                f"{credential.full_id if credential else 'the credential'} itself"
            ))
        recorded = record if record and record.issuer == name else None
        options = desired.issuer_options
        if options is None:
            options = recorded.issuer_options if recorded else {}
        secrets_name = desired.issuer_secrets_name or (recorded.issuer_secrets_name if recorded else None)
        secrets = desired.issuer_secrets or self._named_secrets(desired, secrets_name)
        issuer = self._shared_issuer(name, {**options, **secrets})
        if credential and issuer.drivers and credential.driver not in issuer.drivers:
            raise RanchhandError("invalid", (
                f"issuer {name} supports driver {', '.join(issuer.drivers)}, but {credential.full_id} has driver "
                f"{credential.driver}. Set another issuer."
            ))
        kept = {option: options[option] for option in issuer.recorded_options if options.get(option) is not None}
        return issuer, {"issuer_options": kept, "issuer_secrets_name": secrets_name}

    @staticmethod
    def _named_secrets(desired: DesiredRotation, name: str | None) -> Mapping[str, t.Any]:
        if name is None:
            return {}
        if name not in desired.named_secrets:
            raise RanchhandError(
                "invalid", f"the issuer requires the secrets {name}, but issuer_secrets_by_name does not contain them")
        return t.cast("Mapping[str, t.Any]", desired.named_secrets[name])

    def _shared_issuer(self, name: str, options: Mapping[str, t.Any]) -> Issuer:
        key = json.dumps([name, options], sort_keys=True, default=str)
        if key not in self._issuers:
            self._issuers[key] = t.cast(Issuer, ThrottledIssuer(load_issuer(name, options), name, self._rates))
        return self._issuers[key]

    def _load_supplied(
        self, desired: DesiredRotation, credential: CloudCredential | None, record: RotationRecord | None
    ) -> tuple[Issuer, dict[str, t.Any]]:
        values = {**desired.config, **desired.secrets}
        driver = credential.driver if credential else record and record.driver
        required = desired.requested_state == ROTATED and (record is None or record.phase in (IDLE, PREPARING))
        if required and credential and not values:
            raise RanchhandError("invalid", (
                f"{credential.full_id} requires its new value in config and secrets: no issuer creates keys for "
                f"driver {driver}"
            ))
        schemas = self._read_schemas()
        fields = schemas.known_fields(driver) if schemas and driver else None
        _config, errors = check_config(fields, desired.config, desired.secrets, to_stored_text)
        if errors:
            raise ValidationErrors(errors)
        names = values or (record.fields if record else ())
        # As everywhere, only the schema of the driver makes a field public.
        public = tuple(name for name in names if fields and name in fields and not fields[name].secret)
        options = desired.supplied_options
        if options is None:
            options = record.issuer_options if record and record.issuer == SUPPLIED else {}
        issuer = self._shared_issuer(
            SUPPLIED, {"values": values, "public": public, "driver": driver, "issuer_options": options}
        )
        return issuer, {"issuer_options": dict(options), "issuer_secrets_name": None}


def _in_order(digests: Mapping[str, str], fields: t.Sequence[str]) -> tuple[str, ...]:
    return tuple(digests.get(name, "") for name in fields)


def _check_fields(credential: CloudCredential, fields: t.Sequence[str]) -> None:
    missing = [name for name in fields if name not in credential.data]
    if missing or not fields:
        raise RanchhandError("invalid", (
            f"cannot rotate {credential.full_id}: it has no field {', '.join(missing) or 'to rotate'}. Store a "
            "complete key first."
        ))
