# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: repoint_rows
short_description: Rows of a table that shows what a repoint moves
version_added: 1.0.0
description:
  - Returns a row for each cluster, with what is moved, whether it restarts anything, and why it is refused.
author:
  - ranchhand contributors (@ranchhand)
positional: _input
options:
  _input:
    description: Result of M(ranchhand.rancher.cloud_credential_repoint).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the plan
  ansible.builtin.debug:
    msg: "{{ plan | ranchhand.rancher.repoint_rows | ranchhand.rancher.table }}"
"""

RETURN = r"""
_value:
  description: The rows, for P(ranchhand.rancher.table#filter).
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

repoint_rows = deferred("_repoint_rows", "repoint_rows")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"repoint_rows": plain_filter(repoint_rows)}
