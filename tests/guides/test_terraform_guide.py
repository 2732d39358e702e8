# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow the guide "Move from Terraform" with a recorded state and the objects that Terraform created."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from support.objects import TEMPLATES, template
from support.playbooks import ansible_playbook
from support.rancher_controllers import CONFIGS, install_recorded_crds

from .guide import Guide, chapters

STATE = Path(__file__).parents[1] / "support" / "recordings" / "terraform-state.json"
OWNER = {"apiVersion": "provisioning.cattle.io/v1", "kind": "Cluster", "name": "prod", "uid": "a"}
SECRETS = {"tfsecret0001", "csec123456"}
# A fake of Terraform's commands for a state, as the provider is not available.
TERRAFORM = f"""#!{sys.executable}
import json, sys
state = json.load(open("terraform-state"))
resources = state["values"]["root_module"]["resources"]
if sys.argv[1:] == ["show", "-json"]:
    print(json.dumps(state))
elif sys.argv[1:3] == ["state", "rm"] and sys.argv[3] in [item["address"] for item in resources]:
    resources[:] = [item for item in resources if item["address"] != sys.argv[3]]
    json.dump(state, open("terraform-state", "w"))
else:
    sys.exit("Invalid target address")
"""


def values_of(kind):
    resources = json.loads(STATE.read_text(encoding="utf-8"))["values"]["root_module"]["resources"]
    return [item["values"] for item in resources if item["type"] == f"rancher2_{kind}"]


def driver_block(values):
    """Return the name of the driver and its fields with Rancher's names."""
    name, (block,) = next((name, value) for name, value in values.items() if name.endswith("_config") and value)
    fields = {}
    for argument, value in block.items():
        first, *others = argument.split("_")
        fields[first + "".join(map(str.capitalize, others))] = value
    return name.partition("_")[0], fields


def create_objects(cluster):
    """Create what is in the state, as Terraform does through Rancher. Return a function that reads all of it."""
    for values in values_of("cloud_credential"):
        description = values["description"]
        cluster.secret(
            values["id"].rpartition(":")[2], *driver_block(values), values["name"],
            annotations={"field.cattle.io/description": description} if description else {})
    values, = values_of("node_template")
    driver, fields = driver_block(values)
    template(
        cluster, values["id"].rpartition(":")[2], driver, fields, values["name"],
        cloudCredentialName=values["cloud_credential_id"], engineInstallURL=values["engine_install_url"])
    values, = values_of("machine_config_v2")
    driver, fields = driver_block(values)
    configs = f"{CONFIGS}/namespaces/fleet-default/{driver}configs"
    cluster.api.post(configs, {
        "apiVersion": "rke-machine-config.cattle.io/v1", "kind": values["kind"],
        "metadata": {"name": values["name"], "ownerReferences": [OWNER]},
        **{name: value for name, value in fields.items() if value is not None},
    })
    return lambda: [cluster.secrets(), *(cluster.api.get(path)["items"] for path in (TEMPLATES, configs))]


def test_move(cluster, tmp_path):
    install_recorded_crds(cluster.control_plane, "2.11.0")
    read = create_objects(cluster)
    before = read()
    (tmp_path / "terraform-state").write_text(STATE.read_text(encoding="utf-8"), encoding="utf-8")
    program = tmp_path / "bin" / "terraform"
    program.parent.mkdir()
    program.write_text(TERRAFORM, encoding="utf-8")
    program.chmod(0o755)
    environment = {**cluster.environment(), "ANSIBLE_LOCALHOST_WARNING": "False",
                   "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False", "BASH_ENV": str(tmp_path / "path")}
    (tmp_path / "path").write_text(f"PATH={program.parent}{os.pathsep}$PATH\n", encoding="utf-8")
    guide = Guide(tmp_path, environment, SECRETS)
    guide.follow(chapters("from-terraform", "Write the declarations"))
    written = {file.name: file.read_text(encoding="utf-8") for file in (tmp_path / "declared").iterdir()}
    assert set(written) == {"cloud_credentials.yml", "machine_configs.yml", "removed.tf"}
    assert not [secret for secret in SECRETS if secret in str(written)]
    guide.follow(chapters("from-terraform", "Check that nothing would change"))
    guide.follow(chapters("from-terraform", "Remove the resources from Terraform"))
    assert json.loads((tmp_path / "terraform-state").read_text())["values"]["root_module"]["resources"] == []
    guide.follow(chapters("from-terraform", "Apply the declarations"))
    assert read() == before
    assert guide.changed("apply") == ["0", "0"] and guide.changed("machines.yml") == ["0", "0"]

    (tmp_path / "plan.bin").write_bytes(b"PK\x03\x04\xff\xfe")
    refused = ansible_playbook(
        "ranchhand.rancher.from_terraform", "-e", "from_terraform_file=plan.bin", env=environment, cwd=tmp_path)
    assert refused.returncode == 2 and "Traceback" not in refused.stdout, refused.stdout
    assert "Run terraform show -json" in refused.stdout, refused.stdout


def test_a_file_without_content_is_not_left_from_an_earlier_run(cluster, tmp_path):
    """Files that other programs wrote are kept."""
    state = json.loads(STATE.read_text(encoding="utf-8"))
    module = state["values"]["root_module"]
    declared = tmp_path / "declared"

    def convert(*kinds):
        kept = [item for item in module["resources"] if item["type"] in kinds]
        changed = {**state, "values": {"root_module": {**module, "resources": kept}}}
        (tmp_path / "state.json").write_text(json.dumps(changed), encoding="utf-8")
        done = ansible_playbook(
            "ranchhand.rancher.from_terraform", "-e", "from_terraform_file=state.json",
            "-e", "from_terraform_dest=declared", env=cluster.environment(), cwd=tmp_path)
        assert done.returncode == 0, done.stdout
        return {file.name for file in declared.iterdir()}

    all_files = {"cloud_credentials.yml", "machine_configs.yml", "removed.tf"}
    assert convert("rancher2_cloud_credential", "rancher2_machine_config_v2") == all_files
    assert convert("rancher2_cloud_credential") == all_files - {"machine_configs.yml"}
    assert convert("rancher2_machine_config_v2") == all_files - {"cloud_credentials.yml"}
    (declared / "cloud_credentials.yml").write_text("mine: true\n", encoding="utf-8")
    assert convert("rancher2_machine_config_v2") == all_files
