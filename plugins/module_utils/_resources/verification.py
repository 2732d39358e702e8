# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Verifies the keys of cloud credentials that are about to be written, with one sign-in for each distinct key."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import replace

from .._common.errors import ErrorCode, RanchhandError
from .._issuers.throttle import CallRates
from .._issuers.verification import RATE, verify_key
from .._rancher.cloud_credential import CloudCredential, decode_values
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

_ACCEPTED = "forbidden"  # the key is valid, but lacks a right

VerifyKey = t.Callable[[str, t.Mapping[str, str], t.Mapping[str, t.Any], CallRates], None]
Outcome = t.Optional[IssuerError]


def needs_verification(change: CredentialChange) -> bool:
    """Whether the fields of a credential are written that has to be verified before."""
    if not change.desired.verify or change.action not in ("created", "updated") or change.after is None:
        return False
    return change.before is None or change.before.data != change.after.data


class KeyVerification:
    """The verified keys of one call. ``parallel_map`` is that of the client."""

    def __init__(
        self, parallel_map: t.Callable[[t.Callable[..., t.Any], t.Sequence[t.Any]], list[t.Any]],
        verify: VerifyKey = verify_key,
    ) -> None:
        self._parallel_map = parallel_map
        self._verify = verify
        self._rates = CallRates(RATE)
        self._outcomes: dict[t.Hashable, Outcome] = {}

    def verify(self, changes: t.Sequence[CredentialChange]) -> tuple[list[CredentialChange], list[str]]:
        """Return the changes, failed if their key does not work, and the warnings."""
        pending = {_key(change): change for change in changes if needs_verification(change)}
        outcomes = self._parallel_map(self._sign_in, list(pending.values()))
        self._outcomes.update(zip(pending, outcomes))
        warnings: list[str] = []
        return [self._evaluate(change, warnings) for change in changes], warnings

    def require_verified(self, change: CredentialChange) -> None:
        """Raise RanchhandError if other values are about to be written than were verified.

        They differ if another client has changed the credential since then.
        """
        if needs_verification(change) and not self._may_be_written(change):
            message = f"{_describe(change)} was changed by another client after its key was verified. Run again"
            raise RanchhandError("conflict", message)

    def _may_be_written(self, change: CredentialChange) -> bool:
        if _key(change) not in self._outcomes:
            return False
        outcome = self._outcomes[_key(change)]
        return outcome is None or outcome.code == _ACCEPTED

    def _sign_in(self, change: CredentialChange) -> Outcome:
        after = change.created
        try:
            self._verify(after.driver or "", decode_values(after), change.desired.verify_options, self._rates)
        except IssuerError as error:
            return error
        return None

    def _evaluate(self, change: CredentialChange, warnings: list[str]) -> CredentialChange:
        if not needs_verification(change):
            return change
        outcome = self._outcomes[_key(change)]
        if outcome is None:
            return replace(change, details={**change.details, "verified": "ok"})
        if outcome.code == _ACCEPTED:
            warnings.append(f"{change.desired.where}{_describe(change)}: {outcome.message}")
            return replace(change, details={**change.details, "verified": _ACCEPTED})
        code, remedy = _FAILURES.get(outcome.code, _FAILURES["refused"])
        message = f"{_describe(change)} is not written, because its key cannot be verified: {outcome.message}. {remedy}"
        return replace(change, action="failed", error=RanchhandError(code, message))


def _key(change: CredentialChange) -> t.Hashable:
    after = change.created
    options = sorted((str(name), repr(value)) for name, value in change.desired.verify_options.items())
    return after.driver, tuple(sorted(after.data.items())), tuple(options)


def _describe(change: CredentialChange) -> str:
    shown: CloudCredential = change.before or change.created
    return f'cloud credential "{shown.name:.80}"' + (f" ({shown.full_id})" if shown.id else "")
