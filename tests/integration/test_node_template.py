# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_template and node_template_info with ansible-playbook."""

from __future__ import annotations

import dataclasses
import time

import pytest

from support.cluster import MODULE as CREDENTIAL
from support.objects import ADMIN, ALICE, BINDINGS, CREATOR, SCHEMAS, TEMPLATES, later, template
from support.refusals import Refusal, check_refusals

MODULE = "ranchhand.rancher.node_template"
INFO = "ranchhand.rancher.node_template_info"
MANAGEMENT = "/apis/management.cattle.io/v3"
VERSION = f"{MANAGEMENT}/settings/server-version"

AWS = {"driver": "amazonec2", "owner": "alice", "cloud_credential": "aws"}
DO = {"driver": "digitalocean", "owner": "alice"}


def prepare(cluster):
    """Credentials for the node templates."""
    cluster.secret("cc-aws", "amazonec2", {"accessKey": "A", "secretKey": "s", "defaultRegion": "eu"}, "aws")
    cluster.secret("cc-aws2", "amazonec2", {"accessKey": "B", "secretKey": "t", "defaultRegion": ""}, "aws two")
    cluster.secret("cc-theirs", "amazonec2", {"accessKey": "C", "secretKey": "u"}, "aws", owner=ADMIN)
    cluster.secret("cc-do", "digitalocean", {"accessToken": "v"}, "do")
    cluster.secret("cc-slash", "amazonec2", {"accessKey": "E", "secretKey": "x"}, "team/aws")
    cluster.secret("cc-colon", "amazonec2", {"accessKey": "F", "secretKey": "y"}, "team: aws")
    cluster.secret("cc-fake", "amazonec2", {"accessKey": "G", "secretKey": "z"}, "cc-aws2", owner=ADMIN)
    cluster.secret("cc-false", "amazonec2", {"accessKey": "H", "secretKey": "z"}, "cattle-global-data:cc-aws2")
    cluster.secret("cc-twin1", "amazonec2", {"accessKey": "D", "secretKey": "w"}, "twin")
    cluster.secret("cc-twin2", "amazonec2", {"accessKey": "D", "secretKey": "w"}, "twin")


def stored(cluster, identifier):
    return cluster.api.get(f"{TEMPLATES}/{identifier.rpartition(':')[2]}")


def change(before, changes):
    """Return what a merge patch makes of a mapping."""
    return {key: value for key, value in {**before, **changes}.items() if value is not None}


@dataclasses.dataclass(frozen=True)
class Creation:
    """Options, the config without defaults, and the spec without name, driver and useInternalIpAddress."""

    options: dict
    spec: dict
    config: dict = dataclasses.field(default_factory=dict)


CREATIONS = {
    "by a credential's name": Creation(
        AWS,
        config={"region": "us-east-1", "rootSize": "16"},
        spec={"cloudCredentialName": "cattle-global-data:cc-aws"},
    ),
    "by its id": Creation(
        {**AWS, "cloud_credential": "cattle-global-data:cc-aws2"},
        spec={"cloudCredentialName": "cattle-global-data:cc-aws2"},
    ),
    "by its bare id": Creation(
        {**AWS, "cloud_credential": "cc-aws2"},
        spec={"cloudCredentialName": "cattle-global-data:cc-aws2"},
    ),
    "by a name with a slash": Creation(
        {**AWS, "cloud_credential": "team/aws"}, spec={"cloudCredentialName": "cattle-global-data:cc-slash"},
    ),
    "by a name with a colon": Creation(
        {**AWS, "cloud_credential": "team: aws"}, spec={"cloudCredentialName": "cattle-global-data:cc-colon"},
    ),
    "whole numbers as text, booleans and lists as such": Creation(
        {
            **AWS,
            "config": {
                "rootSize": 30,
                "monitoring": "yes" and True,
                "privateAddressOnly": "true",
                "securityGroup": ["a", 5],
                "zone": " b ",
            },
        },
        config={
            "rootSize": "30",
            "monitoring": True,
            "privateAddressOnly": True,
            "securityGroup": ["a", "5"],
            "zone": "b",
        },
        spec={"cloudCredentialName": "cattle-global-data:cc-aws"},
    ),
    "null keeps a default out": Creation(
        {**AWS, "config": {"sshUser": None}},
        config={"sshUser": None},
        spec={"cloudCredentialName": "cattle-global-data:cc-aws"},
    ),
    "without the owner's credential, unchecked": Creation(
        {
            **AWS,
            "cloud_credential": "cc-theirs",
            "validate_config": False,
            "config": {"anything": "x", "flag": True, "list": ["1"]},
        },
        config={"anything": "x", "flag": True, "list": ["1"]},
        spec={"cloudCredentialName": "cattle-global-data:cc-theirs"},
    ),
    "everything else": Creation(
        {
            **AWS,
            "description": " d ",
            "engine_install_url": "https://example.com/i.sh",
            "docker_version": "20.10",
            "engine_env": {"A": 1, "gone": None},
            "engine_insecure_registry": ["r:5000"],
            "engine_label": {"a": "b"},
            "engine_opt": {"c": True},
            "engine_registry_mirror": ["m"],
            "engine_storage_driver": "overlay2",
            "storage_opt": {"g": "h"},
            "log_opt": {"i": "j"},
            "use_internal_ip_address": False,
            "auth_certificate_authority": "ca",
            "auth_key": "canary-key",
            "node_taints": [{"key": "a", "effect": "NoSchedule"}],
            "labels": {"team": "a"},
            "annotations": {"example.com/x": "1"},
        },
        spec={
            "cloudCredentialName": "cattle-global-data:cc-aws",
            "description": "d",
            "engineInstallURL": "https://example.com/i.sh",
            "dockerVersion": "20.10",
            "engineEnv": {"A": "1"},
            "engineInsecureRegistry": ["r:5000"],
            "engineLabel": {"a": "b"},
            "engineOpt": {"c": "true"},
            "engineRegistryMirror": ["m"],
            "engineStorageDriver": "overlay2",
            "storageOpt": {"g": "h"},
            "logOpt": {"i": "j"},
            "useInternalIpAddress": False,
            "authCertificateAuthority": "ca",
            "authKey": "canary-key",
            "nodeTaints": [{"key": "a", "effect": "NoSchedule"}],
        },
    ),
}


def test_create(cluster, subtests):
    prepare(cluster)
    tasks = [{"name": what, **case.options} for what, case in CREATIONS.items()]
    schema = cluster.api.get(f"{SCHEMAS}/amazonec2config")["spec"]["resourceFields"]
    results = cluster.prove_all(tasks, module=MODULE)
    for (what, case), result in zip(CREATIONS.items(), results):
        with subtests.test(what):
            shown = result["node_template"]
            item = stored(cluster, shown["id"])
            assert (shown["action"], shown["owner"], shown["driver"]) == ("created", ALICE, "amazonec2")
            assert item["metadata"]["generateName"] == "nt-" and item["metadata"]["name"].startswith("nt-")
            assert item["metadata"]["labels"] == {"cattle.io/creator": "norman", **case.options.get("labels", {})}
            assert item["metadata"]["annotations"] == {CREATOR: ALICE, **case.options.get("annotations", {})}
            assert item["spec"] == {
                "displayName": what,
                "driver": "amazonec2",
                "useInternalIpAddress": True,
                **case.spec,
            }
            assert not {"accessKey", "secretKey", "defaultRegion"} & set(item["amazonec2Config"]), (
                "the credential has them"
            )
            if case.options.get("validate_config", True):
                defaults = {
                    name: {
                        "boolean": field["default"]["boolValue"],
                        "array[string]": field["default"]["stringSliceValue"],
                    }.get(field["type"], field["default"]["stringValue"])
                    for name, field in schema.items()
                    if name not in ("accessKey", "secretKey")
                }
                assert item["amazonec2Config"] == change(defaults, case.config)
            else:
                assert item["amazonec2Config"] == case.config
    assert "canary" not in str(results)
    assert results[-1]["node_template"]["node_taints"] == [{"key": "a", "effect": "NoSchedule"}]


def test_a_warning_for_secrets_in_the_template(cluster):
    args = {**DO, "name": "own", "secrets": {"accessToken": "canary-token"}, "config": {"region": "fra1"}}
    created, again, later_on = cluster.play(
        {MODULE: args},
        {MODULE: args},
        {MODULE: {**args, "secrets": {"accessToken": "canary-two"}, "update_secrets": "on_create"}},
    ).results
    assert (created["changed"], again["changed"], later_on["changed"]) == (True, False, False)
    assert "plain text" in created["warnings"][0] and "cloud credential" in created["warnings"][0]
    assert created["node_template"]["secret_fields"] == ["accessToken", "sshKeyContents"]
    assert "canary" not in str(created)
    assert stored(cluster, created["node_template"]["id"])["digitaloceanConfig"]["accessToken"] == "canary-token"


REFUSALS = {
    "an unknown field": Refusal({**AWS, "config": {"nosuch": "1"}}, code="invalid", message="config.nosuch is unknown"),
    "no boolean": Refusal(
        {**AWS, "config": {"monitoring": "perhaps"}},
        code="invalid",
        message="config.monitoring must be true or false",
    ),
    "no list": Refusal(
        {**AWS, "config": {"securityGroup": "a"}},
        code="invalid",
        message="config.securityGroup must be a list of strings",
    ),
    "a list for a string": Refusal(
        {**AWS, "config": {"zone": ["a"]}},
        code="invalid",
        message="config.zone must be a string",
    ),
    "a floating point number": Refusal(
        {**AWS, "config": {"rootSize": 1.5}},
        code="invalid",
        message="config.rootSize must be quoted",
    ),
    "a secret in config": Refusal(
        {**DO, "config": {"accessToken": "canary"}},
        code="invalid",
        message="config.accessToken is secret and belongs in secrets",
    ),
    "a field that the credential covers": Refusal(
        {**AWS, "config": {"accessKey": "x"}},
        code="invalid",
        message="accessKey comes from the cloud credential",
    ),
    "the same on update": Refusal(
        {"id": "nt-aws", "config": {"accessKey": "x"}},
        code="invalid",
        message="accessKey comes from the cloud credential",
    ),
    "an inactive driver": Refusal(
        {**DO, "driver": "nosuch", "config": {"a": "b"}},
        code="invalid",
        message="driver nosuch has no schema for node templates",
    ),
    "neither config nor credential": Refusal(DO, code="invalid", message="config or cloud_credential is required"),
    "an empty config": Refusal(
        {**AWS, "cloud_credential": "cc-aws", "validate_config": False},
        code="invalid",
        message="config must not be empty",
    ),
    "a config that would be empty": Refusal(
        {"id": "nt-small", "config": {"zone": None}},
        code="invalid",
        message="would be empty",
    ),
    "no driver": Refusal({**AWS, "driver": None}, code="invalid", message="driver is required"),
    "no owner": Refusal({**AWS, "owner": None}, code="invalid", message="owner is required"),
    "no owner and an invalid field": Refusal(
        {**AWS, "owner": None, "config": {"monitoring": "perhaps"}},
        code="invalid",
        message="as a Rancher user; config.monitoring must be true or false",
    ),
    "an ambiguous credential": Refusal(
        {**AWS, "cloud_credential": "twin"},
        code="ambiguous",
        message="cattle-global-data:cc-twin1",
    ),
    "a credential of another driver": Refusal(
        {**AWS, "cloud_credential": "do"},
        code="invalid",
        message="cattle-global-data:cc-do is of driver digitalocean",
    ),
    "the same unchecked": Refusal(
        {**AWS, "cloud_credential": "do", "validate_config": False, "config": {"a": "b"}},
        code="invalid",
        message="is of driver digitalocean",
    ),
    "a credential of another owner": Refusal(
        {**AWS, "cloud_credential": "cc-theirs"},
        code="invalid",
        message=f"belongs to {ADMIN}, the node template to {ALICE}",
    ),
    "a credential that is not there": Refusal(
        {**AWS, "cloud_credential": "nosuch"},
        code="not_found",
        message="neither as a name nor as an id",
    ),
    "an id that is not there": Refusal(
        {**AWS, "cloud_credential": "cattle-global-data:cc-nosuch"},
        code="not_found",
        message="neither as a name nor as an id",
    ),
    "a credential of another driver, on update": Refusal(
        {"id": "nt-aws", "cloud_credential": "do"},
        code="invalid",
        message="is of driver digitalocean",
    ),
    "handed over without its credential": Refusal(
        {"id": "nt-aws", "owner": "admin"},
        code="invalid",
        message=f"belongs to {ALICE}, the node template to {ADMIN}",
    ),
    "another driver": Refusal(
        {"id": "nt-aws", "driver": "digitalocean"},
        code="invalid",
        message="the driver of a node template cannot be changed to digitalocean",
    ),
    "an unknown id": Refusal(
        {"id": "nt-nosuch", "description": "x"},
        code="not_found",
        message="cattle-global-nt:nt-nosuch",
    ),
    "an id of another namespace": Refusal(
        {"id": "default:nt-aws"},
        code="invalid",
        message="id must be of namespace cattle-global-nt",
    ),
    "two of the name": Refusal(
        {"name": "same", "description": "x"},
        code="ambiguous",
        message="cattle-global-nt:nt-same1",
    ),
    "two of the name, to delete": Refusal(
        {"name": "same", "state": "absent"},
        code="ambiguous",
        message="cattle-global-nt:nt-same2",
    ),
    "a taint without an effect": Refusal({**AWS, "node_taints": [{"key": "a"}]}, code="invalid", message="effect"),
    "a reserved annotation": Refusal(
        {**AWS, "annotations": {CREATOR: ADMIN}},
        code="invalid",
        message="set the option owner instead",
    ),
    "an invalid item of a list": Refusal(
        {"node_templates": [{"name": "a", **AWS}, {"name": "b", **AWS, "config": {"nosuch": 1}}]},
        code="invalid",
        message="node_templates[1] (b): config.nosuch is unknown",
    ),
    "the same twice": Refusal(
        {"node_templates": [{"name": "a", **AWS}, {"name": "a", **AWS}]},
        code="invalid",
        message="means the same object as node_templates[0]",
    ),
}


def test_refused(cluster, subtests):
    prepare(cluster)
    template(cluster, "nt-aws", "amazonec2", {"region": "eu"}, "aws", cloudCredentialName="cattle-global-data:cc-aws")
    template(cluster, "nt-small", "amazonec2", {"zone": "a"}, "small", cloudCredentialName="cattle-global-data:cc-aws")
    for name in ("nt-same1", "nt-same2"):
        template(cluster, name, display_name="same")
    named = {
        what: case if {"id", "name", "node_templates"} & set(case.options)
        else dataclasses.replace(case, options={"name": "new", **case.options})
        for what, case in REFUSALS.items()
    }
    check_refusals(cluster, subtests, MODULE, named)


SPEC = {
    "description": "old",
    "engineEnv": {"A": "1", "B": "2"},
    "engineRegistryMirror": ["m", "n"],
    "dockerVersion": "20.10",
    "nodeTaints": [{"key": "a", "value": "b", "effect": "NoSchedule"}],
}
CONFIG = {"region": "fra1", "tags": "a", "sshPort": "22", "backups": False, "size": "s"}


@dataclasses.dataclass(frozen=True)
class Update:
    """Options, changed_fields, and the differences in what is stored (None: removed)."""

    options: dict
    changed: list
    config: dict = dataclasses.field(default_factory=dict)
    spec: dict = dataclasses.field(default_factory=dict)
    annotations: dict = dataclasses.field(default_factory=dict)
    labels: dict = dataclasses.field(default_factory=dict)


UPDATES = {
    "fields": Update(
        {"config": {"region": "ams", "backups": True, "tags": None}},
        changed=["backups", "region", "tags"],
        config={"region": "ams", "backups": True, "tags": None},
    ),
    "the same as it is stored": Update(
        {"config": {"sshPort": 22, "region": " fra1", "backups": "false"}, "driver": "digitalocean"},
        changed=[],
    ),
    "maps are merged": Update(
        {"engine_env": {"A": None, "C": 3}},
        changed=["engine_env"],
        spec={"engineEnv": {"B": "2", "C": "3"}},
    ),
    "nothing to merge": Update({"engine_env": {"A": "1", "Z": None}}, changed=[]),
    "lists are replaced": Update(
        {"engine_registry_mirror": ["x"]},
        changed=["engine_registry_mirror"],
        spec={"engineRegistryMirror": ["x"]},
    ),
    "lists are emptied": Update(
        {"engine_registry_mirror": []},
        changed=["engine_registry_mirror"],
        spec={"engineRegistryMirror": []},
    ),
    "taints are replaced": Update(
        {"node_taints": [{"key": "c", "effect": "NoExecute"}]},
        changed=["node_taints"],
        spec={"nodeTaints": [{"key": "c", "effect": "NoExecute"}]},
    ),
    "the same taints": Update({"node_taints": [{"effect": "NoSchedule", "key": "a", "value": "b"}]}, changed=[]),
    "texts go": Update(
        {"docker_version": "", "description": ""},
        changed=["description", "docker_version"],
        spec={"dockerVersion": None, "description": None},
    ),
    "texts": Update(
        {"docker_version": "27", "name": "renamed"},
        changed=["docker_version", "name"],
        spec={"dockerVersion": "27", "displayName": "renamed"},
    ),
    "a flag": Update(
        {"use_internal_ip_address": False},
        changed=["use_internal_ip_address"],
        spec={"useInternalIpAddress": False},
    ),
    "labels and annotations": Update(
        {"labels": {"team": "b"}, "annotations": {"example.com/mine": None, "example.com/new": "2"}},
        changed=["annotations", "labels"],
        annotations={"example.com/mine": None, "example.com/new": "2"},
        labels={"team": "b"},
    ),
    "handed over": Update({"owner": "admin"}, changed=["owner"], annotations={CREATOR: ADMIN, BINDINGS: None}),
    "a credential takes its fields over": Update(
        {"cloud_credential": "do"},
        changed=["accessToken", "cloud_credential"],
        config={"accessToken": None},
        spec={"cloudCredentialName": "cattle-global-data:cc-do"},
    ),
    "nothing given": Update({}, changed=[]),
}


def test_update(cluster, subtests):
    prepare(cluster)
    before, tasks = [], []
    for number, case in enumerate(UPDATES.values()):
        before.append(
            template(
                cluster,
                f"nt-{number}",
                config={**CONFIG, **({"accessToken": "x"} if "cloud_credential" in case.options else {})},
                display_name=f"case {number}",
                **SPEC,
            )
        )
        tasks.append({"id": f"cattle-global-nt:nt-{number}", **case.options})
    results = cluster.prove_all(tasks, module=MODULE)
    for number, (what, case) in enumerate(UPDATES.items()):
        with subtests.test(what):
            old, new, shown = before[number], stored(cluster, f"nt-{number}"), results[number]["node_template"]
            assert (shown["action"], shown["changed_fields"]) == (
                "updated" if case.changed else "unchanged",
                case.changed,
            )
            assert new["digitaloceanConfig"] == change(old["digitaloceanConfig"], case.config)
            assert new["spec"] == change(old["spec"], case.spec)
            assert new["metadata"]["annotations"] == change(old["metadata"]["annotations"], case.annotations)
            assert new["metadata"]["labels"] == change(old["metadata"]["labels"], case.labels)
            assert (new["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]) == bool(case.changed)
    assert not [key for key in cluster.stored("cc-do")["metadata"]["annotations"] if "ranchhand" in key], (
        "announcements are taken back"
    )


def users_of(cluster, name):
    """Create a NodePool and a Node with a reference, and a NodePool and a Node without; returns their paths."""
    paths = []
    for plural, kind in (("nodepools", "NodePool"), ("nodes", "Node")):
        for offset, value in enumerate((f"cattle-global-nt:{name}", f"cattle-global-nt:{name}x", f"u-1:{name}", "")):
            path = f"{MANAGEMENT}/namespaces/fleet-default/{plural}"
            cluster.api.post(
                path,
                {
                    "apiVersion": "management.cattle.io/v3",
                    "kind": kind,
                    "metadata": {"name": f"{plural}-{offset}"},
                    "spec": {"nodeTemplateName": value},
                },
            )
            paths.append(f"{path}/{plural}-{offset}")
    return paths


@pytest.fixture
def in_use(cluster):
    template(cluster)
    paths = users_of(cluster, "nt-one")
    yield paths
    for path in paths:
        cluster.api.delete(path)


def test_a_template_in_use_is_not_deleted(cluster, in_use):
    template(cluster, "nt-free", display_name="free")
    (refused,) = cluster.prove_all(
        [{"state": "absent", "node_templates": [{"name": "test"}, {"name": "free"}]}], module=MODULE
    )
    assert refused["code"] == "in_use" and [item["action"] for item in refused["node_templates"]] == [
        "refused",
        "deleted",
    ]
    expected = [
        {
            "kind": kind,
            "api_version": "management.cattle.io/v3",
            "namespace": "fleet-default",
            "name": name,
            "field": "spec.nodeTemplateName",
            "use": use,
        }
        for kind, name, use in (("Node", "nodes-0", "machine"), ("NodePool", "nodepools-0", "pool"))
    ]
    assert refused["references"] == refused["node_templates"][0]["references"] == expected
    assert all(
        word in refused["msg"]
        for word in ("NodePool fleet-default/nodepools-0", "Node fleet-default/nodes-0", "spec.nodeTemplateName")
    )
    listed = cluster.play({INFO: {"references": True}}).result["node_templates"]
    assert [entry["references"] for entry in listed] == [expected]

    began = time.monotonic()
    args = {"name": "test", "state": "absent", "wait": True, "wait_sleep": "1s"}
    assert cluster.play({MODULE: {**args, "wait_timeout": "2s"}}).result["code"] == "in_use"
    assert time.monotonic() - began > 2

    def let_go():
        for path in [path for path in in_use if path.endswith("-0")]:
            cluster.api.delete(path)
            in_use.remove(path)

    with later(3, let_go):
        waited = cluster.play({MODULE: args}).result
    assert waited["node_template"]["action"] == "deleted"


def test_force_deletes_and_reports_the_references(cluster, in_use):
    (result,) = cluster.prove_all([{"name": "test", "state": "absent", "force": True}], module=MODULE)
    assert (result["node_template"]["action"], len(result["node_template"]["references"])) == ("deleted", 2)


@pytest.fixture
def version(cluster):
    """Set the value of the setting server-version."""
    before = cluster.api.get(VERSION)
    yield lambda value, default="dev": cluster.api.patch(VERSION, {"value": value, "default": default})
    cluster.api.patch(VERSION, {"value": before.get("value"), "default": before.get("default")})


NEW = {**DO, "name": "new", "config": {"region": "fra1"}}


def test_nothing_is_written_to_a_rancher_without_rke1(cluster, version, subtests):
    for value, default, works, words in (
        ("v2.11.9", "dev", True, ""),
        ("", "v2.9.1-rc1", True, ""),
        ("v2.12.0", "dev", False, "Rancher 2.12 does not support RKE1"),
        ("v2.14.1-alpha2", "dev", False, "Rancher 2.14"),
        ("v3.0.0", "dev", False, "Rancher 3.0"),
        ("dev", "", False, "rancher_version"),
    ):
        with subtests.test(value or default):
            version(value, default)
            template(cluster)
            create, update, stated, listed, removed, new = cluster.play(
                {MODULE: NEW},
                {MODULE: {"name": "test", "description": "d"}},
                {MODULE: {"name": "test", "description": "e", "rancher_version": "2.11"}},
                {INFO: {}},
                {MODULE: {"name": "test", "state": "absent"}},
                {MODULE: {"name": "new", "state": "absent"}},
            ).results
            codes = [entry.get("code") for entry in (create, update, stated)]
            assert codes == (
                [None] * 3 if works else ["unsupported"] * 2 + ([None] if value == "dev" else ["unsupported"])
            )
            assert works or words in create["msg"]
            assert len(listed["node_templates"]) == (2 if works else 1)
            assert removed["changed"] and new["changed"] == works


def test_a_rancher_without_the_kind(cluster_215):
    listed, gone, by_id, many, create = cluster_215.play(
        {INFO: {"references": True}},
        {MODULE: {"name": "x", "state": "absent"}},
        {MODULE: {"id": "nt-x", "state": "absent"}},
        {MODULE: {"state": "absent", "node_templates": [{"name": "x"}, {"id": "nt-x"}]}},
        {MODULE: NEW},
    ).results
    assert (listed["node_templates"], "references_incomplete" in listed) == ([], False)
    assert [entry.get("code") or entry["changed"] for entry in (gone, by_id, many, create)] == [
        False,
        False,
        False,
        "unsupported",
    ]


def test_list_and_filter(cluster):
    prepare(cluster)
    template(cluster, "nt-a", display_name="b", authKey="canary-key", description="d")
    template(
        cluster,
        "nt-b",
        "amazonec2",
        {"region": "eu", "secretKey": "canary"},
        "a",
        owner=ADMIN,
        cloudCredentialName="cattle-global-data:cc-aws",
    )
    template(cluster, "nt-c", "own", {"zone": "canary-zone"}, "c")
    cluster.api.post(
        TEMPLATES,
        {
            "apiVersion": "management.cattle.io/v3",
            "kind": "NodeTemplate",
            "metadata": {"name": "nt-d"},
            "spec": {"driver": "azure"},
        },
    )
    filters = {
        "all": {},
        "name": {"name": "b"},
        "id": {"id": "cattle-global-nt:nt-b"},
        "driver": {"driver": "own"},
        "owner": {"owner": "admin"},
        "none": {"name": "nosuch"},
    }
    played = cluster.play(*({INFO: args} for args in filters.values()))
    found = dict(zip(filters, (result["node_templates"] for result in played.results)))
    assert {what: [entry["id"][-4:] for entry in listed] for what, listed in found.items()} == {
        "all": ["nt-b", "nt-a", "nt-c", "nt-d"],
        "name": ["nt-a"],
        "id": ["nt-b"],
        "driver": ["nt-c"],
        "owner": ["nt-b"],
        "none": [],
    }
    first = found["all"][0]
    assert (first["config"], first["secret_fields"], first["cloud_credential"]) == (
        {"region": "eu"},
        ["secretKey"],
        "cattle-global-data:cc-aws",
    )
    assert found["driver"][0]["secret_fields"] == ["zone"], "without a schema, all fields are secret"
    assert (
        "no azureConfig" in found["all"][3]["problems"][0]["message"]
        and first["problems"] == []
        and first["age_seconds"] >= 0
    )
    assert "canary" not in played.output and "canary" not in str(played.results)


def test_many_in_a_call(cluster):
    prepare(cluster)
    mark = cluster.control_plane.audit_mark()
    items = [{"name": f"t{number}", "config": {"rootSize": number}} for number in range(20)]
    (result,) = cluster.prove_all([{"node_templates": [{**AWS, **item} for item in items]}], module=MODULE)
    assert [entry["name"] for entry in result["node_templates"]] == [entry["name"] for entry in items]
    patches = [entry for entry in cluster.writes(mark) if entry.verb == "patch"]
    assert len(patches) == 2, "one announcement for all templates of a credential, and its end"
    assert cluster.play({CREDENTIAL: {"id": "cc-aws", "state": "absent"}}).result["code"] == "in_use"
    (gone,) = cluster.prove_all(
        [{"state": "absent", "node_templates": [{"name": entry["name"]} for entry in items]}], module=MODULE
    )
    assert {entry["action"] for entry in gone["node_templates"]} == {"deleted"}


@pytest.mark.slow
def test_as_module(cluster):
    prepare(cluster)
    (created,) = cluster.prove_all([{"name": "new", **AWS}], module=MODULE, as_module=True)
    assert created["node_template"]["action"] == "created"
