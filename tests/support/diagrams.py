# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the diagrams in docs/diagrams from their sources.

    cd tests && python -m support.diagrams

needs the Debian package graphviz. Each drawing contains the digest of its source, which a unit test compares.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

DIAGRAMS = Path(__file__).resolve().parents[2] / "docs" / "diagrams"


def digest(source):
    return hashlib.sha256(source.read_bytes()).hexdigest()


def draw(source):
    """Write the SVG of a source, without the version of Graphviz."""
    text = subprocess.run(["dot", "-Tsvg", source], capture_output=True, check=True, text=True).stdout
    picture = re.sub("<!--.*?-->\n?", "", text[text.index("<svg"):], flags=re.DOTALL)
    source.with_suffix(".svg").write_text(f"<!-- sha256 of {source.name}: {digest(source)} -->\n{picture}")


if __name__ == "__main__":
    for path in sorted(DIAGRAMS.glob("*.dot")):
        draw(path)
