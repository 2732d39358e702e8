# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What cloud_credential_rotation does.

PRIVATE to the collection. It runs on the controller only, as issuers of other collections can be loaded nowhere else.
"""

from __future__ import annotations

import datetime
import typing as t

from .._common.errors import ApiError
from .._kubernetes.client import KubernetesClient
from .._rancher.cloud_credential import CloudCredential
from .._rancher.queries import read_references, read_server_version
from .._rancher.references import ReferenceIndex
from ..issuer import Issuer
from .gates import Gate, OPEN, WAITING, etcd_s3, last_used, machine_jobs, rancher_version, rke1_nodes, until
from .options import DesiredRotation
from .record import DISABLED, RotationRecord
from .store import decoded_values


def evaluate_gates(
    client: KubernetesClient, members: t.Sequence[CloudCredential], record: RotationRecord, wanted: DesiredRotation | None = None, issuer: Issuer | None = None
) -> list[Gate]:
    """How each gate stands before the next step of retiring; without an issuer, what only the cloud can tell is left out."""
    now = datetime.datetime.now(datetime.timezone.utc)
    if wanted:
        record = record.with_times(wanted.grace, wanted.soak)
    if record.phase == DISABLED:
        found = [until("soak", record.delete_not_before, now)]
    else:
        found = [until("grace", record.retire_not_before, now), *_cluster_gates(client, members, record)]
        if issuer and issuer.lists:
            found.append(last_used(issuer.keys(decoded_values(members[0])), record.old.key, datetime.timedelta(seconds=record.grace), now))
        if record.issuer == "supplied":
            found.append(Gate("confirmation", OPEN, "the old key was removed") if wanted and wanted.old_key_removed else Gate(
                "confirmation", WAITING, f"somebody to remove the old key ({record.old.key}) at its cloud, and to say so with old_key_removed: true"))
    overridden = wanted.override_gates if wanted else ()
    return [Gate(gate.name, OPEN, f"overridden: {gate.detail}") if gate.name in overridden and gate.state != OPEN else gate
            for gate in found]


def _cluster_gates(client: KubernetesClient, members: t.Sequence[CloudCredential], record: RotationRecord) -> list[Gate]:
    index: ReferenceIndex = client.cached("references", 30, lambda: read_references(client))
    jobs = client.cached("machine jobs", 30, lambda: _listed(client, "/apis/batch/v1/jobs", labelSelector="rke.cattle.io/infra-machine-name"))
    version = client.cached("server-version", 300, lambda: read_server_version(client))
    references = [reference for member in members for reference in index.references_to(member)]

    machines = None if any(one.endswith(".rke-machine.cattle.io") for one in index.unlisted) else references
    names = None if machines is None else {(one.namespace, one.name) for one in machines if one.kind.endswith("Machine")}
    unsure = not {"clusters.provisioning.cattle.io", "rkecontrolplanes.rke.cattle.io", "etcdsnapshots.rke.cattle.io"}.isdisjoint(index.unlisted)
    used = any(".s3." in one.field for one in references) or unsure and any(member.driver == "s3" for member in members)
    plans = None
    if used:
        plans = client.cached("machine plans", 30, lambda: _listed(client, "/api/v1/secrets", fieldSelector="type=rke.cattle.io/machine-plan"))
    return [
        machine_jobs(jobs, names, record.cutover_at), etcd_s3(plans, used, [record.old.key]),
        rke1_nodes(None if "nodes.management.cattle.io" in index.unlisted else references, record.driver), rancher_version(version, machines),
    ]


def _listed(client: KubernetesClient, path: str, **query: str) -> list[dict[str, t.Any]] | None:
    try:
        return list(client.list_objects(path, **query))
    except ApiError as error:
        if error.status == 403:
            return None
        raise
