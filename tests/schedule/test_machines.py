# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role schedule with a real systemd and with cron, and the jobs that they run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from harness import debian
from support.configurations import changes
from support.machine import PROGRAM, Machine

PLAY = [
    {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "roles": ["ranchhand.rancher.schedule"],
    }
]
ALLOWED = 1.5  # of systemd-analyze's exposure, 0 to 10


@pytest.fixture
def machine():
    debian.ensure(**{"systemd-analyze": "systemd", "crontab": "cron"})
    with Machine() as running:
        yield running


@pytest.fixture
def systemd_machine():
    debian.ensure(**{"systemd-analyze": "systemd"})
    with Machine(systemd=True) as running:
        yield running


def on(machine, *arguments, code=0, **variables):
    """Run the role on a machine; returns how many tasks changed something."""
    machine.path("/mnt/play.yml").write_text(yaml.safe_dump(PLAY))
    machine.path("/mnt/variables.yml").write_text(yaml.safe_dump(variables))
    done = machine.run(
        PROGRAM,
        "-i",
        "localhost,",
        "/mnt/play.yml",
        "-e",
        "@/mnt/variables.yml",
        *arguments,
        check=False,
        env={"ANSIBLE_COLLECTIONS_PATH": "/mnt/collections", "ANSIBLE_NOCOLOR": "1"},
    )
    assert done.returncode == code, done.stdout
    assert "[WARNING]" not in done.stdout, done.stdout
    return done.stdout if code else int(re.search(r"changed=(\d+)", done.stdout).group(1))


def proved(machine, **variables):
    """Run the role three times: check mode writes nothing, the real run writes, the next run changes nothing."""

    def there():
        found = machine.run(
            "find",
            "/etc/systemd/system",
            "/etc/cron.d",
            "/etc/ranchhand",
            "-type",
            "f",
            "-exec",
            "md5sum",
            "{}",
            "+",
            check=False,
        ).stdout
        return found.splitlines()

    before = there()
    predicted = on(machine, "--check", "--diff", **variables)
    assert there() == before
    changed = on(machine, **variables)
    assert bool(predicted) == bool(changed) and on(machine, **variables) == 0
    return changed


def ready(machine, cluster):
    """Create the files that a job requires; returns the variables for them."""
    machine.path("/etc/ranchhand").mkdir()
    for name, content in {
        "kubeconfig": Path(cluster.control_plane.kubeconfig).read_text(),
        "vault-password": "secret of the vault",
    }.items():
        file = machine.path(f"/etc/ranchhand/{name}")
        file.touch(mode=0o600)
        file.write_text(content)
    return {
        "schedule_executable": PROGRAM,
        "schedule_project": "/mnt/project",
        "schedule_kubeconfig_file": "/etc/ranchhand/kubeconfig",
    }


JOBS = {
    "rotate": {"at": "02:30"},
    "status": {
        "at": "06:30",
        "weekdays": ["mon", "thu"],
        "playbook": "ranchhand.rancher.rotation_status",
        "vars": {"rotation_status_name": "test", "note": "{{ 'so be it' }} %d $HOME"},
    },
}


@pytest.mark.timeout(1200)  # many runs of the role
def test_a_real_systemd_runs_the_jobs(cluster, systemd_machine):
    machine = systemd_machine
    cluster.secret("cc-one", display_name="test")
    variables = {
        **ready(machine, cluster),
        "schedule_with": "systemd",
        "schedule_jobs": JOBS,
        "schedule_timezone": "Europe/Berlin",
        "schedule_vault_password_file": "/etc/ranchhand/vault-password",
    }
    assert proved(machine, **variables)
    for job in JOBS:
        unit = f"/etc/systemd/system/ranchhand-{job}"
        assert machine.run("systemd-analyze", "verify", f"{unit}.service", f"{unit}.timer").stdout == ""
        rating = machine.run("systemd-analyze", "security", "--offline=yes", "--no-pager", f"{unit}.service").stdout
        assert float(re.search(r"Overall exposure level for \S+: ([\d.]+)", rating).group(1)) < ALLOWED, rating
        assert machine.run("systemctl", "is-enabled", f"ranchhand-{job}.timer").stdout == "enabled\n"
    shown = machine.run(
        "systemctl",
        "show",
        "-p",
        "TimersCalendar,NextElapseUSecRealtime,Persistent,ActiveState",
        "ranchhand-status.timer",
    ).stdout
    assert "OnCalendar=Mon,Thu *-*-* 06:30:00 Europe/Berlin" in shown and "ActiveState=active" in shown, shown

    drop_in = machine.path("/etc/systemd/system/ranchhand-status.service.d")
    drop_in.mkdir()
    (drop_in / "log.conf").write_text("[Service]\nStandardOutput=file:/run/status\nStandardError=file:/run/status\n")
    machine.run("systemctl", "daemon-reload")
    mark = cluster.control_plane.audit_mark()
    done = machine.run("systemctl", "start", "ranchhand-status.service", check=False)
    output = machine.path("/run/status").read_text()
    assert done.returncode == 0, output
    assert re.search(r"test +digitalocean +idle", output) and "[WARNING]" not in output, output
    assert any(request.path.endswith("/secrets") for request in cluster.requests(mark))
    assert "secret of the vault" not in output

    assert on(machine, **{**variables, "schedule_jobs": {"status": {**JOBS["status"], "at": "07:45"}}})
    assert "07:45:00" in machine.run("systemctl", "show", "-p", "TimersCalendar", "ranchhand-status.timer").stdout
    assert on(machine, **{**variables, "schedule_jobs": {"rotate": JOBS["rotate"]}})
    timers = machine.run("systemctl", "list-units", "--all", "--no-pager", "ranchhand-*.timer").stdout
    assert "ranchhand-rotate.timer" in timers and "ranchhand-status.timer" not in timers, timers
    assert on(machine, **variables)

    gone = {"schedule_with": "systemd", "schedule_state": "absent", "schedule_jobs": dict.fromkeys(JOBS)}
    assert on(machine, **gone) and on(machine, **gone) == 0
    assert "ranchhand" not in machine.run("systemctl", "list-units", "--all", "--no-pager", "*.timer").stdout
    left = machine.run(
        "find", "/etc/systemd", "/etc/ranchhand", "-name", "*ranchhand-*", "-o", "-path", "/etc/ranchhand/*"
    ).stdout.split()
    assert sorted(left) == [
        "/etc/ranchhand/kubeconfig",
        "/etc/ranchhand/vault-password",
        "/etc/systemd/system/ranchhand-status.service.d",
    ], left


@pytest.mark.soak
@pytest.mark.timeout(1200)  # many runs of the role
def test_after_any_change_the_state_is_that_of_a_new_installation(machine, subtests):
    """Of systemd and cron; another prefix that begins like this one is kept."""
    program = {"schedule_executable": PROGRAM}
    full = {
        **program, "schedule_project": "/mnt/project", "schedule_kubeconfig_file": "/mnt/kubeconfig",
        "schedule_vault_password_file": "/mnt/vault-password", "schedule_user": "nobody",
        "schedule_jobs": {"rotate": {"at": "02:30", "weekdays": ["mon"], "vars": {"rotate_max_age": "90d"}}, **JOBS},
    }
    bare = {
        **program, "schedule_kubeconfig_file": "/mnt/kubeconfig",
        "schedule_jobs": {"rotate": {"at": "03:30"}, "b-rotate": {"at": "01:00", "playbook": "/mnt/project/x.yml"}},
    }
    configurations = {
        "systemd, all options": {**full, "schedule_with": "systemd", "schedule_timezone": "Europe/Berlin"},
        "systemd, few options": {**bare, "schedule_with": "systemd"},
        "cron, all options": {**full, "schedule_with": "cron"},
        "cron, few options": {**bare, "schedule_with": "cron"},
    }
    others = {**bare, "schedule_with": "systemd", "schedule_name_prefix": "ranchhand-b",
              "schedule_jobs": {"status": {"at": "02:30"}}}
    create_required_files(machine)
    on(machine, **others)
    kept = files(machine)
    new = {}
    for name, variables in configurations.items():
        with Machine() as fresh:
            create_required_files(fresh)
            on(fresh, **variables)
            new[name] = files(fresh)
    for name in changes(configurations):
        with subtests.test(name):
            on(machine, **configurations[name])
            assert files(machine) == {**kept, **new[name]}
    on(machine, **{**configurations["systemd, all options"], "schedule_state": "absent"})
    assert files(machine) == kept and any("ranchhand-b" in path for path in kept)


def create_required_files(machine):
    for name in ("kubeconfig", "vault-password"):
        machine.path(f"/mnt/{name}").touch()


def files(machine):
    """Return mode, owner and content of all files and links of the jobs, by path; cron's entries have no order."""
    script = (
        "find /etc/systemd/system /etc/cron.d /etc/ranchhand /etc/ranchhand-b ! -type d -path '*ranchhand*' "
        "-exec sh -c 'stat -c \"%n %A %U\" \"$1\"; "
        "case $1 in /etc/cron.d/*) sort \"$1\";; *) cat \"$1\";; esac | md5sum' sh {} \\; 2>/dev/null"
    )
    lines = machine.run("sh", "-c", script, check=False).stdout.splitlines()
    return {line.split()[0]: (*line.split()[1:], digest) for line, digest in zip(lines[::2], lines[1::2])}


def test_cron_runs_the_jobs(cluster, machine):
    cluster.secret("cc-one", display_name="test")
    variables = {**ready(machine, cluster), "schedule_with": "cron", "schedule_jobs": JOBS}
    # If systemd does not run, timers are created for the first boot.
    assert on(machine, **{**variables, "schedule_with": "systemd"})
    assert machine.run("systemctl", "is-enabled", "ranchhand-status.timer").stdout == "enabled\n"
    assert on(machine, schedule_with="systemd", schedule_state="absent", schedule_jobs=JOBS)
    assert not machine.run("find", "/etc/systemd/system", "-name", "ranchhand*").stdout

    assert proved(machine, **variables)
    table = machine.path("/etc/cron.d/ranchhand").read_text()
    ((when, command),) = re.findall(r"^(\S+ \S+ \S+ \S+ \S+) root (.*status.*)$", table, re.MULTILINE)
    assert when == "30 6 * * mon,thu" and re.search(r"^30 2 \* \* \* root ", table, re.MULTILINE), table
    assert on(machine, **{**variables, "schedule_jobs": {**JOBS, "rotate": {"at": "23:59"}}})
    assert "\n59 23 * * * root " in machine.path("/etc/cron.d/ranchhand").read_text()
    # As cron does, /bin/sh runs the line unchanged. This machine has no syslog, so the log is written to a file.
    machine.path("/mnt/bin/logger").write_text('#!/bin/sh\necho "$@" > /run/tag; exec cat > /run/log\n')
    machine.path("/mnt/bin/logger").chmod(0o755)
    machine.run("sh", "-c", command, env={"PATH": "/mnt/bin:/usr/bin:/bin"})
    output = machine.path("/run/log").read_text()
    assert machine.path("/run/tag").read_text() == "-t ranchhand-status\n"
    assert re.search(r"test +digitalocean +idle", output) and "[WARNING]" not in output, output
    held = machine.run(
        "flock", "/etc/ranchhand/status.yml", "sh", "-c", command, env={"PATH": "/mnt/bin:/usr/bin:/bin"}
    )
    assert held.stdout == "" and machine.path("/run/log").read_text() == "", (
        "a second run at the same time does nothing"
    )

    gone = {"schedule_with": "cron", "schedule_state": "absent", "schedule_jobs": JOBS}
    assert on(machine, **gone) and on(machine, **gone) == 0
    assert not machine.path("/etc/cron.d/ranchhand").exists() and not machine.path("/etc/ranchhand/status.yml").exists()
