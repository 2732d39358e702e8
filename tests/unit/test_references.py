# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The credential that a reference means, as Rancher reads it."""

from __future__ import annotations

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import referenced_name, values_at


@pytest.mark.parametrize(("value", "namespace", "expected"), [
    ("cattle-global-data:cc-a", "fleet-default", "cc-a"),
    ("any:cc-a", "fleet-default", "cc-a"),
    (":cc-a", None, "cc-a"),
    ("cattle-global-data/cc-a", "fleet-default", "cc-a"),
    ("cc-a", "cattle-global-data", "cc-a"),
    ("cc-a", "fleet-default", None),
    ("cc-a", None, None),
    ("cattle-global-data:", "fleet-default", None),
    ("", "cattle-global-data", None),
    (None, "cattle-global-data", None),
    (5, "cattle-global-data", None),
    (["cc-a"], "cattle-global-data", None),
])
def test_referenced_name(value, namespace, expected):
    assert referenced_name(value, namespace) == expected


@pytest.mark.parametrize(("item", "path", "expected"), [
    ({"a": {"b": "x"}}, "a.b", ["x"]),
    ({"a": [{"b": "x"}, {}, {"b": "y"}]}, "a[].b", ["x", "y"]),
    ({"a": {"b": "x"}}, "a[].b", []),
    ({"a": None}, "a.b", []),
    ({"a": "text"}, "a.b", []),
    ({"a": [None, "text", {"b": ["c"]}]}, "a[].b", [["c"]]),
    ({}, "a[].b[].c", []),
])
def test_values_at(item, path, expected):
    assert list(values_at(item, path.split("."))) == expected
