# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cloud_credential_repoint against the recorded definitions of Rancher 2.11 and 2.15.

A fake plays Rancher's controllers (support/rancher_controllers.py). Real replacements of nodes, restarts of RKE2 and
operators of hosted clusters are not tried.
"""

from __future__ import annotations

import json
import threading

import pytest

from control_plane import ApiError
from support.downstream import (
    CLUSTERS,
    A,
    B,
    config,
    hosted,
    machine,
    named,
    pool,
    provisioned,
    two_credentials,
)
from support.rancher_controllers import CAPI, MACHINES, RancherControllers

REPOINT = "ranchhand.rancher.cloud_credential_repoint"
QUICK = {"from": "old", "to": "new", "wait_timeout": "30s", "wait_sleep": "0s"}
EVERYTHING = {**QUICK, "scope": ["cluster", "pools", "hosted", "s3", "machines"]}


def repoint(cluster, check_mode=False, **options):
    task = {REPOINT: {**QUICK, **options}, "check_mode": check_mode, "diff": True}
    return cluster.play(task).result


def settle(controllers):
    """Let the fake reconcile until nothing changes."""
    for _round in range(4):
        controllers.reconcile()


def test_everything_moves_and_nothing_is_replaced(recorded_rancher):
    api = recorded_rancher.api
    two_credentials(recorded_rancher)
    config(api)
    config(api, "db")
    provisioned(api, pools=[pool(), pool("db", A, "db")], s3=A)
    machine(api)
    hosted(api)
    settle(RancherControllers(api))
    deployments = api.get(f"{CAPI}/machinedeployments")["items"]
    before = api.get(CLUSTERS + "/prod")
    with RancherControllers(api):
        checked, moved, again = (
            task["result"]
            for task in recorded_rancher.play(
                {REPOINT: EVERYTHING, "check_mode": True, "diff": True},
                {REPOINT: EVERYTHING, "diff": True},
                {REPOINT: EVERYTHING},
            ).tasks
        )
    assert not moved["failed"], moved
    assert checked["objects"] == moved["objects"] and checked["diff"] == moved["diff"]
    assert sorted((row["name"], row["pool"] or "", row["restarts"]) for row in moved["objects"]) == [
        ("c-abcde", "", False),
        ("m-1", "", False),
        ("prod", "", False),
        ("prod", "", True),
        ("prod", "db", False),
    ]
    assert moved["changed"] and moved["free"] and moved["restarts"] and not moved["remaining"]
    assert checked["changed"] and not checked["free"] and not checked["remaining"]
    assert not again["failed"] and not again["changed"] and again["objects"] == [] and again["free"]
    assert set(named(api).values()) == {B}
    assert api.get(f"{CAPI}/machinedeployments")["items"] == deployments, "no pool was rolled"
    after = api.get(CLUSTERS + "/prod")
    for item in (before, after):
        item["spec"].pop("cloudCredentialSecretName")
        item["spec"]["rkeConfig"]["machinePools"][1].pop("cloudCredentialSecretName")
        item["spec"]["rkeConfig"]["etcd"]["s3"].pop("cloudCredentialName")
    assert before["spec"] == after["spec"], "nothing else was changed"
    assert "stored-secret-value" not in json.dumps([checked, moved, again])


def test_check_mode_only_reads_and_a_second_run_writes_nothing(recorded_215):
    api = recorded_215.api
    two_credentials(recorded_215)
    config(api)
    provisioned(api)
    mark = recorded_215.control_plane.audit_mark()
    repoint(recorded_215, check_mode=True)
    assert recorded_215.writes(mark) == []
    with RancherControllers(api):
        assert repoint(recorded_215)["changed"]
        mark = recorded_215.control_plane.audit_mark()
        assert not repoint(recorded_215)["changed"]
    assert recorded_215.writes(mark) == []


def test_the_default_leaves_machines_and_s3_and_reports_them(recorded_215):
    api = recorded_215.api
    two_credentials(recorded_215)
    config(api)
    provisioned(api, s3=A)
    machine(api)
    with RancherControllers(api):
        result = repoint(recorded_215)
    assert not result["failed"] and not result["free"], result
    assert {(item["name"], item["field"]) for item in result["remaining"]} == {
        ("prod", "spec.rkeConfig.etcd.s3.cloudCredentialName"),
        ("m-1", "spec.common.cloudCredentialSecretName"),
    }
    refused = recorded_215.play({"ranchhand.rancher.cloud_credential": {"name": "old", "state": "absent"}}).result
    assert refused["code"] == "in_use" and "cloud_credential_repoint" in refused["msg"]


def test_what_rancher_does_not_take_over_is_a_failure_and_the_next_run_continues(recorded_215):
    api = recorded_215.api
    two_credentials(recorded_215)
    config(api)
    provisioned(api)
    machine(api)
    settle(RancherControllers(api))
    options = {"scope": ["cluster", "machines"], "wait_timeout": "1s"}
    stuck = repoint(recorded_215, **options)
    assert stuck["code"] == "unconfirmed" and stuck["changed"] and "MachineTemplate" in stuck["msg"], stuck
    assert named(api)["prod"] == B and named(api)["m-1"] == A, "machines follow their cluster"
    with RancherControllers(api):
        finished = repoint(recorded_215, scope=["cluster", "machines"])
    assert not finished["failed"] and finished["changed"] and finished["free"], finished


def test_clusters_of_other_tools_are_refused_and_the_others_move(recorded_215):
    api = recorded_215.api
    two_credentials(recorded_215)
    config(api)
    config(api, "web2")
    provisioned(api, "mine")
    provisioned(
        api,
        "theirs",
        pools=[pool(config_name="web2")],
        annotations={"meta.helm.sh/release-name": "clusters"},
    )
    with RancherControllers(api):
        result = repoint(recorded_215)
        assert result["code"] == "other_writer" and "override_gates" in result["msg"], result
        assert {row["name"]: row["action"] for row in result["objects"]} == {"mine": "moved", "theirs": "refused"}
        assert named(api)["theirs"] == A
        assert not repoint(recorded_215, override_gates=["other_writer"])["failed"]
    assert named(api)["theirs"] == B


def test_an_azure_config_that_hides_the_credential_is_refused(recorded_rancher):
    api = recorded_rancher.api
    fields = {"clientId": "id-a", "clientSecret": "s", "subscriptionId": "sub", "environment": "AzurePublicCloud"}
    two_credentials(recorded_rancher, "azure", fields, {**fields, "clientId": "id-b"})
    config(api, "web", "azure", clientId="id-a", subscriptionId="sub")
    provisioned(api, pools=[pool(kind="AzureConfig")])
    result = repoint(recorded_rancher)
    assert result["code"] == "invalid" and "clientId in AzureConfig fleet-default/web" in result["msg"], result
    assert named(api)["prod"] == A


def test_a_default_of_the_definition_hides_another_environment(recorded_rancher):
    api = recorded_rancher.api
    fields = {"clientId": "id-a", "clientSecret": "s", "subscriptionId": "sub", "environment": "AzureChinaCloud"}
    two_credentials(recorded_rancher, "azure", fields, fields)
    config(api, "web", "azure")
    provisioned(api, pools=[pool(kind="AzureConfig")])
    result = repoint(recorded_rancher)
    assert result["code"] == "invalid" and "environment in AzureConfig" in result["msg"], result


def test_running_machine_jobs_are_waited_for(recorded_215):
    api = recorded_215.api
    two_credentials(recorded_215)
    config(api)
    provisioned(api)
    machine(api)
    jobs = "/apis/batch/v1/namespaces/fleet-default/jobs"
    template = {"restartPolicy": "Never", "containers": [{"name": "machine", "image": "machine"}]}
    labels = {"rke.cattle.io/infra-machine-name": "m-1"}
    api.post(jobs, {"metadata": {"name": "create", "labels": labels}, "spec": {"template": {"spec": template}}})
    with RancherControllers(api):
        busy = repoint(recorded_215, wait_timeout="1s")
        assert busy["code"] == "busy" and "fleet-default/create" in busy["msg"], busy
        assert named(api)["prod"] == A
        # Kubernetes 1.31 and newer require the second, and older versions refuse it.
        types = ["Complete", "SuccessCriteriaMet"][:1 + (int(api.get("/version")["minor"]) > 30)]
        conditions = [{"type": kind, "status": "True"} for kind in types]
        times = {"startTime": "2026-11-25T00:00:00Z", "completionTime": "2026-11-25T00:00:01Z"}
        api.patch(f"{jobs}/create/status", {"status": {"conditions": conditions, **times}})
        assert not repoint(recorded_215)["failed"]
    assert named(api)["prod"] == B


def test_machines_whose_credential_is_gone_can_be_deleted(recorded_rancher):
    api = recorded_rancher.api
    two_credentials(recorded_rancher)
    config(api)
    provisioned(api, credential=B)
    hanging, kept = machine(api, "hanging"), machine(api, "kept", B)
    api.delete("/api/v1/namespaces/cattle-global-data/secrets/cc-a")
    api.delete(hanging)
    with RancherControllers(api):
        assert repoint(recorded_rancher, **{"from": A})["code"] == "not_found"
        api.get(hanging)
        result = repoint(recorded_rancher, **{"from": A}, repair=True)
        assert not result["failed"] and [row["name"] for row in result["objects"]] == ["hanging"], result
    with pytest.raises(ApiError, match="not found"):
        api.get(hanging)
    api.get(kept)


def test_hosted_clusters_wait_for_a_refresh_without_error(recorded_rancher):
    api = recorded_rancher.api
    two_credentials(recorded_rancher)
    hosted(api)
    hosted(api, "c-other")
    with RancherControllers(api):
        result = repoint(recorded_rancher, clusters=["shop c-abcde"])
    assert not result["failed"] and [item["name"] for item in result["remaining"]] == ["c-other"], result
    stored = api.get("/apis/management.cattle.io/v3/clusters/c-abcde")
    assert stored["status"]["eksStatus"]["upstreamSpec"]["amazonCredentialSecret"] == B


def test_wait_false_returns_at_once_and_says_that_the_credential_is_not_free(recorded_215):
    api = recorded_215.api
    two_credentials(recorded_215)
    config(api)
    provisioned(api)
    machine(api)
    result = repoint(recorded_215, wait=False, scope=["cluster", "machines"])
    assert result["changed"] and not result["failed"] and not result["remaining"], result
    assert not result["free"], "the status of the machine still names it"


def test_options_are_validated_before_anything_is_read(recorded_215):
    mark = recorded_215.control_plane.audit_mark()
    for options in ({"scope": []}, {"scope": ["x"]}, {"to": ""}, {"override_gates": ["x"]}):
        assert repoint(recorded_215, **options)["code"] == "invalid"
    assert recorded_215.requests(mark) == []


def test_a_connection_without_rights_stops_before_the_first_write(recorded_215):
    api = recorded_215.api
    two_credentials(recorded_215)
    config(api)
    provisioned(api)
    kubeconfig = recorded_215.control_plane.user("nobody-special")
    result = recorded_215.play({REPOINT: QUICK}, kubeconfig=kubeconfig).result
    assert result["code"] == "forbidden" and named(api)["prod"] == A, result


@pytest.mark.parametrize("as_module", [False, True], ids=["in process", "as a module"])
def test_both_ways_of_running_give_the_same_result(recorded_215, as_module):
    api = recorded_215.api
    two_credentials(recorded_215)
    config(api)
    provisioned(api)
    with RancherControllers(api):
        result = recorded_215.play({REPOINT: QUICK}, as_module=as_module).result
    assert result["changed"] and not result["failed"] and result["free"], result
    assert api.get(f"{MACHINES}/amazonec2machinetemplates")["items"]


def test_saves_of_the_ui_during_a_run_are_kept(recorded_215):
    """On the real API server: one client changes quantities all the time, while everything is moved."""
    api = recorded_215.api
    two_credentials(recorded_215)
    names = [f"c-{number}" for number in range(8)]
    for name in names:
        config(api, name)
        provisioned(api, name, pools=[pool(config_name=name), pool("two", A, name)])
        machine(api, f"m-{name}", cluster=name)
    settle(RancherControllers(api))
    saved = dict.fromkeys(names, 1)
    stop = threading.Event()

    def save():
        while not stop.is_set():
            for name in names:
                cluster = api.get(f"{CLUSTERS}/{name}")
                for entry in cluster["spec"]["rkeConfig"]["machinePools"]:
                    entry["quantity"] = saved[name] + 1
                try:
                    api.put(f"{CLUSTERS}/{name}", cluster)
                except ApiError as error:
                    assert error.status == 409, error
                else:
                    saved[name] += 1

    thread = threading.Thread(target=save)
    with RancherControllers(api):
        thread.start()
        try:
            result = repoint(recorded_215, scope=["cluster", "pools", "machines"])
        finally:
            stop.set()
            thread.join()
    assert not result["failed"] and result["free"], result
    assert min(saved.values()) > 1, "nothing was saved meanwhile"
    assert set(named(api).values()) == {B}
    for name in names:
        pools = api.get(f"{CLUSTERS}/{name}")["spec"]["rkeConfig"]["machinePools"]
        assert {entry["quantity"] for entry in pools} == {saved[name]}, "a save was overwritten"
