# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Signs in with the key of a Google service account."""

from __future__ import annotations

import base64
import json
import time
import typing as t
from collections.abc import Mapping

from ..issuer import IssuerError, Values
from .http import Answer, HttpApi
from .options import require_fields

# Not token_uri of the key, which may be another host.
_URL = "https://oauth2.googleapis.com"
_AUDIENCE = f"{_URL}/token"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFETIME = 600  # seconds; Google accepts up to an hour


def verify_service_account(values: Values, options: Mapping[str, t.Any]) -> None:
    """Exchange a signed token for an access token, which needs no right and fails for a disabled key."""
    text, = require_fields(values, "authEncodedJson")
    try:
        key = json.loads(text)
        fields = {name: key[name] for name in ("client_email", "private_key", "private_key_id")}
        if not all(isinstance(value, str) and value for value in fields.values()):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise IssuerError(
            "invalid",
            "authEncodedJson is no service account key in JSON with client_email, private_key and private_key_id",
        ) from None
    api = HttpApi("Google", _URL, options)
    answer = api.send("POST", "/token", form={"grant_type": _GRANT, "assertion": _assertion(fields)})
    if answer.text("error") == "invalid_grant":
        raise _refusal(answer)
    api.require_member(api.require(answer, "sign in"), "access_token")


def _refusal(answer: Answer) -> IssuerError:
    """Return the meaning of an ``invalid_grant``; its description is compared, but not shown."""
    description = answer.text("error_description")
    if "short-lived" in description:
        return IssuerError("invalid", "Google rejects the time of the request. Correct the clock of the controller")
    if "account not found" in description or "Robot is disabled" in description:
        return IssuerError("refused", "Google does not accept the key: its service account is deleted or disabled")
    return IssuerError("refused", "Google does not accept the key: it is deleted, disabled, or not known yet")


def _assertion(key: Mapping[str, str]) -> str:
    now = int(time.time())
    header = {"alg": "RS256", "typ": "JWT", "kid": key["private_key_id"]}
    claims = {
        "iss": key["client_email"], "aud": _AUDIENCE, "scope": _SCOPE, "iat": now, "exp": now + _LIFETIME,
    }
    signed = ".".join(_encode(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{_encode(_sign(key['private_key'], signed.encode()))}"


def _sign(private_key: str, content: bytes) -> bytes:
    try:
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding, rsa
    except ImportError as error:
        raise IssuerError(
            "unsupported",
            f"the Python package cryptography is required on the controller to verify Google keys. Install it: {error}",
        ) from None
    try:
        loaded = serialization.load_pem_private_key(private_key.encode(), password=None)
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise TypeError
        return loaded.sign(content, padding.PKCS1v15(), hashes.SHA256())
    except Exception:  # its text may quote the key
        raise IssuerError("invalid", "private_key in authEncodedJson is not an RSA private key in PEM format") from None


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
