# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The module upgrade_info."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from .._common.errors import ApiError, RanchhandError
from .._kubernetes.client import KubernetesClient
from .._kubernetes.connection import CONNECTION
from .._rancher.queries import (
    MANAGEMENT_PATH,
    list_cloud_credentials,
    read_references,
    read_server_version,
    read_users,
    served_kinds,
)
from .._runtime.execute import Connect, RunMode
from .blockers import (
    CHECKED,
    CLUSTER,
    NODE,
    RESOURCES,
    find_blockers,
    freed_credentials,
    has_node_template,
    is_rke1,
    unused_templates,
)

UPGRADE_INFO = CONNECTION


def report_blockers(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """Report what blocks the upgrade to Rancher 2.12."""
    client = connect()
    kinds = served_kinds(client, "management.cattle.io", "v3")
    if "clusters" not in kinds:
        raise RanchhandError("unsupported", f"{client.host} is not the management cluster of a Rancher")
    version, users, credentials, index, *found = client.parallel_reads(
        lambda: read_server_version(client), lambda: read_users(client), lambda: list_cloud_credentials(client),
        lambda: read_references(client),
        *(lambda kind=kind: _read(client, kind) if RESOURCES[kind] in kinds else [] for kind in RESOURCES),
    )
    blockers = find_blockers(dict(zip(RESOURCES, found)))
    shown = [item.show(users) for item in blockers]
    unused = [(item.kind, item.namespace, item.name) for item in unused_templates(blockers)]
    for row in shown:
        row["unused"] = (row["kind"], row["namespace"], row["name"]) in unused
    return {
        "changed": False, "version": version, "blockers": shown,
        "blocked": any(item.kind in CHECKED for item in blockers),
        "freed_credentials": [
            {
                "id": credential.full_id, "name": credential.name, "driver": credential.driver,
                "owner": credential.owner, "references": [reference.show() for reference in references],
            }
            for credential, references in freed_credentials(credentials, index)
        ],
        "references_incomplete": list(index.unlisted),
    }


def _read(client: KubernetesClient, kind: str) -> list[Mapping[str, t.Any]]:
    """List the objects of a kind in all namespaces; a kind that may not be listed is an error, not an empty list."""
    keep = {CLUSTER: is_rke1, NODE: has_node_template}.get(kind, lambda item: True)

    def read(item: Mapping[str, t.Any]) -> t.Iterator[Mapping[str, t.Any]]:
        if keep(item):
            spec = item.get("spec") or {}
            names = ("displayName", "clusterTemplateName", "clusterTemplateRevisionName", "nodeTemplateName")
            yield {"metadata": item["metadata"], "spec": {name: spec.get(name) for name in names}}

    try:
        return client.read_collection(f"{MANAGEMENT_PATH}/{RESOURCES[kind]}", read)
    except ApiError as error:
        if error.status != 404:
            raise
        return []
