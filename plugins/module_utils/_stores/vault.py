# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A secret in the KV secrets engine, version 2, of HashiCorp Vault or OpenBao.

Each write names the version that it replaces (check-and-set).
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from urllib.parse import quote

from .._issuers.http import Answer, HttpApi
from ..issuer import IssuerError
from .interface import StoreChanged, StoreContent

_MISMATCH = "check-and-set parameter did not match the current version"  # sdk/logical/response_util.go passes it on


class Vault:
    """See SecretStore."""

    def __init__(self, settings: Mapping[str, t.Any], secrets: Mapping[str, t.Any]) -> None:
        self._settings = settings
        self._headers = {"X-Vault-Token": str(secrets["token"]), "X-Vault-Request": "true"}
        if settings.get("namespace"):
            self._headers["X-Vault-Namespace"] = settings["namespace"]
        mount = settings.get("mount", "secret").strip("/")
        self._path = f"/v1/{quote(mount)}/data/{quote(settings['path'].strip('/'))}"
        self._place = f"{mount}/{settings['path']}"

    def read(self) -> StoreContent:
        answer = self._send("GET")
        if answer.status == 404:
            return self._absent(answer)
        self._require(answer, "read")
        found = _mapping(_mapping(answer.content).get("data"))
        version = _mapping(found.get("metadata")).get("version")
        if not isinstance(version, int) or not isinstance(found.get("data"), Mapping):
            raise self._problem("invalid", "is not in a secrets engine of type KV, version 2. Correct mount and path")
        return StoreContent(found["data"], str(version))

    def write(self, fields: Mapping[str, str], content: StoreContent, request_id: str) -> None:
        body = {"options": {"cas": int(content.version or 0)}, "data": {**(content.fields or {}), **fields}}
        answer = self._send("POST", body)
        if answer.status == 400 and _MISMATCH in str(_mapping(answer.content).get("errors")):
            raise StoreChanged
        self._require(answer, "written")

    def _send(self, method: str, body: t.Any = None) -> Answer:
        api = HttpApi(f"external store {self._settings['name']}", self._settings["url"], self._settings)
        return api.send(method, self._path, self._headers, body=body)

    def _absent(self, answer: Answer) -> StoreContent:
        """Return that there is no secret, which a 404 does not always mean."""
        content = _mapping(answer.content)
        version = _mapping(_mapping(content.get("data")).get("metadata")).get("version")
        if isinstance(version, int):
            raise self._problem("invalid", (
                f"was deleted: its latest version is {version}. Restore the version, or delete the metadata of the "
                "secret so that it can be created"))
        if content.get("errors") != []:
            raise self._problem("invalid", "cannot exist: Vault has no secrets engine there. Correct url and mount")
        return StoreContent(None)

    def _require(self, answer: Answer, what: str) -> None:
        status = answer.status
        if status in (200, 204):
            return
        if status in (401, 403):
            raise self._problem("forbidden", f"may not be {what} with this token (HTTP status {status})")
        if status == 429:
            raise self._problem("busy", f"cannot be {what}: Vault limits the rate of requests")
        if status >= 500 or status == 412:  # sealed, a standby, or a replica that is behind
            raise self._problem("unreachable", f"cannot be {what} now (HTTP status {status})")
        raise self._problem("invalid", f"cannot be {what} (HTTP status {status}). Correct mount and path")

    def _problem(self, code: str, what: str) -> IssuerError:
        return IssuerError(code, f"external store {self._settings['name']}: the secret {self._place} {what}")


def _mapping(value: t.Any) -> Mapping[str, t.Any]:
    return value if isinstance(value, Mapping) else {}
