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
  - Creates, updates and removes the node templates of a Rancher up to 2.11, one or thousands in a call, as the objects that Rancher itself would write.
  - A node template that a node pool or a node refers to is not removed, and the error says which.
  - With Rancher 2.12 and later it only removes, so that leftovers can be cleaned away. Rancher 2.12 to 2.14 does not start while there are any.
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes
  - ranchhand.rancher._wait
notes:
  - While node templates that use a cloud credential are created, the credential carries an annotation that says so, so that
    M(ranchhand.rancher.cloud_credential) of a concurrent run does not remove it.
  - Variables in O(engine_env) are public. Do not put secrets there.
options:
  name:
    description:
      - Name of the node template, as Rancher shows it. Names need not be unique; O(driver) and O(owner) narrow the search.
      - Together with O(id), renames the node template.
    type: str
  id:
    description: Id of an existing node template, such as V(cattle-global-nt:nt-h6x2m) or V(nt-h6x2m).
    type: str
  driver:
    description:
      - Name of the node driver, such as V(amazonec2), V(azure) or V(vmwarevsphere).
      - Required to create. It cannot be changed.
    type: str
  cloud_credential:
    description:
      - Name or id of the cloud credential whose keys the machines get.
      - It has to exist, to be of the same driver, and to belong to the owner of the node template unless O(validate_config=false).
      - Fields that it covers are not stored in the node template, and must not be given in O(config) or O(secrets).
    type: str
  owner:
    description:
      - The Rancher user that the node template belongs to, by user id, username or principal id.
      - On creation, the connection's own Rancher user if it is not given.
      - Together with O(id), hands the node template over to this user.
    type: str
  description:
    description: Description of the node template. An empty string removes it.
    type: str
  labels:
    description: Labels to set; null removes one. Others are left alone.
    type: dict
  annotations:
    description: Annotations to set; null removes one. Others are left alone.
    type: dict
  config:
    description:
      - The public fields of the driver, under Rancher's own names, such as C(instanceType).
      - Fields that are not given are left alone, lists are replaced, null removes a field. On creation, missing fields get their defaults.
      - Whole numbers are stored as text, as Rancher does.
    type: dict
  secrets:
    description:
      - The password fields of the driver that no cloud credential covers. They lie in plain text in the node template, so a warning is given.
        Prefer O(cloud_credential).
    type: dict
  update_secrets:
    description:
      - V(always) compares and updates the secrets.
      - V(on_create) sets them on creation only.
    type: str
    choices: [always, on_create]
    default: always
  validate_config:
    description:
      - Whether the fields are checked against the driver's schema in Rancher, and the owner of the cloud credential against that of the node template.
    type: bool
    default: true
  rancher_version:
    description:
      - Version of this Rancher, such as V(2.10), where its setting C(server-version) does not tell or may not be read.
      - From 2.12 on, nothing is created or changed, as Rancher would not start again while there is a node template.
    type: str
  engine_install_url:
    description: URL of the script that installs Docker. An empty string removes it, and Rancher's own default counts.
    type: str
  docker_version:
    description: Version of Docker. An empty string removes it.
    type: str
  engine_env:
    description: Environment variables of the Docker daemon, merged; null removes one.
    type: dict
  engine_insecure_registry:
    description: Registries without TLS.
    type: list
    elements: str
  engine_label:
    description: Labels of the Docker daemon, merged; null removes one.
    type: dict
  engine_opt:
    description: Options of the Docker daemon, merged; null removes one.
    type: dict
  engine_registry_mirror:
    description: Mirrors of registries.
    type: list
    elements: str
  engine_storage_driver:
    description: Storage driver of the Docker daemon. An empty string removes it.
    type: str
  storage_opt:
    description: Options of the storage driver, merged; null removes one.
    type: dict
  log_opt:
    description: Options of the log driver, merged; null removes one.
    type: dict
  use_internal_ip_address:
    description: Whether nodes are reached by their internal address; Rancher's default is V(true).
    type: bool
  auth_certificate_authority:
    description: Certificate authority of the Docker daemon. An empty string removes it.
    type: str
  auth_key:
    description: Key of the certificate authority of the Docker daemon; a secret, though it lies in plain text. An empty string removes it.
    type: str
  node_taints:
    description: Taints of the nodes, replaced as a whole.
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
        description: What it does.
        type: str
        choices: [NoSchedule, PreferNoSchedule, NoExecute]
        required: true
  state:
    description: Whether the node template should be there.
    type: str
    choices: [present, absent]
    default: present
  force:
    description:
      - With O(state=absent), remove the node template although something refers to it. The result says what was overridden.
    type: bool
    default: false
  node_templates:
    description:
      - Many node templates in one call, with the same options.
      - What is not given in an item of O(state), O(force), O(update_secrets), O(validate_config), O(rancher_version) and the wait options is
        taken from the call.
    type: list
    elements: dict
    suboptions:
      name:
        description: As O(name).
        type: str
      id:
        description: As O(id).
        type: str
      driver:
        description: As O(driver).
        type: str
      cloud_credential:
        description: As O(cloud_credential).
        type: str
      owner:
        description: As O(owner).
        type: str
      description:
        description: As O(description).
        type: str
      labels:
        description: As O(labels).
        type: dict
      annotations:
        description: As O(annotations).
        type: dict
      config:
        description: As O(config).
        type: dict
      secrets:
        description: As O(secrets).
        type: dict
      update_secrets:
        description: As O(update_secrets).
        type: str
        choices: [always, on_create]
      validate_config:
        description: As O(validate_config).
        type: bool
      rancher_version:
        description: As O(rancher_version).
        type: str
      engine_install_url:
        description: As O(engine_install_url).
        type: str
      docker_version:
        description: As O(docker_version).
        type: str
      engine_env:
        description: As O(engine_env).
        type: dict
      engine_insecure_registry:
        description: As O(engine_insecure_registry).
        type: list
        elements: str
      engine_label:
        description: As O(engine_label).
        type: dict
      engine_opt:
        description: As O(engine_opt).
        type: dict
      engine_registry_mirror:
        description: As O(engine_registry_mirror).
        type: list
        elements: str
      engine_storage_driver:
        description: As O(engine_storage_driver).
        type: str
      storage_opt:
        description: As O(storage_opt).
        type: dict
      log_opt:
        description: As O(log_opt).
        type: dict
      use_internal_ip_address:
        description: As O(use_internal_ip_address).
        type: bool
      auth_certificate_authority:
        description: As O(auth_certificate_authority).
        type: str
      auth_key:
        description: As O(auth_key).
        type: str
      node_taints:
        description: As O(node_taints).
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
            description: What it does.
            type: str
            choices: [NoSchedule, PreferNoSchedule, NoExecute]
            required: true
      state:
        description: As O(state).
        type: str
        choices: [present, absent]
      force:
        description: As O(force).
        type: bool
      wait:
        description: As O(wait).
        type: bool
      wait_timeout:
        description: As O(wait_timeout).
        type: str
      wait_sleep:
        description: As O(wait_sleep).
        type: str
seealso:
  - module: ranchhand.rancher.node_template_info
  - module: ranchhand.rancher.cloud_credential
"""

EXAMPLES = r"""
- name: A node template for AWS
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

- name: Clean leftovers away before an upgrade to Rancher 2.12
  ranchhand.rancher.node_template:
    id: "{{ item.id }}"
    state: absent
  loop: "{{ leftovers.node_templates }}"
  loop_control:
    label: "{{ item.name }}"
"""

RETURN = r"""
node_template:
  description: The node template, where one was asked for, with those of its options that are set. Check mode predicts it.
  returned: when O(node_templates) is not given
  type: dict
  contains: &template
    id:
      description: Its id; null if it would be created in check mode.
      type: str
      sample: cattle-global-nt:nt-h6x2m
    name:
      description: Its name.
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
      description: Its public fields.
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
      description: What refers to it.
      returned: when it is or was to be removed
      type: list
      elements: dict
      sample: [{kind: NodePool, api_version: management.cattle.io/v3, namespace: c-abcde, name: np-x2fbz, field: spec.nodeTemplateName}]
    references_incomplete:
      description: Kinds that the connection may not list, so that references may be missing.
      returned: when there are such kinds
      type: list
      elements: str
      sample: [nodepools.management.cattle.io]
    msg:
      description: Why the item was refused or failed.
      returned: when it was
      type: str
      sample: node template aws small (cattle-global-nt:nt-h6x2m) is in use by NodePool c-abcde/np-x2fbz (spec.nodeTemplateName)
    code:
      description: As RV(code), for the item.
      returned: when it was refused or failed
      type: str
      sample: in_use
node_templates:
  description: The node templates, in the order given, where a list was asked for.
  returned: when O(node_templates) is given
  type: list
  elements: dict
  contains: *template
code:
  description: >-
    What kind of failure it is. One of V(invalid), V(ambiguous), V(in_use), V(forbidden), V(not_found), V(conflict), V(unsupported),
    V(unreachable), V(server_error), and V(partial) if only some items of a list went wrong.
  returned: failure
  type: str
  sample: in_use
references:
  description: Everything that refers to the node templates that were not removed.
  returned: when a removal is refused
  type: list
  elements: dict
  contains:
    kind:
      description: Kind of the object that refers to the node template.
      type: str
      sample: NodePool
    api_version:
      description: Its API version.
      type: str
      sample: management.cattle.io/v3
    namespace:
      description: Its namespace.
      type: str
      sample: c-abcde
    name:
      description: Its name.
      type: str
      sample: np-x2fbz
    field:
      description: The field that names the node template.
      type: str
      sample: spec.nodeTemplateName
"""

from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.node_template import NODE_TEMPLATE, manage_node_templates
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.module import main as run_module


def main() -> None:
    run_module(NODE_TEMPLATE, manage_node_templates)


if __name__ == "__main__":
    main()
