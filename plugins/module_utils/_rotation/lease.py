# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Makes the calls of a rotation's protocol at a Rancher's management cluster and, through an issuer, at a cloud.

PRIVATE to the collection.
"""

from __future__ import annotations

import datetime
import os
import secrets as random_source
import socket
import time
import typing as t
from collections.abc import Mapping

from .._common.errors import ApiError, RanchhandError
from .._kubernetes.client import name_in_path
from .._rancher.queries import get_or_none
from .store import RotationNamespace

LEASE = 60   # seconds without a sign of life after which a run counts as gone
RENEW_SECONDS = 15.0


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

    def __init__(self, namespace: RotationNamespace, name: str, token: str) -> None:
        self._client = namespace.client
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
        stored = get_or_none(self._client, self._path)
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
                self._stored = self._client.post(self._collection, {
                    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": self._name}, "spec": spec})
            else:
                self._stored = self._patch(stored, spec)
        except ApiError as error:
            if error.status != 409:
                raise
            again = get_or_none(self._client, self._path) or {}
            if (again.get("spec") or {}).get("holderIdentity") != self._me:  # else our own write, whose reply was lost
                raise RanchhandError("busy", "another run has just begun to rotate it") from None
            self._stored = again
        self._renewed = time.monotonic()
        self._took_from_gone = gone and bool(holder)
        return self._took_from_gone

    def renew(self) -> None:
        if self._stored and time.monotonic() - self._renewed > RENEW_SECONDS:
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
        return self._client.patch(self._path, {"metadata": metadata, "spec": spec})

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
