# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of words finds banned words in texts and names, and ignores code and quotations."""

from __future__ import annotations

import pytest

import words


def found(path, content):
    return [(finding.line, finding.word) for finding in words.find(path, content, words.read_bans())]


@pytest.mark.parametrize(
    "path, content, expected",
    [
        pytest.param("README.md", "The key\nwas told.\n", [(2, "told")], id="prose in Markdown"),
        pytest.param("README.md", "All keys but\nfor this.\n", [(1, "but for")], id="a phrase across two lines"),
        pytest.param("README.md", "Ask the cloud.\n", [(1, "the cloud")], id="the cloud without a noun"),
        pytest.param("tasks.yml", "- name: Say what happened\n", [(1, "Say")], id="the name of a task"),
        pytest.param("vars.yml", "rotate_told: 1\n", [(1, "told")], id="a variable in YAML"),
        pytest.param("a.py", 'def f():\n    """Tell it."""\n', [(2, "Tell")], id="a docstring"),
        pytest.param("a.py", "x = 1  # judged\n", [(1, "judged")], id="a comment"),
        pytest.param("a.py", "# all keys but\n# for this\n", [(1, "but for")], id="a phrase across two comments"),
        pytest.param("a.py", 'raise Error("a mistake here")\n', [(1, "mistake")], id="a message"),
        pytest.param("a.py", 'x = f"nobody has {x}"\n', [(1, "nobody")], id="an f-string"),
        pytest.param("a.py", "for one in x:\n    pass\n", [(1, "one")], id="a variable"),
        pytest.param("a.py", "class Standing:\n    pass\n", [(1, "Standing")], id="a class"),
        pytest.param("a.py", "def test_it_goesOn(): pass\n", [(1, "test_it_goesOn")], id="a part of a name"),
    ],
)
def test_banned_words_are_found(path, content, expected):
    assert found(path, content) == expected


@pytest.mark.parametrize(
    "path, content",
    [
        pytest.param(
            "README.md", "```\ntold\n```\n`told` <https://told.example/told>\n", id="code and links in Markdown"
        ),
        pytest.param(
            "README.md", "The cloud provider understands outstanding planes; a world-wide stage.\n", id="similar words"
        ),
        pytest.param("README.md", "One of the messages; the message says so.\n", id="permitted uses"),
        pytest.param("a.py", 'event["stage"] = "world"\n', id="data in Python"),
        pytest.param("a.py", "standalone = seen = live = stored\n", id="similar names"),
        pytest.param("tasks.yml", "# `ask_clouds` is now query_providers\n", id="a quotation in YAML"),
    ],
)
def test_everything_else_is_ignored(path, content):
    assert not found(path, content)


def test_every_expression_has_a_replacement():
    assert all(ban.instead and ban.scope in ("text", "name", "both") for ban in words.read_bans())


def test_a_quotation_is_allowed_and_an_unused_one_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(words, "ROOT", tmp_path)
    bans = words.read_bans()
    monkeypatch.setattr(words, "read_bans", lambda: bans)
    monkeypatch.setattr(words, "read_table", lambda path: [("*.md", "told you"), ("*.md", "unused")])
    (tmp_path / "a.md").write_text("I told you.\nIt was told.\n")
    findings, unused = words.check(["a.md"], complete=True)
    assert [finding.line for finding in findings] == [2] and unused == [("*.md", "unused")]
