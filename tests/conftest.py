# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads the fixtures that several folders share, and reports the seed of Hypothesis after a failure.

The fixtures import what they need when they are used, so that unit tests need only pytest and hypothesis.
"""

from __future__ import annotations

import random

import pytest

pytest.register_assert_rewrite("support")

pytest_plugins = (
    "support.fixtures_clusters",
    "support.fixtures_providers",
    "support.fixtures_repoint",
    "support.fixtures_rotations",
)


def pytest_configure(config):
    # Chosen here and not by Hypothesis, so that all workers use the seed that the summary shows.
    if getattr(config.option, "hypothesis_seed", 0) is None:
        config.option.hypothesis_seed = random.getrandbits(64)


def pytest_terminal_summary(terminalreporter, config):
    seed = getattr(config.option, "hypothesis_seed", None)
    if seed is not None and terminalreporter.stats.get("failed"):
        terminalreporter.write_line(f"Hypothesis: repeat this run with --hypothesis-seed={seed}")
