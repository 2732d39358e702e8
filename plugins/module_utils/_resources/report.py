# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The result and the diff of a module that manages objects."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from .._common.errors import FailureWithResult
from .._common.masking import HIDDEN
from .._rancher.driver_schema import DriverSchemas
from .._runtime.execute import RunMode
from .catalog import StoredT
from .planning import Change, DesiredT

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # may contain former secrets
_FAILURES = 20  # in the message of a call; each failed item has its own message too
Show = t.Callable[[StoredT, t.Optional[DriverSchemas]], t.Dict[str, t.Any]]


def report(
    changes: list[Change[DesiredT, StoredT]], warnings: list[str], schemas: DriverSchemas | None, show: Show[StoredT],
    mode: RunMode, singular: str, many: bool,
) -> dict[str, t.Any]:
    """Return the result of a managing module; raises FailureWithResult if any item was refused or failed."""
    shown = [_show_change(change, schemas, show) for change in changes]
    result: dict[str, t.Any] = {"changed": any(change.writes for change in changes)}
    result[f"{singular}s" if many else singular] = shown if many else shown[0]
    if mode.diff:
        diffs = [_diff(change, schemas, show) for change in changes if change.writes]
        single = diffs[0] if diffs else {"before": "", "after": ""}
        result["diff"] = diffs if many else single
    if warnings:
        result["warnings"] = warnings
    failed = [(change, change.error) for change in changes if change.error]
    if not failed:
        return result
    references = [reference.show() for change, _error in failed for reference in change.references or ()]
    if references:
        result["references"] = references
    codes = {error.code for _change, error in failed}
    code = codes.pop() if not many or codes == {"in_use"} else "partial"
    messages = [change.desired.where + error.message for change, error in failed[:_FAILURES]]
    more = [f"and {len(failed) - _FAILURES} more items"] if len(failed) > _FAILURES else []
    message = "; ".join(messages + more)
    raise FailureWithResult(code, message, result)


def _show_change(
    change: Change[DesiredT, StoredT], schemas: DriverSchemas | None, show: Show[StoredT],
) -> dict[str, t.Any]:
    stored = change.before if change.action == "deleted" else change.after or change.before
    if stored is None:
        shown = change.desired.show_absent()
    else:
        shown = show(stored, schemas)
        if not stored.id:
            shown["id"] = None
    shown.update(change.details, action=change.action, changed_fields=list(change.changed_fields))
    if change.references is not None:
        shown["references"] = [reference.show() for reference in change.references]
    if change.unlisted:
        shown["references_incomplete"] = list(change.unlisted)
    if change.error:
        shown.update(msg=change.error.message, code=change.error.code)
    return shown


def _diff(change: Change[DesiredT, StoredT], schemas: DriverSchemas | None, show: Show[StoredT]) -> dict[str, t.Any]:
    """Return public values before and after, which secrets change, and the labels and annotations that change."""
    before, after = change.before, None if change.action == "deleted" else change.after
    named = before or change.created
    header = named.full_id if named.id else f"new {named.name}"
    return {
        "before": _diff_side(change, before, after, "before", schemas, show),
        "after": _diff_side(change, after, before, "after", schemas, show),
        "before_header": header, "after_header": header,
    }


def _diff_side(
    change: Change[DesiredT, StoredT], stored: StoredT | None, other: StoredT | None, label: str,
    schemas: DriverSchemas | None, show: Show[StoredT],
) -> dict[str, t.Any]:
    if stored is None:
        return {}
    side = show(stored, schemas)
    for key in ("id", "created_at"):
        side.pop(key)
    side["secrets"] = {
        name: f"{HIDDEN} ({label})" if name in change.changed_fields and other else HIDDEN
        for name in side.pop("secret_fields")
    }
    desired = change.desired
    side.update(_changed_entries("labels", desired.labels, stored.labels, other.labels if other else {}))
    side.update(
        _changed_entries("annotations", desired.annotations, stored.annotations, other.annotations if other else {})
    )
    return side


def _changed_entries(
    kind: str, desired: Mapping[str, t.Any], entries: Mapping[str, str], others: Mapping[str, str],
) -> dict[str, dict[str, str]]:
    changed = {
        key: HIDDEN if key == _LAST_APPLIED else entries[key]
        for key in desired if key in entries and others.get(key) != entries[key]
    }
    return {kind: changed} if changed else {}
