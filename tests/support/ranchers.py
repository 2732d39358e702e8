# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two Ranchers as two hosts of an inventory, and an environment that names a third server."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading

import yaml

from support.playbooks import ansible_playbook


class ThirdServer:
    """A server that counts connections and answers none, and the environment that names it."""

    def __init__(self, folder):
        self.contacts = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.kubeconfig = folder / "third.kubeconfig"
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "third",
                    "users": [{"name": "third", "user": {"token": "third"}}],
                    "clusters": [{"name": "third", "cluster": {"server": self.url}}],
                    "contexts": [{"name": "third", "context": {"cluster": "third", "user": "third"}}],
                }
            )
        )

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
        """Variables for ansible-playbook in which everything names this server."""
        return {
            "K8S_AUTH_KUBECONFIG": str(self.kubeconfig),
            "KUBECONFIG": str(self.kubeconfig),
            "K8S_AUTH_CONTEXT": "third",
            "K8S_AUTH_HOST": self.url,
            "K8S_AUTH_API_KEY": "third",
            "K8S_AUTH_VERIFY_SSL": "false",
            "K8S_AUTH_PROXY": self.url,
            "K8S_AUTH_IMPERSONATE_USER": "nobody",
            "K8S_AUTH_SSL_CA_CERT": "/nonexistent",
        }


def write_inventory(folder, **hosts):
    """Write an inventory with these hosts, in the group ranchers, and their variables; returns its path."""
    path = folder / "ranchers.yml"
    common = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    path.write_text(yaml.safe_dump({"ranchers": {"hosts": hosts, "vars": common}}))
    return str(path)


def run_playbook(playbook, folder, environment, *arguments, variables=None):
    """Run ansible-playbook without a terminal on the inventory of the folder; returns its exit code and output."""
    path = folder / "variables.yml"
    path.write_text(yaml.safe_dump(variables or {}))
    command = [
        "-i", str(folder / "ranchers.yml"), "-e", f"@{path}", str(playbook), *arguments,
    ]  # fmt: skip
    done = ansible_playbook(*command, env=environment, cwd=folder, timeout=180)
    return done.returncode, done.stdout
