# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The options of cloud_credential_rotation and cloud_credential_rotation_info, and what they ask for.

PRIVATE to the collection.
"""

from __future__ import annotations

import importlib
import re
import typing as t
from collections.abc import Mapping

from ..._common.errors import RanchhandError
from ..._rancher.cloud_credential import CloudCredential
from ...issuer import Issuer
from ..._common.times import Time
from ..store import decoded_values

ISSUERS = {"aws": ("aws", "Aws"), "kubernetes": ("kubernetes", "Kubernetes"), "openstack": ("openstack", "OpenStack"), "supplied": ("supplied", "Supplied")}
FULL_ISSUER_NAME = re.compile(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*")


def load_issuer(name: str, options: Mapping[str, t.Any]) -> Issuer:
    """An issuer by its name, ours or another collection's. Raises RanchhandError."""
    if name in ISSUERS:
        module, title = ISSUERS[name]
        return getattr(importlib.import_module(f"{__package__}.{module}"), title)(options)
    namespace, collection, short = name.split(".")
    path = f"ansible_collections.{namespace}.{collection}.plugins.plugin_utils.{short}"
    try:
        title = importlib.import_module(path).Issuer
    except (ImportError, AttributeError) as error:
        raise RanchhandError("invalid", f"the issuer {name} cannot be loaded: there is no class Issuer in {path} ({type(error).__name__})") from None
    return title(options)


ISSUER_BY_DRIVER = {"amazonec2": "aws", "s3": "aws", "harvester": "kubernetes", "openstack": "openstack"}


def issuer_for(driver: str | None) -> Issuer | None:
    """The issuer that a driver's keys come from, as it is without options; None where only the playbook has them."""
    name = ISSUER_BY_DRIVER.get(driver or "")
    return load_issuer(name, {}) if name else None


def key_created_at(issuer: Issuer, credential: CloudCredential) -> Time | None:
    """When the key in use was made, as its cloud says; None where it does not. Raises IssuerError."""
    if not issuer.lists:
        return None
    values = decoded_values(credential)
    mine = issuer.key_id(values)
    return next((key.created_at for key in issuer.keys(values) if key.id == mine), None)
