# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Objects as a task describes them: what cloud credentials and node templates have in common, and its validation.

Pure.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._common.text import trim
from .._rancher.metadata import Entries, parse_display_name, parse_entries, parse_id

# Options that can be set on the call, the item of a list, or both: the item takes precedence.
CALL_OPTIONS = ("state", "force", "update_secrets", "validate_config", "wait", "wait_timeout", "wait_sleep")


@dataclass(frozen=True)
class DesiredObject:
    """One object as a task describes it.

    ``where`` is the prefix of messages about it, "" for a single object. ``wait_timeout`` and ``wait_sleep`` are
    seconds.
    """

    where: str
    name: str | None
    id: str | None
    driver: str | None
    owner: str | None
    description: str | None
    labels: Entries
    annotations: Entries
    config: Mapping[str, t.Any]
    secrets: Mapping[str, t.Any] = field(repr=False)
    state: str = "present"
    force: bool = False
    update_secrets: str = "always"
    validate_config: bool = True
    wait: bool = False
    wait_timeout: int = 120
    wait_sleep: int = 5

    def show_absent(self) -> dict[str, t.Any]:
        """Return what results show of an object that does not exist."""
        return {
            "id": self.id, "name": self.name, "driver": self.driver, "owner": self.owner,
            "description": self.description or "", "config": {}, "secret_fields": [], "created_at": None,
        }


@dataclass(frozen=True)
class DesiredCredential(DesiredObject):
    """A cloud credential as a task describes it."""

    overwrite_rotated: bool = False
    verify: bool = False
    verify_options: Mapping[str, t.Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DesiredNodeTemplate(DesiredObject):
    """A node template as a task describes it; ``spec`` has its options of SPEC_OPTIONS, null entries of maps included.
    """

    cloud_credential: str | None = None
    rancher_version: str | None = None
    spec: Mapping[str, t.Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class DesiredMachineConfig(DesiredObject):
    """A machine config as a task describes it; ``id`` is that of _rancher/machine_config.py.

    ``keep`` None preserves the owner that keeps it.
    """

    namespace: str = ""
    inline_secrets: bool = False
    cloud_credential: str | None = None
    cluster: str | None = None
    creator_rbac: bool = True
    keep: bool | None = None
    on_use: str = "refuse"

    def show_absent(self) -> dict[str, t.Any]:
        return {
            "id": f"{self.namespace}/{self.name}", "name": self.name, "namespace": self.namespace,
            "driver": self.driver, "kind": None, "config": {}, "secret_fields": [], "cluster": None, "kept": False,
            "orphan": False, "created_at": None,
        }


def list_items(
    params: Mapping[str, t.Any], list_name: str, call_options: t.Sequence[str] = CALL_OPTIONS,
) -> list[tuple[str, dict[str, t.Any]]]:
    """Return the single object or the items of the list that parsed options describe, each with its
    DesiredObject.where.
    """
    items = params.get(list_name)
    if items is None:
        return [("", dict(params))]
    result = []
    for index, item in enumerate(items):
        if item is not None:  # None: the parser has reported an error for this item
            label = item.get("name") or item.get("id") or ""
            where = f"{list_name}[{index}]" + (f" ({label:.60})" if label else "")
            inherited = {option: params[option] for option in call_options if item.get(option) is None}
            result.append((where + ": ", {**item, **inherited}))
    return result


def parse_common_options(where: str, item: Mapping[str, t.Any], namespace: str) -> tuple[dict[str, t.Any], list[str]]:
    """Return the arguments for DesiredObject, and the validation errors."""
    name, errors = parse_display_name(item.get("name"))
    identifier, id_errors = parse_id(item.get("id"), namespace)
    labels, label_errors = parse_entries("labels", item.get("labels"))
    annotations, annotation_errors = parse_entries("annotations", item.get("annotations"))
    errors += id_errors + label_errors + annotation_errors
    if item.get("name") is None and item.get("id") is None:
        errors.append("name or id is required")
    trimmed = {key: None if item.get(key) is None else trim(item[key]) for key in ("driver", "owner", "description")}
    return {
        "where": where, "name": name, "id": identifier, "labels": labels, "annotations": annotations,
        "driver": trimmed["driver"] or None, "owner": trimmed["owner"] or None, "description": trimmed["description"],
        "config": item.get("config") or {}, "secrets": item.get("secrets") or {},
        **{option: item[option] for option in CALL_OPTIONS},
    }, [where + error for error in errors]
