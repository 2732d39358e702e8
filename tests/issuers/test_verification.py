# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in with a key at fake providers, and what the HTTP helper refuses, over TLS on loopback."""

from __future__ import annotations

import datetime
import json
import secrets
import socket
import threading
import time
from dataclasses import dataclass, field

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import http
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.registry import load_issuer
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.throttle import CallRates
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.verification import VERIFIERS, verify_key
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError

from support.canaries import Canaries, Run
from support.cluster import INFO, MODULE, SECRETS, decoded
from support.fakes import cut
from support.providers.fake_azure import ROTATOR, TENANT, FakeAzure
from support.providers.fake_google import FakeGoogle
from support.providers.fake_linode import FakeLinode
from support.providers.fake_provider import intercept
from support.providers.fake_providers import ACTIVE, DELETED, DISABLED, LOCKED_AFTER, POWERLESS, FakeProviders
from support.providers.fake_pve import FakePve
from support.rotations import ROTATION
from support.service_accounts import stored, token_of

CANARY = "canary-of-a-key-that-no-message-shows"
GOOGLE_FIELD = "authEncodedJson"


@pytest.fixture
def fake(tmp_path):
    with FakeProviders(tmp_path) as running:
        running.tokens["good"] = ACTIVE
        running.tokens["weak"] = POWERLESS
        running.tokens["off"] = DISABLED
        running.tokens["gone"] = DELETED
        running.accounts["rancher@vsphere.local"] = "good:pass wörd"
        yield running


def code_of(fake, driver, values, **options):
    """Return "ok", or the code of the error, whose message must not contain the values."""
    given = {name: value for name, value in fake.options.items() if name in VERIFIERS[driver].options}
    try:
        verify_key(driver, values, {**given, **options}, CallRates(1000))
    except IssuerError as error:
        hidden = [
            value for name, value in values.items() if name != "tenantId" and len(value) > 8 and value in error.message
        ]
        assert not hidden and "\n" not in error.message, error.message
        return error.code
    return "ok"


TOKEN_FIELDS = {"digitalocean": "accessToken", "hetzner": "apiToken"}


@pytest.mark.parametrize("driver", TOKEN_FIELDS)
def test_tokens(fake, driver):
    name = TOKEN_FIELDS[driver]
    found = {token: code_of(fake, driver, {name: token}) for token in ("good", "weak", "off", "gone", CANARY)}
    assert found == {"good": "ok", "weak": "forbidden", "off": "refused", "gone": "refused", CANARY: "refused"}
    assert code_of(fake, driver, {"other": "x"}) == "invalid"
    assert code_of(fake, driver, {name: f"{CANARY}\n{CANARY}"}) == "invalid", "it cannot be a header"
    assert code_of(fake, driver, {name: f"{CANARY}é€"}) == "invalid"


def test_a_token_of_linode_without_a_scope(tmp_path):
    with FakeLinode(tmp_path) as linode:
        assert code_of(linode, "linode", linode.create_key(scopes="volumes:read_write")) == "forbidden"


def test_a_token_of_proxmox(tmp_path):
    with FakePve(tmp_path) as pve:
        values, options = pve.create_key(), {"endpoint_url": None, "ca_bundle": None}
        assert code_of(pve, "pve", values, **options) == "unreachable", "the certificate is not trusted"
        insecure = {**values, "insecureTls": "true"}
        assert code_of(pve, "pve", insecure, **options) == "ok", "as the credential asks for"
        assert code_of(pve, "pve", insecure, **options, validate_certs=True) == "unreachable", "the option decides"
        assert code_of(pve, "pve", values, **options, validate_certs=False) == "ok"
        unverified = load_issuer("pve", {"validate_certs": False})
        assert len(unverified.keys(values)) == 1


@dataclass(frozen=True)
class AzureCase:
    expected: str
    values: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)


AZURE_CASES = {
    "without subscription": AzureCase("ok", {"subscriptionId": ""}),
    "another tenant": AzureCase("invalid", {"tenantId": "tenant-2"}),
    "unknown application": AzureCase("invalid", {"clientId": "other"}),
    "another application": AzureCase("refused", {"clientId": ROTATOR}),
    "another subscription": AzureCase("forbidden", {"subscriptionId": "other"}),
    "deleted subscription": AzureCase("forbidden", {"subscriptionId": "deleted"}),
    "no tenant": AzureCase("invalid", {"tenantId": ""}),
    "tenant as option": AzureCase("ok", {"tenantId": ""}, {"tenant_id": TENANT}),
    "a tenant that is a path": AzureCase("invalid", {"tenantId": "../x"}),
    "unknown environment": AzureCase("invalid", {"environment": "AzureMoonCloud"}),
}


@pytest.mark.parametrize("case", AZURE_CASES.values(), ids=AZURE_CASES)
def test_client_secrets_of_azure(tmp_path, case):
    with FakeAzure(tmp_path) as azure:
        assert code_of(azure, "azure", {**azure.create_key(), **case.values}, **case.options) == case.expected


def test_keys_of_google_that_are_not_their_own(tmp_path):
    with FakeGoogle(tmp_path) as google:
        key = json.loads(google.create_key()[GOOGLE_FIELD])
        for part in ({"private_key_id": "0"}, {"client_email": "someone@else"}):
            assert code_of(google, "google", {GOOGLE_FIELD: json.dumps({**key, **part})}) == "refused", part
        assert {request.path for request in google.seen} == {"/token"}, "token_uri of the key is not used"
        for text in ("", "{}", "[]", "x" * 100, json.dumps({**key, "private_key": CANARY}), "[" * 100000):
            assert code_of(google, "google", {GOOGLE_FIELD: text}) == "invalid"


def test_a_password_of_vsphere_is_tried_once(fake):
    user = "rancher@vsphere.local"
    values = {"vcenter": "vcenter.invalid", "username": user, "password": "good:pass wörd"}
    assert code_of(fake, "vmwarevsphere", values) == "ok" and not fake.sessions, "the session is ended"
    assert code_of(fake, "vmwarevsphere", {**values, "password": CANARY}) == "refused"
    assert fake.failures[user] == 1 < LOCKED_AFTER
    host, port = fake.url.removeprefix("https://").split(":")
    here = {**values, "vcenter": host, "vcenterPort": port}
    assert code_of(fake, "vmwarevsphere", here, endpoint_url=None) == "ok"
    assert code_of(fake, "vmwarevsphere", here, endpoint_url=None, ca_bundle=None, validate_certs=False) == "ok"


def test_a_password_of_nutanix(fake):
    values = {"endpoint": "prism.invalid", "username": "rancher@vsphere.local", "password": "good:pass wörd"}
    assert code_of(fake, "nutanix", values) == "ok"
    assert code_of(fake, "nutanix", {**values, "password": CANARY}) == "refused"


@pytest.mark.parametrize(("driver", "values", "server"), [
    ("digitalocean", {"accessToken": "good"}, "api.digitalocean.com"),
    ("hetzner", {"apiToken": "good"}, "api.hetzner.cloud"),
    ("nutanix", {"endpoint": "prism.invalid", "username": "rancher@vsphere.local", "password": "good:pass wörd"},
     "prism.invalid:9440"),
    ("nutanix", {"endpoint": "prism.invalid", "port": "443", "username": "rancher@vsphere.local",
                 "password": "good:pass wörd"}, "prism.invalid:443"),
    ("vmwarevsphere", {"vcenter": "vcenter.invalid", "username": "rancher@vsphere.local",
                       "password": "good:pass wörd"}, "vcenter.invalid:443"),
])
def test_where_requests_are_sent(fake, monkeypatch, driver, values, server):
    servers = intercept(fake, monkeypatch)
    assert code_of(fake, driver, values, endpoint_url=None) == "ok"
    assert servers == {f"https://{server}"}


@pytest.mark.parametrize(("status", "content", "code"), [
    (404, b"{}", "unsupported"), (200, b"{}", "unreachable"), (403, b"{}", "forbidden"),
])
def test_answers_of_another_vcenter(fake, status, content, code):
    fake.override = lambda seen: (status, {}, content)
    values = {"vcenter": "vcenter.invalid", "username": "rancher@vsphere.local", "password": "x"}
    assert code_of(fake, "vmwarevsphere", values) == code


def test_a_session_of_vcenter_that_is_not_ended(fake):
    """The password is verified, and the session ends by itself."""
    fake.override = lambda seen: None if seen.method == "DELETE" else (201, {}, b'"session"')
    values = {"vcenter": "vcenter.invalid", "username": "rancher@vsphere.local", "password": "x"}
    assert code_of(fake, "vmwarevsphere", values) == "ok" and len(fake.seen) == 2


@dataclass(frozen=True)
class Answer:
    status: int
    expected: str
    content: bytes = b"{}"
    headers: dict = field(default_factory=dict)


ANSWERS = {
    "unauthorized": Answer(401, "refused", CANARY.encode()),
    "forbidden": Answer(403, "forbidden", CANARY.encode()),
    "not found": Answer(404, "invalid", CANARY.encode()),
    "too many requests": Answer(429, "busy"),
    "server error": Answer(503, "unreachable", CANARY.encode()),
    "redirect": Answer(302, "invalid", headers={"Location": "https://127.0.0.1:1/"}),
    "a portal": Answer(200, "unreachable", b"<html>Sign in</html>"),
    "a list": Answer(200, "unreachable", b"[]"),
    "nested": Answer(200, "unreachable", b"[" * 100000),
    "too large": Answer(200, "unreachable", b"{" + b" " * http.LARGEST_ANSWER + b'"servers": []}'),
    "as large as possible": Answer(200, "ok", b'{"servers":' + b" " * (http.LARGEST_ANSWER - 14) + b"[]}"),
    "an odd success": Answer(299, "ok", b'{"servers": []}'),
    "another redirect": Answer(399, "invalid", b'{"servers": []}'),
    "not a redirect": Answer(400, "invalid", b'{"servers": []}'),
    "another server error": Answer(500, "unreachable"),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_answers(fake, answer):
    fake.override = lambda seen: (answer.status, answer.headers, answer.content)
    assert code_of(fake, "hetzner", {"apiToken": CANARY}) == answer.expected
    assert len(fake.seen) == 1, "a request is never repeated, and no redirect is followed"


def test_no_answer(fake):
    fake.override = cut
    assert code_of(fake, "hetzner", {"apiToken": CANARY}) == "unreachable"
    assert code_of(fake, "hetzner", {"apiToken": CANARY}, ca_bundle=None) == "unreachable", "unknown certificate"
    assert code_of(fake, "hetzner", {"apiToken": CANARY}, ca_bundle="/nonexistent") == "invalid"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_loopback_needs_no_tls(fake, host):
    assert code_of(fake, "hetzner", {"apiToken": CANARY}, endpoint_url=f"http://{host}:9") == "unreachable"


@pytest.mark.parametrize(("seconds", "words"), [
    (300, ""), (-300, ""), (301, "5 minutes fast"), (-301, "5 minutes slow"), (900, "15 minutes fast"),
])
def test_a_clock_that_is_wrong(monkeypatch, seconds, words):
    at = datetime.datetime(2026, 11, 26, 19, 0, tzinfo=datetime.timezone.utc)
    monkeypatch.setattr(http, "now", lambda: at + datetime.timedelta(seconds=seconds))
    api = http.HttpApi("A provider", "https://a.invalid", {})
    answer = http.Answer(401, None, {"date": "Thu, 26 Nov 2026 19:00:00 GMT"})
    if not words:
        api.require_clock(answer)
        api.require_clock(answer._replace(headers={"date": "no date"}))
        return
    with pytest.raises(IssuerError, match=words) as caught:
        api.require_clock(answer)
    assert caught.value.code == "invalid"


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://api.example.com", id="without TLS"),
        pytest.param("https://user@api.example.com", id="with a user"),
        pytest.param("https://api.example.com/?x=1", id="with a query"),
        pytest.param("file:///etc/passwd", id="no host"),
        pytest.param("https://[::1", id="malformed"),
        pytest.param("https://api.example.com:port", id="malformed port"),
        pytest.param("x", id="no URL"),
    ],
)
def test_urls_that_are_rejected(fake, url):
    assert code_of(fake, "hetzner", {"apiToken": CANARY}, endpoint_url=url) == "invalid"


def test_slow_headers_do_not_exceed_the_deadline(fake, monkeypatch):
    """Each byte is within the time limit of a read, so that only the deadline ends the request."""
    monkeypatch.setattr(http, "CALL_TIMEOUT", 2.0)
    ended = threading.Event()

    def drip(server):
        connection, _address = server.accept()
        with connection:
            while not ended.wait(0.1):
                connection.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        started = time.monotonic()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        try:
            assert code_of(fake, "hetzner", {"apiToken": CANARY}, endpoint_url=url) == "unreachable"
            assert time.monotonic() - started < 2
        finally:
            ended.set()


def test_passwords_of_netrc_are_not_used(fake, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert code_of(fake, "hetzner", {"apiToken": "good"}) == "ok"


def test_only_verified_keys_are_stored(cluster, aws, keystone, harvester, fake, tmp_path):
    """Keys of real providers and of fakes in one call: what is refused is not written, and no output shows a secret."""
    user = f"user-{secrets.token_hex(4)}"
    key = aws.create_user(f"user-{secrets.token_hex(4)}")
    canaries = Canaries(
        password=keystone.create_user(user), aws=key["secretKey"], harvester=token_of(harvester), active="canary" * 3,
        weak="yranac" * 3,
    )
    fake.tokens.update({canaries["active"]: ACTIVE, canaries["weak"]: POWERLESS})
    at_aws, at_keystone = {"endpoint_url": aws.url}, {"auth_url": keystone.url, "username": user}
    items = {
        "aws": ("amazonec2", {**key, "secretKey": "{{ canary.aws }}"}, at_aws, "ok"),
        "aws wrong": ("amazonec2", {**key, "secretKey": "{{ canary.new }}"}, at_aws, "verify_failed"),
        "openstack": ("openstack", {"password": "{{ canary.password }}"}, at_keystone, "ok"),
        "harvester": ("harvester", stored(harvester, "{{ canary.harvester }}"), {}, "ok"),
        "harvester wrong": ("harvester", stored(harvester, "{{ canary.older }}"), {}, "verify_failed"),
        "token": ("digitalocean", {"accessToken": "{{ canary.active }}"}, fake.options, "ok"),
        "token without a right": ("digitalocean", {"accessToken": "{{ canary.weak }}"}, fake.options, "forbidden"),
        "token wrong": ("digitalocean", {"accessToken": "{{ canary.third }}"}, fake.options, "verify_failed"),
        "rackspace": ("rackspace", {"apiKey": "{{ canary.new }}"}, {}, "unsupported"),
    }
    prefix = f"verified {secrets.token_hex(3)} "
    task = {MODULE: {"verify": True, "validate_config": False, "credentials": [
        {"name": prefix + name, "driver": driver, "owner": "alice", "secrets": values, "verify_options": options}
        for name, (driver, values, options, _expected) in items.items()
    ]}}
    environment = {"AWS_EC2_METADATA_DISABLED": "true"}
    run = Run(cluster, tmp_path, canaries)
    predicted, first, second = run.play({**task, "check_mode": True}, task, task, environment=environment).results
    found = {
        item["name"].removeprefix(prefix): item.get("verified") or item["code"] for item in first["credentials"]
    }
    assert found == {name: expected for name, (_driver, _values, _options, expected) in items.items()}, first["msg"]
    assert [item["action"] for item in predicted["credentials"]] == [item["action"] for item in first["credentials"]]
    assert first["code"] == predicted["code"] == "partial" and len(first["warnings"]) == 1
    written = {name for name, code in found.items() if code in ("ok", "forbidden")}
    names = {
        item["metadata"]["annotations"]["field.cattle.io/name"] for item in cluster.api.get(SECRETS)["items"]
    }
    assert {name.removeprefix(prefix) for name in names if name.startswith(prefix)} == written
    again = [item for item in second["credentials"] if item["action"] == "unchanged"]
    assert {item["name"].removeprefix(prefix) for item in again} == written
    sign_ins = [request for request in fake.seen if request.path.startswith("/v2/droplets")]
    assert len(sign_ins) == 3 + 3 + 1, "check mode signs in too, and what is stored is not verified again"

    fake.tokens[canaries["active"]] = DELETED
    info = {"problems": True, "verify": True, "driver": "digitalocean"}
    found = run.play({INFO: {**info, "verify_options_by_driver": {"digitalocean": fake.options}}}).result
    problems = {
        item["name"].removeprefix(prefix): {problem["code"] for problem in item["problems"]} - {"unused"}
        for item in found["credentials"] if item["name"].startswith(prefix)
    }
    assert problems == {"token": {"key_refused"}, "token without a right": {"key_forbidden"}}


def test_a_supplied_value_is_verified_whenever_something_depends_on_it(cluster, fake):
    identifier, namespace = f"cc-{secrets.token_hex(4)}", f"rotation-{secrets.token_hex(4)}"
    cluster.secret(identifier, "digitalocean", {"accessToken": "gone"}, identifier)

    def run(state="rotated", token=None, **options):
        options = {"namespace": namespace, "drain": "1s", "verify_timeout": "2s", **options}
        if token:
            options.update(secrets={"accessToken": "{{ token }}"}, rotation_id="1")
        task = {ROTATION: {"id": identifier, "state": state, **options}}
        return cluster.play(task, variables={"token": token}).result

    def stored_token():
        return decoded(cluster.stored(identifier))["digitaloceancredentialConfig-accessToken"]

    nowhere = {**fake.options, "endpoint_url": "https://127.0.0.1:9"}
    refused = run(token="wrong", issuer_options=fake.options)
    assert refused["code"] == "verify_failed" and stored_token() == "gone", refused
    assert "not possible to return to the old key: the key in" in refused["msg"], "the old token does not work either"
    unreachable = run(token="good", issuer_options=nowhere)
    assert unreachable["code"] == "unreachable" and "set verify: false in issuer_options" in unreachable["msg"]
    assert stored_token() == "gone"

    rotated = run(token="good", issuer_options=fake.options)
    assert rotated["rotation"]["phase"] == "grace" and stored_token() == "good", "the old token does not have to work"
    fake.tokens["good"] = DISABLED
    unproven = run("retired", grace="0s", old_key_removed=True)
    assert unproven["code"] == "unproven" and "state: rolled_back" in unproven["msg"], unproven
    unproven = run("rolled_back")
    assert unproven["code"] == "old_unusable" and stored_token() == "good", "neither token works"
    fake.tokens["good"] = POWERLESS
    retired = run("retired", grace="0s", old_key_removed=True)
    assert retired["rotation"]["phase"] == "idle", retired
