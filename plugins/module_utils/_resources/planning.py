# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The plan for the objects of one call, whatever their kind: match, compare, and decide what to write.

Pure.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._common.errors import RanchhandError, ValidationErrors
from .._common.text import short_list
from .._rancher.cloud_credential import CREDENTIAL_KIND
from .._rancher.driver_schema import DriverSchemas, Fields
from .._rancher.references import Reference, ReferenceIndex
from .._rancher.users import Users
from .catalog import Catalog, StoredObject, StoredT
from .desired import DesiredObject
from .differences import FieldDifference, changed_options, merge_patch

DesiredT = t.TypeVar("DesiredT", bound=DesiredObject)
CheckedT = t.TypeVar("CheckedT")


@dataclass(frozen=True)
class Change(t.Generic[DesiredT, StoredT]):
    """What to do with one object, and the reason if it is refused.

    ``action`` is ``created``, ``updated``, ``deleted``, ``unchanged``, ``refused`` or ``failed``. ``body`` is the
    object to create, or the merge patch of an update. ``after`` is the object as it will be stored. ``details`` is what
    results show in addition.
    """

    desired: DesiredT
    action: str
    before: StoredT | None = None
    after: StoredT | None = None
    changed_fields: tuple[str, ...] = ()
    body: Mapping[str, t.Any] = field(default_factory=dict, repr=False)
    references: tuple[Reference, ...] | None = None
    unlisted: tuple[str, ...] = ()
    error: RanchhandError | None = None
    details: Mapping[str, t.Any] = field(default_factory=dict)

    @property
    def writes(self) -> bool:
        return self.action in ("created", "updated", "deleted")

    @property
    def stored(self) -> StoredT:
        """The stored object that the change is about; there is one unless the object has to be created."""
        if self.before is None:
            raise AssertionError("the change creates an object")
        return self.before

    @property
    def created(self) -> StoredT:
        """The object that was created."""
        if self.after is None:
            raise AssertionError("the change leaves no object")
        return self.after


@dataclass(frozen=True)
class Observed(t.Generic[StoredT]):
    """What planning needs of a cluster, except references.

    ``schemas`` is None if they were not read, ``own_user`` is the id of the connection's own Rancher user if it has
    one.
    """

    stored: Catalog[StoredT]
    schemas: DriverSchemas | None = None
    users: Users = Users(())
    own_user: str | None = None


ItemError = t.Tuple[str, RanchhandError]


def plan_objects(
    desired: t.Sequence[DesiredT], catalog: Catalog[StoredT], users: Users, references: ReferenceIndex | None,
    plan_present: t.Callable[[DesiredT, StoredT | None], Change[DesiredT, StoredT]],
) -> tuple[list[Change[DesiredT, StoredT]], list[ItemError]]:
    """Plan all objects, in their order; returns the changes and the errors of the other items.

    Without ``references``, a deletion is planned as if nothing referred to the object.
    """
    changes: list[Change[DesiredT, StoredT]] = []
    errors: list[ItemError] = []
    for item in desired:
        try:
            current = catalog.find(item, users)
            if item.state == "present":
                changes.append(plan_present(item, current))
            else:
                changes.append(plan_deletion(item, current, references, catalog.kind))
        except ValidationErrors as error:
            errors += [(item.where, RanchhandError(error.code, message)) for message in error.messages]
        except RanchhandError as error:
            errors.append((item.where, error))
    return changes, errors + find_duplicates(changes)


def combine_errors(errors: t.Sequence[ItemError]) -> ValidationErrors:
    """Combine the errors of several items; the code is theirs if they agree."""
    codes = {error.code for _where, error in errors}
    code = codes.pop() if len(codes) == 1 else "invalid"
    return ValidationErrors([where + error.message for where, error in errors], code)


def find_duplicates(changes: t.Sequence[Change[DesiredT, StoredT]]) -> list[ItemError]:
    """Find items that mean the same object, or whose new object would get the name of another item's.

    The next run could not distinguish these objects.
    """
    errors: list[ItemError] = []
    first: dict[t.Hashable, Change[DesiredT, StoredT]] = {}
    updated = {_identity(change.after): change for change in changes if change.action == "updated" and change.after}
    for change in changes:
        desired = change.desired
        key: t.Hashable
        if change.before:
            key = change.before.id
        elif change.after:
            key = change.after.id or _identity(change.after)
        else:
            key = (desired.id, desired.name, desired.driver, desired.owner)
        other = first.setdefault(key, change if change.before else updated.get(key, change))
        if other is not change:
            message = f"means the same object as {other.desired.where.rstrip(': ')}"
            errors.append((desired.where, RanchhandError("invalid", message)))
    return errors


def _identity(stored: StoredObject) -> t.Hashable:
    return stored.name, stored.driver, stored.owner


def plan_update(
    desired: DesiredT, current: StoredT, differences: t.Sequence[FieldDifference],
    patched: t.Callable[[Mapping[str, t.Any]], StoredT],
) -> Change[DesiredT, StoredT]:
    """Plan the update that removes the differences; ``patched`` returns the object after a merge patch."""
    changed = changed_options(differences)
    if not changed:
        return Change(desired, "unchanged", before=current, after=current)
    body = merge_patch(differences)
    after = patched(body)
    body["metadata"] = {"uid": current.uid, "resourceVersion": current.resource_version, **body.get("metadata", {})}
    return Change(desired, "updated", before=current, after=after, body=body, changed_fields=tuple(sorted(changed)))


def plan_deletion(
    desired: DesiredT, current: StoredT | None, references: ReferenceIndex | None, kind: str,
) -> Change[DesiredT, StoredT]:
    """Plan to delete an object that nothing refers to; ``references`` is None if they have not been read yet.

    Raises RanchhandError (``forbidden``) if the references cannot be checked.
    """
    if current is None or current.deleting:
        return Change(desired, "unchanged", before=current)
    if desired.driver and desired.driver != current.driver:
        raise RanchhandError(
            "invalid", f"cannot delete {current.full_id}: its driver is {current.driver}, not {desired.driver:.60}"
        )
    if references is None:
        return Change(desired, "deleted", before=current)
    used_by, unlisted = references.references_to(current), references.unlisted
    needed_by = references.needed_by(current)
    if not desired.force:
        if needed_by:
            error = RanchhandError("in_use", _in_use_message(kind, current, needed_by))
            return Change(
                desired, "refused", before=current, after=current, references=used_by, unlisted=unlisted, error=error,
            )
        if unlisted:
            raise RanchhandError(
                "forbidden", f"cannot delete {kind} {current.full_id}: this connection cannot check whether it is in "
                             f"use, as it may not list {', '.join(unlisted)} in all namespaces. An administrator can "
                             "grant the role ranchhand-references of docs/rbac/references.yaml; or delete with force: "
                             "true"
            )
    return Change(desired, "deleted", before=current, references=used_by, unlisted=unlisted)


def _in_use_message(kind: str, current: StoredObject, used_by: t.Sequence[Reference]) -> str:
    users = short_list([str(reference) for reference in used_by])
    first = "Change or delete these objects"
    if kind == CREDENTIAL_KIND:
        first = "Move clusters and machines with cloud_credential_repoint, change or delete other objects"
    return (
        f'cannot delete {kind} "{current.name:.80}" ({current.full_id}): it is in use by {users}. '
        f"{first} first, or delete the {kind} anyway with force: true"
    )


def new_owner(
    desired: DesiredObject, users: Users, own_user: str | None, kind: str, missing: t.Sequence[str] = (),
) -> tuple[str, list[str]]:
    """Return the owner of an object that has to be created, and a message for everything that is missing to create it.

    ``missing`` is what the kind misses. Raises ValidationErrors without a driver, as nothing else can be checked then.
    """
    errors = ["driver is required"] if desired.driver is None else []
    owner = users.find(desired.owner) if desired.owner else own_user
    if owner is None:
        errors.append(
            "owner is required (a user id, username or principal id), as this connection is not authenticated as a "
            "Rancher user"
        )
    errors += missing
    prefix = f'no {kind} has the name "{desired.name or "":.80}"; to create it, '
    messages = [prefix + error for error in errors]
    if desired.driver is None:
        raise ValidationErrors(messages)
    return owner or "", messages


def check_with_errors(errors: t.Sequence[str], check: t.Callable[[], CheckedT]) -> CheckedT:
    """Return the result of a check; with errors that were found before, raise them together with those of the check."""
    try:
        result = check()
    except RanchhandError as error:
        if not errors:
            raise
        found = error.messages if isinstance(error, ValidationErrors) else [error.message]
        raise ValidationErrors([*errors, *found]) from None
    if errors:
        raise ValidationErrors([*errors])
    return result


def desired_owner(desired: DesiredObject, current: StoredObject, users: Users) -> str | None:
    """Return the id of the owner that an existing object should have."""
    return current.owner if desired.owner in (None, current.owner) else users.find(desired.owner)


def fields_to_validate(
    desired: DesiredObject, schemas: DriverSchemas | None, find: t.Callable[[DriverSchemas], Fields | None],
    if_missing: str,
) -> Fields | None:
    """Return the driver's fields, to validate config and secrets; None with ``validate_config: false``.

    Raises RanchhandError: ``forbidden`` if the schemas could not be read, ``invalid`` with the text ``if_missing`` if
    the driver has none.
    """
    if not desired.validate_config:
        return None
    if schemas is None:
        raise RanchhandError(
            "forbidden", "cannot validate the fields of the driver: this connection may not list "
                         "dynamicschemas.management.cattle.io. Grant that, or set validate_config: false"
        )
    fields = find(schemas)
    if fields is None:
        raise RanchhandError("invalid", if_missing)
    return fields


def check_updatable(desired: DesiredObject, current: StoredObject, kind: str) -> str:
    """Return the driver of an object that can be updated.

    Raises RanchhandError (``conflict`` or ``invalid``) otherwise.
    """
    check_not_deleting(current)
    if desired.driver and desired.driver != current.driver:
        raise RanchhandError(
            "invalid", f"the driver of {current.full_id} is {current.driver}; the driver of a {kind} cannot be changed "
                       "to "
                       f"{desired.driver:.60}. Create another {kind} instead"
        )
    if current.driver is None:
        raise RanchhandError("invalid", f"{current.full_id} {current.problem}; repair or delete it first")
    return current.driver


def check_selected(desired: DesiredObject, selected: StoredObject, current: StoredObject) -> None:
    """Raise RanchhandError (``conflict``) if an object that was selected by its name is not the one any more.

    Writing it would undo a rename or hand-over by another client, or delete what the task does not mean.
    """
    same = current.name == selected.name and (desired.owner is None or current.owner == selected.owner)
    if desired.id is None and not same:
        raise RanchhandError(
            "conflict", f'{current.full_id}, which had the name "{selected.name:.80}", was renamed or handed over by '
                        "another client during this run; run again"
        )


def check_not_deleting(current: StoredObject) -> None:
    """Raise RanchhandError (``conflict``) if the object is being deleted."""
    if current.deleting:
        raise RanchhandError(
            "conflict", f"{current.full_id} is being deleted and waits for "
                        f"{short_list(current.finalizers) or 'the API server'}; run again when it is gone"
        )
