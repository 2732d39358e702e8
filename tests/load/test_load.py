# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A short load, and that its checks notice each kind of violation. The complete load is a part of `make soak`."""

from __future__ import annotations

import pytest

from .checks import Checks
from .fleet import ABSENT, BY_ID, CREDENTIAL, PRESENT, TEMPLATE, Item, Record, Task, access_key, secret_key
from .history import Event
from .run import Load

NAME = "load 0001"
KEYS = [access_key(NAME, generation) for generation in range(3)]


def credential(version, token="first", owner="alice", key=KEYS[0], **other):
    record = Record(CREDENTIAL, "cc-1", version, NAME, owner, token, key, secret_key(key), ())
    return record._replace(**other)


def template(version, used):
    return Record(TEMPLATE, "nt-1", version, "template", "alice", "first", used, "", ())


def task(action, shown=None, token="t", begin=10, end=20, code=None, **item):
    """A task with one item, whose key is the second one."""
    declared = Item(CREDENTIAL, action, NAME, **{"owner": "alice", "content": KEYS[1], **item})
    result = {"credentials": [shown]} if shown else {}
    if code:
        result.update(code=code, failed=True)
    return Task(token, CREDENTIAL, {NAME: declared}, begin, end, result)


def done(action, **more):
    return {"action": action, "id": "cattle-global-data:cc-1", **more}


def violations(tasks, events, stored=None, clusters=(), rest=None):
    """Replay events after version 9, at which the credential has the first key."""
    checks = Checks(9, [credential(9)] if stored is None else stored, tasks, clusters)
    checks.replay([Event(record.version, gone, record) for record, gone in events])
    checks.results()
    if rest:
        checks.at_rest(rest, ())
    return checks.violations


UPDATED = credential(11, "t", key=KEYS[1]), False
DELETED = credential(11), True
UPDATE, DELETE = task(PRESENT, done("updated")), task(ABSENT, done("deleted"))


@pytest.mark.parametrize("tasks, events, more", [
    pytest.param([UPDATE], [UPDATED], {"rest": 30}, id="update"),
    pytest.param([DELETE], [DELETED], {"rest": 30}, id="delete"),
    pytest.param([task(ABSENT, done("unchanged"))], [], {"stored": []}, id="nothing to delete"),
    pytest.param([task(PRESENT, code="unreachable")], [UPDATED], {}, id="a failure with an unknown outcome"),
])
def test_a_correct_history_has_no_violation(tasks, events, more):
    assert not violations(tasks, events, **more)


@pytest.mark.parametrize("tasks, events, more, text", [
    pytest.param([DELETE], [DELETED], {"stored": [credential(9), template(8, "cc-1")]}, "is used by", id="dangling"),
    pytest.param([DELETE], [DELETED], {"clusters": ["cc-1"]}, "is used by", id="dangling cluster"),
    pytest.param([], [(template(11, "cc-gone"), False)], {}, "refers to a credential", id="dangling from the start"),
    pytest.param([UPDATE], [(UPDATED[0]._replace(secret=secret_key(KEYS[0])), False)], {}, "the secret key of another",
                 id="torn key"),
    pytest.param([UPDATE], [(UPDATED[0]._replace(content=KEYS[2], secret=secret_key(KEYS[2])), False)], {},
                 "another key", id="torn description"),
    pytest.param([UPDATE], [(UPDATED[0]._replace(owner="bob"), False)], {}, "declares alice", id="torn owner"),
    pytest.param([task(BY_ID, done("updated"), owner=None)], [(UPDATED[0]._replace(owner="bob"), False)], {},
                 "lost its owner", id="undone hand-over"),
    pytest.param([UPDATE], [UPDATED], {"stored": [credential(9, owner="bob")]}, "belonged to bob", id="other owner"),
    pytest.param([], [UPDATED], {}, "by no task that declares it", id="foreign write"),
    pytest.param([task(PRESENT, done("updated"), end=10)], [UPDATED], {}, "which ran from 10", id="late write"),
    pytest.param([], [DELETED], {}, "declared absent by no task", id="foreign deletion"),
    pytest.param([task(ABSENT, done("deleted"), owner="bob")], [DELETED], {}, "declared absent by no task",
                 id="deletion of another owner"),
    pytest.param([UPDATE], [], {}, "no version of cc-1 has it", id="lost update"),
    pytest.param([DELETE], [], {}, "and cc-1 was not", id="lost deletion"),
    pytest.param([task(PRESENT, done("unchanged"))], [], {}, "not as declared", id="not updated"),
    pytest.param([task(ABSENT, done("unchanged"))], [], {}, "not as declared", id="not deleted"),
    pytest.param([task(ABSENT, done("refused", code="in_use", msg="it is in use by"))], [], {}, "nothing used it",
                 id="refused without a reason"),
    pytest.param([task(PRESENT, code="invalid")], [UPDATED], {}, "was written and failed", id="written and invalid"),
    pytest.param([task(PRESENT, code="odd")], [], {}, "failed with odd", id="unknown code"),
    pytest.param([UPDATE], [(UPDATED[0]._replace(id="cc-2"), False), UPDATED], {"rest": 30}, "exists 2 times",
                 id="twice"),
    pytest.param([UPDATE], [(UPDATED[0]._replace(marks=("ranchhand.cattle.io/intent.x",)), False)], {"rest": 30},
                 "keeps", id="left annotation"),
])
def test_a_violation_is_noticed(tasks, events, more, text):
    assert [found for found in violations(tasks, events, **more) if text in found]


def test_a_short_load_has_no_violation():
    with Load(seed=1, playbooks=2, credentials=24) as load:
        outcome = load.run(rounds=4)
    assert not outcome.violations, "\n".join(outcome.violations)
    counts = outcome.counts
    assert counts["Writes", "credentials changed"] and counts["Writes", "credentials deleted"]
    assert [name for group, name in counts if group == "Faults"]
