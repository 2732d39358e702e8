# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Cache of what was read from an API server."""

from __future__ import annotations

import threading
import time
import typing as t

Value = t.TypeVar("Value")


class ReadCache:
    """Values by key, each with the time at which it was read. Safe for threads.

    A module process reads each value once. In the controller's process, the items of a loop share a client.
    """

    def __init__(self, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._values: dict[str, tuple[float, t.Any]] = {}
        self._locks: dict[str, threading.Lock] = {}

    def get(self, key: str, seconds: float, read: t.Callable[[], Value]) -> Value:
        """Return the cached value if it is at most so many seconds old, otherwise read it.

        If several threads ask for the same key at once, one of them reads.
        """
        with self._locks.setdefault(key, threading.Lock()):
            cached = self._values.get(key)
            if cached is None or self._clock() - cached[0] > seconds:
                cached = self._values[key] = (self._clock(), read())
            return t.cast(Value, cached[1])

    def update(self, key: str, change: t.Callable[[t.Any], t.Any]) -> None:
        """Apply a write to the cached value, if there is one; its age does not change."""
        if key in self._values:
            read_at, value = self._values[key]
            self._values[key] = (read_at, change(value))

    def invalidate(self, key: str) -> None:
        """Forget a value, so that it is read again."""
        self._values.pop(key, None)
