# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks before a rotation starts: permissions, other tools that write the credential, machine configs that would hide
the new key from new machines, and the current key.
"""

from __future__ import annotations

import typing as t

from .._common.errors import RanchhandError
from .._common.text import short_list
from .._kubernetes.client import KubernetesClient, name_in_path
from .._rancher.machine_config import new_machine_problems, pools_with
from .._rancher.queries import SECRETS_PATH, list_machine_configs, read_references, read_schemas
from .._rancher.references import CREDENTIAL_NAMESPACE
from .._rancher.writers import find_other_writer
from ..issuer import IssuerError
from .record import CredentialSnapshot
from .resolver import RotationUnit

# API group, resource, whether in the namespace of the records (else in that of credentials), verbs.
_REQUIRED_PERMISSIONS = (
    ("", "secrets", False, ("get", "patch")),
    ("", "secrets", True, ("get", "list", "create", "delete")),
    ("", "configmaps", True, ("get", "list", "create", "patch")),
    ("coordination.k8s.io", "leases", True, ("get", "create", "patch")),
)


def check_start(
    client: KubernetesClient, namespace: str, unit: RotationUnit, credentials: t.Sequence[CredentialSnapshot]
) -> None:
    """Raise RanchhandError if a rotation must not start."""
    _check_permissions(client, namespace)
    for credential in credentials:
        if "other_writer" not in unit.desired.override_gates and not unit.is_cutover_external:
            writer = find_other_writer(client.get(f"{SECRETS_PATH}/{name_in_path(credential.id)}"), "f:data")
            if writer:
                raise RanchhandError(
                    "other_writer",
                    (
                        f"{CREDENTIAL_NAMESPACE}:{credential.id} is managed by {writer}, which would restore the old "
                        "key. If it reads the key from a store, set cutover: external. Otherwise rotate the key there, "
                        "or set override_gates: [other_writer]."
                    ),
                )
    if "machine_config" not in unit.desired.override_gates:
        _check_new_machines(client, unit)
    if unit.issuer.next_values() is not None:
        return  # a supplied value can also replace a key that does not work
    values = credentials[0].values
    try:
        unit.issuer.verify({name: values[name] for name in unit.record.fields}, values)
    except IssuerError as error:
        if error.code != "refused":
            raise
        raise RanchhandError(
            "unusable",
            (
                f"cannot rotate {CREDENTIAL_NAMESPACE}:{credentials[0].id}: its current key does not work "
                f"({error.message}). "
                "The rotation was not started. Store a working key first."
            ),
        ) from None


def _check_new_machines(client: KubernetesClient, unit: RotationUnit) -> None:
    """Raise RanchhandError if machine configs would keep the new key from new machines of a pool.

    Machine configs take precedence over credentials. If clusters may not be listed, the gates of their references are
    unknown, and the old key is not disabled.
    """
    pools = client.cached("references", 30, lambda: read_references(client)).pools
    for member in unit.members:
        using = pools_with(member, pools)
        if not using:
            continue
        configs = client.cached("machine configs", 30, lambda: list_machine_configs(client))
        if configs is None:
            raise RanchhandError(
                "forbidden",
                f"cannot rotate {member.full_id}: this connection may not list rke-machine-config.cattle.io, so it is "
                f"unknown whether new machines of pool {short_list(sorted(map(str, using)))} would get the new key. "
                "Grant it the verb list, or set override_gates: [machine_config]",
            )
        schemas = client.cached("schemas", 300, lambda: read_schemas(client))
        by_id = {config.id: config for config in configs}
        reasons = new_machine_problems(member, unit.record.fields, using, by_id, schemas)
        if reasons:
            raise RanchhandError(
                "conflict",
                f"cannot rotate {member.full_id}: {short_list(reasons)}. The rotation was not started. Remove the "
                "fields with machine_config, which replaces the nodes, or set override_gates: [machine_config]",
            )


def _check_permissions(client: KubernetesClient, namespace: str) -> None:
    required = [
        (group, resource, namespace if of_records else CREDENTIAL_NAMESPACE, verb)
        for group, resource, of_records, verbs in _REQUIRED_PERMISSIONS for verb in verbs
    ]

    def find_missing(permission: tuple[str, str, str, str]) -> str | None:
        group, resource, where, verb = permission
        review = client.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"group": group, "resource": resource, "namespace": where, "verb": verb}}})
        return None if (review.get("status") or {}).get("allowed") else f"{verb} {resource} in namespace {where}"

    missing = client.cached(
        f"permissions {namespace}", 60, lambda: list(filter(None, client.parallel_map(find_missing, required)))
    )
    if missing:
        raise RanchhandError(
            "forbidden",
            (
                f"cannot rotate keys: this connection may not {', '.join(missing)}. docs/rbac/rotation.yaml contains "
                "all required permissions."
            ),
        )
