# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Node templates as Rancher reads and writes them.

Pure.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .annotations import CREATOR_ID
from .driver_schema import DriverSchemas
from .metadata import stored_metadata
from .references import TEMPLATE_NAMESPACE

TEMPLATE_KIND = "node template"  # in messages

# For each option: the field of spec and the form of its value (pkg/apis/management.cattle.io/v3/machine_types.go).
SPEC_OPTIONS = {
    "auth_certificate_authority": ("authCertificateAuthority", "text"),
    "auth_key": ("authKey", "text"),
    "docker_version": ("dockerVersion", "text"),
    "engine_env": ("engineEnv", "map"),
    "engine_insecure_registry": ("engineInsecureRegistry", "list"),
    "engine_install_url": ("engineInstallURL", "text"),
    "engine_label": ("engineLabel", "map"),
    "engine_opt": ("engineOpt", "map"),
    "engine_registry_mirror": ("engineRegistryMirror", "list"),
    "engine_storage_driver": ("engineStorageDriver", "text"),
    "log_opt": ("logOpt", "map"),
    "node_taints": ("nodeTaints", "list"),
    "storage_opt": ("storageOpt", "map"),
    "use_internal_ip_address": ("useInternalIpAddress", "flag"),
}
_SECRET_OPTIONS = ("auth_key",)

# Rancher 2.12 to 2.14 does not start while a node template exists (pkg/rancher/rancher.go); newer ones do not have the
# kind.
LAST_RANCHER_VERSION = (2, 11)


@dataclass(frozen=True)
class NodeTemplate:
    """A node template as it is stored.

    ``id`` is the metadata.name, ``config`` the top-level <driver>Config. ``problem`` is the reason if Rancher cannot
    use the template, as the end of a sentence.
    """

    id: str
    uid: str
    resource_version: str
    name: str
    driver: str | None
    owner: str | None
    description: str
    created_at: str | None
    credential: str
    labels: Mapping[str, str] = field(repr=False)
    annotations: Mapping[str, str] = field(repr=False)
    config: Mapping[str, t.Any] = field(repr=False)
    spec: Mapping[str, t.Any] = field(repr=False)
    finalizers: tuple[str, ...] = ()
    deleting: bool = False
    problem: str | None = None

    @property
    def full_id(self) -> str:
        return f"{TEMPLATE_NAMESPACE}:{self.id}"


def parse_node_template(item: Mapping[str, t.Any]) -> NodeTemplate:
    """Parse a NodeTemplate as Rancher does (pkg/controllers/management/node/controller.go).

    The API server does not validate the fields, as the kind has no schema: an owner can store any type in them.
    """
    metadata, spec = item["metadata"], item.get("spec") or {}
    malformed = "spec" if not isinstance(spec, Mapping) else _malformed_option(spec)
    if not isinstance(spec, Mapping):
        spec = {}
    texts = {name: spec.get(name) or "" for name in ("driver", "displayName", "description", "cloudCredentialName")}
    for name, value in texts.items():
        if not isinstance(value, str):
            malformed = malformed or f"spec.{name}"
            texts[name] = ""
    annotations = metadata.get("annotations") or {}
    driver = texts["driver"] or None
    owner = annotations.get(CREATOR_ID) or None
    config = item.get(f"{driver}Config")
    credential = texts["cloudCredentialName"]
    return NodeTemplate(
        id=metadata["name"], uid=metadata["uid"], resource_version=metadata["resourceVersion"],
        name=texts["displayName"] or metadata["name"], driver=driver, owner=owner,
        description=texts["description"], created_at=metadata.get("creationTimestamp"), credential=credential,
        labels=metadata.get("labels") or {}, annotations=annotations,
        config=config if isinstance(config, Mapping) else {}, spec=spec,
        finalizers=tuple(metadata.get("finalizers") or ()), deleting=bool(metadata.get("deletionTimestamp")),
        problem=f"has a field {malformed} of the wrong type" if malformed else
        _problem(driver, config, credential, owner),
    )


_TYPES: Mapping[str, type] = {"text": str, "map": dict, "list": list, "flag": bool}


def _malformed_option(spec: Mapping[str, t.Any]) -> str | None:
    """Return the first field of an option whose value has another type than Rancher's."""
    return next((
        f"spec.{key}" for key, form in SPEC_OPTIONS.values()
        if spec.get(key) is not None and not isinstance(spec[key], _TYPES[form])
    ), None)


def _problem(driver: str | None, config: t.Any, credential: str, owner: str | None) -> str | None:
    if not driver:
        return "has no driver"
    if not isinstance(config, Mapping):
        return f"has no {driver}Config, so Rancher cannot create machines from it"
    if credential and not config:
        return f"has an empty {driver}Config, so Rancher does not pass the cloud credential to its machines"
    if owner is None:
        return f"has no annotation {CREATOR_ID} and therefore no owner"
    return None


def node_template_object(template: NodeTemplate) -> dict[str, t.Any]:
    """Return the NodeTemplate object that parses to a node template, without what Rancher does not read."""
    return {
        "metadata": stored_metadata(template, template.id),
        "spec": dict(template.spec), f"{template.driver}Config": dict(template.config),
    }


def show_node_template(template: NodeTemplate, schemas: DriverSchemas | None) -> dict[str, t.Any]:
    """Return what results show: the values of fields that are public in the driver's schema, and the names of all
    others.
    """
    fields = schemas.node_fields(template.driver) if schemas and template.driver else None
    public = {name for name in template.config if fields and name in fields and not fields[name].secret}
    options = {
        option: template.spec.get(key) for option, (key, form) in SPEC_OPTIONS.items()
        if option not in _SECRET_OPTIONS and isinstance(template.spec.get(key), _TYPES[form])
    }
    return {
        "id": template.full_id, "name": template.name, "driver": template.driver, "owner": template.owner,
        "description": template.description, "cloud_credential": template.credential or None,
        "config": {name: template.config[name] for name in sorted(public)},
        "secret_fields": sorted(set(template.config) - public),
        **{option: value for option, value in options.items() if value not in (None, "", {}, [])},
        "created_at": template.created_at,
    }
