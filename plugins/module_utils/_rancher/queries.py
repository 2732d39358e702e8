# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What is read from a Rancher, in the fewest requests, with as few rights as may be.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
import typing as t
from collections import defaultdict
from collections.abc import Mapping

from .._common.errors import ApiError, RanchhandError
from .._kubernetes.client import KubernetesClient, name_in_path
from .cloud_credential import CloudCredential, parse_cloud_credential
from .driver_schema import DriverSchemas
from .references import (
    CREDENTIAL_NAMESPACE,
    CREDENTIAL_REFERENCE_FIELDS,
    TEMPLATE_NAMESPACE,
    Finding,
    ReferenceField,
    ReferenceIndex,
    ReferenceReader,
)
from .users import User, Users

SECRETS_PATH = f"/api/v1/namespaces/{CREDENTIAL_NAMESPACE}/secrets"
MANAGEMENT_PATH = "/apis/management.cattle.io/v3"
TEMPLATES_PATH = f"{MANAGEMENT_PATH}/namespaces/{TEMPLATE_NAMESPACE}/nodetemplates"

# Up to this many ids are read one by one rather than with a list of the whole namespace.
_SINGLE_READS = 4


def list_credential_secrets(client: KubernetesClient, ids: t.Collection[str] | None = None) -> list[dict[str, t.Any]]:
    """The Secrets of Rancher's namespace for credentials, or at least those with the given ids.

    Who may not list them, as an ordinary Rancher user, is asked about those that its rules name.
    """
    if ids is not None and len(ids) <= _SINGLE_READS:
        names = list(ids)
    else:
        try:
            return list(client.list_objects(SECRETS_PATH))
        except ApiError as error:
            if error.status != 403:
                raise
            names = list_readable_secret_names(client)
    return _get_each(client, SECRETS_PATH, names)


def _get_each(client: KubernetesClient, path: str, names: t.Iterable[str]) -> list[dict[str, t.Any]]:
    found = client.parallel_map(lambda name: get_or_none(client, f"{path}/{name_in_path(name)}"), sorted(names))
    return [item for item in found if item is not None]


def get_or_none(client: KubernetesClient, path: str) -> dict[str, t.Any] | None:
    """The object at a path; None if there is none."""
    try:
        return client.get(path)
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def list_readable_secret_names(client: KubernetesClient) -> list[str]:
    """The names of the Secrets that the connection's rules let it get, from a SelfSubjectRulesReview.

    Raises RanchhandError (``forbidden``) if the rules do not name them.
    """
    review = client.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": CREDENTIAL_NAMESPACE},
    })
    names: set[str] = set()
    own_only = False  # creating, but reading only what is named, is what an ordinary Rancher user may
    status = review.get("status") or {}
    for rule in status.get("resourceRules") or ():
        verbs = set(rule.get("verbs") or ())
        if {"secrets", "*"} & set(rule.get("resources") or ()) and {"", "*"} & set(rule.get("apiGroups") or ()):
            own_only = own_only or bool({"create", "*"} & verbs)
            if {"get", "*"} & verbs:
                names.update(rule.get("resourceNames") or ("",))
    if "" in names or not names and (status.get("incomplete") or not own_only):
        cannot_tell = ", and the API server cannot tell which of them it may read" if status.get("incomplete") else ""
        raise RanchhandError("forbidden", f"this connection may not list secrets in namespace {CREDENTIAL_NAMESPACE}{cannot_tell}")
    return sorted(names)


def read_schemas(client: KubernetesClient) -> DriverSchemas | None:
    """The DynamicSchemas; None if they may not be listed. Raises RanchhandError (``unsupported``) where there is no Rancher."""
    try:
        return DriverSchemas(client.list_objects(f"{MANAGEMENT_PATH}/dynamicschemas"))
    except ApiError as error:
        if error.status == 403:
            return None
        raise _no_rancher(client, error) if error.status == 404 else error


def _no_rancher(client: KubernetesClient, error: ApiError) -> RanchhandError:
    return RanchhandError("unsupported", f"{client.host} is not the management cluster of a Rancher: {error.message}")


def read_own_user(client: KubernetesClient) -> User | None:
    """The connection's own Rancher user; None if it has none, or if the API server is too old to say (SelfSubjectReview).

    Through Rancher's proxy a user is called by its id, and its extra fields name its principals.
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


def list_node_template_objects(client: KubernetesClient, ids: t.Collection[str] | None = None) -> list[dict[str, t.Any]]:
    """The NodeTemplates, or at least those with the given ids; none where Rancher has no such kind any more (2.15 on)."""
    try:
        if ids is not None and len(ids) <= _SINGLE_READS:
            return _get_each(client, TEMPLATES_PATH, ids)
        return list(client.list_objects(TEMPLATES_PATH))
    except ApiError as error:
        if error.status == 404 or error.status == 403 and "nodetemplates" not in _served_kinds(client, "management.cattle.io", "v3"):
            return []
        raise


def read_server_version(client: KubernetesClient) -> str:
    """The setting server-version, such as v2.10.3; "" if it may not be read."""
    try:
        setting = client.get(f"{MANAGEMENT_PATH}/settings/server-version")
    except ApiError as error:
        if error.status in (403, 404):
            return ""
        raise
    return setting.get("value") or setting.get("default") or ""


def parse_version(text: str) -> tuple[int, int] | None:
    """Major and minor of a version such as v2.10.3; None if it says no number, as in development builds."""
    found = re.match(r"v?(\d+)\.(\d+)(?:\D|$)", text.strip())
    return (int(found.group(1)), int(found.group(2))) if found else None


def read_users(client: KubernetesClient) -> Users:
    """All users; only the connection's own one if they may not be listed."""
    try:
        return Users([User.from_object(item) for item in client.list_objects(f"{MANAGEMENT_PATH}/users")])
    except ApiError as error:
        if error.status == 403:
            me = read_own_user(client)
            return Users([me] if me else [], only_me=True)
        raise _no_rancher(client, error) if error.status == 404 else error


def read_references(client: KubernetesClient, table: t.Sequence[ReferenceField] = CREDENTIAL_REFERENCE_FIELDS) -> ReferenceIndex:
    """Who refers to what, in all namespaces, with as many requests for one credential as for thousands.

    Authorization runs before routing, so a kind that is not installed may answer 403: each group is asked first which
    resources it serves.
    """
    groups: dict[tuple[str, str], list[ReferenceField]] = defaultdict(list)
    for place in table:
        groups[place.group, place.version].append(place)
    served = client.parallel_map(lambda group: _served_kinds(client, *group), list(groups))
    wanted: list[tuple[str, str, list[ReferenceField]]] = []
    for ((group, version), places), kinds in zip(groups.items(), served):
        for resource, kind in kinds.items():
            matching = [place for place in places if place.resource == resource or place.resource is None and kind.endswith(place.kind)]
            if matching:
                wanted.append((f"/apis/{group}/{version}/{resource}", kind, matching))

    unlisted: list[str] = []

    def read(request: tuple[str, str, list[ReferenceField]]) -> list[Finding]:
        path, kind, places = request
        reader = ReferenceReader(places, kind)
        try:
            return [finding for item in client.list_objects(path) for finding in reader.read(item)]
        except ApiError as error:
            if error.status == 403:
                unlisted.append(f"{path.rpartition('/')[2]}.{places[0].group}")
            elif error.status != 404:
                raise
            return []

    found = client.parallel_map(read, wanted)
    return ReferenceIndex((finding for findings in found for finding in findings), unlisted)


def _served_kinds(client: KubernetesClient, group: str, version: str) -> Mapping[str, str]:
    """The kinds of the listable resources that a group serves, by resource name."""
    try:
        answer = client.get(f"/apis/{group}/{version}")
    except ApiError as error:
        if error.status == 404:
            return {}
        raise
    return {
        one["name"]: one["kind"] for one in answer.get("resources") or ()
        if "/" not in one["name"] and "list" in (one.get("verbs") or ())
    }


def list_cloud_credentials(client: KubernetesClient, ids: t.Collection[str] | None = None) -> list[CloudCredential]:
    """All credentials, or at least those with the given ids."""
    found = (parse_cloud_credential(secret) for secret in list_credential_secrets(client, ids))
    return [credential for credential in found if credential is not None]
