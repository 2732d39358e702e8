# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deletion protocol in all interleavings; tests/faults/test_races.py tests it against a real API server."""

from __future__ import annotations

import pytest

from .delete_model import DANGLING, SAFE, UNSAFE, explore


@pytest.mark.parametrize("what", SAFE)
def test_variants_that_protect(what):
    states, violations = explore(SAFE[what])
    assert states > 20 and not violations, violations


@pytest.mark.parametrize("what", UNSAFE)
def test_variants_that_do_not_protect(what):
    assert DANGLING in explore(UNSAFE[what])[1]
