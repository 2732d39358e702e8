# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepares a release: version, changelog, commit and artifact.

Everything is written in temporary work trees. The branch gets the commit only if all steps succeed. Nothing is tagged,
signed, pushed or published.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from pathlib import Path

from . import artifact
from .artifact import git
from .process import Failed, capture

BRANCH = "main"
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_VERSION_OF_GALAXY_YML = re.compile(r"(?<=^version: ).*$", re.MULTILINE)
_VERSION_ADDED = re.compile(r"^ *version_added: (\d+\.\d+\.\d+)$", re.MULTILINE)
# Sections of changelog fragments, see changelogs/config.yaml.
_BREAKING = {"breaking_changes", "removed_features"}
_FEATURES = {"major_changes", "minor_changes", "deprecated_features"}


def prepare(root: Path, version: str, output: Path, environment: dict[str, str]) -> Path:
    """Commit a release that `check` allows, and return the path of its artifact in `output`.

    Args:
        environment: has antsibull-changelog and ansible-galaxy on its PATH.

    Raises:
        Failed: a step failed; the branch is unchanged.
    """
    with tempfile.TemporaryDirectory() as folder, _work_tree(root, folder, "release", "HEAD") as tree:
        galaxy_yml = tree / "galaxy.yml"
        galaxy_yml.write_text(_VERSION_OF_GALAXY_YML.sub(version, galaxy_yml.read_text()))
        capture(["antsibull-changelog", "lint"], environment, "Checking the changelog fragments", cwd=tree)
        command = ["antsibull-changelog", "release", "--version", version]
        capture(command, environment, "Writing the changelog", cwd=tree)
        git(tree, "add", "--all")
        git(tree, "commit", "--quiet", "--message", f"Release {version}")
        commit = git(tree, "rev-parse", "HEAD").strip()
        with _work_tree(root, folder, "rebuild", commit) as other:
            built, rebuilt = (
                artifact.build(item, item.parent / "artifact", "ansible-galaxy", environment) for item in (tree, other)
            )
            if built.read_bytes() != rebuilt.read_bytes():
                raise Failed(f"Two builds of {built.name} differ. Find out why with diffoscope before you release.")
        git(root, "merge", "--quiet", "--ff-only", commit)
        output.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(built, output))


def check(root: Path, version: str) -> None:
    """Raise Failed with all reasons that prevent a release of this version."""
    if not _VERSION.fullmatch(version):
        raise Failed(f'"{version}" is not a version such as 1.2.3. Run: make release VERSION=X.Y.Z')
    reasons = []
    branch = git(root, "rev-parse", "--abbrev-ref", "HEAD").strip()
    if branch != BRANCH:
        reasons.append(f"the branch is {branch}, not {BRANCH}")
    if git(root, "status", "--porcelain"):
        reasons.append("the work tree has changes that are not committed; see: git status")
    if git(root, "tag", "--list", version, f"v{version}"):
        reasons.append(f"the tag {version} exists")
    fragments = sorted((root / "changelogs" / "fragments").glob("*.y*ml"))
    if not fragments:
        reasons.append("changelogs/fragments is empty, so no change is described")
    current = _VERSION_OF_GALAXY_YML.search((root / "galaxy.yml").read_text()).group()
    # The changelog lists as new what has exactly this version.
    for added in sorted(_versions_added(root) - {version}, key=_numbers):
        if _numbers(added) > _numbers(current):
            reasons.append(f"new modules, plugins or roles have version_added: {added}")
    sections = {name for path in fragments for name in re.findall(r"^(\w+):", path.read_text(), re.MULTILINE)}
    lowest = lowest_version(_numbers(current), sections)
    if _numbers(version) < lowest:
        reasons.append(
            "after {}, and with these changelog fragments, the lowest version is {}.{}.{}".format(current, *lowest)
        )
    if reasons:
        raise Failed(f"{version} cannot be released: {'; '.join(reasons)}.")


def _versions_added(root: Path) -> set[str]:
    paths = [*(root / "plugins").rglob("*.py"), *(root / "roles").glob("*/meta/argument_specs.yml")]
    return {version for path in paths for version in _VERSION_ADDED.findall(path.read_text())}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def lowest_version(current: tuple[int, ...], sections: set[str]) -> tuple[int, int, int]:
    """Return the lowest version that semantic versioning allows for changes in these sections of the changelog."""
    major, minor, patch = current
    if major and sections & _BREAKING:
        return major + 1, 0, 0
    if sections & (_BREAKING | _FEATURES):
        return major, minor + 1, 0
    return major, minor, patch + 1


def remaining(built: Path, version: str) -> list[tuple[str, str]]:
    """Return what is left for a human: what each step does, and its command."""
    return [
        ("Test the commit", "make test"),
        ("Tag it", f"git tag --sign --message 'ranchhand.rancher {version}' {version}"),
        ("Sign the checksums in the artifact", sign_command(built)),
        ("Push the commit and the tag, and attach both files to the release", f"git push origin main {version}"),
        ("Publish the artifact", f"ansible-galaxy collection publish {built}"),
    ]


def sign_command(built: Path) -> str:
    """Return the command that writes the detached signature which ansible-galaxy verifies."""
    signature = f"{str(built).removesuffix('.tar.gz')}.asc"
    return f"tar -xzOf {built} MANIFEST.json | gpg --armor --detach-sign --output {signature}"


@contextlib.contextmanager
def _work_tree(root: Path, folder: str, name: str, commit: str):
    # The path that tools of Ansible require of a collection.
    tree = Path(folder) / name / "ansible_collections" / "ranchhand" / "rancher"
    git(root, "worktree", "add", "--quiet", "--detach", tree, commit)
    try:
        yield tree
    finally:
        git(root, "worktree", "remove", "--force", tree)
