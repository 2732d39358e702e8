# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One key in two Ranchers: the rotation of one of them hands the new key to the credential of the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.cluster import SECRETS, decoded
from support.rotations import RotatingCredential

CREDENTIAL = "ranchhand.rancher.cloud_credential"
COPY = "ranchhand.cattle.io/copy-of-rotation"


class SharedKey(RotatingCredential):
    """A key in a credential of one Rancher and in one of another Rancher, which the first one rotates."""

    def __init__(self, cluster, other, aws):
        super().__init__(cluster, aws)
        self.other = RotatingCredential(other, aws)
        other.api.patch(f"{SECRETS}/{self.other.id}", {
            "stringData": {f"amazonec2credentialConfig-{name}": value for name, value in self.key.items()}})
        self.stores = [{"name": "other", "type": "rancher", "credential_id": self.other.id}]
        self.kubeconfig = str(other.control_plane.kubeconfig)

    def run_both(self, state="rotated", kubeconfig=None, **options):
        secrets_of_stores = {"other": {"kubeconfig": kubeconfig or self.kubeconfig}}
        return self.run(state, external_stores=self.stores, external_store_secrets=secrets_of_stores, **options)


@pytest.fixture(name="shared")
def _shared(cluster, cluster_215, aws):
    return SharedKey(cluster, cluster_215, aws)


def test_a_key_of_two_ranchers(shared, tmp_path):
    rotated = shared.run_both()
    new = shared.live
    assert rotated["rotation"]["phase"] == "grace" and new != shared.key and shared.other.live == new
    stored = shared.other.cluster.stored(shared.other.id)
    assert decoded(stored)["amazonec2credentialConfig-defaultRegion"] == "eu-central-1", "other fields are kept"
    assert stored["metadata"]["annotations"][COPY]

    refused = shared.other.run(rotation_id="second")
    assert refused["code"] == "other_writer" and "the rotation of another Rancher" in refused["msg"]
    declared = {"id": shared.other.id, "secrets": {"secretKey": shared.key["secretKey"]}}
    refused = shared.other.play({CREDENTIAL: declared}).result
    assert refused["failed"] and "overwrite_rotated" in refused["msg"] and shared.other.live == new

    unreachable = tmp_path / "kubeconfig"
    unreachable.write_text(re.sub(r"(https://127\.0\.0\.1):\d+", r"\1:9", Path(shared.kubeconfig).read_text()))
    waiting = shared.run_both("retired", str(unreachable), grace="0s")
    assert "external_store" in str(waiting["rotation"]["waiting_for"]) and set(shared.keys.values()) == {"Active"}
    retired = shared.run_both("retired", grace="0s")
    assert retired["rotation"]["phase"] == "disabled" and shared.keys[shared.key["accessKey"]] == "Inactive"
    back = shared.run_both("rolled_back")
    assert back["rotation"]["phase"] == "idle" and shared.original_key_only() and shared.other.live == shared.key


def test_no_credential_is_created_in_another_rancher(shared):
    shared.other.cluster.api.delete(f"{SECRETS}/{shared.other.id}")
    refused = shared.run_both()
    assert refused["failed"] and "of the other Rancher is no cloud credential" in refused["msg"]
    assert shared.original_key_only()
