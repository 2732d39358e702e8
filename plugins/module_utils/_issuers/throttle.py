# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Limits the calls to providers: their rate for each account, and repetitions of calls that were not performed."""

from __future__ import annotations

import functools
import threading
import time
import typing as t
from collections.abc import Mapping

from ..issuer import CALL_TIMEOUT, Issuer, IssuerError, Values

# Methods of an issuer that send requests.
_CALLS = ("identify", "keys", "issue", "activate", "verify", "disable", "enable", "delete")

# Seconds that a call may take with its repetitions. The default of ``drain`` is longer.
LONGEST_CALL = 2 * CALL_TIMEOUT
_FIRST_PAUSE = 1.0
_BURST = 1.0  # seconds whose calls may be sent at once


class CallRates:
    """The times of the calls to each account; ``per_second`` calls may be sent at once, and then in each second."""

    def __init__(self, per_second: int) -> None:
        self._interval = 1 / per_second
        self._lock = threading.Lock()
        self._next: dict[t.Hashable, float] = {}

    def reserve(self, account: t.Hashable, most: float) -> float | None:
        """Reserve the next call to an account, and return the seconds to wait for it; None if it is more than ``most``.
        """
        with self._lock:
            now = time.monotonic()
            at = max(self._next.get(account, 0.0), now - _BURST)
            wait = max(0.0, at - now)
            if wait > most:
                return None
            self._next[account] = at + self._interval
            return wait


class ThrottledIssuer:
    """An issuer whose calls to the provider wait for their turn, and are repeated if the provider was busy.

    Everything else is that of the issuer. An unexpected exception of a call becomes an IssuerError, because its text
    may contain secrets; the request may have been performed.
    """

    def __init__(self, issuer: Issuer, name: str, rates: CallRates) -> None:
        self._issuer = issuer
        self._name = name
        self._rates = rates

    def __getattr__(self, name: str) -> t.Any:
        value = getattr(self._issuer, name)
        return functools.partial(self._call, value) if name in _CALLS else value

    def _call(self, method: t.Callable[..., t.Any], *arguments: t.Any, **named: t.Any) -> t.Any:
        started = time.monotonic()
        by = named.get("by", next((each for each in reversed(arguments) if isinstance(each, Mapping)), {}))
        account = self.account(by)
        pause = _FIRST_PAUSE
        while True:
            left = started + LONGEST_CALL - CALL_TIMEOUT - time.monotonic()
            wait = self._rates.reserve(account, left)
            if wait is None:
                raise IssuerError(
                    "busy", f"too many calls wait for the account {account}, so nothing was requested. Lower parallel"
                )
            time.sleep(wait)
            try:
                return method(*arguments, **named)
            except IssuerError as error:
                if error.code != "busy" or time.monotonic() + pause > started + LONGEST_CALL - CALL_TIMEOUT:
                    raise
            except Exception as error:
                raise IssuerError(
                    "unreachable", f"the issuer {self._name} failed unexpectedly ({type(error).__name__})"
                ) from None
            time.sleep(pause)
            pause *= 2

    def account(self, by: Values) -> str:
        """Return what shares a rate at the provider; all calls of an issuer if this is not known."""
        try:
            return f"{self._name} {self._issuer.rate_key(by) or ''}".rstrip()
        except Exception:  # the call itself reports malformed values
            return self._name
