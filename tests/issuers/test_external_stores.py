# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secret stores: Vault's own KV engine, the Secrets Manager of moto, and a real API server.

moto refuses a version that does not exist and a label that has moved. It does not check that a client token is a UUID,
and it keeps versions without labels, which AWS deletes.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import secrets
import uuid

import pytest
import yaml
from ansible_collections.ranchhand.rancher.plugins.module_utils._stores.interface import StoreChanged, StoreContent
from ansible_collections.ranchhand.rancher.plugins.module_utils._stores.registry import load_store
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError
from moto.secretsmanager.models import secretsmanager_backends

from control_plane import ApiError
from support.fakes import FaultInjector, reply
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


class RancherBench(KubernetesBench):
    """A cloud credential of another Rancher, which is never created by the store."""

    def __init__(self, control_plane):
        with contextlib.suppress(ApiError):  # it exists
            control_plane.api.post("/api/v1/namespaces", {"metadata": {"name": "cattle-global-data"}})
        super().__init__(control_plane)
        self.path = "/api/v1/namespaces/cattle-global-data/secrets"

    def load(self, **settings):
        settings = {"credential_id": self.name, **settings}
        return load_store(
            {"name": "a", "type": "rancher", **settings}, {"kubeconfig": str(self.control_plane.kubeconfig)})

    def put(self, fields, driver="otc"):
        super().put({f"{driver}credentialConfig-{name}": text for name, text in fields.items()})

    def fields(self):
        return {name.partition("-")[2]: text for name, text in super().fields().items()}

    @property
    def metadata(self):
        return self.control_plane.api.get(f"{self.path}/{self.name}")["metadata"]


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


def test_a_credential_of_another_rancher(harvester):
    """It gets the annotations of a rotation, and its driver is part of the version."""
    bench = RancherBench(harvester)
    code, message = problem(bench.store.read)
    assert code == "invalid" and f"cattle-global-data:{bench.name} of the other Rancher is no" in message
    bench.put({**OLD, "note": "kept"})
    read = bench.store.read()
    assert read.fields == {**OLD, "note": "kept"} and read.version.split()[::2] == [bench.metadata["uid"], "otc"]
    assert read.leader is None
    bench.store.claim("leader", read)
    with pytest.raises(StoreChanged):
        bench.store.claim("another", read)
    read = bench.store.read()
    assert read.fields == {**OLD, "note": "kept"} and read.leader == "leader"
    bench.store.write(NEW, read, request_id())
    assert bench.fields() == {**NEW, "note": "kept"} == bench.store.read().fields
    annotations = bench.metadata["annotations"]
    now = datetime.datetime.now(datetime.timezone.utc)
    written = datetime.datetime.fromisoformat(annotations.pop("ranchhand.cattle.io/rotated-at").replace("Z", "+00:00"))
    assert abs(now - written) < datetime.timedelta(minutes=1)
    assert annotations == {
        "ranchhand.cattle.io/copy-of-rotation": "leader", "ranchhand.cattle.io/rotated-fields": "key,secret",
    }
    with pytest.raises(StoreChanged):
        bench.store.write(OLD, read, request_id())
    read = bench.store.read()
    harvester.api.delete(f"{bench.path}/{bench.name}")
    with pytest.raises(StoreChanged):
        bench.store.write(OLD, read, request_id())
    harvester.api.post(bench.path, {"metadata": {"name": bench.name}, "stringData": {"no": "driver"}})
    assert problem(bench.store.read)[0] == "invalid"


def test_what_a_secret_contains(harvester):
    bench = KubernetesBench(harvester)
    bench.store.write({"key": "ü"}, bench.store.read(), "")
    created = harvester.api.get(f"{bench.path}/{bench.name}")
    assert created["type"] == "Opaque" and created["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "ranchhand.rancher"
    }
    harvester.api.patch(f"{bench.path}/{bench.name}", {"data": {"binary": "/w=="}})
    assert bench.store.read().fields == {"key": "ü", "binary": "/w=="}


ANSWERS = [(401, "forbidden"), (403, "forbidden"), (429, "busy"), (400, "invalid"), (500, "unreachable")]


@pytest.mark.parametrize(("status", "code"), ANSWERS)
def test_answers_of_a_cluster(harvester, status, code):
    """The text of the server is not shown, as webhooks and proxies may quote the request."""
    bench = KubernetesBench(harvester)
    bench.put(OLD)
    with FaultInjector(harvester) as proxy:
        kubeconfig = yaml.safe_load(harvester.kubeconfig.read_text())
        kubeconfig["clusters"][0]["cluster"] = {"server": proxy.url}
        kubeconfig["users"][0]["user"] = {"token": harvester.token}
        store = load_store(
            {"name": "a", "type": "kubernetes", "namespace": "default", "secret_name": bench.name},
            {"kubeconfig": yaml.safe_dump(kubeconfig)})
        read = store.read()
        proxy.rule(".*", reply(status, "quoted s2"), times=99)
        for call, arguments, what in ((store.read, (), "read"), (store.write, (NEW, read, ""), "written")):
            found, message = problem(call, *arguments)
            assert found == code and "quoted" not in message, message
            assert f"external store a: Secret default/{bench.name} cannot be {what} (HTTP status {status})" in message
        proxy._rules.clear()
        proxy.rule("GET", lambda seen: (200, {"Content-Type": "application/json"}, b"{}"))
        assert problem(store.read) == ("unreachable", "external store a does not answer like a Kubernetes API server")
        proxy.rule("GET", reply(404, "no such page", "OtherReason"))
        assert problem(store.read)[0] == "invalid", "no Secret is missing there"


@pytest.mark.parametrize(("status", "content", "code"), [
    (401, {}, "forbidden"), (403, {}, "forbidden"), (429, {}, "busy"), (500, {}, "unreachable"),
    (412, {}, "unreachable"), (400, {"errors": ["other"]}, "invalid"), (404, {}, "invalid"),
    (404, {"errors": ["no handler"]}, "invalid"), (404, {"data": {"metadata": {"version": 3}}}, "invalid"),
    (200, {}, "invalid"), (200, {"data": {"data": None, "metadata": {"version": 1}}}, "invalid"),
    (200, {"data": {"data": {}, "metadata": {"version": "1"}}}, "invalid"), (200, [], "invalid"),
])
def test_answers_of_vault(status, content, code):
    with FaultInjector() as server:
        server.rule("GET", lambda seen: (status, {}, json.dumps(content).encode()))
        store = load_store(
            {"name": "a", "type": "vault", "url": server.url, "path": "/b c/", "namespace": "team", "mount": "/kv/"},
            {"token": "t"})
        assert problem(store.read)[0] == code
        seen, = server.seen
        assert seen.path == "/v1/kv/data/b%20c"
        assert [seen.headers[f"x-vault-{name}"] for name in ("token", "request", "namespace")] == ["t", "true", "team"]


def test_writes_to_vault():
    with FaultInjector() as server:
        store = load_store({"name": "a", "type": "vault", "url": server.url, "path": "b"}, {"token": "t"})
        mismatch = "check-and-set parameter did not match the current version"
        for status, content in ((404, {"errors": []}), (204, None), (400, {"errors": [mismatch]})):
            body = b"" if content is None else json.dumps(content).encode()
            server.rule(".*", lambda seen, status=status, body=body: (status, {}, body))
        empty = store.read()
        store.write(NEW, empty, "")
        with pytest.raises(StoreChanged):
            store.write(NEW, StoreContent({"note": "kept", "key": "k1"}, "4"), "")
        assert [json.loads(seen.body) for seen in server.seen[1:]] == [
            {"options": {"cas": 0}, "data": NEW}, {"options": {"cas": 4}, "data": {"note": "kept", **NEW}},
        ]
        assert {(seen.method, seen.path) for seen in server.seen[1:]} == {("POST", "/v1/secret/data/b")}


def test_what_a_cluster_refuses(harvester):
    bench = KubernetesBench(harvester)
    code, message = problem(bench.load(namespace="nosuch").write, NEW, bench.store.read(), "")
    assert code == "invalid" and "HTTP status 404" in message
    body = {"metadata": {"name": bench.name}, "stringData": OLD, "immutable": True}
    harvester.api.post(bench.path, body)
    code, message = problem(bench.store.write, NEW, bench.store.read(), "")
    assert code == "invalid" and bench.fields() == OLD, message
