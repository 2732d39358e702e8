# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role schedule removes from AWX, and how it refers to objects."""

from __future__ import annotations

import pytest
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._schedule_awx import DESCRIPTION, awx_changes, named_url

OPTIONS = {
    "schedule_state": "present",
    "schedule_name_prefix": "ranchhand",
    "schedule_jobs": {"rotate": None, "report": None},
    "schedule_awx_organization": "Default",
    "schedule_awx_credential_type": "",
    "schedule_awx_credentials": [],
    "schedule_awx_project_credential": "",
    "schedule_awx_execution_environment": "",
    "schedule_awx_sets_kubeconfig": True,
    "schedule_awx_approve": ["rotate"],
}
TYPE, OTHER_TYPE = {"id": 1, "name": "ranchhand kubeconfig", "kind": "cloud"}, {"id": 2, "name": "other", "kind": "net"}
CREDENTIAL = {
    "id": 3, "name": "ranchhand kubeconfig", "credential_type": 1,
    "summary_fields": {"credential_type": {"name": "ranchhand kubeconfig"}},
}
PROJECT, FOREIGN = {"id": 4, "name": "ranchhand", "credential": None}, 5
NOTHING = {
    "organizations": [{"id": 9, "name": "Default"}],
    **dict.fromkeys(
        ("credential_types", "credentials", "type_users", "projects", "inventories", "sources", "templates",
         "workflows"), [],
    ),
}
INSTALLED = {
    **NOTHING,
    "credential_types": [TYPE],
    "credentials": [CREDENTIAL],
    "type_users": [CREDENTIAL],
    "projects": [PROJECT],
    "inventories": [{"id": 6, "name": "ranchhand"}],
    "sources": [{"inventory": 6, "execution_environment": None}, {"inventory": 7, "execution_environment": 1}],
    "templates": [{"name": f"ranchhand {name}", "project": 4} for name in ("rotate", "report")],
    "workflows": [{"name": "ranchhand rotate with approval"}],
}


def changes(found=INSTALLED, **options):
    return awx_changes(found, {**OPTIONS, **{f"schedule_{name}": value for name, value in options.items()}})


def removed(result):
    names = ("surplus_templates", "surplus_workflows", "replaced_templates", "replaced_source", "replaced_project")
    return {name: result[name] for name in names if result[name]}


def test_an_unchanged_installation():
    result = changes()
    assert removed(result) == {} and result["errors"] == [] and result["type_is_managed"] and not result["type_is_used"]
    assert result["unapproved"] == ["ranchhand rotate"], "a schedule of the template itself is not allowed"
    assert result["credential"] == "ranchhand kubeconfig++ranchhand kubeconfig++cloud++Default"
    assert result["inventory"] == "ranchhand++Default"


@pytest.mark.parametrize("found, options, expected", [
    pytest.param(
        INSTALLED, {"jobs": {"report": None}},
        {"surplus_templates": ["ranchhand rotate"], "surplus_workflows": ["ranchhand rotate with approval"]},
        id="a job is left out",
    ),
    pytest.param(
        INSTALLED, {"awx_approve": []}, {"surplus_workflows": ["ranchhand rotate with approval"]}, id="no approval",
    ),
    pytest.param(
        INSTALLED, {"jobs": {"report": None}, "state": "absent"}, {"surplus_templates": ["ranchhand report"]},
        id="absent of one job",
    ),
    pytest.param(
        {**INSTALLED, "templates": [
            {"name": "ranchhand mine", "project": FOREIGN}, {"name": "ranchhand rotate by hand", "project": 4},
            {"name": "ranchhand  x", "project": 4},
        ], "workflows": [{"name": "ranchhand release"}]},
        {"jobs": {}}, {}, id="objects of users",
    ),
    pytest.param(
        {**INSTALLED, "templates": [{"name": "ranchhand orphan", "project": None}]}, {},
        {"surplus_templates": ["ranchhand orphan"]}, id="a template that lost its project",
    ),
    pytest.param(
        {**INSTALLED, "templates": [{"name": "ranchhand report", "project": 4, "execution_environment": 8}],
         "sources": [{"inventory": 6, "execution_environment": 8}]},
        {}, {"replaced_templates": ["ranchhand report"], "replaced_source": True}, id="environment unset",
    ),
    pytest.param(
        {**INSTALLED, "projects": [{**PROJECT, "credential": 3}]}, {}, {"replaced_project": True},
        id="credential of the project unset",
    ),
])
def test_what_is_removed(found, options, expected):
    assert removed(changes(found, **options)) == expected


@pytest.mark.parametrize("found, options, words", [
    pytest.param({**NOTHING, "organizations": []}, {}, "AWX has no organization Default", id="organization"),
    pytest.param(NOTHING, {"awx_credential_type": "x"}, "AWX has no credential type x", id="type"),
    pytest.param(NOTHING, {"awx_sets_kubeconfig": False}, "schedule_awx_kubeconfig is required", id="kubeconfig"),
])
def test_what_is_missing(found, options, words):
    (error,) = changes(found, **options)["errors"]
    assert words in error


def test_references():
    other = {**INSTALLED, "credential_types": [OTHER_TYPE], "type_users": [{"id": 99}]}
    result = changes(other, awx_credential_type="other", awx_credentials=["ranchhand kubeconfig", "global"])
    assert result["credential"].split("++")[1:3] == ["other", "net"] and not result["type_is_managed"]
    assert result["former_types"] == ["ranchhand kubeconfig"] and result["former_type_is_managed"]
    assert not result["has_credential"]
    assert result["credentials"] == ["3", "global"] and result["type_is_used"]
    assert named_url("a+b", "C++") == "a[+]b++C[+][+]"


def test_a_credential_of_a_former_type_given_by_the_user_is_deleted_if_the_role_created_it():
    def former(**credential):
        named = {"id": 8, "name": "ranchhand kubeconfig", "credential_type": 9, **credential,
                 "summary_fields": {"credential_type": {"name": "shared"}}}
        result = changes({**INSTALLED, "credentials": [*INSTALLED["credentials"], named]})
        return result["former_types"], result["former_type_is_managed"]

    assert former(description=DESCRIPTION) == (["shared"], False)
    assert former(description="mine") == former() == ([], False)


def test_a_credential_is_not_of_a_former_type_if_only_the_kind_of_its_type_differs():
    """AWX identifies types by name and kind, and the module by the name alone: it would delete the new credential."""
    result = changes({**INSTALLED, "credential_types": [{**TYPE, "id": 7, "kind": "net"}]})
    assert result["former_types"] == [] and not result["former_type_is_managed"]


@pytest.mark.parametrize("jobs, last", [(["rotate"], False), (["rotate", "report"], True), ([], False)])
def test_the_last_job(jobs, last):
    assert changes(state="absent", jobs=dict.fromkeys(jobs))["last"] is last


def test_a_former_inventory_that_is_being_deleted():
    assert changes({**INSTALLED, "inventories": [{"id": 6, "pending_deletion": True}]})["deleting_inventory"]
