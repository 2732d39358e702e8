# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy in front of kube-apiserver that answers some requests with a fault, by a seed."""

from __future__ import annotations

import collections
import random
import threading
import time

from support.cluster import SECRETS
from support.fakes import Proxy, cut, reply

RATE = 0.06        # of all requests
HOPELESS = 0.004   # of the writes of values: no attempt of these succeeds
IN_A_ROW = 3       # at most, for one object: the module attempts a request five times
OUTAGE_EVERY, OUTAGE, CALM = 20.0, 1.0, 4.0  # seconds; the calm follows an outage

LOST, DROPPED, CONFLICT = "reply lost", "connection closed before the request", "409"
ANSWERS = {
    "429": reply(429, "too many requests", "TooManyRequests", Retry_After="1"),
    "500": reply(500, "etcdserver: request timed out", "InternalError"),
    "503": reply(503, "the server is currently unable to handle the request", "ServiceUnavailable"),
    CONFLICT: reply(409, "the object has been modified", "Conflict"),
    DROPPED: cut,
}


class RandomFaults(Proxy):
    """Answers requests with faults that the module's retries survive, except for a few hopeless writes.

    `counts` are the requests, the faults by kind, and the conflicts that the API server itself reported.
    """

    def __init__(self, control_plane, seed):
        super().__init__(control_plane)
        self.seen = collections.deque(maxlen=1)
        self.counts = collections.Counter()
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._in_a_row = collections.Counter()
        self._hopeless = {}
        self._start = time.monotonic() - OUTAGE - CALM

    def answer(self, seen):
        with self._lock:
            self.counts["Load", "requests"] += 1
            fault = self._hopeless_fault(seen) or self._fault(seen)
            if fault:
                self.counts["Faults", fault] += 1
        if fault == LOST:
            self.forward(seen)
            return None
        if fault:
            return ANSWERS[fault](seen)
        if "watch=1" in seen.path:
            return self.stream(seen)
        answer = self.forward(seen)
        if answer[0] == 409:
            with self._lock:
                self.counts["Load", "conflicts (409) of the API server itself"] += 1
        return answer

    def _fault(self, seen):
        moment = (time.monotonic() - self._start) % OUTAGE_EVERY
        if moment < OUTAGE:
            return self._random.choice((DROPPED, "503"))
        key = seen.method, seen.path
        if moment < OUTAGE + CALM or self._in_a_row[key] == IN_A_ROW or self._random.random() > RATE:
            self._in_a_row.pop(key, None)
            return None
        self._in_a_row[key] += 1
        kinds = [LOST, LOST, *ANSWERS]
        if seen.method not in ("PATCH", "DELETE"):
            kinds.remove(CONFLICT)
        return self._random.choice(kinds)

    def _hopeless_fault(self, seen):
        """Return a fault for each attempt of a write that was chosen; the first one may be executed.

        A creation is not: its run could not check whether another run created the same object.
        """
        writes = seen.path.startswith(SECRETS) and seen.method in ("PATCH", "POST") and b'"data"' in seen.body
        key = seen.path, seen.body
        if key not in self._hopeless:
            if not writes or self._random.random() > HOPELESS:
                return None
            self._hopeless[key] = self._random.choice((DROPPED, "503"))
            self.counts["Load", "writes of which every attempt failed"] += 1
            if seen.method == "PATCH" and self._random.random() < 0.5:
                return LOST
        return self._hopeless[key]
