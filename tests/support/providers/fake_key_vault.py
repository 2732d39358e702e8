# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of the secrets of a key vault in Azure, at the fake of Microsoft Entra, whose tokens it requires.

Sources: Microsoft's reference of Key Vault (secrets, 7.4) and public issues (bodies and codes of errors). Not
confirmed: the codes of errors for values, tags and names that are not valid. Not modelled: firewalls, the roles of
Azure RBAC, and a vault that is deleted itself.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from urllib.parse import urlsplit

from support.providers.fake_azure import RANCHER, STRANGER, TENANT, FakeAzure
from support.providers.fake_provider import answer_json

VAULT = "https://ranchhand.vault.azure.net"
_SCOPES = ("https://vault.azure.net/.default",)
_SECRET = re.compile(r"/(secrets|deletedsecrets)/([0-9A-Za-z-]{1,127})")
_LARGEST = 25 * 1024  # bytes of a value


class FakeKeyVault(FakeAzure):
    """One vault. RANCHER may get and set secrets, if ``rights`` contains that; STRANGER may do nothing.

    ``secrets`` has the versions of each secret, the oldest one first, ``deleted`` the names of those that were deleted
    and not purged.
    """

    def __init__(self, folder):
        super().__init__(folder)
        self.secrets, self.deleted, self.rights = {}, set(), {"get", "set"}

    def settings(self, name="rancher-aws"):
        """Return the settings and secrets of a store for a secret, as RANCHER."""
        place = {"vault_url": VAULT, "secret_name": name, "tenant_id": TENANT}
        signer = self.create_key(RANCHER)
        return (
            {**place, "type": "azure_key_vault", "endpoint_url": self.url, "ca_bundle": str(self.ca_bundle)},
            {"client_id": RANCHER, "client_secret": signer["clientSecret"]},
        )

    def put(self, name, value, tags=None, **attributes):
        """Add a version as another client does."""
        version = {
            "id": f"{VAULT}/secrets/{name}/{secrets.token_hex(16)}", "value": value, "tags": tags or {},
            "contentType": None, "attributes": {"enabled": True, "created": int(time.time()), **attributes},
        }
        self.secrets.setdefault(name, []).append(version)
        return version

    def handle(self, seen):
        target = urlsplit(seen.path)
        if not target.path.startswith(("/secrets/", "/deletedsecrets/")):
            return super().handle(seen)
        client_id = self.client_of(seen, _SCOPES)
        if client_id is None:
            return _error(401, "Unauthorized")
        match = _SECRET.fullmatch(target.path)
        if match is None or target.query != "api-version=7.4":
            return _error(400, "BadParameter")
        permission = {"GET": "get", "PUT": "set"}.get(seen.method)
        if permission not in self.rights or client_id == STRANGER:
            return _error(403, "Forbidden", "ForbiddenByPolicy")
        collection, name = match.groups()
        if collection == "deletedsecrets":
            return answer_json(200, {"recoveryId": "r"}) if name in self.deleted else _error(404, "SecretNotFound")
        if seen.method == "PUT":
            return self._set(name, json.loads(seen.body))
        if name not in self.secrets or name in self.deleted:
            return _error(404, "SecretNotFound")
        latest = self.secrets[name][-1]
        if not latest["attributes"]["enabled"]:
            return _error(403, "Forbidden", "SecretDisabled")
        return answer_json(200, latest)  # also if it has expired

    def _set(self, name, body):
        value, tags, kind = body.get("value"), body.get("tags", {}), body.get("contentType")
        if set(body) - {"value", "tags", "contentType"} or not isinstance(value, str) or not isinstance(kind, str):
            return _error(400, "BadParameter")
        if not isinstance(tags, dict) or len(tags) > 15 or len(value.encode()) > _LARGEST:
            return _error(400, "BadParameter")
        if not all(isinstance(text, str) and len(text) <= 256 for pair in tags.items() for text in pair):
            return _error(400, "BadParameter")
        if name in self.deleted:
            return _error(409, "Conflict", "ObjectIsDeletedButRecoverable")
        version = self.put(name, value, tags)
        version["contentType"] = kind
        return answer_json(200, version)


def _error(status, code, detail=None):
    inner = {"innererror": {"code": detail}} if detail else {}
    return answer_json(status, {"error": {"code": code, "message": f"{code}.", **inner}})
