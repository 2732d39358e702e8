# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: upgrade_rows
short_description: Rows of a table that shows what blocks the upgrade to Rancher 2.12
version_added: 1.0.0
description:
  - Rows of a table that shows what blocks the upgrade to Rancher 2.12.
author:
  - ranchhand contributors (@ranchhand)
positional: _input
options:
  _input:
    description: Result of M(ranchhand.rancher.upgrade_info).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ upgrade | ranchhand.rancher.upgrade_rows | ranchhand.rancher.table }}"
"""

RETURN = r"""
_value:
  description: The rows, for P(ranchhand.rancher.table#filter).
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

upgrade_rows = deferred("_upgrade_rows", "upgrade_rows")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"upgrade_rows": plain_filter(upgrade_rows)}
