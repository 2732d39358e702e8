# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: pick
short_description: Mappings with some of their keys
version_added: 1.0.0
description:
  - Returns a list of mappings that have only the given keys.
author:
  - ranchhand contributors (@ranchhand)
positional: _input, keys
options:
  _input:
    description: The mappings.
    type: list
    elements: dict
    required: true
  keys:
    description: The keys to keep. A mapping that lacks a key does not get it.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Delete all cloud credentials that were listed
  ranchhand.rancher.cloud_credential:
    state: absent
    credentials: "{{ listed.credentials | ranchhand.rancher.pick(['id']) }}"
"""

RETURN = r"""
_value:
  description: The mappings.
  type: list
  elements: dict
"""

import typing as t


def _pick(mappings: t.Any, keys: t.Any) -> list[dict[str, t.Any]]:
    return [{key: mapping[key] for key in keys if key in mapping} for mapping in mappings]


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"pick": _pick}
