# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Names, labels, annotations and owners: what credentials and node templates have in common.

PRIVATE to the collection. Pure.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ._driver_schema import text_of, trim
from ._errors import RanchhandError

CREATOR_ID = "field.cattle.io/creatorId"
DISPLAY_NAME = "field.cattle.io/name"
DESCRIPTION = "field.cattle.io/description"
UI_DRIVER = "provisioning.cattle.io/driver"
CREATOR_LABEL = {"cattle.io/creator": "norman"}

# Kubernetes' limit for all annotations of an object, keys and values together (apimachinery api/validation/objectmeta.go).
ANNOTATIONS_LIMIT = 256 * 1024

_RESERVED = {
    CREATOR_ID: "owner", DISPLAY_NAME: "name", DESCRIPTION: "description", UI_DRIVER: "driver", "cattle.io/creator": "driver",
}
_KEY = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")

Entries = t.Mapping[str, t.Optional[str]]


def check_entries(option: str, given: Mapping[str, t.Any] | None) -> tuple[dict[str, str | None], list[str]]:
    """The labels or annotations to write, None for those to remove, and what is wrong with them."""
    entries: dict[str, str | None] = {}
    mistakes = []
    for key, value in (given or {}).items():
        if key in _RESERVED:
            mistakes.append(f"{option}: {key} belongs to Rancher; the option for it is {_RESERVED[key]}")
        elif not _KEY.fullmatch(key):
            mistakes.append(f"{option}: {key:.80} is no valid key (an optional DNS prefix and a slash, then up to 63 letters, digits, - _ .)")
        else:
            try:
                entries[key] = None if value is None else text_of(value)
            except ValueError as error:
                mistakes.append(f"{option}: {key} {error}")
                continue
            if option == "labels" and not _LABEL.fullmatch(entries[key] or ""):
                mistakes.append(f"labels: the value of {key} must be at most 63 letters, digits, - _ . and start and end with a letter or digit")
    return entries, mistakes


def check_name(name: str | None) -> tuple[str | None, list[str]]:
    """A display name as Rancher stores it, and what is wrong with it."""
    if name is None:
        return None, []
    name = trim(name)
    if not name:
        return name, ["name must not be empty"]
    if len(name.encode()) > ANNOTATIONS_LIMIT - 1024:
        return None, [f"name is {len(name.encode())} bytes long; all annotations of an object together may have {ANNOTATIONS_LIMIT}"]
    return name, []


def check_id(given: str | None, namespace: str) -> tuple[str | None, list[str]]:
    """The metadata.name that an id stands for: ``name`` or ``namespace:name``."""
    if given is None:
        return None, []
    prefix, colon, name = trim(given).rpartition(":")
    if colon and prefix != namespace:
        return None, [f"id must be of namespace {namespace}, as in {namespace}:NAME"]
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", name):
        return None, [f"id must be {namespace}:NAME or NAME, where NAME is a Kubernetes object name"]
    return name, []


def differing(entries: Entries, stored: Mapping[str, str]) -> dict[str, str | None]:
    """The entries that differ from what is stored."""
    return {key: value for key, value in entries.items() if stored.get(key) != value}


def merged(stored: Mapping[str, str], changes: Entries) -> dict[str, str]:
    """What a merge patch of the changes leaves."""
    result: dict[str, str | None] = {**stored, **changes}
    return {key: value for key, value in result.items() if value is not None}


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
