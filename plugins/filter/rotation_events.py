# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: rotation_events
short_description: Events to notify about
version_added: 1.0.0
description:
  - Returns an event for each unit of credentials that share a key.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, event, without_actions
options:
  _input:
    description: Rotations as M(ranchhand.rancher.cloud_credential_rotation) returns them.
    type: list
    elements: dict
    required: true
  event:
    description: Name of the event. By default it follows from each rotation.
    type: str
  without_actions:
    description: Rotations whose C(action) is in this list have no event.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Notify the operators
  ansible.builtin.include_tasks: notify.yml
  loop: "{{ result.rotations | ranchhand.rancher.rotation_events }}"
"""

RETURN = r"""
_value:
  description: Events, each with C(rotation) and C(event).
  type: list
  elements: dict
  contains:
    rotation:
      description: The rotation.
      type: dict
    event:
      description:
        - O(event), else V(drift) or V(failed) after a failure, V(cut_over) after the cutover, V(disabled), or the
          C(action).
      type: str
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

events_of = deferred("_rotation_plan", "events_of")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"rotation_events": plain_filter(events_of)}
