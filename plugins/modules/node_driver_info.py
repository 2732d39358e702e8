#!/usr/bin/python
# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: node_driver_info
short_description: List the drivers of a Rancher and their fields
version_added: 1.0.0
description:
  - Lists the active drivers of a Rancher with the fields of their cloud credentials and of their machines, which
    issuer can rotate their keys, and whether keys can be verified.
  - The fields are those of this Rancher, also of drivers that were added to it. Rancher has no fields for the
    credentials of drivers that were added without a list of them; such credentials accept any field.
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes.info
options:
  name:
    description: Driver to return, such as V(amazonec2). By default, all active drivers are returned.
    type: str
seealso:
  - module: ranchhand.rancher.cloud_credential
  - module: ranchhand.rancher.node_template
"""

EXAMPLES = r"""
- name: Read the fields of a driver
  ranchhand.rancher.node_driver_info:
    name: amazonec2
  register: amazonec2

- name: Show the fields that a credential requires
  ansible.builtin.debug:
    msg: "{{ amazonec2.drivers[0].credential_fields | selectattr('required') | map(attribute='name') }}"
"""

RETURN = r"""
drivers:
  description: The drivers, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the driver, as O(ranchhand.rancher.cloud_credential#module:driver) takes it.
      type: str
      sample: amazonec2
    credential_fields:
      description: >-
        Fields of cloud credentials. Null if the driver has no credentials, or if Rancher has no fields for them.
      type: list
      elements: dict
      contains:
        name:
          description: Name of the field.
          type: str
          sample: secretKey
        type:
          description: Type of the field in Rancher.
          type: str
          sample: password
        required:
          description: Whether the field must not be empty.
          type: bool
          sample: true
        secret:
          description: Whether the field belongs in C(secrets), and not in C(config).
          type: bool
          sample: true
        default:
          description: Value that Rancher uses if the field is not set; null if there is none.
          type: raw
          sample: "443"
        options:
          description: Allowed values; empty if any value is allowed.
          type: list
          elements: str
          sample: []
        description:
          description: Description of the field in Rancher; most fields have none.
          type: str
          sample: ""
    machine_fields:
      description: >-
        Fields of node templates and machine configs, like RV(drivers[].credential_fields). Null if no machines can be
        created with the driver.
      type: list
      elements: dict
      sample:
        - name: region
          type: string
          required: false
          secret: false
          default: us-east-1
          options: []
          description: ""
    issuer:
      description: >-
        Issuer of M(ranchhand.rancher.cloud_credential_rotation) for the driver. Null if new keys have to be supplied.
      type: str
      sample: aws
    issues_keys:
      description: Whether a rotation creates the new key.
      type: bool
      sample: true
    verifies_keys:
      description: >-
        Whether a key can be verified before it is stored, with O(ranchhand.rancher.cloud_credential#module:verify).
      type: bool
      sample: true
    verify_options:
      description: Names that O(ranchhand.rancher.cloud_credential#module:verify_options) allows for the driver.
      type: list
      elements: str
      version_added: 1.0.0
      sample: [region, endpoint_url, ca_bundle]
    disables_keys:
      description: Whether a rotation disables an old key before it deletes it, so that it can be enabled again.
      type: bool
      sample: true
code:
  description: >-
    Failure code. One of V(invalid), V(not_found), V(forbidden), V(unsupported), V(unreachable) and V(server_error).
  returned: failure
  type: str
  sample: not_found
"""

from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.node_driver_info import (
    NODE_DRIVER_INFO,
    list_node_drivers,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.module import main as run_module


def main() -> None:
    run_module(NODE_DRIVER_INFO, list_node_drivers)


if __name__ == "__main__":
    main()
