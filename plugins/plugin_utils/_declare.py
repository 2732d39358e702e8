# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning of the role cloud_credentials and of deletions by playbooks. Pure.

The modules plan each object. This file plans the order of their calls: credentials are created before the node
templates that
use them, and deleted after them. In check mode nothing is created or deleted in between, so the results are completed
here.
"""

from __future__ import annotations

import fnmatch
import typing as t
from collections.abc import Collection, Mapping, Sequence

from ..module_utils._common.text import trim
from ._text_output import reference_text

Object = t.Mapping[str, t.Any]
Result = t.Mapping[str, t.Any]
KINDS = {"credentials": "cloud credential", "node_templates": "node template"}


def declaration_steps(
    credentials: Sequence[Object], node_templates: Sequence[Object], state: str, first_result: Result | None = None,
    check_mode: bool = False,
) -> dict[str, list[t.Any]]:
    """Return the items of the module calls, in their order.

    Args:
        state: The state of items that have none.
        first_result: The result of the first call.
        check_mode: Whether the first call wrote nothing, so that credentials still have their former names and owners.

    Returns:
        ``first``: credentials for the first call. Without node templates this is the whole list, and messages have
        its indices.
        ``node_templates``: node templates for the second call.
        ``absent``: credentials for the last call, after node templates have stopped using them.
        ``waiting``: indices of node templates whose credential does not exist yet, in check mode only.
    """
    if not node_templates:
        return {"first": list(credentials), "node_templates": [], "absent": [], "waiting": []}
    stated = [{**item, "state": item.get("state") or state} for item in credentials]
    future = {
        credential["name"]
        for credential in (first_result or {}).get("credentials") or ()
        if credential["action"] == "created" and credential["id"] is None
    }
    unwritten = _unwritten_changes(first_result or {}) if check_mode else _Unwritten({}, False)
    waiting = [index for index, item in enumerate(node_templates) if _credential_of(item) in future]
    return {
        "first": [item for item in stated if item["state"] != "absent"],
        "node_templates": [
            {**item, "cloud_credential": None} if index in waiting else unwritten.adapt(item)
            for index, item in enumerate(node_templates)
        ],
        "absent": [item for item in stated if item["state"] == "absent"],
        "waiting": waiting,
    }


class _Unwritten(t.NamedTuple):
    """Renames and hand-overs of credentials that check mode has not written: ids by new name, and whether any owner
    changes.
    """

    ids: Mapping[str, str]
    new_owner: bool

    def adapt(self, item: Object) -> Object:
        """Return a node template that can be planned with the credentials as they are stored."""
        identifier = self.ids.get(_credential_of(item) or "")
        if identifier:
            item = {**item, "cloud_credential": identifier}
        # Otherwise a node template that is handed over together with its credential would be refused.
        return {**item, "validate_config": False} if self.new_owner and (identifier or item.get("owner")) else item


def _unwritten_changes(first_result: Result) -> _Unwritten:
    updated = [item for item in first_result.get("credentials") or () if item["action"] == "updated"]
    changed = [item for item in updated if {"name", "owner"} & set(item.get("changed_fields") or ())]
    return _Unwritten(
        {item["name"]: item["id"] for item in changed}, any("owner" in item["changed_fields"] for item in changed),
    )


def _credential_of(item: Object) -> t.Any:
    credential = item.get("cloud_credential")
    return trim(credential) if isinstance(credential, str) else None


def declaration_result(
    first_result: Result,
    templates_result: Result | None = None,
    absent_result: Result | None = None,
    waiting: Collection[int] = (),
    check_mode: bool = False,
) -> dict[str, t.Any]:
    """Return the result of all calls, the same in check mode and in a real run.

    Returns:
        ``changed``, ``credentials``, ``node_templates``.
        ``released``: names (``metadata.name``) of node templates that stop using a credential.
        ``absent_is_predicted``: whether the last call failed only because these node templates still exist, in check
        mode.
    """
    templates, absent = templates_result or {}, absent_result or {}
    node_templates = [
        _with_new_credential(item) if index in waiting else item
        for index, item in enumerate(templates.get("node_templates") or ())
    ]
    released = [
        _resource_name(item["id"])
        for item in node_templates
        if item["id"] and (item["action"] == "deleted" or "cloud_credential" in item.get("changed_fields", ()))
    ]
    predicted = (
        check_mode and absent.get("code") == "in_use" and _only_released(absent.get("references") or (), released)
    )
    changed = predicted or bool(waiting) or any(result.get("changed") for result in (first_result, templates, absent))
    return {
        "changed": changed,
        "credentials": [*(first_result.get("credentials") or ()), *(absent.get("credentials") or ())],
        "node_templates": node_templates,
        "released": released,
        "absent_is_predicted": predicted,
    }


def _with_new_credential(item: Object) -> Object:
    if item["action"] not in ("unchanged", "updated"):
        return item
    return {**item, "action": "updated", "changed_fields": [*item.get("changed_fields", ()), "cloud_credential"]}


def _only_released(references: Sequence[Object], released: Collection[str]) -> bool:
    return not any(_needs_credential(reference, released) for reference in references)


def _needs_credential(reference: Object, released: Collection[str]) -> bool:
    """Return whether an object needs a credential after the node templates with these names have released it."""
    is_released = reference["kind"] == "NodeTemplate" and reference["name"] in released
    return not is_released and reference.get("use") != "history"


def _resource_name(identifier: str) -> str:
    return identifier.rpartition(":")[2]


def undeclared(found: Sequence[Object], declared: Sequence[Object], scope: Mapping[str, t.Any]) -> list[Object]:
    """Return the objects within the scope whose id none of the declared ones has. Unreadable objects are left out.

    Args:
        scope: ``name`` is the exact name, ``name_pattern`` a shell pattern. Owner and driver were applied when listing.
    """
    ids = {item["id"] for item in declared}
    return [
        item
        for item in found
        if item["id"] not in ids and not _unreadable(item) and _name_in_scope(item["name"], scope)
    ]


def _unreadable(item: Object) -> bool:
    return any(problem["code"] == "unreadable" for problem in item.get("problems") or ())


def _name_in_scope(name: str, scope: Mapping[str, t.Any]) -> bool:
    if scope.get("name") is not None and name != scope["name"]:
        return False
    return scope.get("name_pattern") is None or fnmatch.fnmatchcase(name, scope["name_pattern"])


def removal_plan(
    results: Mapping[str, Result], released: Collection[str] = (), host: str = ""
) -> dict[str, list[t.Any]]:
    """Return what a deletion deletes, from the results of ``state: absent`` in check mode.

    A credential that only node templates use which are deleted too, or which stop using it, is deleted.

    Args:
        results: Results of the modules under ``node_templates`` and ``credentials``; either may be missing.
        released: Names of node templates that stop using a credential.

    Returns:
        ``node_templates``, ``credentials``: items with the id of each object to delete.
        ``rows``: rows of a table: host, kind, name, id, driver, action.
    """
    going: dict[str, list[t.Any]] = {"node_templates": [], "credentials": []}
    rows = []
    names = list(released)
    for key in going:
        for item in (results.get(key) or {}).get(key) or ():
            users = [reference for reference in item.get("references") or () if _needs_credential(reference, names)]
            deleted = item["action"] == "deleted" or (
                item["action"] == "refused" and bool(item.get("references")) and not users
            )
            if deleted:
                going[key].append({"id": item["id"]})
            row = {"host": host, "kind": KINDS[key], **{name: item.get(name) for name in ("name", "id", "driver")}}
            rows.append({**row, "action": _removal_action(item, deleted)})
            if not deleted:
                empty = dict.fromkeys(row)
                rows += [{**empty, "host": host, "action": f"  used by {reference_text(user)}"} for user in users]
        names += [_resource_name(item["id"]) for item in going[key]]
    return {**going, "rows": rows}


def _removal_action(item: Object, deleted: bool) -> str:
    if deleted:
        return "will be deleted"
    if item["action"] == "refused":
        return "is kept, it is in use:"
    return "does not exist or is already being deleted"


def drift(result: Result, undeclared_objects: Mapping[str, Sequence[Object]]) -> list[Object]:
    """Return what is not as declared, with its ``kind``; ``action`` is what the role would do, or ``undeclared``."""
    objects = [{**item, "kind": kind} for key, kind in KINDS.items() for item in result.get(key) or ()]
    different: list[Object] = [item for item in objects if item["action"] != "unchanged"]
    for key, kind in KINDS.items():
        different += [{**item, "kind": kind, "action": "undeclared"} for item in undeclared_objects.get(key) or ()]
    return different


_DRIFT = {
    "created": "is missing",
    "undeclared": "is not declared",
    "deleted": "exists, but is declared absent",
    "refused": "exists, but is declared absent",
}


def object_rows(objects: Sequence[Object], host: str = "", view: str = "result") -> list[dict[str, t.Any]]:
    """Return rows of a table: host, kind, name, driver, and a last column for the view.

    Args:
        view: ``result`` (what happened), ``check`` (what would happen) or ``drift`` (how the object differs from its
          declaration).
    """
    column, describe = _VIEWS[view]
    return [
        {
            "host": host,
            "kind": item["kind"],
            "name": item["name"] or item["id"],
            "driver": item["driver"],
            column: describe(item),
        }
        for item in objects
    ]


def _describe_result(item: Object) -> str:
    fields = ", ".join(item.get("changed_fields") or ())
    return f"{item['action']}: {fields}" if fields else str(item["action"])


def _describe_check(item: Object) -> str:
    # A deletion that fails for more than node templates of the same run fails the play before it is shown.
    return "would be " + _describe_result({**item, "action": item["action"].replace("refused", "deleted")})


def _describe_drift(item: Object) -> str:
    return _DRIFT.get(item["action"]) or f"differs in {', '.join(item.get('changed_fields') or ())}"


_VIEWS: dict[str, tuple[str, t.Callable[[Object], str]]] = {
    "result": ("result", _describe_result),
    "check": ("result", _describe_check),
    "drift": ("difference", _describe_drift),
}


def drift_files(outcomes: Sequence[Mapping[str, t.Any]], hosts: Collection[str]) -> list[dict[str, t.Any]]:
    """Return ``path`` and ``content`` of each drift file; hosts with the same path share one file.

    The path of a host without an outcome is unknown, so such a host makes ``failed`` true in every file.

    Args:
        outcomes: For each host: ``host``, ``path`` (may be empty), ``drift``, ``failed``.
        hosts: All hosts of the play.
    """
    incomplete = bool(set(hosts) - {outcome["host"] for outcome in outcomes})
    paths = sorted({outcome["path"] for outcome in outcomes if outcome["path"]})
    by_path = {path: [outcome for outcome in outcomes if outcome["path"] == path] for path in paths}
    return [{"path": path, "content": _drift_content(found, incomplete)} for path, found in by_path.items()]


def _drift_content(outcomes: Sequence[Mapping[str, t.Any]], incomplete: bool) -> dict[str, t.Any]:
    return {
        "drift": [{"host": outcome["host"], **item} for outcome in outcomes for item in outcome["drift"]],
        "failed": incomplete or any(outcome["failed"] for outcome in outcomes),
    }


def placeholder_secrets(items: Sequence[t.Any]) -> list[t.Any]:
    """Return items with a placeholder in place of each empty secret; what is no valid item is not changed."""
    return [
        {**item, "secrets": {field: "throw-away" if value == "" else value for field, value in item["secrets"].items()}}
        if isinstance(item, Mapping) and isinstance(item.get("secrets"), Mapping) else item
        for item in items
    ]
