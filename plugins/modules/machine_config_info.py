#!/usr/bin/python
# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: machine_config_info
short_description: List machine configs of Rancher's machine pools
version_added: 1.0.0
description:
  - Lists machine configs and, with O(references=true), the pools that use them, with the machine template and the cloud
    credential in effect. Results do not contain secret values.
  - Listing needs an administrator. With O(name) and O(namespace), the rights of a member of the cluster suffice.
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes.info
options:
  name:
    description: Exact name of the machine configs to return.
    type: str
  namespace:
    description: Namespace of the machine configs to return; by default all.
    type: str
  driver:
    description: Driver of the machine configs to return.
    type: str
  references:
    description: Return the pools that use each machine config.
    type: bool
    default: false
seealso:
  - module: ranchhand.rancher.machine_config
"""

EXAMPLES = r"""
- name: List all machine configs and the pools that use them
  ranchhand.rancher.machine_config_info:
    references: true
  register: found

- name: Show the machine configs that set fields of a credential, so that its values are not used
  ansible.builtin.debug:
    msg: "{{ found.machine_configs | selectattr('credential_fields') | map(attribute='id') }}"
"""

RETURN = r"""
machine_configs:
  description: The machine configs, sorted by namespace and name. Empty if none matches.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Namespace and name.
      type: str
      sample: fleet-default/web-small
    name:
      description: Name of the object.
      type: str
      sample: web-small
    namespace:
      description: Namespace of the object.
      type: str
      sample: fleet-default
    driver:
      description: Driver of the machine config.
      type: str
      sample: azure
    kind:
      description: Kind of the object.
      type: str
      sample: AzureConfig
    config:
      description: Public fields that are set.
      type: dict
      sample: {environment: AzurePublicCloud, size: Standard_D2s_v5}
    secret_fields:
      description: Names of the secret fields that are set. Their values lie in clear text in Rancher.
      type: list
      elements: str
      sample: []
    credential_fields:
      description:
        - Fields that a cloud credential of the driver has too. New machines get these values instead of the
          credential's.
        - C(environment) of azure and C(vcenterPort) of vmwarevsphere are always set.
      type: list
      elements: str
      sample: [clientId, environment]
    cluster:
      description: Cluster that the machine config belongs to; null until a pool has used it.
      type: str
      sample: prod
    kept:
      description: Whether it is protected from Rancher's nightly clean-up by this collection.
      type: bool
      sample: false
    orphan:
      description: Whether it has no owner, so that Rancher's nightly clean-up deletes it.
      type: bool
      sample: false
    created_at:
      description: Creation time.
      type: str
      sample: "2026-11-23T20:10:08Z"
    age_seconds:
      description: Seconds since it was created.
      type: int
      sample: 86400
    pools:
      description: Pools that use it.
      returned: with O(references=true)
      type: list
      elements: dict
      contains:
        cluster:
          description: Name of the cluster.
          type: str
          sample: prod
        pool:
          description: Name of the pool.
          type: str
          sample: workers
        credential:
          description: Cloud credential in effect, as the pool or cluster spells it; null if there is none.
          type: str
          sample: cattle-global-data:cc-7kq2f
        inherited:
          description: Whether the credential is that of the cluster, as the pool names none.
          type: bool
          sample: true
        template:
          description: Machine template from which the pool creates machines; its last eight characters are the hash of
            the machine config. Null if there is none yet.
          type: str
          sample: prod-workers-5c9f0e1a
        ignored_fields:
          description: Fields that are set and that the pool ignores, because it is older than these fields of the
            driver.
          type: list
          elements: str
          sample: []
        hides_credential_fields:
          description: Fields of the credential in effect whose values new machines do not get.
          type: list
          elements: str
          sample: [clientId, environment]
references_incomplete:
  description: Resources that the connection may not list, so that pools or templates may be missing.
  returned: with O(references=true), if there are such resources
  type: list
  elements: str
  sample: [machinedeployments.cluster.x-k8s.io]
code:
  description: "Failure code: V(invalid), V(forbidden), V(unsupported), V(unreachable) or V(server_error)."
  returned: failure
  type: str
  sample: forbidden
"""

from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.machine_config_info import (
    MACHINE_CONFIG_INFO,
    list_machine_config_info,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.module import main as run_module


def main() -> None:
    run_module(MACHINE_CONFIG_INFO, list_machine_config_info)


if __name__ == "__main__":
    main()
