# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No output or leftover of a run contains a secret: searches for canaries from variable files.

Variable files, which replace a vault, and the playbooks themselves are not searched.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
import yaml

from support.canaries import Canaries, Run
from support.cluster import INFO, MODULE, SECRETS, other_interpreter
from support.fakes import FaultInjector, after, cut, reply

WAYS = pytest.mark.parametrize(
    "as_module", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["in process", "as a module"]
)


@pytest.fixture
def run(cluster, tmp_path):
    return Run(cluster, tmp_path, Canaries())


def _aws(name, secret, **more):
    return {
        MODULE: {
            "name": name,
            "driver": "amazonec2",
            "owner": "alice",
            "config": {"accessKey": "AKIA1", "defaultRegion": "eu-central-1"},
            "secrets": {"secretKey": f"{{{{ canary.{secret} }}}}"},
            **more,
        }
    }


def _shown(name):
    return {"ansible.builtin.debug": {"var": name}}


@pytest.mark.parametrize(
    ("as_module", "result_format"),
    [
        pytest.param(False, "json", id="in process, json"),
        pytest.param(True, "yaml", id="as a module, yaml"),
    ],
)
def test_tasks_that_succeed(run, as_module, result_format):
    account = {"type": "service_account", "private_key": "{{ canary.pem }}"}
    google = {"name": "gcp", "driver": "google", "owner": "alice", "secrets": {"authEncodedJson": account}}
    items = [{**_aws(f"list {name}", name)[MODULE], "validate_config": name != "third"} for name in ("new", "third")]
    played = run.play(
        {**_aws("one", "old"), "register": "one"},
        _shown("one"),
        {**_aws("one", "new"), "check_mode": True, "register": "one"},
        _shown("one"),
        _aws("one", "padded"),
        _aws("one", "new", update_secrets="on_create"),
        {MODULE: google, "register": "gcp"},
        _shown("gcp"),
        {MODULE: {"credentials": items}},
        {INFO: {"references": True}, "register": "all"},
        _shown("all"),
        {
            **_aws("{{ item.name }}", "new"),
            "loop": [{"name": "l1"}, {"name": "l2"}],
            "loop_control": {"label": "{{ item.name }}"},
        },
        {MODULE: {"name": "one", "state": "absent"}},
        as_module=as_module,
        environment={"ANSIBLE_CALLBACK_RESULT_FORMAT": result_format},
    )
    failed = [task for task in played.tasks if task["status"] != "ok"]
    assert not failed, failed
    assert ("as a module" in played.output) == as_module
    written = run.cluster.secrets()
    assert len(written) == 5
    assert any(
        base64.b64encode(run.canaries["third"].encode()).decode() in (entry["data"] or {}).values() for entry in written
    ), "no canary was used"


@WAYS
def test_a_server_that_quotes_requests(run, cluster, as_module):
    """Like admission webhooks, quotas and proxies, whose messages may contain anything."""
    cluster.secret("cc-stored", "amazonec2", {"accessKey": "A", "secretKey": run.canaries["old"]}, "stored")
    with FaultInjector(cluster.control_plane) as faults:
        statuses = {"conflict": 409, "invalid": 422, "denied": 403, "malformed": 400, "gone": 404, "odd": 418}
        for name, status in statuses.items():
            faults.rule("POST", reply(status, "this: {body} with {headers}", "Whatever"), about=f'"{name}"', times=1000)
        faults.rule("PATCH", reply(422, "this: {body} with {headers}"), times=1000)
        faults.rule("DELETE", reply(403, "this: {body} with {headers}"), times=1000)
        # with the headers of the list, among them the token
        faults.rule("GET", reply(403, "this: {headers}", "Forbidden"), path="/users", times=1000)
        tasks = [_aws(name, "new", owner="u-wt94n") for name in statuses]
        run.canaries.values["token"] = faults.options["api_key"]
        played = run.play(
            {MODULE: {"id": "cc-stored", "secrets": {"secretKey": "{{ canary.new }}"}}},
            {MODULE: {"name": "stored", "state": "absent", "force": True}},
            *tasks,
            as_module=as_module,
            environment={"K8S_AUTH_HOST": faults.url, "K8S_AUTH_API_KEY": faults.options["api_key"]},
        )
    assert len(played.tasks) == 8 and all("code" in result for result in played.results), played.results


@WAYS
def test_connections_that_fail(run, cluster, as_module):
    """The secrets of the connection, in all their forms."""
    canaries = run.canaries
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": cluster.control_plane.url, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "x", "user": {"token": canaries["third"]}}],
    }
    broken = {
        **kubeconfig,
        "users": [
            {"name": "x", "user": {"client-key-data": canaries["third"], "client-certificate-data": canaries["older"]}}
        ],
    }
    here = cluster.control_plane.url  # its certificate is not trusted, which takes no time to find out
    with FaultInjector() as faults:
        faults.rule(".*", reply(401, "not you: {headers}", "Unauthorized"), times=1000)
        connections = [
            {"kubeconfig": "{{ kubeconfig }}"},
            {"kubeconfig": "{{ as_yaml }}"},
            {"kubeconfig": "{{ as_json }}"},
            {"kubeconfig": "{{ broken }}"},
            {"kubeconfig": "{{ scrambled }}"},
            {"kubeconfig": ["{{ canary.third }}"]},
            {"host": here, "api_key": "{{ canary.old }}"},
            {"host": here, "validate_certs": False, "api_key": "{{ canary.old }}"},
            {"host": faults.url, "username": "me", "password": "{{ canary.old }}"},
            {"host": faults.url, "api_key": "{{ canary.padded }}"},
            {
                "host": here,
                "api_key": "{{ canary.new }}",
                "proxy": "http://me:{{ canary.old }}@127.0.0.1:1",
                "proxy_headers": {"proxy_basic_auth": "me:{{ canary.third }}"},
            },
            {"host": here.replace("://", "://me:{{ canary.old }}@"), "api_key": "{{ canary.new }}"},
            {"host": faults.url, "api_key": "{{ canary.new }}\n{{ canary.old }}"},
            {"host": faults.url, "api_key": {"token": "{{ canary.old }}"}},
        ]
        expected = (
            ["forbidden"] * 3
            + ["invalid"] * 3
            + ["unreachable", "forbidden", "forbidden", "forbidden", "unreachable", "invalid", "invalid", "invalid"]
        )
        if as_module:  # each takes a second; what differs from the above is how secrets get there and back
            connections, expected = connections[:5] + connections[8:9], expected[:5] + expected[8:9]
        played = run.play(
            *[{INFO: {**entry, "id": "cc-x"}} for entry in connections],
            as_module=as_module,
            environment={"K8S_AUTH_KUBECONFIG": "/nowhere"},
            variables={
                "kubeconfig": kubeconfig,
                "broken": broken,
                "as_yaml": yaml.safe_dump(kubeconfig),
                "as_json": json.dumps(kubeconfig),
                "scrambled": f"users:\n- {{token: {canaries['third']}\n",
            },
        )
    assert [result.get("code") for result in played.results] == expected, played.results


@WAYS
def test_invalid_options(run, as_module):
    new, number = "{{ canary.new }}", "{{ canary.number }}"
    run.canaries.values["number"] = 918273645.546372
    aws = {"name": "x", "driver": "amazonec2", "owner": "alice"}
    wrong = [
        {"config": {"accessKey": "A", "secretKey": new}},
        {"secrets": {"accessKey": new, "secretKey": new}},
        {"config": {"secretKy": new}},
        {"secretKey": new},
        {"secrets": new},
        {"secrets": [new]},
        {"config": new},
        {"config": [new]},
        {"secrets": {"secretKey": [new]}},
        {"config": {"accessKey": "A"}, "secrets": {"secretKey": number}},
        {"config": {"accessKey": number}, "secrets": {"secretKey": new}},
        {"secrets": {"secretKey": {"nested": [new]}}, "config": {"accessKey": [new]}},
        {"labels": {"label": f"{new} {new}"}},
        {"labels": [new]},
        {"annotations": {"a": [new]}},
        {"annotations": new},
        {"update_secrets": new},
        {"state": new},
        {"force": new},
        {"validate_config": new},
        {"wait_timeout": new},
        {"credentials": new},
        {"credentials": [new]},
        {"credentials": [{**aws, "secrets": new}, {**aws, "secretKey": new}, [new]]},
        {"credentials": {"secrets": {"secretKey": new}}},
        {"id": f"{new}/!"},
        {"impersonate_groups": {"x": new}},
        {"proxy_headers": new},
    ]
    tasks = [{MODULE: entry if "credentials" in entry else {**aws, **entry}} for entry in wrong]
    native = {"ANSIBLE_JINJA2_NATIVE": "1"}  # ansible-core up to 2.18 makes text of a number otherwise
    played = run.play(*tasks, as_module=as_module, environment=native)
    assert [task["status"] for task in played.tasks] == ["failed"] * len(wrong)
    for entry, result in zip(wrong, played.results):
        assert result.get("code") == "invalid", (entry, result)


@pytest.mark.parametrize("secret", ["new", "wrong place"])
def test_async(run, secret):
    task = _aws("async", "new")
    if secret == "wrong place":
        task[MODULE]["config"]["secretKey"] = task[MODULE].pop("secrets")["secretKey"]
    waited = {
        "ansible.builtin.async_status": {"jid": "{{ job.ansible_job_id }}"},
        "register": "done",
        "until": "done is finished",
        "retries": 60,
        "delay": 0.25,
    }
    played = run.play(
        {**task, "async": 60, "poll": 0, "register": "job"}, _shown("job"), waited, _shown("done"), as_module=True
    )
    done = played.results[2]
    assert (done.get("code") == "invalid") if secret != "new" else done["credential"]["action"] == "created", done
    assert list((run.folder / "jobs").iterdir()), "no job was kept to look into"


def test_annotations_of_other_tools(run, cluster):
    """kubectl apply stores its input in an annotation, with former secrets."""
    older = base64.b64encode(run.canaries["older"].encode()).decode()
    applied = {"data": {"amazonec2credentialConfig-secretKey": older}, "stringData": {"a": run.canaries["old"]}}
    key = "kubectl.kubernetes.io/last-applied-configuration"
    cluster.secret(
        "cc-applied",
        "amazonec2",
        {"accessKey": "A", "secretKey": run.canaries["old"]},
        "applied",
        annotations={key: json.dumps(applied)},
    )
    cluster.api.post(
        SECRETS,
        {  # fields of two drivers
            "metadata": {
                "name": "cc-mixed",
                "annotations": {key: json.dumps(applied), "field.cattle.io/name": "mixed"},
            },
            "stringData": {
                "azurecredentialConfig-clientSecret": run.canaries["old"],
                "amazonec2credentialConfig-secretKey": run.canaries["old"],
            },
        },
    )
    cluster.secret(
        "cc-custom", "custom", {"whatever": run.canaries["old"]}, "custom", annotations={key: json.dumps(applied)}
    )
    played = run.play(
        {INFO: {}, "register": "all"},
        _shown("all"),
        {MODULE: {"id": "cc-applied", "description": "d"}},
        {
            MODULE: {
                "id": "cc-applied",
                "secrets": {"secretKey": "{{ canary.new }}"},
                "annotations": {key: None, "mine": "1"},
            }
        },
        {MODULE: {"id": "cc-custom", "validate_config": False, "secrets": {"whatever": "{{ canary.new }}"}}},
        *[
            {MODULE: {"id": identifier, "state": "absent", "force": True}}
            for identifier in ("cc-applied", "cc-mixed", "cc-custom")
        ],
    )
    assert [task["status"] for task in played.tasks] == ["ok"] * 8, played.results
    assert [entry["name"] for entry in played.results[0]["credentials"]] == ["applied", "custom", "mixed"]
    assert played.results[3]["credential"]["changed_fields"] == ["annotations", "secretKey"]
    assert "mine" in played.output and "last-applied-configuration" in played.output


def test_syslog(run):
    """A module process logs its arguments to syslog unless they are no_log."""
    run.play(_aws("a", "new"), {"ansible.builtin.ping": {"data": "seen in syslog"}}, as_module=True)
    logged = (run.folder / "syslog").read_text()
    assert "seen in syslog" in logged, "the fake syslog received nothing"
    assert "AKIA1" not in logged and "eu-central-1" not in logged


def test_an_interrupted_module_leaves_no_secret(run, cluster):
    """Ctrl-C while a module waits for the API server."""
    reached = threading.Event()
    with FaultInjector(cluster.control_plane) as faults:
        faults.rule("GET", after(lambda seen: (reached.set(), time.sleep(2)), cut), times=1000)
        environment = cluster.environment(
            TMPDIR=str(run.folder / "tmp"),
            ANSIBLE_LOCAL_TEMP=str(run.folder / "tmp"),
            ANSIBLE_REMOTE_TMP=str(run.folder / "tmp"),
            ANSIBLE_PIPELINING="1",  # without, the interrupted ansible-core itself leaves the module's file behind
            K8S_AUTH_HOST=faults.url,
            K8S_AUTH_API_KEY=run.canaries["third"],
        )
        playbook, variables = run.folder / "playbook.yml", cluster.directory / "interrupted.vars.yml"
        playbook.write_text(
            yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": [_aws("a", "new")]}])
        )
        variables.write_text(yaml.safe_dump({"canary": run.canaries.values}))
        process = subprocess.Popen(
            [
                str(Path(other_interpreter()).with_name("ansible-playbook")),
                "-i",
                "localhost,",
                "-c",
                "local",
                str(playbook),
                "-e",
                f"@{variables}",
                "-e",
                f"ansible_python_interpreter={other_interpreter()}",
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert reached.wait(60)
        os.killpg(process.pid, 2)
        output = process.communicate(timeout=60)[0]
    run.canaries.assert_hidden(output, "output")
    for path in (run.folder / "tmp").rglob("*"):
        if path.is_file():
            run.canaries.assert_hidden(path.read_text(errors="replace"), str(path))
