# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Runs a module in a process of its own."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

from .._common.errors import RanchhandError
from .._common.options import OptionSpec, parse_options, to_builtin
from .._common.text import single_line
from .execute import ModuleCore, RunMode, execute


def main(spec: OptionSpec, core: ModuleCore) -> None:
    """Run a module. Results contain no ``invocation``, as a misplaced secret may be among the arguments."""
    module = AnsibleModule(supports_check_mode=True, **spec.for_module())
    module.no_log_values.clear()  # execute() masks in one pass; ansible-core takes quadratic time for many secrets
    arguments = {name: module.params[name] for name in spec.options}  # without the aliases
    try:
        params = parse_options(spec, to_builtin(arguments))
    except RanchhandError as error:
        module.fail_json(msg=single_line(error.message), code=error.code, invocation={})
    result = execute(core, params, RunMode(module.check_mode, module._diff))
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    if result.get("failed"):
        module.fail_json(**result, invocation={})
    module.exit_json(**result, invocation={})
