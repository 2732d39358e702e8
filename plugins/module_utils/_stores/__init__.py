# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Secret stores outside of Rancher that receive a copy of a key: one module for each type, and their settings.

A store knows nothing of rotations. It reads what is stored, and replaces exactly the version that was read, unless its
API has no precondition for writes; which value may be replaced by which one is decided elsewhere.

PRIVATE to the collection.
"""
