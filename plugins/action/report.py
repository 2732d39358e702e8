# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.ranchhand.rancher.plugins.plugin_utils._action import RanchhandAction
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.write import REPORT, check_report, write_report


class ActionModule(RanchhandAction):
    on_controller = True
    spec = REPORT
    core = staticmethod(write_report)
    check = staticmethod(check_report)
