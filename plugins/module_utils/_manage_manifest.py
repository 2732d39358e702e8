# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the module manifest does.

PRIVATE to the collection.
"""

from __future__ import annotations

import hashlib
import json
import typing as t
from collections.abc import Mapping

from . import _observe as observe
from ._errors import Mistakes, RanchhandError
from ._guard import differs
from ._kubernetes import Api, name_in_path
from ._marks import PREFIX
from ._options import AUTH, Spec
from ._run import Connect, Mode

MANIFEST = AUTH.merge(Spec({
    "objects": {"type": "list", "elements": "raw", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}))

# A digest of all that was applied, so that a field which is not wanted any more is a difference.
_APPLIED = PREFIX + "manifest"


def manage_manifest(params: Mapping[str, t.Any], connect: Connect, mode: Mode) -> dict[str, t.Any]:
    """manifest: applies objects in their order, or deletes them in the reverse one."""
    _check(params["objects"])
    api = connect()
    present = params["state"] == "present"
    wanted = dict(zip(_paths(api, params["objects"]), map(_marked, params["objects"])))
    stored = dict(zip(wanted, api.parallel(lambda path: observe.one(api, path), list(wanted))))
    actions = {path: _action(item, stored[path], present) for path, item in (wanted.items() if present else reversed(wanted.items()))}
    actions = {path: action for path, action in actions.items() if action}
    for path in () if mode.check else actions:
        version = {key: stored[path]["metadata"][key] for key in ("uid", "resourceVersion")} if stored[path] else {}
        if present:
            api.apply(path, {**wanted[path], "metadata": {**wanted[path]["metadata"], **version}})
        else:
            api.delete(path, version["uid"], version["resourceVersion"])
    result: dict[str, t.Any] = {"changed": bool(actions), "objects": [{**_name(wanted[path]), "action": action} for path, action in actions.items()]}
    if mode.diff:
        result["diff"] = [_diff(wanted[path], stored[path], present) for path in actions]
    return result


def _check(objects: t.Sequence[t.Any]) -> None:
    """Raises Mistakes."""
    mistakes = []
    for index, item in enumerate(objects):
        where = f"objects[{index}]"
        metadata = item.get("metadata") if isinstance(item, Mapping) else None
        if not isinstance(metadata, Mapping) or not all(
                isinstance(text, str) and text for text in (item.get("apiVersion"), item.get("kind"), metadata.get("name"))):
            mistakes.append(f"{where} must be a mapping with apiVersion, kind and metadata.name")
        elif item["kind"] == "Secret":
            mistakes.append(f"{where} is a Secret, which is not for this module: it shows what it applies")
    if mistakes:
        raise Mistakes(mistakes)


def _paths(api: Api, objects: t.Sequence[Mapping[str, t.Any]]) -> t.Iterator[str]:
    """Where each object is. Raises RanchhandError (``unsupported``, ``invalid``)."""
    served: dict[str, dict[str, t.Any]] = {}
    for index, item in enumerate(objects):
        version, kind, metadata = item["apiVersion"], item["kind"], item["metadata"]
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if base not in served:
            resources = (observe.one(api, base) or {}).get("resources") or ()
            served[base] = {one["kind"]: one for one in resources if "/" not in one["name"]}
        resource = served[base].get(kind)
        if resource is None:
            raise RanchhandError("unsupported", f"objects[{index}]: {api.host} has no {kind} in {version}")
        if resource["namespaced"]:
            if not metadata.get("namespace"):
                raise RanchhandError("invalid", f"objects[{index}] ({kind} {metadata['name']:.60}): metadata.namespace is required")
            base += f"/namespaces/{name_in_path(metadata['namespace'])}"
        yield f"{base}/{resource['name']}/{name_in_path(metadata['name'])}"


def _marked(item: Mapping[str, t.Any]) -> dict[str, t.Any]:
    digest = hashlib.sha256(json.dumps(item, sort_keys=True).encode()).hexdigest()
    metadata = item["metadata"]
    return {**item, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), _APPLIED: digest}}}


def _action(wanted: Mapping[str, t.Any], stored: Mapping[str, t.Any] | None, present: bool) -> str | None:
    if not present:
        return "deleted" if stored else None
    if stored is None:
        return "created"
    return "updated" if differs(wanted, stored) else None


def _name(item: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {"kind": item["kind"], "namespace": item["metadata"].get("namespace"), "name": item["metadata"]["name"]}


def _diff(wanted: Mapping[str, t.Any], stored: Mapping[str, t.Any] | None, present: bool) -> dict[str, t.Any]:
    header = " ".join(filter(None, _name(wanted).values()))
    return {"before": _part(wanted, stored) if stored else {}, "after": wanted if present else {}, "before_header": header, "after_header": header}


def _part(wanted: t.Any, stored: t.Any) -> t.Any:
    """Of what is stored that which is wanted says something about."""
    if isinstance(wanted, Mapping) and isinstance(stored, Mapping):
        return {key: _part(value, stored[key]) for key, value in wanted.items() if key in stored}
    if isinstance(wanted, list) and isinstance(stored, list) and len(wanted) == len(stored):
        return list(map(_part, wanted, stored))
    return stored
