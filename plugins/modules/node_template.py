#!/usr/bin/python
# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: node_template
short_description: Manage Rancher node templates
version_added: 0.1.0
description:
  - Creates, updates and deletes node templates of Rancher up to 2.11, one or thousands in a call, as the objects that
    Rancher writes.
  - A node template that is in use by a node pool or a node is not deleted; the error message lists the references.
  - With Rancher 2.12 and newer it only deletes. Rancher 2.12 to 2.14 does not start while a node template exists.
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes
  - ranchhand.rancher._object
  - ranchhand.rancher._wait
notes:
  - While node templates are created, their cloud credentials have an annotation, so that
    M(ranchhand.rancher.cloud_credential) in a concurrent run does not delete the credentials.
  - Variables in O(engine_env) are public. Do not use them for secrets.
options:
  name:
    description:
      - Name of the node template, as Rancher shows it. Names are not unique; O(driver) and O(owner) narrow the match.
      - Together with O(id), renames the node template.
    type: str
  id:
    description: Id of an existing node template, such as V(cattle-global-nt:nt-h6x2m) or V(nt-h6x2m).
    type: str
  driver:
    description:
      - Name of the node driver, such as V(amazonec2), V(azure) or V(vmwarevsphere).
      - Required to create an object. It cannot be changed.
    type: str
  cloud_credential:
    description:
      - Name or id of the cloud credential with which Rancher creates machines.
      - It must exist and have the same driver and, unless O(validate_config=false), the same owner as the node
        template.
      - Its fields are not stored in the node template, and cannot be set in O(config) or O(secrets).
    type: str
  owner:
    description:
      - Rancher user that owns the node template, by user id, username or principal id.
      - The default for a new object is the connection's own Rancher user.
      - Together with O(id), changes the owner of the node template.
    type: str
  description:
    description: Description of the node template. An empty string removes it.
    type: str
  config:
    description:
      - Public fields of the driver, with the names that Rancher uses, such as C(instanceType).
      - Null removes a field, and lists are replaced. Fields that are not set are preserved; in a new node template
        they get their defaults.
      - Whole numbers are stored as text, as Rancher does.
    type: dict
  secrets:
    description:
      - Password fields of the driver that no cloud credential covers.
      - They are stored in plain text in the node template, so the module warns. Prefer O(cloud_credential).
    type: dict
  validate_config:
    description:
      - Validate the fields against the driver's schema in Rancher, and require one owner for the cloud credential and
        the node template.
    type: bool
    default: true
  rancher_version:
    description:
      - Version of this Rancher, such as V(2.10), if its setting C(server-version) has no version or may not be read.
      - With 2.12 and newer, nothing is created or changed, as Rancher would not start again while a node template
        exists.
    type: str
  engine_install_url:
    description: URL of the script that installs Docker. An empty string removes it, so that Rancher uses its default.
    type: str
  docker_version:
    description: Version of Docker. An empty string removes it.
    type: str
  engine_env:
    description: Environment variables of the Docker daemon. They are merged with the stored ones. Null removes an
      entry.
    type: dict
  engine_insecure_registry:
    description: Registries that are used without TLS.
    type: list
    elements: str
  engine_label:
    description: Labels of the Docker daemon. They are merged with the stored ones. Null removes an entry.
    type: dict
  engine_opt:
    description: Options of the Docker daemon. They are merged with the stored ones. Null removes an entry.
    type: dict
  engine_registry_mirror:
    description: Mirrors of registries.
    type: list
    elements: str
  engine_storage_driver:
    description: Storage driver of the Docker daemon. An empty string removes it.
    type: str
  storage_opt:
    description: Options of the storage driver. They are merged with the stored ones. Null removes an entry.
    type: dict
  log_opt:
    description: Options of the log driver. They are merged with the stored ones. Null removes an entry.
    type: dict
  use_internal_ip_address:
    description: Connect to nodes by their internal address. The default of Rancher is V(true).
    type: bool
  auth_certificate_authority:
    description: Certificate authority of the Docker daemon. An empty string removes it.
    type: str
  auth_key:
    description: Key of the certificate authority of the Docker daemon. Rancher stores this secret in plain text. An
      empty string
      removes it.
    type: str
  node_taints:
    description: Taints of the nodes. They replace all stored taints.
    type: list
    elements: dict
    suboptions:
      key:
        description: Key of the taint.
        type: str
        required: true
      value:
        description: Value of the taint.
        type: str
      effect:
        description: Effect of the taint.
        type: str
        choices: [NoSchedule, PreferNoSchedule, NoExecute]
        required: true
  force:
    description:
      - Delete the node template although it is in use. The result contains the references.
    type: bool
    default: false
  node_templates:
    description:
      - Several node templates, with the same options.
      - O(state), O(force), O(update_secrets), O(validate_config), O(rancher_version), O(wait), O(wait_timeout) and
        O(wait_sleep) apply to all items that do not set them.
    type: list
    elements: dict
    suboptions:
      name:
        description: See O(name).
        type: str
      id:
        description: See O(id).
        type: str
      driver:
        description: See O(driver).
        type: str
      cloud_credential:
        description: See O(cloud_credential).
        type: str
      owner:
        description: See O(owner).
        type: str
      description:
        description: See O(description).
        type: str
      labels:
        description: See O(labels).
        type: dict
      annotations:
        description: See O(annotations).
        type: dict
      config:
        description: See O(config).
        type: dict
      secrets:
        description: See O(secrets).
        type: dict
      update_secrets:
        description: See O(update_secrets).
        type: str
        choices: [always, on_create]
      validate_config:
        description: See O(validate_config).
        type: bool
      rancher_version:
        description: See O(rancher_version).
        type: str
      engine_install_url:
        description: See O(engine_install_url).
        type: str
      docker_version:
        description: See O(docker_version).
        type: str
      engine_env:
        description: See O(engine_env).
        type: dict
      engine_insecure_registry:
        description: See O(engine_insecure_registry).
        type: list
        elements: str
      engine_label:
        description: See O(engine_label).
        type: dict
      engine_opt:
        description: See O(engine_opt).
        type: dict
      engine_registry_mirror:
        description: See O(engine_registry_mirror).
        type: list
        elements: str
      engine_storage_driver:
        description: See O(engine_storage_driver).
        type: str
      storage_opt:
        description: See O(storage_opt).
        type: dict
      log_opt:
        description: See O(log_opt).
        type: dict
      use_internal_ip_address:
        description: See O(use_internal_ip_address).
        type: bool
      auth_certificate_authority:
        description: See O(auth_certificate_authority).
        type: str
      auth_key:
        description: See O(auth_key).
        type: str
      node_taints:
        description: See O(node_taints).
        type: list
        elements: dict
        suboptions:
          key:
            description: Key of the taint.
            type: str
            required: true
          value:
            description: Value of the taint.
            type: str
          effect:
            description: Effect of the taint.
            type: str
            choices: [NoSchedule, PreferNoSchedule, NoExecute]
            required: true
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
  - module: ranchhand.rancher.node_template_info
  - module: ranchhand.rancher.cloud_credential
"""

EXAMPLES = r"""
- name: Create or update a node template for AWS
  ranchhand.rancher.node_template:
    name: aws small
    driver: amazonec2
    cloud_credential: aws prod
    owner: alice
    config:
      region: eu-central-1
      instanceType: t3a.medium
      rootSize: 30
      securityGroup:
        - rancher-nodes
    node_taints:
      - key: dedicated
        value: batch
        effect: NoSchedule

- name: Delete all node templates before an upgrade to Rancher 2.12
  ranchhand.rancher.node_template:
    id: "{{ item.id }}"
    state: absent
  loop: "{{ leftovers.node_templates }}"
  loop_control:
    label: "{{ item.name }}"
"""

RETURN = r"""
node_template:
  description: The node template, with those of its options that are set. In check mode, the template after the
    predicted change.
  returned: when O(node_templates) is not set
  type: dict
  contains: &template
    id:
      description: Id of the object. Null in check mode if it would be created.
      type: str
      sample: cattle-global-nt:nt-h6x2m
    name:
      description: Name of the object.
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
      description: Public fields.
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
    action:
      description: One of V(created), V(updated), V(deleted), V(unchanged), V(refused) and V(failed).
      type: str
      sample: created
    changed_fields:
      description: Names of the fields and options that changed.
      type: list
      elements: str
      sample: [instanceType, description]
    references:
      description: References to the object.
      returned: with O(state=absent)
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
      returned: when there are such resources
      type: list
      elements: str
      sample: [nodepools.management.cattle.io]
    msg:
      description: Reason why the item was refused or failed.
      returned: when the item was refused or failed
      type: str
      sample: >-
        cannot delete node template "aws small" (cattle-global-nt:nt-h6x2m): it is in use by NodePool c-abcde/np-x2fbz
        (spec.nodeTemplateName). Change or delete these objects first, or delete the node template anyway with force:
        true
    code:
      description: Failure code of the item, see RV(code).
      returned: when the item was refused or failed
      type: str
      sample: in_use
node_templates:
  description: The node templates, in the order of O(node_templates).
  returned: when O(node_templates) is set
  type: list
  elements: dict
  contains: *template
code:
  description: >-
    Failure code. One of V(invalid), V(ambiguous), V(in_use), V(forbidden), V(not_found), V(conflict), V(unsupported),
    V(unreachable), V(server_error), and V(partial) if only some items of a list failed.
  returned: failure
  type: str
  sample: in_use
references:
  description: References to the node templates that were not deleted.
  returned: when a deletion is refused
  type: list
  elements: dict
  contains:
    kind:
      description: Kind of the object that refers to the node template.
      type: str
      sample: NodePool
    api_version:
      description: API version of the object.
      type: str
      sample: management.cattle.io/v3
    namespace:
      description: Namespace of the object.
      type: str
      sample: c-abcde
    name:
      description: Name of the object.
      type: str
      sample: np-x2fbz
    field:
      description: Field that refers to the node template.
      type: str
      sample: spec.nodeTemplateName
"""

from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.node_template import (
    NODE_TEMPLATE,
    manage_node_templates,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.module import main as run_module


def main() -> None:
    run_module(NODE_TEMPLATE, manage_node_templates)


if __name__ == "__main__":
    main()
