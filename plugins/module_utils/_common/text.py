# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What fields a driver has, which of them are secret, and whether a config fits them.

PRIVATE to the collection. Pure: neither Ansible nor a cluster is needed.
"""

from __future__ import annotations

import base64
import json
import typing as t
from collections.abc import Mapping

# What Go's strings.TrimSpace removes (Rancher trims every string it stores: norman types/convert/convert.go ToString).
# Python's strip() also takes the separators x1c to x1f.
_GO_SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"


def trim(text: str) -> str:
    """Text as Rancher would store it."""
    return text.strip(_GO_SPACE)


def to_text(value: t.Any) -> str:
    """The text that a string field stores for a value of a playbook.

    Raises ValueError with the end of a sentence ("must be …"), which never holds the value.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int)):
        return trim(str(value))
    if isinstance(value, Mapping):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if isinstance(value, float):
        raise ValueError("must be quoted, as a floating point number does not keep its digits")
    raise ValueError("must be a string, a whole number, true or false, or a mapping, which is stored as JSON")


def same_json(text: str, stored: t.Any) -> bool:
    """Whether two texts are the same JSON, however they are laid out."""
    try:
        return bool(json.loads(stored) == json.loads(text))
    except (TypeError, ValueError):
        return False


def base64_encode(text: str) -> str:
    """Text as it stands in a Secret's data."""
    return base64.b64encode(text.encode()).decode()
