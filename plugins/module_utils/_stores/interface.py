# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The interface of secret stores."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class StoreContent:
    """What a store contains: all fields of a secret, None if there is none, and the version that write() replaces.

    ``leader`` identifies the Rancher that rotates the key of a credential, if it is known.
    """

    fields: Mapping[str, t.Any] | None = field(repr=False)
    version: str = ""
    leader: str | None = None


class StoreChanged(Exception):
    """The store does not contain the version any more that was to be replaced."""


class SecretStore(t.Protocol):
    """One secret in a store.

    Both methods take at most CALL_TIMEOUT, raise IssuerError as the methods of an issuer do, and put no value into a
    message.
    """

    def read(self) -> StoreContent:
        """Return the current version. A deleted version, and a secret that may not be read, are errors."""

    def write(self, fields: Mapping[str, str], content: StoreContent, request_id: str) -> None:
        """Replace fields of the version that was read, and keep all others. Raises StoreChanged.

        A store without preconditions raises RanchhandError (``conflict``) if another client's version was replaced.
        ``request_id`` is the same for each attempt to write these values instead of this version.
        """
