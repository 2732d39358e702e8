# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: an AWS, an OpenStack and a Harvester whose keys are rotated.

A pytest plugin. Imports are inside the fixtures, so that unit tests need nothing but pytest.
"""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")  # a process can have only one, and test modules may start another
def _aws():
    from support.providers.aws import Aws

    with Aws() as running:
        yield running


@pytest.fixture
def aws(_aws):
    """An AWS without faults and recorded requests, in which keys are valid at once."""
    _aws.faults.clear()
    _aws.requests.clear()
    _aws.propagation_delay = 0
    return _aws


@pytest.fixture(scope="session")
def harvester():
    """Another cluster, with two ServiceAccounts that may rotate their own tokens."""
    from control_plane import ControlPlane

    with ControlPlane() as control_plane:
        api = control_plane.api
        rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/machines"
        api.post("/api/v1/namespaces", {"metadata": {"name": "machines"}})
        for account in ("rancher", "other", "powerless"):
            api.post("/api/v1/namespaces/machines/serviceaccounts", {"metadata": {"name": account}})
        api.post(
            f"{rbac}/roles",
            {
                "metadata": {"name": "rotate"},
                "rules": [
                    {
                        "apiGroups": [""],
                        "resources": ["serviceaccounts/token"],
                        "resourceNames": ["rancher", "other"],
                        "verbs": ["create"],
                    },
                    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "create", "delete"]},
                ],
            },
        )
        api.post(
            f"{rbac}/rolebindings",
            {
                "metadata": {"name": "rotate"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "rotate"},
                "subjects": [
                    {"kind": "ServiceAccount", "name": name, "namespace": "machines"} for name in ("rancher", "other")
                ],
            },
        )
        yield control_plane


@pytest.fixture(scope="session")
def keystone():
    """The identity service of an OpenStack."""
    from support.providers.keystone import Keystone

    with Keystone() as running:
        yield running


@pytest.fixture(scope="session")
def vault():
    """The KV secrets engine of Vault."""
    from support.providers.vault import VaultKv

    with VaultKv() as running:
        yield running
