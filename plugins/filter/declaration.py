# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: declaration
short_description: Write listed cloud credentials as variables that declare them
version_added: 0.1.0
description:
  - Makes the text of a file with the variables C(cloud_credentials_list) and C(cloud_credentials_node_templates) of the role
    P(ranchhand.rancher.cloud_credentials#role), which declares what is there already.
  - In the place of each secret is a lookup of C(vault_cloud_credentials) or C(vault_node_templates). While there are no such variables,
    applying the file changes nothing.
  - What cannot be declared is named in comments.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, node_templates
options:
  _input:
    description:
      - What M(ranchhand.rancher.cloud_credential_info) returns as RV(ranchhand.rancher.cloud_credential_info#module:credentials), without filters.
      - With O(ranchhand.rancher.cloud_credential_info#module:problems=true), credentials of drivers that are not active any more can be declared too.
    type: list
    elements: dict
    required: true
  node_templates:
    description: What M(ranchhand.rancher.node_template_info) returns as RV(ranchhand.rancher.node_template_info#module:node_templates).
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Write down what there is
  ansible.builtin.copy:
    dest: cloud_credentials.yml
    content: "{{ listed.credentials | ranchhand.rancher.declaration }}"
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The text, in YAML.
  type: str
"""

from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import to_builtin
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._declaration import declaration


def _declaration(credentials, node_templates=()):
    return declaration(to_builtin(credentials), to_builtin(node_templates))


class FilterModule:
    def filters(self):
        return {"declaration": _declaration}
