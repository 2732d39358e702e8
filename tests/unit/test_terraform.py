# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversion of Terraform's states and plans, recorded with the provider 7.3.2 and a running Rancher 2.11.0."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._terraform import terraform_declaration
from hypothesis import given
from hypothesis import strategies as st

RECORDINGS = Path(__file__).parents[1] / "support" / "recordings"
STATE = json.loads((RECORDINGS / "terraform-state.json").read_text(encoding="utf-8"))
PLAN = json.loads((RECORDINGS / "terraform-plan.json").read_text(encoding="utf-8"))
RECORDED = {resource["address"]: resource for resource in STATE["values"]["root_module"]["resources"]}
AWS, AZURE, TEMPLATE, MACHINE = (
    f"rancher2_{name}" for name in (
        "cloud_credential.aws", "cloud_credential.az", "node_template.nt", "machine_config_v2.mc"))


def resource(address, base=AWS, sensitive=None, block=None, drop=(), **values):
    """Return a recorded resource with another address and other values; ``block`` changes its driver block."""
    changed = copy.deepcopy(RECORDED[base])
    changed["address"] = address
    name = next(name for name, value in changed["values"].items() if name.endswith("_config") and value)
    changed["values"][name][0].update(block or {})
    changed["values"].update(values)
    changed["sensitive_values"].update(sensitive or {})
    return {key: value for key, value in changed.items() if key not in drop}


def state(*resources, modules=()):
    root = {"resources": list(resources), "child_modules": list(modules)}
    return {"format_version": "1.0", "terraform_version": "1.9.4", "values": {"root_module": root}}


def with_driver(name, driver, fields, sensitive=()):
    suffix = "_credential_config"
    blocks = {f"amazonec2{suffix}": [], f"{name}{suffix}": [fields]}
    changed = resource("rancher2_cloud_credential.x", id="cattle-global-data:cc-x", driver=driver, **blocks)
    changed["sensitive_values"] = {f"{name}{suffix}": [dict.fromkeys(sensitive, True)]}
    return changed


def credentials(result):
    return yaml.safe_load(result["declaration"])["cloud_credentials_list"]


def reasons(result):
    return {(item["address"], item["field"]): item["reason"] for item in result["unmapped"]}


def test_recorded_state():
    result = terraform_declaration(STATE)
    declared = yaml.safe_load(result["declaration"])
    assert declared["cloud_credentials_list"][0] == {
        "id": "cattle-global-data:cc-7smw5", "name": "tf aws", "driver": "amazonec2",
        "description": "made by terraform",
        "config": {"accessKey": "AKIATF0001", "defaultRegion": "eu-central-1"},
        "secrets": {"secretKey": "{{ vault_cloud_credentials['tf aws']['secretKey'] | default('') }}"},
        "update_secrets": "on_create",
    }
    template, = declared["cloud_credentials_node_templates"]
    assert (template["id"], template["cloud_credential"]) == ("cattle-global-nt:nt-tdztm", "tf aws")
    assert template["config"]["securityGroup"] == ["sg1"] and "accessKey" not in template["config"]
    task, = yaml.safe_load(result["machine_configs"])
    machine = task["ranchhand.rancher.machine_config"]
    config = machine.pop("config")
    assert machine == {"name": "nc-tf-mc-5g56k", "namespace": "fleet-default", "driver": "amazonec2"}
    assert config["rootSize"] == "16" and config["monitoring"] is False
    assert result["commands"] == [f"terraform state rm {address}" for address in (AWS, AZURE, MACHINE, TEMPLATE)]
    assert result["removed"].count("destroy = false") == 4 and f"  from = {AWS}\n" in result["removed"]
    assert result["unmapped"] == [] == result["references"]


def test_recorded_plan_declares_what_exists():
    """The key was replaced outside of Terraform, and the plan would bring the former one back."""
    found, = credentials(terraform_declaration(PLAN))
    assert found["config"]["accessKey"] == "AKIANEW0002"


@pytest.mark.parametrize("document", [STATE, PLAN], ids=["state", "plan"])
def test_no_secret(document):
    text = json.dumps(terraform_declaration(document))
    assert "tfsecret0001" not in text and "csec123456" not in text


@pytest.mark.parametrize(("document", "message"), [
    pytest.param("PK\x03\x04", "is not JSON", id="binary plan"),
    pytest.param("", "is not JSON", id="empty"),
    pytest.param('{"@level":"info"}\n{"@level":"info"}', "is not JSON", id="log"),
    pytest.param("[" * 200000, "is not JSON", id="deep"),
    pytest.param([], "not a state or plan", id="list"),
    pytest.param(None, "not a state or plan", id="null"),
    pytest.param({"a": "Secret0"}, "not a state or plan", id="other JSON"),
    pytest.param({"version": 4, "lineage": "x", "resources": []}, "internal format", id="internal format"),
    pytest.param({"format_version": "2.0"}, "not 0.x or 1.x", id="later format"),
    pytest.param({"format_version": "1.0"}, "contains none of rancher2_cloud_credential", id="empty state"),
    pytest.param(state({"type": "aws_iam_user", "mode": "managed"}), "contains none of", id="other resources"),
    pytest.param(state(resource(AWS, drop=["mode"])), "contains none of", id="data source"),
    pytest.param({"format_version": "1.0", "values": 5}, "contains none of", id="wrong type"),
])
def test_other_documents(document, message):
    with pytest.raises(ValueError, match=message) as raised:
        terraform_declaration(document)
    assert "\n" not in str(raised.value) and "Secret0" not in str(raised.value)


@pytest.mark.parametrize(("changed", "reason"), [
    pytest.param(resource(AWS) | {"provider_name": "acme/cloud"}, "provider acme/cloud, not", id="provider"),
    pytest.param(resource(AWS) | {"deposed_key": "ab12"}, "former object", id="deposed"),
    pytest.param(resource(AWS, id="u-1"), "not one of a Rancher", id="id"),
    pytest.param(resource(AWS, id=None), "not one of a Rancher", id="unknown id"),
    pytest.param(resource(AWS, name=""), "name is missing", id="name"),
    pytest.param(resource(AWS, sensitive={"name": True}), "missing or sensitive", id="sensitive name"),
    pytest.param(resource(AWS, azure_credential_config=[{"client_id": "x"}]), "several driver", id="two drivers"),
    pytest.param(resource(AWS, amazonec2_credential_config=[], driver="hcloud"), "driver (hcloud)", id="no driver"),
    pytest.param(with_driver("acme", "acme", {"key": "Secret0"}), "not known", id="unknown driver"),
    pytest.param(resource("rancher2_x.a\nterraform destroy"), "valid address", id="address"),
    pytest.param(resource("rancher2_x.a { } x"), "valid address", id="address with a block"),
    pytest.param(
        resource(TEMPLATE, TEMPLATE, id="user-1:nt-1"), "not one of a Rancher", id="template of Rancher 2.3"),
])
def test_resources_that_cannot_be_declared(changed, reason):
    result = terraform_declaration(state(changed))
    found, = result["unmapped"]
    assert found["field"] == "" and reason in found["reason"]
    assert result["commands"] == [] and result["removed"] == "" and "Secret0" not in str(result)


@pytest.mark.parametrize(("name", "driver", "fields", "config", "secrets"), [
    pytest.param(
        "vsphere", "vmwarevsphere", {"username": "u", "password": "Secret0", "vcenter": "v", "vcenter_port": "443"},
        {"username": "u", "vcenter": "v", "vcenterPort": "443"}, ["password"], id="vsphere"),
    pytest.param(
        "google", "google", {"auth_encoded_json": "Secret0"}, None, ["authEncodedJson"], id="google"),
    pytest.param(
        "harvester", "harvester", {"cluster_id": "c-1", "cluster_type": "imported", "kubeconfig_content": "Secret0"},
        {"clusterId": "c-1", "clusterType": "imported"}, ["kubeconfigContent"], id="harvester"),
    pytest.param(
        "s3", "s3", {"access_key": "A", "secret_key": "Secret0", "default_skip_ssl_verify": True, "default_bucket": ""},
        {"accessKey": "A", "defaultSkipSSLVerify": True}, ["secretKey"], id="s3"),
    pytest.param("digitalocean", "digitalocean", {"access_token": ""}, None, ["accessToken"], id="imported, no secret"),
    pytest.param("linode", "linode", {"token": "Secret0"}, None, ["token"], id="linode"),
    pytest.param("openstack", "openstack", {"password": "Secret0"}, None, ["password"], id="openstack"),
    pytest.param(
        "nutanix", "nutanix", {"endpoint": "e", "username": "u", "password": "Secret0", "port": "9440"},
        {"endpoint": "e", "username": "u", "port": "9440"}, ["password"], id="nutanix"),
])
def test_drivers(name, driver, fields, config, secrets):
    result = terraform_declaration(state(with_driver(name, driver, fields)))
    found, = credentials(result)
    assert (found["driver"], found.get("config"), list(found["secrets"])) == (driver, config, secrets)
    assert "Secret0" not in str(result)


def test_sensitive_fields_are_left_out():
    document = state(
        with_driver("s3", "s3", {"default_endpoint_ca": "Secret0"}, sensitive=["default_endpoint_ca"]),
        resource(MACHINE, MACHINE, block={"secret_key": "Secret1", "access_key": "Secret2"}),
        resource(
            TEMPLATE, TEMPLATE, sensitive={"description": True, "engine_env": {"a": True}}, block={"ssh_keypath": "/k"},
            description="Secret3", engine_env={"a": "Secret4"}, auth_key="Secret5"),
    )
    result = terraform_declaration(document)
    sensitive = "it is sensitive. The stored value is kept"
    assert reasons(result) == {
        ("rancher2_cloud_credential.x", "default_endpoint_ca"): sensitive,
        (MACHINE, "access_key"): sensitive, (MACHINE, "secret_key"): sensitive,
        (TEMPLATE, "description"): sensitive, (TEMPLATE, "engine_env"): sensitive, (TEMPLATE, "auth_key"): sensitive,
        (TEMPLATE, "ssh_keypath"): "Rancher has no such field",
    }
    assert "Secret" not in str(result) and len(result["commands"]) == 3


def test_fields_with_other_names():
    changed = resource(MACHINE, MACHINE, amazonec2_config=[], vsphere_config=[
        {"tags": ["t"], "vapp_ip_protocol": "IPv4", "cloud_config": "x", "cfgparam": ["a=b"]}])
    task, = yaml.safe_load(terraform_declaration(state(changed))["machine_configs"])
    assert task["ranchhand.rancher.machine_config"]["config"] == {
        "tag": ["t"], "vappIpprotocol": "IPv4", "cloudConfig": "x", "cfgparam": ["a=b"]}


def test_modules_and_keys():
    addresses = [
        'rancher2_cloud_credential.a["prod \\"x\\" $(id)"]', "rancher2_cloud_credential.a[0]",
        'module.m["k"].module.n[1].rancher2_cloud_credential.b']
    inner = {"address": "module.m.module.n", "resources": [resource(addresses[2], id="cattle-global-data:cc-c")]}
    result = terraform_declaration(state(
        resource(addresses[0]), resource(addresses[1], id="cattle-global-data:cc-b"),
        modules=[{"child_modules": [inner]}]))
    assert len(credentials(result)) == 3
    assert result["commands"][0] == f"terraform state rm '{addresses[0]}'"
    assert [line for line in result["removed"].splitlines() if "from =" in line] == [
        "  from = rancher2_cloud_credential.a", "  from = module.m.module.n.rancher2_cloud_credential.b"]


def test_no_removed_block_if_an_instance_is_not_declared():
    result = terraform_declaration(state(
        resource("rancher2_cloud_credential.a[0]"), resource("rancher2_cloud_credential.a[1]", id="x")))
    assert len(result["commands"]) == 1 and result["removed"] == ""


def test_references_of_other_resources():
    cluster = {"address": "rancher2_cluster_v2.prod", "mode": "managed", "depends_on": [AWS]}
    assert terraform_declaration(state(resource(AWS), cluster))["references"] == [
        {"address": "rancher2_cluster_v2.prod", "refers_to": AWS, "id": "cattle-global-data:cc-7smw5"}]


@pytest.mark.parametrize("address", [[], {}, None, 1], ids=repr)
def test_an_address_that_is_no_text(address):
    document = state({**resource(AZURE, AZURE), "address": address}, resource(AWS, AWS))
    assert reasons(terraform_declaration(document)) == {(str(address), ""): "it has no valid address"}


def test_template_with_another_credential():
    other = resource(TEMPLATE, TEMPLATE, cloud_credential_id="cattle-global-data:cc-other")
    result = terraform_declaration(state(other))
    template, = yaml.safe_load(result["declaration"])["cloud_credentials_node_templates"]
    assert template["cloud_credential"] == "cattle-global-data:cc-other"
    azure = resource(AZURE, AZURE)
    wrong = resource(TEMPLATE, TEMPLATE, cloud_credential_id=azure["values"]["id"])
    result = terraform_declaration(state(azure, wrong))
    assert reasons(result) == {(TEMPLATE, ""): "its cloud credential is of another driver"}
    assert "node_templates" not in result["declaration"] and len(result["commands"]) == 1


def test_plan_that_creates():
    change = {"address": AZURE, "type": "rancher2_cloud_credential", "mode": "managed"}
    document = {"format_version": "1.2", "planned_values": {}, "resource_changes": [change]}
    result = terraform_declaration(document)
    assert "has not created it yet" in reasons(result)[AZURE, ""] and result["declaration"] == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2), max_leaves=5)


@given(st.data())
def test_any_change_gives_a_result_or_a_sentence(data):
    """One value anywhere in the recorded state is replaced."""
    document = copy.deepcopy(STATE)
    parent = document
    while True:
        key = data.draw(st.sampled_from(sorted(parent) if isinstance(parent, dict) else range(len(parent))))
        if not isinstance(parent[key], (dict, list)) or not parent[key] or data.draw(st.booleans()):
            break
        parent = parent[key]
    parent[key] = data.draw(JSON)
    try:
        result = terraform_declaration(document)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert all(item["reason"] for item in result["unmapped"])
        yaml.load(result["declaration"].replace("!unsafe", ""), yaml.SafeLoader)
