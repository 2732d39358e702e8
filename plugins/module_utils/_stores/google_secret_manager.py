# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A secret in Google Secret Manager, with a JSON object as its value.

A write has no precondition: it adds a version, with the next number, which is the latest. So the latest version is read
again right before, and the number of the new version shows whether another client has added a version meanwhile.
"""

from __future__ import annotations

import base64
import re
import typing as t
from collections.abc import Mapping

from .._common.errors import RanchhandError
from .._issuers.google import LOGIN_URL, access_token, error_status, parse_key
from .._issuers.http import Answer, HttpApi
from ..issuer import IssuerError
from .interface import StoreChanged, StoreContent
from .json_object import merge_fields, parse_object

_URL = "https://secretmanager.googleapis.com"
_PROJECT = re.compile(r"[a-z0-9.:-]{1,100}", re.ASCII)
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)
_VERSION = re.compile(r"projects/[^/]+/secrets/[^/]+/versions/([1-9][0-9]{0,17})", re.ASCII)


class SecretManager:
    """See SecretStore. The version is the number of a version."""

    def __init__(self, settings: Mapping[str, t.Any], secrets: Mapping[str, t.Any]) -> None:
        self._settings = settings
        self._name = f"external store {settings['name']}"
        if not _PROJECT.fullmatch(settings["project_id"]) or not _SECRET.fullmatch(settings["secret_id"]):
            raise IssuerError("invalid", f"{self._name}: project_id or secret_id is malformed")
        self._path = f"/v1/projects/{settings['project_id']}/secrets/{settings['secret_id']}"
        try:
            self._key = parse_key(secrets["credentials"], "credentials")
        except IssuerError as error:
            raise IssuerError(error.code, f"{self._name}: {error.message}") from None

    def read(self) -> StoreContent:
        return self._read(*self._sign_in())

    def write(self, fields: Mapping[str, str], content: StoreContent, request_id: str) -> None:
        api, headers = self._sign_in()
        if self._read(api, headers).version != content.version:
            raise StoreChanged
        data = base64.b64encode(merge_fields(content, fields).encode()).decode()
        answer = api.send("POST", f"{self._path}:addVersion", headers, body={"payload": {"data": data}})
        if answer.status == 400:
            raise self._problem("cannot be written (HTTP status 400). A value has at most 64 KiB")
        number = self._number(api.require(answer, self._right("add a version of")))
        other = int(content.version or 0) + 1
        if number != other:
            raise RanchhandError("conflict", (
                f"{self._name}: another client added version {other} of the secret {self._path[4:]} at the same time, "
                f"and version {number} with the key replaced it. Compare the two versions, and run the task again."))

    def _read(self, api: HttpApi, headers: Mapping[str, str]) -> StoreContent:
        """Return the latest version. Only reads by number are consistent, so versions after ``latest`` are read too."""
        found, number = None, 0
        answer = self._access(api, headers, "latest")
        if answer.status == 404:
            answer = self._access(api, headers, "1")
        while answer.status != 404:
            found, former = answer, number
            number = self._number(answer)
            if number <= former:
                raise self._unlike()
            answer = self._access(api, headers, str(number + 1))
        if found is None:
            return self._absent(api, headers)
        payload = found.content.get("payload")
        try:
            fields = parse_object(base64.b64decode(payload["data"], validate=True))
        except (ValueError, TypeError, LookupError):
            raise self._unlike() from None
        if fields is None:
            raise self._problem("does not contain a JSON object, so it is not overwritten")
        return StoreContent(fields, str(number))

    def _access(self, api: HttpApi, headers: Mapping[str, str], version: str) -> Answer:
        """Return the answer with the value of a version, or that there is no such version (404)."""
        answer = api.send("GET", f"{self._path}/versions/{version}:access", headers)
        if error_status(answer) == "FAILED_PRECONDITION":
            raise self._problem(
                "has a latest version that is disabled or destroyed, or whose KMS key is. Enable it, or add a version")
        return answer if answer.status == 404 else api.require(answer, self._right("access versions of"))

    def _absent(self, api: HttpApi, headers: Mapping[str, str]) -> StoreContent:
        """Return that a secret has no versions yet."""
        answer = api.send("GET", self._path, headers)
        if answer.status == 404:
            raise self._problem("does not exist. Create it, so that its replication and its policy are yours")
        api.require_member(api.require(answer, self._right("get")), "name")
        return StoreContent(None)

    def _number(self, answer: Answer) -> int:
        match = _VERSION.fullmatch(answer.text("name"))
        if match is None:
            raise self._unlike()
        return int(match[1])

    def _sign_in(self) -> tuple[HttpApi, dict[str, str]]:
        login = HttpApi("Google", LOGIN_URL, self._settings)
        try:
            token = access_token(self._key, login)
        except IssuerError as error:
            raise IssuerError(error.code, f"{self._name}: {error.message}") from None
        api = HttpApi(self._name, _URL, self._settings, until=login.until)
        return api, {"Authorization": f"Bearer {token}"}

    def _right(self, action: str) -> str:
        return f"{action} the secret {self._path[4:]}, or there is no such secret, or the API is not enabled"

    def _unlike(self) -> IssuerError:
        return IssuerError("unreachable", f"{self._name} does not answer like Secret Manager")

    def _problem(self, what: str) -> IssuerError:
        return IssuerError("invalid", f"{self._name}: the secret {self._path[4:]} {what}")
