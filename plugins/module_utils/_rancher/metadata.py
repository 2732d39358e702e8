# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Names, labels, annotations and owners: what credentials and node templates have in common.

PRIVATE to the collection. Pure.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping

from .._common.text import to_text, trim
from .annotations import RESERVED

# Kubernetes' limit for all annotations of an object, keys and values together (apimachinery api/validation/objectmeta.go).
ANNOTATIONS_LIMIT = 256 * 1024
_KEY = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
Entries = t.Mapping[str, t.Optional[str]]


def parse_entries(option: str, given: Mapping[str, t.Any] | None) -> tuple[dict[str, str | None], list[str]]:
    """The labels or annotations to write, None for those to remove, and what is wrong with them."""
    entries: dict[str, str | None] = {}
    mistakes = []
    for key, value in (given or {}).items():
        if key in RESERVED:
            mistakes.append(f"{option}: {key} belongs to Rancher; the option for it is {RESERVED[key]}")
        elif not _KEY.fullmatch(key):
            mistakes.append(f"{option}: {key:.80} is no valid key (an optional DNS prefix and a slash, then up to 63 letters, digits, - _ .)")
        else:
            try:
                entries[key] = None if value is None else to_text(value)
            except ValueError as error:
                mistakes.append(f"{option}: {key} {error}")
                continue
            if option == "labels" and not _LABEL.fullmatch(entries[key] or ""):
                mistakes.append(f"labels: the value of {key} must be at most 63 letters, digits, - _ . and start and end with a letter or digit")
    return entries, mistakes


def parse_display_name(name: str | None) -> tuple[str | None, list[str]]:
    """A display name as Rancher stores it, and what is wrong with it."""
    if name is None:
        return None, []
    name = trim(name)
    if not name:
        return name, ["name must not be empty"]
    if len(name.encode()) > ANNOTATIONS_LIMIT - 1024:
        return None, [f"name is {len(name.encode())} bytes long; all annotations of an object together may have {ANNOTATIONS_LIMIT}"]
    return name, []


def parse_id(given: str | None, namespace: str) -> tuple[str | None, list[str]]:
    """The metadata.name that an id stands for: ``name`` or ``namespace:name``."""
    if given is None:
        return None, []
    prefix, colon, name = trim(given).rpartition(":")
    if colon and prefix != namespace:
        return None, [f"id must be of namespace {namespace}, as in {namespace}:NAME"]
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", name):
        return None, [f"id must be {namespace}:NAME or NAME, where NAME is a Kubernetes object name"]
    return name, []


def changed_entries(entries: Entries, stored: Mapping[str, str]) -> dict[str, str | None]:
    """The entries that differ from what is stored."""
    return {key: value for key, value in entries.items() if stored.get(key) != value}


def merge_entries(stored: Mapping[str, str], changes: Entries) -> dict[str, str]:
    """What a merge patch of the changes leaves."""
    result: dict[str, str | None] = {**stored, **changes}
    return {key: value for key, value in result.items() if value is not None}
