# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: upgrade_manifests
short_description: Items that delete templates before the upgrade to Rancher 2.12
version_added: 1.0.0
description:
  - Items that delete templates before the upgrade to Rancher 2.12.
author:
  - ranchhand contributors (@ranchhand)
positional: _input
options:
  _input:
    description: Objects of RV(ranchhand.rancher.upgrade_info#module:blockers).
    type: list
    elements: dict
    required: true
  node_templates:
    description: >-
      Return the node templates of Rancher's own namespace, for M(ranchhand.rancher.node_template). Otherwise all other
      objects, for M(ranchhand.rancher.manifest).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ upgrade.blockers | ranchhand.rancher.upgrade_manifests }}"
"""

RETURN = r"""
_value:
  description: The items.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

upgrade_manifests = deferred("_upgrade_rows", "upgrade_manifests")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"upgrade_manifests": plain_filter(upgrade_manifests)}
