# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What cloud_credential_rotation_info does.

PRIVATE to the collection.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Mapping

from . import _observe as observe
from ._credential import Credential
from ._kubernetes import Api
from ._manage_credentials import credentials, wanted_by
from ._manage_rotation import Stored, history, judge_gates
from ._metadata import check_id
from ._references import NAMESPACE
from ._rotation import DISABLED, GRACE, IDLE
from ._rotation_options import duration
from ._rotation_status import due_when, made_at, problem_of, show_rotation, waiting
from ._run import Connect, Mode

Time = datetime.datetime


def list_rotations(params: Mapping[str, t.Any], connect: Connect, mode: Mode) -> dict[str, t.Any]:
    """cloud_credential_rotation_info: where each rotation stands."""
    api = connect()
    found, past, users = api.at_once(
        lambda: credentials(api), lambda: history(api, params["namespace"]), lambda: observe.users(api) if params["owner"] else None)
    stored = Stored(found, past)
    identifier, _mistakes = check_id(params["id"], NAMESPACE)
    max_age = None if params["max_age"] is None else duration(params["max_age"])
    return {"changed": False, "rotations": [
        status(api, stored, one, max_age, params["gates"]) for one in sorted(found, key=lambda one: (one.name, one.id))
        if identifier in (None, one.id) and not one.problem and wanted_by(params, one, users)
    ]}


def status(
    api: Api, stored: Stored, credential: Credential, max_age: int | None, judge: bool, made: tuple[Time | None, str] | None = None
) -> dict[str, t.Any]:
    """How the rotation of a credential stands, and how old its key is: since ``made``, if the caller knows better.

    ``judge`` also asks what keeps an old key from being retired.
    """
    record, live = stored.record(credential.id), stored.live(credential.id)
    now = datetime.datetime.now(datetime.timezone.utc)
    at, source = made or made_at(credential, record, live)
    if record is None or record.phase == IDLE:
        due = due_when(at, max_age, record, None)
    else:
        due = {GRACE: record.retire_not_before, DISABLED: record.delete_not_before}.get(record.phase, now)
    shown = show_rotation(credential, record)
    shown.update(
        age=max(0, int((now - at).total_seconds())) if at else None, age_from=source,
        due_at=due.isoformat(timespec="seconds") if due else None, due=bool(due and due <= now), waiting_for=[],
    )
    problem = problem_of(record, live)
    if problem:
        shown["problem"] = problem
    if record is not None and record.owner:
        shown["running"] = True
    if judge and record is not None and record.phase in (GRACE, DISABLED):
        members = [one for one in (stored.credential(name) for name, _uid in record.members) if one]
        judged = judge_gates(api, members, record)
        shown.update(gates=[gate.show() for gate in judged], waiting_for=waiting(judged))
    return shown
