# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of a repoint, what it refuses, and when Rancher has taken it over."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError, ValidationErrors
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.cloud_credential import parse_cloud_credential
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import Reference, ReferenceIndex
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.writers import find_other_writer
from ansible_collections.ranchhand.rancher.plugins.module_utils._repoint.arrival import machine_outstanding, outstanding
from ansible_collections.ranchhand.rancher.plugins.module_utils._repoint.objects import (
    LAST_REFRESH,
    ControlPlane,
    Copies,
    LiveTemplate,
    OperatorConfig,
    is_rolling,
    parse_hosted_cluster,
    parse_live_template,
    parse_machine,
    parse_provisioning_cluster,
    plan_problem,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._repoint.options import REPOINT, parse_request
from ansible_collections.ranchhand.rancher.plugins.module_utils._repoint.planning import (
    Observed,
    check_credentials,
    cluster_patch,
    machine_patch,
    moved_fields,
    plan_repoint,
    select_users,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._repoint.report import Progress, build_result
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.execute import RunMode
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._repoint_rows import repoint_rows

A, B, C = (f"cattle-global-data:cc-{name}" for name in "abc")
BOTH = ["cluster", "pools"]


def credential(name, driver="amazonec2", owner="u-1", **fields):
    data = fields or {"accessKey": f"AK-{name}", "secretKey": f"secret-{name}"}
    return parse_cloud_credential({
        "metadata": {
            "name": name, "uid": f"uid-{name}", "resourceVersion": "1",
            "annotations": {"field.cattle.io/name": name, "field.cattle.io/creatorId": owner},
        },
        "data": {
            f"{driver}credentialConfig-{key}": base64.b64encode(value.encode()).decode()
            for key, value in data.items()
        },
    })


def pool(name="workers", own=None, kind="Amazonec2Config", config="web"):
    entry = {"name": name, "machineConfigRef": {"kind": kind, "name": config}}
    return {**entry, "cloudCredentialSecretName": own} if own else entry


def cluster(name="prod", own=A, pools=None, s3=None, ready="True", **metadata):
    spec = {"rkeConfig": {"machinePools": [pool()] if pools is None else pools}}
    if own:
        spec["cloudCredentialSecretName"] = own
    if s3:
        spec["rkeConfig"]["etcd"] = {"s3": s3}
    return parse_provisioning_cluster({
        "metadata": {
            "namespace": "fleet-default", "name": name, "uid": f"uid-{name}", "resourceVersion": "7", **metadata,
        },
        "spec": spec,
        "status": {"conditions": [{"type": "RKECluster", "status": ready, "message": "a reason"}]},
    })


def hosted(name="c-abcde", value=A, applied=A, upstream=A, message="", **metadata):
    return parse_hosted_cluster({
        "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "7", **metadata},
        "spec": {"displayName": "shop", "eksConfig": {"amazonCredentialSecret": value}},
        "status": {
            "appliedSpec": {"eksConfig": {"amazonCredentialSecret": applied}},
            "eksStatus": {"upstreamSpec": {"amazonCredentialSecret": upstream}},
            "conditions": [{"type": "Updated", "status": "True", "message": message}],
        },
    })


def machine(name="m-1", own=A, confirmed=A, in_cluster="prod", deleting=False):
    metadata = {
        "namespace": "fleet-default", "name": name, "uid": f"uid-{name}", "resourceVersion": "3",
        "labels": {"cluster.x-k8s.io/cluster-name": in_cluster},
    }
    if deleting:
        metadata["deletionTimestamp"] = "2026-11-25T00:00:00Z"
    return parse_machine("Amazonec2Machine", {
        "metadata": metadata, "spec": {"common": {"cloudCredentialSecretName": own}},
        "status": {"cloudCredentialSecretName": confirmed},
    })


def observed(*users, machines=(), source=None, target=None, **more):
    more.setdefault("configs", {("fleet-default", "Amazonec2Config", "web"): {}})
    return Observed(
        A, credential("cc-a") if source is None else source, target or credential("cc-b"), users, tuple(machines),
        **more)


def request(**options):
    options = {"from": "cc-a", "to": "cc-b", **options}
    return parse_request(parse_options(REPOINT, options))


def only(plans):
    (plan,) = plans
    return plan


# Parsing


def test_the_fields_of_a_cluster_with_their_pointers():
    found = cluster(pools=[pool("one"), pool("two", own=B)], s3={"cloudCredentialName": C})
    assert [(item.scope, item.pointer, item.value, item.pool) for item in found.fields] == [
        ("cluster", "/spec/cloudCredentialSecretName", A, None),
        ("pools", "/spec/rkeConfig/machinePools/1/cloudCredentialSecretName", B, "two"),
        ("s3", "/spec/rkeConfig/etcd/s3/cloudCredentialName", C, None),
    ]
    assert [item.credential for item in found.pools] == [A, B]


@pytest.mark.parametrize("spec", [
    pytest.param(None, id="none"), pytest.param("text", id="text"), pytest.param({"rkeConfig": None}, id="imported"),
    pytest.param({"rkeConfig": {"machinePools": ["text", None], "etcd": []}}, id="hostile"),
    pytest.param({"rkeConfig": {"machinePools": {"a": 1}, "etcd": {"s3": "text"}}}, id="wrong types"),
])
def test_clusters_without_credentials_have_no_fields(spec):
    metadata = {"namespace": "n", "name": "c", "uid": "u", "resourceVersion": "1"}
    found = parse_provisioning_cluster({"metadata": metadata, "spec": spec})
    assert found is None or found.fields == ()


def test_an_external_template_is_no_machine_config():
    entry = pool(own=A)
    entry["machineConfigRef"]["apiVersion"] = "infrastructure.cluster.x-k8s.io/v1beta2"
    assert cluster(pools=[entry]).pools == ()


# Options


@dataclass
class Invalid:
    id: str
    options: dict
    message: str


@pytest.mark.parametrize("case", [
    Invalid("empty from", {"from": " "}, "from must not be empty"),
    Invalid("scope", {"scope": ["nodes"]}, "scope must contain only"),
    Invalid("no scope", {"scope": []}, "scope must not be empty"),
    Invalid("gate", {"override_gates": ["all"]}, "override_gates must contain only"),
    Invalid("cluster", {"clusters": [""]}, "clusters must contain names"),
], ids=lambda case: case.id)
def test_invalid_options(case):
    with pytest.raises(ValidationErrors, match=case.message):
        request(**case.options)


# Credentials


@dataclass
class Unsuitable:
    id: str
    source: object
    target: object
    code: str
    message: str


SHARED = {"kubeconfigContent": "token", "clusterType": "imported"}


@pytest.mark.parametrize("case", [
    Unsuitable("same", credential("cc-a"), credential("cc-a"), "invalid", "are the same"),
    Unsuitable("driver", credential("cc-a"), credential("cc-b", "azure"), "invalid", "drivers differ"),
    Unsuitable("owner", credential("cc-a"), credential("cc-b", owner="u-2"), "invalid", "override_gates"),
    Unsuitable("broken", credential("cc-a"), credential("cc-b", owner=""), "invalid", "has no annotation"),
    Unsuitable("gone", None, credential("cc-b"), "not_found", "repair: true"),
    Unsuitable(
        "harvester", credential("cc-a", "harvester", **SHARED), credential("cc-b", "harvester", **SHARED), "invalid",
        "same Harvester token"),
    Unsuitable("gone to", credential("cc-a"), None, "conflict", "was deleted by another client"),
    Unsuitable(
        "deleted", credential("cc-a"), replace(credential("cc-b"), deleting=True), "conflict", "is being deleted"),
], ids=lambda case: case.id)
def test_credentials_that_cannot_be_used(case):
    with pytest.raises(RanchhandError, match=case.message) as caught:
        target = case.target or credential("cc-b")
        check_credentials(request(), Observed(A, case.source, target, target_gone=case.target is None))
    assert caught.value.code == case.code and "secret-" not in caught.value.message


def test_another_owner_and_a_missing_credential_can_be_accepted():
    check_credentials(request(override_gates=["owner"]), observed(target=credential("cc-b", owner="u-2")))
    check_credentials(request(repair=True), Observed(A, None, credential("cc-b")))


# Selection


@pytest.mark.parametrize("name", ["fleet-default/prod", "prod", "c-abcde", "shop"])
def test_clusters_are_found_by_name_and_id(name):
    assert len(select_users(request(clusters=[name]), [cluster(), hosted()])) == 1


def test_unknown_and_ambiguous_clusters_stop_everything():
    twin = replace(cluster(), namespace="other")
    with pytest.raises(RanchhandError, match="no cluster x, y") as caught:
        plan_repoint(request(clusters=["x", "prod", "y"]), observed(cluster()))
    assert caught.value.code == "not_found"
    with pytest.raises(RanchhandError, match="fleet-default/prod, other/prod") as caught:
        plan_repoint(request(clusters=["prod"]), observed(cluster(), twin))
    assert caught.value.code == "ambiguous"


def test_an_id_wins_over_the_display_name_of_another_cluster():
    named_like_it = replace(hosted("c-other"), display_name="c-abcde")
    (found,) = select_users(request(clusters=["c-abcde"]), [named_like_it, hosted()])
    assert found.name == "c-abcde"


# Plans


def test_a_plan_moves_what_is_in_scope_only():
    user = cluster(pools=[pool(own=A)], s3={"cloudCredentialName": A})
    plan = only(plan_repoint(request(), observed(user, machines=[machine()])))
    assert [item.scope for item in plan.fields] == BOTH and not plan.machines and not plan.restarts
    plan = only(plan_repoint(request(scope=["s3", "machines"]), observed(user, machines=[machine()])))
    assert [item.scope for item in plan.fields] == ["s3"] and [item.name for item in plan.machines] == ["m-1"]
    assert plan.restarts


def test_what_names_another_credential_is_left():
    assert plan_repoint(request(), observed(cluster(own=C), hosted(value=C), machines=[machine(own=C)])) == []
    assert plan_repoint(request(), observed(cluster(own="other:cc-a"))) == []


def test_the_same_values_do_not_restart_etcd():
    same = {"accessKey": "AK", "secretKey": "s"}
    state = observed(
        cluster(s3={"cloudCredentialName": A}), source=credential("cc-a", **same), target=credential("cc-b", **same))
    assert not only(plan_repoint(request(scope=["s3"]), state)).restarts


def test_the_patch_tests_everything_that_was_checked():
    user = cluster(pools=[pool("one"), pool("two", own=A)])
    plan = only(plan_repoint(request(), observed(user)))
    assert cluster_patch(plan, B) == [
        {"op": "test", "path": "/metadata/uid", "value": "uid-prod"},
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "test", "path": "/spec/cloudCredentialSecretName", "value": A},
        {"op": "test", "path": "/spec/rkeConfig/machinePools/1/cloudCredentialSecretName", "value": A},
        {"op": "test", "path": "/spec/rkeConfig/machinePools/1/name", "value": "two"},
        {"op": "test", "path": "/spec/rkeConfig/machinePools/1/machineConfigRef/kind", "value": "Amazonec2Config"},
        {"op": "test", "path": "/spec/rkeConfig/machinePools/1/machineConfigRef/name", "value": "web"},
        {"op": "replace", "path": "/spec/cloudCredentialSecretName", "value": B},
        {"op": "replace", "path": "/spec/rkeConfig/machinePools/1/cloudCredentialSecretName", "value": B},
    ]
    assert machine_patch(machine(), B) == {
        "metadata": {"uid": "uid-m-1", "resourceVersion": "3"},
        "spec": {"common": {"cloudCredentialSecretName": B}},
    }


def test_the_patch_of_a_hosted_cluster_makes_rancher_read_it_again():
    plan = only(plan_repoint(request(), observed(hosted(annotations={LAST_REFRESH: "1"}))))
    path = "/metadata/annotations/clusters.management.cattle.io~1ke-last-refresh"
    assert cluster_patch(plan, B)[-1] == {"op": "remove", "path": path}
    plan = only(plan_repoint(request(), observed(hosted())))
    assert cluster_patch(plan, B)[-1]["op"] == "replace"


@dataclass
class Refused:
    id: str
    users: list
    code: str
    message: str
    options: dict = None
    more: dict = None
    gate: str = ""


AZURE = {"clientId": "id-a", "tenantId": "t"}
OTHER = {"clientId": "id-b", "tenantId": "t"}
AZURE_POOLS = [pool(kind="AzureConfig", config="az")]
MANAGED = {"managedFields": [{"manager": "terraform-provider-rancher2", "fieldsV1": {"f:spec": {}}}]}
S3_CLUSTER = cluster(own=None, s3={"cloudCredentialName": A, "bucket": "b"})
PROD = ("fleet-default", "prod")
REFUSED = [
    Refused("terraform", [cluster(**MANAGED)], "other_writer", "terraform", gate="other_writer"),
    Refused(
        "helm", [hosted(labels={"app.kubernetes.io/managed-by": "Helm"})], "other_writer", "Helm",
        gate="other_writer"),
    Refused(
        "fleet", [cluster(annotations={"objectset.rio.cattle.io/id": "x"})], "other_writer", "objectset",
        gate="other_writer"),
    Refused("jobs", [cluster()], "busy", "Jobs are running", more={"jobs": {PROD: ("j",)}}, gate="machine_jobs"),
    Refused(
        "rolling", [cluster()], "busy", "being replaced", more={"rolling": {PROD: ("d",)}}, gate="machine_jobs"),
    Refused("no config", [cluster()], "invalid", "does not exist", more={"configs": {}}),
    Refused("other driver", [cluster(pools=AZURE_POOLS)], "invalid", "another driver"),
    Refused(
        "hides", [cluster(pools=AZURE_POOLS)], "invalid", "clientId in AzureConfig",
        more={
            "source": credential("cc-a", "azure", **AZURE), "target": credential("cc-b", "azure", **OTHER),
            "configs": {("fleet-default", "AzureConfig", "az"): {"clientId": "id-a", "tenantId": "t"}},
        }),
    Refused(
        "bucket", [S3_CLUSTER], "invalid", "defaultRegion of", {"scope": ["s3"]},
        {"source": credential("cc-a", "s3", accessKey="a", defaultRegion="x", defaultBucket="1"),
         "target": credential("cc-b", "s3", accessKey="b", defaultRegion="y", defaultBucket="2")}),
    Refused(
        "tenant", [cluster(own=B)], "invalid", "tenantId", {"scope": ["machines"]},
        {"source": credential("cc-a", "azure", clientId="i", tenantId="1"), "machines": [machine()],
         "target": credential("cc-b", "azure", clientId="i", tenantId="2")}),
    Refused(
        "hosted", [hosted()], "invalid", "EKS needs a credential of driver amazonec2",
        more={"source": credential("cc-a", "s3"), "target": credential("cc-b", "s3")}),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_what_is_refused(case):
    state = observed(*case.users, **(case.more or {}))
    plan = only(plan_repoint(request(**(case.options or {})), state))
    assert plan.error.code == case.code and case.message in plan.error.message, plan.error.message
    assert "secret" not in plan.error.message and "id-a" not in plan.error.message
    if case.gate:
        assert only(plan_repoint(request(override_gates=[case.gate]), state)).error is None


def test_a_config_with_the_values_of_the_other_credential_is_allowed():
    state = observed(
        cluster(pools=AZURE_POOLS), source=credential("cc-a", "azure", **AZURE),
        target=credential("cc-b", "azure", **OTHER), configs={("fleet-default", "AzureConfig", "az"): OTHER})
    assert only(plan_repoint(request(), state)).error is None


USES_ONLY_TENANT = {"dynamicSchemaSpec": '{"resourceFields": {"tenantId": {}}}'}


def test_fields_that_a_pool_ignores_do_not_hide_the_credential():
    entry = {**AZURE_POOLS[0], **USES_ONLY_TENANT}
    state = observed(
        cluster(pools=[entry]), source=credential("cc-a", "azure", **AZURE),
        target=credential("cc-b", "azure", **OTHER), configs={("fleet-default", "AzureConfig", "az"): AZURE})
    assert only(plan_repoint(request(), state)).error is None


@pytest.mark.parametrize("change, same", [
    pytest.param({"quantity": 0}, True, id="scaled-to-zero"),
    pytest.param(USES_ONLY_TENANT, False, id="other-fields-used"),
])
def test_a_change_needs_another_plan_only_if_a_check_depends_on_it(change, same):
    entry = {**AZURE_POOLS[0], "quantity": 1}
    before, after = cluster(pools=[entry]), cluster(pools=[{**entry, **change}])
    assert before.pools != after.pools
    assert before.same_except_version(after) is same


def test_a_refusal_concerns_its_own_cluster_only():
    state = observed(cluster("one", **MANAGED), cluster("two"))
    assert [plan.error and plan.error.code for plan in plan_repoint(request(), state)] == ["other_writer", None]


def test_a_refusal_names_the_cluster_and_all_values_that_differ():
    state = observed(
        cluster(own=None, s3={"cloudCredentialName": A}),
        source=credential("cc-a", "s3", accessKey="a", defaultRegion="x", defaultBucket="1", defaultFolder="f"),
        target=credential("cc-b", "s3", accessKey="b", defaultRegion="y", defaultBucket="2", defaultFolder="f"))
    plan = only(plan_repoint(request(scope=["s3"]), state))
    assert plan.error.message.startswith(
        f"cannot repoint cluster fleet-default/prod: defaultBucket, defaultRegion of {A} and {B} differ")
    assert not plan.busy


@pytest.mark.parametrize(("driver", "name", "refused"), [
    ("azure", "tenantId", True), ("vmwarevsphere", "vcenterPort", True), ("azure", "environment", False),
    ("vmwarevsphere", "tenantId", False),
])
def test_fields_that_a_driver_does_not_read_again(driver, name, refused):
    source, target = (credential(of, driver, **{name: of}) for of in ("cc-a", "cc-b"))
    state = observed(cluster(own=B), machines=[machine()], source=source, target=target)
    plan = only(plan_repoint(request(scope=["machines"]), state))
    assert (plan.error is not None) is refused
    assert not refused or f"{name} of {A} and {B} differs" in plan.error.message


def test_fields_that_a_machine_keeps_matter_only_if_machines_are_moved():
    state = observed(
        cluster(pools=[]), source=credential("cc-a", "azure", clientId="i", tenantId="1"),
        target=credential("cc-b", "azure", clientId="i", tenantId="2"))
    assert only(plan_repoint(request(), state)).error is None


def test_a_pool_without_a_name_is_checked_too():
    entry = pool(own=A, kind="AzureConfig", config="az")
    del entry["name"]
    plan = only(plan_repoint(request(), observed(cluster(own=None, pools=[entry]))))
    assert plan.error.code == "invalid" and "needs a credential of another driver" in plan.error.message


def test_a_pool_with_its_own_credential_does_not_get_that_of_the_cluster():
    pools = [pool("one", own=C, kind="AzureConfig", config="az")]
    assert only(plan_repoint(request(), observed(cluster(pools=pools)))).error is None


def test_only_machines_of_selected_clusters_are_moved():
    machines = [machine("m-1"), machine("m-2", in_cluster="test"), machine("m-3", in_cluster="gone")]
    state = observed(cluster("prod", own=B), cluster("test", own=B), machines=machines)
    for selected, expected in (
        (None, ["fleet-default/gone", "fleet-default/prod", "fleet-default/test"]),
        (["test"], ["fleet-default/test"]),
        (["fleet-default/gone", "prod"], ["fleet-default/gone", "fleet-default/prod"]),
        (["prod", "fleet-default/prod"], ["fleet-default/prod"]),
    ):
        plans = plan_repoint(request(scope=["machines"], clusters=selected), state)
        assert [(plan.label, len(plan.machines)) for plan in plans] == [(label, 1) for label in expected]
    assert plan_repoint(request(scope=["cluster"]), state) == []


def test_machines_that_name_another_credential_or_are_not_in_scope_are_left():
    state = observed(cluster(own=B), machines=[machine(own=B), machine("m-2", deleting=True)])
    assert plan_repoint(request(repair=True), state) == []
    assert [item.name for item in only(plan_repoint(request(scope=["machines"]), state)).machines] == ["m-2"]


def test_fields_are_moved_if_the_same_cluster_names_the_other_credential():
    before = cluster(pools=[pool("one", own=A), pool("two", own=A)])
    plan = only(plan_repoint(request(), observed(before)))
    after = cluster(own=B, pools=[pool("one", own=B), pool("two", own=C)])
    assert [item.pool for item in moved_fields(plan, before, after, B)] == [None, "one"]
    assert moved_fields(plan, before, replace(after, uid="recreated"), B) == ()


def test_jobs_are_named_and_make_a_cluster_busy():
    state = observed(cluster(), jobs={PROD: ("j-2", "j-1")}, rolling={PROD: ("d",)})
    plan = only(plan_repoint(request(), state))
    assert plan.busy and "machine Jobs are running (j-1, j-2)" in plan.error.message
    moved = observed(cluster(own=B), machines=[machine()], rolling={PROD: ("d",)})
    assert only(plan_repoint(request(scope=["machines"]), moved)).error is None


def test_a_cluster_that_is_gone_has_no_patch():
    orphan = observed(machines=[machine(in_cluster="gone")])
    with pytest.raises(ValueError, match="no cluster"):
        cluster_patch(only(plan_repoint(request(scope=["machines"]), orphan)), B)


def test_repair_reaches_machines_whose_deletion_hangs():
    machines = [machine("gone", deleting=True), machine("kept"), machine("orphan", in_cluster="x", deleting=True)]
    state = replace(observed(cluster(own=B), machines=machines), source=None)
    plans = plan_repoint(request(repair=True), state)
    assert [[item.name for item in plan.machines] for plan in plans] == [["gone"], ["orphan"]]
    assert plan_repoint(request(), state) == []


# Arrival


def copies(template=A, **more):
    live = (LiveTemplate("fleet-default", "prod", "workers", "Amazonec2MachineTemplate", "t"),)
    return Copies(live, {("fleet-default", "Amazonec2MachineTemplate", "t"): template}, **more)


@dataclass
class Arrival:
    id: str
    user: object
    copies: object
    moved: str  # what a run that has moved the cluster waits for, "" for nothing
    later: str  # what the next run waits for


EKS, UPDATING = OperatorConfig(B, "active", ""), OperatorConfig(B, "updating", "f")
PLANE = ControlPlane(B, B, True, True, "")
S3_MOVED = cluster(own=None, s3={"cloudCredentialName": B})
TEMPLATE = "Amazonec2MachineTemplate fleet-default/t of pool workers"
ARRIVALS = [
    Arrival("template", cluster(own=B), copies(), TEMPLATE, TEMPLATE),
    Arrival("taken over", cluster(own=B), copies(B), "", ""),
    Arrival("new template", cluster(own=B), replace(copies(), templates={}), TEMPLATE, ""),
    Arrival("not ready", cluster(own=B, ready="False"), copies(B), "RKECluster", ""),
    Arrival("other pool", cluster(own=A, pools=[pool("one", own=B), pool()]), copies(), "", ""),
    Arrival("no control plane", S3_MOVED, copies(control_planes={}), "RKEControlPlane", ""),
    Arrival("s3 not in scope", S3_MOVED, copies(), "", ""),
    Arrival("s3", S3_MOVED, copies(control_planes={PROD: PLANE}), "", ""),
    Arrival(
        "s3 not applied", S3_MOVED, copies(control_planes={PROD: PLANE._replace(applied=A)}), "to apply it",
        "to apply it"),
    Arrival(
        "s3 not ready", S3_MOVED, copies(control_planes={PROD: PLANE._replace(ready=False, message="m")}), "ready (m)",
        ""),
    Arrival("s3 plan", S3_MOVED, copies(control_planes={PROD: PLANE}, plans={PROD: ("p",)}), "nodes of etcd", ""),
    Arrival("hosted", hosted(value=B, applied=B, upstream=B), copies(operators={"c-abcde": EKS}), "", ""),
    Arrival("no operator", hosted(value=B), copies(), "eksclusterconfigs", "eksclusterconfigs"),
    Arrival(
        "phase", hosted(value=B, applied=B, upstream=B), copies(operators={"c-abcde": UPDATING}),
        "phase updating) (f)", ""),
    Arrival("applied", hosted(value=B), copies(operators={"c-abcde": EKS}), "appliedSpec", "appliedSpec"),
    Arrival(
        "refresh", hosted(value=B, applied=B), copies(operators={"c-abcde": EKS}), "next refresh", "next refresh"),
    Arrival(
        "error", hosted(value=B, applied=B, upstream=B, message="[Syncing error: syncing failed] 403"),
        copies(operators={"c-abcde": EKS}), "without error", ""),
]


@pytest.mark.parametrize("case", ARRIVALS, ids=lambda case: case.id)
def test_what_rancher_still_has_to_take_over(case):
    state = observed(case.user, copies=case.copies)
    for moved, expected in ((True, case.moved), (False, case.later)):
        found = outstanding(state, case.user, moved) or ""
        assert expected in found and bool(expected) == bool(found), found


@pytest.mark.parametrize("case", ARRIVALS, ids=lambda case: case.id)
def test_a_cluster_that_is_being_deleted_takes_nothing_over(case):
    assert outstanding(observed(copies=case.copies), replace(case.user, deleting=True), True) is None


def test_machines_are_confirmed_by_their_status_or_by_a_job():
    state = observed()
    assert machine_outstanding(state, machine(own=B, confirmed=A), moved=False)
    assert machine_outstanding(state, machine(own=B, confirmed=""), moved=True)
    assert not machine_outstanding(state, machine(own=B, confirmed=B), moved=True)
    assert not machine_outstanding(state, machine(own=A, confirmed=A), moved=False)
    working = observed(job_machines=frozenset({("fleet-default", "m-1")}))
    assert not machine_outstanding(working, machine(own=B, deleting=True), moved=True)


# Objects of other controllers


def deployment(owners=(), desired=2, **status):
    labels = {"rke.cattle.io/rke-machine-pool-name": "workers"}
    return {
        "metadata": {"namespace": "n", "name": "d", "ownerReferences": [{"kind": kind} for kind in owners]},
        "spec": {
            "clusterName": "c", "replicas": desired,
            "template": {"metadata": {"labels": labels}, "spec": {"infrastructureRef": {"kind": "K", "name": "t"}}},
        },
        "status": status,
    }


def test_machine_sets_without_replicas_do_not_count():
    assert parse_live_template(deployment(["Cluster"], 0)) == LiveTemplate("n", "c", "workers", "K", "t")
    assert parse_live_template(deployment(["MachineDeployment"], 0)) is None
    assert parse_live_template(deployment(["MachineDeployment"], 0, replicas=1)) is not None


@pytest.mark.parametrize("status", [{"updatedReplicas": 1}, {"upToDateReplicas": 1}, {"updatedReplicas": 2}])
def test_a_deployment_rolls_until_all_machines_are_of_the_new_template(status):
    rolling = {**status, "replicas": 3}
    assert is_rolling(deployment(**rolling))
    assert not is_rolling(deployment(**{key: 2 for key in rolling}))


def test_plans_of_nodes():
    def encoded(text):
        return base64.b64encode(text.encode()).decode()

    assert plan_problem({"data": {"plan": encoded("p"), "appliedPlan": encoded("p")}}) is None
    assert plan_problem({"data": {"plan": encoded("p"), "failed-checksum": encoded("another")}}) == "is not applied yet"
    checksum = "148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940"
    assert plan_problem({"data": {"plan": encoded("p"), "failed-checksum": encoded(checksum)}}) == "has failed"


def test_writers_count_for_their_part_only():
    metadata = {"managedFields": [{"manager": "terraform", "fieldsV1": {"f:metadata": {}}}]}
    assert find_other_writer({"metadata": metadata}, "f:spec") is None
    assert find_other_writer({"metadata": MANAGED}, "f:spec") == "terraform-provider-rancher2"
    assert find_other_writer({"metadata": {"labels": {"app.kubernetes.io/managed-by": "rancher"}}}, "f:spec") is None


# Deletion of clusters

DELETING = {"deletionTimestamp": "2026-11-25T00:00:00Z"}


@pytest.mark.parametrize("user", [cluster(**DELETING), hosted(**DELETING)], ids=["provisioned", "hosted"])
def test_a_cluster_that_is_being_deleted_is_moved_and_its_row_says_so(user):
    state = observed(user, machines=[machine()], rolling={PROD: ("d",)})
    plans = plan_repoint(request(scope=["cluster", "hosted", "machines"]), state)
    shown = build_result(request(), state, plans, Progress(), ReferenceIndex(), RunMode(True, False))
    assert shown["failures"] == [] and {row["action"] for row in shown["objects"]} == {"moved"}
    assert {row["kind"]: row["deleting"] for row in shown["objects"]} == {"Cluster": True, "Amazonec2Machine": False}
    assert {row["cluster"]: row["note"] for row in repoint_rows(shown)}[user.label] == "is being deleted"


def test_a_cluster_that_is_deleted_after_it_was_moved():
    progress = Progress()
    progress.add_cluster(only(plan_repoint(request(), observed(cluster()))))
    state = observed(replace(cluster(own=B), deleting=True))
    (row,) = build_result(request(), state, [], progress, ReferenceIndex(), RunMode(False, False))["objects"]
    assert (row["action"], row["deleting"]) == ("moved", True)


def test_jobs_of_a_cluster_that_is_being_deleted_are_waited_for():
    state = observed(cluster(**DELETING), jobs={PROD: ("j",)})
    assert only(plan_repoint(request(), state)).error.code == "busy"


# Results


def result(plans=(), progress=None, references=(), check=False, **options):
    state = observed(cluster())
    index = ReferenceIndex(("cc-a", item) for item in references)
    return build_result(request(**options), state, plans, progress or Progress(), index, RunMode(check, True))


def reference(name, field="spec.common.cloudCredentialSecretName", kind="Amazonec2Machine"):
    group = "provisioning.cattle.io/v1" if kind == "Cluster" else "rke-machine.cattle.io/v1"
    return Reference(kind, group, "fleet-default", name, field, "machine")


def test_check_mode_predicts_what_remains():
    plans = plan_repoint(request(), observed(cluster()))
    found = [reference("prod", "spec.cloudCredentialSecretName", "Cluster"), reference("m-1"),
             reference("m-1", "status.cloudCredentialSecretName")]
    shown = result(plans, references=found, check=True)
    assert [item["name"] for item in shown["remaining"]] == ["m-1"] and not shown["free"]
    assert shown["changed"] and [row["action"] for row in shown["objects"]] == ["moved"]
    assert shown["diff"][0]["before"] == A + "\n"


def test_a_run_reports_what_named_the_credential_again():
    progress = Progress()
    progress.add_cluster(only(plan_repoint(request(), observed(cluster()))))
    shown = result(progress=progress, references=[reference("prod", "spec.cloudCredentialSecretName", "Cluster")])
    assert shown["changed"] and [item["name"] for item in shown["remaining"]] == ["prod"] and not shown["free"]


def test_a_timeout_is_a_failure_with_its_reason():
    progress = Progress(waiting={"fleet-default/prod": "something"})
    (failure,) = result(progress=progress)["failures"]
    assert failure.code == "unconfirmed" and "within 10m" in failure.message and A in failure.message
    assert result(progress=progress, wait=False)["failures"] == []
    assert result(progress=progress, check=True)["failures"] == []
