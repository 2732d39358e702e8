# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of a report, what of it is a failure, its files, and what its documentation says of all that."""

from __future__ import annotations

import csv
import datetime
import json
import os
import re
import stat
from pathlib import Path

import pytest
import yaml
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import (
    FailureWithResult,
    RanchhandError,
    ValidationErrors,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.execute import RunMode
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report import write
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.formats import to_csv, to_json
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.model import (
    CODES,
    LEVELS,
    SOURCES,
    build,
    findings,
    visible,
)
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.page import to_html

from support.fleets import HOSTILE, NOW, fleet

ROOT = Path(__file__).parents[2]
RUNBOOKS = "https://runbooks.example/docs"
DAY = 86400


def credential(**values):
    """Without anything wrong, unless said."""
    codes = values.pop("codes", ())
    return {
        "id": "cattle-global-data:cc-1", "name": "one", "driver": "amazonec2", "owner": "u-1", "owner_name": "alice", "description": "", "created_at": None,
        "references": [], "key_age": 0, "key_age_from": "secret", "max_age": None, "due_at": None, "due": False, "rotation": {"phase": "idle"},
        "problems": [{"code": code, "level": CODES[code], "message": "so it is"} for code in codes], **values,
    }


def model_of(*credentials, **result):
    return build({"prod": {"credentials": list(credentials), **result}}, NOW, RUNBOOKS)


def due(days):
    return (NOW + datetime.timedelta(days=days)).isoformat()


def test_figures():
    model = model_of(
        credential(due=True, due_at=due(-3), codes=("overdue", "unused")), credential(due_at=due(29)), credential(due_at=due(31), codes=("drift", "expired")),
        credential(rotation={"phase": "grace"}, codes=("drift",)), credential(rotation=None),
        dangling=[{"id": "cattle-global-data:cc-gone", "references": []}])
    assert model["figures"] == {
        "ranchers": 1, "ranchers_unread": 0, "credentials": 5, "dangling": 1, "due": 1, "due_soon": 1, "rotating": 1, "unused": 1,
        "with_errors": 3, "with_warnings": 1, "with_notices": 1}


def test_what_is_worst_and_due_first_comes_first():
    model = model_of(
        credential(name="fine"), credential(name="old", due_at=due(-3), codes=("overdue",)), credential(name="older", due_at=due(-9), codes=("overdue",)),
        credential(name="unused", codes=("unused",)), credential(name="broken", codes=("unused", "drift")))
    assert [one["name"] for one in model["credentials"]] == ["broken", "older", "old", "unused", "fine"]
    assert [problem["code"] for problem in model["credentials"][0]["problems"]] == ["drift", "unused"]


@pytest.mark.parametrize("age, allowed, share", [
    (0, 90, "0–25 %"), (22, 90, "0–25 %"), (23, 90, "25–50 %"), (45, 90, "50–75 %"), (89, 90, "75–100 %"), (90, 90, "100–150 %"), (135, 90, "over 150 %"),
    (5, 0, "over 150 %"), (0, 0, "over 150 %"), (90, None, "no policy"), (None, None, "no policy"), (None, 90, "unknown"),
])
def test_age_against_policy(age, allowed, share):
    seconds = [None if days is None else days * DAY + 7 for days in (age, allowed)]
    model = model_of(credential(key_age=seconds[0], max_age=seconds[1]))
    assert [one["share"] for one in model["ages"] if one["credentials"]] == [share]
    assert [one["share"] for one in model["ages"] if one["over"]] == ["100–150 %", "over 150 %"]


def test_rotations_by_week():
    def steps(*phases, start="2026-11-17T23:30:00+00:00"):
        return [{"at": start, "phase": phase, "what": "it went on", "run": "1"} for phase in phases]
    whole = steps("preparing", "issued", "grace", "disabling", "disabled", "deleting", "idle")
    old = steps("grace", "idle", start="2020-01-01T00:00:00+00:00")
    rolled_back = steps("preparing", "issued", "grace", "rolling_back", "idle", start="2026-11-23T00:00:00+00:00")
    stays = steps("grace", "rolling_back", "grace", start="2026-11-22T23:59:59+00:00")
    abroad = steps("grace", start="2026-11-23T01:00:00+02:00")  # still Sunday in UTC
    model = model_of(*(credential(rotation={"phase": "idle", "transitions": one}) for one in (whole, old, rolled_back, stays, abroad)),
                     credential(rotation={"phase": "idle", "transitions": steps("preparing", "aborting", "idle")}))
    assert len(model["rotations"]) == 26 and model["rotations"][-1]["week"] == "2026-11-23"
    assert [one for one in model["rotations"] if one["rotated"] + one["retired"] + one["given_up"]] == [
        {"week": "2026-11-16", "rotated": 3, "retired": 1, "given_up": 1}, {"week": "2026-11-23", "rotated": 1, "retired": 0, "given_up": 1}]


def test_what_fails():
    model = build({
        "prod": {"credentials": [credential(name=f"n{number}", codes=("overdue",)) for number in range(7)] + [credential(codes=("drift",))],
                 "problems_incomplete": ["expired, expires_soon: the package is missing", "key_age: the cloud did not tell"]},
        "lab": {"credentials": [credential(codes=("unused",))], "dangling": [{"id": "cattle-global-data:cc-9", "references": []}]},
    }, NOW, RUNBOOKS)
    assert findings(model, []) == []
    assert findings(model, ["overdue"]) == ["overdue: n0 of prod, n1 of prod, n2 of prod, n3 of prod, n4 of prod and 2 more"]
    assert findings(model, ["duplicate_name"]) == []
    errors = ["drift: one of prod", "expired of prod could not be judged (the package is missing)", "dangling: cc-9 of lab"]
    assert sorted(findings(model, ["error"])) == sorted(errors)
    assert len(findings(model, ["warning"])) == 5 and len(findings(model, ["notice"])) == 6 == len(findings(model, ["error", "notice"]))


def test_a_rancher_that_could_not_be_read():
    model = build({"prod": {"msg": "connection\nrefused \x1b[31m"}, "lab": None, "edge": {"credentials": [credential()]}}, NOW, RUNBOOKS)
    assert [(one["name"], one["up"]) for one in model["ranchers"]] == [("prod", False), ("lab", False), ("edge", True)]
    assert findings(model, []) == [
        "prod could not be read (connection\\u000arefused \\u001b[31m)", "lab could not be read (its host failed before it was asked)"]
    assert all(name in text for name in ("prod", "lab") for text in (writer(model) for writer in write.WRITERS.values()))


def test_every_format_of_every_fleet():
    for ranchers in (fleet(0, unread=False), fleet(120), fleet(60, names=HOSTILE)):
        model = build(ranchers, NOW, RUNBOOKS)
        assert json.loads(to_json(model)) == json.loads(json.dumps(model))
        for writer in write.WRITERS.values():
            assert writer(model).encode("utf-8", "backslashreplace")


def test_csv():
    model = build(fleet(60, names=HOSTILE), NOW, RUNBOOKS)
    header, *rows = csv.reader(to_csv(model).splitlines())
    assert len(rows) == 1 + len(model["credentials"]) and {len(row) for row in rows} == {len(header)}
    assert not [cell for row in rows for cell in row if cell.strip()[:1] in tuple("=+-@＝＋－＠") and cell]
    names = [row[header.index("name")] for row in rows[1:]]
    assert [name.removeprefix("'") for name in names] == [visible(one["name"]) for one in model["credentials"]]


def test_nothing_ends_the_element_that_data_stands_in():
    page = to_html(build(fleet(60, names=HOSTILE), NOW, RUNBOOKS))
    data = page.partition('id="report">')[2].partition("</script>")[0]
    assert "<" not in data and data.isascii() and "@style@" in data
    assert {one["name"] for one in json.loads(data)["credentials"]} >= {visible(name) for name in HOSTILE}
    assert page.count("<script") == page.count("</script>") == 3


def wanted(tmp_path, *names, **options):
    """Parsed options for files of these formats."""
    files = {name: str(tmp_path / f"report.{name}") for name in names or write.WRITERS}
    return {**parse_options(write.REPORT, {"registered": "found", "files": files, **options}, write.check_report), "ranchers": fleet(30, unread=False)}


def test_files_are_written_at_once_for_all_to_read(tmp_path):
    options = wanted(tmp_path)
    (tmp_path / "report.json").symlink_to(tmp_path / "elsewhere")
    before = os.umask(0o077)
    try:
        result = write.write_report(options, None, RunMode())
    finally:
        os.umask(before)
    assert result["changed"] and (tmp_path / "report.json").is_symlink() and (tmp_path / "elsewhere").read_bytes().startswith(b"{")
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(["elsewhere", *(f"report.{name}" for name in write.WRITERS)])
    assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {0o644}


def test_only_another_time_is_no_change(tmp_path, monkeypatch):
    options = wanted(tmp_path)
    clock = [NOW]

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return clock[0]
    monkeypatch.setattr(write.datetime, "datetime", Clock)
    assert write.write_report(options, None, RunMode(check=True))["changed"] and not list(tmp_path.iterdir())
    assert write.write_report(options, None, RunMode())["changed"]
    before = {one: one.read_bytes() for one in tmp_path.iterdir()}
    clock[0] += datetime.timedelta(minutes=10)
    assert not write.write_report(options, None, RunMode(check=True))["changed"]
    assert {one: one.read_bytes() for one in tmp_path.iterdir()} == before
    assert not write.write_report(options, None, RunMode())["changed"]
    assert {one.name for one, text in before.items() if one.read_bytes() == text} == {"report.csv"}  # which has no time
    for name in write.WRITERS:
        options["ranchers"]["lab"]["credentials"][0]["name"] += "!"
        one = {**options, "files": {name: options["files"][name]}}
        assert write.write_report(one, None, RunMode(check=True))["changed"], name


def test_it_fails_after_it_has_written(tmp_path):
    options = {**wanted(tmp_path, "json"), "ranchers": {"prod": {"msg": "connection refused"}}}
    with pytest.raises(FailureWithResult, match=r"^prod could not be read \(connection refused\)$") as failure:
        write.write_report(options, None, RunMode())
    assert failure.value.code == "problems" and failure.value.result["figures"]["ranchers_unread"] == 1
    assert json.loads((tmp_path / "report.json").read_text())["ranchers"][0]["error"] == "connection refused"


@pytest.mark.parametrize("options, sentence", [
    ({"fail_on": ["overdu"]}, f"fail_on: there is no overdu; allowed are {', '.join(write.WORDS)}"),
    ({"files": {}}, "files must name a file for at least one of html, json, csv, markdown, prometheus"),
    ({"files": {"pdf": "x"}}, "files: unknown option pdf; allowed are csv, html, json, markdown, prometheus"),
    ({"files": {"html": "{tmp}/none/x"}}, "files: html: there is no directory {tmp}/none"),
    ({"files": {"html": "{tmp}"}}, "files: html: {tmp} is no file"),
    ({"files": {"html": "{tmp}/x", "csv": "{tmp}/y/../x"}}, "files must name another file for each format"),
    ({"runbook_url": "javascript:alert(1)"}, "runbook_url must begin with https:// or http://"),
    ({"registered": None}, "registered is required"),
])
def test_mistakes(tmp_path, options, sentence):
    (tmp_path / "y").mkdir()
    given = json.loads(json.dumps({"registered": "found", "files": {"html": "{tmp}/x"}, **options}).replace("{tmp}", str(tmp_path)))
    with pytest.raises(ValidationErrors) as failure:
        parse_options(write.REPORT, given, write.check_report)
    assert sentence.replace("{tmp}", str(tmp_path)) in failure.value.message


@pytest.mark.parametrize("ranchers, sentence", [
    ({"a": None, "b": None}, "registered: no host of the play has a variable found"),
    ({"a": "{{ text }}"}, "registered: found of host a must be what cloud_credential_info returned with problems: true"),
    ({"a": {"credentials": [{"name": "one"}]}}, "registered: found of host a must be what cloud_credential_info returned with problems: true"),
])
def test_what_was_registered_is_no_such_thing(tmp_path, ranchers, sentence):
    with pytest.raises(RanchhandError) as failure:
        write.write_report({**wanted(tmp_path), "ranchers": ranchers}, None, RunMode())
    assert failure.value.message == sentence and not list(tmp_path.iterdir())


def test_documentation_names_what_there_is():
    module = yaml.safe_load((ROOT / "plugins/modules/report.py").read_text().partition('DOCUMENTATION = r"""')[2].partition('"""')[0])["options"]
    role = yaml.safe_load((ROOT / "roles/report/meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert set(module["fail_on"]["choices"]) == set(role["report_fail_on"]["choices"]) == set(write.WORDS)
    assert list(module["files"]["suboptions"]) == list(role["report_files"]["options"]) == list(write.WRITERS)
    assert module["runbook_url"]["default"] == role["report_runbook_url"]["default"] == write.RUNBOOKS
    told = " ".join(module["fail_on"]["description"])
    assert re.findall(r"V\((\w+)\)", told.partition("The codes are")[2].partition("which are errors")[0]) == [
        code for code, level in CODES.items() if level == "error"] and LEVELS[0] == "error"
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs/runbooks/credentials.md").read_text(), re.MULTILINE)
    assert set(CODES) <= set(sections)
    assert set(SOURCES) == {"record", "annotation", "cloud", "secret"}
    metrics = set(re.findall(r"ranchhand_\w+", (ROOT / "docs/report.md").read_text()))
    assert metrics and metrics <= set(re.findall(r"# TYPE (\w+)", write.WRITERS["prometheus"](build(fleet(60), NOW, RUNBOOKS))))
