# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of a management cluster and a cloud in memory, to go through the interleavings of several runs of the real protocol.

As in models/rotation_model.py each call is one atomic step, any participant may be killed before or after any step, replies get lost, a
person saves the credential at any moment. What a real API server and real clouds do is tested elsewhere.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace

from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.protocol import (
    Conflict,
    RotationProtocol,
    RotationRequest,
    Snapshot,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import (
    CredentialSnapshot,
    RotationRecord,
    StoredGeneration,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import Issuer, IssuerError, Key

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
IN_CLOUD = ("issue", "activate", "disable", "enable", "delete")
PERSON = "person"  # a key that somebody typed in


class Listed(Issuer):
    """As AWS: two keys at once, which can be listed and switched off."""

    fields = ("id", "secret")
    limit = 2

    def key_id(self, values):
        return values["id"]


class Single(Listed):
    """As a password: one value, which is made here."""

    lists = disables = False
    limit = 1
    write_ahead = True


@dataclass
class Shared:
    """What all participants see. Keys are named k1, k2, …; the secret of kN is sN."""

    members: int = 1
    issuer: type = Listed

    def __post_init__(self):
        self.cloud = {"k1": [True, START - datetime.timedelta(days=90)]}
        self.accepted = "k1"  # with a single value
        self.keys = 1
        self.versions = {}
        self.record, self.record_version = None, 0
        self.time = START
        self.lives = [
            CredentialSnapshot(f"cc-{number}", f"uid-{number}", "1", None, pair(1), pair(1)) for number in range(self.members)
        ]

    @property
    def blank(self):
        return RotationRecord("rotation", tuple((one.id, one.uid) for one in self.lives), "fake", "fake", self.issuer.fields)

    def works(self, key):
        if self.issuer is Single:
            return key in (self.accepted, PERSON)
        return key == PERSON or self.cloud.get(key, [False])[0]

    def save(self, values=None):
        """Somebody saves the first credential by other means, with or without a new value."""
        live = self.lives[0]
        values = values or live.values
        self.lives[0] = replace(live, values=values, digests=values, resource_version=str(int(live.resource_version) + 1))

    def lose_token(self):
        live = self.lives[0]
        self.lives[0] = replace(live, token=None, resource_version=str(int(live.resource_version) + 1))


def pair(number):
    return {"id": f"k{number}", "secret": f"s{number}"}


class Participant:
    """One run, which makes one call of the protocol at a time."""

    def __init__(self, shared, state, token, **goal):
        self.shared = shared
        settings = {"rotation_id": "r1", "default_grace": 0, "default_soak": 0, **goal}
        self.protocol = RotationProtocol(RotationRequest(state, token, **settings), shared.issuer({}), shared.blank)
        self.steps = self.protocol.go()
        self.call = next(self.steps)
        self.outcome = self.error = None

    @property
    def ended(self):
        return self.call is None

    def advance(self, lose=False):
        """Make the call that is due. A lost reply: it is made, and told as failed in the way that the real one would be."""
        answer = error = None
        try:
            answer = getattr(self, f"_{self.call.name}")(*self.call.arguments)
        except Exception as problem:  # pylint: disable=broad-except
            error = problem
        if lose and error is None:
            if self.call.name in IN_CLOUD:
                error = IssuerError("unreachable", "lost")
            elif self.call.name in ("mark", "put"):
                error = Conflict()  # the repeat of a write that had arrived
        try:
            self.call = self.steps.throw(error) if error else self.steps.send(answer)
        except StopIteration as end:
            self.call, self.outcome = None, end.value
        except (RanchhandError, IssuerError) as problem:
            self.call, self.error = None, problem

    # the calls

    def _look(self):
        return Snapshot(self.shared.record, self.shared.record_version, tuple(self.shared.lives))

    def _now(self):
        self.shared.time += datetime.timedelta(seconds=1)
        return self.shared.time

    def _sleep(self, seconds):
        self.shared.time += datetime.timedelta(seconds=seconds)

    def _preflight(self, lives):
        if not self.shared.works(lives[0].values["id"]):
            raise RanchhandError("unusable", "the current key does not work")

    def _lease(self):
        return False  # it may expire at any moment, so it stops nobody here

    def _mark(self, live, token, values):
        number = int(live.id.rpartition("-")[2])
        if self.shared.lives[number].resource_version != live.resource_version:
            raise Conflict
        fresh = values or live.values
        self.shared.lives[number] = replace(
            live, token=token, values=fresh, digests=fresh, resource_version=str(int(live.resource_version) + 1))
        return self.shared.lives[number]

    def _put(self, record, stored):
        if stored != self.shared.record_version:
            raise Conflict
        self.shared.record = RotationRecord.from_json(record.to_json())
        self.shared.record_version += 1
        return self.shared.record_version

    def _keep(self, name, record, epoch, values):
        return self.shared.versions.setdefault(name, StoredGeneration(name, name, epoch, dict(values), dict(values)))

    def _versions(self, record):
        return list(self.shared.versions.values())

    def _drop(self, version):
        self.shared.versions.pop(version.name, None)

    def _waiting_for(self, record):
        return []

    def _gates(self):
        return {}

    def _signed_in(self, by):
        if not self.shared.works(by["id"]):
            raise IssuerError("refused", "the key to sign in with does not work")

    def _keys(self, by):
        self._signed_in(by)
        return [Key(name, enabled, created_at) for name, (enabled, created_at) in self.shared.cloud.items()]

    def _issue(self, by):
        shared = self.shared
        if shared.issuer is Listed:
            self._signed_in(by)
            if len(shared.cloud) >= 2:
                raise IssuerError("limit", "two keys")
        shared.keys += 1
        if shared.issuer is Listed:
            shared.cloud[f"k{shared.keys}"] = [True, shared.time]
        return pair(shared.keys)

    def _activate(self, values, by):
        self._signed_in(by)
        self.shared.accepted = values["id"]

    def _verify(self, values, by):
        if not self.shared.works(values["id"]):
            raise IssuerError("refused", "does not work")

    def _disable(self, key, by):
        self._signed_in(by)
        if key in self.shared.cloud:
            self.shared.cloud[key][0] = False

    def _enable(self, key, by):
        self._signed_in(by)
        if key not in self.shared.cloud:
            raise IssuerError("refused", "gone")
        self.shared.cloud[key][0] = True

    def _delete(self, key, by):
        self._signed_in(by)
        self.shared.cloud.pop(key, None)


def finish(participant, limit=500):
    """Let one run go to its end undisturbed."""
    for _step in range(limit):
        if participant.ended:
            return participant
        participant.advance()
    raise AssertionError("a run does not end")
