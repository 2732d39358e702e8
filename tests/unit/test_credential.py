# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning of cloud credentials: after a planned change has been written, the next plan is unchanged."""

from __future__ import annotations

import base64
import copy
import time
from dataclasses import replace

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.errors import (
    FailureWithResult,
    RanchhandError,
    ValidationErrors,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.cloud_credential import (
    parse_cloud_credential,
    show_cloud_credential,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.driver_schema import DriverSchemas
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.users import User, Users
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.cloud_credential_plan import (
    CREDENTIAL_CALL_OPTIONS,
    ObservedCredentials,
    credential_catalog,
    parse_desired_credentials,
    plan_cloud_credentials,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.planning import Change
from ansible_collections.ranchhand.rancher.plugins.module_utils._resources.report import report
from ansible_collections.ranchhand.rancher.plugins.module_utils._runtime.execute import RunMode
from hypothesis import assume, given
from hypothesis import strategies as st

DEFAULT = {"stringValue": ""}
SCHEMAS = DriverSchemas(
    [
        {"metadata": {"name": "credentialconfig"}, "spec": {"resourceFields": {"azurecredentialConfig": {}}}},
        {
            "metadata": {"name": "azurecredentialconfig"},
            "spec": {
                "resourceFields": {
                    "clientId": {"required": True, "default": DEFAULT},
                    "clientSecret": {"type": "password", "required": True, "default": DEFAULT},
                    "subscriptionId": {"default": DEFAULT},
                    "tenantId": {"default": DEFAULT},
                    "environment": {"default": {"stringValue": "AzurePublicCloud"}},
                }
            },
        },
    ]
)
USERS = Users([User("u-a", "alice"), User("u-b", "bob", ("local://b",))])
TENANT = "cluster.management.cattle.io/azure-tenant-id"

VALUES = (
    st.text(max_size=5)
    | st.integers()
    | st.booleans()
    | st.dictionaries(st.text(max_size=3), st.integers() | st.lists(st.text(max_size=2)), max_size=3)
)
ENTRIES = st.dictionaries(
    st.sampled_from(["example.com/a", "b", "foo.cattle.io/c"]),
    st.none() | st.sampled_from(["", "x", "y", 5, True]),
    max_size=3,
)


def texts(**fields):
    return {name: base64.b64encode(value.encode()).decode() for name, value in fields.items()}


STORED = st.builds(
    lambda fields, description, labels, annotations: {
        "metadata": {
            "name": "cc-a",
            "uid": "1",
            "resourceVersion": "5",
            "finalizers": ["example.com/hold"],
            "labels": labels,
            "annotations": {
                **annotations,
                "field.cattle.io/name": "test",
                "field.cattle.io/creatorId": "u-a",
                TENANT: "cached",
                **({"field.cattle.io/description": description} if description else {}),
            },
        },
        "data": {f"azurecredentialConfig-{key}": value for key, value in texts(**fields).items()},
    },
    st.dictionaries(
        st.sampled_from(["clientId", "clientSecret", "subscriptionId", "tenantId"]),
        st.text(max_size=5) | st.just('{"a": 1}'),
        min_size=1,
    ),
    st.text(max_size=5),
    st.dictionaries(st.sampled_from(["b", "theirs"]), st.just("x")),
    st.dictionaries(st.sampled_from(["example.com/a", "theirs"]), st.just("x")),
)
WANTED = st.fixed_dictionaries(
    {
        "config": st.dictionaries(st.sampled_from(["subscriptionId", "tenantId", "environment"]), st.none() | VALUES)
        | st.dictionaries(st.just("clientId"), VALUES),
        "secrets": st.dictionaries(st.just("clientSecret"), VALUES),
    },
    optional={
        "description": st.text(max_size=5),
        "owner": st.sampled_from(["alice", "u-b", "local://b"]),
        "labels": ENTRIES,
        "annotations": ENTRIES,
        "update_secrets": st.sampled_from(["always", "on_create"]),
        "driver": st.just("azure"),
    },
)


OPTIONS = ("name", "id", "driver", "owner", "description", "labels", "annotations", "config", "secrets")


def wanted(**options):
    defaults = {
        "state": "present",
        "force": False,
        "update_secrets": "always",
        "validate_config": True,
        "wait": False,
        "wait_timeout": 1,
        "wait_sleep": 1,
        "overwrite_rotated": False,
        "verify": False,
        "verify_options": None,
    }
    assert set(defaults) == set(CREDENTIAL_CALL_OPTIONS)
    return parse_desired_credentials({**dict.fromkeys(OPTIONS), **defaults, **options})


def plan(desired, *secrets, me=None):
    stored = credential_catalog([parse_cloud_credential(secret) for secret in secrets])
    return plan_cloud_credentials(desired, ObservedCredentials(stored, SCHEMAS, USERS, me))


def merge_patch(target, patch):
    """What a JSON merge patch (RFC 7386) makes of a mapping."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


@given(STORED, WANTED)
def test_a_plan_after_an_update_is_unchanged(secret, options):
    before = copy.deepcopy(secret)
    try:
        desired = wanted(id="cc-a", **options)
        (change,) = plan(desired, secret)
    except ValidationErrors:
        assume(False)
    assert secret == before
    if not change.writes:
        assert (change.action, change.body, change.changed_fields) == ("unchanged", {}, ())
        return
    assert change.action == "updated" and change.changed_fields
    assert (change.body["metadata"]["uid"], change.body["metadata"]["resourceVersion"]) == ("1", "5")
    patched = merge_patch(secret, change.body)
    (again,) = plan(desired, patched)
    assert again.action == "unchanged"
    assert show_cloud_credential(change.after, SCHEMAS) == show_cloud_credential(
        parse_cloud_credential(patched), SCHEMAS
    )
    # no other field has changed
    given_fields = {*options["config"], *options["secrets"]}
    assert set(change.changed_fields) <= given_fields | {"description", "owner", "labels", "annotations"}
    for key, value in secret["data"].items():
        if key.partition("-")[2] not in given_fields:
            assert patched["data"][key] == value
    assert patched["metadata"]["finalizers"] == ["example.com/hold"]
    assert (TENANT in patched["metadata"]["annotations"]) == ("subscriptionId" not in change.changed_fields)
    for kind in ("labels", "annotations"):
        assert ("theirs" in secret["metadata"][kind]) == ("theirs" in patched["metadata"][kind])


@given(WANTED, VALUES.filter(lambda value: not isinstance(value, str) or value.strip()))
def test_a_plan_after_a_creation_is_unchanged(options, value):
    desired = wanted(
        **{
            "name": "test",
            **options,
            "driver": "azure",
            "config": {**options["config"], "clientId": value},
            "secrets": {"clientSecret": value},
        }
    )
    (change,) = plan(desired, me="u-a")
    assert change.action == "created"
    stored = {
        **change.body,
        "metadata": {**change.body["metadata"], "name": "cc-x", "uid": "1", "resourceVersion": "1"},
    }
    (again,) = plan(desired, stored, me="u-a")
    assert again.action == "unchanged"
    created = parse_cloud_credential(stored)
    assert created.problem is None
    assert {**show_cloud_credential(change.after, SCHEMAS), "id": created.full_id} == show_cloud_credential(
        created, SCHEMAS
    )


ROTATED = {
    "ranchhand.cattle.io/rotated-fields": "clientSecret",
    "ranchhand.cattle.io/rotated-at": "2026-01-31T12:00:00Z",
}


def test_a_rotated_field_is_overwritten_only_if_that_is_asked_for():
    rotated = secret()
    rotated["metadata"]["annotations"].update(ROTATED)
    declared = {"id": "cc-a", "config": {"tenantId": "t"}, "secrets": {"clientSecret": "old"}}
    for refused in (declared, {**declared, "force": True}):
        with pytest.raises(ValidationErrors) as caught:
            plan(wanted(**refused), rotated)
        assert caught.value.code == "conflict"
        message = str(caught.value)
        for part in (
            "clientSecret",
            '"test" (cattle-global-data:cc-a)',
            "2026-01-31T12:00:00Z",
            "on_create",
            "overwrite_rotated",
        ):
            assert part in message, part
    (kept,) = plan(wanted(**declared, update_secrets="on_create"), rotated)
    assert kept.changed_fields == ("tenantId",)
    (overwritten,) = plan(wanted(**declared, overwrite_rotated=True), rotated)
    assert overwritten.changed_fields == ("clientSecret", "tenantId")


def test_the_item_of_a_list_decides_on_rotated_fields_before_the_call():
    items = [{"id": "cc-a"}, {"id": "cc-b", "overwrite_rotated": False}]
    desired = wanted(credentials=[{**dict.fromkeys(OPTIONS), **item} for item in items], overwrite_rotated=True)
    assert [item.overwrite_rotated for item in desired] == [True, False]


def secret(name="cc-a", **more):
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "resourceVersion": "1",
            "annotations": {"field.cattle.io/name": "test", "field.cattle.io/creatorId": "u-a"},
            **more,
        },
        "data": {f"azurecredentialConfig-{key}": value for key, value in texts(clientId="c", clientSecret="s").items()},
    }


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"a": "eA=="},
        {"Config": "eA=="},
        {"azurecredentialConfig-a-b": "eA=="},
        {"azurecredentialConfigs-a": "eA=="},
        {"a-b": "eA=="},
    ],
)
def test_secrets_that_are_not_credentials(data):
    assert parse_cloud_credential({**secret(), "data": data}) is None


@pytest.mark.parametrize(
    ("keys", "driver", "problem"),
    [
        pytest.param(
            ["azurecredentialConfig-a", "azurecredentialConfig-b", "foo-bar"],
            "azure",
            None,
            id="driver and an unrelated key",
        ),
        pytest.param(
            ["azurecredentialConfig-a", "s3credentialConfig-a"],
            None,
            "several drivers (azure, s3)",
            id="two drivers",
        ),
        pytest.param(["azureConfig-a"], None, "azureConfig", id="config of a node driver"),
        pytest.param(["credentialConfig-a"], None, "credentialConfig", id="no driver before credentialConfig"),
        pytest.param(["Config-a"], None, "Config", id="no driver before Config"),
    ],
)
def test_the_keys_of_the_data_decide_on_the_driver(keys, driver, problem):
    credential = parse_cloud_credential({**secret(), "data": dict.fromkeys(keys, "eA==")})
    assert credential.driver == driver
    assert problem in credential.problem if problem else credential.problem is None


def test_results_and_reprs_contain_no_secret():
    value = texts(clientSecret="canary-one")["clientSecret"]
    credential = parse_cloud_credential(
        {**secret(), "data": {"azurecredentialConfig-clientSecret": value, "azurecredentialConfig-unknown": value}}
    )
    desired = wanted(id="cc-a", secrets={"clientSecret": "canary-two"})
    (change,) = plan(desired, secret())
    shown = show_cloud_credential(credential, SCHEMAS)
    assert (shown["config"], shown["secret_fields"]) == ({}, ["clientSecret", "unknown"])
    assert show_cloud_credential(credential, None)["secret_fields"] == ["clientSecret", "unknown"]
    text = repr([credential, desired, change, shown])
    assert not [form for form in ("canary", value, texts(clientSecret="canary-two")["clientSecret"]) if form in text]


@pytest.mark.parametrize("change", [{"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x"]}])
def test_an_object_that_is_being_deleted(change):
    (planned,) = plan(wanted(id="cc-a", state="absent"), secret(**change))
    assert planned.action == "unchanged"
    with pytest.raises(ValidationErrors) as caught:
        plan(wanted(id="cc-a", description="x"), secret(**change))
    assert caught.value.code == "conflict"


INCOMPLETE = {
    "a misspelt field": (
        {"driver": "azure", "config": {"clientID": "i", "clientId": "i"}, "secrets": {"clientSecret": "s"}},
        ["owner is required", "config.clientID is unknown (did you mean clientId?)"],
    ),
    "a misspelt driver": (
        {"driver": "azur", "config": {"clientId": "i"}},
        ["owner is required", "driver azur has no credentials in this Rancher (did you mean azure?)"],
    ),
    "a required field": (
        {"driver": "azure", "config": {"clientId": "i"}},
        ["owner is required", "secrets.clientSecret is required"],
    ),
    "no field": ({"driver": "azure"}, ["owner is required", "config and secrets are required"]),
    "no driver": ({"config": {"clientID": "i"}}, ["driver is required", "owner is required"]),
}


@pytest.mark.parametrize(("options", "messages"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_a_new_credential_without_an_owner_is_validated_completely(options, messages):
    with pytest.raises(ValidationErrors) as caught:
        plan(wanted(name="new", **options))
    assert (caught.value.code, len(caught.value.messages)) == ("invalid", len(messages))
    for found, message in zip(caught.value.messages, messages):
        assert message in found


@pytest.mark.parametrize("driver", ["my-driver", "fooConfig", "a-Config", "-"])
def test_a_driver_that_rancher_cannot_read_is_rejected(driver):
    """Otherwise the next run would not find the credential and create another one."""
    desired = wanted(driver=driver, owner="u-a", name="x", secrets={"token": "x"}, validate_config=False)
    with pytest.raises(ValidationErrors, match=f"driver {driver} cannot have credentials"):
        plan(desired)


@pytest.mark.parametrize("stored", [True, False], ids=["update", "creation"])
def test_a_field_that_rancher_cannot_read_is_rejected(stored):
    schemas = DriverSchemas([
        {"metadata": {"name": "credentialconfig"}, "spec": {"resourceFields": {"dashcredentialConfig": {}}}},
        {"metadata": {"name": "dashcredentialconfig"}, "spec": {"resourceFields": {"a-b": {}, "c": {}}}},
    ])
    secret = {"metadata": {"name": "cc-a", "uid": "1", "resourceVersion": "1", "annotations": {
        "field.cattle.io/creatorId": "u-a"}}, "data": {"dashcredentialConfig-c": "eA=="}}
    catalog = credential_catalog([parse_cloud_credential(secret)] if stored else [])
    desired = wanted(name="cc-a" if stored else "x", driver="dash", owner="u-a", config={"a-b": "x", "c": "y"})
    with pytest.raises(ValidationErrors, match="^(no cloud.*)?a-b cannot be a field of a cloud credential"):
        plan_cloud_credentials(desired, ObservedCredentials(catalog, schemas, USERS))


EXPIRY = "rancher.io/expiration-timestamp"


@pytest.mark.parametrize("options, annotations", [
    pytest.param({"secrets": {"kubeconfigContent": "new"}}, {}, id="a new kubeconfig"),
    pytest.param({"secrets": {"kubeconfigContent": "old"}}, {EXPIRY: "1"}, id="the same kubeconfig"),
    pytest.param({"description": "new"}, {EXPIRY: "1"}, id="another option"),
    pytest.param(
        {"secrets": {"kubeconfigContent": "new"}, "annotations": {EXPIRY: "2"}}, {EXPIRY: "2"},
        id="its own annotation"),
])
def test_the_expiry_of_a_former_token_is_removed(options, annotations):
    secret = {
        "metadata": {"name": "cc-a", "uid": "1", "resourceVersion": "1", "annotations": {
            "field.cattle.io/creatorId": "u-a", EXPIRY: "1"}},
        "data": {f"harvestercredentialConfig-{key}": value for key, value in texts(kubeconfigContent="old").items()},
    }
    change, = plan(wanted(id="cc-a", validate_config=False, **options), secret)
    after = merge_patch(secret, change.body)["metadata"]["annotations"]
    assert {key: value for key, value in after.items() if key == EXPIRY} == annotations


def test_owners_are_found_without_a_search_of_all_users():
    users = Users([User(f"u-{number}", f"name {number}", (f"local://{number}",)) for number in range(20_000)])
    start = time.process_time()
    for number in range(20_000):
        assert users.find(f"local://{number}") == users.find(f"name {number}") == f"u-{number}"
    assert time.process_time() - start < 5


def test_messages_about_ambiguous_names_are_short():
    secrets = [
        {"metadata": {"name": f"cc-{number}", "uid": "1", "resourceVersion": "1", "annotations": {
            "field.cattle.io/name": "x", "field.cattle.io/creatorId": "u" * 5000,
        }}, "data": {"azurecredentialConfig-a": ""}}
        for number in range(1000)
    ]
    with pytest.raises(ValidationErrors, match="1000 cloud credentials .* and 995 more") as refused:
        plan(wanted(name="x", description="new"), *secrets)
    assert len(refused.value.message) < 2000


def test_the_message_about_a_thousand_failed_items_is_short():
    items = [wanted(name=f"name {number}")[0] for number in range(1000)]
    error = RanchhandError("conflict", "x" * 100)
    changes = [Change(replace(item, where=f"credentials[{number}]: "), "failed", error=error)
               for number, item in enumerate(items)]
    with pytest.raises(FailureWithResult) as failure:
        report(changes, [], None, show_cloud_credential, RunMode(), "credential", True)
    assert failure.value.message.endswith("; and 980 more items") and len(failure.value.message) < 3000
    assert {item["msg"] for item in failure.value.result["credentials"]} == {error.message}
