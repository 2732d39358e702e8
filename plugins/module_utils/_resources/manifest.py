# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The module manifest."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from .._common.errors import RanchhandError, ValidationErrors
from .._common.options import OptionSpec
from .._kubernetes.apply import ObjectChange, plan_apply, plan_delete, read_objects, shown_object, write_changes
from .._kubernetes.client import KubernetesClient, name_in_path
from .._kubernetes.connection import CONNECTION
from .._rancher.queries import get_or_none
from .._runtime.execute import Connect, RunMode

MANIFEST = CONNECTION.merge(OptionSpec({
    "objects": {"type": "list", "elements": "raw", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}))


def manage_manifest(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """Apply objects in their order, or delete them in the reverse order."""
    _check_objects(params["objects"])
    client = connect()
    objects = dict(zip(_paths(client, params["objects"]), params["objects"]))
    if params["state"] == "present":
        changes = plan_apply(client, objects, read_objects(client, list(objects)))
    else:
        changes = plan_delete(read_objects(client, list(reversed(list(objects)))))
    if not mode.check:
        write_changes(client, changes)
    shown = [{**_name(objects[change.path]), "action": change.action} for change in changes]
    result: dict[str, t.Any] = {"changed": bool(changes), "objects": shown}
    if mode.diff:
        result["diff"] = [_diff(change, objects[change.path]) for change in changes]
    return result


def _check_objects(objects: t.Sequence[t.Any]) -> None:
    """Validate the option objects; raises ValidationErrors."""
    errors = []
    for index, item in enumerate(objects):
        metadata = item.get("metadata") if isinstance(item, Mapping) else None
        if not isinstance(metadata, Mapping) or not all(
            isinstance(text, str) and text for text in (item.get("apiVersion"), item.get("kind"), metadata.get("name"))
        ):
            errors.append(f"objects[{index}] must be a mapping with apiVersion, kind and metadata.name")
        elif item["kind"] == "Secret":
            errors.append(
                f"objects[{index}] is a Secret; this module does not apply Secrets, as its results and diffs show "
                "objects"
            )
    if errors:
        raise ValidationErrors(errors)


def _paths(client: KubernetesClient, objects: t.Sequence[Mapping[str, t.Any]]) -> t.Iterator[str]:
    """Return the path of each object; raises RanchhandError (``unsupported``, ``invalid``)."""
    served: dict[str, dict[str, t.Any]] = {}
    for index, item in enumerate(objects):
        version, kind, metadata = item["apiVersion"], item["kind"], item["metadata"]
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if base not in served:
            resources = (get_or_none(client, base) or {}).get("resources") or ()
            served[base] = {resource["kind"]: resource for resource in resources if "/" not in resource["name"]}
        resource = served[base].get(kind)
        if resource is None:
            raise RanchhandError("unsupported", f"objects[{index}]: {client.host} has no {kind} in {version}")
        if resource["namespaced"]:
            if not metadata.get("namespace"):
                label = f"objects[{index}] ({kind} {metadata['name']:.60})"
                raise RanchhandError("invalid", f"{label}: metadata.namespace is required")
            base += f"/namespaces/{name_in_path(metadata['namespace'])}"
        yield f"{base}/{resource['name']}/{name_in_path(metadata['name'])}"


def _name(item: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {"kind": item["kind"], "namespace": item["metadata"].get("namespace"), "name": item["metadata"]["name"]}


def _diff(change: ObjectChange, item: Mapping[str, t.Any]) -> dict[str, t.Any]:
    header = " ".join(part for part in _name(item).values() if part)
    return {
        "before": shown_object(change.before) if change.before else {},
        "after": shown_object(change.after) if change.after else {},
        "before_header": header, "after_header": header,
    }
