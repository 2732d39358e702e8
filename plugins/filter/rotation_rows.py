# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: rotation_rows
short_description: Rows of a table of rotations
version_added: 1.0.0
description:
  - Returns a row for each rotation, in plain words, for the filter P(ranchhand.rancher.table#filter). Messages of the
    module name the playbook in place of a O(ranchhand.rancher.cloud_credential_rotation#module:state).
author:
  - ranchhand contributors (@ranchhand)
positional: _input, table
options:
  _input:
    description:
      - Rotations as M(ranchhand.rancher.cloud_credential_rotation) or
        M(ranchhand.rancher.cloud_credential_rotation_info) returns them.
    type: list
    elements: dict
    required: true
  table:
    description:
      - V(status) shows the state of each rotation, V(failures) the code and the message of rotations that failed, the
        others what a run does or has done.
    type: str
    choices: [plan, rotate, retire, rollback, abort, adopt, forget, failures, status]
    required: true
  check_mode:
    description: With V(retire), whether the steps were only predicted.
    type: bool
    default: false
  credentials:
    description: With V(plan), RV(ranchhand.rancher.cloud_credential_info#module:credentials) with references.
    type: list
    elements: dict
    default: []
  pending_units:
    description:
      - With V(rotate), the units that are left for another run, each named by the first id of the C(members) of its
        rotations.
    type: list
    elements: str
    default: []
  skipped_units:
    description: With V(rotate), the units that were found and cannot be rotated.
    type: list
    elements: str
    default: []
  host:
    description: Name of the host for the first column, which is left out by default.
    type: str
"""

EXAMPLES = r"""
- name: Show the state of the rotations
  ansible.builtin.debug:
    msg: "{{ found.rotations | ranchhand.rancher.rotation_rows('status') | ranchhand.rancher.table }}"
"""

RETURN = r"""
_value:
  description: The rows. Their keys are the columns in order.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

rotation_rows = deferred("_rotation_tables", "rotation_rows")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"rotation_rows": plain_filter(rotation_rows)}
