# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow the guides for credentials that Rancher's UI, kubectl or External Secrets Operator created."""

from __future__ import annotations

from support.cluster import SECRETS, decoded

from .guide import Guide, chapters

FIELDS = {
    "amazonec2credentialConfig-accessKey": "AKIA-public", "amazonec2credentialConfig-secretKey": "stored-secret-value",
}
RECONCILE = "reconcile.external-secrets.io"


def create(cluster, name, **metadata):
    cluster.api.post(SECRETS, {"metadata": {"name": name, **metadata}, "stringData": FIELDS})


def new_guide(cluster, folder):
    environment = {**cluster.environment(), "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False"}
    return Guide(folder, environment, ["stored-secret-value"])


def test_adopt(cluster, tmp_path):
    create(cluster, "aws-prod")
    create(
        cluster, "aws-store", labels={f"{RECONCILE}/managed": "true", f"{RECONCILE}/created-by": "1", "team": "a"},
        annotations={f"{RECONCILE}/data-hash": "1"})
    guide = new_guide(cluster, tmp_path)
    for chapter in ("Find them", "Declare them", "Move from External Secrets Operator"):
        guide.follow(chapters("adopt-secrets", chapter))
    assert guide.changed("@adopted.yml") == ["1", "1", "0"] and guide.changed("@from-eso.yml") == ["1"]
    for name in ("aws-prod", "aws-store"):
        secret = cluster.stored(name)
        assert decoded(secret) == FIELDS
        assert secret["metadata"]["annotations"] == {
            "field.cattle.io/creatorId": "user-8knjc", "field.cattle.io/name": name.replace("-", " ")}
    assert secret["metadata"]["labels"] == {"team": "a"}


def test_from_the_ui(cluster, tmp_path):
    create(
        cluster, "cc-7kq2f", labels={"cattle.io/creator": "norman"},
        annotations={
            "field.cattle.io/creatorId": "user-8knjc", "field.cattle.io/name": "aws",
            "provisioning.cattle.io/driver": "aws"})
    before = cluster.stored("cc-7kq2f")
    guide = new_guide(cluster, tmp_path)
    for chapter in ("Export them", "Keep using the UI"):
        guide.follow(chapters("from-ui", chapter))
    assert cluster.stored("cc-7kq2f") == before
