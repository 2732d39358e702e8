# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Decides whether Rancher has taken over the credential that fields and machines name now.

Pure, and without memory of this run: a run that was interrupted is continued by the next one.
"""

from __future__ import annotations

import typing as t

from .objects import S3, CredentialUser, Machine
from .planning import Observed


def outstanding(observed: Observed, user: CredentialUser, moved: bool) -> str | None:
    """Return what a cluster still waits for; None if nothing.

    A cluster that this run has not ``moved`` waits only as long as a copy names credential ``from``. A cluster that is
    being deleted waits for nothing, as Rancher does not write its copies any more.
    """
    if user.deleting:
        return None
    if user.hosted:
        return _hosted(observed, user, moved)
    return _templates(observed, user, moved) or _control_plane(observed, user, moved)


def _templates(observed: Observed, user: CredentialUser, moved: bool) -> str | None:
    target = observed.target_id
    pools = {pool.name for pool in user.pools if pool.credential == target}
    if not pools:
        return None
    copies = observed.copies
    for live in copies.live_templates:
        if (live.namespace, live.cluster) != user.key or live.pool not in pools:
            continue
        name = copies.templates.get((live.namespace, live.kind, live.name))
        if name == observed.source_id or (moved and name != target):
            return f"{live.kind} {live.namespace}/{live.name} of pool {live.pool} to name it"
    if moved and not user.ready:
        return f"condition RKECluster of cluster {user.label}: {user.reason:.200}"
    return None


def _control_plane(observed: Observed, user: CredentialUser, moved: bool) -> str | None:
    target, planes = observed.target_id, observed.copies.control_planes
    if planes is None or user.namespace is None:
        return None
    if not any(item.scope == S3 and item.value == target for item in user.fields):
        return None
    key = (user.namespace, user.name)
    plane = planes.get(key)
    if plane is None:
        return f"RKEControlPlane {user.label}" if moved else None
    behind = observed.source_id in (plane.credential, plane.applied)
    if not (moved or behind):
        return None
    if plane.credential != target or plane.applied != target or not plane.observed:
        return f"RKEControlPlane {user.label} to apply it{_because(plane.message)}"
    if not plane.ready:
        return f"RKEControlPlane {user.label} to be ready{_because(plane.message)}"
    plans = observed.copies.plans.get(key, ())
    return f"the nodes of etcd: {', '.join(plans[:3])}" if plans else None


def _hosted(observed: Observed, user: CredentialUser, moved: bool) -> str | None:
    target = observed.target_id
    if user.hosted is None or not any(item.value == target for item in user.fields):
        return None
    operator = observed.copies.operators.get(user.name)
    names = (operator.credential if operator else "", user.applied, user.upstream)
    if not moved and observed.source_id not in names:
        return None
    config = f"{user.hosted.operator}clusterconfigs {user.name}"
    if operator is None or operator.credential != target:
        return f"{config} to name it"
    if operator.failure or operator.phase != "active":
        return f"{config} to be active (phase {operator.phase or 'unknown'}){_because(operator.failure)}"
    if user.applied != target:
        return f"status.appliedSpec of cluster {user.label}"
    if user.sync_error:
        return f"a refresh of cluster {user.label} without error{_because(user.sync_error)}"
    if user.upstream != target:
        return f"the next refresh of cluster {user.label}"
    return None


def machine_outstanding(observed: Observed, machine: Machine, moved: bool) -> str | None:
    """Return what a machine still waits for; None if nothing.

    Rancher copies the name into the status of a ready machine once it has found the credential. For a machine that is
    being deleted, it starts a Job.
    """
    if machine.credential != observed.target_id or machine.confirmed == observed.target_id:
        return None
    if machine.deleting and machine.key in observed.job_machines:
        return None
    if not moved and machine.confirmed != observed.source_id:
        return None
    return f"{machine.kind} {machine.namespace}/{machine.name} to be confirmed by Rancher"


def _because(message: t.Any) -> str:
    return f" ({message:.200})" if message else ""
