# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of MinIO's admin API: access keys of users, which the API calls service accounts.

Its answers are those of a MinIO RELEASE.2025-10-15 to the same requests. Not checked: policies other than "manages the
keys of others" and "creates keys", groups, and users of an identity provider.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import hmac
import json
import os
import re
import secrets
import string
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from support.providers.fake_provider import (
    UTC,
    FakeKey,
    FakeProvider,
    answer_json,
    format_zulu,
    is_late,
    parse_zulu,
)

ARGON2ID_AES, ARGON2ID_CHACHA, PBKDF2_AES = 0, 1, 2
_ADMIN = "/minio/admin/v3/"
_CHUNK = 16384


class FakeMinio(FakeProvider):
    """Principals are users. Attributes that tests set: ``algorithm`` of answers; PBKDF2, as with FIPS, is the fastest.

    ``is_old`` is whether it lists access keys like a MinIO of 2023.
    """

    issuer = "minio"
    issuing = f"PUT {_ADMIN}add-service-account$"
    secret_field = "secretKey"
    given: ClassVar = {"access_key": "accessKey", "secret_key": "secretKey"}
    self_service = True
    signed = ("authorization", "query", "body", "host", "x-amz-date", "x-amz-content-sha256")
    changed: ClassVar = {"body": "invalid"}

    def __init__(self, folder):
        super().__init__(folder)
        self.algorithm, self.is_old = PBKDF2_AES, False

    @property
    def options(self):
        return {"propagation": "0s"}

    def generate(self, owner, mark=None, expires_at=None, **more):
        return self.add(FakeKey(_text(20), _text(40), owner, mark, expires_at, more=more))

    def create_user(self, name):
        """Create a user; returns all fields of the credential with its own key."""
        return self.credential(self.add(FakeKey(name, _text(40), name, more={"is_user": True})))

    def credential(self, key):
        return {
            "accessKey": key.id, "secretKey": key.secret, "defaultEndpoint": self.url.removeprefix("https://"),
            "defaultEndpointCA": self.ca_bundle.read_text(encoding="ascii"), "defaultBucket": "backups",
        }

    def handle(self, seen):
        target = urlsplit(seen.path)
        key, error = self._sign_in(seen, target)
        if error:
            return _error(403, error)
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        name = query.get("accessKey", "")
        handler = self._handlers.get((seen.method, target.path.removeprefix(_ADMIN)))
        if not handler or not target.path.startswith(_ADMIN):
            return _error(426, "XMinioAdminVersionMismatch")
        if hashlib.sha256(seen.body).hexdigest() != seen.headers["x-amz-content-sha256"]:
            return _error(400, "XMinioAdminConfigBadJSON")
        return handler(self, key, query.get("user") if handler is FakeMinio._list else name, seen.body)

    def handle_changed(self, seen, change):
        status, headers, body = self.handle(seen)
        key, _error = self._sign_in(seen, urlsplit(seen.path))
        return status, headers, self.seal(key.secret, change(json.loads(unseal(key.secret, body))))

    def seal(self, secret, content):
        """Return an encrypted answer."""
        salt, nonce, text = hashlib.sha256(secret.encode()).digest(), os.urandom(8), json.dumps(content).encode()
        self.sent.append(text)
        cipher = _cipher(self.algorithm, secret, salt)
        bound = cipher.encrypt(nonce + b"\0\0\0\0", b"", b"")
        chunks = [text[start:start + _CHUNK] for start in range(0, len(text), _CHUNK)]
        sealed = [
            cipher.encrypt(
                nonce + number.to_bytes(4, "little"), chunk, (b"\x80" if number == len(chunks) else b"\0") + bound
            ) for number, chunk in enumerate(chunks, 1)
        ]
        return salt + bytes([self.algorithm]) + nonce + b"".join(sealed)

    def _list(self, key, user, _body):
        if user not in (None, key.id) and not self._is_administrator(key):
            return _error(403, "AccessDenied")
        found = [self._show(each) for each in self.listed(user or key.owner) if "is_user" not in each.more]
        return self._answer(key, {"accounts": found or None})

    def _info(self, key, name, _body):
        found, error = self._find(name)
        if error:
            return error
        if not self._is_administrator(key) and key.owner != found.owner:
            return _error(403, "AccessDenied")
        policy = found.more.get("policy")
        shown = {name: value for name, value in self._show(found).items() if name != "accessKey"}
        if not found.expires_at:
            del shown["expiration"]
        return self._answer(key, {**shown, "policy": json.dumps(policy or {"Version": "2012-10-17"}, indent=1)})

    def _add(self, key, _name, body):
        payload = _payload(key, body)
        if payload is None:
            return _error(400, "XMinioAdminConfigBadJSON")
        if len(payload.get("description", "")) > 256:
            return _error(400, "XMinioInvalidResource")
        user = payload.get("targetUser") or key.owner
        restricted = key.more.get("policy")
        is_allowed = self.may_manage(key.owner, user)
        if restricted:
            is_allowed = any("admin:CreateServiceAccount" in each["Action"] for each in restricted["Statement"])
        if not is_allowed:
            return _error(403, "AccessDenied")
        expires = payload.get("expiration") and parse_zulu(payload["expiration"])
        if expires and not _after(minutes=15) <= expires <= _after(days=365):
            return _error(500, "InternalError")
        more = {"policy": payload["policy"]} if payload.get("policy") else {}
        issued = self.generate(user, payload.get("description"), expires, **more)
        return self._answer(key, {"credentials": {
            "accessKey": issued.id, "secretKey": issued.secret, "expiration": self._show(issued)["expiration"],
        }})

    def _update(self, key, name, body):
        """Change the status. Without a policy in the request, an access key loses the one that it has."""
        found, error = self._find(name)
        if error:
            return error
        payload = _payload(key, body)
        if payload is None:
            return _error(400, "XMinioAdminConfigBadJSON")
        if not self._is_administrator(key):
            return _error(403, "AccessDenied")
        found.enabled = {"on": True, "off": False}[payload["newStatus"]]
        found.more = {"policy": payload["newPolicy"]} if payload.get("newPolicy") else {}
        return 204, {}, b""

    def _delete(self, key, name, _body):
        found = self.keys.get(name)
        if not found or (found.owner != key.owner and not self._is_administrator(key)):
            return _error(404, "XMinioInvalidIAMCredentials")
        if "is_user" not in found.more:  # otherwise it answers the same, and deletes nothing
            del self.keys[name]
        return 204, {}, b""

    _handlers: ClassVar = {
        ("GET", "list-service-accounts"): _list, ("GET", "info-service-account"): _info,
        ("PUT", "add-service-account"): _add, ("POST", "update-service-account"): _update,
        ("DELETE", "delete-service-account"): _delete,
    }

    def _is_administrator(self, key):
        return key.owner == self.rotator and not self.forbidden

    def _find(self, name):
        if not name or "/" in name:
            return None, _error(400, "InvalidRequest")
        found = self.keys.get(name)
        if not found:
            return None, _error(404, "XMinioInvalidIAMCredentials")
        return (None, _error(403, "AccessDenied")) if "is_user" in found.more else (found, None)

    def _show(self, key):
        shown = {
            "parentUser": key.owner, "accountStatus": "on" if key.enabled else "off",
            "impliedPolicy": "policy" not in key.more, "accessKey": key.id,
            "expiration": format_zulu(key.expires_at) if key.expires_at else "1970-01-01T00:00:00Z",
        }
        if key.mark:
            shown["description"] = key.mark
        return {**shown, "parentUser": "", "accountStatus": ""} if self.is_old else shown

    def _answer(self, key, content):
        return 200, {"Content-Type": "application/json"}, self.seal(key.secret, content)

    def _sign_in(self, seen, target):
        """Return the key that signed a request, and the code of an error."""
        match = re.fullmatch(
            "AWS4-HMAC-SHA256 Credential=([^/]+)/([0-9]{8})/([^/]+)/s3/aws4_request, SignedHeaders=([^,]+), "
            "Signature=([0-9a-f]{64})", seen.headers.get("authorization", ""),
        )
        moment = seen.headers.get("x-amz-date", "")
        if is_late(parse_zulu(moment, "%Y%m%dT%H%M%SZ"), 15):
            return None, "RequestTimeTooSkewed"
        key, names = match and self.keys.get(match[1]), match[4].split(";") if match else []
        if not key:
            return None, "InvalidAccessKeyId"
        if not moment.startswith(match[2]) or not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names):
            return None, "SignatureDoesNotMatch"
        scope = f"{match[2]}/{match[3]}/s3/aws4_request"
        digest = f"AWS4{key.secret}".encode()
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{_canonical_digest(seen, target, names)}"
        for part in (*scope.split("/"), text):
            digest = hmac.new(digest, part.encode(), hashlib.sha256).digest()
        if digest.hex() != match[5]:
            return None, "SignatureDoesNotMatch"
        return (key, None) if self.accepts(key) else (None, "InvalidAccessKeyId")


def unseal(secret, content):
    """Return the decrypted text. Raises InvalidTag or IndexError."""
    salt, algorithm, nonce, content = content[:32], content[32], content[33:41], content[41:]
    cipher = _cipher(algorithm, secret, salt)
    bound, text, number = cipher.encrypt(nonce + b"\0\0\0\0", b"", b""), b"", 0
    while content or not number:
        chunk, content, number = content[:_CHUNK + 16], content[_CHUNK + 16:], number + 1
        flag = b"\0" if content else b"\x80"
        text += cipher.decrypt(nonce + number.to_bytes(4, "little"), chunk, flag + bound)
    return text


@functools.lru_cache(maxsize=256)
def _cipher(algorithm, secret, salt):
    if algorithm == PBKDF2_AES:
        return AESGCM(hashlib.pbkdf2_hmac("sha256", secret.encode(), salt, 8192, 32))
    key = Argon2id(salt=salt, length=32, iterations=1, lanes=4, memory_cost=65536).derive(secret.encode())
    return AESGCM(key) if algorithm == ARGON2ID_AES else ChaCha20Poly1305(key)


def _payload(key, body):
    """Return the content of a request; None if it is not encrypted with the secret of the caller."""
    try:
        return json.loads(unseal(key.secret, body))
    except (InvalidTag, IndexError):
        return None


def _canonical_digest(seen, target, names):
    """MinIO signs with the hash in the header, and compares it with the body later."""
    lines = [seen.method, target.path, target.query, *(f"{name}:{seen.headers[name]}" for name in names), ""]
    text = "\n".join([*lines, ";".join(names), seen.headers["x-amz-content-sha256"]])
    return hashlib.sha256(text.encode()).hexdigest()


def _after(**time):
    return datetime.datetime.now(UTC) + datetime.timedelta(**time)


def _text(length):
    return "".join(secrets.choice(string.ascii_uppercase + string.digits) for _character in range(length))


def _error(status, code):
    if code == "RequestTimeTooSkewed":
        return status, {"Content-Type": "application/xml"}, f"<Error><Code>{code}</Code></Error>".encode()
    return answer_json(status, {"Code": code, "Message": "", "Resource": "", "RequestId": "0", "HostId": "0"})
