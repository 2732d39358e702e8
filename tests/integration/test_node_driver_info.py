# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_driver_info with ansible-playbook."""

from __future__ import annotations

import pytest

MODULE = "ranchhand.rancher.node_driver_info"


@pytest.mark.parametrize("as_module", [False, True], ids=["in process", "as a module"])
def test_the_fields_of_drivers(cluster, as_module):
    every, single, unknown = cluster.play(
        {MODULE: {}}, {MODULE: {"name": "digitalocean"}}, {MODULE: {"name": "linode"}}, as_module=as_module
    ).results
    assert {"amazonec2", "s3"} <= {driver["name"] for driver in every["drivers"]} and every["changed"] is False
    (digitalocean,) = single["drivers"]
    assert [field["name"] for field in digitalocean["credential_fields"]] == ["accessToken"]
    assert digitalocean["credential_fields"][0]["secret"] and digitalocean["issuer"] is None
    assert unknown["code"] == "not_found" and unknown["msg"].startswith("driver linode is not active in this Rancher")


def test_a_user_who_may_not_read_the_fields(cluster, grant):
    result = cluster.play({MODULE: {}}, kubeconfig=grant("nobody", [])).result
    assert result["code"] == "forbidden" and "dynamicschemas.management.cattle.io" in result["msg"]
