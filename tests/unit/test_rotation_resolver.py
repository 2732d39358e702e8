# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task requests is resolved to rotations, without a cluster."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import ValidationErrors
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.cloud_credential import parse_cloud_credential
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.users import Users
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.issuers.registry import (
    ISSUERS,
    default_issuer,
    is_issuer_name,
    load_issuer,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.options import (
    CLOUD_CREDENTIAL_ROTATION,
    parse_rotations,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import KeyGeneration, RotationRecord
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.resolver import resolve
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.store import (
    RotationHistory,
    RotationStore,
    StoredRecord,
)


def credential(name, driver="amazonec2", **values):
    data = {
        f"{driver}credentialConfig-{key}": base64.b64encode(value.encode()).decode() for key, value in values.items()
    }
    return parse_cloud_credential({
        "metadata": {
            "name": name, "uid": f"uid-{name}", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"field.cattle.io/name": f"name of {name}", "field.cattle.io/creatorId": "u-1"}},
        "data": data})


PROD = credential("cc-prod", accessKey="AKIA1", secretKey="s1")
OTHER = credential("cc-other", accessKey="AKIA2", secretKey="s2")
S3 = credential("cc-s3", "s3", accessKey="AKIA1", secretKey="s1")
WATER = credential("cc-water", "digitalocean", accessToken="t1")


def resolved(*credentials, records=(), **options):
    params = parse_options(CLOUD_CREDENTIAL_ROTATION, options, parse_rotations)
    stored = {record.name: StoredRecord(record, {"metadata": {"name": record.name}}) for record in records}
    return resolve(
        parse_rotations(params), RotationStore(credentials, RotationHistory(None, stored, b"key")), Users(())
    )


def record_of(*members, **fields):
    old = KeyGeneration("AKIA1", "old", {})
    record = RotationRecord(
        f"rotation-{members[0].id}", tuple((member.id, member.uid) for member in members), "amazonec2", "aws",
        ("accessKey", "secretKey"), phase="grace", old=old, new=old)
    return replace(record, **fields)


def test_a_new_rotation():
    resolution = resolved(PROD, OTHER, id="cc-prod", rotation_id="1")
    (unit,) = resolution.units.values()
    assert not resolution.errors and unit.members == (PROD,) and unit.config_map is None
    assert (unit.name, unit.record.phase, unit.record.issuer) == ("rotation-cc-prod", "idle", "aws")
    assert unit.record.fields == ("accessKey", "secretKey") and unit.record.members == (("cc-prod", "uid-cc-prod"),)
    assert [(item.credential, item.unit) for item in resolution.items] == [(PROD, "rotation-cc-prod")]


def test_credentials_with_the_same_key_are_a_unit():
    both = resolved(PROD, S3, OTHER, credentials=[{"id": "cc-s3"}, {"id": "cc-prod"}], rotation_id="1")
    (unit,) = both.units.values()
    assert unit.members == (PROD, S3) and [item.unit for item in both.items] == ["rotation-cc-prod"] * 2
    together = resolved(PROD, S3, id="cc-s3", rotation_id="1", shared_key="together")
    assert next(iter(together.units.values())).members == (PROD, S3)


def test_a_shared_key_is_an_error_of_its_item_only():
    resolution = resolved(PROD, S3, OTHER, credentials=[{"id": "cc-prod"}, {"id": "cc-other"}], rotation_id="1")
    shared, alone = resolution.items
    assert not resolution.errors and shared.error.code == "shared_key" and "cc-s3" in shared.error.message
    assert alone.error is None and list(resolution.units) == [alone.unit] == ["rotation-cc-other"]


def test_a_shared_key_needs_the_same_options():
    resolution = resolved(PROD, S3, credentials=[{"id": "cc-prod"}, {"id": "cc-s3", "grace": "1h"}], rotation_id="1")
    (where, error), = resolution.errors
    assert "credentials[1]" in where and error.code == "invalid" and "same options" in error.message


def test_a_rotation_in_progress_keeps_its_members_and_issuer():
    record = record_of(PROD, S3)
    (unit,) = resolved(PROD, S3, records=[record], id="cc-s3", state="retired").units.values()
    assert unit.record == record and unit.members == (PROD, S3) and unit.config_map["metadata"]["name"] == record.name
    resolution = resolved(PROD, S3, records=[record], id="cc-s3", state="retired", issuer="supplied")
    assert "issuer: aws" in resolution.errors[0][1].message


def test_the_record_in_progress_is_preferred():
    done = record_of(PROD, name="rotation-done", phase="idle", current=record_of(PROD).old, old=None, new=None)
    assert list(resolved(PROD, records=[done, record_of(PROD)], id="cc-prod", state="retired").units) == [
        "rotation-cc-prod"
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(
            {"id": "cc-water", "rotation_id": "1"},
            "requires its new value in config and secrets",
            id="supplied without a value",
        ),
        pytest.param(
            {"id": "cc-prod", "rotation_id": "1", "config": {"accessKey": "A"}},
            "require issuer: supplied",
            id="value without supplied",
        ),
        pytest.param(
            {"id": "cc-prod", "rotation_id": "1", "issuer": "openstack"},
            "supports driver openstack",
            id="issuer of another driver",
        ),
        pytest.param(
            {"id": "cc-prod", "rotation_id": "1", "issuer": "no.such.issuer"},
            "cannot load the issuer no.such.issuer",
            id="unknown issuer",
        ),
        pytest.param({"id": "cc-half", "rotation_id": "1"}, "no field secretKey", id="missing field"),
        pytest.param({"name": "nothing", "rotation_id": "1"}, "does not exist", id="unknown name"),
        pytest.param(
            {"id": "cc-prod", "rotation_id": "1", "issuer_options": {"weather": "fine"}},
            "weather",
            id="unknown option of the issuer",
        ),
    ],
)
def test_errors(options, words):
    resolution = resolved(PROD, WATER, credential("cc-half", accessKey="AKIA3"), **options)
    (_where, error), = resolution.errors
    assert words in error.message and not resolution.units and not resolution.items


def test_without_a_record_there_is_nothing_to_retire():
    (unit,) = resolved(WATER, id="cc-water", state="retired").units.values()
    assert unit.record.phase == "idle" and unit.config_map is None


def test_a_supplied_value():
    (unit,) = resolved(WATER, id="cc-water", rotation_id="1", secrets={"accessToken": " t2 "}).units.values()
    assert unit.record.issuer == "supplied" and unit.issuer.issue({}) == {"accessToken": "t2"}


def test_validation_errors_name_their_item():
    wrong = [
        {"id": "cc-prod"},
        {"rotation_id": "1"},
        {"id": "cc-water", "rotation_id": "1", "override_gates": ["weather"]},
    ]
    with pytest.raises(ValidationErrors) as caught:
        resolved(PROD, credentials=wrong)
    messages = caught.value.messages
    assert [message.partition(" ")[0].rstrip(":") for message in messages] == [
        f"credentials[{number}]" for number in range(3)
    ]
    for words, message in zip(("either max_age or rotation_id", "name or id", "unknown gate weather"), messages):
        assert words in message


def test_the_registry():
    for name, entry in ISSUERS.items():
        options = {"values": {}, "public": ()} if name == "supplied" else {}
        issuer = load_issuer(name, options)
        assert (issuer.drivers, issuer.fields) == (entry.drivers, entry.fields) and is_issuer_name(name)
        assert all(default_issuer(driver) == name for driver in entry.drivers)
    drivers = [driver for entry in ISSUERS.values() for driver in entry.drivers]
    assert len(drivers) == len(set(drivers)) and default_issuer("digitalocean") is None
    assert is_issuer_name("my.clouds.water") and not is_issuer_name("azure-thing")
