# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When and what Progress says, on a clock of our own."""

from __future__ import annotations

import pytest
from ansible_collections.ranchhand.rancher.plugins.plugin_utils import _progress
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._progress import Progress


class Said(list):
    """Stands in for ansible-core's Display."""

    def display(self, text, stderr, screen_only, newline):
        assert stderr and screen_only
        self.append(text + ("\n" if newline else ""))


@pytest.fixture
def watched(monkeypatch):
    """Work of 300 things, one each eighth of a second: what is said, and when."""
    def work(terminal, tqdm=_progress.tqdm, total=300):
        monkeypatch.setattr(_progress, "_TERMINAL", terminal)
        monkeypatch.setattr(_progress, "tqdm", tqdm)
        said, now, when = Said(), [100.0], []
        progress = Progress(said, "work", lambda: now[0])
        for done in range(1, total + 1):
            now[0] += 0.125
            before = len(said)
            progress(done, total)
            when += [now[0] - 100] * (len(said) - before)
        progress.end()
        return said, when
    return work


def test_short_work_says_nothing(watched):
    assert watched(False, total=15) == watched(True, total=15) == ([], [])


@pytest.mark.parametrize("terminal", [True, False])
def test_lines_without_a_terminal_or_without_tqdm(watched, terminal):
    said, when = watched(terminal, None)
    assert when == [2.0, 12.0, 22.0, 32.0]
    assert said[1] == "work: 96 of 300 done, about 26 seconds left\n"


@pytest.mark.skipif(_progress.tqdm is None, reason="tqdm is optional")
def test_a_bar_on_a_terminal_that_is_taken_away(watched):
    said, when = watched(True)
    assert when[0] == 2.0 and len(when) > 100
    assert all(text.startswith("\r") and "\n" not in text and len(text) <= 80 + 1 for text in said)
    assert "50%|" in "".join(said) and "150/300" in "".join(said) and not said[-1].strip()


def test_time_that_is_left_is_told_from_the_work_itself():
    said, now = Said(), [0.0]
    progress = Progress(said, "work", lambda: now[0])
    for done in (1, 2, 3):  # other work before
        now[0] += 30
        progress(done, 3)
    del said[:]
    for done in (1, 2, 3):
        now[0] += 20
        progress(done, 11)
    assert said == ["work: 2 of 11 done, about 180 seconds left\n", "work: 3 of 11 done, about 160 seconds left\n"]
