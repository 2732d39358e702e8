# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  wait:
    description:
      - With O(state=absent), wait until nothing refers to the object any more instead of refusing at once, and until its finalizers are done.
    type: bool
    default: false
  wait_timeout:
    description: How many seconds to wait.
    type: int
    default: 120
  wait_sleep:
    description: How many seconds to pass between two looks.
    type: int
    default: 5
"""
