# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cloud_credential with ansible-playbook: create, update, delete, and the errors."""

from __future__ import annotations

import base64
import dataclasses
import json
import time
import typing as t
from contextlib import contextmanager

import pytest
import yaml

from support.cluster import MODULE, SECRETS, decoded
from support.objects import ADMIN, ALICE, CREATOR, SCHEMAS, TEMPLATES, downstream, later, namespaced
from support.refusals import Refusal, check_refusals

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


@dataclasses.dataclass(frozen=True)
class Creation:
    """Options, and what is stored; without fields, those of AWS. The annotations are those that differ from AWS's."""

    options: dict
    fields: dict | None = None
    annotations: dict = dataclasses.field(default_factory=dict)


# Stored objects that differ from the options.
CREATIONS = {
    "trimmed": Creation(AWS, fields={"accessKey": "AKIA1", "defaultRegion": "eu-central-1", "secretKey": "canary-one"}),
    "defaults of the schema, where nothing is given; null keeps one out": Creation(
        {
            "driver": "azure",
            "config": {"clientId": "c", "subscriptionId": "s", "tenantId": None},
            "secrets": {"clientSecret": "xyz"},
        },
        fields={"clientId": "c", "subscriptionId": "s", "clientSecret": "xyz", "environment": "AzurePublicCloud"},
        annotations={UI_DRIVER: "azure"},
    ),
    "no defaults for s3": Creation(
        {"driver": "s3", "config": {"accessKey": "a", "defaultSkipSSLVerify": True}, "secrets": {"secretKey": "xyz"}},
        fields={"accessKey": "a", "defaultSkipSSLVerify": "true", "secretKey": "xyz"},
        annotations={UI_DRIVER: "s3"},
    ),
    "whole numbers as text": Creation(
        {
            "driver": "vmwarevsphere",
            "config": {"vcenterPort": 8443, "vcenter": "v", "username": 7},
            "secrets": {"password": 123456},
        },
        fields={"vcenterPort": "8443", "vcenter": "v", "username": "7", "password": "123456"},
        annotations={UI_DRIVER: "vmwarevsphere"},
    ),
    "a mapping as compact JSON": Creation(
        {"driver": "google", "secrets": {"authEncodedJson": {"type": "service_account", "n": [1, True, None, "ü"]}}},
        fields={"authEncodedJson": '{"type":"service_account","n":[1,true,null,"ü"]}'},
        annotations={UI_DRIVER: "gcp"},
    ),
    "owner by user id": Creation({**AWS, "owner": ADMIN}, annotations={CREATOR: ADMIN}),
    "owner by principal id": Creation({**AWS, "owner": f"local://{ADMIN}"}, annotations={CREATOR: ADMIN}),
    "labels and annotations": Creation(
        {
            **AWS,
            "labels": {"team": "a", "tier": 1, "gone": None},
            "annotations": {"example.com/x": True, "gone": None},
            "description": " two\nlines ",
        },
        annotations={"example.com/x": "true", DESCRIPTION: "two\nlines"},
    ),
    "name in any script, trimmed": Creation(
        {**AWS, "name": "\u3000Überwachung ☁ {{ '{{' }} "},
        annotations={NAME: "Überwachung ☁ {{"},
    ),
    "a driver of one's own": Creation(
        {"driver": "mycloud", "config": {"zone": "b"}, "secrets": {"key": "own-key"}},
        fields={"zone": "b", "key": "own-key", "port": "22"},
        annotations={UI_DRIVER: "mycloud"},
    ),
    "a driver without fields": Creation(
        {"driver": "nofields", "validate_config": False, "config": {"zone": "b"}, "secrets": {"some_key.x": "own-key"}},
        fields={"zone": "b", "some_key.x": "own-key"},
        annotations={UI_DRIVER: "nofields"},
    ),
}
MYCLOUD = {
    "zone": {"type": "string", "required": True, "options": ["a", "b"]},
    "key": {"type": "password", "required": True},
    "port": {"type": "int", "default": {"intValue": 22, "stringValue": ""}},
}


def test_create(cluster, subtests):
    tasks = [{"name": what, "owner": "alice", **case.options} for what, case in CREATIONS.items()]
    for number, task in enumerate(tasks):
        if task["name"] == AWS["name"]:
            task["name"] = f"case {number}"
    with custom_driver(cluster, "mycloud", MYCLOUD), custom_driver(cluster, "nofields", {}):
        results = cluster.prove_all(tasks)
    for (what, case), task, result in zip(CREATIONS.items(), tasks, results):
        with subtests.test(what):
            credential = result["credential"]
            assert (credential["action"], result["changed"]) == ("created", True), result
            assert {"name", "driver", "owner"} <= set(credential["changed_fields"])
            stored = cluster.stored(credential["id"])
            assert fields(stored) == (case.fields or CREATIONS["trimmed"].fields)
            assert stored["type"] == "Opaque"
            assert stored["metadata"]["generateName"] == "cc-"
            assert stored["metadata"]["name"].startswith("cc-")
            assert stored["metadata"]["annotations"] == {
                CREATOR: ALICE,
                NAME: task["name"],
                UI_DRIVER: "aws",
                **case.annotations,
            }
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


@dataclasses.dataclass(frozen=True)
class Update:
    """The stored driver, options, changed_fields, and the differences in what is stored (None: removed)."""

    driver: str
    options: dict
    changed: list
    fields: dict = dataclasses.field(default_factory=dict)
    annotations: dict = dataclasses.field(default_factory=dict)
    labels: dict = dataclasses.field(default_factory=dict)


UPDATES = {
    "one public field": Update(
        "amazonec2",
        {"config": {"defaultRegion": "us"}},
        changed=["defaultRegion"],
        fields={"defaultRegion": "us"},
    ),
    "one secret field": Update(
        "amazonec2",
        {"secrets": {"secretKey": " new\n"}},
        changed=["secretKey"],
        fields={"secretKey": "new"},
    ),
    "several at once": Update(
        "amazonec2",
        {"secrets": {"secretKey": "new"}, "config": {"accessKey": "B", "defaultRegion": "eu"}, "description": "d"},
        changed=["accessKey", "description", "secretKey"],
        fields={"secretKey": "new", "accessKey": "B"},
        annotations={DESCRIPTION: "d"},
    ),
    "no secret with on_create": Update(
        "amazonec2",
        {"secrets": {"secretKey": "new"}, "config": {"accessKey": "B"}, "update_secrets": "on_create"},
        changed=["accessKey"],
        fields={"accessKey": "B"},
    ),
    "nothing with on_create": Update(
        "amazonec2",
        {"secrets": {"secretKey": "new"}, "update_secrets": "on_create"},
        changed=[],
    ),
    "what is the same when trimmed": Update(
        "amazonec2",
        {"config": {"defaultRegion": " eu\n"}, "secrets": {"secretKey": "old "}, "driver": "amazonec2"},
        changed=[],
    ),
    "a field to empty": Update(
        "amazonec2",
        {"config": {"defaultRegion": ""}},
        changed=["defaultRegion"],
        fields={"defaultRegion": ""},
    ),
    "a field removed": Update(
        "amazonec2",
        {"config": {"defaultRegion": None}},
        changed=["defaultRegion"],
        fields={"defaultRegion": None},
    ),
    "a field removed that is not there": Update("azure", {"config": {"tenantId": None}}, changed=[]),
    "no default filled in": Update(
        "azure",
        {"config": {"clientId": "d"}},
        changed=["clientId"],
        fields={"clientId": "d"},
    ),
    "azure, another secret": Update(
        "azure",
        {"secrets": {"clientSecret": "other"}},
        changed=["clientSecret"],
        fields={"clientSecret": "other"},
    ),
    "azure, another subscription": Update(
        "azure",
        {"config": {"subscriptionId": "other"}},
        changed=["subscriptionId"],
        fields={"subscriptionId": "other"},
        annotations={TENANT: None, TENANT_SINCE: None},
    ),
    "azure, the same subscription": Update("azure", {"config": {"subscriptionId": "sub"}}, changed=[]),
    "JSON that means the same": Update("google", {"secrets": {"authEncodedJson": {"a": "x", "b": [1, 2]}}}, changed=[]),
    "JSON that means something else": Update(
        "google",
        {"secrets": {"authEncodedJson": {"a": "x", "b": [2, 1]}}},
        changed=["authEncodedJson"],
        fields={"authEncodedJson": '{"a":"x","b":[2,1]}'},
    ),
    "JSON given as other text": Update(
        "google",
        {"secrets": {"authEncodedJson": '{{ \'{"a":"x","b":[1,2]}\' | string }}'}},
        changed=["authEncodedJson"],
        fields={"authEncodedJson": '{"a":"x","b":[1,2]}'},
    ),
    "a number that is the stored text": Update("vmwarevsphere", {"config": {"vcenterPort": 443}}, changed=[]),
    "a boolean": Update(
        "s3",
        {"config": {"defaultSkipSSLVerify": False}},
        changed=["defaultSkipSSLVerify"],
        fields={"defaultSkipSSLVerify": "false"},
    ),
    "description": Update("s3", {"description": " new "}, changed=["description"], annotations={DESCRIPTION: "new"}),
    "description emptied": Update("s3", {"description": ""}, changed=["description"], annotations={DESCRIPTION: None}),
    "labels and annotations": Update(
        "s3",
        {
            "labels": {"team": "b", "mine": 1, "gone": None},
            "annotations": {"example.com/a": None, "example.com/b": "2", "gone": None},
        },
        changed=["annotations", "labels"],
        annotations={"example.com/a": None, "example.com/b": "2"},
        labels={"team": "b", "mine": "1"},
    ),
    "renamed": Update("s3", {"name": "a new name"}, changed=["name"], annotations={NAME: "a new name"}),
    "handed over": Update("s3", {"owner": "admin"}, changed=["owner"], annotations={CREATOR: ADMIN}),
    "handed over to its owner": Update("s3", {"owner": f"local://{ALICE}"}, changed=[]),
    "without any schema": Update(
        "mystery",
        {"validate_config": False, "secrets": {"b": "c"}},
        changed=["b"],
        fields={"b": "c"},
    ),
    "nothing given": Update("s3", {}, changed=[]),
}


def test_update(cluster, subtests):
    before, tasks = [], []
    for number, case in enumerate(UPDATES.values()):
        before.append(
            cluster.secret(
                f"cc-case{number}",
                case.driver,
                STORED.get(case.driver, {"a": "b"}),
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
        by_id = number % 2 or {"name", "owner"} & set(case.options)
        tasks.append(
            {**({"id": f"cattle-global-data:cc-case{number}"} if by_id else {"name": f"case {number}"}), **case.options}
        )
    results = cluster.prove_all(tasks)
    for number, (what, case) in enumerate(UPDATES.items()):
        with subtests.test(what):
            credential = results[number]["credential"]
            assert (credential["action"], credential["changed_fields"]) == (
                "updated" if case.changed else "unchanged",
                case.changed,
            )
            stored = cluster.stored(f"cc-case{number}")
            assert fields(stored) == _changed(STORED.get(case.driver, {"a": "b"}), case.fields)
            old, new = before[number]["metadata"], stored["metadata"]
            assert new["annotations"] == _changed(old["annotations"], case.annotations)
            assert new["labels"] == _changed(old["labels"], case.labels)
            assert new["finalizers"] == ["example.com/hold"]
            assert (new["resourceVersion"] != old["resourceVersion"]) == bool(case.changed)


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


# One sentence each, before any write.
REFUSALS = {
    "a required field": Refusal({**AWS, "secrets": {}}, code="invalid", message="secrets.secretKey is required"),
    "a required field that is empty": Refusal(
        {**AWS, "config": {"accessKey": "  "}},
        code="invalid",
        message="config.accessKey is required",
    ),
    "a required field that is null": Refusal(
        {**AWS, "config": {"accessKey": None}},
        code="invalid",
        message="config.accessKey is required",
    ),
    "s3 without a required field": Refusal(
        {**AWS, "driver": "s3", "secrets": {}, "config": {"accessKey": "A"}},
        code="invalid",
        message="secrets.secretKey is required",
    ),
    "no config at all": Refusal({**DO, "secrets": None}, code="invalid", message="config and secrets are required"),
    "a required field emptied": Refusal(
        {"id": "cc-aws", "config": {"accessKey": ""}},
        code="invalid",
        message="config.accessKey is required",
    ),
    "a required field removed": Refusal(
        {"id": "cc-aws", "secrets": {"secretKey": None}},
        code="invalid",
        message="secrets.secretKey is required",
    ),
    "a secret in config": Refusal(
        {**AWS, "config": {"accessKey": "A", "secretKey": "canary"}},
        code="invalid",
        message="config.secretKey is secret and belongs in secrets",
    ),
    "a public field in secrets": Refusal(
        {"id": "cc-aws", "secrets": {"defaultRegion": "x"}},
        code="invalid",
        message="secrets.defaultRegion is not secret and belongs in config",
    ),
    "an unknown field": Refusal(
        {**AWS, "config": {"nosuch": "1"}},
        code="invalid",
        message="config.nosuch is unknown; the fields of the driver are accessKey, defaultRegion, secretKey (secret)",
    ),
    "an unknown field with on_create": Refusal(
        {"id": "cc-aws", "config": {"nosuch": "1"}, "update_secrets": "on_create"},
        code="invalid",
        message="config.nosuch is unknown",
    ),
    "a floating point number": Refusal(
        {**AWS, "config": {"accessKey": 1.10}},
        code="invalid",
        message="config.accessKey must be quoted",
    ),
    "a list": Refusal(
        {**AWS, "secrets": {"secretKey": ["canary"]}},
        code="invalid",
        message="secrets.secretKey must be a string",
    ),
    "a value that is no option": Refusal(
        {"driver": "mycloud", "name": "n", "owner": "alice", "config": {"zone": "c"}, "secrets": {"key": "own-key"}},
        code="invalid",
        message="config.zone must be one of a, b",
    ),
    "an inactive driver": Refusal(
        {**DO, "driver": "linode", "secrets": {"token": "first-token"}},
        code="invalid",
        message="driver linode has no credentials in this Rancher",
    ),
    "an unknown driver": Refusal(
        {**DO, "driver": "nope"},
        code="invalid",
        message="driver nope has no credentials in this Rancher",
    ),
    "a driver without fields": Refusal({**DO, "driver": "nofields"}, code="invalid", message="validate_config: false"),
    "no driver": Refusal({**DO, "driver": None}, code="invalid", message="driver is required"),
    "a field name with a dash": Refusal(
        {**DO, "driver": "nofields", "validate_config": False, "secrets": {"a-b": "first-token"}},
        code="invalid",
        message="secrets.a-b is not a field name",
    ),
    "another driver, by id": Refusal(
        {"id": "cc-aws", "driver": "s3"},
        code="invalid",
        message="the driver of a cloud credential cannot be changed to s3",
    ),
    "no owner": Refusal({**DO, "owner": None}, code="invalid", message="owner is required"),
    "an unknown owner": Refusal(
        {**DO, "owner": "bob"},
        code="not_found",
        message="owner bob is not the id, username or principal id of a user",
    ),
    "an unknown owner to hand over to": Refusal(
        {"id": "cc-aws", "owner": "bob"},
        code="not_found",
        message="owner bob is not the id, username or principal id of a user",
    ),
    "neither name nor id": Refusal({"driver": "s3"}, code="invalid", message="name or id is required"),
    "an empty name": Refusal({**DO, "name": " \n"}, code="invalid", message="name must not be empty"),
    "a name that is too long": Refusal({**DO, "name": "x" * 262144}, code="invalid", message="name has 262144 bytes"),
    "a description that is too long": Refusal(
        {**DO, "description": "ü" * 131072},
        code="invalid",
        message="the limit of Kubernetes is 262144",
    ),
    "a value that is too long": Refusal(
        {**DO, "secrets": {"accessToken": "x" * (MIB + 1)}},
        code="invalid",
        message="the limit of a Secret is 1048576",
    ),
    "values that are too long together": Refusal(
        {"id": "cc-aws", "secrets": {"secretKey": "x" * (MIB - 2)}},
        code="invalid",
        message="the limit of a Secret is 1048576",
    ),
    "a reserved annotation": Refusal(
        {"id": "cc-aws", "annotations": {CREATOR: ADMIN}},
        code="invalid",
        message="set the option owner instead",
    ),
    "a reserved annotation of the UI": Refusal(
        {"id": "cc-aws", "annotations": {UI_DRIVER: "x"}},
        code="invalid",
        message="set the option driver instead",
    ),
    "a reserved label": Refusal(
        {"id": "cc-aws", "labels": {"cattle.io/creator": "me"}},
        code="invalid",
        message="is reserved by Rancher",
    ),
    "an impossible label": Refusal(
        {"id": "cc-aws", "labels": {"team": "a b"}},
        code="invalid",
        message="the value of team must be",
    ),
    "an impossible annotation": Refusal(
        {"id": "cc-aws", "annotations": {"a b": "x"}},
        code="invalid",
        message="a b is not a valid key",
    ),
    "an unknown id": Refusal(
        {"id": "cc-nosuch", "description": "x"},
        code="not_found",
        message="cattle-global-data:cc-nosuch",
    ),
    "an id of another namespace": Refusal(
        {"id": "default:cc-aws"},
        code="invalid",
        message="id must be of namespace cattle-global-data",
    ),
    "an id that is none": Refusal(
        {"id": "../cc-aws"},
        code="invalid",
        message="id must be cattle-global-data:NAME or NAME",
    ),
    "two of the name": Refusal({"name": "twin", "description": "x"}, code="ambiguous", message="cc-twin1"),
    "two of the name, to delete": Refusal({"name": "twin", "state": "absent"}, code="ambiguous", message="cc-twin2"),
    "fields of two drivers": Refusal(
        {"id": "cc-mixed", "description": "x"},
        code="invalid",
        message="has fields of several drivers (amazonec2, s3)",
    ),
    "one that is being deleted": Refusal(
        {"id": "cc-going", "description": "x"},
        code="conflict",
        message="is being deleted and waits for example.com/hold",
    ),
    "a Harvester token of another": Refusal(
        {**HARVESTER, "name": "h2", "secrets": {"kubeconfigContent": kubeconfig("kubeconfig-u-1:aa")}},
        code="invalid",
        message="the same Harvester token as cattle-global-data:cc-harvester",
    ),
    "a Harvester token of another, as an update": Refusal(
        {"id": "cc-other", "validate_config": False, "secrets": {"kubeconfigContent": kubeconfig("kubeconfig-u-1:bb")}},
        code="invalid",
        message="the same Harvester token as cattle-global-data:cc-harvester",
    ),
    "a Harvester token twice": Refusal(
        {
            "credentials": [
                {**HARVESTER, "name": name, "secrets": {"kubeconfigContent": kubeconfig("kubeconfig-u-7:cc")}}
                for name in ("h3", "h4")
            ]
        },
        code="invalid",
        message="credentials[1] (h4): secrets.kubeconfigContent has the same Harvester token as credentials[0] (h3)",
    ),
    "a Harvester token that is deleted with its credential": Refusal(
        {
            "credentials": [
                {"id": "cc-harvester", "state": "absent"},
                {**HARVESTER, "name": "h5", "secrets": {"kubeconfigContent": kubeconfig("kubeconfig-u-1:aa")}},
            ]
        },
        code="invalid",
        message="the same Harvester token as cattle-global-data:cc-harvester",
    ),
    "an unknown option": Refusal({**DO, "drivre": "x"}, code="invalid", message="unknown option drivre"),
    "a wrong choice": Refusal({**DO, "state": "gone"}, code="invalid", message="state must be one of present, absent"),
    "a wrong type": Refusal(
        {**DO, "secrets": "canary"},
        code="invalid",
        message="secrets must be a mapping, not this string",
    ),
    "no valid boolean": Refusal(
        {**DO, "force": "canary"},
        code="invalid",
        message="force must be true or false, not this string",
    ),
    "one and many": Refusal(
        {"name": "a", "credentials": [DO]},
        code="invalid",
        message="credentials and name are mutually exclusive",
    ),
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
    with custom_driver(cluster, "mycloud", MYCLOUD), custom_driver(cluster, "nofields", {}):
        check_refusals(cluster, subtests, MODULE, REFUSALS)


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


class ReferenceField(t.NamedTuple):
    """The kind of an object that refers to a credential, and its spec with a reference."""

    kind: str
    spec: t.Callable[[str], dict]


# Where a credential may be named.
REFERENCE_FIELDS = {
    "spec.cloudCredentialName": ReferenceField("NodeTemplate", lambda value: {"cloudCredentialName": value}),
    "spec.cloudCredentialSecretName": ReferenceField("Cluster", lambda value: {"cloudCredentialSecretName": value}),
    "spec.rkeConfig.machinePools[].cloudCredentialSecretName": ReferenceField(
        "Cluster",
        lambda value: {
            "rkeConfig": {"machinePools": [{"name": "a"}, {"name": "b", "cloudCredentialSecretName": value}]}
        },
    ),
    "spec.rkeConfig.etcd.s3.cloudCredentialName": ReferenceField(
        "Cluster",
        lambda value: {"rkeConfig": {"etcd": {"s3": {"cloudCredentialName": value}}}},
    ),
}
USES = dict(zip(REFERENCE_FIELDS, ("node_template", "cluster", "pool", "s3")))
# What counts as the credential, whatever precedes the separator. NAME is replaced with its metadata.name.
SPELLINGS = {
    "cattle-global-data:NAME": True,
    "other:NAME": True,
    "cattle-global-data/NAME": True,
    "NAME": False,
    "cattle-global-data:NAMEx": False,
    "": False,
}


def test_in_use(cluster, subtests):
    cases = [(field, spelling, used) for field in REFERENCE_FIELDS for spelling, used in SPELLINGS.items()]
    cases.append(("spec.cloudCredentialSecretName", "NAME", True))  # a bare name is one of the object's own namespace
    for number, (field, spelling, _used) in enumerate(cases):
        cluster.secret(f"cc-case{number:02}", display_name=f"case {number}")
        kind, spec = REFERENCE_FIELDS[field]
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
            kind = REFERENCE_FIELDS[field].kind
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
                "use": USES[field],
                **({"pools": ["b"]} if USES[field] == "pool" else {}),
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
    assert (held["changed"], held["credential"]["action"]) == (True, "deleted"), "the deletion cannot be undone"
    assert time.monotonic() - began > 1
    release()

    cluster.secret("cc-one", finalizers=["example.com/hold"])
    with later(3, release):
        waited = cluster.play({MODULE: {**gone, "wait": True, "wait_timeout": "30s", "wait_sleep": "1s"}}).result
    assert (waited["credential"]["action"], waited.get("warnings")) == ("deleted", None)
    assert not cluster.secrets()


def test_a_deletion_that_waits_for_a_finalizer_delays_no_other(cluster):
    """The others are deleted at once: more are held than there are connections, one of them by another client."""
    held = ["cc-going", *(f"cc-held-{number}" for number in range(17))]
    for name in held:
        cluster.secret(name, display_name=name, finalizers=["example.com/hold"])
    cluster.api.delete(f"{SECRETS}/cc-going")
    cluster.secret("cc-zfree", display_name="cc-zfree")

    def release_after_the_last():
        while "cc-zfree" in {secret["metadata"]["name"] for secret in cluster.secrets()}:
            time.sleep(0.1)
        for name in held:
            cluster.api.patch(f"{SECRETS}/{name}", {"metadata": {"finalizers": None}})

    credentials = [{"name": name} for name in [*held, "cc-zfree"]]
    gone = {"credentials": credentials, "state": "absent", "wait": True, "wait_timeout": "5s", "wait_sleep": "1s"}
    with later(0, release_after_the_last):
        result = cluster.play({MODULE: gone}).result
    assert not result.get("failed"), result["msg"]
    assert [item["action"] for item in result["credentials"]] == ["unchanged"] + ["deleted"] * 18
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
