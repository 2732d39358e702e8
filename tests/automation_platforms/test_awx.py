# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role schedule with the real modules of awx.awx, which check their arguments themselves, against a fake API."""

from __future__ import annotations

import contextlib
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

from support.configurations import changes

from .awx_without_jobs import AwxWithoutJobs

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
                "ANSIBLE_DEPRECATION_WARNINGS": "false",  # those of awx.awx
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
    with AwxWithoutJobs() as awx:
        yield Scheduling(awx, tmp_path)


@pytest.mark.timeout(1200)  # many runs of the role
def test_from_nothing_and_back(scheduling):
    awx = scheduling.awx
    untouched = awx.state()
    changed, _output = scheduling.run("--check", "--diff")
    assert changed == 3 and not scheduling.written(), "nothing is there yet that the rest could be checked with"
    _changed, output = scheduling.run("-vvv")
    assert "WARNING" not in output, output

    (injector,) = [item["injectors"] for item in awx.all("credential_types") if "injectors" in item]
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
        assert set(item["associated"]["credentials"]) == {credential["id"], awx.named("credentials")["aws audit"]["id"]}
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
    assert scheduling.run()[0] == 0 and not scheduling.written()
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
    assert scheduling.run("--check", **absent)[0] == 6 and not scheduling.written()
    assert scheduling.run(**absent)[0] == 6
    scheduling.written()
    assert scheduling.run(**absent)[0] == 0 and not scheduling.written()
    awx.finish_deletions()
    assert awx.state() == untouched


# Configurations that differ in each option, so that each option is set, changed and unset between two of them.
FULL = {
    "schedule_jobs": JOBS, "schedule_awx_project_branch": "v2", "schedule_awx_project_credential": "git",
    "schedule_awx_approve": ["rotate"],
}
BARE = {
    "schedule_jobs": {"rotate": {"at": "02:30"}, "retire": {"at": "04:30"}}, "schedule_timezone": "",
    "schedule_awx_execution_environment": "", "schedule_awx_credentials": [], "schedule_awx_slices": {},
    "schedule_awx_approve": ["retire"],
}
OTHER = {
    "schedule_jobs": {"retire": {"at": "05:00", "weekdays": ["sun"], "vars": {"retire_grace": "1h"}},
                      "report": {"at": "07:30", "playbook": "playbooks/report.yml"}},
    "schedule_timezone": "UTC", "schedule_awx_project_branch": "main", "schedule_awx_project_url": "https://other/x.git",
    "schedule_awx_execution_environment": "newer", "schedule_awx_inventory_file": "inventory/other.yml",
    "schedule_awx_slices": {"report": 2}, "schedule_awx_approve": ["retire", "report"],
    "schedule_awx_approval_timeout": "0s", "schedule_awx_credential_type": "shared",
}
CONFIGURATIONS = {"full": FULL, "bare": BARE, "other": OTHER}
SHARED = {"name": "shared", "kind": "cloud", "managed": False}


@pytest.mark.soak
@pytest.mark.timeout(1200)  # many runs of the role
def test_after_any_change_the_state_is_that_of_a_new_installation(tmp_path, subtests):
    with contextlib.ExitStack() as stack:
        installed, new = {}, {}
        for name, variables in CONFIGURATIONS.items():
            awx = stack.enter_context(AwxWithoutJobs())
            awx.add("credential_types", **SHARED)
            installed[name] = Scheduling(awx, tmp_path)
            installed[name].kubeconfig = "kubeconfig-canary"
            installed[name].run(**variables)
            new[name] = awx.state()
        first, *others = changes(CONFIGURATIONS)
        for name in others:
            installed[first].run(**CONFIGURATIONS[name])
            with subtests.test(name):
                assert installed[first].awx.state() == new[name]


@pytest.mark.soak
@pytest.mark.timeout(1200)  # many runs of the role
def test_organizations_do_not_share_anything_but_the_credential_type(scheduling):
    awx = scheduling.awx
    second = {"schedule_awx_organization": "Second"}
    gone = {"schedule_state": "absent"}
    scheduling.run()
    first = awx.state()
    scheduling.run(**second)
    assert awx.state() == first and len(awx.state("Second")) == len(first)
    assert scheduling.run()[0] == scheduling.run(**second)[0] == 0
    scheduling.run(**second, schedule_awx_approve=[])
    assert awx.state() == first
    scheduling.run(**gone)
    assert len(awx.named("schedules", "Second")) == 2
    awx.finish_deletions()
    assert not awx.named("schedules")
    assert "ranchhand kubeconfig" in {item["name"] for item in awx.all("credential_types")}
    scheduling.run(**second, **gone)
    awx.finish_deletions()
    assert "ranchhand kubeconfig" not in {item["name"] for item in awx.all("credential_types")}
    assert not awx.all("job_templates", "workflow_job_templates", "schedules", "projects", "inventories")


@pytest.mark.soak
@pytest.mark.timeout(1200)  # many runs of the role
def test_a_job_is_removed_and_then_the_last_job(scheduling):
    awx = scheduling.awx
    organization = awx.organizations[0]
    project = awx.add(
        "projects", name="mine", organization=organization, known_playbooks=["x.yml"], status="successful"
    )
    awx.add("job_templates", name="ranchhand mine", organization=organization, project=project["id"], playbook="x.yml")
    scheduling.run()
    scheduling.run(schedule_state="absent", schedule_jobs={"rotate": None})
    assert list(awx.named("schedules")) == ["ranchhand report"]
    template = awx.named("job_templates")["ranchhand report"]
    assert template["project"] and template["inventory"] and len(template["associated"]["credentials"]) == 2
    awx.running.add("ranchhand report")
    assert "running jobs" in scheduling.run(code=2, schedule_state="absent", schedule_jobs={"report": None})[1]
    awx.running.clear()
    awx.deletion_requests = 1000
    scheduling.run(schedule_state="absent", schedule_jobs={"report": None})
    assert list(awx.named("job_templates")) == ["ranchhand mine"] and list(awx.named("projects")) == ["mine"]
    # AWX has not deleted the inventory yet
    assert awx.named("inventories")["ranchhand"]["pending_deletion"]
    awx.hasten_deletions(40)  # which the second of these runs waits for
    assert scheduling.run("--check")[0] and scheduling.run()[0]
    (inventory,) = awx.all("inventories")
    assert not inventory["pending_deletion"]
    assert awx.named("job_templates")["ranchhand report"]["inventory"] == inventory["id"]


@pytest.mark.soak
@pytest.mark.timeout(1200)  # many runs of the role
def test_the_project_is_updated_if_that_is_needed(scheduling):
    awx = scheduling.awx
    awx.repository_works = False
    assert "Project update failed" in scheduling.run(code=2)[1]
    assert "failed" in scheduling.run(code=2)[1] and not awx.all("job_templates"), "the rerun does not pass"
    awx.repository_works = True
    scheduling.run()
    jobs = {**JOBS, "drift": {"at": "01:00"}}
    scheduling.run(code=2, schedule_jobs=jobs)
    awx.playbooks.append("drift.yml")
    scheduling.run(schedule_jobs=jobs)
    assert "ranchhand drift" in awx.named("job_templates")


@pytest.mark.timeout(1200)  # many runs of the role
def test_an_administrator_of_an_organization(scheduling):
    """May not create a credential type, but can use an existing one."""
    awx = scheduling.awx
    single = {"schedule_jobs": {"report": JOBS["report"]}, "schedule_awx_slices": {}}
    awx.superuser = False
    output = scheduling.run(code=2, **single)[1]
    assert "Only superusers of AWX may" in re.sub(r"\s+", " ", output) and "schedule_awx_credential_type" in output
    shared = {**single, "schedule_awx_credential_type": "shared"}
    assert "AWX has no credential type shared" in scheduling.run(code=2, **shared)[1]
    awx.add("credential_types", **SHARED)
    untouched = awx.state()
    scheduling.run(**shared)
    assert scheduling.run(**shared)[0] == 0
    scheduling.run(**shared, schedule_state="absent")
    awx.finish_deletions()
    assert awx.state() == untouched
    # a type that a superuser created is used, and kept
    awx.superuser = True
    scheduling.run(**single)
    awx.superuser = False
    assert scheduling.run(**single)[0] == 0
    scheduling.run(**single, schedule_state="absent")
    awx.finish_deletions()
    assert {name for _kind, name in set(awx.state()) - set(untouched)} == {"ranchhand kubeconfig"}


@pytest.mark.parametrize("words, variables", [
    pytest.param("schedule_timezone must be the name", {"schedule_timezone": "Europe/Berlim"}, id="time zone"),
    pytest.param("AWX has no organization Third", {"schedule_awx_organization": "Third"}, id="organization"),
    pytest.param("schedule_awx_kubeconfig is required", {"schedule_awx_kubeconfig": ""}, id="credential"),
    pytest.param("schedule_awx_project_url is required with awx", {"schedule_awx_project_url": ""}, id="repository"),
])
def test_what_is_missing_is_reported_before_anything_is_written(scheduling, words, variables):
    assert words in re.sub(r"\s+", " ", scheduling.run(code=2, **variables)[1])
    assert not scheduling.written()
