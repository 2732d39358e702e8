# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Points clusters, machine pools and machines to another cloud credential, and waits until Rancher has taken it over.

Parsing, planning and the check for arrival are pure. Does not know rotations or problems.

PRIVATE to the collection.
"""
