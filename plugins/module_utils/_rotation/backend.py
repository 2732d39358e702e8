# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The rotation protocol's backend: Rancher's management cluster and, through an issuer, a cloud provider."""

from __future__ import annotations

import base64
import getpass
import json
import os
import secrets as random_source
import socket
import time
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .._common.errors import ApiError, RanchhandError
from .._common.text import base64_encode
from .._common.times import Time, format_time, now, parse_time
from .._kubernetes.client import name_in_path
from .._rancher.annotations import (
    COPY_OF_ROTATION,
    ROTATED_AT,
    ROTATED_FIELDS,
    ROTATION_EPOCH,
    ROTATION_EXPIRES_AT,
    ROTATION_KEY_ID,
    ROTATION_LABEL,
    ROTATION_PHASE_LABEL,
    ROTATION_TOKEN,
)
from .._rancher.queries import SECRETS_PATH, get_or_none
from ..issuer import IssuedKey, Issuer, Key
from .external_secrets import request_refresh
from .external_stores import Settings, StoreAccess, StoreSnapshot
from .lease import RENEW_SECONDS, Lease
from .protocol import Conflict, Snapshot
from .record import IDLE, CredentialSnapshot, RotationRecord, StoredGeneration, Values
from .store import RotationNamespace, Write, compute_digests, leader_id, parse_record, snapshot_secret, without_echo


def describe_user() -> str:
    """Return who runs the rotation, for the audit: the AWX job, else the user and the host."""
    job = os.environ.get("AWX_JOB_ID") or os.environ.get("TOWER_JOB_ID") or os.environ.get("JOB_ID")
    if job:
        return f"AWX job {job}"
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


@dataclass(frozen=True)
class RunContext:
    """What a backend needs to know of its run.

    ``drivers`` are those of the members by id. ``evaluate_gates`` returns the states of the gates and the reasons to
    wait.
    """

    record: RotationRecord
    drivers: Mapping[str, str]
    lease: Lease
    assume_dead: bool
    audit_file: str | None
    preflight: t.Callable[[t.Sequence[CredentialSnapshot]], None]
    evaluate_gates: t.Callable[[RotationRecord], t.Tuple[Mapping[str, str], t.Sequence[str]]]
    stores: StoreAccess


class ClusterBackend:
    """See RotationBackend."""

    def __init__(self, namespace: RotationNamespace, issuer: Issuer, context: RunContext) -> None:
        self._namespace = namespace
        self._client = namespace.client
        self._issuer = issuer
        self._context = context
        self._lease = context.lease
        self._gates: Mapping[str, str] = {}
        self._user = describe_user()
        self.warnings: list[str] = []

    # management cluster

    def now(self) -> Time:
        return now()

    def sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, RENEW_SECONDS))
            self._lease.renew()

    def read_snapshot(self) -> Snapshot:
        self._lease.renew()
        blank = self._context.record
        path = f"{self._namespace.config_maps}/{blank.name}"
        config_map, secrets = self._client.parallel_reads(
            lambda: get_or_none(self._client, path), lambda: self._read_secrets(blank),
        )
        record = parse_record(config_map) if config_map else None
        if record is not None and record.phase == IDLE:
            record = replace(record, members=blank.members)
        elif record is not None and record.members != blank.members:  # another run has started it
            secrets = self._read_secrets(record)
        key = self._namespace.ensure_key()
        return Snapshot(record, config_map, tuple(snapshot_secret(secret, key) for secret in secrets))

    def _read_secrets(self, record: RotationRecord) -> list[dict[str, t.Any] | None]:
        """Read the members of a record, in their order."""
        names = [name for name, _uid in record.members]
        return self._client.parallel_reads(*(lambda name=name: self._read_secret(name) for name in names))

    def _read_secret(self, name: str) -> dict[str, t.Any] | None:
        return get_or_none(self._client, f"{SECRETS_PATH}/{name_in_path(name)}")

    def write_credential(
        self, credential: CredentialSnapshot, token: str | None, values: Values | None
    ) -> CredentialSnapshot:
        self._lease.renew()
        annotations = {ROTATION_TOKEN: token}
        data: dict[str, str] = {}
        if values is not None:
            annotations.update({ROTATED_FIELDS: ",".join(sorted(values)), ROTATED_AT: format_time(now())})
            prefix = f"{self._context.drivers[credential.id]}credentialConfig-"
            data = {prefix + name: base64_encode(text) for name, text in values.items()}
        return self._patch_credential(credential, annotations, data)

    def lead_credential(self, credential: CredentialSnapshot, lead: bool) -> CredentialSnapshot:
        leader = leader_id(self._namespace.ensure_key()) if lead else None
        return self._patch_credential(credential, {COPY_OF_ROTATION: leader}, {})

    def _patch_credential(
        self, credential: CredentialSnapshot, annotations: Mapping[str, t.Any], data: Mapping[str, str]
    ) -> CredentialSnapshot:
        metadata = {"uid": credential.uid, "resourceVersion": credential.resource_version, "annotations": annotations}
        path = f"{SECRETS_PATH}/{name_in_path(credential.id)}"
        body = {"metadata": metadata, **({"data": data} if data else {})}
        stored = _compare_and_swap(lambda: without_echo(lambda: self._client.patch(path, body)))
        changed = snapshot_secret(stored, self._namespace.ensure_key())
        if changed is None:
            raise Conflict
        return changed

    def write_record(self, record: RotationRecord, stored_record: t.Any) -> dict[str, t.Any]:
        self._lease.renew()
        data = {"record": record.to_json()}
        labels = {
            ROTATION_LABEL: "record",
            "app.kubernetes.io/managed-by": "ranchhand.rancher",
            ROTATION_PHASE_LABEL: record.phase,
        }
        if stored_record is None:
            former: tuple[Mapping[str, str], ...] = ()
            written = _compare_and_swap(
                lambda: self._client.post(
                    self._namespace.config_maps,
                    {
                        "apiVersion": "v1",
                        "kind": "ConfigMap",
                        "metadata": {"name": record.name, "labels": labels},
                        "data": data,
                    },
                )
            )
        else:
            former = parse_record(stored_record).transitions
            metadata = {**{key: stored_record["metadata"][key] for key in ("uid", "resourceVersion")}, "labels": labels}
            path = f"{self._namespace.config_maps}/{record.name}"
            written = _compare_and_swap(lambda: self._client.patch(path, {"metadata": metadata, "data": data}))
        if record.transitions and record.transitions != former:
            self._audit(record, written["metadata"]["uid"])
        return written

    def store_generation(
        self, name: str, record: RotationRecord, epoch: int, values: Values, key_id: str | None = None,
        expires_at: Time | None = None,
    ) -> StoredGeneration:
        self._lease.renew()
        annotations = {ROTATION_EPOCH: str(epoch)}
        if key_id:
            annotations[ROTATION_KEY_ID] = key_id
        if expires_at:
            annotations[ROTATION_EXPIRES_AT] = format_time(expires_at)
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "immutable": True,
            "metadata": {
                "name": name,
                "labels": {ROTATION_LABEL: record.name},
                "annotations": annotations,
            },
            "data": {"payload": base64_encode(json.dumps(dict(values)))},
        }
        try:
            return self._parse_generation(without_echo(lambda: self._client.post(self._namespace.secrets, body)))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        return self._parse_generation(self._client.get(f"{self._namespace.secrets}/{name}"))

    def list_generations(self, record: RotationRecord) -> list[StoredGeneration]:
        secrets = self._client.list_objects(self._namespace.secrets, labelSelector=f"{ROTATION_LABEL}={record.name}")
        return [self._parse_generation(secret) for secret in secrets]

    def _parse_generation(self, secret: Mapping[str, t.Any]) -> StoredGeneration:
        metadata = secret["metadata"]
        try:
            values = json.loads(base64.b64decode(secret["data"]["payload"]))
            annotations = metadata["annotations"]
            epoch = int(annotations[ROTATION_EPOCH])
            expires_at = annotations.get(ROTATION_EXPIRES_AT)
            until = parse_time(expires_at) if expires_at else None
        except (KeyError, TypeError, ValueError):
            raise RanchhandError(
                "conflict",
                (
                    f"Secret {self._namespace.name}/{metadata['name']} does not contain the values of a key. Nothing "
                    "was changed. "
                    "Restore it from a backup, or remove its label if it does not belong to a rotation."
                ),
            ) from None
        uid = f"{metadata['uid']} {metadata['resourceVersion']}"
        digests = compute_digests(self._namespace.ensure_key(), values)
        return StoredGeneration(
            metadata["name"], uid, epoch, values, digests, annotations.get(ROTATION_KEY_ID), until
        )

    def delete_generation(self, generation: StoredGeneration) -> None:
        uid, _space, resource_version = generation.uid.partition(" ")
        try:
            self._client.delete(f"{self._namespace.secrets}/{generation.name}", uid, resource_version)
        except ApiError as error:
            if error.status != 404:
                raise

    def delete_record(self, stored_record: t.Any) -> None:
        metadata = stored_record["metadata"]
        path = f"{self._namespace.config_maps}/{metadata['name']}"
        try:
            self._client.delete(path, metadata["uid"], metadata["resourceVersion"])
        except ApiError as error:
            if error.status == 409:
                raise Conflict from None
            if error.status != 404:
                raise

    def take_lease(self) -> bool:
        return self._lease.take(self._context.assume_dead)

    def preflight(self, credentials: t.Sequence[CredentialSnapshot]) -> None:
        self._context.preflight(credentials)

    def evaluate_gates(self, record: RotationRecord) -> t.Sequence[str]:
        self._gates, reasons = self._context.evaluate_gates(record)
        return reasons

    def gate_states(self) -> Mapping[str, str]:
        return self._gates

    # external stores

    def read_store(self, settings: Settings, of_another: bool = False) -> StoreSnapshot:
        self._lease.renew()
        return self._context.stores.read(settings, self._context.record.fields, of_another)

    def claim_store(self, settings: Settings, snapshot: StoreSnapshot) -> None:
        self._context.stores.claim(settings, snapshot)

    def write_store(self, settings: Settings, snapshot: StoreSnapshot, what: str, by: Values) -> None:
        values = {name: by[name] for name in self._context.record.fields}
        self._context.stores.write(settings, values, snapshot, what)

    def refresh(self) -> None:
        try:
            request_refresh(self._client, {name for name, _uid in self._context.record.members})
        except RanchhandError as error:
            self._warn(f"cannot request External Secrets to read its store now, so it reads it later: {error.message}")

    def _audit(self, record: RotationRecord, uid: str) -> None:
        """Record the latest transition as an Event of the record, and as a line of the audit file."""
        latest = record.transitions[-1]
        try:
            self._client.post(
                self._namespace.events,
                {
                    "apiVersion": "v1",
                    "kind": "Event",
                    "metadata": {"name": f"{record.name}.{random_source.token_hex(8)}"},
                    "type": "Normal",
                    "involvedObject": {
                        "apiVersion": "v1",
                        "kind": "ConfigMap",
                        "namespace": self._namespace.name,
                        "name": record.name,
                        "uid": uid,
                    },
                    "reason": latest["phase"].title().replace("_", ""),
                    "message": f"{record.names:.400}: {latest['what']:.400}, by {self._user:.200}",
                    "source": {"component": "ranchhand.rancher"},
                    "firstTimestamp": latest["at"],
                    "lastTimestamp": latest["at"],
                    "count": 1,
                },
            )
        except RanchhandError as error:  # the transition is in the record
            self._warn(f"cannot write an Event: {error.message}")
        if self._context.audit_file:
            self._append_audit_line(self._context.audit_file, record, latest)

    def _append_audit_line(self, path: str, record: RotationRecord, latest: Mapping[str, str]) -> None:
        entry = {
            **latest,
            "credentials": [f"cattle-global-data:{name}" for name, _uid in record.members],
            "driver": record.driver,
            "issuer": record.issuer,
            "generation": record.generation,
            "rotation_id": record.rotation_id,
            "reason": record.reason,
            "by": self._user,
            "rancher": self._client.host,
            "old_key_id": record.old and record.old.key,
            "new_key_id": record.new and record.new.key,
            "gates": dict(record.gates),
        }
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            self._warn(f"cannot write the audit file {path}: {error.strerror}")

    def _warn(self, warning: str) -> None:
        if warning not in self.warnings:
            self.warnings.append(warning)

    # cloud provider

    def identify(self, values: Values, by: Values) -> str | None:
        return self._issuer.identify(values, by)

    def keys(self, by: Values) -> list[Key]:
        return self._issuer.keys(by)

    def issue(self, by: Values, mark: str) -> IssuedKey:
        return self._issuer.issue(by, mark)

    def activate(self, values: Values, by: Values) -> None:
        self._issuer.activate(values, by)

    def verify(self, values: Values, by: Values) -> None:
        self._issuer.verify(values, by)

    def disable(self, key_id: str, by: Values) -> None:
        self._issuer.disable(key_id, by)

    def enable(self, key_id: str, by: Values) -> None:
        self._issuer.enable(key_id, by)

    def delete(self, key_id: str, by: Values) -> None:
        self._issuer.delete(key_id, by)


def _compare_and_swap(write: Write) -> dict[str, t.Any]:
    try:
        return write()
    except ApiError as error:
        if error.status in (404, 409) and error.code != "forbidden":
            raise Conflict from None
        raise
