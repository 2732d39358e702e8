# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls to providers: their rate for each account, repetitions, and the order of rotations."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers import throttle
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.executor import interleave
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import CALL_TIMEOUT, Issuer, IssuerError


class Clock:
    """A clock that only sleep() moves."""

    def __init__(self):
        self.now = 1000.0
        self.pauses = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        if seconds:
            self.pauses.append(round(seconds, 3))
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(throttle, "time", found)
    return found


class Scripted(Issuer):
    """An issuer whose calls return or raise one outcome after another."""

    limit = 2

    def __init__(self, *outcomes):
        super().__init__({})
        self.outcomes = list(outcomes)
        self.calls = []

    def key_id(self, values):
        return values["id"]

    def rate_key(self, by):
        return by["account"]

    def keys(self, by):
        self.calls.append(by)
        outcome = self.outcomes.pop(0) if self.outcomes else []
        if isinstance(outcome, Exception):
            raise outcome  # pylint: disable=raising-bad-type
        return outcome

    def disable(self, key_id, by):
        self.calls.append(key_id)


def throttled(issuer, per_second=2):
    return throttle.ThrottledIssuer(issuer, "fake", throttle.CallRates(per_second))


def test_calls_to_an_account_have_a_rate(clock):
    issuer = throttled(Scripted())
    for _call in range(6):
        issuer.keys({"account": "a"})
    assert len(clock.pauses) == 3 and sum(clock.pauses) == pytest.approx(1.5), "three at once, then two in a second"


def test_each_account_has_its_own_rate(clock):
    issuer = throttled(Scripted())
    for number in range(9):
        issuer.keys({"account": f"account {number}"})
    assert clock.pauses == []


def test_a_call_that_waits_too_long_is_not_sent(clock):
    """The token on the credential was checked before it; see drain."""
    issuer = Scripted()
    rates = throttle.CallRates(1)
    for _call in range(40):
        rates.reserve("fake a", 1000)
    with pytest.raises(IssuerError) as caught:
        throttle.ThrottledIssuer(issuer, "fake", rates).keys({"account": "a"})
    assert caught.value.code == "busy" and not issuer.calls and "Lower parallel" in caught.value.message


def test_a_call_that_was_not_performed_is_repeated(clock):
    issuer = Scripted(IssuerError("busy", "slow down"), IssuerError("busy", "slow down"), ["key"])
    assert throttled(issuer).keys({"account": "a"}) == ["key"] and len(issuer.calls) == 3
    assert clock.pauses == [1.0, 2.0]


def test_repetitions_end_before_another_run_would_take_over(clock):
    issuer = Scripted(*[IssuerError("busy", "slow down")] * 30)
    started = clock.now
    with pytest.raises(IssuerError):
        throttled(issuer).keys({"account": "a"})
    assert clock.now - started + CALL_TIMEOUT <= throttle.LONGEST_CALL < 60, "the default of drain"


@pytest.mark.parametrize("code", ["refused", "forbidden", "limit", "invalid", "unsupported", "unreachable"])
def test_other_errors_are_not_repeated(clock, code):
    issuer = Scripted(IssuerError(code, "no"))
    with pytest.raises(IssuerError) as caught:
        throttled(issuer).keys({"account": "a"})
    assert caught.value.code == code and len(issuer.calls) == 1


def test_an_unexpected_exception_may_contain_secrets(clock):
    with pytest.raises(IssuerError) as caught:
        throttled(Scripted(KeyError("secret"))).keys({"account": "a"})
    assert caught.value.code == "unreachable" and caught.value.message == (
        "the issuer fake failed unexpectedly (KeyError)")


def test_everything_else_is_that_of_the_issuer(clock):
    issuer = throttled(Scripted())
    assert (issuer.limit, issuer.lists, issuer.key_id({"id": "k"})) == (2, True, "k")
    assert issuer.can_list("k1") is True and issuer.next_values() is None
    issuer.disable("k1", {"account": "a"})
    assert issuer.account({"account": "a"}) == "fake a" and issuer.account({}) == "fake"


def test_neighbours_are_in_different_accounts():
    units = [SimpleNamespace(name=f"{account}{number}", account=account) for account in "abc" for number in range(2)]
    order = interleave([*units, SimpleNamespace(name="a2", account="a")], lambda unit: unit.account)
    assert [unit.name for unit in order] == ["a0", "b0", "c0", "a1", "b1", "c1", "a2"]


@pytest.mark.parametrize("name", ["keys", "issue", "activate", "verify", "disable", "enable", "delete"])
def test_each_request_waits_for_its_turn(clock, name):
    issuer = SimpleNamespace(**{name: lambda *arguments: arguments}, rate_key=lambda by: by["account"])
    limited = throttle.ThrottledIssuer(issuer, "fake", throttle.CallRates(1))
    for _call in range(3):
        assert getattr(limited, name)("k1", {"account": "a"}) == ("k1", {"account": "a"})
    assert sum(clock.pauses) == pytest.approx(1.0)
