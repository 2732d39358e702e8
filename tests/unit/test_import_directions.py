# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports between the packages of module_utils point in one direction, and only _kubernetes uses an HTTP client.

Unit tests need only pytest, hypothesis and PyYAML.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PLUGINS = TESTS.parent / "plugins"
NAMESPACE = "ansible_collections.ranchhand.rancher.plugins"
# A package imports only from packages before it. `issuer` is the public base of issuers.
ORDER = (
    "_common",
    "_kubernetes",
    "_rancher",
    "_runtime",
    "issuer",
    "_issuers",
    "_stores",
    "_guard",
    "_resources",
    "_repoint",
    "_upgrade",
    "_rotation",
    "_health",
)
HTTP_CLIENTS = {"kubernetes", "urllib3", "requests", "http"}
# Not installed where only unit tests run.
MISSING = ("ansible", "boto3", "botocore", "cryptography", "kubernetes", "moto", "requests", "tqdm", "urllib3")
# Issuers connect to their providers: `kubernetes` to another cluster than Rancher's.
OWN_CLIENTS = {("_issuers", "kubernetes"): {"kubernetes", "urllib3"}, ("_issuers", "http"): {"requests"}}


def modules():
    folder = PLUGINS / "module_utils"
    return [file.relative_to(folder) for file in sorted(folder.rglob("*.py"))]


def package_of(file):
    return file.parts[0].removesuffix(".py")


def imports(file, package):
    """Return the absolute names of all modules that a file imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) + "." if node.level else ""
            names.add(base + (node.module or ""))
    return names


def violations(file, names):
    """Return the imports that a module of the collection must not have."""
    package = package_of(file)
    allowed = ORDER[: ORDER.index(package) + 1]
    found = []
    for name in names:
        if name.startswith(f"{NAMESPACE}.module_utils."):
            imported = name.removeprefix(f"{NAMESPACE}.module_utils.").split(".")[0]
            found += [name] if imported not in allowed else []
        elif name.startswith(NAMESPACE):
            found.append(name)
        elif package != "_kubernetes":
            own = OWN_CLIENTS.get((package, file.stem), ())
            found += [name] if name.split(".")[0] in HTTP_CLIENTS.difference(own) else []
    return found


@pytest.mark.parametrize("file", modules(), ids=str)
def test_imports_respect_the_order(file):
    package = [*NAMESPACE.split("."), "module_utils", *file.parts[:-1]]
    assert not violations(file, imports(PLUGINS / "module_utils" / file, package))


@pytest.mark.parametrize(
    "file, name",
    [
        pytest.param("_common/text.py", f"{NAMESPACE}.module_utils._rancher.users", id="a package imports a later one"),
        pytest.param("_rancher/users.py", "urllib3.util", id="an HTTP client outside of _kubernetes"),
        pytest.param("_health/expiry.py", f"{NAMESPACE}.plugin_utils._report", id="module_utils imports plugin_utils"),
    ],
)
def test_a_violation_is_noticed(file, name):
    assert violations(Path(file), {name}) == [name]


def test_no_test_module_imports_from_another():
    """What several tests share belongs into tests/support."""
    for file in sorted(TESTS.rglob("*.py")):
        package = file.relative_to(TESTS).parts[:-1]
        found = [name for name in imports(file, package) if name.split(".")[-1].startswith("test_")]
        assert not found, file


def test_unit_tests_need_only_pytest_and_hypothesis():
    program = (
        "import sys; sys.modules.update(dict.fromkeys(%r)); import pytest; sys.exit(pytest.main(sys.argv[1:]))"
        % (MISSING,)
    )
    arguments = ["-q", "--collect-only", "-p", "no:cacheprovider", "-c", TESTS / "pytest.ini", TESTS / "unit"]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
