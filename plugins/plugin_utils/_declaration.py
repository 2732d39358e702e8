# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Rancher has, as a file of variables that declares it.

PRIVATE to the collection. Pure.
"""

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
from ..module_utils._rancher.references import TEMPLATE_NAMESPACE, referenced_name

Shown = t.Mapping[str, t.Any]
Options = t.Dict[str, t.Any]

_HEADER = """\
# What a Rancher has, as variables of the role ranchhand.rancher.cloud_credentials, written by ranchhand.rancher.export.
# No secret is in it. In the place of each is a lookup, for a value from a vault. Until it is there nothing changes, as
# update_secrets: on_create leaves the secrets of what is there alone; to create it anew, the value is needed.
---
"""

# What can stand in a string literal of Jinja; all else goes by its id.
_PLAIN = re.compile(r"[\w .,:/@+()-]+")
# Each makes a template of a text. The last one because it may turn anything into delimiters.
_TEMPLATE = re.compile(r"\{[{%#]|#jinja2")


class _Lookup(str):
    """Text that is meant to be a template."""


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)  # as ansible-lint wants lists

    def text(self, text: str) -> yaml.Node:
        tag = "!unsafe" if _TEMPLATE.search(text) else "tag:yaml.org,2002:str"
        return self.represent_scalar(tag, text, style=None if text.isprintable() and tag != "!unsafe" else '"')

    def lookup(self, text: str) -> yaml.Node:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Dumper.add_representer(str, _Dumper.text)
_Dumper.add_representer(_Lookup, _Dumper.lookup)


def declaration(credentials: t.Sequence[Shown], node_templates: t.Sequence[Shown]) -> str:
    """The file for what cloud_credential_info and node_template_info return; for the same, the same."""
    stored = {_name(one): one for one in credentials}
    words = Counter(word for one in credentials for word in (one["name"], _name(one)))

    def template_options(one: Shown) -> Options:
        identifier = referenced_name(one["cloud_credential"], TEMPLATE_NAMESPACE)
        return _template_options(one, stored[identifier] if identifier else None, words)

    text = _HEADER + _section("cloud_credentials_list", "vault_cloud_credentials", credentials, lambda one: one.get("problem"), _credential_options)
    if node_templates:
        text += "\n" + _section(
            "cloud_credentials_node_templates", "vault_node_templates", node_templates, lambda one: _template_problem(one, stored), template_options)
    return text


def _name(one: Shown) -> str:
    return str(one["id"].rpartition(":")[2])


def _section(
    variable: str, vault: str, objects: t.Sequence[Shown], problem_of: t.Callable[[Shown], str | None], options_of: t.Callable[[Shown], Options]
) -> str:
    same = Counter((one["name"], one["driver"], one["owner"]) for one in objects)
    words = Counter(word for one in objects for word in (one["name"], _name(one)))
    items, problems = [], []
    for one in sorted(objects, key=lambda one: (one["name"], one["id"])):
        problem = problem_of(one)
        if problem:
            problems.append(f"#   {one['id']} ({_comment(one['name'])}) {_comment(problem)}\n")
            continue
        name = one["name"]
        unique = same[name, one["driver"], one["owner"]] == 1 and _kept(name)
        word = name if words[name] == 1 and _kept(name) and _PLAIN.fullmatch(name) else _name(one)
        items.append(_item({**({} if unique else {"id": one["id"]}), **options_of(one)}, f"{vault}['{word}']"))
    return (
        f"{variable}:{'' if items else ' []'}\n" + "".join(items)
        + ("# Not exported, as it could not be declared:\n" + "".join(problems) if problems else "")
    )


def _credential_options(one: Shown) -> Options:
    return {
        **_common(one),
        **({"validate_config": False} if any(problem["code"] == "driver_inactive" for problem in one.get("problems", ())) else {}),
        "config": {field: text for field, text in one["config"].items() if text},  # required ones must not be empty, others are as if not given
        "secrets": one["secret_fields"],
    }


def _template_problem(one: Shown, credentials: t.Mapping[str, Shown]) -> str | None:
    identifier = referenced_name(one["cloud_credential"], TEMPLATE_NAMESPACE)
    credential = credentials.get(identifier or "")
    if one.get("problem") or not one["cloud_credential"]:
        return one.get("problem")
    if credential is None:
        return f"has the cloud credential {one['cloud_credential']}, which is not there"
    return None if credential["driver"] == one["driver"] else f"has a cloud credential of another driver, {credential['id']}"


def _template_options(one: Shown, credential: Shown | None, words: t.Mapping[str, int]) -> Options:
    options = {**_common(one), **{option: one[option] for option in SPEC_OPTIONS if option in one}}
    if credential is None:
        return {**options, "config": one["config"], "secrets": one["secret_fields"]}
    name = credential["name"]
    mine = credential["owner"] == one["owner"]
    by_name = mine and words[name] == 1 and _kept(name) and not re.search("[:/]", name)
    covered = {*credential["config"], *credential["secret_fields"]}
    return {
        **options,
        "cloud_credential": name if by_name else credential["id"],
        **({} if mine else {"validate_config": False}),
        "config": {field: value for field, value in one["config"].items() if field not in covered},
        "left_out": [field for field in one["secret_fields"] if field not in covered],
    }


def _common(one: Shown) -> Options:
    return {option: one[option] for option in ("name", "driver", "owner", "description")}


def _item(options: Options, vault: str) -> str:
    """One item of the list; ``secrets`` are names here, and so is what is ``left_out`` already."""
    secrets = options.pop("secrets", [])
    left_out = [*options.pop("left_out", ()), *(field for field in secrets if not _PLAIN.fullmatch(field))]
    lookups = {field: _Lookup(f"{{{{ {vault}['{field}'] | default('') }}}}") for field in secrets if _PLAIN.fullmatch(field)}
    item: Options = {}
    for name, value in options.items():
        if name == "config":
            left_out += [field for field, one in value.items() if one is not None and not _kept(one)]
            value = {field: one for field, one in value.items() if one is not None and _kept(one)}
        if not _kept(value):
            left_out.append(name)
        elif value not in ("", {}, []):
            item[name] = value
    if lookups:
        item["secrets"] = lookups
    item["update_secrets"] = "on_create"
    text = yaml.dump([item], Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140)
    if left_out:
        text += f"  # left out: {_comment(', '.join(left_out))}\n"
    return textwrap.indent(text, "  ")


def _kept(value: t.Any) -> bool:
    """Whether the modules store a value as it is: they trim text, and null removes."""
    if isinstance(value, (Mapping, list)):
        return all(map(_kept, value.values() if isinstance(value, Mapping) else value))
    return value is not None and (not isinstance(value, str) or trim(value) == value)


def _comment(text: str) -> str:
    """Text that cannot end a comment."""
    return text if text.isprintable() else json.dumps(text)
