# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: rotation_items
short_description: Items for a call of cloud_credential_rotation
version_added: 1.0.0
description:
  - Returns the items of some units, with the given options in place of their own.
  - Items may contain secrets, so use the result as an argument only and do not store it as a fact.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, rotations, units
options:
  _input:
    description:
      - Items as in O(ranchhand.rancher.cloud_credential_rotation#module:credentials). If empty, each of O(rotations) is
        an item.
    type: list
    elements: dict
    required: true
  rotations:
    description:
      - Rotations that the module returned for these items, in the same order. Only needed with O(units) or without
        O(_input).
    type: list
    elements: dict
    default: []
  units:
    description: Units to keep, each named by the first id of the C(members) of its rotations. By default all are kept.
    type: list
    elements: str
  members:
    description: Result of P(ranchhand.rancher.rotation_members#filter), whose external stores are added to the items.
    type: list
    elements: dict
    default: []
notes:
  - All other keyword arguments are options that are set in each item.
"""

EXAMPLES = r"""
- name: Roll back the first ring
  ranchhand.rancher.cloud_credential_rotation:
    credentials: "{{ credentials | ranchhand.rancher.rotation_items(plan.rotations, ring, state='rolled_back') }}"
"""

RETURN = r"""
_value:
  description: The items.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred

items_for_call = deferred("_rotation_plan", "items_for_call")


def _rotation_items(
    credentials: t.Any, rotations: t.Any = (), units: t.Any = None, members: t.Any = (), **options: t.Any
) -> t.Any:
    return items_for_call(credentials, rotations, units, options, members)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"rotation_items": _rotation_items}
