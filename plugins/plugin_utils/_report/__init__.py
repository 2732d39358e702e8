# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on cloud credentials: one model of the results of cloud_credential_info, and the files written from it.

PRIVATE to the collection.
"""
