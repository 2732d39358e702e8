# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rights of docs/rbac/upgrade.yaml are enough for upgrade_info, and each that is missing shows in the result."""

from __future__ import annotations

from support.downstream import AWS, A
from support.objects import ALICE, CREATOR, TEMPLATES
from support.rights import documented, granting, single_rights, without

UPGRADE = "ranchhand.rancher.upgrade_info"
MACHINE_TEMPLATES = "/apis/rke-machine.cattle.io/v1/namespaces/fleet-default/amazonec2machinetemplates"


def is_named(right, result):
    """Return whether a result shows that a right is missing, as the comments in docs/rbac/upgrade.yaml describe."""
    _number, _position, group, resource, _verb = right
    if result["failed"]:
        return result["code"] == "forbidden" and resource in result["msg"]
    if resource == "settings":
        return result["version"] == ""
    if resource == "users":
        return [item["owner_name"] for item in result["blockers"]] == [None]
    if group == "cluster.x-k8s.io":
        return result["freed_credentials"] == []
    suffix = f".{group}" if resource == "*" else f"{resource}.{group}"
    return any(name.endswith(suffix) for name in result["references_incomplete"])


def test_each_documented_right_is_needed_and_named_if_it_is_missing(recorded_211):
    """A node template and an old machine template name the credential, which becomes free with the node template."""
    api = recorded_211.api
    recorded_211.secret("cc-a", "amazonec2", AWS, "old")
    api.post(TEMPLATES, {
        "apiVersion": "management.cattle.io/v3", "kind": "NodeTemplate", "amazonec2Config": {"region": "eu-central-1"},
        "metadata": {"name": "nt-old", "annotations": {CREATOR: ALICE}},
        "spec": {"displayName": "workers", "driver": "amazonec2", "cloudCredentialName": A}})
    api.post(MACHINE_TEMPLATES, {
        "apiVersion": "rke-machine.cattle.io/v1", "kind": "Amazonec2MachineTemplate", "metadata": {"name": "old"},
        "spec": {"clusterName": "prod", "template": {"spec": {"common": {"cloudCredentialSecretName": A}}}}})
    roles = documented("upgrade")
    served = {
        (group["name"], resource["name"]) for group in api.get("/apis")["groups"]
        for resource in api.get(f"/apis/{group['preferredVersion']['groupVersion']}")["resources"]
    } | {("", "secrets"), ("rke-machine.cattle.io", "*")}
    rights = [right for right in single_rights(roles) if right[2:4] in served]
    with granting(recorded_211) as grant:
        lacking = [roles, *(without(roles, *right[:2], *right[3:]) for right in rights)]
        kubeconfigs = [grant(f"upgrader-{number}", remaining) for number, remaining in enumerate(lacking)]
        mark = recorded_211.control_plane.audit_mark()
        complete, *results = recorded_211.play(
            *({UPGRADE: {"kubeconfig": kubeconfig}} for kubeconfig in kubeconfigs)).results
        assert recorded_211.writes(mark) == []
    assert not complete["failed"] and complete["version"] and complete["references_incomplete"] == [], complete
    assert [item["owner_name"] for item in complete["blockers"]] == ["alice"]
    assert [item["name"] for item in complete["freed_credentials"]] == ["old"]
    assert len(results) == len(rights) > 14
    silent = [(right[2:], result) for right, result in zip(rights, results) if not is_named(right, result)]
    assert silent == []
