# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds Python interpreters on PATH and among the versions that pyenv installed.

Older versions of Python can read it, see run.py.
"""

import glob
import os
import pwd
import subprocess

_PROBE = "import sys, ssl, ctypes; print('%d.%d' % sys.version_info[:2]); print(sys.executable)"
_found = {}


def find(version):
    """Return the path of a working interpreter of this version ("3.13"), or None."""
    if version not in _found:
        working = (_probe(candidate, version) for candidate in _candidates(version))
        _found[version] = next((path for path in working if path), None)
    return _found[version]


def newest():
    """Return the path of an interpreter that can run the project, or None."""
    return next((path for path in (find(version) for version in ("3.13", "3.12", "3.11", "3.14")) if path), None)


def pyenv_folders():
    """Return the bin folders of all versions that pyenv installed."""
    roots = [
        os.environ.get("PYENV_ROOT"),
        os.path.expanduser("~/.pyenv"),
        os.path.join(pwd.getpwuid(os.getuid()).pw_dir, ".pyenv"),
    ]
    # Where HOME is another folder, PATH still contains pyenv's.
    roots += [os.path.dirname(folder) for folder in _path() if _is_shims(folder)]
    folders = []
    for root in roots:
        for folder in sorted(glob.glob(os.path.join(root or "/nowhere", "versions", "*", "bin"))):
            if folder not in folders:
                folders.append(folder)
    return folders


def path_without_shims():
    """Return the folders of PATH except pyenv's shims, which fail where no version is selected."""
    return [folder for folder in _path() if not _is_shims(folder)]


def _path():
    return [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]


def _is_shims(folder):
    return os.path.basename(folder.rstrip("/")) == "shims"


def _candidates(version):
    # Those of pyenv last: it does not optimize what it builds, and distributions do: a tenth of the time of all tests.
    built = pyenv_folders()
    folders = [folder for folder in path_without_shims() if folder not in built] + built
    folders += [folder for folder in _path() if _is_shims(folder)]
    names = [os.path.join(folder, "python" + version) for folder in folders]
    # Some systems have only "python3".
    names += [os.path.join(folder, "python3") for folder in path_without_shims()]
    return [name for name in names if os.access(name, os.X_OK)]


def _probe(program, version):
    try:
        process = subprocess.Popen(
            [program, "-I", "-c", _PROBE], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        lines = process.communicate()[0].decode().split("\n")
    except OSError:
        return None
    return lines[1] if process.returncode == 0 and lines[0] == version else None
