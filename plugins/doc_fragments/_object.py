# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  labels:
    description: Labels to set. Null removes a label. Other labels are preserved.
    type: dict
  annotations:
    description: Annotations to set. Null removes an annotation. Other annotations are preserved.
    type: dict
  update_secrets:
    description:
      - When secrets are written.
      - V(always) compares and updates the secrets.
      - V(on_create) sets them only when the object is created.
    type: str
    choices: [always, on_create]
    default: always
  state:
    description: State of the object.
    type: str
    choices: [present, absent]
    default: present
"""
