# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Lists the status of rotations: cloud_credential_rotation_info."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from .._common.times import Time, format_time, now, parse_time
from .._kubernetes.client import KubernetesClient
from .._rancher.cloud_credential import CloudCredential
from .._rancher.metadata import parse_id
from .._rancher.queries import list_cloud_credentials, read_users
from .._rancher.references import CREDENTIAL_NAMESPACE
from .._resources.info import matches_filters
from .._runtime.execute import Connect, RunMode
from .cluster_gates import evaluate_gates
from .record import DISABLED, GRACE, IDLE, RotationRecord
from .status import due_time, find_rotation_problems, key_issued_at, show_rotation, waiting_reasons
from .store import RotationStore, read_history


def list_rotation_info(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """List the status of the rotation of each credential."""
    client = connect()
    credentials, history, users = client.parallel_reads(
        lambda: list_cloud_credentials(client), lambda: read_history(client, params["namespace"]),
        lambda: read_users(client) if params["owner"] else None)
    store = RotationStore(credentials, history)
    identifier, _errors = parse_id(params["id"], CREDENTIAL_NAMESPACE)
    rotations = [
        rotation_status(client, store, credential, params["max_age"], params["gates"])
        for credential in sorted(credentials, key=lambda credential: (credential.name, credential.id))
        if identifier in (None, credential.id) and not credential.problem and matches_filters(params, credential, users)
    ]
    return {"changed": False, "rotations": rotations}


def rotation_status(
    client: KubernetesClient, store: RotationStore, credential: CloudCredential, max_age: int | None, with_gates: bool,
    key_age: tuple[Time | None, str] | None = None,
) -> dict[str, t.Any]:
    """Return the status of the rotation of a credential.

    Args: ``with_gates`` evaluates the gates too; ``key_age`` is the time of the key and its source, if the caller
    knows them.
    """
    record, snapshot = store.record(credential.id), store.live(credential.id)
    time = now()
    issued_at, source = key_age or key_issued_at(credential, record, snapshot)
    due_at = _due_at(record, issued_at, max_age, time)
    shown = show_rotation(credential, record)
    shown.update(
        age_seconds=_seconds_since(parse_time(credential.created_at) if credential.created_at else None, time),
        key_age_seconds=_seconds_since(issued_at, time),
        key_age_source=source,
        max_age_seconds=max_age,
        due_at=format_time(due_at) if due_at else None,
        due=due_at is not None and due_at <= time,
        running=bool(record and record.owner),
        waiting_for=[],
        problems=[problem.show() for problem in find_rotation_problems(record, snapshot)],
    )
    if with_gates and record is not None and record.phase in (GRACE, DISABLED):
        members = [member for member in (store.credential(name) for name, _uid in record.members) if member]
        gates = evaluate_gates(client, members, record)
        shown.update(gates=[gate.show() for gate in gates], waiting_for=waiting_reasons(gates))
    return shown


def _due_at(record: RotationRecord | None, issued_at: Time | None, max_age: int | None, time: Time) -> Time | None:
    """Return when the next step is due."""
    if record is None or record.phase == IDLE:
        return due_time(issued_at, max_age, record, None)
    return {GRACE: record.retire_not_before, DISABLED: record.delete_not_before}.get(record.phase, time)


def _seconds_since(moment: Time | None, time: Time) -> int | None:
    return max(0, int((time - moment).total_seconds())) if moment else None
