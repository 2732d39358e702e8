# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of access keys of Alibaba Cloud RAM users.

Source: the API reference of RAM (2015-05-01) and STS (2015-04-01), with their error codes.
"""

from __future__ import annotations

import re
import secrets
import time
import typing as t
from collections.abc import Mapping
from urllib.parse import quote

from .._common.times import Time, now
from ..issuer import CALL_TIMEOUT, IssuedKey, Issuer, IssuerError, Key, Values
from .http import OPTIONS, Answer, HttpApi, read_time
from .options import check_options, parse_duration_option, require_fields
from .registry import ISSUERS
from .signatures import Request, sign_alibaba

_RECORDED = ("sign_in", "user_name", "propagation", *OPTIONS)
_SIGN_IN: dict[str, tuple[str, ...]] = {"rotating": (), "given": ("access_key_id", "access_key_secret")}
_SERVICES = {"ram": "2015-05-01", "sts": "2015-04-01"}
_UNKNOWN_KEYS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "Forbidden.AccessKeyDisabled", "IncompleteSignature")
_TIMES = ("InvalidTimeStamp", "IllegalTimestamp")
_USER_ARN = re.compile("acs:ram::[0-9]+:user/(.+)")

Pair = t.Sequence[str]  # id and secret of an access key


def verify_key(values: Values, options: Mapping[str, t.Any]) -> None:
    """Ask STS for the identity of the key, which needs no right."""
    _caller(_Api(options), _pair(values))


def _pair(values: Values) -> Pair:
    return require_fields(values, "accessKeyId", "accessKeySecret")


class _Api:
    """RAM and STS, for one call."""

    def __init__(self, options: Mapping[str, t.Any]) -> None:
        until = time.monotonic() + CALL_TIMEOUT - 1
        self._services = {
            name: HttpApi(f"Alibaba Cloud {name.upper()}", f"https://{name}.aliyuncs.com", options, until=until)
            for name in _SERVICES
        }

    def send(self, service: str, pair: Pair, action: str, **parameters: str) -> Mapping[str, t.Any]:
        api = self._services[service]
        query = "&".join(f"{name}={quote(parameters[name], safe='~')}" for name in sorted(parameters))
        request = Request("POST", api.host, "/", query)
        headers = sign_alibaba(
            request, pair[0], pair[1], now(), secrets.token_hex(16), action, _SERVICES[service]
        )
        return self._require(api, api.send("POST", request.target, headers), f"{service}:{action}")

    def _require(self, api: HttpApi, answer: Answer, action: str) -> Mapping[str, t.Any]:
        code = answer.text("Code")
        if answer.status >= 300 and code:
            _check_code(api, answer, code)
        api.require(answer, f"do {action}. Allow this action in a policy")
        api.require_member(answer, "RequestId")
        content: Mapping[str, t.Any] = answer.content
        return content


def _check_code(api: HttpApi, answer: Answer, code: str) -> None:
    """Raise IssuerError for the codes whose status does not show what they mean."""
    status = f"(HTTP status {answer.status})"
    if code.startswith(_TIMES):
        api.require_clock(answer)
    if code.startswith(_UNKNOWN_KEYS):
        raise IssuerError("refused", f"{api.name} ({api.host}) does not accept the key {status}")
    if code.startswith("Throttling"):
        raise IssuerError("busy", f"{api.name} ({api.host}) limits the rate of requests {status}")
    if code.startswith("LimitExceeded"):
        raise IssuerError("limit", "the user has the maximum number of access keys. Delete one that is not used")
    if code.startswith("EntityNotExist"):
        raise IssuerError(
            "invalid", "the user does not exist, or the key is not a key of this user. Correct user_name or the "
                       "identity that signs in",
        )


def _caller(api: _Api, pair: Pair) -> str:
    """Return the ARN of a key's owner."""
    arn = api.send("sts", pair, "GetCallerIdentity").get("Arn")
    if not isinstance(arn, str) or not arn:
        raise IssuerError("unreachable", "Alibaba Cloud STS did not return the owner of the key")
    return arn


class Alibaba(Issuer):
    """The access keys of one RAM user.

    Options: ``sign_in`` (``given``: the key ``access_key_id`` with ``access_key_secret``), ``user_name`` of the RAM
    user (default: the owner of the key in the credential), ``propagation``, ``endpoint_url`` of RAM and STS,
    ``ca_bundle``.
    """

    drivers = ISSUERS["alibaba"].drivers
    fields = ISSUERS["alibaba"].fields
    limit = 2
    reports_last_use = True
    recorded_options = _RECORDED

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._options = check_options("alibaba", options, _RECORDED, _SIGN_IN)
        self.propagation = float(parse_duration_option(self._options, "propagation", "10s"))

    def key_id(self, values: Values) -> str:
        return _pair(values)[0]

    def keys(self, by: Values) -> list[Key]:
        api, signer, user = self._begin(by)
        answer = api.send("ram", signer, "ListAccessKeys", UserName=user)
        group = answer.get("AccessKeys")
        listed = group.get("AccessKey") if isinstance(group, Mapping) else None
        if not isinstance(listed, list) or not all(isinstance(key, Mapping) for key in listed):
            raise IssuerError("unreachable", "Alibaba Cloud RAM does not answer like this provider")
        return [
            Key(
                str(key.get("AccessKeyId")), key.get("Status") == "Active", read_time(key.get("CreateDate")),
                self._last_used(api, signer, user, str(key.get("AccessKeyId"))),
            )
            for key in listed
        ]

    def issue(self, by: Values, mark: str) -> IssuedKey:
        api, signer, user = self._begin(by)
        issued = api.send("ram", signer, "CreateAccessKey", UserName=user).get("AccessKey")
        if not isinstance(issued, Mapping) or not (issued.get("AccessKeyId") and issued.get("AccessKeySecret")):
            raise IssuerError("unreachable", "Alibaba Cloud RAM did not return a new key")
        key = str(issued["AccessKeyId"])
        return IssuedKey({"accessKeyId": key, "accessKeySecret": str(issued["AccessKeySecret"])}, key)

    def verify(self, values: Values, by: Values) -> None:
        """Sign in, and compare the owner with that of the key in ``by``, if that is valid."""
        api, pair = _Api(self._options), _pair(values)
        arn = _caller(api, pair)
        if pair[0] == by.get("accessKeyId"):
            return
        try:
            owner = _caller(api, _pair(by))
        except IssuerError as error:
            if error.code != "refused":
                raise
            return
        if arn != owner:
            raise IssuerError("invalid", f"the key {pair[0]:.60} belongs to another user")

    def disable(self, key_id: str, by: Values) -> None:
        self._change("UpdateAccessKey", key_id, by, Status="Inactive")

    def enable(self, key_id: str, by: Values) -> None:
        self._change("UpdateAccessKey", key_id, by, Status="Active")

    def delete(self, key_id: str, by: Values) -> None:
        self._change("DeleteAccessKey", key_id, by)

    def _change(self, action: str, key_id: str, by: Values, **parameters: str) -> None:
        api, signer, user = self._begin(by)
        api.send("ram", signer, action, UserAccessKeyId=key_id, UserName=user, **parameters)

    def _last_used(self, api: _Api, signer: Pair, user: str, key_id: str) -> Time | None:
        try:
            answer = api.send("ram", signer, "GetAccessKeyLastUsed", UserAccessKeyId=key_id, UserName=user)
        except IssuerError as error:
            if error.code != "invalid":  # deleted since the keys were listed
                raise
            return None
        used = answer.get("AccessKeyLastUsed")
        return read_time(used.get("LastUsedDate")) if isinstance(used, Mapping) else None

    def _begin(self, by: Values) -> tuple[_Api, Pair, str]:
        """Return the API, the identity that manages the keys, and the user whose keys they are."""
        api = _Api(self._options)
        pair = _pair(by)
        signer = pair
        if self._options["sign_in"] == "given":
            signer = [str(self._options[name]) for name in _SIGN_IN["given"]]
        if self._options.get("user_name"):
            return api, signer, str(self._options["user_name"])
        match = _USER_ARN.fullmatch(_caller(api, pair))
        if not match:
            raise IssuerError(
                "unsupported", "the key in the credential is not of a RAM user. Keys of an account are not rotated"
            )
        return api, signer, match.group(1)
