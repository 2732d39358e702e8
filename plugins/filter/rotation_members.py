# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: rotation_members
short_description: Credentials of other Ranchers that have the keys that are rotated
version_added: 1.0.0
description:
  - Finds the credentials of other Ranchers by the names of the credentials that are rotated, and returns them as
    external stores of the type V(rancher).
  - Fails if a Rancher cannot be read, if a credential is missing there or ambiguous, or if a Rancher is missing that
    the record of a rotation contains.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, found
options:
  _input:
    description: Rotations as M(ranchhand.rancher.cloud_credential_rotation_info) returns them.
    type: list
    elements: dict
    required: true
  found:
    description:
      - Results of M(ranchhand.rancher.cloud_credential_info), one for each other Rancher, whose name is in
        C(rotate_member).
    type: list
    elements: dict
    required: true
  credentials:
    description: Items that identify what is rotated. If empty, these are all rotations.
    type: list
    elements: dict
    default: []
  names:
    description:
      - By the name of a Rancher, a mapping from the names of credentials to their names or ids there. Null if the
        Rancher does not contain the key.
    type: dict
  common:
    description: Other external stores.
    type: list
    elements: dict
    default: []
  forgotten:
    description: Ranchers that may be missing although a record contains them.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show where the keys are
  ansible.builtin.debug:
    msg: "{{ status.rotations | ranchhand.rancher.rotation_members(found.results) }}"
"""

RETURN = r"""
_value:
  description: A mapping for each rotation, with its C(id), C(name) and external C(stores), and the C(common) stores.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"rotation_members": plain_filter(deferred("_rotation_plan", "find_members"))}
