# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The module cloud_credential_repoint.

Works in rounds: observe, plan, write what is ready, and again until nothing is left and Rancher has taken it over. A
round decides only by what is stored, so the next run continues an interrupted one.
"""

from __future__ import annotations

import time
import typing as t
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from .._common.errors import ApiError, ErrorCode, FailureWithResult, RanchhandError
from .._kubernetes.client import CONFLICT_ATTEMPTS, KubernetesClient
from .._rancher.cloud_credential import CloudCredential
from .._rancher.queries import read_references
from .._rancher.references import ReferenceIndex
from .._resources.announcements import announce, withdraw
from .._resources.reconciler import random_name
from .._runtime.execute import Connect, RunMode
from .arrival import machine_outstanding, outstanding
from .objects import CredentialUser, Machine
from .observation import Observer, find_credentials, path_of
from .options import RepointRequest, parse_request
from .planning import (
    ClusterPlan,
    Observed,
    check_credentials,
    cluster_patch,
    machine_patch,
    moved_fields,
    orphaned_clusters,
    plan_repoint,
    select_users,
)
from .report import Progress, build_result

_SHORTEST_PAUSE = 0.2  # seconds


def repoint_credential(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """Point clusters and machines from one credential to another."""
    request = parse_request(params)
    client = connect()
    source_id, source, target = find_credentials(client, request)
    check_credentials(request, Observed(source_id, source, target))
    run = _Run(client, request, Observer(client, request, source_id, source, target), target)
    observed, index = run.work(mode)
    result = build_result(request, observed, run.plans, run.progress, index, mode)
    failures = result.pop("failures")
    if not failures:
        return result
    codes: set[ErrorCode] = {error.code for error in failures}
    code: ErrorCode = codes.pop() if len(codes) == 1 else "partial"
    raise FailureWithResult(code, "; ".join(error.message for error in failures), result)


class _Run:
    """One run of the module; ``plans`` are those of the last round."""

    def __init__(
        self, client: KubernetesClient, request: RepointRequest, observer: Observer, target: CloudCredential,
    ) -> None:
        self._client, self._request, self._observer, self._target = client, request, observer, target
        self._run_id = random_name(10)
        self._selected: frozenset[str] | None = None
        self._observed: Observed | None = None
        self._conflicts: Counter[str] = Counter()
        self.progress = Progress()
        self.plans: list[ClusterPlan] = []

    def work(self, mode: RunMode) -> tuple[Observed, ReferenceIndex]:
        """Do all rounds; returns what the last one observed, and the references.

        An error that concerns all clusters stops the run. It is raised if nothing has been written yet.
        """
        try:
            self._work(mode)
        except RanchhandError as error:
            self._stop(error)
        try:
            index = read_references(self._client)
        except RanchhandError as error:
            self._stop(error)
            index = ReferenceIndex(unlisted=["all references"])
        if self._observed is None:
            raise ValueError("no round")
        return self._observed, index

    def _stop(self, error: RanchhandError) -> None:
        if self._observed is None or not self.progress.has_written:
            raise error
        self.progress.stopped = self.progress.stopped or error

    def _work(self, mode: RunMode) -> None:
        deadline = time.monotonic() + self._request.wait_timeout
        while True:
            observed = self._observed = self._observer.observe()
            check_credentials(self._request, observed)
            self.plans = self._plan(observed)
            self._find_outstanding(observed)
            if mode.check:
                return
            ready = self._ready(observed)
            if ready:
                self._write(ready)
                if self._request.wait or self._unwritten(ready):
                    continue
            self._expire()
            if not self._request.wait or not self._pending() or time.monotonic() >= deadline:
                return
            time.sleep(max(_SHORTEST_PAUSE, min(self._request.wait_sleep, deadline - time.monotonic())))

    def _plan(self, observed: Observed) -> list[ClusterPlan]:
        """Plan this round; what has failed in an earlier one is not tried again.

        The first round finds the clusters of the task. Later, these may be gone, or others may have their names.
        """
        if self._selected is not None:
            present = {user.label for user in observed.users} | orphaned_clusters(observed)
            self._request = replace(self._request, clusters=tuple(sorted(self._selected & present)))
        elif self._request.clusters is not None:
            orphaned = orphaned_clusters(observed)
            users = select_users(self._request, observed.users, orphaned)
            self._selected = frozenset({user.label for user in users} | orphaned & set(self._request.clusters))
        plans = plan_repoint(self._request, observed)
        for plan in plans:
            error = self.progress.restored(plan, observed.source_id)
            if error is not None:
                self.progress.errors.setdefault(plan.label, error)
        return [replace(plan, error=self.progress.errors.get(plan.label, plan.error)) for plan in plans]

    def _find_outstanding(self, observed: Observed) -> None:
        """Find out what Rancher still has to take over, by the label of the cluster."""
        waiting: dict[str, str] = {}
        users = select_users(self._request, observed.users, orphaned_clusters(observed))
        for user in users:
            reason = outstanding(observed, user, user.label in self.progress.clusters)
            if reason:
                waiting[user.label] = reason
        selected = {user.label for user in users} | set(self._request.clusters or ())
        for machine in observed.machines:
            label = f"{machine.namespace}/{machine.cluster}"
            if self._request.clusters is not None and label not in selected:
                continue
            reason = machine_outstanding(observed, machine, machine.key in self.progress.machines)
            if reason:
                waiting.setdefault(label, reason)
        self.progress.waiting = waiting

    def _ready(self, observed: Observed) -> list[ClusterPlan]:
        """Return what is written in this round.

        With ``wait``, machines follow when the templates of their cluster name the other credential, so that no machine
        is created with the former one in between.
        """
        ready = []
        for plan in self.plans:
            if plan.error is not None:
                continue
            user = plan.user
            if self._request.wait and plan.machines and user is not None:
                if plan.fields:
                    plan = replace(plan, machines=())
                elif outstanding(observed, user, plan.label in self.progress.clusters):
                    continue
            ready.append(plan)
        return ready

    def _unwritten(self, ready: t.Sequence[ClusterPlan]) -> bool:
        """Return whether a conflict has left something of this round unwritten."""
        return any(
            plan.label not in self.progress.errors
            and not (self.progress.has_fields(plan) and self.progress.has_machines(plan)) for plan in ready
        )

    def _pending(self) -> bool:
        return bool(self.progress.waiting) or any(plan.error is None or plan.busy for plan in self.plans)

    def _expire(self) -> None:
        """Keep the errors that waiting cannot remove."""
        for plan in self.plans:
            if plan.error is not None and not plan.busy:
                self.progress.errors[plan.label] = plan.error

    # Writing

    def _write(self, ready: t.Sequence[ClusterPlan]) -> None:
        """Write clusters, then machines.

        The references are announced on credential ``to``, so that no run of this collection deletes it meanwhile.
        """
        remedy = "use another credential, or run again if it is kept"
        announced = announce(self._client, self._target, self._run_id, remedy)
        try:
            self._client.parallel_map(self._write_cluster, [plan for plan in ready if plan.fields])
            machines = [
                (plan, machine) for plan in ready if plan.label not in self.progress.errors
                for machine in plan.machines
            ]
            self._client.parallel_map(lambda entry: self._write_machine(*entry), machines)
        finally:
            withdraw(self._client, announced, self._run_id)

    def _write_cluster(self, plan: ClusterPlan) -> None:
        """Patch one cluster, or leave it to the next round if another client has changed what was planned."""
        try:
            for _attempt in range(CONFLICT_ATTEMPTS):
                user = plan.user
                if user is None or self._patch_cluster(plan, user):
                    self.progress.add_cluster(plan)
                    return
                fresh = self._observer.read_user(user)
                if fresh is None:
                    break
                moved = moved_fields(plan, user, fresh, self._target.full_id)
                if moved:  # the answer to our patch was lost
                    self.progress.add_cluster(replace(plan, fields=moved))
                    return
                if not user.same_except_version(fresh):
                    break
                plan = replace(plan, user=fresh)  # only the status or other metadata has changed
        except RanchhandError as error:
            self.progress.errors[plan.label] = error
            return
        self._count_conflict(plan)

    def _count_conflict(self, plan: ClusterPlan) -> None:
        self._conflicts[plan.label] += 1
        if self._conflicts[plan.label] > CONFLICT_ATTEMPTS:
            self.progress.errors[plan.label] = RanchhandError(
                "conflict", f"cannot repoint cluster {plan.label}: other clients change it all the time. Run again")

    def _patch_cluster(self, plan: ClusterPlan, user: CredentialUser) -> bool:
        """Patch a cluster; returns False if a test has failed, and raises the errors of a webhook."""
        try:
            self._client.json_patch(path_of(user), cluster_patch(plan, self._target.full_id))
        except ApiError as error:
            if error.status not in (404, 409, 422):
                raise
            if error.status == 422:
                fresh = self._observer.read_user(user)
                if fresh is not None and fresh.resource_version == user.resource_version:
                    raise
            return False
        return True

    def _write_machine(self, plan: ClusterPlan, machine: Machine) -> None:
        """Patch one machine."""
        target = self._target.full_id
        try:
            for _attempt in range(CONFLICT_ATTEMPTS):
                try:
                    self._client.patch(self._observer.machine_path(machine), machine_patch(machine, target))
                except ApiError as error:
                    if error.status not in (404, 409):
                        raise
                else:
                    self.progress.add_machine(machine)
                    return
                fresh = self._observer.read_machine(machine)
                if fresh is None or fresh.uid != machine.uid:
                    return  # gone
                if fresh.credential == target:
                    self.progress.add_machine(machine)  # the answer to our patch was lost
                    return
                if fresh.credential != machine.credential:
                    return  # the next round decides
                machine = fresh
        except RanchhandError as error:
            self.progress.errors[plan.label] = error
            return
        self._count_conflict(plan)
