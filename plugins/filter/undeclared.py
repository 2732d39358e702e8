# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: undeclared
short_description: Objects within a scope that are not declared
version_added: 1.0.0
description:
  - Returns the objects that a scope covers and that are not among the declared ones. Objects are compared by id.
  - Objects that cannot be read (problem code C(unreadable)) are left out.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, declared, scope
options:
  _input:
    description:
      - Objects as the modules M(ranchhand.rancher.cloud_credential_info) and M(ranchhand.rancher.node_template_info)
        return them.
    type: list
    elements: dict
    required: true
  declared:
    description:
      - Objects as the modules M(ranchhand.rancher.cloud_credential) and M(ranchhand.rancher.node_template) return
        them.
    type: list
    elements: dict
    required: true
  scope:
    description: Mapping with C(name), which matches exactly, or C(name_pattern), a shell pattern, or both.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show what is not declared
  ansible.builtin.debug:
    msg: "{{ listed.credentials | ranchhand.rancher.undeclared(declared.credentials, {'name_pattern': 'team-a *'}) }}"
"""

RETURN = r"""
_value:
  description: The objects that are not declared.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

undeclared = deferred("_declare", "undeclared")


def _undeclared(found: t.Any, declared: t.Any, scope: t.Any = None) -> t.Any:
    return undeclared(found, declared, scope or {})


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"undeclared": plain_filter(_undeclared)}
