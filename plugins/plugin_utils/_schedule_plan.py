# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation and planning of the role schedule. Pure.

Functions take the variables of the role by their names. No message contains a value, because a secret may have been put
into the wrong variable. Names that are not valid are shown without their special characters.
"""

from __future__ import annotations

import re
import typing as t
import zoneinfo
from collections.abc import Iterator, Mapping

from ..module_utils._common.times import parse_duration
from ..module_utils._rotation.options import RECORD_NAMESPACE
from ._connection import FORMER_VARIABLES, SERVER_VARIABLES

Options = t.Mapping[str, t.Any]
Job = t.Mapping[str, t.Any]

# The jobs whose rights a job on Kubernetes can have; vars/main.yml lists these rights.
RIGHTS = ("rotate", "retire", "report")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MACHINE = ("systemd", "cron")
_PATHS = ("schedule_executable", "schedule_project", "schedule_kubeconfig_file", "schedule_vault_password_file")
_ENTRIES = ("at", "weekdays", "playbook", "vars", "rights")
_DAY_START = "20260101"

_PREFIX = re.compile(r"[a-z]([-a-z0-9]{0,18}[a-z0-9])?")
_JOB_NAME = re.compile(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TIME_ZONE = re.compile(r"[A-Za-z0-9_+/-]*")
_USER = re.compile(r"[A-Za-z0-9_.-]*")
_PATH = re.compile(r"/[A-Za-z0-9_./@+-]+")
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_PLAYBOOK = re.compile(r"[A-Za-z0-9_./@+-]+")
_PLAYBOOK_NAME = re.compile(r"(?!.*\.ya?ml\Z)[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*){2,}")


def without_values(options: Options) -> dict[str, t.Any]:
    """Return the variables without the values that a job passes to its playbook, except namespaces.

    Neither validation nor planning needs them, and they may be vaulted or templates.
    """
    jobs = options["schedule_jobs"]
    return {**options, "schedule_jobs": {name: _without_values(job) for name, job in jobs.items()}}


def _without_values(job: t.Any) -> t.Any:
    if not isinstance(job, Mapping) or not isinstance(job.get("vars"), Mapping):
        return job
    variables = job["vars"]
    names = [str(name) for name in variables]
    return {**job, "vars": {name: variables[name] if name.endswith("_namespace") else None for name in names}}


def schedule_errors(options: Options) -> list[str]:
    """Return a sentence for everything that is wrong with the variables of the role."""
    return [*_common_errors(options), *_errors_of_backend(options), *_errors_of_jobs(options)]


def scheduled_jobs(options: Options) -> list[dict[str, t.Any]]:
    """Return the jobs with everything that follows from valid variables.

    Returns:
        For each job ``name``, ``unit`` (its name with the prefix), ``playbook``, ``imported`` (whether that is the name
        of a playbook in a collection, not a path), ``rights`` (the job whose rights it has on Kubernetes),
        ``namespace`` (of the records of rotations), ``hour``, ``minute`` and ``weekdays`` for cron, and the same time
        as ``cron`` for Kubernetes, ``calendar`` for systemd and ``rrule`` for AWX. With AWX also ``approval`` (whether
        it needs one) and ``approval_timeout_seconds``.
    """
    present = _is_present(options)
    return [
        _scheduled_job(str(name), job if present else _removed(job), options)
        for name, job in options["schedule_jobs"].items()
    ]


def _removed(job: Job | None) -> Job:
    """Return what a removal needs of a job. The rest is not validated then."""
    variables = (job or {}).get("vars")
    return {
        "rights": (job or {}).get("rights"),
        "vars": variables if isinstance(variables, Mapping) else {},
    }


def _scheduled_job(name: str, job: Job, options: Options) -> dict[str, t.Any]:
    hour, minute = (int(part) for part in (job.get("at") or "00:00").split(":"))
    weekdays = job.get("weekdays") or []
    zone = options.get("schedule_timezone") or ""
    playbook = _playbook(name, job, options)
    rights = job.get("rights") or name
    days = f";BYDAY={','.join(day[:2].upper() for day in weekdays)}" if weekdays else ""
    approval = {}
    if options["schedule_with"] == "awx":
        approval = {
            "approval": name in options["schedule_awx_approve"],
            "approval_timeout_seconds": parse_duration(str(options["schedule_awx_approval_timeout"])),
        }
    return {
        **approval,
        "name": name,
        "unit": f"{options['schedule_name_prefix']}-{name}",
        "playbook": playbook,
        "imported": _PLAYBOOK_NAME.fullmatch(playbook) is not None,
        "rights": rights,
        "namespace": (job.get("vars") or {}).get(f"{rights}_namespace") or RECORD_NAMESPACE,
        "hour": hour,
        "minute": minute,
        "weekdays": ",".join(weekdays) or "*",
        "cron": f"{minute} {hour} * * {','.join(weekdays) or '*'}",
        "calendar": " ".join(filter(None, (",".join(weekdays), "*-*-*", f"{hour:02}:{minute:02}:00", zone))),
        "rrule": f"DTSTART;TZID={zone or 'UTC'}:{_DAY_START}T{hour:02}{minute:02}00 "
        f"RRULE:FREQ={'WEEKLY' if weekdays else 'DAILY'};INTERVAL=1{days}",
    }


def _playbook(name: str, job: Job, options: Options) -> t.Any:
    default = f"{name}.yml" if options["schedule_with"] == "awx" else f"ranchhand.rancher.{name}"
    return job.get("playbook") or default


def _is_present(options: Options) -> bool:
    return bool(options["schedule_state"] == "present")


def _common_errors(options: Options) -> Iterator[str]:
    if not _matches(_PREFIX, options["schedule_name_prefix"]):
        yield "schedule_name_prefix must be up to 20 lower-case letters, digits and hyphens, and start with a letter"
    if not _is_time_zone(options.get("schedule_timezone") or ""):
        yield "schedule_timezone must be the name of a time zone, such as Europe/Berlin"
    elif options.get("schedule_timezone") and options["schedule_with"] == "cron":
        yield "schedule_timezone is not supported with cron, which uses the time zone of the machine. Remove it"
    if not _matches(_USER, options.get("schedule_user") or ""):
        yield "schedule_user must be the name of a user"


def _is_time_zone(name: object) -> bool:
    """Return whether a time zone exists, if this machine has the database of time zones; empty means the default."""
    known = zoneinfo.available_timezones()
    return _matches(_TIME_ZONE, name) and (not name or not known or name in known)


def _errors_of_backend(options: Options) -> Iterator[str]:
    backend = options["schedule_with"]
    if backend in _MACHINE:
        yield from _machine_errors(options)
    elif backend == "kubernetes":
        if _is_present(options) and not options.get("schedule_image"):
            yield "schedule_image is required with kubernetes: the execution environment in which the jobs run"
        if not _matches(_NAMESPACE, options["schedule_namespace"]):
            yield "schedule_namespace must be the name of a namespace"
    else:
        if _is_present(options) and not options.get("schedule_awx_project_url"):
            yield "schedule_awx_project_url is required with awx: the repository with the playbooks and the inventory"
        try:
            parse_duration(str(options["schedule_awx_approval_timeout"]))
        except ValueError as error:
            yield f"schedule_awx_approval_timeout {error}"


def _machine_errors(options: Options) -> Iterator[str]:
    for name in _PATHS:
        path = options.get(name)
        if path and not _matches(_PATH, path):
            yield f"{name} must be an absolute path of letters, digits and ._/@+-"
        elif path and options["schedule_with"] == "systemd" and re.match("/(home|root)/", path):
            yield f"{name} must not be in /home or /root, which the units cannot access"
    connected = options.get("schedule_kubeconfig_file") or options.get("schedule_project") or all(
        _names_server(job) for job in options["schedule_jobs"].values()
    )
    if _is_present(options) and not connected:
        yield (
            "schedule_kubeconfig_file or schedule_project is required, unless vars of each job set "
            f"{', '.join(SERVER_VARIABLES[:-1])} or {SERVER_VARIABLES[-1]}, so that the jobs can connect to Rancher"
        )


def _names_server(job: object) -> bool:
    variables = job.get("vars") if isinstance(job, Mapping) else None
    return isinstance(variables, Mapping) and not set(SERVER_VARIABLES).isdisjoint(variables)


def _errors_of_jobs(options: Options) -> Iterator[str]:
    for name, job in options["schedule_jobs"].items():
        place = f"schedule_jobs.{re.sub(r'[^-A-Za-z0-9_]', '?', str(name))[:40]}"
        if not _matches(_JOB_NAME, name):
            yield f"{place}: the name must be up to 30 lower-case letters, digits and hyphens, and start with a letter"
        elif not isinstance(job, Mapping) and (_is_present(options) or job):
            yield f'{place} must be a mapping, such as {{at: "02:30"}}'
        else:
            yield from _job_errors(place, name, job or {}, options)


def _job_errors(place: str, name: str, job: Job, options: Options) -> Iterator[str]:
    if options["schedule_with"] == "kubernetes" and (job.get("rights") or name) not in RIGHTS:
        yield f"{place}.rights must be one of {', '.join(RIGHTS)}: the job whose rights this job gets"
    if not _is_present(options):
        return
    if not _matches(_TIME_OF_DAY, job.get("at")):
        yield f'{place}.at must be a time of day in quotes, such as "02:30"'
    days = job.get("weekdays") or []
    if not isinstance(days, list) or any(day not in WEEKDAYS for day in days):
        yield f"{place}.weekdays must be a list of {', '.join(WEEKDAYS)}"
    playbook = _playbook(name, job, options)
    if not _matches(_PLAYBOOK, playbook):
        yield f"{place}.playbook must be a path or a name such as ranchhand.rancher.rotate"
    yield from _variable_errors(place, playbook, job.get("vars") or {}, options)
    if set(job) - set(_ENTRIES):
        yield f"{place} has an unknown entry. Allowed are {', '.join(_ENTRIES)}"


def _variable_errors(place: str, playbook: object, variables: object, options: Options) -> Iterator[str]:
    if not isinstance(variables, Mapping):
        yield f"{place}.vars must be a mapping"
        return
    for name in variables:
        if name in FORMER_VARIABLES:
            yield f"{place}.vars.{name} is replaced by {FORMER_VARIABLES[name]}. Rename it"
    without_files = options["schedule_with"] == "kubernetes" or (
        options["schedule_with"] in _MACHINE and not options.get("schedule_project")
    )
    if playbook == "ranchhand.rancher.report" and "report_files" not in variables and without_files:
        yield f"{place}.vars.report_files is required: the files to which the report is written"


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
