# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: member_secrets
short_description: Connections of other Ranchers, for rotations of a key that they contain too
version_added: 1.0.0
description:
  - Returns O(ranchhand.rancher.cloud_credential_rotation#module:external_store_secrets) with an external store for each
    host of the inventory, from the connection variables of the host as in P(ranchhand.rancher.connection#lookup). The
    name of the store is that of the host. The current host is left out.
  - The result may contain secrets, so use it as an argument of a task only and do not store it as a fact.
author:
  - ranchhand contributors (@ranchhand)
options:
  _terms:
    description: Hosts, groups and patterns of hosts. Each must match a host.
    type: list
    elements: str
    required: true
seealso:
  - plugin: ranchhand.rancher.connection
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Retire the old key of a credential that all Ranchers contain
  ranchhand.rancher.cloud_credential_rotation:
    name: aws prod
    state: retired
    external_store_secrets: "{{ lookup('ranchhand.rancher.member_secrets', 'ranchers') }}"
"""

RETURN = r"""
_raw:
  description: A list with one mapping, from the name of each host to a mapping with its C(connection).
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.loader import lookup_loader
from ansible.plugins.lookup import LookupBase
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import ValidationErrors
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import to_builtin
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._connection import (
    FORMER_VARIABLES,
    VARIABLES,
    server_connection,
)


class LookupModule(LookupBase):
    def run(
        self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[dict[str, t.Any]]:
        if kwargs:
            raise AnsibleError("The lookup ranchhand.rancher.member_secrets takes only hosts and patterns of hosts.")
        known = variables or {}
        hosts = lookup_loader.get(
            "ansible.builtin.inventory_hostnames", loader=self._loader, templar=self._templar)
        found: dict[str, dict[str, t.Any]] = {}
        for pattern in self._flatten(terms):
            matching = hosts.run([str(pattern)], known)
            if not matching:
                raise AnsibleError(f"The inventory has no host {str(pattern):.100}, which is to be a member.")
            found.update({host: {} for host in matching if host != known.get("inventory_hostname")})
        return [{host: {"connection": _connection(host, known["hostvars"][host])} for host in found}]


def _connection(host: str, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    given = {name: to_builtin(variables[name]) for name in (*VARIABLES, *FORMER_VARIABLES) if name in variables}
    try:
        return server_connection(given)
    except ValidationErrors as error:
        raise AnsibleError(f"Member {host} has no valid connection: {error.message}") from None
