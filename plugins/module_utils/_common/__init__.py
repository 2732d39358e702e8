# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Errors, options, durations, text and masking: what every other package uses.

Pure. Does not know Kubernetes, Rancher or cloud providers.

PRIVATE to the collection.
"""
