# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The annotation and label keys of this collection and of Rancher, and the deletion protocol that is kept in
annotations.

Pure. All keys are defined here, so that two parts of the collection cannot use one key with different meanings.

A run that creates an object that refers to a credential first announces this on the credential's Secret. A run that
deletes a credential first marks the Secret for deletion. Both are compare-and-swap updates, so one of the two runs sees
the other, and a delete request with the resourceVersion of its own mark fails if anything was announced after the mark.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Mapping

from .._common.times import UTC, Time, parse_time

# Keys of this collection. They contain "cattle.io/" because Rancher's UI drops other unknown annotations when it saves.
PREFIX = "ranchhand.cattle.io/"

MARKED_FOR_DELETION = PREFIX + "marked-for-deletion"
FORMERLY_MARKED_FOR_DELETION = PREFIX + "condemned"  # version 0.1 set it; this version reads and removes it
INTENT = PREFIX + "intent."
ALLOW_DELETE = PREFIX + "allow-delete"
GUARD_SETTLE = PREFIX + "settle"

# On a credential whose key is rotated: the token of the rotation in progress, the time of the last rotation, and the
# rotated fields.
ROTATION_TOKEN = PREFIX + "rotation-token"
ROTATED_AT = PREFIX + "rotated-at"
ROTATED_FIELDS = PREFIX + "rotated-fields"
# On a credential whose key several Ranchers contain: identifies the Rancher that rotates it.
COPY_OF_ROTATION = PREFIX + "copy-of-rotation"

# On the objects that belong to a rotation record.
ROTATION_LABEL = PREFIX + "rotation"
ROTATION_PHASE_LABEL = PREFIX + "phase"
ROTATION_EPOCH = PREFIX + "epoch"
ROTATION_KEY_ID = PREFIX + "key-id"
ROTATION_EXPIRES_AT = PREFIX + "expires-at"
ROTATION_KEY_LABEL = PREFIX + "rotation-key"
ROTATION_MARK = PREFIX + "mark"

# Keys of Rancher.
CREATOR_ID = "field.cattle.io/creatorId"
DISPLAY_NAME = "field.cattle.io/name"
DESCRIPTION = "field.cattle.io/description"
UI_DRIVER = "provisioning.cattle.io/driver"
CREATOR_LABEL_KEY = "cattle.io/creator"
CREATOR_LABEL = {CREATOR_LABEL_KEY: "norman"}

# Without this annotation, Rancher recreates the owner's Role and RoleBinding
# (pkg/controllers/management/nodetemplate/nodetemplate.go).
BINDINGS_CREATED = "ownerBindingsCreated"

# Cached by the AKS operator, which does not notice a changed subscription (aks-operator pkg/aks/client.go).
AZURE_TENANT_ANNOTATIONS = (
    "cluster.management.cattle.io/azure-tenant-id", "cluster.management.cattle.io/azure-tenant-id-created-at",
)

# When the token in a kubeconfig expires, in ms since 1970 (Rancher 2.9.3 to 2.11,
# pkg/api/norman/customization/cred/store.go).
TOKEN_EXPIRES_AT = "rancher.io/expiration-timestamp"

# The AWSClusterStaticIdentity that Turtles creates for an AWS credential, and deletes (turtles
# internal/controllers/aws_translator.go).
TURTLES_IDENTITY = "cluster-api.cattle.io/capi-static-identity-ref"

# Keys that the options labels and annotations refuse, with the option that sets each of them.
RESERVED = {
    CREATOR_ID: "owner", DISPLAY_NAME: "name", DESCRIPTION: "description", UI_DRIVER: "driver",
    CREATOR_LABEL_KEY: "driver",
}

# How long an annotation of a killed run counts. Deletion does not depend on it: a later announcement changes the
# resourceVersion. A creation has to be stored within this time, and an API server ends a request after 60 seconds.
ANNOTATION_LIFETIME = datetime.timedelta(minutes=15)


def entry_time(entry: str) -> Time:
    """Return the time at the start of an entry.

    An unreadable one counts as infinitely old, so that it never blocks anything.
    """
    try:
        return parse_time(entry.partition(" ")[0])
    except ValueError:
        return Time.min.replace(tzinfo=UTC)


def deleting_run(annotations: Mapping[str, str], at: Time) -> str | None:
    """Return the run that is deleting a credential; None if there is none."""
    mark = annotations.get(MARKED_FOR_DELETION) or annotations.get(FORMERLY_MARKED_FOR_DELETION)
    return mark.partition(" ")[2] if mark and _counts(mark, at) else None


def _counts(entry: str, at: Time) -> bool:
    """Whether an entry is recent. One from the future is not: its object's owner could block others with it forever."""
    return abs(at - entry_time(entry)) < ANNOTATION_LIFETIME


def announced_runs(annotations: Mapping[str, str], at: Time) -> list[str]:
    """Return the runs that are creating an object that refers to a credential."""
    return sorted(
        key[len(INTENT):] for key, mark in annotations.items()
        if key.startswith(INTENT) and _counts(mark, at)
    )


def leftover_marks(annotations: Mapping[str, str], at: Time) -> list[str]:
    """Return the annotations of a deletion whose run must be over, as it was killed or could not remove them."""
    marks = [annotations[key] for key in (MARKED_FOR_DELETION, FORMERLY_MARKED_FOR_DELETION) if key in annotations]
    if not marks or any(_counts(mark, at) for mark in marks):
        return []
    return [key for key in (MARKED_FOR_DELETION, FORMERLY_MARKED_FOR_DELETION, ALLOW_DELETE) if key in annotations]


def annotation_patch(stored: t.Any, annotations: Mapping[str, str | None]) -> dict[str, t.Any]:
    """Return a merge patch that changes annotations of this version of this object only."""
    return {
        "metadata": {"uid": stored.uid, "resourceVersion": stored.resource_version, "annotations": dict(annotations)},
    }
