# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Verifies the keys of cloud credentials that are about to be written, with one sign-in for each distinct key."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import replace

from .._common.errors import ErrorCode, RanchhandError
from .._issuers.verification import SignIns
from .._rancher.cloud_credential import decode_values
from ..issuer import IssuerError
from .cloud_credential_plan import CredentialChange

# The failure code, and what to do, for a code of the provider.
_FAILURES: Mapping[str, tuple[ErrorCode, str]] = {
    "refused": ("verify_failed", "Correct the value; a key that was just created may need a minute"),
    "busy": ("throttled", "Run the task again later"),
    "unreachable": ("unreachable", "Run the task again, or set verify: false if it cannot be reached from here"),
    "unsupported": ("unsupported", "Set verify: false for this credential"),
    "invalid": ("invalid", "Correct the credential or verify_options"),
}


def needs_verification(change: CredentialChange) -> bool:
    """Whether the fields of a credential are written that has to be verified before."""
    if not change.desired.verify or change.action not in ("created", "updated") or change.after is None:
        return False
    return change.before is None or change.before.data != change.after.data


class KeyVerification:
    """Verifies the keys of one call. ``parallel_map`` is that of the client."""

    def __init__(
        self, parallel_map: t.Callable[[t.Callable[..., t.Any], t.Sequence[t.Any]], list[t.Any]], sign_ins: SignIns,
    ) -> None:
        self._parallel_map = parallel_map
        self._sign_ins = sign_ins

    def verify(self, changes: t.Sequence[CredentialChange]) -> tuple[list[CredentialChange], list[str]]:
        """Return the changes, failed if their key does not work, and the warnings."""
        pending = [index for index, change in enumerate(changes) if needs_verification(change)]
        outcomes = self._parallel_map(lambda index: self._sign_ins.sign_in(*_key(changes[index])), pending)
        done, warnings = list(changes), []
        for index, outcome in zip(pending, outcomes):
            done[index], warning = _evaluate(changes[index], outcome)
            warnings += [warning] if warning else []
        return done, warnings

    def require_verified(self, change: CredentialChange) -> None:
        """Raise RanchhandError if other values are about to be written than were verified.

        They differ if another client has changed the credential since then.
        """
        if needs_verification(change) and not self._sign_ins.accepted(*_key(change)):
            message = f"{_describe(change)} was changed by another client after its key was verified. Run again"
            raise RanchhandError("conflict", message)


def _evaluate(change: CredentialChange, outcome: IssuerError | None) -> tuple[CredentialChange, str]:
    """Return the change after its key was tried, and a warning, "" if there is none."""
    if outcome is None:
        return replace(change, details={**change.details, "verified": "ok"}), ""
    if outcome.code == "forbidden":
        done = replace(change, details={**change.details, "verified": "forbidden"})
        return done, f"{change.desired.where}{_describe(change)}: {outcome.message}"
    code, remedy = _FAILURES.get(outcome.code, _FAILURES["refused"])
    message = f"{_describe(change)} is not written, because its key cannot be verified: {outcome.message}. {remedy}"
    return replace(change, action="failed", error=RanchhandError(code, message)), ""


def _key(change: CredentialChange) -> tuple[str, dict[str, str], t.Mapping[str, t.Any]]:
    """Return the driver, the fields and the options to sign in with."""
    return change.created.driver or "", decode_values(change.created), change.desired.verify_options


def _describe(change: CredentialChange) -> str:
    shown = change.before or change.created
    return f'cloud credential "{shown.name:.80}"' + (f" ({shown.full_id})" if shown.id else "")
