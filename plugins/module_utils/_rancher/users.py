# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The users of a Rancher, among whom owners of objects are found.

Pure.
"""

from __future__ import annotations

import typing as t
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from .._common.errors import RanchhandError
from .._common.text import short_list


@dataclass(frozen=True)
class User:
    """A Rancher user; ``id`` is the metadata.name, which the creatorId annotations contain."""

    id: str
    username: str = ""
    principals: tuple[str, ...] = ()

    @classmethod
    def from_object(cls, item: Mapping[str, t.Any]) -> User:
        username, principals = item.get("username"), item.get("principalIds")
        return cls(
            item["metadata"]["name"], username if isinstance(username, str) else "",
            tuple(name for name in principals if isinstance(name, str)) if isinstance(principals, list) else (),
        )


class Users:
    """The users of a Rancher; with ``only_own``, only the connection's own user, as it may not list the others."""

    def __init__(self, users: t.Iterable[User], only_own: bool = False) -> None:
        self._users = tuple(users)
        self._by_id = {user.id: user for user in self._users}
        self._ids_by_name: dict[str, set[str]] = defaultdict(set)
        for user in self._users:
            for name in (user.id, user.username, *user.principals):
                self._ids_by_name[name].add(user.id)
        self._only_own = only_own

    @property
    def complete(self) -> bool:
        """Whether these are all users of the Rancher."""
        return not self._only_own

    def get(self, identifier: str | None) -> User | None:
        """Return the user with this id; None if there is none."""
        return self._by_id.get(identifier or "")

    def find(self, owner: str) -> str:
        """Return the id of the user with this id, username or principal id.

        Raises RanchhandError: ``not_found``, ``ambiguous``, or ``forbidden`` if the users could not be listed.
        """
        found = sorted(self._ids_by_name.get(owner, ()))
        if len(found) == 1:
            return found[0]
        if found:
            raise RanchhandError(
                "ambiguous", f"owner {owner:.80} matches several users ({short_list(found)}); set owner to a user id"
            )
        if self._only_own:
            own = self._users[0].id if self._users else "unknown"
            raise RanchhandError(
                "forbidden", f"cannot find owner {owner:.80}: this connection may not list users.management.cattle.io "
                             "and can only "
                             f"set its own user ({own}). Grant it the verb list, or set owner to this user"
            )
        raise RanchhandError(
            "not_found", f"owner {owner:.80} is not the id, username or principal id of a user of this Rancher"
        )
