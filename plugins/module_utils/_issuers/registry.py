# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The registry of issuers: which issuer is for which drivers, which fields it replaces, and where its class is."""

from __future__ import annotations

import importlib
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from .._common.errors import RanchhandError
from .._common.times import Time
from .._rancher.cloud_credential import CloudCredential, decode_values
from ..issuer import Issuer


@dataclass(frozen=True)
class IssuerEntry:
    """An issuer of this collection. The first one of a driver is its default; ``fields`` are those without options.

    ``disables`` is that of its class, which can be loaded only on the controller.
    """

    module: str
    class_name: str
    drivers: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    disables: bool = False


SUPPLIED = "supplied"
ISSUERS: Mapping[str, IssuerEntry] = {
    "alibaba": IssuerEntry("alibaba", "Alibaba", ("alibaba",), ("accessKeyId", "accessKeySecret"), True),
    "aws": IssuerEntry("aws", "Aws", ("amazonec2", "s3"), ("accessKey", "secretKey"), True),
    "azure": IssuerEntry("azure", "Azure", ("azure",), ("clientSecret",)),
    "ceph": IssuerEntry("ceph", "Ceph", ("s3",), ("accessKey", "secretKey")),
    "exoscale": IssuerEntry("exoscale", "Exoscale", ("exoscale",), ("apiKey", "apiSecretKey")),
    "google": IssuerEntry("google", "Google", ("google",), ("authEncodedJson",), True),
    "kubernetes": IssuerEntry("kubernetes", "Kubernetes", ("harvester",), ("kubeconfigContent",)),
    "harvester": IssuerEntry("harvester", "Harvester", ("harvester",), ("kubeconfigContent",)),
    "linode": IssuerEntry("linode", "Linode", ("linode",), ("token",)),
    "minio": IssuerEntry("minio", "Minio", ("s3",), ("accessKey", "secretKey")),
    "oci": IssuerEntry("oci", "Oci", ("oci",), ("fingerprint", "privateKeyContents")),
    "openstack": IssuerEntry("openstack", "OpenStack", ("openstack",), ("password",)),
    "otc": IssuerEntry("otc", "Otc", ("otc",), ("accessKey", "secretKey"), True),
    "outscale": IssuerEntry("outscale", "Outscale", ("outscale",), ("accessKey", "secretKey"), True),
    "pve": IssuerEntry("pve", "Pve", ("pve",), ("tokenId", "tokenSecret")),
    "spaces": IssuerEntry("spaces", "Spaces", ("s3",), ("accessKey", "secretKey")),
    SUPPLIED: IssuerEntry("supplied", "Supplied"),
    "vmwarevsphere": IssuerEntry("vmwarevsphere", "VmwareVsphere", ("vmwarevsphere",), ("password",)),
}
_FULL_NAME = re.compile(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*")


def is_issuer_name(name: str) -> bool:
    """Whether a name is that of an issuer here, or can be that of one in another collection."""
    return name in ISSUERS or _FULL_NAME.fullmatch(name) is not None


def load_issuer(name: str, options: Mapping[str, t.Any]) -> Issuer:
    """Create an issuer of this collection or of another one. Raises RanchhandError or IssuerError."""
    entry = ISSUERS.get(name)
    if entry:
        path, class_name = f"{__package__}.{entry.module}", entry.class_name
    else:
        namespace, collection, short = name.split(".")
        path, class_name = f"ansible_collections.{namespace}.{collection}.plugins.plugin_utils.{short}", "Issuer"
    try:
        issuer_class: type[Issuer] = getattr(importlib.import_module(path), class_name)
    except (ImportError, AttributeError) as error:
        if entry:
            raise
        raise RanchhandError(
            "invalid",
            (
                f"cannot load the issuer {name}: {path} has no class {class_name} ({type(error).__name__}). Install "
                "the collection that contains it."
            ),
        ) from None
    return issuer_class(options)


def default_issuer(driver: str | None) -> str | None:
    """Return the name of the issuer for a driver; None if only the playbook can supply its keys."""
    return next((name for name, entry in ISSUERS.items() if driver in entry.drivers), None)


def issuer_for(driver: str | None) -> Issuer | None:
    """Create the issuer for a driver, without options; None if only the playbook can supply its keys."""
    name = default_issuer(driver)
    return load_issuer(name, {}) if name else None


def key_created_at(issuer: Issuer, credential: CloudCredential) -> Time | None:
    """Return when the provider created the key of a credential; None if it does not report this. Raises IssuerError."""
    if not issuer.lists:
        return None
    values = decode_values(credential)
    key_id = issuer.identify(values, values)
    return next((key.created_at for key in issuer.keys(values) if key.id == key_id), None)
