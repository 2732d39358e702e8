# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow the guide "Adopt hand-made Secrets" with a Secret that kubectl created."""

from __future__ import annotations

from support.cluster import SECRETS, decoded

from .guide import Guide, chapters

FIELDS = {
    "amazonec2credentialConfig-accessKey": "AKIA-public", "amazonec2credentialConfig-secretKey": "stored-secret-value",
}
RECONCILE = "reconcile.external-secrets.io"


def create(cluster, name, **metadata):
    cluster.api.post(SECRETS, {"metadata": {"name": name, **metadata}, "stringData": FIELDS})


def test_adopt(cluster, tmp_path):
    create(cluster, "aws-prod")
    create(
        cluster, "aws-store", labels={f"{RECONCILE}/managed": "true", f"{RECONCILE}/created-by": "1", "team": "a"},
        annotations={f"{RECONCILE}/data-hash": "1"})
    environment = {**cluster.environment(), "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False"}
    guide = Guide(tmp_path, environment, ["stored-secret-value"])
    for chapter in ("Find them", "Declare them", "Move from External Secrets Operator"):
        guide.follow(chapters("adopt-secrets", chapter))
    assert guide.changed("@adopted.yml") == ["1", "1", "0"] and guide.changed("@from-eso.yml") == ["1"]
    for name in ("aws-prod", "aws-store"):
        secret = cluster.stored(name)
        assert decoded(secret) == FIELDS
        assert secret["metadata"]["annotations"] == {
            "field.cattle.io/creatorId": "user-8knjc", "field.cattle.io/name": name.replace("-", " ")}
    assert secret["metadata"]["labels"] == {"team": "a"}
