# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What blocks the upgrade to Rancher 2.12, and machine configs that are drafted from node templates."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.driver_schema import DriverSchemas
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.node_template import parse_node_template
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.machine_config_draft import (
    draft_machine_config,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._upgrade.blockers import (
    Blocker,
    find_blockers,
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


def test_what_is_being_deleted_is_not_deleted_again():
    template = Blocker("NodeTemplate", "cattle-global-nt", "nt-1", "x", None, deleting=True)
    assert unused_templates([template]) == []


@pytest.mark.parametrize("value", [None, "text", [], {"rancherKubernetesEngineConfig": None}])
def test_clusters_and_nodes_with_other_content_do_not_count(value):
    assert not is_rke1({"spec": value}) and not has_node_template({"status": value})


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
