# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of personal access tokens of Linode.

A token belongs to the user who creates it. Rancher does not store its id; the API shows its first 16 characters.
"""

from __future__ import annotations

import datetime
import re
import typing as t
from collections.abc import Mapping

from .._common.times import format_time, now
from ..issuer import IssuedKey, Issuer, IssuerError, Key, Values
from .http import OPTIONS, Answer, HttpApi, read_time
from .options import check_options, parse_duration_option, require_fields
from .registry import ISSUERS

_URL = "https://api.linode.com"
_TOKENS = "/v4/profile/tokens"
_INSTANCES = "/v4/linode/instances?page_size=25"
_SHOWN = 16  # characters
_RECORDED = ("sign_in", "scopes", "expiration", "propagation", *OPTIONS)
_SIGN_IN: dict[str, tuple[str, ...]] = {"rotating": (), "given": ("token",)}


def verify_token(values: Values, options: Mapping[str, t.Any]) -> None:
    """Require ``linodes:read_only``, which Rancher needs; public requests would succeed with any token."""
    token, = require_fields(values, "token")
    _list_instances(_Api(options, token))


class _Api:
    """The API for one call, signed in with a token."""

    def __init__(self, options: Mapping[str, t.Any], token: str, until: float | None = None) -> None:
        self.http = HttpApi("Linode", _URL, options, until=until)
        self._headers = {"Authorization": f"Bearer {token}"}

    def send(self, method: str, path: str, body: t.Any = None) -> Answer:
        return self.http.send(method, path, self._headers, body=body)

    def require(self, answer: Answer, right: str) -> Answer:
        return self.http.require(answer, f"{right}, which requires account:read_write")


def _list_instances(api: _Api) -> Answer:
    answer = api.http.require(api.send("GET", _INSTANCES), "list instances")
    api.http.require_member(answer, "data")
    if not isinstance(answer.content["data"], list):
        raise IssuerError("unreachable", f"Linode ({api.http.host}) does not answer with a list of instances")
    return answer


class Linode(Issuer):
    """The personal access tokens of a user.

    Options: ``sign_in`` with another ``token`` of the same user, if it is ``given``; ``scopes`` and ``expiration`` of
    new tokens, ``propagation``, ``endpoint_url``, ``ca_bundle``.
    """

    drivers = ISSUERS["linode"].drivers
    fields = ISSUERS["linode"].fields
    disables = False
    marks = True
    recorded_options = _RECORDED

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._options = check_options("linode", options, _RECORDED, _SIGN_IN)
        self.propagation = float(parse_duration_option(self._options, "propagation", "0s"))
        self._expiration = None
        if "expiration" in self._options:
            self._expiration = parse_duration_option(self._options, "expiration", "365d", 3600)

    def key_id(self, values: Values) -> None:
        return None

    def identify(self, values: Values, by: Values) -> str | None:
        found = _find(_list(self._api(by)), values)
        return str(found["id"]) if found else None

    def keys(self, by: Values) -> list[Key]:
        return [_read_key(entry) for entry in _list(self._api(by))]

    def issue(self, by: Values, mark: str) -> IssuedKey:
        """Create a token with the scopes of the current one; without scopes, it would have those of the signer."""
        api = self._api(by)
        current = _find(_list(api), by)
        if current is None:
            raise IssuerError(
                "invalid", "the token in the credential is not one of the user who signs in, and Linode creates tokens "
                           "for this user only. Sign in with a token of the same user",
            )
        scopes = str(self._options.get("scopes") or current.get("scopes") or "")
        if not scopes:
            raise IssuerError("invalid", "Linode does not show the scopes of the current token. Set scopes")
        wanted = {"label": mark, "scopes": scopes}
        expires = now() + datetime.timedelta(seconds=self._expiration) if self._expiration else None
        if expires:
            wanted["expiry"] = format_time(expires).rstrip("Z")
        answer = api.require(api.send("POST", _TOKENS, wanted), "create a token")
        token = answer.text("token")
        if not token or not _is_token(answer.content):
            raise IssuerError("unreachable", f"Linode ({api.http.host}) does not answer with a token")
        return IssuedKey({"token": token}, str(answer.content["id"]), _read_time(answer.content, "expiry"))

    def verify(self, values: Values, by: Values) -> None:
        token, = require_fields(values, "token")
        api = _Api(self._options, token)
        account = _list_instances(api).headers.get("X-Customer-UUID")
        current = by.get("token")
        if current and token != current and account:
            try:
                other = _list_instances(_Api(self._options, current, api.http.until)).headers.get("X-Customer-UUID")
            except IssuerError as error:
                if error.code not in ("refused", "forbidden"):
                    raise
                return
            if other and account != other:
                raise IssuerError("invalid", "the new token belongs to another account than the current one")

    def delete(self, key_id: str, by: Values) -> None:
        api = self._api(by)
        answer = api.send("DELETE", f"{_TOKENS}/{key_id}") if re.fullmatch("[0-9]{1,20}", key_id) else None
        if answer is None or answer.status == 404:
            raise IssuerError(
                "invalid", f"the token {key_id:.100} does not exist, or is not one of the user who signs in"
            )
        if api.require(answer, "delete tokens").content != {}:  # a portal answers any request
            raise IssuerError("unreachable", f"Linode ({api.http.host}) does not confirm the deletion")

    def _api(self, by: Values) -> _Api:
        token, = require_fields(by, "token")
        return _Api(self._options, str(self._options.get("token") or token))


def _list(api: _Api) -> list[Mapping[str, t.Any]]:
    found: list[Mapping[str, t.Any]] = []
    page, pages = 1, 1
    while page <= pages:
        answer = api.require(api.send("GET", f"{_TOKENS}?page={page}&page_size=500"), "list tokens")
        api.http.require_member(answer, "data")
        entries, pages = answer.content["data"], answer.content.get("pages", 1)
        if not isinstance(entries, list) or not all(map(_is_token, entries)) or not isinstance(pages, int):
            raise IssuerError("unreachable", f"Linode ({api.http.host}) does not answer with a list of tokens")
        found += entries
        page += 1
    return found


def _find(entries: t.Sequence[Mapping[str, t.Any]], values: Values) -> Mapping[str, t.Any] | None:
    """Return the entry of a token by its first characters; None if it is not listed, or not the only one."""
    token, = require_fields(values, "token")
    shown = token[:_SHOWN]
    found = [entry for entry in entries if len(shown) == _SHOWN and str(entry.get("token"))[:_SHOWN] == shown]
    return found[0] if len(found) == 1 else None


def _is_token(entry: t.Any) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("id"), int)


def _read_key(entry: Mapping[str, t.Any]) -> Key:
    label = entry.get("label")
    return Key(
        str(entry["id"]), created_at=_read_time(entry, "created"), expires_at=_read_time(entry, "expiry"),
        mark=label if isinstance(label, str) else None,
    )


def _read_time(entry: Mapping[str, t.Any], name: str) -> datetime.datetime | None:
    """Return a time, which is in UTC and has no zone."""
    return read_time(f"{entry.get(name)}Z")
