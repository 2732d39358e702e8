# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The health of one cloud credential, from everything that was read. Pure."""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from .._common.problems import Problem
from .._common.times import Time, format_time, parse_time
from .._rancher.annotations import ROTATED_AT
from .._rancher.cloud_credential import CloudCredential
from .._rotation.record import RotationRecord
from .checker import HealthChecker, expiry_problems, rotation_problems
from .expiry import Expiry, find_expiries

_CLOCK_DIFFERENCE = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class KeyState:
    """What is known of the key of a credential: its rotation, and the age at which it is due.

    ``record`` is None if the key was never rotated, ``status`` is what cloud_credential_rotation_info returns.
    ``problem`` is what a sign-in with the key has found.
    """

    record: RotationRecord | None
    status: Mapping[str, t.Any]
    max_age: int | None
    problem: Problem | None = None


def evaluate(
    checker: HealthChecker, credential: CloudCredential, key: KeyState, now: Time, expires_within: datetime.timedelta,
) -> dict[str, t.Any]:
    """Return the age of the key, when the next step is due, and all problems, as results contain them."""
    due_at = parse_time(key.status["due_at"]) if key.status["due_at"] else None
    expiries, unreadable = find_expiries(credential)
    if key.record and key.record.expires_at:
        expiries.append(Expiry(key.record.expires_at, "its key"))
    problems = checker.problems(credential) + expiry_problems(expiries, now, expires_within)
    problems += [key.problem] if key.problem else []
    problems += [Problem("malformed", reason) for reason in [*unreadable, *_malformed_annotations(credential, now)]]
    return {
        "key_age_seconds": key.status["key_age_seconds"], "key_age_source": key.status["key_age_source"],
        "max_age_seconds": key.max_age, "due_at": format_time(due_at) if due_at else None, "due": key.status["due"],
        "problems": [problem.show() for problem in problems] + _rotation_problems(key, due_at, now),
    }


def _malformed_annotations(credential: CloudCredential, now: Time) -> t.Iterator[str]:
    """Return what is wrong with the annotation of this collection that users can change, as they own the Secret."""
    rotated_at = credential.annotations.get(ROTATED_AT)
    if rotated_at is None:
        return
    try:
        is_future = parse_time(rotated_at) > now + _CLOCK_DIFFERENCE
    except ValueError:
        yield f"its annotation {ROTATED_AT} is not a time, so that the age of its key is not certain"
    else:
        if is_future:
            yield f"its annotation {ROTATED_AT} is in the future, so that the age of its key is not certain"


def _rotation_problems(key: KeyState, due_at: Time | None, now: Time) -> list[dict[str, str]]:
    """Return the problems of the rotation; after drift or a restore, its times mean nothing."""
    if key.status["problems"]:
        return list(key.status["problems"])
    problems: list[Problem] = rotation_problems(key.record, due_at, now)
    return [problem.show() for problem in problems]
