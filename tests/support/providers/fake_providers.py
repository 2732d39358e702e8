# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fakes of providers whose keys are verified but not issued: the requests that do this, on one server with TLS.

    with FakeProviders(folder) as fake:
        fake.tokens["the token"] = ACTIVE

Each request is checked by the value of its key. Unknown, disabled and deleted keys are refused with the status and the
body of the provider. Sources of the answers: the published API description of DigitalOcean; public issues for Hetzner;
govmomi and Broadcom's documentation for vSphere. The answers of Nutanix were not confirmed. Not checked: propagation,
replicas, and limits of requests.
"""

from __future__ import annotations

import base64
import secrets
from urllib.parse import urlsplit

from support.fakes import Proxy
from support.providers.fake_provider import answer_json, tls_server

ACTIVE, POWERLESS, DISABLED, DELETED = "active", "powerless", "disabled", "deleted"
LOCKED_AFTER = 5  # failures, as in vCenter by default
_LISTS = {
    # path: member of the answer, answer to an unknown token
    "/v2/droplets": ("droplets", {"id": "unauthorized", "message": "Unable to authenticate you"}),
    "/v1/servers": ("servers", {"error": {"code": "unauthorized", "message": "unable to authenticate"}}),
}


class FakeProviders(Proxy):
    """The fakes, with their keys.

    ``tokens`` maps a bearer token to its state, ``accounts`` a user of vCenter and Prism Central to its password.
    """

    def __init__(self, folder):
        self.ca_bundle, context = tls_server(folder)
        super().__init__(tls=context)
        self.tokens, self.accounts = {}, {}
        self.failures, self.sessions = {}, set()
        self.override = None  # an action of support.fakes for the next requests

    @property
    def options(self):
        """The options of a verification that lead here."""
        return {"endpoint_url": self.url, "ca_bundle": str(self.ca_bundle)}

    def answer(self, seen):
        if self.override:
            return self.override(seen)
        path = urlsplit(seen.path).path
        if path in _LISTS:
            return self._list(seen, *_LISTS[path])
        if path == "/api/session":
            return self._session(seen)
        if path == "/api/nutanix/v3/users/me":
            return answer_json(200, {"status": {}}) if self._signs_in(seen) else answer_json(401, {"state": "ERROR"})
        return answer_json(404, {})

    def _list(self, seen, member, unauthorized):
        scheme, _space, token = seen.headers.get("authorization", "").partition(" ")
        state = self.tokens.get(token) if scheme == "Bearer" else None
        if state == POWERLESS:
            return answer_json(403, {"id": "forbidden", "message": "You are not authorized to perform this operation"})
        return answer_json(200, {member: []}) if state == ACTIVE else answer_json(401, unauthorized)

    def _session(self, seen):
        if seen.method == "DELETE":
            self.sessions.discard(seen.headers.get("vmware-api-session-id"))
            return 204, {}, b""
        if not self._signs_in(seen):
            return answer_json(401, {"error_type": "UNAUTHENTICATED"})
        session = secrets.token_hex(16)
        self.sessions.add(session)
        return answer_json(201, session)

    def _signs_in(self, seen):
        user, _colon, password = base64.b64decode(seen.headers["authorization"].split()[1]).decode().partition(":")
        if self.failures.get(user, 0) >= LOCKED_AFTER or self.accounts.get(user) != password:
            self.failures[user] = self.failures.get(user, 0) + 1
            return False
        self.failures[user] = 0
        return True
