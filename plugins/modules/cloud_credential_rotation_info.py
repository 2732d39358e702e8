#!/usr/bin/python
# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: cloud_credential_rotation_info
short_description: Tell how the rotations of Rancher cloud credentials stand
version_added: 0.1.0
description:
  - Lists cloud credentials with the age of their keys, the phase of their rotation, what comes next and when, and what blocks it.
  - Asks no cloud, and never returns a secret value.
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes.info
attributes:
  async:
    support: none
    details:
      - It runs in the controller's process, which cannot run in the background.
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
  max_age:
    description: The age, such as V(90d), from which on a key is due.
    type: str
  gates:
    description: Also judge what keeps old keys from being retired, but for what only the cloud can tell.
    type: bool
    default: false
  namespace:
    description: Where the records are.
    type: str
    default: rancher-credential-rotation
seealso:
  - module: ranchhand.rancher.cloud_credential_rotation
"""

EXAMPLES = r"""
- name: What is due, and what is stuck
  ranchhand.rancher.cloud_credential_rotation_info:
    max_age: 90d
    gates: true
  register: rotations
"""

RETURN = r"""
rotations:
  description:
    - The credentials by name, each as in RV(ranchhand.rancher.cloud_credential_rotation#module:rotation), less C(action) and C(steps), and with the following.
  returned: success
  type: list
  elements: dict
  contains:
    age:
      description: Age of the key in use, in seconds.
      type: int
      sample: 86400
    age_from:
      description: Who says so. V(record), V(annotation) where the records are elsewhere, or V(secret) where only the date of the Secret is known.
      type: str
      sample: record
    due:
      description: Whether the next step is due.
      type: bool
      sample: false
    due_at:
      description: When it is.
      type: str
      sample: "2026-11-25T02:00:19+00:00"
    running:
      description: Whether a run is at it, or ended without saying so.
      returned: if so
      type: bool
      sample: true
    problem:
      description: What is wrong, such as drift.
      returned: if something is
      type: str
      sample: "drift: it holds another value"
code:
  description: What kind of failure it is. One of V(invalid), V(forbidden), V(conflict), V(unsupported), V(unreachable) and V(server_error).
  returned: failure
  type: str
  sample: forbidden
"""
