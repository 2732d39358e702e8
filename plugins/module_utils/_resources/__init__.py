# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Cloud credentials, node templates and manifests as tasks describe them: planned, written, reported and listed.

Planning is pure. A key is verified by an issuer's sign-in. Does not know rotations or problems.

PRIVATE to the collection.
"""
