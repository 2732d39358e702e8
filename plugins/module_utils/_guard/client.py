# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The guard as a deletion uses it, if a cluster has one."""

from __future__ import annotations

import contextlib
import random
import re
import time
import typing as t
from collections.abc import Mapping

from .._common.errors import ApiError, RanchhandError
from .._common.times import format_time, now
from .._kubernetes.client import CONFLICT_ATTEMPTS, KubernetesClient, name_in_path
from .._rancher.annotations import GUARD_SETTLE
from .._rancher.cloud_credential import CloudCredential
from .._rancher.queries import SECRETS_PATH, get_or_none
from .policies import (
    BINDINGS,
    CONFIG_MAPS,
    DELETION_LIST,
    FORMER_DELETION_LIST,
    IN_USE,
    PROBE,
    deletion_entry,
    entry_run,
    expired_entries,
)

PROBE_TIMEOUT = 30.0  # seconds until the API server sees a change of the deletion list
_DEFAULT_SETTLE = "60"
_SECONDS = re.compile("[0-9]{1,6}")
_EXPIRED_NAMES = 100  # how many expired names one deletion checks and removes
_PROBE_NAME_CHARACTERS = "bcdfghjklmnpqrstvwxz"


class GuardClient:
    """The guard of a cluster; if it ``protects``, credentials in use cannot be deleted without the annotation for that.
    """

    def __init__(self, client: KubernetesClient, run: str, settle_seconds: float, protects: bool) -> None:
        self._client = client
        self._run = run
        self._settle_seconds = settle_seconds
        self.protects = protects

    @classmethod
    def find(cls, client: KubernetesClient, run: str, warnings: list[str]) -> GuardClient | None:
        """Return the guard for a run; None if there is none, or if it may not be read, which adds a warning.

        Raises RanchhandError (``conflict``) for a guard that a deletion cannot use: of version 0.1, or damaged.
        """
        paths = [f"{BINDINGS}/{DELETION_LIST}", f"{BINDINGS}/{IN_USE}"]
        try:
            binding, protecting = client.parallel_map(lambda path: get_or_none(client, path), paths)
        except ApiError as error:
            if error.status != 403:
                raise
            warnings.append(
                "deletes without the guard: this connection may not get validatingadmissionpolicybindings, so it "
                "cannot check "
                "whether the guard is installed"
            )
            return None
        if binding is None:
            _reject_former_guard(client)
            return None
        settle = (binding["metadata"].get("annotations") or {}).get(GUARD_SETTLE, _DEFAULT_SETTLE)
        if not _SECONDS.fullmatch(settle):
            raise RanchhandError(
                "conflict", f"cannot delete safely: the annotation {GUARD_SETTLE} of the "
                            f"ValidatingAdmissionPolicyBinding {DELETION_LIST} is not a number of seconds. Run the "
                            "role ranchhand.rancher.guard, which repairs it, then run the task again"
            )
        return cls(client, run, float(settle), protecting is not None)

    def deny_references(self, credentials: t.Sequence[CloudCredential]) -> None:
        """Deny new references to credentials; returns when this is so for all clients.

        A request that was admitted before may be stored until the settle time is over.
        """
        time_text = format_time(now())
        added = {credential.id: deletion_entry(time_text, self._run, credential) for credential in credentials}
        try:
            self._change(lambda data: {**dict.fromkeys(self._removable(expired_entries(data, now()))), **added})
            self._wait_until_denied(credentials[0].id)
        except ApiError as error:
            if error.status != 403:
                raise
            raise RanchhandError(
                "forbidden", f"cannot delete safely, as the guard is installed: {error.message}. The roles in "
                             "docs/rbac/cloud-credentials.yaml and docs/rbac/references.yaml contain this permission"
            ) from None
        time.sleep(self._settle_seconds)

    def allow_references(self, names: t.Collection[str]) -> None:
        """Allow references again that this run has denied; if this fails, the next run of the guard role does it."""
        if names:
            with contextlib.suppress(RanchhandError):
                self._change(lambda data: {name: None for name in names if entry_run(data.get(name, "")) == self._run})

    def _removable(self, names: t.Collection[str]) -> list[str]:
        """Return those of the first names whose credential is certainly not being deleted."""
        def is_removable(name: str) -> bool:
            try:
                stored = get_or_none(self._client, f"{SECRETS_PATH}/{name_in_path(name)}")
            except RanchhandError:
                return False
            return stored is None or "deletionTimestamp" not in stored["metadata"]

        first = sorted(names)[:_EXPIRED_NAMES]
        return [name for name, removable in zip(first, self._client.parallel_map(is_removable, first)) if removable]

    def verify(self) -> None:
        """Raise RanchhandError (``server_error``) if the API server does not see changes of the deletion list."""
        name = "ranchhand-" + "".join(random.choices(_PROBE_NAME_CHARACTERS, k=10))
        self._change(lambda data: {name: f"{format_time(now())} {self._run} {name}"})
        try:
            self._wait_until_denied(name)
        finally:
            self.allow_references([name])

    def _wait_until_denied(self, name: str) -> None:
        deadline = time.monotonic() + PROBE_TIMEOUT
        while not self._denies(name):
            if time.monotonic() > deadline:
                raise RanchhandError(
                    "server_error", f"the guard is installed but does not deny references to {name}: the API server "
                                    "does not see "
                                    f"the ConfigMap {DELETION_LIST}. Up to Kubernetes 1.36 this happens after a guard "
                                    "was "
                                    "removed, until kube-apiserver is restarted"
                )
            time.sleep(0.1)

    def _change(self, decide: t.Callable[[Mapping[str, str]], Mapping[str, str | None]]) -> None:
        """Change the deletion list by compare-and-swap; ``decide`` returns the entries to set or, with None, to remove.
        """
        path = f"{CONFIG_MAPS}/{DELETION_LIST}"
        for attempt in range(CONFLICT_ATTEMPTS):
            stored = self._client.get(path)
            change = decide(stored.get("data") or {})
            if not change:
                return
            metadata = {key: stored["metadata"][key] for key in ("uid", "resourceVersion")}
            try:
                self._client.patch(path, {"metadata": metadata, "data": dict(change)})
                return
            except ApiError as error:
                if error.status != 409:
                    raise
                conflict = error
            time.sleep(random.uniform(0, 0.1 * attempt))
        raise conflict

    def _denies(self, name: str) -> bool:
        probe = {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": PROBE},
            "data": {"credential": f"cattle-global-data:{name}"},
        }
        try:
            self._client.post(CONFIG_MAPS, probe, dryRun="All")
        except ApiError as error:
            if error.status == 422 and DELETION_LIST in error.message:
                return True
            raise
        return False


def _reject_former_guard(client: KubernetesClient) -> None:
    if get_or_none(client, f"{BINDINGS}/{FORMER_DELETION_LIST}") is not None:
        raise RanchhandError(
            "conflict", "cannot delete safely: version 0.1 of the collection installed the guard in this cluster. Run "
                        "the role ranchhand.rancher.guard, which replaces it, then run the task again"
        )
