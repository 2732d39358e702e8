# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: collect
type: notification
short_description: Writes the result of every task to a file, for tests
description:
  - Writes one JSON object a line to the file E(RANCHHAND_RESULTS), with the names of task and host,
    the status and the result.
author:
  - ranchhand contributors (@ranchhand)
"""

import json
import os
import time

from ansible.parsing.ajson import AnsibleJSONEncoder
from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "collect"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, status, result):
        content = getattr(result, "result", None) or result._result
        task = getattr(result, "task", None) or result._task
        host = getattr(result, "host", None) or result._host
        with open(os.environ["RANCHHAND_RESULTS"], "a", encoding="utf-8") as file:
            record = {
                "task": task.get_name(),
                "host": host.get_name(),
                "status": status,
                "result": content,
                "ended": time.time(),
            }
            file.write(json.dumps(record, cls=AnsibleJSONEncoder) + "\n")

    def v2_runner_on_ok(self, result):
        self._write("ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._write("failed", result)

    def v2_runner_on_skipped(self, result):
        self._write("skipped", result)

    def v2_runner_on_unreachable(self, result):
        self._write("unreachable", result)
