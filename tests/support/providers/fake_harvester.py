# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of a Rancher that a Harvester cluster is imported into: tokens, kubeconfigs, and the proxy to the cluster.

Sources: Rancher 2.9 to 2.15 (pkg/auth/tokens, pkg/auth/requests, the action generateKubeconfig, and the controller of
cloud credentials). Not confirmed: the status of a cluster that the user may not read, which depends on the store.
"""

from __future__ import annotations

import base64
import datetime
import re
import secrets
from typing import ClassVar

import yaml

from support.providers.fake_provider import UTC, FakeKey, FakeProvider, answer_json, format_zulu

CLUSTER = "c-m-7kq2fxyz"
MONTH = 43200 * 60000  # milliseconds, of the setting kubeconfig-default-token-ttl-minutes
_PROXY = f"/k8s/clusters/{CLUSTER}"
_OWN = re.compile("/v3/tokens/([^/?]+)")


class FakeHarvester(FakeProvider):
    """Principals are users, all of whom may manage their own tokens. Every user has access to the cluster, unless
    ``forbidden`` is set.

    ``generates_tokens`` and ``ttl`` are settings, ``has_endpoint`` whether the cluster has an authorized endpoint,
    ``reports_use`` whether this Rancher is 2.10 or newer.
    """

    issuer = "harvester"
    issuing = "POST .*action=generateKubeconfig$"
    principal = rotator = "u-rancher"
    stranger = "u-stranger"
    secret_field = "kubeconfigContent"
    unrestricted = ("keys", "delete")
    lenient = ("issue",)  # the secret must not be lost if the end of the token cannot be read
    ends_at_cutover = True
    given: ClassVar = {"rancher_token": "token"}

    def __init__(self, folder):
        super().__init__(folder)
        self.generates_tokens, self.ttl, self.has_endpoint, self.reports_use = True, MONTH, False, True
        self.cluster_version = 28

    @property
    def options(self):
        """The CA is in the kubeconfig."""
        return {"propagation": "0s", "rancher_url": self.url}

    def generate(self, owner, name=None, ttl=0):
        key_id = name or f"kubeconfig-{owner}{secrets.token_hex(5)}"
        key = self.add(FakeKey(key_id, secrets.token_hex(27), owner, more={"ttl": ttl}))
        self._set_expiry(key)
        return key

    def _set_expiry(self, key):
        if key.more["ttl"]:
            key.expires_at = key.created_at + datetime.timedelta(milliseconds=key.more["ttl"])

    def kubeconfig(self, token, **server):
        """Return what Rancher generates; without a token, it runs a program."""
        user = {"token": token} if token else {"exec": {"command": "rancher", "args": ["token"]}}
        authority = base64.b64encode(self.ca_bundle.read_bytes()).decode()
        return yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "hv",
            "clusters": [{"name": "hv", "cluster": {
                "server": self.url + _PROXY, "certificate-authority-data": authority, **server,
            }}],
            "users": [{"name": "hv", "user": user}],
            "contexts": [{"name": "hv", "context": {"cluster": "hv", "user": "hv"}}],
        }, sort_keys=False)

    def credential(self, key):
        text = self.kubeconfig(f"{key.id}:{key.secret}")
        return {"clusterType": "imported", "clusterId": CLUSTER, "kubeconfigContent": text}

    def administrator(self, owner=None):
        """Return an API key of the same user."""
        key = self.generate(owner or self.rotator, f"token-{secrets.token_hex(3)[:5]}")
        return {"sign_in": "given", "rancher_token": f"{key.id}:{key.secret}"}

    def secrets_of(self, values):
        found = re.findall("token: *'?\"?[^:]+:([a-z0-9]+)", values["kubeconfigContent"])
        return found or [values["kubeconfigContent"]]

    def mix(self, values, other):
        mine, others = self.secrets_of(values)[0], self.secrets_of(other)[0]
        return {**values, "kubeconfigContent": values["kubeconfigContent"].replace(mine, others)}

    def credential_changed(self, text):
        """Do what Rancher's controller does with a credential: its token never ends, all others of its kind end.

        Rancher deletes only those that the credential contained before; here, a user has a single credential.
        """
        kept = yaml.safe_load(text)["users"][0]["user"]["token"].partition(":")[0]
        with self._lock:
            for key in [key for key in self.keys.values() if key.more.get("owned") and key.id != kept]:
                del self.keys[key.id]
            if kept in self.keys:
                # The time of its end is left in the token.
                self.keys[kept].more.update(owned=True, ttl=0, left=self.keys[kept].expires_at)
                self.keys[kept].expires_at = None

    def handle(self, seen):
        key = self._sign_in(seen)
        if key is None:
            return _error(401, "Unauthorized", "must authenticate")
        path, _question, query = seen.path.partition("?")
        match = _OWN.fullmatch(path)
        if path == "/v3/tokens" and seen.method == "GET":
            found = [self._show(each) for each in self.listed(key.owner)]
            return answer_json(200, {"type": "collection", "resourceType": "token", "data": found})
        if match:
            return self._manage(seen.method, self.keys.get(match[1]), key)
        if self.forbidden and path.startswith((_PROXY, f"/v3/clusters/{CLUSTER}")):
            return _error(403, "Forbidden", f'clusters "{CLUSTER}" is forbidden')
        if path == f"/v3/clusters/{CLUSTER}" and seen.method == "GET":
            return answer_json(200, {
                "id": CLUSTER, "type": "cluster", "localClusterAuthEndpoint": {"enabled": self.has_endpoint},
            })
        if path == f"/v3/clusters/{CLUSTER}" and seen.method == "POST" and query == "action=generateKubeconfig":
            new = self.generate(key.owner, ttl=self.ttl) if self.generates_tokens else None
            config = self.kubeconfig(new and f"{new.id}:{new.secret}")
            return answer_json(200, {"type": "generateKubeconfigOutput", "config": config})
        if path == f"{_PROXY}/version" and seen.method == "GET":
            return answer_json(200, {"major": "1", "minor": str(self.cluster_version), "gitVersion": "v1"})
        if path == f"{_PROXY}/apis/authentication.k8s.io/v1/selfsubjectreviews" and self.cluster_version >= 28:
            return answer_json(201, {"status": {"userInfo": {"username": key.owner}}})
        return _error(404, "NotFound", "not found")

    def _manage(self, method, found, caller):
        if found is None or found.owner != caller.owner:
            return _error(404, "NotFound", "not found")
        if method == "GET":
            return answer_json(200, self._show(found))
        if method != "DELETE":
            return _error(405, "MethodNotAllow", "Method not supported")
        del self.keys[found.id]
        return 204, {}, b""

    def _sign_in(self, seen):
        name, _colon, secret = seen.headers.get("authorization", "").removeprefix("Bearer ").partition(":")
        key = self.keys.get(name)
        if key is None or not secrets.compare_digest(key.secret, secret):
            return None
        if not (seen.path.startswith("/v3/tokens") or self.accepts(key)) or not key.enabled or _is_expired(key):
            return None
        if self.reports_use:
            for each in (key, (self._listed or {}).get(name)):
                if each:
                    each.used = datetime.datetime.now(UTC)
        return key

    def _show(self, key):
        return {
            "id": key.id, "name": key.id, "type": "token", "userId": key.owner, "isDerived": True, "expired": False,
            "ttl": key.more["ttl"], "created": format_zulu(key.created_at), "enabled": key.enabled,
            "expiresAt": format_zulu(expires) if (expires := key.expires_at or key.more.get("left")) else "",
            **({"lastUsedAt": format_zulu(key.used)} if key.used else {}),
        }


def _is_expired(key):
    return key.expires_at is not None and key.expires_at <= datetime.datetime.now(UTC)


def _error(status, code, message):
    return answer_json(status, {"type": "error", "status": status, "code": code, "message": message})
