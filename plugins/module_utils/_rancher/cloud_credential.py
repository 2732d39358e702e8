# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Cloud credentials as Rancher reads and writes them.

Pure.
"""

from __future__ import annotations

import base64
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .annotations import CREATOR_ID, DESCRIPTION, DISPLAY_NAME
from .driver_schema import DriverSchemas
from .metadata import stored_metadata
from .references import CREDENTIAL_NAMESPACE

CREDENTIAL_KIND = "cloud credential"  # in messages

# The drivers whose credentials have another name in Rancher's UI (dashboard shell/store/plugins.js driverMap).
UI_DRIVER_NAMES = {"amazonec2": "aws", "google": "gcp", "oci": "oracle"}

SECRET_LIMIT = 1024 * 1024  # bytes of all values of a Secret together (k8s.io/api core/v1 MaxSecretSize)
_SUFFIX = "credentialConfig"


@dataclass(frozen=True)
class CloudCredential:
    """A cloud credential as it is stored.

    ``id`` is the metadata.name. ``data`` maps bare field names to base64 text. ``problem`` is the reason if Rancher
    cannot use the credential, as the end of a sentence.
    """

    id: str
    uid: str
    resource_version: str
    name: str
    driver: str | None
    owner: str | None
    description: str
    created_at: str | None
    labels: Mapping[str, str] = field(repr=False)
    annotations: Mapping[str, str] = field(repr=False)
    data: Mapping[str, str] = field(repr=False)
    finalizers: tuple[str, ...] = ()
    deleting: bool = False
    problem: str | None = None

    @property
    def full_id(self) -> str:
        return f"{CREDENTIAL_NAMESPACE}:{self.id}"

    def text(self, name: str) -> str:
        """Return the decoded value of a field; "" if there is no such field."""
        return base64.b64decode(self.data.get(name) or "").decode(errors="replace")


def decode_values(credential: CloudCredential) -> dict[str, str]:
    return {name: credential.text(name) for name in credential.data}


def data_key(driver: str | None, name: str) -> str:
    """Return the key of a field in the data of a Secret."""
    return f"{driver}{_SUFFIX}-{name}"


def parse_cloud_credential(secret: Mapping[str, t.Any]) -> CloudCredential | None:
    """Parse a Secret as Rancher does; None if it is not a credential to Rancher.

    Only the keys of the data decide this, not label, type or annotations (pkg/schemas/mapper/credentialmapper.go).
    """
    fields = _fields_by_prefix(secret.get("data") or {})
    if not fields:
        return None
    metadata = secret["metadata"]
    annotations = metadata.get("annotations") or {}
    owner = annotations.get(CREATOR_ID) or None
    drivers = sorted(map(_driver_of, fields))
    driver = drivers[0] if len(fields) == 1 and not drivers[0].endswith("Config") else None
    return CloudCredential(
        id=metadata["name"], uid=metadata["uid"], resource_version=metadata["resourceVersion"],
        name=annotations.get(DISPLAY_NAME) or metadata["name"],
        driver=driver, owner=owner, description=annotations.get(DESCRIPTION) or "",
        created_at=metadata.get("creationTimestamp"), labels=metadata.get("labels") or {}, annotations=annotations,
        data=next(iter(fields.values())) if driver else {},
        finalizers=tuple(metadata.get("finalizers") or ()), deleting=bool(metadata.get("deletionTimestamp")),
        problem=_problem(drivers, driver, owner),
    )


def _fields_by_prefix(data: Mapping[str, str | None]) -> dict[str, dict[str, str]]:
    """Return the fields of a Secret's data by the prefix of their keys; other keys are ignored by Rancher."""
    fields: dict[str, dict[str, str]] = {}
    for key, value in data.items():
        parts = key.split("-")
        if len(parts) == 2 and parts[0].endswith("Config"):
            fields.setdefault(parts[0], {})[parts[1]] = value or ""
    return fields


def _driver_of(prefix: str) -> str:
    """Return the driver of a prefix; the prefix itself if it is not of the form <driver>credentialConfig."""
    return prefix[:-len(_SUFFIX)] or prefix if prefix.endswith(_SUFFIX) else prefix


def _problem(drivers: t.Sequence[str], driver: str | None, owner: str | None) -> str | None:
    if len(drivers) > 1:
        return f"has fields of several drivers ({', '.join(drivers)}), of which Rancher reads a random one"
    if driver is None:
        return f"has its fields under {drivers[0]}, which is not a driver"
    if owner is None:
        return f"has no annotation {CREATOR_ID} and therefore no owner"
    return None


def credential_secret(credential: CloudCredential) -> dict[str, t.Any]:
    """Return the Secret that parses to a credential, without what Rancher does not read."""
    return {
        "metadata": stored_metadata(credential, credential.id),
        "data": {data_key(credential.driver, name): value for name, value in credential.data.items()},
    }


def show_cloud_credential(credential: CloudCredential, schemas: DriverSchemas | None) -> dict[str, t.Any]:
    """Return what results show: the values of fields that are public in the driver's schema, and the names of all
    others.
    """
    fields = schemas.known_fields(credential.driver) if schemas and credential.driver else None
    public = [name for name in credential.data if fields and name in fields and not fields[name].secret]
    return {
        "id": credential.full_id, "name": credential.name, "driver": credential.driver, "owner": credential.owner,
        "description": credential.description,
        "config": {name: credential.text(name) for name in sorted(public)},
        "secret_fields": sorted(set(credential.data) - set(public)),
        "created_at": credential.created_at,
    }


def harvester_token_id(credential: CloudCredential) -> str | None:
    """Return the id of the token in the kubeconfig of a Harvester credential."""
    if credential.driver != "harvester" or not credential.data.get("kubeconfigContent"):
        return None
    match = re.search(r"""["']?token["']?\s*:\s*["']?([^\s"',}]+)""", credential.text("kubeconfigContent"))
    return match.group(1).partition(":")[0] if match else None
