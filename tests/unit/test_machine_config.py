# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machine configs: fields, planning, and the fields that hide those of a credential."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError, ValidationErrors
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._health.checker import HealthChecker, HealthContext
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.cloud_credential import parse_cloud_credential
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.driver_schema import DriverSchemas
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.machine_config import (
    credential_fields_of,
    hidden_fields,
    machine_config_fields,
    new_machine_problems,
    parse_machine_config,
    show_machine_config,
    template_content,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.machine_pools import (
    HostedCluster,
    MachinePool,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import ReferenceIndex
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.users import Users
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.cloud_credential_plan import (
    credential_catalog,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.machine_config import MACHINE_CONFIG
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.machine_config_info import show_pools
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.machine_config_plan import (
    ObservedMachineConfigs,
    machine_config_catalog,
    parse_desired_machine_configs,
    plan_machine_configs,
    pool_references,
    warnings_of,
    with_keeper,
)


def schema(name, **fields):
    return {"metadata": {"name": name}, "spec": {"resourceFields": {
        field: {"type": kind, "default": {"stringValue": default, "boolValue": False}}
        for field, (kind, default) in fields.items()
    }}}


def crd(**fields):
    types = {"boolean": {"type": "boolean", "default": False}, "array": {"type": "array", "nullable": True}}
    properties = {
        name: types.get(value) or {"type": "string", "nullable": True, "default": value}
        for name, value in fields.items()
    }
    return {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"properties": properties}}}]}}


SCHEMAS = DriverSchemas([
    schema("credentialconfig", azurecredentialConfig=("azurecredentialconfig", "")),
    schema("azureconfig", clientId=("string", ""), clientSecret=("password", ""),
           environment=("string", "AzurePublicCloud"), size=("string", "small"), openPort=("array[string]", None)),
    schema("azurecredentialconfig", clientId=("string", ""), clientSecret=("password", ""),
           environment=("string", "AzurePublicCloud")),
])
CRD = crd(clientId="", clientSecret="", environment="AzurePublicCloud", size="small", openPort="array", spot="boolean",
          common="x", providerID="x")
FIELDS = machine_config_fields("azure", CRD, SCHEMAS)
DEFAULTS = {"clientId": "", "clientSecret": "", "environment": "AzurePublicCloud", "size": "small", "spot": False}


def stored(name="small", owners=(), **config):
    return parse_machine_config({
        "metadata": {
            "namespace": "fleet-default", "name": name, "uid": f"uid-{name}", "resourceVersion": "5",
            "ownerReferences": list(owners),
        },
        **DEFAULTS, **config,
    }, "AzureConfig")


def pool(name="a", credential="cattle-global-data:cc-a", kind="AzureConfig", config="small", **more):
    return MachinePool("fleet-default", "prod", name, kind, config, credential, False, **{"has_machines": True, **more})


def credential(**fields):
    fields = {"clientId": "new-id", "clientSecret": "canary-secret", "environment": "AzurePublicCloud", **fields}
    return parse_cloud_credential({
        "metadata": {"name": "cc-a", "uid": "1", "resourceVersion": "1", "annotations": {
            "field.cattle.io/creatorId": "u-a", "field.cattle.io/name": "azure prod"}},
        "data": {
            f"azurecredentialConfig-{name}": base64.b64encode(value.encode()).decode()
            for name, value in fields.items()
        },
    })


def desired(**options):
    options = {"driver": "azure", "name": "small", **options}
    return parse_desired_machine_configs(parse_options(MACHINE_CONFIG, options))


def observed(*configs, pools=(), **more):
    return ObservedMachineConfigs(
        machine_config_catalog(configs), SCHEMAS, kinds={"azure": "AzureConfig"}, fields={"azure": FIELDS},
        pools={"fleet-default": pools}, credentials=credential_catalog([credential()]), **more,
    )


def plan(rancher, references=None, **options):
    change, = plan_machine_configs(desired(**options), rancher, references)
    return change


CLUSTER = {"apiVersion": "provisioning.cattle.io/v1", "kind": "Cluster", "name": "prod", "controller": True, "uid": "c"}


def test_fields_come_from_the_crd_and_secrets_from_the_schema():
    assert {name: item.type for name, item in FIELDS.items()} == {
        "clientId": "string", "clientSecret": "password", "environment": "string", "size": "string",
        "openPort": "array[string]", "spot": "boolean",
    }
    assert FIELDS["environment"].default == "AzurePublicCloud" and FIELDS["openPort"].default is None
    assert "spot" not in machine_config_fields("azure", None, SCHEMAS)
    assert machine_config_fields("other", CRD, SCHEMAS) is None


def test_secrets_that_the_schema_does_not_mark():
    schemas = DriverSchemas([schema("vmwarevsphereconfig", sshPassword=("string", ""))])
    fields = machine_config_fields("vmwarevsphere", crd(sshPassword="tcuser", os=""), schemas)
    assert (fields["sshPassword"].type, fields["os"].type) == ("password", "string")


def test_a_new_machine_config():
    change = plan(observed(), config={"size": 30, "spot": "true", "openPort": [80], "clientId": None}, keep=True,
                  creator_rbac=False, labels={"a": "b", "c": None})
    assert change.action == "created"
    assert change.body == {
        "apiVersion": "rke-machine-config.cattle.io/v1", "kind": "AzureConfig", "size": "30", "spot": True,
        "openPort": ["80"],
        "metadata": {
            "namespace": "fleet-default", "name": "small", "labels": {"a": "b"},
            "annotations": {"field.cattle.io/no-creator-rbac": "true"},
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "ConfigMap", "name": "ranchhand-machine-configs", "uid": ""}],
        },
    }
    assert with_keeper(change, "u").body["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert change.after.config == {**DEFAULTS, "size": "30", "spot": True, "openPort": ["80"]}
    assert change.changed_fields == (
        "driver", "keep", "labels", "name", "namespace", "openPort", "size", "spot")
    assert show_machine_config(change.after, FIELDS)["orphan"] is False and warnings_of([change]) == []
    assert change.details == {"pools": [], "would_roll": [], "ignored_fields": []}


def test_a_machine_config_without_owner_is_deleted_by_rancher():
    change = plan(observed(), config={"size": "l"})
    warning, = warnings_of([change])
    assert "nightly clean-up deletes it" in warning and "keep: true" in warning
    assert warnings_of([plan(observed(pools=[pool()]), config={"size": "l"})]) == []


def test_an_update_changes_only_what_differs():
    assert plan(observed(stored(size="l")), config={"size": "l", "spot": False}).action == "unchanged"
    assert plan(observed(stored()), config={"size": None}).action == "unchanged"
    change = plan(observed(stored(size="l")), config={"size": None, "spot": True})
    assert change.body == {"metadata": {"uid": "uid-small", "resourceVersion": "5"}, "size": "small", "spot": True}
    assert (change.changed_fields, change.after.config["size"]) == (("size", "spot"), "small")
    cleared = plan(observed(stored(openPort=["1"])), config={"openPort": None})
    assert cleared.body["openPort"] is None and "openPort" not in cleared.after.config


def test_keep_adds_an_owner_and_preserves_the_cluster():
    change = plan(observed(stored(owners=[CLUSTER]), keepers={"fleet-default": "k"}), keep=True)
    assert [(owner["kind"], owner["uid"]) for owner in change.body["metadata"]["ownerReferences"]] == [
        ("Cluster", "c"), ("ConfigMap", "k")]
    kept = change.after
    assert (kept.cluster, kept.kept, kept.is_orphan) == ("prod", True, False)
    assert plan(observed(kept), keep=True).action == plan(observed(kept)).action == "unchanged"
    assert plan(observed(kept), keep=False).body["metadata"]["ownerReferences"] == [CLUSTER]
    alone = plan(observed(replace(kept, owner_references=kept.owner_references[1:])), keep=False)
    assert alone.body["metadata"]["ownerReferences"] is None and alone.after.is_orphan


ROLLS = {
    "another value": ({"size": "l"}, {}, ["prod/a"]),
    "false counts": ({"spot": True}, {}, ["prod/a"]),
    "empty instead of nothing": ({"openPort": []}, {}, []),
    "a pool without machines": ({"size": "l"}, {"has_machines": False}, []),
    "a field that the pool ignores": ({"size": "l"}, {"schema_fields": frozenset({"spot"})}, []),
    "the pool of another machine config": ({"size": "l"}, {"config": "other"}, []),
    "the pool of another driver": ({"size": "l"}, {"kind": "Amazonec2Config"}, []),
}


@pytest.mark.parametrize(("config", "of_pool", "rolls"), ROLLS.values(), ids=ROLLS)
def test_an_edit_that_replaces_nodes_is_refused(config, of_pool, rolls):
    rancher = observed(stored(owners=[CLUSTER]), pools=[pool(**of_pool)])
    change, allowed = plan(rancher, config=config), plan(rancher, config=config, on_use="roll")
    assert allowed.action == "updated" and allowed.details["would_roll"] == rolls and allowed.error is None
    assert change.details["would_roll"] == rolls
    assert (change.action, change.error and change.error.code) == (
        ("refused", "in_use") if rolls else ("updated", None))
    if rolls:
        assert f"a change of {', '.join(config)} would replace all nodes of pool prod/a" in change.error.message
        assert "Without it" not in change.error.message and change.changed_fields == ()
        assert change.after == change.before and not change.writes


def test_labels_do_not_replace_nodes():
    change = plan(observed(stored(), pools=[pool()]), labels={"team": "a"})
    assert (change.action, change.details["would_roll"]) == ("updated", [])


def test_unknown_pools():
    rancher = observed(stored(), pools=None)
    with pytest.raises(ValidationErrors, match="unknown which pools") as caught:
        plan(rancher, config={"size": "l"})
    assert caught.value.code == "forbidden"
    for allowed in ({"labels": {"a": "b"}}, {"config": {"size": "l"}, "on_use": "roll"}):
        assert plan(rancher, **allowed).action == "updated"
    with pytest.raises(ValidationErrors, match="clusters.provisioning") as caught:
        plan(rancher, pool_references(rancher.pools), state="absent")
    assert caught.value.code == "forbidden"


def test_fields_that_a_pool_ignores_are_reported():
    old = pool(schema_fields=frozenset({"spot"}))
    change = plan(observed(stored(), pools=[old]), config={"size": "l", "spot": False})
    assert change.details["ignored_fields"] == [{"pool": "prod/a", "fields": ["size"]}]
    warning, = warnings_of([change])
    assert warning.startswith("pool prod/a ignores size of AzureConfig fleet-default/small")
    assert template_content({"size": "l", "spot": False, "clientId": ""}, old) == {"spot": False}


def test_deletion():
    rancher = observed(stored(), pools=[pool(), pool("b")])
    refused = plan(rancher, pool_references(rancher.pools), state="absent")
    assert (refused.action, refused.error.code) == ("refused", "in_use")
    assert "Without it, Rancher applies no change of the cluster" in refused.error.message
    assert [reference.pools for reference in refused.references] == [("a",), ("b",)]
    assert plan(rancher, pool_references(rancher.pools), state="absent", force=True).action == "deleted"
    free = observed(stored(), pools=[pool(config="other")])
    assert plan(free, pool_references(free.pools), state="absent").action == "deleted"
    assert plan(observed(), pool_references({}), state="absent").action == "unchanged"
    assert plan(observed(), pool_references({}), state="absent", driver="off").action == "unchanged"


ERRORS = {
    "inactive driver": ({"driver": "pnap"}, "unsupported", "driver pnap has no machine configs in this Rancher"),
    "unknown field": ({"config": {"sise": "l"}}, "invalid", "config.sise is unknown (did you mean size?)"),
    "wrong type": ({"config": {"spot": "maybe"}}, "invalid", "config.spot must be true or false"),
    "text for a list": ({"config": {"openPort": "80"}}, "invalid", "config.openPort must be a list of strings"),
    "common": ({"config": {"common": {}}}, "invalid", "config.common has no effect"),
    "providerID": ({"config": {"providerID": "x"}}, "invalid", "config.providerID has no effect"),
    "secret in config": ({"config": {"clientSecret": "x"}}, "invalid", "is secret and belongs in secrets"),
    "credential does not exist": ({"cloud_credential": "x"}, "not_found", 'cloud_credential "x" does not exist'),
    "field of the credential": (
        {"cloud_credential": "azure prod", "config": {"clientId": "x"}}, "invalid", "comes from the cloud credential"),
    "contradiction": (
        {"cloud_credential": "cc-a", "config": {"environment": "AzureChinaCloud"}}, "invalid",
        "config.environment differs from the cloud credential cattle-global-data:cc-a"),
}


@pytest.mark.parametrize(("options", "code", "message"), ERRORS.values(), ids=ERRORS)
def test_refused_options(options, code, message):
    for rancher in (observed(), observed(stored())):
        with pytest.raises(ValidationErrors) as caught:
            plan(rancher, **options)
        assert caught.value.code == code and message in caught.value.message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"name": None}, "name is required", id="no name"),
        pytest.param({"name": "Small"}, "name must be a Kubernetes object name", id="capitals"),
        pytest.param({"driver": " "}, "driver is required", id="no driver"),
        pytest.param({"namespace": "a/b"}, "namespace must be a Kubernetes object name", id="slash"),
        pytest.param({"secrets": {"clientSecret": "canary"}}, "secrets (clientSecret) are refused", id="secrets"),
        pytest.param({"annotations": {"field.cattle.io/creatorId": "u"}}, "has no other owner", id="creatorId"),
        pytest.param(
            {"annotations": {"field.cattle.io/no-creator-rbac": "x"}}, "set the option creator_rbac", id="no creator"),
        pytest.param({"owner": "u-a"}, "unknown option owner", id="owner"),
        pytest.param({"cloud_credential": " "}, "cloud_credential must not be empty", id="empty credential"),
    ],
)
def test_invalid_options(options, message):
    with pytest.raises(ValidationErrors) as caught:
        desired(**options)
    assert message in caught.value.message and "canary" not in caught.value.message


def test_inline_secrets_are_stored_and_never_shown():
    change = plan(observed(), secrets={"clientSecret": "canary"}, inline_secrets=True)
    assert change.body["clientSecret"] == "canary"
    assert show_machine_config(change.after, FIELDS)["secret_fields"] == ["clientSecret"]
    assert "canary" not in repr(change.after) + str(show_machine_config(change.after, FIELDS)) + repr(change)
    kept = plan(observed(stored()), secrets={"clientSecret": "x"}, inline_secrets=True, update_secrets="on_create")
    assert kept.action == "unchanged"


def test_a_credential_fills_fields_with_a_default():
    china = replace(observed(), credentials=credential_catalog([credential(environment="AzureChinaCloud")]))
    change = plan(china, cloud_credential="cattle-global-data:cc-a")
    assert change.body["environment"] == "AzureChinaCloud" and "cloud_credential" not in change.body
    assert plan(china, cloud_credential="azure prod", config={"environment": "AzureChinaCloud"}).action == "created"


def test_options_of_a_call_apply_to_its_machine_configs():
    call = {
        "state": "absent", "force": True, "update_secrets": "on_create", "wait": True, "wait_timeout": "7s",
        "wait_sleep": "3s", "namespace": "fleet-local", "driver": "azure", "inline_secrets": True,
        "creator_rbac": False, "keep": True, "on_use": "roll",
    }
    item, = parse_desired_machine_configs(parse_options(MACHINE_CONFIG, {**call, "machine_configs": [{"name": "a"}]}))
    assert {name: getattr(item, name) for name in call} == {**call, "wait_timeout": 7, "wait_sleep": 3}
    assert (item.where, item.id) == ("machine_configs[0] (a): ", stored("a").id.replace("fleet-default", "fleet-local"))


def test_the_reference_of_a_pool_to_its_machine_config():
    index = pool_references({"fleet-default": [pool()], "fleet-local": ()})
    reference, = index.references_to(stored())
    assert reference.show() == {
        "kind": "Cluster", "api_version": "provisioning.cattle.io/v1", "namespace": "fleet-default", "name": "prod",
        "field": "spec.rkeConfig.machinePools[].machineConfigRef", "use": "pool", "pools": ["a"],
    }
    assert index.unlisted == () and pool_references({"a": (), "b": None}).unlisted == (
        "clusters.provisioning.cattle.io",)


def test_a_new_machine_config_that_is_not_kept_names_no_owner():
    change = plan(observed(), config={"size": "l"}, annotations={"a": "b", "c": None})
    assert change.body["metadata"] == {
        "namespace": "fleet-default", "name": "small", "labels": {}, "annotations": {"a": "b"}}
    assert change.changed_fields == ("annotations", "driver", "name", "namespace", "size")
    assert with_keeper(change, "u") is change and (change.after.uid, change.after.resource_version) == ("", "")


def test_the_keeper_of_another_object_is_preserved():
    change = plan(observed(stored(owners=[CLUSTER])), keep=True)
    owners = with_keeper(change, "u").body["metadata"]["ownerReferences"]
    assert [owner["uid"] for owner in owners] == ["c", "u"] and change.body["metadata"]["ownerReferences"][0] == CLUSTER
    assert with_keeper(change, "u").body["metadata"]["uid"] == "uid-small"


AWS = parse_cloud_credential({
    "metadata": {"name": "cc-z", "uid": "1", "resourceVersion": "1", "annotations": {
        "field.cattle.io/creatorId": "u-a", "field.cattle.io/name": "aws"}},
    "data": {"amazonec2credentialConfig-accessKey": "eA=="},
})


@pytest.mark.parametrize(("name", "code", "message"), [
    ("aws", "invalid", "cloud_credential cattle-global-data:cc-z is of driver amazonec2; a pool of driver azure needs"),
    ("cattle-global-data:cc-z", "invalid", "is of driver amazonec2"),
    ("cattle-global-data:azure prod", "not_found", "does not exist"),
    ("twice", "ambiguous", '2 cloud credentials have the name "twice"'),
    ("gone", "conflict", "cattle-global-data:cc-g is being deleted"),
])
def test_a_credential_that_pools_cannot_use(name, code, message):
    others = [replace(credential(), id=f"cc-{of[0]}{number}", name=of) for number, of in enumerate(["twice", "twice"])]
    gone = replace(credential(), id="cc-g", name="gone", deleting=True)
    rancher = replace(observed(), credentials=credential_catalog([credential(), AWS, *others, gone]))
    with pytest.raises(ValidationErrors) as caught:
        plan(rancher, cloud_credential=name)
    assert caught.value.code == code and message in caught.value.message


def test_a_field_with_a_default_that_the_credential_leaves_empty_is_not_repeated():
    empty = replace(observed(), credentials=credential_catalog([credential(environment="")]))
    assert "environment" not in plan(empty, cloud_credential="azure prod").body
    change = plan(empty, cloud_credential="azure prod", config={"environment": "AzureChinaCloud"})
    assert change.body["environment"] == "AzureChinaCloud"


def test_an_active_driver_without_schema():
    with pytest.raises(ValidationErrors, match="driver azure has no schema in this Rancher") as caught:
        plan(replace(observed(), fields={"azure": None}), config={"size": "l"})
    assert caught.value.code == "invalid"


def test_only_what_is_or_will_be_stored_is_warned_of():
    rancher = observed(stored(), pools=[pool(config="other")])
    deleted = plan(rancher, pool_references(rancher.pools), state="absent")
    refused = plan(observed(stored(), pools=[pool()]), config={"size": "l"})
    assert warnings_of([deleted, refused]) == []
    assert len(warnings_of([deleted, plan(rancher, config={"size": "l"})])) == 1


def test_labels_and_annotations_are_merged():
    change = plan(observed(stored()), labels={"a": "b"}, annotations={"c": "d", "gone": None})
    assert change.body["metadata"] == {
        "uid": "uid-small", "resourceVersion": "5", "labels": {"a": "b"}, "annotations": {"c": "d"}}
    assert change.changed_fields == ("annotations", "labels")


def test_another_cluster_owns_it():
    with pytest.raises(ValidationErrors, match="belongs to cluster prod, not to test") as caught:
        plan(observed(stored(owners=[CLUSTER])), cluster="test")
    assert caught.value.code == "conflict"
    assert plan(observed(stored(owners=[CLUSTER])), cluster="prod").action == "unchanged"


def test_two_items_with_the_same_machine_config():
    items = [{"name": "a"}, {"name": "a", "namespace": "fleet-local"}, {"name": "a"}]
    many = parse_desired_machine_configs(parse_options(MACHINE_CONFIG, {"driver": "azure", "machine_configs": items}))
    with pytest.raises(ValidationErrors) as caught:
        plan_machine_configs(many, observed())
    assert caught.value.messages == ["machine_configs[2] (a): means the same object as machine_configs[0] (a)"]


HIDDEN = {
    "nothing is set": ({}, []),
    "the same id": ({"clientId": "new-id"}, [("clientId", False)]),
    "another id": ({"clientId": "old-id"}, [("clientId", True)]),
    "another secret": ({"clientSecret": "x"}, [("clientSecret", True)]),
    "another default": ({"environment": "AzureChinaCloud"}, [("environment", True)]),
    "another field": ({"size": "l"}, []),
}


@pytest.mark.parametrize(("config", "expected"), HIDDEN.values(), ids=HIDDEN)
def test_fields_that_hide_those_of_the_credential(config, expected):
    configs = {item.id: item for item in [stored(**config)]}
    found = hidden_fields(credential(), [pool(), pool("b", config="gone")], configs, SCHEMAS)
    assert [(item.name, item.differs) for item in found] == expected
    for changed in (["clientSecret"], ["clientId", "clientSecret"]):
        reasons = new_machine_problems(credential(), changed, [pool()], configs, SCHEMAS)
        assert len(reasons) == len([1 for name, differs in expected if differs or name in changed])
        assert "canary" not in str(reasons)
    assert new_machine_problems(credential(), ["clientId"], [pool(credential="cattle-global-data:x")], configs,
                                SCHEMAS) == []


def test_a_field_that_the_pool_ignores_hides_nothing():
    configs = {item.id: item for item in [stored(clientId="old-id", environment="AzureChinaCloud")]}
    found = hidden_fields(credential(), [pool(schema_fields=frozenset({"environment"}))], configs, SCHEMAS)
    assert [item.name for item in found] == ["environment"]


def problems(*pools, configs=(), syncs=()):
    index = ReferenceIndex((), ["x"], pools, syncs)
    checker = HealthChecker(HealthContext([credential()], SCHEMAS, Users(()), index, (), configs))
    return {problem.code: problem.message for problem in checker.problems(credential()) if problem.code != "owner_gone"}


def test_problems_of_machine_pools():
    other = stored("other", clientId="old-id", environment="AzureChinaCloud")
    found = problems(
        pool(), pool("b"), pool("c", kind="Amazonec2Config"), pool("d", config="other"),
        configs=[stored(clientId="new-id"), other])
    assert set(found) == {"driver_mismatch", "config_repeats", "config_contradicts"}
    assert "pool prod/c, which uses it, creates machines of driver amazonec2" in found["driver_mismatch"]
    assert "pool prod/a, prod/b sets clientId too" in found["config_repeats"]
    assert "pool prod/d sets environment to another value" in found["config_contradicts"]
    assert problems(*(pool(str(number), kind="XConfig") for number in range(9)))["driver_mismatch"].count("prod/") == 5


def test_a_failed_sync_is_a_problem_and_its_message_contains_no_value():
    error = "[Syncing error: syncing failed] 401 for canary-secret\nof new-id"
    found = problems(syncs=[
        HostedCluster("Cluster", None, "c-x", "cattle-global-data:cc-a", error),
        HostedCluster("Cluster", None, "c-y", "cattle-global-data:cc-b", "other"),
    ])
    assert found == {"sync_failed": (
        "the last sync of Cluster c-x with it failed: [Syncing error: syncing failed] 401 for … of …")}


def test_pools_in_the_result_of_the_info_module():
    config = stored(clientId="x")
    assert credential_fields_of(config, SCHEMAS) == ["clientId", "environment"]
    of_pool, without = show_pools(
        config, [pool(schema_fields=frozenset({"size", "spot", "environment"})), pool("b", ""), pool(config="x")],
        {("fleet-default", "prod", "a"): "prod-a-01234567"}, SCHEMAS)
    assert of_pool == {
        "cluster": "prod", "pool": "a", "credential": "cattle-global-data:cc-a", "inherited": False,
        "template": "prod-a-01234567", "ignored_fields": ["clientId"], "hides_credential_fields": ["environment"],
    }
    assert (without["credential"], without["template"], without["hides_credential_fields"]) == (None, None, [])


def test_a_connection_that_may_not_list_schemas():
    with pytest.raises(RanchhandError, match="dynamicschemas"):
        plan(replace(observed(), schemas=None), config={"size": "l"})
