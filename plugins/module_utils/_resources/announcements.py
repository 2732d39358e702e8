# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Announces on a credential that a run makes other objects refer to it (see _rancher/annotations.py)."""

from __future__ import annotations

import contextlib
import random
import time
import typing as t

from .._common.errors import ApiError, RanchhandError
from .._common.times import format_time, now
from .._kubernetes.client import CONFLICT_ATTEMPTS, KubernetesClient, name_in_path
from .._rancher.annotations import INTENT, annotation_patch, deleting_run
from .._rancher.cloud_credential import CloudCredential, parse_cloud_credential
from .._rancher.queries import SECRETS_PATH, get_or_none

# For compare-and-swap: the annotations to change for the version that is passed, none to leave it as it is.
AnnotationDecision = t.Callable[[CloudCredential], t.Mapping[str, t.Optional[str]]]


def annotate_credential(
    client: KubernetesClient, credential: CloudCredential, decide: AnnotationDecision,
) -> CloudCredential | None:
    """Change annotations of a credential by compare-and-swap; returns its new version, None if it is gone."""
    path = f"{SECRETS_PATH}/{name_in_path(credential.id)}"
    for attempt in range(CONFLICT_ATTEMPTS):
        annotations = decide(credential)
        if not annotations:
            return credential
        try:
            return parse_cloud_credential(client.patch(path, annotation_patch(credential, annotations)))
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            conflict = error
        time.sleep(random.uniform(0, 0.05 * attempt))
        item = get_or_none(client, path)
        fresh = parse_cloud_credential(item) if item else None
        if fresh is None or fresh.uid != credential.uid:
            return None
        credential = fresh
    raise conflict


def announce(client: KubernetesClient, credential: CloudCredential, run_id: str, remedy: str) -> CloudCredential:
    """Announce that a run makes objects refer to a credential.

    Raises RanchhandError (``conflict``) with the remedy if another run is deleting it.
    """
    def decide(current: CloudCredential) -> dict[str, str | None]:
        run = deleting_run(current.annotations, now())
        if run or current.deleting:
            by = f" by another run ({run})" if run else ""
            raise RanchhandError("conflict", f"cloud credential {current.full_id} is being deleted{by}; {remedy}")
        return {INTENT + run_id: format_time(now())}

    announced = annotate_credential(client, credential, decide)
    if announced is None:
        raise RanchhandError(
            "conflict", f"cloud credential {credential.full_id} was deleted by another client during this run"
        )
    return announced


def withdraw(client: KubernetesClient, credential: CloudCredential, run_id: str) -> None:
    """Remove the announcement of a run; if this fails, it expires."""
    key = INTENT + run_id
    with contextlib.suppress(RanchhandError):
        annotate_credential(client, credential, lambda current: {key: None} if key in current.annotations else {})
