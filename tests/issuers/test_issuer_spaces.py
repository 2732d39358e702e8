# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only DigitalOcean Spaces has: grants, scopes of the token, pages; and how a key of any S3 store is verified."""

from __future__ import annotations

import base64
import json

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import http, s3
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.throttle import CallRates
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.verification import verify_key
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError

from support.providers.fake_provider import CONSOLE
from support.providers.fake_spaces import BUCKET, GRANTS, REGION, SCOPES, FakeSpaces

MARK = "ranchhand-cc-7kq2f-g42-e1"
FULL = {"bucket": "", "permission": "fullaccess"}
READ = {"bucket": "other", "permission": "read"}


@pytest.fixture
def spaces(tmp_path):
    with FakeSpaces(tmp_path) as fake:
        yield fake


def error_of(call, *arguments):
    with pytest.raises(IssuerError) as caught:
        call(*arguments)
    return caught.value


@pytest.mark.parametrize("grants", [GRANTS, (FULL,), (READ, *GRANTS), ()], ids=["bucket", "full", "two", "none"])
def test_a_new_key_has_the_current_grants(spaces, grants):
    stored, issuer = spaces.create_key(grants=grants), spaces.load()
    issued = issuer.issue(stored, MARK)
    assert sorted(map(repr, spaces.keys[issued.key_id].more["grants"])) == sorted(map(repr, grants))
    issuer.verify(issued.values, stored)  # also if it may list nothing
    dates = {key.id: key.created_at for key in issuer.keys(stored)}
    assert dates[stored["accessKey"]] == CONSOLE and dates[issued.key_id] > CONSOLE
    spaces.keys[issued.key_id].more["grants"] = [READ]
    error = error_of(issuer.verify, issued.values, stored)
    assert error.code == "invalid" and "other grants" in error.message


def test_grants_that_cannot_be_read(spaces):
    stored = spaces.create_key()
    for grants in (None, {}, [{"bucket": "x"}], [{"bucket": 1, "permission": "read"}], ["x"]):
        shown = json.dumps({"key": {"access_key": stored["accessKey"], "grants": grants}}).encode()
        spaces.override = lambda seen, shown=shown: (200, {"Content-Type": "application/json"}, shown)
        assert error_of(spaces.load().issue, stored, MARK).code == "unreachable"
    other = json.dumps({"key": {"access_key": "DOOTHER", "grants": []}}).encode()
    spaces.override = lambda seen: (200, {}, other)
    assert error_of(spaces.load().issue, stored, MARK).code == "unreachable", "the grants of another key"
    assert {seen.method for seen in spaces.seen} == {"GET"}, "nothing was created"
    spaces.override = lambda seen: spaces.handle(seen) if seen.method == "GET" else (200, {}, b"{}")
    assert error_of(spaces.load().delete, stored["accessKey"], stored).code == "unreachable", "a portal answers"
    spaces.override = lambda seen: spaces.handle(seen) if seen.method == "GET" else (
        201, {}, json.dumps({"key": {"access_key": "DO1", "secret_key": ""}}).encode()
    )
    assert error_of(spaces.load().issue, stored, MARK).code == "unreachable"
    spaces.override = None
    other = spaces.create_key(spaces.stranger)
    error = error_of(spaces.load().issue, other, MARK)
    assert error.code == "invalid" and "team of the token" in error.message and len(spaces.keys) == 2


def test_scopes_of_the_token(spaces):
    stored = spaces.create_key()
    for scope in SCOPES:
        issuer = spaces.load(token=spaces.token(scopes=tuple(set(SCOPES) - {scope})))
        call = {SCOPES[0]: (issuer.keys, stored), SCOPES[1]: (issuer.issue, stored, MARK),
                SCOPES[2]: (issuer.delete, stored["accessKey"], stored)}[scope]
        error = error_of(*call)
        assert error.code == "forbidden" and scope in error.message
    assert len(spaces.keys) == 1
    assert error_of(spaces.load(token="dop_v1_unknown").keys, stored).code == "refused"


def test_pages_and_the_limit(spaces):
    stored = spaces.create_key()
    for _number in range(4):
        spaces.create_key()
    spaces.page_size = 2
    assert {key.id for key in spaces.load().keys(stored)} == set(spaces.keys)
    spaces.most = 5
    assert error_of(spaces.load().issue, stored, MARK).code == "invalid" and len(spaces.keys) == 5
    spaces.override = lambda seen: (200, {}, b'{"keys": [], "meta": {"total": 1}}')
    before = len(spaces.seen)
    assert error_of(spaces.load().keys, stored).code == "unreachable", "an incomplete list"
    assert len(spaces.seen) == before + 1


def test_a_new_key_that_is_not_listed_yet(spaces):
    stored, issuer = spaces.create_key(), spaces.load()
    spaces.freeze()
    new = {**stored, **issuer.issue(stored, MARK).values}
    assert [key.id for key in issuer.keys(new)] == [stored["accessKey"]]


def verified(stored, **changes):
    """Sign in with a value before it is stored; returns the code, "ok" if it is accepted."""
    try:
        verify_key("s3", {**stored, **changes}, {}, CallRates(1000))
    except IssuerError as error:
        assert stored["secretKey"] not in error.message
        return error.code
    return "ok"


def test_a_key_of_a_store_is_verified_before_it_is_stored(spaces, monkeypatch):
    """With the endpoint, its CA, the bucket and the region of the credential."""
    stored = spaces.create_key()
    authority = base64.b64encode(stored["defaultEndpointCA"].encode()).decode()
    assert verified(stored) == verified(stored, defaultEndpointCA=authority) == "ok"
    assert f"/{REGION}/s3/" in spaces.seen[-1].headers["authorization"]
    assert verified(stored, defaultEndpoint=spaces.url, defaultRegion="") == "ok"
    assert verified(stored, defaultEndpointCA="") == "unreachable", "its certificate is not trusted"
    assert verified(stored, defaultEndpointCA="", defaultSkipSSLVerify="true") == "ok"
    assert verified(stored, defaultEndpointCA="x") == verified(stored, defaultEndpoint="http://192.0.2.1") == "invalid"
    assert verified(stored, secretKey="wrong") == verified(stored, accessKey="DOUNKNOWN") == "refused"
    assert verified(stored, defaultBucket="other") == verified(stored, defaultBucket="") == "forbidden"
    assert verified(spaces.create_key(grants=(FULL,)), defaultBucket="") == "ok"
    for module in (s3, http):
        monkeypatch.setattr(module, "now", lambda: CONSOLE)
    assert verified(stored) == "invalid", "the clock of the controller is wrong"
    monkeypatch.undo()
    for status, content, code in (
        (200, b"<html>Sign in</html>", "unreachable"), (403, b"", "refused"),
        (404, b"<Code>NoSuchBucket</Code>", "invalid"), (503, b"<Code>SlowDown</Code>", "unreachable"),
        (403, b"<Code>AccessDenied</Code>", "forbidden"),
    ):
        spaces.override = lambda seen, answer=(status, {}, content): answer
        assert verified(stored) == code
    assert BUCKET in spaces.seen[-1].path
