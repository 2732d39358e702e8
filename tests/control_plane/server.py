# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts etcd and kube-apiserver on loopback, and removes everything afterwards.

    with ControlPlane() as control_plane:
        control_plane.api.post("/api/v1/namespaces", {"metadata": {"name": "a"}})
        before = control_plane.audit_mark()
        ...                                     # what the test examines
        events = control_plane.audit(before)

There is no controller-manager: nothing is garbage-collected, and a deleted namespace remains Terminating.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import urllib3

from .api import ApiClient, ApiError
from .build import binaries
from .certificates import Authority, key_pem, new_key, write_private
from .errors import Unavailable

START_SECONDS = 90

_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        # Requests of the API server to itself are irrelevant to tests.
        {"level": "None", "users": ["system:apiserver"]},
        {"level": "Metadata"},
    ],
}
_PORT_TAKEN = re.compile(r"address already in use")


class ControlPlane:
    """One etcd and one kube-apiserver with an authority, an administrator and an audit log of their own.

    `tokens` maps the names of users to their groups: each gets a bearer token, to be found in the attribute `tokens`.
    Attributes: `url`, `ca_file`, `kubeconfig` and `token` (the administrator's), `tokens`, `directory`, `api`, `pids`.
    """

    ADMINISTRATOR = "kubernetes-admin"

    def __init__(self, tokens=None, verbose=False):
        self._groups = dict(tokens or {}, **{self.ADMINISTRATOR: ["system:masters"]})
        self.tokens = {user: secrets.token_hex(24) for user in self._groups}
        self.token = self.tokens[self.ADMINISTRATOR]
        self._verbose = verbose
        self._authority = Authority()
        self._supervisor = None
        self._lock = threading.RLock()
        self.pids = {}
        self.directory = None
        self.url = None
        self.ca_file = None
        self.kubeconfig = None
        self.api = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *exception):
        self.stop()

    # start and stop

    def start(self):
        """Start everything and return when the API server is ready."""
        programs = binaries()
        try:
            self._start_supervisor()
            self._write_files()
            self._start_etcd(programs["etcd"])
            for attempt in range(5):
                self._choose_port(programs["kube-apiserver"])
                if self.start_apiserver(port_may_be_taken=attempt < 4):
                    break
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        """End both processes and remove the folder. Safe to call twice."""
        with self._lock:
            if self.api:
                self.api.close()
            supervisor, self._supervisor = self._supervisor, None
            if supervisor is None:
                return
            supervisor.stdin.close()
            try:
                supervisor.wait(timeout=20)
            except subprocess.TimeoutExpired:
                supervisor.terminate()
                supervisor.wait(timeout=20)
            supervisor.stdout.close()

    def kill_apiserver(self):
        """Kill the API server as a crash would; etcd keeps running."""
        self._command(do="kill", name="kube-apiserver")

    def start_apiserver(self, port_may_be_taken=False):
        """Start the API server (on the same port as before) and wait until it is ready."""
        self._run("kube-apiserver", self._apiserver_argv)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.api.request("GET", "/readyz")
                return True
            except (ApiError, urllib3.exceptions.HTTPError):
                pass
            if self._command(do="poll", name="kube-apiserver")["returncode"] is not None:
                if port_may_be_taken and _PORT_TAKEN.search(self._log("kube-apiserver")):
                    return False
                raise self._failure("kube-apiserver", "ended while starting")
            if time.monotonic() > deadline:
                raise self._failure("kube-apiserver", "was not ready after %d s" % START_SECONDS)
            time.sleep(0.05)

    # users

    def user(self, name, groups=()):
        """Return the path of a kubeconfig with a new client certificate of this user."""
        certificate, key = self._authority.client(name, groups)
        return self._write_kubeconfig(
            "user-" + secrets.token_hex(4),
            name,
            {
                "client-certificate-data": base64.b64encode(certificate).decode(),
                "client-key-data": base64.b64encode(key).decode(),
            },
        )

    def token_kubeconfig(self, name):
        """Return the path of a kubeconfig with the bearer token of a user that the constructor was given."""
        return self._write_kubeconfig("token-" + secrets.token_hex(4), name, {"token": self.tokens[name]})

    def client(self, name, groups=()):
        """Return an ApiClient that authenticates as this user with a client certificate."""
        stem = self.directory / ("client-" + secrets.token_hex(4))
        certificate, key = self._authority.client(name, groups)
        cert_file = write_private(stem.with_suffix(".crt"), certificate)
        key_file = write_private(stem.with_suffix(".key"), key)
        return ApiClient(self.url, self.ca_file, cert_file=cert_file, key_file=key_file)

    # audit log

    def audit_mark(self):
        """Return the current end of the audit log; requests that are already answered precede it."""
        self._settle()
        return self._audit_log.stat().st_size

    def audit(self, since=0, settle=True):
        """Return the audit events since a mark, in the order in which they were written.

        The API server writes an event after its answer. `settle` waits until everything answered so far is there.
        """
        if settle:
            self._settle()
        with self._audit_log.open("rb") as stream:
            stream.seek(since)
            lines = stream.read().split(b"\n")[:-1]
        events = [json.loads(line) for line in lines if line.strip()]
        return [event for event in events if "ranchhand-marker=" not in event.get("requestURI", "")]

    def _settle(self):
        # The second marker is sent after the first is written; by then, the events of all earlier requests are written.
        for unused in range(2):
            marker = "ranchhand-marker=" + secrets.token_hex(8)
            start = max(0, self._audit_log.stat().st_size - 1) if self._audit_log.exists() else 0
            self.api.get("/version?" + marker)
            deadline = time.monotonic() + 20
            with self._audit_log.open("rb") as stream:
                while True:
                    stream.seek(start)
                    if (marker.encode() + b'"') in stream.read():
                        break
                    if time.monotonic() > deadline:
                        raise Unavailable("The audit log did not show a request within 20 s.")
                    time.sleep(0.005)

    # parts of a start

    def _start_supervisor(self):
        environment = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LANG") if name in os.environ}
        with self._lock:
            # In its own session, so that Ctrl-C reaches only the test, which then stops the supervisor.
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", str(Path(__file__).with_name("supervisor.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        self.directory = Path(self._answer()["directory"])
        self.pids["supervisor"] = self._supervisor.pid

    def _run(self, name, argv):
        self.pids[name] = self._command(do="start", name=name, argv=argv)["pid"]

    def _command(self, **command):
        with self._lock:
            if self._supervisor is None:
                raise Unavailable("The control plane was stopped.")
            try:
                self._supervisor.stdin.write(json.dumps(command).encode() + b"\n")
                self._supervisor.stdin.flush()
            except BrokenPipeError:
                pass
            return self._answer()

    def _answer(self):
        line = self._supervisor.stdout.readline()
        if not line:
            raise Unavailable("The control plane's supervisor ended unexpectedly.")
        answer = json.loads(line)
        if "error" in answer:
            raise Unavailable("The control plane cannot be started: %s." % answer["error"])
        return answer

    def _write_files(self):
        certificate, key = self._authority.server(
            addresses=["127.0.0.1", "10.0.0.1"], names=["localhost", "kubernetes", "kubernetes.default.svc"]
        )
        self.ca_file = write_private(self.directory / "ca.crt", self._authority.pem)
        write_private(self.directory / "server.crt", certificate)
        write_private(self.directory / "server.key", key)
        write_private(self.directory / "service-accounts.key", key_pem(new_key()))
        write_private(self.directory / "audit-policy.json", json.dumps(_AUDIT_POLICY).encode())
        rows = [
            '%s,%s,%s,"%s"\n' % (self.tokens[user], user, user, ",".join(groups))
            for user, groups in self._groups.items()
        ]
        write_private(self.directory / "tokens.csv", "".join(rows).encode())
        self._audit_log = self.directory / "audit.jsonl"

    def _start_etcd(self, program):
        # Sockets in the folder: no port can collide, and other users of the machine cannot connect.
        self._etcd = "unix://%s/etcd.socket" % self.directory
        self._run(
            "etcd",
            [
                program,
                "--data-dir",
                str(self.directory / "etcd"),
                "--unsafe-no-fsync",
                "--log-level",
                "warn",
                "--listen-client-urls",
                self._etcd,
                "--listen-peer-urls",
                "unix://%s/peers.socket" % self.directory,
                # Must have the form host:port. Unused, because etcd has only this member.
                "--advertise-client-urls",
                "http://127.0.0.1:2379",
            ],
        )
        deadline = time.monotonic() + START_SECONDS
        while not (self.directory / "etcd.socket").exists():
            if self._command(do="poll", name="etcd")["returncode"] is not None:
                raise self._failure("etcd", "ended while starting")
            if time.monotonic() > deadline:
                raise self._failure("etcd", "was not ready after %d s" % START_SECONDS)
            time.sleep(0.02)

    def _choose_port(self, program):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        self.url = "https://127.0.0.1:%d" % port
        self.api = ApiClient(self.url, self.ca_file, token=self.token)
        certificate, key = self._authority.client(self.ADMINISTRATOR, ["system:masters"])
        self.kubeconfig = self._write_kubeconfig(
            "kubeconfig",
            self.ADMINISTRATOR,
            {
                "client-certificate-data": base64.b64encode(certificate).decode(),
                "client-key-data": base64.b64encode(key).decode(),
            },
        )
        folder = self.directory
        self._apiserver_argv = [
            program,
            "--etcd-servers=" + self._etcd,
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            "--secure-port=%d" % port,
            "--cert-dir=%s" % (folder / "certificates"),
            "--tls-cert-file=%s" % (folder / "server.crt"),
            "--tls-private-key-file=%s" % (folder / "server.key"),
            "--client-ca-file=%s" % self.ca_file,
            "--token-auth-file=%s" % (folder / "tokens.csv"),
            "--service-account-key-file=%s" % (folder / "service-accounts.key"),
            "--service-account-signing-key-file=%s" % (folder / "service-accounts.key"),
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            # No controller creates the "default" accounts for which this plugin waits.
            "--disable-admission-plugins=ServiceAccount",
            "--audit-policy-file=%s" % (folder / "audit-policy.json"),
            "--audit-log-path=%s" % self._audit_log,
            "--audit-log-format=json",
            "--audit-log-mode=blocking",
            "--audit-log-maxsize=10000",
            "--profiling=false",
        ]

    def _write_kubeconfig(self, stem, user, credentials):
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "ranchhand",
                    "cluster": {
                        "server": self.url,
                        "certificate-authority-data": base64.b64encode(self._authority.pem).decode(),
                    },
                }
            ],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "ranchhand", "context": {"cluster": "ranchhand", "user": user}}],
            "current-context": "ranchhand",
        }
        # JSON is YAML.
        return write_private(self.directory / (stem + ".yaml"), json.dumps(content, indent=1).encode())

    def _log(self, name):
        path = self.directory / (name + ".log")
        return path.read_text(errors="replace") if path.exists() else ""

    def _failure(self, name, what):
        lines = [line.strip() for line in self._log(name).splitlines() if line.strip()]
        return Unavailable("%s %s; its last words: %s" % (name, what, " | ".join(lines[-3:]) or "none"))
