# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: management clusters of two Rancher versions, and users with chosen permissions.

A pytest plugin. Imports are inside the fixtures, so that unit tests need nothing but pytest.
"""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def _rancher_210(tmp_path_factory):
    from control_plane import ControlPlane, install_fixtures
    from support.cluster import Cluster

    with ControlPlane() as control_plane:
        install_fixtures(control_plane, "2.10.0")
        yield Cluster(control_plane, tmp_path_factory.mktemp("plays"))


@pytest.fixture(scope="session")
def _rancher_215(tmp_path_factory):
    from control_plane import ControlPlane, install_fixtures
    from support.cluster import Cluster

    with ControlPlane() as control_plane:
        install_fixtures(control_plane, "2.15.0")
        yield Cluster(control_plane, tmp_path_factory.mktemp("plays"))


@pytest.fixture
def cluster(_rancher_210):
    """The management cluster of a Rancher 2.10, without any credential, template or downstream cluster."""
    from support.cluster import empty

    empty(_rancher_210.api)
    return _rancher_210


@pytest.fixture
def cluster_215(_rancher_215):
    """The management cluster of a Rancher 2.15, without any credential or downstream cluster."""
    from support.cluster import empty

    empty(_rancher_215.api)
    return _rancher_215


@pytest.fixture
def grant(cluster):
    """Create a user with exactly these roles, and missing namespaces; returns the path of its kubeconfig."""
    from support.rights import granting

    with granting(cluster) as grant:
        yield grant
