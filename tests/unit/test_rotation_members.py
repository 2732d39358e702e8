# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random histories of one key in three Ranchers: partitions, restores, edits, killed runs, and a member takes over.

Each Rancher has its own records. Its external stores are the credentials of the others.
"""

from __future__ import annotations

import collections
import os
import random
from dataclasses import replace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.decisions import (
    ABORTED,
    ADOPTED,
    FORGOTTEN,
    RETIRED,
    ROLLED_BACK,
    ROTATED,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.external_stores import check_before_start
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.protocol import RotationProtocol
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import (
    ANOTHER,
    DELETING,
    DISABLING,
    GRACE,
    IDLE,
    OWN,
    PREPARING,
)

from .fake_backend import PROVIDER_CALLS, Bound, FakeRun, Listed, Opaque, SharedState, pair
from .people import Operator, Violation

HOSTS = ("a", "b", "c")
DRAIN = 60
ISSUERS = {"aws": Listed, "tokens": Bound, "azure": Opaque}
COMMANDS = (ROTATED, ROTATED, RETIRED, RETIRED, RETIRED, ROLLED_BACK)


def stores_of(host):
    return tuple({"name": other, "type": "rancher", "credential_id": "cc-0"} for other in HOSTS if other != host)


class Elsewhere:
    """The credentials of all Ranchers, as external stores of the others."""

    def __init__(self, ranchers):
        self._ranchers = ranchers

    def get(self, name, _default):
        credential = self._ranchers[name].credentials[0]
        return int(credential.resource_version), credential.values

    def __setitem__(self, name, content):
        self._ranchers[name].write(0, values=content[1], digests=content[1])


class Ranchers:
    """Three Ranchers with the same key, and its provider. ``acts`` are of people."""

    def __init__(self, issuer):
        self.states = {host: SharedState(issuer=issuer) for host in HOSTS}
        first = self.states["a"]
        self.provider, self.unreachable, self.leaders, self.acts = first.provider, set(), {}, 0
        self.changed = collections.Counter()  # the number of the last act of people, by the Rancher that it changed
        for rancher in self.states.values():
            rancher.provider, rancher.unreachable, rancher.leaders = self.provider, self.unreachable, self.leaders
            rancher.stores = Elsewhere(self.states)

    def agree(self, rancher):
        """Let all Ranchers have the time and the number of keys of one of them."""
        for each in self.states.values():
            each.time, each.keys = rancher.time, rancher.keys

    def live(self, host):
        return self.states[host].credentials[0].values

    def follows(self, host, leader):
        """Whether the record of a Rancher has another one as a member, and neither was taken over."""
        record = self.states[leader].record
        led = self.leaders.get(host) in (None, leader) and self.leaders.get(leader) in (None, leader)
        return led and record is not None and any(store["name"] == host for store in record.external_stores)

    def write(self, host, values):
        """A person writes a key."""
        self.states[host].write(0, values=values, digests=values)
        self.touch(host)

    def touch(self, host):
        self.acts += 1
        self.changed[host] = self.acts


class Checks:
    """Raises Violation if a run takes away a key that a Rancher contains, as far as the run could read."""

    def before(self, run):
        ranchers, call, record = run.ranchers, run.call, run.protocol.record
        if call.name == "read_store":
            run.read[call.arguments[0]["name"]] = ranchers.acts
        if call.name == "read_snapshot":
            run.read[run.leader] = ranchers.acts
        if call.name not in ("disable", "delete"):
            return
        for leader, rancher in ranchers.states.items():
            if leader != run.leader and ranchers.follows(run.leader, leader) and rancher.record.phase not in (
                IDLE, PREPARING
            ):
                raise Violation(f"{run.leader}: takes away a key that {leader} rotates")
        for host in {run.leader} | {settings["name"] for settings in record.external_stores}:
            if ranchers.changed[host] > run.read.get(host, -1) >= 0:
                continue  # by people, since it was read for this step
            if ranchers.live(host)["id"] == call.arguments[0]:
                raise Violation(f"{run.leader}: takes away the key in {host}")
            if record.phase in (DISABLING, DELETING):
                if host in ranchers.unreachable and host != run.leader:
                    raise Violation(f"{run.leader}: retires a key while {host} cannot be read")
                if ranchers.live(host) != record.new.digests:
                    raise Violation(f"{run.leader}: retires a key while {host} contains another one")

    def ended(self, run):
        """Nothing is checked at the end of a run."""


class MemberRun(FakeRun):
    """A run in one of the Ranchers."""

    def __init__(self, ranchers, host, state, token, **options):
        self.ranchers, self.leader, self.read = ranchers, host, {}
        stores = {"external_stores": stores_of(host)} if state in (ROTATED, ADOPTED) else {}
        settings = {"drain": DRAIN, "verify_timeout": 20, **stores, **options}
        super().__init__(ranchers.states[host], state, token, Checks(), **settings)

    def _with_leader(self, credential):
        leader = self.ranchers.leaders.get(self.leader)
        return replace(credential, leader=leader and (OWN if leader == self.leader else ANOTHER))

    def _read_snapshot(self):
        snapshot = super()._read_snapshot()
        return snapshot._replace(credentials=tuple(map(self._with_leader, snapshot.credentials)))

    def _lead_credential(self, credential, lead):
        changed = super()._lead_credential(credential, lead)
        self.ranchers.leaders[self.leader] = self.leader if lead else None
        return self._with_leader(changed)

    def _preflight(self, credentials):
        super()._preflight(credentials)
        record = self.protocol.blank.with_stores(self.protocol.request.external_stores)
        for settings in record.external_stores:
            check_before_start(settings, credentials[0], self._read_store(settings).digests, record.fields, False)

    def advance(self, lose=False):
        super().advance(lose)
        self.ranchers.agree(self.shared)


class History:
    """Commands in one Rancher, perhaps then in another one, people, kills and lost replies."""

    def __init__(self, issuer, choose):
        self.ranchers, self.choose, self.events = Ranchers(issuer), choose, []
        self.tokens, self.faults, self.people = 0, 2, 3
        self.values = {host: [pair(1)] for host in HOSTS}
        self.running = []
        first = [("a", COMMANDS[choose(len(COMMANDS))]) for _command in range(1 + choose(4))]
        then = [("b", (ADOPTED, *COMMANDS)[choose(1 + len(COMMANDS))]) for _command in range(choose(4))]
        late = [("a", COMMANDS[choose(len(COMMANDS))]) for _command in range(choose(3))] if then else []
        self.goals = [("a", ROTATED), *first, *([("b", ADOPTED)] if then else []), *then, *late]
        if not then:
            self.goals[choose(2):0] = [("c", ROTATED), ("c", RETIRED)]  # on its own

    def fresh(self, host, state, **options):
        self.tokens += 1
        options = {"rotation_id": f"r{1 + self.choose(2)}", **options}
        if host == "c":
            options["external_stores"] = ()
        return MemberRun(self.ranchers, host, state, f"run{self.tokens}", **options)

    def play(self):
        for _step in range(3000):
            self.running[:] = [run for run in self.running if not run.ended]
            if self.goals and (not self.running or self.choose(60) == 0 and len(self.running) < 2):
                self.running.append(self.fresh(*self.goals.pop(0)))
            if not self.running:
                break
            if self.people and self.choose(30) == 0:
                self.people -= 1
                self.events.append(self._act())
            else:
                self._step(self._next())
            for host in HOSTS:
                if self.ranchers.live(host) not in self.values[host]:
                    self.values[host].append(self.ranchers.live(host))
        else:
            raise Violation("no end")
        self._settle()

    def _next(self):
        run = self.running[self.choose(len(self.running))]
        others = [other for other in self.running if other is not run and other.call.name in PROVIDER_CALLS]
        waits = run.call.name == "sleep" and run.call.arguments == (DRAIN,)
        return others[0] if waits and others else run  # the call has ended before

    def _step(self, run):
        event = f"{run.leader} {run.protocol.request.state} {run.protocol.request.token}: {run.call.name}"
        fault = self.faults and self.choose(40) == 0
        self.faults -= bool(fault)
        kind = self.choose(3) if fault else None
        if kind == 0:
            self.running.remove(run)
        if kind != 0:
            run.advance(lose=kind == 2)
        if kind == 1:
            self.running.remove(run)
        what = "" if kind is None else (" killed before", " killed after", " reply lost")[kind]
        end = f" -> {run.error or run.outcome.steps or run.outcome.waiting}" if run.ended else ""
        self.events.append(event + what + end)

    def _act(self):
        ranchers, host = self.ranchers, HOSTS[self.choose(len(HOSTS))]
        what = self.choose(6)
        if what < 3:
            ranchers.unreachable ^= {host}
            ranchers.touch(host)
            return f"{host} cannot be read" if host in ranchers.unreachable else f"{host} can be read again"
        if what < 5:
            values = self.values[host][self.choose(len(self.values[host]))]
            ranchers.write(host, values)
            return f"{host} restored to {values['id']}"
        key = ranchers.states[host].add_key("person", "x")
        ranchers.agree(ranchers.states[host])
        ranchers.write(host, pair(key[1:]))
        return f"{key} written to {host} by a person"

    def _settle(self):
        self.ranchers.unreachable.clear()
        host = "b" if self.ranchers.leaders.get("b") == "b" else "a"
        MemberOperator(self.ranchers, host, self).go_on()


class MemberOperator(Operator):
    """Follows the messages in one Rancher until all contain the same key, and it works."""

    def __init__(self, ranchers, host, history):
        self.ranchers, self.host = ranchers, host
        super().__init__(ranchers.states[host], self._fresh, history.events)
        self.fresh_in = history.fresh

    def _fresh(self, state, **options):
        return self.fresh_in(self.host, state, **{"rotation_id": "r9", **options})

    def _is_good(self):
        values = [self.ranchers.live(host) for host in HOSTS]
        return super()._is_good() and all(each == values[0] for each in values)

    def _repair(self):
        super()._repair()
        self._write_to_members()

    def _write_to_members(self):
        for host in HOSTS:
            if self.ranchers.live(host) != self.ranchers.live(self.host):
                self.ranchers.write(host, self.ranchers.live(self.host))
        self.history.append("operator writes the key to the members")

    def _follow(self, error):
        message = str(error)
        if "another Rancher" in message:
            begun = "its key" in message and self.shared.record is not None and self.shared.record.phase == PREPARING
            self.state = ABORTED if begun else ADOPTED
        elif "Delete it there" in message:
            for key in [key for key in self.ranchers.provider if f"the key {key}," in message]:
                del self.ranchers.provider[key]
        elif "external store" in message and self.seen.get(message, 0) < 2:
            self.seen[message] = self.seen.get(message, 0) + 1
            self._write_to_members()
        else:
            super()._follow(error)


def violations(name, histories):
    """Return the violation of each history that has one, and its events."""
    for seed in range(histories):
        history = History(ISSUERS[name], random.Random(seed).randrange)
        try:
            history.play()
        except Violation as violation:
            yield seed, str(violation), history.events


@pytest.mark.parametrize("name", ISSUERS)
def test_random_histories_of_members(name):
    for seed, violation, events in violations(name, int(os.environ.get("RANCHHAND_MEMBERS", 40))):
        raise AssertionError(f"{violation}, with seed {seed}:\n" + "\n".join(events))


def test_the_histories_notice_that_members_are_not_read_before_a_key_is_taken_away(monkeypatch):
    def check_nothing(_protocol):
        yield from ()

    monkeypatch.setattr(RotationProtocol, "_check_stores", check_nothing)
    assert any("retires a key while" in violation for _seed, violation, _events in violations("aws", 100))


def command(ranchers, host, state, **options):
    return run_until(MemberRun(ranchers, host, state, f"{host} {state}", **{"rotation_id": "r1", **options}), None)


def run_until(run, call):
    """Return a run that is about to make a call, or has ended."""
    while not run.ended and run.call.name != call:
        run.advance()
    return run


def rotated():
    ranchers = Ranchers(Listed)
    assert command(ranchers, "a", ROTATED).error is None
    assert [ranchers.live(host)["id"] for host in HOSTS] == ["k2"] * 3
    return ranchers


@pytest.mark.parametrize("change", [
    pytest.param(lambda ranchers: ranchers.write("c", pair(1)), id="restored"),
    pytest.param(lambda ranchers: ranchers.write("c", pair(9)), id="edited"),
    pytest.param(lambda ranchers: ranchers.unreachable.add("c"), id="unreachable"),
])
@pytest.mark.parametrize("call", ["evaluate_gates", "take_lease"])
def test_nothing_is_retired_if_a_member_has_not_the_new_key(change, call):
    ranchers = rotated()
    run = run_until(MemberRun(ranchers, "a", RETIRED, "run"), call)
    change(ranchers)
    run_until(run, None)
    assert ranchers.provider["k1"].enabled and ranchers.provider["k2"].enabled
    assert run.error if call == "take_lease" else run.outcome.waiting


@pytest.mark.parametrize("call", ["disable", "delete"])
def test_a_rollback_deletes_nothing_that_a_member_contains_again(call):
    ranchers = rotated()
    run = run_until(MemberRun(ranchers, "a", ROLLED_BACK, "run"), call)
    run.advance()
    ranchers.write("c", pair(2))
    run_until(run, None)
    assert (run.error is not None) == (call == "disable") == ("k2" in ranchers.provider)


def test_a_member_does_not_rotate_while_the_leader_issues_a_key():
    ranchers = Ranchers(Listed)
    run = run_until(MemberRun(ranchers, "a", ROTATED, "run", rotation_id="r1"), "issue")
    refused = command(ranchers, "c", ROTATED, external_stores=())
    assert refused.error.code == "other_writer" and set(ranchers.provider) == {"k1"}
    assert run_until(run, None).error is None and ranchers.live("c")["id"] == "k2"


def test_a_local_rotation_that_began_before_stops_at_the_next_call():
    ranchers = Ranchers(Listed)
    run = run_until(MemberRun(ranchers, "c", ROTATED, "run", rotation_id="r1", external_stores=()), "issue")
    run_until(MemberRun(ranchers, "a", ROTATED, "leader", rotation_id="r1"), "issue")
    run_until(run, None)  # it issues the key that it was about to issue
    assert run.error.code == "other_writer" and ranchers.live("c")["id"] == "k1"
    assert command(ranchers, "c", ADOPTED).error is None, "unless it takes over"


def test_a_member_takes_over_and_finishes_what_a_lost_leader_began():
    ranchers = Ranchers(Listed)
    run = run_until(MemberRun(ranchers, "a", ROTATED, "lost", rotation_id="r1"), "write_store")
    run.advance()
    assert [ranchers.live(host)["id"] for host in HOSTS] == ["k2", "k2", "k1"]
    assert command(ranchers, "b", ADOPTED).outcome.steps == (GRACE,)
    for _time in range(2):
        assert command(ranchers, "b", RETIRED).error is None
    assert set(ranchers.provider) == {"k2"} and [ranchers.live(host)["id"] for host in HOSTS] == ["k2"] * 3
    returned = run_until(run, None)
    assert "another Rancher" in returned.error.message
    for state in (RETIRED, ROLLED_BACK, FORGOTTEN):
        assert command(ranchers, "a", state).error.code == "other_writer"
    assert set(ranchers.provider) == {"k2"}


def test_a_former_leader_that_was_not_listed_changes_nothing():
    ranchers = rotated()
    assert command(ranchers, "b", ADOPTED, external_stores=stores_of("b")[1:]).outcome.steps == (IDLE,)
    for state in (RETIRED, ROLLED_BACK):
        run = command(ranchers, "a", state)
        assert "another Rancher" in str(run.error or run.outcome.waiting)
    assert all(key.enabled for key in ranchers.provider.values()) and ranchers.live("a")["id"] == "k2"


def test_a_takeover_begins_again_if_a_member_changes_meanwhile():
    ranchers = rotated()
    run = run_until(MemberRun(ranchers, "b", ADOPTED, "run"), "claim_store")
    ranchers.write("a", pair(1))
    run_until(run, None)
    assert run.error is None and ranchers.leaders == {"a": "b", "b": "b", "c": "b"}
    assert ranchers.states["b"].record.old.key == "k1", "the key in it is known"


def test_a_takeover_needs_a_key_that_works_and_at_most_another_key():
    ranchers = rotated()
    ranchers.provider["k2"].enabled = False
    assert command(ranchers, "b", ADOPTED).error.code == "unproven" and ranchers.leaders["b"] == "a"
    ranchers.provider["k2"].enabled = True
    ranchers.write("a", pair(1))
    ranchers.write("c", pair(9))
    assert "contain 2 other keys" in command(ranchers, "b", ADOPTED).error.message


def test_a_rancher_that_forgets_its_rotation_can_follow_again():
    ranchers = rotated()
    assert command(ranchers, "b", ADOPTED).error is None
    assert command(ranchers, "b", FORGOTTEN).error is None
    assert ranchers.states["b"].record is None and not ranchers.leaders["b"]
