# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only MinIO has: policies of access keys, users, encryption of answers, and the endpoint of the credential."""

from __future__ import annotations

import base64
import datetime
import json
import secrets
import sys
from functools import partial

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import http, minio
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.minio_encryption import decrypt, encrypt
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.registry import default_issuer, load_issuer
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError

from control_plane.certificates import Authority
from support.canaries import Canaries, Run
from support.cluster import decoded
from support.providers import fake_minio
from support.providers.fake_provider import UTC
from support.rotations import ROTATION

MARK = "ranchhand-cc-7kq2f-g42-e1"
READ = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::backups/*"]}],
}
CREATE = {**READ, "Statement": [*READ["Statement"], {"Effect": "Allow", "Action": ["admin:CreateServiceAccount"]}]}

# A MinIO built from its source of 2026-02-12 answered with this to a user with the secret key "recorded-secret-key".
RECORDED = base64.b64decode(
    "ndswe6CjagsWG3pzEcttKHJKHHUvmasbFG99hlWrzJYASUpeNg6hYA3MiNukLhBRuiDHHiVF1Vb25zZ/eSgb8Xd2Px8gB6rrMNU="
)


@pytest.fixture
def fake(tmp_path):
    with fake_minio.FakeMinio(tmp_path) as fake:
        yield fake


def issuer_of(fake, **options):
    return load_issuer("minio", {**fake.options, **options})


def administrator_of(fake):
    return issuer_of(fake, **fake.administrator())


def error_of(call, *arguments):
    with pytest.raises(IssuerError) as caught:
        call(*arguments)
    return caught.value


def listed(issuer, by):
    return {key.id: key for key in issuer.keys(by)}


def test_it_is_not_the_default_of_its_driver():
    assert default_issuer("s3") == "aws"


def test_a_new_key_has_the_policy_of_the_current_key(fake):
    stored = fake.create_key(policy=READ)
    error = error_of(issuer_of(fake).issue, stored, MARK)
    assert error.code == "forbidden" and "admin:CreateServiceAccount" in error.message and len(fake.keys) == 1
    issued = administrator_of(fake).issue(stored, MARK)
    assert fake.keys[issued.key_id].more == {"policy": READ}
    assert fake.keys[issued.key_id].owner == fake.principal, "and not of the administrator"
    stored = fake.create_key(policy=CREATE)
    assert fake.keys[issuer_of(fake).issue(stored, MARK).key_id].more == {"policy": CREATE}
    assert fake.keys[issuer_of(fake).issue(fake.create_key(), MARK).key_id].more == {}


@pytest.mark.parametrize("policy", [READ, None])
def test_a_key_is_disabled_and_enabled(fake, policy):
    """MinIO drops the policy of a key that is updated without it."""
    stored = fake.create_key(**({"policy": policy} if policy else {}))
    more = fake.keys[stored["accessKey"]].more
    issuer = administrator_of(fake)
    new = {**stored, **issuer.issue(stored, MARK).values}
    assert issuer.disables and not issuer_of(fake).disables
    for call, enabled in ((issuer.disable, False), (issuer.enable, True)):
        for _again in range(2):
            call(stored["accessKey"], new)
            assert listed(issuer, new)[stored["accessKey"]].enabled is enabled
            assert fake.keys[stored["accessKey"]].more == more
        if not enabled:
            assert error_of(issuer.verify, stored, new).code == "refused"
    issuer.verify(stored, new)


def test_a_policy_that_cannot_be_read(fake):
    """The key keeps its status, and no key with more rights is created."""
    stored = fake.create_key(policy=READ)
    issuer = administrator_of(fake)
    before = len(fake.keys)
    for policy in ("", "x", "[]", 1):
        fake.override = lambda seen, policy=policy: fake.handle_changed(
            seen, lambda content: {**content, "policy": policy}
        )
        assert error_of(issuer.issue, stored, MARK).code == "unreachable"
        assert error_of(issuer.disable, stored["accessKey"], stored).code == "unreachable"
    assert len(fake.keys) == before and fake.keys[stored["accessKey"]].enabled


def test_a_user_is_not_rotated(fake):
    """Its deletion would delete all of its access keys."""
    stored = fake.create_user("rancher")
    fake.create_key()
    before = set(fake.keys)
    for method, *arguments in (("keys", stored), ("issue", stored, MARK), ("delete", "rancher", stored)):
        error = error_of(getattr(issuer_of(fake), method), *arguments)
        assert error.code == "unsupported" and "it is a user itself" in error.message
    administrator = administrator_of(fake)
    error = error_of(administrator.keys, stored)
    assert error.code == "forbidden" and "If rancher is a user itself" in error.message
    assert before <= set(fake.keys)


def test_an_administrator_changes_keys_of_this_user_only(fake):
    """MinIO lets it change all keys of the server, and reports the deletion of a user without performing it."""
    stored, other, user = fake.create_key(), fake.create_key(fake.stranger), fake.create_user("root")
    issuer = administrator_of(fake)
    before = set(fake.keys)
    for call in (issuer.delete, issuer.disable, issuer.enable):
        for values in (other, user):
            assert error_of(call, values["accessKey"], stored).code == "invalid"
    assert set(fake.keys) == before and all(key.enabled for key in fake.keys.values())


@pytest.mark.parametrize("status, code", [(429, "busy"), (404, "refused"), (200, "unreachable")])
def test_a_verification_that_cannot_read_the_user(fake, status, code):
    stored = fake.create_key()
    new = issuer_of(fake).issue(stored, MARK).values
    hidden = new if status == 404 else stored

    def answer(seen):
        if not seen.path.endswith(hidden["accessKey"]):
            return fake.handle(seen)
        if status == 200:
            return fake.handle_changed(seen, lambda content: {**content, "parentUser": ""})
        return fake_minio._error(status, "XMinioInvalidIAMCredentials")

    fake.override = answer
    assert error_of(issuer_of(fake).verify, new, stored).code == code


def test_a_key_that_was_deleted(fake):
    stored = fake.create_key()
    del fake.keys[stored["accessKey"]]
    assert error_of(issuer_of(fake).keys, stored).code == "refused"
    assert error_of(administrator_of(fake).keys, stored).code == "unsupported"


def test_keys_expire(fake):
    stored = fake.create_key()
    issued = issuer_of(fake, expiration="90d").issue(stored, MARK)
    assert abs(issued.expires_at - datetime.datetime.now(UTC) - datetime.timedelta(days=90)).total_seconds() < 30
    keys = listed(issuer_of(fake), stored)
    assert keys[issued.key_id].expires_at == issued.expires_at
    assert keys[stored["accessKey"]].expires_at is None, "MinIO lists 1970"
    issuer_of(fake, expiration="1h").issue(stored, MARK)
    issuer_of(fake, expiration="364d").issue(stored, MARK)
    for expiration in ("59m", "365d"):
        assert error_of(partial(issuer_of, fake, expiration=expiration)).code == "invalid"


def test_an_old_server(fake):
    stored = fake.create_key()
    fake.is_old = True
    error = error_of(issuer_of(fake).keys, stored)
    assert error.code == "unsupported" and "Upgrade it to RELEASE.2024-05-07" in error.message


@pytest.mark.parametrize("answer", [
    (426, b'{"Code": "XMinioAdminVersionMismatch"}'), (404, b"<Error><Code>NoSuchBucket</Code></Error>"), (405, b""),
])
def test_a_server_without_the_api(fake, answer):
    stored = fake.create_key()
    fake.override = lambda seen: (answer[0], {}, answer[1])
    for method, *arguments in (("keys", stored), ("verify", stored, stored), ("issue", stored, MARK)):
        error = error_of(getattr(issuer_of(fake), method), *arguments)
        assert error.code == "unsupported" and "RELEASE.2024-05-07" in error.message


def test_a_user_that_does_not_exist_is_not_a_server_without_the_api(fake):
    stored = fake.create_key()
    fake.override = lambda seen: (
        fake_minio._error(404, "XMinioAdminNoSuchUser") if seen.method == "PUT" else fake.handle(seen))
    assert error_of(issuer_of(fake).issue, stored, MARK).code == "invalid"


def test_a_deletion_that_another_server_answers(fake):
    stored = fake.create_key()
    fake.override = lambda seen: (200, {}, b"{}") if seen.method == "DELETE" else fake.handle(seen)
    assert error_of(issuer_of(fake).delete, stored["accessKey"], stored).code == "unreachable"


@pytest.mark.parametrize("change", [
    lambda content: {"accounts": "x"}, lambda content: {"accounts": [{"accessKey": 1}]}, lambda content: [],
    lambda content: {"accounts": {"x": 1}}, lambda content: {},
])
def test_lists_of_other_types(fake, change):
    stored = fake.create_key()
    fake.override = lambda seen: fake.handle_changed(seen, change)
    assert error_of(issuer_of(fake).keys, stored).code == "unreachable"


@pytest.mark.parametrize("change", [
    lambda content: {"credentials": None}, lambda content: {"credentials": {"accessKey": "A", "secretKey": 1}},
    lambda content: {"credentials": {"secretKey": "s"}}, lambda content: {},
])
def test_a_new_key_of_other_types(fake, change):
    stored = fake.create_key()
    fake.override = lambda seen: fake.handle_changed(seen, change) if seen.method == "PUT" else fake.handle(seen)
    assert error_of(issuer_of(fake).issue, stored, MARK).code == "unreachable"


def test_the_clock_of_the_controller(fake, monkeypatch):
    stored = fake.create_key()
    for module in (minio, http):
        monkeypatch.setattr(module, "now", lambda: datetime.datetime.now(UTC) + datetime.timedelta(hours=1))
    error = error_of(issuer_of(fake).keys, stored)
    assert error.code == "invalid" and "60 minutes fast" in error.message


def test_the_endpoint_of_the_credential(fake, tmp_path):
    stored = fake.create_key()
    issuer = issuer_of(fake)
    other = Authority().pem.decode()
    (tmp_path / "other.pem").write_text(other)
    for change in (
        {"defaultEndpoint": f"https://{stored['defaultEndpoint']}/"},
        {"defaultEndpointCA": "", "defaultSkipSSLVerify": "true"},
        {"defaultEndpointCA": other, "defaultSkipSSLVerify": "true"},
        {"defaultEndpointCA": stored["defaultEndpointCA"] + other},
    ):
        assert issuer.keys({**stored, **change}), change
    for change, code, word in (
        ({"defaultEndpoint": ""}, "invalid", "Set endpoint_url"),
        ({"defaultEndpoint": "http://minio.example.com"}, "invalid", "https://"),
        ({"defaultEndpoint": "u:p@minio.example.com"}, "invalid", "no user"),
        ({"defaultEndpointCA": ""}, "unreachable", "not trusted"),
        ({"defaultEndpointCA": other}, "unreachable", "not trusted"),
        ({"defaultEndpointCA": "c2VjcmV0"}, "invalid", "malformed"),
        ({"defaultEndpointCA": "é"}, "invalid", "malformed"),
    ):
        error = error_of(issuer.keys, {**stored, **change})
        assert error.code == code and word in error.message, error.message
    moved = {**stored, "defaultEndpoint": "minio.example.com", "defaultEndpointCA": other}
    assert issuer_of(fake, endpoint_url=fake.url, ca_bundle=str(fake.ca_bundle)).keys(moved)


@pytest.mark.parametrize(
    "algorithm", [fake_minio.ARGON2ID_AES, fake_minio.ARGON2ID_CHACHA, fake_minio.PBKDF2_AES],
    ids=["aes", "chacha", "fips"],
)
def test_the_encryption_of_answers(fake, algorithm):
    fake.algorithm = algorithm
    stored = fake.create_key()
    issuer = issuer_of(fake)
    issued = issuer.issue(stored, MARK)
    issuer.verify(issued.values, stored)
    issuer.delete(stored["accessKey"], {**stored, **issued.values})
    assert set(fake.keys) == {issued.key_id}


def test_long_texts():
    """They are encrypted in chunks of 16 KiB."""
    for size in (0, 1, 16383, 16384, 16385, 32768, 50000):
        content = secrets.token_bytes(size)
        sent = encrypt("secret", content)
        assert fake_minio.unseal("secret", sent) == decrypt("secret", sent) == content


def test_many_keys(fake):
    stored = fake.create_key()
    for _key in range(200):
        fake.create_key(mark=MARK)
    assert len(issuer_of(fake).keys(stored)) == 201


def test_an_answer_of_a_real_server():
    assert decrypt("recorded-secret-key", RECORDED) == b'{"accounts":null}'


@pytest.mark.parametrize("position", [0, 32, 33, 41, 60, -1])
def test_answers_that_were_changed(position):
    changed = bytearray(RECORDED)
    changed[position] ^= 4
    for content in (bytes(changed), RECORDED[:position], RECORDED + b"x"):
        with pytest.raises(ValueError, match="^$"):
            decrypt("recorded-secret-key", content)
    with pytest.raises(ValueError, match="^$"):
        decrypt("another-secret-key", RECORDED)


def test_chunks_that_are_missing():
    sent = encrypt("secret", bytes(40000))
    for content in (sent[:41 + 2 * 16400], sent[:41] + sent[41 + 16400:], sent[:41 + 16400] + sent[41 + 2 * 16400:]):
        with pytest.raises(ValueError, match="^$"):
            decrypt("secret", content)


def test_a_controller_without_the_package(fake, monkeypatch):
    stored = fake.create_key()
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.kdf.argon2", None)
    for method, *arguments in (("keys", stored), ("issue", stored, MARK)):
        error = error_of(getattr(issuer_of(fake), method), *arguments)
        assert error.code == "unsupported" and "cryptography, version 44 or newer" in error.message
    assert len(fake.keys) == 1


def test_an_openssl_without_argon2(fake, monkeypatch):
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.kdf import argon2

    def refuse(**_parameters):
        raise UnsupportedAlgorithm("secret")

    fake.algorithm = fake_minio.ARGON2ID_AES
    stored = fake.create_key()
    monkeypatch.setattr(argon2, "Argon2id", refuse)
    error = error_of(issuer_of(fake).issue, stored, MARK)
    assert error.code == "unsupported" and "OpenSSL 3.2" in error.message and "secret" not in error.message
    assert len(fake.keys) == 1, "it was noticed before a key was created"


def test_rotations_with_an_administrator(cluster, fake, tmp_path):
    """Undone, orphaned, disabled, undone again and completed. No output contains a secret."""
    stored, administrator = fake.create_key(policy=READ), fake.administrator()
    identifier = f"cc-{secrets.token_hex(4)}"
    cluster.secret(identifier, "s3", stored, "minio")
    canaries = Canaries(first=stored["secretKey"], administrator=administrator["secret_key"])
    task = {
        "id": identifier, "namespace": f"rotation-{identifier}", "drain": "1s", "verify_timeout": "5s",
        "issuer_secrets": {"access_key": administrator["access_key"], "secret_key": "{{ canary.administrator }}"},
    }
    rotate = {**task, "issuer": "minio", "issuer_options": {**fake.options, "sign_in": "given"}}
    run = Run(cluster, tmp_path, canaries)

    def rotation(**options):
        played = run.play({ROTATION: {**options}})
        canaries.values.update({f"issued {key.id}": key.secret for key in fake.keys.values()})
        canaries.assert_hidden(played.output + json.dumps(played.results), "output")
        return played.result

    def live():
        return decoded(cluster.stored(identifier))["s3credentialConfig-accessKey"]

    assert rotation(**rotate, rotation_id="first")["rotation"]["phase"] == "grace" and live() != stored["accessKey"]
    assert rotation(**task, state="rolled_back")["rotation"]["phase"] == "idle" and live() == stored["accessKey"]
    assert {key.id for key in fake.listed(fake.principal)} == {stored["accessKey"]}

    fake.lose(fake.issuing)
    assert rotation(**rotate, rotation_id="second")["code"] == "unreachable"
    orphan, = {key.id for key in fake.listed(fake.principal)} - {stored["accessKey"]}
    assert rotation(**rotate, rotation_id="second")["rotation"]["phase"] == "grace"
    assert orphan not in fake.keys and fake.keys[live()].mark.startswith("ranchhand-")

    assert rotation(**task, state="retired", grace="0s")["rotation"]["phase"] == "disabled"
    assert not fake.keys[stored["accessKey"]].enabled
    assert rotation(**task, state="rolled_back")["rotation"]["phase"] == "idle" and live() == stored["accessKey"]
    assert fake.keys[stored["accessKey"]].enabled and fake.keys[stored["accessKey"]].more == {"policy": READ}

    assert rotation(**rotate, rotation_id="third")["rotation"]["phase"] == "grace"
    assert rotation(**task, state="retired", grace="0s")["rotation"]["phase"] == "disabled"
    assert rotation(**task, state="retired", soak="0s")["rotation"]["phase"] == "idle"
    key, = fake.listed(fake.principal)
    assert key.id == live() and key.more == {"policy": READ}
    canaries.assert_hidden((tmp_path / "ansible.log").read_text(), "the log")
