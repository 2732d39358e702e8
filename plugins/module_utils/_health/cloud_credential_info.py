# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The module cloud_credential_info: reads, and evaluates what was read."""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._common.errors import RanchhandError, ValidationErrors
from .._common.options import OptionSpec
from .._common.problems import Problem
from .._common.times import Time, now
from .._issuers.registry import issuer_for, key_created_at
from .._issuers.verification import SignIns
from .._kubernetes.client import KubernetesClient, name_in_path
from .._kubernetes.connection import CONNECTION
from .._rancher.cloud_credential import CloudCredential, show_cloud_credential
from .._rancher.driver_schema import DriverSchemas
from .._rancher.machine_config import MachineConfig
from .._rancher.metadata import parse_id
from .._rancher.node_template import NodeTemplate, parse_node_template
from .._rancher.queries import (
    SECRETS_PATH,
    get_or_none,
    list_cloud_credentials,
    list_extension_credentials,
    list_machine_configs,
    list_node_template_objects,
    read_references,
    read_schemas,
    read_users,
)
from .._rancher.references import CREDENTIAL_NAMESPACE, ReferenceIndex
from .._rancher.users import Users
from .._resources.info import FILTERS, add_details, info_result, matches_filters
from .._rotation.info import rotation_status
from .._rotation.options import RECORD_NAMESPACE, validate_namespace
from .._rotation.status import key_issued_at
from .._rotation.store import RotationHistory, RotationNamespace, RotationStore, read_history
from .._runtime.execute import Connect, RunMode
from ..issuer import IssuerError
from .checker import HealthChecker, HealthContext
from .evaluation import KeyState, evaluate
from .keys import try_keys, validate_options_by_driver
from .policies import AgePolicy, find_max_age

HEALTH = OptionSpec({
    "max_age": {"type": "duration"},
    "policies": {"type": "list", "elements": "dict", "options": {
        "name_pattern": {"type": "str"},
        "driver": {"type": "str"},
        "owner": {"type": "str"},
        "max_age": {"type": "duration", "required": True},
    }},
    "expires_within": {"type": "duration", "default": "30d"},
    "query_providers": {"type": "bool", "default": False},
    "namespace": {"type": "str", "default": RECORD_NAMESPACE},
})
CLOUD_CREDENTIAL_INFO = CONNECTION.merge(FILTERS, HEALTH, OptionSpec({
    "problems": {"type": "bool", "default": False},
    "verify": {"type": "bool", "default": False},
    "verify_options_by_driver": {"type": "dict"},
    "key_digest_secret": {"type": "str", "no_log": True},
}))
_SHORTEST_SECRET = 32  # characters
_T = t.TypeVar("_T")


@dataclass(frozen=True)
class _Snapshot:
    """What was read from a Rancher; None where it was not needed or the connection may not list it."""

    credentials: list[CloudCredential] = field(repr=False)
    schemas: DriverSchemas | None
    users: Users | None
    references: ReferenceIndex | None
    templates: list[NodeTemplate] | None
    machine_configs: list[MachineConfig] | None = field(repr=False)
    extension_credentials: list[str] | None
    history: RotationHistory | None = field(repr=False)


def list_cloud_credential_info(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """List credentials without their secrets and, with ``problems``, the age of their keys and their problems."""
    identifier, errors = parse_id(params["id"], CREDENTIAL_NAMESPACE)
    errors += validate_namespace(params["namespace"])
    errors += validate_options_by_driver(params["verify_options_by_driver"] or {})
    if params["key_digest_secret"] and len(params["key_digest_secret"]) < _SHORTEST_SECRET:
        errors.append(f"key_digest_secret must have at least {_SHORTEST_SECRET} random characters")
    if errors:
        raise ValidationErrors(errors)
    client = connect()
    snapshot = _read(client, params, identifier)
    selected = [
        credential for credential in snapshot.credentials
        if identifier in (None, credential.id) and matches_filters(params, credential, snapshot.users)
    ]
    shown = [
        add_details(credential, show_cloud_credential(credential, snapshot.schemas), snapshot.references)
        for credential in selected
    ]
    result = info_result("credentials", shown, snapshot.references)
    if snapshot.extension_credentials is None or snapshot.extension_credentials:
        result["not_managed"] = _show_not_managed(snapshot)
    if params["problems"]:
        incomplete = _add_health(client, params, snapshot, list(zip(selected, shown)))
        dangling = _list_dangling(client, snapshot)
        result["dangling"] = dangling or []
        if dangling is None:
            incomplete.append(f"dangling: this connection may not list secrets in namespace {CREDENTIAL_NAMESPACE}")
        missing = _none_if_forbidden(lambda: _list_missing_secrets(client, snapshot))
        if missing is None:
            incomplete.append("dangling: this connection may not read secrets in the namespaces of clusters")
        result["dangling"] += missing or []
        if incomplete:
            result["problems_incomplete"] = incomplete
    return result


def _read(client: KubernetesClient, params: Mapping[str, t.Any], identifier: str | None) -> _Snapshot:
    """Read in parallel; with ``problems`` all credentials, as some problems are visible only by comparison."""
    problems = params["problems"]
    only = [identifier] if identifier is not None and not problems else None
    return _Snapshot(*client.parallel_reads(
        lambda: list_cloud_credentials(client, only),
        lambda: read_schemas(client),
        lambda: read_users(client) if params["owner"] or problems else None,
        lambda: read_references(client) if params["references"] or problems else None,
        lambda: _none_if_forbidden(lambda: _list_node_templates(client)) if problems else None,
        lambda: list_machine_configs(client) if problems else [],
        lambda: _none_if_forbidden(lambda: list_extension_credentials(client)),
        lambda: _none_if_forbidden(lambda: read_history(client, params["namespace"])) if problems else None,
    ))


def _show_not_managed(snapshot: _Snapshot) -> dict[str, t.Any]:
    """Return what results show of the CloudCredentials of ext.cattle.io; their number is None if it is unknown."""
    names = snapshot.extension_credentials
    shown: dict[str, t.Any] = {
        "api_version": "ext.cattle.io/v1", "kind": "CloudCredential", "count": None if names is None else len(names),
    }
    if snapshot.references is not None:
        shown["references"] = [reference.show() for reference in snapshot.references.references_to_extensions()]
    return shown


def _list_node_templates(client: KubernetesClient) -> list[NodeTemplate]:
    return [parse_node_template(item) for item in list_node_template_objects(client)]


def _none_if_forbidden(read: t.Callable[[], _T]) -> _T | None:
    try:
        return read()
    except RanchhandError as error:
        if error.code == "forbidden":
            return None
        raise


def _add_health(
    client: KubernetesClient, params: Mapping[str, t.Any], snapshot: _Snapshot,
    selected: t.Sequence[tuple[CloudCredential, dict[str, t.Any]]],
) -> list[str]:
    """Add the age of the key, the rotation and the problems to each result; return what could not be determined."""
    if snapshot.users is None or snapshot.references is None:
        raise AssertionError("users and references were not read")
    context = HealthContext(
        snapshot.credentials, snapshot.schemas, snapshot.users, snapshot.references, snapshot.templates,
        snapshot.machine_configs,
    )
    incomplete = context.unchecked()
    if snapshot.extension_credentials:
        number = len(snapshot.extension_credentials)
        incomplete.append(f"not_managed: {number} objects CloudCredential of ext.cattle.io, which are not checked")
    if snapshot.history is None:
        incomplete.append(
            "drift, restored, stuck_rotation: this connection may not read the records of rotations in namespace "
            + params["namespace"]
        )
    no_history = RotationHistory(RotationNamespace(client, params["namespace"]), {}, b"")
    store = RotationStore(snapshot.credentials, snapshot.history or no_history)
    issued = {
        credential.id: key_issued_at(credential, store.record(credential.id), store.live(credential.id))
        for credential, _shown in selected
    }
    if params["query_providers"]:
        unknown = [
            credential for credential, _shown in selected
            if issued[credential.id][1] != "record" and not credential.problem
        ]
        created, failures = _query_providers(client, unknown)
        issued.update(created)
        incomplete += failures
    key_problems: Mapping[str, Problem] = {}
    if params["verify"]:
        key_problems, failures = try_keys(
            [credential for credential, _shown in selected], params["verify_options_by_driver"] or {}, SignIns(),
            client.parallel_map,
        )
        incomplete += failures
    policies = _policies(params)
    checker = HealthChecker(context)
    expires_within = datetime.timedelta(seconds=params["expires_within"] or 0)
    for credential, shown in selected:
        owner = snapshot.users.get(credential.owner)
        shown["owner_name"] = owner.username or None if owner else None
        max_age = find_max_age(credential, shown["owner_name"], policies)
        status = rotation_status(client, store, credential, max_age, True, issued[credential.id])
        key = KeyState(store.record(credential.id), status, max_age, key_problems.get(credential.id))
        shown.update(evaluate(checker, credential, key, now(), expires_within))
        if params["key_digest_secret"]:
            shown["key_digest"] = checker.key_digest(credential, params["key_digest_secret"])
        hidden = {*shown, "problems"}
        rotation = {"running": False, **{name: value for name, value in status.items() if name not in hidden}}
        shown["rotation"] = None if snapshot.history is None else rotation
    return incomplete


def _policies(params: Mapping[str, t.Any]) -> list[AgePolicy]:
    policies = [
        AgePolicy(policy["max_age"], policy["name_pattern"], policy["driver"], policy["owner"])
        for policy in params["policies"] or ()
    ]
    if params["max_age"] is not None:
        policies.append(AgePolicy(params["max_age"]))
    return policies


_Issued = t.Dict[str, t.Tuple[t.Optional[Time], str]]


def _query_providers(client: KubernetesClient, credentials: t.Sequence[CloudCredential]) -> tuple[_Issued, list[str]]:
    """Return when the cloud providers created the keys, and the reasons for which that is unknown."""
    created: _Issued = {}
    failures = []
    for credential, answer in zip(credentials, client.parallel_map(_query_provider, credentials)):
        if isinstance(answer, str):
            failures.append(f"key_age_seconds: the creation time of the key of {credential.full_id}: {answer}")
        elif answer:
            created[credential.id] = (answer, "provider")
    return created, failures


def _query_provider(credential: CloudCredential) -> Time | str | None:
    """Return when the key in use was created, why this is unknown, or None if the provider does not report it."""
    try:
        issuer = issuer_for(credential.driver)
        return key_created_at(issuer, credential) if issuer else None
    except (IssuerError, RanchhandError) as error:
        return error.message


def _list_missing_secrets(client: KubernetesClient, snapshot: _Snapshot) -> list[dict[str, t.Any]]:
    """Return the Secrets that clusters name by a bare name and that do not exist in the namespace of the cluster."""
    if snapshot.references is None:
        raise AssertionError("references were not read")
    named = sorted(snapshot.references.secrets_of_clusters().items())

    def read(entry: tuple[tuple[str, str], t.Any]) -> dict[str, t.Any] | None:
        namespace, name = map(name_in_path, entry[0])
        return get_or_none(client, f"/api/v1/namespaces/{namespace}/secrets/{name}")

    return [
        {"id": f"{namespace}:{name}", "references": [reference.show() for reference in references]}
        for ((namespace, name), references), secret in zip(named, client.parallel_map(read, named)) if secret is None
    ]


def _list_dangling(client: KubernetesClient, snapshot: _Snapshot) -> list[dict[str, t.Any]] | None:
    """Return the credentials that do not exist although objects refer to them; None if this cannot be determined.

    The Secrets are listed again, as a credential may have been created during the run. A connection that may not list
    them has read only some of them.
    """
    if snapshot.references is None:
        raise AssertionError("references were not read")
    missing = snapshot.references.dangling({credential.id for credential in snapshot.credentials})
    if missing:
        existing = _none_if_forbidden(lambda: {item["metadata"]["name"] for item in client.list_objects(SECRETS_PATH)})
        if existing is None:
            return None
        missing = {name: references for name, references in missing.items() if name not in existing}
    return [
        {"id": f"{CREDENTIAL_NAMESPACE}:{name}", "references": [reference.show() for reference in missing[name]]}
        for name in sorted(missing)
    ]
