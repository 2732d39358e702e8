# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parser of options: all validation errors together, and no value in any message."""

from __future__ import annotations

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import ValidationErrors
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import (
    OptionSpec,
    parse_options,
    single_or_list,
    to_builtin,
)
from hypothesis import given
from hypothesis import strategies as st

ITEM = OptionSpec(
    {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "config": {"type": "dict"},
        "wait": {"type": "bool", "default": False, "aliases": ["hold"]},
        "timeout": {"type": "int", "default": 120},
        "groups": {"type": "list", "elements": "str"},
        "inner": {"type": "dict", "options": {"deep": {"type": "bool"}}},
    }
)
DURATIONS = OptionSpec(
    {
        "settle": {"type": "duration", "default": "60s"},
        "max_age": {"type": "duration"},
        "policies": {
            "type": "list",
            "elements": "dict",
            "options": {"max_age": {"type": "duration", "required": True}},
        },
    }
)
CALL = single_or_list(
    OptionSpec({"host": {"type": "str"}}),
    OptionSpec({**ITEM.options, "name": {"type": "str"}}),
    "items",
    ("state", "wait"),
)


def validation_errors(spec, given_options, **more):
    with pytest.raises(ValidationErrors) as caught:
        parse_options(spec, given_options, **more)
    return caught.value.messages


def test_options_are_typed_and_have_defaults():
    assert parse_options(
        ITEM, {"name": 5, "hold": "Yes", "timeout": " 7 ", "groups": "a, b", "config": None, "inner": {"deep": "no"}}
    ) == {
        "name": "5",
        "state": "present",
        "config": None,
        "wait": True,
        "timeout": 7,
        "groups": ["a", "b"],
        "inner": {"deep": False},
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, ["name is required"], id="missing"),
        pytest.param({"name": None}, ["name is required"], id="null"),
        pytest.param({"name": True}, ["name must be a string, not a boolean"], id="boolean for a string"),
        pytest.param({"name": ["a"]}, ["name must be a string, not a list"], id="list for a string"),
        pytest.param(
            {"name": "a", "timeout": -1},
            ["timeout must be a whole number of at least 0, not this number"],
            id="negative number",
        ),
        pytest.param(
            {"name": "a", "timeout": 1.5},
            ["timeout must be a whole number of at least 0, not a floating point number"],
            id="floating point number",
        ),
        pytest.param(
            {"name": "a", "wait": "perhaps"},
            ["wait must be true or false, not this string"],
            id="no boolean",
        ),
        pytest.param(
            {"name": "a", "wait": True, "hold": True},
            ["wait is set twice, under two of its names"],
            id="two names of an option",
        ),
        pytest.param(
            {"name": "a", "groups": ["x", {"y": 1}]},
            ["groups[1] must be a string, not a mapping"],
            id="mapping in a list of strings",
        ),
        pytest.param(
            {"name": "a", "inner": {"deep": "x", "other": 1}},
            ["inner: deep must be true or false, not this string", "inner: unknown option other; allowed are deep"],
            id="errors in a suboption",
        ),
        pytest.param(
            {"name": "a", "state": "gone", "config": "x", "nosuch": 1},
            [
                "state must be one of present, absent",
                "config must be a mapping, not this string",
                "unknown option nosuch; allowed are config, groups, inner, name, state, timeout, wait",
            ],
            id="several errors",
        ),
    ],
)
def test_all_errors_are_reported(options, expected):
    assert validation_errors(ITEM, options) == expected


@pytest.mark.parametrize("value", ["9" * 5000, "\u00b2", "\u0663", 10**5000, -1, "-1"], ids=[
    "5000 digits", "superscript", "other digits", "a huge number", "negative", "negative text"])
def test_malformed_numbers(value):
    expected = "timeout must be a whole number of at least 0, not this "
    error, = validation_errors(ITEM, {"name": "a", "timeout": value})
    assert error.startswith(expected) and len(error) < 80


def test_items_are_identified_by_index_and_name():
    assert validation_errors(
        CALL, {"state": "x", "name": "a", "items": [{"name": "good"}, 5, {"name": "bad", "wait": "x"}, {"id": "i"}]}
    ) == [
        "state must be one of present, absent",
        "items[1] must be a mapping, not this number",
        "items[2] (bad): wait must be true or false, not this string",
        "items[3] (i): unknown option id; allowed are config, groups, inner, name, state, timeout, wait",
        "items and name are mutually exclusive",
    ]


def test_options_of_the_call_apply_to_items():
    parsed = parse_options(
        CALL, {"state": "absent", "items": [{"name": "a"}, {"name": "b", "state": "present", "wait": False}]}
    )
    assert [(item["state"], item["wait"], item["timeout"]) for item in parsed["items"]] == [
        (None, None, 120),
        ("present", False, 120),
    ]


def test_errors_of_the_check_are_reported_with_the_others():
    def check(parsed):
        raise ValidationErrors([f"saw {parsed['timeout']}"])

    assert validation_errors(ITEM, {"timeout": 3}, check=check) == ["name is required", "saw 3"]


CANARY = "canary-4711"
VALUES = st.recursive(
    st.sampled_from([CANARY, f" {CANARY}\n", 0.4711, -4711, True, None]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("key"), inner),
)


@given(
    st.dictionaries(
        st.sampled_from(["state", "config", "wait", "timeout", "groups", "inner", "host", "items"]), VALUES
    ),
    VALUES,
)
def test_no_value_is_echoed(options, item):
    try:
        parse_options(CALL, {**options, "items": [item, {"config": item, "wait": item, "inner": {"deep": item}}]})
    except ValidationErrors as error:
        assert "4711" not in error.message


def test_arguments_become_built_in_types():
    class Text(str):
        pass

    class Number(int):
        pass

    converted = to_builtin({Text("a"): [Text("b"), Number(5), True, None, 1.5, (Text("c"),)]})
    assert converted == {"a": ["b", 5, True, None, 1.5, ["c"]]}
    assert {type(value) for value in converted["a"][:2]} == {str, int}


def test_durations_are_parsed_to_seconds():
    assert parse_options(DURATIONS, {"max_age": "90d", "policies": [{"max_age": "2w"}]}) == {
        "settle": 60,
        "max_age": 7776000,
        "policies": [{"max_age": 1209600}],
    }


def test_invalid_durations_are_reported_with_an_example():
    example = "must be a number with a unit, such as 30s, 15m, 24h, 90d or 2w"
    assert validation_errors(DURATIONS, {"settle": 60, "max_age": "3651d", "policies": [{"max_age": True}, {}]}) == [
        f"settle {example}",
        "max_age must not be longer than 3650d",
        f"policies[0]: max_age {example}",
        "policies[1]: max_age is required",
    ]


def test_ansible_core_sees_durations_as_strings():
    specification = DURATIONS.for_module()["argument_spec"]
    assert specification["settle"] == {"type": "str", "default": "60s"}
    assert specification["policies"]["options"]["max_age"] == {"type": "str", "required": True}
    assert DURATIONS.options["settle"]["type"] == "duration"
