#!/usr/bin/python
# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: machine_config
short_description: Manage machine configs of Rancher's machine pools
version_added: 1.0.0
description:
  - Creates, updates and deletes the machine configs from which the machine pools of RKE2 and K3s clusters create their
    machines, of any active node driver. They are what node templates were for RKE1.
  - An update that would replace the nodes of a pool is refused, unless O(on_use=roll). A machine config that a pool
    uses is not deleted, because without it Rancher applies no change of the cluster at all.
  - There is no option for an owner. Rancher's webhook records the user of the connection as the creator and rejects
    another one; the cluster that first uses a machine config becomes its owner.
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes
  - ranchhand.rancher._object
  - ranchhand.rancher._wait
notes:
  - A machine config belongs to one cluster. Rancher refuses to use it in a pool of another cluster.
  - Every night, Rancher deletes the machine configs without owner that are older than an hour. Use O(keep) to prepare
    one before its cluster exists.
  - Rancher's webhook and the replacement of nodes were not run in the tests of this collection. The tests use Rancher's
    definitions of 2.11 and 2.15 on a Kubernetes API server, and a fake of Rancher's controllers.
options:
  name:
    description:
      - Name of the object in Kubernetes. A machine config has no other name. A second run finds it by this name,
        O(driver) and O(namespace).
      - Required, except with O(machine_configs).
    type: str
  namespace:
    description: Namespace of the machine config, which must be that of its cluster.
    type: str
    default: fleet-default
  driver:
    description:
      - Name of the node driver, such as V(amazonec2), V(azure) or V(vmwarevsphere). It must be active in Rancher.
      - Required, also with O(state=absent).
    type: str
  config:
    description:
      - Public fields of the driver, with the names that Rancher uses, such as C(instanceType). They are validated
        against the definition of this Rancher.
      - Fields that are not set are preserved; in a new machine config they get their defaults. Null restores the
        default, and lists are replaced.
      - Whole numbers are stored as text, as Rancher does.
    type: dict
  secrets:
    description:
      - Password fields of the driver. They are refused unless O(inline_secrets=true).
      - Rancher stores them in clear text in the machine config, in every machine template and machine that is created
        from it, and in the arguments of the Jobs that create machines. Members of the cluster can read all of these.
        Prefer a cloud credential.
    type: dict
  inline_secrets:
    description: Store O(secrets) in clear text.
    type: bool
    default: false
  cloud_credential:
    description:
      - Name or id of the cloud credential that the pool uses. It is not stored; the pool or cluster names it.
      - The module checks that it has the same driver, which Rancher does not check, and that the machine config sets
        none of its fields, as a machine config takes precedence over the credential.
      - Fields of the credential that always have a value in a machine config are set to the credential's value. These
        are C(environment) of azure and C(vcenterPort) of vmwarevsphere.
    type: str
  cluster:
    description: Name of the cluster that uses the machine config. The module fails if it belongs to another one.
    type: str
  creator_rbac:
    description:
      - Give the user of the connection all rights for the new machine config.
      - With V(false), the annotation C(field.cattle.io/no-creator-rbac) is set. An existing machine config is not
        changed.
    type: bool
    default: true
  keep:
    description:
      - With V(true), the ConfigMap C(ranchhand-machine-configs) of the namespace becomes an owner of the machine
        config, in addition to others, so that Rancher's nightly clean-up does not delete it. The ConfigMap is created
        if it does not exist. If it is deleted, Kubernetes deletes the machine configs that have no other owner.
      - With V(false), this owner is removed. Without a value, it is preserved.
      - A machine config that is kept is not deleted together with its cluster.
    type: bool
  on_use:
    description:
      - What to do if the update changes the machine template of a pool with machines, so that Rancher replaces all of
        its nodes.
      - V(refuse) refuses the update and names the pools.
      - V(roll) updates the machine config.
    type: str
    choices: [refuse, roll]
    default: refuse
  force:
    description:
      - Delete the machine config although pools use it. The result contains the references.
    type: bool
    default: false
  machine_configs:
    description:
      - Several machine configs, with the same options.
      - O(state), O(force), O(update_secrets), O(namespace), O(driver), O(inline_secrets), O(creator_rbac), O(keep),
        O(on_use), O(wait), O(wait_timeout) and O(wait_sleep) apply to all items that do not set them.
    type: list
    elements: dict
    suboptions:
      name:
        description: See O(name).
        type: str
      namespace:
        description: See O(namespace).
        type: str
      driver:
        description: See O(driver).
        type: str
      config:
        description: See O(config).
        type: dict
      secrets:
        description: See O(secrets).
        type: dict
      inline_secrets:
        description: See O(inline_secrets).
        type: bool
      update_secrets:
        description: See O(update_secrets).
        type: str
        choices: [always, on_create]
      cloud_credential:
        description: See O(cloud_credential).
        type: str
      cluster:
        description: See O(cluster).
        type: str
      creator_rbac:
        description: See O(creator_rbac).
        type: bool
      keep:
        description: See O(keep).
        type: bool
      labels:
        description: See O(labels).
        type: dict
      annotations:
        description: See O(annotations).
        type: dict
      on_use:
        description: See O(on_use).
        type: str
        choices: [refuse, roll]
      state:
        description: See O(state).
        type: str
        choices: [present, absent]
      force:
        description: See O(force).
        type: bool
      wait:
        description: See O(wait).
        type: bool
      wait_timeout:
        description: See O(wait_timeout).
        type: str
      wait_sleep:
        description: See O(wait_sleep).
        type: str
seealso:
  - module: ranchhand.rancher.machine_config_info
  - module: ranchhand.rancher.cloud_credential
"""

EXAMPLES = r"""
- name: Create or update a machine config for AWS
  ranchhand.rancher.machine_config:
    name: web-small
    driver: amazonec2
    cloud_credential: aws prod
    config:
      region: eu-central-1
      instanceType: t3a.medium
      rootSize: 30
      securityGroup:
        - rancher-nodes

- name: Prepare a machine config before its cluster exists
  ranchhand.rancher.machine_config:
    name: batch-large
    driver: azure
    cloud_credential: azure prod
    keep: true
    config:
      size: Standard_D8s_v5

- name: Use larger machines, and replace all nodes of the pools
  ranchhand.rancher.machine_config:
    name: web-small
    driver: amazonec2
    config:
      instanceType: t3a.large
    on_use: roll

- name: Delete a machine config that no pool uses
  ranchhand.rancher.machine_config:
    name: batch-large
    driver: azure
    state: absent
"""

RETURN = r"""
machine_config:
  description: The machine config. In check mode, the machine config after the predicted change.
  returned: when O(machine_configs) is not set
  type: dict
  contains: &config
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
      sample: amazonec2
    kind:
      description: Kind of the object; null if it does not exist.
      type: str
      sample: Amazonec2Config
    config:
      description: Public fields that are set, with the defaults.
      type: dict
      sample: {instanceType: t3a.medium, region: eu-central-1}
    secret_fields:
      description: Names of the secret fields that are set.
      type: list
      elements: str
      sample: [sshPassword]
    cluster:
      description: Cluster that the machine config belongs to; null until a pool has used it.
      type: str
      sample: prod
    kept:
      description: Whether O(keep) protects it from Rancher's nightly clean-up.
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
    pools:
      description: Pools that use it, as cluster and pool.
      returned: with O(state=present)
      type: list
      elements: str
      sample: [prod/workers]
    would_roll:
      description: Pools whose nodes the change replaces, or would replace if it was refused.
      returned: with O(state=present)
      type: list
      elements: str
      sample: [prod/workers]
    ignored_fields:
      description: Pools that ignore fields of this task, because the pool is older than these fields of the driver.
      returned: with O(state=present)
      type: list
      elements: dict
      sample: [{pool: prod/workers, fields: [ipv6AddressCount]}]
    action:
      description: One of V(created), V(updated), V(deleted), V(unchanged), V(refused) and V(failed).
      type: str
      sample: created
    changed_fields:
      description: Names of the fields and options that changed.
      type: list
      elements: str
      sample: [instanceType, labels]
    references:
      description: Clusters with pools that use the machine config.
      returned: with O(state=absent)
      type: list
      elements: dict
      sample:
        - kind: Cluster
          api_version: provisioning.cattle.io/v1
          namespace: fleet-default
          name: prod
          field: spec.rkeConfig.machinePools[].machineConfigRef
          use: pool
          pools: [workers]
    references_incomplete:
      description: Resources that the connection may not list, so that references may be missing.
      returned: when there are such resources
      type: list
      elements: str
      sample: [clusters.provisioning.cattle.io]
    msg:
      description: Reason why the item was refused or failed.
      returned: when the item was refused or failed
      type: str
      sample: >-
        cannot change machine config "web-small" (Amazonec2Config fleet-default/web-small): a change of instanceType
        would replace all nodes of pool prod/workers. Set on_use: roll to replace them, or use another machine config
    code:
      description: Failure code of the item, see RV(code).
      returned: when the item was refused or failed
      type: str
      sample: in_use
machine_configs:
  description: The machine configs, in the order of O(machine_configs).
  returned: when O(machine_configs) is set
  type: list
  elements: dict
  contains: *config
code:
  description: >-
    Failure code. One of V(invalid), V(ambiguous), V(in_use), V(forbidden), V(not_found), V(conflict), V(unsupported),
    V(unreachable), V(server_error), and V(partial) if only some items of a list failed.
  returned: failure
  type: str
  sample: in_use
references:
  description: References to the machine configs that were not deleted.
  returned: when a deletion is refused
  type: list
  elements: dict
  contains:
    kind:
      description: Kind of the object that refers to the machine config.
      type: str
      sample: Cluster
    api_version:
      description: API version of the object.
      type: str
      sample: provisioning.cattle.io/v1
    namespace:
      description: Namespace of the object.
      type: str
      sample: fleet-default
    name:
      description: Name of the object.
      type: str
      sample: prod
    field:
      description: Field that refers to the machine config.
      type: str
      sample: spec.rkeConfig.machinePools[].machineConfigRef
    use:
      description: Always V(pool).
      type: str
      sample: pool
    pools:
      description: Name of the pool.
      type: list
      elements: str
      sample: [workers]
"""

from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.machine_config import (
    MACHINE_CONFIG,
    manage_machine_configs,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.module import main as run_module


def main() -> None:
    run_module(MACHINE_CONFIG, manage_machine_configs)


if __name__ == "__main__":
    main()
