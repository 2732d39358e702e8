# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Text as Rancher and Kubernetes store it."""

from __future__ import annotations

import base64
import json
import typing as t
from collections.abc import Mapping

# The characters that Go's strings.TrimSpace removes. Rancher trims every string it stores (norman
# types/convert/convert.go ToString). Python's strip() also removes the separators x1c to x1f.
_GO_SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"


def trim(text: str) -> str:
    """Return a text as Rancher stores it."""
    return text.strip(_GO_SPACE)


LISTED = 5  # names in a message


def short_list(names: t.Sequence[str], total: int | None = None) -> str:
    """Return names for a message: the first ones, and how many more of ``total`` there are."""
    more = (len(names) if total is None else total) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def single_line(text: str) -> str:
    """Return a message without control characters: a name in it cannot imitate another line or color the terminal."""
    return "".join(char if char.isprintable() else " " if char.isspace() else "?" for char in text)


def to_text(value: t.Any) -> str:
    """Return the text that a string field stores for a value of a playbook.

    Raises ValueError with the end of a sentence ("must be …"), which never contains the value.
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
    """Whether two texts are the same JSON, regardless of formatting."""
    try:
        return bool(json.loads(stored) == json.loads(text))
    except (TypeError, ValueError):
        return False


def base64_encode(text: str) -> str:
    """Return a text as it is stored in the data of a Secret."""
    return base64.b64encode(text.encode()).decode()
