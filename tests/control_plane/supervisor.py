# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the processes of one control plane, and stops them and deletes their folder when the test exits for any reason.

A separate process, started by path: it reads commands as JSON lines from stdin and answers each with one line on
stdout. It cleans up at the end of stdin, which also occurs when the other process is killed. On Linux, the kernel
signals the children when this process dies.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

_PR_SET_PDEATHSIG = 1


def _die_with_parent():
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (AttributeError, OSError):
        pass


class Supervisor:
    def __init__(self):
        # It contains etcd's sockets, whose paths are limited to 104 characters.
        parent = None if len(tempfile.gettempdir()) < 70 else "/tmp"
        self.directory = tempfile.mkdtemp(prefix="ranchhand-", dir=parent)
        self.processes = {}

    def start(self, name, argv):
        with open(os.path.join(self.directory, name + ".log"), "ab") as log:
            preexec = _die_with_parent if sys.platform.startswith("linux") else None
            # This process has one thread only: code between fork and exec is safe, and it is the parent for the kernel.
            process = subprocess.Popen(  # pylint: disable=subprocess-popen-preexec-fn
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                preexec_fn=preexec,
            )
        self.processes[name] = process
        return {"pid": process.pid}

    def poll(self, name):
        return {"returncode": self.processes[name].poll()}

    def kill(self, name):
        process = self.processes.pop(name)
        process.kill()
        return {"returncode": process.wait()}

    def clean(self):
        for name in list(self.processes):
            self.kill(name)
        shutil.rmtree(self.directory, ignore_errors=True)


def _stop(signum, frame):
    raise SystemExit(128 + signum)


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _stop)
    supervisor = Supervisor()
    try:
        answer = {"directory": supervisor.directory}
        while True:
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
            line = sys.stdin.readline()
            if not line:
                break
            command = json.loads(line)
            try:
                answer = getattr(supervisor, command.pop("do"))(**command)
            except OSError as problem:
                answer = {"error": str(problem)}
    except BrokenPipeError:
        pass
    finally:
        supervisor.clean()
        # The reader of the buffer may have exited.
        os._exit(0)


if __name__ == "__main__":
    main()
