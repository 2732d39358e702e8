# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""New values that the playbook supplies.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ...issuer import Issuer, IssuerError, Values


class Supplied(Issuer):
    """The playbook gets the new value, sees that it works, and removes the old key at its cloud.

    Options: ``values``, the new fields, and ``public``, the names of those that are no secret, which make up the key's id.
    """

    lists = False
    disables = False

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self.fields = tuple(sorted(options["values"]))

    def key_id(self, values: Values) -> str:
        return " ".join(values[name] for name in sorted(self.options["public"]) if values.get(name)) or "supplied"

    def issue(self, by: Values) -> dict[str, str]:
        if not self.options["values"]:
            raise IssuerError("invalid", "the new value has to be given in config and secrets")
        return dict(self.options["values"])

    def verify(self, values: Values, by: Values) -> None:
        """rotate_verify_tasks do."""

    def delete(self, key_id: str, by: Values) -> None:
        """Whoever supplied the value says that it is done (old_key_removed)."""
