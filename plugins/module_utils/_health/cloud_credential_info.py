# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What cloud_credential_info does.

PRIVATE to the collection.
"""

from __future__ import annotations

import datetime
import fnmatch
import re
import typing as t
from collections.abc import Mapping

from .._rotation.issuers.registry import issuer_for, key_created_at
from .._common.errors import RanchhandError, ValidationErrors
from .._common.options import OptionSpec
from .._kubernetes.client import KubernetesClient
from .._kubernetes.connection import CONNECTION
from .._rancher.cloud_credential import CloudCredential, show_cloud_credential
from .._rancher.metadata import parse_id
from .._rancher.node_template import parse_node_template
from .._rancher.queries import (
    SECRETS_PATH,
    list_cloud_credentials,
    list_node_template_objects,
    read_references,
    read_schemas,
    read_users,
)
from .._rancher.references import CREDENTIAL_NAMESPACE, ReferenceIndex
from .._resources.info import FILTERS, add_details, info_result, matches_filters
from .._rotation.info import rotation_status
from .._rotation.options import RECORD_NAMESPACE, namespace_mistakes
from .._rotation.status import key_issued_at
from .._rotation.store import RotationHistory, RotationNamespace, RotationStore, read_history
from .._runtime.execute import Connect, RunMode
from ..issuer import IssuerError
from .expiry import find_expiries
from .policies import Policy, max_age_of
from .problems import HealthChecker, HealthContext, rotation_problems

HEALTH = OptionSpec({
    "max_age": {"type": "duration"},
    "policies": {"type": "list", "elements": "dict", "options": {
        "name": {"type": "str"},
        "driver": {"type": "str"},
        "owner": {"type": "str"},
        "max_age": {"type": "duration", "required": True},
    }},
    "expires_within": {"type": "duration", "default": "30d"},
    "ask_clouds": {"type": "bool", "default": False},
    "namespace": {"type": "str", "default": RECORD_NAMESPACE},
})
CLOUD_CREDENTIAL_INFO = CONNECTION.merge(FILTERS, HEALTH, OptionSpec({"problems": {"type": "bool", "default": False}}))
Time = datetime.datetime


class _Limits(t.NamedTuple):
    """How old keys may get, and how long before its end something is told to end."""

    policies: tuple[Policy, ...]
    soon: datetime.timedelta


def _limits(params: Mapping[str, t.Any]) -> _Limits:
    """Raises Mistakes."""
    policies = []
    for given in params["policies"] or ():
        pattern = None if given["name"] is None else re.compile(fnmatch.translate(given["name"]))
        policies.append(Policy(given["max_age"] or 0, pattern, given["driver"], given["owner"]))
    mistakes = parse_id(params["id"], CREDENTIAL_NAMESPACE)[1] + namespace_mistakes(params["namespace"])
    if mistakes:
        raise ValidationErrors(mistakes)
    if params["max_age"] is not None:
        policies.append(Policy(params["max_age"]))
    return _Limits(tuple(policies), datetime.timedelta(seconds=params["expires_within"] or 0))


def list_cloud_credential_info(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """cloud_credential_info: what there is, without any secret."""
    limits = _limits(params)
    identifier, _mistakes = parse_id(params["id"], CREDENTIAL_NAMESPACE)
    judge = params["problems"]
    client = connect()
    found, schemas, users, index, templates, past = client.parallel_reads(
        lambda: list_cloud_credentials(client, None if identifier is None or judge else [identifier]),  # some problems show only among all
        lambda: read_schemas(client),
        lambda: read_users(client) if params["owner"] or judge else None,
        lambda: read_references(client) if params["references"] or judge else None,
        lambda: _unless_forbidden(lambda: [parse_node_template(item) for item in list_node_template_objects(client)]) if judge else None,
        lambda: _unless_forbidden(lambda: read_history(client, params["namespace"])) if judge else None,
    )
    wanted = [one for one in found if identifier in (None, one.id) and matches_filters(params, one, users)]
    shown = [add_details(one, show_cloud_credential(one, schemas), index) for one in wanted]
    incomplete = []
    if judge:
        around = HealthContext(found, schemas, users, index, templates)
        incomplete = around.not_judged() + _evaluate(client, params, limits, around, past, list(zip(wanted, shown)))
    result = info_result("credentials", shown, index)
    if judge:
        dangling = _dangling(client, index, found)
        result["dangling"] = dangling or []
        if dangling is None:
            incomplete.append(f"dangling: this connection may not list secrets in namespace {CREDENTIAL_NAMESPACE}")
        if incomplete:
            result["problems_incomplete"] = incomplete
    return result


def _dangling(client: KubernetesClient, index: ReferenceIndex, found: t.Sequence[CloudCredential]) -> list[dict[str, t.Any]] | None:
    """Credentials that are gone although something refers to them; None if this cannot be told.

    The Secrets are listed once more, as one may have come while the rest was read; who may not list them has seen only some.
    """
    lost = index.dangling({one.id for one in found})
    if lost:
        listed = _unless_forbidden(lambda: {item["metadata"]["name"] for item in client.list_objects(SECRETS_PATH)})
        if listed is None:
            return None
        lost = {name: references for name, references in lost.items() if name not in listed}
    return [{"id": f"{CREDENTIAL_NAMESPACE}:{name}", "references": [one.show() for one in lost[name]]} for name in sorted(lost)]


def _unless_forbidden(read: t.Callable[[], t.Any]) -> t.Any:
    try:
        return read()
    except RanchhandError as error:
        if error.code == "forbidden":
            return None
        raise


def _evaluate(
    client: KubernetesClient, params: Mapping[str, t.Any], limits: _Limits, around: HealthContext, past: RotationHistory | None, wanted: list[tuple[CloudCredential, dict[str, t.Any]]]
) -> list[str]:
    """Adds to what is shown of each credential how old its key is and what is wrong; returns what could not be found out."""
    incomplete = []
    if past is None:
        incomplete.append(f"drift, restored, stuck_rotation: this connection may not read the records of rotations in namespace {params['namespace']}")
    stored = RotationStore(around.credentials, past or RotationHistory(RotationNamespace(client, params["namespace"]), {}, b""))
    made = {one.id: key_issued_at(one, stored.record(one.id), stored.live(one.id)) for one, _shown in wanted}
    if params["ask_clouds"]:
        asked = [one for one, _shown in wanted if made[one.id][1] != "record" and not one.problem]
        for one, answer in zip(asked, client.parallel_map(_ask_cloud, asked)):
            if isinstance(answer, str):
                incomplete.append(f"key_age: the cloud of {one.full_id} did not tell: {answer}")
            elif answer:
                made[one.id] = (answer, "cloud")
    standing = HealthChecker(around)
    now = datetime.datetime.now(datetime.timezone.utc)
    for one, shown in wanted:
        owner = around.users.get(one.owner)
        owner_name = owner.username or None if owner else None
        max_age = max_age_of(one, owner_name, limits.policies)
        rotation = rotation_status(client, stored, one, max_age, True, made[one.id])
        record = stored.record(one.id)
        expires = find_expiries(one) + ([(record.expires_at, "its key")] if record and record.expires_at else [])
        due_at = rotation.pop("due_at")
        problems = standing.problems(one, expires, now, limits.soon)
        problems += rotation_problems(record, rotation.pop("problem", None), Time.fromisoformat(due_at) if due_at else None, now)
        shown.update(
            owner_name=owner_name, key_age=rotation.pop("age"), key_age_from=rotation.pop("age_from"), max_age=max_age,
            due_at=due_at, due=rotation.pop("due"), problems=[problem.show() for problem in problems],
            rotation={"running": False, **{name: value for name, value in rotation.items() if name not in shown}} if past else None,
        )
    return incomplete


def _ask_cloud(one: CloudCredential) -> Time | str | None:
    """When the key in use was made, or why the cloud did not tell."""
    try:
        issuer = issuer_for(one.driver)
        return key_created_at(issuer, one) if issuer else None
    except (IssuerError, RanchhandError) as error:
        return error.message
    except ImportError:  # the parts of issuers, and SDKs, are on the controller
        return "clouds are asked from the controller only, with a local connection and its own Python"
