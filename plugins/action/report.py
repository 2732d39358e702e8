# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible_collections.ranchhand.rancher.plugins.module_utils._common.options import to_builtin
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._action import RanchhandAction
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.write import REPORT, check_report, write_report


class ActionModule(RanchhandAction):
    on_controller = True
    spec = REPORT
    core = staticmethod(write_report)
    check = staticmethod(check_report)

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        self._variables = task_vars or {}
        return super().run(tmp, task_vars)

    def _in_process(self, name: str, params: dict[str, t.Any]) -> dict[str, t.Any]:
        """Takes what was registered as it is: through templates it would take seconds, and names of users would be near them."""
        hosts, read = self._variables["ansible_play_hosts_all"], self._variables["hostvars"].raw_get
        ranchers = {str(host): to_builtin(read(host).get(params["registered"])) for host in hosts}
        return super()._in_process(name, {**params, "ranchers": ranchers})
