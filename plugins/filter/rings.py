# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: rings
short_description: Split a list into rings
version_added: 1.0.0
description:
  - Returns the rings in which a role works through a list.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, sizes
options:
  _input:
    description: The list.
    type: list
    elements: str
    required: true
  sizes:
    description:
      - Numbers or percentages, such as V(1) or V(10%). Each is the number of elements that are in a ring by the end of
        this ring.
    type: list
    elements: raw
    required: true
"""

EXAMPLES = r"""
- name: Restart one cluster, then a tenth of them, then the others
  ansible.builtin.include_tasks: ring.yml
  loop: "{{ clusters | ranchhand.rancher.rings([1, '10%', '100%']) }}"
  loop_control:
    loop_var: ring
"""

RETURN = r"""
_value:
  description: The elements of each ring. Rings without an element are left out.
  type: list
  elements: list
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

split_list = deferred("_rotation_plan", "split_list")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"rings": plain_filter(split_list)}
