# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Makes the calls of a rotation's protocol at a Rancher's management cluster and, through an issuer, at a cloud.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets as random_source
import typing as t
from collections import defaultdict
from collections.abc import Mapping

from .._common.errors import ApiError, RanchhandError
from .._kubernetes.client import KubernetesClient, name_in_path
from .._rancher.annotations import ROTATION_LABEL, ROTATION_TOKEN
from .._rancher.cloud_credential import CloudCredential, parse_cloud_credential
from .._rancher.queries import get_or_none
from .._resources.cloud_credential_plan import credential_catalog
from .record import CredentialSnapshot, IDLE, RotationRecord

Values = t.Mapping[str, str]


class RotationNamespace:
    """Where the records, kept values and leases of rotations are."""

    digests_name = "rotation-digests"  # of the Secret with the key of the digests

    def __init__(self, client: KubernetesClient, name: str) -> None:
        self.client = client
        self.name = name
        base = f"/api/v1/namespaces/{name_in_path(name)}"
        self.config_maps = f"{base}/configmaps"
        self.secrets = f"{base}/secrets"
        self.events = f"{base}/events"
        self.leases = f"/apis/coordination.k8s.io/v1/namespaces/{name_in_path(name)}/leases"
        self._key: bytes | None = None

    def records(self) -> dict[str, tuple[RotationRecord, t.Any]]:
        """All records by name, each with what it is stored as. Raises RanchhandError for one that cannot be read."""
        found = {}
        for item in self.client.list_objects(self.config_maps, labelSelector=f"{ROTATION_LABEL}=record"):
            record = parse_record(item)
            found[record.name] = (record, item)
        return found

    @property
    def has_key(self) -> bool:
        return self._key is not None

    def key(self, make: bool) -> bytes:
        """The key of the digests, which is made once; without ``make`` one that fits no digest where there is none yet."""
        if self._key is None:
            path = f"{self.secrets}/{self.digests_name}"
            found = get_or_none(self.client, path)
            if found is None:
                if not make:
                    return random_source.token_bytes(32)
                body = {
                    "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": True, "metadata": {"name": self.digests_name},
                    "data": {"key": base64.b64encode(random_source.token_bytes(32)).decode()},
                }
                try:
                    self._post_first(body)
                except ApiError as error:  # a concurrent run was faster, or our reply was lost: what is stored counts
                    if error.reason != "AlreadyExists":
                        raise
                found = self.client.get(path)
            self._key = base64.b64decode(found["data"]["key"])
        return self._key

    def _post_first(self, body: Mapping[str, t.Any]) -> None:
        """Create the first object of the namespace, and the namespace too where that is allowed."""
        try:
            without_echo(lambda: self.client.post(self.secrets, body))
        except ApiError as error:
            if error.status != 404:
                raise
            try:
                self.client.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}})
            except ApiError as problem:
                if problem.status == 403:
                    raise RanchhandError("forbidden", f"there is no namespace {self.name} for the records of rotations, and this connection may not create "
                                                      "it; docs/rbac/rotation.yaml has it, with the rights that are needed") from None
                if problem.reason != "AlreadyExists":
                    raise
            without_echo(lambda: self.client.post(self.secrets, body))


def parse_record(item: Mapping[str, t.Any]) -> RotationRecord:
    """The record in a ConfigMap; raises RanchhandError (``conflict``) if it cannot be read, as then nothing is known."""
    try:
        return RotationRecord.from_json((item.get("data") or {}).get("record") or "")
    except ValueError as error:
        metadata = item["metadata"]
        raise RanchhandError("conflict", f"the record of a rotation in ConfigMap {metadata['namespace']}/{metadata['name']} cannot be read ({error}); "
                                         "nothing was touched") from None


def without_echo(write: t.Callable[[], dict[str, t.Any]]) -> dict[str, t.Any]:
    """Write something that holds secrets: of a refusal only its kind is told, as webhooks and proxies may quote what they were sent."""
    try:
        return write()
    except ApiError as error:
        if error.code == "forbidden":
            message = "this connection may not write it"
        else:
            reason = f", {error.reason}" if error.reason.isalpha() else ""
            message = f"the API server, or something before it, did not take it (HTTP status {error.status}{reason})"
        raise ApiError(error.code, f"a Secret cannot be stored: {message}", error.status, error.reason) from None


def compute_digests(key: bytes, values: Values) -> dict[str, str]:
    """What tells whether a field has changed without telling its value: keyed, as passwords could be guessed from a bare hash."""
    return {name: hmac.new(key, f"{name}\0{text}".encode(), hashlib.sha256).hexdigest()[:40] for name, text in values.items()}


def take_snapshot(secret: Mapping[str, t.Any] | None, key: bytes) -> CredentialSnapshot | None:
    """A credential as a rotation sees it; None if it is gone or going."""
    credential = parse_cloud_credential(secret) if secret else None
    if credential is None or credential.deleting:
        return None
    values = {name: credential.text(name) for name in credential.data}
    return CredentialSnapshot(credential.id, credential.uid, credential.resource_version, credential.annotations.get(ROTATION_TOKEN), values, compute_digests(key, values))


class RotationHistory(t.NamedTuple):
    """What a namespace keeps of rotations: the records, and the key of the digests in them."""

    space: RotationNamespace
    records: Mapping[str, tuple[RotationRecord, t.Any]]
    key: bytes


def read_history(client: KubernetesClient, namespace: str) -> RotationHistory:
    """Raises RanchhandError (``conflict``) if the records are of no use any more."""
    space = RotationNamespace(client, namespace)
    records, key = space.records(), space.key(make=False)  # in this order: the key is made before the first record
    if records and not space.has_key:
        raise RanchhandError("conflict", f"the Secret {namespace}/{space.digests_name} is gone, without which nobody can tell what the credentials "
                                         "hold; restore it from a backup, or delete all records of rotations")
    return RotationHistory(space, records, key)


class RotationStore:
    """The credentials of a Rancher and the records of their rotations, as they were when they were read."""

    def __init__(self, found: t.Iterable[CloudCredential], past: RotationHistory) -> None:
        self.catalog = credential_catalog(found)
        self._key = past.key
        self._records: dict[str, list[tuple[RotationRecord, t.Any]]] = defaultdict(list)
        for pair in past.records.values():
            for name, _uid in pair[0].members:
                self._records[name].append(pair)

    def record_of(self, identifier: str) -> tuple[RotationRecord, t.Any] | None:
        """The record of a credential, and what it is stored as: the one in progress, else the latest."""
        return max(self._records.get(identifier, ()), key=lambda pair: (pair[0].phase != IDLE, str(pair[0].rotated_at or "")), default=None)

    def record(self, identifier: str) -> RotationRecord | None:
        """The same record without what it is stored as."""
        found = self.record_of(identifier)
        return found[0] if found else None

    def credential(self, identifier: str) -> CloudCredential | None:
        return self.catalog.by_id.get(identifier)

    def live(self, identifier: str) -> CredentialSnapshot | None:
        """A credential as a rotation sees it; None if it is gone or going."""
        one = self.credential(identifier)
        if one is None or one.deleting:
            return None
        values = decoded_values(one)
        return CredentialSnapshot(one.id, one.uid, one.resource_version, one.annotations.get(ROTATION_TOKEN), values, compute_digests(self._key, values))


def decoded_values(one: CloudCredential) -> dict[str, str]:
    return {name: one.text(name) for name in one.data}
