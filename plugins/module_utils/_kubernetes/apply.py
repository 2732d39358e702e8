# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Server-side apply with a dry run: what an apply or a deletion would change, and the change itself."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._common.errors import ApiError
from .client import CONFLICT_ATTEMPTS, KubernetesClient
from .connection import FIELD_MANAGER

Object = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class ObjectChange:
    """An object that has to be created, updated or deleted (``action``).

    ``desired`` is what is applied. ``correction`` is a merge patch that precedes the apply, for what an apply keeps:
    entries that another client has set.
    """

    path: str
    action: str
    before: Object | None = None
    after: Object | None = None
    desired: Object = field(default_factory=dict)
    correction: Object = field(default_factory=dict)


def read_objects(client: KubernetesClient, paths: t.Sequence[str]) -> dict[str, dict[str, t.Any] | None]:
    """Read the objects at these paths; None for those that do not exist."""
    def read(path: str) -> dict[str, t.Any] | None:
        try:
            return client.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    return dict(zip(paths, client.parallel_map(read, paths)))


def plan_apply(
    client: KubernetesClient, desired: Mapping[str, Object], stored: Mapping[str, Object | None],
    corrections: Mapping[str, Object] | None = None,
) -> list[ObjectChange]:
    """Return the changes of a server-side apply, in the order of ``desired``: path to object.

    The API server computes the outcome in a dry run, except for new objects, as their namespace may be new too.
    """
    def plan(path: str) -> ObjectChange | None:
        before, wanted = stored[path], desired[path]
        correction = (corrections or {}).get(path) or {}
        if before is None:
            return ObjectChange(path, "created", None, wanted, wanted, correction)
        before, after = (before, before) if correction else _outcome(client, path, wanted, before)
        if correction or applied_fields(before) != applied_fields(after):
            return ObjectChange(path, "updated", before, after, wanted, correction)
        return None

    return [change for change in client.parallel_map(plan, list(desired)) if change]


def _outcome(client: KubernetesClient, path: str, wanted: Object, before: Object) -> tuple[Object, Object]:
    """Return an object before and after an apply; before is read again if another client has changed it."""
    for _attempt in range(CONFLICT_ATTEMPTS):
        try:
            return before, client.apply(path, _with_version(wanted, before), dryRun="All")
        except ApiError as error:
            if error.status != 409:
                raise
            conflict = error
        before = client.get(path)
    raise conflict


def plan_delete(stored: Mapping[str, Object | None]) -> list[ObjectChange]:
    """Return the deletions of the objects that exist, in the order of ``stored``."""
    return [ObjectChange(path, "deleted", before=before) for path, before in stored.items() if before]


def write_changes(client: KubernetesClient, changes: t.Iterable[ObjectChange]) -> None:
    """Write changes in their order, each only if its object has not been changed since it was read."""
    for change in changes:
        version = _version(change.before)
        if change.action == "deleted":
            client.delete(change.path, version["uid"], version["resourceVersion"])
            continue
        stored = change.before
        if change.correction and stored:
            stored = client.patch(change.path, {**change.correction, "metadata": version})
        client.apply(change.path, _with_version(change.desired, stored))


def _with_version(wanted: Object, stored: Object | None) -> Object:
    return {**wanted, "metadata": {**wanted["metadata"], **_version(stored)}}


def _version(stored: Object | None) -> dict[str, str]:
    return {key: stored["metadata"][key] for key in ("uid", "resourceVersion")} if stored else {}


def applied_fields(item: Object) -> tuple[t.Any, ...]:
    """Return what an apply changes: the object without its status, and the fields that this collection owns."""
    fields = [
        entry["fieldsV1"] for entry in item["metadata"].get("managedFields", ())
        if (entry["manager"], entry["operation"]) == (FIELD_MANAGER, "Apply")
    ]
    return shown_object(item), fields


def shown_object(item: Object) -> dict[str, t.Any]:
    """Return an object without its status and the metadata that changes with every write."""
    volatile = ("managedFields", "resourceVersion", "generation")
    metadata = {name: value for name, value in item["metadata"].items() if name not in volatile}
    return {**{name: value for name, value in item.items() if name != "status"}, "metadata": metadata}
