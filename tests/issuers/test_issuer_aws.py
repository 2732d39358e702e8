# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The issuer of AWS keys, at moto's IAM and STS with authentication."""

from __future__ import annotations

import datetime
import json
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import aws as issuer_module
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import aws_requests, http
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.aws import Aws as AwsIssuer
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.aws import account_in
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import CALL_TIMEOUT, IssuerError
from botocore.exceptions import ClientError, NoCredentialsError
from werkzeug.wrappers import Response

from support.providers import aws as aws_provider
from support.providers.aws import ACCOUNT, Aws, before, call_after, call_before, delay, error, lost_reply

TESTS = Path(__file__).resolve().parents[1]
OTHER = "210987654321"


@pytest.fixture(autouse=True)
def _no_aws_of_ours(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    aws_requests._create_client.cache_clear()


@pytest.fixture
def aws(monkeypatch):
    monkeypatch.setattr(aws_requests, "PAUSE", 0.01)
    with Aws() as running:
        yield running


@pytest.fixture
def key(aws):
    return aws.create_user("rancher")


@pytest.fixture(params=["rotating", "default", "profile", "given", "role"])
def issuer(request, aws, tmp_path, monkeypatch):
    """An issuer for each way to sign in; all but the first with an administrator's key or role."""
    if request.param == "rotating":
        return _issuer(aws)
    if request.param == "role":
        return _issuer(aws, **_role(aws))
    admin = aws.create_admin()
    if request.param == "given":
        return _issuer(aws, sign_in="given", access_key=admin["accessKey"], secret_key=admin["secretKey"])
    if request.param == "profile":
        (tmp_path / "credentials").write_text(
            f"[ours]\naws_access_key_id = {admin['accessKey']}\naws_secret_access_key = {admin['secretKey']}\n",
            encoding="utf-8",
        )
        return _issuer(aws, sign_in="default", profile="ours")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", admin["accessKey"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", admin["secretKey"])
    return _issuer(aws, sign_in="default")


def _issuer(aws, **options):
    return AwsIssuer({"endpoint_url": aws.url, **options})


def _role(aws):
    """The options that sign in as an administrator of another account and assume a role of the users' account."""
    admin = aws.create_admin("operator", account=OTHER)
    role = aws.create_role("rotator", trusted=OTHER)
    return {
        "sign_in": "given", "access_key": admin["accessKey"], "secret_key": admin["secretKey"], "role_arn": role,
    }


def _given(aws, admin, **options):
    return _issuer(aws, sign_in="given", access_key=admin["accessKey"], secret_key=admin["secretKey"], **options)


def _refused(code, call, *secrets):
    """The text of the error that a call ends with, which has none of the secrets."""
    with pytest.raises(IssuerError) as caught:
        call()
    assert caught.value.code == code, caught.value.message
    for secret in secrets:
        for text in (caught.value.message, str(caught.value), repr(caught.value), repr(caught.value.__cause__)):
            assert secret not in text
    return caught.value.message


def _actions(aws, name):
    return [item for item in aws.requests if item.action == name]


def test_a_key_is_issued_used_switched_off_and_on_and_deleted(aws, key, issuer):
    aws.create_user("other")
    assert issuer.key_id(key) == key["accessKey"]
    assert [item.id for item in issuer.keys(key)] == [key["accessKey"]]

    new = issuer.issue(key, "mark").values
    assert set(new) == set(issuer.fields)
    assert aws.works(new["accessKey"], new["secretKey"])
    assert aws.keys("rancher") == [(key["accessKey"], "Active"), (new["accessKey"], "Active")]
    issuer.verify(new, key)
    issuer.verify(key, key)
    listed = {item.id: item for item in issuer.keys(key)}
    assert all(item.enabled and item.created_at.tzinfo for item in listed.values())
    assert abs(listed[new["accessKey"]].created_at - datetime.datetime.now(datetime.timezone.utc)) < datetime.timedelta(
        minutes=1
    )

    for _again in range(2):
        issuer.disable(key["accessKey"], new)
        assert not aws.works(key["accessKey"], key["secretKey"])
    assert {item.id: item.enabled for item in issuer.keys(new)} == {key["accessKey"]: False, new["accessKey"]: True}
    for _again in range(2):
        issuer.enable(key["accessKey"], new)
        assert aws.works(key["accessKey"], key["secretKey"])
    issuer.delete(key["accessKey"], new)
    assert aws.keys("rancher") == [(new["accessKey"], "Active")]
    for change in (issuer.disable, issuer.enable, issuer.delete):
        refusal = _refused("invalid", lambda change=change: change(key["accessKey"], new), new["secretKey"])
        assert "does not exist" in refusal
    assert aws.keys("other")[0][1] == "Active"


def test_when_a_key_was_used_is_known(aws, key):
    new = aws.add_key("rancher")
    assert {item.id: item.last_used for item in _issuer(aws).keys(key)}[new["accessKey"]] is None
    assert aws.works(new["accessKey"], new["secretKey"])
    assert {item.id: item.last_used for item in _issuer(aws).keys(key)}[new["accessKey"]].tzinfo


def test_a_third_key_exceeds_the_limit(aws, key, issuer):
    aws.add_key("rancher")
    _refused("limit", lambda: issuer.issue(key, "mark"), key["secretKey"])
    assert len(aws.keys("rancher")) == issuer.limit


def test_a_key_has_to_work_and_be_of_the_same_user(aws, key, issuer):
    new, stranger = aws.add_key("rancher"), aws.create_user("other")
    wrong = {**new, "secretKey": key["secretKey"]}
    assert "SignatureDoesNotMatch" in _refused("refused", lambda: issuer.verify(wrong, key), key["secretKey"])
    assert "another principal" in _refused(
        "invalid", lambda: issuer.verify(stranger, key), stranger["secretKey"], key["secretKey"]
    )
    aws.set_status(new["accessKey"], "Inactive")
    assert new["accessKey"] in _refused("refused", lambda: issuer.verify(new, key), new["secretKey"])
    aws.set_status(new["accessKey"], "Active")
    issuer.verify(new, key)
    aws.delete_key(new["accessKey"])
    assert "InvalidClientTokenId" in _refused("refused", lambda: issuer.verify(new, key), new["secretKey"])


def test_a_new_key_is_verified_if_the_old_key_does_not_work(aws, key):
    new = aws.add_key("rancher")
    aws.set_status(key["accessKey"], "Inactive")
    _issuer(aws).verify(new, key)


def test_a_new_key_is_not_verified_if_the_owner_of_the_old_key_is_unknown(aws, key):
    new = aws.add_key("rancher")
    aws.faults.rule("GetCallerIdentity", lambda perform: perform())
    aws.faults.rule("GetCallerIdentity", before, times=3)
    _refused("unreachable", lambda: _issuer(aws).verify(new, key), new["secretKey"])


def test_a_young_key_is_refused_until_it_is_known(aws, key):
    aws.propagation_delay = 0.5
    issuer = _issuer(aws)
    new = issuer.issue(key, "mark").values
    assert not aws.works(new["accessKey"], new["secretKey"])
    _refused("refused", lambda: issuer.verify(new, key), new["secretKey"])
    time.sleep(0.6)
    issuer.verify(new, key)


def test_a_user_that_is_named_is_not_looked_up(aws, key):
    admin = aws.create_admin()
    issuer = _issuer(
        aws, sign_in="given", access_key=admin["accessKey"], secret_key=admin["secretKey"], user_name="rancher"
    )
    new = issuer.issue(key, "mark").values
    issuer.verify(new, key)
    assert [item.action for item in aws.requests] == ["CreateAccessKey", "GetCallerIdentity", "GetCallerIdentity"]
    assert {item.key for item in _actions(aws, "CreateAccessKey")} == {admin["accessKey"]}


def test_a_user_is_looked_up_once(aws, key):
    admin = aws.create_admin()
    issuer = _issuer(aws, sign_in="given", access_key=admin["accessKey"], secret_key=admin["secretKey"])
    issuer.disable(key["accessKey"], key)
    issuer.enable(key["accessKey"], key)
    assert [item.action for item in aws.requests] == ["GetAccessKeyLastUsed", "UpdateAccessKey", "UpdateAccessKey"]


def test_a_missing_permission_is_named(aws, key):
    aws.set_policy("rancher", "iam:ListAccessKeys")
    assert "iam:CreateAccessKey" in _refused("forbidden", lambda: _issuer(aws).issue(key, "mark"), key["secretKey"])
    assert "iam:GetAccessKeyLastUsed" in _refused("forbidden", lambda: _issuer(aws).keys(key), key["secretKey"])
    aws.set_policy("rancher")
    assert "iam:ListAccessKeys" in _refused("forbidden", lambda: _issuer(aws).keys(key), key["secretKey"])
    assert len(_actions(aws, "CreateAccessKey")) == 1 and len(aws.keys("rancher")) == 1


def test_an_administrator_without_a_permission_is_reported(aws, key):
    weak = _given(aws, aws.create_user("weak"))
    for call in (lambda: weak.keys(key), lambda: weak.issue(key, "mark"), lambda: weak.delete(key["accessKey"], key)):
        message = _refused("forbidden", call, key["secretKey"])
        assert key["accessKey"] in message and "iam:GetAccessKeyLastUsed" in message
    assert aws.keys("rancher") == [(key["accessKey"], "Active")]


def test_the_keys_of_others_are_out_of_reach(aws, key, issuer):
    stranger = aws.create_user("other")
    for call in (issuer.delete, issuer.disable, issuer.enable):
        message = _refused("invalid", lambda call=call: call(stranger["accessKey"], key), key["secretKey"])
        assert stranger["accessKey"] in message and "user_name" in message
    assert aws.keys("other") == [(stranger["accessKey"], "Active")]


@pytest.mark.parametrize("options", [{}, {"user_name": "rancher"}], ids=["user of the key", "same name"])
def test_an_identity_of_another_account_does_nothing(aws, key, options):
    """2.6 of the issue: such options must not report an active key as disabled or deleted."""
    aws.create_user("rancher", account=OTHER)
    issuer = _given(aws, aws.create_admin(account=OTHER), **options)
    for call in (issuer.delete, issuer.disable, issuer.enable):
        message = _refused(
            "invalid" if options else "forbidden", lambda call=call: call(key["accessKey"], key), key["secretKey"]
        )
        assert key["accessKey"] in message
    assert aws.keys("rancher") == [(key["accessKey"], "Active")]
    with pytest.raises(IssuerError) as caught:
        issuer.verify(key, key)
    assert ("another principal: arn:aws:iam::%s:user/rancher" % ACCOUNT in caught.value.message) == bool(options)
    if options:
        assert key["accessKey"] not in {item.id for item in issuer.keys(key)}


def test_keys_of_all_origins_are_listed(aws, key, issuer):
    by_hand = aws.add_key("rancher")
    aws.set_status(by_hand["accessKey"], "Inactive")
    aws.create_user("rancher", account=OTHER)
    aws.create_user("other")
    assert {item.id: item.enabled for item in issuer.keys(key)} == {key["accessKey"]: True, by_hand["accessKey"]: False}


def test_a_key_that_vanishes_while_keys_are_listed_is_not_reported(aws, key):
    new = aws.add_key("rancher")
    aws.faults.rule("GetAccessKeyLastUsed", error("NoSuchEntity", 404))
    assert [item.id for item in _issuer(aws).keys(key)] == [new["accessKey"]]


def test_all_pages_are_read(aws, key):
    second = aws.add_key("rancher")
    page = """<ListAccessKeysResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ListAccessKeysResult><AccessKeyMetadata><member>
    <UserName>rancher</UserName><AccessKeyId>{}</AccessKeyId><Status>Active</Status><CreateDate>2026-01-01T00:00:00Z</CreateDate>
    </member></AccessKeyMetadata><IsTruncated>{}</IsTruncated><Marker>there</Marker></ListAccessKeysResult></ListAccessKeysResponse>"""
    for content in (page.format(key["accessKey"], "true"), page.format(second["accessKey"], "false")):
        aws.faults.rule("ListAccessKeys", lambda perform, content=content: Response(content, content_type="text/xml"))
    assert [item.id for item in _issuer(aws).keys(key)] == [key["accessKey"], second["accessKey"]]
    assert [item.parameters.get("Marker") for item in _actions(aws, "ListAccessKeys")] == [None, "there"]


def test_a_role_is_assumed_once_until_its_session_ends(aws, key, monkeypatch):
    issuer = _issuer(aws, **_role(aws))
    threads = [threading.Thread(target=issuer.keys, args=(key,)) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    issuer.verify(key, key)
    issuer.verify(key, key)
    (assumed,) = _actions(aws, "AssumeRole")
    assert assumed.parameters["RoleSessionName"] == "ranchhand.rancher"
    assert len(_actions(aws, "GetCallerIdentity")) == 2, "the account of a role is in its ARN"
    later = issuer_module.now() + datetime.timedelta(minutes=51)
    monkeypatch.setattr(issuer_module, "now", lambda: later)
    issuer.keys(key)
    assert len(_actions(aws, "AssumeRole")) == 2
    assert {item.key[:4] for item in _actions(aws, "ListAccessKeys")} == {"ASIA"}


def test_a_session_can_sign_in(aws, key, monkeypatch):
    session = _issuer(aws, **_role(aws))._signer(key, time.monotonic() + CALL_TIMEOUT)
    given = {"access_key": session.access_key, "secret_key": session.secret_key}
    _refused("refused", lambda: _issuer(aws, sign_in="given", **given).keys(key), session.secret_key)
    issuers = [_issuer(aws, sign_in="given", session_token=session.token, **given)]
    for name, value in {**given, "session_token": session.token}.items():
        name = {"access_key": "access_key_id", "secret_key": "secret_access_key"}.get(name, name)
        monkeypatch.setenv(f"AWS_{name}".upper(), value)
    issuers.append(_issuer(aws, sign_in="default"))
    assert [[item.id for item in issuer.keys(key)] for issuer in issuers] == [[key["accessKey"]]] * 2


def test_a_role_that_does_not_trust_the_identity_is_refused(aws, key):
    options = {**_role(aws), "role_arn": aws.create_role("distant", trusted="333333333333")}
    issuer = _issuer(aws, **options)
    message = _refused("forbidden", lambda: issuer.delete(key["accessKey"], key), options["secret_key"])
    assert "sts:AssumeRole" in message and options["access_key"] in message
    assert aws.keys("rancher") == [(key["accessKey"], "Active")]


def test_a_user_below_a_path_is_recognized(aws, key):
    aws_provider._iam(ACCOUNT).get_user("rancher").path = "/team/east/"
    issuer = _given(aws, aws.create_admin())
    issuer.verify(aws.add_key("rancher"), key)
    (asked, *_others) = _actions(aws, "GetCallerIdentity")
    assert asked.key != key["accessKey"]


def test_an_account_is_looked_up_once(aws, key):
    issuer = _given(aws, aws.create_admin())
    for _again in range(3):
        issuer.verify(key, key)
    assert len(_actions(aws, "GetCallerIdentity")) == 3 + 1
    assert len(_actions(aws, "GetAccessKeyLastUsed")) == 1


@pytest.mark.parametrize(
    "fault, made",
    [
        pytest.param(before, 0, id="request lost"),
        pytest.param(lost_reply, 1, id="reply lost"),
        pytest.param(error("ServiceFailure", 500), 0, id="error 500"),
        pytest.param(error("ServiceUnavailable", 503), 0, id="error 503"),
        pytest.param(error("Unknown", 502), 0, id="error 502"),
        pytest.param(error("RequestTimeout", 400), 0, id="timeout"),
    ],
)
def test_a_key_is_never_asked_for_twice(aws, key, fault, made):
    aws.faults.rule("CreateAccessKey", fault)
    _refused("unreachable", lambda: _issuer(aws).issue(key, "mark"), key["secretKey"])
    assert len(_actions(aws, "CreateAccessKey")) == 1
    assert len(aws.keys("rancher")) == 1 + made


THROTTLED = [
    pytest.param(error("Throttling"), id="Throttling"),
    pytest.param(error("ThrottlingException"), id="ThrottlingException"),
    pytest.param(error("TooManyRequestsException"), id="TooManyRequestsException"),
    pytest.param(error("RequestLimitExceeded", 503), id="RequestLimitExceeded"),
    pytest.param(error("SlowDown", 503), id="SlowDown"),
    pytest.param(error("Unknown", 429), id="status 429"),
]


@pytest.mark.parametrize("fault", THROTTLED)
def test_a_throttled_request_is_repeated(aws, key, fault):
    aws.faults.rule("CreateAccessKey|ListAccessKeys|DeleteAccessKey", fault, times=5)
    issuer = _issuer(aws)
    new = issuer.issue(key, "mark").values
    assert len(_actions(aws, "CreateAccessKey")) == 6
    assert {item.id for item in issuer.keys(key)} == {key["accessKey"], new["accessKey"]}
    aws.faults.rule("DeleteAccessKey|ListAccessKeys", fault, times=4)
    issuer.delete(key["accessKey"], new)
    assert aws.keys("rancher") == [(new["accessKey"], "Active")]


def test_a_request_that_is_throttled_for_too_long_was_not_performed(aws, key, monkeypatch):
    last = aws_requests.CONNECT_TIMEOUT + aws_requests.READ_TIMEOUT
    _issuer(aws).keys(key)  # loads the SDK
    monkeypatch.setattr(issuer_module, "CALL_TIMEOUT", last + 1)
    aws.faults.rule("CreateAccessKey|ListAccessKeys", error("Throttling"), times=1000)
    for call in (lambda by: _issuer(aws).issue(by, "mark"), _issuer(aws).keys):
        begun = time.monotonic()
        message = _refused("busy", lambda call=call: call(key), key["secretKey"])
        assert "did not perform iam:" in message and "Throttling" in message
        assert time.monotonic() - begun < last
    assert len(_actions(aws, "CreateAccessKey")) > 1 and len(aws.keys("rancher")) == 1


def test_a_repeated_write_whose_reply_is_lost_may_have_been_performed(aws, key):
    aws.faults.rule("CreateAccessKey", error("Throttling"))
    aws.faults.rule("CreateAccessKey", lost_reply)
    _refused("unreachable", lambda: _issuer(aws).issue(key, "mark"), key["secretKey"])
    assert len(_actions(aws, "CreateAccessKey")) == 2 and len(aws.keys("rancher")) == 2


def test_other_writes_are_not_repeated_either(aws, key):
    aws.faults.rule("UpdateAccessKey|DeleteAccessKey", before, times=2)
    for call in (_issuer(aws).disable, _issuer(aws).delete):
        _refused("unreachable", lambda call=call: call(key["accessKey"], key), key["secretKey"])
    assert len(_actions(aws, "UpdateAccessKey")) == len(_actions(aws, "DeleteAccessKey")) == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(before, id="request lost"),
        pytest.param(lost_reply, id="reply lost"),
        pytest.param(error("ServiceUnavailable", 503), id="error 503"),
    ],
)
def test_reads_are_repeated_twice(aws, key, fault):
    aws.faults.rule("ListAccessKeys", fault, times=2)
    assert [item.id for item in _issuer(aws).keys(key)] == [key["accessKey"]]
    aws.faults.rule("GetCallerIdentity", fault, times=3)
    _refused("unreachable", lambda: _issuer(aws).verify(key, key), key["secretKey"])
    assert len(_actions(aws, "GetCallerIdentity")) == 3


REFUSALS = {
    "AccessDenied": ("forbidden", 403),
    "AccessDeniedException": ("forbidden", 400),
    "LimitExceeded": ("limit", 409),
    "NoSuchEntity": ("invalid", 404),
    "MalformedInput": ("invalid", 400),
    "Not a code": ("invalid", 400),
    "InvalidClientTokenId": ("refused", 403),
    "ExpiredToken": ("refused", 400),
    "SignatureDoesNotMatch": ("refused", 403),
    "Unknown": ("refused", 403),
    "Unauthorized": ("refused", 401),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_definite_refusal_is_not_repeated(aws, key, code):
    expected, status = REFUSALS[code]
    aws.faults.rule("CreateAccessKey|ListAccessKeys", error(code, status), times=2)
    for call in (lambda by: _issuer(aws).issue(by, "mark"), _issuer(aws).keys):
        message = _refused(expected, lambda call=call: call(key), key["secretKey"])
        assert "from the test" not in message
        assert "Not a code" not in message
    assert [item.action for item in aws.requests] == ["CreateAccessKey", "ListAccessKeys"]
    assert aws.keys("rancher") == [(key["accessKey"], "Active")]


# Codes whose meaning the status does not show, as AWS' references of common errors list them.
CODES = {
    "busy": ("RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "SlowDown", "TooManyRequests",
             "TooManyRequestsException", "Throttling", "ThrottlingException", "ThrottledException"),
    "unreachable": ("RequestTimeout", "ServiceFailure", "ServiceUnavailable"),
    "refused": ("AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidAccessKeyId",
                "InvalidClientTokenId", "InvalidToken", "MissingAuthenticationToken", "OptInRequired", "RequestExpired",
                "RequestTimeTooSkewed", "SignatureDoesNotMatch", "UnrecognizedClientException"),
    "limit": ("LimitExceeded", "LimitExceededException"), "forbidden": ("AccessDenied", "AccessDeniedException"),
    "invalid": ("NoSuchEntity", "ResourceNotFoundException", "ValidationError", ""),
}


@pytest.mark.parametrize(
    ("code", "expected"), [(code, expected) for expected, codes in CODES.items() for code in codes]
)
def test_the_meaning_of_a_code(code, expected):
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    found = aws_requests._problem(ClientError(answer, "CreateAccessKey"), "iam:CreateAccessKey", "A" * 20)
    assert found.code == expected
    missing = code in ("NoSuchEntity", "ResourceNotFoundException")
    assert isinstance(found, aws_requests.NoSuchEntity) == missing


@pytest.mark.parametrize(("status", "expected"), [
    (401, "refused"), (403, "refused"), (429, "busy"), (500, "unreachable"), (503, "unreachable"), (499, "invalid"),
])
def test_the_meaning_of_a_status(status, expected):
    answer = {"ResponseMetadata": {"HTTPStatusCode": status}}
    assert aws_requests._problem(ClientError(answer, "x"), "sts:x", "A" * 20).code == expected
    limit = ClientError({"Error": {"Code": "LimitExceeded"}}, "x")
    assert aws_requests._problem(limit, "secretsmanager:x", "A" * 20).code == "invalid"


@pytest.mark.parametrize(
    "minutes, message",
    [
        pytest.param(30, "30 minutes fast", id="fast"),
        pytest.param(-30, "30 minutes slow", id="slow"),
        pytest.param(4, None, id="tolerated"),
    ],
)
@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "RequestExpired", "RequestTimeTooSkewed"])
def test_a_wrong_clock_is_not_taken_for_a_wrong_key(aws, key, monkeypatch, minutes, message, code):
    shifted = issuer_module.now() + datetime.timedelta(minutes=minutes)
    monkeypatch.setattr(http, "now", lambda: shifted)
    aws.faults.rule("GetCallerIdentity", error(code, 403))
    text = _refused("invalid" if message else "refused", lambda: _issuer(aws).verify(key, key), key["secretKey"])
    assert (message or code) in text
    aws.faults.rule("GetCallerIdentity", error("InvalidClientTokenId", 403))
    _refused("refused", lambda: _issuer(aws).verify(key, key), key["secretKey"])


def test_an_endpoint_that_is_not_there_is_unreachable(key, monkeypatch):
    monkeypatch.setattr(aws_requests, "PAUSE", 0.01)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        issuer = AwsIssuer({"endpoint_url": f"http://127.0.0.1:{closed.getsockname()[1]}"})
        for call in (lambda: issuer.issue(key, "mark"), lambda: issuer.keys(key), lambda: issuer.verify(key, key)):
            _refused("unreachable", call, key["secretKey"])


def test_a_slow_answer_is_not_waited_for(aws, key, monkeypatch):
    monkeypatch.setattr(aws_requests, "READ_TIMEOUT", 0.3)
    aws.faults.rule("CreateAccessKey", delay(1))
    assert "ReadTimeoutError" in _refused("unreachable", lambda: _issuer(aws).issue(key, "mark"), key["secretKey"])


def test_every_call_ends_in_time(aws, key, monkeypatch):
    """A look-up and a write fit into the limit, and nothing begins that would end after it."""
    last = aws_requests.CONNECT_TIMEOUT + aws_requests.READ_TIMEOUT
    assert 2 * last <= CALL_TIMEOUT
    _issuer(aws).keys(key)  # loads the SDK
    monkeypatch.setattr(issuer_module, "CALL_TIMEOUT", last + 0.4)
    aws.faults.rule("ListAccessKeys", delay(0.6))
    assert "not enough time" in _refused("busy", lambda: _issuer(aws).keys(key), key["secretKey"])
    issuer = _given(aws, aws.create_admin())
    aws.faults.rule("GetAccessKeyLastUsed", delay(0.6))
    _refused("busy", lambda: issuer.issue(key, "mark"), key["secretKey"])
    issuer = _issuer(aws, **_role(aws))
    aws.faults.rule("AssumeRole", delay(0.6))
    _refused("busy", lambda: issuer.issue(key, "mark"), key["secretKey"])
    assert not _actions(aws, "CreateAccessKey")


def test_a_slow_sign_in_of_the_sdk_counts(aws, key, tmp_path, monkeypatch):
    answer = tmp_path / "answer"
    answer.write_text('{"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "hidden"}', encoding="utf-8")
    (tmp_path / "config").write_text(
        f"[profile slow]\ncredential_process = sh -c 'sleep 0.7; cat {answer}'\n", encoding="utf-8"
    )
    monkeypatch.setattr(
        issuer_module, "CALL_TIMEOUT", aws_requests.CONNECT_TIMEOUT + aws_requests.READ_TIMEOUT + 0.5
    )
    issuer = _issuer(aws, sign_in="default", profile="slow", user_name="rancher")
    _refused("busy", lambda: issuer.disable(key["accessKey"], key), "hidden")
    assert not aws.requests


@pytest.mark.parametrize("options, text", [
    pytest.param({"acces_key": "a"}, "acces_key", id="unknown option"),
    pytest.param({"sign_in": "root"}, "sign_in", id="unknown sign_in"),
    pytest.param({"sign_in": "given", "access_key": "a"}, "secret_key", id="no secret_key"),
    pytest.param({"profile": "a"}, "sign_in: default", id="profile without sign_in"),
    pytest.param(
        {"sign_in": "default", "secret_key": "hidden-value"}, "sign_in: given", id="option of another sign_in"
    ),
    pytest.param({"propagation": "soon"}, "propagation must be a number with a unit, such as 30s", id="no duration"),
    pytest.param({"propagation": -1}, "propagation must be a number with a unit, such as 30s", id="negative number"),
    pytest.param({"propagation": 15}, "propagation must be a number with a unit, such as 30s", id="no unit"),
    pytest.param({"propagation": "4000d"}, "propagation must not be longer than 3650d", id="long duration"),
    pytest.param({"ca_bundle": "/nowhere/ca.pem"}, "/nowhere/ca.pem", id="missing file"),
    pytest.param({"sign_in": "default", "role_arn": "rotator"}, "arn:aws:iam::", id="no ARN"),
    pytest.param({"sign_in": "default", "role_arn": ""}, "arn:aws:iam::", id="empty ARN"),
    pytest.param(
        {"sign_in": "default", "role_arn": "arn:aws:iam::123456789012:user/a"}, "arn:aws:iam::", id="ARN of a user"
    ),
    pytest.param({"role_arn": "arn:aws:iam::123456789012:role/a"}, "default or given", id="role without identity"),
])
def test_invalid_options_are_rejected(options, text):
    message = _refused("invalid", lambda: AwsIssuer(options), "hidden-value")
    assert text in message


@pytest.mark.parametrize("options", [
    {"endpoint_url": "no url"}, {"sign_in": "default"}, {"sign_in": "default", "profile": "missing"},
])
def test_what_the_sdk_cannot_use_is_invalid(options, key):
    _refused("invalid", lambda: AwsIssuer(options).issue(key, "mark"), key["secretKey"])


def test_an_incomplete_or_swapped_key_is_reported(aws, key):
    issuer = _issuer(aws)
    _refused("invalid", lambda: issuer.issue({"defaultRegion": "eu-central-1"}, "mark"))
    swapped = {"accessKey": key["secretKey"], "secretKey": key["accessKey"]}
    _refused("refused", lambda: issuer.verify(swapped, key), key["secretKey"])


def test_propagation_is_an_option():
    assert (
        AwsIssuer({}).propagation,
        AwsIssuer({"propagation": "0s"}).propagation,
        AwsIssuer({"propagation": "40s"}).propagation,
    ) == (15, 0, 40)


def test_without_the_sdk_it_says_what_is_missing(monkeypatch, key):
    monkeypatch.setitem(sys.modules, "botocore.config", None)
    assert "boto3" in _refused("unsupported", lambda: AwsIssuer({}).keys(key), key["secretKey"])


@pytest.mark.parametrize(
    "region, sts, iam",
    [
        pytest.param(None, "sts.us-east-1.amazonaws.com", "iam.amazonaws.com", id="default"),
        pytest.param("us-gov-west-1", "sts.us-gov-west-1.amazonaws.com", "iam.us-gov.amazonaws.com", id="government"),
        pytest.param("cn-north-1", "sts.cn-north-1.amazonaws.com.cn", "iam.cn-north-1.amazonaws.com.cn", id="China"),
    ],
)
def test_endpoints_are_those_of_the_region(monkeypatch, region, sts, iam):
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    settings = aws_requests.Settings(region=region)
    assert aws_requests.client("sts", settings).meta.endpoint_url == f"https://{sts}"
    assert aws_requests.client("iam", settings).meta.endpoint_url == f"https://{iam}"


def test_issuers_share_clients(aws, key):
    users = [aws.create_user(f"user-{number}", account=OTHER) for number in range(6)]
    found = {}

    def check(user):
        issuer = _issuer(aws)
        for _again in range(3):
            found.setdefault(user["accessKey"], []).extend(item.id for item in issuer.keys(user))
            issuer.verify(user, user)

    threads = [threading.Thread(target=check, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {user["accessKey"]: 3 * [user["accessKey"]] for user in users}
    assert aws_requests._create_client.cache_info().currsize == 2, "one of IAM and one of STS"
    _issuer(aws, region="eu-central-1").keys(key)
    assert aws_requests._create_client.cache_info().currsize == 3


def test_threads_sign_with_their_own_credentials(aws, key, monkeypatch):
    """Both threads set their credentials before either of them signs."""
    read, barrier = aws_requests._SignerOfThread.get_frozen_credentials, threading.Barrier(2, timeout=20)

    def read_at_once(self):
        barrier.wait()
        return read(self)

    monkeypatch.setattr(aws_requests._SignerOfThread, "get_frozen_credentials", read_at_once)
    users = [key, aws.create_user("other")]
    settings, until = aws_requests.Settings(endpoint_url=aws.url), time.monotonic() + 60
    signers = [aws_requests.Signer(user["accessKey"], user["secretKey"]) for user in users]
    with ThreadPoolExecutor(2) as executor:
        pages = executor.map(lambda signer: aws_requests.send(signer, settings, until, "ListAccessKeys"), signers)
    found = [[item["AccessKeyId"] for item in page["AccessKeyMetadata"]] for page in pages]
    assert found == [[user["accessKey"]] for user in users]


def test_no_credentials_are_left_for_the_next_request(aws, key):
    _issuer(aws).keys(key)
    aws.faults.rule("ListAccessKeys", error("AccessDenied", 403))
    _refused("forbidden", lambda: _issuer(aws).keys(key))
    assert aws_requests._signer_of_thread.signer is None
    client = aws_requests.client("iam", aws_requests.Settings(endpoint_url=aws.url))
    with pytest.raises(NoCredentialsError):
        client.list_access_keys()


def test_the_sdk_is_only_loaded_for_requests():
    script = (
        "import sys\n"
        "from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.aws import Aws\n"
        "issuer = Aws({'sign_in': 'default', 'role_arn': 'arn:aws:iam::123456789012:role/a', 'propagation': '9s'})\n"
        "values = {'accessKey': 'AKIA', 'secretKey': 'b'}\n"
        "assert (issuer.key_id(values), issuer.rate_key(values)) == ('AKIA', '123456789012')\n"
        "assert not {'botocore', 'boto3'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.parametrize(
    "key_id, account",
    [
        pytest.param("ASIAQNZGKIQY56JQ7WML", "029608264753", id="published example"),
        pytest.param("AKIAI44QH8DHBEXAMPLE", None, id="before 2019"),
        pytest.param("AKIAJ2345ABCDEFGHIJK", None, id="first bit 0"),
        pytest.param("AKIAQNZGKIQY56JQ7WM", None, id="too short"),
        pytest.param("not an id", None, id="no id"),
    ],
)
def test_the_account_in_the_id_of_a_key(key_id, account):
    assert account_in(key_id) == account


def test_what_shares_a_limit_of_requests(aws, key):
    role = {"sign_in": "default", "role_arn": f"arn:aws:iam::{OTHER}:role/a"}
    old = {"accessKey": "AKIAI44QH8DHBEXAMPLE"}
    for account in (ACCOUNT, OTHER):
        assert AwsIssuer(role).rate_key(aws.create_user("same", account)) == account
    assert AwsIssuer(role).rate_key(old) == OTHER
    assert AwsIssuer({"sign_in": "default", "profile": "ours"}).rate_key(old) == "ours"
    assert AwsIssuer({}).rate_key(old) == AwsIssuer({}).rate_key({}) == "aws"


def test_options_that_are_kept_are_not_secret():
    assert not set(AwsIssuer.recorded_options) & {"access_key", "secret_key", "session_token"}
    options = {
        "sign_in": "default", "profile": "a", "role_arn": "arn:aws:iam::123456789012:role/a", "region": "eu-west-1",
        "endpoint_url": "https://a", "user_name": "a", "ca_bundle": __file__, "propagation": "1s",
    }
    assert set(AwsIssuer.recorded_options) == set(options)
    AwsIssuer(options)


def test_an_issuer_shows_no_secret(aws, key):
    issuer = _issuer(aws, sign_in="given", access_key=key["accessKey"], secret_key=key["secretKey"])
    issuer.keys(key)
    assert key["secretKey"] not in repr(issuer)
    signer = aws_requests.Signer("AKIA", "hidden-secret", "hidden-token")
    assert "hidden" not in repr(signer)


def test_a_fake_is_independent_and_starts_empty(aws, key):
    with pytest.raises(RuntimeError), Aws():
        pass
    aws.__exit__(None, None, None)
    aws.__enter__()
    assert aws.create_user("rancher")["accessKey"] != key["accessKey"]
    assert not aws.works(key["accessKey"], key["secretKey"])


def test_a_fake_calls_its_hooks_in_time(aws, key):
    seen = []
    aws.faults.rule("CreateAccessKey", call_before(lambda: seen.append(len(aws.keys("rancher")))))
    _issuer(aws).issue(key, "mark")
    aws.faults.rule("DeleteAccessKey", call_after(lambda: seen.append(len(aws.keys("rancher")))))
    _issuer(aws).delete(key["accessKey"], key)
    assert seen == [1, 1]


def test_a_fake_records_no_secrets_and_no_readers(aws, key):
    new = _issuer(aws).issue(key, "mark").values
    aws.faults.rule("GetCallerIdentity", before)
    assert aws.works(new["accessKey"], new["secretKey"])
    assert [(item.action, item.key, item.status) for item in aws.requests] == [
        ("CreateAccessKey", key["accessKey"], 200)
    ]
    assert new["secretKey"] not in repr(aws.requests)
    assert key["secretKey"] not in repr(aws.requests)


def test_a_command_gets_a_fake_and_a_key(tmp_path):
    script = (
        "import os, json; "
        "print(json.dumps({name: os.environ[name] for name in ('AWS_ENDPOINT_URL', 'RANCHHAND_AWS_ACCESS_KEY', "
        "'RANCHHAND_AWS_SECRET_KEY')})); raise SystemExit(7)"
    )
    done = subprocess.run(
        [sys.executable, "-m", "support.providers.aws", "--", sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 7
    text = json.loads(done.stdout)
    assert (
        text["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
        and text["RANCHHAND_AWS_ACCESS_KEY"]
        and text["RANCHHAND_AWS_SECRET_KEY"]
    )


def test_without_a_command_the_key_is_in_a_private_file(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "support.providers.aws"],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        lines = iter(process.stdout.readline, "")
        url = next(line.strip() for line in lines if line.strip().startswith("http"))
        file = Path(next(line.strip() for line in lines if line.strip().endswith(".json")))
        assert file.stat().st_mode & 0o077 == 0 and file.parent.stat().st_mode & 0o077 == 0
        key = json.loads(file.read_text(encoding="utf-8"))
        assert aws_provider.works(url, key["accessKey"], key["secretKey"])
    finally:
        process.terminate()
        process.wait(10)
    assert not file.exists()
