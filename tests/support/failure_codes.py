# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders docs/failure-codes.md from the table of failure codes.

    cd tests && python -m support.failure_codes

writes the page; it needs no third-party package.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/failure-codes.md"
TABLE = ROOT / "plugins/module_utils/_common/errors.py"

_HEAD = """\
<!-- Generated from plugins/module_utils/_common/errors.py by `cd tests && python -m support.failure_codes`. -->
# Failure codes

A failed task has a `code`, for playbooks and rulebooks, and a `msg`, for people. The message names the object, the
reason and usually the remedy. If a task processes a list, each failed item has its own `code` and `msg`.

A role or playbook that continues after failures fails in its last task. That task has no `code` of its own, and its
message names the code of each failure: `aws prod: drift: …`. For tasks after a role, `rotate_result.failures` and
`retire_result.failures` contain each failure with its `code`.

For example, wait for another run that rotates the same credential:

```yaml
- name: Rotate the key
  ranchhand.rancher.cloud_credential_rotation:
    name: aws prod
    max_age: 90d
  register: rotation
  until: rotation.code | default('') != 'busy'
  retries: 5
  delay: 60
```

"""
_FOOT = """\

The [runbook of rotations](runbooks/rotation.md) has a section with commands for each code of cloud_credential_rotation.
The codes in `problems`, which the info modules and the report return, are not failures: see the
[runbook of credentials](runbooks/credentials.md).
"""


def failure_codes(path=TABLE):
    """Return the table; the module is loaded by its path, so that ansible is not needed."""
    spec = importlib.util.spec_from_file_location("failure_code_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FAILURE_CODES


def render(codes):
    """Return the page for a table of failure codes."""
    every_module = {module for failure in codes.values() for module in failure.modules}
    rows = [
        f"| `{code}` | {failure.meaning} | {failure.remedy} | {_modules(failure.modules, every_module)} |"
        for code, failure in codes.items()
    ]
    return "\n".join([_HEAD + "| Code | Meaning | What to do | Modules |", "|---|---|---|---|", *rows]) + "\n" + _FOOT


def _modules(modules, every_module):
    missing = sorted(every_module - set(modules))
    if not missing:
        return "all"
    if len(missing) == 1:
        return f"all except {missing[0]}"
    return ", ".join(sorted(modules))


if __name__ == "__main__":
    PAGE.write_text(render(failure_codes()), encoding="utf-8")
