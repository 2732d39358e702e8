# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of Debian that tests need, installed where that is possible."""
from __future__ import annotations

import os
import shutil

from .process import Failed, environment, quietly, say


def ensure(**programs):
    """See that these programs are there, each given as program="package", and install the packages that are missing: as root, on a Debian."""
    missing = sorted({package for program, package in programs.items() if not shutil.which(program)})
    if not missing:
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise Failed("The tests need Debian's %s; only root on a Debian or one of its kind can have it installed here" % " and ".join(missing))
    say("installing %s with apt-get" % ", ".join(missing))
    env = environment(proxies=True, DEBIAN_FRONTEND="noninteractive")
    quietly(["apt-get", "update", "-q"], env, "apt-get update")
    quietly(["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing], env, "Installing %s" % ", ".join(missing))
