# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gates before an old key is disabled, with what closes them in a real cluster."""

from __future__ import annotations

import base64
import contextlib
import json
import time

import pytest

from control_plane import ApiError
from support.rotations import ROTATION_INFO as INFO
from support.rotations import RotatingCredential

MACHINES = "/apis/rke-machine.cattle.io/v1/namespaces/fleet-default/amazonec2machines"
JOBS = "/apis/batch/v1/namespaces/fleet-default/jobs"
CLUSTERS = "/apis/provisioning.cattle.io/v1/namespaces/fleet-default/clusters"
PLANS = "/api/v1/namespaces/fleet-default/secrets"
VERSION = "/apis/management.cattle.io/v3/settings/server-version"


@pytest.fixture
def rotated(cluster, aws):
    """A credential after its cutover, that a machine uses; what a test leaves is removed."""
    rotating = RotatingCredential(cluster, aws)
    api = cluster.api
    version = api.get(VERSION)["value"]
    api.post(
        MACHINES,
        {
            "apiVersion": "rke-machine.cattle.io/v1",
            "kind": "Amazonec2Machine",
            "metadata": {"name": "prod-1"},
            "spec": {"common": {"cloudCredentialSecretName": f"cattle-global-data:{rotating.id}"}},
        },
    )
    assert rotating.run()["rotation"]["phase"] == "grace"
    yield rotating
    for path in (f"{MACHINES}/prod-1", f"{JOBS}/create-prod-1", f"{PLANS}/prod-1-plan"):
        with contextlib.suppress(ApiError):
            api.delete(path, {"propagationPolicy": "Background"})
    api.patch(VERSION, {"value": version})


def _gate(result, name):
    return next(gate for gate in result["rotation"]["gates"] if gate["name"] == name)


def _closed(rotating, name):
    """The gate's detail, after a run that waited for nothing else, and did nothing."""
    before = len(rotating.aws.requests)
    result = rotating.run("retired", grace="0s")
    assert not result["changed"] and not result["failed"], result
    assert [item.partition(":")[0] for item in result["rotation"]["waiting_for"]] == [name], result
    assert not [item for item in rotating.aws.requests[before:] if item.action == "UpdateAccessKey"]
    status = rotating.play({INFO: {"id": rotating.id, "gates": True, "namespace": rotating.namespace}}).result[
        "rotations"
    ][0]
    assert [gate["state"] for gate in status["gates"] if gate["name"] == name] == [_gate(result, name)["state"]]
    return _gate(result, name)["detail"]


def test_a_machine_job_from_before_the_cutover(rotated):
    api = rotated.cluster.api
    container = {"name": "machine", "image": "rancher/machine"}
    api.post(JOBS, {"metadata": {"name": "create-prod-1", "labels": {"rke.cattle.io/infra-machine-name": "prod-1"}},
                    "spec": {"template": {"spec": {"containers": [container], "restartPolicy": "Never"}}}})
    api.patch(f"{JOBS}/create-prod-1/status", {"status": {"startTime": "2026-01-01T00:00:00Z", "active": 1}})
    assert "fleet-default/create-prod-1" in _closed(rotated, "machine_jobs")
    overridden = rotated.run("retired", grace="0s", override_gates=["machine_jobs"])
    assert overridden["rotation"]["phase"] == "disabled"
    assert _gate(overridden, "machine_jobs")["detail"].startswith("overridden: the end of fleet-default/create-prod-1")


def test_the_plan_of_an_etcd_node_still_carries_the_old_key(rotated):
    api = rotated.cluster.api
    api.post(
        CLUSTERS,
        {
            "apiVersion": "provisioning.cattle.io/v1",
            "kind": "Cluster",
            "metadata": {"name": "prod"},
            "spec": {"rkeConfig": {"etcd": {"s3": {"cloudCredentialName": f"cattle-global-data:{rotated.id}"}}}},
        },
    )
    content = json.dumps({"etcd-s3-access-key": rotated.key["accessKey"]}).encode()
    plan = json.dumps(
        {
            "files": [
                {
                    "path": "/etc/rancher/rke2/config.yaml.d/50-rancher.yaml",
                    "content": base64.b64encode(content).decode(),
                }
            ]
        }
    )
    api.post(
        PLANS, {"metadata": {"name": "prod-1-plan"}, "type": "rke.cattle.io/machine-plan", "stringData": {"plan": plan}}
    )
    assert "fleet-default/prod-1-plan" in _closed(rotated, "etcd_s3")
    api.patch(f"{PLANS}/prod-1-plan", {"stringData": {"plan": plan.replace(base64.b64encode(content).decode(), "")}})
    assert rotated.run("retired", grace="0s")["rotation"]["phase"] == "disabled"


@pytest.mark.parametrize(
    ("version", "state"),
    [
        pytest.param("v2.7.11", "waiting", id="old version"),
        pytest.param("dev", "unknown", id="unknown version"),
    ],
)
def test_a_rancher_that_deletes_machines_with_the_key_they_were_made_with(rotated, version, state):
    rotated.cluster.api.patch(VERSION, {"value": version})
    assert "fleet-default/prod-1" in _closed(rotated, "rancher_version")
    assert _gate(rotated.run("retired", grace="0s"), "rancher_version")["state"] == state
    assert rotated.run("retired", grace="0s", override_gates=["rancher_version"])["rotation"]["phase"] == "disabled"


def test_the_old_key_was_used_a_moment_ago(rotated):
    result = rotated.run("retired", grace="1h", override_gates=["grace"])
    assert [item.partition(":")[0] for item in result["rotation"]["waiting_for"]] == ["last_used"], (
        "the rotation itself signed in with it"
    )
    assert "unused for 1h" in _gate(result, "last_used")["detail"]
    assert rotated.run("retired", grace="0s")["rotation"]["phase"] == "disabled"


CONFIG = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "amazonec2configs.rke-machine-config.cattle.io"},
    "spec": {
        "group": "rke-machine-config.cattle.io",
        "scope": "Namespaced",
        "names": {
            "kind": "Amazonec2Config",
            "listKind": "Amazonec2ConfigList",
            "plural": "amazonec2configs",
            "singular": "amazonec2config",
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CONFIGS = "/apis/rke-machine-config.cattle.io/v1/namespaces/fleet-default/amazonec2configs"


@pytest.fixture
def machine_config(cluster):
    """A machine config that contains a key itself."""
    cluster.api.post(CRDS, CONFIG)
    body = {
        "apiVersion": "rke-machine-config.cattle.io/v1",
        "kind": "Amazonec2Config",
        "metadata": {"name": "own-key"},
        "secretKey": "canary-key",
    }
    deadline = time.monotonic() + 20
    while True:
        try:
            cluster.api.post(CONFIGS, body)
            break
        except ApiError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    yield "own-key"
    cluster.api.delete(f"{CRDS}/{CONFIG['metadata']['name']}")
    cluster.api.delete(f"{CLUSTERS}/keyed")


def test_a_machine_config_that_hides_the_new_key(cluster, aws, machine_config):
    """New machines of its pool would keep the old key, which the rotation deletes."""
    rotating = RotatingCredential(cluster, aws)
    pool = {"name": "workers", "machineConfigRef": {"kind": "Amazonec2Config", "name": machine_config}}
    cluster.api.post(
        CLUSTERS,
        {
            "apiVersion": "provisioning.cattle.io/v1",
            "kind": "Cluster",
            "metadata": {"name": "keyed"},
            "spec": {
                "cloudCredentialSecretName": f"cattle-global-data:{rotating.id}",
                "rkeConfig": {"machinePools": [pool]},
            },
        },
    )
    refused = rotating.run()
    assert refused["code"] == "conflict" and len(rotating.keys) == 1, refused
    assert "Amazonec2Config fleet-default/own-key sets secretKey itself" in refused["msg"]
    assert "pool keyed/workers" in refused["msg"] and "canary" not in refused["msg"]
    assert rotating.run(override_gates=["machine_config"])["rotation"]["phase"] == "grace"
