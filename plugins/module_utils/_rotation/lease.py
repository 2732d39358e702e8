# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A lease that keeps two runs of one rotation apart.

It only saves time: what makes a rotation safe is the token on the credential.
"""

from __future__ import annotations

import os
import secrets as random_source
import socket
import time
import typing as t
from collections.abc import Mapping

from .._common.errors import ApiError, RanchhandError
from .._common.times import format_precise_time, now, parse_time
from .._kubernetes.client import name_in_path
from .._rancher.queries import get_or_none
from .store import RotationNamespace

LEASE_SECONDS = 60  # a run that has not renewed its lease for so long has ended
RENEW_SECONDS = 15.0


def _process_start(pid: t.Any) -> str | None:
    """Return the start of a process of this machine, in the kernel's ticks; None if it does not exist."""
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
    """The lease of one run."""

    def __init__(self, namespace: RotationNamespace, name: str, token: str) -> None:
        self._client = namespace.client
        self._path = f"{namespace.leases}/{name_in_path(name)}"
        self._collection = namespace.leases
        self._name = name
        self._machine = _machine()
        self._identity = f"{self._machine}/{os.getpid()}-{_process_start(os.getpid())}/{token[:8]}"
        self._stored: dict[str, t.Any] | None = None
        self._renewed = 0.0
        self._former_run_ended = False

    def take(self, assume_dead: bool) -> bool:
        """Take the lease; True if the run that had it has certainly ended. Raises RanchhandError (``busy``)."""
        if self._stored:
            return self._former_run_ended
        stored = get_or_none(self._client, self._path)
        holder = (stored or {}).get("spec", {}).get("holderIdentity") or ""
        ended = assume_dead or self._has_ended(holder)
        if stored and holder and not ended:
            left = LEASE_SECONDS - self._seconds_since_renewal(stored)
            if left > 0:
                raise RanchhandError(
                    "busy",
                    (
                        f"{self._name} is in use by another run ({holder.rpartition('/')[0]}). Wait until it has "
                        "ended. If it was killed, "
                        f"run the task again in {left:.0f} s, or now with assume_dead: true."
                    ),
                )
        started = format_precise_time(now())
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": started,
            "renewTime": started,
        }
        try:
            self._stored = self._patch(stored, spec) if stored else self._create(spec)
        except ApiError as error:
            if error.status != 409:
                raise
            again = get_or_none(self._client, self._path) or {}
            if (again.get("spec") or {}).get(
                "holderIdentity"
            ) != self._identity:  # else the reply to our own write was lost
                raise RanchhandError(
                    "busy", f"another run has just started with {self._name}. Run the task again when it has ended."
                ) from None
            self._stored = again
        self._renewed = time.monotonic()
        self._former_run_ended = ended and bool(holder)
        return self._former_run_ended

    def _seconds_since_renewal(self, stored: Mapping[str, t.Any]) -> float:
        """Return how long ago a lease was written, by the clock of the API server only.

        The clock of the other run's machine may differ from it by hours, and so may the one here. The API server notes
        the time of each write in managedFields, and the creation of an object that is not stored shows its time.
        """
        server_time = parse_time(self._create({}, dry_run=True)["metadata"]["creationTimestamp"])
        written = [parse_time(entry["time"]) for entry in stored["metadata"].get("managedFields") or ()]
        latest = max(written, default=parse_time(stored["spec"]["renewTime"]))
        return (server_time - latest).total_seconds()

    def renew(self) -> None:
        if self._stored and time.monotonic() - self._renewed > RENEW_SECONDS:
            self._write(self._stored, {"renewTime": format_precise_time(now())})

    def release(self) -> None:
        if self._stored:
            self._write(self._stored, {"holderIdentity": ""})

    def _write(self, stored: Mapping[str, t.Any], spec: Mapping[str, t.Any]) -> None:
        self._renewed = time.monotonic()
        try:
            self._stored = self._patch(stored, spec)
        except RanchhandError:
            pass  # another run has it, or the server cannot be reached; a rotation is safe without its lease

    def _create(self, spec: Mapping[str, t.Any], dry_run: bool = False) -> dict[str, t.Any]:
        metadata = {"generateName": "time-"} if dry_run else {"name": self._name}
        return self._client.post(self._collection, {
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec,
        }, **({"dryRun": "All"} if dry_run else {}))

    def _patch(self, stored: Mapping[str, t.Any], spec: Mapping[str, t.Any]) -> dict[str, t.Any]:
        metadata = {key: stored["metadata"][key] for key in ("uid", "resourceVersion")}
        return self._client.patch(self._path, {"metadata": metadata, "spec": spec})

    def _has_ended(self, holder: str) -> bool:
        """Whether the holder was a process of this machine that has ended."""
        parts = holder.split("/")
        if len(parts) != 4 or "/".join(parts[:2]) != self._machine:
            return False
        pid, _dash, started = parts[2].partition("-")
        return _process_start(pid) != started
