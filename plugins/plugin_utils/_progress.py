# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress of long work, shown to people who watch it."""

from __future__ import annotations

import sys
import time
import typing as t

from ansible import constants as C

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

# Evaluated when the plugin is loaded, in the parent process: workers have no terminal since ansible-core 2.19.
_TERMINAL = sys.stderr is not None and sys.stderr.isatty()

# Callbacks with output for people. Progress is written to stderr, but programs that parse stdout may read both.
_CALLBACKS_FOR_PEOPLE = ("default", "yaml", "debug", "tree", "profile_tasks", "dense")

SILENT_SECONDS = 2.0
BAR_SECONDS = 0.2
LINE_SECONDS = 10.0
_WIDTH = 79


class Progress:
    """Shows how many items are done: a bar on a terminal (with tqdm), otherwise a line every few seconds."""

    def __init__(self, display: t.Any, title: str, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._display = display
        self._title = title
        self._clock = clock
        self._start = clock()
        self._first = self._start        # when the first item of the current kind of work was done
        self._shown: float | None = None  # when something was shown last
        self._bar_shown = False
        callback = str(C.config.get_config_value("DEFAULT_STDOUT_CALLBACK")).rpartition(".")[2]
        self._enabled = callback in _CALLBACKS_FOR_PEOPLE

    def __call__(self, done: int, total: int) -> None:
        """Report that an item is done."""
        now = self._clock()
        if done == 1:  # another kind of work, whose duration the previous one does not predict
            self._first = now
        if not self._enabled or now - self._start < SILENT_SECONDS or done == 1:
            return
        if _TERMINAL and tqdm:
            self._show_bar(done, total, now)
        elif self._is_due(now, LINE_SECONDS):
            self._shown = now
            left = (now - self._first) / (done - 1) * (total - done)
            self._write(f"{self._title}: {done} of {total} done, about {left:.0f} seconds left")

    def end(self) -> None:
        """Remove the bar."""
        if self._bar_shown:
            self._write("\r" + " " * _WIDTH + "\r", newline=False)

    def _is_due(self, now: float, seconds: float) -> bool:
        return self._shown is None or now - self._shown >= seconds

    def _show_bar(self, done: int, total: int, now: float) -> None:
        if self._is_due(now, BAR_SECONDS):
            self._shown, self._bar_shown = now, True
            meter = tqdm.format_meter(done, total, now - self._first, ncols=_WIDTH, prefix=self._title)
            self._write("\r" + meter, newline=False)

    def _write(self, text: str, newline: bool = True) -> None:
        self._display.display(text, stderr=True, screen_only=True, newline=newline)
