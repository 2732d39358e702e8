# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs Debian packages that tests need, where that is possible."""

from __future__ import annotations

import os
import shutil

from .process import Failed, capture, environment, log


def ensure(**programs):
    """Install the packages of missing programs, each passed as program="package". Requires root on a Debian."""
    missing = sorted({package for program, package in programs.items() if not shutil.which(program)})
    if not missing:
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise Failed(
            "The tests need the Debian packages %s; install them, or run as root on Debian or a derivative"
            % " and ".join(missing)
        )
    log("installing %s with apt-get" % ", ".join(missing))
    env = environment(proxies=True, DEBIAN_FRONTEND="noninteractive")
    capture(["apt-get", "update", "-q"], env, "apt-get update")
    capture(
        ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing],
        env,
        "Installing %s" % ", ".join(missing),
    )
