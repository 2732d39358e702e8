# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: rotation_rings
short_description: Split the credentials that are due for rotation into rings
version_added: 1.0.0
description:
  - Returns the rings in which the role P(ranchhand.rancher.rotate#role) rotates credentials.
  - Credentials that share a key are one unit, because they are rotated together. A unit is named by the first id of its
    C(members).
author:
  - ranchhand contributors (@ranchhand)
positional: _input, sizes
options:
  _input:
    description:
      - RV(ranchhand.rancher.cloud_credential_rotation#module:rotations) of a run in check mode. Units with steps and
        without a C(code) are due.
    type: list
    elements: dict
    required: true
  sizes:
    description:
      - Numbers or percentages, such as V(1) or V(10%). Each is the number of units that are rotated by the end
        of its ring.
    type: list
    elements: raw
    required: true
"""

EXAMPLES = r"""
- name: Rotate one credential, then a tenth of them, then the others
  ansible.builtin.include_tasks: ring.yml
  loop: "{{ plan.rotations | ranchhand.rancher.rotation_rings([1, '10%', '100%']) }}"
  loop_control:
    loop_var: ring
"""

RETURN = r"""
_value:
  description: The units of each ring. Rings without a unit are left out.
  type: list
  elements: list
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

split_into_rings = deferred("_rotation_plan", "split_into_rings")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"rotation_rings": plain_filter(split_into_rings)}
