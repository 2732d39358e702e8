# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution environment of docs/examples: its build files and the requirements of the collection."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from harness import environments
from support.machine import ROOT

DEFINITION = ROOT / "docs" / "examples" / "execution-environment" / "execution-environment.yml"
DEFINED = yaml.safe_load(DEFINITION.read_text())


@pytest.fixture(scope="module")
def builder():
    program = environments.builder_venv() / "bin" / "ansible-builder"

    def run(*arguments):
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


def test_the_build_files_are_created(builder, tmp_path):
    builder(
        "create",
        "--file",
        str(DEFINITION),
        "--context",
        str(tmp_path / "context"),
        "--output-filename",
        "Containerfile",
    )
    containerfile = (tmp_path / "context" / "Containerfile").read_text()
    assert re.search(r'ARG EE_BASE_IMAGE="fedora:43"', containerfile) and "git-core" in containerfile
    assert re.search(r"^USER 1000$", containerfile, re.MULTILINE), "the user of the pods"
    packages = (tmp_path / "context" / "_build" / "requirements.txt").read_text().split()
    assert packages and set(packages) <= set(environments.NEWEST.requirements)
    core, runner = (DEFINED["dependencies"][name]["package_pip"] for name in ("ansible_core", "ansible_runner"))
    assert core in environments.NEWEST.requirements and re.fullmatch(r"ansible-runner==[\d.]+", runner)
    (wanted,) = yaml.safe_load((tmp_path / "context" / "_build" / "requirements.yml").read_text())["collections"]
    assert wanted["name"] == yaml.safe_load((ROOT / "galaxy.yml").read_text())["repository"]


def test_the_collection_lists_its_requirements(builder, tmp_path):
    collection = tmp_path / "ansible_collections" / "ranchhand" / "rancher"
    collection.parent.mkdir(parents=True)
    collection.symlink_to(ROOT)
    needed = builder("introspect", str(tmp_path), "--write-pip", str(tmp_path / "pip.txt"))
    lines = Path(tmp_path / "pip.txt").read_text()
    assert all(
        re.search(rf"^{package}", lines, re.MULTILINE) for package in ("kubernetes>=24.2.0", "boto3", "keystoneauth1")
    ), needed
