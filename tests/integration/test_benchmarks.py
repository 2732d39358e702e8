# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make bench` reads in processes of their own still works; to measure takes too long for a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.cluster import SECRETS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("arguments", [["info"], ["references"], ["lists", SECRETS], ["lists at once", SECRETS]])
def test_a_read_reports_its_figures(cluster, arguments):
    control_plane = cluster.control_plane
    what, *paths = arguments
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.child",
            what,
            control_plane.kubeconfig,
            control_plane.url,
            control_plane.ca_file,
            control_plane.token,
            *paths,
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]])},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all(value > 0 for value in json.loads(done.stdout).values())
