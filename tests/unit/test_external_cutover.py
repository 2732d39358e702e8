# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotations in which another tool writes the credentials from a store, by runs that are killed at any step.

The tool reads the store and writes what it has read some calls later, as External Secrets Operator does.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.decisions import (
    ABORTED,
    RETIRED,
    ROLLED_BACK,
    ROTATED,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.external_stores import check_external_cutover
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import GRACE, IDLE, ISSUED
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.resolver import RotationUnit
from hypothesis import given, settings
from hypothesis import strategies as st

from .fake_backend import Ending, FakeRun, Listed, SharedState, Single, finish, pair

STORES = ({"name": "vault", "type": "vault", "url": "https://vault", "path": "a"},)
DRAIN = 60


class Operator:
    """Writes all credentials from the store: it reads if requested or ``eager``, and writes ``lag`` calls later.

    A tool that writes whole objects does not keep the token.
    """

    def __init__(self, shared, lag=0, eager=True, keeps_token=True):
        self.shared, self.lag, self.eager, self.keeps_token = shared, lag, eager, keeps_token
        self.read, self.age = None, 0
        self.requests = 0

    def refresh(self):
        self.requests += 1
        self.start()

    def start(self):
        if self.read is None:
            self.read, self.age = dict(self.shared.stores["vault"][1]), 0

    def act(self):
        if self.eager:
            self.start()
        self.age += 1
        if self.read is not None and self.age > self.lag:
            self.write()

    def write(self):
        for number, credential in enumerate(self.shared.credentials):
            if credential and dict(credential.values) != self.read:
                token = credential.token if self.keeps_token else None
                self.shared.write(number, values=self.read, digests=self.read, token=token)
        self.read = None


def prepared(members=1, **options):
    shared = SharedState(members)
    shared.stores = {"vault": (1, pair(1))}
    shared.operator = Operator(shared, **options)
    return shared


def run(shared, state, token="run", **options):
    return FakeRun(shared, state, token, external_stores=STORES, cutover="external", drain=DRAIN, **options)


def keys(shared):
    return {credential.values["id"] for credential in shared.credentials}


def check(shared):
    """The key in each credential works, and so does the one that the tool is going to write."""
    pending = {shared.operator.read["id"]} if shared.operator.read else set()
    assert keys(shared) | pending <= {name for name, key in shared.provider.items() if key.enabled}


def advance(running, shared, lose=False):
    if running.call.name == "sleep" and running.call.arguments[0] >= DRAIN and shared.operator.read:
        shared.operator.write()  # no tool takes longer
    running.advance(lose)
    check(shared)


def reach(shared, state, attempts=8):
    for attempt in range(attempts):
        running = run(shared, state, f"{state}-{attempt}")
        while not running.ended:
            advance(running, shared)
        if shared.record and shared.record.phase == (GRACE if state == ROTATED else IDLE):
            return
        assert running.error is None or running.error.code in ("not_cut_over", "conflict", "unconfirmed"), running.error
    raise AssertionError((running.error, shared.record))


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("options", [{}, {"lag": 9}, {"eager": False}, {"keeps_token": False}])
def test_the_tool_writes_the_new_key_and_the_old_key_is_retired(members, options):
    shared = prepared(members, **options)
    running = run(shared, ROTATED)
    written = []
    while not running.ended:
        if running.call.name == "write_credential":
            written.append(running.call.arguments[2])
        advance(running, shared)
    assert running.error is None and running.outcome.steps == ("preparing", "issued", GRACE), running.error
    assert keys(shared) == {"k2"} and shared.stores["vault"] == (2, pair(2))
    assert set(written) == {None}, "only the token is written to the credentials"
    assert (shared.operator.requests > 0) or options != {"eager": False}
    reach(shared, RETIRED)
    assert list(shared.provider) == ["k2"] == sorted(keys(shared))


def test_a_key_that_does_not_arrive_is_taken_back_from_the_store():
    shared = prepared(lag=10**6)
    ended = finish(run(shared, ROTATED))
    assert ended.error.code == "unconfirmed"
    assert "external store vault contains the new key, but the tool that writes cc-0 from it" in ended.error.message
    assert "The old key is in the store again" in ended.error.message
    assert shared.stores["vault"] == (3, pair(1)) and keys(shared) == {"k1"} and shared.record.phase == ISSUED
    shared.operator.lag = 0
    reach(shared, ROTATED)
    assert keys(shared) == {"k2"} and set(shared.provider) == {"k1", "k2"}, "the issued key is used"


def test_an_abort_takes_the_new_key_out_of_the_store_and_waits_for_the_tool():
    shared = prepared(lag=10**6)
    running = run(shared, ROTATED)
    while shared.stores["vault"] == (1, pair(1)):
        advance(running, shared)
    shared.operator.start()  # it has read the new key, and writes it later
    shared.operator.lag, shared.operator.eager = 25, False
    reach(shared, ABORTED if keys(shared) == {"k1"} else ROLLED_BACK)
    for _call in range(60):
        shared.operator.act()
        check(shared)
    assert keys(shared) == {"k1"} == set(shared.provider) and shared.stores["vault"][1] == pair(1)


def test_a_rollback_writes_the_old_key_to_the_store():
    shared = prepared()
    reach(shared, ROTATED)
    reach(shared, ROLLED_BACK)
    assert keys(shared) == {"k1"} == set(shared.provider) and shared.stores["vault"] == (3, pair(1))


def test_a_store_that_another_client_writes_is_not_changed():
    shared = prepared(lag=10**6)
    shared.stores["vault"] = (2, pair(9))
    ended = finish(run(shared, ROTATED))
    assert ended.error.code == "conflict" and shared.stores["vault"] == (2, pair(9)) and keys(shared) == {"k1"}


@pytest.mark.parametrize("act, code", [
    (lambda shared: shared.save(pair(9)), "drift"),
    (lambda shared: shared.write(0, token="another run"), "busy"),
    (lambda shared: shared.credentials.__setitem__(0, None), "gone"),
])
def test_what_others_do_while_a_run_waits_is_noticed(act, code):
    shared = prepared(lag=10**6)
    running = run(shared, ROTATED)
    while not (running.call.name == "sleep" and shared.stores["vault"][1] == pair(2)):
        advance(running, shared)
    act(shared)
    assert finish(running).error.code == code and set(shared.provider) == {"k1", "k2"}


def test_an_overridden_gate_does_not_skip_the_source():
    shared = prepared()
    finish(run(shared, ROTATED, skip_stores=True))
    assert keys(shared) == {"k2"} == {shared.stores["vault"][1]["id"]}


@pytest.mark.parametrize(("phase", "desired", "recorded", "expected"), [
    (IDLE, None, "direct", False), (IDLE, "external", "direct", True), (IDLE, "direct", "external", False),
    (IDLE, None, "external", True), (GRACE, "external", "direct", False), (GRACE, "direct", "external", True),
])
def test_a_rotation_keeps_the_cutover_that_it_began_with(phase, desired, recorded, expected):
    record = replace(SharedState().blank, phase=phase, cutover=recorded)
    unit = RotationUnit(SimpleNamespace(cutover=desired), (), record, None, Listed({}))
    assert unit.is_cutover_external is expected


@pytest.mark.parametrize(("stores", "issuer", "code"), [
    (STORES, Listed, None), ((), Listed, "invalid"), (STORES * 2, Listed, "invalid"),
    (({"name": "a", "type": "rancher"},), Listed, "invalid"), (STORES, Single, "unsupported"),
    (STORES, Ending, "unsupported"),
])
def test_what_an_external_cutover_requires(stores, issuer, code):
    try:
        check_external_cutover("cc-a", stores, issuer({}))
        found = None
    except RanchhandError as error:
        found = error.code
    assert found == code


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([ROTATED, RETIRED, ROLLED_BACK, ABORTED]), st.integers(1, 60), st.booleans()),
             max_size=4),
    st.sampled_from([0, 1, 3, 7, 20]), st.booleans(), st.booleans(), st.sampled_from([1, 2]),
)
def test_any_interrupted_history_ends_with_a_key_that_works(history, lag, eager, keeps_token, members):
    shared = prepared(members, lag=lag, eager=eager, keeps_token=keeps_token)
    for number, (state, calls, lose) in enumerate(history):
        running = run(shared, state, f"killed-{number}")
        for call in range(calls):
            if not running.ended:
                advance(running, shared, lose and call == calls - 1)
    shared.operator.eager = True
    if shared.record is None or shared.record.phase == IDLE and shared.record.completed_id != "r1":
        reach(shared, ROTATED)
    for attempt in range(8):
        for state in (ROTATED, RETIRED):
            running = run(shared, state, f"{state}-{attempt}")
            while not running.ended:
                advance(running, shared)
    assert shared.record.phase == IDLE, (running.error, shared.record)
    assert keys(shared) == set(shared.provider) == {shared.stores["vault"][1]["id"]}
