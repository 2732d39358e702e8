# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of the guard. What an API server makes of the expressions is tested in integration/test_guard.py."""

from __future__ import annotations

import datetime
import re

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.times import UTC, format_time
from ansible_collections.ranchhand.rancher.plugins.module_utils._guard.policies import (
    ADMISSION,
    BINDINGS,
    CONFIG_MAPS,
    DELETION_LIST,
    IN_USE,
    POLICIES,
    PROBE,
    corrections,
    deletion_entry,
    entry_run,
    expired_entries,
    former_guard_paths,
    guard_objects,
    guard_paths,
    stale_entries,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.cloud_credential import (
    parse_cloud_credential,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import CREDENTIAL_REFERENCE_FIELDS

NOW = datetime.datetime(2026, 11, 26, 12, tzinfo=UTC)
ALL = guard_objects(True, 60, {"cc-a": "Cluster fleet-default/prod"})
NAMES = (DELETION_LIST, IN_USE)
DELETION = ALL[f"{POLICIES}/{DELETION_LIST}"]["spec"]
WRITTEN = [field for field in CREDENTIAL_REFERENCE_FIELDS if field.written_by_users]


def test_the_paths_that_former_versions_and_administrators_know():
    assert (DELETION_LIST, IN_USE, PROBE) == ("ranchhand-marked-for-deletion", "ranchhand-in-use", "ranchhand-probe")
    assert CONFIG_MAPS == "/api/v1/namespaces/cattle-global-data/configmaps"
    assert ADMISSION == "/apis/admissionregistration.k8s.io/v1"
    assert former_guard_paths() == [
        f"{ADMISSION}/validatingadmissionpolicybindings/ranchhand-condemned",
        f"{ADMISSION}/validatingadmissionpolicies/ranchhand-condemned",
        f"{CONFIG_MAPS}/ranchhand-condemned",
    ]


def test_a_list_is_created_before_its_policy_and_a_binding_is_deleted_first():
    created = [f"{kind}/{name}" for name in NAMES for kind in (CONFIG_MAPS, POLICIES, BINDINGS)]
    assert list(ALL) == created and guard_paths() == created[::-1]
    assert list(guard_objects(False, 60)) == created[:3]


def test_each_object_is_of_the_kind_of_its_path():
    kinds = {
        CONFIG_MAPS: ("v1", "ConfigMap", "cattle-global-data"),
        POLICIES: ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", None),
        BINDINGS: ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", None),
    }
    for path, item in ALL.items():
        collection, _slash, name = path.rpartition("/")
        metadata = item["metadata"]
        assert (item["apiVersion"], item["kind"], metadata.get("namespace")) == kinds[collection]
        assert metadata["name"] == name


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_denies_also_if_its_evaluation_fails(name):
    policy, binding = ALL[f"{POLICIES}/{name}"]["spec"], ALL[f"{BINDINGS}/{name}"]["spec"]
    assert policy["failurePolicy"] == "Fail"
    assert binding["validationActions"] == ["Deny"] and binding["policyName"] == name


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_reads_its_list_and_without_it_denies_nothing(name):
    """With Deny, a list that the API server does not see would stop Rancher (kubernetes/kubernetes#130887).

    A deletion verifies that the API server sees the list, and fails if it does not.
    """
    assert f"{CONFIG_MAPS}/{name}" in ALL
    assert ALL[f"{POLICIES}/{name}"]["spec"]["paramKind"] == {"apiVersion": "v1", "kind": "ConfigMap"}
    assert ALL[f"{BINDINGS}/{name}"]["spec"]["paramRef"] == {
        "name": name, "namespace": "cattle-global-data", "parameterNotFoundAction": "Allow",
    }


def test_an_update_of_the_guard_keeps_the_entries_of_the_deletion_list():
    assert "data" not in ALL[f"{CONFIG_MAPS}/{DELETION_LIST}"]
    assert ALL[f"{CONFIG_MAPS}/{IN_USE}"]["data"] == {"cc-a": "Cluster fleet-default/prod"}
    assert "data" not in guard_objects(True, 60, {})[f"{CONFIG_MAPS}/{IN_USE}"]


def test_the_settle_time_is_an_annotation_of_the_deletion_policys_binding():
    annotations = {name: ALL[f"{BINDINGS}/{name}"]["metadata"]["annotations"] for name in NAMES}
    assert annotations == {DELETION_LIST: {"ranchhand.cattle.io/settle": "60"}, IN_USE: {}}


def test_the_deletion_policy_sees_all_writes_of_resources_that_refer_to_credentials():
    *rules, probe = DELETION["matchConstraints"]["resourceRules"]
    assert {(group, resource) for rule in rules for group in rule["apiGroups"] for resource in rule["resources"]} == {
        (field.group, field.resource or "*") for field in WRITTEN
    }
    for rule in rules:
        assert (rule["apiVersions"], rule["operations"], rule["scope"]) == (["*"], ["CREATE", "UPDATE"], "*")
        assert "resourceNames" not in rule
    assert probe == {
        "apiGroups": [""], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["configmaps"], "scope": "*",
        "resourceNames": ["ranchhand-probe"],
    }


def test_the_in_use_policy_sees_only_deletions_of_secrets_in_the_namespace_of_credentials():
    policy = ALL[f"{POLICIES}/{IN_USE}"]["spec"]
    assert policy["matchConstraints"] == {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "cattle-global-data"}},
        "resourceRules": [{
            "apiGroups": [""], "apiVersions": ["*"], "operations": ["DELETE"], "resources": ["secrets"], "scope": "*",
        }],
    }
    (validation,) = policy["validations"]
    assert "params.?data" in validation["expression"]
    assert "?'ranchhand.cattle.io/allow-delete'" in validation["expression"]
    assert "ranchhand.cattle.io/allow-delete=true" in validation["messageExpression"]


def test_a_variable_of_the_deletion_policy_is_defined_before_it_is_used():
    (validation,) = DELETION["validations"]
    defined = set()
    for expression in (*DELETION["variables"], validation):
        used = re.findall(r"variables\.(\w+)", expression["expression"])
        assert set(used) <= defined
        defined.add(expression.get("name"))
    assert set(re.findall(r"variables\.(\w+)", validation["messageExpression"])) <= defined
    assert validation["expression"] == "size(variables.marked) == 0"


def variable(name):
    return next(item["expression"] for item in DELETION["variables"] if item["name"] == name)


TEXT = "filter(v, type(v) == string && v != '')"
NAME = "object.?spec.?name.orValue('')"
PROVIDER = f"(type({NAME}) == string && {NAME} != '' ? {NAME} : object.metadata.name).lowerAscii()"
PROVIDERS = "object.?spec.?credentials"
POOLS = "object.?spec.?rkeConfig.?machinePools.orValue([])"
HOSTED = ("amazon", "google", "azure", "alibaba")
READ = {
    ("''", "== 'ConfigMap'"): ["[string(object.?data.?credential.orValue(''))]"],
    ("'provisioning.cattle.io'", "== 'Cluster'"): [
        f"[object.?spec.?cloudCredentialSecretName.orValue('')].{TEXT}",
        f"(type({POOLS}) == list ? {POOLS} : []).map(e, e.?cloudCredentialSecretName.orValue(''))"
        ".filter(v, type(v) == string)",
        f"[object.?spec.?rkeConfig.?etcd.?s3.?cloudCredentialName.orValue('')].{TEXT}",
    ],
    ("'rke-machine.cattle.io'", ".endsWith('MachineTemplate')"): [
        f"[object.?spec.?template.?spec.?common.?cloudCredentialSecretName.orValue('')].{TEXT}",
    ],
    ("'turtles-capi.cattle.io'", "== 'CAPIProvider'"): [
        f"[{PROVIDERS}.?rancherCloudCredential.orValue('')].{TEXT}.map(v, '\\n' + {PROVIDER} + '/' + v)",
        f"[{PROVIDERS}.?rancherCloudCredentialNamespaceName.orValue('')].{TEXT}",
    ],
    ("'infrastructure.cluster.x-k8s.io'", "== 'AWSClusterStaticIdentity'"): [
        f"[object.?spec.?secretRef.orValue('')].{TEXT}.map(v, ':' + v)",
    ],
    ("'management.cattle.io'", "== 'Cluster'"): [
        f"[object.?spec.?{operator}Config.?{provider}CredentialSecret.orValue('')].{TEXT}"
        for operator, provider in zip(("eks", "gke", "aks", "ali"), HOSTED)
    ],
}


@pytest.mark.parametrize("group, kind", READ)
def test_the_deletion_policy_reads_a_field_in_the_form_in_which_it_refers(group, kind):
    separator = "" if kind.startswith(".") else " "
    lists = READ[group, kind]
    part = f"request.kind.group == {group} && request.kind.kind{separator}{kind} ? ({' + '.join(lists)}) : "
    assert part in variable("refs") and part.replace("object.", "oldObject.") in variable("before")


def test_the_deletion_policy_reads_no_copies_that_only_controllers_write():
    for field in CREDENTIAL_REFERENCE_FIELDS:
        steps = field.field.partition("[].")[0].split(".")
        assert ("object.?" + ".?".join(steps) + ".orValue" in variable("refs")) == field.written_by_users, field


LIST = f"{CONFIG_MAPS}/{DELETION_LIST}"
USERS = f"{CONFIG_MAPS}/{IN_USE}"
BINDING = f"{BINDINGS}/{DELETION_LIST}"


@pytest.mark.parametrize(("path", "stored", "patch"), [
    pytest.param(LIST, None, None, id="a list that does not exist"),
    pytest.param(LIST, {"data": None}, None, id="an empty list"),
    pytest.param(LIST, {"data": {"cc-kept": "x", "cc-old": "y"}}, {"data": {"cc-old": None}}, id="an old entry"),
    pytest.param(USERS, {"data": {"cc-a": "x", "cc-b": "y"}}, {"data": {"cc-b": None}}, id="a user that is gone"),
    pytest.param(USERS, {"data": {"cc-a": "x"}}, None, id="the same users"),
    pytest.param(BINDING, None, None, id="a binding that does not exist"),
    pytest.param(BINDING, {"spec": {"validationActions": ["Deny"]}}, None, id="a binding that denies"),
    pytest.param(
        BINDING, {"spec": {"validationActions": ["Deny", "Audit"]}}, {"spec": {"validationActions": ["Deny"]}},
        id="another action",
    ),
    pytest.param(BINDING, {"spec": None}, {"spec": {"validationActions": ["Deny"]}}, id="no specification"),
    pytest.param(f"{POLICIES}/{IN_USE}", {"spec": {}}, None, id="a policy, which an apply replaces"),
])
def test_entries_of_other_clients_that_an_apply_keeps_are_removed(path, stored, patch):
    found = corrections(ALL, {**dict.fromkeys(ALL), path: stored}, ["cc-kept"])
    assert found == ({} if patch is None else {path: patch})


def credential(driver="amazonec2", name="aws prod"):
    return parse_cloud_credential({
        "metadata": {"name": "cc-a", "uid": "u", "resourceVersion": "1", "annotations": {"field.cattle.io/name": name}},
        "data": {f"{driver}credentialConfig-x": "eA=="},
    })


@pytest.mark.parametrize(("driver", "provider"), [("amazonec2", "aws"), ("azure", "azure"), ("google", "gcp")])
def test_an_entry_ends_in_the_display_name_by_which_turtles_refers(driver, provider):
    entry = deletion_entry("2026-11-26T12:00:00Z", "some-run", credential(driver))
    assert entry == f"2026-11-26T12:00:00Z some-run {provider}/aws prod"
    assert entry_run(entry) == "some-run"


@pytest.mark.parametrize("entry", ["", "2026-11-26T12:00:00Z"])
def test_an_entry_of_another_client_belongs_to_no_run(entry):
    assert entry_run(entry) == ""


def entries(**ages):
    return {name: f"{format_time(NOW - datetime.timedelta(minutes=age))} run aws/x" for name, age in ages.items()}


def test_the_name_of_a_deleted_credential_is_kept_for_a_day():
    listed = {**entries(fresh=0, day=24 * 60, over=24 * 60 + 1), "unreadable": "x"}
    assert expired_entries(listed, NOW) == {"over", "unreadable"}


def test_an_entry_is_stale_after_a_quarter_of_an_hour_if_its_credential_is_kept():
    listed = {**entries(fresh=0, quarter=15, over=16, deleted=16), "an unreadable one": "x"}
    assert stale_entries(listed, set(listed) - {"deleted"}, NOW) == ["an unreadable one", "over"]
