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
import hashlib
import json
import re
import secrets
from email.utils import parsedate_to_datetime
from typing import ClassVar
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from support.providers.fake_provider import CONSOLE, FakeKey, FakeProvider, answer_json, is_late

_TENANCY = "ocid1.tenancy.oc1..aaaatenancy"
_BODY = ("content-length", "content-type", "x-content-sha256")


class FakeOci(FakeProvider):
    """The keys are identified by their fingerprints; their ``secret`` is the public key."""

    issuer = "oci"
    issuing = "POST .*/apiKeys$"
    principal, stranger, rotator = (f"ocid1.user.oc1..aaaa{name}" for name in ("rancher", "stranger", "rotator"))
    secret_field = "privateKeyContents"
    given: ClassVar = {
        "tenancy_id": "tenancyId", "user_id": "userId", "fingerprint": "fingerprint",
        "private_key": "privateKeyContents",
    }
    limit = 3
    self_service = True
    signed = ("authorization", "query", "body", "host", "date", "x-content-sha256")

    def __init__(self, folder):
        super().__init__(folder)
        self._answers = {}  # by user and opc-retry-token

    @property
    def options(self):
        return {**super().options, "region": "eu-frankfurt-1"}

    def create_key(self, owner=None):
        private = rsa.generate_private_key(65537, 2048)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ).decode()
        key = self._upload(private.public_key(), owner or self.principal)
        key.created_at, key.answers = CONSOLE, []
        return {"tenancyId": _TENANCY, "userId": key.owner, "fingerprint": key.id, "privateKeyContents": pem}

    def secrets_of(self, values):
        return [line for line in values["privateKeyContents"].splitlines() if "-----" not in line]

    def forget_answers(self):
        """As a day after the last request."""
        self._answers.clear()

    def handle(self, seen):
        caller = self._sign_in(seen)
        if caller is None:
            return _error(401, "NotAuthenticated")
        match = re.fullmatch("/20160918/users/([^/]+)/apiKeys(?:/([^/]+))?", seen.path)
        if not match or not self.may_manage(caller, match[1]):
            return _error(404, "NotAuthorizedOrNotFound")
        owner = match[1]
        if seen.method == "GET":
            return _answer(200, [_show(key) for key in self.listed(owner)])
        if seen.method == "POST":
            request = (owner, seen.headers.get("opc-retry-token") or secrets.token_hex(8))
            if request not in self._answers:
                self._answers[request] = self._create(seen, owner)
            return self._answers[request]
        key = self.keys.get(unquote(match[2]))
        if key is None or key.owner != owner:
            return _error(404, "NotAuthorizedOrNotFound")
        del self.keys[key.id]
        return 204, {"opc-request-id": "0"}, b""

    def _create(self, seen, owner):
        public = serialization.load_pem_public_key(json.loads(seen.body)["key"].encode())
        if self.full(owner):
            return _error(400, "LimitExceeded")
        if _fingerprint(public) in self.keys:
            return _error(409, "KeyAlreadyExists")
        return _answer(200, {**_show(self._upload(public, owner)), "lifecycleState": "CREATING"})

    def _upload(self, public, owner):
        return self.add(FakeKey(_fingerprint(public), public, owner))

    def _sign_in(self, seen):
        """Return the user whose key signed a request; None if the signature is not valid."""
        fields = dict(re.findall('([a-zA-Z]+)="([^"]*)"', seen.headers.get("authorization", "")))
        names = fields.get("headers", "").split()
        tenancy, user, fingerprint = fields.get("keyId", "//").split("/")
        key = self.keys.get(fingerprint)
        required = {"date", "(request-target)", "host", *(_BODY if seen.method == "POST" else ())}
        if key is None or key.owner != user or tenancy != _TENANCY or not required <= set(names):
            return None
        digest = base64.b64encode(hashlib.sha256(seen.body).digest()).decode()
        if is_late(parsedate_to_datetime(seen.headers["date"]), 5) or (
            seen.method == "POST" and seen.headers["x-content-sha256"] != digest
        ):
            return None
        values = {**seen.headers, "(request-target)": f"{seen.method.lower()} {seen.path}"}
        text = "\n".join(f"{name}: {values[name]}" for name in names)
        try:
            key.secret.verify(
                base64.b64decode(fields["signature"]), text.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            return None
        return user if self.accepts(key) else None


def _fingerprint(public):
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return ":".join(re.findall("..", hashlib.md5(der, usedforsecurity=False).hexdigest()))


def _show(key):
    return {
        "keyId": f"{_TENANCY}/{key.owner}/{key.id}", "fingerprint": key.id, "lifecycleState": "ACTIVE",
        "timeCreated": f"{key.created_at:%Y-%m-%dT%H:%M:%S.123Z}",
    }


def _answer(status, content):
    return answer_json(status, content, **{"opc-request-id": "0"})


def _error(status, code):
    return _answer(status, {"code": code, "message": code})
