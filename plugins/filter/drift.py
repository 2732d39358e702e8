# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: drift
short_description: Objects that are not as declared
version_added: 1.0.0
description:
  - Returns the objects of a result that are not unchanged, and the undeclared ones, each with its C(kind).
author:
  - ranchhand contributors (@ranchhand)
positional: _input, undeclared
options:
  _input:
    description: What P(ranchhand.rancher.declaration_result#filter) returns.
    type: dict
    required: true
  undeclared:
    description: Mapping with the lists C(credentials) and C(node_templates) of objects that are not declared.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Keep the differences
  ansible.builtin.set_fact:
    differences: "{{ declared | ranchhand.rancher.drift }}"
"""

RETURN = r"""
_value:
  description: The objects. Their C(action) is what the role would do, or C(undeclared).
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

drift = deferred("_declare", "drift")


def _drift(result: t.Any, undeclared: t.Any = None) -> t.Any:
    return drift(result, undeclared or {})


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"drift": plain_filter(_drift)}
