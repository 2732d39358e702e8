# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role schedule: jobs that a real systemd, cron's daemon and the API server take, and what each of them runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from control_plane import ApiError
from harness import debian

from .machine import PROGRAM, Machine
from .test_rotation import Rotating

PLAY = [{"hosts": "localhost", "connection": "local", "gather_facts": False,
         "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}, "roles": ["ranchhand.rancher.schedule"]}]
ALLOWED = 2.0  # of systemd-analyze's exposure, 0 to 10


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
    done = machine.run(PROGRAM, "-i", "localhost,", "/mnt/play.yml", "-e", "@/mnt/variables.yml", *arguments, check=False,
                       env={"ANSIBLE_COLLECTIONS_PATH": "/mnt/collections", "ANSIBLE_NOCOLOR": "1"})
    assert done.returncode == code, done.stdout
    assert "[WARNING]" not in done.stdout, done.stdout
    return done.stdout if code else int(re.search(r"changed=(\d+)", done.stdout).group(1))


def proved(machine, **variables):
    """Check mode predicts and writes nothing, the real run does it, and another one changes nothing."""
    def there():
        found = machine.run("find", "/etc/systemd/system", "/etc/cron.d", "/etc/ranchhand", "-type", "f", "-exec", "md5sum", "{}", "+", check=False).stdout
        return found.splitlines()

    before = there()
    predicted = on(machine, "--check", "--diff", **variables)
    assert there() == before
    changed = on(machine, **variables)
    assert bool(predicted) == bool(changed) and on(machine, **variables) == 0
    return changed


def ready(machine, cluster):
    """The machine has all that a job needs. Returns the variables for it."""
    machine.path("/etc/ranchhand").mkdir()
    for name, content in {"kubeconfig": Path(cluster.control_plane.kubeconfig).read_text(), "vault-password": "secret of the vault"}.items():
        file = machine.path(f"/etc/ranchhand/{name}")
        file.touch(mode=0o600)
        file.write_text(content)
    return {"schedule_executable": PROGRAM, "schedule_project": "/mnt/project", "schedule_kubeconfig_file": "/etc/ranchhand/kubeconfig"}


JOBS = {"rotate": {"at": "02:30"}, "status": {"at": "06:30", "weekdays": ["mon", "thu"], "playbook": "ranchhand.rancher.rotation_status",
                                             "vars": {"rotation_status_name": "test", "note": "{{ 'so be it' }} %d $HOME"}}}


def test_a_real_systemd_runs_the_jobs(cluster, systemd_machine):
    machine = systemd_machine
    cluster.secret("cc-one", display_name="test")
    variables = {**ready(machine, cluster), "schedule_with": "systemd", "schedule_jobs": JOBS, "schedule_timezone": "Europe/Berlin",
                 "schedule_vault_password_file": "/etc/ranchhand/vault-password"}
    assert proved(machine, **variables)
    for job in JOBS:
        unit = f"/etc/systemd/system/ranchhand-{job}"
        assert machine.run("systemd-analyze", "verify", f"{unit}.service", f"{unit}.timer").stdout == ""
        told = machine.run("systemd-analyze", "security", "--offline=yes", "--no-pager", f"{unit}.service").stdout
        assert float(re.search(r"Overall exposure level for \S+: ([\d.]+)", told).group(1)) < ALLOWED, told
        assert machine.run("systemctl", "is-enabled", f"ranchhand-{job}.timer").stdout == "enabled\n"
    shown = machine.run("systemctl", "show", "-p", "TimersCalendar,NextElapseUSecRealtime,Persistent,ActiveState", "ranchhand-status.timer").stdout
    assert "OnCalendar=Mon,Thu *-*-* 06:30:00 Europe/Berlin" in shown and "ActiveState=active" in shown, shown

    drop_in = machine.path("/etc/systemd/system/ranchhand-status.service.d")
    drop_in.mkdir()
    (drop_in / "log.conf").write_text("[Service]\nStandardOutput=file:/run/status\nStandardError=file:/run/status\n")
    machine.run("systemctl", "daemon-reload")
    mark = cluster.control_plane.audit_mark()
    done = machine.run("systemctl", "start", "ranchhand-status.service", check=False)
    output = machine.path("/run/status").read_text()
    assert done.returncode == 0, output
    assert re.search(r"test +digitalocean +Idle", output) and "[WARNING]" not in output, output
    assert any(one.path.endswith("/secrets") for one in cluster.requests(mark))
    assert "secret of the vault" not in output

    assert proved(machine, **{**variables, "schedule_jobs": {"status": {**JOBS["status"], "at": "07:45"}}})
    assert "07:45:00" in machine.run("systemctl", "show", "-p", "TimersCalendar", "ranchhand-status.timer").stdout
    assert proved(machine, schedule_with="systemd", schedule_state="absent", schedule_jobs=dict.fromkeys(JOBS))
    assert "ranchhand" not in machine.run("systemctl", "list-units", "--all", "--no-pager", "*.timer").stdout
    left = machine.run("find", "/etc/systemd", "/etc/ranchhand", "-name", "*ranchhand-*", "-o", "-path", "/etc/ranchhand/*").stdout.split()
    assert sorted(left) == ["/etc/ranchhand/kubeconfig", "/etc/ranchhand/vault-password", "/etc/systemd/system/ranchhand-status.service.d"], left


def test_cron_runs_the_jobs(cluster, machine):
    cluster.secret("cc-one", display_name="test")
    variables = {**ready(machine, cluster), "schedule_with": "cron", "schedule_jobs": JOBS}
    # Where systemd does not run, timers are made all the same, for the first boot.
    assert proved(machine, **{**variables, "schedule_with": "systemd"})
    assert machine.run("systemctl", "is-enabled", "ranchhand-status.timer").stdout == "enabled\n"
    assert proved(machine, schedule_with="systemd", schedule_state="absent", schedule_jobs=JOBS)
    assert not machine.run("find", "/etc/systemd/system", "-name", "ranchhand*").stdout

    assert proved(machine, **variables)
    table = machine.path("/etc/cron.d/ranchhand").read_text()
    (when, command), = re.findall(r"^(\S+ \S+ \S+ \S+ \S+) root (.*status.*)$", table, re.MULTILINE)
    assert when == "30 6 * * mon,thu" and re.search(r"^30 2 \* \* \* root ", table, re.MULTILINE), table
    assert proved(machine, **{**variables, "schedule_jobs": {"rotate": {"at": "23:59"}}})
    assert "\n59 23 * * * root " in machine.path("/etc/cron.d/ranchhand").read_text()
    # What cron does: the line as it stands, by /bin/sh; but this machine has no syslog, so that the log goes to a file.
    machine.path("/mnt/bin/logger").write_text('#!/bin/sh\necho "$@" > /run/tag; exec cat > /run/log\n')
    machine.path("/mnt/bin/logger").chmod(0o755)
    machine.run("sh", "-c", command, env={"PATH": "/mnt/bin:/usr/bin:/bin"})
    output = machine.path("/run/log").read_text()
    assert machine.path("/run/tag").read_text() == "-t ranchhand-status\n"
    assert re.search(r"test +digitalocean +Idle", output) and "[WARNING]" not in output, output
    held = machine.run("flock", "/etc/ranchhand/status.yml", "sh", "-c", command, env={"PATH": "/mnt/bin:/usr/bin:/bin"})
    assert held.stdout == "" and machine.path("/run/log").read_text() == "", "a second one at the same time does nothing"

    assert proved(machine, schedule_with="cron", schedule_state="absent", schedule_jobs=JOBS)
    assert not machine.path("/etc/cron.d/ranchhand").exists() and not machine.path("/etc/ranchhand/status.yml").exists()


ROLE = "ranchhand.rancher.schedule"
PODS = "/api/v1/namespaces/ranchhand/pods?dryRun=All"
RECORDS = "rancher-credential-rotation"


def apply(cluster, *arguments, **variables):
    """Run the role against a cluster; returns whether it changed something, and whether it wrote."""
    mark = cluster.control_plane.audit_mark()
    played = cluster.play(play={"roles": [ROLE]}, variables={"schedule_with": "kubernetes", **variables}, arguments=arguments)
    assert played.code == 0 and "[WARNING]" not in played.output, played.output
    return any(one.get("changed") for one in played.results), bool(cluster.writes(mark))


def kept(cluster, **variables):
    """Check mode predicts and writes nothing, the real run does it, and another one changes nothing."""
    assert apply(cluster, "--check", "--diff", **variables) == (True, False)
    assert apply(cluster, **variables) == (True, True)
    assert apply(cluster, **variables) == (False, False)


class Pod:
    """What a kubelet makes of a CronJob's pod, in a machine of its own: user, environment, files, read-only root."""

    def __init__(self, cluster, machine, name):
        api = cluster.api
        self.name, self.cluster, self.machine = name, cluster, machine
        self.spec = api.get(f"/apis/batch/v1/namespaces/ranchhand/cronjobs/{name}")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        account = self.spec["serviceAccountName"]
        self.user = f"system:serviceaccount:ranchhand:{account}"
        token = api.post(f"/api/v1/namespaces/ranchhand/serviceaccounts/{account}/token", {"spec": {}})["status"]["token"]
        self.token = token
        files = {f"/run/secrets/kubernetes.io/serviceaccount/{name}": content for name, content in {
            "token": token, "ca.crt": Path(cluster.control_plane.ca_file).read_text(), "namespace": "ranchhand"}.items()}
        volumes = {one["name"]: one for one in self.spec["volumes"]}
        container, = self.spec["containers"]
        for mount in container["volumeMounts"]:
            if "configMap" in volumes[mount["name"]]:
                stored = api.get(f"/api/v1/namespaces/ranchhand/configmaps/{volumes[mount['name']]['configMap']['name']}")
                files.update({f"{mount['mountPath']}/{name}": content for name, content in stored["data"].items()})
            else:
                assert mount["mountPath"] == "/tmp" and volumes[mount["name"]]["emptyDir"] == {}
        for name, content in files.items():
            path = machine.path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def run(self):
        """What it prints, and its requests: each verb, group, resource and namespace."""
        container, = self.spec["containers"]
        host, port = self.cluster.control_plane.url.rpartition("/")[2].split(":")
        env = {one["name"]: one["value"] for one in container["env"]}
        user, security = self.spec["securityContext"], container["securityContext"]
        assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"] and security["capabilities"] == {"drop": ["ALL"]}
        mark = self.cluster.control_plane.audit_mark()
        done = self.machine.run(
            "unshare", "--mount", "sh", "-c", 'mount -o remount,ro,bind / && mount -o remount,ro,bind /etc && exec "$@"', "sh",
            "setpriv", f"--reuid={user['runAsUser']}", f"--regid={user['runAsGroup']}", "--clear-groups", "--no-new-privs", "--bounding-set=-all",
            "--inh-caps=-all", *container["command"], check=False,
            # what an execution environment brings along, and what the kubelet adds
            env={"PATH": "/mnt/bin:/usr/bin:/bin", "ANSIBLE_COLLECTIONS_PATH": "/mnt/collections", "KUBERNETES_SERVICE_HOST": host,
                 "KUBERNETES_SERVICE_PORT": port, **env})
        assert done.returncode == 0 and "[WARNING]" not in done.stdout and self.token not in done.stdout, done.stdout
        asked = set()
        for event in self.cluster.control_plane.audit(mark):
            if event["user"]["username"] == self.user:
                if event["annotations"]["authorization.k8s.io/decision"] != "allow": print("FORBID", event["verb"], event["requestURI"])
                subject = event.get("objectRef") or {}
                if "resource" in subject and not subject["resource"].endswith("reviews"):
                    asked.add((event["verb"], subject.get("apiGroup", ""), subject["resource"], subject.get("namespace", "")))
        return done.stdout, asked

    def granted(self):
        """The same for its rights."""
        found = set()
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        for path in (f"{rbac}/namespaces/cattle-global-data/roles", f"{rbac}/namespaces/{RECORDS}/roles", f"{rbac}/clusterroles"):
            try:
                role = self.cluster.api.get(f"{path}/{self.name}")
            except ApiError as error:
                if error.status != 404:
                    raise
                continue
            for rule in role["rules"]:
                found |= {(verb, group, resource, role["metadata"].get("namespace", ""))
                          for verb in rule["verbs"] for group in rule["apiGroups"] for resource in rule["resources"]}
        return found


def test_kubernetes_runs_the_jobs_with_just_their_rights(cluster, aws, machine, tmp_path):
    rotating = Rotating(cluster, aws)
    rotating.namespace = RECORDS
    issuer = {"issuer_options": {"endpoint_url": aws.url, "propagation": 0}}
    jobs = {
        "rotate": {"at": "02:30", "weekdays": ["mon", "tue"], "vars": {
            "rotate_credentials": [{"name": f"aws {rotating.id}"}], "rotate_rotation_id": "{{ lookup('env', 'ID') }}".replace("lookup('env', 'ID')", "'first'"),
            **{f"rotate_{name}": value for name, value in issuer.items()}}},
        "retire": {"at": "04:30", "vars": {"retire_grace": "0s", "retire_soak": "0s", "retire_issuers": {"aws": {**issuer, "drain": "1s"}}}},
    }
    variables = {"schedule_image": "registry.example/ranchhand:1", "schedule_jobs": jobs, "schedule_timezone": "Europe/Berlin"}
    kept(cluster, **variables)

    pods = {job: Pod(cluster, machine, f"ranchhand-{job}") for job in reversed(jobs)}
    for pod in pods.values():
        cluster.api.post(PODS, {"metadata": {"name": pod.name}, "spec": pod.spec})
    with pytest.raises(ApiError, match="violates PodSecurity"):
        cluster.api.post(PODS, {"metadata": {"name": "not-so"}, "spec": {**pod.spec, "securityContext": {}}})

    output, asked = pods["rotate"].run()
    assert "rotated" in output and len(rotating.keys) == 2 and rotating.works(), output
    print("ROTATE", sorted(asked - pods["rotate"].granted()), sorted(pods["rotate"].granted() - asked))
    Pod(cluster, machine, "ranchhand-retire")
    _disabled, asked = pods["retire"].run()
    assert sorted(rotating.keys.values()) == ["Active", "Inactive"]
    deleted, more = pods["retire"].run()
    assert len(rotating.keys) == 1 and rotating.works(), deleted
    print("RETIRE", sorted((asked | more) - pods["retire"].granted()), sorted(pods["retire"].granted() - asked - more))
    assert 0
