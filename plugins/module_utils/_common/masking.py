# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What must not be shown, and how it is taken out of what is.

PRIVATE to the collection. Pure.
"""

from __future__ import annotations

import bisect
import functools
import re
import typing as t
from collections.abc import Mapping

from .text import base64_encode

HIDDEN = "********"

# As ansible-core 2.22 has it: anything shorter would tear holes into every result, and what is a bit longer counts as a whole word.
_SHORTEST = 4
_SHORT = 6
_LONG = 200  # from here on a secret is no part of a pattern: compiling it would take seconds for keys and certificates
_START = 8   # a pattern has only those secrets whose first characters are in the text: one of all would be quadratic


def secret_forms(secrets: t.Iterable[str]) -> set[str]:
    """Every form in which a secret could show: as it is, trimmed, and as a Secret's data."""
    return {
        form
        for secret in secrets
        for text in (secret, secret.strip()) if len(text) >= _SHORTEST
        for form in (text, base64_encode(text))
    }


def secret_leaves(value: t.Any) -> t.Iterator[str]:
    """All values within a secret option, as text."""
    if isinstance(value, Mapping):
        for element in value.values():
            yield from secret_leaves(element)
    elif isinstance(value, (list, tuple)):
        for element in value:
            yield from secret_leaves(element)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _pattern(secret: str) -> str:
    return rf"(?<!\w){re.escape(secret)}(?!\w)" if len(secret) <= _SHORT else re.escape(secret)


def _any_of(secrets: list[str]) -> re.Pattern[str]:
    """Finds any of some secrets, of two at the same place the longer one."""
    return re.compile("|".join(map(_pattern, sorted(secrets, key=len, reverse=True))) or "(?!)")


def mask(value: t.Any, secrets: t.Iterable[str]) -> t.Any:
    """A result without any of the given forms of secrets, in one pass over all its strings.

    As ansible-core's remove_values: keys stay, and so do numbers and booleans that are no secret as a whole.
    """
    wanted = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
    if not wanted:
        return value
    long = [secret for secret in wanted if len(secret) > _LONG]
    lengths = [-len(secret) for secret in long]
    short = [secret for secret in wanted if len(secret) < _START]
    starts: dict[str, list[str]] = {}
    for secret in wanted[len(long):len(wanted) - len(short)]:
        starts.setdefault(secret[:_START], []).append(secret)
    known = frozenset(starts)
    hide_short = _any_of(short)
    whole = frozenset(wanted)

    @functools.lru_cache(maxsize=1024)  # most texts of a long result are the same
    def masked_text(text: str) -> str:
        for secret in long[bisect.bisect_left(lengths, -len(text)):]:
            text = text.replace(secret, HIDDEN)
        found = known & {text[position:position + _START] for position in range(len(text) - _START + 1)}
        hide = _any_of([secret for start in found for secret in starts[start]] + short) if found else hide_short
        return hide.sub(HIDDEN, text)

    def masked(part: t.Any) -> t.Any:
        if isinstance(part, str):
            return masked_text(part)
        if isinstance(part, Mapping):
            return {key: masked(element) for key, element in part.items()}
        if isinstance(part, (list, tuple)):
            return [masked(element) for element in part]
        if part is None or isinstance(part, bool) or str(part) not in whole:
            return part
        return HIDDEN

    return masked(value)
