# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules for rotations: as documented, and what is validated."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import ValidationErrors
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.connection import CONNECTION
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import options as module
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.options import (
    CLOUD_CREDENTIAL_ROTATION,
    CLOUD_CREDENTIAL_ROTATION_INFO,
    GATES,
    check_info,
    parse_rotations,
    validate_namespace,
)

MODULES = Path(__file__).resolve().parents[2] / "plugins" / "modules"


def documented(name):
    text = (MODULES / f"{name}.py").read_text(encoding="utf-8")
    return yaml.safe_load(text.partition('DOCUMENTATION = r"""')[2].partition('"""')[0])["options"]


def described(options):
    """What the documentation of options must contain."""
    found = {}
    for name, option in options.items():
        kind = "str" if option["type"] == "duration" else option["type"]
        found[name] = {
            "type": kind, **{key: option[key] for key in ("choices", "default", "elements") if key in option}}
        if "options" in option:
            found[name]["suboptions"] = described(option["options"])
    return found


def only_parsed(options):
    """The parts of the documentation that the specification contains, too."""
    found = {}
    for name, option in options.items():
        found[name] = {key: option[key] for key in ("type", "choices", "default", "elements") if key in option}
        found[name].setdefault("type", "str")
        if "suboptions" in option:
            found[name]["suboptions"] = only_parsed(option["suboptions"])
    return found


@pytest.mark.parametrize(("name", "spec"), [
    pytest.param("cloud_credential_rotation", CLOUD_CREDENTIAL_ROTATION, id="cloud_credential_rotation"),
    pytest.param("cloud_credential_rotation_info", CLOUD_CREDENTIAL_ROTATION_INFO, id="cloud_credential_rotation_info"),
])
def test_the_options_are_those_of_the_documentation(name, spec):
    own = {key: option for key, option in spec.options.items() if key not in CONNECTION.options}
    assert set(CONNECTION.options) <= set(spec.options)
    assert described(own) == only_parsed(documented(name))


def test_secrets_are_not_logged():
    options = CLOUD_CREDENTIAL_ROTATION.options
    suboptions = options["credentials"]["options"]
    hidden = {name for name, option in {**options, **suboptions}.items() if option.get("no_log")}
    assert hidden - set(CONNECTION.options) == {
        "secrets", "issuer_secrets", "issuer_secrets_by_name", "external_store_secrets"}
    public = {name for name, option in suboptions.items() if option.get("no_log") is False}
    names = {"issuer_secrets_name", "shared_key", "current_key_id"}
    assert public == names, "ansible-core would hide them by their names"


def test_the_gates_are_documented():
    docs = MODULES.parents[1] / "docs"
    texts = [(docs / name / "rotation.md").read_text(encoding="utf-8") for name in ("guides", "runbooks")]
    words = set(re.findall(r"\w+", " ".join(texts)))
    assert len(set(GATES)) == len(GATES) == 12 and set(GATES) <= words


def parsed(**options):
    given = {"id": "cc-a", "rotation_id": "1", **options}
    return parse_rotations(parse_options(CLOUD_CREDENTIAL_ROTATION, given, parse_rotations))


def test_all_options_of_an_item():
    values = {
        "name": "aws", "driver": "amazonec2", "owner": "u-1", "issuer": "my.own.issuer", "max_age": None,
        "issuer_options": {"a": 1}, "issuer_secrets_name": "admin", "rotation_id": "7", "reason": "leaked",
        "grace": 60, "soak": 120, "drain": 3600, "verify_timeout": 3600, "on_verify_failure": "stop",
        "orphan_policy": "never", "shared_key": "together", "pause_before_cutover": True, "repair": True,
        "old_key_removed": True, "assume_dead": True, "current_key_id": "k1",
    }
    durations = {name: f"{values[name]}s" for name in ("grace", "soak", "drain", "verify_timeout")}
    (item,) = parsed(**{
        **values, **durations, "id": None, "max_age": None, "issuer_secrets": {"token": "canary"},
        "issuer_secrets_by_name": {"admin": {"token": "t"}}, "override_gates": ["soak", "grace"],
        "state": "retired"})
    assert {name: getattr(item, name) for name in values} == values
    assert (item.id, item.requested_state, item.override_gates) == (None, "retired", ("soak", "grace"))
    assert (item.issuer_secrets, item.named_secrets) == ({"token": "canary"}, {"admin": {"token": "t"}})
    assert "canary" not in repr(item)


def test_values_and_options_are_not_shown():
    (item,) = parsed(
        issuer="supplied", config={"accessKey": " AKIA1\n", "number": 7}, secrets={"secretKey": "canary"})
    assert (item.config, item.secrets) == ({"accessKey": "AKIA1", "number": "7"}, {"secretKey": "canary"})
    assert "canary" not in repr(item) and "AKIA1" not in repr(item)
    (item,) = parsed(issuer_options={"x": "canary"}, issuer_secrets_by_name={"x": {"y": "canary"}})
    assert "canary" not in repr(item)


def test_either_option_of_an_item_replaces_both_of_the_call():
    items = [{"id": "cc-a"}, {"id": "cc-b", "rotation_id": "2"}, {"id": "cc-c", "max_age": "7d"}]
    results = parse_rotations(parse_options(
        CLOUD_CREDENTIAL_ROTATION, {"credentials": items, "max_age": "90d"}, parse_rotations))
    assert [(item.max_age, item.rotation_id) for item in results] == [
        (90 * 86400, None), (None, "2"), (7 * 86400, None)]
    (item,) = parse_rotations(parse_options(
        CLOUD_CREDENTIAL_ROTATION, {"credentials": items[2:], "rotation_id": "1"}, parse_rotations))
    assert (item.max_age, item.rotation_id) == (7 * 86400, None)


def test_secrets_by_name_are_for_all_items_of_a_list():
    secrets = {"issuer_secrets_by_name": {"admin": {"a": "b"}}, "external_store_secrets": {"vault": {"token": "t"}}}
    stores = [{"name": "vault", "type": "vault", "url": "u", "path": "{id}"}]
    options = {"credentials": [{"id": "cc-a"}, {"id": "cc-b", "external_stores": []}], "rotation_id": "1", **secrets}
    first, second = parse_rotations(parse_options(
        CLOUD_CREDENTIAL_ROTATION, {**options, "external_stores": stores}, parse_rotations))
    for item in (first, second):
        assert (item.named_secrets, item.external_store_secrets) == tuple(secrets.values())
    assert (first.external_stores, second.external_stores) == (tuple(stores), ())


def test_different_settings():
    first, other = parsed(grace="1h")[0], parsed(grace="2h", id="cc-b", issuer_secrets={"a": "b"}, repair=True)[0]
    assert first.other_settings(other) == ["grace", "repair"] and first.other_settings(first) == []
    assert first.other_settings(parsed(grace="1h", state="retired", secrets={"x": "y"})[0]) == ["state", "secrets"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"parallel": 33}, "parallel must be a number from 1 to 32", id="parallel"),
        pytest.param({"parallel": 0}, "parallel must be a number from 1 to 32", id="no parallel"),
        pytest.param({"drain": "3601s"}, "drain must not be longer than 1h", id="drain"),
        pytest.param({"rotation_id": "x" * 129}, "rotation_id must be a text of 1 to 128", id="long rotation_id"),
        pytest.param({"rotation_id": " "}, "rotation_id must be a text", id="blank rotation_id"),
        pytest.param({"issuer_secrets_name": "x" * 129}, "issuer_secrets_name must be", id="issuer_secrets_name"),
        pytest.param({"issuer_options": {"x": "y" * 10000}}, "issuer_options must not", id="issuer_options"),
        pytest.param({"issuer": "nosuch"}, "issuer must be one of alibaba, aws, ", id="issuer"),
        pytest.param({"issuer": "supplied", "issuer_secrets": {"a": 1}}, "has no effect with issuer: supplied",
                     id="supplied with secrets"),
        pytest.param({"config": {"accessKey": True}}, "config.accessKey must be a string", id="boolean"),
        pytest.param({"secrets": {"secretKey": " "}}, "secrets.secretKey must be a string", id="blank"),
        pytest.param({"override_gates": ["soak", "nosuch"]}, "unknown gate nosuch; the gates are grace", id="gate"),
        pytest.param({"max_age": "1d"}, "either max_age or rotation_id", id="max_age and rotation_id"),
        pytest.param({"namespace": "Rotations"}, "namespace must be a valid name", id="namespace"),
        pytest.param({"namespace": "cattle-rotations"}, "namespace must not begin with cattle-", id="cattle-"),
        pytest.param({"id": None}, "name or id is required", id="neither name nor id"),
        pytest.param({"id": "other:cc-a"}, "id", id="id in another namespace"),
        pytest.param({"name": " "}, "name", id="blank name"),
    ],
)
def test_validation_errors(options, words):
    with pytest.raises(ValidationErrors) as caught:
        parsed(**options)
    (message,) = caught.value.messages
    assert words in message


@pytest.mark.parametrize("options", [
    {"parallel": 1}, {"parallel": 32}, {"parallel": None}, {"rate": 1}, {"rate": None}, {"drain": "1h"},
    {"rotation_id": "x" * 128}, {"reason": "x" * 1000}, {"issuer_options": {"x": "y" * 9991}},
    {"state": "retired", "max_age": "1d"},
    {"rotation_id": None, "max_age": "1d"}, {"override_gates": list(GATES)}, {"issuer": "supplied"},
], ids=", ".join)
def test_the_limits_are_valid(options):
    assert len(parsed(**options)) == 1


@pytest.mark.parametrize(("name", "valid"), [
    ("rotations", True), ("a", True), ("a" * 63, True), ("a" * 64, False), ("a-", False), ("-a", False), ("", False),
    ("p-abcde", False), ("u-x", False), ("user-x", False), ("c-x", False), ("cattle-x", False), ("users", True),
    ("a\n", False),
], ids=repr)
def test_the_namespace_of_records(name, valid):
    assert (validate_namespace(name) == []) is valid


def test_the_options_of_the_status():
    options = {"id": None, "name": None, "name_pattern": None, "namespace": "rotations"}
    check_info(options)
    check_info({**options, "name": "aws"})
    check_info({**options, "name_pattern": "aws*"})
    wrong = {"id": "other:cc-a", "name": "a", "name_pattern": "b", "namespace": "A"}
    with pytest.raises(ValidationErrors) as caught:
        check_info(wrong)
    assert len(caught.value.messages) == 3
    assert module.RECORD_NAMESPACE == "rancher-credential-rotation"
