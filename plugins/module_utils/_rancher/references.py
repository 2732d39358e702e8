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

from .annotations import TURTLES_IDENTITY

CREDENTIAL_NAMESPACE = "cattle-global-data"
TEMPLATE_NAMESPACE = "cattle-global-nt"

# Turtles' word for a provider, by driver where it is another one (turtles internal/sync/secret_mapper_sync.go).
TURTLES_PROVIDERS = {"amazonec2": "aws", "google": "gcp", "vmwarevsphere": "vsphere"}


@dataclass(frozen=True)
class ReferenceField:
    """A field of a kind that may name a cloud credential (or a node template, in TEMPLATE_PLACES).

    ``resource`` None stands for every resource of the group whose kind ends in ``kind``. In ``field``, ``[]`` walks a list.
    ``form`` is how the field names it: by ``id``, by ``display name``, or by ``bare`` metadata.name. ``rancher`` says in which versions.
    Places that only Rancher's controllers write, from another place of this table, are not ``written_by_users``.
    """

    group: str
    version: str
    resource: str | None
    kind: str
    field: str
    rancher: str
    form: str = "id"
    written_by_users: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}"


def _credential_places() -> t.Iterator[ReferenceField]:
    management = ("management.cattle.io", "v3")
    yield ReferenceField(*management, "nodetemplates", "NodeTemplate", "spec.cloudCredentialName", "≤2.11")
    yield ReferenceField(*management, "nodes", "Node", "status.nodeTemplateSpec.cloudCredentialName", "≤2.11", written_by_users=False)
    provisioning = ("provisioning.cattle.io", "v1", "clusters", "Cluster")
    yield ReferenceField(*provisioning, "spec.cloudCredentialSecretName", "2.6+")
    yield ReferenceField(*provisioning, "spec.rkeConfig.machinePools[].cloudCredentialSecretName", "2.6+")
    yield ReferenceField(*provisioning, "spec.rkeConfig.etcd.s3.cloudCredentialName", "2.6+")
    rke = ("rke.cattle.io", "v1")
    yield ReferenceField(*rke, "rkecontrolplanes", "RKEControlPlane", "spec.etcd.s3.cloudCredentialName", "2.6+", written_by_users=False)
    yield ReferenceField(*rke, "etcdsnapshots", "ETCDSnapshot", "snapshotFile.s3.cloudCredentialName", "2.6+", written_by_users=False)
    machine = ("rke-machine.cattle.io", "v1", None)
    yield ReferenceField(*machine, "Machine", "spec.common.cloudCredentialSecretName", "2.6+")
    yield ReferenceField(*machine, "Machine", "status.cloudCredentialSecretName", "2.6+", written_by_users=False)
    yield ReferenceField(*machine, "MachineTemplate", "spec.template.spec.common.cloudCredentialSecretName", "2.6+")
    for cloud, prefix, field, rancher in (
        ("eks", "EKS", "amazonCredentialSecret", "2.5+"), ("gke", "GKE", "googleCredentialSecret", "2.5+"),
        ("aks", "AKS", "azureCredentialSecret", "2.6+"), ("ali", "Ali", "alibabaCredentialSecret", "2.13+"),
    ):
        for path in (f"spec.{cloud}Config", f"status.{cloud}Status.upstreamSpec", f"status.appliedSpec.{cloud}Config"):
            yield ReferenceField(*management, "clusters", "Cluster", f"{path}.{field}", rancher, written_by_users=path.startswith("spec."))
        yield ReferenceField(f"{cloud}.cattle.io", "v1", f"{cloud}clusterconfigs", f"{prefix}ClusterConfig", f"spec.{field}", rancher)
    turtles = ("turtles-capi.cattle.io", "v1alpha1", "capiproviders", "CAPIProvider")
    yield ReferenceField(*turtles, "spec.credentials.rancherCloudCredential", "2.13+", "display name")
    yield ReferenceField(*turtles, "spec.credentials.rancherCloudCredentialNamespaceName", "2.13+")
    aws = ("infrastructure.cluster.x-k8s.io", "v1beta2", "awsclusterstaticidentities", "AWSClusterStaticIdentity")
    yield ReferenceField(*aws, "spec.secretRef", "2.15+", "bare")


CREDENTIAL_REFERENCE_FIELDS = tuple(_credential_places())

# A bare name may be that of any Secret.
_USER_WRITTEN = {(place.api_version, place.field) for place in CREDENTIAL_REFERENCE_FIELDS if place.written_by_users and place.form == "id"}
TEMPLATE_REFERENCE_FIELDS = (
    ReferenceField("management.cattle.io", "v3", "nodepools", "NodePool", "spec.nodeTemplateName", "≤2.11"),
    ReferenceField("management.cattle.io", "v3", "nodes", "Node", "spec.nodeTemplateName", "≤2.11"),
)


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


def referenced_name(value: t.Any, namespace: str | None) -> str | None:
    """The credential's metadata.name that a reference stands for.

    Rancher reads ``anything:name`` and ``anything/name`` as ``name`` in cattle-global-data and a bare name as a Secret of the
    referring object's own namespace (pkg/controllers/capr/machineprovision/args.go, pkg/httpproxy/sign_utils.go).
    """
    if not isinstance(value, str) or not value:
        return None
    for separator in (":", "/"):
        if separator in value:
            return value.rpartition(separator)[2] or None
    return value if namespace == CREDENTIAL_NAMESPACE else None


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


def _key(place: ReferenceField, value: t.Any, namespace: str | None, item: Mapping[str, t.Any]) -> t.Any:
    if not isinstance(value, str):
        return None
    if place in TEMPLATE_REFERENCE_FIELDS:
        # one of another namespace is another template: Rancher moves it to cattle-global-nt under another name
        prefix, _colon, name = value.rpartition(":")
        return name if prefix == TEMPLATE_NAMESPACE and name else None
    if place.form == "display name":
        provider = ((item.get("spec") or {}).get("name") or item["metadata"]["name"]).lower()
        return ("display name", provider, value)
    return value if place.form == "bare" else referenced_name(value, namespace)


Finding = t.Tuple[t.Any, Reference]


class ReferenceReader:
    """Finds the references in objects of one kind, keeping nothing else of them."""

    def __init__(self, places: t.Sequence[ReferenceField], kind: str) -> None:
        self._kind = kind
        self._places = [(place, place.field.split(".")) for place in places]

    def read(self, item: Mapping[str, t.Any]) -> t.Iterator[Finding]:
        """What the object refers to, each with the field that does."""
        metadata = item["metadata"]
        namespace = metadata.get("namespace")
        for place, path in self._places:
            for value in values_at(item, path):
                key = _key(place, value, namespace, item)
                if key:
                    yield key, Reference(self._kind, place.api_version, namespace, metadata["name"], place.field)


class ReferenceIndex:
    """All references of a cluster by what they name.

    ``unlisted`` are the resources that could not be listed, as ``resource.group``: while there are any, a missing reference
    proves nothing.
    """

    def __init__(self, findings: t.Iterable[Finding] = (), unlisted: t.Iterable[str] = ()) -> None:
        self.unlisted = tuple(sorted(set(unlisted)))
        self._by_key: dict[t.Any, list[Reference]] = defaultdict(list)
        for key, reference in findings:
            self._by_key[key].append(reference)

    def references_to(self, stored: t.Any) -> tuple[Reference, ...]:
        """The references to a credential or node template, given as what is stored.

        The mirror that Turtles makes of a credential is no user of it: it goes with the credential.
        """
        mirror = stored.annotations.get(TURTLES_IDENTITY)
        provider = TURTLES_PROVIDERS.get(stored.driver, stored.driver)
        found = self._by_key.get(stored.id, []) + self._by_key.get(("display name", provider, stored.name), [])
        return tuple(sorted((one for one in found if not (mirror and one.kind == "AWSClusterStaticIdentity" and one.name == mirror)), key=str))

    def dangling(self, present: t.Collection[str]) -> dict[str, tuple[Reference, ...]]:
        """What names a credential that is not among those present, by its metadata.name; of what users write, as only they can mend it."""
        return {
            key: tuple(sorted(mendable, key=str)) for key, references in self._by_key.items() if isinstance(key, str) and key not in present
            for mendable in [[one for one in references if (one.api_version, one.field) in _USER_WRITTEN]] if mendable
        }
