# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far long work is, for people who watch.

PRIVATE to the collection.
"""

from __future__ import annotations

import sys
import time
import typing as t

from ansible import constants as C

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

# Asked when the plugin is loaded, which is in the parent process: workers have no terminal since ansible-core 2.19.
_TERMINAL = sys.stderr is not None and sys.stderr.isatty()

# Callbacks whose output is read by people; progress goes to stderr, but who parses stdout does not want that either.
_FOR_PEOPLE = ("default", "yaml", "debug", "tree", "profile_tasks", "dense")

SILENT_SECONDS = 2.0
BAR_SECONDS = 0.2
LINE_SECONDS = 10.0


class Progress:
    """Says how many of some things are done: a bar on a terminal (with tqdm), otherwise a line now and then."""

    def __init__(self, display: t.Any, what: str, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._display = display
        self._what = what
        self._clock = clock
        self._start = self._said = self._first = clock()
        self._bar_shown = False
        self._wanted = str(C.config.get_config_value("DEFAULT_STDOUT_CALLBACK")).rpartition(".")[2] in _FOR_PEOPLE

    def __call__(self, done: int, total: int) -> None:
        now = self._clock()
        elapsed = now - self._start
        if done == 1:  # the next kind of work; how long it takes cannot be told from what came before
            self._first = now
        if not self._wanted or elapsed < SILENT_SECONDS or done == 1:
            return
        if _TERMINAL and tqdm:
            if now - self._said >= BAR_SECONDS:
                self._said, self._bar_shown = now, True
                self._show("\r" + tqdm.format_meter(done, total, now - self._first, ncols=79, prefix=self._what), newline=False)
        elif self._said == self._start or now - self._said >= LINE_SECONDS:
            self._said = now
            left = (now - self._first) / (done - 1) * (total - done)
            self._show(f"{self._what}: {done} of {total} done, about {left:.0f} seconds left")

    def end(self) -> None:
        """Take the bar away."""
        if self._bar_shown:
            self._show("\r" + " " * 79 + "\r", newline=False)

    def _show(self, text: str, newline: bool = True) -> None:
        self._display.display(text, stderr=True, screen_only=True, newline=newline)
