# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of Microsoft Entra's token endpoint and of the client secrets in Microsoft Graph.

Sources: Microsoft's reference of Graph (application, servicePrincipal, addPassword, removePassword) and public issues
(bodies of refusals, names of policies). Not confirmed: the status of a refusal by a policy. Not modelled: certificates,
and propagation in seconds; replicas answer as a test requests. Tokens are opaque here.
"""

from __future__ import annotations

import datetime
import json
import re
import secrets
import uuid
from dataclasses import dataclass
from typing import ClassVar

from support.providers.fake_provider import UTC, FakeKey, FakeProvider, answer_json, form_of, format_zulu

TENANT = "11111111-aaaa-4aaa-8aaa-111111111111"
RANCHER, ROTATOR, STRANGER = (f"{number}0000000-bbbb-4bbb-8bbb-000000000000" for number in "123")
_OBJECTS = re.compile(r"/v1\.0/(applications|servicePrincipals)\(appId='([^']*)'\)(/addPassword|/removePassword)?")
_GRAPH = tuple(f"https://{host}/.default" for host in (
    "graph.microsoft.com", "graph.microsoft.us", "microsoftgraph.chinacloudapi.cn",
))
_MANAGER = tuple(f"https://{host}/.default" for host in (
    "management.azure.com", "management.usgovcloudapi.net", "management.chinacloudapi.cn",
))


@dataclass
class _Token:
    client_id: str
    scope: str
    expires_at: datetime.datetime


class FakeAzure(FakeProvider):
    """One tenant. RANCHER owns itself, ROTATOR owns RANCHER, and STRANGER owns nothing.

    All have the right Application.ReadWrite.OwnedBy. ``audience`` is that of RANCHER, ``without_hint`` are the ids of
    secrets without a hint, ``object`` is what create_key() adds secrets to, ``applications`` whether the tenant has
    more than a service principal, ``policy`` the code with which a policy refuses new secrets.
    """

    issuer = "azure"
    issuing = "POST .*/addPassword$"
    principal, rotator, stranger = RANCHER, ROTATOR, STRANGER
    secret_field = "clientSecret"
    given: ClassVar = {"client_id": "clientId", "client_secret": "clientSecret"}
    lags = True

    def __init__(self, folder):
        super().__init__(folder)
        self.audience, self.without_hint, self.object, self.applications, self.policy = (
            "AzureADMyOrg", (), "applications", True, None
        )
        self._tokens = {}

    def generate(self, owner, mark="by hand", expires_at=None):
        more = {"object": self.object}
        return self.add(FakeKey(str(uuid.uuid4()), _new_secret(), owner, mark, expires_at, more=more))

    def credential(self, key):
        return {
            "clientId": key.owner, "clientSecret": key.secret, "tenantId": TENANT, "subscriptionId": "s",
            "environment": "AzurePublicCloud",
        }

    def mix(self, values, other):
        del self.keys[next(key.id for key in self.keys.values() if key.secret == other["clientSecret"])]
        return super().mix(values, other)

    def handle(self, seen):
        path, _question, query = seen.path.partition("?")
        if path.endswith("/oauth2/v2.0/token") and seen.method == "POST":
            return self._exchange(path.split("/")[1], form_of(seen))
        match = _OBJECTS.fullmatch(path)
        scopes = _GRAPH if match else _MANAGER
        caller = self.client_of(seen, scopes)
        if caller is None:
            return _error(401, "InvalidAuthenticationToken")
        if path.startswith("/subscriptions/"):
            return _show_subscription(path, query, caller)
        if match is None:
            return _error(404, "Request_ResourceNotFound")
        owner, client_id, action = match.groups()
        if self.forbidden:
            return _error(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        if client_id not in (RANCHER, ROTATOR, STRANGER) or owner == "applications" and not self.applications:
            return _error(404, "Request_ResourceNotFound")
        if action is None and seen.method == "GET":
            return self._show(owner, client_id, query.removeprefix("$select=").split(","))
        if action is None or seen.method != "POST":  # PATCH of passwordCredentials too
            return _error(400, "Request_BadRequest")
        if client_id != RANCHER or caller == STRANGER:
            return _error(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        change = self._add_password if action == "/addPassword" else self._remove_password
        return change(owner, client_id, json.loads(seen.body))

    def client_of(self, seen, scopes):
        """Return the application whose token for these scopes is in a request; None if there is none that is valid."""
        token = self._tokens.get(seen.headers.get("authorization", ""))
        if token is None or token.scope not in scopes or token.expires_at <= datetime.datetime.now(UTC):
            return None
        return token.client_id

    def _exchange(self, tenant, form):
        client_id = form["client_id"]
        if tenant != TENANT or client_id not in (RANCHER, ROTATOR, STRANGER):
            return answer_json(400, {"error": "unauthorized_client", "error_codes": [700016]})
        if form["grant_type"] != "client_credentials" or not form["scope"].endswith("/.default"):
            return answer_json(400, {"error": "invalid_request"})
        proof = (client_id, form["client_secret"])
        key = next((key for key in self.keys.values() if (key.owner, key.secret) == proof), None)
        if not self.accepts(key):
            return answer_json(401, {
                "error": "invalid_client", "error_codes": [7000215],
                "error_description": f"AADSTS7000215: Invalid client secret provided: {form['client_secret']}",
            })
        token = secrets.token_hex(24)
        ends = datetime.datetime.now(UTC) + datetime.timedelta(hours=1)  # also if the secret is removed
        self._tokens[f"Bearer {token}"] = _Token(client_id, form["scope"], ends)
        return answer_json(200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    def _show(self, owner, client_id, selected):
        entries = [self._entry(key) for key in self.listed(client_id) if key.more["object"] == owner]
        shown = {"appId": client_id, "passwordCredentials": entries}
        if owner == "applications":
            shown["signInAudience"] = self.audience
        return answer_json(200, {name: shown[name] for name in selected})

    def _entry(self, key):
        return {
            "keyId": key.id, "displayName": key.mark, "secretText": None, "customKeyIdentifier": None,
            "hint": None if key.id in self.without_hint else key.secret[:3],
            "startDateTime": format_zulu(key.created_at),
            "endDateTime": key.expires_at and format_zulu(key.expires_at),
        }

    def _add_password(self, owner, client_id, body):
        wanted = body["passwordCredential"]
        if self.policy:
            return _error(400, self.policy)
        held = [key for key in self.keys.values() if key.owner == client_id and key.more["object"] == owner]
        if "Personal" in self.audience and len(held) >= 2:
            return _error(400, "Request_BadRequest")
        ends = datetime.datetime.fromisoformat(wanted["endDateTime"].replace("Z", "+00:00"))
        key = self.generate(client_id, wanted["displayName"], ends)
        key.more["object"] = owner
        return answer_json(200, {**self._entry(key), "secretText": key.secret})

    def _remove_password(self, owner, client_id, body):
        key = self.keys.get(body["keyId"])
        if key is None or key.owner != client_id or key.more["object"] != owner:
            return _error(400, "Request_BadRequest", "No password credential found with keyId.")
        del self.keys[key.id]
        return 204, {}, b""


def _show_subscription(path, query, caller):
    if query != "api-version=2022-12-01":
        return _error(400, "MissingApiVersionParameter")
    if path == "/subscriptions/deleted":
        return _error(404, "SubscriptionNotFound")
    if path != "/subscriptions/s" or caller != RANCHER:
        return _error(403, "AuthorizationFailed")
    return answer_json(200, {"subscriptionId": "s"})


def _new_secret():
    """Entra's secrets contain characters that a form must escape."""
    return f"{secrets.token_hex(2)[:3]}8Q~{secrets.token_urlsafe(24)}+/&=%."


def _error(status, code, message=""):
    return answer_json(status, {"error": {"code": code, "message": message}})
