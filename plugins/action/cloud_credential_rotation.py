# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.executor import manage_rotations
from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.options import (
    CLOUD_CREDENTIAL_ROTATION,
    parse_rotations,
)
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._action import RanchhandAction


class ActionModule(RanchhandAction):
    on_controller = True
    spec = CLOUD_CREDENTIAL_ROTATION
    core = staticmethod(manage_rotations)
    check = staticmethod(parse_rotations)
