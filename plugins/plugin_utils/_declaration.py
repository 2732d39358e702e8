# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cloud credentials and node templates of a Rancher as a file of variables that declares them. Pure."""

from __future__ import annotations

import json
import re
import textwrap
import typing as t
from collections import Counter
from collections.abc import Mapping

import yaml

from ..module_utils._common.text import trim
from ..module_utils._rancher.node_template import SPEC_OPTIONS
from ..module_utils._rancher.references import TEMPLATE_NAMESPACE, credential_id, referenced_name

Shown = t.Mapping[str, t.Any]
Options = t.Dict[str, t.Any]

_HEADER = """\
# Variables of the role ranchhand.rancher.cloud_credentials that declare what a Rancher has.
# Written by ranchhand.rancher.export. This file contains no secret: each secret is looked up, for example in a vault.
# Existing objects keep their secrets (update_secrets: on_create), so they need no value. To recreate an object, set it.
---
"""

# Text that a string literal of Jinja can contain; an object with another name is referred to by its id.
_LITERAL = re.compile(r"[\w .,:/@+()-]+")
# Ansible treats a text with any of these as a template. #jinja2 can define any other delimiter.
_TEMPLATE = re.compile(r"\{[{%#]|#jinja2")


class _Lookup(str):
    """Text that is a template on purpose."""


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)  # the indentation of lists that ansible-lint requires

    def text(self, text: str) -> yaml.Node:
        tag = "!unsafe" if _TEMPLATE.search(text) else "tag:yaml.org,2002:str"
        return self.represent_scalar(tag, text, style=None if text.isprintable() and tag != "!unsafe" else '"')

    def lookup(self, text: str) -> yaml.Node:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Dumper.add_representer(str, _Dumper.text)
_Dumper.add_representer(_Lookup, _Dumper.lookup)


def dump_items(items: t.Sequence[Options]) -> str:
    """Return a list as YAML in which Ansible evaluates no text as a template, except lookups of the collection."""
    return str(yaml.dump(items, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140))


def declaration(
    credentials: t.Sequence[Shown], node_templates: t.Sequence[Shown], header: str = _HEADER, partial: bool = False,
) -> str:
    """Return the file for results of cloud_credential_info and node_template_info; equal for equal objects.

    Args:
        partial: Whether the Rancher may have more objects. Each item gets its id, as others may have the same name,
            and a node template may use a credential that is not in ``credentials``.
    """
    by_name = {_object_name(credential): credential for credential in credentials}
    words = _words(credentials)

    def template_options(template: Shown) -> Options:
        name = referenced_name(template["cloud_credential"], TEMPLATE_NAMESPACE)
        return _template_options(template, by_name.get(name) if name else None, words)

    text = header + _section(
        "cloud_credentials_list", "vault_cloud_credentials", credentials, _unreadable, _credential_options, partial)
    if node_templates:
        text += "\n" + _section(
            "cloud_credentials_node_templates", "vault_node_templates", node_templates,
            lambda template: _template_problem(template, by_name, partial), template_options, partial)
    return text


def _object_name(shown: Shown) -> str:
    """Return the name of the Kubernetes object."""
    return str(shown["id"].rpartition(":")[2])


def _words(objects: t.Iterable[Shown]) -> Counter[str]:
    """Count the objects to which each name or id refers."""
    return Counter(word for shown in objects for word in (shown["name"], _object_name(shown)))


def _unreadable(shown: Shown) -> str | None:
    """Return the reason if Rancher cannot read the object."""
    messages = (problem["message"] for problem in shown.get("problems", ()) if problem["code"] == "unreadable")
    return next(messages, None)


def _section(
    variable: str, vault: str, objects: t.Sequence[Shown], problem_of: t.Callable[[Shown], str | None],
    options_of: t.Callable[[Shown], Options], partial: bool,
) -> str:
    same = Counter((shown["name"], shown["driver"], shown["owner"]) for shown in objects)
    words = _words(objects)
    items, problems = [], []
    for shown in sorted(objects, key=lambda shown: (shown["name"], shown["id"])):
        problem = problem_of(shown)
        name = shown["name"]
        if problem:
            problems.append(f"#   {shown['id']} ({_comment(name)}) {_comment(problem)}\n")
            continue
        unique = not partial and same[name, shown["driver"], shown["owner"]] == 1 and _is_stored_unchanged(name)
        identifier = {} if unique else {"id": shown["id"]}
        literal = words[name] == 1 and _is_stored_unchanged(name) and _LITERAL.fullmatch(name)
        word = name if literal else _object_name(shown)
        items.append(_item({**identifier, **options_of(shown)}, f"{vault}['{word}']"))
    text = f"{variable}:\n{''.join(items)}" if items else f"{variable}: []\n"
    return text + ("# Not exported, because they cannot be declared:\n" + "".join(problems) if problems else "")


def _credential_options(credential: Shown) -> Options:
    options = _common_options(credential)
    if any(problem["code"] == "driver_inactive" for problem in credential.get("problems", ())):
        options["validate_config"] = False
    # A required field must not be empty; another empty field is the same as a missing one.
    options["config"] = {field: text for field, text in credential["config"].items() if text}
    options["secrets"] = credential["secret_fields"]
    return options


def _template_problem(template: Shown, credentials: t.Mapping[str, Shown], partial: bool) -> str | None:
    unreadable = _unreadable(template)
    if unreadable or not template["cloud_credential"]:
        return unreadable
    credential = credentials.get(referenced_name(template["cloud_credential"], TEMPLATE_NAMESPACE) or "")
    if credential is None:
        missing = f"refers to the cloud credential {template['cloud_credential']}, which does not exist"
        return None if partial else missing
    if credential["driver"] != template["driver"]:
        return f"refers to a cloud credential of another driver, {credential['id']}"
    return None


def _template_options(template: Shown, credential: Shown | None, words: t.Mapping[str, int]) -> Options:
    options = _common_options(template)
    options.update({option: template[option] for option in SPEC_OPTIONS if option in template})
    if credential is None:
        own = {"config": template["config"], "secrets": template["secret_fields"]}
        return {**options, "cloud_credential": template["cloud_credential"], **own}
    name = credential["name"]
    same_owner = credential["owner"] == template["owner"]
    by_name = same_owner and words[name] == 1 and _is_stored_unchanged(name) and credential_id(name) is None
    options["cloud_credential"] = name if by_name else credential["id"]
    if not same_owner:
        options["validate_config"] = False
    covered = {*credential["config"], *credential["secret_fields"]}
    options["config"] = {field: value for field, value in template["config"].items() if field not in covered}
    options["left_out"] = [field for field in template["secret_fields"] if field not in covered]
    return options


def _common_options(shown: Shown) -> Options:
    return {option: shown[option] for option in ("name", "driver", "owner", "description")}


def _item(options: Options, vault: str) -> str:
    """Return an item of the list; ``secrets`` and ``left_out`` are names of fields."""
    secrets = options.pop("secrets", [])
    left_out = [*options.pop("left_out", ()), *(field for field in secrets if not _LITERAL.fullmatch(field))]
    item: Options = {}
    for name, value in options.items():
        if name == "config":
            config = {field: text for field, text in value.items() if text is not None}
            left_out += [field for field, text in config.items() if not _is_stored_unchanged(text)]
            value = {field: text for field, text in config.items() if _is_stored_unchanged(text)}
        if not _is_stored_unchanged(value):
            left_out.append(name)
        elif value not in ("", {}, []):
            item[name] = value
    lookups = {
        field: _Lookup(f"{{{{ {vault}['{field}'] | default('') }}}}") for field in secrets if _LITERAL.fullmatch(field)
    }
    if lookups:
        item["secrets"] = lookups
    item["update_secrets"] = "on_create"
    text = dump_items([item])
    if left_out:
        text += f"  # left out: {_comment(', '.join(left_out))}\n"
    return textwrap.indent(text, "  ")


def _is_stored_unchanged(value: t.Any) -> bool:
    """Whether the modules store a value as it is: they trim text, and null removes a value."""
    if isinstance(value, Mapping):
        return all(map(_is_stored_unchanged, value.values()))
    if isinstance(value, list):
        return all(map(_is_stored_unchanged, value))
    return value is not None and (not isinstance(value, str) or trim(value) == value)


def _comment(text: str) -> str:
    """Return text that cannot end a comment."""
    return text if text.isprintable() else json.dumps(text)
