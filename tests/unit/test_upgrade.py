# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What blocks the upgrade to Rancher 2.12, and machine configs that are drafted from node templates."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.cloud_credential import parse_cloud_credential
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.driver_schema import DriverSchemas
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.node_template import parse_node_template
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import (
    HISTORY,
    Reference,
    ReferenceIndex,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.users import User, Users
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.machine_config_draft import (
    draft_machine_config,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._upgrade.blockers import (
    API_VERSION,
    CHECKED,
    RESOURCES,
    STEPS,
    Blocker,
    find_blockers,
    freed_credentials,
    has_node_template,
    is_rke1,
    unused_templates,
)


def item(name, namespace=None, owner="u-1", **spec):
    annotations = {"field.cattle.io/creatorId": owner}
    return {"metadata": {"name": name, "namespace": namespace, "annotations": annotations}, "spec": spec}


def revision(name, template):
    return item(name, "cattle-global-data", clusterTemplateName=f"cattle-global-data:{template}")


EVERYTHING = {
    "Cluster": [item("c-1", clusterTemplateRevisionName="cattle-global-data:ctr-used", displayName="old")],
    "NodePool": [item("np-1", "c-1", nodeTemplateName="cattle-global-nt:nt-used")],
    "Node": [item("m-1", "c-1", nodeTemplateName="cattle-global-nt:nt-used")],
    "ClusterTemplateRevision": [revision("ctr-used", "ct-used"), revision("ctr-free", "ct-free")],
    "ClusterTemplate": [item("ct-used", "cattle-global-data"), item("ct-free", "cattle-global-data")],
    "NodeTemplate": [
        item("nt-used", "cattle-global-nt", displayName="small"), item("nt-free", "cattle-global-nt"),
        item("nt-former", "u-1"),
    ],
}


def test_blockers_are_in_the_order_of_deletion_with_their_users():
    found = find_blockers(EVERYTHING)
    assert [blocker.kind for blocker in found] == [
        "Cluster", "Node", "NodePool", "ClusterTemplateRevision", "ClusterTemplateRevision", "ClusterTemplate",
        "ClusterTemplate", "NodeTemplate", "NodeTemplate", "NodeTemplate",
    ]
    users = {blocker.name: blocker.users for blocker in found}
    assert users["nt-used"] == ("Node c-1/m-1", "NodePool c-1/np-1")
    assert users["ctr-used"] == ("Cluster c-1",)


def test_only_what_nothing_uses_can_be_deleted_and_revisions_go_first():
    names = [blocker.name for blocker in unused_templates(find_blockers(EVERYTHING))]
    assert names == ["ctr-free", "ct-free", "nt-former", "nt-free"]
    assert [blocker.display_name for blocker in find_blockers(EVERYTHING) if blocker.name == "c-1"] == ["old"]


def test_what_is_being_deleted_is_not_deleted_again():
    template = Blocker("NodeTemplate", "cattle-global-nt", "nt-1", "x", None, deleting=True)
    assert unused_templates([template]) == []


@pytest.mark.parametrize("value", [None, "text", [], {"rancherKubernetesEngineConfig": None}])
def test_clusters_and_nodes_with_other_content_do_not_count(value):
    assert not is_rke1({"spec": value}) and not has_node_template({"status": value})


def test_the_resources_of_a_rancher_that_can_block_the_upgrade():
    assert RESOURCES == {kind: f"{kind.lower()}s" for kind in STEPS}
    assert API_VERSION == "management.cattle.io/v3"
    assert CHECKED == ("Cluster", "ClusterTemplate", "NodeTemplate")  # Rancher starts with the other kinds


@pytest.mark.parametrize(("kind", "step", "checked"), [
    ("Cluster", 1, True), ("NodePool", 1, False), ("Node", 1, False), ("ClusterTemplateRevision", 2, False),
    ("ClusterTemplate", 2, True), ("NodeTemplate", 3, True),
])
def test_what_is_shown_of_a_blocker(kind, step, checked):
    blocker = Blocker(kind, "ns", "x-1", "small", "u-1", ("Node c-1/m-1",), deleting=True)
    shown = {
        "kind": kind, "api_version": "management.cattle.io/v3", "namespace": "ns", "name": "x-1",
        "display_name": "small", "owner": "u-1", "owner_name": "alice", "step": step, "checked": checked,
        "used_by": ["Node c-1/m-1"], "deleting": True,
    }
    assert blocker.show(Users([User("u-1", "alice")])) == shown
    assert blocker.show(Users([User("u-2", "bob")])) == {**shown, "owner_name": None}


def test_what_is_read_of_a_blocker():
    metadata = {"name": "nt-1", "deletionTimestamp": "2026-01-01T00:00:00Z", "annotations": None}
    found = find_blockers({"NodeTemplate": [
        {"metadata": metadata, "spec": {"displayName": ["x"]}}, item("nt-2", "ns", displayName="a"),
        item("nt-3", "ns", displayName=""),
    ]})
    assert found == [
        Blocker("NodeTemplate", "ns", "nt-2", "a", "u-1"),
        Blocker("NodeTemplate", None, "nt-1", "nt-1", None, deleting=True),
        Blocker("NodeTemplate", "ns", "nt-3", "nt-3", "u-1"),
    ]


@pytest.mark.parametrize(("kind", "field", "of"), [
    ("Cluster", "clusterTemplateName", "ClusterTemplate"),
    ("Cluster", "clusterTemplateRevisionName", "ClusterTemplateRevision"),
    ("NodePool", "nodeTemplateName", "NodeTemplate"), ("Node", "nodeTemplateName", "NodeTemplate"),
    ("ClusterTemplateRevision", "clusterTemplateName", "ClusterTemplate"),
])
@pytest.mark.parametrize(("value", "counts"), [
    ("ns:x", True), ("x", False), ("", False), (["ns:x"], False), (5, False),
])
def test_a_template_is_used_by_the_objects_that_name_it(kind, field, of, value, counts):
    found = find_blockers({of: [item("x", "ns")], kind: [item("user", None, **{field: value})]})
    (template,) = (blocker for blocker in found if (blocker.kind, blocker.name) == (of, "x"))
    assert template.users == ((f"{kind} user",) if counts else ())


def test_only_clusters_and_nodes_of_rke1_count():
    assert is_rke1({"spec": {"rancherKubernetesEngineConfig": {"services": {}}}})
    assert has_node_template({"status": {"nodeTemplateSpec": {"driver": "azure"}}})
    assert not has_node_template({"status": {"nodeTemplateSpec": {}}}) and not has_node_template({})


def test_a_revision_that_is_used_keeps_its_template():
    revision = Blocker("ClusterTemplateRevision", "ns", "ctr", "r", None, ("Cluster c-1",))
    cluster_template = Blocker("ClusterTemplate", "ns", "ct", "t", None, ("ClusterTemplateRevision ns/ctr",))
    assert unused_templates([revision, cluster_template]) == []
    free = [Blocker("ClusterTemplateRevision", "ns", "ctr", "r", None), cluster_template]
    assert unused_templates(free) == free
    assert unused_templates([Blocker("Cluster", None, "c-1", "c", None)]) == []


def named_credential(identifier, name):
    return parse_cloud_credential({
        "metadata": {"name": identifier, "uid": "u", "resourceVersion": "1",
                     "annotations": {"field.cattle.io/name": name}},
        "data": {"azurecredentialConfig-x": "eA=="},
    })


def test_a_credential_is_freed_if_only_node_templates_and_their_nodes_use_it():
    def used(kind, api_version="management.cattle.io/v3", use="machine"):
        return Reference(kind, api_version, "ns", "x", "spec.f", use)

    template, node, old = used("NodeTemplate"), used("Node"), used("ETCDSnapshot", "rke.cattle.io/v1", HISTORY)
    findings = {
        "cc-1": [template, node, old], "cc-2": [node], "cc-3": [template, used("Cluster")], "cc-4": [old],
        "cc-5": [used("Node", "other/v1")], "cc-6": [template],
    }
    index = ReferenceIndex((key, reference) for key, references in findings.items() for reference in references)
    credentials = [named_credential(key, name) for key, name in zip(["cc-7", *reversed(findings)], "zbccbca")]
    assert [(credential.id, references) for credential, references in freed_credentials(credentials, index)] == [
        ("cc-1", (node, template)), ("cc-6", (template,)), ("cc-2", (node,))]


def schemas(**drivers):
    objects = []
    for name, fields in drivers.items():
        objects.append({"metadata": {"name": name}, "spec": {"resourceFields": {
            field: {"type": kind} for field, kind in fields.items()
        }}})
    return DriverSchemas(objects)


AZURE = schemas(
    azureconfig={"clientId": "string", "environment": "string", "size": "string", "dockerPort": "string",
                 "openPort": "array[string]", "clientSecret": "password"},
    azurecredentialconfig={"clientId": "string", "clientSecret": "password", "environment": "string"},
)


def template(driver="azure", name="Azure Small_1", credential="cattle-global-data:cc-1", config=None, **spec):
    spec = {"driver": driver, "displayName": name, "cloudCredentialName": credential, **spec}
    metadata = {"name": "nt-1", "uid": "u", "resourceVersion": "1", "namespace": "cattle-global-nt"}
    return parse_node_template({"metadata": metadata, "spec": spec, f"{driver}Config": config or {}})


def test_a_draft_contains_what_a_machine_config_takes():
    config = {
        "clientId": "id", "environment": "AzureChinaCloud", "size": "Standard_D2", "dockerPort": "2376",
        "openPort": ["6443/tcp"], "clientSecret": "a-secret", "unheard": "x", "empty": "",
    }
    found = draft_machine_config(template(config=config, nodeTaints=[{"key": "a"}], dockerVersion="19"), AZURE)
    assert found["as_machine_config"] == {
        "name": "azure-small-1", "driver": "azure", "cloud_credential": "cattle-global-data:cc-1",
        "config": {"environment": "AzureChinaCloud", "openPort": ["6443/tcp"], "size": "Standard_D2"},
    }
    assert {entry["field"] for entry in found["unmapped"]} == {
        "config.clientId", "config.clientSecret", "config.dockerPort", "config.unheard", "docker_version",
        "node_taints",
    }
    assert "a-secret" not in str(found)


def test_without_schemas_no_value_is_shown():
    found = draft_machine_config(template(config={"size": "x", "clientSecret": "a-secret"}), None)
    assert found["as_machine_config"]["config"] == {} and "a-secret" not in str(found)


def test_tasks_are_yaml_that_evaluates_no_template():
    pytest.importorskip("ansible")
    from ansible_collections.ranchhand.rancher.plugins.plugin_utils._upgrade_rows import machine_config_tasks

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!unsafe", lambda loader, node: ("unsafe", node.value))
    hostile = {"size": "{{ lookup('file', '/etc/passwd') }}", "openPort": ["{% raw %}"]}
    found = draft_machine_config(template(name="a\n- b: {{ c }}", config=hostile), AZURE)
    text = machine_config_tasks([{"id": "cattle-global-nt:nt-1\n- x", **found}])
    (task,) = yaml.load(text, Loader)
    config = task["ranchhand.rancher.machine_config"]["config"]
    assert config["size"] == ("unsafe", hostile["size"]) and config["openPort"] == [("unsafe", "{% raw %}")]
