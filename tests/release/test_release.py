# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make release` in a temporary repository: its checks, the commit, the artifact, and the commands that it prints."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest
import yaml

from harness import artifact, commands, release
from harness.artifact import git
from harness.process import Failed

from .conftest import FRAGMENT, NEW_MODULE, ROOT, VERSION, commit_all


def test_a_release_adds_a_single_commit_to_main(released, original):
    repository, _built = released
    assert git(repository, "log", "--format=%s", "-2").splitlines() == [f"Release {VERSION}", "A change"]
    assert git(repository, "rev-parse", "HEAD~1") == git(original, "rev-parse", "HEAD")
    changed = set(git(repository, "diff", "--name-only", "HEAD~1").split())
    assert {"galaxy.yml", "CHANGELOG.md", "CHANGELOG.rst", "changelogs/changelog.yaml", FRAGMENT} <= changed
    assert not [name for name in changed if not name.startswith(("CHANGELOG", "changelogs/", "galaxy.yml"))]
    assert git(repository, "diff", "--shortstat", "HEAD~1", "--", "galaxy.yml").split()[3:] == [
        "1", "insertion(+),", "1", "deletion(-)"
    ]
    assert yaml.safe_load((repository / "galaxy.yml").read_text())["version"] == VERSION
    described = yaml.safe_load((repository / "changelogs" / "changelog.yaml").read_text())["releases"][VERSION]
    assert "cloud_credential - an example." in described["changes"]["bugfixes"]
    assert NEW_MODULE in {module["name"] for module in described["modules"]}
    assert not list((repository / "changelogs" / "fragments").glob("*.yml"))


def test_nothing_is_tagged_pushed_or_left_over(released, original):
    repository, _built = released
    assert not git(repository, "tag") and not git(repository, "status", "--porcelain")
    assert len(git(repository, "worktree", "list").splitlines()) == 1
    assert git(original, "log", "--format=%s").splitlines() == ["A change"]


def test_another_clone_of_the_commit_builds_the_same_artifact(released, tools, tmp_path):
    repository, built = released
    git(tmp_path, "clone", "--quiet", repository, tmp_path / "clone")
    again = artifact.build(tmp_path / "clone", tmp_path / "output", "ansible-galaxy", tools)
    assert (again.name, again.read_bytes()) == (f"ranchhand-rancher-{VERSION}.tar.gz", built.read_bytes())
    with tarfile.open(built) as archive:
        assert json.load(archive.extractfile("MANIFEST.json"))["collection_info"]["version"] == VERSION
        (time,) = {member.mtime for member in archive}
    assert time == int(git(repository, "log", "-1", "--format=%ct"))


def test_the_printed_commands_are_those_that_are_documented(released):
    _repository, built = released
    described = (ROOT / "CONTRIBUTING.md").read_text()
    for _purpose, command in release.remaining(Path(".local", "artifact", built.name), VERSION):
        assert command.replace(VERSION, "VERSION") in described, command


def change_a_file(repository):
    (repository / "README.md").write_text("changed")


def add_a_file(repository):
    (repository / "new.md").write_text("new")


def leave_main(repository):
    git(repository, "switch", "--quiet", "--create", "feature")


def tag(repository):
    git(repository, "tag", VERSION)


def add_a_module_of_another_version(repository):
    module = repository / "plugins" / "modules" / "guard.py"
    module.write_text(module.read_text().replace(f"version_added: {VERSION}", "version_added: 98.0.0"))
    commit_all(repository)


def delete_fragments(repository):
    shutil.rmtree(repository / "changelogs" / "fragments")
    commit_all(repository)


@pytest.mark.parametrize(
    "prepare, version, reason",
    [
        pytest.param(change_a_file, VERSION, "changes that are not committed", id="a changed file"),
        pytest.param(add_a_file, VERSION, "changes that are not committed", id="a new file"),
        pytest.param(leave_main, VERSION, "the branch is feature, not main", id="another branch"),
        pytest.param(tag, VERSION, "the tag 99.0.0 exists", id="a tag"),
        pytest.param(delete_fragments, VERSION, "changelogs/fragments is empty", id="no fragments"),
        pytest.param(add_a_module_of_another_version, VERSION, "have version_added: 98.0.0", id="a module's version"),
        pytest.param(None, "0.0.1", "the lowest version is", id="an older version"),
        pytest.param(None, "0.1", "is not a version", id="two numbers"),
        pytest.param(None, "v1.0.0", "is not a version", id="a prefix"),
        pytest.param(None, "1.0.01", "is not a version", id="a leading zero"),
        pytest.param(None, "1.0.0\n", "is not a version", id="a line break"),
        pytest.param(None, "", "is not a version", id="no version"),
    ],
)
def test_a_release_is_refused(repository, prepare, version, reason):
    if prepare:
        prepare(repository)
    with pytest.raises(Failed, match=reason):
        release.check(repository, version)


def test_all_reasons_are_reported_together(repository):
    add_a_file(repository)
    leave_main(repository)
    with pytest.raises(Failed, match="the branch is feature, not main; the work tree has changes"):
        release.check(repository, VERSION)


def test_a_failure_leaves_the_branch_as_it_was(repository, tools):
    (repository / FRAGMENT).write_text("---\nno_such_section:\n  - An example.\n")
    commit_all(repository)
    before = git(repository, "rev-parse", "main")
    with pytest.raises(Failed, match="no_such_section"):
        release.prepare(repository, VERSION, repository.parent / "output", tools)
    assert git(repository, "rev-parse", "main") == before and not git(repository, "status", "--porcelain")
    assert len(git(repository, "worktree", "list").splitlines()) == 1


@pytest.mark.parametrize(
    "current, sections, lowest",
    [
        pytest.param((1, 2, 3), {"bugfixes", "security_fixes"}, (1, 2, 4), id="fixes"),
        pytest.param((1, 2, 3), {"bugfixes", "minor_changes"}, (1, 3, 0), id="a feature"),
        pytest.param((1, 2, 3), {"deprecated_features"}, (1, 3, 0), id="a deprecation"),
        pytest.param((1, 2, 3), {"minor_changes", "removed_features"}, (2, 0, 0), id="a removal"),
        pytest.param((0, 2, 3), {"breaking_changes"}, (0, 3, 0), id="a breaking change before 1.0.0"),
    ],
)
def test_the_lowest_version_follows_from_the_changes(current, sections, lowest):
    assert release.lowest_version(current, sections) == lowest


def test_the_command_checks_before_it_installs_anything(monkeypatch):
    monkeypatch.setattr(commands.environments, "tools_venv", lambda: pytest.fail("installed"))
    with pytest.raises(Failed, match="is not a version"):
        commands.prepare_release("1.0")


def test_the_command_prints_what_is_left(monkeypatch, capsys):
    built = commands.LOCAL / "artifact" / f"ranchhand-rancher-{VERSION}.tar.gz"
    monkeypatch.setattr(commands.release, "check", lambda *_arguments: None)
    monkeypatch.setattr(commands.release, "prepare", lambda *_arguments: built)
    assert commands.prepare_release(VERSION) == 0
    printed = capsys.readouterr().out
    assert all(command in printed for _purpose, command in release.remaining(built.relative_to(ROOT), VERSION))
