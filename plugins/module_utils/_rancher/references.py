# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""References to cloud credentials and node templates: a table of the fields that contain them, and an index.

Pure. Does not know how objects are read.
"""

from __future__ import annotations

import typing as t
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from .annotations import TURTLES_IDENTITY

CREDENTIAL_NAMESPACE = "cattle-global-data"
TEMPLATE_NAMESPACE = "cattle-global-nt"

# Names of providers in Turtles that differ from the driver (turtles internal/sync/secret_mapper_sync.go).
TURTLES_PROVIDERS = {"amazonec2": "aws", "google": "gcp", "vmwarevsphere": "vsphere"}


@dataclass(frozen=True)
class ReferenceField:
    """A field of a kind that can refer to a cloud credential (or to a node template, in TEMPLATE_REFERENCE_FIELDS).

    ``resource`` None means every resource of the group whose kind ends in ``kind``. In ``field``, ``[]`` means all
    elements of a list. ``form`` is the form of the reference: ``id``, ``display name``, or ``bare`` for a
    metadata.name. ``rancher`` are the versions with this field. Fields that only Rancher's controllers write, as copies
    of other fields of this table, are not ``written_by_users``.
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


def _credential_fields() -> t.Iterator[ReferenceField]:
    management = ("management.cattle.io", "v3")
    yield ReferenceField(*management, "nodetemplates", "NodeTemplate", "spec.cloudCredentialName", "≤2.11")
    yield ReferenceField(
        *management, "nodes", "Node", "status.nodeTemplateSpec.cloudCredentialName", "≤2.11", written_by_users=False,
    )
    provisioning = ("provisioning.cattle.io", "v1", "clusters", "Cluster")
    yield ReferenceField(*provisioning, "spec.cloudCredentialSecretName", "2.6+")
    yield ReferenceField(*provisioning, "spec.rkeConfig.machinePools[].cloudCredentialSecretName", "2.6+")
    yield ReferenceField(*provisioning, "spec.rkeConfig.etcd.s3.cloudCredentialName", "2.6+")
    rke = ("rke.cattle.io", "v1")
    yield ReferenceField(
        *rke, "rkecontrolplanes", "RKEControlPlane", "spec.etcd.s3.cloudCredentialName", "2.6+", written_by_users=False,
    )
    yield ReferenceField(
        *rke, "etcdsnapshots", "ETCDSnapshot", "snapshotFile.s3.cloudCredentialName", "2.6+", written_by_users=False,
    )
    machine = ("rke-machine.cattle.io", "v1", None)
    yield ReferenceField(*machine, "Machine", "spec.common.cloudCredentialSecretName", "2.6+")
    yield ReferenceField(*machine, "Machine", "status.cloudCredentialSecretName", "2.6+", written_by_users=False)
    yield ReferenceField(*machine, "MachineTemplate", "spec.template.spec.common.cloudCredentialSecretName", "2.6+")
    for operator, prefix, field, rancher in (
        ("eks", "EKS", "amazonCredentialSecret", "2.5+"), ("gke", "GKE", "googleCredentialSecret", "2.5+"),
        ("aks", "AKS", "azureCredentialSecret", "2.6+"), ("ali", "Ali", "alibabaCredentialSecret", "2.13+"),
    ):
        cluster = (*management, "clusters", "Cluster")
        yield ReferenceField(*cluster, f"spec.{operator}Config.{field}", rancher)
        for path in (f"status.{operator}Status.upstreamSpec", f"status.appliedSpec.{operator}Config"):
            yield ReferenceField(*cluster, f"{path}.{field}", rancher, written_by_users=False)
        config = (f"{operator}.cattle.io", "v1", f"{operator}clusterconfigs", f"{prefix}ClusterConfig")
        yield ReferenceField(*config, f"spec.{field}", rancher)
    turtles = ("turtles-capi.cattle.io", "v1alpha1", "capiproviders", "CAPIProvider")
    yield ReferenceField(*turtles, "spec.credentials.rancherCloudCredential", "2.13+", "display name")
    yield ReferenceField(*turtles, "spec.credentials.rancherCloudCredentialNamespaceName", "2.13+")
    aws = ("infrastructure.cluster.x-k8s.io", "v1beta2", "awsclusterstaticidentities", "AWSClusterStaticIdentity")
    yield ReferenceField(*aws, "spec.secretRef", "2.15+", "bare")


CREDENTIAL_REFERENCE_FIELDS = tuple(_credential_fields())

# Without the fields with bare names, which can be names of any Secret.
_USER_WRITTEN = {
    (field.api_version, field.field) for field in CREDENTIAL_REFERENCE_FIELDS
    if field.written_by_users and field.form == "id"
}
TEMPLATE_REFERENCE_FIELDS = (
    ReferenceField("management.cattle.io", "v3", "nodepools", "NodePool", "spec.nodeTemplateName", "≤2.11"),
    ReferenceField("management.cattle.io", "v3", "nodes", "Node", "spec.nodeTemplateName", "≤2.11"),
)


@dataclass(frozen=True)
class Reference:
    """A field of an object that refers to a credential or node template."""

    kind: str
    api_version: str
    namespace: str | None
    name: str
    field: str

    def show(self) -> dict[str, t.Any]:
        return {
            "kind": self.kind, "api_version": self.api_version, "namespace": self.namespace, "name": self.name,
            "field": self.field,
        }

    def __str__(self) -> str:
        name = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {name} ({self.field})"


def referenced_name(value: t.Any, namespace: str | None) -> str | None:
    """Return the metadata.name of the credential that a reference means; None if it does not mean a credential.

    Rancher reads ``anything:name`` and ``anything/name`` as ``name`` in cattle-global-data, and a bare name as a Secret
    in the namespace of the referring object (pkg/controllers/capr/machineprovision/args.go,
    pkg/httpproxy/sign_utils.go).
    """
    if not isinstance(value, str) or not value:
        return None
    for separator in (":", "/"):
        if separator in value:
            return value.rpartition(separator)[2] or None
    return value if namespace == CREDENTIAL_NAMESPACE else None


def values_at(item: t.Any, path: t.Sequence[str]) -> t.Iterator[t.Any]:
    """Return all values at a path of keys; a key ending in [] means all elements of a list."""
    for position, step in enumerate(path):
        if step.endswith("[]"):
            elements = item.get(step[:-2]) if isinstance(item, Mapping) else None
            for element in elements if isinstance(elements, list) else ():
                yield from values_at(element, path[position + 1:])
            return
        item = item.get(step) if isinstance(item, Mapping) else None
    if item is not None:
        yield item


def _key(field: ReferenceField, value: t.Any, namespace: str | None, item: Mapping[str, t.Any]) -> t.Hashable:
    """Return the key of a reference in the index; None if the value is not a reference."""
    if not isinstance(value, str):
        return None
    if field in TEMPLATE_REFERENCE_FIELDS:
        # A template in another namespace is another one: Rancher moves it to cattle-global-nt under another name.
        prefix, _colon, name = value.rpartition(":")
        return name if prefix == TEMPLATE_NAMESPACE and name else None
    if field.form == "display name":
        provider = ((item.get("spec") or {}).get("name") or item["metadata"]["name"]).lower()
        return ("display name", provider, value)
    return value if field.form == "bare" else referenced_name(value, namespace)


# The key of what is referred to, and the reference.
Finding = t.Tuple[t.Hashable, Reference]


class ReferenceReader:
    """Finds the references in objects of one kind."""

    def __init__(self, fields: t.Sequence[ReferenceField], kind: str) -> None:
        self._kind = kind
        self._fields = [(field, field.field.split(".")) for field in fields]

    def read(self, item: Mapping[str, t.Any]) -> t.Iterator[Finding]:
        """Return the references in an object."""
        metadata = item["metadata"]
        namespace = metadata.get("namespace")
        for field, path in self._fields:
            for value in values_at(item, path):
                key = _key(field, value, namespace, item)
                if key:
                    yield key, Reference(self._kind, field.api_version, namespace, metadata["name"], field.field)


class Referable(t.Protocol):
    """An object that others can refer to."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def driver(self) -> str | None: ...
    @property
    def annotations(self) -> Mapping[str, str]: ...


class ReferenceIndex:
    """All references in a cluster, by what they refer to.

    ``unlisted`` are the resources that could not be listed, as ``resource.group``; if there are any, references may be
    missing.
    """

    def __init__(self, findings: t.Iterable[Finding] = (), unlisted: t.Iterable[str] = ()) -> None:
        self.unlisted = tuple(sorted(set(unlisted)))
        self._by_key: dict[t.Hashable, list[Reference]] = defaultdict(list)
        for key, reference in findings:
            self._by_key[key].append(reference)

    def references_to(self, stored: Referable) -> tuple[Reference, ...]:
        """Return the references to a credential or node template.

        The identity that Turtles creates for a credential does not count: Turtles deletes it together with the
        credential.
        """
        identity = stored.annotations.get(TURTLES_IDENTITY)
        provider = TURTLES_PROVIDERS.get(stored.driver or "", stored.driver)
        found = self._by_key.get(stored.id, []) + self._by_key.get(("display name", provider, stored.name), [])
        return tuple(sorted((
            reference for reference in found
            if not (identity and reference.kind == "AWSClusterStaticIdentity" and reference.name == identity)
        ), key=str))

    def dangling(self, present: t.Collection[str]) -> dict[str, tuple[Reference, ...]]:
        """Return the references to credentials that do not exist, by metadata.name.

        Contains only the fields that users write, as users cannot change the others.
        """
        result = {}
        for key, references in self._by_key.items():
            if isinstance(key, str) and key not in present:
                written = [item for item in references if (item.api_version, item.field) in _USER_WRITTEN]
                if written:
                    result[key] = tuple(sorted(written, key=str))
        return result
