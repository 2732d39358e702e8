# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: declaration_steps
short_description: Items of the module calls of the role cloud_credentials
version_added: 1.0.0
description:
  - Splits the declared cloud credentials and node templates into the calls of the modules, so that credentials are
    created before the node templates that use them, and deleted after them.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, node_templates, state, first_result, check_mode
options:
  _input:
    description: Cloud credentials, as in O(ranchhand.rancher.cloud_credential#module:credentials).
    type: list
    elements: dict
    required: true
  node_templates:
    description: Node templates, as in O(ranchhand.rancher.node_template#module:node_templates).
    type: list
    elements: dict
    required: true
  state:
    description: State of items that have none.
    type: str
    choices: [present, absent]
    default: present
  first_result:
    description:
      - Result of the first call. In check mode it names the credentials that node templates cannot refer to yet.
    type: dict
  check_mode:
    description:
      - Whether the first call wrote nothing. Node templates then refer to credentials that it would rename or hand over
        by their ids.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Create and update the cloud credentials first
  ranchhand.rancher.cloud_credential:
    credentials: "{{ (credentials | ranchhand.rancher.declaration_steps(node_templates)).first }}"
"""

RETURN = r"""
_value:
  description:
    - A mapping with the lists C(first) (credentials of the first call), C(node_templates), C(absent) (credentials of
      the last call), and C(waiting) with the indices of node templates whose credential does not exist yet.
  type: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred

declaration_steps = deferred("_declare", "declaration_steps")


def _declaration_steps(
    credentials: t.Any, node_templates: t.Any, state: str = "present", first_result: t.Any = None,
    check_mode: bool = False,
) -> t.Any:
    # Values are passed on as they are: they may be encrypted, and each is a template that has been evaluated already.
    return declaration_steps(credentials, node_templates, state, first_result, check_mode)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"declaration_steps": _declaration_steps}
