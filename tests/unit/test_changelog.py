# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions of modules, plugins and roles: antsibull-changelog lists as new what has the version of the release."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RELEASES = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text())["releases"]
CURRENT = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]


def released():
    """Return the version of each (kind, name) in the changelog."""
    found = {}
    for version, release in RELEASES.items():
        kinds = {"module": release.get("modules", []), **release.get("plugins", {}), **release.get("objects", {})}
        found.update({(kind, item["name"]): version for kind, items in kinds.items() for item in items})
    return found


def documented():
    """Return the version_added of each (kind, name) in the collection."""
    found = {}
    for kind, folder in (("module", "modules"), ("filter",) * 2, ("lookup",) * 2, ("inventory",) * 2):
        for path in (ROOT / "plugins" / folder).glob("*.py"):
            documentation = re.search(r'DOCUMENTATION = r?"""(.*?)"""', path.read_text(), re.S).group(1)
            found[kind, path.stem] = yaml.safe_load(documentation)["version_added"]
    for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        specification = yaml.safe_load(path.read_text())["argument_specs"]["main"]
        found["role", path.parents[1].name] = specification["version_added"]
    return found


def numbers(version):
    return [int(part) for part in version.split(".")]


DOCUMENTED, RELEASED = documented(), released()


@pytest.mark.parametrize("kind, name", sorted(DOCUMENTED))
def test_the_version_is_that_of_the_changelog_or_the_next(kind, name):
    added, version = DOCUMENTED[kind, name], RELEASED.get((kind, name))
    if version:
        assert added == version
    else:
        assert numbers(added) > numbers(CURRENT), "it is in no release yet, and the next one must list it as new"


def test_everything_new_has_the_same_version():
    assert len({added for item, added in DOCUMENTED.items() if item not in RELEASED}) <= 1
