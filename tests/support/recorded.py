# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to the API of running Ranchers, with what they stored (recordings/exchanges-VERSION.yaml)."""

from __future__ import annotations

from pathlib import Path

import yaml

RECORDINGS = Path(__file__).with_name("recordings")


def exchanges(version):
    """Return all requests to a Rancher of this version, with what it stored."""
    return yaml.safe_load((RECORDINGS / f"exchanges-{version}.yaml").read_text())


def credential_exchanges(version):
    """Return the exchanges about credentials."""
    return [
        exchange for exchange in exchanges(version) if exchange["request"]["path"].startswith("/v3/cloudcredentials")
    ]
