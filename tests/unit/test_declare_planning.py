# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning of the role cloud_credentials, and the text that playbooks print."""

from __future__ import annotations

import pytest
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._connection import connection_defaults
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._declare import (
    declaration_result,
    declaration_steps,
    drift,
    drift_files,
    object_rows,
    removal_plan,
    undeclared,
)
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._text_output import reference_tree, table


def credential(name, action="unchanged", identifier="", **more):
    return {
        "name": name,
        "driver": "amazonec2",
        "action": action,
        "id": identifier or f"cattle-global-data:cc-{name}",
        **more,
    }


def node_template(name, action="unchanged", **more):
    return {"name": name, "driver": "amazonec2", "action": action, "id": f"cattle-global-nt:nt-{name}", **more}


def used_by(name, kind="NodeTemplate", namespace="cattle-global-nt", field="spec.cloudCredentialName"):
    return {"kind": kind, "api_version": "v3", "namespace": namespace, "name": name, "field": field}


class TestTable:
    def test_columns_are_aligned(self):
        rows = [{"host": "a", "next_step": "rotate"}, {"host": "longer", "next_step": None}, {"host": "b"}]
        assert table(rows) == ["HOST    NEXT STEP", "a       rotate", "longer", "b"]

    def test_only_the_given_columns(self):
        assert table([{"a": 1, "b": 2, "c": 3}], ["c", "a"]) == ["C  A", "3  1"]

    def test_no_rows(self):
        assert table([], empty="Nothing to do.") == ["Nothing to do."] and table([]) == []

    def test_a_name_cannot_make_a_line_wrap_where_it_wants(self):
        lines = table([{"name": "a" + "\u3164" * 200 + "b  will be deleted", "id": "cc-a"}])
        assert len(lines[1]) < 90 and "\u3164" not in lines[1] and lines[1].endswith("…  cc-a")

    @pytest.mark.parametrize("character", ["\n", "\r", "\x1b", "\u2028", "\u202e", "\x00", "\x85"], ids=ascii)
    def test_a_name_cannot_imitate_a_row(self, character):
        lines = table([{"name": f"x{character}host  y"}, {"name": "z"}])
        assert len(lines) == 3 and all(len(line.splitlines()) == 1 and line.isprintable() for line in lines)


def test_reference_tree():
    users = [used_by("a"), used_by("prod\nfake", "Cluster", "fleet-default"), used_by("b", namespace="")]
    assert reference_tree([credential("x", references=users), credential("y", references=[])], ["Cluster"]) == [
        "x (amazonec2, cattle-global-data:cc-x)",
        "├── Cluster",
        "│   └── fleet-default/prod fake: spec.cloudCredentialName",
        "└── NodeTemplate",
        "    ├── cattle-global-nt/a: spec.cloudCredentialName",
        "    └── b: spec.cloudCredentialName",
        "y (amazonec2, cattle-global-data:cc-y)",
        "└── not used",
        "Incomplete: this connection may not list Cluster.",
    ]
    assert reference_tree([]) == ["No cloud credential matches."]


class TestSteps:
    def test_a_single_call_without_node_templates(self):
        items = [{"name": "a"}, {"name": "b", "state": "absent"}]
        assert declaration_steps(items, [], "present") == {
            "first": items,
            "node_templates": [],
            "absent": [],
            "waiting": [],
        }

    def test_credentials_are_deleted_last(self):
        steps = declaration_steps(
            [{"name": "a"}, {"name": "b", "state": "absent"}, {"name": "c", "state": None}], [{"name": "t"}], "present"
        )
        assert [item["name"] for item in steps["first"]] == ["a", "c"]
        assert steps["absent"] == [{"name": "b", "state": "absent"}]
        assert declaration_steps([{"name": "a"}], [{"name": "t"}], "absent")["first"] == []

    def test_node_templates_wait_for_credentials_that_check_mode_does_not_create(self):
        first = {
            "credentials": [{**credential("new", "created"), "id": None}, credential("old", "created"), credential("x")]
        }
        templates = [{"name": name, "cloud_credential": name} for name in (" new ", "old", "x")] + [{"name": "none"}]
        steps = declaration_steps([], templates, "present", first)
        assert steps["waiting"] == [0]
        assert steps["node_templates"] == [{"name": " new ", "cloud_credential": None}, *templates[1:]]

    @pytest.mark.parametrize("check_mode", [True, False], ids=["check mode", "run"])
    def test_renames_and_hand_overs_that_check_mode_does_not_write(self, check_mode):
        first = {"credentials": [
            {**credential("new", "updated"), "id": "cattle-global-data:cc-a", "changed_fields": ["name"]},
            {**credential("theirs", "updated"), "id": "cattle-global-data:cc-b", "changed_fields": ["owner"]},
            {**credential("x", "updated"), "id": "cattle-global-data:cc-x", "changed_fields": ["tenantId"]},
        ]}
        templates = [
            {"name": "a", "cloud_credential": " new "}, {"name": "b", "cloud_credential": "theirs", "owner": "bob"},
            {"name": "c", "owner": "bob"}, {"name": "d", "cloud_credential": "x"}, {"name": "e"},
        ]
        steps = declaration_steps([], templates, "present", first, check_mode)["node_templates"]
        if not check_mode:
            assert steps == templates
            return
        assert steps == [
            {"name": "a", "cloud_credential": "cattle-global-data:cc-a", "validate_config": False},
            {"name": "b", "cloud_credential": "cattle-global-data:cc-b", "owner": "bob", "validate_config": False},
            {"name": "c", "owner": "bob", "validate_config": False}, *templates[3:],
        ]


class TestResult:
    def test_node_templates_that_wait_are_changed(self):
        templates = [
            node_template("a", "created"),
            node_template("b", "unchanged", changed_fields=[]),
            node_template("c", "updated", changed_fields=["region"]),
            node_template("d", "deleted"),
            node_template("e"),
        ]
        result = declaration_result(
            {"credentials": [credential("x")]}, {"node_templates": templates}, waiting=[0, 1, 2, 3]
        )
        assert result["changed"] is True
        assert [item["action"] for item in result["node_templates"]] == [
            "created",
            "updated",
            "updated",
            "deleted",
            "unchanged",
        ]
        assert result["node_templates"][2]["changed_fields"] == ["region", "cloud_credential"]
        assert result["released"] == ["nt-b", "nt-c", "nt-d"]

    @pytest.mark.parametrize("call", range(3), ids=["credentials", "node templates", "absent"])
    def test_changed(self, call):
        calls = [{}, {"skipped": True}, {"skipped": True}]
        assert declaration_result(*calls)["changed"] is False
        calls[call] = {"changed": True}
        assert declaration_result(*calls)["changed"] is True

    @pytest.mark.parametrize(
        ("references", "predicted"),
        [
            pytest.param([used_by("nt-a")], True, id="released"),
            pytest.param([used_by("nt-a"), used_by("nt-b")], False, id="another node template"),
            pytest.param([used_by("nt-a", "Cluster")], False, id="another kind"),
        ],
    )
    def test_absent_is_predicted(self, references, predicted):
        templates = {"node_templates": [node_template("a", "deleted"), node_template("b")]}
        absent = {"code": "in_use", "references": references}
        assert declaration_result({}, templates, absent, check_mode=True)["absent_is_predicted"] is predicted
        assert declaration_result({}, templates, absent)["absent_is_predicted"] is False


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        pytest.param({}, ["team-a x", "team-b", "[a]"], id="all"),
        pytest.param({"name": "team-b"}, ["team-b"], id="name"),
        pytest.param({"name": "team-*"}, [], id="name with a wildcard"),
        pytest.param({"name": "[a]"}, ["[a]"], id="name with brackets"),
        pytest.param({"name_pattern": "team-*"}, ["team-a x", "team-b"], id="pattern"),
        pytest.param({"name_pattern": "TEAM-*"}, [], id="pattern in capitals"),
        pytest.param({"name": "team-b", "name_pattern": "*a*"}, ["team-b"], id="name and pattern"),
    ],
)
def test_undeclared(scope, names):
    found = [
        credential("team-a x"),
        credential("team-b"),
        credential("[a]"),
        credential("declared"),
        credential("team-broken", problems=[{"code": "unreadable", "level": "error", "message": ""}]),
    ]
    assert [item["name"] for item in undeclared(found, [credential("declared")], scope)] == names


class TestRemovalPlan:
    def test_credentials_of_deleted_node_templates_are_deleted(self):
        plan = removal_plan(
            {
                "node_templates": {
                    "node_templates": [
                        node_template("gone", "deleted"),
                        node_template(
                            "kept", "refused", references=[used_by("prod", "Cluster", "fleet-default", "spec.x")]
                        ),
                    ]
                },
                "credentials": {
                    "credentials": [
                        credential("a", "refused", references=[used_by("nt-gone"), used_by("nt-released")]),
                        credential("b", "refused", references=[used_by("nt-kept"), used_by("nt-gone", "Cluster")]),
                        credential("c", "deleted"),
                        credential("d", "unchanged"),
                        credential("e", "refused"),
                    ]
                },
            },
            released=["nt-released"],
            host="h",
        )
        assert plan["node_templates"] == [{"id": "cattle-global-nt:nt-gone"}]
        assert plan["credentials"] == [{"id": "cattle-global-data:cc-a"}, {"id": "cattle-global-data:cc-c"}]
        assert [(row["host"], row["name"], row["action"]) for row in plan["rows"]] == [
            ("h", "gone", "will be deleted"),
            ("h", "kept", "is kept, it is in use:"),
            ("h", None, "  used by Cluster fleet-default/prod (spec.x)"),
            ("h", "a", "will be deleted"),
            ("h", "b", "is kept, it is in use:"),
            ("h", None, "  used by NodeTemplate cattle-global-nt/nt-kept (spec.cloudCredentialName)"),
            ("h", None, "  used by Cluster cattle-global-nt/nt-gone (spec.cloudCredentialName)"),
            ("h", "c", "will be deleted"),
            ("h", "d", "does not exist or is already being deleted"),
            ("h", "e", "is kept, it is in use:"),
        ]

    def test_skipped_results(self):
        assert removal_plan({"credentials": {"skipped": True}}) == {"node_templates": [], "credentials": [], "rows": []}


def test_drift():
    result = {
        "credentials": [credential("a"), credential("b", "updated", changed_fields=["x", "y"])],
        "node_templates": [node_template("c", "created"), node_template("d", "refused")],
    }
    differences = drift(result, {"credentials": [credential("e")]})
    assert [(row["kind"], row["name"], row["difference"]) for row in object_rows(differences, "h", "drift")] == [
        ("cloud credential", "b", "differs in x, y"),
        ("node template", "c", "is missing"),
        ("node template", "d", "exists, but is declared absent"),
        ("cloud credential", "e", "is not declared"),
    ]


def test_drift_files():
    item = {"name": "x"}
    assert drift_files(
        [
            {"host": "a", "path": "/f", "drift": [item], "failed": False},
            {"host": "b", "path": "/f", "drift": [], "failed": True},
            {"host": "c", "path": "/g", "drift": [], "failed": False},
            {"host": "d", "path": "", "drift": [item], "failed": False},
        ],
        ["a", "b", "c", "d"],
    ) == [
        {"path": "/f", "content": {"drift": [{"host": "a", "name": "x"}], "failed": True}},
        {"path": "/g", "content": {"drift": [], "failed": False}},
    ]


def test_a_host_without_an_outcome_makes_every_drift_file_a_failure():
    outcomes = [{"host": host, "path": f"/{host}", "drift": [], "failed": False} for host in "ab"]
    for hosts, failed in ((["a", "b"], False), (["a", "b", "gone"], True)):
        assert [file["content"]["failed"] for file in drift_files(outcomes, hosts)] == [failed, failed]


class TestConnectionDefaults:
    def test_a_host_that_names_a_server_displaces_everything(self):
        assert connection_defaults({"rancher_context": "prod", "rancher_validate_certs": "no", "other": 1}) == {
            "kubeconfig": None,
            "context": "prod",
            "host": None,
            "api_key": None,
            "ca_cert": None,
            "validate_certs": False,
            "proxy": None,
            "use_environment": False,
        }

    @pytest.mark.parametrize("variables", [{}, {"rancher_host": ""}, {"rancher_kubeconfig": None}], ids=str)
    def test_a_host_that_names_no_server(self, variables):
        assert connection_defaults({**variables, "rancher_proxy": "http://proxy"}) == {"proxy": "http://proxy"}
