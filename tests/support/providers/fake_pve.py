# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of Proxmox VE: API tokens, roles and permissions.

Sources: the API description of Proxmox VE 8, and exec_api2_perm_check of pve-access-control, in which a token is never
the user itself. Not checked: realms, and the replication of a cluster.
"""

from __future__ import annotations

import datetime
import json
import re
import secrets
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from support.providers.fake_provider import UTC, FakeKey, FakeProvider, answer_json

ROLES = {
    "RancherMachines": {"VM.Allocate", "VM.Audit", "Datastore.AllocateSpace"},
    "ManageTokens": {"User.Modify"},
    "ManagePermissions": {"User.Modify", "Permissions.Modify"},
}
_DENIED = answer_json(403, {"data": None, "message": "Permission check failed"})


class FakePve(FakeProvider):
    """``acl`` contains entries of users and tokens, as the API returns them. Without ``grantable``, none can be added.
    """

    issuer = "pve"
    issuing = "POST .*/token/[^/]+$"
    principal, stranger, rotator = "rancher@pve", "stranger@pve", "rotator@pve"
    secret_field = "tokenSecret"
    given: ClassVar = {"token_id": "tokenId", "token_secret": "tokenSecret"}

    def __init__(self, folder):
        super().__init__(folder)
        self.acl = []
        self.users = set()
        self.grantable = True

    def grant(self, kind, name, role, path="/"):
        self.acl.append({"type": kind, "ugid": name, "roleid": role, "path": path, "propagate": 1})

    def generate(self, owner, name=None, mark=None, expires_at=None, privsep=0):
        if owner not in self.users:
            self.users.add(owner)
            for role in ("RancherMachines", "ManagePermissions" if owner == self.rotator else "ManageTokens"):
                self.grant("user", owner, role)
        token_id = f"{owner}!{name or f't{secrets.token_hex(4)}'}"
        more = {"privsep": privsep}
        return self.add(FakeKey(token_id, secrets.token_hex(16), owner, mark, expires_at, more=more))

    def credential(self, key):
        return {"url": f"{self.url}/api2/json", "insecureTls": "false", "tokenId": key.id, "tokenSecret": key.secret}

    def privileges(self, identity):
        """Return paths and privileges of a user or token."""
        key = self.keys.get(identity)
        if key is None:
            return self._granted("user", identity)
        user = self._granted("user", key.owner)
        return user & self._granted("token", identity) if key.more["privsep"] else user

    def _granted(self, kind, name):
        return {
            (entry["path"], privilege) for entry in self.acl if (entry["type"], entry["ugid"]) == (kind, name)
            for privilege in ROLES[entry["roleid"]]
        }

    def _may(self, identity, privilege, path):
        return any(
            name == privilege and (path == at or path.startswith(at.rstrip("/") + "/"))
            for at, name in self.privileges(identity)
        )

    def handle(self, seen):
        identity, _equals, secret = seen.headers.get("authorization", "").removeprefix("PVEAPIToken=").partition("=")
        key = self.keys.get(identity)
        if key is None or key.secret != secret or not self.accepts(key):
            return answer_json(401, {"data": None})
        path = urlsplit(seen.path).path.removeprefix("/api2/json")
        tokens = re.fullmatch(r"/access/users/([^/]+)/token(?:/([^/]+))?", path)
        if path == "/version":
            return answer_json(200, {"data": {"version": "8.2"}})
        if path == "/access/permissions":
            found = {}
            for at, name in sorted(self.privileges(identity)):
                found.setdefault(at, {})[name] = 1
            return answer_json(200, {"data": found})
        if path == "/access/acl":
            return self._acl(seen, identity)
        if tokens:
            user, name = unquote(tokens.group(1)), tokens.group(2)
            # The user itself may, but no token is the user.
            if self.forbidden or user not in self.users or not self._may(identity, "User.Modify", "/access/groups"):
                return _DENIED
            return self._tokens(seen, user, name)
        return answer_json(501, {"data": None, "message": "Method not implemented"})

    def _acl(self, seen, identity):
        if seen.method == "GET":
            return answer_json(200, {
                "data": [entry for entry in self.acl if self._may(identity, "Permissions.Modify", entry["path"])]
            })
        body = json.loads(seen.body)
        if not (self.grantable and self._may(identity, "Permissions.Modify", body["path"])):
            return _DENIED
        if body["tokens"] not in self.keys or body["roles"] not in ROLES:
            return answer_json(400, {"data": None, "message": "Parameter verification failed."})
        self.grant("token", body["tokens"], body["roles"], body["path"])
        return answer_json(200, {"data": None})

    def _tokens(self, seen, user, name):
        if name is None:
            tokens = [{"tokenid": key.id.partition("!")[2], **_show(key)} for key in self.listed(user)]
            return answer_json(200, {"data": tokens})
        token_id = f"{user}!{name}"
        if seen.method == "POST":
            if token_id in self.keys or not re.fullmatch(r"[A-Za-z][A-Za-z0-9.\-_]+", name):
                return answer_json(400, {"data": None, "errors": {"tokenid": "Token already exists."}})
            body = json.loads(seen.body)
            expires = datetime.datetime.fromtimestamp(body["expire"], UTC) if body.get("expire") else None
            key = self.generate(user, name, body.get("comment"), expires, body.get("privsep", 1))
            return answer_json(200, {"data": {"full-tokenid": token_id, "info": _show(key), "value": key.secret}})
        if token_id not in self.keys:
            return answer_json(500, {"data": None, "message": f"no such token '{name}' for user '{user}'\n"})
        if seen.method == "DELETE":
            del self.keys[token_id]
            self.acl = [entry for entry in self.acl if entry["ugid"] != token_id]
            return answer_json(200, {"data": None})
        return answer_json(200, {"data": _show(self.keys[token_id])})


def _show(key):
    shown = {"expire": int(key.expires_at.timestamp()) if key.expires_at else 0, "privsep": key.more["privsep"]}
    return {**shown, "comment": key.mark} if key.mark else shown
