# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Keystone, OpenStack's identity service, on loopback. Its prepared database is cached below .local.

with Keystone() as keystone:
    password = keystone.create_user("alice")
    assert keystone.works("alice", password)
"""

from __future__ import annotations

import fcntl
import grp
import hashlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

import urllib3

from control_plane import Unavailable

_ADMINISTRATOR = "admin"
_PASSWORD = "of the administrator of a Keystone for tests"
_SETTINGS = """\
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{directory}/keystone.db
[fernet_tokens]
key_repository = {directory}/fernet-keys
[credential]
key_repository = {directory}/credential-keys
[identity]
password_hash_rounds = 4
"""
# Prints its port, and exits with the process that started it.
_SERVER = """\
import os, sys, threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from keystone.server.wsgi import initialize_public_application

class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

class Handler(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass

application = initialize_public_application()
lock = threading.Lock()

def serialized(environ, start_response):
    with lock:  # SQLite fails with "database is locked" if two requests change it
        return application(environ, start_response)

server = make_server("127.0.0.1", 0, serialized, Server, Handler)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print(server.server_port, flush=True)
server.serve_forever()
"""


class Keystone:
    """A Keystone with the domain Default and an administrator; any password is permitted.

    `settings` is appended to keystone.conf. Attributes: `url` (with /v3) and `admin`, the administrator as options of
    the issuer.
    """

    def __init__(self, settings=""):
        self._settings = settings
        self._process = None
        self._folder = None
        self._token = None
        self._http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=5, read=30))
        self.url = None
        self.admin = {"admin_username": _ADMINISTRATOR, "admin_password": _PASSWORD, "admin_project_name": "admin"}

    def __enter__(self):
        python = os.environ.get("RANCHHAND_KEYSTONE")
        if not python:
            raise Unavailable(
                "RANCHHAND_KEYSTONE is not set to the Python of an environment with Keystone; tests/run.py sets it."
            )
        self._folder = Path(tempfile.mkdtemp(prefix="keystone-"))
        try:
            shutil.copytree(_prepared(Path(python)), self._folder, dirs_exist_ok=True)
            _write_settings(self._folder, self._settings)
            self._start(python)
            self._token = self._sign_in(_ADMINISTRATOR, _PASSWORD, project="admin").headers["X-Subject-Token"]
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception):
        self.stop()

    def stop(self):
        """Stop it and delete its folder. Safe to call twice."""
        process, self._process = self._process, None
        if process:
            process.stdin.close()
            process.wait(timeout=20)
            process.stdout.close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def create_user(self, name, password=None, **more):
        """Create a user of the domain Default without any role; returns the password."""
        password = password or secrets.token_urlsafe(12)
        self.request("POST", "/users", {"user": {"name": name, "password": password, "domain_id": "default", **more}})
        return password

    def assign(self, user, role, project):
        """Give a user a role on a project."""
        role, project = (
            self.request("GET", f"/{kind}s?name={name}")[f"{kind}s"][0]["id"]
            for kind, name in (("role", role), ("project", project))
        )
        self.request("PUT", f"/projects/{project}/users/{self.user_id(user)}/roles/{role}")

    def user_id(self, name):
        return self.request("GET", f"/users?name={name}")["users"][0]["id"]

    def works(self, user, password):
        """Return whether the user can sign in with the password."""
        status = self._sign_in(user, password).status
        assert status in (201, 401), status
        return status == 201

    def request(self, method, path, body=None):
        """Send a request as the administrator; returns the content of the response."""
        answer = self._http.request(method, self.url + path, json=body, headers={"X-Auth-Token": self._token})
        assert answer.status < 300, (answer.status, answer.data)
        return answer.json() if answer.data else None

    def _sign_in(self, user, password, project=None):
        content = {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": user, "domain": {"id": "default"}, "password": password}},
            }
        }
        if project:
            content["scope"] = {"project": {"name": project, "domain": {"id": "default"}}}
        return self._http.request("POST", f"{self.url}/auth/tokens", json={"auth": content})

    def _start(self, python):
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [python, "-I", "-c", _SERVER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=_environment(self._folder),
                cwd=self._folder,
                start_new_session=True,
            )
        port = self._process.stdout.readline().strip().decode()
        if not port:
            raise Unavailable(
                "Keystone did not start: %s" % _last_lines((self._folder / "log").read_text(errors="replace"))
            )
        self.url = f"http://127.0.0.1:{port}/v3"


def _prepared(python):
    """Return a folder with keys and a database with an administrator.

    It is cached, as creating it takes half a minute.
    """
    stamp = python.parents[1] / ".stamp"
    packages = stamp.read_text() if stamp.exists() else str(python)
    kept = Path(os.environ["RANCHHAND_LOCAL"]) / "keystone"
    kept.mkdir(parents=True, exist_ok=True)
    target = kept / hashlib.sha256("\n".join([packages, _SETTINGS, _PASSWORD]).encode()).hexdigest()[:16]
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            unfinished = kept / "unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(mode=0o700)
            _write_settings(unfinished)
            for folder in ("fernet-keys", "credential-keys"):
                (unfinished / folder).mkdir(mode=0o700)
            owner = [
                "--keystone-user",
                pwd.getpwuid(os.getuid()).pw_name,
                "--keystone-group",
                grp.getgrgid(os.getgid()).gr_name,
            ]
            for arguments in (
                ["db_sync"],
                ["fernet_setup", *owner],
                ["credential_setup", *owner],
                ["bootstrap", "--bootstrap-password", _PASSWORD],
            ):
                done = subprocess.run(
                    [
                        python,
                        "-I",
                        python.with_name("keystone-manage"),
                        "--config-file",
                        unfinished / "keystone.conf",
                        *arguments,
                    ],
                    env=_environment(unfinished),
                    cwd=unfinished,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    check=False,
                )
                if done.returncode:
                    raise Unavailable("keystone-manage %s failed: %s" % (arguments[0], _last_lines(done.stdout)))
            unfinished.rename(target)
    return target


def _write_settings(directory, more=""):
    (directory / "keystone.conf").write_text(_SETTINGS.format(directory=directory) + more)


def _environment(directory):
    return {"PATH": os.environ.get("PATH", os.defpath), "OS_KEYSTONE_CONFIG_FILES": f"{directory}/keystone.conf"}


def _last_lines(text):
    return " | ".join([line.strip() for line in text.splitlines() if line.strip()][-3:]) or "none"
