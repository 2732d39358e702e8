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
from pathlib import Path

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.issuers import aws as issuer_module
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.issuers.aws import Aws as AwsIssuer
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import CALL_TIMEOUT, IssuerError

from support.providers import aws as aws_provider
from support.providers.aws import Aws, before, call_after, call_before, delay, error, lost_reply

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _no_aws_of_ours(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def aws(monkeypatch):
    monkeypatch.setattr(issuer_module, "PAUSE", 0.01)
    with Aws() as running:
        yield running


@pytest.fixture
def key(aws):
    return aws.create_user("rancher")


@pytest.fixture(params=["rotating", "default", "profile", "given"])
def issuer(request, aws, tmp_path, monkeypatch):
    """An issuer for each way to sign in; all but the first with an administrator's key."""
    if request.param == "rotating":
        return _issuer(aws)
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

    new = issuer.issue(key)
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
    for _again in range(2):
        issuer.delete(key["accessKey"], new)
        assert aws.keys("rancher") == [(new["accessKey"], "Active")]
    refusal = _refused("refused", lambda: issuer.enable(key["accessKey"], new), new["secretKey"])
    assert "does not exist any more" in refusal
    assert aws.keys("other")[0][1] == "Active"


def test_when_a_key_was_used_is_known(aws, key):
    new = aws.add_key("rancher")
    assert {item.id: item.last_used for item in _issuer(aws).keys(key)}[new["accessKey"]] is None
    assert aws.works(new["accessKey"], new["secretKey"])
    assert {item.id: item.last_used for item in _issuer(aws).keys(key)}[new["accessKey"]].tzinfo


def test_a_third_key_exceeds_the_limit(aws, key, issuer):
    aws.add_key("rancher")
    _refused("limit", lambda: issuer.issue(key), key["secretKey"])
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


def test_a_young_key_is_refused_until_it_is_known(aws, key):
    aws.propagation_delay = 0.5
    issuer = _issuer(aws)
    new = issuer.issue(key)
    assert not aws.works(new["accessKey"], new["secretKey"])
    _refused("refused", lambda: issuer.verify(new, key), new["secretKey"])
    time.sleep(0.6)
    issuer.verify(new, key)


def test_a_user_that_is_named_is_not_looked_up(aws, key):
    admin = aws.create_admin()
    issuer = _issuer(
        aws, sign_in="given", access_key=admin["accessKey"], secret_key=admin["secretKey"], user_name="rancher"
    )
    new = issuer.issue(key)
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
    assert "iam:CreateAccessKey" in _refused("refused", lambda: _issuer(aws).issue(key), key["secretKey"])
    assert "iam:GetAccessKeyLastUsed" in _refused("refused", lambda: _issuer(aws).keys(key), key["secretKey"])
    aws.set_policy("rancher")
    assert "iam:ListAccessKeys" in _refused("refused", lambda: _issuer(aws).keys(key), key["secretKey"])


def test_the_keys_of_others_are_out_of_reach(aws, key):
    stranger = aws.create_user("other")
    for call in (_issuer(aws).delete, _issuer(aws).disable):
        _refused("refused", lambda call=call: call(stranger["accessKey"], key), key["secretKey"])
    assert aws.keys("other") == [(stranger["accessKey"], "Active")]


@pytest.mark.parametrize(
    "fault, made",
    [
        pytest.param(before, 0, id="request lost"),
        pytest.param(lost_reply, 1, id="reply lost"),
        pytest.param(error("ServiceFailure", 500), 0, id="error 500"),
        pytest.param(error("Throttling"), 0, id="throttled"),
    ],
)
def test_a_key_is_never_asked_for_twice(aws, key, fault, made):
    aws.faults.rule("CreateAccessKey", fault)
    _refused("unreachable", lambda: _issuer(aws).issue(key), key["secretKey"])
    assert len(_actions(aws, "CreateAccessKey")) == 1
    assert len(aws.keys("rancher")) == 1 + made


def test_other_writes_are_not_repeated_either(aws, key):
    aws.faults.rule("UpdateAccessKey|DeleteAccessKey", before, times=2)
    for call in (_issuer(aws).disable, _issuer(aws).delete):
        _refused("unreachable", lambda call=call: call(key["accessKey"], key), key["secretKey"])
    assert len(_actions(aws, "UpdateAccessKey")) == len(_actions(aws, "DeleteAccessKey")) == 1


@pytest.mark.parametrize("fault", [before, lost_reply, error("ServiceUnavailable", 503), error("Throttling")])
def test_reads_are_repeated_twice(aws, key, fault):
    aws.faults.rule("ListAccessKeys", fault, times=2)
    assert [item.id for item in _issuer(aws).keys(key)] == [key["accessKey"]]
    aws.faults.rule("GetCallerIdentity", fault, times=3)
    _refused("unreachable", lambda: _issuer(aws).verify(key, key), key["secretKey"])
    assert len(_actions(aws, "GetCallerIdentity")) == 3


def test_a_refusal_is_not_asked_again(aws, key):
    aws.faults.rule("GetCallerIdentity", error("AccessDenied", 403))
    _refused("refused", lambda: _issuer(aws).verify(key, key), key["secretKey"])
    assert len(_actions(aws, "GetCallerIdentity")) == 1


def test_anything_else_is_invalid(aws, key):
    aws.faults.rule("CreateAccessKey", error("MalformedInput"))
    assert "MalformedInput" in _refused("invalid", lambda: _issuer(aws).issue(key), key["secretKey"])


def test_an_endpoint_that_is_not_there_is_unreachable(key, monkeypatch):
    monkeypatch.setattr(issuer_module, "PAUSE", 0.01)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        issuer = AwsIssuer({"endpoint_url": f"http://127.0.0.1:{closed.getsockname()[1]}"})
        for call in (lambda: issuer.issue(key), lambda: issuer.keys(key), lambda: issuer.verify(key, key)):
            _refused("unreachable", call, key["secretKey"])


def test_a_slow_answer_is_not_waited_for(aws, key, monkeypatch):
    monkeypatch.setattr(issuer_module, "READ_TIMEOUT", 0.3)
    aws.faults.rule("CreateAccessKey", delay(1))
    assert "ReadTimeoutError" in _refused("unreachable", lambda: _issuer(aws).issue(key), key["secretKey"])


def test_every_call_ends_in_time(aws, key, monkeypatch):
    """A look-up and a write fit into the limit, and nothing begins that would end after it."""
    assert 2 * (issuer_module.CONNECT_TIMEOUT + issuer_module.READ_TIMEOUT) <= CALL_TIMEOUT
    monkeypatch.setattr(issuer_module, "CALL_TIMEOUT", issuer_module.CONNECT_TIMEOUT + issuer_module.READ_TIMEOUT + 0.3)
    aws.faults.rule("ListAccessKeys", delay(0.5))
    assert "too slow" in _refused("unreachable", lambda: _issuer(aws).keys(key), key["secretKey"])
    admin = aws.create_admin()
    issuer = _issuer(aws, sign_in="given", access_key=admin["accessKey"], secret_key=admin["secretKey"])
    aws.faults.rule("GetAccessKeyLastUsed", delay(0.5))
    _refused("unreachable", lambda: issuer.issue(key), key["secretKey"])
    assert not _actions(aws, "CreateAccessKey")


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
])
def test_invalid_options_are_rejected(options, text):
    message = _refused("invalid", lambda: AwsIssuer(options), "hidden-value")
    assert text in message


@pytest.mark.parametrize("options", [
    {"endpoint_url": "no url"}, {"sign_in": "default"}, {"sign_in": "default", "profile": "missing"},
])
def test_what_the_sdk_cannot_use_is_invalid(options, key):
    _refused("invalid", lambda: AwsIssuer(options).issue(key), key["secretKey"])


def test_an_incomplete_or_swapped_key_is_reported(aws, key):
    issuer = _issuer(aws)
    _refused("invalid", lambda: issuer.issue({"defaultRegion": "eu-central-1"}))
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


def test_sts_is_asked_in_the_region(key):
    issuer = AwsIssuer({"region": "us-gov-west-1"})
    credentials = (key["accessKey"], key["secretKey"], None)
    assert issuer._client(credentials, "sts").meta.endpoint_url == "https://sts.us-gov-west-1.amazonaws.com"
    assert issuer._client(credentials, "iam").meta.endpoint_url == "https://iam.us-gov.amazonaws.com"


def test_an_issuer_serves_threads(aws, key):
    issuer, found = _issuer(aws), []
    threads = [threading.Thread(target=lambda: found.append(issuer.keys(key))) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [[item.id for item in keys] for keys in found] == [[key["accessKey"]]] * 4


def test_an_issuer_shows_no_secret(aws, key):
    issuer = _issuer(aws, sign_in="given", access_key=key["accessKey"], secret_key=key["secretKey"])
    issuer.keys(key)
    assert key["secretKey"] not in repr(issuer)


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
    _issuer(aws).issue(key)
    aws.faults.rule("DeleteAccessKey", call_after(lambda: seen.append(len(aws.keys("rancher")))))
    _issuer(aws).delete(key["accessKey"], key)
    assert seen == [1, 1]


def test_a_fake_records_no_secrets_and_no_readers(aws, key):
    new = _issuer(aws).issue(key)
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
