# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Finds what blocks the upgrade of a Rancher to 2.12, which has neither RKE1 clusters nor node templates.

Evaluating is pure. Reads only.

PRIVATE to the collection.
"""
