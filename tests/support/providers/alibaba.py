# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of Alibaba Cloud's RAM and STS: access keys of RAM users.

Sources: the API reference of RAM 2015-05-01 and its error codes, and the documentation of signature V3. Not checked:
policies other than "manages the keys of others", and the limits of requests.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import secrets
from urllib.parse import parse_qs, urlsplit

from support.providers.fake_keys import LONG_AGO, UTC, FakeKey, KeyProvider, as_json

_SIGNED = {"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"}
_VERSIONS = {"GetCallerIdentity": "2015-04-01"}


class Alibaba(KeyProvider):
    """Owners are RAM users; ``administrators`` may name another user. A nonce is accepted once."""

    limit = 2

    def __init__(self):
        super().__init__()
        self.administrators, self._nonces = set(), set()

    def create(self, owner="rancher@pve", **_more):
        """Create a key; returns the fields of a credential."""
        key = self._add(owner)
        key.since = LONG_AGO
        return {"accessKeyId": key.id, "accessKeySecret": key.secret}

    def administrator(self):
        """Create a key of another user; returns the options with which an issuer uses it."""
        values = self.create("administrator")
        self.administrators.add("administrator")
        return {
            "sign_in": "given", "access_key_id": values["accessKeyId"], "access_key_secret": values["accessKeySecret"],
        }

    def describe(self, seen):
        return seen.headers.get("x-acs-action", "")

    def _add(self, owner):
        identifier = f"LTAI{secrets.token_hex(10)}"
        key = self.keys[identifier] = FakeKey(identifier, secrets.token_hex(15), owner)
        return key

    def handle(self, seen):
        signer, refusal = self._sign_in(seen)
        if refusal:
            return refusal
        action = seen.headers["x-acs-action"]
        parameters = {name: values[0] for name, values in parse_qs(urlsplit(seen.path).query).items()}
        if seen.headers["x-acs-version"] != _VERSIONS.get(action, "2015-05-01"):
            return _error(404, "InvalidVersion")
        if action == "GetCallerIdentity":
            return _answer({"Arn": f"acs:ram::123456789:user/{signer.owner}", "IdentityType": "RAMUser"})
        user = parameters.get("UserName", signer.owner)
        if user != signer.owner and signer.owner not in self.administrators:
            return _error(403, "NoPermission")
        if action == "ListAccessKeys":
            return _answer({"AccessKeys": {"AccessKey": [_show(key) for key in self.listed(user)]}})
        if action == "CreateAccessKey":
            if self.full(user):
                return _error(409, "LimitExceeded.User.AccessKey")
            key = self._add(user)
            return _answer({"AccessKey": {**_show(key), "AccessKeySecret": key.secret}})
        key = self.keys.get(parameters.get("UserAccessKeyId"))
        if key is None or key.owner != user:
            return _error(404, "EntityNotExist.User.AccessKey")
        if action == "GetAccessKeyLastUsed":
            return _answer({"AccessKeyLastUsed": {"LastUsedDate": _format(key.used) if key.used else ""}})
        if action == "UpdateAccessKey":
            key.enabled = parameters["Status"] == "Active"
            return _answer({})
        if action == "DeleteAccessKey":
            del self.keys[key.id]
            return _answer({})
        return _error(404, "InvalidAction.NotFound")

    def _sign_in(self, seen):
        """Return the key that signed a request, and the refusal if the signature is not valid."""
        match = re.fullmatch(
            "ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})",
            seen.headers.get("authorization", ""),
        )
        key = match and self.accepted(match.group(1))
        if not key:
            known = match and self.keys.get(match.group(1))
            if known and not known.enabled:
                return None, _error(403, "InvalidAccessKeyId.Inactive")
            return None, _error(404, "InvalidAccessKeyId.NotFound")
        names, nonce = match.group(2).split(";"), seen.headers["x-acs-signature-nonce"]
        sent = datetime.datetime.strptime(seen.headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if abs(datetime.datetime.now(UTC) - sent) > datetime.timedelta(minutes=15):
            return None, _error(400, "InvalidTimeStamp.Expired")
        if nonce in self._nonces or not set(names) >= _SIGNED:
            return None, _error(400, "SignatureNonceUsed")
        self._nonces.add(nonce)
        target, digest = urlsplit(seen.path), hashlib.sha256(seen.body).hexdigest()
        canonical = "\n".join((
            seen.method, target.path, target.query, "".join(f"{name}:{seen.headers[name]}\n" for name in names),
            ";".join(names), digest,
        ))
        text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.new(key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        if digest != seen.headers["x-acs-content-sha256"] or not hmac.compare_digest(signature, match.group(3)):
            return None, _error(400, "SignatureDoesNotMatch")
        return key, None


def _format(moment):
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _show(key):
    status = "Active" if key.enabled else "Inactive"
    return {"AccessKeyId": key.id, "Status": status, "CreateDate": _format(key.created_at)}


def _answer(content):
    return as_json(200, {**content, "RequestId": "0"})


def _error(status, code):
    return as_json(status, {"Code": code, "Message": code, "RequestId": "0"})
