# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of API tokens of Proxmox VE, for the node driver ``pve``.

Sources: the API description and the permission checks of pve-access-control. An API token is not its user: it may
manage the tokens of its user only with User.Modify.
"""

from __future__ import annotations

import datetime
import re
import secrets
import typing as t
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from .._common.times import UTC, now
from ..issuer import IssuedKey, Issuer, IssuerError, Key, Values
from .http import OPTIONS, Answer, HttpApi
from .options import check_options, is_true, parse_duration_option, require_fields
from .registry import ISSUERS

_TOKEN_ID = re.compile(r"([^\s:/!]+@[A-Za-z][A-Za-z0-9.\-_]+)!([A-Za-z][A-Za-z0-9.\-_]+)", re.ASCII)
_RECORDED = ("sign_in", "expiration", "propagation", "validate_certs", *OPTIONS)
_SIGN_IN: dict[str, tuple[str, ...]] = {"rotating": (), "given": ("token_id", "token_secret")}


def verify_token(values: Values, options: Mapping[str, t.Any]) -> None:
    """Read the version, which needs no right."""
    _sign_in(_Api(values, options), *require_fields(values, "tokenId", "tokenSecret"))


def _sign_in(api: _Api, token_id: str, secret: str) -> None:
    answer = api.send("GET", "/version", token_id, secret)
    api.http.require_member(api.http.require(answer, "read the version"), "data")
    _require_type(api, answer.content["data"], Mapping)


class _Api:
    """The API at the URL of a credential, for one call."""

    def __init__(self, values: Values, options: Mapping[str, t.Any]) -> None:
        url, = require_fields(values, "url")
        validate = options.get("validate_certs", not is_true(values.get("insecureTls")))
        self.http = HttpApi(
            "Proxmox VE", url.rstrip("/").removesuffix("/api2/json"), options, validate is not False,
            url.startswith("http://"),
        )

    def send(
        self, method: str, path: str, token_id: str, secret: str, payload: Mapping[str, t.Any] | None = None
    ) -> Answer:
        headers = {"Authorization": f"PVEAPIToken={token_id}={secret}"}
        return self.http.send(method, f"/api2/json{path}", headers, body=payload)


def _require_type(api: _Api, data: t.Any, expected: type) -> None:
    if not isinstance(data, expected):
        raise IssuerError("unreachable", f"Proxmox VE ({api.http.host}) does not answer like this provider")


class Pve(Issuer):
    """The API tokens of one user.

    Options: ``sign_in`` (``given``: the token ``token_id`` with ``token_secret`` manages the tokens of the user),
    ``expiration`` of new tokens, ``propagation``, ``endpoint_url``, ``ca_bundle``, ``validate_certs``.
    """

    drivers = ISSUERS["pve"].drivers
    fields = ISSUERS["pve"].fields
    disables = False
    marks = True
    recorded_options = _RECORDED

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._options = check_options("pve", options, _RECORDED, _SIGN_IN)
        self.propagation = float(parse_duration_option(self._options, "propagation", "0s"))
        self._expiration = 0
        if "expiration" in self._options:
            self._expiration = parse_duration_option(self._options, "expiration", "90d", 600)

    def key_id(self, values: Values) -> str:
        return "!".join(_parse(values))

    def rate_key(self, by: Values) -> str | None:
        return by.get("url")

    def keys(self, by: Values) -> list[Key]:
        user, _name = _parse(by)
        found = []
        right = "read the tokens of its user. Allow it User.Modify"
        for token in self._list(_Api(by, self._options), by, f"{_user_path(user)}/token", right):
            expires = _number(token.get("expire"))
            found.append(
                Key(
                    f"{user}!{token.get('tokenid')}",
                    expires_at=datetime.datetime.fromtimestamp(expires, UTC) if expires else None,
                    mark=_text(token.get("comment")),
                )
            )
        return found

    def issue(self, by: Values, mark: str) -> IssuedKey:
        """Create a token with the privileges of the current one.

        The name has a random end, as the name of a token whose secret was lost is in use until it is deleted.
        """
        user, current = _parse(by)
        right = "manage the tokens of its user. Allow it User.Modify"
        path = f"{_user_path(user)}/token"
        api = _Api(by, self._options)
        separated = _is_set(self._read(api, by, f"{path}/{quote(current)}", right).get("privsep", 1))
        entries = list(self._entries(api, by, f"{user}!{current}")) if separated else []
        if separated and not entries:
            raise IssuerError(
                "forbidden",
                f"the token {user}!{current} has separated privileges (privsep), but none of its ACL entries can be "
                "read. Set sign_in: given with a token that has Permissions.Modify, or use a token without privsep",
            )
        name = f"{mark}-{secrets.token_hex(3)}"
        expires = int(now().timestamp()) + self._expiration if self._expiration else 0
        payload = {"comment": mark, "expire": expires, "privsep": int(separated)}
        issued = self._data(api, self._request(api, by, "POST", f"{path}/{quote(name)}", payload), right)
        if not isinstance(issued, Mapping) or not _text(issued.get("value")):
            raise IssuerError("unreachable", f"Proxmox VE ({api.http.host}) did not return the secret of a new token")
        for entry in entries:
            self._grant(api, by, f"{user}!{name}", entry)
        return IssuedKey(
            {"tokenId": f"{user}!{name}", "tokenSecret": str(issued["value"])}, f"{user}!{name}",
            datetime.datetime.fromtimestamp(expires, UTC) if expires else None,
        )

    def verify(self, values: Values, by: Values) -> None:
        """Sign in, and compare the effective permissions with those of the token in ``by``."""
        user, name = _parse(values)
        owner, current = _parse(by)
        if user != owner:
            raise IssuerError("invalid", f"the token {user}!{name} does not belong to {owner}")
        api = _Api(by, self._options)
        _sign_in(api, f"{user}!{name}", values.get("tokenSecret", ""))
        if name == current:
            return
        granted = self._permissions(api, values)
        try:
            expected = self._permissions(api, by)
        except IssuerError as error:
            if error.code != "refused":
                raise
            return
        missing = sorted(f"{privilege} on {path}" for path, privilege in expected - granted)
        if missing:
            raise IssuerError(
                "forbidden", f"the token {user}!{name} has not all privileges of {current}; it lacks {missing[0]:.200}"
            )

    def delete(self, key_id: str, by: Values) -> None:
        self._delete(_Api(by, self._options), key_id, by)

    def _delete(self, api: _Api, key_id: str, by: Values) -> None:
        user, name = _parse({"tokenId": key_id})
        owner, _current = _parse(by)
        if user != owner:
            raise IssuerError("invalid", f"the token {key_id} does not belong to {owner}")
        answer = self._request(api, by, "DELETE", f"{_user_path(user)}/token/{quote(name)}")
        _require_type(api, self._data(api, answer, "delete tokens of its user. Allow it User.Modify"), type(None))

    def _permissions(self, api: _Api, values: Values) -> set[tuple[str, str]]:
        """Return the paths and privileges of a token, which it may always read."""
        token_id, secret = require_fields(values, "tokenId", "tokenSecret")
        answer = api.send("GET", "/access/permissions", token_id, secret)
        data = self._data(api, answer, "read its own permissions")
        _require_type(api, data, Mapping)
        return {(str(path), str(name)) for path, names in data.items() if isinstance(names, Mapping) for name in names}

    def _entries(self, api: _Api, by: Values, token_id: str) -> Iterator[dict[str, t.Any]]:
        """Return the ACL entries of a token; an identity without Permissions.Modify sees none."""
        for entry in self._list(api, by, "/access/acl", "read the access control list"):
            if entry.get("type") == "token" and entry.get("ugid") == token_id:
                yield {
                    "path": str(entry.get("path")), "roles": str(entry.get("roleid")),
                    "propagate": int(_is_set(entry.get("propagate", 1))),
                }

    def _grant(self, api: _Api, by: Values, token_id: str, entry: Mapping[str, t.Any]) -> None:
        """Give the new token a role of the old one; if this fails, the token is deleted as long as this is possible."""
        try:
            answer = self._request(api, by, "PUT", "/access/acl", {**entry, "tokens": token_id})
            self._data(api, answer, "change the access control list. Allow it Permissions.Modify")
        except IssuerError as error:
            try:
                self._delete(api, token_id, by)
            except IssuerError:
                raise IssuerError(
                    "unreachable", f"{error.message}. The new token {token_id} without its roles could not be deleted"
                ) from None
            raise

    def _list(self, api: _Api, by: Values, path: str, right: str) -> list[Mapping[str, t.Any]]:
        data = self._data(api, self._request(api, by, "GET", path), right)
        _require_type(api, data, list)
        for item in data:
            _require_type(api, item, Mapping)
        return t.cast("list[Mapping[str, t.Any]]", data)

    def _read(self, api: _Api, by: Values, path: str, right: str) -> Mapping[str, t.Any]:
        data = self._data(api, self._request(api, by, "GET", path), right)
        _require_type(api, data, Mapping)
        return t.cast("Mapping[str, t.Any]", data)

    def _request(
        self, api: _Api, by: Values, method: str, path: str, payload: Mapping[str, t.Any] | None = None
    ) -> Answer:
        """Send a request as the identity that manages the tokens."""
        if self._options["sign_in"] == "given":
            return api.send(method, path, self._options["token_id"], self._options["token_secret"], payload)
        token_id, secret = require_fields(by, "tokenId", "tokenSecret")
        return api.send(method, path, token_id, secret, payload)

    def _data(self, api: _Api, answer: Answer, right: str) -> t.Any:
        api.http.require_member(api.http.require(answer, right), "data")
        return answer.content["data"]


def _parse(values: Values) -> tuple[str, str]:
    """Return the user and the name of a token."""
    match = _TOKEN_ID.fullmatch(values.get("tokenId", ""))
    if not match:
        raise IssuerError("invalid", "tokenId of the credential must be like USER@REALM!NAME")
    return match.group(1), match.group(2)


def _user_path(user: str) -> str:
    return f"/access/users/{quote(user, safe='')}"


def _text(value: t.Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: t.Any) -> int:
    return int(value) if isinstance(value, (int, str)) and re.fullmatch("[0-9]{1,11}", str(value)) else 0


def _is_set(value: t.Any) -> bool:
    return str(value) in ("1", "True")
