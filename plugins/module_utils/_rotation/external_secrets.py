# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""External Secrets Operator, which writes credentials from a store in intervals, or when it is requested to."""

from __future__ import annotations

import typing as t

from .._common.errors import ApiError
from .._common.times import format_time, now
from .._kubernetes.client import KubernetesClient, name_in_path
from .._rancher.references import CREDENTIAL_NAMESPACE

_VERSIONS = ("v1", "v1beta1")


def request_refresh(client: KubernetesClient, names: t.Collection[str]) -> None:
    """Annotate the ExternalSecrets that write Secrets with these names, so that they are written now.

    Any change of an annotation does this (external-secrets.io, FAQ). Raises RanchhandError.
    """
    for version in _VERSIONS:
        path = f"/apis/external-secrets.io/{version}/namespaces/{CREDENTIAL_NAMESPACE}/externalsecrets"
        try:
            found = client.list_objects(path)
        except ApiError as error:
            if error.status != 404:
                raise
            continue
        for item in found:
            metadata, target = item["metadata"], (item.get("spec") or {}).get("target") or {}
            if (target.get("name") or metadata["name"]) in names:
                changed = {name: metadata[name] for name in ("uid", "resourceVersion")}
                annotations = {"force-sync": format_time(now())}
                client.patch(
                    f"{path}/{name_in_path(metadata['name'])}", {"metadata": {**changed, "annotations": annotations}})
        return
