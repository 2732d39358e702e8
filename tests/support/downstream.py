# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downstream clusters with machine configs, pools and machines, and hosted clusters, as Rancher's UI creates them."""

from __future__ import annotations

import contextlib

from control_plane import ApiError
from support.cluster import empty
from support.rancher_controllers import CAPI, CLUSTER_LABEL, CONFIGS, FINALIZER, MACHINES, MANAGEMENT, PROVISIONING, RKE

NAMESPACE = "fleet-default"
CLUSTERS = f"{PROVISIONING}/namespaces/{NAMESPACE}/clusters"
A, B = "cattle-global-data:cc-a", "cattle-global-data:cc-b"
AWS = {"accessKey": "AKIA-public", "secretKey": "stored-secret-value"}


def empty_downstream(api):
    """Delete what a test of downstream clusters has left."""
    empty(api)
    lists = [(CAPI, "machinedeployments"), (CAPI, "machinesets"), (RKE, "rkecontrolplanes"), ("/apis/batch/v1", "jobs")]
    lists += [(MACHINES, f"{driver}{kind}") for driver in ("amazonec2", "azure")
              for kind in ("machines", "machinetemplates")]
    lists += [(CONFIGS, f"{driver}configs") for driver in ("amazonec2", "azure", "digitalocean")]
    lists += [(f"/apis/{name}.cattle.io/v1", f"{name}clusterconfigs") for name in ("eks", "aks")]
    lists += [(PROVISIONING, "clusters"), ("/apis/management.cattle.io/v3", "nodetemplates"),
              ("/apis/management.cattle.io/v3", "nodepools"), ("/apis/management.cattle.io/v3", "nodes")]
    for version, plural in lists:
        with contextlib.suppress(ApiError):
            for item in api.get(f"{version}/{plural}")["items"]:
                metadata = item["metadata"]
                path = f"{version}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}"
                _delete(api, path, metadata)
    for item in api.get(MANAGEMENT)["items"]:
        _delete(api, f"{MANAGEMENT}/{item['metadata']['name']}", item["metadata"])
    for item in api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets")["items"]:
        _delete(api, f"/api/v1/namespaces/{NAMESPACE}/secrets/{item['metadata']['name']}", item["metadata"])


def _delete(api, path, metadata):
    with contextlib.suppress(ApiError):
        if metadata.get("finalizers"):
            api.patch(path, {"metadata": {"finalizers": None}})
        if not metadata.get("deletionTimestamp"):
            api.delete(path)


def two_credentials(cluster, driver="amazonec2", old=None, new=None, **metadata):
    """Create the credentials A ("old") and B ("new")."""
    cluster.secret("cc-a", driver, old or AWS, "old")
    cluster.secret("cc-b", driver, new or {**AWS, "accessKey": "AKIA-other"}, "new", **metadata)


def config(api, name="web", driver="amazonec2", **fields):
    kind = driver.capitalize() + "Config"
    body = {"apiVersion": "rke-machine-config.cattle.io/v1", "kind": kind, "metadata": {"name": name}, **fields}
    return api.post(f"{CONFIGS}/namespaces/{NAMESPACE}/{driver}configs", body)


def pool(name="workers", credential=None, config_name="web", kind="Amazonec2Config"):
    entry = {
        "name": name,
        "quantity": 1,
        "workerRole": True,
        "machineConfigRef": {"kind": kind, "name": config_name},
    }
    return {**entry, "cloudCredentialSecretName": credential} if credential else entry


def provisioned(api, name="prod", credential=A, pools=None, s3=None, **metadata):
    """Create a cluster with its machine pools."""
    rke = {"machinePools": [pool()] if pools is None else pools}
    if s3:
        rke["etcd"] = {"s3": {"cloudCredentialName": s3, "bucket": "snapshots"}}
    spec = {"kubernetesVersion": "v1.31.5+rke2r1", "rkeConfig": rke}
    if credential:
        spec["cloudCredentialSecretName"] = credential
    return api.post(
        CLUSTERS,
        {
            "apiVersion": "provisioning.cattle.io/v1",
            "kind": "Cluster",
            "metadata": {"name": name, **metadata},
            "spec": spec,
        },
    )


def machine(api, name="m-1", credential=A, cluster="prod"):
    """Create an infrastructure machine that Rancher has confirmed."""
    path = f"{MACHINES}/namespaces/{NAMESPACE}/amazonec2machines"
    api.post(
        path,
        {
            "apiVersion": "rke-machine.cattle.io/v1",
            "kind": "Amazonec2Machine",
            "metadata": {"name": name, "labels": {CLUSTER_LABEL: cluster}, "finalizers": [FINALIZER]},
            "spec": {"common": {"cloudCredentialSecretName": credential}, "region": "eu-central-1"},
        },
    )
    api.patch(f"{path}/{name}/status", {"status": {"cloudCredentialSecretName": credential, "ready": True}})
    return f"{path}/{name}"


def hosted(api, name="c-abcde", credential=A):
    spec = {
        "displayName": f"shop {name}",
        "eksConfig": {"amazonCredentialSecret": credential, "region": "eu-central-1"},
    }
    annotations = {"clusters.management.cattle.io/ke-last-refresh": "1700000000"}
    return api.post(
        MANAGEMENT,
        {
            "apiVersion": "management.cattle.io/v3",
            "kind": "Cluster",
            "metadata": {"name": name, "annotations": annotations},
            "spec": spec,
            "status": {
                "appliedSpec": {"eksConfig": spec["eksConfig"]},
                "eksStatus": {"upstreamSpec": spec["eksConfig"]},
            },
        },
    )


def named(api):
    """Return all credentials that objects name, by object and field; without old machine templates."""
    found = {}
    for item in api.get(CLUSTERS)["items"]:
        name, spec = item["metadata"]["name"], item["spec"]
        found[name] = spec.get("cloudCredentialSecretName")
        rke = spec.get("rkeConfig") or {}
        for entry in rke.get("machinePools") or ():
            found[f"{name}/{entry['name']}"] = entry.get("cloudCredentialSecretName")
        found[f"{name} s3"] = ((rke.get("etcd") or {}).get("s3") or {}).get("cloudCredentialName")
    for item in api.get(f"{MACHINES}/amazonec2machines")["items"]:
        found[item["metadata"]["name"]] = item["spec"]["common"]["cloudCredentialSecretName"]
        found[f"{item['metadata']['name']} status"] = item["status"]["cloudCredentialSecretName"]
    for item in api.get(MANAGEMENT)["items"]:
        found[item["metadata"]["name"]] = (item["spec"].get("eksConfig") or {}).get("amazonCredentialSecret")
    return {key: value for key, value in found.items() if value}
