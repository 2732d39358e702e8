# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""External stores that contain a copy of a key: what is written to them, and the gate that keeps the old key.

A store receives the new key after the cutover, and the old one again before a rollback deletes the new key. Each store
is read first. A value that is neither the old key nor the new one belongs to another writer, and is never overwritten.
"""

from __future__ import annotations

import typing as t
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from .._common.errors import RanchhandError
from .._kubernetes.client import KubernetesClient
from .._rancher.cloud_credential import CloudCredential
from .._stores.interface import SecretStore, StoreContent
from .._stores.kubernetes import RancherCredential
from .._stores.registry import MEMBER, load_store
from ..issuer import Issuer, IssuerError
from .gates import OPEN, UNKNOWN, WAITING, Gate
from .record import NEW, OLD, CredentialSnapshot, RotationRecord, Values
from .store import RotationStore

GATE = "external_store"
ABSENT, FOREIGN = "absent", "foreign"
_REQUESTS = uuid.UUID("6f1f2b0e-5d0b-4c39-9f6e-2b1a5a9b7c11")  # namespace of the ids of requests

Settings = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class StoreSnapshot:
    """What a store contains, with the keyed digests of the credential's fields in it."""

    content: StoreContent
    digests: Mapping[str, str]
    is_claimed: bool = True  # not if it is a credential of another Rancher that does not know yet who rotates its key


def names_in_store(settings: Settings, fields: t.Iterable[str]) -> dict[str, str]:
    """Return the names of the credential's fields in a store."""
    names = settings.get("fields") or {}
    return {name: names.get(name, name) for name in fields}


def values_in_store(settings: Settings, fields: t.Iterable[str], content: StoreContent) -> dict[str, str]:
    """Return the credential's fields in a store; a value that is no text cannot be one of a key."""
    stored = content.fields or {}
    return {name: str(stored[key]) for name, key in names_in_store(settings, fields).items() if key in stored}


def key_in_store(record: RotationRecord, digests: Mapping[str, str]) -> str:
    """Return which key of a record a store contains: OLD, NEW, ABSENT or FOREIGN."""
    if not digests:
        return ABSENT
    for generation, key in ((record.new, NEW), (record.old, OLD)):
        if generation and dict(digests) == dict(generation.digests):
            return key
    return FOREIGN


def is_write_needed(record: RotationRecord, settings: Settings, digests: Mapping[str, str], key: str) -> bool:
    """Whether a store must receive a key. Raises RanchhandError (``conflict``) if it contains another one.

    The new key is written to an empty store, too; the old key only where the new one is.
    """
    require_key_of(record, settings, digests)
    found = key_in_store(record, digests)
    return found in ((OLD, ABSENT) if key == NEW else (NEW,))


def require_key_of(record: RotationRecord, settings: Settings, digests: Mapping[str, str]) -> None:
    """Raise RanchhandError (``conflict``) if a store contains a key that is not of the record."""
    if key_in_store(record, digests) == FOREIGN:
        raise _foreign(record.names, settings)


def check_before_start(
    settings: Settings, credential: CredentialSnapshot, digests: Mapping[str, str], fields: t.Sequence[str],
    is_source: bool,
) -> None:
    """Raise RanchhandError (``conflict``) if a store contains another key than the credential.

    ``invalid`` if its settings name fields that the key does not have, or if it contains no key, but is the source of
    the credential.
    """
    unknown = set(settings.get("fields") or ()) - set(fields)
    if unknown:
        raise RanchhandError("invalid", (
            f"external store {settings['name']} has names for {', '.join(sorted(unknown))}, but the key of "
            f"{credential.id} has the fields {', '.join(fields)}"))
    if is_source and not digests:
        names = ", ".join(names_in_store(settings, fields).values())
        raise RanchhandError("invalid", (
            f"external store {settings['name']} does not contain {names}, so no tool writes {credential.id} from it. "
            "Correct its settings, or omit cutover."))
    expected = {name: credential.digests.get(name, "") for name in fields}
    if (digests or settings.get("type") == MEMBER) and dict(digests) != expected:
        raise _foreign(credential.id, settings)


def check_external_cutover(names: str, stores: t.Sequence[Settings], issuer: Issuer) -> None:
    """Raise RanchhandError if no tool can write credentials from one store, while their old key works."""
    if len(stores) != 1 or stores[0]["type"] == "rancher":
        raise RanchhandError("invalid", (
            f"cutover: external requires exactly one store in external_stores, from which another tool writes {names}"))
    if issuer.replaces_current or issuer.old_key_ends_at_cutover:
        raise RanchhandError("unsupported", (
            f"cutover: external is not possible for {names}: the old key ends before the other tool has written the "
            "new one"))


def _foreign(names: str, settings: Settings) -> RanchhandError:
    return RanchhandError("conflict", (
        f"external store {settings['name']} contains another value than {names} and than the key before it, so another "
        f"client writes it. It was not overwritten. Write the key of {names} to the store, or remove the store from "
        "external_stores, and run the task again."))


def external_store_gate(
    record: RotationRecord, found: t.Sequence[tuple[str, Mapping[str, str] | IssuerError | RanchhandError]]
) -> Gate:
    """Return the gate: each store must contain the new key.

    Args:
        found: the name of each store, with the digests of the fields in it, or why it cannot be read.
    """
    unreadable = [f"{each.message}" for _name, each in found if isinstance(each, (IssuerError, RanchhandError))]
    if unreadable:
        return Gate(GATE, UNKNOWN, unreadable[0].rstrip("."))
    keys = {name: key_in_store(record, digests) for name, digests in found if isinstance(digests, Mapping)}
    others = {name: key for name, key in keys.items() if key != NEW}
    if not others:
        return Gate(GATE, OPEN, f"{', '.join(keys)} contains the new key")
    contents = {OLD: "the old key", ABSENT: "no key", FOREIGN: "a value of another client"}
    name, key = next(iter(others.items()))
    return Gate(GATE, WAITING, (
        f"external store {name} to contain the new key; it contains {contents[key]}. Write the new key to it, also "
        "with state: rotated and repair: true unless another client wrote it"))


class StoreAccess:
    """Reads and writes stores, with the secrets of a task by the name of the store."""

    def __init__(self, secrets: Mapping[str, Mapping[str, t.Any]], store: RotationStore) -> None:
        self._secrets = secrets
        self._store = store

    def read(self, settings: Settings, fields: t.Sequence[str], of_another: bool = False) -> StoreSnapshot:
        """Read a store. Raises IssuerError, and RanchhandError (``conflict``) if another Rancher rotates its key.

        Args:
            of_another: Read it nevertheless.
        """
        content = self._load(settings).read()
        leader = self._store.leader_id
        if content.leader not in (None, leader) and not of_another:
            raise RanchhandError("conflict", (
                f"external store {settings['name']} contains a key that another Rancher rotates. It was not changed. "
                "If that Rancher is lost, take the rotation over with state: adopted and these external_stores."))
        is_claimed = settings["type"] != MEMBER or content.leader == leader
        return StoreSnapshot(content, self._store.digests_of(values_in_store(settings, fields, content)), is_claimed)

    def claim(self, settings: Settings, snapshot: StoreSnapshot) -> None:
        """Write to a credential of another Rancher that this one rotates its key. Raises IssuerError or StoreChanged.
        """
        t.cast(RancherCredential, self._load(settings)).claim(self._store.leader_id, snapshot.content)

    def write(self, settings: Settings, values: Values, snapshot: StoreSnapshot, what: str) -> None:
        """Write the fields of a key instead of what was read. Raises IssuerError or StoreChanged.

        Args:
            what: identifies the key.
        """
        names = names_in_store(settings, values)
        request = str(uuid.uuid5(_REQUESTS, f"{what} {settings['name']} {snapshot.content.version}"))
        self._load(settings).write({names[name]: text for name, text in values.items()}, snapshot.content, request)

    def open_member(self, settings: Settings) -> tuple[KubernetesClient, CloudCredential]:
        """Connect to another Rancher, and read its credential. Raises IssuerError or RanchhandError."""
        return t.cast(RancherCredential, self._load(settings)).open()

    def _load(self, settings: Settings) -> SecretStore:
        return load_store(settings, self._secrets.get(settings["name"]) or {})

    def read_all(
        self, record: RotationRecord
    ) -> list[tuple[str, Mapping[str, str] | IssuerError | RanchhandError]]:
        """Read all stores of a record, as external_store_gate() needs them."""
        found: list[tuple[str, Mapping[str, str] | IssuerError | RanchhandError]] = []
        for settings in record.external_stores:
            try:
                found.append((settings["name"], self.read(settings, record.fields).digests))
            except (IssuerError, RanchhandError) as error:
                found.append((settings["name"], error))
        return found
