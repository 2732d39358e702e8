# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model as JSON, CSV, Markdown and in the text format of Prometheus. Pure.

Users choose the names in it, so each format quotes them.
"""

from __future__ import annotations

import csv
import io
import json
import re
import typing as t

from ...module_utils._common.times import parse_time
from .model import LEVELS, SOURCES, Entry, is_rotating, runbook, visible
from .today import CODES, SENTENCES, WHEN

# Characters with which a spreadsheet recognizes a formula, fullwidth forms included.
_FORMULA = "=+\\-@\uff1d\uff0b\uff0d\uff20"
# The start of a cell: of the text, or after a semicolon, which separates cells in many locales.
_CELL_START = re.compile(rf"(^|;)([\s\"']*)(?=[{_FORMULA}])")
_COLUMNS = (
    "rancher", "name", "id", "driver", "owner", "owner_name", "key_age_days", "key_age_source", "max_age_days",
    "due_at", "due", "same_key_in", "used_by", "phase", "next_step", "problems", "error",
)
_FIGURES = {
    "ranchers": "Ranchers", "credentials": "Credentials", "with_errors": "With errors",
    "with_warnings": "With warnings only", "with_notices": "With notices only", "without_problems": "Without problems",
}
# Tasks of the list "Today" in Markdown.
_TASKS = 20


def to_json(model: Entry) -> str:
    """Return the model as JSON."""
    return json.dumps(model, indent=2, ensure_ascii=False) + "\n"


def to_csv(model: Entry) -> str:
    """Return a line for each credential and for each Rancher that could not be read."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS)
    writer.writeheader()
    rows = [
        {"rancher": rancher["name"], "error": rancher["error"]} for rancher in model["ranchers"] if not rancher["up"]
    ]
    for credential in model["credentials"]:
        rotation = credential["rotation"] or {}
        rows.append({
            **{name: credential[name] for name in _COLUMNS if name in credential},
            "same_key_in": "; ".join(f"{other['id']} of {other['rancher']}" for other in credential["also_in"]),
            "used_by": "; ".join(map(_reference, credential["references"])),
            "phase": rotation.get("phase"), "next_step": rotation.get("next_step"),
            "due": "yes" if credential["due"] else "no",
            "problems": "; ".join(f"{problem['code']}: {problem['message']}" for problem in credential["problems"]),
        })
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def to_markdown(model: Entry) -> str:
    """Return what to do today, figures, problems and all credentials, as for the summary of a CI job."""
    figures = [[str(model["figures"][name]) for name in _FIGURES]]
    lines = ["# Cloud credentials", "", f"Generated at {model['generated_at']}.", "", "## Today", ""]
    lines += _today(model) if model["today"] else ["There is nothing to do."]
    lines += ["", "## Figures", "", *_table(tuple(_FIGURES.values()), figures)]
    for title, header, rows in (
        ("Ranchers that could not be read", ("Rancher", "Reason"), _unread(model)),
        ("Skipped checks", ("Rancher", "Check"), _skipped(model)),
        ("Problems", ("Level", "Problem", "Credential", "Rancher", "Description"), _problems(model)),
        (
            "Credentials",
            ("Credential", "Rancher", "Driver", "Owner", "Key age", "Due", "Used by", "Rotation", "Problems"),
            [_credential(credential) for credential in model["credentials"]],
        ),
    ):
        if rows:
            lines += ["", f"## {title}", "", *_table(header, rows)]
    return "\n".join(lines) + "\n"


def _today(model: Entry) -> list[str]:
    rows = [
        [
            WHEN[task["level"]], _code(task["name"]), _code(task["rancher"]), _code(task["owner"]), task["why"],
            _remedy(model, task),
        ]
        for task in model["today"][:_TASKS]
    ]
    lines = _table(("When", "Credential", "Rancher", "Owner", "Why", "What to do"), rows)
    more = len(model["today"]) - _TASKS
    return [*lines, "", f"{more} more are in the table of problems."] if more > 0 else lines


def _remedy(model: Entry, task: Entry) -> str:
    remedy = task["remedy"]
    text = remedy["command"] or remedy["page"]
    if text:
        return f"{remedy['what']}: {_code(text)}"
    link = f": [runbook]({runbook(model, task['code'])})" if task["code"] in CODES else ""
    return remedy["what"] + link


def _unread(model: Entry) -> list[list[str]]:
    return [[_code(rancher["name"]), _code(rancher["error"])] for rancher in model["ranchers"] if not rancher["up"]]


def _skipped(model: Entry) -> list[list[str]]:
    return [
        [_code(rancher["name"]), _code(text)] for rancher in model["ranchers"]
        for text in rancher["problems_incomplete"]
        + [f"references: this connection may not list {kind}" for kind in rancher["references_incomplete"]]
    ]


def _problems(model: Entry) -> list[list[str]]:
    return [
        [
            level, f"[{problem['code']}]({runbook(model, problem['code'])})", _code(credential["name"]),
            _code(credential["rancher"]), _code(problem["message"]),
        ]
        for level in LEVELS for credential in model["credentials"] for problem in credential["problems"]
        if problem["level"] == level
    ]


def _credential(credential: Entry) -> list[str]:
    return [
        _code(credential["name"]), _code(credential["rancher"]), _code(credential["driver"]),
        _code(credential["owner_name"] or credential["owner"]), _age(credential), _due(credential),
        str(len(credential["references"])), _rotation(credential),
        " ".join(dict.fromkeys(SENTENCES.get(problem["code"], problem["code"]) for problem in credential["problems"])),
    ]


def to_prometheus(model: Entry) -> str:
    """Return metrics for the textfile collector of node_exporter. Ages are whole days, in seconds."""
    metrics = _Metrics()
    generated_at = parse_time(model["generated_at"]).timestamp()
    metrics.add("report_generated_timestamp_seconds", "Time at which this report was generated.", generated_at)
    for rancher in model["ranchers"]:
        _add_rancher(metrics, rancher)
    for credential in model["credentials"]:
        _add_credential(metrics, credential)
    return metrics.text()


def _add_rancher(metrics: _Metrics, rancher: Entry) -> None:
    labels = {"rancher": rancher["name"]}
    metrics.add("rancher_up", "Whether the Rancher could be read.", rancher["up"], **labels)
    if rancher["up"]:
        metrics.add("rancher_credentials", "Number of cloud credentials.", rancher["credentials"], **labels)
        skipped = len(rancher["problems_incomplete"])
        metrics.add("rancher_problems_incomplete", "Number of checks that were skipped.", skipped, **labels)


def _add_credential(metrics: _Metrics, credential: Entry) -> None:
    labels = {name: credential[name] for name in ("rancher", "id", "name")}
    rotation = credential["rotation"] or {}
    metrics.add(
        "credential_info", "Properties of a cloud credential; always 1.", 1, **labels, driver=credential["driver"],
        owner=credential["owner_name"] or credential["owner"], phase=rotation.get("phase"),
        key_age_source=credential["key_age_source"],
    )
    for name, help_text, days in (
        ("key_age", "Age of the key, in whole days.", credential["key_age_days"]),
        ("max_age", "Age at which the key is due for rotation.", credential["max_age_days"]),
    ):
        if days is not None:
            metrics.add(f"credential_{name}_seconds", help_text, days * 86400, **labels)
    for name, help_text, time in (
        ("due", "Time at which the key or the next step of its rotation is due.", credential["due_at"]),
        ("expires", "Time at which the key expires.", rotation.get("expires_at")),
    ):
        if time:
            metrics.add(f"credential_{name}_timestamp_seconds", help_text, parse_time(time).timestamp(), **labels)
    references = len(credential["references"])
    metrics.add("credential_references", "Number of references to the credential.", references, **labels)
    # Two samples with the same labels would make the file invalid.
    for code, level in sorted({(problem["code"], problem["level"]) for problem in credential["problems"]}):
        metrics.add("credential_problem", "Problem of the credential; always 1.", 1, **labels, code=code, level=level)


class _Metrics:
    """Samples, grouped by metric as the format requires."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def add(self, metric: str, help_text: str, value: float, /, **labels: str | None) -> None:
        """Add a sample."""
        name = f"ranchhand_{metric}"
        lines = self._lines.setdefault(name, [f"# HELP {name} {help_text}", f"# TYPE {name} gauge"])
        pairs = ",".join(f'{label}="{_label(text or "")}"' for label, text in labels.items())
        lines.append(f"{name}{{{pairs}}} {int(value)}" if pairs else f"{name} {int(value)}")

    def text(self) -> str:
        """Return the file."""
        return "\n".join(line for lines in self._lines.values() for line in lines) + "\n"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _cell(value: t.Any) -> t.Any:
    """Return the value of a cell, in which an apostrophe precedes each character that could begin a formula."""
    text = visible(value)
    return _CELL_START.sub(r"\1\2'", text) if isinstance(text, str) else text


def _reference(reference: Entry) -> str:
    prefix = f"{reference['namespace']}/" if reference["namespace"] else ""
    return f"{reference['kind']} {prefix}{reference['name']}"


def _table(header: t.Sequence[str], rows: t.Sequence[t.Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def _code(text: str | None) -> str:
    """Return text as code, in which Markdown recognizes neither links nor tags."""
    if not text:
        return ""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{fence} {visible(text)} {fence}".replace("|", "\\|")


def _age(credential: Entry) -> str:
    if credential["key_age_days"] is None:
        return "" if credential["gone"] else "unknown"
    allowed = "" if credential["max_age_days"] is None else f" of {credential['max_age_days']}"
    return f"{credential['key_age_days']}{allowed} days, {SOURCES[credential['key_age_source']]}"


def _due(credential: Entry) -> str:
    day = (credential["due_at"] or "")[:10]
    if not credential["due"]:
        return day
    return f"**since {day}**" if day else "**now**"


def _rotation(credential: Entry) -> str:
    rotation = credential["rotation"]
    if not rotation:
        return "" if credential["gone"] else "unknown"
    phase = str(rotation["phase"])
    return f"{phase}, next: {rotation['next_step']}" if is_rotating(credential) else phase
