# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the bytecode of what Python imports from archives and collections, in the test environments (see
harness/environments.py).

Ansible sends each module as an archive, from which Python compiles all module_utils in each run: a third of the time
of a module. Python itself keeps bytecode only for folders (zipimport of CPython 3.9 to 3.14 compiles in
`_compile_source`). Ansible compiles collections itself, in each run (`_collection_finder.py` of ansible-core 2.17 to
2.21): a tenth of the time of a playbook with one task.
"""

from __future__ import annotations

import builtins
import hashlib
import marshal
import os
import sys
import zipimport
from contextlib import suppress

_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bytecode", sys.implementation.cache_tag)
_COLLECTION = {"source", "filename", "mode", "flags", "dont_inherit"}  # the arguments of Ansible's call
_compile, _compile_source = builtins.compile, zipimport._compile_source


def _keep(source, compiled):
    path = os.path.join(_FOLDER, hashlib.sha256(source).hexdigest())
    # Some tests make folders read-only or invisible.
    with suppress(OSError, EOFError, ValueError):
        with open(path, "rb") as file:
            return marshal.load(file)
    code = compiled()
    with suppress(OSError):
        os.makedirs(_FOLDER, exist_ok=True)
        unfinished = f"{path}.{os.getpid()}"
        with open(unfinished, "wb") as file:
            marshal.dump(code, file)
        os.replace(unfinished, path)
    return code


def _compile_archived(pathname, source):
    return _keep(source, lambda: _compile_source(pathname, source))


def _compile_collection(*arguments, **options):
    if set(options) != _COLLECTION:
        return _compile(*arguments, **options)
    source = options["source"]
    named = f"{options['filename']}\0".encode() + (source.encode() if isinstance(source, str) else source)
    return _keep(named, lambda: _compile(**options))


zipimport._compile_source = _compile_archived
builtins.compile = _compile_collection
