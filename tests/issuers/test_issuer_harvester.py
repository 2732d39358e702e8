# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only tokens of Rancher have: kubeconfigs, users, settings, and an old token that ends at the cutover."""

from __future__ import annotations

import datetime
import json
import re
import secrets

import pytest
import yaml
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.registry import load_issuer
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.throttle import CallRates
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.verification import verify_key
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError

from support.cluster import decoded
from support.providers.fake_harvester import MONTH, FakeHarvester
from support.providers.fake_provider import CONSOLE
from support.rotations import ROTATION

MARK = "ranchhand-cc-7kq2f-g42-e1"
FIELD = "kubeconfigContent"


@pytest.fixture
def rancher(tmp_path):
    with FakeHarvester(tmp_path) as fake:
        yield fake


def error_of(call, *arguments):
    with pytest.raises(IssuerError) as caught:
        call(*arguments)
    return caught.value


def test_only_the_token_in_the_kubeconfig_changes(rancher):
    stored = rancher.create_key()
    kubeconfig = yaml.safe_load(stored[FIELD])
    kubeconfig["clusters"][0]["cluster"]["tls-server-name"] = "127.0.0.1"
    kubeconfig["preferences"] = {"colors": True}
    for text in (yaml.safe_dump(kubeconfig), json.dumps(kubeconfig)):
        issued = rancher.load().issue({**stored, FIELD: text}, MARK)
        new = yaml.safe_load(issued.values[FIELD])
        assert new["users"][0]["user"].pop("token").startswith(f"{issued.key_id}:")
        assert new == {**kubeconfig, "users": [{"name": "hv", "user": {}}]}
        assert issued.values[FIELD].startswith("{") == text.startswith("{")


@pytest.mark.parametrize(("token", "words"), [
    ("token-abcde:secret", "API keys"), ("ext/token-abcde:secret", "ext.cattle.io"), ("", "certificates"),
    ("kubeconfig-u-x", "kubeconfig-…"), ("kubeconfig-u-x:", "kubeconfig-…"), ("kubeconfig-../x:y", "kubeconfig-…"),
])
def test_tokens_that_are_not_supported(rancher, token, words):
    stored = {FIELD: rancher.kubeconfig(token)}
    for method, arguments in (("keys", ()), ("issue", (MARK,))):
        error = error_of(getattr(rancher.load(), method), stored, *arguments)
        assert error.code == "unsupported" and words in error.message
        assert not token or token.partition(":")[2] == "" or "secret" not in error.message
    assert not rancher.seen


def test_kubeconfigs_that_are_not_supported(rancher):
    token = "kubeconfig-u-x:secret"
    issuer = load_issuer("harvester", {})
    for server in ("https://harvester.example.com", "https://rancher.example.com/k8s/clusters/../x", "https://[", 1):
        error = error_of(issuer.keys, {FIELD: rancher.kubeconfig(token, server=server)})
        assert error.code == "unsupported" and "issuer: kubernetes" in error.message
    for authority in ("%", "AAAA", ["x"]):
        stored = {FIELD: rancher.kubeconfig(token, **{"certificate-authority-data": authority})}
        assert error_of(rancher.load().keys, stored).code == "invalid"
    error = error_of(load_issuer("kubernetes", {}).keys, rancher.create_key())
    assert error.code == "unsupported" and "set issuer: harvester" in error.message
    insecure = rancher.kubeconfig(token, **{"certificate-authority-data": "", "insecure-skip-tls-verify": True})
    assert error_of(rancher.load().keys, {FIELD: insecure}).code == "refused"
    assert error_of(rancher.load().keys, {FIELD: insecure.replace("true", "false")}).code == "unreachable"


def test_settings_of_rancher(rancher):
    """Nothing is issued, and the message says what to do."""
    stored = rancher.create_key()
    rancher.generates_tokens = False
    error = error_of(rancher.load().issue, stored, MARK)
    assert error.code == "invalid" and "kubeconfig-generate-token" in error.message
    rancher.has_endpoint, rancher.generates_tokens = True, True
    error = error_of(rancher.load().issue, stored, MARK)
    assert error.code == "unsupported" and "authorized cluster endpoint" in error.message
    rancher.reports_use = False
    for key in rancher.keys.values():
        key.used = None
    error = error_of(rancher.load().keys, stored)
    assert error.code == "unsupported" and "2.10" in error.message and len(rancher.keys) == 1


def test_when_a_token_expires(rancher):
    """Rancher leaves the time in a token that it has made valid for ever."""
    stored, issuer = rancher.create_key(), rancher.load()
    issued = issuer.issue(stored, MARK)
    keys = {key.id: key for key in issuer.keys(stored)}
    assert issued.expires_at == keys[issued.key_id].expires_at == rancher.keys[issued.key_id].expires_at
    assert issued.expires_at - keys[issued.key_id].created_at == datetime.timedelta(milliseconds=MONTH)
    first = keys[issuer.key_id(stored)]
    assert (first.created_at, first.expires_at) == (CONSOLE, None)
    assert first.last_used > CONSOLE and keys[issued.key_id].last_used is None
    rancher.credential_changed(stored[FIELD])
    rancher.credential_changed(issued.values[FIELD])
    assert set(rancher.keys) == {issued.key_id}, "the old token has ended"
    key, = issuer.keys(issued.values)
    assert key.expires_at is None
    rancher.keys[issued.key_id].expires_at = CONSOLE
    assert error_of(issuer.verify, issued.values, issued.values).code == "refused", "it is expired"
    rancher.ttl = 0
    assert issuer.issue(rancher.create_key(), MARK).expires_at is None


def test_the_secret_is_kept_if_the_end_cannot_be_read(rancher):
    stored = rancher.create_key()
    rancher.override = lambda seen: None if len(rancher.keys) > 1 else rancher.handle(seen)
    issued = rancher.load().issue(stored, MARK)
    rancher.override = None
    assert issued.expires_at is None and issued.key_id in rancher.keys
    rancher.load().verify(issued.values, stored)


def test_the_token_of_the_controller_is_sent_to_the_named_rancher_only(rancher):
    """Not to the host that a user who may write the credential has chosen."""
    given, stored = rancher.administrator(), rancher.create_key()
    error = error_of(load_issuer, "harvester", given)
    assert error.code == "invalid" and "rancher_url" in error.message
    issuer = load_issuer("harvester", {**given, "rancher_url": "https://rancher.example.com"})
    for method, arguments in (
        ("keys", (stored,)), ("issue", (stored, MARK)), ("verify", (stored, stored)),
        ("delete", (next(iter(rancher.keys)), stored)),
    ):
        error = error_of(getattr(issuer, method), *arguments)
        assert error.code == "invalid" and "in rancher_url" in error.message
    assert not rancher.seen
    assert load_issuer("harvester", {**given, "rancher_url": f"{rancher.url}/"}).keys(stored)


def answer_to(rancher, pattern, answer):
    """Let another server answer the requests that match a pattern."""
    def respond(seen):
        return answer if re.search(pattern, f"{seen.method} {seen.path}") else rancher.handle(seen)

    rancher.override = respond


@pytest.mark.parametrize(("pattern", "answer", "method"), [
    ("^POST .*generateKubeconfig", b"{}", "issue"), ("^GET .*/version", b"<html>Sign in</html>", "verify"),
    ("^GET /v3/tokens/", b'{"id": "kubeconfig-u-other", "userId": "u-rancher"}', "issue"),
])
def test_an_answer_of_another_server(rancher, pattern, answer, method):
    stored = rancher.create_key()
    answer_to(rancher, pattern, (200, {}, answer))
    arguments = (stored, MARK) if method == "issue" else (stored, stored)
    assert error_of(getattr(rancher.load(), method), *arguments).code == "unreachable" and len(rancher.keys) == 1


def test_a_token_that_rancher_deletes_at_the_same_moment(rancher):
    stored, other = rancher.create_key(), rancher.create_key()
    issuer = rancher.load()
    rancher.keys[issuer.key_id(other)].enabled = False
    assert [key.enabled for key in issuer.keys(stored)] == [True, False]
    answer_to(rancher, "^DELETE", (404, {}, b"{}"))
    issuer.delete(issuer.key_id(other), stored)


def test_another_user_of_rancher(rancher):
    stored, other = rancher.create_key(), rancher.create_key(rancher.stranger)
    given = rancher.load(**rancher.administrator(rancher.stranger))
    for method, arguments in (("issue", (stored, MARK)), ("delete", (next(iter(rancher.keys)), stored)),
                              ("verify", (stored, stored))):
        error = error_of(getattr(given, method), *arguments)
        assert error.code == "invalid" and "same user of Rancher" in error.message
    error = error_of(rancher.load().verify, {FIELD: other[FIELD]}, stored)
    assert error.code == "invalid" and "another user of Rancher" in error.message
    assert len(rancher.keys) == 3
    same = rancher.load(**rancher.administrator())
    issued = same.issue(stored, MARK)
    assert {key.id for key in same.keys(stored)} == {rancher.load().key_id(stored), issued.key_id}, "no API keys"


def test_a_cluster_without_reviews_and_a_disabled_token(rancher):
    stored = rancher.create_key()
    rancher.cluster_version = 27
    rancher.load().verify(stored, stored)
    rancher.cluster_version = 28
    verify_key("harvester", stored, {}, CallRates(1000))  # as cloud_credential does
    rancher.keys[rancher.load().key_id(stored)].enabled = False
    assert error_of(rancher.load().verify, stored, stored).code == "refused"
    rancher.forbidden = True
    assert error_of(rancher.load().verify, rancher.create_key(), stored).code == "forbidden"


def test_a_rotation_at_a_rancher_that_ends_the_old_token(cluster, rancher):
    """There is no grace time, and no return to the old token."""
    identifier, namespace = f"cc-{secrets.token_hex(4)}", f"rotation-{secrets.token_hex(4)}"
    stored = rancher.create_key()
    cluster.secret(identifier, "harvester", stored, "harvester")
    rancher.credential_changed(stored[FIELD])

    def task(state, **options):
        common = {"id": identifier, "namespace": namespace, "drain": "1s", "verify_timeout": "5s"}
        return {ROTATION: {**common, "state": state, **options}}

    options = {"issuer": "harvester", "issuer_options": rancher.options, "rotation_id": "first"}
    rotated = cluster.play(task("rotated", **options)).result["rotation"]
    assert rotated["phase"] == "grace" and rotated["expires_at"] and len(rancher.keys) == 2
    text = decoded(cluster.stored(identifier))["harvestercredentialConfig-kubeconfigContent"]
    rancher.credential_changed(text)
    key, = rancher.keys.values()
    assert rancher.secrets_of({FIELD: text}) == [key.secret]
    back, retired = cluster.play(task("rolled_back"), task("retired")).results
    assert back["failed"] and decoded(cluster.stored(identifier))["harvestercredentialConfig-kubeconfigContent"] == text
    assert retired["rotation"]["phase"] == "idle" and list(rancher.keys) == [key.id]
