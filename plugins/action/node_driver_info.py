# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.ranchhand.rancher.plugins.module_utils._rotation.node_driver_info import (
    NODE_DRIVER_INFO,
    list_node_drivers,
)
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._action import RanchhandAction


class ActionModule(RanchhandAction):
    spec = NODE_DRIVER_INFO
    core = staticmethod(list_node_drivers)
