# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of API keys of Exoscale.

Sources: Exoscale's client egoscale, and exoscale/cli#716 for the message of a role's policy. ``GET /v2/zone`` succeeds
without a signature, so it verifies nothing.
"""

from __future__ import annotations

import json
import re
import time
import typing as t
from collections.abc import Mapping
from urllib.parse import quote

from ..issuer import IssuedKey, Issuer, IssuerError, Key, Values
from .http import OPTIONS, Answer, HttpApi
from .options import check_options, parse_duration_option, require_fields
from .registry import ISSUERS
from .signatures import Request, sign_exoscale

_ZONE = "ch-gva-2"
_LIFETIME = 120  # seconds in which a signature is valid
_RECORDED = ("sign_in", "zone", "propagation", *OPTIONS)
_SIGN_IN: dict[str, tuple[str, ...]] = {"rotating": (), "given": ("api_key", "api_secret")}


def verify_key(values: Values, options: Mapping[str, t.Any]) -> None:
    """List the instances of a zone, which the driver must be allowed to do."""
    _list_instances(_api(options), values)


def _list_instances(api: HttpApi, values: Values) -> None:
    _require_list(api, _require(api, _send(api, *_pair(values), "GET", "/instance"), "list instances"), "instances")


def _pair(values: Values) -> tuple[str, str]:
    if values.get("apiSecretKey") and not values.get("apiKey"):
        raise IssuerError(
            "unsupported",
            "the credential has no apiKey: until Rancher 2.12, it is in the machine config. Upgrade Rancher, or create "
            "another credential",
        )
    key, secret = require_fields(values, "apiKey", "apiSecretKey")
    return key, secret


def _api(options: Mapping[str, t.Any]) -> HttpApi:
    zone = str(options.get("zone") or _ZONE)
    if not re.fullmatch("[a-z]{2}-[a-z]{2,5}-[0-9]{1,2}", zone):
        raise IssuerError("invalid", f"the option zone must be a zone such as {_ZONE}")
    return HttpApi("Exoscale", f"https://api-{zone}.exoscale.com", options)


def _send(
    api: HttpApi, key: str, secret: str, method: str, path: str, payload: Mapping[str, t.Any] | None = None
) -> Answer:
    content = b"" if payload is None else json.dumps(payload).encode()
    request = Request(method, api.host, f"/v2{path}", content=content)
    headers = sign_exoscale(request, key, secret, int(time.time()) + _LIFETIME)
    return api.send(method, request.path, headers, body=content or None)


def _require(api: HttpApi, answer: Answer, right: str) -> Answer:
    if answer.status in (401, 403):
        api.require_clock(answer)
    if answer.status == 403 and "policy" not in answer.text("message"):
        # Not known to be the answer to a valid key.
        raise IssuerError("refused", f"{api.name} ({api.host}) does not accept the key (HTTP status 403)")
    return api.require(answer, right)


def _require_list(api: HttpApi, answer: Answer, name: str) -> list[Mapping[str, t.Any]]:
    """Return the objects of a list."""
    api.require_member(answer, name)
    found = answer.content[name]
    if not isinstance(found, list) or not all(isinstance(item, Mapping) for item in found):
        raise IssuerError("unreachable", f"{api.name} ({api.host}) does not answer like this provider")
    return found


class Exoscale(Issuer):
    """The API keys of an organization; a new key gets the role of the current one.

    Options: ``sign_in`` (``given``: the key ``api_key`` with ``api_secret``), ``zone`` whose API is used,
    ``propagation``, ``endpoint_url``, ``ca_bundle``.
    """

    drivers = ISSUERS["exoscale"].drivers
    fields = ISSUERS["exoscale"].fields
    disables = False
    marks = True
    recorded_options = _RECORDED

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._options = check_options("exoscale", options, _RECORDED, _SIGN_IN)
        self.propagation = float(parse_duration_option(self._options, "propagation", "10s"))

    def key_id(self, values: Values) -> str:
        return _pair(values)[0]

    def keys(self, by: Values) -> list[Key]:
        """Return all keys of the organization: they have no owner, and the role of a key may have been changed."""
        api = _api(self._options)
        answer = _require(api, self._send(api, by, "GET", "/api-key"), "list API keys (list-api-keys)")
        keys = _require_list(api, answer, "api-keys")
        return [Key(str(key.get("key")), mark=str(key.get("name") or "") or None) for key in keys]

    def issue(self, by: Values, mark: str) -> IssuedKey:
        api = _api(self._options)
        current = _pair(by)[0]
        role = self._role(api, by, current)
        if not role:
            raise IssuerError(
                "invalid", f"the key {current:.60} does not exist in the organization of the identity that signs in"
            )
        answer = self._send(api, by, "POST", "/api-key", {"name": mark, "role-id": role})
        issued = _require(api, answer, "create API keys (create-api-key)")
        key, secret = issued.text("key"), issued.text("secret")
        if not key or not secret:
            raise IssuerError("unreachable", f"{api.name} ({api.host}) did not return a new key")
        return IssuedKey({"apiKey": key, "apiSecretKey": secret}, key)

    def verify(self, values: Values, by: Values) -> None:
        """Sign in, and compare the role with that of the key in ``by`` if it exists."""
        api = _api(self._options)
        _list_instances(api, values)
        key, current = _pair(values)[0], _pair(by)[0]
        if key == current:
            return
        try:
            expected = self._role(api, by, current)
        except IssuerError as error:
            if error.code != "refused":
                raise
            return
        if expected and self._role(api, by, key) != expected:
            raise IssuerError("invalid", f"the key {key:.60} has another role than {current:.60}")

    def delete(self, key_id: str, by: Values) -> None:
        api = _api(self._options)
        answer = self._send(api, by, "DELETE", f"/api-key/{quote(key_id, safe='')}")
        if not _require(api, answer, "delete API keys (delete-api-key)").text("id"):
            raise IssuerError("unreachable", f"{api.name} ({api.host}) does not answer like this provider")

    def _role(self, api: HttpApi, by: Values, key: str) -> str:
        """Return the id of a key's role; "" if the key does not exist."""
        answer = self._send(api, by, "GET", f"/api-key/{quote(key, safe='')}")
        if answer.status == 404:
            return ""
        found = _require(api, answer, "read API keys (get-api-key)").text("role-id")
        if not found:
            raise IssuerError("unreachable", f"{api.name} ({api.host}) does not answer like this provider")
        return found

    def _send(
        self, api: HttpApi, by: Values, method: str, path: str, payload: Mapping[str, t.Any] | None = None
    ) -> Answer:
        """Send a request as the identity that manages the keys."""
        if self._options["sign_in"] == "rotating":
            return _send(api, *_pair(by), method, path, payload)
        return _send(api, str(self._options["api_key"]), str(self._options["api_secret"]), method, path, payload)
