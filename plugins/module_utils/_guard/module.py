# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the module guard does.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from .._common.errors import ApiError, RanchhandError
from .._common.options import OptionSpec
from .._common.times import now
from .._kubernetes.client import KubernetesClient
from .._kubernetes.connection import CONNECTION
from .._rancher.annotations import ALLOW_DELETE, MARKED_FOR_DELETION, annotation_patch, deleting_run
from .._rancher.queries import SECRETS_PATH, get_or_none, list_cloud_credentials, read_references
from .._runtime.execute import Connect, RunMode
from .client import GuardClient
from .policies import (
    ADMISSION,
    CONFIG_MAPS,
    DELETION_LIST,
    IN_USE,
    differs,
    expired_entries,
    guard_objects,
    guard_paths,
    stale_entries,
)

GUARD = CONNECTION.merge(OptionSpec({
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "protect_in_use": {"type": "bool", "default": False},
    "settle": {"type": "duration", "default": "60s"},
}))
_IN_USE_BYTES = 500_000  # of a ConfigMap, which takes a million, for what uses each credential


def manage_guard(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """guard: installs, updates, verifies (in check mode) and removes the admission policies."""
    client = connect()
    if params["state"] == "absent":
        return _remove(client, mode)
    _require_policies(client)
    wanted = guard_objects(params["protect_in_use"], params["settle"])
    stored = dict(zip(guard_paths(), client.parallel_map(lambda path: get_or_none(client, path), guard_paths())))
    found, index = client.parallel_reads(
        lambda: list_cloud_credentials(client), lambda: read_references(client) if params["protect_in_use"] else None,
    )
    condemned = (stored[f"{CONFIG_MAPS}/{DELETION_LIST}"] or {}).get("data") or {}
    stale = stale_entries(condemned, {one.id for one in found}, now())
    gone: dict[str, str | None] = {**expired_entries(condemned, now()), **{name: None for name in stale}}
    if gone:
        wanted[f"{CONFIG_MAPS}/{DELETION_LIST}"]["data"] = gone
    in_use: dict[str, str] = {}
    if index is not None:
        if index.unlisted:
            kinds = ", ".join(index.unlisted)
            raise RanchhandError("forbidden", f"cannot tell which credentials are in use: this connection may not list {kinds} in all namespaces")
        users = {one.id: index.references_to(one) for one in found}
        longest = _IN_USE_BYTES // max(1, len(users))
        in_use = {name: ", ".join(map(str, some))[:longest] for name, some in users.items() if some}
        before = (stored[f"{CONFIG_MAPS}/{IN_USE}"] or {}).get("data") or {}
        wanted[f"{CONFIG_MAPS}/{IN_USE}"]["data"] = {**{name: None for name in before if name not in in_use}, **in_use}

    actions = {}
    for path, item in wanted.items():
        if stored[path] is None:
            actions[path] = "created"
        elif differs({key: value for key, value in item.items() if key in ("spec", "data")}, stored[path]) or differs(
                item["metadata"].get("annotations") or {}, (stored[path] or {}).get("metadata", {}).get("annotations") or {}):
            actions[path] = "updated"
    left_marked = {f"{SECRETS_PATH}/{one.id}": one for one in found if MARKED_FOR_DELETION in one.annotations and not deleting_run(one.annotations, now())}
    actions.update({path: "updated" for path in left_marked})
    superfluous = [path for path in guard_paths() if path not in wanted and stored[path]]
    actions.update({path: "deleted" for path in superfluous})
    if not mode.check:
        for path, item in wanted.items():
            if path in actions:
                _write(client, path, item, stored[path])
        for path, one in left_marked.items():
            client.patch(path, annotation_patch(one, {MARKED_FOR_DELETION: None, ALLOW_DELETE: None}))
        _delete(client, {path: stored[path] for path in superfluous})
        if actions:
            GuardClient(client, 0, False).verify()
    return {
        "changed": bool(actions), "objects": _shown(actions), "stale": stale, "in_use": sorted(in_use), "condemned": sorted(set(condemned) - set(gone)),
    }


def _require_policies(client: KubernetesClient) -> None:
    try:
        served = {one["name"] for one in client.get(ADMISSION).get("resources") or ()}
    except ApiError as error:
        if error.status != 404:
            raise
        served = set()
    if "validatingadmissionpolicies" not in served:
        raise RanchhandError("unsupported", f"{client.host} has no ValidatingAdmissionPolicy (v1): the guard needs Kubernetes 1.30 or newer")


def _shown(actions: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"kind": path.split("/")[-2], "name": path.rpartition("/")[2], "action": action} for path, action in actions.items()]


def _write(client: KubernetesClient, path: str, item: Mapping[str, t.Any], stored: Mapping[str, t.Any] | None) -> None:
    if stored is None:
        if "data" in item:
            item = {**item, "data": {key: value for key, value in item["data"].items() if value is not None}}
        client.post(path.rpartition("/")[0], item)
    else:
        precondition = {"uid": stored["metadata"]["uid"], "resourceVersion": stored["metadata"]["resourceVersion"]}
        client.patch(path, {**item, "metadata": {**item["metadata"], **precondition}})


def _remove(client: KubernetesClient, mode: RunMode) -> dict[str, t.Any]:
    stored = {path: item for path, item in zip(guard_paths(), client.parallel_map(lambda path: get_or_none(client, path), guard_paths())) if item}
    if not mode.check:
        _delete(client, stored)
    return {"changed": bool(stored), "objects": _shown({path: "deleted" for path in stored}), "stale": [], "in_use": [], "condemned": []}


def _delete(client: KubernetesClient, stored: Mapping[str, Mapping[str, t.Any] | None]) -> None:
    for path, item in stored.items():
        if item:
            client.delete(path, item["metadata"]["uid"], item["metadata"]["resourceVersion"])
