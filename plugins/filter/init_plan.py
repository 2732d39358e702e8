# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: init_plan
short_description: Files and hosts of a new repository for Ranchers
version_added: 1.0.0
description:
  - Returns what the playbook C(ranchhand.rancher.init) writes. The result contains no secret.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, folder
options:
  _input:
    description: The connection variables of each Rancher, by its name.
    type: dict
    required: true
  folder:
    description: Absolute path of the repository.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Validate the variables
  ansible.builtin.assert:
    that: (init_ranchers | ranchhand.rancher.init_plan('/srv/ranchers')).errors | length == 0
"""

RETURN = r"""
_value:
  description:
    - C(errors) has a sentence for each validation error, without values. If there are errors, the rest is empty.
    - C(hosts) has the variables of each host, with lookups instead of secrets, and C(api_keys) the hosts with such a
      lookup.
    - C(kubeconfigs) has the environment variable with the path of the kubeconfig of each host that has one.
    - C(files), C(declarations) and C(folders) have relative paths.
  type: dict
"""

import typing as t

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._filters import deferred, plain_filter

init_plan = deferred("_init_plan", "init_plan")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"init_plan": plain_filter(init_plan)}
