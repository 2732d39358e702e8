# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: late_rotations
short_description: Rotations that have waited for a gate for too long
version_added: 1.0.0
description:
  - Returns one rotation for each unit whose grace or soak time has been over for longer than a period, while a gate is
    still closed.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, max_wait
options:
  _input:
    description: Rotations as M(ranchhand.rancher.cloud_credential_rotation) returns them.
    type: list
    elements: dict
    required: true
  max_wait:
    description: The period, such as V(3d).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show the rotations that wait for too long
  ansible.builtin.debug:
    msg: "{{ result.rotations | ranchhand.rancher.late_rotations('3d') | map(attribute='name') }}"
"""

RETURN = r"""
_value:
  description: The rotations.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

late_rotations = deferred("_rotation_plan", "late_rotations")


def _late_rotations(rotations: t.Any, max_wait: t.Any) -> t.Any:
    try:
        return late_rotations(rotations, max_wait)
    except ValueError as error:
        raise ValueError(f"max_wait {error}") from None


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"late_rotations": plain_filter(_late_rotations)}
