# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Differences between desired and stored fields, and the merge patch that removes them."""

from __future__ import annotations

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.driver_schema import CheckedConfig
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.differences import (
    FieldDifference,
    apply_merge_patch,
    changed_options,
    compare,
    compare_config,
    compare_entries,
    merge_patch,
)
from hypothesis import given
from hypothesis import strategies as st

KEYS = st.sampled_from("abc")
ENTRIES = st.dictionaries(KEYS, st.sampled_from("xyz"))


@given(st.dictionaries(KEYS, st.none() | st.sampled_from("xyz")), ENTRIES)
def test_a_patch_removes_all_differences_and_nothing_else(desired, stored):
    differences = compare_entries("labels", ("metadata", "labels"), desired, stored)
    patched = apply_merge_patch({"metadata": {"labels": stored}}, merge_patch(differences))["metadata"]["labels"]
    assert compare_entries("labels", ("metadata", "labels"), desired, patched) == []
    assert {key: value for key, value in patched.items() if key not in desired} == {
        key: value for key, value in stored.items() if key not in desired
    }
    assert changed_options(differences) == ({"labels"} if differences else set())


@pytest.mark.parametrize(
    ("desired", "stored", "difference"),
    [
        pytest.param("a", "a", None, id="equal"),
        pytest.param(None, None, None, id="absent on both sides"),
        pytest.param("a", None, "a", id="new"),
        pytest.param("a", "b", "a", id="changed"),
        pytest.param(None, "b", None, id="removed"),
    ],
)
def test_a_single_field(desired, stored, difference):
    found = compare("name", ("spec", "displayName"), desired, stored)
    assert found == ([] if desired == stored else [FieldDifference("name", ("spec", "displayName"), difference)])


def test_json_with_another_layout_is_no_difference():
    stored = {"json": '{"a": 1}', "text": '{"a": 1}', "other": '{"a": 2}'}
    same = '{"a":1}'
    config = CheckedConfig({"json": same, "text": same, "other": same}, frozenset({"json", "other"}))
    assert changed_options(compare_config(config, stored, lambda name: ("data", name))) == {"text", "other"}


def test_values_are_encoded_and_removals_are_not():
    config = CheckedConfig({"new": "a", "gone": None}, frozenset())
    differences = compare_config(config, {"gone": "b"}, lambda name: ("data", name), str.upper)
    assert merge_patch(differences) == {"data": {"new": "A", "gone": None}}


def test_a_field_that_only_follows_from_another_is_not_reported():
    differences = compare(None, ("metadata", "annotations", "cached"), None, "x") + compare(
        "owner", ("owner",), "u", "v"
    )
    assert changed_options(differences) == {"owner"}
    assert merge_patch(differences) == {"metadata": {"annotations": {"cached": None}}, "owner": "u"}
