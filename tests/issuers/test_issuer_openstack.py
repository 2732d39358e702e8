# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords of OpenStack users, at a real Keystone."""

from __future__ import annotations

import socket
import ssl
import string
import sys
import time

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.openstack import SYMBOLS, OpenStack
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import CALL_TIMEOUT, IssuerError

from control_plane import Authority
from support.fakes import FaultInjector, reply
from support.providers.keystone import Keystone

LONG = "long enough for the rules of a strict Keystone"
# Of a user who has to show more than a password.
RECEIPT = (
    b'{"receipt": {"methods": ["password"], "expires_at": "2026-11-24T00:00:00.000000Z"}, '
    b'"required_auth_methods": [["password", "totp"]]}'
)
ADMIN = {"admin_username": "a", "admin_password": "secret-x"}


@pytest.fixture(scope="module")
def strict():
    """One that locks users out, and has rules for passwords."""
    with Keystone(
        "[security_compliance]\nlockout_failure_attempts = 3\nlockout_duration = 1000\npassword_regex = ^.{40,}$\n"
        "password_regex_description = forty characters\n"
    ) as running:
        yield running


def issuer_of(keystone, username, **options):
    return OpenStack({"auth_url": keystone.url, "username": username, **options})


def refused(call, *arguments):
    with pytest.raises(IssuerError) as caught:
        call(*arguments)
    return caught.value


def rotate(issuer, old):
    new = issuer.issue(old, "mark").values
    assert refused(issuer.verify, new, old).code == "refused"
    issuer.activate(new, old)
    issuer.verify(new, old)
    assert refused(issuer.verify, old, new).code == "refused"
    return new


def test_users_change_their_own_passwords(keystone):
    old = {"password": keystone.create_user("alice")}
    issuer = issuer_of(keystone, "alice")
    issuer.verify(old, old)
    assert issuer.key_id(old) == "password of alice"
    new = rotate(issuer, old)
    assert (
        set(new) == {"password"}
        and keystone.works("alice", new["password"])
        and not keystone.works("alice", old["password"])
    )
    issuer.activate(old, new)
    assert keystone.works("alice", old["password"])
    by_id = OpenStack({"auth_url": keystone.url.removesuffix("/v3") + "/", "user_id": keystone.user_id("alice")})
    rotate(by_id, old)


def test_an_administrator_sets_passwords(keystone):
    keystone.create_user("bob")
    unknown = {"password": "forgotten-long-ago"}
    domain = keystone.request("POST", "/domains", {"domain": {"name": "a&b"}})["domain"]["id"]
    keystone.create_user("bob", domain_id=domain)
    given = {"sign_in": "given", **keystone.admin}
    new = rotate(issuer_of(keystone, "bob", **given), unknown)
    assert keystone.works("bob", new["password"])
    rotate(issuer_of(keystone, "bob", user_domain_name="a&b", **given), unknown)
    rotate(issuer_of(keystone, "bob", user_domain_id=domain, **given), unknown)
    rotate(OpenStack({"auth_url": keystone.url, "user_id": keystone.user_id("bob"), **given}), unknown)
    rotate(issuer_of(keystone, "bob", **{**given, "admin_project_name": None}), unknown)
    error = refused(issuer_of(keystone, "bobby", **given).activate, new, unknown)
    assert error.code == "invalid" and "user bobby does not exist" in error.message


def test_a_password_for_a_project(keystone):
    """It has to be good for the project if one is named."""
    old = {"password": keystone.create_user("carol")}
    scoped = issuer_of(keystone, "carol", project_name="admin")
    assert refused(scoped.verify, old, old).code == "refused"
    keystone.assign("carol", "member", "admin")
    scoped.verify(old, old)
    rotate(scoped, old)
    error = refused(
        issuer_of(keystone, "alice", sign_in="given", admin_username="carol", admin_password=old["password"]).activate,
        old,
        old,
    )
    assert error.code == "refused" and "administrator carol" in error.message


def test_what_keystone_refuses(keystone):
    password = keystone.create_user("dave")
    issuer = issuer_of(keystone, "dave")
    new = issuer.issue({"password": password}, "mark").values
    wrong = {"password": "secret-x"}
    helpless = issuer_of(
        keystone, "alice", sign_in="given", admin_username="dave", admin_password=password, admin_project_name="admin"
    )
    by_id = OpenStack({"auth_url": keystone.url, "user_id": keystone.user_id("dave")})
    errors = [
        refused(issuer.activate, new, wrong), refused(by_id.activate, new, wrong), refused(issuer.verify, wrong, wrong),
        refused(helpless.activate, new, wrong), refused(issuer_of(keystone, "nobody").verify, wrong, wrong),
    ]
    for error in errors:
        assert error.code == "refused" and "wrong or expired" in error.message
        quiet(error, password, new["password"], "secret-x")
    assert keystone.works("dave", password)
    lost = refused(OpenStack({"auth_url": keystone.url + "/elsewhere", "username": "dave"}).verify, wrong, wrong)
    assert lost.code == "invalid" and "auth_url" in lost.message


def quiet(error, *secrets):
    assert not [item for item in secrets if item in error.message or item in repr(error)], error


def test_a_project_member_is_no_administrator(keystone):
    password = keystone.create_user("erin")
    keystone.assign("erin", "member", "admin")
    issuer = OpenStack({"auth_url": keystone.url, "user_id": keystone.user_id("admin"), "sign_in": "given",
                        "admin_username": "erin", "admin_password": password, "admin_project_name": "admin"})
    error = refused(issuer.activate, {"password": "secret-x"}, {"password": "secret-y"})
    assert error.code == "forbidden" and "403" in error.message
    quiet(error, password, "secret-x", "secret-y")


def test_rules_for_passwords(strict):
    password = strict.create_user("frank", LONG)
    issuer = issuer_of(strict, "frank")
    short = issuer.issue({"password": password}, "mark").values
    error = refused(issuer.activate, short, {"password": password})
    assert error.code == "invalid" and "password_length" in error.message
    quiet(error, password, short["password"])
    assert strict.works("frank", password)
    rotate(issuer_of(strict, "frank", password_length=48), {"password": password})


def test_a_call_makes_a_single_attempt(strict):
    """Three lock a user out."""
    password = strict.create_user("grace", LONG)
    issuer = issuer_of(strict, "grace")
    wrong = {"password": "secret-x"}
    refused(issuer.verify, wrong, wrong)
    refused(issuer.activate, wrong, wrong)
    assert strict.works("grace", password)


def test_new_passwords():
    issuer = OpenStack({"auth_url": "http://a", "username": "b", "password_length": "20"})
    made = [issuer.issue({}, "mark").values["password"] for _number in range(200)]
    assert len(set(made)) == 200 and {len(item) for item in made} == {20}
    for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits, SYMBOLS):
        assert all(set(kind) & set(item) for item in made)
    assert set("".join(made)) <= set(string.ascii_letters + string.digits + SYMBOLS) and not [
        item for item in made if item[0] in SYMBOLS
    ]
    assert len(OpenStack({"auth_url": "http://a", "username": "b"}).issue({}, "mark").values["password"]) == 32


@pytest.mark.parametrize(
    "options, words",
    [
        pytest.param(
            {"user_name": "b"},
            "unknown option user_name; allowed are auth_url, user_id, username",
            id="unknown option",
        ),
        pytest.param({"username": None}, "are required", id="no user"),
        pytest.param({"auth_url": "https://b:secret-x@a"}, "must not contain credentials", id="credentials in the URL"),
        pytest.param({"sign_in": "twice"}, "rotating or given", id="unknown sign_in"),
        pytest.param({"sign_in": "given"}, "require each other", id="sign_in given without an administrator"),
        pytest.param(ADMIN, "require each other", id="administrator without sign_in given"),
        pytest.param(
            {"sign_in": "given", "admin_password": "secret-x"},
            "admin_username or admin_user_id",
            id="password without an administrator",
        ),
        pytest.param({"password_length": 8}, "from 12 to 72", id="short password"),
        pytest.param({"password_length": "long"}, "from 12 to 72", id="password length is no number"),
    ],
)
def test_options_that_make_no_sense(options, words):
    error = refused(OpenStack, {"auth_url": "http://a", "username": "b", **options})
    assert error.code == "invalid" and words in error.message
    quiet(error, "secret-x")


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "keystoneauth1", None)
    error = refused(OpenStack({"auth_url": "http://a", "username": "b"}).verify, {"password": "c"}, {"password": "c"})
    assert error.code == "unsupported" and "keystoneauth1 is required on the controller" in error.message


def test_a_service_that_answers_otherwise():
    values = {"password": "secret-x"}
    with FaultInjector() as proxy:
        issuer = OpenStack({"auth_url": proxy.url, "username": "b"})
        for answer, code in (
            (reply(503, "{body}"), "unreachable"),
            (reply(429, "{body}"), "busy"),
            (None, "invalid"),
            (lambda seen: (200, {}, b"<html>"), "unreachable"),
            (lambda seen: (201, {}, b'{"token": {}}'), "unreachable"),
            (reply(401, "{body}"), "refused"),
            (lambda seen: (401, {"Openstack-Auth-Receipt": "r"}, RECEIPT), "unsupported"),
            (lambda seen: (302, {"Location": f"{proxy.url}/elsewhere"}, b""), "unreachable"),
            (lambda seen: None, "unreachable"),
        ):
            if answer:
                proxy.rule("POST", answer)
            before = len(proxy.seen)
            error = refused(issuer.verify, values, values)
            assert error.code == code, error.message
            assert len(proxy.seen) == before + 1, "tried again, or somewhere else"
            quiet(error, "secret-x")
    assert refused(issuer.verify, values, values).code == "unreachable"


def test_certificates(tmp_path, keystone):
    authority = Authority()
    certificate, key = authority.server(addresses=["127.0.0.1"], names=["localhost"])
    for name, content in (("ca", authority.pem), ("crt", certificate), ("key", key)):
        (tmp_path / name).write_bytes(content)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    values = {"password": keystone.create_user("heidi")}
    ways = {
        "unreachable": {},
        "invalid": {"ca_cert": str(tmp_path / "gone")},
        "trusted": {"ca_cert": str(tmp_path / "ca")},
        "any": {"validate_certs": False},
    }
    with FaultInjector(tls=context) as proxy:
        for way, options in ways.items():
            error = refused(OpenStack({"auth_url": proxy.url, "username": "heidi", **options}).verify, values, values)
            if way in ("trusted", "any"):
                assert "HTTP status 404" in error.message
            else:
                assert error.code == way and "cert" in error.message and not proxy.seen


@pytest.mark.slow
def test_a_service_that_never_answers():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        issuer = OpenStack({"auth_url": f"http://127.0.0.1:{listener.getsockname()[1]}", "username": "b"})
        started = time.monotonic()
        error = refused(issuer.activate, {"password": "secret-x"}, {"password": "secret-y"})
    assert error.code == "unreachable" and time.monotonic() - started < CALL_TIMEOUT
