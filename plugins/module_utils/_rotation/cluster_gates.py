# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Evaluates the gates of a rotation with what the management cluster and the provider report."""

from __future__ import annotations

import datetime
import typing as t

from .._common.errors import ApiError
from .._common.times import now
from .._issuers.registry import SUPPLIED
from .._kubernetes.client import KubernetesClient
from .._rancher.cloud_credential import CloudCredential, decode_values
from .._rancher.queries import read_references, read_server_version
from .._rancher.references import ReferenceIndex
from ..issuer import Issuer
from .gates import (
    OPEN,
    WAITING,
    Gate,
    etcd_s3,
    last_used,
    machine_jobs,
    old_key_identity,
    rancher_version,
    rke1_nodes,
    until,
    used_in_soak,
)
from .options import DesiredRotation
from .record import DELETING, DISABLED, RotationRecord


def evaluate_gates(
    client: KubernetesClient,
    members: t.Sequence[CloudCredential],
    record: RotationRecord,
    desired: DesiredRotation | None = None,
    issuer: Issuer | None = None,
    elsewhere: t.Callable[[], t.Iterable[Gate]] = tuple,
) -> list[Gate]:
    """Evaluate each gate before the next step of retiring a key.

    Without an issuer, gates that need the provider are left out. ``elsewhere`` returns gates of other Ranchers that
    contain the key.
    """
    if desired:
        record = record.with_times(desired.grace, desired.soak)
    if record.phase == DISABLED or record.phase == DELETING and record.disabled_at:
        gates = [until("soak", record.delete_not_before, now())]
        if issuer and issuer.lists and issuer.disables and members and gates[0].state == OPEN:
            gates.append(used_in_soak(issuer.keys(decode_values(members[0])), record))
    else:
        gates = [until("grace", record.retire_not_before, now())]
        gates += combine_gates([*cluster_gates(client, members, record), *elsewhere()])
        if issuer and issuer.lists:
            unused_for = datetime.timedelta(seconds=record.grace)
            keys = issuer.keys(decode_values(members[0]))
            old_key = record.old_key.key or (desired.current_key_id if desired else None)
            gates.append(last_used(keys, old_key, unused_for, now(), issuer.reports_last_use))
        if record.old_key.key is None:
            removed = bool(desired and desired.old_key_removed)
            gates.append(old_key_identity(record, desired.current_key_id if desired else None, removed))
        if record.issuer == SUPPLIED:
            gates.append(_confirmation(record, bool(desired and desired.old_key_removed)))
    bypassed = desired.override_gates if desired else ()
    return [_bypass(gate) if gate.name in bypassed and gate.state != OPEN else gate for gate in gates]


def _bypass(gate: Gate) -> Gate:
    return Gate(gate.name, OPEN, f"overridden: {gate.detail}")


def _confirmation(record: RotationRecord, removed: bool) -> Gate:
    if removed:
        return Gate("confirmation", OPEN, "the old key was removed")
    return Gate("confirmation", WAITING, (
        f"the old key ({record.old_key.name}) to be removed at the provider, which old_key_removed: true confirms"))


def combine_gates(gates: t.Sequence[Gate]) -> list[Gate]:
    """Return a gate of each name: the first one that is not open, if any."""
    combined: dict[str, Gate] = {}
    for gate in gates:
        if gate.name not in combined or combined[gate.name].state == OPEN:
            combined[gate.name] = gate
    return list(combined.values())


def cluster_gates(
    client: KubernetesClient, members: t.Sequence[CloudCredential], record: RotationRecord
) -> list[Gate]:
    """Evaluate what the machines and clusters of a Rancher need of the old key."""
    index: ReferenceIndex = client.cached("references", 30, lambda: read_references(client))
    jobs = client.cached(
        "machine jobs",
        30,
        lambda: _list(client, "/apis/batch/v1/jobs", labelSelector="rke.cattle.io/infra-machine-name"),
    )
    version = client.cached("server-version", 300, lambda: read_server_version(client))
    references = [reference for member in members for reference in index.references_to(member)]

    machines = None if any(name.endswith(".rke-machine.cattle.io") for name in index.unlisted) else references
    names = None
    if machines is not None:
        names = {(machine.namespace, machine.name) for machine in machines if machine.kind.endswith("Machine")}
    required = {"clusters.provisioning.cattle.io", "rkecontrolplanes.rke.cattle.io", "etcdsnapshots.rke.cattle.io"}
    used = any(".s3." in reference.field for reference in references)
    if not required.isdisjoint(index.unlisted):
        used = used or any(member.driver == "s3" for member in members)
    plans = None
    if used:
        plans = client.cached(
            "machine plans",
            30,
            lambda: _list(client, "/api/v1/secrets", fieldSelector="type=rke.cattle.io/machine-plan"),
        )
    nodes = None if "nodes.management.cattle.io" in index.unlisted else references
    return [
        machine_jobs(jobs, names, record.cut_over),
        etcd_s3(plans, used, [record.old_key.key] if record.old_key.key else []),
        rke1_nodes(nodes, record.driver),
        rancher_version(version, machines),
    ]


def _list(client: KubernetesClient, path: str, **query: str) -> list[dict[str, t.Any]] | None:
    """List objects; None if this connection may not."""
    try:
        return list(client.list_objects(path, **query))
    except ApiError as error:
        if error.status == 403:
            return None
        raise
