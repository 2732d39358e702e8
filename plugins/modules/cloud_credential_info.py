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
  - Lists the cloud credentials of a Rancher, what refers to them, how old their keys are, and what is wrong with them. Never returns a secret value.
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes.info
options:
  name:
    description: Only credentials with this name.
    type: str
  id:
    description: Only the credential with this id, such as V(cattle-global-data:cc-7kq2f) or V(cc-7kq2f).
    type: str
  driver:
    description: Only credentials of this driver.
    type: str
  owner:
    description: Only credentials of this user, by user id, username or principal id.
    type: str
  references:
    description: Also return what refers to each credential.
    type: bool
    default: false
  problems:
    description:
      - Also return what refers to each credential, how old its key is, how its rotation stands, and what is wrong with it.
      - What the connection may not look at is not judged, and named in RV(problems_incomplete).
    type: bool
    default: false
  max_age:
    description: With O(problems=true), the age, such as V(90d), from which on a key is due.
    type: str
  policies:
    description: With O(problems=true), other ages for some credentials. The first one whose conditions all hold counts, and O(max_age) where none does.
    type: list
    elements: dict
    suboptions:
      name:
        description: Only credentials with such a name, in which V(*) stands for any text and V(?) for any character.
        type: str
      driver:
        description: Only credentials of this driver.
        type: str
      owner:
        description: Only credentials of this user, by user id or username.
        type: str
      max_age:
        description: The age, such as V(90d).
        type: str
        required: true
  expires_within:
    description: With O(problems=true), how long before its end a token or a certificate in a credential is told, such as V(30d).
    type: str
    default: 30d
  ask_clouds:
    description:
      - With O(problems=true), ask the clouds when the keys were made that no record of a rotation knows, where they tell. That is AWS, by default.
      - Signs in with the keys themselves, from the controller, as M(ranchhand.rancher.cloud_credential_rotation) does without C(issuer_options).
    type: bool
    default: false
  namespace:
    description: Where the records of rotations are.
    type: str
    default: rancher-credential-rotation
seealso:
  - module: ranchhand.rancher.cloud_credential
"""

EXAMPLES = r"""
- name: All AWS credentials and who uses them
  ranchhand.rancher.cloud_credential_info:
    driver: amazonec2
    references: true
  register: aws

- name: Names of those that nothing uses
  ansible.builtin.debug:
    msg: "{{ aws.credentials | rejectattr('references') | map(attribute='name') }}"

- name: What is wrong, with keys of AWS due at 90 days and all others at a year
  ranchhand.rancher.cloud_credential_info:
    problems: true
    policies:
      - driver: amazonec2
        max_age: 90d
    max_age: 365d
  register: health

- name: The names of those that end soon
  ansible.builtin.debug:
    msg: "{{ health.credentials | selectattr('problems', 'search', 'expires_soon') | map(attribute='name') }}"
"""

RETURN = r"""
credentials:
  description: The credentials, by name; empty if none matches.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Its id.
      type: str
      sample: cattle-global-data:cc-7kq2f
    name:
      description: Its name; the id if it has none.
      type: str
      sample: aws prod
    driver:
      description: Its driver; null if it has fields of several.
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
      description: Its public fields. Fields that the driver's schema does not know count as secret.
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
    age:
      description: Seconds since it was created.
      type: int
      sample: 86400
    problem:
      description: Why Rancher cannot make sense of it.
      returned: when there is a problem
      type: str
      sample: has fields of several drivers (azure, digitalocean), of which Rancher reads one at random
    references:
      description: What refers to it.
      returned: with O(references=true) or O(problems=true)
      type: list
      elements: dict
      sample: [{kind: NodeTemplate, api_version: management.cattle.io/v3, namespace: cattle-global-nt, name: nt-h6x2m, field: spec.cloudCredentialName}]
    owner_name:
      description: The username of its owner; null if it has none, or if users may not be listed.
      returned: with O(problems=true)
      type: str
      sample: alice
    key_age:
      description: Seconds since it has the key that it has; null if nobody knows.
      returned: with O(problems=true)
      type: int
      sample: 86400
    key_age_from:
      description: >-
        Who says so. V(record) of its rotation, V(annotation) where the records are elsewhere, V(cloud), or V(secret) where only the date of the Secret is
        known.
      returned: with O(problems=true)
      type: str
      sample: record
    max_age:
      description: The age in seconds from which on its key is due; null where no age was given.
      returned: with O(problems=true)
      type: int
      sample: 7776000
    due_at:
      description: When its key is to be rotated, or the next step of a rotation in progress is to be taken; null for never.
      returned: with O(problems=true)
      type: str
      sample: "2027-02-21T20:10:08+00:00"
    due:
      description: Whether that is over.
      returned: with O(problems=true)
      type: bool
      sample: false
    rotation:
      description:
        - How its rotation stands, as in RV(ranchhand.rancher.cloud_credential_rotation_info#module:rotations).
        - Null where the records of rotations may not be read.
      returned: with O(problems=true)
      type: dict
      sample: {phase: grace, next_step: disable the old key, generation: 3, waiting_for: ["grace: 2026-11-25T02:00:19+00:00"], running: false}
    problems:
      description: What is wrong with it, as far as could be judged.
      returned: with O(problems=true)
      type: list
      elements: dict
      contains:
        code:
          description: >-
            One of V(unreadable), V(owner_gone), V(driver_inactive), V(template_broken), V(duplicate_name), V(shared_key), V(unused), V(overdue), V(drift),
            V(restored), V(stuck_rotation), V(expired) and V(expires_soon). The runbook docs/runbooks/credentials.md has a section for each.
          type: str
          sample: expires_soon
        level:
          description: V(error) where something does not work or soon will not, V(warning), or V(notice).
          type: str
          sample: warning
        message:
          description: What it is, as one sentence.
          type: str
          sample: a certificate in kubeconfigContent ends at 2026-12-01T00:00:00+00:00
dangling:
  description: Credentials that are gone although something still refers to them, and what does.
  returned: with O(problems=true)
  type: list
  elements: dict
  sample: [{id: "cattle-global-data:cc-7kq2f", references: [{kind: Cluster, api_version: provisioning.cattle.io/v1, namespace: fleet-default, name: prod,
            field: spec.cloudCredentialSecretName}]}]
problems_incomplete:
  description: Problems that could not be seen, each with the reason.
  returned: with O(problems=true), when there are such
  type: list
  elements: str
  sample: ["owner_gone: this connection may not list users.management.cattle.io"]
references_incomplete:
  description: Kinds that the connection may not list, so that references may be missing.
  returned: when there are such kinds
  type: list
  elements: str
  sample: [nodetemplates.management.cattle.io]
code:
  description: >-
    What kind of failure it is. One of V(invalid), V(ambiguous), V(forbidden), V(unsupported), V(unreachable) and V(server_error).
  returned: failure
  type: str
  sample: forbidden
"""

from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.module import main as run_module
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.cloud_credential_info import CLOUD_CREDENTIAL_INFO, list_cloud_credential_info


def main() -> None:
    run_module(CLOUD_CREDENTIAL_INFO, list_cloud_credential_info)


if __name__ == "__main__":
    main()
