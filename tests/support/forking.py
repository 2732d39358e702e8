# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible-playbook in processes forked from one that has imported Ansible and the Kubernetes client, which takes
half of a short run. They collect no garbage, which takes a tenth of the rest: they are short, and each task is a fork.

    python -m support.forking

Reads a job as a line of JSON (argv, env, cwd, output), and answers its process id and its exit code. Ansible reads its
settings while it is imported, so the environment of a job may differ from that of this process only in variables that
Ansible reads later.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback

import ansible.cli.playbook
import ansible.executor.playbook_executor
import ansible.executor.task_executor
import ansible.plugins.strategy.linear  # noqa: F401  pylint: disable=unused-import
import kubernetes.config  # noqa: F401  pylint: disable=unused-import


def _play(job):
    """Become the process of a job; returns its exit code."""
    os.setsid()
    gc.disable()
    output = os.open(job["output"], os.O_WRONLY | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    sys.argv = job["argv"]
    try:
        ansible.cli.playbook.main(sys.argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def main():
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            code = 250
            try:
                code = _play(json.loads(line))
            except BaseException:  # pylint: disable=broad-exception-caught
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
