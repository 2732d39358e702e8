# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a way to get new keys has to be able to do, so that cloud_credential_rotation can rotate with it.

Public: other collections derive their issuers from it. A rotation calls one method at a time, looks at the credential right before
each call, and treats whatever a method raises as "may have happened": the next run finds out what did.
"""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass

CALL_TIMEOUT = 25.0  # seconds; every call to a cloud has to end within them, retries included

Values = t.Mapping[str, str]


@dataclass(frozen=True)
class Key:
    """A key as its cloud lists it; its times are aware datetimes, None where the cloud does not say."""

    id: str
    enabled: bool = True
    created_at: datetime.datetime | None = None
    last_used: datetime.datetime | None = None


class IssuerError(Exception):
    """What a cloud refused or could not do, as one sentence without any secret.

    ``code`` is ``refused`` (a key is not accepted; it may be later), ``limit`` (no more keys), ``invalid`` (the options make no sense),
    ``unsupported``, or ``unreachable`` (no answer: what was asked for may have happened).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Issuer:
    """One principal's keys at a cloud.

    ``options`` are those of the task. In the methods ``by`` holds all fields of the credential as it is stored now, ``values`` the
    fields in ``fields`` of any generation; both are text by Rancher's field names.
    """

    drivers: tuple[str, ...] = ()     # that it can rotate; none: any
    fields: tuple[str, ...] = ()      # of the credential, that are replaced together
    limit: int | None = None          # keys that a principal may have at once
    lists: bool = True                # keys() knows all keys of the principal
    disables: bool = True             # a key can be switched off and on again
    write_ahead: bool = False         # there is one value only: it is made here, kept, and then told to the cloud by activate()
    propagation: float = 0.0          # seconds that a new key is left alone after it was issued, as it may not be known everywhere

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        self.options = options

    def key_id(self, values: Values) -> str:
        """What the cloud calls the key; not secret."""
        raise NotImplementedError

    def keys(self, by: Values) -> list[Key]:
        """All keys of the principal."""
        raise NotImplementedError

    def issue(self, by: Values) -> dict[str, str]:
        """A new key, as the fields of the credential. Must not be repeated by itself. With ``write_ahead`` nobody else knows it yet."""
        raise NotImplementedError

    def activate(self, values: Values, by: Values) -> None:
        """With ``write_ahead`` only: let the cloud accept this value instead of the one that it accepts now, which is in ``by``."""
        raise NotImplementedError

    def verify(self, values: Values, by: Values) -> None:
        """Sign in with a key, and see that it belongs to the same principal as ``by`` where the cloud tells."""
        raise NotImplementedError

    def disable(self, key_id: str, by: Values) -> None:
        """Switch a key off; one that is off already, or gone, is fine."""
        raise NotImplementedError

    def enable(self, key_id: str, by: Values) -> None:
        """Switch a key on again; one that is on already is fine."""
        raise NotImplementedError

    def delete(self, key_id: str, by: Values) -> None:
        """Delete a key; one that is gone already is fine."""
        raise NotImplementedError

    def expires_at(self, values: Values) -> datetime.datetime | None:
        """When a key ends by itself."""
        return None
