# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how long it takes until something has happened."""

from __future__ import annotations

import threading
import time


def seconds_until(condition, act):
    """Return the seconds from the start of ``act`` until a condition is met, and what ``act`` returns.

    Polls every 20 ms while ``act`` runs. The condition must be met at its end.
    """
    met = []
    ended = threading.Event()
    started = time.monotonic()

    def watch():
        while not met and not ended.is_set():
            if condition():
                met.append(time.monotonic() - started)
            ended.wait(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        result = act()
    finally:
        ended.set()
        thread.join()
    if not met and condition():
        met.append(time.monotonic() - started)
    assert met, "the condition was not met"
    return met[0], result
