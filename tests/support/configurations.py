# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which tests change from one configuration to another."""

from __future__ import annotations

import itertools
import os


def changes(configurations):
    """Return names in an order in which each configuration is left once and entered once.

    In `make soak`, the order contains all ordered pairs.
    """
    order = list(configurations)
    if "RANCHHAND_ALL_PAIRS" in os.environ:
        order = itertools.chain(*itertools.combinations(configurations, 2))
    return [*order, next(iter(configurations))]
