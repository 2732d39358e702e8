# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""From options to a result, once, for modules and action plugins: parse, run, report, mask.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
import traceback
import typing as t
from collections.abc import Mapping

from ._driver_schema import Schemas
from ._errors import RanchhandError
from ._kubernetes import Api, connection_options
from ._planning import Change
from ._secret_text import HIDDEN, forms, leaves, mask

# The options that hold secrets, in a call or in an item of its list.
SECRET_OPTIONS = ("secrets", "issuer_secrets", "auth_key", "api_key", "password")
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # holds earlier secrets
_KUBECONFIG_SECRETS = ("token", "password", "client-key-data", "access-token", "id-token", "refresh-token", "client-secret")


class Mode(t.NamedTuple):
    """How Ansible runs the task."""

    check: bool = False
    diff: bool = False


Connect = t.Callable[[], Api]
Run = t.Callable[[t.Mapping[str, t.Any], Connect, Mode], t.Dict[str, t.Any]]


class Failed(RanchhandError):
    """A failure that comes with what became of each item."""

    def __init__(self, code: str, message: str, result: Mapping[str, t.Any]) -> None:
        super().__init__(code, message)
        self.result = result


def secret_values(params: Mapping[str, t.Any]) -> list[str]:
    """All values of a module's options that must not be shown, however wrong the options are."""
    found = [text for name in SECRET_OPTIONS for text in leaves(params.get(name))]
    for value in params.values():
        if isinstance(value, list):
            found += [text for item in value if isinstance(item, Mapping) for text in secret_values(item)]
    headers = params.get("proxy_headers")
    if isinstance(headers, Mapping):
        found += [text for name in ("proxy_basic_auth", "basic_auth") for text in leaves(headers.get(name))]
    return found + list(_kubeconfig_secrets(params.get("kubeconfig")))


def _kubeconfig_secrets(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, Mapping):
        for key, element in value.items():
            yield from leaves(element) if key in _KUBECONFIG_SECRETS else _kubeconfig_secrets(element)
    elif isinstance(value, list):
        for element in value:
            yield from _kubeconfig_secrets(element)
    elif isinstance(value, str):  # the content of a file, or its path
        yield from re.findall(rf"(?:{'|'.join(_KUBECONFIG_SECRETS)})\W{{1,5}}([^\s\"',}}]+)", value)


def execute(run: Run, params: Mapping[str, t.Any], mode: Mode, connect: t.Callable[[Mapping[str, t.Any]], Api] = Api) -> dict[str, t.Any]:
    """A module's result, failures included, with nothing in it that must not be shown."""
    known: list[Mapping[str, t.Any]] = [params]

    def connected() -> Api:
        known.append(connection_options(params))  # secrets of the environment too
        return connect(known[-1])

    try:
        result = run(params, connected, mode)
    except RanchhandError as error:
        result = {"failed": True, "changed": False, "msg": error.message, "code": error.code}
        if isinstance(error, Failed):
            result.update(error.result)
    except Exception as error:  # a mistake of ours: where it happened, and nothing of what it was about
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
        result = {"failed": True, "changed": False, "msg": f"internal error ({type(error).__name__} at {place}); please report it", "code": "server_error"}
    return mask(result, forms(text for one in known for text in secret_values(one)))


Show = t.Callable[[t.Any, t.Optional[Schemas]], t.Dict[str, t.Any]]


def report(changes: list[Change], warnings: list[str], schemas: Schemas | None, show: Show, mode: Mode, singular: str, many: bool) -> dict[str, t.Any]:
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
    raise Failed(code, "; ".join(change.desired.where + error.message for change, error in errors), result)


def _show_change(change: Change, schemas: Schemas | None, show: Show) -> dict[str, t.Any]:
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


def _diff(change: Change, schemas: Schemas | None, show: Show) -> dict[str, t.Any]:
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
