# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role guard, and the playbooks remove_credentials and where_used, as people run them; there is no terminal here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from control_plane import ApiError
from support.cluster import MODULE
from support.guard import NAMES, keep_watching, remove_guard
from support.objects import TEMPLATES, downstream


def run(cluster, playbook, *arguments, **variables):
    """All that ansible-playbook prints; it has to end well."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "-c", "local", f"ranchhand.rancher.{playbook}",
               "-e", json.dumps(variables), *arguments]
    done = subprocess.run(command, env=cluster.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def used(cluster):
    """One credential that is used in three places, two that are not."""
    for name in ("used", "free {{ 1 }}", "other"):
        cluster.secret(f"cc-{name.split()[0]}", display_name=name)
    downstream(cluster, "prod", {"cloudCredentialSecretName": "cattle-global-data:cc-used", "rkeConfig": {"machinePools": [
        {"name": "a", "cloudCredentialSecretName": "cattle-global-data:cc-used"}]}})
    cluster.api.post(TEMPLATES, {"apiVersion": "management.cattle.io/v3", "kind": "NodeTemplate", "metadata": {"name": "nt-a"},
                                 "spec": {"cloudCredentialName": "cattle-global-data:cc-used"}})
    return cluster


def test_where_used(used):
    output = run(used, "where_used")
    tree = [
        "free {{ 1 }} (digitalocean, cattle-global-data:cc-free)", "└── used by nothing",
        "other (digitalocean, cattle-global-data:cc-other)", "└── used by nothing",
        "used (digitalocean, cattle-global-data:cc-used)", "├── Cluster",
        "│   ├── fleet-default/prod: spec.cloudCredentialSecretName",
        "│   └── fleet-default/prod: spec.rkeConfig.machinePools[].cloudCredentialSecretName",
        "└── NodeTemplate", "    └── cattle-global-nt/nt-a: spec.cloudCredentialName",
    ]
    assert [line for line in json.loads("{" + output.partition("=> {")[2].partition("\n}")[0] + "}")["msg"] if line] == tree
    assert "There is no such cloud credential." in run(used, "where_used", where_used_name="nosuch")
    assert "cc-free" not in run(used, "where_used", where_used_id="cc-used")


WANTED = [{"name": "used"}, {"name": "free {{ '{{' }} 1 }}"}, {"id": "cc-nosuch"}]


def test_nobody_said_yes(used, subtests):
    for what, arguments in {
        "no terminal": (), "another word": ("-e", "confirm=y"), "a truth": ("-e", '{"confirm": true}'), "in capitals": ("-e", "confirm=YES"),
        "check mode": ("-e", "confirm=yes", "--check"),
    }.items():
        with subtests.test(what):
            output = run(used, "remove_credentials", *arguments, remove_credentials_list=WANTED)
            assert ("Would be removed: free" if what == "check mode" else "Nothing was removed") in output
            assert len(used.secrets()) == 3
    assert "remove_credentials_list is empty" in run(used, "remove_credentials", "-e", "confirm=yes")


def test_yes(used):
    output = run(used, "remove_credentials", "-e", "confirm=yes", remove_credentials_list=WANTED)
    for words in ("stays, used by:", "NodeTemplate cattle-global-nt/nt-a (spec.cloudCredentialName)", "goes", "is not there", "Removed: free"):
        assert words in output
    assert sorted(one["metadata"]["name"] for one in used.secrets()) == ["cc-other", "cc-used"]


def test_the_role_guard(cluster):
    keep_watching(cluster)
    role = {"play": {"tasks": [], "roles": [{"role": "ranchhand.rancher.guard", "vars": {"guard_settle": 1}}]}}
    absent = {"play": {"tasks": [], "roles": [{"role": "ranchhand.rancher.guard", "vars": {"guard_state": "absent"}}]}}
    try:
        verified, installed, again, gone = [
            cluster.play(**options, arguments=arguments).results[-1]
            for options, arguments in ((role, ["--check"]), (role, []), (role, ["--check"]), (absent, []))
        ]
    finally:
        remove_guard(cluster)
    assert [one["changed"] for one in (verified, installed, again, gone)] == [True, True, False, True]
    with pytest.raises(ApiError):
        cluster.api.get(NAMES)
    assert not cluster.play({MODULE: {"name": "nosuch", "state": "absent"}}).result["changed"]
