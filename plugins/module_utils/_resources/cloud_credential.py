# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the modules cloud_credential and cloud_credential_info do.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import time
import typing as t
from collections.abc import Mapping
from dataclasses import replace

from .._common.errors import ApiError, RanchhandError
from .._common.options import OptionSpec, WAIT, single_or_list
from .._common.times import format_time, now
from .._guard.client import GuardClient
from .._kubernetes.client import CONFLICT_ATTEMPTS
from .._kubernetes.connection import CONNECTION
from .._rancher.annotations import ALLOW_DELETE, MARKED_FOR_DELETION, announced_runs, deleting_run
from .._rancher.cloud_credential import CREDENTIAL_KIND, CloudCredential, parse_cloud_credential, show_cloud_credential
from .._rancher.queries import (
    SECRETS_PATH,
    list_cloud_credentials,
    list_readable_secret_names,
    read_own_user,
    read_references,
)
from .._rancher.references import ReferenceIndex
from .._runtime.execute import Connect, RunMode
from .cloud_credential_plan import (
    NO_CREDENTIALS,
    ObservedCredentials,
    parse_desired_credentials,
    plan_cloud_credentials,
)
from .planning import CALL_OPTIONS, Change, plan_removal
from .reconciler import Reconciler
from .report import report

CREDENTIAL_ITEM = OptionSpec({
    "name": {"type": "str"},
    "id": {"type": "str"},
    "driver": {"type": "str"},
    "owner": {"type": "str"},
    "description": {"type": "str"},
    "labels": {"type": "dict"},
    "annotations": {"type": "dict"},
    "config": {"type": "dict"},
    "secrets": {"type": "dict", "no_log": True},
    "update_secrets": {"type": "str", "choices": ["always", "on_create"], "default": "always", "no_log": False},
    "validate_config": {"type": "bool", "default": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "force": {"type": "bool", "default": False},
}).merge(WAIT)
CLOUD_CREDENTIAL = single_or_list(CONNECTION, CREDENTIAL_ITEM, "credentials", CALL_OPTIONS)
_RULE_TIMEOUT = 30.0  # seconds for Rancher to let a creator read what it created; seen to take three


def manage_cloud_credentials(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """cloud_credential: creates, updates and deletes."""
    desired = parse_desired_credentials(params)
    many = params.get("credentials") is not None
    if not desired:
        return {"changed": False, "credentials": []}
    manager = CloudCredentialReconciler(connect(), desired)
    changes = manager.run(mode)
    return report(changes, manager.warnings, manager.observed.schemas, show_cloud_credential, mode, "credential", many)


class CloudCredentialReconciler(Reconciler):
    """The cloud credentials of one call."""

    path = SECRETS_PATH
    prefix = "cc-"
    empty = NO_CREDENTIALS

    def parse(self, item: Mapping[str, t.Any]) -> CloudCredential | None:
        return parse_cloud_credential(item)

    def read_all(self) -> list[CloudCredential]:
        return list_cloud_credentials(self.client)

    def observe(self) -> ObservedCredentials:
        wanted = self.desired
        only_ids = all(one.id for one in wanted) and not any("kubeconfigContent" in {**one.config, **one.secrets} for one in wanted)
        found, schemas, users = self.client.parallel_reads(
            lambda: NO_CREDENTIALS.of(list_cloud_credentials(self.client, {one.id for one in wanted})) if only_ids else self.catalog(),
            self.schemas,
            self.users,
        )
        observed = ObservedCredentials(found, schemas, users)
        if self.creates_for_itself(observed):
            me = read_own_user(self.client)
            observed = replace(observed, me=me.id if me else None)
        return observed

    def references(self) -> ReferenceIndex:
        return read_references(self.client)

    def plan(self, desired: t.Sequence[t.Any], observed: ObservedCredentials, references: ReferenceIndex | None = None) -> list[Change]:
        return plan_cloud_credentials(desired, observed, references)

    def write_all(self, changes: list[Change]) -> list[Change]:
        """Creations and updates one by one; removals together, as they need a second look at all references."""
        removals = {index for index, change in enumerate(changes) if change.action == "deleted"}
        done = super().write_all([change if index not in removals else replace(change, action="unchanged") for index, change in enumerate(changes)])
        if removals:
            for index, removal in zip(sorted(removals), self.remove_all([changes[index] for index in sorted(removals)])):
                done[index] = removal
        return done

    def remove_all(self, changes: list[Change]) -> list[Change]:
        """Condemn, look again, delete: so that nothing of ours starts to refer to them in between (see _marks).

        With a guard in the cluster, nobody else does either.
        """
        self.guard = GuardClient.find(self.client, self.warnings)
        marked = self.client.parallel_map(lambda change: self.guarded(self._condemn, change), changes)
        going = [change.before for change in marked if change.action == "deleted"]
        careful = [change.before for change in marked if change.action == "deleted" and not change.desired.force]
        try:
            if self.guard and careful:
                self.guard.condemn(careful, self.run_id)
            references = self.references() if careful else ReferenceIndex()
        except RanchhandError as error:
            marked = [self._reprieve(replace(change, action="failed", error=error)) if change.action == "deleted" else change for change in marked]
        else:
            marked = self.client.parallel_map(lambda change: self.guarded(lambda one: self._execute(one, references), change), marked)
            marked = [self._reprieve(change) if change.error else change for change in marked]
        if self.guard:
            deleted = {change.before.id for change in marked if change.action == "deleted"}
            self.guard.pardon({one.id for one in going} - deleted)
        return marked

    def _condemn(self, change: Change) -> Change:
        def decide(current: CloudCredential) -> dict[str, str | None]:
            announced = announced_runs(current.annotations, now())
            if announced and not change.desired.force:
                raise RanchhandError(
                    "in_use", f"cloud credential {current.name:.80} ({current.full_id}) is about to be used: "
                              f"another run ({', '.join(announced)}) is creating node templates with it; run again"
                )
            return {MARKED_FOR_DELETION: f"{format_time(now())} {self.run_id}", **({ALLOW_DELETE: "true"} if self.guard and self.guard.protects else {})}

        marked = self.mark(change.before, decide)
        return replace(change, before=marked) if marked else replace(change, action="unchanged")  # gone without us

    def _execute(self, change: Change, references: ReferenceIndex) -> Change:
        if change.action != "deleted":
            return change
        current: CloudCredential = change.before
        for _try in range(CONFLICT_ATTEMPTS):
            if not change.desired.force:
                again = plan_removal(change.desired, current, references.references_to(current), references.unlisted, CREDENTIAL_KIND)
                if again.action != "deleted":
                    return again
                change = again
            try:
                self.remove(current)
            except ApiError as error:
                if error.status != 409:
                    raise
                conflict = error
            else:
                self.wait_for_finalizers(change.desired, current)
                return change
            # A foreign annotation may have moved the resourceVersion; while our mark stands, nothing of ours was announced,
            # but others may have begun to refer to it.
            fresh = self.read_one(current.id)
            if fresh is None or fresh.uid != current.uid:
                return change
            if fresh.deleting:  # our own delete had arrived, and its reply was lost
                self.wait_for_finalizers(change.desired, fresh)
                return change
            if deleting_run(fresh.annotations, now()) != self.run_id:
                raise RanchhandError("conflict", f"{current.full_id} is being deleted by another run; run again")
            current = fresh
            references = references if change.desired.force else self.references()
        raise conflict

    def _reprieve(self, change: Change) -> Change:
        """Take our marks off a credential that stays; if that fails they are ignored after a while."""
        def decide(current: CloudCredential) -> dict[str, str | None]:
            mine = deleting_run(current.annotations, now()) == self.run_id and not current.deleting
            return {key: None for key in (MARKED_FOR_DELETION, ALLOW_DELETE) if key in current.annotations} if mine else {}

        with contextlib.suppress(RanchhandError):
            self.mark(change.before, decide)
        return change

    def wait_until_readable(self, names: list[str]) -> None:
        """Wait until an ordinary Rancher user's rules show what it created, so that its next run finds it."""
        try:
            self.client.get(SECRETS_PATH, limit=1)
            return
        except ApiError as error:
            if error.status != 403:
                raise
        deadline = time.monotonic() + _RULE_TIMEOUT
        while not set(names) <= set(list_readable_secret_names(self.client)):
            if time.monotonic() > deadline:
                self.warnings.append(f"Rancher has not yet let this connection read {', '.join(names)}; the next run may not find them")
                return
            time.sleep(0.5)
