# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report lists to do today: a sentence and a remedy for each problem, and safe commands."""

from __future__ import annotations

import re
import shlex
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.problems import LEVELS, PROBLEM_LEVELS
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.formats import to_markdown
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.model import build
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.today import CODES, SENTENCES, plan_today
from hypothesis import given
from hypothesis import strategies as st

from support.fleets import HOSTILE, NOW, fleet

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
RECORDS = "rancher-credential-rotation"
ID = "cattle-global-data:cc-7kq2f"
CLUSTER = {"kind": "Cluster", "namespace": "fleet-default", "name": "prod", "field": "spec.cloudCredentialSecretName"}


def credential(*codes, **values):
    """Return a credential of a model with problems."""
    problems = [{"code": code, "level": CODES[code], "message": f"message of {code}"} for code in codes]
    return {
        "rancher": "prod-eu", "id": ID, "name": "payments prod", "driver": "amazonec2", "owner": "u-1",
        "owner_name": "alice", "created_at": "2026-01-01T00:00:00Z", "due": False, "due_at": None,
        "max_age_days": None, "references": [CLUSTER],
        "rotation": {"phase": "idle", "issuer": None}, "problems": problems, "also_in": [], **values,
    }


def only_task(code, namespace=RECORDS, **values):
    [task] = plan_today([], [credential(code, **values)], namespace, NOW)
    return task


def parsed(command):
    """Return the playbook and the variables of a command, as a shell and Ansible read it."""
    words = shlex.split(command)
    assert words[0] == "ansible-playbook" and words[2:3] in ([], ["-e"]) and len(words) in (2, 4)
    assert words[1].startswith("ranchhand.rancher.")
    return words[1].removeprefix("ranchhand.rancher."), yaml.safe_load(words[3]) if words[3:] else {}


def test_each_problem_has_a_sentence():
    assert set(SENTENCES) == set(CODES) == {*PROBLEM_LEVELS, "dangling"}
    assert len(set(SENTENCES.values())) == len(SENTENCES)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("due", [False, True], ids=["not due", "due"])
def test_a_problem_has_a_single_sentence_and_a_single_remedy(code, due):
    task = only_task(code, due=due, max_age_days=90)
    assert (task.code, task.level, task.owner) == (code, CODES[code], "alice")
    assert re.fullmatch(r"[A-Z][^.]+\.", task.why) and task.detail == f"message of {code}"
    assert re.fullmatch(r"[A-Z][^.:]+", task.remedy.what)
    assert not (task.remedy.command and task.remedy.page)
    if task.remedy.command:
        playbook, variables = parsed(task.remedy.command)
        text = (PLAYBOOKS / f"{playbook}.yml").read_text()
        assert f"{playbook}_hosts |" in text and variables[f"{playbook}_hosts"] == "prod-eu"
        assert ID in str(variables)
    if task.remedy.page:
        assert task.remedy.page.startswith("Cluster Management > ")


COMMANDS = {
    "unused": ("remove_credentials", {"remove_credentials_list": [{"id": ID}]}),
    "restored": ("retire", {"retire_credentials": [{"id": ID}]}),
    "gone": ("forget", {"forget_credentials": [{"id": ID}]}),
    "drift": ("rotation_status", {"rotation_status_id": ID}),
}


@pytest.mark.parametrize("code", COMMANDS)
def test_commands(code):
    playbook, variables = COMMANDS[code]
    hosts = {f"{playbook}_hosts": "prod-eu"}
    assert parsed(only_task(code).remedy.command) == (playbook, {**variables, **hosts})
    assert parsed(only_task(code, rancher="localhost").remedy.command) == (playbook, variables)


@pytest.mark.parametrize("values", [
    {"created_at": "2026-11-23T07:30:01Z"}, {"rotation": {"phase": "grace", "issuer": "aws"}},
    {"rotation": {"phase": None, "issuer": None}},
], ids=["created less than a day ago", "in rotation", "a rotation that cannot be read"])
def test_a_credential_that_may_be_used_soon_is_not_deleted(values):
    assert plan_today([], [credential("unused", **values)], RECORDS, NOW) == []
    assert only_task("unused", **{**values, "created_at": "2026-11-23T07:30:00Z", "rotation": None}).remedy.command


def test_the_namespace_of_the_records_is_part_of_the_commands_for_rotations():
    assert parsed(only_task("restored", "keys").remedy.command)[1]["retire_namespace"] == "keys"
    assert "keys" not in only_task("unused", "keys").remedy.command
    [unread] = plan_today([{"name": "lab", "up": False, "error": "refused"}], [], "keys", NOW)
    assert parsed(unread.remedy.command) == ("where_used", {"where_used_hosts": "lab"})


@pytest.mark.parametrize("days, expected", [(90, "90d"), (0, "1h")])
def test_an_overdue_key_is_rotated_by_its_issuer(days, expected):
    playbook, variables = parsed(only_task("overdue", due=True, max_age_days=days).remedy.command)
    assert (playbook, variables["rotate_max_age"]) == ("rotate", expected)
    assert variables["rotate_credentials"] == [{"id": ID}]


@pytest.mark.parametrize(("code", "phase", "what"), [
    ("overdue", "idle", "Rotate the key"), ("stuck_rotation", "grace", "Continue the rotation"),
    ("restored", "idle", "Write the current key again"),
])
def test_a_key_of_several_ranchers_is_rotated_with_the_variables_of_all(code, phase, what):
    """Without them, a rotation would leave the key of the others behind."""
    values = {"due": True, "rotation": {"phase": phase, "issuer": "aws"}}
    assert only_task(code, **values).remedy.command
    remedy = only_task(code, **values, also_in=[{"rancher": "lab", "id": ID, "name": "aws"}]).remedy
    assert asdict(remedy) == {
        "what": f"{what}, with the variables for all Ranchers that contain the key", "command": None, "page": None}


@pytest.mark.parametrize("issuer", [None, "supplied"])
def test_an_overdue_key_without_issuer_is_replaced_in_the_ui(issuer):
    rotation = {"phase": "idle", "issuer": issuer}
    remedy = only_task("overdue", due=True, max_age_days=90, driver="digitalocean", rotation=rotation).remedy
    assert remedy.command is None and remedy.page == "Cluster Management > Cloud Credentials > cc-7kq2f"


def test_an_overdue_key_is_rotated_by_an_issuer_of_another_collection():
    rotation = {"phase": "idle", "issuer": "acme.clouds.digitalocean"}
    assert only_task("overdue", due=True, max_age_days=90, driver="digitalocean", rotation=rotation).remedy.command


@pytest.mark.parametrize("phase, playbook", [
    ("issued", "rotate"), ("grace", "retire"), ("deleting", "retire"), ("rolling_back", "rollback"),
    ("aborting", "abort"), (None, "rotation_status"),
])
def test_a_stopped_rotation_is_continued(phase, playbook):
    rotation = {"phase": phase, "issuer": "aws"}
    assert parsed(only_task("stuck_rotation", rotation=rotation).remedy.command)[0] == playbook


@pytest.mark.parametrize("references, page", [
    ([CLUSTER], "Cluster Management > Clusters > fleet-default/prod > Edit Config"),
    ([{**CLUSTER, "kind": "NodeTemplate"}], "Cluster Management > Clusters > Edit Config"),
    ([{**CLUSTER, "namespace": None}], "Cluster Management > Clusters > prod > Edit Config"),
], ids=["a cluster", "no cluster", "a cluster without namespace"])
def test_the_page_names_the_cluster(references, page):
    assert only_task("dangling", references=references).remedy.page == page


PAGES = {
    "Cloud Credentials > cc-7kq2f": (
        "expired", "key_refused", "sync_failed", "shared_key", "duplicate_name", "malformed"),
    "Clusters > fleet-default/prod > Edit Config": ("dangling", "driver_mismatch"),
    "Clusters > fleet-default/prod > Edit YAML": ("reference_unresolved",),
    "Cloud Credentials": ("unreadable",), "Drivers": ("driver_inactive",),
    "RKE1 Configuration > Node Templates": ("template_broken",),
}


def test_the_pages_of_the_ui():
    found = {code: only_task(code, driver="digitalocean").remedy.page for code in CODES}
    expected = {code: f"Cluster Management > {page}" for page, codes in PAGES.items() for code in codes}
    by_key = dict.fromkeys(("overdue", "expires_soon"), "Cluster Management > Cloud Credentials > cc-7kq2f")
    assert {code: page for code, page in found.items() if page} == {**expected, **by_key}


def test_a_key_that_is_not_due_is_replaced_and_not_rotated():
    """A rotation skips a key that is not due, so that the command would do nothing."""
    for code in ("overdue", "expires_soon"):
        assert only_task(code, due=False).remedy.page and only_task(code, due=True).remedy.command


def test_all_that_a_task_contains():
    task = asdict(only_task("unused", owner_name=None))
    assert {name: value for name, value in task.items() if name not in ("why", "remedy")} == {
        "rancher": "prod-eu", "id": ID, "name": "payments prod", "owner": "u-1", "code": "unused", "level": "notice",
        "detail": "message of unused",
    }
    (unread,) = plan_today([{"name": "localhost", "up": False, "error": "refused"}], [], RECORDS, NOW)
    shown = asdict(unread)
    assert {name: value for name, value in shown.items() if name not in ("why", "remedy")} == {
        "rancher": "localhost", "id": None, "name": None, "owner": None, "code": "unread", "level": "error",
        "detail": "refused",
    }
    assert unread.remedy.command == "ansible-playbook ranchhand.rancher.where_used"


def test_a_code_of_a_later_release_is_left_out():
    later = {"code": "later", "level": "error", "message": "x"}
    assert plan_today([], [credential(problems=[later])], RECORDS, NOW) == []


def test_the_first_of_two_problems_with_the_same_code_is_the_detail():
    problems = [{"code": "template_broken", "level": "error", "message": message} for message in ("first", "second")]
    (task,) = plan_today([], [credential(problems=problems)], RECORDS, NOW)
    assert task.detail == "first"


def test_tasks_of_the_same_urgency_are_sorted_by_due_time_name_rancher_and_id():
    tasks = plan_today([], [
        credential("unused", name="b", rancher="r", id="1"), credential("unused", name="a", rancher="s", id="2"),
        credential("unused", name="a", rancher="r", id="4"), credential("unused", name="a", rancher="r", id="3"),
        credential("unused", name="z", due_at="2026-11-01T00:00:00Z", id="5"),
        credential("expired", name="z", id="7"), credential("dangling", name="z", due_at=None, id="8"),
        credential("key_refused", name="z", due_at="2026-01-01T00:00:00Z", id="9"),
    ], RECORDS, NOW)
    assert [task.id for task in tasks] == ["8", "7", "9", "5", "3", "4", "2", "1"]


def test_order_of_urgency():
    tasks = plan_today(
        [{"name": "lab", "up": False, "error": "refused"}, {"name": "prod-eu", "up": True}],
        [
            credential("unused", "overdue", id="a", due_at="2026-11-20T00:00:00Z"),
            credential("overdue", id="b", due_at="2026-11-01T00:00:00Z"),
            credential("template_broken", "expired", id="c"),
            credential("template_broken", "template_broken", id="d"),
        ],
        RECORDS,
        NOW,
    )
    assert [(task.code, task.id) for task in tasks] == [
        ("unread", None), ("expired", "c"), ("template_broken", "c"), ("template_broken", "d"), ("overdue", "b"),
        ("overdue", "a"), ("unused", "a")]
    levels = [LEVELS.index(task.level) for task in tasks]
    assert levels == sorted(levels)


NAMES = st.sampled_from(HOSTILE) | st.text(max_size=40)


@given(rancher=NAMES, credential_id=NAMES, name=NAMES, namespace=NAMES, code=st.sampled_from(sorted(CODES)))
def test_a_hostile_name_is_in_no_command(rancher, credential_id, name, namespace, code):
    """A command holds only plain ids and names of hosts; without them, the runbook is the way out."""
    hostile = credential(code, rancher=rancher, id=credential_id, name=name, due=True, owner_name=name)
    [task] = plan_today([], [hostile], namespace, NOW)
    if task.remedy.command:
        pattern = r"ansible-playbook ranchhand\.rancher\.\w+ -e '[\w{}\[\]:,. -]+'"
        assert re.fullmatch(pattern, task.remedy.command, re.ASCII)
        assert "{{" not in task.remedy.command
        variables = parsed(task.remedy.command)[1]
        assert credential_id in str(variables)
        assert rancher == "localhost" or variables[f"{parsed(task.remedy.command)[0]}_hosts"] == rancher


def test_markdown_begins_with_what_to_do():
    model = build(fleet(60), NOW, "https://runbooks.example/docs")
    text = to_markdown(model)
    section = text.partition("## Today\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
    assert text.index("## Today") < text.index("## Figures") and len(rows) == 20
    assert f"{len(model['today']) - 20} more are in the table of problems." in section
    first = model["today"][0]
    assert first["why"] == "The Rancher could not be read." and first["why"] in rows[0] and "now" in rows[0]
    empty = to_markdown(build({"prod": {"credentials": []}}, NOW, "https://runbooks.example/docs"))
    assert "There is nothing to do." in empty


def test_the_model_contains_the_tasks_as_plain_data():
    model = build(fleet(60), NOW, "https://runbooks.example/docs")
    planned = plan_today(model["ranchers"], model["credentials"], RECORDS, NOW)
    assert model["today"] == [asdict(task) for task in planned]
    assert {task["code"] for task in model["today"]} > {"unread", "dangling", "overdue", "unused"}
