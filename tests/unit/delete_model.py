# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every interleaving of a delete with somebody who begins to use the credential, and with a save in Rancher's UI.

Each participant may stop between any two of its steps for as long as it likes. Kubernetes gives three things: a write that names a
resourceVersion fails if there was another one since; a list is consistent; an admission policy decides before the object is stored, by a
list of names that reaches the API server some time after it was written.

    python3 tests/unit/delete_model.py
"""

from __future__ import annotations

import typing
from collections import deque
from dataclasses import dataclass, replace

DANGLING = "something refers to a credential that is gone"
UNMARKED = "the credential is not marked while it is being deleted"
LEFT_OVER = "a mark is left on a credential that stays"


@dataclass(frozen=True)
class Variant:
    """What protects: the policies of the guard, waiting for the settle time, the user's announcement; and what the UI does."""

    guard: bool = False
    settle: bool = False
    announces: bool = False
    ui_saves: bool = False
    ui_drops_marks: bool = False


@dataclass(frozen=True)
class World:
    """The cluster and how far everybody is. ``version`` counts writes to the Secret."""

    there: bool = True
    version: int = 0
    condemned: bool = False
    announced: bool = False
    referred: bool = False
    policy: str = "off"  # then "written", then "seen" by the API server
    deleter: str = "look"
    known_to_deleter: int = -1
    user: str = "begin"
    known_to_user: int = -1
    ui: str = "closed"
    known_to_ui: int = -1
    form: tuple = ()     # marks as the UI loaded them

    def write(self, **changes):
        """The world after a write to the Secret."""
        return replace(self, version=self.version + 1, **changes)


Step = typing.Tuple[str, World]


def delete(world: World, variant: Variant) -> typing.Iterator[Step]:
    """A run of cloud_credential with state absent, as _manage_credentials has it."""
    at = world.deleter
    if at == "look":
        yield "delete: looks for references", replace(world, deleter="over" if world.referred else "condemn")
    elif at == "condemn":
        if world.announced:
            yield "delete: sees an announcement", replace(world, deleter="over")
        else:  # reads and writes until nobody came between
            after = world.write(condemned=True, deleter="policy" if variant.guard else "look again")
            yield "delete: condemns", replace(after, known_to_deleter=after.version)
    elif at == "policy":
        yield "delete: writes the name on the list", replace(world, policy="written", deleter="probe")
    elif at == "probe" and world.policy == "seen":
        yield "delete: the probe is denied", replace(world, deleter="settle" if variant.settle else "look again")
    elif at == "settle" and world.user != "admitted":  # longer than a request takes that was let in before
        yield "delete: the settle time is over", replace(world, deleter="look again")
    elif at == "look again":
        yield "delete: looks again", replace(world, deleter="reprieve" if world.referred else "remove")
    elif at == "remove":
        if world.version == world.known_to_deleter:
            yield "delete: removes", replace(world, there=False, deleter="over")
        elif not world.there:
            yield "delete: it is gone", replace(world, deleter="over")
        elif world.condemned:  # somebody else wrote; our mark stands, so nobody of ours has announced anything
            yield "delete: reads again", replace(world, known_to_deleter=world.version)
        else:
            yield "delete: the mark is gone", replace(world, deleter="reprieve")
    elif at == "reprieve":
        yield "delete: gives up", world.write(condemned=False, policy="off", deleter="over")


def use(world: World, variant: Variant) -> typing.Iterator[Step]:
    """Somebody creates an object that refers to the credential: a run of node_template if it announces itself, else anybody."""
    at = world.user
    if at == "begin":
        if not world.there or variant.announces and world.condemned:
            yield "user: refused", replace(world, user="over")
        else:
            yield "user: has read the credential", replace(world, user="announce" if variant.announces else "send", known_to_user=world.version)
    elif at == "announce":
        if world.there and world.version == world.known_to_user:
            yield "user: announces", world.write(announced=True, user="send")
        else:
            yield "user: begins anew", replace(world, user="begin")
    elif at == "send":
        denied = "withdraw" if variant.announces else "over"
        yield "user: sends", replace(world, user=denied if world.policy == "seen" else "admitted")
    elif at == "admitted":
        yield "user: is stored", replace(world, referred=True, user="withdraw" if variant.announces else "over")
    elif at == "withdraw":
        yield "user: takes the announcement back", world.write(announced=False, user="over") if world.there else replace(world, user="over")


def save(world: World, variant: Variant) -> typing.Iterator[Step]:
    """Somebody opens the credential in Rancher's UI and saves it, with the annotations that the form was loaded with or that it keeps."""
    if world.ui == "closed" and world.there:
        yield "UI: loads", replace(world, ui="open", known_to_ui=world.version, form=(world.condemned, world.announced))
    elif world.ui == "open":
        if not world.there or world.version != world.known_to_ui:
            yield "UI: conflict", replace(world, ui="over")
        else:
            condemned, announced = (False, False) if variant.ui_drops_marks else world.form
            yield "UI: saves", world.write(condemned=condemned, announced=announced, ui="over")


def steps(world: World, variant: Variant) -> typing.Iterator[Step]:
    yield from delete(world, variant)
    yield from use(world, variant)
    if variant.ui_saves:
        yield from save(world, variant)
    if world.policy == "written":
        yield "the API server sees the list", replace(world, policy="seen")


def wrong(world: World) -> typing.Iterator[str]:
    """The invariants that do not hold."""
    if world.referred and not world.there:
        yield DANGLING
    if world.there and world.deleter == "remove" and world.version == world.known_to_deleter and not world.condemned:
        yield UNMARKED
    if world.there and world.deleter == "over" and world.user == "over" and (world.condemned or world.announced):
        yield LEFT_OVER


def explore(variant: Variant):
    """The number of states, and for each violation the shortest way to it."""
    first = World()
    came_from: dict = {first: None}
    waiting = deque([first])
    violations: dict = {}
    while waiting:
        world = waiting.popleft()
        for violation in wrong(world):
            violations.setdefault(violation, way_to(world, came_from))
        for label, after in steps(world, variant):
            if after not in came_from:
                came_from[after] = (world, label)
                waiting.append(after)
    return len(came_from), violations


def way_to(world: World, came_from: dict) -> list:
    labels: list = []
    while came_from[world]:
        world, label = came_from[world]
        labels.insert(0, label)
    return labels


SAFE = {
    "the guard and its settle time, against anybody": Variant(guard=True, settle=True),
    "the guard, with a save in the UI": Variant(guard=True, settle=True, ui_saves=True),
    "two runs of ours, without a guard": Variant(announces=True),
    "two runs of ours, with a save in the UI": Variant(announces=True, ui_saves=True),
    "two runs of ours, with a guard": Variant(guard=True, settle=True, announces=True, ui_saves=True),
}
UNSAFE = {
    "anybody, without a guard": Variant(),
    "the guard without its settle time": Variant(guard=True),
    "two runs of ours, if the UI dropped their marks": Variant(announces=True, ui_saves=True, ui_drops_marks=True),
}

if __name__ == "__main__":
    for what, variant in {**SAFE, **UNSAFE}.items():
        count, found = explore(variant)
        print(f"{what}: {count} states, {'no violation' if not found else ''}")
        for violation, way in found.items():
            print(f"    {violation}:\n        " + "\n        ".join(way))
