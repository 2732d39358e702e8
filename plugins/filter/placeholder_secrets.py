# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: placeholder_secrets
short_description: Declarations with a placeholder in place of each empty secret
version_added: 1.0.0
description:
  - Returns the items with the value V(throw-away) for each empty field in their C(secrets). A test of declarations then
    needs no vault.
author:
  - ranchhand contributors (@ranchhand)
options:
  _input:
    description: Items of C(cloud_credentials_list) or C(cloud_credentials_node_templates).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Test a declaration without its secrets
  ranchhand.rancher.cloud_credential:
    credentials: "{{ cloud_credentials_list | ranchhand.rancher.placeholder_secrets }}"
"""

RETURN = r"""
_value:
  description: The items.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

placeholder_secrets = deferred("_declare", "placeholder_secrets")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"placeholder_secrets": plain_filter(placeholder_secrets)}
