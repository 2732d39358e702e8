# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Signs requests for providers whose keys never leave the client. Pure.

Each function returns the headers to send with a request, with its signature. Sources: the signature documentation of
Exoscale, Alibaba Cloud (V3) and Oracle, osc-sdk-python for OUTSCALE, the AK/SK signing guide of Open Telekom Cloud.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import typing as t
from collections.abc import Mapping
from email.utils import format_datetime

from .._common.times import Time
from ..issuer import IssuerError

JSON = "application/json"
_OUTSCALE_SERVICE = "api"


class Request(t.NamedTuple):
    """A request as it is sent; ``query`` is percent-encoded and sorted."""

    method: str
    host: str
    path: str
    query: str = ""
    content: bytes = b""

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


def sign_exoscale(request: Request, key: str, secret: str, expires: int) -> dict[str, str]:
    """EXO2-HMAC-SHA256, for requests without a query; ``expires`` are seconds since the epoch."""
    message = f"{request.method} {request.path}\n".encode() + request.content + f"\n\n\n{expires}".encode()
    signature = base64.b64encode(_hmac(secret.encode(), message)).decode()
    return {
        "Content-Type": JSON,
        "Authorization": f"EXO2-HMAC-SHA256 credential={key},expires={expires},signature={signature}",
    }


def sign_aws(request: Request, key: str, secret: str, region: str, service: str, at: Time) -> dict[str, str]:
    """AWS4-HMAC-SHA256, for stores that are compatible with S3."""
    moment = f"{at:%Y%m%dT%H%M%SZ}"
    headers = {
        "host": request.host, "x-amz-content-sha256": hashlib.sha256(request.content).hexdigest(), "x-amz-date": moment,
    }
    return _sign_version_4(request, headers, key, secret, "AWS4", (moment[:8], region, service, "aws4_request"), moment)


def sign_outscale(request: Request, key: str, secret: str, region: str, at: Time) -> dict[str, str]:
    """OSC4-HMAC-SHA256: AWS' signature version 4 with other names."""
    moment = f"{at:%Y%m%dT%H%M%SZ}"
    headers = {"content-type": JSON, "host": request.host, "x-osc-date": moment}
    scope = (moment[:8], region, _OUTSCALE_SERVICE, "osc4_request")
    return _sign_version_4(request, headers, key, secret, "OSC4", scope, moment)


def sign_otc(request: Request, key: str, secret: str, at: Time, domain_id: str | None = None) -> dict[str, str]:
    """SDK-HMAC-SHA256; a path is signed with a slash at its end."""
    moment = f"{at:%Y%m%dT%H%M%SZ}"
    headers = {"content-type": JSON, "host": request.host, "x-sdk-date": moment}
    if domain_id:
        headers["x-domain-id"] = domain_id
    canonical, names = _canonical(request, headers, f"{request.path.rstrip('/')}/")
    text = "\n".join(("SDK-HMAC-SHA256", moment, _sha256(canonical)))
    signature = _hmac(secret.encode(), text.encode()).hex()
    return {
        **headers,
        "authorization": f"SDK-HMAC-SHA256 Access={key}, SignedHeaders={names}, Signature={signature}",
    }


def sign_alibaba(
    request: Request, key: str, secret: str, at: Time, nonce: str, action: str, version: str
) -> dict[str, str]:
    """ACS3-HMAC-SHA256."""
    headers = {
        "host": request.host,
        "x-acs-action": action,
        "x-acs-content-sha256": hashlib.sha256(request.content).hexdigest(),
        "x-acs-date": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "x-acs-signature-nonce": nonce,
        "x-acs-version": version,
    }
    canonical, names = _canonical(request, headers, request.path)
    signature = _hmac(secret.encode(), f"ACS3-HMAC-SHA256\n{_sha256(canonical)}".encode()).hex()
    return {
        **headers,
        "authorization": f"ACS3-HMAC-SHA256 Credential={key},SignedHeaders={names},Signature={signature}",
    }


def sign_oci(request: Request, key_id: str, private_key: t.Any, at: Time) -> dict[str, str]:
    """RSA over headers, for a key that load_private_key() returned."""
    headers = {
        "date": format_datetime(at, usegmt=True),
        "(request-target)": f"{request.method.lower()} {request.target}",
        "host": request.host,
    }
    if request.method == "POST":
        headers["content-length"] = str(len(request.content))
        headers["content-type"] = JSON
        headers["x-content-sha256"] = base64.b64encode(hashlib.sha256(request.content).digest()).decode()
    text = "\n".join(f"{name}: {value}" for name, value in headers.items())
    signature = base64.b64encode(sign_rsa(private_key, text.encode())).decode()
    names = " ".join(headers)
    del headers["(request-target)"]
    return {
        **headers,
        "authorization": f'Signature version="1",headers="{names}",keyId="{key_id}",algorithm="rsa-sha256",'
                         f'signature="{signature}"',
    }


def load_private_key(pem: str, name: str) -> t.Any:
    """Return an RSA private key. ``name`` is its field or option in messages. Raises IssuerError."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
    except ImportError as error:
        raise IssuerError(
            "unsupported",
            f"the Python package cryptography is required on the controller to sign with {name}. Install it: {error}",
        ) from None
    try:
        loaded = serialization.load_pem_private_key(pem.encode(), password=None)
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise TypeError
    except Exception:  # its text may quote the key
        raise IssuerError(
            "invalid", f"{name} is not an RSA private key in PEM format without a passphrase"
        ) from None
    return loaded


def sign_rsa(private_key: t.Any, content: bytes) -> bytes:
    """RSASSA-PKCS1-v1_5 with SHA-256, for a key that load_private_key() returned."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    return t.cast(bytes, private_key.sign(content, padding.PKCS1v15(), hashes.SHA256()))


def _sign_version_4(
    request: Request, headers: dict[str, str], key: str, secret: str, prefix: str, scope: t.Sequence[str], moment: str
) -> dict[str, str]:
    """Return the headers and their signature; ``prefix`` is that of the algorithm and of the secret."""
    canonical, names = _canonical(request, headers, request.path)
    signing_key = f"{prefix}{secret}".encode()
    for part in scope:
        signing_key = _hmac(signing_key, part.encode())
    text = "\n".join((f"{prefix}-HMAC-SHA256", moment, "/".join(scope), _sha256(canonical)))
    return {
        **headers,
        "authorization": f"{prefix}-HMAC-SHA256 Credential={key}/{'/'.join(scope)}, SignedHeaders={names}, "
                         f"Signature={_hmac(signing_key, text.encode()).hex()}",
    }


def _canonical(request: Request, headers: Mapping[str, str], path: str) -> tuple[str, str]:
    """Return a request as AWS' signature version 4 and its relatives sign it, and the names of its signed headers."""
    names = ";".join(sorted(headers))
    lines = [request.method, path, request.query, *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names]
    return "\n".join([*lines, hashlib.sha256(request.content).hexdigest()]), names


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()
