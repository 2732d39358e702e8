# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Reads what planning needs; the number of requests does not depend on the number of clusters."""

from __future__ import annotations

import re
import typing as t
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._common.errors import RanchhandError
from .._kubernetes.client import KubernetesClient
from .._rancher.cloud_credential import CloudCredential
from .._rancher.queries import (
    CLUSTER_API_GROUP,
    MANAGEMENT_PATH,
    get_or_none,
    list_cloud_credentials,
    served_kinds,
)
from .._rancher.references import CREDENTIAL_NAMESPACE, credential_id
from .._resources.catalog import Catalog
from .._resources.cloud_credential_plan import credential_catalog
from .objects import (
    HOSTED_KINDS,
    JOB_LABEL,
    S3,
    Copies,
    CredentialUser,
    HostedKind,
    LiveTemplate,
    Machine,
    OperatorConfig,
    has_ended,
    is_rolling,
    parse_control_plane,
    parse_hosted_cluster,
    parse_live_template,
    parse_machine,
    parse_operator_config,
    parse_plan,
    parse_provisioning_cluster,
    parse_template,
)
from .options import RepointRequest
from .planning import ConfigKey, Observed

_ID = re.compile(r"[a-z0-9][-a-z0-9.]{0,252}")
CLUSTERS_PATH = "/apis/provisioning.cattle.io/v1/clusters"
HOSTED_PATH = f"{MANAGEMENT_PATH}/clusters"
MACHINES_GROUP = "/apis/rke-machine.cattle.io/v1"


def find_credentials(
    client: KubernetesClient, request: RepointRequest,
) -> tuple[str, CloudCredential | None, CloudCredential]:
    """Return the id of credential ``from``, both credentials, and None for ``from`` if it does not exist.

    Raises RanchhandError (``not_found``, ``ambiguous``).
    """
    ids = [credential_id(request.source), credential_id(request.target)]
    if None in ids:
        catalog = credential_catalog(list_cloud_credentials(client))
    else:
        catalog = credential_catalog(list_cloud_credentials(client, {name for name in ids if name}))
    source, target = _find(catalog, request.source), _find(catalog, request.target)
    if target is None:
        raise RanchhandError("not_found", f'cloud credential "{request.target:.80}" (to) does not exist')
    if source is not None:
        return source.full_id, source, target
    identifier = credential_id(request.source) or request.source
    if not _ID.fullmatch(identifier):
        raise RanchhandError("not_found", f'cloud credential "{request.source:.80}" (from) does not exist')
    return f"{CREDENTIAL_NAMESPACE}:{identifier}", None, target


def _find(catalog: Catalog[CloudCredential], text: str) -> CloudCredential | None:
    identifier = credential_id(text) or text
    found = [catalog.by_id[identifier]] if identifier in catalog.by_id else []
    if credential_id(text) is None:
        found += [item for item in catalog.named(text) if item not in found]
    return catalog.single(found, text)


@dataclass
class _Read:
    """What one round of lists has read so far."""

    users: list[CredentialUser] = field(default_factory=list)
    machines: list[Machine] = field(default_factory=list)
    jobs: list[tuple[str, str, str]] = field(default_factory=list)  # namespace, machine, Job
    rolling: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    live: list[LiveTemplate] = field(default_factory=list)
    templates: dict[tuple[str, str, str], str] = field(default_factory=dict)
    operators: dict[str, OperatorConfig] = field(default_factory=dict)
    configs: dict[ConfigKey, Mapping[str, t.Any]] = field(default_factory=dict)


class Observer:
    """Reads clusters, machines and copies, as often as a run needs them."""

    def __init__(
        self, client: KubernetesClient, request: RepointRequest, source_id: str, source: CloudCredential | None,
        target: CloudCredential,
    ) -> None:
        self._client, self._scope = client, request.scope
        self._source_id, self._source, self._target = source_id, source, target
        self._target_gone = False
        self._served: dict[tuple[str, str], Mapping[str, str]] = {}
        self._driver = (target.driver or "").lower()

    def observe(self) -> Observed:
        """Read all that planning and the check for arrival need.

        Credential ``to`` is read again, as another client can change or delete it. Of ``from``, the first version
        counts: its values are those of the machines that exist.
        """
        read = _Read()
        self._read_target()
        reads: list[t.Callable[[], None]] = [
            lambda: self._read_users(read), lambda: self._read_machines(read), lambda: self._read_jobs(read),
            lambda: self._read_configs(read), lambda: self._read_templates(read), lambda: self._read_capi(read),
        ]
        reads += [lambda hosted=hosted: self._read_operator(read, hosted) for hosted in HOSTED_KINDS]  # type: ignore
        self._client.parallel_reads(*reads)
        clusters = {machine.key: machine.cluster for machine in read.machines}
        jobs: dict[tuple[str, str], list[str]] = defaultdict(list)
        for namespace, machine, job in read.jobs:
            if (namespace, machine) in clusters:
                jobs[namespace, clusters[namespace, machine]].append(f"{namespace}/{job}")
        planes, plans = self._read_etcd(read.users)
        return Observed(
            self._source_id, self._source, self._target, tuple(read.users), tuple(read.machines),
            {key: tuple(names) for key, names in jobs.items()},
            {key: tuple(names) for key, names in read.rolling.items()},
            frozenset((namespace, machine) for namespace, machine, _job in read.jobs), read.configs,
            Copies(tuple(read.live), read.templates, planes, read.operators, plans), self._target_gone,
        )

    def _read_target(self) -> None:
        found = list_cloud_credentials(self._client, {self._target.id})
        same = [credential for credential in found if credential.uid == self._target.uid]
        self._target_gone = not same
        self._target = same[0] if same else self._target

    def read_user(self, user: CredentialUser) -> CredentialUser | None:
        """Read a cluster again; None if it is gone or names no credential any more."""
        item = get_or_none(self._client, path_of(user))
        if item is None:
            return None
        return parse_provisioning_cluster(item) if user.namespace else parse_hosted_cluster(item)

    def read_machine(self, machine: Machine) -> Machine | None:
        item = get_or_none(self._client, self.machine_path(machine))
        return None if item is None else parse_machine(machine.kind, item)

    def machine_path(self, machine: Machine) -> str:
        return f"{MACHINES_GROUP}/namespaces/{machine.namespace}/{machine.kind.lower()}s/{machine.name}"

    def _kinds(self, group: str, version: str) -> Mapping[str, str]:
        """Return the kinds that a group serves, read once in a run.

        Without it, a list of a kind that does not exist could be forbidden, as authorization precedes routing.
        """
        if (group, version) not in self._served:
            self._served[group, version] = served_kinds(self._client, group, version)
        return self._served[group, version]

    def _read_users(self, read: _Read) -> None:
        for group, version, path, parse in (
            ("provisioning.cattle.io", "v1", CLUSTERS_PATH, parse_provisioning_cluster),
            ("management.cattle.io", "v3", HOSTED_PATH, parse_hosted_cluster),
        ):
            if "clusters" in self._kinds(group, version):
                read.users += self._client.read_collection(path, lambda item: _present(parse(item)))  # noqa: B023

    def _driver_kind(self, group: str, suffix: str) -> tuple[str, str] | None:
        """Return resource and kind of the driver's machines, templates or configs; None if it is not active."""
        resource = f"{self._driver}{suffix}s"
        kind = self._kinds(group, "v1").get(resource)
        return (f"/apis/{group}/v1/{resource}", kind) if kind else None

    def _read_machines(self, read: _Read) -> None:
        found = self._driver_kind("rke-machine.cattle.io", "machine")
        if found:
            path, kind = found
            read.machines += self._client.read_collection(path, lambda item: [parse_machine(kind, item)])

    def _read_jobs(self, read: _Read) -> None:
        def running(job: Mapping[str, t.Any]) -> t.Iterator[tuple[str, str, str]]:
            metadata = job["metadata"]
            if not has_ended(job):
                yield metadata["namespace"], metadata["labels"][JOB_LABEL], metadata["name"]

        read.jobs += self._client.read_collection("/apis/batch/v1/jobs", running, labelSelector=JOB_LABEL)

    def _read_configs(self, read: _Read) -> None:
        found = self._driver_kind("rke-machine-config.cattle.io", "config")
        if found:
            path, kind = found

            def values(item: Mapping[str, t.Any]) -> t.Iterator[tuple[ConfigKey, Mapping[str, t.Any]]]:
                key = (item["metadata"]["namespace"], kind, item["metadata"]["name"])
                yield key, {name: item[name] for name in self._target.data if item.get(name)}

            read.configs.update(self._client.read_collection(path, values))

    def _read_templates(self, read: _Read) -> None:
        found = self._driver_kind("rke-machine.cattle.io", "machinetemplate")
        if found:
            path, kind = found
            read.templates.update(self._client.read_collection(path, lambda item: [parse_template(kind, item)]))

    def _read_capi(self, read: _Read) -> None:
        version = self._capi_version()
        kinds = self._kinds(CLUSTER_API_GROUP, version) if version else {}

        def parse(item: Mapping[str, t.Any]) -> t.Iterator[tuple[LiveTemplate, str]]:
            live = parse_live_template(item)
            if live:
                yield live, item["metadata"]["name"] if is_rolling(item) else ""

        for resource in ("machinedeployments", "machinesets"):
            if resource not in kinds:
                continue
            for live, rolling in self._client.read_collection(
                f"/apis/{CLUSTER_API_GROUP}/{version}/{resource}", parse
            ):
                read.live.append(live)
                if rolling and resource == "machinedeployments":
                    read.rolling[live.namespace, live.cluster].append(f"{live.namespace}/{rolling}")

    def _capi_version(self) -> str | None:
        group = get_or_none(self._client, f"/apis/{CLUSTER_API_GROUP}")
        return None if group is None else str((group.get("preferredVersion") or {}).get("version"))

    def _read_operator(self, read: _Read, hosted: HostedKind) -> None:
        resource = f"{hosted.operator}clusterconfigs"
        group = f"{hosted.operator}.cattle.io"
        if hosted.driver != self._target.driver or resource not in self._kinds(group, "v1"):
            return
        path = f"/apis/{group}/v1/namespaces/{CREDENTIAL_NAMESPACE}/{resource}"
        for item in self._client.list_objects(path):
            read.operators[item["metadata"]["name"]] = parse_operator_config(hosted, item)

    def _read_etcd(
        self, users: t.Sequence[CredentialUser],
    ) -> tuple[dict[t.Any, t.Any] | None, dict[t.Any, t.Any]]:
        """Return control planes, and the problems of etcd nodes, of clusters whose snapshots use a credential of both.

        Only if these are in scope, as this needs the right to list Secrets in the namespaces of the clusters.
        """
        if S3 not in self._scope:
            return None, {}
        ids = (self._source_id, self._target.full_id)
        using = {
            (user.namespace or "", user.name) for user in users
            if any(item.scope == S3 and item.value in ids for item in user.fields)
        }
        if not using:
            return {}, {}
        planes = {}
        for item in self._client.list_objects("/apis/rke.cattle.io/v1/rkecontrolplanes"):
            planes[item["metadata"]["namespace"], item["metadata"]["name"]] = parse_control_plane(item)
        plans: dict[tuple[str, str], list[str]] = defaultdict(list)
        for namespace in sorted({namespace for namespace, _name in using}):
            path = f"/api/v1/namespaces/{namespace}/secrets"
            for key, problem in self._client.read_collection(
                path, parse_plan, fieldSelector="type=rke.cattle.io/machine-plan"
            ):
                plans[key].append(problem)
        return planes, {key: tuple(names) for key, names in plans.items()}


def path_of(user: CredentialUser) -> str:
    """Return the path of a cluster."""
    if user.namespace:
        return f"/apis/provisioning.cattle.io/v1/namespaces/{user.namespace}/clusters/{user.name}"
    return f"{HOSTED_PATH}/{user.name}"


def _present(user: CredentialUser | None) -> t.Iterable[CredentialUser]:
    return () if user is None else (user,)
