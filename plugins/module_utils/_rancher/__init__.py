# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Rancher's objects as Rancher reads and writes them: credentials, node templates, machine configs, references, users.

Parses objects and lists them with `queries`. Does not know what a task asks for, and plans and writes nothing.

PRIVATE to the collection.
"""
