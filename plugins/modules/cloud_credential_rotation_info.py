#!/usr/bin/python
# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: cloud_credential_rotation_info
short_description: List the status of the rotations of Rancher cloud credentials
version_added: 0.1.0
description:
  - Lists cloud credentials with the age of their keys, the phase of their rotation, its next step, and what the
    rotation waits for.
  - Lists credentials too that were deleted while their rotation has a record, unless O(name), O(name_pattern),
    O(owner) or O(labels) is set, which the record does not contain.
  - Does not contact cloud providers, and never returns secret values.
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
    description: Name of the credentials to list.
    type: str
  id:
    description: Id of the credential to list, such as V(cattle-global-data:cc-7kq2f) or V(cc-7kq2f).
    type: str
  driver:
    description: Driver of the credentials to list.
    type: str
  owner:
    description: User id, username or principal id of the owner of the credentials to list.
    type: str
  name_pattern:
    description: Shell pattern of the names of the credentials to list, such as V(aws *).
    type: str
  labels:
    description: Labels of the credentials to list; all of them must have this value.
    type: dict
  exclude:
    description: Credentials not to list. Each entry is an id, a name, or a shell pattern of these.
    type: list
    elements: str
    default: []
  max_age:
    description: Maximum age of keys, such as V(90d). Older keys are due.
    type: str
  gates:
    description: Whether to evaluate the gates of old keys, except those that need the cloud provider.
    type: bool
    default: false
  namespace:
    description: Namespace of the records.
    type: str
    default: rancher-credential-rotation
seealso:
  - module: ranchhand.rancher.cloud_credential_rotation
"""

EXAMPLES = r"""
- name: List due keys and waiting rotations
  ranchhand.rancher.cloud_credential_rotation_info:
    max_age: 90d
    gates: true
  register: rotations

- name: List the keys of a team, except its sandboxes
  ranchhand.rancher.cloud_credential_rotation_info:
    labels:
      team: a
    exclude: ["* sandbox"]
"""

RETURN = r"""
rotations:
  description:
    - Credentials, sorted by name. Each contains the fields of
      RV(ranchhand.rancher.cloud_credential_rotation#module:rotation), except C(action) and C(steps), and the
      following.
  returned: success
  type: list
  elements: dict
  contains:
    age_seconds:
      description: Age of the credential, in seconds.
      type: int
      sample: 7776000
    key_age_seconds:
      description: Age of the key in use, in seconds.
      type: int
      sample: 86400
    key_age_source:
      description:
        - Source of the age of the key. V(record), V(annotation) if the records are in another namespace, or V(secret)
          if only the creation of the Secret is known.
      type: str
      sample: record
    max_age_seconds:
      description: Maximum age of the key, in seconds; null without O(max_age).
      type: int
      sample: 7776000
    due:
      description: Whether the next step is due.
      type: bool
      sample: false
    due_at:
      description: Time at which the next step is due.
      type: str
      sample: "2026-11-25T02:00:19Z"
    running:
      description: Whether a run is in progress, or was interrupted.
      type: bool
      sample: false
    rotated_elsewhere:
      description:
        - Whether another Rancher rotates the key, with
          O(ranchhand.rancher.cloud_credential_rotation#module:external_stores) of type V(rancher). Then nothing is due
          in this Rancher.
      type: bool
      sample: false
    problems:
      description:
        - Problems of the rotation. C(code) is V(drift), V(restored), V(gone) if the credential was deleted or created
          again, or V(record_unreadable). C(level) is V(error).
      type: list
      elements: dict
      sample:
        - code: drift
          level: error
          message: "cc-7kq2f was changed by another client while its rotation was in phase grace"
    possible_states:
      description:
        - Values of O(ranchhand.rancher.cloud_credential_rotation#module:state) towards which a run could take a step
          now, apart from gates. V(repair) is V(rotated) with
          O(ranchhand.rancher.cloud_credential_rotation#module:repair=true).
      type: list
      elements: str
      sample: [adopted, forgotten]
code:
  description:
    - Failure code. One of V(invalid), V(ambiguous), V(forbidden), V(conflict), V(unsupported), V(unreachable) and
      V(server_error).
  returned: failure
  type: str
  sample: forbidden
"""
