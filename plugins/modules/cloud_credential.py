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
  - Creates, updates and deletes cloud credentials of Rancher, one or thousands in a call, as the objects that Rancher
    writes.
  - Connects to the Kubernetes API of Rancher's management cluster. Works with Rancher 2.6 and newer.
  - A credential that is in use is not deleted; the error message lists its references.
  - Results, diffs, messages and logs do not contain secret values.
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes
  - ranchhand.rancher._object
  - ranchhand.rancher._wait
notes:
  - Runs in the process of ansible-core if the connection is local and the task sets no become, async, environment or
    other interpreter. This saves a second for each item of a loop. To manage many credentials, one call with
    O(credentials) is faster.
  - Writes only differences. Labels, annotations and finalizers set by other tools are preserved.
  - If any item of a list is invalid, nothing is written. All validation errors are reported together.
options:
  name:
    description:
      - Name of the credential, as Rancher shows it. Names are not unique; O(driver) and O(owner) narrow the match.
      - Together with O(id), renames the credential.
    type: str
  id:
    description:
      - Id of an existing credential, such as V(cattle-global-data:cc-7kq2f) or V(cc-7kq2f).
    type: str
  driver:
    description:
      - Name of the node driver, such as V(amazonec2), V(azure), V(vmwarevsphere), or of another type of credential,
        such as V(s3).
      - Required to create an object. It cannot be changed.
    type: str
  owner:
    description:
      - Rancher user that owns the credential, by user id, username or principal id.
      - The default for a new object is the connection's own Rancher user.
      - Together with O(id), changes the owner of the credential.
    type: str
  description:
    description: Description of the credential. An empty string removes it.
    type: str
  config:
    description:
      - Public fields of the driver, with the names that Rancher uses, such as C(accessKey).
      - Null removes a field. Fields that are not set are preserved; in a new credential they get their defaults.
      - Numbers and booleans are stored as text, mappings as JSON.
    type: dict
  secrets:
    description:
      - Password fields of the driver, with the names that Rancher uses, such as C(secretKey). Otherwise like
        O(config).
    type: dict
  update_secrets:
    description:
      - When secrets are written.
      - V(always) compares and updates the secrets.
      - V(on_create) sets them only when the credential is created. Public fields that
        M(ranchhand.rancher.cloud_credential_rotation) has rotated are preserved too.
    type: str
    choices: [always, on_create]
    default: always
  validate_config:
    description:
      - Validate the fields against the driver's schema in Rancher.
      - With V(false), values are stored as they are. Use it for drivers whose schema has no fields, or if the
        connection may not read schemas. All fields then count as secret in results.
    type: bool
    default: true
  force:
    description:
      - Delete the credential although it is in use. The result contains the references.
    type: bool
    default: false
  overwrite_rotated:
    description:
      - Write fields that M(ranchhand.rancher.cloud_credential_rotation) keeps, which replaces the rotated key.
      - Otherwise a task that would change such a field fails with the code V(conflict), as a task with the former key
        would bring that key back.
    type: bool
    default: false
  verify:
    description:
      - Sign in at the cloud provider with the fields that are about to be written, before anything is written. Check
        mode signs in too. Objects whose fields do not change are not verified.
      - If the provider does not accept the key or cannot be reached, the object is not written, and the others are. A
        key that is valid but lacks a permission is written, with a warning.
      - Each distinct key is tried once, from where the module runs, so that no account is locked. The providers see a
        sign-in; nothing is changed there.
      - Available for the drivers alibaba, amazonec2, azure, digitalocean, exoscale, google, harvester, hetzner,
        linode, nutanix, oci, openstack, otc, outscale, pve, s3 and vmwarevsphere;
        M(ranchhand.rancher.node_driver_info) returns this as C(verifies_keys).
    type: bool
    default: false
    version_added: 1.0.0
  verify_options:
    description:
      - What O(verify) needs and the credential does not contain; not secret. docs/issuers.md lists the options of each
        driver.
      - C(endpoint_url) is another URL of the provider's API, which must begin with C(https://), or be on loopback.
        C(ca_bundle) is a file with CA certificates. C(tenant_id) is for driver azure, C(auth_url), C(username) and
        others are for openstack, C(validate_certs) is for vmwarevsphere, nutanix and pve.
    type: dict
    version_added: 1.0.0
  credentials:
    description:
      - Several credentials, with the same options.
      - O(state), O(force), O(overwrite_rotated), O(update_secrets), O(validate_config), O(verify), O(verify_options),
        O(wait), O(wait_timeout) and O(wait_sleep) apply to all items that do not set them.
    type: list
    elements: dict
    suboptions:
      name: {description: See O(name)., type: str}
      id: {description: See O(id)., type: str}
      driver: {description: See O(driver)., type: str}
      owner: {description: See O(owner)., type: str}
      description: {description: See O(description)., type: str}
      labels: {description: See O(labels)., type: dict}
      annotations: {description: See O(annotations)., type: dict}
      config: {description: See O(config)., type: dict}
      secrets: {description: See O(secrets)., type: dict}
      update_secrets: {description: See O(update_secrets)., type: str, choices: [always, on_create]}
      validate_config: {description: See O(validate_config)., type: bool}
      state: {description: See O(state)., type: str, choices: [present, absent]}
      force: {description: See O(force)., type: bool}
      overwrite_rotated: {description: See O(overwrite_rotated)., type: bool}
      verify: {description: See O(verify)., type: bool, version_added: 1.0.0}
      verify_options: {description: See O(verify_options)., type: dict, version_added: 1.0.0}
      wait: {description: See O(wait)., type: bool}
      wait_timeout: {description: See O(wait_timeout)., type: str}
      wait_sleep: {description: See O(wait_sleep)., type: str}
seealso:
  - module: ranchhand.rancher.cloud_credential_info
"""

EXAMPLES = r"""
- name: Create or update an AWS credential
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

- name: Manage all credentials of a list in one call
  ranchhand.rancher.cloud_credential:
    credentials: "{{ cloud_credentials }}"
    update_secrets: on_create

- name: Store a token only if the provider accepts it
  ranchhand.rancher.cloud_credential:
    name: linode prod
    driver: linode
    owner: alice
    secrets:
      token: "{{ linode_token }}"
    verify: true

- name: Change the owner of a credential
  ranchhand.rancher.cloud_credential:
    id: cattle-global-data:cc-7kq2f
    owner: bob

- name: Delete a credential as soon as it is not in use any more
  ranchhand.rancher.cloud_credential:
    name: aws old
    driver: amazonec2
    state: absent
    wait: true
    wait_timeout: 10m
"""

RETURN = r"""
credential:
  description: The credential. In check mode, the credential after the predicted change.
  returned: when O(credentials) is not set
  type: dict
  contains: &credential
    id:
      description: Id of the object. Null in check mode if it would be created.
      type: str
      sample: cattle-global-data:cc-7kq2f
    name:
      description: Name of the object.
      type: str
      sample: aws prod
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
    config:
      description: Public fields.
      type: dict
      sample: {accessKey: AKIAEXAMPLE1, defaultRegion: eu-central-1}
    secret_fields:
      description: Names of the secret fields.
      type: list
      elements: str
      sample: [secretKey]
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
      sample: [defaultRegion, description]
    verified:
      description: V(ok), or V(forbidden) if the key is valid but lacks a permission.
      returned: with O(verify=true), if the key was verified
      type: str
      sample: ok
      version_added: 1.0.0
    references:
      description: References to the object.
      returned: with O(state=absent)
      type: list
      elements: dict
      sample:
        - kind: NodeTemplate
          api_version: management.cattle.io/v3
          namespace: cattle-global-nt
          name: nt-h6x2m
          field: spec.cloudCredentialName
    references_incomplete:
      description: Resources that the connection may not list, so that references may be missing.
      returned: when there are such resources
      type: list
      elements: str
      sample: [nodetemplates.management.cattle.io]
    msg:
      description: Reason why the item was refused or failed.
      returned: when the item was refused or failed
      type: str
      sample: >-
        cannot delete cloud credential "aws prod" (cattle-global-data:cc-7kq2f): it is in use by Cluster
        fleet-default/prod (spec.cloudCredentialSecretName). Move clusters and machines with
        cloud_credential_repoint, change or delete other objects first, or delete the cloud credential anyway with
        force: true
    code:
      description: Failure code of the item, see RV(code).
      returned: when the item was refused or failed
      type: str
      sample: in_use
credentials:
  description: The credentials, in the order of O(credentials).
  returned: when O(credentials) is set
  type: list
  elements: dict
  contains: *credential
code:
  description: >-
    Failure code. One of V(invalid), V(ambiguous), V(in_use), V(forbidden), V(not_found), V(conflict), V(unsupported),
    V(unreachable), V(verify_failed), V(throttled), V(server_error), and V(partial) if only some items of a list failed.
  returned: failure
  type: str
  sample: in_use
references:
  description: References to the credentials that were not deleted.
  returned: when a deletion is refused
  type: list
  elements: dict
  contains:
    kind:
      description: Kind of the object that refers to the credential.
      type: str
      sample: NodeTemplate
    api_version:
      description: API version of the object.
      type: str
      sample: management.cattle.io/v3
    namespace:
      description: Namespace of the object.
      type: str
      sample: cattle-global-nt
    name:
      description: Name of the object.
      type: str
      sample: nt-h6x2m
    display_name:
      description: Name by which people know the object.
      returned: if Rancher generated RV(references[].name), as for a node template
      type: str
      sample: worker large
    field:
      description: Field that refers to the credential.
      type: str
      sample: spec.cloudCredentialName
"""

from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.cloud_credential import (
    CLOUD_CREDENTIAL,
    manage_cloud_credentials,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.module import main as run_module


def main() -> None:
    run_module(CLOUD_CREDENTIAL, manage_cloud_credentials)


if __name__ == "__main__":
    main()
