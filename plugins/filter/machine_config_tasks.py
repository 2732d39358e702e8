# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: machine_config_tasks
short_description: Tasks that create machine configs like node templates
version_added: 1.0.0
description:
  - Tasks that create machine configs like node templates.
author:
  - ranchhand contributors (@ranchhand)
positional: _input
options:
  _input:
    description: RV(ranchhand.rancher.node_template_info#module:node_templates).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ listed.node_templates | ranchhand.rancher.machine_config_tasks }}"
"""

RETURN = r"""
_value:
  description: The tasks as YAML, with comments on fields that need another place.
  type: str
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

machine_config_tasks = deferred("_upgrade_rows", "machine_config_tasks")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"machine_config_tasks": plain_filter(machine_config_tasks)}
