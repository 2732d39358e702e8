# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clouds of tests/integration."""

from __future__ import annotations

from integration.conftest import _aws, aws, harvester, keystone  # noqa: F401  # pylint: disable=unused-import
