# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the module guard does.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from . import _guard as guard
from . import _observe as observe
from ._errors import ApiError, RanchhandError
from ._guarding import Guard
from ._kubernetes import Api
from ._manage_credentials import credentials
from ._marks import ALLOW_DELETE, CONDEMNED, condemned_by, now, patch
from ._options import AUTH, Spec
from ._run import Connect, Mode

GUARD = AUTH.merge(Spec({
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "protect_in_use": {"type": "bool", "default": False},
    "settle": {"type": "int", "default": 60},
}))

_IN_USE_BYTES = 500_000  # of a ConfigMap, which takes a million, for what uses each credential


def manage_guard(params: Mapping[str, t.Any], connect: Connect, mode: Mode) -> dict[str, t.Any]:
    """guard: installs, updates, verifies (in check mode) and removes the admission policies."""
    api = connect()
    if params["state"] == "absent":
        return _remove(api, mode)
    _require_policies(api)
    wanted = guard.objects(params["protect_in_use"], params["settle"])
    stored = dict(zip(guard.paths(), api.parallel(lambda path: observe.one(api, path), guard.paths())))
    found, index = api.at_once(
        lambda: credentials(api), lambda: observe.references(api) if params["protect_in_use"] else None,
    )
    condemned = (stored[f"{guard.CONFIG_MAPS}/{guard.CONDEMNED}"] or {}).get("data") or {}
    stale = guard.stale(condemned, {one.id for one in found}, now())
    gone: dict[str, str | None] = {**guard.expired(condemned, now()), **{name: None for name in stale}}
    if gone:
        wanted[f"{guard.CONFIG_MAPS}/{guard.CONDEMNED}"]["data"] = gone
    in_use: dict[str, str] = {}
    if index is not None:
        if index.unlisted:
            kinds = ", ".join(index.unlisted)
            raise RanchhandError("forbidden", f"cannot tell which credentials are in use: this connection may not list {kinds} in all namespaces")
        users = {one.id: index.to(one) for one in found}
        longest = _IN_USE_BYTES // max(1, len(users))
        in_use = {name: ", ".join(map(str, some))[:longest] for name, some in users.items() if some}
        before = (stored[f"{guard.CONFIG_MAPS}/{guard.IN_USE}"] or {}).get("data") or {}
        wanted[f"{guard.CONFIG_MAPS}/{guard.IN_USE}"]["data"] = {**{name: None for name in before if name not in in_use}, **in_use}

    actions = {}
    for path, item in wanted.items():
        if stored[path] is None:
            actions[path] = "created"
        elif guard.differs({key: value for key, value in item.items() if key in ("spec", "data")}, stored[path]) or guard.differs(
                item["metadata"].get("annotations") or {}, (stored[path] or {}).get("metadata", {}).get("annotations") or {}):
            actions[path] = "updated"
    left_marked = {f"{observe.SECRETS}/{one.id}": one for one in found if CONDEMNED in one.annotations and not condemned_by(one.annotations, now())}
    actions.update({path: "updated" for path in left_marked})
    superfluous = [path for path in guard.paths() if path not in wanted and stored[path]]
    actions.update({path: "deleted" for path in superfluous})
    if not mode.check:
        for path, item in wanted.items():
            if path in actions:
                _write(api, path, item, stored[path])
        for path, one in left_marked.items():
            api.patch(path, patch(one, {CONDEMNED: None, ALLOW_DELETE: None}))
        _delete(api, {path: stored[path] for path in superfluous})
        if actions:
            Guard(api, 0, False).verify()
    return {
        "changed": bool(actions), "objects": _shown(actions), "stale": stale, "in_use": sorted(in_use), "condemned": sorted(set(condemned) - set(gone)),
    }


def _require_policies(api: Api) -> None:
    try:
        served = {one["name"] for one in api.get(guard.ADMISSION).get("resources") or ()}
    except ApiError as error:
        if error.status != 404:
            raise
        served = set()
    if "validatingadmissionpolicies" not in served:
        raise RanchhandError("unsupported", f"{api.host} has no ValidatingAdmissionPolicy (v1): the guard needs Kubernetes 1.30 or newer")


def _shown(actions: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"kind": path.split("/")[-2], "name": path.rpartition("/")[2], "action": action} for path, action in actions.items()]


def _write(api: Api, path: str, item: Mapping[str, t.Any], stored: Mapping[str, t.Any] | None) -> None:
    if stored is None:
        if "data" in item:
            item = {**item, "data": {key: value for key, value in item["data"].items() if value is not None}}
        api.post(path.rpartition("/")[0], item)
    else:
        precondition = {"uid": stored["metadata"]["uid"], "resourceVersion": stored["metadata"]["resourceVersion"]}
        api.patch(path, {**item, "metadata": {**item["metadata"], **precondition}})


def _remove(api: Api, mode: Mode) -> dict[str, t.Any]:
    stored = {path: item for path, item in zip(guard.paths(), api.parallel(lambda path: observe.one(api, path), guard.paths())) if item}
    if not mode.check:
        _delete(api, stored)
    return {"changed": bool(stored), "objects": _shown({path: "deleted" for path in stored}), "stale": [], "in_use": [], "condemned": []}


def _delete(api: Api, stored: Mapping[str, Mapping[str, t.Any] | None]) -> None:
    for path, item in stored.items():
        if item:
            api.delete(path, item["metadata"]["uid"], item["metadata"]["resourceVersion"])
