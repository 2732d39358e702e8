# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin cloud_credentials, through ansible-inventory and ansible-playbook."""

from __future__ import annotations

import base64
import json
import re
import secrets
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

from support.rights import documented
from support.rotations import RotationFleet

PLUGIN = "ranchhand.rancher.cloud_credentials"
CLUSTERS = "/apis/provisioning.cattle.io/v1/namespaces/fleet-default/clusters"
DOCS = Path(__file__).parents[2] / "docs"
FLEET = DOCS / "examples" / "fleet"
HOSTILE = "{{ lookup('ansible.builtin.pipe', 'touch pwned') }}"


class Inventory:
    """A file for the plugin in a directory of its own, and the programs of Ansible that read it."""

    def __init__(self, cluster, directory):
        self.cluster, self.directory = cluster, directory
        self.canary = f"canary-{secrets.token_hex(8)}"
        self.file = directory / "cloud_credentials.yml"

    def write(self, **options):
        self.file.write_text(yaml.safe_dump({"plugin": PLUGIN, **options}))

    def run(self, program, *arguments, source=None, kubeconfig=None, code=0, **environment):
        """Return stdout and stderr of a program that reads the inventory."""
        command = [str(Path(sys.executable).with_name(program)), "-i", str(source or self.file), *arguments]
        done = subprocess.run(
            command, cwd=self.directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
            check=False, env={
                **self.cluster.environment(kubeconfig), "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
                **environment,
            })
        output = done.stdout + done.stderr
        assert done.returncode == code, output
        assert self.canary not in output and base64.b64encode(self.canary.encode()).decode() not in output
        return done.stdout, done.stderr

    def listed(self, *arguments, **options):
        """Return the variables of each host, and the hosts of each group."""
        out, err = self.run("ansible-inventory", "--list", *arguments, **options)
        assert "WARNING" not in err, err
        everything = json.loads(out)
        groups = {name: sorted(group["hosts"]) for name, group in everything.items() if "hosts" in group}
        return everything["_meta"]["hostvars"], groups


@pytest.fixture
def inventory(cluster, tmp_path):
    return Inventory(cluster, tmp_path)


def plain(value):
    """Return a value without the markers of ansible-inventory for strings that are not templates."""
    if isinstance(value, dict):
        if "__ansible_unsafe" in value:
            return value["__ansible_unsafe"]
        return {key: plain(element) for key, element in value.items()}
    return [plain(element) for element in value] if isinstance(value, list) else value


def test_hosts_and_groups_of_two_ranchers(inventory, cluster, cluster_215):
    fields = {"accessKey": "AKIAUSED", "secretKey": inventory.canary, "defaultRegion": "eu-central-1"}
    cluster.secret("cc-used", "amazonec2", fields, "aws prod")
    cluster.secret(
        "cc-free", "digitalocean", {"accessToken": inventory.canary}, HOSTILE, owner="user-8knjc",
        annotations={"field.cattle.io/description": HOSTILE})
    cluster_215.secret("cc-free", "digitalocean", {"accessToken": inventory.canary}, "other")
    cluster.api.post(CLUSTERS, {
        "apiVersion": "provisioning.cattle.io/v1", "kind": "Cluster", "metadata": {"name": "prod"},
        "spec": {"cloudCredentialSecretName": "cattle-global-data:cc-used"},
    })
    lab_kubeconfig = Path(cluster_215.control_plane.kubeconfig).read_text()
    inventory.write(
        kubeconfig=str(cluster.control_plane.kubeconfig), max_age="{{ days }}d",
        ranchers=[
            {"name": "prod"},
            {"name": "lab-2", "kubeconfig": lab_kubeconfig, "validate_certs": True},
        ],
        keyed_groups=[{"prefix": "region", "key": "cloud_credential.config.defaultRegion | default('none')"}],
        groups={"named": "cloud_credential.name is match('aws')"},
        compose={
            "title": "cloud_credential.name", "upper_case": "cloud_credential.description | upper",
            "rotate_max_age": "'30d'",
        },
    )
    marks = [(rancher, rancher.control_plane.audit_mark()) for rancher in (cluster, cluster_215)]
    inventory.run("ansible-inventory", "--list", "-vvvv", "-e", "days=0")
    variables, groups = inventory.listed("-e", "days=0")
    assert [rancher.writes(mark) for rancher, mark in marks] == [[], []]
    used, free, lab = "prod_cc-used", "prod_cc-free", "lab-2_cc-free"
    assert groups == {
        "cloud_credentials": [lab, free, used], "rancher_prod": [free, used], "rancher_lab_2": [lab],
        "driver_amazonec2": [used], "driver_digitalocean": [lab, free], "owner_u_wt94n": [lab, used],
        "owner_user_8knjc": [free], "phase_idle": [lab, free, used], "due": [lab, free, used], "in_use": [used],
        "unused": [lab, free], "problem_unused": [lab, free], "problem_owner_gone": [lab],
        "problem_overdue": [lab, free, used], "named": [used], "region_eu_central_1": [used],
        "region_none": [lab, free],
    }
    used, free, lab = (plain(variables[name]) for name in (used, free, lab))
    assert {key: used[key] for key in used if key not in ("cloud_credential", "days")} == {
        "ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}", "rancher": "prod",
        "rancher_kubeconfig": str(cluster.control_plane.kubeconfig), "title": "aws prod", "upper_case": "",
        "cloud_credential_id": "cattle-global-data:cc-used", "rotate_max_age": "30d",
    }
    shown = used["cloud_credential"]
    assert (shown["name"], shown["config"]["accessKey"]) == ("aws prod", "AKIAUSED")
    assert shown["secret_fields"] == ["secretKey"]
    assert [reference["name"] for reference in shown["references"]] == ["prod"]
    assert shown["rotation"]["phase"] == "idle" and shown["due"] is True
    assert "rancher_kubeconfig" not in lab and lab["rancher_validate_certs"] is True
    assert lab["rancher_host"] == yaml.safe_load(lab_kubeconfig)["clusters"][0]["cluster"]["server"]
    assert free["title"] == HOSTILE and free["upper_case"] == HOSTILE.upper()

    # AWX stores the output of ansible-inventory, and passes it to Ansible as an inventory script would.
    out, _err = inventory.run("ansible-inventory", "--list", "--export", "-e", "days=0")
    stored, script, playbook = (inventory.directory / name for name in ("stored.json", "stored.sh", "show.yml"))
    stored.write_text(out)
    script.write_text(f"#!/bin/sh\ncat {stored}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    playbook.write_text(yaml.safe_dump([{"hosts": "driver_digitalocean", "gather_facts": False, "tasks": [
        {"ansible.builtin.debug": {"msg": "{{ title }} {{ upper_case }} {{ cloud_credential.description }}"
                                          " {{ hostvars['prod_cc-free'].cloud_credential.name }}"}},
        {"ansible.builtin.assert": {"that": ["ansible_python_interpreter == ansible_playbook_python"]}},
        {"ansible.builtin.command": "true", "changed_when": False},
    ]}]))
    for source in (inventory.file, script):
        out, err = inventory.run("ansible-playbook", str(playbook), "-e", "days=0", source=source)
        assert "WARNING" not in err and out.count(HOSTILE) >= 4, out + err
        assert "failed=0" in out and "PLAY RECAP" in out, out + err
    assert not (inventory.directory / "pwned").exists()


def test_cache(inventory, cluster):
    cluster.secret("cc-one", "digitalocean", {"accessToken": inventory.canary}, HOSTILE)

    playbook = inventory.directory / "show.yml"
    playbook.write_text(yaml.safe_dump([{
        "hosts": "local_cc-one", "gather_facts": False,
        "tasks": [{"ansible.builtin.debug": {"var": "cloud_credential"}}],
    }]))

    def reads(*arguments, **options):
        """Return whether a playbook run sends requests to the Rancher."""
        mark = cluster.control_plane.audit_mark()
        out, err = inventory.run("ansible-playbook", str(playbook), *arguments, **options)
        assert HOSTILE in out and "WARNING" not in err, out + err
        return bool(cluster.requests(mark))

    directory = inventory.directory / "cache"
    cache = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(directory)}
    kubeconfig = yaml.safe_load(Path(cluster.control_plane.kubeconfig).read_text())
    inventory.write(**cache, kubeconfig=kubeconfig)
    assert [reads(), reads(), reads("--flush-cache"), reads()] == [True, False, True, False]
    inventory.write(**cache, kubeconfig=kubeconfig, max_age="1d")
    assert [reads(), reads()] == [True, False]
    files = list(directory.iterdir())
    secret_values = (inventory.canary, *kubeconfig["users"][0]["user"].values())
    assert len(files) == 2
    for file in files:
        text = file.read_text()
        assert "cc-one" in text and not [value for value in secret_values if value in text]


def test_a_cache_is_not_used_for_another_rancher_or_user(inventory, cluster, cluster_215):
    """The file is the same; the environment, the content of a kubeconfig and its context differ."""
    cluster.secret("cc-here", "digitalocean", {"accessToken": inventory.canary}, "here")
    cluster_215.secret("cc-there", "digitalocean", {"accessToken": inventory.canary}, "there")
    paths = [str(here.control_plane.kubeconfig) for here in (cluster, cluster_215)]
    first, second = (yaml.safe_load(Path(path).read_text()) for path in paths)
    shared = inventory.directory / "shared.yaml"
    cache = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(inventory.directory)}
    cases = {
        "K8S_AUTH_KUBECONFIG": [({}, {"K8S_AUTH_KUBECONFIG": path}) for path in paths],
        "KUBECONFIG": [({}, {"K8S_AUTH_KUBECONFIG": "", "KUBECONFIG": path}) for path in paths],
        "inline": [({"kubeconfig": config}, {}) for config in (first, second)],
        "content": [({"kubeconfig": str(shared)}, config) for config in (first, second)],
    }
    for name, (here, there) in cases.items():
        for (options, environment), host in (
            (here, "local_cc-here"), (there, "local_cc-there"), (here, "local_cc-here"),
        ):
            if name == "content":
                shared.write_text(yaml.safe_dump(environment))
                environment = {}
            inventory.write(**cache, **options)
            variables, _groups = inventory.listed(**environment)
            assert list(variables) == [host], name


def test_an_unreadable_rancher_creates_no_host(inventory, cluster, cluster_215):
    cluster.secret("cc-one")
    good = str(cluster.control_plane.kubeconfig)
    cases = [
        ({"ranchers": [{"name": "prod", "kubeconfig": good}, {"name": "lab", "kubeconfig": "/no/where"}]},
         "cannot read the cloud credentials of Rancher lab: there is no kubeconfig at /no/where"),
        ({"kubeconfig": str(cluster_215.control_plane.user("nobody"))}, "Rancher local: this connection may not"),
        ({"max_agee": "90d", "filters": {"drivr": "x"},
          "ranchers": [{"name": "a", "kubeconfg": good}, {"name": "{{ 'b' }}:"}, {"name": "a"}]},
         "ranchers[0] (a): unknown option kubeconfg; allowed are api_key"),
        ({"max_age": "90"}, "max_age"),
        ({"policies": [{"name": "aws*", "max_age": "1d"}]}, "policies[0] (aws*): unknown option name"),
        ({"ranchers": [{"name": "a:"}]}, "ranchers: name a: must consist of letters, digits"),
        ({"ranchers": [{"name": "a.b"}, {"name": "a_b"}]}, "ranchers: two have the same name"),
        ({"ranchers": []}, "ranchers is empty"),
        ({"api_key": "{{ nowhere }}"}, "'nowhere' is undefined"),
        ({"ranchers": [{"name": "prod", "kubeconfig": "{{ lookup('ansible.builtin.env', 'NOT_SET') }}"}]},
         "ranchers[0]: kubeconfig is empty"),
    ]
    for options, expected in cases:
        inventory.write(**options)
        _out, err = inventory.run("ansible-inventory", "--list", code=1)
        assert expected in " ".join(err.split()), err
        assert "Traceback" not in err
    inventory.write(**cases[0][0])
    out, err = inventory.run("ansible-inventory", "--list", ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="false")
    listed = json.loads(out)
    listed["_meta"].pop("profile", None)  # since ansible-core 2.19
    assert listed == {"_meta": {"hostvars": {}}, "all": {"children": ["ungrouped"]}}
    assert "Unable to parse" in err


def test_the_documented_example_of_a_fleet(inventory, cluster, cluster_215):
    for rancher in (cluster, cluster_215):
        rancher.secret("cc-one", "digitalocean", {"accessToken": inventory.canary})
    kubeconfigs = {
        "RANCHER_A_KUBECONFIG": str(cluster.control_plane.kubeconfig),
        "RANCHER_B_KUBECONFIG": str(cluster_215.control_plane.kubeconfig),
    }
    variables, groups = inventory.listed(
        "--vault-password-file", str(FLEET / "vault-password"), source=FLEET / "inventory" / "cloud_credentials.yml",
        kubeconfig="/nowhere", **kubeconfigs)
    assert groups["driver_digitalocean"] == ["rancher-a_cc-one", "rancher-b_cc-one"] and "due" not in groups
    assert [plain(host)["rancher_kubeconfig"] for host in variables.values()] == list(kubeconfigs.values())
    assert plain(variables["rancher-a_cc-one"])["cloud_credential"]["max_age_seconds"] == 365 * 86400


def test_connection_variables(inventory, cluster):
    """They select the Rancher that was read, whatever the environment contains when a playbook runs."""
    cluster.secret("cc-one", "digitalocean", {"accessToken": inventory.canary})
    path = str(cluster.control_plane.kubeconfig)
    config = yaml.safe_load(Path(path).read_text())
    context, server = config["current-context"], config["clusters"][0]["cluster"]["server"]
    nowhere = "http://127.0.0.1:1"
    cases = {
        "environment": ({}, {}),
        "context": ({"context": context}, {"rancher_context": context, "rancher_kubeconfig": path}),
        "path": ({"kubeconfig": path, "validate_certs": True},
                 {"rancher_kubeconfig": path, "rancher_validate_certs": True}),
        "text": ({"kubeconfig": Path(path).read_text()}, {"rancher_host": server}),
        "mapping": ({"kubeconfig": config, "context": context}, {"rancher_host": server}),
        "proxy": ({"kubeconfig": path, "proxy": nowhere, "no_proxy": "127.0.0.1"},
                  {"rancher_kubeconfig": path, "rancher_proxy": nowhere}),
    }
    for name, (options, expected) in cases.items():
        inventory.write(**options)
        variables, _groups = inventory.listed()
        found = {key: plain(value) for key, value in variables["local_cc-one"].items() if key.startswith("rancher_")}
        assert found == expected, name


def test_a_rancher_keeps_the_isolation_of_the_file(inventory):
    """A token in the environment belongs to another Rancher."""
    inventory.write(use_environment=False, ranchers=[{"name": "lab", "host": "http://127.0.0.1:1"}])
    _out, err = inventory.run("ansible-inventory", "--list", code=1, K8S_AUTH_API_KEY=inventory.canary)
    assert "Rancher lab: host has no credentials" in err and inventory.canary not in err


def test_a_vaulted_option(inventory, cluster):
    cluster.secret("cc-one", "digitalocean", {"accessToken": inventory.canary})
    password = inventory.directory / "password"
    password.write_text("open sesame")
    kubeconfig = Path(cluster.control_plane.kubeconfig).read_text()
    vaulted = VaultLib([("default", VaultSecret(b"open sesame"))]).encrypt(kubeconfig).decode()
    inventory.file.write_text(f"plugin: {PLUGIN}\nkubeconfig: !vault |\n{textwrap.indent(vaulted, '  ')}")
    variables, _groups = inventory.listed("--vault-password-file", str(password), kubeconfig="/nowhere")
    assert "rancher_kubeconfig" not in variables["local_cc-one"]


def test_hosts_of_another_source_are_not_overwritten(inventory, cluster):
    cluster.secret("cc-one")
    inventory.write()
    again = inventory.directory / "again.cloud_credentials.yaml"
    again.write_text(inventory.file.read_text())
    _out, err = inventory.run("ansible-inventory", "-i", str(again), "--list", code=1)
    assert "local_cc-one comes from another inventory source already" in err
    inventory.run("ansible-inventory", "-i", "localhost,", "--list")


def test_documented_permissions_suffice_and_missing_permissions_are_reported(inventory, cluster, grant):
    cluster.secret("cc-one", "digitalocean", {"accessToken": inventory.canary})
    inventory.write()
    roles = [manifest for manifest in documented("report") if manifest["kind"] != "Namespace"]
    _variables, groups = inventory.listed(kubeconfig=grant("reporter", roles))
    assert groups["unused"] == groups["phase_idle"] == ["local_cc-one"]
    out, err = inventory.run("ansible-inventory", "--list", kubeconfig=grant("reads-secrets", roles[:1]))
    groups = json.loads(out)
    assert groups["owner_u_wt94n"]["hosts"] == ["local_cc-one"] and not {"unused", "in_use", "phase_idle"} & set(groups)
    for missing in ("unused: ", "drift, restored, stuck_rotation: "):
        assert f"[WARNING]: Rancher local: {missing}" in " ".join(err.split()), err


def _documented_file(name):
    """Return the content of a file in docs/inventory.md."""
    text = (DOCS / "inventory.md").read_text()
    return re.search(rf"^`{re.escape(name)}`[^\n]*:\n\n```yaml\n(.*?)^```$", text, re.M | re.S).group(1)


def test_rotation_host_by_host(inventory, cluster, aws, tmp_path):
    fleet = RotationFleet(cluster, aws, tmp_path)
    fleet.add(3)
    first, second, third = sorted(fleet.members, key=lambda credential: credential.name)
    inventory.canary = second.key["secretKey"]
    inventory.write(kubeconfig=str(cluster.control_plane.kubeconfig), namespace=fleet.namespace, max_age="0s")
    host = {credential: f"local_{credential.id}" for credential in fleet.members}
    (tmp_path / "group_vars").mkdir()
    for name in ("group_vars/cloud_credentials.yml", "rotate.yml"):
        (tmp_path / name).write_text(_documented_file(name))
    extra = {
        "rotate_max_age": "0s", "rotate_namespace": fleet.namespace,
        "rotate_issuer_options": {"endpoint_url": aws.url, "propagation": "0s"},
    }

    def rotate(limit, code=0):
        return inventory.run(
            "ansible-playbook", "rotate.yml", "-e", json.dumps(extra), "--limit", limit, code=code,
            kubeconfig="/nowhere", ANSIBLE_RETRY_FILES_ENABLED="true")[0]

    more = aws.add_key(second.user)
    output = rotate(f"driver_amazonec2:!{host[third]}", code=2)
    assert "2 of 2 keys exist" in output and host[third] not in output
    assert fleet.original(third) and first.live != first.key and first.works()
    assert (tmp_path / "rotate.retry").read_text().split() == [host[second]]

    aws.delete_key(more["accessKey"])
    rotate("@rotate.retry")
    assert second.live != second.key and second.works() and fleet.original(third)
    _variables, groups = inventory.listed()
    assert (groups["due"], groups["phase_grace"]) == ([host[third]], sorted([host[first], host[second]]))
