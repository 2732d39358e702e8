# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A Secret in another Kubernetes cluster, and a cloud credential of another Rancher."""

from __future__ import annotations

import base64
import binascii
import typing as t
from collections.abc import Mapping

from .._common.errors import ApiError, RanchhandError
from .._common.options import parse_options
from .._common.text import base64_encode
from .._common.times import format_time, now
from .._kubernetes.client import KubernetesClient, name_in_path
from .._kubernetes.connection import CONNECTION, connection_options
from .._rancher.annotations import COPY_OF_ROTATION, ROTATED_AT, ROTATED_FIELDS
from .._rancher.cloud_credential import CloudCredential, data_key, decode_values, parse_cloud_credential
from .._rancher.references import CREDENTIAL_NAMESPACE
from ..issuer import CALL_TIMEOUT, IssuerError
from .interface import StoreChanged, StoreContent

_CODES = {"unsupported": "unsupported", "unreachable": "unreachable", "forbidden": "forbidden"}


class KubernetesSecret:
    """See SecretStore. The version is the uid and the resourceVersion of the Secret."""

    def __init__(self, settings: Mapping[str, t.Any], secrets: Mapping[str, t.Any]) -> None:
        self._settings = settings
        connection = secrets.get("connection", secrets)
        if not isinstance(connection, Mapping):
            raise IssuerError("invalid", f"external store {settings['name']}: connection must be a mapping")
        self._connection = {"context": settings.get("context"), **connection}
        self._collection = f"/api/v1/namespaces/{name_in_path(settings['namespace'])}/secrets"
        self._path = f"{self._collection}/{name_in_path(settings['secret_name'])}"

    def read(self) -> StoreContent:
        try:
            secret = self._connect().get(self._path)
            return self._parse(secret)
        except ApiError as error:
            if error.status == 404 and error.reason == "NotFound":
                return self._missing()
            raise self._problem(error, "read") from None
        except RanchhandError as error:
            raise self._problem(error, "read") from None
        except (LookupError, TypeError, AttributeError):
            raise IssuerError(
                "unreachable", f"external store {self._settings['name']} does not answer like a Kubernetes API server"
            ) from None

    def _parse(self, secret: Mapping[str, t.Any]) -> StoreContent:
        metadata, data = secret["metadata"], secret.get("data") or {}
        version = f"{metadata['uid']} {metadata['resourceVersion']}"
        return StoreContent({name: _decoded(text) for name, text in data.items()}, version)

    def _missing(self) -> StoreContent:
        return StoreContent(None)

    def write(self, fields: Mapping[str, str], content: StoreContent, request_id: str) -> None:
        self._write({name: base64_encode(text) for name, text in fields.items()}, {}, content)

    def _write(self, data: Mapping[str, str], annotations: Mapping[str, str], content: StoreContent) -> None:
        client = self._connect()
        try:
            if content.fields is None:
                created = {
                    "name": self._settings["secret_name"],
                    "labels": {"app.kubernetes.io/managed-by": "ranchhand.rancher"},
                }
                client.post(self._collection, {
                    "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": created, "data": data})
            else:
                uid, _space, version = content.version.partition(" ")
                metadata = {"uid": uid, "resourceVersion": version, "annotations": annotations}
                client.patch(self._path, {"metadata": metadata, "data": data})
        except ApiError as error:
            if error.status == 409 or error.status == 404 and content.fields is not None:
                raise StoreChanged from None
            raise self._problem(error, "written") from None
        except RanchhandError as error:
            raise self._problem(error, "written") from None

    def _connect(self, patience: float | None = CALL_TIMEOUT - 1) -> KubernetesClient:
        try:
            # The environment selects the cluster of Rancher.
            options = connection_options(parse_options(CONNECTION, {**self._connection, "use_environment": False}))
            return KubernetesClient(options, patience)
        except RanchhandError as error:
            raise self._problem(error, "read") from None

    def _problem(self, error: RanchhandError, what: str) -> IssuerError:
        """Return the error without the API server's text, as webhooks and proxies may quote the request."""
        status = error.status if isinstance(error, ApiError) else 0
        code = {401: "forbidden", 429: "busy"}.get(status, _CODES.get(error.code, "invalid"))
        place = f"Secret {self._settings['namespace']}/{self._settings['secret_name']}"
        reason = f"HTTP status {status}" if status else error.message
        return IssuerError(
            "unreachable" if status >= 500 else code,
            f"external store {self._settings['name']}: {place} cannot be {what} ({reason})",
        )


class RancherCredential(KubernetesSecret):
    """A cloud credential of another Rancher that has the same key. It is never created.

    It gets the annotations of a rotation, so that the other Rancher neither rotates nor declares these fields. The
    version also contains the driver.
    """

    def open(self) -> tuple[KubernetesClient, CloudCredential]:
        """Return a client without a limit of time, and the credential as it is now."""
        client = self._connect(patience=None)
        try:
            credential = parse_cloud_credential(client.get(self._path))
        except RanchhandError as error:
            raise self._problem(error, "read") from None
        return client, credential or self._missing()

    def claim(self, leader: str, content: StoreContent) -> None:
        """Write which Rancher rotates the key to the version that was read. Raises StoreChanged."""
        version, _space, _driver = content.version.rpartition(" ")
        self._write({}, {COPY_OF_ROTATION: leader}, StoreContent(content.fields, version))

    def __init__(self, settings: Mapping[str, t.Any], secrets: Mapping[str, t.Any]) -> None:
        place = {"namespace": CREDENTIAL_NAMESPACE, "secret_name": settings["credential_id"]}
        super().__init__({**settings, **place}, secrets)

    def write(self, fields: Mapping[str, str], content: StoreContent, request_id: str) -> None:
        version, _space, driver = content.version.rpartition(" ")
        data = {data_key(driver, name): base64_encode(text) for name, text in fields.items()}
        annotations = {
            ROTATED_AT: format_time(now()),
            ROTATED_FIELDS: ",".join(sorted(fields)),
        }
        self._write(data, annotations, StoreContent(content.fields, version))

    def _parse(self, secret: Mapping[str, t.Any]) -> StoreContent:
        credential = parse_cloud_credential(secret)
        if credential is None or credential.driver is None or credential.deleting:
            return self._missing()
        version = f"{credential.uid} {credential.resource_version} {credential.driver}"
        return StoreContent(decode_values(credential), version, credential.annotations.get(COPY_OF_ROTATION))

    def _missing(self) -> t.NoReturn:
        raise IssuerError("invalid", (
            f"external store {self._settings['name']}: {CREDENTIAL_NAMESPACE}:{self._settings['credential_id']} of the "
            "other Rancher is no cloud credential, or is being deleted. If it was deleted, remove the store from "
            "external_stores"
        ))


def _decoded(text: t.Any) -> t.Any:
    """Return the text of a value; the value as it is if it is no text."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError, TypeError):
        return text
