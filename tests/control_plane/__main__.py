# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a control plane, and runs a command with it, such as the demo or a molecule scenario.

    python -m control_plane [--rancher 2.10.0] [--objects FILE] [--keep] [COMMAND ...]

The command gets the administrator's kubeconfig in K8S_AUTH_KUBECONFIG. The exit code is the command's.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from .errors import Unavailable
from .fixtures import VERSIONS, create_objects, install_fixtures
from .server import ControlPlane


def _stop(signum, frame):
    raise SystemExit(128 + signum)


def main():
    parser = argparse.ArgumentParser(
        prog="control_plane", description="Run a command with a Kubernetes control plane of its own."
    )
    parser.add_argument(
        "--rancher",
        default=VERSIONS[0],
        choices=VERSIONS,
        help="Rancher version whose objects it gets (default: %(default)s)",
    )
    parser.add_argument("--objects", metavar="FILE", type=Path, help="more objects to create first, as a JSON list")
    parser.add_argument("--keep", action="store_true", help="leave it running until Enter or Ctrl-C")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command and its arguments")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    code = 0
    try:
        with ControlPlane() as control_plane:
            install_fixtures(control_plane, arguments.rancher)
            if arguments.objects:
                create_objects(control_plane, json.loads(arguments.objects.read_text(encoding="utf-8")))
            if arguments.command:
                code = _run(arguments.command, control_plane)
            if arguments.keep or not arguments.command:
                _keep(control_plane)
    except Unavailable as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _run(command, control_plane):
    # PYTHONPATH is only for this package.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["K8S_AUTH_KUBECONFIG"] = str(control_plane.kubeconfig)
    process = subprocess.Popen(command, env=environment)
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _keep(control_plane):
    print(
        "\nThe control plane runs until you press Ctrl-C%s. Its kubeconfig is:\n\n  %s\n"
        % (" or Enter" if sys.stdin.isatty() else "", control_plane.kubeconfig),
        flush=True,
    )
    try:
        if sys.stdin.isatty():
            sys.stdin.readline()
        else:
            signal.pause()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
