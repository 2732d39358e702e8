# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What cloud_credential_rotation does.

PRIVATE to the collection. It runs on the controller only, as issuers of other collections can be loaded nowhere else.
"""

from __future__ import annotations

import datetime
import secrets as random_source
import typing as t
from collections.abc import Mapping
from dataclasses import fields, replace

from .._common.errors import FailureWithResult, RanchhandError
from .._kubernetes.client import KubernetesClient, name_in_path
from .._rancher.cloud_credential import CloudCredential
from .._rancher.queries import SECRETS_PATH, list_cloud_credentials, read_users
from .._rancher.references import CREDENTIAL_NAMESPACE
from .._rancher.users import Users
from .._resources.planning import combine_errors
from .._runtime.execute import Connect, RunMode
from .issuers.registry import ISSUER_BY_DRIVER, key_created_at, load_issuer
from ..issuer import Issuer, IssuerError, Key
from .backend import ClusterBackend
from .cluster_gates import evaluate_gates
from .gates import Gate
from .lease import Lease
from .options import DesiredRotation, parse_rotations
from .preflight import REQUIRED_PERMISSIONS, find_other_writer
from .protocol import (
    ABORTED,
    Outcome,
    RETIRED,
    ROLLED_BACK,
    ROTATED,
    RotationProtocol,
    RotationRequest,
    Snapshot,
    run_protocol,
)
from .record import CredentialSnapshot, DELETING, DISABLED, DISABLING, GRACE, IDLE, PREPARING, RotationRecord
from .status import due_time, key_issued_at, show_rotation, waiting_reasons
from .store import RotationStore, decoded_values, read_history
from .units import RotationUnit

_REACHED = {ROTATED: GRACE, RETIRED: IDLE, ROLLED_BACK: IDLE, ABORTED: IDLE}
_SLOW_GRACE = 604800  # s3: seconds until the planner has brought a new key to the etcd nodes of a cluster that nobody touches
Time = datetime.datetime


def manage_rotations(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """cloud_credential_rotation: goes as far with each rotation as is safe now."""
    wanted = parse_rotations(params)
    many = params.get("credentials") is not None
    if not wanted:
        return {"changed": False, "rotations": []}
    manager = RotationExecutor(connect(), params, wanted)
    results = manager.run(mode.check)
    return _report(results, manager.warnings, many)


class UnitResult(t.NamedTuple):
    """What became of a unit."""

    outcome: Outcome
    error: RanchhandError | None = None
    judged: t.Sequence[Gate] = ()


class RotationExecutor:
    """The rotations of one call."""

    def __init__(self, client: KubernetesClient, params: Mapping[str, t.Any], wanted: t.Sequence[DesiredRotation]) -> None:
        self.client = client
        self.wanted = wanted
        self.audit_file = params["audit_file"]
        owners = any(one.owner for one in wanted)
        found, past, self.users = client.parallel_reads(
            lambda: list_cloud_credentials(client), lambda: read_history(client, params["namespace"]), lambda: read_users(client) if owners else Users(()))
        self.stored = RotationStore(found, past)
        self.space = past.space
        self.warnings: list[str] = []

    def run(self, check: bool) -> list[dict[str, t.Any]]:
        units: dict[str, RotationUnit] = {}
        of_item: list[tuple[DesiredRotation, CloudCredential, str | UnitResult]] = []
        errors: list[tuple[str, RanchhandError]] = []
        chosen: list[tuple[DesiredRotation, CloudCredential]] = []
        for one in self.wanted:
            try:
                credential = self.stored.catalog.find(one, self.users)
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
                    of_item.append((one, credential, UnitResult(Outcome(None), error)))
                else:
                    errors.append((one.where, error))
        if errors:
            raise combine_errors(errors)
        work = self._plan if check else self._rotate
        done = dict(zip(units, self.client.parallel_map(lambda unit: self._guarded(work, unit), list(units.values()))))
        return [{"where": one.where, **self._show(one, credential, done[name] if isinstance(name, str) else name)} for one, credential, name in of_item]

    def _unit(self, one: DesiredRotation, credential: CloudCredential, named: t.Collection[str]) -> RotationUnit:
        found = self.stored.record_of(credential.id)
        record, stored = found or (None, None)
        if record is None and one.goal != ROTATED:  # nothing to do, so nobody has to say how to sign in
            return RotationUnit(one, (credential,), RotationRecord(f"rotation-{credential.id}", ((credential.id, credential.uid),), "", "", ()), None, Issuer({}))
        running = record is not None and record.phase != IDLE
        name = one.issuer or (record.issuer if running else None) or ISSUER_BY_DRIVER.get(credential.driver or "", "supplied")
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
            record = RotationRecord(f"rotation-{members[0].id}", (), credential.driver or "", name, tuple(rotating))
        if not running:
            record = replace(record, members=tuple((other.id, other.uid) for other in members), issuer=name, fields=tuple(rotating))
        return RotationUnit(one, members, record, stored, issuer)

    @staticmethod
    def _public(credential: CloudCredential) -> tuple[str, ...]:
        return tuple(name for name in credential.data if name in ("accessKey", "accessKeyId", "clientId", "username"))

    def _sharers(self, credential: CloudCredential, issuer: Issuer, rotating: t.Sequence[str]) -> tuple[CloudCredential, ...]:
        """All credentials that have the key of this one, itself included."""
        def same(other: CloudCredential) -> bool:
            if other.deleting or other.problem or any(name not in other.data for name in rotating):
                return False
            if issuer.drivers and other.driver not in issuer.drivers:
                return False
            if all(other.text(name) == credential.text(name) for name in rotating):
                return True
            try:
                return issuer.lists and issuer.key_id(decoded_values(other)) == issuer.key_id(decoded_values(credential))
            except IssuerError:
                return False

        everybody = self.stored.catalog.by_id.values()
        return tuple(sorted((other for other in everybody if other.id == credential.id or same(other)), key=lambda other: other.id))

    # one rotation

    def _guarded(self, work: t.Callable[[RotationUnit], UnitResult], unit: RotationUnit) -> UnitResult:
        try:
            return work(unit)
        except (RanchhandError, IssuerError) as error:
            return UnitResult(Outcome(unit.record), _told(error))

    def _protocol(self, unit: RotationUnit) -> tuple[RotationProtocol, Snapshot]:
        seen = Snapshot(unit.record if unit.stored else None, unit.stored, tuple(self.stored.live(name) for name, _uid in unit.record.members))
        one = unit.wanted
        due = False
        if one.goal == ROTATED and unit.record.phase == IDLE and one.max_age is not None:
            due_at = due_time(self._made_at(unit), one.max_age, unit.record, one.grace)
            due = due_at is not None and due_at <= datetime.datetime.now(datetime.timezone.utc)
        goal = RotationRequest(
            state=one.goal, token=random_source.token_hex(16), rotation_id=one.rotation_id, reason=one.reason, grace=one.grace, soak=one.soak,
            drain=one.drain, verify_timeout=one.verify_timeout, rollback=one.on_verify_failure == "rollback",
            delete_orphans=one.orphan_policy == "evidence", pause=one.pause_before_cutover, repair=one.repair, due=due,
            **({"default_grace": _SLOW_GRACE} if any(member.driver == "s3" for member in unit.members) else {}),
        )
        return RotationProtocol(goal, unit.issuer, unit.record), seen

    def _rotate(self, unit: RotationUnit) -> UnitResult:
        protocol, seen = self._protocol(unit)
        ending = protocol.decide(seen)
        if ending is not None:
            return UnitResult(ending)
        judged: list[Gate] = []

        def judge(record: RotationRecord) -> tuple[dict[str, str], list[str]]:
            judged[:] = evaluate_gates(self.client, unit.members, record, unit.wanted, unit.issuer)
            return {one.name: one.state for one in judged}, waiting_reasons(judged)

        lease = Lease(self.space, unit.name, protocol.goal.token)
        world = ClusterBackend(
            self.space, unit.issuer, unit.record, {one.id: one.driver or "" for one in unit.members}, lease, unit.wanted.assume_dead,
            lambda lives: self.preflight(unit, lives), judge, self.audit_file,
        )
        try:
            return UnitResult(run_protocol(protocol.go(), world), None, judged)
        except (RanchhandError, IssuerError) as error:
            return UnitResult(Outcome(protocol.record if protocol.steps else unit.record, tuple(protocol.steps)), _told(error), judged)
        finally:
            lease.release()
            self.warnings += world.warnings

    def _plan(self, unit: RotationUnit) -> UnitResult:
        """What a run would do: everything is looked at, nothing is issued."""
        protocol, seen = self._protocol(unit)
        ending = protocol.decide(seen)
        if ending is not None:
            return UnitResult(ending)
        path = protocol.path(seen)
        judged: list[Gate] = []
        if path[0] == PREPARING:
            run_protocol(protocol.preflight(t.cast(t.Tuple[CredentialSnapshot, ...], seen.lives)), _Reader(self, unit))
        elif path in ((DISABLING, DISABLED), (DELETING, IDLE)):
            judged = evaluate_gates(self.client, unit.members, unit.record, unit.wanted, unit.issuer)
        reasons = tuple(waiting_reasons(judged))
        return UnitResult(Outcome(unit.record, () if reasons else path, reasons), None, judged)

    def preflight(self, unit: RotationUnit, lives: t.Sequence[CredentialSnapshot]) -> None:
        """Raises RanchhandError if a rotation must not begin: a missing right, somebody else who writes the credential, a key that does not work."""
        self._check_rights()
        for live in lives:
            if "other_writer" not in unit.wanted.override_gates:
                writer = find_other_writer(self.client.get(f"{SECRETS_PATH}/{name_in_path(live.id)}"))
                if writer:
                    raise RanchhandError("other_writer", f"{CREDENTIAL_NAMESPACE}:{live.id} is kept by {writer}, which would put the old key back; rotate at its "
                                                         "source, or override_gates: [other_writer]")
        try:
            unit.issuer.verify({name: lives[0].values[name] for name in unit.record.fields}, lives[0].values)
        except IssuerError as error:
            if error.code == "refused":
                raise RanchhandError("unusable", f"the current key of {CREDENTIAL_NAMESPACE}:{lives[0].id} does not work, so nothing was begun: {error.message}") from None
            raise

    def _check_rights(self) -> None:
        def may(right: tuple[str, str, str, str]) -> str | None:
            group, resource, namespace, verb = right
            review = self.client.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": {"group": group, "resource": resource, "namespace": namespace, "verb": verb}}})
            return None if (review.get("status") or {}).get("allowed") else f"{verb} {resource} in namespace {namespace}"

        def ask() -> list[str]:
            wanted = [(group, resource, self.space.name if namespace else CREDENTIAL_NAMESPACE, verb)
                      for group, resource, namespace, verbs in REQUIRED_PERMISSIONS for verb in verbs]
            return [missing for missing in self.client.parallel_map(may, wanted) if missing]

        missing = self.client.cached(f"rights {self.space.name}", 60, ask)
        if missing:
            raise RanchhandError("forbidden", f"this connection may not {', '.join(missing)}; docs/rbac/rotation.yaml has all rights that rotations need")

    def _made_at(self, unit: RotationUnit) -> Time | None:
        """When the key in use was made; clouds know it better than the date of a Secret."""
        member = unit.members[0]
        at, source = key_issued_at(member, unit.record, self.stored.live(member.id))
        return source != "record" and key_created_at(unit.issuer, member) or at

    @staticmethod
    def _show(wanted: DesiredRotation, credential: CloudCredential, done: UnitResult) -> dict[str, t.Any]:
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

    def __init__(self, manager: RotationExecutor, unit: RotationUnit) -> None:
        self._manager = manager
        self._unit = unit

    def preflight(self, lives: t.Sequence[CredentialSnapshot]) -> None:
        self._manager.preflight(self._unit, lives)

    def keys(self, by: Mapping[str, str]) -> list[Key]:
        return self._unit.issuer.keys(by)


def _told(error: RanchhandError | IssuerError) -> RanchhandError:
    """What went wrong at a cloud, as a refusal of ours."""
    if isinstance(error, RanchhandError):
        return error
    if error.code == "unreachable":
        return RanchhandError("unreachable", f"{error.message}; what was asked for may have happened, the next run finds out")
    return RanchhandError({"refused": "provider_refused", "limit": "slot_taken"}.get(error.code, error.code), error.message)


def _settings(one: DesiredRotation) -> tuple[t.Any, ...]:
    return tuple(getattr(one, each.name) for each in fields(one) if each.name not in ("where", "name", "id", "driver", "owner"))


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
        raise FailureWithResult(code, "; ".join(where + message for where, _code, message in errors), result)
    return result
