# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: connection
short_description: Connection options of the modules from the variables of a host
version_added: 1.0.0
description:
  - Returns a mapping of connection options for C(module_defaults), from the variables of the current host. All roles,
    playbooks and the inventory plugin of this collection use the same variables.
  - If the host sets none of O(rancher_kubeconfig), O(rancher_host) and O(rancher_context), only the variables that it
    sets are in the mapping. The rest of the connection comes from the environment (E(K8S_AUTH_KUBECONFIG) and the
    other C(K8S_AUTH_*) variables) as if the lookup was not there.
  - If the host sets one of these three, its variables describe the whole connection. The mapping then has
    C(use_environment=false), and the options C(kubeconfig), C(context), C(host), C(api_key), C(ca_cert),
    C(validate_certs) and C(proxy) that the host does not set are null. So neither C(K8S_AUTH_*) variables nor
    C(module_defaults) of the play can direct a task to another Rancher.
  - A variable that is undefined, null or empty is not set.
  - If a host names no server and has a variable of a role that these variables replace, such as C(rotate_kubeconfig),
    the lookup fails, because the role would use another Rancher. If a host names a server, the lookup fails if such a
    variable is set and has not the value of its replacement.
author:
  - ranchhand contributors (@ranchhand)
options:
  rancher_kubeconfig:
    description: Path of a kubeconfig, or its content as a mapping or as YAML text.
    type: raw
    vars:
      - name: rancher_kubeconfig
  rancher_context:
    description: Context of the kubeconfig.
    type: str
    vars:
      - name: rancher_context
  rancher_host:
    description: URL of the API server, for example V(https://rancher.example.com/k8s/clusters/local).
    type: str
    vars:
      - name: rancher_host
  rancher_api_key:
    description: Bearer token. Keep it in a vault.
    type: str
    vars:
      - name: rancher_api_key
  rancher_ca_cert:
    description: Path of the certificates of the authorities to trust.
    type: str
    vars:
      - name: rancher_ca_cert
  rancher_validate_certs:
    description: Whether to verify the certificate of the API server.
    type: bool
    vars:
      - name: rancher_validate_certs
  rancher_proxy:
    description: URL of an HTTP proxy.
    type: str
    vars:
      - name: rancher_proxy
notes:
  - Options of a task override C(module_defaults) of a single module, these override
    C(group/ranchhand.rancher.connection), and that overrides C(group/ranchhand.rancher.all) if the latter is set first
    (by the play, for example).
  - Ansible does not merge two C(module_defaults) of the same group. A role therefore uses the group C(connection), so
    that what a play sets for the group C(all) is kept. Both groups have the same modules.
seealso:
  - module: ranchhand.rancher.cloud_credential
"""

EXAMPLES = r"""
- name: Work on every Rancher of a group
  hosts: ranchers
  gather_facts: false
  module_defaults:
    group/ranchhand.rancher.all: "{{ lookup('ranchhand.rancher.connection') }}"
  tasks:
    - name: List the cloud credentials of this Rancher
      ranchhand.rancher.cloud_credential_info:

- name: Keep the defaults of a play, as a role does
  hosts: ranchers
  gather_facts: false
  tasks:
    - name: Use the connection of this host
      module_defaults:
        group/ranchhand.rancher.connection: "{{ lookup('ranchhand.rancher.connection') }}"
      block:
        - name: List the cloud credentials of this Rancher
          ranchhand.rancher.cloud_credential_info:
"""

RETURN = r"""
_raw:
  description: A list with one mapping of connection options.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import ValidationErrors
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import to_builtin
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._connection import (
    FORMER_VARIABLES,
    VARIABLES,
    connection_defaults,
    reject_former_variables,
)


class LookupModule(LookupBase):
    def run(
        self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[dict[str, t.Any]]:
        if terms or kwargs:
            raise AnsibleError(
                "the lookup ranchhand.rancher.connection takes no arguments: it reads variables of the current host."
            )
        known = variables or {}
        names = [name for name in (*VARIABLES, *FORMER_VARIABLES) if name in known]
        values = {name: to_builtin(self._templar.template(known[name])) for name in names}
        try:
            defaults = connection_defaults(values)
            reject_former_variables(values, defaults)
        except ValidationErrors as error:
            raise AnsibleError(error.message) from None
        return [defaults]
