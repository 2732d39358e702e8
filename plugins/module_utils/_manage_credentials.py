# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the modules cloud_credential and cloud_credential_info do.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import datetime
import time
import typing as t
from collections.abc import Mapping
from dataclasses import replace

from . import _observe as observe
from ._credential import EMPTY, WHAT, Credential, Observed, desired_from, from_secret, plan, show
from ._errors import ApiError, RanchhandError
from ._guarding import Guard
from ._kubernetes import Api
from ._manage import TRIES, Manager
from ._marks import ALLOW_DELETE, CONDEMNED, condemned_by, intents, now, stamp
from ._metadata import Users
from ._observe import SECRETS
from ._options import AUTH, WAIT, Spec, call_and_item
from ._planning import PER_CALL, Change, plan_removal
from ._references import Index
from ._run import Connect, Mode, report

ITEM = Spec({
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

CLOUD_CREDENTIAL = call_and_item(AUTH, ITEM, "credentials", PER_CALL)

FILTERS = Spec({
    "name": {"type": "str"},
    "id": {"type": "str"},
    "driver": {"type": "str"},
    "owner": {"type": "str"},
    "references": {"type": "bool", "default": False},
})

_RULE_TIMEOUT = 30.0  # seconds for Rancher to let a creator read what it created; seen to take three


def manage_credentials(params: Mapping[str, t.Any], connect: Connect, mode: Mode) -> dict[str, t.Any]:
    """cloud_credential: creates, updates and deletes."""
    desired = desired_from(params)
    many = params.get("credentials") is not None
    if not desired:
        return {"changed": False, "credentials": []}
    manager = CredentialManager(connect(), desired)
    changes = manager.run(mode)
    return report(changes, manager.warnings, manager.observed.schemas, show, mode, "credential", many)


def credentials(api: Api, ids: t.Collection[str] | None = None) -> list[Credential]:
    """All credentials, or at least those with the given ids."""
    found = (from_secret(secret) for secret in observe.secrets(api, ids))
    return [credential for credential in found if credential is not None]


class CredentialManager(Manager):
    """The cloud credentials of one call."""

    path = SECRETS
    prefix = "cc-"
    empty = EMPTY

    def parse(self, item: Mapping[str, t.Any]) -> Credential | None:
        return from_secret(item)

    def read_all(self) -> list[Credential]:
        return credentials(self.api)

    def observe(self) -> Observed:
        wanted = self.desired
        only_ids = all(one.id for one in wanted) and not any("kubeconfigContent" in {**one.config, **one.secrets} for one in wanted)
        found, schemas, users = self.api.at_once(
            lambda: EMPTY.of(credentials(self.api, {one.id for one in wanted})) if only_ids else self.catalog(),
            self.schemas,
            self.users,
        )
        observed = Observed(found, schemas, users)
        if self.creates_for_itself(observed):
            me = observe.myself(self.api)
            observed = replace(observed, me=me.id if me else None)
        return observed

    def references(self) -> Index:
        return observe.references(self.api)

    def plan(self, desired: t.Sequence[t.Any], observed: Observed, references: Index | None = None) -> list[Change]:
        return plan(desired, observed, references)

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
        self.guard = Guard.find(self.api, self.warnings)
        marked = self.api.parallel(lambda change: self.guarded(self._condemn, change), changes)
        going = [change.before for change in marked if change.action == "deleted"]
        careful = [change.before for change in marked if change.action == "deleted" and not change.desired.force]
        try:
            if self.guard and careful:
                self.guard.condemn(careful, self.run_id)
            references = self.references() if careful else Index()
        except RanchhandError as error:
            marked = [self._reprieve(replace(change, action="failed", error=error)) if change.action == "deleted" else change for change in marked]
        else:
            marked = self.api.parallel(lambda change: self.guarded(lambda one: self._execute(one, references), change), marked)
            marked = [self._reprieve(change) if change.error else change for change in marked]
        if self.guard:
            deleted = {change.before.id for change in marked if change.action == "deleted"}
            self.guard.pardon({one.id for one in going} - deleted)
        return marked

    def _condemn(self, change: Change) -> Change:
        def decide(current: Credential) -> dict[str, str | None]:
            announced = intents(current.annotations, now())
            if announced and not change.desired.force:
                raise RanchhandError(
                    "in_use", f"cloud credential {current.name:.80} ({current.full_id}) is about to be used: "
                              f"another run ({', '.join(announced)}) is creating node templates with it; run again"
                )
            return {CONDEMNED: f"{stamp(now())} {self.run_id}", **({ALLOW_DELETE: "true"} if self.guard and self.guard.protects else {})}

        marked = self.mark(change.before, decide)
        return replace(change, before=marked) if marked else replace(change, action="unchanged")  # gone without us

    def _execute(self, change: Change, references: Index) -> Change:
        if change.action != "deleted":
            return change
        current: Credential = change.before
        for _try in range(TRIES):
            if not change.desired.force:
                again = plan_removal(change.desired, current, references.to(current), references.unlisted, WHAT)
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
            if condemned_by(fresh.annotations, now()) != self.run_id:
                raise RanchhandError("conflict", f"{current.full_id} is being deleted by another run; run again")
            current = fresh
            references = references if change.desired.force else self.references()
        raise conflict

    def _reprieve(self, change: Change) -> Change:
        """Take our marks off a credential that stays; if that fails they are ignored after a while."""
        def decide(current: Credential) -> dict[str, str | None]:
            mine = condemned_by(current.annotations, now()) == self.run_id and not current.deleting
            return {key: None for key in (CONDEMNED, ALLOW_DELETE) if key in current.annotations} if mine else {}

        with contextlib.suppress(RanchhandError):
            self.mark(change.before, decide)
        return change

    def wait_until_readable(self, names: list[str]) -> None:
        """Wait until an ordinary Rancher user's rules show what it created, so that its next run finds it."""
        try:
            self.api.get(observe.SECRETS, limit=1)
            return
        except ApiError as error:
            if error.status != 403:
                raise
        deadline = time.monotonic() + _RULE_TIMEOUT
        while not set(names) <= set(observe.readable_secrets(self.api)):
            if time.monotonic() > deadline:
                self.warnings.append(f"Rancher has not yet let this connection read {', '.join(names)}; the next run may not find them")
                return
            time.sleep(0.5)


def wanted_by(params: Mapping[str, t.Any], one: t.Any, users: Users | None) -> bool:
    """Whether an object passes the filters of an info module."""
    owner = params["owner"]
    if owner and users and owner != one.owner:
        try:
            owner = users.find(owner)
        except RanchhandError as error:
            if error.code == "ambiguous":
                raise
            # a user that is gone may still own something
    return params["name"] in (None, one.name) and params["driver"] in (None, one.driver) and owner in (None, one.owner)


def describe(one: t.Any, shown: dict[str, t.Any], index: Index | None) -> dict[str, t.Any]:
    """What info modules say beyond what an object is: its age in seconds, its problem if it has one, and who refers to it."""
    created = datetime.datetime.fromisoformat(one.created_at.replace("Z", "+00:00"))
    shown["age"] = max(0, int((datetime.datetime.now(datetime.timezone.utc) - created).total_seconds()))
    if one.problem:
        shown["problem"] = one.problem
    if index is not None:
        shown["references"] = [reference.show() for reference in index.to(one)]
    return shown


def listing(name: str, shown: list[dict[str, t.Any]], index: Index | None) -> dict[str, t.Any]:
    """The result of an info module."""
    result: dict[str, t.Any] = {"changed": False, name: sorted(shown, key=lambda one: (one["name"], one["id"]))}
    if index is not None and index.unlisted:
        result["references_incomplete"] = list(index.unlisted)
    return result
