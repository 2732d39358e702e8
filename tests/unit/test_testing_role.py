# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role testing contains, and what it refuses to delete."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._declare import placeholder_secrets

ROLE = Path(__file__).parents[2] / "roles" / "testing"


@pytest.mark.parametrize("rancher", ["2.10.0", "2.15.0"])
def test_the_objects_are_those_of_the_tests(rancher):
    testing_role = pytest.importorskip("support.testing_role")
    message = "run `python -m support.testing_role` in tests"
    assert (ROLE / "files" / f"rancher-{rancher}.json").read_text() == testing_role.render(rancher), message


def test_a_folder_with_other_files_is_kept(tmp_path):
    (tmp_path / "mine").write_text("kept")
    for arguments in (["stop", tmp_path], ["start", tmp_path, tmp_path, "2.15.0"]):
        done = subprocess.run(
            [sys.executable, ROLE / "files" / "api_server.py", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "contains other files" in done.stderr and "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == ["mine"]


def test_only_empty_secrets_are_replaced():
    items = [{"name": "a", "secrets": {"key": "", "other": "value"}}, {"name": "b"}, {"secrets": None}, "invalid"]
    filled = [{"name": "a", "secrets": {"key": "throw-away", "other": "value"}}, *items[1:]]
    assert placeholder_secrets(items) == filled
