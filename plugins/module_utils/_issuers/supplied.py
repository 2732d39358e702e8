# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of new values that the playbook supplies.

The playbook creates and verifies the new value, and removes the old key at the provider.
"""

from __future__ import annotations

import typing as t

from ..issuer import IssuedKey, Issuer, IssuerError, Values


class Supplied(Issuer):
    """Options: ``values``, the new fields, and ``public``, the names of the fields that are the key's id."""

    lists = False
    disables = False

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self.fields = tuple(sorted(options["values"]))

    def key_id(self, values: Values) -> str:
        return " ".join(values[name] for name in sorted(self.options["public"]) if values.get(name)) or "supplied"

    def next_values(self) -> Values | None:
        return self.options["values"] or None

    def issue(self, by: Values, mark: str) -> IssuedKey:
        if not self.options["values"]:
            raise IssuerError("invalid", "the new value is missing; set config and secrets")
        return IssuedKey(dict(self.options["values"]), self.key_id(self.options["values"]))

    def verify(self, values: Values, by: Values) -> None:
        """Verified by the tasks in rotate_verify_tasks."""

    def delete(self, key_id: str, by: Values) -> None:
        """Deleted by the user, who confirms it with old_key_removed."""
