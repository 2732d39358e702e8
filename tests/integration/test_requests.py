# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of requests, from the audit log of the API server, and of imports of the client. Times are not asserted."""

from __future__ import annotations

import datetime
from collections import Counter

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.reconciler import CACHE_SECONDS

from support.cluster import INFO, MODULE
from support.reference_fields import spots

READS = {"list secrets": 1, "list dynamicschemas": 1}
# The kinds that can refer to a credential, and the API groups that are read to find out which are installed.
KINDS = {spot.resource for spot in spots("2.10.0")}
GROUPS = {(spot.place.group, spot.place.version) for spot in spots("2.15.0")}


class Requests:
    """Requests of the collection since a position in the audit log."""

    def __init__(self, cluster, mark):
        # a watch is logged when it starts and when it ends
        events = [
            event
            for event in cluster.control_plane.audit(mark)
            if event["userAgent"].startswith("ranchhand.rancher")
            and (event["verb"] != "watch" or event["stage"] == "ResponseStarted")
        ]
        self.counts = Counter(self._name(event) for event in events)
        times = [
            datetime.datetime.fromisoformat(event["requestReceivedTimestamp"].replace("Z", "+00:00")).timestamp()
            for event in events
        ]
        self.seconds = max(times) - min(times)

    @staticmethod
    def _name(event):
        about = event.get("objectRef") or {}
        return f"{event['verb']} {about['resource']}" if "resource" in about else event["requestURI"]

    def take(self, *words):
        """Return the number of requests whose name contains any of the words, and stop counting them."""
        found = [name for name in self.counts if any(word in name for word in words)]
        return sum(self.counts.pop(name) for name in found)


def new(number):
    return {
        "name": f"number {number:03}",
        "driver": "digitalocean",
        "owner": "alice",
        "secrets": {"accessToken": f"token of {number}"},
    }


def play(cluster, *tasks, **options):
    mark = cluster.control_plane.audit_mark()
    played = cluster.play(*tasks, **options)
    assert played.code == 0 and not any(result["failed"] for result in played.results), played.output
    return Requests(cluster, mark)


@pytest.mark.parametrize("as_module", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_calls_need_the_same_reads_for_any_number_of_items(cluster, as_module):
    """Only the number of writes depends on the number of items."""
    for many in ([new(0)], [new(number) for number in range(1, 301)]):
        created = play(cluster, {MODULE: {"credentials": many}}, as_module=as_module).counts
        again = created.pop(
            "get secrets", 0
        )  # if a random name is taken, the object is read and another name is chosen
        assert again <= 1 and created == {
            **READS,
            "list users": 1,
            "create secrets": len(many) + again,
            "watch secrets": 1,
        }
        assert play(cluster, {MODULE: {"credentials": many}}, as_module=as_module).counts == {**READS, "list users": 1}
        changed = [{**entry, "description": "new"} for entry in many]
        assert play(cluster, {MODULE: {"credentials": changed}}, as_module=as_module).counts == {
            **READS,
            "list users": 1,
            "patch secrets": len(many),
        }
    # whether this Rancher has CloudCredentials of ext.cattle.io too
    listed = {**READS, "/apis/ext.cattle.io/v1": 1}
    assert play(cluster, {INFO: {}}, as_module=as_module).counts == listed


def test_deletions_read_references_twice_for_all_items(cluster):
    """Before the first write, and after the credentials are marked for deletion."""
    seen = {}
    for count in (1, 20):
        play(cluster, {MODULE: {"credentials": [new(number) for number in range(count)]}})
        gone = [{"name": new(number)["name"]} for number in range(count)]
        seen[count] = play(cluster, {MODULE: {"credentials": gone, "state": "absent"}})
    for count, requests in seen.items():
        # whether the two policies of the guard are installed, and that of its version 0.1
        assert requests.take("validatingadmission") == 3, requests.counts
        assert requests.counts.pop("delete secrets") == requests.counts.pop("patch secrets") == count
        assert requests.take("list dynamicschemas") == requests.counts.pop("list secrets") == 1
        assert requests.take("/apis/") == 2 * len(GROUPS), requests.counts
        lists = Counter({f"list {name}": 2 * times for name, times in Counter(kind.plural for kind in KINDS).items()})
        assert requests.counts == lists


def test_a_loop_reads_once(cluster):
    items = [new(number) for number in range(20)]
    item = {key: "{{ item.%s }}" % key for key in items[0]}
    task = {MODULE: item, "loop": items, "loop_control": {"label": "{{ item.name }}"}}
    for written in ({"create secrets": 20}, {}):
        seen = play(cluster, task)
        reads = 1 + int(seen.seconds / CACHE_SECONDS)  # once, unless the machine is very slow
        assert seen.take("list secrets") <= reads and seen.take("list users") <= reads
        assert seen.take("watch secrets") <= (reads if written else 0)
        assert seen.counts == {"list dynamicschemas": 1, **written}


def test_without_the_right_to_watch_the_list_is_read_again(cluster):
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    rules = [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "create"]},
        {"apiGroups": ["management.cattle.io"], "resources": ["dynamicschemas", "users"], "verbs": ["list"]},
    ]
    cluster.api.post(f"{rbac}/clusterroles", {"metadata": {"name": "no-watch"}, "rules": rules})
    cluster.api.post(
        f"{rbac}/clusterrolebindings",
        {
            "metadata": {"name": "no-watch"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "no-watch"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "watchless"}],
        },
    )
    try:
        seen = play(cluster, {MODULE: new(0)}, kubeconfig=cluster.control_plane.user("watchless"))
    finally:
        cluster.api.delete(f"{rbac}/clusterroles/no-watch")
        cluster.api.delete(f"{rbac}/clusterrolebindings/no-watch")
    # two checks of the permission, and the list
    assert seen.counts == {
        "list secrets": 3,
        "list dynamicschemas": 1,
        "list users": 1,
        "create secrets": 1,
        "watch secrets": 1,
    }


_HOOK = """
import importlib.abc, os, sys

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("kubernetes", "urllib3", "pydantic"):
            with open(os.environ["RANCHHAND_IMPORTS"], "a") as file:
                file.write("%d %s\\n" % (os.getpid(), name))

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("loop", [False, True])
def test_the_client_is_imported_once_by_the_parent_process(cluster, tmp_path, loop):
    (tmp_path / "sitecustomize.py").write_text(_HOOK)
    log = tmp_path / "imports"
    tasks = [{INFO: {}, **({"loop": [1, 2]} if loop else {})}] * 3
    play(cluster, *tasks, environment={"PYTHONPATH": str(tmp_path), "RANCHHAND_IMPORTS": str(log)})
    found = [line.split() for line in log.read_text().splitlines()]
    assert len({pid for pid, _name in found}) == 1, found
    assert [name for _pid, name in found].count("kubernetes") == 1
