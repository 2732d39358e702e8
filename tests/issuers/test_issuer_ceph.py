# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only Ceph has, at a real RGW: caps, tenants, subusers, and answers and logs with secrets."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import ceph as issuer_module
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import http, s3
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.ceph import Ceph
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.registry import default_issuer
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError

from support.providers.fake_provider import CONSOLE
from support.providers.rgw import CephUsers

MARK = "ranchhand-cc-7kq2f-g42-0a1b2c3d-e1"


@pytest.fixture
def ceph(tmp_path):
    with CephUsers(tmp_path) as running:
        yield running


def issuer_of(ceph, **options):
    return Ceph({**ceph.options, **options})


def error_of(call, *arguments):
    with pytest.raises(IssuerError) as caught:
        call(*arguments)
    assert "\n" not in caught.value.message
    return caught.value


def secrets_at(ceph):
    return [key.secret for key in ceph.keys.values()]


def set_caps(ceph, uid, caps):
    ceph.rgw.manage("DELETE", uid=uid, user_caps="users=*", caps="")
    if caps:
        ceph.rgw.manage("PUT", uid=uid, user_caps=caps, caps="")


def test_aws_is_the_default_issuer_of_the_driver():
    assert default_issuer("s3") == "aws"


@pytest.mark.parametrize("caps, works", [("", ""), ("users=read", "keys"), ("users=write", "")])
def test_caps(ceph, caps, works):
    """Both are needed, and no more."""
    stored = ceph.create_key()
    issuer = issuer_of(ceph, **ceph.administrator())
    set_caps(ceph, ceph.rotator, caps)
    before = set(ceph.keys)
    for method, arguments in {"keys": (), "issue": (MARK,), "delete": (stored["accessKey"],)}.items():
        call, arguments = getattr(issuer, method), (stored, *arguments) if method == "issue" else (*arguments, stored)
        if method == works:
            assert {key.id for key in call(*arguments)} == {stored["accessKey"]}
        else:
            error = error_of(call, *arguments)
            assert error.code == "forbidden" and "users=read,write" in error.message
    assert set(ceph.keys) == before


def test_the_commands_of_the_guide(ceph):
    """They are followed in their order: an administrator, caps of the user itself, and their end."""
    guide = Path(__file__).parents[2] / "docs" / "guides" / "rotation-permissions.md"
    create, add, remove = re.findall("^radosgw-admin .*$", guide.read_text(encoding="utf-8"), re.MULTILINE)
    key = json.loads(ceph.rgw.command(create))["keys"][0]
    ceph.principal = "rancher"
    ceph.rgw.manage("PUT", uid=ceph.principal, display_name="Rancher", generate_key="false")
    stored = ceph.create_key()
    administrator = issuer_of(ceph, sign_in="given", access_key=key["access_key"], secret_key=key["secret_key"])
    administrator.delete(administrator.issue(stored, MARK).key_id, stored)
    assert error_of(issuer_of(ceph).keys, stored).code == "forbidden"
    ceph.rgw.command(add)
    issuer_of(ceph).delete(issuer_of(ceph).issue(stored, MARK).key_id, stored)
    ceph.rgw.command(remove)
    assert error_of(issuer_of(ceph).issue, stored, MARK).code == "forbidden"
    assert set(ceph.keys) == {stored["accessKey"]}


def test_a_key_that_does_not_exist(ceph):
    """RGW answers to an administrator as if a cap were missing."""
    stored, other = ceph.create_key(), ceph.create_key(ceph.stranger)
    issuer = issuer_of(ceph, **ceph.administrator())
    issued = issuer.issue(stored, MARK)
    issuer.delete(stored["accessKey"], {**stored, **issued.values})
    error = error_of(issuer.keys, stored)
    assert error.code == "forbidden" and f"check that the key {stored['accessKey']} exists" in error.message
    assert error_of(issuer.issue, {**stored, "accessKey": "a\nb"}, MARK).code == "forbidden"
    issuer.verify(issued.values, stored)
    error = error_of(issuer.verify, issued.values, other)
    assert error.code == "invalid" and f"is not of the user of {other['accessKey']}" in error.message
    ceph.override = lambda seen: (503, {}, b"{}") if stored["accessKey"] in seen.path else ceph.handle(seen)
    assert error_of(issuer.verify, issued.values, stored).code == "unreachable", "it may exist"
    ceph.override = None
    ceph.forbidden = True
    assert error_of(issuer.verify, issued.values, stored).code == "forbidden"
    assert error_of(issuer.delete, issued.key_id, {**stored, **issued.values}).code == "forbidden"


def test_the_mark_is_in_the_id_of_the_key(ceph):
    """The same mark never leads to the same id, for which RGW would replace the secret of the key in use."""
    stored = ceph.create_key()
    ceph.rgw.manage("PUT", uid=ceph.principal, access_key=f"{MARK}.by-hand", generate_key="true", key="")
    issued = [issuer_of(ceph).issue(stored, MARK) for _attempt in range(2)]
    for key in issued:
        assert re.fullmatch(re.escape(MARK) + r"\.[0-9a-f]{16}", key.key_id)
        issuer_of(ceph).verify(key.values, stored)
    marks = {key.id: key.mark for key in issuer_of(ceph).keys(stored)}
    assert marks == {
        stored["accessKey"]: None, f"{MARK}.by-hand": None, issued[0].key_id: MARK, issued[1].key_id: MARK,
    }


def test_a_user_of_a_tenant(ceph):
    """Another user has the same name without the tenant."""
    ceph.principal = f"acme${ceph.rotator}"
    ceph.rgw.manage("PUT", uid=ceph.principal, display_name="Rancher", generate_key="false")
    stored, same_name = ceph.create_key(), ceph.create_key(ceph.rotator)
    issuer = issuer_of(ceph, **ceph.administrator())
    issued = issuer.issue(stored, MARK)
    issuer.verify(issued.values, stored)
    assert {key.id for key in issuer.keys(stored)} == {stored["accessKey"], issued.key_id}
    assert error_of(issuer.verify, issued.values, same_name).code == "invalid"
    assert error_of(issuer.delete, same_name["accessKey"], stored).code == "invalid"
    issuer.delete(stored["accessKey"], {**stored, **issued.values})
    assert stored["accessKey"] not in ceph.keys and {same_name["accessKey"], issued.key_id} < set(ceph.keys)


def test_subusers_are_not_touched(ceph):
    """A new key would have all rights of the user."""
    stored = ceph.create_key()
    subuser = f"{ceph.principal}:reader"
    for kind in ("s3", "swift"):
        ceph.rgw.manage(
            "PUT", uid=ceph.principal, subuser=subuser, access="read", key_type=kind, generate_secret="true"
        )
    user = ceph.rgw.manage("GET", uid=ceph.principal)
    key, = (key for key in user["keys"] if key["user"] == subuser)
    assert user["swift_keys"]
    issuer = issuer_of(ceph, **ceph.administrator())
    assert [key.id for key in issuer.keys(stored)] == [stored["accessKey"]]
    assert error_of(issuer.delete, key["access_key"], stored).code == "invalid"
    of_subuser = {**stored, "accessKey": key["access_key"], "secretKey": key["secret_key"]}
    for error in (error_of(issuer.keys, of_subuser), error_of(issuer.issue, of_subuser, MARK)):
        assert error.code == "unsupported" and "is of a subuser" in error.message
    assert error_of(issuer.verify, {name: of_subuser[name] for name in issuer.fields}, stored).code == "invalid"
    issued = issuer.issue(stored, MARK)
    issuer.delete(stored["accessKey"], {**stored, **issued.values})
    after = ceph.rgw.manage("GET", uid=ceph.principal)
    assert key in after["keys"] and after["swift_keys"] == user["swift_keys"] and after["subusers"] == user["subusers"]


def test_a_suspended_user(ceph):
    stored = ceph.create_key()
    ceph.rgw.manage("POST", uid=ceph.principal, suspended="true")
    for call, arguments in ((issuer_of(ceph).keys, (stored,)), (issuer_of(ceph).verify, (stored, stored))):
        assert error_of(call, *arguments).code == "refused"


def test_no_secret_is_sent_or_kept(ceph, capfd):
    """RGW returns all secrets of the user with each list, and logs the URLs of requests."""
    stored, issuer = ceph.create_key(), issuer_of(ceph)
    ceph.create_key()
    issued = issuer.issue(stored, MARK)
    found = issuer.keys(stored)
    new = {**stored, **issued.values}
    issuer.verify(issued.values, stored)
    issuer.delete(stored["accessKey"], new)
    secrets = [*secrets_at(ceph), stored["secretKey"]]
    sent = repr([(seen.path, seen.headers, seen.body) for seen in ceph.seen])
    log = ceph.rgw.log()
    assert f"access-key={issued.key_id}" in log and len(secrets) == 3
    shown = repr((found, issued, vars(issuer))) + sent + log + "".join(capfd.readouterr())
    assert not [secret for secret in secrets if secret in shown]


def test_buckets(ceph):
    """The key works, whatever the current one may do with the bucket."""
    stored, issuer = ceph.create_key(), issuer_of(ceph)
    own, foreign = f"own-{ceph.principal}", f"foreign-{ceph.principal}"
    other = ceph.create_key(ceph.stranger)
    assert ceph.rgw.request("PUT", f"/{own}", (stored["accessKey"], stored["secretKey"])).status == 200
    assert ceph.rgw.request("PUT", f"/{foreign}", (other["accessKey"], other["secretKey"])).status == 200
    issued = issuer.issue(stored, MARK)
    for bucket, codes in {"": "ok ok", own: "ok ok", foreign: "forbidden ok", "missing": "invalid invalid"}.items():
        with_bucket = {**stored, "defaultBucket": bucket}
        found = [outcome(s3.verify_store, with_bucket, {}), outcome(issuer.verify, issued.values, with_bucket)]
        assert " ".join(found) == codes, bucket
    assert outcome(s3.verify_store, {**stored, "secretKey": other["secretKey"]}, {}) == "refused"


def outcome(call, *arguments):
    try:
        call(*arguments)
    except IssuerError as error:
        return error.code
    return "ok"


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_the_endpoint_of_the_credential(ceph):
    """With its CA, and https unless it contains another scheme."""
    stored = ceph.create_key()

    def keys(options=None, **changes):
        return outcome(Ceph(options or {}).keys, {**stored, **changes})

    authority = base64.b64encode(stored["defaultEndpointCA"].encode()).decode()
    assert keys() == keys(defaultEndpoint=ceph.url) == keys(defaultEndpointCA=authority) == "ok"
    assert keys(defaultRegion="other") == keys(defaultEndpointCA="", defaultSkipSSLVerify="true") == "ok"
    assert keys(defaultEndpointCA="") == "unreachable", "its certificate is not trusted"
    assert keys({"ca_bundle": str(ceph.ca_bundle)}, defaultEndpointCA="") == "ok"
    assert keys(defaultEndpoint="") == keys(defaultEndpoint="http://192.0.2.1") == "invalid"
    assert keys({"endpoint_url": ceph.url}, defaultEndpoint="192.0.2.1") == "ok", "an API of its own"


def test_the_clock(ceph, monkeypatch):
    stored = ceph.create_key()
    for changed in (issuer_module, s3, http):
        monkeypatch.setattr(changed, "now", lambda: CONSOLE)
    for error in (error_of(issuer_of(ceph).keys, stored), error_of(issuer_of(ceph).verify, stored, stored)):
        assert error.code == "invalid" and "Correct the clock" in error.message


def answer_of(ceph, method, change):
    """Change the answers to a method."""
    def answer(seen):
        status, headers, body = ceph.handle(seen)
        return (status, headers, change(body)) if seen.method == method else (status, headers, body)

    ceph.override = answer


KEY = {"user": "x", "access_key": "x", "secret_key": "x"}


@pytest.mark.parametrize(
    "keys", [None, {}, "x", [1], [{**KEY, "user": 1}], [{**KEY, "access_key": None}], [{"user": "x"}]]
)
def test_lists_of_keys_that_cannot_be_read(ceph, keys):
    stored = ceph.create_key()
    answer_of(ceph, "GET", lambda body: json.dumps({**json.loads(body), "keys": keys}).encode())
    before = len(ceph.keys)
    for call, arguments in ((issuer_of(ceph).keys, (stored,)), (issuer_of(ceph).issue, (stored, MARK))):
        assert error_of(call, *arguments).code == "unreachable"
    assert len(ceph.keys) == before


def test_a_user_without_an_id(ceph):
    stored = ceph.create_key()
    answer_of(ceph, "GET", lambda body: json.dumps({**json.loads(body), "user_id": ""}).encode())
    assert error_of(issuer_of(ceph).keys, stored).code == "unreachable"


@pytest.mark.parametrize(
    "change",
    [lambda keys: [key for key in keys if not key["access_key"].startswith(MARK)],
     lambda keys: [{**key, "secret_key": ""} for key in keys], lambda keys: [{**key, "user": "x"} for key in keys],
     lambda keys: [1], lambda keys: {"keys": keys}, lambda keys: None],
    ids=["another key", "no secret", "another user", "numbers", "no list", "nothing"],
)
def test_a_new_key_that_is_not_returned(ceph, change):
    """It may exist; its mark shows it."""
    stored = ceph.create_key()
    answer_of(ceph, "PUT", lambda body: json.dumps(change(json.loads(body))).encode())
    assert error_of(issuer_of(ceph).issue, stored, MARK).code == "unreachable"
    ceph.override = None
    assert [key.mark for key in issuer_of(ceph).keys(stored) if key.id != stored["accessKey"]] == [MARK]


def test_a_deletion_that_another_server_answers(ceph):
    stored, other = ceph.create_key(), ceph.create_key()
    answer_of(ceph, "DELETE", lambda body: b"<html>")
    assert error_of(issuer_of(ceph).delete, other["accessKey"], stored).code == "unreachable"


def test_an_inactive_key(ceph):
    """Ceph 19 and later list whether a key is active; RGW 16.2 does not."""
    stored = ceph.create_key()
    for active in (True, False):
        answer_of(ceph, "GET", lambda body, active=active: json.dumps({
            **json.loads(body), "keys": [{**key, "active": active} for key in json.loads(body)["keys"]],
        }).encode())
        assert [key.enabled for key in issuer_of(ceph).keys(stored)] == [active]
