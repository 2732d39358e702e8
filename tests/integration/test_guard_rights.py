# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles in docs/rbac that the guard, and deletions with the guard, require: complete, and each right is needed.

The cores of the modules run in this process.
"""

from __future__ import annotations

import time

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._guard.module import GUARD, manage_guard
from ansible_collections.ranchhand.rancher.plugins.module_utils._guard.policies import (
    BINDINGS,
    CONFIG_MAPS,
    DELETION_LIST,
    FORMER_DELETION_LIST,
    POLICIES,
    guard_objects,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.cloud_credential import (
    CLOUD_CREDENTIAL,
    manage_cloud_credentials,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.execute import RunMode, execute

from control_plane import ApiError
from support.cluster import SECRETS
from support.guard import NAMES, keep_watching, remove_guard
from support.rights import MANAGE, credential_roles, documented, single_rights, without

MARKS = {"ranchhand.cattle.io/marked-for-deletion": "2026-01-01T00:00:00Z killed"}


@pytest.fixture
def guarded(cluster):
    keep_watching(cluster)
    yield cluster
    remove_guard(cluster)


def manage(core, spec, kubeconfig, **options):
    """Return the result of a task with these options and this connection."""
    return {"code": None, **execute(core, parse_options(spec, {**options, "kubeconfig": str(kubeconfig)}), RunMode())}


def guard(kubeconfig, **options):
    return manage(manage_guard, GUARD, kubeconfig, **{"settle": "0s", **options})


def delete(kubeconfig, name):
    return manage(manage_cloud_credentials, CLOUD_CREDENTIAL, kubeconfig, id=name, state="absent")


def lacking(grant, roles):
    """Return each right of the roles as resource and verb, with the kubeconfig of a user that has all others."""
    users = []
    for number, position, _group, resource, verb in single_rights(roles):
        name = f"{roles[0]['metadata']['name']}-lacks-{len(users)}"
        users.append((resource, verb, grant(name, without(roles, number, position, resource, verb))))
    time.sleep(1)  # until the API server has read the roles
    return users


def everything_the_role_does(cluster, kubeconfig):
    """Install, repair, update and remove the guard; return the results."""
    cluster.api.patch(f"{SECRETS}/cc-killed", {"metadata": {"annotations": MARKS}})
    former_path = f"{CONFIG_MAPS}/{FORMER_DELETION_LIST}"
    former = {**guard_objects(False, 0)[NAMES], "metadata": {"name": FORMER_DELETION_LIST}}
    try:
        cluster.api.post(CONFIG_MAPS, former)
    except ApiError as error:
        assert error.status == 409
    results = [guard(kubeconfig), guard(kubeconfig, settle="1s")]
    if results[-1]["code"] is None:
        cluster.api.patch(f"{BINDINGS}/{DELETION_LIST}", {"spec": {"validationActions": ["Warn"]}})
        rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
        cluster.api.patch(f"{POLICIES}/{DELETION_LIST}", {"spec": {"matchConstraints": {"resourceRules": rules}}})
        results.append(guard(kubeconfig))
    results.append(guard(kubeconfig, state="absent"))
    remove_guard(cluster)
    return results, former_path


def test_the_documented_rights_of_the_guard_are_sufficient(guarded, grant):
    roles, (_list, references) = documented("guard"), documented("references")
    kubeconfig, protecting = grant("guard-only", roles), grant("guard-protects", [*roles, references])
    guarded.secret("cc-killed")
    time.sleep(1)
    results, former_path = everything_the_role_does(guarded, kubeconfig)
    assert len(results) == 4 and not [item for item in results if item["code"]], results
    assert all(item["changed"] for item in results)
    with pytest.raises(ApiError, match="not found"):
        guarded.api.get(former_path)
    assert not set(MARKS) & set(guarded.stored("cc-killed")["metadata"]["annotations"])
    refused = guard(kubeconfig, protect_in_use=True)
    assert refused["code"] == "forbidden" and "ranchhand-references" in refused["msg"], refused
    protects = guard(protecting, protect_in_use=True), guard(protecting, state="absent")
    assert [item["code"] for item in protects] == [None, None], protects


def test_each_right_of_the_guard_is_needed(guarded, grant, subtests):
    guarded.secret("cc-killed")
    users = lacking(grant, documented("guard"))
    assert len(users) > 12
    for resource, verb, kubeconfig in users:
        with subtests.test(f"{verb} {resource}"):
            results, _path = everything_the_role_does(guarded, kubeconfig)
            refused = [item for item in results if item["code"]]
            assert refused and {item["code"] for item in refused} == {"forbidden"}, results
            assert resource in refused[0]["msg"], results


@pytest.mark.parametrize("installed", [True, False])
def test_the_documented_rights_suffice_to_delete(guarded, grant, installed):
    if installed:
        guarded_by_admin(guarded)
    guarded.secret("cc-one")
    result = delete(grant(f"deletes-{installed}", credential_roles(MANAGE)), "cc-one")
    assert result["code"] is None and result["changed"] and "warnings" not in result, result
    assert ("cc-one" in (guarded.api.get(NAMES)["data"] if installed else {})) is installed


def test_each_right_of_the_guard_in_a_deletion_is_needed(guarded, grant, subtests):
    """Of both documents. Nothing is deleted without one of them, except that a missing binding is a warning."""
    guarded_by_admin(guarded)
    guarded.secret("cc-one")
    manage_role = credential_roles(MANAGE)
    references_role = [documented("references")[0], {**documented("references")[1]}]
    own = {"kind": "Role", "metadata": {"name": "own", "namespace": "cattle-global-data"}, "rules": [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["cc-one"],
         "verbs": ["get", "patch", "delete"]}]}
    for roles, more in ((manage_role, []), (references_role, [own])):
        name = roles[0]["metadata"]["name"]
        for count, (number, position, _group, resource, verb) in enumerate(single_rights(roles)):
            if resource not in ("configmaps", "validatingadmissionpolicybindings"):
                continue
            kubeconfig = grant(f"{name}-lacks-{count}", [*without(roles, number, position, resource, verb), *more])
            time.sleep(0.5)
            with subtests.test(f"{name}: {verb} {resource}"):
                result = delete(kubeconfig, "cc-one")
                if resource == "validatingadmissionpolicybindings":
                    assert "deletes without the guard" in result["warnings"][0], result
                    guarded.secret("cc-one")
                    continue
                assert result["code"] == "forbidden" and f"{resource}" in result["msg"], result
                assert "docs/rbac/references.yaml" in result["msg"] and result["changed"] is False
                assert not set(MARKS) & set(guarded.stored("cc-one")["metadata"]["annotations"])


def test_the_documents_contain_the_same_kinds(subtests):
    """Kinds that can refer to a credential, in each document that lists them. The report reads machine configs, too."""
    def listed(role):
        groups = {group for rule in role["rules"] for group in rule["apiGroups"]} - {"", "batch"}
        return {
            (group, resource) for rule in role["rules"] if "list" in rule["verbs"] for group in rule["apiGroups"]
            for resource in rule["resources"] if group in groups and resource not in ("dynamicschemas", "users")
        }

    expected = listed(documented("references")[1])
    assert len(expected) > 12
    for name, role in (("cloud-credentials", credential_roles(MANAGE)[1]), ("report", documented("report")[-1])):
        with subtests.test(name):
            assert listed(role) - {("rke-machine-config.cattle.io", "*")} == expected


def guarded_by_admin(cluster):
    result = guard(cluster.control_plane.kubeconfig)
    assert result["code"] is None, result
