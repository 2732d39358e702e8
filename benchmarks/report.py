# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the table and the plot of docs/performance.md; the text around the table is written by hand."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- table: written by make bench -->", "<!-- end of the table -->"


def number(value, unit):
    return (
        "%.0f%s" % (value, unit)
        if value >= 20
        else "%.2f%s" % (value, unit)
        if value < 10
        else "%.1f%s" % (value, unit)
    )


def goal(line):
    return (
        "–"
        if line["goal"] is None
        else "%s %s%s" % ("≥" if line["at_least"] else "≤", "%g" % line["goal"], line["unit"])
    )


def verdict(line):
    return {None: "–", True: "met", False: "**missed**"}[line["met"]]


def sentence(line):
    figures = ", ".join("%s %g" % pair for pair in line["figures"].items())
    return "%s: %s (goal %s: %s) [%s]" % (
        line["what"],
        number(line["measured"], line["unit"]),
        goal(line),
        verdict(line).strip("*"),
        figures,
    )


def table(results):
    """Return all rows as one table, then the machine and the versions."""
    lines = ["| what | measured | goal | | from |", "|---|---|---|---|---|"]
    for result in results:
        for line in result["rows"]:
            figures = "; ".join(
                "%s %.3g" % pair if pair[1] < 1000 else "%s %.0f" % pair for pair in line["figures"].items()
            )
            lines.append(
                "| %s | %s | %s | %s | %s |"
                % (line["what"], number(line["measured"], line["unit"]), goal(line), verdict(line), figures)
            )
    first = results[-1]
    lines += [
        "",
        "Figures without a unit are seconds. Measured %s on %s; %s."
        % (
            " to ".join(sorted({min(result["date"] for result in results), max(result["date"] for result in results)})),
            first["machine"],
            ", ".join("%s %s" % pair for pair in first["versions"].items()),
        ),
        "Load average while measuring, on %s cores: %s."
        % (
            first["machine"].partition(" ")[0],
            ", ".join("%s %.1f" % (result["case"], result["load"]) for result in results),
        ),
    ]
    return "\n".join(lines)


def write(results):
    """Update the document and the plot."""
    document = DOCS / "performance.md"
    text = document.read_text(encoding="utf-8")
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    document.write_text(text[:begin] + "\n" + table(results) + "\n" + text[end:], encoding="utf-8")
    plot(results)


def plot(results):
    """Draw the distance of each figure from its goal, and the growth of time with the number of credentials."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams.update({"svg.hashsalt": "ranchhand", "font.size": 9})
    rows = [line for result in results for line in result["rows"] if line["goal"]]
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(14, 0.32 * len(rows) + 1.6), width_ratios=(3, 2), layout="constrained"
    )
    shares = [line["goal"] / line["measured"] if line["at_least"] else line["measured"] / line["goal"] for line in rows]
    left.barh(range(len(rows)), shares, color=["tab:green" if line["met"] else "tab:red" for line in rows])
    left.set_yticks(
        range(len(rows)), [re.sub(r"(.{60}\S*) ", r"\1\n", line["what"], count=1) for line in rows], fontsize=7
    )
    left.invert_yaxis()
    left.axvline(1, color="black", linewidth=1)
    left.set_xscale("log")
    left.set_xlabel("share of what the goal allows (left of 1: met)")
    for line in (line for result in results for line in result["rows"] if line["what"].startswith("growth")):
        points = [
            (int(name.rpartition(" ")[2]), value) for name, value in line["figures"].items() if name.startswith("above")
        ]
        right.plot(*zip(*points), marker="o", label=line["what"].split()[5].strip(","))
    for line in (line for result in results for line in result["rows"] if line["what"].startswith("its growth")):
        for prefix, label in (("seconds", "reference graph (objects)"), ("bare", "bare listing of the same")):
            points = [
                (int(name.split()[1]), value) for name, value in line["figures"].items() if name.startswith(prefix)
            ]
            right.plot(*zip(*points), marker="s", linestyle="--", label=label)
    right.set_xlabel("credentials (or objects)")
    right.set_ylabel("seconds")
    right.legend()
    right.set_title("growth")
    figure.savefig(DOCS / "performance.svg", metadata={"Date": None, "Creator": None})
