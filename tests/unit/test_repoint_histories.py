# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random histories of a repoint: people and Rancher act between any two of its requests, and it is killed anywhere."""

from __future__ import annotations

import copy
import random
from collections import Counter

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import FailureWithResult, RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._repoint import module
from ansible_collections.ranchhand.rancher.plugins.module_utils._repoint.options import REPOINT
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources import announcements
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.execute import RunMode

from .fake_rancher import (
    CLUSTERS,
    CONFIGS,
    DEPLOYMENTS,
    HOSTED,
    REFRESHED,
    SECRETS,
    TEMPLATES,
    A,
    B,
    Client,
    FakeRancher,
    Killed,
)

HISTORIES, BLOCK = 2400, 200
DELETES = 2000  # the least number of attempts to delete A during a run, in all histories
EVERYTHING = ["cluster", "pools", "hosted", "s3", "machines"]


class Clock:
    """Time passes only while the run sleeps, and Rancher works meanwhile."""

    def __init__(self):
        self.time, self.asleep = 0.0, lambda: None

    def monotonic(self):
        return self.time

    def sleep(self, seconds):
        self.time += max(seconds, 1)
        self.asleep()


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(announcements, "time", clock)
    return clock


class History:
    """One Rancher and its people.

    ``quantities`` are what the last successful save of the UI wanted, ``deletes`` the attempts to delete A in a run.
    """

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.rancher = rancher = FakeRancher()
        self.quantities, self.form, self.deletes = {}, None, Counter()
        rancher.credential("cc-a", "AK-a")
        rancher.credential("cc-b", "AK-b")
        for name in ("c1", "c2")[:self.rng.randint(1, 2)]:
            rancher.create(CONFIGS, name)
            reference = {"kind": "Amazonec2Config", "name": name}
            pools = [{"name": "one", "quantity": 1, "machineConfigRef": reference}]
            pools += [{**pools[0], "name": "two", "cloudCredentialSecretName": A}] * self.rng.randint(0, 1)
            rancher.create(
                CLUSTERS, name, spec={"cloudCredentialSecretName": A, "rkeConfig": {"machinePools": pools}})
        if self.rng.random() < 0.5:
            rancher.create(
                HOSTED, "c-hosted", None, metadata={"annotations": {REFRESHED: "1"}},
                spec={"eksConfig": {"amazonCredentialSecret": A}},
                status={"eksStatus": {"upstreamSpec": {"amazonCredentialSecret": A}}})
        rancher.reconcile()
        for _machine in range(self.rng.randint(0, 3)):
            rancher.scale_up(self.rng)
        rancher.reconcile()

    def act(self, *_request):
        """Let people and Rancher act before a request."""
        if self.rancher.scanning or self.rng.random() > 0.2:
            return
        event = self.rng.choice([
            self._open, self._save, self._save, self._apply_terraform, self.rancher.reconcile,
            lambda: self.rancher.scale_up(self.rng), lambda: self.rancher.rotate(self.rng.choice(["cc-a", "cc-b"])),
            self._delete, lambda: self.rancher.delete_unused("cc-b"),
        ])
        event()

    def _delete(self):
        if self.rancher.exists(A):
            self.rancher.delete_unused("cc-a")
            self.deletes["refused" if self.rancher.exists(A) else "deleted"] += 1

    def _open(self):
        path, cluster = self.rng.choice(self.rancher.under(CLUSTERS))
        self.form = path, copy.deepcopy(cluster)

    def _save(self):
        if self.form is None:
            return
        (path, cluster), self.form = self.form, None
        pools = cluster["spec"]["rkeConfig"]["machinePools"]
        pools[0]["quantity"] += 1
        if self.rng.random() < 0.3:
            pools.reverse()
        if self.rancher.put(path, cluster):
            self.quantities[path] = {pool["name"]: pool["quantity"] for pool in pools}

    def _apply_terraform(self):
        """Terraform restores the credential of its configuration, if that exists."""
        if not self.rancher.exists(A) or self.rng.random() < 0.5:
            return
        path, cluster = self.rng.choice(self.rancher.under(CLUSTERS))
        self.rancher.put(path, {**copy.deepcopy(cluster), "spec": {**cluster["spec"], "cloudCredentialSecretName": A}})

    def run(self, options):
        """Run the module; returns its result and its error, and the result None if it was killed or wrote nothing."""
        self.rancher.patched, self.rancher.scanning, self.rancher.requests = [], False, 0
        params = parse_options(REPOINT, {
            "from": A, "to": B, "scope": EVERYTHING, "wait_timeout": "30s", "wait_sleep": "1s", **options})
        try:
            return module.repoint_credential(params, lambda: Client(self.rancher), RunMode(False, False)), None
        except FailureWithResult as error:
            return error.result, error
        except RanchhandError as error:
            assert not self.rancher.patched, f"writes are not reported: {error.message}"
            return None, error
        except Killed:
            return None, None

    def check_report(self, result):
        """Assert that what names A is reported, and that what the run wrote is reported."""
        shown = {_key(item) for item in result["remaining"]}
        rows = result["objects"]
        shown |= {_key(row) for row in rows if row["action"] != "moved"}
        left = {(name, field) for (name, field, _pool), value in self.rancher.named().items() if value == A}
        assert left <= shown, (left, shown, result)
        moved = {(*_key(row), row["pool"]) for row in rows if row["action"] == "moved"}
        patched = set(self.rancher.patched)
        arrived = {key for key, value in self.rancher.named().items() if value == B}
        # Of a write whose answer was lost and that another client has undone, a run cannot know.
        assert patched & arrived <= moved <= patched, (moved, patched)
        assert result["changed"] == bool(moved)
        assert not (result["free"] and left)


def _key(row):
    field = "machine" if row["kind"].endswith("Machine") else "pool" if "machinePools" in row["field"] else "cluster"
    return row["name"], field


@pytest.mark.slow
@pytest.mark.parametrize("block", range(0, HISTORIES, BLOCK))
def test_every_history_ends_with_the_other_credential_or_a_report(clock, block):
    ends = {"result": 0, "failure": 0, "nothing": 0}
    deletes = Counter(refused=0, deleted=0)
    for seed in range(block, block + BLOCK):
        history = History(seed)
        rancher, rng = history.rancher, history.rng
        clock.asleep = rancher.reconcile
        try:
            for _run in range(rng.randint(1, 3)):
                rancher.before, rancher.after_write = history.act, rng.random() < 0.5
                rancher.loses_answer = lambda: rng.random() < 0.1  # noqa: B023
                rancher.killed_at = rng.choice([None, rng.randint(1, 120)])
                result, error = history.run({"wait": rng.random() < 0.8, "repair": True})
                if result is not None:
                    history.check_report(result)
                ends["nothing" if result is None else "failure" if error else "result"] += 1
            rancher.before = rancher.killed_at = None
            deletes += history.deletes
            if rancher.exists(B):
                _finish(history)
        except AssertionError as failure:
            raise AssertionError(f"seed {seed}: {failure}") from failure
    assert min(ends.values()) > BLOCK / 20, ends
    assert deletes.total() >= DELETES * BLOCK / HISTORIES and min(deletes.values()) > BLOCK / 20, deletes


def _finish(history):
    """Without other clients, the next run moves everything, and the run after it writes nothing."""
    rancher = history.rancher
    rancher.loses_answer = lambda: False
    result, error = history.run({"repair": True})
    assert error is None and result["free"], (result, error)
    history.check_report(result)
    assert set(rancher.named().values()) <= {B}
    again, error = history.run({"repair": True})
    assert error is None and not again["changed"] and not rancher.patched
    for path, quantities in history.quantities.items():
        pools = rancher.objects[path]["spec"]["rkeConfig"]["machinePools"]
        assert {pool["name"]: pool["quantity"] for pool in pools} == quantities, "a save was overwritten"
    rancher.delete_unused("cc-a")
    assert f"{SECRETS}/cc-a" not in rancher.objects, "free, but not deleted"


def test_a_client_that_restores_the_credential_is_reported_and_not_fought(clock):
    history = History(1)
    rancher = history.rancher
    path = rancher.under(CLUSTERS)[0][0]
    clock.asleep = rancher.reconcile

    def restore(method, _path):
        cluster = rancher.objects[path]
        if method == "GET" and cluster["spec"]["cloudCredentialSecretName"] == B and not rancher.scanning:
            rancher.put(path, {**cluster, "metadata": dict(cluster["metadata"]),
                               "spec": {**cluster["spec"], "cloudCredentialSecretName": A}})

    rancher.before = restore
    result, error = history.run({})
    assert error.code == "conflict" and "another client has restored" in error.message, error
    assert rancher.patched.count((path.rsplit("/", 1)[1], "cluster", None)) == 1
    assert not result["free"]


def test_a_cluster_that_is_being_deleted_is_moved_and_not_waited_for(clock):
    history = History(1)
    rancher = history.rancher
    path, cluster = rancher.under(CLUSTERS)[0]
    rancher.store(path, {
        **cluster, "metadata": {**cluster["metadata"], "deletionTimestamp": "2026-11-25T00:00:00Z"}})
    clock.asleep = rancher.reconcile
    result, error = history.run({})
    assert error is None and result["changed"] and result["waiting_for"] == [] and not result["free"], (result, error)
    name = path.rsplit("/", 1)[1]
    assert {row["name"] for row in result["objects"] if row["deleting"]} == {name}
    assert set(rancher.named().values()) == {B}
    again, error = history.run({})
    assert error is None and not again["changed"] and not rancher.patched
    for gone in [key for key in rancher.objects if key == path or key.startswith((TEMPLATES, DEPLOYMENTS))
                 and key.rsplit("/", 1)[1].startswith(f"{name}-")]:
        del rancher.objects[gone]
    last, error = history.run({})
    assert error is None and last["free"], last


def test_a_credential_that_is_deleted_meanwhile_stops_the_run_with_its_results(clock):
    history = History(3)
    rancher = history.rancher

    def delete(method, path):
        if method == "GET" and rancher.patched:
            rancher.check = lambda: None  # the person who deletes it leaves dangling references
            rancher.objects.pop(f"{SECRETS}/cc-b", None)

    rancher.before = delete
    result, error = history.run({})
    assert error.code == "conflict" and "was deleted by another client" in error.message, error
    assert result["changed"] and not result["free"]
