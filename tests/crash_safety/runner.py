# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of cloud_credential_rotation, each in a process of its own that breaks at a chosen call.

A warm process of one thread forks one for each job, which is what an action of ansible-playbook is too, and a tenth of
its time. The faults are put around the methods of ClusterBackend in that process: the product knows of none.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import typing

# Calls that read or change the cluster or the provider; `now`, `gate_states` and `sleep` do not.
PROVIDER_CALLS = ("identify", "keys", "issue", "activate", "verify", "disable", "enable", "delete")
CALLS = (
    "read_snapshot",
    "preflight",
    "take_lease",
    "write_credential",
    "write_record",
    "store_generation",
    "list_generations",
    "delete_generation",
    "evaluate_gates",
    "read_store",
    "claim_store",
    "write_store",
    *PROVIDER_CALLS,
)
WRITES = (
    "take_lease",
    "write_credential",
    "write_record",
    "store_generation",
    "delete_generation",
    "claim_store",
    "write_store",
    "issue",
    "activate",
    "disable",
    "enable",
    "delete",
)

KINDS = ("kill", "exception", "interrupt", "timeout")
# Seconds that a run which hangs, or whose reply does not come, is given.
PATIENCE = 0.7


class Fault(typing.NamedTuple):
    """What happens at one call, counted from 0.

    Moments: `before` and `after` it, and `lost`, where it is performed but no reply arrives. Kinds: `kill` (SIGKILL),
    `exception` (what the backend raises), `interrupt` (Ctrl-C), `timeout` (it hangs until it is ended with SIGTERM; a
    lost reply: until the client gives up), `stop` (SIGSTOP).
    """

    number: int
    moment: str
    kind: str


class Ended(typing.NamedTuple):
    """A run that is over: its result, None if it was ended; the calls that it made."""

    result: typing.Optional[dict]
    calls: tuple = ()


class Run:
    """A run under way."""

    def __init__(self, end, pid, lose):
        self.pid = pid
        self._end = end
        self._lines = end.makefile("rw", encoding="utf-8")
        self._lose = lose
        self._over = False

    @property
    def under_way(self):
        return alive(self.pid)

    def wait(self):
        """Wait until the run ends, and answer its messages."""
        ended = Ended(None)
        with contextlib.suppress(ConnectionResetError):
            while line := self._lines.readline():
                message = json.loads(line)
                if message[0] == "ended":
                    ended = Ended(message[1], tuple(message[2]))
                elif message[0] == "hangs":
                    time.sleep(0.1)
                    os.kill(self.pid, signal.SIGTERM)
                elif message[0] == "stops":
                    return None
                else:
                    self._lose(message[1], message[2], self.pid)
                    self._lines.write("\n")
                    self._lines.flush()
        self._over = True
        self._lines.close()
        self._end.close()
        while alive(self.pid):
            time.sleep(0.001)
        return ended

    def kill(self, signum=signal.SIGKILL):
        if not self._over:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signum)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Runner:
    """The warm process, from outside."""

    def __init__(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "K8S_AUTH_", "KUBE"))
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "crash_safety.runner", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={
                **environment,
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": "/nowhere",
                "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
            },
        )
        theirs.close()
        self._control = ours
        self._lock = threading.Lock()

    def close(self):
        self._control.close()
        self._process.wait(20)

    def start(self, given, fault=None, lose=None):
        """Run the module with these options; `lose` gets a call's name and the pid before the call's reply is lost."""
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            socket.send_fds(self._control, [b"x"], [theirs.fileno()])
            pid = int(self._control.recv(20))
        run = Run(ours, pid, lose)
        ours.sendall(json.dumps([given, fault]).encode() + b"\n")
        return run


class _Broken:
    """Counts the calls of a ClusterBackend, and breaks one of them."""

    def __init__(self, backend, fault, lines):
        self.made = []
        self._fault = fault
        self._lines = lines
        for name in CALLS:
            setattr(backend, name, self._counted(name, getattr(backend, name)))

    def send(self, *message):
        self._lines.write(json.dumps(message) + "\n")
        self._lines.flush()

    def _counted(self, name, perform):
        @functools.wraps(perform)
        def call(*arguments):
            hit = self._fault and self._fault.number == len(self.made)
            self.made.append(name)
            if hit and self._fault.moment == "lost":
                self.send("lose", name, self._fault.kind)
                self._lines.readline()
            if hit and self._fault.moment == "before":
                self._strike(name)
            answer = perform(*arguments)
            if hit and self._fault.moment == "after":
                self._strike(name)
            return answer
        return call

    def _strike(self, name):
        from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
        from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError
        if self._fault.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._fault.kind == "stop":
            self.send("stops")
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self._fault.kind == "timeout":
            self.send("hangs")
            time.sleep(60)
        elif self._fault.kind == "interrupt":
            raise KeyboardInterrupt
        elif name in PROVIDER_CALLS:
            raise IssuerError("unreachable", "raised by the test")
        else:
            raise RanchhandError("unreachable", "raised by the test")


def _play(end):
    """The job of one process."""
    from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
    from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import aws
    from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes import transport
    from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.backend import ClusterBackend
    from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.executor import manage_rotations
    from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.options import (
        CLOUD_CREDENTIAL_ROTATION,
        parse_rotations,
    )
    from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.execute import RunMode, execute

    lines = end.makefile("rw", encoding="utf-8")
    given, fault = json.loads(lines.readline())
    fault = fault and Fault(*fault)
    if fault and fault.moment == "lost":
        transport.READ_TIMEOUT = aws.READ_TIMEOUT = PATIENCE
    broken = _Broken(ClusterBackend, fault, lines)
    with contextlib.suppress(KeyboardInterrupt):
        result = execute(manage_rotations, parse_options(CLOUD_CREDENTIAL_ROTATION, given, parse_rotations), RunMode())
        broken.send("ended", result, broken.made)


def main():
    # What a run needs is imported once.
    import botocore.session
    import botocore.signers  # noqa: F401  pylint: disable=unused-import
    import requests  # noqa: F401  pylint: disable=unused-import
    import yaml  # noqa: F401  pylint: disable=unused-import
    from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import aws  # noqa: F401  pylint: disable=unused-import
    from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes import client  # noqa: F401  pylint: disable=unused-import
    from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import executor  # noqa: F401  pylint: disable=unused-import
    from botocore import loaders
    from keystoneauth1 import session  # noqa: F401  pylint: disable=unused-import
    from keystoneauth1.identity import v3  # noqa: F401  pylint: disable=unused-import

    loaders.create_loader = functools.lru_cache(None)(loaders.create_loader)
    for service in ("iam", "sts"):
        botocore.session.Session().create_client(
            service, region_name="us-east-1", aws_access_key_id="A", aws_secret_access_key="B"
        )
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it
    while True:
        _message, ends, _flags, _address = socket.recv_fds(control, 1, 1)
        if not ends:
            return
        with socket.socket(fileno=ends[0]) as end:
            pid = os.fork()
            if not pid:
                try:
                    control.close()
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    _play(end)
                    os._exit(0)
                finally:
                    os._exit(1)
        control.send(str(pid).encode())


if __name__ == "__main__":
    main()
