# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Who refers to which cloud credential: one table of places, one index.

PRIVATE to the collection. Pure: knows neither Ansible nor how objects are fetched.
"""

from __future__ import annotations

import typing as t
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

NAMESPACE = "cattle-global-data"




@dataclass(frozen=True)
class Place:
    """A field of a kind that may name a credential.

    ``resource`` None stands for every resource of the group whose kind ends in ``kind``. In ``field``, ``[]`` walks a list.
    """

    group: str
    version: str
    resource: str | None
    kind: str
    field: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}"


def _places() -> t.Iterator[Place]:
    management = ("management.cattle.io", "v3")
    yield Place(*management, "nodetemplates", "NodeTemplate", "spec.cloudCredentialName")
    provisioning = ("provisioning.cattle.io", "v1", "clusters", "Cluster")
    yield Place(*provisioning, "spec.cloudCredentialSecretName")
    yield Place(*provisioning, "spec.rkeConfig.machinePools[].cloudCredentialSecretName")
    yield Place(*provisioning, "spec.rkeConfig.etcd.s3.cloudCredentialName")


TABLE = tuple(_places())


@dataclass(frozen=True)
class Reference:
    """One field of one object that names a credential."""

    kind: str
    api_version: str
    namespace: str | None
    name: str
    field: str

    def show(self) -> dict[str, t.Any]:
        return {"kind": self.kind, "api_version": self.api_version, "namespace": self.namespace, "name": self.name, "field": self.field}

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place} ({self.field})"


def target(value: t.Any, namespace: str | None) -> str | None:
    """The credential's metadata.name that a reference stands for.

    Rancher reads ``anything:name`` and ``anything/name`` as ``name`` in cattle-global-data and a bare name as a Secret of the
    referring object's own namespace (pkg/controllers/capr/machineprovision/args.go, pkg/httpproxy/sign_utils.go).
    """
    if not isinstance(value, str) or not value:
        return None
    for separator in (":", "/"):
        if separator in value:
            return value.rpartition(separator)[2] or None
    return value if namespace == NAMESPACE else None


def values_at(item: t.Any, path: t.Sequence[str]) -> t.Iterator[t.Any]:
    """All values at a path, whose steps are keys; a key ending in [] walks a list."""
    for position, step in enumerate(path):
        if step.endswith("[]"):
            elements = item.get(step[:-2]) if isinstance(item, Mapping) else None
            for element in elements if isinstance(elements, list) else ():
                yield from values_at(element, path[position + 1:])
            return
        item = item.get(step) if isinstance(item, Mapping) else None
    if item is not None:
        yield item


class Index:
    """All references of a cluster by the credential they name.

    ``unlisted`` are the resources that could not be listed, as ``resource.group``: while there are any, a missing reference
    proves nothing.
    """

    def __init__(self, unlisted: t.Iterable[str] = ()) -> None:
        self.unlisted = tuple(sorted(set(unlisted)))
        self._by_credential: dict[str, list[Reference]] = defaultdict(list)

    def add(self, places: t.Sequence[Place], kind: str, item: Mapping[str, t.Any]) -> None:
        """Index one object, which the given places of its kind are looked up in."""
        metadata = item["metadata"]
        namespace = metadata.get("namespace")
        for place in places:
            for value in values_at(item, place.field.split(".")):
                name = target(value, namespace)
                if name:
                    self._by_credential[name].append(Reference(kind, place.api_version, namespace, metadata["name"], place.field))

    def to(self, credential_id: str) -> tuple[Reference, ...]:
        """The references to the credential with this metadata.name."""
        return tuple(sorted(self._by_credential.get(credential_id, ()), key=str))
