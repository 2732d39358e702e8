# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secret stores: Vault's own KV engine, the Secrets Manager of moto, a real API server, and fakes of Azure and Google.

moto refuses a version that does not exist and a label that has moved. It does not check that a client token is a UUID,
and it keeps versions without labels, which AWS deletes.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import secrets
import time
import uuid

import pytest
import yaml
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._stores.interface import StoreChanged, StoreContent
from ansible_collections.ranchhand.rancher.plugins.module_utils._stores.registry import load_store
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError
from moto.secretsmanager.models import secretsmanager_backends

from control_plane import ApiError
from support.canaries import Canaries, Run
from support.fakes import FaultInjector, cut, reply
from support.providers import fake_azure, fake_google
from support.providers.aws import ACCOUNT, lost_reply
from support.providers.fake_key_vault import VAULT, FakeKeyVault
from support.providers.fake_provider import answer_json
from support.providers.fake_secret_manager import FakeSecretManager
from support.rotations import RotatingCredential

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


class FakeBench:
    """A secret at a fake, whose ``settings`` and ``signer`` are those of the store."""

    def __init__(self, fake):
        self.fake, self.name = fake, f"rancher-{secrets.token_hex(4)}"
        self.settings, self.signer = fake.settings(self.name)
        self.store = self.load()
        if fake.issuer == "google":  # a secret without versions
            fake.secrets[self.name] = []

    def load(self, signer=None, **settings):
        return load_store({**self.settings, "name": "a", **settings}, {**self.signer, **(signer or {})})

    def put(self, fields):
        self.fake.put(self.name, json.dumps(fields))

    @property
    def versions(self):
        return self.fake.secrets[self.name]

    def fields(self):
        latest = self.versions[-1]
        return json.loads(latest[1] if self.fake.issuer == "google" else latest["value"])


@pytest.fixture
def key_vault(tmp_path_factory):
    with FakeKeyVault(tmp_path_factory.mktemp("azure")) as fake:
        yield FakeBench(fake)


@pytest.fixture
def secret_manager(tmp_path_factory):
    with FakeSecretManager(tmp_path_factory.mktemp("google")) as fake:
        yield FakeBench(fake)


@pytest.fixture(params=["key_vault", "secret_manager"])
def fake_bench(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["vault", "aws_secrets_manager", "kubernetes", "key_vault", "secret_manager"])
def bench(request):
    if request.param in ("key_vault", "secret_manager"):
        return request.getfixturevalue(request.param)
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


def test_what_only_a_key_vault_keeps(key_vault):
    key_vault.fake.put(key_vault.name, json.dumps(OLD), {"team": "a"})["contentType"] = "application/x-key"
    read, request = key_vault.store.read(), request_id()
    key_vault.store.write(NEW, read, request)
    assert key_vault.versions[-1]["tags"] == {"team": "a", "ranchhand-request": request}
    assert key_vault.versions[-1]["contentType"] == "application/x-key"


def test_a_lost_reply_of_a_key_vault_is_recognized_by_its_tag(key_vault):
    key_vault.put(OLD)
    read, request = key_vault.store.read(), request_id()
    key_vault.fake.lose("PUT /secrets/")
    assert problem(key_vault.store.write, NEW, read, request)[0] == "unreachable"
    key_vault.store.write(NEW, read, request)
    assert key_vault.fields() == NEW and len(key_vault.versions) == 2
    with pytest.raises(StoreChanged):  # as another request would be
        key_vault.store.write(OLD, read, request_id())


def test_secret_manager_is_read_by_number(secret_manager):
    """``latest`` may lag behind; a version that was added can be read by its number at once."""
    secret_manager.fake.lag = 1
    for values in (OLD, NEW):
        secret_manager.store.write(values, secret_manager.store.read(), request_id())
        assert secret_manager.store.read().fields == values
    assert secret_manager.store.read().version == "2"
    secret_manager.fake.lose("POST .*:addVersion")
    read = secret_manager.store.read()
    assert problem(secret_manager.store.write, OLD, read, request_id())[0] == "unreachable"
    assert secret_manager.store.read().fields == OLD and len(secret_manager.versions) == 3


def test_a_version_that_another_client_adds_at_the_same_time_is_reported(secret_manager):
    secret_manager.put(OLD)
    read = secret_manager.store.read()
    secret_manager.fake.adding = lambda: secret_manager.put({"key": "theirs"})
    with pytest.raises(RanchhandError, match="another client added version 2 .* version 3 with the key") as caught:
        secret_manager.store.write(NEW, read, request_id())
    assert caught.value.code == "conflict" and "s2" not in caught.value.message
    assert secret_manager.fields() == NEW


def disable_latest(bench):
    if bench.fake.issuer == "google":
        bench.versions[-1][0] = "DISABLED"
    else:
        bench.versions[-1]["attributes"]["enabled"] = False


@pytest.mark.parametrize(("prepare", "code", "words"), [
    pytest.param(disable_latest, "invalid", "disabled", id="disabled"),
    pytest.param(lambda bench: bench.fake.put(bench.name, "text"), "invalid", "no.* JSON object", id="text"),
    pytest.param(lambda bench: bench.fake.put(bench.name, "[7]"), "invalid", "no.* JSON object", id="list"),
    pytest.param(lambda bench: bench.fake.put(bench.name, "[" * 9999), "invalid", "no.* JSON object", id="deep"),
    pytest.param(lambda bench: bench.fake.rights.clear(), "forbidden", "does not allow it to .* the secret", id="403"),
    pytest.param(lambda bench: bench.fake.keys.clear(), "refused", "does not accept the key", id="key"),
    pytest.param(lambda bench: setattr(bench.fake, "override", lambda seen: answer_json(429, {})), "busy",
                 "limits the rate", id="429"),
    pytest.param(lambda bench: setattr(bench.fake, "override", lambda seen: answer_json(503, {})), "unreachable",
                 "could not process", id="503"),
    pytest.param(lambda bench: setattr(bench.fake, "override", cut), "unreachable", "cannot be reached", id="cut"),
])
def test_what_a_store_of_azure_or_google_must_not_contain(fake_bench, prepare, code, words):
    fake_bench.put(OLD)
    prepare(fake_bench)
    count = len(fake_bench.versions)
    for call in (fake_bench.store.read, lambda: fake_bench.store.write(NEW, StoreContent(OLD, "1"), request_id())):
        with pytest.raises(IssuerError, match=f"^external store a.*{words}") as caught:
            call()
        assert caught.value.code == code
        shown = [text for text in ("s1", "s2", *map(str, fake_bench.signer.values())) if text in caught.value.message]
        assert shown in ([], [fake_azure.RANCHER]), "the id of an application is not secret"
    assert len(fake_bench.versions) == count


KEY_VAULT = {"value": "{}", "id": "v/1", "attributes": {}, "tags": {}}
SECRET_MANAGER = {"name": "projects/p/secrets/s/versions/1", "payload": {"data": "e30="}}


@pytest.mark.parametrize("content", [
    [], {},
    *({**KEY_VAULT, **wrong} for wrong in ({"id": 7}, {"attributes": 7}, {"tags": ["a"]})),
    {name: value for name, value in KEY_VAULT.items() if name != "value"},
    *({**SECRET_MANAGER, **wrong} for wrong in (
        {"name": 7}, {"name": "projects/p/secrets/s"}, {"payload": [7]}, {"payload": {"data": "{}"}},
        {"payload": {"data": 7}})),
], ids=str)
def test_answers_of_another_server(fake_bench, content):
    """A proxy that answers instead of the store, after a sign-in that works."""
    fake = fake_bench.fake

    def answer(seen):
        if "token" in seen.path:
            return fake.handle(seen)
        return answer_json(404 if seen.path.endswith("/versions/2:access") else 200, content)

    fake.override = answer
    assert problem(fake_bench.store.read)[0] == "unreachable"
    fake.override = lambda seen: answer_json(200, content)
    assert problem(fake_bench.store.read)[0] == "unreachable"


@pytest.mark.parametrize(("versions", "content"), [
    pytest.param(200, SECRET_MANAGER, id="the same version by each number"),
    pytest.param(404, [], id="no versions, and a secret that is none"),
])
def test_answers_of_another_server_than_secret_manager(secret_manager, versions, content):
    fake = secret_manager.fake
    fake.override = lambda seen: fake.handle(seen) if "token" in seen.path else answer_json(
        versions if "/versions/" in seen.path else 200, content)
    assert problem(secret_manager.store.read)[0] == "unreachable"
    assert len(fake.seen) <= 4


def test_values_that_are_too_large(fake_bench):
    fake_bench.put(OLD)
    read = fake_bench.store.read()
    code, message = problem(fake_bench.store.write, {**NEW, "note": "x" * 65536}, read, request_id())
    assert code == "invalid" and "A value has at most" in message and len(fake_bench.versions) == 1


def test_a_right_to_write_is_missing(fake_bench):
    fake_bench.put(OLD)
    read = fake_bench.store.read()
    fake_bench.fake.rights -= {"set", "versions.add"}
    assert problem(fake_bench.store.write, NEW, read, request_id())[0] == "forbidden"


def test_what_a_key_vault_refuses(key_vault):
    key_vault.put(OLD)
    read = key_vault.store.read()
    key_vault.versions[-1]["attributes"]["exp"] = int(time.time()) - 1
    assert "has expired" in problem(key_vault.store.read)[1]
    key_vault.versions[-1]["attributes"]["exp"] = int(time.time()) + 60
    assert key_vault.store.read().fields == OLD
    key_vault.versions[-1]["tags"] = dict.fromkeys("abcdefghijklmno", "x")
    assert "15 tags" in problem(key_vault.store.write, NEW, read, request_id())[1]
    key_vault.fake.deleted.add(key_vault.name)
    code, message = problem(key_vault.store.read)
    assert code == "invalid" and "was deleted. Recover it, or purge it" in message
    key_vault.fake.override = lambda seen: (
        (404, {}, b"") if seen.method == "GET" else key_vault.fake.handle(seen))  # as a proxy answers
    assert "no key vault answers there" in problem(key_vault.store.read)[1]


def test_a_secret_that_is_deleted_before_it_is_written(key_vault):
    fake, seen = key_vault.fake, []

    def delete(request):
        if request.method == "PUT":
            fake.deleted.add(key_vault.name)
        seen.append(request.method)
        return fake.handle(request)

    fake.override = delete
    with pytest.raises(StoreChanged):
        key_vault.store.write(NEW, StoreContent(None), request_id())
    assert seen[-1] == "PUT" and key_vault.name not in fake.secrets


@pytest.mark.parametrize(("settings", "words"), [
    ({"vault_url": "https://ranchhand.vault.azure.net.example.com"}, "vault_url must be"),
    ({"vault_url": "http://ranchhand.vault.azure.net"}, "vault_url must be"),
    ({"vault_url": "https://user@ranchhand.vault.azure.net"}, "vault_url must be"),
    ({"vault_url": "https://ranchhand.vault.azure.net/x"}, "vault_url must be"),
    ({"secret_name": "a/b"}, "invalid name"),
    ({"tenant_id": "a/b"}, "tenant is missing or malformed"),
    ({"tenant_id": "elsewhere"}, "no application with this client id"),
])
def test_settings_of_a_key_vault(key_vault, settings, words):
    with pytest.raises(IssuerError, match=words):
        key_vault.load(**settings).read()
    assert not [seen for seen in key_vault.fake.seen if seen.method == "GET"]


@pytest.mark.parametrize(("url", "host"), [
    (VAULT, "vault.azure.net"), ("https://Ranchhand.vault.usgovcloudapi.net/", "vault.usgovcloudapi.net"),
    ("https://ranchhand.vault.azure.cn:443", "vault.azure.cn"),
])
def test_the_audience_is_that_of_the_national_cloud(key_vault, url, host):
    key_vault.put(OLD)
    store = key_vault.load(vault_url=url)
    if url == VAULT:
        store.read()
    else:  # the vault at the fake is of the public Azure
        assert problem(store.read)[0] == "refused"
    assert f"https%3A%2F%2F{host}%2F.default".encode() in key_vault.fake.seen[0].body


def test_another_application_and_another_account_may_not_read(key_vault, secret_manager):
    key_vault.put(OLD)
    stranger = key_vault.fake.create_key(fake_azure.STRANGER)
    signer = {"client_id": fake_azure.STRANGER, "client_secret": stranger["clientSecret"]}
    assert problem(key_vault.load(signer).read)[0] == "forbidden"
    assert problem(key_vault.load({"client_secret": stranger["clientSecret"]}).read)[0] == "refused"
    key = secret_manager.fake.create_key(fake_google.STRANGER)[fake_google.FIELD]
    secret_manager.put(OLD)
    assert problem(secret_manager.load({"credentials": json.loads(key)}).read)[0] == "forbidden"
    mixed = {**json.loads(secret_manager.signer["credentials"]), "private_key": json.loads(key)["private_key"]}
    assert problem(secret_manager.load({"credentials": mixed}).read)[0] == "refused"
    for credentials in ("text", "{}", ["s2"], 7):
        with pytest.raises(IssuerError, match="credentials is no service account key"):
            secret_manager.load({"credentials": credentials})


@pytest.mark.parametrize(("settings", "words"), [
    ({"project_id": "a/b"}, "malformed"), ({"secret_id": "a:b"}, "malformed"),
    ({"secret_id": "nosuch"}, "does not exist. Create it"), ({"project_id": "other"}, "or there is no such secret"),
])
def test_settings_of_secret_manager(secret_manager, settings, words):
    with pytest.raises(IssuerError, match=words):
        secret_manager.load(**settings).read()


def test_a_destroyed_version(secret_manager):
    secret_manager.put(OLD)
    secret_manager.put(NEW)
    secret_manager.versions[-1][:] = ["DESTROYED", b""]
    secret_manager.fake.lag = 1
    assert "disabled or destroyed" in problem(secret_manager.store.read)[1]


def test_a_rotation_with_stores_of_azure_and_google(cluster, aws, key_vault, secret_manager, tmp_path):
    """A lost reply, a store that cannot be read, another client's value, and a rollback. No output shows a secret."""
    rotating, benches = RotatingCredential(cluster, aws), (key_vault, secret_manager)
    key_vault.put({**rotating.key, "team": "a"})  # the other one has no version yet
    canaries = Canaries(
        old_key=rotating.key["secretKey"], client_secret=key_vault.signer["client_secret"],
        private_key=json.loads(secret_manager.signer["credentials"])["private_key"])
    run = Run(cluster, tmp_path, canaries)
    names = ("azure", "google")
    stores = [{**bench.settings, "name": name} for name, bench in zip(names, benches)]
    store_secrets = {name: bench.signer for name, bench in zip(names, benches)}

    def play(*tasks):
        secret = {"external_store_secrets": "{{ store_secrets }}"}
        tasks = [rotating.task(state, external_stores=stores, **secret, **more) for state, more in tasks]
        played = run.play(*tasks, variables={"store_secrets": store_secrets})
        canaries.values["key"] = rotating.live["secretKey"]
        for text in (played.output, json.dumps(played.results), json.dumps(records(rotating))):
            canaries.assert_hidden(text, "output or a record")
        return played.results

    key_vault.fake.lose("PUT /secrets/")
    lost, rotated = play(("rotated", {}), ("rotated", {}))
    assert lost["code"] == "unreachable" and rotated["rotation"]["phase"] == "grace", rotated
    new = rotating.live
    assert key_vault.fields() == {**new, "team": "a"} and len(key_vault.versions) == 2
    assert secret_manager.fields() == new and len(secret_manager.versions) == 1

    key_vault.put({**new, "secretKey": "theirs"})
    secret_manager.fake.rights.remove("versions.access")
    waiting, refused = play(("retired", {"grace": "0s"}), ("rolled_back", {}))
    assert "external_store: unknown, because external store google" in str(waiting["rotation"]["waiting_for"]), waiting
    assert set(rotating.keys.values()) == {"Active"} and len(rotating.keys) == 2
    assert refused["code"] == "conflict" and "another client writes it" in refused["msg"]
    assert len(key_vault.versions) == 3 and len(secret_manager.versions) == 1

    key_vault.versions.pop()
    secret_manager.fake.rights.add("versions.access")
    back, = play(("rolled_back", {}))
    assert back["rotation"]["phase"] == "idle" and rotating.original_key_only(), back
    assert key_vault.fields() == {**rotating.key, "team": "a"} and secret_manager.fields() == rotating.key


def records(rotating):
    return rotating.cluster.api.get(f"/api/v1/namespaces/{rotating.namespace}/configmaps")["items"]
