# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Makes the calls of a rotation's protocol at a Rancher's management cluster and, through an issuer, at a cloud.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import datetime
import getpass
import json
import os
import secrets as random_source
import socket
import time
import typing as t
from collections.abc import Mapping

from .._common.errors import ApiError, RanchhandError
from .._common.text import base64_encode
from .._common.times import format_time
from .._kubernetes.client import name_in_path
from .._rancher.annotations import (
    ROTATED_AT,
    ROTATED_FIELDS,
    ROTATION_EPOCH,
    ROTATION_LABEL,
    ROTATION_PHASE_LABEL,
    ROTATION_TOKEN,
)
from .._rancher.queries import SECRETS_PATH, get_or_none
from ..issuer import Issuer, IssuerError, Key
from .lease import Lease, RENEW_SECONDS
from .protocol import Conflict, Snapshot
from .record import CredentialSnapshot, RotationRecord, StoredGeneration
from .store import (
    RotationNamespace,
    Values,
    compute_digests,
    parse_record,
    take_snapshot,
    without_echo,
)


def whoami() -> str:
    """Who rotates, for the audit: the AWX job, else the user and the host."""
    job = os.environ.get("AWX_JOB_ID") or os.environ.get("TOWER_JOB_ID") or os.environ.get("JOB_ID")
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"AWX job {job}" if job else f"{user}@{socket.gethostname()}"


class ClusterBackend:
    """The calls of one Protocol; see there."""

    def __init__(
        self, namespace: RotationNamespace, issuer: Issuer, record: RotationRecord, drivers: Mapping[str, str], lease: Lease, assume_dead: bool,
        preflight: t.Callable[[t.Sequence[CredentialSnapshot]], None], gates: t.Callable[[RotationRecord], t.Tuple[t.Mapping[str, str], t.Sequence[str]]], audit_file: str | None,
    ) -> None:
        self._space = namespace
        self._client = namespace.client
        self._issuer = issuer
        self._blank = record
        self._drivers = drivers  # of the members, by id
        self._lease = lease
        self._assume_dead = assume_dead
        self._preflight = preflight
        self._judge = gates
        self._gates: t.Mapping[str, str] = {}
        self._audit_file = audit_file
        self._who = whoami()
        self.warnings: list[str] = []

    # at the management cluster

    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.timezone.utc)

    def sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, RENEW_SECONDS))
            self._lease.renew()

    def look(self) -> Snapshot:
        self._lease.renew()
        path = f"{self._space.config_maps}/{self._blank.name}"
        stored, *members = self._client.parallel_reads(
            lambda: get_or_none(self._client, path), *(lambda name=name: self._secret(name) for name, _uid in self._blank.members))
        record = parse_record(stored) if stored else None
        key = self._space.key(make=True)
        return Snapshot(record, stored, tuple(take_snapshot(one, key) for one in members))

    def _secret(self, name: str) -> dict[str, t.Any] | None:
        return get_or_none(self._client, f"{SECRETS_PATH}/{name_in_path(name)}")

    def mark(self, live: CredentialSnapshot, token: str | None, values: Values | None) -> CredentialSnapshot:
        self._lease.renew()
        annotations = {ROTATION_TOKEN: token}
        body: dict[str, t.Any] = {"metadata": {"uid": live.uid, "resourceVersion": live.resource_version, "annotations": annotations}}
        if values is not None:
            annotations.update({ROTATED_FIELDS: ",".join(sorted(values)), ROTATED_AT: format_time(self.now())})
            body["data"] = {f"{self._drivers[live.id]}credentialConfig-{name}": base64_encode(text) for name, text in values.items()}
        stored = self._checked(lambda: without_echo(lambda: self._client.patch(f"{SECRETS_PATH}/{name_in_path(live.id)}", body)))
        changed = take_snapshot(stored, self._space.key(make=True))
        if changed is None:
            raise Conflict
        return changed

    def put(self, record: RotationRecord, stored: t.Any) -> dict[str, t.Any]:
        self._lease.renew()
        data = {"record": record.to_json()}
        labels = {ROTATION_LABEL: "record", "app.kubernetes.io/managed-by": "ranchhand.rancher", ROTATION_PHASE_LABEL: record.phase}
        if stored is None:
            written = self._checked(lambda: self._client.post(self._space.config_maps, {
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": record.name, "labels": labels}, "data": data}))
        else:
            metadata = {**{key: stored["metadata"][key] for key in ("uid", "resourceVersion")}, "labels": labels}
            written = self._checked(lambda: self._client.patch(f"{self._space.config_maps}/{record.name}", {"metadata": metadata, "data": data}))
        if record.transitions and (stored is None or parse_record(stored).transitions != record.transitions):
            self._tell(record, written)
        return written

    def keep(self, name: str, record: RotationRecord, epoch: int, values: Values) -> StoredGeneration:
        self._lease.renew()
        body = {
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": True,
            "metadata": {"name": name, "labels": {ROTATION_LABEL: record.name}, "annotations": {ROTATION_EPOCH: str(epoch)}},
            "data": {"payload": base64_encode(json.dumps(dict(values)))},
        }
        try:
            return self._version(without_echo(lambda: self._client.post(self._space.secrets, body)))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        return self._version(self._client.get(f"{self._space.secrets}/{name}"))

    def versions(self, record: RotationRecord) -> list[StoredGeneration]:
        return [self._version(item) for item in self._client.list_objects(self._space.secrets, labelSelector=f"{ROTATION_LABEL}={record.name}")]

    def _version(self, item: Mapping[str, t.Any]) -> StoredGeneration:
        metadata = item["metadata"]
        try:
            values = json.loads(base64.b64decode(item["data"]["payload"]))
            epoch = int(metadata["annotations"][ROTATION_EPOCH])
        except (KeyError, TypeError, ValueError):
            raise RanchhandError("conflict", f"Secret {self._space.name}/{metadata['name']} is no kept value; nothing was touched") from None
        return StoredGeneration(metadata["name"], f"{metadata['uid']} {metadata['resourceVersion']}", epoch, values, compute_digests(self._space.key(make=True), values))

    def drop(self, version: StoredGeneration) -> None:
        uid, _space, resource_version = version.uid.partition(" ")
        try:
            self._client.delete(f"{self._space.secrets}/{version.name}", uid, resource_version)
        except ApiError as error:
            if error.status != 404:
                raise

    @staticmethod
    def _checked(write: t.Callable[[], dict[str, t.Any]]) -> dict[str, t.Any]:
        try:
            return write()
        except ApiError as error:
            if error.status in (404, 409) and error.code != "forbidden":
                raise Conflict from None
            raise

    def lease(self) -> bool:
        return self._lease.take(self._assume_dead)

    def preflight(self, lives: t.Sequence[CredentialSnapshot]) -> None:
        self._preflight(lives)

    def waiting_for(self, record: RotationRecord) -> t.Sequence[str]:
        self._gates, waiting = self._judge(record)
        return waiting

    def gates(self) -> t.Mapping[str, str]:
        return self._gates

    def _tell(self, record: RotationRecord, stored: Mapping[str, t.Any]) -> None:
        """Audit one transition: as an Event of the record, and as a line of the audit file."""
        latest = record.transitions[-1]
        metadata = stored["metadata"]
        try:
            self._client.post(self._space.events, {
                "apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{record.name}.{random_source.token_hex(8)}"}, "type": "Normal",
                "involvedObject": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": self._space.name, "name": record.name, "uid": metadata["uid"]},
                "reason": latest["phase"].title().replace("_", ""), "message": f"{', '.join(name for name, _uid in record.members)}: {latest['what']}, by {self._who}",
                "source": {"component": "ranchhand.rancher"}, "firstTimestamp": latest["at"], "lastTimestamp": latest["at"], "count": 1,
            })
        except RanchhandError as error:  # the record itself has it
            told = f"no Event could be written: {error.message}"
            if told not in self.warnings:
                self.warnings.append(told)
        if self._audit_file:
            entry = {
                **latest, "credentials": [f"cattle-global-data:{name}" for name, _uid in record.members], "driver": record.driver, "issuer": record.issuer,
                "generation": record.generation, "rotation_id": record.rotation_id, "reason": record.reason, "by": self._who, "rancher": self._client.host,
                "old_key_id": record.old and record.old.key, "new_key_id": record.new and record.new.key, "gates": dict(record.gates),
            }
            try:
                end = os.open(self._audit_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                with open(end, "w", encoding="utf-8") as file:
                    file.write(json.dumps(entry) + "\n")
            except OSError as error:
                self.warnings.append(f"the audit file {self._audit_file} cannot be written: {error.strerror}")

    # at the cloud

    def keys(self, by: Values) -> list[Key]:
        return self._ask(lambda: self._issuer.keys(by))

    def issue(self, by: Values) -> dict[str, str]:
        return self._ask(lambda: self._issuer.issue(by))

    def activate(self, values: Values, by: Values) -> None:
        self._ask(lambda: self._issuer.activate(values, by))

    def verify(self, values: Values, by: Values) -> None:
        self._ask(lambda: self._issuer.verify(values, by))

    def disable(self, key_id: str, by: Values) -> None:
        self._ask(lambda: self._issuer.disable(key_id, by))

    def enable(self, key_id: str, by: Values) -> None:
        self._ask(lambda: self._issuer.enable(key_id, by))

    def delete(self, key_id: str, by: Values) -> None:
        self._ask(lambda: self._issuer.delete(key_id, by))

    def _ask(self, question: t.Callable[[], t.Any]) -> t.Any:
        try:
            return question()
        except IssuerError:
            raise
        except Exception as error:  # of an issuer or its SDK; its text may hold anything, and what was asked for may have happened
            raise IssuerError("unreachable", f"the issuer {self._blank.issuer} failed ({type(error).__name__})") from None
