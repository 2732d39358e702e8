# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: rotation_details
short_description: What to do next for rotations, as lines of text
version_added: 1.0.0
description:
  - Returns a paragraph for each rotation that has a problem, waits for something or is due, and the commands that
    continue it. Of rotations that failed, only those that a command continues are shown.
  - A command contains the id of the credential and no other text from Rancher. If the host, an inventory or the
    namespace has a name that a shell, YAML or a pattern of hosts could read as something else, there is no command.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, width, host, inventories, namespace
options:
  _input:
    description:
      - RV(ranchhand.rancher.cloud_credential_rotation_info#module:rotations), or rotations that
        M(ranchhand.rancher.cloud_credential_rotation) returns with C(code) and C(msg).
    type: list
    elements: dict
    required: true
  width:
    description: Number of characters after which a line is wrapped. Commands are not wrapped.
    type: int
    default: 88
  host:
    description: Host of the Rancher, which the commands then select. By default they run on localhost.
    type: str
  inventories:
    description: Inventories of the host, for the commands.
    type: list
    elements: str
    default: []
  namespace:
    description: Namespace of the records, if it is not the default.
    type: str
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

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

rotation_details = deferred("_rotation_tables", "rotation_details")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"rotation_details": plain_filter(rotation_details)}
