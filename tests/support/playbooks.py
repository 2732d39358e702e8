# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-playbook without a terminal, with and without its start."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import typing
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("ansible-playbook"))
_TESTS = str(Path(__file__).parents[1])
# Variables that Python and Ansible read while they start: runs that share a process before have these in common.
_READ_AT_START = ("ANSIBLE_", "PYTHON", "HOME", "LANG", "LC_", "PATH", "TMPDIR", "NO_COLOR")
_KEPT = 4  # processes that wait for the next run


class Finished(typing.NamedTuple):
    """The exit code of a run, and what it wrote to its outputs."""

    returncode: int
    stdout: str


def ansible_playbook(*arguments, env, cwd=None, timeout=180):
    """Run ansible-playbook and return its exit code and output. Raises subprocess.TimeoutExpired.

    The process is forked from one that has imported Ansible (see forking.py), unless Ansible would read a configuration
    file at its start.
    """
    cwd = str(cwd or os.getcwd())
    argv = [PROGRAM, *map(str, arguments)]
    if any(os.path.exists(path) for path in (f"{cwd}/ansible.cfg", f"{env['HOME']}/.ansible.cfg")):
        done = subprocess.run(
            argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=timeout, check=False,
        )
        return Finished(done.returncode, done.stdout)
    parent = _take_parent(env)
    with tempfile.NamedTemporaryFile(prefix="output-") as output:
        code = parent.run({"argv": argv, "env": env, "cwd": cwd, "output": output.name}, timeout)
        _put_back(parent)
        return Finished(code, Path(output.name).read_text(encoding="utf-8", errors="replace"))


class _Parent:
    """A process that has imported Ansible, and runs one playbook at a time in a fork of itself."""

    def __init__(self, key, env):
        self.key = key
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.forking"], cwd="/", text=True, start_new_session=True,
            env={**env, "PYTHONPATH": os.pathsep.join(filter(None, (env.get("PYTHONPATH"), _TESTS)))},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def run(self, job, timeout):
        """Run a job and return its exit code."""
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        child = int(self._process.stdout.readline())
        if not select.select([self._process.stdout], [], [], timeout)[0]:
            os.killpg(child, signal.SIGKILL)
            self.stop()
            raise subprocess.TimeoutExpired(job["argv"], timeout)
        return int(self._process.stdout.readline())

    def stop(self):
        self._process.kill()
        self._process.communicate()


_idle: list[_Parent] = []  # the one that was used last is the last one
_lock = threading.Lock()


def _take_parent(env):
    key = tuple(sorted((name, value) for name, value in env.items() if name.startswith(_READ_AT_START)))
    with _lock:
        found = next((parent for parent in _idle if parent.key == key), None)
        if found:
            _idle.remove(found)
    return found or _Parent(key, env)


def _put_back(parent):
    with _lock:
        _idle.append(parent)
        surplus = _idle[:-_KEPT]
        del _idle[:-_KEPT]
    for each in surplus:
        each.stop()


@atexit.register
def _stop_all():
    for parent in _idle:
        parent.stop()
