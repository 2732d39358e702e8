# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands: prepare what is missing, run it, say how it went."""
from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import namedtuple

from control_plane import build
from control_plane.errors import Unavailable

from . import debian, environments, gates
from .process import COLLECTIONS, LOCAL, ROOT, Failed, aws_for, environment, private_home, run, say

TESTS = ("unit", "integration", "leaks", "faults")
# What takes long and depends on no version of Ansible or of the client.
ONCE = ("issuers", "crash_safety", "guides", "automation_platforms", "schedule")
HEART = ("unit", "integration/test_cloud_credential.py", "integration/test_node_template.py")
PASSED, FAILED, NOT_RUN = "passed", "FAILED", "not run"

Result = namedtuple("Result", "name verdict reason seconds")


def main():
    parser = argparse.ArgumentParser(prog="run.py", description="Run the demo or the tests; all that is needed is installed below .local first.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("build", help="build the control plane and stop")
    demo_parser = commands.add_parser("demo", help="show the collection at work on a Kubernetes API server")
    demo_parser.add_argument("--keep", action="store_true", default=_is_set("KEEP"), help="leave the control plane running afterwards (or KEEP=1)")
    commands.add_parser("shell", help="open a shell with a throw-away Rancher and AWS to practise on")
    test_parser = commands.add_parser("test", help="run all tests and checks")
    test_parser.add_argument("--fast", action="store_true", default=_is_set("FAST"), help="only what matters most, in one lane (or FAST=1)")
    commands.add_parser("soak", help="kill rotations in all ways, and write docs/rotation-proof.md anew")
    bench_parser = commands.add_parser("bench", help="measure, and write docs/performance.md anew")
    bench_parser.add_argument("cases", nargs="*", help="only these cases (see benchmarks/cases.py)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    try:
        if arguments.command == "build":
            code = _ensure_control_plane()
        elif arguments.command == "demo":
            code = demo(arguments.keep)
        elif arguments.command == "shell":
            code = shell()
        elif arguments.command == "soak":
            code = soak()
        elif arguments.command == "bench":
            code = bench(arguments.cases)
        else:
            code = test(arguments.fast)
    except (Failed, Unavailable) as problem:
        sys.exit(str(problem))
    except OSError as problem:
        # A full disk, a folder that may not be written, git that is not there.
        sys.exit("%s: %s" % (problem.filename or "The system refused", problem.strerror or problem))
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def demo(keep):
    """Run playbooks/demo.yml in the newest lane that this machine can have."""
    lane = environments.newest_possible()
    venv = environments.lane_venv(lane)
    environments.link_collection()
    _ensure_control_plane()
    say("starting etcd, kube-apiserver and an AWS on loopback, with the objects of a Rancher (%s)\n" % _describe(lane))
    with private_home() as home:
        return run(
            [venv / "bin" / "python", "-m", "control_plane", *(["--keep"] if keep else []),
             "--objects", ROOT / "tests" / "control_plane" / "fixtures" / "demo.json",
             *aws_for(venv / "bin" / "python", ROOT / "tests"), venv / "bin" / "ansible-playbook", "ranchhand.rancher.demo"],
            environment(venv, home, PYTHONPATH=ROOT / "tests", ANSIBLE_CALLBACK_RESULT_FORMAT="yaml"))


def shell():
    """Open a shell in an empty folder, from which ansible-playbook finds a Rancher's API server and an AWS, in the lane of the demo."""
    lane = environments.newest_possible()
    venv = environments.lane_venv(lane)
    environments.link_collection()
    _ensure_control_plane()
    say("starting a Rancher's API server and an AWS on loopback; `exit` stops them and removes this folder (%s)\n" % _describe(lane))
    python, tests = venv / "bin" / "python", ROOT / "tests"
    with private_home() as home:
        command = [python, "-m", "control_plane", *aws_for(python, tests), os.environ.get("SHELL", "/bin/sh")]
        env = environment(venv, home, PYTHONPATH=tests)
        del env["ANSIBLE_CONFIG"], env["ANSIBLE_INVENTORY"]  # those of a repository that is made there count
        return run(command, env, home)


def test(fast):
    """Run the tests in each lane, then the gates; a failure does not keep the others from running."""
    results = []
    here, missing = ([environments.newest_possible()], []) if fast else environments.possible()
    environments.link_collection()
    _ensure_control_plane()
    reference = _reference()
    for lane in here:
        results.append(_stage(_describe(lane), lambda lane=lane: _lane(lane, fast, reference)))
    results += [Result(_describe(lane), NOT_RUN, reason, 0) for lane, reason in missing]
    if not fast:
        results.append(_stage("reports in Chromium", _browser))
        results += _gates()
    return _report(results)


def soak():
    """Prove in full, in the newest lane, that rotations survive; tests/crash_safety proves a part of it."""
    venv = environments.lane_venv(environments.newest_possible())
    environments.link_collection()
    _ensure_control_plane()
    with private_home() as home:
        return run(
            [venv / "bin" / "python", "-m", "crash_safety"],
            environment(venv, home, PYTHONPATH=os.pathsep.join(map(str, (COLLECTIONS, ROOT / "tests")))))


def bench(cases):
    """Measure in environments of its own, with kubectl from the same Go module as kube-apiserver."""
    environments.link_collection()
    community = environments.kubernetes_core().parents[5]
    venv, older = environments.bench_venvs()
    _ensure_control_plane()
    kubectl = build.ensure_kubectl(say=say, pip=environments.pip)
    with private_home() as home:
        return run(
            [venv / "bin" / "python", "-m", "benchmarks", "--venv", venv, "--venv-31", older, "--community", community,
             "--kubectl", kubectl, *cases],
            environment(venv, home, PYTHONPATH=os.pathsep.join(map(str, (ROOT, ROOT / "tests", COLLECTIONS)))))


def _lane(lane, fast, reference):
    venv = environments.lane_venv(lane)
    tests = [ROOT / "tests" / name for name in (HEART if fast else TESTS + ONCE if lane == environments.newest_possible() else TESTS)]
    # A short path: sockets lie below, whose names may have a hundred characters.
    with private_home() as home, tempfile.TemporaryDirectory(prefix="rh-") as base:
        env = environment(venv, home, PYTHONPATH=os.pathsep.join([str(COLLECTIONS), str(ROOT / "tests")]))
        if reference:
            env["RANCHHAND_KUBERNETES_CORE"] = str(reference)
        if not fast and lane == environments.newest_possible():
            env["RANCHHAND_KEYSTONE"] = str(environments.keystone_venv() / "bin" / "python")
            env["RANCHHAND_RULEBOOK"] = str(environments.rulebook_venv() / "bin" / "ansible-rulebook")
            env["RANCHHAND_AWX"] = str(environments.awx_collection())
            environments.builder_venv()  # here, as no registry can be reached from within a test where that needs a proxy
        return run(
            [venv / "bin" / "python", "-m", "pytest", "-q", "-n", "2", "--durations=15", "--basetemp", base, "-c", ROOT / "tests" / "pytest.ini",
             "-o", "cache_dir=%s" % (LOCAL / "pytest_cache"), *(["-m", "not slow"] if fast else []), *tests], env)


def _browser():
    venv = environments.browser_venv()
    debian.ensure(chromium="chromium", chromedriver="chromium-driver")
    with private_home() as home:
        return run(
            [venv / "bin" / "python", "-m", "pytest", "-q", "-c", ROOT / "tests" / "pytest.ini", "-p", "no:cacheprovider",
             ROOT / "tests" / "browser"],
            environment(venv, home, PYTHONPATH=os.pathsep.join([str(COLLECTIONS), str(ROOT / "tests")])))


def _reference():
    try:
        return environments.kubernetes_core()
    except Failed as problem:
        say("%s; the test that compares our connection options with those of kubernetes.core is skipped" % problem)
        return None


def _gates():
    try:
        env = gates.prepare()
    except Failed as problem:
        return [Result(name, NOT_RUN, str(problem), 0) for name, unused in gates.gates()]
    return [_stage(name, lambda gate=gate: gate(env)) for name, gate in gates.gates()]


def _ensure_control_plane():
    # Without Go its toolchain is fetched by pip; the one of our own is only installed where it is needed.
    build.ensure(say=say, pip=environments.pip)
    return 0


def _stage(name, action):
    say("\n===== %s =====" % name)
    begun = time.monotonic()
    reason = ""
    try:
        code = action()
        verdict = FAILED if code else PASSED
        if code:
            reason = "exit code %d" % code
    except gates.NotYet as problem:
        verdict, reason = NOT_RUN, str(problem)
    except (Failed, Unavailable) as problem:
        verdict, reason = FAILED, str(problem)
    seconds = time.monotonic() - begun
    say("----- %s: %s in %d s%s" % (name, verdict, seconds, " (%s)" % reason if reason else ""))
    return Result(name, verdict, reason, seconds)


def _report(results):
    width = max(len(result.name) for result in results)
    say("\n===== summary =====")
    for result in results:
        time_or_reason = "%4d s" % result.seconds if result.verdict == PASSED else "%s" % result.reason
        say("%-*s  %-7s  %s" % (width, result.name, result.verdict, time_or_reason))
    bad = [result for result in results if result.verdict == FAILED or (result.verdict == NOT_RUN and _is_set("CI"))]
    if not bad:
        say("all that ran passed")
        return 0
    say("%d of %d failed%s" % (len(bad), len(results), "; in CI what could not run is a failure" if _is_set("CI") else ""))
    return 1


def _describe(lane):
    return "Python %s × ansible-core %s × kubernetes %s" % lane


def _is_set(name):
    return os.environ.get(name, "").lower() not in ("", "0", "false", "no")


def _stop(signum, frame):
    raise SystemExit(128 + signum)
