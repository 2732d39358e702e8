# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Signs in with the client secret of a Microsoft Entra application."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from urllib.parse import quote

from ..issuer import IssuerError, Values
from .http import HttpApi
from .options import require_fields

# The hosts of tokens and of the resource manager (those of the governments not confirmed).
_HOSTS = {
    "AzurePublicCloud": ("login.microsoftonline.com", "management.azure.com"),
    "AzureUSGovernmentCloud": ("login.microsoftonline.us", "management.usgovcloudapi.net"),
    "AzureChinaCloud": ("login.partner.microsoftonline.cn", "management.chinacloudapi.cn"),
}
_TENANT = re.compile(r"[A-Za-z0-9.-]{1,128}", re.ASCII)


def verify_secret(values: Values, options: Mapping[str, t.Any]) -> None:
    """Request a token, which needs no right, and read the subscription with it, as Rancher does.

    Of an error, only its ``error`` is evaluated, because Microsoft may change descriptions and numbers.
    """
    client_id, secret = require_fields(values, "clientId", "clientSecret")
    tenant = values.get("tenantId") or str(options.get("tenant_id") or "")
    if not _TENANT.fullmatch(tenant):
        raise IssuerError("invalid", "the credential has no valid tenantId. Set tenantId, or verify_options.tenant_id")
    environment = values.get("environment") or "AzurePublicCloud"
    if environment not in _HOSTS:
        raise IssuerError("invalid", f"the environment of the credential must be one of {', '.join(_HOSTS)}")
    login_host, manager_host = _HOSTS[environment]
    login = HttpApi("Microsoft Entra", f"https://{login_host}", options)
    answer = login.send("POST", f"/{tenant}/oauth2/v2.0/token", form={
        "grant_type": "client_credentials", "client_id": client_id, "client_secret": secret,
        "scope": f"https://{manager_host}/.default",
    })
    if answer.text("error") == "unauthorized_client":
        raise IssuerError("invalid", f"tenant {tenant} has no application with the clientId of the credential")
    if answer.status == 400:
        raise IssuerError("invalid", f"{login.name} ({login.host}) rejected tenant {tenant} or the clientId")
    token = login.require(answer, "sign in").text("access_token")
    if not token:
        raise IssuerError("unreachable", f"{login.name} ({login.host}) does not answer with a token")
    if values.get("subscriptionId"):
        manager = HttpApi("Azure", f"https://{manager_host}", options, until=login.until)
        _read_subscription(manager, values["subscriptionId"], token)


def _read_subscription(api: HttpApi, subscription: str, token: str) -> None:
    path = f"/subscriptions/{quote(subscription, safe='')}?api-version=2022-12-01"
    answer = api.send("GET", path, {"Authorization": f"Bearer {token}"})
    if answer.status in (403, 404):
        raise IssuerError(
            "forbidden",
            f"the secret is valid, but its application may not read the subscription of the credential, or there is no "
            f"such subscription (HTTP status {answer.status})",
        )
    api.require(answer, "read the subscription")
