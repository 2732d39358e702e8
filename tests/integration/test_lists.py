# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of credentials: planned together, written in parallel, reported for each item."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from control_plane import ApiError
from support.cluster import MODULE, SECRETS, decoded

CLUSTERS = "/apis/provisioning.cattle.io/v1/namespaces/fleet-default/clusters"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"


def new(name, **more):
    return {
        "name": name,
        "driver": "digitalocean",
        "owner": "alice",
        "secrets": {"accessToken": f"token of {name}"},
        **more,
    }


def actions(result):
    return {entry["name"]: entry["action"] for entry in result["credentials"]}


def test_all_validation_errors_are_reported_together_and_nothing_is_written(cluster):
    cluster.secret("cc-twin1", display_name="twin", owner="u-wt94n")
    cluster.secret("cc-twin2", display_name="twin", owner="user-8knjc")
    cluster.secret("cc-stored", display_name="stored")
    by_parser = [
        new("good"),
        {**new("typo"), "drivre": "x"},
        {**new("state"), "state": "gone"},
        "no mapping",
        {"driver": "s3"},
        new("labels", labels={"a": "b c"}),
    ]
    by_plan = [
        new("good"),
        new("nodriver", driver=None),
        new("unknown", owner="bob"),
        {"name": "stored", "state": "absent"},
        {"name": "twin", "description": "x"},
        new("misplaced", config={"accessToken": "canary"}, secrets={}),
        new("wrong", driver="nope"),
        {"id": "cc-nosuch", "description": "x"},
    ]
    mark = cluster.control_plane.audit_mark()
    tasks = [
        {MODULE: {"credentials": items}, "check_mode": check}
        for items in (by_parser, by_plan)
        for check in (False, True)
    ]
    parsed, parsed_check, planned, planned_check = cluster.play(*tasks).results
    assert not cluster.writes(mark)
    for result, check, expected in (
        (
            parsed,
            parsed_check,
            (
                "credentials[1] (typo): unknown option drivre",
                "credentials[2] (state): state must be one of",
                "credentials[3] must be a mapping",
                "credentials[4]: name or id is required",
                "credentials[5] (labels): labels: the value of a",
            ),
        ),
        (
            planned,
            planned_check,
            (
                "credentials[1] (nodriver): ",
                "credentials[2] (unknown): owner bob",
                "credentials[4] (twin): 2 cloud credentials have the name",
                "credentials[5] (misplaced): config.accessToken is secret",
                "credentials[5] (misplaced): secrets.accessToken is required",
                "credentials[6] (wrong): driver nope",
                "credentials[7] (cc-nosuch): there is no cloud credential",
            ),
        ),
    ):
        assert (result["failed"], result["code"]) == (True, "invalid")
        places = [result["msg"].find(words) for words in expected]
        assert -1 not in places and places == sorted(places), result["msg"]
        assert not [word for word in ("(good)", "(stored)", "canary") if word in result["msg"]]
        assert (check["msg"], check["code"]) == (result["msg"], "invalid")


@pytest.mark.parametrize(
    ("items", "code"),
    [
        pytest.param(
            [
                {"id": "cc-nosuch", "description": "x"},
                {"name": "x", "owner": "bob", "driver": "s3", "config": {"accessKey": "a"}},
            ],
            "not_found",
            id="not found",
        ),
        pytest.param(
            [{"name": "twin", "description": "x"}, {"name": "twin", "state": "absent"}],
            "ambiguous",
            id="ambiguous",
        ),
    ],
)
def test_errors_with_the_same_code_keep_it(cluster, items, code):
    cluster.secret("cc-twin1", display_name="twin", owner="u-wt94n")
    cluster.secret("cc-twin2", display_name="twin", owner="user-8knjc")
    assert cluster.play({MODULE: {"credentials": items}}).result["code"] == code


def test_the_same_credential_twice(cluster, subtests):
    cluster.secret("cc-one", display_name="one")
    lists = {
        "by name": [new("a"), new("b"), new("a")],
        "by owner's other name": [new("a"), new("a", owner="local://u-wt94n")],
        "by name and by id": [
            {"name": "one", "description": "x"},
            {"id": "cattle-global-data:cc-one", "description": "y"},
        ],
        "by two spellings of the id": [
            {"id": "cc-one", "state": "absent"},
            {"id": "cattle-global-data:cc-one", "state": "absent"},
        ],
        "once to keep, once to delete": [{"name": "one", "description": "x"}, {"name": "one", "state": "absent"}],
        "trimmed": [new("a"), new(" a ")],
        "renamed to a new one's name": [{"id": "cc-one", "name": "a"}, new("a")],
    }
    mark = cluster.control_plane.audit_mark()
    results = cluster.play(*({MODULE: {"credentials": items}} for items in lists.values())).results
    assert not cluster.writes(mark)
    for (what, items), result in zip(lists.items(), results):
        with subtests.test(what):
            assert (result["failed"], result["code"]) == (True, "invalid")
            assert f"credentials[{len(items) - 1}]" in result["msg"] and "credentials[0]" in result["msg"]


def test_a_credential_in_use_does_not_stop_the_others(cluster):
    for name in ("used", "free", "stays"):
        cluster.secret(f"cc-{name}", display_name=name)
    cluster.api.post(
        CLUSTERS,
        {
            "apiVersion": "provisioning.cattle.io/v1",
            "kind": "Cluster",
            "metadata": {"name": "prod"},
            "spec": {"cloudCredentialSecretName": "cattle-global-data:cc-used"},
        },
    )
    items = [
        {"name": "used", "state": "absent"},
        {"name": "free", "state": "absent"},
        new("new"),
        {"name": "stays", "secrets": {"accessToken": "rotated"}},
    ]
    result = cluster.prove({"credentials": items})
    assert (result["failed"], result["code"], result["changed"]) == (True, "in_use", True)
    assert actions(result) == {"used": "refused", "free": "deleted", "new": "created", "stays": "updated"}
    assert result["msg"].startswith("credentials[0] (used): ") and "Cluster fleet-default/prod" in result["msg"]
    assert [entry["name"] for entry in result["references"]] == ["prod"]
    assert {entry["metadata"]["annotations"]["field.cattle.io/name"] for entry in cluster.secrets()} == {
        "used",
        "new",
        "stays",
    }


def test_an_error_during_writing_stops_its_own_item_only(cluster):
    """A policy of the administrator refuses a write."""
    for path, kind, spec in (
        (
            POLICIES,
            "ValidatingAdmissionPolicy",
            {
                "failurePolicy": "Fail",
                "matchConstraints": {
                    "resourceRules": [
                        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"]}
                    ]
                },
                "validations": [
                    {
                        "expression": "object.metadata.?annotations['field.cattle.io/name'].orValue('') != 'forbidden'",
                        "message": "not that one",
                    }
                ],
            },
        ),
        (BINDINGS, "ValidatingAdmissionPolicyBinding", {"policyName": "test-lists", "validationActions": ["Deny"]}),
    ):
        cluster.api.post(
            path,
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": kind,
                "metadata": {"name": "test-lists"},
                "spec": spec,
            },
        )
    try:
        deadline = time.monotonic() + 30
        while True:  # the API server takes notice of a policy after a while
            try:
                probe = cluster.secret("cc-probe", display_name="forbidden")
            except ApiError as error:
                assert "not that one" in str(error)
                break
            cluster.api.delete(f"{SECRETS}/{probe['metadata']['name']}")
            assert time.monotonic() < deadline
            time.sleep(0.05)
        result = cluster.play({MODULE: {"credentials": [new("first"), new("forbidden"), new("last")]}}).result
    finally:
        cluster.api.delete(f"{BINDINGS}/test-lists")
        cluster.api.delete(f"{POLICIES}/test-lists")
    assert (result["failed"], result["code"], result["changed"]) == (True, "partial", True)
    assert actions(result) == {"first": "created", "forbidden": "failed", "last": "created"}
    assert "credentials[1] (forbidden): " in result["msg"] and "not that one" in result["msg"]
    assert "not that one" in result["credentials"][1]["msg"]
    assert len(cluster.secrets()) == 2


def test_items_override_the_call(cluster):
    for name in ("a", "b", "c"):
        cluster.secret(f"cc-{name}", display_name=name)
    result = cluster.prove(
        {
            "state": "absent",
            "update_secrets": "on_create",
            "validate_config": False,
            "credentials": [
                {"name": "a"},
                {"name": "b", "state": "present", "secrets": {"accessToken": "other"}},
                {"name": "c", "state": "present", "secrets": {"accessToken": "other"}, "update_secrets": "always"},
                {**new("d", driver="nosuch", state="present")},
            ],
        }
    )
    assert actions(result) == {"a": "deleted", "b": "unchanged", "c": "updated", "d": "created"}
    assert decoded(cluster.stored("cc-b")) == {"digitaloceancredentialConfig-accessToken": "stored-secret-value"}
    refused = cluster.play(
        {MODULE: {"validate_config": False, "credentials": [new("e", driver="nosuch", validate_config=True)]}}
    ).result
    assert "driver nosuch has no credentials" in refused["msg"]


def test_an_empty_list(cluster):
    mark = cluster.control_plane.audit_mark()
    result = cluster.prove({"credentials": []})
    assert (result["changed"], result["credentials"]) == (False, [])
    assert not cluster.requests(mark)


def requested(cluster, mark):
    """The number of requests for each path, without the names of single objects."""
    return Counter(
        (
            entry.verb,
            entry.path.rpartition("/")[0]
            if entry.verb in ("get", "patch", "delete") and entry.path.startswith(SECRETS)
            else entry.path,
        )
        for entry in cluster.requests(mark)
    )


@pytest.mark.slow
def test_hundreds_in_a_call(cluster):
    """The number of reads does not depend on the number of credentials; each change is written once."""
    names = [f"number {number:03}" for number in range(300)]
    order = names[::2] + names[1::2][::-1]
    mark = cluster.control_plane.audit_mark()
    result = cluster.prove({"credentials": [new(name) for name in order]})
    assert [entry["name"] for entry in result["credentials"]] == order
    assert set(actions(result).values()) == {"created"}
    asked = requested(cluster, mark)
    assert asked["create", SECRETS] == 300
    assert asked["get", SECRETS] == 0
    assert asked["list", SECRETS] <= 5  # one per run, and those that look for twins of what was created
    assert (
        asked["list", "/apis/management.cattle.io/v3/dynamicschemas"]
        == asked["list", "/apis/management.cattle.io/v3/users"]
        == 3
    )

    mark = cluster.control_plane.audit_mark()
    result = cluster.prove(
        {
            "update_secrets": "on_create",
            "credentials": [
                new(
                    name,
                    state="absent" if number % 10 == 0 else "present",
                    description="changed" if number % 3 == 0 else None,
                )
                for number, name in enumerate(order)
            ],
        }
    )
    expected = [
        "deleted" if number % 10 == 0 else "updated" if number % 3 == 0 else "unchanged" for number in range(300)
    ]
    assert [entry["action"] for entry in result["credentials"]] == expected
    asked = requested(cluster, mark)
    assert asked["delete", SECRETS] == 30
    assert asked["list", SECRETS] == 3
    assert 0 < asked["list", CLUSTERS.replace("/namespaces/fleet-default", "")] <= 4
    assert len(cluster.secrets()) == 270
