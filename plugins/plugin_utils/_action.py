# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Base of the action plugins: options are parsed on the controller, then the work is done there or by the module."""

from __future__ import annotations

import json
import os
import sys
import typing as t
import warnings

from ansible.plugins.action import ActionBase

from ..module_utils._common.errors import RanchhandError
from ..module_utils._common.options import OptionSpec, parse_options, to_builtin
from ..module_utils._common.text import single_line
from ..module_utils._kubernetes.client import KubernetesClient
from ..module_utils._kubernetes.connection import CONNECTION, is_complete, is_path
from ..module_utils._kubernetes.kubeconfig import source_identity
from ..module_utils._kubernetes.libraries import MISSING
from ..module_utils._runtime.execute import Connect, RunMode, execute, failure
from ._progress import Progress

_CLIENTS: dict[tuple[t.Any, ...], KubernetesClient] = {}


def _shared_client(options: t.Mapping[str, t.Any]) -> KubernetesClient:
    """Return the client for these options, which the items of a loop share.

    ansible-core forks a process for each task of each host, so that nothing else is shared.
    """
    source = None if is_complete(options) else source_identity(options["kubeconfig"], options["context"])
    key = (os.getpid(), json.dumps([options, source], sort_keys=True))
    if key not in _CLIENTS:
        _CLIENTS[key] = KubernetesClient(options)
    return _CLIENTS[key]


def absolute_paths(spec: OptionSpec, arguments: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the arguments of a task with absolute paths.

    A relative path starts where ansible-playbook was started, but a module process runs in the playbook's directory.
    """
    names = {
        alias: name for name, option in spec.options.items()
        for alias in (name, *option.get("aliases", ())) if option.get("type") == "path" or name == "kubeconfig"
    }
    return {
        name: _absolute(value) if name in names and is_path(value) else value for name, value in arguments.items()
    }


def _absolute_environment() -> dict[str, str]:
    """Return the variables with paths that a module process reads."""
    names = ["KUBECONFIG"] + [
        f"K8S_AUTH_{alias.upper()}" for name, option in CONNECTION.options.items()
        for alias in (name, *option.get("aliases", ())) if option["type"] == "path" or name == "kubeconfig"
    ]
    return {name: _absolute(os.environ[name]) for name in names if os.environ.get(name)}


def _absolute(paths: str) -> str:
    """Return absolute paths; those that begin with a home directory or a variable are absolute already."""
    return os.pathsep.join(
        path if not path or path.startswith(("~", "$")) else os.path.abspath(path) for path in paths.split(os.pathsep)
    )


class RanchhandAction(ActionBase):
    """Action plugin for the module of the same name.

    Attributes:
        spec: the options of the module.
        on_controller: whether the module runs only in the controller's process.
    """

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = True  # ansible-core's refusal has no code; see _reject_keywords
    spec: t.ClassVar[OptionSpec]
    on_controller: t.ClassVar[bool] = False

    @staticmethod
    def core(params: t.Mapping[str, t.Any], connect: Connect, mode: RunMode) -> dict[str, t.Any]:
        """Do the work of the module and return its result; raises RanchhandError."""
        raise NotImplementedError

    @staticmethod
    def check(params: t.Mapping[str, t.Any]) -> t.Any:
        """Validate the parsed options further; raises ValidationErrors."""

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run the task."""
        super().run(tmp, task_vars)
        arguments = to_builtin(self._task.args)
        name = self._task.action.rpartition(".")[2]
        try:
            if self.on_controller:
                self._reject_keywords(name)
            params = parse_options(self.spec, arguments, self.check)
        except RanchhandError as error:
            return failure(error.code, single_line(error.message))
        reason = None if self.on_controller else self._reason_for_module(task_vars or {})
        if reason is None:
            self._display.vvv(f"ranchhand.rancher.{name}: in process")
            return self._in_process(name, params)
        self._display.vvv(f"ranchhand.rancher.{name}: as a module, because of {reason}")
        if self._connection.transport == "local":
            arguments = absolute_paths(self.spec, arguments)
            self._task.environment = [_absolute_environment(), *(self._task.environment or ())]
        result: dict[str, t.Any] = self._execute_module(
            module_name=f"ranchhand.rancher.{name}", module_args=arguments, wrap_async=self._task.async_val,
            # A misplaced secret must not be logged on the target.
            task_vars={**(task_vars or {}), "ansible_no_target_syslog": True},
        )
        result.pop("invocation", None)  # the arguments, which ansible-core up to 2.20 adds to the result of a module
        return result

    def _reject_keywords(self, name: str) -> None:
        """Raise RanchhandError for keywords of the task that have no effect in the controller's process."""
        if self._task.async_val:
            raise RanchhandError(
                "unsupported",
                f"{name} runs in the controller's process and cannot run in the background; remove async from the task",
            )
        if any(self._task.environment or ()):
            raise RanchhandError(
                "invalid",
                f"{name} runs in the controller's process, where the keyword environment has no effect; use options, or"
                " set the variables before you start ansible-playbook",
            )

    def _in_process(self, name: str, params: dict[str, t.Any]) -> dict[str, t.Any]:
        progress = Progress(self._display, name)

        def connect(options: t.Mapping[str, t.Any]) -> KubernetesClient:
            client = _shared_client(options)
            client.progress = progress
            return client

        try:
            with warnings.catch_warnings():
                # ansible-core shows Python's warnings under a lock that the threads of a forked worker never get.
                warnings.simplefilter("ignore")
                return execute(self.core, params, RunMode(self._task.check_mode, self._task.diff), connect)
        finally:
            progress.end()

    def _reason_for_module(self, task_vars: dict[str, t.Any]) -> str | None:
        """Return why the module has to run in a process of its own; None if it need not."""
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
