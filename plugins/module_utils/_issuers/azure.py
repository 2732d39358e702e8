# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of client secrets of Microsoft Entra applications.

A secret belongs to the application or to its service principal in the tenant. Rancher stores neither the id of a secret
nor this; the API shows the first three characters of each secret (``hint``), which are never shown or stored here.
"""

from __future__ import annotations

import datetime
import re
import time
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from .._common.times import format_time, now
from ..issuer import IssuedKey, Issuer, IssuerError, Key, Values
from .http import OPTIONS, Answer, HttpApi, read_time
from .options import check_options, parse_duration_option, require_fields
from .registry import ISSUERS


class Hosts(t.NamedTuple):
    """The hosts of an environment; ``vault`` is the domain of all key vaults."""

    login: str
    manager: str
    graph: str
    vault: str


# The hosts by environment (those of the governments not confirmed).
HOSTS = {
    "AzurePublicCloud": Hosts(
        "login.microsoftonline.com", "management.azure.com", "graph.microsoft.com", "vault.azure.net"
    ),
    "AzureUSGovernmentCloud": Hosts(
        "login.microsoftonline.us", "management.usgovcloudapi.net", "graph.microsoft.us", "vault.usgovcloudapi.net"
    ),
    "AzureChinaCloud": Hosts(
        "login.partner.microsoftonline.cn", "management.chinacloudapi.cn", "microsoftgraph.chinacloudapi.cn",
        "vault.azure.cn",
    ),
}
_SAFE = re.compile(r"[A-Za-z0-9.-]{1,128}", re.ASCII)  # in a URL, and in a message
_OBJECTS = ("applications", "servicePrincipals")
_REPLICA_PAUSE = 5.0
_LIMIT_OF_PERSONAL = 2
_HINT = 3  # characters
# Codes of refusals by an app management policy, as Microsoft's own clients handle them.
_POLICIES = ("CredentialTypeNotAllowedAsPerAppPolicy", "CredentialInvalidLifetimeAsPerAppPolicy")
_RECORDED = ("sign_in", "tenant_id", "expiration", "propagation", *OPTIONS)
_SIGN_IN: dict[str, tuple[str, ...]] = {"rotating": (), "given": ("client_id", "client_secret")}


def verify_secret(values: Values, options: Mapping[str, t.Any]) -> None:
    """Request a token, which needs no right, and read the subscription with it, as Rancher does."""
    hosts, login, token = sign_in(values, options, "manager")
    if values.get("subscriptionId"):
        manager = HttpApi("Azure", f"https://{hosts.manager}", options, until=login.until)
        _read_subscription(manager, values["subscriptionId"], token)


@dataclass(frozen=True)
class _Secret:
    key: Key
    hint: str | None = field(repr=False)
    owner: str  # of _OBJECTS


@dataclass(frozen=True)
class _Graph:
    """The API for one call: ``client_id`` is the application whose secrets are managed."""

    api: HttpApi
    headers: Mapping[str, str] = field(repr=False)
    client_id: str

    def send(self, method: str, owner: str, path: str, body: t.Any = None) -> Answer:
        return self.api.send(method, f"/v1.0/{owner}(appId='{self.client_id}'){path}", self.headers, body=body)

    def require(self, answer: Answer, right: str) -> Answer:
        if answer.status == 409:  # Directory_ConcurrencyViolation
            raise IssuerError("busy", f"{self.api.name} is changing application {self.client_id} (HTTP status 409)")
        return self.api.require(answer, f"{right} of application {self.client_id}")


class Azure(Issuer):
    """The client secrets of an application and of its service principal.

    Options: ``sign_in`` with ``client_id`` and ``client_secret`` of another application of the tenant, if it is
    ``given``; ``tenant_id`` for credentials without one; ``expiration`` of new secrets, ``propagation``,
    ``endpoint_url``, ``ca_bundle``.
    """

    drivers = ISSUERS["azure"].drivers
    fields = ISSUERS["azure"].fields
    disables = False
    marks = True
    recorded_options = _RECORDED

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._options = check_options("azure", options, _RECORDED, _SIGN_IN)
        self.propagation = float(parse_duration_option(self._options, "propagation", "10s"))
        self._expiration = parse_duration_option(self._options, "expiration", "365d", 3600)

    def key_id(self, values: Values) -> None:
        return None

    def rate_key(self, by: Values) -> str | None:
        return by.get("tenantId") or self._options.get("tenant_id")

    def identify(self, values: Values, by: Values) -> str | None:
        found = _find(_list(self._graph(by)), values)
        return found.key.id if found else None

    def keys(self, by: Values) -> list[Key]:
        return [secret.key for secret in _list(self._graph(by))]

    def issue(self, by: Values, mark: str) -> IssuedKey:
        """Add a secret to the object that has the current one; to the application if this is unknown."""
        graph = self._graph(by)
        owners = _read_owners(graph)
        held = _read_secrets(graph, owners)
        current = _find(held, by)
        owner = current.owner if current else next(iter(owners))
        personal = "Personal" in str(owners.get(_OBJECTS[0], {}).get("signInAudience"))
        if personal and sum(secret.owner == _OBJECTS[0] for secret in held) >= _LIMIT_OF_PERSONAL:
            raise IssuerError(
                "limit", f"application {graph.client_id} is for personal accounts too, and has {_LIMIT_OF_PERSONAL} "
                         "secrets, the most for such an application. Remove one that is not used",
            )
        expires = now() + datetime.timedelta(seconds=self._expiration)
        wanted = {"passwordCredential": {"displayName": mark, "endDateTime": format_time(expires)}}
        answer = graph.send("POST", owner, "/addPassword", wanted)
        if _error_code(answer) in _POLICIES:
            raise IssuerError(
                "invalid", f"an app management policy of the tenant forbids this secret of {graph.client_id}. Check "
                           "passwordAddition, passwordLifetime and maxLifetime, or set expiration",
            )
        graph.require(answer, "add a secret")
        text, key_id = answer.text("secretText"), answer.text("keyId")
        if not text or not _SAFE.fullmatch(key_id):
            raise IssuerError("unreachable", f"{graph.api.name} ({graph.api.host}) does not answer with a secret")
        return IssuedKey({"clientSecret": text}, key_id, read_time(answer.content.get("endDateTime")) or expires)

    def verify(self, values: Values, by: Values) -> None:
        secret, = require_fields(values, "clientSecret")
        _hosts, login, _token = sign_in({**by, "clientSecret": secret}, self._options, "manager")
        if secret != by.get("clientSecret"):  # a replica that does not know a new secret may answer the next time
            time.sleep(min(self.propagation, _REPLICA_PAUSE))
            sign_in({**by, "clientSecret": secret}, self._options, "manager", login.until)

    def delete(self, key_id: str, by: Values) -> None:
        graph = self._graph(by)
        owners = [secret.owner for secret in _list(graph) if secret.key.id == key_id]
        if len(owners) != 1:
            raise IssuerError(
                "invalid", f"the secret {key_id:.100} does not exist, or is not one of application {graph.client_id}"
            )
        graph.require(graph.send("POST", owners[0], "/removePassword", {"keyId": key_id}), "remove secrets")

    def _graph(self, by: Values) -> _Graph:
        client_id, = require_fields(by, "clientId")
        if not _SAFE.fullmatch(client_id):
            raise IssuerError("invalid", "the clientId of the credential is malformed")
        signer = dict(by)
        if self._options["sign_in"] == "given":
            signer.update(clientId=str(self._options["client_id"]), clientSecret=str(self._options["client_secret"]))
        hosts, login, token = sign_in(signer, self._options, "graph")
        api = HttpApi("Microsoft Graph", f"https://{hosts.graph}", self._options, until=login.until)
        return _Graph(api, {"Authorization": f"Bearer {token}"}, client_id)


def _read_owners(graph: _Graph) -> dict[str, Mapping[str, t.Any]]:
    """Return the application and its service principal, those of them that are in the tenant."""
    found: dict[str, Mapping[str, t.Any]] = {}
    for owner in _OBJECTS:
        selected = "appId,passwordCredentials" + (",signInAudience" if owner == _OBJECTS[0] else "")
        answer = graph.send("GET", owner, f"?$select={selected}")
        if answer.status != 404:  # the application of another tenant has only a service principal here
            graph.require(answer, f"read the {owner}")
            graph.api.require_member(answer, "passwordCredentials")
            found[owner] = answer.content
    if not found:
        raise IssuerError("invalid", f"the tenant has no application with the clientId {graph.client_id}")
    return found


def _read_secrets(graph: _Graph, owners: Mapping[str, Mapping[str, t.Any]]) -> list[_Secret]:
    found = []
    for owner, content in owners.items():
        entries = content["passwordCredentials"]
        if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
            raise IssuerError("unreachable", f"{graph.api.name} ({graph.api.host}) does not answer with secrets")
        found += [_read_secret(entry, owner) for entry in entries]
    return found


def _list(graph: _Graph) -> list[_Secret]:
    return _read_secrets(graph, _read_owners(graph))


def _find(secrets: t.Sequence[_Secret], values: Values) -> _Secret | None:
    """Return the entry of a secret that works; None unless its hint excludes all others."""
    text, = require_fields(values, "clientSecret")
    valid = [each for each in secrets if each.key.expires_at is None or each.key.expires_at > now()]
    found = [each for each in valid if each.hint == text[:_HINT]]
    return found[0] if len(found) == 1 and all(each.hint for each in valid) else None


def _read_secret(entry: Mapping[str, t.Any], owner: str) -> _Secret:
    hint, mark = entry.get("hint"), entry.get("displayName")
    key = Key(
        str(entry.get("keyId")), created_at=read_time(entry.get("startDateTime")),
        expires_at=read_time(entry.get("endDateTime")), mark=mark if isinstance(mark, str) else None,
    )
    return _Secret(key, hint if isinstance(hint, str) else None, owner)


def _error_code(answer: Answer) -> str:
    error = answer.content.get("error") if isinstance(answer.content, Mapping) else None
    return str(error.get("code")) if isinstance(error, Mapping) else ""


def sign_in(
    values: Values, options: Mapping[str, t.Any], audience: str, until: float | None = None
) -> tuple[Hosts, HttpApi, str]:
    """Return the hosts, the API of tokens, and a token for one of the hosts, the ``audience``.

    Of an error, only its ``error`` is evaluated, because Microsoft may change descriptions and numbers.
    """
    client_id, secret = require_fields(values, "clientId", "clientSecret")
    tenant = values.get("tenantId") or str(options.get("tenant_id") or "")
    if not _SAFE.fullmatch(tenant):
        raise IssuerError("invalid", "the tenant is missing or malformed. Set tenantId of the credential, or tenant_id")
    environment = values.get("environment") or "AzurePublicCloud"
    if environment not in HOSTS:
        raise IssuerError("invalid", f"the environment of the credential must be one of {', '.join(HOSTS)}")
    hosts = HOSTS[environment]
    login = HttpApi("Microsoft Entra", f"https://{hosts.login}", options, until=until)
    answer = login.send("POST", f"/{tenant}/oauth2/v2.0/token", form={
        "grant_type": "client_credentials", "client_id": client_id, "client_secret": secret,
        "scope": f"https://{getattr(hosts, audience)}/.default",
    })
    if answer.text("error") == "unauthorized_client":
        raise IssuerError("invalid", f"tenant {tenant} has no application with this client id")
    if answer.text("error") == "temporarily_unavailable":
        raise IssuerError("unreachable", f"{login.name} ({login.host}) is temporarily unavailable")
    if answer.status == 400:
        raise IssuerError("invalid", f"{login.name} ({login.host}) rejected tenant {tenant} or the client id")
    token = login.require(answer, "sign in").text("access_token")
    if not token:
        raise IssuerError("unreachable", f"{login.name} ({login.host}) does not answer with a token")
    return hosts, login, token


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
