# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard: what it denies to all clients, what it allows, and its installation and removal."""

from __future__ import annotations

import concurrent.futures
import datetime
import json
import time

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.times import format_time, now
from ansible_collections.ranchhand.rancher.plugins.module_utils._guard import client as guard_client
from ansible_collections.ranchhand.rancher.plugins.module_utils._guard.client import GuardClient
from ansible_collections.ranchhand.rancher.plugins.module_utils._guard.module import manage_guard
from ansible_collections.ranchhand.rancher.plugins.module_utils._guard.policies import (
    BINDINGS,
    CONFIG_MAPS,
    DELETION_LIST,
    FORMER_DELETION_LIST,
    POLICIES,
    PROBE,
    guard_objects,
    guard_paths,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.apply import plan_apply, read_objects
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.ranchhand.rancher.plugins.module_utils._kubernetes.connection import connection_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher import annotations
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.annotations import GUARD_SETTLE, deleting_run
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.cloud_credential import (
    parse_cloud_credential,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.cloud_credential import (
    CLOUD_CREDENTIAL,
    manage_cloud_credentials,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.execute import RunMode, execute

from control_plane import ApiError
from support.cluster import MODULE, SECRETS
from support.fakes import FaultInjector, reply
from support.guard import NAMES, keep_watching, remove_guard
from support.reference_fields import DATA, nested, others, spellings, spots

GUARD = "ranchhand.rancher.guard"
IN_USE = f"{CONFIG_MAPS}/ranchhand-in-use"
MARK = "ranchhand.cattle.io/marked-for-deletion"
ESCAPE = {"metadata": {"annotations": {"ranchhand.cattle.io/allow-delete": "true"}}}


@pytest.fixture(params=("2.10.0", "2.15.0"))
def version(request):
    return request.param


@pytest.fixture
def rancher(version, request):
    found = request.getfixturevalue("cluster" if version == "2.10.0" else "cluster_215")
    keep_watching(found)
    yield found
    remove_guard(found)


@pytest.fixture
def guarded(cluster):
    keep_watching(cluster)
    yield cluster
    remove_guard(cluster)


def install(cluster, **options):
    for path, item in guard_objects(options.pop("protect_in_use", False), options.pop("settle", 0)).items():
        cluster.api.post(path.rpartition("/")[0], item)


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def refusal(action, *arguments):
    """Return the API server's message if it denies a request; None if it allows it."""
    try:
        action(*arguments)
    except ApiError as error:
        assert error.status == 422, error
        return error.message
    return None


def mark_for_deletion(cluster, name, of="digitalocean/some name", ago=datetime.timedelta()):
    """Add a name to the deletion list like a run of the collection, and wait until the policy sees it."""
    since = (datetime.datetime.now(datetime.timezone.utc) - ago).strftime("%Y-%m-%dT%H:%M:%SZ")
    cluster.api.patch(NAMES, {"data": {name: f"{since} somerun {of}"}})
    probe = {"metadata": {"name": PROBE}, "data": {"credential": f"{DATA}:{name}"}}
    until(lambda: refusal(cluster.api.post, f"{CONFIG_MAPS}?dryRun=All", probe))


def test_installed_verified_updated_and_removed(guarded, subtests):
    everything = [path.rpartition("/")[2] for path in reversed(guard_paths())]
    tasks = {
        "install": ({"settle": "1s"}, everything[:3], "created"),
        "update": ({"settle": "2s"}, everything[2:3], "updated"),
        "protect": ({"settle": "2s", "protect_in_use": True}, everything[3:], "created"),
        "protect no more": ({"settle": "2s"}, everything[:2:-1], "deleted"),
        "remove": ({"state": "absent"}, everything[2::-1], "deleted"),
        "remove what is gone": ({"state": "absent"}, [], None),
    }
    results = guarded.prove_all([args for args, _names, _action in tasks.values()], module=GUARD)
    for (what, (_args, names, action)), result in zip(tasks.items(), results):
        with subtests.test(what):
            assert [entry["name"] for entry in result["objects"]] == names
            assert {entry["action"] for entry in result["objects"]} <= {action} and result["changed"] == bool(names)


def test_changes_by_other_clients_are_found_and_repaired(guarded, subtests):
    install(guarded)
    damage = {
        "the policy warns only": lambda: guarded.api.patch(
            f"{BINDINGS}/{DELETION_LIST}", {"spec": {"validationActions": ["Warn"]}}
        ),
        "the policy is empty": lambda: guarded.api.patch(
            f"{POLICIES}/{DELETION_LIST}", {"spec": {"validations": [{"expression": "true"}]}}
        ),
        "a kind is missing": lambda: guarded.api.patch(
            f"{POLICIES}/{DELETION_LIST}",
            {
                "spec": {
                    "matchConstraints": {
                        "resourceRules": [
                            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                        ]
                    }
                }
            },
        ),
        "the list of names is gone": lambda: guarded.api.delete(NAMES),
    }
    for what, do in damage.items():
        with subtests.test(what):
            do()
            assert guarded.prove({"settle": "0s"}, module=GUARD)["changed"]


def test_objects_of_the_former_name_are_removed(guarded, subtests):
    former = json.loads(json.dumps(guard_objects(False, 0)).replace(DELETION_LIST, FORMER_DELETION_LIST))
    for state, options in (("present", {"settle": "0s"}), ("absent", {"state": "absent"})):
        with subtests.test(state):
            for path, item in former.items():
                guarded.api.post(path.rpartition("/")[0], item)
            result = guarded.prove(options, module=GUARD)
            removed = [
                (item["kind"], item["action"]) for item in result["objects"] if item["name"] == FORMER_DELETION_LIST
            ]
            kinds = ("validatingadmissionpolicybindings", "validatingadmissionpolicies", "configmaps")
            assert removed == [(kind, "deleted") for kind in kinds]


def test_new_references_to_a_credential_that_is_being_deleted_are_denied(rancher, version, subtests):
    install(rancher)
    written = [spot for spot in spots(version) if spot.place.written_by_users]
    assert len(written) > 12
    before = [
        (
            spot,
            spot.create(
                rancher.api, f"before-{number}", _named(spot, f"{DATA}:cc-going"), spec={"name": "digitalocean"}
            ),
        )
        for number, spot in enumerate(written)
    ]
    mark_for_deletion(rancher, "cc-going", "digitalocean/name of cc-going")
    passed = []
    for number, spot in enumerate(written):
        with subtests.test(str(spot)):
            provider = {"name": "DigitalOcean"}
            for value, namespace in spellings(spot, "cc-going"):
                denied = refusal(spot.create, rancher.api, f"new-{number}", _named(spot, value), namespace, provider)
                assert denied and "is being deleted" in denied and "ranchhand.rancher.guard" in denied, (spot, value)
            for offset, (value, namespace) in enumerate(others(spot, "cc-going")):
                passed.append(spot.create(rancher.api, f"other-{number}-{offset}", value, namespace, provider))
            if spot.place.form == "display name":
                passed.append(spot.create(rancher.api, f"azure-{number}", "name of cc-going", spec={"name": "azure"}))
            # an object that refers to the credential already can be changed and can drop the reference, but not add one
            path = before[number][1]
            change = {"metadata": {"labels": {"a": "b"}}, "spec": {"other": [1], "nothing": None}}
            assert refusal(rancher.api.patch, path, change) is None
            assert refusal(rancher.api.patch, path, nested(spot.place.field, "cattle-global-data:cc-else")) is None
            assert refusal(
                rancher.api.patch,
                path,
                {
                    "spec": {
                        "name": "digitalocean",
                        **nested(spot.place.field, _named(spot, f"{DATA}:cc-going"))["spec"],
                    }
                },
            )
    for path in [path for _spot, path in before] + passed:
        rancher.api.delete(path)


def _named(spot, value):
    return (
        "name of cc-going"
        if spot.place.form == "display name"
        else value.rpartition(":")[2]
        if spot.place.form == "bare"
        else value
    )


def test_empty_objects_pass(rancher, version, subtests):
    """Rancher's own definitions allow null nearly everywhere."""
    install(rancher)
    mark_for_deletion(rancher, "cc-going")
    for number, spot in enumerate(spot for spot in spots(version) if spot.place.written_by_users):
        steps = spot.place.field.replace("[]", "").split(".")
        for depth in range(len(steps) + 1):
            body = {
                **spot.body(f"empty-{number}-{depth}", None),
                "spec": {},
                **(nested(".".join(steps[:depth]), None) if depth else {}),
            }
            with subtests.test(f"{spot} {depth}"):
                rancher.api.post(spot.path(spot.home), body)
                path = f"{spot.path(spot.home)}/{body['metadata']['name']}"
                assert refusal(rancher.api.patch, path, {"metadata": {"labels": {"a": "b"}}}) is None
                if spot.place.form == "id":
                    assert refusal(rancher.api.patch, path, nested(spot.place.field, f"{DATA}:cc-going"))
                rancher.api.delete(path)


def test_all_clients_are_denied_to_delete_a_credential_in_use(guarded):
    spot = next(entry for entry in spots("2.10.0") if entry.resource.kind == "Cluster" and entry.resource.namespaced)
    for name in ("cc-one", "cc-two", "cc-three", "cc-free"):
        guarded.secret(name, display_name=name)
        if name != "cc-free":
            spot.create(guarded.api, f"cluster-{name}", f"{DATA}:{name}")
    result = guarded.prove({"protect_in_use": True, "settle": "0s"}, module=GUARD)
    assert result["in_use"] == ["cc-one", "cc-three", "cc-two"]

    def denied():
        return refusal(guarded.api.delete, f"{SECRETS}/cc-one?dryRun=All")

    until(denied)
    message = denied()
    assert "cc-one is in use by Cluster fleet-default/cluster-cc-one (spec.cloudCredentialSecretName)" in message
    command = "kubectl -n cattle-global-data annotate secret cc-one ranchhand.cattle.io/allow-delete=true"
    assert command in message
    # credentials that are not in use can be deleted, also temporary ones of Rancher, and so can one with the annotation
    guarded.secret("cc-temporary", "vmwarevsphere", {"password": "p"})
    guarded.api.delete(f"{SECRETS}/cc-temporary")
    guarded.api.delete(f"{SECRETS}/cc-free")
    guarded.api.patch(f"{SECRETS}/cc-one", ESCAPE)
    guarded.api.delete(f"{SECRETS}/cc-one")
    # The module sets the annotation if no reference is left, or with force; a refused credential is still protected.
    guarded.api.delete(f"{spot.path('fleet-default')}/cluster-cc-two")
    two, three, forced = guarded.play(
        {MODULE: {"name": "cc-two", "state": "absent"}},
        {MODULE: {"name": "cc-three", "state": "absent"}},
        {MODULE: {"name": "cc-three", "state": "absent", "force": True}},
    ).results
    assert (two["credential"]["action"], three["credential"]["action"], forced["credential"]["action"]) == (
        "deleted",
        "refused",
        "deleted",
    )
    assert not guarded.secrets()
    assert guarded.prove({"protect_in_use": True, "settle": "0s"}, module=GUARD)["changed"], (
        "the list of what is in use is out of date"
    )


def test_marks_of_killed_runs_are_reported_and_removed(guarded):
    install(guarded)
    for name, hours in (("cc-killed", 1), ("cc-fresh", 0), ("cc-gone", 1), ("cc-long-gone", 25)):
        if "gone" not in name:
            guarded.secret(name, display_name=name)
        mark_for_deletion(guarded, name, ago=datetime.timedelta(hours=hours))
    marks = {
        "ranchhand.cattle.io/marked-for-deletion": "2026-01-01T00:00:00Z run",
        "ranchhand.cattle.io/allow-delete": "true",
    }
    guarded.api.patch(f"{SECRETS}/cc-killed", {"metadata": {"annotations": marks}})
    result = guarded.prove({"settle": "0s"}, module=GUARD)
    assert (result["stale"], result["marked_for_deletion"]) == (["cc-killed"], ["cc-fresh", "cc-gone"])
    assert sorted(guarded.api.get(NAMES)["data"]) == ["cc-fresh", "cc-gone"]
    assert not set(marks) & set(guarded.stored("cc-killed")["metadata"]["annotations"])


def test_a_deletion_does_not_bypass_a_guard_of_the_former_version(guarded):
    former = json.loads(json.dumps(guard_objects(False, 0)).replace(DELETION_LIST, FORMER_DELETION_LIST))
    guarded.secret("cc-one", display_name="cc-one")
    for path, item in former.items():
        guarded.api.post(path.rpartition("/")[0], item)
    result = guarded.play({MODULE: {"name": "cc-one", "state": "absent"}}).result
    assert result["code"] == "conflict" and "Run the role ranchhand.rancher.guard" in result["msg"]
    assert guarded.stored("cc-one")
    guarded.play({GUARD: {"settle": "0s"}})
    assert guarded.play({MODULE: {"name": "cc-one", "state": "absent"}}).result["changed"]


def test_a_run_of_the_former_version_is_deleting(guarded):
    at = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert deleting_run({"ranchhand.cattle.io/condemned": f"{at} former"}, now()) == "former"


def test_the_list_changes_while_the_guard_plans(guarded, monkeypatch):
    """An entry that a deletion adds meanwhile is no difference, and no conflict."""
    guarded.play({GUARD: {"settle": "0s"}})
    client = KubernetesClient(connection_options({"kubeconfig": str(guarded.control_plane.kubeconfig)}))
    apply = client.apply

    def add_an_entry_first(path, body, **query):
        if path == NAMES:
            monkeypatch.setattr(client, "apply", apply)
            guarded.api.patch(NAMES, {"data": {"cc-new": "2026-01-01T00:00:00Z run aws/new"}})
        return apply(path, body, **query)

    monkeypatch.setattr(client, "apply", add_an_entry_first)
    stored = read_objects(client, [NAMES])
    assert plan_apply(client, {NAMES: guard_objects(False, 0)[NAMES]}, stored) == []


def test_a_deletion_uses_the_guard_automatically(guarded):
    spot = spots("2.10.0")[0]
    for name in ("cc-one", "cc-two", "cc-forced"):
        guarded.secret(name, display_name=name)
    spot.create(guarded.api, "nt-two", f"{DATA}:cc-two")
    install(guarded, settle=2)
    gone = {"state": "absent", "credentials": [{"name": "cc-one"}, {"name": "cc-two"}]}
    began = time.monotonic()
    removed, forced = guarded.play(
        {MODULE: gone}, {MODULE: {"name": "cc-forced", "state": "absent", "force": True}}
    ).tasks
    assert [item["action"] for item in removed["result"]["credentials"]] == ["deleted", "refused"]
    assert removed["ended"] - time.time() + time.monotonic() - began > 2, (
        "the deletion waits for requests that were admitted before"
    )
    assert forced["result"]["changed"] and forced["ended"] - removed["ended"] < 2
    # a form that was opened before cannot use the deleted credential; a credential that is kept can be used
    assert refusal(spot.create, guarded.api, "nt-late", f"{DATA}:cc-one")
    until(lambda: refusal(spot.create, guarded.api, f"nt-{time.monotonic_ns()}", f"{DATA}:cc-two") is None)
    stored = guarded.stored("cc-two")["metadata"]["annotations"]
    assert not [key for key in stored if key.startswith("ranchhand.cattle.io/")]


def test_a_deletion_that_waits_for_a_finalizer_is_still_guarded(guarded):
    """Also if it failed, after an hour, and after the day for which names of deleted credentials are kept."""
    install(guarded)
    spot = spots("2.10.0")[0]
    guarded.secret("cc-held", display_name="held", finalizers=["example.com/hold"])
    gone = {"name": "held", "state": "absent", "wait": True, "wait_timeout": "1s", "wait_sleep": "1s"}
    held = guarded.play({MODULE: gone}).result
    assert (held["failed"], held["changed"], held["code"]) == (True, True, "conflict"), held
    assert held["credential"]["action"] == "deleted" and "example.com/hold" in held["msg"]
    assert MARK in guarded.stored("cc-held")["metadata"]["annotations"]
    for ago in (0, 1, 25):
        mark_for_deletion(guarded, "cc-held", "digitalocean/held", datetime.timedelta(hours=ago))
        mark = guarded.api.get(NAMES)["data"]["cc-held"].partition(" ")[0] + " killed"
        guarded.api.patch(f"{SECRETS}/cc-held", {"metadata": {"annotations": {MARK: mark}}})
        role = guarded.prove({"settle": "0s"}, module=GUARD)
        assert not role["stale"] and "cc-held" in role["marked_for_deletion"], ago
        assert guarded.stored("cc-held")["metadata"]["annotations"][MARK] == mark
        guarded.secret(f"cc-other-{ago}", display_name=f"other {ago}")
        guarded.play({MODULE: {"name": f"other {ago}", "state": "absent"}})
        assert refusal(spot.create, guarded.api, f"nt-{ago}", f"{DATA}:cc-held"), ago
    guarded.api.patch(f"{SECRETS}/cc-held", {"metadata": {"finalizers": None}})
    guarded.secret("cc-last", display_name="last")
    guarded.play({MODULE: {"name": "last", "state": "absent"}})
    assert "cc-held" not in guarded.api.get(NAMES)["data"], "expired, and the credential is deleted"


def test_a_deletion_whose_reply_is_lost_is_still_guarded(guarded):
    install(guarded)
    guarded.secret("cc-held", display_name="held", finalizers=["example.com/hold"])
    with FaultInjector(guarded.control_plane) as faults:
        for _attempt in range(20):
            faults.rule("DELETE", faults.lose_reply, path="/cc-held")
        result = guarded.play(
            {MODULE: {"name": "held", "state": "absent", "wait": True, "wait_timeout": "1s", **faults.options}}
        ).result
    assert result["failed"], result
    assert "deletionTimestamp" in guarded.stored("cc-held")["metadata"]
    assert "cc-held" in guarded.api.get(NAMES)["data"] and MARK in guarded.stored("cc-held")["metadata"]["annotations"]


def test_the_mark_of_another_run_is_respected(guarded, subtests):
    """Until it expires, or with force."""
    install(guarded)
    gone = {"name": "test", "state": "absent"}
    for key in (MARK, "ranchhand.cattle.io/condemned"):
        with subtests.test(key):
            guarded.secret("cc-one", annotations={key: f"{format_time(now())} other"})
            mark_for_deletion(guarded, "cc-one", "digitalocean/test")
            before, names = guarded.stored("cc-one"), guarded.api.get(NAMES)["data"]
            result = guarded.play({MODULE: gone}).result
            assert (result["code"], result["changed"]) == ("conflict", False), result
            assert "another run (other) is deleting it" in result["msg"]
            assert guarded.stored("cc-one") == before and guarded.api.get(NAMES)["data"] == names
            assert guarded.play({MODULE: {**gone, "force": True}}).result["changed"] and not guarded.secrets()
    guarded.secret("cc-one", annotations={MARK: "2026-01-01T00:00:00Z other"})
    assert guarded.play({MODULE: gone}).result["changed"] and not guarded.secrets()


def test_two_runs_delete_the_same_credential(guarded, monkeypatch):
    """The second run does not lift what protects the first one, whether it comes while the mark counts or later."""
    install(guarded, settle=3)
    spot = spots("2.10.0")[0]
    for name, lifetime in (("cc-one", 900), ("cc-two", 0)):
        guarded.secret(name, display_name=name)
        monkeypatch.setattr(annotations, "ANNOTATION_LIFETIME", datetime.timedelta(seconds=lifetime))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            first = pool.submit(_delete, guarded, name)
            until(lambda: name in (guarded.api.get(NAMES).get("data") or {}))
            run = guarded.api.get(NAMES)["data"][name].split(" ")[1]
            second = pool.submit(_delete, guarded, name).result()
            if lifetime:
                assert second["code"] == "conflict" and f"another run ({run})" in second["msg"], second
                assert guarded.api.get(NAMES)["data"][name].split(" ")[1] == run
                assert first.result()["credential"]["action"] == "deleted"
            else:
                assert second["credential"]["action"] == "deleted" and first.result()["code"] in (None, "conflict")
        assert refusal(spot.create, guarded.api, f"nt-{name}", f"{DATA}:{name}"), name
        assert not guarded.secrets()


def _delete(cluster, name):
    options = parse_options(
        CLOUD_CREDENTIAL, {"name": name, "state": "absent", "kubeconfig": str(cluster.control_plane.kubeconfig)}
    )
    return {"code": None, **execute(manage_cloud_credentials, options, RunMode())}


def test_a_run_lifts_only_what_it_has_denied(guarded):
    install(guarded)
    client = KubernetesClient(connection_options({"kubeconfig": str(guarded.control_plane.kubeconfig)}))
    stored = parse_cloud_credential(guarded.secret("cc-one", display_name="one"))
    first, second = (GuardClient.find(client, run, []) for run in ("first", "second"))
    first.deny_references([stored])
    second.deny_references([stored])
    first.allow_references(["cc-one"])
    assert guarded.api.get(NAMES)["data"]["cc-one"].split(" ")[1] == "second"
    second.allow_references(["cc-one", "cc-nothing"])
    assert "cc-one" not in (guarded.api.get(NAMES).get("data") or {})


def test_a_settle_time_that_cannot_be_used_is_reported(guarded):
    assert "at most 10m" in guarded.prove({"settle": "11m"}, module=GUARD)["msg"]
    install(guarded)
    guarded.secret("cc-one")
    for settle in ("soon", "nan", "-1", "9999999", ""):
        guarded.api.patch(f"{BINDINGS}/{DELETION_LIST}", {"metadata": {"annotations": {GUARD_SETTLE: settle}}})
        result = guarded.play({MODULE: {"name": "test", "state": "absent"}}).result
        assert result["code"] == "conflict" and "ranchhand.rancher.guard" in result["msg"], result
    assert guarded.prove({"settle": "0s"}, module=GUARD)["changed"]
    assert guarded.play({MODULE: {"name": "test", "state": "absent"}}).result["changed"]


def test_a_guard_that_may_not_be_read_is_reported(guarded):
    guarded.secret("cc-one")
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "patch", "delete"], "resourceNames": []}]
    rules[0]["apiGroups"] = ["", *sorted({spot.resource.group for spot in spots("2.10.0")})]
    guarded.api.post(f"{rbac}/clusterroles", {"metadata": {"name": "no-guard"}, "rules": rules})
    guarded.api.post(
        f"{rbac}/clusterrolebindings",
        {
            "metadata": {"name": "no-guard"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "no-guard"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "no-guard"}],
        },
    )
    try:
        played = guarded.play(
            {MODULE: {"name": "test", "state": "absent"}},
            {GUARD: {}},
            kubeconfig=guarded.control_plane.user("no-guard"),
        )
    finally:
        for kind in ("clusterroles", "clusterrolebindings"):
            guarded.api.delete(f"{rbac}/{kind}/no-guard")
    removed, refused = played.results
    assert removed["changed"] and "cannot check whether the guard is installed" in removed["warnings"][0]
    assert (refused["code"], "validatingadmissionpolic" in refused["msg"]) == ("forbidden", True)


def test_an_api_server_that_does_not_see_the_deletion_list_is_reported(guarded, monkeypatch):
    monkeypatch.setattr(guard_client, "PROBE_TIMEOUT", 0.5)
    with FaultInjector(guarded.control_plane) as blind:
        blind.rule("POST", reply(201, "created"), path="/configmaps\\?dryRun=All", times=99)
        with pytest.raises(RanchhandError, match="until kube-apiserver is restarted"):
            manage_guard(
                {"state": "present", "protect_in_use": False, "settle": 0},
                lambda: KubernetesClient(connection_options(blind.options)),
                RunMode(),
            )


def test_an_api_server_that_is_too_old_is_reported(cluster):
    with FaultInjector(cluster.control_plane) as old:
        old.rule(
            "GET",
            reply(404, "the server could not find the requested resource", "NotFound"),
            path="admissionregistration",
            times=99,
        )
        environment = {"K8S_AUTH_HOST": old.options["host"], "K8S_AUTH_API_KEY": old.options["api_key"]}
        cluster.secret("cc-one")
        refused, removed = cluster.play(
            {GUARD: {}}, {MODULE: {"name": "test", "state": "absent"}}, environment=environment
        ).results
    assert (refused["code"], "needs Kubernetes 1.30 or newer" in refused["msg"]) == ("unsupported", True)
    assert removed["changed"] and "warnings" not in removed
