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
    "prune": {"type": "dict", "options": {
        "labels": {"type": "dict", "required": True},
        "kinds": {"type": "list", "elements": "dict", "required": True, "options": {
            "api_version": {"type": "str", "required": True},
            "kind": {"type": "str", "required": True},
        }},
    }},
}))


def manage_manifest(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """Apply objects in their order and delete what is not needed any more, or delete them in the reverse order."""
    prune = params.get("prune") or {}
    _check_options(params["objects"], prune)
    client = connect()
    resources = _Resources(client)
    objects = {resources.path(f"objects[{index}]", item): item for index, item in enumerate(params["objects"])}
    if params["state"] == "present":
        changes = plan_apply(client, objects, read_objects(client, list(objects)))
        surplus = {path: item for path, item in _labelled(client, resources, prune) if path not in objects}
        changes += plan_delete(surplus)
        objects.update(surplus)
    else:
        changes = plan_delete(read_objects(client, list(reversed(list(objects)))))
    if not mode.check:
        write_changes(client, changes)
    shown = [{**_name(objects[change.path]), "action": change.action} for change in changes]
    result: dict[str, t.Any] = {"changed": bool(changes), "objects": shown}
    if mode.diff:
        result["diff"] = [_diff(change, objects[change.path]) for change in changes]
    return result


def _check_options(objects: t.Sequence[t.Any], prune: Mapping[str, t.Any]) -> None:
    """Validate the options objects and prune; raises ValidationErrors."""
    errors = []
    if prune and not prune["labels"]:
        errors.append("prune.labels is empty, so that all objects of these kinds would be deleted; set a label")
    if any(item["kind"] == "Secret" for item in prune.get("kinds", ())):
        errors.append("prune.kinds contains Secret; this module does not delete Secrets by their labels")
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


class _Resources:
    """The resources that the API server has, read once for each API version."""

    def __init__(self, client: KubernetesClient) -> None:
        self._client = client
        self._served: dict[str, dict[str, t.Any]] = {}

    def collection(self, label: str, version: str, kind: str, namespace: str | None = None) -> tuple[str, bool]:
        """Return the path of a kind's collection, of a namespace if it is set, and whether the kind is namespaced.

        ``label`` names the option in the error (RanchhandError, ``unsupported``).
        """
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if base not in self._served:
            resources = (get_or_none(self._client, base) or {}).get("resources") or ()
            self._served[base] = {resource["kind"]: resource for resource in resources if "/" not in resource["name"]}
        resource = self._served[base].get(kind)
        if resource is None:
            raise RanchhandError("unsupported", f"{label}: {self._client.host} has no {kind} in {version}")
        if resource["namespaced"] and namespace:
            base += f"/namespaces/{name_in_path(namespace)}"
        return f"{base}/{resource['name']}", resource["namespaced"]

    def path(self, label: str, item: Mapping[str, t.Any]) -> str:
        """Return the path of an object; raises RanchhandError (``unsupported``, ``invalid``)."""
        metadata = item["metadata"]
        namespace = metadata.get("namespace")
        collection, namespaced = self.collection(label, item["apiVersion"], item["kind"], namespace)
        if namespaced and not namespace:
            raise RanchhandError(
                "invalid", f"{label} ({item['kind']} {metadata['name']:.60}): metadata.namespace is required"
            )
        return f"{collection}/{name_in_path(metadata['name'])}"


def _labelled(
    client: KubernetesClient, resources: _Resources, prune: Mapping[str, t.Any],
) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    """Yield path and object of all objects that the option prune describes."""
    selector = ",".join(f"{name}={value}" for name, value in prune.get("labels", {}).items())
    for index, kind in enumerate(prune.get("kinds", ())):
        label = f"prune.kinds[{index}]"
        collection, _namespaced = resources.collection(label, kind["api_version"], kind["kind"])
        for listed in client.list_objects(collection, labelSelector=selector):
            item = {**listed, "apiVersion": kind["api_version"], "kind": kind["kind"]}
            yield resources.path(label, item), item


def _name(item: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {"kind": item["kind"], "namespace": item["metadata"].get("namespace"), "name": item["metadata"]["name"]}


def _diff(change: ObjectChange, item: Mapping[str, t.Any]) -> dict[str, t.Any]:
    header = " ".join(part for part in _name(item).values() if part)
    return {
        "before": shown_object(change.before) if change.before else {},
        "after": shown_object(change.after) if change.after else {},
        "before_header": header, "after_header": header,
    }
