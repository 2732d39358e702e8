# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: reference_tree
short_description: Lines of a tree of the objects that use cloud credentials
version_added: 1.0.0
description:
  - Returns a line for each cloud credential, and below it the objects that refer to it, grouped by kind.
author:
  - ranchhand contributors (@ranchhand)
positional: _input
options:
  _input:
    description: A result of M(ranchhand.rancher.cloud_credential_info) with C(references=true).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: List the cloud credentials with their references
  ranchhand.rancher.cloud_credential_info:
    references: true
  register: listed

- name: Show them
  ansible.builtin.debug:
    msg: "{{ listed | ranchhand.rancher.reference_tree }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

reference_tree = deferred("_text_output", "reference_tree")


def _reference_tree(result: t.Any) -> t.Any:
    return reference_tree(result["credentials"], result.get("references_incomplete") or ())


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"reference_tree": plain_filter(_reference_tree)}
