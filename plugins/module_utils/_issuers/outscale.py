# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of access keys of OUTSCALE accounts and EIM users.

Source: the API description of OUTSCALE (osc-api 1.40).
"""

from __future__ import annotations

import datetime
import json
import re
import typing as t
from collections.abc import Mapping

from .._common.times import format_time, now
from ..issuer import IssuedKey, Issuer, IssuerError, Key, Values
from .http import OPTIONS, Answer, HttpApi, read_time
from .options import check_options, parse_duration_option, require_fields
from .registry import ISSUERS
from .signatures import Request, sign_outscale

_RECORDED = ("sign_in", "user_name", "expiration", "propagation", *OPTIONS)
_SIGN_IN: dict[str, tuple[str, ...]] = {"rotating": (), "given": ("access_key", "secret_key")}


def verify_key(values: Values, options: Mapping[str, t.Any]) -> None:
    """List the access keys of the key's own user, which contain the key itself."""
    api, pair = _api(values, options), require_fields(values, "accessKey", "secretKey")
    if pair[0] not in [key["AccessKeyId"] for key in _list(api, _send(api, values, pair, "ReadAccessKeys", {}))]:
        raise IssuerError("refused", f"the key {pair[0]:.60} is not listed yet")


def _api(values: Values, options: Mapping[str, t.Any]) -> HttpApi:
    region, = require_fields(values, "region")
    if not re.fullmatch("[a-z0-9-]{1,40}", region):
        raise IssuerError("invalid", "the region of the credential must be a region such as eu-west-2")
    return HttpApi("OUTSCALE", f"https://api.{region}.outscale.com", options)


def _send(api: HttpApi, by: Values, pair: t.Sequence[str], action: str, payload: Mapping[str, t.Any]) -> Answer:
    content = json.dumps(payload).encode()
    request = Request("POST", api.host, f"/api/v1/{action}", content=content)
    headers = sign_outscale(request, pair[0], pair[1], by["region"], now())
    return api.send("POST", request.path, headers, body=content)


def _require(api: HttpApi, answer: Answer, action: str) -> Answer:
    """Return the answer if the request was performed.

    OUTSCALE answers 401 to a key that it does not accept and 403 if a policy denies the action. Other kinds of errors
    are in the type of the first one.
    """
    kind = _error_type(answer)
    if "RequestLimitExceeded" in kind:
        raise IssuerError("busy", f"{api.name} ({api.host}) limits the rate of requests (HTTP status {answer.status})")
    if "TooManyResources" in kind or "LimitExceeded" in kind:
        raise IssuerError("limit", "the user has the maximum number of access keys. Delete one that is not used")
    if answer.status == 401:
        api.require_clock(answer)
    return api.require(answer, f"do {action}. Allow it api:{action} in a policy")


def _error_type(answer: Answer) -> str:
    errors = answer.content.get("Errors") if isinstance(answer.content, Mapping) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    return str(first.get("Type")) if isinstance(first, Mapping) else ""


def _list(api: HttpApi, answer: Answer) -> list[Mapping[str, t.Any]]:
    _require(api, answer, "ReadAccessKeys")
    api.require_member(answer, "AccessKeys")
    keys = answer.content["AccessKeys"]
    if not isinstance(keys, list) or not all(isinstance(key, Mapping) and "AccessKeyId" in key for key in keys):
        raise IssuerError("unreachable", f"{api.name} ({api.host}) does not answer like this provider")
    return keys


class Outscale(Issuer):
    """The access keys of one user.

    Options: ``sign_in`` (``given``: the key ``access_key`` with ``secret_key``), ``user_name`` of the EIM user whose
    keys they are (default: the user that signs in), ``expiration`` of new keys, ``propagation``, ``endpoint_url``,
    ``ca_bundle``. The region is that of the credential.
    """

    drivers = ISSUERS["outscale"].drivers
    fields = ISSUERS["outscale"].fields
    marks = True
    recorded_options = _RECORDED

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._options = check_options("outscale", options, _RECORDED, _SIGN_IN)
        self.propagation = float(parse_duration_option(self._options, "propagation", "10s"))
        self._expiration: datetime.timedelta | None = None
        if "expiration" in self._options:
            self._expiration = datetime.timedelta(
                seconds=parse_duration_option(self._options, "expiration", "90d", 600)
            )

    def key_id(self, values: Values) -> str:
        key, _secret = require_fields(values, "accessKey", "secretKey")
        return key

    def rate_key(self, by: Values) -> str | None:
        return by.get("region")

    def keys(self, by: Values) -> list[Key]:
        return [
            Key(
                str(key["AccessKeyId"]), key.get("State") == "ACTIVE", read_time(key.get("CreationDate")), None,
                read_time(key.get("ExpirationDate")), str(key.get("Tag") or "") or None,
            )
            for key in self._listed(_api(by, self._options), by)
        ]

    def issue(self, by: Values, mark: str) -> IssuedKey:
        expires = (now() + self._expiration).replace(microsecond=0) if self._expiration else None
        payload = {"Tag": mark, **({"ExpirationDate": format_time(expires)} if expires else {})}
        api = _api(by, self._options)
        answer = self._request(api, by, "CreateAccessKey", payload)
        api.require_member(answer, "AccessKey")
        issued = answer.content["AccessKey"]
        if not isinstance(issued, Mapping) or not (issued.get("AccessKeyId") and issued.get("SecretKey")):
            raise IssuerError("unreachable", f"{api.name} ({api.host}) did not return a new key")
        key = str(issued["AccessKeyId"])
        return IssuedKey({"accessKey": key, "secretKey": str(issued["SecretKey"])}, key, expires)

    def verify(self, values: Values, by: Values) -> None:
        """Sign in, and require that the keys of this user contain the key in ``by``, if that still exists."""
        api, pair = _api(by, self._options), require_fields(values, "accessKey", "secretKey")
        own = {key["AccessKeyId"] for key in _list(api, _send(api, by, pair, "ReadAccessKeys", {}))}
        if pair[0] not in own:
            raise IssuerError("refused", f"the key {pair[0]:.60} is not listed yet")
        if by["accessKey"] not in own and self._exists(api, by):
            raise IssuerError("invalid", f"the key {pair[0]:.60} belongs to another user")

    def disable(self, key_id: str, by: Values) -> None:
        api = _api(by, self._options)
        self._set_state(api, self._find(api, key_id, by), "INACTIVE", by)

    def enable(self, key_id: str, by: Values) -> None:
        api = _api(by, self._options)
        self._set_state(api, self._find(api, key_id, by), "ACTIVE", by)

    def delete(self, key_id: str, by: Values) -> None:
        """Delete a key; the key of an EIM user must be inactive before."""
        api = _api(by, self._options)
        key = self._find(api, key_id, by)
        if key.get("State") == "ACTIVE":
            self._set_state(api, key, "INACTIVE", by)
        self._request(api, by, "DeleteAccessKey", {"AccessKeyId": key_id})

    def _exists(self, api: HttpApi, by: Values) -> bool:
        """Whether the key in ``by`` is one of the managed user."""
        try:
            return by["accessKey"] in [key["AccessKeyId"] for key in self._listed(api, by)]
        except IssuerError as error:
            if error.code != "refused":
                raise
            return False

    def _find(self, api: HttpApi, key_id: str, by: Values) -> Mapping[str, t.Any]:
        for key in self._listed(api, by):
            if key["AccessKeyId"] == key_id:
                return key
        raise IssuerError(
            "invalid",
            f"the key {key_id:.60} does not exist, or is not a key of this user. If it exists, correct user_name or "
            "the identity that signs in",
        )

    def _set_state(self, api: HttpApi, key: Mapping[str, t.Any], state: str, by: Values) -> None:
        """Change the state; without the date of expiry, OUTSCALE would clear it."""
        expires = {"ExpirationDate": key["ExpirationDate"]} if key.get("ExpirationDate") else {}
        self._request(api, by, "UpdateAccessKey", {"AccessKeyId": key["AccessKeyId"], "State": state, **expires})

    def _listed(self, api: HttpApi, by: Values) -> list[Mapping[str, t.Any]]:
        return _list(api, self._request(api, by, "ReadAccessKeys", {}))

    def _request(self, api: HttpApi, by: Values, action: str, payload: Mapping[str, t.Any]) -> Answer:
        """Send a request as the identity that manages the keys."""
        if self._options["sign_in"] == "rotating":
            pair = require_fields(by, "accessKey", "secretKey")
        else:
            pair = [str(self._options[name]) for name in _SIGN_IN["given"]]
        user = {"UserName": self._options["user_name"]} if self._options.get("user_name") else {}
        return _require(api, _send(api, by, pair, action, {**payload, **user}), action)
