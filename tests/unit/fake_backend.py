# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake backend in memory, to explore the interleavings of several runs of the real protocol, and of people.

Each call is one atomic step. Any run may be killed before or after any step, replies may be lost, and people may act
between any two steps (people.py). Real API servers and real cloud providers are tested elsewhere.
"""

from __future__ import annotations

import collections
import datetime
from dataclasses import dataclass, replace

from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation import gates
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.decisions import RotationRequest
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.external_stores import (
    StoreSnapshot,
    external_store_gate,
    names_in_store,
    values_in_store,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.protocol import (
    Conflict,
    RotationProtocol,
    Snapshot,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.record import (
    DELETING,
    DISABLED,
    CredentialSnapshot,
    RotationRecord,
    StoredGeneration,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._stores.interface import StoreChanged, StoreContent
from ansible_collections.ranchhand.rancher.plugins.module_utils.issuer import IssuedKey, Issuer, IssuerError, Key

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
PROVIDER_CALLS = ("issue", "activate", "disable", "enable", "delete")
FOREIGN_KEY = "foreign"  # a key that another client wrote
WINDOW = 9  # calls from the first proof of a step to the step
CONFIRMED = 2  # calls from the last read of the credentials to the call of the provider


class Listed(Issuer):
    """An issuer like AWS: two keys at once, which can be listed and disabled, signed with the key itself."""

    fields = ("id", "secret")
    limit = 2
    reports_last_use = True
    lists_disabled = True

    def key_id(self, values):
        return values["id"]


class Admin(Listed):
    """As Listed, but an administrator signs in, perhaps of another account."""


class Owner(Admin):
    """As Admin, of the right account, and the user is the owner of the key in the credential."""


class Bound(Listed):
    """As Listed, but keys cannot be disabled, and there may be many, like tokens of ServiceAccounts."""

    disables = False
    limit = 9


class Single(Listed):
    """An issuer like a password: one value, which the issuer creates itself."""

    lists = disables = False
    limit = 1
    generates_locally = replaces_current = True


class Opaque(Listed):
    """As Listed, but only the provider knows which key a value is, as for secrets of Microsoft Entra."""

    def key_id(self, values):
        return None

    def identify(self, values, by):
        return values["id"]


class Marked(Listed):
    """As Listed, but the provider keeps marks, and does not report the last use."""

    marks = True
    reports_last_use = False


class Local(Listed):
    """As Listed, but keys are created here, and activated in addition to the current one."""

    generates_locally = True


class Unknown(Listed):
    """As Listed, but values do not contain the id of a key, and the provider keeps marks and reports no id."""

    marks = True
    reports_last_use = False

    def key_id(self, values):
        return None

    def identify(self, values, by):
        return None


class Locking(Single):
    """As Single, but the account locks after one failure."""

    verify_attempts = 1


class Ending(Bound):
    """As Bound, but the old key ends when the new one is written to the credential."""

    old_key_ends_at_cutover = True


class Given(Listed):
    """An issuer of values that the playbook supplies."""

    lists = disables = False
    limit = None

    def next_values(self):
        return self.options.get("values")


@dataclass
class ProviderKey:
    """A key at the provider; ``creator`` is ``start``, ``run``, ``person``, or ``lost``: a run's that nothing names."""

    enabled: bool = True
    created_at: datetime.datetime = START - datetime.timedelta(days=90)
    last_used: datetime.datetime | None = None
    account: str = "a"
    creator: str = "start"
    mark: str | None = None


@dataclass
class SharedState:
    """The state that all runs share: the cluster and the provider. Keys are named k1, k2, …"""

    members: int = 1
    issuer: type = Listed

    def __post_init__(self):
        self.provider = {"k1": ProviderKey()}
        self.accepted = "k1"  # with a single value
        self.keys = 1
        self.generations = {}
        self.record, self.record_version = None, 0
        self.time = START
        self.provider_clock = 0  # seconds that the clock of the provider is ahead
        self.late = set()        # keys that were disabled, which the provider accepts for a while
        self.denied = set()      # keys that are enabled, but do not sign in
        self.refusals = []       # codes of the next requests that change something
        self.ignored = 0         # number of the next requests that are answered, but have no effect
        self.acts = 0            # of people
        self.stores = {}         # version and fields of external stores, by name
        self.operator = None     # the tool that writes the credentials from a store
        self.leaders = {}        # who rotates the key of a credential of another Rancher, by the name of the store
        self.unreachable = set()  # external stores that cannot be read or written
        self.violation = None
        self.credentials = [
            CredentialSnapshot(f"cc-{number}", f"uid-{number}", "1", None, pair(1), pair(1))
            for number in range(self.members)
        ]

    @property
    def existing(self):
        return [credential for credential in self.credentials if credential]

    @property
    def blank(self):
        return RotationRecord(
            "rotation",
            tuple((f"cc-{number}", each.uid if each else "gone") for number, each in enumerate(self.credentials)),
            "fake",
            "fake",
            self.issuer.fields,
        )

    @property
    def provider_time(self):
        return self.time + datetime.timedelta(seconds=self.provider_clock)

    def works(self, key):
        if self.issuer.replaces_current:
            return key in (self.accepted, FOREIGN_KEY)
        return key == FOREIGN_KEY or key in self.provider and self.provider[key].enabled and key not in self.denied

    def signs_in(self, values):
        key = values["id"]
        return self.works(key) and (key == FOREIGN_KEY or values["secret"] == pair(key[1:])["secret"])

    def accepts(self, values):
        return values["id"] in self.late or self.signs_in(values)

    def write(self, number, **changes):
        """Another client writes a credential."""
        credential = self.credentials[number]
        self.credentials[number] = replace(
            credential, **changes, resource_version=str(int(credential.resource_version) + 1))

    def save(self, values=None):
        values = values or self.credentials[0].values
        self.write(0, values=values, digests=values)

    def lose_token(self):
        self.write(0, token=None)

    def add_key(self, creator, account="a"):
        self.keys += 1
        self.provider[f"k{self.keys}"] = ProviderKey(True, self.provider_time, None, account, creator)
        return f"k{self.keys}"

    def count(self, account="a"):
        return sum(key.account == account for key in self.provider.values())


def pair(number):
    return {"id": f"k{number}", "secret": f"secret-{number}"}


def issued(values):
    return IssuedKey(dict(values), values["id"])


class FakeRun:
    """A run, which makes one call of the protocol at a time."""

    leader = "here"  # what identifies its Rancher in others

    def __init__(self, shared, state, token, invariants=None, account="a", clock=0, supplied=None,
                 override=False, **options):
        self.shared = shared
        self.invariants = invariants
        self.account = account
        self.clock = datetime.timedelta(seconds=clock)
        self.override = override  # of the gate last_used
        self.acts = collections.deque(maxlen=2 * WINDOW)  # of people, at the latest calls of this run
        self.performed = []
        self.refused = collections.Counter()
        settings = {"rotation_id": "r1", "default_grace": 0, "default_soak": 0, **options}
        issuer = shared.issuer({"values": supplied} if supplied else {})
        self.protocol = RotationProtocol(RotationRequest(state, token, **settings), issuer, shared.blank)
        self.steps = self.protocol.run()
        self.call = next(self.steps)
        self.outcome = self.error = None

    @property
    def ended(self):
        return self.call is None

    @property
    def undisturbed(self):
        """Whether people did nothing since the proof of the step that is being made."""
        return self.undisturbed_for(WINDOW)

    def undisturbed_for(self, calls):
        """Whether people did nothing during the latest calls of this run."""
        return not self.shared.acts or len(self.acts) >= calls and self.acts[-calls] == self.shared.acts

    def advance(self, lose=False):
        """Make the next call. If its reply is lost, it is made and fails as the real call would."""
        self.acts.append(self.shared.acts)
        answer = error = None
        if self.shared.operator:
            self.shared.operator.act()
        try:
            if self.invariants:
                self.invariants.before(self)
            answer = getattr(self, f"_{self.call.name}")(*self.call.arguments)
            if self.call.name in PROVIDER_CALLS or self.call.name == "write_credential" and self.call.arguments[2]:
                self.performed.append(self.call.name)
        except Exception as problem:  # pylint: disable=broad-except
            error = problem
        if lose and error is None:
            if self.call.name in (*PROVIDER_CALLS, "write_store", "claim_store"):
                error = IssuerError("unreachable", "lost")
            elif self.call.name in ("write_credential", "write_record"):
                error = Conflict()  # the repeat of a write that had arrived
        try:
            self.call = self.steps.throw(error) if error else self.steps.send(answer)
        except StopIteration as end:
            self.call, self.outcome = None, end.value
        except (RanchhandError, IssuerError) as problem:
            self.call, self.error = None, problem
        if self.invariants and self.ended:
            self.invariants.ended(self)

    # the calls

    def _read_snapshot(self):
        return Snapshot(self.shared.record, self.shared.record_version, tuple(self.shared.credentials))

    def _now(self):
        self.shared.time += datetime.timedelta(seconds=1)
        return self.shared.time + self.clock

    def _sleep(self, seconds):
        self.shared.time += datetime.timedelta(seconds=seconds)

    def _preflight(self, credentials):
        if self.shared.issuer is not Given and not self.shared.accepts(credentials[0].values):
            raise RanchhandError("unusable", "the current key does not work")

    def _take_lease(self):
        return False  # a lease may expire at any moment, so it keeps no run out here

    def _write_credential(self, credential, token, values):
        number = int(credential.id.rpartition("-")[2])
        stored = self.shared.credentials[number]
        if stored is None or (stored.uid, stored.resource_version) != (credential.uid, credential.resource_version):
            raise Conflict
        if values and self.shared.issuer.old_key_ends_at_cutover and values["id"] != credential.values["id"]:
            self.shared.provider.pop(credential.values["id"], None)
        written = {**credential.values, **(values or {})}
        self.shared.write(number, token=token, values=written, digests=written)
        return self.shared.credentials[number]

    def _write_record(self, record, stored):
        if stored != self.shared.record_version or stored and self.shared.record is None:
            raise Conflict
        self.shared.record = RotationRecord.from_json(record.to_json()) if self.invariants is None else record
        self.shared.record_version += 1
        return self.shared.record_version

    def _delete_record(self, stored):
        if stored != self.shared.record_version:
            raise Conflict
        self.shared.record = None
        self.shared.record_version = 0

    def _store_generation(self, name, record, epoch, values, key_id=None, expires_at=None):
        key = self.shared.provider.get(values["id"])
        if key and key.creator == "lost":
            key.creator = "run"
        return self.shared.generations.setdefault(
            name, StoredGeneration(name, name, epoch, dict(values), dict(values), key_id, expires_at))

    def _identify(self, values, by):
        return self.protocol.issuer.identify(values, by)

    def _list_generations(self, record):
        return list(self.shared.generations.values())

    def _delete_generation(self, generation):
        self.shared.generations.pop(generation.name, None)

    def _find_store(self, settings):
        if settings["name"] in self.shared.unreachable:
            raise IssuerError("unreachable", f"external store {settings['name']} cannot be read")
        return self.shared.stores.get(settings["name"], (0, None))

    def _read_store(self, settings, of_another=False):
        version, stored = self._find_store(settings)
        content = StoreContent(stored, str(version))
        leader = self.shared.leaders.get(settings["name"])
        if leader not in (None, self.leader) and not of_another:
            raise RanchhandError("conflict", "another Rancher rotates its key")
        is_claimed = settings["type"] != "rancher" or leader == self.leader
        return StoreSnapshot(content, values_in_store(settings, self.protocol.blank.fields, content), is_claimed)

    def _changed_store(self, settings, snapshot):
        version, stored = self._find_store(settings)
        if snapshot.content.version != str(version):
            raise StoreChanged
        return version, stored

    def _claim_store(self, settings, snapshot):
        version, stored = self._changed_store(settings, snapshot)
        self.shared.stores[settings["name"]] = (version + 1, stored)
        self.shared.leaders[settings["name"]] = self.leader

    def _lead_credential(self, credential, lead):
        number = int(credential.id.rpartition("-")[2])
        stored = self.shared.credentials[number]
        if stored is None or (stored.uid, stored.resource_version) != (credential.uid, credential.resource_version):
            raise Conflict
        self.shared.write(number, leader="own" if lead else None)
        return self.shared.credentials[number]

    def _write_store(self, settings, snapshot, what, by):
        version, stored = self._changed_store(settings, snapshot)
        names = names_in_store(settings, self.protocol.blank.fields)
        fields = {key: by[name] for name, key in names.items()}
        self.shared.stores[settings["name"]] = (version + 1, {**(stored or {}), **fields})

    def _refresh(self):
        self.shared.operator.refresh()

    def _evaluate_gates(self, record):
        existing = self.shared.existing
        request = self.protocol.request
        if record.old_key.key is None:
            gate = gates.old_key_identity(record, request.current_key_id, request.old_key_removed)
            if gate.state != gates.OPEN:
                return [gate.detail]
        stores = []
        for each in record.external_stores:
            try:
                stores.append((each["name"], self._read_store(each).digests))
            except (IssuerError, RanchhandError) as error:
                stores.append((each["name"], error))
        closed = external_store_gate(record, stores)
        if stores and closed.state != gates.OPEN:
            return [closed.detail]
        if record.phase not in (DISABLED, DELETING) or self.override or not self.protocol.issuer.lists or not existing:
            return []
        keys = self._keys(existing[0].values)
        gate = gates.used_in_soak(keys, record)
        return [gate.detail] if gate.state != gates.OPEN else []

    def _gate_states(self):
        return {"grace": "over"}

    def _signed_in(self, by):
        """Return the account that signs in."""
        if self.shared.issuer is Owner and by["id"] not in self.shared.provider:
            raise IssuerError("forbidden", "cannot find the user of the key")
        if issubclass(self.shared.issuer, Admin):
            return self.account
        if not self.shared.accepts(by):
            raise IssuerError("refused", "the key to sign in with does not work")
        return self.shared.provider[by["id"]].account if by["id"] in self.shared.provider else "a"

    def _change(self, by):
        account = self._signed_in(by)
        if self.shared.refusals:
            raise IssuerError(self.shared.refusals.pop(0), "the provider refuses")
        return account

    def _keys(self, by):
        account = self._signed_in(by)
        return [
            Key(name, key.enabled, key.created_at, key.last_used, mark=key.mark)
            for name, key in self.shared.provider.items()
            if key.account == account and (key.enabled or self.shared.issuer.lists_disabled)
        ]

    def _issue(self, by, mark):
        shared = self.shared
        if shared.issuer is Given:
            return issued(self.protocol.issuer.next_values())
        if shared.issuer.generates_locally:
            shared.keys += 1
            return issued(pair(shared.keys))
        account = self._change(by)
        if shared.count(account) >= shared.issuer.limit:
            raise IssuerError("limit", "no more keys")
        is_recorded = shared.record is not None and shared.record.issuing_at is not None
        name = shared.add_key("run" if is_recorded else "lost", account)
        shared.provider[name].mark = mark if shared.issuer.marks else None
        return issued(pair(name[1:]))

    def _activate(self, values, by):
        account = self._change(by)
        self.refused.pop(values["id"], None)
        if self.shared.issuer.replaces_current:
            self.shared.accepted = values["id"]
        elif values["id"] not in self.shared.provider:
            if self.shared.count(account) >= self.shared.issuer.limit:
                raise IssuerError("limit", "no more keys")
            self.shared.provider[values["id"]] = ProviderKey(True, self.shared.provider_time, None, account, "run")

    def _verify(self, values, by):
        if self.shared.issuer is Given:
            return
        if not self.shared.accepts(values):
            self.refused[values["id"]] += 1
            raise IssuerError("refused", "does not work")
        if self.shared.issuer is Owner and values != by:
            self._signed_in(by)

    def _find(self, key, by):
        """Return a key of the account that signs in."""
        account = self._change(by)
        found = self.shared.provider.get(key)
        if found is None or found.account != account:
            raise IssuerError("invalid", f"the account has no key {key}")
        return found

    def _is_ignored(self):
        ignored = self.shared.ignored > 0
        self.shared.ignored -= ignored
        return ignored

    def _disable(self, key, by):
        found = self._find(key, by)
        if not self._is_ignored():
            found.enabled = False

    def _enable(self, key, by):
        self._find(key, by).enabled = True

    def _delete(self, key, by):
        if self.shared.issuer is not Given:
            self._find(key, by)
            if not self._is_ignored():
                del self.shared.provider[key]


def finish(run, limit=500):
    """Execute a run to its end without interruption."""
    for _step in range(limit):
        if run.ended:
            return run
        run.advance()
    raise AssertionError("a run does not end")
