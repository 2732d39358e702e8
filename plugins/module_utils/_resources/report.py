# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""From options to a result, once, for modules and action plugins: parse, run, report, mask.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from .._common.errors import FailureWithResult
from .._common.masking import HIDDEN
from .._rancher.driver_schema import DriverSchemas
from .._runtime.execute import RunMode
from .planning import Change

_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # holds earlier secrets
Show = t.Callable[[t.Any, t.Optional[DriverSchemas]], t.Dict[str, t.Any]]


def report(changes: list[Change], warnings: list[str], schemas: DriverSchemas | None, show: Show, mode: RunMode, singular: str, many: bool) -> dict[str, t.Any]:
    """The result of a managing module; raises Failed if any item was refused or failed."""
    shown = [_show_change(change, schemas, show) for change in changes]
    result: dict[str, t.Any] = {"changed": any(change.writes for change in changes)}
    result[f"{singular}s" if many else singular] = shown if many else shown[0]
    if mode.diff:
        diffs = [_diff(change, schemas, show) for change in changes if change.writes]
        result["diff"] = diffs if many else diffs[0] if diffs else {"before": "", "after": ""}
    if warnings:
        result["warnings"] = warnings
    errors = [(change, change.error) for change in changes if change.error]
    if not errors:
        return result
    references = [reference.show() for change, _error in errors for reference in change.references or ()]
    if references:
        result["references"] = references
    codes = {error.code for _change, error in errors}
    code = codes.pop() if not many or codes == {"in_use"} else "partial"
    raise FailureWithResult(code, "; ".join(change.desired.where + error.message for change, error in errors), result)


def _show_change(change: Change, schemas: DriverSchemas | None, show: Show) -> dict[str, t.Any]:
    stored = change.before if change.action == "deleted" else change.after or change.before
    if stored is None:
        wanted = change.desired
        shown: dict[str, t.Any] = {
            "id": wanted.id, "name": wanted.name, "driver": wanted.driver, "owner": wanted.owner, "description": wanted.description or "",
            "config": {}, "secret_fields": [], "created_at": None,
        }
    else:
        shown = show(stored, schemas)
        if not stored.id:
            shown["id"] = None
    shown.update(action=change.action, changed_fields=list(change.changed_fields))
    if change.references is not None:
        shown["references"] = [reference.show() for reference in change.references]
    if change.unlisted:
        shown["references_incomplete"] = list(change.unlisted)
    if change.error:
        shown.update(msg=change.error.message, code=change.error.code)
    return shown


def _diff(change: Change, schemas: DriverSchemas | None, show: Show) -> dict[str, t.Any]:
    """Public values before and after; of secrets only which change, of labels and annotations only those that do."""
    before, after = change.before, None if change.action == "deleted" else change.after
    sides = []
    for one, other, mark in ((before, after, "before"), (after, before, "after")):
        side: dict[str, t.Any] = {}
        if one:
            side = show(one, schemas)
            secret = side.pop("secret_fields")
            for key in ("id", "created_at"):
                side.pop(key)
            side["secrets"] = {name: f"{HIDDEN} ({mark})" if name in change.changed_fields and other else HIDDEN for name in secret}
            for kind in ("labels", "annotations"):
                mine, others = getattr(one, kind), getattr(other, kind) if other else {}
                differing = [key for key in getattr(change.desired, kind) if key in mine and others.get(key) != mine[key]]
                if differing:
                    side[kind] = {key: HIDDEN if key == _APPLIED else mine[key] for key in differing}
        sides.append(side)
    stored = before or after
    header = stored.full_id if stored.id else f"new {stored.name}"
    return {"before": sides[0], "after": sides[1], "before_header": header, "after_header": header}
