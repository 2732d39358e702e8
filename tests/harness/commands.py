# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of run.py: install what is missing, run, and report the result."""

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

from . import artifact, checks, debian, environments, interpreters, release, site
from .process import COLLECTIONS, LOCAL, ROOT, Failed, aws_for, environment, log, private_home, run

TESTS = ROOT / "tests"
# Test folders that run in each environment, and files in them that do not.
EACH = ("integration", "leaks")
EXCEPT = tuple(TESTS / "integration" / f"test_{name}.py" for name in (
    "artifact", "guard", "guard_rights", "least_privilege", "references", "repoint_rights", "rotation_gates",
    "rotation_objects", "rotation_people", "rotation_rights", "upgrade_rights",
))
# Test folders that depend on no version of Ansible or of the client. They and EXCEPT run in the newest environment
# only.
ONCE = (
    "unit", "control_plane", "issuers", "faults", "crash_safety", "load", "guides", "runbooks", "automation_platforms",
    "schedule", "release",
)
# Test folders that need more than the environment of the collection: an OpenStack, ansible-rulebook, AWX's modules,
# antsibull-changelog.
PLATFORMS = ("issuers", "crash_safety", "automation_platforms", "schedule", "release")
# The tests of `environments`.
SMOKE = (TESTS / "smoke", TESTS / "unit", "-n", "2")
# The tests of FAST=1.
CORE = ("unit", "integration/test_cloud_credential.py", "integration/test_node_template.py")
# In `soak`, the role schedule changes from each configuration to each other one.
CHANGES = (TESTS / "automation_platforms", TESTS / "schedule", "-m", "soak", "-n", "2")
# Inputs for each test of unit/test_hostile_input.py in `soak`: 20 tests, 30 000 inputs.
HOSTILE_INPUTS = 1500
PASSED, FAILED, NOT_RUN, ALLOWED = "passed", "FAILED", "not run", "allowed"

Result = namedtuple("Result", "name verdict reason seconds")


def main():
    parser = _parser()
    arguments, rest = parser.parse_known_args()
    if rest and arguments.command != "pytest":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    signal.signal(signal.SIGTERM, _exit_on_signal)
    actions = {
        "build": _ensure_control_plane,
        "demo": lambda: demo(arguments.keep),
        "shell": shell,
        "test": lambda: test(arguments.fast),
        "pytest": lambda: pytest(rest),
        "environments": each_environment,
        "lint": lint,
        "docs": site.build,
        "soak": soak,
        "bench": lambda: bench(arguments.cases),
        "artifact": build_artifact,
        "release": lambda: prepare_release(arguments.version),
    }
    try:
        code = actions[arguments.command]()
    except (Failed, Unavailable) as problem:
        sys.exit(str(problem))
    except OSError as problem:
        # A full disk, a folder without write permission, or a missing git.
        sys.exit("%s: %s" % (problem.filename or "The operating system refused", problem.strerror or problem))
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _parser():
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Run the demo, tests or benchmarks. All requirements are installed below .local first.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("build", help="build the control plane")
    demo_parser = commands.add_parser("demo", help="run the demo playbook on a Kubernetes API server")
    demo_parser.add_argument(
        "--keep",
        action="store_true",
        default=_is_set("KEEP"),
        help="keep the control plane running afterwards (or KEEP=1)",
    )
    commands.add_parser("shell", help="open a shell with a temporary Rancher and AWS for practice")
    test_parser = commands.add_parser("test", help="run all tests and checks")
    test_parser.add_argument(
        "--fast",
        action="store_true",
        default=_is_set("FAST"),
        help="run only the most important tests, in one environment (or FAST=1)",
    )
    # It declares no arguments, so that all are unknown and pytest gets them in their order.
    commands.add_parser(
        "pytest",
        usage="run.py pytest TESTS... [pytest's options]",
        help="run single tests in the newest environment, with pytest's options",
        add_help=False,
    )
    commands.add_parser("environments", help="run the unit tests, modules and roles with each ansible-core")
    commands.add_parser("lint", help="run ruff, mypy and the check of words")
    commands.add_parser("docs", help="build the documentation site in .local/site/html")
    commands.add_parser(
        "soak",
        help="pass hostile inputs, interrupt rotations in all ways, run many playbooks at once, and write the figures",
    )
    commands.add_parser("artifact", help="build the artifact of the collection in .local/artifact")
    release_parser = commands.add_parser("release", help="commit a release, build its artifact, and list what is left")
    release_parser.add_argument("version", help="the new version, such as 1.2.3")
    bench_parser = commands.add_parser("bench", help="run the benchmarks, and write docs/performance.md")
    bench_parser.add_argument("cases", nargs="*", help="run only these cases (see benchmarks/cases.py)")
    return parser


def build_artifact():
    """Build the artifact with the newest available environment."""
    venv = environments.test_venv(environments.newest_available())
    log(artifact.build(ROOT, LOCAL / "artifact", venv / "bin" / "ansible-galaxy", environment(venv)))
    return 0


def prepare_release(version):
    """Commit a release on main, build its artifact, and print what is left for a human."""
    release.check(ROOT, version)
    venv = environments.tools_venv()
    built = release.prepare(ROOT, version, LOCAL / "artifact", environment(venv))
    log("\n%s is committed and built: %s\n\nWhat is left:" % (version, built.relative_to(ROOT)))
    for purpose, command in release.remaining(built.relative_to(ROOT), version):
        log("  %s:\n    %s" % (purpose, command))
    return 0


def demo(keep):
    """Run playbooks/demo.yml in the newest available environment."""
    newest = environments.newest_available()
    venv = environments.test_venv(newest)
    environments.link_collection()
    _ensure_control_plane()
    log(
        "starting etcd, kube-apiserver and an AWS on loopback, with the objects of a Rancher (%s)\n" % _describe(newest)
    )
    with private_home() as home:
        return run(
            [
                venv / "bin" / "python",
                "-m",
                "control_plane",
                *(["--keep"] if keep else []),
                "--objects",
                TESTS / "control_plane" / "fixtures" / "demo.json",
                *aws_for(venv / "bin" / "python", TESTS),
                venv / "bin" / "ansible-playbook",
                "ranchhand.rancher.demo",
            ],
            environment(venv, home, PYTHONPATH=TESTS, ANSIBLE_CALLBACK_RESULT_FORMAT="yaml"),
        )


def shell():
    """Open a shell in an empty folder, in which ansible-playbook connects to a temporary Rancher and AWS."""
    newest = environments.newest_available()
    venv = environments.test_venv(newest)
    environments.link_collection()
    _ensure_control_plane()
    log(
        "starting a Rancher's API server and an AWS on loopback; `exit` stops them and deletes this folder (%s)\n"
        % _describe(newest)
    )
    python = venv / "bin" / "python"
    with private_home() as home:
        command = [python, "-m", "control_plane", *aws_for(python, TESTS), os.environ.get("SHELL", "/bin/sh")]
        env = environment(venv, home, PYTHONPATH=TESTS)
        del env["ANSIBLE_CONFIG"], env["ANSIBLE_INVENTORY"]  # a repository that is created there has its own
        return run(command, env, home)


def test(fast):
    """Run the linters, the tests in each environment, and the other checks; a failure does not prevent the rest from
    running.
    """
    chosen, missing = ([environments.newest_available()], []) if fast else environments.available()
    environments.link_collection()
    results = [] if fast else _linters()
    _ensure_control_plane()
    reference = _reference()
    for candidate in chosen:
        results.append(_step(_describe(candidate), lambda candidate=candidate: _pytest(candidate, fast, reference)))
    results += [Result(_describe(candidate), NOT_RUN, reason, 0) for candidate, reason in missing]
    if not fast:
        results.append(_step("reports in Chromium and Prometheus", _browser))
        results += _checks()
    return _summarize(results)


def pytest(arguments):
    """Run single tests in the newest available environment."""
    environments.link_collection()
    _ensure_control_plane()
    platforms = any(folder in argument for argument in arguments for folder in PLATFORMS)
    return _run_pytest(environments.newest_available(), arguments, _reference(), platforms)


def each_environment():
    """Run the unit tests, each module and each role with each version of ansible-core, and with the pre-release.

    A failure with the pre-release is shown and allowed.
    """
    environments.link_collection()
    _ensure_control_plane()
    results = []
    for chosen in environments.EACH_CORE:
        if interpreters.find(chosen.python):
            results.append(_step(_describe(chosen), lambda chosen=chosen: _run_pytest(chosen, SMOKE, None, False)))
        else:
            results.append(Result(_describe(chosen), NOT_RUN, f"no Python {chosen.python}", 0))
    if results[-1].verdict == FAILED:
        results[-1] = results[-1]._replace(verdict=ALLOWED, reason=f"pre-release failed: {results[-1].reason}")
    return _summarize(results)


def lint():
    """Run the linters."""
    return _summarize(_linters())


def soak():
    """Pass many hostile inputs to all parsers, change schedules and interrupt rotations in all ways, and run many
    playbooks at once.

    The tests do a part of each.
    """
    venv = environments.test_venv(environments.newest_available())
    environments.link_collection()
    _ensure_control_plane()
    changes = _run_pytest(environments.newest_available(), CHANGES, None, True)
    python = venv / "bin" / "python"
    with private_home() as home:
        variables = environment(
            venv, home, PYTHONPATH=_join(COLLECTIONS, TESTS), RANCHHAND_HOSTILE_INPUTS=str(HOSTILE_INPUTS),
            RANCHHAND_KEYSTONE=str(environments.keystone_venv() / "bin" / "python"), **_rgw(),
        )
        # Failing inputs are kept in .hypothesis and are tried first in the next run.
        inputs = run([python, "-m", "pytest", "-c", "tests/pytest.ini", "tests/unit/test_hostile_input.py"], variables)
        rotations = run([python, "-m", "crash_safety"], variables)
        return run([python, "-m", "load"], variables) or rotations or inputs or changes


def bench(cases):
    """Run the benchmarks in environments of their own, with kubectl from the Go module of kube-apiserver."""
    environments.link_collection()
    community = environments.kubernetes_core().parents[5]
    venv, older = environments.bench_venvs()
    _ensure_control_plane()
    kubectl = build.ensure_kubectl(log=log, pip=environments.pip)
    with private_home() as home:
        return run(
            [
                venv / "bin" / "python",
                "-m",
                "benchmarks",
                "--venv",
                venv,
                "--venv-31",
                older,
                "--community",
                community,
                "--kubectl",
                kubectl,
                *cases,
            ],
            environment(venv, home, PYTHONPATH=_join(ROOT, TESTS, COLLECTIONS)),
        )


def _pytest(chosen, fast, reference):
    newest = chosen == environments.newest_available()
    names = CORE if fast else ONCE + EACH if newest else EACH
    marks = "not slow and not soak" if fast else "not soak"
    arguments = ["-n", "3", "--dist", "worksteal", "--durations=40", "-m", marks, *(TESTS / name for name in names)]
    if not newest:
        arguments += [f"--ignore={file}" for file in EXCEPT]
    return _run_pytest(chosen, arguments, reference, newest and not fast)


def _run_pytest(chosen, arguments, reference, platforms):
    """Run pytest in an environment; ``platforms`` also installs what the tests in PLATFORMS need."""
    venv = environments.test_venv(chosen)
    # A short path: it contains sockets, whose paths are limited to a hundred characters.
    with private_home() as home, tempfile.TemporaryDirectory(prefix="rh-") as base:
        env = environment(venv, home, PYTHONPATH=_join(COLLECTIONS, TESTS))
        if reference:
            env["RANCHHAND_KUBERNETES_CORE"] = str(reference)
        if platforms:
            env["RANCHHAND_KEYSTONE"] = str(environments.keystone_venv() / "bin" / "python")
            env.update(_rgw())
            env["RANCHHAND_RULEBOOK"] = str(environments.rulebook_venv() / "bin" / "ansible-rulebook")
            env["RANCHHAND_AWX"] = str(environments.awx_collection())
            # Installed here, because tests cannot use the proxy that a registry may need.
            environments.builder_venv()
            environments.tools_venv()
        return run(
            [
                venv / "bin" / "python",
                "-m",
                "pytest",
                "-q",
                "--basetemp",
                base,
                "-c",
                TESTS / "pytest.ini",
                "-o",
                "cache_dir=%s" % (LOCAL / "pytest_cache"),
                *arguments,
            ],
            env,
        )


def _browser():
    venv = environments.browser_venv()
    debian.ensure(chromium="chromium", chromedriver="chromium-driver")
    with private_home() as home:
        return run(
            [
                venv / "bin" / "python",
                "-m",
                "pytest",
                "-q",
                "-c",
                TESTS / "pytest.ini",
                "-p",
                "no:cacheprovider",
                TESTS / "browser",
            ],
            environment(
                venv, home, PYTHONPATH=_join(COLLECTIONS, TESTS), RANCHHAND_PROMETHEUS=debian.unpack("prometheus")
            ),
        )


def _rgw():
    """Return the variable with which tests start an RGW; without it, they fail."""
    try:
        return {"RANCHHAND_RGW": str(debian.unpack_all("radosgw", "ceph-mon", "ceph-osd"))}
    except Failed as problem:
        log("%s; the tests of the issuer ceph will fail" % problem)
        return {}


def _reference():
    try:
        return environments.kubernetes_core()
    except Failed as problem:
        log("%s; the test that compares connection options with those of kubernetes.core is skipped" % problem)
        return None


def _linters():
    return [_step(name, check) for name, check in checks.linters()]


def _checks():
    try:
        env = checks.prepare()
        with checks.sanity(env) as wait:
            results = [_step(name, lambda check=check: check(env)) for name, check in checks.checks()]
            return [*results, _step("ansible-test sanity", wait)]
    except Failed as problem:
        return [Result("checks in a copy", NOT_RUN, str(problem), 0)]


def _ensure_control_plane():
    # Without Go, pip downloads its toolchain; the project's pip is only installed where it is needed.
    build.ensure(log=log, pip=environments.pip)
    return 0


def _step(name, action):
    log("\n===== %s =====" % name)
    begun = time.monotonic()
    reason = ""
    try:
        code = action()
        verdict = FAILED if code else PASSED
        if code:
            reason = "exit code %d" % code
    except checks.NotApplicable as problem:
        verdict, reason = NOT_RUN, str(problem)
    except (Failed, Unavailable) as problem:
        verdict, reason = FAILED, str(problem)
    seconds = time.monotonic() - begun
    log("----- %s: %s in %d s%s" % (name, verdict, seconds, " (%s)" % reason if reason else ""))
    return Result(name, verdict, reason, seconds)


def _summarize(results):
    width = max(len(result.name) for result in results)
    log("\n===== summary =====")
    for result in results:
        time_or_reason = "%4d s" % result.seconds if result.verdict == PASSED else "%s" % result.reason
        log("%-*s  %-7s  %s" % (width, result.name, result.verdict, time_or_reason))
    bad = [result for result in results if result.verdict == FAILED or (result.verdict == NOT_RUN and _is_set("CI"))]
    if not bad:
        log("everything that ran passed")
        return 0
    log(
        "%d of %d failed%s"
        % (len(bad), len(results), "; with CI=true, what did not run counts as failed" if _is_set("CI") else "")
    )
    return 1


def _join(*folders):
    return os.pathsep.join(map(str, folders))


def _describe(chosen):
    return "Python %s × ansible-core %s × kubernetes %s" % chosen


def _is_set(name):
    return os.environ.get(name, "").lower() not in ("", "0", "false", "no")


def _exit_on_signal(signum, _frame):
    raise SystemExit(128 + signum)
