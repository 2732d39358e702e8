# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: schedule_errors
short_description: Validation errors of the variables of the role schedule
version_added: 1.0.0
description:
  - Returns a sentence for each validation error. The sentences contain no values.
author:
  - ranchhand contributors (@ranchhand)
positional: _input
options:
  _input:
    description: Variables of the role P(ranchhand.rancher.schedule#role) by their names.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Validate the variables
  ansible.builtin.assert:
    that: schedule_options | ranchhand.rancher.schedule_errors | length == 0
"""

RETURN = r"""
_value:
  description: The sentences.
  type: list
  elements: str
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

schedule_errors = deferred("_schedule_plan", "schedule_errors")
without_values = deferred("_schedule_plan", "without_values")
_plain = plain_filter(schedule_errors)


def _schedule_errors(options: t.Any) -> t.Any:
    return _plain(without_values(options))


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"schedule_errors": _schedule_errors}
