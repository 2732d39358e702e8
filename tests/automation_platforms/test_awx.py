# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role schedule with the real modules of awx.awx, which check their arguments themselves, against a fake of AWX."""

from __future__ import annotations

import datetime
import json
import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from dateutil.rrule import rrulestr

from .awx import Awx

JOBS = {
    "rotate": {"at": "02:30", "vars": {"rotate_max_age": "90d"}},
    "report": {"at": "06:30", "weekdays": ["mon", "thu"], "playbook": "playbooks/report.yml"},
}


class Scheduling:
    """The role schedule with AWX, run in a folder of its own."""

    def __init__(self, awx, folder):
        self.awx, self.folder = awx, folder
        self.kubeconfig, self.token = (
            f"kubeconfig-canary-{secrets.token_hex(8)}",
            f"token-canary-{secrets.token_hex(8)}",
        )
        (folder / "play.yml").write_text(
            json.dumps([{"hosts": "localhost", "gather_facts": False, "roles": ["ranchhand.rancher.schedule"]}])
        )

    def run(self, *arguments, code=0, **variables):
        """Number of tasks that changed something, and the output."""
        (self.folder / "variables.json").write_text(
            json.dumps(
                {
                    "schedule_with": "awx",
                    "schedule_jobs": JOBS,
                    "schedule_timezone": "Europe/Berlin",
                    "schedule_awx_project_url": "https://git.example.com/fleet.git",
                    "schedule_awx_kubeconfig": {"users": [self.kubeconfig]},
                    "schedule_awx_credentials": ["aws audit"],
                    "schedule_awx_execution_environment": "ours",
                    "schedule_awx_slices": {"rotate": 4},
                    "ansible_python_interpreter": sys.executable,
                    **variables,
                }
            )
        )
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CONTROLLER_", "TOWER_"))}
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("ansible-playbook")),
                "-i",
                "localhost,",
                "-c",
                "local",
                "play.yml",
                "-e",
                "@variables.json",
                *arguments,
            ],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=False,
            env={
                **kept,
                "ANSIBLE_COLLECTIONS_PATH": f"{os.environ['RANCHHAND_ROOT']}{os.pathsep}{os.environ['RANCHHAND_AWX']}",
                "HOME": str(self.folder),
                "ANSIBLE_PIPELINING": "true",
                "CONTROLLER_HOST": self.awx.url,
                "CONTROLLER_OAUTH_TOKEN": self.token,
            },
        )
        assert done.returncode == code, done.stdout
        assert not any(secret in done.stdout for secret in (self.kubeconfig, self.token))
        found = re.search(r"changed=(\d+)", done.stdout)
        return int(found.group(1)), done.stdout

    def written(self):
        """The requests since the last call."""
        sent, self.awx.writes = self.awx.writes, []
        return sent


@pytest.fixture
def scheduling(tmp_path):
    with Awx() as awx:
        yield Scheduling(awx, tmp_path)


def test_from_nothing_and_back(scheduling):
    awx = scheduling.awx
    changed, _output = scheduling.run("--check", "--diff")
    assert changed == 3 and not scheduling.written(), "nothing is there yet that the rest could be checked with"
    _changed, output = scheduling.run("-vvv")
    assert "WARNING" not in output, output

    (injector,) = [item["injectors"] for item in awx.all("credential_types")]
    assert injector == {
        "file": {"template.kubeconfig": "{{ kubeconfig }}"},
        "env": {"K8S_AUTH_KUBECONFIG": "{{ tower.filename.kubeconfig }}"},
        "extra_vars": {"rancher_kubeconfig": "{{ tower.filename.kubeconfig }}"},
    }
    credential = awx.named("credentials")["ranchhand kubeconfig"]
    assert json.loads(credential["inputs"]["kubeconfig"]) == {"users": [scheduling.kubeconfig]}
    (project,), (inventory,), (source,) = awx.all("projects"), awx.all("inventories"), awx.all("inventory_sources")
    (environment,) = [item["id"] for item in awx.all("execution_environments") if item["name"] == "ours"]
    assert (source["source"], source["source_path"], source["update_on_launch"], source["overwrite"]) == (
        "scm",
        "inventory/cloud_credentials.yml",
        True,
        True,
    )
    assert (source["inventory"], source["source_project"], source["credential"]) == (
        inventory["id"],
        project["id"],
        credential["id"],
    )

    templates = awx.named("job_templates")
    assert [
        (name, item["playbook"], item["extra_vars"], item["job_slice_count"]) for name, item in templates.items()
    ] == [
        ("ranchhand rotate", "rotate.yml", '{"rotate_max_age": "90d"}', 4),
        ("ranchhand report", "playbooks/report.yml", "{}", 1),
    ]
    for item in templates.values():
        assert (item["project"], item["inventory"], item["execution_environment"]) == (
            project["id"],
            inventory["id"],
            environment,
        )
        assert item["associated"]["credentials"] == [credential["id"], awx.named("credentials")["aws audit"]["id"]]
        assert item["allow_simultaneous"] is False and item["ask_limit_on_launch"] is True

    (workflow,), nodes = awx.all("workflow_job_templates"), awx.named("workflow_job_template_nodes")
    (approval,) = awx.all("workflow_approval_templates")
    assert workflow["allow_simultaneous"] is False and {item["workflow_job_template"] for item in nodes.values()} == {
        workflow["id"]
    }
    assert (
        nodes["plan"]["associated"]["success_nodes"] == [nodes["approve"]["id"]]
        and nodes["plan"]["job_type"] == "check"
    )
    assert (
        nodes["approve"]["associated"]["success_nodes"] == [nodes["run"]["id"]]
        and nodes["approve"]["unified_job_template"] == approval["id"]
    )
    assert (
        "job_type" not in nodes["run"]
        and not nodes["run"]["associated"].get("success_nodes")
        and approval["timeout"] == 43200
    )
    assert (
        nodes["plan"]["unified_job_template"]
        == nodes["run"]["unified_job_template"]
        == templates["ranchhand rotate"]["id"]
    )

    schedules = awx.named("schedules")
    assert {name: awx.objects[item["unified_job_template"]]["name"] for name, item in schedules.items()} == {
        "ranchhand rotate": "ranchhand rotate with approval",
        "ranchhand report": "ranchhand report",
    }
    assert (
        schedules["ranchhand rotate"]["rrule"]
        == "DTSTART;TZID=Europe/Berlin:20260101T023000 RRULE:FREQ=DAILY;INTERVAL=1"
    )
    rule = rrulestr(schedules["ranchhand report"]["rrule"].replace(" ", "\n"))
    begin = datetime.datetime(2026, 7, 1, tzinfo=datetime.timezone.utc)
    assert [item.strftime("%a %H:%M %z") for item in rule.xafter(begin, 3)] == [
        "Thu 06:30 +0200",
        "Mon 06:30 +0200",
        "Thu 06:30 +0200",
    ]

    scheduling.written()
    assert scheduling.run("--check")[0] == 0 and not scheduling.written()
    newer = {
        "schedule_awx_project_branch": "v2",
        "schedule_awx_execution_environment": "newer",
        "schedule_awx_approval_timeout": "60s",
    }
    assert scheduling.run("--check", **newer)[0] == 1 and not scheduling.written()
    scheduling.run(**newer, schedule_awx_update_kubeconfig=True)
    assert [body for method, path, body in scheduling.written() if method == "PATCH" and path == credential["url"]]
    assert {item["scm_branch"] for item in awx.all("projects")} == {"v2"} and awx.all("workflow_approval_templates")[0][
        "timeout"
    ] == 60
    assert scheduling.run(**newer)[0] == 0 and not scheduling.written()

    absent = {"schedule_state": "absent", "schedule_awx_kubeconfig": None}
    assert scheduling.run("--check", **absent)[0] == 7 and not scheduling.written()
    assert scheduling.run(**absent)[0] == 7
    assert sorted(item["name"] for item in awx.objects.values() if not item["deleted"]) == [
        "Default",
        "aws audit",
        "newer",
        "ours",
    ]
    scheduling.written()
    assert scheduling.run(**absent)[0] == 0 and not scheduling.written()


def test_a_missing_repository_is_reported(scheduling):
    assert "schedule_awx_project_url is required with awx" in scheduling.run(code=2, schedule_awx_project_url="")[1]
    assert not scheduling.written()
