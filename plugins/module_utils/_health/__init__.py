# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What is wrong with cloud credentials: evaluated from what was read, without showing any value.

The topmost package: it may use all others, and none of them uses it.

PRIVATE to the collection.
"""
