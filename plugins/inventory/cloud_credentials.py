# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: cloud_credentials
short_description: One host for each cloud credential of one or several Ranchers
version_added: 0.1.0
description:
  - Creates a host for each cloud credential, which runs on the controller (C(ansible_connection=local)). C(serial),
    C(--limit), a relaunch on failed hosts, and AWX's inventory sources and job slices then apply to credentials.
  - Reads files whose names end in C(cloud_credentials.yml) or C(cloud_credentials.yaml).
  - The name of a host consists of the name of the Rancher and the id of the credential, such as C(prod_cc-7kq2f).
  - Each host has the variables C(cloud_credential) (the result of M(ranchhand.rancher.cloud_credential_info) with
    references and problems), C(cloud_credential_id), C(rancher) (the name of the Rancher), and the connection
    variables that are described under P(ranchhand.rancher.connection#lookup), except C(rancher_api_key). No variable
    contains a secret of a credential or of a connection.
  - C(rancher_kubeconfig) is set if O(kubeconfig) is a path. For the text of a kubeconfig, C(rancher_host) is set to
    its server, so that no playbook uses another Rancher. If the file selects a Rancher by O(kubeconfig), O(context)
    or O(host), the variables are completed from C(K8S_AUTH_*) variables. Otherwise they are not set, and the modules
    read the environment.
  - The hosts are in the group C(cloud_credentials), in C(rancher_NAME), C(driver_NAME), C(owner_ID), C(phase_NAME)
    (of the rotation, such as C(phase_grace) or C(phase_rolling_back)), C(due), C(in_use), C(unused), and
    C(problem_CODE). Characters that are not allowed in the names of groups are replaced with underscores.
  - Checks for which the connection lacks a permission are reported as warnings. If references may be missing, no host
    is in C(unused).
  - If a Rancher cannot be read, no host of the file is created. Ansible only warns about that. In unattended jobs, set
    C(any_unparsed_is_failed=true) in the section C([inventory]) of its configuration, or
    E(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED).
author:
  - ranchhand contributors (@ranchhand)
extends_documentation_fragment:
  - ranchhand.rancher._auth
  - constructed
  - inventory_cache
options:
  plugin:
    description: Name of this plugin.
    type: str
    required: true
    choices: [ranchhand.rancher.cloud_credentials]
  ranchers:
    description:
      - The Ranchers. Each has a C(name) that consists of letters, digits, C(_), C(-) and C(.), and the connection
        options of this plugin. Options that it does not set are taken from the file.
    type: list
    elements: dict
    default: [{name: local}]
  filters:
    description:
      - Include only credentials with this C(name), C(driver) and C(owner). All are optional and match exactly, as in
        M(ranchhand.rancher.cloud_credential_info).
    type: dict
  max_age:
    description: Age at which keys are due, see O(ranchhand.rancher.cloud_credential_info#module:max_age).
    type: str
  policies:
    description: Ages for some of the credentials, see O(ranchhand.rancher.cloud_credential_info#module:policies).
    type: list
    elements: dict
  expires_within:
    description:
      - Report tokens and certificates that expire within this period, see
        O(ranchhand.rancher.cloud_credential_info#module:expires_within).
    type: str
    default: 30d
  query_providers:
    description:
      - Query the cloud providers for the creation time of keys, see
        O(ranchhand.rancher.cloud_credential_info#module:query_providers).
    type: bool
    default: false
  namespace:
    description: Namespace of the records of rotations.
    type: str
    default: rancher-credential-rotation
notes:
  - Options may be templates, which can use lookups and extra variables. A connection option whose template results in
    an empty string is an error.
  - Set the secrets of a connection with a template, an inline vault, or the environment. Playbooks get them from group
    variables of C(rancher_NAME), such as C(rancher_api_key).
seealso:
  - module: ranchhand.rancher.cloud_credential_info
  - plugin: ranchhand.rancher.connection
    plugin_type: lookup
"""

EXAMPLES = r"""
# prod.cloud_credentials.yml: one Rancher with the connection that all modules use, such as K8S_AUTH_KUBECONFIG.
# ansible-inventory -i prod.cloud_credentials.yml --graph
plugin: ranchhand.rancher.cloud_credentials
max_age: 90d

---
# cloud_credentials.yml: two Ranchers. AWS keys of the user billing are due earlier than all others.
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
  old: cloud_credential.key_age_seconds is not none and cloud_credential.key_age_seconds > 180 * 86400
compose:
  rotate_reason: "'policy of ' ~ rancher"
"""

import hashlib
import json
import re
import typing as t
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import yaml
from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError, ValidationErrors
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import (
    OptionSpec,
    parse_options,
    to_builtin,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.cloud_credential_info import (
    CLOUD_CREDENTIAL_INFO,
    HEALTH,
    list_cloud_credential_info,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.connection import (
    CONNECTION,
    connection_options,
    is_complete,
    is_path,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.kubeconfig import source_identity
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.info import FILTERS
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.execute import RunMode, execute

try:
    from ansible.template import trust_as_template
except ImportError:  # up to ansible-core 2.18 every string is a template, unless wrap_var was applied to it
    trust_as_template = str

_MAX_PARALLEL = 8
_PUBLIC = ("context", "host", "ca_cert", "validate_certs", "proxy")

_FILTERS = {name: FILTERS.options[name] for name in ("name", "driver", "owner")}
# Without defaults: what a Rancher does not set is taken from the file.
_RANCHER = {"name": {"type": "str", "required": True}, **{
    name: {key: value for key, value in option.items() if key != "default"}
    for name, option in CONNECTION.options.items()
}}
_FILE = CONNECTION.merge(HEALTH, OptionSpec({
    "ranchers": {"type": "list", "elements": "dict", "options": _RANCHER, "default": [{"name": "local"}]},
    "filters": {"type": "dict", "options": _FILTERS, "default": {}},
}))

Call = t.Mapping[str, t.Any]
Result = t.Mapping[str, t.Any]


def _check(options: Call) -> None:
    """Raise ValidationErrors; an empty option would be read from the environment, perhaps of another Rancher."""
    errors = [f"{name} is empty" for name, value in options.items() if value in ("", [])]
    ranchers = [(index, rancher) for index, rancher in enumerate(options["ranchers"] or ()) if rancher]
    errors += [
        f"ranchers[{index}]: {name} is empty"
        for index, rancher in ranchers for name, value in rancher.items() if value == ""
    ]
    names = [rancher["name"] for _index, rancher in ranchers if rancher["name"]]
    errors += [
        f"ranchers: name {name:.60} must consist of letters, digits, _, - and ., and begin with a letter or a digit"
        for name in names if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name)
    ]
    if len({re.sub(r"\W", "_", name) for name in names}) < len(names):
        errors.append("ranchers: two have the same name, or names that result in the same group")
    if errors:
        raise ValidationErrors(errors)


def _calls(given: Mapping[str, t.Any]) -> dict[str, Call]:
    """Return the options of cloud_credential_info for each Rancher, by name. Raises ValidationErrors."""
    options = parse_options(_FILE, given, _check)
    common = {
        **{name: options[name] for name in CONNECTION.options},
        **{name: given.get(name) for name in HEALTH.options},  # unparsed, as durations are parsed only once
        **options["filters"], "problems": True, "references": True,
    }
    calls: dict[str, Call] = {}
    for rancher in options["ranchers"]:
        own = {name: value for name, value in rancher.items() if name != "name" and value is not None}
        calls[rancher["name"]] = parse_options(CLOUD_CREDENTIAL_INFO, {**common, **own})
    return calls


def _connection_variables(rancher: str, call: Call) -> dict[str, t.Any]:
    """Return the connection variables of the hosts of a Rancher, without secrets. Raises RanchhandError."""
    if all(call[name] is None for name in ("kubeconfig", "context", "host")):
        options = call
    else:  # then the variables select a Rancher, and modules do not read the environment
        try:
            options = connection_options(call)
        except RanchhandError as error:
            raise RanchhandError(error.code, f"Rancher {rancher}: {error.message}") from None
    variables = {f"rancher_{name}": options[name] for name in _PUBLIC if options[name] is not None}
    if is_path(options["kubeconfig"]):
        variables["rancher_kubeconfig"] = options["kubeconfig"]
    elif options["kubeconfig"] is not None:
        variables.pop("rancher_context", None)  # it would select a context of another kubeconfig
        server = options["host"] or _server(options["kubeconfig"], options["context"])
        if server:
            variables["rancher_host"] = server
    return variables


def _server(kubeconfig: t.Any, context: str | None) -> str | None:
    """Return the URL of the server in a kubeconfig that is a mapping or text; None if it is damaged."""
    try:
        config = kubeconfig if isinstance(kubeconfig, Mapping) else yaml.safe_load(kubeconfig)
        contexts = {entry["name"]: entry["context"] for entry in config["contexts"]}
        clusters = {entry["name"]: entry["cluster"] for entry in config["clusters"]}
        return str(clusters[contexts[context or config["current-context"]]["cluster"]]["server"])
    except (yaml.YAMLError, KeyError, TypeError):
        return None


def _identity(calls: Mapping[str, Call]) -> str:
    """Return what identifies the results: Ranchers, users and options. Raises RanchhandError.

    The cache may be a file that others can read, so nothing that can be guessed from it is a secret: of the options, a
    password is left out, and a token is random.
    """
    parts = []
    for name, call in calls.items():
        connection = connection_options(call)
        shown = {option: value for option, value in connection.items() if option not in ("password", "proxy_headers")}
        source = None if is_complete(connection) else source_identity(connection["kubeconfig"], connection["context"])
        parts.append([name, shown, source, {option: call[option] for option in (*_FILTERS, *HEALTH.options)}])
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _read(calls: Mapping[str, Call]) -> dict[str, Result]:
    """Return the result of cloud_credential_info for each Rancher. Raises AnsibleParserError if one of them fails."""
    def read(call: Call) -> Result:
        return execute(list_cloud_credential_info, call, RunMode(check=True))

    with warnings.catch_warnings(), ThreadPoolExecutor(_MAX_PARALLEL) as pool:
        warnings.simplefilter("ignore")
        results = dict(zip(calls, pool.map(read, calls.values())))
    failures = [f"Rancher {name}: {result['msg']}" for name, result in results.items() if result.get("failed")]
    if failures:
        raise AnsibleParserError(f"cannot read the cloud credentials of {'; '.join(failures)}")
    return results


def _host(rancher: str, credential: Mapping[str, t.Any]) -> str:
    return f"{rancher}_{credential['id'].rpartition(':')[2]}"


def _groups(rancher: str, credential: Mapping[str, t.Any], references_complete: bool) -> Iterator[str]:
    yield "cloud_credentials"
    yield f"rancher_{rancher}"
    for name in ("driver", "owner"):
        if credential[name]:
            yield f"{name}_{credential[name]:.80}"  # the owner is an annotation, which may have any length
    if credential["rotation"]:
        yield f"phase_{credential['rotation']['phase']}"
    if credential["due"]:
        yield "due"
    if any(reference.get("use") != "history" for reference in credential["references"]):
        yield "in_use"
    elif references_complete:
        yield "unused"
    for problem in credential["problems"]:
        yield f"problem_{problem['code']}"


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "ranchhand.rancher.cloud_credentials"

    def verify_file(self, path: str) -> bool:
        valid: bool = super().verify_file(path)
        return valid and path.endswith(("cloud_credentials.yml", "cloud_credentials.yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        config = self._read_config_data(path)
        inherited = self.get_options().keys() - _FILE.options.keys()
        self.templar.available_variables = self._vars
        given = self.templar.template({name: value for name, value in config.items() if name not in inherited})
        try:
            calls = _calls(to_builtin(given))
            variables = {rancher: _connection_variables(rancher, call) for rancher, call in calls.items()}
            results = self._results(path, calls, cache)
        except RanchhandError as error:
            raise AnsibleParserError(error.message) from None
        self._reject_known_hosts(results)
        for rancher, result in results.items():
            for incomplete in result.get("problems_incomplete", ()):
                self.display.warning(f"Rancher {rancher}: {incomplete}")
            for credential in result["credentials"]:
                host = self._add_host(rancher, credential, variables[rancher])
                self._add_to_groups(host, _groups(rancher, credential, "references_incomplete" not in result))

    def _results(self, path: str, calls: Mapping[str, Call], cache: bool) -> Mapping[str, Result]:
        """Return the results, from the cache if it may be read and contains results for the same options."""
        if not self.get_option("cache"):
            return _read(calls)
        key = f"{self.get_cache_key(path)}_{_identity(calls)}"
        results: Mapping[str, Result] | None = self._cache.get(key) if cache else None
        if results is None:
            results = self._cache[key] = _read(calls)
        return results

    def _reject_known_hosts(self, results: Mapping[str, Result]) -> None:
        """Raise AnsibleParserError if another inventory source has created a host of the same name."""
        known = {name for name, host in self.inventory.hosts.items() if "cloud_credential_id" in host.vars}
        hosts = {
            _host(rancher, credential) for rancher, result in results.items() for credential in result["credentials"]
        }
        if known & hosts:
            raise AnsibleParserError(
                f"host {min(known & hosts)} comes from another inventory source already; use different names for the"
                " Ranchers of both files"
            )

    def _add_host(self, rancher: str, credential: Mapping[str, t.Any], connection: Mapping[str, t.Any]) -> str:
        host = _host(rancher, credential)
        self.inventory.add_host(host)
        self.inventory.set_variable(host, "ansible_connection", "local")
        interpreter = trust_as_template("{{ ansible_playbook_python }}")
        self.inventory.set_variable(host, "ansible_python_interpreter", interpreter)
        variables = {
            "rancher": rancher, **connection, "cloud_credential_id": credential["id"], "cloud_credential": credential,
        }
        for name, value in variables.items():
            self.inventory.set_variable(host, name, wrap_var(value))
        return host

    def _add_to_groups(self, host: str, groups: t.Iterable[str]) -> None:
        for group in groups:
            self.inventory.add_child(self.inventory.add_group(self._sanitize_group_name(group)), host)
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), self.inventory.get_host(host).get_vars(), host, strict)
        self._add_host_to_composed_groups(self.get_option("groups"), {}, host, strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), {}, host, strict)
