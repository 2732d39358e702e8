# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: credentials whose keys are rotated.

A pytest plugin. Imports are inside the fixtures, so that unit tests need nothing but pytest.
"""

from __future__ import annotations

import pytest


@pytest.fixture
def rotating(cluster, aws):
    """A credential with an AWS key of its own."""
    from support.rotations import RotatingCredential

    return RotatingCredential(cluster, aws)


@pytest.fixture
def leak(cluster, aws, tmp_path):
    """Credentials with keys of their own, of which some leak."""
    from support.rotations import LeakedKeyFleet

    return LeakedKeyFleet(cluster, aws, tmp_path)
