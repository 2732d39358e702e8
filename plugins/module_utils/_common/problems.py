# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Problems of an object, as all info modules return them: a code, its level, and a message."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

ProblemCode = t.Literal[
    "unreadable", "malformed", "owner_gone", "driver_inactive", "template_broken", "duplicate_name", "shared_key",
    "unused", "overdue", "drift", "restored", "stuck_rotation", "gone", "record_unreadable", "expired", "expires_soon",
    "reference_unresolved", "driver_mismatch", "config_contradicts", "config_repeats", "sync_failed",
    "key_refused", "key_forbidden",
]
Level = t.Literal["error", "warning", "notice"]

# From the most to the least severe one.
LEVELS: t.Tuple[Level, ...] = ("error", "warning", "notice")
PROBLEM_LEVELS: Mapping[ProblemCode, Level] = {
    "unreadable": "error", "malformed": "warning", "owner_gone": "error", "driver_inactive": "warning",
    "template_broken": "error", "duplicate_name": "warning", "shared_key": "warning", "unused": "notice",
    "overdue": "warning", "drift": "error", "restored": "error", "stuck_rotation": "warning", "gone": "error",
    "record_unreadable": "error", "expired": "error", "expires_soon": "warning",
    "reference_unresolved": "error", "driver_mismatch": "error", "config_contradicts": "error",
    "config_repeats": "notice", "sync_failed": "error",
    "key_refused": "error", "key_forbidden": "warning",
}


class Problem(t.NamedTuple):
    """A problem of an object; the message describes it without any secret value."""

    code: ProblemCode
    message: str

    def show(self) -> dict[str, str]:
        """Return the problem as results contain it."""
        return {"code": self.code, "level": PROBLEM_LEVELS[self.code], "message": self.message}


def show_problems(unreadable: str | None) -> list[dict[str, str]]:
    """Return the problems that an object itself shows: why Rancher cannot read it, or none."""
    return [Problem("unreadable", unreadable).show()] if unreadable else []
