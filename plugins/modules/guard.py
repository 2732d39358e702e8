#!/usr/bin/python
# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: guard
short_description: Reject new references to cloud credentials that are being deleted
version_added: 0.1.0
description:
  - Installs ValidatingAdmissionPolicies in Rancher's management cluster that deny all clients new references to a
    cloud credential that M(ranchhand.rancher.cloud_credential) is deleting. That module uses them automatically.
  - Optionally, the policies also deny all clients to delete a credential that was in use when this module last ran.
  - Check mode verifies the guard. The guard is complete and current if nothing would change.
  - Deletes the objects that former versions installed under other names.
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes
attributes:
  check_mode:
    support: full
    details:
      - The API server computes the changes in a dry run, which writes nothing.
  diff_mode:
    support: none
    details:
      - RV(objects) lists the objects that change.
notes:
  - Requires Kubernetes 1.30 or newer, and the permission to manage admission policies.
  - References to a deleted credential are denied for a day, as a form in Rancher's UI may have been opened before the
    deletion.
options:
  state:
    description: State of the guard.
    type: str
    choices: [present, absent]
    default: present
  protect_in_use:
    description:
      - Also deny all clients to delete credentials that are in use when this module runs. Run it daily to keep this
        list current.
      - The message of a denied deletion contains the annotation C(ranchhand.cattle.io/allow-delete), which allows the
        deletion.
      - M(ranchhand.rancher.cloud_credential) sets this annotation after it has checked that the credential is not in
        use, or with O(ranchhand.rancher.cloud_credential#module:force=true).
    type: bool
    default: false
  settle:
    description:
      - Time that a deletion waits after new references are denied, for requests that were admitted before, such as
        V(60s) or V(2m).
      - The default is the longest time that an API server allows for a request.
    type: str
    default: 60s
seealso:
  - module: ranchhand.rancher.cloud_credential
"""

EXAMPLES = r"""
- name: Install or update the guard, and remove the leftovers of killed runs
  ranchhand.rancher.guard:
    protect_in_use: true

- name: Verify the guard
  ranchhand.rancher.guard:
    protect_in_use: true
  check_mode: true
  register: guard
  failed_when: guard is changed
"""

RETURN = r"""
objects:
  description: The objects that were created, updated or deleted.
  returned: success
  type: list
  elements: dict
  sample: [{kind: validatingadmissionpolicies, name: ranchhand-marked-for-deletion, action: created}]
marked_for_deletion:
  description: Names of the credentials to which new references are denied.
  returned: success
  type: list
  elements: str
  sample: [cc-7kq2f]
stale:
  description: Names of existing credentials that a killed run left marked for deletion. References to them are
    allowed again.
  returned: success
  type: list
  elements: str
  sample: []
in_use:
  description: Names of the credentials that are in use.
  returned: success
  type: list
  elements: str
  sample: [cc-9wz4x]
code:
  description: Failure code. One of V(forbidden), V(conflict), V(unsupported), V(unreachable) and V(server_error).
  returned: failure
  type: str
  sample: unsupported
"""

from ansible_collections.ranchhand.rancher.plugins.module_utils._guard.module import GUARD, manage_guard
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.module import main as run_module


def main() -> None:
    run_module(GUARD, manage_guard)


if __name__ == "__main__":
    main()
