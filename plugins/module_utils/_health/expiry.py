# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""When tokens and certificates in cloud credentials expire. Pure; no result contains a part of a value."""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import re
import typing as t

from .._common.times import UTC, Time
from .._rancher.cloud_credential import CloudCredential

try:
    from cryptography import x509
except ImportError:  # ansible-core requires it, but modules may run on hosts without ansible-core
    x509 = None

CAN_READ_CERTIFICATES = x509 is not None

# When the token in a kubeconfig expires, in ms since 1970; set by Norman (Rancher 2.9.3 to 2.11,
# pkg/api/norman/customization/cred/store.go).
_TOKEN_EXPIRATION = "rancher.io/expiration-timestamp"
_JWT = re.compile(r"\beyJ[\w-]+\.(eyJ[\w-]+)\.[\w-]+")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_PEM_IN_BASE64 = re.compile(r"LS0tLS1CRUdJTiBDRVJU[A-Za-z0-9+/]+=*")


class Expiry(t.NamedTuple):
    """A part of a credential, such as "a token (JWT) in kubeconfigContent", and when it expires."""

    at: Time
    subject: str


def find_expiries(credential: CloudCredential) -> list[Expiry]:
    """Return the earliest expiry of each kind of token or certificate in each field."""
    found: dict[str, Time] = {}
    for expiry in _all_expiries(credential):
        found[expiry.subject] = min(expiry.at, found.get(expiry.subject, expiry.at))
    return sorted(Expiry(at, subject) for subject, at in found.items())


def _all_expiries(credential: CloudCredential) -> t.Iterator[Expiry]:
    milliseconds = credential.annotations.get(_TOKEN_EXPIRATION, "")
    if milliseconds.isdigit() and int(milliseconds):
        yield Expiry(datetime.datetime.fromtimestamp(int(milliseconds) / 1000, UTC), "the token in its kubeconfig")
    for name in credential.data:
        text = credential.text(name)
        for match in _JWT.finditer(text):
            expires_at = _expiry_of_claims(match.group(1))
            if expires_at:
                yield Expiry(expires_at, f"a token (JWT) in {name}")
        for expires_at in _certificate_expiries(text):
            yield Expiry(expires_at, f"a certificate in {name}")


def _expiry_of_claims(claims: str) -> Time | None:
    try:
        seconds = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))).get("exp")
        return None if seconds is None else datetime.datetime.fromtimestamp(float(seconds), UTC)
    except (ValueError, TypeError, AttributeError, OverflowError, OSError):  # not a JWT
        return None


def _certificate_expiries(text: str) -> t.Iterator[Time]:
    if x509 is None:
        return
    for part in (text, *_decoded_certificates(text)):
        for pem in _PEM.findall(part.replace("\\n", "\n")):
            try:
                certificate = x509.load_pem_x509_certificate(pem.encode())
            except ValueError:
                continue
            # cryptography up to 41 has only the naive attribute
            expires_at = getattr(certificate, "not_valid_after_utc", None)
            yield expires_at or certificate.not_valid_after.replace(tzinfo=UTC)


def _decoded_certificates(text: str) -> t.Iterator[str]:
    for match in _PEM_IN_BASE64.finditer(text):
        try:
            yield base64.b64decode(match.group(0)).decode(errors="replace")
        except binascii.Error:
            continue
