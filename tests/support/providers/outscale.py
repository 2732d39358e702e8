# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of OUTSCALE's API: access keys of EIM users.

Sources: OUTSCALE's API description (osc-api) and osc-sdk-python for the signature. Not checked: policies other than
"manages the keys of others", and the limits of requests and failed logins.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import re
import secrets
from typing import ClassVar

from support.providers.fake_keys import LONG_AGO, UTC, FakeKey, KeyProvider, as_json

_REGION = "eu-west-2"


class Outscale(KeyProvider):
    """Owners are users; ``administrators`` may name another user, and those in ``powerless`` may only read."""

    user_option: ClassVar = {"user_name": "rancher@pve"}  # of a task whose issuer signs in as another user

    def __init__(self):
        super().__init__()
        self.administrators, self.powerless = set(), set()

    def create(self, owner="rancher@pve", expires_at=None, **_more):
        """Create a key; returns the fields of a credential."""
        key = self._add(owner, None, expires_at)
        key.since = LONG_AGO
        return {"accessKey": key.id, "secretKey": key.secret, "region": _REGION}

    def administrator(self):
        """Create a key of another user; returns the options with which an issuer uses it."""
        values = self.create("administrator")
        self.administrators.add("administrator")
        return {"sign_in": "given", "access_key": values["accessKey"], "secret_key": values["secretKey"]}

    def _add(self, owner, mark, expires_at):
        identifier = secrets.token_hex(10).upper()
        key = self.keys[identifier] = FakeKey(identifier, secrets.token_hex(20).upper(), owner, mark, expires_at)
        return key

    def handle(self, seen):
        signer = self._sign_in(seen)
        if signer is None:
            return _error(401, "AccessDenied", "1")
        action, body = seen.path.removeprefix("/api/v1/"), json.loads(seen.body)
        user = body.get("UserName", signer.owner)
        if user != signer.owner and signer.owner not in self.administrators:
            return _error(403, "AccessDenied", "4")
        if action == "ReadAccessKeys":
            return _answer({"AccessKeys": [_show(key) for key in self.listed(user)]})
        if signer.owner in self.powerless:
            return _error(403, "AccessDenied", "4")
        expires = body.get("ExpirationDate")
        expires = expires and datetime.datetime.strptime(expires, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if action == "CreateAccessKey":
            key = self._add(user, body.get("Tag"), expires)
            return _answer({"AccessKey": {**_show(key), "SecretKey": key.secret}})
        key = self.keys.get(body["AccessKeyId"])
        if key is None or key.owner != user:
            return _error(400, "InvalidResource", "5067")
        if action == "UpdateAccessKey":
            key.enabled, key.expires_at = body["State"] == "ACTIVE", expires  # cleared if it is missing
            return _answer({"AccessKey": _show(key)})
        if action == "DeleteAccessKey":
            if key.enabled:
                return _error(409, "ResourceConflict", "9057")
            del self.keys[key.id]
            return _answer({})
        return _error(404, "InvalidAction", "1")

    def _sign_in(self, seen):
        match = re.fullmatch(
            "OSC4-HMAC-SHA256 Credential=([^/]+)/([0-9]{8})/([^/]+)/api/osc4_request, SignedHeaders=([^,]+), "
            "Signature=([0-9a-f]{64})", seen.headers.get("authorization", ""),
        )
        key = match and self.accepted(match.group(1))
        moment = seen.headers.get("x-osc-date", "")
        if not key or match.group(3) != _REGION or not moment.startswith(match.group(2)):
            return None
        sent = datetime.datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        names = match.group(4).split(";")
        late = abs(datetime.datetime.now(UTC) - sent) > datetime.timedelta(minutes=5)
        if late or not {"host", "x-osc-date"} <= set(names):
            return None
        canonical = "\n".join((
            seen.method, seen.path, "", "".join(f"{name}:{seen.headers[name]}\n" for name in names), ";".join(names),
            hashlib.sha256(seen.body).hexdigest(),
        ))
        text = "\n".join((
            "OSC4-HMAC-SHA256", moment, f"{match.group(2)}/{_REGION}/api/osc4_request",
            hashlib.sha256(canonical.encode()).hexdigest(),
        ))
        digest = f"OSC4{key.secret}".encode()
        for part in (match.group(2), _REGION, "api", "osc4_request", text):
            digest = hmac.new(digest, part.encode(), hashlib.sha256).digest()
        return key if hmac.compare_digest(digest.hex(), match.group(5)) else None


def _show(key):
    shown = {
        "AccessKeyId": key.id, "State": "ACTIVE" if key.enabled else "INACTIVE",
        "CreationDate": f"{key.created_at:%Y-%m-%dT%H:%M:%S.000+0000}",
    }
    if key.expires_at:
        shown["ExpirationDate"] = f"{key.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    return {**shown, "Tag": key.mark} if key.mark else shown


def _answer(content):
    return as_json(200, {**content, "ResponseContext": {"RequestId": "0"}})


def _error(status, kind, code):
    return as_json(status, {"Errors": [{"Type": kind, "Code": code, "Details": ""}]})
