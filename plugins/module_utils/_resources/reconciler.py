# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""observe → plan → apply for the objects of one call, whatever their kind.

PRIVATE to the collection.
"""

from __future__ import annotations

import random
import time
import typing as t
from dataclasses import replace

from .._common.errors import ApiError, RanchhandError
from .._kubernetes.client import CONFLICT_ATTEMPTS, KubernetesClient, name_in_path
from .._rancher.annotations import annotation_patch
from .._rancher.cloud_credential import CloudCredential, parse_cloud_credential
from .._rancher.driver_schema import DriverSchemas
from .._rancher.queries import SECRETS_PATH, get_or_none, read_schemas, read_users
from .._rancher.references import ReferenceIndex
from .._rancher.users import Users
from .._runtime.execute import RunMode
from .catalog import Catalog
from .planning import Change, DesiredObject

# What Kubernetes itself appends to a generateName (apimachinery pkg/util/rand).
_NAME_CHARACTERS = "bcdfghjklmnpqrstvwxz2456789"
CACHE_SECONDS = 5.0          # seconds that a list is good for; writes carry their preconditions
FOREVER = float("inf")   # for what does not change while a loop runs


class Reconciler:
    """Makes the objects of one call what is wanted; a kind fills in how it is read, planned and shown."""

    path: str            # of the collection in its namespace
    prefix: str          # of names
    empty: Catalog
    observed: t.Any

    def __init__(self, client: KubernetesClient, desired: t.Sequence[t.Any]) -> None:
        self.client = client
        self.desired = desired
        self.warnings: list[str] = []
        self.run_id = "".join(random.SystemRandom().choices(_NAME_CHARACTERS, k=10))

    def read_one(self, name: str) -> t.Any:
        """One object as it is stored; None if there is none."""
        item = get_or_none(self.client, f"{self.path}/{name_in_path(name)}")
        return None if item is None else self.parse(item)

    def parse(self, item: t.Mapping[str, t.Any]) -> t.Any:
        raise NotImplementedError

    def read_all(self) -> t.Iterable[t.Any]:
        """All objects of the kind."""
        raise NotImplementedError

    def catalog(self, fresh: bool = False) -> t.Any:
        """All objects of the kind, as they were at most five seconds ago."""
        if fresh:
            self.client.invalidate(self.path)
        return self.client.cached(self.path, CACHE_SECONDS, lambda: self.empty.of(self.read_all()))

    def schemas(self) -> DriverSchemas | None:
        """The schemas, if anything is to be checked against them."""
        checked = any(one.validate_config for one in self.desired)
        return self.client.cached("schemas", FOREVER, lambda: read_schemas(self.client)) if checked else None

    def users(self) -> Users:
        """The users, if an owner has to be looked up."""
        named = any(one.owner for one in self.desired)
        return self.client.cached("users", CACHE_SECONDS, lambda: read_users(self.client)) if named else Users(())

    def observe(self) -> t.Any:
        """All that planning needs to know, but for references."""
        raise NotImplementedError

    def references(self) -> ReferenceIndex:
        raise NotImplementedError

    def plan(self, desired: t.Sequence[t.Any], observed: t.Any, references: ReferenceIndex | None = None) -> list[Change]:
        raise NotImplementedError

    def creates_for_itself(self, observed: t.Any) -> bool:
        """Whether anything has to be created without an owner being given, so that it matters who the connection is."""
        for one in self.desired:
            if one.state == "present" and one.id is None and one.owner is None:
                try:
                    if observed.stored.match(one, observed.users) is None:
                        return True
                except RanchhandError:
                    pass  # planning tells
        return False

    def run(self, mode: RunMode) -> list[Change]:
        """Observe and plan; apply unless in check mode."""
        changes = self.look()
        return changes if mode.check else self.apply(self.wait_for_references(changes))

    def look(self) -> list[Change]:
        """Observe and plan."""
        self.observed = self.observe()
        changes = self.plan(self.desired, self.observed)
        if any(change.action == "deleted" for change in changes):
            changes = self.plan(self.desired, self.observed, self.references())
        return changes

    def wait_for_references(self, changes: list[Change]) -> list[Change]:
        """Look again and again until what should be deleted with ``wait`` is in use no more, or its time is up."""
        start = time.monotonic()
        while True:
            waiting = [
                change.desired for change in changes
                if change.action == "refused" and change.desired.wait and time.monotonic() - start < change.desired.wait_timeout
            ]
            if not waiting:
                return changes
            time.sleep(max(0.2, min(one.wait_sleep for one in waiting)))
            changes = self.look()

    def apply(self, changes: list[Change]) -> list[Change]:
        """Write in parallel; what goes wrong with one item is told with it and stops no other."""
        try:
            done = self.write_all(changes)
        except BaseException:
            self.client.invalidate(self.path)
            raise
        if any(change.error for change in done):
            self.client.invalidate(self.path)
        elif any(change.writes for change in done):
            self.client.update_cached(self.path, lambda catalog: catalog.after(done))
        created = [index for index, change in enumerate(done) if change.action == "created"]
        if created and not self.alone([done[index].after for index in created]):
            self.wait_until_readable([done[index].after.id for index in created])
            stored = self.catalog(fresh=True)
            for index in created:
                done[index] = self.guarded(lambda change: self._without_twin(change, stored), done[index])
        return done

    def alone(self, created: t.Sequence[t.Any]) -> bool:
        """Whether it is certain that nobody gave the names of what was created to something else, between the list and that.

        Asks only for what was written since, up to our own creations; the remembered list gets it too.
        """
        wanted = {(one.name, one.driver, one.owner) for one in created}
        mine = {one.id for one in created}
        missing = set(mine)
        written: dict[str, t.Any] = {}
        for kind, item in self.client.watch_events(self.path):
            name = item["metadata"]["name"]
            if kind == "ADDED" and name in missing:
                missing.remove(name)
                if not missing:
                    break
            else:
                written[name] = None if kind == "DELETED" else self.parse(item)
        if missing:
            return False
        if written:
            self.client.update_cached(self.path, lambda catalog: catalog.with_changed(written))
        return not any(one and one.id not in mine and (one.name, one.driver, one.owner) in wanted for one in written.values())

    def write_all(self, changes: list[Change]) -> list[Change]:
        return self.client.parallel_map(lambda change: self.guarded(self.write, change), changes)

    def wait_until_readable(self, names: list[str]) -> None:
        """Wait until the connection may read what it created."""

    def guarded(self, step: t.Callable[[Change], Change], change: Change) -> Change:
        try:
            return step(change)
        except RanchhandError as error:
            return replace(change, action="refused" if error.code == "in_use" else "failed", error=error)

    def write(self, change: Change) -> Change:
        """Carry out one change; a conflict is looked at again, a bounded number of times."""
        if not change.writes:
            if change.before and change.before.deleting and change.desired.wait:
                self.wait_for_finalizers(change.desired, change.before)
            return change
        step = {"created": self.create, "updated": self.update, "deleted": self.delete}
        for _try in range(CONFLICT_ATTEMPTS):
            try:
                return step[change.action](change)
            except ApiError as error:
                if error.status != 409:
                    raise
                conflict = error
            if change.action == "created":  # nobody has it yet: something else, such as a quota, was in another's hands
                continue
            again = self.replan(change)
            if not again.writes:
                if again.error:
                    return again
                # either a concurrent run did the same, or our own write had arrived and its reply was lost
                if change.action == "deleted":
                    self.wait_for_finalizers(change.desired, change.before)
                return replace(again, action=change.action, changed_fields=change.changed_fields)
            change = again
        raise conflict

    def replan(self, change: Change) -> Change:
        """The same item once more, with what its object is now."""
        current = change.before or change.after
        fresh = self.read_one(current.id)
        if fresh is None or fresh.uid != current.uid:
            if change.action == "deleted":
                return replace(change, action="unchanged")
            raise RanchhandError("conflict", f"{current.full_id} was deleted by somebody else meanwhile; run again")
        references = self.references() if change.action == "deleted" else None
        desired = replace(change.desired, id=fresh.id)
        again, = self.plan([desired], replace(self.observed, stored=self.observed.stored.of([fresh])), references)
        return replace(again, desired=change.desired)

    def create(self, change: Change) -> Change:
        """Create under a random name of our own choice, so that a repeat after a lost reply cannot make a second object."""
        for _try in range(CONFLICT_ATTEMPTS):
            name = self.prefix + "".join(random.SystemRandom().choices(_NAME_CHARACTERS, k=5))
            body = {**change.body, "metadata": {**change.body["metadata"], "name": name}}
            try:
                stored = self.client.post(self.path, body)
            except ApiError as error:
                if error.status == 404:
                    raise RanchhandError("unsupported", f"{self.client.host} is not the management cluster of a Rancher: {error.message}") from None
                if error.reason != "AlreadyExists":
                    raise
                stored = get_or_none(self.client, f"{self.path}/{name}") or {}
                # the name was taken, by chance; or it is our own object, whose reply was lost
                if any(stored.get(key) != value for key, value in body.items() if key not in ("metadata", "apiVersion", "kind")):
                    continue
            return replace(change, after=self.parse(stored))
        raise RanchhandError("conflict", "no free name could be found")

    def mark(self, stored: CloudCredential, decide: t.Callable[[CloudCredential], t.Mapping[str, str | None]]) -> CloudCredential | None:
        """Change annotations of a credential by compare-and-swap, and return it as it is then; None if it is gone.

        ``decide`` says which for the version it is given, none to leave it alone, or raises.
        """
        path = f"{SECRETS_PATH}/{name_in_path(stored.id)}"
        for number in range(CONFLICT_ATTEMPTS):
            annotations = decide(stored)
            if not annotations:
                return stored
            try:
                return parse_cloud_credential(self.client.patch(path, annotation_patch(stored, annotations)))
            except ApiError as error:
                if error.status not in (404, 409):
                    raise
                conflict = error
            time.sleep(random.uniform(0, 0.05 * number))
            item = get_or_none(self.client, path)
            fresh = parse_cloud_credential(item) if item else None
            if fresh is None or fresh.uid != stored.uid:
                return None
            stored = fresh
        raise conflict

    def update(self, change: Change) -> Change:
        return replace(change, after=self.parse(self.client.patch(f"{self.path}/{name_in_path(change.before.id)}", change.body)))

    def delete(self, change: Change) -> Change:
        self.remove(change.before)
        self.wait_for_finalizers(change.desired, change.before)
        return change

    def remove(self, current: t.Any) -> None:
        """Delete just what was seen; one that is gone already is fine."""
        try:
            self.client.delete(f"{self.path}/{name_in_path(current.id)}", current.uid, current.resource_version)
        except ApiError as error:
            if error.status != 404:
                raise

    def wait_for_finalizers(self, desired: DesiredObject, current: t.Any) -> None:
        """With ``wait``, wait until a deleted object is gone; otherwise say what holds it."""
        if not current.finalizers:
            return
        deadline = time.monotonic() + desired.wait_timeout
        while True:
            left = self.read_one(current.id)
            if left is None or left.uid != current.uid:
                return
            held_by = ", ".join(left.finalizers)
            if not desired.wait:
                self.warnings.append(f"{current.full_id} goes as soon as its finalizers are done: {held_by}")
                return
            if time.monotonic() >= deadline:
                raise RanchhandError("conflict", f"{current.full_id} is deleted but still held by {held_by} after {desired.wait_timeout} seconds")
            time.sleep(max(0.2, desired.wait_sleep))

    def _without_twin(self, change: Change, stored: t.Any) -> Change:
        """Give way to an object that a concurrent run created under the same name just before ours.

        Of two that see each other only the younger goes.
        """
        mine = change.after
        elder = [
            one for one in stored.named(mine.name, mine.driver, mine.owner)
            if one.id != mine.id and not one.deleting and self._was_there(one, mine.resource_version)
        ]
        if not elder:
            return change
        self.client.invalidate(self.path)
        self.remove(replace(mine, resource_version=stored.by_id.get(mine.id, mine).resource_version))
        again, = self.plan([change.desired], replace(self.observed, stored=stored.of(elder)))
        return self.write(again) if again.writes else again

    def _was_there(self, other: t.Any, resource_version: str) -> bool:
        """Whether an object was there at a moment, which its own time cannot tell: it knows only the second."""
        moment = {"resourceVersion": resource_version, "resourceVersionMatch": "Exact"}
        return any(self.client.list_objects(self.path, fieldSelector=f"metadata.name={other.id}", **moment))
