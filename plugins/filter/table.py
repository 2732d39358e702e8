# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: table
short_description: Lines of a table from a list of mappings
version_added: 1.0.0
description:
  - Returns a header line and one line for each mapping, with aligned columns.
  - Line breaks and other control characters in values are replaced, so a name cannot imitate a line of its own.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, columns
options:
  _input:
    description: The rows.
    type: list
    elements: dict
    required: true
  columns:
    description: Keys of the rows, in the order of the columns. By default the keys of the first row.
    type: list
    elements: str
  empty:
    description: The only line if there are no rows.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show the cloud credentials
  ansible.builtin.debug:
    msg: "{{ listed.credentials | ranchhand.rancher.table(['name', 'driver', 'owner_name']) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

table = deferred("_text_output", "table")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"table": plain_filter(table)}
