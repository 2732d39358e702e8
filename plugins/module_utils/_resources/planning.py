# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What planning has in common for credentials and node templates: what is wanted, which object is meant, what to do about it.

PRIVATE to the collection. Pure: neither Ansible nor a cluster is needed.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._common.errors import RanchhandError, ValidationErrors
from .._common.text import trim
from .._rancher.driver_schema import DriverSchemas, Fields
from .._rancher.metadata import Entries, parse_display_name, parse_entries, parse_id
from .._rancher.references import Reference
from .._rancher.users import Users

CALL_OPTIONS = ("state", "force", "update_secrets", "validate_config", "wait", "wait_timeout", "wait_sleep")


@dataclass(frozen=True)
class DesiredObject:
    """What a playbook asks for, of one object; ``where`` says which item of a list it is."""

    where: str
    name: str | None
    id: str | None
    driver: str | None
    owner: str | None
    description: str | None
    labels: Entries
    annotations: Entries
    config: Mapping[str, t.Any]
    secrets: Mapping[str, t.Any] = field(repr=False)
    state: str = "present"
    force: bool = False
    update_secrets: str = "always"
    validate_config: bool = True
    wait: bool = False
    wait_timeout: int = 120
    wait_sleep: int = 5


def list_items(params: Mapping[str, t.Any], list_name: str, per_call: t.Sequence[str] = CALL_OPTIONS) -> list[tuple[str, dict[str, t.Any]]]:
    """The single object or the items of the list that parsed options ask for, each with where it stands."""
    items = params.get(list_name)
    if items is None:
        return [("", dict(params))]
    result = []
    for index, item in enumerate(items):
        if item is not None:  # None is a mistake that the parser has told already
            label = item.get("name") or item.get("id") or ""
            where = f"{list_name}[{index}]" + (f" ({label:.60})" if label else "")
            result.append((where + ": ", {**item, **{key: params[key] for key in per_call if item.get(key) is None}}))
    return result


def common_fields(where: str, item: Mapping[str, t.Any], namespace: str) -> tuple[dict[str, t.Any], list[str]]:
    """The arguments for Wanted, and what is wrong with them."""
    name, mistakes = parse_display_name(item.get("name"))
    identifier, wrong_id = parse_id(item.get("id"), namespace)
    labels, wrong_labels = parse_entries("labels", item.get("labels"))
    annotations, wrong_annotations = parse_entries("annotations", item.get("annotations"))
    mistakes += wrong_id + wrong_labels + wrong_annotations
    if item.get("name") is None and item.get("id") is None:
        mistakes.append("name or id is required")
    trimmed = {key: None if item.get(key) is None else trim(item[key]) for key in ("driver", "owner", "description")}
    return {
        "where": where, "name": name, "id": identifier, "labels": labels, "annotations": annotations,
        "driver": trimmed["driver"] or None, "owner": trimmed["owner"] or None, "description": trimmed["description"],
        "config": item.get("config") or {}, "secrets": item.get("secrets") or {}, **{key: item[key] for key in CALL_OPTIONS},
    }, [where + mistake for mistake in mistakes]


@dataclass(frozen=True)
class Change:
    """What to do about one object, or why not.

    ``action`` is one of ``created``, ``updated``, ``deleted``, ``unchanged``, ``refused`` and ``failed``. ``body`` is the object to create,
    or the merge patch to apply. ``after`` is what will be stored.
    """

    desired: t.Any
    action: str
    before: t.Any = None
    after: t.Any = None
    changed_fields: tuple[str, ...] = ()
    body: Mapping[str, t.Any] = field(default_factory=dict, repr=False)
    references: tuple[Reference, ...] | None = None
    unlisted: tuple[str, ...] = ()
    error: RanchhandError | None = None

    @property
    def writes(self) -> bool:
        return self.action in ("created", "updated", "deleted")


def plan_each(desired: t.Sequence[t.Any], plan_one: t.Callable[[t.Any], Change]) -> tuple[list[Change], list[tuple[str, RanchhandError]]]:
    """The changes for all items that have one, and the mistakes of all others, each with where it stands."""
    changes: list[Change] = []
    errors: list[tuple[str, RanchhandError]] = []
    for one in desired:
        try:
            changes.append(plan_one(one))
        except ValidationErrors as error:
            errors += [(one.where, RanchhandError(error.code, sentence)) for sentence in error.messages]
        except RanchhandError as error:
            errors.append((one.where, error))
    return changes, errors


def combine_errors(errors: t.Sequence[tuple[str, RanchhandError]]) -> ValidationErrors:
    """All mistakes as one failure; its code is theirs if they agree."""
    codes = {error.code for _where, error in errors}
    return ValidationErrors([where + error.message for where, error in errors], codes.pop() if len(codes) == 1 else "invalid")


def find_duplicates(changes: t.Sequence[Change]) -> list[tuple[str, RanchhandError]]:
    """Items that mean the same object, or a new one that another item gives its name to: the next run could not tell them apart."""
    errors = []
    seen: dict[t.Any, Change] = {}
    updated = {(change.after.name, change.after.driver, change.after.owner): change for change in changes if change.action == "updated"}
    for change in changes:
        wanted, new = change.desired, change.after
        if change.before:
            key: t.Any = change.before.id
        elif new:
            key = (new.name, new.driver, new.owner)
        else:
            key = (wanted.id, wanted.name, wanted.driver, wanted.owner)
        other = seen.setdefault(key, change if change.before else updated.get(key, change))
        if other is not change:
            errors.append((wanted.where, RanchhandError("invalid", f"means the same object as {other.desired.where.rstrip(': ')}")))
    return errors


def plan_removal(desired: DesiredObject, current: t.Any, used_by: tuple[Reference, ...] | None, unlisted: tuple[str, ...], what: str) -> Change:
    """Remove an object that nothing refers to; ``used_by`` None where that is not known yet, ``unlisted`` what could not be asked.

    Raises RanchhandError (``forbidden``) if it cannot be told whether anything does.
    """
    if current is None or current.deleting:
        return Change(desired, "unchanged", before=current)
    if desired.driver and desired.driver != current.driver:
        raise RanchhandError("invalid", f"{current.full_id} is of driver {current.driver}, not {desired.driver:.60}")
    if used_by is None:
        return Change(desired, "deleted", before=current)
    if used_by and not desired.force:
        users = ", ".join(map(str, used_by[:5])) + (f" and {len(used_by) - 5} more" if len(used_by) > 5 else "")
        error = RanchhandError("in_use", f"{what} {current.name:.80} ({current.full_id}) is in use by {users}")
        return Change(desired, "refused", before=current, after=current, references=used_by, unlisted=unlisted, error=error)
    if unlisted and not desired.force:
        raise RanchhandError(
            "forbidden", f"cannot tell whether {current.full_id} is in use: this connection may not list {', '.join(unlisted)} "
                         "in all namespaces (verb list, in a ClusterRole); allow that, or delete with force: true"
        )
    return Change(desired, "deleted", before=current, references=used_by, unlisted=unlisted)


def without_nulls(entries: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The entries of a new object: null removes, and there is nothing to remove yet."""
    return {name: value for name, value in entries.items() if value is not None}


def new_owner(desired: DesiredObject, users: Users, me: str | None, what: str, missing: t.Sequence[str] = ()) -> str:
    """The owner of an object that has to be created; raises Mistakes with all that is missing for that."""
    mistakes = ["driver is required"] if desired.driver is None else []
    owner = users.find(desired.owner) if desired.owner else me
    if owner is None:
        mistakes.append("owner is required (a user id, username or principal id), as this connection is no Rancher user itself")
    mistakes += missing
    if mistakes or owner is None:
        raise ValidationErrors([f"there is no {what} with the name {desired.name or '':.80}; to create it, {mistake}" for mistake in mistakes])
    return owner


def schema_fields(desired: DesiredObject, schemas: DriverSchemas | None, look_up: t.Callable[[DriverSchemas], Fields | None], if_missing: str) -> Fields | None:
    """The driver's fields to check what is given against; None if that is not asked for.

    Raises RanchhandError: ``forbidden`` if the schemas may not be read, ``invalid`` with the given text if the driver has none.
    """
    if not desired.validate_config:
        return None
    if schemas is None:
        raise RanchhandError(
            "forbidden", "the fields of the driver cannot be checked: this connection may not list dynamicschemas.management.cattle.io; "
                         "allow that, or give validate_config: false"
        )
    fields = look_up(schemas)
    if fields is None:
        raise RanchhandError("invalid", if_missing)
    return fields


def refuse_deleting(current: t.Any) -> None:
    """Raises RanchhandError (``conflict``) for an object that is on its way out."""
    if current.deleting:
        raise RanchhandError(
            "conflict", f"{current.full_id} is being deleted and waits for {', '.join(current.finalizers) or 'the API server'}; "
                        "run again when it is gone"
        )


def refuse_other_driver(desired: DesiredObject, current: t.Any, what: str) -> None:
    """Raises RanchhandError (``invalid``) if another driver is wanted than there is."""
    if desired.driver and desired.driver != current.driver:
        raise RanchhandError("invalid", f"{current.full_id} is of driver {current.driver}; the driver of a {what} cannot be changed to {desired.driver:.60}")
