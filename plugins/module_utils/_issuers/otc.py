# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of access keys (AK/SK) of Open Telekom Cloud users.

Sources: the access key management of the IAM API reference, and the AK/SK signing guide. That the requests for access
keys may be signed with an access key instead of a token was not confirmed.
"""

from __future__ import annotations

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
from .signatures import Request, sign_otc

_REGION = "eu-de"
_RECORDED = ("sign_in", "region", "domain_id", "propagation", *OPTIONS)
_SIGN_IN: dict[str, tuple[str, ...]] = {"rotating": (), "given": ("access_key", "secret_key")}
_PATH = "/v3.0/OS-CREDENTIAL/credentials"

Pair = t.Sequence[str]  # access key and secret key


def verify_key(values: Values, options: Mapping[str, t.Any]) -> None:
    """Read the key itself, which every user may do."""
    pair = _pair(values)
    _read(_api(options), options, pair, pair[0])


def _pair(values: Values) -> Pair:
    if values.get("accessKeySecret") and not values.get("accessKey"):
        raise IssuerError(
            "unsupported",
            "the credential has no accessKey: Rancher before 2.9.6 and 2.10.2 does not store it. Upgrade Rancher, or "
            "create another credential",
        )
    return require_fields(values, "accessKey", "secretKey")


def _api(options: Mapping[str, t.Any]) -> HttpApi:
    region = str(options.get("region") or _REGION)
    if not re.fullmatch("[a-z0-9-]{1,40}", region):
        raise IssuerError("invalid", f"the option region must be a region such as {_REGION}")
    return HttpApi("Open Telekom Cloud", f"https://iam.{region}.otc.t-systems.com", options)


def _send(
    api: HttpApi, options: Mapping[str, t.Any], pair: Pair, method: str, path: str, query: str = "",
    payload: Mapping[str, t.Any] | None = None,
) -> Answer:
    content = b"" if payload is None else json.dumps(payload).encode()
    request = Request(method, api.host, path, query, content)
    domain = options.get("domain_id")
    headers = sign_otc(request, pair[0], pair[1], now(), str(domain) if domain else None)
    return api.send(method, request.target, headers, body=content or None)


def _require(api: HttpApi, answer: Answer, right: str) -> Answer:
    error = answer.content.get("error") if isinstance(answer.content, Mapping) else None
    if isinstance(error, Mapping) and error.get("message") == "akSkNumExceed":
        raise IssuerError("limit", "the user has the maximum number of access keys. Delete one that is not used")
    if answer.status == 401:
        api.require_clock(answer)
    return api.require(answer, right)


def _read(api: HttpApi, options: Mapping[str, t.Any], pair: Pair, key_id: str) -> Mapping[str, t.Any]:
    """Return a key as IAM shows it, with its last use."""
    answer = _send(api, options, pair, "GET", f"{_PATH}/{quote(key_id, safe='')}")
    if answer.status == 404:
        raise IssuerError(
            "invalid",
            f"the key {key_id:.60} does not exist in the domain of the identity that signs in (HTTP status 404)",
        )
    return _credential(api, _require(api, answer, "read access keys. Allow it Security Administrator"))


def _credential(api: HttpApi, answer: Answer) -> Mapping[str, t.Any]:
    api.require_member(answer, "credential")
    found = answer.content["credential"]
    if not isinstance(found, Mapping) or not found.get("user_id"):
        raise IssuerError("unreachable", f"{api.name} ({api.host}) does not answer like this provider")
    return found


class Otc(Issuer):
    """The access keys of one user.

    Options: ``sign_in`` (``given``: the key ``access_key`` with ``secret_key``), ``region`` of the IAM endpoint,
    ``domain_id``, ``propagation``, ``endpoint_url``, ``ca_bundle``.
    """

    drivers = ISSUERS["otc"].drivers
    fields = ISSUERS["otc"].fields
    limit = 2
    marks = True
    reports_last_use = True
    recorded_options = _RECORDED

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._options = check_options("otc", options, _RECORDED, _SIGN_IN)
        self.propagation = float(parse_duration_option(self._options, "propagation", "10s"))

    def key_id(self, values: Values) -> str:
        return _pair(values)[0]

    def keys(self, by: Values) -> list[Key]:
        api, signer = _api(self._options), self._signer(by)
        user = self._user(api, by)
        query = f"user_id={quote(user, safe='')}"
        answer = _send(api, self._options, signer, "GET", _PATH, query)
        api.require_member(_require(api, answer, "list access keys. Allow it Security Administrator"), "credentials")
        listed = answer.content["credentials"]
        if not isinstance(listed, list) or not all(isinstance(key, Mapping) and key.get("access") for key in listed):
            raise IssuerError("unreachable", f"{api.name} ({api.host}) does not answer like this provider")
        return [self._describe(api, signer, key) for key in listed]

    def issue(self, by: Values, mark: str) -> IssuedKey:
        api, signer = _api(self._options), self._signer(by)
        payload = {"credential": {"user_id": self._user(api, by), "description": mark}}
        answer = _send(api, self._options, signer, "POST", _PATH, payload=payload)
        issued = _credential(api, _require(api, answer, "create access keys. Allow it Security Administrator"))
        if not issued.get("access") or not issued.get("secret"):
            raise IssuerError("unreachable", f"{api.name} ({api.host}) did not return a new key")
        key = str(issued["access"])
        return IssuedKey({"accessKey": key, "secretKey": str(issued["secret"])}, key)

    def verify(self, values: Values, by: Values) -> None:
        """Read the key with itself, and compare its user with that of the key in ``by``, if that still exists."""
        api, pair = _api(self._options), _pair(values)
        user = _read(api, self._options, pair, pair[0])["user_id"]
        if pair[0] == by.get("accessKey"):
            return
        try:
            owner = self._user(api, by)
        except IssuerError as error:
            if error.code not in ("refused", "invalid"):
                raise
            return
        if user != owner:
            raise IssuerError("invalid", f"the key {pair[0]:.60} belongs to another user")

    def disable(self, key_id: str, by: Values) -> None:
        self._set_status(key_id, "inactive", by)

    def enable(self, key_id: str, by: Values) -> None:
        self._set_status(key_id, "active", by)

    def delete(self, key_id: str, by: Values) -> None:
        api, _key = self._find(key_id, by)
        answer = _send(api, self._options, self._signer(by), "DELETE", f"{_PATH}/{quote(key_id, safe='')}")
        _require(api, answer, "delete access keys. Allow it Security Administrator")

    def _set_status(self, key_id: str, status: str, by: Values) -> None:
        api, key = self._find(key_id, by)
        payload = {"credential": {"status": status, "description": str(key.get("description") or "")}}
        answer = _send(
            api, self._options, self._signer(by), "PUT", f"{_PATH}/{quote(key_id, safe='')}", payload=payload
        )
        _require(api, answer, "change access keys. Allow it Security Administrator")

    def _find(self, key_id: str, by: Values) -> tuple[HttpApi, Mapping[str, t.Any]]:
        """Return a key of the user of the credential."""
        api = _api(self._options)
        key = _read(api, self._options, self._signer(by), key_id)
        if key["user_id"] != self._user(api, by):
            raise IssuerError("invalid", f"the key {key_id:.60} is not a key of the user of the credential")
        return api, key

    def _describe(self, api: HttpApi, signer: Pair, listed: Mapping[str, t.Any]) -> Key:
        """Return a key with its last use; the time of its creation means that it was never used."""
        try:
            key = _read(api, self._options, signer, str(listed["access"]))
        except IssuerError as error:
            if error.code != "invalid":  # deleted since the keys were listed
                raise
            key = listed
        created, used = read_time(key.get("create_time")), read_time(key.get("last_use_time"))
        return Key(
            str(listed["access"]), key.get("status") == "active", created, None if used == created else used,
            mark=str(key.get("description") or "") or None,
        )

    def _user(self, api: HttpApi, by: Values) -> str:
        return str(_read(api, self._options, self._signer(by), _pair(by)[0])["user_id"])

    def _signer(self, by: Values) -> Pair:
        if self._options["sign_in"] == "rotating":
            return _pair(by)
        return [str(self._options[name]) for name in _SIGN_IN["given"]]
