# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: declaration
short_description: Convert listed cloud credentials to variables that declare them
version_added: 0.1.0
description:
  - Returns the text of a file with the variables C(cloud_credentials_list) and C(cloud_credentials_node_templates) of
    the role P(ranchhand.rancher.cloud_credentials#role), which declare the listed objects.
  - Each secret is a lookup in C(vault_cloud_credentials) or C(vault_node_templates). As long as these variables are not
    defined, applying the file changes nothing.
  - Objects that cannot be declared are listed in comments.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, node_templates
options:
  _input:
    description:
      - RV(ranchhand.rancher.cloud_credential_info#module:credentials) of M(ranchhand.rancher.cloud_credential_info),
        listed without filters.
      - Credentials of inactive drivers can be declared only if they were listed with
        O(ranchhand.rancher.cloud_credential_info#module:problems=true).
    type: list
    elements: dict
    required: true
  node_templates:
    description: RV(ranchhand.rancher.node_template_info#module:node_templates) of
      M(ranchhand.rancher.node_template_info).
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Export the credentials
  ansible.builtin.copy:
    dest: cloud_credentials.yml
    content: "{{ listed.credentials | ranchhand.rancher.declaration }}"
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The text of the file, in YAML.
  type: str
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import to_builtin
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred

declaration = deferred("_declaration", "declaration")


def _declaration(credentials: t.Any, node_templates: t.Any = ()) -> str:
    return declaration(to_builtin(credentials), to_builtin(node_templates))


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., str]]:
        return {"declaration": _declaration}
