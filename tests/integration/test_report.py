# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook report with its role, for several Ranchers."""

from __future__ import annotations

import csv
import datetime
import json
import secrets
import shlex
import shutil
import sys
import time
from base64 import b64encode
from pathlib import Path

import pytest
import yaml
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.options import RECORD_NAMESPACE
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.today import plan_today

from support.cluster import SECRETS
from support.fakes import Proxy
from support.fleets import HOSTILE
from support.playbooks import ansible_playbook

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "monitoring"
FORMATS = ("html", "json", "csv", "markdown", "prometheus")
# The API server accepts only valid UTF-8 in annotations.
NAMES = [name.replace("\ud800", "") for name in HOSTILE]


class Reports:
    """An inventory with a reachable and an unreachable Rancher, and a directory for the reports on them."""

    def __init__(self, cluster, directory):
        self.cluster, self.directory = cluster, directory
        self.token = secrets.token_hex(16)
        self.files = {name: str(directory / f"report.{name}") for name in FORMATS}
        (directory / "hosts").write_text(json.dumps({"all": {
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
            "hosts": {
                "here": {"rancher_kubeconfig": str(cluster.control_plane.kubeconfig)},
                "away": {"rancher_host": "https://127.0.0.1:1", "rancher_api_key": "{{ away_token }}"},
            },
        }}))
        (directory / "vault.json").write_text(json.dumps({"away_token": self.token}))

    def run(self, *arguments, code=0, hosts="here", **variables):
        """Return the output of the playbook."""
        given = json.dumps({"report_hosts": hosts, "report_files": self.files, **variables})
        command = [
            "-i", str(self.directory / "hosts"),
            "-e", "@vault.json", "ranchhand.rancher.report", "-e", given, *arguments,
        ]
        done = ansible_playbook(*command, env=self.cluster.environment("/nowhere"), cwd=self.directory, timeout=120)
        assert done.returncode == code, done.stdout
        assert "WARNING" not in done.stdout, done.stdout
        return done.stdout

    @property
    def model(self):
        return json.loads(Path(self.files["json"]).read_text())

    def contents(self):
        return {name: Path(path).read_bytes() for name, path in self.files.items()}


@pytest.fixture
def reports(cluster, tmp_path):
    return Reports(cluster, tmp_path)


def test_hostile_names_are_shown_as_text(reports, cluster):
    canary = secrets.token_hex(16)
    for number, name in enumerate(NAMES):
        fields = {"accessToken": canary + str(number)}
        cluster.secret(f"cc-{number:05d}", display_name=name, fields=fields, owner="u-gone")
    mark = cluster.control_plane.audit_mark()

    output = reports.run("--check", "--diff", report_max_age="90d")
    assert "Would be written" in output and "changed=1" in output
    assert sorted(file.name for file in reports.directory.iterdir()) == ["hosts", "vault.json"]
    output = reports.run("-vvv", report_max_age="90d")
    assert f"Credentials: {len(NAMES)}," in output and "changed=1" in output
    time.sleep(1)  # the next report is generated at another time
    before = reports.contents()
    assert "changed=0" in reports.run(report_max_age="90d")
    after = reports.contents()
    assert before["html"] != after["html"] and before["prometheus"] != after["prometheus"]

    credentials = reports.model["credentials"]
    assert sorted(credential["name"] for credential in credentials) == sorted(NAMES)
    for credential in credentials:
        assert {"unused", "owner_gone"} <= {problem["code"] for problem in credential["problems"]}
        assert (credential["max_age_days"], credential["key_age_source"]) == (90, "secret")
    assert len(list(csv.reader(Path(reports.files["csv"]).read_text().splitlines()))) == 1 + len(NAMES)
    # No name was run as a command, no value of a secret was written, and nothing was written to the Rancher.
    expected = {"hosts", "vault.json", *(Path(path).name for path in reports.files.values())}
    assert {file.name for file in reports.directory.iterdir()} == expected
    for text in (output.encode(), *after.values()):
        assert canary.encode() not in text and b64encode(canary.encode())[:40] not in text
    assert not cluster.writes(mark)


def test_failures_and_figures(reports, cluster):
    cluster.secret("cc-1", display_name="one")
    reports.run(report_fail_on=["overdue", "drift"])
    output = reports.run(code=2, report_fail_on=["notice"])
    assert '"msg": "problems: ' in output and "unused: one of here" in output
    assert reports.model["figures"]["unused"] == 1
    assert reports.model["today"] == [] and "remove_credentials" not in output  # it was created minutes ago
    tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1, minutes=1)
    [task] = plan_today([], reports.model["credentials"], RECORD_NAMESPACE, tomorrow)
    command = [*shlex.split(task.remedy.command)[1:], "-i", str(reports.directory / "hosts"), "-e", "confirm=yes"]
    removed = ansible_playbook(*command, env=cluster.environment("/nowhere"), cwd=reports.directory)
    assert removed.returncode == 0, removed.stdout
    assert "cc-1" not in {secret["metadata"]["name"] for secret in cluster.secrets()}
    output = reports.run(code=2, hosts="all")
    assert "away could not be read" in output and reports.token not in output and "Ranchers read: 1 of 2" in output
    assert {rancher["name"]: rancher["up"] for rancher in reports.model["ranchers"]} == {"here": True, "away": False}
    for path in reports.files.values():
        assert "away" in Path(path).read_text() and reports.token not in Path(path).read_text()


def test_an_owner_cannot_blind_the_report(reports, cluster):
    """Annotations and values that only make a problem of their own credential."""
    hostile = {
        "rancher.io/expiration-timestamp": "9" * 30, "ranchhand.cattle.io/rotated-at": "9999-12-31T23:59:59Z",
        "ranchhand.cattle.io/marked-for-deletion": "x" * 1000, "field.cattle.io/description": "\x1b[2J\n" * 99,
    }
    cluster.secret("cc-good", display_name="good")
    cluster.secret("cc-bad", display_name="bad\nall is well", owner="u-\n" * 50, fields={
        "accessToken": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + "eyJ-" * 100_000,
    })
    cluster.api.patch(f"{SECRETS}/cc-bad", {"metadata": {"annotations": hostile}})
    reports.run(report_max_age="90d")
    found = {entry["id"].rpartition(":")[2]: entry for entry in reports.model["credentials"]}
    messages = [problem["message"] for problem in found["cc-bad"]["problems"] if problem["code"] == "malformed"]
    assert messages == [
        "the expiry of a certificate in accessToken cannot be read",
        "the expiry of the token in its kubeconfig cannot be read",
        "its annotation ranchhand.cattle.io/rotated-at is not a time, so that the age of its key is not certain",
    ]
    assert [problem["code"] for problem in found["cc-good"]["problems"]] == ["unused"]


@pytest.mark.parametrize("keywords", [{"strategy": "free"}, {"serial": 1}], ids=["free", "serial"])
def test_a_report_needs_the_results_of_all_hosts(reports, cluster, tmp_path, keywords):
    """The playbook sets the strategy. A play of a user is refused, instead of reporting unread hosts as failed."""
    play = {"hosts": "here:later", "gather_facts": False, "roles": ["ranchhand.rancher.report"], **keywords}
    playbook = reports.directory / "play.yml"
    playbook.write_text(yaml.safe_dump([play]))
    (reports.directory / "more").write_text(json.dumps({"all": {"hosts": {"later": {
        "ansible_connection": "local", "ansible_python_interpreter": sys.executable,
        "rancher_kubeconfig": "{{ lookup('ansible.builtin.pipe', 'sleep 3; echo ' ~ kubeconfig) }}",
        "kubeconfig": str(cluster.control_plane.kubeconfig),
    }}}}))
    inventories = ["-i", str(reports.directory / "hosts"), "-i", str(reports.directory / "more")]
    given = json.dumps({"report_files": reports.files, "report_hosts": "here:later"})
    environment = {**cluster.environment("/nowhere"), "ANSIBLE_STRATEGY": "free"}
    done = ansible_playbook(
        *inventories, str(playbook), "-e", given, "-e", "@vault.json", env=environment, cwd=reports.directory)
    assert done.returncode == 2 and "report_found is not registered yet on later" in done.stdout, done.stdout
    done = ansible_playbook(
        *inventories, "ranchhand.rancher.report", "-e", given, "-e", "@vault.json", env=environment,
        cwd=reports.directory)
    assert done.returncode == 0 and "Ranchers read: 2 of 2" in done.stdout, done.stdout


def test_module_with_results_of_a_single_host(cluster, tmp_path):
    cluster.secret("cc-1", display_name="one")
    file = tmp_path / "report.json"
    report = {"ranchhand.rancher.report": {"files": {"json": str(file)}, "registered": {"prod": "{{ listed }}"}}}
    listed = {"ranchhand.rancher.cloud_credential_info": {"problems": True}, "register": "listed"}
    assert cluster.play(listed, report).results[-1]["changed"]
    assert [rancher["name"] for rancher in json.loads(file.read_text())["ranchers"]] == ["prod"]
    report["ranchhand.rancher.report"]["registered"] = "listed"
    result = cluster.play(listed, report).results[-1]
    assert result["code"] == "invalid", result
    assert result["msg"].startswith("registered must be a mapping of the names of Ranchers")


@pytest.mark.parametrize("variables, message", [
    pytest.param({"report_fail_on": ["overdu"]}, "value of report_fail_on must be one or more of", id="unknown code"),
    pytest.param({"report_files": {"pdf": "x"}}, "pdf", id="unknown format"),
    pytest.param({"report_files": {"html": "none/x.html"}}, "/none", id="missing directory"),
    pytest.param({"report_policies": [{"name": "aws*", "max_age": "1d"}]}, "unknown option name", id="former option"),
])
def test_invalid_variables(reports, variables, message):
    output = reports.run(code=2, **variables)
    assert message in output and "Traceback" not in output


class Chat(Proxy):
    """A chat that accepts messages while `accepts`, and keeps them in `messages`."""

    def __init__(self):
        super().__init__()
        self.accepts, self.messages = True, []

    def answer(self, seen):
        if self.accepts:
            self.messages.append(json.loads(seen.body)["text"])
        return 200 if self.accepts else 503, {}, b""


@pytest.fixture
def receiver():
    with Chat() as chat:
        yield chat


def test_digest(reports, cluster, receiver):
    """The playbook of docs/guides/monitoring.md sends only what changed, and sends again what was not received."""
    shutil.copy(EXAMPLES / "digest.yml", reports.directory)
    token = secrets.token_hex(16)
    url = f"{receiver.url}/{token}"

    def digest(code=0):
        given = json.dumps({"report_hosts": "here", "report_files": reports.files, "digest_url": url})
        done = ansible_playbook(
            "-vvv", "-i", "hosts", "digest.yml", "-e", given, env=cluster.environment("/nowhere"),
            cwd=reports.directory,
        )
        assert done.returncode == code, done.stdout
        # Ansible shows the arguments of its command line, and nothing else shows the URL.
        assert done.stdout.count(token) == sum(line.count(token) for line in done.stdout.splitlines() if "-e" in line)
        messages, receiver.messages[:] = list(receiver.messages), []
        return messages

    cluster.secret("cc-1", display_name="one\nhere, two: No problem.", owner="u-gone")
    receiver.accepts = False
    assert digest(code=2) == []
    receiver.accepts = True
    [message] = digest()
    first, *lines = message.splitlines()
    assert first == "Rancher's cloud credentials: 1 new, 0 done, 1 open"
    [line] = lines
    assert line.startswith("+ here, one") and line.endswith("only administrators see the credential.")
    assert digest() == []
    cluster.api.delete(f"{SECRETS}/cc-1")
    [message] = digest()
    assert message.splitlines() == ["Rancher's cloud credentials: 0 new, 1 done, 0 open", "-" + line[1:]]
