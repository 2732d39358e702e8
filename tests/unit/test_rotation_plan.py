# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planning of the roles rotate and retire and of the playbook leaked_key."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import pytest
from ansible_collections.ranchhand.rancher.plugins.plugin_utils import _rotation_plan as plan
from hypothesis import given
from hypothesis import strategies as st


def rotation(identifier, *more_members, **values):
    """A rotation of a key that one credential or several have."""
    return {
        "id": identifier,
        "name": f"name of {identifier}",
        "members": [identifier, *more_members],
        "phase": "idle",
        "action": "rotated",
        "steps": ["preparing", "issued", "grace"],
        "issuer": "aws",
        "problems": [],
        **values,
    }


def shared(*identifiers, **values):
    """The rotations of credentials that share a key."""
    return [{**rotation(*identifiers, **values), "id": identifier} for identifier in identifiers]


def failed(identifier, code="drift", **values):
    return rotation(identifier, action="failed", steps=[], code=code, msg=f"message of {identifier}", **values)


MEMBERS = [
    {"rotate_member": "b", "credentials": [
        {"id": "n:cc-b", "name": "name of a"}, {"id": "n:cc-c", "name": "name of b"}]},
    {"rotate_member": "c", "credentials": [{"id": "n:cc-d", "name": "other"}]},
]
NAMES = {"c": {"name of a": "other"}}
VAULT = {"name": "vault", "type": "vault"}


def of_rancher(name, identifier):
    return {"name": name, "type": "rancher", "credential_id": identifier}


def test_members_are_found_by_name_and_added_to_the_stores_of_items():
    rotations = [rotation("a", external_stores=["vault", "b"]), rotation("z", external_stores=["old"])]
    found = plan.find_members(rotations, MEMBERS, [{"name": "name of a"}], NAMES, [VAULT])
    stores = [of_rancher("b", "cc-b"), of_rancher("c", "cc-d")]
    assert found == [{"id": "a", "name": "name of a", "common": [VAULT], "stores": stores}]
    for item in ({"name": "name of a"}, {"id": "namespace:a"}):
        (called,) = plan.items_for_call([item], [], None, {"state": "rotated"}, found)
        assert called == {**item, "state": "rotated", "external_stores": [VAULT, *stores]}
    own = {"id": "a", "external_stores": [{"name": "mine", "type": "vault"}]}
    called = plan.items_for_call([own], [], None, {}, found)[0]
    assert [each["name"] for each in called["external_stores"]] == ["mine", "b", "c"]
    assert plan.items_for_call([{"id": "other"}], [], None, {}, found) == [{"id": "other"}]


@pytest.mark.parametrize(("changes", "words"), [
    pytest.param({"names": {}}, 'member c has no cloud credential "name of a"', id="missing"),
    pytest.param({"names": {"c": {"name of a": None}}}, None, id="not there"),
    pytest.param({"names": {"c": {"name of a": "n:cc-d"}}}, None, id="by id"),
    pytest.param({"found": [*MEMBERS, {"rotate_member": "d", "msg": "no route"}]}, "member d cannot be read: no route",
                 id="unreachable"),
    pytest.param({"found": [{"rotate_member": "b", "credentials": MEMBERS[0]["credentials"][:1] * 2}]},
                 'member b has 2 cloud credentials "name of a"', id="ambiguous"),
    pytest.param({"rotations": [rotation("a", external_stores=["d"])]}, "has the member d, which is not listed",
                 id="a recorded member"),
    pytest.param({"rotations": [rotation("a", external_stores=["d"])], "forgotten": ["d"]}, None, id="forgotten"),
    pytest.param({"rotations": [rotation("a", external_stores=["d"])], "common": [{"name": "d"}]}, None, id="a store"),
    pytest.param({"rotations": [rotation("a", external_stores=["d"])],
                  "credentials": [{"id": "a", "external_stores": [{"name": "d"}]}]}, None, id="a store of the item"),
])
def test_members_that_are_not_as_expected_stop_the_plan(changes, words):
    arguments = {"rotations": [rotation("a", external_stores=[])], "found": MEMBERS, "names": NAMES, **changes}
    if words is None:
        assert plan.find_members(**arguments)
        return
    with pytest.raises(ValueError, match=words):
        plan.find_members(**arguments)


@dataclass(frozen=True)
class Rings:
    name: str
    due: int
    sizes: tuple[object, ...]
    expected: list[int]


@pytest.mark.parametrize(
    "case",
    [
        Rings("one, a tenth, all", 20, (1, "10%", "100%"), [1, 1, 18]),
        Rings("a percentage is rounded up", 11, ("10%", "100%"), [2, 9]),
        Rings("a ring that adds nothing is left out", 3, (1, "10%", "100%"), [1, 2]),
        Rings("sizes that shrink add nothing", 5, (3, 1, "100%"), [3, 2]),
        Rings("more than there are", 2, (1, 100), [1, 1]),
        Rings("the last ring leaves the others", 5, (1, 2), [1, 1]),
        Rings("a number in a string", 2, ("2",), [2]),
        Rings("nothing is due", 0, (1, "100%"), []),
    ],
    ids=lambda case: case.name,
)
def test_rings(case):
    rings = plan.split_into_rings([rotation(f"cc-{number}") for number in range(case.due)], case.sizes)
    assert [len(ring) for ring in rings] == case.expected
    assert [unit for ring in rings for unit in ring] == [f"cc-{number}" for number in range(sum(case.expected))]


@given(st.integers(0, 40), st.lists(st.integers(1, 50) | st.integers(1, 150).map("{}%".format), max_size=5))
def test_rings_contain_each_unit_once_and_in_order(due, sizes):
    rings = plan.split_into_rings([rotation(f"cc-{number}") for number in range(due)], sizes)
    units = [unit for ring in rings for unit in ring]
    assert all(rings) and units == [f"cc-{number}" for number in range(len(units))]
    largest = max((size if isinstance(size, int) else -(-int(size[:-1]) * due // 100) for size in sizes), default=0)
    assert len(units) == min(due, largest)


@pytest.mark.parametrize("size", [0, "0", "0%", "some", "-1", "1.5", "10 %", "", None, "1\n"], ids=repr)
def test_a_ring_is_a_number_or_a_percentage(size):
    with pytest.raises(ValueError, match="a ring must be a positive number or percentage"):
        plan.split_into_rings([rotation("cc-a")], [size])


def test_due_are_units_with_steps_and_without_a_failure():
    rotations = [*shared("cc-a", "cc-b"), rotation("cc-c", steps=[]), failed("cc-d"), rotation("cc-e")]
    assert plan.due_units(rotations) == ["cc-a", "cc-e"]


def test_a_unit_may_begin_with_a_credential_that_is_not_listed():
    assert plan.due_units([{**rotation("cc-a", "cc-b"), "id": "cc-b"}]) == ["cc-a"]


def test_items_of_a_call_keep_their_options_and_get_those_of_the_call():
    credentials = [{"name": "a", "issuer_secrets": {"token": "secret"}, "state": "absent"}, {"name": "b"}]
    rotations = [rotation("cc-a"), rotation("cc-b")]
    options = {"state": "rotated", "pause_before_cutover": True}
    assert plan.items_for_call(credentials, rotations, ["cc-a"], options) == [
        {"name": "a", "issuer_secrets": {"token": "secret"}, **options}
    ]
    assert plan.items_for_call(credentials, (), None, options) == [{**item, **options} for item in credentials]
    assert credentials[0]["state"] == "absent", "the items of the user are not changed"


def test_without_credentials_each_rotation_is_an_item():
    assert plan.items_for_call([], [rotation("cc-a"), rotation("cc-b")], ["cc-b"], {"state": "retired"}) == [
        {"id": "cc-b", "state": "retired"}
    ]


def test_items_that_do_not_match_the_rotations_are_refused():
    with pytest.raises(ValueError, match="argument"):
        plan.items_for_call([{"name": "a"}, {"name": "b"}], [rotation("cc-a")], ["cc-a"], {})


def test_progress_before_the_first_call():
    rotations = [*shared("cc-a", "cc-b"), failed("cc-c"), rotation("cc-d", steps=[])]
    progress = plan.start_progress(rotations)
    assert [(item["id"], item["action"], item["steps"]) for item in progress["rotations"]] == [
        ("cc-a", "unchanged", []),
        ("cc-b", "unchanged", []),
        ("cc-c", "failed", []),
        ("cc-d", "unchanged", []),
    ]
    assert progress["failures"] == progress["reached"] == [rotations[2]]
    assert (progress["failed_units"], progress["pending_units"], progress["changed"]) == (["cc-c"], ["cc-a"], False)


def test_discovered_credentials_that_cannot_be_rotated_are_skipped():
    plan_rotations = [failed("cc-a"), rotation("cc-b")]
    progress = plan.start_progress(plan_rotations, discovered=True)
    assert progress["skipped"] == progress["reached"] == plan_rotations[:1] and progress["skipped_units"] == ["cc-a"]
    assert (progress["failures"], progress["failed_units"], progress["pending_units"]) == ([], [], ["cc-b"])
    after = plan.add_call(progress, {"rotations": [failed("cc-b")]}, ["cc-b"])
    assert (after["skipped_units"], after["failed_units"]) == (["cc-a"], ["cc-b"])
    assert plan.start_progress(plan_rotations)["skipped"] == plan.start_progress(plan_rotations)["skipped_units"] == []


def test_an_item_that_matches_no_credential_is_its_own_unit():
    unknown = {**failed("cc-a", "not_found"), "id": None, "members": [], "phase": None}
    deleted = {**failed("cc-b", "gone"), "members": []}
    assert plan.start_progress([unknown, deleted])["failed_units"] == ["name of cc-a", "cc-b"]


def test_a_call_replaces_the_rotations_that_it_returns():
    progress = plan.start_progress([*shared("cc-a", "cc-b"), rotation("cc-c")])
    after = plan.add_call(progress, {"rotations": shared("cc-a", "cc-b", phase="grace")}, ["cc-a"])
    assert [item["phase"] for item in after["rotations"]] == ["grace", "grace", "idle"]
    assert [item["id"] for item in after["reached"]] == ["cc-a"], "one for each unit"
    assert (after["pending_units"], after["changed"], after["failures"]) == (["cc-c"], True, [])


def test_a_failure_of_a_unit_is_recorded_once_for_each_call():
    progress = plan.start_progress([*shared("cc-a", "cc-b"), rotation("cc-c")])
    both = [failed("cc-a", "busy"), {**failed("cc-a", "busy"), "id": "cc-b"}]
    after = plan.add_call(progress, {"rotations": both}, ["cc-a"])
    assert (after["failures"], after["failed_units"]) == ([both[0]], ["cc-a"])
    again = plan.add_call(after, {"rotations": both}, ["cc-a"])
    assert (len(again["failures"]), again["failed_units"]) == (2, ["cc-a"])


def test_a_call_that_fails_as_a_whole_fails_each_of_its_rotations():
    issued = [rotation("cc-a", phase="issued"), rotation("cc-b", phase="issued")]
    progress = plan.add_call(plan.start_progress(issued), {"rotations": issued}, ["cc-a", "cc-b"])
    after = plan.add_call(progress, {"msg": "no connection", "code": "unreachable"}, ["cc-a"])
    assert [(item["phase"], item["action"], item.get("code")) for item in after["rotations"]] == [
        ("issued", "failed", "unreachable"),
        ("issued", "rotated", None),
    ]
    assert after["failures"] == [after["rotations"][0]] and after["failures"][0]["msg"] == "no connection"
    assert after["changed"], "the call before it has changed something"


def test_a_call_that_fails_without_a_reason():
    after = plan.add_call(plan.start_progress([rotation("cc-a")]), {}, ["cc-a"])
    assert [(item["code"], item["msg"]) for item in after["failures"]] == [("server_error", "the call failed")]


@pytest.mark.parametrize(
    ("values", "event"),
    [
        pytest.param({"action": "rotated", "phase": "grace"}, "cut_over", id="rotated"),
        pytest.param({"action": "advanced", "phase": "disabled"}, "disabled", id="disabled"),
        pytest.param({"action": "advanced", "phase": "issued"}, "advanced", id="advanced"),
        pytest.param({"action": "retired"}, "retired", id="retired"),
        pytest.param({"action": "aborted"}, "aborted", id="aborted"),
        pytest.param({"action": "rolled_back"}, "rolled_back", id="rolled back"),
        pytest.param({"action": "failed", "code": "drift"}, "drift", id="drift"),
        pytest.param({"action": "failed", "code": "busy", "phase": "disabled"}, "failed", id="busy"),
        pytest.param({"action": "failed", "code": "busy", "failures": 1}, "failed", id="failed once"),
        pytest.param({"action": "failed", "code": "busy", "failures": 2}, "failed_repeatedly", id="failed twice"),
        pytest.param({"action": "failed", "code": "drift", "failures": 2}, "drift", id="drift twice"),
        pytest.param(
            {"action": "rotated", "code": "verify_failed", "phase": "grace"},
            "failed",
            id="failed after the cutover",
        ),
    ],
)
def test_events(values, event):
    assert plan.event_of(rotation("cc-a", **values)) == event


def test_an_action_without_an_event():
    disabled = {"phase": "disabled", "steps": []}
    rotations = [
        rotation("cc-a", action="advanced", **disabled),
        rotation("cc-b", action="unchanged", **disabled),
        rotation("cc-c", action="rotated", phase="grace"),
        rotation("cc-d", action="failed", code="drift", **disabled),
    ]
    events = plan.events_of(rotations, without_actions=["advanced", "unchanged"])
    assert [(event["rotation"]["id"], event["event"]) for event in events] == [("cc-c", "cut_over"), ("cc-d", "drift")]
    assert [event["event"] for event in plan.events_of(rotations, "started")] == ["started"] * 4


MOMENT = datetime.datetime(2026, 1, 10, tzinfo=datetime.timezone.utc)


@dataclass(frozen=True)
class Wait:
    name: str
    values: dict
    late: bool


@pytest.mark.parametrize(
    "case",
    [
        Wait("longer", {"phase": "grace", "retire_not_before": "2026-01-06T23:59:59Z"}, True),
        Wait("not longer", {"phase": "grace", "retire_not_before": "2026-01-07T00:00:00Z"}, False),
        Wait("soak", {"phase": "disabled", "delete_not_before": "2026-01-01T00:00:00Z"}, True),
        Wait("no gate", {"phase": "grace", "retire_not_before": "2026-01-01T00:00:00Z", "waiting_for": []}, False),
        Wait("failed", {"phase": "grace", "retire_not_before": "2026-01-01T00:00:00Z", "code": "drift"}, False),
        Wait("another phase", {"phase": "idle", "retire_not_before": "2026-01-01T00:00:00Z"}, False),
        Wait("unknown", {"phase": None}, False),
    ],
    ids=lambda case: case.name,
)
def test_late_rotations(case):
    times = {"retire_not_before": None, "delete_not_before": None, "waiting_for": ["last_used: the old key is used"]}
    rotations = shared("cc-a", "cc-b", **{**times, **case.values})
    assert plan.late_rotations(rotations, "3d", MOMENT) == (rotations[:1] if case.late else [])


def test_a_wait_that_is_no_duration_is_refused():
    with pytest.raises(ValueError, match="must be a number with a unit"):
        plan.late_rotations([], "three days")


def test_keys_to_export():
    rotations = [
        *shared("cc-a", "cc-b", phase="grace"),
        rotation("cc-c"),
        rotation("cc-d", action="rolled_back"),
        rotation("cc-e", phase="issued"),
        {**failed("cc-f"), "members": [], "phase": None},
    ]
    assert [item["id"] for item in plan.rotations_to_export(rotations)] == ["cc-a", "cc-b", "cc-d"]


def test_items_to_retire_have_the_options_of_their_issuer():
    restored = [{"code": "restored", "level": "error", "message": "contains a retired key"}]
    rotations = [
        rotation("cc-a", phase="grace"),
        rotation("cc-b"),
        rotation("cc-c", problems=restored, issuer="openstack"),
        rotation("cc-d", phase="disabled", issuer=None),
    ]
    options = {"issuer_secrets": {"token": "secret"}}
    assert plan.items_to_retire(rotations, {"aws": options}) == [
        {"id": "cc-a", **options},
        {"id": "cc-c"},
        {"id": "cc-d"},
    ]


KEY = "AKIAIOSFODNN7EXAMPLE"


def credential(identifier, key, old_key=None, phase="idle", **values):
    state = {"old_key_id": old_key, "phase": phase, **values}
    return {"id": identifier, "config": {"accessKey": key, "defaultRegion": None}, "rotation": state}


@dataclass(frozen=True)
class Leak:
    name: str
    credential: dict
    found: tuple[str, ...]
    valid: bool
    state: str


ROTATE = f"cc-a uses {KEY}: rotate it, then disable {KEY}"
NOWHERE = f"no credential and no rotation has {KEY}"
DISABLE = f"cc-a has replaced {KEY} with another key: disable {KEY}"


@pytest.mark.parametrize(
    "case",
    [
        Leak("in use", credential("cc-a", KEY), ("holders",), True, ROTATE),
        Leak(
            "issued by a rotation that is not finished",
            credential("cc-a", KEY, "other", "grace"),
            ("holders", "retiring"),
            True,
            f"cc-a uses {KEY}: retire its old key other, rotate it, then disable {KEY}",
        ),
        Leak("replaced and enabled", credential("cc-a", "other", KEY, "grace"), ("former",), True, DISABLE),
        Leak("replaced and being disabled", credential("cc-a", "other", KEY, "disabling"), ("former",), True, DISABLE),
        Leak(
            "replaced and disabled",
            credential("cc-a", "other", KEY, "disabled", key_id="NEW", delete_not_before="2026-12-01T00:00:00Z"),
            ("former",),
            False,
            f"cc-a has replaced {KEY} with NEW; {KEY} is disabled and can be deleted after 2026-12-01T00:00:00Z",
        ),
        Leak(
            "put back",
            credential("cc-a", KEY, KEY, "disabled"),
            ("holders", "retiring", "former"),
            True,
            f"cc-a uses {KEY}: retire its old key {KEY}, rotate it, then disable {KEY}",
        ),
        Leak("part of another value", credential("cc-a", f"{KEY}X"), (), False, NOWHERE),
        Leak(
            "without a rotation",
            {"id": "cc-a", "config": {"accessKey": KEY}, "rotation": None},
            ("holders",),
            True,
            ROTATE,
        ),
    ],
    ids=lambda case: case.name,
)
def test_a_leaked_key(case):
    found = plan.find_leaked_key([credential("cc-z", "unrelated"), case.credential], KEY)
    assert {name for name in ("holders", "retiring", "former") if found[name] == [{"id": "cc-a"}]} == set(case.found)
    assert sum(map(len, (found["holders"], found["retiring"], found["former"]))) == len(case.found)
    assert found["valid"] is case.valid and found["states"] == [case.state]


@pytest.mark.parametrize("field", ["key_id", "old_key_id"])
def test_a_leaked_key_of_a_deleted_credential(field):
    keys = {"key_id": "another", "old_key_id": None, field: KEY}
    other = rotation("cc-other", key_id="x", old_key_id="y")
    rotations = [rotation("cc-gone", **keys), rotation("cc-z", **keys), other]
    found = plan.find_leaked_key([credential("cc-z", "unrelated")], KEY, rotations)
    assert found["deleted"] == [{"id": "cc-gone"}] and found["valid"]
    assert found["states"] == [f"cc-gone was deleted while its rotation had {KEY}: disable {KEY} at the cloud provider"]


def test_a_leaked_key_whose_id_yaml_reads_as_a_number():
    found = plan.find_leaked_key([credential("cc-a", "other", "1234567890123456", "grace")], 1234567890123456)
    assert found["former"] == [{"id": "cc-a"}] and found["valid"]
    assert plan.find_leaked_key([credential("cc-a", "1234567890123456")], 1234567890123456)["holders"]
