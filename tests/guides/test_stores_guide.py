# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow the guide "Hand the new key to a secret store"."""

from __future__ import annotations

import json
import sys

from support.fake_external_secrets import FakeExternalSecrets
from support.providers.fake_key_vault import FakeKeyVault
from support.providers.fake_secret_manager import FakeSecretManager
from support.rotations import RotatingCredential

from .guide import Guide, chapters

NAMESPACE = "/api/v1/namespaces/rancher-credential-rotation"


def create_credential(cluster, aws, name):
    rotating = RotatingCredential(cluster, aws)
    rotating.namespace = "rancher-credential-rotation"
    metadata = {"annotations": {"field.cattle.io/name": name}}
    cluster.api.patch(f"/api/v1/namespaces/cattle-global-data/secrets/{rotating.id}", {"metadata": metadata})
    return rotating


def prepare(cluster, aws, vault, tmp_path):
    """Return a credential whose key is in Vault, too, and the guide with its environment."""
    rotating = create_credential(cluster, aws, "aws prod")
    vault.write(f"rancher/{rotating.id}", {
        "access_key": rotating.key["accessKey"], "secret_key": rotating.key["secretKey"], "team": "a"})
    localhost = {
        "ansible_connection": "local", "ansible_python_interpreter": sys.executable,
        "rotate_issuer_options": {"propagation": "0s"},
    }
    (tmp_path / "inventory.json").write_text(json.dumps({"all": {"hosts": {"localhost": localhost}}}))
    environment = {
        **cluster.environment(), "AWS_ENDPOINT_URL": aws.url, "ANSIBLE_INVENTORY": str(tmp_path / "inventory.json"),
        "VAULT_ADDR": vault.url, "VAULT_TOKEN": vault.token,
    }
    return rotating, Guide(tmp_path, environment, [rotating.key["secretKey"], vault.token]), environment


def test_secret_stores(cluster, aws, vault, tmp_path):
    rotating, guide, environment = prepare(cluster, aws, vault, tmp_path)
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
    follow_azure(create_credential(cluster, aws, "aws staging"), environment, tmp_path)
    follow_google(create_credential(cluster, aws, "aws testing"), environment, tmp_path)


def test_a_tool_that_writes_the_credential(cluster, aws, vault, tmp_path):
    rotating, guide, _environment = prepare(cluster, aws, vault, tmp_path)
    path = f"rancher/{rotating.id}"
    fields = {"amazonec2credentialConfig-accessKey": "access_key", "amazonec2credentialConfig-secretKey": "secret_key"}
    with FakeExternalSecrets(cluster.api, vault, rotating.id, path, fields):
        guide.follow(chapters("secret-stores", "A tool that writes the credential"))
    live = rotating.live
    assert vault.read(path) == ({"access_key": live["accessKey"], "secret_key": live["secretKey"], "team": "a"}, 2)
    assert rotating.keys == {rotating.key["accessKey"]: "Inactive", live["accessKey"]: "Active"} and rotating.works()


def at_fake(chapter, settings, after):
    """Return a chapter whose file has the address of a fake in addition, as the URL of the provider leads elsewhere."""
    text = chapters("secret-stores", chapter)
    assert text.count(after) == 1
    lines = "".join(f"    {name}: {settings[name]}\n" for name in ("endpoint_url", "ca_bundle"))
    return text.replace(after, lines + after)


def follow_azure(rotating, environment, folder):
    name = f"rancher-{rotating.id}"
    with FakeKeyVault(folder) as fake:
        settings, signer = fake.settings(name)
        environment = {
            **environment, "AZURE_CLIENT_ID": signer["client_id"], "AZURE_CLIENT_SECRET": signer["client_secret"]}
        guide = Guide(folder, environment, [rotating.key["secretKey"], signer["client_secret"]])
        guide.follow(at_fake("Azure Key Vault", settings, "    tenant_id:"))
        version, = fake.secrets[name]
    live = rotating.live
    assert json.loads(version["value"]) == {"access_key": live["accessKey"], "secret_key": live["secretKey"]}
    assert live != rotating.key and live["secretKey"] not in str(guide.runs)


def follow_google(rotating, environment, folder):
    name = f"rancher-{rotating.id}"
    with FakeSecretManager(folder) as fake:
        settings, signer = fake.settings(name)
        fake.secrets[name] = []
        credentials = folder / "service-account.json"
        credentials.write_text(signer["credentials"])
        environment = {**environment, "GOOGLE_APPLICATION_CREDENTIALS": str(credentials)}
        private = json.loads(signer["credentials"])["private_key"].splitlines()[1]
        guide = Guide(folder, environment, [rotating.key["secretKey"], private])
        guide.follow(at_fake("Google Secret Manager", settings, "    project_id:"))
        (_state, value), = fake.secrets[name]
    live = rotating.live
    assert json.loads(value) == live != rotating.key and live["secretKey"] not in str(guide.runs)
