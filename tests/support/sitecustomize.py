# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the bytecode of what Python imports from archives, in the test environments (see harness/environments.py).

Ansible sends each module as an archive, from which Python compiles all module_utils in each run: a third of the time
of a module. Python itself keeps bytecode only for folders (zipimport of CPython 3.9 to 3.14 compiles in
`_compile_source`).
"""

from __future__ import annotations

import hashlib
import marshal
import os
import sys
import zipimport
from contextlib import suppress

_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bytecode-of-archives", sys.implementation.cache_tag)
_compile = zipimport._compile_source


def _compile_or_read(pathname, source):
    path = os.path.join(_FOLDER, hashlib.sha256(source).hexdigest())
    # Some tests make folders read-only or invisible.
    with suppress(OSError, EOFError, ValueError):
        with open(path, "rb") as file:
            return marshal.load(file)
    code = _compile(pathname, source)
    with suppress(OSError):
        os.makedirs(_FOLDER, exist_ok=True)
        unfinished = f"{path}.{os.getpid()}"
        with open(unfinished, "wb") as file:
            marshal.dump(code, file)
        os.replace(unfinished, path)
    return code


zipimport._compile_source = _compile_or_read
