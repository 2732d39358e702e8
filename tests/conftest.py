# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads the fixtures that several folders share. They import what they need when they are used."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("support")

pytest_plugins = ("support.fixtures_clusters", "support.fixtures_providers", "support.fixtures_rotations")
