# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How a delete uses the guard, where a cluster has one.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import random
import time
import typing as t
from collections.abc import Mapping

from .._common.errors import ApiError, RanchhandError
from .._common.times import format_time, now
from .._kubernetes.client import CONFLICT_ATTEMPTS, KubernetesClient
from .._rancher.annotations import GUARD_SETTLE
from .._rancher.queries import get_or_none
from .policies import BINDINGS, CONFIG_MAPS, DELETION_LIST, IN_USE, PROBE, deletion_entry, expired_entries

PROBE_TIMEOUT = 30.0  # seconds for the policy to see its parameter


class GuardClient:
    """The guard of a cluster, as a delete sees it; ``protects`` says whether credentials in use cannot be deleted without its escape."""

    def __init__(self, client: KubernetesClient, settle: float, protects: bool) -> None:
        self._client = client
        self._settle = settle
        self.protects = protects

    @classmethod
    def find(cls, client: KubernetesClient, warnings: list[str]) -> GuardClient | None:
        """The guard; None if there is none, or if it may not be read, which is said."""
        try:
            binding, protecting = client.parallel_map(lambda name: get_or_none(client, f"{BINDINGS}/{name}"), [DELETION_LIST, IN_USE])
        except ApiError as error:
            if error.status != 403:
                raise
            warnings.append("whether the guard is installed cannot be told: this connection may not get validatingadmissionpolicybindings")
            return None
        if binding is None:
            return None
        settle = (binding["metadata"].get("annotations") or {}).get(GUARD_SETTLE, "60")
        return cls(client, float(settle), protecting is not None)

    def condemn(self, condemned: t.Sequence[t.Any], run: str) -> None:
        """Deny new references to credentials, and return when that is so for every client.

        What was admitted just before the policy saw the names may be stored until the settle time is over.
        """
        self._change(lambda data: {
            **expired_entries(data, now()), **{one.id: deletion_entry(format_time(now()), run, one) for one in condemned},
        })
        self._wait_until_denied(condemned[0].id)
        time.sleep(self._settle)

    def verify(self) -> None:
        """Raises RanchhandError (``server_error``) if the API server does not see what is put on the list."""
        name = "ranchhand-" + "".join(random.choices("bcdfghjklmnpqrstvwxz", k=10))
        self._change(lambda data: {name: f"{format_time(now())} {name} {name}"})
        try:
            self._wait_until_denied(name)
        finally:
            self.pardon([name])

    def _wait_until_denied(self, name: str) -> None:
        deadline = time.monotonic() + PROBE_TIMEOUT
        while not self._denies(name):
            if time.monotonic() > deadline:
                raise RanchhandError(
                    "server_error", f"the guard is installed but does not deny references to {name}: the API server does not see the guard's list of "
                                    "names; up to Kubernetes 1.36 it never does again once a guard was removed, until kube-apiserver is restarted"
                )
            time.sleep(0.1)

    def pardon(self, names: t.Collection[str]) -> None:
        """Allow references again; what fails here is cleared by the next run of the guard role."""
        if names:
            with contextlib.suppress(RanchhandError):
                self._change(lambda data: {name: None for name in names if name in data})

    def _change(self, decide: t.Callable[[Mapping[str, str]], Mapping[str, str | None]]) -> None:
        path = f"{CONFIG_MAPS}/{DELETION_LIST}"
        for number in range(CONFLICT_ATTEMPTS):
            stored = self._client.get(path)
            change = decide(stored.get("data") or {})
            if not change:
                return
            metadata = {"uid": stored["metadata"]["uid"], "resourceVersion": stored["metadata"]["resourceVersion"]}
            try:
                self._client.patch(path, {"metadata": metadata, "data": dict(change)})
                return
            except ApiError as error:
                if error.status != 409:
                    raise
                conflict = error
            time.sleep(random.uniform(0, 0.1 * number))
        raise conflict

    def _denies(self, name: str) -> bool:
        probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": PROBE}, "data": {"credential": f"cattle-global-data:{name}"}}
        try:
            self._client.post(CONFIG_MAPS, probe, dryRun="All")
        except ApiError as error:
            if error.status == 422 and DELETION_LIST in error.message:
                return True
            raise
        return False
