# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A temporary repository with the files of this one, and a release in it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from harness import artifact, environments, release
from harness.artifact import git
from harness.process import environment

ROOT = Path(__file__).parents[2]
VERSION = "99.0.0"
NEW_MODULE = "example_info"
FRAGMENT = "changelogs/fragments/test-of-the-release.yml"


@pytest.fixture(scope="session", name="tools")
def environment_of_the_tools():
    return environment(environments.tools_venv())


@pytest.fixture(autouse=True, scope="session")
def committer():
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "a maintainer")
            patch.setenv(f"GIT_{role}_EMAIL", "maintainer@example.com")
        yield


@pytest.fixture(scope="session", name="original")
def repository_with_all_files(tmp_path_factory, committer):
    """A repository with the files of this one, a new module, and a changelog fragment."""
    folder = tmp_path_factory.mktemp("original")
    for name in artifact.files(ROOT):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    for path in [*(folder / "plugins").rglob("*.py"), *(folder / "roles").glob("*/meta/argument_specs.yml")]:
        path.write_text(re.sub(r"version_added: [\d.]+", f"version_added: {VERSION}", path.read_text()))
    modules = folder / "plugins" / "modules"
    new = (modules / "upgrade_info.py").read_text().replace("upgrade_info", NEW_MODULE)
    (modules / f"{NEW_MODULE}.py").write_text(new)
    (folder / FRAGMENT).write_text("---\nbugfixes:\n  - cloud_credential - an example.\n")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit_all(folder)
    return folder


@pytest.fixture
def repository(original, tmp_path):
    git(tmp_path, "clone", "--quiet", original, tmp_path / "clone")
    return tmp_path / "clone"


@pytest.fixture(scope="session", name="released")
def repository_with_release(original, tools, tmp_path_factory):
    """The repository after a release, and its artifact."""
    folder = tmp_path_factory.mktemp("released")
    git(folder, "clone", "--quiet", original, folder / "clone")
    release.check(folder / "clone", VERSION)
    return folder / "clone", release.prepare(folder / "clone", VERSION, folder / "output", tools)


def commit_all(folder):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "A change")
