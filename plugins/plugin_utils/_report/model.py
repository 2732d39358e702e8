# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report says, whatever its format, and what of it is a failure.

PRIVATE to the collection. Pure.
"""

from __future__ import annotations

import datetime
import re
import typing as t
from collections import Counter
from collections.abc import Mapping

from ...module_utils._health.problems import LEVELS as CREDENTIAL_CODES

LEVELS = ("error", "warning", "notice")
# Each problem and how bad it is.
CODES = {**CREDENTIAL_CODES, "dangling": "error"}
# Where the age of a key comes from, in words.
SOURCES = {"record": "from its record", "annotation": "from an annotation", "cloud": "the cloud's date", "secret": "date of the Secret"}
SOON_DAYS = 30

_DAY = 86400
_SHARES = (25, 50, 75, 100, 150)
_WEEKS = 26
_NAMED = 5
_ROTATION = ("phase", "generation", "next_step", "issuer", "rotation_id", "reason", "key_id", "old_key_id", "running", "waiting_for", "started_at",
             "cutover_at", "disabled_at", "rotated_at", "expires_at", "transitions")
# Characters that are not seen, or turn around what is: between names of others they could make one thing look like another.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]")


def visible(value: t.Any) -> t.Any:
    """The same with characters that are not seen written as escapes, in all its texts."""
    if isinstance(value, str):
        return _UNSEEN.sub(lambda found: f"\\u{ord(found.group()):04x}", value)
    if isinstance(value, Mapping):
        return {key: visible(element) for key, element in value.items()}
    return [visible(element) for element in value] if isinstance(value, list) else value


def mistakes(ranchers: Mapping[str, t.Any], variable: str) -> list[str]:
    """What keeps the values that a variable has for each Rancher from becoming a report, a sentence each."""
    if not any(ranchers.values()):
        return [f"registered: no host of the play has a variable {variable:.60}"]
    wrong = []
    for name, result in ranchers.items():
        found = result.get("credentials", []) if isinstance(result, Mapping) else [] if result is None else None
        if not isinstance(found, list) or not all(isinstance(one, Mapping) and "problems" in one for one in found):
            wrong.append(f"registered: {variable:.60} of host {name:.60} must be what cloud_credential_info returned with problems: true")
    return wrong


def build(ranchers: Mapping[str, t.Any], now: datetime.datetime, runbook_url: str) -> dict[str, t.Any]:
    """The model: results of cloud_credential_info by the name of the Rancher, as plain data that is the same whoever shows it.

    Spans are whole days, so that it changes when something happened and not with each second. What is used though it is gone is among the
    credentials too.
    """
    answers = {name: result or {"msg": "its host failed before it was asked"} for name, result in ranchers.items()}
    credentials = [_credential(rancher, one, now) for rancher, result in answers.items()
                   for one in [*result.get("credentials", ()), *map(_gone, result.get("dangling", ()))]]
    credentials.sort(key=lambda one: (_rank(one), one["due_at"] or "~", one["name"], one["rancher"], one["id"]))
    shown = [_rancher(name, result) for name, result in answers.items()]
    return {
        "generated_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "runbook_url": runbook_url.rstrip("/"),
        "figures": _figures(shown, credentials),
        "ranchers": shown,
        "ages": _ages(credentials),
        "rotations": _rotations(credentials, now),
        "credentials": credentials,
    }


def findings(model: Mapping[str, t.Any], fail_on: t.Collection[str]) -> list[str]:
    """Why the run fails, a part of a sentence each: what could not be read, and the problems that are codes or levels of ``fail_on``.

    A level means what is worse too. A problem that nobody could look for is no better than one that was found.
    """
    found = [f"{one['name']} could not be read ({one['error']})" for one in model["ranchers"] if not one["up"]]
    worst = max((LEVELS.index(word) for word in fail_on if word in LEVELS), default=-1)
    for code, level in CODES.items():
        if code not in fail_on and LEVELS.index(level) > worst:
            continue
        places = [f"{one['name']} of {one['rancher']}" for one in model["credentials"] if code in [problem["code"] for problem in one["problems"]]]
        if places:
            more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
            found.append(f"{code}: {', '.join(places[:_NAMED])}{more}")
        found += [f"{code} of {one['name']} could not be judged ({sentence.partition(': ')[2]})"
                  for one in model["ranchers"] for sentence in one["problems_incomplete"] if code in sentence.partition(":")[0].split(", ")]
    return visible(found)


def runbook(model: Mapping[str, t.Any], code: str) -> str:
    """Where it stands what to do about a problem."""
    return f"{model['runbook_url']}/credentials.md#{code}"


def _rancher(name: str, result: Mapping[str, t.Any]) -> dict[str, t.Any]:
    found = result.get("credentials")
    return {
        "name": name,
        "up": found is not None,
        "error": None if found is not None else str(result.get("msg") or "no answer"),
        "credentials": len(found or ()),
        "references_incomplete": list(result.get("references_incomplete", ())),
        "problems_incomplete": list(result.get("problems_incomplete", ())),
    }


def _credential(rancher: str, one: Mapping[str, t.Any], now: datetime.datetime) -> dict[str, t.Any]:
    due_at, rotation = one.get("due_at"), one.get("rotation")
    return {
        "rancher": rancher,
        "gone": one.get("gone", False),
        **{name: one.get(name) for name in ("id", "name", "driver", "owner", "owner_name", "description", "created_at")},
        "key_age_days": _days(one.get("key_age")),
        "key_age_from": one.get("key_age_from"),
        "max_age_days": _days(one.get("max_age")),
        "due_at": due_at,
        "due": bool(one.get("due")),
        "due_in_days": (moment(due_at) - now).days if due_at else None,
        "references": [{name: reference.get(name) for name in ("kind", "api_version", "namespace", "name", "field")}
                       for reference in one.get("references") or ()],
        "rotation": rotation and {name: rotation.get(name) for name in _ROTATION},
        "problems": sorted(one["problems"], key=lambda problem: (LEVELS.index(problem["level"]), problem["code"])),
    }


def _gone(one: Mapping[str, t.Any]) -> dict[str, t.Any]:
    problem = {"code": "dangling", "level": CODES["dangling"], "message": "it is gone, although something refers to it"}
    return {**one, "gone": True, "name": one["id"].rpartition(":")[2], "problems": [problem]}


def _figures(ranchers: list[dict[str, t.Any]], credentials: list[dict[str, t.Any]]) -> dict[str, int]:
    levels = Counter(level for one in credentials for level in {problem["level"] for problem in one["problems"]})
    return {
        "ranchers": len(ranchers),
        "ranchers_unread": sum(not one["up"] for one in ranchers),
        "credentials": sum(not one["gone"] for one in credentials),
        "dangling": sum(one["gone"] for one in credentials),
        "due": sum(one["due"] for one in credentials),
        "due_soon": sum(not one["due"] and one["due_in_days"] is not None and one["due_in_days"] < SOON_DAYS for one in credentials),
        "rotating": sum(_rotating(one) for one in credentials),
        "unused": sum("unused" in [problem["code"] for problem in one["problems"]] for one in credentials),
        **{f"with_{level}s": levels[level] for level in LEVELS},
    }


def _ages(credentials: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """How many credentials have used how much of what their policy allows."""
    counts: Counter[int | str] = Counter()
    for one in credentials:
        if one["gone"]:
            continue
        age, allowed = one["key_age_days"], one["max_age_days"]
        if age is None or allowed is None:
            counts["no policy" if allowed is None else "unknown"] += 1
        else:
            counts[sum(age * 100 >= share * allowed for share in _SHARES)] += 1
    names = [f"{low}–{high} %" for low, high in zip((0, *_SHARES), _SHARES)] + [f"over {_SHARES[-1]} %"]
    shares = [{"share": name, "credentials": counts[index], "over": index >= _SHARES.index(100) + 1} for index, name in enumerate(names)]
    return shares + [{"share": name, "credentials": counts[name], "over": False} for name in ("no policy", "unknown")]


def _rotations(credentials: list[dict[str, t.Any]], now: datetime.datetime) -> list[dict[str, t.Any]]:
    """What happened to keys in each of the last weeks, as far back as the records go."""
    monday = now.date() - datetime.timedelta(days=now.weekday())
    weeks = {
        monday - datetime.timedelta(weeks=back): {"rotated": 0, "retired": 0, "given_up": 0} for back in range(_WEEKS - 1, -1, -1)
    }
    for one in credentials:
        before = None
        for step in (one["rotation"] or {}).get("transitions") or ():
            kind = _kind(before, step["phase"])
            before = step["phase"]
            day = moment(step["at"]).astimezone(datetime.timezone.utc).date()
            week = weeks.get(day - datetime.timedelta(days=day.weekday()))
            if kind and week:
                week[kind] += 1
    return [{"week": week.isoformat(), **counts} for week, counts in weeks.items()]


def _kind(before: str | None, phase: str) -> str | None:
    if phase == "grace" and before != "rolling_back":  # from there it means that the old key no longer works
        return "rotated"
    if phase == "idle":
        return "given_up" if before in ("rolling_back", "aborting") else "retired"
    return None


def _rotating(one: Mapping[str, t.Any]) -> bool:
    return bool(one["rotation"]) and one["rotation"]["phase"] != "idle"


def _rank(one: Mapping[str, t.Any]) -> int:
    return min((LEVELS.index(problem["level"]) for problem in one["problems"]), default=len(LEVELS))


def _days(seconds: int | None) -> int | None:
    return None if seconds is None else int(seconds) // _DAY


def moment(text: str) -> datetime.datetime:
    """A time as our modules write it."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
