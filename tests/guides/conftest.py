# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For each guide, a Rancher that no test has used before."""

from __future__ import annotations

import pytest

from control_plane import ControlPlane, install_fixtures
from support.cluster import Cluster


@pytest.fixture
def cluster(tmp_path_factory):
    with ControlPlane() as control_plane:
        install_fixtures(control_plane, "2.10.0")
        yield Cluster(control_plane, tmp_path_factory.mktemp("plays"))
