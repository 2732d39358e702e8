# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: terraform_declaration
short_description: Convert a state or plan of Terraform to variables that declare its cloud credentials
version_added: 1.0.0
description:
  - Converts the resources C(rancher2_cloud_credential), C(rancher2_node_template) and C(rancher2_machine_config_v2) of
    Terraform's provider rancher2 to declarations of this collection.
  - The result contains no secret. Each secret of a credential is a lookup in C(vault_cloud_credentials), as with
    P(ranchhand.rancher.declaration#filter). As long as this variable is not defined, applying the declarations keeps
    the stored secrets.
  - Each item contains the id of its object, so applying it creates no second object.
author:
  - ranchhand contributors (@ranchhand)
positional: _input
options:
  _input:
    description:
      - Output of C(terraform show -json) for a state or a plan, as text or parsed.
      - Objects that a plan only creates are not declared.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Show what cannot be declared
  ansible.builtin.debug:
    msg: "{{ (lookup('ansible.builtin.file', '~/state.json') | ranchhand.rancher.terraform_declaration).unmapped }}"
"""

RETURN = r"""
_value:
  description: The declarations, and how to remove their objects from the state.
  type: dict
  contains:
    declaration:
      description: Text of a file with the variables C(cloud_credentials_list) and C(cloud_credentials_node_templates)
        of the role P(ranchhand.rancher.cloud_credentials#role). Empty if there is nothing to declare.
      type: str
    machine_configs:
      description: Text of a file with tasks that use M(ranchhand.rancher.machine_config). Empty if there are none.
      type: str
    commands:
      description: Shell commands that remove the declared resources from the state without deleting the objects.
      type: list
      elements: str
    removed:
      description: Text of a Terraform file with C(removed) blocks that do the same. It has no block for a resource
        of which only some instances are declared.
      type: str
    references:
      description: Other resources of Terraform that depend on a declared one.
      type: list
      elements: dict
      contains:
        address: {description: Address of the other resource., type: str}
        refers_to: {description: Address of the declared resource., type: str}
        id: {description: Id of its object in Rancher., type: str}
    unmapped:
      description: What is not declared.
      type: list
      elements: dict
      contains:
        address: {description: Address of the resource., type: str}
        field: {description: The argument. Empty if the whole resource is not declared., type: str}
        reason: {description: Why., type: str}
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

terraform_declaration = deferred("_terraform", "terraform_declaration")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"terraform_declaration": plain_filter(terraform_declaration)}
