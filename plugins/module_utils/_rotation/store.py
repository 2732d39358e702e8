# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Storage of rotations: a namespace with a ConfigMap for each record, Secrets with the values of keys, and Leases.

Digests in records are keyed, with a key that is stored in the namespace too, because passwords could be guessed from
bare hashes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets as random_source
import typing as t
from collections import defaultdict
from collections.abc import Mapping

from .._common.errors import ApiError, RanchhandError
from .._kubernetes.client import KubernetesClient, name_in_path
from .._rancher.annotations import COPY_OF_ROTATION, ROTATION_LABEL, ROTATION_TOKEN
from .._rancher.cloud_credential import CloudCredential, decode_values, parse_cloud_credential
from .._rancher.queries import get_or_none
from .._resources.cloud_credential_plan import credential_catalog
from .record import ANOTHER, IDLE, OWN, CredentialSnapshot, RotationRecord, Values

Write = t.Callable[[], t.Dict[str, t.Any]]
_PREFIX = "rotation-"  # of the names of records
_LONGEST_NAME = 63     # of a label's value


class RotationNamespace:
    """The namespace that contains the records, values and leases of rotations."""

    digests_name = "rotation-digests"  # name of the Secret with the key of the digests

    def __init__(self, client: KubernetesClient, name: str) -> None:
        self.client = client
        self.name = name
        base = f"/api/v1/namespaces/{name_in_path(name)}"
        self.config_maps = f"{base}/configmaps"
        self.secrets = f"{base}/secrets"
        self.events = f"{base}/events"
        self.leases = f"/apis/coordination.k8s.io/v1/namespaces/{name_in_path(name)}/leases"
        self._key: bytes | None = None

    def list_records(self) -> tuple[dict[str, StoredRecord], tuple[UnreadableRecord, ...]]:
        """List all records by name, and those that cannot be read."""
        found = {}
        unreadable = []
        for config_map in self.client.list_objects(self.config_maps, labelSelector=f"{ROTATION_LABEL}=record"):
            try:
                record = parse_record(config_map)
            except RanchhandError as error:
                name = config_map["metadata"]["name"]
                unreadable.append(UnreadableRecord(name, _guess_members(config_map), error.message))
            else:
                found[record.name] = StoredRecord(record, config_map)
        return found, tuple(unreadable)

    def read_key(self) -> bytes | None:
        """Return the key of the digests; None if it does not exist yet."""
        if self._key is None:
            found = get_or_none(self.client, f"{self.secrets}/{self.digests_name}")
            if found is not None:
                self._key = base64.b64decode(found["data"]["key"])
        return self._key

    def ensure_key(self) -> bytes:
        """Return the key of the digests; creates it if it does not exist yet."""
        key = self.read_key()
        if key is None:
            body = {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "Opaque",
                "immutable": True,
                "metadata": {"name": self.digests_name},
                "data": {"key": base64.b64encode(random_source.token_bytes(32)).decode()},
            }
            try:
                self._create_first_object(body)
            except ApiError as error:  # a concurrent run was faster, or the reply was lost: the stored key counts
                if error.reason != "AlreadyExists":
                    raise
            stored = self.client.get(f"{self.secrets}/{self.digests_name}")
            key = self._key = base64.b64decode(stored["data"]["key"])
        return key

    def _create_first_object(self, body: Mapping[str, t.Any]) -> None:
        """Create the first Secret of the namespace; creates the namespace if it is missing."""
        try:
            without_echo(lambda: self.client.post(self.secrets, body))
        except ApiError as error:
            if error.status != 404:
                raise
            try:
                self.client.post(
                    "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}}
                )
            except ApiError as problem:
                if problem.status == 403:
                    raise RanchhandError(
                        "forbidden",
                        (
                            f"cannot store records of rotations: namespace {self.name} does not exist, and this "
                            "connection may not create it. "
                            "Apply docs/rbac/rotation.yaml, which contains it and the required permissions."
                        ),
                    ) from None
                if problem.reason != "AlreadyExists":
                    raise
            without_echo(lambda: self.client.post(self.secrets, body))


class StoredRecord(t.NamedTuple):
    """A record and the ConfigMap that contains it."""

    record: RotationRecord
    config_map: Mapping[str, t.Any]


class UnreadableRecord(t.NamedTuple):
    """A record that cannot be read: its rotation must not continue, and its credentials must not start another one.

    ``members`` are the ids of its credentials as far as they can be recognized.
    """

    name: str
    members: tuple[str, ...]
    message: str


def _guess_members(config_map: Mapping[str, t.Any]) -> tuple[str, ...]:
    """Return the members that a damaged record names; else the credential after which the record was named."""
    try:
        raw = json.loads((config_map.get("data") or {})["record"])
        members = [str(member[0]) for member in raw["members"]]
    except (KeyError, TypeError, ValueError, IndexError):
        members = []
    return tuple(members) or (config_map["metadata"]["name"][len(_PREFIX):],)


def record_name(identifier: str) -> str:
    """Return the name of the record for a credential.

    It is also the value of a label, which has at most 63 characters; the name of a Secret has up to 253.
    """
    name = _PREFIX + identifier
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(identifier.encode()).hexdigest()[:16]
    return f"{name[:_LONGEST_NAME - len(digest) - 1].rstrip('.-')}-{digest}"


def parse_record(config_map: Mapping[str, t.Any]) -> RotationRecord:
    """Parse the record in a ConfigMap.

    Raises RanchhandError (``conflict``) if it is unreadable, as then nothing is known.
    """
    try:
        return RotationRecord.from_json((config_map.get("data") or {}).get("record") or "")
    except ValueError as error:
        metadata = config_map["metadata"]
        raise RanchhandError(
            "conflict",
            (
                f"cannot read the rotation record in ConfigMap {metadata['namespace']}/{metadata['name']} ({error}). "
                "Nothing was changed. Upgrade the collection on this controller if a later version wrote it. Otherwise "
                "restore the ConfigMap from a backup, or delete it to forget the rotation."
            ),
        ) from None


def without_echo(write: Write) -> dict[str, t.Any]:
    """Write an object with secrets.

    Errors contain only the kind of failure, because webhooks and proxies may quote the request.
    """
    try:
        return write()
    except ApiError as error:
        if error.code == "forbidden":
            message = "this connection may not write it"
        else:
            reason = f", {error.reason}" if error.reason.isalpha() else ""
            message = f"the API server or a proxy rejected it (HTTP status {error.status}{reason})"
        raise ApiError(error.code, f"cannot store a Secret: {message}", error.status, error.reason) from None


def compute_digests(key: bytes, values: Values) -> dict[str, str]:
    """Return keyed digests of fields, to compare them without their values."""
    return {
        name: hmac.new(key, f"{name}\0{text}".encode(), hashlib.sha256).hexdigest()[:40]
        for name, text in values.items()
    }


def leader_id(key: bytes) -> str:
    """Return what identifies the Rancher that rotates a key that several contain: its records, by their own key."""
    return hmac.new(key, b"leader", hashlib.sha256).hexdigest()[:16]


def take_snapshot(credential: CloudCredential | None, key: bytes) -> CredentialSnapshot | None:
    """Return a credential as the protocol needs it; None if it is deleted or being deleted."""
    if credential is None or credential.deleting:
        return None
    values = decode_values(credential)
    token = credential.annotations.get(ROTATION_TOKEN)
    found = credential.annotations.get(COPY_OF_ROTATION)
    leader = None if found is None else OWN if found == leader_id(key) else ANOTHER
    return CredentialSnapshot(
        credential.id, credential.uid, credential.resource_version, token, values, compute_digests(key, values), leader)


def snapshot_secret(secret: Mapping[str, t.Any] | None, key: bytes) -> CredentialSnapshot | None:
    """Return the Secret of a credential as the protocol needs it; None if it is deleted or being deleted."""
    return take_snapshot(parse_cloud_credential(secret), key) if secret else None


class RotationHistory(t.NamedTuple):
    """The content of a namespace of rotations: the records, and the key of the digests in them."""

    namespace: RotationNamespace
    records: Mapping[str, StoredRecord]
    key: bytes
    unreadable: tuple[UnreadableRecord, ...] = ()


def read_history(client: KubernetesClient, namespace: str) -> RotationHistory:
    """Read all records. Raises RanchhandError (``conflict``) if they cannot be used any more."""
    rotations = RotationNamespace(client, namespace)
    records, unreadable = rotations.list_records()
    key = rotations.read_key()  # after the records: it is created before the first of them
    if records and key is None:
        raise RanchhandError(
            "conflict",
            (
                f"Secret {namespace}/{rotations.digests_name} is missing, so it is unknown which keys the "
                "credentials contain. "
                "Restore it from a backup, or delete all records of rotations."
            ),
        )
    return RotationHistory(rotations, records, key or random_source.token_bytes(32), unreadable)


class RotationStore:
    """The credentials of a Rancher and the records of their rotations, as they were read."""

    def __init__(self, credentials: t.Iterable[CloudCredential], history: RotationHistory) -> None:
        self.catalog = credential_catalog(credentials)
        self._key = history.key
        self._namespace = history.namespace
        self._values: dict[str, dict[str, str]] = {}
        self.records = history.records
        self.unreadable = history.unreadable
        self._unreadable = {member: record for record in history.unreadable for member in record.members}
        self._records: dict[str, list[StoredRecord]] = defaultdict(list)
        for stored in history.records.values():
            for name, _uid in stored.record.members:
                self._records[name].append(stored)

    def stored_record(self, identifier: str) -> StoredRecord | None:
        """Return the record of a credential: the one in progress, else the latest."""
        return max(
            self._records.get(identifier, ()),
            key=lambda stored: (stored.record.phase != IDLE, str(stored.record.rotated_at or "")), default=None)

    def unreadable_record(self, identifier: str) -> UnreadableRecord | None:
        """Return the unreadable record of a credential."""
        return self._unreadable.get(identifier)

    def record(self, identifier: str) -> RotationRecord | None:
        found = self.stored_record(identifier)
        return found.record if found else None

    def credential(self, identifier: str) -> CloudCredential | None:
        found: CloudCredential | None = self.catalog.by_id.get(identifier)
        return found

    def live(self, identifier: str) -> CredentialSnapshot | None:
        """Return the snapshot of a credential; None if it is deleted or being deleted."""
        return take_snapshot(self.credential(identifier), self._key)

    def values(self, credential: CloudCredential) -> Mapping[str, str]:
        """Return the fields of a credential; decoded once."""
        if credential.id not in self._values:
            self._values[credential.id] = decode_values(credential)
        return self._values[credential.id]

    def digests_of(self, values: Values) -> dict[str, str]:
        """Return the keyed digests of values, with the key that a run has created meanwhile."""
        return compute_digests(self._namespace.read_key() or self._key, values)

    @property
    def leader_id(self) -> str:
        """What identifies this Rancher in others, with the key that a run has created meanwhile."""
        return leader_id(self._namespace.read_key() or self._key)

    def digests(self, credential: CloudCredential, fields: t.Iterable[str]) -> dict[str, str]:
        """Return the keyed digests of some fields of a credential."""
        values = self.values(credential)
        return compute_digests(self._key, {name: values[name] for name in fields if name in values})
