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
  - Lists the node templates of a Rancher and the references to them. Results do not contain secret values.
  - Works with every version of Rancher. The list is empty if the version has no node templates.
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes.info
options:
  name:
    description: Exact name of the node templates to return.
    type: str
  id:
    description: Id of the node template to return, such as V(cattle-global-nt:nt-h6x2m) or V(nt-h6x2m).
    type: str
  driver:
    description: Driver of the node templates to return.
    type: str
  owner:
    description: Owner of the node templates to return, by user id, username or principal id.
    type: str
  references:
    description: Return the references to each node template.
    type: bool
    default: false
seealso:
  - module: ranchhand.rancher.node_template
"""

EXAMPLES = r"""
- name: List all node templates and the references to them
  ranchhand.rancher.node_template_info:
    references: true
  register: leftovers

- name: Show the names of node templates that are not in use
  ansible.builtin.debug:
    msg: "{{ leftovers.node_templates | rejectattr('references') | map(attribute='name') }}"
"""

RETURN = r"""
node_templates:
  description: The node templates, sorted by name. Empty if no node template matches.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the node template.
      type: str
      sample: cattle-global-nt:nt-h6x2m
    name:
      description: Name of the node template; its id if it has no name.
      type: str
      sample: aws small
    driver:
      description: Driver of the object.
      type: str
      sample: amazonec2
    owner:
      description: Id of the user that owns the object.
      type: str
      sample: u-wt94n
    description:
      description: Description of the object.
      type: str
      sample: "billing: team a"
    cloud_credential:
      description: Id of the cloud credential; null if there is none.
      type: str
      sample: cattle-global-data:cc-7kq2f
    config:
      description: Public fields. Fields that are not in the driver's schema count as secret.
      type: dict
      sample: {instanceType: t3a.medium, region: eu-central-1}
    secret_fields:
      description: Names of the secret fields.
      type: list
      elements: str
      sample: [sshKeyContents]
    created_at:
      description: Creation time.
      type: str
      sample: "2026-11-23T20:10:08Z"
    age_seconds:
      description: Age of the node template.
      type: int
      sample: 86400
    problems:
      description: >-
        Problems of the node template, each with C(code), C(level) and C(message). The only code is V(unreadable):
        Rancher cannot use
        the node template.
      type: list
      elements: dict
      sample:
        - code: unreadable
          level: error
          message: has no amazonec2Config, so Rancher cannot create machines from it
    as_machine_config:
      description: >-
        Options for the module machine_config, as a start for a new cluster, without secrets. The name is the display
        name in lower case. Clusters cannot be converted.
      type: dict
      sample:
        name: aws-small
        driver: amazonec2
        config: {region: eu-central-1}
        cloud_credential: cattle-global-data:cc-7kq2f
    unmapped:
      description: Fields that RV(node_templates[].as_machine_config) does not contain, or that need attention.
      type: list
      elements: dict
      contains:
        field:
          description: Option of M(ranchhand.rancher.node_template), or field of its config.
          type: str
          sample: node_taints
        destination:
          description: Where it belongs now.
          type: str
          sample: taints of the machine pool
    references:
      description: References to the node template.
      returned: with O(references=true)
      type: list
      elements: dict
      sample:
        - kind: NodePool
          api_version: management.cattle.io/v3
          namespace: c-abcde
          name: np-x2fbz
          field: spec.nodeTemplateName
references_incomplete:
  description: Resources that the connection may not list, so that references may be missing.
  returned: with O(references=true), when there are such resources
  type: list
  elements: str
  sample: [nodepools.management.cattle.io]
code:
  description: >-
    Failure code. One of V(invalid), V(ambiguous), V(forbidden), V(unsupported), V(unreachable) and V(server_error).
  returned: failure
  type: str
  sample: forbidden
"""

from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.info import (
    NODE_TEMPLATE_INFO,
    list_node_templates,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.module import main as run_module


def main() -> None:
    run_module(NODE_TEMPLATE_INFO, list_node_templates)


if __name__ == "__main__":
    main()
