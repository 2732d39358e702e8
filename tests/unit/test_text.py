# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists and names in messages, the data of Secrets, and the problem that an object itself shows."""

from __future__ import annotations

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.problems import show_problems
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.text import (
    base64_encode,
    same_json,
    short_list,
    single_line,
)


@pytest.mark.parametrize(
    ("names", "total", "expected"),
    [
        pytest.param("", None, "", id="none"),
        pytest.param("abcde", None, "a, b, c, d, e", id="as many as are shown"),
        pytest.param("abcdef", None, "a, b, c, d, e and 1 more", id="one more"),
        pytest.param("abcde", 5, "a, b, c, d, e", id="all of the total"),
        pytest.param("abcde", 100, "a, b, c, d, e and 95 more", id="the first of many"),
    ],
)
def test_a_message_contains_five_names_at_most(names, total, expected):
    assert short_list(list(names), total) == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("aws prod", "aws prod", id="printable"),
        pytest.param("a\nb\tc\u2028d", "a b c d", id="spaces"),
        pytest.param("a\x1b[31mb\x00", "a?[31mb?", id="control characters"),
        pytest.param("Zürich €", "Zürich €", id="not ASCII"),
    ],
)
def test_a_name_in_a_message_has_no_control_characters(text, shown):
    assert single_line(text) == shown


def test_the_data_of_a_secret_is_utf_8_in_base64():
    assert base64_encode("pä\n") == "cMOkCg=="


@pytest.mark.parametrize("stored", [None, 5, "{"])
def test_what_is_not_json_equals_no_json(stored):
    assert not same_json("5", stored)


def test_the_problem_of_an_object_is_why_rancher_cannot_read_it():
    assert show_problems(None) == []
    assert show_problems("has no driver") == [{"code": "unreadable", "level": "error", "message": "has no driver"}]
