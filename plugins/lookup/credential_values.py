# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: credential_values
short_description: Fields of a cloud credential, including the secret ones
version_added: 1.0.0
description:
  - Reads a cloud credential from Rancher and returns its fields, for tasks that store its key in an external store.
  - The result contains secrets. Use it only in arguments of tasks with C(no_log), and never store it as a fact. The
    role P(ranchhand.rancher.rotate#role) does this for the tasks of its variable C(rotate_export_tasks).
  - The connection comes from the variables of the current host, as with P(ranchhand.rancher.connection#lookup), and
    from the environment. C(module_defaults) have no effect.
author:
  - ranchhand contributors (@ranchhand)
options:
  _terms:
    description: Ids of credentials, such as V(cattle-global-data:cc-7kq2f) or V(cc-7kq2f).
    type: list
    elements: str
    required: true
seealso:
  - plugin: ranchhand.rancher.connection
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Store the key in Vault
  community.hashi_vault.vault_kv2_write:
    path: aws-prod
    data: "{{ lookup('ranchhand.rancher.credential_values', 'cc-7kq2f') }}"
  no_log: true
"""

RETURN = r"""
_raw:
  description: A mapping for each id, from the names of the fields to their values, without the prefix of the driver.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.loader import lookup_loader
from ansible.plugins.lookup import LookupBase
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.connection import (
    CONNECTION,
    connection_options,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.metadata import parse_id
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.queries import list_cloud_credentials
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import CREDENTIAL_NAMESPACE


class LookupModule(LookupBase):
    def run(
        self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[dict[str, str]]:
        if kwargs:
            raise AnsibleError("The lookup ranchhand.rancher.credential_values takes only ids of credentials.")
        connection = lookup_loader.get("ranchhand.rancher.connection", loader=self._loader, templar=self._templar)
        (defaults,) = connection.run([], variables)
        try:
            client = KubernetesClient(connection_options(parse_options(CONNECTION, defaults)))
            return [_read(client, str(term)) for term in terms]
        except RanchhandError as error:
            raise AnsibleError(error.message) from None


def _read(client: KubernetesClient, term: str) -> dict[str, str]:
    identifier, errors = parse_id(term, CREDENTIAL_NAMESPACE)
    if errors or identifier is None:
        raise RanchhandError("invalid", f"credential_values takes ids of credentials: {'; '.join(errors)}")
    found = [each for each in list_cloud_credentials(client, [identifier]) if each.id == identifier]
    if not found:
        raise RanchhandError(
            "not_found", f"cloud credential {identifier} does not exist. Check its id and the connection."
        )
    return {name: found[0].text(name) for name in found[0].data}
