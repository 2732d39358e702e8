# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every interleaving of a deletion, a client that starts to use the credential, and Rancher's UI that saves it.

Each participant may pause between any two steps. The model assumes three guarantees of Kubernetes: a write that
contains a resourceVersion fails after another write; a list is consistent; an admission policy decides before an object
is stored, according to a list of names that the API server reads some time after it was written.

    python3 tests/unit/delete_model.py
"""

from __future__ import annotations

import typing
from collections import deque
from dataclasses import dataclass, replace

DANGLING = "an object refers to a deleted credential"
UNMARKED = "the credential is not marked while it is being deleted"
LEFT_OVER = "a credential that is kept has an annotation of an earlier run"


@dataclass(frozen=True)
class Variant:
    """The protections (policies of the guard, settle time, announcement of the client) and the behaviour of the UI."""

    guard: bool = False
    settle: bool = False
    announces: bool = False
    ui_saves: bool = False
    ui_drops_annotations: bool = False


@dataclass(frozen=True)
class State:
    """The cluster, and the next step of each participant. `version` counts writes to the Secret."""

    there: bool = True
    version: int = 0
    marked: bool = False
    announced: bool = False
    referred: bool = False
    policy: str = "off"  # then "written", then "seen" by the API server
    deleter: str = "list"
    known_to_deleter: int = -1
    user: str = "begin"
    known_to_user: int = -1
    ui: str = "closed"
    known_to_ui: int = -1
    form: tuple = ()  # annotations as the UI loaded them

    def write(self, **changes):
        """Return the state after a write to the Secret."""
        return replace(self, version=self.version + 1, **changes)


Step = typing.Tuple[str, State]


def delete(state: State, variant: Variant) -> typing.Iterator[Step]:
    """The module cloud_credential with `state: absent`."""
    at = state.deleter
    if at == "list":
        yield "delete: lists references", replace(state, deleter="over" if state.referred else "mark")
    elif at == "mark":
        if state.announced:
            yield "delete: reads an announcement", replace(state, deleter="over")
        else:  # reads and writes until no other write intervenes
            after = state.write(marked=True, deleter="policy" if variant.guard else "list again")
            yield "delete: marks for deletion", replace(after, known_to_deleter=after.version)
    elif at == "policy":
        yield "delete: adds the name to the list", replace(state, policy="written", deleter="probe")
    elif at == "probe" and state.policy == "seen":
        yield "delete: the probe is denied", replace(state, deleter="settle" if variant.settle else "list again")
    elif at == "settle" and state.user != "admitted":  # longer than an earlier admitted request takes
        yield "delete: the settle time has passed", replace(state, deleter="list again")
    elif at == "list again":
        yield "delete: lists references again", replace(state, deleter="unmark" if state.referred else "remove")
    elif at == "remove":
        yield from delete_marked(state)
    elif at == "unmark":
        yield "delete: removes the mark", state.write(marked=False, policy="off", deleter="over")


def delete_marked(state: State) -> typing.Iterator[Step]:
    """The request that deletes exactly the version that was marked."""
    if state.version == state.known_to_deleter:
        yield "delete: deletes", replace(state, there=False, deleter="over")
    elif not state.there:
        yield "delete: is already deleted", replace(state, deleter="over")
    elif state.marked:  # another client wrote; the mark is kept, so no run of this collection announced itself
        yield "delete: reads again", replace(state, known_to_deleter=state.version)
    else:
        yield "delete: the mark was removed", replace(state, deleter="unmark")


def use(state: State, variant: Variant) -> typing.Iterator[Step]:
    """A client creates an object that refers to the credential: node_template announces it, other clients do not."""
    at = state.user
    if at == "begin":
        if not state.there or variant.announces and state.marked:
            yield "user: refused", replace(state, user="over")
        else:
            yield (
                "user: has read the credential",
                replace(state, user="announce" if variant.announces else "send", known_to_user=state.version),
            )
    elif at == "announce":
        if state.there and state.version == state.known_to_user:
            yield "user: announces", state.write(announced=True, user="send")
        else:
            yield "user: starts again", replace(state, user="begin")
    elif at == "send":
        denied = "withdraw" if variant.announces else "over"
        yield "user: sends", replace(state, user=denied if state.policy == "seen" else "admitted")
    elif at == "admitted":
        yield "user: is stored", replace(state, referred=True, user="withdraw" if variant.announces else "over")
    elif at == "withdraw":
        yield (
            "user: withdraws the announcement",
            state.write(announced=False, user="over") if state.there else replace(state, user="over"),
        )


def save(state: State, variant: Variant) -> typing.Iterator[Step]:
    """Rancher's UI loads the credential and saves it, with the annotations that it loaded or without them."""
    if state.ui == "closed" and state.there:
        yield "UI: loads", replace(state, ui="open", known_to_ui=state.version, form=(state.marked, state.announced))
    elif state.ui == "open":
        if not state.there or state.version != state.known_to_ui:
            yield "UI: conflict", replace(state, ui="over")
        else:
            marked, announced = (False, False) if variant.ui_drops_annotations else state.form
            yield "UI: saves", state.write(marked=marked, announced=announced, ui="over")


def steps(state: State, variant: Variant) -> typing.Iterator[Step]:
    yield from delete(state, variant)
    yield from use(state, variant)
    if variant.ui_saves:
        yield from save(state, variant)
    if state.policy == "written":
        yield "the API server reads the list", replace(state, policy="seen")


def violated(state: State) -> typing.Iterator[str]:
    """Yield the violated invariants."""
    if state.referred and not state.there:
        yield DANGLING
    if state.there and state.deleter == "remove" and state.version == state.known_to_deleter and not state.marked:
        yield UNMARKED
    if state.there and state.deleter == "over" and state.user == "over" and (state.marked or state.announced):
        yield LEFT_OVER


def explore(variant: Variant):
    """Return the number of states, and the shortest path to each violation."""
    first = State()
    came_from: dict = {first: None}
    waiting = deque([first])
    violations: dict = {}
    while waiting:
        state = waiting.popleft()
        for violation in violated(state):
            violations.setdefault(violation, path_to(state, came_from))
        for label, after in steps(state, variant):
            if after not in came_from:
                came_from[after] = (state, label)
                waiting.append(after)
    return len(came_from), violations


def path_to(state: State, came_from: dict) -> list:
    labels: list = []
    while came_from[state]:
        state, label = came_from[state]
        labels.insert(0, label)
    return labels


SAFE = {
    "the guard and its settle time, against any client": Variant(guard=True, settle=True),
    "the guard, with a save in the UI": Variant(guard=True, settle=True, ui_saves=True),
    "two runs of this collection, without a guard": Variant(announces=True),
    "two runs of this collection, with a save in the UI": Variant(announces=True, ui_saves=True),
    "two runs of this collection, with a guard": Variant(guard=True, settle=True, announces=True, ui_saves=True),
}
UNSAFE = {
    "any client, without a guard": Variant(),
    "the guard without its settle time": Variant(guard=True),
    "two runs of this collection, if the UI dropped their annotations": Variant(
        announces=True, ui_saves=True, ui_drops_annotations=True
    ),
}

if __name__ == "__main__":
    for name, variant in {**SAFE, **UNSAFE}.items():
        count, found = explore(variant)
        print(f"{name}: {count} states, {'no violation' if not found else ''}")
        for violation, path in found.items():
            print(f"    {violation}:\n        " + "\n        ".join(path))
