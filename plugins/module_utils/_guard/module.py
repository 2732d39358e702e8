# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The module guard."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._common.errors import ApiError, RanchhandError
from .._common.options import OptionSpec
from .._common.times import now
from .._kubernetes.apply import ObjectChange, plan_apply, plan_delete, read_objects, write_changes
from .._kubernetes.client import KubernetesClient
from .._kubernetes.connection import CONNECTION
from .._rancher.annotations import annotation_patch, leftover_marks
from .._rancher.cloud_credential import CloudCredential
from .._rancher.queries import SECRETS_PATH, list_cloud_credentials, read_references
from .._rancher.references import ReferenceIndex
from .._runtime.execute import Connect, RunMode
from .client import GuardClient
from .policies import (
    ADMISSION,
    CONFIG_MAPS,
    DELETION_LIST,
    corrections,
    expired_entries,
    former_guard_paths,
    guard_objects,
    guard_paths,
    stale_entries,
)

GUARD = CONNECTION.merge(OptionSpec({
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "protect_in_use": {"type": "bool", "default": False},
    "settle": {"type": "duration", "default": "60s"},
}))
_LONGEST_SETTLE = 600  # seconds, less than annotations.ANNOTATION_LIFETIME
_IN_USE_BYTES = 500_000  # of a ConfigMap, which is limited to a million, for the users of all credentials


@dataclass(frozen=True)
class _Plan:
    """What to change: objects of the guard, and marks that killed runs left on credentials."""

    applied: list[ObjectChange] = field(default_factory=list)
    deleted: list[ObjectChange] = field(default_factory=list)
    unmarked: list[CloudCredential] = field(default_factory=list)
    marked_for_deletion: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    in_use: list[str] = field(default_factory=list)

    def result(self) -> dict[str, t.Any]:
        objects = [{"path": change.path, "action": change.action} for change in (*self.applied, *self.deleted)]
        objects += [{"path": f"{SECRETS_PATH}/{credential.id}", "action": "updated"} for credential in self.unmarked]
        shown = []
        for item in objects:
            *_start, kind, name = item["path"].split("/")
            shown.append({"kind": kind, "name": name, "action": item["action"]})
        return {
            "changed": bool(shown), "objects": shown, "stale": self.stale, "in_use": self.in_use,
            "marked_for_deletion": self.marked_for_deletion,
        }


def manage_guard(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """Install, update, verify (in check mode) or remove the admission policies."""
    if params["state"] == "present" and params["settle"] > _LONGEST_SETTLE:
        raise RanchhandError("invalid", "settle must be at most 10m: a mark for deletion expires after 15 minutes")
    client = connect()
    stored = read_objects(client, [*guard_paths(), *former_guard_paths()])
    if params["state"] == "absent":
        plan = _Plan(deleted=plan_delete(stored))
    else:
        _require_policies(client)
        plan = _plan_present(client, params, stored)
    if not mode.check:
        _write(client, plan)
        if plan.applied or plan.unmarked or (plan.deleted and params["state"] == "present"):
            GuardClient(client, "verification", 0, False).verify()
    return plan.result()


def _plan_present(
    client: KubernetesClient, params: Mapping[str, t.Any], stored: Mapping[str, Mapping[str, t.Any] | None],
) -> _Plan:
    protect = params["protect_in_use"]
    credentials, index = client.parallel_reads(
        lambda: list_cloud_credentials(client), lambda: read_references(client) if protect else None,
    )
    at = now()
    entries = (stored[f"{CONFIG_MAPS}/{DELETION_LIST}"] or {}).get("data") or {}
    being_deleted = {credential.id for credential in credentials if credential.deleting}
    not_deleted = [credential for credential in credentials if not credential.deleting]
    stale = stale_entries(entries, {credential.id for credential in not_deleted}, at)
    kept = sorted(set(entries) - set(stale) - (expired_entries(entries, at) - being_deleted))
    in_use = _users_of_credentials(credentials, index) if index is not None else {}
    desired = guard_objects(protect, params["settle"], in_use)
    return _Plan(
        applied=plan_apply(client, desired, stored, corrections(desired, stored, kept)),
        deleted=plan_delete({path: item for path, item in stored.items() if path not in desired}),
        unmarked=[credential for credential in not_deleted if leftover_marks(credential.annotations, at)],
        marked_for_deletion=kept, stale=stale, in_use=sorted(in_use),
    )


def _write(client: KubernetesClient, plan: _Plan) -> None:
    write_changes(client, plan.applied)
    for credential in plan.unmarked:
        marks = dict.fromkeys(leftover_marks(credential.annotations, now()))
        client.patch(f"{SECRETS_PATH}/{credential.id}", annotation_patch(credential, marks))
    write_changes(client, plan.deleted)


def _users_of_credentials(credentials: t.Sequence[CloudCredential], index: ReferenceIndex) -> dict[str, str]:
    """Return the users of each credential in use as text.

    Raises RanchhandError (``forbidden``) if some cannot be listed.
    """
    if index.unlisted:
        raise RanchhandError(
            "forbidden", "cannot protect the credentials in use: this connection may not list "
                         f"{', '.join(index.unlisted)} in all namespaces. Grant it the ClusterRole "
                         "ranchhand-references of docs/rbac/references.yaml"
        )
    users = {credential.id: index.needed_by(credential) for credential in credentials}
    longest = _IN_USE_BYTES // max(1, len(users))
    return {name: ", ".join(map(str, references))[:longest] for name, references in users.items() if references}


def _require_policies(client: KubernetesClient) -> None:
    """Raise RanchhandError (``unsupported``) if the API server has no ValidatingAdmissionPolicy."""
    try:
        served = {resource["name"] for resource in client.get(ADMISSION).get("resources") or ()}
    except ApiError as error:
        if error.status != 404:
            raise
        served = set()
    if "validatingadmissionpolicies" not in served:
        raise RanchhandError(
            "unsupported", f"{client.host} has no ValidatingAdmissionPolicy (v1): the guard needs Kubernetes 1.30 or "
                           "newer"
        )
