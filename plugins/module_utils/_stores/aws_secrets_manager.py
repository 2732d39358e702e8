# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A secret in AWS Secrets Manager, with a JSON object as its value.

A new version is stored with the staging label AWSPENDING. Then AWSCURRENT is moved to it, from exactly the version that
was read.
"""

from __future__ import annotations

import time
import typing as t
from collections.abc import Mapping

from .._issuers.aws_requests import NoSuchEntity, Settings, Signer, create_session, own_signer, send
from ..issuer import CALL_TIMEOUT, IssuerError
from .interface import StoreChanged, StoreContent
from .json_object import merge_fields, parse_object

_CURRENT, _PENDING = "AWSCURRENT", "AWSPENDING"


class SecretsManager:
    """See SecretStore."""

    def __init__(self, settings: Mapping[str, t.Any], secrets: Mapping[str, t.Any]) -> None:
        self._settings = settings
        self._secrets = secrets
        self._id = settings["secret_id"]
        self._client = Settings(
            settings.get("profile"), settings["region"], settings.get("endpoint_url"), settings.get("ca_bundle"))

    def read(self) -> StoreContent:
        until = time.monotonic() + CALL_TIMEOUT
        try:
            described = self._send(until, "DescribeSecret")
        except NoSuchEntity:
            raise self._problem("does not exist. Create it, so that its encryption and its policy are yours") from None
        if described.get("RotationEnabled"):
            raise self._problem("is rotated by Secrets Manager. End that, or use another secret")
        if described.get("DeletedDate"):
            raise self._problem("is scheduled for deletion. Restore it")
        versions = described.get("VersionIdsToStages") or {}
        current = next((version for version, labels in versions.items() if _CURRENT in labels), "")
        if not current:
            return StoreContent(None)
        fields = parse_object(self._send(until, "GetSecretValue", VersionId=current).get("SecretString") or "")
        if fields is None:
            raise self._problem("does not contain a JSON object, so it is not overwritten")
        return StoreContent(fields, current)

    def write(self, fields: Mapping[str, str], content: StoreContent, request_id: str) -> None:
        until = time.monotonic() + CALL_TIMEOUT
        self._send(
            until,
            "PutSecretValue",
            ClientRequestToken=request_id,
            SecretString=merge_fields(content, fields),
            VersionStages=[_PENDING],
        )
        if not content.version:  # AWS attaches AWSCURRENT to the first version by itself
            return
        try:
            self._send(
                until,
                "UpdateSecretVersionStage",
                VersionStage=_CURRENT,
                MoveToVersionId=request_id,
                RemoveFromVersionId=content.version,
            )
        except IssuerError as error:
            if error.code == "invalid" and self.read().version != content.version:
                raise StoreChanged from None
            raise

    def _send(self, until: float, operation: str, **parameters: t.Any) -> t.Any:
        try:
            return send(self._signer(), self._client, until, operation, SecretId=self._id, **parameters)
        except NoSuchEntity:
            raise
        except IssuerError as error:
            raise IssuerError(error.code, f"external store {self._settings['name']}: {error.message}") from None

    def _signer(self) -> Signer:
        if self._secrets.get("access_key"):
            return Signer(
                self._secrets["access_key"], self._secrets["secret_key"], self._secrets.get("session_token"))
        return own_signer(lambda: create_session(self._settings.get("profile")).get_credentials())

    def _problem(self, what: str) -> IssuerError:
        return IssuerError("invalid", f"external store {self._settings['name']}: the secret {self._id} {what}")
