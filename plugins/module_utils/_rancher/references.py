# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""References to cloud credentials and node templates: a table of the fields that contain them, and an index.

Pure. Does not know how objects are read.
"""

from __future__ import annotations

import re
import typing as t
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from .annotations import TURTLES_IDENTITY
from .machine_pools import HOSTED_FIELDS, HostedCluster, MachinePool, pool_credential, pool_objects

CREDENTIAL_NAMESPACE = "cattle-global-data"
# The Secrets of CloudCredential objects of ext.cattle.io, which no released Rancher has.
EXTENSION_NAMESPACE = "cattle-cloud-credentials"
TEMPLATE_NAMESPACE = "cattle-global-nt"

# Names of providers in Turtles that differ from the driver (turtles internal/sync/secret_mapper_sync.go).
TURTLES_PROVIDERS = {"amazonec2": "aws", "google": "gcp", "vmwarevsphere": "vsphere"}


# A reference with this use is a record of the past: Rancher does not read the credential through it.
HISTORY = "history"


@dataclass(frozen=True)
class ReferenceField:
    """A field of a kind that can refer to a cloud credential (or to a node template, in TEMPLATE_REFERENCE_FIELDS).

    ``resource`` None means every resource of the group whose kind ends in ``kind``. In ``field``, ``[]`` means all
    elements of a list. ``form`` is the form of the reference: ``id``, ``display name``, or ``bare`` for a
    metadata.name. ``rancher`` are the versions with this field. Fields that only Rancher's controllers write, as copies
    of other fields of this table, are not ``written_by_users``. ``use`` is what the credential is used for; a reference
    with the use HISTORY uses nothing.
    """

    group: str
    version: str
    resource: str | None
    kind: str
    field: str
    rancher: str
    use: str
    form: str = "id"
    written_by_users: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}"


def _credential_fields() -> t.Iterator[ReferenceField]:
    management = ("management.cattle.io", "v3")
    yield ReferenceField(
        *management, "nodetemplates", "NodeTemplate", "spec.cloudCredentialName", "≤2.11", "node_template",
    )
    yield ReferenceField(
        *management, "nodes", "Node", "status.nodeTemplateSpec.cloudCredentialName", "≤2.11", "machine",
        written_by_users=False,
    )
    provisioning = ("provisioning.cattle.io", "v1", "clusters", "Cluster")
    yield ReferenceField(*provisioning, "spec.cloudCredentialSecretName", "2.6+", "cluster")
    yield ReferenceField(*provisioning, "spec.rkeConfig.machinePools[].cloudCredentialSecretName", "2.6+", "pool")
    yield ReferenceField(*provisioning, "spec.rkeConfig.etcd.s3.cloudCredentialName", "2.6+", "s3")
    rke = ("rke.cattle.io", "v1")
    yield ReferenceField(
        *rke, "rkecontrolplanes", "RKEControlPlane", "spec.etcd.s3.cloudCredentialName", "2.6+", "s3",
        written_by_users=False,
    )
    # Rancher 2.9 and newer do not write this field, and restore with the credential of the RKEControlPlane.
    yield ReferenceField(
        *rke, "etcdsnapshots", "ETCDSnapshot", "snapshotFile.s3.cloudCredentialName", "2.6+", HISTORY,
        written_by_users=False,
    )
    machine = ("rke-machine.cattle.io", "v1", None)
    yield ReferenceField(*machine, "Machine", "spec.common.cloudCredentialSecretName", "2.6+", "machine")
    yield ReferenceField(
        *machine, "Machine", "status.cloudCredentialSecretName", "2.6+", "machine", written_by_users=False,
    )
    yield ReferenceField(
        *machine, "MachineTemplate", "spec.template.spec.common.cloudCredentialSecretName", "2.6+", "template",
    )
    for operator, prefix, rancher in (
        ("eks", "EKS", "2.5+"), ("gke", "GKE", "2.5+"), ("aks", "AKS", "2.6+"), ("ali", "Ali", "2.13+"),
    ):
        field, cluster = HOSTED_FIELDS[operator], (*management, "clusters", "Cluster")
        yield ReferenceField(*cluster, f"spec.{operator}Config.{field}", rancher, "hosted")
        for path in (f"status.{operator}Status.upstreamSpec", f"status.appliedSpec.{operator}Config"):
            yield ReferenceField(*cluster, f"{path}.{field}", rancher, "hosted", written_by_users=False)
        config = (f"{operator}.cattle.io", "v1", f"{operator}clusterconfigs", f"{prefix}ClusterConfig")
        yield ReferenceField(*config, f"spec.{field}", rancher, "hosted")
    turtles = ("turtles-capi.cattle.io", "v1alpha1", "capiproviders", "CAPIProvider")
    yield ReferenceField(*turtles, "spec.credentials.rancherCloudCredential", "2.13+", "capi", "display name")
    yield ReferenceField(*turtles, "spec.credentials.rancherCloudCredentialNamespaceName", "2.13+", "capi")
    aws = ("infrastructure.cluster.x-k8s.io", "v1beta2", "awsclusterstaticidentities", "AWSClusterStaticIdentity")
    yield ReferenceField(*aws, "spec.secretRef", "2.15+", "capi", "bare")


CREDENTIAL_REFERENCE_FIELDS = tuple(_credential_fields())

# Without the fields with bare names, which can be names of any Secret.
_USER_WRITTEN = {
    (field.api_version, field.field) for field in CREDENTIAL_REFERENCE_FIELDS
    if field.written_by_users and field.form == "id"
}
TEMPLATE_REFERENCE_FIELDS = (
    ReferenceField("management.cattle.io", "v3", "nodepools", "NodePool", "spec.nodeTemplateName", "≤2.11", "pool"),
    ReferenceField("management.cattle.io", "v3", "nodes", "Node", "spec.nodeTemplateName", "≤2.11", "machine"),
)


@dataclass(frozen=True)
class Reference:
    """A field of an object that refers to a credential or node template.

    ``pools`` are the machine pools that get the credential by this field, as they name it or inherit it. ``value`` is
    the reference as the field spells it. ``display_name`` is what people know an object by whose ``name`` Rancher
    generated, such as a node template, "" for others.
    """

    kind: str
    api_version: str
    namespace: str | None
    name: str
    field: str
    use: str = ""
    pools: tuple[str, ...] = ()
    value: str = ""
    display_name: str = ""

    @property
    def blocks(self) -> bool:
        """Whether the credential is needed, so that it must not be deleted."""
        return self.use != HISTORY

    @property
    def resolved(self) -> bool:
        """Whether Rancher finds the credential by the spelling of a field that users write.

        v2 provisioning and S3 resolve ``cattle-global-data:name``, and a bare name in the namespace of the cluster
        (pkg/controllers/capr/machineprovision/args.go); the operators of hosted clusters take the namespace literally.
        """
        if self.use not in ("cluster", "pool", "s3", "machine", "hosted") or self.value == "":
            return True
        return self.value == f"{CREDENTIAL_NAMESPACE}:{referenced_name(self.value, self.namespace)}" or (
            _is_bare(self.value) and self.use != "hosted")

    def show(self) -> dict[str, t.Any]:
        shown: dict[str, t.Any] = {
            "kind": self.kind, "api_version": self.api_version, "namespace": self.namespace, "name": self.name,
            "field": self.field, "use": self.use,
        }
        if self.display_name:
            shown["display_name"] = self.display_name
        return {**shown, "pools": list(self.pools)} if self.pools else shown

    def __str__(self) -> str:
        name = f"{self.namespace}/{self.name}" if self.namespace else self.name
        display_name = f' "{self.display_name:.60}"' if self.display_name else ""
        return f"{self.kind} {name}{display_name} ({self.field})"


def _is_bare(value: str) -> bool:
    return ":" not in value and "/" not in value


def referenced_name(value: t.Any, namespace: str | None) -> str | None:
    """Return the metadata.name of the credential that a reference means; None if it does not mean a credential.

    ``anything:name`` and ``anything/name`` count as ``name`` in cattle-global-data, although not every reader of
    Rancher resolves them (see Reference.resolved), so that no credential is deleted that a field names. A bare name is
    a Secret in the namespace of the referring object.
    """
    if not isinstance(value, str) or not value or value.startswith(f"{EXTENSION_NAMESPACE}:"):
        return None
    for separator in (":", "/"):
        if separator in value:
            return value.rpartition(separator)[2] or None
    return value if namespace == CREDENTIAL_NAMESPACE else None


def credential_id(name_or_id: str) -> str | None:
    """Return the metadata.name in an id with its namespace; None for a name, which may be a metadata.name too."""
    match = re.fullmatch(CREDENTIAL_NAMESPACE + "[:/]([a-z0-9][-a-z0-9.]{0,252})", name_or_id)
    return match.group(1) if match else None


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
        provider = str((item.get("spec") or {}).get("name") or item["metadata"]["name"]).lower()
        return ("display name", provider, value)
    if field.form == "bare":
        return value
    if value.startswith(f"{EXTENSION_NAMESPACE}:"):
        return (EXTENSION_NAMESPACE, value.partition(":")[2])
    identifier = referenced_name(value, namespace)
    if identifier is None and value and _is_bare(value) and field.group == "provisioning.cattle.io":
        return ("secret", namespace, value)
    return identifier


def _pools_with(field: ReferenceField, value: str, item: Mapping[str, t.Any]) -> tuple[str, ...]:
    """Return the names of the pools of a provisioning cluster that get this value of this field."""
    if field.group != "provisioning.cattle.io" or field.use not in ("cluster", "pool"):
        return ()
    own = value if field.use == "pool" else ""
    return tuple(str(pool.get("name") or "") for pool in pool_objects(item) if pool_credential(pool) == own)


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
        display_name = next(values_at(item, ("spec", "displayName")), "")
        for field, path in self._fields:
            seen = set()
            for value in values_at(item, path):
                key = _key(field, value, namespace, item)
                if key and value not in seen:
                    seen.add(value)
                    yield key, Reference(
                        self._kind, field.api_version, namespace, metadata["name"], field.field, field.use,
                        _pools_with(field, value, item), value,
                        display_name if isinstance(display_name, str) else "",
                    )


class Referable(t.Protocol):
    """An object that others can refer to."""

    @property
    def id(self) -> str:
        ...

    @property
    def name(self) -> str:
        ...

    @property
    def driver(self) -> str | None:
        ...

    @property
    def annotations(self) -> Mapping[str, str]:
        ...


class ReferenceIndex:
    """All references in a cluster, by what they refer to.

    ``unlisted`` are the resources that could not be listed, as ``resource.group``; if there are any, references may be
    missing. ``pools`` are all machine pools, ``failed_syncs`` the hosted clusters whose last sync failed.
    """

    def __init__(
        self, findings: t.Iterable[Finding] = (), unlisted: t.Iterable[str] = (), pools: t.Iterable[MachinePool] = (),
        failed_syncs: t.Iterable[HostedCluster] = (),
    ) -> None:
        self.unlisted = tuple(sorted(set(unlisted)))
        self.pools = tuple(pools)
        self.failed_syncs = tuple(failed_syncs)
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

    def needed_by(self, stored: Referable) -> tuple[Reference, ...]:
        """Return the references to a credential or node template that prevent its deletion."""
        return tuple(reference for reference in self.references_to(stored) if reference.blocks)

    def references_to_extensions(self) -> tuple[Reference, ...]:
        """Return the references to CloudCredentials of ext.cattle.io."""
        return tuple(sorted((
            reference for key, references in self._by_key.items() if isinstance(key, tuple)
            and key[0] == EXTENSION_NAMESPACE for reference in references
        ), key=str))

    def secrets_of_clusters(self) -> dict[tuple[str, str], tuple[Reference, ...]]:
        """Return the references of clusters to Secrets in their own namespace, by namespace and name."""
        return {
            (key[1], key[2]): tuple(sorted(references, key=str)) for key, references in self._by_key.items()
            if isinstance(key, tuple) and key[0] == "secret"
        }

    def dangling(self, present: t.Collection[str]) -> dict[str, tuple[Reference, ...]]:
        """Return the references to credentials that do not exist, by metadata.name.

        Contains only the fields that users write, as users cannot change the others, and no history.
        """
        result = {}
        for key, references in self._by_key.items():
            if isinstance(key, str) and key not in present:
                written = [
                    item for item in references if item.blocks and (item.api_version, item.field) in _USER_WRITTEN
                ]
                if written:
                    result[key] = tuple(sorted(written, key=str))
        return result
