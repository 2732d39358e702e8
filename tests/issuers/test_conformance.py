# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of issuers, for each issuer at a fake of its provider: what every issuer and every fake must do.

To add an issuer: derive a fake from support.providers.fake_provider.FakeProvider, which lists what it must implement
and what tests set, and add its class to support.providers.all_fakes. What the issuer cannot do (disable keys, marks, a
limit) is left out by the attributes of its class and of the fake. What only this provider has is tested in a file of
its own. A key that is generated here is created by activate(), all others by issue().
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import logging
import re
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils import _issuers
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.times import parse_duration
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.registry import (
    ISSUERS,
    default_issuer,
    load_issuer,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.throttle import CallRates
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.verification import VERIFIERS, verify_key
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuedKey, IssuerError

import support
from support.fakes import cut
from support.providers.all_fakes import FAKES
from support.providers.fake_provider import CONSOLE, intercept, record_deadlines

MARK = "ranchhand-cc-7kq2f-g42-e1"
UNKNOWN = "11111111-2222-3333-4444-555555555555"


def named(*fakes):
    return [pytest.param(fake, id=fake.issuer) for fake in fakes]


every = pytest.mark.parametrize("kind", named(*FAKES))


class Account:
    """A principal at a fake whose credential was never rotated, and its issuer."""

    def __init__(self, fake):
        self.fake = fake
        self.stored = fake.create_key()
        self.first = next(iter(fake.keys))
        self.issuer = fake.load()
        self.secrets = [*fake.secrets_of(self.stored), *fake.secret_options.values()]
        self._generated = None

    @property
    def old(self):
        return {name: self.stored[name] for name in self.issuer.fields}

    @property
    def listed(self):
        return {key.id: key for key in self.issuer.keys(self.stored)}

    def use_administrator(self):
        """Let another principal manage the keys; returns its options."""
        options = self.fake.administrator()
        self.secrets += [str(options[name]) for name in set(options) - {"sign_in"}]
        self.issuer = self.fake.load(**self.fake.administrator_options, **options)
        return options

    def issue(self):
        issued = self.issuer.issue(self.stored, MARK)
        self.secrets += self.fake.secrets_of({**self.stored, **issued.values})
        if self.issuer.generates_locally:
            self.issuer.activate(issued.values, self.stored)
        return issued

    def creation(self, stored=None):
        """Return the method that creates a key at the provider, and its arguments."""
        stored = self.stored if stored is None else stored
        if not self.issuer.generates_locally:
            return "issue", stored, MARK
        if self._generated is None:
            self._generated = self.issuer.issue(self.stored, MARK).values
            self.secrets += self.fake.secrets_of({**self.stored, **self._generated})
        return "activate", self._generated, stored

    def verified(self, values):
        """Sign in with a value before it is stored; returns the code, "ok" if it is accepted."""
        driver = self.fake.driver
        options = {name: value for name, value in self.issuer.options.items() if name in VERIFIERS[driver].options}
        try:
            if default_issuer(driver) != self.fake.issuer:
                self.issuer.verify(values, values)
            else:
                verify_key(driver, values, options, CallRates(1000))
        except IssuerError as error:
            assert not [secret for secret in self.secrets if secret in error.message], error.message
            return error.code
        return "ok"

    def refusal(self, method, *arguments):
        """Call a method that must fail; returns the error, which must not show a secret."""
        with pytest.raises(IssuerError) as caught:
            getattr(self.issuer, method)(*arguments)
        shown = repr(caught.value) + str(caught.value.__cause__) + caught.value.message
        assert not [secret for secret in self.secrets if secret in shown], shown
        assert "\n" not in caught.value.message
        return caught.value


@pytest.fixture
def account(kind, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)  # of libraries too
    with kind(tmp_path) as fake:
        account = Account(fake)
        yield account
        assert not [secret for secret in account.secrets if secret in caplog.text]


@every
def test_the_life_of_a_key(account):
    issuer = account.issuer
    assert issuer.identify(account.old, account.stored) == account.first, "of a credential that was never rotated"
    assert set(account.listed) == {account.first} and account.listed[account.first].enabled
    issuer.verify(account.old, account.stored)
    issued = account.issue()
    assert isinstance(issued, IssuedKey) and set(issued.values) == set(issuer.fields)
    assert not [secret for secret in account.secrets if secret in repr(issued)]
    assert issued.values != account.old and all(isinstance(text, str) for text in issued.values.values())
    assert set(account.listed) == {account.first, issued.key_id} == set(account.fake.keys)
    if issuer.marks:
        assert account.listed[issued.key_id].mark == MARK != account.listed[account.first].mark
    new = {**account.stored, **issued.values}
    assert issuer.identify(issued.values, new) == issued.key_id
    assert issuer.key_id(issued.values) in (issued.key_id, None), "without a request"
    issuer.verify(issued.values, account.stored)
    issuer.verify(issued.values, new)
    assert account.verified(new) == account.verified(account.stored) == "ok"
    issuer.delete(account.first, new)
    assert set(account.fake.keys) == {issued.key_id}
    assert account.refusal("verify", account.old, new).code == account.verified(account.stored) == "refused"
    assert account.refusal("keys", account.stored).code == ("refused" if account.fake.signs_in else "invalid")
    issuer.verify(issued.values, new)
    issuer.verify(issued.values, account.stored)


@pytest.mark.parametrize("kind", named(*(fake for fake in FAKES if not fake.shows_secrets)))
def test_a_secret_is_returned_once(account):
    issued = account.issue()
    new = {**account.stored, **issued.values}
    account.issuer.verify(issued.values, new)
    assert issued.key_id in account.listed and issued.key_id in {key.id for key in account.issuer.keys(new)}
    sent = b"".join(account.fake.sent)
    assert not [secret for secret in account.secrets if sent.count(secret.encode()) > 1]
    assert not [secret for secret in account.fake.secrets_of(account.stored) if secret.encode() in sent]


@pytest.mark.parametrize("kind", named(*(fake for fake in FAKES if ISSUERS[fake.issuer].disables)))
def test_a_key_is_disabled_and_enabled(account):
    issuer, issued = account.issuer, account.issue()
    new = {**account.stored, **issued.values}
    for _again in range(2):
        issuer.disable(account.first, new)
        assert [key.id for key in issuer.keys(new) if not key.enabled] == [account.first]
        assert account.refusal("verify", account.old, new).code == account.verified(account.stored) == "refused"
    assert {key.mark for key in issuer.keys(new) if key.id == issued.key_id} == {MARK if issuer.marks else None}
    for _again in range(2):
        issuer.enable(account.first, new)
        issuer.verify(account.old, new)
    for change in (issuer.disable, issuer.enable):
        change(issued.key_id, account.stored)
        assert account.listed[issued.key_id].mark == (MARK if issuer.marks else None), "it is kept"


@every
def test_what_the_issuer_cannot_do(account):
    """The registry, the class and the fake agree on what a test leaves out."""
    issuer = account.issuer
    assert (issuer.disables, issuer.fields) == (
        ISSUERS[account.fake.issuer].disables, ISSUERS[account.fake.issuer].fields
    )
    assert issuer.limit == account.fake.limit
    if not issuer.disables:
        for method in ("disable", "enable"):
            with pytest.raises(NotImplementedError):
                getattr(issuer, method)(account.first, account.stored)
    issued = account.issue()
    key = account.listed[issued.key_id]
    assert issuer.marks or key.mark is None
    assert issuer.reports_last_use or key.last_used is None


@every
def test_an_administrator_manages_the_keys(account):
    secret = set(account.use_administrator()) - {"sign_in"}
    assert secret and not secret.intersection(account.issuer.recorded_options), "the record shows its options"
    assert set(account.fake.administrator_options) <= set(account.issuer.recorded_options)
    issued = account.issue()
    new = {**account.stored, **issued.values}
    account.issuer.verify(issued.values, account.stored)
    assert {account.first, issued.key_id} <= set(account.listed)
    account.issuer.delete(account.first, new)
    assert account.first not in account.fake.keys and issued.key_id in account.fake.keys
    account.issuer.verify(issued.values, account.stored)


@every
def test_an_administrator_whose_key_was_deleted(account):
    """The key in the credential is not used instead."""
    account.use_administrator()
    account.fake.revoke(set(account.fake.keys) - {account.first})
    assert account.refusal("keys", account.stored).code == "refused"


@pytest.mark.parametrize("kind", named(*(fake for fake in FAKES if fake.limit)))
def test_the_limit(account):
    account.fake.fill()
    before = set(account.fake.keys)
    assert account.refusal(*account.creation()).code == "limit"
    assert set(account.fake.keys) == before and len(account.listed) == account.issuer.limit


@every
def test_a_lost_reply_is_not_repeated(account):
    """The key exists, and its secret is lost. A list shows it."""
    method, *arguments = account.creation()
    account.fake.lose(account.fake.issuing)
    assert account.refusal(method, *arguments).code == "unreachable"
    orphan, = set(account.fake.keys) - {account.first}
    assert set(account.listed) == {account.first, orphan}
    assert not account.issuer.marks or account.listed[orphan].mark == MARK
    if account.issuer.generates_locally:
        account.issuer.activate(*arguments)
        assert set(account.fake.keys) == {account.first, orphan}, "the same value may be activated again"
    account.issuer.delete(orphan, account.stored)
    assert set(account.fake.keys) == {account.first}


@every
def test_too_many_requests(account):
    """The provider performed nothing, so that the call may be repeated; the issuer itself repeats nothing."""
    for method, arguments in calls(account):
        account.fake.override = refuse_with(429)
        before = len(account.fake.seen)
        assert account.refusal(method, *arguments).code == "busy", method
        assert len(account.fake.seen) == before + 1
        account.fake.override = None
    assert set(account.fake.keys) == {account.first}


@every
def test_a_permission_is_missing(account):
    account.fake.forbidden = True
    if account.fake.self_service:
        assert set(account.listed) == {account.first}, "the provider always allows this"
        account.use_administrator()
        account.first = next(iter(account.fake.keys))
    before = set(account.fake.keys)
    for method, arguments in calls(account):
        if method not in ("verify", *account.fake.unrestricted):
            assert account.refusal(method, *arguments).code == "forbidden", method
    assert set(account.fake.keys) == before and account.fake.keys[account.first].enabled


@every
def test_a_key_that_is_not_of_this_principal(account):
    """Success would be reported for a key that still works, as the options may be those of another account."""
    other = account.fake.create_key(account.fake.stranger)
    account.secrets += account.fake.secrets_of(other)
    foreign, = set(account.fake.keys) - {account.first}
    for method in ("disable", "enable", "delete") if account.issuer.disables else ("delete",):
        for key_id in (foreign, UNKNOWN, "../x"):
            assert account.refusal(method, key_id, account.stored).code in ("invalid", "forbidden")
    assert set(account.fake.keys) == {account.first, foreign}
    assert all(key.enabled for key in account.fake.keys.values())
    assert set(account.listed) == {account.first}
    values = {name: other[name] for name in account.issuer.fields}
    assert account.refusal("verify", values, account.stored).code in ("invalid", "refused")


@every
def test_a_wrong_secret(account):
    other = account.fake.create_key()
    wrong = account.fake.mix(account.stored, other)
    account.secrets += account.fake.secrets_of(wrong)
    assert account.refusal("verify", {name: wrong[name] for name in account.issuer.fields}, wrong).code == "refused"
    assert account.verified(wrong) == "refused"
    if account.fake.signs_in:
        assert account.refusal("keys", wrong).code == account.refusal(*account.creation(wrong)).code == "refused"
    assert account.verified({**account.stored, account.fake.secret_field: ""}) == "invalid"


def change(part, seen):
    """Return a request of which a part was changed so that the provider would understand it nevertheless."""
    if part == "query":
        return seen._replace(path=f"{seen.path}{'&' if '?' in seen.path else '?'}x=1")
    if part == "body":
        return seen._replace(body=seen.body + b" ")
    value = re.sub(r"[0-9](?=[^0-9]*$)", lambda digit: str((int(digit[0]) + 1) % 10), seen.headers[part])
    assert value != seen.headers[part], part
    return seen._replace(headers={**seen.headers, part: value})


@every
def test_a_request_that_is_changed_on_its_way(account):
    """The fake notices it in each part that the provider has signed, so that an issuer that signs less cannot pass."""
    for part in account.fake.signed:
        account.fake.change = partial(change, part)
        assert account.refusal(*account.creation()).code == account.fake.changed.get(part, "refused"), part
    assert set(account.fake.keys) == {account.first}
    account.fake.change = None
    method, *arguments = account.creation()
    getattr(account.issuer, method)(*arguments)
    assert len(account.fake.keys) == 2


@every
def test_a_new_key_that_is_not_known_everywhere_yet(account):
    account.fake.replicas = (False, False)
    issued = account.issue()
    for _attempt in range(2):
        assert account.refusal("verify", issued.values, account.stored).code == "refused"
    account.issuer.verify(issued.values, account.stored)


@pytest.mark.parametrize("kind", named(*(fake for fake in FAKES if fake.lags)))
def test_replicas_that_disagree_about_a_new_key(account):
    """One success is not enough: the next request may reach another replica."""
    account.fake.replicas = (False, True, False, True, True)
    issued = account.issue()
    assert account.refusal("verify", issued.values, account.stored).code == "refused"
    assert account.refusal("verify", issued.values, account.stored).code == "refused"
    account.issuer.verify(issued.values, account.stored)


@every
def test_lists_that_lag_behind(account):
    account.fake.freeze()
    issued = account.issue()
    assert set(account.listed) == {account.first}
    account.fake.thaw()
    assert set(account.listed) == {account.first, issued.key_id}


ANSWERS = {
    "a portal": (200, b"<html>Sign in</html>"), "an empty object": (200, b"{}"), "a list": (200, b"[]"),
    "a text": (200, b'"x"'), "members of other types": (200, json.dumps(
        dict.fromkeys("""access_token keys data value privateKeyData token key secretText AccessKey AccessKeys
            RequestId api-keys credential credentials fingerprint id instances role-id secret state""".split(), 1)
    ).encode()), "nothing": (204, b""), "an error": (503, b"{}"), "an error without an object": (400, b'{"error": 1}'),
}


@every
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_answers_of_another_server(account, answer):
    """No key was issued, and a request that changes something may have been performed."""
    status, content = answer
    for method, arguments in calls(account):
        if method == "delete" and answer == ANSWERS["an empty object"]:
            continue  # what some providers answer to a deletion
        account.fake.override = lambda seen: (status, {}, content)
        code = account.refusal(method, *arguments).code
        assert code == "unreachable" if status < 300 or status >= 500 else code in ("invalid", "unreachable"), method
        account.fake.override = None


def with_numbers(content, kind, nested=False):
    """Return the content of an answer with a number instead of what its lists contain, or instead of inner objects."""
    if kind is list and isinstance(content, list):
        return [1]
    if kind is dict and nested and isinstance(content, dict):
        return 1
    if isinstance(content, dict):
        return {name: with_numbers(value, kind, nested=True) for name, value in content.items()}
    return [with_numbers(item, kind, nested) for item in content] if isinstance(content, list) else content


@every
@pytest.mark.parametrize("of", [list, dict])
def test_numbers_in_answers(account, of):
    method, *arguments = account.creation()
    account.fake.override = lambda seen: account.fake.handle_changed(seen, partial(with_numbers, kind=of))
    if of is list:
        assert account.refusal("keys", account.stored).code == "unreachable"
    with contextlib.suppress(IssuerError):  # not all answers contain lists and inner objects
        getattr(account.issuer, method)(*arguments)


@every
def test_a_redirect_is_not_followed(account):
    account.fake.override = lambda seen: (302, {"Location": account.fake.url}, b"{}")
    for method, arguments in calls(account):
        before = len(account.fake.seen)
        assert account.refusal(method, *arguments).code == "invalid", method
        assert len(account.fake.seen) == before + 1


@every
@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_no_answer_is_shown(account, status):
    """A provider may quote what was sent, with the secrets in it."""
    def answer(seen):
        quoted = json.dumps([seen.headers, seen.body.decode(errors="replace"), seen.path, account.secrets])
        content = {"error": quoted, "error_description": quoted, "message": quoted, "errors": [{"reason": quoted}]}
        return status, {"Content-Type": "application/json"}, json.dumps(content).encode()

    for method, arguments in calls(account):
        account.fake.override = answer
        account.refusal(method, *arguments)
        account.fake.override = None


@every
def test_no_connection(account):
    account.fake.override = cut
    for method, arguments in calls(account):
        assert account.refusal(method, *arguments).code == "unreachable", method


def test_every_fake_is_here():
    """Except for accounts of vCenter, which are never created or deleted and have one password, so that a rotation of
    them is another one (test_issuer_vmwarevsphere), for keys that are only verified (test_verification), and for stores
    (test_external_stores). All other issuers are tested at real servers.
    """
    folder = Path(support.__file__).parent / "providers"
    others = {"fake_key_vault", "fake_provider", "fake_providers", "fake_secret_manager", "fake_vcenter"}
    assert {file.stem for file in folder.glob("fake_*.py")} == {
        f"fake_{fake.issuer}" for fake in FAKES if not fake.is_real
    } | others
    assert set(ISSUERS) == {fake.issuer for fake in FAKES} | {
        "aws", "kubernetes", "openstack", "supplied", "vmwarevsphere",
    }


# Issuers whose options decide whether they disable keys.
DISABLING = {"minio": "with `given`", "vmwarevsphere": "with `accounts`"}


def test_the_documentation_lists_what_issuers_can_do():
    page = (Path(__file__).parents[2] / "docs" / "issuers.md").read_text(encoding="utf-8")
    table = page.partition("| Issuer | Issue | Verify |")[2].partition("\n\n")[0]
    rows = {row[0].strip("` "): [cell.strip() for cell in row[1:]] for row in (
        line.strip("| ").split(" | ") for line in table.splitlines()[2:]
    )}
    assert set(rows) == set(ISSUERS) - {"supplied"}
    counterparts = {name for name, row in rows.items() if row[-1].startswith("a fake")}
    assert counterparts == {fake.issuer for fake in FAKES if not fake.is_real} | {"vmwarevsphere"}
    for name, (creation, verification, disabling, use, mark, counterpart) in rows.items():
        issuer = getattr(importlib.import_module(f"{_issuers.__name__}.{name}"), ISSUERS[name].class_name)
        generates = issuer.generates_locally
        assert creation == ("generated here" if generates else "yes") and verification == "yes"
        assert disabling == DISABLING.get(name, "yes" if issuer.disables else "no")
        assert use == ("yes" if issuer.reports_last_use else "no")
        assert mark.startswith("`") if issuer.marks else mark == ("not needed" if generates else "no"), name
        signs = name == "google" or any("body" in fake.signed for fake in FAKES if fake.issuer == name)
        assert signs == (counterpart == "a fake that checks signatures"), name


@every
def test_options(account):
    fake = account.fake
    secret = next(name for name in fake.administrator() if name != "sign_in")
    wrong = [
        ({"no_such_option": "x"}, f"issuer {fake.issuer} has no option no_such_option"),
        ({"sign_in": "given", secret: None}, "sign_in: given requires"),
        ({"propagation": "soon"}, "propagation"), ({"propagation": 1}, "propagation"),
        ({"sign_in": "twice"}, f"sign_in must be one of {'rotating, ' if fake.signs_in else ''}given"),
    ]
    for options, words in [*wrong, ({secret: "x"}, "require sign_in: given")] if fake.signs_in else wrong:
        with pytest.raises(IssuerError) as caught:
            fake.load(**options)
        assert caught.value.code == "invalid" and words in caught.value.message
    for options in ({}, {"sign_in": "rotating"}) if fake.signs_in else ({"sign_in": "given", **fake.secret_options},):
        load_issuer(fake.issuer, options)
    for values in ({}, dict.fromkeys(account.stored, ""), dict.fromkeys(account.stored, "x\ny")):
        for method, arguments in calls(account, values):
            assert account.refusal(method, *arguments).code in ("invalid", "refused"), method


@every
def test_an_outage_during_a_call(account):
    """Each request is needed: without its answer, the result is not known."""
    issued = account.issue()
    new = {**account.stored, **issued.values}
    for method, *arguments in (
        ("identify", account.old, new), ("keys", new), ("verify", issued.values, account.stored),
        *((name, account.first, new) for name in ("disable", "enable") if account.issuer.disables),
        ("delete", account.first, new), account.creation(new),
    ):
        assert_each_request_is_needed(account, method, arguments)


def assert_each_request_is_needed(account, method, arguments):
    for number in itertools.count():
        sent = itertools.count()
        account.fake.override = lambda seen: (
            (503, {}, b"{}") if next(sent) == number else account.fake.handle(seen)
        )
        try:
            getattr(account.issuer, method)(*arguments)
        except IssuerError as error:
            assert error.code == "unreachable", (method, number)
        else:
            break
    account.fake.override = None
    assert next(sent) <= number + (method in account.fake.lenient), f"{method} succeeded without an answer to a request"


@pytest.mark.parametrize(
    "kind", named(*(fake for fake in FAKES if fake.issuer not in ("ceph", "exoscale", "minio", "pve")))
)
def test_when_a_key_was_created(account):
    assert account.listed[account.first].created_at.replace(microsecond=0) == CONSOLE


@pytest.mark.parametrize(
    "kind", named(*(fake for fake in FAKES if fake.issuer not in ("alibaba", "ceph", "google", "oci")))
)
def test_a_mark_that_is_no_text(account):
    for mark, shown in ((5, (None, "5")), (None, (None,))):
        account.fake.keys[account.first].mark = mark
        assert account.listed[account.first].mark in shown


@every
def test_a_key_that_vanishes_while_keys_are_listed(account):
    account.fake.create_key()
    vanished = next(key_id for key_id in account.fake.keys if key_id != account.first)
    account.fake.freeze()
    del account.fake.keys[vanished]
    assert set(account.listed) == {account.first, vanished}


@every
def test_all_requests_of_a_call_share_a_deadline(account, monkeypatch):
    """Otherwise a call could take longer than CALL_TIMEOUT, and a run that takes the rotation over waits for less."""
    deadlines = record_deadlines(monkeypatch)
    issued = account.issue()
    new = {**account.stored, **issued.values}
    changes = ("disable", "enable", "delete") if account.issuer.disables else ("delete",)
    for method, *arguments in [
        ("verify", issued.values, account.stored), ("keys", new), *((name, account.first, new) for name in changes),
    ]:
        assert len(deadlines) == 1, f"before {method}"
        deadlines.clear()
        getattr(account.issuer, method)(*arguments)
    assert len(deadlines) == 1


@pytest.mark.parametrize("name", sorted(set(ISSUERS) - {"supplied"}))
def test_the_documentation_lists_the_options(name):
    page = (Path(__file__).parents[2] / "docs" / "issuers.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0].partition("\n### ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    documented = {option: row[1:] for row in rows for option in re.findall("`([a-z_]*[a-z])`", row[0])}
    with pytest.raises(IssuerError) as caught:
        load_issuer(name, {"no_such_option": "x"})
    allowed = set(caught.value.message.partition("allowed are ")[2].split(", "))
    prefixed = {f"admin_{option}" for option in documented} if name == "openstack" else set()
    assert set(documented) | prefixed & allowed == allowed
    issuer = load_issuer(name, {"token": "x"} if name == "spaces" else {})
    assert set(issuer.recorded_options) < allowed, "all but the secret ones"
    if "propagation" in documented:
        assert issuer.propagation == parse_duration(documented["propagation"][0].strip("`"))


# Where requests are sent; the credential contains the URL of a provider that is not here.
SERVERS = {
    "alibaba": {"ram.aliyuncs.com", "sts.aliyuncs.com"},
    "azure": {"login.microsoftonline.com", "graph.microsoft.com", "management.azure.com"},
    "exoscale": {"api-ch-gva-2.exoscale.com"},
    "google": {"oauth2.googleapis.com", "iam.googleapis.com"},
    "linode": {"api.linode.com"},
    "oci": {"identity.eu-frankfurt-1.oraclecloud.com"},
    "otc": {"iam.eu-de.otc.t-systems.com"},
    "outscale": {"api.eu-west-2.outscale.com"},
    "spaces": {"api.digitalocean.com"},  # and the store in the credential
}


@every
def test_where_requests_are_sent(account, monkeypatch):
    servers = intercept(account.fake, monkeypatch)
    account.issuer = account.fake.load(endpoint_url=None)
    account.issuer.verify(account.issue().values, account.stored)
    assert account.verified(account.stored) == "ok"
    own = {urlsplit(account.fake.url).netloc}
    expected = SERVERS.get(account.fake.issuer, own) | (own if account.fake.issuer == "spaces" else set())
    assert servers == {f"https://{server}" for server in expected}


# What shares a limit of requests; for the others, this is not known before a request.
RATES = {
    "azure": "tenantId", "ceph": "defaultEndpoint", "minio": "defaultEndpoint", "oci": "tenancyId",
    "outscale": "region", "pve": "url",
}


@every
def test_what_shares_a_limit_of_requests(account):
    expected = account.stored[RATES[account.fake.issuer]] if account.fake.issuer in RATES else None
    if account.fake.issuer == "harvester":
        expected = account.fake.url
    if account.fake.issuer == "google":
        expected = json.loads(account.stored["authEncodedJson"])["project_id"]
    assert account.issuer.rate_key(account.stored) == expected and not account.fake.seen


def calls(account, stored=None):
    """Return the calls that send a request, with their arguments."""
    stored = account.stored if stored is None else stored
    issued = {name: stored.get(name, "") for name in account.issuer.fields}
    method, *arguments = account.creation(stored)
    first = [
        ("keys", (stored,)), ("verify", (issued, stored)), ("delete", (account.first, stored)), (method, arguments),
    ]
    if account.issuer.disables:
        first += [("disable", (account.first, stored)), ("enable", (account.first, stored))]
    return first


def refuse_with(status):
    return lambda seen: (status, {"Content-Type": "application/json"}, b"{}")
