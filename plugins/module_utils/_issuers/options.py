# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Options and fields that several issuers and verifiers check in the same way."""

from __future__ import annotations

import typing as t

from .._common.times import format_duration, parse_duration
from ..issuer import IssuerError, Values


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
