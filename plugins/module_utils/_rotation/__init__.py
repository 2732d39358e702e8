# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Rotates the keys of cloud credentials: protocol, records and gates; uses the issuers.

The protocol is pure. Everything else here executes what the protocol decides.

PRIVATE to the collection.
"""
