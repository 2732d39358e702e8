# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: rotation_exports
short_description: Rotations after which an external store must get the key
version_added: 1.0.0
description:
  - Returns the rotations in phase V(grace), and those that were rolled back. Each run of the role
    P(ranchhand.rancher.rotate#role) exports all of them, so that an export that failed is repeated.
author:
  - ranchhand contributors (@ranchhand)
positional: _input
options:
  _input:
    description: Rotations as M(ranchhand.rancher.cloud_credential_rotation) returns them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Store the keys
  ansible.builtin.include_tasks: export.yml
  loop: "{{ result.rotations | ranchhand.rancher.rotation_exports }}"
"""

RETURN = r"""
_value:
  description: The rotations.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

rotations_to_export = deferred("_rotation_plan", "rotations_to_export")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"rotation_exports": plain_filter(rotations_to_export)}
