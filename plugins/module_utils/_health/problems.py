# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What is wrong with cloud credentials, told without any of their values.

PRIVATE to the collection. Pure: judges what was read.
"""

from __future__ import annotations

import datetime
import typing as t
from collections import defaultdict
from dataclasses import dataclass, field

from .._rancher.cloud_credential import CloudCredential, harvester_token_id
from .._rancher.driver_schema import DriverSchemas
from .._rancher.node_template import NodeTemplate
from .._rancher.references import ReferenceIndex, TEMPLATE_NAMESPACE, referenced_name
from .._rancher.users import Users
from .._rotation.record import DISABLED, GRACE, IDLE, RotationRecord

try:
    from cryptography import x509
except ImportError:  # it comes with ansible-core, but modules may run elsewhere
    x509 = None

Time = datetime.datetime
LEVELS = {
    "unreadable": "error", "owner_gone": "error", "driver_inactive": "warning", "template_broken": "error", "duplicate_name": "warning",
    "shared_key": "warning", "unused": "notice", "overdue": "warning", "drift": "error", "restored": "error", "stuck_rotation": "warning",
    "expired": "error", "expires_soon": "warning",
}

# How long a rotation may stand where no time is to be waited for, or after that time is over: the daily job came twice.
_STEP = datetime.timedelta(hours=1)
_WAIT = datetime.timedelta(days=2)


class Problem(t.NamedTuple):
    """``code`` is one of LEVELS, ``message`` says what is the matter with the credential."""

    code: str
    message: str

    def show(self) -> dict[str, str]:
        return {"code": self.code, "level": LEVELS[self.code], "message": self.message}


@dataclass(frozen=True)
class HealthContext:
    """What is known of everything around the credentials; None, or an index with ``unlisted``, where the connection may not look."""

    credentials: t.Sequence[CloudCredential] = field(repr=False)
    schemas: DriverSchemas | None
    users: Users
    references: ReferenceIndex
    templates: t.Sequence[NodeTemplate] | None

    def not_judged(self) -> list[str]:
        """The problems that cannot be seen, each with the reason."""
        missing = []
        if not self.users.complete:
            missing.append("owner_gone: this connection may not list users.management.cattle.io")
        if self.schemas is None:
            missing.append("driver_inactive: this connection may not list dynamicschemas.management.cattle.io")
        if self.templates is None:
            missing.append("template_broken: this connection may not list nodetemplates.management.cattle.io")
        if self.references.unlisted:
            missing.append(f"unused: this connection may not list {', '.join(self.references.unlisted)}")
        if x509 is None:
            missing.append("expired, expires_soon: certificates are not looked at, as the Python package cryptography is missing")
        return missing


class HealthChecker:
    """Finds what is wrong with each credential as it stands among all others."""

    def __init__(self, around: HealthContext) -> None:
        self._around = around
        self._same_name: dict[t.Any, list[CloudCredential]] = defaultdict(list)
        self._same_key: dict[t.Any, list[CloudCredential]] = defaultdict(list)
        self._templates: dict[str | None, list[NodeTemplate]] = defaultdict(list)
        for one in around.credentials:
            self._same_name[one.driver, one.name].append(one)
            for key in self._keys(one):
                self._same_key[key].append(one)
        for template in around.templates or ():
            self._templates[referenced_name(template.credential, TEMPLATE_NAMESPACE)].append(template)

    def _keys(self, one: CloudCredential) -> t.Iterator[t.Any]:
        """What tells that two credentials sign in as the same: the id of an AWS key or of a Harvester token, or all that is secret."""
        public = one.data.get("accessKey") if one.driver in ("amazonec2", "s3") else harvester_token_id(one)
        if public:
            yield public
            return
        fields = self._around.schemas.known_fields(one.driver) if self._around.schemas and one.driver else None
        secret = frozenset(value for name, value in one.data.items() if value and (not fields or name not in fields or fields[name].secret))
        if secret:
            yield secret

    def problems(self, one: CloudCredential, expires: t.Iterable[tuple[Time, str]], now: Time, soon: datetime.timedelta) -> list[Problem]:
        """All that is wrong with a credential but for its rotation; ``expires`` is what ends by itself, see expiries."""
        found = [Problem("unreadable", one.problem)] if one.problem else []
        around = self._around
        if around.users.complete and one.owner and around.users.get(one.owner) is None:
            found.append(Problem("owner_gone", f"its owner {one.owner} is no user of this Rancher any more, so only administrators see it"))
        if around.schemas and one.driver and one.driver not in around.schemas.drivers:
            found.append(Problem("driver_inactive", f"this Rancher does not offer driver {one.driver}"))
        for template in self._templates[one.id]:
            wrong = template.problem or (f"is of driver {template.driver}" if template.driver != one.driver else None)
            if wrong:
                found.append(Problem("template_broken", f"node template {template.name} ({template.full_id}), which uses it, {wrong}"))
        for code, others, what in (
            ("duplicate_name", self._same_name[one.driver, one.name], "has the same name and driver as"),
            ("shared_key", [other for key in self._keys(one) for other in self._same_key[key]], "has the same key as"),
        ):
            ids = sorted({other.full_id for other in others} - {one.full_id})
            if ids:
                found.append(Problem(code, f"{what} {', '.join(ids)}"))
        if not around.references.unlisted and not around.references.references_to(one):
            found.append(Problem("unused", "nothing refers to it"))
        for at, what in expires:
            if at - soon <= now:
                told = f"{what} {'ended' if at <= now else 'ends'} at {at.isoformat(timespec='seconds')}"
                found.append(Problem("expired" if at <= now else "expires_soon", told))
        return found


def rotation_problems(record: RotationRecord | None, wrong: str | None, due_at: Time | None, now: Time) -> list[Problem]:
    """What is wrong with how far the rotation of a key has come; ``wrong`` is what problem_of says of it."""
    if wrong:
        return [Problem("drift" if wrong.startswith("drift") else "restored", wrong)]
    late = now - due_at if due_at else datetime.timedelta(0)
    if record is None or record.phase == IDLE:
        return [Problem("overdue", f"its key should have been rotated {late.days} days ago")] if late > datetime.timedelta(0) else []
    if record.phase in (GRACE, DISABLED):
        stands = late if late > _WAIT else None
    else:
        last = record.transitions[-1]["at"] if record.transitions else None
        since = datetime.datetime.fromisoformat(last) if last else record.started_at
        stands = now - since if since and now - since > _STEP else None
    if stands is None:
        return []
    return [Problem("stuck_rotation", f"its rotation stands at {record.phase}, {int(stands.total_seconds() // 3600)} hours longer than it should")]
