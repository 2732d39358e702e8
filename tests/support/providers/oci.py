# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of the identity service of Oracle Cloud: the API keys of users.

It rebuilds the signed text from the headers that it received and verifies it with the uploaded public key. Sources:
Oracle's documentation of request signatures and of ApiKey, by which a user has at most three keys. The status of
a fourth key was not confirmed. Not checked: policies other than those of administrators.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import re
import secrets
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from support.providers.fake_keys import LONG_AGO, UTC, FakeKey, KeyProvider, as_json

_TENANCY = "ocid1.tenancy.oc1..aaaatenancy"
_BODY = ("content-length", "content-type", "x-content-sha256")
_UNAUTHENTICATED = as_json(401, {
    "code": "NotAuthenticated", "message": "The required information to complete authentication was not provided.",
})
_NOT_FOUND = as_json(404, {"code": "NotAuthorizedOrNotFound", "message": "Authorization failed or not found."})


class Oci(KeyProvider):
    """The keys are identified by their fingerprints; their ``secret`` is the public key."""

    limit = 3

    def __init__(self):
        super().__init__()
        self._answers = {}  # by user and opc-retry-token
        self.administrators = set()

    @property
    def options(self):
        return {**super().options, "region": "eu-frankfurt-1"}

    def create(self, owner="rancher", **_more):
        """Create a key; returns the fields of a credential."""
        user = f"ocid1.user.oc1..aaaa{re.sub('[^a-z]', '', owner)}"
        private = rsa.generate_private_key(65537, 2048)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ).decode()
        key = self._add(private.public_key(), user)
        key.since = LONG_AGO
        return {"tenancyId": _TENANCY, "userId": user, "fingerprint": key.id, "privateKeyContents": pem}

    def administrator(self):
        """Create a key of another user; returns the options with which an issuer uses it."""
        values = self.create("administrator")
        self.administrators.add(values["userId"])
        return {
            "sign_in": "given", "tenancy_id": _TENANCY, "user_id": values["userId"],
            "fingerprint": values["fingerprint"], "private_key": values["privateKeyContents"],
        }

    def forget_answers(self):
        """As a day after the last request."""
        self._answers.clear()

    def _add(self, public, user):
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        fingerprint = hashlib.md5(der, usedforsecurity=False).hexdigest()
        fingerprint = ":".join(re.findall("..", fingerprint))
        key = self.keys[fingerprint] = FakeKey(fingerprint, public, user)
        return key

    def handle(self, seen):
        user = self._sign_in(seen)
        if user is None:
            return _UNAUTHENTICATED
        match = re.fullmatch("/20160918/users/([^/]+)/apiKeys(?:/([^/]+))?", seen.path)
        if not match or (match.group(1) != user and user not in self.administrators):
            return _NOT_FOUND
        owner = match.group(1)
        if seen.method == "GET":
            return as_json(200, [_show(key) for key in self.listed(owner)])
        if seen.method == "POST":
            request = (owner, seen.headers.get("opc-retry-token") or secrets.token_hex(8))
            if request not in self._answers:
                self._answers[request] = self._upload(seen, owner)
            return self._answers[request]
        key = self.keys.get(unquote(match.group(2)))
        if key is None or key.owner != owner:
            return _NOT_FOUND
        del self.keys[key.id]
        return 204, {}, b""

    def _upload(self, seen, owner):
        public = serialization.load_pem_public_key(json.loads(seen.body)["key"].encode())
        if self.full(owner):
            return as_json(400, {"code": "LimitExceeded", "message": "The maximum number of API keys was reached."})
        known = set(self.keys)
        key = self._add(public, owner)
        if key.id in known:
            return as_json(409, {"code": "KeyAlreadyExists", "message": "The key exists."})
        return as_json(200, {**_show(key), "lifecycleState": "CREATING"})

    def _sign_in(self, seen):
        """Return the user whose key signed a request; None if the signature is not valid."""
        fields = dict(re.findall('([a-zA-Z]+)="([^"]*)"', seen.headers.get("authorization", "")))
        names = fields.get("headers", "").split()
        tenancy, user, fingerprint = fields["keyId"].split("/")
        key = self.accepted(fingerprint)
        required = {"date", "(request-target)", "host", *(_BODY if seen.method == "POST" else ())}
        if key is None or key.owner != user or tenancy != _TENANCY or not required <= set(names):
            return None
        sent = parsedate_to_datetime(seen.headers["date"])
        if abs(datetime.datetime.now(UTC) - sent) > datetime.timedelta(minutes=5):
            return None
        if seen.method == "POST":
            digest = base64.b64encode(hashlib.sha256(seen.body).digest()).decode()
            if seen.headers["x-content-sha256"] != digest:
                return None
        values = {**seen.headers, "(request-target)": f"{seen.method.lower()} {seen.path}"}
        text = "\n".join(f"{name}: {values[name]}" for name in names)
        try:
            key.secret.verify(
                base64.b64decode(fields["signature"]), text.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            return None
        return user


def _show(key):
    return {
        "keyId": f"{_TENANCY}/{key.owner}/{key.id}", "fingerprint": key.id, "lifecycleState": "ACTIVE",
        "timeCreated": f"{key.created_at:%Y-%m-%dT%H:%M:%S.123Z}",
    }
