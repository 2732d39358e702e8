# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The credential that a reference means, as Rancher reads it."""

from __future__ import annotations

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import referenced_name, values_at


@pytest.mark.parametrize(
    ("value", "namespace", "expected"),
    [
        pytest.param("cattle-global-data:cc-a", "fleet-default", "cc-a", id="id"),
        pytest.param("any:cc-a", "fleet-default", "cc-a", id="other namespace in the id"),
        pytest.param(":cc-a", None, "cc-a", id="empty namespace in the id"),
        pytest.param("cattle-global-data/cc-a", "fleet-default", "cc-a", id="slash as separator"),
        pytest.param("cc-a", "cattle-global-data", "cc-a", id="bare name in the namespace of credentials"),
        pytest.param("cc-a", "fleet-default", None, id="bare name in another namespace"),
        pytest.param("cc-a", None, None, id="bare name without a namespace"),
        pytest.param("cattle-global-data:", "fleet-default", None, id="id without a name"),
        pytest.param("", "cattle-global-data", None, id="empty text"),
        pytest.param(None, "cattle-global-data", None, id="null"),
        pytest.param(5, "cattle-global-data", None, id="number"),
        pytest.param(["cc-a"], "cattle-global-data", None, id="list"),
    ],
)
def test_referenced_name(value, namespace, expected):
    assert referenced_name(value, namespace) == expected


@pytest.mark.parametrize(
    ("item", "path", "expected"),
    [
        pytest.param({"a": {"b": "x"}}, "a.b", ["x"], id="mapping"),
        pytest.param({"a": [{"b": "x"}, {}, {"b": "y"}]}, "a[].b", ["x", "y"], id="list"),
        pytest.param({"a": {"b": "x"}}, "a[].b", [], id="mapping for a list"),
        pytest.param({"a": None}, "a.b", [], id="null for a mapping"),
        pytest.param({"a": "text"}, "a.b", [], id="text for a mapping"),
        pytest.param({"a": [None, "text", {"b": ["c"]}]}, "a[].b", [["c"]], id="mixed list"),
        pytest.param({}, "a[].b[].c", [], id="nothing"),
    ],
)
def test_values_at(item, path, expected):
    assert list(values_at(item, path.split("."))) == expected
