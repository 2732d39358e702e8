# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's commands, which `make` calls."""

# An older Python 3 must be able to run this file, which then searches for a newer one.
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

if sys.version_info < (3, 11):
    from harness import interpreters

    newer = interpreters.newest()
    if not newer:
        sys.exit(
            "Python 3.11 or newer is required; this is Python %d.%d, and no newer one is on PATH or under"
            " ~/.pyenv/versions." % sys.version_info[:2]
        )
    os.execv(newer, [newer] + sys.argv)

from harness import commands  # noqa: E402  pylint: disable=wrong-import-position

if __name__ == "__main__":
    commands.main()
