# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: removal_plan
short_description: What a deletion deletes, and what it keeps
version_added: 1.0.0
description:
  - Reads the results of C(state=absent) in check mode.
  - A cloud credential that is used only by node templates which are deleted too, or which stop using it, is deleted.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, templates_result, released, host
options:
  _input:
    description: Result of M(ranchhand.rancher.cloud_credential) with C(state=absent) in check mode.
    type: dict
    required: true
  templates_result:
    description: Result of M(ranchhand.rancher.node_template) with C(state=absent) in check mode.
    type: dict
  released:
    description: Names of node templates that stop using a credential.
    type: list
    elements: str
    default: []
  host:
    description: Name of the host for the rows.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show what would be deleted
  ansible.builtin.debug:
    msg: "{{ (result | ranchhand.rancher.removal_plan(host=inventory_hostname)).rows | ranchhand.rancher.table }}"
"""

RETURN = r"""
_value:
  description:
    - A mapping with the lists C(credentials) and C(node_templates) (items with the C(id) of what will be deleted), and
      C(rows) for P(ranchhand.rancher.table#filter).
  type: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

removal_plan = deferred("_declare", "removal_plan")


def _removal_plan(result: t.Any, templates_result: t.Any = None, released: t.Any = (), host: str = "") -> t.Any:
    return removal_plan({"credentials": result, "node_templates": templates_result or {}}, released, host)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"removal_plan": plain_filter(_removal_plan)}
