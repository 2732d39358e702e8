# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: scheduled_jobs
short_description: Jobs of the role schedule with their times in the format of each scheduler
version_added: 1.0.0
description:
  - Returns what follows from the variables of a job, without the variables that the job passes to its playbook.
author:
  - ranchhand contributors (@ranchhand)
positional: _input
options:
  _input:
    description: Variables of the role P(ranchhand.rancher.schedule#role) by their names, without validation errors.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write the timers
  ansible.builtin.template:
    src: timer.j2
    dest: "/etc/systemd/system/{{ job.unit }}.timer"
    mode: "0644"
  loop: "{{ schedule_options | ranchhand.rancher.scheduled_jobs }}"
  loop_control:
    loop_var: job
"""

RETURN = r"""
_value:
  description: The jobs in their order.
  type: list
  elements: dict
  contains:
    name:
      description: Name of the job.
      type: str
    unit:
      description: Name of the job with the prefix, for units, entries and objects.
      type: str
    playbook:
      description: Playbook of the job.
      type: str
    imported:
      description: Whether RV(_value[].playbook) is the name of a playbook in a collection, not a path.
      type: bool
    rights:
      description: Job whose rights it has on Kubernetes.
      type: str
    namespace:
      description: Namespace of the records of rotations.
      type: str
    hour:
      description: Hour of its time.
      type: int
    minute:
      description: Minute of its time.
      type: int
    weekdays:
      description: Weekdays in the format of cron.
      type: str
    cron:
      description: Its time in the format of a CronJob.
      type: str
    calendar:
      description: Its time in the format of C(OnCalendar) in systemd.
      type: str
    rrule:
      description: Its time in the format of a schedule in AWX.
      type: str
    approval:
      description: Whether it needs an approval, with AWX.
      type: bool
    approval_timeout_seconds:
      description: Time after which a pending approval is denied, with AWX.
      type: int
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

scheduled_jobs = deferred("_schedule_plan", "scheduled_jobs")
without_values = deferred("_schedule_plan", "without_values")
_plain = plain_filter(scheduled_jobs)


def _scheduled_jobs(options: t.Any) -> t.Any:
    return _plain(without_values(options))


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"scheduled_jobs": _scheduled_jobs}
