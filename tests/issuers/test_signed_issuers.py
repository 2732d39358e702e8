# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only one of Alibaba, Exoscale, Oracle, Open Telekom Cloud, OUTSCALE and Proxmox VE has."""

from __future__ import annotations

import contextlib
import datetime
import json
import re

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import alibaba, http, oci, otc, outscale
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.registry import load_issuer
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError

from support.providers.fake_alibaba import FakeAlibaba
from support.providers.fake_exoscale import FakeExoscale
from support.providers.fake_oci import FakeOci
from support.providers.fake_otc import FakeOtc
from support.providers.fake_outscale import FakeOutscale
from support.providers.fake_provider import CONSOLE, UTC
from support.providers.fake_pve import FakePve

MARK = "ranchhand-cc-7kq2f-g42-e1"


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a fake."""
    with contextlib.ExitStack() as running:
        yield lambda kind: running.enter_context(kind(tmp_path))


def issuer_of(fake, **options):
    return load_issuer(fake.issuer, {**fake.options, **options})


def error_of(call, *arguments):
    """Return the code of the IssuerError that a call must raise."""
    with pytest.raises(IssuerError) as caught:
        call(*arguments)
    return caught.value.code


def issue(issuer, by):
    """Issue a key; returns all fields of the credential with it."""
    return {**by, **issuer.issue(by, MARK).values}


def listed(issuer, by):
    return {key.id: key for key in issuer.keys(by)}


def test_a_token_of_proxmox_gets_the_roles_of_the_current_token(start):
    fake = start(FakePve)
    old = fake.create_key(privsep=1)
    fake.grant("token", old["tokenId"], "RancherMachines", "/vms")
    fake.grant("user", fake.principal, "RancherMachines", "/vms")
    assert error_of(issuer_of(fake).issue, old, MARK) == "forbidden", "it may not manage tokens"
    fake.grant("token", old["tokenId"], "ManageTokens")
    assert error_of(issuer_of(fake).issue, old, MARK) == "forbidden", "it cannot read its entries"
    assert len(fake.keys) == 1
    issuer = issuer_of(fake, **fake.administrator())
    fake.grant("user", fake.principal, "RancherMachines", "/others")
    fake.grant("token", fake.create_key(privsep=1)["tokenId"], "RancherMachines", "/others")
    fake.grant("group", old["tokenId"], "RancherMachines", "/others")
    new = issue(issuer, old)
    assert fake.privileges(new["tokenId"]) == fake.privileges(old["tokenId"])
    issuer.verify(new, old)
    fake.acl = [entry for entry in fake.acl if (entry["ugid"], entry["path"]) != (new["tokenId"], "/vms")]
    assert error_of(issuer.verify, new, old) == "forbidden", "it has fewer privileges"


@pytest.mark.parametrize("answer", ["refused", "lost"])
def test_a_token_of_proxmox_without_its_roles_is_deleted(start, answer):
    fake = start(FakePve)
    old = fake.create_key(privsep=1)
    fake.grant("token", old["tokenId"], "RancherMachines", "/vms")
    issuer = issuer_of(fake, **fake.administrator())
    if answer == "lost":
        fake.lose("PUT .*/access/acl")
    else:
        fake.grantable = False
    assert error_of(issuer.issue, old, MARK) == ("unreachable" if answer == "lost" else "forbidden")
    assert old["tokenId"] in fake.keys and not [key for key in fake.keys.values() if key.mark]


def test_a_token_of_proxmox_without_its_roles_that_cannot_be_deleted(start):
    """It works as soon as it gets roles, so that the next run deletes it."""
    fake = start(FakePve)
    old = fake.create_key(privsep=1)
    fake.grant("token", old["tokenId"], "RancherMachines", "/vms")
    fake.override = lambda seen: (403, {}, b"{}") if seen.method in ("PUT", "DELETE") else fake.handle(seen)
    with pytest.raises(IssuerError, match="without its roles could not be deleted") as caught:
        issuer_of(fake, **fake.administrator()).issue(old, MARK)
    assert caught.value.code == "unreachable" and len([key for key in fake.keys.values() if key.mark]) == 1


@pytest.mark.parametrize("expire", [0, None, "soon", [1], -1])
def test_a_token_of_proxmox_without_an_end(start, expire):
    fake = start(FakePve)
    content = json.dumps({"data": [{"tokenid": "a", "expire": expire}, {"tokenid": "b", "expire": "1767323045"}]})
    fake.override = lambda seen: (200, {}, content.encode())
    found = listed(issuer_of(fake), fake.create_key())
    assert found[f"{fake.principal}!a"].expires_at is None and found[f"{fake.principal}!b"].expires_at == CONSOLE


def test_an_expiring_token_of_proxmox(start):
    fake = start(FakePve)
    old = fake.create_key()
    issuer = issuer_of(fake, expiration="1h")
    issued = issuer.issue(old, MARK)
    left = issued.expires_at - datetime.datetime.now(UTC)
    assert datetime.timedelta(minutes=59) < left <= datetime.timedelta(hours=1)
    assert listed(issuer, old)[issued.key_id].expires_at == issued.expires_at
    fake.keys[issued.key_id].expires_at = datetime.datetime.now(UTC)
    assert error_of(issuer.verify, {**old, **issued.values}, old) == "refused"


def test_a_key_of_oracle_whose_upload_got_no_answer(start):
    fake = start(FakeOci)
    issuer, old = issuer_of(fake), fake.create_key()
    issued = issuer.issue(old, MARK)
    assert not fake.seen, "the value can be kept first"
    assert error_of(issuer.verify, issued.values, old) == "refused" and issued.key_id not in listed(issuer, old)
    fake.lose("POST")
    assert error_of(issuer.activate, issued.values, old) == "unreachable"
    issuer.activate(issued.values, old)
    fake.forget_answers()
    issuer.activate(issued.values, old)
    assert set(listed(issuer, old)) == {old["fingerprint"], issued.key_id} == set(fake.keys)
    issuer.verify(issued.values, old)


@pytest.mark.parametrize("state", ["DELETING", "DELETED", "INACTIVE", "CREATING"])
def test_states_of_keys_of_oracle(start, state):
    fake = start(FakeOci)
    old = fake.create_key()
    answer = json.dumps([{"fingerprint": "a", "lifecycleState": state}, {"fingerprint": old["fingerprint"]}]).encode()
    fake.override = lambda seen: (200, {"opc-request-id": "0"}, answer)
    found = listed(issuer_of(fake), old)
    assert set(found) == {old["fingerprint"], *(() if state in ("DELETING", "DELETED") else ("a",))}
    assert "a" not in found or found["a"].enabled == (state != "INACTIVE")


@pytest.mark.parametrize("options", [{"region": None, "endpoint_url": None}, {"region": "x/y", "endpoint_url": None}])
def test_the_region_of_oracle_is_required(start, options):
    fake = start(FakeOci)
    assert error_of(issuer_of(fake, **options).keys, fake.create_key()) == "invalid"


def test_a_malformed_key_of_oracle(start):
    fake = start(FakeOci)
    old = fake.create_key()
    malformed = {"fingerprint": 'x"', "tenancyId": "a\nb", "userId": "../x", "privateKeyContents": "secret"}
    for part in malformed.items():
        assert error_of(issuer_of(fake).keys, {**old, **dict([part])}) == "invalid" and not fake.seen
    assert error_of(issuer_of(fake).delete, "../x", old) == "invalid" and not fake.seen


def test_a_key_of_exoscale_has_the_role_of_the_current_key(start):
    fake = start(FakeExoscale)
    weak = fake.create_key(role=fake.role("list-instances"))
    assert error_of(issuer_of(fake).issue, weak, MARK) == "forbidden"
    issuer = issuer_of(fake, **fake.administrator())
    new = issue(issuer, weak)
    assert fake.keys[new["apiKey"]].more == fake.keys[weak["apiKey"]].more
    issuer.verify(new, weak)
    assert error_of(issuer.verify, fake.create_key(), weak) == "invalid", "another role"
    blind = fake.create_key(role=fake.role("list-zones"))
    assert error_of(issuer.verify, blind, blind) == "forbidden"
    assert error_of(issuer.issue, fake.create_key(fake.stranger), MARK) == "invalid"
    del fake.keys[weak["apiKey"]]
    issuer.verify(new, weak)


def test_a_credential_of_exoscale_from_before_rancher_2_13(start):
    fake = start(FakeExoscale)
    assert error_of(issuer_of(fake).keys, {"apiSecretKey": "x"}) == "unsupported" and not fake.seen
    assert error_of(issuer_of(fake, zone="x/y", endpoint_url=None).keys, fake.create_key()) == "invalid"


def test_a_key_of_outscale_that_is_not_listed_yet(start):
    fake = start(FakeOutscale)
    old, issuer = fake.create_key(), issuer_of(fake)
    fake.freeze()
    new = issue(issuer, old)
    assert error_of(issuer.verify, new, old) == "refused"
    fake.thaw()
    issuer.verify(new, old)


def test_a_key_of_outscale_keeps_its_expiry(start):
    fake = start(FakeOutscale)
    old = fake.create_key()
    issuer = issuer_of(fake, expiration="30d")
    issued = issuer.issue(old, MARK)
    for change in (issuer.disable, issuer.enable):
        change(issued.key_id, old)
        assert issued.expires_at and listed(issuer, old)[issued.key_id].expires_at == issued.expires_at
    fake.keys[issued.key_id].expires_at = datetime.datetime.now(UTC)
    assert error_of(issuer.verify, {**old, **issued.values}, old) == "refused"
    wrong = issuer_of(fake, **fake.administrator())
    assert error_of(wrong.disable, issued.key_id, old) == "invalid", "user_name is missing"


@pytest.mark.parametrize(("kind", "status", "code"), [
    ("RequestLimitExceeded", 503, "busy"), ("TooManyResources (QuotaExceeded)", 400, "limit"),
    ("LimitExceeded", 400, "limit"), ("AccessDenied", 403, "forbidden"), ("Other", 400, "invalid"),
])
def test_errors_of_outscale(start, kind, status, code):
    fake = start(FakeOutscale)
    content = json.dumps({"Errors": [{"Type": kind}, {"Type": "RequestLimitExceeded"}]}).encode()
    fake.override = lambda seen: (status, {}, content)
    assert error_of(issuer_of(fake).keys, fake.create_key()) == code


INCOMPLETE = [
    (FakeExoscale, {"key": "EXO1"}), (FakeExoscale, {"secret": "x"}),
    (FakeAlibaba, {"RequestId": "0", "AccessKey": {"AccessKeyId": "a"}}),
    (FakeAlibaba, {"RequestId": "0", "AccessKey": {"AccessKeySecret": "a"}}),
    (FakeOtc, {"credential": {"user_id": "rancher", "access": "a"}}),
    (FakeOtc, {"credential": {"user_id": "rancher", "secret": "a"}}),
    (FakeOutscale, {"AccessKey": {"AccessKeyId": "a"}}), (FakeOutscale, {"AccessKey": {"SecretKey": "a"}}),
    (FakePve, {"data": {"full-tokenid": "a"}}), (FakePve, {"data": {"value": ""}}),
]


@pytest.mark.parametrize(("kind", "content"), [pytest.param(*case, id=case[0].issuer) for case in INCOMPLETE])
def test_a_new_key_that_is_incomplete(start, kind, content):
    """It may exist, so that the next run lists the keys."""
    fake = start(kind)
    old = fake.create_key()
    answer = (200, {}, json.dumps(content).encode())
    fake.override = lambda seen: answer if re.search(fake.issuing, fake.describe(seen)) else fake.handle(seen)
    assert error_of(issuer_of(fake).issue, old, MARK) == "unreachable"


REGIONS = [
    (FakeOtc, {"region": "x/y"}, {}), (FakeOtc, {"region": "x" * 41}, {}), (FakeOutscale, {}, {"region": "x/y"}),
    (FakeOutscale, {}, {"region": ""}), (FakeOutscale, {}, {"region": "x" * 41}), (FakeExoscale, {"zone": "x-y-1"}, {}),
]


@pytest.mark.parametrize(
    ("kind", "options", "changes"), [pytest.param(*case, id=case[0].issuer) for case in REGIONS]
)
def test_a_region_that_cannot_be_in_a_host(start, kind, options, changes):
    fake = start(kind)
    issuer = issuer_of(fake, endpoint_url=None, **options)
    assert error_of(issuer.keys, {**fake.create_key(), **changes}) == "invalid" and not fake.seen


def test_the_domain_of_otc(start):
    fake = start(FakeOtc)
    old = fake.create_key()
    assert issuer_of(fake, domain_id="d0").keys(old)
    assert {seen.headers.get("x-domain-id") for seen in fake.seen} == {"d0"}
    assert all("x-domain-id" in seen.headers["authorization"] for seen in fake.seen)


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.issuer) for kind in (FakeAlibaba, FakeOtc)])
def test_the_last_use_of_a_key(start, kind):
    fake = start(kind)
    old = fake.create_key()
    issuer = issuer_of(fake)
    key_id = issuer.key_id(old)
    assert issuer.reports_last_use and listed(issuer, old)[key_id].last_used is None, "never used"
    fake.keys[key_id].used = fake.keys[key_id].created_at + datetime.timedelta(hours=1)
    for each in (issuer, issuer_of(fake, **fake.administrator())):
        assert listed(each, old)[key_id].last_used == fake.keys[key_id].used


def test_the_user_of_alibaba_is_an_option(start):
    """Then nothing is asked about the key in the credential, which does not have to work."""
    fake = start(FakeAlibaba)
    old, administrator = fake.create_key(), fake.administrator()
    del fake.keys[old["accessKeyId"]]
    other = fake.create_key()
    issuer = issuer_of(fake, user_name=fake.principal, **administrator)
    assert set(listed(issuer, old)) == {other["accessKeyId"]}
    assert not listed(issuer_of(fake, user_name=fake.stranger, **administrator), old)


def test_a_credential_of_otc_of_an_old_rancher(start):
    fake = start(FakeOtc)
    assert error_of(issuer_of(fake).keys, {"accessKeySecret": "x"}) == "unsupported" and not fake.seen


CODES = {
    "Throttling.User": (400, "busy"), "NoPermission": (403, "forbidden"),
    "InvalidAccessKeyId.Inactive": (403, "refused"),
    "SignatureDoesNotMatch": (400, "refused"), "ServiceUnavailable": (503, "unreachable"), "Other": (400, "invalid"),
}


@pytest.mark.parametrize("code", CODES)
def test_codes_of_alibaba(start, code):
    fake = start(FakeAlibaba)
    status, expected = CODES[code]
    content = json.dumps({"Code": code, "RequestId": "0"}).encode()
    fake.override = lambda seen: (status, {}, content)
    assert error_of(issuer_of(fake).keys, fake.create_key()) == expected


@pytest.mark.parametrize("code", ["InvalidTimeStamp.Expired", "IllegalTimestamp"])
def test_a_time_that_alibaba_rejects(start, code, monkeypatch):
    monkeypatch.setattr(http, "now", lambda: datetime.datetime.now(UTC) + datetime.timedelta(minutes=20))
    fake = start(FakeAlibaba)
    content = json.dumps({"Code": code, "RequestId": "0"}).encode()
    fake.override = lambda seen: (400, {}, content)
    with pytest.raises(IssuerError, match="the clock of the controller"):
        issuer_of(fake).keys(fake.create_key())


@pytest.mark.parametrize(
    ("kind", "module"),
    [pytest.param(kind, module, id=kind.issuer) for kind, module in (
        (FakeAlibaba, alibaba), (FakeOci, oci), (FakeOtc, otc), (FakeOutscale, outscale),
    )],
)
def test_the_clock_of_the_controller_is_wrong(start, kind, module, monkeypatch):
    fast = datetime.datetime.now(UTC) + datetime.timedelta(minutes=20)
    for part in (http, module):
        monkeypatch.setattr(part, "now", lambda: fast)
    fake = start(kind)
    with pytest.raises(IssuerError, match="the clock of the controller is 20 minutes fast") as caught:
        issuer_of(fake).keys(fake.create_key())
    assert caught.value.code == "invalid"
