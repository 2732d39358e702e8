# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry of issuers, their common options, and the issuer of supplied values."""

from __future__ import annotations

import datetime
import json
import sys
from types import ModuleType, SimpleNamespace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import registry
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.options import (
    is_true,
    parse_duration_option,
    require_fields,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.supplied import Supplied
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import Issuer, IssuerError, Key

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
VALUES = {"secretKey": "s", "accessKey": "AKIA1"}


def supplied(values=(), public=(), driver="amazonec2", **issuer_options):
    """Options of the issuer supplied."""
    return {"values": dict(values), "public": public, "driver": driver, "issuer_options": issuer_options}


@pytest.mark.parametrize(("options", "seconds"), [
    ({}, 90), ({"pause": None}, 90), ({"pause": "15s"}, 15), ({"pause": "10s"}, 10), ({"pause": "2m"}, 120),
], ids=str)
def test_a_duration(options, seconds):
    assert parse_duration_option(options, "pause", "90s", 10) == seconds
    assert parse_duration_option({"pause": "0s"}, "pause", "90s") == 0


@pytest.mark.parametrize(("value", "words"), [
    ("9s", "pause must be at least 10s"), ("soon", "pause must be a number with a unit"), (15, "pause must be"),
], ids=repr)
def test_a_wrong_duration(value, words):
    with pytest.raises(IssuerError, match=words) as caught:
        parse_duration_option({"pause": value}, "pause", "90s", 10)
    assert caught.value.code == "invalid"


def test_fields_that_are_not_set():
    values = {"a": "1", "b": "", "c": "3"}
    assert require_fields(values, "c", "a") == ["3", "1"]
    with pytest.raises(IssuerError, match="the credential has no b, d") as caught:
        require_fields(values, "a", "b", "d")
    assert caught.value.code == "invalid"


@pytest.mark.parametrize("text", ["1", "t", "T", "true", "TRUE", "True"])
def test_what_rancher_reads_as_true(text):
    assert is_true(text) and not is_true(f"{text}x") and not is_true("") and not is_true(None)


@pytest.mark.parametrize(("public", "values", "key"), [
    (["accessKey"], VALUES, "AKIA1"), (["b", "a"], {"a": "1", "b": "2"}, "1 2"), (["b", "a"], {"b": "2"}, "2"),
    (["a"], {"a": ""}, "supplied"), ([], VALUES, "supplied"),
], ids=str)
def test_the_id_of_a_supplied_key_consists_of_its_public_fields(public, values, key):
    assert Supplied(supplied(VALUES, public)).key_id(values) == key


def test_a_supplied_value_is_issued():
    issuer = Supplied(supplied(VALUES, verify=False))
    assert issuer.fields == ("accessKey", "secretKey") and not issuer.lists and not issuer.disables
    assert issuer.issue({}, "mark").values == issuer.next_values() == VALUES
    assert issuer.verify(VALUES, VALUES) is None and issuer.delete("AKIA0", VALUES) is None
    none = Supplied(supplied())
    assert none.next_values() is None
    with pytest.raises(IssuerError, match="set config and secrets") as caught:
        none.issue({}, "mark")
    assert caught.value.code == "invalid"


@pytest.mark.parametrize(("driver", "options", "code", "words"), [
    ("digitalocean", {"verify": "no"}, "invalid", "verify in issuer_options must be true or false"),
    ("digitalocean", {"region": "x"}, "invalid", "issuer_options has no option region for driver digitalocean"),
    ("digitalocean", {"verify": False, "ca_bundle": "x"}, "invalid", "ca_bundle have no effect"),
    ("rackspace", {"ca_bundle": "x"}, "invalid", "ca_bundle have no effect"),
    ("rackspace", {"verify": True}, "unsupported", "keys of driver rackspace cannot be verified"),
], ids=str)
def test_options_without_an_effect_on_a_supplied_value(driver, options, code, words):
    with pytest.raises(IssuerError, match=words) as caught:
        Supplied(supplied(VALUES, driver=driver, **options))
    assert caught.value.code == code


def test_a_value_that_cannot_be_verified():
    entry = {"context": {"cluster": "x", "user": "x"}, "cluster": {}, "user": {"client-certificate-data": "x"}}
    kubeconfig = json.dumps({f"{name}s": [{"name": "x", name: content}] for name, content in entry.items()})
    certificate = {"kubeconfigContent": kubeconfig}
    assert Supplied(supplied(certificate, driver="harvester")).verify(certificate, certificate) is None
    with pytest.raises(IssuerError, match="Only tokens can be verified"):
        Supplied(supplied(certificate, driver="harvester", verify=True)).verify(certificate, certificate)


def test_a_supplied_password_is_tried_once():
    assert Supplied(supplied(VALUES, driver="vmwarevsphere")).verify_attempts == 1
    assert Supplied(supplied(VALUES, driver="vmwarevsphere", verify=False)).verify_attempts is None
    assert Supplied(supplied(VALUES)).verify_attempts is None


@pytest.mark.parametrize(("driver", "name"), [
    ("amazonec2", "aws"), ("s3", "aws"), ("harvester", "kubernetes"), ("openstack", "openstack"), ("azure", "azure"),
    ("digitalocean", None),
    (None, None),
], ids=str)
def test_the_issuer_of_a_driver(driver, name):
    assert registry.default_issuer(driver) == name
    issuer = registry.issuer_for(driver)
    assert (issuer and type(issuer).__name__.lower()) == name


def test_the_registry_knows_which_issuers_can_disable_keys():
    options = {"supplied": supplied(), "spaces": {"token": "x"}}
    for name, entry in registry.ISSUERS.items():
        issuer = registry.load_issuer(name, options.get(name, {}))
        assert (issuer.disables, type(issuer).__name__) == (entry.disables, entry.class_name)


@pytest.mark.parametrize(("name", "valid"), [
    ("aws", True), ("my.clouds.water", True), ("my_1.clouds_2.water_3", True), ("my.clouds", False), ("water", False),
    ("My.clouds.water", False), ("my.clouds.water.x", False), ("1my.clouds.water", False), ("my..water", False),
], ids=str)
def test_the_names_of_issuers(name, valid):
    assert registry.is_issuer_name(name) is valid


def test_an_issuer_of_another_collection(monkeypatch):
    module = ModuleType("water")
    module.Issuer = type("Issuer", (Issuer,), {})
    path = "ansible_collections.my.clouds.plugins.plugin_utils.water"
    monkeypatch.setattr(registry.importlib, "import_module", {path: module}.__getitem__)
    assert registry.load_issuer("my.clouds.water", {"a": 1}).options == {"a": 1}
    del module.Issuer
    with pytest.raises(RanchhandError, match=f"{path} has no class Issuer") as caught:
        registry.load_issuer("my.clouds.water", {})
    assert caught.value.code == "invalid"


def test_a_missing_dependency_of_an_issuer_here_is_no_missing_issuer(monkeypatch):
    monkeypatch.setitem(sys.modules, f"{registry.__package__}.aws", None)
    with pytest.raises(ImportError):
        registry.load_issuer("aws", {})


class Listing(Issuer):
    def key_id(self, values):
        return values["id"]

    def keys(self, by):
        return [Key("k1", created_at=START), Key(by["id"], created_at=START + datetime.timedelta(days=1)), Key("k3")]


@pytest.mark.parametrize(("key", "lists", "created_at"), [
    pytest.param("k2", True, START + datetime.timedelta(days=1), id="listed"),
    pytest.param("k2", False, None, id="no list"),
])
def test_when_a_key_was_created(monkeypatch, key, lists, created_at):
    monkeypatch.setattr(registry, "decode_values", lambda credential: credential.values)
    issuer = Listing({})
    issuer.lists = lists
    assert registry.key_created_at(issuer, SimpleNamespace(values={"id": key})) == created_at
    issuer.keys = lambda by: []
    assert registry.key_created_at(issuer, SimpleNamespace(values={"id": key})) is None
