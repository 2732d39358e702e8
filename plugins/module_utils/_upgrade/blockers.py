# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What blocks the upgrade to Rancher 2.12, in the order in which it can be deleted.

Pure. The pre-upgrade hook of the chart refuses RKE1 clusters, and node templates and cluster templates in all
namespaces (2.12 to 2.14). Rancher itself does not start while they exist (rancher/rancher pkg/rancher/rancher.go). Node
pools and nodes keep node templates in use, and their finalizers need the controllers of Rancher 2.11.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .._rancher.annotations import CREATOR_ID
from .._rancher.cloud_credential import CloudCredential
from .._rancher.references import Reference, ReferenceIndex
from .._rancher.users import Users

API_VERSION = "management.cattle.io/v3"
CLUSTER, POOL, NODE = "Cluster", "NodePool", "Node"
TEMPLATE, REVISION, NODE_TEMPLATE = "ClusterTemplate", "ClusterTemplateRevision", "NodeTemplate"
RESOURCES = {
    CLUSTER: "clusters", POOL: "nodepools", NODE: "nodes", REVISION: "clustertemplaterevisions",
    TEMPLATE: "clustertemplates", NODE_TEMPLATE: "nodetemplates",
}
# The step in which objects of a kind are deleted. Pools and nodes go with their cluster.
STEPS = {CLUSTER: 1, POOL: 1, NODE: 1, REVISION: 2, TEMPLATE: 2, NODE_TEMPLATE: 3}
# What the hook and the start of Rancher check. The other kinds only keep these in use.
CHECKED = (CLUSTER, TEMPLATE, NODE_TEMPLATE)
# The kinds that are gone after the upgrade.
_FORMER_USERS = ("NodeTemplate", "Node")


@dataclass(frozen=True)
class Blocker:
    """An object that blocks the upgrade, or keeps one in use. ``users`` are the names of the objects that use it."""

    kind: str
    namespace: str | None
    name: str
    display_name: str
    owner: str | None
    users: tuple[str, ...] = ()
    deleting: bool = False

    def show(self, users: Users) -> dict[str, t.Any]:
        user = users.get(self.owner)
        return {
            "kind": self.kind, "api_version": API_VERSION, "namespace": self.namespace, "name": self.name,
            "display_name": self.display_name, "owner": self.owner, "owner_name": user.username if user else None,
            "step": STEPS[self.kind], "checked": self.kind in CHECKED, "used_by": list(self.users),
            "deleting": self.deleting,
        }


def _spec(item: Mapping[str, t.Any]) -> Mapping[str, t.Any]:
    spec = item.get("spec")
    return spec if isinstance(spec, Mapping) else {}


def is_rke1(cluster: Mapping[str, t.Any]) -> bool:
    """Return whether a cluster of management.cattle.io is an RKE1 cluster."""
    return bool(_spec(cluster).get("rancherKubernetesEngineConfig"))


def has_node_template(node: Mapping[str, t.Any]) -> bool:
    """Return whether a node was created from a node template."""
    status = node.get("status")
    return isinstance(status, Mapping) and bool(status.get("nodeTemplateSpec"))


def find_blockers(objects: Mapping[str, Sequence[Mapping[str, t.Any]]]) -> list[Blocker]:
    """Return what blocks the upgrade, in the order of deletion.

    Args:
        objects: all objects by kind; of clusters and nodes, only those that count.
    """
    users = _users(objects)
    found = []
    for kind in (CLUSTER, POOL, NODE, REVISION, TEMPLATE, NODE_TEMPLATE):
        for item in objects.get(kind, ()):
            metadata = item["metadata"]
            namespace = metadata.get("namespace")
            key = (kind, f"{namespace}:{metadata['name']}")
            name = _spec(item).get("displayName")
            found.append(Blocker(
                kind, namespace, metadata["name"], name if isinstance(name, str) and name else metadata["name"],
                (metadata.get("annotations") or {}).get(CREATOR_ID), tuple(sorted(users.get(key, ()))),
                bool(metadata.get("deletionTimestamp")),
            ))
    return sorted(found, key=lambda item: (STEPS[item.kind], item.kind != REVISION, item.kind, item.display_name))


# The fields that refer to a template, by the kind of the object, with the kind of the template.
_REFERENCES = (
    (CLUSTER, "clusterTemplateName", TEMPLATE), (CLUSTER, "clusterTemplateRevisionName", REVISION),
    (POOL, "nodeTemplateName", NODE_TEMPLATE), (NODE, "nodeTemplateName", NODE_TEMPLATE),
    (REVISION, "clusterTemplateName", TEMPLATE),
)


def _users(objects: Mapping[str, Sequence[Mapping[str, t.Any]]]) -> dict[tuple[str, str], set[str]]:
    """Return the users of each template, by kind and ``namespace:name``."""
    users: dict[tuple[str, str], set[str]] = {}
    for kind, field, target in _REFERENCES:
        for item in objects.get(kind, ()):
            value = _spec(item).get(field)
            if isinstance(value, str) and value:
                metadata = item["metadata"]
                namespace = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
                users.setdefault((target, value), set()).add(f"{kind} {namespace}{metadata['name']}")
    return users


def unused_templates(blockers: Sequence[Blocker]) -> list[Blocker]:
    """Return the templates that can be deleted now, in the order of deletion.

    A revision uses its cluster template only until the revision is deleted.
    """
    deleted: set[str] = set()
    result = []
    for item in blockers:
        if item.kind in (REVISION, TEMPLATE, NODE_TEMPLATE) and not item.deleting and set(item.users) <= deleted:
            deleted.add(f"{item.kind} {item.namespace}/{item.name}")
            result.append(item)
    return result


def freed_credentials(
    credentials: t.Iterable[CloudCredential], index: ReferenceIndex,
) -> list[tuple[CloudCredential, tuple[Reference, ...]]]:
    """Return the credentials that only node templates and their nodes use, with these references."""
    result = []
    for credential in credentials:
        references = index.needed_by(credential)
        if references and all(
            item.kind in _FORMER_USERS and item.api_version == API_VERSION for item in references
        ):
            result.append((credential, references))
    return sorted(result, key=lambda item: (item[0].name, item[0].id))
