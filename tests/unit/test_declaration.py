# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The declaration of what a Rancher has; tests/integration/test_declare.py tests that applying it changes nothing."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
import yaml
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._declaration import declaration
from hypothesis import given
from hypothesis import strategies as st


class Loader(yaml.SafeLoader):
    """Distinguishes templates from text."""


Loader.add_constructor("!unsafe", lambda loader, node: ("unsafe", node.value))


def credential(**more):
    return {
        "id": "cattle-global-data:cc-a", "name": "aws", "driver": "amazonec2", "owner": "u-a", "description": "",
        "config": {"accessKey": "A"}, "secret_fields": ["secretKey"], "created_at": "2026-11-23T20:10:08Z",
        "age_seconds": 5, "problems": [], **more,
    }


def template(**more):
    return {
        "id": "cattle-global-nt:nt-a", "name": "small", "driver": "amazonec2", "owner": "u-a", "description": "",
        "cloud_credential": "cattle-global-data:cc-a", "config": {"region": "eu", "zone": "", "accessKey": ""},
        "secret_fields": ["secretKey", "sshKeyContents"], "use_internal_ip_address": False, "created_at": None,
        "age_seconds": 5, "problems": [], **more,
    }


def loaded(credentials, templates=()):
    return yaml.load(declaration(credentials, templates), Loader)


# Ansible or YAML treats each of these specially; the last one defines delimiters of its own.
SPECIAL = st.sampled_from([
    "{{ x }}", "{% x %}", "{# x #}", "yes", "1.10", "~", "2026-11-23", "a: b", "a #b", "- a",
    "#jinja2: variable_start_string: '['\n[ x ]",
])
TEXTS = st.text() | st.text(alphabet="{}%#:'\"\\ -\n\x85\u2028\u2029\ufeffa!&*") | SPECIAL


@given(TEXTS.filter(str.strip), TEXTS)
def test_any_text_is_preserved_and_is_not_a_template(name, description):
    item, = loaded([credential(name=name, description=description)])["cloud_credentials_list"]
    for option, text in (("name", name), ("description", description)):
        value = item.get(option, "")
        safe, value = (True, value[1]) if isinstance(value, tuple) else (False, value)
        assert value == text or value == "" and (text != text.strip() or not text)
        parts = {value[index:index + size] for index in range(len(value)) for size in (2, 7)}
        assert safe or not {"{{", "{%", "{#", "#jinja2"} & parts


@given(TEXTS, TEXTS)
def test_text_cannot_end_a_comment(name, message):
    problem = {"code": "unreadable", "level": "error", "message": message or "x"}
    assert loaded([credential(name=name, problems=[problem])]) == {"cloud_credentials_list": []}


def test_a_credential_and_its_template():
    assert declaration([credential()], [template()]).partition("---\n")[2] == """\
cloud_credentials_list:
  - name: aws
    driver: amazonec2
    owner: u-a
    config:
      accessKey: A
    secrets:
      secretKey: "{{ vault_cloud_credentials['aws']['secretKey'] | default('') }}"
    update_secrets: on_create

cloud_credentials_node_templates:
  - name: small
    driver: amazonec2
    owner: u-a
    use_internal_ip_address: false
    cloud_credential: aws
    config:
      region: eu
      zone: ''
    update_secrets: on_create
    # left out: sshKeyContents
"""
    assert loaded([]) == {"cloud_credentials_list": []}


def lookups(vault, name, *fields):
    """Return the secrets of an item."""
    return {field: f"{{{{ {vault}['{name}']['{field}'] | default('') }}}}" for field in fields}


@dataclass(frozen=True)
class CredentialCase:
    """Options of the item for a credential with some properties, if there are other credentials too."""

    expected: dict
    properties: dict = field(default_factory=dict)
    others: tuple = ()


ID = "cattle-global-data:cc-a"
BY_ID = {"secrets": lookups("vault_cloud_credentials", "cc-a", "secretKey")}
INACTIVE, UNUSED = {"code": "driver_inactive"}, {"code": "unused"}
ITEMS = {
    "two credentials with this name": CredentialCase(
        {"id": ID, "name": "aws"}, others=(credential(id="cattle-global-data:cc-b"),)),
    "the same name, but another owner": CredentialCase(
        {"id": None, "name": "aws"}, others=(credential(id="cattle-global-data:cc-b", owner="u-b"),)),
    "a name that would be trimmed": CredentialCase({"id": ID, "name": None}, {"name": "aws "}),
    "a description that would be trimmed": CredentialCase({"description": None}, {"description": " d"}),
    "an empty field": CredentialCase(
        {"config": {"accessKey": "A"}}, {"config": {"accessKey": "A", "defaultRegion": ""}}),
    "a field that would be trimmed": CredentialCase(
        {"config": {"defaultRegion": "eu"}}, {"config": {"accessKey": "A ", "defaultRegion": "eu"}}),
    "only unknown fields": CredentialCase(
        {"config": None, "secrets": lookups("vault_cloud_credentials", "aws", "a.b", "items")},
        {"config": {}, "secret_fields": ["a.b", "items"]}),
    "an inactive driver": CredentialCase({"validate_config": False}, {"problems": [UNUSED, INACTIVE]}),
    "an active driver": CredentialCase({"validate_config": None}, {"problems": [UNUSED]}),
    "a name that is not a literal": CredentialCase(BY_ID, {"name": "it's"}),
    "a name that is the id of another credential": CredentialCase(
        BY_ID, {"name": "cc-b"}, (credential(id="cattle-global-data:cc-b", name="b"),)),
}


@pytest.mark.parametrize("case", ITEMS.values(), ids=ITEMS)
def test_items(case):
    items = loaded([credential(**case.properties), *case.others])["cloud_credentials_list"]
    item = next(item for item in items if item.get("id", ID) == ID
                and item.get("owner") == "u-a" and item.get("name") != "b")
    assert {option: item.get(option) for option in case.expected} == case.expected


@dataclass(frozen=True)
class TemplateCase:
    """Options of the item for a template; None if it cannot be declared."""

    expected: dict | None
    template: dict = field(default_factory=dict)
    credential: dict = field(default_factory=dict)


UNREADABLE = {"code": "unreadable", "level": "error", "message": "names no driver"}
CHANGED_VALUES = {"engine_env": {"A": " b"}, "docker_version": "1.2", "config": {"region": None, "openPort": [" 1"]}}
TEMPLATES = {
    "a credential of another owner": TemplateCase(
        {"cloud_credential": ID, "validate_config": False}, credential={"owner": "u-b"}),
    "a credential whose name looks like an id": TemplateCase(
        {"cloud_credential": ID, "validate_config": None}, credential={"name": "cattle-global-data:cc-z"}),
    "a credential whose name has a slash and a colon": TemplateCase(
        {"cloud_credential": "a/b: c", "validate_config": None}, credential={"name": "a/b: c"}),
    "a credential that does not exist": TemplateCase(None, credential={"id": "cattle-global-data:cc-b"}),
    "a credential of another driver": TemplateCase(None, credential={"driver": "azure"}),
    "an unreadable template": TemplateCase(None, {"problems": [UNREADABLE]}),
    "without a credential": TemplateCase(
        {"cloud_credential": None, "secrets": lookups("vault_node_templates", "small", "secretKey", "sshKeyContents")},
        {"cloud_credential": None}),
    "a field whose name is not a literal": TemplateCase(
        {"secrets": None}, {"cloud_credential": None, "secret_fields": ["x'] }}"]}),
    "values that the module would change": TemplateCase(
        {"engine_env": None, "docker_version": "1.2", "config": None}, CHANGED_VALUES),
}


@pytest.mark.parametrize("case", TEMPLATES.values(), ids=TEMPLATES)
def test_templates(case):
    text = declaration([credential(**case.credential)], [template(**case.template)])
    items = yaml.load(text, Loader)["cloud_credentials_node_templates"]
    expected = [] if case.expected is None else [case.expected]
    assert [{option: item.get(option) for option in case.expected} for item in items] == expected
    assert (case.expected is None) == ("# Not exported" in text)


def test_the_order_of_objects_does_not_matter():
    credentials = [credential(id=f"cattle-global-data:cc-{number}", name=f"n{number % 7}") for number in range(20)]
    assert declaration(random.sample(credentials, 20), []) == declaration(credentials, [])
