# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: a management cluster with the recorded definitions of provisioning clusters and machine configs.

A pytest plugin. Imports are inside the fixtures, so that unit tests need nothing but pytest.
"""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def _recorded(tmp_path_factory):
    """Start a control plane for each version that a test asks for."""
    import contextlib

    from control_plane import ControlPlane, install_fixtures
    from support.cluster import Cluster
    from support.rancher_controllers import install_recorded_crds

    started = {}
    with contextlib.ExitStack() as stack:

        def start(version):
            if version not in started:
                control_plane = stack.enter_context(ControlPlane())
                install_fixtures(control_plane, "2.15.0" if version == "2.15.0" else "2.10.0")
                install_recorded_crds(control_plane, version)
                started[version] = Cluster(control_plane, tmp_path_factory.mktemp("repoint"))
            return started[version]

        yield start


@pytest.fixture(params=["2.11.0", "2.15.0"])
def recorded_rancher(request, _recorded):
    """The management cluster of Rancher 2.11 and 2.15, empty."""
    from support.downstream import empty_downstream

    cluster = _recorded(request.param)
    empty_downstream(cluster.api)
    return cluster


@pytest.fixture
def recorded_211(_recorded):
    """The management cluster of Rancher 2.11, empty."""
    from support.downstream import empty_downstream

    cluster = _recorded("2.11.0")
    empty_downstream(cluster.api)
    return cluster


@pytest.fixture
def recorded_215(_recorded):
    """The management cluster of Rancher 2.15, empty."""
    from support.downstream import empty_downstream

    cluster = _recorded("2.15.0")
    empty_downstream(cluster.api)
    return cluster


@pytest.fixture
def recorded_grant(recorded_215):
    """Create a user of this Rancher 2.15 with exactly these roles; returns the path of its kubeconfig."""
    from support.rights import granting

    with granting(recorded_215) as grant:
        yield grant
