# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a node template is, and what to do so that it becomes what is wanted.

PRIVATE to the collection. Pure: neither Ansible nor a cluster is needed.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .annotations import CREATOR_ID
from .driver_schema import DriverSchemas
from .references import TEMPLATE_NAMESPACE

TEMPLATE_KIND = "node template"

# Option and field of spec, with the form of the value (pkg/apis/management.cattle.io/v3/machine_types.go).
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

# From 2.12 to 2.14 Rancher refuses to start while there is a node template (pkg/rancher/rancher.go), later it has none.
LAST_RANCHER_VERSION = (2, 11)


@dataclass(frozen=True)
class NodeTemplate:
    """A node template as it is stored; ``id`` is the metadata.name, ``config`` the top-level <driver>Config."""

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
    """A NodeTemplate as Rancher reads it (pkg/controllers/management/node/controller.go)."""
    metadata, spec = item["metadata"], item.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    driver = spec.get("driver") or None
    config = item.get(f"{driver}Config")
    credential = spec.get("cloudCredentialName") or ""
    problem = None
    if not driver:
        problem = "names no driver"
    elif not isinstance(config, Mapping):
        problem = f"has no {driver}Config, so that no machine can be made from it"
    elif credential and not config:
        problem = f"has an empty {driver}Config, so that its machines do not get the credential"
    elif not annotations.get(CREATOR_ID):
        problem = f"has no annotation {CREATOR_ID}, so that it belongs to nobody"
    return NodeTemplate(
        id=metadata["name"], uid=metadata["uid"], resource_version=metadata["resourceVersion"],
        name=spec.get("displayName") or metadata["name"], driver=driver, owner=annotations.get(CREATOR_ID) or None,
        description=spec.get("description") or "", created_at=metadata.get("creationTimestamp"), credential=credential,
        labels=metadata.get("labels") or {}, annotations=annotations, config=config if isinstance(config, Mapping) else {}, spec=spec,
        finalizers=tuple(metadata.get("finalizers") or ()), deleting=bool(metadata.get("deletionTimestamp")), problem=problem,
    )


def show_node_template(template: NodeTemplate, schemas: DriverSchemas | None) -> dict[str, t.Any]:
    """What may be shown of a node template: values of fields that the driver's schema knows to be public, names of all others."""
    fields = schemas.node_fields(template.driver) if schemas and template.driver else None
    public = {name for name in template.config if fields and name in fields and not fields[name].secret}
    return {
        "id": template.full_id, "name": template.name, "driver": template.driver, "owner": template.owner,
        "description": template.description, "cloud_credential": template.credential or None,
        "config": {name: template.config[name] for name in sorted(public)},
        "secret_fields": sorted(set(template.config) - public),
        **{
            option: template.spec[key] for option, (key, _form) in SPEC_OPTIONS.items()
            if option not in _SECRET_OPTIONS and template.spec.get(key) not in (None, "", {}, [])
        },
        "created_at": template.created_at,
    }
