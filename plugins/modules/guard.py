#!/usr/bin/python
# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: guard
short_description: Keep cloud credentials from being used while they are deleted
version_added: 0.1.0
description:
  - Installs ValidatingAdmissionPolicies in Rancher's management cluster that deny, to every client, new references to a cloud credential
    that M(ranchhand.rancher.cloud_credential) is deleting. That module uses them without being told.
  - Optionally they also deny deleting a credential that was in use when this module last ran.
  - Check mode verifies the guard. It is in order if nothing would change.
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes
attributes:
  diff_mode:
    support: none
    details:
      - RV(objects) says what changes.
notes:
  - Needs Kubernetes 1.30 or newer, and the right to manage admission policies.
  - Names stay condemned for a day after a credential was deleted, as a form in Rancher's UI may have been opened before.
options:
  state:
    description: Whether the guard should be there.
    type: str
    choices: [present, absent]
    default: present
  protect_in_use:
    description:
      - Also deny deleting credentials that are in use at the time this runs, whoever deletes them. Run it daily to keep that up to date.
      - The message names the annotation C(ranchhand.cattle.io/allow-delete) that lets a deletion pass.
      - M(ranchhand.rancher.cloud_credential) sets it itself, after it has seen that nothing refers to the credential,
        or with O(ranchhand.rancher.cloud_credential#module:force=true).
    type: bool
    default: false
  settle:
    description:
      - Seconds that a deletion waits after new references are denied, for requests that were let in before.
      - The default is the longest time that an API server gives a request.
    type: int
    default: 60
seealso:
  - module: ranchhand.rancher.cloud_credential
"""

EXAMPLES = r"""
- name: Install or update the guard, and clear what killed runs left
  ranchhand.rancher.guard:
    protect_in_use: true

- name: Verify it
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
  sample: [{kind: validatingadmissionpolicies, name: ranchhand-condemned, action: created}]
condemned:
  description: Names of the credentials to which new references are denied.
  returned: success
  type: list
  elements: str
  sample: [cc-7kq2f]
stale:
  description: Names that a killed run left condemned although the credential is still there; they are cleared.
  returned: success
  type: list
  elements: str
  sample: []
in_use:
  description: Names of the credentials that were found in use.
  returned: success
  type: list
  elements: str
  sample: [cc-9wz4x]
code:
  description: What kind of failure it is. One of V(forbidden), V(conflict), V(unsupported), V(unreachable) and V(server_error).
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
