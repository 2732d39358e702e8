# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The module cloud_credential."""

from __future__ import annotations

import time
import typing as t
from collections.abc import Mapping
from dataclasses import replace

from .._common.errors import ApiError, RanchhandError
from .._common.options import WAIT, OptionSpec, single_or_list
from .._common.times import format_time, now
from .._guard.client import GuardClient
from .._issuers.verification import SignIns
from .._kubernetes.client import CONFLICT_ATTEMPTS, KubernetesClient
from .._kubernetes.connection import CONNECTION
from .._rancher.annotations import (
    ALLOW_DELETE,
    ANNOTATION_LIFETIME,
    MARKED_FOR_DELETION,
    announced_runs,
    deleting_run,
)
from .._rancher.cloud_credential import (
    CREDENTIAL_KIND,
    CloudCredential,
    parse_cloud_credential,
    show_cloud_credential,
)
from .._rancher.queries import (
    SECRETS_PATH,
    list_cloud_credentials,
    list_readable_secret_names,
    read_references,
)
from .._rancher.references import ReferenceIndex
from .._runtime.execute import Connect, RunMode
from .announcements import annotate_credential
from .catalog import Catalog
from .cloud_credential_plan import (
    CREDENTIAL_CALL_OPTIONS,
    CredentialChange,
    ObservedCredentials,
    credential_catalog,
    parse_desired_credentials,
    plan_cloud_credentials,
)
from .desired import DesiredCredential
from .planning import check_selected, plan_deletion
from .reconciler import Reconciler
from .report import report
from .verification import KeyVerification

# The options that an item has whatever its kind.
OBJECT_ITEM = OptionSpec({
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
CREDENTIAL_ITEM = OBJECT_ITEM.merge(OptionSpec({
    "overwrite_rotated": {"type": "bool", "default": False},
    "verify": {"type": "bool", "default": False},
    "verify_options": {"type": "dict"},
}))
CLOUD_CREDENTIAL = single_or_list(CONNECTION, CREDENTIAL_ITEM, "credentials", CREDENTIAL_CALL_OPTIONS)
_LIFETIME_MINUTES = ANNOTATION_LIFETIME.seconds // 60
_RULE_TIMEOUT = 30.0  # seconds until Rancher lets a creator read what it created; measured: three


def manage_cloud_credentials(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """Create, update and delete cloud credentials."""
    desired = parse_desired_credentials(params)
    many = params.get("credentials") is not None
    if not desired:
        return {"changed": False, "credentials": []}
    reconciler = CloudCredentialReconciler(connect(), desired)
    changes = reconciler.run(mode)
    schemas = reconciler.observed.schemas
    return report(changes, reconciler.warnings, schemas, show_cloud_credential, mode, "credential", many)


class CloudCredentialReconciler(Reconciler[DesiredCredential, CloudCredential]):
    """Reconciles the cloud credentials of one call."""

    path = SECRETS_PATH
    prefix = "cc-"
    guard: GuardClient | None = None

    def __init__(self, client: KubernetesClient, desired: t.Sequence[DesiredCredential]) -> None:
        super().__init__(client, desired)
        self._verification = KeyVerification(client.parallel_map, SignIns())

    def new_catalog(self, stored: t.Iterable[CloudCredential]) -> Catalog[CloudCredential]:
        return credential_catalog(stored)

    def parse(self, item: Mapping[str, t.Any]) -> CloudCredential | None:
        return parse_cloud_credential(item)

    def list_all(self) -> list[CloudCredential]:
        return list_cloud_credentials(self.client)

    def observe(self) -> ObservedCredentials:
        found, schemas, users = self.client.parallel_reads(self._find_credentials, self.schemas, self.users)
        return ObservedCredentials(found, schemas, users)

    def _find_credentials(self) -> Catalog[CloudCredential]:
        """Read all credentials, or only those with the ids of the items if planning needs no other."""
        ids = {item.id for item in self.desired if item.id}
        # a Harvester token is compared with those of all credentials
        new_tokens = any("kubeconfigContent" in {**item.config, **item.secrets} for item in self.desired)
        if new_tokens or not all(item.id for item in self.desired):
            return self.catalog()
        return credential_catalog(list_cloud_credentials(self.client, ids))

    def read_references(self) -> ReferenceIndex:
        return read_references(self.client)

    def plan(
        self, desired: t.Sequence[DesiredCredential], stored: Catalog[CloudCredential],
        references: ReferenceIndex | None = None,
    ) -> list[CredentialChange]:
        return plan_cloud_credentials(desired, replace(self.observed, stored=stored), references)

    def verify(self, changes: list[CredentialChange]) -> list[CredentialChange]:
        verified, warnings = self._verification.verify(changes)
        self.warnings += warnings
        return verified

    def update(self, change: CredentialChange) -> CredentialChange:
        self._verification.require_verified(change)
        return super().update(change)

    def write_all(self, changes: list[CredentialChange]) -> list[CredentialChange]:
        """Write creations and updates separately, and deletions together, as these read all references again."""
        deletions = [index for index, change in enumerate(changes) if change.action == "deleted"]
        others = [replace(change, action="unchanged") if change.action == "deleted" else change for change in changes]
        done = super().write_all(others)
        if deletions:
            pending = [changes[index] for index in deletions]
            try:
                deleted = self._delete_all(pending)
            except RanchhandError as error:  # the result contains what was created before
                failed = error
                deleted = [replace(change, action="failed", error=failed) for change in pending]
            for index, change in zip(deletions, deleted):
                done[index] = change
        return done

    def _delete_all(self, changes: list[CredentialChange]) -> list[CredentialChange]:
        """Mark the credentials for deletion, check their references again, and delete them.

        So no run of this collection starts to refer to them in between (see _rancher/annotations.py), and if the
        cluster has a guard, no other client does.
        """
        self.guard = GuardClient.find(self.client, self.run_id, self.warnings)
        marked = self.client.parallel_map(lambda change: self.with_error(self._mark_for_deletion, change), changes)
        pending = [change for change in marked if change.action == "deleted"]
        checked = [change.stored for change in pending if not change.desired.force]
        try:
            if self.guard and checked:
                self.guard.deny_references(checked)
            references = self.read_references() if checked else ReferenceIndex()
        except RanchhandError as error:
            failed = error
            done = [
                replace(change, action="failed", error=failed) if change.action == "deleted" else change
                for change in marked
            ]
        else:
            def delete(change: CredentialChange) -> CredentialChange:
                return self._delete_marked(change, references) if change.action == "deleted" else change

            done = self.client.parallel_map(lambda change: self.with_error(delete, change), marked)
        failures = [change.stored for change in done if change.error and change.action != "deleted"]
        kept = self.client.parallel_map(self._unmark, failures)
        if self.guard:
            self.guard.allow_references([name for name in kept if name])
        return done

    def _mark_for_deletion(self, change: CredentialChange) -> CredentialChange:
        def decide(current: CloudCredential) -> dict[str, str | None]:
            if current.deleting:
                return {}
            check_selected(change.desired, change.stored, current)
            other = deleting_run(current.annotations, now())
            if other not in (None, self.run_id) and not change.desired.force:
                raise RanchhandError(
                    "conflict", f'cannot delete cloud credential "{current.name:.80}" ({current.full_id}): another run '
                                f"({other}) is deleting it. Run again when that run is over; if it was interrupted, "
                                f"run again {_LIFETIME_MINUTES} minutes after it started"
                )
            announced = announced_runs(current.annotations, now())
            if announced and not change.desired.force:
                raise RanchhandError(
                    "in_use", f'cannot delete cloud credential "{current.name:.80}" ({current.full_id}): another run '
                              f"({', '.join(announced)}) is creating or changing objects that use it. "
                              "Run again when that run is over"
                )
            allow: dict[str, str | None] = {ALLOW_DELETE: "true"} if self.guard and self.guard.protects else {}
            return {MARKED_FOR_DELETION: f"{format_time(now())} {self.run_id}", **allow}

        marked = annotate_credential(self.client, change.stored, decide)
        if marked is None:  # deleted by another client
            return replace(change, action="unchanged")
        if marked.deleting:
            return replace(change, action="unchanged", before=marked)
        return replace(change, before=marked)

    def _delete_marked(self, change: CredentialChange, references: ReferenceIndex) -> CredentialChange:
        """Delete a credential that this run has marked, unless something refers to it now."""
        current = change.stored
        for _attempt in range(CONFLICT_ATTEMPTS):
            if not change.desired.force:
                change = plan_deletion(change.desired, current, references, CREDENTIAL_KIND)
                if change.action != "deleted":
                    return change
            try:
                self.delete_version(current)
            except ApiError as error:
                if error.status != 409:
                    raise
                conflict = error
            else:
                return replace(change, before=current)
            fresh = self.read_again(current)
            if fresh is None:
                return change
            if fresh.deleting:  # the request of this run had been processed, and its reply was lost
                return replace(change, before=fresh)
            if deleting_run(fresh.annotations, now()) != self.run_id:
                raise RanchhandError("conflict", f"cannot delete {current.full_id}: another run is deleting it; run "
                                                 "again")
            check_selected(change.desired, current, fresh)
            # Another client has changed the credential. While it is marked, no run of this collection refers to it, but
            # other clients may.
            current = fresh
            references = references if change.desired.force else self.read_references()
        raise conflict

    def _unmark(self, credential: CloudCredential) -> str | None:
        """Remove the annotations of this run from a credential that is kept; if this fails, they expire.

        Returns its id if the credential is certainly kept: a deletion may have been processed although it failed here.
        """
        def decide(current: CloudCredential) -> dict[str, str | None]:
            if current.deleting or deleting_run(current.annotations, now()) != self.run_id:
                return {}
            return {key: None for key in (MARKED_FOR_DELETION, ALLOW_DELETE) if key in current.annotations}

        try:
            current = self.read_again(credential)
            kept = current and annotate_credential(self.client, current, decide)
        except RanchhandError:
            return None
        return kept.id if kept and not kept.deleting else None

    def wait_until_readable(self, names: t.Collection[str]) -> None:
        """Wait until the rules of an ordinary Rancher user contain what it created, so that its next run finds it."""
        try:
            self.client.get(SECRETS_PATH, limit=1)
            return
        except ApiError as error:
            if error.status != 403:
                raise
        deadline = time.monotonic() + _RULE_TIMEOUT
        while not set(names) <= set(list_readable_secret_names(self.client)):
            if time.monotonic() > deadline:
                self.warnings.append(
                    f"this connection may not read {', '.join(names)} yet, as Rancher has not added them to its role; "
                    "the next run "
                    "may not find them"
                )
                return
            time.sleep(0.5)
