# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of a Rancher's management cluster before anyone uses it.

The CRDs are minimal and our own: names and scopes as Rancher has them, any content. Users, settings, node drivers and
dynamic schemas were recorded from running Ranchers (fixtures/rancher-VERSION.json, without what an API server or a
controller adds).
"""

from __future__ import annotations

import concurrent.futures
import json
import time
from collections import namedtuple
from pathlib import Path

from .api import ApiError
from .errors import Unavailable

Resource = namedtuple("Resource", "group version kind plural namespaced status since until")

VERSIONS = ("2.10.0", "2.15.0")
NAMESPACES = ("cattle-global-data", "cattle-global-nt", "cattle-system", "fleet-default")
_DATA = Path(__file__).with_name("fixtures")
_FIRST, _LAST = VERSIONS


def _table():
    def resource(group, version, kind, plural, namespaced=True, status=False, since=_FIRST, until=_LAST):
        return Resource(group, version, kind, plural, namespaced, status, since, until)

    management = "management.cattle.io"
    yield resource(management, "v3", "Cluster", "clusters", namespaced=False)
    yield resource(management, "v3", "ClusterTemplate", "clustertemplates", until=_FIRST)
    yield resource(management, "v3", "ClusterTemplateRevision", "clustertemplaterevisions", until=_FIRST)
    yield resource(management, "v3", "DynamicSchema", "dynamicschemas", namespaced=False)
    yield resource(management, "v3", "Feature", "features", namespaced=False)
    yield resource(management, "v3", "Node", "nodes")
    yield resource(management, "v3", "NodeDriver", "nodedrivers", namespaced=False)
    yield resource(management, "v3", "NodePool", "nodepools", until=_FIRST)
    yield resource(management, "v3", "NodeTemplate", "nodetemplates", until=_FIRST)
    yield resource(management, "v3", "Setting", "settings", namespaced=False)
    yield resource(management, "v3", "Token", "tokens", namespaced=False)
    yield resource(management, "v3", "User", "users", namespaced=False)
    yield resource("provisioning.cattle.io", "v1", "Cluster", "clusters", status=True)
    yield resource("rke.cattle.io", "v1", "ETCDSnapshot", "etcdsnapshots", status=True)
    yield resource("rke.cattle.io", "v1", "RKEControlPlane", "rkecontrolplanes", status=True)
    for driver in ("Amazonec2", "Azure"):
        yield resource("rke-machine.cattle.io", "v1", driver + "Machine", driver.lower() + "machines", status=True)
        yield resource("rke-machine.cattle.io", "v1", driver + "MachineTemplate", driver.lower() + "machinetemplates")
    for hosted in ("EKS", "GKE", "AKS"):
        yield resource(
            hosted.lower() + ".cattle.io",
            "v1",
            hosted + "ClusterConfig",
            hosted.lower() + "clusterconfigs",
            status=True,
        )
    yield resource("ali.cattle.io", "v1", "AliClusterConfig", "aliclusterconfigs", status=True, since=_LAST)
    yield resource("turtles-capi.cattle.io", "v1alpha1", "CAPIProvider", "capiproviders", status=True, since=_LAST)
    yield resource(
        "infrastructure.cluster.x-k8s.io",
        "v1beta2",
        "AWSClusterStaticIdentity",
        "awsclusterstaticidentities",
        namespaced=False,
        since=_LAST,
    )


RESOURCES = tuple(_table())


def resources(rancher=_FIRST):
    """Return the kinds that a Rancher of this version has."""
    if rancher not in VERSIONS:
        raise ValueError("There are fixtures for Rancher %s, not for %s." % (" and ".join(VERSIONS), rancher))
    here = VERSIONS.index(rancher)
    return [item for item in RESOURCES if VERSIONS.index(item.since) <= here <= VERSIONS.index(item.until)]


def crd(item):
    """Return the CustomResourceDefinition of one row of the table."""
    version = {
        "name": item.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    if item.status:
        version["subresources"] = {"status": {}}
    metadata = {"name": "%s.%s" % (item.plural, item.group)}
    if item.group.endswith(".x-k8s.io"):
        # Kubernetes refuses definitions of this domain without the annotation.
        metadata["annotations"] = {"api-approved.kubernetes.io": "unapproved, a fake for tests"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": {
            "group": item.group,
            "scope": "Namespaced" if item.namespaced else "Cluster",
            "names": {
                "kind": item.kind,
                "listKind": item.kind + "List",
                "plural": item.plural,
                "singular": item.kind.lower(),
            },
            "versions": [version],
        },
    }


def objects(rancher=_FIRST):
    """Return the recorded objects of a Rancher of this version."""
    return json.loads((_DATA / ("rancher-%s.json" % rancher)).read_text(encoding="utf-8"))


def install_fixtures(control_plane, rancher=_FIRST, without=()):
    """Create the kinds and objects of a Rancher's management cluster, and return when the API server serves them.

    `without` leaves out resources, each as `plural.group`. Existing objects are not changed.
    """
    api = control_plane.api
    wanted = [item for item in resources(rancher) if "%s.%s" % (item.plural, item.group) not in without]
    paths = {
        (item.kind, "%s/%s" % (item.group, item.version)): "/apis/%s/%s/%s" % (item.group, item.version, item.plural)
        for item in wanted
    }
    with concurrent.futures.ThreadPoolExecutor(max_workers=12) as pool:
        definitions = [
            pool.submit(_create, api, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd(item))
            for item in wanted
        ]
        namespaces = [
            pool.submit(_create, api, "/api/v1/namespaces", {"metadata": {"name": name}}) for name in NAMESPACES
        ]
        _finish(definitions + namespaces)
        _finish([pool.submit(_wait_until_served, api, path) for path in paths.values()])
        _finish(
            [
                pool.submit(_create, api, paths[content["kind"], content["apiVersion"]], content)
                for content in objects(rancher)
                if (content["kind"], content["apiVersion"]) in paths
            ]
        )


def create_objects(control_plane, contents):
    """Create more objects, of the table's kinds or Secrets, in this order."""
    plurals = {(item.kind, "%s/%s" % (item.group, item.version)): item.plural for item in RESOURCES}
    for content in contents:
        version, namespace = content["apiVersion"], content["metadata"].get("namespace")
        root = "/api/v1" if version == "v1" else "/apis/" + version
        plural = "secrets" if content["kind"] == "Secret" else plurals[content["kind"], version]
        _create(
            control_plane.api, "%s/%s%s" % (root, "namespaces/%s/" % namespace if namespace else "", plural), content
        )


def _finish(futures):
    for future in futures:
        future.result()


def _create(api, path, content):
    try:
        api.post(path, content)
    except ApiError as problem:
        if problem.reason != "AlreadyExists":
            raise


def _wait_until_served(api, path):
    """Wait until lists succeed and discovery, which is updated a little later, contains the resource."""
    group_version, plural = path.rsplit("/", 1)
    deadline = time.monotonic() + 30
    while True:
        try:
            api.get(path + "?limit=1")
            if any(entry["name"] == plural for entry in api.get(group_version)["resources"]):
                return
        except ApiError as problem:
            if problem.status not in (404, 503):
                raise
        if time.monotonic() > deadline:
            raise Unavailable("The API server did not serve %s within 30 s." % path)
        time.sleep(0.05)
