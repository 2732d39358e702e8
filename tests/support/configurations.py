# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which tests change from one configuration to another."""

from __future__ import annotations

import itertools


def changes(configurations):
    """Return names in an order in which each ordered pair of configurations occurs."""
    return [*itertools.chain(*itertools.combinations(configurations, 2)), next(iter(configurations))]
