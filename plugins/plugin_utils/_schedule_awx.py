# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role schedule has to remove, replace and refer to in AWX. Pure.

The modules of awx.awx create and update objects. They cannot reset some options, and find some objects by names that
are not unique; see the comments.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator

Options = t.Mapping[str, t.Any]
AwxObject = t.Mapping[str, t.Any]
Found = t.Mapping[str, t.Sequence[AwxObject]]

DESCRIPTION = "Kubeconfig of scheduled jobs, managed by the role ranchhand.rancher.schedule"


def awx_changes(found: Found, options: Options) -> dict[str, t.Any]:
    """Return what follows from the objects that AWX has.

    Args:
        found: Lists of objects as the API returns them: ``organizations`` and ``credential_types`` with the names in
            the options; of the organization ``projects``, ``inventories``, ``sources`` and ``templates`` and
            ``workflows`` whose names begin with the prefix, and all ``credentials``; ``type_users`` are all
            credentials of the first of these types.
        options: Variables of the role by their names.

    Returns:
        ``errors`` (sentences).

        References for the modules: ``type``, ``credential``, ``inventory``, ``credentials``, ``project_credential``;
        ``description`` of the credential, which distinguishes it from one that a user created with this name.

        What exists: ``type_is_managed`` (the role creates it), ``type_is_used`` by a credential of another
        installation, ``has_credential``, ``former_types`` of the credential, ``former_type_is_managed``,
        ``deleting_inventory`` (AWX is still deleting a former one), ``last`` (no job remains when the jobs in the
        options are removed).

        Names to delete: ``surplus_workflows`` and ``surplus_templates``, because their jobs are not scheduled any
        more; ``unapproved``, templates whose own schedule is replaced by that of a workflow; ``replaced_templates``,
        and as booleans ``replaced_source`` and ``replaced_project``, because an option is not set any more.
    """
    prefix = options["schedule_name_prefix"]
    own_type = f"{prefix} kubeconfig"
    type_name = options["schedule_awx_credential_type"] or own_type
    types = [item for item in found["credential_types"] if item["name"] == type_name]
    credentials = [item for item in found["credentials"] if item["name"] == own_type]
    of_type = [item for item in credentials if types and item["credential_type"] == types[0]["id"]]
    former = [
        name for item in credentials if item not in of_type for name in [_type_name(item)]
        if name != type_name and (name == own_type or item.get("description") == DESCRIPTION)
    ]
    return {
        "errors": list(_errors(found, options, type_name, of_type)),
        "type": type_name,
        "type_is_managed": type_name == own_type,
        "type_is_used": any(item["id"] not in [own["id"] for own in credentials] for item in found["type_users"]),
        "credential": named_url(
            own_type, type_name, types[0]["kind"] if types else "cloud", options["schedule_awx_organization"]
        ),
        "description": DESCRIPTION,
        "has_credential": bool(of_type),
        "former_types": former,
        "former_type_is_managed": own_type in former,
        "inventory": named_url(prefix, options["schedule_awx_organization"]),
        "credentials": [_credential(name, found) for name in options["schedule_awx_credentials"]],
        "project_credential": _credential(options["schedule_awx_project_credential"], found),
        "deleting_inventory": any(item.get("pending_deletion") for item in found["inventories"]),
        **_removals(found, options),
    }


def named_url(*parts: str) -> str:
    """Return the named URL of an object, which is exact where a name exists in several organizations.

    In a part, AWX expects a plus sign in brackets (awx/main/utils/named_url_graph.py).
    """
    return "++".join(part.replace("+", "[+]") for part in parts)


def _errors(found: Found, options: Options, type_name: str, credentials: t.Sequence[AwxObject]) -> Iterator[str]:
    organization = options["schedule_awx_organization"]
    if len(found["organizations"]) != 1:
        yield f"schedule_awx_organization: AWX has no organization {organization}, or this login may not read it"
        return
    if options["schedule_state"] != "present":
        return
    has_type = any(item["name"] == type_name for item in found["credential_types"])
    if options["schedule_awx_credential_type"] and not has_type:
        yield f"schedule_awx_credential_type: AWX has no credential type {type_name}"
    elif not credentials and not options["schedule_awx_sets_kubeconfig"]:
        yield (
            f"schedule_awx_kubeconfig is required, as the organization {organization} has no credential "
            f"{options['schedule_name_prefix']} kubeconfig of the type {type_name}"
        )


def _removals(found: Found, options: Options) -> dict[str, t.Any]:
    prefix = options["schedule_name_prefix"]
    present = options["schedule_state"] == "present"
    projects = {item["id"] for item in found["projects"]}
    templates = {
        name: item for item in found["templates"] for name in [_job(item["name"], prefix, "")]
        if name and (item.get("project") in projects or not item.get("project"))
    }
    workflows = [name for item in found["workflows"] for name in [_job(item["name"], prefix, " with approval")] if name]
    jobs = {str(name) for name in options["schedule_jobs"]}
    approved = jobs.intersection(options["schedule_awx_approve"])
    remaining = (set(templates) | set(workflows)) - jobs
    kept = jobs if present else remaining
    inventories = {item["id"] for item in found["inventories"]}
    # The modules send neither an empty execution environment nor an empty credential of a project.
    without_environment = present and not options["schedule_awx_execution_environment"]
    sources = [item for item in found["sources"] if item["inventory"] in inventories]
    return {
        "surplus_templates": [f"{prefix} {name}" for name in templates if name not in kept],
        "surplus_workflows": [
            f"{prefix} {name} with approval" for name in workflows
            if name not in (approved if present else remaining)
        ],
        "unapproved": [f"{prefix} {name}" for name in templates if present and name in approved],
        "replaced_templates": [
            f"{prefix} {name}" for name, item in templates.items()
            if without_environment and name in kept and item.get("execution_environment")
        ],
        "replaced_source": without_environment and any(item.get("execution_environment") for item in sources),
        "replaced_project": present and not options["schedule_awx_project_credential"] and any(
            item.get("credential") for item in found["projects"]
        ),
        "last": not remaining,
    }


def _job(name: str, prefix: str, suffix: str) -> str:
    """Return the job in the name of a template or workflow; an empty string if it is not one of this prefix."""
    match = re.fullmatch(f"{re.escape(prefix)} ([a-z][-a-z0-9]*){re.escape(suffix)}", name)
    return match.group(1) if match else ""


def _type_name(credential: AwxObject) -> str:
    summary = (credential.get("summary_fields") or {}).get("credential_type") or {}
    return str(summary.get("name") or "")


def _credential(name: str, found: Found) -> str:
    """Return the id of the organization's credential with this name; the name, if that is not exact."""
    named = [item for item in found["credentials"] if item["name"] == name]
    return str(named[0]["id"]) if len(named) == 1 else name


def awx_options(options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the options without the values of jobs, which may be vaulted or templates."""
    return {**options, "schedule_jobs": dict.fromkeys(options["schedule_jobs"])}
