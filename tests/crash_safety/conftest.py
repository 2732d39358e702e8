# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The representative part of what `make soak` does in full."""

from __future__ import annotations

import pytest

from .bench import Bench, violations


@pytest.fixture(scope="session")
def bench():
    with Bench() as bench:
        yield bench


@pytest.fixture
def play(bench):
    """Play cases of one kind, and see that there was no violation."""
    def cases(action, them, threads=4, on=bench):
        found = violations(on, action, them, threads)
        assert not found, "\n".join(found)
    return cases
