# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The diagrams in docs/diagrams are drawn from their sources and show what the code does."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.decisions import DELETE, RETIRE, TABLE
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import PHASES

from support.diagrams import DIAGRAMS, digest

ROOT = DIAGRAMS.parents[1]


def source(name):
    return (DIAGRAMS / f"{name}.dot").read_text()


def edges(text):
    return set(re.findall(r"^ *(\w+) -> (\w+)", text, re.MULTILINE))


@pytest.mark.parametrize("path", sorted(DIAGRAMS.glob("*.dot")), ids=lambda path: path.stem)
def test_a_diagram_is_drawn_from_its_source(path):
    assert digest(path) in path.with_suffix(".svg").read_text()


def test_the_phases_are_those_of_the_table_of_decisions():
    """Without adoption, which may follow each phase."""
    decisions = {
        (phase, decision) for row in TABLE for phase in row.phases
        for decision in (row.rotated, row.retired, row.rolled_back, row.aborted)
    }
    # decide() chooses this if the issuer cannot disable keys.
    decisions |= {(phase, DELETE) for phase, decision in decisions if decision is RETIRE}
    expected = {pair for phase, decision in decisions for pair in pairwise((phase, *decision.phases))}
    expected = {(before, after) for before, after in expected if before != after}
    assert edges(source("rotation")) == expected and set(PHASES) == {phase for pair in expected for phase in pair}


def test_the_architecture_has_all_packages():
    packages = {path.parent.name for path in (ROOT / "plugins" / "module_utils").glob("_*/__init__.py")}
    assert set(re.findall(r"\b_\w+", source("architecture"))) == packages
