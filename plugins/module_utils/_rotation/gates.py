# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Gates of a rotation: conditions for retiring an old key. Pure: evaluates what was read."""

from __future__ import annotations

import base64
import binascii
import datetime
import gzip
import json
import re
import typing as t
from collections.abc import Mapping

from .._common.times import Time, format_duration, format_time, parse_time
from .._rancher.references import Reference
from ..issuer import Key
from .checks import SKEW, way_back
from .record import RotationRecord

OPEN, WAITING, UNKNOWN = "open", "waiting", "unknown"

# The first version whose machine delete jobs read the credential again (rancher/machine rm --update-config).
_READS_CREDENTIAL_AGAIN = (2, 7, 12)


class Gate(t.NamedTuple):
    """The state of a gate.

    ``detail`` is what it waits for ("waiting for …"), or why it is open or cannot be evaluated.
    """

    name: str
    state: str
    detail: str

    def show(self) -> dict[str, str]:
        return {"name": self.name, "state": self.state, "detail": self.detail}


def until(name: str, moment: Time | None, now: Time) -> Gate:
    """A gate that opens at a time."""
    if moment is None:
        return Gate(name, UNKNOWN, "the record has no start of this time")
    if now >= moment:
        return Gate(name, OPEN, f"over since {format_time(moment)}")
    return Gate(name, WAITING, format_time(moment))


def machine_jobs(
    jobs: t.Iterable[Mapping[str, t.Any]] | None, machines: t.Collection[tuple[str | None, str]] | None, cutover: Time
) -> Gate:
    """Machine jobs keep the key that they were created with (rancher pkg/controllers/capr/machineprovision).

    The clocks of the API server and of the machine that cut over may differ.
    """
    name = "machine_jobs"
    if jobs is None or machines is None:
        return Gate(name, UNKNOWN, "this connection may not list jobs.batch and machines in all namespaces")
    running = []
    for job in jobs:
        metadata, status = job["metadata"], job.get("status") or {}
        machine = (metadata.get("labels") or {}).get("rke.cattle.io/infra-machine-name")
        created = _parse(metadata.get("creationTimestamp"))
        conditions = status.get("conditions") or ()
        ended = any(
            condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True"
            for condition in conditions
        )
        used = machine and (metadata.get("namespace"), machine) in machines
        if used and not ended and (created is None or created <= cutover + SKEW):
            running.append(f"{metadata.get('namespace')}/{metadata['name']}")
    if running:
        return Gate(name, WAITING, f"the end of {_several(running)}, created before the cutover or at most 5m after it")
    return Gate(name, OPEN, "no machine job from before the cutover is running")


def etcd_s3(plans: t.Iterable[Mapping[str, t.Any]] | None, used: bool, key_ids: t.Collection[str]) -> Gate:
    """Plans of etcd nodes contain the old key until the planner runs again (rancher pkg/capr/planner)."""
    name = "etcd_s3"
    if not used:
        return Gate(name, OPEN, "no etcd snapshots are stored with it")
    if plans is None:
        return Gate(name, UNKNOWN, "this connection may not list secrets in all namespaces")
    outdated = [
        f"{plan['metadata'].get('namespace')}/{plan['metadata']['name']}" for plan in plans
        if any(key_id in text for text in _texts(plan.get("data") or {}) for key_id in key_ids)
    ]
    if outdated:
        return Gate(
            name, WAITING, f"new plans of etcd nodes instead of {_several(outdated)}, which contain the old key"
        )
    return Gate(name, OPEN, "no plan of an etcd node contains the old key")


def rke1_nodes(references: t.Sequence[Reference] | None, driver: str) -> Gate:
    """RKE1 nodes keep their first key, except with amazonec2 (rancher pkg/controllers/management/node)."""
    name = "rke1_nodes"
    if references is None:
        return Gate(name, UNKNOWN, "this connection may not list nodes.management.cattle.io in all namespaces")
    nodes = [f"{reference.namespace}/{reference.name}" for reference in references if reference.kind == "Node"]
    if nodes and driver != "amazonec2":
        return Gate(name, WAITING, f"the deletion of {_several(nodes)}, which keep the old key")
    return Gate(name, OPEN, "no RKE1 node keeps the old key")


def rancher_version(setting: str, references: t.Sequence[Reference] | None) -> Gate:
    """Rancher before 2.7.12 deletes a machine with the key that the machine was created with."""
    name = "rancher_version"
    version = re.match(r"v?(\d+)\.(\d+)\.(\d+)", setting)
    if version and tuple(map(int, version.groups())) >= _READS_CREDENTIAL_AGAIN:
        return Gate(name, OPEN, "this Rancher deletes machines with the current key")
    if references is None:
        return Gate(name, UNKNOWN, "this connection may not list machines in all namespaces")
    machines = [
        f"{reference.namespace}/{reference.name}" for reference in references if reference.kind.endswith("Machine")
    ]
    if not machines:
        return Gate(name, OPEN, "no machine uses it")
    if not version:
        reason = "is not a version number" if setting else "cannot be read"
        return Gate(
            name,
            UNKNOWN,
            (
                f"the setting server-version {reason}, and Rancher before 2.7.12 needs the old key to delete "
                f"{_several(machines)}"
            ),
        )
    return Gate(
        name,
        WAITING,
        (
            f"the deletion of {_several(machines)}: Rancher before 2.7.12 deletes machines with the key they were "
            "created with"
        ),
    )


def old_key_identity(record: RotationRecord, current_key_id: str | None, removed: bool) -> Gate:
    """The old key has to be named by the user before it is retired, if the provider does not report its id."""
    name = "old_key_identity"
    if removed:
        return Gate(name, OPEN, "the old key was removed")
    if current_key_id:
        return Gate(name, OPEN, f"current_key_id names the old key {current_key_id}")
    return Gate(name, WAITING, (
        f"the id of the old key of {record.names}, which the provider does not report: set current_key_id to it, or "
        "remove the key at the provider and confirm this with old_key_removed: true"))


def last_used(
    keys: t.Sequence[Key] | None, key_id: str | None, unused_for: datetime.timedelta, now: Time, is_reported: bool
) -> Gate:
    """The last use of a key, if the provider reports it. With an ``unused_for`` of zero it does not matter."""
    name = "last_used"
    key = next((key for key in keys or () if key.id == key_id), None)
    if key is None or key.last_used is None:
        never = is_reported and key is not None
        return Gate(name, OPEN, "the old key was never used" if never else "the provider reports no use")
    used = format_time(key.last_used)
    if unused_for and now - key.last_used < unused_for:
        return Gate(
            name,
            WAITING,
            f"the old key to be unused for {format_duration(unused_for.total_seconds())}; it was used at {used}",
        )
    return Gate(name, OPEN, f"last used at {used}")


def used_in_soak(keys: t.Sequence[Key] | None, record: RotationRecord) -> Gate:
    """Whether the old key was used after it was disabled: another client enabled it, and still needs it."""
    name = "last_used"
    old, disabled_at = record.old_key.key, record.disabled_at
    used = next((key.last_used for key in keys or () if key.id == old), None)
    if used is None or disabled_at is None or used <= disabled_at + SKEW:
        return Gate(name, OPEN, "the provider reports no use of the old key after it was disabled")
    return Gate(
        name,
        WAITING,
        (
            f"a decision: the old key {old} was used at {format_time(used)}, after it was disabled at "
            f"{format_time(disabled_at)}, so another client enabled it and needs it. {way_back(record)}; "
            "override_gates: [last_used] deletes it anyway"
        ),
    )


def _parse(text: t.Any) -> Time | None:
    try:
        return parse_time(str(text))
    except ValueError:
        return None


def _several(names: t.Sequence[str]) -> str:
    return ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _texts(data: Mapping[str, str]) -> t.Iterator[str]:
    """All texts of a plan and of its files: base64, perhaps compressed (rancher/system-agent pkg/applyinator)."""
    for value in data.values():
        text = _decoded(value)
        yield text
        try:
            plan = json.loads(text)
        except ValueError:
            continue
        for leaf in _leaves(plan):
            yield _decoded(leaf)


def _leaves(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for element in value:
            yield from _leaves(element)
    elif isinstance(value, str):
        yield value


def _decoded(text: str) -> str:
    try:
        raw = base64.b64decode(text, validate=True)
        return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode(errors="replace")
    except (binascii.Error, ValueError, OSError, EOFError):
        return text
