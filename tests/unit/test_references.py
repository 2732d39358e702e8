# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The credential that a reference means, as Rancher reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.machine_pools import (
    parse_failed_sync,
    parse_machine_pools,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import (
    CREDENTIAL_REFERENCE_FIELDS,
    HISTORY,
    Reference,
    ReferenceIndex,
    ReferenceReader,
    referenced_name,
    values_at,
)


@pytest.mark.parametrize(
    ("value", "namespace", "expected"),
    [
        pytest.param("cattle-global-data:cc-a", "fleet-default", "cc-a", id="id"),
        pytest.param("any:cc-a", "fleet-default", "cc-a", id="other namespace in the id"),
        pytest.param(":cc-a", None, "cc-a", id="empty namespace in the id"),
        pytest.param("cattle-global-data/cc-a", "fleet-default", "cc-a", id="slash as separator"),
        pytest.param("cc-a", "cattle-global-data", "cc-a", id="bare name in the namespace of credentials"),
        pytest.param("cc-a", "fleet-default", None, id="bare name in another namespace"),
        pytest.param("cc-a", None, None, id="bare name without a namespace"),
        pytest.param("cattle-global-data:", "fleet-default", None, id="id without a name"),
        pytest.param("", "cattle-global-data", None, id="empty text"),
        pytest.param(None, "cattle-global-data", None, id="null"),
        pytest.param(5, "cattle-global-data", None, id="number"),
        pytest.param(["cc-a"], "cattle-global-data", None, id="list"),
    ],
)
def test_referenced_name(value, namespace, expected):
    assert referenced_name(value, namespace) == expected


@pytest.mark.parametrize(
    ("item", "path", "expected"),
    [
        pytest.param({"a": {"b": "x"}}, "a.b", ["x"], id="mapping"),
        pytest.param({"a": [{"b": "x"}, {}, {"b": "y"}]}, "a[].b", ["x", "y"], id="list"),
        pytest.param({"a": {"b": "x"}}, "a[].b", [], id="mapping for a list"),
        pytest.param({"a": None}, "a.b", [], id="null for a mapping"),
        pytest.param({"a": "text"}, "a.b", [], id="text for a mapping"),
        pytest.param({"a": [None, "text", {"b": ["c"]}]}, "a[].b", [["c"]], id="mixed list"),
        pytest.param({}, "a[].b[].c", [], id="nothing"),
    ],
)
def test_values_at(item, path, expected):
    assert list(values_at(item, path.split("."))) == expected


CLUSTER = {
    "metadata": {"name": "prod", "namespace": "fleet-default"},
    "spec": {
        "cloudCredentialSecretName": "cattle-global-data:cc-a",
        "rkeConfig": {
            "machinePools": [
                {"name": "a", "machineConfigRef": {"kind": "AzureConfig", "name": "nc-a"}, "quantity": 0},
                {
                    "name": "b",
                    "cloudCredentialSecretName": "cattle-global-data/cc-b",
                    "machineConfigRef": {"kind": "Amazonec2Config", "name": "nc-b"},
                    "dynamicSchemaSpec": '{"resourceFields": {"region": {}}}',
                },
                {
                    "name": "c",
                    "cloudCredentialSecretName": "cattle-global-data/cc-b",
                    "machineConfigRef": {"kind": "PnapConfig", "name": "nc-c"},
                    "dynamicSchemaSpec": "{",
                },
                {"name": "e", "cloudCredentialSecretName": "cattle-global-data:cc-e"},
                {"name": "d", "machineConfigRef": {"apiVersion": "infra.example/v1", "kind": "X", "name": "x"}},
                "not a pool",
            ],
            "etcd": {"s3": {"cloudCredentialName": "other:cc-a"}},
        },
    },
}
FIELDS = [field for field in CREDENTIAL_REFERENCE_FIELDS if field.group == "provisioning.cattle.io"]


def read(item, fields, kind):
    return {
        (key, reference.use): reference for key, reference in ReferenceReader(fields, kind).read(item)
    }


def test_references_of_a_cluster_name_the_pools_that_use_them():
    found = read(CLUSTER, FIELDS, "Cluster")
    assert set(found) == {("cc-a", "cluster"), ("cc-b", "pool"), ("cc-e", "pool"), ("cc-a", "s3")}
    assert found["cc-a", "cluster"].pools == ("a", "d") and found["cc-b", "pool"].pools == ("b", "c")
    assert found["cc-a", "cluster"].resolved
    assert not found["cc-b", "pool"].resolved and not found["cc-a", "s3"].resolved
    assert found["cc-b", "pool"].show()["pools"] == ["b", "c"] and "pools" not in found["cc-a", "s3"].show()


def test_machine_pools_with_the_credential_in_effect():
    first, second, third = parse_machine_pools(CLUSTER)
    assert (first.credential, first.inherited, first.has_machines) == ("cattle-global-data:cc-a", True, False)
    assert (second.credential, second.inherited, second.has_machines) == ("cattle-global-data/cc-b", False, True)
    assert (first.driver, second.driver, third.driver) == ("azure", "amazonec2", "pnap")
    assert (second.config, second.schema_fields, third.schema_fields) == ("nc-b", frozenset({"region"}), None)
    assert str(second) == "prod/b"


def test_a_schema_that_is_nested_too_deeply_is_unreadable():
    pool = {"machineConfigRef": {"kind": "X", "name": "x"}, "dynamicSchemaSpec": "[" * 100_000}
    (parsed,) = parse_machine_pools({"metadata": CLUSTER["metadata"], "spec": {"rkeConfig": {"machinePools": [pool]}}})
    assert parsed.schema_fields is None


@pytest.mark.parametrize("content", [{}, {"spec": None}, {"spec": {"rkeConfig": []}}], ids=str)
def test_a_cluster_without_pools(content):
    assert parse_machine_pools({"metadata": CLUSTER["metadata"], **content}) == []


def test_a_credential_of_the_extension_api_is_not_a_secret_of_the_same_name():
    reference = "cattle-cloud-credentials:cc-a"
    assert referenced_name(reference, "fleet-default") is None
    item = {"metadata": CLUSTER["metadata"], "spec": {"cloudCredentialSecretName": reference}}
    index = ReferenceIndex(ReferenceReader(FIELDS, "Cluster").read(item))
    assert [found.name for found in index.references_to_extensions()] == ["prod"]
    assert index.dangling(()) == {}


BARE_NAMES = {
    "of the cluster": ("cluster", {"cloudCredentialSecretName": "own"}),
    "of a pool": ("pool", {"rkeConfig": {"machinePools": [{"name": "a", "cloudCredentialSecretName": "own"}]}}),
    "of etcd snapshots": ("s3", {"rkeConfig": {"etcd": {"s3": {"cloudCredentialName": "own"}}}}),
}


@pytest.mark.parametrize(("use", "spec"), BARE_NAMES.values(), ids=BARE_NAMES)
@pytest.mark.parametrize("namespace", ["fleet-default", "cattle-global-data"])
def test_a_bare_name_is_a_secret_in_the_namespace_of_the_cluster(use, spec, namespace):
    item = {"metadata": {"name": "prod", "namespace": namespace}, "spec": spec}
    index = ReferenceIndex(ReferenceReader(FIELDS, "Cluster").read(item))
    dangling, own = (
        {key: [(found.name, found.use) for found in references] for key, references in listed.items()}
        for listed in (index.dangling(()), index.secrets_of_clusters())
    )
    if namespace == "fleet-default":
        assert own == {("fleet-default", "own"): [("prod", use)]} and dangling == {}
    else:
        assert dangling == {"own": [("prod", use)]} and own == {}


@pytest.mark.parametrize(
    ("spec", "shown", "text"),
    [
        ({"displayName": "worker large"}, {"display_name": "worker large"}, ' "worker large"'),
        ({"displayName": ""}, {}, ""),
        ({"displayName": 5}, {}, ""),
        ({}, {}, ""),
    ],
)
def test_an_object_with_a_generated_name_has_its_display_name(spec, shown, text):
    template = {
        "metadata": {"namespace": "cattle-global-nt", "name": "nt-abcde"},
        "spec": {"cloudCredentialName": "cattle-global-data:cc-a", **spec},
    }
    rows = [row for row in CREDENTIAL_REFERENCE_FIELDS if row.kind == "NodeTemplate"]
    [(_key, reference)] = ReferenceReader(rows, "NodeTemplate").read(template)
    assert {key: value for key, value in reference.show().items() if key == "display_name"} == shown
    assert str(reference) == f"NodeTemplate cattle-global-nt/nt-abcde{text} (spec.cloudCredentialName)"


def test_history_is_listed_and_does_not_block():
    live = Reference("A", "v1", None, "live", "f", "machine")
    old = Reference("A", "v1", None, "old", "f", HISTORY)
    index = ReferenceIndex([("cc-a", live), ("cc-a", old)])

    @dataclass
    class Credential:
        id: str = "cc-a"
        name: str = "a"
        driver: str = "azure"
        annotations: dict = field(default_factory=dict)

    assert index.references_to(Credential()) == (live, old) and index.needed_by(Credential()) == (live,)


@pytest.mark.parametrize(
    ("status", "failed"),
    [
        pytest.param({}, [], id="no status"),
        pytest.param({"conditions": [{"type": "Updated", "message": ""}]}, [], id="synced"),
        pytest.param(
            {"conditions": [{"type": "Updated", "message": "[Syncing error: syncing failed] 403"}]},
            ["[Syncing error: syncing failed] 403"],
            id="condition of the refresher",
        ),
        pytest.param({"failureMessage": "no access"}, ["no access"], id="message of the operator"),
        pytest.param({"conditions": "text", "failureMessage": 5}, [], id="other types"),
    ],
)
def test_failed_syncs_of_hosted_clusters(status, failed):
    spec = {"eksConfig": {"amazonCredentialSecret": "cattle-global-data:cc-a"}}
    found = parse_failed_sync({"metadata": {"name": "c-x"}, "spec": spec, "status": status}, "Cluster")
    assert [cluster.error for cluster in found] == failed
    assert {cluster.credential for cluster in found} <= {"cattle-global-data:cc-a"}
