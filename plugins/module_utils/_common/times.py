# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Times and durations: the only module that formats and parses them.

Times are RFC 3339 in UTC with the suffix ``Z``. Durations are strings such as ``90s``, ``24h`` or ``90d``.
"""

from __future__ import annotations

import datetime
import re

Time = datetime.datetime
UTC = datetime.timezone.utc

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:?[0-9]{2})",
    re.IGNORECASE,
)
# Within these years, adding or subtracting the longest duration several times is a time too.
_YEARS = range(1970, 9900)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LONGEST_DURATION = 3650 * _UNITS["d"]


def now() -> Time:
    """Return the current time in UTC."""
    return datetime.datetime.now(UTC)


def format_time(time: Time) -> str:
    """Format an aware time, to the second."""
    return _format(time, "seconds")


def format_precise_time(time: Time) -> str:
    """Format an aware time to the microsecond, as Kubernetes' MicroTime requires."""
    return _format(time, "microseconds")


def _format(time: Time, precision: str) -> str:
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def parse_time(text: str) -> Time:
    """Parse a time with ``Z`` or an offset; returns it in UTC.

    Raises ValueError, also for a time without an offset, as its meaning would depend on the host, and for years before
    1970 or after 9899, which calculations cannot use.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("is not a time such as 2026-01-31T12:00:00Z")
    day, clock, fraction, offset = match.groups()
    offset = "+00:00" if offset in "Zz" else offset if ":" in offset else f"{offset[:3]}:{offset[3:]}"
    try:
        time = datetime.datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is not a valid time") from None
    if time.year not in _YEARS:
        raise ValueError("is not a valid time")
    return time


def parse_timestamp(seconds: float) -> Time:
    """Return the time that is so many seconds after 1970; raises ValueError like parse_time."""
    try:
        time = datetime.datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, TypeError):
        raise ValueError("is not a valid time") from None
    if time.year not in _YEARS:
        raise ValueError("is not a valid time")
    return time


def parse_duration(text: str) -> int:
    """Return the seconds of a duration such as ``24h``.

    Raises ValueError with the end of a sentence ("must be …"), which never contains the text.
    """
    match = re.fullmatch(r"([0-9]+)([smhdw])", text.strip())
    if match is None:
        raise ValueError("must be a number with a unit, such as 30s, 15m, 24h, 90d or 2w")
    number, unit = match.groups()
    if len(number) > 12 or int(number) * _UNITS[unit] > LONGEST_DURATION:
        raise ValueError(f"must not be longer than {format_duration(LONGEST_DURATION)}")
    return int(number) * _UNITS[unit]


def format_duration(seconds: float) -> str:
    """Format a duration for a message: ``45s``, ``24h``, ``90d``, or in two units such as ``1d 2h``."""
    rest = max(int(seconds), 0)
    parts = []
    for unit in ("d", "h", "m", "s"):
        number, rest = divmod(rest, _UNITS[unit])
        if number:
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2]) or "0s"
