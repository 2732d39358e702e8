# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits of single checks, and which key a credential contains."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import checks
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import (
    DELETING,
    DISABLED,
    MIXED,
    NEW,
    OLD,
    OTHER,
    CredentialSnapshot,
    KeyGeneration,
    RotationRecord,
    StoredGeneration,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import CALL_TIMEOUT, Key

from .fake_backend import START, Listed, pair

SECOND = datetime.timedelta(seconds=1)
TIMEOUT = datetime.timedelta(seconds=CALL_TIMEOUT)
RECORD = RotationRecord(
    "rotation", (("cc-0", "uid-0"), ("cc-1", "uid-1")), "fake", "fake", ("id", "secret"), snapshot=("k1",),
    old=KeyGeneration("k1", "old", pair(1)), new=KeyGeneration("k2", "rotation-e1", pair(2)), issuing_at=START,
    issuing_epoch=3)


def credential(number, values, uid=None):
    return CredentialSnapshot(f"cc-{number}", uid or f"uid-{number}", "1", "run1", values, values)


@pytest.mark.parametrize(("created_at", "last_used", "foreign"), [
    pytest.param(START - checks.SKEW, None, False, id="the earliest time of the request"),
    pytest.param(START - checks.SKEW - SECOND, None, True, id="created before the request"),
    pytest.param(START + checks.SKEW + TIMEOUT, None, False, id="the latest time of the request"),
    pytest.param(START + checks.SKEW + TIMEOUT + SECOND, None, True, id="created after the request"),
    pytest.param(START, START, True, id="used"),
    pytest.param(None, None, False, id="the time is not known"),
    pytest.param(None, START, True, id="used, and the time is not known"),
])
def test_a_lost_key_has_the_age_of_the_request_and_was_never_used(created_at, last_used, foreign):
    assert checks.is_foreign(RECORD, Key("k3", True, created_at, last_used)) is foreign


def test_without_a_request_no_key_is_lost():
    record = replace(RECORD, issuing_at=None)
    assert checks.is_foreign(record, Key("k3", True, START, None))
    assert not checks.is_request_unanswered(record, [])


@pytest.mark.parametrize(("epochs", "unanswered"), [
    pytest.param([], True, id="no attempt"),
    pytest.param([2], True, id="an earlier attempt"),
    pytest.param([2, 3], False, id="this attempt"),
])
def test_a_request_is_answered_by_the_attempt_of_its_epoch(epochs, unanswered):
    attempts = [StoredGeneration(f"rotation-e{epoch}", "uid", epoch, pair(2), pair(2)) for epoch in epochs]
    assert checks.is_request_unanswered(RECORD, attempts) is unanswered


@pytest.mark.parametrize(("ids", "only"), [([], True), (["k3"], True), (["k3", "k4"], False)], ids=["0", "1", "2"])
def test_a_request_issues_a_single_key(ids, only):
    assert checks.is_only_candidate([Key(each) for each in ids]) is only


def test_a_key_of_the_snapshot_existed_before():
    assert checks.existed_before(RECORD, Key("k1")) and not checks.existed_before(RECORD, Key("k2"))


@pytest.mark.parametrize("credentials", [
    pytest.param([credential(0, pair(1)), credential(1, pair(2))], id="the first"),
    pytest.param([credential(0, pair(2)), credential(1, pair(1))], id="another member"),
    pytest.param([credential(0, pair(2)), credential(1, pair(1), "created again")], id="created again"),
    pytest.param([credential(0, {"id": "k1", "secret": "another"})], id="with another secret"),
])
def test_a_key_that_a_credential_contains_is_not_taken_away(credentials):
    with pytest.raises(RanchhandError, match="contains the key k1") as error:
        checks.key_is_not_in_use(RECORD, credentials, "k1", Listed({}))
    assert error.value.code == "unproven"
    checks.key_is_not_in_use(RECORD, credentials, "k9", Listed({}))


def test_a_credential_without_a_key_contains_no_key():
    checks.key_is_not_in_use(RECORD, [credential(0, {"other": "k1"})], "k1", Listed({}))


def test_all_members_contain_the_same_value():
    checks.credentials_agree(RECORD, [credential(0, pair(1)), credential(1, pair(1))])
    with pytest.raises(RanchhandError, match="cc-1 and cc-0 do not contain the same value"):
        checks.credentials_agree(RECORD, [credential(0, pair(1)), credential(1, {**pair(1), "secret": "x"})])


def test_the_value_that_was_proven_is_that_of_the_same_member():
    before = [credential(0, pair(1)), credential(1, pair(2))]
    assert checks.is_unchanged(RECORD, before, credential(1, pair(2)))
    assert not checks.is_unchanged(RECORD, before, credential(0, pair(2)))


@pytest.mark.parametrize(("phase", "remedy"), [(DISABLED, "rolled_back"), (DELETING, "adopted")])
def test_an_old_key_that_was_enabled_again_is_not_deleted(phase, remedy):
    record = replace(RECORD, phase=phase)
    with pytest.raises(RanchhandError, match=f"run state: {remedy}"):
        checks.old_key_is_disabled(record, [Key("k1"), Key("k2")])
    checks.old_key_is_disabled(record, [Key("k1", False), Key("k2")])
    checks.old_key_is_disabled(record, [Key("k2")])


@pytest.mark.parametrize(("values", "key"), [
    pytest.param(pair(1), OLD, id="old"),
    pytest.param(pair(2), NEW, id="new"),
    pytest.param({"id": "k2", "secret": "secret-1"}, MIXED, id="a mix"),
    pytest.param({"id": "k2", "secret": "another"}, OTHER, id="a field of neither"),
    pytest.param({"id": "k2"}, OTHER, id="a field is missing"),
])
def test_the_key_in_a_credential(values, key):
    assert RECORD.key_in(credential(0, values)) == key


def test_a_member_that_was_created_again_does_not_count():
    members = (credential(0, pair(1)), credential(1, pair(1), "created again"), None)
    assert RECORD.present(members) == members[:1]


def test_a_credential_has_the_token_of_the_run():
    assert checks.has_token(credential(0, pair(1)), "run1") and not checks.has_token(credential(0, pair(1)), "run2")


@pytest.mark.parametrize("changes", [{}, {"owner": "run2"}, {"epoch": 2}, {"phase": DELETING}], ids=str)
def test_the_record_is_that_of_the_run(changes):
    assert checks.is_record_of_run(RECORD, replace(RECORD, **changes)) is not bool(changes)
    assert not checks.is_record_of_run(RECORD, None)


@pytest.mark.parametrize(("name", "issued"), [("r-g1-e1", True), ("r-g1-old", False), ("r-a2", False)])
def test_the_name_of_kept_values_shows_whether_an_attempt_issued_them(name, issued):
    assert checks.was_issued(KeyGeneration("k1", name, {})) is issued
    assert checks.was_issued(StoredGeneration(name, "uid", 1, {}, {})) is issued
