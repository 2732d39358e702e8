# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook report, with its role, over several Ranchers, as people and CI jobs run it."""

from __future__ import annotations

import csv
import json
import secrets
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path

import pytest

from support.fleets import HOSTILE

SAY = "ranchhand.rancher.report : Say what there is"
FORMATS = ("html", "json", "csv", "markdown", "prometheus")
# What the API server takes as an annotation: UTF-8, without halves of characters.
NAMES = [name.replace("\ud800", "") for name in HOSTILE]


class Reports:
    """A Rancher that is there and one that is not, each a host, and a folder for the reports on them."""

    def __init__(self, cluster, directory):
        self.cluster, self.directory = cluster, directory
        (directory / "hosts").write_text(json.dumps({"all": {"vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}, "hosts": {
            "here": {"report_kubeconfig": str(cluster.control_plane.kubeconfig)},
            "away": {"report_host": "https://127.0.0.1:1", "report_api_key": "{{ away_token }}"},
        }}}))
        self.token = secrets.token_hex(16)
        (directory / "vault.json").write_text(json.dumps({"away_token": self.token}))
        self.files = {name: str(directory / f"report.{name}") for name in FORMATS}

    def run(self, *arguments, code=0, hosts="here", **variables):
        """All that ansible-playbook prints."""
        given = {"report_hosts": hosts, "report_files": self.files, **variables}
        done = subprocess.run(
            [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.directory / "hosts"), "-e", "@vault.json",
             "ranchhand.rancher.report", "-e", json.dumps(given), *arguments],
            env=self.cluster.environment("/nowhere"), cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=120, check=False)
        assert done.returncode == code, done.stdout
        assert "WARNING" not in done.stdout, done.stdout
        return done.stdout

    @property
    def model(self):
        return json.loads(Path(self.files["json"]).read_text())


@pytest.fixture
def reports(cluster, tmp_path):
    return Reports(cluster, tmp_path)


def test_names_of_users_stay_names_on_their_way(reports, cluster):
    canary = secrets.token_hex(16)
    for number, name in enumerate(NAMES):
        cluster.secret(f"cc-{number:05d}", display_name=name, fields={"accessToken": canary + str(number)}, owner="u-gone")
    mark = cluster.control_plane.audit_mark()

    output = reports.run("--check", "--diff", report_max_age="90d")
    assert "Would be written" in output and "changed=1" in output and sorted(one.name for one in reports.directory.iterdir()) == ["hosts", "vault.json"]
    output = reports.run("-vvv", report_max_age="90d")
    assert f"Credentials: {len(NAMES)}," in output and "changed=1" in output
    time.sleep(1)  # so that the time of its generation is another one
    before = {name: Path(path).read_bytes() for name, path in reports.files.items()}
    assert "changed=0" in reports.run(report_max_age="90d")
    after = {name: Path(path).read_bytes() for name, path in reports.files.items()}
    assert before["html"] != after["html"] and before["prometheus"] != after["prometheus"]

    assert sorted(one["name"] for one in reports.model["credentials"]) == sorted(NAMES)
    assert all({"unused", "owner_gone"} <= {problem["code"] for problem in one["problems"]} for one in reports.model["credentials"])
    assert {one["max_age_days"] for one in reports.model["credentials"]} == {90}
    assert len(list(csv.reader(Path(reports.files["csv"]).read_text().splitlines()))) == 1 + len(NAMES)
    # Only what was there and what was asked for, so no name was run; no value of a secret; nothing was written to the Rancher.
    assert {one.name for one in reports.directory.iterdir()} == {"hosts", "vault.json", *(Path(path).name for path in reports.files.values())}
    for text in (output.encode(), *after.values()):
        assert canary.encode() not in text and b64encode(canary.encode())[:40] not in text
    assert not cluster.writes(mark)


def test_what_fails_and_what_is_said(reports, cluster):
    cluster.secret("cc-1", display_name="one")
    reports.run(report_fail_on=["overdue", "drift"])
    output = reports.run(code=2, report_fail_on=["notice"])
    assert "unused: one of here" in output and reports.model["figures"]["unused"] == 1
    output = reports.run(code=2, hosts="all")
    assert "away could not be read" in output and reports.token not in output and "Ranchers read: 1 of 2" in output
    assert [(one["name"], one["up"]) for one in reports.model["ranchers"]] == [("here", True), ("away", False)]
    for path in reports.files.values():
        assert "away" in Path(path).read_text() and reports.token not in Path(path).read_text()


@pytest.mark.parametrize("variables, sentence", [
    ({"report_fail_on": ["overdu"]}, "value of report_fail_on must be one or more of"),
    ({"report_files": {"pdf": "x"}}, "pdf"),
    ({"report_files": {"html": "none/x.html"}}, "/none"),
])
def test_mistakes_are_told_in_a_sentence(reports, variables, sentence):
    output = reports.run(code=2, **variables)
    assert sentence in output and "Traceback" not in output
