# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secret stores: Vault's own KV engine, the Secrets Manager of moto, and a real API server.

moto refuses a version that does not exist and a label that has moved. It does not check that a client token is a UUID,
and it keeps versions without labels, which AWS deletes.
"""

from __future__ import annotations

import base64
import json
import secrets
import uuid

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._stores.interface import StoreChanged
from ansible_collections.ranchhand.rancher.plugins.module_utils._stores.registry import load_store
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError
from moto.secretsmanager.models import secretsmanager_backends

from support.providers.aws import ACCOUNT, lost_reply

REGION = "eu-central-1"
OLD, NEW = {"key": "k1", "secret": "s1"}, {"key": "k2", "secret": "s2"}


class VaultBench:
    """A secret in Vault, with the store under test and the client of another user."""

    def __init__(self, vault):
        self.vault, self.path = vault, f"team/{secrets.token_hex(4)}/aws prod"
        self.store = self.load(vault.token)

    def load(self, token, **settings):
        return load_store(
            {"name": "a", "type": "vault", "url": self.vault.url, "path": self.path, **settings}, {"token": token})

    def put(self, fields):
        self.vault.write(self.path.replace(" ", "%20"), fields)

    def fields(self):
        return self.vault.read(self.path.replace(" ", "%20"))[0]


class SecretsManagerBench:
    def __init__(self, aws):
        self.aws, self.id = aws, f"rancher/{secrets.token_hex(4)}"
        self.backend = secretsmanager_backends[ACCOUNT][REGION]
        user = f"store-{secrets.token_hex(4)}"
        self.key = aws.create_user(user)
        aws.set_policy(user, "secretsmanager:*")
        self.backend.create_secret(self.id, None, None, None, [], None, None, [], False)
        self.store = self.load()

    def load(self, **settings):
        signer = {"access_key": self.key["accessKey"], "secret_key": self.key["secretKey"]}
        settings = {"secret_id": self.id, "region": REGION, "endpoint_url": self.aws.url, **settings}
        return load_store({"name": "a", "type": "aws_secrets_manager", **settings}, signer)

    def put(self, fields):
        self.backend.put_secret_value(self.id, json.dumps(fields), None, str(uuid.uuid4()), ["AWSCURRENT"])

    def fields(self):
        return json.loads(self.backend.get_secret_value(self.id, None, "AWSCURRENT")["SecretString"])


class KubernetesBench:
    def __init__(self, control_plane):
        self.control_plane, self.name = control_plane, f"aws-{secrets.token_hex(4)}"
        self.path = "/api/v1/namespaces/default/secrets"
        self.store = self.load()

    def load(self, **settings):
        settings = {"namespace": "default", "secret_name": self.name, **settings}
        return load_store(
            {"name": "a", "type": "kubernetes", **settings}, {"kubeconfig": str(self.control_plane.kubeconfig)})

    def put(self, fields):
        body = {"metadata": {"name": self.name}, "stringData": fields}
        try:
            self.control_plane.api.post(self.path, body)
        except Exception:  # it exists
            self.control_plane.api.patch(f"{self.path}/{self.name}", body)

    def fields(self):
        data = self.control_plane.api.get(f"{self.path}/{self.name}")["data"]
        return {name: base64.b64decode(text).decode() for name, text in data.items()}


@pytest.fixture(params=["vault", "aws_secrets_manager", "kubernetes"])
def bench(request):
    if request.param == "vault":
        return VaultBench(request.getfixturevalue("vault"))
    if request.param == "kubernetes":
        return KubernetesBench(request.getfixturevalue("harvester"))
    return SecretsManagerBench(request.getfixturevalue("aws"))


def request_id():
    return str(uuid.uuid4())


def test_a_store_replaces_exactly_what_was_read(bench):
    empty = bench.store.read()
    assert empty.fields is None
    bench.store.write(OLD, empty, request_id())
    assert bench.fields() == OLD
    bench.put({**OLD, "note": "kept"})
    read = bench.store.read()
    assert {**OLD, "note": "kept"} == read.fields and "s1" not in repr(read)
    bench.store.write(NEW, read, request_id())
    assert bench.fields() == {**NEW, "note": "kept"} == bench.store.read().fields
    with pytest.raises(StoreChanged):
        bench.store.write(OLD, read, request_id())
    assert bench.fields() == {**NEW, "note": "kept"}


def test_a_secret_that_another_client_creates_meanwhile_is_kept(bench):
    empty = bench.store.read()
    bench.put(OLD)
    try:
        bench.store.write(NEW, empty, request_id())
    except StoreChanged:
        pass
    assert bench.fields() == OLD


def problem(call, *arguments):
    with pytest.raises(IssuerError) as caught:
        call(*arguments)
    assert "s2" not in caught.value.message
    return caught.value.code, caught.value.message


def test_what_vault_refuses(vault):
    bench = VaultBench(vault)
    bench.put(OLD)
    read = bench.store.read()
    assert problem(bench.load("wrong").read)[0] == "forbidden"
    code, message = problem(bench.load(vault.reader).write, NEW, read, "")
    assert code == "forbidden" and "aws prod may not be written with this token" in message, message
    code, message = problem(bench.load(vault.token, mount="nosuch").read)
    assert code == "invalid" and "no secrets engine" in message
    vault.request("DELETE", "data/" + bench.path.replace(" ", "%20"))
    code, message = problem(bench.store.read)
    assert code == "invalid" and "its latest version is 1" in message
    code, _message = problem(bench.load(vault.token, url="http://127.0.0.1:9").read)
    assert code == "unreachable"


def test_a_lost_reply_of_secrets_manager_leaves_a_single_version(aws):
    bench = SecretsManagerBench(aws)
    bench.put(OLD)
    read, request = bench.store.read(), request_id()
    for operation in ("PutSecretValue", "UpdateSecretVersionStage"):
        aws.faults.rule(operation, lost_reply)
        assert problem(bench.store.write, NEW, read, request)[0] == "unreachable"
    assert bench.store.read().fields == NEW
    versions = bench.backend.secrets[bench.id].versions
    assert len(versions) == 2 and versions[request]["version_stages"] == ["AWSPENDING", "AWSCURRENT"]
    assert versions[read.version]["version_stages"] == ["AWSPREVIOUS"]


@pytest.mark.parametrize(("prepare", "words"), [
    pytest.param(lambda bench: vars(bench.backend.secrets[bench.id]).update(
        rotation_requested=True, rotation_enabled=True), "is rotated by", id="rotation"),
    pytest.param(lambda bench: bench.backend.delete_secret(bench.id, 7, False), "scheduled for deletion", id="deleted"),
    pytest.param(lambda bench: bench.backend.put_secret_value(bench.id, "text", None, request_id(), ["AWSCURRENT"]),
                 "JSON object", id="text"),
    pytest.param(lambda bench: bench.backend.secrets.pop(bench.id), "does not exist", id="missing"),
])
def test_what_secrets_manager_must_not_contain(aws, prepare, words):
    bench = SecretsManagerBench(aws)
    bench.put(OLD)
    prepare(bench)
    code, message = problem(bench.store.read)
    assert code == "invalid" and words in message


def test_what_a_cluster_refuses(harvester):
    bench = KubernetesBench(harvester)
    code, message = problem(bench.load(namespace="nosuch").write, NEW, bench.store.read(), "")
    assert code == "invalid" and "HTTP status 404" in message
    body = {"metadata": {"name": bench.name}, "stringData": OLD, "immutable": True}
    harvester.api.post(bench.path, body)
    code, message = problem(bench.store.write, NEW, bench.store.read(), "")
    assert code == "invalid" and bench.fields() == OLD, message
