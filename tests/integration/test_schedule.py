# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role schedule on Kubernetes, and its validation errors. tests/schedule tests systemd and cron."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from control_plane import ApiError
from support.cluster import decoded
from support.configurations import changes
from support.machine import Machine
from support.rights import RBAC, documented
from support.rotations import RotatingCredential

ROLE = "ranchhand.rancher.schedule"
MANIFEST = "ranchhand.rancher.manifest"
PODS = "/api/v1/namespaces/ranchhand/pods?dryRun=All"
CRON_JOBS = "/apis/batch/v1/namespaces/ranchhand/cronjobs"
RECORDS = "rancher-credential-rotation"
# Kinds that are listed while references are searched, and that are not granted because no credential requires it.
NOT_GRANTED = {
    "retire": {
        ("list", "aks.cattle.io", "aksclusterconfigs", ""),
        ("list", "eks.cattle.io", "eksclusterconfigs", ""),
        ("list", "gke.cattle.io", "gkeclusterconfigs", ""),
        ("list", "management.cattle.io", "clusters", ""),
        ("list", "management.cattle.io", "nodetemplates", ""),
    }
}
# Rights for a rollback and for a deleted Lease.
NOT_ASKED = {
    "rotate": {("delete", "", "secrets", RECORDS)},
    "retire": {("create", "coordination.k8s.io", "leases", RECORDS)},
    "report": set(),
}
NOT_INSTALLED = {
    ("ali.cattle.io", "aliclusterconfigs"),
    ("cluster.x-k8s.io", "machinedeployments"),
    ("cluster.x-k8s.io", "machinesets"),
    ("infrastructure.cluster.x-k8s.io", "awsclusterstaticidentities"),
    ("rke-machine-config.cattle.io", "*"),
    ("turtles-capi.cattle.io", "capiproviders"),
}


@pytest.fixture
def machine():
    with Machine() as running:
        yield running


def apply(cluster, *arguments, **variables):
    """Run the role against a cluster; returns whether it reports a change, and whether it wrote."""
    mark = cluster.control_plane.audit_mark()
    variables = {"schedule_with": "kubernetes", "ansible_python_interpreter": sys.executable, **variables}
    played = cluster.play(play={"roles": [ROLE]}, variables=variables, arguments=arguments)
    assert played.code == 0 and "[WARNING]" not in played.output, played.output
    return any(item.get("changed") for item in played.results), bool(cluster.writes(mark))


class Pod:
    """The pod of a CronJob as a kubelet runs it: user, environment, files, read-only root. In a machine of its own."""

    def __init__(self, cluster, machine, job):
        api = cluster.api
        self.name, self.job, self.cluster, self.machine = f"ranchhand-{job}", job, cluster, machine
        self.spec = api.get(f"{CRON_JOBS}/{self.name}")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        (self.container,) = self.spec["containers"]
        account = self.spec["serviceAccountName"]
        self.user = f"system:serviceaccount:ranchhand:{account}"
        self.token = api.post(f"/api/v1/namespaces/ranchhand/serviceaccounts/{account}/token", {"spec": {}})["status"][
            "token"
        ]

    def run(self):
        """Run the pod; returns its output and the audit events meanwhile."""
        api, control_plane = self.cluster.api, self.cluster.control_plane
        self._write(
            "/run/secrets/kubernetes.io/serviceaccount",
            {"token": self.token, "ca.crt": Path(control_plane.ca_file).read_text(), "namespace": "ranchhand"},
        )
        volumes = {item["name"]: item for item in self.spec["volumes"]}
        for mount in self.container["volumeMounts"]:
            volume = volumes[mount["name"]]
            if "configMap" in volume:
                self._write(
                    mount["mountPath"],
                    api.get(f"/api/v1/namespaces/ranchhand/configmaps/{volume['configMap']['name']}")["data"],
                )
            elif "persistentVolumeClaim" in volume:
                self.machine.run(
                    "install", "-d", "-o", str(self.spec["securityContext"]["fsGroup"]), mount["mountPath"]
                )
            else:
                assert mount["mountPath"] == "/tmp" and volume["emptyDir"] == {}
        env = {item["name"]: item["value"] for item in self.container["env"]}
        for source in self.container["envFrom"]:
            env.update(decoded(api.get(f"/api/v1/namespaces/ranchhand/secrets/{source['secretRef']['name']}")))
        host, port = control_plane.url.rpartition("/")[2].split(":")
        user, security = self.spec["securityContext"], self.container["securityContext"]
        assert (
            security["readOnlyRootFilesystem"]
            and not security["allowPrivilegeEscalation"]
            and security["capabilities"] == {"drop": ["ALL"]}
        )
        mark = control_plane.audit_mark()
        done = self.machine.run(
            "unshare",
            "--mount",
            "sh",
            "-c",
            'mount -o remount,ro,bind / && mount -o remount,ro,bind /etc && exec "$@"',
            "sh",
            "setpriv",
            f"--reuid={user['runAsUser']}",
            f"--regid={user['runAsGroup']}",
            "--clear-groups",
            "--no-new-privs",
            "--bounding-set=-all",
            "--inh-caps=-all",
            *self.container["command"],
            check=False,
            # what an execution environment contains, and what the kubelet adds
            env={
                "PATH": "/mnt/bin:/usr/bin:/bin",
                "ANSIBLE_COLLECTIONS_PATH": "/mnt/collections",
                "KUBERNETES_SERVICE_HOST": host,
                "KUBERNETES_SERVICE_PORT": port,
                **env,
            },
        )
        assert done.returncode == 0 and "[WARNING]" not in done.stdout and self.token not in done.stdout, done.stdout
        return done.stdout, control_plane.audit(mark)

    def _write(self, folder, files):
        for name, content in files.items():
            path = self.machine.path(f"{folder}/{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def asked(self, events):
        """Its requests as verb, group, resource and namespace: those that were allowed, and the others."""
        found = {"allow": set(), "forbid": set()}
        for event in events:
            subject = event.get("objectRef") or {}
            if (
                event["user"]["username"] == self.user
                and "resource" in subject
                and not subject["resource"].endswith("reviews")
            ):
                group = subject.get("apiGroup", "")
                resource = "*" if group == "rke-machine.cattle.io" else subject["resource"]
                found[event["annotations"]["authorization.k8s.io/decision"]].add(
                    (event["verb"], group, resource, subject.get("namespace", ""))
                )
        return found["allow"], found["forbid"]

    def granted(self):
        """Its rights in the same form."""
        paths = [
            f"{RBAC}/namespaces/cattle-global-data/roles",
            f"{RBAC}/namespaces/{RECORDS}/roles",
            f"{RBAC}/clusterroles",
        ]
        return _rights(self.cluster.api.get(f"{path}/ranchhand:{self.name}") for path in paths)


def _rights(roles):
    return {
        (verb, group, resource, role["metadata"].get("namespace", ""))
        for role in roles
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_kubernetes_runs_the_jobs_with_just_their_rights(cluster, aws, machine, tmp_path):
    rotating = RotatingCredential(cluster, aws)
    rotating.namespace = RECORDS
    issuer = {"issuer_options": {"endpoint_url": aws.url, "propagation": "0s"}}
    # The variables of these tests come from YAML without tags, and the result of a lookup is not templated again.
    later = tmp_path / "later"
    later.write_text("{{ lookup('ansible.builtin.env', 'ROTATION_ID') }}")
    jobs = {
        "rotate": {
            "at": "02:30",
            "weekdays": ["mon", "tue"],
            "vars": {
                "rotate_credentials": [{"name": f"aws {rotating.id}", "owner": "alice"}],
                "rotate_rotation_id": "{{ lookup('ansible.builtin.file', '%s') }}" % later,
                **{f"rotate_{name}": value for name, value in issuer.items()},
            },
        },
        "retire": {
            "at": "04:30",
            "vars": {
                "retire_grace": "0s",
                "retire_soak": "0s",
                "retire_audit_file": "/var/lib/ranchhand/audit.jsonl",
                "retire_issuers": {"aws": {**issuer, "drain": "1s"}},
            },
        },
        "report": {"at": "06:30", "vars": {"report_files": {"html": "/var/lib/ranchhand/report.html"}}},
    }
    variables = {
        "schedule_image": "registry.example/ranchhand:1",
        "schedule_jobs": jobs,
        "schedule_timezone": "Europe/Berlin",
        "schedule_secret": "jobs",
        "schedule_volume_claim": "reports",
    }
    file = tmp_path / "manifest.yml"
    assert apply(cluster, schedule_manifest=str(file), **variables) == (True, False)
    assert apply(cluster, "--check", "--diff", **variables) == (True, False)
    assert apply(cluster, **variables) == (True, True)
    assert apply(cluster, **variables) == (False, False)
    mark = cluster.control_plane.audit_mark()
    (same,) = cluster.play(
        {MANIFEST: {"objects": "{{ lookup('ansible.builtin.file', '%s') | from_yaml_all | list }}" % file}}
    ).results
    assert not same["changed"] and not cluster.writes(mark), "what is written for a repository is what is applied"

    cluster.api.post(
        "/api/v1/namespaces/ranchhand/secrets", {"metadata": {"name": "jobs"}, "stringData": {"ROTATION_ID": "first"}}
    )
    rotate, retire, report = (Pod(cluster, machine, job) for job in jobs)
    for pod in (rotate, retire, report):
        cluster.api.post(PODS, {"metadata": {"name": pod.name}, "spec": pod.spec})
    with pytest.raises(ApiError, match="violates PodSecurity"):
        cluster.api.post(PODS, {"metadata": {"name": "not-so"}, "spec": {**rotate.spec, "securityContext": {}}})

    output, events = rotate.run()
    assert "rotated, has the key" in output and len(rotating.keys) == 2 and rotating.works(), output
    asked, refused = rotate.asked(events)
    assert not refused and rotate.granted() - asked - NOT_ASKED["rotate"] == {
        item for item in rotate.granted() if item[1:3] in NOT_INSTALLED
    }

    required = [role for role in documented("report") if role["metadata"]["name"] == "ranchhand-report"]
    assert report.granted() == _rights(required)
    _output, events = report.run()
    asked, refused = report.asked(events)
    assert (
        not refused
        and {item for item in report.granted() - asked if item[1:3] not in NOT_INSTALLED} == NOT_ASKED["report"]
    )
    assert f"aws {rotating.id}" in machine.path("/var/lib/ranchhand/report.html").read_text()

    _output, events = retire.run()
    assert sorted(rotating.keys.values()) == ["Active", "Inactive"]
    output, more = retire.run()
    assert len(rotating.keys) == 1 and rotating.works(), output
    asked, refused = retire.asked(events + more)
    assert refused == NOT_GRANTED["retire"] and retire.granted() - asked == NOT_ASKED["retire"]
    assert len(machine.path("/var/lib/ranchhand/audit.jsonl").read_text().splitlines()) >= 4

    fewer = {**variables, "schedule_timezone": "", "schedule_jobs": {"rotate": jobs["rotate"]}}
    assert apply(cluster, **fewer) == (True, True)
    assert "timeZone" not in cluster.api.get(f"{CRON_JOBS}/ranchhand-rotate")["spec"], (
        "a field that is not set any more is removed"
    )
    gone = {"schedule_state": "absent", "schedule_jobs": dict.fromkeys(jobs)}
    assert apply(cluster, "--check", **gone) == (True, False)
    assert apply(cluster, **gone) == (True, True)
    assert apply(cluster, **gone) == (False, False)
    for path in (
        CRON_JOBS,
        f"{RBAC}/namespaces/cattle-global-data/roles",
        f"{RBAC}/clusterrolebindings",
        "/api/v1/namespaces/ranchhand/configmaps",
    ):
        assert not [
            item["metadata"]["name"]
            for item in cluster.api.get(path)["items"]
            if item["metadata"]["name"].startswith(("ranchhand-r", "ranchhand:"))
        ]
    cluster.api.delete("/api/v1/namespaces/ranchhand/secrets/jobs")


def test_two_namespaces_do_not_share_anything(cluster):
    """Nor do two prefixes in one namespace; each installation can be changed and removed alone."""
    job = {"schedule_image": "ee", "schedule_jobs": {"rotate": {"at": "02:30"}}}
    installations = [
        {**job, "schedule_namespace": "team-a"},
        {
            **job, "schedule_namespace": "team-b",
            "schedule_jobs": {"rotate": {"at": "03:30"}, "retire": {"at": "04:30"}},
        },
        {**job, "schedule_namespace": "team-b", "schedule_name_prefix": "second"},
    ]
    states = []
    for variables in installations:
        apply(cluster, **variables)
        states.append(installed(cluster))
    assert len(states[0]) == len(states[2]) - len(states[1]) == 9
    for earlier, later in zip(states, states[1:]):
        assert earlier.items() <= later.items()
    assert not any(apply(cluster, **variables)[0] for variables in installations)
    subjects = [item["subjects"] for name, item in states[1].items() if name[0] == "clusterrolebindings"]
    assert sorted(item["namespace"] for (item,) in subjects) == ["team-a", "team-b", "team-b"]
    for variables, left in zip(reversed(installations), (states[1], states[0], {})):
        apply(cluster, schedule_state="absent", **variables)
        assert installed(cluster) == left


@pytest.mark.timeout(1200)  # many runs of the role
def test_after_any_change_the_state_is_that_of_a_new_installation(cluster, subtests):
    """The configurations differ in each option; a Namespace is never deleted."""
    everything = {
        "schedule_image": "ee:2", "schedule_timezone": "Europe/Berlin", "schedule_secret": "jobs",
        "schedule_volume_claim": "reports",
        "schedule_jobs": {
            "rotate": {"at": "02:30", "weekdays": ["mon"], "vars": {"rotate_max_age": "90d"}},
            "retire": {"at": "04:30", "vars": {"retire_namespace": "other-records"}},
        },
    }
    other = {
        "schedule_image": "ee:3", "schedule_timezone": "UTC",
        "schedule_jobs": {
            "retire": {"at": "05:00", "weekdays": ["sun", "sat"]},
            "nightly": {"at": "00:00", "playbook": "ranchhand.rancher.report", "rights": "report",
                        "vars": {"report_files": {"html": "/tmp/x"}}},
        },
    }
    nothing = {"schedule_image": "ee", "schedule_jobs": {}}
    configurations = {"everything": everything, "other": other, "nothing": nothing}
    new = {}
    for name, variables in configurations.items():
        apply(cluster, **variables)
        new[name] = installed(cluster)
        apply(cluster, **nothing)
    assert not new["nothing"] and new["everything"] and new["other"]
    for name in changes(configurations):
        with subtests.test(name):
            apply(cluster, **configurations[name])
            assert installed(cluster) == new[name]
    apply(cluster, **nothing)


def installed(cluster):
    """All objects of all installations, without what the API server adds."""
    bases = [
        *((f"/apis/rbac.authorization.k8s.io/v1/{name}", name)
          for name in ("clusterroles", "clusterrolebindings", "roles", "rolebindings")),
        *((f"/api/v1/{name}", name) for name in ("configmaps", "serviceaccounts")),
        ("/apis/batch/v1/cronjobs", "cronjobs"),
    ]
    found = {}
    for path, kind in bases:
        label = "app.kubernetes.io/managed-by=ranchhand.rancher.schedule"
        for item in cluster.api.get(f"{path}?labelSelector={label}")["items"]:
            metadata = item.pop("metadata")
            item.pop("status", None)
            found[kind, metadata.get("namespace"), metadata["name"]] = {**item, "labels": metadata["labels"]}
    return found


def test_validation_errors_are_reported_before_anything_is_written(cluster, subtests):
    machine = {"schedule_with": "systemd", "schedule_project": "/srv/project"}
    kubernetes = {"schedule_with": "kubernetes", "schedule_image": "ee"}
    cases = {
        'schedule_jobs.rotate.at must be a time of day in quotes, such as "02:30"': [
            {**machine, "schedule_jobs": {"rotate": {"at": at}}} for at in ("25:00", 150, "2:30", "02:30\n", None)
        ],
        "schedule_jobs.rotate.weekdays must be a list": [
            {**machine, "schedule_jobs": {"rotate": {"at": "02:30", "weekdays": days}}}
            for days in (["monday"], "mon", {"mon": 1})
        ],
        "schedule_jobs.??1?0??: the name must be": [{**machine, "schedule_jobs": {"{{1/0}}": {"at": "02:30"}}}],
        "schedule_jobs.rotate must be a mapping": [{**machine, "schedule_jobs": {"rotate": "02:30"}}],
        "schedule_jobs.rotate has an unknown entry": [
            {**machine, "schedule_jobs": {"rotate": {"at": "02:30", "when": 1}}}
        ],
        "schedule_jobs.rotate.vars must be": [{**machine, "schedule_jobs": {"rotate": {"at": "02:30", "vars": [1]}}}],
        "schedule_jobs.rotate.playbook must be": [
            {**machine, "schedule_jobs": {"rotate": {"at": "02:30", "playbook": "a b"}}}
        ],
        "schedule_jobs.drift.rights must be one of rotate, retire, report": [
            {**kubernetes, "schedule_jobs": {"drift": {"at": "02:30"}}}
        ],
        "schedule_jobs.report.vars.report_files is required": [kubernetes],
        "schedule_image is required with kubernetes": [{"schedule_with": "kubernetes"}],
        "schedule_project must be an absolute path": [{**machine, "schedule_project": "here; rm -rf"}],
        "schedule_project must not be in /home or /root": [{**machine, "schedule_project": "/root/project"}],
        "schedule_kubeconfig_file or schedule_project is required": [{"schedule_with": "cron"}],
        "schedule_timezone is not supported with cron": [
            {**machine, "schedule_with": "cron", "schedule_timezone": "UTC"}
        ],
        "schedule_name_prefix must be": [{**machine, "schedule_name_prefix": "Ranch hand"}],
        "/srv/project does not exist on localhost, but the jobs need it": [
            {**machine, "schedule_executable": "/usr/bin/env"}
        ],
    }
    given = [(words, variables) for words, several in cases.items() for variables in several]
    mark = cluster.control_plane.audit_mark()
    tasks = [
        {
            "ignore_errors": False,
            "rescue": [{"ansible.builtin.set_fact": {"rescued": True}}],
            "block": [{"ansible.builtin.include_role": {"name": ROLE}, "vars": variables}],
        }
        for _words, variables in given
    ]
    played = cluster.play(*tasks, variables={"ansible_python_interpreter": sys.executable})
    refused = [item["result"] for item in played.tasks if item["result"]["failed"]]
    assert len(refused) == len(given), played.output
    for (words, variables), result in zip(given, refused):
        with subtests.test(words):
            assert words in result["msg"], (variables, result["msg"])
    assert not any(item["result"].get("changed") for item in played.tasks) and not cluster.writes(mark)


def test_objects_are_applied_and_deleted(cluster, subtests):
    path = "/api/v1/namespaces/default/configmaps/settings"
    settings = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "default"},
        "data": {"a": "1", "b": "x"},
    }
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "settings", "namespace": "default"},
        "spec": {"hard": {"requests.cpu": "0.5", "limits.memory": "1024Mi"}},
    }  # which the API server normalizes
    results = cluster.prove_all(
        [
            {"objects": [settings, quota]},
            {"objects": [{**settings, "data": {"a": "2"}}, quota]},
            {"objects": [settings], "state": "absent"},
        ],
        module=MANIFEST,
        as_module=True,
    )
    assert not any(result["failed"] for result in results), results
    assert [[item["action"] for item in result["objects"]] for result in results] == [
        ["created", "created"],
        ["updated"],
        ["deleted"],
    ]
    assert results[1]["diff"][0]["before"]["data"] == settings["data"] and results[1]["diff"][0]["after"]["data"] == {
        "a": "2"
    }

    cluster.prove({"objects": [settings]}, module=MANIFEST)
    cluster.api.patch(path, {"data": {"a": "3", "theirs": "stays"}})
    repaired = cluster.prove({"objects": [settings]}, module=MANIFEST)
    assert repaired["changed"] and cluster.api.get(path)["data"] == {**settings["data"], "theirs": "stays"}
    cluster.prove({"objects": [settings, quota], "state": "absent"}, module=MANIFEST)
    labelled = {**settings, "metadata": {**settings["metadata"], "labels": {"set": "pruned"}}}
    prune = {"labels": {"set": "pruned"}, "kinds": [{"api_version": "v1", "kind": "ConfigMap"}]}
    renamed = {**labelled, "metadata": {**labelled["metadata"], "name": "renamed"}}
    unrelated = {**labelled, "metadata": {**labelled["metadata"], "name": "unrelated", "labels": {"set": "other"}}}
    pruned = cluster.prove_all(
        [{"objects": [labelled, unrelated]}, {"objects": [renamed], "prune": prune}, {"objects": [], "prune": prune},
         {"objects": [unrelated], "state": "absent", "prune": prune}],
        module=MANIFEST,
    )
    assert [[(item["name"], item["action"]) for item in result["objects"]] for result in pruned] == [
        [("settings", "created"), ("unrelated", "created")], [("renamed", "created"), ("settings", "deleted")],
        [("renamed", "deleted")], [("unrelated", "deleted")],
    ]
    refused = cluster.play(
        {MANIFEST: {"objects": [], "prune": {**prune, "labels": {}}}},
        {MANIFEST: {"objects": [], "prune": {**prune, "kinds": [{"api_version": "v1", "kind": "Secret"}]}}},
        {MANIFEST: {"objects": [], "prune": {**prune, "kinds": [{"api_version": "v1", "kind": "Nothing"}]}}},
    ).results
    assert [word in result["msg"] for word, result in zip(("labels is empty", "Secret", "no Nothing"), refused)] == [
        True, True, True]
    wrong = {
        "objects[0] must be a mapping with apiVersion, kind and metadata.name": [
            "text",
            {"kind": "ConfigMap"},
            {**settings, "metadata": {"name": 1}},
        ],
        "objects[0] is a Secret": [{**settings, "kind": "Secret"}],
        "has no Deployment in v1": [{**settings, "kind": "Deployment"}],
        "metadata.namespace is required": [{**settings, "metadata": {"name": "settings"}}],
        "this connection may not read configmaps settings in namespace default": [settings],
    }
    given = [(words, item) for words, several in wrong.items() for item in several]
    powerless, admin = str(cluster.control_plane.user("nobody")), str(cluster.control_plane.kubeconfig)
    played = cluster.play(
        *(
            {MANIFEST: {"objects": [item], "kubeconfig": powerless if "may not" in words else admin}}
            for words, item in given
        )
    )
    for (words, _item), result in zip(given, played.results):
        with subtests.test(words):
            assert result["failed"] and words in result["msg"], result
