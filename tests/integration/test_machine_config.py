# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""machine_config and machine_config_info with the recorded definitions of Rancher 2.11 and 2.15.

A fake plays Rancher's controllers, which adopt machine configs and render templates. Garbage collection, Rancher's
webhook and the replacement of nodes are not tried.
"""

from __future__ import annotations

import contextlib
import json
import time

import pytest

from control_plane import ApiError
from support import downstream
from support.cluster import INFO
from support.rancher_controllers import CAPI, CONFIGS, CRDS, MACHINES, RancherControllers

CONFIG = "ranchhand.rancher.machine_config"
CONFIG_INFO = "ranchhand.rancher.machine_config_info"
KEEPER = "/api/v1/namespaces/fleet-default/configmaps/ranchhand-machine-configs"
DRIVERS = {
    "amazonec2": {"region": "eu-central-1", "rootSize": 30, "monitoring": True, "securityGroup": ["a", "b"]},
    "azure": {"size": "Standard_D2s_v5", "openPort": [6443], "managedDisks": "true"},
    "digitalocean": {"size": "s-2vcpu-4gb", "backups": False, "sshPort": 2222},
    "vmwarevsphere": {"cpuCount": 4, "network": ["vlan"], "cfgparam": [], "os": "linux"},
}


@pytest.fixture
def rancher(recorded_rancher):
    yield recorded_rancher
    for driver in DRIVERS:
        for item in recorded_rancher.api.get(f"{CONFIGS}/{driver}configs")["items"]:
            recorded_rancher.api.delete(path_of(driver, item["metadata"]["name"]))
    with contextlib.suppress(ApiError):
        recorded_rancher.api.delete(KEEPER)


def path_of(driver, name):
    return f"{CONFIGS}/namespaces/fleet-default/{driver}configs/{name}"


def until(done, seconds=20):
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def as_stored(value):
    """Return a value of a playbook as the CRD has it: whole numbers are strings."""
    if isinstance(value, list):
        return list(map(str, value))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def test_create_change_and_delete_of_four_drivers(rancher, subtests):
    """Every task is run in check mode, for real, and again: predicted, done, unchanged."""
    tasks = [
        task for driver, config in DRIVERS.items() for task in (
            {"name": "web", "driver": driver, "keep": True, "config": config, "labels": {"team": "a"}},
            {"name": "web", "driver": driver, "config": {name: None for name in config}, "labels": {"team": None}},
            {"name": "web", "driver": driver, "state": "absent"},
        )
    ]
    results = iter(rancher.prove_all(tasks, CONFIG))
    for driver, config in DRIVERS.items():
        created, changed, deleted = (next(results)["machine_config"] for _step in range(3))
        with subtests.test(driver):
            assert [item["action"] for item in (created, changed, deleted)] == ["created", "updated", "deleted"]
            expected = {name: as_stored(value) for name, value in config.items()}
            expected.update({"managedDisks": True} if driver == "azure" else {})
            shown = {name: created["config"].get(name, []) for name in config}
            assert shown == expected and created["kept"] and not created["orphan"]
            assert set(changed["changed_fields"]) <= {*config, "labels"}
    assert rancher.api.get(f"{CONFIGS}/azureconfigs")["items"] == []


def test_what_is_stored_is_what_was_predicted(rancher):
    task = {"name": "web", "driver": "azure", "keep": True, "config": {"size": "l", "openPort": [80]}}
    predicted, done = rancher.play({CONFIG: task, "check_mode": True, "diff": True}, {CONFIG: task}).results
    stored = rancher.api.get(path_of("azure", "web"))
    visible = {
        name: value for name, value in stored.items()
        if name not in ("apiVersion", "kind", "metadata") and value not in (None, "", [])
    }
    for result in (predicted, done):
        assert result["machine_config"]["config"] == visible
        assert result["machine_config"]["id"] == "fleet-default/web"
    assert visible["environment"] == "AzurePublicCloud" and visible["openPort"] == ["80"]
    assert predicted["diff"]["after"]["config"] == visible and predicted["diff"]["before"] == {}
    owner, = stored["metadata"]["ownerReferences"]
    assert owner == {
        "apiVersion": "v1", "kind": "ConfigMap", "name": "ranchhand-machine-configs",
        "uid": rancher.api.get(KEEPER)["metadata"]["uid"],
    }
    assert "field.cattle.io/no-creator-rbac" not in stored["metadata"].get("annotations", {})


def test_fields_of_a_newer_rancher(rancher):
    newer = "ipv6AddressCount" in rancher.api.get(f"{CRDS}/amazonec2configs.rke-machine-config.cattle.io")["spec"][
        "versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    result = rancher.play({CONFIG: {
        "name": "web", "driver": "amazonec2", "keep": True, "config": {"ipv6AddressCount": 1}}}).result
    assert (result.get("code"), result["failed"]) == ((None, False) if newer else ("invalid", True))
    if not newer:
        assert "config.ipv6AddressCount is unknown" in result["msg"]


def test_refusals_write_nothing(rancher):
    mark = rancher.control_plane.audit_mark()
    cases = [
        ({"driver": "pnap"}, "unsupported", "driver pnap has no machine configs in this Rancher"),
        ({"driver": "azure", "config": {"clientSecret": "{{ secret }}"}}, "invalid", "belongs in secrets"),
        ({"driver": "azure", "secrets": {"clientSecret": "{{ secret }}"}}, "invalid", "in clear text"),
        ({"driver": "vmwarevsphere", "config": {"sshPassword": "{{ secret }}"}}, "invalid", "belongs in secrets"),
        ({"driver": "vmwarevsphere", "config": {"common": {"labels": {}}}}, "invalid", "has no effect"),
        ({"driver": "azure", "config": {"managedDisks": "maybe"}}, "invalid", "must be true or false"),
        ({"driver": "azure", "cloud_credential": "nothing"}, "not_found", "does not exist"),
        ({"driver": "azure", "namespace": "missing"}, "not_found", "missing"),
    ]
    tasks = [{CONFIG: {"name": "web", **options}} for options, _code, _text in cases]
    played = rancher.play(*tasks, variables={"secret": "canary-secret"})
    for (options, code, text), result in zip(cases, played.results):
        assert (result.get("code"), result["changed"]) == (code, False) and text in result["msg"], (options, result)
    assert not [write for write in rancher.writes(mark) if "missing" not in write.path]
    assert "canary" not in played.output and "Traceback" not in played.output
    gone = rancher.play({CONFIG: {"name": "web", "driver": "pnap", "state": "absent"}}).result
    assert gone["machine_config"]["action"] == "unchanged"


def test_secrets_never_appear(rancher):
    task = {
        "name": "web", "driver": "azure", "keep": True, "inline_secrets": True,
        "secrets": {"clientSecret": "{{ first }}"}, "config": {"clientId": "public-id"},
    }
    played = rancher.play(
        {CONFIG: task, "diff": True}, {CONFIG: {**task, "secrets": {"clientSecret": "{{ second }}"}}, "diff": True},
        {CONFIG_INFO: {"references": True}}, arguments=["-vvv"],
        variables={"first": "canary-secret", "second": "canary-other"},
    )
    created, changed, listed = played.results
    assert rancher.api.get(path_of("azure", "web"))["clientSecret"] == "canary-other"
    assert created["machine_config"]["secret_fields"] == ["clientSecret"]
    assert changed["machine_config"]["changed_fields"] == ["clientSecret"]
    assert listed["machine_configs"][0]["credential_fields"] == ["clientId", "clientSecret", "environment"]
    assert "canary" not in played.output + json.dumps(played.results)


def test_a_credential_is_checked_and_its_fields_with_a_default_are_set(rancher):
    azure = {"clientId": "i", "clientSecret": "canary", "environment": "AzureChinaCloud"}
    vsphere = {"username": "u", "password": "canary", "vcenter": "vc", "vcenterPort": "8443"}
    rancher.secret("cc-azure", "azure", azure, "azure prod")
    rancher.secret("cc-vsphere", "vmwarevsphere", vsphere, "vsphere prod")
    base = {"name": "web", "keep": True}
    played = rancher.play(
        {CONFIG: {**base, "driver": "azure", "cloud_credential": "azure prod"}},
        {CONFIG: {**base, "driver": "vmwarevsphere", "cloud_credential": "cattle-global-data:cc-vsphere"}},
        {CONFIG: {**base, "driver": "azure", "cloud_credential": "cc-azure", "config": {"clientId": "i"}}},
        {CONFIG: {**base, "driver": "azure", "cloud_credential": "vsphere prod"}},
        {CONFIG: {**base, "driver": "azure", "cloud_credential": "cc-azure",
                  "config": {"environment": "AzurePublicCloud"}}},
    )
    first, second, covered, other, contradiction = played.results
    assert first["machine_config"]["config"]["environment"] == "AzureChinaCloud"
    assert second["machine_config"]["config"]["vcenterPort"] == "8443"
    assert "vcenter" not in second["machine_config"]["config"] and "canary" not in played.output
    assert [result["code"] for result in (covered, other, contradiction)] == ["invalid"] * 3
    assert "would hide its value" in covered["msg"] and "is of driver vmwarevsphere" in other["msg"]
    assert "config.environment differs" in contradiction["msg"]


def test_an_edit_that_replaces_nodes(rancher):
    """A pool adopts the machine config; from then on, an edit of the template has to be allowed."""
    api = rancher.api
    rancher.secret("cc-a", "amazonec2", downstream.AWS, "aws")
    rancher.play({CONFIG: {"name": "web", "driver": "amazonec2", "config": {"region": "eu-central-1"}, "keep": True}})
    downstream.provisioned(api, pools=[downstream.pool(), downstream.pool("empty", downstream.A)])
    with RancherControllers(api):
        until(lambda: len(_items(api, f"{CAPI}/machinedeployments")) == 2)
        edit = {"name": "web", "driver": "amazonec2", "config": {"instanceType": "t3a.large"}}
        base = {"name": "web", "driver": "amazonec2"}
        refused, absent, labelled, rolled = rancher.play(
            {CONFIG: edit}, {CONFIG: {**base, "state": "absent"}}, {CONFIG: {**base, "labels": {"a": "b"}}},
            {CONFIG: {**edit, "on_use": "roll"}},
        ).results
        assert (refused["code"], refused["changed"]) == ("in_use", False)
        assert refused["machine_config"]["would_roll"] == ["prod/workers", "prod/empty"]
        assert "would replace all nodes of pool prod/workers, prod/empty" in refused["msg"]
        assert absent["code"] == "in_use" and "applies no change of the cluster" in absent["msg"]
        assert [reference["pools"] for reference in absent["references"]] == [["workers"], ["empty"]]
        assert labelled["machine_config"]["would_roll"] == []
        assert rolled["machine_config"]["would_roll"] == ["prod/workers", "prod/empty"]
        until(lambda: len(_items(api, f"{MACHINES}/amazonec2machinetemplates")) == 4)
        listed, = rancher.play({CONFIG_INFO: {"references": True, "driver": "amazonec2"}}).result["machine_configs"]
    assert (listed["kept"], listed["orphan"]) == (True, False)
    templates = {pool["pool"]: pool.pop("template") for pool in listed["pools"]}
    assert listed["pools"] == [
        {"cluster": "prod", "pool": name, "credential": downstream.A, "inherited": name == "workers",
         "ignored_fields": [], "hides_credential_fields": []} for name in ("empty", "workers")
    ]
    assert all(template.startswith(f"prod-{name}-") for name, template in templates.items())


def _items(api, path):
    with contextlib.suppress(ApiError):
        return api.get(path)["items"]
    return []


def test_adoption_by_a_single_cluster(rancher):
    downstream.config(rancher.api)
    rancher.secret("cc-a", "amazonec2", downstream.AWS, "aws")
    downstream.provisioned(rancher.api)
    with RancherControllers(rancher.api):
        until(lambda: rancher.api.get(path_of("amazonec2", "web"))["metadata"].get("ownerReferences"))
    base = {"name": "web", "driver": "amazonec2"}
    own, other, kept = rancher.play(
        {CONFIG: {**base, "cluster": "prod"}}, {CONFIG: {**base, "cluster": "test"}}, {CONFIG: {**base, "keep": True}},
    ).results
    assert own["machine_config"]["cluster"] == "prod" and not own["changed"]
    assert other["code"] == "conflict" and "belongs to cluster prod" in other["msg"]
    assert (kept["machine_config"]["cluster"], kept["machine_config"]["kept"]) == ("prod", True)
    owners = rancher.api.get(path_of("amazonec2", "web"))["metadata"]["ownerReferences"]
    assert [owner["kind"] for owner in owners] == ["Cluster", "ConfigMap"] and owners[0]["controller"] is True


def test_a_pool_that_is_older_than_a_field(rancher):
    downstream.config(rancher.api)
    old = {**downstream.pool(), "dynamicSchemaSpec": json.dumps({"resourceFields": {"region": {}}})}
    downstream.provisioned(rancher.api, pools=[old])
    played = rancher.play({CONFIG: {
        "name": "web", "driver": "amazonec2", "config": {"instanceType": "t3a.large"}}})
    shown = played.result["machine_config"]
    assert (shown["action"], shown["would_roll"]) == ("updated", [])
    assert shown["ignored_fields"] == [{"pool": "prod/workers", "fields": ["instanceType"]}]
    assert "pool prod/workers ignores instanceType" in " ".join(played.output.split())


def test_a_machine_config_that_rancher_deletes_at_night(rancher):
    played = rancher.play({CONFIG: {"name": "web", "driver": "azure"}})
    assert played.result["machine_config"]["orphan"] is True
    assert "nightlyclean-updeletesit" in "".join(played.output.split())  # wrapped at spaces and hyphens


def test_lists_and_concurrent_clients(rancher):
    items = [{"name": f"web-{number}", "config": {"size": f"s{number}"}} for number in range(8)]
    items.append({"name": "other", "driver": "digitalocean", "config": {"size": "s"}})
    task = {CONFIG: {"driver": "azure", "keep": True, "machine_configs": items}}
    first, second, mixed = rancher.play(task, task, {CONFIG: {"driver": "azure", "machine_configs": [
        {"name": "web-0", "config": {"size": "x"}}, {"name": "web-1", "state": "absent"},
        {"name": "web-2", "creator_rbac": False}]}}).results
    assert [item["action"] for item in first["machine_configs"]] == ["created"] * 9
    assert second["changed"] is False
    assert [item["action"] for item in mixed["machine_configs"]] == ["updated", "deleted", "unchanged"]


def test_few_rights_suffice_for_known_names(rancher):
    """Without the right to list: reads by name, an unknown use is refused, and CRDs need not be readable."""
    api, rbac = rancher.api, "/apis/rbac.authorization.k8s.io/v1"
    downstream.config(api)
    rules = [
        {"apiGroups": ["rke-machine-config.cattle.io"], "resources": ["amazonec2configs"], "resourceNames": ["web"],
         "verbs": ["get", "patch", "delete"]},
        {"apiGroups": ["management.cattle.io"], "resources": ["dynamicschemas"], "verbs": ["list"]},
    ]
    api.post(f"{rbac}/clusterroles", {"metadata": {"name": "few"}, "rules": rules})
    api.post(f"{rbac}/clusterrolebindings", {
        "metadata": {"name": "few"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "few"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "few"}],
    })
    base = {"name": "web", "driver": "amazonec2"}
    try:
        labelled, edited, rolled, absent, listed, named = rancher.play(
            {CONFIG: {**base, "labels": {"a": "b"}}}, {CONFIG: {**base, "config": {"zone": "b"}}},
            {CONFIG: {**base, "config": {"zone": "b"}, "on_use": "roll"}}, {CONFIG: {**base, "state": "absent"}},
            {CONFIG_INFO: {}},
            {CONFIG_INFO: {"name": "web", "namespace": "fleet-default", "driver": "amazonec2", "references": True}},
            kubeconfig=rancher.control_plane.user("few"),
        ).results
    finally:
        for kind in ("clusterroles", "clusterrolebindings"):
            api.delete(f"{rbac}/{kind}/few")
    assert labelled["machine_config"]["action"] == rolled["machine_config"]["action"] == "updated"
    assert edited["code"] == absent["code"] == "forbidden" and "clusters.provisioning" in edited["msg"] + absent["msg"]
    assert listed["code"] == "forbidden"
    assert named["machine_configs"][0]["config"]["zone"] == "b"
    assert named["references_incomplete"] == ["clusters.provisioning.cattle.io", "machinedeployments.cluster.x-k8s.io"]


def test_problems_of_pools_and_hosted_clusters(rancher):
    """An Azure cluster of the UI keeps the id of its credential, which a rotation or another credential changes."""
    api = rancher.api
    azure = {"clientId": "new-id", "clientSecret": "canary-secret"}
    rancher.secret("cc-azure", "azure", azure, "azure")
    rancher.secret("cc-aws", "amazonec2", downstream.AWS, "aws")
    downstream.config(api, "ui", "azure", clientId="old-id")
    downstream.config(api, "same", "azure", clientId="new-id")
    kind = "AzureConfig"
    downstream.provisioned(api, "ui", "cattle-global-data:cc-azure", [
        downstream.pool("a", None, "ui", kind), downstream.pool("b", None, "same", kind)])
    downstream.provisioned(api, "wrong", "cattle-global-data:cc-azure")
    downstream.provisioned(api, "spelling", "fleet-default:cc-aws")
    downstream.provisioned(api, "lost", "no-such-secret")
    downstream.hosted(api, "c-eks", "cattle-global-data:cc-aws")
    failed = "[Syncing error: syncing failed] 403 AKIA-public"
    status = {"status": {"conditions": [{"type": "Updated", "status": "False", "message": failed}]}}
    api.patch("/apis/management.cattle.io/v3/clusters/c-eks", status)
    result = rancher.play({INFO: {"problems": True}}).result
    found = {
        shown["name"]: {
            problem["code"]: problem["message"] for problem in shown["problems"] if problem["code"] != "owner_gone"
        } for shown in result["credentials"]
    }
    assert set(found["azure"]) == {"config_contradicts", "config_repeats", "driver_mismatch"}
    assert "pool ui/a sets clientId to another value" in found["azure"]["config_contradicts"]
    assert set(found["aws"]) == {"reference_unresolved", "sync_failed"}
    assert found["aws"]["sync_failed"].endswith("[Syncing error: syncing failed] 403 …")
    assert "canary" not in json.dumps(result) and "problems_incomplete" not in result
    missing, = result["dangling"]
    assert missing["id"] == "fleet-default:no-such-secret"
    assert [(entry["name"], entry["pools"]) for entry in missing["references"]] == [("lost", ["workers"])]
    shown = {item["name"]: item["references"] for item in result["credentials"]}
    pools = {reference["name"]: reference.get("pools") for reference in shown["azure"]}
    assert pools == {"ui": ["a", "b"], "wrong": ["workers"]}


def test_old_templates_do_not_block_a_deletion(rancher):
    """After a move to another credential, the old templates still name the first one."""
    api = rancher.api
    downstream.two_credentials(rancher)
    downstream.config(api)
    downstream.provisioned(api)
    old = {
        "apiVersion": "rke-machine.cattle.io/v1", "kind": "Amazonec2MachineTemplate", "metadata": {"name": "prod-old"},
        "spec": {"template": {"spec": {"common": {"cloudCredentialSecretName": downstream.A}}}},
    }
    api.post(f"{MACHINES}/namespaces/fleet-default/amazonec2machinetemplates", old)
    with RancherControllers(api):
        until(lambda: _items(api, f"{CAPI}/machinedeployments"))
        task = {"ranchhand.rancher.cloud_credential": {"name": "old", "state": "absent"}}
        before = rancher.play(task).result
        api.patch(f"{downstream.CLUSTERS}/prod", {"spec": {"cloudCredentialSecretName": downstream.B}})
        until(lambda: all(
            item["spec"]["template"]["spec"]["common"]["cloudCredentialSecretName"] == downstream.B
            for item in _items(api, f"{MACHINES}/amazonec2machinetemplates") if item["metadata"]["name"] != "prod-old"
        ))
        after = rancher.play(task).result
    uses = {(reference["name"], reference["use"]) for reference in before["references"]}
    assert before["code"] == "in_use" and {("prod", "cluster"), ("prod-old", "history")} <= uses
    assert [use for name, use in uses if name.startswith("prod-workers")] == ["pool"]
    assert after["credential"]["action"] == "deleted"
    assert [reference["use"] for reference in after["credential"]["references"]] == ["history"]


EXTENSION = {
    "metadata": {"name": "cloudcredentials.ext.cattle.io"},
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "spec": {
        "group": "ext.cattle.io", "scope": "Namespaced",
        "names": {"kind": "CloudCredential", "listKind": "CloudCredentialList", "plural": "cloudcredentials",
                  "singular": "cloudcredential"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}],
    },
}


def test_credentials_of_the_extension_api_are_detected(rancher):
    """A CRD is the fake of the API that a later Rancher may serve."""
    api = rancher.api
    rancher.secret("cc-a", "amazonec2", downstream.AWS, "aws")
    downstream.provisioned(api, "new", "cattle-cloud-credentials:cc-a")
    without = rancher.play({INFO: {"problems": True}}).result
    api.post(CRDS, EXTENSION)
    try:
        until(lambda: "cloudcredentials" in str(_served(api)))
        path = "/apis/ext.cattle.io/v1/namespaces/fleet-default/cloudcredentials"
        until(lambda: _posted(api, path))
        plain, problems = rancher.play({INFO: {"references": True}}, {INFO: {"problems": True}}).results
        api.delete(f"{path}/cc-a")
    finally:
        api.delete(f"{CRDS}/cloudcredentials.ext.cattle.io")
    assert "not_managed" not in without and without["dangling"] == []
    assert without["credentials"][0]["references"] == []
    expected = {"api_version": "ext.cattle.io/v1", "kind": "CloudCredential", "count": 1}
    reference, = plain["not_managed"].pop("references")
    assert plain["not_managed"] == expected and reference["name"] == "new"
    assert any(text.startswith("not_managed: 1 objects CloudCredential") for text in problems["problems_incomplete"])


def _served(api):
    with contextlib.suppress(ApiError):
        return [item["name"] for item in api.get("/apis/ext.cattle.io/v1")["resources"]]
    return []


def _posted(api, path):
    with contextlib.suppress(ApiError):
        api.post(path, {"apiVersion": "ext.cattle.io/v1", "kind": "CloudCredential", "metadata": {"name": "cc-a"}})
        return True
    return False


def test_as_a_module(rancher):
    task = {"name": "web", "driver": "digitalocean", "keep": True, "config": {"size": "s"}}
    created, listed = rancher.play({CONFIG: task}, {CONFIG_INFO: {"name": "web"}}, as_module=True).results
    assert created["machine_config"]["action"] == "created", created
    assert [item["driver"] for item in listed["machine_configs"]] == ["digitalocean"]
