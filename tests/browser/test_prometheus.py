# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Prometheus reads the metrics of a report, fires the alerts, and answers the queries of the dashboard."""

from __future__ import annotations

import contextlib
import datetime
import functools
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.formats import to_prometheus
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.model import build

from support.fleets import NOW, fleet

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "monitoring"
PROGRAMS = Path(os.environ["RANCHHAND_PROMETHEUS"])
RUNBOOKS = "https://runbooks.example/docs"
SETTINGS = """\
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [alerts.yml]
scrape_configs:
- job_name: node
  metrics_path: /ranchhand.prom
  static_configs: [{targets: ["127.0.0.1:%d"]}]
"""


class Prometheus:
    """A Prometheus that scrapes a file, as node_exporter would serve it, with the rules of the guide."""

    def __init__(self, folder, port):
        self._folder, self._url = folder, f"http://127.0.0.1:{port}/api/v1"

    def ask(self, path, **parameters):
        with urllib.request.urlopen(f"{self._url}/{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        return self.ask("query", query=expression)["result"]

    def wait(self, what, condition):
        """Return the first true result of a condition, or fail after 30 seconds with Prometheus' log."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                result = condition()
                if result:
                    return result
            time.sleep(0.2)
        pytest.fail(f"{what}: {(self._folder / 'log').read_text()[-3000:]}")


@pytest.fixture(scope="module")
def model():
    ranchers = fleet(60)
    credentials = [credential for rancher in ranchers.values() for credential in rancher.get("credentials", [])]
    rotation = next(filter(None, (credential["rotation"] for credential in credentials)))
    rotation["expires_at"] = "2026-11-30T00:00:00Z"
    return build(ranchers, NOW, RUNBOOKS)


@pytest.fixture(scope="module")
def prometheus(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "ranchhand.prom").write_text(to_prometheus(model))
    shutil.copy(EXAMPLES / "alerts.yml", folder)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, socket.socket() as probe:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (folder / "prometheus.yml").write_text(SETTINGS % server.server_port)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        arguments = [
            "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}"]
        with (folder / "log").open("w") as log, subprocess.Popen(
            [PROGRAMS / "prometheus", *arguments], cwd=folder, stdout=log, stderr=log
        ) as process:
            started = Prometheus(folder, port)
            try:
                started.wait("no metrics", lambda: started.query("ranchhand_report_generated_timestamp_seconds"))
                yield started
            finally:
                process.terminate()
                server.shutdown()


def test_promtool():
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]):
        done = subprocess.run(
            [PROGRAMS / "promtool", *command], cwd=EXAMPLES, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stdout + done.stderr


def test_alerts(prometheus, model):
    read = datetime.datetime.now(datetime.timezone.utc)

    def evaluated():
        (group,) = prometheus.ask("rules")["groups"]
        return datetime.datetime.fromisoformat(group["lastEvaluation"]) > read and group["rules"]
    rules = {rule["name"]: rule for rule in prometheus.wait("no rule was evaluated", evaluated)}
    assert {rule["health"] for rule in rules.values()} == {"ok"}
    # Alerts with a duration wait for it.
    assert {name: rule["state"] for name, rule in rules.items()} == {
        "CloudCredentialReportStale": "pending" if time.time() - NOW.timestamp() > 2 * 86400 else "inactive",
        "CloudCredentialReportMissing": "inactive",
        "RancherUnread": "firing",
        "CloudCredentialChecksIncomplete": "pending",
        "CloudCredentialError": "firing",
        "CloudCredentialWarning": "pending",
        "CloudCredentialOverdue": "firing",
        "CloudCredentialExpires": "firing",
    }
    errors = {
        (credential["id"], problem["code"])
        for credential in model["credentials"] for problem in credential["problems"] if problem["level"] == "error"}
    fired = rules["CloudCredentialError"]["alerts"]
    assert {(alert["labels"]["id"], alert["labels"]["code"]) for alert in fired} == errors
    for alert in fired:
        assert alert["annotations"]["runbook_url"].endswith(f"/credentials.md#{alert['labels']['code']}")
        assert alert["labels"]["name"] in alert["annotations"]["summary"]


def test_dashboard(prometheus, model):
    dashboard = json.loads((EXAMPLES / "dashboard.json").read_text(encoding="utf-8"))
    (variable,) = (item for item in dashboard["templating"]["list"] if item["type"] == "query")
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
    names = {series["metric"][label] for series in prometheus.query(metric)}
    assert names == {rancher["name"] for rancher in model["ranchers"]}
    answers = {
        panel["title"]: prometheus.query(target["expr"].replace("$rancher", variable["allValue"]))
        for panel in dashboard["panels"] for target in panel["targets"]}
    assert all(answers.values()), answers
    numbers = {title: float(answer[0]["value"][1]) for title, answer in answers.items() if len(answer) == 1}
    assert numbers["Credentials"] == sum(not credential["gone"] for credential in model["credentials"])
    assert numbers["Ranchers that could not be read"] == sum(not rancher["up"] for rancher in model["ranchers"])
    problems = [problem for credential in model["credentials"] for problem in credential["problems"]]
    assert numbers["Errors"] == sum(problem["level"] == "error" for problem in problems)
    assert len(answers["Problems"]) == len(problems)
