# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Reads objects from a Rancher, with few requests and permissions."""

from __future__ import annotations

import re
import typing as t
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .._common.errors import ApiError, RanchhandError
from .._kubernetes.client import KubernetesClient, name_in_path
from .cloud_credential import CloudCredential, parse_cloud_credential
from .driver_schema import DriverSchemas, Fields
from .machine_config import MACHINE_CONFIGS_PATH, MachineConfig, machine_config_fields, parse_machine_config
from .machine_pools import (
    MACHINE_CONFIG_GROUP,
    HostedCluster,
    MachinePool,
    driver_of_kind,
    has_replicas,
    parse_failed_sync,
    parse_machine_pools,
    template_reference,
)
from .references import (
    CREDENTIAL_NAMESPACE,
    CREDENTIAL_REFERENCE_FIELDS,
    HISTORY,
    TEMPLATE_NAMESPACE,
    Finding,
    ReferenceField,
    ReferenceIndex,
    ReferenceReader,
)
from .users import User, Users

SECRETS_PATH = f"/api/v1/namespaces/{CREDENTIAL_NAMESPACE}/secrets"
MANAGEMENT_PATH = "/apis/management.cattle.io/v3"
CLUSTER_API_GROUP = "cluster.x-k8s.io"
TEMPLATES_PATH = f"{MANAGEMENT_PATH}/namespaces/{TEMPLATE_NAMESPACE}/nodetemplates"

# Up to this many objects are read by name; for more of them, the namespace is listed.
_SINGLE_READS = 4


def list_credential_secrets(client: KubernetesClient, ids: t.Collection[str] | None = None) -> list[dict[str, t.Any]]:
    """Return the Secrets of Rancher's namespace for credentials, or at least those with these ids.

    A connection that may not list them, such as an ordinary Rancher user, gets those that its rules contain.
    """
    if ids is not None and len(ids) <= _SINGLE_READS:
        names = list(ids)
    else:
        try:
            return client.list_objects(SECRETS_PATH)
        except ApiError as error:
            if error.status != 403:
                raise
            names = list_readable_secret_names(client)
    return _get_each(client, SECRETS_PATH, names)


def _get_each(client: KubernetesClient, path: str, names: t.Iterable[str]) -> list[dict[str, t.Any]]:
    found = client.parallel_map(lambda name: get_or_none(client, f"{path}/{name_in_path(name)}"), sorted(names))
    return [item for item in found if item is not None]


def get_or_none(client: KubernetesClient, path: str) -> dict[str, t.Any] | None:
    """Return the object at a path; None if there is none."""
    try:
        return client.get(path)
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def list_readable_secret_names(client: KubernetesClient) -> list[str]:
    """Return the names of the Secrets that the connection may get, from a SelfSubjectRulesReview.

    Raises RanchhandError (``forbidden``) if the rules do not contain names.
    """
    review = client.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": CREDENTIAL_NAMESPACE},
    })
    names: set[str] = set()
    own_only = False  # an ordinary Rancher user may create Secrets, and read only those that are named
    status = review.get("status") or {}
    for rule in status.get("resourceRules") or ():
        verbs = set(rule.get("verbs") or ())
        if {"secrets", "*"} & set(rule.get("resources") or ()) and {"", "*"} & set(rule.get("apiGroups") or ()):
            own_only = own_only or bool({"create", "*"} & verbs)
            if {"get", "*"} & verbs:
                names.update(rule.get("resourceNames") or ("",))
    if "" in names or (not names and (status.get("incomplete") or not own_only)):
        unknown = ", and the API server does not report which of them it may read" if status.get("incomplete") else ""
        raise RanchhandError(
            "forbidden", f"this connection may not list secrets in namespace {CREDENTIAL_NAMESPACE}{unknown}"
        )
    return sorted(names)


def read_schemas(client: KubernetesClient) -> DriverSchemas | None:
    """Return the DynamicSchemas; None if they may not be listed.

    Raises RanchhandError (``unsupported``) if the cluster has no Rancher.
    """
    try:
        return DriverSchemas(client.list_objects(f"{MANAGEMENT_PATH}/dynamicschemas"))
    except ApiError as error:
        if error.status == 403:
            return None
        raise _no_rancher(client, error) if error.status == 404 else error


def _no_rancher(client: KubernetesClient, error: ApiError) -> RanchhandError:
    return RanchhandError("unsupported", f"{client.host} is not the management cluster of a Rancher: {error.message}")


def read_own_user(client: KubernetesClient) -> User | None:
    """Return the connection's own Rancher user; None if it has none, or if the API server has no SelfSubjectReview.

    Behind Rancher's proxy, the username is the id of the user, and the extra fields contain the principals.
    """
    try:
        review = client.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview",
        })
    except ApiError as error:
        if error.status in (403, 404):
            return None
        raise
    info = (review.get("status") or {}).get("userInfo") or {}
    name = info.get("username") or ""
    try:
        return User.from_object(client.get(f"{MANAGEMENT_PATH}/users/{name_in_path(name)}"))
    except ApiError as error:
        if error.status == 404:
            return None
        if error.status != 403:
            raise
    extra = {key.lower(): values for key, values in (info.get("extra") or {}).items()}
    if "principalid" not in extra:
        return None
    return User(name, "".join(extra.get("username", ())[:1]), tuple(extra["principalid"]))


def list_node_template_objects(
    client: KubernetesClient, ids: t.Collection[str] | None = None,
) -> list[dict[str, t.Any]]:
    """Return the NodeTemplates, or at least those with these ids; none if Rancher does not have the kind (since 2.15).
    """
    try:
        if ids is not None and len(ids) <= _SINGLE_READS:
            return _get_each(client, TEMPLATES_PATH, ids)
        return client.list_objects(TEMPLATES_PATH)
    except ApiError as error:
        if error.status == 404:
            return []
        if error.status == 403 and "nodetemplates" not in served_kinds(client, "management.cattle.io", "v3"):
            return []
        raise


def read_server_version(client: KubernetesClient) -> str:
    """Return the setting server-version, such as v2.10.3; "" if it may not be read."""
    try:
        setting = client.get(f"{MANAGEMENT_PATH}/settings/server-version")
    except ApiError as error:
        if error.status in (403, 404):
            return ""
        raise
    return setting.get("value") or setting.get("default") or ""


def parse_version(text: str) -> tuple[int, int] | None:
    """Return major and minor of a version such as v2.10.3; None if it has no numbers, as in development builds."""
    match = re.match(r"v?(\d+)\.(\d+)(?:\D|$)", text.strip())
    return (int(match.group(1)), int(match.group(2))) if match else None


def read_users(client: KubernetesClient) -> Users:
    """Return all users; only the connection's own user if they may not be listed."""
    try:
        return Users(client.read_collection(f"{MANAGEMENT_PATH}/users", lambda item: (User.from_object(item),)))
    except ApiError as error:
        if error.status == 403:
            own_user = read_own_user(client)
            return Users([own_user] if own_user else [], only_own=True)
        raise _no_rancher(client, error) if error.status == 404 else error


@dataclass
class _Scan:
    """What was read from the objects of one kind."""

    findings: list[Finding] = field(default_factory=list)
    pools: list[MachinePool] = field(default_factory=list)
    failed_syncs: list[HostedCluster] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)


def read_references(
    client: KubernetesClient, table: t.Sequence[ReferenceField] = CREDENTIAL_REFERENCE_FIELDS,
) -> ReferenceIndex:
    """Return the references to all objects, in all namespaces; the number of requests depends on the table only.

    As authorization precedes routing, a request for a kind that is not installed may be answered with 403. Therefore
    the resources that each group serves are read first.
    """
    groups: dict[tuple[str, str], list[ReferenceField]] = defaultdict(list)
    for row in table:
        groups[row.group, row.version].append(row)
    served = client.parallel_map(lambda group: served_kinds(client, *group), list(groups))
    requests: list[tuple[str, str, list[ReferenceField]]] = []
    for ((group, version), rows), kinds in zip(groups.items(), served):
        for resource, kind in kinds.items():
            matching = [row for row in rows if _covers(row, resource, kind)]
            if matching:
                requests.append((f"/apis/{group}/{version}/{resource}", kind, matching))
    scans = client.parallel_map(lambda request: _scan(client, *request), requests)
    findings = [finding for scan in scans for finding in scan.findings]
    if any(reference.use == "template" for _key, reference in findings):
        findings = _with_uses_of_templates(findings, read_templates_in_use(client))
    return ReferenceIndex(
        findings, (name for scan in scans for name in scan.unlisted), (pool for scan in scans for pool in scan.pools),
        (cluster for scan in scans for cluster in scan.failed_syncs),
    )


def _scan(client: KubernetesClient, path: str, kind: str, rows: t.Sequence[ReferenceField]) -> _Scan:
    reader = ReferenceReader(rows, kind)
    pools = rows[0].group == "provisioning.cattle.io"
    hosted = not pools and rows[0].use == "hosted"

    def read(item: Mapping[str, t.Any]) -> t.Iterator[_Scan]:
        yield _Scan(
            list(reader.read(item)), list(parse_machine_pools(item)) if pools else [],
            list(parse_failed_sync(item, kind)) if hosted else [],
        )

    try:
        scans = client.read_collection(path, read)
    except ApiError as error:
        if error.status not in (403, 404):
            raise
        return _Scan(unlisted=[f"{path.rpartition('/')[2]}.{rows[0].group}"] if error.status == 403 else [])
    return _Scan(
        [finding for scan in scans for finding in scan.findings], [pool for scan in scans for pool in scan.pools],
        [cluster for scan in scans for cluster in scan.failed_syncs],
    )


# Namespace, kind and name of a machine template.
TemplateKey = t.Tuple[str, str, str]


def _with_uses_of_templates(findings: t.Iterable[Finding], used: t.Collection[TemplateKey] | None) -> list[Finding]:
    """Return the findings with the use of machine templates: those of pools that are in use, the others history.

    Rancher keeps old templates until the cluster is deleted. All count as in use if ``used`` is None.
    """
    result = []
    for key, reference in findings:
        if reference.use == "template":
            in_use = used is None or (reference.namespace or "", reference.kind, reference.name) in used
            reference = replace(reference, use="pool" if in_use else HISTORY)
        result.append((key, reference))
    return result


def read_templates_in_use(client: KubernetesClient) -> set[TemplateKey] | None:
    """Return the machine templates that MachineDeployments, or MachineSets with replicas, refer to.

    None if these may not be listed.
    """
    try:
        deployments = list_cluster_api_objects(client, "machinedeployments")
        sets = [item for item in list_cluster_api_objects(client, "machinesets") if has_replicas(item)]
    except ApiError as error:
        if error.status == 403:
            return None
        raise
    return {key for key in map(template_reference, deployments + sets) if key is not None}


def list_cluster_api_objects(client: KubernetesClient, resource: str, **query: str) -> list[dict[str, t.Any]]:
    """List a resource of Cluster API in its preferred version, which Rancher 2.14 changes; [] if it is not served."""
    group = get_or_none(client, f"/apis/{CLUSTER_API_GROUP}")
    version = ((group or {}).get("preferredVersion") or {}).get("version")
    try:
        return client.list_objects(f"/apis/{CLUSTER_API_GROUP}/{version}/{resource}", **query) if version else []
    except ApiError as error:
        if error.status == 404:
            return []
        raise


def _covers(row: ReferenceField, resource: str, kind: str) -> bool:
    return kind.endswith(row.kind) if row.resource is None else row.resource == resource


def served_kinds(client: KubernetesClient, group: str, version: str) -> Mapping[str, str]:
    """Return the kinds of the resources that a group serves and that can be listed, by resource name."""
    try:
        answer = client.get(f"/apis/{group}/{version}")
    except ApiError as error:
        if error.status == 404:
            return {}
        raise
    return {
        resource["name"]: resource["kind"] for resource in answer.get("resources") or ()
        if "/" not in resource["name"] and "list" in (resource.get("verbs") or ())
    }


def read_machine_config_kinds(client: KubernetesClient) -> dict[str, str]:
    """Return the kinds of machine configs by driver; Rancher has one per active driver."""
    kinds = served_kinds(client, MACHINE_CONFIG_GROUP, "v1").values()
    return {driver_of_kind(kind): kind for kind in kinds if kind.endswith("Config")}


def read_machine_config_fields(
    client: KubernetesClient, driver: str, kind: str, schemas: DriverSchemas,
) -> Fields | None:
    """Return the fields of a driver's machine configs, from its CRD if the connection may read it."""
    name = f"{kind.lower()}s.{MACHINE_CONFIG_GROUP}"
    try:
        crd = get_or_none(client, f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
    except ApiError as error:
        if error.status != 403:
            raise
        crd = None
    return machine_config_fields(driver, crd, schemas)


def read_machine_configs(
    client: KubernetesClient, namespace: str | None, kind: str, names: t.Collection[str] | None = None,
) -> list[MachineConfig]:
    """Return the machine configs of a kind, or at least those with these names.

    Only administrators may list them; others may read those that the rules of their clusters name.
    """
    where = f"/namespaces/{name_in_path(namespace)}" if namespace else ""
    path = f"{MACHINE_CONFIGS_PATH}{where}/{kind.lower()}s"
    if names is not None and len(names) <= _SINGLE_READS:
        items = _get_each(client, path, names)
    else:
        try:
            items = client.list_objects(path)
        except ApiError as error:
            if error.status != 403 or names is None:
                raise
            items = _get_each(client, path, names)
    return [parse_machine_config(item, kind) for item in items]


def list_machine_configs(client: KubernetesClient) -> list[MachineConfig] | None:
    """Return all machine configs; None if the connection may not list them."""
    kinds = read_machine_config_kinds(client)
    try:
        found = client.parallel_map(lambda kind: read_machine_configs(client, None, kind), list(kinds.values()))
    except ApiError as error:
        if error.status == 403:
            return None
        raise
    return [config for configs in found for config in configs]


def list_machine_pools(client: KubernetesClient, namespace: str | None = None) -> list[MachinePool] | None:
    """Return the machine pools of a namespace or of all; None if the connection may not list the clusters."""
    where = f"/namespaces/{name_in_path(namespace)}" if namespace else ""
    try:
        clusters = client.list_objects(f"/apis/provisioning.cattle.io/v1{where}/clusters")
    except ApiError as error:
        if error.status == 404:
            return []
        if error.status == 403:
            return None
        raise
    return [pool for cluster in clusters for pool in parse_machine_pools(cluster)]


def list_extension_credentials(client: KubernetesClient) -> list[str]:
    """Return namespace and name of the CloudCredentials of ext.cattle.io; [] if this Rancher does not serve them.

    No released Rancher does (rancher/rancher#54448), so the version is no test.
    """
    if "cloudcredentials" not in served_kinds(client, "ext.cattle.io", "v1"):
        return []
    metadata = (item["metadata"] for item in client.list_objects("/apis/ext.cattle.io/v1/cloudcredentials"))
    return sorted(f"{item.get('namespace') or ''}/{item['name']}" for item in metadata)


def list_cloud_credentials(client: KubernetesClient, ids: t.Collection[str] | None = None) -> list[CloudCredential]:
    """Return all credentials, or at least those with these ids."""
    found = (parse_cloud_credential(secret) for secret in list_credential_secrets(client, ids))
    return [credential for credential in found if credential is not None]
