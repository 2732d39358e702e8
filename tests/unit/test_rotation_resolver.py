# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task requests is resolved to rotations, without a cluster."""

from __future__ import annotations

import base64
import subprocess
import sys
from dataclasses import replace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import ValidationErrors
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.times import parse_time
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.registry import (
    ISSUERS,
    default_issuer,
    is_issuer_name,
    load_issuer,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._issuers.throttle import CallRates
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.cloud_credential import parse_cloud_credential
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.driver_schema import DriverSchemas
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.users import Users
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import resolver
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
    UnreadableRecord,
    compute_digests,
    record_name,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import Issuer


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
FORMER = credential("cc-former", accessKey="AKIA0", secretKey="s0")
OTHER = credential("cc-other", accessKey="AKIA2", secretKey="s2")
S3 = credential("cc-s3", "s3", accessKey="AKIA1", secretKey="s1")
WATER = credential("cc-water", "digitalocean", accessToken="t1")


SCHEMAS = DriverSchemas([
    {"metadata": {"name": "credentialconfig"}, "spec": {"resourceFields": {
        "digitaloceancredentialConfig": {}, "amazonec2credentialConfig": {}}}},
    {"metadata": {"name": "digitaloceancredentialconfig"}, "spec": {"resourceFields": {
        "accessToken": {"type": "password"}}}},
    {"metadata": {"name": "amazonec2credentialconfig"}, "spec": {"resourceFields": {
        "accessKey": {"type": "string"}, "secretKey": {"type": "password"}, "defaultRegion": {"type": "string"}}}},
])
KEY = b"key"


def resolved(*credentials, records=(), unreadable=(), schemas=SCHEMAS, **options):
    params = parse_options(CLOUD_CREDENTIAL_ROTATION, options, parse_rotations)
    stored = {record.name: StoredRecord(record, {"metadata": {"name": record.name}}) for record in records}
    store = RotationStore(credentials, RotationHistory(None, stored, KEY, tuple(unreadable)))
    return resolve(parse_rotations(params), store, Users(()), lambda: schemas, CallRates(20))


def generation(credential):
    values = {name: credential.text(name) for name in ("accessKey", "secretKey")}
    return KeyGeneration(values["accessKey"], f"kept-{values['accessKey']}", compute_digests(KEY, values))


def record_of(*members, **fields):
    """A record in grace: the members contain its new key, the old one is AKIA0."""
    record = RotationRecord(
        f"rotation-{members[0].id}", tuple((member.id, member.uid) for member in members), "amazonec2", "aws",
        ("accessKey", "secretKey"), phase="grace", old=generation(FORMER), new=generation(members[0]))
    return replace(record, **fields)


def idle_record_of(*members, **fields):
    """A record whose current key the first member contains; AKIA0 is retired."""
    return record_of(*members, **{
        "phase": "idle", "old": None, "new": None, "current": generation(members[0]),
        "past": (generation(FORMER).digests,), **fields,
    })


def errors_of(resolution):
    return [item.error and (item.error.code, item.error.message) for item in resolution.items]


def test_a_new_rotation():
    resolution = resolved(PROD, OTHER, id="cc-prod", rotation_id="1")
    (unit,) = resolution.units.values()
    assert unit.members == (PROD,) and unit.config_map is None
    assert (unit.name, unit.record.phase, unit.record.issuer) == ("rotation-cc-prod", "idle", "aws")
    assert unit.record.fields == ("accessKey", "secretKey") and unit.record.members == (("cc-prod", "uid-cc-prod"),)
    (item,) = resolution.items
    assert (item.id, item.credential, item.unit) == ("cc-prod", PROD, "rotation-cc-prod")


def test_credentials_with_the_same_key_are_a_unit():
    both = resolved(PROD, S3, OTHER, credentials=[{"id": "cc-s3"}, {"id": "cc-prod"}], rotation_id="1")
    (unit,) = both.units.values()
    assert unit.members == (PROD, S3) and [item.unit for item in both.items] == ["rotation-cc-prod"] * 2
    together = resolved(PROD, S3, id="cc-s3", rotation_id="1", shared_key="together")
    assert next(iter(together.units.values())).members == (PROD, S3)


def test_a_shared_key_is_an_error_of_its_item_only():
    resolution = resolved(PROD, S3, OTHER, credentials=[{"id": "cc-prod"}, {"id": "cc-other"}], rotation_id="1")
    shared, alone = resolution.items
    assert shared.error.code == "shared_key" and "cc-s3" in shared.error.message
    assert alone.error is None and list(resolution.units) == [alone.unit] == ["rotation-cc-other"]


def test_a_shared_key_needs_the_same_options():
    items = [{"id": "cc-prod"}, {"id": "cc-other"}, {"id": "cc-s3", "grace": "1h"}]
    resolution = resolved(PROD, S3, OTHER, credentials=items, rotation_id="1")
    first, other, second = errors_of(resolution)
    assert other is None and list(resolution.units) == ["rotation-cc-other"]
    assert first == second and first[0] == "invalid", "it is not known which of the options is meant"
    assert [item.unit for item in resolution.items] == ["", "rotation-cc-other", ""]
    for words in ("credentials[0] (cc-prod) and credentials[2] (cc-s3)", "set grace differently"):
        assert words in first[1]


def test_a_rotation_in_progress_keeps_its_members_and_issuer():
    record = record_of(PROD, S3)
    (unit,) = resolved(PROD, S3, records=[record], id="cc-s3", state="retired").units.values()
    assert unit.record == record and unit.members == (PROD, S3) and unit.config_map["metadata"]["name"] == record.name
    resolution = resolved(PROD, S3, records=[record], id="cc-s3", state="retired", issuer="supplied")
    assert "issuer: aws" in resolution.items[0].error.message


def test_the_record_in_progress_is_preferred():
    done = idle_record_of(PROD, name="rotation-done")
    assert list(resolved(PROD, records=[done, record_of(PROD)], id="cc-prod", state="retired").units) == [
        "rotation-cc-prod"
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(
            {"id": "cc-water"},
            "requires its new value in config and secrets",
            id="supplied without a value",
        ),
        pytest.param(
            {"id": "cc-prod", "config": {"accessKey": "A"}},
            "require issuer: supplied",
            id="value without supplied",
        ),
        pytest.param(
            {"id": "cc-prod", "issuer": "openstack"},
            "supports driver openstack",
            id="issuer of another driver",
        ),
        pytest.param(
            {"id": "cc-prod", "issuer": "no.such.issuer"},
            "cannot load the issuer no.such.issuer",
            id="unknown issuer",
        ),
        pytest.param({"id": "cc-half"}, "no field secretKey", id="missing field"),
        pytest.param({"name": "nothing"}, "does not exist", id="unknown name"),
        pytest.param(
            {"id": "cc-prod", "issuer_options": {"weather": "fine"}},
            "weather",
            id="unknown option of the issuer",
        ),
    ],
)
def test_errors(options, words):
    both = [options, {"id": "cc-other"}]
    half = credential("cc-half", accessKey="AKIA3")
    resolution = resolved(PROD, OTHER, WATER, half, credentials=both, rotation_id="1")
    failed, other = resolution.items
    assert words in failed.error.message and not failed.unit
    assert failed.error.code == ("not_found" if words == "does not exist" else "invalid")
    assert other.error is None and list(resolution.units) == ["rotation-cc-other"], "the others are rotated"


def test_without_a_record_there_is_nothing_to_retire():
    (unit,) = resolved(WATER, id="cc-water", state="retired").units.values()
    assert unit.record.phase == "idle" and unit.config_map is None


def test_a_key_without_a_record_is_adopted_with_the_issuer_of_its_driver():
    (unit,) = resolved(PROD, S3, credentials=[{"id": "cc-prod"}, {"id": "cc-s3"}], state="adopted").units.values()
    assert (unit.members, unit.record.issuer, unit.config_map) == ((PROD, S3), "aws", None)


def test_a_supplied_value():
    (unit,) = resolved(WATER, id="cc-water", rotation_id="1", secrets={"accessToken": " t2 "}).units.values()
    assert unit.record.issuer == "supplied" and unit.issuer.issue({}, "mark").values == {"accessToken": "t2"}
    assert unit.issuer.key_id({"accessToken": "t2"}) == "supplied"


def test_options_of_a_supplied_value_are_kept():
    item = {"id": "cc-water", "secrets": {"accessToken": "t2"}}
    own = {"endpoint_url": "https://water.example.com"}
    (unit,) = resolved(WATER, rotation_id="1", credentials=[{**item, "issuer_options": own}]).units.values()
    assert unit.record.issuer_options == own
    common = {"credentials": [item], "rotation_id": "1", "issuer_options": own}
    (unit,) = resolved(WATER, **common).units.values()
    assert unit.record.issuer_options == {}, "the options of the call are those of the issuers of other items"
    (unit,) = resolved(WATER, **common, issuer="supplied").units.values()
    assert unit.record.issuer_options == own
    record = record_of(WATER, issuer="supplied", driver="digitalocean", issuer_options={"verify": False})
    (unit,) = resolved(WATER, records=[record], id="cc-water", state="retired").units.values()
    assert unit.issuer.verify({}, {}) is None
    ((code, message),) = errors_of(resolved(WATER, **item, rotation_id="1", issuer_options={"region": "x"}))
    assert code == "invalid" and "issuer_options has no option region for driver digitalocean" in message


SECRET_IN_CONFIG = {"id": "cc-water", "rotation_id": "1", "config": {"accessToken": "t2"}}


def test_a_secret_field_in_config_is_rejected():
    (error,) = errors_of(resolved(WATER, **SECRET_IN_CONFIG))
    assert error == ("invalid", "config.accessToken is secret and belongs in secrets")


def test_without_schemas_no_field_is_public():
    """A connection may lack the permission to list them: then every field may be secret."""
    (unit,) = resolved(WATER, schemas=None, **SECRET_IN_CONFIG).units.values()
    assert unit.issuer.key_id({"accessToken": "t2"}) == "supplied"


def test_the_schema_decides_which_field_is_the_id_of_a_supplied_key():
    values = {"config": {"accessKey": "AKIA9"}, "secrets": {"secretKey": "s9"}}
    (unit,) = resolved(PROD, id="cc-prod", rotation_id="1", issuer="supplied", **values).units.values()
    assert unit.issuer.key_id({"accessKey": "AKIA9", "secretKey": "s9", "defaultRegion": "eu"}) == "AKIA9"
    record = record_of(PROD, issuer="supplied")
    (unit,) = resolved(PROD, records=[record], id="cc-prod", state="retired").units.values()
    assert unit.issuer.key_id({"accessKey": "AKIA1", "secretKey": "s1"}) == "AKIA1"


# members


def test_a_member_that_sorts_before_the_recorded_member_uses_its_record():
    early = credential("cc-a", "s3", accessKey="AKIA1", secretKey="s1")
    record = idle_record_of(PROD)
    (unit,) = resolved(early, PROD, records=[record], id="cc-a", rotation_id="2", shared_key="together").units.values()
    assert unit.name == "rotation-cc-prod" and unit.config_map is not None
    assert [member for member, _uid in unit.record.members] == ["cc-a", "cc-prod"]


def test_after_a_restore_all_members_are_repaired():
    """One member contains the current key, the other one a retired key."""
    restored = credential("cc-s3", "s3", accessKey="AKIA0", secretKey="s0")
    record = idle_record_of(PROD, S3)
    for identifier in ("cc-prod", "cc-s3"):
        (unit,) = resolved(PROD, restored, records=[record], id=identifier, state="retired").units.values()
        assert unit.members == (PROD, restored) and unit.record.members == record.members
        assert unit.record.issuer == "aws" and unit.issuer.fields == ("accessKey", "secretKey")


def test_a_member_with_a_key_of_its_own_has_left_the_unit():
    left = credential("cc-s3", "s3", accessKey="AKIA5", secretKey="s5")
    (unit,) = resolved(PROD, left, records=[idle_record_of(PROD, S3)], id="cc-prod", rotation_id="2").units.values()
    assert unit.members == (PROD,) and unit.record.members == (("cc-prod", "uid-cc-prod"),)


@pytest.mark.parametrize("state", ["retired", "rolled_back"])
def test_a_deleted_member_does_not_remove_the_others(state):
    record = record_of(PROD, S3)
    for identifier in ("cc-prod", "cc-s3"):
        (unit,) = resolved(PROD, records=[record], id=identifier, state=state).units.values()
        assert unit.members == (PROD,) and unit.record == record


def test_a_deleted_credential_is_found_by_its_record():
    resolution = resolved(OTHER, records=[record_of(PROD)], id="cc-prod", state="retired")
    (item,) = resolution.items
    assert (item.id, item.credential, item.unit, item.error) == ("cc-prod", None, "rotation-cc-prod", None)
    assert resolution.units["rotation-cc-prod"].members == ()
    (error,) = errors_of(resolved(OTHER, id="cc-prod", state="retired"))
    assert error[0] == "not_found", "there is no record either"


def test_a_unit_in_progress_does_not_accept_members_with_the_old_key():
    """Its credentials contain AKIA1, after they contained AKIA0."""
    late = credential("cc-late", "s3", accessKey="AKIA0", secretKey="s0")
    resolution = resolved(PROD, late, records=[record_of(PROD)], id="cc-late", rotation_id="2")
    (error,) = errors_of(resolution)
    assert error[0] == "unfinished" and "contains the old key of cc-prod" in error[1] and not resolution.units
    (unit,) = resolved(PROD, late, records=[record_of(PROD)], id="cc-prod", state="retired").units.values()
    assert unit.others_old == ("cattle-global-data:cc-late",) and unit.others_new == ()


def test_a_credential_with_the_new_key_of_a_rotation_in_progress_belongs_to_it():
    copy = credential("cc-a-copy", "s3", accessKey="AKIA1", secretKey="s1")
    resolution = resolved(PROD, copy, records=[record_of(PROD)], id="cc-a-copy", rotation_id="2")
    assert [item.unit for item in resolution.items] == ["rotation-cc-prod"]
    unit = resolution.units["rotation-cc-prod"]
    assert unit.members == (PROD,) and unit.others_new == ("cattle-global-data:cc-a-copy",)


def test_an_unreadable_record_blocks_its_own_rotation_only():
    damaged = UnreadableRecord("rotation-cc-prod", ("cc-prod",), "cannot read the record")
    items = [{"id": "cc-prod"}, {"id": "cc-s3"}, {"id": "cc-other"}]
    prod, shared, other = errors_of(
        resolved(PROD, S3, OTHER, unreadable=[damaged], credentials=items, rotation_id="1")
    )
    assert prod == shared == ("conflict", "cannot read the record") and other is None, "cc-s3 contains the same key"


def test_the_name_of_a_record_is_a_label_value():
    assert record_name("cc-7kq2f") == "rotation-cc-7kq2f"
    names = {record_name(f"{'very-' * 30}long.{number}") for number in range(3)}
    assert len(names) == 3 and all(len(name) <= 63 and name[-1].isalnum() for name in names)


def test_a_record_without_a_current_key_has_no_members_yet():
    """It was aborted before its first cutover in version 0.1.0."""
    (unit,) = resolved(PROD, records=[idle_record_of(PROD, current=None)], id="cc-prod", rotation_id="2").units.values()
    assert unit.members == (PROD,) and unit.config_map is not None


def test_what_is_deleted_or_damaged_contains_no_key():
    deleted = replace(S3, deleting=True)
    damaged = replace(credential("cc-bad", "s3", accessKey="AKIA1", secretKey="s1"), problem="has no owner")
    azure = credential("cc-azure", "azure", accessKey="AKIA1", secretKey="s1")
    (unit,) = resolved(PROD, deleted, damaged, azure, id="cc-prod", rotation_id="1").units.values()
    assert unit.members == (PROD,)
    (error,) = errors_of(resolved(damaged, id="cc-bad", rotation_id="1"))
    assert error[0] == "invalid" and "it has no owner. Repair" in error[1]
    record = record_of(PROD)
    (unit,) = resolved(PROD, deleted, records=[record], id="cc-prod", state="retired").units.values()
    assert unit.others_new == ()


def test_the_same_key_id_is_the_same_key():
    """One of them was not updated completely."""
    half = credential("cc-half", accessKey="AKIA1", secretKey="another")
    (unit,) = resolved(PROD, half, id="cc-prod", rotation_id="1", shared_key="together").units.values()
    assert [member.id for member in unit.members] == ["cc-half", "cc-prod"]


def test_of_several_records_that_of_the_current_key_is_used():
    stale = idle_record_of(S3, name="rotation-cc-s3", current=generation(FORMER), rotated_at=times("2026-03-01"))
    fitting = idle_record_of(PROD, past=())
    both = [{"id": "cc-prod"}, {"id": "cc-s3"}]
    (unit,) = resolved(PROD, S3, records=[stale, fitting], credentials=both, rotation_id="9").units.values()
    assert unit.name == "rotation-cc-prod"
    later = idle_record_of(S3, rotated_at=times("2026-03-01"))
    (unit,) = resolved(PROD, S3, records=[fitting, later], credentials=both, rotation_id="9").units.values()
    assert unit.name == "rotation-cc-s3"


def times(day):
    return parse_time(f"{day}T00:00:00Z")


@pytest.mark.parametrize("state", ["rolled_back", "aborted", "retired"])
def test_without_a_rotation_in_progress_no_issuer_is_needed(state):
    record = idle_record_of(PROD, S3, issuer="not.installed.here")
    (unit,) = resolved(PROD, records=[record], id="cc-prod", state=state).units.values()
    assert unit.record.members == (("cc-prod", "uid-cc-prod"),) and unit.members == (PROD,)


@pytest.mark.parametrize(("state", "found"), [
    pytest.param("forgotten", PROD, id="forgotten"),
    pytest.param("adopted", PROD, id="adopted"),
    pytest.param("retired", replace(FORMER, id="cc-prod", uid="uid-cc-prod"), id="retired, a restored key"),
])
def test_the_issuer_of_the_last_rotation_ends_it(state, found):
    """Not that of the driver, which may sign in to another account."""
    record = idle_record_of(PROD, issuer="not.installed.here")
    (error,) = errors_of(resolved(found, records=[record], id="cc-prod", state=state))
    assert error is not None and "cannot load the issuer not.installed.here" in error[1]
    (unit,) = resolved(found, records=[record], id="cc-prod", state=state, issuer="aws").units.values()
    assert unit.record.issuer == "aws"


@pytest.mark.parametrize("found", [
    pytest.param(replace(OTHER, id="cc-prod", uid="uid-cc-prod"), id="another key"),
    pytest.param(replace(PROD, uid="another"), id="created again"),
])
def test_an_idle_record_is_forgotten_whatever_the_credential_contains(found):
    (unit,) = resolved(found, records=[idle_record_of(PROD, S3)], id="cc-prod", state="forgotten").units.values()
    assert unit.name == "rotation-cc-prod" and unit.members == (found,) and unit.config_map is not None


def test_the_record_of_deleted_credentials_is_unchanged():
    record = idle_record_of(PROD, S3)
    (unit,) = resolved(OTHER, records=[record], id="cc-s3", state="retired").units.values()
    assert unit.record == record and unit.members == () and unit.config_map is not None
    (unit,) = resolved(OTHER, records=[record], id="cc-s3", state="forgotten").units.values()
    assert unit.issuer.lists and unit.issuer.fields == ("accessKey", "secretKey")


def test_a_value_is_required_to_start_a_rotation():
    """To finish a rotation in progress, the kept value is used."""
    water = {"issuer": "supplied", "fields": ("accessToken",), "driver": "digitalocean"}
    token = KeyGeneration("supplied", "kept", compute_digests(KEY, {"accessToken": "t1"}))
    for phase, required in (("preparing", True), ("issued", False), ("grace", False)):
        record = record_of(WATER, **water, phase=phase, old=token, new=None if required else token)
        (error,) = errors_of(resolved(WATER, records=[record], id="cc-water", rotation_id="1"))
        assert (error is not None) is required and (not required or "requires its new value" in error[1])
        (error,) = errors_of(resolved(WATER, records=[record], id="cc-water", state="aborted"))
        assert error is None
        (error,) = errors_of(resolved(OTHER, records=[record], id="cc-water", rotation_id="1"))
        assert error is None, "that the credential was deleted is reported later"


# options in the record

OPTIONS = {"sign_in": "given", "user_name": "rancher"}
ADMIN = {"access_key": "AKIAADMIN", "secret_key": "of the administrator"}


def test_options_that_are_not_secret_are_recorded():
    harvester = credential("cc-harvester", "harvester", kubeconfigContent="not read here")
    options, admin = {"namespace": "rancher", "sign_in": "given"}, {"kubeconfig": "of the administrator"}
    (unit,) = resolved(
        harvester, id="cc-harvester", rotation_id="1", issuer_options={**options, "expiration": None},
        issuer_secrets_name="admin", issuer_secrets_by_name={"admin": admin},
    ).units.values()
    assert unit.issuer.options == {**options, **admin, "expiration": None}
    assert dict(unit.record.issuer_options) == options and unit.record.issuer_secrets_name == "admin"
    assert admin["kubeconfig"] not in unit.record.to_json()


@pytest.mark.parametrize(
    "options",
    [pytest.param({"state": "retired"}, id="in grace"), pytest.param({"state": "rolled_back"}, id="roll back")],
)
def test_recorded_options_are_used(options):
    record = record_of(PROD, issuer_options=OPTIONS, issuer_secrets_name="admin")
    secrets = {"issuer_secrets_by_name": {"admin": ADMIN, "other": {}}}
    (unit,) = resolved(PROD, records=[record], id="cc-prod", **options, **secrets).units.values()
    assert unit.issuer.options == {**OPTIONS, **ADMIN}
    (unit,) = resolved(
        PROD, records=[record], id="cc-prod", **options, issuer_options={"sign_in": "given"}, issuer_secrets=ADMIN
    ).units.values()
    assert unit.issuer.options == {"sign_in": "given", **ADMIN}, "options of the task replace those of the record"


def test_the_next_rotation_uses_recorded_options_too():
    record = idle_record_of(PROD, issuer_options={"region": "eu-central-1"})
    (unit,) = resolved(PROD, records=[record], id="cc-prod", rotation_id="2").units.values()
    assert unit.issuer.options == {"region": "eu-central-1"}


def test_missing_named_secrets_fail_their_item_only():
    record = record_of(PROD, issuer_options=OPTIONS, issuer_secrets_name="admin")
    items = [{"id": "cc-prod"}, {"id": "cc-other"}]
    prod, other = errors_of(resolved(PROD, OTHER, records=[record], credentials=items, state="retired"))
    assert other is None and prod[0] == "invalid" and "issuer_secrets_by_name does not contain" in prod[1]


def test_items_with_the_same_options_share_an_issuer():
    items = [{"id": "cc-prod"}, {"id": "cc-other", "issuer_options": {"region": "eu-central-1"}}, {"id": "cc-third"}]
    third = credential("cc-third", accessKey="AKIA3", secretKey="s3")
    units = resolved(PROD, OTHER, third, credentials=items, rotation_id="1").units
    first, other, last = (units[f"rotation-{item['id']}"].issuer for item in items)
    assert first is last and first is not other


def test_an_unexpected_exception_fails_its_item_only(monkeypatch):
    def fail(name, options):
        if options:
            raise KeyError("canary")
        return load_issuer(name, options)

    monkeypatch.setattr(resolver, "load_issuer", fail)
    items = [{"id": "cc-prod", "issuer_options": {"region": "eu"}}, {"id": "cc-other"}]
    failed, other = resolved(PROD, OTHER, credentials=items, rotation_id="1").items
    assert failed.error.code == "server_error" and "KeyError" in failed.error.message
    assert "canary" not in failed.error.message and not failed.unit and other.unit == "rotation-cc-other"


def test_an_issuer_without_drivers_supports_all(monkeypatch):
    class Water(Issuer):
        fields = ("accessToken",)
        lists = False

    monkeypatch.setattr(resolver, "load_issuer", lambda name, options: Water(options))
    (unit,) = resolved(WATER, id="cc-water", rotation_id="1", issuer="my.clouds.water").units.values()
    assert unit.record.issuer == "my.clouds.water" and unit.record.fields == ("accessToken",)


def test_no_sdk_is_loaded_before_a_provider_is_asked():
    """A nightly run in which nothing is due must not take the time and memory."""
    package = "ansible_collections.ranchhand.rancher.plugins.module_utils"
    code = f"""
import sys
import {package}._rotation.executor
from {package}._issuers.registry import ISSUERS, load_issuer
for name in ("aws", "kubernetes", "openstack"):
    issuer = load_issuer(name, {{}})
    issuer.rate_key({{"accessKey": "AKIAIOSFODNN7EXAMPLE", "secretKey": "s"}})
assert not [name for name in ("boto3", "botocore", "keystoneauth1") if name in sys.modules]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# validation


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"rotation_id": "x" * 129}, "rotation_id must be a text of 1 to 128", id="long rotation_id"),
        pytest.param({"rotation_id": "a\nb"}, "printable characters", id="rotation_id with a line feed"),
        pytest.param({"rotation_id": ""}, "rotation_id must be", id="empty rotation_id"),
        pytest.param({"rotation_id": "1", "reason": "x" * 1001}, "reason must be", id="long reason"),
        pytest.param({"rotation_id": "1", "drain": "2h"}, "drain must not be longer than 1h", id="long drain"),
        pytest.param({"rotation_id": "1", "verify_timeout": "1d"}, "verify_timeout must not", id="long verify_timeout"),
        pytest.param({"rotation_id": "1", "parallel": 0}, "parallel must be a number from 1 to 32", id="no parallel"),
        pytest.param({"rotation_id": "1", "rate": 0}, "rate must be at least 1", id="no rate"),
        pytest.param({"rotation_id": "1", "issuer_secrets_by_name": {"a": "text"}}, "a must be a mapping", id="text"),
        pytest.param({"rotation_id": "1", "issuer_options": {"region": "x" * 10000}}, "more than 10000", id="options"),
        pytest.param({"max_age": "90"}, "max_age must be a number with a unit", id="max_age without unit"),
        pytest.param({"max_age": "99999999999999999999d"}, "max_age must not be longer", id="max_age beyond any limit"),
    ],
)
def test_a_wrong_option_is_reported_once(options, words):
    with pytest.raises(ValidationErrors) as caught:
        resolved(PROD, id="cc-prod", **options)
    (message,) = caught.value.messages
    assert words in message


def test_an_invalid_option_of_the_call_is_not_missing_in_the_items():
    for item, call in (({}, {"max_age": "90"}), ({"max_age": "90"}, {})):
        with pytest.raises(ValidationErrors) as caught:
            resolved(PROD, credentials=[{"id": "cc-prod", **item}], **call)
        assert len(caught.value.messages) == 1


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


DEFAULTS = {"s3": "aws", "harvester": "kubernetes"}  # of the drivers that several issuers support


def test_the_registry():
    required = {
        "supplied": {"values": {}, "public": (), "driver": "x", "issuer_options": {}}, "spaces": {"token": "t"}}
    for name, entry in ISSUERS.items():
        options = required.get(name, {})
        issuer = load_issuer(name, options)
        assert (issuer.drivers, issuer.fields) == (entry.drivers, entry.fields) and is_issuer_name(name)
        assert all(default_issuer(driver) == DEFAULTS.get(driver, name) for driver in entry.drivers)
    assert default_issuer("digitalocean") is None
    assert is_issuer_name("my.clouds.water") and not is_issuer_name("azure-thing")
