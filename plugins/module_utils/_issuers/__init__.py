# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The issuers of this collection, one module each, and the registry of their drivers, fields and classes.

An issuer knows one cloud provider, and nothing of rotations; see `module_utils/issuer.py` for the contract.

PRIVATE to the collection.
"""
