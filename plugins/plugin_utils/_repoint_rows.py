# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of the role repoint. Pure."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

Row = t.Dict[str, str]


def repoint_rows(result: Mapping[str, t.Any]) -> list[Row]:
    """Return a row for each cluster that a run moves, refuses or waits for."""
    clusters: dict[str, list[Mapping[str, t.Any]]] = {}
    for item in result["objects"]:
        clusters.setdefault(item["cluster"], []).append(item)
    waiting = {item["cluster"]: item["reason"] for item in result["waiting_for"]}
    return [
        {
            "cluster": name,
            "moves": ", ".join(_moves(clusters.get(name, []))) or "-",
            "restarts": "nodes of etcd" if any(item["restarts"] for item in clusters.get(name, [])) else "nothing",
            "note": _note(clusters.get(name, []), waiting.get(name, "")),
        }
        for name in sorted({*clusters, *waiting})
    ]


def _note(items: list[Mapping[str, t.Any]], waiting: str) -> str:
    """Return why nothing of a cluster is moved, what it waits for, or that it is being deleted."""
    messages = [item["msg"] for item in items if item.get("msg")]
    deleting = ["is being deleted" for item in items if item["kind"] == "Cluster" and item["deleting"]]
    return next((note for note in (*messages, waiting, *deleting) if note), "")


def _moves(items: list[Mapping[str, t.Any]]) -> t.Iterator[str]:
    """Yield what is moved: fields of the cluster, pools by name, and the number of machines."""
    machines = 0
    for item in items:
        if item["kind"].endswith("Machine"):
            machines += 1
        elif item["pool"]:
            yield f"pool {item['pool']}"
        elif ".s3." in item["field"]:
            yield "etcd snapshots"
        else:
            yield "cluster"
    if machines:
        yield f"{machines} machine{'s' if machines > 1 else ''}"
