# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  wait:
    description:
      - Whether to wait, with O(state=absent), until no object refers to this one and its finalizers have run.
      - Otherwise the deletion of an object that is in use fails at once.
    type: bool
    default: false
  wait_timeout:
    description: Duration to wait at most, such as V(90s) or V(10m).
    type: str
    default: 120s
  wait_sleep:
    description: Duration between two checks.
    type: str
    default: 5s
"""
