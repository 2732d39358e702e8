# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: declaration_result
short_description: Result of all module calls of the role cloud_credentials
version_added: 1.0.0
description:
  - Merges the results of the calls that P(ranchhand.rancher.declaration_steps#filter) describes, the same in check
    mode and in a real run.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, templates_result, absent_result
options:
  _input:
    description: Result of the first call.
    type: dict
    required: true
  templates_result:
    description: Result of the call for node templates, if there was one.
    type: dict
  absent_result:
    description: Result of the last call, if there was one.
    type: dict
  waiting:
    description: Indices of node templates whose credential does not exist yet.
    type: list
    elements: int
    default: []
  check_mode:
    description: Whether the calls were made in check mode.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Keep the result
  ansible.builtin.set_fact:
    declared: "{{ first_call | ranchhand.rancher.declaration_result(templates_call, absent_call) }}"
"""

RETURN = r"""
_value:
  description:
    - A mapping with C(changed), C(credentials), C(node_templates), C(released) (names of node templates that stop
      using a credential), and C(absent_is_predicted) (whether the last call failed only because check mode deletes no
      node templates).
  type: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

declaration_result = deferred("_declare", "declaration_result")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"declaration_result": plain_filter(declaration_result)}
