# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong before there is a control plane."""

from __future__ import annotations


class Unavailable(Exception):
    """The control plane cannot be had. The text is one sentence for the person who asked."""
