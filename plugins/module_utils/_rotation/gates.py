# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What has to be over before an old key may be switched off: time, and whatever still holds it.

PRIVATE to the collection. Pure: judges what was read.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import gzip
import json
import re
import typing as t
from collections.abc import Mapping

from .._rancher.references import Reference
from ..issuer import Key

OPEN, WAITING, UNKNOWN = "open", "waiting", "unknown"

# The first versions whose machine delete jobs read the credential anew (rancher/machine rm --update-config).
_READS_ANEW = (2, 7, 12)
Time = datetime.datetime


class Gate(t.NamedTuple):
    """``detail`` ends the sentence "waiting for …", or says why a gate is open or cannot be judged."""

    name: str
    state: str
    detail: str

    def show(self) -> dict[str, str]:
        return {"name": self.name, "state": self.state, "detail": self.detail}


def until(name: str, moment: Time | None, now: Time) -> Gate:
    """A gate that opens at a time."""
    if moment is None:
        return Gate(name, UNKNOWN, "the record does not say when it began")
    told = moment.isoformat(timespec="seconds")
    return Gate(name, OPEN, f"over since {told}") if now >= moment else Gate(name, WAITING, f"{told}")


def machine_jobs(jobs: t.Iterable[Mapping[str, t.Any]] | None, machines: t.Collection[tuple[str | None, str]] | None, cutover: Time) -> Gate:
    """Jobs that create or remove machines keep the key that was there when they began (rancher pkg/controllers/capr/machineprovision)."""
    name = "machine_jobs"
    if jobs is None or machines is None:
        return Gate(name, UNKNOWN, "this connection may not list jobs.batch and machines in all namespaces")
    running = []
    for job in jobs:
        metadata, status = job["metadata"], job.get("status") or {}
        machine = (metadata.get("labels") or {}).get("rke.cattle.io/infra-machine-name")
        begun = _time(status.get("startTime") or metadata.get("creationTimestamp"))
        over = any(one.get("type") in ("Complete", "Failed") and one.get("status") == "True" for one in status.get("conditions") or ())
        if machine and not over and (metadata.get("namespace"), machine) in machines and (begun is None or begun <= cutover):
            running.append(f"{metadata.get('namespace')}/{metadata['name']}")
    if running:
        return Gate(name, WAITING, f"the end of {_several(running)}, begun before the cutover")
    return Gate(name, OPEN, "no machine job from before the cutover is running")


def etcd_s3(plans: t.Iterable[Mapping[str, t.Any]] | None, used: bool, needles: t.Collection[str]) -> Gate:
    """Plans of etcd nodes that still carry the old key: they get the new one when the planner next runs (rancher pkg/capr/planner)."""
    name = "etcd_s3"
    if not used:
        return Gate(name, OPEN, "no etcd snapshots are stored with it")
    if plans is None:
        return Gate(name, UNKNOWN, "this connection may not list secrets in all namespaces")
    carrying = [
        f"{plan['metadata'].get('namespace')}/{plan['metadata']['name']}" for plan in plans
        if any(needle in text for text in _texts(plan.get("data") or {}) for needle in needles)
    ]
    if carrying:
        return Gate(name, WAITING, f"new plans of etcd nodes in place of {_several(carrying)}, which still carry the old key")
    return Gate(name, OPEN, "no plan of an etcd node carries the old key")


def rke1_nodes(references: t.Sequence[Reference] | None, driver: str) -> Gate:
    """Nodes of RKE1 keep the values they were made with; only those of amazonec2 are refreshed (rancher pkg/controllers/management/node)."""
    name = "rke1_nodes"
    if references is None:
        return Gate(name, UNKNOWN, "this connection may not list nodes.management.cattle.io in all namespaces")
    nodes = [f"{one.namespace}/{one.name}" for one in references if one.kind == "Node"]
    if nodes and driver != "amazonec2":
        return Gate(name, WAITING, f"the end of {_several(nodes)}, which keep the old key")
    return Gate(name, OPEN, "no RKE1 node keeps the old key")


def rancher_version(setting: str, references: t.Sequence[Reference] | None) -> Gate:
    """Before 2.7.12 a machine is deleted with the key it was created with."""
    name = "rancher_version"
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", setting)
    if found and tuple(map(int, found.groups())) >= _READS_ANEW:
        return Gate(name, OPEN, "this Rancher deletes machines with the key of the day")
    if references is None:
        return Gate(name, UNKNOWN, "this connection may not list machines in all namespaces")
    machines = [f"{one.namespace}/{one.name}" for one in references if one.kind.endswith("Machine")]
    if not machines:
        return Gate(name, OPEN, "no machine uses it")
    if not found:
        says = "says no number" if setting else "may not be read"
        return Gate(name, UNKNOWN, f"the setting server-version {says}, and Rancher before 2.7.12 needs the old key to delete {_several(machines)}")
    return Gate(name, WAITING, f"the end of {_several(machines)}, which a Rancher before 2.7.12 deletes with the key they were made with")


def last_used(keys: t.Sequence[Key] | None, key_id: str, quiet: datetime.timedelta, now: Time) -> Gate:
    """The key's last use, where the cloud tells; without a time to be quiet for it does not matter."""
    name = "last_used"
    key = next((one for one in keys or () if one.id == key_id), None)
    if key is None or key.last_used is None:
        return Gate(name, OPEN, "the cloud tells of no use")
    told = key.last_used.isoformat(timespec="seconds")
    if quiet and now - key.last_used < quiet:
        return Gate(name, WAITING, f"the old key to be unused for {int(quiet.total_seconds())} s; it was used at {told}")
    return Gate(name, OPEN, f"last used at {told}")


def _time(text: t.Any) -> Time | None:
    try:
        return datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None


def _several(names: t.Sequence[str]) -> str:
    return ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _texts(data: Mapping[str, str]) -> t.Iterator[str]:
    """All that a plan says, also within the files that it holds as base64, compressed or not (rancher/system-agent pkg/applyinator)."""
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
