# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The modules' one way from options to result, for when they run as a process.

PRIVATE to the collection.
"""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

from .._common.errors import RanchhandError
from .._common.options import OptionSpec, parse_options, to_builtin
from .execute import ModuleCore, RunMode, execute


def main(spec: OptionSpec, core: ModuleCore) -> None:
    """Run as a module; its arguments, where a secret may stand in the wrong place, do not come back with the result."""
    module = AnsibleModule(supports_check_mode=True, **spec.for_module())
    module.no_log_values.clear()  # execute() masks in one pass; ansible-core's own is quadratic in secrets and results
    try:
        params = parse_options(spec, to_builtin({name: module.params[name] for name in spec.options}))  # less the aliases
    except RanchhandError as error:
        module.fail_json(msg=error.message, code=error.code, invocation={})
    result = execute(core, params, RunMode(module.check_mode, module._diff))
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    if result.get("failed"):
        module.fail_json(**result, invocation={})
    module.exit_json(**result, invocation={})
