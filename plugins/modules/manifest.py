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
  - Applies objects with server-side apply as the field manager C(ranchhand.rancher), or deletes them.
  - The role P(ranchhand.rancher.schedule#role) installs CronJobs with it, without another collection. For other
    purposes, use the module C(kubernetes.core.k8s), which has more features.
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
    support: full
notes:
  - Fields set by other clients are preserved, unless an object sets them too.
  - The API server computes in a dry run whether an object would change, also in check mode.
options:
  objects:
    description:
      - Objects, each a mapping with C(apiVersion), C(kind) and C(metadata). They are applied in this order and
        deleted in the reverse order.
      - Secrets are rejected, as results and diffs contain the objects.
    type: list
    elements: raw
    required: true
  state:
    description: State of the objects.
    type: str
    choices: [present, absent]
    default: present
  prune:
    description:
      - Objects that belong together. Those that are not in O(objects) are deleted after O(objects) are applied. Ignored
        with O(state=absent).
    type: dict
    suboptions:
      labels:
        description: Labels of these objects. An object that has all of them belongs to O(objects).
        type: dict
        required: true
      kinds:
        description: Kinds of these objects, which are listed in all namespaces.
        type: list
        elements: dict
        required: true
        suboptions:
          api_version:
            description: API version, such as V(batch/v1).
            type: str
            required: true
          kind:
            description: Kind, such as V(CronJob). Secrets are rejected.
            type: str
            required: true
"""

EXAMPLES = r"""
- name: Apply the objects in a file
  ranchhand.rancher.manifest:
    objects: "{{ lookup('ansible.builtin.file', 'rotation-rbac.yml') | from_yaml_all | list }}"

- name: Apply the ConfigMaps of an application, and delete those that the file does not contain any more
  ranchhand.rancher.manifest:
    objects: "{{ lookup('ansible.builtin.file', 'settings.yml') | from_yaml_all | list }}"
    prune:
      labels: {app.kubernetes.io/instance: settings}
      kinds:
        - {api_version: v1, kind: ConfigMap}
"""

RETURN = r"""
objects:
  description: The objects that were created, updated or deleted.
  returned: success
  type: list
  elements: dict
  sample: [{kind: CronJob, namespace: ranchhand, name: ranchhand-rotate, action: created}]
code:
  description: Failure code. One of V(invalid), V(forbidden), V(conflict), V(unsupported), V(unreachable) and
    V(server_error).
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
