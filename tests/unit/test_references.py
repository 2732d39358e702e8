# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The credential that a reference means, as Rancher reads it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.machine_pools import (
    HOSTED_DRIVERS,
    MACHINE_CONFIG_API_VERSION,
    HostedCluster,
    driver_of_kind,
    has_replicas,
    parse_failed_sync,
    parse_machine_pools,
    pool_of_deployment,
    template_reference,
)
from ansible_collections.ranchhand.rancher.plugins.module_utils._rancher.references import (
    CREDENTIAL_REFERENCE_FIELDS,
    HISTORY,
    TEMPLATE_REFERENCE_FIELDS,
    Reference,
    ReferenceIndex,
    ReferenceReader,
    credential_id,
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


@dataclass
class Credential:
    id: str = "cc-a"
    name: str = "a"
    driver: str = "azure"
    annotations: dict = field(default_factory=dict)


def test_history_is_listed_and_does_not_block():
    live = Reference("A", "v1", None, "live", "f", "machine")
    old = Reference("A", "v1", None, "old", "f", HISTORY)
    index = ReferenceIndex([("cc-a", live), ("cc-a", old)])
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


# All fields: versions of Rancher, API, plural and kind, field, use. Only controllers write a field with *, as a copy.
KNOWN = """
≤2.11 management.cattle.io/v3 nodetemplates NodeTemplate spec.cloudCredentialName node_template
≤2.11 management.cattle.io/v3 nodes Node status.nodeTemplateSpec.cloudCredentialName machine *
2.6+ provisioning.cattle.io/v1 clusters Cluster spec.cloudCredentialSecretName cluster
2.6+ provisioning.cattle.io/v1 clusters Cluster spec.rkeConfig.machinePools[].cloudCredentialSecretName pool
2.6+ provisioning.cattle.io/v1 clusters Cluster spec.rkeConfig.etcd.s3.cloudCredentialName s3
2.6+ rke.cattle.io/v1 rkecontrolplanes RKEControlPlane spec.etcd.s3.cloudCredentialName s3 *
2.6+ rke.cattle.io/v1 etcdsnapshots ETCDSnapshot snapshotFile.s3.cloudCredentialName history *
2.6+ rke-machine.cattle.io/v1 - Machine spec.common.cloudCredentialSecretName machine
2.6+ rke-machine.cattle.io/v1 - Machine status.cloudCredentialSecretName machine *
2.6+ rke-machine.cattle.io/v1 - MachineTemplate spec.template.spec.common.cloudCredentialSecretName template
2.13+ turtles-capi.cattle.io/v1alpha1 capiproviders CAPIProvider spec.credentials.rancherCloudCredential capi
2.13+ turtles-capi.cattle.io/v1alpha1 capiproviders CAPIProvider \
spec.credentials.rancherCloudCredentialNamespaceName capi
2.15+ infrastructure.cluster.x-k8s.io/v1beta2 awsclusterstaticidentities AWSClusterStaticIdentity spec.secretRef capi
"""
HOSTED_KNOWN = """
{rancher} management.cattle.io/v3 clusters Cluster spec.{operator}Config.{field} hosted
{rancher} management.cattle.io/v3 clusters Cluster status.{operator}Status.upstreamSpec.{field} hosted *
{rancher} management.cattle.io/v3 clusters Cluster status.appliedSpec.{operator}Config.{field} hosted *
{rancher} {operator}.cattle.io/v1 {operator}clusterconfigs {prefix}ClusterConfig spec.{field} hosted
"""
OPERATORS = {
    "eks": ("EKS", "amazonCredentialSecret", "amazonec2", "2.5+"),
    "gke": ("GKE", "googleCredentialSecret", "google", "2.5+"),
    "aks": ("AKS", "azureCredentialSecret", "azure", "2.6+"),
    "ali": ("Ali", "alibabaCredentialSecret", "alibaba", "2.13+"),
}


def test_all_fields_that_refer_to_credentials():
    expected = KNOWN + "".join(
        HOSTED_KNOWN.format(operator=operator, prefix=prefix, field=name, rancher=rancher)
        for operator, (prefix, name, _driver, rancher) in OPERATORS.items()
    )
    assert {
        f"{item.rancher} {item.api_version} {item.resource or '-'} {item.kind} {item.field} {item.use}"
        + ("" if item.written_by_users else " *") for item in CREDENTIAL_REFERENCE_FIELDS
    } == set(filter(None, expected.splitlines()))
    assert len(CREDENTIAL_REFERENCE_FIELDS) == 13 + 4 * 4
    assert {item.field: item.form for item in CREDENTIAL_REFERENCE_FIELDS if item.form != "id"} == {
        "spec.credentials.rancherCloudCredential": "display name", "spec.secretRef": "bare"}
    assert HOSTED_DRIVERS == {operator: driver for operator, (_prefix, _name, driver, _rancher) in OPERATORS.items()}


def test_the_fields_that_refer_to_node_templates():
    assert [(item.api_version, item.resource, item.kind, item.field, item.use, item.rancher) for item in
            TEMPLATE_REFERENCE_FIELDS] == [
        ("management.cattle.io/v3", "nodepools", "NodePool", "spec.nodeTemplateName", "pool", "≤2.11"),
        ("management.cattle.io/v3", "nodes", "Node", "spec.nodeTemplateName", "machine", "≤2.11"),
    ]


@pytest.mark.parametrize(("value", "key"), [
    ("cattle-global-nt:nt-a", "nt-a"), ("other:nt-a", None), ("nt-a", None), ("cattle-global-nt:", None), (5, None),
])
def test_a_node_template_is_in_its_namespace_only(value, key):
    """Rancher moves a template from another namespace under another name."""
    node = {"metadata": {"name": "m-1", "namespace": "c-1"}, "spec": {"nodeTemplateName": value}}
    found = list(ReferenceReader(TEMPLATE_REFERENCE_FIELDS[1:], "Node").read(node))
    assert [found_key for found_key, _reference in found] == ([key] if key else [])


@pytest.mark.parametrize(("use", "value", "resolved"), [
    *((use, f"cattle-global-data:{name}", True) for use in ("cluster", "pool", "s3", "machine", "hosted", "capi")
      for name in ("cc-a",)),
    *((use, "other:cc-a", False) for use in ("cluster", "pool", "s3", "machine", "hosted")),
    *((use, "cattle-global-data/cc-a", False) for use in ("cluster", "hosted")),
    ("hosted", "cc-a", False), ("cluster", "cc-a", True), ("pool", "cc-a", True), ("hosted", "", True),
    ("capi", "other:cc-a", True), ("template", "other:cc-a", True), (HISTORY, "other:cc-a", True),
])
def test_the_spellings_that_rancher_resolves(use, value, resolved):
    assert Reference("Cluster", "v1", "fleet-default", "prod", "f", use, value=value).resolved is resolved


@pytest.mark.parametrize(("name_or_id", "expected"), [
    ("cattle-global-data:cc-a", "cc-a"), ("cattle-global-data/cc-a.b", "cc-a.b"), ("cc-a", None), ("other:cc-a", None),
    ("cattle-global-data:", None), ("cattle-global-data:A", None), ("cattle-global-data:a b", None),
    ("cattle-global-data:" + "a" * 253, "a" * 253), ("cattle-global-data:" + "a" * 254, None),
])
def test_only_an_id_with_its_namespace_is_certainly_an_id(name_or_id, expected):
    assert credential_id(name_or_id) == expected


TURTLES = [item for item in CREDENTIAL_REFERENCE_FIELDS if item.kind in ("CAPIProvider", "AWSClusterStaticIdentity")]


@pytest.mark.parametrize(("driver", "provider"), [
    ("amazonec2", "aws"), ("google", "gcp"), ("vmwarevsphere", "vsphere"), ("azure", "azure")])
@pytest.mark.parametrize(("spec", "name"), [({"name": "{}"}, "other"), ({}, "{}")], ids=["by its spec", "by its name"])
def test_turtles_refers_by_the_display_name_and_the_provider(driver, provider, spec, name):
    credentials = {"credentials": {"rancherCloudCredential": "a"}}
    item = {
        "metadata": {"name": name.format(provider), "namespace": "n"},
        "spec": {**{key: value.format(provider.upper()) for key, value in spec.items()}, **credentials},
    }
    index = ReferenceIndex(ReferenceReader(TURTLES[:1], "CAPIProvider").read(item))
    assert len(index.references_to(Credential(driver=driver))) == 1
    assert index.references_to(Credential(name="b", driver=driver)) == ()
    assert index.references_to(Credential(driver="digitalocean")) == ()
    assert index.dangling(()) == {} and index.secrets_of_clusters() == {} and index.references_to_extensions() == ()


def test_the_identity_that_turtles_creates_for_a_credential_does_not_count():
    item = {"metadata": {"name": "created"}, "spec": {"secretRef": "cc-a"}}
    index = ReferenceIndex(ReferenceReader(TURTLES[2:], "AWSClusterStaticIdentity").read(item))
    identity = "cluster-api.cattle.io/capi-static-identity-ref"
    assert index.needed_by(Credential(annotations={identity: "created"})) == ()
    for other in ({}, {identity: "another"}, {identity: ""}):
        assert len(index.needed_by(Credential(annotations=other))) == 1
    other_kind = ReferenceIndex([("cc-a", Reference("Cluster", "v1", None, "created", "f"))])
    assert len(other_kind.needed_by(Credential(annotations={identity: "created"}))) == 1


def test_only_fields_that_users_write_and_that_use_a_credential_dangle():
    def written(name, field_name, api_version="provisioning.cattle.io/v1", use="cluster"):
        return Reference("Cluster", api_version, "fleet-default", name, field_name, use)

    spec, plane = "spec.cloudCredentialSecretName", "spec.etcd.s3.cloudCredentialName"
    index = ReferenceIndex([
        ("cc-gone", written("b", spec)), ("cc-gone", written("a", spec)),
        ("cc-gone", written("p", plane, "rke.cattle.io/v1", "s3")),
        ("cc-old", written("s", "snapshotFile.s3.cloudCredentialName", "rke.cattle.io/v1", HISTORY)),
        ("cc-past", written("x", spec, use=HISTORY)), ("cc-here", written("a", spec)),
        ("cc-bare", written("i", "spec.secretRef", "infrastructure.cluster.x-k8s.io/v1beta2", "capi")),
        (("secret", "fleet-default", "own"), written("a", spec)),
    ])
    found = index.dangling(["cc-here"])
    assert {key: [item.name for item in references] for key, references in found.items()} == {"cc-gone": ["a", "b"]}


def test_lists_of_an_index_are_sorted_and_complete():
    def reference(name):
        return Reference("Cluster", "v1", "n", name, "f", "cluster")

    extension, secret = ("cattle-cloud-credentials", "cc-a"), ("secret", "n", "own")
    index = ReferenceIndex(
        [(key, reference(name)) for key in (extension, secret, "cc-a") for name in "ba"], ["y", "x", "y"],
        failed_syncs=[HostedCluster("Cluster", None, "c", "x", "e")])
    both = (reference("a"), reference("b"))
    assert index.unlisted == ("x", "y") and index.references_to(Credential()) == both
    assert index.references_to_extensions() == both
    assert index.secrets_of_clusters() == {("n", "own"): both}
    assert [str(cluster) for cluster in index.failed_syncs] == ["Cluster c"] and index.pools == ()


def test_an_object_names_the_same_value_once_for_each_field():
    pools = [{"name": "a", "cloudCredentialSecretName": "cattle-global-data:cc-a"}] * 2
    item = {"metadata": CLUSTER["metadata"], "spec": {
        "cloudCredentialSecretName": "cattle-global-data:cc-a", "rkeConfig": {"machinePools": [
            *pools, *({"cloudCredentialSecretName": value} for value in (5, "", "cattle-global-data:"))]}}}
    found = list(ReferenceReader(FIELDS, "Cluster").read(item))
    assert [(key, reference.use, reference.value) for key, reference in found] == [
        ("cc-a", "cluster", "cattle-global-data:cc-a"), ("cc-a", "pool", "cattle-global-data:cc-a")]
    assert found[0][1].show() == {
        "kind": "Cluster", "api_version": "provisioning.cattle.io/v1", "namespace": "fleet-default", "name": "prod",
        "field": "spec.cloudCredentialSecretName", "use": "cluster", "pools": ["", ""],
    }
    assert str(found[0][1]) == "Cluster fleet-default/prod (spec.cloudCredentialSecretName)"
    assert str(Reference("A", "v1", None, "x", "f")) == "A x (f)"


def test_a_bare_name_counts_only_in_clusters():
    machines = [item for item in CREDENTIAL_REFERENCE_FIELDS if item.field == "spec.common.cloudCredentialSecretName"]
    item = {"metadata": {"name": "m", "namespace": "fleet-default"}, "spec": {
        "common": {"cloudCredentialSecretName": "own"}}}
    assert list(ReferenceReader(machines, "Amazonec2Machine").read(item)) == []


# Machine pools, and what Cluster API creates from them


def machine_pool(**entry):
    return parse_machine_pools({"metadata": CLUSTER["metadata"], "spec": {"rkeConfig": {"machinePools": [entry]}}})


CONFIG = {"kind": "AzureConfig", "name": "nc-a", "apiVersion": MACHINE_CONFIG_API_VERSION}


@pytest.mark.parametrize(("reference", "counts"), [
    (CONFIG, True), ({**CONFIG, "apiVersion": None}, True), ({**CONFIG, "apiVersion": ""}, True),
    ({**CONFIG, "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta2"}, False), ({**CONFIG, "kind": ""}, False),
    ({**CONFIG, "name": None}, False), (None, False), ("text", False),
], ids=str)
def test_a_pool_creates_machines_from_a_machine_config(reference, counts):
    assert MACHINE_CONFIG_API_VERSION == "rke-machine-config.cattle.io/v1"
    pools = machine_pool(name="a", machineConfigRef=reference)
    assert [(pool.namespace, pool.cluster, pool.name, pool.kind, pool.config, pool.credential) for pool in pools] == (
        [("fleet-default", "prod", "a", "AzureConfig", "nc-a", "")] if counts else [])


def test_a_cluster_without_namespace_and_a_pool_without_name():
    spec = {"rkeConfig": {"machinePools": [{"machineConfigRef": CONFIG}]}}
    (pool,) = parse_machine_pools({"metadata": {"name": "prod"}, "spec": spec})
    assert (pool.namespace, pool.name) == ("", "") and str(pool) == "prod/"


@pytest.mark.parametrize(("entry", "has_machines"), [
    ({}, True), ({"quantity": None}, True), ({"quantity": 1}, True), ({"quantity": 0}, False),
    ({"quantity": 0, "autoscalingMaxSize": 3}, True), ({"quantity": 0, "autoscalingMaxSize": 0}, False),
], ids=str)
def test_a_pool_has_machines_unless_its_quantity_is_zero(entry, has_machines):
    (pool,) = machine_pool(machineConfigRef=CONFIG, **entry)
    assert pool.has_machines is has_machines


@pytest.mark.parametrize(("schema", "fields"), [
    (None, None), ("", None), ("[]", None), ('{"resourceFields": ["a"]}', None),
    ('{"resourceFields": {"a": {}, "b": null}}', frozenset("ab")),
])
def test_the_fields_of_the_driver_that_a_pool_uses(schema, fields):
    (pool,) = machine_pool(machineConfigRef=CONFIG, dynamicSchemaSpec=schema)
    assert pool.schema_fields == fields


@pytest.mark.parametrize(("kind", "driver"), [
    ("Amazonec2Config", "amazonec2"), ("VmwarevsphereConfig", "vmwarevsphere"), ("Odd", "odd"), ("ConfigX", "configx"),
])
def test_the_driver_of_a_kind(kind, driver):
    assert driver_of_kind(kind) == driver


def test_a_failed_sync_is_reported_for_each_credential_of_the_cluster():
    updated, other = ({"type": kind, "message": "[Syncing error: x] 403"} for kind in ("Updated", "Ready"))
    metadata = {"name": "c-x", "namespace": "n"}
    for status, error in (({"conditions": [other]}, None), ({"conditions": [other, updated]}, updated["message"])):
        for operator, (_prefix, name, _driver, _rancher) in OPERATORS.items():
            for spec in ({f"{operator}Config": {name: "id"}}, {name: "id"}):
                found = parse_failed_sync({"metadata": metadata, "spec": spec, "status": status}, "Cluster")
                assert found == ([HostedCluster("Cluster", "n", "c-x", "id", error)] if error else [])
    assert str(HostedCluster("Cluster", "n", "c-x", "id", "e")) == "Cluster n/c-x"
    assert parse_failed_sync({"metadata": metadata, "spec": None, "status": {"failureMessage": "e"}}, "Cluster") == []


DEPLOYMENT = {
    "metadata": {"namespace": "n"},
    "spec": {"template": {
        "metadata": {"labels": {
            "cluster.x-k8s.io/cluster-name": "prod", "rke.cattle.io/rke-machine-pool-name": "workers"}},
        "spec": {"infrastructureRef": {"kind": "AzureMachineTemplate", "name": "t"}},
    }},
}


def changed(path, value):
    """Return DEPLOYMENT with another value at a path."""
    item = copy.deepcopy(DEPLOYMENT)
    *steps, last = path
    inner = item
    for step in steps:
        inner = inner[step]
    inner[last] = value
    return item


def test_the_template_and_the_pool_of_a_deployment():
    assert template_reference(DEPLOYMENT) == ("n", "AzureMachineTemplate", "t")
    assert pool_of_deployment(DEPLOYMENT) == ("n", "prod", "workers")
    without_namespace = changed(["metadata"], {})
    assert template_reference(without_namespace)[0] == pool_of_deployment(without_namespace)[0] == ""
    infrastructure = ["spec", "template", "spec", "infrastructureRef"]
    for path in (["spec"], infrastructure, [*infrastructure, "kind"], [*infrastructure, "name"]):
        assert template_reference(changed(path, None)) is None
    labels = ["spec", "template", "metadata", "labels"]
    for path in (["spec"], labels, *([*labels, name] for name in DEPLOYMENT["spec"]["template"]["metadata"]["labels"])):
        assert pool_of_deployment(changed(path, 5)) is None


@pytest.mark.parametrize(("machine_set", "expected"), [
    ({}, True), ({"spec": {"replicas": 0}}, False), ({"spec": {"replicas": 2}}, True),
    ({"spec": {"replicas": 0}, "status": {"replicas": 1}}, True), ({"spec": {"replicas": 0}, "status": None}, False),
], ids=str)
def test_a_machine_set_has_machines_or_is_to_get_some(machine_set, expected):
    assert has_replicas(machine_set) is expected
