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
  - Lists the cloud credentials of a Rancher, and what refers to them. Never returns a secret value.
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
      returned: with O(references=true)
      type: list
      elements: dict
      sample: [{kind: NodeTemplate, api_version: management.cattle.io/v3, namespace: cattle-global-nt, name: nt-h6x2m, field: spec.cloudCredentialName}]
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

from ansible_collections.ranchhand.rancher.plugins.module_utils._module import main as run_module
from ansible_collections.ranchhand.rancher.plugins.module_utils._manage_credentials import CLOUD_CREDENTIAL_INFO, list_credentials


def main() -> None:
    run_module(CLOUD_CREDENTIAL_INFO, list_credentials)


if __name__ == "__main__":
    main()
