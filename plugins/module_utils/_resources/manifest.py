# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the module manifest does.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from .._common.errors import RanchhandError, ValidationErrors
from .._common.options import OptionSpec
from .._kubernetes.client import KubernetesClient, name_in_path
from .._kubernetes.connection import CONNECTION, FIELD_MANAGER
from .._rancher.queries import get_or_none
from .._runtime.execute import Connect, RunMode

MANIFEST = CONNECTION.merge(OptionSpec({
    "objects": {"type": "list", "elements": "raw", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}))


def manage_manifest(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """manifest: applies objects in their order, or deletes them in the reverse one."""
    _check(params["objects"])
    client = connect()
    present = params["state"] == "present"
    wanted = dict(zip(_paths(client, params["objects"]), params["objects"]))
    paths = list(wanted if present else reversed(wanted))
    before = dict(zip(paths, client.parallel_map(lambda path: get_or_none(client, path), paths)))
    after = dict(zip(paths, client.parallel_map(lambda path: _outcome(client, path, wanted[path], before[path]), paths))) if present else dict.fromkeys(paths)
    actions = {path: action for path in paths if (action := _action(before[path], after[path]))}
    for path in () if mode.check else actions:
        stored = before[path]
        version = {key: stored["metadata"][key] for key in ("uid", "resourceVersion")} if stored else {}
        if present:
            client.apply(path, {**wanted[path], "metadata": {**wanted[path]["metadata"], **version}})
        else:
            client.delete(path, version["uid"], version["resourceVersion"])
    result: dict[str, t.Any] = {"changed": bool(actions), "objects": [{**_name(wanted[path]), "action": action} for path, action in actions.items()]}
    if mode.diff:
        result["diff"] = [_diff(" ".join(filter(None, _name(wanted[path]).values())), before[path], after[path]) for path in actions]
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
        raise ValidationErrors(mistakes)


def _paths(client: KubernetesClient, objects: t.Sequence[Mapping[str, t.Any]]) -> t.Iterator[str]:
    """Where each object is. Raises RanchhandError (``unsupported``, ``invalid``)."""
    served: dict[str, dict[str, t.Any]] = {}
    for index, item in enumerate(objects):
        version, kind, metadata = item["apiVersion"], item["kind"], item["metadata"]
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if base not in served:
            resources = (get_or_none(client, base) or {}).get("resources") or ()
            served[base] = {one["kind"]: one for one in resources if "/" not in one["name"]}
        resource = served[base].get(kind)
        if resource is None:
            raise RanchhandError("unsupported", f"objects[{index}]: {client.host} has no {kind} in {version}")
        if resource["namespaced"]:
            if not metadata.get("namespace"):
                raise RanchhandError("invalid", f"objects[{index}] ({kind} {metadata['name']:.60}): metadata.namespace is required")
            base += f"/namespaces/{name_in_path(metadata['namespace'])}"
        yield f"{base}/{resource['name']}/{name_in_path(metadata['name'])}"


def _outcome(client: KubernetesClient, path: str, wanted: Mapping[str, t.Any], stored: Mapping[str, t.Any] | None) -> Mapping[str, t.Any]:
    """What an apply would make of an object. Of one that is not there it is not asked, as its namespace may not be there either."""
    return client.apply(path, wanted, dryRun="All") if stored else wanted


def _action(before: Mapping[str, t.Any] | None, after: Mapping[str, t.Any] | None) -> str | None:
    if before is None or after is None:
        return "created" if after else "deleted" if before else None
    return "updated" if _own(before) != _own(after) else None


def _own(item: Mapping[str, t.Any]) -> tuple[t.Any, ...]:
    """What an apply changes: the object without its status, and the fields that are ours."""
    fields = [one["fieldsV1"] for one in item["metadata"].get("managedFields", ()) if (one["manager"], one["operation"]) == (FIELD_MANAGER, "Apply")]
    return _shown(item), fields


def _shown(item: Mapping[str, t.Any]) -> dict[str, t.Any]:
    metadata = {name: value for name, value in item["metadata"].items() if name not in ("managedFields", "resourceVersion", "generation")}
    return {**{name: value for name, value in item.items() if name != "status"}, "metadata": metadata}


def _name(item: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {"kind": item["kind"], "namespace": item["metadata"].get("namespace"), "name": item["metadata"]["name"]}


def _diff(header: str, before: Mapping[str, t.Any] | None, after: Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    return {"before": _shown(before) if before else {}, "after": _shown(after) if after else {}, "before_header": header, "after_header": header}
