# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What is wrong with cloud credentials, told without any of their values.

PRIVATE to the collection. Pure: judges what was read.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import re
import typing as t
from collections import defaultdict
from dataclasses import dataclass, field

from ._credential import Credential, harvester_token
from ._driver_schema import Schemas
from ._metadata import Users
from ._node_template import NodeTemplate
from ._references import TEMPLATES_NAMESPACE, Index, credential_id
from ._rotation import DISABLED, GRACE, IDLE, Record

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

# Norman's note of when the token in a kubeconfig ends, in ms since 1970 (Rancher 2.9.3 to 2.11, pkg/api/norman/customization/cred/store.go).
_TOKEN_ENDS = "rancher.io/expiration-timestamp"

_JWT = re.compile(r"\beyJ[\w-]+\.(eyJ[\w-]+)\.[\w-]+")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_PEM_IN_BASE64 = re.compile(r"LS0tLS1CRUdJTiBDRVJU[A-Za-z0-9+/]+=*")


class Problem(t.NamedTuple):
    """``code`` is one of LEVELS, ``message`` says what is the matter with the credential."""

    code: str
    message: str

    def show(self) -> dict[str, str]:
        return {"code": self.code, "level": LEVELS[self.code], "message": self.message}


@dataclass(frozen=True)
class Around:
    """What is known of everything around the credentials; None, or an index with ``unlisted``, where the connection may not look."""

    credentials: t.Sequence[Credential] = field(repr=False)
    schemas: Schemas | None
    users: Users
    references: Index
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


class Standing:
    """Finds what is wrong with each credential as it stands among all others."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._same_name: dict[t.Any, list[Credential]] = defaultdict(list)
        self._same_key: dict[t.Any, list[Credential]] = defaultdict(list)
        self._templates: dict[str | None, list[NodeTemplate]] = defaultdict(list)
        for one in around.credentials:
            self._same_name[one.driver, one.name].append(one)
            for key in self._keys(one):
                self._same_key[key].append(one)
        for template in around.templates or ():
            self._templates[credential_id(template.credential, TEMPLATES_NAMESPACE)].append(template)

    def _keys(self, one: Credential) -> t.Iterator[t.Any]:
        """What tells that two credentials sign in as the same: the id of an AWS key or of a Harvester token, or all that is secret."""
        public = one.data.get("accessKey") if one.driver in ("amazonec2", "s3") else harvester_token(one)
        if public:
            yield public
            return
        fields = self._around.schemas.known_fields(one.driver) if self._around.schemas and one.driver else None
        secret = frozenset(value for name, value in one.data.items() if value and (not fields or name not in fields or fields[name].secret))
        if secret:
            yield secret

    def problems(self, one: Credential, expires: t.Iterable[tuple[Time, str]], now: Time, soon: datetime.timedelta) -> list[Problem]:
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
        if not around.references.unlisted and not around.references.to(one):
            found.append(Problem("unused", "nothing refers to it"))
        for at, what in expires:
            if at - soon <= now:
                told = f"{what} {'ended' if at <= now else 'ends'} at {at.isoformat(timespec='seconds')}"
                found.append(Problem("expired" if at <= now else "expires_soon", told))
        return found


def rotation_problems(record: Record | None, wrong: str | None, due_at: Time | None, now: Time) -> list[Problem]:
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


def expiries(one: Credential) -> list[tuple[Time, str]]:
    """What in a credential ends by itself, and when: the first to end of each kind of each field. Nothing of a value is told."""
    found: dict[str, Time] = {}

    def note(what: str, at: Time) -> None:
        found[what] = min(at, found.get(what, at))

    stamp = one.annotations.get(_TOKEN_ENDS, "")
    if stamp.isdigit() and int(stamp):
        note("the token in its kubeconfig", datetime.datetime.fromtimestamp(int(stamp) / 1000, datetime.timezone.utc))
    for name in one.data:
        text = one.text(name)
        for match in _JWT.finditer(text):
            at = _ends(match.group(1))
            if at:
                note(f"a token (JWT) in {name}", at)
        for at in _certificates(text):
            note(f"a certificate in {name}", at)
    return sorted((at, what) for what, at in found.items())


def _ends(claims: str) -> Time | None:
    try:
        ends = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))).get("exp")
        return None if ends is None else datetime.datetime.fromtimestamp(float(ends), datetime.timezone.utc)
    except (ValueError, TypeError, AttributeError, OverflowError, OSError):  # no JWT after all
        return None


def _certificates(text: str) -> t.Iterator[Time]:
    if x509 is None:
        return
    texts = [text]
    for match in _PEM_IN_BASE64.finditer(text):
        try:
            texts.append(base64.b64decode(match.group(0)).decode(errors="replace"))
        except binascii.Error:
            continue
    for one in texts:
        for pem in _PEM.findall(one.replace("\\n", "\n")):
            try:
                certificate = x509.load_pem_x509_certificate(pem.encode())
            except ValueError:
                continue
            # up to cryptography 41 there is only the naive form
            ends = getattr(certificate, "not_valid_after_utc", None)
            yield ends or certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc)


@dataclass(frozen=True)
class Policy:
    """How old keys may get, in seconds, of the credentials that match all that is given."""

    max_age: int
    name: t.Pattern[str] | None = None
    driver: str | None = None
    owner: str | None = None

    def covers(self, one: Credential, owner_name: str | None) -> bool:
        return bool((self.name is None or self.name.fullmatch(one.name)) and self.driver in (None, one.driver)
                    and (self.owner is None or self.owner in (one.owner, owner_name)))


def max_age_of(one: Credential, owner_name: str | None, policies: t.Iterable[Policy]) -> int | None:
    """What the first policy that covers a credential allows, in seconds; None if none does."""
    return next((policy.max_age for policy in policies if policy.covers(one, owner_name)), None)
