# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: cloud_credentials
short_description: One host for each cloud credential of one or several Ranchers
version_added: 0.1.0
description:
  - Makes a host of each cloud credential, which runs on the controller (C(ansible_connection=local)). So C(serial), C(--limit), the relaunch on failed hosts,
    and AWX's inventory sources and job slices work on credentials.
  - Reads a file whose name ends in C(cloud_credentials.yml) or C(cloud_credentials.yaml).
  - A host is called as its Rancher and the credential's id, such as C(prod_cc-7kq2f). Its variables are C(cloud_credential), as
    M(ranchhand.rancher.cloud_credential_info) returns it with references and problems, C(cloud_credential_id), C(rancher) with the name of the Rancher, and
    of its connection C(rancher_context), C(rancher_host), C(rancher_ca_cert), C(rancher_validate_certs) and, if O(kubeconfig) is a path,
    C(rancher_kubeconfig), as far as they are given. No secret is among them, neither of a credential nor of a connection.
  - The hosts are in the group C(cloud_credentials), and in C(rancher_NAME), C(driver_NAME), C(owner_ID), C(phase_NAME) of the rotation, C(due), C(in_use),
    C(unused), and C(problem_CODE). Characters that no group may have become underscores. What this connection may not find out is said as a warning;
    where references may be missing, no host is in C(unused).
  - If a Rancher cannot be read, the file yields no host at all. Ansible only warns of that, unless it is told C(any_unparsed_is_failed=true) in the
    section C([inventory]) of its configuration or E(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED), which is what a job without a watcher needs.
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - constructed
  - inventory_cache
options:
  plugin:
    description: Says that the file is for this plugin.
    type: str
    required: true
    choices: [ranchhand.rancher.cloud_credentials]
  ranchers:
    description:
      - The Ranchers. Each has a C(name) of letters, digits, C(_), C(-) and C(.), and connection options as here. What it leaves out is taken from the options
        of the file.
    type: list
    elements: dict
    default: [{name: local}]
  filters:
    description: Only credentials of this C(name), C(driver) and C(owner), as far as given, as in M(ranchhand.rancher.cloud_credential_info).
    type: dict
  max_age:
    description: As O(ranchhand.rancher.cloud_credential_info#module:max_age).
    type: str
  policies:
    description: As O(ranchhand.rancher.cloud_credential_info#module:policies).
    type: list
    elements: dict
  expires_within:
    description: As O(ranchhand.rancher.cloud_credential_info#module:expires_within).
    type: str
    default: 30d
  ask_clouds:
    description: As O(ranchhand.rancher.cloud_credential_info#module:ask_clouds).
    type: bool
    default: false
  namespace:
    description: As O(ranchhand.rancher.cloud_credential_info#module:namespace).
    type: str
    default: rancher-credential-rotation
notes:
  - Options may be templates, which know lookups and the extra variables. A connection option that is empty then is an error, not the default.
  - Secrets of a connection come from a template, an inline vault, or the environment; playbooks get them from group variables of C(rancher_NAME).
seealso:
  - module: ranchhand.rancher.cloud_credential_info
"""

EXAMPLES = r"""
# prod.cloud_credentials.yml: one Rancher, found as all modules find it, with K8S_AUTH_KUBECONFIG for example.
# ansible-inventory -i prod.cloud_credentials.yml --graph
plugin: ranchhand.rancher.cloud_credentials
max_age: 90d

---
# cloud_credentials.yml: two Ranchers. Keys of the team that pays must be newer than all others.
plugin: ranchhand.rancher.cloud_credentials
kubeconfig: ~/.kube/fleet.yaml
ranchers:
  - name: prod
    context: prod
  - name: staging
    host: https://rancher.staging.example.com/k8s/clusters/local
    api_key: "{{ lookup('ansible.builtin.env', 'STAGING_TOKEN') }}"
policies:
  - driver: amazonec2
    owner: billing
    max_age: 30d
  - max_age: 90d
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: .cache
keyed_groups:
  - prefix: region
    key: cloud_credential.config.defaultRegion
  - prefix: user
    key: cloud_credential.owner_name
groups:
  old: cloud_credential.key_age is not none and cloud_credential.key_age > 180 * 86400
compose:
  rotate_reason: "'policy of ' ~ rancher"
"""

import json
import re
import typing as t
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import ValidationErrors
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.connection import is_path
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.cloud_credential_info import CLOUD_CREDENTIAL_INFO, HEALTH, list_cloud_credential_info
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.info import FILTERS
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import OptionSpec, parse_options, to_builtin
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.connection import CONNECTION
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.execute import RunMode, execute

try:
    from ansible.template import trust_as_template
except ImportError:  # before ansible-core 2.19 it is the other way round: every string is a template but for those of wrap_var
    trust_as_template = str

_RANCHERS_AT_ONCE = 8
_PUBLIC = ("context", "host", "ca_cert", "validate_certs")

_FILTERS = {name: FILTERS.options[name] for name in ("name", "driver", "owner")}
_FILE = CONNECTION.merge(HEALTH, OptionSpec({
    "ranchers": {"type": "list", "elements": "dict", "options": {"name": {"type": "str", "required": True}, **CONNECTION.options}, "default": [{"name": "local"}]},
    "filters": {"type": "dict", "options": _FILTERS, "default": {}},
}))


def _check(options: Mapping[str, t.Any]) -> None:
    """Raises ValidationErrors. What a template left empty would be taken from the environment, perhaps of another Rancher."""
    mistakes = [f"{name} is empty" for name, value in options.items() if value in ("", [])]
    ranchers = [(index, rancher) for index, rancher in enumerate(options["ranchers"] or ()) if rancher]
    mistakes += [f"ranchers[{index}]: {name} is empty" for index, rancher in ranchers for name, value in rancher.items() if value == ""]
    names = [rancher["name"] for _index, rancher in ranchers if rancher["name"]]
    mistakes += [
        f"ranchers: {name:.60} is no name; letters, digits, _, - and . are allowed, the first is a letter or a digit"
        for name in names if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name)
    ]
    if len({re.sub(r"\W", "_", name) for name in names}) < len(names):
        mistakes.append("ranchers: two have the same name, or names that give the same group")
    if mistakes:
        raise ValidationErrors(mistakes)


def _calls(given: Mapping[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """The options of cloud_credential_info for each Rancher, by its name. Raises ValidationErrors."""
    options = parse_options(_FILE, given, _check)
    connection, health = {name: options[name] for name in CONNECTION.options}, {name: given.get(name) for name in HEALTH.options}
    common = {**connection, **health, **options["filters"], "problems": True, "references": True}
    return {
        rancher["name"]: parse_options(CLOUD_CREDENTIAL_INFO, {**common, **{name: value for name, value in rancher.items() if name != "name" and value is not None}})
        for rancher in options["ranchers"]
    }


def _public(call: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What the variables of a Rancher's hosts say of its connection."""
    shown = {f"rancher_{name}": call[name] for name in _PUBLIC if call[name] is not None}
    if is_path(call["kubeconfig"]):
        shown["rancher_kubeconfig"] = call["kubeconfig"]
    return shown


def _read(calls: Mapping[str, Mapping[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
    """What cloud_credential_info says of each Rancher. Raises AnsibleParserError if it fails for one."""
    with warnings.catch_warnings(), ThreadPoolExecutor(_RANCHERS_AT_ONCE) as pool:
        warnings.simplefilter("ignore")
        results = dict(zip(calls, pool.map(lambda call: execute(list_cloud_credential_info, call, RunMode(check=True)), calls.values())))
    failures = [f"Rancher {name}: {result['msg']}" for name, result in results.items() if result.get("failed")]
    if failures:
        raise AnsibleParserError(f"cannot read the cloud credentials of {'; '.join(failures)}")
    return results


def _host(rancher: str, credential: Mapping[str, t.Any]) -> str:
    return f"{rancher}_{credential['id'].rpartition(':')[2]}"


def _groups(rancher: str, credential: Mapping[str, t.Any], every_use_known: bool) -> Iterator[str]:
    yield "cloud_credentials"
    yield f"rancher_{rancher}"
    for what in ("driver", "owner"):
        if credential[what]:
            yield f"{what}_{credential[what]}"
    if credential["rotation"]:
        yield f"phase_{credential['rotation']['phase']}"
    if credential["due"]:
        yield "due"
    if credential["references"]:
        yield "in_use"
    elif every_use_known:
        yield "unused"
    for problem in credential["problems"]:
        yield f"problem_{problem['code']}"


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "ranchhand.rancher.cloud_credentials"

    def verify_file(self, path: str) -> bool:
        return super().verify_file(path) and path.endswith(("cloud_credentials.yml", "cloud_credentials.yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        config = self._read_config_data(path)
        theirs = self.get_options().keys() - _FILE.options.keys()
        self.templar.available_variables = self._vars
        given = self.templar.template({name: value for name, value in config.items() if name not in theirs})
        try:
            calls = _calls(to_builtin(given))
        except ValidationErrors as error:
            raise AnsibleParserError(error.message) from None
        results = self._results(path, calls, cache)
        known = {name for name, host in inventory.hosts.items() if "cloud_credential_id" in host.vars}
        twice = known & {_host(rancher, credential) for rancher, result in results.items() for credential in result["credentials"]}
        if twice:
            raise AnsibleParserError(f"{min(twice)} comes from another inventory source already; give the Ranchers of both files names")
        for rancher, result in results.items():
            for incomplete in result.get("problems_incomplete", ()):
                self.display.warning(f"Rancher {rancher}: {incomplete}")
            for credential in result["credentials"]:
                self._add(rancher, credential, _public(calls[rancher]), "references_incomplete" not in result)

    def _results(self, path: str, calls: Mapping[str, Mapping[str, t.Any]], cache: bool) -> dict[str, dict[str, t.Any]]:
        """What is known of each Rancher, from the cache if it may be and what was asked for is the same."""
        if not self.get_option("cache"):
            return _read(calls)
        asked = [[name, _public(call), {option: call[option] for option in (*_FILTERS, *HEALTH.options)}] for name, call in calls.items()]
        key = self.get_cache_key(path + json.dumps(asked))
        results = self._cache.get(key) if cache else None
        if results is None:
            results = self._cache[key] = _read(calls)
        return results

    def _add(self, rancher: str, credential: Mapping[str, t.Any], connection: Mapping[str, t.Any], every_use_known: bool) -> None:
        host = _host(rancher, credential)
        self.inventory.add_host(host)
        self.inventory.set_variable(host, "ansible_connection", "local")
        self.inventory.set_variable(host, "ansible_python_interpreter", trust_as_template("{{ ansible_playbook_python }}"))
        for name, value in {"rancher": rancher, **connection, "cloud_credential_id": credential["id"], "cloud_credential": credential}.items():
            self.inventory.set_variable(host, name, wrap_var(value))
        for group in _groups(rancher, credential, every_use_known):
            self.inventory.add_child(self.inventory.add_group(self._sanitize_group_name(group)), host)
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), self.inventory.get_host(host).get_vars(), host, strict)
        self._add_host_to_composed_groups(self.get_option("groups"), {}, host, strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), {}, host, strict)
