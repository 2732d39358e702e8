# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a cloud credential is, and what to do so that it becomes what is wanted.

PRIVATE to the collection. Pure: neither Ansible nor a cluster is needed.
"""

from __future__ import annotations

import base64
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .annotations import CREATOR_ID, DESCRIPTION, DISPLAY_NAME
from .driver_schema import DriverSchemas
from .references import CREDENTIAL_NAMESPACE

CREDENTIAL_KIND = "cloud credential"

# Rancher's UI names some credential drivers otherwise than node drivers (dashboard shell/store/plugins.js driverMap).
UI_DRIVER_NAMES = {"amazonec2": "aws", "google": "gcp", "oci": "oracle"}

SECRET_LIMIT = 1024 * 1024  # bytes of all values of a Secret together (k8s.io/api core/v1 MaxSecretSize)


@dataclass(frozen=True)
class CloudCredential:
    """A cloud credential as it is stored.

    ``id`` is the metadata.name, ``data`` maps bare field names to base64 text, ``problem`` says why Rancher cannot make sense of it.
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
        """The decoded value of a field, "" where it is missing."""
        return base64.b64decode(self.data.get(name) or "").decode(errors="replace")


def parse_cloud_credential(secret: Mapping[str, t.Any]) -> CloudCredential | None:
    """A Secret as Rancher reads it; None if Rancher takes it for no credential.

    Only the keys decide: label, type and annotations do not (pkg/schemas/mapper/credentialmapper.go).
    """
    prefixes: dict[str, dict[str, str]] = {}
    for key, value in (secret.get("data") or {}).items():
        parts = key.split("-")
        if len(parts) == 2 and parts[0].endswith("Config"):
            prefixes.setdefault(parts[0], {})[parts[1]] = value or ""
    if not prefixes:
        return None
    metadata = secret["metadata"]
    annotations = metadata.get("annotations") or {}
    # Norman's own name for the key is <driver>credentialConfig; what else ends in Config it reads too, as of no driver that there is
    drivers = sorted(prefix[:-len("credentialConfig")] or prefix if prefix.endswith("credentialConfig") else prefix for prefix in prefixes)
    driver = drivers[0] if len(prefixes) == 1 and not drivers[0].endswith("Config") else None
    problem = None
    if len(prefixes) > 1:
        problem = f"has fields of several drivers ({', '.join(drivers)}), of which Rancher reads one at random"
    elif driver is None:
        problem = f"has its fields under {drivers[0]}, which is no driver's"
    elif not annotations.get(CREATOR_ID):
        problem = f"has no annotation {CREATOR_ID}, so that it belongs to nobody"
    return CloudCredential(
        id=metadata["name"], uid=metadata["uid"], resource_version=metadata["resourceVersion"],
        name=annotations.get(DISPLAY_NAME) or metadata["name"],
        driver=driver,
        owner=annotations.get(CREATOR_ID) or None, description=annotations.get(DESCRIPTION) or "",
        created_at=metadata.get("creationTimestamp"), labels=metadata.get("labels") or {}, annotations=annotations,
        data=next(iter(prefixes.values())) if driver else {},
        finalizers=tuple(metadata.get("finalizers") or ()), deleting=bool(metadata.get("deletionTimestamp")), problem=problem,
    )


def show_cloud_credential(credential: CloudCredential, schemas: DriverSchemas | None) -> dict[str, t.Any]:
    """What may be shown of a credential: values of fields that the driver's schema knows to be public, names of all others."""
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
    """The id of the token in a Harvester's kubeconfig."""
    if credential.driver != "harvester" or not credential.data.get("kubeconfigContent"):
        return None
    found = re.search(r"""["']?token["']?\s*:\s*["']?([^\s"',}]+)""", credential.text("kubeconfigContent"))
    return found.group(1).partition(":")[0] if found else None
