# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: registered
short_description: Results that all hosts of the play have registered
version_added: 1.0.0
description:
  - Returns what each host of the play has registered under a name, as the JSON text of a mapping from host to result.
    Hosts that have not registered anything have C(null).
  - Pass it to O(ranchhand.rancher.report#module:registered). For thousands of credentials, this is much faster than a
    template that reads C(hostvars).
author:
  - ranchhand contributors (@ranchhand)
options:
  _terms:
    description: Name of the registered variable. Exactly one.
    type: list
    elements: str
    required: true
seealso:
  - module: ranchhand.rancher.report
"""

EXAMPLES = r"""
- name: Write a report on the credentials of all hosts
  ranchhand.rancher.report:
    registered: "{{ lookup('ranchhand.rancher.registered', 'listed') }}"
    files:
      html: /var/www/html/credentials.html
  run_once: true
"""

RETURN = r"""
_raw:
  description: A list with one string, the JSON text.
  type: list
  elements: str
"""

import json
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import to_builtin
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.text import short_list


class LookupModule(LookupBase):
    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        if len(terms) != 1 or kwargs:
            raise AnsibleError("The lookup ranchhand.rancher.registered takes one argument: the name of a variable.")
        known = variables or {}
        # Not hostvars[host]: that would template all results, which takes seconds, and minutes with ansible-core 2.17.
        read = known["hostvars"].raw_get
        active = set(map(str, known.get("ansible_play_hosts") or ()))
        unread = [
            str(host) for host in known["ansible_play_hosts_all"] if str(host) in active and terms[0] not in read(host)
        ]
        if unread:
            raise AnsibleError(
                f"{terms[0]} is not registered yet on {short_list(unread)}. The results of all hosts are needed at the"
                " same time: set strategy: linear for the play, and remove serial."
            )
        results = {str(host): to_builtin(read(host).get(terms[0])) for host in known["ansible_play_hosts_all"]}
        # With a leading space, as ansible-core 2.17 parses text that begins with a brace in order to find its type.
        return [" " + json.dumps(results)]
