# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of Hypothesis: no deadline, because the machine may be busy, and a blob that reproduces a failure."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("ranchhand", deadline=None, print_blob=True)
hypothesis.settings.load_profile("ranchhand")
