# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The checks of cloud credentials against all other objects that were read. Pure."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import typing as t
from collections import defaultdict
from dataclasses import dataclass, field

from .._common.problems import Problem
from .._common.text import LISTED, short_list
from .._common.times import Time, format_time, parse_time
from .._rancher.cloud_credential import CloudCredential, harvester_token_id
from .._rancher.driver_schema import DriverSchemas
from .._rancher.machine_config import MachineConfig, hidden_fields, pools_with
from .._rancher.machine_pools import HOSTED_DRIVERS, HOSTED_FIELDS, HostedCluster, MachinePool
from .._rancher.node_template import NodeTemplate
from .._rancher.references import TEMPLATE_NAMESPACE, ReferenceIndex, referenced_name
from .._rancher.users import Users
from .._rotation.record import DISABLED, GRACE, IDLE, RotationRecord
from .expiry import CAN_READ_CERTIFICATES, Expiry

# How long a rotation may remain in a phase that has no waiting time, and in other phases after their waiting time.
# Two days mean that two runs of a daily job were missed.
_STEP_LIMIT = datetime.timedelta(hours=1)
_WAIT_LIMIT = datetime.timedelta(days=2)

# The operator of hosted clusters by the field with their credential.
_OPERATORS = {f"spec.{operator}Config.{name}": operator for operator, name in HOSTED_FIELDS.items()}

_SHORTEST_VALUE = 4    # characters of a value that is removed from a message
_LONGEST_ERROR = 200   # characters


@dataclass(frozen=True)
class HealthContext:
    """Everything that credentials are compared with.

    What the connection may not list is None; ``users`` and ``references`` know whether they are complete.
    """

    credentials: t.Sequence[CloudCredential] = field(repr=False)
    schemas: DriverSchemas | None
    users: Users
    references: ReferenceIndex
    templates: t.Sequence[NodeTemplate] | None
    machine_configs: t.Sequence[MachineConfig] | None = field(default=(), repr=False)

    def unchecked(self) -> list[str]:
        """Return the problems that cannot be found, each with the reason."""
        reasons = []
        if not self.users.complete:
            reasons.append("owner_gone: this connection may not list users.management.cattle.io")
        if self.schemas is None:
            reasons.append("driver_inactive: this connection may not list dynamicschemas.management.cattle.io")
        if self.templates is None:
            reasons.append("template_broken: this connection may not list nodetemplates.management.cattle.io")
        if self.machine_configs is None:
            reasons.append(
                "config_contradicts, config_repeats: this connection may not list rke-machine-config.cattle.io"
            )
        if self.references.unlisted:
            reasons.append(f"unused: this connection may not list {', '.join(self.references.unlisted)}")
        if not CAN_READ_CERTIFICATES:
            reasons.append("expired, expires_soon: the Python package cryptography is not installed")
        return reasons


class HealthChecker:
    """Finds the problems of each credential of a context."""

    def __init__(self, context: HealthContext) -> None:
        self._context = context
        self._by_name: dict[t.Any, list[CloudCredential]] = defaultdict(list)
        self._by_key: dict[t.Any, list[CloudCredential]] = defaultdict(list)
        self._templates: dict[str | None, list[NodeTemplate]] = defaultdict(list)
        for credential in sorted(context.credentials, key=lambda credential: credential.id):
            self._by_name[credential.driver, credential.name].append(credential)
            self._by_key[self._key(credential)].append(credential)
        self._configs = {config.id: config for config in context.machine_configs or ()}
        self._pools: dict[str, list[MachinePool]] = defaultdict(list)
        self._failed_syncs: dict[str, list[HostedCluster]] = defaultdict(list)
        for pool in context.references.pools:
            self._pools[pool.credential].append(pool)
        for cluster in context.references.failed_syncs:
            self._failed_syncs[cluster.credential].append(cluster)
        for template in context.templates or ():
            self._templates[referenced_name(template.credential, TEMPLATE_NAMESPACE)].append(template)

    def _key(self, credential: CloudCredential) -> t.Hashable:
        """Return what credentials with the same key share: the id of an AWS key or a token, or all secret values.

        None if the credential has no key.
        """
        if credential.driver in ("amazonec2", "s3"):
            public = credential.data.get("accessKey")
        else:
            public = harvester_token_id(credential)
        if public:
            return public
        schemas = self._context.schemas
        fields = schemas.known_fields(credential.driver) if schemas and credential.driver else None
        return frozenset(
            value for name, value in credential.data.items()
            if value and (not fields or name not in fields or fields[name].secret)
        ) or None

    def key_digest(self, credential: CloudCredential, secret: str) -> str | None:
        """Return a digest that is equal for equal keys, also of other Ranchers; None if the credential has no key."""
        key = self._key(credential)
        parts = sorted(key) if isinstance(key, frozenset) else key
        return hmac.new(secret.encode(), repr(parts).encode(), hashlib.sha256).hexdigest() if key else None

    def problems(self, credential: CloudCredential) -> list[Problem]:
        """Return all problems of a credential except those of its rotation and of tokens and certificates."""
        return [
            *self._unreadable(credential), *self._owner(credential), *self._driver(credential),
            *self._node_templates(credential), *self._duplicates(credential), *self._references(credential),
            *self._machine_pools(credential), *self._hosted_clusters(credential),
        ]

    def _unreadable(self, credential: CloudCredential) -> t.Iterator[Problem]:
        if credential.problem:
            yield Problem("unreadable", credential.problem)

    def _owner(self, credential: CloudCredential) -> t.Iterator[Problem]:
        users = self._context.users
        if users.complete and credential.owner and users.get(credential.owner) is None:
            yield Problem(
                "owner_gone",
                f"its owner {credential.owner:.80} is no longer a user of this Rancher, so only administrators see it",
            )

    def _driver(self, credential: CloudCredential) -> t.Iterator[Problem]:
        schemas = self._context.schemas
        if schemas and credential.driver and credential.driver not in schemas.drivers:
            yield Problem("driver_inactive", f"driver {credential.driver} is not active in this Rancher")

    def _node_templates(self, credential: CloudCredential) -> t.Iterator[Problem]:
        for template in self._templates.get(credential.id, ()):
            reason = template.problem
            if reason is None and template.driver != credential.driver:
                reason = f"has driver {template.driver:.80}"
            if reason:
                message = f"node template {template.name:.80} ({template.full_id}), which uses it, {reason}"
                yield Problem("template_broken", message)

    def _duplicates(self, credential: CloudCredential) -> t.Iterator[Problem]:
        others = _others(self._by_name[credential.driver, credential.name], credential)
        if others:
            yield Problem("duplicate_name", f"has the same name and driver as {others}")
        key = self._key(credential)
        others = _others(self._by_key[key], credential) if key else ""
        if others:
            yield Problem("shared_key", f"contains the same key as {others}")

    def _references(self, credential: CloudCredential) -> t.Iterator[Problem]:
        references = self._context.references
        if not references.unlisted and not references.needed_by(credential):
            history = len(references.references_to(credential))
            yield Problem("unused", "no object refers to it" + (
                f", except {history} that do not need it any more" if history else ""))
        others: dict[str, list[str]] = defaultdict(list)
        for reference in references.references_to(credential):
            operator = _OPERATORS.get(reference.field)
            if operator and credential.driver and credential.driver != HOSTED_DRIVERS[operator]:
                others[operator].append(reference.name)
            if reference.kind == "Cluster" and not reference.resolved:
                message = (
                    f"{reference} spells it {reference.value:.80}, which Rancher does not resolve, so that it applies "
                    f"no change of the cluster; write {credential.full_id}"
                )
                yield Problem("reference_unresolved", message)
        for operator, names in sorted(others.items()):
            yield Problem("driver_mismatch", (
                f"{operator.upper()} cluster {short_list(sorted(names))}, which uses it, needs a credential of driver "
                f"{HOSTED_DRIVERS[operator]}"))

    def _machine_pools(self, credential: CloudCredential) -> t.Iterator[Problem]:
        pools = pools_with(credential, [*self._pools[credential.full_id], *self._pools[credential.id]])
        others: dict[str, list[MachinePool]] = defaultdict(list)
        for pool in pools:
            if credential.driver and pool.driver != credential.driver:
                others[pool.driver].append(pool)
        for driver, found in sorted(others.items()):
            message = f"pool {_names(found)}, which uses it, creates machines of driver {driver}"
            yield Problem("driver_mismatch", message)
        hidden: dict[tuple[str, bool], list[MachinePool]] = defaultdict(list)
        for item in hidden_fields(credential, pools, self._configs, self._context.schemas):
            hidden[item.name, item.differs].append(item.pool)
        for (name, differs), found in sorted(hidden.items()):
            if differs:
                yield Problem("config_contradicts", (
                    f"the machine config of pool {_names(found)} sets {name} to another value, which new machines get "
                    "instead of the credential's"))
            else:
                yield Problem("config_repeats", (
                    f"the machine config of pool {_names(found)} sets {name} too, so new machines would not get "
                    "another value that the credential gets"))

    def _hosted_clusters(self, credential: CloudCredential) -> t.Iterator[Problem]:
        for cluster in self._failed_syncs[credential.full_id]:
            message = f"the last sync of {cluster} with it failed: {_without_values(cluster.error, credential)}"
            yield Problem("sync_failed", message)


def _names(pools: t.Iterable[MachinePool]) -> str:
    return short_list(sorted(map(str, pools)))


def _without_values(text: str, credential: CloudCredential) -> str:
    """Return a text of a cloud provider or Rancher in one line, without the values of a credential."""
    for name in credential.data:
        value = credential.text(name)
        if len(value) >= _SHORTEST_VALUE:
            text = text.replace(value, "…")
    text = " ".join(text.split())
    return text[:_LONGEST_ERROR] + ("…" if len(text) > _LONGEST_ERROR else "")


def _others(group: t.Sequence[CloudCredential], credential: CloudCredential) -> str:
    """Return the first ids of the other credentials, and how many there are; "" if there are none."""
    ids = [other.full_id for other in group[:LISTED + 1] if other.id != credential.id]
    return short_list(ids, len(group) - 1)


def expiry_problems(expiries: t.Iterable[Expiry], now: Time, expires_within: datetime.timedelta) -> list[Problem]:
    """Return what has expired or expires within a period."""
    problems = []
    for expires_at, subject in expiries:
        if expires_at <= now:
            problems.append(Problem("expired", f"{subject} expired at {format_time(expires_at)}"))
        elif expires_at - expires_within <= now:
            problems.append(Problem("expires_soon", f"{subject} expires at {format_time(expires_at)}"))
    return problems


def rotation_problems(record: RotationRecord | None, due_at: Time | None, now: Time) -> list[Problem]:
    """Return whether a key is overdue or its rotation makes no progress."""
    late = now - due_at if due_at else datetime.timedelta(0)
    if record is None or record.phase == IDLE:
        overdue = Problem("overdue", f"its key was due for rotation {late.days} days ago")
        return [overdue] if late > datetime.timedelta(0) else []
    stuck = late if record.phase in (GRACE, DISABLED) else _time_in_phase(record, now)
    if stuck <= (_WAIT_LIMIT if record.phase in (GRACE, DISABLED) else _STEP_LIMIT):
        return []
    hours = int(stuck.total_seconds() // 3600)
    message = f"its rotation has been in phase {record.phase} for {hours} hours longer than expected"
    return [Problem("stuck_rotation", message)]


def _time_in_phase(record: RotationRecord, now: Time) -> datetime.timedelta:
    since: Time = record.started_at or now
    if record.transitions:
        since = parse_time(record.transitions[-1]["at"])
    return now - since
