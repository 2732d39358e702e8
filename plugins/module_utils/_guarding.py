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

from . import _guard as guard
from . import _observe as observe
from ._errors import ApiError, RanchhandError
from ._kubernetes import Api
from ._manage import TRIES
from ._marks import now, stamp

PROBE_TIMEOUT = 30.0  # seconds for the policy to see its parameter


class Guard:
    """The guard of a cluster, as a delete sees it; ``protects`` says whether credentials in use cannot be deleted without its escape."""

    def __init__(self, api: Api, settle: float, protects: bool) -> None:
        self._api = api
        self._settle = settle
        self.protects = protects

    @classmethod
    def find(cls, api: Api, warnings: list[str]) -> Guard | None:
        """The guard; None if there is none, or if it may not be read, which is said."""
        try:
            binding, protecting = api.parallel(lambda name: observe.one(api, f"{guard.BINDINGS}/{name}"), [guard.CONDEMNED, guard.IN_USE])
        except ApiError as error:
            if error.status != 403:
                raise
            warnings.append("whether the guard is installed cannot be told: this connection may not get validatingadmissionpolicybindings")
            return None
        if binding is None:
            return None
        settle = (binding["metadata"].get("annotations") or {}).get(guard.SETTLE, "60")
        return cls(api, float(settle), protecting is not None)

    def condemn(self, condemned: t.Sequence[t.Any], run: str) -> None:
        """Deny new references to credentials, and return when that is so for every client.

        What was admitted just before the policy saw the names may be stored until the settle time is over.
        """
        self._change(lambda data: {
            **guard.expired(data, now()), **{one.id: guard.condemnation(stamp(now()), run, one) for one in condemned},
        })
        self._wait_until_denied(condemned[0].id)
        time.sleep(self._settle)

    def verify(self) -> None:
        """Raises RanchhandError (``server_error``) if the API server does not see what is put on the list."""
        name = "ranchhand-" + "".join(random.choices("bcdfghjklmnpqrstvwxz", k=10))
        self._change(lambda data: {name: f"{stamp(now())} {name} {name}"})
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
        path = f"{guard.CONFIG_MAPS}/{guard.CONDEMNED}"
        for number in range(TRIES):
            stored = self._api.get(path)
            change = decide(stored.get("data") or {})
            if not change:
                return
            metadata = {"uid": stored["metadata"]["uid"], "resourceVersion": stored["metadata"]["resourceVersion"]}
            try:
                self._api.patch(path, {"metadata": metadata, "data": dict(change)})
                return
            except ApiError as error:
                if error.status != 409:
                    raise
                conflict = error
            time.sleep(random.uniform(0, 0.1 * number))
        raise conflict

    def _denies(self, name: str) -> bool:
        probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": guard.PROBE}, "data": {"credential": f"cattle-global-data:{name}"}}
        try:
            self._api.post(guard.CONFIG_MAPS, probe, dryRun="All")
        except ApiError as error:
            if error.status == 422 and guard.CONDEMNED in error.message:
                return True
            raise
        return False
