# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model as one HTML file that loads nothing else.

The script of the page creates elements from data; it never turns text into markup.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from .model import AGE_STATES, SOON_DAYS, SOURCES, Entry, visible
from .today import SENTENCES, WHEN

_HERE = Path(__file__).parent
# Transitions of one rotation; the whole history would double the size of the page.
_TRANSITIONS = 7
_ROTATION = ("phase", "next_step", "issuer", "reason", "key_id", "old_key_id", "running", "waiting_for", "expires_at")


def to_html(model: Entry) -> str:
    """Return the page."""
    style, script = (_HERE.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {"policy": policy, "style": style, "script": script, "data": _data(model)}
    # In one pass over the template, so that placeholders within the data are not replaced.
    template = _HERE.joinpath("page.html").read_text(encoding="utf-8")
    return re.sub("@([a-z]+)@", lambda match: parts[match.group(1)], template)


def _data(model: Entry) -> str:
    """Return JSON in ASCII and without <, so that no text can end the script element."""
    credentials = [_shorten(credential) for credential in model["credentials"]]
    places = {(credential["rancher"], credential["id"]): place for place, credential in enumerate(credentials)}
    page = {
        **model, "today": [_shorten_task(task, places) for task in model["today"]], "credentials": credentials,
        "sources": SOURCES, "soon_days": SOON_DAYS, "sentences": SENTENCES,
        "when": WHEN, "age_states": AGE_STATES,
    }
    return json.dumps(visible(page), separators=(",", ":")).replace("<", "\\u003c")


def _shorten_task(task: Entry, places: Mapping[tuple[str, str], int]) -> Entry:
    """Return a task in which the place of the credential replaces what the credential and the code contain."""
    place = places.get((task["rancher"], task["id"]))
    if place is None:
        return task
    return {"credential": place, "code": task["code"], "remedy": task["remedy"]}


def _shorten(credential: Entry) -> Entry:
    """Return a credential with only what the page shows."""
    rotation = credential["rotation"]
    if rotation:
        transitions = (rotation["transitions"] or ())[-_TRANSITIONS:]
        rotation = {
            **{name: rotation[name] for name in _ROTATION if rotation[name]},
            "transitions": [[transition["at"], transition["phase"], transition["what"]] for transition in transitions],
        }
    references = [
        {name: value for name, value in reference.items() if name != "api_version"}
        for reference in credential["references"]
    ]
    return {**credential, "references": references, "rotation": rotation}


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
