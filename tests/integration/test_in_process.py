# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks run in the controller's process if possible, otherwise as a module, with the same result."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.cluster import INFO, MODULE, other_interpreter
from support.fakes import ConnectProxy, FaultInjector, after

BUSY = {
    "name": "busy",
    "driver": "digitalocean",
    "owner": "alice",
    "secrets": {"accessToken": "a token that is never shown"},
}


def ways(played):
    return re.findall(r"ranchhand\.rancher\.\w+: (in process|as a module, because of .*)", played.output)


@pytest.mark.parametrize("by", ["option", "KUBECONFIG", "K8S_AUTH_KUBECONFIG"])
def test_a_relative_path_means_the_same_file_in_process_and_as_a_module(cluster, tmp_path, monkeypatch, by):
    """The playbook is in another folder than that in which ansible-playbook is started."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kube").mkdir()
    (tmp_path / "kube" / "config").write_text(Path(cluster.control_plane.kubeconfig).read_text())
    cluster.secret("cc-one", display_name="here")
    options = {"kubeconfig": "kube/config"} if by == "option" else {}
    environment = {"K8S_AUTH_KUBECONFIG": "", **({} if by == "option" else {by: "kube/config"})}
    for as_module in (False, True):
        result = cluster.play({INFO: options}, as_module=as_module, environment=environment).result
        assert [item["name"] for item in result["credentials"]] == ["here"], result


def test_vvv_shows_how_a_task_runs_and_why(cluster):
    other = str(other_interpreter())
    hosts = {"ansible_connection": "local"}
    tasks = {
        "in process": [
            {},
            {"delegate_to": "localhost"},
            {"vars": {"ansible_python_interpreter": sys.executable}},
            {"run_once": True},
            {"check_mode": True},
            {"delegate_to": "another"},
            {"vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}},
        ],
        f"as a module, because of ansible_python_interpreter {other}": [
            {"vars": {"ansible_python_interpreter": other}},
            {"delegate_to": "with_python"},
        ],
        "as a module, because of become": [{"become": True, "become_method": "ansible.builtin.su"}],
        "as a module, because of async": [{"async": 60, "poll": 1}],
        "as a module, because of environment": [{"environment": {"ONE": "1"}}],
        "as a module, because of connection ssh": [
            {"vars": {"ansible_connection": "ssh", "ansible_port": 1}, "ignore_unreachable": True}
        ],
    }
    inventory = cluster.directory / "ways.json"
    inventory.write_text(
        json.dumps(
            {
                "all": {
                    "hosts": {
                        "localhost": hosts,
                        "another": hosts,
                        "with_python": {**hosts, "ansible_python_interpreter": other},
                    }
                }
            }
        )
    )
    expected = [way for way, some in tasks.items() for _task in some]
    played = cluster.play(
        *({INFO: {}, **task} for some in tasks.values() for task in some),
        arguments=["-i", str(inventory), "-vvv"],
        environment={"ANSIBLE_TIMEOUT": "5"},
    )
    assert ways(played) == expected, played.output
    quiet = cluster.play({INFO: {}}, arguments=["-vv"])
    assert not ways(quiet)


def _normal(value, names):
    """Return a result without the values that differ between runs."""
    if isinstance(value, dict):
        return {
            key: _normal(element, names)
            for key, element in value.items()
            if key not in ("created_at", "age", "age_seconds") and not (key == "deprecations" and not element)
        }
    if isinstance(value, list):
        return [_normal(element, names) for element in value]
    if isinstance(value, str):
        return re.sub(r"cc-[a-z0-9]{5}\b", lambda found: names.setdefault(found.group(), f"cc-name{len(names)}"), value)
    return value


def test_both_ways_return_the_same_result(cluster):
    new = {**BUSY, "name": "both ways", "config": {}, "labels": {"team": "a"}}
    diff = {"diff": True}
    tasks = [
        {MODULE: new, "check_mode": True, **diff},
        {MODULE: new, **diff, "register": "made"},
        {MODULE: new},
        {"ansible.builtin.assert": {"that": ["made.credential.action == 'created'", "made is changed"]}},
        {
            MODULE: {
                "id": "{{ made.credential.id }}",
                "description": "other",
                "secrets": {"accessToken": "another token"},
            },
            **diff,
        },
        {MODULE: {"credentials": [{**new, "description": "x"}, {**new, "name": "second"}]}, "check_mode": True, **diff},
        {INFO: {"name": "both ways", "references": True}},
        {MODULE: {**new, "driver": "nosuch", "colour": "blue"}},
        {MODULE: {**new, "name": "third", "driver": "nosuch"}},
        {MODULE: {**new, "name": "fourth", "owner": "unprivileged"}, **diff},
        {MODULE: {"name": "held", "state": "absent"}, **diff},  # with a warning
        {MODULE: {"name": "both ways", "state": "absent"}, **diff},
        {MODULE: {"name": "both ways", "state": "absent"}},
        {INFO: {}, "environment": {}},
        {INFO: {"context": "nosuch"}},
    ]
    results = []
    for as_module in (False, True):
        cluster.secret("cc-held1", display_name="held", finalizers=["example.com/hold"])
        played = cluster.play(*tasks, as_module=as_module, arguments=["-vvv"])
        assert len(ways(played)) == len(tasks) - 2, (
            played.output
        )  # without the assert, and the options that are rejected first
        assert {way.partition(",")[0] for way in ways(played)} == {"as a module" if as_module else "in process"}
        names = {}
        results.append([_normal(result, names) for result in played.results])
        cluster.api.patch("/api/v1/namespaces/cattle-global-data/secrets/cc-held1", {"metadata": {"finalizers": None}})
    in_process, as_module = results
    for task, expected, result in zip(tasks, in_process, as_module):
        assert result == expected, task
    assert any("warnings" in result for result in in_process)
    assert "token" not in json.dumps(results[0]).replace("accessToken", "")


@pytest.mark.parametrize("as_module", [False, True])
def test_keywords_of_a_task(cluster, as_module):
    """run_once, module_defaults of a group, loop and register have an effect."""
    mark = cluster.control_plane.audit_mark()
    played = cluster.play(
        {INFO: {}, "run_once": True},
        {MODULE: {"name": BUSY["name"], "secrets": BUSY["secrets"]}, "run_once": True, "register": "made"},
        {MODULE: {"name": "{{ item }}", "state": "absent"}, "loop": ["busy", "not there"], "run_once": True},
        arguments=["-i", "one,two,"],
        as_module=as_module,
        play={
            "hosts": "all",
            "module_defaults": {"group/ranchhand.rancher.all": {"owner": "alice"}, MODULE: {"driver": "digitalocean"}},
        },
    )
    info, made, *items = played.results
    assert (
        info["credentials"] == []
        and made["credential"]["owner"] == "u-wt94n"
        and made["credential"]["driver"] == "digitalocean"
    ), played.output
    assert [entry["credential"]["action"] for entry in items[-1]["results"]] == ["deleted", "unchanged"], played.output
    assert len([request for request in cluster.writes(mark) if request.verb == "create"]) == 1


def test_items_of_a_loop_share_connections(cluster):
    """Twenty items need as many connections as a single item."""
    loop = {MODULE: {**BUSY, "name": "{{ item }}"}, "loop": [f"number {number}" for number in range(20)]}
    with ConnectProxy() as proxy:
        played = cluster.play(loop, environment={"K8S_AUTH_PROXY": proxy.url})
        assert played.code == 0, played.output
        created = len(proxy.asked)
        cluster.play(loop, environment={"K8S_AUTH_PROXY": proxy.url})
    # three parallel reads, and the watch; again after five seconds on a slow machine
    assert created <= 8 and len(proxy.asked) - created <= 6


def test_items_with_different_kubeconfigs_share_no_connection(cluster):
    admin, unprivileged = str(cluster.control_plane.kubeconfig), str(cluster.control_plane.user("unprivileged"))
    mark = cluster.control_plane.audit_mark()
    played = cluster.play(
        {
            INFO: {"kubeconfig": "{{ item }}"},
            "loop": [admin, unprivileged, admin, unprivileged],
            "loop_control": {"label": ""},
        }
    )
    results = played.results[-1]["results"]
    assert [result.get("code") for result in results] == [None, "forbidden", None, "forbidden"], played.output
    users = [
        event["user"]["username"]
        for event in cluster.control_plane.audit(mark)
        if event["userAgent"].startswith("ranchhand.rancher")
        and event["verb"] == "list"
        and event["objectRef"]["resource"] == "secrets"
    ]
    assert sorted(set(users)) == ["kubernetes-admin", "unprivileged"] and users.count("unprivileged") == 2


@pytest.fixture
def slow(cluster):
    """Each write takes half a second: 160 writes over 16 connections take five seconds."""
    with FaultInjector(cluster.control_plane) as injector:
        injector.rule("POST", after(lambda seen: time.sleep(0.5)), path="/secrets$", times=1000)
        yield {"K8S_AUTH_HOST": injector.options["host"], "K8S_AUTH_API_KEY": injector.options["api_key"]}


LONG = {MODULE: {"credentials": [{**BUSY, "name": f"number {number}"} for number in range(160)]}}
LINE = re.compile(r"cloud_credential: \d+ of 160 done, about \d+ seconds? left")


@pytest.mark.parametrize("poll", [pytest.param(1, id="waited for"), pytest.param(0, id="in the background")])
def test_modules_of_the_controller_reject_async(cluster, poll):
    names = ("cloud_credential_rotation", "cloud_credential_rotation_info", "report")
    played = cluster.play(*({f"ranchhand.rancher.{name}": {}, "async": 60, "poll": poll} for name in names))
    assert [(result["code"], result["msg"], result["changed"]) for result in played.results] == [
        (
            "unsupported",
            f"{name} runs in the controller's process and cannot run in the background; remove async from the task",
            False,
        )
        for name in names
    ]


def test_progress_without_a_terminal_is_a_line_every_few_seconds(cluster, slow):
    played = cluster.play(LONG, environment=slow)
    assert played.code == 0 and len(LINE.findall(played.output)) == 1, played.output
    assert "done, about" not in cluster.play(LONG).output


def test_no_progress_where_stdout_is_not_for_people(cluster, slow):
    played = cluster.play(LONG, environment={**slow, "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal"})
    assert played.code == 0 and "done, about" not in played.output and "%|" not in played.output


def test_progress_on_a_terminal_is_a_bar(cluster, slow):
    playbook = cluster.directory / "bar.yml"
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [LONG]}]))
    leader, follower = pty.openpty()
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-i",
        "localhost,",
        "-c",
        "local",
        str(playbook),
    ]
    with subprocess.Popen(
        command, env=cluster.environment(TERM="xterm", **slow), stdin=follower, stdout=follower, stderr=follower
    ) as process:
        os.close(follower)
        output = b""
        while True:
            try:
                more = os.read(leader, 65536)
            except OSError:  # Linux reports the closed terminal
                break
            if not more:
                break
            output += more
    os.close(leader)
    text = output.decode(errors="replace")
    assert process.returncode == 0, text
    assert re.search(r"\rcloud_credential: +\d+%\|.*\| \d+/160 \[", text), text
    assert not LINE.search(text) and text.index("160") < text.index("PLAY RECAP")
