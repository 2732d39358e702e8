# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What cloud_credential_rotation_info does.

PRIVATE to the collection.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Mapping

from .._kubernetes.client import KubernetesClient
from .._rancher.cloud_credential import CloudCredential
from .._rancher.metadata import parse_id
from .._rancher.queries import list_cloud_credentials, read_users
from .._rancher.references import CREDENTIAL_NAMESPACE
from .._resources.info import matches_filters
from .._runtime.execute import Connect, RunMode
from .cluster_gates import evaluate_gates
from .record import DISABLED, GRACE, IDLE
from .status import due_time, find_rotation_problem, key_issued_at, show_rotation, waiting_reasons
from .store import RotationStore, read_history

Time = datetime.datetime


def list_rotation_info(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """cloud_credential_rotation_info: where each rotation stands."""
    client = connect()
    found, past, users = client.parallel_reads(
        lambda: list_cloud_credentials(client), lambda: read_history(client, params["namespace"]), lambda: read_users(client) if params["owner"] else None)
    stored = RotationStore(found, past)
    identifier, _mistakes = parse_id(params["id"], CREDENTIAL_NAMESPACE)
    return {"changed": False, "rotations": [
        rotation_status(client, stored, one, params["max_age"], params["gates"]) for one in sorted(found, key=lambda one: (one.name, one.id))
        if identifier in (None, one.id) and not one.problem and matches_filters(params, one, users)
    ]}


def rotation_status(
    client: KubernetesClient, stored: RotationStore, credential: CloudCredential, max_age: int | None, judge: bool, made: tuple[Time | None, str] | None = None
) -> dict[str, t.Any]:
    """How the rotation of a credential stands, and how old its key is: since ``made``, if the caller knows better.

    ``judge`` also asks what keeps an old key from being retired.
    """
    record, live = stored.record(credential.id), stored.live(credential.id)
    now = datetime.datetime.now(datetime.timezone.utc)
    at, source = made or key_issued_at(credential, record, live)
    if record is None or record.phase == IDLE:
        due = due_time(at, max_age, record, None)
    else:
        due = {GRACE: record.retire_not_before, DISABLED: record.delete_not_before}.get(record.phase, now)
    shown = show_rotation(credential, record)
    shown.update(
        age=max(0, int((now - at).total_seconds())) if at else None, age_from=source,
        due_at=due.isoformat(timespec="seconds") if due else None, due=bool(due and due <= now), waiting_for=[],
    )
    problem = find_rotation_problem(record, live)
    if problem:
        shown["problem"] = problem
    if record is not None and record.owner:
        shown["running"] = True
    if judge and record is not None and record.phase in (GRACE, DISABLED):
        members = [one for one in (stored.credential(name) for name, _uid in record.members) if one]
        judged = evaluate_gates(client, members, record)
        shown.update(gates=[gate.show() for gate in judged], waiting_for=waiting_reasons(judged))
    return shown
