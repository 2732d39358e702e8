# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: awx_changes
short_description: What the role schedule has to remove, replace and refer to in AWX
version_added: 1.0.0
description:
  - Compares the objects that AWX has with the variables of the role.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, options
options:
  _input:
    description: Lists of objects of AWX by their kinds, as the lookup C(awx.awx.controller_api) returns them.
    type: dict
    required: true
  options:
    description: Variables of the role P(ranchhand.rancher.schedule#role) by their names.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Delete the workflows that are not scheduled any more
  awx.awx.workflow_job_template:
    name: "{{ item }}"
    organization: Default
    state: absent
  loop: "{{ (schedule_awx_found | ranchhand.rancher.awx_changes(schedule_options)).surplus_workflows }}"
"""

RETURN = r"""
_value:
  description: What to remove, what to replace, how to refer to objects, and C(errors), a list of sentences.
  type: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

awx_changes = deferred("_schedule_awx", "awx_changes")
awx_options = deferred("_schedule_awx", "awx_options")
_plain = plain_filter(awx_changes)


def _awx_changes(found: t.Any, options: t.Any) -> t.Any:
    return _plain(found, awx_options(options))


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"awx_changes": _awx_changes}
