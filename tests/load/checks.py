# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold in every version of the cluster, and between the results of tasks and what was stored."""

from __future__ import annotations

import bisect
import collections

from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import FAILURE_CODES

from .fleet import ABSENT, BY_ID, CREDENTIAL, PRESENT, TEMPLATE, secret_key

INTENT = "ranchhand.cattle.io/intent."
CREATED_UNCHECKED = "it was created, but whether another run created the same object is unknown"
# After these, a write may have been executed.
UNCERTAIN = ("unreachable", "server_error", "throttled", "conflict")


class Checks:
    """Replays a history, and compares it with what the tasks declared and returned."""

    def __init__(self, history_start, stored, tasks, cluster_references):
        self._tasks = {task.token: task for task in tasks}
        self._by_name = collections.defaultdict(list)
        for task in tasks:
            for item in task.items.values():
                self._by_name[item.kind, item.name].append((task, item))
        self._clusters = collections.Counter(cluster_references)
        self._now: dict = {}          # records by kind and id
        self._users = collections.defaultdict(set)  # ids of node templates by that of the credential
        self._past = collections.defaultdict(list)  # (version, records by id) of each kind and name
        self._used = collections.defaultdict(list)  # (version, ids of node templates) of each credential
        self.violations: list = []
        self.counts: collections.Counter = collections.Counter()
        for record in stored:
            self._store(history_start, record)
        for record in stored:
            if record.kind == TEMPLATE:
                self._use(history_start, None, record)

    # every version

    def replay(self, events):
        for event in events:
            record = event.record
            before = self._now.get((record.kind, record.id))
            self.counts["Writes", "versions of objects checked"] += 1
            if event.gone:
                self._check_deletion(event.version, before)
                self._remove(event.version, before)
            else:
                self._check_version(event.version, before, record)
                self._store(event.version, record)
            if record.kind == TEMPLATE:
                self._use(event.version, before, None if event.gone else record)

    def _store(self, version, record):
        before = self._now.get((record.kind, record.id))
        self._now[record.kind, record.id] = record
        if before and before.name != record.name:
            self.violations.append(f"{record.id} was renamed from {before.name} to {record.name}")
        same = {**self._latest(record.kind, record.name), record.id: record}
        self._past[record.kind, record.name].append((version, same))

    def _remove(self, version, before):
        del self._now[before.kind, before.id]
        same = self._latest(before.kind, before.name)
        self._past[before.kind, before.name].append(
            (version, {name: record for name, record in same.items() if name != before.id})
        )

    def _latest(self, kind, name):
        past = self._past[kind, name]
        return past[-1][1] if past else {}

    def _use(self, version, before, record):
        for credential, template in {(entry.content, entry.id) for entry in (before, record) if entry}:
            users = self._users[credential] - {template}
            if record and record.content == credential:
                users |= {template}
            self._users[credential] = users
            self._used[credential].append((version, users))

    def _check_version(self, version, before, record):
        what = f"{record.kind} {record.name} ({record.id}) at {version}"
        if record.kind == CREDENTIAL and record.secret != secret_key(record.content):
            self.violations.append(f"{what} has the access key of one declaration and the secret key of another")
        if record.kind == TEMPLATE and (CREDENTIAL, record.content) not in self._now:
            self.violations.append(f"{what} refers to a credential that does not exist")
        content = record[3:8]
        if before and before[3:8] == content:
            return
        self.counts["Writes", f"{record.kind}s {'changed' if before else 'created'}"] += 1
        task = self._tasks.get(record.token)
        item = task and task.items.get(record.name)
        if not item or item.action == ABSENT or item.kind != record.kind:
            self.violations.append(f"{what} was written by no task that declares it: {record.token}")
            return
        if not task.begin < version <= task.end:
            self.violations.append(f"{what} was written by {record.token}, which ran from {task.begin} to {task.end}")
        if record.kind == CREDENTIAL and record.content != item.content:
            self.violations.append(f"{what} has the description of {record.token} and another key")
        if record.kind == TEMPLATE and item.content not in (
            f"cattle-global-data:{record.content}", self._name_of(record.content)
        ):
            self.violations.append(f"{what} has the description of {record.token} and another credential")
        if item.owner and record.owner != item.owner:
            self.violations.append(f"{what} belongs to {record.owner}, and {record.token} declares {item.owner}")
        if before and item.action == PRESENT and before.owner != item.owner:
            self.violations.append(f"{what} was selected by the owner {item.owner} and belonged to {before.owner}")
        if before and item.action == BY_ID and before.owner != record.owner:
            self.violations.append(f"{what} lost its owner {before.owner} by {record.token}")

    def _name_of(self, credential):
        record = self._now.get((CREDENTIAL, credential))
        return record and record.name

    def _check_deletion(self, version, before):
        what = f"{before.kind} {before.name} ({before.id}), deleted at {version}"
        users = self._users.get(before.id)
        if before.kind == CREDENTIAL and (users or self._clusters[before.id]):
            self.violations.append(f"{what} is used by {sorted(users or ())[:3]} {self._clusters[before.id]}")
        declared = self._by_name[before.kind, before.name]
        active = [(task, item) for task, item in declared if task.begin < version <= task.end]
        if any(item.action == ABSENT and item.owner == before.owner for _task, item in active):
            self.counts["Writes", f"{before.kind}s deleted"] += 1
            return
        twins = [record for record in self._latest(before.kind, before.name).values() if record.id != before.id]
        if twins and any(task.token == before.token for task, _item in active):
            self.counts["Writes", "second objects of a name, deleted by the task that created them"] += 1
            return
        self.violations.append(f"{what} was declared absent by no task that ran then")

    # when no playbook runs

    def at_rest(self, version, unchecked):
        """Check the state between two rounds; `unchecked` are names whose task reported that they may exist twice."""
        for (kind, name), past in self._past.items():
            index = bisect.bisect_right(past, version, key=lambda entry: entry[0])
            records = past[index - 1][1] if index else {}
            if len(records) > 1 and (kind, name) not in unchecked:
                self.violations.append(f"{kind} {name} exists {len(records)} times at {version}")
            for record in records.values():
                if record.marks:
                    self.violations.append(f"{kind} {name} ({record.id}) keeps {record.marks} at {version}")

    # the results

    def results(self):
        for task in self._tasks.values():
            self._check_result(task)

    def _check_result(self, task):
        self.counts["Load", "tasks"] += 1
        code = task.result.get("code")
        if code and code not in FAILURE_CODES:
            self.violations.append(f"{task.token} failed with {code}: {task.result.get('msg')}")
        if bool(code) != bool(task.result.get("failed")):
            self.violations.append(f"{task.token} failed without a code: {str(task.result)[:500]}")
        if "internal error" in str(task.result):
            self.violations.append(f"{task.token}: {task.result.get('msg')}")
        for item, shown in task.outcomes():
            self.counts["Load", "objects in tasks"] += 1
            self._check_item(task, item, shown)

    def _check_item(self, task, item, shown):
        action = shown["action"] if shown else "call failed"
        code = (shown or task.result).get("code")
        self.counts["Results", f"{item.action}: {action}{f' ({code})' if code else ''}"] += 1
        states = list(self._during(self._past[item.kind, item.name], task, {}))
        written = any(record.token == task.token for state in states for record in state.values())
        where = f"{task.token} {item.kind} {item.name}"
        identifier = ((shown or {}).get("id") or "").partition(":")[2]
        if action in ("created", "updated"):
            if not any(identifier in state and state[identifier].token == task.token for state in states):
                self.violations.append(f"{where} was reported as {action}, and no version of {identifier} has it")
        elif action == "deleted":
            if not any(identifier in state and identifier not in later for state, later in zip(states, states[1:])):
                self.violations.append(f"{where} was reported as deleted, and {identifier} was not")
        elif action == "unchanged":
            absent = item.action == ABSENT and any(
                all(record.owner != item.owner for record in state.values()) for state in states
            )
            if not absent or written:
                self.violations.append(f"{where} was reported as unchanged, and it was not as declared")
        elif action == "refused":
            self._check_refusal(task, item, shown, states, identifier, where)
        elif code not in FAILURE_CODES:
            self.violations.append(f"{where} failed with {code}")
        elif written:
            self.counts["Writes", "versions of objects whose result is a failure with an unknown outcome"] += 1
            if code not in UNCERTAIN:
                self.violations.append(f"{where} was written and failed with {code}")

    def _check_refusal(self, task, item, shown, states, identifier, where):
        if "is creating or changing objects" in shown["msg"]:
            announced = any(
                mark.startswith(INTENT) for state in states for record in state.values() for mark in record.marks
            )
            if not announced:
                self.violations.append(f"{where} was refused, and nothing was announced")
            return
        users = [used for used in self._during(self._used[identifier], task, set()) if used]
        if not users and not self._clusters[identifier]:
            self.violations.append(f"{where} was refused, and nothing used it: {shown['msg']}")

    @staticmethod
    def _during(past, task, nothing):
        """Yield the state before a task and each one until its end."""
        start = bisect.bisect_right(past, task.begin, key=lambda entry: entry[0])
        yield past[start - 1][1] if start else nothing
        for version, state in past[start:]:
            if version > task.end:
                return
            yield state


def unchecked_names(tasks):
    """Return kind and name of each object of which a task reported that it may exist twice."""
    return {
        (item.kind, item.name) for task in tasks for item, shown in task.outcomes()
        if shown and CREATED_UNCHECKED in shown.get("msg", "")
    }
