# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of `make test` in addition to pytest: linters, documentation, ansible-test sanity and molecule.

The linters run in the checkout, galaxy-importer checks an artifact of it, and Sphinx copies its pages. The others run
in a copy of all files that git has or would add, because ansible-test requires the path
`ansible_collections/NAMESPACE/NAME` and refuses a link.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import artifact, environments, interpreters, site
from .process import COLLECTIONS, HOME, LOCAL, ROOT, Failed, aws_for, capture, environment, log, private_home, run

TREE = LOCAL / "sanity"
COPY = TREE / "ansible_collections" / "ranchhand" / "rancher"
# The version of pip with which ansible-test of ansible-core 2.21 creates its environments.
_PIP = "25.2"

# ansible-test downloads this script from its own host, which some machines cannot reach. The wheel from the registry is
# equivalent.
_GET_PIP = """\
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "pip-%(version)s-py3-none-any.whl"))

from pip._internal.cli.main import main

arguments = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.exit(main(["install", "--upgrade", "--force-reinstall", "--find-links", HERE] + arguments))
"""


class NotApplicable(Exception):
    """There is nothing to check."""


def linters():
    """Return name and function of each linter; together they take seconds."""
    return [("ruff", ruff), ("mypy", mypy), ("words", words)]


def ruff():
    return _run(["ruff", "check", "plugins", "tests", "benchmarks"], environment(environments.linters_venv()), ROOT)


def mypy():
    environments.link_collection()
    command = ["mypy", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(LOCAL / "mypy_cache")]
    # From the collections path, so that modules have their full names.
    return _run(
        [*command, "ansible_collections/ranchhand/rancher/plugins"],
        environment(environments.linters_venv()),
        COLLECTIONS,
    )


def words():
    return _run(["python", "tests/words.py"], environment(environments.linters_venv()), ROOT)


def prepare():
    """Create the copy and return the environment variables of the checks that run in it."""
    venv = environments.tools_venv()
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = capture(listing, environment(), "Listing the files with git").split("\0")
    # Git also lists files that are deleted in the work tree.
    files = sorted({name for name in files if name and (ROOT / name).is_file()})
    shutil.rmtree(COPY, ignore_errors=True)
    for name in files:
        (COPY / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, COPY / name)
    capture(["git", "init", "--quiet"], environment(), "Creating a git repository in the copy", cwd=COPY)
    return environment(
        venv,
        proxies=True,
        ANSIBLE_COLLECTIONS_PATH=TREE,
        MOLECULE_COLLECTIONS_PATH=TREE,
        PYTHONPATH=COPY / "tests",
        XDG_CACHE_HOME=HOME / ".cache",
    )


def checks():
    """Return name and function of each check that runs in the copy, in their order."""
    return [
        ("antsibull-changelog lint", changelog),
        ("antsibull-docs lint", documentation),
        ("ansible-lint", ansible_lint),
        ("galaxy-importer", lambda env: galaxy_importer()),
        ("documentation site", lambda env: site.build()),
        ("molecule", molecule),
    ]


def changelog(env):
    if not (COPY / "changelogs" / "config.yaml").exists():
        raise NotApplicable("no changelogs/config.yaml")
    return _run(["antsibull-changelog", "lint"], env)


def documentation(env):
    return _run(
        [
            "antsibull-docs",
            "lint-collection-docs",
            "--plugin-docs",
            "--validate-collection-refs=self",
            "--disallow-unknown-collection-refs",
            ".",
        ],
        env,
    )


def ansible_lint(env):
    return _run(["ansible-lint", "--offline"], env)


def galaxy_importer():
    """Check the artifact as Galaxy does when it is published.

    Not with ansible-lint and ansible-test, which are checks of their own and would take two thirds of the time.
    """
    venv = environments.importer_venv()
    with private_home() as home, tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "importer.cfg"
        settings.write_text("[galaxy-importer]\nrun_ansible_lint = False\nrun_ansible_test = False\n")
        env = environment(venv, home, GALAXY_IMPORTER_CONFIG=settings)
        built = artifact.build(ROOT, Path(folder), venv / "bin" / "ansible-galaxy", env)
        return _run(["python", "-m", "galaxy_importer.main", str(built)], env, folder)


@contextlib.contextmanager
def sanity(env):
    """Run ansible-test during other checks; yields a function that waits for it, shows its output and returns its exit
    code.

    It uses one core only, and takes as long as all the other checks together.
    """
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / ("pip-%s-py3-none-any.whl" % _PIP)).exists():
        capture(
            [
                *environments.pip(),
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--dest",
                cache,
                "pip==" + _PIP,
            ],
            env,
            "Downloading pip %s for ansible-test" % _PIP,
        )
    (cache / ("get_pip_%s.py" % _PIP.replace(".", "_"))).write_text(_GET_PIP % {"version": _PIP})
    # ansible-test searches PATH for each Python, and a shim of pyenv fails there: name the real programs.
    folders = (
        [str(environments.tools_venv() / "bin")] + interpreters.path_without_shims() + interpreters.pyenv_folders()
    )
    env = dict(env, PATH=os.pathsep.join(folders), PYTHONPATH="")
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [_find("ansible-test", env), "sanity", "--color", "no"],
            env=env,
            cwd=COPY,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

        def wait():
            code = process.wait()
            output.seek(0)
            log(output.read().decode(errors="replace"))
            return code

        try:
            yield wait
        finally:
            process.terminate()
            process.wait()


def molecule(env):
    if not list(COPY.glob("extensions/molecule/*/molecule.yml")):
        raise NotApplicable("no scenario in extensions/molecule")
    return _run(["python", "-m", "control_plane", *aws_for("python", COPY / "tests"), "molecule", "test", "--all"], env)


def _run(command, env, folder=COPY):
    log("$ " + subprocess.list2cmdline(command))
    return run([_find(command[0], env), *command[1:]], env, cwd=folder)


def _find(name, env):
    program = shutil.which(name, path=env["PATH"])
    if not program:
        raise Failed("%s is not installed in %s" % (name, env["PATH"].split(os.pathsep)[0]))
    return program
