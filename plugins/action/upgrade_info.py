# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.ranchhand.rancher.plugins.module_utils._upgrade.module import UPGRADE_INFO, report_blockers
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._action import RanchhandAction


class ActionModule(RanchhandAction):
    spec = UPGRADE_INFO
    core = staticmethod(report_blockers)
