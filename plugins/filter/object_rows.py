# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: object_rows
short_description: Rows of a table about changed or different objects
version_added: 1.0.0
description:
  - Returns for each object a row with host, kind, name, driver, and a last column that depends on the view.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, host, view
options:
  _input:
    description: Objects as the modules return them, each with its C(kind).
    type: list
    elements: dict
    required: true
  host:
    description: Name of the host for the rows.
    type: str
    default: ""
  view:
    description:
      - Whether the last column is what happened, what would happen, or how the object differs from its declaration.
    type: str
    choices: [result, check, drift]
    default: result
"""

EXAMPLES = r"""
- name: Show the differences
  ansible.builtin.debug:
    msg: "{{ differences | ranchhand.rancher.object_rows(inventory_hostname, 'drift') | ranchhand.rancher.table }}"
"""

RETURN = r"""
_value:
  description: The rows, for P(ranchhand.rancher.table#filter).
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

object_rows = deferred("_declare", "object_rows")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"object_rows": plain_filter(object_rows)}
