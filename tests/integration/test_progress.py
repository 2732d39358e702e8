# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When Progress shows what, with a fake clock."""

from __future__ import annotations

import pytest
from ansible_collections.ranchhand.rancher.plugins.plugin_utils import _progress
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._progress import Progress


class Output(list):
    """Fake of ansible-core's Display: a list of its output."""

    def display(self, text, stderr, screen_only, newline):
        assert stderr and screen_only
        self.append(text + ("\n" if newline else ""))


@pytest.fixture
def watched(monkeypatch):
    """Process 300 items, eight per second; return the output and its times."""

    def work(terminal, tqdm=_progress.tqdm, total=300):
        monkeypatch.setattr(_progress, "_TERMINAL", terminal)
        monkeypatch.setattr(_progress, "tqdm", tqdm)
        output, now, when = Output(), [100.0], []
        progress = Progress(output, "work", lambda: now[0])
        for done in range(1, total + 1):
            now[0] += 0.125
            before = len(output)
            progress(done, total)
            when += [now[0] - 100] * (len(output) - before)
        progress.end()
        return output, when

    return work


def test_short_work_shows_nothing(watched):
    assert watched(False, total=15) == watched(True, total=15) == ([], [])


@pytest.mark.parametrize("terminal", [True, False])
def test_lines_without_a_terminal_or_without_tqdm(watched, terminal):
    output, when = watched(terminal, None)
    assert when == [2.0, 12.0, 22.0, 32.0]
    assert output[1] == "work: 96 of 300 done, about 26 seconds left\n"


@pytest.mark.skipif(_progress.tqdm is None, reason="tqdm is optional")
def test_a_bar_on_a_terminal_is_removed_at_the_end(watched):
    output, when = watched(True)
    assert when[0] == 2.0 and len(when) > 100
    assert all(text.startswith("\r") and "\n" not in text and len(text) <= 80 + 1 for text in output)
    assert "50%|" in "".join(output) and "150/300" in "".join(output) and not output[-1].strip()


def test_the_remaining_time_ignores_previous_work():
    output, now = Output(), [0.0]
    progress = Progress(output, "work", lambda: now[0])
    for done in (1, 2, 3):  # other work before
        now[0] += 30
        progress(done, 3)
    del output[:]
    for done in (1, 2, 3):
        now[0] += 20
        progress(done, 11)
    assert output == ["work: 2 of 11 done, about 180 seconds left\n", "work: 3 of 11 done, about 160 seconds left\n"]
