# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench with credentials of another Rancher that contain the same keys."""

from __future__ import annotations

import collections
import contextlib
import tempfile
from pathlib import Path

from control_plane import ApiError, ControlPlane, install_fixtures
from support.cluster import SECRETS, Cluster
from support.fakes import FaultInjector

from . import plays
from .bench import Subject

MEMBERS = ("b", "c")
MEMBER_WRITES = ("claim_store", "write_store")


class MembersSubject(Subject):
    """A credential whose key is in two credentials of another Rancher, too."""

    def __init__(self, bench, other):
        self.other = other
        super().__init__(bench)
        self.ids = {member: f"{self.id}{member}" for member in MEMBERS}
        for identifier in self.ids.values():
            other.cluster.secret(identifier, self.driver, {**self.key, "defaultRegion": "eu-central-1"}, identifier)
        self._connection = {"kubeconfig": str(other.control_plane.kubeconfig)}

    def given(self, state, **options):
        stores = [
            {"name": member, "type": "rancher", "credential_id": identifier} for member, identifier in self.ids.items()]
        secrets = {member: {"connection": self._connection} for member in MEMBERS}
        wanted = {"external_stores": stores} if state == "rotated" else {}
        return super().given(state, **{**wanted, "external_store_secrets": secrets, **options})

    def start(self, state, fault=None, **options):
        if fault and fault.moment == "lost":
            options["external_store_secrets"] = {
                member: {"connection": self.other.injector.options} for member in MEMBERS}
        return super().start(state, fault, **options)

    def _lose(self, name, kind, pid):
        if name in MEMBER_WRITES:
            self._lose_reply(self.other.injector, "PATCH", f"{SECRETS}/{self.id}[bc]$", kind, pid)
        else:
            super()._lose(name, kind, pid)

    def member_values(self):
        return [self.values_of(self.other.cluster.stored(identifier)) for identifier in self.ids.values()]

    def works(self, values):
        """Whether the key works, and those of the members; one that was replaced meanwhile does not count."""
        for before in self.member_values():
            if not super().works(before) and before in self.member_values():
                return False
        return super().works(values)

    def check_idle(self, live=None):
        super().check_idle(live)
        self.check(all(values == self.live for values in self.member_values()), "a member contains another key")

    def everything(self):
        written, changes = super().everything()
        return [
            *written, *(self.other.cluster.stored(identifier)["metadata"]["resourceVersion"]
                        for identifier in self.ids.values())], changes

    def remove(self):
        super().remove()
        for identifier in self.ids.values():
            with contextlib.suppress(ApiError):
                self.other.cluster.api.delete(f"{SECRETS}/{identifier}")


class MembersBench:
    """A bench with another Rancher; what plays.crash needs."""

    def __init__(self, bench):
        self._bench = bench
        self.counts = collections.Counter()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.control_plane = stack.enter_context(ControlPlane())
            install_fixtures(self.control_plane, "2.15.0")
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ranchhand-members-")))
            self.cluster = Cluster(self.control_plane, directory)
            self.injector = stack.enter_context(FaultInjector(self.control_plane))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def subject(self):
        return self._bench.watched(MembersSubject(self._bench, self))


def matrix(bench):
    """Return all cases of a write to a member, and a kill after each other write."""
    return [
        case for name in ("rotate", "cut over", "disable", "delete", "roll back")
        for case in plays.crashes(name, plays.calls_of(bench, name))
        if case[1] in MEMBER_WRITES or case[2].kind == "kill" and case[2].moment == "after"
    ]
