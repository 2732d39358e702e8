# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every playbook and role acts on the Rancher of each host, and never on the server that the environment names."""

from __future__ import annotations

import secrets
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from support.cluster import decoded
from support.objects import TEMPLATES, downstream, namespaced, template
from support.ranchers import ThirdServer, run_playbook, write_inventory

ROOT = Path(__file__).parents[2]
HOSTS = ("a", "b")


class Ranchers:
    """Two Ranchers, each with a credential that nothing uses and one with a key of AWS; names and ids end in the
    host."""

    def __init__(self, clusters, aws, third, folder):
        self.clusters, self.aws, self.third, self.folder = dict(zip(HOSTS, clusters)), aws, third, folder
        self.users = {host: f"user-{host}-{secrets.token_hex(4)}" for host in HOSTS}
        self.keys = {host: aws.create_user(user) for host, user in self.users.items()}
        self.namespace = f"rotation-{secrets.token_hex(4)}"
        for host, cluster in self.clusters.items():
            cluster.secret(f"cc-free-{host}", display_name=f"free-{host}")
            fields = {**self.keys[host], "defaultRegion": "eu-central-1"}
            cluster.secret(f"cc-key-{host}", "amazonec2", fields, f"key-{host}")
        self.inventory = write_inventory(
            folder,
            **{
                host: {"rancher_kubeconfig": str(cluster.control_plane.kubeconfig)}
                for host, cluster in self.clusters.items()
            },
        )

    def run(self, playbook, variables, *arguments):
        """Run a playbook on both hosts, which must succeed, and check whom it contacted; returns its output."""
        marks = {host: cluster.control_plane.audit_mark() for host, cluster in self.clusters.items()}
        environment = self.clusters["a"].environment(**self.third.environment)
        code, output = run_playbook(playbook, self.folder, environment, *arguments, variables=variables)
        assert code == 0, output
        assert self.third.contacts == 0, output
        assert all(cluster.requests(marks[host]) for host, cluster in self.clusters.items()), output
        return output

    def names(self, host):
        """The display names of the credentials that are stored."""
        return {secret["metadata"]["annotations"]["field.cattle.io/name"] for secret in self.clusters[host].secrets()}

    def key(self, host):
        """The id of the key that is stored."""
        return decoded(self.clusters[host].stored(f"cc-key-{host}"))["amazonec2credentialConfig-accessKey"]

    def old_key_state(self, host):
        """The state of the key that the credential was created with."""
        return dict(self.aws.keys(self.users[host])).get(self.keys[host]["accessKey"])


@pytest.fixture
def ranchers(cluster, cluster_215, aws, tmp_path):
    with ThirdServer(tmp_path) as third:
        yield Ranchers((cluster, cluster_215), aws, third, tmp_path)


def rotation_variables(ranchers):
    options = {"endpoint_url": ranchers.aws.url, "propagation": "0s"}
    return {
        "rotate_credentials": [{"name": "key-{{ inventory_hostname }}"}],
        "rotate_rotation_id": "first",
        "rotate_issuer_options": options,
        "rotate_namespace": ranchers.namespace,
        **{
            f"{playbook}_{name}": value
            for playbook in ("rollback", "abort", "adopt", "forget")
            for name, value in {
                "credentials": [{"name": "key-{{ inventory_hostname }}"}],
                "issuer_options": options,
                "namespace": ranchers.namespace,
            }.items()
        },
        "retire_issuers": {"aws": {"issuer_options": options, "drain": "1s"}},
        "retire_namespace": ranchers.namespace,
        "retire_grace": "0s",
        "retire_soak": "0s",
        "rotation_status_namespace": ranchers.namespace,
        "report_namespace": ranchers.namespace,
    }


def has_new_key(ranchers, host, output):
    return ranchers.key(host) != ranchers.keys[host]["accessKey"] and ranchers.old_key_state(host) == "Active"


def has_old_key(ranchers, host, output):
    return ranchers.key(host) == ranchers.keys[host]["accessKey"]


def is_forgotten(ranchers, host, output):
    cluster = ranchers.clusters[host]
    records = cluster.api.get(f"/api/v1/namespaces/{ranchers.namespace}/configmaps")["items"]
    return has_new_key(ranchers, host, output) and "rotation-cc-key" not in str(records)


def has_retired_key(ranchers, host, output):
    return ranchers.old_key_state(host) == "Inactive"


def file_has_name(name):
    def check(ranchers, host, output):
        path = ranchers.folder / name.replace("HOST", host)
        return f"free-{host}" in path.read_text(encoding="utf-8")

    return check


def is_applied(ranchers, host, output):
    other = HOSTS[1 - HOSTS.index(host)]
    return f"new-{host}" in ranchers.names(host) and f"new-{other}" not in ranchers.names(host)


def is_reported(ranchers, host, output):
    return f"key-{host}" in output


def is_free_deleted(ranchers, host, output):
    return ranchers.names(host) == {f"key-{host}"}


def always(ranchers, host, output):
    return True


@dataclass
class Case:
    """A playbook or role, and what must be true for each host after it."""

    name: str
    check: t.Callable[[Ranchers, str, str], bool] = always
    variables: dict[str, t.Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    rotated: bool = False  # whether the playbook rotate runs before
    prepare: t.Callable[[Ranchers], None] = lambda ranchers: None


def use_a_credential(ranchers):
    """Create a cluster that uses a credential, and another credential to move it to."""
    for host, cluster in ranchers.clusters.items():
        cluster.secret(f"cc-other-{host}", "amazonec2", ranchers.keys[host], f"other-{host}")
        downstream(cluster, f"prod-{host}", {"cloudCredentialSecretName": f"cattle-global-data:cc-key-{host}"})


def is_moved(ranchers, host, output):
    stored = ranchers.clusters[host].api.get(f"{namespaced('fleet-default')}/prod-{host}")
    return stored["spec"]["cloudCredentialSecretName"] == f"cattle-global-data:cc-other-{host}"


def use_node_templates(ranchers):
    """Create a node template that nothing uses, on the Rancher that has the kind."""
    template(ranchers.clusters["a"], "nt-free", display_name="template-a")


def is_purged(ranchers, host, output):
    return host == "b" or ranchers.clusters[host].api.get(TEMPLATES)["items"] == []


MOVE = {"repoint_from": "key-{{ inventory_hostname }}", "repoint_to": "other-{{ inventory_hostname }}"}
DECLARED = {
    "cloud_credentials_list": [
        {
            "name": "new-{{ inventory_hostname }}",
            "driver": "digitalocean",
            "owner": "admin",
            "secrets": {"accessToken": "x"},
        }
    ],
}
PLAYBOOKS = [
    Case("apply", is_applied, DECLARED),
    Case(
        "drift",
        lambda ranchers, host, output: f'"host": "{host}"' in (ranchers.folder / "drift.json").read_text(),
        {**DECLARED, "cloud_credentials_drift_fail": False, "cloud_credentials_drift_file": "drift.json"},
    ),
    Case(
        "export", file_has_name("exported-HOST.yml"),
        {"cloud_credentials_export_file": "exported-{{ inventory_hostname }}.yml"},
    ),
    Case(
        "init", file_has_name("repository/inventory/host_vars/HOST/cloud_credentials.yml"),
        {
            "dest": "{{ 'repository' | realpath }}",
            "init_import": True,
            "init_ranchers": {
                host: {"rancher_kubeconfig": f"{{{{ hostvars['{host}'].rancher_kubeconfig }}}}"} for host in HOSTS
            },
        },
    ),
    Case("where_used", is_reported),
    Case(
        "remove_credentials", is_free_deleted,
        {"remove_credentials_list": [{"name": "free-{{ inventory_hostname }}"}], "confirm": "yes"},
    ),
    Case("report", file_has_name("report.html"), {"report_files": {"html": "report.html"}, "report_fail_on": []}),
    Case("rotate", has_new_key),
    Case("rollback", has_old_key, {"confirm": True}, rotated=True),
    Case("abort", has_old_key, {"confirm": True}),
    Case("adopt", has_new_key, {"confirm": True}, rotated=True),
    Case("forget", is_forgotten, {"confirm": True}, rotated=True),
    Case("retire", has_retired_key, rotated=True),
    Case("rotation_status", is_reported, rotated=True),
    Case("leaked_key", always, {"leaked_key_id": "AKIA0000000000000000"}),
    Case("repoint", is_moved, MOVE, prepare=use_a_credential),
    Case("upgrade_check", always),
    Case("purge_node_templates", is_purged, {"confirm": "yes"}, prepare=use_node_templates),
    Case(
        "export_machine_configs",
        lambda ranchers, host, output: ("template-a" in (ranchers.folder / f"{host}.yml").read_text()) == (host == "a"),
        {"export_machine_configs_file": "{{ inventory_hostname }}.yml"},
        prepare=use_node_templates,
    ),
]  # fmt: skip
ROLES = [
    Case("cloud_credentials", is_applied, DECLARED),
    Case("guard", always, arguments=("--check",)),
    Case("report", file_has_name("report.html"), {"report_files": {"html": "report.html"}, "report_fail_on": []}),
    Case("rotate", has_new_key),
    Case("retire", has_retired_key, rotated=True),
    Case("repoint", is_moved, MOVE, prepare=use_a_credential),
    Case(
        "schedule", always,
        {"schedule_with": "kubernetes", "schedule_image": "ee", "schedule_jobs": {"retire": {"at": "02:30"}}},
        arguments=("--check",),
    ),
]  # fmt: skip
# make demo runs it on a server of its own, and it refuses any other; the others use no Rancher.
NOT_FOR_SEVERAL = {"demo", "from_terraform", "test_declarations"}
HOSTS_VARIABLE = {
    "apply": "cloud_credentials_hosts",
    "drift": "cloud_credentials_hosts",
    "export": "cloud_credentials_hosts",
}


def rotate(ranchers):
    ranchers.run("ranchhand.rancher.rotate", {**rotation_variables(ranchers), "rotate_hosts": "ranchers"})


@pytest.mark.parametrize("case", PLAYBOOKS, ids=lambda case: case.name)
def test_playbook(ranchers, case):
    case.prepare(ranchers)
    if case.rotated:
        rotate(ranchers)
    hosts = HOSTS_VARIABLE.get(case.name, f"{case.name}_hosts")
    variables = {**rotation_variables(ranchers), hosts: "ranchers", **case.variables}
    output = ranchers.run(f"ranchhand.rancher.{case.name}", variables, *case.arguments)
    assert [host for host in HOSTS if not case.check(ranchers, host, output)] == [], output


@pytest.mark.parametrize("case", ROLES, ids=lambda case: case.name)
def test_role(ranchers, case):
    case.prepare(ranchers)
    if case.rotated:
        rotate(ranchers)
    playbook = ranchers.folder / "play.yml"
    play = {"hosts": "ranchers", "gather_facts": False, "roles": [f"ranchhand.rancher.{case.name}"]}
    playbook.write_text(yaml.safe_dump([play]))
    output = ranchers.run(playbook, {**rotation_variables(ranchers), **case.variables}, *case.arguments)
    assert [host for host in HOSTS if not case.check(ranchers, host, output)] == [], output


def test_every_playbook_and_role_has_a_case():
    assert {path.stem for path in (ROOT / "playbooks").glob("*.yml")} == {
        case.name for case in PLAYBOOKS
    } | NOT_FOR_SEVERAL
    assert {path.name for path in (ROOT / "roles").iterdir()} == {case.name for case in ROLES} | {"testing"}
