# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs all cases, or the named ones, and writes benchmarks/results and docs/performance.md."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import tempfile
import time
from pathlib import Path

from . import report
from .cases import CASES, Bench

RESULTS = Path(__file__).with_name("results")


def main():
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="some of %s; all by default" % ", ".join(CASES))
    parser.add_argument("--venv", type=Path, required=True)
    parser.add_argument("--venv-31", type=Path, required=True)
    parser.add_argument(
        "--community", required=True, help="the folder that contains ansible_collections/kubernetes/core"
    )
    parser.add_argument("--kubectl", type=Path, required=True)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, default=True, help="results and document")
    settings = parser.parse_args()
    unknown = sorted(set(settings.cases) - set(CASES))
    if unknown:
        parser.error("no case %s" % ", ".join(unknown))
    with tempfile.TemporaryDirectory(prefix="ranchhand-bench-") as folder, Bench(settings, Path(folder), _log) as bench:
        for name, case in CASES.items():
            if settings.cases and name not in settings.cases:
                continue
            _log("%s: %s" % (name, case.__doc__))
            begun = time.monotonic()
            rows = case(bench)
            for line in rows:
                _log("  " + report.sentence(line))
            if settings.write:
                content = {
                    "case": name,
                    "about": case.__doc__,
                    "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
                    "seconds": round(time.monotonic() - begun),
                    "repetitions": settings.repetitions,
                    "of_repetitions": "the fastest counts",
                    "load": round(os.getloadavg()[1], 1),
                    "machine": machine(),
                    "versions": versions(settings),
                    "rows": rows,
                }
                RESULTS.mkdir(exist_ok=True)
                (RESULTS / (name + ".json")).write_text(
                    json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
                )
    if settings.write:
        report.write(
            [
                json.loads(file.read_text(encoding="utf-8"))
                for file in (RESULTS / (name + ".json") for name in CASES)
                if file.exists()
            ]
        )


def machine():
    """Return a description of this machine."""
    model = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return "%d × %s, %.0f GiB, %s %s" % (os.cpu_count(), model, memory, platform.system(), platform.release())


def versions(settings):
    """Return the versions of everything that is measured."""
    found = {name: importlib.metadata.version(name) for name in ("ansible-core", "kubernetes", "urllib3")}
    manifest = json.loads(
        next(Path(settings.community).glob("ansible_collections/kubernetes/core/MANIFEST.json")).read_text(
            encoding="utf-8"
        )
    )
    modules = (Path(__file__).parents[1] / "tests" / "control_plane" / "go" / "kube-apiserver" / "go.mod").read_text(
        encoding="utf-8"
    )
    pinned = next(line.split()[-1] for line in modules.splitlines() if line.startswith("require k8s.io/kubernetes "))
    return {
        "Python": platform.python_version(),
        **found,
        "kubernetes.core": manifest["collection_info"]["version"],
        "kube-apiserver and kubectl": pinned,
    }


def _log(text):
    print(text, flush=True)


if __name__ == "__main__":
    main()
