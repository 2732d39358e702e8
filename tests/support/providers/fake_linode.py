# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of the personal access tokens of Linode, and of the list of instances.

Sources: Linode's OpenAPI description (paths, members, scopes, headers, 16 characters). The text of a 401 is
recalled; the number of tokens that a user may have is not documented. Tokens are valid, and end, at once.
"""

from __future__ import annotations

import datetime
import json
import re
import secrets
from typing import ClassVar
from urllib.parse import parse_qsl

from support.providers.fake_provider import FakeKey, FakeProvider, answer_json

SCOPES = "account:read_write linodes:read_write"
_TOKENS = re.compile(r"/v4/profile/tokens(?:/([0-9]+))?")
_ACCOUNTS = ("A1BC2DEF-34GH-567I-J890KLMN12O34P56", "B1BC2DEF-34GH-567I-J890KLMN12O34P56")


class FakeLinode(FakeProvider):
    """Users of one account, and a stranger of another one. ``page_size`` is the most that a page contains."""

    issuer = "linode"
    issuing = "POST .*/profile/tokens$"
    colleague = "colleague"
    rotator = FakeProvider.principal
    secret_field = "token"
    given: ClassVar = {"token": "token"}

    def __init__(self, folder):
        super().__init__(folder)
        self.page_size = 500
        self._last = 12345

    def generate(self, owner, scopes=SCOPES, label="by hand"):
        self._last += 1
        more = {"scopes": scopes, "account": _ACCOUNTS[owner == self.stranger]}
        return self.add(FakeKey(str(self._last), secrets.token_hex(32), owner, mark=label, more=more))

    def credential(self, key):
        return {"token": key.secret}

    def administrator(self):
        return super().administrator(scopes="*")

    def mix(self, values, other):
        del self.keys[next(key.id for key in self.keys.values() if key.secret == other["token"])]
        return other

    def handle(self, seen):
        path, _question, query = seen.path.partition("?")
        sent = seen.headers.get("authorization", "")
        caller = next((key for key in self.keys.values() if sent == f"Bearer {key.secret}"), None)
        if not self.accepts(caller):
            return _error(401, "Invalid Token")
        headers = {"X-OAuth-Scopes": caller.more["scopes"], "X-Customer-UUID": caller.more["account"]}
        if path == "/v4/linode/instances" and seen.method == "GET":
            if not _allows(caller.more["scopes"], "linodes:read_only"):
                return _error(403, "Your OAuth token is not authorized to use this endpoint.")
            return answer_json(200, {"data": [], "page": 1, "pages": 1, "results": 0}, **headers)
        match = _TOKENS.fullmatch(path)
        if match is None:
            return _error(404, "Not found")
        if self.forbidden or not _allows(caller.more["scopes"], "account:read_write"):
            return _error(403, "Your OAuth token is not authorized to use this endpoint.")
        return self._manage(seen, match.group(1), caller, dict(parse_qsl(query)))

    def _manage(self, seen, key_id, caller, query):
        if key_id is None and seen.method == "GET":
            return self._list(caller, int(query.get("page", 1)), int(query.get("page_size", 100)))
        if key_id is None and seen.method == "POST":
            return self._create(caller, json.loads(seen.body))
        if seen.method != "DELETE" or key_id not in self.keys or self.keys[key_id].owner != caller.owner:
            return _error(404, "Not found")
        del self.keys[key_id]
        return answer_json(200, {})

    def _list(self, caller, page, size):
        if not 25 <= size <= 500:
            return _error(400, "Must be 25-500")
        size = min(size, self.page_size)
        entries = [_show(key) for key in self.listed(caller.owner)]
        pages = -(-len(entries) // size)
        return answer_json(200, {
            "data": entries[(page - 1) * size:page * size], "page": page, "pages": pages, "results": len(entries),
        })

    def _create(self, caller, wanted):
        scopes = wanted.get("scopes") or caller.more["scopes"]
        if not all(_allows(caller.more["scopes"], scope) for scope in scopes.split()):
            return _error(400, "scopes must be a subset of the scopes of the current token")
        if not 1 <= len(wanted.get("label") or "x") <= 100:
            return _error(400, "Length must be 1-100 characters")
        key = self.generate(caller.owner, scopes, wanted.get("label"))
        if wanted.get("expiry"):
            key.expires_at = datetime.datetime.fromisoformat(wanted["expiry"] + "+00:00")
        return answer_json(200, {**_show(key), "token": key.secret})


def _allows(scopes, wanted):
    area, _colon, right = wanted.partition(":")
    held = scopes.split()
    return "*" in held or f"{area}:read_write" in held or right == "read_only" and wanted in held


def _show(key):
    return {
        "id": int(key.id), "label": key.mark, "scopes": key.more["scopes"], "created": _format(key.created_at),
        "expiry": key.expires_at and _format(key.expires_at), "token": key.secret[:16], "thumbnail_url": None,
    }


def _format(time):
    return time.strftime("%Y-%m-%dT%H:%M:%S")


def _error(status, reason):
    return answer_json(status, {"errors": [{"reason": reason}]})
