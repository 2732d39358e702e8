# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of API signing keys of Oracle Cloud Infrastructure users.

A key is generated here, kept, and then its public part is uploaded: no secret can be lost. Sources: the API reference
of the identity service and Oracle's documentation of request signatures.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from collections.abc import Mapping
from urllib.parse import quote

from .._common.times import now
from ..issuer import IssuedKey, Issuer, IssuerError, Key, Values
from .http import OPTIONS, Answer, HttpApi, read_time
from .options import check_options, parse_duration_option, require_fields
from .registry import ISSUERS
from .signatures import Request, load_private_key, sign_oci

_RECORDED = ("sign_in", "region", "propagation", *OPTIONS)
_SIGN_IN: dict[str, tuple[str, ...]] = {
    "rotating": (), "given": ("tenancy_id", "user_id", "fingerprint", "private_key"),
}
_REGION = re.compile(r"[a-z]{2,3}-[a-z]+-[0-9]{1,2}", re.ASCII)
_OCID = re.compile(r"ocid1\.[a-z]+\.[a-z0-9.-]*\.[a-z0-9-]+", re.ASCII)
_FINGERPRINT = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){15}", re.ASCII)
_LIMIT = 3
_GONE = ("DELETING", "DELETED")


class _Signer(t.NamedTuple):
    key_id: str
    private_key: t.Any


def verify_key(values: Values, options: Mapping[str, t.Any]) -> None:
    """List the keys of the user, which every user may do for itself."""
    listed = _list(_api(options), _signer(values), values)
    if values["fingerprint"] not in [key.get("fingerprint") for key in listed]:
        raise IssuerError("refused", f"the key {values['fingerprint']:.60} is not listed yet, or is of another user")


def _api(options: Mapping[str, t.Any]) -> HttpApi:
    region = str(options.get("region") or "")
    if not options.get("endpoint_url") and not _REGION.fullmatch(region):
        raise IssuerError(
            "invalid", "the option region must be the home region of the tenancy, such as eu-frankfurt-1"
        )
    return HttpApi("Oracle Cloud", f"https://identity.{region}.oraclecloud.com", options)


def _signer(values: Values) -> _Signer:
    tenancy, user, fingerprint, pem = require_fields(values, "tenancyId", "userId", "fingerprint", "privateKeyContents")
    return _create_signer(tenancy, user, fingerprint, load_private_key(pem, "privateKeyContents"))


def _create_signer(tenancy: str, user: str, fingerprint: str, private_key: t.Any) -> _Signer:
    if not (_OCID.fullmatch(tenancy) and _OCID.fullmatch(user) and _FINGERPRINT.fullmatch(fingerprint)):
        raise IssuerError(
            "invalid",
            "the tenancy and the user must be OCIDs such as ocid1.user.oc1..example, and the fingerprint 16 pairs of "
            "hexadecimal digits with colons",
        )
    return _Signer(f"{tenancy}/{user}/{fingerprint}", private_key)


def _path(values: Values, fingerprint: str | None = None) -> str:
    user, = require_fields(values, "userId")
    path = f"/20160918/users/{quote(user, safe='')}/apiKeys"
    return f"{path}/{quote(fingerprint, safe=':')}" if fingerprint else path


def _send(
    api: HttpApi, signer: _Signer, method: str, path: str, payload: Mapping[str, t.Any] | None = None, **headers: str
) -> Answer:
    content = b"" if payload is None else json.dumps(payload).encode()
    signed = sign_oci(Request(method, api.host, path, content=content), signer.key_id, signer.private_key, now())
    answer = api.send(method, path, {**signed, **headers}, body=content or None)
    if answer.status == 401:
        api.require_clock(answer)
    if answer.status < 300 and "opc-request-id" not in answer.headers:  # its list and deletion have no other sign
        raise IssuerError("unreachable", f"{api.name} ({api.host}) does not answer like this provider")
    return answer


def _require(api: HttpApi, answer: Answer, right: str) -> Answer:
    if answer.status == 404 and answer.text("code") == "NotAuthorizedOrNotFound":
        raise IssuerError(
            "forbidden",
            f"{api.name} ({api.host}) does not allow the key to {right}, or the user of the credential does not exist "
            "(HTTP status 404)",
        )
    return api.require(answer, right)


def _list(api: HttpApi, signer: _Signer, values: Values) -> list[Mapping[str, t.Any]]:
    found = _require(api, _send(api, signer, "GET", _path(values)), "list the keys of the user").content
    if not isinstance(found, list) or not all(isinstance(key, Mapping) for key in found):
        raise IssuerError("unreachable", f"{api.name} ({api.host}) does not answer like this provider")
    return [key for key in found if key.get("lifecycleState") not in _GONE]


class Oci(Issuer):
    """The API signing keys of one user.

    Options: ``region``, the home region of the tenancy; ``sign_in`` (``given``: the key ``fingerprint`` with
    ``private_key`` of ``user_id`` in ``tenancy_id``), ``propagation``, ``endpoint_url``, ``ca_bundle``.
    """

    drivers = ISSUERS["oci"].drivers
    fields = ISSUERS["oci"].fields
    limit = _LIMIT
    disables = False
    generates_locally = True
    recorded_options = _RECORDED

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._options = check_options("oci", options, _RECORDED, _SIGN_IN)
        self.propagation = float(parse_duration_option(self._options, "propagation", "10s"))

    def key_id(self, values: Values) -> str:
        fingerprint, = require_fields(values, "fingerprint")
        return fingerprint

    def rate_key(self, by: Values) -> str | None:
        return by.get("tenancyId")

    def keys(self, by: Values) -> list[Key]:
        return [
            Key(str(key.get("fingerprint")), key.get("lifecycleState") != "INACTIVE", read_time(key.get("timeCreated")))
            for key in _list(_api(self._options), self._signer(by), by)
        ]

    def issue(self, by: Values, mark: str) -> IssuedKey:
        self._signer(by)  # reports a missing package and malformed fields before anything is kept
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        private_key = rsa.generate_private_key(65537, 2048)
        pem = private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode().strip()
        fingerprint = _fingerprint(private_key)
        return IssuedKey({"fingerprint": fingerprint, "privateKeyContents": pem}, fingerprint)

    def activate(self, values: Values, by: Values) -> None:
        """Upload the public key. Oracle returns the same answer to the same request for a day (opc-retry-token)."""
        private_key = load_private_key(values["privateKeyContents"], "privateKeyContents")
        from cryptography.hazmat.primitives import serialization

        public = private_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()
        fingerprint = _fingerprint(private_key)
        api, signer = _api(self._options), self._signer(by)
        token = hashlib.sha256(fingerprint.encode()).hexdigest()
        answer = _send(api, signer, "POST", _path(by), {"key": public}, **{"opc-retry-token": token})
        if answer.status in (400, 409):
            listed = [key.get("fingerprint") for key in _list(api, signer, by)]
            if fingerprint in listed:  # the reply to the upload was lost more than a day ago
                return
            if len(listed) >= _LIMIT:
                raise IssuerError("limit", f"the user has {_LIMIT} API keys, the maximum. Delete one that is not used")
        _require(api, answer, "upload a key of the user")

    def verify(self, values: Values, by: Values) -> None:
        """List the keys of the user of the credential, which only this user or an administrator may do."""
        verify_key({**by, **{name: values.get(name, "") for name in self.fields}}, self._options)

    def delete(self, key_id: str, by: Values) -> None:
        if not _FINGERPRINT.fullmatch(key_id):
            raise IssuerError("invalid", "the id of the key is not a fingerprint")
        api = _api(self._options)
        _require(api, _send(api, self._signer(by), "DELETE", _path(by, key_id)), "delete keys of the user")

    def _signer(self, by: Values) -> _Signer:
        if self._options["sign_in"] == "rotating":
            return _signer(by)
        tenancy, user, fingerprint, pem = (str(self._options[name]) for name in _SIGN_IN["given"])
        return _create_signer(tenancy, user, fingerprint, load_private_key(pem, "private_key"))


def _fingerprint(private_key: t.Any) -> str:
    """Return the MD5 digest of the public key in DER, with colons, as Oracle identifies keys."""
    from cryptography.hazmat.primitives import serialization

    der = private_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    digest = hashlib.md5(der, usedforsecurity=False).hexdigest()
    return ":".join(digest[at:at + 2] for at in range(0, 32, 2))
