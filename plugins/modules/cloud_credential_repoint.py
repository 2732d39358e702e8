#!/usr/bin/python
# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: cloud_credential_repoint
short_description: Move Rancher clusters and machines to another cloud credential
version_added: 1.0.0
description:
  - Points provisioned clusters, their machine pools and hosted clusters from one cloud credential to another. On
    request, also etcd snapshots and existing machines. Waits until Rancher has taken the other credential over.
  - No node is replaced. Only etcd snapshots with other values (O(scope=s3)) restart RKE2 or K3s on the nodes of etcd.
  - Before the first write, checks what Rancher does not check, such as the drivers and fields of machine configs that
    would hide the credential's values. Whether the other credential may manage the existing machines cannot be found
    out from Rancher.
  - Each cluster gets one patch that tests the version that was checked. Changes that other clients make at the same
    time are kept, and the cluster is checked again.
  - A run that was interrupted is continued by the next one. Credential O(from) is never deleted.
  - To change only the key, rotate it in place with M(ranchhand.rancher.cloud_credential_rotation). Clusters then need
    no change.
  - Does not change copies of keys that Rancher does not know as references, such as the Secret C(harvesterconfig) of
    the Harvester cloud provider, or the values of vSphere CPI and CSI in C(rkeConfig.chartValues).
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes
options:
  from:
    description:
      - Credential that is in use now, by name or id, such as V(cattle-global-data:cc-7kq2f).
      - With O(repair=true), it can be the id of a credential that no longer exists.
    type: str
    required: true
  to:
    description:
      - Credential to use from now on, by name or id. It has the same driver as O(from), and the same owner unless
        O(override_gates) contains V(owner).
    type: str
    required: true
  clusters:
    description:
      - Clusters to move. Provisioned clusters by name or V(NAMESPACE/NAME), hosted clusters by name or id.
      - By default, all clusters that use O(from).
    type: list
    elements: str
  scope:
    description:
      - What to move. V(cluster) and V(pools) are the fields of provisioned clusters and their machine pools. They apply
        to machines that are created later.
      - V(hosted) are EKS, AKS, GKE and Alibaba clusters.
      - V(s3) are the etcd snapshots of provisioned clusters. If the two credentials contain different values, Rancher
        restarts RKE2 or K3s on each node of etcd, one after another.
      - V(machines) are existing machines, including those that are being deleted. Without it, each machine is deleted
        with O(from), which therefore has to be kept until the last of them is gone. Rancher has no procedure of its own
        for this. The connection needs the verb C(patch) on the machines of the driver.
    type: list
    elements: str
    choices: [cluster, pools, hosted, s3, machines]
    default: [cluster, pools, hosted]
  repair:
    description:
      - Accept that O(from) no longer exists, so that clusters that still name it get O(to).
      - Machines whose deletion hangs, because Rancher does not find O(from), get O(to) whatever the O(scope).
    type: bool
    default: false
  override_gates:
    description:
      - Checks to skip.
      - V(other_writer) moves clusters that Terraform, Helm, Fleet or another tool manages. The tool restores O(from)
        unless it ignores the field.
      - V(owner) accepts that O(from) and O(to) belong to different users.
      - V(machine_jobs) moves clusters while Rancher creates, replaces or deletes machines of the cluster.
    type: list
    elements: str
    choices: [other_writer, owner, machine_jobs]
    default: []
  wait:
    description:
      - Wait until no machine of the cluster is being created, replaced or deleted, and after the change until Rancher
        has taken it over.
      - Rancher has taken it over when the machine templates in use name O(to), the machines confirm it in their status,
        the plans of the nodes of etcd are applied, and hosted clusters were refreshed without error.
      - A cluster that is being deleted is moved too, but only its machines are waited for, as Rancher does not change
        its machine templates any more.
      - Without waiting, machines that Rancher creates during the run may still get O(from). The result lists them in
        RV(remaining).
    type: bool
    default: true
  wait_timeout:
    description: Time to wait. A hosted cluster is refreshed every five minutes.
    type: str
    default: 600s
  wait_sleep:
    description: Time between two polls.
    type: str
    default: 5s
notes:
  - In check mode, the module only reads, and returns the plan.
  - The real replacement of nodes, restarts of RKE2 or K3s, and the operators of hosted clusters were not available in
    the tests of this collection. Their behavior follows from Rancher's code. Start with one cluster that is not
    important.
  - Some drivers delete a machine with the values that it was created with, whatever credential it names. For amazonec2,
    azure, digitalocean, google, vmwarevsphere, openstack and harvester, the values of O(to) count.
seealso:
  - module: ranchhand.rancher.cloud_credential_info
  - module: ranchhand.rancher.cloud_credential_rotation
"""

EXAMPLES = r"""
- name: Show what would be moved
  ranchhand.rancher.cloud_credential_repoint:
    from: aws old
    to: aws new
  check_mode: true
  register: plan

- name: Move one cluster with its machines
  ranchhand.rancher.cloud_credential_repoint:
    from: aws old
    to: aws new
    clusters: [fleet-default/staging]
    scope: [cluster, pools, machines]

- name: Let Rancher delete machines whose credential no longer exists
  ranchhand.rancher.cloud_credential_repoint:
    from: cattle-global-data:cc-gone1
    to: aws new
    repair: true
"""

RETURN = r"""
from:
  description: Id of the credential that was in use.
  returned: when the credentials were found
  type: str
  sample: cattle-global-data:cc-7kq2f
to:
  description: Id of the other credential.
  returned: when the credentials were found
  type: str
  sample: cattle-global-data:cc-x2fbz
objects:
  description: Fields that named O(from) and are in scope, by cluster. Empty if there are none.
  returned: when the credentials were found
  type: list
  elements: dict
  contains:
    kind:
      description: Kind of the object.
      type: str
      sample: Cluster
    api_version:
      description: API version of the object.
      type: str
      sample: provisioning.cattle.io/v1
    namespace:
      description: Namespace of the object; null for hosted clusters.
      type: str
      sample: fleet-default
    name:
      description: Name of the object.
      type: str
      sample: prod
    field:
      description: Field with the credential.
      type: str
      sample: spec.rkeConfig.machinePools[].cloudCredentialSecretName
    pool:
      description: Name of the machine pool; null for other fields.
      type: str
      sample: workers
    cluster:
      description: Cluster that the object belongs to.
      type: str
      sample: fleet-default/prod
    from:
      description: Id of the credential before.
      type: str
      sample: cattle-global-data:cc-7kq2f
    to:
      description: Id of the credential after.
      type: str
      sample: cattle-global-data:cc-x2fbz
    action:
      description: >-
        V(moved); V(refused) if a check failed; V(failed) if the write failed; V(pending) for machines whose cluster has
        not taken over the other credential yet.
      type: str
      sample: moved
    restarts:
      description: Whether the change restarts RKE2 or K3s on the nodes of etcd.
      type: bool
      sample: false
    deleting:
      description: >-
        Whether the object is being deleted. Of such a cluster, only the machines are waited for. Until it is gone,
        copies that Rancher made can still name O(from).
      type: bool
      sample: false
    msg:
      description: Reason why the field was not changed.
      returned: when it was refused or failed
      type: str
    code:
      description: Failure code of the cluster.
      returned: when it was refused or failed
      type: str
restarts:
  description: Whether any change restarts RKE2 or K3s on nodes.
  returned: when the credentials were found
  type: bool
  sample: false
waiting_for:
  description: Clusters in which Rancher had not taken over O(to) when it was last checked.
  returned: when the credentials were found
  type: list
  elements: dict
  contains:
    cluster:
      description: The cluster.
      type: str
      sample: fleet-default/prod
    reason:
      description: What it waits for.
      type: str
      sample: waiting for Amazonec2MachineTemplate fleet-default/prod-workers-1a2b3c4d of pool workers to name it
remaining:
  description: >-
    References to O(from) that this run does not change, because they are not in scope or were refused. Copies that
    Rancher makes itself are left out.
  returned: when the credentials were found
  type: list
  elements: dict
  sample:
    - kind: Amazonec2Machine
      api_version: rke-machine.cattle.io/v1
      namespace: fleet-default
      name: prod-workers-x2fbz
      field: spec.common.cloudCredentialSecretName
references_incomplete:
  description: Resources that the connection may not list, so that references may be missing.
  returned: when there are such resources
  type: list
  elements: str
  sample: [nodes.management.cattle.io]
free:
  description: >-
    Whether nothing uses O(from) any more, so that it can be deleted. In check mode, whether this is so already. Machine
    templates that are not in use do not count.
  returned: when the credentials were found
  type: bool
  sample: true
code:
  description: >-
    Failure code. One of V(invalid), V(ambiguous), V(not_found), V(other_writer), V(busy), V(unconfirmed), V(partial),
    V(conflict), V(forbidden), V(unsupported), V(unreachable) and V(server_error).
  returned: failure
  type: str
  sample: other_writer
"""

from ansible_collections.ranchhand.rancher.plugins.module_utils._repoint.module import repoint_credential
from ansible_collections.ranchhand.rancher.plugins.module_utils._repoint.options import REPOINT
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.module import main as run_module


def main() -> None:
    run_module(REPOINT, repoint_credential)


if __name__ == "__main__":
    main()
