# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What cloud_credential_rotation does.

PRIVATE to the collection. It runs on the controller only, as issuers of other collections can be loaded nowhere else.
"""

from __future__ import annotations

import datetime
import re
import secrets as random_source
import typing as t
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from . import _gates as gates
from . import _observe as observe
from ._credential import EMPTY, Credential
from ._errors import ApiError, RanchhandError
from ._kubernetes import Api, name_in_path
from ._manage_credentials import credentials
from ._marks import ROTATION_TOKEN
from ._metadata import Users
from ._planning import told_together
from ._references import NAMESPACE, Index
from ._rotation import (
    ABORTED, DELETING, DISABLED, DISABLING, GRACE, IDLE, PREPARING, RETIRED, ROLLED_BACK, ROTATED, Goal, Live, Outcome, Protocol, Record, Seen, run,
)
from ._rotation_options import RECORDS, Wanted, load_issuer, rotations_from
from ._rotation_status import due_when, made_at, show_rotation, waiting
from ._rotation_world import Lease, Namespace, World, digests
from ._run import Connect, Failed, Mode
from .issuer import Issuer, IssuerError, Key

_BY_DRIVER = {"amazonec2": "aws", "s3": "aws", "harvester": "kubernetes", "openstack": "openstack"}
_REACHED = {ROTATED: GRACE, RETIRED: IDLE, ROLLED_BACK: IDLE, ABORTED: IDLE}
_SLOW_GRACE = 604800  # s3: seconds until the planner has brought a new key to the etcd nodes of a cluster that nobody touches

# Who keeps Secrets as others say: by a label or annotation, or by the name under which it writes (metadata.managedFields).
_OTHER_WRITERS = re.compile(r"external-?secrets|argocd|fleet|flux|kustomize-controller|helm|terraform|sealed-?secrets|vault-secrets-operator|crossplane", re.I)
_OTHER_MARKS = re.compile(r"external-secrets\.io/|argocd\.argoproj\.io/|objectset\.rio\.cattle\.io/|kustomize\.toolkit\.fluxcd\.io/|meta\.helm\.sh/|"
                          r"sealedsecrets\.bitnami\.com/|secrets\.hashicorp\.com/|crossplane\.io/")

# What a rotation does with the namespace of its records, and with credentials.
_RIGHTS = (("", "secrets", None, ("get", "patch")), ("", "secrets", RECORDS, ("get", "list", "create", "delete")),
           ("", "configmaps", RECORDS, ("get", "list", "create", "patch")), ("coordination.k8s.io", "leases", RECORDS, ("get", "create", "patch")))

Time = datetime.datetime


class History(t.NamedTuple):
    """What a namespace keeps of rotations: the records, and the key of the digests in them."""

    space: Namespace
    records: Mapping[str, tuple[Record, t.Any]]
    key: bytes


def history(api: Api, namespace: str) -> History:
    """Raises RanchhandError (``conflict``) if the records are of no use any more."""
    space = Namespace(api, namespace)
    records, key = space.records(), space.key(make=False)  # in this order: the key is made before the first record
    if records and not space.has_key:
        raise RanchhandError("conflict", f"the Secret {namespace}/{space.digests_name} is gone, without which nobody can tell what the credentials "
                                         "hold; restore it from a backup, or delete all records of rotations")
    return History(space, records, key)


class Stored:
    """The credentials of a Rancher and the records of their rotations, as they were when they were read."""

    def __init__(self, found: t.Iterable[Credential], past: History) -> None:
        self.catalog = EMPTY.of(found)
        self._key = past.key
        self._records: dict[str, list[tuple[Record, t.Any]]] = defaultdict(list)
        for pair in past.records.values():
            for name, _uid in pair[0].members:
                self._records[name].append(pair)

    def record_of(self, identifier: str) -> tuple[Record, t.Any] | None:
        """The record of a credential, and what it is stored as: the one in progress, else the latest."""
        return max(self._records.get(identifier, ()), key=lambda pair: (pair[0].phase != IDLE, str(pair[0].rotated_at or "")), default=None)

    def record(self, identifier: str) -> Record | None:
        """The same record without what it is stored as."""
        found = self.record_of(identifier)
        return found[0] if found else None

    def credential(self, identifier: str) -> Credential | None:
        return self.catalog.by_id.get(identifier)

    def live(self, identifier: str) -> Live | None:
        """A credential as a rotation sees it; None if it is gone or going."""
        one = self.credential(identifier)
        if one is None or one.deleting:
            return None
        values = _texts(one)
        return Live(one.id, one.uid, one.resource_version, one.annotations.get(ROTATION_TOKEN), values, digests(self._key, values))


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


class _Done(t.NamedTuple):
    """What became of a unit."""

    outcome: Outcome
    error: RanchhandError | None = None
    judged: t.Sequence[gates.Gate] = ()


class RotationManager:
    """The rotations of one call."""

    def __init__(self, api: Api, params: Mapping[str, t.Any], wanted: t.Sequence[Wanted]) -> None:
        self.api = api
        self.wanted = wanted
        self.audit_file = params["audit_file"]
        owners = any(one.owner for one in wanted)
        found, past, self.users = api.at_once(
            lambda: credentials(api), lambda: history(api, params["namespace"]), lambda: observe.users(api) if owners else Users(()))
        self.stored = Stored(found, past)
        self.space = past.space
        self.warnings: list[str] = []

    def run(self, check: bool) -> list[dict[str, t.Any]]:
        units: dict[str, Unit] = {}
        of_item: list[tuple[Wanted, Credential, str | _Done]] = []
        errors: list[tuple[str, RanchhandError]] = []
        chosen: list[tuple[Wanted, Credential]] = []
        for one in self.wanted:
            try:
                credential = self.stored.catalog.match(one, self.users)
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
                of_item.append((one, credential, unit.name))
            except IssuerError as error:
                errors.append((one.where, RanchhandError("invalid", error.message)))
            except RanchhandError as error:
                if error.code == "shared_key":  # no mistake of the playbook: it stops nobody else
                    of_item.append((one, credential, _Done(Outcome(None), error)))
                else:
                    errors.append((one.where, error))
        if errors:
            raise told_together(errors)
        work = self._plan if check else self._rotate
        done = dict(zip(units, self.api.parallel(lambda unit: self._guarded(work, unit), list(units.values()))))
        return [{"where": one.where, **self._show(one, credential, done[name] if isinstance(name, str) else name)} for one, credential, name in of_item]

    def _unit(self, one: Wanted, credential: Credential, named: t.Collection[str]) -> Unit:
        found = self.stored.record_of(credential.id)
        record, stored = found or (None, None)
        if record is None and one.goal != ROTATED:  # nothing to do, so nobody has to say how to sign in
            return Unit(one, (credential,), Record(f"rotation-{credential.id}", ((credential.id, credential.uid),), "", "", ()), None, Issuer({}))
        running = record is not None and record.phase != IDLE
        name = one.issuer or (record.issuer if running else None) or _BY_DRIVER.get(credential.driver or "", "supplied")
        if running and name != record.issuer:
            raise RanchhandError("invalid", f"the rotation of {credential.full_id} was begun with issuer: {record.issuer}; finish or abort it first")
        if name == "supplied":
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
            members = tuple(filter(None, (self.stored.credential(name) for name, _uid in record.members)))
        elif one.goal == ROTATED:
            members = self._sharers(credential, issuer, rotating)
            others = [other.full_id for other in members if other.id not in named]
            if others and one.shared_key != "together":
                raise RanchhandError("shared_key", f"{credential.full_id} has the same key as {', '.join(others)}: name them in the same call, "
                                                   "or rotate them along with shared_key: together")
            found = self.stored.record_of(members[0].id) or found
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

        everybody = self.stored.catalog.by_id.values()
        return tuple(sorted((other for other in everybody if other.id == credential.id or same(other)), key=lambda other: other.id))

    # one rotation

    def _guarded(self, work: t.Callable[[Unit], _Done], unit: Unit) -> _Done:
        try:
            return work(unit)
        except (RanchhandError, IssuerError) as error:
            return _Done(Outcome(unit.record), _told(error))

    def _protocol(self, unit: Unit) -> tuple[Protocol, Seen]:
        seen = Seen(unit.record if unit.stored else None, unit.stored, tuple(self.stored.live(name) for name, _uid in unit.record.members))
        one = unit.wanted
        due = False
        if one.goal == ROTATED and unit.record.phase == IDLE and one.max_age is not None:
            due_at = due_when(self._made_at(unit), one.max_age, unit.record, one.grace)
            due = due_at is not None and due_at <= datetime.datetime.now(datetime.timezone.utc)
        goal = Goal(
            state=one.goal, token=random_source.token_hex(16), rotation_id=one.rotation_id, reason=one.reason, grace=one.grace, soak=one.soak,
            drain=one.drain, verify_timeout=one.verify_timeout, rollback=one.on_verify_failure == "rollback",
            delete_orphans=one.orphan_policy == "evidence", pause=one.pause_before_cutover, repair=one.repair, due=due,
            **({"default_grace": _SLOW_GRACE} if any(member.driver == "s3" for member in unit.members) else {}),
        )
        return Protocol(goal, unit.issuer, unit.record), seen

    def _rotate(self, unit: Unit) -> _Done:
        protocol, seen = self._protocol(unit)
        ending = protocol.decide(seen)
        if ending is not None:
            return _Done(ending)
        judged: list[gates.Gate] = []

        def judge(record: Record) -> tuple[dict[str, str], list[str]]:
            judged[:] = judge_gates(self.api, unit.members, record, unit.wanted, unit.issuer)
            return {one.name: one.state for one in judged}, waiting(judged)

        lease = Lease(self.space, unit.name, protocol.goal.token)
        world = World(
            self.space, unit.issuer, unit.record, {one.id: one.driver or "" for one in unit.members}, lease, unit.wanted.assume_dead,
            lambda lives: self.preflight(unit, lives), judge, self.audit_file,
        )
        try:
            return _Done(run(protocol.go(), world), None, judged)
        except (RanchhandError, IssuerError) as error:
            return _Done(Outcome(protocol.record if protocol.steps else unit.record, tuple(protocol.steps)), _told(error), judged)
        finally:
            lease.release()
            self.warnings += world.warnings

    def _plan(self, unit: Unit) -> _Done:
        """What a run would do: everything is looked at, nothing is issued."""
        protocol, seen = self._protocol(unit)
        ending = protocol.decide(seen)
        if ending is not None:
            return _Done(ending)
        path = protocol.path(seen)
        judged: list[gates.Gate] = []
        if path[0] == PREPARING:
            run(protocol.preflight(t.cast(t.Tuple[Live, ...], seen.lives)), _Reader(self, unit))
        elif path in ((DISABLING, DISABLED), (DELETING, IDLE)):
            judged = judge_gates(self.api, unit.members, unit.record, unit.wanted, unit.issuer)
        reasons = tuple(waiting(judged))
        return _Done(Outcome(unit.record, () if reasons else path, reasons), None, judged)

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

    def _made_at(self, unit: Unit) -> Time | None:
        """When the key in use was made; clouds know it better than the date of a Secret."""
        member = unit.members[0]
        at, source = made_at(member, unit.record, self.stored.live(member.id))
        return source != "record" and cloud_date(unit.issuer, member) or at

    @staticmethod
    def _show(wanted: Wanted, credential: Credential, done: _Done) -> dict[str, t.Any]:
        steps, error = done.outcome.steps, done.error
        shown = show_rotation(credential, done.outcome.record)
        reached = _REACHED[wanted.goal] in steps[-1:]
        action = "failed" if error else wanted.goal if reached else "advanced" if steps else "unchanged"
        shown.update(action=action, steps=list(steps), waiting_for=list(done.outcome.waiting))
        if done.judged:
            shown["gates"] = [gate.show() for gate in done.judged]
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


def issuer_for(driver: str | None) -> Issuer | None:
    """The issuer that a driver's keys come from, as it is without options; None where only the playbook has them."""
    name = _BY_DRIVER.get(driver or "")
    return load_issuer(name, {}) if name else None


def cloud_date(issuer: Issuer, credential: Credential) -> Time | None:
    """When the key in use was made, as its cloud says; None where it does not. Raises IssuerError."""
    if not issuer.lists:
        return None
    values = _texts(credential)
    mine = issuer.key_id(values)
    return next((key.created_at for key in issuer.keys(values) if key.id == mine), None)


def judge_gates(
    api: Api, members: t.Sequence[Credential], record: Record, wanted: Wanted | None = None, issuer: Issuer | None = None
) -> list[gates.Gate]:
    """How each gate stands before the next step of retiring; without an issuer, what only the cloud can tell is left out."""
    now = datetime.datetime.now(datetime.timezone.utc)
    if wanted:
        record = record.with_times(wanted.grace, wanted.soak)
    if record.phase == DISABLED:
        found = [gates.until("soak", record.delete_not_before, now)]
    else:
        found = [gates.until("grace", record.retire_not_before, now), *_cluster_gates(api, members, record)]
        if issuer and issuer.lists:
            found.append(gates.last_used(issuer.keys(_texts(members[0])), record.old.key, datetime.timedelta(seconds=record.grace), now))
        if record.issuer == "supplied":
            found.append(gates.Gate("confirmation", gates.OPEN, "the old key was removed") if wanted and wanted.old_key_removed else gates.Gate(
                "confirmation", gates.WAITING, f"somebody to remove the old key ({record.old.key}) at its cloud, and to say so with old_key_removed: true"))
    overridden = wanted.override_gates if wanted else ()
    return [gates.Gate(gate.name, gates.OPEN, f"overridden: {gate.detail}") if gate.name in overridden and gate.state != gates.OPEN else gate
            for gate in found]


def _cluster_gates(api: Api, members: t.Sequence[Credential], record: Record) -> list[gates.Gate]:
    index: Index = api.remembered("references", 30, lambda: observe.references(api))
    jobs = api.remembered("machine jobs", 30, lambda: _listed(api, "/apis/batch/v1/jobs", labelSelector="rke.cattle.io/infra-machine-name"))
    version = api.remembered("server-version", 300, lambda: observe.server_version(api))
    references = [reference for member in members for reference in index.to(member)]

    machines = None if any(one.endswith(".rke-machine.cattle.io") for one in index.unlisted) else references
    names = None if machines is None else {(one.namespace, one.name) for one in machines if one.kind.endswith("Machine")}
    unsure = not {"clusters.provisioning.cattle.io", "rkecontrolplanes.rke.cattle.io", "etcdsnapshots.rke.cattle.io"}.isdisjoint(index.unlisted)
    used = any(".s3." in one.field for one in references) or unsure and any(member.driver == "s3" for member in members)
    plans = None
    if used:
        plans = api.remembered("machine plans", 30, lambda: _listed(api, "/api/v1/secrets", fieldSelector="type=rke.cattle.io/machine-plan"))
    return [
        gates.machine_jobs(jobs, names, record.cutover_at), gates.etcd_s3(plans, used, [record.old.key]),
        gates.rke1_nodes(None if "nodes.management.cattle.io" in index.unlisted else references, record.driver), gates.rancher_version(version, machines),
    ]


def _listed(api: Api, path: str, **query: str) -> list[dict[str, t.Any]] | None:
    try:
        return list(api.list(path, **query))
    except ApiError as error:
        if error.status == 403:
            return None
        raise


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


def _told(error: RanchhandError | IssuerError) -> RanchhandError:
    """What went wrong at a cloud, as a refusal of ours."""
    if isinstance(error, RanchhandError):
        return error
    if error.code == "unreachable":
        return RanchhandError("unreachable", f"{error.message}; what was asked for may have happened, the next run finds out")
    return RanchhandError({"refused": "cloud_refused", "limit": "slot_taken"}.get(error.code, error.code), error.message)


def _settings(one: Wanted) -> tuple[t.Any, ...]:
    return tuple(getattr(one, each.name) for each in fields(one) if each.name not in ("where", "name", "id", "driver", "owner"))


def _texts(one: Credential) -> dict[str, str]:
    return {name: one.text(name) for name in one.data}


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
