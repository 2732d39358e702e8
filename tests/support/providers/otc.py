# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of Open Telekom Cloud's IAM: access keys of users.

Sources: the access key management of the IAM API reference, and the AK/SK signing guide. The answers to requests for
keys of other users were not confirmed. Not checked: domains, and permissions other than Security Administrator.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import re
import secrets
from urllib.parse import parse_qs, urlsplit

from support.providers.fake_keys import LONG_AGO, UTC, FakeKey, KeyProvider, as_json

_PATH = "/v3.0/OS-CREDENTIAL/credentials"


class Otc(KeyProvider):
    """Owners are ids of users; ``administrators`` manage the keys of all users."""

    limit = 2

    def __init__(self):
        super().__init__()
        self.administrators = set()

    def create(self, owner="rancher@pve", **_more):
        """Create a key; returns the fields of a credential."""
        key = self._add(owner, None)
        key.since = LONG_AGO
        return {"accessKey": key.id, "secretKey": key.secret, "username": owner, "password": "", "token": ""}

    def administrator(self):
        """Create a key of another user; returns the options with which an issuer uses it."""
        values = self.create("administrator")
        self.administrators.add("administrator")
        return {"sign_in": "given", "access_key": values["accessKey"], "secret_key": values["secretKey"]}

    def _add(self, owner, mark):
        identifier = secrets.token_hex(10).upper()
        key = self.keys[identifier] = FakeKey(identifier, secrets.token_hex(20), owner, mark)
        return key

    def handle(self, seen):
        signer = self._sign_in(seen)
        if signer is None:
            return _error(401, "The request you have made requires authentication.", "Unauthorized")
        if not urlsplit(seen.path).path.endswith("/credentials"):
            return self._credential(seen, signer, seen.path.removeprefix(f"{_PATH}/"))
        body = json.loads(seen.body)["credential"] if seen.method == "POST" else {}
        user = body.get("user_id") or parse_qs(urlsplit(seen.path).query).get("user_id", [signer.owner])[0]
        if user != signer.owner and signer.owner not in self.administrators:
            return _error(403, "You are not authorized to perform the requested action.", "Forbidden")
        if seen.method == "GET":
            return as_json(200, {"credentials": [_show(key) for key in self.listed(user)]})
        if self.full(user):
            return _error(400, "akSkNumExceed", "Bad Request")
        key = self._add(user, body.get("description"))
        return as_json(201, {"credential": {**_show(key), "secret": key.secret}})

    def _credential(self, seen, signer, key_id):
        key = self.keys.get(key_id)
        if key is None:
            return _error(404, f"Could not find credential: {key_id}.", "Not Found")
        if key.owner != signer.owner and signer.owner not in self.administrators:
            return _error(403, "You are not authorized to perform the requested action.", "Forbidden")
        if seen.method == "DELETE":
            del self.keys[key_id]
            return 204, {}, b""
        if seen.method == "PUT":
            changes = json.loads(seen.body)["credential"]
            key.enabled = changes.get("status", "active") == "active"
            key.mark = changes.get("description") or None
            return as_json(200, {"credential": _show(key)})
        return as_json(200, {"credential": {**_show(key), "last_use_time": _format(key.used or key.created_at)}})

    def _sign_in(self, seen):
        match = re.fullmatch(
            "SDK-HMAC-SHA256 Access=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})",
            seen.headers.get("authorization", ""),
        )
        key = match and self.accepted(match.group(1))
        if not key:
            return None
        moment, names = seen.headers["x-sdk-date"], match.group(2).split(";")
        sent = datetime.datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        late = abs(datetime.datetime.now(UTC) - sent) > datetime.timedelta(minutes=15)
        if late or not {"host", "x-sdk-date"} <= set(names):
            return None
        target = urlsplit(seen.path)
        canonical = "\n".join((
            seen.method, f"{target.path}/", target.query, "".join(f"{name}:{seen.headers[name]}\n" for name in names),
            ";".join(names), hashlib.sha256(seen.body).hexdigest(),
        ))
        text = f"SDK-HMAC-SHA256\n{moment}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        digest = hmac.new(key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return key if hmac.compare_digest(digest, match.group(3)) else None


def _format(moment):
    return f"{moment:%Y-%m-%dT%H:%M:%S.000000Z}"


def _show(key):
    return {
        "access": key.id, "user_id": key.owner, "status": "active" if key.enabled else "inactive",
        "create_time": _format(key.created_at), "description": key.mark or "",
    }


def _error(status, message, title):
    return as_json(status, {"error": {"message": message, "code": status, "title": title}})
