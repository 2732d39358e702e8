# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Signs in with the password of an account: VMware vSphere and Nutanix.

Each call is one attempt, because these providers lock an account after a few failures (vCenter by default after five
within three minutes).
"""

from __future__ import annotations

import base64
import typing as t
from collections.abc import Mapping

from ..issuer import IssuerError, Values
from .http import HttpApi
from .options import require_fields


def verify_vsphere(values: Values, options: Mapping[str, t.Any]) -> None:
    sign_in_vsphere(vcenter_api(values, options), values)


def sign_in_vsphere(api: HttpApi, values: Values) -> None:
    """Create a session and end it."""
    user, password = require_fields(values, "username", "password")
    answer = api.send("POST", "/api/session", _basic(user, password))
    if answer.status == 404:
        raise IssuerError(
            "unsupported", f"{api.name} ({api.host}) has no /api/session, so it is older than 7.0 U2 or no vCenter"
        )
    session = api.require(answer, "sign in").content
    if not isinstance(session, str):
        raise IssuerError("unreachable", f"{api.name} ({api.host}) does not answer like a vCenter")
    try:
        api.send("DELETE", "/api/session", {"vmware-api-session-id": session})
    except IssuerError:  # the password is verified, and the session ends by itself
        pass


def vcenter_api(values: Values, options: Mapping[str, t.Any]) -> HttpApi:
    """Return the API of the vCenter in a credential."""
    host, = require_fields(values, "vcenter")
    return _api("vCenter", host, values.get("vcenterPort") or "443", options)


def verify_nutanix(values: Values, options: Mapping[str, t.Any]) -> None:
    host, user, password = require_fields(values, "endpoint", "username", "password")
    api = _api("Prism Central", host, values.get("port") or "9440", options)
    answer = api.send("GET", "/api/nutanix/v3/users/me", _basic(user, password))
    api.require_member(api.require(answer, "read its own user"), "status")


def _api(name: str, host: str, port: str, options: Mapping[str, t.Any]) -> HttpApi:
    return HttpApi(name, f"https://{host}:{port}", options, options.get("validate_certs", True) is not False)


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
