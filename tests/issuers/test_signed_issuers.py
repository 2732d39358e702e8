# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Issuers whose providers are fakes that check each request with the secret of its key."""

from __future__ import annotations

import datetime
import json
import logging
import re

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import http, outscale
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.registry import ISSUERS, load_issuer
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.throttle import CallRates
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.verification import verify_key
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError

from support.fakes import cut
from support.providers.alibaba import Alibaba
from support.providers.exoscale import Exoscale
from support.providers.oci import Oci
from support.providers.otc import Otc
from support.providers.outscale import Outscale
from support.providers.pve import Pve

MARK = "ranchhand-cc-7kq2f-g42-e1"
PROVIDERS = {
    "alibaba": Alibaba, "exoscale": Exoscale, "oci": Oci, "otc": Otc, "outscale": Outscale, "pve": Pve,
}


@pytest.fixture(params=PROVIDERS)
def fake(request):
    with PROVIDERS[request.param]() as running:
        running.name = request.param
        yield running


@pytest.fixture(autouse=True)
def no_secret_is_logged(caplog):
    """Everything that is logged while a test runs contains no secret of a key."""
    caplog.set_level(logging.DEBUG)
    yield
    secrets = [text for text in _SECRETS if text in caplog.text]
    _SECRETS.clear()
    assert not secrets


_SECRETS = set()


def issuer_of(fake, **options):
    return load_issuer(fake.name, {**fake.options, **options})


def secret_of(values):
    return values[secret_field(values)]


def secret_field(values):
    return next(name for name in values if re.search("(?i)secret|privateKey", name))


def error_of(call, *arguments):
    """Return the code of an IssuerError whose message contains no secret; "ok" if there is none."""
    for values in arguments:
        if isinstance(values, dict):
            _SECRETS.update(filter(None, [secret_of(values)]))
    try:
        call(*arguments)
    except IssuerError as error:
        assert not [text for text in _SECRETS if text in error.message or text in repr(error)], error.message
        assert "\n" not in error.message
        return error.code
    return "ok"


def issue(issuer, by):
    """Issue a key and make it valid; returns all fields of the credential with it."""
    issued = issuer.issue(by, MARK)
    new = {**by, **issued.values}
    assert set(issued.values) == set(issuer.fields) == set(ISSUERS[_name(issuer)].fields)
    assert issued.key_id == issuer.key_id(new) == issuer.identify(new, new)
    assert secret_of(new) not in repr(issued)
    _SECRETS.add(secret_of(new))
    if issuer.generates_locally:
        assert error_of(issuer.verify, new, by) == "refused" and issued.key_id not in listed(issuer, by)
        issuer.activate(issued.values, by)
    return new


def _name(issuer):
    return next(name for name, entry in ISSUERS.items() if entry.class_name == type(issuer).__name__)


def listed(issuer, by):
    return {key.id: key for key in issuer.keys(by)}


def verified(fake, values):
    """Return the code of a sign-in before a value is stored."""
    options = {name: value for name, value in fake.options.items() if name != "propagation"}
    return error_of(lambda stored: verify_key(fake.name, stored, options, CallRates(1000)), values)


def test_life_of_a_key(fake):
    issuer, old = issuer_of(fake), fake.create()
    assert issuer.disables == ISSUERS[fake.name].disables
    before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    new = issue(issuer, old)
    assert error_of(issuer.verify, new, old) == error_of(issuer.verify, old, old) == verified(fake, new) == "ok"
    keys = listed(issuer, new)
    old_id, new_id = issuer.key_id(old), issuer.key_id(new)
    assert set(keys) == {old_id, new_id} and keys[new_id].enabled
    assert keys[new_id].mark == (MARK if issuer.marks else None) and keys[old_id].mark is None
    assert keys[new_id].created_at is None or keys[new_id].created_at >= before
    if issuer.disables:
        for _twice in range(2):
            issuer.disable(old_id, new)
        assert not listed(issuer, new)[old_id].enabled
        assert error_of(issuer.verify, old, new) == verified(fake, old) == "refused"
        for _twice in range(2):
            issuer.enable(old_id, new)
        assert error_of(issuer.verify, old, new) == "ok"
    issuer.delete(old_id, new)
    assert set(listed(issuer, new)) == {new_id}
    assert error_of(issuer.verify, old, new) == verified(fake, old) == "refused"
    assert error_of(issuer.verify, new, old) == "ok", "the key in the credential may be deleted already"
    assert error_of(issuer.keys, old) == "refused"


def test_an_administrator_manages_the_keys(fake):
    old = fake.create()
    issuer = issuer_of(fake, **fake.administrator(), **getattr(fake, "user_option", {}))
    new = issue(issuer, old)
    assert error_of(issuer.verify, new, old) == "ok"
    issuer.delete(issuer.key_id(old), new)
    assert issuer.key_id(new) in listed(issuer, new) and issuer.key_id(old) not in listed(issuer, new)


def test_a_wrong_secret(fake):
    issuer, right = issuer_of(fake), fake.create()
    wrong = {**right, secret_field(right): secret_of(fake.create("other@pve"))}
    assert error_of(issuer.verify, wrong, right) == error_of(issuer.keys, wrong) == verified(fake, wrong) == "refused"
    assert error_of(lambda by: issuer.issue(by, MARK), wrong) in ("refused", "ok" if issuer.generates_locally else "")
    assert verified(fake, {**right, secret_field(right): ""}) == "invalid"


def test_keys_of_others(fake):
    """Nothing that belongs to another principal is changed, and no success is reported for it."""
    issuer, mine, other = issuer_of(fake), fake.create(), fake.create("other@pve")
    other_id = issuer.key_id(other)
    for change in (issuer.delete, *((issuer.disable, issuer.enable) if issuer.disables else ())):
        assert error_of(change, other_id, mine) in ("invalid", "forbidden")
        assert fake.keys[other_id].enabled
    assert other_id not in listed(issuer, mine)
    assert error_of(issuer.verify, other, mine) in ("invalid", "refused")


def test_a_key_is_not_known_everywhere_at_once(fake):
    issuer, old = issuer_of(fake), fake.create()
    fake.freeze()
    fake.delay = 0.4
    new = issue(issuer, old)
    assert error_of(issuer.verify, new, old) == "refused"
    assert issuer.key_id(new) not in listed(issuer, old), "the list lags"
    fake.thaw()
    fake.delay = 0.0
    assert error_of(issuer.verify, new, old) == "ok" and issuer.key_id(new) in listed(issuer, old)


def test_the_limit(fake):
    issuer, old = issuer_of(fake), fake.create()
    assert issuer.limit == fake.limit
    for _key in range((fake.limit or 5) - 1):
        issue(issuer, old)
    assert error_of(lambda by: issue(issuer, by), old) == ("limit" if fake.limit else "ok")
    assert len(listed(issuer, old)) == (fake.limit or 6)


def test_no_answer(fake):
    issuer, old = issuer_of(fake), fake.create()
    new = issue(issuer, old)
    fake.override = cut
    calls = [(issuer.keys, new), (issuer.verify, new, old), (issuer.delete, issuer.key_id(old), new)]
    if not issuer.generates_locally:
        calls.append((issuer.issue, old, MARK))
    assert {error_of(*call) for call in calls} == {"unreachable"} and verified(fake, new) == "unreachable"


STATUSES = {429: "busy", 500: "unreachable", 503: "unreachable", 302: "invalid", 404: "invalid"}


@pytest.mark.parametrize("status", STATUSES)
def test_statuses(fake, status):
    issuer, old = issuer_of(fake), fake.create()
    body = b'{"message": "%s"}' % secret_of(old).encode()[:30]
    fake.override = lambda seen: (status, {"Location": "https://elsewhere.invalid/"}, body)
    assert error_of(issuer.keys, old) in (STATUSES[status], "forbidden" if status == 404 else "")
    fake.override = lambda seen: (200, {}, b'"Sign in"')
    assert error_of(issuer.keys, old) == "unreachable", "not the provider"
    fake.override = lambda seen: (200, {}, b"{}")
    assert error_of(issuer.keys, old) == "unreachable"


def test_options(fake):
    for options in (
        {"unknown": 1}, {"sign_in": "default"}, {"sign_in": "given"}, {"propagation": "soon"}, {"propagation": 1},
        {next(name for name in fake.administrator() if name != "sign_in"): "x"},
    ):
        with pytest.raises(IssuerError) as caught:
            issuer_of(fake, **options)
        assert caught.value.code == "invalid"
    issuer = issuer_of(fake, **fake.administrator())
    assert not set(issuer.recorded_options) & {name for name in fake.administrator() if name != "sign_in"}


def test_a_token_of_proxmox_gets_the_roles_of_the_current_token():
    with Pve() as fake:
        fake.name = "pve"
        old = fake.create(privsep=1)
        fake.grant("token", old["tokenId"], "RancherMachines", "/vms")
        fake.grant("user", "rancher@pve", "RancherMachines", "/vms")
        assert error_of(lambda by: issuer_of(fake).issue(by, MARK), old) == "forbidden", "it may not manage tokens"
        fake.grant("token", old["tokenId"], "ManageTokens")
        assert error_of(lambda by: issuer_of(fake).issue(by, MARK), old) == "forbidden", "it cannot read its entries"
        assert len(fake.keys) == 1
        issuer = issuer_of(fake, **fake.administrator())
        new = issue(issuer, old)
        assert fake.privileges(new["tokenId"]) == fake.privileges(old["tokenId"])
        assert error_of(issuer.verify, new, old) == "ok"
        fake.acl = [entry for entry in fake.acl if (entry["ugid"], entry["path"]) != (new["tokenId"], "/vms")]
        assert error_of(issuer.verify, new, old) == "forbidden", "it has fewer privileges"


@pytest.mark.parametrize("answer", ["refused", "lost"])
def test_a_token_of_proxmox_without_its_roles_is_deleted(answer):
    with Pve() as fake:
        fake.name = "pve"
        old = fake.create(privsep=1)
        fake.grant("token", old["tokenId"], "RancherMachines", "/vms")
        issuer = issuer_of(fake, **fake.administrator())
        if answer == "lost":
            fake.lose("PUT .*/access/acl")
        else:
            fake.grantable = False
        code = error_of(lambda by: issuer.issue(by, MARK), old)
        assert code == ("unreachable" if answer == "lost" else "forbidden")
        assert old["tokenId"] in fake.keys and not [key for key in fake.keys.values() if key.mark]


def test_an_expiring_token_of_proxmox():
    with Pve() as fake:
        fake.name = "pve"
        old = fake.create()
        issuer = issuer_of(fake, expiration="1h")
        issued = issuer.issue(old, MARK)
        left = issued.expires_at - datetime.datetime.now(datetime.timezone.utc)
        assert datetime.timedelta(minutes=59) < left <= datetime.timedelta(hours=1)
        assert listed(issuer, old)[issued.key_id].expires_at == issued.expires_at
        fake.keys[issued.key_id].expires_at = datetime.datetime.now(datetime.timezone.utc)
        assert error_of(issuer.verify, {**old, **issued.values}, old) == "refused"


def test_a_key_of_oracle_whose_upload_got_no_answer():
    with Oci() as fake:
        fake.name = "oci"
        issuer, old = issuer_of(fake), fake.create()
        issued = issuer.issue(old, MARK)
        assert not [seen for seen in fake.seen if seen.method == "POST"], "the value can be kept first"
        fake.lose("POST")
        assert error_of(lambda values: issuer.activate(values, old), dict(issued.values)) == "unreachable"
        issuer.activate(issued.values, old)
        fake.forget_answers()
        issuer.activate(issued.values, old)
        assert set(listed(issuer, old)) == {old["fingerprint"], issued.key_id} == set(fake.keys)
        assert error_of(issuer.verify, {**old, **issued.values}, old) == "ok"


@pytest.mark.parametrize("options", [{"region": None, "endpoint_url": None}, {"region": "x/y", "endpoint_url": None}])
def test_the_region_of_oracle_is_required(options):
    with Oci() as fake:
        fake.name = "oci"
        assert error_of(issuer_of(fake, **options).keys, fake.create()) == "invalid"


def test_a_malformed_key_of_oracle():
    with Oci() as fake:
        fake.name = "oci"
        old = fake.create()
        malformed = {"fingerprint": 'x"', "tenancyId": "a\nb", "userId": "../x", "privateKeyContents": "secret"}
        for part in malformed.items():
            assert error_of(issuer_of(fake).keys, {**old, **dict([part])}) == "invalid" and not fake.seen


def test_a_key_of_exoscale_has_the_role_of_the_current_key():
    with Exoscale() as fake:
        fake.name = "exoscale"
        weak = fake.create(role=fake.role("list-instances"))
        assert error_of(lambda by: issuer_of(fake).issue(by, MARK), weak) == "forbidden"
        issuer = issuer_of(fake, **fake.administrator())
        new = issue(issuer, weak)
        assert fake.keys[new["apiKey"]].more == fake.keys[weak["apiKey"]].more and verified(fake, new) == "ok"
        assert error_of(issuer.verify, fake.create(), weak) == "invalid", "another role"
        blind = fake.create(role=fake.role("list-zones"))
        assert verified(fake, blind) == "forbidden"
        elsewhere = fake.create("other")
        assert error_of(lambda by: issuer.issue(by, MARK), elsewhere) == "invalid"


def test_a_credential_of_exoscale_from_before_rancher_2_13():
    with Exoscale() as fake:
        fake.name = "exoscale"
        old = {"apiSecretKey": "canary-of-a-key"}
        assert error_of(issuer_of(fake).keys, old) == verified(fake, old) == "unsupported" and not fake.seen
        assert error_of(issuer_of(fake, zone="x/y", endpoint_url=None).keys, fake.create()) == "invalid"


def test_a_key_of_outscale_keeps_its_expiry():
    with Outscale() as fake:
        fake.name = "outscale"
        old = fake.create()
        issuer = issuer_of(fake, expiration="30d")
        issued = issuer.issue(old, MARK)
        for change in (issuer.disable, issuer.enable):
            change(issued.key_id, old)
            assert issued.expires_at and listed(issuer, old)[issued.key_id].expires_at == issued.expires_at
        fake.powerless.add("rancher@pve")
        assert error_of(issuer.delete, issued.key_id, old) == "forbidden" and fake.keys[issued.key_id].enabled
        fake.keys[issued.key_id].expires_at = datetime.datetime.now(datetime.timezone.utc)
        assert error_of(issuer.verify, {**old, **issued.values}, old) == "refused"
        wrong = issuer_of(fake, **fake.administrator())
        assert error_of(wrong.disable, issued.key_id, old) == "invalid", "user_name is missing"


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.__name__) for kind in (Alibaba, Otc)])
def test_the_last_use_of_a_key(kind):
    with kind() as fake:
        fake.name = kind.__name__.lower()
        old = fake.create()
        issuer = issuer_of(fake)
        key_id = issuer.key_id(old)
        assert issuer.reports_last_use and listed(issuer, old)[key_id].last_used is None, "never used"
        fake.keys[key_id].used = fake.keys[key_id].created_at + datetime.timedelta(hours=1)
        assert listed(issuer, old)[key_id].last_used == fake.keys[key_id].used


def test_a_disabled_key_of_otc_keeps_its_mark():
    with Otc() as fake:
        fake.name = "otc"
        old = fake.create()
        issuer = issuer_of(fake)
        new = issue(issuer, old)
        issuer.disable(new["accessKey"], old)
        assert listed(issuer, old)[new["accessKey"]].mark == MARK
        stored = {"accessKeySecret": "canary-of-a-key"}
        assert error_of(issuer.keys, stored) == verified(fake, stored) == "unsupported", "of an old Rancher"


CODES = {
    "Throttling.User": (400, "busy"), "NoPermission": (403, "forbidden"),
    "InvalidAccessKeyId.Inactive": (403, "refused"),
    "SignatureDoesNotMatch": (400, "refused"), "ServiceUnavailable": (503, "unreachable"), "Other": (400, "invalid"),
}


@pytest.mark.parametrize("code", CODES)
def test_codes_of_alibaba(code):
    with Alibaba() as fake:
        fake.name = "alibaba"
        status, expected = CODES[code]
        content = json.dumps({"Code": code, "RequestId": "0"}).encode()
        fake.override = lambda seen: (status, {}, content)
        assert verified(fake, fake.create()) == expected


def test_the_clock_of_the_controller_is_wrong(monkeypatch):
    fast = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=10)
    for module in (http, outscale):
        monkeypatch.setattr(module, "now", lambda: fast)
    with Outscale() as fake:
        fake.name = "outscale"
        with pytest.raises(IssuerError, match="the clock of the controller is 10 minutes fast") as caught:
            issuer_of(fake).keys(fake.create())
        assert caught.value.code == "invalid"
