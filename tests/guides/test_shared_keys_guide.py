# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow the guide "Rotate a key that several Ranchers contain"."""

from __future__ import annotations

import json
import sys

from support.rotations import RotatingCredential

from .guide import Guide, chapters

SECRETS = "/api/v1/namespaces/cattle-global-data/secrets"


def test_shared_keys(cluster, cluster_215, aws, tmp_path):
    rotating, other = RotatingCredential(cluster, aws), RotatingCredential(cluster_215, aws)
    cluster.api.patch(f"{SECRETS}/{rotating.id}", {"metadata": {"annotations": {"field.cattle.io/name": "aws prod"}}})
    cluster_215.secret("cc-x7k2p", "amazonec2", rotating.key, "aws berlin")
    other.id = "cc-x7k2p"
    common = {
        "ansible_connection": "local", "ansible_python_interpreter": sys.executable,
        "rotate_issuer_options": {"propagation": "0s"},
    }
    hosts = {
        host: {"rancher_kubeconfig": str(each.control_plane.kubeconfig)}
        for host, each in (("hamburg", cluster), ("berlin", cluster_215))
    }
    (tmp_path / "inventory.json").write_text(json.dumps({"ranchers": {"hosts": hosts, "vars": common}}))
    guide = Guide(tmp_path, {
        **cluster.environment(), "AWS_ENDPOINT_URL": aws.url, "ANSIBLE_INVENTORY": str(tmp_path / "inventory.json"),
    }, [rotating.key["secretKey"]])
    guide.follow(chapters("shared-keys", "Rotate"))
    assert rotating.live == other.live != rotating.key
    assert rotating.keys == {rotating.key["accessKey"]: "Inactive", other.live["accessKey"]: "Active"}
    assert len(guide.runs) == 2
