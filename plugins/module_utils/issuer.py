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
from dataclasses import dataclass, field

# Seconds; maximum time of every call to a provider, with retries, the sign-in and programs that it starts. A run that
# takes a rotation over waits longer (drain), so that no call of the former run is performed after its own.
CALL_TIMEOUT = 25.0

Values = t.Mapping[str, str]


@dataclass(frozen=True)
class Key:
    """A key as its provider lists it; times are aware datetimes, None if the provider does not report them.

    ``mark`` is the mark that it was issued with, None if there was none.
    """

    id: str
    enabled: bool = True
    created_at: datetime.datetime | None = None
    last_used: datetime.datetime | None = None
    expires_at: datetime.datetime | None = None
    mark: str | None = None


@dataclass(frozen=True)
class IssuedKey:
    """A new key: the fields of the credential, the provider's id, which is recorded, and when the key expires.

    Without ``expires_at``, Issuer.expires_at() is asked.
    """

    values: Values = field(repr=False)
    key_id: str
    expires_at: datetime.datetime | None = None


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
    propagation: float = 0.0          # seconds after which a new key is valid everywhere
    generates_locally: bool = False   # issue() sends no request; activate() makes the new value valid
    replaces_current: bool = False    # a principal has one value: a new one ends the current one
    marks: bool = False               # issue() hands the mark to the provider, and keys() returns it
    reports_last_use: bool = False    # without a last_used, a key was never used; else this is unknown
    verify_attempts: int | None = None     # refused sign-ins with one value in a run; None: until verify_timeout
    old_key_ends_at_cutover: bool = False  # writing the new value to the credential ends the old key

    # Names of options that are not secret. The record keeps them, so that later runs need not set them.
    recorded_options: tuple[str, ...] = ()

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        self.options = options

    def key_id(self, values: Values) -> str | None:
        """Return the provider's id of a key, without a request; None if the fields do not contain it. Not secret."""
        raise NotImplementedError

    def identify(self, values: Values, by: Values) -> str | None:
        """Return the provider's id of a key that no rotation issued; None if it is unknown or ambiguous.

        May send requests. Never returns one of several candidates.
        """
        return self.key_id(values)

    def rate_key(self, by: Values) -> str | None:
        """Return what shares a limit of requests at the provider, such as an account; None if this is unknown.

        Sends no request. Not secret.
        """
        return None

    def keys(self, by: Values) -> list[Key]:
        """Return all keys of the principal."""
        raise NotImplementedError

    def issue(self, by: Values, mark: str) -> IssuedKey:
        """Create a key.

        Must not retry. ``mark`` identifies the request and is not secret: at most 63 characters of [a-z0-9-]. With
        ``generates_locally``, the provider does not know the new value yet.
        """
        raise NotImplementedError

    def can_list(self, key_id: str) -> bool:
        """Whether keys() would return this key if it existed."""
        return self.lists

    def next_values(self) -> Values | None:
        """Return what issue() will return, if it is known before; None if issue() creates it."""
        return None

    def activate(self, values: Values, by: Values) -> None:
        """Make the provider accept this value; only with ``generates_locally``.

        With ``replaces_current`` it replaces the value in ``by``. May be repeated with the same value.
        """
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
