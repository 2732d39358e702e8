# Copyright (c) 2026 ranchhand contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The issuer of tokens of Rancher in kubeconfigs of Harvester clusters that are imported into it.

Sources: Rancher's handlers of tokens and of the action generateKubeconfig, and its controller of cloud credentials. In
Rancher 2.12 and newer, this controller deletes the old token when the credential contains another one, and makes the
new one valid for ever. Older versions are treated in the same way: a rotation must know this before it sends a request.
"""

from __future__ import annotations

import base64
import re
import typing as t
from collections.abc import Mapping

from .._common.times import Time
from ..issuer import IssuedKey, Issuer, IssuerError, Key, Values
from .http import Answer, HttpApi, read_time
from .kubernetes import FIELD, Kubeconfig
from .options import check_options, parse_duration_option
from .registry import ISSUERS

_RECORDED = ("sign_in", "rancher_url", "propagation")
_SIGN_IN: dict[str, tuple[str, ...]] = {"rotating": (), "given": ("rancher_token",)}
_SERVER = re.compile(r"(https?://[^/]+)/k8s/clusters/([a-z0-9][a-z0-9.-]*)/?", re.ASCII)
_TOKEN = re.compile(r"(kubeconfig-[a-z0-9][a-z0-9.-]*):[a-z0-9]+", re.ASCII)
_REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


class _Access:
    """The Rancher, the cluster and the token in the kubeconfig of a credential."""

    def __init__(self, values: Values) -> None:
        self.kubeconfig = Kubeconfig(values)
        self.token = self.kubeconfig.bearer
        server = _SERVER.fullmatch(str(self.kubeconfig.cluster.get("server")))
        if not server:
            raise IssuerError(
                "unsupported", f"the server in {FIELD} is no cluster of Rancher (https://RANCHER/k8s/clusters/ID). For "
                               "a Harvester cluster that is reached directly, set issuer: kubernetes"
            )
        self.url, self.cluster_id = server[1], server[2]
        self.key_id = _name_of(self.token)

    def authorities(self) -> str:
        encoded = "".join(str(self.kubeconfig.cluster.get("certificate-authority-data") or "").split())
        try:
            return base64.b64decode(encoded, validate=True).decode()
        except ValueError:
            raise IssuerError("invalid", f"certificate-authority-data in {FIELD} is malformed") from None


class _Api:
    """The API of Rancher for one call, signed in with a token."""

    def __init__(self, access: _Access, token: str, until: float | None = None) -> None:
        insecure = access.kubeconfig.cluster.get("insecure-skip-tls-verify") is True
        self.http = HttpApi("Rancher", access.url, {}, not insecure, until=until, authorities=access.authorities())
        self._headers = {"Authorization": f"Bearer {token}"}

    def send(self, method: str, path: str, body: t.Any = None) -> Answer:
        return self.http.send(method, path, self._headers, body=body)

    def list(self) -> list[Mapping[str, t.Any]]:
        """Return the tokens of the user."""
        answer = self.http.require(self.send("GET", "/v3/tokens"), "list its tokens")
        self.http.require_member(answer, "data")
        found = answer.content["data"]
        if not isinstance(found, list) or not all(map(_is_token, found)):
            raise self.unknown()
        return found

    def find(self, name: str) -> Mapping[str, t.Any] | None:
        """Return a token of the user; None if it does not exist, or is one of another user."""
        answer = self.send("GET", f"/v3/tokens/{name}")
        if answer.status == 404:
            return None
        token = self.http.require(answer, "read its tokens").content
        if not _is_token(token) or token["id"] != name:
            raise self.unknown()
        return t.cast(Mapping[str, t.Any], token)

    def unknown(self) -> IssuerError:
        return IssuerError("unreachable", f"Rancher ({self.http.host}) does not answer like a Rancher")


class Harvester(Issuer):
    """The kubeconfig tokens of a Rancher user.

    Options: ``sign_in`` (``given``: ``rancher_token``, another token of the same user), ``rancher_url``, which the
    kubeconfig must have, and ``propagation``. Without ``rancher_url``, a user who may write the credential could choose
    the host that ``rancher_token`` is sent to.
    """

    drivers = ISSUERS["harvester"].drivers
    fields = (FIELD,)
    disables = False
    reports_last_use = True
    old_key_ends_at_cutover = True
    recorded_options = _RECORDED

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._options = check_options("harvester", options, _RECORDED, _SIGN_IN)
        self.propagation = float(parse_duration_option(self._options, "propagation", "0s"))
        if self._options["sign_in"] == "given" and not self._options.get("rancher_url"):
            raise IssuerError("invalid", "sign_in: given requires rancher_url")

    def key_id(self, values: Values) -> str:
        return _Access(values).key_id

    def rate_key(self, by: Values) -> str:
        return _Access(by).url

    def keys(self, by: Values) -> list[Key]:
        """Return the kubeconfig tokens of the user; API keys and sessions are none."""
        found = self._api(self._access(by)).list()
        if not any(token.get("lastUsedAt") for token in found):  # the one that signs in was used right now
            raise IssuerError(
                "unsupported", "this Rancher does not report when tokens were used. Upgrade it to 2.10 or newer"
            )
        return [_read_key(token) for token in found if token["id"].startswith("kubeconfig-")]

    def issue(self, by: Values, mark: str) -> IssuedKey:
        access = self._access(by)
        api = self._api(access)
        if api.find(access.key_id) is None:
            raise _missing(access.key_id)
        path = f"/v3/clusters/{access.cluster_id}"
        answer = api.http.require(api.send("GET", path), "read the cluster")
        api.http.require_member(answer, "localClusterAuthEndpoint")
        endpoint = answer.content["localClusterAuthEndpoint"]
        if isinstance(endpoint, Mapping) and endpoint.get("enabled"):
            raise IssuerError(
                "unsupported", f"the cluster {access.cluster_id} has an authorized cluster endpoint, so that Rancher "
                               "issues tokens which cannot manage tokens. Disable it"
            )
        answer = api.send("POST", f"{path}?action=generateKubeconfig", {})
        config = api.http.require(answer, "generate a kubeconfig of the cluster").text("config")
        if not config:
            raise api.unknown()
        token = Kubeconfig({FIELD: config}).bearer
        if not token:
            raise IssuerError(
                "invalid", f"Rancher ({api.http.host}) issues no tokens in kubeconfigs. Set its setting "
                           "kubeconfig-generate-token to true"
            )
        name = _name_of(token)
        try:
            expires_at = _read_expiry(api.find(name) or {})
        except IssuerError:  # the token exists, and its secret must not be lost
            expires_at = None
        return IssuedKey({FIELD: access.kubeconfig.with_token(token)}, name, expires_at)

    def verify(self, values: Values, by: Values) -> None:
        """Sign in to the cluster through Rancher, and check the user: that of ``by``, if its token works still."""
        access, current = self._access(values), self._access(by)
        api = _Api(access, access.token)
        path = f"/k8s/clusters/{access.cluster_id}"
        answer = api.http.require(api.send("GET", f"{path}/version"), "access the cluster")
        api.http.require_member(answer, "gitVersion")
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = api.send("POST", path + _REVIEWS, review)
        if answer.status != 404:  # Kubernetes 1.27 and older
            api.http.require_member(api.http.require(answer, "sign in to the cluster"), "status")
        if self._options["sign_in"] == "given":
            if self._api(current, api.http.until).find(access.key_id) is None:
                raise _missing(access.key_id)
        elif access.token != current.token:
            user = (api.find(access.key_id) or {}).get("userId")
            try:
                expected = (_Api(current, current.token, api.http.until).find(current.key_id) or {}).get("userId")
            except IssuerError as error:
                if error.code != "refused":
                    raise
                return
            if user != expected:
                raise IssuerError("invalid", f"the token {access.key_id:.100} belongs to another user of Rancher")

    def delete(self, key_id: str, by: Values) -> None:
        api = self._api(self._access(by))
        if not _TOKEN.fullmatch(f"{key_id}:0") or api.find(key_id) is None:
            raise _missing(key_id)
        answer = api.send("DELETE", f"/v3/tokens/{key_id}")
        if answer.status != 404 and api.http.require(answer, "delete its tokens").status != 204:
            raise api.unknown()

    def _access(self, values: Values) -> _Access:
        access = _Access(values)
        if self._options.get("rancher_url") and str(self._options["rancher_url"]).rstrip("/") != access.url:
            raise IssuerError("invalid", f"the server in {FIELD} is not a cluster of the Rancher in rancher_url")
        return access

    def _api(self, access: _Access, until: float | None = None) -> _Api:
        return _Api(access, str(self._options.get("rancher_token") or access.token), until)


def _name_of(token: str) -> str:
    """Return the name of a token, which is not secret."""
    match = _TOKEN.fullmatch(token)
    if not match:
        raise IssuerError(
            "unsupported",
            f"{FIELD} contains no token of a kubeconfig that Rancher generated (kubeconfig-…). API keys, tokens of the "
            "API ext.cattle.io (ext/…) and certificates cannot be rotated; generate a kubeconfig of the Harvester "
            "cluster in Rancher",
        )
    return match[1]


def _is_token(token: t.Any) -> bool:
    return isinstance(token, Mapping) and isinstance(token.get("id"), str)


def _read_key(token: Mapping[str, t.Any]) -> Key:
    return Key(
        token["id"], token.get("enabled") is not False, read_time(token.get("created")),
        read_time(token.get("lastUsedAt")), _read_expiry(token),
    )


def _read_expiry(token: Mapping[str, t.Any]) -> Time | None:
    """Return when a token expires; Rancher leaves the time in tokens that it has made valid for ever."""
    return read_time(token.get("expiresAt")) if token.get("ttl") else None


def _missing(key_id: str) -> IssuerError:
    return IssuerError(
        "invalid",
        f"the token {key_id:.100} does not exist, or is not one of the user who signs in. Sign in with a token of the "
        "same user of Rancher",
    )
