# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Problems of cloud credentials and the age of their keys, evaluated from what was read.

Knows all other packages, as it compares credentials with users, drivers, references and rotations; no other package
imports it. No result contains a secret value. PRIVATE to the collection.
"""
