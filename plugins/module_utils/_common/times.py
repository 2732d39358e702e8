# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The marks by which runs of this collection tell each other what they are about to do with a credential.

PRIVATE to the collection. Pure.

Who makes something refer to a credential announces that on its Secret first; who deletes it condemns it first. Both are
compare-and-swap on the Secret, so one of the two sees the other, and a delete that carries the resourceVersion of its own
mark fails if anything was announced after it. The keys contain ``cattle.io/``, as Rancher's UI drops other annotations.
"""

from __future__ import annotations

import datetime
import re
import typing as t
from collections.abc import Mapping

Time = datetime.datetime


def now() -> Time:
    return datetime.datetime.now(datetime.timezone.utc)


def format_time(time: Time) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def mark_time(text: str) -> Time:
    """When a mark was made; what cannot be read is as old as can be, so that a damaged mark holds nobody up for ever."""
    try:
        return datetime.datetime.strptime(text.partition(" ")[0], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        return datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
ROTATION_DURATIONS = ("max_age", "grace", "soak", "drain", "verify_timeout")


def parse_duration(text: str) -> int:
    """Seconds of a duration such as 24h or 90d; raises ValueError."""
    found = re.fullmatch(r"(\d+)([smhdw])", text.strip())
    if not found:
        raise ValueError
    return int(found.group(1)) * _UNITS[found.group(2)]


def parse_durations(item: Mapping[str, t.Any], options: t.Iterable[str] = ROTATION_DURATIONS) -> tuple[dict[str, int | None], list[str]]:
    """The seconds of each option, None where it is not given, and what is wrong with them."""
    seconds: dict[str, int | None] = {}
    mistakes = []
    for option in options:
        seconds[option] = None
        if item.get(option) is not None:
            try:
                seconds[option] = parse_duration(item[option])
            except ValueError:
                mistakes.append(f"{option} must be a number with a unit, such as 30s, 15m, 24h, 90d or 2w")
    return seconds, mistakes
