# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Options and fields that several issuers and verifiers check in the same way."""

from __future__ import annotations

import typing as t

from .._common.times import format_duration, parse_duration
from ..issuer import IssuerError, Values


def check_options(
    issuer: str, options: t.Mapping[str, t.Any], recorded: t.Sequence[str], ways: t.Mapping[str, t.Sequence[str]]
) -> dict[str, t.Any]:
    """Return the options that are set, after a check of their names.

    ``recorded`` are those of all ways to sign in, ``ways`` those that a value of ``sign_in`` requires; the first way is
    the default.
    """
    given = {name: value for name, value in options.items() if value is not None}
    allowed = [*recorded, *(name for names in ways.values() for name in names)]
    unknown = sorted(map(str, set(given).difference(allowed)))
    if unknown:
        raise IssuerError(
            "invalid", f"issuer {issuer} has no option {', '.join(unknown):.200}; allowed are {', '.join(allowed)}"
        )
    chosen = given.get("sign_in", next(iter(ways)))
    if chosen not in ways:
        raise IssuerError("invalid", f"sign_in must be one of {', '.join(ways)}")
    for way, names in ways.items():
        if way != chosen and set(given) & set(names):
            raise IssuerError("invalid", f"{', '.join(names)} require sign_in: {way}")
    if not all(given.get(name) for name in ways[chosen]):
        raise IssuerError("invalid", f"sign_in: {chosen} requires {', '.join(ways[chosen])}")
    return {**given, "sign_in": chosen}


def parse_duration_option(options: t.Mapping[str, t.Any], name: str, default: str, minimum: int = 0) -> int:
    """Return the seconds of an option such as ``15s``; None means the default."""
    value = options.get(name)
    if value is None:
        value = default
    try:
        seconds = parse_duration(value if isinstance(value, str) else "")
    except ValueError as error:
        raise IssuerError("invalid", f"{name} {error}") from None
    if seconds < minimum:
        raise IssuerError("invalid", f"{name} must be at least {format_duration(minimum)}")
    return seconds


def require_fields(values: Values, *names: str) -> list[str]:
    """Return fields of a credential, all of which have to be set."""
    missing = [name for name in names if not values.get(name)]
    if missing:
        raise IssuerError("invalid", f"the credential has no {', '.join(missing)}")
    return [values[name] for name in names]


def is_true(text: str | None) -> bool:
    """Whether Rancher reads a field as true (Go's strconv.ParseBool)."""
    return text in ("1", "t", "T", "true", "TRUE", "True")
