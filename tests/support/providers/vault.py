# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The KV secrets engine of Vault, version 2, at the mount `secret`, on loopback.

    with VaultKv() as vault:
        vault.write("rancher/aws", {"access_key": "AKIA"})

The engine is Vault's own (vault-plugin-secrets-kv), with its check-and-set, deletions and errors. Tokens, policies and
the router are those of tests/control_plane/go/vault-kv: one token may do everything, the other may only read.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess

import urllib3

from control_plane.build import ensure_vault_kv


class VaultKv:
    """A server in a process of its own; everything is in memory."""

    def __enter__(self):
        self.token, self.reader = secrets.token_hex(16), secrets.token_hex(16)
        environment = {"VAULT_KV_WRITER": self.token, "VAULT_KV_READER": self.reader}
        self._process = subprocess.Popen(
            [ensure_vault_kv()], env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)
        self.url = "http://" + self._process.stdout.readline().strip()
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(5))
        return self

    def __exit__(self, *_error):
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()

    def request(self, method, path, body=None):
        """Return the status and the JSON of an answer."""
        payload = None if body is None else json.dumps(body)
        headers = {"X-Vault-Token": self.token}
        answer = self._pool.request(method, f"{self.url}/v1/secret/{path}", body=payload, headers=headers)
        return answer.status, json.loads(answer.data or "{}")

    def write(self, path, fields):
        status, answer = self.request("POST", f"data/{path}", {"data": fields})
        assert status == 200, answer

    def read(self, path):
        """Return the fields and the version of a secret."""
        status, answer = self.request("GET", f"data/{path}")
        assert status == 200, answer
        return answer["data"]["data"], answer["data"]["metadata"]["version"]
