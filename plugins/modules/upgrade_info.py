#!/usr/bin/python
# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: upgrade_info
short_description: Report what blocks the upgrade to Rancher 2.12
version_added: 1.0.0
description:
  - Rancher 2.12 has neither RKE1 clusters nor node templates. Its upgrade is refused, or it does not start, while RKE1
    clusters, node templates or cluster templates exist, in any namespace.
  - Lists these objects, who owns them, what uses them, and in which order they can be deleted. Also lists the cloud
    credentials that nothing uses any more afterwards.
  - RKE1 clusters cannot be converted. Replace them by clusters with machine pools first.
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes.info
notes:
  - The order and the checks follow from the code of Rancher 2.11 to 2.15. An upgrade itself was not tried.
seealso:
  - module: ranchhand.rancher.node_template
  - module: ranchhand.rancher.node_template_info
  - module: ranchhand.rancher.cloud_credential_repoint
"""

EXAMPLES = r"""
- name: Find out what blocks the upgrade
  ranchhand.rancher.upgrade_info:
  register: upgrade

- name: Fail if anything does
  ansible.builtin.assert:
    that: not upgrade.blocked
"""

RETURN = r"""
version:
  description: Version of Rancher; empty if the setting may not be read.
  returned: success
  type: str
  sample: v2.11.3
blocked:
  description: Whether the upgrade to Rancher 2.12 is refused.
  returned: success
  type: bool
  sample: true
blockers:
  description: The objects that have to be deleted, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: >-
        V(Cluster) (RKE1), V(NodePool), V(Node), V(ClusterTemplateRevision), V(ClusterTemplate) or V(NodeTemplate).
      type: str
      sample: NodeTemplate
    api_version:
      description: API version of the object.
      type: str
      sample: management.cattle.io/v3
    namespace:
      description: Namespace of the object; null for clusters.
      type: str
      sample: cattle-global-nt
    name:
      description: Name of the object.
      type: str
      sample: nt-h6x2m
    display_name:
      description: Name in Rancher's UI.
      type: str
      sample: aws small
    owner:
      description: Id of the user that created the object.
      type: str
      sample: u-wt94n
    owner_name:
      description: Username of the owner; null if it is not known.
      type: str
      sample: alice
    step:
      description: >-
        V(1) for clusters with their pools and nodes, V(2) for cluster templates and their revisions, V(3) for node
        templates.
      type: int
      sample: 3
    checked:
      description: Whether Rancher itself checks objects of this kind. The others keep these in use.
      type: bool
      sample: true
    used_by:
      description: Objects that use it.
      type: list
      elements: str
      sample: [NodePool c-abcde/np-x2fbz]
    unused:
      description: Whether it is a template that can be deleted now, in this order.
      type: bool
      sample: false
    deleting:
      description: Whether it is being deleted.
      type: bool
      sample: false
freed_credentials:
  description: Credentials that only node templates and their nodes use.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the credential.
      type: str
      sample: cattle-global-data:cc-7kq2f
    name:
      description: Name of the credential.
      type: str
      sample: aws prod
    driver:
      description: Driver of the credential.
      type: str
      sample: amazonec2
    owner:
      description: Id of its owner.
      type: str
      sample: u-wt94n
    references:
      description: What uses it now.
      type: list
      elements: dict
references_incomplete:
  description: Resources that the connection may not list, so that uses of credentials may be missing.
  returned: success
  type: list
  elements: str
  sample: []
code:
  description: Failure code. One of V(forbidden), V(invalid), V(unsupported), V(unreachable) and V(server_error).
  returned: failure
  type: str
  sample: forbidden
"""

from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.module import main as run_module
from ansible_collections.ranchhand.rancher.plugins.module_utils._upgrade.module import UPGRADE_INFO, report_blockers


def main() -> None:
    run_module(UPGRADE_INFO, report_blockers)


if __name__ == "__main__":
    main()
