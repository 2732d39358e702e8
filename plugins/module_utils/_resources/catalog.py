# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What planning has in common for credentials and node templates: what is wanted, which object is meant, what to do about it.

PRIVATE to the collection. Pure: neither Ansible nor a cluster is needed.
"""

from __future__ import annotations

import functools
import typing as t
from collections.abc import Mapping

from .._common.errors import RanchhandError
from .._rancher.users import Users
from .planning import Change, DesiredObject


class Catalog:
    """The stored objects of a kind, found by id or by name without looking at all of them.

    Each has ``id`` (metadata.name), ``full_id``, ``uid``, ``resource_version``, ``name``, ``driver``, ``owner``, ``created_at``,
    ``finalizers`` and ``deleting``. ``what`` is what people call the kind.
    """

    def __init__(self, what: str, namespace: str, stored: t.Iterable[t.Any] = ()) -> None:
        self.what = what
        self.namespace = namespace
        self.by_id = {one.id: one for one in stored}
        self._by_name: dict[str, list[t.Any]] = {}
        for one in self.by_id.values():
            self._by_name.setdefault(one.name, []).append(one)

    @functools.cached_property
    def _owners(self) -> set[str | None]:
        return {one.owner for one in self.by_id.values()}

    def of(self, stored: t.Iterable[t.Any]) -> Catalog:
        """A catalog of the same kind with other objects."""
        return Catalog(self.what, self.namespace, stored)

    def after(self, changes: t.Iterable[Change]) -> Catalog:
        """The catalog as it is once the changes are made."""
        return self.with_changed({
            **{change.before.id: None for change in changes if change.action == "deleted"},
            **{change.after.id: change.after for change in changes if change.action != "deleted" and change.after is not None and change.after.id},
        })

    def with_changed(self, objects: Mapping[str, t.Any]) -> Catalog:
        """The catalog with other objects under these ids, or with none where there is None."""
        result = self.of(())
        result.by_id, result._by_name = dict(self.by_id), dict(self._by_name)
        for identifier, new in objects.items():
            old = result.by_id.pop(identifier, None)
            if old is not None:
                result._by_name[old.name] = [one for one in result._by_name[old.name] if one is not old]
            if new is not None:
                result.by_id[identifier] = new
                result._by_name[new.name] = result._by_name.get(new.name, []) + [new]
        return result

    def named(self, name: str, driver: str | None = None, owner: str | None = None) -> list[t.Any]:
        """All objects of this name, narrowed by what else is known."""
        return [one for one in self._by_name.get(name, ()) if driver in (None, one.driver) and owner in (None, one.owner)]

    def the_one(self, found: t.Sequence[t.Any], name: str) -> t.Any:
        """The only object found; None if there is none. Raises RanchhandError (``ambiguous``)."""
        if len(found) > 1:
            candidates = ", ".join(f"{one.full_id} (driver {one.driver}, owner {one.owner})" for one in sorted(found, key=lambda one: one.id))
            raise RanchhandError("ambiguous", f"{len(found)} {self.what}s have the name {name:.80}: {candidates}; give the id")
        return found[0] if found else None

    def match(self, desired: DesiredObject, users: Users) -> t.Any:
        """The one object that is meant; None if there is none.

        Raises RanchhandError: ``ambiguous``, or ``not_found`` for an unknown id that should be present.
        """
        if desired.id is not None:
            if desired.id not in self.by_id and desired.state == "present":
                raise RanchhandError("not_found", f"there is no {self.what} with the id {self.namespace}:{desired.id}")
            return self.by_id.get(desired.id)
        owner = desired.owner
        if owner and owner not in self._owners:  # a user that is gone may still own some
            owner = users.find(owner)
        return self.the_one(self.named(desired.name or "", desired.driver, owner), desired.name or "")
