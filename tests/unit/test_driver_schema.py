# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation of config and secrets against the schema of a driver."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.text import same_json, to_text, trim
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.driver_schema import (
    DriverField,
    DriverSchemas,
    check_config,
    missing_fields,
    suggest,
    to_stored_text,
    to_typed_value,
)


def schema(name, fields):
    return {"metadata": {"name": name}, "spec": {"resourceFields": fields}}


def default(**value):
    return {"stringValue": "", "intValue": 0, "boolValue": False, "stringSliceValue": None, **value}


SCHEMAS = DriverSchemas(
    [
        schema("credentialconfig", {"cloudcredentialConfig": {}, "emptycredentialConfig": {}, "other": {}}),
        schema(
            "cloudcredentialconfig",
            {
                "key": {"type": "password", "required": True, "default": default()},
                "user": {"required": True, "default": default()},
                "port": {"type": "string", "required": True, "default": default(stringValue="443")},
                "zone": {"default": default(), "options": ["a", "b"]},
            },
        ),
        schema("emptycredentialconfig", None),
        schema("leftovercredentialconfig", {"key": {"type": "password"}}),
    ]
)
FIELDS = SCHEMAS.credential_fields("cloud")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("a", "a", id="text"),
        pytest.param(" \t\u00a0\u3000a b\x85\n", "a b", id="surrounding spaces"),
        pytest.param("\x1c", "\x1c", id="separator that Go keeps"),
        pytest.param(5, "5", id="number"),
        pytest.param(-5, "-5", id="negative number"),
        pytest.param(True, "true", id="true"),
        pytest.param(False, "false", id="false"),
        pytest.param("", "", id="empty text"),
        pytest.param({"b": [1, None, "ü"], "a": {}}, '{"b":[1,null,"ü"],"a":{}}', id="mapping"),
    ],
)
def test_text_of_a_value(value, text):
    assert to_text(value) == text


@pytest.mark.parametrize("value", [1.10, 1.0, ["canary"], object()])
def test_values_without_text(value):
    with pytest.raises(ValueError, match="^must be ") as caught:
        to_text(value)
    assert "canary" not in str(caught.value) and "1.1" not in str(caught.value)


def test_trim_removes_the_same_characters_as_go():
    spaces = "\t\n\v\f\r \x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000"
    assert trim(spaces + "x" + spaces) == "x"
    for kept in "\u1fff\u200b\ufeff\x1c\x1d\x1e\x1fX":  # what Python's strip() or people take for a space, and others
        assert trim(kept) == kept


def test_active_drivers():
    assert SCHEMAS.drivers == {"cloud", "empty", "s3"}
    assert SCHEMAS.credential_fields("empty") is None
    assert {name for name, field in SCHEMAS.credential_fields("s3").items() if field.secret} == {"secretKey"}
    for driver in ("leftover", "nosuch", ""):
        with pytest.raises(RanchhandError, match="the active drivers with credentials are cloud, empty, s3"):
            SCHEMAS.credential_fields(driver)
    assert set(SCHEMAS.known_fields("leftover")) == {"key"}  # what is there already can be read


def test_fields():
    assert (FIELDS["key"].secret, FIELDS["user"].secret, FIELDS["user"].type) == (True, False, "string")
    assert (FIELDS["port"].default, FIELDS["user"].default) == ("443", "")


@pytest.mark.parametrize(("stored", "expected"), [
    ({}, DriverField("x", "string", False, None, (), "")),
    ({"type": None, "default": None, "options": None, "description": None}, DriverField("x")),
    ({"type": "string", "default": default(stringValue="a"), "required": True, "options": ["a", "b"]},
     DriverField("x", "string", True, "a", ("a", "b"))),
    ({"type": "password", "default": default(stringValue="a")}, DriverField("x", "password", False, "a")),
    ({"type": "boolean", "default": default(boolValue=True), "description": "a text"},
     DriverField("x", "boolean", False, True, description="a text")),
    ({"type": "int", "default": default(intValue=7)}, DriverField("x", "int", False, 7)),
    ({"type": "array[string]", "default": default(stringSliceValue=["a"])},
     DriverField("x", "array[string]", False, ["a"])),
    ({"type": "enum", "default": default(stringValue="b")}, DriverField("x", "enum", False, "b")),
], ids=str)
def test_the_default_of_a_field_is_the_value_of_its_type(stored, expected):
    assert DriverSchemas([schema("ownconfig", {"x": stored})]).node_fields("Own") == {"x": expected}


def test_the_fields_of_s3_are_part_of_rancher():
    fields = DriverSchemas([]).credential_fields("s3")
    assert [(name, item.type, item.required) for name, item in fields.items()] == [
        ("accessKey", "string", True), ("secretKey", "password", True),
        *((f"default{name}", "string", False) for name in (
            "Region", "Endpoint", "EndpointCA", "SkipSSLVerify", "Bucket", "Folder")),
    ]
    assert {name for name, item in fields.items() if item.secret} == {"secretKey"}


def test_a_schema_is_found_by_the_driver_in_any_case():
    schemas = DriverSchemas([
        schema("nodeconfig", {"ownConfig": {}, "other": {}}), schema("ownconfig", {"x": {}}),
        schema("owncredentialconfig", {"y": {}}), {"metadata": {"name": "emptyconfig"}},
    ])
    assert set(schemas.node_fields("OWN")) == {"x"} and set(schemas.known_fields("OWN")) == {"y"}
    assert schemas.node_fields("nosuch") is None and schemas.node_fields("empty") is None
    assert schemas.machine_drivers == {"own"} and schemas.drivers == {"s3"}
    assert DriverSchemas([schema("credentialconfig", None), schema("nodeconfig", None)]).drivers == {"s3"}


def test_an_inactive_driver_is_refused_with_the_nearest_name():
    with pytest.raises(RanchhandError) as refused:
        SCHEMAS.credential_fields("Clout")
    assert refused.value.code == "invalid" and refused.value.message == (
        "driver Clout has no credentials in this Rancher (did you mean cloud?); the active drivers with credentials "
        "are cloud, empty, s3")


@pytest.mark.parametrize(("name", "known", "expected"), [
    ("regoin", ["size", "Region"], " (did you mean Region?)"), ("REGION", ["region"], " (did you mean region?)"),
    ("x", ["region"], ""), ("region", [], ""),
])
def test_the_nearest_name_is_suggested(name, known, expected):
    assert suggest(name, known) == expected


def check(public, secret, creating=True, fields=FIELDS):
    config, messages = check_config(fields, public, secret, to_stored_text)
    return config, messages + missing_fields(fields, config, creating)


def test_a_valid_config():
    config, messages = check({"user": 7, "zone": "a"}, {"key": {"a": 1}})
    assert not messages
    assert config.values == {"user": "7", "zone": "a", "key": '{"a":1}'}
    assert config.as_json == {"key"}


@dataclass(frozen=True)
class Validation:
    name: str
    creating: bool
    expected: list[str]
    config: dict = field(default_factory=dict)
    secrets: dict = field(default_factory=dict)


@pytest.mark.parametrize(
    "case",
    [
        Validation(
            "nothing when creating",
            creating=True,
            expected=["secrets.key is required", "config.user is required"],
        ),
        Validation("nothing when updating", creating=False, expected=[]),
        Validation(
            "empty required fields",
            config={"user": " "},
            secrets={"key": None},
            creating=False,
            expected=["secrets.key is required", "config.user is required"],
        ),
        Validation(
            "empty default",
            config={"user": "u", "port": ""},
            secrets={"key": "k"},
            creating=True,
            expected=["config.port is required"],
        ),
        Validation(
            "null for a default",
            config={"user": "u", "port": None},
            secrets={"key": "k"},
            creating=True,
            expected=["config.port is required"],
        ),
        Validation(
            "secret field in config",
            config={"user": "u", "key": "canary"},
            secrets={"key": "k"},
            creating=True,
            expected=["config.key is secret"],
        ),
        Validation(
            "several errors",
            config={"zone": "canary", "nosuch": "canary"},
            secrets={"user": "canary"},
            creating=False,
            expected=["config.zone must be one of a, b", "config.nosuch is unknown", "secrets.user is not secret"],
        ),
        Validation(
            "types",
            config={"user": 1.5},
            secrets={"key": ["canary"]},
            creating=False,
            expected=["config.user must be quoted", "secrets.key must be a string"],
        ),
    ],
    ids=lambda case: case.name,
)
def test_validation_errors(case):
    _config, messages = check(case.config, case.secrets, case.creating)
    assert [error[: len(words)] for error, words in zip(messages, case.expected)] == case.expected
    assert len(messages) == len(case.expected)
    assert "canary" not in " ".join(messages)


def test_messages_name_the_option_and_the_fields_of_the_driver():
    every = "key (secret), port, user, zone"
    _config, messages = check({"key": "x", "usr": "x", "zone": "c"}, {"user": "x", "zoen": "x"}, creating=True)
    assert messages == [
        "config.key is secret and belongs in secrets",
        f"config.usr is unknown (did you mean user?); the fields of the driver are {every}",
        "config.zone must be one of a, b",
        "secrets.user is not secret and belongs in config",
        f"secrets.zoen is unknown (did you mean zone?); the fields of the driver are {every}",
        f"secrets.key is required and must not be empty; the fields of the driver are {every}",
        f"config.user is required and must not be empty; the fields of the driver are {every}",
    ]


def test_a_field_with_choices_can_be_removed_and_left_empty():
    config, messages = check({"user": "u", "zone": None}, {"key": "k"})
    assert not messages and config.values["zone"] is None
    assert check({"user": "u", "zone": ""}, {"key": "k"})[1] == []


def test_only_a_mapping_that_is_stored_as_text_is_compared_as_json():
    fields = {"a": DriverField("a"), "b": DriverField("b"), "c": DriverField("c")}
    config, _messages = check_config(fields, {"a": {"x": 1}, "b": '{"x": 1}', "c": None}, {}, to_stored_text)
    assert config.as_json == {"a"}
    kept, _messages = check_config(None, {"a": {"x": 1}}, {}, lambda value, _field: value)
    assert kept.as_json == frozenset() and kept.values == {"a": {"x": 1}}


def test_a_field_is_set_once():
    config, messages = check_config(None, {"a": 1, "b": 2}, {"b": 3, "c": 4}, to_stored_text)
    assert config.values == {"a": "1", "b": "2", "c": "4"} and messages == ["secrets.b is set in config too"]


def test_without_a_schema_only_names_are_validated():
    assert check({"any": 1}, {"other.key_1": None}, fields=None)[0].values == {"any": "1", "other.key_1": None}
    for name in ("a-b", "", "ä", "a/b", "a b"):
        assert "is not a field name" in check({}, {name: "x"}, fields=None)[1][0]
    assert check({"a": "x"}, {"a": "y"}, fields=None)[1] == ["secrets.a is set in config too"]


@pytest.mark.parametrize(
    ("text", "stored", "same"),
    [
        pytest.param('{"a":1,"b":[1,2]}', ' { "b": [1,2],\n"a": 1 }', True, id="other spaces and order of keys"),
        pytest.param('{"a":[1,2]}', '{"a":[2,1]}', False, id="other order of a list"),
        pytest.param('{"a":1}', "no JSON", False, id="no JSON"),
        pytest.param('{"a":1}', "", False, id="empty text"),
    ],
)
def test_same_json(text, stored, same):
    assert same_json(text, stored) == same


@pytest.mark.parametrize("value", ["--5canary", "\u00b2", "9" * 5000, "1e3", "", "canary", "5 canary"])
def test_a_malformed_number_is_not_in_the_error(value):
    with pytest.raises(ValueError, match="^must be a whole number of at most 18 digits$"):
        to_typed_value(value, DriverField("size", "int"))


def kind(name):
    return DriverField("x", name)


@pytest.mark.parametrize(("value", "field", "expected"), [
    *((value, kind("boolean"), expected) for value, expected in (
        (True, True), (False, False), ("true", True), (" FALSE ", False))),
    (["a", 5, True], kind("array[string]"), ["a", "5", "true"]), (["a"], None, ["a"]), (True, None, True),
    (5, None, "5"), (5, kind("string"), "5"), (" a ", kind("password"), "a"), ({"a": 1}, None, '{"a":1}'),
    ("9" * 18, kind("int"), 10**18 - 1), ("-5", kind("int"), -5),
])
def test_values_of_a_node_template_have_the_type_of_the_field(value, field, expected):
    found = to_typed_value(value, field)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(("value", "field", "message"), [
    *((value, kind("boolean"), "must be true or false") for value in ("yes", 1, None, ["true"])),
    *((value, kind("array[string]"), "must be a list of strings") for value in ("a", {"a": 1}, 5)),
    *((value, kind("int"), "must be a whole number of at most 18 digits") for value in (True, "9" * 19, 1.5, [])),
    ([1.5], kind("array[string]"), "must be quoted, as a floating point number does not keep its digits"),
    (["a"], kind("string"), "must be a string, a whole number, true or false, or a mapping, which is stored as JSON"),
])
def test_values_of_a_node_template_of_another_type(value, field, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        to_typed_value(value, field)


def test_whole_numbers():
    assert [to_typed_value(value, DriverField("size", "int")) for value in (" -5 ", 7, "08")] == [-5, 7, 8]
