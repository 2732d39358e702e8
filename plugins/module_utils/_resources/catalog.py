# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The stored objects of a kind, indexed, and the search for the one that a task means.

Pure.
"""

from __future__ import annotations

import functools
import typing as t
from collections.abc import Mapping

from .._common.errors import RanchhandError
from .._common.text import short_list
from .._rancher.users import Users
from .differences import Described


class StoredObject(Described, t.Protocol):
    """A cloud credential or node template as it is stored."""

    @property
    def id(self) -> str:
        ...

    @property
    def full_id(self) -> str:
        ...

    @property
    def uid(self) -> str:
        ...

    @property
    def resource_version(self) -> str:
        ...

    @property
    def driver(self) -> str | None:
        ...

    @property
    def created_at(self) -> str | None:
        ...

    @property
    def finalizers(self) -> tuple[str, ...]:
        ...

    @property
    def deleting(self) -> bool:
        ...

    @property
    def problem(self) -> str | None:
        ...


StoredT = t.TypeVar("StoredT", bound=StoredObject)


class Selector(t.Protocol):
    """The options of a task that select an object."""

    @property
    def id(self) -> str | None:
        ...

    @property
    def name(self) -> str | None:
        ...

    @property
    def driver(self) -> str | None:
        ...

    @property
    def owner(self) -> str | None:
        ...

    @property
    def state(self) -> str:
        ...


class Catalog(t.Generic[StoredT]):
    """The stored objects of a kind, by id and by name.

    ``kind`` is the name of the kind in messages. The methods that change something return another catalog.
    """

    def __init__(self, kind: str, namespace: str, stored: t.Iterable[StoredT] = ()) -> None:
        self.kind = kind
        self.namespace = namespace
        self.by_id = {item.id: item for item in stored}
        self._by_name: dict[str, list[StoredT]] = {}
        for item in self.by_id.values():
            self._by_name.setdefault(item.name, []).append(item)

    @functools.cached_property
    def _owners(self) -> set[str | None]:
        return {item.owner for item in self.by_id.values()}

    def containing(self, stored: t.Iterable[StoredT]) -> Catalog[StoredT]:
        """Return a catalog of the same kind with other objects."""
        return Catalog(self.kind, self.namespace, stored)

    def with_objects(self, objects: Mapping[str, StoredT | None]) -> Catalog[StoredT]:
        """Return the catalog with other objects under these ids; None removes an id."""
        result = self.containing(())
        result.by_id, result._by_name = dict(self.by_id), dict(self._by_name)
        for identifier, new in objects.items():
            old = result.by_id.pop(identifier, None)
            if old is not None:
                result._by_name[old.name] = [item for item in result._by_name[old.name] if item is not old]
            if new is not None:
                result.by_id[identifier] = new
                result._by_name[new.name] = result._by_name.get(new.name, []) + [new]
        return result

    def named(self, name: str, driver: str | None = None, owner: str | None = None) -> list[StoredT]:
        """Return all objects with this name, and with this driver and owner unless they are None."""
        return [
            item for item in self._by_name.get(name, ())
            if driver in (None, item.driver) and owner in (None, item.owner)
        ]

    def single(self, found: t.Sequence[StoredT], name: str) -> StoredT | None:
        """Return the only object found; None if there is none. Raises RanchhandError (``ambiguous``)."""
        if len(found) > 1:
            candidates = short_list([
                f"{item.full_id} (driver {item.driver}, owner {item.owner or 'none':.80})"
                for item in sorted(found, key=lambda item: item.id)
            ])
            raise RanchhandError(
                "ambiguous", f'{len(found)} {self.kind}s have the name "{name:.80}": {candidates}. Set id to select '
                             'one of them'
            )
        return found[0] if found else None

    def find(self, selector: Selector, users: Users) -> StoredT | None:
        """Return the object that a task means; None if there is none.

        Raises RanchhandError: ``ambiguous``, or ``not_found`` for an unknown id that should be present.
        """
        if selector.id is not None:
            if selector.id not in self.by_id and selector.state == "present":
                raise RanchhandError("not_found", f"there is no {self.kind} with the id {self.namespace}:{selector.id}")
            return self.by_id.get(selector.id)
        owner = selector.owner
        if owner and owner not in self._owners:  # objects of a deleted user can be selected by the user's id
            owner = users.find(owner)
        name = selector.name or ""
        return self.single(self.named(name, selector.driver, owner), name)
