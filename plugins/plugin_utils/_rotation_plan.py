# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning for the roles rotate and retire and the playbook leaked_key. Pure.

A rotation is the mapping that ``cloud_credential_rotation`` returns for a credential. Credentials that share a key are
rotated together: they form a unit, which is identified by the first id of ``members``. No function here handles a
secret, except ``items_for_call``, ``items_to_retire`` and ``find_members``, which do not read those of an item.
"""

from __future__ import annotations

import datetime
import math
import re
import typing as t
from collections.abc import Collection, Iterable, Mapping, Sequence

from ..module_utils._common.times import Time, now, parse_duration, parse_time
from ..module_utils._rotation.record import DISABLED, GRACE, IDLE

Rotation = t.Mapping[str, t.Any]
Item = t.Dict[str, t.Any]
Progress = t.Dict[str, t.Any]

_RING = re.compile(r"([1-9][0-9]*)(%?)")


def unit_of(rotation: Rotation) -> str:
    """Return the id of the unit that a rotation belongs to; an item that matches no credential is its own unit."""
    return str(rotation["members"][0] if rotation["members"] else rotation["id"] or rotation["name"])


def first_of_each_unit(rotations: Iterable[Rotation]) -> list[Rotation]:
    """Return one rotation for each unit, in order."""
    found: dict[str, Rotation] = {}
    for rotation in rotations:
        found.setdefault(unit_of(rotation), rotation)
    return list(found.values())


def due_units(plan: Iterable[Rotation]) -> list[str]:
    """Return the units that a run in check mode would change, in order, without those that cannot be rotated."""
    return [unit_of(rotation) for rotation in first_of_each_unit(plan) if rotation["steps"] and "code" not in rotation]


def ring_size(size: object, total: int) -> int:
    """Return how many of ``total`` units a ring may reach: a number, or a percentage rounded up.

    Raises:
        ValueError: ``size`` is neither.
    """
    match = _RING.fullmatch(str(size))
    if match is None:
        raise ValueError("a ring must be a positive number or percentage, such as 1 or 10%")
    number = int(match.group(1))
    return min(total, math.ceil(number * total / 100) if match.group(2) else number)


def split_into_rings(plan: Iterable[Rotation], sizes: Sequence[object]) -> list[list[str]]:
    """Split the units that are due into rings."""
    return split_list(due_units(plan), sizes)


def split_list(units: Sequence[str], sizes: Sequence[object]) -> list[list[str]]:
    """Split a list into rings. Each size counts from the first element; empty rings are left out."""
    rings: list[list[str]] = []
    begin = 0
    for size in sizes:
        end = max(begin, ring_size(size, len(units)))
        if end > begin:
            rings.append(list(units[begin:end]))
        begin = end
    return rings


def items_for_call(
    credentials: Sequence[Mapping[str, t.Any]],
    rotations: Sequence[Rotation],
    units: Collection[str] | None,
    options: Mapping[str, t.Any],
    members: Sequence[Mapping[str, t.Any]] = (),
) -> list[Item]:
    """Return the items of a call of ``cloud_credential_rotation``.

    Args:
        credentials: Items of the user; if empty, each of ``rotations`` becomes an item.
        rotations: What the module returned for these items, in the same order. Only needed with ``units``, or without
            ``credentials``.
        units: Units to keep, all if None.
        options: Options that replace those of each item.
        members: What ``find_members`` returned. Their stores are added to those of each item.
    """
    items = [dict(item.items()) for item in credentials] or [{"id": rotation["id"]} for rotation in rotations]
    if units is not None:
        items = [item for item, rotation in zip(items, rotations, strict=True) if unit_of(rotation) in units]
    return [{**item, **_stores_with_members(item, members), **options} for item in items]


def _stores_with_members(item: Item, members: Sequence[Mapping[str, t.Any]]) -> Item:
    for member in members:
        if _is_item_of(item, member):
            return {"external_stores": [*(item.get("external_stores") or member["common"]), *member["stores"]]}
    return {}


def _is_item_of(item: Mapping[str, t.Any], rotation: Mapping[str, t.Any]) -> bool:
    if item.get("id") is not None:
        return str(item["id"]).rpartition(":")[2] == rotation["id"].rpartition(":")[2]
    return item.get("name") == rotation["name"]


def find_members(
    rotations: Sequence[Rotation],
    found: Sequence[Mapping[str, t.Any]],
    credentials: Sequence[Mapping[str, t.Any]] = (),
    names: Mapping[str, Mapping[str, t.Any]] | None = None,
    common: Sequence[Mapping[str, t.Any]] = (),
    forgotten: Collection[str] = (),
) -> list[dict[str, t.Any]]:
    """Return the credentials of other Ranchers that have the key of each credential, as external stores.

    Args:
        rotations: What ``cloud_credential_rotation_info`` returned.
        found: What ``cloud_credential_info`` returned for each other Rancher, whose name is in ``rotate_member``.
        credentials: Identify what is rotated, as the items of the user do; if empty, all of ``rotations``.
        names: By Rancher, the name or id there of a credential that has another name here; None if it is not there.
        common: Other external stores.
        forgotten: Ranchers that may be missing although a record contains them.

    Raises:
        ValueError: A Rancher cannot be read, a credential is missing there or ambiguous, or a Rancher is missing.
    """
    members, errors = [], []
    known = {result["rotate_member"] for result in found} | set(forgotten)
    for rotation in rotations:
        chosen = [item for item in credentials if _is_item_of(item, rotation)]
        if credentials and not chosen:
            continue
        stores = []
        for result in found:
            host = result["rotate_member"]
            name = (names or {}).get(host, {}).get(rotation["name"], rotation["name"])
            try:
                stores += [] if name is None else [_member_store(host, str(name), result)]
            except ValueError as error:
                errors.append(str(error))
        own = [store["name"] for item in chosen for store in item.get("external_stores") or ()]
        missing = set(rotation["external_stores"]) - known - {store["name"] for store in common} - set(own)
        errors += [
            f"the record of {rotation['name']} has the member {name}, which is not listed. Add it to the members, or "
            "name it in rotate_forgotten_members if it does not contain the key any more" for name in sorted(missing)]
        members.append({"id": rotation["id"], "name": rotation["name"], "common": list(common), "stores": stores})
    if errors:
        raise ValueError("; ".join(dict.fromkeys(errors)))
    return members


def _member_store(host: str, name: str, result: Mapping[str, t.Any]) -> Item:
    if "credentials" not in result:
        raise ValueError(f"member {host} cannot be read: {result.get('msg') or 'the result has no message'}")
    ids = [each["id"] for each in result["credentials"] if name in (each["name"], each["id"])]
    if not ids:
        raise ValueError(
            f'member {host} has no cloud credential "{name}". Name it in rotate_member_names, with null if {host} does '
            "not contain the key")
    if len(ids) > 1:
        raise ValueError(
            f'member {host} has {len(ids)} cloud credentials "{name}": {", ".join(ids)}. Set the id in '
            "rotate_member_names")
    return {"name": host, "type": "rancher", "credential_id": ids[0].rpartition(":")[2]}


def start_progress(plan: Sequence[Rotation], discovered: bool = False) -> Progress:
    """Return the progress of a run before its first call; see ``add_call``.

    Args:
        plan: What a call in check mode returned.
        discovered: Whether the credentials were found by a search. Then those that cannot be rotated are skipped
            and do not count as failures.
    """
    unable = [rotation for rotation in first_of_each_unit(plan) if "code" in rotation]
    failures = [] if discovered else unable
    return {
        "rotations": [
            rotation if "code" in rotation else {**rotation, "action": "unchanged", "steps": []} for rotation in plan
        ],
        "reached": unable,
        "skipped": unable if discovered else [],
        "skipped_units": [unit_of(rotation) for rotation in unable] if discovered else [],
        "failures": failures,
        "failed_units": [unit_of(rotation) for rotation in failures],
        "pending_units": due_units(plan),
        "changed": False,
    }


def add_call(progress: Progress, result: Mapping[str, t.Any], units: Collection[str]) -> Progress:
    """Return the progress after a call.

    Args:
        progress: The progress before.
        result: The result of the module. Without ``rotations`` the call failed as a whole, so each rotation failed.
        units: The units of the call.

    Returns:
        ``rotations`` is the latest state of each credential, ``reached`` one rotation for each unit of this call,
        ``skipped`` and ``skipped_units`` those that were found and cannot be rotated, ``failures`` every failure so
        far, ``failed_units`` the units with a failure, ``pending_units`` those that no call has begun, ``changed``
        whether any call changed something.
    """
    rotations = _results_of(progress, result, units)
    latest = {rotation["id"]: rotation for rotation in rotations}
    reached = first_of_each_unit(rotations)
    failures = [*progress["failures"], *(rotation for rotation in reached if "code" in rotation)]
    return {
        "rotations": [latest.get(rotation["id"], rotation) for rotation in progress["rotations"]],
        "reached": reached,
        "skipped": progress["skipped"],
        "skipped_units": progress["skipped_units"],
        "failures": failures,
        "failed_units": list(dict.fromkeys(map(unit_of, failures))),
        "pending_units": [unit for unit in progress["pending_units"] if unit not in units],
        "changed": progress["changed"] or any(rotation["steps"] for rotation in rotations),
    }


def _results_of(progress: Progress, result: Mapping[str, t.Any], units: Collection[str]) -> Sequence[Rotation]:
    if "rotations" in result:
        return t.cast("Sequence[Rotation]", result["rotations"])
    failure = {
        "action": "failed",
        "steps": [],
        "code": result.get("code", "server_error"),
        "msg": result.get("msg", "the call failed"),
    }
    return [{**rotation, **failure} for rotation in progress["rotations"] if unit_of(rotation) in units]


def event_of(rotation: Rotation) -> str:
    """Return what happened to a rotation, in a word for the tasks that notify."""
    if "code" in rotation:
        if rotation["code"] == "drift":
            return "drift"
        return "failed_repeatedly" if rotation.get("failures", 0) > 1 else "failed"
    if rotation["action"] == "rotated":
        return "cut_over"
    return "disabled" if rotation["phase"] == DISABLED else str(rotation["action"])


def events_of(
    rotations: Iterable[Rotation], event: str | None = None, without_actions: Collection[str] = ()
) -> list[dict[str, t.Any]]:
    """Return ``rotation`` and ``event`` for each unit, except rotations with an action in ``without_actions``.

    Args:
        event: Replaces what follows from each rotation.
        without_actions: The event does not show these: a rotation that is unchanged may be ``disabled``.
    """
    return [
        {"rotation": rotation, "event": event or event_of(rotation)}
        for rotation in first_of_each_unit(rotations)
        if rotation["action"] not in without_actions
    ]


def late_rotations(rotations: Iterable[Rotation], max_wait: str, moment: Time | None = None) -> list[Rotation]:
    """Return one rotation for each unit whose gates have kept it waiting for too long.

    Args:
        max_wait: Duration for which a gate may stay closed after the grace or soak time is over, such as ``3d``.
        moment: The time to compare with, by default the current time.

    Raises:
        ValueError: ``max_wait`` is not a duration.
    """
    limit = datetime.timedelta(seconds=parse_duration(max_wait))
    moment = moment or now()
    ends = {GRACE: "retire_not_before", DISABLED: "delete_not_before"}
    late = []
    for rotation in first_of_each_unit(rotations):
        end = rotation.get(ends.get(rotation["phase"], ""))
        if rotation["waiting_for"] and "code" not in rotation and end and parse_time(end) + limit < moment:
            late.append(rotation)
    return late


def rotations_to_export(rotations: Iterable[Rotation]) -> list[Rotation]:
    """Return the rotations after which an external store must get the key in the credential.

    These are all in phase ``grace``, so that each run repeats an export that failed or was interrupted, and those
    that this run has rolled back.
    """
    return [
        rotation
        for rotation in rotations
        if rotation["members"] and (rotation["phase"] == GRACE or rotation["action"] == "rolled_back")
    ]


def needs_retirement(rotation: Rotation) -> bool:
    """Return whether a rotation is unfinished, or the credential contains a retired key since Rancher was restored."""
    return rotation["phase"] != IDLE or any(problem["code"] == "restored" for problem in rotation["problems"])


def items_to_retire(rotations: Iterable[Rotation], issuers: Mapping[str, Mapping[str, t.Any]]) -> list[Item]:
    """Return an item for each rotation that needs retirement, with the options set for its issuer."""
    return [
        {"id": rotation["id"], **issuers.get(rotation["issuer"], {})}
        for rotation in rotations
        if needs_retirement(rotation)
    ]


def find_leaked_key(
    credentials: Iterable[Mapping[str, t.Any]], key_id: object, rotations: Iterable[Rotation] = ()
) -> dict[str, t.Any]:
    """Find a leaked key.

    Args:
        credentials: What ``cloud_credential_info`` returns with ``problems: true``.
        key_id: The public id of the key, as it is in a field of ``config``. YAML reads an id of digits as a number.
        rotations: What ``cloud_credential_rotation_info`` returns, which includes those of deleted credentials.

    Returns:
        Four lists of items with an ``id``: ``holders`` are the credentials that use the key, ``retiring`` the holders
        whose rotation has not deleted the key before it yet, ``former`` the credentials whose rotation has replaced the
        key and not deleted it yet, ``deleted`` the deleted credentials whose rotation has the key. ``valid`` is whether
        the key can still be used. ``states`` are sentences: how each credential uses the key, and what is left to do.
    """
    leaked = str(key_id)
    credentials = list(credentials)
    holders, retiring, former, states = [], [], [], []
    valid = False
    for credential in credentials:
        rotation = credential["rotation"] or {}
        old_key = rotation.get("old_key_id")
        item = {"id": credential["id"]}
        if leaked in credential["config"].values():
            holders.append(item)
            valid = True
            if old_key:
                retiring.append(item)
            before = f"retire its old key {old_key}, " if old_key else ""
            states.append(f"{credential['id']} uses {leaked}: {before}rotate it, then disable {leaked}")
        if old_key == leaked:
            former.append(item)
            valid = valid or rotation["phase"] != DISABLED
            if item not in holders:
                states.append(_former_state(leaked, rotation, credential["id"]))
    listed = {credential["id"] for credential in credentials}
    deleted = [
        {"id": rotation["id"]}
        for rotation in rotations
        if rotation["id"] not in listed and leaked in (rotation["key_id"], rotation["old_key_id"])
    ]
    states += [
        f"{item['id']} was deleted while its rotation had {leaked}: disable {leaked} at the cloud provider"
        for item in deleted
    ]
    return {
        "holders": holders, "retiring": retiring, "former": former, "deleted": deleted,
        "valid": valid or bool(deleted), "states": states or [f"no credential and no rotation has {leaked}"],
    }


def _former_state(leaked: str, rotation: Rotation, credential_id: str) -> str:
    replaced = f"{credential_id} has replaced {leaked} with {rotation.get('key_id') or 'another key'}"
    if rotation["phase"] != DISABLED:
        return f"{replaced}: disable {leaked}"
    end = rotation.get("delete_not_before")
    return f"{replaced}; {leaked} is disabled" + (f" and can be deleted after {end}" if end else "")
