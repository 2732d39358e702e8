# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow the guides "Move clusters to another credential" and "Before you upgrade to 2.12" to their ends."""

from __future__ import annotations

import pytest
import yaml

from control_plane import ApiError
from support.downstream import A, B, config, hosted, machine, named, pool, provisioned
from support.rancher_controllers import MANAGEMENT, RancherControllers

from .guide import Guide, chapters

TEMPLATES = "/apis/management.cattle.io/v3/namespaces/cattle-global-nt/nodetemplates"
CLUSTER_TEMPLATES = "/apis/management.cattle.io/v3/namespaces/cattle-global-data/clustertemplates"
REVISIONS = "/apis/management.cattle.io/v3/namespaces/cattle-global-data/clustertemplaterevisions"


def environment(cluster):
    return {**cluster.environment(), "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False"}


def test_move_clusters(recorded_215, tmp_path):
    api = recorded_215.api
    fields = {"accessKey": "AKIA-public", "secretKey": "stored-secret-value"}
    for name, display_name in (("cc-a", "aws old"), ("cc-b", "aws new")):
        recorded_215.secret(name, "amazonec2", fields, display_name)
    for name in ("staging", "prod"):
        config(api, name)
        provisioned(api, name, pools=[pool("workers", A, name)])
        machine(api, f"m-{name}", cluster=name)
    hosted(api)
    with RancherControllers(api):
        guide = Guide(tmp_path, environment(recorded_215), ["stored-secret-value"])
        guide.follow(chapters("repoint", "Show the plan"))
        assert set(named(api).values()) == {A}
        guide.follow(chapters("repoint", "Move the first cluster"))
        assert {key for key, value in named(api).items() if value == B} == {"staging", "staging/workers"}
        guide.follow(chapters("repoint", "Move the others"))
        assert {key for key, value in named(api).items() if value == A} == {
            "m-prod", "m-prod status", "m-staging", "m-staging status"}
        guide.follow(chapters("repoint", "Move the machines"))
        assert set(named(api).values()) == {B}
        assert "not used any more" in guide.runs[-1][1]
        guide.follow(chapters("repoint", "Delete the former credential"))
    with pytest.raises(ApiError, match="not found"):
        api.get("/api/v1/namespaces/cattle-global-data/secrets/cc-a")
    assert len(guide.runs) == 5


def test_repair(recorded_215, tmp_path):
    """The last chapter: a credential was deleted too early, and a machine hangs in its deletion."""
    api = recorded_215.api
    fields = {"accessKey": "AKIA-public", "secretKey": "stored-secret-value"}
    recorded_215.secret("cc-b", "amazonec2", fields, "aws new")
    path = machine(api, "hanging", "cattle-global-data:cc-7kq2f")
    api.delete(path)
    with RancherControllers(api):
        guide = Guide(tmp_path, environment(recorded_215), ["stored-secret-value"])
        guide.follow(chapters("repoint", "If a run fails"))
    assert (guide.files, guide.changed("repair.yml")) == (["repair.yml"], ["1"])
    with pytest.raises(ApiError, match="not found"):
        api.get(path)


def cluster_template(api, name):
    """A cluster template with one revision. Their definitions are open, as those of node templates are."""
    for path, kind, spec in (
        (CLUSTER_TEMPLATES, "ClusterTemplate", {"displayName": name}),
        (REVISIONS, "ClusterTemplateRevision", {
            "displayName": f"{name} v1", "clusterTemplateName": f"cattle-global-data:{name}",
            "clusterConfig": {"rancherKubernetesEngineConfig": {}}}),
    ):
        api.post(path, {
            "apiVersion": "management.cattle.io/v3", "kind": kind, "metadata": {"name": name}, "spec": spec})


def names(api, path):
    return {item["metadata"]["name"] for item in api.get(path)["items"]}


def test_before_the_upgrade(cluster, tmp_path):
    api = cluster.api
    for name in ("ct-used", "ct-free"):
        cluster_template(api, name)
    cluster.secret("cc-free1", "digitalocean", {"accessToken": "stored-secret-value"}, "spaces")
    api.post(TEMPLATES, {
        "apiVersion": "management.cattle.io/v3", "kind": "NodeTemplate", "driver": "digitalocean",
        "metadata": {"name": "nt-old", "annotations": {"field.cattle.io/creatorId": "u-wt94n"}},
        "spec": {
            "displayName": "workers", "driver": "digitalocean", "cloudCredentialName": "cattle-global-data:cc-free1"},
        "digitaloceanConfig": {"region": "fra1", "size": "s-2vcpu-4gb"},
    })
    api.post(MANAGEMENT, {
        "apiVersion": "management.cattle.io/v3", "kind": "Cluster", "metadata": {"name": "c-rke1"},
        "spec": {
            "displayName": "old cluster", "rancherKubernetesEngineConfig": {"nodes": []},
            "clusterTemplateName": "cattle-global-data:ct-used",
            "clusterTemplateRevisionName": "cattle-global-data:ct-used"},
    })
    guide = Guide(tmp_path, environment(cluster), ["stored-secret-value"])
    guide.follow(chapters("upgrade-2.12", "Show what blocks the upgrade"))
    shown = guide.runs[-1][1]
    assert "old cluster" in shown and "workers" in shown and "spaces" in shown
    guide.follow(chapters("upgrade-2.12", "Write tasks for machine configs"))
    (task,) = yaml.safe_load((tmp_path / "machine-configs.yml").read_text())
    assert task["ranchhand.rancher.machine_config"]["driver"] == "digitalocean"
    guide.follow(chapters("upgrade-2.12", "Delete the templates"))
    assert [names(api, path) for path in (REVISIONS, CLUSTER_TEMPLATES, TEMPLATES)] == [{"ct-used"}, {"ct-used"}, set()]
    api.delete(f"{MANAGEMENT}/c-rke1")
    guide.follow(chapters("upgrade-2.12", "Delete the templates"))
    assert [names(api, path) for path in (REVISIONS, CLUSTER_TEMPLATES, TEMPLATES)] == [set(), set(), set()]
    assert guide.changed("purge_node_templates --check") == ["2", "1"]
    guide.follow(chapters("upgrade-2.12", "Check again"))
    assert "Nothing blocks the upgrade" in guide.runs[-1][1] and len(guide.runs) == 7
