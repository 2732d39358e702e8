# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths of the project, the environment variables of child processes, and functions that run them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / ".local"
HOME = LOCAL / "home"
COLLECTIONS = LOCAL / "root"

# The user's own configuration reaches neither the demo nor a test.
_DROPPED_PREFIXES = (
    "KUBECONFIG",
    "K8S_AUTH_",
    "KUBERNETES_",
    "ANSIBLE_",
    "MOLECULE_",
    "RANCHHAND_",
    "PYTEST_",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "VIRTUAL_ENV",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "PYENV_VERSION",
    "COLUMNS",
)
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_NO_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError"
    r"|dns error|error sending request|failed to connect",
    re.IGNORECASE,
)


class Failed(Exception):
    """Something required is missing; the text is one sentence for the user."""


def log(text=""):
    print(text, flush=True)


def environment(venv=None, home=HOME, proxies=False, **more):
    """Return environment variables without the user's cluster and Ansible settings.

    `proxies` keeps the proxy settings, which only commands that use package registries need.
    """
    values = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_DROPPED_PREFIXES) and (proxies or name.lower() not in _PROXIES)
    }
    if proxies:
        direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
        values["no_proxy"] = values["NO_PROXY"] = ",".join(filter(None, [direct, "127.0.0.1,localhost"]))
    home.mkdir(parents=True, exist_ok=True)
    # Empty files prevent Ansible from reading /etc/ansible/ansible.cfg and /etc/ansible/hosts.
    settings, inventory = LOCAL / "empty" / "ansible.cfg", LOCAL / "empty" / "hosts"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.touch()
    inventory.touch()
    values.update(
        {
            "HOME": str(home),
            "UV_CACHE_DIR": str(LOCAL / "cache" / "uv"),
            "PIP_CACHE_DIR": str(LOCAL / "cache" / "pip"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "ANSIBLE_CONFIG": str(settings),
            "ANSIBLE_INVENTORY": str(inventory),
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
            "RANCHHAND_LOCAL": str(LOCAL),
            "RANCHHAND_ROOT": str(COLLECTIONS),
        }
    )
    for name in list(values):
        if name.startswith("XDG_"):
            del values[name]
    if os.environ.get("KUBEBUILDER_ASSETS"):
        values["KUBEBUILDER_ASSETS"] = os.path.abspath(os.environ["KUBEBUILDER_ASSETS"])
    if sys.platform.startswith("linux"):
        # Ansible refuses to run where the locale is not UTF-8.
        values["LC_ALL"] = "C.UTF-8"
    if not sys.stdout.isatty():
        values.update({"ANSIBLE_NOCOLOR": "1", "NO_COLOR": "1"})
        values.pop("FORCE_COLOR", None)
        values.pop("PY_COLORS", None)
    if venv:
        values["VIRTUAL_ENV"] = str(venv)
        values["PATH"] = os.pathsep.join([str(venv / "bin"), values.get("PATH", os.defpath)])
    values.update({name: str(value) for name, value in more.items()})
    return values


def aws_for(python, tests):
    """Return the prefix that starts an AWS for a command of the control plane, which drops PYTHONPATH."""
    return ["env", "PYTHONPATH=%s" % tests, python, "-m", "support.providers.aws", "--"]


@contextlib.contextmanager
def private_home():
    """Create an empty folder for HOME, and delete it afterwards."""
    (LOCAL / "tmp").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="home-", dir=str(LOCAL / "tmp")))
    try:
        yield folder
    finally:
        shutil.rmtree(str(folder), ignore_errors=True)


def run(command, env, cwd=ROOT):
    """Run a command with its output on the terminal, and return its exit code.

    After Ctrl-C it has 15 seconds to clean up.
    """
    stdin = None if sys.stdin.isatty() else subprocess.DEVNULL
    process = subprocess.Popen([str(part) for part in command], env=env, cwd=str(cwd), stdin=stdin)
    try:
        return process.wait()
    except BaseException as problem:
        if not isinstance(problem, KeyboardInterrupt):
            process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise


def capture(command, env, what, cwd=ROOT):
    """Run a short command and return its output. If it fails, the exception contains the last lines."""
    done = subprocess.run(
        [str(part) for part in command],
        env=env,
        cwd=str(cwd),
        stdin=subprocess.DEVNULL,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        if _NO_NETWORK.search(done.stdout):
            raise Failed("%s failed: the registry cannot be reached (%s)" % (what, lines[-1]))
        raise Failed("%s failed: %s" % (what, " | ".join(lines[-3:]) if lines else "exit code %d" % done.returncode))
    return done.stdout
