# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role cloud_credentials and the playbooks apply, export and drift, run by ansible-playbook."""

from __future__ import annotations

import base64
import json
import os
import re
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.cluster import SECRETS, decoded
from support.objects import ADMIN, SCHEMAS, TEMPLATES, downstream, template
from support.playbooks import PROGRAM, ansible_playbook
from support.ranchers import run_playbook, write_inventory
from support.recorded import credential_exchanges
from support.rights import MANAGE, VIEW, credential_roles
from support.rotations import NO_TERMINAL, changed

CANARY = "canary-of-a-vault"
ENCODED = base64.b64encode(CANARY[:15].encode()).decode()  # whatever follows


class Project:
    """A folder with variables, from which playbooks are run."""

    def __init__(self, folder):
        self.folder = folder
        # The vault has the secrets; some tests run without it.
        self.write(
            "vault",
            vault_cloud_credentials={name: {"secretKey": f"{CANARY}-{name}"} for name in ("one", "two", "three")},
        )

    def write(self, name, **variables):
        (self.folder / f"{name}.yml").write_text(yaml.safe_dump(variables))

    def run(self, cluster, playbook, *arguments, code=0, files=("declared", "vault"), **environment):
        """Run a playbook without a terminal and return its output, which must not show a secret."""
        command = [
            "-i",
            "localhost,",
            "-c",
            "local",
            f"ranchhand.rancher.{playbook}",
            "-e",
            f"ansible_python_interpreter={sys.executable}",
            *(f"-e@{name}.yml" for name in files),
            *arguments,
        ]
        done = ansible_playbook(*command, env=cluster.environment(**environment), cwd=self.folder, timeout=120)
        assert done.returncode == code, done.stdout
        assert "WARNING" not in done.stdout.replace(NO_TERMINAL, ""), done.stdout
        assert CANARY not in done.stdout and ENCODED not in done.stdout
        return done.stdout

    def drift_file(self):
        """The content of the drift file, which every user may read."""
        path = self.folder / "drift.json"
        assert path.stat().st_mode & 0o777 == 0o644
        return json.loads(path.read_text(encoding="utf-8"))

    def check(self, cluster, *arguments, **options):
        """Run apply in check mode, which must not write."""
        mark = cluster.control_plane.audit_mark()
        output = self.run(cluster, "apply", "--check", "--diff", *arguments, **options)
        assert not cluster.writes(mark), cluster.writes(mark)
        return output

    def unchanged(self, cluster, *arguments, **options):
        """Run apply, which must not change anything."""
        mark = cluster.control_plane.audit_mark()
        output = self.run(cluster, "apply", *arguments, **options)
        assert changed(output) == 0 and not cluster.writes(mark), output
        return output


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def table(output, task="Show the result"):
    """The lines that a task shows, without the name of the host and with single spaces."""
    shown = json.loads("{" + output.partition(f"{task}]")[2].partition("=> {")[2].partition("\n}")[0] + "}")["msg"]
    return [re.sub(" +", " ", line).removeprefix("localhost ") for line in shown]


def aws(name, **more):
    return {
        "name": name,
        "driver": "amazonec2",
        "owner": "alice",
        "config": {"accessKey": f"A-{name}"},
        "secrets": {"secretKey": f"{{{{ vault_cloud_credentials['{name}']['secretKey'] }}}}"},
        **more,
    }


def small(credential, name="small", **more):
    return {
        "name": name,
        "driver": "amazonec2",
        "owner": "alice",
        "cloud_credential": credential,
        "config": {"region": "eu-central-1"},
        **more,
    }


def names(cluster, path=None):
    """Names of all credentials, or of the node templates under ``path``."""
    items = cluster.api.get(path)["items"] if path else cluster.secrets()
    return sorted(
        item["spec"]["displayName"] if path else item["metadata"]["annotations"]["field.cattle.io/name"]
        for item in items
    )


def test_apply(cluster, project):
    """Credentials are created before the node templates that use them, and deleted after them, as check mode
    predicts."""
    project.write(
        "declared",
        cloud_credentials_list=[aws("one"), aws("two")],
        cloud_credentials_node_templates=[small("one"), small("two", "other")],
    )
    created = [
        f"{kind} {name} amazonec2 would be created"
        for kind, name in (
            ("cloud credential", "one"),
            ("cloud credential", "two"),
            ("node template", "small"),
            ("node template", "other"),
        )
    ]
    predicted = project.check(cluster)
    assert [line.partition(":")[0] for line in table(predicted)[1:]] == [*created, "0 unchanged"], predicted
    applied = project.run(cluster, "apply", "--diff", "-vvvv")
    assert changed(applied) == changed(predicted) == 2
    assert decoded(cluster.secrets()[0])["amazonec2credentialConfig-secretKey"].startswith(CANARY)

    # a node template gets another credential and a second one is deleted; the credentials that they used are deleted
    project.write(
        "declared",
        cloud_credentials_list=[aws("one", state="absent"), aws("two", state="absent"), aws("three")],
        cloud_credentials_node_templates=[small("three"), {"name": "other", "state": "absent"}],
    )
    predicted = project.check(cluster)
    assert len(cluster.secrets()) == 2
    applied = project.run(cluster, "apply")
    assert changed(applied) == changed(predicted) == 3, predicted
    assert sorted(line.replace("would be ", "") for line in table(predicted)) == sorted(table(applied))
    assert names(cluster) == ["three"] and names(cluster, TEMPLATES) == ["small"]
    assert table(project.unchanged(cluster)) == ["5 unchanged"]
    # a credential that is used by something else is not deleted, and nothing changes
    downstream(
        cluster, "prod", {"cloudCredentialSecretName": f"cattle-global-data:{cluster.secrets()[0]['metadata']['name']}"}
    )
    project.write(
        "declared",
        cloud_credentials_list=[aws("three", state="absent")],
        cloud_credentials_node_templates=[{"name": "small", "state": "absent"}],
    )
    for arguments in ([], ["--check"]):
        refused = project.run(cluster, "apply", *arguments, code=2)
        assert '"code": "in_use"' in refused and '"changed": false' in refused.partition("fatal: ")[2], refused
    cluster.api.delete("/apis/provisioning.cattle.io/v1/namespaces/fleet-default/clusters/prod")
    project.write(
        "declared",
        cloud_credentials_list=[aws("three")],
        cloud_credentials_node_templates=[small("three")],
        cloud_credentials_state="absent",
    )
    project.run(cluster, "apply")
    assert not cluster.secrets() and not names(cluster, TEMPLATES)


SCOPE = {"owner": "alice", "name_pattern": "team-a *"}


def test_check_mode_predicts_renames_and_hand_overs(cluster, project):
    """Of credentials together with the node templates that use them."""
    project.write(
        "declared", cloud_credentials_list=[aws("one"), aws("two")],
        cloud_credentials_node_templates=[small("one"), small("two", "other")],
    )
    project.run(cluster, "apply")
    ids = {
        secret["metadata"]["annotations"]["field.cattle.io/name"]: secret["metadata"]["name"]
        for secret in cluster.secrets()
    }
    other, = (
        item["metadata"]["name"] for item in cluster.api.get(TEMPLATES)["items"]
        if item["spec"]["displayName"] == "other"
    )
    project.write(
        "declared",
        cloud_credentials_list=[
            {**aws("one"), "id": ids["one"], "name": "new/name"}, aws("two", id=ids["two"], owner=ADMIN),
        ],
        cloud_credentials_node_templates=[small("new/name"), small("two", "other", id=other, owner=ADMIN)],
    )
    predicted = project.check(cluster)
    project.run(cluster, "drift", code=2)
    applied = project.run(cluster, "apply")
    assert table(applied) == [line.replace("would be ", "") for line in table(predicted)]
    assert changed(applied) == changed(predicted) == 2
    project.unchanged(cluster)


def test_the_result_contains_what_was_created_before_a_failure(cluster, project):
    """And nothing of an earlier run of the role in the same play."""
    role = {"ansible.builtin.include_role": {"name": "ranchhand.rancher.cloud_credentials"}}
    first = {**role, "vars": {
        "cloud_credentials_list": [aws("two")], "cloud_credentials_node_templates": [small("two", "other")]}}
    failing = {**role, "vars": {
        "cloud_credentials_list": [aws("one")], "cloud_credentials_node_templates": [small("no such credential")]}}
    show = {"ansible.builtin.debug": {"msg": "{{ cloud_credentials_result | to_json }}"}}
    (project.folder / "play.yml").write_text(yaml.safe_dump([{
        "hosts": "localhost", "gather_facts": False, "tasks": [first, {"block": [failing], "rescue": [show]}]}]))
    command = ["-i", "localhost,", "-c", "local", "play.yml", "-e", f"ansible_python_interpreter={sys.executable}"]
    done = ansible_playbook(*command, "-e@vault.yml", env=cluster.environment(), cwd=project.folder)
    assert done.returncode == 0 and names(cluster) == ["one", "two"], done.stdout
    shown = done.stdout.partition('"msg": "{')[2].partition('}"\n')[0]
    result = json.loads(json.loads(f'"{{{shown}}}"'))
    assert result["changed"] and [item["name"] for item in result["credentials"]] == ["one"], result
    assert result["credentials"][0]["action"] == "created" and result["node_templates"] == []


def test_no_scope_no_removal(cluster, project):
    """An invalid scope is reported before anything is read."""
    mark = cluster.control_plane.audit_mark()
    wrong = [
        {},
        {"owner": ""},
        {"owner": None, "driver": "amazonec2"},
        {"name": " "},
        {"name": ["x"]},
        {"name_pattern": ""},
    ]
    for scope in [*wrong, {"ownr": "alice"}]:
        project.write(
            "declared",
            cloud_credentials_list=[aws("one")],
            cloud_credentials_exclusive=True,
            cloud_credentials_exclusive_scope=scope,
        )
        output = project.run(cluster, "apply", "-e", "confirm=yes", code=2)
        assert (
            "at least one of owner, driver, name and name_pattern, none of them empty" in output
            or "ownr" in output
            and "owner" in output
        ), output
    project.write("declared", cloud_credentials_exclusive=True, cloud_credentials_exclusive_scope=SCOPE)
    assert "Set cloud_credentials_list to a list that is not empty" in project.run(
        cluster, "apply", "-e", "confirm=yes", code=2
    )
    assert not cluster.requests(mark)


@pytest.fixture
def crowded(cluster, project):
    """Credentials within the scope: declared (under a name that exists twice), unused, used by a cluster, used only
    by an
    undeclared node template, unreadable. Other credentials are not within the scope.
    """
    fields = {"driver": "amazonec2", "fields": {"accessKey": "A", "secretKey": CANARY}}
    for identifier, name, more in (
        ("one", "team-a one", {}),
        ("azure", "team-a one", {"driver": "azure", "fields": {"clientId": "x"}}),
        ("free", "team-a {{ 1 }}\nfree", {}),
        ("used", "team-a used", {}),
        ("let-go", "team-a let go", {}),
        ("broken", "team-a broken", {"owner": ""}),
        ("theirs", "team-a theirs", {"owner": "user-8knjc"}),
        ("b", "team-b", {}),
        ("a", "TEAM-A x", {}),
        ("ab", "xteam-a y", {}),
    ):
        cluster.secret(f"cc-{identifier}", display_name=name, **{**fields, **more})
    downstream(cluster, "prod", {"cloudCredentialSecretName": "cattle-global-data:cc-used"})
    for identifier, name, credential in (
        ("kept", "team-a kept", "one"),
        ("gone", "team-a gone", "let-go"),
        ("other", "other", "one"),
    ):
        template(
            cluster,
            f"nt-{identifier}",
            "amazonec2",
            display_name=name,
            cloudCredentialName=f"cattle-global-data:cc-{credential}",
        )
    project.write(
        "declared",
        cloud_credentials_exclusive=True,
        cloud_credentials_exclusive_scope=SCOPE,
        cloud_credentials_list=[{"name": "team-a one", "driver": "amazonec2"}, {**aws("one"), "name": "team-a new"}],
        cloud_credentials_node_templates=[{"name": "team-a kept", "driver": "amazonec2"}],
    )
    return cluster


def test_exclusive(crowded, project):
    left = ["TEAM-A x", "team-a broken", "team-a one", "team-a theirs", "team-a used", "team-b", "xteam-a y"]
    all_there = sorted([*left, "team-a one", "team-a {{ 1 }}\nfree", "team-a let go"])
    predicted = project.check(crowded, "-e", "confirm=yes")
    shown = table(predicted, "Show what is not declared")
    assert shown[1:] == [
        "node template team-a gone cattle-global-nt:nt-gone amazonec2 will be deleted",
        "cloud credential team-a let go cattle-global-data:cc-let-go amazonec2 will be deleted",
        "cloud credential team-a one cattle-global-data:cc-azure azure will be deleted",
        "cloud credential team-a used cattle-global-data:cc-used amazonec2 is kept, it is in use:",
        "used by Cluster fleet-default/prod (spec.cloudCredentialSecretName)",
        "cloud credential team-a {{ 1 }} free cattle-global-data:cc-free amazonec2 will be deleted",
    ], shown
    assert changed(predicted) == 3
    output = project.run(crowded, "apply")
    assert "the deletion was not confirmed" in output and changed(output) == 1, output
    assert names(crowded) == sorted([*all_there, "team-a new"]) and len(names(crowded, TEMPLATES)) == 3
    predicted = project.check(crowded, "-e", "confirm=yes")
    removed = project.run(crowded, "apply", "-e", "confirm=yes")
    assert changed(predicted) == changed(removed) and sorted(
        line.replace("would be ", "") for line in table(predicted)
    ) == sorted(table(removed))
    assert changed(removed) == 2 and names(crowded) == sorted([*left, "team-a new"]), removed
    assert names(crowded, TEMPLATES) == ["other", "team-a kept"]
    assert sum(line.startswith("not declared") and line.endswith("deleted") for line in table(removed)) == 4
    assert "is kept, it is in use:" in project.unchanged(crowded, "-e", "confirm=yes")


def test_objects_created_while_the_question_is_open_are_kept(crowded, project):
    """One question at a terminal for two hosts, of which the first has nothing to delete. Both are the same Rancher."""
    project.write(
        "declared",
        cloud_credentials_list=[{"name": "team-a one", "driver": "amazonec2"}],
        cloud_credentials_exclusive=True,
    )
    hosts = {
        "a": {"cloud_credentials_exclusive_scope": {"driver": "s3"}},
        "b": {"cloud_credentials_exclusive_scope": {"owner": "alice", "driver": "azure"}},
    }
    project.write("inventory", ranchers={"hosts": hosts, "vars": {"ansible_connection": "local"}})
    at_terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    command = [
        sys.executable,
        "-c",
        at_terminal,
        PROGRAM,
        "-i",
        "inventory.yml",
        "-e",
        f"ansible_python_interpreter={sys.executable}",
        "-e@declared.yml",
        "-e@vault.yml",
        "-e",
        "cloud_credentials_hosts=ranchers",
        "ranchhand.rancher.apply",
    ]
    with subprocess.Popen(
        command, cwd=project.folder, env=crowded.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        output, answers = b"", 0
        while True:
            if select.select([process.stdout], [], [], 1)[0]:
                more = process.stdout.read(65536)
                if not more:
                    break
                output += more
            elif b"to continue:" in output:
                if not answers:
                    crowded.secret("cc-new", "azure", {"clientId": "x"}, "new")
                process.stdin.write(b"yes\r")
                answers += 1  # Ansible drops what was typed before it reads, so the answer may be repeated
    assert process.returncode == 0 and output.count(b"to continue:") == 1 and CANARY.encode() not in output, output
    there = [secret["metadata"]["name"] for secret in crowded.secrets()]
    assert "cc-new" in there and "cc-azure" not in there and len(there) == 10, output.decode()


HOSTILE = [
    "{{ lookup('ansible.builtin.pipe', 'touch owned') }}",
    "{% raw %}",
    'it\'s "quoted" \\ %}',
    "two\nlines: x\n- y",
    "yes",
    "1.10",
    "# no comment",
    "#jinja2: variable_start_string:'[%', variable_end_string:'%]'\n"
    "[% lookup('ansible.builtin.pipe', 'touch owned') %]",
    "Überwachung ☁ 𝕏",
    "!vault |",
    "&a *a",
    "'] }}",
    "cc-twin1",
]


@pytest.fixture(params=["2.10.0", "2.15.0"])
def recorded(request):
    """The recorded credentials of each driver, and credentials and node templates with hostile or unusual values."""
    cluster = request.getfixturevalue("cluster" if request.param == "2.10.0" else "cluster_215")
    for number, exchange in enumerate(credential_exchanges(request.param)):
        stored = exchange.get("stored") or {}
        if stored.get("kind") == "Secret":
            cluster.api.post(
                SECRETS,
                {
                    **stored,
                    "metadata": {
                        **{key: stored["metadata"][key] for key in ("labels", "annotations")},
                        "name": f"cc-{number}",
                        "generateName": "cc-",
                    },
                },
            )
    for number, name in enumerate(HOSTILE):
        cluster.secret(
            f"cc-hostile{number}",
            "amazonec2",
            {"accessKey": name, "secretKey": f"{CANARY} {name}", "unknown": CANARY},
            name,
            annotations={
                "field.cattle.io/description": name,
                "ranchhand.cattle.io/rotated-fields": "accessKey,secretKey" if number % 2 else "",
            },
        )
    for number in (1, 2):
        cluster.secret(f"cc-twin{number}", "amazonec2", {"accessKey": str(number), "secretKey": CANARY}, "twin")
    cluster.secret("cc-blank", "amazonec2", {"accessKey": " A ", "secretKey": CANARY}, " blank ")
    cluster.secret("cc-gone", "amazonec2", {"accessKey": "A", "secretKey": CANARY}, "of a deleted user", owner="u-gone")
    cluster.api.post(
        SCHEMAS,
        {  # a schema of a driver that is not active: the schema that lists all drivers does not have it
            "apiVersion": "management.cattle.io/v3",
            "kind": "DynamicSchema",
            "metadata": {"name": "offcredentialconfig"},
            "spec": {"resourceFields": {"zone": {"type": "string"}}},
        },
    )
    cluster.secret("cc-off", "off", {"zone": "b"}, "of a driver that was deactivated")
    cluster.secret("cc-custom", "nosuch", {"a.b": CANARY}, "of a driver that is gone")
    cluster.secret("cc-nobody", "amazonec2", {"accessKey": "A", "secretKey": CANARY}, "{{ owner's }}\nx: y", owner="")
    if request.param == "2.10.0":
        for number, name in enumerate(HOSTILE):
            template(
                cluster,
                f"nt-{number}",
                "amazonec2",
                {"region": name, "monitoring": True, "openPort": [name], "zone": "", "sshKeyContents": CANARY},
                name,
                cloudCredentialName="cattle-global-data:"
                + ("cc-hostile" if number % 2 else "cc-twin")
                + f"{number or 1}"[:2],
                owner="u-wt94n",
                description=name,
                engineEnv={name: name},
                engineInsecureRegistry=[name],
                nodeTaints=[{"key": "a", "value": "b", "effect": "NoSchedule"}],
            )
        template(cluster, "nt-own", "digitalocean", {"region": "fra1", "accessToken": CANARY}, "own")
        template(
            cluster,
            "nt-theirs",
            "amazonec2",
            {"region": "a"},
            "theirs",
            owner="user-8knjc",
            cloudCredentialName="cattle-global-data:cc-twin1",
        )
        template(
            cluster, "nt-lost", "amazonec2", {"region": "a"}, "lost", cloudCredentialName="cattle-global-data:cc-lost"
        )
    yield cluster
    cluster.api.delete(f"{SCHEMAS}/offcredentialconfig")


def test_export(recorded, project):
    export = ("export", "-e", "cloud_credentials_export_file=declared.yml")
    file = project.folder / "declared.yml"
    project.run(recorded, *export, files=())
    text = file.read_text()
    assert CANARY not in text and ENCODED not in text
    assert changed(project.run(recorded, *export, "--diff", files=())) == 0
    # applied without changes and without a vault; a key that was rotated since then is kept
    recorded.api.patch(f"{SECRETS}/cc-hostile1", {"stringData": {"amazonec2credentialConfig-accessKey": "rotated"}})
    output = project.unchanged(recorded, files=("declared",))
    assert table(output) == [f"{text.count('    update_secrets: on_create')} unchanged"]
    assert not (project.folder / "owned").exists()
    # to create a credential again, its secret is required
    mark = recorded.control_plane.audit_mark()
    (gone,) = (
        secret["metadata"]["name"]
        for secret in recorded.secrets()
        if secret["metadata"]["annotations"].get("field.cattle.io/name") == "azure prod"
    )
    recorded.api.delete(f"{SECRETS}/{gone}")
    assert "(azure prod): secrets.clientSecret is required and must not be empty" in project.run(
        recorded, "apply", code=2, files=("declared",)
    )
    assert not recorded.writes(mark)


def test_several_ranchers_need_several_files(cluster, project):
    output = project.run(
        cluster,
        "export",
        "-i",
        "a,b,",
        "-e",
        "cloud_credentials_hosts=all",
        "-e",
        "cloud_credentials_export_file=x.yml",
        code=2,
        files=(),
    )
    assert "Use inventory_hostname in its path" in output and not (project.folder / "x.yml").exists()


def test_drift(cluster, project):
    project.write(
        "declared",
        cloud_credentials_list=[aws("one"), aws("two"), aws("three", description="d", update_secrets="on_create")],
        cloud_credentials_node_templates=[small("one"), small("two", "other")],
        cloud_credentials_exclusive=True,
        cloud_credentials_exclusive_scope={"owner": "alice"},
    )
    project.run(cluster, "apply")
    ids = {
        secret["metadata"]["annotations"]["field.cattle.io/name"]: secret["metadata"]["name"]
        for secret in cluster.secrets()
    }
    for name in ("one", "three"):  # the secret of three is not compared
        cluster.api.patch(
            f"{SECRETS}/{ids[name]}",
            {
                "stringData": {
                    "amazonec2credentialConfig-secretKey": "somebody's",
                    "amazonec2credentialConfig-accessKey": "B",
                }
            },
        )
    cluster.secret("cc-new", "azure", {"clientId": "x"}, "{{ new }}")
    template(cluster, "nt-new", "amazonec2", display_name="new")
    project.write(
        "more",
        cloud_credentials_node_templates=[small("four"), {"name": "other", "state": "absent"}, small("four", "next")],
        cloud_credentials_list=[
            aws("one"),
            aws("two", state="absent"),
            aws("three", description="d", update_secrets="on_create"),
            {**aws("one"), "name": "four"},
        ],
    )
    mark = cluster.control_plane.audit_mark()
    output = project.run(cluster, "drift", code=2, files=("declared", "vault", "more"))
    assert table(output, "Show the differences")[1:] == [
        "cloud credential one amazonec2 differs in accessKey, secretKey",
        "cloud credential three amazonec2 differs in accessKey",
        "cloud credential four amazonec2 is missing",
        "cloud credential two amazonec2 exists, but is declared absent",
        "node template small amazonec2 differs in cloud_credential",
        "node template other amazonec2 exists, but is declared absent",
        "node template next amazonec2 is missing",
        "cloud credential {{ new }} azure is not declared",
        "node template new amazonec2 is not declared",
    ], output
    assert (
        "9 of the cloud credentials and node templates are not as declared: "
        "one, three, four, two, small, other, next, {{ new }}, new" in output
    )
    assert not cluster.writes(mark) and changed(output) == 0 and "somebody's" not in output
    # an invalid declaration is a failure, not a difference
    for code, more in ((2, ()), (0, ("-e", "cloud_credentials_drift_fail=false"))):
        file = ("-e", "cloud_credentials_drift_file=drift.json")
        project.run(cluster, "drift", *file, *more, code=code, files=("declared", "vault", "more"))
        written = project.drift_file()
        assert written["failed"] is False and len(written["drift"]) == 9 and "somebody's" not in str(written)
        assert written["drift"][0]["host"] == "localhost" and written["drift"][0]["changed_fields"] == [
            "accessKey",
            "secretKey",
        ]
        project.write("wrong", cloud_credentials_list=[{"name": "one", "config": {"nosuch": 1}}])
        failed = project.run(cluster, "drift", *file, *more, code=2, files=("wrong",))
        assert "The comparison failed: invalid: " in failed
        assert project.drift_file() == {"drift": [], "failed": True}
    project.write("absent", cloud_credentials_list=[{"name": "nosuch", "state": "absent"}])
    project.run(cluster, "drift", *file, files=("absent",))
    assert project.drift_file() == {"drift": [], "failed": False}
    # a comparison that does not start leaves no file
    project.run(cluster, "drift", *file, "-e", '{"cloud_credentials_list": 1}', code=2, files=())
    assert not (project.folder / "drift.json").exists()
    project.write("wrong", cloud_credentials_list=[{"name": "one", "config": {"nosuch": 1}}])
    assert "config.nosuch is unknown" in project.run(cluster, "drift", code=2, files=("wrong",))


def test_the_drift_file_of_a_play_in_which_a_host_is_not_compared(cluster, tmp_path):
    """A host that fails before the comparison has no outcome, and must not look as if it was compared."""
    kubeconfig = {"rancher_kubeconfig": str(cluster.control_plane.kubeconfig)}
    write_inventory(tmp_path, a={**kubeconfig, "cloud_credentials_update_secrets": "nosuch"}, b=kubeconfig)
    variables = {
        "cloud_credentials_hosts": "ranchers",
        "cloud_credentials_list": [{"name": "nosuch", "state": "absent"}],
        "cloud_credentials_drift_file": "drift.json",
    }
    environment = cluster.environment()
    code, output = run_playbook("ranchhand.rancher.drift", tmp_path, environment, variables=variables)
    assert code == 2 and "Everything that was compared is as declared." in output, output
    assert json.loads((tmp_path / "drift.json").read_text()) == {"drift": [], "failed": True}
    code, output = run_playbook("ranchhand.rancher.drift", tmp_path, environment, "--limit", "b", variables=variables)
    assert code == 0, output
    assert json.loads((tmp_path / "drift.json").read_text()) == {"drift": [], "failed": False}


def test_least_rights(cluster, project, grant):
    """The documented permissions suffice: to apply with deletions, and those for reading to compare and to export."""
    manager = {
        "K8S_AUTH_KUBECONFIG": grant(
            "declarer", credential_roles(MANAGE) + credential_roles("ranchhand-node-templates")
        )
    }
    viewer = {"K8S_AUTH_KUBECONFIG": grant("reader", credential_roles(VIEW))}
    cluster.secret("cc-undeclared", "amazonec2", {"accessKey": "A"}, "undeclared")
    template(
        cluster,
        "nt-undeclared",
        "amazonec2",
        display_name="undeclared",
        cloudCredentialName="cattle-global-data:cc-undeclared",
    )
    project.write(
        "declared",
        cloud_credentials_list=[aws("one")],
        cloud_credentials_node_templates=[small("one")],
        cloud_credentials_exclusive=True,
        cloud_credentials_exclusive_scope={"name_pattern": "*"},
    )
    project.run(cluster, "apply", "-e", "confirm=yes", **manager)
    assert names(cluster) == ["one"] and names(cluster, TEMPLATES) == ["small"]
    project.write(
        "declared",
        cloud_credentials_list=[aws("one")],
        cloud_credentials_exclusive=True,
        cloud_credentials_exclusive_scope={"name_pattern": "*"},
    )
    project.run(cluster, "drift", **viewer)
    project.run(
        cluster, "export", "-e", f"cloud_credentials_export_file={project.folder}/exported.yml", files=(), **viewer
    )
    assert "name: small" in (project.folder / "exported.yml").read_text()


FLEET = Path(__file__).parents[2] / "docs" / "examples" / "fleet"


def test_the_example_of_a_fleet(cluster, cluster_215, tmp_path):
    """Run the commands of its README in their order."""
    shutil.copytree(FLEET, tmp_path / "fleet")
    commands = []
    for block in re.findall("^```shell\n(.*?)^```$", (FLEET / "README.md").read_text(encoding="utf-8"), re.M | re.S):
        for name, rancher in (("A", cluster), ("B", cluster_215)):
            block = re.sub(rf"(?<=RANCHER_{name}_KUBECONFIG=)\S+", str(rancher.control_plane.kubeconfig), block)
        commands.append(block)
    assert len(commands) == 5
    environment = cluster.environment("/nowhere", PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "".join(commands)],
        cwd=tmp_path / "fleet",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0 and "WARNING" not in done.stdout and "throw-away-secret" not in done.stdout, done.stdout
    assert re.findall(r"rancher-([ab]) .* changed=(\d+)", done.stdout) == [
        ("a", "2"),
        ("b", "1"),
        ("a", "2"),
        ("b", "1"),
        ("a", "1"),
        ("b", "0"),
        ("a", "0"),
        ("b", "0"),
        ("a", "1"),
        ("b", "1"),
    ]
    assert "rancher-b" in (tmp_path / "fleet" / "reports" / "credentials.html").read_text(encoding="utf-8")
    assert names(cluster) == ["platform aws", "platform snapshots"] and names(cluster, TEMPLATES) == ["platform small"]
    assert names(cluster_215) == ["platform azure", "platform snapshots"]
    assert "throw-away-secret-of-azure" in [
        value for secret in cluster_215.secrets() for value in decoded(secret).values()
    ]
    exported = {
        host: (tmp_path / "fleet" / "exported" / f"rancher-{host}.yml").read_text(encoding="utf-8") for host in "ab"
    }
    assert (
        exported["a"].count("- name: platform") == 3
        and "platform azure" in exported["b"]
        and "throw-away" not in str(exported)
    )
