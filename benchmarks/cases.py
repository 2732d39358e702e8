# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks. Each case returns the rows of its table.

The two sides of a ratio run alternately, and the fastest run of each counts, because other load only adds time. "Above
single" is the time of a playbook whose task gets N items minus the time of the same playbook, with the same variables,
whose task gets the first item.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections import defaultdict

from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import CREDENTIAL_REFERENCE_FIELDS

from control_plane import ControlPlane, install_fixtures
from control_plane.fixtures import resources
from support.providers.aws_process import AwsManager
from support.rancher_controllers import install_recorded_crds

from . import objects
from .aws import count_writes, rotate_bare
from .bare import Bare
from .objects import SECRETS
from .plays import Cost, Plays, run

MODULE, INFO, K8S = (
    "ranchhand.rancher.cloud_credential",
    "ranchhand.rancher.cloud_credential_info",
    "kubernetes.core.k8s",
)
ROTATION = "ranchhand.rancher.cloud_credential_rotation"
REPOINT = "ranchhand.rancher.cloud_credential_repoint"
CLUSTERS = "/apis/provisioning.cattle.io/v1/namespaces/fleet-default/clusters"
MACHINES = "/apis/rke-machine.cattle.io/v1/namespaces/fleet-default/amazonec2machines"
PARALLEL = 8  # rotations at the same time
LABEL = {"label": "{{ item.name }}"}


def row(what, measured, goal, unit="×", at_least=False, **figures):
    """Return a line of the table; figures are seconds unless their name contains another unit."""
    met = None if goal is None else measured >= goal if at_least else measured <= goal
    return {
        "what": what,
        "measured": round(measured, 3),
        "goal": goal,
        "at_least": at_least,
        "unit": unit,
        "met": met,
        "figures": {name.replace("_", " "): round(value, 4) for name, value in figures.items()},
    }


class Times:
    """The fastest run of each side, by name."""

    def __init__(self):
        self._runs = defaultdict(list)

    def add(self, name, cost):
        self._runs[name].append(cost)
        return cost

    def __getitem__(self, name):
        return min(self._runs[name])

    def all(self, name):
        return self._runs[name]

    def wall(self, name):
        return min(cost.wall for cost in self._runs[name])

    def cpu(self, name):
        return min(cost.cpu for cost in self._runs[name])

    def memory(self, name):
        return max(cost.memory for cost in self._runs[name])

    def each(self, more, single, items):
        """Wall and CPU seconds of each item beyond the first."""
        return (self.wall(more) - self.wall(single)) / (items - 1), (self.cpu(more) - self.cpu(single)) / (items - 1)


class Bench:
    """The settings, and a namespace with as many credentials as a case requires."""

    def __init__(self, settings, folder, log):
        self.settings, self.folder, self.log = settings, folder, log
        self.repetitions = settings.repetitions
        self._planes = contextlib.ExitStack()
        self._plane = None
        self._base = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._planes.close()

    def plane(self):
        """A control plane with the objects of a Rancher, the same for all cases."""
        if not self._plane:
            self._plane = self._planes.enter_context(ControlPlane())
            install_fixtures(self._plane)
            self.bare = Bare(self._plane.url, self._plane.ca_file, self._plane.token)
            env = {
                **os.environ,
                "K8S_AUTH_KUBECONFIG": str(self._plane.kubeconfig),
                "KUBECONFIG": str(self._plane.kubeconfig),
            }
            self._plays = Plays(self.settings.venv, self.folder, env)
        return self._plane

    def fill(self, count):
        """Create or delete credentials until the namespace contains this number, from base-00000."""
        self.plane()
        self.clear()
        if count > self._base:
            self.bare.post_all(
                SECRETS, [objects.secret(objects.credential("base", number)) for number in range(self._base, count)]
            )
        else:
            self.bare.delete_all(SECRETS, ["cc-base-%05d" % number for number in range(count, self._base)])
        self._base = count

    def clear(self):
        """Delete all credentials except these."""
        names = [item["metadata"]["name"] for item in self.bare.list_all(SECRETS)]
        self.bare.delete_all(SECRETS, [name for name in names if not name.startswith("cc-base-")])

    def play(self, tasks, variables=None, collections=None, recap="failed=0"):
        return self._plays.play(tasks, variables, collections, recap)

    def call(self, items, changed, count=None):
        """Run one task with a list of all items, or of the first `count`."""
        given = "{{ wanted }}" if count is None else "{{ wanted[:%d] }}" % count
        return self.play([{MODULE: {"credentials": given}}], {"wanted": items}, recap="changed=%d" % changed)

    def k8s(self, items, loop=False):
        """Create the same Secrets with kubernetes.core."""
        definitions = [objects.secret(item) for item in items]
        task = (
            {
                K8S: {"definition": "{{ item }}"},
                "loop": "{{ wanted }}",
                "loop_control": {"label": "{{ item.metadata.name }}"},
            }
            if loop
            else {K8S: {"definition": "{{ wanted }}"}}
        )
        return self.play([task], {"wanted": definitions}, collections=self.settings.community)

    def kubectl(self, items, *arguments):
        """Create the same Secrets with kubectl."""
        file = self.folder / "secrets.json"
        file.write_text(
            json.dumps({"apiVersion": "v1", "kind": "List", "items": [objects.secret(item) for item in items]})
        )
        env = {**os.environ, "KUBECONFIG": str(self.plane().kubeconfig)}
        return run([self.settings.kubectl, "apply", "-f", file, *arguments], env, self.folder / "kubectl.output")


def list_call(bench):
    """1,000 and 10,000 credentials in one call, among 3,000 others."""
    bench.fill(3000)
    times = Times()
    sizes = (1000, 3000, 10000)
    for count in sizes:
        items = [objects.credential("new", number) for number in range(count)]
        for unused in range(bench.repetitions if count == 1000 else 1):
            times.add(("post", count), bench.bare.post_all(SECRETS, [objects.secret(item) for item in items]))
            bench.clear()
            times.add(("single created", count), bench.call(items, 1, 1))
            bench.clear()
            times.add(("created", count), bench.call(items, 1))
            for unused_too in range(2):
                times.add(("list", count), bench.bare.timed_list(SECRETS))
                times.add(("single unchanged", count), bench.call(items, 0, 1))
                times.add(("unchanged", count), bench.call(items, 0))
                for name, few in (("debug", ""), ("single debug", "[:1]")):
                    times.add(
                        (name, count),
                        bench.play([{"ansible.builtin.debug": {"msg": "{{ wanted%s }}" % few}}], {"wanted": items}),
                    )
            bench.clear()
        bench.log(
            "  %d: created %.2f s, unchanged %.2f s; with one item %.2f and %.2f s; bare POST %.2f s, bare LIST %.2f s"
            % (
                count,
                times.wall(("created", count)),
                times.wall(("unchanged", count)),
                times.wall(("single created", count)),
                times.wall(("single unchanged", count)),
                times["post", count],
                times["list", count],
            )
        )
    above = {
        (what, count): times.wall((what, count)) - times.wall(("single " + what, count))
        for what in ("created", "unchanged", "debug")
        for count in sizes
    }
    rows = [
        row(
            "1,000 created in one call, above single, against bare POST over 16 connections",
            above["created", 1000] / times["post", 1000],
            2.0,
            above_single=above["created", 1000],
            bare_POST=times["post", 1000],
            whole_playbook=times.wall(("created", 1000)),
            with_single=times.wall(("single created", 1000)),
            CPU_seconds_whole_playbook=times.cpu(("created", 1000)),
        ),
        row(
            "1,000 unchanged in one call, above single, against bare LIST of the 4,000 in the namespace",
            above["unchanged", 1000] / times["list", 1000],
            4.0,
            above_single=above["unchanged", 1000],
            bare_LIST=times["list", 1000],
            whole_playbook=times.wall(("unchanged", 1000)),
            with_single=times.wall(("single unchanged", 1000)),
            CPU_seconds_whole_playbook=times.cpu(("unchanged", 1000)),
        ),
    ]
    rows.append(
        row(
            "the same, against a debug task that gets the same list",
            above["unchanged", 1000] / above["debug", 1000],
            None,
            above_single=above["unchanged", 1000],
            debug_above_single=above["debug", 1000],
        )
    )
    for what in ("created", "unchanged"):
        rows.append(
            row(
                "growth from 1,000 to 10,000 %s, against linear" % what,
                above[what, 10000] / above[what, 1000] / 10,
                1.15,
                **{"above_single_%d" % count: above[what, count] for count in sizes},
                peak_MB_10000=times.memory((what, 10000)),
                growth_of_debug=above["debug", 10000] / above["debug", 1000] / 10,
                growth_of_bare_POST=times["post", 10000] / times["post", 1000] / 10,
            )
        )
    return rows


def others(bench):
    """The same 1,000 Secrets by kubernetes.core and kubectl, whole playbooks, among 3,000 others."""
    bench.fill(3000)
    times, loop = Times(), 5
    items = [objects.credential("new", number) for number in range(1000)]
    for number in range(2):
        times.add("created", bench.call(items, 1))
        times.add("unchanged", bench.call(items, 0))
        times.add("unchanged", bench.call(items, 0))
        bench.clear()
        times.add("k8s created", bench.k8s(items))
        times.add("k8s unchanged", bench.k8s(items))
        bench.clear()
        for count in (1, loop):
            times.add("k8s loop %d" % count, bench.k8s(items[:count], loop=True))
            bench.clear()
        if number == 0:
            times.add("kubectl created", bench.kubectl(items))
            times.add("kubectl unchanged", bench.kubectl(items))
            times.add("kubectl server-side", bench.kubectl(items, "--server-side", "--force-conflicts"))
            times.add("kubectl server-side unchanged", bench.kubectl(items, "--server-side", "--force-conflicts"))
            bench.clear()
    each, each_cpu = times.each("k8s loop %d" % loop, "k8s loop 1", loop)
    whole_loop = times.wall("k8s loop 1") + 999 * each
    rows = []
    for what in ("created", "unchanged"):
        ours, theirs = times.wall(what), times.wall("k8s " + what)
        rows.append(
            row(
                "kubernetes.core.k8s, one task with 1,000 definitions, %s, against our whole playbook" % what,
                theirs / ours,
                3,
                at_least=True,
                ours=ours,
                theirs=theirs,
                our_CPU_seconds=times.cpu(what),
                their_CPU_seconds=times.cpu("k8s " + what),
            )
        )
    rows.append(
        row(
            "kubernetes.core.k8s, loop of 1,000 created (extrapolated from %d), against our whole playbook" % loop,
            whole_loop / times.wall("created"),
            100,
            at_least=True,
            ours=times.wall("created"),
            theirs=whole_loop,
            their_item=each,
            CPU_seconds_of_their_item=each_cpu,
        )
    )
    ours, theirs = times.wall("unchanged"), times.wall("kubectl unchanged")
    rows.append(
        row(
            "kubectl apply, 1,000 unchanged, against our whole playbook",
            theirs / ours,
            20,
            at_least=True,
            ours=ours,
            theirs=theirs,
        )
    )
    rows.append(
        row(
            "kubectl apply, 1,000 created, against our whole playbook",
            times.wall("kubectl created") / times.wall("created"),
            None,
            ours=times.wall("created"),
            theirs=times.wall("kubectl created"),
        )
    )
    theirs = times.wall("kubectl server-side unchanged")
    rows.append(
        row(
            "kubectl apply --server-side, 1,000 unchanged, against our whole playbook",
            theirs / ours,
            None,
            ours=ours,
            theirs=theirs,
        )
    )
    return rows


def _loop(task, items):
    return [{**task, "loop": "{{ wanted }}", "loop_control": LABEL}], {"wanted": items}


def loop(bench):
    """A loop of 200 items among 4,000 credentials."""
    bench.fill(4000)
    times, count, few = Times(), 200, 4
    task = {MODULE: {key: "{{ item.%s }}" % key for key in objects.credential("base", 0)}}
    debug = {"ansible.builtin.debug": {"msg": "{{ item.name }} {{ item.config }} {{ item.secrets }}"}}
    base = [objects.credential("base", number) for number in range(count)]
    new = [objects.credential("new", number) for number in range(count)]
    for number in range(bench.repetitions):
        for size in (1, count):
            times.add("debug %d" % size, bench.play(*_loop(debug, base[:size])))
            times.add("unchanged %d" % size, bench.play(*_loop(task, base[:size]), recap="changed=0"))
            times.add("created %d" % size, bench.play(*_loop(task, new[:size]), recap="changed=1"))
            bench.clear()
        if number < 2:
            for size in (1, few):
                times.add("k8s created %d" % size, bench.k8s(new[:size], loop=True))
                times.add("k8s unchanged %d" % size, bench.k8s(new[:size], loop=True))
                bench.clear()
    item, item_cpu = times.each("debug %d" % count, "debug 1", count)
    rows = []
    for what in ("unchanged", "created"):
        ours, ours_cpu = times.each("%s %d" % (what, count), what + " 1", count)
        theirs, theirs_cpu = times.each("k8s %s %d" % (what, few), "k8s %s 1" % what, few)
        rows.append(
            row(
                "loop of 200 among 4,000, %s, per item, against an item of a debug loop" % what,
                ours / item,
                3,
                our_item=ours,
                debug_item=item,
                CPU_seconds_of_our_item=ours_cpu,
                CPU_seconds_of_a_debug_item=item_cpu,
            )
        )
        rows.append(
            row(
                "the same in CPU: an item of a kubernetes.core.k8s loop against ours, %s" % what,
                theirs_cpu / ours_cpu,
                50,
                at_least=True,
                CPU_seconds_of_our_item=ours_cpu,
                CPU_seconds_of_their_item=theirs_cpu,
                our_item=ours,
                their_item=theirs,
            )
        )
    return rows


def tasks(bench):
    """Separate tasks, each for one credential."""
    rows = []
    for size, goal in ((100, 3), (4000, 3)):
        bench.fill(size)
        times, count = Times(), 31
        base = [objects.credential("base", number) for number in range(count)]
        for unused in range(bench.repetitions):
            for number in (1, count):
                times.add(
                    "debug %d" % number,
                    bench.play(
                        [
                            {
                                "ansible.builtin.debug": {
                                    "msg": "%s %s %s" % (item["name"], item["config"], item["secrets"])
                                }
                            }
                            for item in base[:number]
                        ]
                    ),
                )
                times.add("ours %d" % number, bench.play([{MODULE: item} for item in base[:number]], recap="changed=0"))
        (ours, ours_cpu), (debug, debug_cpu) = (
            times.each("%s %d" % (name, count), name + " 1", count) for name in ("ours", "debug")
        )
        rows.append(
            row(
                "separate tasks among %s, per task, against a debug task" % format(size, ","),
                ours / debug,
                goal,
                our_task=ours,
                debug_task=debug,
                CPU_seconds_of_our_task=ours_cpu,
                CPU_seconds_of_a_debug_task=debug_cpu,
            )
        )
    return rows


def info(bench):
    """cloud_credential_info over 10,000 credentials."""
    count = 10000
    bench.fill(count)
    times = Times()
    for unused in range(bench.repetitions):
        times.add("list", bench.bare.timed_list(SECRETS))
        times.add("single", bench.play([{INFO: {"id": "cc-base-00000"}}]))
        times.add("all", bench.play([{INFO: {}}]))
        times.add("core", _child(bench, "info", bench.plane()))
        times.add("list", bench.bare.timed_list(SECRETS))
    above = times.wall("all") - times.wall("single")
    return [
        row(
            "cloud_credential_info over 10,000, above single, against bare paged LIST",
            above / times["list"],
            2.5,
            above_single=above,
            bare_LIST=times["list"],
            whole_playbook=times.wall("all"),
            with_single=times.wall("single"),
            without_ansible=times.wall("core"),
        ),
        row(
            "the same without ansible-core around it",
            times.wall("core") / times["list"],
            None,
            without_ansible=times.wall("core"),
            bare_LIST=times["list"],
        ),
        row(
            "peak memory of cloud_credential_info over 10,000",
            times.memory("all"),
            250,
            unit=" MB",
            MB_with_single=times.memory("single"),
        ),
    ]


def _child(bench, what, plane, *paths):
    """Return the cost of one read in a new process; see child.py."""
    output = bench.folder / "child.output"
    run(
        [
            sys.executable,
            "-m",
            "benchmarks.child",
            what,
            plane.kubeconfig,
            plane.url,
            plane.ca_file,
            plane.token,
            *paths,
        ],
        dict(os.environ),
        output,
    )
    return Cost(**json.loads(output.read_text()))


def references(bench):
    """The reference graph at three sizes, at most 1,000 credentials, 5,000 templates, 500 clusters, 5,000 machines."""
    served = [
        item
        for item in resources()
        if any(
            (place.group, place.version) == (item.group, item.version)
            and (item.plural == place.resource or not place.resource and item.kind.endswith(place.kind))
            for place in CREDENTIAL_REFERENCE_FIELDS
        )
    ]
    paths = ["/apis/%s/%s/%s" % (item.group, item.version, item.plural) for item in served]
    totals, times = {}, Times()
    with ControlPlane() as plane:
        install_fixtures(plane)
        api = Bare(plane.url, plane.ca_file, plane.token)
        done = 0
        for percent in (20, 50, 100):
            kinds = ((objects.node_template, 50), (objects.cluster, 5), (objects.machine, 50))
            contents = [make(number, 1000) for make, each in kinds for number in range(done * each, percent * each)]
            api.post_all(
                SECRETS,
                [
                    objects.secret(dict(objects.credential("x", number), name="%05d" % number))
                    for number in range(done * 10, percent * 10)
                ],
            )
            _create_all(api, contents)
            done, total = percent, percent * 105
            totals[percent] = total
            for unused in range(bench.repetitions):
                for side in ("references", "lists", "lists at once"):
                    times.add((side, percent), _child(bench, side, plane, *paths))
            bench.log(
                "  %d objects: %.2f s, bare %.2f s, bare and all at once %.2f s"
                % ((total,) + tuple(times.wall((side, percent)) for side in ("references", "lists", "lists at once")))
            )
    ours = {percent: times.wall(("references", percent)) for percent in totals}
    bare = {percent: min(times.wall((side, percent)) for side in ("lists", "lists at once")) for percent in totals}
    return [
        row(
            "reference graph of 10,500 objects, against the faster of two bare paged listings of the same kinds",
            ours[100] / bare[100],
            1.5,
            ours=ours[100],
            bare=times.wall(("lists", 100)),
            bare_at_once=times.wall(("lists at once", 100)),
        ),
        row(
            "its peak memory",
            times.memory(("references", 100)),
            250,
            unit=" MB",
            **{"MB_%d_objects" % totals[p]: times.memory(("references", p)) for p in totals},
            MB_bare=times.memory(("lists", 100)),
        ),
        row(
            "its growth from 2,100 to 10,500 objects, against linear",
            ours[100] / ours[20] / 5,
            1.15,
            growth_of_bare=bare[100] / bare[20] / 5,
            **{"seconds_%d_objects" % totals[p]: ours[p] for p in totals},
            **{"bare_%d_objects" % totals[p]: bare[p] for p in totals},
        ),
    ]


def _create_all(api, contents):
    def create(content):
        path, body = content
        stored = json.loads(api.request("POST", path, json.dumps(body).encode()))
        if "status" in body:
            api.request(
                "PUT",
                "%s/%s/status" % (path, body["metadata"]["name"]),
                json.dumps({**stored, "status": body["status"]}).encode(),
            )

    with concurrent.futures.ThreadPoolExecutor(16) as executor:
        list(executor.map(create, contents))


_STARTER = """
import json, runpy, sys
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": {"host": sys.argv[1], "api_key": "none"}}).encode()
basic._ANSIBLE_PROFILE = "legacy"
runpy.run_module("ansible_collections.ranchhand.rancher.plugins.modules.cloud_credential_info", run_name="__main__")
"""


def process(bench):
    """The module as a process, from its start to its first request."""
    times = Times()
    for unused in range(2 + 3 * bench.repetitions):
        for name, venv in (("newest", bench.settings.venv), ("31", bench.settings.venv_31)):
            times.add(name, _until_first_request(venv, bench.folder))
    return [
        row(
            "the module as a process, start to first request, kubernetes 37 against 31",
            times["newest"] / times["31"],
            1.1,
            with_37=times["newest"],
            with_31=times["31"],
        )
    ]


def _until_first_request(venv, folder):
    with socket.create_server(("127.0.0.1", 0)) as server, (folder / "module.output").open("wb") as output:
        server.settimeout(60)
        begun = time.perf_counter()
        child = subprocess.Popen(
            [str(venv / "bin" / "python"), "-c", _STARTER, "http://127.0.0.1:%d" % server.getsockname()[1]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            connection, unused = server.accept()
            connection.recv(1)
            seconds = time.perf_counter() - begun
            connection.close()
        finally:
            child.kill()
            child.wait()
    return seconds


def reports(bench):
    """The role report over 2,000 credentials of which clusters use most, in all formats."""
    count = 2000
    bench.fill(0)
    bench.bare.post_all(
        SECRETS,
        [objects.secret(dict(objects.credential("x", number), name="%05d" % number)) for number in range(count)],
    )
    _create_all(bench.bare, [objects.cluster(number, count) for number in range(500)])
    files = {name: str(bench.folder / ("report." + name)) for name in ("html", "json", "csv", "markdown", "prometheus")}
    role = {
        "ansible.builtin.include_role": {"name": "ranchhand.rancher.report"},
        "vars": {"report_files": files, "report_max_age": "90d"},
    }
    times = Times()
    for unused in range(bench.repetitions):
        times.add("report", bench.play([role]))
        times.add("info", bench.play([{INFO: {"problems": True, "max_age": "90d"}}]))
    page = (bench.folder / "report.html").stat().st_size / 1e6
    return [
        row(
            "the report on 2,000 credentials in all formats, whole playbook",
            times.wall("report"),
            10,
            unit=" s",
            the_same_without_report=times.wall("info"),
            peak_MB=times.memory("report"),
            MB_of_the_page=page,
        )
    ]


def rotation(bench):
    """300 AWS credentials in 30 accounts, all due and then none of them; and which of 2,000 share a key."""
    bench.fill(0)
    times = Times()
    for number in range(bench.repetitions):
        with AwsManager() as manager:
            _rotate_all(bench, manager.AwsProcess(), "rotation-%d" % number, times)
        bench.clear()
    due, bare = times.wall("due") - times.wall("single due"), times["bare"]
    rows = [
        row(
            "300 AWS credentials in 30 accounts rotated in one call, above single, against bare requests and writes",
            due / bare,
            2,
            above_single=due,
            bare=bare,
            slowest_bare=max(times.all("bare")),
            whole_playbook=times.wall("due"),
            slowest_playbook=max(cost.wall for cost in times.all("due")),
            with_single=times.wall("single due"),
            CPU_seconds_whole_playbook=times.cpu("due"),
        ),
        row("its peak memory", times.memory("due"), 300, unit=" MB", MB_with_single=times.memory("single due")),
        row(
            "nothing due among these 300, whole playbook, against cloud_credential_info over them",
            times.wall("none") / times.wall("info"),
            1.5,
            nothing_due=times.wall("none"),
            info=times.wall("info"),
            with_single=times.wall("single none"),
            requests_to_AWS=max(times.all("requests")),
            MB_nothing_due=times.memory("none"),
            MB_info=times.memory("info"),
        ),
        row(
            "the same without ansible-core around it and without loading the SDK, against bare LISTs of credentials "
            "and records",
            times.wall("core") / times["list"],
            None,
            without_ansible=times.wall("core"),
            bare_LISTs=times["list"],
        ),
    ]
    seconds = {}
    for count in (500, 1000, 2000):
        bench.fill(count)
        seconds[count] = min(_child(bench, "resolve", bench.plane()).wall for unused in range(bench.repetitions))
    rows.append(
        row(
            "which of 2,000 credentials share a key, growth from 500, against linear",
            seconds[2000] / seconds[500] / 4,
            1.15,
            **{"seconds_%d" % count: value for count, value in seconds.items()},
        )
    )
    return rows


def _rotate_all(bench, provider, namespace, times):
    """Rotate 300 credentials and a single one, twice, with new users; then do the same bare."""
    count, accounts = 300, 30

    def users(prefix, number):
        created = [
            provider.create_user("%s-%05d" % (prefix, each), "%012d" % (100000000000 + each % accounts))
            for each in range(number)
        ]
        for key in created:
            provider.set_created(key["accessKey"], days=100)
        return created

    plane = bench.plane()
    items = [{"id": "cc-rotated-%05d" % number} for number in range(count + 1)]
    contents = [objects.credential("rotated", number) for number in range(count + 1)]
    for content, key in zip(contents, users("ours", count + 1)):
        content["config"]["accessKey"], content["secrets"]["secretKey"] = key["accessKey"], key["secretKey"]
    bench.bare.post_all(SECRETS, [objects.secret(content) for content in contents])

    options = {
        "max_age": "90d",
        "namespace": namespace,
        "parallel": PARALLEL,
        "issuer_options": {"endpoint_url": provider.address(), "propagation": "0s"},
    }

    def play(name, selected, changed):
        task = {ROTATION: {**options, "credentials": "{{ wanted[%s] }}" % selected}}
        times.add(name, bench.play([task], {"wanted": items}, recap="changed=%d" % changed))

    play("single due", "%d:" % count, 1)
    provider.count_actions()
    mark = plane.audit_mark()
    play("due", ":%d" % count, 1)
    actions, writes = provider.count_actions(), count_writes(plane.audit(mark))
    if actions["CreateAccessKey"] != count:
        raise RuntimeError("not all credentials were rotated: %s" % dict(actions))
    play("single none", "%d:" % count, 0)
    play("none", ":%d" % count, 0)
    times.add("core", _child(bench, "nothing due", plane, json.dumps({**options, "credentials": items[:count]})))
    times.add("requests", sum(provider.count_actions().values()))
    times.add("info", bench.play([{INFO: {}}]))
    records = "/api/v1/namespaces/%s/configmaps" % namespace
    times.add("list", bench.bare.timed_list(SECRETS) + bench.bare.timed_list(records))
    bench.log("  %s, %s" % (dict(actions), {" ".join(name): number for name, number in writes.items()}))
    keys = users("bare", count)
    times.add("bare", rotate_bare(bench.bare, provider.address(), namespace, keys, actions, writes, PARALLEL))
    bench.log(
        "  due %.1f s, bare %.1f s, nothing due %.2f s; for each credential %.1f requests to AWS and %.1f writes"
        % (
            times.all("due")[-1].wall,
            times.all("bare")[-1],
            times.all("none")[-1].wall,
            sum(actions.values()) / count,
            sum(writes.values()) / count,
        )
    )


def repoint(bench):
    """200 clusters with 1,000 pools and 5,000 machines moved to another credential in one call."""
    clusters, pools, machines = 200, 5, 25
    bench.fill(0)
    plane = bench.plane()
    install_recorded_crds(plane, "2.15.0")
    for number in (0, 1):
        content = {**objects.credential("x", number), "name": "%05d" % number}
        bench.bare.post_all(SECRETS, [objects.secret(content)])
    contents = [objects.cluster(number, 1, pools) for number in range(clusters)]
    contents += [objects.machine_config(number, pools) for number in range(clusters * pools)]
    contents += [objects.machine(number, 1, machines) for number in range(clusters * machines)]
    _create_all(bench.bare, contents)
    old, new = objects.credential_id(0), objects.credential_id(1)
    task = {"from": old, "to": new, "scope": ["cluster", "pools", "machines"], "wait": False}
    times = Times()
    for unused in range(bench.repetitions):
        times.add("moved", bench.play([{REPOINT: task}], recap="changed=1"))
        times.add("nothing", bench.play([{REPOINT: task}], recap="changed=0"))
        times.add("bare", bench.bare.patch_all(list(_patches(bench.bare, new, old))))
        bench.log("  moved %.1f s, bare %.1f s" % (times.all("moved")[-1].wall, times.all("bare")[-1]))
    return [
        row(
            "200 clusters with 1,000 pools and 5,000 machines moved in one call, whole playbook, against the same "
            "patches bare",
            times.wall("moved") / times["bare"],
            2,
            whole_playbook=times.wall("moved"),
            bare=times["bare"],
            slowest_playbook=max(cost.wall for cost in times.all("moved")),
            slowest_bare=max(times.all("bare")),
            nothing_to_move=times.wall("nothing"),
            CPU_seconds=times.cpu("moved"),
        ),
        row("its peak memory", times.memory("moved"), 200, unit=" MB", MB_nothing_to_move=times.memory("nothing")),
    ]


def _patches(bare, old, new):
    """Return the patches that move all clusters and machines, with the same tests as the module's."""
    field, pools = "cloudCredentialSecretName", "/spec/rkeConfig/machinePools"
    for item in bare.list_all(CLUSTERS):
        metadata = item["metadata"]
        paths = ["/spec/" + field]
        tests = [("/metadata/uid", metadata["uid"]), ("/metadata/resourceVersion", metadata["resourceVersion"])]
        for number, pool in enumerate(item["spec"]["rkeConfig"]["machinePools"]):
            base = "%s/%d" % (pools, number)
            paths.append("%s/%s" % (base, field))
            tests.append((base + "/name", pool["name"]))
            for key in ("kind", "name"):
                tests.append(("%s/machineConfigRef/%s" % (base, key), pool["machineConfigRef"][key]))
        operations = [{"op": "test", "path": path, "value": value} for path, value in tests]
        operations += [{"op": "test", "path": path, "value": old} for path in paths]
        operations += [{"op": "replace", "path": path, "value": new} for path in paths]
        yield "%s/%s" % (CLUSTERS, metadata["name"]), operations
    for item in bare.list_all(MACHINES):
        metadata = {key: item["metadata"][key] for key in ("uid", "resourceVersion")}
        patch = {"metadata": metadata, "spec": {"common": {field: new}}}
        yield "%s/%s" % (MACHINES, item["metadata"]["name"]), patch


# in this order, as the namespace grows; repoint replaces definitions
CASES = {
    "process": process,
    "tasks": tasks,
    "call": list_call,
    "others": others,
    "loop": loop,
    "info": info,
    "references": references,
    "report": reports,
    "rotation": rotation,
    "repoint": repoint,
}
