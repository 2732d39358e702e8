# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What is wrong with cloud credentials, told without any of their values.

PRIVATE to the collection. Pure: judges what was read.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._rancher.cloud_credential import CloudCredential


@dataclass(frozen=True)
class Policy:
    """How old keys may get, in seconds, of the credentials that match all that is given."""

    max_age: int
    name: t.Pattern[str] | None = None
    driver: str | None = None
    owner: str | None = None

    def covers(self, one: CloudCredential, owner_name: str | None) -> bool:
        return bool((self.name is None or self.name.fullmatch(one.name)) and self.driver in (None, one.driver)
                    and (self.owner is None or self.owner in (one.owner, owner_name)))


def max_age_of(one: CloudCredential, owner_name: str | None, policies: t.Iterable[Policy]) -> int | None:
    """What the first policy that covers a credential allows, in seconds; None if none does."""
    return next((policy.max_age for policy in policies if policy.covers(one, owner_name)), None)
