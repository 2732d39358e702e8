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

from . import _observe as observe
from ._credential import Credential, show
from ._errors import Mistakes, RanchhandError
from ._kubernetes import Api
from ._manage_credentials import FILTERS, credentials, describe, listing, wanted_by
from ._manage_rotation import History, Stored, cloud_date, history, issuer_for
from ._manage_rotation_info import status
from ._metadata import check_id
from ._node_template import from_object
from ._options import AUTH, Spec
from ._problems import Around, Policy, Standing, expiries, max_age_of, rotation_problems
from ._references import NAMESPACE, Index
from ._rotation_options import RECORDS, durations, namespace_mistakes
from ._rotation_status import made_at
from ._rotation_world import Namespace
from ._run import Connect, Mode
from .issuer import IssuerError

HEALTH = Spec({
    "max_age": {"type": "str"},
    "policies": {"type": "list", "elements": "dict", "options": {
        "name": {"type": "str"},
        "driver": {"type": "str"},
        "owner": {"type": "str"},
        "max_age": {"type": "str", "required": True},
    }},
    "expires_within": {"type": "str", "default": "30d"},
    "ask_clouds": {"type": "bool", "default": False},
    "namespace": {"type": "str", "default": RECORDS},
})

CLOUD_CREDENTIAL_INFO = AUTH.merge(FILTERS, HEALTH, Spec({"problems": {"type": "bool", "default": False}}))

Time = datetime.datetime


class _Limits(t.NamedTuple):
    """How old keys may get, and how long before its end something is told to end."""

    policies: tuple[Policy, ...]
    soon: datetime.timedelta


def _limits(params: Mapping[str, t.Any]) -> _Limits:
    """Raises Mistakes."""
    seconds, mistakes = durations(params, ("max_age", "expires_within"))
    policies = []
    for index, given in enumerate(params["policies"] or ()):
        allowed, wrong = durations(given, ("max_age",))
        mistakes += [f"policies[{index}]: {mistake}" for mistake in wrong]
        pattern = None if given["name"] is None else re.compile(fnmatch.translate(given["name"]))
        policies.append(Policy(allowed["max_age"] or 0, pattern, given["driver"], given["owner"]))
    mistakes += check_id(params["id"], NAMESPACE)[1] + namespace_mistakes(params["namespace"])
    if mistakes:
        raise Mistakes(mistakes)
    if seconds["max_age"] is not None:
        policies.append(Policy(seconds["max_age"]))
    return _Limits(tuple(policies), datetime.timedelta(seconds=seconds["expires_within"] or 0))


def list_credentials(params: Mapping[str, t.Any], connect: Connect, mode: Mode) -> dict[str, t.Any]:
    """cloud_credential_info: what there is, without any secret."""
    limits = _limits(params)
    identifier, _mistakes = check_id(params["id"], NAMESPACE)
    judge = params["problems"]
    api = connect()
    found, schemas, users, index, templates, past = api.at_once(
        lambda: credentials(api, None if identifier is None or judge else [identifier]),  # some problems show only among all
        lambda: observe.schemas(api),
        lambda: observe.users(api) if params["owner"] or judge else None,
        lambda: observe.references(api) if params["references"] or judge else None,
        lambda: _unless_forbidden(lambda: [from_object(item) for item in observe.templates(api)]) if judge else None,
        lambda: _unless_forbidden(lambda: history(api, params["namespace"])) if judge else None,
    )
    wanted = [one for one in found if identifier in (None, one.id) and wanted_by(params, one, users)]
    shown = [describe(one, show(one, schemas), index) for one in wanted]
    incomplete = []
    if judge:
        around = Around(found, schemas, users, index, templates)
        incomplete = around.not_judged() + _judge(api, params, limits, around, past, list(zip(wanted, shown)))
    result = listing("credentials", shown, index)
    if judge:
        dangling = _dangling(api, index, found)
        result["dangling"] = dangling or []
        if dangling is None:
            incomplete.append(f"dangling: this connection may not list secrets in namespace {NAMESPACE}")
        if incomplete:
            result["problems_incomplete"] = incomplete
    return result


def _dangling(api: Api, index: Index, found: t.Sequence[Credential]) -> list[dict[str, t.Any]] | None:
    """Credentials that are gone although something refers to them; None if this cannot be told.

    The Secrets are listed once more, as one may have come while the rest was read; who may not list them has seen only some.
    """
    lost = index.dangling({one.id for one in found})
    if lost:
        listed = _unless_forbidden(lambda: {item["metadata"]["name"] for item in api.list(observe.SECRETS)})
        if listed is None:
            return None
        lost = {name: references for name, references in lost.items() if name not in listed}
    return [{"id": f"{NAMESPACE}:{name}", "references": [one.show() for one in lost[name]]} for name in sorted(lost)]


def _unless_forbidden(read: t.Callable[[], t.Any]) -> t.Any:
    try:
        return read()
    except RanchhandError as error:
        if error.code == "forbidden":
            return None
        raise


def _judge(
    api: Api, params: Mapping[str, t.Any], limits: _Limits, around: Around, past: History | None, wanted: list[tuple[Credential, dict[str, t.Any]]]
) -> list[str]:
    """Adds to what is shown of each credential how old its key is and what is wrong; returns what could not be found out."""
    incomplete = []
    if past is None:
        incomplete.append(f"drift, restored, stuck_rotation: this connection may not read the records of rotations in namespace {params['namespace']}")
    stored = Stored(around.credentials, past or History(Namespace(api, params["namespace"]), {}, b""))
    made = {one.id: made_at(one, stored.record(one.id), stored.live(one.id)) for one, _shown in wanted}
    if params["ask_clouds"]:
        asked = [one for one, _shown in wanted if made[one.id][1] != "record" and not one.problem]
        for one, answer in zip(asked, api.parallel(_ask_cloud, asked)):
            if isinstance(answer, str):
                incomplete.append(f"key_age: the cloud of {one.full_id} did not tell: {answer}")
            elif answer:
                made[one.id] = (answer, "cloud")
    standing = Standing(around)
    now = datetime.datetime.now(datetime.timezone.utc)
    for one, shown in wanted:
        owner = around.users.get(one.owner)
        owner_name = owner.username or None if owner else None
        max_age = max_age_of(one, owner_name, limits.policies)
        rotation = status(api, stored, one, max_age, True, made[one.id])
        record = stored.record(one.id)
        expires = expiries(one) + ([(record.expires_at, "its key")] if record and record.expires_at else [])
        due_at = rotation.pop("due_at")
        problems = standing.problems(one, expires, now, limits.soon)
        problems += rotation_problems(record, rotation.pop("problem", None), Time.fromisoformat(due_at) if due_at else None, now)
        shown.update(
            owner_name=owner_name, key_age=rotation.pop("age"), key_age_from=rotation.pop("age_from"), max_age=max_age,
            due_at=due_at, due=rotation.pop("due"), problems=[problem.show() for problem in problems],
            rotation={"running": False, **{name: value for name, value in rotation.items() if name not in shown}} if past else None,
        )
    return incomplete


def _ask_cloud(one: Credential) -> Time | str | None:
    """When the key in use was made, or why the cloud did not tell."""
    try:
        issuer = issuer_for(one.driver)
        return cloud_date(issuer, one) if issuer else None
    except (IssuerError, RanchhandError) as error:
        return error.message
    except ImportError:  # the parts of issuers, and SDKs, are on the controller
        return "clouds are asked from the controller only, with a local connection and its own Python"
