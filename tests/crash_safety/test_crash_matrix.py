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
    """SIGKILL in all states of cluster and provider in a run, and some other kinds of breaks."""
    cases = list(plays.crashes(name, plays.calls_of(bench, name)))
    chosen = [case for case in cases if case[2].kind == "kill" and case[2].moment != "lost"]
    rest = [case for case in cases if case[1] in WRITES and case not in chosen]
    others = sorted({case[2][1:] for case in rest})
    for number in range(3):
        alike = [
            case
            for case in rest
            if case[2][1:] == others[(3 * list(plays.SCENARIOS).index(name) + number) % len(others)]
        ]
        chosen.append(alike[len(alike) * (number + 1) // 4])
    play(plays.crash, chosen)


@pytest.mark.parametrize("kind", FAKES, ids=lambda kind: kind.issuer)
def test_crashes_with_a_fake(bench, play, kind):
    """A lost reply to the request that creates a key, and SIGKILL after it and after the cutover."""
    fakes = providers.FakeBench(bench, kind)
    cases = [case for case in providers.crashes(fakes, "rotate") if case[2].moment != "before"]
    cutover = [case for case in cases if case[1] == "write_credential"][-1]
    issuing = [case for case in cases if case[1] in providers.ISSUING]
    assert len(issuing) >= 2
    play(plays.crash, [*issuing, cutover], on=fakes)


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
