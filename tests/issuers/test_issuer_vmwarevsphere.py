# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords of vCenter Single Sign-On, at a fake that checks passwords and tokens, and locks accounts."""

from __future__ import annotations

import datetime
import logging
import secrets
import string
from dataclasses import dataclass

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import vmwarevsphere, vmwarevsphere_sso
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.http import LARGEST_ANSWER
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.vmwarevsphere import SYMBOLS, VmwareVsphere
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuerError, Key

from support.cluster import decoded
from support.fakes import cut
from support.providers.fake_provider import record_deadlines
from support.providers.fake_providers import LOCKED_AFTER
from support.providers.fake_vcenter import ADMINISTRATOR, DOMAIN, FakeVcenter
from support.rotations import ROTATION

A, B, C = (f"rancher-{letter}@{DOMAIN}" for letter in "abc")


@pytest.fixture
def vcenter(tmp_path, caplog):
    """The accounts rancher-a, in use, and rancher-b, disabled. No log of any library contains a password."""
    caplog.set_level(logging.DEBUG)
    with FakeVcenter(tmp_path) as running:
        running.add("rancher-a", groups={"rancher"})
        running.add("rancher-b", groups={"rancher"}, disabled=True)
        yield running
        assert not [password for password in running.passwords if password in caplog.text]


def alternating(vcenter, **options):
    return VmwareVsphere({**vcenter.options, **vcenter.admin, "accounts": [A, B], **options})


def error_of(call, *arguments):
    """Return the error of a call, which contains no value."""
    with pytest.raises(IssuerError) as caught:
        call(*arguments)
    message = caught.value.message
    values = [value for argument in arguments if isinstance(argument, dict) for name, value in argument.items()
              if name == "password"]
    assert "\n" not in message and not [value for value in values if value in message], message
    return caught.value


def switch(issuer, by):
    """Issue and activate; returns the fields of the credential after the cutover."""
    issued = issuer.issue(by, "ranchhand-mark")
    issuer.activate(issued.values, by)
    new = {**by, **issued.values}
    issuer.verify(issued.values, by)
    assert issued.key_id == issuer.key_id(new)
    return new


def test_accounts_alternate(vcenter):
    issuer, first = alternating(vcenter), vcenter.credential("rancher-a")
    assert issuer.fields == ("username", "password") and issuer.limit == 2 and not issuer.replaces_current
    assert issuer.lists and issuer.disables and issuer.generates_locally and issuer.verify_attempts == 1
    assert issuer.keys(first) == [Key(A)]
    second = switch(issuer, first)
    assert second["username"] == B and vcenter.works(second) and vcenter.works(first), "both work"
    assert issuer.keys(second) == [Key(A), Key(B)]
    for _twice in range(2):
        issuer.disable(A, second)
    assert not vcenter.works(first) and vcenter.works(second) and issuer.keys(second) == [Key(B)]
    for _twice in range(2):
        issuer.enable(A, second)
    assert vcenter.works(first)
    issuer.delete(A, second)
    account = vcenter.accounts["rancher-a"]
    assert account.disabled and account.password not in (first["password"], second["password"])
    third = switch(issuer, second)
    assert third["username"] == A and vcenter.works(third) and vcenter.works(second)
    assert vcenter.calls.count("RequestSecurityToken") == 1, "the token of the administrator is used again"
    assert max(found.failures for found in vcenter.accounts.values()) == 0


def test_issuing_sends_no_request(vcenter):
    issuer, by = alternating(vcenter, accounts=[B, A, C]), vcenter.credential("rancher-a")
    issued = issuer.issue({**by, "username": f"{DOMAIN.upper()}\\Rancher-A"}, "m")
    assert issued.values["username"] == issued.key_id == C and not vcenter.seen
    left = issued.expires_at - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(days=89) < left < datetime.timedelta(days=91)
    assert alternating(vcenter, password_lifetime="0s").issue(by, "m").expires_at is None
    error = error_of(issuer.issue, vcenter.credential(ADMINISTRATOR), "m")
    assert error.code == "invalid" and "is not one of accounts" in error.message


@dataclass(frozen=True)
class Refusal:
    """What an administrator did to the accounts before the idle one is activated."""

    code: str
    words: str
    live: dict = None
    idle: dict = None


REFUSALS = {
    "another group": Refusal("invalid", f"not members of the same groups (folders@{DOMAIN})",
                             live={"groups": {"rancher", "folders"}}),
    "locked": Refusal("invalid", "a program still signs in with an old password", idle={"failures": LOCKED_AFTER}),
}


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS)
def test_accounts_that_must_not_be_switched(vcenter, case):
    for name, changes in (("rancher-a", case.live), ("rancher-b", case.idle)):
        for attribute, value in (changes or {}).items():
            setattr(vcenter.accounts[name], attribute, value)
    before, issuer, by = vcenter.accounts["rancher-b"].password, alternating(vcenter), vcenter.credential("rancher-a")
    error = error_of(issuer.activate, issuer.issue(by, "m").values, by)
    assert error.code == case.code and case.words in error.message
    assert vcenter.accounts["rancher-b"].password == before and vcenter.accounts["rancher-b"].disabled


def test_the_account_in_use_is_never_taken_away(vcenter):
    issuer, by = alternating(vcenter), vcenter.credential("rancher-a")
    issuer.activate(by, by)
    for call, arguments in ((issuer.disable, (A, by)), (issuer.delete, (A, by)),
                            (issuer.activate, ({**by, "password": "another-1A"}, by)),
                            (issuer.delete, (C, by)), (issuer.enable, (f"{ADMINISTRATOR}@{DOMAIN}", by))):
        assert error_of(call, *arguments).code == "invalid"
    assert vcenter.works(by) and not vcenter.seen
    del vcenter.accounts["rancher-b"]
    for call, arguments in ((issuer.keys, (by,)), (issuer.delete, (B, by)), (issuer.enable, (B, by))):
        error = error_of(call, *arguments)
        assert error.code == "invalid" and f"the account {B} does not exist" in error.message


@pytest.mark.parametrize("method", ["EnableUserAccount", "ResetLocalPersonUserPassword"])
def test_a_lost_reply_to_an_activation(vcenter, method, monkeypatch):
    """The same value again is a password that was used before."""
    issuer, by = alternating(vcenter), vcenter.credential("rancher-a")
    new = {**by, **issuer.issue(by, "m").values}
    vcenter.lose = {method}
    assert error_of(issuer.activate, new, by).code == "unreachable"
    deadlines = record_deadlines(monkeypatch)
    issuer.activate(new, by)
    assert len(deadlines) == 1, "of all requests, also of the sign-in that shows which password is set"
    assert vcenter.works(new) and vcenter.works(by) and vcenter.accounts["rancher-b"].failures == 0


@pytest.mark.parametrize("way", ["rotating", "given"])
def test_a_single_account(vcenter, way):
    options = vcenter.admin if way == "given" else {"sign_in": way}
    issuer, old = VmwareVsphere({**vcenter.options, **options}), vcenter.credential("rancher-a")
    assert issuer.fields == ("password",) and issuer.limit == 1
    assert issuer.replaces_current and not issuer.lists and not issuer.disables
    issued = issuer.issue(old, "m")
    new = {**old, **issued.values}
    assert set(issued.values) == {"password"} and issued.key_id == issuer.key_id(old) == A
    assert issuer.key_id(issued.values) is None and not vcenter.seen
    issuer.activate(issued.values, old)
    issuer.verify(issued.values, old)
    assert vcenter.works(new) and not vcenter.works(old)
    error = error_of(issuer.activate, old, new)
    assert error.code == "invalid" and "password policy" in error.message, "a former password"
    assert vcenter.works(new)


def test_a_single_account_of_an_administrator_after_a_lost_reply(vcenter):
    issuer, old = VmwareVsphere({**vcenter.options, **vcenter.admin}), vcenter.credential("rancher-a")
    new = {**old, **issuer.issue(old, "m").values}
    vcenter.lose = {"ResetLocalPersonUserPassword"}
    assert error_of(issuer.activate, new, old).code == "unreachable"
    issuer.activate(new, old)
    assert vcenter.works(new)


def test_a_wrong_password_is_tried_once(vcenter):
    wrong = vcenter.credential("rancher-a", "canary-password")
    issuer = VmwareVsphere(vcenter.options)
    assert error_of(issuer.verify, wrong, wrong).code == "refused"
    error = error_of(VmwareVsphere(vcenter.options).activate, {"password": "another-1A"}, wrong)
    assert error.code == "refused" and "the user or the password is wrong" in error.message
    vcenter.accounts["rancher-a"].failures = 1
    assert vcenter.accounts["rancher-a"].failures == 1
    assert error_of(issuer.activate, issuer.issue(wrong, "m").values, wrong).code == "refused"
    assert vcenter.accounts["rancher-a"].failures == 2


def test_a_wrong_password_of_the_administrator_is_tried_once_in_a_run(vcenter):
    by = vcenter.credential("rancher-a")
    issuer = alternating(vcenter, admin_password="canary-password")
    errors = [error_of(issuer.keys, by) for _number in range(LOCKED_AFTER + 1)]
    assert {error.code for error in errors} == {"refused"} and vcenter.accounts[ADMINISTRATOR].failures == 1
    assert f"sign in as {ADMINISTRATOR}@{DOMAIN}" in errors[0].message and "canary" not in errors[0].message
    vcenter.accounts[ADMINISTRATOR].failures = LOCKED_AFTER
    assert "the account is locked" in error_of(alternating(vcenter).keys, by).message


def test_an_account_without_the_rights_of_an_administrator(vcenter):
    password = vcenter.add("helper")
    by = vcenter.credential("rancher-a")
    error = error_of(alternating(vcenter, admin_username=f"helper@{DOMAIN}", admin_password=password).keys, by)
    assert error.code == "forbidden" and "lacks the permission" in error.message


def test_a_policy_that_the_new_password_violates(vcenter):
    vcenter.policy.update(minLength=24, maxLength=40)
    issuer, by = alternating(vcenter), vcenter.credential("rancher-a")
    error = error_of(issuer.activate, issuer.issue(by, "m").values, by)
    assert error.code == "invalid" and "minLength 24, maxLength 40" in error.message
    assert "Set password_length" in error.message and vcenter.accounts["rancher-b"].failures == 0
    assert error_of(issuer.delete, B, by).code == "invalid" and vcenter.accounts["rancher-b"].disabled
    issuer = alternating(vcenter, password_length=30)
    assert vcenter.works(switch(issuer, by))


def test_a_clock_that_differs(vcenter):
    vcenter.clock_skew = datetime.timedelta(hours=1)
    error = error_of(alternating(vcenter).keys, vcenter.credential("rancher-a"))
    assert error.code == "invalid" and "the clock of the controller differs" in error.message


def test_new_passwords(vcenter):
    issuer = VmwareVsphere({"password_length": "12"})
    found = [issuer.issue({"username": A}, "m").values["password"] for _number in range(200)]
    assert len(set(found)) == 200 and {len(each) for each in found} == {12}
    for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits, SYMBOLS):
        assert all(set(kind) & set(each) for each in found)
    assert not [each for each in found if each[0] in SYMBOLS]
    assert not [each for each in found if any(first == second for first, second in zip(each, each[1:]))]
    for length in (8, 127):
        values = VmwareVsphere({"password_length": length}).issue({"username": A}, "m").values
        assert len(values["password"]) == length
    assert len(VmwareVsphere({}).issue({"username": A}, "m").values["password"]) == 20
    assert VmwareVsphere({}).rate_key({"vcenter": "vcenter.invalid"}) == "vcenter.invalid"


@pytest.mark.parametrize(("seconds", "number"), [(199, 1), (201, 2)])
def test_the_token_of_the_administrator_is_used_until_it_expires(vcenter, monkeypatch, seconds, number):
    issuer, by = alternating(vcenter), vcenter.credential("rancher-a")
    assert not issuer.can_list(A)
    issuer.keys(by)
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    monkeypatch.setattr(vmwarevsphere, "now", lambda: later)
    issuer.keys(by)
    assert vcenter.calls.count("RequestSecurityToken") == number


GIVEN = {"sign_in": "given", "admin_username": f"{ADMINISTRATOR}@{DOMAIN}", "admin_password": "canary-password"}
OPTIONS = {
    "unknown option": ({"account": A}, "has no option account"),
    "accounts without an administrator": ({"accounts": [A, B]}, "accounts require sign_in: given"),
    "one account": ({**GIVEN, "accounts": [A]}, "two or more different accounts"),
    "the same account": ({**GIVEN, "accounts": [A, A.upper()]}, "two or more different accounts"),
    "no list": ({**GIVEN, "accounts": f"{A},{B}"}, "two or more different accounts"),
    "no domain": ({**GIVEN, "accounts": [A, "rancher-b"]}, "two or more different accounts"),
    "two domains": ({**GIVEN, "accounts": [A, "rancher-b@example.com"]}, "of one SSO domain"),
    "a domain that is a path": ({**GIVEN, "accounts": ["a@../x", "b@../x"]}, "of one SSO domain"),
    "short passwords": ({"password_length": 7}, "from 8 to 127"),
    "long passwords": ({"password_length": 128}, "from 8 to 127"),
    "no length": ({"password_length": "long"}, "from 8 to 127"),
    "no duration": ({"password_lifetime": 90}, "password_lifetime"),
    "administrator without sign_in": ({"admin_username": "x", "admin_password": "canary-password"}, "require sign_in"),
}


@pytest.mark.parametrize("options, words", OPTIONS.values(), ids=OPTIONS)
def test_options_that_are_invalid(options, words):
    error = error_of(VmwareVsphere, options)
    assert error.code == "invalid" and words in error.message and "canary" not in error.message


def test_fields_that_are_invalid(vcenter):
    issuer, by = VmwareVsphere(vcenter.options), vcenter.credential("rancher-a")
    new = issuer.issue(by, "m").values
    for changes in ({"username": "rancher-a"}, {"password": "canary\x01"}, {"password": "canary\ud800"},
                    {"vcenter": ""}):
        assert error_of(issuer.activate, new, {**by, **changes}).code == "invalid"
    assert not vcenter.seen and issuer.key_id({"username": "rancher-a"}) == "rancher-a"


def _soap(content):
    return f'<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body>{content}</S:Body></S:Envelope>'


LAUGHS = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
FILE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
FAULT = "<S:Fault><faultcode>{}</faultcode><faultstring>canary</faultstring>{}</S:Fault>"
ANSWERS = {
    "entities": (200, LAUGHS + _soap("<x>&b;</x>"), "unreachable"),
    "an external entity": (200, FILE + _soap("<x>&a;</x>"), "unreachable"),
    "deep": (200, _soap("<x>" * 100_000 + "</x>" * 100_000), "unreachable"),
    "large": (200, _soap("x" * LARGEST_ANSWER), "unreachable"),
    "no XML": (200, "canary", "unreachable"),
    "half": (200, _soap("<x>")[:40], "unreachable"),
    "empty": (200, "", "unreachable"),
    "another encoding": (200, '<?xml version="1.0" encoding="canary"?><x/>', "unreachable"),
    "another document": (200, "<html>canary</html>", "unreachable"),
    "no token": (200, _soap("<x>canary</x>"), "unreachable"),
    "two tokens": (200, _soap('<x xmlns="urn:oasis:names:tc:SAML:2.0:assertion"><Assertion/><Assertion/></x>'),
                   "unreachable"),
    "no service": (404, "<html>canary</html>", "invalid"),
    "busy": (429, "canary", "busy"),
    "an error": (503, "canary", "unreachable"),
    "an unknown fault": (500, _soap(FAULT.format("x:Canary", "<detail><canary/></detail>")), "unreachable"),
    "a fault without detail": (500, _soap(FAULT.format("", "")), "unreachable"),
    **{
        name: (500, _soap(FAULT.format("x", f"<detail><a:SsoFault{name}Fault xmlns:a='urn:sso'/></detail>")), code)
        for name, code in (
            ("InvalidTimeRange", "invalid"), ("RequestExpired", "invalid"), ("NoPermission", "forbidden"),
            ("InvalidPrincipal", "invalid"), ("DomainNotFound", "invalid"), ("NotAuthenticated", "refused"),
            ("InvalidCredentials", "refused"), ("PasswordPolicyViolation", "invalid"),
        )
    },
    "wrong credentials": (500, _soap(FAULT.format("ns0:FailedAuthentication", "")), "refused"),
}


@pytest.mark.parametrize("status, content, code", ANSWERS.values(), ids=ANSWERS)
def test_answers_of_other_servers(vcenter, status, content, code):
    vcenter.override = lambda seen: (status, {}, content.encode())
    error = error_of(alternating(vcenter).keys, vcenter.credential("rancher-a"))
    assert error.code == code and "canary" not in error.message


@pytest.mark.parametrize("content", [
    "<FindPersonUserResponse xmlns='urn:sso'><returnval><disabled>1</disabled></returnval></FindPersonUserResponse>",
    "<EnableUserAccountResponse xmlns='urn:sso'/>",
], ids=["no state", "another response"])
def test_answers_about_accounts_that_are_none(vcenter, content):
    issuer, by = alternating(vcenter), vcenter.credential("rancher-a")
    issuer.keys(by)
    vcenter.override = lambda seen: (200, {}, _soap(content).encode())
    error = error_of(issuer.keys, by)
    assert error.code == "unreachable" and "does not answer like vCenter Single Sign-On" in error.message


def test_a_token_is_sent_back_as_it_came():
    token = "<a:Assertion xmlns:a='urn:oasis:names:tc:SAML:2.0:assertion'  ID=\"1\"><b  c='&amp;'/>é</a:Assertion >"
    assert vmwarevsphere_sso._assertion(f"<x>{token}</x>".encode()) == token
    assert vmwarevsphere_sso._assertion(f"<x>{token}</x>".encode("utf-16")) is None


@pytest.mark.parametrize("broken, code", [
    pytest.param(lambda seen: (429, {}, b""), "busy", id="too many requests"),
    pytest.param(cut, "unreachable", id="cut"),
])
def test_every_method_without_an_answer(vcenter, broken, code):
    """One request, which is not repeated."""
    by, second = vcenter.credential("rancher-a"), vcenter.credential("rancher-b")
    for method, arguments in (("keys", (by,)), ("activate", (second, by)), ("verify", (second, by)),
                              ("disable", (B, by)), ("enable", (B, by)), ("delete", (B, by))):
        vcenter.override, before = broken, len(vcenter.seen)
        assert error_of(getattr(alternating(vcenter), method), *arguments).code == code
        assert len(vcenter.seen) == before + 1, method
    assert vcenter.accounts["rancher-b"].disabled


class Rotating:
    """A credential of vSphere in a cluster, and tasks that rotate it."""

    def __init__(self, cluster, vcenter, options):
        self.cluster, self.vcenter = cluster, vcenter
        self.id = f"cc-{secrets.token_hex(4)}"
        public = {name: value for name, value in options.items() if name != "admin_password"}
        self.common = {
            "id": self.id, "namespace": f"rotation-{self.id}", "drain": "1s", "verify_timeout": "5s",
            "issuer_options": {**vcenter.options, **public},
            "issuer_secrets": {name: options[name] for name in set(options) - set(public)},
        }
        cluster.secret(self.id, "vmwarevsphere", vcenter.credential("rancher-a"), "vsphere")

    def task(self, state="rotated", **options):
        task = {**self.common, "state": state, **options}
        return {ROTATION: {name: value for name, value in task.items() if value is not None}}

    def play(self, *tasks):
        """Return the results, in which and in whose output there is no password."""
        played = self.cluster.play(*tasks)
        assert not [password for password in self.vcenter.passwords if password in played.output]
        return played.results

    @property
    def live(self):
        stored = decoded(self.cluster.stored(self.id))
        return {name.partition("-")[2]: value for name, value in stored.items()}


def test_a_rotation_of_accounts_that_alternate(cluster, vcenter):
    rotating = Rotating(cluster, vcenter, {**vcenter.admin, "accounts": [A, B]})
    first, idle = rotating.live, vcenter.accounts["rancher-b"]
    idle.disabled, before = False, idle.password
    used, = rotating.play(rotating.task(rotation_id="first"))
    assert used["code"] == "slot_taken" and B in used["msg"] and idle.password == before and not idle.disabled, used
    idle.disabled = True
    done, = rotating.play(rotating.task(rotation_id="first"))
    second = rotating.live
    assert done["changed"] and done["rotation"]["phase"] == "grace" and done["rotation"]["expires_at"], done
    assert second["username"] == B and vcenter.works(second) and vcenter.works(first)
    results = rotating.play(  # the record has the other options
        rotating.task("retired", grace="0s", issuer_options=None),
        rotating.task("retired", soak="0s", issuer_options=None))
    assert [result["rotation"]["phase"] for result in results] == ["disabled", "idle"], results
    vcenter.lose = {"ResetLocalPersonUserPassword"}
    lost, again, back = rotating.play(
        rotating.task(rotation_id="second"), rotating.task(rotation_id="second"), rotating.task("rolled_back"))
    assert lost["code"] == "unreachable" and again["rotation"]["phase"] == "grace", (lost, again)
    assert back["rotation"]["phase"] == "idle" and rotating.live == second and vcenter.works(second), back
    idle = vcenter.accounts["rancher-a"]
    assert idle.disabled and len(idle.history) == 3, "scrambled, issued, scrambled"
    vcenter.accounts["rancher-b"].groups.add("folders")
    stopped, = rotating.play(rotating.task(rotation_id="third"))
    assert stopped["code"] == "verify_failed" and "not members of the same groups" in stopped["msg"], stopped
    assert rotating.live == second and vcenter.works(second) and idle.disabled
    assert vcenter.refused <= 1, "when a rotation is aborted, the value that is thrown away is tried"


def test_a_rotation_of_a_single_account(cluster, vcenter):
    rotating = Rotating(cluster, vcenter, {})
    first = rotating.live
    done, retired = rotating.play(rotating.task(rotation_id="first"), rotating.task("retired", grace="0s"))
    assert (done["rotation"]["phase"], retired["rotation"]["phase"]) == ("grace", "idle"), (done, retired)
    assert rotating.live["username"] == A and vcenter.works(rotating.live) and not vcenter.works(first)
    assert vcenter.refused <= 1, "the new password, before it is set"
