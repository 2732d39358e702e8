# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The result of cloud_credential_repoint.

Pure.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._common.errors import RanchhandError
from .._common.text import short_list
from .._common.times import format_duration
from .._rancher.references import CREDENTIAL_REFERENCE_FIELDS, Reference, ReferenceIndex
from .._runtime.execute import RunMode
from .objects import MACHINE_API, MACHINE_FIELD, S3, Machine
from .options import RepointRequest
from .planning import ClusterPlan, Observed

# What Rancher's controllers copy from other fields follows by itself.
_COPIES = frozenset(
    (item.api_version, item.field) for item in CREDENTIAL_REFERENCE_FIELDS
    if not item.written_by_users or item.kind == "MachineTemplate" or item.kind.endswith("ClusterConfig")
)
Row = t.Dict[str, t.Any]


@dataclass
class Progress:
    """What a run has written, what has failed, and what Rancher still has to take over.

    ``clusters`` and ``machines`` were written. ``errors`` and ``waiting`` are by the label of the cluster. ``stopped``
    is an error that ended the run for all clusters.
    """

    clusters: dict[str, ClusterPlan] = field(default_factory=dict)
    machines: dict[tuple[str, str], Machine] = field(default_factory=dict)
    errors: dict[str, RanchhandError] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    stopped: RanchhandError | None = None

    @property
    def has_written(self) -> bool:
        return bool(self.clusters or self.machines)

    def add_cluster(self, plan: ClusterPlan) -> None:
        previous = self.clusters.get(plan.label)
        fields = (previous.fields if previous else ()) + plan.fields
        restarts = plan.restarts or bool(previous and previous.restarts)
        self.clusters[plan.label] = ClusterPlan(plan.user, plan.label, fields, (), restarts)

    def add_machine(self, machine: Machine) -> None:
        self.machines[machine.key] = machine

    def has_fields(self, plan: ClusterPlan) -> bool:
        return {item.key for item in plan.fields} <= self._moved_fields(plan.label)

    def _moved_fields(self, label: str) -> set[tuple[str, str | None]]:
        return {item.key for item in self.clusters[label].fields} if label in self.clusters else set()

    def restored(self, plan: ClusterPlan, source_id: str) -> RanchhandError | None:
        """Return an error if another client has set what this run has moved back to credential ``from``."""
        moved = self._moved_fields(plan.label)
        names = [item.path for item in plan.fields if item.key in moved]
        names += [
            f"machine {machine.namespace}/{machine.name}" for machine in plan.machines
            if machine.key in self.machines and self.machines[machine.key].uid == machine.uid
        ]
        if not names:
            return None
        return RanchhandError(
            "conflict", f"cannot repoint cluster {plan.label}: another client has restored {source_id} during this run "
                        f"({short_list(sorted(set(names)))}). Change the credential in that client, and run again")

    def has_machines(self, plan: ClusterPlan) -> bool:
        return all(machine.key in self.machines for machine in plan.machines)


def build_result(
    request: RepointRequest, observed: Observed, plans: t.Sequence[ClusterPlan], progress: Progress,
    index: ReferenceIndex, mode: RunMode,
) -> dict[str, t.Any]:
    """Return the result of the module, with the errors under ``failures``."""
    deleting = {user.uid for user in observed.users if user.deleting}
    rows = [row for plan in progress.clusters.values() for row in _field_rows(observed, plan, "moved", deleting)]
    rows += [_machine_row(observed, machine, "moved") for machine in progress.machines.values()]
    failures: list[RanchhandError] = []
    for plan in plans:
        action, error = _outcome(plan, progress, mode)
        if action is None:
            continue
        if error is not None:
            failures.append(error)
        for row in [*_field_rows(observed, plan, action, deleting), *(
            _machine_row(observed, machine, action) for machine in plan.machines
        )]:
            if error is not None:
                row.update(msg=error.message, code=error.code)
            rows.append(row)
    labels = {plan.label for plan in plans}
    failures += [progress.stopped] if progress.stopped else []
    failures += [error for label, error in progress.errors.items() if label not in labels]
    if not mode.check and request.wait and not progress.stopped:
        failures += [
            _unconfirmed(request, observed, label, reason) for label, reason in sorted(progress.waiting.items())
        ]
    moved = [row for row in rows if row["action"] == "moved"]
    found = _references(observed, index)
    remaining = _remaining(found, moved if mode.check else ())
    result: dict[str, t.Any] = {
        "changed": bool(moved), "from": observed.source_id, "to": observed.target_id,
        "objects": sorted(rows, key=_order), "remaining": [reference.show() for reference in remaining],
        "waiting_for": [
            {"cluster": label, "reason": f"waiting for {reason}"} for label, reason in sorted(progress.waiting.items())
        ],
        "restarts": any(row["restarts"] for row in moved), "failures": failures,
    }
    if index.unlisted:
        result["references_incomplete"] = list(index.unlisted)
    result["free"] = not (progress.waiting or index.unlisted or found)
    if mode.diff:
        result["diff"] = [_diff(row) for row in sorted(moved, key=_order)]
    return result


def _outcome(
    plan: ClusterPlan, progress: Progress, mode: RunMode,
) -> tuple[str | None, RanchhandError | None]:
    """Return the action of a plan that the last round has made; None if it is done."""
    if plan.error is not None:
        failed = plan.label in progress.errors and plan.error.code in ("conflict", "server_error", "forbidden")
        return ("failed" if failed else "refused"), plan.error
    if mode.check:
        return "moved", None
    if progress.has_fields(plan) and progress.has_machines(plan):
        return None, None
    if plan.label in progress.errors:
        return "failed", progress.errors[plan.label]
    if progress.stopped or plan.label in progress.waiting:  # which is a failure of its own
        return "pending", None
    return "failed", RanchhandError(
        "conflict", f"cannot repoint cluster {plan.label}: other clients change it all the time. Run again")


def _unconfirmed(request: RepointRequest, observed: Observed, label: str, reason: str) -> RanchhandError:
    return RanchhandError(
        "unconfirmed", f"cluster {label} names {observed.target_id}, but Rancher has not taken it over within "
                       f"{format_duration(request.wait_timeout)}: waiting for {reason}. Keep {observed.source_id}, "
                       "remove the cause, and run again")


def _field_rows(observed: Observed, plan: ClusterPlan, action: str, deleting: t.Collection[str]) -> list[Row]:
    user = plan.user
    if user is None:
        return []
    return [
        {
            "kind": "Cluster", "api_version": user.api_version, "namespace": user.namespace, "name": user.name,
            "field": item.path, "pool": item.pool, "cluster": plan.label, "from": observed.source_id,
            "to": observed.target_id, "action": action, "restarts": plan.restarts and item.scope == S3,
            "deleting": user.deleting or user.uid in deleting,
        }
        for item in plan.fields
    ]


def _machine_row(observed: Observed, machine: Machine, action: str) -> Row:
    return {
        "kind": machine.kind, "api_version": MACHINE_API, "namespace": machine.namespace, "name": machine.name,
        "field": MACHINE_FIELD, "pool": None, "cluster": f"{machine.namespace}/{machine.cluster}",
        "from": observed.source_id, "to": observed.target_id, "action": action, "restarts": False,
        "deleting": machine.deleting,
    }


def _order(row: Row) -> tuple[str, ...]:
    return (row["cluster"], row["kind"], row["namespace"] or "", row["name"], row["field"], row["pool"] or "")


@dataclass(frozen=True)
class _Missing:
    """A credential that does not exist any more."""

    id: str
    name: str
    driver: str | None
    annotations: t.Mapping[str, str] = field(default_factory=dict)


def _references(observed: Observed, index: ReferenceIndex) -> tuple[Reference, ...]:
    """Return the references that need credential ``from``, also if it does not exist."""
    identifier = observed.source_id.rpartition(":")[2]
    return index.needed_by(observed.source or _Missing(identifier, identifier, observed.target.driver))


def _remaining(found: t.Sequence[Reference], planned: t.Sequence[Row]) -> list[Reference]:
    """Return the references that this run does not change, without Rancher's own copies.

    ``planned`` are the rows that a run in check mode would change.
    """
    done: dict[tuple[t.Any, ...], int] = {}
    for row in planned:
        key = (row["kind"], row["namespace"], row["name"], row["field"])
        done[key] = done.get(key, 0) + 1
    result = []
    for reference in found:
        key = (reference.kind, reference.namespace, reference.name, reference.field)
        if (reference.api_version, reference.field) in _COPIES:
            continue
        if done.get(key):
            done[key] -= 1
        else:
            result.append(reference)
    return result


def _diff(row: Row) -> dict[str, t.Any]:
    pool = f" of pool {row['pool']}" if row["pool"] else ""
    header = f"{row['kind']} {row['namespace'] + '/' if row['namespace'] else ''}{row['name']} {row['field']}{pool}"
    return {
        "before": row["from"] + "\n", "after": row["to"] + "\n", "before_header": header, "after_header": header,
    }
