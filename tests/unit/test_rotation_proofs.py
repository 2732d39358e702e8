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
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.decisions import RotationRequest
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.protocol import (
    Call,
    Conflict,
    RotationProtocol,
    Snapshot,
    run_protocol,
)
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
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import CALL_TIMEOUT, IssuerError, Key

from .fake_backend import START, Listed, Single, pair

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
        checks.key_is_not_in_use(RECORD, credentials, "k1", Listed({}), ())
    assert error.value.code == "unproven"
    checks.key_is_not_in_use(RECORD, credentials, "k9", Listed({}), ())


def test_a_credential_without_a_key_contains_no_key():
    checks.key_is_not_in_use(RECORD, [credential(0, {"other": "k1"})], "k1", Listed({}), ())


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


# the last read of the credentials before a call to the provider


def protocol_of(issuer=Listed, credentials=(credential(0, pair(2)), credential(1, pair(2))), **options):
    """A run that has read and proven these credentials."""
    protocol = RotationProtocol(RotationRequest("retired", "run1", **options), issuer({}), RECORD)
    protocol.credentials = credentials
    return protocol


def confirmed(protocol, snapshot, *allowed, **options):
    steps = protocol._confirm(*allowed, **options)  # pylint: disable=protected-access
    assert next(steps) == Call("read_snapshot")
    with pytest.raises(StopIteration) as end:
        steps.send(snapshot)
    return end.value.value


def snapshot_of(*credentials, record=RECORD):
    return Snapshot(record, 1, credentials)


NEW_KEYS = (credential(0, pair(2)), credential(1, pair(2)))


def test_the_credentials_are_read_before_a_call():
    protocol = protocol_of()
    assert confirmed(protocol, snapshot_of(*NEW_KEYS), NEW, without="k1") == pair(2)
    assert protocol.credentials == NEW_KEYS
    assert confirmed(protocol, snapshot_of(NEW_KEYS[0], None), NEW) == pair(2) and len(protocol.credentials) == 1
    assert confirmed(protocol_of(credentials=()), snapshot_of(None, None), NEW) == {}


@pytest.mark.parametrize(("snapshot", "allowed"), [
    pytest.param(snapshot_of(*NEW_KEYS, record=replace(RECORD, epoch=9)), NEW, id="another record"),
    pytest.param(snapshot_of(None, None), NEW, id="both were deleted"),
    pytest.param(snapshot_of(NEW_KEYS[0], replace(NEW_KEYS[1], token="run2")), NEW, id="another run"),
    pytest.param(snapshot_of(*NEW_KEYS), OLD, id="a key that is not allowed"),
    pytest.param(snapshot_of(NEW_KEYS[0], credential(1, pair(1))), f"{OLD} {NEW}", id="a changed value"),
])
def test_a_change_before_a_call_is_a_conflict(snapshot, allowed):
    with pytest.raises(Conflict):
        confirmed(protocol_of(), snapshot, *allowed.split())


def test_a_key_in_a_credential_that_was_created_again_is_not_taken_away():
    snapshot = snapshot_of(NEW_KEYS[0], credential(1, pair(1), "created again"))
    with pytest.raises(RanchhandError, match="cc-1 contains the key k1"):
        confirmed(protocol_of(), snapshot, NEW, without="k1")
    assert confirmed(protocol_of(), snapshot, NEW) == pair(2)
    assert confirmed(protocol_of(Single), snapshot, NEW, without="k1") == pair(2), "its values have no ids"


@pytest.mark.parametrize(("issuer", "limit", "fails"), [
    pytest.param(Listed, 2, True, id="as many as allowed"),
    pytest.param(Listed, 3, False, id="fewer than allowed"),
    pytest.param(Listed, None, False, id="no limit"),
    pytest.param(Single, 1, False, id="the value is replaced"),
])
def test_the_number_of_keys_is_limited(issuer, limit, fails):
    protocol = protocol_of(issuer)
    protocol.issuer.limit = limit
    keys = [Key("k1"), Key("k2")]
    if fails:
        with pytest.raises(RanchhandError, match="2 of 2 keys exist. Delete k2 if") as caught:
            protocol._check_limit(keys, "k1")  # pylint: disable=protected-access
        assert caught.value.code == "slot_taken"
    else:
        protocol._check_limit(keys, "k1")  # pylint: disable=protected-access


def test_a_backend_makes_the_calls_of_a_protocol():
    class Backend:
        """Adds, or fails."""

        def add(self, first, second):
            return first + second

        def fail(self):
            raise Conflict

    def steps():
        total = yield Call("add", (1, 2))
        try:
            yield Call("fail")
        except Conflict:
            total += 10
        again = yield Call("add", (total, 0))
        return again

    assert run_protocol(steps(), Backend()) == 13


@pytest.mark.parametrize(("disables", "replaces_current", "can"), [
    (True, False, True), (False, False, False), (True, True, False),
])
def test_a_key_is_disabled_before_it_is_deleted_if_that_is_possible(disables, replaces_current, can):
    protocol = protocol_of()
    protocol.issuer.disables, protocol.issuer.replaces_current = disables, replaces_current
    assert protocol.can_disable is can


def test_the_values_of_a_key_are_those_of_the_record_s_fields():
    more = {**pair(1), "region": "eu"}
    assert checks.rotating_values(RECORD, credential(0, more)) == pair(1)
    assert checks.rotating_values(RECORD, credential(0, {"id": "k1"})) == {"id": "k1", "secret": ""}


@pytest.mark.parametrize(("requested", "raises"), [
    pytest.param(None, False, id="none is supplied"),
    pytest.param(pair(1), True, id="the value of a member"),
    pytest.param({"id": "k1", "secret": "x"}, False, id="one field is another one"),
    pytest.param(pair(3), False, id="another value"),
])
def test_a_supplied_value_is_not_the_present_value(requested, raises):
    credentials = [credential(0, pair(2)), credential(1, pair(1))]
    if raises:
        with pytest.raises(RanchhandError, match="cc-1 contains the supplied value already") as caught:
            checks.value_is_another(RECORD, requested, credentials)
        assert caught.value.code == "invalid"
    else:
        checks.value_is_another(RECORD, requested, credentials)


@pytest.mark.parametrize(("keys", "listed", "enabled"), [
    pytest.param([Key("k1"), Key("k2")], True, True, id="enabled"),
    pytest.param([Key("k2", False)], True, False, id="disabled"),
    pytest.param([Key("k1")], False, True, id="not listed"),
    pytest.param([], False, True, id="no keys"),
])
def test_the_key_in_use_is_listed_and_enabled(keys, listed, enabled):
    for check, holds in ((checks.live_key_is_listed, listed), (checks.live_key_is_enabled, enabled)):
        if holds:
            check(RECORD, keys, "k2", "Remedy.")
        else:
            with pytest.raises(RanchhandError, match="k2.*Remedy") as caught:
                check(RECORD, keys, "k2", "Remedy.")
            assert caught.value.code == "unproven"


@pytest.mark.parametrize(("keys", "disabled", "deleted"), [
    ([Key("k1"), Key("k2")], False, False), ([Key("k1", False)], True, False), ([Key("k2")], True, True),
], ids=["enabled", "disabled", "deleted"])
def test_an_effect_at_the_provider(keys, disabled, deleted):
    assert checks.is_disabled(keys, "k1") is disabled and checks.is_deleted(keys, "k1") is deleted


def test_a_kept_value_is_the_supplied_value():
    assert checks.is_value_requested(None, pair(1)) and checks.is_value_requested(pair(1), pair(1))
    assert not checks.is_value_requested(pair(2), pair(1))


def test_a_new_rotation_forgets_the_former_rotation():
    """What the task resolved replaces what the record contains."""
    before = replace(
        RECORD, phase="idle", generation=4, epoch=7, gates={"grace": "over"}, expires_at=START, disabled_at=START,
        issuer_options={"region": "eu"}, issuer_secrets_name="former", current=KeyGeneration("k2", "kept", pair(2)))
    blank = replace(
        RotationRecord("rotation", (("cc-1", "uid-1"),), "fake", "other", ("id",)), issuer_options={"region": "us"},
        issuer_secrets_name="admin")
    protocol = RotationProtocol(
        RotationRequest("rotated", "run1", rotation_id="r9", reason="leaked", grace=1, soak=2), Listed({}), blank)
    protocol.credentials = (credential(1, pair(2)),)
    started = protocol._started(before, ("k1", "k2"), "k2", START)  # pylint: disable=protected-access
    assert started == replace(
        blank, phase="preparing", generation=5, epoch=1, owner="run1", rotation_id="r9", reason="leaked", grace=1,
        soak=2, snapshot=("k1", "k2"), old=KeyGeneration("k2", "rotation-g5-260101000000-old", {"id": "k2"}),
        current=before.current, started_at=START, issuing_epoch=3)


@pytest.mark.parametrize(("attempts", "code", "repeated"), [
    (None, "refused", True), (1, "refused", False), (1, "busy", True), (1, "unreachable", False),
], ids=str)
def test_a_refused_value_is_not_tried_again_where_accounts_are_locked(attempts, code, repeated):
    issuer = type("Locking", (Listed,), {"verify_attempts": attempts})
    steps = protocol_of(issuer, verify_timeout=60)._verify(pair(2))  # pylint: disable=protected-access
    assert next(steps) == Call("verify", (pair(2), pair(2)))
    if repeated:
        assert steps.throw(IssuerError(code, "no")).name == "sleep"
    else:
        with pytest.raises(IssuerError):
            steps.throw(IssuerError(code, "no"))
