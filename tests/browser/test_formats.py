# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Markdown and Prometheus files with hostile names, as established parsers read them."""

from __future__ import annotations

from collections import defaultdict

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
    for number, credential in enumerate(ranchers["lab"]["credentials"]):
        credential["owner_name"] = credential["driver"] = HOSTILE[number % len(HOSTILE)]
    return build(ranchers, NOW, RUNBOOKS)


def test_markdown(model):
    tokens = MarkdownIt("commonmark").enable("table").parse(to_markdown(model))
    inline = [child for token in tokens if token.type == "inline" for child in token.children]
    assert {token.type for token in [*tokens, *inline]}.isdisjoint(
        {"html_block", "html_inline", "image", "softbreak", "hardbreak", "fence", "code_block"})
    links = [child.attrGet("href") for child in inline if child.type == "link_open"]
    assert all(link.startswith(f"{RUNBOOKS}/credentials.md#") for link in links)
    headings = [token.content for token, before in zip(tokens[1:], tokens) if before.type == "heading_open"]
    assert headings == [
        "Cloud credentials", "Today", "Figures", "Ranchers that could not be read", "Skipped checks", "Problems",
        "Credentials"]
    rows = sum(token.type == "tr_open" for token in tokens)
    problems = sum(len(credential["problems"]) for credential in model["credentials"])
    assert rows == 6 + 20 + 1 + 2 + 2 + problems + len(model["credentials"])
    code = [child.content.strip() for child in inline if child.type == "code_inline"]
    assert {visible(credential["name"]).strip() for credential in model["credentials"]} <= set(code)


def test_prometheus(model):
    families = text_string_to_metric_families(to_prometheus(model))
    samples = [sample for family in families for sample in family.samples]
    series = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples]
    assert len(series) == len(set(series))
    values = defaultdict(list)
    for sample in samples:
        values[sample.name.removeprefix("ranchhand_")].append(sample)
    ranchers, credentials = model["ranchers"], model["credentials"]
    up = {sample.labels["rancher"]: sample.value for sample in values["rancher_up"]}
    assert up == {rancher["name"]: rancher["up"] for rancher in ranchers}
    names = sorted((sample.labels["id"], sample.labels["name"]) for sample in values["credential_info"])
    assert names == sorted((credential["id"], credential["name"]) for credential in credentials)
    due = {credential["id"]: credential for credential in credentials if credential["due_at"]}
    assert {sample.labels["id"] for sample in values["credential_due_timestamp_seconds"]} == set(due)
    for sample in values["credential_due_timestamp_seconds"]:
        assert (sample.value < NOW.timestamp()) == due[sample.labels["id"]]["due"]
    problems = {
        (sample.labels["id"], sample.labels["code"], sample.labels["level"]) for sample in values["credential_problem"]}
    assert problems == {
        (credential["id"], problem["code"], problem["level"])
        for credential in credentials for problem in credential["problems"]}
    assert values["report_generated_timestamp_seconds"][0].value == NOW.timestamp()
