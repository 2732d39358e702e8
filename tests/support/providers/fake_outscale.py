# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of OUTSCALE's API: access keys of EIM users.

Sources: OUTSCALE's API description (osc-api) and osc-sdk-python for the signature. Not checked: policies other than
"manages the keys of others", and the limits of requests and failed logins.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from typing import ClassVar

from support.providers.fake_provider import (
    FakeKey,
    FakeProvider,
    answer_json,
    canonical_digest,
    format_zulu,
    is_late,
    parse_zulu,
)

_REGION = "eu-west-2"


class FakeOutscale(FakeProvider):
    """Principals are users. OUTSCALE does not document a limit of keys."""

    issuer = "outscale"
    issuing = "POST /api/v1/CreateAccessKey$"
    secret_field = "secretKey"
    given: ClassVar = {"access_key": "accessKey", "secret_key": "secretKey"}
    administrator_options: ClassVar = {"user_name": FakeProvider.principal}
    signed = ("authorization", "query", "body", "host", "x-osc-date")

    def generate(self, owner, mark=None, expires_at=None):
        return self.add(FakeKey(secrets.token_hex(10).upper(), secrets.token_hex(20).upper(), owner, mark, expires_at))

    def credential(self, key):
        return {"accessKey": key.id, "secretKey": key.secret, "region": _REGION}

    def handle(self, seen):
        caller = self._sign_in(seen)
        if caller is None:
            return _error(401, "AccessDenied", "1")
        action, body = seen.path.removeprefix("/api/v1/"), json.loads(seen.body)
        user = body.get("UserName", caller)
        if not self.may_manage(caller, user):
            return _error(403, "AccessDenied", "4")
        if action == "ReadAccessKeys":
            return _answer({"AccessKeys": [_show(key) for key in self.listed(user)]})
        expires = body.get("ExpirationDate") and parse_zulu(body["ExpirationDate"])
        if action == "CreateAccessKey":
            key = self.generate(user, body.get("Tag"), expires)
            return _answer({"AccessKey": {**_show(key), "SecretKey": key.secret}})
        key = self.keys.get(body["AccessKeyId"])
        if key is None or key.owner != user:
            return _error(400, "InvalidResource", "5067")
        if action == "UpdateAccessKey" and body["State"] in ("ACTIVE", "INACTIVE"):
            key.enabled, key.expires_at = body["State"] == "ACTIVE", expires  # cleared if it is missing
            return _answer({"AccessKey": _show(key)})
        if action == "DeleteAccessKey":
            if key.enabled:
                return _error(409, "ResourceConflict", "9057")
            del self.keys[key.id]
            return _answer({})
        return _error(404, "InvalidAction", "1")

    def _sign_in(self, seen):
        """Return the user whose key signed a request; None if the signature is not valid."""
        match = re.fullmatch(
            "OSC4-HMAC-SHA256 Credential=([^/]+)/([0-9]{8})/([^/]+)/api/osc4_request, SignedHeaders=([^,]+), "
            "Signature=([0-9a-f]{64})", seen.headers.get("authorization", ""),
        )
        key = match and self.keys.get(match[1])
        moment = seen.headers.get("x-osc-date", "")
        if not key or match[3] != _REGION or not moment.startswith(match[2]):
            return None
        names = match[4].split(";")
        if is_late(parse_zulu(moment, "%Y%m%dT%H%M%SZ"), 5) or not {"host", "x-osc-date"} <= set(names):
            return None
        scope = f"{match[2]}/{_REGION}/api/osc4_request"
        text = f"OSC4-HMAC-SHA256\n{moment}\n{scope}\n{canonical_digest(seen, names)}"
        digest = f"OSC4{key.secret}".encode()
        for part in (*scope.split("/"), text):
            digest = hmac.new(digest, part.encode(), hashlib.sha256).digest()
        return key.owner if digest.hex() == match[5] and self.accepts(key) else None


def _show(key):
    shown = {
        "AccessKeyId": key.id, "State": "ACTIVE" if key.enabled else "INACTIVE",
        "CreationDate": f"{key.created_at:%Y-%m-%dT%H:%M:%S.000+0000}",
    }
    if key.expires_at:
        shown["ExpirationDate"] = format_zulu(key.expires_at)
    return {**shown, "Tag": key.mark} if key.mark else shown


def _answer(content):
    return answer_json(200, {**content, "ResponseContext": {"RequestId": "0"}})


def _error(status, kind, code):
    return answer_json(status, {"Errors": [{"Type": kind, "Code": code, "Details": ""}]})
