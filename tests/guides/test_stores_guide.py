# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow the guide "Hand the new key to a secret store"."""

from __future__ import annotations

import json
import sys

from support.fake_external_secrets import FakeExternalSecrets
from support.rotations import RotatingCredential

from .guide import Guide, chapters

NAMESPACE = "/api/v1/namespaces/rancher-credential-rotation"


def prepare(cluster, aws, vault, tmp_path):
    """Return a credential whose key is in Vault, too, and the guide."""
    rotating = RotatingCredential(cluster, aws)
    rotating.namespace = "rancher-credential-rotation"
    metadata = {"annotations": {"field.cattle.io/name": "aws prod"}}
    cluster.api.patch(f"/api/v1/namespaces/cattle-global-data/secrets/{rotating.id}", {"metadata": metadata})
    vault.write(f"rancher/{rotating.id}", {
        "access_key": rotating.key["accessKey"], "secret_key": rotating.key["secretKey"], "team": "a"})
    localhost = {
        "ansible_connection": "local", "ansible_python_interpreter": sys.executable,
        "rotate_issuer_options": {"propagation": "0s"},
    }
    (tmp_path / "inventory.json").write_text(json.dumps({"all": {"hosts": {"localhost": localhost}}}))
    return rotating, Guide(tmp_path, {
        **cluster.environment(), "AWS_ENDPOINT_URL": aws.url, "ANSIBLE_INVENTORY": str(tmp_path / "inventory.json"),
        "VAULT_ADDR": vault.url, "VAULT_TOKEN": vault.token,
    }, [rotating.key["secretKey"], vault.token])


def test_secret_stores(cluster, aws, vault, tmp_path):
    rotating, guide = prepare(cluster, aws, vault, tmp_path)
    path = f"rancher/{rotating.id}"
    guide.follow(chapters("secret-stores", "Rotate and hand over"))
    assert vault.read(path)[0]["access_key"] == rotating.key["accessKey"] and vault.read(path)[1] == 3
    guide.follow(chapters("secret-stores", "Retire the old key"))
    live = rotating.live
    assert vault.read(path) == ({"access_key": live["accessKey"], "secret_key": live["secretKey"], "team": "a"}, 4)
    assert rotating.keys == {rotating.key["accessKey"]: "Inactive", live["accessKey"]: "Active"} and rotating.works()
    records = "".join(json.dumps(cluster.api.get(f"{NAMESPACE}/{kind}")) for kind in ("configmaps", "events"))
    assert vault.url in records, "the settings are recorded"
    assert not [secret for secret in (vault.token, live["secretKey"]) if secret in records + str(guide.runs)]


def test_a_tool_that_writes_the_credential(cluster, aws, vault, tmp_path):
    rotating, guide = prepare(cluster, aws, vault, tmp_path)
    path = f"rancher/{rotating.id}"
    fields = {"amazonec2credentialConfig-accessKey": "access_key", "amazonec2credentialConfig-secretKey": "secret_key"}
    with FakeExternalSecrets(cluster.api, vault, rotating.id, path, fields):
        guide.follow(chapters("secret-stores", "A tool that writes the credential"))
    live = rotating.live
    assert vault.read(path) == ({"access_key": live["accessKey"], "secret_key": live["secretKey"], "team": "a"}, 2)
    assert rotating.keys == {rotating.key["accessKey"]: "Inactive", live["accessKey"]: "Active"} and rotating.works()
