# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Plans which fields and machines get the other credential, and checks what Rancher does not check.

Pure. Rancher and its webhook check neither the driver, nor the machine config, nor access to the credential of a pool.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._common.errors import ErrorCode, RanchhandError
from .._common.text import short_list
from .._rancher.cloud_credential import CloudCredential
from .._rancher.machine_config import template_content
from .._rancher.references import CREDENTIAL_NAMESPACE
from .objects import (
    CLUSTER,
    LAST_REFRESH,
    MACHINES,
    S3,
    S3_DEFAULTS,
    Copies,
    CredentialField,
    CredentialUser,
    Machine,
)
from .options import MACHINE_JOBS, OTHER_WRITER, OWNER, RepointRequest

# Fields that the driver does not read again when it deletes a machine (rancher/machine drivers/*, UnmarshalJSON).
_FIXED_FIELDS = {"azure": ("tenantId",), "vmwarevsphere": ("vcenterPort",)}
# Rancher resolves no other spelling with a namespace (pkg/controllers/capr/machineprovision/args.go).
PREFIX = f"{CREDENTIAL_NAMESPACE}:"

ConfigKey = t.Tuple[str, str, str]  # namespace, kind and name of a machine config


@dataclass(frozen=True)
class Observed:
    """What planning needs of a Rancher.

    ``source`` is None if the credential no longer exists; ``source_id`` is its full id. ``jobs`` are the running
    machine Jobs and ``rolling`` the MachineDeployments that are rolling, by namespace and name of the cluster.
    ``job_machines`` are the machines with a running Job. ``configs`` contain the fields of machine configs that
    credentials of this driver have too. ``target_gone`` is whether ``target`` was deleted meanwhile.
    """

    source_id: str
    source: CloudCredential | None
    target: CloudCredential
    users: tuple[CredentialUser, ...] = ()
    machines: tuple[Machine, ...] = ()
    jobs: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    rolling: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    job_machines: frozenset[tuple[str, str]] = frozenset()
    configs: Mapping[ConfigKey, Mapping[str, t.Any]] = field(default_factory=dict)
    copies: Copies = field(default_factory=Copies)
    target_gone: bool = False

    @property
    def target_id(self) -> str:
        return self.target.full_id


@dataclass(frozen=True)
class ClusterPlan:
    """What one cluster needs: the fields to change, then the machines. With an ``error``, nothing is written.

    ``user`` is None for machines whose cluster is gone. ``restarts`` is whether the nodes of etcd restart.
    """

    user: CredentialUser | None
    label: str
    fields: tuple[CredentialField, ...] = ()
    machines: tuple[Machine, ...] = ()
    restarts: bool = False
    error: RanchhandError | None = None

    @property
    def busy(self) -> bool:
        return self.error is not None and self.error.code == "busy"


def check_credentials(request: RepointRequest, observed: Observed) -> None:
    """Raise RanchhandError if no object may get credential ``to``."""
    source, target = observed.source, observed.target
    if observed.source_id == target.full_id:
        raise RanchhandError("invalid", f"from and to are the same cloud credential ({target.full_id})")
    if target.driver is None or target.problem:
        raise RanchhandError("invalid", f"cannot use {target.full_id}: it {target.problem or 'has no driver'}")
    if observed.target_gone:
        raise RanchhandError(
            "conflict", f"cloud credential {target.full_id} was deleted by another client during this run. Objects "
                        "that name it need another one: set from to its id, and repair: true")
    if target.deleting:
        raise RanchhandError("conflict", f"cannot use {target.full_id}: it is being deleted")
    if source is None:
        if not request.repair:
            raise RanchhandError(
                "not_found", f"cloud credential {observed.source_id} does not exist. If objects still refer to it, set "
                             "repair: true")
        return
    if source.driver != target.driver:
        raise RanchhandError(
            "invalid", f"cannot replace {source.full_id} (driver {source.driver}) by {target.full_id} (driver "
                       f"{target.driver}): their drivers differ, which Rancher does not check")
    if source.owner != target.owner and OWNER not in request.overridden:
        raise RanchhandError(
            "invalid", f"{source.full_id} belongs to {source.owner}, {target.full_id} to {target.owner}. If the "
                       "clusters may use it, set override_gates: [owner]")
    if target.driver == "harvester" and source.text("kubeconfigContent") == target.text("kubeconfigContent"):
        raise RanchhandError(
            "invalid", f"{target.full_id} contains the same Harvester token as {source.full_id}, which Harvester "
                       "deletes with the first of them. Create a credential with another token")


def select_users(
    request: RepointRequest, users: t.Sequence[CredentialUser], orphaned: t.Collection[str] = (),
) -> tuple[CredentialUser, ...]:
    """Return the clusters that a task means; raises RanchhandError (``not_found``, ``ambiguous``).

    ``orphaned`` are clusters that are gone and still have machines.
    """
    if request.clusters is None:
        return tuple(users)
    selected: dict[tuple[str | None, str], CredentialUser] = {}
    missing = []
    for name in request.clusters:
        found = [user for user in users if name == user.label]
        found = found or [user for user in users if name in (user.name, user.display_name)]
        if not found and name not in orphaned:
            missing.append(name)
        if len(found) > 1:
            labels = ", ".join(sorted(user.label for user in found))
            raise RanchhandError("ambiguous", f'{len(found)} clusters have the name "{name:.80}": {labels}. Use these')
        selected.update((user.key, user) for user in found)
    if missing:
        raise RanchhandError(
            "not_found", f"there is no cluster {', '.join(f'{name:.80}' for name in missing)} that uses cloud "
                         "credentials; use NAMESPACE/NAME of a provisioned cluster, or name or id of a hosted one")
    return tuple(selected.values())


def orphaned_clusters(observed: Observed) -> set[str]:
    """Return the clusters that are gone and still have machines, as NAMESPACE/NAME."""
    present = {user.label for user in observed.users}
    return {f"{machine.namespace}/{machine.cluster}" for machine in observed.machines} - present


def plan_repoint(request: RepointRequest, observed: Observed) -> list[ClusterPlan]:
    """Plan all clusters that need something, sorted by name; also reports those that must not be changed."""
    users = select_users(request, observed.users, orphaned_clusters(observed))
    machines: dict[tuple[str, str], list[Machine]] = {}
    for machine in observed.machines:
        if machine.credential == observed.source_id and _selects(request, observed, machine):
            machines.setdefault((machine.namespace, machine.cluster), []).append(machine)
    plans = [
        _plan_cluster(request, observed, user, machines.pop((user.namespace or "", user.name), [])) for user in users
    ]
    orphaned = {f"{namespace}/{cluster}": tuple(found) for (namespace, cluster), found in machines.items()}
    plans += [
        _checked(request, observed, ClusterPlan(None, label, machines=found)) for label, found in orphaned.items()
        if label in orphaned_clusters(observed) and (request.clusters is None or label in request.clusters)
    ]
    return sorted((plan for plan in plans if plan.fields or plan.machines), key=lambda plan: plan.label)


def _selects(request: RepointRequest, observed: Observed, machine: Machine) -> bool:
    """Return whether a machine that names credential ``from`` has to be changed."""
    return MACHINES in request.scope or (request.repair and machine.deleting and observed.source is None)


def _plan_cluster(
    request: RepointRequest, observed: Observed, user: CredentialUser, machines: t.Sequence[Machine],
) -> ClusterPlan:
    fields = tuple(
        item for item in user.fields if item.scope in request.scope and item.value == observed.source_id
    )
    restarts = any(item.scope == S3 for item in fields) and not _same_values(observed)
    return _checked(request, observed, ClusterPlan(user, user.label, fields, tuple(machines), restarts))


def _same_values(observed: Observed) -> bool:
    """Return whether both credentials have the same values, so that the plans of nodes do not change."""
    return observed.source is not None and observed.source.data == observed.target.data


def _checked(request: RepointRequest, observed: Observed, plan: ClusterPlan) -> ClusterPlan:
    """Return a plan with the first reason why it must not be applied."""
    error = (
        _check_writer(request, plan) or _check_hosted(observed, plan) or _check_pools(observed, plan)
        or _check_s3(observed, plan) or _check_machines(observed, plan) or _check_activity(request, observed, plan)
    )
    return ClusterPlan(plan.user, plan.label, plan.fields, plan.machines, plan.restarts, error)


def _refusal(plan: ClusterPlan, code: ErrorCode, reason: str) -> RanchhandError:
    return RanchhandError(code, f"cannot repoint cluster {plan.label}: {reason}")


def _check_writer(request: RepointRequest, plan: ClusterPlan) -> RanchhandError | None:
    writer = plan.user.writer if plan.user and plan.fields else None
    if writer is None or OTHER_WRITER in request.overridden:
        return None
    return _refusal(
        plan, "other_writer", f"it is managed by {writer}, which would restore the old credential. Change the "
                              "credential there, or set override_gates: [other_writer]")


def _check_hosted(observed: Observed, plan: ClusterPlan) -> RanchhandError | None:
    hosted = plan.user.hosted if plan.user else None
    if hosted is None or hosted.driver == observed.target.driver:
        return None
    return _refusal(
        plan, "invalid", f"{hosted.operator.upper()} needs a credential of driver {hosted.driver}; "
                         f"{observed.target_id} is of driver {observed.target.driver}")


def _check_pools(observed: Observed, plan: ClusterPlan) -> RanchhandError | None:
    """Check the machine configs of the pools that get the other credential: their fields win over the credential's."""
    user, target = plan.user, observed.target
    if user is None or user.namespace is None:
        return None
    moved = {item.pool for item in plan.fields}
    inherits = any(item.scope == CLUSTER for item in plan.fields)
    own = {item.pool for item in user.fields}
    for pool in user.pools:
        if not (pool.name in moved or (inherits and pool.name not in own)):
            continue
        kind, name = pool.kind, pool.config
        if kind.lower() != f"{target.driver}config".lower():
            return _refusal(
                plan, "invalid", f"pool {pool.name} uses {kind} {name}, which needs a credential of another driver "
                                 f"than {target.driver}")
        config = observed.configs.get((user.namespace, kind, name))
        if config is None:
            return _refusal(
                plan, "invalid", f"{kind} {user.namespace}/{name} of pool {pool.name} does not exist, so Rancher "
                                 "applies no change of the cluster. Create the machine config again first")
        hiding = sorted(
            item for item, value in template_content(config, pool).items()
            if value and target.text(item) and str(value) != target.text(item)
        )
        if hiding:
            return _refusal(
                plan, "invalid", f"{', '.join(hiding)} in {kind} {user.namespace}/{name} of pool {pool.name} differs "
                                 f"from {target.full_id} and would hide its value. Correct the machine config, which "
                                 "replaces the nodes of the pool, or use another credential")
    return None


def _check_s3(observed: Observed, plan: ClusterPlan) -> RanchhandError | None:
    """Check that snapshots are stored in the same place: what a cluster leaves empty comes from the credential."""
    source, user = observed.source, plan.user
    if source is None or user is None or user.s3 is None or not any(item.scope == S3 for item in plan.fields):
        return None
    differing = sorted(
        name for name in S3_DEFAULTS - user.s3.own if source.text(name) != observed.target.text(name)
    )
    if not differing:
        return None
    return _refusal(
        plan, "invalid", f"{', '.join(differing)} of {source.full_id} and {observed.target_id} differ, so its etcd "
                         "snapshots would be stored elsewhere. Set the values in the cluster, or make them equal")


def _check_machines(observed: Observed, plan: ClusterPlan) -> RanchhandError | None:
    source, target = observed.source, observed.target
    if source is None or not plan.machines:
        return None
    for name in _FIXED_FIELDS.get(target.driver or "", ()):
        if source.text(name) != target.text(name):
            return _refusal(
                plan, "invalid", f"{name} of {source.full_id} and {target.full_id} differs, and Rancher cannot delete "
                                 "existing machines with another one. Remove machines from scope")
    return None


def _check_activity(request: RepointRequest, observed: Observed, plan: ClusterPlan) -> RanchhandError | None:
    if MACHINE_JOBS in request.overridden or (plan.user and plan.user.hosted):
        return None
    namespace, _slash, name = plan.label.partition("/")
    jobs = observed.jobs.get((namespace, name), ())
    replaces = plan.fields and not (plan.user and plan.user.deleting)
    rolling = observed.rolling.get((namespace, name), ()) if replaces else ()
    if not jobs and not rolling:
        return None
    busy = "machine Jobs are running" if jobs else "machines are being replaced"
    return _refusal(
        plan, "busy", f"{busy} ({short_list(sorted(jobs or rolling))}). Run again when they have ended, "
                      "raise wait_timeout, or set override_gates: [machine_jobs]")


def moved_fields(
    plan: ClusterPlan, before: CredentialUser, after: CredentialUser, target_id: str,
) -> tuple[CredentialField, ...]:
    """Return the fields of a plan that name credential ``to`` already."""
    values = {item.key: item.value for item in after.fields}
    return tuple(item for item in plan.fields if after.uid == before.uid and values.get(item.key) == target_id)


def cluster_patch(plan: ClusterPlan, target_id: str) -> list[dict[str, t.Any]]:
    """Return the JSON patch of a cluster: it changes nothing else, as any other field could replace nodes."""
    user = plan.user
    if user is None:
        raise ValueError("no cluster")
    tests = [("/metadata/uid", user.uid), ("/metadata/resourceVersion", user.resource_version)]
    for item in plan.fields:
        tests += [(item.pointer, item.value), *item.tests]
    operations = [{"op": "test", "path": path, "value": value} for path, value in tests]
    operations += [{"op": "replace", "path": item.pointer, "value": target_id} for item in plan.fields]
    if user.refreshable:  # so that Rancher reads the hosted cluster at once
        operations.append({"op": "remove", "path": "/metadata/annotations/" + LAST_REFRESH.replace("/", "~1")})
    return operations


def machine_patch(machine: Machine, target_id: str) -> dict[str, t.Any]:
    """Return the merge patch of a machine."""
    return {
        "metadata": {"uid": machine.uid, "resourceVersion": machine.resource_version},
        "spec": {"common": {"cloudCredentialSecretName": target_id}},
    }
