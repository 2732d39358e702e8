# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only one of Google, Azure and Linode has: limits, policies, owners of keys, how a key is found by its value."""

from __future__ import annotations

import base64
import datetime
import json
import secrets
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import azure as azure_issuer
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import google
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.registry import load_issuer
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.throttle import CallRates
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.verification import verify_key
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError

from support.canaries import Canaries, Run
from support.cluster import decoded
from support.providers import fake_azure, fake_google, fake_linode
from support.providers.fake_provider import CONSOLE, intercept
from support.rotations import ROTATION

MARK = "ranchhand-cc-7kq2f-g42-e1"


@pytest.fixture
def azure(tmp_path):
    with fake_azure.FakeAzure(tmp_path) as fake:
        yield fake


@pytest.fixture
def cloud(tmp_path):
    with fake_google.FakeGoogle(tmp_path) as fake:
        yield fake


@pytest.fixture
def linode(tmp_path):
    with fake_linode.FakeLinode(tmp_path) as fake:
        yield fake


def issuer_of(fake, **options):
    return load_issuer(fake.issuer, {**fake.options, **options})


def error_of(call, *arguments):
    with pytest.raises(IssuerError) as caught:
        call(*arguments)
    return caught.value


def test_a_policy_of_google_forbids_new_keys(cloud):
    stored = cloud.create_key()
    cloud.may_create_keys = False
    error = error_of(issuer_of(cloud).issue, stored, MARK)
    assert error.code == "invalid" and "iam.disableServiceAccountKeyCreation" in error.message


def test_a_policy_of_google_limits_the_lifetime(cloud):
    stored = cloud.create_key()
    cloud.lifetime = datetime.timedelta(days=1)
    issuer = issuer_of(cloud)
    issued = issuer.issue(stored, MARK)
    ends = {key.id: key.expires_at for key in issuer.keys(stored)}
    assert ends[issued.key_id] == issued.expires_at == cloud.keys[issued.key_id].expires_at
    assert ends[issuer.key_id(stored)] is None, "the year 9999 is no end"


def test_a_json_of_google(cloud):
    """It is stored as the collection stores a mapping, and what Google does not set is kept."""
    stored = cloud.create_key()
    key = {**json.loads(stored["authEncodedJson"]), "quota_project_id": "büro"}
    stored = {"authEncodedJson": json.dumps(key)}
    text = issuer_of(cloud).issue(stored, MARK).values["authEncodedJson"]
    assert '","quota_project_id":"büro"' in text and "\n" not in text and text == text.strip()
    assert json.loads(text)["private_key"] != key["private_key"]


def test_a_key_of_another_account_of_google(cloud):
    stored, other = cloud.create_key(), cloud.create_key(fake_google.ROTATOR)
    issuer = issuer_of(cloud)
    assert error_of(issuer.verify, other, stored).code == "invalid"
    assert error_of(issuer.keys, other).code == "forbidden"
    recreated = {"authEncodedJson": json.dumps({**json.loads(stored["authEncodedJson"]), "client_id": "0"})}
    assert error_of(issuer.verify, recreated, stored).code == "invalid"
    for changed in ({"project_id": "../x"}, {"project_id": None}, {"client_email": "a/b"}):
        broken = {"authEncodedJson": json.dumps({**json.loads(stored["authEncodedJson"]), **changed})}
        assert error_of(issuer.keys, broken).code == "invalid" and not cloud.keys.get("x")


def test_google_requires_the_right_time(cloud, monkeypatch):
    stored = cloud.create_key()
    monkeypatch.setattr(google, "time", SimpleNamespace(time=lambda: 1_000_000_000.0))
    error = error_of(issuer_of(cloud).verify, stored, stored)
    assert error.code == "invalid" and "clock" in error.message


@pytest.mark.parametrize(("description", "words"), [
    ("Invalid grant: account not found", "its service account is deleted or disabled"),
    ("Robot is disabled.", "its service account is deleted or disabled"),
    ("Invalid JWT Signature.", "it is deleted, disabled, or not known yet"),
])
def test_why_google_refuses_a_key(cloud, description, words):
    stored = cloud.create_key()
    answer = json.dumps({"error": "invalid_grant", "error_description": description}).encode()
    cloud.override = lambda seen: (400, {"Content-Type": "application/json"}, answer)
    error = error_of(issuer_of(cloud).verify, stored, stored)
    assert error.code == "refused" and words in error.message


def test_a_google_key_that_is_not_that_of_the_account(cloud):
    stored = cloud.create_key()
    other = base64.b64encode(cloud.create_key(fake_google.ROTATOR)["authEncodedJson"].encode()).decode()
    token = (200, {}, b'{"access_token": "x"}')
    content = json.dumps({"privateKeyData": other}).encode()
    cloud.override = lambda seen: token if seen.path == "/token" else (200, {}, content)
    assert error_of(issuer_of(cloud).issue, stored, MARK).code == "unreachable"


def test_google_administrator_as_a_mapping(cloud):
    stored, given = cloud.create_key(), cloud.administrator()
    issuer = issuer_of(cloud, **{**given, "credentials": json.loads(given["credentials"])})
    assert {key.id for key in issuer.keys(stored)} == {issuer.key_id(stored)}


@pytest.mark.parametrize(("status", "content"), [(503, b"{}"), (200, b"{}")], ids=["not listed", "not full"])
def test_google_limits_the_rate_of_requests(cloud, status, content):
    """The status is the same as for too many keys."""
    stored = cloud.create_key()

    def answer(seen):
        if seen.path == "/token":
            return cloud.handle(seen)
        return (429, {}, b"{}") if seen.method == "POST" else (status, {}, content)

    cloud.override = answer
    assert error_of(issuer_of(cloud).issue, stored, MARK).code == "busy"


@pytest.mark.parametrize("kind", [fake_azure.FakeAzure, fake_google.FakeGoogle], ids=["azure", "google"])
def test_another_change_is_being_processed(kind, tmp_path):
    with kind(tmp_path) as fake:
        fake.override = lambda seen: fake.handle(seen) if seen.path.endswith("/token") else (409, {}, b"{}")
        assert error_of(issuer_of(fake).keys, fake.create_key()).code == "busy"


@pytest.mark.parametrize(("propagation", "pause"), [("90s", 5.0), ("2s", 2.0)])
@pytest.mark.parametrize(("kind", "module"), [
    pytest.param(fake_azure.FakeAzure, azure_issuer, id="azure"),
    pytest.param(fake_google.FakeGoogle, google, id="google"),
])
def test_a_new_key_is_tried_again_after_a_pause(kind, module, propagation, pause, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=pauses.append, time=time.time))
    with kind(tmp_path) as fake:
        stored = fake.create_key()
        issuer = issuer_of(fake, propagation=propagation)
        issuer.verify(stored, stored)
        assert not pauses
        issuer.verify(issuer.issue(stored, MARK).values, stored)
        assert pauses == [pause]


@pytest.mark.parametrize(("status", "error", "code", "words"), [
    (400, "unauthorized_client", "invalid", "has no application"), (400, "other", "invalid", "rejected tenant"),
    (400, "temporarily_unavailable", "unreachable", "temporarily unavailable"), (200, "", "unreachable", "a token"),
])
def test_why_azure_returns_no_token(azure, status, error, code, words):
    azure.override = lambda seen: (status, {}, json.dumps({"error": error}).encode())
    found = error_of(issuer_of(azure).keys, azure.create_key())
    assert found.code == code and words in found.message


@pytest.mark.parametrize(("content", "expires_at"), [
    ({"keyId": "id"}, None), ({"secretText": "x"}, None), ({"secretText": "x", "keyId": "../x"}, None),
    ({"secretText": "x", "keyId": "id", "endDateTime": "2026-01-02T03:04:05Z"}, CONSOLE),
])
def test_what_azure_returns_instead_of_a_secret(azure, content, expires_at):
    """A secret without its id cannot be removed; its end may be earlier than requested."""
    stored, answer = azure.create_key(), (200, {}, json.dumps(content).encode())
    azure.override = lambda seen: answer if seen.path.endswith("/addPassword") else azure.handle(seen)
    if expires_at:
        assert issuer_of(azure).issue(stored, MARK).expires_at == expires_at
    else:
        assert error_of(issuer_of(azure).issue, stored, MARK).code == "unreachable"


@pytest.mark.parametrize("entries", [{}, [1], "x"])
def test_a_list_of_azure_that_contains_no_secrets(azure, entries):
    stored = azure.create_key()
    content = json.dumps({"access_token": "x", "passwordCredentials": entries}).encode()
    azure.override = lambda seen: (200, {"Content-Type": "application/json"}, content)
    assert error_of(issuer_of(azure).keys, stored).code == "unreachable"


def test_which_secret_of_azure_is_in_use(azure):
    stored = azure.create_key()
    issuer, first = issuer_of(azure), next(iter(azure.keys))
    values = {"clientSecret": stored["clientSecret"]}
    assert issuer.identify(values, stored) == first
    twin = azure.create_key()
    second = next(key for key in azure.keys.values() if key.id != first)
    second.secret = values["clientSecret"][:3] + "~" + second.secret
    assert issuer.identify(values, stored) is None, "two secrets begin with the same characters"
    second.expires_at = CONSOLE
    assert issuer.identify(values, stored) == first, "an expired secret is not in use"
    second.expires_at, second.secret = None, twin["clientSecret"]
    for without_hint in ({first}, {second.id}, {first, second.id}):
        azure.without_hint = without_hint
        assert issuer.identify(values, stored) is None, "any of them may be in use"
    del azure.keys[second.id]
    assert issuer.identify(values, stored) is None, "even a single secret, as the list may lag behind"


@pytest.mark.parametrize("applications", [True, False], ids=["application", "application of another tenant"])
def test_a_secret_of_an_azure_service_principal(azure, applications):
    azure.object, azure.applications = "servicePrincipals", applications
    stored = azure.create_key()
    issuer, first = issuer_of(azure), next(iter(azure.keys))
    issued = issuer.issue(stored, MARK)
    assert azure.keys[issued.key_id].more["object"] == "servicePrincipals", "where the current secret is"
    issuer.delete(first, {**stored, **issued.values})
    assert set(azure.keys) == {issued.key_id}


def test_an_azure_application_for_personal_accounts(azure):
    stored, issuer = azure.create_key(), issuer_of(azure)
    azure.audience = "AzureADandPersonalMicrosoftAccount"
    issuer.issue(stored, MARK)
    assert error_of(issuer.issue, stored, MARK).code == "limit" and len(azure.keys) == 2


@pytest.mark.parametrize("policy", ["CredentialTypeNotAllowed", "CredentialInvalidLifetime"])
def test_a_policy_of_azure(azure, policy):
    stored = azure.create_key()
    azure.policy = f"{policy}AsPerAppPolicy"
    error = error_of(issuer_of(azure).issue, stored, MARK)
    assert error.code == "invalid" and "passwordLifetime" in error.message


def test_only_an_owner_adds_azure_secrets(azure):
    stored = azure.create_key()
    stranger = issuer_of(azure, **azure.administrator(fake_azure.STRANGER))
    assert error_of(stranger.issue, stored, MARK).code == "forbidden"
    assert error_of(stranger.delete, next(iter(azure.keys)), stored).code == "forbidden"


def test_an_azure_application_that_does_not_exist(azure):
    """It has no secrets, so an empty list would be taken for an answer."""
    stored = {**azure.create_key(), "clientId": "40000000-bbbb-4bbb-8bbb-000000000000"}
    error = error_of(issuer_of(azure, **azure.administrator()).keys, stored)
    assert error.code == "invalid" and "no application with the clientId" in error.message


def test_options_of_azure(azure):
    stored = {**azure.create_key(), "tenantId": ""}
    assert error_of(issuer_of(azure).keys, stored).code == "invalid"
    issuer = issuer_of(azure, tenant_id=fake_azure.TENANT, expiration="7d")
    issued = issuer.issue(stored, MARK)
    left = issued.expires_at - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(days=6.9) < left <= datetime.timedelta(days=7)
    assert azure.keys[issued.key_id].expires_at == issued.expires_at
    for option in ({"expiration": "1s"}, {"expiration": 3}, {"propagation": "x"}):
        assert error_of(lambda option=option: issuer_of(azure, **option)).code == "invalid"
    azure.seen.clear()
    for field, value in (("clientId", "a'b"), ("environment", "AzureMoonCloud"), ("tenantId", "../x")):
        assert error_of(issuer.keys, {**stored, field: value}).code == "invalid" and not azure.seen


@pytest.mark.parametrize(("environment", "login", "graph", "manager"), [
    ("AzureUSGovernmentCloud", "login.microsoftonline.us", "graph.microsoft.us", "management.usgovcloudapi.net"),
    ("AzureChinaCloud", "login.partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn",
     "management.chinacloudapi.cn"),
    ("", "login.microsoftonline.com", "graph.microsoft.com", "management.azure.com"),
])
def test_the_hosts_of_an_azure_environment(azure, monkeypatch, environment, login, graph, manager):
    servers = intercept(azure, monkeypatch)
    stored = {**azure.create_key(), "environment": environment}
    options = {"ca_bundle": str(azure.ca_bundle)}
    load_issuer("azure", options).keys(stored)
    assert servers == {f"https://{login}", f"https://{graph}"}
    verify_key("azure", stored, options, CallRates(1000))
    assert servers == {f"https://{host}" for host in (login, graph, manager)}


def test_a_new_linode_token_has_the_current_scopes(linode):
    stored = linode.create_key(scopes="linodes:read_write")
    assert error_of(issuer_of(linode).issue, stored, MARK).code == "forbidden", "it may not create tokens"
    given = linode.administrator()
    issued = issuer_of(linode, **given).issue(stored, MARK)
    assert linode.keys[issued.key_id].more["scopes"] == "linodes:read_write", "not those of the other token"
    issued = issuer_of(linode, **given, scopes="linodes:read_only", expiration="1d").issue(stored, MARK)
    assert linode.keys[issued.key_id].more["scopes"] == "linodes:read_only"
    left = issued.expires_at - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(hours=23) < left <= datetime.timedelta(days=1)
    assert linode.keys[issued.key_id].expires_at == issued.expires_at
    more = issuer_of(linode, scopes="linodes:read_write volumes:read_write")
    assert error_of(more.issue, linode.create_key(), MARK).code == "invalid"


def test_a_linode_token_without_scopes(linode):
    stored = linode.create_key()
    linode.override = lambda seen: (200, {}, json.dumps({"data": [
        {"id": 1, "token": stored["token"][:16], "scopes": None}
    ]}).encode())
    error = error_of(issuer_of(linode).issue, stored, MARK)
    assert error.code == "invalid" and "Set scopes" in error.message, "it would have all scopes of the signer"


@pytest.mark.parametrize("content", [b'{"token": "x"}', b'{"id": 1}'])
def test_a_new_linode_token_that_is_incomplete(linode, content):
    stored = linode.create_key()
    incomplete = (200, {"Content-Type": "application/json"}, content)
    linode.override = lambda seen: linode.handle(seen) if seen.method == "GET" else incomplete
    assert error_of(issuer_of(linode).issue, stored, MARK).code == "unreachable"


def test_a_linode_token_of_another_user(linode):
    stored = linode.create_key()
    other = linode.create_key(linode.colleague)
    issuer = issuer_of(linode, sign_in="given", **other)
    assert issuer.identify(stored, stored) is None
    error = error_of(issuer.issue, stored, MARK)
    assert error.code == "invalid" and "same user" in error.message
    assert error_of(issuer.delete, next(iter(linode.keys)), stored).code == "invalid" and len(linode.keys) == 2


def test_linode_lists_pages(linode):
    stored = linode.create_key()
    first = next(iter(linode.keys))
    for _number in range(4):
        linode.create_key()
    linode.page_size = 2
    assert {key.id for key in issuer_of(linode).keys(stored)} == set(linode.keys)
    assert issuer_of(linode).identify(stored, stored) == first
    assert issuer_of(linode).identify({"token": stored["token"][:10]}, stored) is None
    linode.keys["1"] = replace(linode.keys[first], id="1", secret=f"{stored['token'][:15]}-")
    assert issuer_of(linode).identify(stored, stored) == first
    linode.keys["1"].secret = f"{stored['token'][:16]}-"
    assert issuer_of(linode).identify(stored, stored) is None


def test_a_secret_of_azure_is_rotated_and_no_output_shows_it(cluster, azure, tmp_path):
    """Issue, cutover and removal, for a credential whose key id no rotation has recorded."""
    stored, administrator = azure.create_key(), azure.administrator()
    first = next(iter(azure.keys))
    identifier = f"cc-{secrets.token_hex(4)}"
    cluster.secret(identifier, "azure", stored, "azure")
    canaries = Canaries(first=stored["clientSecret"], administrator=administrator.pop("client_secret"))
    options = {name: value for name, value in administrator.items() if name != "client_id"}
    task = {
        "id": identifier, "namespace": f"rotation-{identifier}", "drain": "1s", "verify_timeout": "5s",
        "issuer_options": {**azure.options, **options},
        "issuer_secrets": {"client_id": administrator["client_id"], "client_secret": "{{ canary.administrator }}"},
    }
    values = {**task, "rotation_id": "first", "secrets": {"clientSecret": "{{ canary.new }}"}}
    run = Run(cluster, tmp_path, canaries)
    played = run.play(
        {ROTATION: values}, {ROTATION: {**task, "rotation_id": "first"}}, {ROTATION: {**task, "rotation_id": "first"}},
        {ROTATION: {**task, "state": "retired", "grace": "0s"}},
    )
    refused, rotated, again, retired = played.results
    assert refused["code"] == "invalid" and "require issuer: supplied" in refused["msg"], refused
    assert rotated["rotation"]["phase"] == "grace" and not again["changed"], rotated
    assert retired["rotation"]["phase"] == "idle", retired
    new = next(key for key in azure.keys.values() if key.owner == fake_azure.RANCHER)
    assert first not in azure.keys and new.mark.startswith("ranchhand-")
    assert decoded(cluster.stored(identifier))["azurecredentialConfig-clientSecret"] == new.secret
    canaries.values["issued"] = new.secret
    canaries.assert_hidden(played.output + json.dumps(played.results), "output")
    canaries.assert_hidden((tmp_path / "ansible.log").read_text(), "the log")
