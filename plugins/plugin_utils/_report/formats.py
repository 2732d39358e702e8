# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model as JSON, CSV, Markdown and Prometheus' text format.

PRIVATE to the collection. Pure. Names come from users: each format quotes them so that they stay names.
"""

from __future__ import annotations

import csv
import io
import json
import re
import typing as t
from collections.abc import Mapping

from .model import LEVELS, SOURCES, moment, runbook, visible

# What makes a spreadsheet take a cell for a formula, wide forms included.
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
_COLUMNS = ("rancher", "name", "id", "driver", "owner", "owner_name", "key_age_days", "key_age_from", "max_age_days", "due_at", "due", "used_by",
            "phase", "next_step", "problems", "error")


def to_json(model: Mapping[str, t.Any]) -> str:
    return json.dumps(model, indent=2, ensure_ascii=False) + "\n"


def to_csv(model: Mapping[str, t.Any]) -> str:
    """One line for each credential, and one for each Rancher that could not be read."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS)
    writer.writeheader()
    rows = [{"rancher": one["name"], "error": one["error"]} for one in model["ranchers"] if not one["up"]]
    for one in model["credentials"]:
        rotation = one["rotation"] or {}
        rows.append({
            **{name: one[name] for name in _COLUMNS if name in one},
            "used_by": "; ".join(_user(reference) for reference in one["references"]),
            "phase": rotation.get("phase"), "next_step": rotation.get("next_step"),
            "due": "yes" if one["due"] else "no",
            "problems": "; ".join(f"{problem['code']}: {problem['message']}" for problem in one["problems"]),
        })
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def to_markdown(model: Mapping[str, t.Any]) -> str:
    """For people and for summaries of CI jobs: figures, what is wrong, all credentials."""
    figures = model["figures"]
    lines = [
        "# Cloud credentials", "", f"Generated at {model['generated_at']}.", "",
        *_table(("Ranchers", "Credentials", "Due", "Due soon", "With errors", "With warnings", "Rotating", "Unused"), [
            [str(figures[name]) for name in ("ranchers", "credentials", "due", "due_soon", "with_errors", "with_warnings", "rotating", "unused")]]),
    ]
    unread = [[_code(one["name"]), _code(one["error"])] for one in model["ranchers"] if not one["up"]]
    unjudged = [[_code(one["name"]), _code(text)] for one in model["ranchers"]
                for text in one["problems_incomplete"] + [f"references: may not list {kind}" for kind in one["references_incomplete"]]]
    problems = [
        [problem["level"], f"[{problem['code']}]({runbook(model, problem['code'])})", _code(one["name"]), _code(one["rancher"]), _code(problem["message"])]
        for level in LEVELS for one in model["credentials"] for problem in one["problems"] if problem["level"] == level
    ]
    every = [[
        _code(one["name"]), _code(one["rancher"]), _code(one["driver"]), _code(one["owner_name"] or one["owner"]), _age(one), _due(one),
        str(len(one["references"])), _rotation(one), ", ".join(problem["code"] for problem in one["problems"])] for one in model["credentials"]]
    for title, header, rows in (
        ("Could not be read", ("Rancher", "Why"), unread),
        ("Could not be judged", ("Rancher", "What"), unjudged),
        ("Problems", ("Level", "Problem", "Credential", "Rancher", "What"), problems),
        ("Credentials", ("Credential", "Rancher", "Driver", "Owner", "Age of the key", "Due", "Used by", "Rotation", "Problems"), every),
    ):
        if rows:
            lines += ["", f"## {title}", "", *_table(header, rows)]
    return "\n".join(lines) + "\n"


def to_prometheus(model: Mapping[str, t.Any]) -> str:
    """For the textfile collector of node_exporter. Ages are in whole days, though in seconds."""
    metrics = _Metrics()
    metrics.add("report_generated_timestamp_seconds", "When this was written.", moment(model["generated_at"]).timestamp())
    for one in model["ranchers"]:
        rancher = {"rancher": one["name"]}
        metrics.add("rancher_up", "Whether the Rancher could be read.", one["up"], **rancher)
        if one["up"]:
            metrics.add("rancher_credentials", "How many cloud credentials it has.", one["credentials"], **rancher)
            metrics.add("rancher_problems_incomplete", "How many kinds of problems could not be judged.", len(one["problems_incomplete"]), **rancher)
    for one in model["credentials"]:
        same = {name: one[name] for name in ("rancher", "id", "name")}
        rotation = one["rotation"] or {}
        metrics.add("credential_info", "A cloud credential; always 1.", 1, **same, driver=one["driver"], owner=one["owner_name"] or one["owner"],
                    phase=rotation.get("phase"), key_age_from=one["key_age_from"])
        for name, what, days in (("key_age", "How old the key is, in whole days.", one["key_age_days"]),
                                 ("max_age", "How old the key may become.", one["max_age_days"])):
            if days is not None:
                metrics.add(f"credential_{name}_seconds", what, days * 86400, **same)
        for name, what, at in (("due", "When its next step is due.", one["due_at"]), ("expires", "When its key ends by itself.", rotation.get("expires_at"))):
            if at:
                metrics.add(f"credential_{name}_timestamp_seconds", what, moment(at).timestamp(), **same)
        metrics.add("credential_references", "How many places use it.", len(one["references"]), **same)
        # Once each: two samples with the same labels would make the whole file void.
        for code, level in sorted({(problem["code"], problem["level"]) for problem in one["problems"]}):
            metrics.add("credential_problem", "A problem that it has; always 1.", 1, **same, code=code, level=level)
    return metrics.text()


class _Metrics:
    """Samples, gathered by the name of their metric as the format wants it."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def add(self, metric: str, what: str, value: float, /, **labels: str | None) -> None:
        lines = self._lines.setdefault(metric, [f"# HELP ranchhand_{metric} {what}", f"# TYPE ranchhand_{metric} gauge"])
        inside = ",".join(f'{label}="{_label(text or "")}"' for label, text in labels.items())
        lines.append(f"ranchhand_{metric}{{{inside}}} {int(value)}" if inside else f"ranchhand_{metric} {int(value)}")

    def text(self) -> str:
        return "\n".join(line for lines in self._lines.values() for line in lines) + "\n"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _cell(value: t.Any) -> t.Any:
    text = visible(value)
    return f"'{text}" if isinstance(text, str) and text.lstrip().startswith(_FORMULA) else text


def _user(reference: Mapping[str, t.Any]) -> str:
    return f"{reference['kind']} {reference['namespace'] + '/' if reference['namespace'] else ''}{reference['name']}"


def _table(header: t.Sequence[str], rows: t.Sequence[t.Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def _code(text: str | None) -> str:
    """Somebody's text as code, within which Markdown knows neither links nor tags."""
    if not text:
        return ""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{fence} {visible(text)} {fence}".replace("|", "\\|")


def _age(one: Mapping[str, t.Any]) -> str:
    if one["key_age_days"] is None:
        return "" if one["gone"] else "unknown"
    allowed = "" if one["max_age_days"] is None else f" of {one['max_age_days']}"
    return f"{one['key_age_days']}{allowed} days, {SOURCES[one['key_age_from']]}"


def _due(one: Mapping[str, t.Any]) -> str:
    return f"**since {one['due_at'][:10]}**" if one["due"] and one["due_at"] else "**now**" if one["due"] else (one["due_at"] or "")[:10]


def _rotation(one: Mapping[str, t.Any]) -> str:
    if not one["rotation"]:
        return "" if one["gone"] else "unknown"
    phase = one["rotation"]["phase"]
    return phase if phase == "idle" else f"{phase}, next: {one['rotation']['next_step']}"
