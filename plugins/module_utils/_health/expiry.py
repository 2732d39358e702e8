# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""When tokens and certificates in cloud credentials expire. Pure; no result contains a part of a value."""

from __future__ import annotations

import base64
import binascii
import functools
import itertools
import json
import re
import typing as t

from .._common.times import UTC, Time, parse_timestamp
from .._rancher.annotations import TOKEN_EXPIRES_AT
from .._rancher.cloud_credential import CloudCredential

try:
    from cryptography import x509
except ImportError:  # ansible-core requires it, but modules may run on hosts without ansible-core
    x509 = None

CAN_READ_CERTIFICATES = x509 is not None

# Users write values and annotations. Each pattern takes linear time: a header begins where a word begins, so that no
# character is the start of several attempts.
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]+\.(eyJ[\w-]+)\.[\w-]+")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_PEM_IN_BASE64 = re.compile(r"LS0tLS1CRUdJTiBDRVJU[A-Za-z0-9+/]+=*")
_LONGEST_CLAIMS = 64 * 1024  # characters; a longer token does not fit into the headers of any server
_MOST_CERTIFICATES = 500     # of a field; the authorities that all browsers trust together are about 150


class Expiry(t.NamedTuple):
    """A part of a credential, such as "a token (JWT) in kubeconfigContent", and when it expires."""

    at: Time
    subject: str


class Expiries(t.NamedTuple):
    """The expiries of a credential, and the parts of which the expiry cannot be read, as ends of sentences."""

    found: list[Expiry]
    unreadable: list[str]


def find_expiries(credential: CloudCredential) -> Expiries:
    """Return the earliest expiry of each kind of token or certificate in each field.

    What cannot be read is a problem of the credential: everything here was written by its owner.
    """
    found: dict[str, Time] = {}
    unreadable: dict[str, str] = {}
    for subject, read in _all_expiries(credential):
        try:
            expires_at = read()
        except Exception:  # cryptography raises many types, and JSON can exceed the recursion limit
            unreadable[subject] = f"the expiry of {subject} cannot be read"
        else:
            if expires_at is not None:
                found[subject] = min(expires_at, found.get(subject, expires_at))
    return Expiries(sorted(Expiry(at, subject) for subject, at in found.items()), sorted(unreadable.values()))


# Returns an expiry, or None if there is none; raises any exception if it cannot be read.
_Read = t.Callable[[], t.Optional[Time]]


def _all_expiries(credential: CloudCredential) -> t.Iterator[tuple[str, _Read]]:
    stamp = credential.annotations.get(TOKEN_EXPIRES_AT)
    if stamp:
        yield "the token in its kubeconfig", functools.partial(_expiry_of_annotation, stamp)
    for name in credential.data:
        text = credential.text(name)
        for match in _JWT.finditer(text):
            yield f"a token (JWT) in {name}", functools.partial(_expiry_of_claims, match.group(1))
        for number, pem in enumerate(_certificates(text)):
            if number == _MOST_CERTIFICATES:
                yield f"certificate {number + 1} and all further ones in {name}", _too_many
                break
            yield f"a certificate in {name}", functools.partial(_expiry_of_certificate, pem)


def _too_many() -> Time | None:
    raise ValueError


def _expiry_of_annotation(stamp: str) -> Time | None:
    """Read Rancher's annotation: ms since 1970 (Rancher 2.9.3 to 2.11), 0 if the token does not exist."""
    if not re.fullmatch("[0-9]{1,15}", stamp):
        raise ValueError
    return parse_timestamp(int(stamp) / 1000) if int(stamp) else None


def _expiry_of_claims(claims: str) -> Time | None:
    if len(claims) > _LONGEST_CLAIMS:
        raise ValueError
    seconds = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))).get("exp")
    return None if seconds is None else parse_timestamp(float(seconds))


def _certificates(text: str) -> t.Iterator[str]:
    if x509 is None:
        return
    for part in itertools.chain((text,), _decoded_certificates(text)):
        for match in _PEM.finditer(part.replace("\\n", "\n")):
            yield match.group(0)


def _expiry_of_certificate(pem: str) -> Time:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    # cryptography up to 41 has only the naive attribute
    expires_at: Time | None = getattr(certificate, "not_valid_after_utc", None)
    return expires_at or certificate.not_valid_after.replace(tzinfo=UTC)


def _decoded_certificates(text: str) -> t.Iterator[str]:
    for match in _PEM_IN_BASE64.finditer(text):
        try:
            yield base64.b64decode(match.group(0)).decode(errors="replace")
        except binascii.Error:
            continue
