# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Lists the status of rotations: cloud_credential_rotation_info."""

from __future__ import annotations

import fnmatch
import typing as t
from collections.abc import Mapping

from .._common.problems import Problem
from .._common.times import Time, format_time, now, parse_time
from .._kubernetes.client import KubernetesClient
from .._rancher.cloud_credential import CloudCredential
from .._rancher.metadata import parse_id
from .._rancher.queries import list_cloud_credentials, read_users
from .._rancher.references import CREDENTIAL_NAMESPACE
from .._resources.info import matches_filters
from .._runtime.execute import Connect, RunMode
from .cluster_gates import evaluate_gates
from .decisions import possible_states
from .record import ANOTHER, DELETING, DISABLED, DISABLING, GRACE, IDLE, RotationRecord
from .status import describe_deleted, due_time, find_rotation_problems, key_issued_at, show_rotation, waiting_reasons
from .store import RotationStore, read_history


def list_rotation_info(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """List the status of the rotation of each credential, and of records whose credentials were deleted."""
    client = connect()
    credentials, history, users = client.parallel_reads(
        lambda: list_cloud_credentials(client), lambda: read_history(client, params["namespace"]),
        lambda: read_users(client) if params["owner"] else None)
    store = RotationStore(credentials, history)
    selected = [
        credential for credential in sorted(credentials, key=lambda credential: (credential.name, credential.id))
        if not credential.problem and matches_filters(params, credential, users) and _is_selected(params, credential)
    ]
    rotations = [
        rotation_status(client, store, credential, params["max_age"], params["gates"]) for credential in selected
    ]
    return {"changed": False, "rotations": rotations + _list_deleted(params, store)}


def _is_selected(params: Mapping[str, t.Any], credential: CloudCredential) -> bool:
    """Return whether a credential matches the options id, name_pattern, labels and exclude."""
    pattern, labels = params["name_pattern"], params["labels"] or {}
    return (
        _matches_id(params, credential.id)
        and (pattern is None or fnmatch.fnmatchcase(credential.name, pattern))
        and all(credential.labels.get(name) == str(value) for name, value in labels.items())
        and not _is_excluded(params, credential.id, credential.full_id, credential.name)
    )


def _matches_id(params: Mapping[str, t.Any], identifier: str) -> bool:
    return parse_id(params["id"], CREDENTIAL_NAMESPACE)[0] in (None, identifier)


def _is_excluded(params: Mapping[str, t.Any], *names: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in params["exclude"] for name in names)


def _list_deleted(params: Mapping[str, t.Any], store: RotationStore) -> list[dict[str, t.Any]]:
    """List the status of credentials that were deleted, from their records; their names and owners are not known."""
    if any(params[name] is not None for name in ("name", "name_pattern", "owner", "labels")):
        return []
    return [
        shown for identifier, shown in _deleted_rotations(store)
        if params["driver"] in (None, shown["driver"]) and _matches_id(params, identifier)
        and not _is_excluded(params, identifier, shown["id"])
    ]


def _deleted_rotations(store: RotationStore) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    for stored in store.records.values():
        record = stored.record
        missing = [member for member, _uid in record.members if store.credential(member) is None]
        if record.phase == IDLE and len(missing) < len(record.members):
            continue  # the others keep the key and the record
        for identifier in missing if record.phase != IDLE else missing[:1]:
            yield identifier, _without_credential(store, identifier, record, describe_deleted(identifier, record))
    for unreadable in store.unreadable:
        for identifier in unreadable.members:
            if store.credential(identifier) is None:
                problem = Problem("record_unreadable", unreadable.message)
                yield identifier, {**_without_credential(store, identifier, None, problem), "phase": None}


def _without_credential(
    store: RotationStore, identifier: str, record: RotationRecord | None, problem: Problem
) -> dict[str, t.Any]:
    return {
        **show_rotation(identifier, None, record), "age_seconds": None, "key_age_seconds": None, "key_age_source": None,
        "max_age_seconds": None, "due_at": None, "due": record is not None and record.phase != IDLE,
        "running": bool(record and record.owner), "rotated_elsewhere": False, "waiting_for": [],
        "problems": [problem.show()],
        "possible_states": _possible_states(store, record),
    }


def _possible_states(store: RotationStore, record: RotationRecord | None) -> list[str]:
    if record is None:
        return []
    return list(possible_states(record, [store.live(name) for name, _uid in record.members]))


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
    elsewhere = snapshot is not None and snapshot.leader == ANOTHER
    due_at = None if elsewhere else _due_at(record, issued_at, max_age, time)
    shown = show_rotation(credential.id, credential, record)
    problems = find_rotation_problems(record, snapshot)
    unreadable = store.unreadable_record(credential.id)
    if unreadable:
        problems = [Problem("record_unreadable", unreadable.message)]
        shown["phase"] = None
    shown.update(
        age_seconds=_seconds_since(parse_time(credential.created_at) if credential.created_at else None, time),
        key_age_seconds=_seconds_since(issued_at, time),
        key_age_source=source,
        max_age_seconds=max_age,
        due_at=format_time(due_at) if due_at else None,
        due=due_at is not None and due_at <= time,
        running=bool(record and record.owner),
        rotated_elsewhere=elsewhere,
        waiting_for=[],
        problems=[problem.show() for problem in problems],
        possible_states=_possible_states(store, None if unreadable else record),
    )
    if with_gates and record is not None and record.phase in (GRACE, DISABLING, DISABLED, DELETING):
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
