# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbooks declare, drawn from a seed, and the stored objects as the checks see them.

Each task has a token. It is the description of all objects that the task writes, so each version of an object names
the task that wrote it. The key of a credential belongs to its name and a generation, which several tasks share.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
import typing

from support.cluster import MODULE, decoded
from support.objects import ADMIN, ALICE, CREATOR

DRIVER = "amazonec2"
OWNERS = (ALICE, ADMIN, "u-mo773yttt4")
CANARY = "canaryofload"  # at the start of each secret value
TEMPLATE_MODULE = "ranchhand.rancher.node_template"
CREDENTIAL, TEMPLATE = "credential", "node template"
MODULES = {CREDENTIAL: (MODULE, "credentials"), TEMPLATE: (TEMPLATE_MODULE, "node_templates")}
PRESENT, ABSENT, HAND_OVER, BY_ID = "present", "absent", "hand over", "update by id"
HOT = 8             # credentials that each playbook of a round changes
WINDOW = 240        # further credentials that a playbook changes some of
TEMPLATE_WINDOW = 24
PART = 6            # objects of a call that names ids, or credentials that node templates use
GENERATIONS = 3     # of keys in a round


class Record(typing.NamedTuple):
    """A version of a stored object; `content` is the access key, or the id of the credential that a template uses."""

    kind: str
    id: str
    version: int
    name: str
    owner: str
    token: str
    content: str
    secret: str
    marks: tuple


def parse(item):
    """Return the record of a Secret or NodeTemplate."""
    metadata = item["metadata"]
    annotations = metadata.get("annotations") or {}
    marks = tuple(sorted(key for key in annotations if key.startswith("ranchhand.")))
    common = {"id": metadata["name"], "version": int(metadata["resourceVersion"]), "owner": annotations.get(CREATOR),
              "marks": marks}
    if "data" in item:
        data = decoded(item)
        return Record(
            CREDENTIAL, name=annotations.get("field.cattle.io/name"),
            token=annotations.get("field.cattle.io/description"), content=data[f"{DRIVER}credentialConfig-accessKey"],
            secret=data[f"{DRIVER}credentialConfig-secretKey"], **common,
        )
    spec = item["spec"]
    return Record(
        TEMPLATE, name=spec["displayName"], token=spec.get("description"),
        content=spec.get("cloudCredentialName", "").partition(":")[2], secret="", **common,
    )


def access_key(name, generation):
    return f"AKIA{name.rpartition(' ')[2]}{generation:06d}"


def secret_key(public):
    """Return the secret that belongs to an access key."""
    return CANARY + hashlib.sha256(public.encode()).hexdigest()[:24]


@dataclasses.dataclass(frozen=True)
class Item:
    """An object that a task declares."""

    kind: str
    action: str
    name: str
    owner: str | None = None
    id: str | None = None
    content: str | None = None

    def options(self, token):
        """Return the options of the module."""
        if self.action == ABSENT:
            return {"name": self.name, "driver": DRIVER, "owner": self.owner, "state": "absent"}
        options: dict[str, typing.Any] = {"description": token}
        if self.id:
            options["id"] = self.id
        else:
            options.update(name=self.name, driver=DRIVER)
        if self.owner:
            options["owner"] = self.owner
        if self.kind == TEMPLATE:
            return {**options, "cloud_credential": self.content, "config": {"region": "eu-central-1"}}
        return {**options, "config": {"accessKey": self.content}, "secrets": {"secretKey": secret_key(self.content)}}


@dataclasses.dataclass
class Task:
    """A call of a module; `begin` and `end` are versions of the cluster between which its playbook ran."""

    token: str
    kind: str
    items: dict  # by name
    begin: int = 0
    end: int = 0
    result: dict = dataclasses.field(default_factory=dict)

    def play(self, number):
        """Return the task, and its variable."""
        module, option = MODULES[self.kind]
        variable = f"items_{number}"
        return (
            {"name": self.token, module: {option: "{{ %s }}" % variable}},
            {variable: [item.options(self.token) for item in self.items.values()]},
        )

    def outcomes(self):
        """Yield each item with its result; None if the call failed as a whole."""
        shown = self.result.get(MODULES[self.kind][1]) or [None] * len(self.items)
        yield from zip(self.items.values(), shown)


class Fleet:
    """The names of all objects, and the draws of what playbooks do with them."""

    def __init__(self, size, seed):
        self.seed = seed
        self.names = [f"load {number:04d}" for number in range(size)]
        # Node templates need a credential of their owner, so these are not handed over.
        self.referable = self.names[::5]
        self.owners = {name: OWNERS[number % len(OWNERS)] for number, name in enumerate(self.names)}
        self.owners.update(dict.fromkeys(self.referable, ALICE))
        self.used_by_clusters = self.referable[: max(1, size // 200)]
        self.templates = [f"template {number:04d}" for number in range(max(4, size // 10))]

    def tasks_of_round(self, number, playbooks, stored):
        """Return the tasks of each playbook; `stored` maps kind and name to the record.

        In a round, a credential is either handed over or may be created, as two owners may have one of the same name.
        """
        chance = random.Random(f"{self.seed}/{number}")
        self._round, self._stored, self._chance = number, stored, chance
        handed_over = {
            name for name in self.names
            if name not in self.referable and (CREDENTIAL, name) in stored and chance.random() < 0.4
        }
        hot = chance.sample(self.names, min(HOT, len(self.names) // 2))
        return [self._tasks(f"{number:03d}.{playbook:02d}", hot, handed_over) for playbook in range(playbooks)]

    def _tasks(self, stem, hot, handed_over):
        chance = self._chance
        generation = self._round * GENERATIONS + chance.randrange(GENERATIONS)
        declared = [
            self._credential(name, generation, name in handed_over)
            for name in dict.fromkeys(hot + _window(chance, self.names, WINDOW))
        ]
        declared += [self._template(name) for name in _window(chance, self.templates, TEMPLATE_WINDOW)]
        calls: dict = {}
        for item in filter(None, declared):
            calls.setdefault((item.kind, item.action == ABSENT, item.id is not None), []).append(item)
        found = []
        for (kind, absent, by_id), items in calls.items():
            # An object that is gone lets the call fail that uses its id.
            part = PART if by_id or kind == TEMPLATE and not absent else len(items)
            found += [(kind, items[start : start + part]) for start in range(0, len(items), part)]
        chance.shuffle(found)
        return [
            Task(f"{stem}.{number}", kind, {item.name: item for item in items})
            for number, (kind, items) in enumerate(found)
        ]

    def _credential(self, name, generation, handed_over):
        draw = self._chance.random()
        key = access_key(name, generation)
        record = self._stored.get((CREDENTIAL, name))
        owner = record.owner if record else self.owners[name]
        if not record:
            if draw < 0.6:
                return Item(CREDENTIAL, PRESENT, name, owner, content=key)
            return Item(CREDENTIAL, ABSENT, name, owner) if draw < 0.7 else None
        if handed_over:
            if draw < 0.25:
                return Item(CREDENTIAL, HAND_OVER, name, self._chance.choice(OWNERS), record.id, key)
            if draw < 0.4:
                return Item(CREDENTIAL, BY_ID, name, None, record.id, key)
            return Item(CREDENTIAL, ABSENT, name, owner) if draw < 0.46 else None
        if draw < 0.35:
            return Item(CREDENTIAL, PRESENT, name, owner, content=key)
        return Item(CREDENTIAL, ABSENT, name, owner) if draw < 0.5 else None

    def _template(self, name):
        """Declare that a node template uses a credential that exists, by its id or name."""
        draw = self._chance.random()
        existing = [self._stored[CREDENTIAL, used] for used in self.referable if (CREDENTIAL, used) in self._stored]
        if draw < 0.5 and existing:
            record = self._chance.choice(existing)
            content = record.name if draw < 0.15 else f"cattle-global-data:{record.id}"
            return Item(TEMPLATE, PRESENT, name, ALICE, content=content)
        return Item(TEMPLATE, ABSENT, name, ALICE) if draw > 0.8 else None

    def complete(self, stored):
        """Return the tasks that declare all objects, with the owners that they have."""
        credentials = {}
        for name in self.names:
            record = stored.get((CREDENTIAL, name))
            owner = record.owner if record else self.owners[name]
            credentials[name] = Item(CREDENTIAL, PRESENT, name, owner, content=access_key(name, 999999))
        templates = {
            name: Item(TEMPLATE, PRESENT, name, ALICE, content=self.referable[number % len(self.referable)])
            for number, name in enumerate(self.templates)
        }
        return [Task("complete.0", CREDENTIAL, credentials), Task("complete.1", TEMPLATE, templates)]


def _window(chance, names, size):
    """Return a slice that wraps around."""
    start = chance.randrange(len(names))
    return (names + names)[start : start + min(size, len(names))]
