# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs programs and playbooks as a user does, and measures them."""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import os
import subprocess
import time
from collections import namedtuple

Cost = namedtuple("Cost", "wall cpu memory")


class BrokenRun(Exception):
    """The measured program failed."""


# The reported peak memory of a child includes that of its parent at its start: use a small parent.
_RUNNER = concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def run(command, env, output):
    """Run a program; returns wall and CPU seconds, including its children, and the MB of the largest process."""
    return _RUNNER.submit(_run, command, env, output).result()


def _run(command, env, output):
    begun = time.perf_counter()
    with open(output, "wb") as file:
        process = subprocess.Popen(
            [str(part) for part in command], env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            unused, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        with open(output, encoding="utf-8", errors="replace") as file:
            raise BrokenRun("%s\n%s" % (subprocess.list2cmdline(map(str, command)), file.read()[-3000:]))
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


class Plays:
    """Runs playbooks in a folder; variables are read from a file, like those of users."""

    def __init__(self, venv, folder, env):
        self._venv, self._folder = venv, folder
        # PYTHONPATH is only for this package.
        self._env = {name: value for name, value in env.items() if name != "PYTHONPATH"}

    def play(self, tasks, variables=None, collections=None, recap=""):
        """Run one playbook; its recap must contain `recap`, which proves that it did what is measured."""
        playbook, variables_file, output = (
            self._folder / name for name in ("playbook.yml", "variables.json", "output")
        )
        playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        variables_file.write_text(json.dumps(variables or {}))
        env = dict(self._env, **({"ANSIBLE_COLLECTIONS_PATH": str(collections)} if collections else {}))
        cost = run(
            [
                self._venv / "bin" / "ansible-playbook",
                "-i",
                "localhost,",
                "-c",
                "local",
                playbook,
                "-e",
                "@%s" % variables_file,
            ],
            env,
            output,
        )
        text = output.read_text(errors="replace")
        if recap not in text:
            raise BrokenRun("No %s in the recap of\n%s" % (recap, text[-3000:]))
        return cost
