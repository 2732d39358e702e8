# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: rotation_details
short_description: Problems of rotations and what they wait for, as lines of text
version_added: 0.1.0
description:
  - Returns a paragraph for each rotation that has a problem or waits for something.
author:
  - ranchhand contributors (@ranchhand)
positional: _input
options:
  _input:
    description: RV(ranchhand.rancher.cloud_credential_rotation_info#module:rotations).
    type: list
    elements: dict
    required: true
  width:
    description: Number of characters after which a line is wrapped.
    type: int
    default: 88
"""

EXAMPLES = r"""
- name: Show what the rotations wait for
  ansible.builtin.debug:
    msg: "{{ found.rotations | ranchhand.rancher.rotation_details }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import plain_filter
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._rotation_tables import rotation_details


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"rotation_details": plain_filter(rotation_details)}
