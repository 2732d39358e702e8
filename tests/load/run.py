# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks that run at once against one API server with faults."""

from __future__ import annotations

import collections
import contextlib
import tempfile
import time
import typing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from control_plane import ControlPlane, install_fixtures
from support.canaries import Canaries
from support.cluster import Cluster
from support.objects import downstream

from .checks import Checks, unchecked_names
from .faults import RandomFaults
from .fleet import CANARY, DRIVER, Fleet, access_key, secret_key
from .history import History, read_stored, version_now


class Outcome(typing.NamedTuple):
    """The figures and violations of a load."""

    counts: collections.Counter
    violations: list
    seconds: float


class Load:
    """An API server behind a proxy with faults, a fleet of objects in it, and playbooks."""

    def __init__(self, seed, playbooks, credentials):
        self._seed, self._playbooks = seed, playbooks
        self._fleet = Fleet(credentials, seed)
        self._tasks = []
        self._rests = []  # versions at which no playbook ran, and the names that may exist twice then
        self._forms = list(Canaries(load=CANARY).forms())
        self._violations = []
        self.counts = collections.Counter()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self._control_plane = stack.enter_context(ControlPlane())
            install_fixtures(self._control_plane, "2.10.0")
            self._api = self._control_plane.api
            self._proxy = stack.enter_context(RandomFaults(self._control_plane, self._seed))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ranchhand-load-")))
            self._clusters = []
            for number in range(self._playbooks):
                (folder / str(number)).mkdir()
                self._clusters.append(Cluster(self._control_plane, folder / str(number)))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def run(self, seconds=0, rounds=1):
        """Play at least so many rounds until the time is over, and then the complete declaration twice without faults.
        """
        begun = time.monotonic()
        used = self._create_fleet()
        history = History(self._control_plane)
        number = 0
        with ThreadPoolExecutor(self._playbooks) as pool:
            while number < rounds or time.monotonic() < begun + seconds:
                number += 1
                self._round(number, pool)
        self.counts["Load", "rounds"] = number
        self._complete()
        checks = Checks(history.start, history.stored, self._tasks, used)
        checks.replay(history.end())
        checks.results()
        for version, unchecked in self._rests:
            checks.at_rest(version, unchecked)
        counts = self.counts + checks.counts + self._proxy.counts
        return Outcome(counts, self._violations + checks.violations, time.monotonic() - begun)

    def _create_fleet(self):
        """Create all credentials, and clusters that use some of them; returns the ids of these."""
        def create(name):
            key = access_key(name, 0)
            fields = {"accessKey": key, "secretKey": secret_key(key)}
            identifier = f"cc-{name.rpartition(' ')[2]}"
            annotations = {"field.cattle.io/description": "first"}
            self._clusters[0].secret(
                identifier, DRIVER, fields, name, self._fleet.owners[name], annotations=annotations
            )
            return identifier

        with ThreadPoolExecutor(8) as pool:
            ids = dict(zip(self._fleet.names, pool.map(create, self._fleet.names)))
        used = [ids[name] for name in self._fleet.used_by_clusters]
        for identifier in used:
            spec = {"cloudCredentialSecretName": f"cattle-global-data:{identifier}"}
            downstream(self._clusters[0], f"cluster-{identifier}", spec)
        return used

    def _round(self, number, pool):
        records, _version = read_stored(self._api)
        stored = {(record.kind, record.name): record for record in records}
        drawn = self._fleet.tasks_of_round(number, self._playbooks, stored)
        environment = {
            "K8S_AUTH_HOST": self._proxy.options["host"], "K8S_AUTH_API_KEY": self._proxy.options["api_key"],
        }
        list(pool.map(lambda entry: self._play(*entry, environment), zip(self._clusters, drawn)))
        finished = [task for tasks in drawn for task in tasks]
        self._tasks += finished
        self._rests.append((version_now(self._api), unchecked_names(finished)))

    def _play(self, cluster, tasks, environment=None):
        begin = version_now(self._api)
        plays = [task.play(number) for number, task in enumerate(tasks)]
        variables = {name: value for _task, more in plays for name, value in more.items()}
        played = cluster.play(*(task for task, _more in plays), variables=variables, environment=environment)
        end = version_now(self._api)
        by_token = {entry["task"]: entry["result"] for entry in played.tasks}
        for task in tasks:
            task.begin, task.end = begin, end
            task.result = by_token.get(task.token, {})
        self.counts["Load", "playbooks"] += 1
        for text in (played.output, *(path.read_text() for path in cluster.directory.glob("*.results"))):
            if any(form in text for form in self._forms):
                self._violations.append(f"the output of {tasks[0].token} contains a secret")
            if "Traceback" in text:
                self._violations.append(f"the output of {tasks[0].token} contains a traceback")
        if set(by_token) != {task.token for task in tasks}:
            self._violations.append(f"a task of {tasks[0].token} did not run: {played.output[-2000:]}")
        for path in [*cluster.directory.glob("*.yml"), *cluster.directory.glob("*.results")]:
            path.unlink()

    def _complete(self):
        """Run the complete declaration without faults: it leads to what it declares, and then it is unchanged."""
        records, _version = read_stored(self._api)
        stored = {(record.kind, record.name): record for record in records}
        first, second = (self._fleet.complete(stored) for _run in range(2))
        self._play(self._clusters[0], first)
        reached, version = read_stored(self._api)
        declared = sum(len(task.items) for task in first)
        written = len([record for record in reached if record.token.startswith("complete")])
        if not written == len(reached) == declared:
            self._violations.append(f"{declared} objects were declared, {written} of {len(reached)} are as declared")
        self._play(self._clusters[0], second)
        again, _version = read_stored(self._api)
        if again != reached or any(task.result.get("changed") is not False for task in second):
            self._violations.append("the second complete declaration changed something")
        self._tasks += first
        self._rests.append((version, ()))
