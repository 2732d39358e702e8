# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The artifact of the collection: what it contains, and whether it can be installed into an empty home directory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from harness.artifact import build, files, git

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
CONTENT = {
    "CHANGELOG.md", "CHANGELOG.rst", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "FILES.json", "LICENSE", "LICENSES",
    "MANIFEST.json", "README.md", "REUSE.toml", "SECURITY.md", "changelogs", "docs", "extensions", "meta", "playbooks",
    "plugins", "roles",
}
# Folders of plugins that have documentation.
PLUGINS = ("lookup", "filter", "inventory")
ROLES = {path.name for path in (ROOT / "roles").iterdir()}
# What tests, tools and builds leave in a checkout.
JUNK = (
    ".ansible/x", ".coverage", ".coverage.host", ".hypothesis/x", ".local/x", ".mypy_cache/x", ".pytest_cache/x",
    ".ruff_cache/x", ".venv/x", "changelogs/.plugin-cache.yaml", "collections/x", "dist/x", "old.tar.gz",
    "plugins/modules/__pycache__/x.pyc", "roles/guard/.hypothesis/x", "tests/.hypothesis/x", "tests/output/x",
)
# Lists folders in another order than this file system, as other file systems do.
OTHER_ORDER = """\
import os

listed = os.listdir
os.listdir = lambda *arguments: sorted(listed(*arguments), reverse=True)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def environment(home):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
    return {**kept, "HOME": str(home), "ANSIBLE_NOCOLOR": "1", "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def artifact(environment, tmp_path_factory):
    return build(ROOT, tmp_path_factory.mktemp("built"), PROGRAMS / "ansible-galaxy", environment)


@pytest.fixture(scope="module")
def installed(artifact, environment, home):
    """The environment of a user who has installed the artifact."""
    run(environment, home, "ansible-galaxy", "collection", "install", str(artifact), "--offline")
    return environment


def run(environment, folder, program, *arguments):
    done = subprocess.run(
        [PROGRAMS / program, *arguments], env=environment, cwd=folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def names(built):
    with tarfile.open(built) as archive:
        return sorted(archive.getnames())


def test_it_contains_no_development_files(artifact):
    found = names(artifact)
    assert {name.partition("/")[0] for name in found} == CONTENT
    assert not [name for name in found if re.search(r"__pycache__|/\.[^/]*$|\.pyc$|molecule", name)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Another checkout, with other times and with files that are left over there."""
    checkout = tmp_path_factory.mktemp("other") / "checkout"
    git(checkout.parent, "clone", "--quiet", "--no-checkout", ROOT, checkout)
    for name in files(ROOT):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_bytes((ROOT / name).read_bytes())
        (checkout / name).chmod((ROOT / name).stat().st_mode)
        os.utime(checkout / name, (0, 0))
    for name in JUNK:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("left over")
    return checkout


def test_two_builds_are_identical(artifact, checkout, environment, tmp_path):
    """Also on another file system."""
    (tmp_path / "sitecustomize.py").write_text(OTHER_ORDER)
    time.sleep(1.1)
    other = {**environment, "PYTHONPATH": str(tmp_path)}
    again = build(checkout, tmp_path / "built", PROGRAMS / "ansible-galaxy", other)
    assert again.read_bytes() == artifact.read_bytes()


def test_a_build_without_git_contains_the_same_files(artifact, checkout, environment, tmp_path):
    """`ansible-galaxy collection build` in a checkout adds nothing that git ignores."""
    run(environment, checkout, "ansible-galaxy", "collection", "build", "--output-path", str(tmp_path))
    (built,) = tmp_path.iterdir()
    assert names(built) == names(artifact)


def test_everything_in_it_is_documented_after_an_installation(installed, home, subtests):
    files = {kind: {path.stem for path in (ROOT / "plugins" / kind).glob("*.py")} for kind in PLUGINS}
    files["module"] = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}
    files["role"] = ROLES
    for kind, expected in files.items():
        with subtests.test(kind):
            listed = json.loads(
                run(installed, home, "ansible-doc", "-t", kind, "--list", "--json", "ranchhand.rancher")
            )
            assert {name.removeprefix("ranchhand.rancher.") for name in listed} == expected
            shown = json.loads(run(installed, home, "ansible-doc", "-t", kind, "--json", *listed))
            assert set(shown) == set(listed) and not [name for name, item in shown.items() if "error" in item]


def test_its_playbooks_are_found(installed, home):
    names = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
    playbooks = [f"ranchhand.rancher.{name}" for name in names]
    run(installed, home, "ansible-playbook", "--syntax-check", "-i", "localhost,", *playbooks)


def test_its_roles_can_be_used(installed, home):
    """A playbook for each role, which imports all files of its tasks: the modules that they name are found.

    Tasks for AWX need another collection, which the user installs.
    """
    playbooks = [home / f"{role}.yml" for role in sorted(ROLES)]
    for playbook in playbooks:
        tasks = [
            {"ansible.builtin.import_role": {"name": f"ranchhand.rancher.{playbook.stem}", "tasks_from": path.name}}
            for path in sorted((ROOT / "roles" / playbook.stem / "tasks").glob("*.yml"))
            if "awx.awx." not in path.read_text()
        ]
        assert tasks
        playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    run(installed, home, "ansible-playbook", "--syntax-check", "-i", "localhost,", *map(str, playbooks))
