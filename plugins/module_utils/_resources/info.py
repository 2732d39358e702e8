# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the modules cloud_credential and cloud_credential_info do.

PRIVATE to the collection.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Mapping

from .._common.errors import RanchhandError, ValidationErrors
from .._common.options import OptionSpec
from .._kubernetes.connection import CONNECTION
from .._rancher.metadata import parse_id
from .._rancher.node_template import parse_node_template, show_node_template
from .._rancher.queries import list_node_template_objects, read_references, read_schemas, read_users
from .._rancher.references import ReferenceIndex, TEMPLATE_NAMESPACE, TEMPLATE_REFERENCE_FIELDS
from .._rancher.users import Users
from .._runtime.execute import Connect, RunMode

FILTERS = OptionSpec({
    "name": {"type": "str"},
    "id": {"type": "str"},
    "driver": {"type": "str"},
    "owner": {"type": "str"},
    "references": {"type": "bool", "default": False},
})


def matches_filters(params: Mapping[str, t.Any], one: t.Any, users: Users | None) -> bool:
    """Whether an object passes the filters of an info module."""
    owner = params["owner"]
    if owner and users and owner != one.owner:
        try:
            owner = users.find(owner)
        except RanchhandError as error:
            if error.code == "ambiguous":
                raise
            # a user that is gone may still own something
    return params["name"] in (None, one.name) and params["driver"] in (None, one.driver) and owner in (None, one.owner)


def add_details(one: t.Any, shown: dict[str, t.Any], index: ReferenceIndex | None) -> dict[str, t.Any]:
    """What info modules say beyond what an object is: its age in seconds, its problem if it has one, and who refers to it."""
    created = datetime.datetime.fromisoformat(one.created_at.replace("Z", "+00:00"))
    shown["age"] = max(0, int((datetime.datetime.now(datetime.timezone.utc) - created).total_seconds()))
    if one.problem:
        shown["problem"] = one.problem
    if index is not None:
        shown["references"] = [reference.show() for reference in index.references_to(one)]
    return shown


def info_result(name: str, shown: list[dict[str, t.Any]], index: ReferenceIndex | None) -> dict[str, t.Any]:
    """The result of an info module."""
    result: dict[str, t.Any] = {"changed": False, name: sorted(shown, key=lambda one: (one["name"], one["id"]))}
    if index is not None and index.unlisted:
        result["references_incomplete"] = list(index.unlisted)
    return result


NODE_TEMPLATE_INFO = CONNECTION.merge(FILTERS)


def list_node_templates(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """node_template_info: what there is, without any secret."""
    client = connect()
    identifier, mistakes = parse_id(params["id"], TEMPLATE_NAMESPACE)
    if mistakes:
        raise ValidationErrors(mistakes)
    items, schemas, users, index = client.parallel_reads(
        lambda: list_node_template_objects(client, None if identifier is None else [identifier]),
        lambda: read_schemas(client),
        lambda: read_users(client) if params["owner"] else None,
        lambda: read_references(client, TEMPLATE_REFERENCE_FIELDS) if params["references"] else None,
    )
    found = [one for one in map(parse_node_template, items) if matches_filters(params, one, users)]
    return info_result("node_templates", [add_details(one, show_node_template(one, schemas), index) for one in found], index)
