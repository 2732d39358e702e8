# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The marks by which runs of this collection tell each other what they are about to do with a credential.

PRIVATE to the collection. Pure.

Who makes something refer to a credential announces that on its Secret first; who deletes it condemns it first. Both are
compare-and-swap on the Secret, so one of the two sees the other, and a delete that carries the resourceVersion of its own
mark fails if anything was announced after it. The keys contain ``cattle.io/``, as Rancher's UI drops other annotations.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Mapping

from .._common.times import Time, mark_time

PREFIX = "ranchhand.cattle.io/"
MARKED_FOR_DELETION = PREFIX + "condemned"
INTENT = PREFIX + "intent."
ALLOW_DELETE = PREFIX + "allow-delete"

# On a credential whose key is rotated: by whom right now, since when it has the key that it has, and which fields that is.
ROTATION_TOKEN = PREFIX + "rotation-token"
ROTATED_AT = PREFIX + "rotated-at"
ROTATED_FIELDS = PREFIX + "rotated-fields"

# How long a mark of a run that was killed counts. A delete does not depend on it: what is announced meanwhile moves the
# resourceVersion. A creation has to be stored within this time, of which an API server's request takes 60 seconds at most.
MARK_LIFETIME = datetime.timedelta(minutes=15)


def deleting_run(annotations: Mapping[str, str], at: Time) -> str | None:
    """The run that is deleting a credential; None if none is."""
    mark = annotations.get(MARKED_FOR_DELETION)
    return mark.partition(" ")[2] if mark and at - mark_time(mark) < MARK_LIFETIME else None


def announced_runs(annotations: Mapping[str, str], at: Time) -> list[str]:
    """The runs that are about to make something refer to a credential."""
    return sorted(key[len(INTENT):] for key, mark in annotations.items() if key.startswith(INTENT) and at - mark_time(mark) < MARK_LIFETIME)


def annotation_patch(stored: t.Any, annotations: Mapping[str, str | None]) -> dict[str, t.Any]:
    """A merge patch that changes annotations of just this version of just this object."""
    return {"metadata": {"uid": stored.uid, "resourceVersion": stored.resource_version, "annotations": dict(annotations)}}
