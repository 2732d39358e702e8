# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role guard and the playbooks remove_credentials and where_used, run by ansible-playbook without a terminal."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from control_plane import ApiError
from support.cluster import MODULE
from support.guard import NAMES, keep_watching, remove_guard
from support.objects import TEMPLATES, downstream
from support.playbooks import ansible_playbook


def run(cluster, playbook, *arguments, code=0, **variables):
    """Return the output of an ansible-playbook run that must end with a code."""
    command = [
        "-i",
        "localhost,",
        "-c",
        "local",
        f"ranchhand.rancher.{playbook}",
        "-e",
        json.dumps(variables),
        *arguments,
    ]
    done = ansible_playbook(*command, env=cluster.environment(), timeout=120)
    assert done.returncode == code, done.stdout
    return done.stdout


@pytest.fixture
def used(cluster):
    """A cluster with one credential that is used by three fields and two that are not used."""
    for name in ("used", "free {{ 1 }}", "other"):
        cluster.secret(f"cc-{name.split()[0]}", display_name=name)
    downstream(
        cluster,
        "prod",
        {
            "cloudCredentialSecretName": "cattle-global-data:cc-used",
            "rkeConfig": {"machinePools": [{"name": "a", "cloudCredentialSecretName": "cattle-global-data:cc-used"}]},
        },
    )
    cluster.api.post(
        TEMPLATES,
        {
            "apiVersion": "management.cattle.io/v3",
            "kind": "NodeTemplate",
            "metadata": {"name": "nt-a"},
            "spec": {"cloudCredentialName": "cattle-global-data:cc-used", "displayName": "worker large"},
        },
    )
    return cluster


MOVE = "ansible-playbook ranchhand.rancher.repoint -e repoint_from=cattle-global-data:cc-used -e repoint_to=OTHER"


def test_where_used(used):
    output = run(used, "where_used")
    tree = [
        "free {{ 1 }} (digitalocean, cattle-global-data:cc-free)",
        "└── not used",
        "other (digitalocean, cattle-global-data:cc-other)",
        "└── not used",
        "used (digitalocean, cattle-global-data:cc-used)",
        "├── Cluster",
        "│   ├── fleet-default/prod: spec.cloudCredentialSecretName",
        "│   └── fleet-default/prod: spec.rkeConfig.machinePools[].cloudCredentialSecretName",
        "└── NodeTemplate",
        '    └── cattle-global-nt/nt-a "worker large": spec.cloudCredentialName',
    ]
    assert [
        line for line in json.loads("{" + output.partition("=> {")[2].partition("\n}")[0] + "}")["msg"] if line
    ] == tree
    assert "from used to another cloud credential" in output and "NAME" not in output
    assert f"{MOVE} --check" in output and "repoint_from=cattle-global-data:cc-free" not in output
    there = run(used, "where_used", where_used_hosts="all")
    assert f"{MOVE} -e repoint_hosts=localhost --check" in there
    assert "No cloud credential matches." in run(used, "where_used", where_used_name="nosuch")
    assert "cc-free" not in run(used, "where_used", where_used_id="cc-used")


WANTED = [{"name": "used"}, {"name": "free {{ '{{' }} 1 }}"}, {"id": "cc-nosuch"}]


def test_not_confirmed(used, subtests):
    for what, arguments in {
        "no terminal": (),
        "no": ("-e", "confirm=no"),
        "false": ("-e", '{"confirm": false}'),
        "null": ("-e", '{"confirm": null}'),
        "check mode": ("-e", "confirm=yes", "--check"),
    }.items():
        with subtests.test(what):
            code = 0 if what == "check mode" else 2
            output = run(used, "remove_credentials", *arguments, code=code, remove_credentials_list=WANTED)
            assert ("Would be deleted: free" if what == "check mode" else "Nothing was deleted") in output
            assert len(used.secrets()) == 3
    assert "remove_credentials_list is empty" in run(used, "remove_credentials", "-e", "confirm=yes")


@pytest.mark.parametrize("confirm", ["yes", "YES", "true", True], ids=repr)
def test_confirmed(used, confirm):
    output = run(used, "remove_credentials", "-e", json.dumps({"confirm": confirm}), remove_credentials_list=WANTED)
    for words in (
        "is kept, it is in use:",
        r"used by NodeTemplate cattle-global-nt/nt-a \"worker large\" (spec.cloudCredentialName)",
        f"{MOVE} --check",
        "will be deleted",
        "does not exist",
        "Deleted: free",
    ):
        assert words in output
    assert sorted(secret["metadata"]["name"] for secret in used.secrets()) == ["cc-other", "cc-used"]


def test_the_role_guard(cluster):
    keep_watching(cluster)
    role = {"play": {"tasks": [], "roles": [{"role": "ranchhand.rancher.guard", "vars": {"guard_settle": "1s"}}]}}
    absent = {"play": {"tasks": [], "roles": [{"role": "ranchhand.rancher.guard", "vars": {"guard_state": "absent"}}]}}
    try:
        verified, installed, again, gone = [
            cluster.play(**options, arguments=arguments).results[-1]
            for options, arguments in ((role, ["--check"]), (role, []), (role, ["--check"]), (absent, []))
        ]
    finally:
        remove_guard(cluster)
    assert [result["changed"] for result in (verified, installed, again, gone)] == [True, True, False, True]
    with pytest.raises(ApiError):
        cluster.api.get(NAMES)
    assert not cluster.play({MODULE: {"name": "nosuch", "state": "absent"}}).result["changed"]


def test_loading_the_filters_imports_nothing_else():
    """As each task that uses a filter loads all of them, in a process of its own."""
    script = """
import importlib, pkgutil, sys
from ansible_collections.ranchhand.rancher.plugins import filter
for module in pkgutil.iter_modules(filter.__path__):
    assert importlib.import_module(f"{filter.__name__}.{module.name}").FilterModule().filters()
own = filter.__name__.removesuffix("filter")
parts = {name.removeprefix(own) for name in sys.modules if name.startswith(own)}
print(*sorted(part for part in parts if not part.startswith(("filter", "module_utils._common"))))
"""
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.split() == ["module_utils", "plugin_utils", "plugin_utils._filters"]
