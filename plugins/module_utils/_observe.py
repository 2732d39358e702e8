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

from ._driver_schema import Schemas
from ._errors import ApiError, RanchhandError
from ._kubernetes import Api, name_in_path
from ._metadata import User, Users
from ._references import CREDENTIAL_PLACES, NAMESPACE, TEMPLATES_NAMESPACE, Finding, Index, Place, Reader

SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
MANAGEMENT = "/apis/management.cattle.io/v3"
TEMPLATES = f"{MANAGEMENT}/namespaces/{TEMPLATES_NAMESPACE}/nodetemplates"

# Up to this many ids are read one by one rather than with a list of the whole namespace.
_SINGLE_READS = 4


def secrets(api: Api, ids: t.Collection[str] | None = None) -> list[dict[str, t.Any]]:
    """The Secrets of Rancher's namespace for credentials, or at least those with the given ids.

    Who may not list them, as an ordinary Rancher user, is asked about those that its rules name.
    """
    if ids is not None and len(ids) <= _SINGLE_READS:
        names = list(ids)
    else:
        try:
            return list(api.list(SECRETS))
        except ApiError as error:
            if error.status != 403:
                raise
            names = readable_secrets(api)
    return _each(api, SECRETS, names)


def _each(api: Api, path: str, names: t.Iterable[str]) -> list[dict[str, t.Any]]:
    found = api.parallel(lambda name: one(api, f"{path}/{name_in_path(name)}"), sorted(names))
    return [item for item in found if item is not None]


def one(api: Api, path: str) -> dict[str, t.Any] | None:
    """The object at a path; None if there is none."""
    try:
        return api.get(path)
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def readable_secrets(api: Api) -> list[str]:
    """The names of the Secrets that the connection's rules let it get, from a SelfSubjectRulesReview.

    Raises RanchhandError (``forbidden``) if the rules do not name them.
    """
    review = api.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": NAMESPACE},
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
        raise RanchhandError("forbidden", f"this connection may not list secrets in namespace {NAMESPACE}{cannot_tell}")
    return sorted(names)


def schemas(api: Api) -> Schemas | None:
    """The DynamicSchemas; None if they may not be listed. Raises RanchhandError (``unsupported``) where there is no Rancher."""
    try:
        return Schemas(api.list(f"{MANAGEMENT}/dynamicschemas"))
    except ApiError as error:
        if error.status == 403:
            return None
        raise _no_rancher(api, error) if error.status == 404 else error


def _no_rancher(api: Api, error: ApiError) -> RanchhandError:
    return RanchhandError("unsupported", f"{api.host} is not the management cluster of a Rancher: {error.message}")


def myself(api: Api) -> User | None:
    """The connection's own Rancher user; None if it has none, or if the API server is too old to say (SelfSubjectReview).

    Through Rancher's proxy a user is called by its id, and its extra fields name its principals.
    """
    try:
        review = api.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview",
        })
    except ApiError as error:
        if error.status in (403, 404):
            return None
        raise
    info = (review.get("status") or {}).get("userInfo") or {}
    name = info.get("username") or ""
    try:
        return User.from_object(api.get(f"{MANAGEMENT}/users/{name_in_path(name)}"))
    except ApiError as error:
        if error.status == 404:
            return None
        if error.status != 403:
            raise
    extra = {key.lower(): values for key, values in (info.get("extra") or {}).items()}
    if "principalid" not in extra:
        return None
    return User(name, "".join(extra.get("username", ())[:1]), tuple(extra["principalid"]))


def templates(api: Api, ids: t.Collection[str] | None = None) -> list[dict[str, t.Any]]:
    """The NodeTemplates, or at least those with the given ids; none where Rancher has no such kind any more (2.15 on)."""
    try:
        if ids is not None and len(ids) <= _SINGLE_READS:
            return _each(api, TEMPLATES, ids)
        return list(api.list(TEMPLATES))
    except ApiError as error:
        if error.status == 404 or error.status == 403 and "nodetemplates" not in _served(api, "management.cattle.io", "v3"):
            return []
        raise


def server_version(api: Api) -> str:
    """The setting server-version, such as v2.10.3; "" if it may not be read."""
    try:
        setting = api.get(f"{MANAGEMENT}/settings/server-version")
    except ApiError as error:
        if error.status in (403, 404):
            return ""
        raise
    return setting.get("value") or setting.get("default") or ""


def parse_version(text: str) -> tuple[int, int] | None:
    """Major and minor of a version such as v2.10.3; None if it says no number, as in development builds."""
    found = re.match(r"v?(\d+)\.(\d+)(?:\D|$)", text.strip())
    return (int(found.group(1)), int(found.group(2))) if found else None


def users(api: Api) -> Users:
    """All users; only the connection's own one if they may not be listed."""
    try:
        return Users([User.from_object(item) for item in api.list(f"{MANAGEMENT}/users")])
    except ApiError as error:
        if error.status == 403:
            me = myself(api)
            return Users([me] if me else [], only_me=True)
        raise _no_rancher(api, error) if error.status == 404 else error


def references(api: Api, table: t.Sequence[Place] = CREDENTIAL_PLACES) -> Index:
    """Who refers to what, in all namespaces, with as many requests for one credential as for thousands.

    Authorization runs before routing, so a kind that is not installed may answer 403: each group is asked first which
    resources it serves.
    """
    groups: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for place in table:
        groups[place.group, place.version].append(place)
    served = api.parallel(lambda group: _served(api, *group), list(groups))
    wanted: list[tuple[str, str, list[Place]]] = []
    for ((group, version), places), kinds in zip(groups.items(), served):
        for resource, kind in kinds.items():
            matching = [place for place in places if place.resource == resource or place.resource is None and kind.endswith(place.kind)]
            if matching:
                wanted.append((f"/apis/{group}/{version}/{resource}", kind, matching))

    unlisted: list[str] = []

    def read(request: tuple[str, str, list[Place]]) -> list[Finding]:
        path, kind, places = request
        reader = Reader(places, kind)
        try:
            return [finding for item in api.list(path) for finding in reader.read(item)]
        except ApiError as error:
            if error.status == 403:
                unlisted.append(f"{path.rpartition('/')[2]}.{places[0].group}")
            elif error.status != 404:
                raise
            return []

    found = api.parallel(read, wanted)
    return Index((finding for findings in found for finding in findings), unlisted)


def _served(api: Api, group: str, version: str) -> Mapping[str, str]:
    """The kinds of the listable resources that a group serves, by resource name."""
    try:
        answer = api.get(f"/apis/{group}/{version}")
    except ApiError as error:
        if error.status == 404:
            return {}
        raise
    return {
        one["name"]: one["kind"] for one in answer.get("resources") or ()
        if "/" not in one["name"] and "list" in (one.get("verbs") or ())
    }
