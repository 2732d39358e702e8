# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of a rotation, when a key is due, and the format of the record."""

from __future__ import annotations

import datetime
import json
from dataclasses import fields, replace
from types import SimpleNamespace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import status
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.gates import OPEN, UNKNOWN, WAITING, Gate
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import (
    PHASES,
    VERSION,
    CredentialSnapshot,
    KeyGeneration,
    RotationRecord,
    StoredGeneration,
)

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
HOUR = datetime.timedelta(hours=1)
OLD, NEW = (KeyGeneration(f"k{number}", f"kept-{number}", {"id": f"k{number}"}) for number in (1, 2))
# Each field has another value than its default.
RECORD = RotationRecord(
    "rotation-cc-a", (("cc-a", "uid-a"), ("cc-b", "uid-b")), "amazonec2", "aws", ("id",), phase="disabled",
    generation=3, epoch=4, owner="run1", rotation_id="r1", reason="leaked", grace=60, soak=120, snapshot=("k1", "k9"),
    old=OLD, new=NEW, current=OLD, past=({"id": "k0"},), started_at=START, issuing_at=START + HOUR, issuing_epoch=2,
    issuing_mark="ranchhand-cc-a-g3-0-e2", activating_at=START + HOUR, old_key_ends_at_cutover=True,
    issued_at=START + 2 * HOUR, cutover_at=START + 3 * HOUR, disabled_at=START + 4 * HOUR,
    rotated_at=START - HOUR, expires_at=START + 99 * HOUR, gates={"grace": "over"},
    transitions=({"at": "2026-01-01T03:00:00Z", "phase": "grace", "what": "cut over to k2", "run": "run1"},),
    verified_at=START + 5 * HOUR, completed_id="r0", failures=2, issuer_options={"region": "eu"},
    issuer_secrets_name="admin", external_stores=({"name": "vault"},), handed_over_at=START + 3 * HOUR,
    cutover="external", unknown={"later": [1]})
CREDENTIAL = SimpleNamespace(
    name="aws", driver="s3", owner="u-1", annotations={}, created_at="2025-12-01T00:00:00Z")


def snapshot(key, number="a", uid=None):
    return CredentialSnapshot(f"cc-{number}", uid or f"uid-{number}", "1", None, {"id": key}, {"id": key})


def test_a_record_is_stored_completely():
    defaults = RotationRecord("", (), "", "", ())
    same = [each.name for each in fields(RECORD) if getattr(RECORD, each.name) == getattr(defaults, each.name)]
    assert same == ["version"], "the test shall notice each field"
    assert RotationRecord.from_json(RECORD.to_json()) == RECORD
    stored = json.loads(RECORD.to_json())
    assert stored["version"] == VERSION and stored["later"] == [1] and "unknown" not in stored
    assert stored["started_at"] == "2026-01-01T00:00:00Z"


def test_a_record_without_optional_fields_is_read():
    required = {"name": "r", "members": [["cc-a", "uid"]], "driver": "d", "issuer": "i", "phase": "idle"}
    record = RotationRecord.from_json(json.dumps({**required, "version": 2}))
    assert record == RotationRecord("r", (("cc-a", "uid"),), "d", "i", ())


@pytest.mark.parametrize(("version", "changes", "completed"), [
    pytest.param(1, {}, "r1", id="version 1, cut over"),
    pytest.param(1, {"cutover_at": None}, None, id="version 1, not cut over"),
    pytest.param(2, {}, None, id="version 2"),
])
def test_in_records_of_the_first_version_the_cutover_completed_a_rotation(version, changes, completed):
    stored = {**json.loads(RECORD.to_json()), **changes}
    del stored["completed_id"], stored["version"]
    record = RotationRecord.from_json(json.dumps({**stored, **({"version": version} if version > 1 else {})}))
    assert record.completed_id == completed and record.version == VERSION


@pytest.mark.parametrize("changes", [
    {"version": 3}, {"version": "2"}, {"phase": "resting"}, {"started_at": "yesterday"}, {"members": [["cc-a"]]},
    {"members": None}, {"old": {"key": "k1"}}, {"transitions": [{"what": "x"}]},
], ids=str)
def test_an_unreadable_record_is_an_error(changes):
    with pytest.raises(ValueError):
        RotationRecord.from_json(json.dumps({**json.loads(RECORD.to_json()), **changes}))


@pytest.mark.parametrize("text", ["[]", "{", '"x"', "{}", "null"])
def test_other_texts_are_no_record(text):
    with pytest.raises(ValueError):
        RotationRecord.from_json(text)


def test_values_of_keys_are_not_shown():
    values = {"secret": "canary"}
    shown = repr([StoredGeneration("n", "u", 1, values, values),
                  CredentialSnapshot("cc-a", "u", "1", None, values, values)])
    assert "canary" not in shown


@pytest.mark.parametrize("name", ["old_key", "new_key", "current_key", "cut_over", "prefix"])
def test_a_damaged_record_is_reported(name):
    damaged = replace(RECORD, old=None, new=None, current=None, cutover_at=None, started_at=None)
    with pytest.raises(RanchhandError, match="rotation-cc-a is in phase disabled but has no") as caught:
        getattr(damaged, name)
    assert caught.value.code == "conflict"
    assert getattr(RECORD, name)


def test_the_times_of_a_record():
    assert RECORD.retire_not_before == START + 3 * HOUR + datetime.timedelta(seconds=60)
    assert RECORD.delete_not_before == START + 4 * HOUR + datetime.timedelta(seconds=120)
    later = replace(RECORD, handed_over_at=START + 5 * HOUR)
    assert later.retire_not_before == START + 5 * HOUR + datetime.timedelta(seconds=60)
    none = replace(RECORD, cutover_at=None, handed_over_at=None, disabled_at=None)
    assert none.retire_not_before is None and none.delete_not_before is None
    assert RECORD.prefix == "rotation-cc-a-g3-260101000000"
    assert (RECORD.with_times(1, None).grace, RECORD.with_times(1, None).soak) == (1, 120)
    assert (RECORD.with_times(None, 0).grace, RECORD.with_times(None, 0).soak) == (60, 0)


@pytest.mark.parametrize(("keys", "restored"), [
    pytest.param(["k2"], False, id="current"),
    pytest.param(["k1"], True, id="retired"),
    pytest.param(["k2", "k1"], True, id="one is retired"),
    pytest.param(["k1", "k0"], True, id="two retired"),
    pytest.param(["k1", "k9"], False, id="one is of another client"),
    pytest.param([], False, id="none"),
])
def test_a_retired_key_was_restored(keys, restored):
    record = replace(RECORD, phase="idle", current=NEW, past=({"id": "k0"}, {"id": "k1"}, {"id": "k2"}))
    assert record.is_restored([snapshot(key) for key in keys]) is restored


def test_all_of_a_rotation_is_shown():
    assert status.show_rotation("cc-a", CREDENTIAL, RECORD) == {
        "id": "cattle-global-data:cc-a", "name": "aws", "driver": "s3", "owner": "u-1",
        "members": ["cattle-global-data:cc-a", "cattle-global-data:cc-b"], "issuer": "aws", "phase": "disabled",
        "generation": 3, "rotation_id": "r1", "reason": "leaked", "key_id": "k2", "old_key_id": "k1",
        "next_step": "delete the old key", "failures": 2, "external_stores": ["vault"],
        "handed_over_at": "2026-01-01T03:00:00Z", "started_at": "2026-01-01T00:00:00Z",
        "issued_at": "2026-01-01T02:00:00Z", "cutover_at": "2026-01-01T03:00:00Z",
        "disabled_at": "2026-01-01T04:00:00Z", "rotated_at": "2025-12-31T23:00:00Z",
        "expires_at": "2026-01-05T03:00:00Z", "retire_not_before": "2026-01-01T03:01:00Z",
        "delete_not_before": "2026-01-01T04:02:00Z", "transitions": [dict(RECORD.transitions[0])],
    }


def test_an_idle_rotation_shows_the_current_key_and_no_former_times():
    shown = status.show_rotation("cc-a", None, replace(RECORD, phase="idle"))
    assert (shown["name"], shown["driver"], shown["owner"]) == (None, "amazonec2", None)
    assert (shown["key_id"], shown["next_step"]) == ("k1", "rotate")
    times = {name for name in shown if name.endswith(("_at", "_before")) and shown[name]}
    assert times == {"rotated_at", "expires_at"}
    never = status.show_rotation("cc-a", None, None)
    assert (never["driver"], never["issuer"], never["key_id"], never["phase"]) == (None, None, None, "idle")
    assert never["members"] == ["cattle-global-data:cc-a"] and never["transitions"] == []


def test_reasons_to_wait():
    gates = [Gate("soak", OPEN, "over"), Gate("grace", WAITING, "tomorrow"), Gate("etcd_s3", UNKNOWN, "forbidden")]
    assert status.waiting_reasons(gates) == ["grace: tomorrow", "etcd_s3: unknown, because forbidden"]


def test_a_shared_key():
    waiting, overridden = (status.shared_key(["cc-x", "cc-y"], override) for override in (False, True))
    assert (waiting.name, waiting.state) == (overridden.name, WAITING) == ("shared_key", WAITING)
    assert overridden.state == OPEN and overridden.detail == f"overridden: {waiting.detail}"
    assert "cc-x, cc-y" in waiting.detail


@pytest.mark.parametrize(("record", "key", "expected"), [
    pytest.param(None, None, (START - 31 * 24 * HOUR, "secret"), id="no record"),
    pytest.param(replace(RECORD, phase="grace"), "k2", (RECORD.cutover_at, "record"), id="new key"),
    pytest.param(replace(RECORD, phase="grace"), "k1", (RECORD.rotated_at, "record"), id="old key"),
    pytest.param(replace(RECORD, phase="idle"), "k1", (RECORD.rotated_at, "record"), id="current key"),
    pytest.param(replace(RECORD, phase="idle"), "k9", (START - 31 * 24 * HOUR, "secret"), id="key of another client"),
    pytest.param(replace(RECORD, phase="idle", current=None), "k1", (START - 31 * 24 * HOUR, "secret"), id="no key"),
    pytest.param(replace(RECORD, phase="issued", rotated_at=None), "k1", (START - 31 * 24 * HOUR, "secret"),
                 id="first rotation"),
])
def test_the_age_of_a_key(record, key, expected):
    assert status.key_issued_at(CREDENTIAL, record, key and snapshot(key)) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("2026-01-01T00:00:00Z", (START, "annotation")), ("yesterday", (START - 31 * 24 * HOUR, "secret")),
])
def test_without_records_an_annotation_shows_the_age(text, expected):
    annotated = SimpleNamespace(**{**vars(CREDENTIAL), "annotations": {status.ROTATED_AT: text}})
    assert status.key_issued_at(annotated, None, None) == expected
    assert status.key_issued_at(annotated, replace(RECORD, phase="idle"), snapshot("k9"))[1] == "secret"
    assert status.key_issued_at(annotated, RECORD, None)[1] == expected[1]
    created = SimpleNamespace(**{**vars(CREDENTIAL), "created_at": None})
    assert status.key_issued_at(created, None, None) == (None, "secret")


@pytest.mark.parametrize(("rotated_at", "max_age", "changes", "grace", "expected"), [
    pytest.param(START, 3600, None, None, START + HOUR, id="maximum age"),
    pytest.param(START, 0, None, None, START, id="maximum age of zero"),
    pytest.param(START, None, None, None, None, id="no maximum age"),
    pytest.param(None, 3600, None, None, None, id="unknown age"),
    pytest.param(START, 3600, {"expires_at": START + HOUR}, None, START + HOUR - 120 * HOUR / 3600, id="expires"),
    pytest.param(START, 3600, {"expires_at": START + 9 * HOUR}, None, START + HOUR, id="expires later"),
    pytest.param(None, None, {"expires_at": START + HOUR}, 0, START + HOUR, id="other grace time"),
    pytest.param(None, None, {"expires_at": START + HOUR}, 600, START + HOUR / 1.5, id="longer grace time"),
    pytest.param(None, None, {"expires_at": START, "phase": "grace"}, None, None, id="in grace"),
    pytest.param(None, None, {"expires_at": None}, None, None, id="does not expire"),
    pytest.param(
        None, None, {"expires_at": START, "grace": 0, "old_key_ends_at_cutover": True}, None, START - 48 * HOUR,
        id="no grace time"),
    pytest.param(
        None, None, {"expires_at": START, "grace": 0, "old_key_ends_at_cutover": True}, 3600, START - 2 * HOUR,
        id="no grace time, but an option"),
])
def test_the_due_time(rotated_at, max_age, changes, grace, expected):
    record = None if changes is None else replace(
        RECORD, **{"phase": "idle", "old_key_ends_at_cutover": False, **changes})
    assert status.due_time(rotated_at, max_age, record, grace) == expected


@pytest.mark.parametrize(("record", "found", "codes"), [
    pytest.param(None, snapshot("k1"), [], id="no record"),
    pytest.param(RECORD, None, [], id="no credential"),
    pytest.param(RECORD, snapshot("k2"), [], id="new key"),
    pytest.param(RECORD, snapshot("k1"), ["drift"], id="old key"),
    pytest.param(RECORD, snapshot("k2", uid="another"), ["gone"], id="created again"),
    pytest.param(RECORD, snapshot("k2", "z"), ["gone"], id="no member"),
    pytest.param(replace(RECORD, phase="idle"), snapshot("k0", uid="another"), ["restored"], id="retired key"),
])
def test_problems(record, found, codes):
    assert [problem.code for problem in status.find_rotation_problems(record, found)] == codes


@pytest.mark.parametrize("phase", PHASES)
def test_a_deleted_credential_is_described(phase):
    message = status.describe_deleted("cc-a", replace(RECORD, phase=phase)).message
    assert ("during its rotation" in message) is (phase != "idle") and "k1 and k2 and k1" in message
    empty = replace(RECORD, old=None, new=None, current=None)
    assert "its key may be valid" in status.describe_deleted("cc-a", empty).message
