# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do today: a task for each problem, in order of urgency, with the sentence and the remedy of its code. Pure.

Commands name credentials by their ids and Ranchers by plain names only; other people choose display names.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ...module_utils._common.problems import LEVELS, PROBLEM_LEVELS
from ...module_utils._common.times import Time, parse_time
from ...module_utils._issuers.registry import default_issuer
from ...module_utils._rotation.options import RECORD_NAMESPACE
from ...module_utils._rotation.record import IDLE
from .._rotation_commands import CommandContext, playbook_command, rotation_command, usual_state

# The host that playbooks use by default.
_DEFAULT_HOST = "localhost"
_UNREAD = "unread"
# The issuer for keys that a user supplies, so that no playbook can issue one by itself.
_SUPPLIED = "supplied"
# How long a credential may be without use before its deletion is advised: objects are often created after it.
_NEW = datetime.timedelta(days=1)
WHEN: Mapping[str, str] = {"error": "now", "warning": "in the next days", "notice": "when you have time"}


@dataclass(frozen=True)
class Subject:
    """What remedies depend on. ``cluster`` is the first cluster that refers to the credential, as namespace/name."""

    id: str
    phase: str | None
    has_issuer: bool
    due: bool
    max_age_days: int | None
    cluster: str | None
    in_several_ranchers: bool


@dataclass(frozen=True)
class Remedy:
    """One way out: what to do, with a command to paste, a page of Rancher's UI, or, if both are None, the runbook."""

    what: str
    command: str | None = None
    page: str | None = None


@dataclass(frozen=True)
class Task:
    """An entry of the list. Without ``id`` it is about the Rancher itself. ``detail`` is the message of the problem."""

    rancher: str
    id: str | None
    name: str | None
    owner: str | None
    code: str
    level: str
    why: str
    detail: str
    remedy: Remedy


@dataclass(frozen=True)
class _Advice:
    """The sentence for a problem code, and the way out."""

    why: str
    remedy: t.Callable[[Subject, CommandContext], Remedy]


def _credential_page(what: str) -> t.Callable[[Subject, CommandContext], Remedy]:
    return lambda subject, _context: Remedy(what, page=f"Cluster Management > Cloud Credentials > {_short(subject.id)}")


def _cluster_page(what: str, entry: str) -> t.Callable[[Subject, CommandContext], Remedy]:
    def remedy(subject: Subject, _context: CommandContext) -> Remedy:
        cluster = f" > {subject.cluster}" if subject.cluster else ""
        return Remedy(what, page=f"Cluster Management > Clusters{cluster} > {entry}")
    return remedy


def _page(what: str, page: str) -> t.Callable[[Subject, CommandContext], Remedy]:
    return lambda _subject, _context: Remedy(what, page=f"Cluster Management > {page}")


def _runbook(what: str) -> t.Callable[[Subject, CommandContext], Remedy]:
    return lambda _subject, _context: Remedy(what)


def _rotation(what: str, state: str) -> t.Callable[[Subject, CommandContext], Remedy]:
    return lambda subject, context: _rotate(what, state, subject, context)


def _rotate(what: str, state: str, subject: Subject, context: CommandContext) -> Remedy:
    """Return the remedy with its command; the runbook if the command needs variables for other Ranchers."""
    if subject.in_several_ranchers:
        return Remedy(f"{what}, with the variables for all Ranchers that contain the key")
    return Remedy(what, rotation_command(subject.id, state, context, _max_age(subject)))


def _status(what: str) -> t.Callable[[Subject, CommandContext], Remedy]:
    return lambda subject, context: Remedy(what, _status_command(subject, context))


def _status_command(subject: Subject, context: CommandContext) -> str | None:
    variables = [f"rotation_status_id: {subject.id}"]
    return playbook_command("rotation_status", subject.id, variables, context)


def _removal(subject: Subject, context: CommandContext) -> Remedy:
    variables = [f"remove_credentials_list: [{{id: {subject.id}}}]"]
    here = context._replace(namespace=None)
    command = playbook_command("remove_credentials", subject.id, variables, here)
    return Remedy("Delete the credential, then its key at the cloud provider", command)


def _new_key(subject: Subject, context: CommandContext) -> Remedy:
    """Rotate a key that an issuer can replace; a user must replace any other."""
    if subject.has_issuer and subject.due:
        return _rotate("Rotate the key", "rotated", subject, context)
    return _credential_page("Create a key at the cloud provider and save it in the credential")(subject, context)


def _continuation(subject: Subject, context: CommandContext) -> Remedy:
    state = usual_state(subject.phase)
    if state is None:
        return Remedy("Read what the rotation waits for", _status_command(subject, context))
    return _rotate("Continue the rotation", state, subject, context)


def _max_age(subject: Subject) -> str:
    """Return an age that the key has reached: a policy in hours is 0 days here."""
    return f"{subject.max_age_days}d" if subject.max_age_days else "1h"


def _short(credential_id: str) -> str:
    return credential_id.rpartition(":")[2]


# In order of urgency within each level.
_ADVICE: Mapping[str, _Advice] = {
    "dangling": _Advice(
        "Objects use this credential, but it does not exist.",
        _cluster_page("Select another cloud credential of the same account", "Edit Config"),
    ),
    "expired": _Advice(
        "A key, token or certificate in the credential has expired.",
        _credential_page("Create a key at the cloud provider and save it in the credential"),
    ),
    "key_refused": _Advice(
        "The cloud provider does not accept the key, so that machines can be neither created nor deleted.",
        _credential_page("Create a key at the cloud provider and save it in the credential"),
    ),
    "sync_failed": _Advice(
        "Rancher could not synchronize a hosted cluster with this credential.",
        _credential_page("Save a key that the cloud provider accepts, or grant it the missing permission"),
    ),
    "drift": _Advice(
        "The credential does not contain the key that its rotation wrote.",
        _status("Read which command restores the key"),
    ),
    "restored": _Advice(
        "The credential contains a retired key again, as after a restore from a backup.",
        _rotation("Write the current key again", "retired"),
    ),
    "gone": _Advice(
        "The credential was deleted during its rotation, so that keys may be left at the cloud provider.",
        _rotation("Forget the rotation and delete its keys", "forgotten"),
    ),
    "record_unreadable": _Advice(
        "The record of the rotation cannot be read, so that the key is not rotated.",
        _runbook("Restore the record"),
    ),
    "unreadable": _Advice(
        "Rancher cannot read this Secret as a cloud credential.",
        _page("Create a correct credential for the objects that use it, then delete this one", "Cloud Credentials"),
    ),
    "driver_mismatch": _Advice(
        "A machine pool of another driver uses the credential, so that it cannot create machines.",
        _cluster_page("Select a cloud credential of the driver of the pool", "Edit Config"),
    ),
    "reference_unresolved": _Advice(
        "A cluster spells the id of the credential in a way that Rancher does not resolve.",
        _cluster_page("Write the full id of the credential", "Edit YAML"),
    ),
    "config_contradicts": _Advice(
        "A machine config overrides a field of the credential, so that new machines do not get its value.",
        _runbook("Remove the field from the machine config"),
    ),
    "template_broken": _Advice(
        "A node template that uses the credential cannot create machines.",
        _page("Correct or delete the node template", "RKE1 Configuration > Node Templates"),
    ),
    "owner_gone": _Advice(
        "The owner was deleted, so that only administrators see the credential.",
        _runbook("Transfer the credential to another user"),
    ),
    "key_forbidden": _Advice(
        "The key lacks a permission that Rancher's driver needs.",
        _runbook("Grant the permission at the cloud provider"),
    ),
    "expires_soon": _Advice("A key, token or certificate in the credential expires soon.", _new_key),
    "stuck_rotation": _Advice("The rotation of the key has stopped.", _continuation),
    "overdue": _Advice("The key is older than its policy allows.", _new_key),
    "shared_key": _Advice(
        "Other credentials contain the same key.",
        _credential_page("Create a separate key at the cloud provider and save it in the credential"),
    ),
    "driver_inactive": _Advice(
        "The driver is not active, so that machines can be neither created nor deleted.",
        _page("Activate the driver", "Drivers"),
    ),
    "duplicate_name": _Advice(
        "Another credential has the same name and driver.",
        _credential_page("Rename the credential"),
    ),
    "malformed": _Advice(
        "A certificate, a token or an annotation cannot be read, so that its deadline is not certain.",
        _credential_page("Save the field that the message names again"),
    ),
    "config_repeats": _Advice(
        "A machine config repeats a field of the credential, so that this field cannot be rotated.",
        _runbook("Remove the field from the machine config"),
    ),
    "unused": _Advice("No object uses the credential.", _removal),
}
# The level of each problem code.
CODES: Mapping[str, str] = {**{str(code): level for code, level in PROBLEM_LEVELS.items()}, "dangling": "error"}
SENTENCES: Mapping[str, str] = {code: advice.why for code, advice in _ADVICE.items()}


def plan_today(
    ranchers: t.Iterable[Mapping[str, t.Any]], credentials: t.Iterable[Mapping[str, t.Any]], namespace: str, now: Time,
) -> list[Task]:
    """Return a task for each Rancher that could not be read and for each problem of a credential, by urgency.

    Args: ``ranchers`` and ``credentials`` of the model; ``namespace`` of the records of rotations. A problem with a
    code that only a later release knows is left out, and so is ``unused`` while it may be temporary.
    """
    unread = [_unread(rancher, namespace) for rancher in ranchers if not rancher["up"]]
    order = list(_ADVICE)
    found: list[tuple[t.Any, Task]] = []
    for credential in credentials:
        problems = {problem["code"]: problem for problem in reversed(credential["problems"])}
        found += [
            ((LEVELS.index(problem["level"]), order.index(code), credential["due_at"] or "~"),
             _task(credential, problem, namespace))
            for code, problem in problems.items()
            if code in _ADVICE and (code != "unused" or _is_deletable(credential, now))
        ]
    found.sort(key=lambda item: (*item[0], item[1].name or "", item[1].rancher, item[1].id or ""))
    return unread + [task for _key, task in found]


def _is_deletable(credential: Mapping[str, t.Any], now: Time) -> bool:
    """Whether a credential that no object uses is neither new nor being rotated."""
    phase = credential["rotation"]["phase"] if credential["rotation"] else IDLE
    created_at = credential["created_at"]
    return phase == IDLE and (created_at is None or now - parse_time(created_at) >= _NEW)


def _task(credential: Mapping[str, t.Any], problem: Mapping[str, str], namespace: str) -> Task:
    advice = _ADVICE[problem["code"]]
    return Task(
        credential["rancher"], credential["id"], credential["name"], credential["owner_name"] or credential["owner"],
        problem["code"], problem["level"], advice.why, problem["message"],
        advice.remedy(_subject(credential), _context(credential["rancher"], namespace)),
    )


def _unread(rancher: Mapping[str, t.Any], namespace: str) -> Task:
    context = _context(rancher["name"], namespace)._replace(namespace=None)
    command = playbook_command("where_used", None, (), context)
    remedy = Remedy("Correct what the reason names, then read the Rancher again", command)
    return Task(
        rancher["name"], None, None, None, _UNREAD, "error", "The Rancher could not be read.", rancher["error"], remedy,
    )


def _context(rancher: str, namespace: str) -> CommandContext:
    return CommandContext(
        host=None if rancher == _DEFAULT_HOST else rancher,
        namespace=None if namespace == RECORD_NAMESPACE else namespace,
    )


def _subject(credential: Mapping[str, t.Any]) -> Subject:
    rotation = credential["rotation"] or {}
    clusters = (
        f"{reference['namespace'] or ''}/{reference['name']}".lstrip("/")
        for reference in credential["references"] if reference["kind"] == "Cluster"
    )
    return Subject(
        credential["id"], rotation.get("phase"),
        default_issuer(credential["driver"]) is not None or rotation.get("issuer") not in (None, _SUPPLIED),
        credential["due"], credential["max_age_days"], next(clusters, None), bool(credential["also_in"]),
    )
