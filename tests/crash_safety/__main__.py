# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All of the proof that rotations survive: run, count, and write docs/rotation-proof.md. Exit code 1 if anything was violated.

    python -m crash_safety [PART ...]

Only a run of all parts writes the document.
"""

from __future__ import annotations

import datetime
import os
import re
import subprocess
import sys
import time
import typing
from pathlib import Path

from . import plays
from .bench import Bench

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "tests" / "control_plane" / "go" / "kube-apiserver" / "go.mod"
DOCUMENT = ROOT / "docs" / "rotation-proof.md"
HISTORIES = 20000
# Seconds until AWS knows a new key, in the part about that.
DELAY = 1.5


class Done(typing.NamedTuple):
    """A part that was played."""

    name: str
    what: str
    cases: int
    violations: list
    seconds: float


def _matrix(bench):
    return [case for name in plays.SCENARIOS for case in plays.crashes(name, plays.calls_of(bench, name))]


def _stops(bench):
    return [case for name in plays.SCENARIOS for case in plays.stops(name, plays.calls_of(bench, name))]


def _parts():
    """Name, what it is, the play, its cases, how many at once."""
    return (
        ("kills", "each command of a rotation is killed at random times", plays.killed, lambda bench: range(320), 6),
        ("pairs", "two runs at once", plays.pair, lambda bench: range(1000, 1110), 8),
        ("edits", "a person types in another key meanwhile", plays.edit, lambda bench: range(2000, 2060), 6),
        ("outages", "kube-apiserver is killed and started again, with four rotations under way", plays.outage, lambda bench: range(3000, 3030), 1),
        ("matrix", "a run breaks at a call, then the plain command again", plays.crash, _matrix, 6),
        ("stops", "a run stands still, another one takes over, the first one wakes up", plays.stopped, _stops, 8),
    )


def _played(bench, name, what, play, cases, threads):
    begun = time.monotonic()
    cases = list(cases(bench))
    violations = bench.all(play, cases, threads)
    print(f"{name}: {len(cases)} cases, {len(violations)} violations, {time.monotonic() - begun:.0f} s", *violations, sep="\n  ", flush=True)
    return Done(name, what, len(cases), violations, time.monotonic() - begun)


def _histories():
    """The protocol alone, in memory, in as many orders as time permits."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "-c", ROOT / "tests" / "pytest.ini",
         ROOT / "tests" / "unit" / "test_rotation.py"], env={**os.environ, "RANCHHAND_HISTORIES": str(HISTORIES)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    wrong = [line for line in done.stdout.splitlines() if line.startswith(("E  ", "FAILED", "ERROR"))] if done.returncode else []
    print(f"histories: exit code {done.returncode}, {time.monotonic() - begun:.0f} s", *wrong, sep="\n  ", flush=True)
    return Done("histories", f"{HISTORIES} random interleavings of each cast, in memory", 10 * HISTORIES, wrong, time.monotonic() - begun)


def main():
    wanted = sys.argv[1:]
    done = []
    with Bench() as bench:
        for part in _parts():
            if not wanted or part[0] in wanted:
                done.append(_played(bench, *part))
        counts = dict(bench.counts)
    if not wanted or "delays" in wanted:
        with Bench(propagation_delay=DELAY) as slow:
            done.append(_played(slow, "delays", f"as kills, where a new key is unknown for {DELAY} s", plays.killed, lambda bench: range(4000, 4020), 6))
    if not wanted or "histories" in wanted:
        done.append(_histories())
    for name in sorted(counts):
        print(f"{counts[name]:7d} {name}")
    violations = sum(len(one.violations) for one in done)
    print(f"{violations} violations in {sum(one.seconds for one in done):.0f} s")
    if not wanted:
        _write(done, counts)
    sys.exit(1 if violations else 0)


def _write(done, counts):
    version = re.search(r"k8s\.io/kubernetes (v\S+)", MODULE.read_text(encoding="utf-8"), re.M).group(1)
    # of one bench; the other one is the part about delays
    pause = sum(one.seconds for one in done if one.name not in ("delays", "histories")) / counts["rounds of the reader"] * 1000
    rows = "\n".join(f"| {one.name} | {one.what} | {one.cases} | {len(one.violations)} | {one.seconds:.0f} s |" for one in done)
    figures = "\n".join(f"| {name} | {counts[name]} |" for name in sorted(counts))
    DOCUMENT.write_text(f"""\
# What rotations survived

`make soak` writes this page; last on {datetime.date.today()}, on {os.cpu_count()} processors, with Python {sys.version.split()[0]}, a real kube-apiserver
{version} with etcd, and moto as AWS, which here checks signatures, refuses disabled keys and allows two keys.

| part | what happens | cases | violations | time |
|---|---|---|---|---|
{rows}

Each case is a rotation of a credential of its own, with the code that the action plugin runs, in a process that is really killed. Faults
come from outside: around the calls of that process, in a proxy before kube-apiserver that loses replies, and at the cloud. A call breaks
before it, after it, or when its reply is lost; by SIGKILL, an exception, Ctrl-C, or by hanging until SIGTERM. A process that ends before
a call leaves what it leaves after the write before, so that is one case.

Meanwhile a reader takes each credential from the cluster and signs in with it, over and over, at most every 50 ms; as all shared these processors, a
round came every {pause:.0f} ms. A violation is any of these:

- the key in a credential did not work at some instant,
- the old value was in no credential and no kept Secret, or its key was gone, before the old key was being deleted,
- a third key was asked for, or the old key was deleted before it was disabled,
- after the plain commands there was not exactly one key, not the one in the credential, or not just its kept value,
- another run after that changed anything, at the cluster or at the cloud,
- what a person typed in was overwritten,
- a plain command failed.

| figure | |
|---|---|
{figures}

A run that stands still right before a call to the cloud and wakes up later than `drain` is not among the cases: no cloud offers a way to
fence it off. `assume_dead: true` is for runs that are known to be gone, and `drain` is longer than any call takes.
""", encoding="utf-8")


if __name__ == "__main__":
    main()
