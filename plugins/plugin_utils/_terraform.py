# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Terraform's provider rancher2 manages, as declarations. Pure.

The input is the output of ``terraform show -json`` for a state or a plan
(https://developer.hashicorp.com/terraform/internals/json-format). It contains secrets; the result does not.
"""

from __future__ import annotations

import json
import re
import shlex
import typing as t
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..module_utils._common.text import single_line
from ..module_utils._rancher.node_template import SPEC_OPTIONS
from ._declaration import declaration, dump_items
from ._text_output import printable_line

_HEADER = """\
# Variables of the role ranchhand.rancher.cloud_credentials that declare what Terraform has managed.
# Written by ranchhand.rancher.from_terraform. This file contains no secret: each secret is looked up, for example in a
# vault. Existing objects keep their secrets (update_secrets: on_create), so they need no value. To create an object in
# another Rancher, set its secrets and remove its id.
---
"""
_TASKS_HEADER = """\
# Tasks that declare the machine configs that Terraform has managed.
# Written by ranchhand.rancher.from_terraform. This file contains no secret, and the tasks keep stored ones.
---
"""
_REMOVED_HEADER = "# Written by ranchhand.rancher.from_terraform.\n"

_CREDENTIAL, _TEMPLATE, _MACHINE = "rancher2_cloud_credential", "rancher2_node_template", "rancher2_machine_config_v2"
# For each type of resource: the end of the names of its driver blocks, and the form of its id.
_TYPES = {
    _CREDENTIAL: ("_credential_config", re.compile(r"cattle-global-data:[a-z0-9][a-z0-9.-]*")),
    _TEMPLATE: ("_config", re.compile(r"cattle-global-nt:[a-z0-9][a-z0-9.-]*")),
    _MACHINE: ("_config", re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9.-]*")),
}

# Drivers of the provider, up to 15.0.0. The names of others could have any meaning.
_DRIVERS = {
    **{name: name for name in (
        "amazonec2", "azure", "digitalocean", "google", "harvester", "hetzner", "linode", "nutanix", "opennebula",
        "openstack", "outscale", "s3")},
    "vsphere": "vmwarevsphere",
}
# Arguments whose name in Rancher is not the same in camel case; None if Rancher has no such field.
_FIELDS: dict[tuple[str, str], str | None] = {
    ("amazonec2", "ssh_keypath"): None,
    ("azure", "private_address_only"): None,
    ("azure", "use_public_ip_standard_sku"): "enablePublicIpStandardSku",
    ("digitalocean", "ssh_key_path"): None,
    ("google", "preemptable"): "preemptible",
    ("google", "sub_network"): "subnetwork",
    ("google", "user_data"): "userdata",
    ("openstack", "floating_ip_pool"): "floatingipPool",
    ("s3", "default_endpoint_ca"): "defaultEndpointCA",
    ("s3", "default_skip_ssl_verify"): "defaultSkipSSLVerify",
    ("vmwarevsphere", "custom_attributes"): "customAttribute",
    ("vmwarevsphere", "tags"): "tag",
    ("vmwarevsphere", "vapp_ip_allocation_policy"): "vappIpallocationpolicy",
    ("vmwarevsphere", "vapp_ip_protocol"): "vappIpprotocol",
}
# Password fields of Rancher's cloud credentials.
_SECRETS = {
    "access_token", "auth_encoded_json", "client_secret", "kubeconfig_content", "password", "secret_key", "token",
}
# Sensitive for Terraform, public fields of a cloud credential for Rancher.
_IDENTIFIERS = {"access_key", "client_id", "subscription_id"}
# Arguments of templates and machine configs that are secret, also if a state does not mark them.
_MACHINE_SECRETS = _SECRETS | _IDENTIFIERS | {
    "api_token", "application_credential_secret", "auth_key", "private_key_file", "root_pass", "session_token",
    "ssh_key_contents", "ssh_password", "tenant_id",
}

_KEY = re.compile(r'\[(?:\d+|"(?:[^"\\]|\\.)*")\]')  # of count or for_each
_ADDRESS = re.compile(r"(?:module\.[\w-]+\.)*\w+\.[\w-]+")


@dataclass(frozen=True)
class Resource:
    """A resource of a state; ``driver`` and ``block`` are empty if no or several driver blocks are set."""

    address: str
    type: str
    id: str
    driver: str
    values: t.Mapping[str, t.Any] = field(repr=False)
    sensitive: t.Mapping[str, t.Any] = field(repr=False)
    block: t.Mapping[str, t.Any] = field(repr=False)
    block_sensitive: t.Mapping[str, t.Any] = field(repr=False)

    @property
    def block_address(self) -> str:
        """The address of the block in the configuration, which has no keys of instances."""
        return _KEY.sub("", self.address)


@dataclass(frozen=True)
class Unmapped:
    """What is not in the declaration; ``field`` is empty if it is the whole resource."""

    address: str
    field: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        return {name: printable_line(getattr(self, name)) for name in ("address", "field", "reason")}


def terraform_declaration(document: t.Any) -> dict[str, t.Any]:
    """Convert a state or plan to declarations.

    Args:
        document: The output of ``terraform show -json``, parsed or as text.

    Returns:
        ``declaration``: text of a file of variables, or empty.
        ``machine_configs``: text of a file of tasks, or empty.
        ``commands``: shell commands that remove the declared resources from the state.
        ``removed``: text of a Terraform file that does the same.
        ``references``: ``address`` of each other resource that depends on a declared one, ``refers_to``, ``id``.
        ``unmapped``: ``address``, ``field``, ``reason``.

    Raises:
        ValueError: The document is not one, or it contains no resource of these types.
    """
    try:
        return _convert(_parse(document))
    except RecursionError:
        raise ValueError("the document is nested too deeply. It is not a state or plan of Terraform.") from None


def _convert(document: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    entries = list(_resources(_existing(document)))
    parsed = [_parse_resource(entry) for entry in entries if _is_declarable(entry)]
    resources = [item for item in parsed if isinstance(item, Resource)]
    unmapped = [item for item in parsed if isinstance(item, Unmapped)]
    unmapped += _uncreated(document, {item.address for item in parsed})
    if not resources and not unmapped:
        raise ValueError(
            f"the document contains none of {', '.join(_TYPES)}. Run terraform show -json in the folder of the"
            " configuration that manages them.")
    credentials = [_shown_credential(item, unmapped) for item in resources if item.type == _CREDENTIAL]
    templates = [_shown_template(item, unmapped) for item in resources if item.type == _TEMPLATE]
    tasks = [_machine_task(item, unmapped) for item in resources if item.type == _MACHINE]
    unmapped += _of_other_drivers(credentials, templates)
    kept = {item.address for item in unmapped if not item.field}
    resources = [item for item in resources if item.address not in kept]
    templates = [shown for shown in templates if shown["address"] not in kept]
    return {
        "declaration": declaration(credentials, templates, _HEADER, partial=True) if credentials or templates else "",
        "machine_configs": _TASKS_HEADER + dump_items(tasks) if tasks else "",
        "commands": [f"terraform state rm {shlex.quote(item.address)}" for item in resources],
        "removed": _removed_blocks(resources, {_KEY.sub("", address) for address in kept}),
        "references": _references(entries, resources),
        "unmapped": [item.as_dict() for item in unmapped],
    }


def _parse(document: t.Any) -> t.Mapping[str, t.Any]:
    advice = "Run terraform show -json, for a plan with the file of the plan, and use its output"
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except (ValueError, RecursionError):
            raise ValueError(f"the document is not JSON. {advice}.") from None
    if not isinstance(document, Mapping) or "format_version" not in document:
        if isinstance(document, Mapping) and "lineage" in document:
            raise ValueError(f"the document is a state file in Terraform's internal format. {advice}.")
        raise ValueError(f"the document is not a state or plan of Terraform. {advice}.")
    if not re.fullmatch(r"[01]\.\d+", str(document["format_version"])):
        raise ValueError("format_version of the document is not 0.x or 1.x. This collection does not know the format.")
    return document


def _mapping(value: t.Any) -> t.Mapping[str, t.Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: t.Any) -> list[t.Mapping[str, t.Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _existing(document: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    """Return the root module of what exists. A plan has read it from Rancher before."""
    state = _mapping(document.get("prior_state")) if "planned_values" in document else document
    return _mapping(_mapping(state.get("values")).get("root_module"))


def _resources(root: t.Mapping[str, t.Any]) -> Iterator[t.Mapping[str, t.Any]]:
    modules = [root]
    while modules:
        module = modules.pop()
        yield from _mappings(module.get("resources"))
        modules += reversed(_mappings(module.get("child_modules")))


def _is_declarable(entry: t.Mapping[str, t.Any]) -> bool:
    return str(entry.get("type")) in _TYPES and entry.get("mode") == "managed"


def _uncreated(document: t.Mapping[str, t.Any], known: t.Collection[str]) -> list[Unmapped]:
    """Return the resources that a plan creates; some of their values are unknown until then."""
    changes = [
        change for change in _mappings(document.get("resource_changes"))
        if _is_declarable(change) and str(change.get("address")) not in known
    ]
    reason = "Terraform has not created it yet. Declare it by hand, or apply the plan first"
    return [Unmapped(str(change.get("address")), "", reason) for change in changes]


def _parse_resource(entry: t.Mapping[str, t.Any]) -> Resource | Unmapped:
    address, values = entry.get("address"), _mapping(entry.get("values"))
    sensitive = _mapping(entry.get("sensitive_values"))
    if not isinstance(address, str) or not _ADDRESS.fullmatch(_KEY.sub("", address)) or not address.isprintable():
        return Unmapped(str(address), "", "it has no valid address")
    suffix, form = _TYPES[entry["type"]]
    found = [
        (name[: -len(suffix)], value[0], _mapping((_mappings(sensitive.get(name)) or [{}])[0]))
        for name, value in values.items()
        if name.endswith(suffix) and isinstance(value, list) and value and isinstance(value[0], Mapping)
    ]
    name, block, block_sensitive = found[0] if len(found) == 1 else ("", {}, {})
    resource = Resource(
        address=address, type=entry["type"], id=str(values.get("id")), driver=_DRIVERS.get(name, ""), values=values,
        sensitive=sensitive, block=block, block_sensitive=block_sensitive,
    )
    reason = _problem(entry, resource, len(found), form)
    return Unmapped(address, "", reason) if reason else resource


def _problem(
    entry: t.Mapping[str, t.Any], resource: Resource, blocks: int, form: re.Pattern[str],
) -> str | None:
    """Return why a resource cannot be declared."""
    if not re.search(r"(?:^|/)rancher2$", str(entry.get("provider_name"))):
        return f"it belongs to the provider {entry.get('provider_name')}, not to rancher2"
    if "deposed_key" in entry:
        return "Terraform has yet to delete a former object of it. Run terraform apply first"
    if not form.fullmatch(resource.id):
        return "its id is not one of a Rancher"
    if not resource.driver:
        driver = resource.values.get("driver") or resource.values.get("kind")
        return (
            f"it has several driver blocks: {blocks}" if blocks > 1
            else f"the fields of its driver ({driver}) are not known. Declare it with ranchhand.rancher.export"
        )
    name = resource.values.get("name")
    if not isinstance(name, str) or not name.strip() or _is_sensitive(resource.sensitive.get("name")):
        return "its name is missing or sensitive. Declare it with ranchhand.rancher.export"
    return None


def _is_sensitive(mark: t.Any) -> bool:
    """Whether a value or any part of it is marked as sensitive."""
    if isinstance(mark, Mapping):
        return any(map(_is_sensitive, mark.values()))
    return any(map(_is_sensitive, mark)) if isinstance(mark, list) else mark is True


def _is_empty(value: t.Any) -> bool:
    return value is None or value in ("", [], {})


def _fields(
    resource: Resource, secrets: t.Collection[str], public: t.Collection[str], unmapped: list[Unmapped],
) -> dict[str, t.Any]:
    """Return the public fields of the driver, under Rancher's names. The provider does not send empty ones."""
    config: dict[str, t.Any] = {}
    for argument, value in resource.block.items():
        if _is_empty(value):
            continue
        name = _FIELDS.get((resource.driver, argument), _camel_case(argument))
        reason = None
        if argument in secrets or (_is_sensitive(resource.block_sensitive.get(argument)) and argument not in public):
            reason = "it is sensitive. The stored value is kept"
        elif name is None and value is not False:
            reason = "Rancher has no such field"
        if reason:
            unmapped.append(Unmapped(resource.address, argument, reason))
        elif name is not None:
            config[name] = value
    return config


def _camel_case(argument: str) -> str:
    first, *others = argument.split("_")
    return first + "".join(map(str.capitalize, others))


def _common(resource: Resource, unmapped: list[Unmapped]) -> dict[str, t.Any]:
    description = resource.values.get("description")
    if description and _is_sensitive(resource.sensitive.get("description")):
        unmapped.append(Unmapped(resource.address, "description", "it is sensitive. The stored value is kept"))
        description = ""
    return {
        "address": resource.address, "id": resource.id, "name": resource.values["name"], "driver": resource.driver,
        "owner": "", "description": description if isinstance(description, str) else "",
    }


def _shown_credential(resource: Resource, unmapped: list[Unmapped]) -> dict[str, t.Any]:
    """Return a credential as cloud_credential_info returns it."""
    public = replace(
        resource, block={name: value for name, value in resource.block.items() if name not in _SECRETS})
    return {
        **_common(resource, unmapped),
        "config": _fields(public, (), _IDENTIFIERS, unmapped),
        "secret_fields": [_camel_case(name) for name in resource.block if name in _SECRETS],
    }


def _shown_template(resource: Resource, unmapped: list[Unmapped]) -> dict[str, t.Any]:
    """Return a node template as node_template_info returns it."""
    values, sensitive = resource.values, resource.sensitive
    shown = _common(resource, unmapped)
    for option in SPEC_OPTIONS:
        value = values.get(option)
        if _is_empty(value):
            continue
        if option in _MACHINE_SECRETS or _is_sensitive(sensitive.get(option)):
            unmapped.append(Unmapped(resource.address, option, "it is sensitive. The stored value is kept"))
        elif option == "node_taints":
            shown[option] = [
                {name: taint[name] for name in ("key", "value", "effect") if taint.get(name)}
                for taint in _mappings(value)
            ]
        else:
            shown[option] = value
    return {
        **shown,
        "cloud_credential": str(values.get("cloud_credential_id") or ""),
        "config": _fields(resource, _MACHINE_SECRETS, (), unmapped),
        "secret_fields": [],
    }


def _of_other_drivers(
    credentials: Iterable[t.Mapping[str, t.Any]], templates: Iterable[t.Mapping[str, t.Any]],
) -> list[Unmapped]:
    """Return the templates that declaration() would leave out."""
    drivers = {credential["id"]: credential["driver"] for credential in credentials}
    return [
        Unmapped(template["address"], "", "its cloud credential is of another driver")
        for template in templates
        if drivers.get(template["cloud_credential"], template["driver"]) != template["driver"]
    ]


def _machine_task(resource: Resource, unmapped: list[Unmapped]) -> dict[str, t.Any]:
    namespace, _slash, name = resource.id.partition("/")
    return {
        "name": single_line(f"Declare the machine config {name}"),
        "ranchhand.rancher.machine_config": {
            "name": name, "namespace": namespace, "driver": resource.driver,
            "config": _fields(resource, _MACHINE_SECRETS, (), unmapped),
        },
    }


def _removed_blocks(resources: Iterable[Resource], incomplete: t.Collection[str]) -> str:
    """Return a block for each block of the configuration whose resources are all declared."""
    addresses = dict.fromkeys(item.block_address for item in resources)
    blocks = [
        f"removed {{\n  from = {address}\n  lifecycle {{\n    destroy = false\n  }}\n}}\n"
        for address in addresses if address not in incomplete
    ]
    return "\n".join([_REMOVED_HEADER, *blocks]) if blocks else ""


def _references(entries: Iterable[t.Mapping[str, t.Any]], resources: Iterable[Resource]) -> list[dict[str, str]]:
    """Return what other resources depend on: their expressions need an id instead."""
    moved = list(resources)
    addresses = {item.address for item in moved}
    return [
        {"address": printable_line(entry.get("address")), "refers_to": item.address, "id": item.id}
        for entry in entries if str(entry.get("address")) not in addresses
        for item in moved
        if isinstance(entry.get("depends_on"), list) and item.block_address in entry["depends_on"]
    ]
