# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens of ServiceAccounts, at a real Kubernetes that plays the Harvester cluster."""

from __future__ import annotations

import base64
import datetime
import json
import socket
import time

import pytest
import yaml
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import kubernetes
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.kubernetes import Kubernetes
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.annotations import ROTATION_KEY_LABEL
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import CALL_TIMEOUT, IssuerError

from support.fakes import FaultInjector, after, reply
from support.service_accounts import ACCOUNTS, NAMESPACE, stored, token_of

SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
CACHE = 20  # seconds; an API server keeps accepting a token for 10 after it saw it


@pytest.fixture(autouse=True)
def _environment_of_rancher(monkeypatch):
    """What names Rancher's own cluster must not be used for this one."""
    monkeypatch.setenv("K8S_AUTH_HOST", "https://rancher.invalid")
    monkeypatch.setenv("K8S_AUTH_API_KEY", "of-rancher")
    monkeypatch.setenv("K8S_AUTH_VERIFY_SSL", "false")


def inside(values):
    content = yaml.safe_load(values["kubeconfigContent"])
    return content, content["users"][0]["user"].pop("token")


def works(issuer, values):
    try:
        return issuer.verify(values, values) is None
    except IssuerError as error:
        assert error.code == "refused", error
        return False


def revoked_after(issuer, values):
    started = time.monotonic()
    while works(issuer, values):
        assert time.monotonic() - started < CACHE
        time.sleep(0.5)
    return time.monotonic() - started


def refused(call, *arguments):
    with pytest.raises(IssuerError) as caught:
        call(*arguments)
    return caught.value


def test_tokens_are_issued_and_deleted_in_turn(harvester):
    issuer = Kubernetes({"expiration": "1h"})
    first = stored(harvester, token_of(harvester))
    assert issuer.key_id(first).startswith("serviceaccount machines/rancher, token ")
    assert [item.id for item in issuer.keys(first)] == [issuer.key_id(first)]
    second = issuer.issue(first, "mark").values
    assert set(second) == {"kubeconfigContent"}
    (before, old), (after, new) = inside(first), inside(second)
    assert before == after and old != new
    for values in (first, second):
        issuer.verify(values, first)
    name = issuer.key_id(second)
    secret = harvester.api.get(f"{SECRETS}/{name}")
    assert (
        secret["type"] == "Opaque"
        and "data" not in secret
        and secret["metadata"]["labels"] == {ROTATION_KEY_LABEL: "rancher"}
    )
    assert name.startswith("rancher-ranchhand-") and {item.id for item in issuer.keys(first)} == {
        name,
        issuer.key_id(first),
    }
    left = issuer.expires_at(second) - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(minutes=55) < left <= datetime.timedelta(hours=1)

    third = issuer.issue(second, "mark").values
    issuer.verify(third, second)
    keys = {item.id: item for item in issuer.keys(third)}
    assert issuer.marks and keys[name].mark == "mark", "a token whose secret was lost is recognized by it"
    assert set(keys) == {name, issuer.key_id(third)}
    assert abs((keys[name].created_at - datetime.datetime.now(datetime.timezone.utc)).total_seconds()) < 60
    issuer.delete(name, third)
    issuer.delete(name, third)
    assert [item.id for item in issuer.keys(third)] == [issuer.key_id(third)]
    revoked_after(issuer, second)
    issuer.verify(third, third)
    issuer.delete(issuer.key_id(third), third)


@pytest.mark.parametrize("way", ["rotating", "given"])
def test_a_revoked_token_does_not_work(harvester, way):
    """It is refused at once, although the API server still accepts it; also if its Secret was created again."""
    given = {"sign_in": "given", "kubeconfig": harvester.kubeconfig.read_text()}
    issuer = Kubernetes(given if way == "given" else {})
    first = stored(harvester, token_of(harvester))
    second = issuer.issue(first, "mark").values
    issuer.verify(second, first)
    name, token = issuer.key_id(second), inside(second)[1]
    issuer.delete(name, first)
    for recreated in (False, True):
        if recreated:
            harvester.api.post(SECRETS, {"metadata": {"name": name}})
        harvester.api.request("GET", "/api", headers={"Authorization": f"Bearer {token}"})
        error = refused(issuer.verify, second, first)
        assert error.code == "refused" and f"Secret {name} in namespace {NAMESPACE}" in error.message
    issuer.delete(name, first)


def test_the_secret_of_a_token_that_must_not_be_read(harvester):
    """No permission is no proof that a token is revoked."""
    secret = harvester.api.post(SECRETS, {"metadata": {"generateName": "unread-"}})["metadata"]
    bound = {"kind": "Secret", "apiVersion": "v1", "name": secret["name"], "uid": secret["uid"]}
    values = stored(harvester, token_of(harvester, "powerless", boundObjectRef=bound))
    assert refused(Kubernetes({}).verify, values, values).code == "forbidden"
    harvester.api.delete(f"{SECRETS}/{secret['name']}")


def test_signing_in_and_reading_the_secret_share_a_deadline(harvester, monkeypatch):
    values = Kubernetes({}).issue(stored(harvester, token_of(harvester)), "mark").values
    monkeypatch.setattr(kubernetes, "CALL_TIMEOUT", 3.0)
    with FaultInjector(harvester) as proxy:
        here = through(proxy, values)
        proxy.rule("POST", after(lambda seen: time.sleep(1.5)), "selfsubjectreviews$")
        proxy.rule("GET", lambda seen: time.sleep(4), "secrets/", times=9)
        started = time.monotonic()
        assert refused(Kubernetes({}).verify, here, here).code == "unreachable"
        assert time.monotonic() - started < 3.0
    Kubernetes({}).delete(Kubernetes({}).key_id(values), values)


def test_json_and_other_users_are_preserved(harvester):
    issuer = Kubernetes({})
    content = yaml.safe_load(stored(harvester, token_of(harvester))["kubeconfigContent"])
    content["users"].append({"name": "another", "user": {"token": "of another"}})
    issued = json.loads(issuer.issue({"kubeconfigContent": json.dumps(content)}, "mark").values["kubeconfigContent"])
    assert issued["users"][1] == content["users"][1] and issued["users"][0] != content["users"][0]


def test_another_account_signs_in(harvester):
    """With an old token that does not work any more, by an administrator's kubeconfig as text or as a mapping."""
    text = harvester.kubeconfig.read_text()
    secret = harvester.api.post(SECRETS, {"metadata": {"generateName": "gone-"}})["metadata"]
    bound = {"kind": "Secret", "apiVersion": "v1", "name": secret["name"], "uid": secret["uid"]}
    old = stored(harvester, token_of(harvester, "powerless", boundObjectRef=bound))
    harvester.api.delete(f"{SECRETS}/{secret['name']}")
    for kubeconfig in (text, json.loads(text)):
        issuer = Kubernetes(
            {"sign_in": "given", "kubeconfig": kubeconfig, "namespace": NAMESPACE, "service_account": "powerless"}
        )
        assert issuer.key_id(old) == secret["name"]
        new = issuer.issue(old, "mark").values
        issuer.verify(new, old)
        issuer.delete(secret["name"], new)
        issuer.delete(issuer.key_id(new), new)
        # An API server accepts a deleted token for some seconds more; then only the rights are missing.
        assert refused(Kubernetes({}).issue, new, "mark").code in ("refused", "forbidden")


def test_a_token_that_kubernetes_made_in_a_secret(harvester):
    """As clusters had them for every ServiceAccount once; made here by hand, as there is no controller."""
    uid = harvester.api.get(f"{ACCOUNTS}/rancher")["metadata"]["uid"]
    harvester.api.post(
        SECRETS,
        {
            "metadata": {
                "name": "rancher-token-x",
                "annotations": {
                    "kubernetes.io/service-account.name": "rancher",
                    "kubernetes.io/service-account.uid": uid,
                },
            },
            "type": "kubernetes.io/service-account-token",
            "stringData": {"token": "not empty"},
        },
    )
    issuer = Kubernetes({"sign_in": "given", "kubeconfig": harvester.kubeconfig.read_text()})
    legacy = stored(
        harvester,
        unsigned(
            {
                "sub": "system:serviceaccount:machines:rancher",
                "kubernetes.io/serviceaccount/secret.name": "rancher-token-x",
            }
        ),
    )
    assert issuer.key_id(legacy) == "rancher-token-x" and issuer.expires_at(legacy) is None
    new = issuer.issue(legacy, "mark").values
    issuer.delete("rancher-token-x", new)
    assert "rancher-token-x" not in [item["metadata"]["name"] for item in harvester.api.get(SECRETS)["items"]]


def unsigned(claims):
    return ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=")
        for part in (b'{"alg":"RS256"}', json.dumps(claims).encode(), b"signed")
    )


def test_what_does_not_work(harvester):
    issuer = Kubernetes({})
    mine, other = (stored(harvester, token_of(harvester, account)) for account in ("rancher", "other"))
    nameless = stored(harvester, unsigned({"sub": f"system:serviceaccount:machines:{'a' * 64}"}))
    expired = stored(harvester, unsigned({"sub": "system:serviceaccount:machines:rancher", "exp": 1000000000}))
    results = [
        ("invalid", "belongs to system:serviceaccount:machines:other, not to", refused(issuer.verify, other, mine)),
        ("refused", "rejected the credentials of the connection", refused(issuer.verify, expired, mine)),
        ("forbidden", "", refused(issuer.issue, stored(harvester, token_of(harvester, "powerless")), "mark")),
        ("unsupported", "not bound to a Secret", refused(issuer.delete, issuer.key_id(mine), mine)),
        ("unsupported", "longer than the 63 characters", refused(issuer.issue, nameless, "mark")),
        ("invalid", "not to the service_account", refused(Kubernetes({"service_account": "x"}).keys, mine)),
    ]
    harvester.api.post(SECRETS, {"metadata": {"name": "in-use"}, "stringData": {"password": "of something else"}})
    results.append(("unsupported", "contains data", refused(issuer.delete, "in-use", mine)))
    assert harvester.api.get(f"{SECRETS}/in-use")
    for code, words, error in results:
        assert (error.code, words in error.message) == (code, True), error.message
        quiet(error.message + repr(error), mine, other, expired)
    quiet(repr(issuer) + repr(issuer.keys(mine)), mine)
    assert issuer.expires_at(expired).year == 2001
    issuer.delete(issuer.key_id(expired), mine)


def quiet(text, *secrets):
    assert not [item for item in secrets if inside(item)[1] in text or inside(item)[1].split(".")[1] in text], text


@pytest.mark.parametrize(
    ("code", "change"),
    [
        pytest.param(
            "unsupported",
            {"users": [{"name": "kubernetes-admin", "user": {"token": "kubeconfig-u-1:secret-x"}}]},
            id="a token of Rancher's",
        ),
        pytest.param(
            "unsupported",
            {"users": [{"name": "kubernetes-admin", "user": {"client-key-data": "secret-x"}}]},
            id="a certificate",
        ),
        pytest.param("invalid", {"users": []}, id="no user"),
        pytest.param("invalid", {"current-context": "other"}, id="another context"),
        pytest.param("invalid", {"contexts": None}, id="no contexts"),
        pytest.param(
            "invalid",
            {
                "clusters": [
                    {"name": "ranchhand", "cluster": {"server": "https://a", "certificate-authority": "/a/secret-x"}}
                ]
            },
            id="a file of its own",
        ),
    ],
)
def test_a_kubeconfig_that_cannot_be_used(harvester, code, change):
    content = yaml.safe_load(stored(harvester, "a")["kubeconfigContent"])
    error = refused(Kubernetes({}).key_id, {"kubeconfigContent": yaml.safe_dump({**content, **change})})
    assert error.code == code and "secret-x" not in error.message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret-x",
        "{secret-x: [",
        "- secret-x",
        "users: secret-x\ncontexts: secret-x",
        "a: 2026-99-99 # secret-x",
    ],
)
def test_text_that_is_no_kubeconfig(text):
    error = refused(Kubernetes({}).key_id, {"kubeconfigContent": text} if text else {})
    assert error.code == "invalid" and "secret-x" not in error.message


@pytest.mark.parametrize(
    "options, words",
    [
        pytest.param(
            {"service_acount": "x"},
            "unknown option service_acount; allowed are namespace, service_account, expiration, sign_in, kubeconfig",
            id="unknown option",
        ),
        pytest.param({"sign_in": "twice"}, "rotating or given", id="unknown sign_in"),
        pytest.param({"sign_in": "given"}, "require each other", id="sign_in given without kubeconfig"),
        pytest.param({"kubeconfig": {}}, "require each other", id="kubeconfig without sign_in given"),
        pytest.param({"expiration": "soon"}, "expiration must be a number with a unit, such as 30s", id="no duration"),
        pytest.param({"expiration": 3600}, "expiration must be a number with a unit, such as 30s", id="no unit"),
        pytest.param({"expiration": "60s"}, "expiration must be at least 10m", id="short expiration"),
    ],
)
def test_options_that_make_no_sense(options, words):
    error = refused(Kubernetes, options)
    assert error.code == "invalid" and words in error.message


def test_programs_of_the_kubeconfig_are_not_run(harvester, tmp_path):
    program = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "touch",
            "args": [str(tmp_path / "ran")],
            "interactiveMode": "Never",
        }
    }
    values = stored(harvester, token_of(harvester), **program)
    Kubernetes({}).verify(values, values)
    assert not (tmp_path / "ran").exists()


def through(proxy, values):
    content = yaml.safe_load(values["kubeconfigContent"])
    content["clusters"][0]["cluster"] = {"server": proxy.url}
    return {"kubeconfigContent": yaml.safe_dump(content)}


def test_replies_that_get_lost(harvester):
    with FaultInjector(harvester) as proxy:
        issuer = Kubernetes({})
        first = through(proxy, stored(harvester, token_of(harvester)))
        before = len(issuer.keys(first))
        proxy.rule("POST", proxy.lose_reply, "secrets$")
        proxy.rule("POST", proxy.lose_reply, "token$")
        second = issuer.issue(first, "mark").values
        issuer.verify(second, first)
        assert len(issuer.keys(first)) == before + 1
        proxy.rule("DELETE", proxy.lose_reply, "secrets")
        issuer.delete(issuer.key_id(second), first)
        assert len(issuer.keys(first)) == before


def test_an_api_server_that_does_not_report_the_user(harvester):
    with FaultInjector(harvester) as proxy:
        issuer = Kubernetes({})
        mine, other = (
            through(proxy, stored(harvester, token_of(harvester, account))) for account in ("rancher", "other")
        )
        proxy.rule("POST", reply(404, "not found"), "selfsubjectreviews", times=100)
        issuer.verify(mine, mine)
        assert refused(issuer.verify, other, mine).code == "invalid"
        bad = through(proxy, stored(harvester, unsigned({"sub": "system:serviceaccount:machines:rancher"})))
        assert refused(issuer.verify, bad, mine).code == "refused"
        for path in ("selfsubjectrulesreviews", "secrets$", "token$"):
            proxy.rule("POST", lambda seen: (201, {}, b"{}"), path)
        for call, argument in ((issuer.verify, mine), (issuer.issue, "mark"), (issuer.issue, "mark")):
            assert refused(call, mine, argument).code == "unreachable"


def test_a_cluster_that_cannot_be_reached(harvester):
    issuer = Kubernetes({})
    mine = stored(harvester, token_of(harvester))
    with FaultInjector(harvester) as proxy:
        here = through(proxy, mine)
        proxy.rule("GET", reply(503, "{headers}"), times=100)
        error = refused(issuer.keys, here)
        assert error.code == "unreachable"
    error = refused(issuer.keys, here)
    assert error.code == "unreachable" and "Connection refused" in error.message
    quiet(error.message, mine)


@pytest.mark.slow
def test_a_cluster_that_never_answers(harvester):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        content = yaml.safe_load(stored(harvester, token_of(harvester))["kubeconfigContent"])
        content["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{listener.getsockname()[1]}"}
        started = time.monotonic()
        error = refused(Kubernetes({}).issue, {"kubeconfigContent": yaml.safe_dump(content)}, "mark")
    assert error.code == "unreachable" and "no answer within 24 seconds" in error.message
    assert time.monotonic() - started < CALL_TIMEOUT
