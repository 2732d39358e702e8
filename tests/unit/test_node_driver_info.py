# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What node_driver_info returns for the drivers of recorded Ranchers, and the page about them."""

from __future__ import annotations

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.registry import ISSUERS, load_issuer
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.driver_schema import suggest
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import node_driver_info

from support import driver_docs


def drivers(version="2.15", name=None):
    original, node_driver_info.read_schemas = node_driver_info.read_schemas, lambda client: driver_docs.schemas(version)
    try:
        return node_driver_info.list_node_drivers({"name": name}, lambda: None, None)["drivers"]
    finally:
        node_driver_info.read_schemas = original


def test_fields_of_credentials_and_machines():
    (amazonec2,) = drivers(name="amazonec2")
    assert [(field["name"], field["required"], field["secret"]) for field in amazonec2["credential_fields"]] == [
        ("accessKey", True, False),
        ("defaultRegion", False, False),
        ("secretKey", True, True),
    ]
    region = next(field for field in amazonec2["machine_fields"] if field["name"] == "region")
    assert region == {
        "name": "region", "type": "string", "required": False, "secret": False, "default": "us-east-1", "options": [],
        "description": "",
    }  # fmt: skip
    assert amazonec2["issuer"] == "aws" and amazonec2["disables_keys"]


def test_drivers_without_machines():
    found = {driver["name"]: driver for driver in drivers()}
    assert found["s3"]["machine_fields"] is None and found["s3"]["issues_keys"]
    assert found["alibaba"]["machine_fields"] is None and found["alibaba"]["issues_keys"]
    assert "linode" not in found  # not active


def test_keys_that_can_be_verified_without_an_issuer():
    found = {driver["name"]: (driver["verifies_keys"], driver["issuer"]) for driver in drivers()}
    assert found["digitalocean"] == (True, None) and found["amazonec2"] == (True, "aws")
    assert found["rackspace"] == (False, None)


def test_an_unknown_driver():
    with pytest.raises(RanchhandError) as failure:
        drivers(name="amazonEC")
    assert failure.value.code == "not_found"
    assert "driver amazonEC is not active in this Rancher (did you mean amazonec2?)" in failure.value.message


@pytest.mark.parametrize("name", ISSUERS)
def test_the_registry_says_what_the_class_does(name):
    options = {
        "supplied": {"values": {}, "public": (), "driver": "x", "issuer_options": {}}, "spaces": {"token": "x"},
    }
    assert load_issuer(name, options.get(name, {})).disables is ISSUERS[name].disables


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("acesskey", " (did you mean accessKey?)", id="case and spelling"),
        pytest.param("x", "", id="nothing is near"),
        pytest.param("a" * 100000, "", id="a long name"),
    ],
)
def test_suggestions(name, expected):
    assert suggest(name, ("accessKey", "secretKey")) == expected


def test_the_page_is_current():
    assert driver_docs.PAGE.read_text(encoding="utf-8") == driver_docs.render()
