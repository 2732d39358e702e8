#!/usr/bin/python
# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: cloud_credential_info
short_description: List Rancher cloud credentials
version_added: 0.1.0
description:
  - Lists the cloud credentials of a Rancher.
  - Optionally returns what refers to them, how old their keys are, and which problems they have.
  - Never returns a secret value.
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes.info
options:
  name:
    description: Return only credentials with exactly this name.
    type: str
  id:
    description: Return only the credential with this id, such as V(cattle-global-data:cc-7kq2f) or V(cc-7kq2f).
    type: str
  driver:
    description: Return only credentials of this driver.
    type: str
  owner:
    description: Return only credentials of this user, given as user id, username or principal id.
    type: str
  references:
    description: Also return the objects that refer to each credential.
    type: bool
    default: false
  problems:
    description:
      - Also return the references to each credential, the age of its key, its rotation, and all its problems.
      - Without this option, RV(credentials[].problems) contains only what the credential itself shows.
      - Checks for which the connection lacks a permission are skipped and listed in RV(problems_incomplete).
    type: bool
    default: false
  max_age:
    description: Age at which keys are due for rotation, such as V(90d). Only with O(problems=true).
    type: str
  policies:
    description:
      - Ages for some of the credentials. The first policy whose conditions all match applies, otherwise O(max_age).
      - Only with O(problems=true).
    type: list
    elements: dict
    suboptions:
      name_pattern:
        description: Match credentials whose name fits this pattern. V(*) matches any text, V(?) any character.
        type: str
      driver:
        description: Match credentials of this driver.
        type: str
      owner:
        description: Match credentials of this user, given as user id or username.
        type: str
      max_age:
        description: Age at which keys are due for rotation, such as V(90d).
        type: str
        required: true
  expires_within:
    description:
      - Report tokens and certificates in credentials that expire within this period.
      - Only with O(problems=true).
    type: str
    default: 30d
  query_providers:
    description:
      - Query the cloud providers for the creation time of keys that have no record of a rotation.
        With the options of this module, only AWS reports it.
      - Signs in with the keys themselves, from where the module runs, as
        M(ranchhand.rancher.cloud_credential_rotation) does without C(issuer_options). Only with O(problems=true).
    type: bool
    default: false
  verify:
    description:
      - Sign in at the cloud provider with the key of each credential, to find keys that do not work. The problem
        V(key_refused) means that the provider does not accept the key, V(key_forbidden) that the key lacks a
        permission.
      - Each distinct key is tried once. After the provider has refused a password, no other password of the same
        account is tried, so that no account is locked.
      - Keys that cannot be verified are listed in RV(problems_incomplete). The drivers are those of
        O(ranchhand.rancher.cloud_credential#module:verify). Only with O(problems=true).
    type: bool
    default: false
    version_added: 1.0.0
  verify_options_by_driver:
    description:
      - What O(verify) needs and credentials do not contain, by driver. See
        O(ranchhand.rancher.cloud_credential#module:verify_options).
    type: dict
    version_added: 1.0.0
  key_digest_secret:
    description:
      - At least 32 random characters. With them, RV(credentials[].key_digest) is a keyed digest (HMAC-SHA256) of each
        key, by which equal keys in several Ranchers are recognized without their values.
      - Use the same text for all Ranchers and another one in each run. The role P(ranchhand.rancher.report#role) does
        this. Only with O(problems=true).
    type: str
    version_added: 1.0.0
  namespace:
    description: Namespace of the records of rotations.
    type: str
    default: rancher-credential-rotation
seealso:
  - module: ranchhand.rancher.cloud_credential
"""

EXAMPLES = r"""
- name: List all AWS credentials and the objects that use them
  ranchhand.rancher.cloud_credential_info:
    driver: amazonec2
    references: true
  register: aws

- name: Show the names of unused credentials
  ansible.builtin.debug:
    msg: "{{ aws.credentials | rejectattr('references') | map(attribute='name') }}"

- name: Find problems; AWS keys are due after 90 days, all other keys after a year
  ranchhand.rancher.cloud_credential_info:
    problems: true
    policies:
      - driver: amazonec2
        max_age: 90d
    max_age: 365d
  register: health

- name: Find keys that do not work
  ranchhand.rancher.cloud_credential_info:
    problems: true
    verify: true
  register: verified

- name: Show the names of credentials with a token or certificate that expires soon
  ansible.builtin.debug:
    msg: "{{ health.credentials | selectattr('problems', 'search', 'expires_soon') | map(attribute='name') }}"
"""

RETURN = r"""
credentials:
  description: The credentials, sorted by name; empty if none matches.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the credential.
      type: str
      sample: cattle-global-data:cc-7kq2f
    name:
      description: Name of the credential; its id if it has no name.
      type: str
      sample: aws prod
    driver:
      description: Driver of the credential; null if it has fields of several drivers.
      type: str
      sample: amazonec2
    owner:
      description: Id of the user who owns the credential.
      type: str
      sample: u-wt94n
    description:
      description: Description of the credential.
      type: str
      sample: "billing: team a"
    config:
      description: Public fields. Fields that the driver's schema does not contain are treated as secret.
      type: dict
      sample: {accessKey: AKIAEXAMPLE1, defaultRegion: eu-central-1}
    secret_fields:
      description: Names of the secret fields.
      type: list
      elements: str
      sample: [secretKey]
    created_at:
      description: Time at which the credential was created.
      type: str
      sample: "2026-11-23T20:10:08Z"
    age_seconds:
      description: Seconds since the credential was created.
      type: int
      sample: 86400
    problems:
      description:
        - Problems of the credential. Without O(problems=true), the list contains only V(unreadable), if it applies.
      type: list
      elements: dict
      contains:
        code:
          description: >-
            One of V(unreadable), V(malformed), V(owner_gone), V(driver_inactive), V(template_broken),
            V(duplicate_name), V(shared_key), V(unused), V(overdue), V(drift), V(restored), V(stuck_rotation), V(gone),
            V(record_unreadable), V(expired), V(expires_soon), V(reference_unresolved), V(driver_mismatch),
            V(config_contradicts), V(config_repeats), V(sync_failed), V(key_refused) and V(key_forbidden).
            The runbook docs/runbooks/credentials.md has a section for each.
          type: str
          sample: expires_soon
        level:
          description: V(error) if something does not work or will soon not work, V(warning), or V(notice).
          type: str
          sample: warning
        message:
          description: Description of the problem, to be read after the name of the credential.
          type: str
          sample: a certificate in kubeconfigContent expires at 2026-12-01T00:00:00Z
    references:
      description:
        - Objects that refer to the credential.
        - C(use) is what the credential is needed for, one of V(cluster), V(pool), V(s3), V(machine), V(hosted),
          V(node_template), V(capi) and V(history). A reference with V(history) does not prevent a deletion.
        - C(pools) are the machine pools that get the credential by this reference, also those that name none
          themselves.
        - C(display_name) is the name of an object whose C(name) Rancher generated, such as a node template.
      returned: with O(references=true) or O(problems=true)
      type: list
      elements: dict
      sample: [{kind: Cluster, api_version: provisioning.cattle.io/v1, namespace: fleet-default, name: prod,
                field: spec.cloudCredentialSecretName, use: cluster, pools: [workers]}]
    owner_name:
      description: Username of the owner; null if the owner has none or the connection may not list users.
      returned: with O(problems=true)
      type: str
      sample: alice
    key_age_seconds:
      description: Seconds since the current key was stored in the credential; null if unknown.
      returned: with O(problems=true)
      type: int
      sample: 86400
    key_age_source:
      description: >-
        Source of RV(credentials[].key_age_seconds): the V(record) of the key's rotation, an V(annotation) if the record
        is stored elsewhere, the creation time that the cloud provider returns (V(provider)), or that of the V(secret).
      returned: with O(problems=true)
      type: str
      sample: record
    max_age_seconds:
      description: Age at which the key is due for rotation; null if no policy applies.
      returned: with O(problems=true)
      type: int
      sample: 7776000
    due_at:
      description: Time at which the key, or the next step of its rotation, is due; null if never.
      returned: with O(problems=true)
      type: str
      sample: "2027-02-21T20:10:08Z"
    due:
      description: Whether RV(credentials[].due_at) has passed.
      returned: with O(problems=true)
      type: bool
      sample: false
    key_digest:
      description: Digest of the key. Null if the credential has no key.
      returned: with O(problems=true) and O(key_digest_secret)
      type: str
      sample: 0a9f5c1b7e3d2a64c8b0f1e2d3c4b5a6978877665544332211ffeeddccbbaa00
    rotation:
      description:
        - State of the rotation, as in RV(ranchhand.rancher.cloud_credential_rotation_info#module:rotations).
        - Null if the connection may not read the records of rotations.
      returned: with O(problems=true)
      type: dict
      sample: {phase: grace, next_step: disable the old key, generation: 3, running: false,
               waiting_for: ["grace: 2026-11-25T02:00:19Z"]}
dangling:
  description:
    - Credentials that do not exist although objects refer to them, with these objects.
    - Also Secrets in the namespace of a cluster that do not exist, if the cluster, one of its pools or its etcd
      snapshots name them.
  returned: with O(problems=true)
  type: list
  elements: dict
  sample: [{id: "cattle-global-data:cc-7kq2f", references: [{kind: Cluster, api_version: provisioning.cattle.io/v1,
            namespace: fleet-default, name: prod, field: spec.cloudCredentialSecretName}]}]
not_managed:
  description:
    - The objects CloudCredential of C(ext.cattle.io), which Rancher can have in addition to cloud credentials. This
      collection does not manage them.
    - C(count) is null if the connection may not list them. C(references) are returned with O(references=true) or
      O(problems=true).
  returned: if this Rancher has such objects
  type: dict
  sample: {api_version: ext.cattle.io/v1, kind: CloudCredential, count: 2, references: []}
problems_incomplete:
  description: Checks that were skipped, each with the reason.
  returned: with O(problems=true), if checks were skipped
  type: list
  elements: str
  sample: ["owner_gone: this connection may not list users.management.cattle.io"]
references_incomplete:
  description: Kinds that the connection may not list, so that references may be missing.
  returned: with O(references=true) or O(problems=true), if there are such kinds
  type: list
  elements: str
  sample: [nodetemplates.management.cattle.io]
code:
  description: >-
    Failure code: V(invalid), V(ambiguous), V(forbidden), V(unsupported), V(unreachable) or V(server_error).
  returned: failure
  type: str
  sample: forbidden
"""

from ansible_collections.ranchhand.rancher.plugins.module_utils._health.cloud_credential_info import (
    CLOUD_CREDENTIAL_INFO,
    list_cloud_credential_info,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.module import main as run_module


def main() -> None:
    run_module(CLOUD_CREDENTIAL_INFO, list_cloud_credential_info)


if __name__ == "__main__":
    main()
