# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parser of options: all validation errors together, and no value in any message."""

from __future__ import annotations

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import ValidationErrors
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import (
    WAIT,
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


OF_EACH_TYPE = {
    "a string": {"type": "str"}, "a path": {"type": "path"}, "true or false": {"type": "bool"},
    "a whole number of at least 0": {"type": "int"}, "a mapping": {"type": "dict"},
    "a list": {"type": "list", "elements": "dict"},
}


@pytest.mark.parametrize(
    ("value", "found", "accepted"),
    [
        pytest.param(True, "a boolean", {"true or false"}, id="boolean"),
        pytest.param("x", "this string", {"a string", "a path"}, id="string"),
        pytest.param(7, "this number", {"a string", "a whole number of at least 0"}, id="number"),
        pytest.param(1.5, "a floating point number", set(), id="floating point number"),
        pytest.param({"a": 1}, "a mapping", {"a mapping"}, id="mapping"),
        pytest.param([{}], "a list", {"a list"}, id="list"),
        pytest.param(object(), "this value", set(), id="other"),
    ],
)
def test_a_value_of_another_type_is_an_error_that_names_both_types(value, found, accepted):
    spec = OptionSpec({name.replace(" ", "_"): option for name, option in OF_EACH_TYPE.items()})
    assert validation_errors(spec, {**dict.fromkeys(spec.options, value), "other": 1}) == [
        *(f"{name.replace(' ', '_')} must be {name}, not {found}" for name in OF_EACH_TYPE if name not in accepted),
        f"unknown option other; allowed are {', '.join(sorted(spec.options))}",
    ]


@pytest.mark.parametrize(
    ("expected", "spellings"),
    [
        (True, ["y", "yes", "on", "1", "true", "t", 1, 1.0, True, " TRUE\n"]),
        (False, ["n", "no", "off", "0", "false", "f", 0, 0.0, False, "Off"]),
    ],
)
def test_booleans_are_spelled_as_in_yaml_and_ansible_core(expected, spellings):
    assert [parse_options(ITEM, {"name": "a", "wait": spelling})["wait"] for spelling in spellings] == (
        [expected] * len(spellings))


def test_paths_are_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/alice")
    monkeypatch.setenv("PART", "some")
    spec = OptionSpec({"file": {"type": "path"}})
    assert [parse_options(spec, {"file": file})["file"] for file in ("~/x", "$PART/x", "/x")] == [
        "/home/alice/x", "some/x", "/x"]
    assert validation_errors(spec, {"file": "a\0b"}) == ["file must not contain a NUL character"]


def test_numbers_of_up_to_18_digits():
    assert [parse_options(ITEM, {"name": "a", "timeout": value})["timeout"] for value in (0, "007", "9" * 18)] == [
        0, 7, 10**18 - 1]
    assert len(validation_errors(ITEM, {"name": "a", "timeout": "9" * 19})) == 1


def test_a_text_is_a_list_only_where_its_elements_are_texts():
    spec = OptionSpec({
        "names": {"type": "list", "elements": "str"}, "sizes": {"type": "list", "elements": "int"},
        "any": {"type": "list", "elements": "raw"},
    })
    assert parse_options(spec, {"names": " a,b ,c", "sizes": ["1", 2], "any": [None, 1.5, "x"]}) == {
        "names": ["a", "b", "c"], "sizes": [1, 2], "any": [None, 1.5, "x"]}
    assert validation_errors(spec, {"sizes": "1,2", "any": "x"}) == [
        "sizes must be a list, not this string", "any must be a list, not this string"]


def test_options_that_waiting_modules_have_in_common():
    assert parse_options(WAIT, {}) == {"wait": False, "wait_timeout": 120, "wait_sleep": 5}
    assert WAIT.for_module()["argument_spec"]["wait"]["type"] == "bool"


def test_merged_specifications_have_all_options_and_constraints():
    first = OptionSpec({"a": {"type": "str"}, "b": {"type": "str"}}, (("a", "b"),))
    second = OptionSpec({"c": {"type": "str"}, "d": {"type": "str"}, "b": {"type": "int"}}, (("a", "c", "d"),))
    merged = first.merge(second, OptionSpec({"e": {"type": "str"}}))
    assert list(merged.options) == ["a", "b", "c", "d", "e"] and merged.options["b"] == {"type": "int"}
    assert merged.for_module()["mutually_exclusive"] == [("a", "b"), ("a", "c", "d")]
    assert validation_errors(merged, {"a": "x", "b": 1, "c": "y", "d": None}) == [
        "a and b are mutually exclusive", "a and c are mutually exclusive"]
    assert first.mutually_exclusive == (("a", "b"),) and list(first.options) == ["a", "b"]


def test_a_list_excludes_the_options_of_an_item_except_those_of_the_call():
    assert CALL.for_module()["mutually_exclusive"] == [
        ("items", name) for name in ("name", "config", "timeout", "groups", "inner")]
    items = CALL.options["items"]
    assert (items["type"], items["elements"]) == ("list", "dict") and "host" not in items["options"]
    assert "default" not in items["options"]["state"] and items["options"]["timeout"]["default"] == 120


@pytest.mark.parametrize(
    ("element", "shown"),
    [
        pytest.param({"name": "a", "id": "b"}, "items[0] (a)", id="name"),
        pytest.param({"name": "", "id": "b"}, "items[0] (b)", id="empty name"),
        pytest.param({"name": "a" * 99}, f"items[0] ({'a' * 60})", id="long name"),
        pytest.param({"name": ["a"]}, "items[0]", id="name of another type"),
        pytest.param({}, "items[0]", id="neither name nor id"),
    ],
)
def test_an_error_names_its_item(element, shown):
    errors = validation_errors(CALL, {"items": [{**element, "timeout": "x"}]})
    assert f"{shown}: timeout must be a whole number of at least 0, not this string" in errors


def test_the_check_knows_which_options_were_reported_already():
    seen = []
    validation_errors(ITEM, {"name": True, "timeout": "7"}, check=lambda parsed: seen.append(parsed.invalid))
    assert seen == [{"name"}]


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

    class Fraction(float):
        pass

    class Path:
        def __str__(self):
            return "path"

    converted = to_builtin({Text("a"): [Text("b"), Number(5), True, None, Fraction(1.5), (Text("c"),), Path()]})
    assert converted == {"a": ["b", 5, True, None, 1.5, ["c"], "path"]}
    assert [type(value) for value in converted["a"]] == [str, int, bool, type(None), float, list, str]
    assert [type(key) for key in converted] == [str]


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
    assert specification["policies"]["elements"] == "dict"
    assert DURATIONS.options["settle"]["type"] == "duration"
