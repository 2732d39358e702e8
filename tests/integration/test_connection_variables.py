# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection variables of hosts: two Ranchers as two hosts, and an environment that names a third server, which must not be contacted."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
import yaml

from support.cluster import INFO, MODULE

LOOKUP = "{{ lookup('ranchhand.rancher.connection') }}"
ALL = "group/ranchhand.rancher.all"
CONNECTION = "group/ranchhand.rancher.connection"


class Listener:
    """A server that counts connections and answers none; its kubeconfig names it."""

    def __init__(self, folder):
        self.contacts = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.kubeconfig = folder / "third.kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "third", "users": [{"name": "third", "user": {"token": "third"}}],
            "clusters": [{"name": "third", "cluster": {"server": self.url}}],
            "contexts": [{"name": "third", "context": {"cluster": "third", "user": "third"}}],
        }))

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _address = self._socket.accept()
                self.contacts += 1
                connection.close()

    def __exit__(self, *exception):
        self._socket.close()

    @property
    def environment(self):
        """An environment in which everything names this server."""
        return {
            "K8S_AUTH_KUBECONFIG": str(self.kubeconfig), "K8S_AUTH_CONTEXT": "third", "K8S_AUTH_HOST": self.url, "K8S_AUTH_API_KEY": "third",
            "K8S_AUTH_VERIFY_SSL": "false", "K8S_AUTH_PROXY": self.url, "K8S_AUTH_IMPERSONATE_USER": "nobody",
            "K8S_AUTH_SSL_CA_CERT": "/nonexistent",
        }


@pytest.fixture
def third(tmp_path):
    with Listener(tmp_path) as listener:
        yield listener


def inventory(tmp_path, **hosts):
    """Path of an inventory with these hosts and their variables."""
    path = tmp_path / "ranchers.yml"
    path.write_text(yaml.safe_dump({"ranchers": {"hosts": hosts, "vars": {"ansible_connection": "local"}}}))
    return str(path)


def listed(played):
    """Names of the credentials that each host listed."""
    assert all(not task["result"]["failed"] for task in played.tasks), played.output
    return {task["host"]: [credential["name"] for credential in task["result"]["credentials"]] for task in played.tasks}


@pytest.fixture
def ranchers(cluster, cluster_215, tmp_path):
    """Arguments with an inventory of two Ranchers, each with a credential that has its name."""
    cluster.secret("cc-a", display_name="of-a")
    cluster_215.secret("cc-b", display_name="of-b")
    return ["-i", inventory(
        tmp_path, a={"rancher_kubeconfig": str(cluster.control_plane.kubeconfig)},
        b={"path_of_b": str(cluster_215.control_plane.kubeconfig), "rancher_kubeconfig": "{{ path_of_b }}"},
    )]


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
    """The host's connection replaces that of the play's defaults; other defaults are kept, and options of the task win."""
    play = {"hosts": "ranchers", "module_defaults": {ALL: {"name": "of-a", "host": third.url, "api_key": "play", "context": "third"}}}
    defaults = {"module_defaults": {CONNECTION: LOOKUP}}
    played = cluster.play({**defaults, "block": [{INFO: {}}]}, play=play, arguments=ranchers, environment=third.environment)
    assert listed(played) == {"a": ["of-a"], "b": []}
    explicit = {INFO: {"name": "of-b", "kubeconfig": str(cluster_215.control_plane.kubeconfig)}}
    played = cluster.play({**defaults, "block": [explicit]}, play=play, arguments=ranchers, environment=third.environment)
    assert listed(played) == {"a": ["of-b"], "b": ["of-b"]}
    assert third.contacts == 0


def test_the_environment_is_used_where_a_host_names_no_server(cluster, tmp_path):
    hosts = ["-i", inventory(tmp_path, a={}, b={"rancher_kubeconfig": "", "rancher_context": None, "rancher_host": "{{ none }}"})]
    cluster.secret("cc-a", display_name="of-a")
    played = cluster.play({INFO: {}}, play={"hosts": "ranchers", "module_defaults": {ALL: LOOKUP}}, arguments=hosts)
    assert listed(played) == {"a": ["of-a"], "b": ["of-a"]}


@pytest.mark.parametrize(("variables", "message"), [
    ({"rancher_host": ["canary"]}, "rancher_host must be a string, not a list"),
    ({"rancher_kubeconfig": 1}, "rancher_kubeconfig must be a path, a mapping or YAML text"),
    ({"rancher_validate_certs": "canary"}, "rancher_validate_certs must be true or false, not this string"),
    ({"rancher_host": "https://x", "rancher_api_key": {"canary": 1}}, "rancher_api_key must be a string, not a mapping"),
], ids=["host", "kubeconfig", "validate_certs", "api_key"])
def test_types(cluster, tmp_path, third, variables, message):
    played = cluster.play({MODULE: {"name": "x", "state": "absent"}}, play={"hosts": "ranchers", "module_defaults": {ALL: LOOKUP}},
                          arguments=["-i", inventory(tmp_path, a=variables), "-vvv"], environment=third.environment)
    assert message in played.output and "canary" not in played.output, played.output
    assert third.contacts == 0


def test_no_api_key_in_the_output(cluster, tmp_path, third):
    variables = {"rancher_host": cluster.control_plane.url, "rancher_api_key": "canary-key", "rancher_validate_certs": False}
    played = cluster.play({INFO: {}}, play={"hosts": "ranchers", "module_defaults": {ALL: LOOKUP}},
                          arguments=["-i", inventory(tmp_path, a=variables), "-vvvv"], environment=third.environment)
    assert played.tasks[0]["result"]["code"] == "forbidden", played.output
    assert "canary" not in played.output
    assert third.contacts == 0
