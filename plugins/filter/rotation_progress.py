# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: rotation_progress
short_description: Add the result of a call of cloud_credential_rotation to the progress of a run
version_added: 1.0.0
description:
  - The role P(ranchhand.rancher.rotate#role) calls the module several times for the same credentials. This filter
    merges the results.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, result, units, discovered
options:
  _input:
    description: Progress so far. If empty, O(result) is that of the run in check mode before the first call.
    type: dict
    required: true
  result:
    description: Registered result of the call. Without C(rotations), the call failed as a whole.
    type: dict
    required: true
  units:
    description: Units of the call, each named by the first id of the C(members) of its rotations.
    type: list
    elements: str
    default: []
  discovered:
    description:
      - With an empty input, whether the credentials were found by a search. Then those that cannot be rotated are
        skipped and do not count as failures.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Record the result
  ansible.builtin.set_fact:
    progress: "{{ progress | ranchhand.rancher.rotation_progress(result, ring) }}"
"""

RETURN = r"""
_value:
  description: Progress after the call, without secrets.
  type: dict
  contains:
    rotations:
      description: Latest rotation of each credential, in the order of the run in check mode.
      type: list
      elements: dict
    reached:
      description: One rotation for each unit of this call.
      type: list
      elements: dict
    skipped:
      description: One rotation for each unit that was found and cannot be rotated, with C(code) and C(msg).
      type: list
      elements: dict
    skipped_units:
      description: The units of C(skipped).
      type: list
      elements: str
    failures:
      description: All rotations that failed so far, in the order of their failures.
      type: list
      elements: dict
    failed_units:
      description: Units with a failure.
      type: list
      elements: str
    pending_units:
      description: Units that are due and that no call has begun.
      type: list
      elements: str
    changed:
      description: Whether a call changed something.
      type: bool
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

add_call = deferred("_rotation_plan", "add_call")
start_progress = deferred("_rotation_plan", "start_progress")


def _rotation_progress(progress: t.Any, result: t.Any, units: t.Any = (), discovered: bool = False) -> t.Any:
    return add_call(progress, result, units) if progress else start_progress(result["rotations"], discovered)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"rotation_progress": plain_filter(_rotation_progress)}
