# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a plan that are the same for all kinds, and those of cloud credentials, through the module's options."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import RanchhandError, ValidationErrors
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import parse_options
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.cloud_credential import (
    SECRET_LIMIT,
    parse_cloud_credential,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.driver_schema import DriverSchemas
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.metadata import ANNOTATIONS_LIMIT
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import (
    HISTORY,
    Reference,
    ReferenceIndex,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.users import User, Users
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.cloud_credential import CLOUD_CREDENTIAL
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.cloud_credential_plan import (
    ObservedCredentials,
    credential_catalog,
    parse_desired_credentials,
    plan_cloud_credentials,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.planning import (
    Change,
    check_selected,
    plan_deletion,
)

USERS = Users([User("u-a", "alice"), User("u-b", "bob", ("local://b",))])
SCHEMAS = DriverSchemas([
    {"metadata": {"name": name}, "spec": {"resourceFields": fields}} for name, fields in {
        "credentialconfig": {
            f"{driver}credentialConfig": {} for driver in ("azure", "amazonec2", "harvester", "empty")},
        "azurecredentialconfig": {
            "clientId": {"required": True, "default": {"stringValue": ""}}, "subscriptionId": {}, "tenantId": {},
            "clientSecret": {"type": "password"}, "environment": {"default": {"stringValue": "AzurePublicCloud"}},
        },
        "amazonec2credentialconfig": {"accessKey": {}, "secretKey": {"type": "password"}},
        "harvestercredentialconfig": {"kubeconfigContent": {"type": "password"}, "clusterType": {}},
        "emptycredentialconfig": None,
    }.items()
])
AZURE = {"clientId": "c", "clientSecret": "s", "subscriptionId": "1"}


def secret(identifier="cc-a", name="prod", driver="azure", owner="u-a", fields=None, annotations=None, **metadata):
    return {
        "metadata": {
            "name": identifier, "uid": f"uid-{identifier}", "resourceVersion": "5", **metadata, "annotations": {
                "field.cattle.io/name": name, **({"field.cattle.io/creatorId": owner} if owner else {}),
                **(annotations or {}),
            },
        },
        "data": {
            f"{driver}credentialConfig-{key}": base64.b64encode(value.encode()).decode()
            for key, value in (AZURE if fields is None else fields).items()
        },
    }


def observed(*secrets, schemas=SCHEMAS, own_user="u-a"):
    return ObservedCredentials(credential_catalog(map(parse_cloud_credential, secrets)), schemas, USERS, own_user)


def desired(**options):
    return parse_desired_credentials(parse_options(CLOUD_CREDENTIAL, options))


def plan(rancher, references=None, **options):
    (change,) = plan_cloud_credentials(desired(**options), rancher, references)
    return change


def refusal(rancher, references=None, **options):
    with pytest.raises(ValidationErrors) as refused:
        plan_cloud_credentials(desired(**options), rancher, references)
    return refused.value.code, refused.value.messages


# Deletion

CLUSTER = Reference("Cluster", "provisioning.cattle.io/v1", "fleet-default", "prod", "spec.x", "cluster")
OLD = Reference("ETCDSnapshot", "rke.cattle.io/v1", "fleet-default", "old", "snapshotFile.x", HISTORY)
USED, FREE = ReferenceIndex([("cc-a", CLUSTER), ("cc-a", OLD)]), ReferenceIndex([("cc-a", OLD), ("cc-b", CLUSTER)])
HIDDEN = ReferenceIndex([("cc-a", OLD)], ["nodes.management.cattle.io", "clusters.provisioning.cattle.io"])


def test_a_credential_that_nothing_needs_is_deleted():
    rancher = observed(secret())
    change = plan(rancher, FREE, name="prod", state="absent")
    assert (change.action, change.references, change.unlisted, change.after) == ("deleted", (OLD,), (), None)
    assert change.writes and change.stored.id == "cc-a" and change.error is None
    assert plan(rancher, FREE, name="prod", state="absent", driver="azure").action == "deleted"
    assert plan(rancher, None, name="prod", state="absent").references is None


def test_a_credential_in_use_is_refused_with_the_users_and_the_remedy():
    change = plan(observed(secret()), USED, name="prod", state="absent")
    assert (change.action, change.references, change.error.code) == ("refused", (CLUSTER, OLD), "in_use")
    assert change.error.message == (
        'cannot delete cloud credential "prod" (cattle-global-data:cc-a): it is in use by Cluster fleet-default/prod '
        "(spec.x). Move clusters and machines with cloud_credential_repoint, change or delete other objects first, or "
        "delete the cloud credential anyway with force: true")
    assert not change.writes and change.after == change.before == change.stored


def test_an_object_of_another_kind_in_use_needs_its_users_to_be_changed():
    item, current = desired(name="prod", state="absent")[0], parse_cloud_credential(secret())
    change = plan_deletion(item, current, USED, "node template")
    assert change.error.message.endswith(
        "Change or delete these objects first, or delete the node template anyway with force: true")


def test_it_is_unknown_whether_a_credential_is_in_use_if_users_may_not_be_listed():
    code, (message,) = refusal(observed(secret()), HIDDEN, name="prod", state="absent")
    assert code == "forbidden" and message.startswith(
        "cannot delete cloud credential cattle-global-data:cc-a: this connection cannot check whether it is in use, as "
        "it may not list clusters.provisioning.cattle.io, nodes.management.cattle.io in all namespaces.")
    used = ReferenceIndex([("cc-a", CLUSTER)], ["nodes.management.cattle.io"])
    change = plan(observed(secret()), used, name="prod", state="absent")
    assert (change.error.code, change.unlisted) == ("in_use", ("nodes.management.cattle.io",))


@pytest.mark.parametrize("references", [USED, HIDDEN, FREE])
def test_force_deletes_it_anyway_and_names_the_users(references):
    change = plan(observed(secret()), references, name="prod", state="absent", force=True)
    assert (change.action, change.error) == ("deleted", None)
    assert (change.references, change.unlisted) == (
        references.references_to(change.stored), references.unlisted)


def test_what_is_gone_or_being_deleted_is_not_deleted_again():
    gone = plan(observed(), USED, name="prod", state="absent")
    assert (gone.action, gone.before, gone.after, gone.writes) == ("unchanged", None, None, False)
    deleting = plan(observed(secret(deletionTimestamp="x")), USED, name="prod", state="absent")
    assert (deleting.action, deleting.before.id) == ("unchanged", "cc-a")


def test_a_credential_of_another_driver_is_not_deleted():
    for force in (False, True):
        assert refusal(observed(secret()), FREE, id="cc-a", driver="amazonec2", state="absent", force=force) == (
            "invalid", ["cannot delete cattle-global-data:cc-a: its driver is azure, not amazonec2"])


# Several items

def test_all_errors_of_all_items_are_reported_with_the_code_that_they_have_in_common():
    unknown = {"id": "cc-x", "description": "x"}
    rancher = observed(secret(), secret("cc-b", "test", deletionTimestamp="x"))
    assert refusal(rancher, credentials=[unknown, {"id": "cc-y", "description": "x"}]) == ("not_found", [
        "credentials[0] (cc-x): there is no cloud credential with the id cattle-global-data:cc-x",
        "credentials[1] (cc-y): there is no cloud credential with the id cattle-global-data:cc-y"])
    code, messages = refusal(rancher, credentials=[
        unknown, {"name": "test", "description": "x"}, {"name": "new", "driver": "azure", "config": {"a": 1, "b": 2}}])
    assert code == "invalid" and len(messages) == 5 and messages[1].startswith("credentials[1] (test): ")
    assert [message.partition(": ")[0] for message in messages[2:]] == ["credentials[2] (new)"] * 3


@pytest.mark.parametrize("items", [
    pytest.param([{"name": "prod", "description": "x"}, {"id": "cc-a"}], id="name and id"),
    pytest.param([{"id": "cc-a", "state": "absent"}, {"name": "prod"}], id="deleted and updated"),
    pytest.param([{"name": "new", "driver": "azure", "config": {"clientId": "x"}}] * 2, id="created twice"),
    pytest.param([{"name": "new", "state": "absent"}] * 2, id="absent twice"),
    pytest.param([{"id": "cc-a", "name": "new"}, {"name": "new", "driver": "azure", "config": {"clientId": "x"}}],
                 id="renamed to the name of a new one"),
])
def test_two_items_that_mean_the_same_object(items):
    code, (message,) = refusal(observed(secret()), FREE, credentials=items)
    first, second = (f"credentials[{index}] ({item.get('name') or item['id']})" for index, item in enumerate(items))
    assert (code, message) == ("invalid", f"{second}: means the same object as {first}")


def test_items_that_differ_in_name_driver_or_owner_mean_different_objects():
    new = {"name": "new", "driver": "azure", "config": {"clientId": "x"}}
    items = [
        new, {**new, "owner": "bob"}, {**new, "name": "newer"},
        {**new, "driver": "amazonec2", "config": {"accessKey": "x"}},
        {"id": "cc-a", "name": "renamed"}, {"name": "test"},
        *({"state": "absent", **item} for item in (
            {"name": "x"}, {"name": "y"}, {"name": "x", "driver": "azure"},
            {"name": "x", "owner": "u-b"}, {"id": "cc-x"})),
    ]
    changes = plan_cloud_credentials(
        desired(credentials=items), observed(secret(), secret("cc-b", "test")), ReferenceIndex())
    assert [change.action for change in changes] == [
        "created", "created", "created", "created", "updated", "unchanged", *["unchanged"] * 5]


def test_validation_errors_of_all_items_name_the_item():
    with pytest.raises(ValidationErrors) as refused:
        desired(credentials=[{"name": " "}, {"id": "A"}, {"driver": "azure"}, {"name": "fine"}])
    assert [message.partition(" must ")[0] for message in refused.value.messages] == [
        "credentials[0] ( ): name", "credentials[1] (A): id", "credentials[2]: name or id is required"]


def test_options_of_a_credential():
    first, second = desired(
        verify=True, overwrite_rotated=True,
        credentials=[{"name": "a", "verify_options": {"region": "x"}}, {"name": "b", "verify": False}])
    assert (first.verify, first.overwrite_rotated, dict(first.verify_options)) == (True, True, {"region": "x"})
    assert (second.verify, second.overwrite_rotated, dict(second.verify_options)) == (False, True, {})


# Changes

def test_a_change_has_the_objects_that_its_action_has():
    change = Change(desired(name="x")[0], "created")
    assert change.writes and (change.body, change.details, change.unlisted) == ({}, {}, ())
    for name in ("stored", "created"):
        with pytest.raises(AssertionError, match="the change "):
            getattr(change, name)
    assert [Change(desired(name="x")[0], action).writes for action in (
        "updated", "deleted", "unchanged", "refused", "failed")] == [True, True, False, False, False]


@pytest.mark.parametrize(("current", "options", "conflict"), [
    (secret(), {"name": "prod"}, False), (secret(name="other"), {"name": "prod"}, True),
    (secret(owner="u-b"), {"name": "prod", "owner": "alice"}, True), (secret(owner="u-b"), {"name": "prod"}, False),
    (secret(name="other", owner="u-b"), {"id": "cc-a", "owner": "alice"}, False),
])
def test_an_object_that_was_renamed_or_handed_over_meanwhile(current, options, conflict):
    item, selected, current = desired(**options)[0], parse_cloud_credential(secret()), parse_cloud_credential(current)
    if conflict:
        with pytest.raises(RanchhandError, match='which had the name "prod", was renamed or handed over') as refused:
            check_selected(item, selected, current)
        assert refused.value.code == "conflict"
    else:
        check_selected(item, selected, current)


# Creation

NEW = {"name": "new", "driver": "azure", "config": {"clientId": "c"}}


def test_the_secret_to_create():
    change = plan(observed(), **{
        **NEW, "config": {"clientId": "c", "subscriptionId": None}, "secrets": {"clientSecret": {"a": 1}},
        "description": "for tests", "labels": {"a": "b", "c": None}, "annotations": {"d": "e"},
    })
    assert change.body == {
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {
            "namespace": "cattle-global-data", "generateName": "cc-",
            "labels": {"cattle.io/creator": "norman", "a": "b"},
            "annotations": {
                "field.cattle.io/creatorId": "u-a", "field.cattle.io/name": "new",
                "field.cattle.io/description": "for tests", "provisioning.cattle.io/driver": "azure", "d": "e",
            },
        },
        "data": {
            "azurecredentialConfig-clientId": "Yw==", "azurecredentialConfig-clientSecret": "eyJhIjoxfQ==",
            "azurecredentialConfig-environment": "QXp1cmVQdWJsaWNDbG91ZA==",
        },
    }
    assert change.changed_fields == (
        "annotations", "clientId", "clientSecret", "description", "driver", "environment", "labels", "name", "owner")
    after = change.after
    assert (change.action, after.name, after.driver, after.owner, after.id) == ("created", "new", "azure", "u-a", "")


def test_an_empty_description_is_not_stored():
    change = plan(observed(), **NEW)
    assert "field.cattle.io/description" not in change.body["metadata"]["annotations"]
    assert change.changed_fields == ("clientId", "driver", "environment", "name", "owner")


@pytest.mark.parametrize(("driver", "shown"), [("amazonec2", "aws"), ("harvester", "harvester")])
def test_the_ui_has_its_own_name_of_a_driver(driver, shown):
    name = {"amazonec2": "secretKey", "harvester": "kubeconfigContent"}[driver]
    change = plan(observed(), name="new", driver=driver, secrets={name: "x"})
    assert change.body["metadata"]["annotations"]["provisioning.cattle.io/driver"] == shown


def test_all_that_is_missing_to_create_a_credential_is_reported():
    prefix = 'no cloud credential has the name "new"; to create it, '
    no_owner = f"{prefix}owner is required (a user id, username or principal id), as this connection is not " \
               "authenticated as a Rancher user"
    assert refusal(observed(own_user=None), name="new") == ("invalid", [
        f"{prefix}driver is required", no_owner, f"{prefix}config and secrets are required"])
    assert refusal(observed(own_user=None), **NEW)[1] == [no_owner]
    assert refusal(observed(own_user=None), name="new", driver="azure", owner="alice", secrets={"clientSecret": "x"})[
        1][0].startswith("config.clientId is required")
    assert plan(observed(own_user=None), **NEW, owner="local://b").after.owner == "u-b"


@pytest.mark.parametrize(("options", "schemas", "code", "message"), [
    ({**NEW, "config": {"clientId": None}, "validate_config": False}, None, "invalid",
     "a new cloud credential needs at least one field in config or secrets"),
    ({**NEW, "driver": "empty"}, SCHEMAS, "invalid",
     "the schema of driver empty has no credential fields; set validate_config: false to store the values unchecked"),
    (NEW, None, "forbidden",
     "cannot validate the fields of the driver: this connection may not list dynamicschemas.management.cattle.io. "
     "Grant that, or set validate_config: false"),
])
def test_a_credential_that_cannot_be_created(options, schemas, code, message):
    assert refusal(observed(schemas=schemas), **options) == (code, [message])
    assert plan(observed(schemas=schemas), **{**options, "validate_config": False, "config": {"x": "y"}}).action == (
        "created")


@pytest.mark.parametrize("stored", [False, True], ids=["creation", "update"])
def test_a_secret_has_a_limit(stored):
    fields = {"clientId": "ä" * 10, "environment": "e"}
    rancher = observed(secret("cc-a", "new", fields=fields)) if stored else observed()
    size = SECRET_LIMIT - 20 - len("e")
    options = {**NEW, "config": fields}
    assert plan(rancher, **options, secrets={"clientSecret": "x" * size}).writes
    code, (message,) = refusal(rancher, **options, secrets={"clientSecret": "x" * (size + 1)})
    assert code == "invalid" and message == (
        f"all fields together have {SECRET_LIMIT + 1} bytes; the limit of a Secret is {SECRET_LIMIT}")


def test_the_annotations_of_an_object_have_a_limit():
    names = "field.cattle.io/creatorId" + "field.cattle.io/name" + "field.cattle.io/description"
    size = ANNOTATIONS_LIMIT - len(names + "u-a" + "prod")
    assert plan(observed(secret()), id="cc-a", description="x" * size).action == "updated"
    code, (message,) = refusal(observed(secret()), id="cc-a", description="x" * (size + 1))
    assert code == "invalid" and f"have {ANNOTATIONS_LIMIT + 1} bytes; the limit of Kubernetes is" in message


# Update

def test_what_is_stored_already_is_unchanged_and_needs_no_schema():
    for options in ({}, {"name": "prod"}, {"owner": "alice"}, {"description": " "}, {"annotations": {"a": None}}):
        change = plan(observed(secret(), schemas=None), id="cc-a", **options)
        assert (change.action, change.after, change.changed_fields) == ("unchanged", change.before, ())
    assert plan(observed(secret(owner="u-gone")), id="cc-a", owner="u-gone").action == "unchanged"


@pytest.mark.parametrize(("options", "patch", "changed"), [
    ({"name": "other"}, {"metadata": {"annotations": {"field.cattle.io/name": "other"}}}, "name"),
    ({"owner": "bob"}, {"metadata": {"annotations": {"field.cattle.io/creatorId": "u-b"}}}, "owner"),
    ({"description": "x"}, {"metadata": {"annotations": {"field.cattle.io/description": "x"}}}, "description"),
    ({"labels": {"a": "b"}}, {"metadata": {"labels": {"a": "b"}}}, "labels"),
    ({"config": {"clientId": "d", "tenantId": None}}, {"data": {"azurecredentialConfig-clientId": "ZA=="}}, "clientId"),
    ({"config": {"subscriptionId": None}},
     {"data": {"azurecredentialConfig-subscriptionId": None}}, "subscriptionId"),
    ({"secrets": {"clientSecret": "s"}, "config": {"environment": "x"}},
     {"data": {"azurecredentialConfig-environment": "eA=="}}, "environment"),
])
def test_only_what_differs_is_patched(options, patch, changed):
    change = plan(observed(secret()), id="cc-a", **options)
    precondition = {"metadata": {"uid": "uid-cc-a", "resourceVersion": "5", **patch.get("metadata", {})}}
    assert change.body == {**patch, **precondition} and change.changed_fields == (changed,)
    assert change.before.id == "cc-a" and change.created != change.before


TENANT = "cluster.management.cattle.io/azure-tenant-id"


@pytest.mark.parametrize(("driver", "config", "cached"), [
    ("azure", {"subscriptionId": "2"}, None), ("azure", {"tenantId": "2"}, "x"),
    ("amazonec2", {"subscriptionId": "2"}, "x"),
])
def test_another_subscription_of_azure_removes_the_cached_tenant(driver, config, cached):
    item = secret(driver=driver, annotations={TENANT: "x", f"{TENANT}-created-at": "x"})
    change = plan(observed(item), id="cc-a", validate_config=False, config=config)
    assert {change.after.annotations.get(key) for key in (TENANT, f"{TENANT}-created-at")} == {cached}
    assert change.changed_fields == tuple(config)


def test_a_credential_keeps_a_field():
    code, messages = refusal(
        observed(secret(driver="amazonec2", fields={"secretKey": "x"})), id="cc-a", secrets={"secretKey": None})
    assert (code, messages) == ("invalid", ["cattle-global-data:cc-a would have no field left; delete it instead"])


@pytest.mark.parametrize(("options", "code", "message"), [
    ({"driver": "amazonec2"}, "invalid",
     "the driver of cattle-global-data:cc-a is azure; the driver of a cloud credential cannot be changed to amazonec2. "
     "Create another cloud credential instead"),
    ({"owner": "nosuch"}, "not_found",
     "owner nosuch is not the id, username or principal id of a user of this Rancher"),
])
def test_a_credential_that_cannot_be_updated(options, code, message):
    assert refusal(observed(secret()), id="cc-a", **options) == (code, [message])


def test_a_secret_of_several_drivers_has_to_be_repaired_first():
    item = secret()
    item["data"]["s3credentialConfig-x"] = ""
    code, (message,) = refusal(observed(item), id="cc-a", description="x")
    assert code == "invalid" and message.endswith("; repair or delete it first")


def test_the_public_part_of_a_rotated_key_belongs_to_its_secret_part():
    rotated = {"ranchhand.cattle.io/rotated-fields": "accessKey,secretKey"}
    item = secret(driver="amazonec2", fields={"accessKey": "new", "secretKey": "new"}, annotations=rotated)
    old = {"config": {"accessKey": "old"}, "secrets": {"secretKey": "old"}}
    assert plan(observed(item), id="cc-a", **old, update_secrets="on_create").action == "unchanged"
    code, (message,) = refusal(observed(item), id="cc-a", **old)
    assert code == "conflict" and message.startswith('cannot change accessKey, secretKey of cloud credential "prod"')
    assert "since an unknown time, and" in message
    assert plan(observed(item), id="cc-a", config={"accessKey": "new"}).action == "unchanged"


# Harvester

def kubeconfig(token):
    return f"users: [{{user: {{token: {token}:secret}}}}]"


def harvester(identifier, token):
    return secret(identifier, identifier, "harvester", fields={"kubeconfigContent": kubeconfig(token)})


def test_a_token_of_harvester_belongs_to_a_single_credential():
    rancher = observed(harvester("cc-a", "kubeconfig-1"), harvester("cc-b", "kubeconfig-2"))
    new = {"name": "new", "driver": "harvester"}

    def message(user):
        return (
            f"secrets.kubeconfigContent has the same Harvester token as {user}; Rancher deletes the token together "
            "with the credential, so each credential needs its own")

    used = {"secrets": {"kubeconfigContent": kubeconfig("kubeconfig-1")}}
    free = {"secrets": {"kubeconfigContent": kubeconfig("kubeconfig-3")}}
    assert refusal(rancher, **new, **used) == ("invalid", [message("cattle-global-data:cc-a")])
    assert refusal(rancher, id="cc-b", **used) == ("invalid", [message("cattle-global-data:cc-a")])
    assert plan(rancher, **new, **free).action == "created"
    assert plan(rancher, id="cc-a", **used).action == "unchanged"
    assert plan(rancher, id="cc-b", **free).action == "updated"
    assert refusal(rancher, credentials=[{**new, **free}, {"id": "cc-b", **free}]) == (
        "invalid", [f"credentials[1] (cc-b): {message('credentials[0] (new)')}"])
    swapped = [
        {"id": "cc-a", "secrets": {"kubeconfigContent": kubeconfig("kubeconfig-2")}}, {"id": "cc-b", **free},
    ]
    changes = plan_cloud_credentials(desired(credentials=swapped), rancher)
    assert [change.action for change in changes] == ["updated", "updated"]


def test_kubeconfigs_without_a_token_share_none():
    rancher = observed(harvester("cc-a", ""), secret("cc-b", "b"))
    items = [{"name": name, "driver": "harvester", "secrets": {"kubeconfigContent": "x"}} for name in ("new", "newer")]
    changes = plan_cloud_credentials(desired(credentials=items), rancher)
    assert [change.action for change in changes] == ["created", "created"]
