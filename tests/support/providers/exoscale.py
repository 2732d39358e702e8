# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of Exoscale's API v2: API keys with roles.

Sources: egoscale v3 for requests and answers, Exoscale's documentation of signatures, exoscale/cli#716 for the refusal
by a role. The answer to an unknown key was not confirmed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
import uuid

from support.providers.fake_keys import LONG_AGO, FakeKey, KeyProvider, as_json

_LARGEST_LIFETIME = 600


class Exoscale(KeyProvider):
    """``roles`` maps ids of roles to the operations that they allow. Owners are organizations."""

    def __init__(self):
        super().__init__()
        self.roles = {}
        self._shared = {}

    def role(self, *operations):
        identifier = str(uuid.uuid4())
        self.roles[identifier] = set(operations)
        return identifier

    def create(self, owner="rancher@pve", role=None, **_more):
        """Create a key; returns the fields of a credential."""
        if role is None:
            role = self._shared.setdefault(owner, self.role(
                "list-instances", "list-api-keys", "get-api-key", "create-api-key", "delete-api-key"
            ))
        key = self._add(owner, role, None)
        key.since = LONG_AGO
        return {"apiKey": key.id, "apiSecretKey": key.secret}

    def administrator(self):
        """Create a key of the organization's owner; returns the options with which an issuer uses it."""
        values = self.create(
            "rancher@pve", self.role("list-api-keys", "get-api-key", "create-api-key", "delete-api-key")
        )
        return {"sign_in": "given", "api_key": values["apiKey"], "api_secret": values["apiSecretKey"]}

    def _add(self, owner, role, mark):
        identifier = f"EXO{secrets.token_hex(12)}"
        key = self.keys[identifier] = FakeKey(
            identifier, secrets.token_urlsafe(32), owner, mark, more={"role-id": role}
        )
        return key

    def handle(self, seen):
        key = self._sign_in(seen)
        if seen.path == "/v2/zone":  # needs no signature
            return as_json(200, {"zones": [{"name": "ch-gva-2"}]})
        if key is None:
            return as_json(403, {"message": "Invalid credentials"})
        match = re.fullmatch("/v2/(instance|api-key)(?:/([^/]+))?", seen.path)
        operation = match and {
            ("GET", "instance", False): "list-instances", ("GET", "api-key", False): "list-api-keys",
            ("GET", "api-key", True): "get-api-key", ("POST", "api-key", False): "create-api-key",
            ("DELETE", "api-key", True): "delete-api-key",
        }.get((seen.method, match.group(1), bool(match.group(2))))
        if operation is None:
            return as_json(404, {"message": "Not Found"})
        if operation not in self.roles[key.more["role-id"]]:
            return as_json(403, {"message": "Forbidden by role policy for iam"})
        if operation == "list-instances":
            return as_json(200, {"instances": []})
        if operation == "list-api-keys":
            return as_json(200, {"api-keys": [_show(each) for each in self.listed(key.owner)]})
        if operation == "create-api-key":
            body = json.loads(seen.body)
            if body["role-id"] not in self.roles:
                return as_json(404, {"message": "Role not found"})
            new = self._add(key.owner, body["role-id"], body["name"])
            return as_json(200, {**_show(new), "secret": new.secret})
        found = self.keys.get(match.group(2))
        if found is None or found.owner != key.owner:
            return as_json(404, {"message": "API key not found"})
        if operation == "get-api-key":
            return as_json(200, _show(found))
        del self.keys[found.id]
        return as_json(200, {"id": str(uuid.uuid4()), "state": "success"})

    def _sign_in(self, seen):
        match = re.fullmatch(
            "EXO2-HMAC-SHA256 credential=([^,]+),expires=([0-9]+),signature=(.+)", seen.headers.get("authorization", "")
        )
        key = match and self.accepted(match.group(1))
        if not key or not 0 < int(match.group(2)) - time.time() <= _LARGEST_LIFETIME:
            return None
        lines = [f"{seen.method} {seen.path}", seen.body.decode(), "", "", match.group(2)]
        digest = hmac.new(key.secret.encode(), "\n".join(lines).encode(), hashlib.sha256).digest()
        return key if hmac.compare_digest(base64.b64encode(digest).decode(), match.group(3)) else None


def _show(key):
    return {"key": key.id, "role-id": key.more["role-id"], **({"name": key.mark} if key.mark else {})}
