# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxies between a client and the real API server, and the parts of Rancher that tests need.

`FaultInjector` injects faults, `RancherProxy` acts as Rancher's own proxy, `RancherController` as the controller that
lets users read what they created, `ConnectProxy` as an HTTP proxy. A FaultInjector whose rules answer all requests is a
server that is no API server.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import select
import socket
import socketserver
import threading
import time
import typing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import urllib3

_NOT_FORWARDED = ("host", "connection", "transfer-encoding", "content-length", "accept-encoding", "keep-alive")


class ReceivedRequest(typing.NamedTuple):
    """A request with the time of its arrival (time.monotonic())."""

    method: str
    path: str
    headers: dict
    body: bytes
    time: float


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """Ignore connections that end early, as the faults cause them."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *arguments):
        pass

    def _handle(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = ReceivedRequest(
            self.command, self.path, {key.lower(): value for key, value in self.headers.items()}, body, time.monotonic()
        )
        proxy = self.server.proxy
        proxy.seen.append(seen)
        answer = proxy.answer(seen)
        if answer is None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        status, headers, content = answer
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if isinstance(content, bytes):
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with contextlib.closing(content):
            for chunk in content:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _handle


class Proxy:
    """A reverse proxy on loopback for a control plane. Without one it answers 404. With a TLS context it uses TLS."""

    def __init__(self, control_plane=None, tls=None):
        self.seen = []
        self._token = control_plane and control_plane.token
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"
        self._upstream = control_plane and urllib3.PoolManager(
            ca_certs=str(control_plane.ca_file), maxsize=32, retries=False, timeout=urllib3.Timeout(connect=5, read=60)
        )
        self._address = control_plane and control_plane.url

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()

    @property
    def options(self):
        """The connection options of the administrator through this proxy."""
        return {"host": self.url, "api_key": self._token}

    def answer(self, seen):
        """Return status, headers and body of the response, or None to cut the connection.

        The body is bytes, or a generator of its parts, which are sent as they arrive.
        """
        return self.forward(seen)

    def forward(self, seen, headers=None):
        """Return the response of the API server."""
        if not self._upstream:
            return reply(404)(seen)
        answer = self._send(seen, headers)
        return answer.status, _forwarded(answer.headers), answer.data

    def stream(self, seen):
        """Return the response to a watch, whose body arrives while it is read."""
        answer = self._send(seen, preload_content=False)

        def parts():
            try:
                yield from answer.read_chunked()
            except urllib3.exceptions.HTTPError:
                return  # no event for a while
            finally:
                answer.close()

        return answer.status, _forwarded(answer.headers), parts()

    def _send(self, seen, headers=None, **options):
        headers = headers or _forwarded(seen.headers)
        return self._upstream.request(
            seen.method, self._address + seen.path, body=seen.body or None, headers=headers, redirect=False, **options
        )


def _forwarded(headers):
    return {key: value for key, value in headers.items() if key.lower() not in _NOT_FORWARDED}


class FaultInjector(Proxy):
    """Injects faults into requests that match rules.

    A rule is an action for the next `times` requests of a method whose path matches and whose body contains `about`. An
    action is called with the request and returns a response, None to cut the connection, or `PASS` to forward the
    request.
    """

    def __init__(self, control_plane=None, tls=None):
        super().__init__(control_plane, tls)
        self._rules = []
        self._lock = threading.Lock()

    def rule(self, method, action, path="", about="", times=1):
        self._rules.append([method, path, about.encode(), action, times])

    def answer(self, seen):
        action = None
        with self._lock:
            for rule in self._rules:
                method, path, about, wanted, times = rule
                if times and re.fullmatch(method, seen.method) and re.search(path, seen.path) and about in seen.body:
                    rule[4] -= 1
                    action = wanted
                    break
        answer = action(seen) if action else PASS
        return self.forward(seen) if answer is PASS else answer

    def lose_reply(self, seen):
        """Forward the request and drop its reply."""
        self.forward(seen)


PASS = object()


def cut(seen):
    """Drop both request and reply."""


def reply(status, message=None, reason="", **headers):
    """Return an action that answers with a status, and with a message as Kubernetes does.

    {body} and {headers} in the message are replaced with those of the request.
    """

    def action(seen):
        content = b""
        if message is not None:
            text = message.replace("{body}", seen.body.decode(errors="replace")).replace(
                "{headers}", json.dumps(seen.headers)
            )
            content = json.dumps(
                {
                    "kind": "Status",
                    "apiVersion": "v1",
                    "status": "Failure",
                    "message": text,
                    "reason": reason,
                    "code": status,
                }
            ).encode()
        return (
            status,
            {"Content-Type": "application/json", **{key.replace("_", "-"): value for key, value in headers.items()}},
            content,
        )

    return action


def after(callback, action=None):
    """Return an action that first calls a function."""

    def wanted(seen):
        callback(seen)
        return action(seen) if action else PASS

    return wanted


class RancherProxy(Proxy):
    """Rancher's own proxy (https://RANCHER/k8s/clusters/local).

    It identifies users by its own tokens, forwards requests as an administrator that impersonates them, describes them
    in extra fields, and answers 403 with an empty body.
    """

    def __init__(self, control_plane, users):
        super().__init__(control_plane)
        self._users = users  # token: (id, username)

    def answer(self, seen):
        identity = self._users.get(seen.headers.get("authorization", "").partition(" ")[2])
        if identity is None:
            return reply(401, "must authenticate")(seen)
        headers = {
            key: value for key, value in _forwarded(seen.headers).items() if not key.startswith("impersonate-")
        }
        headers.update(
            {
                "authorization": f"Bearer {self._token}",
                "Impersonate-User": identity[0],
                "Impersonate-Group": "system:authenticated",
                "Impersonate-Extra-principalid": f"local://{identity[0]}",
                "Impersonate-Extra-username": identity[1],
            }
        )
        status, headers, content = self.forward(seen, headers)
        return (403, {}, b"") if status == 403 else (status, headers, content)


class RancherController:
    """Rancher's controller that gives the creator of a credential all permissions on it, a moment later."""

    def __init__(self, api, namespace="cattle-global-data", delay=0.7):
        self._api, self._namespace, self._delay = api, namespace, delay
        self._done = threading.Event()
        self._known = set()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def stop(self):
        self._done.set()
        self._thread.join()

    def _watch(self):
        while not self._done.wait(0.1):
            for secret in self._api.get(f"/api/v1/namespaces/{self._namespace}/secrets")["items"]:
                name = secret["metadata"]["name"]
                if name not in self._known:
                    self._known.add(name)
                    self._done.wait(self._delay)
                    self.grant(name, secret["metadata"]["annotations"]["field.cattle.io/creatorId"])

    def grant(self, name, user):
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{self._namespace}"
        role = f"{name}-secrets-a"
        self._api.post(
            f"{path}/roles",
            {
                "metadata": {"name": role},
                "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [name], "verbs": ["*"]}],
            },
        )
        self._api.post(
            f"{path}/rolebindings",
            {
                "metadata": {"name": role},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
            },
        )


class ConnectProxy:
    """An HTTP proxy with CONNECT; `asked` contains the targets and headers of its requests."""

    def __init__(self):
        self.asked = []
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                head = b""
                while b"\r\n\r\n" not in head:
                    more = self.request.recv(4096)
                    if not more:
                        return
                    head += more
                lines = head.decode().split("\r\n")
                target = lines[0].split()[1]
                outer.asked.append(
                    (
                        target,
                        {
                            key.lower(): value
                            for key, _colon, value in (line.partition(": ") for line in lines[1:] if line)
                        },
                    )
                )
                host, _colon, port = target.rpartition(":")
                with socket.create_connection((host, int(port))) as upstream:
                    self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    pairs = {self.request: upstream, upstream: self.request}
                    while True:
                        for readable in select.select(list(pairs), [], [])[0]:
                            data = readable.recv(65536)
                            if not data:
                                return
                            pairs[readable].sendall(data)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request, client_address):
                """Ignore connections that end early, as the faults cause them."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()


def basic(user, password):
    """Return the value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
