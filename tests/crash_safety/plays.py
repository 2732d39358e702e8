# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays: each takes a test bench and a case, which is all that is needed to repeat it, and raises Violation."""

from __future__ import annotations

import random
import signal
import threading
import time
import typing

from .runner import KINDS, PROVIDER_CALLS, WRITES, Fault

NOW = {"grace": "0s"}
LATER = {"soak": "0s"}
PAUSED = {"pause_before_cutover": True}


class Scenario(typing.NamedTuple):
    """Runs that lead to a phase, the run that is disturbed there, and the phase that its plain command then reaches."""

    before: tuple
    command: tuple
    phase: str
    back: bool = False  # to the old key


# The rows of the crash table are the places between two writes of these.
SCENARIOS = {
    "rotate": Scenario((), ("rotated", {}), "grace"),
    "rotate after a key was lost": Scenario((("rotated", {}, "issue"),), ("rotated", {}), "grace"),
    "cut over": Scenario((("rotated", PAUSED),), ("rotated", {}), "grace"),
    "disable": Scenario((("rotated", {}),), ("retired", NOW), "disabled"),
    "delete": Scenario((("rotated", {}), ("retired", NOW)), ("retired", LATER), "idle"),
    "roll back": Scenario((("rotated", {}),), ("rolled_back", {}), "idle", True),
    "roll back a disabled key": Scenario((("rotated", {}), ("retired", NOW)), ("rolled_back", {}), "idle", True),
    "abort": Scenario((("rotated", PAUSED),), ("aborted", {}), "idle", True),
    "abort after a key was lost": Scenario((("rotated", {}, "issue"),), ("aborted", {}), "idle", True),
}
# Where to begin what is left to chance.
BEGINNINGS = {
    "idle": (), "preparing": (("rotated", {}, "issue"),), "issued": (("rotated", PAUSED),), "grace": (("rotated", {}),),
    "disabled": (("rotated", {}), ("retired", NOW)),
}
GOALS = (("rotated", {}), ("retired", {**NOW, **LATER}), ("rolled_back", {}), ("aborted", {}))


def begin(subject, commands):
    """Run the commands that lead to where a scenario begins."""
    for state, options, *lost in commands:
        if lost:
            subject.lose_at_provider("issue")
            subject.check(
                (subject.run(state, **options).result or {}).get("code") == "unreachable", "the key was not lost"
            )
        else:
            subject.plain(state, **options)


def calls_of(bench, name):
    """The calls of a scenario's command when nothing disturbs it."""
    scenario = SCENARIOS[name]
    with bench.subject() as subject:
        begin(subject, scenario.before)
        return subject.plain(scenario.command[0], **scenario.command[1]).calls


def crashes(name, calls, kinds=KINDS):
    """All cases of a scenario that differ.

    Reads change nothing, so a process that ends before a write, or before or after a read, leaves what it leaves after
    the write before. After an exception, a run ends by itself. Ctrl-C loses no reply.
    """
    for number, call in enumerate(calls):
        for kind in kinds:
            if kind == "exception" or number == 0:
                yield name, call, Fault(number, "before", kind)
            if call in WRITES:
                yield name, call, Fault(number, "after", kind)
                if kind != "interrupt":
                    yield name, call, Fault(number, "lost", kind)


def crash(bench, case):
    """A run breaks at one call; the plain command again does the rest."""
    name, _call, fault = case
    scenario = SCENARIOS[name]
    state, options = scenario.command
    with bench.subject() as subject:
        begin(subject, scenario.before)
        broken = subject.run(state, fault, **options)
        if fault.kind != "exception" and fault.moment != "lost":
            subject.check(
                broken.result is None or fault.kind == "interrupt" and broken.result.get("failed"),
                "the run was not ended",
            )
        go_on(subject, scenario)
    bench.counts[f"crashes: {fault.moment}, {fault.kind}"] += 1


def go_on(subject, scenario):
    """The plain command again does the rest, and the commands after it end the rotation."""
    state, options = scenario.command
    subject.plain(state, **options)
    subject.check(subject.phase == subject.reached(scenario.phase), f"the plain command left it in {subject.phase}")
    if scenario.back:
        subject.check_idle(subject.key)
        return
    new = subject.live
    subject.check(new != subject.key, "the old key is still there")
    for options in (NOW, LATER):
        if subject.phase != "idle":
            subject.plain("retired", **options)
    subject.check_idle(new)


def stopped(bench, case):
    """A run is stopped, another run takes over with assume_dead, and then the first run continues."""
    name, _call, fault = case
    scenario = SCENARIOS[name]
    state, options = scenario.command
    with bench.subject() as subject:
        begin(subject, scenario.before)
        sleeper = subject.start(state, fault, **options)
        subject.check(sleeper.wait() is None, "the run did not stop")
        subject.plain(state, assume_dead=True, **options)
        sleeper.kill(signal.SIGCONT)
        subject.history.append("the first run wakes up")
        sleeper.wait()
        go_on(subject, scenario)
    bench.counts["runs that woke up after another had taken over"] += 1


def stops(name, calls):
    """Return the cases, except writes to the provider: a run that is stopped right before one sends it later."""
    for number, call in enumerate(calls):
        if call not in PROVIDER_CALLS or call not in WRITES:
            yield name, call, Fault(number, "before", "stop")


def killed(bench, seed):
    """A rotation whose every command is killed at a random time, some more than once."""
    chance = random.Random(seed)
    way = chance.choice((
        (("rotated", {}), ("retired", NOW), ("retired", LATER)), (("rotated", {}), ("rolled_back", {})),
        (("rotated", {}), ("retired", NOW), ("rolled_back", {})), (("rotated", PAUSED), ("aborted", {})),
    ))
    with bench.subject() as subject:
        for state, options in way:
            for _again in range(chance.choice((1, 1, 1, 2, 3))):
                run = subject.start(state, **options)
                timer = threading.Timer(chance.uniform(0.02, 0.7 if state == "rotated" else 0.4), run.kill)
                timer.start()
                ended = run.wait()
                timer.cancel()
                subject.history[-1] += " killed" if ended.result is None else " was faster"
                bench.counts["runs killed at a random time"] += ended.result is None
            subject.plain(state, **options)
        back = way[-1][0] in ("rolled_back", "aborted")
        subject.check((subject.live == subject.key) == back, "it is not the key that was to be")
        subject.check_idle()
    bench.counts["rotations killed at random times"] += 1


# Failure codes of two concurrent runs; no other client writes the credential, so there is no drift.
_REFUSALS = ("busy", "too_late", "not_cut_over", "conflict", "old_unusable")


def pair(bench, seed):
    """Two concurrent runs with any requested states. One of them may be killed, or have assume_dead."""
    chance = random.Random(seed)
    beginning = chance.choice(tuple(BEGINNINGS))
    goals = [chance.choice(GOALS) for _run in range(2)]
    presumed, shot = chance.random() < 0.3, chance.random() < 0.3
    with bench.subject() as subject:
        begin(subject, BEGINNINGS[beginning])
        subject.history.append(f"two at once in {beginning}")
        first = subject.start(goals[0][0], **goals[0][1])
        time.sleep(chance.choice((0, chance.uniform(0, 0.6))))
        # Longer than any call takes here, as drain has to be.
        second = subject.start(goals[1][0], **goals[1][1], **({"assume_dead": True, "drain": "5s"} if presumed else {}))
        if shot:
            time.sleep(chance.uniform(0, 0.5))
            chance.choice((first, second)).kill()
        for run in (first, second):
            result = run.wait().result
            code = result and result.get("code")
            subject.history.append(f"> {code or result and result['rotation']['phase']}")
            subject.check(not code or code in _REFUSALS, f"one of two runs returned {result and result.get('msg')}")
        subject.settle()
        subject.check_idle()
        subject.settle(rotation_id="second")
        subject.check_idle()
    bench.counts["pairs of concurrent runs"] += 1


def edit(bench, seed):
    """Another client writes another key during a run."""
    chance = random.Random(seed)
    beginning = chance.choice(tuple(BEGINNINGS))
    state, options = chance.choice(GOALS)
    with bench.subject() as subject:
        begin(subject, BEGINNINGS[beginning])
        theirs = bench.cloud.create_user(f"{subject.user}-theirs")
        run = subject.start(state, **options)
        time.sleep(chance.uniform(0, 0.7))
        subject.edit(theirs)
        at = time.time()
        subject.history.append(f"edit after {beginning}")
        run.wait()
        codes = [(subject.run(*goal[:1], **goal[1]).result or {}).get("code") for goal in GOALS[:1] + GOALS[2:]]
        record = subject.record
        if record and record["phase"] != "idle" and (record["old"] or {}).get("key") != theirs["accessKey"]:
            subject.check(set(codes) == {"drift"}, f"the runs after it returned {codes}")
            bench.counts["edits that stopped a rotation"] += 1
        else:  # it came before the rotation began, or when it was over
            bench.counts["edits before or after a rotation"] += 1
        mine = record and theirs["accessKey"] in [(record[name] or {}).get("key") for name in ("old", "current")]
        subject.check(
            subject.live == theirs or mine,
            f"what was typed in at {at:.1f} was overwritten by {subject.live['accessKey']}",
        )
    bench.counts["rotations with an edit in between"] += 1


def outage(bench, seed):
    """kube-apiserver is killed in the middle of some runs, and started again."""
    chance = random.Random(seed)
    with bench.subject() as item, bench.subject() as two, bench.subject() as three, bench.subject() as four:
        subjects = (item, two, three, four)
        runs = []
        scenarios = [SCENARIOS[name] for name in chance.choices(tuple(SCENARIOS), k=len(subjects))]
        for subject, scenario in zip(subjects, scenarios):
            begin(subject, scenario.before)
        for subject, scenario in zip(subjects, scenarios):
            runs.append(subject.start(scenario.command[0], **scenario.command[1]))
        time.sleep(chance.uniform(0.02, 0.25))
        under_way = sum(run.under_way for run in runs)
        bench.control_plane.kill_apiserver()
        time.sleep(chance.choice((0, 0, 4)))
        bench.control_plane.start_apiserver()
        for subject, run in zip(subjects, runs):
            result = run.wait().result
            code = result and result.get("code")
            # one that has just started answers 503 for a while
            subject.check(
                not code
                or code in ("unreachable", *_REFUSALS)
                or code == "server_error"
                and "please try again" in result["msg"],
                f"a run during it returned {result and result.get('msg')}",
            )
        for subject, scenario in zip(subjects, scenarios):
            subject.history.append(f"kube-apiserver was killed with seed {seed}")
            subject.plain(scenario.command[0], **scenario.command[1])
            subject.check(subject.phase == scenario.phase, f"the plain command left it in {subject.phase}")
            subject.settle()
            subject.check_idle()
    bench.counts["kills of kube-apiserver"] += 1
    bench.counts["rotations with kube-apiserver killed in the middle, and restarted"] += under_way
