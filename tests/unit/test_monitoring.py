# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alerts and the dashboard in docs/examples/monitoring use the metrics and labels that the report writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples" / "monitoring"
FORMATS = (ROOT / "plugins" / "plugin_utils" / "_report" / "formats.py").read_text(encoding="utf-8")
REPORT = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
DASHBOARD = json.loads((EXAMPLES / "dashboard.json").read_text(encoding="utf-8"))
RULES = yaml.safe_load((EXAMPLES / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
METRIC = re.compile(r"\branchhand_[a-z_]+")
LABELS = {"rancher", "id", "name", "driver", "owner", "phase", "key_age_source", "code", "level"}


def written():
    """Metrics in the code that writes them. Some names are built in loops."""
    names = set(re.findall(r'metrics\.add\(\s*"([a-z_]+)"', FORMATS))
    names |= {f"credential_{name}_seconds" for name in ("key_age", "max_age")}
    names |= {f"credential_{name}_timestamp_seconds" for name in ("due", "expires")}
    return {f"ranchhand_{name}" for name in names}


def expressions():
    targets = [target for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [rule["expr"] for rule in RULES] + [target["expr"] for target in targets]


def test_metrics():
    used = {name for expression in expressions() for name in METRIC.findall(expression)}
    assert used == written() == set(METRIC.findall(REPORT.partition("## Metrics")[2].partition("## Performance")[0]))


def test_labels():
    used = {label for text in expressions() for label in re.findall(r"(\w+)\s*[!=]?[=~]\s*\"", text)}
    used |= set(re.findall(r"\$labels\.(\w+)", json.dumps(RULES)))
    used |= set(re.findall(r"\{\{(\w+)\}\}", json.dumps(DASHBOARD)))
    assert used and used <= LABELS
    assert all(f'"{label}"' in FORMATS or f"{label}=" in FORMATS for label in LABELS)


def test_alerts_are_documented():
    guide = (ROOT / "docs" / "guides" / "monitoring.md").read_text(encoding="utf-8")
    described = re.findall(r"`((?:Cloud|Rancher)\w+)`", guide.partition("| Alert |")[2])
    assert {rule["alert"] for rule in RULES} == set(described)
