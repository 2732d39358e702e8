# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of S3 keys of users of a Ceph RADOS Gateway (RGW).

Sources: the handlers of RGW's Admin Ops API, and the answers of RGW 16.2. They contain the secrets of all keys of a
user. RGW logs the URLs of requests, so it generates the secrets itself.
"""

from __future__ import annotations

import re
import secrets
import typing as t
from collections.abc import Mapping
from urllib.parse import quote

from .._common.text import single_line
from .._common.times import now
from ..issuer import IssuedKey, Issuer, IssuerError, Key, Values
from .http import OPTIONS, Answer
from .options import check_options, parse_duration_option, require_fields
from .registry import ISSUERS
from .s3 import connect, verify_store
from .signatures import Request, sign_aws

_PATH = "/admin/user"
_RECORDED = ("sign_in", "propagation", *OPTIONS)
_SIGN_IN: dict[str, tuple[str, ...]] = {"rotating": (), "given": ("access_key", "secret_key")}
_ISSUED = re.compile(r"([a-z0-9-]{1,63})\.[0-9a-f]{16}")

Pair = t.Sequence[str]  # id and secret of a key


class _User(t.NamedTuple):
    """A user with its S3 keys by their ids, without those of subusers."""

    uid: str
    keys: Mapping[str, Mapping[str, t.Any]]


class _Api:
    """The Admin Ops API, for one call and one identity."""

    def __init__(self, values: Values, options: Mapping[str, t.Any], pair: Pair) -> None:
        self._http = connect("RGW", values, options)
        self.until = self._http.until
        self._pair = pair
        self._region = values.get("defaultRegion") or "us-east-1"

    def find(self, key_id: str) -> _User:
        """Return the user of a key. RGW answers in the same way if a cap is missing and if there is no such key."""
        answer = self._require(
            self._send("GET", {"access-key": key_id}),
            single_line(
                f"read users. Give its user the caps users=read,write, and check that the key {key_id:.100} exists"
            ),
        )
        tenant, user = answer.text("tenant"), answer.text("user_id")
        keys = answer.content.get("keys") if user else None
        if not isinstance(keys, list) or not all(map(_is_key, keys)):
            raise self._unknown()
        uid = f"{tenant}${user}" if tenant else user
        return _User(uid, {key["access_key"]: key for key in keys if key["user"] == uid})

    def create(self, uid: str, key_id: str) -> IssuedKey:
        """Create a key. For an id that exists already, RGW would replace its secret."""
        answer = self._change("PUT", {"uid": uid, "access-key": key_id, "generate-key": "true"})
        for key in answer.content if isinstance(answer.content, list) else ():
            if _is_key(key) and key["access_key"] == key_id and key["user"] == uid and key["secret_key"]:
                return IssuedKey({"accessKey": key_id, "secretKey": key["secret_key"]}, key_id)
        raise self._unknown()

    def delete(self, uid: str, key_id: str) -> None:
        if self._change("DELETE", {"uid": uid, "access-key": key_id}).raw:
            raise self._unknown()

    def _change(self, method: str, query: Mapping[str, str]) -> Answer:
        answer = self._send(method, {**query, "key": "", "key-type": "s3"})
        return self._require(answer, "change keys. Give its user the caps users=read,write")

    def _send(self, method: str, query: Mapping[str, str]) -> Answer:
        key, secret = self._pair
        parameters = sorted({**query, "format": "json"}.items())
        encoded = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters)
        request = Request(method, self._http.host, _PATH, encoded)
        headers = sign_aws(request, key, secret, self._region, "s3", now())
        return self._http.send(method, request.target, headers)

    def _require(self, answer: Answer, right: str) -> Answer:
        if answer.status == 403 and answer.text("Code") != "AccessDenied":
            self._http.require_clock(answer)
            raise IssuerError("refused", f"RGW ({self._http.host}) does not accept the key (HTTP status 403)")
        return self._http.require(answer, right)

    def _unknown(self) -> IssuerError:
        return IssuerError("unreachable", f"RGW ({self._http.host}) does not answer like this provider")


class Ceph(Issuer):
    """The keys of one user. The id of a new key contains the mark.

    Options: ``sign_in`` (``given``: the key ``access_key`` with ``secret_key`` of an administrator), ``propagation``,
    ``endpoint_url`` of the Admin Ops API, ``ca_bundle``. A key is tried at the endpoint of the credential.
    """

    drivers = ISSUERS["ceph"].drivers
    fields = ISSUERS["ceph"].fields
    disables = False
    marks = True
    recorded_options = _RECORDED

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._options = check_options("ceph", options, _RECORDED, _SIGN_IN)
        self.propagation = float(parse_duration_option(self._options, "propagation", "0s"))

    def key_id(self, values: Values) -> str:
        return _pair(values)[0]

    def rate_key(self, by: Values) -> str | None:
        return by.get("defaultEndpoint")

    def keys(self, by: Values) -> list[Key]:
        _api, user = self._begin(by)
        return [
            Key(key_id, key.get("active") is not False, mark=match[1] if (match := _ISSUED.fullmatch(key_id)) else None)
            for key_id, key in user.keys.items()
        ]

    def issue(self, by: Values, mark: str) -> IssuedKey:
        api, user = self._begin(by)
        return api.create(user.uid, f"{mark}.{secrets.token_hex(8)}")

    def verify(self, values: Values, by: Values) -> None:
        """Sign in, and compare the user with that of the key in ``by``, if that exists.

        A user may be allowed to write to the bucket only, so ``forbidden`` is the answer to a valid key.
        """
        api = self._api(by, values)
        try:
            verify_store({**by, **values}, {"ca_bundle": self._options.get("ca_bundle")}, api.until)
        except IssuerError as error:
            if error.code != "forbidden":
                raise
        key, current = self.key_id(values), self.key_id(by)
        if key == current:
            return
        user = api.find(key)
        if key not in user.keys or (current not in user.keys and self._exists(api, current)):
            raise IssuerError("invalid", single_line(f"the key {key:.100} is not of the user of {current:.100}"))

    def delete(self, key_id: str, by: Values) -> None:
        api, user = self._begin(by)
        if key_id not in user.keys:
            raise IssuerError(
                "invalid",
                single_line(f"the key {key_id:.100} does not exist, or is not a key of the user {user.uid:.100}"),
            )
        api.delete(user.uid, key_id)

    def _exists(self, api: _Api, key_id: str) -> bool:
        """Whether a key exists; the identity is known to be allowed to read users."""
        try:
            api.find(key_id)
        except IssuerError as error:
            if error.code != "forbidden":
                raise
            return False
        return True

    def _begin(self, by: Values) -> tuple[_Api, _User]:
        """Return the API, and the user of the key in ``by``."""
        current, api = self.key_id(by), self._api(by, by)
        user = api.find(current)
        if current not in user.keys:
            raise IssuerError(
                "unsupported",
                single_line(
                    f"the key {current:.100} is of a subuser of {user.uid:.100}, and a new key would have all rights "
                    "of the user. Store a key of a user in the credential"
                ),
            )
        return api, user

    def _api(self, by: Values, rotating: Values) -> _Api:
        """Return the API for the identity that manages the keys; ``rotating`` is the key that manages itself."""
        pair = _pair(rotating)
        if self._options["sign_in"] == "given":
            pair = [str(self._options[name]) for name in _SIGN_IN["given"]]
        return _Api(by, self._options, pair)


def _pair(values: Values) -> Pair:
    return require_fields(values, "accessKey", "secretKey")


def _is_key(key: t.Any) -> bool:
    names = ("user", "access_key", "secret_key")
    return isinstance(key, Mapping) and all(isinstance(key.get(name), str) for name in names)
