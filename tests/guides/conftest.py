# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWS of tests/integration, and for each guide a Rancher that nobody has used before."""

from __future__ import annotations

import pytest
from control_plane import ControlPlane, furnish
from integration.conftest import Cluster, _aws, aws  # noqa: F401  # pylint: disable=unused-import


@pytest.fixture
def cluster(tmp_path_factory):
    with ControlPlane() as control_plane:
        furnish(control_plane, "2.10.0")
        yield Cluster(control_plane, tmp_path_factory.mktemp("plays"))
