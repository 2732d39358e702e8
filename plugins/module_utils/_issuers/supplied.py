# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of new values that the playbook supplies.

The playbook creates the new value, and removes the old key at the provider.
"""

from __future__ import annotations

import typing as t

from ..issuer import IssuedKey, Issuer, IssuerError, Values
from .verification import VERIFIERS, sign_in_of


class Supplied(Issuer):
    """Options: ``values``, the new fields; ``public``, the names of the fields that are the key's id; ``driver``; and
    ``issuer_options``, those of the task: ``verify``, by default whether the driver's keys can be verified, and the
    options for that.

    Raises IssuerError (``invalid``, ``unsupported``) if the driver's keys are not verified with these options.
    """

    lists = False
    disables = False

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self.fields = tuple(sorted(options["values"]))
        driver, given = options["driver"], dict(options["issuer_options"])
        verify = given.pop("verify", None)
        if verify not in (None, True, False):
            raise IssuerError("invalid", "verify in issuer_options must be true or false")
        self._accepted = ("forbidden",) if verify else ("forbidden", "unsupported")
        self._sign_in = None
        if verify or verify is None and driver in VERIFIERS:
            self._sign_in = sign_in_of(driver, given, "issuer_options")
            # Another attempt could lock the account.
            self.verify_attempts = 1 if VERIFIERS[driver].account else None
        elif given:
            raise IssuerError(
                "invalid",
                f"issuer_options {', '.join(sorted(map(str, given))):.200} have no effect: the value is not verified",
            )

    def rate_key(self, by: Values) -> str | None:
        return self.options["driver"]

    def key_id(self, values: Values) -> str:
        return " ".join(values[name] for name in sorted(self.options["public"]) if values.get(name)) or "supplied"

    def next_values(self) -> Values | None:
        return self.options["values"] or None

    def issue(self, by: Values, mark: str) -> IssuedKey:
        if not self.options["values"]:
            raise IssuerError("invalid", "the new value is missing; set config and secrets")
        return IssuedKey(dict(self.options["values"]), self.key_id(self.options["values"]))

    def verify(self, values: Values, by: Values) -> None:
        """Sign in once. A key that lacks a right is accepted; what cannot be verified, rotate_verify_tasks do."""
        if self._sign_in is None:
            return
        try:
            self._sign_in({**by, **values})
        except IssuerError as error:
            if error.code == "unreachable":
                raise IssuerError(
                    error.code,
                    f"{error.message}. If it cannot be reached from here, set verify: false in issuer_options",
                ) from None
            if error.code not in self._accepted:
                raise

    def delete(self, key_id: str, by: Values) -> None:
        """Deleted by the user, who confirms it with old_key_removed."""
