# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: drift_files
short_description: Content of the drift files of several hosts
version_added: 1.0.0
description:
  - Hosts with the same path share one file.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, hosts
options:
  _input:
    description:
      - For each host a mapping with C(host), C(path), C(drift) (list of objects) and C(failed) (whether the comparison
        failed).
    type: list
    elements: dict
    required: true
  hosts:
    description:
      - Names of all hosts of the play. If one of them has no mapping, its comparison failed before it began, and
        C(failed) is true in every file.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Write the drift files
  ansible.builtin.copy:
    dest: "{{ item.path }}"
    content: "{{ item.content | to_nice_json }}"
    mode: "0644"
  loop: "{{ outcomes | ranchhand.rancher.drift_files(ansible_play_hosts_all) }}"
"""

RETURN = r"""
_value:
  description: Mappings with C(path) and C(content), itself a mapping with C(drift) and C(failed).
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

drift_files = deferred("_declare", "drift_files")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"drift_files": plain_filter(drift_files)}
