# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: leaked_key
short_description: Find the credentials that a leaked key is in
version_added: 1.0.0
description:
  - Returns which credentials use a key, which have replaced it, and whether it can still be used.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, key_id, rotations
options:
  _input:
    description:
      - RV(ranchhand.rancher.cloud_credential_info#module:credentials) of a call with
        O(ranchhand.rancher.cloud_credential_info#module:problems=true).
    type: list
    elements: dict
    required: true
  key_id:
    description: Public id of the key, not its secret part.
    type: str
    required: true
  rotations:
    description:
      - RV(ranchhand.rancher.cloud_credential_rotation_info#module:rotations), which includes those of deleted
        credentials.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Check that the key is out of service
  ansible.builtin.assert:
    that: not (listed.credentials | ranchhand.rancher.leaked_key('AKIAIOSFODNN7EXAMPLE')).valid
"""

RETURN = r"""
_value:
  description: What was found.
  type: dict
  contains:
    holders:
      description: Credentials that use the key, each as an item with its C(id).
      type: list
      elements: dict
    retiring:
      description: Those of them whose rotation still has to retire the key before it.
      type: list
      elements: dict
    former:
      description: Credentials whose rotation has replaced the key and has not deleted it yet.
      type: list
      elements: dict
    deleted:
      description: Deleted credentials whose rotation issued or replaced the key.
      type: list
      elements: dict
    states:
      description: For each credential, a sentence on how it uses the key and what is left to do, with the ids of keys.
      type: list
      elements: str
    valid:
      description:
        - Whether a credential uses the key, or has replaced it without disabling it, or a rotation of a deleted
          credential has the key.
      type: bool
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

find_leaked_key = deferred("_rotation_plan", "find_leaked_key")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"leaked_key": plain_filter(find_leaked_key)}
