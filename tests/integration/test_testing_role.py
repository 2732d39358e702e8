# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role testing and the playbook test_declarations, for a user who has no Rancher and no programs yet."""

from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path

import pytest
import yaml

from control_plane.build import binaries
from support.ranchers import ThirdServer, run_playbook, write_inventory

RELEASE = yaml.safe_load((Path(__file__).parents[2] / "roles/testing/vars/main.yml").read_text())["testing_release"]
SECRET = "throw-away-value"


def credential(name, driver, owner, config, field):
    return {"name": name, "driver": driver, "owner": owner, "config": config, "secrets": {field: SECRET}}


DECLARATION = {
    "cloud_credentials_list": [
        credential("aws", "amazonec2", "bob", {"accessKey": "AKIA", "defaultRegion": "eu-central-1"}, "secretKey"),
        credential("spaces", "digitalocean", "github_user://42", {}, "accessToken"),
    ],
    "cloud_credentials_node_templates": [{
        "name": "small", "driver": "amazonec2", "owner": "bob", "cloud_credential": "aws",
        "config": {"region": "eu-central-1", "zone": "a", "instanceType": "t3.medium"},
    }],
    "testing_rancher": "2.10.0",
}  # fmt: skip
ROLE = {"name": "Start", "ansible.builtin.include_role": {"name": "ranchhand.rancher.testing"}}
# The second start changes nothing, and a wrong field is found.
PLAY = [{
    "hosts": "ranchers", "gather_facts": False,
    "tasks": [ROLE, ROLE, {
        "name": "Declare",
        "ranchhand.rancher.cloud_credential": {
            "kubeconfig": "{{ testing_kubeconfig }}", "use_environment": False, "name": "aws", "driver": "amazonec2",
            "owner": "admin", "config": {"accesKey": "AKIAEXAMPLE"},
        },
        "register": "declared", "failed_when": "'accesKey' not in declared.msg",
    }],
}]  # fmt: skip


@pytest.fixture
def archive(tmp_path):
    """Variables that name a small archive with links to the programs of this machine, as the download of a release."""
    platform = "linux-" + {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    path = tmp_path / f"envtest-v{RELEASE}-{platform}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, program in binaries().items():
            member = tarfile.TarInfo(f"controller-tools/envtest/{name}")
            member.type, member.linkname = tarfile.SYMTYPE, program
            tar.addfile(member)
    checksum = hashlib.sha512(path.read_bytes()).hexdigest()
    return {"testing_download": f"file://{tmp_path}", "testing_sha512": {platform: checksum}}


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="the archive is for Linux")
def test_declarations_are_tested_without_a_rancher(archive, tmp_path):
    with ThirdServer(tmp_path) as third:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "K8S_", "KUBE"))},
            **third.environment, "HOME": str(tmp_path), "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_COLLECTIONS_PATH": os.environ["RANCHHAND_ROOT"],
        }  # fmt: skip
        write_inventory(tmp_path, prod={"rancher_host": third.url, "rancher_api_key": "third"})
        play = tmp_path / "role.yml"
        play.write_text(yaml.safe_dump(PLAY))
        code, output = run_playbook(
            play, tmp_path, environment, "ranchhand.rancher.test_declarations",
            variables={**DECLARATION, **archive, "testing_hosts": "ranchers"})
        assert code == 0, output
        assert "prod: 2 cloud credentials and 1 node templates are valid for Rancher 2.10.0" in output
        assert "WARNING" not in output and SECRET not in output
        # Three tasks of the download, the server, three tasks that create objects, two that declare, the end.
        assert "changed=10 " in output, output
        assert third.contacts == 0
    assert not list((tmp_path / ".cache/ranchhand/testing").iterdir())
    used = f"{tmp_path}/.cache/ranchhand/testing".encode()
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if used in read(path)]


def read(path):
    try:
        return path.read_bytes()
    except OSError:  # the process has ended
        return b""
