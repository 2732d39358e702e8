# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fakes of providers that cannot be had here: the requests that verify a key, on one loopback server with TLS.

    with FakeProviders(folder) as fake:
        fake.tokens["the token"] = ACTIVE

Each request is checked by the value or the signature of its key. Unknown, disabled and deleted keys are refused with
the status and the body of the provider. Sources of the answers: the published API descriptions of DigitalOcean, Linode
and Proxmox VE; public issues for Hetzner, Google and Microsoft Entra; govmomi and Broadcom's documentation for vSphere.
The answers of Nutanix were not confirmed. Not checked: propagation, replicas, and limits of requests.
"""

from __future__ import annotations

import base64
import json
import secrets
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa

from support.fakes import Proxy
from support.providers.fake_google import credentials_file, decode, grant_error, refuse_assertion
from support.providers.fake_provider import answer_json, form_of, tls_server

ACTIVE, POWERLESS, DISABLED, DELETED = "active", "powerless", "disabled", "deleted"
LOCKED_AFTER = 5  # failures, as in vCenter by default
_LISTS = {
    # path: member of the answer, answer to an unknown token
    "/v2/droplets": ("droplets", {"id": "unauthorized", "message": "Unable to authenticate you"}),
    "/v4/linode/instances": ("data", {"errors": [{"reason": "Invalid Token"}]}),
    "/v1/servers": ("servers", {"error": {"code": "unauthorized", "message": "unable to authenticate"}}),
}


class FakeProviders(Proxy):
    """The fakes, with their keys.

    ``tokens`` maps a bearer token to its state, also ``USER!NAME=SECRET`` of Proxmox VE. ``service_accounts`` maps the
    id of a Google key to its ``email``, ``public_key`` and ``state``. ``applications`` maps the client id of Entra to
    ``tenant``, ``secret`` and ``subscriptions``. ``accounts`` maps a user of vCenter and Prism Central to its
    password.
    """

    def __init__(self, folder):
        self.ca_bundle, context = tls_server(folder)
        super().__init__(tls=context)
        self.tokens, self.service_accounts, self.applications, self.accounts = {}, {}, {}, {}
        self.failures, self.sessions = {}, set()
        self.override = None  # an action of support.fakes for the next requests
        self._access = {}

    @property
    def options(self):
        """The options of a verification that lead here."""
        return {"endpoint_url": self.url, "ca_bundle": str(self.ca_bundle)}

    def google_key(self, state=ACTIVE):
        """Create a key of a service account; returns the JSON of the credential."""
        private = rsa.generate_private_key(65537, 2048)
        key_id, email = secrets.token_hex(20), "rancher@project.iam.gserviceaccount.com"
        self.service_accounts[key_id] = {"email": email, "public_key": private.public_key(), "state": state}
        return credentials_file(private, key_id, email, "100")

    def answer(self, seen):
        if self.override:
            return self.override(seen)
        path = urlsplit(seen.path).path
        if path in _LISTS:
            return self._list(seen, *_LISTS[path])
        if path == "/api2/json/version":
            state = self.tokens.get(seen.headers.get("authorization", "").removeprefix("PVEAPIToken="))
            status, content = (200, {"data": {"version": "8.2"}}) if state == ACTIVE else (401, {"data": None})
            return answer_json(status, content)
        if path == "/token":
            return self._google(form_of(seen))
        if path.endswith("/oauth2/v2.0/token"):
            return self._entra(path.split("/")[1], form_of(seen))
        if path.startswith("/subscriptions/"):
            return self._subscription(path.split("/")[2], seen.headers.get("authorization", ""))
        if path == "/api/session":
            return self._session(seen)
        if path == "/api/nutanix/v3/users/me":
            return answer_json(200, {"status": {}}) if self._signs_in(seen) else answer_json(401, {"state": "ERROR"})
        return answer_json(404, {})

    def _list(self, seen, member, unauthorized):
        state = self.tokens.get(seen.headers.get("authorization", "").removeprefix("Bearer "))
        if state == POWERLESS:
            return answer_json(403, {"id": "forbidden", "message": "You are not authorized to perform this operation"})
        return answer_json(200, {member: []}) if state == ACTIVE else answer_json(401, unauthorized)

    def _google(self, form):
        key = self.service_accounts.get(json.loads(decode(form["assertion"].split(".")[0]))["kid"])
        refusal = refuse_assertion(form["assertion"], key and key["public_key"], key and key["email"])
        if refusal:
            return refusal
        if key["state"] in (DISABLED, DELETED):
            return grant_error("Invalid JWT Signature.")
        return answer_json(200, {"access_token": secrets.token_hex(16), "expires_in": 3599, "token_type": "Bearer"})

    def _entra(self, tenant, form):
        application = self.applications.get(form["client_id"])
        if application is None or application["tenant"] != tenant:
            return answer_json(400, {"error": "unauthorized_client", "error_codes": [700016]})
        if form["client_secret"] != application["secret"] or not form["scope"].endswith("/.default"):
            return answer_json(401, {
                "error": "invalid_client", "error_codes": [7000215],
                "error_description": f"AADSTS7000215: Invalid client secret provided: {form['client_secret']}",
            })
        token = secrets.token_hex(16)
        self._access[f"Bearer {token}"] = application
        return answer_json(200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    def _subscription(self, subscription, authorization):
        application = self._access.get(authorization)
        if application is None:
            return answer_json(401, {"error": {"code": "InvalidAuthenticationToken"}})
        if subscription not in application["subscriptions"]:
            return answer_json(403, {"error": {"code": "AuthorizationFailed"}})
        return answer_json(200, {"subscriptionId": subscription})

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
