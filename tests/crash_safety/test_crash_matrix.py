# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run breaks at each of its calls, then the plain command is run again: the state of the cluster and the provider."""

from __future__ import annotations

import pytest

from support.providers.all_fakes import FAKES

from . import members, plays, providers
from .bench import Violation
from .runner import WRITES


@pytest.mark.parametrize("name", plays.SCENARIOS)
def test_crashes(bench, play, name):
    """SIGKILL in every second state of cluster and provider in a run, and some other kinds of breaks."""
    cases = list(plays.crashes(name, plays.calls_of(bench, name)))
    kills = [case for case in cases if case[2].kind == "kill" and case[2].moment != "lost"]
    rest = [case for case in cases if case[1] in WRITES and case not in kills]
    place = list(plays.SCENARIOS).index(name)
    chosen = kills[place % 2::2]
    others = sorted({case[2][1:] for case in rest})
    for number in range(3):
        alike = [
            case
            for case in rest
            if case[2][1:] == others[(3 * place + number) % len(others)]
        ]
        chosen.append(alike[len(alike) * (number + 1) // 4])
    play(plays.crash, chosen)


@pytest.mark.parametrize("kind", FAKES, ids=lambda kind: kind.issuer)
def test_crashes_with_a_fake(bench, play, kind):
    _play_some(play, providers.fake(bench, kind))


@pytest.mark.parametrize("kind", [providers.AccountSubject, providers.AlternatingSubject])
def test_crashes_with_vsphere(bench, play, kind):
    _play_some(play, providers.vcenter(bench, kind))


def test_crashes_with_a_harvester_cluster(bench, play, harvester):
    _play_some(play, providers.kubernetes(bench, harvester))


def test_crashes_with_openstack(bench, play, keystone):
    _play_some(play, providers.openstack(bench, keystone))


def _play_some(play, on):
    """A lost reply to the request that makes a key valid, and SIGKILL after it and after the cutover."""
    cases = [case for case in providers.crashes(on, "rotate") if case[2].moment != "before"]
    cutover = [case for case in cases if case[1] == "write_credential"][-1]
    name = [case[1] for case in cases if case[1] in providers.ISSUING][-1]
    chosen = [case for case in cases if case[1] == name]
    assert {case[2].moment for case in chosen} == {"after", "lost"}
    play(plays.crash, [*chosen, cutover], on=on)


def test_a_return_that_the_password_policy_refuses(bench, play):
    """SIGKILL after the phase is written, and after it is written back."""
    vcenter = providers.vcenter(bench, providers.StrictSubject)
    cases = providers.crashes(vcenter, "roll back", providers.refused_calls)
    killed = [case for case in cases if case[1] == "write_record" and case[2][1:] == ("after", "kill")]
    assert len(killed) >= 3
    play(providers.refused_return, killed[1:3], on=vcenter)


@pytest.fixture(scope="module")
def members_bench(bench):
    with members.MembersBench(bench) as other:
        yield other


def test_crashes_with_members(members_bench, play):
    """SIGKILL after each write to a member, and a lost reply."""
    calls = plays.calls_of(members_bench, "rotate")
    assert [call for call in calls if call in members.MEMBER_WRITES] == ["claim_store"] * 2 + ["write_store"] * 2
    cases = [case for case in plays.crashes("rotate", calls, ("kill",)) if case[1] in members.MEMBER_WRITES]
    play(plays.crash, [*(case for case in cases if case[2].moment == "after"), cases[-1]], on=members_bench)


def test_the_reader_notices(bench):
    """A key that stops to work while it is in the credential is a violation."""
    with pytest.raises(Violation, match="did not work"), bench.subject() as subject:
        bench.cloud.set_status(subject.key["accessKey"], "Inactive")
        bench.reader.look_at_keys()


def test_a_password_that_no_run_has_set_is_noticed(bench):
    """In the phase in which a run may replace the password, one that is kept must work."""
    account = providers.vcenter(bench, providers.AccountSubject)
    with pytest.raises(Violation, match="did not work"), account.subject() as subject:
        subject.plain("rotated", **plays.PAUSED)
        subject.vcenter.accounts[subject.user].password = "of another client"
        bench.reader.look_at_keys()


def test_refused_sign_ins_are_noticed(bench):
    account = providers.vcenter(bench, providers.AccountSubject)
    with pytest.raises(Violation, match="3 sign-ins were refused"), account.subject() as subject:
        for password in ("a", "b", "c"):
            assert not providers.ProviderSubject.works(subject, {"password": password})


def test_a_lost_value_is_noticed(bench):
    with pytest.raises(Violation, match="the old value was lost in grace"), bench.subject() as subject:
        subject.plain("rotated")
        version = subject.record["old"]["version"]
        bench.api.delete(f"/api/v1/namespaces/{subject.namespace}/secrets/{version}")
        bench.reader.look_at_kept()


def test_a_key_left_behind_is_noticed(bench):
    with bench.subject() as subject:
        subject.settle()
        subject.check_idle()
        bench.cloud.add_key(subject.user)
        with pytest.raises(Violation, match="the keys are"):
            subject.check_idle()
