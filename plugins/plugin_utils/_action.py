# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugins' one way: parse_options on the controller, then run in process where that is possible, else as a module.

PRIVATE to the collection.
"""

from __future__ import annotations

import json
import os
import sys
import typing as t
import warnings

from ansible.plugins.action import ActionBase

from ..module_utils._common.errors import RanchhandError
from ..module_utils._common.options import OptionSpec, parse_options, to_builtin
from ..module_utils._kubernetes.client import KubernetesClient
from ..module_utils._kubernetes.libraries import MISSING
from ..module_utils._runtime.execute import ModuleCore, RunMode, execute
from ._progress import Progress

_CLIENTS: dict[tuple[t.Any, ...], KubernetesClient] = {}


def _shared_client(options: t.Mapping[str, t.Any]) -> KubernetesClient:
    """One Api for all items of a loop that connect alike.

    ansible-core forks a worker for each task on each host, so nothing is shared beyond that.
    """
    kubeconfig = options["kubeconfig"]
    changed = os.stat(kubeconfig).st_mtime_ns if isinstance(kubeconfig, str) and os.path.exists(kubeconfig) else None
    key = (os.getpid(), changed, os.environ.get("KUBECONFIG"), json.dumps(options, sort_keys=True))
    if key not in _CLIENTS:
        _CLIENTS[key] = KubernetesClient(options)
    return _CLIENTS[key]


class RanchhandAction(ActionBase):
    """An action plugin for the module of the same name; ``spec`` and ``core`` are what that module is made of."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = True
    on_controller = False  # it runs there and nowhere else
    spec: OptionSpec
    core: ModuleCore

    @staticmethod
    def check(params: t.Mapping[str, t.Any]) -> t.Any:
        """Raises RanchhandError if the parsed options make no sense."""

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        given = to_builtin(self._task.args)
        try:
            if self.on_controller and any(self._task.environment or ()):
                raise RanchhandError("invalid", "this runs in the controller's own process, where the keyword environment has no effect; use options, "
                                                "or set the variables where ansible-playbook starts")
            params = parse_options(self.spec, given, self.check)
        except RanchhandError as error:
            return {"failed": True, "changed": False, "msg": error.message, "code": error.code}
        name = self._task.action.rpartition(".")[2]
        reason = self._reason_for_a_module(task_vars or {})
        if reason is None:
            self._display.vvv(f"ranchhand.rancher.{name}: in process")
            return self._in_process(name, params)
        self._display.vvv(f"ranchhand.rancher.{name}: as a module, because of {reason}")
        result = self._execute_module(
            module_name=f"ranchhand.rancher.{name}", module_args=given, wrap_async=self._task.async_val,
            task_vars={**(task_vars or {}), "ansible_no_target_syslog": True},  # a secret may stand in the wrong place
        )
        # ansible-core up to 2.20 adds the arguments to a module's result; in process there are none
        result.pop("invocation", None)
        return result

    def _in_process(self, name: str, params: dict[str, t.Any]) -> dict[str, t.Any]:
        progress = Progress(self._display, name)

        def connect(options: t.Mapping[str, t.Any]) -> KubernetesClient:
            api = _shared_client(options)
            api.progress = progress
            return api

        try:
            with warnings.catch_warnings():
                # ansible-core shows Python's warnings under a lock that a forked worker's threads never get: they would hang
                warnings.simplefilter("ignore")
                return execute(type(self).core, params, RunMode(self._task.check_mode, self._task.diff), connect)
        finally:
            progress.end()

    def _reason_for_a_module(self, task_vars: dict[str, t.Any]) -> str | None:
        """Why the work cannot be done in this process; None if it can."""
        if self.on_controller:
            return None
        if self._connection.transport != "local":
            return f"connection {self._connection.transport}"
        if self._play_context.become:
            return "become"
        if self._task.async_val:
            return "async"
        if any(self._task.environment or ()):
            return "environment"
        if self._task.delegate_to:
            task_vars = (task_vars.get("ansible_delegated_vars") or {}).get(self._task.delegate_to) or {}
        interpreter = task_vars.get("ansible_python_interpreter")
        if interpreter:
            interpreter = str(self._templar.template(interpreter))
            if os.path.abspath(interpreter) != os.path.abspath(sys.executable):
                return f"ansible_python_interpreter {interpreter}"
        if MISSING:
            return "the kubernetes client missing on the controller"
        return None
