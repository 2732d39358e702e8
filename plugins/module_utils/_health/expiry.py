# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What is wrong with cloud credentials, told without any of their values.

PRIVATE to the collection. Pure: judges what was read.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import re
import typing as t

from .._rancher.annotations import TOKEN_EXPIRES_AT
from .._rancher.cloud_credential import CloudCredential
from .problems import Time

try:
    from cryptography import x509
except ImportError:  # it comes with ansible-core, but modules may run elsewhere
    x509 = None

_JWT = re.compile(r"\beyJ[\w-]+\.(eyJ[\w-]+)\.[\w-]+")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_PEM_IN_BASE64 = re.compile(r"LS0tLS1CRUdJTiBDRVJU[A-Za-z0-9+/]+=*")


def find_expiries(one: CloudCredential) -> list[tuple[Time, str]]:
    """What in a credential ends by itself, and when: the first to end of each kind of each field. Nothing of a value is told."""
    found: dict[str, Time] = {}

    def note(what: str, at: Time) -> None:
        found[what] = min(at, found.get(what, at))

    stamp = one.annotations.get(TOKEN_EXPIRES_AT, "")
    if stamp.isdigit() and int(stamp):
        note("the token in its kubeconfig", datetime.datetime.fromtimestamp(int(stamp) / 1000, datetime.timezone.utc))
    for name in one.data:
        text = one.text(name)
        for match in _JWT.finditer(text):
            at = _expiry_of_claims(match.group(1))
            if at:
                note(f"a token (JWT) in {name}", at)
        for at in _certificates(text):
            note(f"a certificate in {name}", at)
    return sorted((at, what) for what, at in found.items())


def _expiry_of_claims(claims: str) -> Time | None:
    try:
        ends = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))).get("exp")
        return None if ends is None else datetime.datetime.fromtimestamp(float(ends), datetime.timezone.utc)
    except (ValueError, TypeError, AttributeError, OverflowError, OSError):  # no JWT after all
        return None


def _certificates(text: str) -> t.Iterator[Time]:
    if x509 is None:
        return
    texts = [text]
    for match in _PEM_IN_BASE64.finditer(text):
        try:
            texts.append(base64.b64decode(match.group(0)).decode(errors="replace"))
        except binascii.Error:
            continue
    for one in texts:
        for pem in _PEM.findall(one.replace("\\n", "\n")):
            try:
                certificate = x509.load_pem_x509_certificate(pem.encode())
            except ValueError:
                continue
            # up to cryptography 41 there is only the naive form
            ends = getattr(certificate, "not_valid_after_utc", None)
            yield ends or certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc)
