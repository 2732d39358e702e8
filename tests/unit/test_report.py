# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of a report, the problems that fail it, its files, and the documentation that lists its choices."""

from __future__ import annotations

import csv
import datetime
import json
import os
import re
import stat
from dataclasses import dataclass
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
    AGE_STATES,
    CODES,
    LEVELS,
    SOURCES,
    build,
    find_failures,
    is_rotating,
    runbook,
    validation_errors,
    visible,
)
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.page import to_html

from support.fleets import HOSTILE, NOW, fleet

ROOT = Path(__file__).parents[2]
RUNBOOKS = "https://runbooks.example/docs"
DAY = 86400


def credential(**values):
    """Return a credential without problems, except for those with the given ``codes``."""
    codes = values.pop("codes", ())
    return {
        "id": "cattle-global-data:cc-1", "name": "one", "driver": "amazonec2", "owner": "u-1", "owner_name": "alice",
        "description": "", "created_at": None, "references": [], "key_age_seconds": 0, "key_age_source": "secret",
        "max_age_seconds": None, "due_at": None, "due": False, "rotation": {"phase": "idle"},
        "problems": [{"code": code, "level": CODES[code], "message": f"has problem {code}"} for code in codes],
        **values,
    }


def model_of(*credentials, **result):
    return build({"prod": {"credentials": list(credentials), **result}}, NOW, RUNBOOKS)


def test_history_is_no_use():
    """An old etcd snapshot names its credential, but does not keep it from being deleted."""
    reference = {"kind": "ETCDSnapshot", "name": "a", "use": "history"}
    (row,) = model_of(credential(references=[reference, {**reference, "name": "b", "use": "s3"}]))["credentials"]
    assert [item["name"] for item in row["references"]] == ["b"]


def due(days):
    return (NOW + datetime.timedelta(days=days)).isoformat()


def test_figures():
    model = model_of(
        credential(due=True, due_at=due(-3), codes=("overdue", "unused")),
        credential(due_at=due(29)),
        credential(due_at=due(31), codes=("drift", "expired")),
        credential(rotation={"phase": "grace"}, codes=("drift",)),
        credential(rotation=None),
        dangling=[{"id": "cattle-global-data:cc-gone", "references": []}],
    )
    assert model["figures"] == {
        "ranchers": 1, "ranchers_unread": 0, "credentials": 5, "dangling": 1, "due": 1, "due_soon": 1, "rotating": 1,
        "unused": 1, "with_errors": 3, "with_warnings": 1, "with_notices": 0, "without_problems": 2}
    levels = [model["figures"][name] for name in ("with_errors", "with_warnings", "with_notices", "without_problems")]
    assert sum(levels) == len(model["credentials"])


def test_credentials_are_sorted_by_severity_and_due_time():
    model = model_of(
        credential(name="fine"),
        credential(name="old", due_at=due(-3), codes=("overdue",)),
        credential(name="older", due_at=due(-9), codes=("overdue",)),
        credential(name="unused", codes=("unused",)),
        credential(name="broken", codes=("unused", "drift")),
    )
    assert [entry["name"] for entry in model["credentials"]] == ["broken", "older", "old", "unused", "fine"]
    assert [problem["code"] for problem in model["credentials"][0]["problems"]] == ["drift", "unused"]


@dataclass(frozen=True)
class AgeCase:
    """Age and allowed age of a key in days, and the state that counts it."""

    age: int | None
    allowed: int | None
    state: str


AGE_CASES = [
    AgeCase(0, 90, "fine"), AgeCase(59, 90, "fine"), AgeCase(60, 90, "due_soon"), AgeCase(89, 90, "due_soon"),
    AgeCase(90, 90, "overdue"), AgeCase(500, 90, "overdue"), AgeCase(5, 0, "overdue"), AgeCase(0, 0, "overdue"),
    AgeCase(90, None, "no_policy"), AgeCase(None, None, "no_policy"), AgeCase(None, 90, "unknown"),
]


@pytest.mark.parametrize("case", AGE_CASES, ids=lambda case: f"{case.age} of {case.allowed} days")
def test_age_against_policy(case):
    age, allowed = (None if days is None else days * DAY + 7 for days in (case.age, case.allowed))
    model = model_of(credential(key_age_seconds=age, max_age_seconds=allowed))
    assert model["ages"] == [
        {"max_age_days": case.allowed, **{state: int(state == case.state) for state in AGE_STATES}}]


def test_each_policy_is_counted_apart():
    ages = [(10, 365), (10, 30), (None, None), (400, 365), (3, None)]
    keys = [
        credential(key_age_seconds=age and age * DAY, max_age_seconds=allowed and allowed * DAY)
        for age, allowed in ages
    ]
    model = model_of(
        *keys,
        dangling=[{"id": "cattle-global-data:cc-gone", "references": []}],
    )
    assert [row["max_age_days"] for row in model["ages"]] == [30, 365, None]
    assert [(row["fine"], row["due_soon"], row["overdue"], row["no_policy"]) for row in model["ages"]] == [
        (0, 1, 0, 0), (1, 0, 1, 0), (0, 0, 0, 2)]
    assert model_of()["ages"] == []


def test_rotations_by_week():
    def steps(*phases, start="2026-11-17T23:30:00Z"):
        return [{"at": start, "phase": phase, "what": "continued", "run": "1"} for phase in phases]

    histories = [
        steps("preparing", "issued", "grace", "disabling", "disabled", "deleting", "idle"),
        steps("grace", "idle", start="2020-01-01T00:00:00Z"),
        steps("preparing", "issued", "grace", "rolling_back", "idle", start="2026-11-23T00:00:00Z"),
        steps("grace", "rolling_back", "grace", start="2026-11-22T23:59:59Z"),
        steps("grace", start="2026-11-23T01:00:00+02:00"),  # Sunday in UTC
        steps("preparing", "aborting", "idle"),
    ]
    model = model_of(*(credential(rotation={"phase": "idle", "transitions": history}) for history in histories))
    assert len(model["rotations"]) == 26 and model["rotations"][-1]["week"] == "2026-11-23"
    assert [week for week in model["rotations"] if week["completed"] + week["failed"]] == [
        {"week": "2026-11-16", "completed": 1, "failed": 1}, {"week": "2026-11-23", "completed": 0, "failed": 1}]


def test_fail_on_selects_problems_by_code_and_level():
    overdue = [credential(name=f"n{number}", codes=("overdue",)) for number in range(7)]
    model = build({
        "prod": {
            "credentials": [*overdue, credential(codes=("drift",))],
            "problems_incomplete": ["expired, expires_soon: the package is missing", "key_age_seconds: unknown"],
        },
        "lab": {
            "credentials": [credential(codes=("unused",))],
            "dangling": [{"id": "cattle-global-data:cc-9", "references": []}],
        },
    }, NOW, RUNBOOKS)
    assert find_failures(model, []) == []
    assert find_failures(model, ["overdue"]) == [
        "overdue: n0 of prod, n1 of prod, n2 of prod, n3 of prod, n4 of prod and 2 more"]
    assert find_failures(model, ["duplicate_name"]) == []
    errors = [
        "drift: one of prod", "expired could not be checked in prod (the package is missing)", "dangling: cc-9 of lab"]
    assert sorted(find_failures(model, ["error"])) == sorted(errors)
    assert len(find_failures(model, ["warning"])) == 5
    assert len(find_failures(model, ["notice"])) == 6 == len(find_failures(model, ["error", "notice"]))


def test_unreadable_rancher():
    results = {"prod": {"msg": "connection\nrefused \x1b[31m"}, "lab": None, "edge": {"credentials": [credential()]}}
    model = build(results, NOW, RUNBOOKS)
    assert [(rancher["name"], rancher["up"]) for rancher in model["ranchers"]] == [
        ("prod", False), ("lab", False), ("edge", True)]
    assert find_failures(model, []) == [
        "prod could not be read (connection\\u000arefused \\u001b[31m)",
        "lab could not be read (the host failed before it could be read)"]
    texts = [writer(model) for writer in write.WRITERS.values()]
    assert all(name in text for name in ("prod", "lab") for text in texts)


FLEETS = {"empty": fleet(0, unread=False), "large": fleet(120), "hostile names": fleet(60, names=HOSTILE)}


@pytest.mark.parametrize("results", FLEETS.values(), ids=FLEETS)
def test_all_formats(results):
    model = build(results, NOW, RUNBOOKS)
    assert json.loads(to_json(model)) == json.loads(json.dumps(model))
    for writer in write.WRITERS.values():
        assert writer(model).encode("utf-8", "backslashreplace")


def test_csv_has_no_formulas():
    model = build(fleet(60, names=HOSTILE), NOW, RUNBOOKS)
    header, *rows = csv.reader(to_csv(model).splitlines())
    assert len(rows) == 1 + len(model["credentials"]) and {len(row) for row in rows} == {len(header)}
    assert not [cell for row in rows for cell in row if cell.strip()[:1] in tuple("=+-@＝＋－＠") and cell]
    names = [row[header.index("name")] for row in rows[1:]]
    shown = [visible(entry["name"]) for entry in model["credentials"]]
    assert [name.replace("'", "") for name in names] == [name.replace("'", "") for name in shown]


@pytest.mark.parametrize("name", [
    "x;=cmd|'/c calc'!A1", 'x;"=1+1"', "x; +1", "x;\t@sum", ";-1", "x;\"' \uff1d1", "=1;=2", "a;b"])
def test_csv_has_no_formulas_in_a_locale_that_separates_cells_by_semicolons(name):
    """Each reader splits the lines at semicolons in its own way, so a formula may not follow one at all."""
    text = to_csv(build(fleet(60, names=[name]), NOW, RUNBOOKS))
    assert not re.search("(^|[;,])[\\s\"]*[=+@\uff1d-]", text, re.MULTILINE)
    for row in csv.reader(text.splitlines(), delimiter=";"):
        assert not [cell for cell in row if cell.strip(" \"").startswith(("=", "+", "-", "@", "\uff1d"))]


def test_data_cannot_end_its_script_element():
    page = to_html(build(fleet(60, names=HOSTILE), NOW, RUNBOOKS))
    data = page.partition('id="report">')[2].partition("</script>")[0]
    assert "<" not in data and data.isascii() and "@style@" in data
    assert {entry["name"] for entry in json.loads(data)["credentials"]} >= {visible(name) for name in HOSTILE}
    assert page.count("<script") == page.count("</script>") == 2


def parsed_options(tmp_path, *formats, **options):
    """Return parsed options for files of these formats, or of all formats."""
    files = {name: str(tmp_path / f"report.{name}") for name in formats or write.WRITERS}
    given = {"registered": fleet(30, unread=False), "files": files, **options}
    return parse_options(write.REPORT, given, write.check_report)


def test_files_are_replaced_and_readable_by_all_users(tmp_path):
    options = parsed_options(tmp_path)
    (tmp_path / "report.json").symlink_to(tmp_path / "elsewhere")
    before = os.umask(0o077)
    try:
        result = write.write_report(options, None, RunMode())
    finally:
        os.umask(before)
    assert result["changed"] and (tmp_path / "report.json").is_symlink()
    assert (tmp_path / "elsewhere").read_bytes().startswith(b"{")
    names = ["elsewhere", *(f"report.{name}" for name in write.WRITERS)]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(names)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o644}


def test_results_are_a_mapping_or_its_json_text(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "now", lambda: NOW)
    texts = []
    for registered in (fleet(30), f" {json.dumps(fleet(30))}"):
        with pytest.raises(FailureWithResult):  # a Rancher of the fleet could not be read
            write.write_report(parsed_options(tmp_path, "json", registered=registered), None, RunMode())
        texts.append((tmp_path / "report.json").read_text())
    assert texts[0] == texts[1] and len(json.loads(texts[0])["credentials"]) == 31


def test_only_another_time_is_not_a_change(tmp_path, monkeypatch):
    options = parsed_options(tmp_path)
    clock = [NOW]
    monkeypatch.setattr(write, "now", lambda: clock[0])
    assert write.write_report(options, None, RunMode(check=True))["changed"] and not list(tmp_path.iterdir())
    assert write.write_report(options, None, RunMode())["changed"]
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    clock[0] += datetime.timedelta(minutes=10)
    assert not write.write_report(options, None, RunMode(check=True))["changed"]
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert not write.write_report(options, None, RunMode())["changed"]
    unchanged = {file.name for file, text in before.items() if file.read_bytes() == text}
    assert unchanged == {"report.csv"}  # the only format without a time
    for name in write.WRITERS:
        options["registered"]["lab"]["credentials"][0]["name"] += "!"
        single = {**options, "files": {name: options["files"][name]}}
        assert write.write_report(single, None, RunMode(check=True))["changed"], name


def test_failure_after_the_files_are_written(tmp_path):
    options = parsed_options(tmp_path, "json", registered={"prod": {"msg": "connection refused"}})
    with pytest.raises(FailureWithResult, match=r"^prod could not be read \(connection refused\)$") as failure:
        write.write_report(options, None, RunMode())
    assert failure.value.code == "problems" and failure.value.result["figures"]["ranchers_unread"] == 1
    assert json.loads((tmp_path / "report.json").read_text())["ranchers"][0]["error"] == "connection refused"


@dataclass(frozen=True)
class InvalidCase:
    """Options, in which {tmp} is a directory, and the message that rejects them."""

    options: dict
    message: str


INVALID = {
    "unknown code": InvalidCase(
        {"fail_on": ["overdu"]}, f"fail_on: unknown code or level overdu; allowed are {', '.join(write.FAIL_ON)}"),
    "no file": InvalidCase(
        {"files": {}}, "files must contain a path for at least one of html, json, csv, markdown, prometheus"),
    "unknown format": InvalidCase(
        {"files": {"pdf": "x"}}, "files: unknown option pdf; allowed are csv, html, json, markdown, prometheus"),
    "missing directory": InvalidCase(
        {"files": {"html": "{tmp}/none/x"}}, "files: html: the directory {tmp}/none does not exist"),
    "directory as file": InvalidCase({"files": {"html": "{tmp}"}}, "files: html: {tmp} is not a regular file"),
    "one file for two formats": InvalidCase(
        {"files": {"html": "{tmp}/x", "csv": "{tmp}/y/../x"}}, "files must contain a different path for each format"),
    "script as URL": InvalidCase({"runbook_url": "javascript:alert(1)"}, "runbook_url must begin with https:// or http://"),
    "nothing registered": InvalidCase({"registered": None}, "registered is required"),
}


@pytest.mark.parametrize("case", INVALID.values(), ids=INVALID)
def test_invalid_options(tmp_path, case):
    (tmp_path / "y").mkdir()
    defaults = {"registered": {"prod": None}, "files": {"html": "{tmp}/x"}}
    given = json.loads(json.dumps({**defaults, **case.options}).replace("{tmp}", str(tmp_path)))
    with pytest.raises(ValidationErrors) as failure:
        parse_options(write.REPORT, given, write.check_report)
    assert case.message.replace("{tmp}", str(tmp_path)) in failure.value.message


NOT_A_MAPPING = "registered must be a mapping of the names of Ranchers to results of cloud_credential_info"
NOT_A_RESULT = "registered: a must be what cloud_credential_info returned with problems: true"


@pytest.mark.parametrize(
    "registered, message",
    [
        pytest.param(
            {"a": None, "b": None},
            "registered contains no result of cloud_credential_info; register one on the hosts of the play first",
            id="no host",
        ),
        pytest.param({"a": "{{ text }}"}, NOT_A_RESULT, id="a text"),
        pytest.param(
            {"a": {"credentials": [{"name": "one", "problems": []}]}}, NOT_A_RESULT, id="without problems: true"
        ),
        pytest.param("listed", NOT_A_MAPPING, id="the name of a variable"),
        pytest.param([credential()], NOT_A_MAPPING, id="a list"),
    ],
)
def test_unusable_results(tmp_path, registered, message):
    with pytest.raises(RanchhandError) as failure:
        write.write_report(parsed_options(tmp_path, registered=registered), None, RunMode())
    assert failure.value.message == message and not list(tmp_path.iterdir())


TRANSITION = {"at": "2026-11-01T00:00:00Z", "phase": "idle", "what": "retired", "run": "1"}
ROTATION = {
    "phase": "grace", "generation": 2, "next_step": "disable", "issuer": "aws", "rotation_id": "r-1", "reason": "age",
    "key_id": "AK2", "old_key_id": "AK1", "running": False, "waiting_for": ["soak"],
    "started_at": "2026-11-01T00:00:00Z", "cutover_at": "2026-11-02T00:00:00Z", "disabled_at": None,
    "rotated_at": "2026-11-02T00:00:00Z", "expires_at": "2027-11-02T00:00:00Z", "transitions": [TRANSITION],
    "rotated_elsewhere": False,
}
REFERENCE = {"kind": "Cluster", "api_version": "v1", "namespace": "n", "name": "prod", "field": "spec.x", "use": "s3"}
COMPLETE = {
    "credentials": [credential(
        description="for tests", created_at="2026-01-01T00:00:00Z", due_at="2026-12-01T00:00:00Z", gone=False,
        max_age_seconds=90 * DAY, key_age_seconds=DAY, references=[REFERENCE], rotation=ROTATION, key_digest="1f",
        codes=("unused", "overdue", "drift", "expired"),
    )],
    "dangling": [{"id": "cattle-global-data:cc-gone", "references": [REFERENCE]}],
    "problems_incomplete": ["unused: a reason"], "references_incomplete": ["nodes.management.cattle.io"],
}
# What a report uses of a result, with a value of another type.
SHAPES = {
    "credentials": "x", "dangling": {"a": 1}, "problems_incomplete": "x", "problems_incomplete/0": 5,
    "references_incomplete": [5], "credentials/0": "x", "credentials/0/id": 5, "credentials/0/name": 5,
    "credentials/0/driver": 5, "credentials/0/owner": 5, "credentials/0/owner_name": 5,
    "credentials/0/description": 5, "credentials/0/created_at": 5, "credentials/0/due_at": "tomorrow",
    "credentials/0/key_age_seconds": "5", "credentials/0/max_age_seconds": "5",
    "credentials/0/key_age_source": "a guess", "credentials/0/key_digest": 5, "credentials/0/gone": "no",
    "credentials/0/references": "x",
    **{f"credentials/0/references/0/{name}": 5 for name in REFERENCE}, "credentials/0/rotation": "x",
    **{f"credentials/0/rotation/{name}": 5 for name in (
        "phase", "next_step", "expires_at", "waiting_for", "transitions", "rotated_elsewhere")},
    **{f"credentials/0/rotation/transitions/0/{name}": 5 for name in ("at", "phase", "what")},
    "credentials/0/problems": {}, "credentials/0/problems/0/code": 5, "credentials/0/problems/0/level": "fatal",
    "credentials/0/problems/0/message": None, "dangling/0": "x", "dangling/0/id": 5, "dangling/0/references": 5,
}
REQUIRED = ("id", "name", "problems", "code", "level", "message", "kind", "at", "phase", "what", "0")


def with_value(path, value):
    """Return COMPLETE with another value at a path."""
    result = json.loads(json.dumps(COMPLETE))
    *steps, last = (int(step) if step.isdigit() else step for step in path.split("/"))
    inner = result
    for step in steps:
        inner = inner[step]
    inner[last] = value
    return result


@pytest.mark.parametrize("path", SHAPES)
def test_a_result_with_a_value_of_another_type_is_rejected(path):
    assert validation_errors({"a": COMPLETE}) == validation_errors({"a": COMPLETE, "b": None}) == []
    assert validation_errors({"b": COMPLETE, "a": with_value(path, SHAPES[path])}) == [NOT_A_RESULT]
    required = path.rpartition("/")[2] in REQUIRED and path != "credentials/0/rotation/phase"
    required = required or path.endswith("references/0/name")
    assert validation_errors({"a": with_value(path, None)}) == (
        [NOT_A_RESULT] if required else [])


def test_a_time_and_a_choice_are_texts():
    for path, value in (
        ("credentials/0/due_at", 5), ("credentials/0/due_at", ["x"]), ("credentials/0/key_age_source", 5),
        ("credentials/0/problems/0/level", ["error"]), ("credentials/0/rotation/waiting_for", {"a": "b"}),
    ):
        assert validation_errors({"a": with_value(path, value)}) == [NOT_A_RESULT]


def test_all_that_the_model_contains_of_a_credential():
    model = build({"prod": COMPLETE}, NOW, RUNBOOKS + "/")
    row, gone = model["credentials"]
    problems = [
        {"code": code, "level": CODES[code], "message": f"has problem {code}"}
        for code in ("drift", "expired", "overdue", "unused")
    ]
    reference = {name: value for name, value in REFERENCE.items() if name != "use"}
    assert row == {
        "rancher": "prod", "gone": False, "id": "cattle-global-data:cc-1", "name": "one", "driver": "amazonec2",
        "owner": "u-1", "owner_name": "alice", "description": "for tests", "created_at": "2026-01-01T00:00:00Z",
        "key_age_days": 1, "key_age_source": "secret", "max_age_days": 90, "due_at": "2026-12-01T00:00:00Z",
        "due": False, "due_in_days": 6, "references": [reference], "rotation": ROTATION, "problems": problems,
        "also_in": [], "is_copy": False,
    }
    assert gone == {
        **dict.fromkeys(row), "rancher": "prod", "gone": True, "due": False, "id": "cattle-global-data:cc-gone",
        "also_in": [], "is_copy": False, "name": "cc-gone", "references": [reference], "problems": [
            {"code": "dangling", "level": "error", "message": "does not exist, but objects refer to it"}],
    }
    assert model["ranchers"] == [{
        "name": "prod", "up": True, "error": None, "credentials": 1,
        "references_incomplete": ["nodes.management.cattle.io"], "problems_incomplete": ["unused: a reason"],
    }]
    assert (model["generated_at"], runbook(model, "drift")) == (
        "2026-11-24T07:30:00Z", f"{RUNBOOKS}/credentials.md#drift")
    assert is_rotating(row) and not is_rotating(gone) and not is_rotating({"rotation": {"phase": "idle"}})


KEY = ("overdue", "expired", "expires_soon", "key_refused", "key_forbidden")


def rows_of(**credentials):
    """Return the rows of a report on Ranchers with a credential each, by Rancher."""
    model = build({name: {"credentials": [found]} for name, found in credentials.items()}, NOW, RUNBOOKS)
    return {row["rancher"]: row for row in model["credentials"]}, model


def test_a_key_of_several_ranchers_is_due_once():
    """Berlin rotates the key; the others are its members. Paris has a key of its own."""
    old = {"key_digest": "1f", "due": True, "due_at": due(-3), "key_age_seconds": 93 * DAY, "max_age_seconds": 90 * DAY}
    member = credential(**old, codes=(*KEY, "drift"), rotation={"phase": "idle", "rotated_elsewhere": True})
    rotating = credential(**old, codes=KEY, rotation={"phase": "idle", "generation": 1})
    other = credential(**{**old, "key_digest": "2e"}, codes=("overdue",))
    rows, model = rows_of(amsterdam=member, berlin=rotating, cork=member, paris=other)
    assert {name: [problem["code"] for problem in row["problems"]] for name, row in rows.items()} == {
        "amsterdam": ["drift"], "cork": ["drift"], "paris": ["overdue"],
        "berlin": ["expired", "key_refused", "expires_soon", "key_forbidden", "overdue"],
    }
    assert {name: (row["is_copy"], row["due"], row["due_at"], row["due_in_days"]) for name, row in rows.items()} == {
        "amsterdam": (True, False, None, None), "berlin": (False, True, due(-3), -3), "cork": (True, False, None, None),
        "paris": (False, True, due(-3), -3),
    }
    also = {name: [other["rancher"] for other in row["also_in"]] for name, row in rows.items()}
    assert also == {
        "amsterdam": ["berlin", "cork"], "berlin": ["amsterdam", "cork"], "cork": ["amsterdam", "berlin"], "paris": []}
    assert rows["cork"]["also_in"][1] == {"rancher": "berlin", "id": "cattle-global-data:cc-1", "name": "one"}
    assert model["figures"]["due"] == 2 and [row["overdue"] for row in model["ages"]] == [2]
    (line,) = [line for line in csv.DictReader(to_csv(model).splitlines()) if line["rancher"] == "berlin"]
    assert line["same_key_in"] == "cattle-global-data:cc-1 of amsterdam; cattle-global-data:cc-1 of cork"
    assert "1f" not in to_json(model)


def test_a_problem_of_a_copy_only_is_kept():
    """A provider may refuse an address from which a Rancher signs in."""
    copy = credential(key_digest="1f", codes=("key_refused",))
    rows, _model = rows_of(a=credential(key_digest="1f"), b=copy)
    assert [problem["code"] for problem in rows["b"]["problems"]] == ["key_refused"]


def test_ranchers_that_would_rotate_the_same_key_apart():
    same = {"key_digest": "1f"}
    member = credential(**same, rotation={"phase": "idle", "rotated_elsewhere": True})
    rows, _model = rows_of(a=credential(**same), b=member, c=credential(**same), d=credential(**same, rotation=None))
    assert [row["problems"] for name, row in sorted(rows.items())] == [[{
        "code": "shared_key", "level": "warning", "message": (
            "contains the same key as cattle-global-data:cc-1 of c, cattle-global-data:cc-1 of d, which would not get "
            "its new key"),
    }], [], [], []]
    rows, _model = rows_of(a=member, b=member)
    assert not rows["a"]["problems"] and (rows["a"]["is_copy"], rows["b"]["is_copy"]) == (False, True)


def test_credentials_of_a_rancher_with_the_same_key_are_no_copies():
    rows = model_of(credential(id="1", key_digest="1f", due=True), credential(id="2", key_digest="1f", due=True))
    assert rows["figures"]["due"] == 2 and not any(row["is_copy"] or row["also_in"] for row in rows["credentials"])


def test_a_rancher_without_a_result():
    (rancher,) = build({"lab": {"failed": True}}, NOW, RUNBOOKS)["ranchers"]
    assert rancher == {
        "name": "lab", "up": False, "error": "the result has no message", "credentials": 0,
        "references_incomplete": [], "problems_incomplete": [],
    }
    assert build({"lab": {"credentials": []}}, NOW, RUNBOOKS)["ranchers"][0]["up"]


def test_credentials_of_the_same_urgency_are_sorted_by_name_rancher_and_id():
    def named(*pairs):
        return {"credentials": [credential(name=name, id=identifier) for name, identifier in pairs]}

    model = build({"b": named(("y", "2"), ("x", "3"), ("y", "1")), "a": named(("y", "4"))}, NOW, RUNBOOKS)
    assert [row["id"] for row in model["credentials"]] == ["3", "4", "1", "2"]


@pytest.mark.parametrize(("offset", "soon"), [(0, 0), (-1, 1)])
def test_a_key_is_due_soon_in_less_than_30_days(offset, soon):
    due_at = (NOW + datetime.timedelta(days=30, seconds=offset)).isoformat()
    assert model_of(credential(due_at=due_at))["figures"]["due_soon"] == soon
    assert model_of(credential(due_at=due_at, due=True))["figures"]["due_soon"] == 0


@pytest.mark.parametrize(("seconds", "days"), [(0, 0), (DAY - 1, 0), (DAY, 1), (2 * DAY - 1, 1), (365 * DAY, 365)])
def test_ages_are_whole_days(seconds, days):
    (row,) = model_of(credential(key_age_seconds=seconds, max_age_seconds=seconds))["credentials"]
    assert row["key_age_days"] == row["max_age_days"] == days


def test_the_states_of_an_age_are_those_that_all_formats_color():
    assert AGE_STATES == ("fine", "due_soon", "overdue", "no_policy", "unknown")


INVISIBLE = "\x00\x1f\x7f\x9f\u061c\u200b\u200e\u200f\u2028\u202e\u2060\u2066\u2069\ufeff\ud800"


@pytest.mark.parametrize("character", INVISIBLE, ids=ascii)
def test_invisible_characters_are_escaped_everywhere(character):
    escaped = f"a\\u{ord(character):04x}"
    assert visible({"x": [f"a{character}", 5, None, {"y": f"a{character}"}]}) == {
        "x": [escaped, 5, None, {"y": escaped}]}
    assert visible("Zürich \u05d0 é") == "Zürich \u05d0 é"


def test_documentation_lists_all_choices():
    text = (ROOT / "plugins/modules/report.py").read_text().partition('DOCUMENTATION = r"""')[2].partition('"""')[0]
    module = yaml.safe_load(text)["options"]
    specs = yaml.safe_load((ROOT / "roles/report/meta/argument_specs.yml").read_text())
    role = specs["argument_specs"]["main"]["options"]
    assert set(module["fail_on"]["choices"]) == set(role["report_fail_on"]["choices"]) == set(write.FAIL_ON)
    assert list(module["files"]["suboptions"]) == list(role["report_files"]["options"]) == list(write.WRITERS)
    assert module["runbook_url"]["default"] == role["report_runbook_url"]["default"] == write.RUNBOOKS
    description = " ".join(module["fail_on"]["description"])
    errors = description.partition("Errors are")[2].partition("warnings are")[0]
    assert re.findall(r"V\((\w+)\)", errors) == [code for code, level in CODES.items() if level == "error"]
    assert LEVELS[0] == "error"
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs/runbooks/credentials.md").read_text(), re.MULTILINE)
    assert set(CODES) <= set(sections)
    assert set(SOURCES) == {"record", "annotation", "provider", "secret"}
    metrics = set(re.findall(r"ranchhand_\w+", (ROOT / "docs/report.md").read_text()))
    written = write.WRITERS["prometheus"](build(fleet(60), NOW, RUNBOOKS))
    assert metrics and metrics <= set(re.findall(r"# TYPE (\w+)", written))
