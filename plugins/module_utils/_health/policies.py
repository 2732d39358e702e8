# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Policies that limit the age of keys. Pure."""

from __future__ import annotations

import fnmatch
import typing as t
from dataclasses import dataclass

from .._rancher.cloud_credential import CloudCredential


@dataclass(frozen=True)
class AgePolicy:
    """The age in seconds at which keys are due, for the credentials that match all conditions."""

    max_age: int
    name_pattern: str | None = None
    driver: str | None = None
    owner: str | None = None

    def matches(self, credential: CloudCredential, owner_name: str | None) -> bool:
        """Whether the policy applies; ``owner`` is a user id or a username."""
        if self.name_pattern is not None and not fnmatch.fnmatchcase(credential.name, self.name_pattern):
            return False
        return self.driver in (None, credential.driver) and self.owner in (None, credential.owner, owner_name)


def find_max_age(credential: CloudCredential, owner_name: str | None, policies: t.Iterable[AgePolicy]) -> int | None:
    """Return the age of the first policy that matches, in seconds; None if no policy matches."""
    return next((policy.max_age for policy in policies if policy.matches(credential, owner_name)), None)
