# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook init writes, and which variables it refuses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._init_plan import init_plan

TEMPLATES = Path(__file__).parents[2] / "playbooks" / "templates" / "init"
SECRET = "hidden-value"
HOST = {"rancher_host": "https://rancher.example.com"}


def plan(**ranchers):
    return init_plan(ranchers, "/srv/ranchers")


def test_hosts():
    result = plan(
        **{
            "prod": {"rancher_kubeconfig": "~/.kube/prod.yaml", "rancher_context": ""},
            "test.eu": {**HOST, "rancher_validate_certs": False, "rancher_api_key": SECRET},
        }
    )
    assert result["errors"] == []
    assert result["hosts"] == {
        "prod": {
            "rancher_kubeconfig":
                "{{ lookup('ansible.builtin.env', 'RANCHER_PROD_KUBECONFIG', default='~/.kube/prod.yaml') }}",
        },
        "test.eu": {
            **HOST, "rancher_validate_certs": False, "rancher_api_key": "{{ vault_rancher_api_keys['test.eu'] }}",
        },
    }  # fmt: skip
    assert (result["kubeconfigs"], result["api_keys"]) == ({"prod": "RANCHER_PROD_KUBECONFIG"}, ["test.eu"])


def test_files():
    """Each template is written once, and each file is in a folder of the list, after its parent."""
    result = plan(prod=HOST)
    templates = {f"{item['template']}.j2" for item in result["files"]} | {"cloud_credentials.yml.j2"}
    assert templates == {path.name for path in TEMPLATES.iterdir()}
    paths = [item["path"] for item in result["files"] + result["declarations"]]
    assert len(set(paths)) == len(paths)
    folders = result["folders"]
    assert {path.rpartition("/")[0] for path in paths} - {""} <= set(folders)
    assert all(folder.rpartition("/")[0] in {"", *folders[:index]} for index, folder in enumerate(folders))


@dataclass
class Refused:
    """Variables of a Rancher, or all Ranchers, and the end of the only message."""

    name: str
    message: str
    variables: object = None
    ranchers: object = None


REFUSED = [
    Refused("text", "must map the name of each Rancher", ranchers="prod"),
    Refused("nothing", "must map the name of each Rancher", ranchers={}),
    Refused("path as name", "invalid names ('../../etc')", ranchers={"../../etc": HOST}),
    Refused("hidden folder", "invalid names ('.git')", ranchers={".git": HOST}),
    Refused("quote in name", "invalid names (\"a'b\")", ranchers={"a'b": HOST}),
    Refused("line break in name", r"invalid names ('a\n')", ranchers={"a\n": HOST}),
    Refused("number", "invalid names (1)", ranchers={1: HOST}),
    Refused("long name", "invalid names", ranchers={"a" * 64: HOST}),
    Refused("name of a group", "(ranchers): rename", ranchers={"ranchers": HOST}),
    Refused("similar names", "(a-b and A.b): rename", ranchers={"a-b": HOST, "A.b": HOST}),
    Refused("no mapping", "prod must be a mapping", "kubeconfig"),
    Refused("unknown variable", "unknown variables ('kubeconfig')", {"kubeconfig": "/a"}),
    Refused("no server", "does not name a server", {"rancher_api_key": SECRET}),
    Refused("relative path", "rancher_kubeconfig must be an absolute path", {"rancher_kubeconfig": "a.yaml"}),
    Refused("content as text", "is a secret", {"rancher_kubeconfig": f"users:\n- token: {SECRET}\n"}),
    Refused("content", "is a secret", {"rancher_kubeconfig": {"users": [{"token": SECRET}]}}),
    Refused("hidden content", "must be one line", {"rancher_kubeconfig": f"/\n{SECRET}"}),
    Refused("end of the text", "without quotes", {"rancher_kubeconfig": f"/{SECRET}') }}}}"}),
    Refused("template", "without quotes", {**HOST, "rancher_context": f"{{{{ {SECRET} }}}}"}),
    Refused("password in the URL", "user name or password", {"rancher_host": f"https://admin:{SECRET}@rancher"}),
    Refused("password of a proxy", "user name or password", {**HOST, "rancher_proxy": f"me:{SECRET}@proxy:3128"}),
    Refused("type", "rancher_validate_certs", {**HOST, "rancher_validate_certs": SECRET}),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused(case):
    ranchers = {"prod": case.variables} if case.ranchers is None else case.ranchers
    result = init_plan(ranchers, "/srv/ranchers")
    (error,) = result.pop("errors")
    assert case.message in error and error.endswith(".") and SECRET not in error and error.isprintable()
    assert not any(result.values())


@pytest.mark.parametrize("folder", ["", "repository", "./a", "~/a", None, 1, "/a\nb"], ids=repr)
def test_refused_folder(folder):
    (error,) = init_plan({"prod": HOST}, folder)["errors"]
    assert error.startswith("dest must be the absolute path")
