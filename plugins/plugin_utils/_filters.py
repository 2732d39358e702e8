# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversion between Jinja values and the pure functions that filters call."""

from __future__ import annotations

import functools
import importlib
import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ..module_utils._common.options import to_builtin

_PLUGIN_UTILS = __name__.rpartition(".")[0]


def deferred(module: str, name: str) -> t.Callable[..., t.Any]:
    """Return a function of a module of plugin_utils, which is imported when it is called.

    A task that uses one filter of a collection loads all of them, in a process of its own (JinjaPluginLoader.get of
    ansible-core 2.17 to 2.21).
    """

    def call(*args: t.Any, **kwargs: t.Any) -> t.Any:
        return getattr(importlib.import_module(f"{_PLUGIN_UTILS}.{module}"), name)(*args, **kwargs)

    return call


def plain_filter(function: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    """Make a filter of a pure function that takes and returns no secrets and no templates.

    Arguments become built-in types. Text in the result is never evaluated as a template. A ValueError fails the task.
    """

    @functools.wraps(function)
    def call(*args: t.Any, **kwargs: t.Any) -> t.Any:
        try:
            return wrap_var(
                function(*map(to_builtin, args), **{name: to_builtin(value) for name, value in kwargs.items()})
            )
        except ValueError as error:
            raise AnsibleFilterError(str(error)) from None

    return call
