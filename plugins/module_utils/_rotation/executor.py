# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Executes cloud_credential_rotation.

Runs on the controller only, because issuers of other collections cannot be loaded anywhere else.
"""

from __future__ import annotations

import secrets as random_source
import time
import typing as t
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from .._common.errors import ErrorCode, FailureWithResult, RanchhandError, internal_error
from .._common.times import Time, now
from .._issuers.throttle import CallRates, ThrottledIssuer
from .._kubernetes.client import KubernetesClient
from .._rancher.queries import list_cloud_credentials, read_schemas, read_users
from .._rancher.users import Users
from .._runtime.execute import Connect, RunMode
from .._stores.registry import MEMBER, expand_stores
from ..issuer import IssuerError, Key
from .backend import ClusterBackend, RunContext
from .cluster_gates import cluster_gates, evaluate_gates
from .decisions import ABORTED, ADOPTED, FORGOTTEN, RETIRED, ROLLED_BACK, ROTATED, START, Decision, RotationRequest
from .external_stores import GATE, StoreAccess, check_before_start, check_external_cutover, external_store_gate
from .gates import OPEN, UNKNOWN, Gate
from .lease import Lease
from .options import parse_rotations
from .preflight import check_start
from .protocol import Outcome, RotationProtocol, Snapshot, run_protocol
from .record import GRACE, IDLE, CredentialSnapshot, RotationRecord, Values
from .resolver import Resolution, ResolvedItem, RotationUnit, resolve
from .status import due_time, key_issued_at, shared_key, show_rotation, waiting_reasons
from .store import RotationStore, read_history

# The last step of a run that reached the requested state.
_REACHED = {
    ROTATED: (GRACE,), RETIRED: (IDLE,), ROLLED_BACK: (IDLE,), ABORTED: (IDLE,), ADOPTED: (GRACE, IDLE),
    FORGOTTEN: (FORGOTTEN,),
}

# s3: seconds until the planner has written a new key to the etcd nodes of a cluster that is not changed otherwise
_S3_GRACE = 604800

# Codes of IssuerError that have another name in the result of the module.
_ISSUER_CODES: Mapping[str, ErrorCode] = {
    "refused": "provider_refused",
    "forbidden": "provider_refused",
    "busy": "throttled",
    "limit": "slot_taken",
    "invalid": "invalid",
    "unsupported": "unsupported",
    "unreachable": "unreachable",
}


def manage_rotations(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """Run each requested rotation as far as is safe now."""
    desired = parse_rotations(params)
    if not desired:
        return {"changed": False, "rotations": []}
    client = connect()
    by_owner = any(item.owner for item in desired)
    credentials, history, users = client.parallel_reads(
        lambda: list_cloud_credentials(client), lambda: read_history(client, params["namespace"]),
        lambda: read_users(client) if by_owner else Users(()))
    store = RotationStore(credentials, history)
    resolution = resolve(
        desired, store, users, lambda: client.cached("schemas", 300, lambda: read_schemas(client)),
        CallRates(params["rate"]),
    )
    executor = RotationExecutor(client, history.namespace, store, params["audit_file"])
    execute = executor.foretell if mode.check else executor.execute
    units = interleave(list(resolution.units.values()), executor.account)
    done = client.parallel_map(execute, units, params["parallel"])
    results = {unit.name: result for unit, result in zip(units, done)}
    return _combine_results(resolution, results, executor.warnings, params.get("credentials") is not None)


def interleave(units: t.Sequence[RotationUnit], account: t.Callable[[RotationUnit], str]) -> list[RotationUnit]:
    """Order units so that neighbours are in different accounts, and do not wait for each other's calls."""
    turns: dict[str, int] = defaultdict(int)
    order = []
    for position, unit in enumerate(units):
        name = account(unit)
        order.append((turns[name], position, unit))
        turns[name] += 1
    return [unit for _turn, _position, unit in sorted(order, key=lambda entry: entry[:2])]


class UnitResult(t.NamedTuple):
    """The result of a unit."""

    outcome: Outcome
    error: RanchhandError | None = None
    gates: t.Sequence[Gate] = ()


class RotationExecutor:
    """Executes the rotations of a task, each of them alone."""

    def __init__(
        self, client: KubernetesClient, namespace: t.Any, store: RotationStore, audit_file: str | None
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._store = store
        self._audit_file = audit_file
        self._key_times: dict[str, Time | None] = {}  # creation of keys, as far as providers were asked
        self.warnings: list[str] = []

    def account(self, unit: RotationUnit) -> str:
        """Return what shares the rate of calls with a unit."""
        if not isinstance(unit.issuer, ThrottledIssuer) or not unit.members:
            return unit.name
        return unit.issuer.account(self._store.values(unit.members[0]))

    def execute(self, unit: RotationUnit) -> UnitResult:
        return self._decide(unit, self._run)

    def foretell(self, unit: RotationUnit) -> UnitResult:
        """Return what a run would do. Everything is read, nothing is written or issued."""
        return self._decide(unit, self._predict)

    def _decide(
        self, unit: RotationUnit, act: t.Callable[[RotationUnit, RotationProtocol, Snapshot, Decision], UnitResult]
    ) -> UnitResult:
        try:
            protocol, snapshot = self._protocol(unit)
            decision = protocol.decide(snapshot)
            if not decision.step:
                return UnitResult(protocol.stop(decision, snapshot))
            _check_rollback(unit)
            if unit.is_cutover_external and unit.desired.requested_state != FORGOTTEN:
                stores = unit.record.with_stores(_requested_stores(unit)).external_stores
                check_external_cutover(unit.record.names, stores, unit.issuer)
            return act(unit, protocol, snapshot, decision)
        except (RanchhandError, IssuerError) as error:
            return UnitResult(Outcome(unit.record), _as_failure(error))
        except Exception as error:  # a bug that one unit triggers must not stop the others
            return UnitResult(Outcome(unit.record), internal_error(error))

    def _protocol(self, unit: RotationUnit) -> tuple[RotationProtocol, Snapshot]:
        desired = unit.desired
        default_grace = {"default_grace": _S3_GRACE} if any(member.driver == "s3" for member in unit.members) else {}
        request = RotationRequest(
            state=desired.requested_state,
            token=random_source.token_hex(16),
            rotation_id=desired.rotation_id,
            reason=desired.reason,
            grace=desired.grace,
            soak=desired.soak,
            drain=desired.drain,
            verify_timeout=desired.verify_timeout,
            rollback=desired.on_verify_failure == "rollback",
            delete_orphans=desired.orphan_policy == "evidence",
            pause=desired.pause_before_cutover,
            repair=desired.repair,
            current_key_id=desired.current_key_id,
            old_key_removed=desired.old_key_removed,
            due=self._is_due(unit),
            external_stores=_requested_stores(unit),
            skip_stores=GATE in desired.override_gates,
            cutover=desired.cutover,
            **default_grace,
        )
        record = None if unit.config_map is None else unit.record
        credentials = tuple(self._store.live(name) for name, _uid in unit.record.members)
        return RotationProtocol(request, unit.issuer, unit.record), Snapshot(record, unit.config_map, credentials)

    def _is_due(self, unit: RotationUnit) -> bool:
        """Whether the key in use has reached its maximum age.

        The provider is asked only for a key that was never rotated: it may be older or newer than its Secret.
        """
        desired = unit.desired
        if desired.requested_state != ROTATED or unit.record.phase != IDLE or desired.max_age is None:
            return False
        member = unit.members[0]
        created_at, source = key_issued_at(member, unit.record, self._store.live(member.id))
        if source != "record" and unit.issuer.lists:
            created_at = self._key_time(unit) or created_at
        due_at = due_time(created_at, desired.max_age, unit.record, desired.grace)
        return due_at is not None and due_at <= now()

    def _key_time(self, unit: RotationUnit) -> Time | None:
        """Return when the provider created the key of a unit; lists the keys of each principal once."""
        values = self._store.values(unit.members[0])
        key_id = unit.issuer.identify(values, values)
        if key_id is None:
            return None
        if key_id not in self._key_times:
            self._key_times.update({key.id: key.created_at for key in unit.issuer.keys(values)})
        return self._key_times.get(key_id)

    def _run(
        self, unit: RotationUnit, protocol: RotationProtocol, snapshot: Snapshot, decision: Decision
    ) -> UnitResult:
        gates: list[Gate] = []

        def evaluate(record: RotationRecord) -> tuple[dict[str, str], list[str]]:
            gates[:] = self._evaluate(unit, record)
            return {gate.name: gate.state for gate in gates}, waiting_reasons(gates)

        lease = Lease(self._namespace, unit.name, protocol.request.token)
        backend = ClusterBackend(
            self._namespace,
            unit.issuer,
            RunContext(
                unit.record,
                {member.id: member.driver or "" for member in unit.members},
                lease,
                unit.desired.assume_dead,
                self._audit_file,
                lambda credentials: self._check_start(unit, credentials),
                evaluate,
                self._stores_of(unit),
            ),
        )
        try:
            return UnitResult(run_protocol(protocol.run(), backend), None, gates)
        except (RanchhandError, IssuerError) as error:
            record = protocol.record if protocol.steps else unit.record
            return UnitResult(Outcome(record, tuple(protocol.steps)), _as_failure(error), gates)
        finally:
            lease.release()
            self.warnings += backend.warnings

    def _evaluate(self, unit: RotationUnit, record: RotationRecord) -> list[Gate]:
        record = record.with_stores(_requested_stores(unit))
        gates = evaluate_gates(
            self._client, unit.members, record, unit.desired, unit.issuer, lambda: self._gates_elsewhere(unit, record))
        if unit.others_old:
            gates.append(shared_key(unit.others_old, "shared_key" in unit.desired.override_gates))
        if record.external_stores:
            gates.append(self._evaluate_stores(unit, record))
        return gates

    def _evaluate_stores(self, unit: RotationUnit, record: RotationRecord) -> Gate:
        if GATE in unit.desired.override_gates:
            return Gate(GATE, OPEN, "overridden: the external stores were not read")
        return external_store_gate(record, self._stores_of(unit).read_all(record))

    def _gates_elsewhere(self, unit: RotationUnit, record: RotationRecord) -> t.Iterator[Gate]:
        """Evaluate the gates of the other Ranchers that contain the key, since the last of them got the new one."""
        if GATE in unit.desired.override_gates:
            return
        handed_over = replace(record, cutover_at=record.handed_over_at or record.cutover_at)
        for settings in record.external_stores:
            if settings["type"] != MEMBER:
                continue
            try:
                client, credential = self._stores_of(unit).open_member(settings)
                gates = cluster_gates(client, [credential], handed_over)
            except (IssuerError, RanchhandError) as error:
                gates = [Gate(GATE, UNKNOWN, error.message.rstrip("."))]
            for gate in gates:
                yield gate._replace(detail=f"in {settings['name']}, {gate.detail}")

    def _stores_of(self, unit: RotationUnit) -> StoreAccess:
        return StoreAccess(unit.desired.external_store_secrets, self._store)

    def _predict(
        self, unit: RotationUnit, protocol: RotationProtocol, snapshot: Snapshot, decision: Decision
    ) -> UnitResult:
        gates: list[Gate] = []
        if decision.step == START.step:
            credentials = t.cast("tuple[CredentialSnapshot, ...]", snapshot.credentials)
            run_protocol(protocol.preflight(credentials), _PreflightBackend(self, unit))
        elif decision.gated:
            gates = self._evaluate(unit, unit.record)
        reasons = tuple(waiting_reasons(gates))
        return UnitResult(Outcome(unit.record, () if reasons else decision.phases, reasons), None, gates)

    def _check_start(self, unit: RotationUnit, credentials: t.Sequence[CredentialSnapshot]) -> None:
        check_start(self._client, self._namespace.name, unit, credentials)
        record = unit.record.with_stores(_requested_stores(unit))
        is_source = unit.is_cutover_external
        for settings in () if GATE in unit.desired.override_gates and not is_source else record.external_stores:
            found = self._stores_of(unit).read(settings, record.fields)
            check_before_start(settings, credentials[0], found.digests, record.fields, is_source)


class _PreflightBackend:
    """The calls of a preflight in check mode, which write nothing."""

    def __init__(self, executor: RotationExecutor, unit: RotationUnit) -> None:
        self._executor = executor
        self._unit = unit

    def preflight(self, credentials: t.Sequence[CredentialSnapshot]) -> None:
        self._executor._check_start(self._unit, credentials)  # pylint: disable=protected-access

    def identify(self, values: Values, by: Values) -> str | None:
        return self._unit.issuer.identify(values, by)

    def keys(self, by: Values) -> list[Key]:
        return self._unit.issuer.keys(by)

    def now(self) -> Time:
        return now()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def _requested_stores(unit: RotationUnit) -> tuple[Mapping[str, t.Any], ...] | None:
    """Return the external stores of the task; None if it sets none, so that those of the record apply."""
    stores = unit.desired.external_stores
    return None if stores is None else expand_stores(stores, unit.record.members[0][0])


def _check_rollback(unit: RotationUnit) -> None:
    """Raise RanchhandError if credentials that are no members use the new key, which a rollback deletes."""
    if unit.desired.requested_state == ROLLED_BACK and unit.others_new:
        raise RanchhandError("shared_key", (
            f"cannot roll back {unit.record.names}: {', '.join(unit.others_new)} contains the new key too, which would "
            "be deleted. Write the old key to it first."
        ))


def _as_failure(error: RanchhandError | IssuerError) -> RanchhandError:
    """Return the failure of the module for an error of an issuer."""
    if isinstance(error, RanchhandError):
        return error
    if error.code == "unreachable":
        return RanchhandError(
            "unreachable", f"{error.message}. The request may have been performed; run the task again to find out."
        )
    return RanchhandError(_ISSUER_CODES.get(error.code, "invalid"), error.message)


def _combine_results(
    resolution: Resolution, results: Mapping[str, UnitResult], warnings: list[str], is_list: bool
) -> dict[str, t.Any]:
    """Return the result of the module. Raises FailureWithResult if an item failed."""
    rotations, errors = [], []
    for item in resolution.items:
        result = results[item.unit] if item.unit else UnitResult(Outcome(None), item.error)
        rotations.append(_show_item(item, result))
        if result.error:
            errors.append((item.desired.where + result.error.message, result.error.code))
    combined: dict[str, t.Any] = {"changed": any(rotation["steps"] for rotation in rotations)}
    if is_list:
        combined["rotations"] = rotations
    else:
        combined["rotation"] = rotations[0]
    if warnings:
        combined["warnings"] = warnings
    if errors:
        codes = {code for _message, code in errors}
        same = len(codes) == 1 and len(errors) == len(rotations)
        code: ErrorCode = codes.pop() if same or not is_list else "partial"
        raise FailureWithResult(code, "; ".join(message for message, _code in errors), combined)
    return combined


def _show_status(item: ResolvedItem, record: RotationRecord | None) -> dict[str, t.Any]:
    if item.id is not None:
        return show_rotation(item.id, item.credential, record)
    desired = item.desired
    shown = show_rotation(desired.id or "", None, None)
    shown.update(name=desired.name, driver=desired.driver, owner=desired.owner, members=[], phase=None)
    if desired.id is None:
        shown["id"] = None
    return shown


def _show_item(item: ResolvedItem, result: UnitResult) -> dict[str, t.Any]:
    requested, steps, error = item.desired.requested_state, result.outcome.steps, result.error
    if error:
        action = "failed"
    elif steps and steps[-1] in _REACHED[requested]:
        action = requested
    else:
        action = "advanced" if steps else "unchanged"
    shown = {
        **_show_status(item, result.outcome.record), "action": action, "steps": list(steps),
        "waiting_for": list(result.outcome.waiting),
    }
    if result.gates:
        shown["gates"] = [gate.show() for gate in result.gates]
    if error:
        shown.update(msg=error.message, code=error.code)
    return shown
