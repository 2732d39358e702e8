# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model as one HTML file that asks for nothing else.

PRIVATE to the collection. The page's script makes elements out of data, never markup out of text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import typing as t
from collections.abc import Mapping
from pathlib import Path

from .model import SOON_DAYS, SOURCES, visible

_HERE = Path(__file__).parent
# The steps of one rotation; a whole history would double the size of the page.
_STEPS = 7
_SHOWN = ("phase", "next_step", "issuer", "reason", "key_id", "old_key_id", "running", "waiting_for", "expires_at")


def to_html(model: Mapping[str, t.Any]) -> str:
    style, script, charts = (_HERE.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js", "echarts/echarts.min.js"))
    policy = (f"default-src 'none'; script-src {_hash(charts)} {_hash(script)}; style-src {_hash(style)}; base-uri 'none'; form-action 'none'")
    parts = {"policy": policy, "style": style, "script": script, "charts": charts, "data": _data(model)}
    # In one pass over our own text, so that nothing within the data is taken for a place to fill.
    return re.sub("@([a-z]+)@", lambda place: parts[place.group(1)], _HERE.joinpath("page.html").read_text(encoding="utf-8"))


def _data(model: Mapping[str, t.Any]) -> str:
    """JSON in ASCII and without <, so that no text can end the element it stands in."""
    page = {**model, "credentials": [_lean(one) for one in model["credentials"]], "sources": SOURCES, "soon_days": SOON_DAYS}
    return json.dumps(visible(page), separators=(",", ":")).replace("<", "\\u003c")


def _lean(one: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A credential with no more than the page shows."""
    rotation = one["rotation"] and {
        **{name: one["rotation"][name] for name in _SHOWN if one["rotation"][name]},
        "transitions": [[step["at"], step["phase"], step["what"]] for step in (one["rotation"]["transitions"] or ())[-_STEPS:]],
    }
    references = [{name: value for name, value in reference.items() if name != "api_version"} for reference in one["references"]]
    return {**one, "references": references, "rotation": rotation}


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
