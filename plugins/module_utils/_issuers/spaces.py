# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of access keys of DigitalOcean Spaces, in credentials of driver s3.

Sources: DigitalOcean's OpenAPI description, and its client godo for the answer to the request for one key. A Spaces key
cannot manage keys: an API token of the team does.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from urllib.parse import quote

from ..issuer import IssuedKey, Issuer, IssuerError, Key, Values
from .http import OPTIONS, Answer, HttpApi, read_time
from .options import check_options, parse_duration_option, require_fields
from .registry import ISSUERS
from .s3 import verify_store

_URL = "https://api.digitalocean.com"
_KEYS = "/v2/spaces/keys"
_PAGE = 200  # keys, the most that a page contains
_RECORDED = ("sign_in", "propagation", *OPTIONS)
_SIGN_IN: dict[str, tuple[str, ...]] = {"given": ("token",)}

Grants = t.Sequence[Mapping[str, str]]


class _Api:
    """The API for one call, signed in with the token."""

    def __init__(self, options: Mapping[str, t.Any]) -> None:
        self.http = HttpApi("DigitalOcean", _URL, options)
        self._headers = {"Authorization": f"Bearer {options['token']}"}

    def list(self) -> list[Key]:
        found: list[Key] = []
        page, total = 1, None
        while total is None or len(found) < total:
            answer = self._require(self._send("GET", f"?page={page}&per_page={_PAGE}"), "read")
            content = answer.content if isinstance(answer.content, Mapping) else {}
            keys, meta = content.get("keys"), content.get("meta")
            total = meta.get("total") if isinstance(meta, Mapping) else None
            if not isinstance(keys, list) or not all(map(_is_key, keys)) or not isinstance(total, int):
                raise self._unknown()
            found += map(_read_key, keys)
            if not keys and len(found) < total:
                raise self._unknown()
            page += 1
        return found

    def grants(self, key_id: str) -> Grants | None:
        """Return the grants of a key; None if it does not exist."""
        answer = self._send("GET", f"/{quote(key_id, safe='')}")
        if answer.status == 404:
            return None
        key = self._key(self._require(answer, "read"))
        grants = key.get("grants")
        if key["access_key"] != key_id or not isinstance(grants, list) or not all(map(_is_grant, grants)):
            raise self._unknown()
        return sorted(
            ({"bucket": grant["bucket"], "permission": grant["permission"]} for grant in grants),
            key=lambda grant: (grant["bucket"], grant["permission"]),
        )

    def create(self, name: str, grants: Grants) -> IssuedKey:
        answer = self._send("POST", "", {"name": name, "grants": grants})
        key = self._key(self._require(answer, "create_credentials"))
        secret = key.get("secret_key")
        if not isinstance(secret, str) or not secret:
            raise self._unknown()
        return IssuedKey({"accessKey": key["access_key"], "secretKey": secret}, key["access_key"])

    def delete(self, key_id: str) -> None:
        if self._require(self._send("DELETE", f"/{quote(key_id, safe='')}"), "delete").status != 204:
            raise self._unknown()

    def _key(self, answer: Answer) -> Mapping[str, t.Any]:
        key = answer.content.get("key") if isinstance(answer.content, Mapping) else None
        if not _is_key(key):
            raise self._unknown()
        return t.cast(Mapping[str, t.Any], key)

    def _send(self, method: str, path: str, body: t.Any = None) -> Answer:
        return self.http.send(method, _KEYS + path, self._headers, body=body)

    def _require(self, answer: Answer, scope: str) -> Answer:
        return self.http.require(answer, f"manage Spaces keys, which requires the scope spaces_key:{scope}")

    def _unknown(self) -> IssuerError:
        return IssuerError("unreachable", f"DigitalOcean ({self.http.host}) does not answer like this provider")


class Spaces(Issuer):
    """The access keys of a team; a new key has the grants of the current one.

    Options: ``sign_in`` (``given``: the API token ``token`` of the team), ``propagation``, ``endpoint_url``,
    ``ca_bundle``. A key is tried at the endpoint of the credential.
    """

    drivers = ISSUERS["spaces"].drivers
    fields = ISSUERS["spaces"].fields
    disables = False
    marks = True
    recorded_options = _RECORDED

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._options = check_options("spaces", options, _RECORDED, _SIGN_IN)
        self.propagation = float(parse_duration_option(self._options, "propagation", "5s"))

    def key_id(self, values: Values) -> str:
        key = require_fields(values, "accessKey", "secretKey")[0]
        if not key.isalnum():
            raise IssuerError("invalid", "accessKey contains characters that a Spaces key does not have")
        return key

    def keys(self, by: Values) -> list[Key]:
        """Return all keys of the team, as they have no owner. The current key must be one of them."""
        current, api = self.key_id(by), _Api(self._options)
        found = api.list()
        if all(key.id != current for key in found) and api.grants(current) is None:  # a list may lag behind
            raise _missing(current)
        return found

    def issue(self, by: Values, mark: str) -> IssuedKey:
        key, api = self.key_id(by), _Api(self._options)
        grants = api.grants(key)
        if grants is None:
            raise _missing(key)
        return api.create(mark, grants)

    def verify(self, values: Values, by: Values) -> None:
        """Sign in to the store, and compare the grants with those of the key in ``by`` if it exists.

        A key with grants for some buckets may not list all of them, so ``forbidden`` is the answer to a valid key.
        """
        api = _Api(self._options)
        try:
            verify_store({**by, **values}, {"ca_bundle": self._options.get("ca_bundle")}, api.http.until)
        except IssuerError as error:
            if error.code != "forbidden":
                raise
        key, current = self.key_id(values), self.key_id(by)
        grants = api.grants(key)
        if grants is None:
            raise _missing(key)
        expected = grants if key == current else api.grants(current)
        if expected not in (None, grants):
            raise IssuerError("invalid", f"the key {key:.60} has other grants than {current:.60}")

    def delete(self, key_id: str, by: Values) -> None:
        self.key_id(by)
        api = _Api(self._options)
        if api.grants(key_id) is None:
            raise _missing(key_id)
        api.delete(key_id)


def _is_key(key: t.Any) -> bool:
    return isinstance(key, Mapping) and isinstance(key.get("access_key"), str) and bool(key["access_key"])


def _read_key(key: Mapping[str, t.Any]) -> Key:
    return Key(key["access_key"], created_at=read_time(key.get("created_at")), mark=str(key.get("name") or "") or None)


def _is_grant(grant: t.Any) -> bool:
    return isinstance(grant, Mapping) and all(isinstance(grant.get(name), str) for name in ("bucket", "permission"))


def _missing(key: str) -> IssuerError:
    return IssuerError(
        "invalid", f"the key {key:.60} does not exist in the team of the token. Sign in with a token of the same team"
    )
