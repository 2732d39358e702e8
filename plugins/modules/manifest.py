#!/usr/bin/python
# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: manifest
short_description: Apply Kubernetes objects to Rancher's management cluster
version_added: 0.1.0
description:
  - Applies objects with server-side apply, as the field manager C(ranchhand.rancher), or deletes them.
  - It is what the role P(ranchhand.rancher.schedule#role) installs CronJobs with, so that no other collection is needed.
    The module C(kubernetes.core.k8s) does more.
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - ranchhand.rancher._attributes
attributes:
  diff_mode:
    support: full
notes:
  - What others set is left alone, unless an object says otherwise.
  - Whether an object would change is asked of the API server by a dry run, in check mode too.
options:
  objects:
    description:
      - The objects, each a mapping with C(apiVersion), C(kind) and C(metadata), in the order in which they are applied. They are deleted in the reverse order.
      - Secrets are refused, as results and differences show what is applied.
    type: list
    elements: raw
    required: true
  state:
    description: Whether the objects should be there.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Apply what is in a file
  ranchhand.rancher.manifest:
    objects: "{{ lookup('ansible.builtin.file', 'rotation-rbac.yml') | from_yaml_all | list }}"
"""

RETURN = r"""
objects:
  description: The objects that were created, updated or deleted.
  returned: success
  type: list
  elements: dict
  sample: [{kind: CronJob, namespace: ranchhand, name: ranchhand-rotate, action: created}]
code:
  description: What kind of failure it is. One of V(invalid), V(forbidden), V(conflict), V(unsupported), V(unreachable) and V(server_error).
  returned: failure
  type: str
  sample: forbidden
"""

from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.manifest import MANIFEST, manage_manifest
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.module import main as run_module


def main() -> None:
    run_module(MANIFEST, manage_manifest)


if __name__ == "__main__":
    main()
