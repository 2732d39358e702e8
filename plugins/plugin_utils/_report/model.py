# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of a report, which all formats show, and the problems that fail a run. Pure."""

from __future__ import annotations

import datetime
import re
import typing as t
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict

from ...module_utils._common.problems import LEVELS
from ...module_utils._common.text import short_list
from ...module_utils._common.times import format_time, parse_time
from ...module_utils._rancher.references import HISTORY
from ...module_utils._rotation.options import RECORD_NAMESPACE
from ...module_utils._rotation.record import ABORTING, IDLE, ROLLING_BACK
from .today import CODES, plan_today

# What each source of the age of a key means.
SOURCES = {
    "record": "from its rotation record", "annotation": "from an annotation", "provider": "from the cloud provider",
    "secret": "since the Secret was created",
}
SOON_DAYS = 30
# The states of the age of a key, of which each has one color.
AGE_STATES = ("fine", "due_soon", "overdue", "no_policy", "unknown")

_DAY = 86400
_WEEKS = 26
# Credentials that a failure message names for each problem.
_NAMED = 5
_ROTATION = (
    "phase", "generation", "next_step", "issuer", "rotation_id", "reason", "key_id", "old_key_id", "running",
    "waiting_for", "started_at", "cutover_at", "disabled_at", "rotated_at", "expires_at", "transitions",
    "rotated_elsewhere",
)
# The problems of a key, which are not repeated for each Rancher that contains it.
_KEY_PROBLEMS = ("expired", "expires_soon", "key_refused", "key_forbidden", "overdue")
# Invisible characters and those that change the direction of text: they could make a name look like another one.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]"
)

Entry = t.Dict[str, t.Any]


def visible(value: t.Any) -> t.Any:
    """Return the value with invisible characters escaped in all its strings."""
    if isinstance(value, str):
        return _INVISIBLE.sub(lambda match: f"\\u{ord(match.group()):04x}", value)
    if isinstance(value, Mapping):
        return {key: visible(element) for key, element in value.items()}
    return [visible(element) for element in value] if isinstance(value, list) else value


def validation_errors(results: t.Any) -> list[str]:
    """Return why no report can be written from the option ``registered``."""
    if not isinstance(results, Mapping):
        return ["registered must be a mapping of the names of Ranchers to results of cloud_credential_info"]
    if not any(results.values()):
        return ["registered contains no result of cloud_credential_info; register one on the hosts of the play first"]
    return [
        f"registered: {name!s:.60} must be what cloud_credential_info returned with problems: true"
        for name, result in results.items()
        if result is not None and not (_matches(result, _RESULT) and _has_health(result))
    ]


def _is_time(value: t.Any) -> bool:
    try:
        parse_time(value)
    except (TypeError, ValueError):
        return False
    return True


class _Keys(t.NamedTuple):
    """The keys of a mapping that a report uses, with the shapes of their values; others are allowed."""

    required: Mapping[str, t.Any]
    optional: Mapping[str, t.Any] = {}


# A shape is a type, a test of text, a list with the shape of its elements, or _Keys.
_PROBLEM = _Keys({"code": str, "level": LEVELS.__contains__, "message": str})
_REFERENCE = _Keys({"kind": str, "name": str}, dict.fromkeys(("api_version", "namespace", "field", "use"), str))
_ROTATION_KEYS = _Keys({}, {
    "phase": str, "next_step": str, "expires_at": _is_time, "waiting_for": [str], "rotated_elsewhere": bool,
    "transitions": [_Keys({"at": _is_time, "phase": str, "what": str})],
})
_CREDENTIAL = _Keys({"id": str, "name": str, "problems": [_PROBLEM]}, {
    **dict.fromkeys(("driver", "owner", "owner_name", "description"), str),
    **dict.fromkeys(("created_at", "due_at"), _is_time),
    "key_age_seconds": int, "max_age_seconds": int, "key_age_source": SOURCES.__contains__, "gone": bool,
    "references": [_REFERENCE], "rotation": _ROTATION_KEYS, "key_digest": str,
})
_RESULT = _Keys({}, {
    "credentials": [_CREDENTIAL], "dangling": [_Keys({"id": str}, {"references": [_REFERENCE]})],
    "problems_incomplete": [str], "references_incomplete": [str],
})


def _matches(value: t.Any, shape: t.Any) -> bool:
    if isinstance(shape, _Keys):
        return isinstance(value, Mapping) and all(
            _matches(value.get(key), inner) for key, inner in shape.required.items()
        ) and all(
            value.get(key) is None or _matches(value[key], inner) for key, inner in shape.optional.items()
        )
    if isinstance(shape, list):
        return isinstance(value, list) and all(_matches(element, shape[0]) for element in value)
    if isinstance(shape, type):
        return isinstance(value, shape)
    return isinstance(value, str) and bool(shape(value))


def _has_health(result: Mapping[str, t.Any]) -> bool:
    """Whether credentials were listed with ``problems: true``, which adds the source of the age of their keys."""
    return all("key_age_source" in credential for credential in result.get("credentials") or ())


def build(
    results: Mapping[str, t.Any], now: datetime.datetime, runbook_url: str, namespace: str = RECORD_NAMESPACE,
) -> Entry:
    """Build the model from results of cloud_credential_info by the name of the Rancher.

    ``namespace`` is that of the records of rotations.
    The model is plain data. Its ages are whole days, so that it changes with the credentials and not with every second.
    Credentials that do not exist although objects refer to them are part of it. A key that several Ranchers contain
    is due, and has its problems, in one of them: where it is rotated.
    """
    results = {name: result or {"msg": "the host failed before it could be read"} for name, result in results.items()}
    found = [
        (_credential(rancher, credential, now), credential.get("key_digest"))
        for rancher, result in results.items()
        for credential in [*(result.get("credentials") or ()), *map(_missing, result.get("dangling") or ())]
    ]
    _compare_keys(found)
    credentials = sorted((credential for credential, _digest in found), key=_urgency)
    ranchers = [_rancher(name, result) for name, result in results.items()]
    return {
        "generated_at": format_time(now),
        "runbook_url": runbook_url.rstrip("/"),
        "today": [asdict(task) for task in plan_today(ranchers, credentials, namespace, now)],
        "figures": _figures(ranchers, credentials),
        "ranchers": ranchers,
        "ages": _ages(credentials),
        "rotations": _rotations(credentials, now),
        "credentials": credentials,
    }


def find_failures(model: Entry, fail_on: t.Collection[str]) -> list[str]:
    """Return why the run fails: Ranchers that could not be read, and problems that ``fail_on`` names by code or level.

    A level includes more severe levels. A check that was skipped counts as a problem that was found.
    """
    failures = [
        f"{rancher['name']} could not be read ({rancher['error']})"
        for rancher in model["ranchers"] if not rancher["up"]
    ]
    failing_levels = LEVELS[:1 + max((LEVELS.index(level) for level in LEVELS if level in fail_on), default=-1)]
    for code, level in CODES.items():
        if code in fail_on or level in failing_levels:
            failures += _failures_of(model, code)
    return [visible(failure) for failure in failures]


def _failures_of(model: Entry, code: str) -> t.Iterator[str]:
    affected = [
        f"{credential['name']} of {credential['rancher']}" for credential in model["credentials"]
        if code in _codes(credential)
    ]
    if affected:
        more = f" and {len(affected) - _NAMED} more" if len(affected) > _NAMED else ""
        yield f"{code}: {', '.join(affected[:_NAMED])}{more}"
    for rancher in model["ranchers"]:
        for sentence in rancher["problems_incomplete"]:
            codes, _colon, reason = sentence.partition(": ")
            if code in codes.split(", "):
                yield f"{code} could not be checked in {rancher['name']} ({reason})"


def runbook(model: Entry, code: str) -> str:
    """Return the URL of the runbook for a problem."""
    return f"{model['runbook_url']}/credentials.md#{code}"


def is_rotating(credential: Entry) -> bool:
    """Whether a rotation of the key is in progress."""
    return bool(credential["rotation"]) and credential["rotation"]["phase"] != IDLE


def _rancher(name: str, result: Mapping[str, t.Any]) -> Entry:
    credentials = result.get("credentials")
    return {
        "name": name,
        "up": credentials is not None,
        "error": None if credentials is not None else str(result.get("msg") or "the result has no message"),
        "credentials": len(credentials or ()),
        "references_incomplete": list(result.get("references_incomplete") or ()),
        "problems_incomplete": list(result.get("problems_incomplete") or ()),
    }


def _credential(rancher: str, credential: Mapping[str, t.Any], now: datetime.datetime) -> Entry:
    due_at, rotation = credential.get("due_at"), credential.get("rotation")
    copied = ("id", "name", "driver", "owner", "owner_name", "description", "created_at")
    reference_fields = ("kind", "api_version", "namespace", "name", "field")
    return {
        "rancher": rancher,
        "gone": bool(credential.get("gone")),
        **{name: credential.get(name) for name in copied},
        "key_age_days": _days(credential.get("key_age_seconds")),
        "key_age_source": credential.get("key_age_source"),
        "max_age_days": _days(credential.get("max_age_seconds")),
        "due_at": due_at,
        "due": bool(credential.get("due")),
        "due_in_days": (parse_time(due_at) - now).days if due_at else None,
        "references": [
            {name: reference.get(name) for name in reference_fields}
            for reference in credential.get("references") or () if reference.get("use") != HISTORY
        ],
        "rotation": {name: rotation.get(name) for name in _ROTATION} if rotation else None,
        "problems": sorted(credential["problems"], key=_severity),
        "also_in": [],
        "is_copy": False,
    }


def _compare_keys(found: t.Iterable[tuple[Entry, str | None]]) -> None:
    """Complete the credentials whose keys, by their digests, several Ranchers contain."""
    holders: dict[str, list[Entry]] = defaultdict(list)
    for credential, digest in found:
        if digest:
            holders[digest].append(credential)
    for group in holders.values():
        first = min(group, key=_precedence)
        for credential in group:
            others = [other for other in group if other["rancher"] != credential["rancher"]]
            credential["also_in"] = [{name: other[name] for name in ("rancher", "id", "name")} for other in others]
            credential["is_copy"] = credential["rancher"] != first["rancher"]
        for credential in group:
            if credential["is_copy"]:
                _leave_to(first, credential)
            else:
                _warn_of_a_separate_rotation(credential, group)


def _precedence(credential: Entry) -> tuple[t.Any, ...]:
    """Return the key to sort by: credentials whose Rancher rotates the key first."""
    generation = (credential["rotation"] or {}).get("generation")
    return _is_rotated_elsewhere(credential), not generation, credential["rancher"]


def _is_rotated_elsewhere(credential: Entry) -> bool:
    return bool((credential["rotation"] or {}).get("rotated_elsewhere"))


def _leave_to(first: Entry, copy: Entry) -> None:
    shown = _codes(first).intersection(_KEY_PROBLEMS)
    copy["problems"] = [problem for problem in copy["problems"] if problem["code"] not in shown]
    copy.update(due=False, due_at=None, due_in_days=None)


def _warn_of_a_separate_rotation(credential: Entry, group: t.Iterable[Entry]) -> None:
    """Add a problem if other Ranchers would keep the key when this one rotates it."""
    apart = [
        f"{other['id']} of {other['rancher']}"
        for other in group if other["is_copy"] and not _is_rotated_elsewhere(other)
    ]
    if apart:
        message = f"contains the same key as {short_list(apart)}, which would not get its new key"
        problem = {"code": "shared_key", "level": CODES["shared_key"], "message": message}
        credential["problems"] = sorted([*credential["problems"], problem], key=_severity)


def _missing(dangling: Mapping[str, t.Any]) -> Entry:
    problem = {"code": "dangling", "level": CODES["dangling"], "message": "does not exist, but objects refer to it"}
    return {
        "id": dangling["id"], "references": dangling.get("references"), "gone": True,
        "name": dangling["id"].rpartition(":")[2], "problems": [problem],
    }


def _severity(problem: Mapping[str, t.Any]) -> tuple[int, str]:
    return LEVELS.index(problem["level"]), problem["code"]


def _urgency(credential: Entry) -> tuple[t.Any, ...]:
    """Return the key to sort by: the most severe level first, then the earliest due time."""
    level = min((LEVELS.index(problem["level"]) for problem in credential["problems"]), default=len(LEVELS))
    return level, credential["due_at"] or "~", credential["name"], credential["rancher"], credential["id"]


def _codes(credential: Entry) -> set[str]:
    return {problem["code"] for problem in credential["problems"]}


def _is_due_soon(credential: Entry) -> bool:
    return not credential["due"] and credential["due_in_days"] is not None and credential["due_in_days"] < SOON_DAYS


def _figures(ranchers: list[Entry], credentials: list[Entry]) -> dict[str, int]:
    """Count Ranchers and credentials. Each credential counts for one level: that of its most severe problem."""
    levels = Counter(credential["problems"][0]["level"] for credential in credentials if credential["problems"])
    return {
        "ranchers": len(ranchers),
        "ranchers_unread": sum(not rancher["up"] for rancher in ranchers),
        "credentials": sum(not credential["gone"] for credential in credentials),
        "dangling": sum(credential["gone"] for credential in credentials),
        "due": sum(credential["due"] for credential in credentials),
        "due_soon": sum(map(_is_due_soon, credentials)),
        "rotating": sum(map(is_rotating, credentials)),
        "unused": sum("unused" in _codes(credential) for credential in credentials),
        **{f"with_{level}s": levels[level] for level in LEVELS},
        "without_problems": len(credentials) - sum(levels.values()),
    }


def _ages(credentials: list[Entry]) -> list[Entry]:
    """Count the keys of each policy by the state of their age, the shortest maximum age first."""
    policies: dict[int | None, Counter[str]] = {}
    for credential in credentials:
        if not credential["gone"] and not credential["is_copy"]:
            policies.setdefault(credential["max_age_days"], Counter())[_age_state(credential)] += 1
    longest = max((allowed for allowed in policies if allowed is not None), default=0) + 1
    return [
        {"max_age_days": allowed, **{state: policies[allowed][state] for state in AGE_STATES}}
        for allowed in sorted(policies, key=lambda allowed: longest if allowed is None else allowed)
    ]


def _age_state(credential: Entry) -> str:
    age, allowed = credential["key_age_days"], credential["max_age_days"]
    if allowed is None:
        return "no_policy"
    if age is None:
        return "unknown"
    if age >= allowed:
        return "overdue"
    return "due_soon" if allowed - age <= SOON_DAYS else "fine"


def _rotations(credentials: list[Entry], now: datetime.datetime) -> list[Entry]:
    """Count the rotations that ended in each of the last weeks, as far back as the records reach."""
    monday = now.date() - datetime.timedelta(days=now.weekday())
    weeks = {
        monday - datetime.timedelta(weeks=age): {"completed": 0, "failed": 0} for age in range(_WEEKS - 1, -1, -1)
    }
    for credential in credentials:
        previous = None
        for transition in (credential["rotation"] or {}).get("transitions") or ():
            if transition["phase"] == IDLE:
                day = parse_time(transition["at"]).date()
                week = weeks.get(day - datetime.timedelta(days=day.weekday()))
                if week:
                    week["failed" if previous in (ROLLING_BACK, ABORTING) else "completed"] += 1
            previous = transition["phase"]
    return [{"week": week.isoformat(), **counts} for week, counts in weeks.items()]


def _days(seconds: int | None) -> int | None:
    return None if seconds is None else int(seconds) // _DAY
