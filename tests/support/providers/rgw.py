# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Ceph RADOS Gateway (RGW) with TLS on loopback, in front of a cluster of a monitor and an OSD in memory.

with Rgw() as rgw:
    rgw.manage("PUT", uid="rancher", display_name="Rancher")

It starts in about three seconds. `CephUsers` puts a proxy in front of it, which injects what tests need, and has the
interface of the fakes.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from control_plane import Unavailable
from support.providers.fake_provider import FakeKey, FakeProvider, answer_json, tls_server

_START = 60  # seconds
_UNTIL_END = '"$@" & read -r line; kill -9 $!; wait'  # of the process that started it, however that ends
_ROOT = ("ROOT", "of the administrator of an RGW for tests")
_CAPS = "users=read,write"
_SETTINGS = """\
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{port}
public addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
keyring = {folder}/keyring
run dir = {folder}
admin socket =
log file = {folder}/$name.log
mon cluster log file = /dev/null
mon data = {folder}/mon
mon data avail crit = 0
mon allow pool size one = true
paxos propose interval = 0.02
paxos min wait = 0.01
osd data = {folder}/osd
osd objectstore = memstore
osd class dir = {libraries}/rados-classes
osd pool default size = 1
osd pool default pg num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
plugin dir = {libraries}/ceph
erasure code dir = {libraries}/ceph/erasure-code
rgw frontends = beast ssl_endpoint=127.0.0.1:{rgw_port} ssl_certificate={folder}/provider.pem \
ssl_private_key={folder}/provider.key
"""


class Rgw:
    """An RGW with an administrator. Attributes: `url`, and `ca_bundle`, the file with its CA."""

    def __init__(self):
        self._folder = None
        self._processes = []
        self.url = self.ca_bundle = None

    def __enter__(self):
        root = os.environ.get("RANCHHAND_RGW")
        if not root:
            raise Unavailable("RANCHHAND_RGW is not set to a folder with Debian's radosgw; tests/run.py sets it.")
        libraries, = Path(root, "usr/lib").glob("*-linux-gnu")
        self._programs = Path(root, "usr/bin")
        paths = (libraries, libraries / "ceph", Path(root, "lib", libraries.name))
        self._folder = Path(tempfile.mkdtemp(prefix="rgw-"))
        try:
            self.ca_bundle, _context = tls_server(self._folder)
            port, rgw_port = _free_ports()
            fsid = str(uuid.uuid4())
            (self._folder / "ceph.conf").write_text(_SETTINGS.format(
                folder=self._folder, libraries=libraries, fsid=fsid, port=port, rgw_port=rgw_port
            ))
            self._environment = {
                "PATH": os.defpath, "LD_LIBRARY_PATH": ":".join(map(str, paths)),
                "CEPH_CONF": str(self._folder / "ceph.conf"),
            }
            self.url = f"https://127.0.0.1:{rgw_port}"
            self._start(fsid, port)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error):
        self.stop()

    def stop(self):
        """Stop it and delete its folder. Safe to call twice."""
        while self._processes:
            process = self._processes.pop()
            process.stdin.close()
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def command(self, line):
        """Return the output of a command such as that of a guide."""
        return self._run(*shlex.split(line))

    def log(self):
        """Return the log of the RGW."""
        return (self._folder / "client.admin.log").read_text(encoding="utf-8", errors="replace")

    def request(self, method, path, pair=_ROOT, **query):
        """Send a signed request; returns the response."""
        url = f"{self.url}{path}?{urlencode(query)}"
        request = AWSRequest(method, url)
        S3SigV4Auth(Credentials(*pair), "s3", "us-east-1").add_auth(request)
        return self.pool.request(method, url, headers=dict(request.headers))

    def manage(self, method, **query):
        """Send a request of the administrator for a user; returns the content of the answer."""
        names = {name.replace("_", "-"): value for name, value in query.items()}
        answer = self.request(method, "/admin/user", format="json", **names)
        assert answer.status == 200, answer.data
        return json.loads(answer.data or "null")

    def _start(self, fsid, port):
        """Start the processes. The map contains the OSD from the beginning, so that no client has to create it."""
        for folder in ("mon", "osd"):
            (self._folder / folder).mkdir()
        self._run("ceph-authtool", "keyring", "--create-keyring", "--gen-key", "-n", "client.admin")
        self._run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v2:127.0.0.1:{port}]", "monmap")
        self._run("osdmaptool", "--createsimple", "1", "osdmap")
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", "monmap", "--osdmap", "osdmap")
        self._spawn("ceph-mon", "-i", "a")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", str(uuid.uuid4()))
        self._spawn("ceph-osd", "-i", "0")
        self._spawn("radosgw", "-n", "client.admin")
        self.pool = urllib3.PoolManager(retries=False, timeout=30, ca_certs=str(self.ca_bundle), maxsize=32)
        deadline = time.monotonic() + _START
        while True:
            try:
                self.pool.request("GET", self.url)
                break
            except urllib3.exceptions.HTTPError:
                if time.monotonic() > deadline:
                    raise Unavailable(f"radosgw did not start: {_last_lines(self._folder)}") from None
                time.sleep(0.1)
        key, secret = _ROOT
        self._run(
            "radosgw-admin", "user", "create", "--uid=root", "--display-name=root", f"--access-key={key}",
            f"--secret-key={secret}", "--caps=users=*",
        )

    def _spawn(self, *command):
        with (self._folder / "output").open("ab") as output:
            self._processes.append(subprocess.Popen(
                ["sh", "-c", _UNTIL_END, "sh", self._programs / command[0], "-f", *command[1:]], cwd=self._folder,
                env=self._environment, stdin=subprocess.PIPE, stdout=output, stderr=output,
            ))

    def _run(self, *command):
        done = subprocess.run(
            [self._programs / command[0], *command[1:]], cwd=self._folder, env=self._environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=_START,
        )
        if done.returncode:
            raise Unavailable(f"{' '.join(command[:3])} failed: {done.stderr.strip()[-300:]}")
        return done.stdout


def _free_ports():
    with socket.socket() as first, socket.socket() as second:
        for opened in (first, second):
            opened.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _last_lines(folder):
    lines = [line for log in folder.glob("*.log") for line in log.read_text(errors="replace").splitlines()[-2:]]
    return " | ".join(lines) or "none"


@functools.cache
def running():
    """Return the RGW of this process, which starts it once and stops it at its end."""
    rgw = Rgw()
    rgw.__enter__()
    atexit.register(rgw.stop)
    return rgw


class _Keys(dict):
    """Keys by their ids; to delete an item deletes the key."""

    def __init__(self, rgw, keys):
        super().__init__(keys)
        self._rgw = rgw

    def __delitem__(self, key_id):
        self._rgw.manage("DELETE", uid=self.pop(key_id).owner, access_key=key_id, key="")


class CephUsers(FakeProvider):
    """Users of the RGW of this process, behind a proxy. Nothing of it is fake, except what tests inject.

    ``replicas``, freeze() and ``forbidden`` change what the RGW answers, or the caps of its users.
    """

    issuer = "ceph"
    issuing = "PUT /admin/user"
    secret_field = "secretKey"
    given: ClassVar = {"access_key": "accessKey", "secret_key": "secretKey"}
    signed = ("authorization", "query", "host", "x-amz-date")
    is_real = True
    shows_secrets = True

    def __init__(self, folder):
        self.rgw = running()
        self._forbidden = False
        self._answers = {}
        suffix = secrets.token_hex(4)
        for name in ("principal", "stranger", "rotator"):
            setattr(self, name, f"{name}-{suffix}")
        for uid in self._users:
            self.rgw.manage("PUT", uid=uid, display_name=uid, generate_key="false", user_caps=_CAPS)
        super().__init__(folder)

    @property
    def _users(self):
        return self.principal, self.stranger, self.rotator

    @property
    def forbidden(self):
        return self._forbidden

    @forbidden.setter
    def forbidden(self, value):
        self._forbidden = value
        for uid in self._users:
            self.rgw.manage("DELETE" if value else "PUT", uid=uid, user_caps=_CAPS, caps="")

    @property
    def keys(self):
        """The keys at the RGW, those of subusers excepted; without an item, the RGW has no key either."""
        return _Keys(self.rgw, {
            key["access_key"]: FakeKey(key["access_key"], key["secret_key"], uid)
            for uid in self._users for key in self.rgw.manage("GET", uid=uid)["keys"] if key["user"] == uid
        })

    @keys.setter
    def keys(self, value):
        """The base class begins without keys, as the users do."""

    def generate(self, owner):
        key = FakeKey(f"K{secrets.token_hex(8).upper()}", None, owner)
        found = self.rgw.manage("PUT", uid=owner, access_key=key.id, generate_key="true", key="")
        key.secret = next(item["secret_key"] for item in found if item["access_key"] == key.id)
        return key

    def credential(self, key):
        return {
            "accessKey": key.id, "secretKey": key.secret, "defaultEndpoint": self.url.removeprefix("https://"),
            "defaultEndpointCA": self.ca_bundle.read_text(),
        }

    def handle(self, seen):
        key = seen.headers.get("authorization", "").partition("Credential=")[2].partition("/")[0]
        if self._answers.get(key) and not self._answers[key].pop(0):
            return 403, {}, b"<Error><Code>InvalidAccessKeyId</Code></Error>"
        answer = self.rgw.pool.request(
            seen.method, self.rgw.url + seen.path, body=seen.body or None, headers=seen.headers, redirect=False
        )
        if answer.status == 200 and seen.method == "PUT":
            self._answers[parse_qs(urlsplit(seen.path).query)["access-key"][0]] = list(self.replicas)
        if answer.status == 200 and seen.method == "GET" and self._listed is not None:
            user = json.loads(answer.data)
            uid = user["tenant"] + "$" * bool(user["tenant"]) + user["user_id"]
            user["keys"] = [
                {"user": uid, "access_key": key.id, "secret_key": key.secret} for key in self.listed(uid)
            ]
            return answer_json(200, user)
        return answer.status, {}, answer.data
