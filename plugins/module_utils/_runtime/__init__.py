# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the core of a module, in the controller's process or in a module's own, and masks its result.

Does not know what any core does.

PRIVATE to the collection.
"""
