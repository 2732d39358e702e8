# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of failure codes is complete, and docs/failure-codes.md is generated from it."""

from __future__ import annotations

import ast
import typing

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import FAILURE_CODES, ErrorCode

from support.failure_codes import PAGE, ROOT, TABLE, render

PLUGINS = ROOT / "plugins"
# Position of the code among the arguments.
CODE_ARGUMENT = {"RanchhandError": 0, "ApiError": 0, "FailureWithResult": 0, "failure": 0, "ValidationErrors": 1}


def raised_codes(source):
    """Yield (line, code) for every code that a call in a source contains as a literal."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else None
        position = CODE_ARGUMENT.get(name)
        arguments = [node.args[position]] if position is not None and len(node.args) > position else []
        arguments += [keyword.value for keyword in node.keywords if name in CODE_ARGUMENT and keyword.arg == "code"]
        for argument in arguments:
            for value in _results(argument):
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.lineno, value.value


def _results(expression):
    if isinstance(expression, ast.IfExp):
        return [*_results(expression.body), *_results(expression.orelse)]
    return [expression]


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        pytest.param("RanchhandError('nosuch', 'message')", ["nosuch"], id="literal"),
        pytest.param("FailureWithResult('a' if x == 'z' else 'b', 'message', {})", ["a", "b"], id="conditional"),
        pytest.param("ValidationErrors(messages, code='c')", ["c"], id="keyword"),
        pytest.param("RanchhandError(error.code, 'message')", [], id="code of another error"),
    ],
)
def test_codes_are_found_in_sources(source, codes):
    assert [code for _line, code in raised_codes(source)] == codes


def test_every_raised_code_is_in_the_table():
    unknown = [
        f"{path.relative_to(ROOT)}:{line}: {code}"
        for path in sorted(PLUGINS.rglob("*.py"))
        for line, code in raised_codes(path.read_text(encoding="utf-8"))
        if code not in FAILURE_CODES
    ]
    assert unknown == []


def test_every_code_of_the_table_is_used():
    sources = [path.read_text(encoding="utf-8") for path in PLUGINS.rglob("*.py") if path != TABLE]
    assert [code for code in FAILURE_CODES if not any(f'"{code}"' in source for source in sources)] == []


def test_the_type_has_the_codes_of_the_table():
    assert sorted(typing.get_args(ErrorCode)) == sorted(FAILURE_CODES)


def test_modules_of_the_table_exist():
    modules = {path.stem for path in (PLUGINS / "modules").glob("*.py")}
    assert {module for failure in FAILURE_CODES.values() for module in failure.modules} == modules


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == render(FAILURE_CODES), "run: cd tests && python -m support.failure_codes"
