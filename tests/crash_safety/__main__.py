# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the whole proof that rotations survive, and write docs/rotation-proof.md. Exit code 1 after a violation.

    python -m crash_safety [PART ...]

With the part `providers`, names of rows such as `kubernetes` select providers. Only a run of all parts writes the
document.
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

from unit import test_rotation, test_rotation_checks, test_rotation_members

from control_plane import ControlPlane
from support.providers.all_fakes import FAKES
from support.providers.keystone import Keystone

from . import members, plays, providers
from .bench import Bench, violations

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "tests" / "control_plane" / "go" / "kube-apiserver" / "go.mod"
DOCUMENT = ROOT / "docs" / "rotation-proof.md"
# Of each cast; with people, 204,000 in all.
HISTORIES = 6000
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
        ("edits", "a user writes another key during the rotation", plays.edit, lambda bench: range(2000, 2060), 6),
        ("outages", "kube-apiserver is killed and started again, with four rotations in progress", plays.outage,
         lambda bench: range(3000, 3030), 1),
        ("matrix", "a run fails at a call, then the plain command runs again", plays.crash, _matrix, 6),
        ("stops", "a run is suspended, another run takes over, the first run resumes", plays.stopped, _stops, 8),
    )


def _played(bench, name, what, play, cases, threads):
    begun = time.monotonic()
    cases = list(cases(bench))
    found = violations(bench, play, cases, threads)
    print(
        f"{name}: {len(cases)} cases, {len(found)} violations, {time.monotonic() - begun:.0f} s",
        *found,
        sep="\n  ",
        flush=True,
    )
    return Done(name, what, len(cases), found, time.monotonic() - begun)


def _providers(bench, wanted):
    """The matrix with other providers: all, or those whose names are wanted."""
    with Keystone() as keystone, ControlPlane() as harvester:
        account, strict, alternating = (
            providers.vcenter(bench, kind)
            for kind in (providers.AccountSubject, providers.StrictSubject, providers.AlternatingSubject)
        )
        matrix = plays.crash, providers.matrix
        parts = {
            **{
                kind.issuer: (
                    f"a {'real server' if kind.is_real else 'fake'} of {kind.issuer}", providers.fake(bench, kind),
                    *matrix,
                ) for kind in FAKES
            },
            "kubernetes": ("a second API server", providers.kubernetes(bench, harvester), *matrix),
            "openstack": ("Keystone", providers.openstack(bench, keystone), *matrix),
            "vmwarevsphere": ("a fake of vCenter and a single account", account, *matrix),
            "refused returns": (
                "a vCenter that refuses to return to the old password", strict,
                providers.refused_return, providers.refused_returns,
            ),
            "accounts": ("a fake of vCenter and two accounts that alternate", alternating, *matrix),
        }
        return [
            _played(on, f"matrix, {name}", f"as matrix, with {what}", play, cases, 6)
            for name, (what, on, play, cases) in parts.items()
            if not wanted & parts.keys() or name in wanted
        ]


def _members(bench):
    """The matrix with two members."""
    with members.MembersBench(bench) as other:
        what = "as matrix, with two credentials of another Rancher, for each write to them"
        return _played(other, "matrix, members", what, plays.crash, members.matrix, 6)


def _histories():
    """The protocol alone, in memory, in as many orders as time permits."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "-c", ROOT / "tests" / "pytest.ini",
         *(ROOT / "tests" / "unit" / f"test_{name}.py" for name in (
             "rotation", "rotation_checks", "rotation_members"))],
        env={**os.environ, **dict.fromkeys(
            ("RANCHHAND_HISTORIES", "RANCHHAND_PEOPLE", "RANCHHAND_MEMBERS"), str(HISTORIES))},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    wrong = (
        [line for line in done.stdout.splitlines() if line.startswith(("E  ", "FAILED", "ERROR"))]
        if done.returncode
        else []
    )
    print(f"histories: exit code {done.returncode}, {time.monotonic() - begun:.0f} s", *wrong, sep="\n  ", flush=True)
    runs, people = len(test_rotation.CASTS), len(test_rotation_checks.CASTS)
    issuers = len(test_rotation_members.ISSUERS)
    what = (
        f"{HISTORIES} random histories of each of {runs} combinations of runs, and of each of {people} combinations of "
        f"runs and people, and with three Ranchers that contain a key of each of {issuers} kinds, in memory")
    return Done("histories", what, (runs + people + issuers) * HISTORIES, wrong, time.monotonic() - begun)


def main():
    wanted = sys.argv[1:]
    done = []
    with Bench() as bench:
        for part in _parts():
            if not wanted or part[0] in wanted:
                done.append(_played(bench, *part))
        counts = dict(bench.counts)
        if not wanted or "providers" in wanted:
            done += _providers(bench, set(wanted))
        if not wanted or "members" in wanted:
            done.append(_members(bench))
    if not wanted or "delays" in wanted:
        with Bench(propagation_delay=DELAY) as slow:
            what = f"as kills, and AWS does not accept a new key for {DELAY} s"
            done.append(_played(slow, "delays", what, plays.killed, lambda bench: range(4000, 4020), 6))
    if not wanted or "histories" in wanted:
        done.append(_histories())
    for name in sorted(counts):
        print(f"{counts[name]:7d} {name}")
    count = sum(len(item.violations) for item in done)
    print(f"{count} violations in {sum(item.seconds for item in done):.0f} s")
    if not wanted:
        _write(done, counts)
    sys.exit(1 if count else 0)


def _write(done, counts):
    version = re.search(r"k8s\.io/kubernetes (v\S+)", MODULE.read_text(encoding="utf-8"), re.M).group(1)
    parts = [part[0] for part in _parts()]  # the figures are of these
    pause = sum(item.seconds for item in done if item.name in parts) / counts["rounds of the reader"] * 1000
    rows = "\n".join(
        f"| {item.name} | {item.what} | {item.cases} | {len(item.violations)} | {item.seconds:.0f} s |" for item in done
    )
    figures = "\n".join(f"| {name} | {counts[name]} |" for name in sorted(counts))
    DOCUMENT.write_text(f"""\
# How rotations are tested

`make soak` kills and disturbs rotations and writes this page. Last run: {datetime.date.today()}, on {os.cpu_count()}
processors, with Python {sys.version.split()[0]}, a real kube-apiserver {version} with etcd, and moto as a simulated AWS
that checks signatures, refuses disabled keys and allows two keys.

| Part | What happens | Cases | Violations | Time |
|---|---|---|---|---|
{rows}

Each case rotates a separate credential. It uses the code that the action plugin runs, in a process that is actually
killed. Faults are injected from outside: around the calls of that process, in a proxy in front of kube-apiserver that
loses replies, and at AWS. A call fails before it is sent, after it is executed, or because its reply is lost. It fails
by SIGKILL, an exception, Ctrl-C, or by hanging until SIGTERM. A process that ends before a call leaves the same state
as one that ends after the previous write, so these are one case. With the providers other than AWS, it fails by SIGKILL
after each write, by an exception before each call, and because the reply to a write to the cluster, or to the request
that makes a new key valid, is lost. These providers are [fakes](issuers.md), a RADOS Gateway, a Keystone, and a second
kube-apiserver as the Harvester cluster. With this cluster and with two accounts of vSphere, a run is also killed within
the call that makes a new key valid, and replies to the requests that disable and delete a key are lost.

Meanwhile a reader reads each credential from the cluster and signs in with its key repeatedly, at most every 50 ms.
Because all processes shared these processors, the reader read every {pause:.0f} ms. Each of these is a violation:

- The key in a credential did not work at some moment.
- Before the deletion of the old key started, its value was in no credential and no kept Secret, or the key did not
  exist.
- A third key was requested, or the old key was deleted before it was disabled.
- After the plain commands, there was not exactly one key, it was not the key in the credential, or more than its value
  was kept.
- A further run changed something in the cluster or at AWS.
- A value that a user wrote was overwritten.
- A plain command failed.

A user of OpenStack, and a single account of vSphere, has one password. From the call that changes the password to the
write of the credential, the credential does not work; if the run is killed in between, it does not work until the next
run. A further key is no proof there either, because the user or the account is the same. Each of these is a violation
instead:

- The password in a credential did not work in another phase than `issued` or `rolling_back`.
- In these phases, neither the password in the credential nor a kept one worked.
- After the plain commands, the password in the credential did not work.
- vCenter refused more than two sign-ins of a single account in a case, or more than one with two accounts. Five lock an
  account. The reader itself compares passwords, so that it locks none.

vCenter's default policy refuses a former password. In `matrix, vmwarevsphere` it is changed when a run returns to the
old password. In `matrix, refused returns` it is not: the return fails at each of its calls, is refused when it is
repeated, and `state: rotated` and `state: retired` then finish the rotation.

An API server accepts a revoked token for up to ten seconds. Therefore, the reader also checks that the Secret that a
token is bound to exists.

| Figure | |
|---|---|
{figures}

One case is not tested: a run that is suspended immediately before a call to the cloud provider and resumes after the
[drain](vocabulary.md#drain) time. No cloud provider offers a way to reject such a call. Therefore set
`assume_dead: true` only for runs that have certainly ended. The drain time is longer than any call takes.
""", encoding="utf-8")


if __name__ == "__main__":
    main()
