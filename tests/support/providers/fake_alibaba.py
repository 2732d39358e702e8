# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of Alibaba Cloud's RAM and STS: access keys of RAM users.

Sources: the API reference of RAM 2015-05-01 and its error codes, and the documentation of signature V3. Not checked:
policies other than "manages the keys of others", and the limits of requests.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from support.providers.fake_provider import (
    FakeKey,
    FakeProvider,
    answer_json,
    canonical_digest,
    format_zulu,
    is_late,
    parse_zulu,
)

_VERSIONS = {"GetCallerIdentity": "2015-04-01"}


class FakeAlibaba(FakeProvider):
    """Principals are RAM users. A nonce is accepted once."""

    issuer = "alibaba"
    issuing = "^CreateAccessKey$"
    secret_field = "accessKeySecret"
    given: ClassVar = {"access_key_id": "accessKeyId", "access_key_secret": "accessKeySecret"}
    limit = 2
    signed = (
        "authorization", "query", "body", "host", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce",
        "x-acs-version",
    )

    def __init__(self, folder):
        super().__init__(folder)
        self._nonces = set()

    def generate(self, owner):
        return self.add(FakeKey(f"LTAI{secrets.token_hex(10)}", secrets.token_hex(15), owner))

    def credential(self, key):
        return {"accessKeyId": key.id, "accessKeySecret": key.secret}

    def describe(self, seen):
        return seen.headers.get("x-acs-action", "")

    def handle(self, seen):
        caller, refusal = self._sign_in(seen)
        if refusal:
            return refusal
        action = seen.headers["x-acs-action"]
        target = urlsplit(seen.path)
        parameters = {name: values[0] for name, values in parse_qs(target.query).items()}
        version = seen.headers["x-acs-version"]
        if (seen.method, target.path, version) != ("POST", "/", _VERSIONS.get(action, "2015-05-01")):
            return _error(404, "InvalidVersion")
        if action == "GetCallerIdentity":
            return _answer({"Arn": f"acs:ram::123456789:user/{caller}", "IdentityType": "RAMUser"})
        user = parameters.get("UserName", caller)
        if not self.may_manage(caller, user):
            return _error(403, "NoPermission")
        if action == "ListAccessKeys":
            return _answer({"AccessKeys": {"AccessKey": [_show(key) for key in self.listed(user)]}})
        if action == "CreateAccessKey":
            if self.full(user):
                return _error(409, "LimitExceeded.User.AccessKey")
            key = self.generate(user)
            return _answer({"AccessKey": {**_show(key), "AccessKeySecret": key.secret}})
        key = self.keys.get(parameters.get("UserAccessKeyId"))
        if key is None or key.owner != user:
            return _error(404, "EntityNotExist.User.AccessKey")
        if action == "GetAccessKeyLastUsed":
            return _answer({"AccessKeyLastUsed": {"LastUsedDate": format_zulu(key.used) if key.used else ""}})
        if action == "UpdateAccessKey":
            key.enabled = parameters["Status"] == "Active"
            return _answer({})
        if action == "DeleteAccessKey":
            del self.keys[key.id]
            return _answer({})
        return _error(404, "InvalidAction.NotFound")

    def _sign_in(self, seen):
        """Return the user whose key signed a request, and the refusal if the signature is not valid."""
        match = re.fullmatch(
            "ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})",
            seen.headers.get("authorization", ""),
        )
        key = match and self.keys.get(match[1])
        if not key:
            return None, _error(404, "InvalidAccessKeyId.NotFound")
        names, nonce = match[2].split(";"), seen.headers["x-acs-signature-nonce"]
        if is_late(parse_zulu(seen.headers["x-acs-date"]), 15):
            return None, _error(400, "InvalidTimeStamp.Expired")
        if nonce in self._nonces:
            return None, _error(400, "SignatureNonceUsed")
        self._nonces.add(nonce)
        text = f"ACS3-HMAC-SHA256\n{canonical_digest(seen, names)}"
        signature = hmac.new(key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        required = {"host", "x-acs-action", *(name for name in self.signed if name.startswith("x-acs-"))}
        digest = hashlib.sha256(seen.body).hexdigest()
        if not required <= set(names) or signature != match[3] or digest != seen.headers["x-acs-content-sha256"]:
            return None, _error(400, "SignatureDoesNotMatch")
        if not self.accepts(key):
            code = "NotFound" if key.enabled else "Inactive"
            return None, _error(404 if key.enabled else 403, f"InvalidAccessKeyId.{code}")
        return key.owner, None


def _show(key):
    status = "Active" if key.enabled else "Inactive"
    return {"AccessKeyId": key.id, "Status": status, "CreateDate": format_zulu(key.created_at)}


def _answer(content):
    return answer_json(200, {**content, "RequestId": "0"})


def _error(status, code):
    return answer_json(status, {"Code": code, "Message": code, "RequestId": "0"})
