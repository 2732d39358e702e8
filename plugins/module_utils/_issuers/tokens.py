# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Signs in with tokens that a request contains as they are: DigitalOcean and Hetzner.

Each request needs a right that Rancher's driver needs anyway; public requests would succeed with any token.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ..issuer import Values
from .http import HttpApi
from .options import require_fields


def verify_digitalocean(values: Values, options: Mapping[str, t.Any]) -> None:
    """Require ``droplet:read``, as a token with own scopes may lack ``account:read``."""
    token, = require_fields(values, "accessToken")
    api = HttpApi("DigitalOcean", "https://api.digitalocean.com", options)
    _list(api, "/v2/droplets?per_page=1", f"Bearer {token}", "droplets", "list droplets")


def verify_hetzner(values: Values, options: Mapping[str, t.Any]) -> None:
    """A token that may only read passes, because only a write would fail."""
    token, = require_fields(values, "apiToken")
    api = HttpApi("Hetzner Cloud", "https://api.hetzner.cloud", options)
    _list(api, "/v1/servers?per_page=1", f"Bearer {token}", "servers", "list servers")


def _list(api: HttpApi, path: str, authorization: str, member: str, right: str) -> None:
    answer = api.require(api.send("GET", path, {"Authorization": authorization}), right)
    api.require_member(answer, member)
