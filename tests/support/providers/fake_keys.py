# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fakes of providers of keys have in common: keys, their states, and faults on command."""

from __future__ import annotations

import datetime
import json
import re
import threading
import time
from dataclasses import dataclass, field

from support.fakes import Proxy

UTC = datetime.timezone.utc
LONG_AGO = float("-inf")


@dataclass
class FakeKey:
    """A key of a fake; ``more`` is what only its provider knows."""

    id: str
    secret: object = field(repr=False)
    owner: str
    mark: str | None = None
    expires_at: datetime.datetime | None = None
    enabled: bool = True
    used: datetime.datetime | None = None
    more: dict = field(default_factory=dict)
    created_at: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(UTC).replace(microsecond=0))
    since: float = field(default_factory=time.monotonic)


class KeyProvider(Proxy):
    """A fake provider on loopback.

    Each request is checked with the secret of its key, which is unknown to the client after it was returned once. A key
    is accepted if it is enabled, has not expired, and is older than ``delay`` seconds. While ``frozen`` is set, lists
    lag: they show the keys of the moment in which it was set. ``lose()`` performs a request and drops its reply.
    """

    limit = None

    def __init__(self, tls=None):
        super().__init__(tls=tls)
        self.keys = {}
        self.delay = 0.0
        self.override = None  # an action of support.fakes for the next requests
        self._listed = None
        self._losing = []
        self._lock = threading.RLock()

    @property
    def options(self):
        """The options of an issuer that lead here."""
        return {"endpoint_url": self.url, "propagation": "0s"}

    def freeze(self):
        self._listed = dict(self.keys)

    def thaw(self):
        self._listed = None

    def lose(self, pattern):
        """Drop the reply of the next request that is described by a pattern."""
        self._losing.append(pattern)

    def describe(self, seen):
        """Return a request as lose() matches it."""
        return f"{seen.method} {seen.path}"

    def listed(self, owner):
        """Return the keys of an owner as a list shows them."""
        keys = self.keys if self._listed is None else self._listed
        return [key for key in keys.values() if key.owner == owner]

    def accepted(self, key_id):
        """Return a key if it may sign in now."""
        key = self.keys.get(key_id)
        if key is None or not key.enabled or time.monotonic() - key.since < self.delay:
            return None
        if key.expires_at and key.expires_at <= datetime.datetime.now(UTC):
            return None
        return key

    def full(self, owner):
        return self.limit is not None and sum(key.owner == owner for key in self.keys.values()) >= self.limit

    def answer(self, seen):
        if self.override:
            return self.override(seen)
        with self._lock:
            answer = self.handle(seen)
            for pattern in self._losing:
                if re.search(pattern, self.describe(seen)):
                    self._losing.remove(pattern)
                    return None
        return answer

    def handle(self, seen):
        """Return the answer to a request."""
        raise NotImplementedError


def as_json(status, content):
    return status, {"Content-Type": "application/json"}, json.dumps(content).encode()
