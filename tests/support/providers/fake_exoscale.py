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
from typing import ClassVar

from support.providers.fake_provider import FakeKey, FakeProvider, answer_json

_LARGEST_LIFETIME = 600
_MANAGEMENT = ("list-api-keys", "get-api-key", "create-api-key", "delete-api-key")


class FakeExoscale(FakeProvider):
    """``roles`` maps ids of roles to the operations that they allow. Principals are organizations."""

    issuer = "exoscale"
    issuing = "POST /v2/api-key$"
    secret_field = "apiSecretKey"
    given: ClassVar = {"api_key": "apiKey", "api_secret": "apiSecretKey"}
    rotator = FakeProvider.principal
    signed = ("authorization", "query", "body")

    def __init__(self, folder):
        super().__init__(folder)
        self.roles = {}
        self._shared = self.role("list-instances", *_MANAGEMENT)

    def role(self, *operations):
        identifier = str(uuid.uuid4())
        self.roles[identifier] = set(operations)
        return identifier

    def generate(self, owner, role=None, mark=None):
        more = {"role-id": role or self._shared}
        return self.add(FakeKey(f"EXO{secrets.token_hex(12)}", secrets.token_urlsafe(32), owner, mark, more=more))

    def credential(self, key):
        return {"apiKey": key.id, "apiSecretKey": key.secret}

    def administrator(self):
        return super().administrator(role=self.role(*_MANAGEMENT))

    def handle(self, seen):
        if seen.path == "/v2/zone":  # needs no signature
            return answer_json(200, {"zones": [{"name": "ch-gva-2"}]})
        key = self._sign_in(seen)
        if key is None:
            return answer_json(403, {"message": "Invalid credentials"})
        match = re.fullmatch("/v2/(instance|api-key)(?:/([^/]+))?", seen.path)
        operation = match and {
            ("GET", "instance", False): "list-instances", ("GET", "api-key", False): "list-api-keys",
            ("GET", "api-key", True): "get-api-key", ("POST", "api-key", False): "create-api-key",
            ("DELETE", "api-key", True): "delete-api-key",
        }.get((seen.method, match[1], bool(match[2])))
        if operation is None:
            return answer_json(404, {"message": "Not Found"})
        if operation not in self.roles[key.more["role-id"]] or self.forbidden and operation in _MANAGEMENT:
            return answer_json(403, {"message": "Forbidden by role policy for iam"})
        if operation == "list-instances":
            return answer_json(200, {"instances": []})
        if operation == "list-api-keys":
            return answer_json(200, {"api-keys": [_show(each) for each in self.listed(key.owner)]})
        if operation == "create-api-key":
            body = json.loads(seen.body)
            if body["role-id"] not in self.roles:
                return answer_json(404, {"message": "Role not found"})
            new = self.generate(key.owner, body["role-id"], body["name"])
            return answer_json(200, {**_show(new), "secret": new.secret})
        found = self.keys.get(match[2])
        if found is None or found.owner != key.owner:
            return answer_json(404, {"message": "API key not found"})
        if operation == "get-api-key":
            return answer_json(200, _show(found))
        del self.keys[found.id]
        return answer_json(200, {"id": str(uuid.uuid4()), "state": "success"})

    def _sign_in(self, seen):
        match = re.fullmatch(
            "EXO2-HMAC-SHA256 credential=([^,]+),expires=([0-9]+),signature=(.+)", seen.headers.get("authorization", "")
        )
        key = match and self.keys.get(match[1])
        if not key or not 0 < int(match[2]) - time.time() <= _LARGEST_LIFETIME:
            return None
        lines = [f"{seen.method} {seen.path}", seen.body.decode(), "", "", match[2]]
        digest = hmac.new(key.secret.encode(), "\n".join(lines).encode(), hashlib.sha256).digest()
        return key if base64.b64encode(digest).decode() == match[3] and self.accepts(key) else None


def _show(key):
    return {"key": key.id, "role-id": key.more["role-id"], **({"name": key.mark} if key.mark else {})}
