# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Names, labels, annotations and owners: what credentials and node templates have in common.

PRIVATE to the collection. Pure.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from .._common.errors import RanchhandError


@dataclass(frozen=True)
class User:
    """A Rancher user: ``id`` is the metadata.name, which creatorId annotations hold."""

    id: str
    username: str = ""
    principals: tuple[str, ...] = ()

    @classmethod
    def from_object(cls, item: Mapping[str, t.Any]) -> User:
        return cls(item["metadata"]["name"], item.get("username") or "", tuple(item.get("principalIds") or ()))


class Users:
    """The users among whom an owner is looked up; ``only_me`` when the connection may not list them."""

    def __init__(self, users: t.Iterable[User], only_me: bool = False) -> None:
        self._users = tuple(users)
        self._by_id = {user.id: user for user in self._users}
        self._only_me = only_me

    @property
    def complete(self) -> bool:
        """Whether these are all users of the Rancher."""
        return not self._only_me

    def get(self, identifier: str | None) -> User | None:
        """The user with this id."""
        return self._by_id.get(identifier or "")

    def find(self, owner: str) -> str:
        """The id of the user whose id, username or principal id is given.

        Raises RanchhandError: ``not_found``, ``ambiguous``, or ``forbidden`` where the users may not be listed.
        """
        found = sorted({user.id for user in self._users if owner in (user.id, user.username, *user.principals)})
        if len(found) == 1:
            return found[0]
        if found:
            raise RanchhandError("ambiguous", f"owner {owner:.80} could be any of the users {', '.join(found)}; give the user id")
        if self._only_me:
            mine = self._users[0].id if self._users else "unknown"
            raise RanchhandError(
                "forbidden", f"owner {owner:.80} cannot be looked up: this connection may not list users.management.cattle.io; "
                             f"it may write only for its own user ({mine})"
            )
        raise RanchhandError("not_found", f"owner {owner:.80} is no user of this Rancher, neither by id nor by username nor by principal id")
