#!/usr/bin/python
# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: node_template_info
short_description: List Rancher node templates
version_added: 0.1.0
description:
  - Lists the node templates of a Rancher, and what refers to them. Never returns a secret value.
  - Works with every Rancher; one without node templates has an empty list.
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes.info
options:
  name:
    description: Only node templates with this name.
    type: str
  id:
    description: Only the node template with this id, such as V(cattle-global-nt:nt-h6x2m) or V(nt-h6x2m).
    type: str
  driver:
    description: Only node templates of this driver.
    type: str
  owner:
    description: Only node templates of this user, by user id, username or principal id.
    type: str
  references:
    description: Also return what refers to each node template.
    type: bool
    default: false
seealso:
  - module: ranchhand.rancher.node_template
"""

EXAMPLES = r"""
- name: All node templates and what uses them
  ranchhand.rancher.node_template_info:
    references: true
  register: leftovers

- name: Names of those that nothing uses
  ansible.builtin.debug:
    msg: "{{ leftovers.node_templates | rejectattr('references') | map(attribute='name') }}"
"""

RETURN = r"""
node_templates:
  description: The node templates, by name; empty if none matches.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Its id.
      type: str
      sample: cattle-global-nt:nt-h6x2m
    name:
      description: Its name; the id if it has none.
      type: str
      sample: aws small
    driver:
      description: Its driver.
      type: str
      sample: amazonec2
    owner:
      description: Id of the user it belongs to.
      type: str
      sample: u-wt94n
    description:
      description: Its description.
      type: str
      sample: "billing: team a"
    cloud_credential:
      description: Id of its cloud credential; null if it has none.
      type: str
      sample: cattle-global-data:cc-7kq2f
    config:
      description: Its public fields. Fields that the driver's schema does not know count as secret.
      type: dict
      sample: {instanceType: t3a.medium, region: eu-central-1}
    secret_fields:
      description: Names of its secret fields.
      type: list
      elements: str
      sample: [sshKeyContents]
    created_at:
      description: When it was created.
      type: str
      sample: "2026-11-23T20:10:08Z"
    age:
      description: Seconds since it was created.
      type: int
      sample: 86400
    problem:
      description: Why Rancher cannot make sense of it.
      returned: when there is a problem
      type: str
      sample: has no amazonec2Config, so that no machine can be made from it
    references:
      description: What refers to it.
      returned: with O(references=true)
      type: list
      elements: dict
      sample: [{kind: NodePool, api_version: management.cattle.io/v3, namespace: c-abcde, name: np-x2fbz, field: spec.nodeTemplateName}]
references_incomplete:
  description: Kinds that the connection may not list, so that references may be missing.
  returned: when there are such kinds
  type: list
  elements: str
  sample: [nodepools.management.cattle.io]
code:
  description: >-
    What kind of failure it is. One of V(invalid), V(ambiguous), V(forbidden), V(unsupported), V(unreachable) and V(server_error).
  returned: failure
  type: str
  sample: forbidden
"""

from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.info import NODE_TEMPLATE_INFO, list_node_templates
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.module import main as run_module


def main() -> None:
    run_module(NODE_TEMPLATE_INFO, list_node_templates)


if __name__ == "__main__":
    main()
