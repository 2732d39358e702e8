# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rancher's objects, created as Rancher creates them, and their API paths."""

from __future__ import annotations

import threading
from contextlib import contextmanager

ALICE, ADMIN = "u-wt94n", "user-8knjc"
CREATOR = "field.cattle.io/creatorId"
BINDINGS = "ownerBindingsCreated"
SCHEMAS = "/apis/management.cattle.io/v3/dynamicschemas"
TEMPLATES = "/apis/management.cattle.io/v3/namespaces/cattle-global-nt/nodetemplates"
MACHINES = "/apis/rke-machine.cattle.io/v1/namespaces/fleet-default/amazonec2machines"


def namespaced(namespace):
    return f"/apis/provisioning.cattle.io/v1/namespaces/{namespace}/clusters"


def downstream(cluster, name, spec, namespace="fleet-default"):
    return cluster.api.post(
        namespaced(namespace),
        {
            "apiVersion": "provisioning.cattle.io/v1",
            "kind": "Cluster",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        },
    )


def template(cluster, name="nt-one", driver="digitalocean", config=None, display_name="test", owner=ALICE, **spec):
    """Create a node template as Rancher would."""
    metadata = {
        "name": name,
        "generateName": "nt-",
        "labels": {"cattle.io/creator": "norman", "team": "a", "theirs": "x"},
        "annotations": {CREATOR: owner, BINDINGS: "true", "example.com/theirs": "1", "example.com/mine": "1"},
    }
    return cluster.api.post(
        TEMPLATES,
        {
            "apiVersion": "management.cattle.io/v3",
            "kind": "NodeTemplate",
            "metadata": metadata,
            f"{driver}Config": config or {"region": "fra1", "tags": "a", "sshPort": "22", "backups": False},
            "spec": {"driver": driver, "displayName": display_name, "useInternalIpAddress": True, **spec},
        },
    )


@contextmanager
def later(seconds, action):
    """Run an action while a playbook runs, as another client would."""
    timer = threading.Timer(seconds, action)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
