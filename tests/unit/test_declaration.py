# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Rancher has as a file of variables; that applying it changes nothing is tested in tests/integration/test_declare.py."""

from __future__ import annotations

import random

import pytest
import yaml
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._declaration import declaration
from hypothesis import given
from hypothesis import strategies as st


class Loader(yaml.SafeLoader):
    """Tells what is a template from what is not."""


Loader.add_constructor("!unsafe", lambda loader, node: ("unsafe", node.value))


def credential(**more):
    return {"id": "cattle-global-data:cc-a", "name": "aws", "driver": "amazonec2", "owner": "u-a", "description": "", "config": {"accessKey": "A"},
            "secret_fields": ["secretKey"], "created_at": "2026-11-23T20:10:08Z", "age": 5, **more}


def template(**more):
    return {"id": "cattle-global-nt:nt-a", "name": "small", "driver": "amazonec2", "owner": "u-a", "description": "",
            "cloud_credential": "cattle-global-data:cc-a", "config": {"region": "eu", "zone": "", "accessKey": ""},
            "secret_fields": ["secretKey", "sshKeyContents"], "use_internal_ip_address": False, "created_at": None, "age": 5, **more}


def loaded(credentials, templates=()):
    return yaml.load(declaration(credentials, templates), Loader)


# Ansible has its own idea of each; the last one is a template of its own delimiters.
TEXTS = st.one_of(st.text(), st.text(alphabet="{}%#:'\"\\ -\n\x85\u2028\u2029\ufeffa!&*"), st.sampled_from(
    ["{{ x }}", "{% x %}", "{# x #}", "yes", "1.10", "~", "2026-11-23", "a: b", "a #b", "- a", "#jinja2: variable_start_string: '['\n[ x ]"]))


@given(TEXTS.filter(str.strip), TEXTS)
def test_any_text_comes_back_and_is_no_template(name, description):
    item, = loaded([credential(name=name, description=description)])["cloud_credentials_list"]
    for option, text in (("name", name), ("description", description)):
        value = item.get(option, "")
        safe, value = (True, value[1]) if isinstance(value, tuple) else (False, value)
        assert value == text or value == "" and (text != text.strip() or not text)
        assert safe or not {"{{", "{%", "{#", "#jinja2"} & {value[place:place + size] for place in range(len(value)) for size in (2, 7)}


@given(TEXTS, TEXTS)
def test_comments_end_where_they_should(name, problem):
    assert loaded([credential(name=name, problem=problem or "x")]) == {"cloud_credentials_list": []}


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


# Per case: what else is there, what is there, what its item has.
ITEMS = {
    "a name that is there twice": ([credential(id="cattle-global-data:cc-b")], {}, {"id": "cattle-global-data:cc-a", "name": "aws"}),
    "twice, but of another owner": ([credential(id="cattle-global-data:cc-b", owner="u-b")], {}, {"id": None, "name": "aws"}),
    "a name that would be trimmed": ([], {"name": "aws "}, {"id": "cattle-global-data:cc-a", "name": None}),
    "a description that would be trimmed": ([], {"description": " d"}, {"description": None}),
    "an empty field": ([], {"config": {"accessKey": "A", "defaultRegion": ""}}, {"config": {"accessKey": "A"}}),
    "a field that would be trimmed": ([], {"config": {"accessKey": "A ", "defaultRegion": "eu"}}, {"config": {"defaultRegion": "eu"}}),
    "no field that is known": ([], {"config": {}, "secret_fields": ["a.b", "items"]}, {"config": None, "secrets": {
        "a.b": "{{ vault_cloud_credentials['aws']['a.b'] | default('') }}", "items": "{{ vault_cloud_credentials['aws']['items'] | default('') }}"}}),
    "an inactive driver": ([], {"problems": [{"code": "unused"}, {"code": "driver_inactive"}]}, {"validate_config": False}),
    "an active one": ([], {"problems": [{"code": "unused"}]}, {"validate_config": None}),
    "a name that is no literal": ([], {"name": "it's"}, {"secrets": {"secretKey": "{{ vault_cloud_credentials['cc-a']['secretKey'] | default('') }}"}}),
    "a name that is another's id": ([credential(id="cattle-global-data:cc-b", name="b")], {"name": "cc-b"}, {
        "secrets": {"secretKey": "{{ vault_cloud_credentials['cc-a']['secretKey'] | default('') }}"}}),
}


@pytest.mark.parametrize("what", ITEMS)
def test_items(what):
    others, changes, expected = ITEMS[what]
    item = next(one for one in loaded([credential(**changes), *others])["cloud_credentials_list"] if one.get("id", credential()["id"]) == credential()["id"]
                and one.get("owner") == "u-a" and one.get("name") != "b")
    assert {option: item.get(option) for option in expected} == expected


# Per case: the credential, the template, what its item has; None if it is not exported.
TEMPLATES = {
    "another owner's credential": ({"owner": "u-b"}, {}, {"cloud_credential": "cattle-global-data:cc-a", "validate_config": False}),
    "a credential whose name looks like an id": ({"name": "a:b"}, {}, {"cloud_credential": "cattle-global-data:cc-a", "validate_config": None}),
    "a credential that is gone": ({"id": "cattle-global-data:cc-b"}, {}, None),
    "a credential of another driver": ({"driver": "azure"}, {}, None),
    "a problem": ({}, {"problem": "names no driver"}, None),
    "without a credential": ({}, {"cloud_credential": None}, {"cloud_credential": None, "secrets": {
        field: f"{{{{ vault_node_templates['small']['{field}'] | default('') }}}}" for field in ("secretKey", "sshKeyContents")}}),
    "a field that nobody would name so": ({}, {"cloud_credential": None, "secret_fields": ["x'] }}"]}, {"secrets": None}),
    "what the module cannot store so": ({}, {"engine_env": {"A": " b"}, "docker_version": "1.2", "config": {"region": None, "openPort": [" 1"]}}, {
        "engine_env": None, "docker_version": "1.2", "config": None}),
}


@pytest.mark.parametrize("what", TEMPLATES)
def test_templates(what):
    changed, changes, expected = TEMPLATES[what]
    text = declaration([credential(**changed)], [template(**changes)])
    items = yaml.load(text, Loader)["cloud_credentials_node_templates"]
    assert [{option: item.get(option) for option in expected} for item in items] == ([] if expected is None else [expected])
    assert (expected is None) == ("# Not exported" in text)


def test_the_same_whatever_the_order():
    credentials = [credential(id=f"cattle-global-data:cc-{number}", name=f"n{number % 7}") for number in range(20)]
    assert declaration(random.sample(credentials, 20), []) == declaration(credentials, [])
