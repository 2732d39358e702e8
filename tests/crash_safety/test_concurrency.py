# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left to chance: kills at any time, two runs at once, a person's edit in between, an API server that dies."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from . import plays
from .runner import alive

ROTATION = "ranchhand.rancher.cloud_credential_rotation"


def test_killed_at_random_times(play):
    play(plays.killed, range(20))


def test_two_runs_at_once(play):
    play(plays.pair, range(10), threads=6)


def test_an_edit_in_between(play):
    play(plays.edit, range(5))


def test_who_wakes_up_after_another_has_taken_over_does_no_harm(bench, play):
    play(
        plays.stopped,
        [
            case
            for name in ("rotate", "delete", "roll back")
            for case in list(plays.stops(name, plays.calls_of(bench, name)))[3::5]
        ],
        threads=8,
    )


@pytest.mark.slow
def test_kube_apiserver_dies(play):
    play(plays.outage, range(3), threads=1)


def _playbook(subject, folder, name, state, **options):
    path = folder / f"{name}.yml"
    path.write_text(
        yaml.safe_dump(
            [{"hosts": "localhost", "gather_facts": False, "tasks": [{ROTATION: subject.given(state, **options)}]}]
        )
    )
    return [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "-c", "local", str(path)]


def _kill_everything(process):
    """As systemd ends a service: no process is left."""
    while pids := [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if process.args[-1].encode() in _read(path)
    ]:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while any(alive(pid) for pid in pids):
            time.sleep(0.01)


def _read(path):
    try:
        return path.read_bytes()
    except OSError:  # it has just ended
        return b""


def _kill_group(process):
    """As ansible-runner ends a job. Since ansible-core 2.19 a worker has a process group of its own, and continues."""
    os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("kill", [_kill_everything, _kill_group])
def test_ansible_playbook_killed_at_random_times(bench, tmp_path, kill):
    chance = random.Random(0)
    with bench.subject() as subject:
        for state, options in (("rotated", {}), ("retired", plays.NOW), ("retired", plays.LATER)):
            before = subject.leases()
            process = subprocess.Popen(
                _playbook(subject, tmp_path, state, state, **options),
                env=bench.cluster.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            while subject.leases() == before and process.poll() is None:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.5))
            kill(process)
            process.wait()
            if kill is _kill_group:
                while (code := subject.run(state, **options).result.get("code")) == "busy":
                    time.sleep(0.1)
                subject.check(code is None, f"when the worker has ended, {state} returned {code}")
            subject.plain(state, **options)
        subject.check_idle()


def test_ansible_playbook_does_what_these_runs_do(bench, tmp_path):
    """The runs of this folder are started without ansible-playbook, which would take ten times as long."""
    commands = [
        ("rotated", {}),
        ("retired", plays.NOW),
        ("retired", plays.LATER),
        ("rotated", {"rotation_id": "second"}),
        ("rolled_back", {}),
    ]
    with bench.subject() as here, bench.subject() as there:
        here.precious = there.precious = None  # two rotations: what was precious in the first is not in the second
        for state, options in commands:
            here.plain(state, **options)
            process = subprocess.run(
                _playbook(there, tmp_path, "one", state, **options),
                env=bench.cluster.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            assert process.returncode == 0, process.stdout
        here.check_idle()
        there.check_idle()
        ours, theirs = (
            [(item["phase"], item["what"].split()[0]) for item in subject.record["transitions"]]
            for subject in (here, there)
        )
        assert ours == theirs and len(ours) == 12
        ours, theirs = (
            [(action, sorted(parameters), status) for action, parameters, status in bench.cloud.changes(subject.user)]
            for subject in (here, there)
        )
        assert ours == theirs and len(ours) == 7
