# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Clusters and machines as users of cloud credentials, and the copies of a credential's name that Rancher makes.

Pure. Reads Cluster API objects of the versions v1beta1 and v1beta2 alike.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .._rancher.machine_pools import (
    HOSTED_DRIVERS,
    HOSTED_FIELDS,
    MachinePool,
    parse_machine_pools,
    pool_credential,
)
from .._rancher.writers import find_other_writer

CLUSTER, POOLS, S3, HOSTED, MACHINES = "cluster", "pools", "s3", "hosted", "machines"
PROVISIONING = "provisioning.cattle.io/v1"
MANAGEMENT = "management.cattle.io/v3"
MACHINE_API = "rke-machine.cattle.io/v1"
MACHINE_FIELD = "spec.common.cloudCredentialSecretName"

POOL_LABEL = "rke.cattle.io/rke-machine-pool-name"
CLUSTER_LABEL = "cluster.x-k8s.io/cluster-name"
JOB_LABEL = "rke.cattle.io/infra-machine-name"

# Without this annotation, Rancher reads a hosted cluster again at once (cluster_upstream_refresher.go).
LAST_REFRESH = "clusters.management.cattle.io/ke-last-refresh"
SYNC_ERROR = "[Syncing error"


class HostedKind(t.NamedTuple):
    """A kind of hosted cluster: its operator, the field with the credential, and the driver of its credentials."""

    operator: str
    field: str
    driver: str


HOSTED_KINDS = tuple(
    HostedKind(operator, field_name, HOSTED_DRIVERS[operator]) for operator, field_name in HOSTED_FIELDS.items()
)


class CredentialField(t.NamedTuple):
    """A field of a cluster that names a credential.

    ``pointer`` is its JSON pointer, ``tests`` are further values by JSON pointer that must not have changed.
    """

    scope: str
    path: str
    pointer: str
    value: str
    pool: str | None = None
    tests: tuple[tuple[str, t.Any], ...] = ()

    @property
    def key(self) -> tuple[str, str | None]:
        """What identifies the field whatever the order of the pools."""
        return self.path, self.pool


class S3Settings(t.NamedTuple):
    """The settings of etcd snapshots that a cluster has itself, by the name of the credential's default."""

    credential: str
    own: frozenset[str]


_S3_DEFAULTS = {
    "bucket": "defaultBucket", "endpoint": "defaultEndpoint", "endpointCA": "defaultEndpointCA",
    "folder": "defaultFolder", "region": "defaultRegion", "skipSSLVerify": "defaultSkipSSLVerify",
}
S3_DEFAULTS = frozenset(_S3_DEFAULTS.values())


@dataclass(frozen=True)
class CredentialUser:
    """A cluster whose fields name credentials; ``namespace`` is None for a hosted cluster."""

    namespace: str | None
    name: str
    display_name: str
    uid: str
    resource_version: str
    fields: tuple[CredentialField, ...]
    writer: str | None = None
    pools: tuple[MachinePool, ...] = ()
    s3: S3Settings | None = None
    hosted: HostedKind | None = None
    ready: bool = True             # condition RKECluster of a provisioned cluster
    reason: str = ""               # of the condition that is not met
    refreshable: bool = False      # whether a hosted cluster has the annotation LAST_REFRESH
    applied: str = ""              # credential in status.appliedSpec of a hosted cluster
    upstream: str = ""             # and in its upstreamSpec
    sync_error: str = ""
    deleting: bool = False

    @property
    def key(self) -> tuple[str | None, str]:
        return self.namespace, self.name

    @property
    def label(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def api_version(self) -> str:
        return PROVISIONING if self.namespace else MANAGEMENT

    def same_except_version(self, other: CredentialUser) -> bool:
        """Return whether a plan for one of them is a plan for the other, whatever Rancher wrote into the status.

        Whether a pool has machines is not compared: no check of a plan depends on it.
        """
        return self._planned_from() == other._planned_from()

    def _planned_from(self) -> tuple[t.Any, ...]:
        pools = tuple(replace(pool, has_machines=False) for pool in self.pools)
        return self.uid, self.fields, self.writer, pools, self.s3


def _mapping(item: t.Any, *path: str) -> Mapping[str, t.Any]:
    for key in path:
        item = item.get(key) if isinstance(item, Mapping) else None
    return item if isinstance(item, Mapping) else {}


def _text(value: t.Any) -> str:
    return value if isinstance(value, str) else ""


def condition(item: Mapping[str, t.Any], kind: str) -> tuple[str, str]:
    """Return status and message of a condition; "" if there is none."""
    conditions = _mapping(item, "status").get("conditions")
    for entry in conditions if isinstance(conditions, list) else ():
        if isinstance(entry, Mapping) and entry.get("type") == kind:
            return _text(entry.get("status")), _text(entry.get("message"))
    return "", ""


def parse_provisioning_cluster(item: Mapping[str, t.Any]) -> CredentialUser | None:
    """Parse a Cluster of provisioning.cattle.io; None if it has no machine pools and names no credential."""
    metadata, spec = item["metadata"], _mapping(item, "spec")
    own = _text(spec.get("cloudCredentialSecretName"))
    rke = spec.get("rkeConfig")
    if not own and not isinstance(rke, Mapping):
        return None
    fields = []
    if own:
        path = "spec.cloudCredentialSecretName"
        fields.append(CredentialField(CLUSTER, path, "/" + path.replace(".", "/"), own))
    entries = _mapping(rke).get("machinePools")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        fields += _pool_field(index, _mapping(entry))
    s3 = _mapping(rke, "etcd", "s3")
    s3_credential = _text(s3.get("cloudCredentialName"))
    if s3_credential:
        path = "spec.rkeConfig.etcd.s3.cloudCredentialName"
        fields.append(CredentialField(S3, path, "/" + path.replace(".", "/"), s3_credential))
    status, message = condition(item, "RKECluster")
    return CredentialUser(
        namespace=metadata["namespace"], name=metadata["name"], display_name=metadata["name"], uid=metadata["uid"],
        resource_version=metadata["resourceVersion"], fields=tuple(fields), writer=find_other_writer(item, "f:spec"),
        pools=tuple(parse_machine_pools(item)), ready=status in ("", "True"), reason=message,
        s3=S3Settings(s3_credential, frozenset(default for name, default in _S3_DEFAULTS.items() if s3.get(name)))
        if s3_credential else None, deleting=bool(metadata.get("deletionTimestamp")),
    )


def _pool_field(index: int, entry: Mapping[str, t.Any]) -> list[CredentialField]:
    """Return the field of a pool that names a credential; [] if it uses the cluster's."""
    own = pool_credential(entry)
    if not own:
        return []
    base = f"/spec/rkeConfig/machinePools/{index}"
    name, reference = _text(entry.get("name")), _mapping(entry, "machineConfigRef")
    tests = [(f"{base}/name", name)]
    tests += [(f"{base}/machineConfigRef/{key}", reference[key]) for key in ("kind", "name") if key in reference]
    path = "spec.rkeConfig.machinePools[].cloudCredentialSecretName"
    return [CredentialField(POOLS, path, f"{base}/cloudCredentialSecretName", own, name, tuple(tests))]


def parse_hosted_cluster(item: Mapping[str, t.Any]) -> CredentialUser | None:
    """Parse a Cluster of management.cattle.io; None if it is not a hosted cluster that names a credential."""
    metadata, spec, status = item["metadata"], _mapping(item, "spec"), _mapping(item, "status")
    for hosted in HOSTED_KINDS:
        config = f"{hosted.operator}Config"
        value = _text(_mapping(spec, config).get(hosted.field))
        if value:
            break
    else:
        return None
    path = f"spec.{config}.{hosted.field}"
    message = condition(item, "Updated")[1]
    return CredentialUser(
        namespace=None, name=metadata["name"], display_name=_text(spec.get("displayName")) or metadata["name"],
        uid=metadata["uid"], resource_version=metadata["resourceVersion"],
        fields=(CredentialField(HOSTED, path, "/" + path.replace(".", "/"), value),),
        writer=find_other_writer(item, "f:spec"), hosted=hosted,
        refreshable=LAST_REFRESH in (metadata.get("annotations") or {}),
        applied=_text(_mapping(status, "appliedSpec", config).get(hosted.field)),
        upstream=_text(_mapping(status, f"{hosted.operator}Status", "upstreamSpec").get(hosted.field)),
        sync_error=message if SYNC_ERROR in message else "", deleting=bool(metadata.get("deletionTimestamp")),
    )


class Machine(t.NamedTuple):
    """An infrastructure machine of Rancher. ``kind`` is such as Amazonec2Machine."""

    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str
    cluster: str
    credential: str
    confirmed: str      # status.cloudCredentialSecretName
    deleting: bool

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name


def parse_machine(kind: str, item: Mapping[str, t.Any]) -> Machine:
    """Parse an infrastructure machine."""
    metadata = item["metadata"]
    return Machine(
        kind, metadata["namespace"], metadata["name"], metadata["uid"], metadata["resourceVersion"],
        (metadata.get("labels") or {}).get(CLUSTER_LABEL) or "",
        _text(_mapping(item, "spec", "common").get("cloudCredentialSecretName")),
        _text(_mapping(item, "status").get("cloudCredentialSecretName")), bool(metadata.get("deletionTimestamp")),
    )


class LiveTemplate(t.NamedTuple):
    """A machine template that a MachineDeployment, or a MachineSet with replicas, refers to."""

    namespace: str
    cluster: str
    pool: str
    kind: str
    name: str


def parse_live_template(item: Mapping[str, t.Any]) -> LiveTemplate | None:
    """Return the template that a MachineDeployment or MachineSet refers to; None if it has no replicas."""
    metadata, spec, status = item["metadata"], _mapping(item, "spec"), _mapping(item, "status")
    owners = metadata.get("ownerReferences") or ()
    is_set = any(owner.get("kind") == "MachineDeployment" for owner in owners)
    if is_set and not (spec.get("replicas") or status.get("replicas")):
        return None
    template = _mapping(spec, "template")
    reference = _mapping(template, "spec", "infrastructureRef")
    labels = _mapping(template, "metadata", "labels")
    return LiveTemplate(
        metadata["namespace"], _text(spec.get("clusterName")) or _text(labels.get(CLUSTER_LABEL)),
        _text(labels.get(POOL_LABEL)), _text(reference.get("kind")), _text(reference.get("name")),
    )


def is_rolling(item: Mapping[str, t.Any]) -> bool:
    """Return whether a MachineDeployment has machines of an older template, or too few or too many machines."""
    status, desired = _mapping(item, "status"), _mapping(item, "spec").get("replicas")
    updated = status.get("upToDateReplicas", status.get("updatedReplicas"))
    if desired is None or updated is None:
        return False
    return not desired == updated == (status.get("replicas") or 0)


def has_ended(job: Mapping[str, t.Any]) -> bool:
    """Return whether a Job is complete or has failed."""
    return any(condition(job, kind)[0] == "True" for kind in ("Complete", "Failed"))


def parse_template(kind: str, item: Mapping[str, t.Any]) -> tuple[tuple[str, str, str], str]:
    """Return namespace, kind and name of a machine template, and the credential that it names."""
    metadata = item["metadata"]
    name = _text(_mapping(item, "spec", "template", "spec", "common").get("cloudCredentialSecretName"))
    return (metadata["namespace"], kind, metadata["name"]), name


class ControlPlane(t.NamedTuple):
    """An RKEControlPlane: the S3 credential in its spec and in its applied spec, and whether it has settled."""

    credential: str
    applied: str
    observed: bool
    ready: bool
    message: str


def parse_control_plane(item: Mapping[str, t.Any]) -> ControlPlane:
    """Parse an RKEControlPlane."""
    ready, message = condition(item, "Ready")
    return ControlPlane(
        _text(_mapping(item, "spec", "etcd", "s3").get("cloudCredentialName")),
        _text(_mapping(item, "status", "appliedSpec", "etcd", "s3").get("cloudCredentialName")),
        _mapping(item, "status").get("observedGeneration") == item["metadata"].get("generation"),
        ready == "True", message,
    )


class OperatorConfig(t.NamedTuple):
    """The object of a hosted cluster's operator."""

    credential: str
    phase: str
    failure: str


def parse_operator_config(hosted: HostedKind, item: Mapping[str, t.Any]) -> OperatorConfig:
    """Parse the object of a hosted cluster's operator."""
    status = _mapping(item, "status")
    name, failure = _mapping(item, "spec").get(hosted.field), status.get("failureMessage")
    return OperatorConfig(_text(name), _text(status.get("phase")), _text(failure))


def plan_problem(secret: Mapping[str, t.Any]) -> str | None:
    """Return why the plan of a node has not been applied; None if it has (system-agent, capr/planner).

    ``failed-checksum`` is the SHA-256 sum of a plan that failed.
    """
    data = secret.get("data") or {}
    plan = data.get("plan")
    if not plan or plan == data.get("appliedPlan"):
        return None
    try:
        failed = base64.b64decode(data.get("failed-checksum") or "").decode(errors="replace")
        checksum = hashlib.sha256(base64.b64decode(plan)).hexdigest()
    except (binascii.Error, ValueError):
        failed, checksum = "", "-"
    return "has failed" if failed == checksum else "is not applied yet"


def parse_plan(secret: Mapping[str, t.Any]) -> t.Iterator[tuple[tuple[str, str], str]]:
    """Yield namespace and cluster of an etcd node whose plan has a problem, and the problem."""
    metadata = secret["metadata"]
    labels = metadata.get("labels") or {}
    problem = plan_problem(secret)
    if problem and labels.get("rke.cattle.io/etcd-role", "true") == "true":
        cluster = labels.get("rke.cattle.io/cluster-name") or labels.get(CLUSTER_LABEL) or ""
        yield (metadata["namespace"], cluster), f"the plan {metadata['namespace']}/{metadata['name']} {problem}"


@dataclass(frozen=True)
class Copies:
    """The copies of credentials' names that Rancher makes of the fields of clusters, and the state of their nodes.

    ``plans`` are the problems of the plans of etcd nodes, by namespace and cluster. ``control_planes`` is None if etcd
    snapshots are not in scope.
    """

    live_templates: tuple[LiveTemplate, ...] = ()
    templates: Mapping[tuple[str, str, str], str] = field(default_factory=dict)  # by namespace, kind and name
    control_planes: Mapping[tuple[str, str], ControlPlane] | None = None
    operators: Mapping[str, OperatorConfig] = field(default_factory=dict)  # by the name of the cluster
    plans: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
