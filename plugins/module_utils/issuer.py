# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The contract of issuers: what cloud_credential_rotation needs to replace the keys of a cloud provider.

Public: issuers of other collections are derived from ``Issuer``. A rotation calls one method at a time, and reads the
credential right before each call that changes something. After an IssuerError with the code ``unreachable``, and after
any other exception, the request may or may not have been performed; the next run finds out. All other codes mean that
it was not performed.
"""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass

# Seconds; maximum time of every call to a provider, with retries, the sign-in and programs that it starts. A run that
# takes a rotation over waits longer (drain), so that no call of the former run is performed after its own.
CALL_TIMEOUT = 25.0

Values = t.Mapping[str, str]


@dataclass(frozen=True)
class Key:
    """A key as its provider lists it; times are aware datetimes, None if the provider does not report them."""

    id: str
    enabled: bool = True
    created_at: datetime.datetime | None = None
    last_used: datetime.datetime | None = None


class IssuerError(Exception):
    """What a provider rejected or could not do, in one sentence without any secret.

    Codes: ``refused`` (the key is not accepted; it may be accepted later), ``forbidden`` (the key is valid, but lacks a
    permission), ``limit`` (no more keys), ``invalid`` (the options are not valid), ``unsupported``, ``busy`` (too many
    requests: certainly not performed, may be repeated), ``unreachable`` (no answer: may have been performed).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Issuer:
    """The keys of one principal at a provider.

    ``options`` are those of the task. In the methods, ``by`` contains all fields of the credential as it is stored
    now, to sign in with, and ``values`` the fields in ``fields`` of any generation. Both are text by Rancher's names
    of fields.
    """

    drivers: tuple[str, ...] = ()     # drivers that it supports; empty: all
    fields: tuple[str, ...] = ()      # fields of the credential that are replaced together
    limit: int | None = None          # maximum number of keys of a principal
    lists: bool = True                # whether keys() returns all keys of the principal
    disables: bool = True             # whether a key can be disabled and enabled again
    write_ahead: bool = False         # the principal has one value, which issue() creates and activate() makes valid
    propagation: float = 0.0          # seconds after which a new key is valid everywhere

    # Names of options that are not secret. The record keeps them, so that later runs need not set them.
    recorded_options: tuple[str, ...] = ()

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        self.options = options

    def key_id(self, values: Values) -> str:
        """Return the provider's id of a key; not secret."""
        raise NotImplementedError

    def rate_key(self, by: Values) -> str | None:
        """Return what shares a limit of requests at the provider, such as an account; None if this is unknown.

        Sends no request. Not secret.
        """
        return None

    def keys(self, by: Values) -> list[Key]:
        """Return all keys of the principal."""
        raise NotImplementedError

    def issue(self, by: Values) -> dict[str, str]:
        """Create a key and return it as fields of the credential.

        Must not retry. With ``write_ahead``, the provider does not know the new value yet.
        """
        raise NotImplementedError

    def can_list(self, key_id: str) -> bool:
        """Whether keys() would return this key if it existed."""
        return self.lists

    def next_values(self) -> Values | None:
        """Return what issue() will return, if it is known before; None if issue() creates it."""
        return None

    def activate(self, values: Values, by: Values) -> None:
        """Make the provider accept this value instead of the one in ``by``; only with ``write_ahead``."""
        raise NotImplementedError

    def verify(self, values: Values, by: Values) -> None:
        """Sign in with a key, and check that its principal is that of ``by`` if the provider reports it."""
        raise NotImplementedError

    def disable(self, key_id: str, by: Values) -> None:
        """Disable a key; a disabled key is no error."""
        raise NotImplementedError

    def enable(self, key_id: str, by: Values) -> None:
        """Enable a key; an enabled key is no error."""
        raise NotImplementedError

    def delete(self, key_id: str, by: Values) -> None:
        """Delete a key. It was listed right before, unless can_list() is false for it."""
        raise NotImplementedError

    def expires_at(self, values: Values) -> datetime.datetime | None:
        """Return when a key expires; None if it does not."""
        return None
