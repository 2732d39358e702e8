# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of the controllers of Rancher and Cluster API that copy the names of credentials.

It does what was recorded from Rancher 2.11: a config that a pool uses gets its cluster as owner; each pool has a
MachineTemplate, whose name depends on the config but not on the credential, and a MachineDeployment that refers to it;
a credential that does not exist sets the condition RKECluster to False and changes nothing; a machine confirms the
credential in its status if it exists; a machine that is deleted gets a Job and disappears, or hangs if its credential
does not exist; the control plane copies and applies the credential of S3; hosted clusters copy the credential to the
object of their operator, and to their status at the next refresh.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from pathlib import Path

from control_plane import ApiError

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PROVISIONING = "/apis/provisioning.cattle.io/v1"
MANAGEMENT = "/apis/management.cattle.io/v3/clusters"
CONFIGS = "/apis/rke-machine-config.cattle.io/v1"
MACHINES = "/apis/rke-machine.cattle.io/v1"
CAPI = "/apis/cluster.x-k8s.io/v1beta1"
RKE = "/apis/rke.cattle.io/v1"
SECRETS = "/api/v1/namespaces/cattle-global-data/secrets"
FINALIZER = "wrangler.cattle.io/machine-provision-remove"
POOL_LABEL = "rke.cattle.io/rke-machine-pool-name"
CLUSTER_LABEL = "cluster.x-k8s.io/cluster-name"
HOSTED = {"eks": ("EKS", "amazonCredentialSecret"), "aks": ("AKS", "azureCredentialSecret")}


def recorded_crds(rancher):
    """Return the recorded definitions of machine configs and provisioning clusters of a Rancher."""
    file = Path(__file__).parents[1] / "control_plane" / "fixtures" / f"machine-config-crds-{rancher}.json"
    return json.loads(file.read_text(encoding="utf-8"))


def install_recorded_crds(control_plane, rancher):
    """Replace the definition of provisioning clusters by the recorded one, and add machine configs and Cluster API."""
    api = control_plane.api
    paths = []
    for content in recorded_crds(rancher) + [_cluster_api(kind) for kind in ("MachineDeployment", "MachineSet")]:
        spec = content["spec"]
        body = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": content["metadata"]["name"],
                "annotations": content["metadata"].get("annotations") or {},
            },
            "spec": spec,
        }
        with contextlib.suppress(ApiError):
            api.delete(f"{CRDS}/{body['metadata']['name']}")
            _wait(lambda: not _exists(api, f"{CRDS}/{body['metadata']['name']}"))  # noqa: B023
        api.post(CRDS, body)
        version = next(item["name"] for item in spec["versions"] if item["storage"])
        paths.append(f"/apis/{spec['group']}/{version}/{spec['names']['plural']}")
    for path in paths:
        group, _slash, plural = path.rpartition("/")
        _wait(lambda: plural in {item["name"] for item in _get(api, group, {"resources": []})["resources"]})  # noqa: B023
        _wait(lambda: _exists(api, path))  # noqa: B023


def _cluster_api(kind):
    version = {
        "name": "v1beta1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    plural = kind.lower() + "s"
    return {
        "metadata": {
            "name": f"{plural}.cluster.x-k8s.io",
            "annotations": {"api-approved.kubernetes.io": "unapproved, a fake for tests"},
        },
        "spec": {
            "group": "cluster.x-k8s.io",
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": kind + "List", "plural": plural, "singular": kind.lower()},
            "versions": [version],
        },
    }


def _get(api, path, default=None):
    try:
        return api.get(path)
    except ApiError as error:
        if error.status not in (404, 429, 503):
            raise
        return default


def _exists(api, path):
    return _get(api, path) is not None


def _wait(done, seconds=30):
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise AssertionError("the control plane did not get there in time")
        time.sleep(0.05)


class RancherControllers:
    """The fake, as a thread that reconciles everything again and again until it is stopped.

    `paused` holds back the copies of names; `confirms` False keeps machines from being confirmed.
    """

    def __init__(self, api, pause=0.05):
        self.api = api
        self.paused = threading.Event()
        self.confirms = True
        self._pause = pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.error = None

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        self._thread.join()
        if self.error and not exception[0]:
            raise self.error

    def _run(self):
        while not self._stop.wait(self._pause):
            if not self.paused.is_set():
                try:
                    self.reconcile()
                except ApiError as error:
                    if error.status not in (404, 409, 422):  # another client was faster
                        self.error = error
                        return

    def reconcile(self):
        """Reconcile all objects once."""
        names = {item["metadata"]["name"] for item in self.api.get(SECRETS)["items"]}
        for cluster in self._items(f"{PROVISIONING}/clusters"):
            with _faster():
                self._provisioning(cluster, names)
        for kind in [item for item in self.api.get(MACHINES)["resources"] if item["kind"].endswith("Machine")]:
            if "/" not in kind["name"]:
                for machine in self._items(f"{MACHINES}/{kind['name']}"):
                    with _faster():
                        self._machine(kind["name"], machine, names)
        for cluster in self._items(MANAGEMENT):
            with _faster():
                self._hosted(cluster, names)

    def _items(self, path):
        return (_get(self.api, path) or {"items": []})["items"]

    # Provisioned clusters

    def _provisioning(self, cluster, names):
        spec, metadata = cluster.get("spec") or {}, cluster["metadata"]
        rke = spec.get("rkeConfig")
        if not rke or metadata.get("deletionTimestamp"):
            return
        try:
            rendered = [self._template(cluster, pool, names) for pool in rke.get("machinePools") or ()]
        except _Refused as refusal:
            self._condition(cluster, "False", str(refusal))
            return
        for pool, (plural, template) in rendered:
            self._store(f"{MACHINES}/namespaces/{metadata['namespace']}/{plural}", template)
            self._store(
                f"{CAPI}/namespaces/{metadata['namespace']}/machinedeployments", _deployment(cluster, pool, template)
            )
        self._control_plane(cluster, rke, names)
        self._condition(cluster, "True", "")

    def _template(self, cluster, pool, names):
        metadata = cluster["metadata"]
        reference = pool["machineConfigRef"]
        driver = reference["kind"].removesuffix("Config").lower()
        path = f"{CONFIGS}/namespaces/{metadata['namespace']}/{driver}configs/{reference['name']}"
        config = _get(self.api, path)
        if config is None:
            raise _Refused(f'{reference["kind"]}.rke-machine-config.cattle.io "{reference["name"]}" not found')
        owners = config["metadata"].get("ownerReferences") or []
        of_clusters = [owner["name"] for owner in owners if owner["kind"] == "Cluster"]
        if not of_clusters and not any(owner.get("controller") for owner in owners):
            owner = {
                "apiVersion": "provisioning.cattle.io/v1",
                "kind": "Cluster",
                "name": metadata["name"],
                "uid": metadata["uid"],
                "controller": True,
                "blockOwnerDeletion": True,
            }
            self.api.patch(path, {"metadata": {"ownerReferences": [*owners, owner]}})
        elif of_clusters != [metadata["name"]]:
            raise _Refused(f"can not use it because it is already owned by {owners[0]['kind']} {owners[0]['name']}")
        credential = pool.get("cloudCredentialSecretName") or cluster["spec"].get("cloudCredentialSecretName") or ""
        _require(credential, names)
        fields = {
            key: value
            for key, value in config.items()
            if key not in ("apiVersion", "kind", "metadata") and value not in (None, "", [])
        }
        base = f"{metadata['name']}-{pool['name']}"
        checksum = hashlib.sha256((base + json.dumps(fields, sort_keys=True)).encode()).hexdigest()[:8]
        kind = reference["kind"].removesuffix("Config") + "MachineTemplate"
        return pool, (
            kind.lower() + "s",
            {
                "apiVersion": "rke-machine.cattle.io/v1",
                "kind": kind,
                "metadata": {"name": f"{base}-{checksum}", "labels": {"objectset.rio.cattle.io/prune": "false"}},
                "spec": {
                    "clusterName": metadata["name"],
                    "template": {"spec": {**fields, "common": {"cloudCredentialSecretName": credential}}},
                },
            },
        )

    def _control_plane(self, cluster, rke, names):
        s3 = ((rke.get("etcd") or {}).get("s3")) or {}
        if not s3:
            return
        path = f"{RKE}/namespaces/{cluster['metadata']['namespace']}/rkecontrolplanes"
        body = {
            "apiVersion": "rke.cattle.io/v1",
            "kind": "RKEControlPlane",
            "metadata": {"name": cluster["metadata"]["name"]},
            "spec": {"etcd": {"s3": s3}},
        }
        self._store(path, body)
        stored = self.api.get(f"{path}/{cluster['metadata']['name']}")
        ready = s3.get("cloudCredentialName", "").rpartition(":")[2] in names
        message = "" if ready else "failed to lookup etcdSnapshotCloudCredentialName"
        status = {
            "observedGeneration": stored["metadata"]["generation"],
            "conditions": [{"type": "Ready", "status": str(ready), "message": message}],
        }
        if ready:
            status["appliedSpec"] = stored["spec"]
        self._status(f"{path}/{cluster['metadata']['name']}", stored, status)

    def _condition(self, cluster, status, message):
        metadata = cluster["metadata"]
        conditions = [{"type": "RKECluster", "status": status, "message": message}]
        path = f"{PROVISIONING}/namespaces/{metadata['namespace']}/clusters/{metadata['name']}"
        self._status(path, cluster, {"conditions": conditions})

    # Machines

    def _machine(self, plural, machine, names):
        metadata = machine["metadata"]
        path = f"{MACHINES}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}"
        credential = ((machine.get("spec") or {}).get("common") or {}).get("cloudCredentialSecretName") or ""
        if credential.rpartition(":")[2] not in names or not credential.startswith("cattle-global-data:"):
            return  # Rancher only logs this
        if metadata.get("deletionTimestamp"):
            # The driver's Job would use the values of this credential.
            self.api.patch(path, {"metadata": {"finalizers": None}})
        elif self.confirms:
            self._status(path, machine, {"cloudCredentialSecretName": credential})

    # Hosted clusters

    def _hosted(self, cluster, names):
        for operator, (prefix, field) in HOSTED.items():
            config = (cluster.get("spec") or {}).get(f"{operator}Config")
            if not config:
                continue
            name, credential = cluster["metadata"]["name"], config.get(field) or ""
            path = f"/apis/{operator}.cattle.io/v1/namespaces/cattle-global-data/{operator}clusterconfigs"
            body = {
                "apiVersion": f"{operator}.cattle.io/v1",
                "kind": f"{prefix}ClusterConfig",
                "metadata": {"name": name},
                "spec": config,
            }
            self._store(path, body)
            works = credential.rpartition(":")[2] in names
            failure = "" if works else "cannot access the provider, check cloud credential"
            stored = self.api.get(f"{path}/{name}")
            phase = "active" if works else "updating"
            self._status(f"{path}/{name}", stored, {"phase": phase, "failureMessage": failure})
            status = dict(cluster.get("status") or {})
            status["appliedSpec"] = {f"{operator}Config": config}
            message = "" if works else "[Syncing error: syncing failed] " + failure
            status["conditions"] = [{"type": "Updated", "status": str(works), "message": message}]
            refreshed = "clusters.management.cattle.io/ke-last-refresh"
            if refreshed not in (cluster["metadata"].get("annotations") or {}) and works:
                status[f"{operator}Status"] = {"upstreamSpec": config}
                patch = {"metadata": {"annotations": {refreshed: "1700000000"}}, "status": status}
                self.api.patch(f"{MANAGEMENT}/{name}", patch)
            elif status != cluster.get("status"):
                self.api.patch(f"{MANAGEMENT}/{name}", {"status": status})

    # Writing

    def _store(self, path, body):
        """Create an object, or replace its spec if it differs."""
        stored = _get(self.api, f"{path}/{body['metadata']['name']}")
        if stored is None:
            self.api.post(path, body)
        elif stored["spec"] != body["spec"]:
            self.api.put(f"{path}/{body['metadata']['name']}", {**stored, "spec": body["spec"]})

    def _status(self, path, stored, status):
        before = stored.get("status") or {}
        if any(before.get(key) != value for key, value in status.items()):
            self.api.patch(f"{path}/status", {"status": status})


class _Refused(Exception):
    """Rancher's controller would report this in the condition RKECluster."""


@contextlib.contextmanager
def _faster():
    """Ignore that another client changed or deleted the object: the next round reconciles it."""
    try:
        yield
    except ApiError as error:
        if error.status not in (404, 409, 422):
            raise


def _require(credential, names):
    if not credential:
        return
    prefix, colon, name = credential.rpartition(":")
    if not colon or prefix != "cattle-global-data" or name not in names:
        raise _Refused(f'secrets "{credential}" not found')


def _deployment(cluster, pool, template):
    metadata = cluster["metadata"]
    return {
        "apiVersion": "cluster.x-k8s.io/v1beta1",
        "kind": "MachineDeployment",
        "metadata": {"name": f"{metadata['name']}-{pool['name']}"},
        "spec": {
            "clusterName": metadata["name"],
            "replicas": pool.get("quantity", 1),
            "template": {
                "metadata": {"labels": {CLUSTER_LABEL: metadata["name"], POOL_LABEL: pool["name"]}},
                "spec": {
                    "clusterName": metadata["name"],
                    "infrastructureRef": {"kind": template["kind"], "name": template["metadata"]["name"]},
                },
            },
        },
    }
