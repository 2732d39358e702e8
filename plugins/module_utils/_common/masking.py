# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Removes secrets from results."""

from __future__ import annotations

import bisect
import functools
import json
import re
import typing as t
from collections.abc import Mapping

from .text import base64_encode

HIDDEN = "********"

# The limits of ansible-core 2.22: shorter secrets are not masked, as they occur in every text; short ones are masked as
# whole words only.
_SHORTEST = 4
_SHORT = 6
_LONG = 200  # a longer secret is not part of a pattern: compiling the pattern of a certificate takes seconds
_START = 8   # a pattern contains only secrets whose first characters are in the text: a pattern of all is quadratic


def secret_forms(secrets: t.Iterable[str]) -> set[str]:
    """Return every form in which a secret could appear.

    As it is, trimmed, as the data of a Secret, and quoted once or twice as in JSON, in Go's %q and in YAML, which an
    admission webhook may return. If a secret is JSON itself, such as a service account file, its keys are secrets too.
    """
    return {
        form
        for secret in secrets
        for whole in (secret, *_keys_in_json(secret))
        for text in (whole, whole.strip()) if len(text) >= _SHORTEST
        for form in (text, base64_encode(text), *_quoted(text))
    }


def _quoted(text: str) -> t.Iterator[str]:
    """Yield the escaped forms of a text, without the quotes around them."""
    for ascii_only in (False, True):
        once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        for form in (once, _escape_html(once)):  # as Go's encoding/json
            yield form
            yield json.dumps(form, ensure_ascii=ascii_only)[1:-1]


def _escape_html(text: str) -> str:
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _keys_in_json(secret: str) -> t.Iterator[str]:
    """Yield the texts of several lines in a secret that is a JSON object: private keys and certificates."""
    if secret.lstrip().startswith("{"):
        try:
            content = json.loads(secret)
        except (ValueError, RecursionError):
            return
        yield from (text for text in secret_leaves(content) if "\n" in text.strip())


def secret_leaves(value: t.Any) -> t.Iterator[str]:
    """Yield all values within a secret option, as text."""
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
    """Return a pattern that matches any of the secrets; of two at the same position, the longer one."""
    return re.compile("|".join(map(_pattern, sorted(secrets, key=len, reverse=True))) or "(?!)")


def mask(value: t.Any, secrets: t.Iterable[str]) -> t.Any:
    """Return a result without the secrets, in one pass over all its strings.

    Like ansible-core's remove_values, this keeps keys, booleans, and numbers that are not a secret as a whole.
    """
    hidden = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
    if not hidden:
        return value
    long = [secret for secret in hidden if len(secret) > _LONG]
    lengths = [-len(secret) for secret in long]
    short = [secret for secret in hidden if len(secret) < _START]
    starts: dict[str, list[str]] = {}
    for secret in hidden[len(long):len(hidden) - len(short)]:
        starts.setdefault(secret[:_START], []).append(secret)
    known = frozenset(starts)
    short_pattern = _any_of(short)
    whole = frozenset(hidden)

    @functools.lru_cache(maxsize=1024)  # most texts of a long result occur several times
    def masked_text(text: str) -> str:
        for secret in long[bisect.bisect_left(lengths, -len(text)):]:
            text = text.replace(secret, HIDDEN)
        found = known & {text[position:position + _START] for position in range(len(text) - _START + 1)}
        pattern = _any_of([secret for start in found for secret in starts[start]] + short) if found else short_pattern
        return pattern.sub(HIDDEN, text)

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
