# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""README.md as certification requires it, links between documents, and the versions that documents name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from harness.artifact import files
from harness.environments import NEWEST, OLDEST

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
REPOSITORY = "https://github.com/ranchhand/ranchhand.rancher/"
DOCUMENTS = [name for name in files(ROOT) if name.endswith(".md") and not name.startswith("CHANGELOG")]
# In the order of the template for certified collections.
SECTIONS = (
    "Requirements", "Installation", "Use cases", "Testing", "Contributing", "Support", "Release notes", "License",
)


def prose(text):
    """Return the text without code."""
    return re.sub(r"^ *```.*?^ *```$|`[^`\n]+`", "", text, flags=re.M | re.S)


def links(text):
    """Return the targets of all links and images: inline, by reference, and in HTML."""
    text = prose(text)
    inline = re.findall(r"\]\(\s*<?([^)\s>]+)", text)
    return inline + re.findall(r"^\[[^\]]+\]:\s*(\S+)", text, re.M) + re.findall(r"(?:href|src)=[\"']([^\"']+)", text)


def section(name):
    return README.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def anchors(path):
    """Return the anchors that GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^ *```.*?^ *```$", "", path.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing(path, anchor):
    return not path.exists() or bool(anchor and path.suffix == ".md" and anchor not in anchors(path))


def test_links_of_the_readme_are_absolute():
    """Galaxy and Automation Hub show the file elsewhere."""
    assert links(README) and not [link for link in links(README) if not link.startswith("https://")]


def test_the_readme_has_the_required_sections():
    found = re.findall("^## (.+)$", README, re.M)
    assert [name for name in found if name in SECTIONS] == list(SECTIONS)


@pytest.mark.parametrize(
    "name, words",
    [
        pytest.param("Requirements", ["ansible-core", "Python", "`kubernetes`", "Rancher"], id="requirements"),
        pytest.param(
            "Installation",
            [
                "https://galaxy.ansible.com", "Automation Hub", "requirements.yml", "--upgrade ranchhand.rancher",
                "ansible-galaxy collection install ranchhand.rancher", "ranchhand.rancher:==",
            ],
            id="installation",
        ),
        pytest.param("Testing", ["ansible-core", "Python"], id="testing"),
        pytest.param("Contributing", ["CONTRIBUTING.md"], id="contributing"),
        pytest.param(
            "Support",
            [
                "https://forum.ansible.com", f"{REPOSITORY}issues", "commercial support", "SECURITY.md",
                "CODE_OF_CONDUCT.md",
            ],
            id="support",
        ),
        pytest.param("Release notes", ["CHANGELOG.md", "https://semver.org", "deprecated"], id="release notes"),
        pytest.param("License", ["GNU General Public License v3.0 or later", "/LICENSE)"], id="license"),
    ],
)
def test_a_section_has_what_is_required(name, words):
    text = " ".join(section(name).split()).lower()
    assert not [word for word in words if word.lower() not in text]


def test_the_readme_is_short():
    assert len(README.splitlines()) < 150


def is_left_out(path):
    """Whether the artifact does not contain a file of the repository."""
    left_out = yaml.safe_load((ROOT / "galaxy.yml").read_text())["build_ignore"]
    return any(path.resolve().is_relative_to(ROOT / entry) for entry in left_out)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_between_documents_have_a_target(name):
    wrong = []
    for link in links((ROOT / name).read_text()):
        target, _hash, anchor = re.sub(f"^{REPOSITORY}(blob|tree)/main/", "/", link).partition("#")
        if not re.match(r"\w+:", target):
            path = ROOT / target.lstrip("/") if target.startswith("/") else (ROOT / name).parent / target
            path = path if target else ROOT / name
            leaves = is_left_out(path) and not link.startswith((REPOSITORY, "/"))
            wrong += [link] if missing(path, anchor) or leaves else []
    assert not wrong


@pytest.mark.parametrize("name", ["README.md", "docs/versions.md"])
def test_the_versions_are_those_of_the_tests(name):
    text = (ROOT / name).read_text()
    oldest, newest = OLDEST.core.rpartition(".")[0], NEWEST.core.rpartition(".")[0]
    client = f"{OLDEST.kubernetes} to {NEWEST.kubernetes.partition('.')[0]}"
    assert re.search(rf"ansible-core(?: \|)? {oldest} to {newest}\b", text) and client in text
    assert yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["requires_ansible"] == f">={oldest}.0"


def test_the_readme_names_the_tested_versions():
    text = " ".join(section("Testing").split())
    for tested in (OLDEST, NEWEST):
        assert f"Python {tested.python}, ansible-core {tested.core} and kubernetes {tested.kubernetes}" in text
