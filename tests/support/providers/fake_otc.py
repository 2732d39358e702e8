# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of Open Telekom Cloud's IAM: access keys of users.

Sources: the access key management of the IAM API reference, and the AK/SK signing guide. The answers to requests for
keys of other users were not confirmed. Not checked: domains, and permissions other than Security Administrator.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from support.providers.fake_provider import FakeKey, FakeProvider, answer_json, canonical_digest, is_late, parse_zulu

_PATH = "/v3.0/OS-CREDENTIAL/credentials"


class FakeOtc(FakeProvider):
    """Principals are ids of users."""

    issuer = "otc"
    issuing = f"POST {_PATH}$"
    secret_field = "secretKey"
    given: ClassVar = {"access_key": "accessKey", "secret_key": "secretKey"}
    limit = 2
    self_service = True
    signed = ("authorization", "query", "body", "host", "x-sdk-date")

    def generate(self, owner, mark=None):
        return self.add(FakeKey(secrets.token_hex(10).upper(), secrets.token_hex(20), owner, mark))

    def credential(self, key):
        return {"accessKey": key.id, "secretKey": key.secret, "username": key.owner, "password": "", "token": ""}

    def handle(self, seen):
        caller = self._sign_in(seen)
        if caller is None:
            return _error(401, "The request you have made requires authentication.", "Unauthorized")
        if not urlsplit(seen.path).path.endswith("/credentials"):
            return self._credential(seen, caller, seen.path.removeprefix(f"{_PATH}/"))
        body = json.loads(seen.body)["credential"] if seen.method == "POST" else {}
        user = body.get("user_id") or parse_qs(urlsplit(seen.path).query).get("user_id", [caller])[0]
        if not self.may_manage(caller, user):
            return _error(403, "You are not authorized to perform the requested action.", "Forbidden")
        if seen.method == "GET":
            return answer_json(200, {"credentials": [_show(key) for key in self.listed(user)]})
        if self.full(user):
            return _error(400, "akSkNumExceed", "Bad Request")
        key = self.generate(user, body.get("description"))
        return answer_json(201, {"credential": {**_show(key), "secret": key.secret}})

    def _credential(self, seen, caller, key_id):
        key = self.keys.get(key_id)
        if key is None:
            return _error(404, f"Could not find credential: {key_id}.", "Not Found")
        if not self.may_manage(caller, key.owner):
            return _error(403, "You are not authorized to perform the requested action.", "Forbidden")
        if seen.method == "DELETE":
            del self.keys[key_id]
            return 204, {}, b""
        if seen.method == "PUT":
            changes = json.loads(seen.body)["credential"]
            key.enabled = changes.get("status", "active") == "active"
            key.mark = changes.get("description") or None
            return answer_json(200, {"credential": _show(key)})
        return answer_json(200, {"credential": {**_show(key), "last_use_time": _format(key.used or key.created_at)}})

    def _sign_in(self, seen):
        """Return the user whose key signed a request; None if the signature is not valid."""
        match = re.fullmatch(
            "SDK-HMAC-SHA256 Access=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})",
            seen.headers.get("authorization", ""),
        )
        key = match and self.keys.get(match[1])
        moment = seen.headers.get("x-sdk-date", "")
        if not key or is_late(parse_zulu(moment, "%Y%m%dT%H%M%SZ"), 15):
            return None
        names = match[2].split(";")
        text = f"SDK-HMAC-SHA256\n{moment}\n{canonical_digest(seen, names, '/')}"
        digest = hmac.new(key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        if digest != match[3] or not {"host", "x-sdk-date"} <= set(names):
            return None
        return key.owner if self.accepts(key) else None


def _format(moment):
    return f"{moment:%Y-%m-%dT%H:%M:%S.000000Z}"


def _show(key):
    return {
        "access": key.id, "user_id": key.owner, "status": "active" if key.enabled else "inactive",
        "create_time": _format(key.created_at), "description": key.mark or "",
    }


def _error(status, message, title):
    return answer_json(status, {"error": {"message": message, "code": status, "title": title}})
