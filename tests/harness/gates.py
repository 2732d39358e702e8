# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gates: linters, documentation checks, ansible-test sanity and molecule, in a copy of what git has or would add.

A copy, because ansible-test insists on the path `ansible_collections/NAMESPACE/NAME` and refuses a link.
"""
from __future__ import annotations

import os
import shutil
import subprocess

from . import environments, interpreters
from .process import HOME, LOCAL, ROOT, Failed, aws_for, environment, quietly, run, say

TREE = LOCAL / "sanity"
COPY = TREE / "ansible_collections" / "ranchhand" / "rancher"
# The version of pip which ansible-test of ansible-core 2.21 bootstraps its environments with.
_PIP = "25.2"

# ansible-test downloads this script from a host of its own, which not every machine can reach; the wheel from the registry does the same.
_GET_PIP = '''\
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "pip-%(version)s-py3-none-any.whl"))

from pip._internal.cli.main import main

arguments = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.exit(main(["install", "--upgrade", "--force-reinstall", "--find-links", HERE] + arguments))
'''


class NotYet(Exception):
    """There is nothing to check."""


def prepare():
    """Make the copy and return the environment that all gates run in."""
    venv = environments.tools_venv()
    files = quietly(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], environment(), "Listing the files with git").split("\0")
    # A cached file may be deleted in the work tree.
    files = sorted({name for name in files if name and (ROOT / name).is_file()})
    shutil.rmtree(COPY, ignore_errors=True)
    for name in files:
        (COPY / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, COPY / name)
    quietly(["git", "init", "--quiet"], environment(), "Making a git repository of the copy", cwd=COPY)
    return environment(
        venv, proxies=True, ANSIBLE_COLLECTIONS_PATH=TREE, MOLECULE_COLLECTIONS_PATH=TREE, PYTHONPATH=COPY / "tests", XDG_CACHE_HOME=HOME / ".cache")


def gates():
    """Name and function of each gate, in their order."""
    return [
        ("antsibull-changelog lint", changelog),
        ("antsibull-docs lint", documentation),
        ("ansible-lint", lint),
        ("ansible-test sanity", sanity),
        ("molecule", molecule),
    ]


def changelog(env):
    if not (COPY / "changelogs" / "config.yaml").exists():
        raise NotYet("no changelogs/config.yaml")
    return _run(["antsibull-changelog", "lint"], env)


def documentation(env):
    _needs_collection()
    return _run([
        "antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=self", "--disallow-unknown-collection-refs", "."], env)


def lint(env):
    _needs_collection()
    return _run(["ansible-lint", "--offline"], env)


def sanity(env):
    _needs_collection()
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / ("pip-%s-py3-none-any.whl" % _PIP)).exists():
        quietly(
            [*environments.pip(), "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", cache, "pip==" + _PIP],
            env, "Fetching pip %s for ansible-test" % _PIP)
    (cache / ("get_pip_%s.py" % _PIP.replace(".", "_"))).write_text(_GET_PIP % {"version": _PIP})
    # ansible-test looks for each Python on PATH and forgets which version pyenv was to run: name the real programs.
    folders = [str(environments.tools_venv() / "bin")] + interpreters.path_without_shims() + interpreters.pyenv_folders()
    return _run(["ansible-test", "sanity", "--color", "no"], dict(env, PATH=os.pathsep.join(folders), PYTHONPATH=""))


def molecule(env):
    if not list(COPY.glob("extensions/molecule/*/molecule.yml")):
        raise NotYet("no scenario in extensions/molecule")
    return _run(["python", "-m", "control_plane", *aws_for("python", COPY / "tests"), "molecule", "test", "--all"], env)


def _needs_collection():
    if not (COPY / "galaxy.yml").exists():
        raise NotYet("no galaxy.yml")


def _run(command, env):
    program = shutil.which(command[0], path=env["PATH"])
    if not program:
        raise Failed("There is no %s in %s" % (command[0], env["PATH"].split(os.pathsep)[0]))
    say("$ " + subprocess.list2cmdline(command))
    return run([program, *command[1:]], env, cwd=COPY)
