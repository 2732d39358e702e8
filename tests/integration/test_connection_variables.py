# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection variables of hosts: two Ranchers as two hosts, and an environment that names a third server, which
must not be contacted."""

from __future__ import annotations

import pytest

from support.cluster import INFO, MODULE
from support.ranchers import ThirdServer, write_inventory

LOOKUP = "{{ lookup('ranchhand.rancher.connection') }}"
ALL = "group/ranchhand.rancher.all"
CONNECTION = "group/ranchhand.rancher.connection"


@pytest.fixture
def third(tmp_path):
    with ThirdServer(tmp_path) as listener:
        yield listener


def listed(played):
    """Names of the credentials that each host listed."""
    assert all(not task["result"]["failed"] for task in played.tasks), played.output
    return {task["host"]: [credential["name"] for credential in task["result"]["credentials"]] for task in played.tasks}


@pytest.fixture
def ranchers(cluster, cluster_215, tmp_path):
    """Arguments with an inventory of two Ranchers, each with a credential that has its name."""
    cluster.secret("cc-a", display_name="of-a")
    cluster_215.secret("cc-b", display_name="of-b")
    return [
        "-i",
        write_inventory(
            tmp_path,
            a={"rancher_kubeconfig": str(cluster.control_plane.kubeconfig)},
            b={
                "path_of_b": str(cluster_215.control_plane.kubeconfig),
                "rancher_kubeconfig": "{{ path_of_b }}",
                "rotate_kubeconfig": "{{ rancher_kubeconfig }}",  # former, with the same value
            },
        ),
    ]


@pytest.mark.parametrize("as_module", [False, True], ids=["in process", "as a module"])
@pytest.mark.parametrize("level", ["play", "block"])
def test_module_defaults_of_each_host(cluster, ranchers, third, level, as_module):
    task = {INFO: {}}
    play = {"hosts": "ranchers"}
    if level == "play":
        play["module_defaults"] = {ALL: LOOKUP}
    else:
        task = {"module_defaults": {CONNECTION: LOOKUP}, "block": [task]}
    played = cluster.play(task, play=play, arguments=ranchers, environment=third.environment, as_module=as_module)
    assert listed(played) == {"a": ["of-a"], "b": ["of-b"]}
    assert third.contacts == 0


def test_what_a_play_and_a_task_set_is_kept(cluster, cluster_215, ranchers, third):
    """The host's connection replaces that of the play's defaults; other defaults are kept, and options of the task
    win."""
    play = {
        "hosts": "ranchers",
        "module_defaults": {ALL: {"name": "of-a", "host": third.url, "api_key": "play", "context": "third"}},
    }
    defaults = {"module_defaults": {CONNECTION: LOOKUP}}
    played = cluster.play(
        {**defaults, "block": [{INFO: {}}]}, play=play, arguments=ranchers, environment=third.environment
    )
    assert listed(played) == {"a": ["of-a"], "b": []}
    explicit = {INFO: {"name": "of-b", "kubeconfig": str(cluster_215.control_plane.kubeconfig)}}
    played = cluster.play(
        {**defaults, "block": [explicit]}, play=play, arguments=ranchers, environment=third.environment
    )
    assert listed(played) == {"a": ["of-b"], "b": ["of-b"]}
    assert third.contacts == 0


def test_the_environment_is_used_where_a_host_names_no_server(cluster, tmp_path):
    hosts = [
        "-i",
        write_inventory(
            tmp_path, a={}, b={"rancher_kubeconfig": "", "rancher_context": None, "rancher_host": "{{ none }}"}
        ),
    ]
    cluster.secret("cc-a", display_name="of-a")
    played = cluster.play({INFO: {}}, play={"hosts": "ranchers", "module_defaults": {ALL: LOOKUP}}, arguments=hosts)
    assert listed(played) == {"a": ["of-a"], "b": ["of-a"]}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        pytest.param({"rancher_host": ["canary"]}, "rancher_host must be a string, not a list", id="host"),
        pytest.param(
            {"rancher_kubeconfig": 1},
            "rancher_kubeconfig must be a path, a mapping or YAML text",
            id="kubeconfig",
        ),
        pytest.param(
            {"rancher_validate_certs": "canary"},
            "rancher_validate_certs must be true or false, not this string",
            id="validate_certs",
        ),
        pytest.param(
            {"rancher_host": "https://x", "rancher_api_key": {"canary": 1}},
            "rancher_api_key must be a string, not a mapping",
            id="api_key",
        ),
        pytest.param(
            {"rancher_host": "https://x", "rotate_host": "{{ 'https://can' ~ 'ary' }}"},
            "rotate_host is ignored, and rancher_host has another value or none. Remove rotate_host",
            id="former variable",
        ),
    ],
)
def test_what_is_refused(cluster, tmp_path, third, variables, message):
    played = cluster.play(
        {MODULE: {"name": "x", "state": "absent"}},
        play={"hosts": "ranchers", "module_defaults": {ALL: LOOKUP}},
        arguments=["-i", write_inventory(tmp_path, a=variables), "-vvv"],
        environment=third.environment,
    )
    assert message in played.output and "canary" not in played.output, played.output
    assert third.contacts == 0


def test_no_api_key_in_the_output(cluster, tmp_path, third):
    variables = {
        "rancher_host": cluster.control_plane.url,
        "rancher_api_key": "canary-key",
        "rancher_validate_certs": False,
    }
    played = cluster.play(
        {INFO: {}},
        play={"hosts": "ranchers", "module_defaults": {ALL: LOOKUP}},
        arguments=["-i", write_inventory(tmp_path, a=variables), "-vvvv"],
        environment=third.environment,
    )
    assert played.tasks[0]["result"]["code"] == "forbidden", played.output
    assert "canary" not in played.output
    assert third.contacts == 0
