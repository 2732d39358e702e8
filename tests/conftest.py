# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control planes of tests/integration, for the other folders too."""

from __future__ import annotations

from integration.conftest import _rancher_210, cluster  # noqa: F401  # pylint: disable=unused-import
