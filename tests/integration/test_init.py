# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook init: the repository that it writes for two Ranchers, and what it refuses before it writes a file."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, field

import pytest
import yaml

from support.objects import template
from support.playbooks import ansible_playbook
from support.ranchers import ThirdServer, run_playbook, write_inventory

SECRET = "stored-secret-value"
# Text that Ansible would evaluate.
NAME = "spaces {{ 1 + 1 }}"
NO_SERVER = {"prod": {"rancher_host": "http://127.0.0.1:1"}}
DECLARATION = "inventory/host_vars/prod/cloud_credentials.yml"


class Scaffold:
    """Runs the playbook for a folder that does not exist, in an environment that names another server."""

    def __init__(self, cluster, folder, third):
        self.folder, self.third = folder, third
        self.dest = folder / "new" / "repository"
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.environment = cluster.environment(TMPDIR=str(self.temporary), **third.environment)
        # Hosts with the same names, of another inventory.
        other = {"rancher_host": third.url, "rancher_api_key": "third"}
        write_inventory(folder, prod=other, test=other)

    def run(self, variables, *arguments):
        """Return exit code and output, and require that no temporary folder is left."""
        result = run_playbook(
            "ranchhand.rancher.init", self.folder, self.environment, *arguments,
            variables={"dest": str(self.dest), **variables},
        )  # fmt: skip
        assert list(self.temporary.glob("ranchhand-init-*")) == []
        assert self.third.contacts == 0, result[1]
        return result

    def playbook(self, name, *arguments):
        """Run a playbook of the repository, which must succeed, and return its output."""
        done = ansible_playbook(name, *arguments, env=self.environment, cwd=self.dest)
        assert done.returncode == 0, done.stdout
        assert self.third.contacts == 0, done.stdout
        return done.stdout

    def files(self):
        return {
            str(path.relative_to(self.folder)): path.read_text(encoding="utf-8")
            for path in self.folder.glob("new/**/*") if path.is_file()
        }  # fmt: skip


@pytest.fixture
def scaffold(cluster, tmp_path):
    with ThirdServer(tmp_path) as third:
        yield Scaffold(cluster, tmp_path, third)


def message(output):
    """The message of the failed task."""
    return json.loads(re.findall(r"^fatal: .*?FAILED! => (\{.*\})$", output, re.MULTILINE)[-1])["msg"]


def test_two_ranchers(scaffold, cluster, cluster_215):
    ranchers, token = {"prod": cluster, "test": cluster_215}, cluster_215.control_plane.token
    variables = {
        "init_ranchers": {
            "prod": {"rancher_kubeconfig": str(cluster.control_plane.kubeconfig)},
            "test": {
                "rancher_host": cluster_215.control_plane.url,
                "rancher_ca_cert": str(cluster_215.control_plane.ca_file),
                "rancher_api_key": token,
            },
        },
        "init_import": True,
    }
    for name, each in ranchers.items():
        each.secret(f"cc-{name}", "digitalocean", {"accessToken": SECRET}, NAME)
        each.secret(f"cc-only-{name}", "digitalocean", {"accessToken": SECRET}, f"only in {name}")
    template(cluster, display_name="small", cloudCredentialName="cattle-global-data:cc-prod")
    code, output = scaffold.run(variables)
    assert code == 0, output
    files = scaffold.files()
    assert not [secret for secret in (SECRET, token) if secret in output + str(files)]
    assert "exclusive" not in str(files)

    # What a Rancher has is declared for it, and nothing would change.
    declared = {
        name: (scaffold.dest / f"inventory/host_vars/{name}/cloud_credentials.yml").read_text() for name in ranchers
    }
    assert "only in prod" in declared["prod"] and "only in prod" not in declared["test"]
    assert "only in test" in declared["test"] and "small" in declared["prod"]
    vault = scaffold.dest / "inventory/group_vars/all/vault.yml"
    vault.write_text(vault.read_text().replace('"test": ""', f'"test": {token}'))
    output = scaffold.playbook("apply.yml", "--check", "--diff")
    assert "5 unchanged" in output
    assert re.findall(r"^(\w+) .*changed=(\d+)", output, re.MULTILINE) == [("prod", "0"), ("test", "0")]

    scaffold.playbook("retire.yml")
    scaffold.playbook("report.yml")
    report = json.loads((scaffold.dest / "report.json").read_text(encoding="utf-8"))
    assert sorted((row["rancher"], row["name"]) for row in report["credentials"]) == [
        ("prod", "only in prod"), ("prod", NAME), ("test", "only in test"), ("test", NAME),
    ]  # fmt: skip

    written = scaffold.files()
    code, output = scaffold.run(variables)
    assert code == 2
    assert all(str(scaffold.folder / path) in message(output) for path in files)
    assert scaffold.files() == written


def test_files_are_valid(scaffold):
    """All files are YAML, and secrets are lookups."""
    variables = {
        "init_ranchers": {
            "prod": {"rancher_host": "https://rancher.example.com/k8s/clusters/local", "rancher_api_key": SECRET},
            "test.eu": {"rancher_kubeconfig": "~/.kube/test eu.yaml", "rancher_context": "admin@test"},
        }
    }
    code, output = scaffold.run(variables, "-vvv")
    assert code == 0, output
    assert SECRET not in output + str(scaffold.files())
    content = {path: yaml.safe_load(text) for path, text in scaffold.files().items() if path.endswith(".yml")}
    hosts = content["new/repository/inventory/hosts.yml"]["ranchers"]["hosts"]
    assert hosts["prod"]["rancher_api_key"] == "{{ vault_rancher_api_keys['prod'] }}"
    vault = content["new/repository/inventory/group_vars/all/vault.yml"]
    assert vault == {"vault_cloud_credentials": {}, "vault_rancher_api_keys": {"prod": ""}}
    steps = content["new/repository/.github/workflows/check.yml"]["jobs"]["preview"]["steps"]
    assert steps[-1]["run"] == "ansible-playbook apply.yml --check --diff"
    assert steps[-1]["env"]["RANCHER_TEST_EU_KUBECONFIG"] == "${{ runner.temp }}/RANCHER_TEST_EU_KUBECONFIG"
    for name in ("apply", "report", "retire", "rotate"):
        assert "hosts (2)" in scaffold.playbook(f"{name}.yml", "--list-hosts")


def test_check_mode(scaffold, cluster):
    cluster.secret("cc-a", display_name=NAME)
    kubeconfig = str(cluster.control_plane.kubeconfig)
    ranchers = {"prod": {"rancher_kubeconfig": kubeconfig}}
    code, output = scaffold.run({"init_ranchers": ranchers, "init_import": True}, "--check")
    assert code == 0, output
    assert "15 files would be written" in output
    assert not scaffold.dest.parent.exists()


def test_failed_export(scaffold, cluster):
    """If a Rancher cannot be exported, nothing is written for the other one either."""
    ranchers = {
        "prod": {"rancher_kubeconfig": str(cluster.control_plane.kubeconfig)},
        "test": {"rancher_kubeconfig": "/nonexistent/kubeconfig"},
    }
    code, output = scaffold.run({"init_ranchers": ranchers, "init_import": True})
    assert code == 2
    assert re.fullmatch(r"Nothing was written, because the export .* failed .*: test\s*", message(output))
    assert not scaffold.dest.parent.exists()


def test_extra_variables(scaffold, cluster):
    """An extra variable would replace the connection of every Rancher."""
    kubeconfig = str(cluster.control_plane.kubeconfig)
    ranchers = {"prod": {"rancher_kubeconfig": kubeconfig}}
    code, output = scaffold.run({
        "init_ranchers": ranchers, "init_import": True, "rancher_kubeconfig": kubeconfig, "rancher_context": "other"})
    assert code == 2
    assert "-e sets a connection variable" in output
    assert not scaffold.dest.parent.exists()


@dataclass
class Refusal:
    """Variables, or what the folder contains, and the message."""

    name: str
    message: str
    variables: dict[str, t.Any] = field(default_factory=dict)
    prepare: t.Callable[[Scaffold], None] = lambda scaffold: None


def create(path, directory=False):
    def prepare(scaffold):
        target = scaffold.dest / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.mkdir() if directory else target.write_text("mine")

    return prepare


def create_dangling_link(scaffold):
    scaffold.dest.mkdir(parents=True)
    (scaffold.dest / "apply.yml").symlink_to("/nonexistent/file")


REFUSALS = [
    Refusal("missing dest", "dest must be the absolute path", {"dest": ""}),
    Refusal("relative dest", "dest must be the absolute path", {"dest": "repository"}),
    Refusal("no Rancher", "init_ranchers must map", {"init_ranchers": {}}),
    Refusal("invalid name", "invalid names ('../prod')", {"init_ranchers": {"../prod": NO_SERVER["prod"]}}),
    Refusal("first file", "/.gitignore", prepare=create(".gitignore")),
    Refusal("last file", f"/{DECLARATION}", prepare=create(DECLARATION)),
    Refusal("folder", "/README.md", prepare=create("README.md", directory=True)),
    Refusal("file instead of a folder", "/inventory/group_vars", prepare=create("inventory/group_vars")),
    Refusal("file instead of dest", "/new/repository", prepare=create(".")),
    Refusal("dangling link", "/apply.yml", prepare=create_dangling_link),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
def test_refused(scaffold, case):
    case.prepare(scaffold)
    before = scaffold.files()
    code, output = scaffold.run({"init_ranchers": NO_SERVER, **case.variables})
    assert code == 2
    assert case.message in message(output) and "\n" not in message(output).strip()
    assert scaffold.files() == before
