# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A secret in Azure Key Vault, with a JSON object as its value.

A write has no precondition: it adds a version, which is the latest. So the latest version is read again right before,
and each version has a tag with the id of the request that added it.
"""

from __future__ import annotations

import re
import time
import typing as t
from collections.abc import Mapping

from .._issuers.azure import HOSTS, sign_in
from .._issuers.http import Answer, HttpApi
from ..issuer import IssuerError
from .interface import StoreChanged, StoreContent
from .json_object import merge_fields, parse_object

_API_VERSION = "api-version=7.4"
_REQUEST = "ranchhand-request"  # tag
_NAME = re.compile(r"[0-9A-Za-z-]{1,127}", re.ASCII)
_URL = re.compile(r"https://[0-9A-Za-z-]+\.([A-Za-z.]+)(:443)?/?", re.ASCII)


class KeyVault:
    """See SecretStore. The version is that of Key Vault."""

    def __init__(self, settings: Mapping[str, t.Any], secrets: Mapping[str, t.Any]) -> None:
        self._settings = settings
        self._signer = {
            "clientId": str(secrets["client_id"]), "clientSecret": str(secrets["client_secret"]),
            "environment": self._environment(settings["vault_url"]),
        }
        if not _NAME.fullmatch(settings["secret_name"]):
            raise self._problem("has an invalid name. Use at most 127 letters, digits and hyphens")

    def read(self) -> StoreContent:
        return self._parse(self._get(*self._sign_in()))

    def write(self, fields: Mapping[str, str], content: StoreContent, request_id: str) -> None:
        api, headers = self._sign_in()
        latest = self._get(api, headers)
        found = latest.content if latest else {}
        tags = found.get("tags") or {}
        if self._parse(latest).version != content.version:
            if tags.get(_REQUEST) == request_id:  # the reply to it was lost
                return
            raise StoreChanged
        answer = api.send("PUT", self._path("secrets"), headers, body={
            "value": merge_fields(content, fields),
            "contentType": found.get("contentType") or "application/json",
            "tags": {**tags, _REQUEST: request_id},
        })
        if answer.status == 409:  # it was deleted meanwhile
            raise StoreChanged
        if answer.status == 400:
            raise self._problem("cannot be written (HTTP status 400). A value has at most 25 kB, and a secret 15 tags")
        api.require(answer, self._right("set"))

    def _get(self, api: HttpApi, headers: Mapping[str, str]) -> Answer | None:
        """Return the latest version; None if there is no secret, and none that was deleted and keeps its name."""
        answer = api.send("GET", self._path("secrets"), headers)
        codes = _error_codes(answer)
        if "SecretDisabled" in codes:
            raise self._problem("is disabled. Enable its latest version")
        if answer.status != 404:
            api.require(answer, self._right("get"))
            api.require_member(answer, "value")
            return answer
        if "SecretNotFound" not in codes:
            raise self._problem("cannot exist: no key vault answers there. Correct vault_url")
        deleted = api.send("GET", self._path("deletedsecrets"), headers)
        if deleted.status != 404:
            api.require(deleted, self._right("get"))
            raise self._problem("was deleted. Recover it, or purge it so that it can be created")
        return None

    def _parse(self, answer: Answer | None) -> StoreContent:
        if answer is None:
            return StoreContent(None)
        version = answer.text("id").rpartition("/")[2]
        attributes, tags = answer.content.get("attributes"), answer.content.get("tags")
        if not version or not isinstance(attributes, Mapping) or not isinstance(tags or {}, Mapping):
            raise IssuerError(
                "unreachable", f"external store {self._settings['name']} does not answer like a key vault")
        expires = attributes.get("exp")
        if isinstance(expires, int) and expires <= time.time():
            raise self._problem("has expired. Set a later expiration of its latest version, or none")
        fields = parse_object(answer.text("value"))
        if fields is None:
            raise self._problem("does not contain a JSON object, so it is not overwritten")
        return StoreContent(fields, version)

    def _sign_in(self) -> tuple[HttpApi, dict[str, str]]:
        name = f"external store {self._settings['name']}"
        try:
            _hosts, login, token = sign_in(self._signer, self._settings, "vault")
        except IssuerError as error:
            raise IssuerError(error.code, f"{name}: {error.message}") from None
        api = HttpApi(name, self._settings["vault_url"], self._settings, until=login.until)
        return api, {"Authorization": f"Bearer {token}"}

    def _environment(self, url: str) -> str:
        """Return the environment of a vault. A token for key vaults is sent to no other host."""
        match = _URL.fullmatch(url)
        for environment, hosts in HOSTS.items():
            if match and match[1].lower() == hosts.vault:
                return environment
        raise IssuerError("invalid", (
            f"external store {self._settings['name']}: vault_url must be https://VAULT. followed by "
            f"{' or '.join(hosts.vault for hosts in HOSTS.values())}"))

    def _path(self, collection: str) -> str:
        return f"/{collection}/{self._settings['secret_name']}?{_API_VERSION}"

    def _right(self, permission: str) -> str:
        return f"{permission} the secret {self._settings['secret_name']}, or the firewall of the vault denies access"

    def _problem(self, what: str) -> IssuerError:
        name, secret = self._settings["name"], self._settings["secret_name"]
        return IssuerError("invalid", f"external store {name}: the secret {secret:.130} {what}")


def _error_codes(answer: Answer) -> list[str]:
    """Return the code of an error, and the more detailed ones inside."""
    error = answer.content.get("error") if isinstance(answer.content, Mapping) else None
    found = []
    while isinstance(error, Mapping):
        found.append(str(error.get("code")))
        error = error.get("innererror")
    return found
