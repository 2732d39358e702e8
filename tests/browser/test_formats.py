# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What well-kept readers of Markdown and of Prometheus' text format make of ours, with names that attack."""

from __future__ import annotations

import pytest
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.formats import to_markdown, to_prometheus
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.model import build, visible
from markdown_it import MarkdownIt
from prometheus_client.parser import text_string_to_metric_families

from support.fleets import HOSTILE, NOW, fleet

RUNBOOKS = "https://runbooks.example/docs"


@pytest.fixture
def model():
    ranchers = fleet(60, names=HOSTILE)
    ranchers[HOSTILE[2]] = {"msg": HOSTILE[10]}
    for number, one in enumerate(ranchers["lab"]["credentials"]):
        one["owner_name"] = one["driver"] = HOSTILE[number % len(HOSTILE)]
    return build(ranchers, NOW, RUNBOOKS)


def test_markdown(model):
    tokens = MarkdownIt("commonmark").enable("table").parse(to_markdown(model))
    inline = [child for token in tokens if token.type == "inline" for child in token.children]
    assert {token.type for token in [*tokens, *inline]}.isdisjoint(
        {"html_block", "html_inline", "image", "softbreak", "hardbreak", "fence", "code_block"})
    assert all(child.attrGet("href").startswith(f"{RUNBOOKS}/credentials.md#") for child in inline if child.type == "link_open")
    assert [token.content for token, before in zip(tokens[1:], tokens) if before.type == "heading_open"] == [
        "Cloud credentials", "Could not be read", "Could not be judged", "Problems", "Credentials"]
    rows = sum(token.type == "tr_open" for token in tokens)
    problems = sum(len(one["problems"]) for one in model["credentials"])
    assert rows == 5 + 1 + 2 + 2 + problems + len(model["credentials"])
    code = [child.content.strip() for child in inline if child.type == "code_inline"]
    assert {visible(one["name"]).strip() for one in model["credentials"]} <= set(code)


def test_prometheus(model):
    samples = [sample for family in text_string_to_metric_families(to_prometheus(model)) for sample in family.samples]
    series = [(one.name, tuple(sorted(one.labels.items()))) for one in samples]
    assert len(series) == len(set(series))
    values = {name: [one for one in samples if one.name == f"ranchhand_{name}"] for name in {one.name.removeprefix("ranchhand_") for one in samples}}
    assert {one.labels["rancher"]: one.value for one in values["rancher_up"]} == {one["name"]: one["up"] for one in model["ranchers"]}
    named = sorted((one["id"], one["name"]) for one in model["credentials"])
    assert sorted((one.labels["id"], one.labels["name"]) for one in values["credential_info"]) == named
    due = {one["id"]: one for one in model["credentials"] if one["due_at"]}
    assert {one.labels["id"] for one in values["credential_due_timestamp_seconds"]} == set(due)
    assert all((one.value < NOW.timestamp()) == due[one.labels["id"]]["due"] for one in values["credential_due_timestamp_seconds"])
    assert {(one.labels["id"], one.labels["code"], one.labels["level"]) for one in values["credential_problem"]} == {
        (one["id"], problem["code"], problem["level"]) for one in model["credentials"] for problem in one["problems"]}
    assert values["report_generated_timestamp_seconds"][0].value == NOW.timestamp()
