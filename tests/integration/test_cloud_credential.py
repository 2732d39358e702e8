# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cloud_credential with ansible-playbook: create, update, delete, and the errors."""

from __future__ import annotations

import base64
import json
import time
from contextlib import contextmanager

import pytest
import yaml

from support.cluster import MODULE, SECRETS, decoded
from support.objects import ADMIN, ALICE, CREATOR, SCHEMAS, TEMPLATES, downstream, later, namespaced

NAME, DESCRIPTION, UI_DRIVER = "field.cattle.io/name", "field.cattle.io/description", "provisioning.cattle.io/driver"
TENANT, TENANT_SINCE = (
    "cluster.management.cattle.io/azure-tenant-id",
    "cluster.management.cattle.io/azure-tenant-id-created-at",
)
MIB = 1024 * 1024

AWS = {
    "name": "aws prod",
    "driver": "amazonec2",
    "owner": "alice",
    "config": {"accessKey": "AKIA1", "defaultRegion": "eu-central-1"},
    "secrets": {"secretKey": "  canary-one \n"},
}
STORED = {
    "amazonec2": {"accessKey": "A", "secretKey": "old", "defaultRegion": "eu"},
    "azure": {"clientId": "c", "clientSecret": "s", "subscriptionId": "sub", "environment": "AzurePublicCloud"},
    "google": {"authEncodedJson": '{ "b": [1, 2],\n "a": "x" }'},
    "vmwarevsphere": {"username": "u", "password": "p", "vcenter": "v", "vcenterPort": "443"},
    "s3": {"accessKey": "A", "secretKey": "old"},
}


def fields(secret):
    """The fields of a stored credential, which must have a single driver."""
    data = decoded(secret)
    assert len({key.partition("-")[0] for key in data}) == 1, data
    return {key.partition("-")[2]: value for key, value in data.items()}


@contextmanager
def custom_driver(cluster, name, resource_fields):
    """A custom driver, as Rancher stores it."""
    cluster.api.post(
        SCHEMAS,
        {
            "apiVersion": "management.cattle.io/v3",
            "kind": "DynamicSchema",
            "metadata": {"name": f"{name}credentialconfig"},
            "spec": {"resourceFields": resource_fields},
        },
    )
    parent = {"type": f"{name}credentialconfig", "create": True, "update": True}
    cluster.api.patch(f"{SCHEMAS}/credentialconfig", {"spec": {"resourceFields": {f"{name}credentialConfig": parent}}})
    try:
        yield
    finally:
        cluster.api.patch(
            f"{SCHEMAS}/credentialconfig", {"spec": {"resourceFields": {f"{name}credentialConfig": None}}}
        )
        cluster.api.delete(f"{SCHEMAS}/{name}credentialconfig")


# Stored objects that differ from the options. Per case: options, fields, and annotations or labels that differ
# from those of AWS.
CREATIONS = {
    "trimmed": (AWS, {"accessKey": "AKIA1", "defaultRegion": "eu-central-1", "secretKey": "canary-one"}, {}),
    "defaults of the schema, where nothing is given; null keeps one out": (
        {
            "driver": "azure",
            "config": {"clientId": "c", "subscriptionId": "s", "tenantId": None},
            "secrets": {"clientSecret": "xyz"},
        },
        {"clientId": "c", "subscriptionId": "s", "clientSecret": "xyz", "environment": "AzurePublicCloud"},
        {UI_DRIVER: "azure"},
    ),
    "no defaults for s3": (
        {"driver": "s3", "config": {"accessKey": "a", "defaultSkipSSLVerify": True}, "secrets": {"secretKey": "xyz"}},
        {"accessKey": "a", "defaultSkipSSLVerify": "true", "secretKey": "xyz"},
        {UI_DRIVER: "s3"},
    ),
    "whole numbers as text": (
        {
            "driver": "vmwarevsphere",
            "config": {"vcenterPort": 8443, "vcenter": "v", "username": 7},
            "secrets": {"password": 123456},
        },
        {"vcenterPort": "8443", "vcenter": "v", "username": "7", "password": "123456"},
        {UI_DRIVER: "vmwarevsphere"},
    ),
    "a mapping as compact JSON": (
        {"driver": "google", "secrets": {"authEncodedJson": {"type": "service_account", "n": [1, True, None, "ü"]}}},
        {"authEncodedJson": '{"type":"service_account","n":[1,true,null,"ü"]}'},
        {UI_DRIVER: "gcp"},
    ),
    "owner by user id": ({**AWS, "owner": ADMIN}, None, {CREATOR: ADMIN}),
    "owner by principal id": ({**AWS, "owner": f"local://{ADMIN}"}, None, {CREATOR: ADMIN}),
    "labels and annotations": (
        {
            **AWS,
            "labels": {"team": "a", "tier": 1, "gone": None},
            "annotations": {"example.com/x": True, "gone": None},
            "description": " two\nlines ",
        },
        None,
        {"example.com/x": "true", DESCRIPTION: "two\nlines"},
    ),
    "name in any script, trimmed": (
        {**AWS, "name": "\u3000Überwachung ☁ {{ '{{' }} "},
        None,
        {NAME: "Überwachung ☁ {{"},
    ),
    "a driver of one's own": (
        {"driver": "mycloud", "config": {"zone": "b"}, "secrets": {"key": "own-key"}},
        {"zone": "b", "key": "own-key", "port": "22"},
        {UI_DRIVER: "mycloud"},
    ),
    "a driver without fields": (
        {"driver": "nofields", "validate_config": False, "config": {"zone": "b"}, "secrets": {"some_key.x": "own-key"}},
        {"zone": "b", "some_key.x": "own-key"},
        {UI_DRIVER: "nofields"},
    ),
}
MYCLOUD = {
    "zone": {"type": "string", "required": True, "options": ["a", "b"]},
    "key": {"type": "password", "required": True},
    "port": {"type": "int", "default": {"intValue": 22, "stringValue": ""}},
}


def test_create(cluster, subtests):
    tasks = [{"name": what, "owner": "alice", **case[0]} for what, case in CREATIONS.items()]
    for number, task in enumerate(tasks):
        if task["name"] == AWS["name"]:
            task["name"] = f"case {number}"
    with custom_driver(cluster, "mycloud", MYCLOUD), custom_driver(cluster, "nofields", {}):
        results = cluster.prove_all(tasks)
    for (what, (_args, expected, marks)), task, result in zip(CREATIONS.items(), tasks, results):
        with subtests.test(what):
            credential = result["credential"]
            assert (credential["action"], result["changed"]) == ("created", True), result
            assert {"name", "driver", "owner"} <= set(credential["changed_fields"])
            stored = cluster.stored(credential["id"])
            assert fields(stored) == (expected or CREATIONS["trimmed"][1])
            assert stored["type"] == "Opaque"
            assert stored["metadata"]["generateName"] == "cc-"
            assert stored["metadata"]["name"].startswith("cc-")
            assert stored["metadata"]["annotations"] == {CREATOR: ALICE, NAME: task["name"], UI_DRIVER: "aws", **marks}
            labels = {"team": "a", "tier": "1"} if "labels" in task else {}
            assert stored["metadata"]["labels"] == {"cattle.io/creator": "norman", **labels}
    secret_fields = {what: result["credential"]["secret_fields"] for what, result in zip(CREATIONS, results)}
    assert secret_fields["trimmed"] == ["secretKey"]
    assert secret_fields["a driver without fields"] == ["some_key.x", "zone"]  # without a schema, all fields are secret


def test_owner_is_the_connections_own_user(cluster):
    """Behind Rancher's proxy, the username of a connection is the id of a user."""
    args = {key: value for key, value in AWS.items() if key != "owner"}
    result = cluster.prove({**args, "impersonate_user": ALICE, "impersonate_groups": ["system:masters"]})
    assert result["credential"]["owner"] == ALICE
    assert cluster.stored(result["credential"]["id"])["metadata"]["annotations"][CREATOR] == ALICE


# Changes of an update. Per case: the stored driver, options, changed_fields, and the differences in fields, annotations
# and labels (None: removed).
UPDATES = {
    "one public field": ("amazonec2", {"config": {"defaultRegion": "us"}}, ["defaultRegion"], {"defaultRegion": "us"}),
    "one secret field": ("amazonec2", {"secrets": {"secretKey": " new\n"}}, ["secretKey"], {"secretKey": "new"}),
    "several at once": (
        "amazonec2",
        {"secrets": {"secretKey": "new"}, "config": {"accessKey": "B", "defaultRegion": "eu"}, "description": "d"},
        ["accessKey", "description", "secretKey"],
        {"secretKey": "new", "accessKey": "B"},
        {DESCRIPTION: "d"},
    ),
    "no secret with on_create": (
        "amazonec2",
        {"secrets": {"secretKey": "new"}, "config": {"accessKey": "B"}, "update_secrets": "on_create"},
        ["accessKey"],
        {"accessKey": "B"},
    ),
    "nothing with on_create": ("amazonec2", {"secrets": {"secretKey": "new"}, "update_secrets": "on_create"}, [], {}),
    "what is the same when trimmed": (
        "amazonec2",
        {"config": {"defaultRegion": " eu\n"}, "secrets": {"secretKey": "old "}, "driver": "amazonec2"},
        [],
        {},
    ),
    "a field to empty": ("amazonec2", {"config": {"defaultRegion": ""}}, ["defaultRegion"], {"defaultRegion": ""}),
    "a field removed": ("amazonec2", {"config": {"defaultRegion": None}}, ["defaultRegion"], {"defaultRegion": None}),
    "a field removed that is not there": ("azure", {"config": {"tenantId": None}}, [], {}),
    "no default filled in": ("azure", {"config": {"clientId": "d"}}, ["clientId"], {"clientId": "d"}),
    "azure, another secret": (
        "azure",
        {"secrets": {"clientSecret": "other"}},
        ["clientSecret"],
        {"clientSecret": "other"},
    ),
    "azure, another subscription": (
        "azure",
        {"config": {"subscriptionId": "other"}},
        ["subscriptionId"],
        {"subscriptionId": "other"},
        {TENANT: None, TENANT_SINCE: None},
    ),
    "azure, the same subscription": ("azure", {"config": {"subscriptionId": "sub"}}, [], {}),
    "JSON that means the same": ("google", {"secrets": {"authEncodedJson": {"a": "x", "b": [1, 2]}}}, [], {}),
    "JSON that means something else": (
        "google",
        {"secrets": {"authEncodedJson": {"a": "x", "b": [2, 1]}}},
        ["authEncodedJson"],
        {"authEncodedJson": '{"a":"x","b":[2,1]}'},
    ),
    "JSON given as other text": (
        "google",
        {"secrets": {"authEncodedJson": '{{ \'{"a":"x","b":[1,2]}\' | string }}'}},
        ["authEncodedJson"],
        {"authEncodedJson": '{"a":"x","b":[1,2]}'},
    ),
    "a number that is the stored text": ("vmwarevsphere", {"config": {"vcenterPort": 443}}, [], {}),
    "a boolean": (
        "s3",
        {"config": {"defaultSkipSSLVerify": False}},
        ["defaultSkipSSLVerify"],
        {"defaultSkipSSLVerify": "false"},
    ),
    "description": ("s3", {"description": " new "}, ["description"], {}, {DESCRIPTION: "new"}),
    "description emptied": ("s3", {"description": ""}, ["description"], {}, {DESCRIPTION: None}),
    "labels and annotations": (
        "s3",
        {
            "labels": {"team": "b", "mine": 1, "gone": None},
            "annotations": {"example.com/a": None, "example.com/b": "2", "gone": None},
        },
        ["annotations", "labels"],
        {},
        {"example.com/a": None, "example.com/b": "2"},
        {"team": "b", "mine": "1"},
    ),
    "renamed": ("s3", {"name": "a new name"}, ["name"], {}, {NAME: "a new name"}),
    "handed over": ("s3", {"owner": "admin"}, ["owner"], {}, {CREATOR: ADMIN}),
    "handed over to its owner": ("s3", {"owner": f"local://{ALICE}"}, [], {}),
    "without any schema": ("mystery", {"validate_config": False, "secrets": {"b": "c"}}, ["b"], {"b": "c"}),
    "nothing given": ("s3", {}, [], {}),
}


def test_update(cluster, subtests):
    before, tasks = [], []
    for number, (driver, args, *_expected) in enumerate(UPDATES.values()):
        before.append(
            cluster.secret(
                f"cc-case{number}",
                driver,
                STORED.get(driver, {"a": "b"}),
                f"case {number}",
                finalizers=["example.com/hold"],
                labels={"cattle.io/creator": "norman", "team": "a", "theirs": "x"},
                annotations={
                    DESCRIPTION: "old",
                    "example.com/a": "1",
                    "rancher.io/expiration-timestamp": "0",
                    TENANT: "t",
                    TENANT_SINCE: "2026",
                    UI_DRIVER: "kept",
                },
            )
        )
        by_id = number % 2 or {"name", "owner"} & set(args)
        tasks.append(
            {**({"id": f"cattle-global-data:cc-case{number}"} if by_id else {"name": f"case {number}"}), **args}
        )
    results = cluster.prove_all(tasks)
    for number, (what, case) in enumerate(UPDATES.items()):
        driver, args, changed, data, marks, labels = (*case, {}, {})[:6]
        with subtests.test(what):
            credential = results[number]["credential"]
            assert (credential["action"], credential["changed_fields"]) == (
                "updated" if changed else "unchanged",
                changed,
            )
            stored = cluster.stored(f"cc-case{number}")
            assert fields(stored) == _changed(STORED.get(driver, {"a": "b"}), data)
            old, new = before[number]["metadata"], stored["metadata"]
            assert new["annotations"] == _changed(old["annotations"], marks)
            assert new["labels"] == _changed(old["labels"], labels)
            assert new["finalizers"] == ["example.com/hold"]
            assert (new["resourceVersion"] != old["resourceVersion"]) == bool(changed)


def _changed(stored, changes):
    return {key: value for key, value in {**stored, **changes}.items() if value is not None}


def test_a_name_is_narrowed_by_driver_and_owner(cluster):
    cluster.secret("cc-one", "digitalocean", owner=ALICE)
    cluster.secret("cc-two", "digitalocean", owner=ADMIN)
    cluster.secret("cc-three", "s3", STORED["s3"], owner=ALICE)
    cluster.secret("cc-four", "digitalocean", owner="u-gone")  # a user who was deleted
    results = cluster.prove_all(
        [
            {"name": "test", "driver": "digitalocean", "owner": "alice", "description": "d"},
            {"name": "test", "owner": "admin", "description": "d"},
            {"name": "test", "driver": "s3", "description": "d"},
            {"name": "test", "owner": "u-gone", "description": "d"},
            {
                "name": "test",
                "driver": "s3",
                "owner": "admin",
                "config": {"accessKey": "n"},
                "secrets": {"secretKey": "n-secret"},
            },
        ]
    )
    assert [result["credential"]["action"] for result in results] == ["updated"] * 4 + ["created"]
    assert [result["credential"]["id"].partition(":")[2] for result in results[:4]] == [
        "cc-one",
        "cc-two",
        "cc-three",
        "cc-four",
    ]


DO = {"name": "new", "driver": "digitalocean", "owner": "alice", "secrets": {"accessToken": "first-token"}}
HARVESTER = {"driver": "harvester", "owner": "alice", "validate_config": False}


def kubeconfig(token):
    return yaml.safe_dump(
        {"apiVersion": "v1", "kind": "Config", "users": [{"name": "h", "user": {"token": token}}]}
    ).strip()


# One sentence each, before any write. Per case: options, code, words of the message.
REFUSALS = {
    "a required field": ({**AWS, "secrets": {}}, "invalid", "secrets.secretKey is required"),
    "a required field that is empty": (
        {**AWS, "config": {"accessKey": "  "}},
        "invalid",
        "config.accessKey is required",
    ),
    "a required field that is null": (
        {**AWS, "config": {"accessKey": None}},
        "invalid",
        "config.accessKey is required",
    ),
    "s3 without a required field": (
        {**AWS, "driver": "s3", "secrets": {}, "config": {"accessKey": "A"}},
        "invalid",
        "secrets.secretKey is required",
    ),
    "no config at all": ({**DO, "secrets": None}, "invalid", "config and secrets are required"),
    "a required field emptied": (
        {"id": "cc-aws", "config": {"accessKey": ""}},
        "invalid",
        "config.accessKey is required",
    ),
    "a required field removed": (
        {"id": "cc-aws", "secrets": {"secretKey": None}},
        "invalid",
        "secrets.secretKey is required",
    ),
    "a secret in config": (
        {**AWS, "config": {"accessKey": "A", "secretKey": "canary"}},
        "invalid",
        "config.secretKey is secret and belongs in secrets",
    ),
    "a public field in secrets": (
        {"id": "cc-aws", "secrets": {"defaultRegion": "x"}},
        "invalid",
        "secrets.defaultRegion is not secret and belongs in config",
    ),
    "an unknown field": (
        {**AWS, "config": {"nosuch": "1"}},
        "invalid",
        "config.nosuch is unknown; the driver has accessKey, defaultRegion, secretKey",
    ),
    "an unknown field with on_create": (
        {"id": "cc-aws", "config": {"nosuch": "1"}, "update_secrets": "on_create"},
        "invalid",
        "config.nosuch is unknown",
    ),
    "a floating point number": ({**AWS, "config": {"accessKey": 1.10}}, "invalid", "config.accessKey must be quoted"),
    "a list": ({**AWS, "secrets": {"secretKey": ["canary"]}}, "invalid", "secrets.secretKey must be a string"),
    "a value that is no option": (
        {"driver": "mycloud", "name": "n", "owner": "alice", "config": {"zone": "c"}, "secrets": {"key": "own-key"}},
        "invalid",
        "config.zone must be one of a, b",
    ),
    "an inactive driver": (
        {**DO, "driver": "linode", "secrets": {"token": "first-token"}},
        "invalid",
        "driver linode has no credentials in this Rancher",
    ),
    "an unknown driver": ({**DO, "driver": "nope"}, "invalid", "driver nope has no credentials in this Rancher"),
    "a driver without fields": ({**DO, "driver": "nofields"}, "invalid", "validate_config: false"),
    "no driver": ({**DO, "driver": None}, "invalid", "driver is required"),
    "a field name with a dash": (
        {**DO, "driver": "nofields", "validate_config": False, "secrets": {"a-b": "first-token"}},
        "invalid",
        "secrets.a-b is not a field name",
    ),
    "another driver, by id": (
        {"id": "cc-aws", "driver": "s3"},
        "invalid",
        "the driver of a cloud credential cannot be changed to s3",
    ),
    "no owner": ({**DO, "owner": None}, "invalid", "owner is required"),
    "an unknown owner": (
        {**DO, "owner": "bob"},
        "not_found",
        "owner bob is not the id, username or principal id of a user",
    ),
    "an unknown owner to hand over to": (
        {"id": "cc-aws", "owner": "bob"},
        "not_found",
        "owner bob is not the id, username or principal id of a user",
    ),
    "neither name nor id": ({"driver": "s3"}, "invalid", "name or id is required"),
    "an empty name": ({**DO, "name": " \n"}, "invalid", "name must not be empty"),
    "a name that is too long": ({**DO, "name": "x" * 262144}, "invalid", "name has 262144 bytes"),
    "a description that is too long": (
        {**DO, "description": "ü" * 131072},
        "invalid",
        "the limit of Kubernetes is 262144",
    ),
    "a value that is too long": (
        {**DO, "secrets": {"accessToken": "x" * (MIB + 1)}},
        "invalid",
        "the limit of a Secret is 1048576",
    ),
    "values that are too long together": (
        {"id": "cc-aws", "secrets": {"secretKey": "x" * (MIB - 2)}},
        "invalid",
        "the limit of a Secret is 1048576",
    ),
    "a reserved annotation": (
        {"id": "cc-aws", "annotations": {CREATOR: ADMIN}},
        "invalid",
        "the option for it is owner",
    ),
    "a reserved annotation of the UI": (
        {"id": "cc-aws", "annotations": {UI_DRIVER: "x"}},
        "invalid",
        "the option for it is driver",
    ),
    "a reserved label": ({"id": "cc-aws", "labels": {"cattle.io/creator": "me"}}, "invalid", "is reserved by Rancher"),
    "an impossible label": ({"id": "cc-aws", "labels": {"team": "a b"}}, "invalid", "the value of team must be"),
    "an impossible annotation": ({"id": "cc-aws", "annotations": {"a b": "x"}}, "invalid", "a b is not a valid key"),
    "an unknown id": ({"id": "cc-nosuch", "description": "x"}, "not_found", "cattle-global-data:cc-nosuch"),
    "an id of another namespace": ({"id": "default:cc-aws"}, "invalid", "id must be of namespace cattle-global-data"),
    "an id that is none": ({"id": "../cc-aws"}, "invalid", "id must be cattle-global-data:NAME or NAME"),
    "two of the name": ({"name": "twin", "description": "x"}, "ambiguous", "cc-twin1"),
    "two of the name, to delete": ({"name": "twin", "state": "absent"}, "ambiguous", "cc-twin2"),
    "fields of two drivers": (
        {"id": "cc-mixed", "description": "x"},
        "invalid",
        "has fields of several drivers (amazonec2, s3)",
    ),
    "one that is being deleted": (
        {"id": "cc-going", "description": "x"},
        "conflict",
        "is being deleted and waits for example.com/hold",
    ),
    "a Harvester token of another": (
        {**HARVESTER, "name": "h2", "secrets": {"kubeconfigContent": kubeconfig("kubeconfig-u-1:aa")}},
        "invalid",
        "the same Harvester token as cattle-global-data:cc-harvester",
    ),
    "a Harvester token of another, as an update": (
        {"id": "cc-other", "validate_config": False, "secrets": {"kubeconfigContent": kubeconfig("kubeconfig-u-1:bb")}},
        "invalid",
        "the same Harvester token as cattle-global-data:cc-harvester",
    ),
    "a Harvester token twice": (
        {
            "credentials": [
                {**HARVESTER, "name": name, "secrets": {"kubeconfigContent": kubeconfig("kubeconfig-u-7:cc")}}
                for name in ("h3", "h4")
            ]
        },
        "invalid",
        "credentials[1] (h4): secrets.kubeconfigContent has the same Harvester token as credentials[0] (h3)",
    ),
    "a Harvester token that is deleted with its credential": (
        {
            "credentials": [
                {"id": "cc-harvester", "state": "absent"},
                {**HARVESTER, "name": "h5", "secrets": {"kubeconfigContent": kubeconfig("kubeconfig-u-1:aa")}},
            ]
        },
        "invalid",
        "the same Harvester token as cattle-global-data:cc-harvester",
    ),
    "an unknown option": ({**DO, "drivre": "x"}, "invalid", "unknown option drivre"),
    "a wrong choice": ({**DO, "state": "gone"}, "invalid", "state must be one of present, absent"),
    "a wrong type": ({**DO, "secrets": "canary"}, "invalid", "secrets must be a mapping, not this string"),
    "no valid boolean": ({**DO, "force": "canary"}, "invalid", "force must be true or false, not this string"),
    "one and many": ({"name": "a", "credentials": [DO]}, "invalid", "credentials and name are mutually exclusive"),
}


def test_refused(cluster, subtests):
    cluster.secret("cc-aws", "amazonec2", STORED["amazonec2"])
    cluster.secret("cc-twin1", owner=ALICE, display_name="twin")
    cluster.secret("cc-twin2", owner=ADMIN, display_name="twin")
    cluster.secret("cc-going", display_name="going", finalizers=["example.com/hold"])
    cluster.api.delete(f"{SECRETS}/cc-going")
    cluster.secret("cc-harvester", "harvester", {"kubeconfigContent": kubeconfig("kubeconfig-u-1:aa")}, "harvester")
    cluster.secret("cc-other", "harvester", {"kubeconfigContent": kubeconfig("kubeconfig-u-2:aa")}, "other")
    cluster.secret("cc-mixed", "s3", STORED["s3"], "mixed")
    cluster.api.patch(f"{SECRETS}/cc-mixed", {"stringData": {"amazonec2credentialConfig-accessKey": "x"}})
    tasks = [{MODULE: args} for args, _code, _words in REFUSALS.values()]
    mark = cluster.control_plane.audit_mark()
    with custom_driver(cluster, "mycloud", MYCLOUD), custom_driver(cluster, "nofields", {}):
        played = cluster.play(*tasks)
    assert not cluster.writes(mark)
    assert len(played.results) == len(tasks), played.output
    for (what, (_args, code, words)), result in zip(REFUSALS.items(), played.results):
        with subtests.test(what):
            assert (result.get("failed"), result.get("code"), result.get("changed", False)) == (True, code, False), (
                result
            )
            assert words in result["msg"]
            assert "canary" not in result["msg"] and len(result["msg"]) < 500 and "\n" not in result["msg"]


def test_a_credential_with_its_own_harvester_token_is_accepted(cluster):
    cluster.secret("cc-one", "harvester", {"kubeconfigContent": kubeconfig("kubeconfig-u-1:aa")}, "one")
    cluster.secret("cc-two", "harvester", {"kubeconfigContent": kubeconfig("kubeconfig-u-2:bb")}, "two")

    def give(identifier, token):
        return {"id": identifier, "validate_config": False, "secrets": {"kubeconfigContent": kubeconfig(token)}}

    results = cluster.prove_all(
        [
            give("cc-one", "kubeconfig-u-1:aa"),
            give("cc-one", "kubeconfig-u-1:renewed"),
            {"credentials": [give("cc-one", "kubeconfig-u-2:bb"), give("cc-two", "kubeconfig-u-1:aa")]},
        ]
    )
    assert [result["changed"] for result in results] == [False, True, True]
    assert "kubeconfig-u-2" in fields(cluster.stored("cc-one"))["kubeconfigContent"]


def test_values_of_the_maximum_size(cluster):
    """A byte less than what is refused is stored: the limits are those of the API server."""
    value = "x" * MIB
    rest = sum(map(len, (CREATOR, ALICE, NAME, "long", UI_DRIVER, "digitalocean", DESCRIPTION)))
    results = cluster.prove_all(
        [
            {**DO, "secrets": {"accessToken": value}},
            {**DO, "name": "long", "description": "x" * (262144 - rest)},
        ]
    )
    assert [result["credential"]["action"] for result in results] == ["created", "created"]
    assert fields(cluster.stored(results[0]["credential"]["id"])) == {"accessToken": value}
    assert (
        cluster.play({MODULE: {**DO, "name": "long", "description": "x" * (262145 - rest)}}).result["code"] == "invalid"
    )


def test_delete(cluster):
    cluster.secret("cc-named")
    cluster.secret("cc-by-id", display_name="other")
    cluster.secret("cc-mixed", "s3", STORED["s3"], "mixed")
    cluster.api.patch(f"{SECRETS}/cc-mixed", {"stringData": {"amazonec2credentialConfig-accessKey": "x"}})
    mark = cluster.control_plane.audit_mark()
    results = cluster.prove_all(
        [
            {"state": "absent", **args}
            for args in (
                {"name": "test"},
                {"id": "cattle-global-data:cc-by-id"},
                {"id": "cc-mixed"},
                {"id": "cc-nosuch"},
                {"name": "nosuch", "driver": "nosuch"},
            )
        ]
    )
    assert [result["credential"]["action"] for result in results] == ["deleted"] * 3 + ["unchanged"] * 2
    assert results[0]["credential"]["secret_fields"] == ["accessToken"]
    assert not cluster.secrets()
    assert [entry.verb for entry in cluster.writes(mark)].count("delete") == 3


def test_deleting_another_driver_is_refused(cluster):
    cluster.secret("cc-one")
    result = cluster.play({MODULE: {"id": "cc-one", "driver": "s3", "state": "absent"}}).result
    assert result["code"] == "invalid"
    assert cluster.secrets()


# Where a credential may be named, and what is there then. NAME is replaced with the credential's metadata.name.
PLACES = {
    "spec.cloudCredentialName": ("NodeTemplate", lambda value: {"cloudCredentialName": value}),
    "spec.cloudCredentialSecretName": ("Cluster", lambda value: {"cloudCredentialSecretName": value}),
    "spec.rkeConfig.machinePools[].cloudCredentialSecretName": (
        "Cluster",
        lambda value: {
            "rkeConfig": {"machinePools": [{"name": "a"}, {"name": "b", "cloudCredentialSecretName": value}]}
        },
    ),
    "spec.rkeConfig.etcd.s3.cloudCredentialName": (
        "Cluster",
        lambda value: {"rkeConfig": {"etcd": {"s3": {"cloudCredentialName": value}}}},
    ),
}
SPELLINGS = {  # what Rancher reads as the credential, whatever precedes the separator
    "cattle-global-data:NAME": True,
    "other:NAME": True,
    "cattle-global-data/NAME": True,
    "NAME": False,
    "cattle-global-data:NAMEx": False,
    "": False,
}


def test_in_use(cluster, subtests):
    cases = [(field, spelling, used) for field in PLACES for spelling, used in SPELLINGS.items()]
    cases.append(("spec.cloudCredentialSecretName", "NAME", True))  # a bare name is one of the object's own namespace
    for number, (field, spelling, _used) in enumerate(cases):
        cluster.secret(f"cc-case{number:02}", display_name=f"case {number}")
        kind, spec = PLACES[field]
        content = spec(spelling.replace("NAME", f"cc-case{number:02}"))
        if kind == "Cluster":
            downstream(
                cluster,
                f"cluster{number}",
                content,
                "cattle-global-data" if number == len(cases) - 1 else "fleet-default",
            )
        else:
            cluster.api.post(
                TEMPLATES,
                {
                    "apiVersion": "management.cattle.io/v3",
                    "kind": kind,
                    "metadata": {"name": f"nt-{number}", "namespace": "cattle-global-nt"},
                    "spec": content,
                },
            )
    names = [f"case {number}" for number in range(len(cases))]
    try:
        result = cluster.prove({"state": "absent", "credentials": [{"name": name} for name in names]})
        forced = cluster.prove({"state": "absent", "force": True, "credentials": [{"name": name} for name in names]})
    finally:
        cluster.api.delete(f"{namespaced('cattle-global-data')}/cluster{len(cases) - 1}")
    assert result["code"] == "in_use"
    for number, (field, spelling, used) in enumerate(cases):
        with subtests.test(f"{field} {spelling!r}"):
            item, overridden = result["credentials"][number], forced["credentials"][number]
            assert item["name"] == names[number]
            if not used:
                assert (item["action"], item["references"]) == ("deleted", [])
                continue
            kind = PLACES[field][0]
            reference = {
                "kind": kind,
                "field": field,
                "name": f"cluster{number}" if kind == "Cluster" else f"nt-{number}",
                "api_version": "provisioning.cattle.io/v1" if kind == "Cluster" else "management.cattle.io/v3",
                "namespace": "cattle-global-nt"
                if kind != "Cluster"
                else "cattle-global-data"
                if number == len(cases) - 1
                else "fleet-default",
            }
            assert (item["action"], item["code"], item["references"]) == ("refused", "in_use", [reference])
            assert reference["name"] in item["msg"] and reference in result["references"]
            assert (overridden["action"], overridden["references"]) == ("deleted", [reference])
    assert not cluster.secrets()


def test_several_references_to_the_same_credential(cluster):
    cluster.secret("cc-one")
    pools = [
        {"name": "a", "cloudCredentialSecretName": "cattle-global-data:cc-one"},
        {"name": "b", "cloudCredentialSecretName": "cattle-global-data:cc-one"},
    ]
    downstream(
        cluster,
        "zeta",
        {"cloudCredentialSecretName": "cattle-global-data:cc-one", "rkeConfig": {"machinePools": pools}},
    )
    downstream(cluster, "alpha", {"cloudCredentialSecretName": "cattle-global-data:cc-one"})
    result = cluster.prove({"name": "test", "state": "absent"})
    assert (result["code"], result["credential"]["action"]) == ("in_use", "refused")
    assert {(entry["name"], entry["field"].rpartition(".")[0]) for entry in result["references"]} == {
        ("alpha", "spec"),
        ("zeta", "spec"),
        ("zeta", "spec.rkeConfig.machinePools[]"),
    }
    assert cluster.secrets()


def test_wait_until_a_credential_is_not_in_use(cluster):
    cluster.secret("cc-one")
    downstream(cluster, "going", {"cloudCredentialSecretName": "cattle-global-data:cc-one"})
    args = {"name": "test", "state": "absent", "wait": True, "wait_sleep": "1s"}
    began = time.monotonic()
    result = cluster.play({MODULE: {**args, "wait_timeout": "2s"}}).result
    assert (result["code"], time.monotonic() - began > 2) == ("in_use", True)
    with later(3, lambda: cluster.api.delete(f"{namespaced('fleet-default')}/going")):
        result = cluster.play({MODULE: {**args, "wait_timeout": "30s"}}).result
    assert (result["changed"], result["credential"]["action"]) == (True, "deleted")
    assert not cluster.secrets()


def test_a_finalizer_delays_the_deletion(cluster):
    def release():
        cluster.api.patch(f"{SECRETS}/cc-one", {"metadata": {"finalizers": None}})

    cluster.secret("cc-one", finalizers=["example.com/hold"])
    gone = {"name": "test", "state": "absent"}
    first, second = cluster.play({MODULE: gone}, {MODULE: gone}).results
    assert first["credential"]["action"] == "deleted"
    assert "example.com/hold" in " ".join(first["warnings"])
    assert second["credential"]["action"] == "unchanged"
    release()
    assert not cluster.secrets()

    cluster.secret("cc-one", finalizers=["example.com/hold"])
    began = time.monotonic()
    held = cluster.play({MODULE: {**gone, "wait": True, "wait_timeout": "1s", "wait_sleep": "1s"}}).result
    assert (held["code"], "example.com/hold" in held["msg"]) == ("conflict", True)
    assert time.monotonic() - began > 1
    release()

    cluster.secret("cc-one", finalizers=["example.com/hold"])
    with later(3, release):
        waited = cluster.play({MODULE: {**gone, "wait": True, "wait_timeout": "30s", "wait_sleep": "1s"}}).result
    assert (waited["credential"]["action"], waited.get("warnings")) == ("deleted", None)
    assert not cluster.secrets()


def test_diff_shows_public_values_and_which_secrets_change(cluster):
    cluster.secret("cc-one", "amazonec2", STORED["amazonec2"], annotations={"example.com/theirs": "x"})
    result = cluster.prove(
        {
            "id": "cc-one",
            "name": "new",
            "config": {"defaultRegion": "us"},
            "secrets": {"secretKey": "new-value"},
            "annotations": {"example.com/mine": "1"},
        }
    )
    before, after = result["diff"]["before"], result["diff"]["after"]
    assert (before["name"], after["name"]) == ("test", "new")
    assert before["config"] == {"accessKey": "A", "defaultRegion": "eu"} and after["config"] == {
        "accessKey": "A",
        "defaultRegion": "us",
    }
    assert set(before["secrets"]) == {"secretKey"} and before["secrets"] != after["secrets"]
    assert after["annotations"] == {"example.com/mine": "1"}
    encoded = base64.b64encode(b"new-value").decode()
    assert not [word for word in ("new-value", encoded, "old") if word in json.dumps(result["diff"])]
    unchanged = cluster.play({MODULE: {"id": "cc-one", "secrets": {"secretKey": "new-value"}}, "diff": True}).result
    assert unchanged["diff"]["before"] == unchanged["diff"]["after"]


@pytest.mark.slow
def test_as_module(cluster):
    result = cluster.prove(AWS, as_module=True)
    assert result["credential"]["action"] == "created"
    assert "as a module" in cluster.play({MODULE: AWS}, as_module=True, arguments=["-vvv"]).output
