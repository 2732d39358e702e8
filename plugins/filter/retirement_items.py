# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: retirement_items
short_description: Items for the retirement of old keys
version_added: 1.0.0
description:
  - Returns an item for each rotation that is not finished, and for each credential that contains a retired key since
    Rancher was restored.
  - Items may contain secrets, so use the result as an argument only and do not store it as a fact.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, issuers
options:
  _input:
    description: RV(ranchhand.rancher.cloud_credential_rotation_info#module:rotations).
    type: list
    elements: dict
    required: true
  issuers:
    description: Options of M(ranchhand.rancher.cloud_credential_rotation) by the name of an issuer.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Retire old keys
  ranchhand.rancher.cloud_credential_rotation:
    state: retired
    credentials: "{{ found.rotations | ranchhand.rancher.retirement_items({'aws': {'drain': '30s'}}) }}"
"""

RETURN = r"""
_value:
  description: The items.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred

items_to_retire = deferred("_rotation_plan", "items_to_retire")


def _retirement_items(rotations: t.Any, issuers: t.Any = None) -> t.Any:
    return items_to_retire(rotations, issuers or {})


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"retirement_items": _retirement_items}
