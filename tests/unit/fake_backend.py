# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake backend in memory, to explore the interleavings of several runs of the real protocol.

Each call is one atomic step. Any run may be killed before or after any step, replies may be lost, and another client
may write the credential at any moment. Real API servers and real cloud providers are tested elsewhere.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace

from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.decisions import RotationRequest
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.protocol import (
    Conflict,
    RotationProtocol,
    Snapshot,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import (
    CredentialSnapshot,
    RotationRecord,
    StoredGeneration,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import Issuer, IssuerError, Key

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
PROVIDER_CALLS = ("issue", "activate", "disable", "enable", "delete")
FOREIGN_KEY = "foreign"  # a key that another client wrote


class Listed(Issuer):
    """An issuer like AWS: two keys at once, which can be listed and disabled."""

    fields = ("id", "secret")
    limit = 2

    def key_id(self, values):
        return values["id"]


class Single(Listed):
    """An issuer like a password: one value, which the issuer creates itself."""

    lists = disables = False
    limit = 1
    write_ahead = True


@dataclass
class SharedState:
    """The state that all runs share: the cluster and the provider. Keys are named k1, k2, …; the secret of kN is sN."""

    members: int = 1
    issuer: type = Listed

    def __post_init__(self):
        self.provider = {"k1": [True, START - datetime.timedelta(days=90)]}
        self.accepted = "k1"  # with a single value
        self.keys = 1
        self.generations = {}
        self.record, self.record_version = None, 0
        self.time = START
        self.credentials = [
            CredentialSnapshot(f"cc-{number}", f"uid-{number}", "1", None, pair(1), pair(1))
            for number in range(self.members)
        ]

    @property
    def blank(self):
        return RotationRecord(
            "rotation",
            tuple((credential.id, credential.uid) for credential in self.credentials),
            "fake",
            "fake",
            self.issuer.fields,
        )

    def works(self, key):
        if self.issuer is Single:
            return key in (self.accepted, FOREIGN_KEY)
        return key == FOREIGN_KEY or self.provider.get(key, [False])[0]

    def save(self, values=None):
        """Another client writes the first credential, with or without a new value."""
        credential = self.credentials[0]
        values = values or credential.values
        self.credentials[0] = replace(
            credential, values=values, digests=values, resource_version=str(int(credential.resource_version) + 1)
        )

    def lose_token(self):
        credential = self.credentials[0]
        self.credentials[0] = replace(
            credential, token=None, resource_version=str(int(credential.resource_version) + 1)
        )


def pair(number):
    return {"id": f"k{number}", "secret": f"s{number}"}


class FakeRun:
    """A run, which makes one call of the protocol at a time."""

    def __init__(self, shared, state, token, **options):
        self.shared = shared
        settings = {"rotation_id": "r1", "default_grace": 0, "default_soak": 0, **options}
        self.protocol = RotationProtocol(RotationRequest(state, token, **settings), shared.issuer({}), shared.blank)
        self.steps = self.protocol.run()
        self.call = next(self.steps)
        self.outcome = self.error = None

    @property
    def ended(self):
        return self.call is None

    def advance(self, lose=False):
        """Make the next call. If its reply is lost, it is made and fails as the real call would."""
        answer = error = None
        try:
            answer = getattr(self, f"_{self.call.name}")(*self.call.arguments)
        except Exception as problem:  # pylint: disable=broad-except
            error = problem
        if lose and error is None:
            if self.call.name in PROVIDER_CALLS:
                error = IssuerError("unreachable", "lost")
            elif self.call.name in ("write_credential", "write_record"):
                error = Conflict()  # the repeat of a write that had arrived
        try:
            self.call = self.steps.throw(error) if error else self.steps.send(answer)
        except StopIteration as end:
            self.call, self.outcome = None, end.value
        except (RanchhandError, IssuerError) as problem:
            self.call, self.error = None, problem

    # the calls

    def _read_snapshot(self):
        return Snapshot(self.shared.record, self.shared.record_version, tuple(self.shared.credentials))

    def _now(self):
        self.shared.time += datetime.timedelta(seconds=1)
        return self.shared.time

    def _sleep(self, seconds):
        self.shared.time += datetime.timedelta(seconds=seconds)

    def _preflight(self, credentials):
        if not self.shared.works(credentials[0].values["id"]):
            raise RanchhandError("unusable", "the current key does not work")

    def _take_lease(self):
        return False  # a lease may expire at any moment, so it keeps no run out here

    def _write_credential(self, credential, token, values):
        number = int(credential.id.rpartition("-")[2])
        if self.shared.credentials[number].resource_version != credential.resource_version:
            raise Conflict
        written = values or credential.values
        self.shared.credentials[number] = replace(
            credential,
            token=token,
            values=written,
            digests=written,
            resource_version=str(int(credential.resource_version) + 1),
        )
        return self.shared.credentials[number]

    def _write_record(self, record, stored):
        if stored != self.shared.record_version:
            raise Conflict
        self.shared.record = RotationRecord.from_json(record.to_json())
        self.shared.record_version += 1
        return self.shared.record_version

    def _store_generation(self, name, record, epoch, values):
        return self.shared.generations.setdefault(name, StoredGeneration(name, name, epoch, dict(values), dict(values)))

    def _list_generations(self, record):
        return list(self.shared.generations.values())

    def _delete_generation(self, generation):
        self.shared.generations.pop(generation.name, None)

    def _evaluate_gates(self, record):
        return []

    def _gate_states(self):
        return {}

    def _signed_in(self, by):
        if not self.shared.works(by["id"]):
            raise IssuerError("refused", "the key to sign in with does not work")

    def _keys(self, by):
        self._signed_in(by)
        return [Key(name, enabled, created_at) for name, (enabled, created_at) in self.shared.provider.items()]

    def _issue(self, by):
        shared = self.shared
        if shared.issuer is Listed:
            self._signed_in(by)
            if len(shared.provider) >= 2:
                raise IssuerError("limit", "two keys")
        shared.keys += 1
        if shared.issuer is Listed:
            shared.provider[f"k{shared.keys}"] = [True, shared.time]
        return pair(shared.keys)

    def _activate(self, values, by):
        self._signed_in(by)
        self.shared.accepted = values["id"]

    def _verify(self, values, by):
        if not self.shared.works(values["id"]):
            raise IssuerError("refused", "does not work")

    def _disable(self, key, by):
        self._signed_in(by)
        if key in self.shared.provider:
            self.shared.provider[key][0] = False

    def _enable(self, key, by):
        self._signed_in(by)
        if key not in self.shared.provider:
            raise IssuerError("refused", "gone")
        self.shared.provider[key][0] = True

    def _delete(self, key, by):
        self._signed_in(by)
        self.shared.provider.pop(key, None)


def finish(run, limit=500):
    """Execute a run to its end without interruption."""
    for _step in range(limit):
        if run.ended:
            return run
        run.advance()
    raise AssertionError("a run does not end")
