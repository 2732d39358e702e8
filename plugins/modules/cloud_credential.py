#!/usr/bin/python
# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: cloud_credential
short_description: Manage Rancher cloud credentials
version_added: 0.1.0
description:
  - Creates, updates and removes the cloud credentials of a Rancher, one or thousands in a call, as the objects that Rancher itself would write.
  - Works straight against the Kubernetes API of Rancher's management cluster, with any Rancher from 2.6 on.
  - A credential that anything refers to is not removed, and the error says what refers to it.
  - No secret value shows in results, diffs, messages or logs.
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes
  - ranchhand.rancher._wait
notes:
  - Runs in the process of ansible-core itself for local connections without become, async, environment and an interpreter of their own,
    which saves a second for each item of a loop. To change many, one call with O(credentials) is better still.
  - Writes only what differs. Labels, annotations and finalizers of others are left alone.
  - A mistake in any item of a list stops the call before its first write. All mistakes are told together.
options:
  name:
    description:
      - Name of the credential, as Rancher shows it. Names need not be unique; O(driver) and O(owner) narrow the search.
      - Together with O(id), renames the credential.
    type: str
  id:
    description:
      - Id of an existing credential, such as V(cattle-global-data:cc-7kq2f) or V(cc-7kq2f).
    type: str
  driver:
    description:
      - Name of the node driver, such as V(amazonec2), V(azure), V(vmwarevsphere), or of another type of credential, such as V(s3).
      - Required to create. It cannot be changed.
    type: str
  owner:
    description:
      - The Rancher user that the credential belongs to, by user id, username or principal id.
      - On creation, the connection's own Rancher user if it is not given.
      - Together with O(id), hands the credential over to this user.
    type: str
  description:
    description: Description of the credential. An empty string removes it.
    type: str
  labels:
    description: Labels to set; null removes one. Others are left alone.
    type: dict
  annotations:
    description: Annotations to set; null removes one. Others are left alone.
    type: dict
  config:
    description:
      - The public fields of the driver, under Rancher's own names, such as C(accessKey).
      - Fields that are not given are left alone; null removes one. On creation, missing fields get their defaults.
      - Numbers and booleans are stored as text, mappings as JSON.
    type: dict
  secrets:
    description:
      - The password fields of the driver, under Rancher's own names, such as C(secretKey). Otherwise as O(config).
    type: dict
  update_secrets:
    description:
      - V(always) compares and updates the secrets.
      - V(on_create) sets them on creation only, and leaves the public fields alone that M(ranchhand.rancher.cloud_credential_rotation) has rotated.
    type: str
    choices: [always, on_create]
    default: always
  validate_config:
    description:
      - Whether the fields are checked against the driver's schema in Rancher.
      - V(false) stores what is given as it is, for drivers whose schema has no fields, or if the connection may not read schemas.
        All fields then count as secret in results.
    type: bool
    default: true
  state:
    description: Whether the credential should be there.
    type: str
    choices: [present, absent]
    default: present
  force:
    description:
      - With O(state=absent), remove the credential although something refers to it. The result says what was overridden.
      - With O(state=present), give fields another value although M(ranchhand.rancher.cloud_credential_rotation) keeps them. Without, that is refused
        with the code V(conflict), as a declaration that still has the old key would bring it back.
    type: bool
    default: false
  credentials:
    description:
      - Many credentials in one call, with the same options.
      - What is not given in an item of O(state), O(force), O(update_secrets), O(validate_config) and the wait options is taken from the call.
    type: list
    elements: dict
    suboptions:
      name: {description: As O(name)., type: str}
      id: {description: As O(id)., type: str}
      driver: {description: As O(driver)., type: str}
      owner: {description: As O(owner)., type: str}
      description: {description: As O(description)., type: str}
      labels: {description: As O(labels)., type: dict}
      annotations: {description: As O(annotations)., type: dict}
      config: {description: As O(config)., type: dict}
      secrets: {description: As O(secrets)., type: dict}
      update_secrets: {description: As O(update_secrets)., type: str, choices: [always, on_create]}
      validate_config: {description: As O(validate_config)., type: bool}
      state: {description: As O(state)., type: str, choices: [present, absent]}
      force: {description: As O(force)., type: bool}
      wait: {description: As O(wait)., type: bool}
      wait_timeout: {description: As O(wait_timeout)., type: str}
      wait_sleep: {description: As O(wait_sleep)., type: str}
seealso:
  - module: ranchhand.rancher.cloud_credential_info
"""

EXAMPLES = r"""
- name: An AWS credential
  ranchhand.rancher.cloud_credential:
    name: aws prod
    driver: amazonec2
    owner: alice
    description: "billing: team a"
    config:
      accessKey: "{{ aws_access_key }}"
      defaultRegion: eu-central-1
    secrets:
      secretKey: "{{ aws_secret_key }}"

- name: Many, in one call
  ranchhand.rancher.cloud_credential:
    credentials: "{{ cloud_credentials }}"
    update_secrets: on_create

- name: Hand a credential over
  ranchhand.rancher.cloud_credential:
    id: cattle-global-data:cc-7kq2f
    owner: bob

- name: Remove a credential once nothing uses it any more
  ranchhand.rancher.cloud_credential:
    name: aws old
    driver: amazonec2
    state: absent
    wait: true
    wait_timeout: 10m
"""

RETURN = r"""
credential:
  description: The credential, where one was asked for. Check mode predicts it.
  returned: when O(credentials) is not given
  type: dict
  contains: &credential
    id:
      description: Its id; null if it would be created in check mode.
      type: str
      sample: cattle-global-data:cc-7kq2f
    name:
      description: Its name.
      type: str
      sample: aws prod
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
    config:
      description: Its public fields.
      type: dict
      sample: {accessKey: AKIAEXAMPLE1, defaultRegion: eu-central-1}
    secret_fields:
      description: Names of its secret fields.
      type: list
      elements: str
      sample: [secretKey]
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
      sample: [defaultRegion, description]
    references:
      description: What refers to it.
      returned: when it is or was to be removed
      type: list
      elements: dict
      sample: [{kind: NodeTemplate, api_version: management.cattle.io/v3, namespace: cattle-global-nt, name: nt-h6x2m, field: spec.cloudCredentialName}]
    references_incomplete:
      description: Kinds that the connection may not list, so that references may be missing.
      returned: when there are such kinds
      type: list
      elements: str
      sample: [nodetemplates.management.cattle.io]
    msg:
      description: Why the item was refused or failed.
      returned: when it was
      type: str
      sample: cloud credential aws prod (cattle-global-data:cc-7kq2f) is in use by Cluster fleet-default/prod (spec.cloudCredentialSecretName)
    code:
      description: As RV(code), for the item.
      returned: when it was refused or failed
      type: str
      sample: in_use
credentials:
  description: The credentials, in the order given, where a list was asked for.
  returned: when O(credentials) is given
  type: list
  elements: dict
  contains: *credential
code:
  description: >-
    What kind of failure it is. One of V(invalid), V(ambiguous), V(in_use), V(forbidden), V(not_found), V(conflict), V(unsupported),
    V(unreachable), V(server_error), and V(partial) if only some items of a list went wrong.
  returned: failure
  type: str
  sample: in_use
references:
  description: Everything that refers to the credentials that were not removed.
  returned: when a removal is refused
  type: list
  elements: dict
  contains:
    kind:
      description: Kind of the object that refers to the credential.
      type: str
      sample: NodeTemplate
    api_version:
      description: Its API version.
      type: str
      sample: management.cattle.io/v3
    namespace:
      description: Its namespace.
      type: str
      sample: cattle-global-nt
    name:
      description: Its name.
      type: str
      sample: nt-h6x2m
    field:
      description: The field that names the credential.
      type: str
      sample: spec.cloudCredentialName
"""

from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.module import main as run_module
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.cloud_credential import CLOUD_CREDENTIAL, manage_cloud_credentials


def main() -> None:
    run_module(CLOUD_CREDENTIAL, manage_cloud_credentials)


if __name__ == "__main__":
    main()
