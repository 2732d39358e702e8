# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rotations are listed, without a cluster: credentials, and records that are left of them."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.times import now, parse_time
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import info
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.gates import Gate
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.options import check_info
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import KeyGeneration, RotationRecord
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.status import waiting_reasons
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.store import RotationNamespace, read_history

OPTIONS = {
    "name": None, "id": None, "driver": None, "owner": None, "name_pattern": None, "labels": None, "exclude": [],
    "max_age": None, "gates": False, "namespace": "rotations",
}


def secret(identifier, **labels):
    value = base64.b64encode(b"k").decode()
    return {
        "metadata": {
            "name": identifier, "uid": f"uid-{identifier}", "resourceVersion": "1", "labels": labels,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"field.cattle.io/name": f"aws {identifier}", "field.cattle.io/creatorId": "u-1"},
        },
        "data": {"amazonec2credentialConfig-accessKey": value, "amazonec2credentialConfig-secretKey": value},
    }


def record_of(*members, **fields):
    key = KeyGeneration("AKIA1", "kept", {})
    record = RotationRecord(
        f"rotation-{members[0]}", tuple((member, f"uid-{member}") for member in members), "amazonec2", "aws",
        ("accessKey", "secretKey"), phase="grace", generation=1, old=key, new=replace(key, key="AKIA2"))
    return replace(record, **fields)


def config_map(record):
    text = record if isinstance(record, str) else record.to_json()
    name = "rotation-cc-damaged" if isinstance(record, str) else record.name
    return {"metadata": {"name": name, "namespace": "rotations"}, "data": {"record": text}}


def client(secrets, records):
    """A client that lists these Secrets and records; each read of another object fails the test."""
    lists = {"/api/v1/namespaces/cattle-global-data/secrets": secrets,
             "/api/v1/namespaces/rotations/configmaps": [config_map(record) for record in records]}
    digests = {"/api/v1/namespaces/rotations/secrets/rotation-digests": {
        "data": {"key": base64.b64encode(b"key").decode()}}}
    return SimpleNamespace(
        list_objects=lambda path, **query: lists[path], get=lambda path: digests[path],
        parallel_reads=lambda *reads: [read() for read in reads],
    )


def listed(secrets, records, **options):
    result = info.list_rotation_info({**OPTIONS, **options}, lambda: client(secrets, records), None)
    return {row["id"].partition(":")[2]: row for row in result["rotations"]}


def codes(rows):
    return {name: [problem["code"] for problem in row["problems"]] for name, row in rows.items()}


def test_a_credential_that_was_deleted_during_its_rotation_is_listed():
    rows = listed([secret("cc-b")], [record_of("cc-a")])
    assert codes(rows) == {"cc-b": [], "cc-a": ["gone"]}
    row = rows["cc-a"]
    assert (row["name"], row["driver"], row["phase"], row["due"]) == (None, "amazonec2", "grace", True)
    for words in ("cc-a was deleted during its rotation", "AKIA1 and AKIA2", "state: forgotten"):
        assert words in row["problems"][0]["message"]
    assert row["possible_states"] == ["forgotten"] and row["waiting_for"] == [] and row["running"] is False
    assert {row[name] for name in ("age_seconds", "key_age_seconds", "key_age_source", "due_at")} == {None}
    assert set(rows["cc-b"]) <= set(row) | {"gates"}, "the same fields as of other credentials"


def test_members_that_were_deleted_are_listed():
    rows = listed([secret("cc-a")], [record_of("cc-a", "cc-s3")])
    assert codes(rows)["cc-s3"] == ["gone"] and "gone" not in codes(rows)["cc-a"]
    assert codes(listed([], [record_of("cc-a", "cc-s3")])) == {"cc-a": ["gone"], "cc-s3": ["gone"]}


def test_a_deleted_member_of_an_idle_record_is_forgotten():
    idle = {"phase": "idle", "old": None, "new": None, "current": KeyGeneration("AKIA2", "kept", {})}
    assert codes(listed([secret("cc-a")], [record_of("cc-a", "cc-s3", **idle)])) == {"cc-a": []}
    assert codes(listed([], [record_of("cc-a", "cc-s3", **idle)])) == {"cc-a": ["gone"]}, "the record is left"


def test_a_credential_that_was_created_again_is_another_credential():
    again = secret("cc-a")
    again["metadata"]["uid"] = "another"
    assert codes(listed([again], [record_of("cc-a")])) == {"cc-a": ["gone"]}


def test_an_unreadable_record_is_a_problem_of_its_credential():
    damaged = json.dumps({"members": [["cc-a", "uid-cc-a"], ["cc-gone", "uid"]]})
    rows = listed([secret("cc-a"), secret("cc-b")], [damaged])
    assert codes(rows) == {"cc-a": ["record_unreadable"], "cc-b": [], "cc-gone": ["record_unreadable"]}
    assert rows["cc-gone"]["phase"] is None and rows["cc-a"]["possible_states"] == []
    assert rows["cc-a"]["phase"] is None and "ConfigMap rotations/rotation-cc-damaged" in str(rows["cc-a"]["problems"])
    assert "Upgrade the collection on this controller if a later version" in str(rows["cc-a"]["problems"])
    assert list(listed([], ["no JSON"])) == ["cc-damaged"], "the name of the record contains the id"


GATES = [Gate("references", "open", "fine"), Gate("grace", "waiting", "the grace time")]


@pytest.mark.parametrize("phase", ["grace", "disabling", "disabled", "deleting", "idle", "issued"])
@pytest.mark.parametrize("gates", [True, False])
def test_gates_are_listed_while_an_old_key_is_retired(monkeypatch, phase, gates):
    evaluated = []

    def evaluate(_client, members, record):
        evaluated.append(([member.id for member in members], record.phase))
        return GATES

    monkeypatch.setattr(info, "evaluate_gates", evaluate)
    row = listed([secret("cc-a")], [record_of("cc-a", "cc-gone", phase=phase)], gates=gates, id="cc-a")["cc-a"]
    if gates and phase not in ("idle", "issued"):
        assert evaluated == [(["cc-a"], phase)] and row["gates"] == [gate.show() for gate in GATES]
        assert row["waiting_for"] == waiting_reasons(GATES) != []
    else:
        assert not evaluated and "gates" not in row and row["waiting_for"] == []
    assert "gates" not in listed([secret("cc-a")], [], gates=gates)["cc-a"], "no record"


@pytest.mark.parametrize(("phase", "due_at", "due"), [
    ("grace", "2020-01-01T00:00:00Z", True), ("disabled", "2999-01-01T00:00:00Z", False), ("deleting", None, True),
    ("issued", None, True), ("idle", None, False),
])
def test_when_the_next_step_is_due(phase, due_at, due):
    """Now in phases that wait for nothing, never for an idle record without max_age."""
    times = {
        "cutover_at": parse_time("2019-12-31T23:59:00Z"), "grace": 60,
        "disabled_at": parse_time("2998-12-31T23:59:00Z"), "soak": 60,
    }
    row = listed([secret("cc-a")], [record_of("cc-a", phase=phase, **times)])["cc-a"]
    assert row["due"] == due and row["running"] is False
    if due_at or phase == "idle":
        assert row["due_at"] == due_at
    else:
        assert abs((parse_time(row["due_at"]) - now()).total_seconds()) < 5
    assert row["possible_states"] and row["phase"] == phase
    assert listed([secret("cc-a")], [record_of("cc-a", owner="a run")])["cc-a"]["running"] is True


@pytest.mark.parametrize(("max_age", "due"), [(1, True), (10**9, False), (None, False)])
def test_the_age_of_a_credential_that_was_never_rotated(max_age, due):
    row = listed([secret("cc-a")], [], max_age=max_age)["cc-a"]
    age = (now() - parse_time("2026-01-01T00:00:00Z")).total_seconds()
    assert row["max_age_seconds"] == max_age and row["due"] == due and (row["due_at"] is None) == (max_age is None)
    assert abs(row["age_seconds"] - age) < 5 and abs(row["key_age_seconds"] - age) < 5
    future = secret("cc-a")
    future["metadata"]["creationTimestamp"] = "2999-01-01T00:00:00Z"
    assert listed([future], [])["cc-a"]["age_seconds"] == 0
    del future["metadata"]["creationTimestamp"]
    assert listed([future], [])["cc-a"]["age_seconds"] is None


@pytest.mark.parametrize(
    ("options", "names"),
    [
        pytest.param({"id": "cc-a"}, ["cc-a"], id="id"),
        pytest.param({"id": "cattle-global-data:cc-gone"}, ["cc-gone"], id="id of a deleted credential"),
        pytest.param({"name_pattern": "aws cc-*"}, ["cc-a", "cc-b"], id="name_pattern"),
        pytest.param({"name_pattern": "aws"}, [], id="name_pattern of the whole name"),
        pytest.param({"labels": {"team": "a"}}, ["cc-a"], id="label"),
        pytest.param({"labels": {"team": "a", "zone": "1"}}, [], id="one of two labels"),
        pytest.param({"exclude": ["aws cc-a"]}, ["cc-b", "cc-gone"], id="exclude a name"),
        pytest.param({"exclude": ["cc-?"]}, ["cc-gone"], id="exclude a pattern of ids"),
        pytest.param({"exclude": ["cattle-global-data:cc-*"]}, [], id="exclude all"),
        pytest.param({"driver": "s3"}, [], id="driver"),
    ],
)
def test_filters(options, names):
    secrets = [secret("cc-a", team="a"), secret("cc-b", team="b", zone="1")]
    assert sorted(listed(secrets, [record_of("cc-gone")], **options)) == names


def test_credentials_are_listed_by_name_and_id():
    secrets = [secret("cc-c"), secret("cc-b"), secret("cc-a")]
    for item in secrets[:2]:
        item["metadata"]["annotations"]["field.cattle.io/name"] = "a name before aws"
    result = info.list_rotation_info(OPTIONS, lambda: client(secrets, []), None)
    assert [row["id"].partition(":")[2] for row in result["rotations"]] == ["cc-b", "cc-c", "cc-a"]
    assert result == {"changed": False, "rotations": result["rotations"]}


def test_a_credential_that_rancher_cannot_read_is_not_listed():
    unreadable = secret("cc-b")
    unreadable["data"] = {}
    assert set(listed([secret("cc-a"), unreadable], [])) == {"cc-a"}


def test_name_and_pattern_exclude_each_other():
    with pytest.raises(RanchhandError, match="mutually exclusive"):
        check_info({**OPTIONS, "name": "a", "name_pattern": "b"})


def test_without_the_key_of_the_digests_records_mean_nothing():
    fake = client([], [record_of("cc-a")])
    fake.get = lambda path: None
    with pytest.raises(RanchhandError, match="rotation-digests is missing"):
        read_history(fake, "rotations")
    assert RotationNamespace(fake, "rotations").list_records()[1] == ()
