# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text that playbooks print: tables, and trees of the references to credentials. Pure.

Names come from objects that other people may have created. No text from here contains a line break or another control
character, so a name cannot imitate a line of its own.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

Row = t.Mapping[str, t.Any]
# Printable characters without a glyph: a name full of them could make a line wrap where it wants.
_BLANK = str.maketrans(dict.fromkeys("\u115f\u1160\u2800\u3164\uffa0", "?"))
_LONGEST_NAME = 80


def printable_line(value: t.Any) -> str:
    """Return a value as one line of printable text, with runs of white space as single spaces."""
    text = "" if value is None else str(value)
    line = "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))
    return line.translate(_BLANK)


def table(rows: Sequence[Row], columns: Sequence[str] | None = None, empty: str = "") -> list[str]:
    """Return the lines of a table: a header, then one line for each row.

    Args:
        columns: Keys of the rows in their order; without them, the keys of the first row. A key that a row lacks is
          an empty cell.
        empty: The only line if there are no rows.
    """
    if not rows:
        return [empty] if empty else []
    names = list(columns or rows[0])
    cells = [[name.replace("_", " ").upper() for name in names]]
    cells += [[_cell(name, row.get(name)) for name in names] for row in rows]
    widths = [max(len(line[index]) for line in cells) for index in range(len(names))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells]


def _cell(column: str, value: t.Any) -> str:
    line = printable_line(value)
    return line if column != "name" or len(line) <= _LONGEST_NAME else f"{line[:_LONGEST_NAME - 1]}…"


def reference_text(reference: Row) -> str:
    """Return where a reference is: ``Cluster fleet-default/prod (spec.cloudCredentialSecretName)``."""
    return printable_line(f"{reference['kind']} {_qualified_name(reference)} ({reference['field']})")


def reference_tree(credentials: Sequence[Row], incomplete: Sequence[str] = ()) -> list[str]:
    """Return the credentials with the objects that refer to them, grouped by kind.

    Args:
        incomplete: Kinds that could not be listed.
    """
    lines: list[str] = []
    for credential in credentials:
        driver = credential["driver"] or "no driver"
        lines.append(printable_line(f"{credential['name']} ({driver}, {credential['id']})"))
        lines += _branches(credential.get("references") or ())
    if not credentials:
        lines.append("No cloud credential matches.")
    if incomplete:
        lines.append(f"Incomplete: this connection may not list {', '.join(map(printable_line, incomplete))}.")
    return lines


def _branches(references: Sequence[Row]) -> list[str]:
    if not references:
        return ["└── not used"]
    kinds = sorted({reference["kind"] for reference in references})
    lines = []
    for kind in kinds:
        last_kind = kind == kinds[-1]
        lines.append(f"{'└──' if last_kind else '├──'} {printable_line(kind)}")
        users = [reference for reference in references if reference["kind"] == kind]
        for number, user in enumerate(users, start=1):
            branch = "└──" if number == len(users) else "├──"
            place = printable_line(f"{_qualified_name(user)}: {user['field']}")
            lines.append(f"{'    ' if last_kind else '│   '}{branch} {place}")
    return lines


def _qualified_name(reference: Mapping[str, t.Any]) -> str:
    namespace, display_name = reference.get("namespace"), reference.get("display_name")
    name = f"{namespace}/{reference['name']}" if namespace else str(reference["name"])
    return f'{name} "{display_name:.{_LONGEST_NAME}}"' if display_name else name
