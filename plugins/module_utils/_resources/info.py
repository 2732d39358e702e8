# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The module node_template_info, and what the info modules have in common."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from .._common.errors import RanchhandError, ValidationErrors
from .._common.options import OptionSpec
from .._common.problems import show_problems
from .._common.times import now, parse_time
from .._kubernetes.connection import CONNECTION
from .._rancher.metadata import parse_id
from .._rancher.node_template import parse_node_template, show_node_template
from .._rancher.queries import list_node_template_objects, read_references, read_schemas, read_users
from .._rancher.references import TEMPLATE_NAMESPACE, TEMPLATE_REFERENCE_FIELDS, ReferenceIndex
from .._rancher.users import Users
from .._runtime.execute import Connect, RunMode
from .catalog import StoredObject
from .machine_config_draft import draft_machine_config

FILTERS = OptionSpec({
    "name": {"type": "str"},
    "id": {"type": "str"},
    "driver": {"type": "str"},
    "owner": {"type": "str"},
    "references": {"type": "bool", "default": False},
})
NODE_TEMPLATE_INFO = CONNECTION.merge(FILTERS)


def matches_filters(params: Mapping[str, t.Any], stored: StoredObject, users: Users | None) -> bool:
    """Return whether an object matches the options name, driver and owner; raises RanchhandError (``ambiguous``)."""
    owner = params["owner"]
    if owner and users and owner != stored.owner:
        try:
            owner = users.find(owner)
        except RanchhandError as error:
            if error.code == "ambiguous":
                raise
            # objects of a deleted user can be selected by the user's id
    return (
        params["name"] in (None, stored.name) and params["driver"] in (None, stored.driver)
        and owner in (None, stored.owner)
    )


def add_details(stored: StoredObject, shown: dict[str, t.Any], index: ReferenceIndex | None) -> dict[str, t.Any]:
    """Add the age of an object, its problems and, with an index, its references to what is shown of it."""
    created_at = parse_time(stored.created_at) if stored.created_at else None
    shown["age_seconds"] = max(0, int((now() - created_at).total_seconds())) if created_at else None
    shown["problems"] = show_problems(stored.problem)
    if index is not None:
        shown["references"] = [reference.show() for reference in index.references_to(stored)]
    return shown


def info_result(name: str, shown: list[dict[str, t.Any]], index: ReferenceIndex | None) -> dict[str, t.Any]:
    """Return the result of an info module, with its objects under this name."""
    result: dict[str, t.Any] = {"changed": False, name: sorted(shown, key=lambda item: (item["name"], item["id"]))}
    if index is not None and index.unlisted:
        result["references_incomplete"] = list(index.unlisted)
    return result


def list_node_templates(params: Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
    """List node templates, without any secret."""
    client = connect()
    identifier, errors = parse_id(params["id"], TEMPLATE_NAMESPACE)
    if errors:
        raise ValidationErrors(errors)
    items, schemas, users, index = client.parallel_reads(
        lambda: list_node_template_objects(client, None if identifier is None else [identifier]),
        lambda: read_schemas(client),
        lambda: read_users(client) if params["owner"] else None,
        lambda: read_references(client, TEMPLATE_REFERENCE_FIELDS) if params["references"] else None,
    )
    templates = [parse_node_template(item) for item in items]
    shown = [
        add_details(
            template, {**show_node_template(template, schemas), **draft_machine_config(template, schemas)}, index,
        )
        for template in templates if matches_filters(params, template, users)
    ]
    return info_result("node_templates", shown, index)
