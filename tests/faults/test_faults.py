# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures between client and API server, and conflicts between two concurrent runs."""

from __future__ import annotations

import concurrent.futures
import threading
import time

import pytest

from support.cluster import INFO, MODULE, SECRETS, decoded
from support.fakes import PASS, FaultInjector, after, cut, reply

KEY = "digitaloceancredentialConfig-accessToken"


@pytest.fixture
def faults(cluster):
    with FaultInjector(cluster.control_plane) as injector:
        yield injector


def _play(cluster, faults, *tasks, **options):
    environment = {"K8S_AUTH_HOST": faults.options["host"], "K8S_AUTH_API_KEY": faults.options["api_key"]}
    return cluster.play(*tasks, environment=environment, **options)


def _new(name, **more):
    return {
        MODULE: {
            "name": name,
            "driver": "digitalocean",
            "owner": "alice",
            "secrets": {"accessToken": f"token of {name}"},
            **more,
        }
    }


def _named(cluster):
    """Return (display name, id) of all stored credentials; a duplicate name is in it twice."""
    return sorted(
        (entry["metadata"]["annotations"]["field.cattle.io/name"], entry["metadata"]["name"])
        for entry in cluster.secrets()
    )


def _item(result):
    assert "code" not in result, result
    return result["credential"]


def _code(result):
    assert "code" in result, result
    assert "\n" not in result["msg"] and "Traceback" not in result["msg"] and "internal error" not in result["msg"], (
        result
    )
    return result["code"]


def test_every_write_whose_reply_is_lost_is_done_once_and_reported(cluster, faults):
    for name in ("patched", "deleted", "held"):
        cluster.secret(
            f"cc-{name}", display_name=name, **({"finalizers": ["example.com/hold"]} if name == "held" else {})
        )
    for method in ("POST", "PATCH", "DELETE"):
        for action in (faults.lose_reply, cut):
            faults.rule(method, action, path=f"{SECRETS}(/cc-(patched|deleted)|$)")
    faults.rule("DELETE", faults.lose_reply, path="/cc-held")
    release = threading.Timer(3, lambda: cluster.api.patch(f"{SECRETS}/cc-held", {"metadata": {"finalizers": None}}))
    faults.rule("DELETE", after(lambda seen: release.start()), path="/cc-held")
    played = _play(
        cluster,
        faults,
        _new("created"),
        {MODULE: {"name": "patched", "description": "new", "secrets": {"accessToken": "new"}}},
        {MODULE: {"name": "deleted", "state": "absent"}},
        {MODULE: {"name": "held", "state": "absent", "wait": True, "wait_sleep": "1s"}},
    )
    items = [_item(result) for result in played.results]
    assert [item["action"] for item in items] == ["created", "updated", "deleted", "deleted"]
    assert all(result["changed"] for result in played.results)
    assert items[1]["changed_fields"] == ["accessToken", "description"]
    assert [
        method
        for method in ("POST", "PATCH", "DELETE")
        if len([request for request in faults.seen if request.method == method]) < 2
    ] == []
    # cc-held is gone too: the run waited for its finalizer
    assert _named(cluster) == [("created", items[0]["id"].partition(":")[2]), ("patched", "cc-patched")]
    assert decoded(cluster.stored("cc-patched")) == {KEY: "new"}


def test_concurrent_changes_of_another_client_are_preserved(cluster, faults):
    for name in ("annotated", "same", "renamed", "gone"):
        cluster.secret(f"cc-{name}", display_name=name, fields={"accessToken": "old"})

    def meanwhile(identifier, patch):
        return after(lambda seen: cluster.api.patch(f"{SECRETS}/{identifier}", patch))

    faults.rule(
        "PATCH",
        meanwhile("cc-annotated", {"metadata": {"annotations": {"field.cattle.io/projectId": "local:p-1"}}}),
        "/cc-annotated",
    )
    faults.rule(
        "PATCH",
        meanwhile("cc-same", {"stringData": {KEY: "theirs"}, "metadata": {"labels": {"theirs": "1"}}}),
        "/cc-same",
    )
    faults.rule(
        "DELETE",
        meanwhile("cc-renamed", {"metadata": {"annotations": {"field.cattle.io/description": "x"}}}),
        "/cc-renamed",
    )
    faults.rule(
        "DELETE",
        after(lambda seen: cluster.api.delete(f"{SECRETS}/cc-gone"), reply(409, "it is another version", "Conflict")),
        "/cc-gone",
    )
    change = {"secrets": {"accessToken": "ours"}}
    played = _play(
        cluster,
        faults,
        {MODULE: {"name": "annotated", **change}},
        {MODULE: {"name": "same", **change}},
        {MODULE: {"name": "renamed", "state": "absent"}},
        {MODULE: {"name": "gone", "state": "absent"}},
    )
    assert [_item(result)["action"] for result in played.results] == ["updated", "updated", "deleted", "deleted"]
    annotated, same = cluster.stored("cc-annotated"), cluster.stored("cc-same")
    assert decoded(annotated) == decoded(same) == {KEY: "ours"}
    assert annotated["metadata"]["annotations"]["field.cattle.io/projectId"] == "local:p-1"
    assert same["metadata"]["labels"]["theirs"] == "1"
    assert _named(cluster) == [("annotated", "cc-annotated"), ("same", "cc-same")]


def test_a_concurrent_rename_or_hand_over_is_neither_undone_nor_deleted(cluster, faults):
    tasks = {
        "updated": {"description": "new"}, "deleted": {"state": "absent"}, "marked": {"state": "absent"},
        "owned": {"owner": "alice", "labels": {"a": "b"}},
    }
    for name in tasks:
        cluster.secret(f"cc-{name}", display_name=name)
    name, owner = "field.cattle.io/name", "field.cattle.io/creatorId"
    for identifier, method, theirs in (
        ("cc-updated", "PATCH", {name: "theirs"}), ("cc-deleted", "DELETE", {name: "theirs"}),
        ("cc-owned", "PATCH", {owner: "user-9pwpg"}), ("cc-marked", "PATCH", {name: "theirs"}),
    ):
        change = {"metadata": {"annotations": theirs}}
        action = after(lambda seen, path=identifier, patch=change: cluster.api.patch(f"{SECRETS}/{path}", patch))
        faults.rule(method, action, f"/{identifier}")
    played = _play(cluster, faults, *({MODULE: {"name": item, **options}} for item, options in tasks.items()))
    assert [_code(result) for result in played.results] == ["conflict"] * 4
    assert not [result for result in played.results if "renamed or handed over" not in result["msg"]]
    stored = {secret["metadata"]["name"]: secret["metadata"] for secret in cluster.secrets()}
    assert {identifier: metadata["annotations"][name] for identifier, metadata in stored.items()} == {
        "cc-updated": "theirs", "cc-deleted": "theirs", "cc-owned": "owned", "cc-marked": "theirs"}
    assert stored["cc-owned"]["annotations"][owner] == "user-9pwpg"


def test_what_was_created_is_in_the_result_of_a_failure(cluster, faults):
    """The check for duplicates, and the deletions of the same call, fail after the creations."""
    cluster.secret("cc-old", display_name="old")
    created = [{**_new(name)[MODULE]} for name in ("a", "b")]
    old = {"name": "old", "state": "absent"}

    def fail_after_creation(seen):
        faults.rule("GET", reply(500, "no space"), SECRETS, times=1000)
        return PASS

    faults.rule("POST", fail_after_creation, f"{SECRETS}$", about='"a"')
    result = _play(cluster, faults, {MODULE: {"credentials": [*created, old]}}).result
    stored = dict(_named(cluster))
    assert result["changed"] and result["failed"]
    items = {item["name"]: item for item in result["credentials"]}
    assert [items[name]["action"] for name in ("a", "b")] == ["created", "created"]
    assert [items[name]["id"] for name in ("a", "b")] == [f"cattle-global-data:{stored[name]}" for name in ("a", "b")]
    assert "it was created, but whether another run created the same object is unknown" in items["a"]["msg"]
    assert "no space" in result["msg"] and len(stored) == (2 if items["old"]["action"] == "deleted" else 3)


def test_an_item_that_waits_delays_no_other_item(cluster):
    cluster.secret("cc-used", display_name="used")
    clusters = "/apis/provisioning.cattle.io/v1/namespaces/fleet-default/clusters"
    cluster.api.post(clusters, {
        "apiVersion": "provisioning.cattle.io/v1", "kind": "Cluster", "metadata": {"name": "prod"},
        "spec": {"cloudCredentialSecretName": "cattle-global-data:cc-used"},
    })
    cluster.secret("cc-unused", display_name="unused")
    waiting = {"name": "used", "state": "absent", "wait": True, "wait_sleep": "1s", "wait_timeout": "120s"}
    items = [waiting, _new("new")[MODULE], {"name": "unused", "state": "absent"}]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        play = pool.submit(cluster.play, {MODULE: {"credentials": items}})
        deadline = time.monotonic() + 60
        while [name for name, _id in _named(cluster)] != ["new", "used"]:
            assert time.monotonic() < deadline and not play.done(), _named(cluster)
            time.sleep(0.2)
        cluster.api.delete(f"{clusters}/prod")
        result = play.result().result
    assert [item["action"] for item in result["credentials"]] == ["deleted", "created", "deleted"], result
    assert [name for name, _id in _named(cluster)] == ["new"]


def test_a_credential_that_is_referenced_in_the_meantime_is_not_deleted(cluster, faults):
    cluster.secret("cc-used", display_name="used")

    def use(seen):
        cluster.api.post(
            "/apis/provisioning.cattle.io/v1/namespaces/fleet-default/clusters",
            {
                "apiVersion": "provisioning.cattle.io/v1",
                "kind": "Cluster",
                "metadata": {"name": "prod"},
                "spec": {"cloudCredentialSecretName": "cattle-global-data:cc-used"},
            },
        )
        cluster.api.patch(f"{SECRETS}/cc-used", {"metadata": {"annotations": {"example.com/used": "yes"}}})

    faults.rule("DELETE", after(use))
    result = _play(cluster, faults, {MODULE: {"name": "used", "state": "absent"}}).result
    assert (_code(result), result["changed"]) == ("in_use", False), result
    assert result["references"][0]["name"] == "prod"
    assert cluster.stored("cc-used")


def test_conflicts_are_retried_a_bounded_number_of_times(cluster, faults):
    for name in ("endless", "vanished", "deleted"):
        cluster.secret(f"cc-{name}", display_name=name)
    count = iter(range(1000))
    faults.rule(
        "PATCH",
        after(
            lambda seen: cluster.api.patch(
                f"{SECRETS}/cc-endless", {"metadata": {"labels": {"count": str(next(count))}}}
            )
        ),
        "/cc-endless",
        times=1000,
    )
    faults.rule(
        "PATCH",
        after(lambda seen: cluster.api.delete(f"{SECRETS}/cc-vanished"), reply(409, "another version", "Conflict")),
        "/cc-vanished",
    )
    faults.rule("PATCH", after(lambda seen: cluster.api.delete(f"{SECRETS}/cc-deleted")), "/cc-deleted")
    quota = reply(409, 'Operation cannot be fulfilled on resourcequotas "q": the object has been modified', "Conflict")
    faults.rule("POST", quota, about="once", times=1)
    faults.rule("POST", quota, about="always", times=1000)
    played = _play(
        cluster,
        faults,
        {MODULE: {"name": "endless", "description": "x"}},
        {MODULE: {"name": "vanished", "description": "x"}},
        {MODULE: {"name": "deleted", "description": "x"}},
        _new("once"),
        _new("always"),
    )
    endless, vanished, deleted, once, always = played.results
    for result in (endless, vanished, deleted, always):
        assert (_code(result), result["changed"]) == ("conflict", False), result
        assert "Traceback" not in played.output and "internal error" not in result["msg"] and "\n" not in result["msg"]
    assert "deleted by another client" in vanished["msg"] and "cc-vanished" in vanished["msg"]
    assert "deleted by another client" in deleted["msg"] and "cc-deleted" in deleted["msg"]
    assert "resourcequotas" in always["msg"]
    assert next(count) < 20
    assert _item(once)["action"] == "created"
    assert [name for name, _id in _named(cluster)] == ["endless", "once"]


def test_retries_wait_as_long_as_the_server_asks(cluster, faults):
    faults.rule("GET", reply(429, "slow down", "TooManyRequests", Retry_After="2"), path=f"{SECRETS}\\?")
    faults.rule("POST", reply(503, "starting", "ServiceUnavailable", Retry_After="1"), about="accessToken", times=2)
    faults.rule("POST", reply(503), about="accessToken", times=1)
    assert _item(_play(cluster, faults, _new("busy", validate_config=False)).result)["action"] == "created"
    lists = [request.time for request in faults.seen if request.method == "GET" and f"{SECRETS}?" in request.path]
    posts = [request.time for request in faults.seen if request.method == "POST" and request.path == SECRETS]
    assert lists[1] - lists[0] >= 1.9
    assert len(posts) == 4 and posts[1] - posts[0] >= 0.9 and posts[2] - posts[1] >= 0.9 and posts[3] - posts[2] < 3
    assert [name for name, _id in _named(cluster)] == ["busy"]


def test_other_items_are_processed_after_a_failure(cluster, faults):
    faults.rule("POST", reply(422, "no more room", "Invalid"), about=_annotation("two"), times=1000)
    items = [_new(name)[MODULE] for name in ("one", "two", "three")]
    first, second = _play(
        cluster, faults, {MODULE: {"credentials": items}}, {MODULE: {"credentials": items}, "check_mode": True}
    ).results
    assert (_code(first), first["changed"]) == ("partial", True), first
    assert [(entry["name"], entry["action"], entry.get("code")) for entry in first["credentials"]] == [
        ("one", "created", None),
        ("two", "failed", "invalid"),
        ("three", "created", None),
    ]
    assert "credentials[1] (two): " in first["msg"] and "no more room" in first["msg"]
    assert [entry["action"] for entry in second["credentials"]] == ["unchanged", "created", "unchanged"]


def _annotation(name):
    return f'"field.cattle.io/name": "{name}"'


def test_temporary_and_permanent_failures_of_the_server(cluster, faults):
    faults.rule("GET", cut, path="/secrets", times=3)
    faults.rule("GET", reply(500, "etcdserver: no leader"), path="/dynamicschemas", times=5)
    faults.rule("GET", cut, path="/users", times=1000)
    down, back, away = _play(cluster, faults, {INFO: {}}, {INFO: {}}, {INFO: {"owner": "alice"}}).results
    assert _code(down) == "server_error" and "no leader" in down["msg"], down
    assert "code" not in back and back["credentials"] == []
    assert _code(away) == "unreachable" and "cannot be reached" in away["msg"], away


@pytest.mark.parametrize("modified", [False, True], ids=["untouched", "annotated by a controller"])
@pytest.mark.parametrize("first_lists", [True, False], ids=["the first lists early", "the first lists late"])
def test_two_runs_that_create_the_same_credential_keep_a_single_copy(cluster, faults, first_lists, modified):
    """Both list no credential and create it within the same second; the lists afterwards interleave."""
    both = threading.Barrier(2)
    order = iter((0, 1))
    stored, listed, touched = threading.Event(), threading.Event(), threading.Event()

    def create(seen):
        both.wait(20)
        mine = next(order)
        if mine == 0:
            time.sleep(1.02 - time.time() % 1)  # creationTimestamp has a precision of a second
        else:
            stored.wait(20)
            if first_lists:
                listed.wait(20)
        answer = faults.forward(seen)
        if mine == 0:
            stored.set()
        else:
            if modified:
                for _name, identifier in _named(cluster):
                    cluster.api.patch(
                        f"{SECRETS}/{identifier}",
                        {"metadata": {"annotations": {"field.cattle.io/projectId": "local:p-1"}}},
                    )
            touched.set()
        return answer

    def list_secrets(seen):
        if not stored.is_set():
            return faults.forward(seen)
        if first_lists and not listed.is_set():
            answer = faults.forward(seen)
            if (
                b'"items":[]' not in answer[2].replace(b" ", b"")
                and "limit" in seen.path
                and "fieldSelector" not in seen.path
            ):
                listed.set()
            return answer
        touched.wait(20)
        return faults.forward(seen)

    faults.rule("POST", create, path=f"{SECRETS}$", times=2)
    faults.rule("GET", list_secrets, path="/secrets", times=1000)
    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        runs = [run.result() for run in [executor.submit(_play, cluster, faults, _new("twin")) for _unused in range(2)]]
    items = [_item(run.result) for run in runs]
    ((_name, identifier),) = _named(cluster)
    assert {item["id"] for item in items} == {f"cattle-global-data:{identifier}"}
    assert sorted(item["action"] for item in items) == ["created", "unchanged"]


def test_a_run_that_created_the_same_as_two_others_uses_the_object_that_remains(cluster, faults):
    """The second of the others deletes its own credential only after the third run has seen it."""
    def create(seen):
        for identifier in ("cc-first", "cc-second"):
            cluster.secret(identifier, display_name="twin", fields={"accessToken": "of another run"})

    faults.rule("POST", after(create), path=f"{SECRETS}$")
    later = threading.Timer(0.5, lambda: cluster.api.delete(f"{SECRETS}/cc-second"))
    faults.rule("DELETE", after(lambda seen: later.start()))
    item = _item(_play(cluster, faults, _new("twin")).result)
    assert (item["action"], item["id"]) == ("updated", "cattle-global-data:cc-first")
    assert _named(cluster) == [("twin", "cc-first")] and decoded(cluster.stored("cc-first")) == {KEY: "token of twin"}


def test_a_second_copy_that_another_client_changes_is_deleted_unless_it_is_used(cluster, faults):
    templates = "/apis/management.cattle.io/v3/namespaces/cattle-global-nt/nodetemplates"

    def change(seen):
        identifier = seen.path.rpartition("/")[2]
        cluster.api.patch(f"{SECRETS}/{identifier}", {"metadata": {"labels": {"theirs": "1"}}})
        if any(name == "used" and entry == identifier for name, entry in _named(cluster)):
            cluster.api.post(templates, {
                "apiVersion": "management.cattle.io/v3", "kind": "NodeTemplate", "metadata": {"name": "theirs"},
                "spec": {"cloudCredentialName": f"cattle-global-data:{identifier}"}})

    def create(name):
        def action(seen):
            cluster.secret(f"cc-{name}", display_name=name)
            faults.rule("DELETE", after(change))
        return after(action)

    for name in ("twin", "used"):
        faults.rule("POST", create(name), path=f"{SECRETS}$", about=_annotation(name))
    twin, used = _play(cluster, faults, _new("twin"), _new("used")).results
    assert _item(twin)["id"] == "cattle-global-data:cc-twin"
    assert _code(used) == "conflict" and "it was created" in used["msg"]
    assert [name for name, _id in _named(cluster)] == ["twin", "used", "used"]


def test_two_runs_that_create_the_same_list(cluster):
    names = [f"name {number}" for number in range(12)]
    for round_ in range(2):
        items = [_new(f"{round_} {name}")[MODULE] for name in names]
        with concurrent.futures.ThreadPoolExecutor(2) as executor:
            runs = [
                run.result()
                for run in [executor.submit(cluster.play, {MODULE: {"credentials": items}}) for _unused in range(2)]
            ]
        here = [(name, identifier) for name, identifier in _named(cluster) if name.startswith(str(round_))]
        assert sorted(name for name, _id in here) == sorted(item["name"] for item in items)
        for run in runs:
            assert "code" not in run.result, run.result
            assert sorted((entry["name"], entry["id"].partition(":")[2]) for entry in run.result["credentials"]) == here
