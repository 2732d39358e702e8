# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/what-it-writes.md names everything that the collection leaves in a cluster."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.ranchhand.rancher.plugins.module_utils._guard import policies
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher import annotations

PAGE = (Path(__file__).parents[2] / "docs" / "what-it-writes.md").read_text(encoding="utf-8")


def test_annotations_and_labels():
    keys = {
        value.removeprefix(annotations.PREFIX) for value in vars(annotations).values()
        if isinstance(value, str) and value.startswith(annotations.PREFIX) and value != annotations.PREFIX}
    table = PAGE.partition("## Annotations")[2].partition("## Uninstall")[0]
    documented = {
        key for row in table.splitlines() if row.startswith("| `")
        for key in re.findall(r"`([a-z-]+\.?)(?:RUN)?`", row.split("|")[1])}
    assert documented == keys


def test_objects_of_the_guard():
    assert all(f"`{name}`" in PAGE for name in (policies.DELETION_LIST, policies.IN_USE))
