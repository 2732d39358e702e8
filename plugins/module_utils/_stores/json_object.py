# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Fields of a secret as the JSON object that stores without fields of their own contain."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Mapping

from .interface import StoreContent


def parse_object(text: str | bytes) -> dict[str, t.Any] | None:
    """Return the fields in a value; None if it is no JSON object."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def merge_fields(content: StoreContent, fields: Mapping[str, str]) -> str:
    """Return the value that replaces fields of what was read, and keeps all others."""
    return json.dumps({**(content.fields or {}), **fields}, sort_keys=True)
