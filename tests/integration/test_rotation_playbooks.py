# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks rotate, retire, rollback and rotation_status, with their roles."""

from __future__ import annotations

import json
import re
import secrets
import select
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support.cluster import SECRETS
from support.playbooks import ansible_playbook
from support.rotations import RotationFleet, changed

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "rotation"


def lines(output, task):
    """The message of a debug task."""
    return json.loads("{" + output.partition(f"TASK [{task}]")[2].partition("=> {")[2].partition("\n}")[0] + "}")["msg"]


@pytest.fixture
def fleet(cluster, aws, tmp_path):
    return RotationFleet(cluster, aws, tmp_path)


RESULTS = "ranchhand.rancher.rotate : Show the results"
PLAN = "ranchhand.rancher.rotate : Show the plan"


def test_from_the_plan_to_the_last_old_key(fleet):
    names = fleet.add(3)
    hooks = {"rotate_notify_tasks": fleet.notify()}
    mark = fleet.cluster.control_plane.audit_mark()
    plan = fleet.run("rotate", "--check", **hooks)
    assert all(
        re.search(f"^{name} +amazonec2 +idle +would go through preparing, issued, grace; used in 0 places$", line)
        for name, line in zip(names, lines(plan, PLAN)[1:])
    ), plan
    assert not fleet.asked("CreateAccessKey") and not fleet.cluster.writes(mark) and not fleet.events()

    output = fleet.run("rotate", **hooks)
    assert [line.split()[4] for line in lines(output, RESULTS)[1:]] == ["rotated,"] * 3, output
    assert len(fleet.asked("CreateAccessKey")) == 3 and all(
        member.works() and len(member.keys) == 2 for member in fleet.members
    )
    # One canary, then 10 % of three, which that was already, then all others.
    assert fleet.events() == [
        f"{event} {name}" for ring in (names[:1], names[1:]) for event in ("started", "cut_over") for name in ring
    ]

    mark = fleet.cluster.control_plane.audit_mark()
    again = fleet.run("rotate", **hooks)
    assert changed(again) == 0 and not fleet.cluster.writes(mark) and not fleet.events(), again

    hooks = {"retire_notify_tasks": fleet.notify("retire")}
    waiting = fleet.run("retire", **hooks)
    assert changed(waiting) == 0 and waiting.count("grace: 20") == 3 and not fleet.events(), waiting
    assert changed(fleet.run("retire", "--check", retire_grace="0s", **hooks)) == 1 and not fleet.events()
    assert changed(fleet.run("retire", retire_grace="0s", **hooks)) > 0
    assert sorted(fleet.events()) == sorted(f"disabled {name}" for name in names)
    fleet.run("retire", retire_soak="0s", **hooks)
    assert sorted(fleet.events()) == sorted(f"retired {name}" for name in names)
    assert all(member.works() and member.keys == {member.live["accessKey"]: "Active"} for member in fleet.members)
    mark = fleet.cluster.control_plane.audit_mark()
    last = fleet.run("retire", **hooks)
    assert "There is no old key to retire." in last and changed(last) == 0 and not fleet.cluster.writes(mark)


def test_check_mode_of_an_include_applies_to_the_role(fleet):
    names = fleet.add(1)
    role = {
        "ansible.builtin.include_role": {"name": "ranchhand.rancher.rotate", "apply": {"check_mode": True}},
        "vars": {
            "rotate_credentials": [{"name": names[0]}],
            "rotate_rotation_id": "first",
            "rotate_namespace": fleet.namespace,
            "rotate_issuer_options": {"endpoint_url": fleet.aws.url, "propagation": "0s"},
        },
    }
    mark = fleet.cluster.control_plane.audit_mark()
    played = fleet.cluster.play(role)
    assert "would go through preparing, issued, grace" in played.output, played.output
    assert not fleet.asked("CreateAccessKey") and not fleet.cluster.writes(mark), played.output
    assert fleet.original(fleet.members[0])


def test_a_failed_canary_rolls_its_ring_back_and_stops(fleet):
    names = fleet.add(3)
    canary = fleet.hook(
        "canary",
        {
            "name": "Try",
            "ansible.builtin.assert": {"that": f"rotate_rotation.name != '{names[1]}'", "fail_msg": "no machine"},
        },
    )
    output = fleet.run(
        "rotate",
        code=2,
        rotate_rings=[2, "100%"],
        rotate_canary_tasks=canary,
        rotate_notify_tasks=fleet.notify(),
        rotate_max_failures=9,
    )
    assert [line.split()[4] for line in lines(output, RESULTS)[1:]] == ["rolled_back", "rolled_back", "left"], output
    assert f"{names[1]}: verify_failed: rotate_canary_tasks failed, so its ring was rolled back: no machine" in output
    assert all(fleet.original(member) for member in fleet.members)
    assert len(fleet.asked("CreateAccessKey")) == 2
    assert fleet.events() == [
        f"started {names[0]}",
        f"started {names[1]}",
        f"cut_over {names[0]}",
        f"cut_over {names[1]}",
        f"failed {names[1]}",
        f"rolled_back {names[0]}",
        f"rolled_back {names[1]}",
    ]


def test_a_key_that_fails_the_tasks_of_the_user_is_deleted(fleet):
    names = fleet.add(3)
    verify = fleet.hook(
        "verify",
        {
            "name": "Try",
            "ansible.builtin.assert": {
                "that": [
                    f"rotate_rotation.name != '{names[0]}'",
                    "rotate_rotation.phase == 'issued'",
                    "rotate_rotation.key_id != rotate_rotation.old_key_id",
                ]
            },
        },
    )
    variables = {"rotate_rings": [2, "100%"], "rotate_verify_tasks": verify, "rotate_notify_tasks": fleet.notify()}
    output = fleet.run("rotate", code=2, **variables)
    assert f"{names[0]}: verify_failed: rotate_verify_tasks failed, so the new key was deleted: " in output
    first, second, third = fleet.members
    assert fleet.original(first) and fleet.original(third)
    assert len(second.keys) == 2 and second.live != second.key and second.works()
    assert fleet.events() == [
        f"started {names[0]}",
        f"started {names[1]}",
        f"failed {names[0]}",
        f"aborted {names[0]}",
        f"cut_over {names[1]}",
    ]

    output = fleet.run(
        "rotate",
        code=2,
        **{
            **variables,
            "rotate_on_verify_failure": "stop",
            "rotate_rotation_id": "second",
            "rotate_credentials": [{"name": names[0]}],
        },
    )
    assert "the credential was not cut over" in output and first.live == first.key and len(first.keys) == 2
    # The same again without the tasks finishes it.
    fleet.run("rotate", rotate_rotation_id="second", rotate_credentials=[{"name": names[0]}])
    assert first.live != first.key and first.works() and len(fleet.asked("CreateAccessKey")) == 3


def test_what_cannot_be_rotated_is_reported_before_a_key_is_issued(fleet):
    names = fleet.add(2)
    fleet.aws.add_key(fleet.members[1].user)
    output = fleet.run("rotate", code=2, rotate_notify_tasks=fleet.notify())
    assert f"{names[1]}: slot_taken: no new key can be issued for " in output and "2 of 2 keys exist" in output
    assert not fleet.asked("CreateAccessKey")
    assert [line.split()[4] for line in lines(output, RESULTS)[1:]] == ["left", "failed:"] and fleet.events() == [
        f"failed {names[1]}"
    ]
    fleet.run("rotate", code=2, rotate_max_failures=1)
    assert fleet.members[0].live != fleet.members[0].key and fleet.members[1].live == fleet.members[1].key
    assert "Set rotate_credentials or rotate_discover." in fleet.run("rotate", code=2, rotate_credentials=[])
    for ring in ("some", "0", "10%x", "-1"):
        assert "rotate_rings must contain positive numbers" in fleet.run("rotate", code=2, rotate_rings=[1, ring])


def test_credentials_are_found_and_those_that_share_a_key_are_rotated_together(fleet):
    fleet.add(2)
    first = fleet.members[0]
    first.add(f"{first.id}-s3", "s3")
    variables = {"rotate_credentials": [], "rotate_rings": [1]}
    output = fleet.run("rotate", "--check", rotate_discover={"driver": "amazonec2"}, **variables)
    assert "cannot be rotated: " in output and "contains the same key as" in output
    output = fleet.run("rotate", rotate_discover={"driver": "amazonec2"}, rotate_shared_key="together", **variables)
    assert "left for another run" in output and len(fleet.asked("CreateAccessKey")) == 1


def test_a_rotation_that_is_stuck_stops_no_other(fleet):
    names = fleet.add(2)
    fleet.run("rotate")
    fleet.spoil(fleet.members[0])
    output = fleet.run("retire", code=2, retire_grace="0s", retire_notify_tasks=fleet.notify("retire"))
    fatal = output.rpartition("Fail if a rotation is stuck")[2]
    assert f"{names[0]}: drift: " in fatal and "state: " not in fatal and len(fleet.members[0].keys) == 2, output
    (command,) = re.findall(r'accept the key that it contains: (ansible-playbook [^"]+)"', output)
    item = f"{{id: cattle-global-data:{fleet.members[0].id}}}"
    assert f"ranchhand.rancher.adopt -e '{{adopt_credentials: [{item}]" in command
    assert f"adopt_namespace: {fleet.namespace}}}'" in command, command
    assert sorted(fleet.members[1].keys.values()) == ["Active", "Inactive"]
    assert fleet.events() == [f"drift {names[0]}", f"disabled {names[1]}"]


def test_a_rotation_that_cannot_be_aborted_shows_the_command_of_another(fleet):
    (name,) = fleet.add(1)
    fleet.run("rotate")
    output = fleet.run("abort", abort_credentials=[{"name": name}])
    plan = output.partition("TASK [Show the plan]")[2].partition("TASK [")[0]
    assert "Use ranchhand.rancher.rollback to return to the old key." in plan and "state: " not in output, output
    (command,) = re.findall(r'return to the old key: (ansible-playbook [^"]+)"', plan)
    words = [word for word in shlex.split(command)[1:] if word not in ("-i", "localhost,")]
    assert words[0] == "ranchhand.rancher.rollback", command
    fleet.run("rollback", *words[1:], "-e", "confirm=yes")
    assert fleet.original(fleet.members[0])


def test_rolling_back(fleet, subtests):
    names = fleet.add(2)
    first, second = fleet.members
    fleet.run("rotate", rotate_credentials=[{"name": names[0]}])
    wanted = [{"name": name} for name in names]
    for what, arguments in {
        "no terminal": (),
        "another word": ("-e", "confirm=no"),
        "check mode": ("-e", "confirm=yes", "--check"),
    }.items():
        with subtests.test(what):
            code = 0 if what == "check mode" else 2
            output = fleet.run("rollback", *arguments, code=code, rollback_credentials=wanted)
            assert f"returns to {first.key['accessKey']}" in output and "no rotation in progress" in output
            assert (
                f"Would be rolled back: {names[0]}"
                if what == "check mode"
                else "Nothing was rolled back: it was not confirmed"
            ) in output
            assert len(first.keys) == 2 and first.live != first.key
    assert f"Rolled back: {names[0]}" in fleet.run("rollback", "-e", "confirm=yes", rollback_credentials=wanted)
    assert fleet.original(first) and fleet.original(second)
    assert "Nothing to roll back." in fleet.run("rollback", "-e", "confirm=yes", rollback_credentials=wanted)


def test_a_rollback_of_two_ranchers_asks_once(cluster, cluster_215, aws, tmp_path):
    """Each host acts on its own Rancher, although the environment names a third server."""
    fleets = {"prod": RotationFleet(cluster, aws, tmp_path), "staging": RotationFleet(cluster_215, aws, tmp_path)}
    hosts = {}
    for host, fleet in fleets.items():
        names = fleet.add(1)
        fleet.run("rotate")
        hosts[host] = {
            "rancher_kubeconfig": str(fleet.cluster.control_plane.kubeconfig),
            "rollback_namespace": fleet.namespace,
            "rollback_credentials": [{"name": names[0]}],
        }
    common = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "rollback_issuer_options": {"endpoint_url": aws.url, "propagation": "0s"},
    }
    inventory = tmp_path / "ranchers.json"
    inventory.write_text(json.dumps({"ranchers": {"hosts": hosts, "vars": common}}))
    at_terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    command = [
        sys.executable,
        "-c",
        at_terminal,
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-i",
        str(inventory),
        "-e",
        "rollback_hosts=ranchers",
        "ranchhand.rancher.rollback",
    ]
    question = b'Roll back these 2 cloud credentials? Type "yes" to continue'
    environment = {**cluster.environment(), "K8S_AUTH_KUBECONFIG": str(tmp_path / "nosuch.kubeconfig")}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        output = b""
        while True:
            if select.select([process.stdout], [], [], 1)[0]:
                more = process.stdout.read(65536)
                if not more:
                    break
                output += more
            elif question in output:
                process.stdin.write(b"yes\r")  # again if Ansible was not listening yet
    assert process.returncode == 0, output
    assert output.count(question) == 1 and output.count(b"TASK [Show the plan]") == 1
    plan = output.partition(b"TASK [Show the plan]")[2].partition(b"TASK [")[0].decode()
    for host, fleet in fleets.items():
        (member,) = fleet.members
        assert re.search(f"{host} +{member.name} .*returns to {member.key['accessKey']}", plan), plan
        assert fleet.original(member)


def test_the_status_fits_a_terminal(fleet):
    names = fleet.add(3)
    fleet.run("rotate", rotate_credentials=[{"name": name} for name in names[:2]])
    fleet.spoil(fleet.members[1])
    for arguments in ((), ("--check",)):
        output = fleet.run("rotation_status", *arguments, rotation_status_max_age="90d")
        shown = output.partition("TASK [Show the rotations]")[2].partition("\n}")[0].splitlines()[1:]
        assert changed(output) == 0 and max(len(line) for line in shown if ": ansible-playbook " not in line) <= 100
        header, *rows = lines(output, "Show the rotations")
        assert re.split("  +", header) == ["NAME", "DRIVER", "PHASE", "KEY AGE", "NEXT STEP", "DUE", "BLOCKED BY"]
        of = {name: cells for name, *cells in (re.split("  +", row) for row in rows[:3])}
        cut_over, drifted, idle = (of[name] for name in names)
        assert cut_over == ["amazonec2", "grace", "0m", "disable old key", "23h", "grace"]
        assert drifted[-1] == "problem, see below" and drifted[1] == "grace", drifted
        assert idle == ["amazonec2", "idle", "0m", "rotate", "89d", "-"]
        below = " ".join(rows[3:])
        assert (
            f"{names[0]} (cattle-global-data:{fleet.members[0].id}): waiting for grace: 20" in below
            and f"{fleet.members[1].id}): drift: " in below
        )
    assert "No cloud credential matches." in fleet.run("rotation_status", rotation_status_name="nosuch")
    given = json.dumps({"rotation_status_namespace": fleet.namespace})
    without_inventory = ansible_playbook(
        "ranchhand.rancher.rotation_status", "-e", given, env=fleet.cluster.environment(), cwd=fleet.cluster.directory
    ).stdout
    assert "ansible-playbook ranchhand" in without_inventory and "-i " not in without_inventory, without_inventory


def test_the_status_of_two_ranchers_shows_commands_that_can_be_pasted(cluster, cluster_215, aws, tmp_path):
    fleets = {"prod": RotationFleet(cluster, aws, tmp_path), "staging": RotationFleet(cluster_215, aws, tmp_path)}
    hostile = "aws'; touch pwned; echo '{{ 7 * 7 }}"
    hosts = {}
    for host, fleet in fleets.items():
        fleet.namespace = "status-of-two"
        fleet.add(1)
        fleet.run("rotate")
        annotations = {"annotations": {"field.cattle.io/name": hostile}}
        fleet.cluster.api.patch(f"{SECRETS}/{fleet.members[0].id}", {"metadata": annotations})
        hosts[host] = {"rancher_kubeconfig": str(fleet.cluster.control_plane.kubeconfig)}
    common = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = tmp_path / "ranchers.json"
    inventory.write_text(json.dumps({"ranchers": {"hosts": hosts, "vars": common}}))
    output = fleets["prod"].run(
        "rotation_status", "-i", str(inventory), rotation_status_hosts="ranchers",
        rotation_status_namespace="status-of-two",
    )  # fmt: skip
    header, *rows = lines(output, "Show the rotations")
    assert output.count("TASK [Show the rotations]") == 1 and header.startswith("HOST "), output
    assert [row.split()[0] for row in rows[:2]] == ["prod", "staging"], rows
    commands = re.findall(r'retire the old key: (ansible-playbook [^"]+)"', output)
    assert len(commands) == 2 and not any("touch" in command for command in commands), output
    for (host, fleet), command in zip(fleets.items(), commands):
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        environment = fleet.cluster.environment(str(tmp_path / "nosuch.kubeconfig"), PATH=path)
        done = subprocess.run(
            ["bash", "-c", f"{command} -e retire_grace=0s"], env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0 and f"ok: [{host}]" in done.stdout, done.stdout
        assert sorted(fleet.members[0].keys.values()) == ["Active", "Inactive"], done.stdout
    assert not (tmp_path / "pwned").exists()


def test_keys_are_exported_in_memory_only(fleet):
    names = fleet.add(2)
    store = fleet.directory / "store"
    store.mkdir()
    export = fleet.hook(
        "export",
        {
            "name": "Store the key",
            "ansible.builtin.copy": {
                "content": "{{ rotate_values | to_json }}",
                "dest": f"{store}/{{{{ rotate_rotation.name | replace(' ', '-') }}}}",
                "mode": "0600",
            },
        },
    )
    broken = fleet.hook(
        "broken",
        {"name": "Use the key", "ansible.builtin.debug": {"msg": "{{ rotate_values.secretKey }}"}},
        {"name": "Fail", "ansible.builtin.fail": {"msg": "the store does not answer"}},
    )
    output = fleet.run("rotate", "-vvv", code=2, rotate_export_tasks=broken)
    new = [member.live["secretKey"] for member in fleet.members]

    def leaks():
        return [line for line in output.splitlines() if any(secret in line for secret in new)]

    assert f"{names[0]}: export_failed: rotate_export_tasks failed" in output and not leaks()
    output = fleet.run("rotate", "-vvv", rotate_export_tasks=export)
    assert not leaks()
    for member in fleet.members:
        stored = json.loads((store / member.name.replace(" ", "-")).read_text())
        assert {name: stored[name] for name in member.live} == member.live and stored["defaultRegion"]


def test_a_gate_that_is_closed_for_too_long_is_notified(fleet):
    """The grace time is over, but the old key was used a moment ago."""
    names = fleet.add(1)
    fleet.run("rotate")
    path = f"/api/v1/namespaces/{fleet.namespace}/configmaps/rotation-{fleet.members[0].id}"
    record = json.loads(fleet.cluster.api.get(path)["data"]["record"])
    record["cutover_at"] = "2026-01-01T00:00:00Z"
    fleet.cluster.api.patch(path, {"data": {"record": json.dumps(record)}})
    output = fleet.run("retire", retire_notify_tasks=fleet.notify("retire"))
    assert "last_used: " in output and fleet.events() == [f"late {names[0]}"], output
    fleet.run("retire", retire_notify_tasks=fleet.notify("retire"), retire_max_wait="3000d")
    assert fleet.events() == []


def test_the_examples(cluster, aws, fleet, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    fleet.add(1)
    for identifier, name in {"cc-prod": "aws prod", "cc-staging": "aws staging", "cc-7kq2f": "aws old"}.items():
        cluster.secret(identifier, "amazonec2", {**aws.create_user(name), "defaultRegion": "eu-central-1"}, name)
    cluster.secret("cc-do", display_name="do prod")
    vault, secret = tmp_path / "vault.yml", secrets.token_hex(16)
    vault.write_text(json.dumps({"vault_new_do_token": secret, "rotate_issuer_options": {}, "rotate_rotation_id": ""}))
    for playbook, words in {
        "rotate": r"do prod +digitalocean +idle +would go through preparing, issued, grace",
        "retire": "There is no old key to retire",
        "rollback": "aws old +amazonec2 +idle +no rotation in progress",
        "rotation_status": r"aws staging +amazonec2",
    }.items():
        output = fleet.run(playbook, "-e", f"@{EXAMPLES / playbook}.yml", "-e", f"@{vault}", "--check")
        assert re.search(words, output) and secret not in output, output
