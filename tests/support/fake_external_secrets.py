# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake External Secrets Operator, which writes a credential from the KV engine of Vault.

As the real operator does, it sets an owner reference, and writes if its ExternalSecret or the Secret has changed. A
change of the store alone is not noticed, as the refresh interval is an hour. It knows no templates, SecretStores and
deletion policies.
"""

from __future__ import annotations

import base64
import contextlib
import threading

from control_plane import ApiError

from .cluster import SECRETS

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
EXTERNAL_SECRETS = "/apis/external-secrets.io/v1/namespaces/cattle-global-data/externalsecrets"
_NAMES = {"kind": "ExternalSecret", "plural": "externalsecrets", "singular": "externalsecret"}
_SCHEMA = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "externalsecrets.external-secrets.io"},
    "spec": {
        "group": "external-secrets.io", "scope": "Namespaced", "names": _NAMES,
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": _SCHEMA}],
    },
}


class FakeExternalSecrets:
    """Writes the Secret ``target`` from ``path`` of Vault; ``fields`` maps keys of its data to names in Vault.

    While ``suspended`` is set, nothing is written.
    """

    def __init__(self, api, vault, target, path, fields):
        self.api, self.vault, self.target, self.path, self.fields = api, vault, target, path, fields
        self.name = f"from-vault-{target}"
        self.suspended = threading.Event()
        self._ended = threading.Event()
        self._synced = None

    def __enter__(self):
        with contextlib.suppress(ApiError):  # another test has created it
            self.api.post(CRDS, _CRD)
        self._owner = self._create()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._ended.set()
        self._thread.join()
        self.api.delete(f"{EXTERNAL_SECRETS}/{self.name}")

    def _create(self):
        body = {
            "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": self.name},
            "spec": {"refreshInterval": "1h", "target": {"name": self.target}},
        }
        while True:
            try:
                return self.api.post(EXTERNAL_SECRETS, body)["metadata"]
            except ApiError as error:  # the definition is not served yet
                if error.status != 404 or self._ended.wait(0.1):
                    raise

    def _work(self):
        while not self._ended.wait(0.05):
            if not self.suspended.is_set():
                self._reconcile()

    def _reconcile(self):
        own = self.api.get(f"{EXTERNAL_SECRETS}/{self.name}")["metadata"]
        secret = self.api.get(f"{SECRETS}/{self.target}")
        seen = (own.get("annotations"), secret["data"])
        if seen == self._synced:
            return
        stored = self.vault.read(self.path)[0]
        data = {key: base64.b64encode(stored[name].encode()).decode() for key, name in self.fields.items()}
        owner = {
            "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": self.name, "uid": own["uid"],
            "controller": True,
        }
        written = self.api.patch(
            f"{SECRETS}/{self.target}", {"data": data, "metadata": {"ownerReferences": [owner]}})
        self._synced = (own.get("annotations"), written["data"])
