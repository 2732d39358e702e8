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
    kept = "\u1fff\u200b\ufeff\x1c\x1d\x1e\x1f"  # what Python's strip() or people take for a space, and Go does not
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


def test_whole_numbers():
    assert [to_typed_value(value, DriverField("size", "int")) for value in (" -5 ", 7, "08")] == [-5, 7, 8]
