# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of Google Secret Manager, at the fake of Google's token endpoint, whose tokens it requires.

Sources: the reference of Secret Manager v1 (paths, members, states, consistency) and public issues (bodies of
refusals). Not modelled: regional secrets, KMS keys, aliases except ``latest``, and quotas of requests.
"""

from __future__ import annotations

import base64
import binascii
import json
import re

from support.providers.fake_google import FIELD, PROJECT, RANCHER, FakeGoogle
from support.providers.fake_provider import answer_json

_SECRET = re.compile(r"/v1/projects/([^/]+)/secrets/([\w-]+)(?:/versions/(latest|\d+):(access)|:(addVersion))?")
_LARGEST = 64 * 1024  # bytes of a value


class FakeSecretManager(FakeGoogle):
    """The secrets of the project. RANCHER has the permissions in ``rights``; no other account has any.

    ``secrets`` has the versions of each secret, a state and the bytes of a value, the oldest one first. ``lag`` is the
    number of versions that ``latest`` does not show yet. ``adding`` is called before a version is added.
    """

    def __init__(self, folder):
        super().__init__(folder)
        self.secrets, self.rights, self.lag, self.adding = {}, {"versions.access", "versions.add", "get"}, 0, None

    def settings(self, name="rancher-aws"):
        """Return the settings and secrets of a store for a secret, as RANCHER."""
        settings = {"project_id": PROJECT, "secret_id": name, "type": "google_secret_manager"}
        return (
            {**settings, "endpoint_url": self.url, "ca_bundle": str(self.ca_bundle)},
            {"credentials": self.create_key(RANCHER)[FIELD]},
        )

    def put(self, name, value):
        """Add a version as another client does."""
        self.secrets.setdefault(name, []).append(["ENABLED", value.encode()])

    def handle(self, seen):
        match = _SECRET.fullmatch(seen.path)
        if match is None:
            return super().handle(seen)
        caller = self.account_of(seen)
        if caller is None:
            return _error(401, "UNAUTHENTICATED")
        project, name, version, access, add = match.groups()
        permission = "versions.access" if access else "versions.add" if add else "get"
        if caller != RANCHER or project != PROJECT or permission not in self.rights:
            return _error(403, "PERMISSION_DENIED", f"secretmanager.{permission} denied (or it may not exist).")
        if seen.method != ("POST" if add else "GET"):
            return _error(404, "NOT_FOUND")
        if access:
            return self._read_version(name, version)
        if name not in self.secrets:
            return _error(404, "NOT_FOUND", f"Secret [{name}] not found.")
        if add:
            return self._add(name, json.loads(seen.body))
        return answer_json(200, {"name": f"projects/{PROJECT}/secrets/{name}", "replication": {"automatic": {}}})

    def _read_version(self, name, version):
        versions = self.secrets.get(name, [])
        number = len(versions) - self.lag if version == "latest" else int(version)
        if not 0 < number <= len(versions):
            return _error(404, "NOT_FOUND", f"Secret [{name}] not found or has no versions.")
        state, value = versions[number - 1]
        if state != "ENABLED":
            return _error(400, "FAILED_PRECONDITION", f"Secret Version [{number}] is in {state} state.")
        payload = {"data": base64.b64encode(value).decode(), "dataCrc32c": str(_crc32c(value))}
        return answer_json(200, {"name": _version(name, number), "payload": payload})

    def _add(self, name, body):
        payload = body.get("payload")
        if set(body) != {"payload"} or not isinstance(payload, dict) or set(payload) - {"data", "dataCrc32c"}:
            return _error(400, "INVALID_ARGUMENT")
        try:
            value = base64.b64decode(payload.get("data", 0), validate=True)
        except (binascii.Error, TypeError, ValueError):
            return _error(400, "INVALID_ARGUMENT")
        if len(value) > _LARGEST or str(payload.get("dataCrc32c", _crc32c(value))) != str(_crc32c(value)):
            return _error(400, "INVALID_ARGUMENT")
        if self.adding:
            self.adding()
        self.secrets[name].append(["ENABLED", value])
        return answer_json(200, {"name": _version(name, len(self.secrets[name])), "state": "ENABLED"})


def _version(name, number):
    return f"projects/1234567890/secrets/{name}/versions/{number}"


def _crc32c(content):
    """Return the checksum that Secret Manager uses (Castagnoli)."""
    checksum = 0xFFFFFFFF
    for byte in content:
        checksum ^= byte
        for _bit in range(8):
            checksum = checksum >> 1 ^ (0x82F63B78 if checksum & 1 else 0)
    return checksum ^ 0xFFFFFFFF


def _error(status, name, message="Not found"):
    return answer_json(status, {"error": {"code": status, "message": message, "status": name}})
