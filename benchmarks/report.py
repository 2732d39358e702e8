# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From results to the table and the plot of docs/performance.md. The words around the table are written by hand."""
from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- table: written by make bench -->", "<!-- end of the table -->"


def number(value, unit):
    return "%.0f%s" % (value, unit) if value >= 20 else "%.2f%s" % (value, unit) if value < 10 else "%.1f%s" % (value, unit)


def goal(one):
    return "–" if one["goal"] is None else "%s %s%s" % ("≥" if one["at_least"] else "≤", "%g" % one["goal"], one["unit"])


def verdict(one):
    return {None: "–", True: "met", False: "**missed**"}[one["met"]]


def sentence(one):
    figures = ", ".join("%s %g" % pair for pair in one["figures"].items())
    return "%s: %s (goal %s: %s) [%s]" % (one["what"], number(one["measured"], one["unit"]), goal(one), verdict(one).strip("*"), figures)


def table(results):
    """All rows in one table, then what they were measured with."""
    lines = ["| what | measured | goal | | from |", "|---|---|---|---|---|"]
    for result in results:
        for one in result["rows"]:
            figures = "; ".join("%s %.3g" % pair if pair[1] < 1000 else "%s %.0f" % pair for pair in one["figures"].items())
            lines.append("| %s | %s | %s | %s | %s |" % (one["what"], number(one["measured"], one["unit"]), goal(one), verdict(one), figures))
    first = results[-1]
    lines += [
        "", "Figures without a unit are seconds. Measured %s on %s; %s." % (
            " to ".join(sorted({min(one["date"] for one in results), max(one["date"] for one in results)})), first["machine"],
            ", ".join("%s %s" % pair for pair in first["versions"].items())),
        "Load average while measuring, on %s cores: %s." % (
            first["machine"].partition(" ")[0], ", ".join("%s %.1f" % (one["case"], one["load"]) for one in results)),
    ]
    return "\n".join(lines)


def write(results):
    """Render the document and the plot anew."""
    document = DOCS / "performance.md"
    text = document.read_text(encoding="utf-8")
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    document.write_text(text[:begin] + "\n" + table(results) + "\n" + text[end:], encoding="utf-8")
    plot(results)


def plot(results):
    """How far each measured figure is from its goal, and how time grows with the number of credentials."""
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot
    matplotlib.rcParams.update({"svg.hashsalt": "ranchhand", "font.size": 9})
    rows = [one for result in results for one in result["rows"] if one["goal"]]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(14, 0.32 * len(rows) + 1.6), width_ratios=(3, 2), layout="constrained")
    shares = [one["goal"] / one["measured"] if one["at_least"] else one["measured"] / one["goal"] for one in rows]
    left.barh(range(len(rows)), shares, color=["tab:green" if one["met"] else "tab:red" for one in rows])
    left.set_yticks(range(len(rows)), [re.sub(r"(.{60}\S*) ", r"\1\n", one["what"], count=1) for one in rows], fontsize=7)
    left.invert_yaxis()
    left.axvline(1, color="black", linewidth=1)
    left.set_xscale("log")
    left.set_xlabel("share of what the goal allows (left of 1: met)")
    for one in (one for result in results for one in result["rows"] if one["what"].startswith("growth")):
        points = [(int(name.rpartition(" ")[2]), value) for name, value in one["figures"].items() if name.startswith("above one")]
        right.plot(*zip(*points), marker="o", label=one["what"].split()[5].strip(","))
    for one in (one for result in results for one in result["rows"] if one["what"].startswith("its growth")):
        for prefix, label in (("seconds", "reference graph (objects)"), ("bare", "bare listing of the same")):
            points = [(int(name.split()[1]), value) for name, value in one["figures"].items() if name.startswith(prefix)]
            right.plot(*zip(*points), marker="s", linestyle="--", label=label)
    right.set_xlabel("credentials (or objects)")
    right.set_ylabel("seconds")
    right.legend()
    right.set_title("growth")
    figure.savefig(DOCS / "performance.svg", metadata={"Date": None, "Creator": None})
