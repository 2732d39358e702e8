# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of Google's token endpoint and of the keys of its IAM API.

Sources: the discovery document of IAM v1 (paths, members, keyTypes), public issues (texts of refusals, the 429 at ten
keys, the policy). The text for a disabled key was not confirmed; that disabled keys count towards the ten is assumed.
Not modelled: quotas of requests, and propagation in seconds; replicas answer as a test requests.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from support.providers.fake_provider import CONSOLE, FakeKey, FakeProvider, answer_json, form_of, format_zulu

FIELD = "authEncodedJson"
PROJECT = "project"
RANCHER = f"rancher@{PROJECT}.iam.gserviceaccount.com"
ROTATOR = f"rotator@{PROJECT}.iam.gserviceaccount.com"
STRANGER = f"stranger@{PROJECT}.iam.gserviceaccount.com"
_CLIENT_IDS = {RANCHER: "100", ROTATOR: "200", STRANGER: "300"}
_KEYS = re.compile(r"/v1/projects/([^/]+)/serviceAccounts/([^/]+)/keys(?:/([^/:]+)(?::(disable|enable))?)?")
_SYSTEM_KEY = "0" * 40


class FakeGoogle(FakeProvider):
    """Service accounts of one project: RANCHER and ROTATOR may manage the keys of RANCHER.

    ``may_create_keys`` is the organization policy, ``lifetime`` how long new keys are valid, if a policy limits it.
    """

    issuer = "google"
    issuing = "POST .*/keys$"
    principal, rotator, stranger = RANCHER, ROTATOR, STRANGER
    secret_field = FIELD
    given: ClassVar = {"credentials": FIELD}
    lags = True
    limit = 10

    def __init__(self, folder):
        super().__init__(folder)
        self.may_create_keys = True
        self.lifetime = None
        self._access = {}

    def create_key(self, owner=RANCHER):
        key, text = self._generate(owner)
        key.created_at, key.answers = CONSOLE, []
        return {FIELD: text}

    def mix(self, values, other):
        private_key = json.loads(other[FIELD])["private_key"]
        return {FIELD: json.dumps({**json.loads(values[FIELD]), "private_key": private_key})}

    def secrets_of(self, values):
        return [line for line in json.loads(values[FIELD])["private_key"].splitlines() if "-----" not in line]

    def handle(self, seen):
        path, _question, query = seen.path.partition("?")
        if path == "/token" and seen.method == "POST":
            return self._exchange(form_of(seen)["assertion"])
        match = _KEYS.fullmatch(path)
        if match is None:
            return _error(404, "NOT_FOUND")
        caller = self.account_of(seen)
        if caller is None:
            return _error(401, "UNAUTHENTICATED")
        project, owner, key_id, action = match.groups()
        if not self.may_manage(caller, owner) or owner != RANCHER or project != PROJECT:
            return _error(403, "PERMISSION_DENIED", f"Permission 'iam.serviceAccountKeys.list' denied for {caller}")
        return self._manage(seen.method, owner, key_id, action, query, seen.body)

    def account_of(self, seen):
        """Return the account whose token is in a request; None if there is none."""
        return self._access.get(seen.headers.get("authorization", ""))

    def _exchange(self, assertion):
        header = json.loads(_decode(assertion.split(".")[0]))
        key = self.keys.get(header["kid"])
        refusal = _refuse_assertion(assertion, key and key.secret, key and key.owner)
        if refusal:
            return refusal
        if not self.accepts(key):
            return _grant_error("Invalid JWT Signature.")
        token = secrets.token_hex(16)
        self._access[f"Bearer {token}"] = key.owner  # also after the key was disabled or deleted
        return answer_json(200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    def _manage(self, method, owner, key_id, action, query, body):
        if key_id is None and method == "GET":
            keys = [_show(key) for key in self.listed(owner)]
            if query != "keyTypes=USER_MANAGED":
                keys.append({"name": _name(owner, _SYSTEM_KEY), "keyType": "SYSTEM_MANAGED"})
            return answer_json(200, {"keys": keys} if keys else {})
        if key_id is None and method == "POST":
            return self._create(owner, json.loads(body))
        if key_id not in self.keys or self.keys[key_id].owner != owner:
            return _error(404, "NOT_FOUND", f"Service account key {key_id} does not exist.")
        if action and method == "POST":
            self.keys[key_id].enabled = action == "enable"
        elif method == "DELETE" and not action:
            del self.keys[key_id]
        else:
            return _error(404, "NOT_FOUND")
        return answer_json(200, {})

    def _create(self, owner, wanted):
        if wanted != {"privateKeyType": "TYPE_GOOGLE_CREDENTIALS_FILE", "keyAlgorithm": "KEY_ALG_RSA_2048"}:
            return _error(400, "INVALID_ARGUMENT")
        if not self.may_create_keys:
            return _error(400, "FAILED_PRECONDITION", "Key creation is not allowed on this service account.")
        if self.full(owner):
            return _error(429, "RESOURCE_EXHAUSTED", "Maximum number of keys on account reached.")
        key, text = self._generate(owner)
        return answer_json(
            200, {**_show(key), "privateKeyType": wanted["privateKeyType"],
                  "privateKeyData": base64.b64encode(text.encode()).decode()},
        )

    def _generate(self, owner):
        private, key_id = rsa.generate_private_key(65537, 2048), secrets.token_hex(20)
        key = self.add(FakeKey(key_id, private.public_key(), owner))
        if self.lifetime:
            key.expires_at = key.created_at + self.lifetime
        return key, _credentials_file(private, key_id, owner, _CLIENT_IDS[owner])


def _credentials_file(private, key_id, email, client_id):
    """Return the JSON of a key; its token_uri is not Google's."""
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps({
        "type": "service_account", "project_id": PROJECT, "private_key_id": key_id, "private_key": pem.decode(),
        "client_email": email, "client_id": client_id, "token_uri": "https://elsewhere.invalid/token",
    }, indent=2)


def _refuse_assertion(assertion, public_key, email):
    """Return the answer to a signed token that Google does not accept, None if it is right."""
    header, claims, signature = assertion.split(".")
    content = json.loads(_decode(claims))
    if not 0 < content["exp"] - content["iat"] <= 3600 or abs(time.time() - content["iat"]) > 300:
        return _grant_error(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
        )
    if public_key is None or json.loads(_decode(header))["alg"] != "RS256":
        return _grant_error("Invalid JWT Signature.")
    try:
        public_key.verify(_decode(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return _grant_error("Invalid JWT Signature.")
    if content["aud"] != "https://oauth2.googleapis.com/token" or not content["scope"]:
        return _grant_error("Invalid JWT: Failed audience check.")
    if content["iss"] != email:
        return _grant_error("Invalid grant: account not found")
    return None


def _grant_error(description):
    return answer_json(400, {"error": "invalid_grant", "error_description": description})


def _decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _name(owner, key_id):
    return f"projects/{PROJECT}/serviceAccounts/{owner}/keys/{key_id}"


def _show(key):
    shown = {
        "name": _name(key.owner, key.id), "validAfterTime": format_zulu(key.created_at),
        "validBeforeTime": format_zulu(key.expires_at) if key.expires_at else "9999-12-31T23:59:59Z",
        "keyAlgorithm": "KEY_ALG_RSA_2048", "keyOrigin": "GOOGLE_PROVIDED", "keyType": "USER_MANAGED",
    }
    return shown if key.enabled else {**shown, "disabled": True}


def _error(status, name, message="Not found"):
    return answer_json(status, {"error": {"code": status, "message": message, "status": name}})
