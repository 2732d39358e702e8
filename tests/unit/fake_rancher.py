# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake management cluster in memory: an API server, Rancher's copies of names, and the people who use it.

It refuses what a real API server refuses: a JSON patch whose test fails (422), and writes to another version (409).
Before each request of the run that is tested, other clients may act; the run may be killed before or after a request.
"""

from __future__ import annotations

import base64
import copy

from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import ApiError
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.annotations import INTENT
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.cloud_credential import parse_cloud_credential
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.queries import read_references

A, B = "cattle-global-data:cc-a", "cattle-global-data:cc-b"
SECRETS = "/api/v1/namespaces/cattle-global-data/secrets"
CLUSTERS = "/apis/provisioning.cattle.io/v1/namespaces/fleet-default/clusters"
HOSTED = "/apis/management.cattle.io/v3/clusters"
MACHINES = "/apis/rke-machine.cattle.io/v1/namespaces/fleet-default/amazonec2machines"
TEMPLATES = "/apis/rke-machine.cattle.io/v1/namespaces/fleet-default/amazonec2machinetemplates"
CONFIGS = "/apis/rke-machine-config.cattle.io/v1/namespaces/fleet-default/amazonec2configs"
DEPLOYMENTS = "/apis/cluster.x-k8s.io/v1beta1/namespaces/fleet-default/machinedeployments"
OPERATORS = "/apis/eks.cattle.io/v1/namespaces/cattle-global-data/eksclusterconfigs"
SERVED = {
    "/apis/provisioning.cattle.io/v1": {"clusters": "Cluster"},
    "/apis/management.cattle.io/v3": {"clusters": "Cluster"},
    "/apis/rke-machine.cattle.io/v1": {
        "amazonec2machines": "Amazonec2Machine", "amazonec2machinetemplates": "Amazonec2MachineTemplate",
    },
    "/apis/rke-machine-config.cattle.io/v1": {"amazonec2configs": "Amazonec2Config"},
    "/apis/cluster.x-k8s.io/v1beta1": {"machinedeployments": "MachineDeployment"},
    "/apis/eks.cattle.io/v1": {"eksclusterconfigs": "EKSClusterConfig"},
}
LAST_SCAN = "/apis/turtles-capi.cattle.io/v1alpha1"  # read only by the scan of references at the end of a run
REFRESHED = "clusters.management.cattle.io/ke-last-refresh"


class Killed(BaseException):
    """The run was killed."""


class Client(KubernetesClient):
    """The real client without network and threads."""

    def __init__(self, transport):
        self._transport, self.host = transport, "https://fake"
        self._watches = self
        self.progress = lambda done, total: None

    def start(self, path, version):
        """No watches."""

    def parallel_map(self, function, arguments, workers=1):
        return [function(argument) for argument in arguments]

    @staticmethod
    def parallel_reads(*reads):
        return [read() for read in reads]


class FakeRancher:
    """Objects by path. ``before`` is called with each request of the run, ``killed_at`` is the request that kills it.

    ``loses_answer`` is asked after each write of a cluster or machine.
    """

    def __init__(self):
        self.objects = {}
        self.version = 0
        self.requests = 0
        self.before = None
        self.killed_at = None
        self.after_write = False
        self.loses_answer = lambda: False
        self.patched = []  # (name, field, pool or None) that the run set to B
        self.scanning = False

    # API server

    def request(self, method, path, body=None, query=None, content_type=""):
        """A request of the run."""
        self.requests += 1
        self._kill(not self.after_write)
        if path == LAST_SCAN:
            self.scanning = True
        if self.before:
            self.before(method, path)
        answer = self.handle(method, path, body, content_type)
        if method == "PATCH" and not path.startswith(SECRETS):
            self.patched += _changes(path, body)
            if self.loses_answer():  # the client sends the request again
                answer = self.handle(method, path, body, content_type)
        self._kill(self.after_write)
        return answer

    def _kill(self, now):
        if self.killed_at is not None and (self.requests > self.killed_at or (self.requests == self.killed_at and now)):
            raise Killed

    def handle(self, method, path, body=None, content_type=""):
        if method == "PATCH":
            return self._patch(path, body, content_type)
        assert method == "GET", method
        if path in self.objects:
            return copy.deepcopy(self.objects[path])
        if path in SERVED:
            return {"resources": [
                {"name": name, "kind": kind, "verbs": ["list"]} for name, kind in SERVED[path].items()]}
        if path == "/apis/cluster.x-k8s.io":
            return {"preferredVersion": {"version": "v1beta1"}}
        if path.rsplit("/", 1)[0] in SERVED or path == "/apis/batch/v1/jobs" or path.endswith(("s", "configs")) and (
            "/namespaces/" in path and path.count("/") == (5 if path.startswith("/api/") else 6)
        ):
            version, _slash, plural = path.rpartition("/")
            version = version.partition("/namespaces/")[0]
            items = [
                copy.deepcopy(item) for name, item in self.objects.items()
                if name.startswith(version + "/") and name.rsplit("/", 2)[1] == plural
            ]
            return {"kind": "AnyList", "items": items, "metadata": {"resourceVersion": str(self.version)}}
        raise ApiError("not_found", f"{path} not found", 404)

    def _patch(self, path, body, content_type):
        if path not in self.objects:
            raise ApiError("not_found", f"{path} not found", 404)
        changed = copy.deepcopy(self.objects[path])
        if content_type.startswith("application/json-patch"):
            for operation in body:
                _apply(changed, operation)
        else:
            wanted = body["metadata"]
            if any(changed["metadata"][key] != wanted[key] for key in ("uid", "resourceVersion")):
                raise ApiError("conflict", "another version", 409)
            _merge(changed, body)
        return copy.deepcopy(self.store(path, changed))

    def store(self, path, content):
        """Write an object as another client that has read it before."""
        if self.objects.get(path) != content:
            self.version += 1
            content["metadata"]["resourceVersion"] = str(self.version)
            self.objects[path] = content
            self.check()
        return content

    def create(self, path, name, namespace="fleet-default", **content):
        self.version += 1
        metadata = {"name": name, "uid": f"uid-{self.version}", **content.pop("metadata", {})}
        if namespace:
            metadata["namespace"] = namespace
        return self.store(f"{path}/{name}", {"metadata": metadata, **content})

    def put(self, path, content):
        """Replace an object as the UI and Terraform do; returns whether the version was the current one."""
        if path not in self.objects or (
            content["metadata"]["resourceVersion"] != self.objects[path]["metadata"]["resourceVersion"]
        ):
            return False
        self.store(path, content)
        return True

    def under(self, prefix):
        return [(path, item) for path, item in self.objects.items() if path.startswith(prefix + "/")]

    # Content

    def credential(self, name, key):
        data = {"accessKey": key, "secretKey": f"secret-{key}"}
        encoded = {
            f"amazonec2credentialConfig-{field}": base64.b64encode(value.encode()).decode()
            for field, value in data.items()
        }
        annotations = {"field.cattle.io/name": name, "field.cattle.io/creatorId": "u-1"}
        self.create(SECRETS, name, "cattle-global-data", metadata={"annotations": annotations}, data=encoded)

    def exists(self, credential):
        return f"{SECRETS}/{credential.rpartition(':')[2]}" in self.objects

    def named(self):
        """Return the credential of each field: the name of the object, field and pool."""
        found = {}
        for path, item in self.objects.items():
            name = item["metadata"]["name"]
            if path.startswith(CLUSTERS):
                found[name, "cluster", None] = item["spec"].get("cloudCredentialSecretName")
                for pool in item["spec"]["rkeConfig"]["machinePools"]:
                    found[name, "pool", pool["name"]] = pool.get("cloudCredentialSecretName")
            elif path.startswith(HOSTED):
                found[name, "cluster", None] = item["spec"]["eksConfig"]["amazonCredentialSecret"]
            elif path.startswith(MACHINES):
                found[name, "machine", None] = item["spec"]["common"]["cloudCredentialSecretName"]
        return {key: value for key, value in found.items() if value}

    def check(self):
        """Assert that no field names a credential that does not exist."""
        gone = {key: value for key, value in self.named().items() if not self.exists(value)}
        assert not gone, f"a deleted credential is named: {gone}"

    # Rancher

    def reconcile(self):
        """Copy the names once, as Rancher's controllers do."""
        for path, cluster in self.under(CLUSTERS):
            if "deletionTimestamp" in cluster["metadata"]:
                continue
            for pool in cluster["spec"]["rkeConfig"]["machinePools"]:
                self._template(cluster, pool)
            self.store(path, {**cluster, "metadata": dict(cluster["metadata"]), "status": {
                "conditions": [{"type": "RKECluster", "status": "True"}]}})
        for path, machine in self.under(MACHINES):
            status = {"cloudCredentialSecretName": machine["spec"]["common"]["cloudCredentialSecretName"]}
            self.store(path, {**machine, "metadata": dict(machine["metadata"]), "status": status})
        for path, cluster in self.under(HOSTED):
            self._hosted(path, cluster)

    def _template(self, cluster, pool):
        name = f"{cluster['metadata']['name']}-{pool['name']}"
        credential = pool.get("cloudCredentialSecretName") or cluster["spec"].get("cloudCredentialSecretName")
        spec = {"template": {"spec": {"common": {"cloudCredentialSecretName": credential}}}}
        if f"{TEMPLATES}/{name}" in self.objects:
            stored = self.objects[f"{TEMPLATES}/{name}"]
            self.store(f"{TEMPLATES}/{name}", {**stored, "metadata": dict(stored["metadata"]), "spec": spec})
            return
        self.create(TEMPLATES, name, spec=spec)
        labels = {
            "cluster.x-k8s.io/cluster-name": cluster["metadata"]["name"],
            "rke.cattle.io/rke-machine-pool-name": pool["name"],
        }
        reference = {"kind": "Amazonec2MachineTemplate", "name": name}
        self.create(DEPLOYMENTS, name, spec={
            "clusterName": cluster["metadata"]["name"], "replicas": 1,
            "template": {"metadata": {"labels": labels}, "spec": {"infrastructureRef": reference}},
        })

    def _hosted(self, path, cluster):
        name, config = cluster["metadata"]["name"], dict(cluster["spec"]["eksConfig"])
        operator = f"{OPERATORS}/{name}"
        if operator in self.objects:
            stored = self.objects[operator]
            self.store(operator, {**stored, "metadata": dict(stored["metadata"]), "spec": config})
        else:
            self.create(OPERATORS, name, "cattle-global-data", spec=config, status={"phase": "active"})
        status = {**cluster.get("status", {}), "appliedSpec": {"eksConfig": config}}
        metadata = copy.deepcopy(cluster["metadata"])
        if REFRESHED not in metadata.setdefault("annotations", {}):
            status["eksStatus"] = {"upstreamSpec": config}
            metadata["annotations"][REFRESHED] = "1"
        self.store(path, {**cluster, "metadata": metadata, "status": status})

    # People

    def scale_up(self, rng):
        """Create a machine from a template in use."""
        templates = self.under(TEMPLATES)
        if templates:
            path, template = rng.choice(templates)
            common = copy.deepcopy(template["spec"]["template"]["spec"]["common"])
            labels = {"cluster.x-k8s.io/cluster-name": path.rsplit("/", 1)[1].split("-")[0]}
            self.create(MACHINES, f"m-{self.version}", metadata={"labels": labels}, spec={"common": common})

    def rotate(self, name):
        path = f"{SECRETS}/{name}"
        if path in self.objects:
            changed = copy.deepcopy(self.objects[path])
            key = base64.b64encode(f"AK{self.version}".encode()).decode()
            changed["data"]["amazonec2credentialConfig-accessKey"] = key
            self.store(path, changed)

    def delete_unused(self, name):
        """Delete a credential as cloud_credential does: only if nothing refers to it and no run announces to use it."""
        path = f"{SECRETS}/{name}"
        if path not in self.objects:
            return
        credential = parse_cloud_credential(self.objects[path])
        announced = any(key.startswith(INTENT) for key in credential.annotations)
        if not announced and not read_references(Client(_Direct(self))).needed_by(credential):
            del self.objects[path]
            self.version += 1
            self.check()


class _Direct:
    """Requests of another client."""

    def __init__(self, rancher):
        self._rancher = rancher

    def request(self, method, path, body=None, query=None, content_type=""):
        return self._rancher.handle(method, path, body, content_type)


def _changes(path, body):
    name = path.rsplit("/", 1)[1]
    if isinstance(body, dict):
        return [(name, "machine", None)]
    pools = {item["path"][:-len("/name")]: item["value"] for item in body if item["path"].endswith("/name")}
    pools = {base: value for base, value in pools.items() if not base.endswith("machineConfigRef")}
    return [
        (name, "pool" if "machinePools" in item["path"] else "cluster", pools.get(item["path"].rpartition("/")[0]))
        for item in body if item["op"] == "replace"
    ]


def _merge(target, patch):
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            _merge(target.setdefault(key, {}), value)
        else:
            target[key] = value


def _apply(target, operation):
    *parents, last = [part.replace("~1", "/") for part in operation["path"].strip("/").split("/")]
    try:
        for part in parents:
            target = target[int(part) if isinstance(target, list) else part]
        stored = target[last]
    except (KeyError, IndexError, ValueError, TypeError):
        raise ApiError("invalid", "no such path", 422) from None
    if operation["op"] == "test" and stored != operation["value"]:
        raise ApiError("invalid", "the test failed", 422)
    if operation["op"] == "replace":
        target[last] = operation["value"]
    if operation["op"] == "remove":
        del target[last]
