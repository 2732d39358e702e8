# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""An update as a list of field differences: the same algorithm for every kind of object.

Pure. A kind only defines where its fields are stored.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from .._common.text import same_json
from .._rancher.driver_schema import CheckedConfig
from .._rancher.metadata import Entries
from .desired import DesiredObject

Path = t.Tuple[str, ...]
ANNOTATIONS: Path = ("metadata", "annotations")
LABELS: Path = ("metadata", "labels")


@dataclass(frozen=True)
class FieldDifference:
    """A field whose stored value has to change.

    ``option`` is the name that is reported, None for a field that only follows from another one. ``path`` and ``value``
    are those of a merge patch: None removes the field.
    """

    option: str | None
    path: Path
    value: t.Any


class Described(t.Protocol):
    """What is compared of a stored object, whatever its kind."""

    @property
    def name(self) -> str:
        ...

    @property
    def owner(self) -> str | None:
        ...

    @property
    def description(self) -> str:
        ...

    @property
    def labels(self) -> Mapping[str, str]:
        ...

    @property
    def annotations(self) -> Mapping[str, str]:
        ...


class MetadataPaths(t.NamedTuple):
    """Where a kind stores what all kinds have."""

    name: Path
    description: Path
    owner: Path


def compare(option: str | None, path: Path, desired: t.Any, stored: t.Any) -> list[FieldDifference]:
    """Compare one field; None means a field that is absent."""
    return [] if desired == stored else [FieldDifference(option, path, desired)]


def compare_entries(
    option: str, path: Path, desired: Mapping[str, t.Any], stored: Mapping[str, t.Any],
) -> list[FieldDifference]:
    """Compare the entries of a map that are desired; other entries are preserved."""
    return [
        difference for key, value in desired.items()
        for difference in compare(option, (*path, key), value, stored.get(key))
    ]


def compare_metadata(
    desired: DesiredObject, stored: Described, owner: str | None, paths: MetadataPaths,
) -> list[FieldDifference]:
    """Compare labels, annotations, name, description and owner; ``owner`` is the id of the desired one."""
    differences = compare_entries("annotations", ANNOTATIONS, desired.annotations, stored.annotations)
    differences += compare_entries("labels", LABELS, desired.labels, stored.labels)
    if desired.name is not None:
        differences += compare("name", paths.name, desired.name, stored.name)
    if desired.description is not None:
        description = desired.description or None
        differences += compare("description", paths.description, description, stored.description or None)
    return differences + compare("owner", paths.owner, owner, stored.owner)


def compare_config(
    desired: CheckedConfig, stored: Mapping[str, t.Any], path: t.Callable[[str], Path],
    encode: t.Callable[[t.Any], t.Any] = lambda value: value,
) -> list[FieldDifference]:
    """Compare the fields of a driver; ``path`` and ``encode`` define where and how the kind stores a field."""
    differences = []
    for name, value in desired.values.items():
        old = stored.get(name)
        if value != old and not (name in desired.as_json and same_json(value, old)):
            differences.append(FieldDifference(name, path(name), None if value is None else encode(value)))
    return differences


def changed_options(differences: t.Iterable[FieldDifference]) -> set[str]:
    """Return the names of the options and fields that differ."""
    return {difference.option for difference in differences if difference.option is not None}


def merge_patch(differences: t.Iterable[FieldDifference]) -> dict[str, t.Any]:
    """Return the JSON merge patch (RFC 7396) that removes all differences; of two at one path, the last one applies."""
    patch: dict[str, t.Any] = {}
    for difference in differences:
        parent = patch
        for step in difference.path[:-1]:
            parent = parent.setdefault(step, {})
        parent[difference.path[-1]] = difference.value
    return patch


def apply_merge_patch(stored: t.Any, patch: t.Any) -> t.Any:
    """Return what a JSON merge patch (RFC 7396) makes of a value."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(stored) if isinstance(stored, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply_merge_patch(result.get(key), value)
    return result


def without_nulls(entries: Entries) -> dict[str, t.Any]:
    """Return the entries of a new object, in which a null has nothing to remove."""
    return {name: value for name, value in entries.items() if value is not None}
