# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Makes the stored objects of one call what a task describes: observe, plan, apply, whatever the kind."""

from __future__ import annotations

import random
import time
import typing as t
from collections.abc import Mapping
from dataclasses import replace

from .._common.errors import ApiError, RanchhandError, internal_error
from .._common.times import format_duration, now
from .._kubernetes.client import CONFLICT_ATTEMPTS, KubernetesClient, name_in_path
from .._kubernetes.concurrency import parallel_results
from .._rancher.annotations import announced_runs
from .._rancher.driver_schema import DriverSchemas
from .._rancher.queries import get_or_none, read_own_user, read_schemas, read_users
from .._rancher.references import ReferenceIndex
from .._rancher.users import Users
from .._runtime.execute import RunMode
from .catalog import Catalog, StoredT
from .planning import Change, DesiredT, Observed, check_selected

# The characters that Kubernetes appends to a generateName (apimachinery pkg/util/rand).
_NAME_CHARACTERS = "bcdfghjklmnpqrstvwxz2456789"
CACHE_SECONDS = 5.0      # how long a list is used again; writes carry their preconditions
FOREVER = float("inf")   # for what does not change while a loop runs
_SHORTEST_PAUSE = 0.2    # seconds


def random_name(length: int) -> str:
    """Return a name that no concurrent run uses."""
    return "".join(random.SystemRandom().choices(_NAME_CHARACTERS, k=length))


class Reconciler(t.Generic[DesiredT, StoredT]):
    """Reconciles the objects of one call; a subclass defines how its kind is read and planned."""

    path: str            # of the collection in its namespace
    prefix: str          # of names
    observed: Observed[StoredT]

    def __init__(self, client: KubernetesClient, desired: t.Sequence[DesiredT]) -> None:
        self.client = client
        self.desired = desired
        self.warnings: list[str] = []
        self.run_id = random_name(10)

    # What a kind defines

    def new_catalog(self, stored: t.Iterable[StoredT]) -> Catalog[StoredT]:
        raise NotImplementedError

    def parse(self, item: Mapping[str, t.Any]) -> StoredT | None:
        raise NotImplementedError

    def list_all(self) -> t.Iterable[StoredT]:
        """List all objects of the kind."""
        raise NotImplementedError

    def observe(self) -> Observed[StoredT]:
        """Read all that planning needs, except references and the connection's own user."""
        raise NotImplementedError

    def read_references(self) -> ReferenceIndex:
        raise NotImplementedError

    def plan(
        self, desired: t.Sequence[DesiredT], stored: Catalog[StoredT], references: ReferenceIndex | None = None,
    ) -> list[Change[DesiredT, StoredT]]:
        """Plan objects against this catalog and the rest of ``observed``."""
        raise NotImplementedError

    def verify(self, changes: list[Change[DesiredT, StoredT]]) -> list[Change[DesiredT, StoredT]]:
        """Check outside of Rancher what is about to be written; a change that must not be written becomes failed."""
        return changes

    def wait_until_readable(self, names: t.Collection[str]) -> None:
        """Wait until the connection may read the objects that it created."""

    # Reading

    def path_of(self, stored: StoredT) -> str:
        return f"{self.path}/{name_in_path(stored.id)}"

    def read_again(self, stored: StoredT) -> StoredT | None:
        """Read an object again; None if it is gone, or another object has its name now."""
        item = get_or_none(self.client, self.path_of(stored))
        fresh = None if item is None else self.parse(item)
        return fresh if fresh is not None and fresh.uid == stored.uid else None

    def catalog(self, fresh: bool = False) -> Catalog[StoredT]:
        """Return all objects of the kind; unless ``fresh``, as they were at most five seconds ago."""
        if fresh:
            self.client.invalidate(self.path)
        found: Catalog[StoredT] = self.client.cached(
            self.path, CACHE_SECONDS, lambda: self.new_catalog(self.list_all()),
        )
        return found

    def schemas(self) -> DriverSchemas | None:
        """Read the schemas, if an item is validated."""
        if not any(item.validate_config for item in self.desired):
            return None
        found: DriverSchemas | None = self.client.cached("schemas", FOREVER, lambda: read_schemas(self.client))
        return found

    def users(self) -> Users:
        """Read the users, if an item names an owner."""
        if not any(item.owner for item in self.desired):
            return Users(())
        found: Users = self.client.cached("users", CACHE_SECONDS, lambda: read_users(self.client))
        return found

    def _creates_for_own_user(self, observed: Observed[StoredT]) -> bool:
        """Return whether an object has to be created whose owner is the connection's own user."""
        for item in self.desired:
            if item.state == "present" and item.id is None and item.owner is None:
                try:
                    if observed.stored.find(item, observed.users) is None:
                        return True
                except RanchhandError:
                    pass  # planning reports it
        return False

    # Observe, plan, verify, apply

    def run(self, mode: RunMode) -> list[Change[DesiredT, StoredT]]:
        """Observe, plan and verify, and apply the plan unless in check mode."""
        changes = self.verify(self.observe_and_plan(self.desired))
        return changes if mode.check else self._apply_and_wait(changes)

    def observe_and_plan(self, desired: t.Sequence[DesiredT]) -> list[Change[DesiredT, StoredT]]:
        """Observe what all objects of the call need, and plan some of them."""
        self.observed = self.observe()
        if self._creates_for_own_user(self.observed):
            own_user = read_own_user(self.client)
            self.observed = replace(self.observed, own_user=own_user.id if own_user else None)
        changes = self.plan(desired, self.observed.stored)
        if any(change.action == "deleted" for change in changes):
            changes = self.plan(desired, self.observed.stored, self.read_references())
        return changes

    def _apply_and_wait(self, changes: list[Change[DesiredT, StoredT]]) -> list[Change[DesiredT, StoredT]]:
        """Apply the changes, and those that wait for references as soon as they can be: no item delays another one.

        An object that has to be deleted with ``wait`` is planned again until it is not in use, or its ``wait_timeout``
        is over. When everything is written, all finalizers are waited for together.
        """
        start = time.monotonic()
        done = list(changes)
        pending = list(range(len(changes)))
        while True:
            elapsed = time.monotonic() - start
            waiting = [
                index for index in pending
                if done[index].action == "refused" and done[index].desired.wait
                and elapsed < done[index].desired.wait_timeout
            ]
            ready = [index for index in pending if index not in waiting]
            for index, change in zip(ready, self.apply([done[index] for index in ready])):
                done[index] = change
            if not waiting:
                return self._wait_for_finalizers(done)
            pending, desired = waiting, [done[index].desired for index in waiting]
            time.sleep(max(_SHORTEST_PAUSE, min(item.wait_sleep for item in desired)))
            try:
                planned = self.observe_and_plan(desired)
            except RanchhandError as error:
                planned = [replace(done[index], action="failed", error=error) for index in pending]
            for index, change in zip(pending, planned):
                done[index] = change

    def apply(self, changes: list[Change[DesiredT, StoredT]]) -> list[Change[DesiredT, StoredT]]:
        """Write all changes; an error is reported with its item and does not stop the others."""
        if not changes:
            return changes
        try:
            done = self.write_all(changes)
        except BaseException:
            self.client.invalidate(self.path)
            raise
        if any(change.error for change in done):
            self.client.invalidate(self.path)
        elif any(change.writes for change in done):
            written = _written(done)
            self.client.update_cached(self.path, lambda catalog: catalog.with_objects(written))
        return self._remove_duplicates(done)

    def write_all(self, changes: list[Change[DesiredT, StoredT]]) -> list[Change[DesiredT, StoredT]]:
        return self.client.parallel_map(lambda change: self.with_error(self.write, change), changes)

    def with_error(
        self, step: t.Callable[[Change[DesiredT, StoredT]], Change[DesiredT, StoredT]],
        change: Change[DesiredT, StoredT],
    ) -> Change[DesiredT, StoredT]:
        """Run a step for one change; an error becomes the result of this change."""
        try:
            return step(change)
        except RanchhandError as error:
            return replace(change, action="refused" if error.code == "in_use" else "failed", error=error)
        except Exception as error:  # a bug, or an odd answer, which does not hide what was done for other items
            return replace(change, action="failed", error=internal_error(error))

    def write(self, change: Change[DesiredT, StoredT]) -> Change[DesiredT, StoredT]:
        """Write one change; after a conflict it is planned and written again, a limited number of times."""
        if not change.writes:
            return change
        step = {"created": self.create, "updated": self.update, "deleted": self.delete}
        for _attempt in range(CONFLICT_ATTEMPTS):
            try:
                return step[change.action](change)
            except ApiError as error:
                gone = error.status == 404 and change.action == "updated"
                if error.status != 409 and not gone:
                    raise
                conflict = error
            if change.action == "created":  # the conflict is about another object, such as a quota
                continue
            planned = self._plan_again(change)
            if not planned.writes:
                return self._already_done(change, planned)
            change = planned
        raise conflict

    def _plan_again(self, change: Change[DesiredT, StoredT]) -> Change[DesiredT, StoredT]:
        """Plan one item again with its object as it is stored now."""
        current = change.stored
        fresh = self.read_again(current)
        if fresh is None:
            if change.action == "deleted":
                return replace(change, action="unchanged")
            raise RanchhandError("conflict", f"{current.full_id} was deleted by another client during this run; run "
                                             "again")
        check_selected(change.desired, current, fresh)
        references = self.read_references() if change.action == "deleted" else None
        planned, = self.plan([replace(change.desired, id=fresh.id)], self.new_catalog([fresh]), references)
        return replace(planned, desired=change.desired, details={**change.details, **planned.details})

    def _already_done(
        self, change: Change[DesiredT, StoredT], planned: Change[DesiredT, StoredT],
    ) -> Change[DesiredT, StoredT]:
        """Report a change that is not needed any more, or refused, after a conflict.

        Either a concurrent run wrote the same, or the request of this run had been processed and its reply was lost.
        """
        if planned.error:
            return planned
        return replace(planned, action=change.action, changed_fields=change.changed_fields)

    def create(self, change: Change[DesiredT, StoredT]) -> Change[DesiredT, StoredT]:
        """Create an object under a random name chosen here, so that a repeated request cannot create a second object.
        """
        for _attempt in range(CONFLICT_ATTEMPTS):
            name = self.prefix + random_name(5)
            body = {**change.body, "metadata": {**change.body["metadata"], "name": name}}
            stored = self._create_or_find(name, body)
            if stored is not None:
                return replace(change, after=self.parse(stored))
        raise RanchhandError("conflict", f"cannot create {change.desired.name:.80}: found no unused object name; run "
                                         "again")

    def _create_or_find(self, name: str, body: Mapping[str, t.Any]) -> dict[str, t.Any] | None:
        """Create an object, or find the one of a request whose reply was lost.

        None if the name is used by another object.
        """
        try:
            return self.client.post(self.path, body)
        except ApiError as error:
            if error.status == 404:
                raise RanchhandError(
                    "unsupported", f"{self.client.host} is not the management cluster of a Rancher: {error.message}"
                ) from None
            if error.reason != "AlreadyExists":
                raise
        stored = get_or_none(self.client, f"{self.path}/{name}")
        ours = stored is not None and all(
            stored.get(key) == value for key, value in body.items() if key not in ("metadata", "apiVersion", "kind")
        )
        return stored if ours else None

    def update(self, change: Change[DesiredT, StoredT]) -> Change[DesiredT, StoredT]:
        return replace(change, after=self.parse(self.client.patch(self.path_of(change.stored), change.body)))

    def delete(self, change: Change[DesiredT, StoredT]) -> Change[DesiredT, StoredT]:
        self.delete_version(change.stored)
        return change

    def delete_version(self, stored: StoredT) -> None:
        """Delete an object if it still has this version; an object that is gone is not an error."""
        try:
            self.client.delete(self.path_of(stored), stored.uid, stored.resource_version)
        except ApiError as error:
            if error.status != 404:
                raise

    def _wait_for_finalizers(self, changes: list[Change[DesiredT, StoredT]]) -> list[Change[DesiredT, StoredT]]:
        """Wait until deleted objects are gone: together, and for each at most its ``wait_timeout``.

        Without ``wait``, warn which finalizers an object waits for.
        """
        done = list(changes)
        start = time.monotonic()
        pending = [index for index, change in enumerate(done) if _has_finalizers(change)]
        if pending:
            self.client.invalidate(self.path)
        while pending:
            waited = time.monotonic() - start
            found = list(parallel_results(self._read_remaining, [done[index] for index in pending]))
            waiting = []
            for index, remaining in zip(pending, found):
                if remaining is None:
                    continue
                done[index] = self._report_remaining(done[index], remaining, waited)
                if done[index].desired.wait and not done[index].error:
                    waiting.append(index)
            pending = waiting
            if pending:
                time.sleep(max(_SHORTEST_PAUSE, min(done[index].desired.wait_sleep for index in pending)))
        return done

    def _read_remaining(self, change: Change[DesiredT, StoredT]) -> StoredT | RanchhandError | None:
        """Read an object that is being deleted; None if it is gone."""
        try:
            return self.read_again(change.stored)
        except RanchhandError as error:
            return error
        except Exception as error:  # an odd answer, which does not hide what was done for other items
            return internal_error(error)

    def _report_remaining(
        self, change: Change[DesiredT, StoredT], remaining: StoredT | RanchhandError, waited: float,
    ) -> Change[DesiredT, StoredT]:
        """Warn of an object that still exists, or add an error if its time is over or it cannot be read.

        The action is then still ``deleted``, if this run deleted the object: the deletion cannot be undone.
        """
        desired, name = change.desired, change.stored.full_id
        if isinstance(remaining, RanchhandError):
            error = remaining
        else:
            finalizers = ", ".join(remaining.finalizers)
            if not desired.wait:
                self.warnings.append(f"{name} is deleted when its finalizers are done: {finalizers}")
                return change
            if waited < desired.wait_timeout:
                return change
            error = RanchhandError(
                "conflict", f"{name} is still being deleted after {format_duration(desired.wait_timeout)}: it waits "
                            f"for its finalizers {finalizers}. Check the controllers that they belong to"
            )
        return replace(change, action="deleted" if change.action == "deleted" else "failed", error=error)

    # Objects with the same name that concurrent runs create

    def _remove_duplicates(self, done: list[Change[DesiredT, StoredT]]) -> list[Change[DesiredT, StoredT]]:
        """Delete each created object for which a concurrent run created the same one earlier."""
        created = [change.created for change in done if change.action == "created"]
        try:
            if not created or self._are_unique(created):
                return done
            self.wait_until_readable([stored.id for stored in created])
            catalog = self.catalog(fresh=True)
        except RanchhandError as error:
            failure = _unchecked(error)
            return [replace(change, error=failure) if change.action == "created" else change for change in done]

        def remove_duplicate(change: Change[DesiredT, StoredT]) -> Change[DesiredT, StoredT]:
            return self._yield_to_earlier(change, catalog)

        return [self.with_error(remove_duplicate, change) if change.action == "created" else change for change in done]

    def _are_unique(self, created: t.Sequence[StoredT]) -> bool:
        """Return whether it is certain that no other client used the names of the created objects since the last list.

        Reads the events since that list, up to the creations of this run; the cached list is updated with them too.
        """
        identities = {(stored.name, stored.driver, stored.owner) for stored in created}
        own_ids = {stored.id for stored in created}
        missing = set(own_ids)
        written: dict[str, StoredT | None] = {}
        for event, item in self.client.watch_events(self.path):
            name = item["metadata"]["name"]
            if event == "ADDED" and name in missing:
                missing.remove(name)
                if not missing:
                    break
            else:
                written[name] = None if event == "DELETED" else self.parse(item)
        if missing:
            return False
        if written:
            self.client.update_cached(self.path, lambda catalog: catalog.with_objects(written))
        others = [stored for stored in written.values() if stored and stored.id not in own_ids]
        return not any((stored.name, stored.driver, stored.owner) in identities for stored in others)

    def _yield_to_earlier(
        self, change: Change[DesiredT, StoredT], catalog: Catalog[StoredT],
    ) -> Change[DesiredT, StoredT]:
        """Delete the created object if an object with the same name existed before it, and plan again with that one.

        Of two runs that see each other's object, only the later one deletes its own.
        """
        own = change.created
        try:
            earlier = [
                stored for stored in catalog.named(own.name, own.driver, own.owner)
                if stored.id != own.id and not stored.deleting and self._existed_at(stored, own.resource_version)
            ]
            if not earlier:
                return change
            self.client.invalidate(self.path)
            self._delete_twin(catalog.by_id.get(own.id, own))
        except RanchhandError as error:
            return replace(change, error=_unchecked(error))
        planned, = self.plan([change.desired], self.new_catalog(self._remaining(earlier)))
        planned = replace(planned, details={**change.details, **planned.details})
        return self.write(planned) if planned.writes else planned

    def _delete_twin(self, own: StoredT) -> None:
        """Delete the created object unless another run refers to it or is about to; others may change it meanwhile."""
        for _attempt in range(CONFLICT_ATTEMPTS):
            try:
                self.delete_version(own)
            except ApiError as error:
                if error.status != 409:
                    raise
                conflict = error
            else:
                return
            fresh = self.read_again(own)
            if fresh is None or fresh.deleting:
                return
            # An announcement after this read changes the version; a reference before it is in the list.
            if announced_runs(fresh.annotations, now()) or self.read_references().needed_by(fresh):
                break
            own = fresh
        raise conflict

    def _remaining(self, twins: list[StoredT]) -> list[StoredT]:
        """Wait until the runs that created the same object have deleted all but the first; returns what remains."""
        for attempt in range(CONFLICT_ATTEMPTS):
            if len(twins) == 1:
                break
            time.sleep(_SHORTEST_PAUSE * attempt)
            fresh = [self.read_again(stored) for stored in twins]
            twins = [stored for stored in fresh if stored is not None and not stored.deleting] or twins[:1]
        return twins

    def _existed_at(self, stored: StoredT, resource_version: str) -> bool:
        """Return whether an object existed at a resourceVersion; its creation time has a resolution of a second only.
        """
        version = {"resourceVersion": resource_version, "resourceVersionMatch": "Exact"}
        return any(self.client.list_objects(self.path, fieldSelector=f"metadata.name={stored.id}", **version))


def _unchecked(error: RanchhandError) -> RanchhandError:
    """Return the failure of an object that was created, and that the result therefore contains."""
    return RanchhandError(
        error.code, f"it was created, but whether another run created the same object is unknown: {error.message}",
    )


def _written(changes: t.Iterable[Change[DesiredT, StoredT]]) -> dict[str, StoredT | None]:
    """Return the objects after the changes, by id; None for those that were deleted."""
    written: dict[str, StoredT | None] = {}
    for change in changes:
        if change.action == "deleted":
            written[change.stored.id] = None
        elif change.after is not None and change.after.id:
            written[change.after.id] = change.after
    return written


def _has_finalizers(change: Change[DesiredT, StoredT]) -> bool:
    """Return whether an object that was deleted, or has to be gone, waits for finalizers."""
    stored = change.before
    if change.error or stored is None or not stored.finalizers:
        return False
    return change.action == "deleted" or (
        change.action == "unchanged" and stored.deleting and change.desired.wait
    )
