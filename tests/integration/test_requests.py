# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests everything takes, from the API server's audit log, and how often the client is imported. Times are never asserted."""

from __future__ import annotations

import datetime
from collections import Counter

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.reconciler import CACHE_SECONDS

from support.cluster import INFO, MODULE
from support.reference_fields import spots

READS = {"list secrets": 1, "list dynamicschemas": 1}
# Lists of what can refer to a credential, and what is asked about which of these kinds there are.
KINDS = {spot.resource for spot in spots("2.10.0")}
GROUPS = {(spot.place.group, spot.place.version) for spot in spots("2.15.0")}


class Seen:
    """Requests of the collection since a mark."""

    def __init__(self, cluster, mark):
        # a watch is told twice: when it begins, and some time later when it ends
        events = [
            event for event in cluster.control_plane.audit(mark)
            if event["userAgent"].startswith("ranchhand.rancher") and (event["verb"] != "watch" or event["stage"] == "ResponseStarted")
        ]
        self.counts = Counter(self._name(event) for event in events)
        times = [datetime.datetime.fromisoformat(event["requestReceivedTimestamp"].replace("Z", "+00:00")).timestamp() for event in events]
        self.seconds = max(times) - min(times)

    @staticmethod
    def _name(event):
        about = event.get("objectRef") or {}
        return f"{event['verb']} {about['resource']}" if "resource" in about else event["requestURI"]

    def take(self, *words):
        """How many there were whose name has any of these words; they are no longer counted then."""
        found = [name for name in self.counts if any(word in name for word in words)]
        return sum(self.counts.pop(name) for name in found)


def new(number):
    return {"name": f"number {number:03}", "driver": "digitalocean", "owner": "alice", "secrets": {"accessToken": f"token of {number}"}}


def play(cluster, *tasks, **options):
    mark = cluster.control_plane.audit_mark()
    played = cluster.play(*tasks, **options)
    assert played.code == 0 and not any(result["failed"] for result in played.results), played.output
    return Seen(cluster, mark)


@pytest.mark.parametrize("as_module", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_one_call(cluster, as_module):
    """As many requests for hundreds as for one, but for the writes."""
    for many in ([new(0)], [new(number) for number in range(1, 301)]):
        created = play(cluster, {MODULE: {"credentials": many}}, as_module=as_module).counts
        again = created.pop("get secrets", 0)  # a name that chance gave away already is looked at, and another one taken
        assert again <= 1 and created == {**READS, "list users": 1, "create secrets": len(many) + again, "watch secrets": 1}
        assert play(cluster, {MODULE: {"credentials": many}}, as_module=as_module).counts == {**READS, "list users": 1}
        changed = [{**one, "description": "new"} for one in many]
        assert play(cluster, {MODULE: {"credentials": changed}}, as_module=as_module).counts == {
            **READS, "list users": 1, "patch secrets": len(many)}
    assert play(cluster, {INFO: {}}, as_module=as_module).counts == READS


def test_removals(cluster):
    """References are looked at before the first write and once more behind the marks, for all together."""
    seen = {}
    for count in (1, 20):
        play(cluster, {MODULE: {"credentials": [new(number) for number in range(count)]}})
        gone = [{"name": new(number)["name"]} for number in range(count)]
        seen[count] = play(cluster, {MODULE: {"credentials": gone, "state": "absent"}})
    for count, one in seen.items():
        assert one.take("validatingadmission") == 2, one.counts  # whether there is a guard, of either kind
        assert one.counts.pop("delete secrets") == one.counts.pop("patch secrets") == count
        assert one.take("list dynamicschemas") == one.counts.pop("list secrets") == 1
        assert one.take("/apis/") == 2 * len(GROUPS), one.counts
        lists = Counter({f"list {name}": 2 * times for name, times in Counter(kind.plural for kind in KINDS).items()})
        assert one.counts == lists


def test_a_loop_reads_once(cluster):
    items = [new(number) for number in range(20)]
    item = {key: "{{ item.%s }}" % key for key in items[0]}
    task = {MODULE: item, "loop": items, "loop_control": {"label": "{{ item.name }}"}}
    for written in ({"create secrets": 20}, {}):
        seen = play(cluster, task)
        reads = 1 + int(seen.seconds / CACHE_SECONDS)  # one, unless the machine is very slow
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
    cluster.api.post(f"{rbac}/clusterrolebindings", {
        "metadata": {"name": "no-watch"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "no-watch"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "watchless"}],
    })
    try:
        seen = play(cluster, {MODULE: new(0)}, kubeconfig=cluster.control_plane.user("watchless"))
    finally:
        cluster.api.delete(f"{rbac}/clusterroles/no-watch")
        cluster.api.delete(f"{rbac}/clusterrolebindings/no-watch")
    # whether it may list, and the list
    assert seen.counts == {"list secrets": 3, "list dynamicschemas": 1, "list users": 1, "create secrets": 1, "watch secrets": 1}


_HOOK = '''
import importlib.abc, os, sys

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("kubernetes", "urllib3", "pydantic"):
            with open(os.environ["RANCHHAND_IMPORTS"], "a") as file:
                file.write("%d %s\\n" % (os.getpid(), name))

sys.meta_path.insert(0, Finder())
'''


@pytest.mark.parametrize("loop", [False, True])
def test_the_client_is_imported_once_by_the_parent_process(cluster, tmp_path, loop):
    (tmp_path / "sitecustomize.py").write_text(_HOOK)
    log = tmp_path / "imports"
    tasks = [{INFO: {}, **({"loop": [1, 2]} if loop else {})}] * 3
    play(cluster, *tasks, environment={"PYTHONPATH": str(tmp_path), "RANCHHAND_IMPORTS": str(log)})
    found = [line.split() for line in log.read_text().splitlines()]
    assert len({pid for pid, _name in found}) == 1, found
    assert [name for _pid, name in found].count("kubernetes") == 1
