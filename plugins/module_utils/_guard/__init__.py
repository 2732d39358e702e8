# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The guard: admission policies that reject new references to a credential while it is being deleted.

Installs and removes them, and lets a deletion use them. Does not know how credentials are planned.

PRIVATE to the collection.
"""
