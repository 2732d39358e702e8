# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets the lease of a rotation, with a fake API server that refuses writes to another version (409)."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import ApiError, RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import lease as module
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.lease import LEASE_SECONDS, Lease
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.store import RotationNamespace

COLLECTION = "/apis/coordination.k8s.io/v1/namespaces/rotations/leases"
PATH = f"{COLLECTION}/rotation-cc-a"
NOW = "2026-01-01T00:01:00Z"  # of the API server


class FakeServer:
    """Contains at most one lease. ``errors`` are raised by the next writes; ``lost`` replies after them."""

    def __init__(self):
        self.stored = None
        self.version = 0
        self.errors = []
        self.lost = False
        self.writes = []
        self.clock = NOW

    def lease(self, holder, *times, renewed="2026-01-01T00:00:00Z"):
        fields = [{"manager": "x", "time": time} for time in times]
        self._store({"uid": "u", "managedFields": fields or None}, {"holderIdentity": holder, "renewTime": renewed})

    def _store(self, metadata, spec):
        self.version += 1
        self.stored = {"metadata": {**metadata, "resourceVersion": str(self.version)}, "spec": spec}
        return self.stored

    def _answer(self):
        if self.lost:
            raise ApiError("conflict", "exists", 409)
        return self.stored

    def get(self, path):
        assert path == PATH
        if self.stored is None:
            raise ApiError("not_found", "none", 404)
        return self.stored

    def post(self, path, body, **query):
        assert (path, body["apiVersion"], body["kind"]) == (COLLECTION, "coordination.k8s.io/v1", "Lease")
        if query == {"dryRun": "All"}:
            assert body["metadata"] == {"generateName": "time-"}
            return {"metadata": {"creationTimestamp": self.clock}}
        assert not query and body["metadata"] == {"name": "rotation-cc-a"}
        self._fail()
        if self.stored:
            raise ApiError("conflict", "exists", 409)
        self.writes.append(body["spec"])
        self._store({"uid": "u"}, dict(body["spec"]))
        return self._answer()

    def patch(self, path, body):
        assert path == PATH
        self._fail()
        stored = self.stored["metadata"]
        if body["metadata"] != {name: stored[name] for name in ("uid", "resourceVersion")}:
            raise ApiError("conflict", "changed", 409)
        self.writes.append(body["spec"])
        self._store({"uid": "u"}, {**self.stored["spec"], **body["spec"]})
        return self._answer()

    def _fail(self):
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture
def server():
    return FakeServer()


@pytest.fixture
def clock(monkeypatch):
    fake = SimpleNamespace(now=100.0, monotonic=lambda: fake.now)
    monkeypatch.setattr(module, "time", fake)
    return fake


def lease(server, token="token-of-run"):
    return Lease(RotationNamespace(server, "rotations"), "rotation-cc-a", token)


def identity(pid=None, started=None, machine=None):
    """The holder of a lease: a process of this machine, or of another one."""
    pid = os.getpid() if pid is None else pid
    started = module._process_start(pid) if started is None else started  # pylint: disable=protected-access
    return f"{machine or module._machine()}/{pid}-{started}/token-of"  # pylint: disable=protected-access


def test_a_new_lease_names_its_run(server):
    assert lease(server).take(False) is False
    (spec,) = server.writes
    assert set(spec) == {"holderIdentity", "leaseDurationSeconds", "acquireTime", "renewTime"}
    assert spec["holderIdentity"] == identity() and spec["leaseDurationSeconds"] == LEASE_SECONDS == 60
    assert spec["acquireTime"] == spec["renewTime"] and len(spec["renewTime"]) == len("2026-01-01T00:00:00.000000Z")


def test_a_machine_is_named_by_its_boot_and_process_namespace():
    host, _slash, machine = module._machine().partition("/")  # pylint: disable=protected-access
    boot, _dash, namespace = machine.partition("-")
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        assert boot == file.read(8) and namespace.isdigit() and host


def test_without_proc_no_other_process_is_of_this_machine(monkeypatch):
    def refuse(*_arguments, **_options):
        raise OSError

    monkeypatch.setattr(module, "open", refuse, raising=False)
    names = {module._machine() for _call in range(2)}  # pylint: disable=protected-access
    assert len(names) == 2 and all(len(name.rpartition("/")[2]) == 8 for name in names)


@pytest.mark.parametrize(("holder", "times", "taken"), [
    pytest.param("", (), False, id="released"),
    pytest.param("other/boot-1/1-2/x", ("2026-01-01T00:00:00Z",), False, id="60 s old"),
    pytest.param("other/boot-1/1-2/x", ("2025-12-31T00:00:00Z", "2026-01-01T00:00:01Z"), None, id="59 s old"),
    pytest.param("other/boot-1/1-2/x", ("2026-01-01T00:00:01Z", "2025-12-31T00:00:00Z"), None, id="not in order"),
    pytest.param("other/boot-1/1-2/x", (), False, id="without times, renewed 60 s before"),
    pytest.param("of another tool", ("2026-01-01T00:00:59Z",), None, id="of another tool"),
])
def test_a_lease_of_another_run_is_taken_when_it_is_over(server, holder, times, taken):
    server.lease(holder, *times)
    if taken is None:
        with pytest.raises(RanchhandError) as caught:
            lease(server).take(False)
        assert caught.value.code == "busy" and not server.writes
        assert any(f"in {left} s" in caught.value.message for left in (1, 59))
    else:
        assert lease(server).take(False) is taken and server.stored["spec"]["holderIdentity"] == identity()


def test_the_clock_of_the_api_server_decides(server):
    server.lease("other/boot-1/1-2/x", "2036-01-01T00:00:00Z")
    server.clock = "2036-01-01T00:01:00Z"
    assert lease(server).take(False) is False


def test_without_managed_fields_the_holder_s_own_time_counts(server):
    server.lease("other/boot-1/1-2/x", renewed="2026-01-01T00:00:30Z")
    with pytest.raises(RanchhandError, match="in 30 s"):
        lease(server).take(False)


@pytest.mark.parametrize(("holder", "ended"), [("other/boot-1/1-2/x", True), ("", False)], ids=["held", "released"])
def test_a_run_that_is_assumed_dead_has_ended(server, holder, ended):
    server.lease(holder, NOW)
    assert lease(server).take(True) is ended
    assert lease(FakeServer()).take(True) is False, "there was none"


def test_a_process_of_this_machine_that_has_ended_is_noticed(server):
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert module._process_start(child.pid) is None, "a zombie"  # pylint: disable=protected-access
    server.lease(identity(child.pid, "1"), NOW)
    assert lease(server).take(False) is True


@pytest.mark.parametrize(("holder", "ended"), [
    pytest.param(identity(), False, id="this process"),
    pytest.param(identity(started="1"), True, id="another process had the number"),
    pytest.param(identity(started="1", machine="other/boot-1"), False, id="of another machine"),
    pytest.param(identity(started="1") + "/more", False, id="another format"),
])
def test_only_a_process_of_this_machine_can_be_known_to_have_ended(server, holder, ended):
    server.lease(holder, NOW)
    if ended:
        assert lease(server).take(False) is True
    else:
        with pytest.raises(RanchhandError, match="in 60 s"):
            lease(server).take(False)


def test_a_lease_is_taken_once(server):
    server.lease(identity(started="1"), NOW)
    taken = lease(server)
    assert [taken.take(False), taken.take(False)] == [True, True] and len(server.writes) == 1


@pytest.mark.parametrize("stored", [False, True], ids=["created", "written"])
def test_the_later_of_two_runs_that_start_together_is_busy(server, stored):
    if stored:
        server.lease("")
    server.errors = [ApiError("conflict", "changed", 409)]
    with pytest.raises(RanchhandError, match="has just started") as caught:
        lease(server).take(False)
    assert caught.value.code == "busy"


def test_a_lost_reply_to_the_own_write_is_no_conflict(server):
    server.lost = True
    taken = lease(server)
    assert taken.take(False) is False
    server.lost = False
    taken.release()
    assert server.stored["spec"]["holderIdentity"] == ""


def test_other_errors_are_reported(server):
    server.errors = [ApiError("forbidden", "no", 403)]
    with pytest.raises(ApiError, match="no"):
        lease(server).take(False)


def test_a_lease_is_renewed_and_released(server, clock):
    taken = lease(server)
    taken.renew()
    taken.release()
    assert server.writes == [], "it was not taken"
    taken.take(False)
    clock.now += module.RENEW_SECONDS
    taken.renew()
    assert len(server.writes) == 1
    clock.now += 0.5
    taken.renew()
    taken.renew()
    assert [set(spec) for spec in server.writes[1:]] == [{"renewTime"}]
    clock.now += 16
    taken.renew()
    assert len(server.writes) == 3, "with the version of the renewal before"
    taken.release()
    assert server.writes[-1] == {"holderIdentity": ""}


def test_a_lost_lease_does_not_stop_a_run(server, clock):
    taken = lease(server)
    taken.take(False)
    server.lease("other/boot-1/1-2/x", NOW)
    for _attempt in range(2):
        clock.now += 16
        taken.renew()
    taken.release()
    assert server.stored["spec"]["holderIdentity"] == "other/boot-1/1-2/x"
