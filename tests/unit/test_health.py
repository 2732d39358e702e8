# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evaluation of credentials: policies, expiries, and the problems of a key and its rotation."""

from __future__ import annotations

import base64
import datetime
import json
from dataclasses import dataclass, field

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.times import UTC, format_time
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.checker import HealthChecker, HealthContext
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.evaluation import KeyState, evaluate
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.expiry import find_expiries
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.policies import AgePolicy, find_max_age
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.cloud_credential import parse_cloud_credential
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import ReferenceIndex
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.users import User, Users
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import RotationRecord

NOW = datetime.datetime(2026, 11, 24, 7, 30, tzinfo=UTC)
MONTH = datetime.timedelta(days=30)
DRIFT = {"code": "drift", "level": "error", "message": "contains another value"}


def ago(**duration):
    return NOW - datetime.timedelta(**duration)


def credential(name="one", driver="digitalocean", owner="u-a", identifier="cc-a", **fields):
    data = {
        f"{driver}credentialConfig-{field}": base64.b64encode(text.encode()).decode()
        for field, text in (fields or {"accessToken": name}).items()
    }
    return parse_cloud_credential({"data": data, "metadata": {
        "name": identifier, "uid": identifier, "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": {"field.cattle.io/name": name, "field.cattle.io/creatorId": owner},
    }})


def record(phase, transition=None, **times):
    transitions = ({"at": format_time(transition), "phase": phase, "what": "continued"},) if transition else ()
    return RotationRecord(
        "rotation-cc-a", (("cc-a", "cc-a"),), "digitalocean", "supplied", ("accessToken",), phase=phase,
        transitions=transitions, **times)


def checker(*credentials, unlisted=()):
    users = Users([User("u-a", "alice")])
    return HealthChecker(HealthContext(credentials, None, users, ReferenceIndex((), unlisted), ()))


def codes(key, subject=None):
    subject = subject or credential()
    shown = evaluate(checker(subject, unlisted=("clusters",)), subject, key, NOW, MONTH)
    return [problem["code"] for problem in shown["problems"]]


@dataclass(frozen=True)
class KeyCase:
    """The rotation of a key, when its next step is due, and the codes of the problems."""

    record: RotationRecord | None
    due_at: datetime.datetime | None
    codes: list
    found: list = field(default_factory=list)


KEYS = {
    "never rotated, no policy": KeyCase(None, None, []),
    "due tomorrow": KeyCase(None, ago(days=-1), []),
    "due since yesterday": KeyCase(record("idle"), ago(days=1), ["overdue"]),
    "drift hides the age": KeyCase(record("idle"), ago(days=1), ["drift"], [DRIFT]),
    "grace is over since today": KeyCase(record("grace", ago(days=9)), ago(hours=5), []),
    "grace is over for three days": KeyCase(record("grace", ago(days=9)), ago(days=3), ["stuck_rotation"]),
    "issued a minute ago": KeyCase(record("issued", ago(minutes=1)), NOW, []),
    "issued two hours ago": KeyCase(record("issued", ago(hours=2)), NOW, ["stuck_rotation"]),
    "started two hours ago": KeyCase(record("preparing", started_at=ago(hours=2)), NOW, ["stuck_rotation"]),
    "key expires next week": KeyCase(record("idle", expires_at=ago(days=-7)), None, ["expires_soon"]),
    "key has expired": KeyCase(record("idle", expires_at=ago(days=7)), None, ["expired"]),
}


@pytest.mark.parametrize("case", KEYS.values(), ids=KEYS)
def test_problems_of_a_key(case):
    status = {
        "key_age_seconds": 5, "key_age_source": "record", "due_at": case.due_at and case.due_at.isoformat(),
        "due": bool(case.due_at and case.due_at <= NOW), "problems": case.found,
    }
    assert codes(KeyState(case.record, status, None)) == case.codes


def test_evaluation_is_complete_and_its_times_end_in_z():
    subject = credential(owner="u-gone")
    status = {
        "key_age_seconds": 5, "key_age_source": "secret", "due_at": "2026-11-24T00:00:00+00:00", "due": True,
        "problems": [],
    }
    shown = evaluate(checker(subject), subject, KeyState(None, status, 86400), NOW, MONTH)
    problems = shown.pop("problems")
    assert shown == {
        "key_age_seconds": 5, "key_age_source": "secret", "max_age_seconds": 86400, "due_at": "2026-11-24T00:00:00Z",
        "due": True,
    }
    assert [problem["code"] for problem in problems] == ["owner_gone", "unused", "overdue"]
    assert all(set(problem) == {"code", "level", "message"} for problem in problems)


def test_shared_keys_and_duplicate_names():
    first, second = credential(identifier="cc-a", accessToken="x"), credential(identifier="cc-b", accessToken="x")
    other = credential(name="two", identifier="cc-c", accessToken="y")
    found = checker(first, second, other)
    assert [problem.code for problem in found.problems(first)] == ["duplicate_name", "shared_key", "unused"]
    assert [problem.code for problem in found.problems(other)] == ["unused"]


def jwt(expires_at):
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires_at.timestamp()}).encode()).decode().rstrip("=")
    return f"eyJhIjoxfQ.{claims}.signature"


def test_the_earliest_expiry_of_each_field():
    subject = credential(accessToken=f"{jwt(ago(days=-9))} {jwt(ago(days=-2))}", refreshToken=jwt(ago(days=-3)))
    assert [(expiry.subject, expiry.at) for expiry in find_expiries(subject)] == [
        ("a token (JWT) in accessToken", ago(days=-2)), ("a token (JWT) in refreshToken", ago(days=-3))]


POLICIES = [
    AgePolicy(1, name_pattern="aws*", owner="alice"), AgePolicy(2, driver="azure"), AgePolicy(3, name_pattern="[x]"),
]


@pytest.mark.parametrize("name, driver, owner_name, max_age", [
    pytest.param("aws prod", "digitalocean", "alice", 1, id="pattern and owner"),
    pytest.param("aws prod", "digitalocean", "bob", None, id="another owner"),
    pytest.param("aws prod", "azure", "bob", 2, id="driver"),
    pytest.param("AWS prod", "digitalocean", "alice", None, id="another case"),
    pytest.param("x", "digitalocean", None, 3, id="a pattern that is not the name"),
])
def test_the_first_matching_policy_applies(name, driver, owner_name, max_age):
    assert find_max_age(credential(name, driver), owner_name, POLICIES) == max_age
