# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What cloud_credential_rotation and cloud_credential_rotation_info do.

PRIVATE to the collection. They run on the controller only, as issuers of other collections can be loaded nowhere else.
"""

from __future__ import annotations

import datetime
import importlib
import re
import secrets as random_source
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from . import _gates as gates
from . import _observe as observe
from ._credential import EMPTY, Credential
from ._driver_schema import trim
from ._errors import ApiError, Mistakes, RanchhandError
from ._kubernetes import Api, name_in_path
from ._manage_credentials import credentials, wanted_by
from ._metadata import Users, check_id, check_name
from ._options import AUTH, Spec, call_and_item
from ._planning import told_together, wanted_items
from ._references import NAMESPACE, Index, Reference
from ._rotation import (
    ABORTED, DELETING, DISABLED, DISABLING, GRACE, IDLE, ISSUED, NEW, OLD, OTHER, PREPARING, RETIRED, ROLLED_BACK, ROTATED, TORN, Goal, Live, Outcome,
    Protocol, Record, Seen, run,
)
from ._rotation_world import ROTATED_AT, TOKEN, Lease, Namespace, World, digests
from ._run import Connect, Failed, Mode
from .issuer import Issuer, IssuerError, Key

RECORDS = "rancher-credential-rotation"

GATES = ("grace", "soak", "machine_jobs", "etcd_s3", "rke1_nodes", "rancher_version", "last_used", "confirmation", "other_writer")

_ITEM = Spec({
    "name": {"type": "str"},
    "id": {"type": "str"},
    "driver": {"type": "str"},
    "owner": {"type": "str"},
    "issuer": {"type": "str"},
    "issuer_options": {"type": "dict"},
    "issuer_secrets": {"type": "dict", "no_log": True},
    "config": {"type": "dict"},
    "secrets": {"type": "dict", "no_log": True},
    "state": {"type": "str", "choices": [ROTATED, RETIRED, ROLLED_BACK, ABORTED], "default": ROTATED},
    "max_age": {"type": "str"},
    "rotation_id": {"type": "str"},
    "reason": {"type": "str"},
    "grace": {"type": "str"},
    "soak": {"type": "str"},
    "drain": {"type": "str", "default": "60s"},
    "verify_timeout": {"type": "str", "default": "120s"},
    "on_verify_failure": {"type": "str", "choices": ["rollback", "stop"], "default": "rollback"},
    "orphan_policy": {"type": "str", "choices": ["evidence", "never"], "default": "evidence"},
    "shared_key": {"type": "str", "choices": ["refuse", "together"], "default": "refuse", "no_log": False},
    "pause_before_cutover": {"type": "bool", "default": False},
    "repair": {"type": "bool", "default": False},
    "old_key_removed": {"type": "bool", "default": False},
    "assume_dead": {"type": "bool", "default": False},
    "override_gates": {"type": "list", "elements": "str", "default": []},
})
_PER_CALL = tuple(name for name in _ITEM.options if name not in ("name", "id", "driver", "owner", "config", "secrets"))

_CALL = AUTH.merge(Spec({
    "namespace": {"type": "str", "default": RECORDS},
    "audit_file": {"type": "path"},
}))

CLOUD_CREDENTIAL_ROTATION = call_and_item(_CALL, _ITEM, "credentials", _PER_CALL)

CLOUD_CREDENTIAL_ROTATION_INFO = AUTH.merge(Spec({
    "name": {"type": "str"},
    "id": {"type": "str"},
    "driver": {"type": "str"},
    "owner": {"type": "str"},
    "max_age": {"type": "str"},
    "gates": {"type": "bool", "default": False},
    "namespace": {"type": "str", "default": RECORDS},
}))

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATIONS = ("max_age", "grace", "soak", "drain", "verify_timeout")
_ISSUERS = {"aws": ("aws", "Aws"), "kubernetes": ("kubernetes", "Kubernetes"), "openstack": ("openstack", "OpenStack"), "supplied": ("supplied", "Supplied")}
_BY_DRIVER = {"amazonec2": "aws", "s3": "aws", "harvester": "kubernetes", "openstack": "openstack"}
_FULL_NAME = re.compile(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*")
_SLOW_GRACE = 604800  # s3: seconds until the planner has brought a new key to the etcd nodes of a cluster that nobody touches

# Who keeps Secrets as others say: by a label or annotation, or by the name under which it writes (metadata.managedFields).
_OTHER_WRITERS = re.compile(r"external-?secrets|argocd|fleet|flux|kustomize-controller|helm|terraform|sealed-?secrets|vault-secrets-operator|crossplane", re.I)
_OTHER_MARKS = re.compile(r"external-secrets\.io/|argocd\.argoproj\.io/|objectset\.rio\.cattle\.io/|kustomize\.toolkit\.fluxcd\.io/|meta\.helm\.sh/|"
                          r"sealedsecrets\.bitnami\.com/|secrets\.hashicorp\.com/|crossplane\.io/")

# What a rotation does with the namespace of its records, and with credentials.
_RIGHTS = (("", "secrets", None, ("get", "patch")), ("", "secrets", RECORDS, ("get", "list", "create", "delete")),
           ("", "configmaps", RECORDS, ("get", "list", "create", "patch")), ("coordination.k8s.io", "leases", RECORDS, ("get", "create", "patch")))

Time = datetime.datetime


@dataclass(frozen=True)
class Wanted:
    """What a playbook asks for, of one credential; durations in seconds."""

    where: str
    name: str | None
    id: str | None
    driver: str | None
    owner: str | None
    goal: str
    issuer: str | None
    issuer_options: Mapping[str, t.Any] = field(repr=False)
    config: Mapping[str, str] = field(repr=False)
    secrets: Mapping[str, str] = field(repr=False)
    max_age: int | None
    rotation_id: str | None
    reason: str | None
    grace: int | None
    soak: int | None
    drain: int
    verify_timeout: int
    on_verify_failure: str
    orphan_policy: str
    shared_key: str
    pause_before_cutover: bool
    repair: bool
    old_key_removed: bool
    assume_dead: bool
    override_gates: tuple[str, ...]
    state = "present"  # of the credential: it has to be there


def duration(text: str) -> int:
    """Seconds of a duration such as 24h or 90d; raises ValueError."""
    found = re.fullmatch(r"(\d+)([smhdw])", text.strip())
    if not found:
        raise ValueError
    return int(found.group(1)) * _UNITS[found.group(2)]


def rotations_from(params: Mapping[str, t.Any]) -> list[Wanted]:
    """What the parsed options ask for; raises Mistakes."""
    mistakes = _namespace_mistakes(params["namespace"])
    result = []
    for where, item in wanted_items(params, "credentials", _PER_CALL):
        name, wrong = check_name(item.get("name"))
        identifier, wrong_id = check_id(item.get("id"), NAMESPACE)
        wrong += wrong_id
        seconds, wrong_durations = _durations(item)
        wrong += wrong_durations
        if item.get("name") is None and item.get("id") is None:
            wrong.append("name or id is required")
        rotating = item["state"] == ROTATED
        if rotating and (item.get("max_age") is None) == (item.get("rotation_id") is None):
            wrong.append("state: rotated needs either max_age or rotation_id, so that a second run changes nothing")
        issuer = item.get("issuer")
        if issuer is not None and issuer not in _ISSUERS and not _FULL_NAME.fullmatch(issuer):
            wrong.append(f"issuer must be one of {', '.join(sorted(_ISSUERS))}, or the full name of another collection's (my.collection.name)")
        unknown = [gate for gate in item["override_gates"] if gate not in GATES]
        if unknown:
            wrong.append(f"override_gates: {', '.join(map(str, unknown)):.80} is no gate; there are {', '.join(GATES)}")
        values: dict[str, dict[str, str]] = {}
        for option in ("config", "secrets"):
            values[option] = {}
            for key, value in (item.get(option) or {}).items():
                if not isinstance(value, (str, int)) or isinstance(value, bool) or not trim(str(value)):
                    wrong.append(f"{option}.{key:.60} must be a string that is not empty")
                else:
                    values[option][key] = trim(str(value))
        mistakes += [where + mistake for mistake in wrong]
        if not wrong:
            result.append(Wanted(
                where=where, name=name, id=identifier, driver=item.get("driver"), owner=item.get("owner"), goal=item["state"], issuer=issuer,
                issuer_options={**(item.get("issuer_options") or {}), **(item.get("issuer_secrets") or {})}, **values, **seconds,
                rotation_id=item.get("rotation_id"), reason=item.get("reason"), override_gates=tuple(item["override_gates"]),
                **{key: item[key] for key in ("on_verify_failure", "orphan_policy", "shared_key", "pause_before_cutover", "repair", "old_key_removed",
                                              "assume_dead")},
            ))
    if mistakes:
        raise Mistakes(mistakes)
    return result


def check_info(params: Mapping[str, t.Any]) -> None:
    """Raises Mistakes."""
    mistakes = _namespace_mistakes(params["namespace"]) + _durations({"max_age": params["max_age"]})[1] + check_id(params["id"], NAMESPACE)[1]
    if mistakes:
        raise Mistakes(mistakes)


def _durations(item: Mapping[str, t.Any]) -> tuple[dict[str, int | None], list[str]]:
    seconds: dict[str, int | None] = {}
    mistakes = []
    for option in _DURATIONS:
        seconds[option] = None
        if item.get(option) is not None:
            try:
                seconds[option] = duration(item[option])
            except ValueError:
                mistakes.append(f"{option} must be a number with a unit, such as 30s, 15m, 24h, 90d or 2w")
    return seconds, mistakes


def _namespace_mistakes(namespace: str) -> list[str]:
    if re.match(r"(cattle|c|p|u|user)-", namespace):
        return ["namespace must not begin with cattle-, c-, p-, u- or user-: Rancher's own backups would take the kept values along"]
    return [] if re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", namespace) else ["namespace must be the name of a namespace"]


def load_issuer(name: str, options: Mapping[str, t.Any]) -> Issuer:
    """An issuer by its name, ours or another collection's. Raises RanchhandError."""
    if name in _ISSUERS:
        module, title = _ISSUERS[name]
        return getattr(importlib.import_module(f"{__package__}._issuers.{module}"), title)(options)
    namespace, collection, short = name.split(".")
    path = f"ansible_collections.{namespace}.{collection}.plugins.plugin_utils.{short}"
    try:
        title = importlib.import_module(path).Issuer
    except (ImportError, AttributeError) as error:
        raise RanchhandError("invalid", f"the issuer {name} cannot be loaded: there is no class Issuer in {path} ({type(error).__name__})") from None
    return title(options)


@dataclass(frozen=True)
class Unit:
    """What is rotated together: the credentials that have one key, its record, and how it is asked for."""

    wanted: Wanted
    members: tuple[Credential, ...]
    record: Record
    stored: t.Any
    issuer: Issuer

    @property
    def name(self) -> str:
        return self.record.name


def manage_rotations(params: Mapping[str, t.Any], connect: Connect, mode: Mode) -> dict[str, t.Any]:
    """cloud_credential_rotation: goes as far with each rotation as is safe now."""
    wanted = rotations_from(params)
    many = params.get("credentials") is not None
    if not wanted:
        return {"changed": False, "rotations": []}
    manager = RotationManager(connect(), params, wanted)
    results = manager.run(mode.check)
    return _report(results, manager.warnings, many)


class RotationManager:
    """The rotations of one call."""

    def __init__(self, api: Api, params: Mapping[str, t.Any], wanted: t.Sequence[Wanted]) -> None:
        self.api = api
        self.wanted = wanted
        self.audit_file = params.get("audit_file")
        self.space = Namespace(api, params["namespace"])
        self.warnings: list[str] = []

    def run(self, check: bool) -> list[dict[str, t.Any]]:
        found, records, users = self.api.at_once(
            lambda: EMPTY.of(credentials(self.api)), self.space.records,
            lambda: observe.users(self.api) if any(one.owner for one in self.wanted) else Users(()),
        )
        self.credentials, self.records = found.by_id, records
        self.key = self.space.key(make=False)
        self._check_key()
        units: dict[str, Unit] = {}
        of_item: list[tuple[str, str]] = []
        errors: list[tuple[str, RanchhandError]] = []
        chosen: list[tuple[Wanted, Credential]] = []
        for one in self.wanted:
            try:
                credential = found.match(one, users)
                if credential is None:
                    raise RanchhandError("not_found", f"there is no cloud credential {one.name:.80}")
                if credential.problem:
                    raise RanchhandError("invalid", f"{credential.full_id} {credential.problem}; repair it first")
                chosen.append((one, credential))
            except RanchhandError as error:
                errors.append((one.where, error))
        for one, credential in chosen:
            try:
                unit = self._unit(one, credential, {other.id for _wanted, other in chosen})
                same = units.setdefault(unit.name, unit)
                if _settings(same.wanted) != _settings(one):
                    raise RanchhandError("invalid", f"{credential.full_id} has the same key as {same.members[0].full_id}, so both need the same options")
                of_item.append((unit.name, credential.id))
            except IssuerError as error:
                errors.append((one.where, RanchhandError("invalid", error.message)))
            except RanchhandError as error:
                errors.append((one.where, error))
        if errors:
            raise told_together(errors)
        work = self._plan if check else self._rotate
        done = dict(zip(units, self.api.parallel(lambda unit: self._guarded(work, unit), list(units.values()))))
        return [{"where": one.where, **self._show(self.credentials[identifier], units[name], *done[name])}
                for one, (name, identifier) in zip(self.wanted, of_item)]

    def _check_key(self) -> None:
        if self.records and not self.space.has_key:
            raise RanchhandError("conflict", f"the Secret {self.space.name}/{self.space.digests_name} is gone, without which nobody can tell what the credentials "
                                             "hold; restore it from a backup, or delete all records of rotations")

    def record_of(self, identifier: str) -> tuple[Record, t.Any] | None:
        """The record of a credential: the one in progress, else the latest."""
        mine = [pair for pair in self.records.values() if identifier in [name for name, _uid in pair[0].members]]
        return max(mine, key=lambda pair: (pair[0].phase != IDLE, str(pair[0].rotated_at or "")), default=None)

    def _unit(self, one: Wanted, credential: Credential, named: t.Collection[str]) -> Unit:
        found = self.record_of(credential.id)
        record, stored = found or (None, None)
        running = record is not None and record.phase != IDLE
        name = one.issuer or (record.issuer if running else None) or _BY_DRIVER.get(credential.driver or "", "supplied")
        if running and name != record.issuer:
            raise RanchhandError("invalid", f"the rotation of {credential.full_id} was begun with issuer: {record.issuer}; finish or abort it first")
        if name == "supplied":
            if one.issuer_options:
                raise RanchhandError("invalid", "issuer_options and issuer_secrets are not for issuer: supplied")
            if not (one.config or one.secrets) and one.goal == ROTATED and not (running and record.phase != PREPARING):
                raise RanchhandError("invalid", f"{credential.full_id} needs its new value in config and secrets, as its issuer is supplied")
            public = one.config or self._public(credential)
            issuer = load_issuer(name, {"values": {**one.config, **one.secrets}, "public": tuple(public)})
        else:
            if one.config or one.secrets:
                raise RanchhandError("invalid", f"config and secrets are for issuer: supplied; {name} makes new values itself")
            issuer = load_issuer(name, one.issuer_options)
        if issuer.drivers and credential.driver not in issuer.drivers:
            raise RanchhandError("invalid", f"issuer {name} is for {', '.join(issuer.drivers)}; {credential.full_id} is of driver {credential.driver}")
        rotating = record.fields if running or record and not issuer.fields else issuer.fields
        missing = [key for key in rotating if key not in credential.data]
        if missing or not rotating:
            raise RanchhandError("invalid", f"{credential.full_id} has no field {', '.join(missing) or 'to rotate'}")
        if running:
            members = tuple(self.credentials[name] for name, _uid in record.members if name in self.credentials)
        elif one.goal == ROTATED:
            members = self._sharers(credential, issuer, rotating)
            others = [other.full_id for other in members if other.id not in named]
            if others and one.shared_key != "together":
                raise RanchhandError("shared_key", f"{credential.full_id} has the same key as {', '.join(others)}: name them in the same call, "
                                                   "or rotate them along with shared_key: together")
            found = self.record_of(members[0].id) or found
            record, stored = found or (None, None)
        else:
            members = (credential,)
        if record is None:
            record = Record(f"rotation-{members[0].id}", (), credential.driver or "", name, tuple(rotating))
        if not running:
            record = replace(record, members=tuple((other.id, other.uid) for other in members), issuer=name, fields=tuple(rotating))
        return Unit(one, members, record, stored, issuer)

    @staticmethod
    def _public(credential: Credential) -> tuple[str, ...]:
        return tuple(name for name in credential.data if name in ("accessKey", "accessKeyId", "clientId", "username"))

    def _sharers(self, credential: Credential, issuer: Issuer, rotating: t.Sequence[str]) -> tuple[Credential, ...]:
        """All credentials that have the key of this one, itself included."""
        def same(other: Credential) -> bool:
            if other.deleting or other.problem or any(name not in other.data for name in rotating):
                return False
            if issuer.drivers and other.driver not in issuer.drivers:
                return False
            if all(other.text(name) == credential.text(name) for name in rotating):
                return True
            try:
                return issuer.lists and issuer.key_id(_texts(other)) == issuer.key_id(_texts(credential))
            except IssuerError:
                return False

        return tuple(sorted((other for other in self.credentials.values() if other.id == credential.id or same(other)), key=lambda other: other.id))

    # one rotation

    def _guarded(self, work: t.Callable[[Unit], t.Any], unit: Unit) -> tuple[Outcome | None, RanchhandError | None, t.Any]:
        try:
            return work(unit)
        except IssuerError as error:
            code = {"refused": "verify_failed", "limit": "slot_taken", "unreachable": "unreachable"}.get(error.code, error.code)
            problem = RanchhandError(code, error.message + ("; what was asked for may have happened, the next run finds out" if code == "unreachable" else ""))
            return None, problem, ()
        except RanchhandError as error:
            return None, error, ()

    def _protocol(self, unit: Unit) -> tuple[Protocol, Seen]:
        seen = Seen(unit.record if unit.stored else None, unit.stored, tuple(self._live(one) for one in self._members_now(unit)))
        one = unit.wanted
        due = False
        if one.goal == ROTATED and unit.record.phase == IDLE and one.max_age is not None:
            at, _source = self._rotated_at(unit, ask=True)
            due_at = due_when(at, one.max_age, unit.record, one.grace)
            due = due_at is not None and due_at <= _now()
        goal = Goal(
            state=one.goal, token=random_source.token_hex(16), rotation_id=one.rotation_id, reason=one.reason, grace=one.grace, soak=one.soak,
            drain=one.drain, verify_timeout=one.verify_timeout, rollback=one.on_verify_failure == "rollback",
            delete_orphans=one.orphan_policy == "evidence", pause=one.pause_before_cutover, repair=one.repair, due=due,
            **({"default_grace": _SLOW_GRACE} if any(member.driver == "s3" for member in unit.members) else {}),
        )
        return Protocol(goal, unit.issuer, unit.record), seen

    def _members_now(self, unit: Unit) -> list[Credential | None]:
        return [self.credentials.get(name) for name, _uid in unit.record.members]

    def _live(self, one: Credential | None) -> Live | None:
        if one is None or one.deleting:
            return None
        values = _texts(one)
        return Live(one.id, one.uid, one.resource_version, one.annotations.get(TOKEN), values, digests(self.key, values))

    def _rotate(self, unit: Unit) -> tuple[Outcome, None, t.Any]:
        protocol, seen = self._protocol(unit)
        ending = protocol.decide(seen)
        if ending is not None:
            return ending, None, ()
        judged: list[gates.Gate] = []

        def judge(record: Record) -> tuple[dict[str, str], list[str]]:
            judged[:] = self.gates(unit, record, ask=True)
            return {one.name: one.state for one in judged}, waiting(judged)

        lease = Lease(self.space, unit.name, protocol.goal.token)
        world = World(
            self.space, unit.issuer, unit.record, {one.id: one.driver or "" for one in unit.members}, lease, unit.wanted.assume_dead,
            lambda lives: self.preflight(unit, lives), judge, self.audit_file,
        )
        try:
            return run(protocol.go(), world), None, judged
        finally:
            lease.release()
            self.warnings += world.warnings

    def _plan(self, unit: Unit) -> tuple[Outcome, None, t.Any]:
        """What a run would do: everything is looked at, nothing is issued."""
        protocol, seen = self._protocol(unit)
        ending = protocol.decide(seen)
        if ending is not None:
            return ending, None, ()
        record, goal = unit.record, unit.wanted.goal
        judged: list[gates.Gate] = []
        if record.phase == IDLE and not record.restored(t.cast(t.Tuple[Live, ...], seen.lives)):
            run(protocol.preflight(t.cast(t.Tuple[Live, ...], seen.lives)), _Reader(self, unit))
            steps: tuple[str, ...] = (PREPARING, ISSUED) if unit.wanted.pause_before_cutover else (PREPARING, ISSUED, GRACE)
        elif goal == RETIRED and record.phase in (GRACE, DISABLED):
            judged = self.gates(unit, record, ask=True)
            if waiting(judged):
                return Outcome(record, (), tuple(waiting(judged))), None, judged
            steps = (DISABLING, DISABLED) if record.phase == GRACE and unit.issuer.disables and not unit.issuer.write_ahead else (DELETING, IDLE)
        else:
            steps = {DISABLING: (DISABLED,), PREPARING: (ISSUED, GRACE), ISSUED: (GRACE,)}.get(record.phase, (IDLE,)) if goal in (ROTATED, RETIRED) else (IDLE,)
        return Outcome(record, steps), None, judged

    def preflight(self, unit: Unit, lives: t.Sequence[Live]) -> None:
        """Raises RanchhandError if a rotation must not begin: a missing right, somebody else who writes the credential, a key that does not work."""
        self._check_rights()
        for live in lives:
            if "other_writer" not in unit.wanted.override_gates:
                writer = other_writer(self.api.get(f"{observe.SECRETS}/{name_in_path(live.id)}"))
                if writer:
                    raise RanchhandError("other_writer", f"{NAMESPACE}:{live.id} is kept by {writer}, which would put the old key back; rotate at its "
                                                         "source, or override_gates: [other_writer]")
        try:
            unit.issuer.verify({name: lives[0].values[name] for name in unit.record.fields}, lives[0].values)
        except IssuerError as error:
            if error.code == "refused":
                raise RanchhandError("unusable", f"the current key of {NAMESPACE}:{lives[0].id} does not work, so nothing was begun: {error.message}") from None
            raise

    def _check_rights(self) -> None:
        def may(right: tuple[str, str, str, str]) -> str | None:
            group, resource, namespace, verb = right
            review = self.api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": {"group": group, "resource": resource, "namespace": namespace, "verb": verb}}})
            return None if (review.get("status") or {}).get("allowed") else f"{verb} {resource} in namespace {namespace}"

        def ask() -> list[str]:
            wanted = [(group, resource, self.space.name if namespace else NAMESPACE, verb)
                      for group, resource, namespace, verbs in _RIGHTS for verb in verbs]
            return [missing for missing in self.api.parallel(may, wanted) if missing]

        missing = self.api.remembered(f"rights {self.space.name}", 60, ask)
        if missing:
            raise RanchhandError("forbidden", f"this connection may not {', '.join(missing)}; docs/rbac/rotation.yaml has all rights that rotations need")

    # gates and ages

    def gates(self, unit: Unit, record: Record, ask: bool) -> list[gates.Gate]:
        """How each gate stands before the next step of retiring; ``ask`` the cloud too."""
        now = _now()
        one = unit.wanted
        if one.grace is not None or one.soak is not None:
            record = replace(record, grace=record.grace if one.grace is None else one.grace, soak=record.soak if one.soak is None else one.soak)
        if record.phase == DISABLED:
            found = [gates.until("soak", record.delete_not_before, now)]
        else:
            found = [gates.until("grace", record.retire_not_before, now), *self._cluster_gates(unit, record)]
            if ask and unit.issuer.lists:
                keys = unit.issuer.keys(_texts(unit.members[0]))
                found.append(gates.last_used(keys, record.old.key, datetime.timedelta(seconds=record.grace), now))
            if unit.record.issuer == "supplied":
                found.append(gates.Gate("confirmation", *(
                    (gates.OPEN, "the old key was removed") if one.old_key_removed else
                    (gates.WAITING, f"somebody to remove the old key ({record.old.key}) at its cloud, and to say so with old_key_removed: true"))))
        return [gates.Gate(gate.name, gates.OPEN, f"overridden: {gate.detail}") if gate.name in one.override_gates and gate.state != gates.OPEN else gate
                for gate in found]

    def _cluster_gates(self, unit: Unit, record: Record) -> list[gates.Gate]:
        index: Index = self.api.remembered("references", 30, lambda: observe.references(self.api))
        jobs = self.api.remembered("machine jobs", 30, lambda: self._listed("/apis/batch/v1/jobs", labelSelector="rke.cattle.io/infra-machine-name"))
        version = self.api.remembered("server-version", 300, lambda: observe.server_version(self.api))
        references = [reference for member in unit.members for reference in index.to(member)]

        def unless_unlisted(*resources: str) -> t.Sequence[Reference] | None:
            return None if any(one.startswith(resource) for one in index.unlisted for resource in resources) else references

        machines = unless_unlisted("rke-machine", "machines", "*")
        names = None if machines is None else {(one.namespace, one.name) for one in machines if one.kind.endswith("Machine")}
        used = any(".s3." in one.field for one in references) or bool(index.unlisted) and any(member.driver == "s3" for member in unit.members)
        plans = None
        if used:
            plans = self.api.remembered("machine plans", 30, lambda: self._listed("/api/v1/secrets", fieldSelector="type=rke.cattle.io/machine-plan"))
        needles = [] if record.old is None else [record.old.key]
        return [
            gates.machine_jobs(jobs, names, record.cutover_at or _now()), gates.etcd_s3(plans, used, needles),
            gates.rke1_nodes(unless_unlisted("nodes."), record.driver), gates.rancher_version(version, machines),
        ]

    def _listed(self, path: str, **query: str) -> list[dict[str, t.Any]] | None:
        try:
            return list(self.api.list(path, **query))
        except ApiError as error:
            if error.status == 403:
                return None
            raise

    def _rotated_at(self, unit: Unit, ask: bool) -> tuple[Time | None, str]:
        """When the key of a credential was made, and who says so: record, cloud, annotation, or the Secret, which is at least as old."""
        record, member = unit.record, unit.members[0]
        live = self._live(member)
        if live and record.current and record.rotated_at and not record.old:
            if {name: live.digests.get(name) for name in record.fields} == dict(record.current.digests):
                return record.rotated_at, "record"
        if record.cutover_at and record.new and live and record.holds(live) == NEW:
            return record.cutover_at, "record"
        if ask and unit.issuer.lists:
            keys = unit.issuer.keys(_texts(member))
            key: Key | None = next((one for one in keys if one.id == unit.issuer.key_id(_texts(member))), None)
            if key and key.created_at:
                return key.created_at, "cloud"
        return _time(member.created_at), "secret"

    def _show(self, credential: Credential, unit: Unit, outcome: Outcome | None, error: RanchhandError | None, judged: t.Sequence[gates.Gate]) -> dict[str, t.Any]:
        record = outcome.record if outcome and outcome.record else unit.record
        shown = show_rotation(credential, record)
        shown["issuer"] = unit.record.issuer
        steps = list(outcome.steps) if outcome else []
        shown.update(
            action="failed" if error else _ACTIONS[unit.wanted.goal] if steps and steps[-1] in _REACHED[unit.wanted.goal] else "advanced" if steps else "unchanged",
            steps=steps, waiting_for=list(outcome.waiting) if outcome else [],
        )
        if judged:
            shown["gates"] = [gate.show() for gate in judged]
        if error:
            shown.update(msg=error.message, code=error.code)
        return shown


class _Reader:
    """The calls of a preflight in check mode, none of which writes."""

    def __init__(self, manager: RotationManager, unit: Unit) -> None:
        self._manager = manager
        self._unit = unit

    def preflight(self, lives: t.Sequence[Live]) -> None:
        self._manager.preflight(self._unit, lives)

    def keys(self, by: Mapping[str, str]) -> list[Key]:
        return self._unit.issuer.keys(by)


_ACTIONS = {ROTATED: "rotated", RETIRED: "retired", ROLLED_BACK: "rolled_back", ABORTED: "aborted"}
_REACHED = {ROTATED: (GRACE,), RETIRED: (IDLE,), ROLLED_BACK: (IDLE,), ABORTED: (IDLE,)}
_NEXT = {
    IDLE: "rotate", PREPARING: "issue", ISSUED: "cut over", GRACE: "disable the old key", DISABLING: "disable the old key", DISABLED: "delete the old key",
    DELETING: "delete the old key", "RollingBack": "finish rolling back", "Aborting": "finish aborting",
}


def show_rotation(credential: Credential, record: Record | None) -> dict[str, t.Any]:
    """What may be shown of a rotation; nothing of it is secret."""
    phase = record.phase if record else IDLE
    times = ("started_at", "issued_at", "cutover_at", "disabled_at", "rotated_at", "expires_at", "retire_not_before", "delete_not_before")
    over = phase == IDLE
    shown: dict[str, t.Any] = {
        "id": credential.full_id, "name": credential.name, "driver": credential.driver, "owner": credential.owner,
        "members": [f"{NAMESPACE}:{name}" for name, _uid in record.members] if record else [credential.full_id],
        "issuer": record.issuer if record else None, "phase": phase, "generation": record.generation if record else 0,
        "rotation_id": record.rotation_id if record else None, "reason": record.reason if record else None,
        "key_id": record.current.key if record and over and record.current else record.new.key if record and record.new else None,
        "old_key_id": record.old.key if record and record.old else None, "next_step": _NEXT[phase],
    }
    for name in times:
        moment = getattr(record, name) if record and not (over and name not in ("rotated_at", "expires_at")) else None
        shown[name] = moment.isoformat(timespec="seconds") if moment else None
    shown["transitions"] = [dict(one) for one in record.transitions] if record else []
    return shown


def waiting(judged: t.Iterable[gates.Gate]) -> list[str]:
    """Why the old key may not be retired yet, a sentence for each gate that is not open."""
    return [f"{gate.name}: " + (gate.detail if gate.state == gates.WAITING else f"unknown, as {gate.detail}") for gate in judged if gate.state != gates.OPEN]


def due_when(rotated_at: Time | None, max_age: int | None, record: Record | None, grace: int | None) -> Time | None:
    """When a key is to be rotated: at the age that is allowed, and so long before it ends by itself that the grace time fits in twice."""
    moments = []
    if rotated_at and max_age is not None:
        moments.append(rotated_at + datetime.timedelta(seconds=max_age))
    if record and record.expires_at and record.phase == IDLE:
        moments.append(record.expires_at - datetime.timedelta(seconds=2 * (record.grace if grace is None else grace)))
    return min(moments, default=None)


def other_writer(secret: Mapping[str, t.Any]) -> str | None:
    """Who else keeps a Secret as it is: External Secrets, a GitOps tool, an owner; None if nobody is known to."""
    metadata = secret["metadata"]
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return f"{owner.get('kind')} {owner.get('name')}"
    for marks in ("labels", "annotations"):
        for key in metadata.get(marks) or {}:
            if _OTHER_MARKS.search(key):
                return f"whoever set {key}"
    for entry in metadata.get("managedFields") or ():
        if "f:data" in (entry.get("fieldsV1") or {}) and _OTHER_WRITERS.search(entry.get("manager") or ""):
            return str(entry["manager"])
    return None


def _settings(one: Wanted) -> tuple[t.Any, ...]:
    return tuple(getattr(one, each.name) for each in fields(one) if each.name not in ("where", "name", "id", "driver", "owner"))


def _texts(one: Credential) -> dict[str, str]:
    return {name: one.text(name) for name in one.data}


def _now() -> Time:
    return datetime.datetime.now(datetime.timezone.utc)


def _time(text: str | None) -> Time | None:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def _report(results: list[dict[str, t.Any]], warnings: list[str], many: bool) -> dict[str, t.Any]:
    errors = [(one["where"], one["code"], one["msg"]) for one in results if "code" in one]
    for one in results:
        one.pop("where")
    result: dict[str, t.Any] = {"changed": any(one["steps"] for one in results)}
    result["rotations" if many else "rotation"] = results if many else results[0]
    if warnings:
        result["warnings"] = warnings
    if errors:
        code = errors[0][1] if not many or len({code for _where, code, _msg in errors}) == 1 and len(errors) == len(results) else "partial"
        raise Failed(code, "; ".join(where + message for where, _code, message in errors), result)
    return result


def list_rotations(params: Mapping[str, t.Any], connect: Connect, mode: Mode) -> dict[str, t.Any]:
    """cloud_credential_rotation_info: where each rotation stands."""
    api = connect()
    manager = RotationManager(api, params, ())
    identifier, _mistakes = check_id(params["id"], NAMESPACE)
    found, records, users = api.at_once(
        lambda: EMPTY.of(credentials(api)), manager.space.records, lambda: observe.users(api) if params["owner"] else None)
    manager.credentials, manager.records = found.by_id, records
    manager.key = manager.space.key(make=False)
    manager._check_key()
    max_age = None if params["max_age"] is None else duration(params["max_age"])
    result = []
    for credential in sorted(found.by_id.values(), key=lambda one: (one.name, one.id)):
        if identifier in (None, credential.id) and not credential.problem and wanted_by(params, credential, users):
            result.append(_status(manager, credential, max_age, params["gates"]))
    return {"changed": False, "rotations": result}


def _status(manager: RotationManager, credential: Credential, max_age: int | None, judge: bool) -> dict[str, t.Any]:
    stored = manager.record_of(credential.id)
    record = stored[0] if stored else None
    shown = show_rotation(credential, record)
    live = manager._live(credential)
    now = _now()
    rotated_at, source = _time(credential.created_at), "secret"
    advised = credential.annotations.get(ROTATED_AT)
    if record is not None and live is not None:
        if record.phase == IDLE:
            current = record.current and {name: live.digests.get(name) for name in record.fields} == dict(record.current.digests)
            if current and record.rotated_at:
                rotated_at, source = record.rotated_at, "record"
            if record.restored((live,)):
                shown["problem"] = f"holds a retired key again, as after a restore; state: retired puts {record.current.key} in again"
        else:
            held = record.holds(live)
            if held == NEW and record.cutover_at:
                rotated_at, source = record.cutover_at, "record"
            elif record.rotated_at:
                rotated_at, source = record.rotated_at, "record"
            if held in (OTHER, TORN) or held == OLD and record.phase in (GRACE, DISABLING, DISABLED, DELETING):
                shown["problem"] = f"drift: it holds {'another value' if held == OTHER else 'a mix of both keys' if held == TORN else 'the old key again'}"
            if record.owner:
                shown["running"] = True
    elif advised:
        rotated_at, source = _time(advised), "annotation"
    shown["age"] = max(0, int((now - rotated_at).total_seconds())) if rotated_at else None
    shown["age_from"] = source
    due = {GRACE: record.retire_not_before, DISABLED: record.delete_not_before}.get(record.phase) if record and record.phase != IDLE else None
    if record is None or record.phase == IDLE:
        due = due_when(rotated_at, max_age, record, None)
    elif due is None:
        due = now
    shown["due_at"] = due.isoformat(timespec="seconds") if due else None
    shown["due"] = bool(due and due <= now)
    shown["waiting_for"] = []
    if judge and record is not None and record.phase in (GRACE, DISABLED):
        blank = rotations_from({**_NOTHING, "id": credential.id, "namespace": manager.space.name})[0]
        members = tuple(manager.credentials[name] for name, _uid in record.members if name in manager.credentials)
        judged = manager.gates(Unit(blank, members, record, stored, Issuer({})), record, ask=False)
        shown["gates"] = [gate.show() for gate in judged]
        shown["waiting_for"] = waiting(judged)
    return shown


_NOTHING = {**{name: option.get("default") for name, option in _ITEM.options.items()}, "state": RETIRED, "credentials": None}
