# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The client of the API server: connection, requests, cache, watches and error messages.

The only package that opens connections to an API server. Does not know Rancher or what the requests are for.

PRIVATE to the collection.
"""
