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
import hashlib
import hmac
import json
import os
import secrets as random_source
import socket
import time
import typing as t
from collections.abc import Mapping

from . import _observe as observe
from ._credential import from_secret
from ._errors import ApiError, RanchhandError
from ._kubernetes import Api, name_in_path
from ._marks import PREFIX, ROTATED_AT, ROTATED_FIELDS, ROTATION_TOKEN, stamp
from ._rotation import Conflict, Live, Record, Seen, Version
from ._secret_text import encode
from .issuer import Issuer, IssuerError, Key

_ROTATION = PREFIX + "rotation"  # label of all that belongs to a record
_EPOCH = PREFIX + "epoch"

LEASE = 60   # seconds without a sign of life after which a run counts as gone
_RENEW = 15.0

Values = t.Mapping[str, str]


class Namespace:
    """Where the records, kept values and leases of rotations are."""

    digests_name = "rotation-digests"  # of the Secret with the key of the digests

    def __init__(self, api: Api, name: str) -> None:
        self.api = api
        self.name = name
        base = f"/api/v1/namespaces/{name_in_path(name)}"
        self.config_maps = f"{base}/configmaps"
        self.secrets = f"{base}/secrets"
        self.events = f"{base}/events"
        self.leases = f"/apis/coordination.k8s.io/v1/namespaces/{name_in_path(name)}/leases"
        self._key: bytes | None = None

    def records(self) -> dict[str, tuple[Record, t.Any]]:
        """All records by name, each with what it is stored as. Raises RanchhandError for one that cannot be read."""
        found = {}
        for item in self.api.list(self.config_maps, labelSelector=f"{_ROTATION}=record"):
            record = record_of(item)
            found[record.name] = (record, item)
        return found

    @property
    def has_key(self) -> bool:
        return self._key is not None

    def key(self, make: bool) -> bytes:
        """The key of the digests, which is made once; without ``make`` one that fits no digest where there is none yet."""
        if self._key is None:
            path = f"{self.secrets}/{self.digests_name}"
            found = observe.one(self.api, path)
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
                found = self.api.get(path)
            self._key = base64.b64decode(found["data"]["key"])
        return self._key

    def _post_first(self, body: Mapping[str, t.Any]) -> None:
        """Create the first object of the namespace, and the namespace too where that is allowed."""
        try:
            discreet(lambda: self.api.post(self.secrets, body))
        except ApiError as error:
            if error.status != 404:
                raise
            try:
                self.api.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}})
            except ApiError as problem:
                if problem.status == 403:
                    raise RanchhandError("forbidden", f"there is no namespace {self.name} for the records of rotations, and this connection may not create "
                                                      "it; docs/rbac/rotation.yaml has it, with the rights that are needed") from None
                if problem.reason != "AlreadyExists":
                    raise
            discreet(lambda: self.api.post(self.secrets, body))


def record_of(item: Mapping[str, t.Any]) -> Record:
    """The record in a ConfigMap; raises RanchhandError (``conflict``) if it cannot be read, as then nothing is known."""
    try:
        return Record.from_json((item.get("data") or {}).get("record") or "")
    except ValueError as error:
        metadata = item["metadata"]
        raise RanchhandError("conflict", f"the record of a rotation in ConfigMap {metadata['namespace']}/{metadata['name']} cannot be read ({error}); "
                                         "nothing was touched") from None


def discreet(write: t.Callable[[], dict[str, t.Any]]) -> dict[str, t.Any]:
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


def digests(key: bytes, values: Values) -> dict[str, str]:
    """What tells whether a field has changed without telling its value: keyed, as passwords could be guessed from a bare hash."""
    return {name: hmac.new(key, f"{name}\0{text}".encode(), hashlib.sha256).hexdigest()[:40] for name, text in values.items()}


def live_of(secret: Mapping[str, t.Any] | None, key: bytes) -> Live | None:
    """A credential as a rotation sees it; None if it is gone or going."""
    credential = from_secret(secret) if secret else None
    if credential is None or credential.deleting:
        return None
    values = {name: credential.text(name) for name in credential.data}
    return Live(credential.id, credential.uid, credential.resource_version, credential.annotations.get(ROTATION_TOKEN), values, digests(key, values))


def whoami() -> str:
    """Who rotates, for the audit: the AWX job, else the user and the host."""
    job = os.environ.get("AWX_JOB_ID") or os.environ.get("TOWER_JOB_ID") or os.environ.get("JOB_ID")
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"AWX job {job}" if job else f"{user}@{socket.gethostname()}"


def _process(pid: t.Any) -> str | None:
    """When a process of this machine began, in the kernel's ticks; None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _machine() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
            boot = file.read().strip()[:8]
        return f"{socket.gethostname()}/{boot}-{os.readlink('/proc/self/ns/pid').strip('pid:[]')}"
    except OSError:  # not Linux
        return f"{socket.gethostname()}/{random_source.token_hex(4)}"


class Lease:
    """Keeps honest runs apart. What makes a rotation safe is the token on the credential; a lease saves time."""

    def __init__(self, namespace: Namespace, name: str, token: str) -> None:
        self._api = namespace.api
        self._path = f"{namespace.leases}/{name_in_path(name)}"
        self._collection = namespace.leases
        self._name = name
        self._machine = _machine()
        self._me = f"{self._machine}/{os.getpid()}-{_process(os.getpid())}/{token[:8]}"
        self._stored: dict[str, t.Any] | None = None
        self._renewed = 0.0
        self._took_from_gone = False

    def take(self, assume_dead: bool) -> bool:
        """Take the lease; True if the run that had it is certainly gone. Raises RanchhandError (``busy``)."""
        if self._stored:
            return self._took_from_gone
        stored = observe.one(self._api, self._path)
        holder = (stored or {}).get("spec", {}).get("holderIdentity") or ""
        gone = assume_dead or self._is_gone(holder)
        if holder and not gone:
            seen = datetime.datetime.fromisoformat(stored["spec"]["renewTime"].replace("Z", "+00:00"))
            left = LEASE - (datetime.datetime.now(datetime.timezone.utc) - seen).total_seconds()
            if left > 0:
                raise RanchhandError("busy", f"another run ({holder.rpartition('/')[0]}) is rotating it; if that is gone, it counts as gone in {left:.0f} s, "
                                             "or with assume_dead: true")
        spec = {"holderIdentity": self._me, "leaseDurationSeconds": LEASE, "acquireTime": self._now(), "renewTime": self._now()}
        try:
            if stored is None:
                self._stored = self._api.post(self._collection, {
                    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": self._name}, "spec": spec})
            else:
                self._stored = self._patch(stored, spec)
        except ApiError as error:
            if error.status != 409:
                raise
            again = observe.one(self._api, self._path) or {}
            if (again.get("spec") or {}).get("holderIdentity") != self._me:  # else our own write, whose reply was lost
                raise RanchhandError("busy", "another run has just begun to rotate it") from None
            self._stored = again
        self._renewed = time.monotonic()
        self._took_from_gone = gone and bool(holder)
        return self._took_from_gone

    def renew(self) -> None:
        if self._stored and time.monotonic() - self._renewed > _RENEW:
            self._write({"renewTime": self._now()})

    def release(self) -> None:
        if self._stored:
            self._write({"holderIdentity": ""})

    def _write(self, spec: Mapping[str, t.Any]) -> None:
        self._renewed = time.monotonic()
        try:
            self._stored = self._patch(self._stored, spec)
        except RanchhandError:  # somebody else's now, or not to be reached: either way it is only a lease
            pass

    def _patch(self, stored: t.Any, spec: Mapping[str, t.Any]) -> dict[str, t.Any]:
        metadata = {key: stored["metadata"][key] for key in ("uid", "resourceVersion")}
        return self._api.patch(self._path, {"metadata": metadata, "spec": spec})

    def _is_gone(self, holder: str) -> bool:
        """Whether the holder was a process of this very machine that has ended."""
        parts = holder.split("/")
        if len(parts) != 4 or "/".join(parts[:2]) != self._machine:
            return False
        pid, _dash, begun = parts[2].partition("-")
        return _process(pid) != begun

    @staticmethod
    def _now() -> str:
        return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class World:
    """The calls of one Protocol; see there."""

    def __init__(
        self, namespace: Namespace, issuer: Issuer, record: Record, drivers: Mapping[str, str], lease: Lease, assume_dead: bool,
        preflight: t.Callable[[t.Sequence[Live]], None], gates: t.Callable[[Record], t.Tuple[t.Mapping[str, str], t.Sequence[str]]], audit_file: str | None,
    ) -> None:
        self._space = namespace
        self._api = namespace.api
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
            time.sleep(min(left, _RENEW))
            self._lease.renew()

    def look(self) -> Seen:
        self._lease.renew()
        path = f"{self._space.config_maps}/{self._blank.name}"
        stored, *members = self._api.at_once(
            lambda: observe.one(self._api, path), *(lambda name=name: self._secret(name) for name, _uid in self._blank.members))
        record = record_of(stored) if stored else None
        key = self._space.key(make=True)
        return Seen(record, stored, tuple(live_of(one, key) for one in members))

    def _secret(self, name: str) -> dict[str, t.Any] | None:
        return observe.one(self._api, f"{observe.SECRETS}/{name_in_path(name)}")

    def mark(self, live: Live, token: str | None, values: Values | None) -> Live:
        self._lease.renew()
        annotations = {ROTATION_TOKEN: token}
        body: dict[str, t.Any] = {"metadata": {"uid": live.uid, "resourceVersion": live.resource_version, "annotations": annotations}}
        if values is not None:
            annotations.update({ROTATED_FIELDS: ",".join(sorted(values)), ROTATED_AT: stamp(self.now())})
            body["data"] = {f"{self._drivers[live.id]}credentialConfig-{name}": encode(text) for name, text in values.items()}
        stored = self._checked(lambda: discreet(lambda: self._api.patch(f"{observe.SECRETS}/{name_in_path(live.id)}", body)))
        changed = live_of(stored, self._space.key(make=True))
        if changed is None:
            raise Conflict
        return changed

    def put(self, record: Record, stored: t.Any) -> dict[str, t.Any]:
        self._lease.renew()
        data = {"record": record.to_json()}
        labels = {_ROTATION: "record", "app.kubernetes.io/managed-by": "ranchhand.rancher", PREFIX + "phase": record.phase}
        if stored is None:
            written = self._checked(lambda: self._api.post(self._space.config_maps, {
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": record.name, "labels": labels}, "data": data}))
        else:
            metadata = {**{key: stored["metadata"][key] for key in ("uid", "resourceVersion")}, "labels": labels}
            written = self._checked(lambda: self._api.patch(f"{self._space.config_maps}/{record.name}", {"metadata": metadata, "data": data}))
        if record.transitions and (stored is None or record_of(stored).transitions != record.transitions):
            self._tell(record, written)
        return written

    def keep(self, name: str, record: Record, epoch: int, values: Values) -> Version:
        self._lease.renew()
        body = {
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": True,
            "metadata": {"name": name, "labels": {_ROTATION: record.name}, "annotations": {_EPOCH: str(epoch)}},
            "data": {"payload": encode(json.dumps(dict(values)))},
        }
        try:
            return self._version(discreet(lambda: self._api.post(self._space.secrets, body)))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        return self._version(self._api.get(f"{self._space.secrets}/{name}"))

    def versions(self, record: Record) -> list[Version]:
        return [self._version(item) for item in self._api.list(self._space.secrets, labelSelector=f"{_ROTATION}={record.name}")]

    def _version(self, item: Mapping[str, t.Any]) -> Version:
        metadata = item["metadata"]
        try:
            values = json.loads(base64.b64decode(item["data"]["payload"]))
            epoch = int(metadata["annotations"][_EPOCH])
        except (KeyError, TypeError, ValueError):
            raise RanchhandError("conflict", f"Secret {self._space.name}/{metadata['name']} is no kept value; nothing was touched") from None
        return Version(metadata["name"], f"{metadata['uid']} {metadata['resourceVersion']}", epoch, values, digests(self._space.key(make=True), values))

    def drop(self, version: Version) -> None:
        uid, _space, resource_version = version.uid.partition(" ")
        try:
            self._api.delete(f"{self._space.secrets}/{version.name}", uid, resource_version)
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

    def preflight(self, lives: t.Sequence[Live]) -> None:
        self._preflight(lives)

    def waiting_for(self, record: Record) -> t.Sequence[str]:
        self._gates, waiting = self._judge(record)
        return waiting

    def gates(self) -> t.Mapping[str, str]:
        return self._gates

    def _tell(self, record: Record, stored: Mapping[str, t.Any]) -> None:
        """Audit one transition: as an Event of the record, and as a line of the audit file."""
        latest = record.transitions[-1]
        metadata = stored["metadata"]
        try:
            self._api.post(self._space.events, {
                "apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{record.name}.{random_source.token_hex(8)}"}, "type": "Normal",
                "involvedObject": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": self._space.name, "name": record.name, "uid": metadata["uid"]},
                "reason": latest["phase"], "message": f"{', '.join(name for name, _uid in record.members)}: {latest['what']}, by {self._who}",
                "source": {"component": "ranchhand.rancher"}, "firstTimestamp": latest["at"], "lastTimestamp": latest["at"], "count": 1,
            })
        except RanchhandError as error:  # the record itself has it
            told = f"no Event could be written: {error.message}"
            if told not in self.warnings:
                self.warnings.append(told)
        if self._audit_file:
            entry = {
                **latest, "credentials": [f"cattle-global-data:{name}" for name, _uid in record.members], "driver": record.driver, "issuer": record.issuer,
                "generation": record.generation, "rotation_id": record.rotation_id, "reason": record.reason, "by": self._who, "rancher": self._api.host,
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
