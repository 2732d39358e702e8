# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation and planning of the role schedule."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._schedule_plan import (
    schedule_errors,
    scheduled_jobs,
    without_values,
)

AT = {"at": "02:30"}
DEFAULTS = {
    "schedule_state": "present",
    "schedule_jobs": {"rotate": AT},
    "schedule_timezone": "",
    "schedule_name_prefix": "ranchhand",
    "schedule_user": "",
    "schedule_executable": "/usr/bin/ansible-playbook",
    "schedule_project": "",
    "schedule_kubeconfig_file": "",
    "schedule_vault_password_file": "",
    "schedule_image": "",
    "schedule_namespace": "ranchhand",
    "schedule_awx_project_url": "",
    "schedule_awx_approve": ["rotate"],
    "schedule_awx_approval_timeout": "12h",
}
VALID = {
    "systemd": {"schedule_kubeconfig_file": "/etc/ranchhand/kubeconfig"},
    "cron": {"schedule_project": "/srv/project"},
    "kubernetes": {"schedule_image": "registry.example/ranchhand:1"},
    "awx": {"schedule_awx_project_url": "https://git.example.com/fleet.git"},
}


def options(backend, **values):
    names = {f"schedule_{name}": value for name, value in values.items()}
    return {**DEFAULTS, "schedule_with": backend, **VALID[backend], **names}


@pytest.mark.parametrize("backend", VALID)
def test_valid_variables(backend):
    assert schedule_errors(options(backend)) == []
    assert schedule_errors(options(backend, state="absent", jobs={"rotate": None})) == []


@dataclass(frozen=True)
class Invalid:
    sentence: str
    backend: str = "systemd"
    values: dict = field(default_factory=dict)
    job: object = None

    @property
    def name(self):
        return f"{self.backend}: {self.sentence} {self.job if self.job is not None else self.values}"

    @property
    def options(self):
        values = self.values if self.job is None else {**self.values, "jobs": {"rotate": self.job}}
        return options(self.backend, **values)


PREFIX = "schedule_name_prefix must be up to 20 lower-case letters, digits and hyphens, and start with a letter"
TIME = 'schedule_jobs.rotate.at must be a time of day in quotes, such as "02:30"'
WEEKDAYS = "schedule_jobs.rotate.weekdays must be a list of mon, tue, wed, thu, fri, sat, sun"
PLAYBOOK = "schedule_jobs.rotate.playbook must be a path or a name such as ranchhand.rancher.rotate"
JOB_NAME = "schedule_jobs.%s: the name must be up to 30 lower-case letters, digits and hyphens, and start with a letter"
RIGHTS = "schedule_jobs.%s.rights must be one of rotate, retire, report: the job whose rights this job gets"
CONNECTION = (
    "schedule_kubeconfig_file or schedule_project is required, unless vars of each job set "
    "rancher_kubeconfig, rancher_host or rancher_context, so that the jobs can connect to Rancher"
)


@pytest.mark.parametrize(
    "case",
    [
        *(Invalid(PREFIX, values={"name_prefix": text}) for text in ("Ranch", "1st", "-a", "a-", "", "a" * 21, "a\n")),
        *(
            Invalid(
                "schedule_timezone must be the name of a time zone, such as Europe/Berlin", values={"timezone": text}
            )
            for text in ("Europe Berlin", "UTC\n", "$(date)", 1, "Europe/Berlim", "Mars/Base")
        ),
        Invalid(
            "schedule_timezone is not supported with cron, which uses the time zone of the machine. Remove it",
            "cron",
            {"timezone": "UTC"},
        ),
        Invalid("schedule_user must be the name of a user", values={"user": "a b"}),
        *(
            Invalid(f"schedule_{name} must be an absolute path of letters, digits and ._/@+-", values={name: path})
            for name in ("executable", "project", "kubeconfig_file", "vault_password_file")
            for path in ("here", "/a; rm -rf", "/a b", 1)
        ),
        Invalid(
            "schedule_project must not be in /home or /root, which the units cannot access",
            values={"project": "/root/x"},
        ),
        Invalid(
            "schedule_project must not be in /home or /root, which the units cannot access",
            values={"project": "/home/x"},
        ),
        Invalid(CONNECTION, values={"kubeconfig_file": ""}),
        Invalid(
            CONNECTION, "cron", {"project": "", "jobs": {"rotate": {**AT, "vars": {"rancher_host": "x"}}, "retire": AT}}
        ),
        Invalid(
            "schedule_image is required with kubernetes: the execution environment in which the jobs run",
            "kubernetes",
            {"image": ""},
        ),
        *(
            Invalid("schedule_namespace must be the name of a namespace", "kubernetes", {"namespace": text})
            for text in ("", "Upper", "a_b", "a" * 64, None)
        ),
        Invalid(
            "schedule_awx_project_url is required with awx: the repository with the playbooks and the inventory",
            "awx",
            {"awx_project_url": ""},
        ),
        *(
            Invalid(
                "schedule_awx_approval_timeout must be a number with a unit, such as 30s, 15m, 24h, 90d or 2w",
                "awx",
                {"awx_approval_timeout": value, "state": state},
            )
            for value in (43200, "12 hours")
            for state in ("present", "absent")
        ),
        Invalid(
            "schedule_awx_approval_timeout must not be longer than 3650d", "awx", {"awx_approval_timeout": "3651d"}
        ),
        *(
            Invalid(JOB_NAME % shown, values={"jobs": {name: AT}})
            for name, shown in {
                "{{ 1/0 }}": "???1?0???",
                "Rotate": "Rotate",
                "a" * 31: "a" * 31,
                "a\n": "a?",
                1: "1",
                "x" * 50: "x" * 40,
            }.items()
        ),
        *(
            Invalid('schedule_jobs.rotate must be a mapping, such as {at: "02:30"}', job=job)
            for job in ("02:30", ["at"], 5)
        ),
        Invalid('schedule_jobs.rotate must be a mapping, such as {at: "02:30"}', values={"jobs": {"rotate": None}}),
        *(Invalid(TIME, job={"at": at}) for at in ("25:00", "2:30", "02:60", "02:30\n", 150, None, ["02:30"])),
        *(Invalid(WEEKDAYS, job={**AT, "weekdays": days}) for days in (["monday"], "mon", {"mon": 1}, [["mon"]], 5)),
        *(Invalid(PLAYBOOK, job={**AT, "playbook": playbook}) for playbook in ("a b", "$(id)", ["a"])),
        Invalid("schedule_jobs.rotate.vars must be a mapping", job={**AT, "vars": [1]}),
        Invalid(
            "schedule_jobs.rotate has an unknown entry. Allowed are at, weekdays, playbook, vars, rights",
            job={**AT, "when": 1},
        ),
        Invalid(
            "schedule_jobs.rotate.vars.rotate_kubeconfig is replaced by rancher_kubeconfig. Rename it",
            job={**AT, "vars": {"rotate_kubeconfig": "/etc/kubeconfig"}},
        ),
        Invalid(
            "schedule_jobs.rotate.vars.report_ca_cert is replaced by rancher_ca_cert. Rename it",
            job={**AT, "vars": {"report_ca_cert": "/etc/ca.crt"}},
        ),
        *(
            Invalid(RIGHTS % "drift", "kubernetes", {"jobs": {"drift": AT}, "state": state})
            for state in ("present", "absent")
        ),
        Invalid(RIGHTS % "rotate", "kubernetes", job={**AT, "rights": ["rotate"]}),
        Invalid(
            "schedule_jobs.report.vars.report_files is required: the files to which the report is written",
            values={"jobs": {"report": AT}},
        ),
        Invalid(
            "schedule_jobs.daily.vars.report_files is required: the files to which the report is written",
            "kubernetes",
            {"jobs": {"daily": {**AT, "rights": "report", "playbook": "ranchhand.rancher.report"}}},
        ),
    ],
    ids=lambda case: case.name,
)
def test_invalid_variables(case):
    assert schedule_errors(case.options) == [case.sentence]


def test_all_errors_are_reported_at_once():
    assert (
        len(
            schedule_errors(
                options("cron", name_prefix="", timezone="UTC", jobs={"rotate": {"at": 1, "weekdays": 2}, "B": AT})
            )
        )
        == 5
    )


@pytest.mark.parametrize("server", ["rancher_kubeconfig", "rancher_context", "rancher_host"])
def test_variables_of_a_job_may_name_its_server(server):
    job = {**AT, "vars": {server: "/etc/kubeconfig", "rotate_hosts": "ranchers", "rotate_max_age": "90d"}}
    assert schedule_errors(options("systemd", kubeconfig_file="", jobs={"rotate": job})) == []


def test_a_report_needs_no_files_where_it_has_a_project():
    assert schedule_errors(options("cron", jobs={"report": AT})) == []


@dataclass(frozen=True)
class Times:
    name: str
    job: dict
    zone: str
    cron: str
    calendar: str
    rrule: str


@pytest.mark.parametrize(
    "case",
    [
        Times(
            "each day",
            {"at": "02:30"},
            "",
            "30 2 * * *",
            "*-*-* 02:30:00",
            "DTSTART;TZID=UTC:20260101T023000 RRULE:FREQ=DAILY;INTERVAL=1",
        ),
        Times(
            "on weekdays",
            {"at": "16:05", "weekdays": ["mon", "thu"]},
            "Europe/Berlin",
            "5 16 * * mon,thu",
            "mon,thu *-*-* 16:05:00 Europe/Berlin",
            "DTSTART;TZID=Europe/Berlin:20260101T160500 RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,TH",
        ),
        Times(
            "midnight",
            {"at": "00:00"},
            "",
            "0 0 * * *",
            "*-*-* 00:00:00",
            "DTSTART;TZID=UTC:20260101T000000 RRULE:FREQ=DAILY;INTERVAL=1",
        ),
    ],
    ids=lambda case: case.name,
)
def test_times(case):
    (job,) = scheduled_jobs(options("systemd", jobs={"rotate": case.job}, timezone=case.zone))
    assert (job["cron"], job["calendar"], job["rrule"]) == (case.cron, case.calendar, case.rrule)
    assert f"{job['minute']} {job['hour']} * * {job['weekdays']}" == case.cron


@pytest.mark.parametrize(
    ("playbook", "imported"),
    [
        pytest.param(None, True, id="default"),
        pytest.param("ranchhand.rancher.rotate", True, id="of this collection"),
        pytest.param("my.own.collection.nightly", True, id="of a nested collection"),
        pytest.param("rotate.yml", False, id="file name"),
        pytest.param("playbooks/rotate.yml", False, id="relative path"),
        pytest.param("my.playbook.yaml", False, id="file name with dots"),
        pytest.param("my.playbook", False, id="two parts"),
        pytest.param("/srv/a.b.c", False, id="absolute path"),
    ],
)
def test_names_and_paths_of_playbooks(playbook, imported):
    (job,) = scheduled_jobs(options("kubernetes", jobs={"rotate": {**AT, "playbook": playbook}}))
    assert (job["playbook"], job["imported"]) == (playbook or "ranchhand.rancher.rotate", imported)


def test_names_rights_and_namespace():
    jobs = {
        "rotate": AT,
        "nightly": {**AT, "rights": "retire", "vars": {"retire_namespace": "records", "rotate_namespace": "x"}},
    }
    plan = scheduled_jobs(options("kubernetes", jobs=jobs, name_prefix="prod"))
    assert [(job["name"], job["unit"], job["rights"], job["namespace"]) for job in plan] == [
        ("rotate", "prod-rotate", "rotate", "rancher-credential-rotation"),
        ("nightly", "prod-nightly", "retire", "records"),
    ]


def test_awx_runs_playbooks_of_the_project_after_an_approval():
    plan = scheduled_jobs(options("awx", jobs={"rotate": AT, "retire": AT}, awx_approval_timeout="30m"))
    assert [(job["playbook"], job["approval"], job["approval_timeout_seconds"]) for job in plan] == [
        ("rotate.yml", True, 1800),
        ("retire.yml", False, 1800),
    ]


def test_jobs_to_remove_need_no_time():
    assert [
        job["unit"] for job in scheduled_jobs(options("cron", state="absent", jobs={"rotate": None, "retire": {}}))
    ] == ["ranchhand-rotate", "ranchhand-retire"]


@pytest.mark.parametrize("backend", VALID)
@pytest.mark.parametrize(
    "entry", [{"at": 750}, {"at": ["02:30"]}, {"weekdays": 5}, {"playbook": 1}, {"vars": [1]}], ids=str
)
def test_a_removal_ignores_what_it_does_not_need(backend, entry):
    given = options(backend, state="absent", jobs={"rotate": entry})
    assert schedule_errors(given) == []
    assert [job["unit"] for job in scheduled_jobs(given)] == ["ranchhand-rotate"]


def test_a_removal_uses_the_rights_and_the_namespace_of_a_job():
    job = {"rights": "retire", "vars": {"retire_namespace": "records"}}
    (removed,) = scheduled_jobs(options("kubernetes", state="absent", jobs={"nightly": job}))
    assert (removed["rights"], removed["namespace"]) == ("retire", "records")


class Vaulted:
    def __str__(self):
        raise AssertionError("the value was read")


def test_values_of_variables_are_not_read():
    given = options(
        "systemd", jobs={"rotate": {**AT, "vars": {"a": Vaulted(), "rotate_namespace": "records"}}, "retire": None}
    )
    assert without_values(given)["schedule_jobs"] == {
        "rotate": {**AT, "vars": {"a": None, "rotate_namespace": "records"}},
        "retire": None,
    }
