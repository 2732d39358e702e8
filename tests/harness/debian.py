# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs or unpacks Debian packages that tests need, where that is possible."""

from __future__ import annotations

import os
import shutil

from .process import LOCAL, Failed, capture, environment, log


def ensure(**programs):
    """Install the packages of missing programs, each passed as program="package". Requires root on a Debian."""
    missing = sorted({package for program, package in programs.items() if not shutil.which(program)})
    if not missing:
        return
    env = _update(missing)
    capture(
        ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing],
        env,
        "Installing %s" % ", ".join(missing),
    )


def unpack(package):
    """Unpack a package below .local and return the folder of its programs. Nothing is installed or started."""
    return _unpacked(["download"], [package]) / "usr" / "bin"


def unpack_all(*packages):
    """Unpack packages and what they require, unless it is installed, as unpack(); returns the folder of all."""
    return _unpacked(["install", "-y", "--download-only", "--no-install-recommends"], packages)


def _unpacked(command, packages):
    """Return a folder below .local with what a command of apt-get downloads. It has the name of the first package."""
    folder = LOCAL / "debian" / packages[0]
    if not folder.exists():
        env = _update(packages)
        unfinished = LOCAL / "debian" / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        (unfinished / "partial").mkdir(parents=True)
        archives = ["-o", "Dir::Cache::archives=%s" % unfinished]
        capture(["apt-get", *command, "-q", *archives, *packages], env, "Downloading %s" % packages[0], cwd=unfinished)
        for archive in unfinished.glob("*.deb"):
            capture(["dpkg-deb", "--extract", archive, unfinished], env, "Unpacking %s" % archive.name)
            archive.unlink()
        unfinished.rename(folder)
    return folder


def _update(packages):
    """Update the lists of packages, and return the environment variables of apt-get."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise Failed(
            "The tests need the Debian packages %s; install them, or run as root on Debian or a derivative"
            % " and ".join(packages)
        )
    log("installing %s with apt-get" % ", ".join(packages))
    env = environment(proxies=True, DEBIAN_FRONTEND="noninteractive")
    capture(["apt-get", "update", "-q"], env, "apt-get update")
    return env
