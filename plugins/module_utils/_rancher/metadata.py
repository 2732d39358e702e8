# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Names, ids, labels and annotations of objects, and their validation.

Pure.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping

from .._common.text import to_text, trim
from .annotations import RESERVED

# Bytes of all annotations of an object, keys and values together (apimachinery api/validation/objectmeta.go).
ANNOTATIONS_LIMIT = 256 * 1024
_KEY = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
Entries = t.Mapping[str, t.Optional[str]]


class StoredMetadata(t.Protocol):
    """The metadata of an object that was read, except its name."""

    @property
    def uid(self) -> str:
        ...

    @property
    def resource_version(self) -> str:
        ...

    @property
    def created_at(self) -> str | None:
        ...

    @property
    def labels(self) -> Mapping[str, str]:
        ...

    @property
    def annotations(self) -> Mapping[str, str]:
        ...

    @property
    def finalizers(self) -> tuple[str, ...]:
        ...


def stored_metadata(stored: StoredMetadata, name: str) -> dict[str, t.Any]:
    """Return metadata that parses to those of a stored object, to which a merge patch can be applied."""
    return {
        "name": name, "uid": stored.uid, "resourceVersion": stored.resource_version,
        "creationTimestamp": stored.created_at, "labels": dict(stored.labels),
        "annotations": dict(stored.annotations), "finalizers": list(stored.finalizers),
    }


def parse_entries(option: str, values: Mapping[str, t.Any] | None) -> tuple[dict[str, str | None], list[str]]:
    """Return the labels or annotations to write, None for those to remove, and the validation errors."""
    entries: dict[str, str | None] = {}
    errors = []
    for key, value in (values or {}).items():
        if key in RESERVED:
            errors.append(f"{option}: {key} is reserved by Rancher; set the option {RESERVED[key]} instead")
        elif not _KEY.fullmatch(key):
            errors.append(
                f"{option}: {key:.80} is not a valid key (an optional DNS prefix and a slash, then up to 63 letters, "
                "digits, - _ .)"
            )
        else:
            try:
                entries[key] = None if value is None else to_text(value)
            except ValueError as error:
                errors.append(f"{option}: {key} {error}")
                continue
            if option == "labels" and not _LABEL.fullmatch(entries[key] or ""):
                errors.append(
                    f"labels: the value of {key} must be at most 63 letters, digits, - _ . and start and end with a "
                    "letter or digit"
                )
    return entries, errors


def parse_display_name(name: str | None) -> tuple[str | None, list[str]]:
    """Return a display name as Rancher stores it, and the validation errors."""
    if name is None:
        return None, []
    name = trim(name)
    if not name:
        return name, ["name must not be empty"]
    if len(name.encode()) > ANNOTATIONS_LIMIT - 1024:
        return None, [
            f"name has {len(name.encode())} bytes; all annotations of an object together are limited to "
            f"{ANNOTATIONS_LIMIT}"
        ]
    return name, []


def parse_id(identifier: str | None, namespace: str) -> tuple[str | None, list[str]]:
    """Return the metadata.name of an id, which is ``name`` or ``namespace:name``, and the validation errors."""
    if identifier is None:
        return None, []
    prefix, colon, name = trim(identifier).rpartition(":")
    if colon and prefix != namespace:
        return None, [f"id must be of namespace {namespace}, as in {namespace}:NAME"]
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", name):
        return None, [f"id must be {namespace}:NAME or NAME, where NAME is a Kubernetes object name"]
    return name, []


def merge_entries(stored: Mapping[str, str], changes: Entries) -> dict[str, str]:
    """Return the entries after a merge patch of the changes."""
    result: dict[str, str | None] = {**stored, **changes}
    return {key: value for key, value in result.items() if value is not None}
