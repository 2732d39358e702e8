# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow the guide "Start a repository" with two Ranchers."""

from __future__ import annotations

import json
import shutil

from .guide import Guide, chapters


def test_init(cluster, cluster_215, tmp_path):
    home, folder = tmp_path / "home", tmp_path / "repository"
    (home / ".kube").mkdir(parents=True)
    folder.mkdir()
    for name, each in (("rancher-a", cluster), ("rancher-b", cluster_215)):
        shutil.copy(each.control_plane.kubeconfig, home / ".kube" / f"{name}.yaml")
        each.secret(f"cc-{name}", "digitalocean", {"accessToken": "stored-secret-value"}, f"spaces of {name}")
    environment = {**cluster.environment(), "HOME": str(home), "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False"}
    del environment["K8S_AUTH_KUBECONFIG"]
    guide = Guide(folder, environment, ["stored-secret-value"])
    guide.follow(chapters("init", "Write the repository", "If the playbook refuses"))
    assert (guide.files, guide.shown, len(guide.runs)) == (["ranchers.yml"], 3, 9)
    assert guide.changed("apply.yml --check") == ["0"]
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert {credential["name"] for credential in report["credentials"]} == {
        "spaces of rancher-a", "spaces of rancher-b"}
    vault = (folder / "inventory" / "group_vars" / "all" / "vault.yml").read_text(encoding="utf-8")
    assert vault.startswith("$ANSIBLE_VAULT;")
